"""Linear filters: recursive ones as compiled loops over time, smoothing, resampling, trends, the analytic signal."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, real_dtype
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import common_dtype, to_common_dtype
from functrans.numpy.dispatch import normalize_axis, on_cpu
from functrans.scipy.dispatch import implements, inexact
from functrans.scipy.signal.windows import get_window

# ---------------------------------------------------------------- recursive filters


def _common(name: str, *arrays: Any) -> list[Any]:
    """Arrays in one dtype, that of a filter's result."""
    return [as_inexact(a) for a in to_common_dtype(name, [fnp.asarray(a) for a in arrays])]


def _coefficients(name: str, b: Any, a: Any) -> tuple[Any, Any]:
    """Numerator and denominator of one length, divided by `a[0]`."""
    for what, v in (("b", b), ("a", a)):
        if aval_of(v).ndim != 1 or not aval_of(v).size:
            raise ShapeError(f"{name} takes {what} of one dimension with elements, got shape {aval_of(v).shape}")
    if not isinstance(a, Tracer) and a[0] == 0:
        raise ArgumentError(f"{name} takes coefficients with a[0] other than 0")
    n = max(aval_of(a).size, aval_of(b).size)
    b, a = (fnp.pad(v, (0, n - aval_of(v).size)) for v in (b, a))
    return b / a[0], a / a[0]


def _samples(name: str, x: Any, axis: int) -> tuple[Any, int]:
    if not aval_of(x).ndim:
        raise ShapeError(f"{name} takes a signal of one dimension or more, got a scalar")
    return fnp.moveaxis(x, axis, 0), normalize_axis(axis, aval_of(x).ndim)


