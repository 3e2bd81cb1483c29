"""More statistics of samples: trimmed and limited ones, those of angles, power transforms, distances between samples.

SciPy's own functions of plain arrays, and their traced forms, which take `nan_policy="propagate"` alone, the default.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, ShapeError
from functrans.scipy.dispatch import implements, inexact, of_one_dtype
from functrans.scipy.stats.samples import _along, _propagating, _size, _weighted, _weighted_mean

__all__ = [
    "boxcox", "boxcox_llf", "circmean", "circstd", "circvar", "energy_distance", "gstd", "median_abs_deviation",
    "pmean", "tmax", "tmean", "tmin", "trim_mean", "tsem", "tstd", "tvar", "variation", "wasserstein_distance",
    "yeojohnson", "yeojohnson_llf",
]  # fmt: skip

_stats = implements("scipy.stats")


@_stats
def variation(a: Any, axis: Any = 0, nan_policy: str = "propagate", ddof: int = 0, *, keepdims: bool = False) -> Any:
    """The standard deviation relative to the mean, as `scipy.stats.variation`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.variation(np.array([1.0, 3.0]))
    Array(0.5)
    """
    _propagating("variation", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    mean = fnp.mean(a, axis=axis)
    spread = fnp.std(a, axis=axis, ddof=ddof) if ddof < _size(a, axis) else fnp.abs(mean) * math.inf
    if ddof > _size(a, axis):
        spread = spread * math.nan
    return shaped(spread / mean)


@_stats
def gstd(a: Any, axis: Any = 0, ddof: int = 1, *, keepdims: bool = False, nan_policy: str = "propagate") -> Any:
    """The geometric standard deviation, as `scipy.stats.gstd`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.gstd(np.array([1.0, 2.0, 4.0]))
    Array(2.)
    """
    _propagating("gstd", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    return shaped(fnp.exp(fnp.std(fnp.log(a), axis=axis, ddof=ddof)))


@_stats
def pmean(
    a: Any, p: Any, *, axis: Any = 0, dtype: Any = None, weights: Any = None, nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The power mean of positive numbers, the geometric one for the power 0, as `scipy.stats.pmean`.

    A traced power must not be zero.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.pmean(np.array([1.0, 7.0]), 2)
    Array(5.)
    """
    _propagating("pmean", nan_policy)
    a, weights = _weighted(a, dtype, weights)
    if aval_of(p).ndim:
        raise ArgumentError(f"pmean takes a number as its power, got an array {aval_of(p)}")
    if not isinstance(p, Tracer):
        p = float(p)
        if p == 0:
            return fnp.exp(_weighted_mean(fnp.log(a), axis, weights, keepdims))
    return _weighted_mean(a**p, axis, weights, keepdims) ** (1 / p)


