"""The gamma and beta distributions, and those made of them, with the incomplete functions' own inverses.

Source: Johnson, Kotz, Balakrishnan: Continuous univariate distributions (1994, 1995).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from functrans.lax.elementwise import abs, digamma, exp, lgamma, log, log1p, polygamma, sqrt, where
from functrans.lax.incomplete import (
    betaincc,
    betainccinv,
    betaincinv,
    gammainccinv,
    gammaincinv,
    igamma,
    igammac,
    log_betainc,
    log_betaincc,
    log_gammainc,
    log_gammaincc,
    regularized_incomplete_beta as betainc,
    stdtr,
    stdtrit,
)
from functrans.lax.special import (
    betaln,
    poch,
    xlog1py,
    xlogy,
)
from functrans.scipy.stats.distribution import Continuous, transformed


def _gamma_entropy(a: Any) -> Any:
    """By its expansion where the terms cancel."""
    large = a > 200
    u, b = 1 / where(large, a, 1.0), where(large, 1.0, a)
    expansion = 0.5 * (1 + math.log(2 * math.pi) - log(u)) - u * (1 / 3 + u * (1 / 12 + u * (1 / 90 - u / 120)))
    return where(large, expansion, b + lgamma(b) + (1 - b) * digamma(b))


gamma = Continuous(
    "gamma",
    "a",
    support=(0.0, np.inf),
    logpdf=lambda z, a: xlogy(a - 1, z) - z - lgamma(a),
    cdf=lambda z, a: igamma(a, z),
    sf=lambda z, a: igammac(a, z),
    logcdf=lambda z, a: log_gammainc(a, z),
    logsf=lambda z, a: log_gammaincc(a, z),
    ppf=lambda q, a: gammaincinv(a, q),
    isf=lambda q, a: gammainccinv(a, q),
    mean=lambda a: a,
    var=lambda a: a,
    entropy=_gamma_entropy,
)
chi2 = transformed(
    gamma,
    "chi2",
    "df",
    to=lambda z, df: z / 2,
    back=lambda u, df: 2 * u,
    shape=lambda df: (df / 2,),
    support=(0.0, np.inf),
    logpdf=lambda z, df: xlogy(df / 2 - 1, z) - z / 2 - lgamma(df / 2) - df * (math.log(2) / 2),
    mean=lambda df: df,
    var=lambda df: 2 * df,
    entropy=lambda df: _gamma_entropy(df / 2) + math.log(2),
)
_chi_mean = lambda df: math.sqrt(2) * poch(df / 2, 0.5)
chi = transformed(
    gamma,
    "chi",
    "df",
    to=lambda z, df: z * z / 2,
    back=lambda u, df: sqrt(2 * u),
    shape=lambda df: (df / 2,),
    support=(0.0, np.inf),
    logpdf=lambda z, df: math.log(2) + xlogy(df - 1, z) - z * z / 2 - df * (math.log(2) / 2) - lgamma(df / 2),
    mean=_chi_mean,
    var=lambda df: df - _chi_mean(df) ** 2,
    entropy=lambda df: lgamma(df / 2) + (df - math.log(2) - (df - 1) * digamma(df / 2)) / 2,
)
maxwell = transformed(
    gamma,
    "maxwell",
    to=lambda z: z * z / 2,
    back=lambda u: sqrt(2 * u),
    shape=lambda: (1.5,),
    support=(0.0, np.inf),
    logpdf=lambda z: math.log(2 / math.pi) / 2 + 2 * log(z) - z * z / 2,
    pdf=lambda z: math.sqrt(2 / math.pi) * z * z * exp(-(z * z) / 2),
    mean=2 * math.sqrt(2 / math.pi),
    var=3 - 8 / math.pi,
    entropy=float(np.euler_gamma) + math.log(2 * math.pi) / 2 - 0.5,
)
invgamma = transformed(
    gamma,
    "invgamma",
    "a",
    decreasing=True,
    to=lambda z, a: 1 / z,
    back=lambda u, a: 1 / u,
    support=(0.0, np.inf),
    closed=False,
    logpdf=lambda z, a: -(a + 1) * log(z) - lgamma(a) - 1 / z,
    mean=lambda a: where(a > 1, 1 / (a - 1), np.inf),
    var=lambda a: where(a > 2, 1 / (a - 1) ** 2 / (a - 2), np.inf),
    entropy=lambda a: a - (a + 1) * digamma(a) + lgamma(a),
)


# ---------------------------------------------------------------- logarithms and powers of gamma variables

_LEAST = -700.0  # of which the exponential is no subnormal number


def _log_gamma_logcdf(z: Any, c: Any) -> Any:
    """P(c, u) is u^c / Gamma(c + 1) where u is as small as that."""
    near = z > _LEAST
    return where(near, log_gammainc(c, exp(where(near, z, 0.0))), c * z - lgamma(c + 1))


def _log_gamma_quantile(p: Any, log_p: Any, u: Any, c: Any) -> Any:
    near = u > math.exp(_LEAST)
    return where(near, log(where(near, u, 1.0)), (log_p + lgamma(c + 1)) / c)


loggamma = transformed(
    gamma,
    "loggamma",
    "c",
    to=lambda z, c: exp(z),
    back=lambda u, c: log(u),
    support=(-np.inf, np.inf),
    logpdf=lambda z, c: c * z - exp(z) - lgamma(c),
    cdf=lambda z, c: exp(_log_gamma_logcdf(z, c)),
    logcdf=_log_gamma_logcdf,
    ppf=lambda q, c: _log_gamma_quantile(q, log(q), gammaincinv(c, q), c),
    isf=lambda q, c: _log_gamma_quantile(q, log1p(-q), gammainccinv(c, q), c),
    mean=digamma,
    var=lambda c: polygamma(1.0, c),
    entropy=lambda c: lgamma(c) - c * digamma(c) + c,
)


def _gennorm_cdf(z: Any, beta: Any) -> Any:
    u = abs(z) ** beta
    near = u < 1e-17
    side = igammac(1 / beta, where(near, 1.0, u)) / 2
    middle = 0.5 + z * (beta / 2 * exp(-lgamma(1 / beta)))
    return where(near, middle, where(z > 0, 1 - side, side))


def _gennorm_logcdf(z: Any, beta: Any) -> Any:
    """By the logarithm of the incomplete gamma function on the left; on the right by the other tail."""
    left = z < -0.1
    u = abs(where(left, z, 1.0)) ** beta
    right = log1p(-_gennorm_cdf(-where(left, 0.0, z), beta))
    return where(left, log_gammaincc(1 / beta, u) - math.log(2), right)


def _gennorm_quantile(q: Any, beta: Any) -> Any:
    right = q > 0.5
    return where(right, 1.0, -1.0) * gammainccinv(1 / beta, 2 * where(right, 1 - q, q)) ** (1 / beta)


gennorm = Continuous(
    "gennorm",
    "beta",
    symmetric=True,
    logpdf=lambda z, beta: log(beta / 2) - lgamma(1 / beta) - abs(z) ** beta,
    cdf=_gennorm_cdf,
    logcdf=_gennorm_logcdf,
    ppf=_gennorm_quantile,
    mean=lambda beta: 0 * beta,
    var=lambda beta: exp(lgamma(3 / beta) - lgamma(1 / beta)),
    entropy=lambda beta: 1 / beta - log(beta / 2) + lgamma(1 / beta),
)

# ---------------------------------------------------------------- beta

beta = Continuous(
    "beta",
    "a b",
    support=(0.0, 1.0),
    logpdf=lambda z, a, b: xlog1py(b - 1, -z) + xlogy(a - 1, z) - betaln(a, b),
    cdf=lambda z, a, b: betainc(a, b, z),
    sf=lambda z, a, b: betaincc(a, b, z),
    logcdf=lambda z, a, b: log_betainc(a, b, z),
    logsf=lambda z, a, b: log_betaincc(a, b, z),
    ppf=lambda q, a, b: betaincinv(a, b, q),
    isf=lambda q, a, b: betainccinv(a, b, q),
    mean=lambda a, b: a / (a + b),
    var=lambda a, b: a * b / ((a + b) ** 2 * (a + b + 1)),
    entropy=lambda a, b: betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b),
)


def _of_ratio(below: Any, above: Any) -> Any:
    """A tail of F by the incomplete beta functions: of the numerator's share, or of what is left if that is less."""

    def tail(z: Any, n: Any, m: Any) -> Any:
        ratio = z * (n / m)
        small = ratio < 1
        share = where(small, ratio, 0.5) / (1 + where(small, ratio, 0.5))
        rest = 1 / (1 + where(small, 1.0, ratio))
        return where(small, below(n / 2, m / 2, share), above(m / 2, n / 2, rest))

    return tail


