"""Convolutions and correlations of signals.

Directly (`lax.conv_general_dilated`, products of windows and a matrix) or by Fourier transforms.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, is_inexact, real_dtype
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import to_common_dtype
from functrans.numpy.dispatch import normalize_axes
from functrans.numpy.fft import _fitted
from functrans.scipy.dispatch import implements, inexact, of_one_dtype
from functrans.scipy.fft import next_fast_len

#: Direct convolutions with more operations for one of the Fourier transform are left to that.
_DIRECT = 8


def operands(name: str, in1: Any, in2: Any) -> tuple[Any, Any]:
    """The two arrays in one dtype, if they have one number of dimensions."""
    in1, in2 = to_common_dtype(name, [fnp.asarray(in1), fnp.asarray(in2)])
    if aval_of(in1).ndim != aval_of(in2).ndim:
        raise ShapeError(
            f"{name} takes arrays with one number of dimensions, got shapes {aval_of(in1).shape} and "
            f"{aval_of(in2).shape}"
        )
    return in1, in2


def _check_mode(name: str, mode: Any) -> None:
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f"{name} takes mode='full', 'same' or 'valid', got {mode!r:.60}")


def _bounds(name: str, n: Sequence[int], k: Sequence[int], mode: str) -> list[tuple[int, int]]:
    """Which part of the full convolution a mode stands for, along each axis."""
    if 0 in n or 0 in k:
        raise ShapeError(f"{name} takes arrays that are not empty, got shapes {tuple(n)} and {tuple(k)}")
    full = [a + b - 1 for a, b in zip(n, k)]
    if mode == "full":
        return [(0, f) for f in full]
    if mode == "same":
        return [((f - a) // 2, (f - a) // 2 + a) for f, a in zip(full, n)]
    if not (all(a >= b for a, b in zip(n, k)) or all(a <= b for a, b in zip(n, k))):
        raise ShapeError(
            f"{name} with mode='valid' takes arrays one of which is as large as the other along every axis, got "
            f"shapes {tuple(n)} and {tuple(k)}"
        )
    return [(min(a, b) - 1, max(a, b)) for a, b in zip(n, k)]


def _direct(name: str, in1: Any, in2: Any, mode: str) -> Any:
    n, k = aval_of(in1).shape, aval_of(in2).shape
    dtype = aval_of(in1).dtype
    bounds = _bounds(name, n, k, mode)
    signal, kernel = (in2, in1) if math.prod(k) > math.prod(n) else (in1, in2)
    n, k = aval_of(signal).shape, aval_of(kernel).shape
    pads = [(b - 1 - start, stop - a) for a, b, (start, stop) in zip(n, k, bounds)]
    if dtype.kind == "b":
        signal, kernel = signal.astype(np.int64), kernel.astype(np.int64)
    out = lax.conv_general_dilated(signal[None, None], fnp.flip(kernel)[None, None], (1,) * len(n), pads)[0, 0]
    return out.astype(dtype)


def _by_transform(in1: Any, in2: Any, bounds: Sequence[tuple[int, int]], axes: Sequence[int]) -> Any:
    """The part within bounds of the full convolution along axes; the others broadcast."""
    sizes = [aval_of(in1).shape[a] + aval_of(in2).shape[a] - 1 for a in axes]
    real = aval_of(in1).dtype.kind != "c"
    lengths = [next_fast_len(n, real) for n in sizes]
    forward, backward = (fnp.fft.rfftn, fnp.fft.irfftn) if real else (fnp.fft.fftn, fnp.fft.ifftn)
    spectra = [forward(_fitted(x, lengths, axes), lengths, axes) for x in (in1, in2)]
    out = backward(spectra[0] * spectra[1], lengths, axes)
    for a, (start, stop) in zip(axes, bounds):
        out = lax.slice_in_dim(out, start, stop, axis=a)
    return out


def _transform_is_faster(in1: Any, in2: Any, mode: str) -> bool:
    n, k = aval_of(in1).shape, aval_of(in2).shape
    if not is_inexact(aval_of(in1).dtype) or not n:
        return False
    full = math.prod(a + b - 1 for a, b in zip(n, k))
    outs = {"full": full, "same": math.prod(n), "valid": math.prod(abs(a - b) + 1 for a, b in zip(n, k))}[mode]
    return min(math.prod(n), math.prod(k)) * outs > _DIRECT * 3 * full * math.log(max(full, 2))


def _convolve(name: str, in1: Any, in2: Any, mode: str, method: str) -> Any:
    in1, in2 = operands(name, in1, in2)
    _check_mode(name, mode)
    if method not in ("auto", "direct", "fft"):
        raise ArgumentError(f"{name} takes method='auto', 'direct' or 'fft', got {method!r:.60}")
    dtype = aval_of(in1).dtype
    if aval_of(in1).ndim == 0:
        return in1 * in2
    if method == "fft" or (method == "auto" and _transform_is_faster(in1, in2, mode)):
        bounds = _bounds(name, aval_of(in1).shape, aval_of(in2).shape, mode)
        out = _by_transform(as_inexact(in1), as_inexact(in2), bounds, range(aval_of(in1).ndim))
        return fnp.round(out).astype(dtype) if dtype.kind in "biu" else out
    return _direct(name, in1, in2, mode)


@implements("scipy.signal", "precision")
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The convolution of two arrays with one number of dimensions, as `scipy.signal.convolve`.

    Args:
        in1, in2: the arrays.
        mode: `"full"`, all of it; `"same"`, the middle, of the shape of `in1`; `"valid"`, what needs no padding.
        method: `"direct"`, `"fft"`, or by the sizes which of them has fewer operations.
        precision: accepted for programs of JAX; products are computed in the operands' dtype.

    Raises:
        ShapeError: the numbers of dimensions differ, an array is empty, or with `"valid"` neither holds the other.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(ft.scipy.signal.convolve)(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0]))
    Array([1., 3., 5., 3.])
    """
    return _convolve("convolve", in1, in2, mode, method)


