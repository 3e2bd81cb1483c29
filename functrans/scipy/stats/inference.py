"""Correlations and tests of hypotheses: statistics of samples with the probabilities of such as large.

Results are named tuples with the fields `statistic` and `pvalue`, in SciPy's order. Traced arrays are taken with
`nan_policy="propagate"` alone, SciPy's default. Statistics and p-values have derivatives by the samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.numpy.dispatch import normalize_axis
from functrans.scipy.dispatch import inexact
from functrans.scipy.stats.gammas import beta, chi2, f, t
from functrans.scipy.stats.samples import _along, _propagating, _size, kurtosis, rankdata, skew

__all__ = [
    "chisquare", "f_oneway", "jarque_bera", "linregress", "pearsonr", "pointbiserialr", "power_divergence", "spearmanr",
    "ttest_1samp", "ttest_ind", "ttest_ind_from_stats", "ttest_rel",
]  # fmt: skip


class CorrelationResult(NamedTuple):
    """A coefficient of correlation, and how probable one as far from zero is if there is none."""

    statistic: Any
    pvalue: Any


class SignificanceResult(NamedTuple):
    """The statistic of a test, and how probable one as extreme is under the hypothesis."""

    statistic: Any
    pvalue: Any


class TtestResult(NamedTuple):
    """The statistic of a test by Student's distribution, how probable one as extreme is, and the degrees of freedom."""

    statistic: Any
    pvalue: Any
    df: Any


class LinregressResult(NamedTuple):
    """A straight line through points: its slope, value at zero, correlation, p-value of no slope, standard errors."""

    slope: Any
    intercept: Any
    rvalue: Any
    pvalue: Any
    stderr: Any
    intercept_stderr: Any


def _sided(name: str, distribution: Any, statistic: Any, alternative: str) -> Any:
    """The probability of a value as extreme as the statistic; two-sided of a symmetric distribution."""
    if alternative not in ("two-sided", "less", "greater"):
        raise ArgumentError(f"{name} takes the alternative 'two-sided', 'less' or 'greater', got {alternative!r}")
    if alternative == "two-sided":
        return 2 * distribution.sf(fnp.abs(statistic))
    return distribution.cdf(statistic) if alternative == "less" else distribution.sf(statistic)


# ---------------------------------------------------------------- correlation


def pearsonr(
    x: Any, y: Any, *, alternative: str = "two-sided", method: Any = None, axis: int | None = 0
) -> CorrelationResult:
    """Pearson's coefficient of correlation and its p-value, as `scipy.stats.pearsonr`.

    Args:
        x, y: samples of one shape, at least two values along the axis.
        alternative: `"two-sided"`, `"greater"` or `"less"`.
        method: `None`; SciPy's methods by resampling are not there.
        axis: the axis of the samples; `None` ravels them.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.pearsonr(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 5.0])).statistic
    Array(0.83152184)
    """
    if method is not None:
        raise ArgumentError(f"pearsonr takes method=None, got {method!r:.60}")
    x, y = fnp.broadcast_arrays(inexact(x), inexact(y))
    (x, axis, _), (y, _, _) = _along(x, axis), _along(y, axis)
    n = _size(x, axis)
    if n < 2:
        raise ShapeError(f"pearsonr takes at least two values along the axis, got shape {aval_of(x).shape}")
    x, y = (v - fnp.mean(v, axis=axis, keepdims=True) for v in (x, y))
    x, y = (v / fnp.sqrt(fnp.sum(v * v, axis=axis, keepdims=True)) for v in (x, y))
    r = fnp.clip(fnp.sum(x * y, axis=axis), -1.0, 1.0)
    if n == 2:  # any two points lie on a line
        return CorrelationResult(fnp.sign(r), r * 0 + 1)
    return CorrelationResult(r, _sided("pearsonr", beta(n / 2 - 1, n / 2 - 1, -1, 2), r, alternative))