def _f_quantile(inverse: Any, complement: Any) -> Any:
    """The ratio of a share and the rest, which is found as an inverse of its own where it is small."""

    def quantile(q: Any, n: Any, m: Any) -> Any:
        return inverse(n / 2, m / 2, q) / complement(m / 2, n / 2, q) * (m / n)

    return quantile


def _f_entropy(n: Any, m: Any) -> Any:
    a, b = n / 2, m / 2
    return log(m / n) + betaln(a, b) + (1 - a) * digamma(a) - (1 + b) * digamma(b) + (a + b) * digamma(a + b)


f = Continuous(
    "f",
    "dfn dfd",
    support=(0.0, np.inf),
    logpdf=lambda z, n, m: (
        n / 2 * log(n / m) + xlogy(n / 2 - 1, z) - (n + m) / 2 * log1p(z * (n / m)) - betaln(n / 2, m / 2)
    ),
    cdf=_of_ratio(betainc, betaincc),
    sf=_of_ratio(betaincc, betainc),
    logcdf=_of_ratio(log_betainc, log_betaincc),
    logsf=_of_ratio(log_betaincc, log_betainc),
    ppf=_f_quantile(betaincinv, betainccinv),
    isf=_f_quantile(betainccinv, betaincinv),
    mean=lambda n, m: where(m > 2, m / (m - 2), np.inf),
    var=lambda n, m: where(m > 4, 2 * m * m * (n + m - 2) / (n * (m - 2) ** 2 * (m - 4)), np.inf),
    entropy=_f_entropy,
)


