"""scipy.optimize: SciPy's solvers with compiled derivatives; compiled loops with implicit derivatives; errors."""

import math

import numpy as np
import pytest
import scipy.optimize

import functrans as ft
from functrans import errors
from functrans.scipy import optimize
from functrans.testing import check_grads

START = np.array([-1.2, 1.0, -1.2, 1.0])


def rosenbrock(x, a=1.0):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)


def bowl(x, a):
    return np.sum((x - a) ** 2 + a[0] * x**4 + 0.1 * x[0] * x)


def traced(function):
    """The function on traced values, without compiling it: as the only lane of a vmap."""

    def run(*args):
        return ft.tree.map(lambda x: x[0], ft.vmap(function)(*[np.asarray(a)[None] for a in args]))

    return run


def test_every_function_is_scipys():
    names = [n for n in optimize.__all__ if n[0].islower()]
    assert all(callable(getattr(scipy.optimize, name)) for name in names)
    theirs = scipy.optimize.OptimizeResult
    assert isinstance(optimize.minimize(rosenbrock, START), theirs)


# ---------------------------------------------------------------- minimize by SciPy

METHODS = ["CG", "BFGS", "L-BFGS-B", "Newton-CG", "TNC", "SLSQP", "trust-ncg", "trust-exact", "trust-krylov",
           "trust-constr", "Nelder-Mead", "Powell", None]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_scipys_methods_get_derivatives(method):
    calls = []

    def f(x, a):
        calls.append(x)
        return rosenbrock(x, a)

    found = optimize.minimize(f, START, (1.0,), method, tol=1e-8)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)
    assert isinstance(found.x, ft.Array)
    if method not in ("Nelder-Mead", "Powell"):
        assert len(calls) <= 4  # once by itself, and traced


def test_what_the_user_gives_is_used():
    plain = lambda x: sum(float(v) ** 2 for v in x)  # cannot be traced
    np.testing.assert_allclose(optimize.minimize(plain, START, jac="2-point").x, 0, atol=1e-6)
    np.testing.assert_allclose(optimize.minimize(plain, START, jac=lambda x: 2 * x).x, 0, atol=1e-6)
    np.testing.assert_allclose(optimize.minimize(lambda x: (plain(x), 2 * x), START, jac=True).x, 0, atol=1e-6)
    np.testing.assert_allclose(optimize.minimize(plain, START, method="Powell").x, 0, atol=1e-6)
    seen = []

    def hess(x, a):
        seen.append(a)
        return 2 * a * np.eye(4)

    found = optimize.minimize(lambda x, a: a * np.sum(x**2), START, 3.0, "trust-exact", hess=hess)
    np.testing.assert_allclose(found.x, 0, atol=1e-6)
    assert set(seen) == {3.0}
    assert optimize.minimize(lambda x: (x - 1.0) ** 2, 4).x == pytest.approx([1.0])


