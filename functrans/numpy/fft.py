"""Discrete Fourier transforms (NumPy's reference: numpy.fft), over the one primitive of `lax.fft`.

Traced arrays have NumPy's results and dtypes, with two exceptions: each axis can be named once only, and the scale of
an array of float16 is not itself rounded to float16.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import SMALL_FLOATS
from functrans.errors import ArgumentError, AxisError, ShapeError
from functrans.lax.fourier import FftType, transform
from functrans.numpy import manipulation
from functrans.numpy.dispatch import dtype_of, implements, normalize_axes, on_cpu, operand, shape_of, unsupported

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

#: The norm of a transform whose direction is the other one.
_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _sizes(name: str, a: Any, s: Any, axes: Any, inverse_real: bool) -> tuple[list[int], list[int]]:
    """The lengths and axes that NumPy's arguments `s` and `axes` stand for."""
    shape = shape_of(a)
    if axes is None:
        if s is not None:
            raise ArgumentError(f"{name} of a traced array takes axes where it takes s (NumPy deprecates s alone)")
        axes = range(len(shape))
    axes = [normalize_axes(axis, len(shape))[0] for axis in axes]
    if s is None:
        lengths = [shape[i] for i in axes]
        if inverse_real and lengths:
            lengths[-1] = 2 * (lengths[-1] - 1)
    else:
        lengths = [shape[i] if operator.index(n) == -1 else operator.index(n) for n, i in zip(s, axes)]
        if len(s) != len(axes):
            raise ShapeError(f"{name}: s={tuple(s)} and axes={tuple(axes)} have different lengths")
    if lengths and min(lengths) < 1:
        raise ShapeError(f"{name} takes transforms of at least one point, got lengths {tuple(lengths)}")
    return lengths, axes


def _fitted(a: Any, sizes: Sequence[int], axes: Sequence[int]) -> Any:
    """The array cut, or padded by zeros, to sizes along some of its axes."""
    shape = shape_of(a)
    for n, i in zip(sizes, axes):
        if n < shape[i]:
            a = lax.slice_in_dim(a, 0, n, axis=i)
    pads = [(0, 0, 0)] * len(shape)
    for n, i in zip(sizes, axes):
        pads[i] = (0, max(n - shape[i], 0), 0)
    return lax.pad(a, dtype_of(a).type(0), pads) if any(high for _, high, _ in pads) else a