@_stats
def median_abs_deviation(
    x: Any, axis: Any = 0, center: Any = None, scale: Any = 1.0, nan_policy: str = "propagate", *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The median of the distances from the median, or from what `center(x, axis=...)` gives.

    As `scipy.stats.median_abs_deviation`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.median_abs_deviation(np.array([1.0, 2.0, 4.0]))
    Array(1.)
    """
    _propagating("median_abs_deviation", nan_policy)
    if isinstance(scale, str) and scale != "normal":
        raise ArgumentError(f"median_abs_deviation takes a number or 'normal' as its scale, got {scale!r}")
    scale = 0.6744897501960817 if isinstance(scale, str) else scale
    x, axis, shaped = _along(inexact(x), axis, keepdims)
    middle = (fnp.median if center is None else center)(x, axis=axis)
    return shaped(fnp.median(fnp.abs(x - fnp.expand_dims(middle, axis)), axis=axis) / scale)


# ---------------------------------------------------------------- within limits


def _inside(a: Any, limits: Any, inclusive: Any) -> Any:
    low, high = limits if limits is not None else (None, None)
    mask = fnp.ones(aval_of(a).shape, bool)
    if low is not None:
        mask = mask & ((a >= low) if inclusive[0] else (a > low))
    if high is not None:
        mask = mask & ((a <= high) if inclusive[1] else (a < high))
    return mask


def _moments(a: Any, limits: Any, inclusive: Any, axis: Any, ddof: int, keepdims: bool) -> tuple[Any, Any, Any, Any]:
    """How many values lie inside, their mean and variance, NaN where there are none; and the shape of results."""
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    mask = _inside(a, limits, inclusive)
    n = fnp.sum(mask, axis=axis)
    some = fnp.maximum(n, 1)
    mean = fnp.sum(fnp.where(mask, a, 0.0), axis=axis) / some
    apart = fnp.where(mask, a - fnp.expand_dims(mean, axis), 0.0)
    enough = n > ddof
    variance = fnp.sum(apart * apart, axis=axis) / fnp.where(enough, n - ddof, 1)
    return n, fnp.where(n > 0, mean, np.nan), fnp.where(enough, variance, np.nan), shaped


@_stats
def tmean(
    a: Any, limits: Any = None, inclusive: Any = (True, True), axis: Any = None, *, nan_policy: str = "propagate",
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The mean of the values within limits, as `scipy.stats.tmean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tmean(np.array([1.0, 2.0, 9.0]), (0.0, 5.0))
    Array(1.5)
    """
    _propagating("tmean", nan_policy)
    _, mean, _, shaped = _moments(a, limits, inclusive, axis, 0, keepdims)
    return shaped(mean)


@_stats
def tvar(
    a: Any, limits: Any = None, inclusive: Any = (True, True), axis: Any = 0, ddof: int = 1, *,
    nan_policy: str = "propagate", keepdims: bool = False,
) -> Any:  # fmt: skip
    """The variance of the values within limits, as `scipy.stats.tvar`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tvar(np.array([1.0, 3.0, 90.0]), (0.0, 5.0))
    Array(2.)
    """
    _propagating("tvar", nan_policy)
    _, _, variance, shaped = _moments(a, limits, inclusive, axis, ddof, keepdims)
    return shaped(variance)


@_stats
def tstd(
    a: Any, limits: Any = None, inclusive: Any = (True, True), axis: Any = 0, ddof: int = 1, *,
    nan_policy: str = "propagate", keepdims: bool = False,
) -> Any:  # fmt: skip
    """The standard deviation of the values within limits, as `scipy.stats.tstd`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tstd(np.array([1.0, 3.0, 90.0]), (0.0, 5.0))
    Array(1.41421356)
    """
    _propagating("tstd", nan_policy)
    _, _, variance, shaped = _moments(a, limits, inclusive, axis, ddof, keepdims)
    return shaped(fnp.sqrt(variance))


@_stats
def tsem(
    a: Any, limits: Any = None, inclusive: Any = (True, True), axis: Any = 0, ddof: int = 1, *,
    nan_policy: str = "propagate", keepdims: bool = False,
) -> Any:  # fmt: skip
    """The standard error of the mean of the values within limits, as `scipy.stats.tsem`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tsem(np.array([1.0, 3.0, 90.0]), (0.0, 5.0))
    Array(1.)
    """
    _propagating("tsem", nan_policy)
    n, _, variance, shaped = _moments(a, limits, inclusive, axis, ddof, keepdims)
    return shaped(fnp.sqrt(variance / fnp.maximum(n, 1)))


def _extreme(name: str, a: Any, limit: Any, axis: Any, inclusive: bool, nan_policy: str, keepdims: bool) -> Any:
    _propagating(name, nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    limits = (limit, None) if name == "tmin" else (None, limit)
    mask = _inside(a, limits, (inclusive, inclusive))
    blank = np.inf if name == "tmin" else -np.inf
    reduce = fnp.min if name == "tmin" else fnp.max
    out = reduce(fnp.where(mask | fnp.isnan(a), a, blank), axis=axis)
    return shaped(fnp.where(fnp.any(mask, axis=axis), out, np.nan))


@_stats
def tmin(
    a: Any, lowerlimit: Any = None, axis: Any = 0, inclusive: bool = True, nan_policy: str = "propagate", *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The least value not below a limit, as `scipy.stats.tmin`; traced ones are floats.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tmin(np.array([1.0, 2.0, 9.0]), 1.5)
    Array(2.)
    """
    return _extreme("tmin", a, lowerlimit, axis, inclusive, nan_policy, keepdims)


@_stats
def tmax(
    a: Any, upperlimit: Any = None, axis: Any = 0, inclusive: bool = True, nan_policy: str = "propagate", *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The largest value not above a limit, as `scipy.stats.tmax`; traced ones are floats.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.tmax(np.array([1.0, 2.0, 9.0]), 5.0)
    Array(2.)
    """
    return _extreme("tmax", a, upperlimit, axis, inclusive, nan_policy, keepdims)


@_stats
def trim_mean(
    a: Any, proportiontocut: float, axis: Any = 0, *, nan_policy: str = "propagate", keepdims: bool = False
) -> Any:
    """The mean without a share of the least and of the largest values, as `scipy.stats.trim_mean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.trim_mean(np.array([1.0, 2.0, 3.0, 90.0]), 0.25)
    Array(2.5)
    """
    _propagating("trim_mean", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    n = _size(a, axis)
    cut = int(proportiontocut * n)
    if 2 * cut >= n:
        raise ArgumentError(f"trim_mean: a share of {proportiontocut} cut off both ends leaves nothing of {n} values")
    ordered = fnp.moveaxis(fnp.sort(a, axis=axis), axis, 0)
    return shaped(fnp.mean(ordered[cut : n - cut], axis=0))


# ---------------------------------------------------------------- angles


def _resultant(name: str, samples: Any, high: Any, low: Any, axis: Any, nan_policy: str, keepdims: bool) -> Any:
    """The mean of the points of a circle that angles stand for, and how results get their shape."""
    _propagating(name, nan_policy)
    samples, axis, shaped = _along(inexact(samples), axis, keepdims)
    angle = (samples - low) * (2 * math.pi) / (high - low)
    return fnp.mean(fnp.sin(angle), axis=axis), fnp.mean(fnp.cos(angle), axis=axis), shaped


@_stats
def circmean(
    samples: Any, high: Any = 2 * math.pi, low: Any = 0, axis: Any = None, nan_policy: str = "propagate", *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """The mean of angles, in `[low, high)`, as `scipy.stats.circmean`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.circmean(np.array([0.1, 2 * np.pi + 0.3]))
    Array(0.2)
    """
    sine, cosine, shaped = _resultant("circmean", samples, high, low, axis, nan_policy, keepdims)
    angle = fnp.arctan2(sine, cosine) % (2 * math.pi)
    return shaped(angle * (high - low) / (2 * math.pi) + low)


@_stats
def circvar(
    samples: Any, high: Any = 2 * math.pi, low: Any = 0, axis: Any = None, nan_policy: str = "propagate", *,
    keepdims: bool = False,
) -> Any:  # fmt: skip
    """One less the length of the mean of points of a circle, as `scipy.stats.circvar`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.circvar(np.array([0.0, np.pi / 2]))
    Array(0.29289322)
    """
    sine, cosine, shaped = _resultant("circvar", samples, high, low, axis, nan_policy, keepdims)
    return shaped(1.0 - fnp.minimum(fnp.hypot(sine, cosine), 1.0))


@_stats
def circstd(
    samples: Any, high: Any = 2 * math.pi, low: Any = 0, axis: Any = None, nan_policy: str = "propagate", *,
    normalize: bool = False, keepdims: bool = False,
) -> Any:  # fmt: skip
    """The standard deviation of angles, as `scipy.stats.circstd`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.circstd(np.array([0.1, 0.3]))
    Array(0.10008352)
    """
    sine, cosine, shaped = _resultant("circstd", samples, high, low, axis, nan_policy, keepdims)
    spread = fnp.sqrt(-2 * fnp.log(fnp.minimum(fnp.hypot(sine, cosine), 1.0)))
    return shaped(spread if normalize else spread * (high - low) / (2 * math.pi))


# ---------------------------------------------------------------- power transforms


def _power(name: str, lmbda: Any) -> Any:
    if lmbda is None:
        raise ConcretizationError(
            f"{name} of a traced array takes the power as lmbda=; the likeliest one can be found by "
            f"functrans.scipy.optimize.minimize of -{name}_llf(lmbda, x)"
        )
    return fnp.asarray(lmbda)


@_stats
def boxcox(x: Any, lmbda: Any = None, alpha: Any = None, optimizer: Any = None) -> Any:
    """The power transform of Box and Cox, of positive numbers, as `scipy.stats.boxcox`; traced, it needs `lmbda`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.boxcox(np.array([1.0, 4.0]), 0.5)
    Array([0., 2.])
    """
    from functrans.lax.special import boxcox as transform

    if alpha is not None:
        raise ArgumentError("boxcox of a traced array takes no alpha")
    return transform(inexact(x), _power("boxcox", lmbda))


@_stats
def boxcox_llf(lmb: Any, data: Any, *, axis: Any = 0, keepdims: bool = False, nan_policy: str = "propagate") -> Any:
    """The log-likelihood of a power of `boxcox`, as `scipy.stats.boxcox_llf`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.boxcox_llf(0.5, np.array([1.0, 2.0, 4.0]))
    Array(-0.44616999)
    """
    from functrans.lax.special import boxcox as transform

    _propagating("boxcox_llf", nan_policy)
    data, axis, shaped = _along(inexact(data), axis, keepdims)
    n = _size(data, axis)
    lmb = fnp.asarray(lmb)
    spread = fnp.log(fnp.var(transform(data, lmb), axis=axis))
    return shaped((lmb - 1) * fnp.sum(fnp.log(data), axis=axis) - n / 2 * spread)


def _yeojohnson(x: Any, lmbda: Any) -> Any:
    from functrans.lax.special import boxcox as transform

    up = x >= 0
    return fnp.where(up, transform(1 + fnp.where(up, x, 0.0), lmbda), -transform(1 - fnp.where(up, 0.0, x), 2 - lmbda))


@_stats
def yeojohnson(x: Any, lmbda: Any = None) -> Any:
    """The power transform of Yeo and Johnson, as `scipy.stats.yeojohnson`; traced, `lmbda` must be given.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.yeojohnson(np.array([0.0, 3.0]), 0.5)
    Array([0., 2.])
    """
    return _yeojohnson(inexact(x), _power("yeojohnson", lmbda))


@_stats
def yeojohnson_llf(lmb: Any, data: Any, *, axis: Any = 0, nan_policy: str = "propagate", keepdims: bool = False) -> Any:
    """The log-likelihood of a power of `yeojohnson`, as `scipy.stats.yeojohnson_llf`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.yeojohnson_llf(0.5, np.array([1.0, 2.0, 4.0]))
    Array(-0.52926737)
    """
    _propagating("yeojohnson_llf", nan_policy)
    data, axis, shaped = _along(inexact(data), axis, keepdims)
    lmb = fnp.asarray(lmb)
    spread = fnp.log(fnp.var(_yeojohnson(data, lmb), axis=axis))
    grown = fnp.sum(fnp.sign(data) * fnp.log1p(fnp.abs(data)), axis=axis)
    return shaped((lmb - 1) * grown - _size(data, axis) / 2 * spread)


# ---------------------------------------------------------------- distances


def _steps(name: str, u: Any, v: Any, u_weights: Any, v_weights: Any) -> tuple[Any, Any]:
    """The distances between all values in order, and there the difference of the two distribution functions."""
    values, weights = [], []
    for a, w in ((u, u_weights), (v, v_weights)):
        a = inexact(a)
        if aval_of(a).ndim != 1 or not aval_of(a).size:
            raise ShapeError(f"{name} takes vectors with elements, got shape {aval_of(a).shape}")
        w = fnp.ones(aval_of(a).shape, aval_of(a).dtype) if w is None else inexact(w)
        if aval_of(w).shape != aval_of(a).shape:
            raise ShapeError(f"{name} takes one weight for each value, got {aval_of(w).shape} for {aval_of(a).shape}")
        values.append(a)
        weights.append(w / fnp.sum(w))
    both = fnp.concatenate(of_one_dtype(*values))
    signed = fnp.concatenate([weights[0], -weights[1]])
    order = fnp.argsort(both)
    return fnp.diff(both[order]), fnp.cumsum(signed[order])[:-1]


@_stats
def wasserstein_distance(u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
    """How far a distribution of points has to be moved to become another, as `scipy.stats.wasserstein_distance`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.wasserstein_distance(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    Array(1.)
    """
    apart, difference = _steps("wasserstein_distance", u_values, v_values, u_weights, v_weights)
    return fnp.sum(fnp.abs(difference) * apart)


@_stats
def energy_distance(u_values: Any, v_values: Any, u_weights: Any = None, v_weights: Any = None) -> Any:
    """The energy distance of two distributions of points, as `scipy.stats.energy_distance`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.energy_distance(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    Array(1.)
    """
    apart, difference = _steps("energy_distance", u_values, v_values, u_weights, v_weights)
    return math.sqrt(2) * fnp.sqrt(fnp.sum(difference**2 * apart))