def test_constraints_get_jacobians():
    f = lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2
    dicts = ({"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2},
             {"type": "ineq", "fun": lambda x, c: -x[0] - 2 * x[1] + c, "args": (6,)})  # fmt: skip
    found = optimize.minimize(f, (2, 0), method="SLSQP", constraints=dicts, bounds=((0, None), (0, None)))
    np.testing.assert_allclose(found.x, [1.4, 1.7], atol=1e-8)
    disc = scipy.optimize.NonlinearConstraint(lambda x: x[0] ** 2 + x[1] ** 2, -np.inf, 1)
    want = np.array([1, 2.5]) / np.hypot(1, 2.5)
    for method in ("trust-constr", "SLSQP", None):
        found = optimize.minimize(f, (0.5, 0), method=method, constraints=disc)
        np.testing.assert_allclose(found.x, want, atol=1e-3)
    line = scipy.optimize.LinearConstraint([[1, 1]], 1, 1)
    found = optimize.minimize(f, (0.5, 0), method="trust-constr", constraints=[line])
    np.testing.assert_allclose(found.x, [-0.25, 1.25], atol=1e-5)


# ---------------------------------------------------------------- minimize as a loop


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B"])
def test_compiled_loops(method):
    found = ft.jit(lambda x: optimize.minimize(rosenbrock, x, method=method))(START)
    reference = scipy.optimize.minimize(rosenbrock, START, jac=ft.grad(rosenbrock), method=method)
    assert found.success
    assert found.status == 0
    np.testing.assert_allclose(found.x, 1, atol=1e-5)
    np.testing.assert_allclose(found.fun, rosenbrock(found.x), rtol=1e-9)
    assert np.max(np.abs(found.jac)) < 1e-4
    assert found.nit <= 1.5 * reference.nit
    assert found.nfev == found.njev <= 2 * reference.nfev
    if method == "BFGS":
        exact = np.linalg.inv(ft.hessian(rosenbrock)(found.x))
        np.testing.assert_allclose(found.hess_inv, exact, rtol=0.1, atol=0.05)
    else:
        assert found.hess_inv is None


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS"])
def test_lanes_stop_by_themselves(method):
    starts = np.stack([START, -START, 0 * START])
    lanes = ft.vmap(lambda x, a: optimize.minimize(rosenbrock, x, (a,), method))
    solve = ft.jit(lanes) if method == "BFGS" else lanes
    found = solve(starts, np.array([1.0, 1.0, 0.5]))
    for i, a in ((1, 1.0), (2, 0.5)):
        alone = traced(lambda x, a=a: optimize.minimize(rosenbrock, x, (a,), method))(starts[i])
        assert found.nit[i] == alone.nit
        np.testing.assert_allclose(found.x[i], alone.x, rtol=1e-6)
        assert found.success[i]


def test_other_objectives():
    minimize = lambda f, x, **o: traced(lambda x: optimize.minimize(f, x, **o))(x)
    found = minimize(rosenbrock, START.astype("f"))
    assert found.x.dtype == found.fun.dtype == found.hess_inv.dtype == np.float32
    np.testing.assert_allclose(found.x, 1, atol=1e-3)
    found = minimize(lambda x: np.sum(np.abs(x) ** 1.5), np.array([1.0, -2.0]))
    assert np.max(np.abs(found.jac)) <= 1e-5
    assert minimize(lambda x: np.sum((x - 1) ** 2), np.array(3)).x == pytest.approx([1.0])
    assert minimize(lambda x: np.sum((x - 1) ** 2), np.ones(3)).nit == 0
    with np.errstate(invalid="ignore"):
        found = minimize(lambda x: np.sum(np.log(x)), np.array([-1.0]))
    assert not found.success
    assert found.status == 3
    found = minimize(rosenbrock, START, options={"maxiter": 3})
    assert (found.nit, found.status, found.success) == (3, 1, False)
    found = minimize(lambda x: np.sum(x), np.ones(2), options={"maxiter": 5})  # has no minimum
    assert not found.success
    many = minimize(lambda x: np.sum((x - np.arange(60.0)) ** 2 * np.linspace(1, 5, 60)), np.zeros(60), method="L-BFGS")
    np.testing.assert_allclose(many.x, np.arange(60.0), atol=1e-3)


def test_derivatives_of_minimisers():
    a = np.array([0.5, 1.5])
    solve = lambda a, m: optimize.minimize(bowl, np.zeros(2), (a,), m, tol=1e-10).x
    check_grads(lambda a: solve(a, "BFGS"), (a,), 2)
    np.testing.assert_allclose(ft.jacobian(lambda a: solve(a, "L-BFGS"))(a), ft.jacobian(solve)(a, "BFGS"), atol=1e-7)
    captured = lambda a: optimize.minimize(lambda x: bowl(x, a), np.zeros(2), tol=1e-10)
    check_grads(lambda a: (captured(a).fun, captured(a).x), (a,), 2)
    np.testing.assert_allclose(ft.grad(lambda a: captured(a).fun)(a), ft.grad(bowl, 1)(captured(a).x, a), atol=1e-9)
    by_start = ft.jacobian(lambda x: optimize.minimize(bowl, x, (a,)).x)(np.ones(2))
    np.testing.assert_array_equal(by_start, 0)
    wide = lambda c: optimize.minimize(lambda x: np.sum((x - c) ** 2 + x**4), np.zeros(513), method="L-BFGS", tol=1e-9)
    x, t = ft.jvp(lambda c: wide(c).x, (1.0,), (1.0,))  # by conjugate gradients
    np.testing.assert_allclose(t, 1 / (1 + 6 * x**2), rtol=1e-6)


def test_minima_of_one_variable():
    quartic = lambda x, a: (x - a) ** 4 - 3 * (x - 2.0) ** 2
    wave = lambda x, a: np.cos(a * x) + 0.1 * x
    for options in (
        {},
        {"bracket": (5.0, 3.0)},
        {"bounds": (1.0, 6.0)},
        {"bounds": (1.0, 6.0), "options": {"xatol": 1e-9}},
    ):
        for f in (quartic, wave):
            want = scipy.optimize.minimize_scalar(f, args=(1.3,), **options)
            assert optimize.minimize_scalar(f, args=(1.3,), **options).x == want.x
            found = traced(lambda a, f=f, o=options: optimize.minimize_scalar(f, args=(a,), **o))(1.3)
            assert found.success
            np.testing.assert_allclose(found.x, want.x, atol=2e-5)
            np.testing.assert_allclose(found.fun, want.fun, rtol=1e-8)
            assert found.nfev <= 2 * want.nfev
    assert optimize.minimize_scalar(lambda x: x * math.log(x), bounds=(0, 1)).x == pytest.approx(math.exp(-1), abs=1e-4)
    at_end = traced(lambda b: optimize.minimize_scalar(lambda x: x, bounds=(0.5, b)))(2.0)
    np.testing.assert_allclose(at_end.x, 0.5, atol=2e-5)
    tight = lambda a: optimize.minimize_scalar(wave, bounds=(1.0, 4.0), args=(a,), options={"xatol": 1e-10})
    x = tight(1.3).x
    slope = (0.1 / 1.3 / np.sqrt(1.3**2 - 0.01) - x) / 1.3  # of sin(a x) = 0.1 / a
    np.testing.assert_allclose(ft.grad(lambda a: tight(a).x)(1.3), slope, rtol=1e-6)
    np.testing.assert_allclose(ft.jit(ft.grad(lambda a: tight(a).fun))(1.3), -x * np.sin(1.3 * x), rtol=1e-6)


# ---------------------------------------------------------------- roots

BRACKETING = ["brentq", "brenth", "ridder", "toms748", "bisect"]


@pytest.mark.parametrize("name", BRACKETING)
def test_roots_between_ends(name):
    solver = getattr(optimize, name)
    f = lambda x, a: np.exp(x) - a
    assert solver(f, -1.0, 5.0, (2.0,)) == getattr(scipy.optimize, name)(f, -1.0, 5.0, (2.0,))
    a = np.array([0.7, 2.0, 90.0])
    lanes = ft.vmap(lambda a, end: solver(f, -1.0, end, (a,), full_output=True))
    compiled = ft.jit(lanes) if name == "brentq" else lanes
    root, info = compiled(a, np.array([5.0, np.log(2.0), 40.0]))
    np.testing.assert_allclose(root, np.log(a), atol=3e-12)
    assert info.converged.all()
    assert (info.iterations <= (60 if name == "bisect" else 25)).all()
    assert info.iterations[1] == 0
    check_grads(lambda a: solver(f, -1.0, 5.0, (a,)), (2.0,), 2)


def test_hard_functions_between_ends():
    cases = [
        (lambda x: np.tanh(50 * (x - 0.3)), -3.0, 9.0), (lambda x: x**3 - 2 * x - 5, 2.0, 3.0),
        (lambda x: np.exp(-x) - 1e-9, 0.0, 300.0), (lambda x: np.sign(x - 0.1), 0.0, 1.0),
    ]  # fmt: skip
    for f, a, b in cases:
        got = traced(lambda a, f=f, b=b: optimize.brentq(f, a, b))(a)
        np.testing.assert_allclose(got, scipy.optimize.brentq(f, a, b), rtol=1e-10)
    flat = traced(lambda a: optimize.brentq(lambda x: x**9, a, 4.0))(-1.0)  # where SciPy gives up
    assert abs(flat) < 1e-2
    single = traced(lambda a: optimize.brentq(lambda x: x * x - 2, a, np.float32(2)))(np.float32(0))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, np.sqrt(2), rtol=1e-6)


