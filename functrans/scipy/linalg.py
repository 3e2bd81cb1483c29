"""Linear algebra, as `scipy.linalg`."""

from __future__ import annotations

from typing import Any

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.lax import linalg as prim
from functrans.numpy.linalg import det, inv, solve as _solve

__all__ = ["cho_factor", "cho_solve", "cholesky", "det", "inv", "solve", "solve_triangular"]


def cholesky(a: Any, lower: bool = False) -> Any:
    """The Cholesky factor, upper by default, as `scipy.linalg.cholesky`."""
    return fnp.linalg.cholesky(a, upper=not lower)


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """The solution of `a x = b` for triangular `a`, as `scipy.linalg.solve_triangular`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_triangular(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True)
    Array([1., 2.])
    """
    a, b = fnp.linalg._pair("solve_triangular", a, b)
    vector = aval_of(b).ndim == 1
    columns = lax.reshape(b, (*aval_of(b).shape, 1)) if vector else b
    out = prim.triangular_solve(
        a, columns, left_side=True, lower=lower, transpose_a=trans in (1, 2, "T", "C"), conjugate_a=trans in (2, "C"),
        unit_diagonal=unit_diagonal,
    )  # fmt: skip
    return lax.reshape(out, aval_of(out).shape[:-1]) if vector else out


def cho_factor(a: Any, lower: bool = False) -> tuple[Any, bool]:
    """A Cholesky factor for `cho_solve`, as `scipy.linalg.cho_factor`."""
    return cholesky(a, lower), lower


def cho_solve(c_and_lower: tuple[Any, bool], b: Any) -> Any:
    """The solution of `a x = b` by the Cholesky factor of `a`, as `scipy.linalg.cho_solve`."""
    c, lower = c_and_lower
    y = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, y, trans=2 if lower else 0, lower=lower)


def solve(a: Any, b: Any) -> Any:
    """The solution of `a x = b`, as `scipy.linalg.solve`."""
    return _solve(a, b)
