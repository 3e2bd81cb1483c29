"""Distances between vectors and between all points of sets, as `scipy.spatial.distance`.

SciPy's own functions of plain arrays, and traced forms for the metrics of numbers. Matrices of distances are float64,
as in SciPy; under `jit` each is one loop nest, which holds no differences of points. Where two points coincide,
distances that are roots have derivative zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.api.vectorization import vmap
from functrans.core.avals import aval_of, kind_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.scipy.dispatch import implements, inexact
from functrans.scipy.special import rel_entr

__all__ = [
    "braycurtis", "canberra", "cdist", "chebyshev", "cityblock", "correlation", "cosine", "euclidean", "hamming",
    "jensenshannon", "mahalanobis", "minkowski", "pdist", "seuclidean", "sqeuclidean", "squareform",
]  # fmt: skip

_implements = implements("scipy.spatial.distance")

# ---------------------------------------------------------------- metrics, over the last axis


def _root(x: Any, p: Any = 2) -> Any:
    """`x ** (1 / p)` with derivative zero at zero."""
    zero = x == 0
    some = fnp.where(zero, 1.0, x)
    return fnp.where(zero, 0.0, fnp.sqrt(some) if type(p) is int and p == 2 else some ** (1.0 / p))


def _sum(x: Any, w: Any = None) -> Any:
    return fnp.sum(x if w is None else w * x, -1)


def _quotient(x: Any, y: Any) -> Any:
    """`x / y`, and zero where both are."""
    empty = (x == 0) & (y == 0)
    return fnp.where(empty, 0.0, x / fnp.where(empty, 1.0, y))


def _minkowski(u: Any, v: Any, p: Any = 2, w: Any = None) -> Any:
    if isinstance(p, (int, float)):
        if p <= 0:
            raise ArgumentError(f"minkowski takes p > 0, got {p}")
        if p == 2:
            return _root(_sum((u - v) ** 2, w))
        if p == 1:
            return _sum(fnp.abs(u - v), w)
        if p == np.inf:
            return _chebyshev(u, v, w)
    size = fnp.abs(u - v)
    zero = size == 0
    return _root(_sum(fnp.where(zero, 0.0, fnp.where(zero, 1.0, size) ** p), w), p)


def _chebyshev(u: Any, v: Any, w: Any = None) -> Any:
    size = fnp.abs(u - v)
    return fnp.max(size if w is None else fnp.where(fnp.asarray(w) > 0, size, 0.0), -1)


def _cosine(u: Any, v: Any, w: Any = None) -> Any:
    return fnp.clip(1.0 - _sum(u * v, w) / fnp.sqrt(_sum(u * u, w) * _sum(v * v, w)), 0.0, 2.0)


def _correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    if centered:
        share = 1.0 / aval_of(u).shape[-1] if w is None else fnp.asarray(w) / fnp.sum(w)
        u, v = (x - _sum(x, share)[..., None] for x in (u, v))
    return _cosine(u, v, w)


def _mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    d = u - v
    return _root(fnp.einsum("...i,ij,...j->...", d, VI, d))


def _jensenshannon(u: Any, v: Any, base: Any = None) -> Any:
    u, v = (x / fnp.sum(x, -1, keepdims=True) for x in (u, v))
    middle = (u + v) / 2
    divergence = _sum(rel_entr(u, middle)) + _sum(rel_entr(v, middle))
    return _root(fnp.maximum(divergence if base is None else divergence / fnp.log(base), 0.0) / 2)


_METRICS: dict[str, Callable[..., Any]] = {
    "braycurtis": lambda u, v, w=None: _sum(fnp.abs(u - v), w) / _sum(fnp.abs(u + v), w),
    "canberra": lambda u, v, w=None: _sum(_quotient(fnp.abs(u - v), fnp.abs(u) + fnp.abs(v)), w),
    "chebyshev": _chebyshev,
    "cityblock": lambda u, v, w=None: _minkowski(u, v, 1, w),
    "correlation": _correlation,
    "cosine": _cosine,
    "euclidean": lambda u, v, w=None: _minkowski(u, v, 2, w),
    "hamming": lambda u, v, w=None: (
        fnp.mean(u != v, -1) if w is None else _sum((u != v) * 1.0, w) / fnp.sum(w)
    ),
    "jensenshannon": _jensenshannon,
    "mahalanobis": _mahalanobis,
    "minkowski": _minkowski,
    "seuclidean": lambda u, v, V: _root(_sum((u - v) ** 2 / V)),
    "sqeuclidean": lambda u, v, w=None: _sum((u - v) ** 2, w),
}  # fmt: skip

# ---------------------------------------------------------------- two vectors


def _vectors(name: str, u: Any, v: Any) -> tuple[Any, Any]:
    u, v = inexact(u), inexact(v)
    if aval_of(u).ndim != 1 or aval_of(u).shape != aval_of(v).shape:
        raise ShapeError(f"{name} takes two vectors of one length, got {aval_of(u).shape} and {aval_of(v).shape}")
    if "c" in (kind_of(aval_of(u).dtype), kind_of(aval_of(v).dtype)):
        raise DTypeError(f"{name} of traced arrays takes real vectors")
    return u, v


@_implements
def euclidean(u: Any, v: Any, w: Any = None) -> Any:
    """The length of `u - v`, as `scipy.spatial.distance.euclidean`.

    Args:
        u, v: vectors of one length.
        w: a weight for each of their elements.

    >>> import functrans as ft, numpy as np
    >>> ft.grad(ft.scipy.spatial.distance.euclidean)(np.array([3.0, 4.0]), np.array([0.0, 0.0]))
    Array([0.6, 0.8])
    """
    return _METRICS["euclidean"](*_vectors("euclidean", u, v), w)


@_implements
def sqeuclidean(u: Any, v: Any, w: Any = None) -> Any:
    """The square of the length of `u - v`, as `scipy.spatial.distance.sqeuclidean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.sqeuclidean(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(5.)
    """
    return _METRICS["sqeuclidean"](*_vectors("sqeuclidean", u, v), w)


@_implements
def cityblock(u: Any, v: Any, w: Any = None) -> Any:
    """The sum of `|u - v|`, as `scipy.spatial.distance.cityblock`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.cityblock(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(3.)
    """
    return _METRICS["cityblock"](*_vectors("cityblock", u, v), w)


@_implements
def chebyshev(u: Any, v: Any, w: Any = None) -> Any:
    """The largest of `|u - v|` where the weight is above zero, as `scipy.spatial.distance.chebyshev`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.chebyshev(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(2.)
    """
    return _chebyshev(*_vectors("chebyshev", u, v), w)


@_implements
def minkowski(u: Any, v: Any, p: Any = 2, w: Any = None) -> Any:
    """The p-norm of `u - v`, as `scipy.spatial.distance.minkowski`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.minkowski(np.array([1.0, 2.0]), np.array([3.0, 1.0]), 1)
    Array(3.)
    """
    return _minkowski(*_vectors("minkowski", u, v), p, w)


@_implements
def cosine(u: Any, v: Any, w: Any = None) -> Any:
    """One minus the cosine of the angle between `u` and `v`, as `scipy.spatial.distance.cosine`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.cosine(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(0.29289322)
    """
    return _cosine(*_vectors("cosine", u, v), w)


@_implements
def correlation(u: Any, v: Any, w: Any = None, centered: bool = True) -> Any:
    """One minus the correlation of `u` and `v`, as `scipy.spatial.distance.correlation`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.correlation(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(2.)
    """
    return _correlation(*_vectors("correlation", u, v), w, centered)


@_implements
def canberra(u: Any, v: Any, w: Any = None) -> Any:
    """The sum of `|u - v| / (|u| + |v|)`, as `scipy.spatial.distance.canberra`; 0 / 0 is 0.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.canberra(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(0.83333333)
    """
    return _METRICS["canberra"](*_vectors("canberra", u, v), w)


@_implements
def braycurtis(u: Any, v: Any, w: Any = None) -> Any:
    """The sum of `|u - v|` over that of `|u + v|`, as `scipy.spatial.distance.braycurtis`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.braycurtis(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(0.42857143)
    """
    return _METRICS["braycurtis"](*_vectors("braycurtis", u, v), w)


@_implements
def hamming(u: Any, v: Any, w: Any = None) -> Any:
    """The share of elements that differ, as `scipy.spatial.distance.hamming`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.hamming(np.array([1.0, 2.0]), np.array([3.0, 1.0]))
    Array(1.)
    """
    return _METRICS["hamming"](*_vectors("hamming", u, v), w)


@_implements
def seuclidean(u: Any, v: Any, V: Any) -> Any:
    """The length of `(u - v) / sqrt(V)`, as `scipy.spatial.distance.seuclidean`; `V` are variances.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.seuclidean(np.array([1.0, 2.0]), np.array([3.0, 1.0]), np.array([4.0, 1.0]))
    1.4142135623730951
    """
    return _METRICS["seuclidean"](*_vectors("seuclidean", u, v), V)


@_implements
def mahalanobis(u: Any, v: Any, VI: Any) -> Any:
    """The length of `u - v` by the inverse covariance `VI`, as `scipy.spatial.distance.mahalanobis`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.mahalanobis(np.array([1.0, 2.0]), np.array([3.0, 1.0]), np.eye(2))
    Array(2.23606798)
    """
    return _mahalanobis(*_vectors("mahalanobis", u, v), VI)


@_implements
def jensenshannon(p: Any, q: Any, base: Any = None, *, axis: int = 0, keepdims: bool = False) -> Any:
    """The Jensen-Shannon distance of distributions along an axis, as `scipy.spatial.distance.jensenshannon`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.jensenshannon(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    Array(0.4645014)
    """
    p, q = (fnp.moveaxis(inexact(x), axis, -1) for x in (p, q))
    out = _jensenshannon(p, q, base)
    return fnp.expand_dims(out, axis) if keepdims else out


# ---------------------------------------------------------------- all pairs


def _points(name: str, x: Any) -> Any:
    x = fnp.asarray(x)
    if aval_of(x).ndim != 2:
        raise ShapeError(f"{name} takes points as the rows of a matrix, got shape {aval_of(x).shape}")
    if kind_of(aval_of(x).dtype) == "c":
        raise DTypeError(f"{name} of traced arrays takes real points")
    return x.astype(np.float64)


def _metric(name: str, metric: Any, points: Any, options: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """The metric over the last axis, with its options; those left out are estimated from all points, as SciPy does."""
    if callable(metric):
        return vmap(lambda u, v: fnp.asarray(metric(u, v, **options)))
    if metric not in _METRICS:
        raise ArgumentError(
            f"{name} of traced arrays knows no metric {metric!r:.40}; there are {', '.join(_METRICS)}, and functions "
            "of two vectors"
        )
    if metric == "seuclidean" and options.get("V") is None:
        options = {"V": fnp.var(points, 0, ddof=1)}
    if metric == "mahalanobis" and options.get("VI") is None:
        options = {"VI": fnp.linalg.inv(fnp.atleast_2d(fnp.cov(points.T)))}
    return lambda u, v: _METRICS[metric](u, v, **options)


@_implements
def cdist(XA: Any, XB: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """Distances from each row of `XA` to each row of `XB`, as `scipy.spatial.distance.cdist`.

    Args:
        XA, XB: points, `(m, n)` and `(k, n)`.
        metric: the name of a function of this module, or a function of two vectors.
        out: not for traced arrays.
        **kwargs: further arguments of the metric: `p`, `w`, `V`, `VI`.

    Returns:
        float64 `(m, k)`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.cdist(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    Array([[5., 1.]])
    """
    if out is not None:
        raise ArgumentError("cdist of traced arrays does not take out=: results are new arrays")
    XA, XB = _points("cdist", XA), _points("cdist", XB)
    (m, n), (k, other) = aval_of(XA).shape, aval_of(XB).shape
    if n != other:
        raise ShapeError(f"cdist takes points of as many coordinates, got {n} and {other}")
    distance = _metric("cdist", metric, fnp.concatenate([XA, XB]), kwargs)
    if callable(metric):
        pairs = (fnp.broadcast_to(x, (m, k, n)).reshape(m * k, n) for x in (XA[:, None], XB[None]))
        return distance(*pairs).reshape(m, k).astype(np.float64)
    return distance(XA[:, None], XB[None])


@_implements
def pdist(X: Any, metric: Any = "euclidean", *, out: Any = None, **kwargs: Any) -> Any:
    """Distances between the rows of `X`, as `scipy.spatial.distance.pdist`.

    Arguments are those of `cdist`. The result is a vector: first all distances from row 0, then those from row 1 to
    later ones, and so on; `squareform` makes a matrix of it.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.pdist(np.array([[0.0], [1.0], [3.0]]))
    Array([1., 3., 2.])
    """
    if out is not None:
        raise ArgumentError("pdist of traced arrays does not take out=: results are new arrays")
    X = _points("pdist", X)
    first, second = np.triu_indices(aval_of(X).shape[0], 1)
    return _metric("pdist", metric, X, kwargs)(X[first], X[second]).astype(np.float64)


@_implements
def squareform(X: Any, force: str = "no", checks: bool = True) -> Any:
    """The symmetric matrix of a vector as `pdist` gives it, or that vector of a matrix.

    As `scipy.spatial.distance.squareform`; whether a traced matrix is symmetric is not checked.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.spatial.distance.squareform(np.array([1.0, 3.0, 2.0]))
    Array([[0., 1., 3.],
           [1., 0., 2.],
           [3., 2., 0.]])
    """
    X = fnp.asarray(X)
    shape = aval_of(X).shape
    if (force.lower() == "tomatrix" and len(shape) != 1) or (force.lower() == "tovector" and len(shape) != 2):
        raise ShapeError(f"squareform with force={force!r} does not take shape {shape}")
    if len(shape) == 1:
        n = int(np.ceil(np.sqrt(2 * shape[0]))) if shape[0] else 1
        if n * (n - 1) != 2 * shape[0]:
            raise ShapeError(f"squareform takes a vector of n (n - 1) / 2 distances, got {shape[0]}")
        first, second = np.triu_indices(n, 1)
        upper = fnp.zeros((n, n), aval_of(X).dtype).at[first, second].set(X)
        return upper + upper.T
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(f"squareform takes a vector or a square matrix, got shape {shape}")
    return X[np.triu_indices(shape[0], 1)]
