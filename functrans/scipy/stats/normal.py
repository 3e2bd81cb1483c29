"""The normal distribution, and those made of it.

Sources: Johnson, Kotz, Balakrishnan: Continuous univariate distributions (1994); Owen: Tables for computing bivariate
normal probabilities (1956) for the skew normal distribution.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.lax.elementwise import abs, erf, erf_inv, erfc, exp, expm1, log, log1p, max, min, sqrt, where
from functrans.lax.special import erfcinv, erfcx, exp1, log_ndtr, ndtr, ndtri, ndtri_exp, owens_t
from functrans.scipy.stats.distribution import Continuous, transformed

_LOG_ROOT_2PI, _ENTROPY = math.log(2 * math.pi) / 2, (1 + math.log(2 * math.pi)) / 2


def _logpdf(z: Any) -> Any:
    return -(z * z) / 2 - _LOG_ROOT_2PI


norm = Continuous(
    "norm",
    symmetric=True,
    logpdf=_logpdf,
    pdf=lambda z: exp(-(z * z) / 2) / math.sqrt(2 * math.pi),
    cdf=ndtr,
    logcdf=log_ndtr,
    ppf=ndtri,
    mean=0.0,
    var=1.0,
    entropy=_ENTROPY,
)

lognorm = transformed(
    norm,
    "lognorm",
    "s",
    to=lambda z, s: log(z) / s,
    back=lambda u, s: exp(s * u),
    shape=lambda s: (),
    support=(0.0, np.inf),
    closed=False,
    logpdf=lambda z, s: _logpdf(log(z) / s) - log(s) - log(z),
    mean=lambda s: exp(s * s / 2),
    var=lambda s: expm1(s * s) * exp(s * s),
    entropy=lambda s: _ENTROPY + log(s),
)

halfnorm = Continuous(
    "halfnorm",
    support=(0.0, np.inf),
    logpdf=lambda z: math.log(2 / math.pi) / 2 - z * z / 2,
    pdf=lambda z: exp(-(z * z) / 2) * math.sqrt(2 / math.pi),
    cdf=lambda z: erf(z * math.sqrt(0.5)),
    sf=lambda z: erfc(z * math.sqrt(0.5)),
    logsf=lambda z: math.log(2) + log_ndtr(-z),
    ppf=lambda q: math.sqrt(2) * erf_inv(q),
    isf=lambda q: math.sqrt(2) * erfcinv(q),
    mean=math.sqrt(2 / math.pi),
    var=1 - 2 / math.pi,
    entropy=math.log(math.pi / 2) / 2 + 0.5,
)

# ---------------------------------------------------------------- truncated


def _log_difference(greater: Any, less: Any) -> Any:
    """log(exp(greater) - exp(less))."""
    gap = less - greater
    return greater + where(gap > -math.log(2), log(-expm1(gap)), log1p(-exp(gap)))


def _log_mass(a: Any, b: Any) -> Any:
    """The logarithm of the normal probability of `(a, b)`, by the tail in which both lie."""
    right = a > 0
    a, b = where(right, -b, a), where(right, -a, b)
    between = b > 0
    left = where(between, 0.0, b)
    tail = _log_difference(log_ndtr(left), log_ndtr(min(a, left)))
    return where(between, log1p(-ndtr(a) - ndtr(-where(between, b, 1.0))), tail)


def _truncated_quantile(q: Any, a: Any, b: Any) -> Any:
    """Of the tail in which both ends lie."""
    right = a > 0
    a, b = where(right, -b, a), where(right, -a, b)
    share, rest = where(right, 1 - q, q), where(right, q, 1 - q)
    level = log(share * exp(log_ndtr(b) - (top := log_ndtr(b))) + rest * exp(log_ndtr(a) - top)) + top
    z = ndtri_exp(level)
    return where(right, -z, z)


def _end_densities(a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """The densities at both ends, and their products with the ends."""
    mass = _log_mass(a, b)
    pa, pb = exp(_logpdf(a) - mass), exp(_logpdf(b) - mass)
    return pa, pb, where(abs(a) < np.inf, a, 0.0) * pa, where(abs(b) < np.inf, b, 0.0) * pb


def _truncated_variance(a: Any, b: Any) -> Any:
    pa, pb, apa, bpb = _end_densities(a, b)
    return 1 + apa - bpb - (pa - pb) ** 2


def _truncated_entropy(a: Any, b: Any) -> Any:
    _, _, apa, bpb = _end_densities(a, b)
    return _ENTROPY + _log_mass(a, b) + (apa - bpb) / 2


truncnorm = Continuous(
    "truncnorm",
    "a b",
    support=(lambda a, b: a, lambda a, b: b),
    valid=lambda a, b: a < b,
    logpdf=lambda z, a, b: _logpdf(z) - _log_mass(a, b),
    logcdf=lambda z, a, b: _log_mass(a, z) - _log_mass(a, b),
    logsf=lambda z, a, b: _log_mass(z, b) - _log_mass(a, b),
    ppf=_truncated_quantile,
    isf=lambda q, a, b: -_truncated_quantile(q, -b, -a),
    mean=lambda a, b: (lambda pa, pb, *_: pa - pb)(*_end_densities(a, b)),
    var=_truncated_variance,
    entropy=_truncated_entropy,
)

# ---------------------------------------------------------------- skew, with an exponential tail, inverse

_NODES, _WEIGHTS = np.polynomial.laguerre.laggauss(48)


def _skew_tail(z: Any, a: Any) -> Any:
    """The logarithm of the distribution function for negative `z` and positive `a`, where its two terms cancel.

    The density is integrated from `z` to the left by Laguerre's formula, after its exponential decay.
    """
    spread = 1 + a * a
    z, a, spread = z[..., None], a[..., None], spread[..., None]
    u = _NODES.astype(z.dtype)
    step = u / (spread * -z)
    terms = exp(step * step * (spread / -2)) * erfcx((step - z) * a * math.sqrt(0.5))
    z, spread = z[..., 0], spread[..., 0]
    total = fnp.sum(_WEIGHTS.astype(z.dtype) * terms, axis=-1)
    return log(total) - z * z * spread / 2 - log(spread * -z) - _LOG_ROOT_2PI


def _skew_far(z: Any, a: Any) -> tuple[Any, Any, Any]:
    """Where to integrate, and operands that lie there."""
    far = (z < 0) & (z * z * (1 + a * a) > 9)
    size = abs(a) + 0 * z
    return far, where(far, z, -3.0) + 0 * a, where(far, size, 1.0)


def _skew_logcdf(z: Any, a: Any) -> Any:
    far, z_far, a_far = _skew_far(z, a)
    tail, whole = _skew_tail(z_far, a_far), math.log(2) + log_ndtr(z_far)
    tail = where(a >= 0, tail, _log_difference(whole, where(a >= 0, whole - 1, tail)))
    near = where(far, 0.0, z)
    below = ndtr(near) - 2 * owens_t(near, a)
    small = below < 0.5
    above = _skew_cdf(-near, -a)
    return where(far, tail, where(small, log(where(small, below, 0.5)), log1p(-where(small, 0.5, above))))


def _skew_cdf(z: Any, a: Any) -> Any:
    far, z_far, a_far = _skew_far(z, a)
    far = far & (a > 0)
    near = where(far, 0.0, z)
    return where(far, exp(_skew_tail(z_far, a_far)), ndtr(near) - 2 * owens_t(near, a))


skewnorm = Continuous(
    "skewnorm",
    "a",
    valid=lambda a: abs(a) < np.inf,
    logpdf=lambda z, a: math.log(2) + _logpdf(z) + log_ndtr(a * z),
    cdf=_skew_cdf,
    sf=lambda z, a: _skew_cdf(-z, -a),
    logcdf=_skew_logcdf,
    logsf=lambda z, a: _skew_logcdf(-z, -a),
    mean=lambda a: a / sqrt(1 + a * a) * math.sqrt(2 / math.pi),
    var=lambda a: 1 - 2 / math.pi * (a * a / (1 + a * a)),
)


def _exponential_part(z: Any, k: Any) -> Any:
    """The logarithm of what the exponential variable moves beyond `z`."""
    return (0.5 / k - z) / k + log_ndtr(z - 1 / k)


def _exponnorm_logcdf(z: Any, k: Any) -> Any:
    """On the left by Mills' ratios, whose difference does not cancel; on the right by the other tail."""
    left = where(z < 0, z, -1.0)
    mills = erfcx(left * -math.sqrt(0.5)) - erfcx((1 / k - left) * math.sqrt(0.5))
    right = where(z < 0, 1.0, z)
    return where(
        z < 0, log(mills) - left * left / 2 - math.log(2), log1p(-ndtr(-right) - exp(_exponential_part(right, k)))
    )


