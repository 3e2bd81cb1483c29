"""Condensed forms of square matrices by unitary similarity: Hessenberg, tridiagonal, Schur.

Hessenberg and tridiagonal forms are LAPACK's, with the reflections packed beneath, and have no derivatives. Those of
the complex Schur form `a = z t z^H` follow from `z^H dz` being skew-Hermitian and `dt` upper triangular; they divide
by differences of eigenvalues, and are infinite where two are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Primitive
from functrans.errors import ArgumentError, NotDifferentiableError
from functrans.lax.contraction import matmul
from functrans.lax.linalg.matrices import (
    adjoint,
    as_row,
    batch_all,
    by_matrix,
    check_square,
    diagonals,
    inverse_gaps,
    lower_triangle,
    real_dtype,
    upper_triangle,
)
from functrans.lax.linalg.spectral import eig_p
from functrans.lax.linalg.systems import triangular_solve

# ---------------------------------------------------------------- hessenberg

hessenberg_p = Primitive("hessenberg", multiple_results=True)


def _hessenberg_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("hessenberg", a)
    *batch, n, _ = a.shape
    return [a.strong(), ShapedArray((*batch, max(n - 1, 0)), a.dtype)]


def _hessenberg_impl(a: Any) -> list[Any]:
    from scipy.linalg.lapack import get_lapack_funcs

    gehrd: Any = get_lapack_funcs("gehrd", (a,))
    return by_matrix(_hessenberg_abstract(aval_of(a)), lambda x: gehrd(x)[:2], a)


hessenberg_p.impl = _hessenberg_impl
hessenberg_p.abstract_eval = _hessenberg_abstract
hessenberg_p.batch = batch_all(hessenberg_p)


def hessenberg(a: Any) -> tuple[Any, Any]:
    """The Hessenberg form of square matrices, zero below the first subdiagonal, as LAPACK's `gehrd`. No derivatives.

    Returns:
        matrices `(..., n, n)` with the form on and above the first subdiagonal and the vectors of the Householder
        reflections below it; and the factors of these, `(..., n - 1)`. The unitary matrix of the similarity is
        `householder_product(a[..., 1:, :-1], taus)`, bordered by a one.

    >>> import functrans.lax as lax, numpy as np
    >>> a, taus = lax.linalg.hessenberg(np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> a, taus
    (Array([[1., 2.],
           [3., 4.]]), Array([0.]))
    """
    a, taus = hessenberg_p.bind(a)
    return a, taus


# ---------------------------------------------------------------- tridiagonal

tridiagonal_p = Primitive("tridiagonal", multiple_results=True)


def _tridiagonal_abstract(a: ShapedArray, *, lower: bool) -> list[ShapedArray]:
    check_square("tridiagonal", a)
    *batch, n, _ = a.shape
    real, beside = real_dtype(a.dtype), (*batch, max(n - 1, 0))
    return [a.strong(), ShapedArray((*batch, n), real), ShapedArray(beside, real), ShapedArray(beside, a.dtype)]


def _tridiagonal_impl(a: Any, *, lower: bool) -> list[Any]:
    from scipy.linalg.lapack import get_lapack_funcs

    trd: Any = get_lapack_funcs("hetrd" if np.asarray(a).dtype.kind == "c" else "sytrd", (a,))
    return by_matrix(_tridiagonal_abstract(aval_of(a), lower=lower), lambda x: trd(x, lower=lower)[:4], a)


tridiagonal_p.impl = _tridiagonal_impl
tridiagonal_p.abstract_eval = _tridiagonal_abstract
tridiagonal_p.batch = batch_all(tridiagonal_p)


def tridiagonal(a: Any, *, lower: bool = True) -> tuple[Any, Any, Any, Any]:
    """The tridiagonal form of Hermitian matrices, as LAPACK's `sytrd` and `hetrd`. No derivatives.

    Args:
        a: matrices in the last two axes.
        lower: which triangle is read.

    Returns:
        matrices with the form and the vectors of the reflections in that triangle; the diagonal `(..., n)` and what
        stands beside it, `(..., n - 1)`, both real; the factors of the reflections, `(..., n - 1)`.

    >>> import functrans.lax as lax, numpy as np
    >>> _, d, e, _ = lax.linalg.tridiagonal(np.array([[1.0, 2.0], [2.0, 4.0]]))
    >>> d, e
    (Array([1., 4.]), Array([2.]))
    """
    a, d, e, taus = tridiagonal_p.bind(a, lower=bool(lower))
    return a, d, e, taus


# ---------------------------------------------------------------- schur

schur_p = Primitive("schur", multiple_results=True)


def _schur_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("schur", a)
    return [a.strong(), a.strong()]


def _schur_impl(a: Any) -> list[Any]:
    import scipy.linalg

    schur: Any = scipy.linalg.schur
    kind = "complex" if np.asarray(a).dtype.kind == "c" else "real"
    return by_matrix(_schur_abstract(aval_of(a)), lambda x: schur(x, kind), a)


def _schur_jvp(primals: Any, tangents: Any) -> Any:
    """Modulo upper triangular matrices the equation for `z^H dz` becomes diagonal between the eigenvectors of `t`."""
    (a,), (ta,) = primals, tangents
    if aval_of(a).dtype.kind != "c":
        raise NotDifferentiableError("the real Schur form has no derivative here: make the matrix complex")
    t, z = schur_p.bind(a)
    if not aval_of(a).size:
        return [t, z], [None, None]
    moved = matmul(matmul(adjoint(z), ta), z)
    _, x = eig_p.bind(t)
    x = upper_triangle(x / as_row(diagonals(x)))  # a one on the diagonal
    inner = triangular_solve(x, matmul(moved, x), left_side=True)
    inner = lower_triangle(inner, strict=True) * inverse_gaps(diagonals(t))
    inner = lower_triangle(matmul(x, triangular_solve(x, inner)), strict=True)
    turn = inner - adjoint(inner)
    return [t, z], [upper_triangle(moved + matmul(t, turn) - matmul(turn, t)), matmul(z, turn)]


schur_p.impl = _schur_impl
schur_p.abstract_eval = _schur_abstract
schur_p.jvp = _schur_jvp
schur_p.batch = batch_all(schur_p)


def schur(
    x: Any, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False, select_callable: Any = None
) -> Any:
    """The Schur decomposition `x = z t z^H` with a unitary `z` and an upper triangular `t`.

    Of real matrices `t` and `z` are real, and `t` has blocks of two by two for pairs of complex eigenvalues; this form
    has no derivative. Eigenvalues are not sorted: `sort_eig_vals` and `select_callable` of JAX are refused.

    Returns:
        `t` and `z`, or `t` alone without `compute_schur_vectors`.

    >>> import functrans.lax as lax, numpy as np
    >>> t, z = lax.linalg.schur(np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t
    Array([[1., 2.],
           [0., 3.]])
    """
    if sort_eig_vals or select_callable is not None:
        raise ArgumentError("schur does not sort eigenvalues: leave out sort_eig_vals and select_callable")
    t, z = schur_p.bind(x)
    return (t, z) if compute_schur_vectors else t