def _transformed(name: str, a: Any, kind: FftType, s: Any, axes: Any, norm: Any) -> Any:
    a = operand(name, a)
    own = dtype_of(a)
    real = kind in (FftType.RFFT, FftType.IRFFT)
    lengths, axes = _sizes(name, a, s, axes, kind is FftType.IRFFT)
    if not axes:
        if real:
            raise AxisError(f"{name} takes at least one axis, got an array of shape {shape_of(a)} and axes ()")
        return a
    if len(set(axes)) < len(axes):
        raise ArgumentError(f"{name} of a traced array takes each axis once, got {tuple(axes)}")
    sizes = [*lengths[:-1], lengths[-1] // 2 + 1] if kind is FftType.IRFFT else lengths
    out = transform(_fitted(a, sizes, axes), kind, tuple(lengths), tuple(axes), norm)
    return (
        lax.convert_element_type(out, own) if own in SMALL_FLOATS and kind is FftType.IRFFT and len(axes) == 1 else out
    )


def _swapped(norm: Any) -> Any:
    return _SWAPPED.get(norm, norm)


@implements(np.fft.fft)
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.fft([1.0, 0.0, -1.0, 0.0])
    Array([0.+0.j, 2.+0.j, 0.+0.j, 2.+0.j])
    """
    unsupported("fft", out=out)
    return _transformed("fft", a, FftType.FFT, None if n is None else (n,), (axis,), norm)


@implements(np.fft.ifft)
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.ifft([0.0, 2.0, 0.0, 2.0])
    Array([ 1.+0.j,  0.+0.j, -1.+0.j,  0.+0.j])
    """
    unsupported("ifft", out=out)
    return _transformed("ifft", a, FftType.IFFT, None if n is None else (n,), (axis,), norm)


@implements(np.fft.rfft)
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.rfft([1.0, 0.0, -1.0, 0.0])
    Array([0.+0.j, 2.+0.j, 0.+0.j])
    """
    unsupported("rfft", out=out)
    return _transformed("rfft", a, FftType.RFFT, None if n is None else (n,), (axis,), norm)


@implements(np.fft.irfft)
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.irfft([0.0, 2.0, 0.0])
    Array([ 1.,  0., -1.,  0.])
    """
    unsupported("irfft", out=out)
    return _transformed("irfft", a, FftType.IRFFT, None if n is None else (n,), (axis,), norm)


@implements(np.fft.hfft)
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.hfft([1.0, 2.0, 1.0])
    Array([ 6.,  0., -2.,  0.])
    """
    unsupported("hfft", out=out)
    return irfft(lax.conj(operand("hfft", a)), n, axis, _swapped(norm))


@implements(np.fft.ihfft)
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.ihfft([6.0, 0.0, -2.0, 0.0])
    Array([1.-0.j, 2.-0.j, 1.-0.j])
    """
    unsupported("ihfft", out=out)
    return lax.conj(rfft(a, n, axis, _swapped(norm)))


@implements(np.fft.fftn)
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.fftn([[1.0, 2.0], [3.0, 4.0]])
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """
    unsupported("fftn", out=out)
    return _transformed("fftn", a, FftType.FFT, s, axes, norm)


@implements(np.fft.ifftn)
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.ifftn([[10.0, -2.0], [-4.0, 0.0]])
    Array([[1.+0.j, 2.+0.j],
           [3.+0.j, 4.+0.j]])
    """
    unsupported("ifftn", out=out)
    return _transformed("ifftn", a, FftType.IFFT, s, axes, norm)


@implements(np.fft.rfftn)
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.rfftn([[1.0, 2.0], [3.0, 4.0]])
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """
    unsupported("rfftn", out=out)
    return _transformed("rfftn", a, FftType.RFFT, s, axes, norm)


@implements(np.fft.irfftn)
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.irfftn([[10.0, -2.0], [-4.0, 0.0]])
    Array([[1., 2.],
           [3., 4.]])
    """
    unsupported("irfftn", out=out)
    return _transformed("irfftn", a, FftType.IRFFT, s, axes, norm)


@implements(np.fft.fft2)
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.fft2([[1.0, 2.0], [3.0, 4.0]])
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """
    unsupported("fft2", out=out)
    return _transformed("fft2", a, FftType.FFT, s, axes, norm)


@implements(np.fft.ifft2)
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.ifft2([[10.0, -2.0], [-4.0, 0.0]])
    Array([[1.+0.j, 2.+0.j],
           [3.+0.j, 4.+0.j]])
    """
    unsupported("ifft2", out=out)
    return _transformed("ifft2", a, FftType.IFFT, s, axes, norm)


@implements(np.fft.rfft2)
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.rfft2([[1.0, 2.0], [3.0, 4.0]])
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """
    unsupported("rfft2", out=out)
    return _transformed("rfft2", a, FftType.RFFT, s, axes, norm)


@implements(np.fft.irfft2)
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.irfft2([[10.0, -2.0], [-4.0, 0.0]])
    Array([[1., 2.],
           [3., 4.]])
    """
    unsupported("irfft2", out=out)
    return _transformed("irfft2", a, FftType.IRFFT, s, axes, norm)


def fftfreq(n: int, d: Any = 1.0, device: Any = None, *, dtype: Any = None) -> Any:
    """The frequencies of the results of `fft`, in cycles for a spacing of `d`, as `numpy.fft.fftfreq`.

    >>> import functrans.numpy as fnp
    >>> fnp.fft.fftfreq(4)
    Array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    on_cpu(device)
    n = operator.index(n)
    k = lax.iota(np.int64, n)
    return _frequencies(lax.select(lax.lt(k, (n + 1) // 2), k, k - n), n, d, dtype)


def rfftfreq(n: int, d: Any = 1.0, device: Any = None, *, dtype: Any = None) -> Any:
    """The frequencies of the results of `rfft`, as `numpy.fft.rfftfreq`.

    >>> import functrans.numpy as fnp
    >>> fnp.fft.rfftfreq(4, 0.5)
    Array([0. , 0.5, 1. ])
    """
    on_cpu(device)
    n = operator.index(n)
    return _frequencies(lax.iota(np.int64, n // 2 + 1), n, d, dtype)


def _frequencies(k: Any, n: int, d: Any, dtype: Any) -> Any:
    out = k * (1.0 / (n * d))
    return out if dtype is None else lax.convert_element_type(out, dtype)


@implements(np.fft.fftshift)
def fftshift(x: Any, axes: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.fftshift([0.0, 1.0, -2.0, -1.0])
    Array([-2., -1.,  0.,  1.])
    """
    return _shifted("fftshift", x, axes, lambda n: n // 2)


@implements(np.fft.ifftshift)
def ifftshift(x: Any, axes: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fft.ifftshift([-2.0, -1.0, 0.0, 1.0])
    Array([ 0.,  1., -2., -1.])
    """
    return _shifted("ifftshift", x, axes, lambda n: -(n // 2))


def _shifted(name: str, x: Any, axes: Any, shift: Callable[[int], int]) -> Any:
    x = operand(name, x)
    axes = normalize_axes(axis=axes, ndim=len(shape_of(x)))
    return manipulation.roll(x, [shift(shape_of(x)[i]) for i in axes], axes)