def test_ends_of_one_sign():
    with pytest.raises(ValueError, match="opposite sign"):
        ft.jit(lambda a: optimize.brentq(lambda x: x**2 + a, -1.0, 1.0))(1.0)
    with pytest.raises(ValueError, match="did not converge in 3 iterations"):
        traced(lambda a: optimize.bisect(lambda x: x - a, 0.0, 1.0, maxiter=3))(0.3)


def test_newton():
    f = lambda x, a: x**3 - a
    assert optimize.newton(f, 1.5, args=(2.0,)) == scipy.optimize.newton(f, 1.5, args=(2.0,))
    a = np.array([1.0, 8.0, 27.0])
    roots, info = ft.jit(lambda a: optimize.newton(f, np.ones(3), args=(a,), full_output=True))(a)
    np.testing.assert_allclose(roots, [1, 2, 3], rtol=1e-12)
    assert info.converged.all()
    check_grads(lambda a: optimize.newton(f, np.ones(3), args=(a,)), (a,), 2)
    with pytest.raises(ValueError, match="newton did not converge in 50 steps"):
        traced(lambda a: optimize.newton(lambda x: x**2 + a, 1.0))(1.0)
    root = traced(lambda a: optimize.newton(lambda x: x**2 + a, 1.0, full_output=True, disp=False))(1.0)
    assert not root[1].converged


