"""Functions of samples, distributions of vectors and kernel estimates against SciPy's; traced forms; derivatives."""

import numpy as np
import pytest
import scipy.stats

import functrans as ft
from functrans.errors import ArgumentError, ShapeError
from functrans.scipy import stats
from functrans.testing import check_grads

rng = np.random.default_rng(5)
A = rng.gamma(2.0, size=(7, 4))
TIES = rng.integers(0, 4, (9, 3))

CALLS = [
    ("mode", TIES, {}), ("mode", TIES, {"axis": 1, "keepdims": True}), ("mode", TIES.astype(float), {"axis": None}),
    *[("rankdata", TIES, {"method": m, "axis": 0}) for m in ("average", "min", "max", "dense", "ordinal")],
    ("rankdata", A, {}), ("rankdata", np.array([[1.0, np.nan, 0.5], [1.0, 1.0, 0.0]]), {"axis": 1}),
    ("sem", A, {}), ("sem", A, {"axis": None, "ddof": 0, "keepdims": True}), ("sem", TIES, {"axis": -1}),
    ("zscore", A, {}), ("zscore", A, {"axis": None, "ddof": 1}), ("zscore", (10 * A).astype(int), {"axis": 1}),
    *[("moment", A, {"order": k, "axis": 1}) for k in (0, 1, 2, 5)], ("moment", A, {"order": 3, "center": 1.5}),
    ("skew", A, {}), ("skew", A, {"axis": None, "bias": False}), ("kurtosis", A, {}),
    ("kurtosis", A, {"axis": 1, "fisher": False, "bias": False, "keepdims": True}),
    ("iqr", A, {}), ("iqr", A, {"axis": 1, "rng": (10, 60), "scale": "normal", "keepdims": True}),
    ("entropy", A, {}), ("entropy", A, {"axis": 1, "base": 2.0, "keepdims": True}), ("entropy", A, {"qk": A[::-1]}),
    ("gmean", A, {}), ("gmean", A, {"axis": 1, "weights": [1.0, 2.0, 3.0, 0.5]}), ("hmean", A, {"axis": None}),
    ("hmean", A, {"weights": A[::-1]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "a", "options"), CALLS)
def test_functions_of_samples(name, a, options):
    fun = lambda a: getattr(stats, name)(a, **options)
    for array in (a, a.astype(np.float32)) if a.dtype == float else (a,):
        want = getattr(scipy.stats, name)(array, **options)
        for got in (fun(array), ft.jit(fun)(array)):
            for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, want)), strict=True):
                assert isinstance(g, ft.Array)
                assert (g.shape, g.dtype) == (np.shape(w), np.asarray(w).dtype)
                eps = np.finfo(w.dtype if w.dtype.kind == "f" else float).eps
                np.testing.assert_allclose(g, w, rtol=64 * eps, atol=4 * eps)
    if name not in ("mode", "rankdata", "iqr") and a.dtype == float:
        check_grads(fun, (a,), 2)


def test_constant_samples_have_no_skewness():
    assert np.isnan(ft.jit(stats.skew)(np.full(5, 3.1)))
    assert np.isfinite(ft.grad(lambda x: stats.sem(x))(np.array([1.0, 2.0]))).all()


def test_correlations():
    x, y = A[:, 0], A[:, 1] + A[:, 0]
    for ours, theirs in ((stats.pearsonr, scipy.stats.pearsonr), (stats.spearmanr, scipy.stats.spearmanr)):
        want = theirs(x, y)
        for got in (ours(x, y), ft.jit(ours)(x, y)):
            np.testing.assert_allclose(got, (want.statistic, want.pvalue), rtol=1e-12)
    np.testing.assert_allclose(
        stats.pearsonr(A, A[::-1], axis=1)[0][2], scipy.stats.pearsonr(A[2], A[4])[0], rtol=1e-13
    )
    np.testing.assert_array_equal(stats.pearsonr([1.0, 2.0], [3.0, 7.0]), (1, 1))
    check_grads(lambda x, y: stats.pearsonr(x, y), (x, y), 1)