def _reversed(x: Any) -> Any:
    return fnp.conj(fnp.flip(fnp.asarray(x)))


@implements("scipy.signal", "precision")
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Any:
    """The correlation of two arrays, as `scipy.signal.correlate`: the convolution with `in2` reversed and conjugate.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(ft.scipy.signal.correlate)(np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5]))
    Array([0.5, 2. , 3.5, 3. , 0. ])
    """
    return _convolve("correlate", in1, _reversed(in2), mode, method)


@implements("scipy.signal")
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """The convolution by Fourier transforms, along axes (others broadcast), as `scipy.signal.fftconvolve`.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(ft.scipy.signal.fftconvolve)(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0]))
    Array([1., 3., 5., 3.])
    """
    return _along_axes("fftconvolve", in1, in2, mode, axes)


def _along_axes(name: str, in1: Any, in2: Any, mode: str, axes: Any) -> Any:
    in1, in2 = operands(name, in1, in2)
    _check_mode(name, mode)
    n, k = aval_of(in1).shape, aval_of(in2).shape
    if not n:
        return in1 * in2
    if 0 in n or 0 in k:
        return fnp.zeros((0,), aval_of(in1).dtype)
    axes = normalize_axes(axes, len(n))
    others = [i for i in range(len(n)) if i not in axes]
    for i in others:
        if n[i] != k[i] and 1 not in (n[i], k[i]):
            raise ShapeError(f"{name}: shapes {n} and {k} do not broadcast along axis {i}")
    in1, in2 = as_inexact(in1), as_inexact(in2)
    bounds = _bounds(name, [n[a] for a in axes], [k[a] for a in axes], mode)
    out = _by_transform(in1, in2, bounds, axes)
    if mode == "same":  # SciPy: the other axes too have the sizes of in1
        for i in others:
            if aval_of(out).shape[i] > n[i]:
                start = (aval_of(out).shape[i] - n[i]) // 2
                out = lax.slice_in_dim(out, start, start + n[i], axis=i)
    return out


