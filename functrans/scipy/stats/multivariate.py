"""Distributions of vectors. Methods take the vectors along the last axis, as SciPy's (Dirichlet's along the first)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, float_info
from functrans.errors import ShapeError
from functrans.lax.elementwise import digamma, exp, floor, lgamma, log, where
from functrans.lax.special import xlogy
from functrans.scipy.dispatch import of_one_dtype
from functrans.scipy.linalg import solve_triangular
from functrans.scipy.stats.distribution import _quiet


class MultivariateNormal:
    """The normal distribution of vectors, as `scipy.stats.multivariate_normal`.

    `mean` is `(..., n)` or a number; `cov` is `(n, n)`, the variances `(n,)`, or one variance for all. With
    `allow_singular=True` the covariance may be semidefinite; otherwise one that is not positive definite raises
    `LinAlgError` eagerly and gives NaN where it is traced.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.multivariate_normal.logpdf(np.array([1.0, 0.0]), np.zeros(2), np.array([[2.0, 1.0], [1.0, 2.0]]))
    Array(-2.72051654)
    """

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """The logarithm of the density at vectors `(..., n)`; for `n = 1` also at an array of numbers."""
        x, mean, cov, n = self._arguments(x, mean, cov)
        if n == 1 and (aval_of(x).ndim == 0 or aval_of(x).shape[-1] != 1):
            x = x[..., None]
        if aval_of(x).shape[-1] != n:
            raise ShapeError(f"multivariate_normal takes vectors of length {n}, got an array {aval_of(x).shape}")
        distance, level = self._singular(x - mean, cov) if allow_singular else self._definite(x - mean, cov)
        return -(distance + level) / 2

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """The density at vectors `(..., n)`."""
        return exp(self.logpdf(x, mean, cov, allow_singular))

    def entropy(self, mean: Any = None, cov: Any = 1) -> Any:
        """The differential entropy."""
        _, mean, cov, n = self._arguments(0.0, mean, cov)
        factor = fnp.linalg.cholesky(cov)
        return fnp.sum(log(fnp.diagonal(factor))) + n * (1 + math.log(2 * math.pi)) / 2

    def _arguments(self, x: Any, mean: Any, cov: Any) -> tuple[Any, Any, Any, int]:
        x, mean, cov = of_one_dtype(x, 0 if mean is None else mean, cov, small=False)
        sizes = [aval_of(mean).shape[-1:], aval_of(cov).shape[-1:]]
        n = max(s[0] if s else 1 for s in sizes)
        if aval_of(cov).ndim < 2:
            cov = fnp.eye(n, dtype=aval_of(cov).dtype) * cov
        if aval_of(cov).shape != (n, n) or sizes[0] not in ((), (n,)):
            raise ShapeError(
                f"multivariate_normal: a mean {aval_of(mean).shape} and a covariance {aval_of(cov).shape} do not fit "
                "together; map over several covariances by vmap"
            )
        return x, mean, cov, n

    def _definite(self, distance: Any, cov: Any) -> tuple[Any, Any]:
        """The squared distance, and the logarithm of (2 pi)^n times the determinant."""
        factor = fnp.linalg.cholesky(cov)
        shape, n = aval_of(distance).shape, aval_of(cov).shape[0]
        white = solve_triangular(factor, fnp.reshape(distance, (-1, n)).T, lower=True)
        square = fnp.reshape(fnp.sum(white * white, axis=0), shape[:-1])
        return square, 2 * fnp.sum(log(fnp.diagonal(factor))) + n * math.log(2 * math.pi)

    def _singular(self, distance: Any, cov: Any) -> tuple[Any, Any]:
        """The same on the space that the covariance spans; off it the distance is infinite."""
        values, vectors = fnp.linalg.eigh(cov)
        dtype = aval_of(values).dtype
        least = (1e6 if dtype == np.float64 else 1e3) * float_info(dtype).eps * fnp.max(fnp.abs(values))
        spans = values > least
        root = fnp.sqrt(where(spans, values, 1.0))
        white = distance @ vectors
        off = fnp.sqrt(fnp.sum(where(spans, 0.0, white * white), axis=-1))
        square = fnp.sum(where(spans, white / root, 0.0) ** 2, axis=-1)
        level = fnp.sum(where(spans, 2 * log(root) + math.log(2 * math.pi), 0.0))
        return where(off < 1e3 * least, square, np.inf), level


class Dirichlet:
    """The Dirichlet distribution of shares that sum to one, as `scipy.stats.dirichlet`; `alpha` is `(n,)`, positive.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.dirichlet.pdf(np.array([0.2, 0.8]), np.array([2.0, 3.0]))
    Array(1.536)
    """

    def logpdf(self, x: Any, alpha: Any) -> Any:
        """The logarithm of the density at shares `(n, ...)`, or `(n - 1, ...)` without the last one.

        `-inf` where they are negative or do not sum to one.
        """
        x, alpha = of_one_dtype(x, alpha, small=False)
        self._check(alpha)
        n = aval_of(alpha).shape[0]
        if aval_of(x).ndim == 0 or aval_of(x).shape[0] not in (n, n - 1):
            raise ShapeError(f"dirichlet takes {n} shares along the first axis, or {n - 1}, got {aval_of(x).shape}")
        if aval_of(x).shape[0] == n - 1:
            x = fnp.concatenate([x, 1 - fnp.sum(x, axis=0, keepdims=True)], axis=0)
        with _quiet():
            powers = fnp.reshape(alpha, (n,) + (1,) * (aval_of(x).ndim - 1)) - 1
            inside = fnp.all(x >= 0, axis=0) & (fnp.abs(fnp.sum(x, axis=0) - 1) < 1e-5)
            total = fnp.sum(xlogy(powers, where(inside, x, 1 / n)), axis=0)
            level = lgamma(fnp.sum(alpha)) - fnp.sum(lgamma(alpha))
            return where(fnp.all(alpha > 0), where(inside, total + level, -np.inf), np.nan)

    def pdf(self, x: Any, alpha: Any) -> Any:
        """The density."""
        return exp(self.logpdf(x, alpha))

    def mean(self, alpha: Any) -> Any:
        """The means of the shares."""
        (alpha,) = of_one_dtype(alpha, small=False)
        self._check(alpha)
        return alpha / fnp.sum(alpha)

    def var(self, alpha: Any) -> Any:
        """The variances of the shares."""
        (alpha,) = of_one_dtype(alpha, small=False)
        self._check(alpha)
        total = fnp.sum(alpha)
        return alpha * (total - alpha) / (total * total * (total + 1))

    def cov(self, alpha: Any) -> Any:
        """The covariances of the shares."""
        mean = self.mean(alpha)
        return (fnp.diag(mean) - fnp.outer(mean, mean)) / (fnp.sum(of_one_dtype(alpha)[0]) + 1)

    def entropy(self, alpha: Any) -> Any:
        """The differential entropy."""
        (alpha,) = of_one_dtype(alpha, small=False)
        self._check(alpha)
        total, n = fnp.sum(alpha), aval_of(alpha).shape[0]
        level = fnp.sum(lgamma(alpha)) - lgamma(total)
        return level + (total - n) * digamma(total) - fnp.sum((alpha - 1) * digamma(alpha))

    def _check(self, alpha: Any) -> None:
        if aval_of(alpha).ndim != 1:
            raise ShapeError(f"dirichlet takes a vector alpha, got an array {aval_of(alpha).shape}")


class Multinomial:
    """How often each of several outcomes occurs in `n` trials, as `scipy.stats.multinomial`.

    `p` is `(..., k)`, probabilities that sum to one.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.multinomial.pmf(np.array([1, 2]), 3, np.array([0.4, 0.6]))
    Array(0.432)
    """

    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """The logarithm of the probability of counts `(..., k)`; `-inf` where they do not sum to `n`."""
        if not aval_of(fnp.asarray(x)).ndim or not aval_of(fnp.asarray(p)).ndim:
            raise ShapeError("multinomial takes counts and probabilities along the last axis, got a number")
        x, n, p = of_one_dtype(x, n, p, small=False)
        with _quiet():
            inside = fnp.all((x >= 0) & (x == floor(x)), axis=-1) & (fnp.sum(x, axis=-1) == n)
            counts = where(inside[..., None], x, 0.0)
            value = lgamma(n + 1) + fnp.sum(xlogy(counts, p) - lgamma(counts + 1), axis=-1)
            valid = (n >= 0) & (n == floor(n)) & fnp.all((p >= 0) & (p <= 1), axis=-1)
            return where(valid, where(inside, value, -np.inf), np.nan)

    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """The probability of counts."""
        return exp(self.logpmf(x, n, p))

    def mean(self, n: Any, p: Any) -> Any:
        """The mean counts."""
        n, p = of_one_dtype(n, p, small=False)
        return n[..., None] * p

    def cov(self, n: Any, p: Any) -> Any:
        """The covariances of the counts."""
        n, p = of_one_dtype(n, p, small=False)
        eye = fnp.eye(aval_of(p).shape[-1], dtype=aval_of(p).dtype)
        return n[..., None, None] * (p[..., None] * eye - p[..., None] * p[..., None, :])


multivariate_normal = MultivariateNormal()
dirichlet = Dirichlet()
multinomial = Multinomial()

__all__ = ["dirichlet", "multinomial", "multivariate_normal"]
