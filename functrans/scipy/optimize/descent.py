"""BFGS and L-BFGS as compiled loops.

Source: J. Nocedal and S. Wright, "Numerical Optimization" (2nd ed., 2006), chapters 6 and 7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import value_and_grad
from functrans.core.avals import aval_of, float_info
from functrans.errors import ArgumentError
from functrans.scipy.optimize.linesearch import zoom
from functrans.scipy.optimize.memory import Memory, empty, inverse_hessian_times, remember


class Descent(NamedTuple):
    """Where a minimisation stands: `estimate` is of the inverse Hessian, a matrix or a `Memory`.

    `status` is 0, or SciPy's reason for stopping: 1 for too many iterations, 2 where no step along the direction
    lowers the objective, 3 for NaN.
    """

    x: Any
    value: Any
    grad: Any
    estimate: Any
    count: Any
    evaluations: Any
    converged: Any
    status: Any


class Method(NamedTuple):
    """What distinguishes the methods: how the estimate begins, gives a direction, and learns from a step."""

    start: Callable[[int, np.dtype], Any]
    direction: Callable[[Any, Any], Any]
    learn: Callable[[Any, Any, Any, Any], Any]


def _identity(n: int, dtype: np.dtype) -> Any:
    return fnp.eye(n, dtype=dtype)


def _updated(inverse: Any, s: Any, y: Any, count: Any) -> Any:
    """The inverse Hessian with the curvature of a step (6.17); before the first the identity is scaled (6.20)."""
    product, square = fnp.dot(s, y), fnp.dot(y, y)
    convex = (product > float_info(s.dtype).eps * square) & (square > 0)
    inverse = fnp.where((count == 0) & convex, product / fnp.where(convex, square, 1), 1) * inverse
    rho = 1 / fnp.where(convex, product, 1)
    u = fnp.matmul(inverse, y)
    cross = fnp.outer(u, s)
    change = rho * ((1 + rho * fnp.dot(y, u)) * fnp.outer(s, s) - cross - cross.T)
    return inverse + fnp.where(convex, change, 0)


BFGS = Method(_identity, lambda inverse, g: -fnp.matmul(inverse, g), _updated)


def limited_memory(size: int) -> Method:
    """L-BFGS with so many steps in memory."""
    return Method(
        lambda n, dtype: empty(size, n, dtype),
        lambda memory, g: -inverse_hessian_times(g, Memory(*memory)),
        lambda memory, s, y, count: remember(Memory(*memory), s, y),
    )


def minimized(
    fun: Callable[[Any], Any],
    x0: Any,
    method: Method,
    *,
    gtol: float,
    ftol: float,
    norm: float,
    maxiter: int,
    maxls: int,
) -> Descent:
    """Go down from `x0`, a vector of floats, until the gradient's norm is at most `gtol`.

    With `ftol` also until the objective falls by no more than that part of its size.
    """
    evaluate = value_and_grad(fun)
    dtype = aval_of(x0).dtype

    def at(x: Any) -> tuple[Any, Any]:
        value, grad = evaluate(x)
        return fnp.asarray(value).astype(np.float64), grad

    def size(g: Any) -> Any:
        return fnp.linalg.norm(g, norm)

    def step(state: Descent) -> Descent:
        direction = method.direction(state.estimate, state.grad)
        slope = fnp.dot(direction, state.grad).astype(np.float64)
        # as in SciPy, the first step is no longer than 1
        length = fnp.linalg.norm(direction).astype(np.float64)
        first = fnp.where(state.count == 0, fnp.minimum(1.0, 1 / fnp.where(length > 0, length, 1)), 1.0)

        def along(t: Any) -> tuple[Any, Any, Any]:
            value, grad = at(state.x + t.astype(dtype) * direction)
            return value, fnp.dot(grad, direction).astype(np.float64), grad

        search = zoom(along, state.value, slope, state.grad, first, max_steps=maxls)
        moved = search.low.t > 0
        s = search.low.t.astype(dtype) * direction
        y = search.grad - state.grad
        value, grad = search.low.value, search.grad
        estimate = method.learn(state.estimate, s, y, state.count)
        fall = state.value - value
        flat = moved & (fall <= ftol * fnp.maximum(fnp.maximum(fnp.abs(state.value), fnp.abs(value)), 1)) & (ftol > 0)
        converged = (size(grad) <= gtol) | flat
        count = state.count + 1
        bad = fnp.isnan(value) | fnp.any(fnp.isnan(grad)) | fnp.isnan(slope)
        status = fnp.where(bad, 3, fnp.where(~moved, 2, fnp.where(converged, 0, fnp.where(count >= maxiter, 1, 0))))
        return Descent(
            state.x + s, value, grad, estimate, count, state.evaluations + search.count, converged & moved, status
        )

    value, grad = at(x0)
    n = aval_of(x0).size
    bad = fnp.isnan(value) | fnp.any(fnp.isnan(grad))
    start = Descent(
        x0, value, grad, method.start(n, dtype), fnp.zeros((), np.int64), fnp.ones((), np.int64), size(grad) <= gtol,
        fnp.where(bad, 3, 1 if maxiter < 1 else 0),
    )  # fmt: skip
    return lax.while_loop(lambda s: ~s.converged & (s.status == 0), step, start)


#: For each method its name in the user's words and the options that it takes, with their defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    "bfgs": {"gtol": 1e-5, "norm": np.inf, "maxiter": None, "maxls": 20},
    "l-bfgs": {"gtol": 1e-5, "ftol": 2.220446049250313e-09, "maxiter": 15000, "maxls": 20, "maxcor": 10},
}


def options_of(method: str, given: dict[str, Any], tol: float | None) -> dict[str, Any]:
    """The options of a method with the user's values."""
    known = OPTIONS[method]
    ignored = {"disp", "iprint", "maxfun", "line_search_maxiter", "return_all"}
    unknown = set(given) - set(known) - ignored
    if unknown:
        raise ArgumentError(
            f"minimize of traced values with {method.upper()} takes the options {', '.join(known)}, got "
            f"{', '.join(sorted(map(str, unknown)))}"
        )
    found = {**known, **{k: v for k, v in given.items() if k in known}}
    if "line_search_maxiter" in given:  # JAX's name
        found["maxls"] = given["line_search_maxiter"]
    if tol is not None:
        for name in ("gtol", "ftol"):
            if name in known and name not in given:
                found[name] = tol
    return found
