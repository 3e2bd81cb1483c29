"""Special functions: SciPy's own on plain arrays, kernels under jit, derivatives against mpmath."""

import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest
import scipy.special
from calls.special import ARGUMENTS, PLAIN, X, Z
from mpmath import mp

import functrans as ft
from functrans import lax
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, NotDifferentiableError
from functrans.lax.incomplete import beta_density, gamma_density
from functrans.lax.special import hyperbolic_sine_integral, sine_integral
from functrans.scipy import special
from functrans.testing import check_grads, check_transforms

ROOTS = [n for n in special.__all__ if n.startswith("roots_")]
OLDER = {"sph_harm_y"} - {*dir(scipy.special)}  # which SciPy has had since 1.15
NAMES = sorted({*special.__all__} - {"bernoulli", "bessel_jn"} - OLDER - {*ROOTS})
UFUNCS = [n for n in NAMES if isinstance(getattr(scipy.special, n), np.ufunc)]


def arguments(name, dtype=np.float64):
    return [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in ARGUMENTS[name]]


def over_arrays(name, fun):
    """The function of its array arguments alone."""
    given = ARGUMENTS[name]

    def function(*arrays):
        rest = iter(arrays)
        return fun(*(next(rest) if isinstance(a, np.ndarray) else a for a in given))

    return function


def results(value):
    return [np.asarray(v) for v in (value if isinstance(value, tuple) else (value,))]


def test_every_name_is_scipys():
    assert {*NAMES} == {*ARGUMENTS} - OLDER
    assert {*ROOTS} == {*PLAIN["nodes of quadratures, of whole numbers"].split()}
    assert all(callable(getattr(scipy.special, name)) for name in {*special.__all__} - OLDER - {"bessel_jn"})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_eager_is_scipy_and_compiled_is_near(name, dtype):
    if name == "polygamma" and dtype == np.float32 and OLDER:
        pytest.skip("SciPy before 1.15 gives float64")
    args = arguments(name, dtype)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    want = results(getattr(scipy.special, name)(*args))
    eager = results(getattr(special, name)(*args))
    compiled = results(ft.jit(over_arrays(name, getattr(special, name)))(*arrays))
    if dtype == np.float32 and name.startswith(
        ("betainc", "spherical", "stdtr")
    ):  # which SciPy computes in float32, with errors of many ulp
        exact = results(getattr(scipy.special, name)(*arguments(name)))
        np.testing.assert_allclose(compiled[0], exact[0], rtol=1e-5)
        compiled = want
    for w, e, c in zip(want, eager, compiled, strict=True):
        assert e.dtype == w.dtype == c.dtype
        np.testing.assert_array_equal(e, w)
        sums = name in ("logsumexp", "softmax", "log_softmax", "multigammaln")
        reflected = name in ("digamma", "psi", "gammaln", "ndtr")  # SciPy's are a few units off
        if name == "multigammaln":  # float64 of terms in the argument's dtype
            w, c = w.astype(dtype), c.astype(dtype)
        np.testing.assert_allclose(c, w, rtol=(8 if sums or reflected else 2) * np.finfo(w.dtype).eps)


@pytest.mark.parametrize("name", UFUNCS)
def test_scipys_ufuncs_take_tracers(name):
    seen = []

    def traced(*arrays):
        out = over_arrays(name, getattr(scipy.special, name))(*arrays)
        seen.append(out)
        return out

    arrays = [a for a in arguments(name) if isinstance(a, np.ndarray)]
    closed = ft.make_jaxpr(traced)(*arrays)
    assert all(isinstance(v, Tracer) for out in seen for v in (out if isinstance(out, tuple) else (out,)))
    assert len(closed.jaxpr.outvars) == getattr(scipy.special, name).nout


@pytest.mark.parametrize("name", ["gammainc", "i0e", "betainc", "jv", "polygamma", "zeta", "log_ndtr"])
def test_real_arguments_stay_in_kernels(name):
    arrays = [a for a in arguments(name) if isinstance(a, np.ndarray)]
    text = ft.jit(over_arrays(name, getattr(special, name))).lower(*arrays).as_text("kernels")
    assert f"scipy_{name}(" in text or f"special_{name}(" in text