def test_root_scalar():
    f = lambda x, a: x**3 - a
    for options in ({"bracket": (0.0, 5.0)}, {"x0": 1.0}, {"bracket": (0.0, 5.0), "method": "bisect", "xtol": 1e-6}):
        found = traced(lambda a, o=options: optimize.root_scalar(f, (a,), **o))(8.0)
        np.testing.assert_allclose(found.root, 2, atol=1e-5)
        assert found.converged
        assert optimize.root_scalar(f, (8.0,), **options) == scipy.optimize.root_scalar(f, (8.0,), **options)
    np.testing.assert_allclose(ft.grad(lambda a: optimize.root_scalar(f, a, x0=1.0).root)(8.0), 1 / 12)


def test_fixed_points():
    f = lambda x, a: np.sqrt(a / (x + np.array([1.0, 2.0])))
    want = scipy.optimize.fixed_point(f, [1.0, 2.0], (3.0,))
    np.testing.assert_array_equal(optimize.fixed_point(f, [1.0, 2.0], (3.0,)), want)
    for method in ("del2", "iteration"):
        got = traced(lambda a, m=method: optimize.fixed_point(f, np.array([1.0, 2.0]), (a,), method=m))(3.0)
        np.testing.assert_allclose(got, want, rtol=1e-7)
    check_grads(lambda a: optimize.fixed_point(f, np.array([1.0, 2.0]), (a,), xtol=1e-12), (3.0,), 2)
    with pytest.raises(ValueError, match="fixed_point did not converge in 5 iterations"):
        traced(lambda a: optimize.fixed_point(lambda x: x + a, 1.0, maxiter=5))(1.0)


def test_systems():
    f = lambda x, a: np.stack([x[0] * np.cos(x[1]) - a, x[0] * x[1] - x[1] - 5])
    for method in ("hybr", "lm", "krylov"):
        found = optimize.root(f, [1.0, 1.0], (4.0,), method)
        np.testing.assert_allclose(found.x, scipy.optimize.root(f, [1.0, 1.0], (4.0,), method).x, rtol=1e-5)
    found = traced(lambda a: optimize.root(f, np.ones(2), (a,)))(4.0)
    assert found.success
    np.testing.assert_allclose(found.x, optimize.root(f, [1.0, 1.0], (4.0,)).x, rtol=1e-8)
    np.testing.assert_allclose(found.fun, 0, atol=1e-10)
    check_grads(lambda a: optimize.root(f, np.ones(2), (a,)).x, (4.0,), 2)
    hard = lambda x, a: np.arctan(x - a) * 3  # where whole steps of Newton's method diverge
    found = (ft.vmap(lambda a: optimize.root(hard, np.full(2, 9.0), a)))(np.array([0.0, 1.0]))
    np.testing.assert_allclose(found.x, [[0, 0], [1, 1]], atol=1e-8)
    matrix = traced(lambda a: optimize.root(lambda x: x @ x - a, np.eye(2)))(np.array([[2.0, 1.0], [1.0, 3.0]]))
    np.testing.assert_allclose(matrix.x @ matrix.x, [[2, 1], [1, 3]], atol=1e-8)


