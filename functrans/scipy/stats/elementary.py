"""Distributions on intervals and on the line whose functions are elementary, and those on the circle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.lax.elementwise import (
    abs,
    atan,
    atan2,
    cos,
    erf,
    exp,
    log,
    log1p,
    logistic,
    min,
    rint,
    sin,
    sqrt,
    tan,
    where,
)
from functrans.lax.special import bessel_i0e, bessel_i1e, ive, log_expit, logit
from functrans.scipy.stats.distribution import Continuous

uniform = Continuous(
    "uniform",
    support=(0.0, 1.0),
    logpdf=lambda z: 0 * z,
    cdf=lambda z: z,
    sf=lambda z: 1 - z,
    ppf=lambda q: q,
    isf=lambda q: 1 - q,
    mean=0.5,
    var=1 / 12,
    entropy=0.0,
)

_LOG2 = math.log(2)


def _laplace_quantile(q: Any) -> Any:
    return where(q > 0.5, -log(2 * (1 - q)), log(2 * q))


laplace = Continuous(
    "laplace",
    symmetric=True,
    logpdf=lambda z: -abs(z) - _LOG2,
    pdf=lambda z: exp(-abs(z)) / 2,
    cdf=lambda z: where(z > 0, 1 - exp(-abs(z)) / 2, exp(-abs(z)) / 2),
    logcdf=lambda z: where(z > 0, log1p(-exp(-abs(z)) / 2), z - _LOG2),
    ppf=_laplace_quantile,
    mean=0.0,
    var=2.0,
    entropy=1 + _LOG2,
)

logistic_distribution = Continuous(
    "logistic",
    symmetric=True,
    logpdf=lambda z: -abs(z) - 2 * log1p(exp(-abs(z))),
    cdf=logistic,
    logcdf=log_expit,
    ppf=logit,
    mean=0.0,
    var=math.pi**2 / 3,
    entropy=2.0,
)

# ---------------------------------------------------------------- Cauchy


def _log1p_square(z: Any) -> Any:
    """log(1 + z^2), also where the square overflows."""
    far = abs(z) > 1e8
    u = where(far, 0.0, z)
    return where(far, 2 * log(abs(where(far, z, 1.0))), log1p(u * u))


def _cotangent(u: Any) -> Any:
    """The cotangent of pi u, for u in [0, 1/2]."""
    small = u < 0.25
    return where(small, 1 / tan(math.pi * where(small, u, 0.25)), tan(math.pi * (0.5 - where(small, 0.25, u))))


def _cauchy_quantile(q: Any) -> Any:
    return where(q < 0.5, -1.0, 1.0) * _cotangent(min(q, 1 - q))


cauchy = Continuous(
    "cauchy",
    symmetric=True,
    logpdf=lambda z: -math.log(math.pi) - _log1p_square(z),
    pdf=lambda z: 1 / (math.pi * (1 + z * z)),
    cdf=lambda z: atan2(1.0, -z) / math.pi,
    ppf=_cauchy_quantile,
    mean=np.nan,
    var=np.nan,
    entropy=math.log(4 * math.pi),
)


def _halfcauchy_quantile(below: Any, above: Any) -> Any:
    half = math.pi / 2
    return where(
        below < 0.5, tan(half * where(below < 0.5, below, 0.5)), _cotangent(where(below < 0.5, 0.5, above) / 2)
    )


halfcauchy = Continuous(
    "halfcauchy",
    support=(0.0, np.inf),
    logpdf=lambda z: math.log(2 / math.pi) - _log1p_square(z),
    pdf=lambda z: 2 / (math.pi * (1 + z * z)),
    cdf=lambda z: atan(z) * (2 / math.pi),
    sf=lambda z: atan2(1.0, z) * (2 / math.pi),
    ppf=lambda q: _halfcauchy_quantile(q, 1 - q),
    isf=lambda q: _halfcauchy_quantile(1 - q, q),
    mean=np.inf,
    var=np.inf,
    entropy=math.log(2 * math.pi),
)

# ---------------------------------------------------------------- triangle


def _left(z: Any, c: Any) -> Any:
    """Whether the density rises at `z`; where the peak is at an end there is one side only."""
    return ((z < c) | (c == 1)) & (c != 0)


def _sides(c: Any) -> tuple[Any, Any]:
    return where(c == 0, 1.0, c), where(c == 1, 1.0, 1 - c)


def _triang_logpdf(z: Any, c: Any) -> Any:
    left, (rise, fall) = _left(z, c), _sides(c)
    return _LOG2 + where(left, log(z) - log(rise), log1p(-z) - log(fall))


def _triang_tails(z: Any, c: Any) -> tuple[Any, Any]:
    left, (rise, fall) = _left(z, c), _sides(c)
    below, above = z * z / rise, (1 - z) ** 2 / fall
    return where(left, below, 1 - above), where(left, 1 - below, above)


triang = Continuous(
    "triang",
    "c",
    support=(0.0, 1.0),
    valid=lambda c: (c >= 0) & (c <= 1),
    logpdf=_triang_logpdf,
    cdf=lambda z, c: _triang_tails(z, c)[0],
    sf=lambda z, c: _triang_tails(z, c)[1],
    ppf=lambda q, c: where(q < c, sqrt(c * q), 1 - sqrt((1 - c) * (1 - q))),
    isf=lambda q, c: where(q > 1 - c, sqrt(c * (1 - q)), 1 - sqrt((1 - c) * q)),
    mean=lambda c: (1 + c) / 3,
    var=lambda c: (1 - c + c * c) / 18,
    entropy=lambda c: 0.5 - _LOG2 + 0 * c,
)

# ---------------------------------------------------------------- the circle


_SERIES = 50.0  # parameters up to which 60 terms are enough


def _vonmises_cdf(z: Any, kappa: Any) -> Any:
    """The Fourier series, or for large parameters a normal approximation (Hill: Algorithm 518, 1977)."""
    turns = rint(z / (2 * math.pi))
    angle, small = z - turns * (2 * math.pi), kappa < _SERIES
    few = where(small, kappa, 1.0)[..., None]
    n = np.arange(1, 61, dtype=few.dtype)
    series = fnp.sum(ive(n, few) / (n * bessel_i0e(few)) * sin(n * angle[..., None]), axis=-1)
    series = 0.5 + (angle / 2 + series) / math.pi
    return where(small, series, _concentrated(angle, where(small, _SERIES, kappa))) + turns


def _concentrated(angle: Any, kappa: Any) -> Any:
    c = 24 * kappa
    v = c - 56
    z = sin(angle / 2) * sqrt((54 / (347 / v + 26 - c) - 6 + c) / 12)
    s = 2 * z * z
    v = v - s + 3
    y = ((s + 1.75) * s + 83.5) / v - (c - s - s - 16) / 3
    return (1 + erf(z - s / (y * y) * z)) / 2


vonmises = Continuous(
    "vonmises",
    "kappa",
    valid=lambda kappa: kappa >= 0,
    cdf=_vonmises_cdf,
    sf=lambda z, kappa: _vonmises_cdf(-z, kappa),
    logpdf=lambda z, kappa: -2 * kappa * sin(z / 2) ** 2 - math.log(2 * math.pi) - log(bessel_i0e(kappa)),
    mean=0.0,
    entropy=lambda kappa: kappa * (1 - bessel_i1e(kappa) / bessel_i0e(kappa)) + log(2 * math.pi * bessel_i0e(kappa)),
)


def _wrapped_cdf(z: Any, c: Any) -> Any:
    """On [0, pi]; the other half is its complement."""
    half = where(z < math.pi, z, 2 * math.pi - z) / 2
    side = atan2((1 + c) * sin(half), (1 - c) * cos(half)) / math.pi
    return where(z < math.pi, side, 1 - side)


def _wrapped_quantile(q: Any, c: Any) -> Any:
    half = math.pi * where(q < 0.5, q, 1 - q)
    side = 2 * atan2((1 - c) * sin(half), (1 + c) * cos(half))
    return where(q < 0.5, side, 2 * math.pi - side)


wrapcauchy = Continuous(
    "wrapcauchy",
    "c",
    support=(0.0, 2 * math.pi),
    valid=lambda c: (c > 0) & (c < 1),
    logpdf=lambda z, c: log1p(-c * c) - math.log(2 * math.pi) - log((1 - c) ** 2 + 4 * c * sin(z / 2) ** 2),
    cdf=_wrapped_cdf,
    ppf=_wrapped_quantile,
    entropy=lambda c: math.log(2 * math.pi) + log1p(-c * c),
)

__all__ = ["cauchy", "halfcauchy", "laplace", "logistic_distribution", "triang", "uniform", "vonmises", "wrapcauchy"]