def test_complex_arguments():
    z = Z + 1j * X
    for name in ("gamma", "loggamma", "rgamma", "erfcx", "dawsn", "expi", "spence"):
        np.testing.assert_array_equal(ft.jit(getattr(special, name))(z), getattr(scipy.special, name)(z))
        check_grads(getattr(special, name), (z,), 1 if "gamma" in name else 2)  # SciPy has no complex polygamma
    np.testing.assert_array_equal(ft.jit(special.jv)(X, z), scipy.special.jv(X, z))


# ---------------------------------------------------------------- derivatives by parameters

PLACES = [
    (a, a * f)
    for a in (1e-3, 0.1, 0.7, 1.0, 2.5, 30.0, 200.0)
    for f in (0.05, 0.6, 0.98, 1.0, 1.05, 1.7)
    if a * f < 250
]


def tail(a, x):
    """P(a, x), or its difference to 1 where P is near to 1."""
    if x < a:
        return lambda a: mpmath.gammainc(a, 0, x, regularized=True)
    return lambda a: -mpmath.gammainc(a, x, mpmath.inf, regularized=True)


@pytest.mark.parametrize(("a", "x"), PLACES)
def test_incomplete_gamma_by_its_parameter(a, x):
    with mpmath.workdps(60):
        b, z = mp.mpf(a), mp.mpf(x)
        first, second = (mpmath.diff(tail(a, z), b, n, h=mp.mpf(10) ** -15 * b) for n in (1, 2))
        density = float(z ** (b - 1) * mpmath.exp(-z) / mpmath.gamma(b))
    np.testing.assert_allclose(lax.igamma_grad_a(a, x), float(first), rtol=1e-12)
    np.testing.assert_allclose(gamma_density(a, x), density, rtol=1e-15 * (20 + abs(np.log(density))))
    np.testing.assert_allclose(lax.random_gamma_grad(a, x), -float(first) / density, rtol=1e-12)
    np.testing.assert_allclose(
        lax.random_gamma_grad(np.float32(a), np.float32(x)), -float(first) / density, rtol=2e-5 if a > 1e-2 else 2e-3
    )
    got = ft.grad(ft.grad(special.gammaincc))(a, x)
    assert abs(got + float(second)) <= 1e-11 * (abs(float(second)) + abs(float(first)))


@pytest.mark.parametrize("a", [2e6, 1e9, 1e13])
def test_gamma_samples_of_large_parameters(a):
    """The sample nearly follows the normal quantile: a + z sqrt(a) + (z^2 - 1) / 3 + ..."""
    for z in (-6.0, -1.0, 0.0, 2.0, 7.0):
        x = a + z * np.sqrt(a) + (z * z - 1) / 3
        np.testing.assert_allclose(lax.random_gamma_grad(a, x), 1 + z / (2 * np.sqrt(a)), rtol=100 / a)
    below, above = (lax.random_gamma_grad(a, a * 1.0000001) for a in (999_999.0, 1_000_001.0))  # two methods meet
    np.testing.assert_allclose(below, above, rtol=1e-11)


def test_incomplete_gamma_at_the_ends():
    assert lax.igamma_grad_a(2.0, 0.0) == lax.igamma_grad_a(2.0, np.inf) == lax.random_gamma_grad(2.0, 0.0) == 0
    bad = np.array([-1.0, np.nan, 2.0]), np.array([1.0, 1.0, -1.0])
    assert np.isnan(lax.random_gamma_grad(*bad)).all()
    assert np.isnan(lax.igamma_grad_a(*bad)).all()


