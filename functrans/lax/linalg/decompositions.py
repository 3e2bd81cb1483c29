"""Decompositions by elimination and reflections: Cholesky, LU, QR, and the products of Householder reflections.

Derivatives after M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008).
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Primitive, zeros
from functrans.errors import DTypeError, IndexOutOfBoundsError, NotDifferentiableError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, broadcasted_iota
from functrans.lax.contraction import matmul
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import take_along
from functrans.lax.linalg.matrices import (
    adjoint,
    as_column,
    as_row,
    batch_all,
    by_matrix,
    check_matrices,
    check_square,
    diagonal_mask,
    diagonals,
    eye,
    guard_matrix,
    half_diagonal,
    hermitian,
    lower_triangle,
    mT,
    symmetrize,
    upper_triangle,
)
from functrans.lax.linalg.systems import triangular_solve
from functrans.lax.structural import concatenate, pad, slice_in_dim

# ---------------------------------------------------------------- cholesky

cholesky_p = Primitive("cholesky")


def _cholesky_abstract(a: ShapedArray) -> ShapedArray:
    check_square("cholesky", a)
    return a.strong()


def _cholesky_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    factor = cholesky_p.bind(a)
    inner = triangular_solve(factor, hermitian(t), left_side=True, lower=True)
    inner = triangular_solve(factor, inner, left_side=False, lower=True, transpose_a=True, conjugate_a=True)
    return factor, matmul(factor, half_diagonal(inner))


cholesky_p.impl = lambda a: wrap(np.linalg.cholesky(a))
cholesky_p.abstract_eval = _cholesky_abstract
cholesky_p.jvp = _cholesky_jvp
cholesky_p.batch = batch_all(cholesky_p)
cholesky_p.guard = guard_matrix(cholesky_p)


def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower Cholesky factor of Hermitian positive definite matrices.

    Args:
        x: matrices in the last two axes.
        symmetrize_input: factorize the Hermitian part of `x`, so that derivatives are Hermitian too; without it only
            the lower triangle counts.

    Raises:
        numpy.linalg.LinAlgError: a matrix is not positive definite.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]])
    """
    check_square("cholesky", aval_of(x))
    return cholesky_p.bind(symmetrize(x) if symmetrize_input else x)


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """The upper Cholesky factor of `r^H r + conj(w) w^T` from that of `r^H r`, by a QR decomposition.

    Args:
        r_matrix: upper triangular matrices, `(..., n, n)`, with a positive diagonal.
        w_vector: vectors, `(..., n)`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.cholesky_update(np.array([[3.0, 1.0], [0.0, 1.0]]), np.array([4.0, 3.0]))
    Array([[5.        , 3.        ],
           [0.        , 1.41421356]])
    """
    r, w = aval_of(r_matrix), aval_of(w_vector)
    check_square("cholesky_update", r)
    if r.shape[:-1] != w.shape:
        raise ShapeError(f"cholesky_update: factors of shape {r.shape} and vectors of shape {w.shape} do not fit")
    if r.dtype != w.dtype:
        raise DTypeError(f"cholesky_update: dtypes {r.dtype} and {w.dtype} differ; convert them to one")
    _, updated = qr(concatenate([upper_triangle(r_matrix), as_row(w_vector)], r.ndim - 2), full_matrices=False)
    return upper_triangle(ew.mul(as_column(ew.sign(diagonals(updated))), updated))


def symmetric_product(
    a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0, symmetrize_output: bool = False
) -> Any:
    """`alpha a a^T + beta c` for symmetric matrices `c`. The result is symmetric, with `symmetrize_output` or without.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.symmetric_product(np.array([[1.0], [2.0]]), np.eye(2), alpha=2.0)
    Array([[2., 4.],
           [4., 8.]])
    """
    a, c = aval_of(a_matrix), aval_of(c_matrix)
    check_matrices("symmetric_product", a)
    if c.shape != (*a.shape[:-1], a.shape[-2]):
        raise ShapeError(f"symmetric_product: matrices of shapes {a.shape} and {c.shape} do not fit")
    if a.dtype != c.dtype:
        raise DTypeError(f"symmetric_product: dtypes {a.dtype} and {c.dtype} differ; convert them to one")
    return ew.add(ew.mul(matmul(a_matrix, mT(a_matrix)), a.dtype.type(alpha)), ew.mul(c_matrix, a.dtype.type(beta)))


# ---------------------------------------------------------------- lu

lu_p = Primitive("lu", multiple_results=True)


