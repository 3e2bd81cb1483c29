"""What solvers need of the user's function: whether to trace it, its derivatives, the equations of tangents."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import vmap
from functrans.core.array import wrap
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.core.pytree import leaves
from functrans.errors import DTypeError
from functrans.lax.conversion import as_inexact
from functrans.numpy.dispatch import has_tracer

#: Unknowns from which on the equation of tangents is solved by conjugate gradients, without its matrix.
_DENSE = 512


def scipys() -> Any:
    """SciPy's module, imported when a solver of it first runs."""
    return importlib.import_module("scipy.optimize")


def is_traced(fun: Callable[..., Any], x: Any, args: tuple[Any, ...]) -> bool:
    """Whether an argument or what the function captures is traced; else the solver can be SciPy's own."""
    if has_tracer((x, *args)) or has_tracer(leaves(args)):
        return True
    return has_tracer(leaves(fun(x, *args)))


def floats(name: str, x: Any) -> Any:
    """Starting values as real floating numbers."""
    x = fnp.asarray(x)
    dtype = aval_of(x).dtype
    if kind_of(dtype) not in "biuf":
        raise DTypeError(f"{name} takes real numbers to start from, got {dtype}")
    return as_inexact(x)


def tuple_of(args: Any) -> tuple[Any, ...]:
    """SciPy's `args`: a tuple, or a single argument."""
    return args if isinstance(args, tuple) else (args,)


def solve_elementwise(g: Callable[[Any], Any], y: Any) -> Any:
    """The solution of `g(x) = y` where every element of `g` depends on its own element of `x` alone."""
    return y / g(fnp.ones_like(y))


def solve_dense(g: Callable[[Any], Any], y: Any) -> Any:
    """The solution of `g(x) = y` for vectors, by the matrix of `g`."""
    n = aval_of(y).shape[0]
    matrix = vmap(g, out_axes=1)(fnp.eye(n, dtype=aval_of(y).dtype))
    return fnp.linalg.solve(matrix, y)


def solve_symmetric(g: Callable[[Any], Any], y: Any) -> Any:
    """The same for a positive definite `g`: by its matrix if it is small, else by conjugate gradients."""
    if aval_of(y).shape[0] <= _DENSE:
        return solve_dense(g, y)
    return lax.custom_linear_solve(g, y, _conjugate_gradients, symmetric=True)


def _conjugate_gradients(g: Callable[[Any], Any], y: Any) -> Any:
    """Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems" (1952)."""
    n = aval_of(y).shape[0]
    small = 64 * float_info(aval_of(y).dtype).eps ** 2 * fnp.dot(y, y)

    def step(state: Any) -> Any:
        count, x, r, p, square = state
        image = g(p)
        alpha = square / fnp.dot(p, image)
        r = r - alpha * image
        new = fnp.dot(r, r)
        return count + 1, x + alpha * p, r, r + new / square * p, new

    start = (fnp.zeros((), np.int64), fnp.zeros_like(y), y, y, fnp.dot(y, y))
    return lax.while_loop(lambda s: (s[0] < 10 * n) & (s[4] > small), step, start)[1]


def wrapped(result: Any) -> Any:
    """SciPy's result with `Array`s for arrays."""
    for name, value in list(result.items()):
        if isinstance(value, np.ndarray) and kind_of(value.dtype) in "biufc":
            result[name] = wrap(value)
    return result
