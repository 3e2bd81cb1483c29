"""Iterative solvers of linear systems, as `scipy.sparse.linalg`, with the arguments of `jax.scipy.sparse.linalg`.

A system is given by its product with a pytree of arrays. The iterations are compiled loops; derivatives are those of
the solution, from the equation (`lax.custom_linear_solve`): they solve one more system, to the same tolerance.

Sources: Y. Saad, "Iterative Methods for Sparse Linear Systems" (2003), chapters 6, 7 and 9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import api, lax
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of
from functrans.core.pytree import flatten
from functrans.errors import ArgumentError, ShapeError
from functrans.flatten_util import ravel_pytree
from functrans.lax.promotion import common_dtype

__all__ = ["bicgstab", "cg", "gmres"]

Operator = Callable[[Any], Any]


class _Limits(NamedTuple):
    tol: Any
    atol: Any
    maxiter: int


def cg(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: int | None = None, M: Any = None,
    rtol: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """The solution of `A x = b` for a Hermitian positive definite `A`, by conjugate gradients.

    As `scipy.sparse.linalg.cg` and `jax.scipy.sparse.linalg.cg`.

    Args:
        A: a function that gives the product with a pytree like `b`, a square matrix, or one of `scipy.sparse`.
        b: the right-hand side, a pytree of arrays.
        x0: where to start, a pytree like `b`; zero by default.
        tol, atol: stop when the norm of `b - A x` is at most `max(tol * norm(b), atol)`.
        maxiter: stop after so many iterations at the latest; ten times the number of unknowns by default.
        M: a preconditioner, an approximate inverse of `A` in the same forms; Hermitian positive definite too.
        rtol: SciPy's name of `tol`.

    Returns:
        `(x, info)`: `info` is 0 where the iteration converged, else the number of iterations (int64).

    >>> import functrans as ft, numpy as np
    >>> A, b = np.array([[4.0, 1.0], [1.0, 3.0]]), np.array([5.0, 4.0])
    >>> x, info = ft.scipy.sparse.linalg.cg(lambda x: A @ x, b)
    >>> x, info
    (Array([1., 1.]), Array(0))
    """
    return _solve("cg", _conjugate_gradients, A, b, x0, tol, rtol, atol, maxiter, M, hermitian=True)


def bicgstab(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, maxiter: int | None = None, M: Any = None,
    rtol: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """The solution of `A x = b` for any regular `A`, by stabilized biconjugate gradients.

    As `scipy.sparse.linalg.bicgstab` and `jax.scipy.sparse.linalg.bicgstab`. Arguments and results are those of `cg`.

    >>> import functrans as ft, numpy as np
    >>> A, b = np.array([[4.0, 1.0], [0.0, 3.0]]), np.array([5.0, 3.0])
    >>> ft.scipy.sparse.linalg.bicgstab(A, b)[0]
    Array([1., 1.])
    """
    return _solve("bicgstab", _bicgstab, A, b, x0, tol, rtol, atol, maxiter, M)


def gmres(
    A: Any, b: Any, x0: Any = None, *, tol: Any = 1e-5, atol: Any = 0.0, restart: int | None = 20,
    maxiter: int | None = None, M: Any = None, solve_method: str = "batched", rtol: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """The solution of `A x = b` for any regular `A`, by generalized minimal residuals.

    As `scipy.sparse.linalg.gmres` and `jax.scipy.sparse.linalg.gmres`. Further arguments and results are those of `cg`.

    Args:
        A, b, x0: the system and where to start.
        tol, atol: when to stop; of the preconditioned system.
        restart: start anew after so many iterations, as each keeps one more vector like `b`.
        maxiter: the largest number of restarts.
        M: a preconditioner, which stands on the left.
        solve_method: `"batched"` or `"incremental"`, of no effect: residuals are known after each iteration.
        rtol: SciPy's name of `tol`.

    >>> import functrans as ft, numpy as np
    >>> A, b = np.array([[4.0, 1.0], [0.0, 3.0]]), np.array([5.0, 3.0])
    >>> ft.scipy.sparse.linalg.gmres(A, b)[0]
    Array([1., 1.])
    """
    if solve_method not in ("batched", "incremental"):
        raise ArgumentError(f"gmres: solve_method is 'batched' or 'incremental', got {solve_method!r}")
    restart = 20 if restart is None else int(restart)
    if restart < 1:
        raise ArgumentError(f"gmres restarts after at least one iteration, got restart={restart}")

    def run(A: Operator, b: Any, x0: Any, M: Operator, limits: _Limits) -> tuple[Any, Any]:
        return _gmres(A, b, x0, M, limits, min(restart, aval_of(b).size))

    return _solve("gmres", run, A, b, x0, tol, rtol, atol, maxiter, M)


# ---------------------------------------------------------------- operators on vectors


def _product(name: str, what: str, operator: Any) -> Operator:
    """An operator in one of its forms as a function."""
    if operator is None:
        return lambda x: x
    if hasattr(operator, "tocoo"):  # of scipy.sparse
        coo = operator.tocoo()
        rows, columns, values = coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data
        if len(coo.shape) != 2 or coo.shape[0] != coo.shape[1]:
            raise ShapeError(f"{name} takes a square matrix as {what}, got shape {coo.shape}")

        def product(x: Any) -> Any:
            terms = values * x[columns]
            return fnp.zeros(coo.shape[0], aval_of(terms).dtype).at[rows].add(terms)

        return product
    if callable(operator) and not hasattr(operator, "matvec"):
        return operator
    if hasattr(operator, "matvec"):
        raise ArgumentError(
            f"{name}: a LinearOperator of SciPy's computes with plain arrays alone; give {what} as a function"
        )
    matrix = fnp.asarray(operator)
    shape = aval_of(matrix).shape
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError(f"{name} takes a square matrix or a function as {what}, got shape {shape}")
    return lambda x: matrix @ x


def _solve(
    name: str, run: Callable[..., Any], A: Any, b: Any, x0: Any, tol: Any, rtol: Any, atol: Any, maxiter: Any, M: Any,
    hermitian: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The operators and the right-hand side as those of one vector, the solver inside of the implicit derivative."""
    A, M = _product(name, "A", A), _product(name, "M", M)
    b = api.device_put(b)
    tree = flatten(b)[1]
    out = api.eval_shape(A, b)
    if flatten(out)[1] != tree or any(
        aval_of(x).shape != aval_of(y).shape for x, y in zip(flatten(out)[0], flatten(b)[0])
    ):
        raise ShapeError(
            f"{name}: A must take and give pytrees of the structure and shapes of b, {_shapes(b)}, "
            f"it gave {_shapes(out)}"
        )
    dtypes = [common_dtype(x.dtype, y.dtype, np.float32) if x.dtype not in SMALL_FLOATS else x.dtype
              for x, y in zip(map(aval_of, flatten(b)[0]), map(aval_of, flatten(out)[0]))]  # fmt: skip
    b = tree.unflatten([lax.convert_element_type(x, d) for x, d in zip(flatten(b)[0], dtypes)])
    if x0 is not None and (
        flatten(x0)[1] != tree or any(np.shape(x) != np.shape(y) for x, y in zip(flatten(x0)[0], flatten(b)[0]))
    ):
        raise ShapeError(f"{name}: x0 must have the structure and shapes of b, {_shapes(b)}, got {_shapes(x0)}")
    vector, unravel = ravel_pytree(b)
    flat = lambda f: lambda x: lax.convert_element_type(ravel_pytree(f(unravel(x)))[0], aval_of(vector).dtype)
    start = fnp.zeros_like(vector) if x0 is None else api.stop_gradient(flat(lambda _: x0)(vector))
    limits = _Limits(
        tol if rtol is None else rtol, atol, 10 * aval_of(vector).size if maxiter is None else int(maxiter)
    )
    precondition = flat(M)

    def solve(operator: Operator, rhs: Any) -> Any:
        return run(operator, rhs, start, precondition, limits)

    def transpose_solve(operator: Operator, rhs: Any) -> Any:
        transposed = api.linear_transpose(precondition, vector)
        return run(operator, rhs, fnp.zeros_like(rhs), lambda x: transposed(x)[0], limits)

    symmetric = hermitian and kind_of(aval_of(vector).dtype) == "f"
    x, info = lax.custom_linear_solve(
        flat(A), vector, solve, None if symmetric else transpose_solve, symmetric=symmetric, has_aux=True
    )
    return unravel(x), info


