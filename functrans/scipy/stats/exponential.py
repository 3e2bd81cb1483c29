"""The exponential distribution, and what powers, logarithms and exponentials make of it.

Extreme values after Coles: An introduction to statistical modeling of extreme values (2001), with SciPy's signs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from functrans.lax.elementwise import abs, exp, expm1, lgamma, log, log1p, where
from functrans.lax.special import gamma as gamma_function, xlogy
from functrans.scipy.stats.distribution import Continuous, transformed

_EULER = float(np.euler_gamma)


def log1mexp(u: Any) -> Any:
    """log(1 - exp(-u)) for positive `u` (Mächler 2012)."""
    small = u < math.log(2)
    return where(small, log(-expm1(-where(small, u, 1.0))), log1p(-exp(-where(small, 1.0, u))))


expon = Continuous(
    "expon",
    support=(0.0, np.inf),
    logpdf=lambda z: -z,
    cdf=lambda z: -expm1(-z),
    sf=lambda z: exp(-z),
    logcdf=log1mexp,
    logsf=lambda z: -z,
    ppf=lambda q: -log1p(-q),
    isf=lambda q: -log(q),
    mean=1.0,
    var=1.0,
    entropy=1.0,
)


def _reflected(base: Continuous, name: str, shapes: str = "", **table: Any) -> Continuous:
    """The distribution of minus a variable."""
    return transformed(
        base, name, shapes, decreasing=True, to=lambda z, *s: -z, back=lambda u, *s: -u,
        logpdf=lambda z, *s: base._logpdf(-z, *s), **table,
    )  # fmt: skip


# ---------------------------------------------------------------- powers

_weibull: dict[str, Any] = {
    "var": lambda c: gamma_function(1 + 2 / c) - gamma_function(1 + 1 / c) ** 2,
    "entropy": lambda c: _EULER * (1 - 1 / c) - log(c) + 1,
}
weibull_min = transformed(
    expon,
    "weibull_min",
    "c",
    to=lambda z, c: z**c,
    back=lambda u, c: u ** (1 / c),
    shape=lambda c: (),
    support=(0.0, np.inf),
    logpdf=lambda z, c: log(c) + xlogy(c - 1, z) - z**c,
    mean=lambda c: gamma_function(1 + 1 / c),
    **_weibull,
)
weibull_max = _reflected(
    weibull_min, "weibull_max", "c", support=(-np.inf, 0.0), mean=lambda c: -gamma_function(1 + 1 / c), **_weibull
)
rayleigh = transformed(
    expon,
    "rayleigh",
    to=lambda z: z * z / 2,
    back=lambda u: (2 * u) ** 0.5,
    support=(0.0, np.inf),
    logpdf=lambda z: log(z) - z * z / 2,
    pdf=lambda z: z * exp(-(z * z) / 2),
    mean=math.sqrt(math.pi / 2),
    var=2 - math.pi / 2,
    entropy=_EULER / 2 + 1 - math.log(2) / 2,
)

# ---------------------------------------------------------------- exponentials

pareto = transformed(
    expon,
    "pareto",
    "b",
    to=lambda z, b: b * log(z),
    back=lambda u, b: exp(u / b),
    shape=lambda b: (),
    support=(1.0, np.inf),
    logpdf=lambda z, b: log(b) - (b + 1) * log(z),
    mean=lambda b: where(b > 1, b / (b - 1), np.inf),
    var=lambda b: where(b > 2, b / (b - 2) / (b - 1) ** 2, np.inf),
    entropy=lambda b: 1 + 1 / b - log(b),
)
powerlaw = transformed(
    expon,
    "powerlaw",
    "a",
    decreasing=True,
    to=lambda z, a: -a * log(z),
    back=lambda u, a: exp(-u / a),
    shape=lambda a: (),
    support=(0.0, 1.0),
    logpdf=lambda z, a: log(a) + xlogy(a - 1, z),
    cdf=lambda z, a: z**a,
    ppf=lambda q, a: q ** (1 / a),
    mean=lambda a: a / (a + 1),
    var=lambda a: a / (a + 2) / (a + 1) ** 2,
    entropy=lambda a: 1 - 1 / a - log(a),
)

# ---------------------------------------------------------------- logarithms: extreme values

_gumbel: dict[str, Any] = {"var": math.pi**2 / 6, "entropy": _EULER + 1}
gumbel_r = transformed(
    expon,
    "gumbel_r",
    decreasing=True,
    to=lambda z: exp(-z),
    back=lambda u: -log(u),
    support=(-np.inf, np.inf),
    logpdf=lambda z: -z - exp(-z),
    logcdf=lambda z: -exp(-z),
    mean=_EULER,
    **_gumbel,
)
gumbel_l = _reflected(gumbel_r, "gumbel_l", support=(-np.inf, np.inf), mean=-_EULER, **_gumbel)


def _log1p_share(x: Any) -> Any:
    """log(1 + x) / x, which is 1 at zero."""
    near = abs(x) < 1e-3
    u, far = where(near, x, 0.0), where(near, 1.0, x)
    series = 1 - u * (1 / 2 - u * (1 / 3 - u * (1 / 4 - u * (1 / 5 - u * (1 / 6 - u / 7)))))
    return where(near, series, log1p(far) / far)


def _expm1_share(x: Any) -> Any:
    """(exp(x) - 1) / x, which is 1 at zero."""
    near = abs(x) < 1e-3
    u, far = where(near, x, 0.0), where(near, 1.0, x)
    return where(near, 1 + u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5 * (1 + u / 6)))), expm1(far) / far)


def _bent(z: Any, c: Any) -> Any:
    """log(1 + c z) / c, and `z` for zero `c`; the inverse of `_unbent`."""
    return z * _log1p_share(c * z)


def _unbent(w: Any, c: Any) -> Any:
    return w * _expm1_share(c * w)


def _extreme_mean(c: Any) -> Any:
    """-expm1(lgamma(1 + c)) / c, with its limit at zero."""
    near = abs(c) < 1e-5
    far = where(near | (c <= -1), 1.0, c)
    limit = _EULER - c * (math.pi**2 / 12 + _EULER**2 / 2)
    return where(c > -1, where(near, limit, -expm1(lgamma(1 + far)) / far), np.nan)


def _extreme_variance(c: Any) -> Any:
    near = abs(c) < 1e-5
    far = where(near | (c <= -0.5), 1.0, c)
    one, two = lgamma(1 + far), lgamma(1 + 2 * far)
    value = exp(2 * one) * expm1(two - 2 * one) / (far * far)
    return where(c > -0.5, where(near, math.pi**2 / 6, value), np.nan)


genextreme = transformed(
    expon,
    "genextreme",
    "c",
    decreasing=True,
    valid=lambda c: abs(c) < np.inf,
    to=lambda z, c: exp(-_bent(z, -c)),
    back=lambda u, c: _unbent(-log(u), -c),
    shape=lambda c: (),
    support=(
        lambda c: where(c < 0, 1 / where(c < 0, c, -1.0), -np.inf),
        lambda c: where(c > 0, 1 / where(c > 0, c, 1.0), np.inf),
    ),
    closed=False,
    logpdf=lambda z, c: -exp(-_bent(z, -c)) - (1 - c) * _bent(z, -c),
    logcdf=lambda z, c: -exp(-_bent(z, -c)),
    mean=_extreme_mean,
    var=_extreme_variance,
    entropy=lambda c: _EULER * (1 - c) + 1,
)
genpareto = transformed(
    expon,
    "genpareto",
    "c",
    valid=lambda c: abs(c) < np.inf,
    to=_bent,
    back=_unbent,
    shape=lambda c: (),
    support=(0.0, lambda c: where(c < 0, -1 / where(c < 0, c, -1.0), np.inf)),
    logpdf=lambda z, c: -(c + 1) * _bent(z, c),
    mean=lambda c: where(c < 1, 1 / (1 - c), np.inf),
    var=lambda c: where(c < 0.5, 1 / (1 - c) ** 2 / (1 - 2 * c), np.inf),
    entropy=lambda c: 1 + c,
)

__all__ = [
    "expon", "genextreme", "genpareto", "gumbel_l", "gumbel_r", "pareto", "powerlaw", "rayleigh",
    "weibull_max", "weibull_min",
]  # fmt: skip