@implements("scipy.signal")
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter a signal by `a[0] y[n] + a[1] y[n-1] + ... = b[0] x[n] + b[1] x[n-1] + ...`, as `scipy.signal.lfilter`.

    The transposed direct form II, as one loop over time (A. Oppenheim and R. Schafer, "Discrete-time signal
    processing", section 6.3). Signal, coefficients and state can be differentiated.

    Args:
        b, a: coefficients, one-dimensional; `a[0]` is not 0.
        x: the signal.
        axis: its axis of time.
        zi: the state before the first sample, with `max(len(a), len(b)) - 1` elements along the axis.

    Returns:
        The filtered signal; with `zi` a pair of it and the state after the last sample.

    Raises:
        ArgumentError: `a[0]` is 0. ShapeError: `b` or `a` is not one-dimensional, or `zi` does not fit.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.signal.lfilter([1.0], [1.0, -0.5], x))(np.array([1.0, 0.0, 0.0, 0.0]))
    Array([1.   , 0.5  , 0.25 , 0.125])
    """
    name = "lfilter"
    b, a, x, *state = _common(name, b, a, x, *([] if zi is None else [zi]))
    recursive = aval_of(a).size > 1
    b, a = _coefficients(name, b, a)
    x, axis = _samples(name, x, axis)
    order, rest = aval_of(b).size - 1, aval_of(x).shape[1:]
    if zi is None:
        z = fnp.zeros((order, *rest), aval_of(x).dtype)
    else:
        (z,) = state
        given = aval_of(z).shape
        shape = list(aval_of(fnp.moveaxis(x, 0, axis)).shape)
        shape[axis] = order
        if len(given) != len(shape) or any(m not in (1, n) or (i == axis and m != n) for i, (m, n) in enumerate(
            zip(given, shape)
        )):  # fmt: skip
            raise ShapeError(f"{name} takes zi of shape {tuple(shape)}, got {given}")
        z = fnp.moveaxis(fnp.broadcast_to(z, tuple(shape)), axis, 0)
    if not order:
        out = b[0] * x
    elif not recursive and zi is None:
        # a convolution with the past
        rows = fnp.reshape(fnp.moveaxis(x, 0, -1), (int(np.prod(rest)), 1, aval_of(x).shape[0]))
        found = lax.conv_general_dilated(rows, fnp.flip(b)[None, None], (1,), [(order, 0)])
        out = fnp.moveaxis(fnp.reshape(found, (*rest, aval_of(x).shape[0])), -1, 0)
    else:
        column = lambda v: fnp.reshape(v[1:], (order, *[1] * len(rest)))
        ahead, behind, first = column(b), column(a), b[0]

        def step(z: Any, u: Any) -> Any:
            y = first * u + z[0]
            shifted = fnp.concatenate([z[1:], fnp.zeros_like(z[:1])])
            return shifted + ahead * u - behind * y, y

        z, out = lax.scan(step, z, x)
    out = fnp.moveaxis(out, 0, axis)
    return out if zi is None else (out, fnp.moveaxis(z, 0, axis))


@implements("scipy.signal")
def lfilter_zi(b: Any, a: Any) -> Any:
    """The state of `lfilter` in which a constant signal 1 gives a constant, as `scipy.signal.lfilter_zi`.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda a: ft.scipy.signal.lfilter_zi(np.array([1.0]), a))(np.array([1.0, -0.5]))
    Array([1.])
    """
    b, a = _coefficients("lfilter_zi", *_common("lfilter_zi", b, a))
    change = b[1:] - a[1:] * b[0]
    first = fnp.sum(change) / fnp.sum(a)
    return fnp.cumsum(a)[:-1] * first - (fnp.cumsum(change) - change)


def _sections(name: str, sos: Any) -> int:
    shape = aval_of(sos).shape
    if len(shape) != 2 or shape[1] != 6:
        raise ShapeError(f"{name} takes sections of shape (n, 6), got {shape}")
    if not isinstance(sos, Tracer) and not np.all(sos[:, 3] == 1):
        raise ArgumentError(f"{name} takes sections with 1 as fourth coefficient (a0)")
    return shape[0]


@implements("scipy.signal")
def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter a signal by a cascade of second-order sections, as `scipy.signal.sosfilt`; one loop over time.

    Args:
        sos: sections `[b0, b1, b2, 1, a1, a2]`, of shape `(n, 6)`.
        x: the signal.
        axis: its axis of time.
        zi: the state before the first sample, of shape `(n, ..., 2, ...)`: two elements along the axis.

    Returns:
        The filtered signal; with `zi` a pair of it and the state after the last sample.

    >>> import functrans as ft, numpy as np
    >>> sos = np.array([[1.0, 0.0, 0.0, 1.0, -0.5, 0.0]])
    >>> ft.jit(ft.scipy.signal.sosfilt)(sos, np.array([1.0, 0.0, 0.0]))
    Array([1.  , 0.5 , 0.25])
    """
    name = "sosfilt"
    sos, x, *state = _common(name, sos, x, *([] if zi is None else [zi]))
    count = _sections(name, sos)
    x, axis = _samples(name, x, axis)
    rest = aval_of(x).shape[1:]
    if zi is None:
        z = fnp.zeros((count, 2, *rest), aval_of(x).dtype)
    else:
        (z,) = state
        shape = (count, *rest[:axis], 2, *rest[axis:])
        if aval_of(z).shape != shape:
            raise ShapeError(f"{name} takes zi of shape {shape}, got {aval_of(z).shape}")
        z = fnp.moveaxis(z, axis + 1, 1)

    def step(z: Any, u: Any) -> Any:
        new = []
        for i in range(count):
            b0, b1, b2, _, a1, a2 = (sos[i, j] for j in range(6))
            y = b0 * u + z[i, 0]
            new.append(fnp.stack([b1 * u - a1 * y + z[i, 1], b2 * u - a2 * y]))
            u = y
        return fnp.stack(new), u

    z, out = lax.scan(step, z, x)
    out = fnp.moveaxis(out, 0, axis)
    return out if zi is None else (out, fnp.moveaxis(z, 1, axis + 1))


@implements("scipy.signal")
def sosfilt_zi(sos: Any) -> Any:
    """The state of `sosfilt` in which a constant signal 1 gives a constant, as `scipy.signal.sosfilt_zi`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.sosfilt_zi(np.array([[0.5, 0.5, 0.0, 1.0, 0.0, 0.0]]))
    Array([[0.5, 0. ]])
    """
    (sos,) = _common("sosfilt_zi", sos)
    scale: Any = 1
    out = []
    for i in range(_sections("sosfilt_zi", sos)):
        b, a = sos[i, :3], sos[i, 3:]
        out.append(scale * lfilter_zi(b, a))
        scale = scale * fnp.sum(b) / fnp.sum(a)
    return fnp.stack(out)