def spearmanr(
    a: Any, b: Any = None, axis: int | None = 0, nan_policy: str = "propagate", alternative: str = "two-sided"
) -> CorrelationResult:
    """Spearman's coefficient of correlation, that of ranks, and its p-value, as `scipy.stats.spearmanr`.

    Args:
        a, b: vectors of at least three values; or matrices whose columns (`axis=0`) or rows (`axis=1`) are variables.
            `b` may be missing where `a` is a matrix.
        axis: the axis of the observations; `None` ravels both.
        alternative: `"two-sided"`, `"greater"` or `"less"`.

    Returns:
        Coefficient and p-value for two variables, else matrices of them for all pairs.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.spearmanr(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])).statistic
    Array(0.5)
    """
    _propagating("spearmanr", nan_policy)
    parts = [fnp.asarray(v) for v in ((a,) if b is None else (a, b))]
    if axis is None:
        parts, axis = [fnp.ravel(v) for v in parts], 0
    if any(aval_of(v).ndim not in (1, 2) for v in parts):
        raise ShapeError(f"spearmanr takes vectors and matrices, got shapes {[aval_of(v).shape for v in parts]}")
    if b is None and aval_of(parts[0]).ndim < 2:
        raise ShapeError("spearmanr of one vector needs another one as b")
    columns = []
    for v in parts:
        v = v[:, None] if aval_of(v).ndim == 1 else v if normalize_axis(axis, 2) == 0 else v.T
        columns.append(v)
    if len({_size(v, 0) for v in columns}) > 1:
        raise ShapeError(f"spearmanr: different numbers of observations, {[_size(v, 0) for v in columns]}")
    ranks = rankdata(fnp.concatenate(columns, axis=1), axis=0)
    n, variables = aval_of(ranks).shape
    if n < 3:
        raise ShapeError(f"spearmanr takes at least three observations, got {n}")
    r = fnp.corrcoef(ranks, rowvar=False)
    r = r[0, 1] if variables == 2 else r
    rest = fnp.maximum((1 + r) * (1 - r), 0.0)
    steep = fnp.where(rest == 0, r * np.inf, r * fnp.sqrt((n - 2) / fnp.where(rest == 0, 1.0, rest)))
    return CorrelationResult(r, _sided("spearmanr", t(n - 2), steep, alternative))


def pointbiserialr(
    x: Any, y: Any, *, axis: int | None = 0, nan_policy: str = "propagate", keepdims: bool = False
) -> CorrelationResult:
    """The correlation of booleans with numbers, as `scipy.stats.pointbiserialr`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.pointbiserialr(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])).statistic
    Array(0.89442719)
    """
    _propagating("pointbiserialr", nan_policy)
    out = pearsonr(inexact(x), y, axis=axis)
    return CorrelationResult(*(fnp.expand_dims(v, axis or 0) for v in out)) if keepdims else out


def linregress(
    x: Any, y: Any, alternative: str = "two-sided", *, axis: int = 0, nan_policy: str = "propagate",
    keepdims: bool = False,
) -> LinregressResult:  # fmt: skip
    """The straight line of least squares through points, as `scipy.stats.linregress`.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> line = stats.linregress(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.9, 5.1, 7.0]))
    >>> line.slope, line.intercept
    (Array(2.02), Array(0.97))
    """
    _propagating("linregress", nan_policy)
    if keepdims:
        line = linregress(x, y, alternative, axis=axis)
        return LinregressResult(*(fnp.expand_dims(v, axis) for v in line))
    x, y = fnp.broadcast_arrays(inexact(x), inexact(y))
    axis = normalize_axis(axis, aval_of(x).ndim)
    n = _size(x, axis)
    if n < 2:
        raise ShapeError(f"linregress takes at least two points, got {n}")
    xm, ym = (fnp.mean(v, axis=axis) for v in (x, y))
    dx, dy = (v - fnp.mean(v, axis=axis, keepdims=True) for v in (x, y))
    xx, yy, xy = (fnp.mean(v, axis=axis) for v in (dx * dx, dy * dy, dx * dy))
    flat = (xx == 0) | (yy == 0)
    r = fnp.where(flat, 0.0, fnp.clip(xy / fnp.where(flat, 1.0, fnp.sqrt(xx) * fnp.sqrt(yy)), -1.0, 1.0))
    slope = xy / xx
    intercept = ym - slope * xm
    if n == 2:
        blank = r * 0
        level = fnp.where(fnp.take(y, 0, axis) == fnp.take(y, 1, axis), 1.0, 0.0)
        return LinregressResult(slope, intercept, r, level, blank, blank)
    tiny = 1e-20
    steep = r * fnp.sqrt((n - 2) / ((1 - r + tiny) * (1 + r + tiny)))
    error = fnp.sqrt((1 - r**2) * yy / xx / (n - 2))
    pvalue = _sided("linregress", t(n - 2), steep, alternative)
    return LinregressResult(slope, intercept, r, pvalue, error, error * fnp.sqrt(xx + xm**2))


# ---------------------------------------------------------------- means


def _check_options(name: str, nan_policy: str, **options: Any) -> None:
    _propagating(name, nan_policy)
    for option, value in options.items():
        if value:
            raise ArgumentError(f"{name} takes no {option}={value!r:.40}; SciPy's own function does, on plain values")


