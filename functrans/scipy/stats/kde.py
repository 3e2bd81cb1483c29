"""Kernel estimates of densities, as `scipy.stats.gaussian_kde`.

Source: Scott: Multivariate density estimation (1992), also for the width of the kernels.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import random
from functrans.core.avals import aval_of, kind_of
from functrans.core.pytree import GetAttrKey, register_pytree_with_keys
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.special import ndtr
from functrans.scipy.linalg import solve_triangular
from functrans.scipy.special import logsumexp


class gaussian_kde:
    """The density of which a sample is, as a mean of normal densities around the sample's points.

    Args:
        dataset: `(n,)`, or `(d, n)`: `n` points of `d` dimensions, more than `d`.
        bw_method: the width of a kernel relative to the sample's: `"scott"` (default), `"silverman"`, a number, or a
            function of this object.
        weights: `(n,)`; equal ones by default.

    A pytree of arrays, differentiable by the points at which it is evaluated, the sample, the weights and the width.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> kde = stats.gaussian_kde(np.array([-1.0, 0.0, 0.5, 2.0]))
    >>> kde(np.array([0.0, 1.0]))
    Array([0.26851977, 0.22354751])
    """

    dataset: Any
    weights: Any
    factor: Any
    covariance: Any
    _parts = ("dataset", "weights", "factor", "covariance")

    def __init__(self, dataset: Any, bw_method: Any = None, weights: Any = None):
        dataset = fnp.atleast_2d(fnp.asarray(dataset))
        if kind_of(aval_of(dataset).dtype) != "f":
            dataset = dataset.astype(np.float64)
        if aval_of(dataset).ndim != 2 or aval_of(dataset).size < 2:
            raise ShapeError(f"gaussian_kde takes more than one point, (n,) or (d, n), got {aval_of(dataset).shape}")
        d, n = aval_of(dataset).shape
        if d > n:
            raise ShapeError(f"gaussian_kde takes more points than dimensions, got {n} points of {d} dimensions")
        if weights is None:
            weights = fnp.full((n,), 1 / n, aval_of(dataset).dtype)
        else:
            weights = fnp.asarray(weights).astype(aval_of(dataset).dtype)
            if aval_of(weights).shape != (n,):
                raise ShapeError(f"gaussian_kde takes one weight for each of {n} points, got {aval_of(weights).shape}")
            weights = weights / fnp.sum(weights)
        self.dataset, self.weights = dataset, weights
        self.factor = self._width(bw_method)
        distances = dataset - fnp.sum(dataset * weights, axis=1, keepdims=True)
        spread = (distances * weights) @ distances.T / (1 - fnp.sum(weights * weights))
        self.covariance = spread * self.factor**2

    def _width(self, method: Any) -> Any:
        if method is None or method == "scott":
            return self.scotts_factor()
        if isinstance(method, str):
            if method != "silverman":
                raise ArgumentError(
                    f"gaussian_kde takes the width scott, silverman, a number or a function: {method!r}"
                )
            return self.silverman_factor()
        return method(self) if callable(method) else fnp.asarray(method)

    def scotts_factor(self) -> Any:
        """Scott's width, `neff^(-1 / (d + 4))`."""
        return self.neff ** (-1 / (self.d + 4))

    def silverman_factor(self) -> Any:
        """Silverman's width."""
        return (self.neff * ((self.d + 2) / 4)) ** (-1 / (self.d + 4))

    @property
    def d(self) -> int:
        """The number of dimensions."""
        return aval_of(self.dataset).shape[0]

    @property
    def n(self) -> int:
        """The number of points."""
        return aval_of(self.dataset).shape[1]

    @property
    def neff(self) -> Any:
        """How many points of equal weight say as much."""
        return 1 / fnp.sum(self.weights * self.weights)

    def covariance_factor(self) -> Any:
        """The width of a kernel relative to the sample's."""
        return self.factor

    @property
    def inv_cov(self) -> Any:
        """The inverse of the covariance of a kernel."""
        return fnp.linalg.inv(self.covariance)

    def marginal(self, dimensions: Any) -> gaussian_kde:
        """The estimated density of some of the dimensions."""
        chosen = np.atleast_1d(dimensions)
        if chosen.dtype.kind not in "iu" or len(set((chosen % self.d).tolist())) < chosen.size:
            raise ArgumentError(f"marginal takes different dimensions by number, got {dimensions!r:.40}")
        if ((chosen < -self.d) | (chosen >= self.d)).any():
            raise ShapeError(f"marginal: an estimate of {self.d} dimensions has no dimension {dimensions!r:.40}")
        return gaussian_kde(self.dataset[chosen], self.factor, self.weights)

    def set_bandwidth(self, bw_method: Any = None) -> None:
        """Raises an error: an estimate is immutable. Make another one with the width."""
        raise ArgumentError(
            "an estimate is immutable: write gaussian_kde(kde.dataset, bw_method, kde.weights) for another width"
        )

    def logpdf(self, x: Any) -> Any:
        """The logarithm of the density at points `(m,)` or `(d, m)`."""
        points = self._points(x)
        factor = fnp.linalg.cholesky(self.covariance)
        here, there = (solve_triangular(factor, v, lower=True) for v in (points, self.dataset))
        square = fnp.sum((here[:, :, None] - there[:, None, :]) ** 2, axis=0)
        level = fnp.sum(fnp.log(fnp.diagonal(factor))) + self.d * math.log(2 * math.pi) / 2
        weights = fnp.broadcast_to(self.weights, aval_of(square).shape)
        return logsumexp(-square / 2, axis=1, b=weights) - level

    def evaluate(self, points: Any) -> Any:
        """The density at points `(m,)` or `(d, m)`."""
        return fnp.exp(self.logpdf(points))

    __call__ = evaluate

    def pdf(self, x: Any) -> Any:
        """The density at points `(m,)` or `(d, m)`."""
        return self.evaluate(x)

    def integrate_box_1d(self, low: Any, high: Any) -> Any:
        """The probability of an interval, in one dimension."""
        if self.d != 1:
            raise ShapeError(f"integrate_box_1d takes an estimate of one dimension, this has {self.d}")
        spread = fnp.sqrt(self.covariance[0, 0])
        below, above = (ndtr((fnp.asarray(v) - self.dataset[0]) / spread) for v in (low, high))
        return fnp.sum(self.weights * (above - below))

    def integrate_gaussian(self, mean: Any, cov: Any) -> Any:
        """The integral of the density's product with a normal density."""
        mean, cov = fnp.atleast_1d(fnp.asarray(mean)), fnp.atleast_2d(fnp.asarray(cov))
        if aval_of(mean).shape != (self.d,) or aval_of(cov).shape != (self.d, self.d):
            raise ShapeError(f"integrate_gaussian takes a mean ({self.d},) and a covariance ({self.d}, {self.d})")
        return fnp.sum(self.weights * fnp.exp(self._log_normal(self.dataset - mean[:, None], self.covariance + cov)))

    def integrate_kde(self, other: gaussian_kde) -> Any:
        """The integral of the product of two estimated densities."""
        if not isinstance(other, gaussian_kde) or other.d != self.d:
            raise ShapeError(f"integrate_kde takes another gaussian_kde of {self.d} dimensions")
        apart = fnp.reshape(self.dataset[:, :, None] - other.dataset[:, None, :], (self.d, self.n * other.n))
        terms = fnp.reshape(fnp.exp(self._log_normal(apart, self.covariance + other.covariance)), (self.n, other.n))
        return self.weights @ terms @ other.weights

    def _log_normal(self, apart: Any, cov: Any) -> Any:
        factor = fnp.linalg.cholesky(cov)
        square = fnp.sum(solve_triangular(factor, apart, lower=True) ** 2, axis=0)
        return -square / 2 - fnp.sum(fnp.log(fnp.diagonal(factor))) - self.d * math.log(2 * math.pi) / 2

    def resample(self, key: Any, shape: int | tuple[int, ...] = ()) -> Any:
        """A sample of the estimated density, `(d, *shape)`, by a key of `functrans.random`; as in JAX."""
        shape = (operator.index(shape),) if not isinstance(shape, tuple) else shape
        which, noise = random.split(key)
        points = self.dataset[:, random.choice(which, self.n, shape, p=self.weights)]
        normal = random.normal(noise, (self.d, *shape), aval_of(self.dataset).dtype)
        return points + fnp.tensordot(fnp.linalg.cholesky(self.covariance), normal, 1)

    def _points(self, x: Any) -> Any:
        points = fnp.atleast_2d(fnp.asarray(x))
        if aval_of(points).shape[0] != self.d:
            if self.d != 1 and aval_of(points).shape == (1, self.d):  # one point
                return points.T
            raise ShapeError(f"gaussian_kde: points have {self.d} dimensions, got an array {aval_of(points).shape}")
        return points


def _whole(_: Any, children: Any) -> gaussian_kde:
    out = object.__new__(gaussian_kde)
    out.__dict__.update(zip(gaussian_kde._parts, children, strict=True))
    return out


register_pytree_with_keys(
    gaussian_kde, lambda k: (tuple((GetAttrKey(p), getattr(k, p)) for p in gaussian_kde._parts), None), _whole
)