# ---------------------------------------------------------------- vectors

COV = np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.7]])
MEAN = np.array([0.3, -1.0, 0.5])


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_multivariate_normal(wrapped):
    x = rng.normal(size=(2, 5, 3))
    ours, theirs = stats.multivariate_normal, scipy.stats.multivariate_normal
    for parameters in ((MEAN, COV), (None, COV), (MEAN, 2.5), (MEAN, np.array([1.0, 2.0, 3.0]))):
        for method, at in (("logpdf", x), ("pdf", x[0, 0])):
            f = lambda x, method=method, parameters=parameters: getattr(ours, method)(x, *parameters)
            np.testing.assert_allclose(wrapped(f)(at), getattr(theirs, method)(at, *parameters), rtol=1e-12)
    np.testing.assert_allclose(ours.logpdf(x[0, 0], 0.5, 2.0), theirs.logpdf(x[0, 0], 0.5, 2.0))
    np.testing.assert_allclose(wrapped(lambda c: ours.entropy(MEAN, c))(COV), theirs.entropy(MEAN, COV), rtol=1e-13)
    flat = np.outer(MEAN, MEAN)
    places = np.stack([2 * MEAN, MEAN + 1])
    got = wrapped(lambda x: ours.logpdf(x, MEAN, flat, allow_singular=True))(places)
    np.testing.assert_allclose(got, theirs.logpdf(places, MEAN, flat, allow_singular=True), rtol=1e-10)
    assert got[1] == -np.inf


def test_derivatives_of_vectors():
    x = rng.normal(size=(4, 3))
    check_grads(lambda x, m, c: stats.multivariate_normal.logpdf(x, m, c @ c.T), (x, MEAN, COV), 2)
    check_grads(stats.dirichlet.logpdf, (np.array([0.2, 0.5]), np.array([1.5, 2.0, 3.0])), 2)
    check_grads(lambda p: stats.multinomial.logpmf(np.array([1, 2, 0]), 3, p), (np.array([0.2, 0.5, 0.3]),), 2)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_dirichlet_and_multinomial(wrapped):
    alpha, p = np.array([1.5, 2.0, 3.0]), np.array([0.2, 0.5, 0.3])
    x = rng.dirichlet(alpha, 4).T
    ours, theirs = stats.dirichlet, scipy.stats.dirichlet
    for method in ("logpdf", "pdf"):
        for at in (x, x[:2, 0]):
            got = wrapped(getattr(ours, method))(at, alpha)
            np.testing.assert_allclose(got, getattr(theirs, method)(at, alpha), rtol=1e-12)
    assert wrapped(ours.logpdf)(np.array([0.5, 0.2, 0.1]), alpha) == -np.inf
    for method in ("mean", "var", "entropy", "cov"):
        np.testing.assert_allclose(wrapped(getattr(ours, method))(alpha), getattr(theirs, method)(alpha), rtol=1e-12)
    counts = np.array([[1, 2, 2], [0, 0, 5], [1, 1, 1], [-1, 3, 3]])
    for method in ("logpmf", "pmf"):
        want = getattr(scipy.stats.multinomial, method)(counts, 5, p)
        np.testing.assert_allclose(wrapped(getattr(stats.multinomial, method))(counts, 5, p), want, rtol=1e-12)
    np.testing.assert_allclose(wrapped(stats.multinomial.cov)(5, p), scipy.stats.multinomial.cov(5, p), atol=1e-15)
    assert np.isnan(stats.multinomial.pmf(counts, 5, np.array([0.2, -0.5, 0.3]))).all()


# ---------------------------------------------------------------- kernel estimates