# ---------------------------------------------------------------- Student's t


def _t_logpdf(z: Any, df: Any) -> Any:
    far = abs(z) > 1e100
    u = where(far, 1.0, z)
    level = where(far, 2 * log(abs(where(far, z, 1.0))) - log(df), log1p(u * u / df))
    return -betaln(df / 2, 0.5) - log(df) / 2 - (df + 1) / 2 * level


def _t_logcdf(z: Any, df: Any) -> Any:
    """Half the incomplete beta function of df / (df + z^2) on the left."""
    left = z < -sqrt(df)
    u = where(left, sqrt(df) / z, -0.5)
    tail = log_betainc(df / 2, 0.5 + 0 * df, u * u / (1 + u * u)) - math.log(2)
    near = where(left, 0.0, z)
    below = near < 0
    return where(left, tail, where(below, log(stdtr(df, where(below, near, -1.0))), log1p(-stdtr(df, -abs(near)))))


t = Continuous(
    "t",
    "df",
    symmetric=True,
    logpdf=_t_logpdf,
    cdf=lambda z, df: stdtr(df, z),
    logcdf=_t_logcdf,
    ppf=lambda q, df: stdtrit(df, q),
    mean=lambda df: where(df > 1, 0.0, np.inf),
    var=lambda df: where(df > 2, df / where(df > 2, df - 2, 1.0), where(df > 1, np.inf, np.nan)),
    entropy=lambda df: (df + 1) / 2 * (digamma((df + 1) / 2) - digamma(df / 2)) + log(df) / 2 + betaln(df / 2, 0.5),
)

__all__ = ["beta", "chi", "chi2", "f", "gamma", "gennorm", "invgamma", "loggamma", "maxwell", "t"]
