"""Vector quantization and k-means, as `scipy.cluster.vq`: SciPy's own functions of plain arrays, and traced forms.

A traced k-means starts from given centroids, as it has no generator of random numbers, and runs as a loop that is
compiled. Its shape cannot depend on values: centroids without observations stay where they are, where SciPy's `kmeans`
drops them. Derivatives by the observations are those of the means at fixed labels.

Source: Lloyd: Least squares quantization in PCM (1982).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, is_inexact
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.loops import fori_loop, while_loop
from functrans.scipy.dispatch import implements, of_one_dtype

__all__ = ["kmeans", "kmeans2", "vq", "whiten"]

_vq = implements("scipy.cluster.vq")


def _observations(name: str, obs: Any, code_book: Any) -> tuple[Any, Any]:
    """Both with points along the first axis and one dtype."""
    obs, code_book = fnp.asarray(obs), fnp.asarray(code_book)
    if aval_of(obs).ndim != aval_of(code_book).ndim or aval_of(obs).ndim not in (1, 2):
        raise ShapeError(
            f"{name} takes observations and centroids both of one axis or both of two, got {aval_of(obs).shape} and "
            f"{aval_of(code_book).shape}"
        )
    if aval_of(obs).ndim == 2 and aval_of(obs).shape[1] != aval_of(code_book).shape[1]:
        raise ShapeError(
            f"{name}: observations of {aval_of(obs).shape[1]} features and centroids of {aval_of(code_book).shape[1]}"
        )
    obs, code_book = of_one_dtype(obs, code_book)
    return obs, code_book


def _nearest(points: Any, centroids: Any) -> tuple[Any, Any]:
    """The number of the nearest centroid, and the squared distance to it."""
    square = fnp.sum((points[:, None, :] - centroids[None, :, :]) ** 2, axis=-1)
    return fnp.argmin(square, axis=1), fnp.min(square, axis=1)


def _root(square: Any) -> Any:
    """The square root; its derivative is taken as zero at zero."""
    zero = square == 0
    return fnp.where(zero, 0.0, fnp.sqrt(fnp.where(zero, 1.0, square)))


def _columns(points: Any) -> Any:
    return points[:, None] if aval_of(points).ndim == 1 else points


def _means(points: Any, labels: Any, centroids: Any) -> Any:
    """The mean of each cluster; of an empty one the centroid that it has."""
    counts = fnp.zeros(aval_of(centroids).shape[0], aval_of(points).dtype).at[labels].add(1)
    totals = fnp.zeros_like(centroids).at[labels].add(points)
    empty = (counts == 0)[:, None]
    return fnp.where(empty, centroids, totals / fnp.where(empty, 1.0, counts[:, None]))


@_vq
def whiten(obs: Any, check_finite: Any = None) -> Any:
    """Observations with each feature divided by its standard deviation, as `scipy.cluster.vq.whiten`.

    >>> import numpy as np
    >>> from functrans.scipy.cluster.vq import whiten
    >>> whiten(np.array([[0.0, 1.0], [2.0, 5.0]]))
    Array([[0. , 0.5],
           [2. , 2.5]])
    """
    obs = fnp.asarray(obs)
    obs = obs if is_inexact(aval_of(obs).dtype) else obs.astype(np.float64)
    constant = fnp.all(obs == obs[:1], axis=0)  # whose deviation, zero, has no derivative
    count = fnp.arange(aval_of(obs).shape[0], dtype=aval_of(obs).dtype)
    other = fnp.reshape(count, (-1,) + (1,) * (aval_of(obs).ndim - 1))
    spread = fnp.std(fnp.where(constant, other, obs), axis=0)
    return obs / fnp.where(constant, 1.0, spread)


@_vq
def vq(obs: Any, code_book: Any, check_finite: bool = True) -> Any:
    """The number of the centroid nearest to each observation, and the distance, as `scipy.cluster.vq.vq`.

    Args:
        obs: `(m, n)`, or `(m,)` for one feature.
        code_book: centroids `(k, n)`, or `(k,)`.

    >>> import numpy as np
    >>> from functrans.scipy.cluster.vq import vq
    >>> vq(np.array([0.1, 0.9, 2.0]), np.array([0.0, 1.0]))
    (Array([0, 1, 1], dtype=int32), Array([0.1, 0.1, 1. ]))
    """
    obs, code_book = _observations("vq", obs, code_book)
    points, centroids = _columns(obs), _columns(code_book)
    labels, _ = _nearest(points, centroids)
    square = fnp.sum((points - centroids[labels]) ** 2, axis=-1)
    return labels.astype(np.int32), _root(square)


@_vq
def kmeans(
    obs: Any, k_or_guess: Any, iter: int = 20, thresh: float = 1e-05, check_finite: bool = True, *, rng: Any = None,
    seed: Any = None,
) -> Any:  # fmt: skip
    """Centroids of clusters, and the mean distance to them, as `scipy.cluster.vq.kmeans`.

    Args:
        obs: `(m, n)`, or `(m,)` for one feature.
        k_or_guess: the number of clusters, or, for a traced array, the centroids to start from.
        thresh: stop when the mean distance changes by no more.

    >>> import numpy as np
    >>> from functrans.scipy.cluster.vq import kmeans
    >>> kmeans(np.array([0.0, 0.2, 4.0, 4.4]), np.array([0.0, 1.0]))
    (Array([0.1, 4.2]), Array(0.15))
    """
    if not aval_of(fnp.asarray(k_or_guess)).ndim:
        raise ArgumentError("kmeans of a traced array starts from given centroids: pass them as k_or_guess")
    obs, guess = _observations("kmeans", obs, k_or_guess)
    points = _columns(obs)

    def distance(centroids: Any) -> tuple[Any, Any]:
        labels, square = _nearest(points, centroids)
        return labels, fnp.mean(_root(square))

    def turn(carry: Any) -> Any:
        centroids, labels, _, last = carry
        centroids = _means(points, labels, centroids)
        labels, mean = distance(centroids)
        return centroids, labels, last, mean

    labels, mean = distance(_columns(guess))
    start = (_columns(guess), labels, fnp.full_like(mean, np.inf), mean)
    centroids, _, _, mean = while_loop(lambda c: fnp.abs(c[2] - c[3]) > thresh, turn, start)
    return (centroids[:, 0] if aval_of(obs).ndim == 1 else centroids), mean


@_vq
def kmeans2(
    data: Any, k: Any, iter: int = 10, thresh: float = 1e-05, minit: str = "random", missing: str = "warn",
    check_finite: bool = True, *, rng: Any = None, seed: Any = None,
) -> Any:  # fmt: skip
    """Centroids after a number of rounds, and each observation's label, as `scipy.cluster.vq.kmeans2`.

    Args:
        data: `(m, n)`, or `(m,)` for one feature.
        k: the number of clusters, or, for a traced array, the centroids to start from, with `minit="matrix"`.
        iter: the number of rounds.

    >>> import numpy as np
    >>> from functrans.scipy.cluster.vq import kmeans2
    >>> kmeans2(np.array([0.0, 0.2, 4.0, 4.4]), np.array([0.0, 1.0]), minit="matrix")
    (Array([0.1, 4.2]), Array([0, 0, 1, 1], dtype=int32))
    """
    if minit != "matrix" or not aval_of(fnp.asarray(k)).ndim:
        raise ArgumentError("kmeans2 of a traced array starts from given centroids: pass them as k, and minit='matrix'")
    if operator.index(iter) < 1:
        raise ArgumentError(f"kmeans2 takes a positive number of rounds, got {iter}")
    data, start = _observations("kmeans2", data, k)
    points = _columns(data)

    def turn(_: Any, carry: Any) -> Any:
        centroids, _labels = carry
        labels = _nearest(points, centroids)[0]
        return _means(points, labels, centroids), labels

    none = fnp.zeros(aval_of(points).shape[0], np.int64)
    centroids, labels = fori_loop(0, operator.index(iter), turn, (_columns(start), none))
    return (centroids[:, 0] if aval_of(data).ndim == 1 else centroids), labels.astype(np.int32)
