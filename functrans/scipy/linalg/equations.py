"""Matrix equations: Sylvester's, Lyapunov's and Riccati's."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ShapeError
from functrans.lax import linalg as prim
from functrans.lax.linalg.matrices import adjoint
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import check_square, choice, double, inexact


def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution of `a x + x b = q`, as `scipy.linalg.solve_sylvester`; right for real and complex ones together too.

    It is unique where no eigenvalue of `a` is one of `-b`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_sylvester(np.diag([1.0, 2.0]), np.eye(2), np.ones((2, 2)))
    Array([[0.5       , 0.5       ],
           [0.33333333, 0.33333333]])
    """
    return prim.solve_sylvester(*inexact("solve_sylvester", a, b, q, small=np.float64))


def _pair(name: str, a: Any, q: Any) -> tuple[Any, Any]:
    check_square(name, a, q)
    if aval_of(a).shape[-1] != aval_of(q).shape[-1]:
        raise ShapeError(f"{name}: matrices of shapes {aval_of(a).shape} and {aval_of(q).shape} do not fit")
    return a, q


@implements("scipy.linalg", lapack=True)
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """The solution of `a x + x a^H = q`, as `scipy.linalg.solve_continuous_lyapunov`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_continuous_lyapunov(-np.eye(2), -np.eye(2))
    Array([[0.5, 0. ],
           [0. , 0.5]])
    """
    a, q = _pair("solve_continuous_lyapunov", *inexact("solve_continuous_lyapunov", a, q, small=np.float64))
    return prim.solve_sylvester(a, adjoint(a), q)


@implements("scipy.linalg", lapack=True)
def solve_lyapunov(a: Any, q: Any) -> Any:
    """As `solve_continuous_lyapunov`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_lyapunov(-np.eye(1), -np.eye(1))
    Array([[0.5]])
    """
    return solve_continuous_lyapunov(a, q)


@implements("scipy.linalg", lapack=True)
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Any:
    """The solution of `a x a^H - x + q = 0`, as `scipy.linalg.solve_discrete_lyapunov`.

    Args:
        a, q: square matrices.
        method: `"direct"` solves a system of as many unknowns as `q` has elements, `"bilinear"` turns the equation into
            a continuous one. The first is the default below ten rows.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_discrete_lyapunov(0.5 * np.eye(2), 3 * np.eye(2))
    Array([[4., 0.],
           [0., 4.]])
    """
    method = method.lower() if isinstance(method, str) else method
    choice("solve_discrete_lyapunov", "method", method, None, "direct", "bilinear")
    a, q = _pair("solve_discrete_lyapunov", *double("solve_discrete_lyapunov", a, q))
    n, dtype = aval_of(a).shape[-1], aval_of(a).dtype
    if method == "direct" or (method is None and n < 10):
        product = a[..., :, None, :, None] * fnp.conj(a)[..., None, :, None, :]
        batch = np.broadcast_shapes(aval_of(a).shape[:-2], aval_of(q).shape[:-2])
        system = fnp.eye(n * n, dtype=dtype) - fnp.reshape(product, (*aval_of(a).shape[:-2], n * n, n * n))
        x = prim.solve(system, fnp.reshape(q, (*aval_of(q).shape[:-2], n * n, 1)))
        return fnp.reshape(x, (*batch, n, n))
    eye = fnp.eye(n, dtype=dtype)
    inverse = prim.inv(a + eye)
    b = inverse @ (a - eye)
    return prim.solve_sylvester(b, adjoint(b), -2 * (inverse @ q @ adjoint(inverse)))