@implements("scipy.signal")
def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """As `scipy.signal.oaconvolve`; of traced arrays it is `fftconvolve`, one transform of the whole.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(ft.scipy.signal.oaconvolve)(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0]))
    Array([1., 3., 5., 3.])
    """
    return _along_axes("oaconvolve", in1, in2, mode, axes)


#: For the boundaries of `convolve2d` the modes of `numpy.pad`.
_BOUNDARIES = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}


def _planes(name: str, in1: Any, in2: Any, mode: str, boundary: str, fillvalue: Any) -> Any:
    in1, in2 = operands(name, in1, in2)
    _check_mode(name, mode)
    if aval_of(in1).ndim != 2:
        raise ShapeError(f"{name} takes two-dimensional arrays, got shape {aval_of(in1).shape}")
    if boundary not in _BOUNDARIES:
        raise ArgumentError(f"{name} takes boundary='fill', 'wrap' or 'symm', got {boundary!r:.60}")
    n, k = aval_of(in1).shape, aval_of(in2).shape
    bounds = _bounds(name, n, k, mode)
    if mode == "valid" and any(a < b for a, b in zip(n, k)):  # nothing is padded; SciPy lets the operands swap
        return _direct(name, in1, in2, mode)
    zeros = boundary == "fill" and not hasattr(fillvalue, "dtype") and fillvalue == 0
    if mode == "valid" or zeros:
        return _direct(name, in1, in2, mode)
    pads = [(b - 1 - start, stop - a) for a, b, (start, stop) in zip(n, k, bounds)]
    options = {"constant_values": fillvalue} if boundary == "fill" else {}
    return _direct(name, fnp.pad(in1, pads, _BOUNDARIES[boundary], **options), in2, "valid")