@pytest.mark.parametrize(("a", "b"), [(0.05, 0.3), (0.7, 2.0), (3.0, 0.2), (5.0, 9.0), (40.0, 25.0), (300.0, 2.0)])
@pytest.mark.parametrize("x", [0.01, 0.3, 0.6, 0.97])
def test_incomplete_beta_by_its_parameters(a, b, x):
    with mpmath.workdps(50):
        p, q, z = mp.mpf(a), mp.mpf(b), mp.mpf(x)
        by_a = mpmath.diff(lambda p: mpmath.betainc(p, q, 0, z, regularized=True), p, h=mp.mpf(10) ** -15)
        by_b = mpmath.diff(lambda q: mpmath.betainc(p, q, 0, z, regularized=True), q, h=mp.mpf(10) ** -15)
        density = z ** (p - 1) * (1 - z) ** (q - 1) / mpmath.beta(p, q)
    got = ft.grad(special.betainc, (0, 1, 2))(a, b, x)
    np.testing.assert_allclose(got, [float(v) for v in (by_a, by_b, density)], rtol=1e-10)
    np.testing.assert_allclose(beta_density(a, b, x), float(density), rtol=1e-12)


@pytest.mark.parametrize(
    ("inverse", "function"),
    [(special.gammaincinv, special.gammainc), (special.gammainccinv, special.gammaincc)],
)
def test_inverse_gamma_by_its_parameter(inverse, function):
    a, p = 1.7, 0.35
    assert abs(ft.grad(lambda a: function(a, inverse(a, p)))(a)) < 1e-13  # it is constant
    check_grads(inverse, (a, p), 2)


@pytest.mark.parametrize(
    ("inverse", "function"), [(special.betaincinv, special.betainc), (special.betainccinv, special.betaincc)]
)
def test_inverse_beta_by_its_parameters(inverse, function):
    a, b, p = 1.7, 0.8, 0.35
    g = ft.grad(lambda a, b: function(a, b, inverse(a, b, p)), (0, 1))(a, b)
    np.testing.assert_allclose(g, 0, atol=1e-13)
    check_grads(inverse, (a, b, p), 1)


@pytest.mark.parametrize("x", [1.01, 1.5, 2.0, 7.0, 40.0])
@pytest.mark.parametrize("q", [0.3, 1.0, 25.0])
def test_zeta(x, q):
    by_x, by_q = ft.grad(special.zeta, (0, 1))(x, q)
    with mpmath.workdps(40):
        want = mpmath.zeta(mp.mpf(x), mp.mpf(q), derivative=1)
        second = mpmath.diff(lambda s: mpmath.zeta(s, mp.mpf(q)), mp.mpf(x), 2)
    np.testing.assert_allclose(by_x, float(want), rtol=1e-12)
    np.testing.assert_allclose(by_q, -x * scipy.special.zeta(x + 1, q), rtol=1e-14)
    np.testing.assert_allclose(ft.grad(ft.grad(special.zeta))(x, q), float(second), rtol=1e-11)


# ---------------------------------------------------------------- derivatives where formulas divide 0 by 0

REMOVABLE = [
    (special.spence, lambda x: mpmath.polylog(2, 1 - x), 1.0),
    (special.spence, lambda x: mpmath.polylog(2, 1 - x), 1.00005),
    (sine_integral, mpmath.si, 0.0),
    (special.rgamma, mpmath.rgamma, -2.0),
    (special.rgamma, mpmath.rgamma, 0.0),
    (special.i1, lambda x: mpmath.besseli(1, x), 0.0),
    (special.j1, lambda x: mpmath.besselj(1, x), 0.0),
    (lambda x: special.jv(2, x), lambda x: mpmath.besselj(2, x), 0.0),
    (lambda x: special.lambertw(x).real, mpmath.lambertw, 0.0),
    (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), -30.0),
    (special.exprel, lambda x: mpmath.expm1(x) / x if x else mp.mpf(1), 0.1),
    (special.exprel, lambda x: mpmath.expm1(x) / x if x else mp.mpf(1), 0.3),
    (special.ellipk, mpmath.ellipk, 0.0),
    (special.ellipk, mpmath.ellipk, 0.11),
    (special.ellipe, mpmath.ellipe, -0.09),
    (lambda p: special.inv_boxcox(0.7, p), lambda p: mpmath.power(1 + p * 0.7, 1 / p) if p else mpmath.exp(0.7), 1e-7),
    (lambda p: special.inv_boxcox1p(0.7, p), lambda p: mpmath.power(1 + p * 0.7, 1 / p), 0.2),
    (lambda p: special.inv_boxcox(0.7, p), lambda p: mpmath.power(1 + p * 0.7, 1 / p), 0.22),
    (special.ellipkm1, lambda p: mpmath.ellipk(1 - p), 1.0),
    (special.ellipkm1, lambda p: mpmath.ellipk(1 - p), 1e-3),
    (hyperbolic_sine_integral, mpmath.shi, 0.0),
    (lambda x: special.eval_legendre(5, x), lambda x: mpmath.legendre(5, x), 1.0),
    (lambda x: special.eval_chebyu(4, x), lambda x: mpmath.chebyu(4, x), -1.0),
    (lambda x: special.spherical_jn(2, x), lambda x: x**2 / 15 - x**4 / 210, 1e-3),
    (lambda p: special.boxcox(3.0, p), lambda p: (mpmath.power(3, p) - 1) / p, 1e-9),
    (special.log_expit, lambda x: -mpmath.log1p(mpmath.exp(-x)), 50.0),
]


