"""Distributions: values against SciPy and, in tails, mpmath; compiled against eager; derivatives by all parameters."""

import importlib
import warnings

import mpmath
import numpy as np
import pytest
import scipy.stats
from calls.distributions import CONTINUOUS, DISCRETE
from mpmath import mp

import functrans as ft
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.scipy import stats
from functrans.scipy.stats.distribution import Continuous, Discrete
from functrans.testing import check_grads

TAILS = ("cdf", "sf", "logcdf", "logsf")
MOMENTS = ("mean", "var", "std", "entropy")
X = np.array([-7.5, -3, -1.2, -0.3, 0, 1e-3, 0.2, 0.5, 0.8, 1, 1.5, 2, 3, 4.4, 7, 9.5, 30])
K = np.array([-5, -1, 0, 0.5, 1, 2, 3, 4, 7, 8, 9, 12, 30])
Q = np.array([0, 0.01, 0.2, 0.45, 0.5, 0.7, 0.99, 1])

#: Methods by which SciPy's own values are wrong by more than 1e-12, or are sums: what is allowed.
LOOSE = {"skewnorm": 1e-7, "vonmises": 1e-10, "invgauss": 1e-10, "exponnorm": 1e-10, "triang": 1e-11}


def shapes_of(name):
    return CONTINUOUS[name][0] if name in CONTINUOUS else DISCRETE[name]


def test_every_distribution_is_here():
    rows = {n for n in stats.__all__ if isinstance(getattr(stats, n), (Continuous, Discrete))}
    assert rows == {*CONTINUOUS, *DISCRETE}
    for name in rows:
        shapes = getattr(scipy.stats, name).shapes
        assert getattr(stats, name).shapes == (tuple(shapes.split(", ")) if shapes else ())


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_values_are_scipys(name):
    ours, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), shapes_of(name)
    tolerance = {"rtol": LOOSE.get(name, 1e-12), "atol": 1e-15}
    discrete = name in DISCRETE
    place = (2.0,) if discrete else (0.5, 2.0)
    density = ("pmf", "logpmf") if discrete else ("pdf", "logpdf")
    for method in (*density, *TAILS):
        for where in ((), place):
            x = (K[K == K.round()] if name == "hypergeom" else K if discrete else X) * (
                where[1] if where[1:] else 1
            ) + (where[0] if where else 0)
            with np.errstate(all="ignore"):
                want = getattr(theirs, method)(x, *shapes, *where)
            got = getattr(ours, method)(x, *shapes, *where)
            assert type(got) is ft.Array
            known = np.isfinite(want) | (method in ("cdf", "sf"))  # SciPy's logarithms of tails may underflow
            np.testing.assert_allclose(got[known], want[known], **tolerance, err_msg=method)
    for method in ("ppf", "isf"):
        with np.errstate(all="ignore"):
            want = getattr(theirs, method)(Q, *shapes, *place)
        np.testing.assert_allclose(getattr(ours, method)(Q, *shapes, *place), want, rtol=1e-9, atol=1e-9)
    for method in MOMENTS:
        if getattr(ours, "_var" if method == "std" else f"_{method}") is None:
            with pytest.raises(ArgumentError, match="has no closed form"):
                getattr(ours, method)(*shapes)
        else:
            want = getattr(theirs, method)(*shapes, *place)
            np.testing.assert_allclose(getattr(ours, method)(*shapes, *place), want, rtol=1e-9, err_msg=method)
    np.testing.assert_allclose(ours.support(*shapes, *place), theirs.support(*shapes, *place))


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_compiled_as_eager(name):
    row, shapes = getattr(stats, name), shapes_of(name)
    first = "logpmf" if name in DISCRETE else "logpdf"

    def program(x, q, shapes, loc):
        tails = [getattr(row, m)(x, *shapes, loc) for m in (first, "cdf", "logsf")]
        return tails + ([row.ppf(q, *shapes, loc)] if name in (*CONTINUOUS, "poisson") else [])

    x = np.array([*(K if name in DISCRETE else X), np.inf, -np.inf, np.nan])
    arguments = x, np.array([*Q, 1.5, np.nan]), tuple(map(np.float64, shapes)), np.float64(0.0)
    for got, want in zip(ft.jit(program)(*arguments), program(*arguments), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-13, atol=1e-16)
    small = ft.tree.map(np.float32, arguments)
    for got, want in zip(program(*small), program(*arguments), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want.astype(np.float32), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives_by_all_arguments(name):
    shapes, x = CONTINUOUS[name]
    row = getattr(stats, name)
    both = lambda x, shapes, loc, scale: [getattr(row, m)(x, *shapes, loc, scale) for m in ("logpdf", *TAILS)]
    check_grads(both, (x * 1.4 + 0.3, shapes, 0.3, 1.4), 2)
    check_grads(lambda q, shapes, scale: row.ppf(q, *shapes, 0.3, scale), (0.37, shapes, 1.4), 2)
    check_grads(lambda q, shapes: row.isf(q, *shapes), (0.3, shapes), 1)
    if row._mean is not None and row._var is not None and name not in ("cauchy", "halfcauchy"):
        check_grads(lambda shapes, scale: (row.mean(*shapes, 0, scale), row.std(*shapes, 0, scale)), (shapes, 1.4), 1)


@pytest.mark.parametrize("name", [n for n in DISCRETE if n not in ("randint", "hypergeom")])
def test_derivatives_of_probabilities(name):
    shapes, row = DISCRETE[name], getattr(stats, name)
    fixed = 1 if name in ("binom", "betabinom") else 0
    both = lambda rest: [getattr(row, m)(3.0, *shapes[:fixed], *rest) for m in ("logpmf", *TAILS)]
    if name == "bernoulli":
        both = lambda rest: [row.logpmf(1.0, *rest), row.cdf(0.0, *rest), row.logsf(0.0, *rest)]
    check_grads(both, (shapes[fixed:],), 2)
    assert np.isfinite(ft.grad(lambda p: row.mean(*shapes[:-1], p))(shapes[-1]))


def test_gradients_beside_the_support_are_finite():
    for name, (shapes, _) in CONTINUOUS.items():
        low, _ = getattr(stats, name).support(*shapes)
        if np.isfinite(low):
            pdf = lambda x, *shapes, name=name: getattr(stats, name).pdf(x, *shapes)
            gradient = ft.grad(pdf, tuple(range(1 + len(shapes))))(float(low) - 1.0, *shapes)
            np.testing.assert_array_equal(gradient, 0, err_msg=name)


@pytest.mark.parametrize("name", [*CONTINUOUS, *DISCRETE])
def test_invalid_parameters_and_nan(name):
    ours, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), shapes_of(name)
    first = ("logpmf",) if name in DISCRETE else ("logpdf",)
    cases = [shapes[:i] + (bad,) + shapes[i + 1 :] for i in range(len(shapes)) for bad in (-1.0, np.nan)]
    if name in CONTINUOUS:
        cases += [(*shapes, 0.0, bad) for bad in (-1.0, 0.0, np.nan)]
    for method in (*first, "cdf", "sf"):
        for case in cases:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                want = getattr(theirs, method)(0.4, *case)
            assert np.isnan(getattr(ours, method)(0.4, *case)) == np.isnan(want), (method, case)
        assert np.isnan(getattr(ours, method)(np.nan, *shapes))
    assert np.isnan(ours.ppf(np.array([-0.1, 1.1, np.nan]), *shapes)).all()


