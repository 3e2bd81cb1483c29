"""scipy.integrate: compiled rules against SciPy's own; adaptive quadrature with its derivatives; errors."""

import math

import numpy as np
import pytest
import scipy.integrate
from scipy import special

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.scipy import integrate
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
INF = np.inf


def close(got, want, dtype):
    got = np.asarray(got)
    assert got.dtype == dtype
    rtol = 1e-5 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


def test_every_name_is_scipys():
    assert all(callable(getattr(scipy.integrate, name)) for name in integrate.__all__)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("name", ["trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson"])
def test_samples(name, n):
    theirs, ours = getattr(scipy.integrate, name), getattr(integrate, name)
    y = RNG.standard_normal((2, n, 3))
    steps = [{}, {"dx": 0.3}, {"x": np.cumsum(0.1 + RNG.random(n))}, {"x": np.cumsum(0.1 + RNG.random(y.shape), 1)}]
    if name.startswith("cumulative"):
        steps.append({"initial": 0})
    for options in steps:
        for dtype in (np.float64, np.float32, np.int64):
            v = (3 * y).astype(dtype)
            given = {k: x.astype(dtype) if k == "x" and dtype == np.float32 else x for k, x in options.items()}
            want = theirs(v, axis=1, **given)
            np.testing.assert_array_equal(ours(v, axis=1, **given), want)
            if np.ndim(given.get("x", 0)) < 2:
                got = ft.vmap(lambda v, given=given: ours(v, axis=0, **given))(v)
            else:
                got = ft.vmap(lambda v, x: ours(v, axis=0, x=x))(v, given["x"])
            close(got, want, np.float32 if dtype == np.float32 else np.float64)
    check_grads(lambda y, x: ours(y, x=x, axis=1), (y, steps[3]["x"]), 2)
    if n == 8:
        close(ft.jit(lambda y, x: ours(y, x=x, axis=1))(y, steps[3]["x"]), theirs(y, x=steps[3]["x"], axis=1), float)


def test_romb():
    y = RNG.standard_normal((2, 9))
    for n in (2, 3, 5, 9):
        close(ft.vmap(lambda y: integrate.romb(y, dx=0.5))(y[:, :n]), scipy.integrate.romb(y[:, :n], dx=0.5), float)
    check_grads(integrate.romb, (y,), 2)


def test_initial_value_of_cumulative_simpson():
    y, start = RNG.standard_normal((2, 5)), np.array([[1.0], [-2.0]])
    want = scipy.integrate.cumulative_simpson(y, initial=start)
    close(ft.jit(lambda y, s: integrate.cumulative_simpson(y, initial=s))(y, start), want, float)


def test_fixed_quad():
    x = RNG.standard_normal((2, 1))
    f = lambda t, x: np.cos(t * x)
    want = scipy.integrate.fixed_quad(f, 0.5, 2.0, (x,), 7)[0]
    close(ft.jit(lambda a, b, x: integrate.fixed_quad(f, a, b, (x,), 7)[0])(0.5, 2.0, x), want, float)
    assert integrate.fixed_quad(np.sin, np.float32(0), np.float32(1))[0].dtype == np.float32
    check_grads(lambda a, b, x: integrate.fixed_quad(f, a, b, (x,), 7)[0], (0.5, 2.0, x), 2)


@ft.jit
def bell(a, b, c):
    return integrate.quad_vec(lambda x, c: np.exp(-c * x**2), a, b, args=(c,))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (-1, 2),
        (2, -1),
        (0, INF),
        (INF, 0),
        (-INF, 1),
        (1, -INF),
        (-INF, INF),
        (INF, -INF),
        (0, 0),
        (1, 1e3),
        (INF, INF),
    ],
)
def test_limits(a, b):
    value, error = bell(float(a), float(b), 1.3)
    exact = np.sqrt(np.pi / 1.3) / 2 * (special.erf(np.sqrt(1.3) * b) - special.erf(np.sqrt(1.3) * a))
    np.testing.assert_allclose(value, exact, atol=1e-9)
    assert abs(value - exact) <= error + 1e-15


