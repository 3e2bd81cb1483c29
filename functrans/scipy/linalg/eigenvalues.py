"""Eigenvalue problems: general, Hermitian, generalized, tridiagonal and banded."""

from __future__ import annotations

from typing import Any

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import linalg as prim
from functrans.lax.linalg.matrices import adjoint
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import check_square, choice, inexact, matrix, only_plain, square
from functrans.scipy.linalg.systems import band_to_matrix, of_triangle, whole_band


@implements("scipy.linalg", lapack=True)
def eig(
    a: Any, b: Any = None, left: bool = False, right: bool = True, overwrite_a: bool = False,
    overwrite_b: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False,
) -> Any:  # fmt: skip
    """Eigenvalues and eigenvectors of square matrices, or of `a v = w b v`, as `scipy.linalg.eig`.

    Of traced arrays both are complex, whatever their values, and `b` must be regular. Vectors have norm one, and their
    largest component is real. Derivatives are infinite where two eigenvalues are equal.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eig(np.array([[2.0, 0.0], [0.0, 1.0]]))[0]
    Array([2.+0.j, 1.+0.j])
    """
    only_plain("eig", homogeneous_eigvals=homogeneous_eigvals)
    if b is None:
        return _alone(prim.eig(square("eig", a), compute_left_eigenvectors=left, compute_right_eigenvectors=right))
    a, b = inexact("eig", a, b)
    check_square("eig", a, b)
    out = [*prim.eig(prim.solve(b, a), compute_left_eigenvectors=False)]
    if left:  # vl^H a = w vl^H b: the rows of (b v)^-1
        v = adjoint(prim.inv(lax.convert_element_type(b, aval_of(out[1]).dtype) @ out[1]))
        out.insert(1, v / fnp.linalg.norm(v, axis=-2, keepdims=True))
    return _alone(out if right else out[:-1])


def _alone(out: Any) -> Any:
    return tuple(out) if len(out) > 1 else out[0]


@implements("scipy.linalg", lapack=True)
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Any:
    """Eigenvalues of square matrices, complex, as `scipy.linalg.eigvals`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigvals(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    Array([0.+1.j, 0.-1.j])
    """
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


@implements("scipy.linalg", lapack=True)
def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Any = None,
    subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """Eigenvalues (ascending) and eigenvectors of Hermitian matrices, as `scipy.linalg.eigh`.

    With a positive definite `b`, those of `a v = w b v` (`type=1`), `a b v = w v` (2) or `b a v = w v` (3). One
    triangle is read, the one that `lower` names, and gradients are zero in the other. Derivatives of eigenvectors are
    infinite where two eigenvalues are equal; those of eigenvalues are not.

    Args:
        a, b: matrices in the last two axes.
        lower: which triangle is read.
        eigvals_only: give the eigenvalues alone.
        overwrite_a, overwrite_b, check_finite, driver: of no effect on traced arrays.
        type: which problem `b` belongs to.
        subset_by_index: the first and the last index of the eigenvalues that are wanted.
        subset_by_value: for plain arrays alone, as the number of results depends on values.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]), eigvals_only=True)
    Array([1., 3.])
    """
    choice("eigh", "type", type, 1, 2, 3)
    only_plain("eigh", subset_by_value=subset_by_value)
    if b is None:
        v, w = prim.eigh(square("eigh", a), lower=bool(lower), symmetrize_input=False)
    else:
        v, w = _generalized(inexact("eigh", a, b), bool(lower), type)
    if subset_by_index is not None:
        first, last = (int(i) for i in subset_by_index)
        if not 0 <= first <= last < aval_of(w).shape[-1]:
            raise ArgumentError(f"eigh: there is no subset {subset_by_index} of {aval_of(w).shape[-1]} eigenvalues")
        w, v = w[..., first : last + 1], v[..., first : last + 1]
    return w if eigvals_only else (w, v)


def _generalized(pair: Any, lower: bool, kind: int) -> tuple[Any, Any]:
    """By `b = l l^H`; vectors are normalized as LAPACK's `sygv` does."""
    a, b = pair
    check_square("eigh", a, b)
    if aval_of(a).shape[-1] != aval_of(b).shape[-1]:
        raise ShapeError(f"eigh: matrices of shapes {aval_of(a).shape} and {aval_of(b).shape} do not fit")
    a = of_triangle(a, lower, True)
    l = prim.cholesky(b if lower else adjoint(b), symmetrize_input=False)
    if kind == 1:
        inner = prim.triangular_solve(l, a, left_side=True, lower=True)
        inner = prim.triangular_solve(l, inner, lower=True, transpose_a=True, conjugate_a=True)
    else:
        inner = adjoint(l) @ a @ l
    v, w = prim.eigh(inner)
    if kind == 3:
        return l @ v, w
    return prim.triangular_solve(l, v, left_side=True, lower=True, transpose_a=True, conjugate_a=True), w


