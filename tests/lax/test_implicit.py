"""`custom_linear_solve` and `custom_root`: derivatives of solutions, whatever the solver does."""

import itertools

import numpy as np
import pytest
from helpers import assert_same

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.testing import arrays, check_grads, check_transforms

rng = np.random.default_rng(0)
A = rng.normal(size=(3, 3)) + 3 * np.eye(3)
B = rng.normal(size=3)


def by_lu(A, b, **options):
    """Solvers that capture the matrix, as users write them."""
    return lax.custom_linear_solve(
        lambda x: A @ x, b, lambda _, b: fnp.linalg.solve(A, b), lambda _, b: fnp.linalg.solve(A.T, b), **options
    )


def by_iteration(A, b):
    """Richardson's iteration: it knows the matrix by its products alone."""

    def solve(matvec, b):
        step = lambda x: x + 0.2 * (b - matvec(x))
        return lax.while_loop(lambda x: fnp.max(fnp.abs(b - matvec(x))) > 1e-14, step, 0.0 * b)

    return lax.custom_linear_solve(lambda x: A @ x, b, solve, solve)


def newton(f, x):
    return lax.fori_loop(0, 12, lambda _, x: x - f(x) / ft.grad(f)(x), x)


def cube_root(a):
    return lax.custom_root(lambda x: x**3 - a, a * 0 + 1.5, newton, lambda g, y: y / g(1.0))


def newton_system(f, x):
    return lax.fori_loop(0, 12, lambda _, x: x - fnp.linalg.solve(ft.jacfwd(f)(x), f(x)), x)


def system_root(a, b):
    """The root of x + tanh(a x) / 2 = b, several unknowns at once."""
    f = lambda x: x + 0.5 * fnp.tanh(a * x[::-1]) - b
    return lax.custom_root(f, 0 * b, newton_system, lambda g, y: fnp.linalg.solve(ft.jacobian(g)(y), y))


@check_transforms(arrays(shape=(3, 3), domain=(-0.5, 0.5)), arrays(shape=(3,)), max_examples=1)
def test_linear_solve_under_transformations(a, b):
    return by_lu(a + 2 * np.eye(3), b)


@check_transforms(arrays(shape=(2,), domain=(0.1, 1.0)), arrays(shape=(2,)), max_examples=1)
def test_root_under_transformations(a, b):
    return system_root(a, b)