@implements("scipy.signal", "precision")
def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The convolution of two-dimensional arrays, as `scipy.signal.convolve2d`.

    Args:
        in1, in2: the arrays.
        mode: as for `convolve`.
        boundary: what lies around `in1`: `"fill"`, `fillvalue`; `"wrap"`, itself; `"symm"`, its mirror image.
        fillvalue: a number.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.signal.convolve2d(x, np.ones((2, 2)), "same", "wrap"))(np.eye(2))
    Array([[2., 2.],
           [2., 2.]])
    """
    return _planes("convolve2d", in1, in2, mode, boundary, fillvalue)


@implements("scipy.signal", "precision")
def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0, precision: Any = None
) -> Any:
    """The correlation of two-dimensional arrays, as `scipy.signal.correlate2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.correlate2d(np.eye(2), np.array([[1.0, 2.0]]), mode="valid")
    Array([[1.],
           [2.]])
    """
    out_is_reversed = mode == "same"
    if out_is_reversed:  # a correlation's middle is the other one where sizes are even
        in1, in2 = operands("correlate2d", in1, in2)
        if aval_of(in1).ndim == 2:
            flipped = _planes("correlate2d", fnp.flip(in1), fnp.conj(in2), mode, boundary, fillvalue)
            return fnp.flip(flipped)
    return _planes("correlate2d", in1, _reversed(in2), mode, boundary, fillvalue)


def correlation_lags(in1_len: int, in2_len: int, mode: str = "full") -> Any:
    """The displacements that the elements of a correlation belong to, as `scipy.signal.correlation_lags`.

    >>> import functrans as ft
    >>> ft.scipy.signal.correlation_lags(3, 2)
    Array([-1,  0,  1,  2])
    """
    from scipy import signal

    _check_mode("correlation_lags", mode)
    return fnp.asarray(signal.correlation_lags(operator.index(in1_len), operator.index(in2_len), mode))  # type: ignore[arg-type]


@implements("scipy.signal")
def resample_poly(
    x: Any,
    up: int,
    down: int,
    axis: int = 0,
    window: Any = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: Any = None,
) -> Any:
    """The signal at `up / down` times its rate, by a filter between up- and downsampling.

    As `scipy.signal.resample_poly`; traced arrays are extended by zeros only.

    Args:
        x: the signal.
        up, down: whole numbers.
        axis: the axis of time.
        window: of the low-pass filter, or its coefficients.
        padtype, cval: SciPy's.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.signal.resample_poly(x, 2, 3))(np.ones(9)).shape
    (6,)
    """
    if padtype != "constant" or cval is not None:
        raise ArgumentError("resample_poly of a traced array takes padtype='constant' and no cval")
    up, down = operator.index(up), operator.index(down)
    if up < 1 or down < 1:
        raise ArgumentError(f"resample_poly takes up and down of 1 or more, got {up} and {down}")
    up, down = up // math.gcd(up, down), down // math.gcd(up, down)
    x = inexact(x)
    if up == down == 1:
        return x
    x = fnp.moveaxis(x, axis, -1)
    if isinstance(window, (str, tuple, float)):
        from scipy import signal

        half = 10 * max(up, down)
        h = fnp.asarray(signal.firwin(2 * half + 1, 1 / max(up, down), window=window))
        h = h.astype(real_dtype(aval_of(x).dtype))
    else:
        h = fnp.asarray(window)
        if aval_of(h).ndim != 1:
            raise ShapeError(f"resample_poly takes a filter of one dimension, got shape {aval_of(h).shape}")
        half = (aval_of(h).size - 1) // 2
    h = h * up
    n = aval_of(x).shape[-1]
    count = -(-n * up // down)
    before = down - half % down
    skipped = (half + before) // down
    # zeros before the filter bring its middle to a sample, those behind it make the result long enough
    behind = max((count + skipped - 1) * down + 1 - (n - 1) * up - aval_of(h).size - before, 0)
    out = upfirdn(fnp.pad(h, (before, behind)), x, up, down)
    return fnp.moveaxis(out[..., skipped : skipped + count], -1, axis)


@implements("scipy.signal")
def upfirdn(h: Any, x: Any, up: int = 1, down: int = 1, axis: int = -1, mode: str = "constant", cval: Any = 0) -> Any:
    """Upsample by zeros, filter, downsample, along an axis, as `scipy.signal.upfirdn`.

    Traced arrays are extended by zeros only.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.signal.upfirdn([0.5, 1.0, 0.5], x, up=2))(np.array([1.0, 2.0, 3.0]))
    Array([0.5, 1. , 1.5, 2. , 2.5, 3. , 1.5])
    """
    if mode != "constant" or hasattr(cval, "dtype") or cval != 0:
        raise ArgumentError("upfirdn of a traced array takes mode='constant' and cval=0 only")
    up, down = operator.index(up), operator.index(down)
    if up < 1 or down < 1:
        raise ArgumentError(f"upfirdn takes up and down of 1 or more, got {up} and {down}")
    h, x = of_one_dtype(h, x)
    if aval_of(h).ndim != 1 or not aval_of(h).size:
        raise ShapeError(f"upfirdn takes a one-dimensional filter h with elements, got shape {aval_of(h).shape}")
    x = fnp.moveaxis(x, axis, -1)
    shape, size = aval_of(x).shape, aval_of(h).size
    rows = fnp.reshape(x, (math.prod(shape[:-1]), 1, shape[-1]))
    out = lax.conv_general_dilated(rows, fnp.flip(h)[None, None], (down,), [(size - 1, size - 1)], lhs_dilation=(up,))
    return fnp.moveaxis(fnp.reshape(out, (*shape[:-1], aval_of(out).shape[-1])), -1, axis)
