"""Spectral decompositions: eigenvalues of Hermitian and of general matrices, singular values.

Derivatives after M. Giles (2008). Those of eigenvectors and singular vectors divide by differences of eigenvalues: they
are infinite where two are equal. Those of the values are not.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Primitive
from functrans.errors import ArgumentError, NotDifferentiableError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcasted_iota, reduce_sum_p
from functrans.lax.contraction import matmul
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import take_along
from functrans.lax.linalg.matrices import (
    adjoint,
    as_column,
    as_row,
    batch_all,
    check_matrices,
    check_square,
    complex_dtype,
    diagonal_mask,
    diagonals,
    eye,
    guard_matrix,
    hermitian,
    inverse_gaps,
    real_dtype,
    symmetrize,
)
from functrans.lax.linalg.systems import inv, solve_p
from functrans.lax.reductions import argmax
from functrans.lax.structural import slice_in_dim

# ---------------------------------------------------------------- eigh

eigh_p = Primitive("eigh", multiple_results=True)


def _eigh_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("eigh", a)
    return [ShapedArray(a.shape[:-1], real_dtype(a.dtype)), a.strong()]


def _eigh_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    w, v = eigh_p.bind(a)
    inner = matmul(matmul(adjoint(v), hermitian(t)), v)
    f = convert_element_type(inverse_gaps(w), aval_of(inner).dtype)
    return [w, v], [ew.real(diagonals(inner)), matmul(v, ew.mul(inner, f))]


eigh_p.impl = lambda a: [wrap(x) for x in np.linalg.eigh(a)]
eigh_p.abstract_eval = _eigh_abstract
eigh_p.jvp = _eigh_jvp
eigh_p.batch = batch_all(eigh_p)
eigh_p.guard = guard_matrix(eigh_p)


def eigh(
    x: Any, *, lower: bool = True, symmetrize_input: bool = True, sort_eigenvalues: bool = True,
    subset_by_index: tuple[int, int] | None = None, implementation: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Orthonormal eigenvectors of Hermitian matrices, and their eigenvalues.

    Args:
        x: matrices in the last two axes.
        lower: with `symmetrize_input=False`, whether the lower or the upper triangle counts.
        symmetrize_input: take the Hermitian part of `x`, so that derivatives are Hermitian too.
        sort_eigenvalues: of no effect, LAPACK's are in ascending order.
        subset_by_index: the first and one beyond the last of the eigenvalues that are wanted.
        implementation: accepted for programs of JAX, of no effect.

    >>> import functrans.lax as lax, numpy as np
    >>> v, w = lax.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w
    Array([1., 3.])
    """
    check_square("eigh", aval_of(x))
    w, v = eigh_p.bind(symmetrize(x) if symmetrize_input else x if lower else adjoint(x))
    if subset_by_index is None:
        return v, w
    start, stop = _subset("eigh", subset_by_index, aval_of(x).shape[-1])
    last = aval_of(x).ndim - 1
    return slice_in_dim(v, start, stop, axis=last), slice_in_dim(w, start, stop, axis=last - 1)


def _subset(name: str, indices: Any, n: int) -> tuple[int, int]:
    start, stop = map(operator.index, indices)
    if not 0 <= start < stop <= n:
        raise ArgumentError(f"{name}: subset_by_index takes 0 <= start < stop <= {n}, got {(start, stop)}")
    return start, stop


# ---------------------------------------------------------------- eig

eig_p = Primitive("eig", multiple_results=True)


def _eig_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("eig", a)
    return [ShapedArray(a.shape[:-1], complex_dtype(a.dtype)), ShapedArray(a.shape, complex_dtype(a.dtype))]


def _eig_jvp(primals: Any, tangents: Any) -> Any:
    """The vectors' tangent keeps their norm at one and their largest component real, as LAPACK has them."""
    (a,), (t,) = primals, tangents
    w, v = eig_p.bind(a)
    dtype, rows = aval_of(v).dtype, aval_of(v).ndim - 2
    if not aval_of(v).size:
        return [w, v], [None, None]
    inner = solve_p.bind(v, matmul(convert_element_type(t, dtype), v))
    dv = matmul(v, ew.mul(inner, inverse_gaps(w)))
    largest = ew.eq(broadcasted_iota(np.int64, (aval_of(v).shape[-1], 1), 0), as_row(argmax(ew.abs(v), rows)))
    largest = convert_element_type(largest, dtype)
    total = lambda x: as_row(reduce_sum_p.bind(x, axes=(rows,)))
    stretch = ew.real(total(ew.conj(v) * dv))
    turn = ew.imag(total(largest * dv)) / ew.real(total(largest * v))
    return [w, v], [diagonals(inner), dv - v * ew.complex(stretch, turn)]


def _eig_impl(a: Any) -> list[Any]:
    return [wrap(x.astype(complex_dtype(np.asarray(a).dtype))) for x in np.linalg.eig(a)]


eig_p.impl = _eig_impl
eig_p.abstract_eval = _eig_abstract
eig_p.jvp = _eig_jvp
eig_p.batch = batch_all(eig_p)
eig_p.guard = guard_matrix(eig_p)