def _shapes(tree: Any) -> Any:
    leaves, structure = flatten(tree)
    return structure.unflatten([np.shape(x) for x in leaves])


def _dot(x: Any, y: Any) -> Any:
    return fnp.vdot(x, y)


def _square(x: Any) -> Any:
    """The square of the norm."""
    return fnp.real(fnp.vdot(x, x))


def _limit(b: Any, limits: _Limits) -> Any:
    """The square of the norm of residuals at which to stop."""
    return fnp.maximum(limits.tol**2 * _square(b), limits.atol**2).astype(aval_of(_square(b)).dtype)


# ---------------------------------------------------------------- the methods


def _conjugate_gradients(A: Operator, b: Any, x0: Any, M: Operator, limits: _Limits) -> tuple[Any, Any]:
    limit = _limit(b, limits)
    r = b - A(x0)
    z = M(r)

    def go_on(state: Any) -> Any:
        _, r, _, _, k = state
        return (_square(r) > limit) & (k < limits.maxiter)

    def step(state: Any) -> Any:
        x, r, p, gamma, k = state
        q = A(p)
        alpha = gamma / _dot(p, q)
        x, r = x + alpha * p, r - alpha * q
        z = M(r)
        after = _dot(r, z)
        return x, r, z + after / gamma * p, after, k + 1

    x, r, _, _, k = lax.while_loop(go_on, step, (x0, r, z, _dot(r, z), np.int64(0)))
    return x, fnp.where(_square(r) <= limit, 0, fnp.maximum(k, 1))