def ttest_1samp(
    a: Any, popmean: Any, axis: int | None = 0, nan_policy: str = "propagate", alternative: str = "two-sided", *,
    keepdims: bool = False,
) -> TtestResult:  # fmt: skip
    """Whether the mean of a sample is a given one, as `scipy.stats.ttest_1samp`.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.ttest_1samp(np.array([5.1, 4.9, 5.6, 5.3]), 5.0).pvalue
    Array(0.22891...)
    """
    _propagating("ttest_1samp", nan_policy)
    a, axis, shaped = _along(inexact(a), axis, keepdims)
    n = _size(a, axis)
    popmean = fnp.asarray(popmean)
    if keepdims or aval_of(popmean).ndim == aval_of(a).ndim:
        popmean = fnp.squeeze(popmean, axis) if aval_of(popmean).ndim == aval_of(a).ndim else popmean
    spread = fnp.sqrt(fnp.var(a, axis=axis, ddof=1) / n)
    statistic = (fnp.mean(a, axis=axis) - popmean) / spread
    pvalue = _sided("ttest_1samp", t(n - 1), statistic, alternative)
    return TtestResult(shaped(statistic), shaped(pvalue), shaped(statistic * 0 + (n - 1)))


def ttest_rel(
    a: Any, b: Any, axis: int | None = 0, nan_policy: str = "propagate", alternative: str = "two-sided", *,
    keepdims: bool = False,
) -> TtestResult:  # fmt: skip
    """Whether two related samples have one mean, as `scipy.stats.ttest_rel`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.ttest_rel(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 5.0])).statistic
    Array(-5.)
    """
    a, b = inexact(a), inexact(b)
    if aval_of(a).shape != aval_of(b).shape:
        raise ShapeError(f"ttest_rel takes samples of one shape, got {aval_of(a).shape} and {aval_of(b).shape}")
    return ttest_1samp(a - b, 0.0, axis, nan_policy, alternative, keepdims=keepdims)


def ttest_ind(
    a: Any, b: Any, *, axis: int | None = 0, equal_var: bool = True, nan_policy: str = "propagate",
    alternative: str = "two-sided", trim: float = 0, method: Any = None, keepdims: bool = False,
) -> TtestResult:  # fmt: skip
    """Whether two independent samples have one mean, as `scipy.stats.ttest_ind`; Welch's test without `equal_var`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.ttest_ind(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])).statistic
    Array(-1.54919334)
    """
    _check_options("ttest_ind", nan_policy, trim=trim, method=method)
    (a, axis_a, shaped), (b, axis_b, _) = _along(inexact(a), axis, keepdims), _along(inexact(b), axis)
    parts = [(fnp.mean(v, axis=i), fnp.var(v, axis=i, ddof=1), _size(v, i)) for v, i in ((a, axis_a), (b, axis_b))]
    statistic, df = _of_two_means(*parts[0], *parts[1], equal_var)
    pvalue = _sided("ttest_ind", t(df), statistic, alternative)
    return TtestResult(shaped(statistic), shaped(pvalue), shaped(statistic * 0 + df))


def _of_two_means(m1: Any, v1: Any, n1: Any, m2: Any, v2: Any, n2: Any, equal_var: bool) -> tuple[Any, Any]:
    """Student's statistic of two means by their variances, and its degrees of freedom."""
    if equal_var:
        df = n1 + n2 - 2.0
        spread = ((n1 - 1) * v1 + (n2 - 1) * v2) / df * (1.0 / n1 + 1.0 / n2)
    else:
        first, second = v1 / n1, v2 / n2
        spread = first + second
        df = spread**2 / (first**2 / (n1 - 1) + second**2 / (n2 - 1))
    return (m1 - m2) / fnp.sqrt(spread), df


def ttest_ind_from_stats(
    mean1: Any, std1: Any, nobs1: Any, mean2: Any, std2: Any, nobs2: Any, equal_var: bool = True,
    alternative: str = "two-sided",
) -> SignificanceResult:  # fmt: skip
    """`ttest_ind` by means, standard deviations and sizes, as `scipy.stats.ttest_ind_from_stats`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.ttest_ind_from_stats(1.0, 1.0, 10, 2.0, 1.0, 10).statistic
    Array(-2.23606798)
    """
    m1, s1, n1, m2, s2, n2 = (inexact(v) for v in (mean1, std1, nobs1, mean2, std2, nobs2))
    statistic, df = _of_two_means(m1, s1**2, n1, m2, s2**2, n2, equal_var)
    return SignificanceResult(statistic, _sided("ttest_ind_from_stats", t(df), statistic, alternative))