def extended(name: str, x: Any, n: int, kind: str) -> Any:
    """The signal of the last axis with `n` more samples at both ends, made by one of SciPy's rules."""
    if kind not in ("odd", "even", "constant", "zeros"):
        raise ArgumentError(f"{name} extends a signal by 'odd', 'even', 'constant' or 'zeros', got {kind!r:.60}")
    if n < 1:
        return x
    size = aval_of(x).shape[-1]
    if kind in ("odd", "even") and n > size - 1:
        raise ArgumentError(f"{name}: {n} samples at each end are more than a signal of {size} can be mirrored into")
    if kind == "zeros":
        left = right = fnp.zeros_like(fnp.broadcast_to(x[..., :1], (*aval_of(x).shape[:-1], n)))
    elif kind == "constant":
        left, right = (fnp.broadcast_to(v, (*aval_of(x).shape[:-1], n)) for v in (x[..., :1], x[..., -1:]))
    else:
        left, right = fnp.flip(x[..., 1 : n + 1], -1), fnp.flip(x[..., size - n - 1 : size - 1], -1)
        if kind == "odd":
            left, right = 2 * x[..., :1] - left, 2 * x[..., -1:] - right
    return fnp.concatenate([left, x, right], axis=-1)


def _twice(name: str, run: Any, x: Any, axis: int, padtype: Any, padlen: Any, taps: int) -> Any:
    """Forward and backward, on the signal extended at both ends."""
    x = fnp.moveaxis(x, axis, -1)
    edge = (3 * taps if padlen is None else operator.index(padlen)) if padtype is not None else 0
    if edge < 0 or aval_of(x).shape[-1] <= edge:
        raise ArgumentError(
            f"{name} takes signals longer than padlen={edge} samples, got {aval_of(x).shape[-1]}; give another padlen"
        )
    if padtype not in ("odd", "even", "constant", None):
        raise ArgumentError(f"{name} takes padtype='odd', 'even', 'constant' or None, got {padtype!r:.60}")
    y = extended(name, x, edge, padtype) if edge else x
    for _ in range(2):
        y = fnp.flip(run(y), -1)
    return fnp.moveaxis(y[..., edge : aval_of(y).shape[-1] - edge], -1, axis)


@implements("scipy.signal")
def filtfilt(
    b: Any, a: Any, x: Any, axis: int = -1, padtype: Any = "odd", padlen: Any = None, method: str = "pad",
    irlen: Any = None,
) -> Any:  # fmt: skip
    """`lfilter` forward and backward, which shifts no phase, as `scipy.signal.filtfilt`; traced with `method="pad"`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.filtfilt([0.5, 0.5], [1.0], np.array([0.0, 4.0, 0.0, 4.0, 0.0, 4.0, 0.0]))
    Array([0., 2., 2., 2., 2., 2., 0.])
    """
    if method != "pad":
        raise ArgumentError(f"filtfilt of a traced array takes method='pad', got {method!r:.60}")
    b, a, x = _common("filtfilt", fnp.atleast_1d(b), fnp.atleast_1d(a), x)
    state = lfilter_zi(b, a)

    def run(y: Any) -> Any:
        return lfilter(b, a, y, zi=state * y[..., :1])[0]

    return _twice("filtfilt", run, x, axis, padtype, padlen, max(aval_of(a).size, aval_of(b).size))


@implements("scipy.signal")
def sosfiltfilt(sos: Any, x: Any, axis: int = -1, padtype: Any = "odd", padlen: Any = None) -> Any:
    """`sosfilt` forward and backward, which shifts no phase, as `scipy.signal.sosfiltfilt`.

    Traced sections need `padlen`, whose default depends on which of their coefficients are zero.

    >>> import functrans as ft, numpy as np
    >>> sos = np.array([[0.5, 0.5, 0.0, 1.0, 0.0, 0.0]])
    >>> np.round(ft.scipy.signal.sosfiltfilt(sos, np.ones(12)), 6)[:3]
    Array([1., 1., 1.])
    """
    name = "sosfiltfilt"
    sos, x = _common(name, sos, x)
    taps = 2 * _sections(name, sos) + 1
    if isinstance(sos, Tracer):
        if padlen is None and padtype is not None:
            raise ArgumentError("sosfiltfilt of traced sections takes padlen: its default depends on their values")
    else:
        taps -= min(np.sum(sos[:, 2] == 0), np.sum(sos[:, 5] == 0))
    state = sosfilt_zi(sos)

    def run(y: Any) -> Any:
        spread = fnp.reshape(state, (aval_of(state).shape[0], *[1] * (aval_of(y).ndim - 1), 2))
        return sosfilt(sos, y, zi=spread * y[..., :1])[0]

    return _twice(name, run, x, axis, padtype, padlen, int(taps))


# ---------------------------------------------------------------- trends, smoothing


