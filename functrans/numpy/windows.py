"""Window functions (NumPy's reference: Window functions), and the Bessel function that one of them is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import DTypeError
from functrans.lax import elementwise as ew, special
from functrans.lax.conversion import as_inexact
from functrans.numpy.dispatch import creates, dtype_of, implements, operand
from functrans.numpy.ufuncs import where


@implements(np.i0)
def i0(x: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.i0([0.0, 1.0])
    Array([1.        , 1.26606588])
    """
    x = operand("i0", x)
    if dtype_of(x).kind == "c":
        raise DTypeError(f"i0 is not defined for complex numbers, got {aval_of(x)}")
    x = as_inexact(x)
    return lax.convert_element_type(special.bessel_i0(x), dtype_of(x))


def _counting(M: Any) -> Any:
    """`1 - M, 3 - M, ..., M - 1`, as floats."""
    if isinstance(M, Tracer):
        M.__index__()
    n = max(int(M), 0)
    return lax.convert_element_type(lax.iota(np.int64, n) * 2 + (1 - n), np.float64), n


@creates(np.bartlett)
def bartlett(M: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.bartlett(5)
    Array([0. , 0.5, 1. , 0.5, 0. ])
    """
    k, n = _counting(M)
    return lax.full((n,), 1.0) if n == 1 else where(k <= 0, 1 + k / (n - 1), 1 - k / (n - 1))


@creates(np.blackman)
def blackman(M: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.blackman(3).round(2) + 0
    Array([0., 1., 0.])
    """
    k, n = _counting(M)
    if n == 1:
        return lax.full((1,), 1.0)
    return 0.42 + 0.5 * ew.cos(np.pi * k / (n - 1)) + 0.08 * ew.cos(2.0 * np.pi * k / (n - 1))


@creates(np.hamming)
def hamming(M: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.hamming(5)
    Array([0.08, 0.54, 1.  , 0.54, 0.08])
    """
    k, n = _counting(M)
    return lax.full((n,), 1.0) if n == 1 else 0.54 + 0.46 * ew.cos(np.pi * k / (n - 1))


@creates(np.hanning)
def hanning(M: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.hanning(5)
    Array([0. , 0.5, 1. , 0.5, 0. ])
    """
    k, n = _counting(M)
    return lax.full((n,), 1.0) if n == 1 else 0.5 + 0.5 * ew.cos(np.pi * k / (n - 1))


@creates(np.kaiser)
def kaiser(M: Any, beta: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.kaiser(3, 5.0)
    Array([0.03671089, 1.        , 0.03671089])
    """
    if isinstance(M, Tracer):
        M.__index__()
    n = max(int(M), 0)
    beta = operand("kaiser", beta)
    if n == 1:
        return lax.full((1,), 1.0)
    alpha = (n - 1) / 2.0
    share = (lax.convert_element_type(lax.iota(np.int64, n), np.float64) - alpha) / alpha
    return i0(beta * ew.sqrt(1 - share**2)) / i0(operand("kaiser", beta * 1.0))
