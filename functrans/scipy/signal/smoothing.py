"""Medians, Wiener's filter, division and fewer samples, as in `scipy.signal`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.scipy.dispatch import implements, inexact
from functrans.scipy.ndimage import median_filter
from functrans.scipy.signal import design
from functrans.scipy.signal.convolution import convolve, correlate, resample_poly, upfirdn
from functrans.scipy.signal.filters import lfilter, sosfilt, sosfiltfilt

_implements = implements("scipy.signal")


def _sizes(name: str, size: Any, ndim: int) -> tuple[int, ...]:
    """An odd size for each axis."""
    size = 3 if size is None else size
    sizes = tuple(map(operator.index, size)) if np.ndim(size) else (operator.index(size),) * ndim
    if len(sizes) != ndim:
        raise ShapeError(f"{name} takes a size for each of {ndim} axes, got {sizes}")
    if name != "wiener" and any(n % 2 == 0 for n in sizes):
        raise ArgumentError(f"{name} takes odd sizes, got {sizes}")
    return sizes


@_implements
def medfilt(volume: Any, kernel_size: Any = None) -> Any:
    """Medians of boxes of odd sizes, with zeros around the array, as `scipy.signal.medfilt`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.medfilt(np.array([1.0, 9.0, 2.0, 3.0]))
    Array([1., 2., 3., 2.])
    """
    volume = fnp.asarray(volume)
    return median_filter(volume, _sizes("medfilt", kernel_size, aval_of(volume).ndim), mode="constant")


@_implements
def medfilt2d(input: Any, kernel_size: Any = 3) -> Any:
    """`medfilt` of an image, as `scipy.signal.medfilt2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.medfilt2d(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[0., 0.],
           [0., 0.]])
    """
    input = fnp.asarray(input)
    if aval_of(input).ndim != 2:
        raise ShapeError(f"medfilt2d takes an array of two axes, got shape {aval_of(input).shape}")
    return median_filter(input, _sizes("medfilt2d", kernel_size, 2), mode="constant")


@_implements
def wiener(im: Any, mysize: Any = None, noise: Any = None) -> Any:
    """Wiener's filter: towards the mean of a box where its variance is that of the noise, as `scipy.signal.wiener`.

    Args:
        im: an array.
        mysize: the sizes of the box, 3 for each axis by default.
        noise: the variance of the noise; by default the mean of the variances of all boxes.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.wiener(np.array([1.0, 1.0, 4.0, 1.0, 1.0]), 3, 1.0)
    Array([0.66666667, 1.5       , 3.        , 1.5       , 0.66666667])
    """
    im = inexact(im)
    sizes = _sizes("wiener", mysize, aval_of(im).ndim)
    box = np.ones(sizes, aval_of(im).dtype)
    mean = correlate(im, box, "same") / box.size
    variance = correlate(im**2, box, "same") / box.size - mean**2
    noise = fnp.mean(variance) if noise is None else noise
    flat = variance < noise
    return fnp.where(flat, mean, mean + (im - mean) * (1 - noise / fnp.where(flat, 1.0, variance)))


@_implements
def deconvolve(signal: Any, divisor: Any) -> tuple[Any, Any]:
    """The quotient and rest of polynomials, so that `signal = convolve(divisor, quotient) + rest`.

    As `scipy.signal.deconvolve`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.deconvolve(np.array([0.0, 1.0, 3.0, 2.0]), np.array([1.0, 1.0]))[0]
    Array([0., 1., 2.])
    """
    signal, divisor = inexact(signal), inexact(divisor)
    if aval_of(signal).ndim != 1 or aval_of(divisor).ndim != 1:
        raise ShapeError(f"deconvolve takes vectors, got {aval_of(signal).shape} and {aval_of(divisor).shape}")
    n, d = aval_of(signal).shape[0], aval_of(divisor).shape[0]
    if d > n:
        return fnp.zeros(0), signal
    impulse = np.zeros(n - d + 1)
    impulse[0] = 1
    quotient = lfilter(signal, divisor, impulse)
    return quotient, signal - convolve(divisor, quotient, mode="full")


@_implements
def decimate(x: Any, q: int, n: int | None = None, ftype: Any = "iir", axis: int = -1, zero_phase: bool = True) -> Any:
    """Every `q`-th sample, after a filter against aliasing, as `scipy.signal.decimate`.

    Args:
        x: a signal.
        q: how many samples become one.
        n: the order of the filter, 8 by default, or 20 q of a finite one.
        ftype: `"iir"`, a Chebyshev filter of type I, or `"fir"`, a finite filter by a Hamming window.
        axis: that of time.
        zero_phase: whether the filter runs forth and back (or a finite one is centred), so that nothing is delayed.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.decimate(np.ones(40), 4).shape
    (10,)
    """
    if ftype not in ("iir", "fir"):
        raise ArgumentError(f"decimate of traced arrays takes ftype='iir' or 'fir', got {ftype!r}")
    q = operator.index(q)
    x = fnp.moveaxis(inexact(x), axis, -1)
    if ftype == "fir":
        order = 20 * q if n is None else operator.index(n)
        b = design.firwin(order + 1, 1.0 / q, window="hamming")
        if zero_phase:
            out = resample_poly(x, 1, q, axis=-1, window=np.asarray(b))
        else:
            out = upfirdn(b, x, up=1, down=q)[..., : -(-aval_of(x).shape[-1] // q)]
    else:
        sos = design.cheby1(8 if n is None else operator.index(n), 0.05, 0.8 / q, output="sos")
        out = (sosfiltfilt(sos, x) if zero_phase else sosfilt(sos, x))[..., ::q]
    return fnp.moveaxis(out, -1, axis)
