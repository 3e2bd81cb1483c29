"""Spectra: short-time Fourier transforms and what is made of them (P. Welch, "The use of fast Fourier transform for the
estimation of power spectra", IEEE Transactions on Audio and Electroacoustics 15, 1967).
"""

from __future__ import annotations

import operator
import warnings
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, real_dtype
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype, to_common_dtype
from functrans.lax.windows import slide, unslide_p
from functrans.numpy.dispatch import normalize_axis
from functrans.scipy.dispatch import implements, inexact
from functrans.scipy.signal.filters import detrend as _detrend, extended
from functrans.scipy.signal.windows import get_window


class _Segments(NamedTuple):
    """How a signal is cut: a window of `size` samples, segments `step` apart, transforms of `points`."""

    window: Any
    size: int
    step: int
    points: int


def _window(name: str, window: Any, nperseg: Any, n: int | None) -> tuple[Any, int]:
    """The window's values and their number, for a signal of `n` samples."""
    nperseg = None if nperseg is None else operator.index(nperseg)
    if nperseg is not None and nperseg < 1:
        raise ArgumentError(f"{name} takes segments of 1 or more samples, got nperseg={nperseg}")
    if isinstance(window, (str, tuple)):
        nperseg = 256 if nperseg is None else nperseg
        if n is not None and nperseg > n:
            warnings.warn(f"{name}: nperseg={nperseg} is more than the signal has; nperseg={n} is used", stacklevel=4)
            nperseg = n
        return get_window(window, nperseg), nperseg
    window = fnp.asarray(window)
    if aval_of(window).ndim != 1:
        raise ShapeError(f"{name} takes a window of one dimension, got shape {aval_of(window).shape}")
    size = aval_of(window).size
    if nperseg not in (None, size):
        raise ArgumentError(f"{name}: nperseg={nperseg} is not the length of the window, {size}")
    if n is not None and size > n:
        raise ArgumentError(f"{name}: a window of {size} samples is longer than the signal, {n}")
    return window, size


def _segments(name: str, window: Any, nperseg: Any, noverlap: Any, nfft: Any, n: int) -> _Segments:
    window, size = _window(name, window, nperseg, n)
    points = size if nfft is None else operator.index(nfft)
    overlap = size // 2 if noverlap is None else operator.index(noverlap)
    if points < size:
        raise ArgumentError(f"{name} takes nfft of nperseg={size} or more, got {points}")
    if overlap >= size:
        raise ArgumentError(f"{name} takes noverlap below nperseg={size}, got {overlap}")
    return _Segments(window, size, size - overlap, points)


def _transforms(x: Any, cut: _Segments, detrend: Any, axis: int, onesided: bool) -> Any:
    """Transforms of the segments of the last axis, `(..., segments, frequencies)`; `axis` is what `detrend` expects."""
    frames = slide(x, (aval_of(x).ndim - 1,), (cut.size,), (cut.step,), (1,))
    if callable(detrend):
        frames = fnp.moveaxis(detrend(fnp.moveaxis(frames, -1, axis)), axis, -1)
    elif detrend:
        frames = _detrend(frames, type=detrend)
    frames = frames * cut.window
    return (fnp.fft.rfft if onesided else fnp.fft.fft)(frames, cut.points)


def _frequencies(cut: _Segments, fs: Any, onesided: bool) -> Any:
    return (fnp.fft.rfftfreq if onesided else fnp.fft.fftfreq)(cut.points, 1 / fs)


def _scale(name: str, cut: _Segments, fs: Any, scaling: str) -> Any:
    if scaling == "density":
        return 1 / (fs * fnp.sum(cut.window * cut.window))
    if scaling == "spectrum":
        return 1 / fnp.sum(cut.window) ** 2
    raise ArgumentError(f"{name} takes scaling='density' or 'spectrum', got {scaling!r:.60}")