# ---------------------------------------------------------------- far tails

mp_log = lambda f: lambda *args: mpmath.log(f(*args))
mp_gamma_q = lambda a: lambda x: mpmath.gammainc(a, x, mpmath.inf, regularized=True)
mp_gamma_p = lambda a: lambda x: mpmath.gammainc(a, 0, x, regularized=True)
mp_beta = lambda a, b: lambda x: mpmath.betainc(a, b, 0, x, regularized=True)
mp_t = lambda df: lambda x: mpmath.betainc(df / 2, 0.5, 0, df / (df + x * x), regularized=True) / 2
mp_skew = lambda a: (
    lambda z: mpmath.quad(
        lambda x: 2 * mpmath.npdf(x) * mpmath.ncdf(a * x), [z + k / z for k in (60, 30, 15, 8, 4, 2, 1, 0.5, 0.2, 0)]
    )
)
LOG_TAILS = [
    ("norm", (), "logsf", 60.0, lambda x: mpmath.ncdf(-x)),
    ("gamma", (2.3,), "logsf", 3000.0, mp_gamma_q(2.3)),
    ("gamma", (40.0,), "logsf", 1500.0, mp_gamma_q(40)),
    ("gamma", (300.0,), "logcdf", 0.01, mp_gamma_p(300)),
    ("gamma", (300.0,), "logcdf", 250.0, mp_gamma_p(300)),
    ("chi2", (3.5,), "logsf", 5000.0, lambda x: mp_gamma_q(1.75)(x / 2)),
    ("invgamma", (4.2,), "logcdf", 1e-4, lambda x: mp_gamma_q(4.2)(1 / x)),
    ("gennorm", (1.5,), "logcdf", -200.0, lambda x: mp_gamma_q(1 / mp.mpf(1.5))(mpmath.power(-x, 1.5)) / 2),
    ("poisson", (3.4,), "logsf", 400.0, lambda k: mp_gamma_p(k + 1)(3.4)),
    ("beta", (300.0, 2.0), "logcdf", 0.01, mp_beta(300, 2)),
    ("beta", (2.0, 300.0), "logsf", 0.96, lambda x: mp_beta(300, 2)(1 - x)),
    ("beta", (2.0, 300.0), "logcdf", 0.01, mp_beta(2, 300)),
    ("binom", (800.0, 0.01), "logsf", 600.0, lambda k: mp_beta(k + 1, 800 - k)(0.01)),
    ("t", (30.0,), "logcdf", -1e25, mp_t(30)),
    ("t", (4.5,), "logsf", 1e10, mp_t(mp.mpf(4.5))),
    ("f", (5.0, 70.0), "logsf", 1e20, lambda x: mp_beta(35, 2.5)(1 / (1 + x / 14))),
    ("exponnorm", (1.3,), "logcdf", -50.0,
        lambda x: mpmath.ncdf(x) - mpmath.exp(1 / (2 * mp.mpf(1.3) ** 2) - x / 1.3) * mpmath.ncdf(x - 1 / mp.mpf(1.3))),
    ("skewnorm", (1.5,), "logcdf", -3.0, mp_skew(1.5)),
    ("skewnorm", (1.5,), "logcdf", -45.0, mp_skew(1.5)),
    ("skewnorm", (-1.5,), "logcdf", -45.0, mp_skew(-1.5)),
    ("skewnorm", (40.0,), "logcdf", -0.2, mp_skew(40)),
    ("logistic", (), "logsf", 900.0, lambda x: 1 / (1 + mpmath.exp(x))),
    ("truncnorm", (30.0, 50.0), "logsf", 45.0,
        lambda x: (mpmath.ncdf(-x) - mpmath.ncdf(-50)) / (mpmath.ncdf(-30) - mpmath.ncdf(-50))),
    ("weibull_min", (1.7,), "logsf", 1e5, lambda x: mpmath.exp(-mpmath.power(x, mp.mpf(1.7)))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "shapes", "method", "x", "exact"), LOG_TAILS)