@implements("scipy.signal")
def detrend(data: Any, axis: int = -1, type: str = "linear", bp: Any = 0, overwrite_data: bool = False) -> Any:
    """The signal less its linear or constant trend, fitted by least squares, as `scipy.signal.detrend`.

    Args:
        data: the signal.
        axis: its axis of time.
        type: `"linear"`, or `"constant"` for the mean alone.
        bp: where linear pieces meet: an index or a sequence of them.
        overwrite_data: of no effect.

    >>> import functrans as ft, numpy as np
    >>> np.allclose(ft.jit(ft.scipy.signal.detrend)(3.0 + 2.0 * np.arange(5.0)), 0)
    True
    """
    x = inexact(data)
    axis = normalize_axis(axis, aval_of(x).ndim)
    if type in ("constant", "c"):
        return x - fnp.mean(x, axis=axis, keepdims=True)
    if type not in ("linear", "l"):
        raise ArgumentError(f"detrend takes type='linear' or 'constant', got {type!r:.60}")
    if isinstance(bp, Tracer):
        raise ArgumentError("detrend takes plain whole numbers as break points")
    x = fnp.moveaxis(x, axis, -1)
    n = aval_of(x).shape[-1]
    points = sorted({0, n, *np.atleast_1d(bp).tolist()})
    if points[0] < 0 or points[-1] > n:
        raise ArgumentError(f"detrend takes break points within the {n} samples, got {bp}")
    pieces = []
    for start, stop in zip(points, points[1:]):
        piece = x[..., start:stop]
        line = np.stack([np.ones(stop - start), np.arange(stop - start) - (stop - start - 1) / 2], axis=-1)
        line = line[:, : min(2, stop - start)] / np.linalg.norm(line[:, : min(2, stop - start)], axis=0)
        line = line.astype(aval_of(x).dtype)
        pieces.append(piece - fnp.matmul(fnp.matmul(piece, line), line.T))
    return fnp.moveaxis(fnp.concatenate(pieces, axis=-1) if pieces else x, -1, axis)


def savgol_coeffs(
    window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, pos: int | None = None, use: str = "conv",
    *, xp: Any = None, device: Any = None,
) -> Any:  # fmt: skip
    """The weights of a Savitzky-Golay filter, as `scipy.signal.savgol_coeffs`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.savgol_coeffs(3, 1)
    Array([0.33333333, 0.33333333, 0.33333333])
    """
    from scipy import signal

    on_cpu(device)
    try:
        return fnp.asarray(signal.savgol_coeffs(window_length, polyorder, deriv, delta, pos, use))  # type: ignore[call-overload]
    except ValueError as error:
        raise ArgumentError(f"savgol_coeffs: {error}") from None


@implements("scipy.signal")
def savgol_filter(
    x: Any, window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, axis: int = -1,
    mode: str = "interp", cval: Any = 0.0,
) -> Any:  # fmt: skip
    """Smooth a signal by polynomials fitted to windows, as `scipy.signal.savgol_filter`.

    >>> import functrans as ft, numpy as np
    >>> x = np.arange(7.0) ** 2
    >>> np.allclose(ft.jit(lambda x: ft.scipy.signal.savgol_filter(x, 5, 2))(x), x)
    True
    """
    from functrans.scipy.ndimage import convolve1d

    if mode not in ("mirror", "constant", "nearest", "wrap", "interp"):
        raise ArgumentError(
            f"savgol_filter takes mode='mirror', 'constant', 'nearest', 'wrap' or 'interp', got {mode!r:.60}"
        )
    x = fnp.asarray(x)
    x = x if aval_of(x).dtype in (np.float32, np.float64) else x.astype(np.float64)
    weights = np.asarray(savgol_coeffs(window_length, polyorder, deriv, delta))
    if mode != "interp":
        return convolve1d(x, weights, axis=axis, mode=mode, cval=cval)
    x = fnp.moveaxis(x, axis, -1)
    n = aval_of(x).shape[-1]
    if window_length > n:
        raise ArgumentError(f"savgol_filter with mode='interp' takes window_length up to the {n} samples there are")
    half = window_length // 2
    inner = convolve1d(x, weights, mode="constant")[..., half : n - half]
    # at the ends the values of the polynomials of the first and last windows
    t = np.arange(window_length) - (window_length - 1) / 2
    fit = np.linalg.pinv(np.vander(t, polyorder + 1))
    derivative = [np.polyder(c, deriv) if deriv <= polyorder else np.zeros(1) for c in fit.T]
    values = np.stack([np.polyval(c, t) for c in derivative], axis=-1) / delta**deriv
    values = values.astype(aval_of(x).dtype)
    first = fnp.matmul(x[..., :window_length], values[:half].T)
    last = fnp.matmul(x[..., n - window_length :], values[window_length - half :].T)
    return fnp.moveaxis(fnp.concatenate([first, inner, last], axis=-1), -1, axis)