def test_values_are_arrays_and_lanes_are_their_own():
    hard = lambda x: fnp.stack([fnp.sqrt(x), fnp.log(x), 1j / fnp.sqrt(x)])
    value, _ = ft.vmap(lambda b: integrate.quad_vec(hard, 0.0, b, norm="max"))(np.ones(1))
    np.testing.assert_allclose(value[0], [2 / 3, -1, 2j], atol=1e-7)
    c = np.array([0.1, 10.0, 3000.0])
    got = ft.vmap(lambda c: bell(0.0, 3.0, c)[0])(c)
    np.testing.assert_allclose(got, np.sqrt(np.pi / c) / 2 * special.erf(3 * np.sqrt(c)), rtol=1e-9)
    assert ft.vmap(lambda a: integrate.quad_vec(np.exp, a, a + 1))(np.zeros(1, "f"))[0].dtype == np.float32


def test_derivatives_of_integrals():
    f = lambda a, b, c: integrate.quad_vec(lambda x: np.exp(-c * x**2), a, b, limit=8)[0]
    check_grads(f, (0.3, 1.1, 1.3), 2)
    g = ft.grad(lambda c: f(-INF, INF, c))
    np.testing.assert_allclose([g(1.3), ft.jit(g)(1.3)], -np.sqrt(np.pi / 1.3) / 2.6, rtol=1e-9)


def test_quad_is_scipys_or_traced():
    assert integrate.quad(lambda x: x if x > 0 else -x, -1, 1, points=[0.0]) == pytest.approx((1, 0))
    assert integrate.quad(lambda x: math.exp(-x) / math.sqrt(x), 0, INF)[0] == pytest.approx(math.sqrt(math.pi))
    f = lambda x, a: np.exp(-a * x)
    for g in (lambda a: integrate.quad(f, 0, INF, a)[0], lambda a: integrate.quad(lambda x: f(x, a), 0, INF)[0]):
        np.testing.assert_allclose(ft.grad(g)(2.0), -1 / 4, rtol=1e-9)  # of 1 / a
        np.testing.assert_allclose(ft.jit(g)(2.0), 1 / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda y: integrate.romb(y), errors.ArgumentError, "romb takes one plus a power of two samples, got 4"),
        (lambda y: integrate.romb(y, show=True), errors.ArgumentError, "no values to print"),
        (lambda y: integrate.simpson(y, x=y[1:]), errors.ShapeError, "x has 3 points for 4 samples"),
        (lambda y: integrate.simpson(y, x=y[None]), errors.ShapeError, "one-dimensional or has the shape of y"),
        (lambda y: integrate.simpson(y, axis=1), errors.AxisError, "axis 1"),
        (lambda y: integrate.simpson(y[:0]), errors.ArgumentError, "at least 1 samples"),
        (lambda y: integrate.cumulative_trapezoid(y, initial=1), errors.ArgumentError, "initial=None or initial=0"),
        (lambda y: integrate.cumulative_simpson(y, initial=y), errors.ShapeError, "a number, or an array with one"),
        (lambda y: integrate.fixed_quad(np.exp, y[0], INF), errors.ArgumentError, "finite limits, got b=inf"),
        (lambda y: integrate.quad_vec(np.exp, y, 1.0), errors.ShapeError, "limits of quad_vec are scalars"),
        (lambda y: integrate.quad_vec(np.exp, y[0], 1.0, norm="1"), errors.ArgumentError, "norm='2' or norm='max'"),
        (lambda y: integrate.quad_vec(np.exp, y[0], 1.0, limit=0), errors.ArgumentError, "1 or more intervals"),
        (lambda y: integrate.quad(np.exp, y[0], 1.0, wvar=2.0), errors.ArgumentError, "does not take wvar"),
    ],
)
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(np.arange(4.0))
