"""Special functions, as `scipy.special`."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.lax.elementwise import (
    digamma,
    erf,
    erf_inv as erfinv,
    erfc,
    lgamma as gammaln,
    logistic as expit,
    polygamma,
)

__all__ = [
    "betaln", "digamma", "entr", "erf", "erfc", "erfinv", "expit", "gammaln", "kl_div", "log_expit", "log_ndtr",
    "log_softmax", "logit", "logsumexp", "ndtr", "ndtri", "polygamma", "psi", "rel_entr", "softmax", "xlog1py", "xlogy",
]  # fmt: skip

psi = digamma


def _float(x: Any) -> Any:
    x = fnp.asarray(x)
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def logit(x: Any) -> Any:
    """`log(x / (1 - x))`, as `scipy.special.logit`."""
    x = _float(x)
    return fnp.log(x / (1 - x))


def log_expit(x: Any) -> Any:
    """`log(expit(x))`, as `scipy.special.log_expit`."""
    return -fnp.logaddexp(0.0, -_float(x))


def betaln(a: Any, b: Any) -> Any:
    """The logarithm of the beta function, as `scipy.special.betaln`."""
    a, b = _float(a), _float(b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def xlogy(x: Any, y: Any) -> Any:
    """`x log(y)`, and 0 where `x` is 0, as `scipy.special.xlogy`."""
    x, y = _float(x), _float(y)
    zero = (x == 0) & ~fnp.isnan(y)
    return fnp.where(zero, 0.0, x * fnp.log(fnp.where(zero, 1.0, y)))


def xlog1py(x: Any, y: Any) -> Any:
    """`x log(1 + y)`, and 0 where `x` is 0, as `scipy.special.xlog1py`."""
    x, y = _float(x), _float(y)
    zero = (x == 0) & ~fnp.isnan(y)
    return fnp.where(zero, 0.0, x * fnp.log1p(fnp.where(zero, 0.0, y)))


def entr(x: Any) -> Any:
    """`-x log(x)`, 0 at 0 and -inf below, as `scipy.special.entr`."""
    x = _float(x)
    return fnp.where(x < 0, -np.inf, -xlogy(x, fnp.where(x < 0, 1.0, x)))


def rel_entr(x: Any, y: Any) -> Any:
    """`x log(x / y)`, as `scipy.special.rel_entr`."""
    x, y = _float(x), _float(y)
    both = (x > 0) & (y > 0)
    value = fnp.where(both, x, 1.0) * fnp.log(fnp.where(both, x, 1.0) / fnp.where(both, y, 1.0))
    out = fnp.where(both, value, fnp.where((x == 0) & (y >= 0), fnp.zeros_like(value), np.inf))
    return fnp.where(fnp.isnan(x) | fnp.isnan(y), np.nan, out)


def kl_div(x: Any, y: Any) -> Any:
    """`x log(x / y) - x + y`, as `scipy.special.kl_div`."""
    return rel_entr(x, y) - x + y


def ndtr(x: Any) -> Any:
    """The normal distribution function, as `scipy.special.ndtr`."""
    return 0.5 * erfc(-_float(x) / 2**0.5)


def ndtri(p: Any) -> Any:
    """The inverse of the normal distribution function, as `scipy.special.ndtri`."""
    return 2**0.5 * erfinv(2 * _float(p) - 1)


def log_ndtr(x: Any) -> Any:
    """The logarithm of the normal distribution function, as `scipy.special.log_ndtr`.

    Far to the left by the asymptotic series (Abramowitz and Stegun, 26.2.12).
    """
    x = _float(x)
    far = x < -10
    safe = fnp.where(far, x, -10.0)
    square = 1 / (safe * safe)
    series = 1 - square * (1 - 3 * square * (1 - 5 * square * (1 - 7 * square * (1 - 9 * square))))
    left = -0.5 * safe * safe - fnp.log(-safe) - 0.9189385332046727 + fnp.log(series)
    middle = fnp.where(far, 0.0, x)
    near = fnp.where(middle > 0, fnp.log1p(-ndtr(-fnp.abs(middle))), fnp.log(ndtr(fnp.minimum(middle, 0.0))))
    return fnp.where(far, left, near)


# ---------------------------------------------------------------- along axes


def _axes(axis: Any, ndim: int) -> Any:
    return tuple(range(ndim)) if axis is None else axis


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """`log(sum(b exp(a)))` along axes without overflow, as `scipy.special.logsumexp`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.logsumexp(np.array([1000.0, 1000.0]))
    Array(1000.69314718)
    """
    a = _float(a)
    axis = _axes(axis, aval_of(a).ndim)
    if b is not None:
        a, b = fnp.broadcast_arrays(a, fnp.asarray(b))
        a = fnp.where(b == 0, -np.inf, a)
    top = fnp.max(lax.real(a), axis=axis, keepdims=True)
    top = _constant(fnp.where(fnp.isfinite(top), top, 0.0))
    terms = fnp.exp(a - top)
    total = fnp.sum(terms if b is None else b * terms, axis=axis, keepdims=True)
    sign = fnp.sign(total) if return_sign else None
    size = fnp.abs(total) if return_sign else total
    out = fnp.log(size) + top
    if not keepdims:
        out = fnp.squeeze(out, axis)
        sign = fnp.squeeze(sign, axis) if return_sign else None
    return (out, sign) if return_sign else out


def _constant(x: Any) -> Any:
    from functrans.lax.conversion import stop_gradient_p

    return stop_gradient_p.bind(x)


def softmax(x: Any, axis: Any = -1, where: Any = None, initial: Any = -np.inf) -> Any:
    """`exp(x)` divided by its sum along an axis, as `jax.nn.softmax` (the last axis by default).

    >>> import functrans as ft, numpy as np
    >>> ft.nn.softmax(np.array([0.0, 0.0]))
    Array([0.5, 0.5])
    """
    x = _float(x)
    axis = _axes(axis, aval_of(x).ndim)
    if where is not None:
        x = fnp.where(where, x, -np.inf)
    top = _constant(fnp.max(x, axis=axis, keepdims=True))
    terms = fnp.exp(x - top)
    return terms / fnp.sum(terms, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """The logarithm of `softmax`, as `jax.nn.log_softmax` (the last axis by default)."""
    x = _float(x)
    axis = _axes(axis, aval_of(x).ndim)
    if where is not None:
        x = fnp.where(where, x, -np.inf)
    shifted = x - _constant(fnp.max(x, axis=axis, keepdims=True))
    return shifted - fnp.log(fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True))