# ---------------------------------------------------------------- by Fourier transforms


@implements("scipy.signal")
def hilbert(x: Any, N: int | None = None, axis: int = -1) -> Any:
    """The analytic signal, whose imaginary part is the Hilbert transform, as `scipy.signal.hilbert`.

    >>> import functrans as ft, numpy as np
    >>> t = 2 * np.pi * np.arange(8) / 8
    >>> np.allclose(ft.jit(ft.scipy.signal.hilbert)(np.cos(t)), np.exp(1j * t))
    True
    """
    x = inexact(x)
    if aval_of(x).dtype.kind == "c":
        raise DTypeError(f"hilbert takes a real signal, got {aval_of(x).dtype}")
    x = fnp.moveaxis(x, axis, -1)
    n = aval_of(x).shape[-1] if N is None else operator.index(N)
    if n < 1:
        raise ArgumentError(f"hilbert takes N of 1 or more, got {n}")
    factors = np.zeros(n, aval_of(x).dtype)
    factors[0] = 1
    factors[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        factors[n // 2] = 1
    return fnp.moveaxis(fnp.fft.ifft(fnp.fft.fft(x, n) * factors), -1, axis)


@implements("scipy.signal")
def resample(x: Any, num: int, t: Any = None, axis: int = 0, window: Any = None, domain: str = "time") -> Any:
    """The signal at `num` samples in place of those it has, by its Fourier transform, as `scipy.signal.resample`.

    Args:
        x: the signal; with `domain="freq"` its transform.
        num: how many samples to make.
        t: the times of the samples; then the times of the new ones are returned too.
        axis: the axis of time.
        window: weights of the frequencies: a name, a function of frequencies, or an array.
        domain: `"time"` or `"freq"`.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.signal.resample(x, 4))(np.array([0.0, 1.0]))
    Array([0. , 0.5, 1. , 0.5])
    """
    if domain not in ("time", "freq"):
        raise ArgumentError(f"resample takes domain='time' or 'freq', got {domain!r:.60}")
    x = fnp.moveaxis(inexact(x), axis, -1)
    n, num = aval_of(x).shape[-1], operator.index(num)
    if num < 1:
        raise ArgumentError(f"resample takes num of 1 or more, got {num}")
    real = domain == "time" and aval_of(x).dtype.kind != "c"
    z = fnp.fft.fft(x) if domain == "time" else x.astype(common_dtype(aval_of(x).dtype, np.complex64))
    if window is not None:
        z = z * _frequency_window(window, n).astype(real_dtype(aval_of(z).dtype))
    m = min(n, num)
    low, high = z[..., : m // 2 + 1], z[..., n - (m - 1) // 2 :] if m > 2 else z[..., :0]
    if m % 2 == 0 and n != num:  # the frequency that is its own negative in the shorter of both
        middle = low[..., m // 2 :]
        if num < n:
            middle = middle + z[..., n - m // 2 : n - m // 2 + 1]
        else:
            middle = middle / 2
            high = fnp.concatenate([middle, high], axis=-1)
        low = fnp.concatenate([low[..., : m // 2], middle], axis=-1)
    gap = num - aval_of(low).shape[-1] - aval_of(high).shape[-1]
    filler = fnp.zeros((*aval_of(low).shape[:-1], gap), aval_of(low).dtype)
    out = fnp.fft.ifft(fnp.concatenate([low, filler, high], axis=-1)) * (num / n)
    out = fnp.moveaxis(fnp.real(out) if real else out, -1, axis)
    if t is None:
        return out
    t = fnp.asarray(t)
    return out, t[0] + (t[1] - t[0]) * (n / num) * np.arange(num)


def _frequency_window(window: Any, n: int) -> Any:
    if callable(window):
        return fnp.asarray(window(fnp.fft.fftfreq(n)))
    if isinstance(window, (str, tuple, float)):
        return fnp.fft.ifftshift(get_window(window, n))
    window = fnp.asarray(window)
    if aval_of(window).shape != (n,):
        raise ShapeError(f"resample takes a window of {n} frequencies, got shape {aval_of(window).shape}")
    return window
