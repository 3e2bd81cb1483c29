"""`odeint` against SciPy's solutions and closed forms; its derivatives against finite differences."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.experimental.ode import odeint
from functrans.testing import check_grads

TIMES = np.array([0.0, 0.5, 0.7, 2.0, 5.0])


def lotka_volterra(y, t, a, b):
    return fnp.stack([a * y[0] - b * y[0] * y[1], b * y[0] * y[1] - y[1]])


def van_der_pol(y, t, mu):
    return fnp.stack([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def lorenz(y, t):
    x, y, z = y[0], y[1], y[2]
    return fnp.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def kepler(y, t):
    return fnp.concatenate([y[2:], -y[:2] / (y[0] ** 2 + y[1] ** 2) ** 1.5])


def driven(y, t):
    return fnp.cos(3 * t) - 2 * t * y


PROBLEMS = {
    "lotka_volterra": (lotka_volterra, [1.0, 2.0], (1.5, 1.0)),
    "van_der_pol": (van_der_pol, [2.0, 0.0], (1.0,)),
    "lorenz": (lorenz, [1.0, 1.0, 20.0], ()),
    "kepler": (kepler, [0.5, 0.0, 0.0, 1.6], ()),
    "driven": (driven, [1.0], ()),
}


def reference(f, y0, times, args):
    solution = solve_ivp(
        lambda t, y: np.asarray(f(y, t, *args)), (times[0], times[-1]), y0, "DOP853", times, rtol=1e-12, atol=1e-13
    )
    return solution.y.T


@pytest.mark.parametrize("name", PROBLEMS)
def test_textbook_problems(name):
    f, y0, args = PROBLEMS[name]
    got = odeint(f, np.array(y0), TIMES, *args)
    wanted = reference(f, y0, TIMES, args)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[0], y0)


def test_compiled_batched_and_back_in_time():
    solve = lambda y0, times: odeint(lotka_volterra, y0, times, 1.5, 1.0)
    y0 = np.array([[1.0, 2.0], [0.5, 3.0], [2.0, 0.1]])
    wanted = np.stack([solve(y, TIMES) for y in y0])
    compiled = ft.jit(ft.vmap(solve, (0, None)))
    np.testing.assert_allclose(compiled(y0, TIMES), wanted, rtol=1e-9)
    back = ft.jit(solve)(wanted[1, -1], TIMES[::-1].copy())
    np.testing.assert_allclose(back[::-1], wanted[1], rtol=1e-6)
    assert "kernel" in ft.jit(solve).lower(y0[0], TIMES).as_text("kernels")


def test_tolerances_and_orders():
    """A thousandth of the tolerance is about a thousandth of the error."""
    solve = lambda tol: odeint(lambda y, t: -y, 1.0, np.array([0.0, 3.0]), rtol=tol, atol=0.0)[-1]
    coarse, fine = (abs(solve(tol) - np.exp(-3)) for tol in (1e-4, 1e-7))
    assert 1e-5 * coarse < fine < 2e-2 * coarse < 1e-5


def test_between_the_steps():
    """Few steps, many times: the polynomial between the steps is of the order of the steps."""
    times = np.linspace(0, 6, 200)
    got = odeint(lambda y, t: fnp.stack([y[1], -y[0]]), np.array([0.0, 1.0]), times, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got, np.stack([np.sin(times), np.cos(times)], 1), atol=2e-5)


def test_pytrees_dtypes_and_ranks():
    y0 = {"a": np.ones((2, 3), np.float32), "b": (np.zeros((), np.float32),)}
    f = lambda y, t, rate: {"a": -rate * y["a"], "b": (fnp.cos(t.astype(np.float32)),)}
    times = np.array([0.0, 1.0], np.float32)
    out = odeint(f, y0, times, np.float32(2.0), rtol=1e-5, atol=1e-6)
    assert out["a"].shape == (2, 2, 3)
    assert out["a"].dtype == out["b"][0].dtype == np.float32
    np.testing.assert_allclose(out["a"][1], np.exp(-2), rtol=1e-4)
    np.testing.assert_allclose(out["b"][0][1], np.sin(1), rtol=1e-4)
    assert odeint(lambda y, t: -y, 1, np.arange(3)).dtype == np.float64  # whole numbers are taken for real ones
    turning = odeint(lambda y, t: 1j * y, 1 + 0j, TIMES)
    np.testing.assert_allclose(turning, np.exp(1j * TIMES), rtol=1e-6)
    assert odeint(lambda y, t: -y, np.zeros((0, 2)), TIMES).shape == (5, 0, 2)
    assert odeint(lambda y, t: -y, 2.0, np.array([1.0])).tolist() == [2.0]


def test_derivatives():
    """With respect to the start, the times, the arguments and a captured value; both modes, to second order."""
    y0, times = np.array([1.0, 2.0]), np.array([0.1, 0.5, 1.2])

    def solve(y0, times, a, b):
        f = lambda y, t, a: lotka_volterra(y, t, a["a"], b) * (1 + 0.1 * fnp.sin(t))
        return fnp.sin(odeint(f, y0, times, {"a": a}, rtol=1e-10, atol=1e-10))

    check_grads(solve, (y0, times, 1.5, 1.0), order=1, rtol=1e-7, method="extrapolated differences")
    last = lambda a: solve(y0, times, a, 1.0)[-1]
    check_grads(last, (1.5,), order=2, rtol=1e-7, method="extrapolated differences")


def test_derivatives_compiled_batched_and_in_closed_form():
    final = lambda y0, rate, t1: odeint(lambda y, t, k: -k * y, y0, fnp.stack([0.0, t1]), rate)[-1]
    gradient = ft.jit(ft.vmap(ft.grad(final, (0, 1, 2))))
    y0, rate, t1 = np.array([1.0, 2.0, -1.0]), np.array([0.3, 1.0, 2.0]), np.array([1.0, 2.0, 0.5])
    decay = np.exp(-rate * t1)
    for got, wanted in zip(gradient(y0, rate, t1), (decay, -t1 * y0 * decay, -rate * y0 * decay)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)
    tangent = ft.jit(lambda k: ft.jvp(lambda k: final(1.0, k, 2.0), (k,), (1.0,))[1])(0.3)
    np.testing.assert_allclose(tangent, -2 * np.exp(-0.6), rtol=1e-6)


def test_integer_arguments_have_no_cotangent():
    f = lambda y, t, n, k: -k * y * n
    gradient = ft.grad(lambda k: odeint(f, 1.0, np.array([0.0, 1.0]), 2, k)[-1])(0.5)
    np.testing.assert_allclose(gradient, -2 * np.exp(-1), rtol=1e-6)


def test_complex_derivatives():
    """A linear equation: the real part of the end, by the real and imaginary parts of the start."""
    end = lambda re, im: fnp.real(odeint(lambda y, t: (-0.5 + 1j) * y, re + 1j * im, np.array([0.0, 2.0]))[-1])
    factor = np.exp((-0.5 + 1j) * 2)
    np.testing.assert_allclose(ft.grad(end, (0, 1))(1.0, 0.5), (factor.real, -factor.imag), rtol=1e-6)


def test_what_was_not_reached_is_nan():
    few = odeint(lorenz, np.ones(3), np.array([0.0, 0.01, 5.0]), mxstep=20)
    assert np.isfinite(few[:2]).all()
    assert np.isnan(few[2]).all()
    with np.errstate(all="ignore"):
        blown = ft.jit(lambda y: odeint(lambda y, t: y * y, y, np.array([0.0, 0.5, 2.0])))(1.0)  # 1 / (1 - t)
    np.testing.assert_allclose(blown[1], 2.0, rtol=1e-6)
    assert np.isnan(blown[2])


def test_the_equation_is_not_asked_beyond_the_end():
    with np.errstate(invalid="raise"):
        got = odeint(lambda y, t: -0.5 / fnp.sqrt(1 - t), 1.0, np.array([0.0, 0.5, 0.999]))
    np.testing.assert_allclose(got, np.sqrt(1 - np.array([0.0, 0.5, 0.999])), rtol=1e-6)


def test_steps_no_longer_than_hmax():
    """A short pulse that long steps would miss."""
    pulse = lambda y, t: fnp.exp(-(((t - 5) / 0.05) ** 2))
    got = odeint(pulse, 0.0, np.array([0.0, 10.0]), hmax=0.1, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got[-1], 0.05 * np.sqrt(np.pi), rtol=1e-4)


@pytest.mark.parametrize(
    ("f", "y0", "t", "args", "error", "says"),
    [
        (driven, 1.0, 3.0, (), errors.ShapeError, "times as a vector, got t of shape ()"),
        (driven, 1.0, np.array([1j]), (), errors.DTypeError, "real numbers as times, got t of dtype complex128"),
        (driven, 1.0, np.array([0.0, 2.0, 1.0]), (), errors.ArgumentError, "must increase"),
        (driven, "one", TIMES, (), errors.DTypeError, "y0 must be a pytree of arrays and numbers; it holds 'one'"),
        (driven, 1.0, TIMES, ("no",), errors.DTypeError, "an argument after t must be a pytree of arrays"),
        (lambda y, t: (y, y), 1.0, TIMES, (), errors.ArgumentError, "must return a pytree of the structure of y0"),
        (lambda y, t: fnp.zeros(3), np.ones(2), TIMES, (), errors.ShapeError, "f64[2], not f64[3]"),
        (lambda y, t: 1j * y, 1.0, TIMES, (), errors.DTypeError, "f64[], not c128[]"),
    ],
)
def test_errors(f, y0, t, args, error, says):
    with pytest.raises(error, match=re.escape(says)):
        odeint(f, y0, t, *args)