@pytest.mark.parametrize(("function", "exact", "x"), REMOVABLE)
def test_removable_singularities(function, exact, x):
    with mpmath.workdps(40):
        first, second = (float(mpmath.re(mpmath.diff(exact, mp.mpf(x), n))) for n in (1, 2))
    np.testing.assert_allclose(ft.grad(function)(x), first, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(ft.grad(ft.grad(function))(x), second, rtol=1e-9, atol=1e-12)


DEGREES = np.arange(7)[:, None]
FAMILIES = {
    **dict.fromkeys("eval_legendre eval_chebyt eval_chebyu eval_laguerre eval_hermite eval_hermitenorm".split(), ()),
    **dict.fromkeys("spherical_jn spherical_yn spherical_in spherical_kn".split(), ()),
    "eval_gegenbauer": (0.7,), "eval_genlaguerre": (1.3,), "eval_jacobi": (0.4, -0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_functions_of_a_degree(name):
    """All degrees at once, compiled; SciPy's own derivatives where it has them."""
    function, parameters, x = getattr(special, name), FAMILIES[name], np.array([0.1, 0.6, 0.95])
    want = getattr(scipy.special, name)(DEGREES, *parameters, x)
    np.testing.assert_allclose(ft.jit(lambda x: function(DEGREES, *parameters, x))(x), want, rtol=1e-13)
    if name.startswith("spherical"):
        slopes = ft.jit(lambda x: function(DEGREES, x, derivative=True))(x)
        np.testing.assert_allclose(slopes, getattr(scipy.special, name)(DEGREES, x, derivative=True), rtol=1e-12)
    with pytest.raises(ArgumentError, match=f"{name} of a traced array takes whole degrees"):
        ft.jit(lambda n: function(n, *parameters, 0.5))(1.5)
    with pytest.raises(DTypeError, match=f"{name} of a traced array takes real arguments"):
        ft.jit(lambda x: function(2, *parameters, x))(x + 0j)


@pytest.mark.parametrize("name", ROOTS)
def test_nodes(name):
    parameters = {"roots_jacobi": (1.5, 0.5), "roots_gegenbauer": (1.5,), "roots_genlaguerre": (0.5,)}.get(name, ())
    for got, want in zip(getattr(special, name)(5, *parameters), getattr(scipy.special, name)(5, *parameters)):
        assert isinstance(got, ft.Array)
        np.testing.assert_array_equal(got, want)
    with pytest.raises(ValueError, match="n must be a positive integer"):
        getattr(special, name)(-1, *parameters)
    with pytest.raises(ArgumentError, match="takes plain numbers"):
        ft.jit(lambda n: getattr(special, name)(n, *parameters))(5)


def test_sums():
    a = np.array([[1.0, -np.inf, 3.0], [-np.inf] * 3])
    check_transforms(lambda x: special.logsumexp(x, axis=0), Z.reshape(2, 2))
    np.testing.assert_array_equal(ft.jit(lambda a: special.logsumexp(a, axis=1))(a), scipy.special.logsumexp(a, axis=1))
    for shape in ((2, 0), (0, 2)):
        empty = np.zeros(shape)
        np.testing.assert_array_equal(ft.jit(lambda a: special.logsumexp(a, axis=1))(empty), [-np.inf] * shape[0])
    out, sign = ft.jit(lambda a, b: special.logsumexp(a, b=b, return_sign=True))(Z, -X)
    np.testing.assert_allclose((out, sign), scipy.special.logsumexp(Z, b=-X, return_sign=True), rtol=1e-14)
    check_transforms(lambda x: special.softmax(x, axis=0), Z.reshape(2, 2))
    check_transforms(special.log_softmax, Z.reshape(2, 2))


def test_whole_combinations():
    n, k = np.array([[5], [0], [-1], [30]]), np.array([0, 1, 2, 5, 6, -1])
    for name in ("comb", "perm"):
        want = getattr(scipy.special, name)(n, k)
        np.testing.assert_allclose(ft.jit(getattr(special, name))(n, k), want, rtol=1e-14)
    repeated = ft.jit(lambda k: special.comb(5, k, repetition=True))(k)
    np.testing.assert_allclose(repeated, scipy.special.comb(5, k, repetition=True), rtol=1e-14)
    got = ft.jit(lambda z: special.bessel_jn(z, v=3))(X)
    np.testing.assert_allclose(got, scipy.special.jv(np.arange(4)[:, None], X), rtol=1e-14)


def test_spherical_harmonics_that_scipy_may_not_have():
    theta, phi = np.array([0.3, 0.7, 2.9]), np.array([0.2, 2.5, -1.0])
    got = special.sph_harm_y(np.array([1, 2, 3]), np.array([[-1], [0], [1], [3]]), theta, phi)
    first = np.sqrt(3 / (8 * np.pi)) * np.sin(theta[0]) * np.exp(-1j * phi[0])
    np.testing.assert_allclose(got[:, 0], [first, np.sqrt(3 / (4 * np.pi)) * np.cos(theta[0]), -first.conj(), 0])
    compiled = ft.jit(lambda t, p: special.sph_harm_y(3, 1, t, p))(theta, phi)
    np.testing.assert_allclose(compiled, special.sph_harm_y(3, 1, theta, phi))


def test_factorial_of_whole_and_negative_numbers():
    for n in (np.array([-2, 0, 3, 20]), np.array([-1.5, np.nan, 2.5], np.float32)):
        want = scipy.special.factorial(n)
        got = ft.jit(special.factorial)(n)
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)


# ---------------------------------------------------------------- errors, kernels from disk


def test_errors():
    with pytest.raises(NotDifferentiableError, match="the derivative of jv by its order is not implemented"):
        ft.grad(special.jv)(1.5, 2.0)
    with pytest.raises(NotDifferentiableError, match="the derivative of hyp2f1 by c"):
        ft.grad(special.hyp2f1, 2)(1.5, 2.0, 0.5, 0.1)
    assert np.isfinite(ft.grad(lambda v: special.jv(ft.stop_gradient(v), v))(1.5))
    with pytest.raises(ArgumentError, match="exact=True"):
        ft.jit(lambda n: special.factorial(n, exact=True))(3)
    with pytest.raises(ArgumentError, match="a whole number as its dimension"):
        ft.jit(lambda a: special.multigammaln(a, 1.5))(3.0)
    with pytest.raises(ArgumentError, match="bernoulli takes a whole number"):
        special.bernoulli(2.5)
    with pytest.raises(ArgumentError, match="diff_n"):
        ft.jit(lambda t: special.sph_harm_y(1, 0, t, t, diff_n=1))(0.5)


def test_kernels_from_disk_find_scipys_functions(tmp_path):
    code = (
        "import functrans as ft, numpy as np; from functrans.compiler import kernels\n"
        "from functrans.scipy import special\n"
        "y = ft.jit(lambda a, x: special.gammainc(a, x) + special.polygamma(1, x))(np.float64(2.5), np.float64(3.0))\n"
        "print(repr(float(y)), kernels.stats().compiled, kernels.stats().loaded)"
    )
    environment = {**os.environ, "FUNCTRANS_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    first, second = (r.stdout.split() for r in runs)
    assert first[0] == second[0] == repr(float(scipy.special.gammainc(2.5, 3.0) + scipy.special.polygamma(1, 3.0)))
    assert int(first[1]) > 0
    assert int(second[1]) == 0 < int(second[2])