def eig(
    x: Any, *, compute_left_eigenvectors: bool = True, compute_right_eigenvectors: bool = True,
    enable_eigvec_derivs: bool = True, implementation: Any = None, use_magma: bool | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Eigenvalues of square matrices, then left and right eigenvectors as asked for; all complex.

    Eigenvectors are columns of norm one whose largest component is real. Left ones satisfy `vl^H x = diag(w) vl^H`, and
    need that `x` has independent eigenvectors.

    `enable_eigvec_derivs` (derivatives of eigenvectors are there always), `implementation` and `use_magma` are accepted
    for programs of JAX, and of no effect.

    >>> import functrans.lax as lax, numpy as np
    >>> w, v = lax.linalg.eig(np.array([[2.0, 0.0], [0.0, 1.0]]), compute_left_eigenvectors=False)
    >>> w
    Array([2.+0.j, 1.+0.j])
    """
    w, v = eig_p.bind(x)
    out = [w]
    if compute_left_eigenvectors and not aval_of(v).size:
        out.append(v)
    elif compute_left_eigenvectors:
        left = adjoint(inv(v))
        rows = aval_of(v).ndim - 2
        place = as_row(argmax(ew.abs(left), rows))
        phase = ew.conj(ew.sign(take_along(left, place, rows)))
        norm = ew.sqrt(reduce_sum_p.bind(ew.square(ew.abs(left)), axes=(rows,)))
        out.append(left * phase / as_row(norm))
    if compute_right_eigenvectors:
        out.append(v)
    return tuple(out)


# ---------------------------------------------------------------- svd

svd_p = Primitive("svd", multiple_results=True)


def _svd_abstract(a: ShapedArray, *, full_matrices: bool, compute_uv: bool) -> list[ShapedArray]:
    check_matrices("svd", a)
    *batch, m, n = a.shape
    k = min(m, n)
    s = ShapedArray((*batch, k), real_dtype(a.dtype))
    if not compute_uv:
        return [s]
    left, right = (m, n) if full_matrices else (k, k)
    return [ShapedArray((*batch, m, left), a.dtype), s, ShapedArray((*batch, right, n), a.dtype)]


def _svd_jvp(primals: Any, tangents: Any, *, full_matrices: bool, compute_uv: bool) -> Any:
    (a,), (t,) = primals, tangents
    *_, m, n = aval_of(a).shape
    if full_matrices and m != n:
        raise NotDifferentiableError(
            f"the full singular vectors of matrices that are not square (shape {aval_of(a).shape}) have no derivative: "
            "those beyond the rank are arbitrary. Use full_matrices=False."
        )
    u, s, vh = svd_p.bind(a, full_matrices=False, compute_uv=True)
    k, dtype, part = min(m, n), aval_of(a).dtype, aval_of(s).dtype
    v = adjoint(vh)
    inner = matmul(matmul(adjoint(u), t), v)
    ds = ew.real(diagonals(inner))
    if not compute_uv:
        return [s], [ds]
    same, row, column = diagonal_mask(k), as_row(s), as_column(s)
    gaps = ew.where(same, part.type(1), (row - column) * (row + column))
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # equal or zero ones: infinite for vectors, of no matter to values
        f = convert_element_type(ew.where(same, part.type(0), part.type(1) / gaps), dtype)
        inverse = convert_element_type(part.type(1) / row, dtype)
    sr, sc = convert_element_type(row, dtype), convert_element_type(column, dtype)
    skew = adjoint(inner)
    du = matmul(u, ew.mul(f, inner * sr + sc * skew))
    dv = matmul(v, ew.mul(f, sc * inner + skew * sr))
    if dtype.kind == "c":  # the phase that keeps the diagonal of v real goes to u
        du = du + matmul(u, ew.mul(eye(k, dtype), (inner - skew) * inverse * dtype.type(0.5)))
    if m > k:
        tv = matmul(t, v)
        du = du + (tv - matmul(u, matmul(adjoint(u), tv))) * inverse
    if n > k:
        tu = matmul(adjoint(t), u)
        dv = dv + (tu - matmul(v, matmul(vh, tu))) * inverse
    return [u, s, vh], [du, ds, adjoint(dv)]


def _svd_impl(a: Any, *, full_matrices: bool, compute_uv: bool) -> list[Any]:
    if not compute_uv:
        return [wrap(np.linalg.svd(a, compute_uv=False))]
    return [wrap(x) for x in np.linalg.svd(a, full_matrices=full_matrices)]


svd_p.impl = _svd_impl
svd_p.abstract_eval = _svd_abstract
svd_p.jvp = _svd_jvp
svd_p.batch = batch_all(svd_p)
svd_p.guard = guard_matrix(svd_p)


def svd(
    x: Any, *, full_matrices: bool = True, compute_uv: bool = True, subset_by_index: tuple[int, int] | None = None,
    algorithm: Any = None,
) -> Any:  # fmt: skip
    """The singular value decomposition `x = u diag(s) vh`, or `s` alone without `compute_uv`.

    With `full_matrices` `u` and `vh` are square; only without it can those of other matrices be differentiated.

    Args:
        x: matrices in the last two axes.
        full_matrices: whether `u` and `vh` are completed to square matrices.
        compute_uv: whether `u` and `vh` are wanted.
        subset_by_index: the first and one beyond the last of the singular values that are wanted, largest first.
        algorithm: accepted for programs of JAX, of no effect.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    Array([4., 3.])
    """
    check_matrices("svd", aval_of(x))
    *batch, m, n = aval_of(x).shape
    if subset_by_index is not None:
        start, stop = _subset("svd", subset_by_index, min(m, n))
        if full_matrices and compute_uv and (start, stop) != (0, min(m, n)):
            raise ArgumentError("svd: a subset of singular values has no full matrices; use full_matrices=False")
    outs = svd_p.bind(x, full_matrices=bool(full_matrices and compute_uv and m != n), compute_uv=bool(compute_uv))
    if subset_by_index is not None and (start, stop) != (0, min(m, n)):
        axes = [len(batch) + 1, len(batch), len(batch)] if compute_uv else [len(batch)]
        outs = [slice_in_dim(y, start, stop, axis=axis) for y, axis in zip(outs, axes)]
    return tuple(outs) if compute_uv else outs[0]