def test_logarithms_of_tails(name, shapes, method, x, exact):
    f = lambda x: getattr(getattr(stats, name), method)(x, *shapes)
    with mpmath.workdps(60):
        want = mp_log(exact)(mp.mpf(x))
        slope = (
            mpmath.diff(mp_log(exact), mp.mpf(x), h=mp.mpf(x) / 10**15) if name not in ("poisson", "binom") else None
        )
    np.testing.assert_allclose(f(x), float(want), rtol=1e-13)
    np.testing.assert_allclose(ft.jit(f)(np.float64(x)), float(want), rtol=1e-13)
    if slope is not None:
        np.testing.assert_allclose(ft.grad(f)(x), float(slope), rtol=1e-10)
    for i in range(len(shapes)):
        if name in ("gamma", "beta", "t", "chi2", "exponnorm", "skewnorm"):
            by_shape = lambda s, i=i: getattr(getattr(stats, name), method)(x, *shapes[:i], s, *shapes[i + 1 :])
            check_grads(by_shape, (shapes[i],), 2, rtol=1e-7, method="extrapolated differences")


@pytest.mark.parametrize("kappa", [0.0, 0.1, 2.0, 49.0, 51.0, 2000.0])
def test_vonmises_cdf(kappa):
    for x in (-3.0, -1.0, -0.02, 0.3):
        with mpmath.workdps(20):
            k = mp.mpf(kappa)
            density = lambda t, k=k: mpmath.exp(k * (mpmath.cos(t) - 1))
            points = [-mp.pi, *([x] if x < -0.3 else [-0.3, x])]
            want = float(mpmath.quad(density, points) / (2 * mp.pi * mpmath.besseli(0, k) * mpmath.exp(-k)))
        np.testing.assert_allclose(stats.vonmises.cdf(x, kappa), want, atol=1e-15 if kappa < 50 else 1e-11)
    assert stats.vonmises.cdf(7.0, kappa) > 1  # as in SciPy, once around adds one