@pytest.mark.parametrize("solve", [by_lu, by_iteration])
def test_linear_solve(solve):
    wanted = np.linalg.solve(A, B)
    np.testing.assert_allclose(solve(A, B), wanted, rtol=1e-12)
    np.testing.assert_allclose(ft.jit(solve)(A, B), wanted, rtol=1e-12)
    check_grads(solve, (A, B), 2, ("fwd", "rev"))
    many = np.stack([A, A.T, A + 1])
    np.testing.assert_allclose(
        ft.vmap(solve, (0, None))(many, B), np.linalg.solve(many, B[:, None])[..., 0], rtol=1e-12
    )
    np.testing.assert_allclose(ft.jit(ft.vmap(solve, (None, 1), 1))(A, A), np.eye(3), atol=1e-12)
    plain = lambda a, b: fnp.sum(fnp.sin(fnp.linalg.solve(a, b)))
    loss = lambda a, b: fnp.sum(fnp.sin(solve(a, b)))
    for transform in (
        ft.grad,
        lambda f: ft.jit(ft.grad(f, (0, 1))),
        ft.jacfwd,
        ft.hessian,
        lambda f: ft.jit(ft.hessian(f)),
    ):
        for got, want in zip(ft.tree.leaves(transform(loss)(A, B)), ft.tree.leaves(transform(plain)(A, B))):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
    axes = (0, None)
    got, want = (ft.vmap(ft.grad(f), axes)(many, B) for f in (loss, plain))
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_linear_solve_transposes():
    transposed = ft.linear_transpose(lambda b: by_lu(A, b), B)
    assert_same(transposed(B)[0], np.linalg.solve(A.T, B), rtol=1e-12)
    again = ft.linear_transpose(lambda b: transposed(b)[0], B)
    assert_same(again(B)[0], np.linalg.solve(A, B), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_symmetric_systems_need_no_transpose(dtype):
    S = (A + A.T + 3 * np.eye(3)).astype(dtype)
    b = (B * (1 + 0.5j) if dtype == np.complex128 else B).astype(dtype)
    calls = []

    def solve(matvec, b):
        calls.append(b)
        return fnp.linalg.solve(S, b)

    def f(b):
        return lax.custom_linear_solve(lambda x: S @ x, b, solve, symmetric=True)

    out, pull = ft.vjp(f, b)
    assert out.dtype == dtype
    (ct,) = pull(b)
    assert_same(ct, np.linalg.solve(S, b), rtol=1e-5 if dtype == np.float32 else 1e-12)
    assert len(calls) == 1


def test_pytrees_and_aux():
    b = {"u": np.array([1.0, 2.0]), "v": np.array(3.0)}

    def system(scale, b):
        matvec = lambda x: {"u": scale * x["u"], "v": 2.0 * scale * x["v"] + 0 * fnp.sum(x["u"])}

        def solve(matvec, b):
            return {"u": b["u"] / scale, "v": b["v"] / (2.0 * scale)}, {"steps": 1, "rest": fnp.sum(b["u"])}

        return lax.custom_linear_solve(matvec, b, solve, solve, has_aux=True)

    x, aux = system(2.0, b)
    assert aux["steps"] == 1
    assert aux["rest"] == 3.0
    assert_same(x["u"], np.array([0.5, 1.0]))
    gradient, aux = ft.grad(lambda s: (lambda x, aux: (fnp.sum(x["u"]) + x["v"], aux))(*system(s, b)), has_aux=True)(
        2.0
    )
    np.testing.assert_allclose(gradient, -(3.0 / 4 + 1.5 / 4))
    assert aux["rest"] == 3.0
    x, aux = ft.jit(ft.vmap(system, (0, None)))(np.array([1.0, 2.0]), b)
    assert_same(x["u"], np.array([[1.0, 2.0], [0.5, 1.0]]))
    assert aux["rest"].shape == (2,)  # nothing batched goes into it, and each example has it


@pytest.mark.parametrize("outer", ["scan", "cond", "while", "vmap", "checkpoint"])
def test_inside_other_constructs(outer):
    def once(a, b):
        return by_lu(a, b) + cube_root(fnp.sum(b**2) + 1.0)

    def f(a, b):
        if outer == "scan":
            return lax.scan(lambda c, _: (once(a, c), fnp.sum(c)), b, None, length=2)[0]
        if outer == "cond":
            return lax.cond(fnp.sum(b) > -100, lambda b: once(a, b), lambda b: b, b)
        if outer == "while":
            return lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, once(a, c[1])), (0, b))[1]
        if outer == "vmap":
            return ft.vmap(lambda s: once(a, s * b))(np.array([1.0, 2.0]))
        return ft.checkpoint(once)(a, b)

    check_grads(f, (A, B), 1, ("fwd", "rev"))
    total = lambda a, b: fnp.sum(f(a, b))
    for got, want in zip(ft.jit(ft.grad(total, (0, 1)))(A, B), ft.grad(total, (0, 1))(A, B)):
        np.testing.assert_allclose(got, want, rtol=1e-10)


@pytest.mark.parametrize("solve", [by_lu, by_iteration])
def test_examples_that_do_not_take_part_raise_nothing(solve):
    """A singular matrix in a branch that its example does not take; a loop of the solver that would not end."""
    matrices = np.stack([A, np.zeros((3, 3))])
    f = lambda a: lax.cond(fnp.sum(fnp.abs(a)) > 0, lambda: solve(a, B), lambda: B)
    for fun in (ft.vmap(f), ft.jit(ft.vmap(f))):
        np.testing.assert_allclose(fun(matrices), [np.linalg.solve(A, B), B], rtol=1e-10)
    g = ft.vmap(ft.grad(lambda a: fnp.sum(f(a))))
    np.testing.assert_allclose(g(matrices)[0], ft.grad(lambda a: fnp.sum(by_lu(a, B)))(A), rtol=1e-8)