def _bicgstab(A: Operator, b: Any, x0: Any, M: Operator, limits: _Limits) -> tuple[Any, Any]:
    limit = _limit(b, limits)
    r = shadow = b - A(x0)
    one = fnp.ones((), aval_of(b).dtype)
    none = fnp.zeros_like(b)

    def go_on(state: Any) -> Any:
        r, k, broken = state[1], state[-2], state[-1]
        return (_square(r) > limit) & (k < limits.maxiter) & ~broken

    def step(state: Any) -> Any:
        x, r, p, q, alpha, omega, rho, k, _ = state
        before, rho = rho, _dot(shadow, r)
        p = r + rho / before * (alpha / omega) * (p - omega * q)
        ahead = M(p)
        q = A(ahead)
        alpha = rho / _dot(shadow, q)
        s = r - alpha * q
        enough = _square(s) <= limit
        side = M(s)
        t = A(side)
        omega = fnp.where(enough, one, _dot(t, s) / fnp.where(enough, one, _dot(t, t)))
        x = x + alpha * ahead + fnp.where(enough, 0, omega) * side
        r = fnp.where(enough, s, s - omega * t)
        return x, r, p, q, alpha, omega, rho, k + 1, (rho == 0) | (omega == 0) | ~fnp.isfinite(_square(r))

    state = (x0, r, none, none, one, one, one, np.int64(0), np.bool_(False))
    x, r, *_, k, _ = lax.while_loop(go_on, step, state)
    return x, fnp.where(_square(r) <= limit, 0, fnp.maximum(k, 1))


def _gmres(A: Operator, b: Any, x0: Any, M: Operator, limits: _Limits, m: int) -> tuple[Any, Any]:
    """Left-preconditioned; the Hessenberg matrix is kept triangular by a unitary `g`, one rotation at each step."""
    if not m:
        return x0, np.int64(0)
    dtype = aval_of(b).dtype
    limit = _limit(M(b), limits)
    eye = fnp.eye(m, dtype=dtype)

    def outer_goes_on(state: Any) -> Any:
        _, r, k = state
        return (_square(r) > limit) & (k < limits.maxiter)

    def inner_goes_on(state: Any) -> Any:
        _, _, _, size, j = state
        return (j < m) & (size > limit)

    def outer(state: Any) -> Any:
        x, r, k = state
        beta = fnp.sqrt(_square(r)).astype(dtype)
        basis = fnp.zeros((m + 1, aval_of(b).size), dtype).at[0].set(r / beta)

        def inner(state: Any) -> Any:
            basis, triangle, g, _, j = state
            w = M(A(basis[j]))
            h = fnp.conj(basis) @ w
            w = w - h @ basis
            again = fnp.conj(basis) @ w  # orthogonal to working precision: twice is enough
            w = w - again @ basis
            size = fnp.sqrt(_square(w)).astype(dtype)
            kept = fnp.abs(size) > 0
            basis = basis.at[j + 1].set(fnp.where(kept, w / fnp.where(kept, size, 1), 0))
            column = g @ (h + again).at[j + 1].set(size)
            # the rotation that takes the last element of the column to zero
            first, last = column[j], column[j + 1]
            length = fnp.sqrt(fnp.real(first * fnp.conj(first) + last * fnp.conj(last))).astype(dtype)
            c, s = first / length, last / length
            upper, lower = g[j], g[j + 1]
            g = g.at[j].set(fnp.conj(c) * upper + fnp.conj(s) * lower).at[j + 1].set(c * lower - s * upper)
            column = fnp.where(np.arange(m) < j, column[:m], 0).at[j].set(length)
            residual = beta * g[j + 1, 0]
            return basis, triangle.at[:, j].set(column), g, fnp.real(residual * fnp.conj(residual)), j + 1

        start = (basis, eye, fnp.eye(m + 1, dtype=dtype), _square(r), np.int64(0))
        basis, triangle, g, _, j = lax.while_loop(inner_goes_on, inner, start)
        rhs = fnp.where(np.arange(m) < j, beta * g[:m, 0], 0)
        y = lax.linalg.triangular_solve(triangle, rhs[:, None], left_side=True)[:, 0]
        x = x + y @ basis[:m]
        return x, M(b - A(x)), k + 1

    x, r, k = lax.while_loop(outer_goes_on, outer, (x0, M(b - A(x0)), np.int64(0)))
    return x, fnp.where(_square(r) <= limit, 0, fnp.maximum(k, 1))
