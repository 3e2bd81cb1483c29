"""Functions of square matrices.

The traced forms of functions whose values may be complex (`sqrtm`, `logm`, `fractional_matrix_power`, `funm`) are
complex always: a dtype cannot depend on values. SciPy gives real arrays where they are real.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, kind_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import linalg as prim
from functrans.lax.linalg.functions import expm_frechet_p
from functrans.lax.linalg.matrices import complex_dtype
from functrans.numpy.dispatch import operand
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import check_square, double, square

#: The largest norm that the approximation of `expm` takes without squarings (Higham, 2005), by the size of real parts.
_WITHOUT_SQUARINGS = {4: 3.925724783138660, 8: 5.371920351148152}


@implements("scipy.linalg", "upper_triangular", "max_squarings", lapack=True)
def expm(A: Any, *, upper_triangular: bool = False, max_squarings: int | None = None) -> Any:
    """The exponential of square matrices, as `scipy.linalg.expm`.

    Args:
        A: matrices in the last two axes.
        upper_triangular: read the upper triangle alone.
        max_squarings: give NaN for matrices that are so large that they would take more squarings, as JAX does.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([[1., 1.],
           [0., 1.]])
    """
    A = square("expm", A, small=np.float64)
    A = fnp.triu(A) if upper_triangular else A
    out = prim.expm(A)
    if max_squarings is None:
        return out
    norm = fnp.max(fnp.sum(fnp.abs(A), axis=-2), axis=-1, initial=0)
    enough = norm <= _WITHOUT_SQUARINGS[aval_of(norm).dtype.itemsize] * 2.0 ** operator.index(max_squarings)
    return fnp.where(enough[..., None, None], out, aval_of(out).dtype.type(np.nan))


@implements("scipy.linalg", lapack=True)
def expm_frechet(
    A: Any, E: Any, method: str | None = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """The exponential of `A` and its derivative in the direction `E`, as `scipy.linalg.expm_frechet`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.expm_frechet(np.zeros((2, 2)), np.eye(2), compute_expm=False)
    Array([[1., 0.],
           [0., 1.]])
    """
    A, E = double("expm_frechet", A, E)
    check_square("expm_frechet", A, E)
    if aval_of(A).shape[-2:] != aval_of(E).shape[-2:]:
        raise ShapeError(f"expm_frechet: shapes {aval_of(A).shape} and {aval_of(E).shape} do not fit")
    derivative = expm_frechet_p.bind(A, E)
    return (prim.expm(A), derivative) if compute_expm else derivative


_UNSET: Any = object()


def _no_estimate(name: str, disp: Any) -> None:
    if disp is not _UNSET and not disp:
        raise ArgumentError(f"{name} of a traced array takes no disp=False: errors are not estimated")


@implements("scipy.linalg", lapack=True)
def logm(A: Any, disp: Any = _UNSET) -> Any:
    """The principal logarithm of square matrices, as `scipy.linalg.logm`; in double precision.

    Of traced arrays it is complex. Its derivatives hold where no eigenvalue is zero or a negative number.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.logm(np.array([[1.0, 1.0], [0.0, 1.0]]))
    Array([[0., 1.],
           [0., 0.]])
    """
    _no_estimate("logm", disp)
    A = double("logm", A)
    check_square("logm", A)
    return prim.logm(A)


@implements("scipy.linalg", lapack=True)
def sqrtm(A: Any, disp: Any = _UNSET, blocksize: Any = _UNSET) -> Any:
    """The principal square root of square matrices, as `scipy.linalg.sqrtm`.

    Of traced arrays it is complex. Its derivatives hold where no eigenvalue is zero or a negative number.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.sqrtm(np.array([[4.0, 0.0], [0.0, 9.0]]))
    Array([[2., 0.],
           [0., 3.]])
    """
    _no_estimate("sqrtm", disp)
    return prim.sqrtm(square("sqrtm", A, small=np.float64))


@implements("scipy.linalg", lapack=True)
def fractional_matrix_power(A: Any, t: Any) -> Any:
    """Square matrices to a power that need not be whole, as `scipy.linalg.fractional_matrix_power`.

    Of traced arrays it is complex unless `t` is a whole number; it is `expm(t logm(A))`, differentiable by `t` too.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.fractional_matrix_power(np.array([[4.0, 0.0], [0.0, 9.0]]), 0.5)
    Array([[2., 0.],
           [0., 3.]])
    """
    A = operand("fractional_matrix_power", A)
    check_square("fractional_matrix_power", A)
    if isinstance(t, (int, float, np.integer, np.floating)) and t == int(t):
        return fnp.linalg.matrix_power(A, int(t))
    A = double("fractional_matrix_power", A)
    return prim.expm(fnp.asarray(t) * prim.logm(A))


@implements("scipy.linalg", lapack=True)
def funm(A: Any, func: Callable[[Any], Any], disp: bool = True) -> Any:
    """The function of matrices that `func`, a function of arrays, makes of their eigenvalues; as `scipy.linalg.funm`.

    Traced, it is `v diag(func(w)) v^-1` with eigenvectors `v`, where SciPy runs Parlett's recurrence: the matrix must
    have independent eigenvectors, and the result is complex.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.funm(np.array([[4.0, 0.0], [0.0, 9.0]]), np.sqrt)
    Array([[2., 0.],
           [0., 3.]])
    """
    _no_estimate("funm", disp)
    A = square("funm", A, small=np.float64)
    w, v = prim.eig(A, compute_left_eigenvectors=False)
    scaled = v * lax.convert_element_type(func(w), aval_of(v).dtype)[..., None, :]
    transposed = prim.solve(fnp.matrix_transpose(v), fnp.matrix_transpose(scaled))
    return fnp.matrix_transpose(transposed)


# ---------------------------------------------------------------- trigonometric and hyperbolic functions, sign


def _turned(a: Any) -> Any:
    """`expm(i a)`."""
    dtype = complex_dtype(aval_of(a).dtype)
    return prim.expm(lax.convert_element_type(a, dtype) * dtype.type(1j))


def _cosine_and_sine(name: str, A: Any) -> tuple[Any, Any]:
    A = square(name, A, small=np.float64)
    ahead = _turned(A)
    if kind_of(aval_of(A).dtype) == "f":
        return fnp.real(ahead), fnp.imag(ahead)
    behind = _turned(-A)
    return (ahead + behind) / 2, (ahead - behind) * aval_of(A).dtype.type(-0.5j)


@implements("scipy.linalg", lapack=True)
def cosm(A: Any) -> Any:
    """The cosine of square matrices, as `scipy.linalg.cosm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.cosm(np.zeros((1, 1)))
    Array([[1.]])
    """
    return _cosine_and_sine("cosm", A)[0]


@implements("scipy.linalg", lapack=True)
def sinm(A: Any) -> Any:
    """The sine of square matrices, as `scipy.linalg.sinm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.sinm(np.zeros((1, 1)))
    Array([[0.]])
    """
    return _cosine_and_sine("sinm", A)[1]


@implements("scipy.linalg", lapack=True)
def tanm(A: Any) -> Any:
    """The tangent of square matrices, as `scipy.linalg.tanm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.tanm(np.zeros((1, 1)))
    Array([[0.]])
    """
    return prim.solve(*_cosine_and_sine("tanm", A))


def _hyperbolic(name: str, A: Any) -> tuple[Any, Any]:
    A = square(name, A, small=np.float64)
    ahead, behind = prim.expm(A), prim.expm(-A)
    return (ahead + behind) / 2, (ahead - behind) / 2


@implements("scipy.linalg", lapack=True)
def coshm(A: Any) -> Any:
    """The hyperbolic cosine of square matrices, as `scipy.linalg.coshm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.coshm(np.zeros((1, 1)))
    Array([[1.]])
    """
    return _hyperbolic("coshm", A)[0]


@implements("scipy.linalg", lapack=True)
def sinhm(A: Any) -> Any:
    """The hyperbolic sine of square matrices, as `scipy.linalg.sinhm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.sinhm(np.zeros((1, 1)))
    Array([[0.]])
    """
    return _hyperbolic("sinhm", A)[1]


@implements("scipy.linalg", lapack=True)
def tanhm(A: Any) -> Any:
    """The hyperbolic tangent of square matrices, as `scipy.linalg.tanhm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.tanhm(np.zeros((1, 1)))
    Array([[0.]])
    """
    return prim.solve(*_hyperbolic("tanhm", A))


@implements("scipy.linalg", lapack=True)
def signm(A: Any, disp: Any = _UNSET) -> Any:
    """The sign of square matrices, `A (A A)^(-1/2)`, as `scipy.linalg.signm`; for no imaginary eigenvalues.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.signm(np.array([[2.0, 0.0], [0.0, -3.0]]))
    Array([[ 1.,  0.],
           [ 0., -1.]])
    """
    _no_estimate("signm", disp)
    A = square("signm", A, small=np.float64)
    root = prim.sqrtm(A @ A)
    sign = prim.solve(root, lax.convert_element_type(A, aval_of(root).dtype))
    return fnp.real(sign) if kind_of(aval_of(A).dtype) == "f" else sign