def _lu_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_matrices("lu", a)
    *batch, m, n = a.shape
    index = np.dtype(np.int32)
    return [a.strong(), ShapedArray((*batch, min(m, n)), index), ShapedArray((*batch, m), index)]


def _lu_impl(a: Any) -> list[Any]:
    from scipy.linalg.lapack import get_lapack_funcs

    a = np.asarray(a)
    out, pivots, permutation = (np.empty(v.shape, v.dtype) for v in _lu_abstract(aval_of(a)))
    permutation[...] = np.arange(a.shape[-2])
    if a.size:
        getrf: Any = get_lapack_funcs("getrf", (a,))
        for i in np.ndindex(*a.shape[:-2]):
            out[i], pivots[i], _ = getrf(a[i])
            for j, k in enumerate(pivots[i]):
                permutation[i][[j, k]] = permutation[i][[k, j]]
    return [wrap(out), wrap(pivots), wrap(permutation)]


def _lu_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    lu, pivots, permutation = lu_p.bind(a)
    *batch, m, n = aval_of(a).shape
    k, none = min(m, n), [(0, 0, 0)] * len(batch)
    zero = aval_of(a).dtype.type(0)
    below = slice_in_dim(lu, 0, k, axis=len(batch) + 1)
    below = pad(below, zero, [*none, (0, 0, 0), (0, m - k, 0)])
    lower = lower_triangle(below, strict=True) + eye(m, aval_of(a).dtype)
    above = pad(slice_in_dim(lu, 0, k, axis=len(batch)), zero, [*none, (0, n - k, 0), (0, 0, 0)])
    rest = convert_element_type(ew.ge(broadcasted_iota(np.int64, (n,), 0), k), aval_of(a).dtype)
    upper = upper_triangle(above) + ew.mul(eye(n, aval_of(a).dtype), rest)
    t = take_along(t, broadcast_to(as_column(permutation), aval_of(t).shape), len(batch), mode="promise_in_bounds")
    inner = triangular_solve(lower, t, left_side=True, lower=True, unit_diagonal=True)
    inner = triangular_solve(upper, inner, left_side=False)
    # inner is lower^-1 t upper^-1: what is below its diagonal belongs to the lower factor
    row, column = broadcasted_iota(np.int64, (m, n), 0), broadcasted_iota(np.int64, (m, n), 1)
    blank = zeros(ShapedArray((), aval_of(a).dtype))
    to_lower = ew.select_n.bind(ew.gt(row, column), blank, inner)
    to_upper = ew.select_n.bind(ew.le(row, column), blank, inner)
    return [lu, pivots, permutation], [matmul(lower, to_lower) + matmul(to_upper, upper), None, None]


lu_p.impl = _lu_impl
lu_p.abstract_eval = _lu_abstract
lu_p.jvp = _lu_jvp
lu_p.batch = batch_all(lu_p)


def lu(x: Any) -> tuple[Any, Any, Any]:
    """The LU decomposition with partial pivoting: `x[permutation] = l u`.

    Returns:
        `l` (below the diagonal; ones on it) and `u` in one matrix, the rows swapped at each step (int32), and the
        permutation that these swaps make (int32).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.lu(np.array([[1.0, 2.0], [2.0, 2.0]]))
    (Array([[2. , 2. ],
           [0.5, 1. ]]), Array([1, 1], dtype=int32), Array([1, 0], dtype=int32))
    """
    factors, pivots, permutation = lu_p.bind(x)
    return factors, pivots, permutation


# ---------------------------------------------------------------- pivots

pivots_p = Primitive("lu_pivots_to_permutation")


def _pivots_abstract(pivots: ShapedArray, *, permutation_size: int) -> ShapedArray:
    if pivots.dtype.kind not in "iu":
        raise DTypeError(f"lu_pivots_to_permutation takes integers, got {pivots.dtype}")
    if not pivots.ndim or pivots.shape[-1] > permutation_size:
        raise ShapeError(f"pivots of shape {pivots.shape} make no permutation of {permutation_size} elements")
    return ShapedArray((*pivots.shape[:-1], permutation_size), np.dtype(np.int32))


def _pivots_impl(pivots: Any, *, permutation_size: int) -> Any:
    pivots = np.asarray(pivots)
    aval = _pivots_abstract(aval_of(pivots), permutation_size=permutation_size)
    if pivots.size and not (0 <= pivots.min() and pivots.max() < permutation_size):
        raise IndexOutOfBoundsError(f"pivots lie in 0 ... {permutation_size - 1}, got {pivots}")
    flat = np.tile(np.arange(permutation_size, dtype=aval.dtype), (math.prod(aval.shape[:-1]), 1))
    swaps = pivots.reshape(len(flat), pivots.shape[-1])
    rows = np.arange(len(flat))
    for j, k in enumerate(swaps.T):
        flat[rows, j], flat[rows, k] = flat[rows, k], flat[rows, j]
    return wrap(flat.reshape(aval.shape))


