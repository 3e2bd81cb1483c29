"""Iterative solvers: solutions, what SciPy's solvers find, implicit derivatives, pytrees, and errors."""

import numpy as np
import pytest
import scipy.sparse
from helpers import assert_same
from scipy.sparse.linalg import aslinearoperator

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.scipy.sparse import linalg as solvers
from functrans.testing import check_grads

SOLVERS = {"cg": solvers.cg, "bicgstab": solvers.bicgstab, "gmres": solvers.gmres}


def system(name, n, dtype, seed=0):
    """A well-conditioned matrix that suits the method, and a right-hand side."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if np.dtype(dtype).kind == "c" else 0)
    a = a @ np.conj(a.T) / n + 2 * np.eye(n) if name == "cg" else a / n + 2 * np.eye(n)
    b = rng.normal(size=n) + (1j * rng.normal(size=n) if np.dtype(dtype).kind == "c" else 0)
    return a.astype(dtype), b.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("n", [1, 5, 30])
@pytest.mark.parametrize("name", SOLVERS)
def test_solutions(name, n, dtype):
    a, b = system(name, n, dtype)
    tol = 1e-5 if np.finfo(dtype).bits == 32 else 1e-11
    wanted = np.linalg.solve(a, b)
    solve = lambda a, b: SOLVERS[name](a, b, tol=tol)
    for run in (solve, ft.jit(solve)):
        x, info = run(a, b)
        assert (x.dtype, info.dtype, int(info)) == (b.dtype, np.int64, 0)
        np.testing.assert_allclose(x, wanted, rtol=50 * tol, atol=50 * tol)
    both, _ = ft.vmap(solve, (None, 0))(a, np.stack([b, 2 * b]))
    np.testing.assert_allclose(both, [wanted, 2 * wanted], rtol=50 * tol, atol=50 * tol)


@pytest.mark.parametrize("name", SOLVERS)
def test_forms_of_operators(name):
    a, b = system(name, 12, np.float64)
    a[np.abs(a) < 0.1] = 0
    a = (a + a.T) / 2 if name == "cg" else a
    wanted = np.linalg.solve(a, b)
    for form in (a, scipy.sparse.csr_array(a), lambda x: a @ x):
        np.testing.assert_allclose(SOLVERS[name](form, b, rtol=1e-12)[0], wanted, rtol=1e-9, atol=1e-9)
    jacobi = lambda x: x / np.diag(a)
    np.testing.assert_allclose(SOLVERS[name](a, b, wanted + 0.1, tol=1e-12, M=jacobi)[0], wanted, rtol=1e-9, atol=1e-9)
    tree = {"u": b[:4].reshape(2, 2), "v": b[4:]}
    flat = lambda t: fnp.concatenate([t["u"].ravel(), t["v"]])
    product = lambda t: (lambda y: {"u": y[:4].reshape(2, 2), "v": y[4:]})(a @ flat(t))
    found, _ = SOLVERS[name](product, tree, tol=1e-12)
    np.testing.assert_allclose(flat(found), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SOLVERS)
def test_derivatives_are_those_of_the_solution(name):
    a, b = system(name, 4, np.float64)
    solve = lambda a, b: SOLVERS[name]((a + a.T) / 2 if name == "cg" else a, b, tol=1e-13)[0]
    check_grads(solve, (a, b), order=2, rtol=1e-7, method="extrapolated differences")
    exact = lambda a, b: fnp.sum(fnp.sin(fnp.linalg.solve((a + a.T) / 2 if name == "cg" else a, b)))
    found = ft.jit(ft.grad(lambda a, b: fnp.sum(fnp.sin(solve(a, b))), (0, 1)))(a, b)
    for g, w in zip(found, ft.grad(exact, (0, 1))(a, b)):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)


def test_what_does_not_converge_says_so():
    a, b = system("cg", 30, np.float64)
    _, info = solvers.cg(a, b, tol=1e-14, maxiter=3)
    assert int(info) == 3
    _, info = solvers.bicgstab(a, b, tol=1e-14, maxiter=2)
    assert int(info) == 2
    _, info = solvers.gmres(a, b, tol=1e-14, maxiter=2, restart=2)
    assert int(info) == 2
    for solver in SOLVERS.values():  # a singular system without a solution
        _, info = ft.jit(solver)(np.diag([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
        assert int(info) > 0
    x, info = solvers.gmres(a, b * 0)
    assert_same(x, b * 0)
    assert int(info) == 0


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: solvers.cg(np.ones((2, 3)), np.ones(3)), errors.ShapeError, "cg takes a square matrix or a function as A"),
    (lambda: solvers.cg(lambda x: x[:1], np.ones(3)), errors.ShapeError, "cg: A must take and give pytrees"),
    (lambda: solvers.cg(np.eye(3), np.ones(3), np.ones(2)), errors.ShapeError, "cg: x0 must have the structure"),
    (lambda: solvers.gmres(np.eye(3), np.ones(3), restart=0), errors.ArgumentError, "at least one iteration"),
    (lambda: solvers.gmres(np.eye(3), np.ones(3), solve_method="qr"), errors.ArgumentError, "solve_method is"),
    (lambda: solvers.cg(aslinearoperator(np.eye(3)), np.ones(3)), errors.ArgumentError, "give A as a function"),
])  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