def test_root():
    np.testing.assert_allclose(cube_root(8.0), 2.0)
    derivatives = ft.jit(lambda a: [cube_root(a), ft.grad(cube_root)(a), ft.grad(ft.grad(cube_root))(a)])(8.0)
    np.testing.assert_allclose(derivatives, [2.0, 1 / 12, -2 / (9 * 32)])
    many = np.array([1.0, 8.0, 27.0])
    np.testing.assert_allclose(ft.vmap(ft.grad(cube_root))(many), many ** (-2 / 3) / 3)
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.jacfwd(cube_root)))(many), many ** (-2 / 3) / 3)
    check_grads(cube_root, (8.0,), 2, ("fwd", "rev"))


def test_root_is_differentiated_through_linear_solvers():
    """The tangents' system by `custom_linear_solve`, whose iteration has no derivative in reverse mode."""

    def tangent_solve(g, y):
        solve = lambda g, y: lax.while_loop(lambda x: fnp.max(fnp.abs(y - g(x))) > 1e-14, lambda x: x + y - g(x), y)
        return lax.custom_linear_solve(g, y, solve, solve)

    def f(a, b):
        equation = lambda x: x + 0.4 * fnp.tanh(a * x[::-1]) - b
        return lax.custom_root(equation, b, newton_system, tangent_solve)

    a, b = np.array([0.5, 0.7, 0.2]), B
    check_grads(f, (a, b), 2, ("fwd", "rev"))
    np.testing.assert_allclose(ft.jit(ft.jacrev(f))(a, b), ft.jacfwd(f)(a, b), rtol=1e-10, atol=1e-12)


def test_root_has_no_derivative_by_its_guess_and_none_of_aux():
    def f(a, guess):
        solve = lambda f, x: (newton(f, x), {"guess": x})
        return lax.custom_root(lambda x: x * x - a, guess, solve, lambda g, y: y / g(1.0), has_aux=True)

    (root, aux), pull = ft.vjp(f, 4.0, 1.0)
    np.testing.assert_allclose(root, 2.0)
    assert aux["guess"] == 1.0
    np.testing.assert_allclose(pull((1.0, {"guess": 5.0})), (0.25, 0.0))


def test_the_solver_is_not_differentiated():
    """It goes through a callback, which has no derivative, and captures what is differentiated."""

    def f(a):
        solve = lambda f, x: ft.pure_callback(lambda v: np.sqrt(v), x, a, vmap_method="sequential")
        return lax.custom_root(lambda x: x * x - a, 1.0, solve, lambda g, y: y / g(1.0))

    for transform in (
        ft.grad,
        lambda f: ft.jit(ft.grad(f)),
        lambda f: lambda x: ft.vmap(ft.grad(f))(fnp.stack([x]))[0],
    ):
        np.testing.assert_allclose(transform(f)(9.0), 1 / 6)


def square(x):
    return lax.custom_linear_solve(lambda v: 2.0 * v, x, lambda _, b: b / 2.0)


BAD = {
    "shape": (lambda: lax.custom_linear_solve(lambda x: x[:1], B, lambda _, b: b), errors.ShapeError, "matvec"),
    "structure": (
        lambda: lax.custom_linear_solve(lambda x: (x, x), B, lambda _, b: b), errors.TreeStructureError, "matvec"
    ),
    "dtype": (lambda: lax.custom_linear_solve(lambda x: x + 1j, B, lambda _, b: b), errors.DTypeError, "c128"),
    "solution": (lambda: lax.custom_linear_solve(lambda x: x, B, lambda _, b: b[0]), errors.ShapeError, "solve of"),
    "function": (lambda: lax.custom_linear_solve(A, B, lambda _, b: b), errors.ArgumentError, "function as matvec"),
    "aux": (
        lambda: lax.custom_linear_solve(lambda x: x, B, lambda _, b: b, has_aux=True), errors.ArgumentError, "a pair"
    ),
    "transpose": (lambda: ft.grad(square)(1.0), errors.NotDifferentiableError, "transpose_solve"),
    "root": (lambda: lax.custom_root(lambda x: x[:1], B, newton, newton), errors.ShapeError, "f of custom_root"),
    "tangent": (
        lambda: lax.custom_root(lambda x: x, B, lambda f, x: x, lambda g, y: y[:1]), errors.ShapeError, "tangent_solve"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "jitted"), list(itertools.product(BAD, [False, True])))
def test_errors(name, jitted):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        ft.jit(lambda: call())() if jitted else call()