@pytest.mark.parametrize(("a", "b", "x"), [(0.7, 2.0, 0.3), (5.0, 9.0, 0.1), (40.0, 25.0, 0.97), (300.0, 2.0, 0.999)])
def test_second_derivatives_of_incomplete_beta(a, b, x):
    function = lambda a, b: ft.scipy.special.betainc(a, b, x)
    got = np.array(ft.hessian(function, (0, 1))(a, b))
    with mpmath.workdps(60):
        exact = lambda a, b: mpmath.betainc(a, b, x, 1, regularized=True) if x > 0.5 else mpmath.betainc(
            a, b, 0, x, regularized=True
        )  # fmt: skip
        h = mp.mpf(10) ** -12
        second = [
            [mpmath.diff(exact, (mp.mpf(a), mp.mpf(b)), n, h=h) for n in row]
            for row in (((2, 0), (1, 1)), ((1, 1), (0, 2)))
        ]
    want = np.array(second, dtype=float) * (-1 if x > 0.5 else 1)
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-10 * np.abs(want).max())


# ---------------------------------------------------------------- calls


def test_vmap_and_broadcasting():
    x, a = np.linspace(0.5, 3, 4), np.array([1.0, 2.0, 5.0])
    got = ft.vmap(lambda a: stats.gamma.logpdf(x, a, scale=2.0))(a)
    np.testing.assert_allclose(got, scipy.stats.gamma.logpdf(x, a[:, None], scale=2.0), rtol=1e-13)
    got = ft.vmap(ft.jit(lambda q: stats.poisson.ppf(q, a)))(np.array([0.1, 0.9]))
    np.testing.assert_array_equal(got, scipy.stats.poisson.ppf(np.array([[0.1], [0.9]]), a))
    assert stats.norm.mean(np.zeros(3), np.ones((2, 1))).shape == (2, 3)
    assert stats.beta.cdf(np.zeros((0, 2)), 1.0, 2.0).shape == (0, 2)


def test_quantiles_of_large_counts():
    q = np.array([1e-9, 0.3, 0.999])
    np.testing.assert_array_equal(stats.poisson.ppf(q, 1e6), scipy.stats.poisson.ppf(q, 1e6))
    np.testing.assert_array_equal(stats.binom.isf(q, 10**6, 0.3), scipy.stats.binom.isf(q, 10**6, 0.3))
    assert ft.grad(lambda mu: stats.poisson.ppf(0.3, mu))(5.0) == 0


def test_frozen_and_intervals():
    x = np.linspace(-1, 3, 5)
    frozen = stats.norm(1.0, scale=2.0)
    np.testing.assert_array_equal(frozen.logpdf(x), stats.norm.logpdf(x, 1.0, 2.0))
    np.testing.assert_allclose(frozen.interval(0.9), scipy.stats.norm(1.0, 2.0).interval(0.9), rtol=1e-13)
    np.testing.assert_allclose(stats.gamma(2.0).median(), scipy.stats.gamma(2.0).median(), rtol=1e-13)
    assert repr(frozen) == "norm(loc=1.0, scale=2.0)"
    assert repr(stats.gamma) == "gamma(a, loc=0, scale=1)"


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_errors(wrapped):
    for fun, message in [
        (lambda x: stats.gamma.pdf(x), "gamma.pdf needs the parameter a"),
        (lambda x: stats.norm.pdf(x, 0, 1, 2), "takes the parameters loc, scale, got 3"),
        (lambda x: stats.norm.pdf(x, mu=0), "got mu which is none of them"),
        (lambda x: stats.norm.pdf(x, 0, loc=0), "got loc twice"),
        (lambda x: stats.binom.entropy(x, 0.5), "binom.entropy has no closed form"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            wrapped(fun)(np.ones(3))
    with pytest.raises(DTypeError, match=r"norm.cdf takes real numbers, got complex128"):
        wrapped(stats.norm.cdf)(np.ones(3) * 1j)
    with pytest.raises(ShapeError, match=r"norm.cdf: operands of shapes \(3,\) and \(2,\)"):
        wrapped(stats.norm.cdf)(np.ones(3), np.ones(2))


def test_each_may_be_imported_as_a_module():
    import functrans.scipy.stats.gamma as gamma
    from functrans.scipy.stats.multivariate_normal import logpdf
    from functrans.scipy.stats.norm import cdf

    assert gamma is stats.gamma
    assert cdf(0.0) == 0.5
    np.testing.assert_allclose(logpdf(np.zeros(2), np.zeros(2), np.eye(2)), -np.log(2 * np.pi))
    names = [n for n in stats.__all__ if hasattr(getattr(stats, n), "logpdf") or hasattr(getattr(stats, n), "logpmf")]
    assert len(names) > 40
    for name in names:
        assert importlib.import_module(f"functrans.scipy.stats.{name}") is getattr(stats, name)
