"""Tests of hypotheses, correlations and further statistics of samples against SciPy's; traced forms; derivatives."""

import inspect

import numpy as np
import pytest
import scipy.stats

import functrans as ft
from functrans.core.avals import aval_of
from functrans.core.jaxpr import evaluate
from functrans.core.trace import stage
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, ShapeError
from functrans.scipy import stats
from functrans.testing import check_grads

rng = np.random.default_rng(11)
A = rng.gamma(2.0, size=(7, 4))
B = rng.gamma(3.0, size=(7, 4)) + A / 2
N = rng.normal(size=(6, 3))
COUNTS = rng.integers(1, 30, (5, 3)).astype(float)

CALLS = [
    ("variation", (A,), {}),
    ("variation", (A,), {"axis": None, "ddof": 1, "keepdims": True}),
    ("variation", (A[:2],), {"ddof": 2}),
    ("gstd", (A,), {}),
    ("gstd", (A,), {"axis": 1, "ddof": 0}),
    ("pmean", (A, 3), {}),
    ("pmean", (A, 0), {"axis": 1}),
    ("pmean", (A, -0.5), {"weights": B}),
    ("median_abs_deviation", (A,), {}),
    ("median_abs_deviation", (A,), {"axis": None, "scale": "normal"}),
    ("median_abs_deviation", (A,), {"center": np.mean, "axis": 1}),
    ("tmean", (A,), {"limits": (0.5, 3.0)}),
    ("tmean", (A,), {"limits": (A[0, 0], None), "inclusive": (False, True), "axis": 0}),
    ("tvar", (A,), {"limits": (None, 3.0)}),
    ("tstd", (A,), {"limits": (0.3, None), "ddof": 0, "axis": 1}),
    ("tsem", (A,), {"limits": (0.3, 4.0)}),
    ("tmin", (A,), {"lowerlimit": 1.0}),
    ("tmax", (A,), {"upperlimit": 3.0, "axis": 1}),
    ("trim_mean", (A, 0.2), {}),
    ("trim_mean", (A, 0.3), {"axis": 1}),
    ("circmean", (A,), {}),
    ("circmean", (A,), {"high": 3.0, "low": -1.0, "axis": 0}),
    ("circvar", (A,), {"axis": 1}),
    ("circstd", (A,), {"axis": 0}),
    ("circstd", (A,), {"normalize": True, "high": 9.0}),
    ("boxcox", (A[:, 0],), {"lmbda": 0.3}),
    ("boxcox", (A[:, 0],), {"lmbda": 0.0}),
    ("boxcox_llf", (0.3, A), {}),
    ("yeojohnson", (N[:, 0],), {"lmbda": 0.3}),
    ("yeojohnson", (N[:, 0],), {"lmbda": 2.0}),
    ("yeojohnson_llf", (1.3, N[:, 0]), {}),
    ("wasserstein_distance", (A[:, 0], B[:5, 1]), {}),
    ("wasserstein_distance", (A[:, 0], B[:, 1]), {"u_weights": A[:, 1], "v_weights": B[:, 2]}),
    ("energy_distance", (A[:, 0], B[:5, 1]), {}),
    ("pearsonr", (A[:, 0], B[:, 0]), {"alternative": "less"}),
    ("pearsonr", (A[:, 0], B[:, 0]), {"alternative": "greater"}),
    ("spearmanr", (A[:, 0], B[:, 0]), {}),
    ("spearmanr", (A[:, 0], B[:, 0]), {"alternative": "greater"}),
    ("spearmanr", (A,), {}),
    ("spearmanr", (A[:, :2],), {}),
    ("spearmanr", (A.T, B.T), {"axis": 1}),
    ("spearmanr", (A, B), {"axis": None}),
    ("pointbiserialr", (A[:, 0] > 1, B[:, 0]), {}),
    ("linregress", (A[:, 0], B[:, 0]), {}),
    ("linregress", (A[:, 0], B[:, 0]), {"alternative": "less"}),
    ("linregress", (A[:2, 0], B[:2, 0]), {}),
    ("ttest_1samp", (A, 2.0), {}),
    ("ttest_1samp", (A, 1.5), {"axis": None, "alternative": "greater", "keepdims": True}),
    ("ttest_rel", (A, B), {}),
    ("ttest_rel", (A, B), {"axis": 1, "alternative": "less"}),
    ("ttest_ind", (A, B[:5]), {}),
    ("ttest_ind", (A, B[:5]), {"equal_var": False}),
    ("ttest_ind", (A, B), {"axis": None, "alternative": "less"}),
    ("ttest_ind_from_stats", (1.0, 0.5, 12, 1.3, 0.7, 9), {}),
    ("ttest_ind_from_stats", (1.0, 0.5, 12, 1.3, 0.7, 9), {"equal_var": False}),
    ("f_oneway", (A, B[:4]), {}),
    ("f_oneway", (A[:, 0], B[:, 0], B[:, 1]), {}),
    ("f_oneway", (A, B), {"axis": 1}),
    ("chisquare", (COUNTS,), {}),
    ("chisquare", (COUNTS,), {"f_exp": COUNTS[::-1], "ddof": 1}),
    ("chisquare", (COUNTS,), {"axis": None}),
    *[
        ("power_divergence", (COUNTS,), {"lambda_": v})
        for v in ("log-likelihood", "freeman-tukey", "mod-log-likelihood", "neyman", 0.4)
    ],
    ("jarque_bera", (A,), {}),
    ("jarque_bera", (A,), {"axis": 0}),
]
FLAT = {"tmin", "tmax"}