exponnorm = Continuous(
    "exponnorm",
    "K",
    logpdf=lambda z, k: _exponential_part(z, k) - log(k),
    logcdf=_exponnorm_logcdf,
    sf=lambda z, k: ndtr(-z) + exp(_exponential_part(z, k)),
    logsf=lambda z, k: _log_sum(log_ndtr(-z), _exponential_part(z, k)),
    mean=lambda k: k,
    var=lambda k: 1 + k * k,
)


def _log_sum(a: Any, b: Any) -> Any:
    return max(a, b) + log1p(exp(-abs(a - b)))


def _passage(z: Any, mu: Any) -> tuple[Any, Any]:
    """Logarithms of the two terms of the inverse Gaussian distribution function."""
    root = sqrt(z)
    return log_ndtr((z / mu - 1) / root), 2 / mu + log_ndtr(-(z / mu + 1) / root)


def _invgauss_logcdf(z: Any, mu: Any) -> Any:
    a, b = _passage(z, mu)
    return a + log1p(exp(b - a))


def _invgauss_logsf(z: Any, mu: Any) -> Any:
    a, b = log_ndtr((1 - z / mu) / sqrt(z)), _passage(z, mu)[1]
    return _log_difference(a, b)


def _scaled_exp1(x: Any) -> Any:
    """exp(x) E1(x): asymptotic where the factors overflow and underflow (DLMF 6.12.1)."""
    large = x > 50
    u = 1 / where(large, x, 50.0)
    series = u * (
        1 - u * (1 - 2 * u * (1 - 3 * u * (1 - 4 * u * (1 - 5 * u * (1 - 6 * u * (1 - 7 * u * (1 - 8 * u)))))))
    )
    near = where(large, 50.0, x)
    return where(large, series, exp(near) * exp1(near))


invgauss = Continuous(
    "invgauss",
    "mu",
    support=(0.0, np.inf),
    closed=False,
    logpdf=lambda z, mu: -_LOG_ROOT_2PI - 1.5 * log(z) - (z / mu - 1) ** 2 / (2 * z),
    logcdf=_invgauss_logcdf,
    logsf=_invgauss_logsf,
    mean=lambda mu: mu,
    var=lambda mu: mu**3,
    entropy=lambda mu: _ENTROPY + 1.5 * (log(mu) - _scaled_exp1(2 / mu)),
)

__all__ = ["exponnorm", "halfnorm", "invgauss", "lognorm", "norm", "skewnorm", "truncnorm"]