# ---------------------------------------------------------------- fits

T = np.linspace(0, 4, 9)
Y = 2.5 * np.exp(-0.7 * T) + 0.5 + 0.01 * np.cos(9 * T)


def decay(t, a, b, c):
    return a * np.exp(-b * t) + c


def test_least_squares():
    residuals = lambda p, y: decay(T, p[0], p[1], p[2]) - y
    want = scipy.optimize.least_squares(residuals, np.ones(3), args=(Y,))
    for method in ("trf", "lm", "dogbox"):
        found = optimize.least_squares(residuals, np.ones(3), method=method, args=(Y,))
        np.testing.assert_allclose(found.x, want.x, rtol=1e-5)
    bounded = optimize.least_squares(residuals, np.ones(3), bounds=(0, 2), loss="soft_l1", args=(Y,))
    assert bounded.x[0] == pytest.approx(2)
    found = ft.jit(lambda y: optimize.least_squares(residuals, np.ones(3), args=(y,)))(Y)
    assert found.success
    assert found.nfev < 20
    np.testing.assert_allclose(found.x, want.x, rtol=1e-5)
    np.testing.assert_allclose(found.cost, want.cost, rtol=1e-8)
    assert found.jac.shape == (9, 3)
    solve = lambda y: optimize.least_squares(residuals, np.ones(3), args=(y,), ftol=1e-15, gtol=1e-13).x
    u = np.cos(T)  # solutions have errors of 1e-10: differences over large steps, extrapolated
    central = lambda f, h: (f(Y + h * u) - f(Y - h * u)) / (2 * h)
    slope = lambda f: (4 * central(f, 5e-4) - central(f, 1e-3)) / 3
    first = lambda y: ft.jvp(solve, (y,), (u,))[1]
    np.testing.assert_allclose(first(Y), slope(solve), rtol=1e-6)
    np.testing.assert_allclose(ft.jvp(first, (Y,), (u,))[1], slope(first), rtol=1e-6)
    np.testing.assert_allclose(ft.vjp(solve, Y)[1](np.ones(3))[0] @ u, first(Y).sum(), rtol=1e-9)
    rosen = lambda x: np.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    lanes = ft.vmap(lambda x: optimize.least_squares(rosen, x))(np.array([[-1.2, 1.0], [5.0, -3.0]]))
    np.testing.assert_allclose(lanes.x, 1, atol=1e-6)
    single = traced(lambda x: optimize.least_squares(rosen, x))(np.array([-1.2, 1.0], "f"))
    assert single.x.dtype == np.float32


def test_curve_fit():
    sigma = 0.1 + 0.05 * T
    cases = ({}, {"sigma": sigma}, {"sigma": sigma, "absolute_sigma": True}, {"sigma": np.diag(sigma) + 0.01})
    for options in cases:
        want = scipy.optimize.curve_fit(decay, T, Y, **options)
        for got in (
            optimize.curve_fit(decay, T, Y, **options),
            traced(lambda y, o=options: optimize.curve_fit(decay, T, y, **o))(Y),
        ):
            np.testing.assert_allclose(got[0], want[0], rtol=1e-5)
            np.testing.assert_allclose(got[1], want[1], rtol=1e-3)
    listed = optimize.curve_fit(lambda t, a: a * np.log(t), [1.0, 2.0, 3.0], [0.0, 1.4, 2.2], p0=[2.0])
    np.testing.assert_allclose(listed[0], 2.008, atol=1e-2)
    bounded = optimize.curve_fit(decay, T, Y, p0=[1, 1, 1], bounds=(0, [2, 9, 9]))[0]
    np.testing.assert_allclose(bounded, scipy.optimize.curve_fit(decay, T, Y, bounds=(0, [2, 9, 9]))[0], rtol=1e-4)
    check_grads(lambda y: optimize.curve_fit(decay, T, y, gtol=1e-13)[0], (Y,), 1)