def values(result):
    """The numbers of a result, those that all versions of SciPy give."""
    if hasattr(result, "slope"):
        names = ("slope", "intercept", "rvalue", "pvalue", "stderr", "intercept_stderr")
        return [np.asarray(getattr(result, n)) for n in names]
    if hasattr(result, "statistic"):
        return [np.asarray(result.statistic), np.asarray(result.pvalue)]
    if isinstance(result, tuple):
        return [np.asarray(v) for v in result]
    return [np.asarray(result)]


def staged(function, args):
    """The result of a function of arrays run through its jaxpr, which compiles nothing."""
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    trees = []

    def run(*arrays):
        left = iter(arrays)
        out = function(*[next(left) if isinstance(a, np.ndarray) else a for a in args])
        leaves, tree = ft.tree.flatten(out)
        trees.append(tree)
        return leaves

    jaxpr, consts = stage(run, [aval_of(a) for a in arrays])
    return ft.tree.unflatten(trees[0], evaluate(jaxpr, consts, arrays))


@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_against_scipy(name, args, options):
    theirs = getattr(scipy.stats, name)
    if not set(options) <= set(inspect.signature(theirs).parameters):
        pytest.skip("this SciPy has fewer options")
    ours = lambda *args: getattr(stats, name)(*args, **options)
    wanted = values(theirs(*args, **options))
    for found in (ours(*args), staged(ours, args)):
        found = values(found)
        for y, w in zip(found, wanted, strict=True):
            assert y.shape == w.shape
            np.testing.assert_allclose(y, w, rtol=1e-9, atol=1e-14)
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.dtype == float]
    if not arrays or name in FLAT or "lim" in "".join(options) or name == "spearmanr" or "ddof" in options:
        return

    def smooth(*arrays):
        left = iter(arrays)
        return values_of(ours(*[next(left) if isinstance(a, np.ndarray) and a.dtype == float else a for a in args]))

    check_grads(smooth, tuple(arrays), 1, rtol=1e-5, atol=1e-6)


def values_of(result):
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_errors(wrapped):
    for f, error, text in [
        (
            lambda a: stats.pearsonr(a[:, 0], a[:, 1], alternative="more"),
            ArgumentError,
            "'two-sided', 'less' or 'greater'",
        ),
        (lambda a: stats.pearsonr(a[:, 0], a[:, 1], method=3), ArgumentError, "takes method=None"),
        (lambda a: stats.spearmanr(a[:, 0]), ShapeError, "needs another one as b"),
        (lambda a: stats.spearmanr(a[:2, 0], a[:2, 1]), ShapeError, "at least three observations"),
        (lambda a: stats.spearmanr(a, a[:3]), ShapeError, "different numbers of observations"),
        (lambda a: stats.ttest_rel(a, a[:2]), ShapeError, "samples of one shape"),
        (lambda a: stats.ttest_ind(a, a, trim=0.1), ArgumentError, "takes no trim"),
        (lambda a: stats.f_oneway(a), DTypeError, "at least two samples"),
        (lambda a: stats.power_divergence(a, lambda_="x"), ArgumentError, "takes lambda_ among"),
        (lambda a: stats.ttest_1samp(a, 0.0, nan_policy="omit"), ArgumentError, "nan_policy='propagate' alone"),
    ]:
        with pytest.raises(error, match=text):
            wrapped(f)(A)
    with pytest.raises(ConcretizationError, match="minimize of -boxcox_llf"):
        ft.jit(stats.boxcox)(A[:, 0])
    with pytest.raises(ArgumentError, match="leaves nothing of 7 values"):
        ft.jit(lambda a: stats.trim_mean(a, 0.6))(A)
    with pytest.raises(ShapeError, match="one weight for each value"):
        ft.jit(lambda a: stats.wasserstein_distance(a[:, 0], a[:, 1], a[:2, 0]))(A)


def test_the_likeliest_power():
    """As SciPy finds it, by minimising; its derivative is that of an implicit function."""
    from functrans.scipy.optimize import minimize

    x = A[:, 0]
    likeliest = lambda x: minimize(lambda p: -stats.boxcox_llf(p[0], x), np.ones(1), tol=1e-9).x[0]
    np.testing.assert_allclose(ft.jit(likeliest)(x), scipy.stats.boxcox(x)[1], rtol=1e-5)
    assert np.isfinite(ft.grad(likeliest)(x)).all()