@implements("scipy.linalg", lapack=True)
def eigvalsh(
    a: Any, b: Any = None, *, lower: bool = True, overwrite_a: bool = False, overwrite_b: bool = False, type: int = 1,
    check_finite: bool = True, subset_by_index: Any = None, subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """Eigenvalues of Hermitian matrices in ascending order, as `scipy.linalg.eigvalsh`; see `eigh`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    Array([1., 3.])
    """
    return eigh(
        a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index,
        subset_by_value=subset_by_value,
    )  # fmt: skip


def _selected(name: str, matrices: Any, eigvals_only: bool, select: Any, select_range: Any) -> Any:
    """Of full Hermitian matrices, what `select` names."""
    choice(name, "select", select, "a", "i", "v", 0, 1, 2)
    if select in ("v", 1):
        raise ArgumentError(f"{name} of a traced array does not select by value: the number of results depends on it")
    return eigh(
        matrices, eigvals_only=eigvals_only, subset_by_index=select_range if select in ("i", 2) else None
    )  # fmt: skip


@implements("scipy.linalg", lapack=True)
def eigh_tridiagonal(
    d: Any, e: Any, eigvals_only: bool = False, select: Any = "a", select_range: Any = None,
    check_finite: bool = True, tol: float = 0.0, lapack_driver: str = "auto",
) -> Any:  # fmt: skip
    """Eigenvalues and eigenvectors of real symmetric tridiagonal matrices, as `scipy.linalg.eigh_tridiagonal`.

    Traced, they are those of the full matrix, and `select="v"` is not taken.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigh_tridiagonal(np.array([2.0, 2.0]), np.array([1.0]), eigvals_only=True)
    Array([1., 3.])
    """
    d, e = inexact("eigh_tridiagonal", d, e)
    n = aval_of(d).shape[-1] if aval_of(d).ndim else -1
    if not aval_of(e).ndim or aval_of(e).shape[-1] != n - 1:
        raise ShapeError(f"eigh_tridiagonal: diagonals of shapes {aval_of(d).shape} and {aval_of(e).shape} do not fit")
    if aval_of(d).dtype.kind == "c":
        raise ArgumentError("eigh_tridiagonal takes real diagonals")
    dtype = aval_of(d).dtype
    none = fnp.zeros_like(d[..., :1])
    below = fnp.concatenate([e, none], -1)[..., None, :] * fnp.eye(n, k=-1, dtype=dtype)
    return _selected(
        "eigh_tridiagonal", d[..., None, :] * fnp.eye(n, dtype=dtype) + below, eigvals_only, select, select_range
    )


@implements("scipy.linalg", lapack=True)
def eigvalsh_tridiagonal(
    d: Any, e: Any, select: Any = "a", select_range: Any = None, check_finite: bool = True, tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Any:  # fmt: skip
    """Eigenvalues of real symmetric tridiagonal matrices, as `scipy.linalg.eigvalsh_tridiagonal`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigvalsh_tridiagonal(np.array([2.0, 2.0]), np.array([1.0]))
    Array([1., 3.])
    """
    return eigh_tridiagonal(d, e, True, select, select_range)


@implements("scipy.linalg", lapack=True)
def eig_banded(
    a_band: Any, lower: bool = False, eigvals_only: bool = False, overwrite_a_band: bool = False, select: Any = "a",
    select_range: Any = None, max_ev: int = 0, check_finite: bool = True,
) -> Any:  # fmt: skip
    """Eigenvalues and eigenvectors of Hermitian banded matrices, as `scipy.linalg.eig_banded`.

    Traced, they are those of the full matrix, and `select="v"` is not taken.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eig_banded(np.array([[2.0, 2.0], [1.0, 0.0]]), lower=True, eigvals_only=True)
    Array([1., 3.])
    """
    a_band = matrix("eig_banded", a_band)
    k = aval_of(a_band).shape[-2] - 1
    full = band_to_matrix(whole_band(a_band, lower), k, k)
    return _selected("eig_banded", full, eigvals_only, select, select_range)


@implements("scipy.linalg", lapack=True)
def eigvals_banded(
    a_band: Any, lower: bool = False, overwrite_a_band: bool = False, select: Any = "a", select_range: Any = None,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """Eigenvalues of Hermitian banded matrices, as `scipy.linalg.eigvals_banded`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.eigvals_banded(np.array([[2.0, 2.0], [1.0, 0.0]]), lower=True)
    Array([1., 3.])
    """
    return eig_banded(a_band, lower, True, select=select, select_range=select_range)