def test_assignment():
    cost = np.random.default_rng(0).random((2, 4, 3))
    for maximize in (False, True):
        want = [scipy.optimize.linear_sum_assignment(c, maximize) for c in cost]
        got = ft.jit(ft.vmap(lambda c, m=maximize: optimize.linear_sum_assignment(c, m)))(cost)
        np.testing.assert_array_equal(got, np.swapaxes(want, 0, 1))
        np.testing.assert_array_equal(optimize.linear_sum_assignment(cost[0], maximize), want[0])


MIN = optimize.minimize


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: MIN(rosenbrock, x[None]), errors.ShapeError, r"x0 of one dimension, got shape \(1, 4\)"),
        (lambda x: MIN(lambda x: x, x), errors.NonScalarGradError, r"a scalar as result, got shape \(4,\)"),
        (lambda x: MIN(rosenbrock, x, method="SLSQP"), errors.ArgumentError, "takes method='BFGS' or 'L-BFGS'"),
        (lambda x: MIN(rosenbrock, x, jac="2-point"), errors.ArgumentError, "no jac, hess or hessp"),
        (lambda x: MIN(rosenbrock, x, bounds=[(0, 1)] * 4), errors.ArgumentError, "neither bounds nor constraints"),
        (lambda x: MIN(rosenbrock, x, callback=print), errors.ArgumentError, "takes no callback"),
        (lambda x: MIN(rosenbrock, x, options={"eps": 1}), errors.ArgumentError, "options gtol, .*got eps"),
        (lambda x: MIN(rosenbrock, x * 1j), errors.DTypeError, "real numbers to start from"),
        (lambda x: optimize.brentq(np.sin, x, 1.0), errors.ShapeError, "scalars as ends"),
        (lambda x: optimize.brentq(lambda t: t + x, 0.0, 1.0), errors.ShapeError, "a function with a scalar"),
        (lambda x: optimize.bisect(np.sin, x[0], 1.0, xtol=0), errors.ArgumentError, "xtol above 0"),
        (lambda x: optimize.root_scalar(lambda t: t + x[0]), errors.ArgumentError, "bracket= or x0="),
        (lambda x: optimize.root_scalar(np.sin, x0=x[0], method="brentq"), errors.ArgumentError, "takes bracket="),
        (lambda x: optimize.root_scalar(np.sin, x0=x[0], method="no"), errors.ArgumentError, "method='no'"),
        (lambda x: optimize.fixed_point(np.cos, x, method="no"), errors.ArgumentError, "'del2' or 'iteration'"),
        (lambda x: optimize.fixed_point(np.sum, x), errors.ShapeError, "made shape"),
        (lambda x: optimize.root(lambda x: x[:2], x), errors.ShapeError, "as many results as unknowns, 4"),
        (lambda x: optimize.root(np.sin, x, options={"eps": 1}), errors.ArgumentError, "the option maxiter, got eps"),
        (lambda x: optimize.least_squares(np.sin, x, bounds=(0, 1)), errors.ArgumentError, "not take bounds"),
        (lambda x: optimize.least_squares(np.sin, x, loss="huber"), errors.ArgumentError, "not take loss"),
        (lambda x: optimize.least_squares(lambda x: x[None], x), errors.ShapeError, "residuals of one dimension"),
        (lambda x: optimize.curve_fit(lambda *a: a[0], x, x), errors.ArgumentError, "give p0"),
        (lambda x: optimize.curve_fit(lambda x, a: a * x, x, x, method="trf"), errors.ArgumentError, "method='lm'"),
        (lambda x: optimize.minimize_scalar(np.sin, bounds=(x, 1)), errors.ShapeError, "scalars as ends, got"),
        (lambda x: optimize.minimize_scalar(lambda t: t * x), errors.ShapeError, "minimize_scalar takes a function"),
        (lambda x: optimize.minimize_scalar(np.sin, (x[0], 1), method="golden"), errors.ArgumentError, "'brent'"),
        (lambda x: optimize.minimize_scalar(np.sin, (x[0], 1, 2)), errors.ArgumentError, "two points, got 3"),
        (lambda x: optimize.linear_sum_assignment(x), errors.ShapeError, "a matrix of costs"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(START)