def _prepared(name: str, x: Any, cut: _Segments, boundary: Any, padded: bool) -> tuple[Any, _Segments]:
    """The signal extended at both ends and by zeros to whole segments, and the window in its precision."""
    if boundary is not None:
        x = extended(name, x, cut.size // 2, boundary)
    if padded:
        rest = (-(aval_of(x).shape[-1] - cut.size) % cut.step) % cut.size
        x = fnp.pad(x, [(0, 0)] * (aval_of(x).ndim - 1) + [(0, rest)])
    return x, cut


def _cast(window: Any, x: Any) -> Any:
    """The window in the precision of the signal."""
    dtype = real_dtype(aval_of(x).dtype)
    return window.astype(common_dtype(dtype, np.complex64) if aval_of(window).dtype.kind == "c" else dtype)


def _at(axis: int, x: Any) -> Any:
    """The last axis, of frequencies, where the signal's was; the axis of segments stays last."""
    return fnp.moveaxis(x, -1, axis - 1 if axis < 0 else axis)


def _stft(
    name: str, x: Any, fs: Any, cut: _Segments, detrend: Any, return_onesided: bool, boundary: Any, padded: bool,
    axis: int, scaling: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    x = fnp.moveaxis(x, axis, -1)
    cut = cut._replace(window=_cast(cut.window, x))
    x, cut = _prepared(name, x, cut, boundary, padded)
    onesided = return_onesided and aval_of(x).dtype.kind != "c"
    out = _transforms(x, cut, detrend, axis, onesided) * fnp.sqrt(_scale(name, cut, fs, scaling)).astype(
        real_dtype(aval_of(x).dtype)
    )
    times = np.arange(cut.size / 2, aval_of(x).shape[-1] - cut.size / 2 + 1, cut.step) / fs
    if boundary is not None:
        times = times - cut.size / 2 / fs
    return _frequencies(cut, fs, onesided), fnp.asarray(times), _at(axis, out)


@implements("scipy.signal")
def stft(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = 256, noverlap: Any = None, nfft: Any = None,
    detrend: Any = False, return_onesided: bool = True, boundary: Any = "zeros", padded: bool = True, axis: int = -1,
    scaling: str = "spectrum",
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The short-time Fourier transform, as `scipy.signal.stft`.

    Returns:
        `(frequencies, times, transforms)`: the transforms have the frequencies where the signal's axis was, and the
        times, those of the middles of the segments, as last axis.

    >>> import functrans as ft, numpy as np
    >>> x = np.sin(np.arange(32.0))
    >>> f, t, z = ft.jit(lambda x: ft.scipy.signal.stft(x, nperseg=8))(x)
    >>> f.shape, t.shape, z.shape
    ((5,), (9,), (5, 9))
    >>> np.allclose(ft.scipy.signal.istft(z, nperseg=8)[1], x)
    True
    """
    x = inexact(x)
    if scaling not in ("spectrum", "psd"):
        raise ArgumentError(f"stft takes scaling='spectrum' or 'psd', got {scaling!r:.60}")
    axis = operator.index(axis)
    n = aval_of(x).shape[normalize_axis(axis, aval_of(x).ndim)]
    cut = _segments("stft", window, nperseg, noverlap, nfft, n)
    scaling = "density" if scaling == "psd" else scaling
    return _stft("stft", x, fs, cut, detrend, return_onesided, boundary, padded, axis, scaling)


@implements("scipy.signal")
def spectrogram(
    x: Any, fs: Any = 1.0, window: Any = ("tukey", 0.25), nperseg: Any = None, noverlap: Any = None, nfft: Any = None,
    detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density", axis: int = -1,
    mode: str = "psd",
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Spectra of consecutive segments, as `scipy.signal.spectrogram`.

    Returns:
        `(frequencies, times, spectra)`, in the shapes of `stft`.

    >>> import functrans as ft, numpy as np
    >>> f, t, p = ft.scipy.signal.spectrogram(np.sin(np.arange(32.0)), nperseg=8, noverlap=4)
    >>> p.shape
    (5, 7)
    """
    name = "spectrogram"
    if mode not in ("psd", "complex", "magnitude", "angle", "phase"):
        raise ArgumentError(f"{name} takes mode='psd', 'complex', 'magnitude', 'angle' or 'phase', got {mode!r:.60}")
    x = inexact(x)
    axis = operator.index(axis)
    n = aval_of(x).shape[normalize_axis(axis, aval_of(x).ndim)]
    window, size = _window(name, window, nperseg, n)
    cut = _segments(name, window, size, size // 8 if noverlap is None else noverlap, nfft, n)
    f, t, z = _stft(name, x, fs, cut, detrend, return_onesided, None, False, axis, scaling)
    if mode == "psd":
        out = fnp.real(z * fnp.conj(z))
        if return_onesided and aval_of(x).dtype.kind != "c":
            out = _at(axis, fnp.moveaxis(out, axis - 1 if axis < 0 else axis, -1) * _doubled(cut, out))
        return f, t, out
    if mode == "magnitude":
        return f, t, fnp.abs(z)
    if mode == "complex":
        return f, t, z
    angle = fnp.angle(z)
    return f, t, angle if mode == "angle" else fnp.unwrap(angle, axis=axis - 1 if axis < 0 else axis)


def _doubled(cut: _Segments, like: Any) -> Any:
    """Factors that add to each frequency its negative one."""
    factors = np.full(cut.points // 2 + 1, 2, real_dtype(aval_of(like).dtype))
    factors[0] = 1
    if cut.points % 2 == 0:
        factors[-1] = 1
    return factors


def _cross(
    name: str, x: Any, y: Any, fs: Any, window: Any, nperseg: Any, noverlap: Any, nfft: Any, detrend: Any,
    return_onesided: bool, scaling: str, axis: int, average: str,
) -> tuple[Any, Any]:  # fmt: skip
    same = y is x
    x = inexact(x)
    y = x if same else inexact(y)
    x, y = (x, x) if same else to_common_dtype(name, [x, y])
    axis = operator.index(axis)
    x, y = (fnp.moveaxis(v, normalize_axis(axis, aval_of(v).ndim), -1) for v in (x, y))
    lengths = [aval_of(v).shape[-1] for v in (x, y)]
    n = max(lengths)
    if not n:
        raise ShapeError(f"{name} takes a signal with samples, got none along axis {axis}")
    x, y = (
        fnp.pad(v, [(0, 0)] * (aval_of(v).ndim - 1) + [(0, n - k)]) if k < n else v for v, k in zip((x, y), lengths)
    )
    cut = _segments(name, window, nperseg, noverlap, nfft, n)
    cut = cut._replace(window=_cast(cut.window, x))
    onesided = return_onesided and aval_of(x).dtype.kind != "c"
    first = _transforms(x, cut, detrend, axis, onesided)
    second = first if same else _transforms(y, cut, detrend, axis, onesided)
    product = fnp.conj(first) * second
    product = fnp.real(product) if same else product
    product = product * _scale(name, cut, fs, scaling).astype(real_dtype(aval_of(x).dtype))
    if onesided:
        product = product * _doubled(cut, x)
    if average == "mean":
        out = fnp.mean(product, axis=-2)
    elif average == "median":
        out = _median(product)
    else:
        raise ArgumentError(f"{name} takes average='mean' or 'median', got {average!r:.60}")
    return _frequencies(cut, fs, onesided), fnp.moveaxis(out, -1, axis)


def _median(x: Any) -> Any:
    """The median over segments, without its bias (B. Allen et al., "FINDCHIRP", arXiv:gr-qc/0509116, appendix B)."""
    if aval_of(x).dtype.kind == "c":
        return _median(fnp.real(x)) + _median(fnp.imag(x)) * aval_of(x).dtype.type(1j)
    terms = 2 * np.arange(1.0, (aval_of(x).shape[-2] - 1) // 2 + 1)
    return fnp.median(x, axis=-2) / float(1 + np.sum(1 / (terms + 1) - 1 / terms))


@implements("scipy.signal")
def csd(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None, nfft: Any = None,
    detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density", axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:  # fmt: skip
    """The cross spectral density of two signals by Welch's method, as `scipy.signal.csd`.

    Returns:
        `(frequencies, densities)`, the densities with the frequencies where the signal's axis was.

    >>> import functrans as ft, numpy as np
    >>> x = np.sin(np.arange(32.0))
    >>> f, p = ft.scipy.signal.csd(x, 2 * x, nperseg=8)
    >>> np.allclose(p, 2 * ft.scipy.signal.welch(x, nperseg=8)[1])
    True
    """
    return _cross(
        "csd", x, x if y is None else y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis,
        average,
    )  # fmt: skip


@implements("scipy.signal")
def welch(
    x: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None, nfft: Any = None,
    detrend: Any = "constant", return_onesided: bool = True, scaling: str = "density", axis: int = -1,
    average: str = "mean",
) -> tuple[Any, Any]:  # fmt: skip
    """The power spectral density by Welch's method, as `scipy.signal.welch`.

    >>> import functrans as ft, numpy as np
    >>> x = np.sin(2 * np.pi * np.arange(64) / 8)
    >>> f, p = ft.jit(lambda x: ft.scipy.signal.welch(x, nperseg=16))(x)
    >>> f[np.argmax(p)]
    Array(0.125)
    """
    return _cross("welch", x, x, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling, axis, average)


@implements("scipy.signal")
def periodogram(
    x: Any, fs: Any = 1.0, window: Any = "boxcar", nfft: Any = None, detrend: Any = "constant",
    return_onesided: bool = True, scaling: str = "density", axis: int = -1,
) -> tuple[Any, Any]:  # fmt: skip
    """The power spectral density by one transform of the whole, as `scipy.signal.periodogram`.

    >>> import functrans as ft, numpy as np
    >>> f, p = ft.scipy.signal.periodogram(np.sin(2 * np.pi * np.arange(8) / 4))
    >>> f[np.argmax(p)]
    Array(0.25)
    """
    x = inexact(x)
    n = aval_of(x).shape[normalize_axis(operator.index(axis), aval_of(x).ndim)]
    if nfft is not None and nfft < n:
        x = fnp.moveaxis(fnp.moveaxis(x, axis, -1)[..., :nfft], -1, axis)
        n, nfft = nfft, None
    return _cross(
        "periodogram", x, x, fs, "boxcar" if window is None else window, n, 0, nfft, detrend, return_onesided, scaling,
        axis, "mean",
    )  # fmt: skip


@implements("scipy.signal")
def coherence(
    x: Any, y: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None, nfft: Any = None,
    detrend: Any = "constant", axis: int = -1,
) -> tuple[Any, Any]:  # fmt: skip
    """The magnitude squared coherence of two signals, as `scipy.signal.coherence`.

    >>> import functrans as ft, numpy as np
    >>> x = np.sin(np.arange(32.0))
    >>> f, c = ft.scipy.signal.coherence(x, 2 * x, nperseg=8)
    >>> np.allclose(c, 1)
    True
    """
    options = (fs, window, nperseg, noverlap, nfft, detrend, True, "density", axis, "mean")
    f, xx = _cross("coherence", x, x, *options)
    _, yy = _cross("coherence", y, y, *options)
    _, xy = _cross("coherence", x, y, *options)
    return f, fnp.real(xy * fnp.conj(xy)) / xx / yy


@implements("scipy.signal")
def istft(
    Zxx: Any, fs: Any = 1.0, window: Any = "hann", nperseg: Any = None, noverlap: Any = None, nfft: Any = None,
    input_onesided: bool = True, boundary: bool = True, time_axis: int = -1, freq_axis: int = -2,
    scaling: str = "spectrum",
) -> tuple[Any, Any]:  # fmt: skip
    """The inverse of `stft`, as `scipy.signal.istft`.

    Returns:
        `(times, signal)`.

    >>> import functrans as ft, numpy as np
    >>> x = np.sin(np.arange(32.0))
    >>> f, t, z = ft.scipy.signal.stft(x, nperseg=8)
    >>> np.allclose(ft.scipy.signal.istft(z, nperseg=8)[1], x)
    True
    """
    name = "istft"
    z = fnp.asarray(Zxx)
    dtype = common_dtype(aval_of(z).dtype, np.complex64)
    z = z.astype(dtype)
    ndim = aval_of(z).ndim
    if ndim < 2:
        raise ShapeError(f"{name} takes an array of two dimensions or more, got shape {aval_of(z).shape}")
    time, freq = normalize_axis(time_axis, ndim), normalize_axis(freq_axis, ndim)
    if time == freq:
        raise ArgumentError(f"{name} takes two axes, got time_axis={time_axis} and freq_axis={freq_axis}")
    z = fnp.moveaxis(z, (time, freq), (-2, -1))
    count, bins = aval_of(z).shape[-2:]
    default = 2 * (bins - 1) if input_onesided else bins
    if nperseg is None:
        nperseg = aval_of(window).size if not isinstance(window, (str, tuple)) and nfft is not None else default
    if nfft is None:
        nfft = nperseg if input_onesided and nperseg == default + 1 else default
    cut = _segments(name, window, nperseg, noverlap, nfft, nperseg)
    frames = (fnp.fft.irfft if input_onesided else fnp.fft.ifft)(z, cut.points)[..., : cut.size]
    window = _cast(cut.window, frames)
    if scaling == "spectrum":
        frames = frames * fnp.sum(window)
    elif scaling == "psd":
        frames = frames * fnp.sqrt(fs * fnp.sum(window * window)).astype(real_dtype(aval_of(frames).dtype))
    else:
        raise ArgumentError(f"{name} takes scaling='spectrum' or 'psd', got {scaling!r:.60}")
    length = cut.size + (count - 1) * cut.step
    total = _overlapped(frames * window, length, cut)
    norm = _overlapped(fnp.broadcast_to(window * window, (count, cut.size)), length, cut)
    if boundary:
        half = cut.size // 2
        total, norm = total[..., half : length - half], norm[half : length - half]
    covered = norm > 1e-10
    if not isinstance(norm, Tracer) and not np.all(covered):
        warnings.warn("istft: the segments do not cover the signal (NOLA condition), which may be lost", stacklevel=2)
    out = total / fnp.where(covered, norm, 1)
    if ndim > 1:
        out = fnp.moveaxis(out, -1, time - (freq < time))
    return fnp.asarray(np.arange(aval_of(out).shape[0]) / fs), out


def _overlapped(frames: Any, length: int, cut: _Segments) -> Any:
    """The sum of segments, each at its place."""
    shape = aval_of(frames).shape
    parts = -(-cut.size // cut.step)
    if parts > 16:
        spread = unslide_p.bind(frames, axes=(len(shape) - 2,), sizes=(length,), strides=(cut.step,), dilation=(1,))
        return fnp.sum(spread, axis=-1)
    # in parts as long as a step, whose segments do not overlap
    front = [(0, 0)] * (len(shape) - 2)
    frames = fnp.pad(frames, [*front, (0, 0), (0, parts * cut.step - cut.size)])
    whole: Any = 0
    for j in range(parts):
        rows = frames[..., j * cut.step : (j + 1) * cut.step]
        row = fnp.reshape(rows, (*shape[:-2], shape[-2] * cut.step))
        whole = whole + fnp.pad(row, [*front, (j * cut.step, (parts - 1 - j) * cut.step)])
    return whole[..., :length]