def f_oneway(
    *samples: Any, axis: int | None = 0, equal_var: bool = True, nan_policy: str = "propagate", keepdims: bool = False
) -> SignificanceResult:
    """Whether samples have one mean, by the analysis of variance, as `scipy.stats.f_oneway`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.f_oneway(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])).statistic
    Array(2.4)
    """
    _check_options("f_oneway", nan_policy, unequal_variances=not equal_var)
    if len(samples) < 2:
        raise DTypeError(f"f_oneway takes at least two samples, got {len(samples)}")
    along = [_along(inexact(v), axis, keepdims) for v in samples]
    shaped = along[0][2]
    sizes = [_size(v, i) for v, i, _ in along]
    n, k = sum(sizes), len(samples)
    if min(sizes) < 1 or n <= k:
        raise ShapeError(f"f_oneway takes samples with more values than there are samples, got sizes {sizes}")
    offset = fnp.mean(fnp.concatenate([v for v, _, _ in along], axis=along[0][1]), axis=along[0][1], keepdims=True)
    means = [fnp.mean(v - offset, axis=i) for v, i, _ in along]
    between: Any = sum(m * m * size for m, size in zip(means, sizes)) / (k - 1)
    within = sum(fnp.var(v, axis=i) * size for (v, i, _), size in zip(along, sizes)) / (n - k)
    statistic = between / within
    return SignificanceResult(shaped(statistic), shaped(f.sf(statistic, k - 1, n - k)))


# ---------------------------------------------------------------- frequencies and shapes

_POWERS = {
    "pearson": 1, "log-likelihood": 0, "freeman-tukey": -0.5, "mod-log-likelihood": -1, "neyman": -2,
    "cressie-read": 2 / 3,
}  # fmt: skip


def power_divergence(
    f_obs: Any, f_exp: Any = None, ddof: Any = 0, axis: int | None = 0, lambda_: Any = None, *, keepdims: bool = False,
    nan_policy: str = "propagate",
) -> SignificanceResult:  # fmt: skip
    """How far frequencies are from expected ones, by Cressie and Read's family, as `scipy.stats.power_divergence`.

    Args:
        f_obs: frequencies; f_exp: expected ones, by default equal ones. Their sums have to agree, which is not checked
            of traced ones.
        ddof: taken off the degrees of freedom.
        lambda_: the power, a number or one of SciPy's names; 1, Pearson's statistic, by default.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.power_divergence(np.array([16.0, 18.0, 16.0, 14.0])).statistic
    Array(0.5)
    """
    _propagating("power_divergence", nan_policy)
    if isinstance(lambda_, str) and lambda_ not in _POWERS:
        raise ArgumentError(f"power_divergence takes lambda_ among {', '.join(_POWERS)}, got {lambda_!r}")
    power = _POWERS[lambda_] if isinstance(lambda_, str) else 1 if lambda_ is None else lambda_
    observed = inexact(f_obs)
    expected = None if f_exp is None else inexact(f_exp)
    if expected is not None:
        observed, expected = fnp.broadcast_arrays(observed, expected)
        expected, axis_, _ = _along(expected, axis)
    observed, axis_, shaped = _along(observed, axis, keepdims)
    if expected is None:
        expected = fnp.mean(observed, axis=axis_, keepdims=True)
    if power == 1:
        terms = (observed - expected) ** 2 / expected
    elif power == 0:
        terms = 2.0 * fnp.where(
            observed == 0, 0.0, observed * fnp.log(fnp.where(observed == 0, 1.0, observed) / expected)
        )
    elif power == -1:
        terms = 2.0 * expected * fnp.log(expected / observed)
    else:
        terms = observed * ((observed / expected) ** power - 1) / (0.5 * power * (power + 1))
    statistic = fnp.sum(terms, axis=axis_)
    df = _size(observed, axis_) - 1 - fnp.asarray(ddof)
    return SignificanceResult(shaped(statistic), shaped(chi2.sf(statistic, df)))


def chisquare(
    f_obs: Any, f_exp: Any = None, ddof: Any = 0, axis: int | None = 0, *, sum_check: bool = True,
    nan_policy: str = "propagate", keepdims: bool = False,
) -> SignificanceResult:  # fmt: skip
    """Pearson's test of frequencies, as `scipy.stats.chisquare`; sums are not checked.

    >>> import numpy as np
    >>> from functrans.scipy import stats
    >>> stats.chisquare(np.array([16.0, 18.0, 16.0, 14.0, 12.0, 12.0])).statistic
    Array(2.)
    """
    return power_divergence(f_obs, f_exp, ddof, axis, "pearson", keepdims=keepdims, nan_policy=nan_policy)


def jarque_bera(
    x: Any, *, axis: int | None = None, nan_policy: str = "propagate", keepdims: bool = False
) -> SignificanceResult:
    """Whether skewness and kurtosis are those of a normal distribution, as `scipy.stats.jarque_bera`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.stats.jarque_bera(np.array([1.0, 2.0, 3.0, 7.0])).statistic
    Array(0.59836573)
    """
    _propagating("jarque_bera", nan_policy)
    x, axis, shaped = _along(inexact(x), axis, keepdims)
    statistic = _size(x, axis) / 6 * (skew(x, axis=axis) ** 2 + kurtosis(x, axis=axis) ** 2 / 4)
    return SignificanceResult(shaped(statistic), shaped(fnp.exp(-statistic / 2)))
