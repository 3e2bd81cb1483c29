"""Distributions on whole numbers.

Source: Johnson, Kemp, Kotz: Univariate discrete distributions (2005).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.lax.elementwise import exp, expm1, floor, lgamma, log, log1p, max, min, where
from functrans.lax.incomplete import (
    betaincc,
    igamma,
    igammac,
    log_betainc,
    log_betaincc,
    log_gammainc,
    log_gammaincc,
    regularized_incomplete_beta as betainc,
)
from functrans.lax.special import (
    betaln,
    entr,
    xlog1py,
    xlogy,
    zeta,
)
from functrans.scipy.stats.distribution import Discrete


def _whole(*counts: Any) -> Any:
    valid = True
    for n in counts:
        valid = (n >= 0) & (n == floor(n)) & valid
    return valid


def _probability(p: Any) -> Any:
    return (p >= 0) & (p <= 1)


def _log_choose(n: Any, k: Any) -> Any:
    """The logarithm of the number of ways to choose `k` of `n`."""
    return -betaln(n - k + 1, k + 1) - log(n + 1)


bernoulli = Discrete(
    "bernoulli",
    "p",
    support=(0.0, 1.0),
    valid=_probability,
    logpmf=lambda k, p: where(k == 1, log(p), log1p(-p)),
    pmf=lambda k, p: where(k == 1, p, 1 - p),
    cdf=lambda k, p: 1 - p,
    sf=lambda k, p: p,
    mean=lambda p: p,
    var=lambda p: p * (1 - p),
    entropy=lambda p: entr(p) + entr(1 - p),
)
binom = Discrete(
    "binom",
    "n p",
    support=(0.0, lambda n, p: n),
    valid=lambda n, p: _whole(n) & _probability(p),
    logpmf=lambda k, n, p: _log_choose(n, k) + xlogy(k, p) + xlog1py(n - k, -p),
    cdf=lambda k, n, p: betaincc(k + 1, n - k, p),
    sf=lambda k, n, p: betainc(k + 1, n - k, p),
    logcdf=lambda k, n, p: log_betaincc(k + 1, n - k, p),
    logsf=lambda k, n, p: log_betainc(k + 1, n - k, p),
    mean=lambda n, p: n * p,
    var=lambda n, p: n * p * (1 - p),
)
betabinom = Discrete(
    "betabinom",
    "n a b",
    support=(0.0, lambda n, a, b: n),
    valid=lambda n, a, b: _whole(n) & (a > 0) & (b > 0),
    logpmf=lambda k, n, a, b: _log_choose(n, k) + betaln(k + a, n - k + b) - betaln(a, b),
    mean=lambda n, a, b: n * a / (a + b),
    var=lambda n, a, b: n * (a + b + n) * a * b / ((a + b) ** 2 * (a + b + 1)),
)
nbinom = Discrete(
    "nbinom",
    "n p",
    valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
    logpmf=lambda k, n, p: lgamma(n + k) - lgamma(k + 1) - lgamma(n) + n * log(p) + xlog1py(k, -p),
    cdf=lambda k, n, p: betainc(n, k + 1, p),
    sf=lambda k, n, p: betaincc(n, k + 1, p),
    logcdf=lambda k, n, p: log_betainc(n, k + 1, p),
    logsf=lambda k, n, p: log_betaincc(n, k + 1, p),
    mean=lambda n, p: n * (1 - p) / p,
    var=lambda n, p: n * (1 - p) / (p * p),
)
geom = Discrete(
    "geom",
    "p",
    support=(1.0, np.inf),
    valid=lambda p: (p > 0) & (p <= 1),
    logpmf=lambda k, p: xlog1py(k - 1, -p) + log(p),
    cdf=lambda k, p: -expm1(k * log1p(-p)),
    sf=lambda k, p: exp(k * log1p(-p)),
    logsf=lambda k, p: k * log1p(-p),
    mean=lambda p: 1 / p,
    var=lambda p: (1 - p) / (p * p),
    entropy=lambda p: -log(p) - xlog1py(1 - p, -p) / p,
)


def _poisson_entropy(mu: Any) -> Any:
    """A sum for small parameters, an expansion for large ones (Evans, Boersma, Blachman, Jagers: The entropy of a
    Poisson distribution, SIAM Review 30, 1988).
    """
    large = mu > 200
    u = 1 / where(large, mu, 200.0)
    expansion = (1 + math.log(2 * math.pi) - log(u)) / 2 - u * (
        1 / 12 + u * (1 / 24 + u * (19 / 360 + u * (9 / 80 + u * 863 / 2520)))
    )
    m = where(large, 1.0, mu)[..., None]
    k = fnp.arange(450, dtype=m.dtype)
    level = xlogy(k, m) - lgamma(k + 1) - m
    return where(large, expansion, -fnp.sum(exp(level) * level, axis=-1))


poisson = Discrete(
    "poisson",
    "mu",
    valid=lambda mu: mu >= 0,
    logpmf=lambda k, mu: xlogy(k, mu) - lgamma(k + 1) - mu,
    cdf=lambda k, mu: igammac(k + 1, mu),
    sf=lambda k, mu: igamma(k + 1, mu),
    logcdf=lambda k, mu: log_gammaincc(k + 1, mu),
    logsf=lambda k, mu: log_gammainc(k + 1, mu),
    mean=lambda mu: mu,
    var=lambda mu: mu,
    entropy=_poisson_entropy,
)


def _hypergeom_logpmf(k: Any, total: Any, good: Any, drawn: Any) -> Any:
    bad = total - good
    return _log_choose(good, k) + _log_choose(bad, drawn - k) - _log_choose(total, drawn)


hypergeom = Discrete(
    "hypergeom",
    "M n N",
    support=(lambda M, n, N: max(N - (M - n), 0.0), lambda M, n, N: min(n, N)),
    valid=lambda M, n, N: _whole(M, n, N) & (n <= M) & (N <= M) & (M > 0),
    logpmf=_hypergeom_logpmf,
    mean=lambda M, n, N: N * n / M,
    var=lambda M, n, N: N * n * (M - n) * (M - N) / (M * M * (M - 1)),
)


def _zipf_moment(a: Any, order: int) -> Any:
    exists = a > order + 1
    b = where(exists, a, order + 2.0)
    return where(exists, zeta(b - order, 0 * b + 1) / zeta(b, 0 * b + 1), np.inf)


zipf = Discrete(
    "zipf",
    "a",
    support=(1.0, np.inf),
    valid=lambda a: a > 1,
    logpmf=lambda k, a: -log(zeta(a, 0 * a + 1)) - a * log(k),
    sf=lambda k, a: zeta(a, k + 1) / zeta(a, 0 * a + 1),
    mean=lambda a: _zipf_moment(a, 1),
    var=lambda a: where(a > 3, _zipf_moment(a, 2) - _zipf_moment(where(a > 3, a, 4.0), 1) ** 2, np.inf),
)
randint = Discrete(
    "randint",
    "low high",
    support=(lambda low, high: low, lambda low, high: high - 1),
    valid=lambda low, high: (high > low) & (low == floor(low)) & (high == floor(high)),
    logpmf=lambda k, low, high: -log(high - low) + 0 * k,
    cdf=lambda k, low, high: (k - low + 1) / (high - low),
    sf=lambda k, low, high: (high - 1 - k) / (high - low),
    mean=lambda low, high: (high + low - 1) / 2,
    var=lambda low, high: ((high - low) ** 2 - 1) / 12,
    entropy=lambda low, high: log(high - low),
)

__all__ = [
    "bernoulli", "betabinom", "binom", "geom", "hypergeom", "nbinom", "poisson", "randint", "zipf",
]  # fmt: skip
