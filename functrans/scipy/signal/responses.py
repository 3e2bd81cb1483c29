"""What filters do to frequencies, as in `scipy.signal`; their coefficients may be traced."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.scipy.dispatch import implements, inexact

_implements = implements("scipy.signal")


def _frequencies(worN: Any, whole: bool, fs: Any, include_nyquist: bool) -> Any:
    """In radians a sample."""
    if worN is None:
        worN = 512
    if np.ndim(worN) == 0:
        end = not whole and include_nyquist
        return np.linspace(0, 2 * np.pi if whole else np.pi, operator.index(worN), endpoint=end)
    return inexact(worN) * (2 * np.pi / fs)


def _response(b: Any, a: Any, w: Any) -> Any:
    z = fnp.exp(-1j * w)
    return fnp.polyval(b[::-1], z) / fnp.polyval(a[::-1], z)


def _coefficients(name: str, x: Any) -> Any:
    x = fnp.atleast_1d(inexact(x))
    if aval_of(x).ndim != 1:
        raise ShapeError(f"{name} of traced arrays takes coefficients of one dimension, got shape {aval_of(x).shape}")
    return x


@_implements
def freqz(
    b: Any, a: Any = 1, worN: Any = 512, whole: bool = False, plot: Any = None, fs: Any = 2 * np.pi,
    include_nyquist: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Frequencies, and the response of a filter to each, as `scipy.signal.freqz`.

    Args:
        b, a: the coefficients of numerator and denominator, of one dimension.
        worN: how many frequencies, or these.
        whole: whether they go round the whole circle.
        plot: not for traced arrays.
        fs: the sampling rate, in whose units frequencies are.
        include_nyquist: whether the last frequency is half the sampling rate.

    Returns:
        Frequencies, and complex numbers.

    >>> import functrans as ft
    >>> ft.scipy.signal.freqz([1.0, 1.0], worN=2)[1]
    Array([2.+0.j, 1.-1.j])
    """
    if plot is not None:
        raise ArgumentError("freqz of traced arrays does not take plot=")
    w = _frequencies(worN, whole, fs, include_nyquist)
    return w * (fs / (2 * np.pi)), _response(_coefficients("freqz", b), _coefficients("freqz", a), w)


@_implements
def sosfreqz(sos: Any, worN: Any = 512, whole: bool = False, fs: Any = 2 * np.pi) -> tuple[Any, Any]:
    """Frequencies, and the response of second-order sections, as `scipy.signal.sosfreqz`; see `freqz`.

    >>> import functrans as ft
    >>> ft.scipy.signal.sosfreqz([[1.0, 1.0, 0.0, 1.0, 0.0, 0.0]], worN=2)[1]
    Array([2.+0.j, 1.-1.j])
    """
    sos = inexact(sos)
    if aval_of(sos).ndim != 2 or aval_of(sos).shape[1] != 6:
        raise ShapeError(f"sosfreqz takes sections of shape (n, 6), got {aval_of(sos).shape}")
    w = _frequencies(worN, whole, fs, False)
    response: Any = 1.0
    for i in range(aval_of(sos).shape[0]):
        response = response * _response(sos[i, :3], sos[i, 3:], w)
    return w * (fs / (2 * np.pi)), response
