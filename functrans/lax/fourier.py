"""Discrete Fourier transforms along any axes, by NumPy's pocketfft.

One primitive for the four kinds that differ: complex both ways, and those between real arrays and the half of their
spectrum that is not the mirror image of the other. All are linear. The matrix of a complex transform is symmetric, so
it is its own transpose; those of the real ones are each other's, but for the weights of the mirrored half
(`_halves`). A scale is part of the transform (`norm`), as in `numpy.fft`.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, is_inexact
from functrans.core.primitive import Axis, Primitive
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcasted_iota, linear_unary
from functrans.lax.conversion import convert_element_type

Ints = tuple[int, ...]


class FftType(enum.IntEnum):
    """The kinds of transform.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.fft(np.array([1.0, 2.0]), ft.lax.FftType.RFFT, (2,))
    Array([ 3.+0.j, -1.+0.j])
    """

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__


_NUMPYS = {
    FftType.FFT: np.fft.fftn,
    FftType.IFFT: np.fft.ifftn,
    FftType.RFFT: np.fft.rfftn,
    FftType.IRFFT: np.fft.irfftn,
}
_OTHER_WAY = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _fft_abstract(x: ShapedArray, *, fft_type: FftType, fft_lengths: Ints, axes: Ints, norm: str) -> ShapedArray:
    if x.dtype not in ((np.float32, np.float64) if fft_type is FftType.RFFT else (np.complex64, np.complex128)):
        kind = "float32 or float64" if fft_type is FftType.RFFT else "complex64 or complex128"
        raise DTypeError(f"fft of type {fft_type!r} takes arrays of {kind}, got {x.dtype}")
    if len(axes) != len(fft_lengths) or not axes or not all(0 <= a < x.ndim for a in axes):
        raise ShapeError(f"fft: lengths {fft_lengths} along axes {axes} do not fit an array of shape {x.shape}")
    if min(fft_lengths) < 1:
        raise ShapeError(f"fft takes lengths of at least one, got {fft_lengths}")
    sizes, last = list(fft_lengths), fft_lengths[-1]
    half = [*fft_lengths[:-1], last // 2 + 1]
    found = [x.shape[a] for a in axes]
    if found != (half if fft_type is FftType.IRFFT else sizes):
        wanted = half if fft_type is FftType.IRFFT else sizes
        raise ShapeError(
            f"fft of type {fft_type!r} and lengths {fft_lengths} takes sizes {tuple(wanted)} along axes {axes}, "
            f"got shape {x.shape}"
        )
    shape = list(x.shape)
    for axis, n in zip(axes, half if fft_type is FftType.RFFT else sizes):
        shape[axis] = n
    single = x.dtype in (np.float32, np.complex64)
    if fft_type is FftType.IRFFT:
        return ShapedArray(tuple(shape), np.dtype(np.float32 if single else np.float64))
    return ShapedArray(tuple(shape), np.dtype(np.complex64 if single else np.complex128))


def _fft_native(x: ShapedArray, *, fft_type: FftType, fft_lengths: Ints, axes: Ints, norm: str) -> Any:
    function: Any = _NUMPYS[fft_type]
    return lambda x: function(x, fft_lengths, axes, norm)


def _fft_impl(x: Any, **params: Any) -> Any:
    _fft_abstract(aval_of(x), **params)  # NumPy would convert, cut and pad
    return wrap(_fft_native(aval_of(x), **params)(x))


def _fft_transpose(ct: Any, x: Any, *, fft_type: FftType, fft_lengths: Ints, axes: Ints, norm: str) -> list[Any]:
    params = {"fft_lengths": fft_lengths, "axes": axes}
    if fft_type in (FftType.FFT, FftType.IFFT):
        return [fft_p.bind(ct, fft_type=fft_type, norm=norm, **params)]
    norm = _OTHER_WAY[norm]
    if fft_type is FftType.RFFT:
        spectrum = ew.conj(ct) * _halves(aval_of(ct), axes[-1], fft_lengths[-1], 0.5)
        return [fft_p.bind(spectrum, fft_type=FftType.IRFFT, norm=norm, **params)]
    spectrum = ew.conj(fft_p.bind(ct, fft_type=FftType.RFFT, norm=norm, **params))
    return [spectrum * _halves(aval_of(spectrum), axes[-1], fft_lengths[-1], 2.0)]


def _halves(spectrum: ShapedArray, axis: int, length: int, weight: float) -> Any:
    """`weight` at the frequencies that stand for their mirror images too, one at those that are their own."""
    shape = [1] * spectrum.ndim
    shape[axis] = spectrum.shape[axis]
    k = broadcasted_iota(np.int64, tuple(shape), axis)
    alone = ew.bitwise_or(ew.eq(k, 0), ew.eq(k * 2, length))
    return convert_element_type(ew.where(alone, 1.0, weight), spectrum.dtype)


def _fft_batch(axis: Axis, args: list[Any], dims: list[int], *, axes: Ints, **params: Any) -> tuple[Any, int]:
    (x,), (d,) = args, dims
    return fft_p.bind(x, axes=tuple(a + (a >= d) for a in axes), **params), d


fft_p = Primitive("fft")
fft_p.impl = _fft_impl
fft_p.abstract_eval = _fft_abstract
linear_unary(fft_p)
fft_p.transpose = _fft_transpose
fft_p.batch = _fft_batch
fft_p.native = _fft_native


def fft(x: Any, fft_type: FftType | str, fft_lengths: Sequence[int]) -> Any:
    """The discrete Fourier transform along the last axes, as `jax.lax.fft`.

    Args:
        x: an array; integers become float64 first, and reals complex, but for RFFT.
        fft_type: an `FftType` or its name: `"FFT"`, its inverse `"IFFT"`, `"RFFT"` of real arrays, which gives
            frequencies `0 ... n // 2` along the last axis, and its inverse `"IRFFT"`.
        fft_lengths: the sizes of the last axes; for IRFFT those of the result.

    Raises:
        ShapeError: the lengths are not those of the axes.
        DTypeError: RFFT of a complex array.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.fft(np.array([1.0, 2.0, 3.0]), "RFFT", (3,))
    Array([ 6. +0.j       , -1.5+0.8660254j])
    """
    return transform(x, as_fft_type(fft_type), tuple(map(operator.index, fft_lengths)))


def as_fft_type(value: FftType | str) -> FftType:
    try:
        return FftType[value] if isinstance(value, str) else FftType(value)
    except (KeyError, ValueError):
        raise ArgumentError(f"fft_type is FFT, IFFT, RFFT or IRFFT, got {value!r}") from None


def transform(
    x: Any, fft_type: FftType, fft_lengths: Ints, axes: Ints | None = None, norm: str | None = "backward"
) -> Any:
    """`fft` along axes counted from the front, with one of NumPy's norms."""
    aval = aval_of(x)
    if norm is not None and norm not in _OTHER_WAY:
        raise ArgumentError(f'norm is "backward", "ortho" or "forward", got {norm!r}')
    if fft_type is FftType.RFFT and aval.dtype.kind == "c":
        raise DTypeError(f"the transform of real arrays (rfft, ihfft) takes no {aval.dtype}; use fft")
    dtype = np.result_type(aval.dtype, np.float32) if is_inexact(aval.dtype) else np.dtype(np.float64)
    if fft_type is not FftType.RFFT:
        dtype = np.result_type(dtype, np.complex64)
    if axes is None:
        axes = tuple(range(aval.ndim - len(fft_lengths), aval.ndim))
    return fft_p.bind(
        convert_element_type(x, dtype),
        fft_type=fft_type,
        fft_lengths=fft_lengths,
        axes=axes,
        norm=norm or "backward",
    )