pivots_p.impl = _pivots_impl
pivots_p.abstract_eval = _pivots_abstract
pivots_p.jvp = lambda primals, tangents, **params: (pivots_p.bind(primals[0], **params), None)
pivots_p.batch = batch_all(pivots_p)


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The permutation that swapping row `i` with row `pivots[i]`, one after the other, makes of so many rows (int32).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.lu_pivots_to_permutation(np.array([2, 2, 2]), 3)
    Array([2, 0, 1], dtype=int32)
    """
    return pivots_p.bind(pivots, permutation_size=operator.index(permutation_size))


# ---------------------------------------------------------------- qr

qr_p = Primitive("qr", multiple_results=True)


def _qr_abstract(a: ShapedArray, *, full_matrices: bool) -> list[ShapedArray]:
    check_matrices("qr", a)
    *batch, m, n = a.shape
    k = m if full_matrices else min(m, n)
    return [ShapedArray((*batch, m, k), a.dtype), ShapedArray((*batch, k, n), a.dtype)]


def _qr_jvp(primals: Any, tangents: Any, *, full_matrices: bool) -> Any:
    (a,), (t,) = primals, tangents
    *_, m, n = aval_of(a).shape
    if full_matrices and m > n:
        raise NotDifferentiableError(
            f"the full factors of tall matrices (shape {aval_of(a).shape}) have no derivative: the columns of q beyond "
            f"the first {n} are arbitrary. Use full_matrices=False."
        )
    q, r = qr_p.bind(a, full_matrices=full_matrices)
    last, k = aval_of(a).ndim - 1, min(m, n)
    dq, dr = _qr_tangents(q, slice_in_dim(r, 0, k, axis=last), slice_in_dim(t, 0, k, axis=last))
    if m < n:  # the columns beyond a square: r = q^H a
        beyond = matmul(adjoint(dq), slice_in_dim(a, k, n, axis=last))
        beyond = beyond + matmul(adjoint(q), slice_in_dim(t, k, n, axis=last))
        dr = concatenate([dr, beyond], last)
    return [q, r], [dq, dr]


def _qr_tangents(q: Any, r: Any, t: Any) -> tuple[Any, Any]:
    """For matrices with no more columns than rows."""
    x = triangular_solve(r, t, left_side=False)
    qx = matmul(adjoint(q), x)
    below = lower_triangle(qx, strict=True)
    omega = below - adjoint(below)
    if aval_of(t).dtype.kind == "c":  # the diagonal of r stays real
        diagonal = ew.mul(eye(aval_of(t).shape[-1], aval_of(t).dtype), qx)
        omega = omega + (diagonal - ew.conj(diagonal)) * aval_of(t).dtype.type(0.5)
    return matmul(q, omega - qx) + x, matmul(qx - omega, r)


def _qr_impl(a: Any, *, full_matrices: bool) -> list[Any]:
    return [wrap(x) for x in np.linalg.qr(a, "complete" if full_matrices else "reduced")]


qr_p.impl = _qr_impl
qr_p.abstract_eval = _qr_abstract
qr_p.jvp = _qr_jvp
qr_p.batch = batch_all(qr_p)


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None) -> tuple[Any, ...]:
    """The QR decomposition `x = q r`; with `pivoting`, of `x` with its columns permuted.

    Args:
        x: matrices in the last two axes.
        pivoting: choose the next column at each step, so that the diagonal of `r` does not increase. The permutation
            (int32) is a third result: `x[:, p] = q r`. The derivative is that for this order of the columns.
        full_matrices: whether `q` is square, else it is as narrow as `x`.
        use_magma: accepted for programs of JAX, of no effect.

    >>> import functrans.lax as lax, numpy as np
    >>> q, r = lax.linalg.qr(np.array([[0.0, 2.0], [1.0, 3.0]]))
    >>> np.abs(r)
    Array([[1., 3.],
           [0., 2.]])
    """
    check_matrices("qr", aval_of(x))
    *batch, m, n = aval_of(x).shape
    order = None
    if pivoting:
        order = column_order_p.bind(x)
        x = take_along(x, broadcast_to(as_row(order), aval_of(x).shape), len(batch) + 1, mode="promise_in_bounds")
    q, r = qr_p.bind(x, full_matrices=bool(full_matrices and m > n))
    return (q, r) if order is None else (q, r, order)


column_order_p = Primitive("qr_column_order")


def _order_abstract(a: ShapedArray) -> ShapedArray:
    check_matrices("qr", a)
    return ShapedArray((*a.shape[:-2], a.shape[-1]), np.dtype(np.int32))


def _order_impl(a: Any) -> Any:
    from scipy.linalg.lapack import get_lapack_funcs

    aval = _order_abstract(aval_of(a))
    if not np.size(a):
        return wrap(np.broadcast_to(np.arange(aval.shape[-1], dtype=aval.dtype), aval.shape).copy())
    geqp3: Any = get_lapack_funcs("geqp3", (a,))
    return by_matrix([aval], lambda x: [geqp3(x)[1] - 1], a)[0]


column_order_p.impl = _order_impl
column_order_p.abstract_eval = _order_abstract
column_order_p.jvp = lambda primals, tangents: (column_order_p.bind(primals[0]), None)
column_order_p.batch = batch_all(column_order_p)

# ---------------------------------------------------------------- products of Householder reflections


def householder_product(a: Any, taus: Any) -> Any:
    """The first columns of the product of the reflections `1 - tau v v^H`, as LAPACK's `orgqr` makes them.

    Computed in the compact form of Schreiber and Van Loan (1989), so it has derivatives of any order.

    Args:
        a: matrices of shape `(..., m, n)`, `m >= n`; the vectors `v` are their columns below the diagonal, with a one
            on it.
        taus: the factors, `(..., k)` with `k <= n`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.householder_product(np.array([[0.0], [1.0]]), np.array([1.0]))
    Array([[ 0.],
           [-1.]])
    """
    aval, k = aval_of(a), aval_of(taus).shape[-1] if aval_of(taus).ndim else -1
    check_matrices("householder_product", aval)
    *batch, m, n = aval.shape
    if aval_of(taus).shape != (*batch, k) or not k <= n <= m:
        raise ShapeError(f"householder_product: reflections {aval.shape} and factors {aval_of(taus).shape} do not fit")
    if aval_of(taus).dtype != aval.dtype:
        raise DTypeError(f"householder_product: dtypes {aval.dtype} and {aval_of(taus).dtype} differ")
    none = zeros(ShapedArray((), aval.dtype))
    row, column = broadcasted_iota(np.int64, (m, k), 0), broadcasted_iota(np.int64, (m, k), 1)
    v = slice_in_dim(a, 0, k, axis=len(batch) + 1)
    v = ew.select_n.bind(ew.gt(row, column), none, v)
    v = ew.add(v, convert_element_type(ew.eq(row, column), aval.dtype))
    scaled = ew.mul(v, as_row(taus))
    # q = 1 - scaled (1 + strictly upper (v^H scaled))^-1 v^H, of which the first n columns
    inner = ew.mul(matmul(adjoint(v), scaled), convert_element_type(diagonal_mask(k, ew.lt), aval.dtype))
    right = slice_in_dim(adjoint(v), 0, n, axis=len(batch) + 1)
    right = triangular_solve(inner, right, left_side=True, unit_diagonal=True)
    first = convert_element_type(
        ew.eq(broadcasted_iota(np.int64, (m, n), 0), broadcasted_iota(np.int64, (m, n), 1)), aval.dtype
    )
    return ew.sub(first, matmul(scaled, right))


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """`q c`, or `c q` unless `left`, for the square `q` of the reflections of `householder_product`.

    Args:
        a: the vectors of the reflections, `(..., m, k)`, below the diagonal.
        taus: their factors, `(..., k)`.
        c: matrices with `m` rows, or columns.
        left: on which side of `c` the product stands.
        transpose: take `q^H` for `q`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.ormqr(np.array([[0.0], [1.0]]), np.array([1.0]), np.array([[1.0], [2.0]]))
    Array([[-2.],
           [-1.]])
    """
    aval, other = aval_of(a), aval_of(c)
    check_matrices("ormqr", aval)
    m, k = aval.shape[-2:]
    if other.ndim < 2 or other.shape[-2 if left else -1] != m or k > m:
        raise ShapeError(f"ormqr: reflections of shape {aval.shape} and matrices of shape {other.shape} do not fit")
    rest = [(0, 0, 0)] * (aval.ndim - 1)
    q = householder_product(pad(a, aval.dtype.type(0), [*rest, (0, m - k, 0)]), taus)
    q = adjoint(q) if transpose else q
    return matmul(q, c) if left else matmul(c, q)
