"""Statistics of samples along an axis: SciPy's own functions of plain arrays, and their traced forms.

Traced forms take `nan_policy="propagate"` alone, SciPy's default.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.errors import ArgumentError
from functrans.lax.conversion import as_inexact
from functrans.numpy.dispatch import normalize_axis
from functrans.scipy.dispatch import implements, inexact, of_one_dtype

_stats = implements("scipy.stats")


class ModeResult(NamedTuple):
    """The most common value, and how often it occurs."""

    mode: Any
    count: Any


def _propagating(name: str, nan_policy: str) -> None:
    if nan_policy != "propagate":
        raise ArgumentError(f"{name} of a traced array takes nan_policy='propagate' alone, got {nan_policy!r}")


def _along(a: Any, axis: Any, keepdims: bool = False) -> tuple[Any, int, Any]:
    """The array and one axis to reduce; and how its results get their shape."""
    a = fnp.asarray(a)
    if axis is None:
        rank = aval_of(a).ndim
        return fnp.ravel(a), 0, lambda out: fnp.reshape(out, (1,) * rank) if keepdims else out
    axis = normalize_axis(axis, aval_of(a).ndim)
    return a, axis, lambda out: fnp.expand_dims(out, axis) if keepdims else out


def _size(a: Any, axis: int) -> int:
    return aval_of(a).shape[axis]


@_stats
def mode(a: Any, axis: Any = 0, nan_policy: str = "propagate", keepdims: bool = False) -> Any:
    """The most common value along an axis, the least one of several, as `scipy.stats.mode`.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.mode(np.array([3, 1, 2, 2, 3]))
    ModeResult(mode=Array(2), count=Array(2))
    """
    _propagating("mode", nan_policy)
    a, axis, shaped = _along(a, axis, keepdims)
    a = fnp.moveaxis(a, axis, -1)
    ordered = fnp.sort(a, axis=-1)
    first = _run_starts(ordered)
    count = fnp.arange(_size(a, -1)) - first + 1  # so far, in the run of equal values
    place = fnp.argmax(count, axis=-1)[..., None]
    value, times = (fnp.take_along_axis(v, place, axis=-1)[..., 0] for v in (ordered, count))
    return ModeResult(shaped(value), shaped(times))


def _run_starts(ordered: Any) -> Any:
    """Where, along the last axis of ordered values, the run of equal ones begins to which each belongs."""
    new = ordered[..., 1:] != ordered[..., :-1]
    begins = fnp.where(new, fnp.arange(1, _size(ordered, -1)), 0)
    zeros = fnp.zeros((*aval_of(ordered).shape[:-1], 1), begins.dtype)
    return lax.cummax(fnp.concatenate([zeros, begins], axis=-1), axis=aval_of(ordered).ndim - 1)


@_stats
def rankdata(a: Any, method: str = "average", *, axis: Any = None, nan_policy: str = "propagate") -> Any:
    """Ranks from 1 on along an axis, ties by `"average"`, `"min"`, `"max"`, `"dense"` or `"ordinal"`.

    As `scipy.stats.rankdata`.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.rankdata(np.array([30.0, 10.0, 10.0]))
    Array([3. , 1.5, 1.5])
    """
    _propagating("rankdata", nan_policy)
    if method not in ("average", "min", "max", "dense", "ordinal"):
        raise ArgumentError(f"rankdata takes the method average, min, max, dense or ordinal, got {method!r}")
    a, axis, _ = _along(a, axis)
    values = fnp.moveaxis(a, axis, -1)
    n = _size(values, -1)
    if n == 0:
        return fnp.zeros(aval_of(a).shape)
    order = fnp.argsort(values, axis=-1, kind="stable")
    place = fnp.argsort(order, axis=-1)
    ordered = fnp.take_along_axis(values, order, axis=-1)
    if method == "ordinal":
        ranks: Any = fnp.broadcast_to(fnp.arange(1, n + 1), aval_of(ordered).shape)
    elif method == "dense":
        new = (ordered[..., 1:] != ordered[..., :-1]).astype(np.int64)
        one = fnp.ones((*aval_of(ordered).shape[:-1], 1), np.int64)
        ranks = fnp.cumsum(fnp.concatenate([one, new], axis=-1), axis=-1)
    else:
        least = _run_starts(ordered) + 1
        most = n - fnp.flip(_run_starts(fnp.flip(ordered, -1)), -1)
        ranks = {"min": least, "max": most, "average": (least + most) / 2}[method]
    ranks = fnp.take_along_axis(ranks, place, axis=-1)
    if kind_of(aval_of(values).dtype) == "f":
        ranks = fnp.where(fnp.isnan(values).any(axis=-1, keepdims=True), np.nan, ranks)
    return fnp.moveaxis(ranks, -1, axis)


@_stats
def sem(a: Any, axis: Any = 0, ddof: int = 1, nan_policy: str = "propagate", *, keepdims: bool = False) -> Any:
    """The standard error of the mean, as `scipy.stats.sem`.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.sem(np.array([1.0, 2.0, 3.0, 4.0]))
    Array(0.64549722)
    """
    _propagating("sem", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    return shaped(fnp.std(a, axis=axis, ddof=ddof) / np.sqrt(_size(a, axis)).astype(aval_of(a).dtype))


@_stats
def zscore(a: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    """Distances from the mean in standard deviations, as `scipy.stats.zscore`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.zscore(np.array([1.0, 3.0]))
    Array([-1.,  1.])
    """
    return zmap(a, a, axis, ddof, nan_policy)


@_stats
def zmap(scores: Any, compare: Any, axis: Any = 0, ddof: int = 0, nan_policy: str = "propagate") -> Any:
    """Distances from the mean of `compare` in its standard deviations, as `scipy.stats.zmap`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.zmap(np.array([5.0]), np.array([1.0, 3.0]))
    Array([3.])
    """
    _propagating("zmap", nan_policy)
    scores, compare = inexact(scores), inexact(compare)
    mean = fnp.mean(compare, axis=axis, keepdims=True)
    return (scores - mean) / fnp.std(compare, axis=axis, ddof=ddof, keepdims=True)


@_stats
def moment(
    a: Any, order: Any = 1, axis: Any = 0, nan_policy: str = "propagate", *, center: Any = None, keepdims: bool = False
) -> Any:
    """The mean of a power of distances from the mean, or from `center`, as `scipy.stats.moment`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.moment(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    Array(1.25)
    """
    _propagating("moment", nan_policy)
    if not isinstance(order, (int, np.integer)) or order < 0:
        raise ArgumentError(f"moment of a traced array takes a whole number as its order, got {order!r:.40}")
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    return shaped(_central(a, int(order), axis, center))


def _central(a: Any, order: int, axis: int, center: Any = None) -> Any:
    if order == 0:
        return fnp.mean(a * 0 + 1, axis=axis)
    if order == 1 and center is None:
        return fnp.mean(a, axis=axis) * 0
    mean = fnp.mean(a, axis=axis, keepdims=True) if center is None else center
    return fnp.mean((a - mean) ** order, axis=axis)


def _standardised(a: Any, order: int, axis: int) -> Any:
    """A central moment relative to the variance; NaN where there is no variance but that of rounding."""
    variance, mean = _central(a, 2, axis), fnp.mean(a, axis=axis)
    flat = variance <= (float_info(aval_of(a).dtype).resolution * mean) ** 2
    ratio = _central(a, order, axis) / fnp.where(flat, 1.0, variance) ** (order / 2)
    return fnp.where(flat, np.nan, ratio)


@_stats
def skew(a: Any, axis: Any = 0, bias: bool = True, nan_policy: str = "propagate", *, keepdims: bool = False) -> Any:
    """The skewness, as `scipy.stats.skew`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.skew(np.array([1.0, 2.0, 6.0]))
    Array(0.59517006)
    """
    _propagating("skew", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    n, value = _size(a, axis), _standardised(a, 3, axis)
    if not bias and n > 2:
        value = value * (((n - 1.0) * n) ** 0.5 / (n - 2.0))
    return shaped(value)


@_stats
def kurtosis(
    a: Any,
    axis: Any = 0,
    fisher: bool = True,
    bias: bool = True,
    nan_policy: str = "propagate",
    *,
    keepdims: bool = False,
) -> Any:
    """The kurtosis, by default relative to that of the normal distribution, as `scipy.stats.kurtosis`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.kurtosis(np.array([1.0, 2.0, 3.0, 4.0]))
    Array(-1.36)
    """
    _propagating("kurtosis", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    n, value = _size(a, axis), _standardised(a, 4, axis)
    if not bias and n > 3:
        value = ((n**2 - 1.0) * value - 3 * (n - 1.0) ** 2) / ((n - 2) * (n - 3)) + 3.0
    return shaped(value - 3 if fisher else value)


@_stats
def iqr(
    x: Any,
    axis: Any = None,
    rng: tuple[float, float] = (25, 75),
    scale: Any = 1.0,
    nan_policy: str = "propagate",
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Any:
    """The distance between two percentiles, by default the quartiles, as `scipy.stats.iqr`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.iqr(np.array([1.0, 2.0, 3.0, 4.0]))
    Array(1.5)
    """
    _propagating("iqr", nan_policy)
    if scale == "normal":
        from scipy.special import erfinv

        scale = 2 * np.sqrt(2) * erfinv(0.5)
    elif isinstance(scale, str):
        raise ArgumentError(f"iqr takes a number or 'normal' as its scale, got {scale!r}")
    x = inexact(x)
    percentages = np.array(rng, aval_of(x).dtype)
    low, high = fnp.percentile(x, percentages, axis=axis, method=interpolation, keepdims=keepdims)
    return (high - low) / float(scale)


@_stats
def entropy(
    pk: Any,
    qk: Any = None,
    base: float | None = None,
    axis: Any = 0,
    *,
    nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:
    """The entropy of probabilities, or theirs relative to others; both are scaled to sum to one.

    As `scipy.stats.entropy`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.entropy(np.array([1.0, 1.0]), base=2)
    Array(1.)
    """
    from functrans.lax.special import entr, rel_entr

    _propagating("entropy", nan_policy)
    pk = inexact(pk)
    if qk is not None:
        pk, qk = fnp.broadcast_arrays(*of_one_dtype(pk, qk))
    pk = pk / fnp.sum(pk, axis=axis, keepdims=True)
    if qk is None:
        terms = entr(pk)
    else:
        terms = rel_entr(pk, qk / fnp.sum(qk, axis=axis, keepdims=True))
    total = fnp.sum(terms, axis=axis, keepdims=keepdims)
    return total if base is None else total / float(np.log(base))


@_stats
def gmean(
    a: Any, axis: Any = 0, dtype: Any = None, weights: Any = None, *, nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The geometric mean, as `scipy.stats.gmean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.gmean(np.array([1.0, 4.0]))
    Array(2.)
    """
    _propagating("gmean", nan_policy)
    a, weights = _weighted(a, dtype, weights)
    return fnp.exp(_weighted_mean(fnp.log(a), axis, weights, keepdims))


@_stats
def hmean(
    a: Any, axis: Any = 0, dtype: Any = None, *, weights: Any = None, nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The harmonic mean, as `scipy.stats.hmean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.hmean(np.array([1.0, 3.0]))
    Array(1.5)
    """
    _propagating("hmean", nan_policy)
    a, weights = _weighted(a, dtype, weights)
    return 1.0 / _weighted_mean(1.0 / a, axis, weights, keepdims)


def _weighted(a: Any, dtype: Any, weights: Any) -> tuple[Any, Any]:
    a = as_inexact(fnp.asarray(a), dtype)
    if weights is None:
        return a, None
    a, weights = of_one_dtype(a, weights)
    return a, fnp.broadcast_to(weights, aval_of(a).shape)


def _weighted_mean(a: Any, axis: Any, weights: Any, keepdims: bool) -> Any:
    if weights is None:
        return fnp.mean(a, axis=axis, keepdims=keepdims)
    return fnp.sum(a * weights, axis=axis, keepdims=keepdims) / fnp.sum(weights, axis=axis, keepdims=keepdims)