@pytest.mark.parametrize("method", [None, "silverman", 0.4, lambda kde: 0.7])
@pytest.mark.parametrize("d", [1, 2])
def test_gaussian_kde(d, method):
    data, at = rng.normal(size=(d, 20)), rng.normal(size=(d, 6)) * 2
    weights = rng.uniform(0.5, 2, 20)
    ours = stats.gaussian_kde(data, method, weights)
    theirs = scipy.stats.gaussian_kde(data, method if not callable(method) else lambda kde: 0.7, weights)
    np.testing.assert_allclose(ours(at), theirs(at), rtol=1e-12)
    np.testing.assert_allclose(ft.jit(lambda kde, x: kde.logpdf(x))(ours, at), theirs.logpdf(at), rtol=1e-12)
    np.testing.assert_allclose((ours.factor, ours.neff), (theirs.factor, theirs.neff), rtol=1e-13)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-12)
    mean, cov = np.zeros(d), np.eye(d)
    np.testing.assert_allclose(ours.integrate_gaussian(mean, cov), theirs.integrate_gaussian(mean, cov), rtol=1e-12)
    np.testing.assert_allclose(ours.integrate_kde(ours), theirs.integrate_kde(theirs), rtol=1e-12)
    np.testing.assert_allclose(ours.inv_cov, theirs.inv_cov, rtol=1e-9)
    np.testing.assert_allclose(ours.covariance_factor(), theirs.covariance_factor(), rtol=1e-14)
    part = [0] if d == 1 else [d - 1, 0]
    there = np.zeros((len(part), 2))
    np.testing.assert_allclose(ours.marginal(part).pdf(there), theirs.marginal(part).pdf(there), rtol=1e-10)
    with pytest.raises(ArgumentError, match="an estimate is immutable"):
        ours.set_bandwidth(0.3)
    with pytest.raises(ShapeError, match="has no dimension"):
        ours.marginal(d)
    if d == 1:
        np.testing.assert_allclose(ours.integrate_box_1d(-1, 0.5), theirs.integrate_box_1d(-1, 0.5), rtol=1e-12)


def test_kde_by_all_it_is_made_of():
    data, at = rng.normal(size=(2, 8)), rng.normal(size=(2, 3))
    check_grads(lambda x, d, w: stats.gaussian_kde(d, 0.6, w).logpdf(x), (at, data, np.ones(8)), 1)
    kde = stats.gaussian_kde(data)
    drawn = kde.resample(ft.random.key(1), (5000,))
    assert drawn.shape == (2, 5000)
    np.testing.assert_allclose(np.cov(drawn), np.cov(data, bias=True) + kde.covariance, atol=0.15)
    assert kde.resample(ft.random.key(1)).shape == (2,)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_errors(wrapped):
    for fun, error, message in [
        (lambda a: stats.multivariate_normal.pdf(a, MEAN, COV), ShapeError, "vectors of length 3, got an array"),
        (lambda a: stats.multivariate_normal.pdf(a, MEAN, np.eye(4)), ShapeError, "do not fit together"),
        (lambda a: stats.dirichlet.pdf(a, np.ones(3)), ShapeError, "3 shares along the first axis, or 2"),
        (lambda a: stats.dirichlet.mean(a), ShapeError, "takes a vector alpha"),
        (lambda a: stats.gaussian_kde(a.T[:, :2]), ShapeError, "more points than dimensions"),
        (lambda a: stats.gaussian_kde(a, "wide"), ArgumentError, "the width scott, silverman"),
        (lambda a: stats.gaussian_kde(a, weights=a[0, :2]), ShapeError, "one weight for each of 4 points"),
        (lambda a: stats.gaussian_kde(a[:2])(a), ShapeError, "points have 2 dimensions"),
        (lambda a: stats.pearsonr(a[:1], a[:1]), ShapeError, "at least two values"),
    ]:
        with pytest.raises(error, match=message):
            wrapped(fun)(A[:4])
    with pytest.raises(ArgumentError, match="nan_policy='propagate' alone"):
        ft.jit(lambda a: stats.sem(a, nan_policy="omit"))(A)
    with pytest.raises(ArgumentError, match="rankdata takes the method"):
        ft.jit(lambda a: stats.rankdata(a, "best"))(A)
