"""Linear algebra primitives: factorizations and solvers of matrices in the last two axes, batched over the others.

Derivatives after M. Giles, "An extended collection of matrix derivative results for forward and reverse mode
algorithmic differentiation" (2008). Those of eigenvectors and singular vectors divide by differences of eigenvalues:
they are infinite where two are equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import DTypeError, NotDifferentiableError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, broadcasted_iota, reduce_sum_p, unbroadcast
from functrans.lax.contraction import matmul
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import take_along
from functrans.lax.reductions import argmax, products_of_others
from functrans.lax.structural import concatenate, pad, reshape, slice_in_dim, transpose
from functrans.transforms.batching import batch_first, move_axis

# ---------------------------------------------------------------- helpers


def mT(x: Any) -> Any:
    """Matrices transposed."""
    n = aval_of(x).ndim
    return transpose(x, [*range(n - 2), n - 1, n - 2])


def _h(x: Any) -> Any:
    return ew.conj(mT(x)) if aval_of(x).dtype.kind == "c" else mT(x)


def _eye(n: int, dtype: np.dtype) -> Any:
    return convert_element_type(_diagonal_mask(n), dtype)


def _diagonal_mask(n: int, compare: Any = ew.eq) -> Any:
    return compare(broadcasted_iota(np.int64, (n, n), 0), broadcasted_iota(np.int64, (n, n), 1))


def _lower(x: Any, strict: bool = False) -> Any:
    mask = _diagonal_mask(aval_of(x).shape[-1], ew.gt if strict else ew.ge)
    return ew.select_n.bind(mask, zeros(ShapedArray((), aval_of(x).dtype)), x)


def _upper(x: Any) -> Any:
    return mT(_lower(mT(x)))


def _half_diagonal(x: Any) -> Any:
    """The lower triangle with the diagonal halved."""
    n, dtype = aval_of(x).shape[-1], aval_of(x).dtype
    return ew.mul(_lower(x), ew.where(_diagonal_mask(n), dtype.type(0.5), dtype.type(1)))


def _hermitian(t: Any) -> Any:
    """The Hermitian matrices of these lower triangles: what LAPACK reads."""
    half = _half_diagonal(t)
    return half + _h(half)


def symmetrize(a: Any) -> Any:
    """The Hermitian part of matrices."""
    return ew.mul(ew.add(a, _h(a)), aval_of(a).dtype.type(0.5))


def _diagonal(x: Any) -> Any:
    """The diagonals of square matrices."""
    return reduce_sum_p.bind(ew.mul(x, _eye(aval_of(x).shape[-1], aval_of(x).dtype)), axes=(aval_of(x).ndim - 1,))


def _column(x: Any) -> Any:
    """Vectors as columns."""
    return reshape(x, (*aval_of(x).shape, 1))


def _row(x: Any) -> Any:
    """Vectors as rows."""
    return reshape(x, (*aval_of(x).shape[:-1], 1, aval_of(x).shape[-1]))


def _part(dtype: np.dtype) -> np.dtype:
    """The dtype of real parts."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def check_square(name: str, a: ShapedArray) -> None:
    """Raise the user's error unless `a` holds square matrices of floats or complex numbers."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name} takes square matrices in the last two axes, got shape {a.shape}")
    _check_dtype(name, a)


def _check_matrices(name: str, a: ShapedArray) -> None:
    if a.ndim < 2:
        raise ShapeError(f"{name} takes matrices in the last two axes, got shape {a.shape}")
    _check_dtype(name, a)


def _check_dtype(name: str, a: ShapedArray) -> None:
    if a.dtype.kind not in "fc" or a.dtype.itemsize < 4:
        raise DTypeError(f"{name} takes float32, float64 or complex matrices, got {a.dtype}")


def _batch_all(primitive: Primitive) -> Any:
    """For primitives that batch over leading axes by themselves."""

    def batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> Any:
        outs = primitive.bind(*[batch_first(axis, a, d) for a, d in zip(args, dims)], **params)
        return (outs, [0] * len(outs)) if primitive.multiple_results else (outs, 0)

    return batch


def _batch_solver(primitive: Primitive) -> Any:
    """For `op(a) x = b`: where all share `a` the batch is one of right-hand sides, and `a` is factorized once."""

    def batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> Any:
        if dims[0] is not None:
            return primitive.bind(*ew.align_batched(args, dims), **params), 0
        a, b = args[0], move_axis(args[1], dims[1], 0)
        *outer, rows, columns = aval_of(b).shape[1:]
        if params.get("left_side", True):
            b = reshape(move_axis(b, 0, aval_of(b).ndim - 1), (*outer, rows, columns * axis.size))
            out = primitive.bind(a, b, **params)
            out = reshape(out, (*aval_of(out).shape[:-1], columns, axis.size))
            return out, aval_of(out).ndim - 1
        b = reshape(move_axis(b, 0, aval_of(b).ndim - 2), (*outer, rows * axis.size, columns))
        out = primitive.bind(a, b, **params)
        out = reshape(out, (*aval_of(out).shape[:-2], rows, axis.size, columns))
        return out, aval_of(out).ndim - 2

    return batch


# ---------------------------------------------------------------- cholesky

cholesky_p = Primitive("cholesky")


def _cholesky_abstract(a: ShapedArray) -> ShapedArray:
    check_square("cholesky", a)
    return a.strong()


def _cholesky_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    factor = cholesky_p.bind(a)
    inner = triangular_solve(factor, _hermitian(t), lower=True)
    inner = triangular_solve(factor, inner, left_side=False, lower=True, transpose_a=True, conjugate_a=True)
    return factor, matmul(factor, _half_diagonal(inner))


cholesky_p.impl = lambda a: wrap(np.linalg.cholesky(a))
cholesky_p.abstract_eval = _cholesky_abstract
cholesky_p.jvp = _cholesky_jvp
cholesky_p.batch = _batch_all(cholesky_p)


def cholesky(a: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower Cholesky factor of Hermitian positive definite matrices.

    Args:
        a: matrices in the last two axes.
        symmetrize_input: factorize the Hermitian part of `a`, so that derivatives are Hermitian too; without it only
            the lower triangle counts.

    Raises:
        numpy.linalg.LinAlgError: a matrix is not positive definite.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]])
    """
    check_square("cholesky", aval_of(a))
    return cholesky_p.bind(symmetrize(a) if symmetrize_input else a)


# ---------------------------------------------------------------- triangular_solve

triangular_solve_p = Primitive("triangular_solve")


def triangular_solve(
    a: Any, b: Any, *, left_side: bool = True, lower: bool = False, transpose_a: bool = False,
    conjugate_a: bool = False, unit_diagonal: bool = False,
) -> Any:  # fmt: skip
    """The solution of `op(a) x = b` (of `x op(a) = b` unless `left_side`) for triangular matrices `a`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.triangular_solve(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[2.0], [3.0]]), lower=True)
    Array([[1.],
           [2.]])
    """
    return triangular_solve_p.bind(
        a, b, left_side=left_side, lower=lower, transpose_a=transpose_a, conjugate_a=conjugate_a,
        unit_diagonal=unit_diagonal,
    )  # fmt: skip


def _triangular_abstract(a: ShapedArray, b: ShapedArray, *, left_side: bool, **params: Any) -> ShapedArray:
    check_square("triangular_solve", a)
    n = a.shape[-1]
    if b.ndim < 2 or b.shape[-2 if left_side else -1] != n:
        raise ShapeError(
            f"triangular_solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do not fit"
        )
    if a.dtype != b.dtype:
        raise DTypeError(f"triangular_solve: dtypes {a.dtype} and {b.dtype} differ; convert them to one")
    return ShapedArray((*ew.broadcast_shapes("triangular_solve", [a.shape[:-2], b.shape[:-2]]), *b.shape[-2:]), b.dtype)


def _triangular_impl(
    a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
) -> Any:
    from scipy.linalg.blas import get_blas_funcs

    a, b = np.asarray(a), np.asarray(b)
    params = {"left_side": left_side}
    batch = _triangular_abstract(aval_of(a), aval_of(b), **params).shape[:-2]
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    if conjugate_a:
        a = a.conj()
    out = np.empty(b.shape, b.dtype)
    if out.size:
        trsm: Any = get_blas_funcs("trsm", (a, b))
        for i in np.ndindex(*batch):  # a zero on the diagonal gives infinities, as in compiled programs
            out[i] = trsm(
                1.0, a[i], b[i], side=not left_side, lower=lower, trans_a=int(transpose_a), diag=unit_diagonal
            )  # fmt: skip
    return wrap(out)


def _triangular_jvp(primals: Any, tangents: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool,
                    unit_diagonal: bool) -> Any:  # fmt: skip
    (a, b), (ta, tb) = primals, tangents
    params = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a, "conjugate_a": conjugate_a,
              "unit_diagonal": unit_diagonal}  # fmt: skip
    x = triangular_solve_p.bind(a, b, **params)
    if ta is not None:
        ta = _lower(ta, unit_diagonal) if lower else mT(_lower(mT(ta), unit_diagonal))
        ta = mT(ta) if transpose_a else ta
        ta = ew.conj(ta) if conjugate_a else ta
        moved = ew.neg(matmul(ta, x) if left_side else matmul(x, ta))
        tb = moved if tb is None else tb + moved
    return x, triangular_solve_p.bind(a, tb, **params)


def _triangular_transpose(ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> list[Any]:
    out = triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)
    return [None, unbroadcast(out, b.aval)]


triangular_solve_p.impl = _triangular_impl
triangular_solve_p.abstract_eval = _triangular_abstract
triangular_solve_p.jvp = _triangular_jvp
triangular_solve_p.transpose = _triangular_transpose
triangular_solve_p.batch = _batch_solver(triangular_solve_p)

# ---------------------------------------------------------------- solve

solve_p = Primitive("solve")


def solve(a: Any, b: Any) -> Any:
    """The solution of `a x = b` for square matrices `a` and matrices `b` of right-hand sides.

    Raises:
        numpy.linalg.LinAlgError: a matrix is singular.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.solve(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[4.0], [2.0]]))
    Array([[1.],
           [2.]])
    """
    return solve_p.bind(a, b)


def _solve_abstract(a: ShapedArray, b: ShapedArray) -> ShapedArray:
    check_square("solve", a)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do not fit")
    if a.dtype != b.dtype:
        raise DTypeError(f"solve: dtypes {a.dtype} and {b.dtype} differ; convert them to one")
    return ShapedArray((*ew.broadcast_shapes("solve", [a.shape[:-2], b.shape[:-2]]), *b.shape[-2:]), b.dtype)


def _solve_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (ta, tb) = primals, tangents
    x = solve_p.bind(a, b)
    if ta is not None:
        moved = ew.neg(matmul(ta, x))
        tb = moved if tb is None else tb + moved
    return x, solve_p.bind(a, tb)


def _solve_impl(a: Any, b: Any) -> Any:
    _solve_abstract(aval_of(a), aval_of(b))  # NumPy would convert, and take a vector
    return wrap(np.linalg.solve(a, b))


solve_p.impl = _solve_impl
solve_p.abstract_eval = _solve_abstract
solve_p.jvp = _solve_jvp
solve_p.transpose = lambda ct, a, b: [None, unbroadcast(solve_p.bind(mT(a), ct), b.aval)]
solve_p.batch = _batch_solver(solve_p)


def inv(a: Any) -> Any:
    """The inverse of square matrices.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    aval = aval_of(a)
    check_square("inv", aval)
    return solve_p.bind(a, broadcast_to(_eye(aval.shape[-1], aval.dtype), aval.shape))


# ---------------------------------------------------------------- slogdet

slogdet_p = Primitive("slogdet", multiple_results=True)


def _slogdet_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("slogdet", a)
    return [ShapedArray(a.shape[:-2], a.dtype), ShapedArray(a.shape[:-2], _part(a.dtype))]


def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    sign, logdet = slogdet_p.bind(a)
    change = _trace(solve_p.bind(a, t))
    if aval_of(a).dtype.kind == "c":
        imaginary = change - convert_element_type(ew.real(change), aval_of(a).dtype)
        return [sign, logdet], [ew.mul(imaginary, sign), ew.real(change)]
    return [sign, logdet], [None, change]


def _trace(x: Any) -> Any:
    return reduce_sum_p.bind(_diagonal(x), axes=(aval_of(x).ndim - 2,))


slogdet_p.impl = lambda a: [wrap(v) for v in np.linalg.slogdet(a)]
slogdet_p.abstract_eval = _slogdet_abstract
slogdet_p.jvp = _slogdet_jvp
slogdet_p.batch = _batch_all(slogdet_p)


def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign and the logarithm of the absolute value of the determinant.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.slogdet(np.array([[0.0, 1.0], [1.0, 0.0]]))
    (Array(-1.), Array(0.))
    """
    sign, logdet = slogdet_p.bind(a)
    return sign, logdet


# ---------------------------------------------------------------- det

# The derivative of the determinant is the adjugate, a polynomial of the matrix: so are its own derivatives, at singular
# matrices too. With a = u diag(s) vh the adjugate is det(u vh) v adj(diag(s)) u^H.

det_p = Primitive("det")
adjugate_p = Primitive("adjugate")


def _det_abstract(a: ShapedArray) -> ShapedArray:
    check_square("det", a)
    return ShapedArray(a.shape[:-2], a.dtype)


def _det_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    ndim = aval_of(a).ndim
    return det_p.bind(a), reduce_sum_p.bind(ew.mul(mT(adjugate_p.bind(a)), t), axes=(ndim - 2, ndim - 1))


det_p.impl = lambda a: wrap(np.linalg.det(a))
det_p.abstract_eval = _det_abstract
det_p.jvp = _det_jvp
det_p.batch = _batch_all(det_p)


def det(a: Any) -> Any:
    """The determinant; its derivatives hold for singular matrices too.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.det(np.array([[2.0, 1.0], [1.0, 3.0]]))
    Array(5.)
    """
    return det_p.bind(a)


def _adjugate_abstract(a: ShapedArray) -> ShapedArray:
    check_square("adjugate", a)
    return a.strong()


def _adjugate_impl(a: Any) -> Any:
    u, s, vh = np.linalg.svd(np.asarray(a))
    others = np.asarray(products_of_others(s)).astype(u.dtype)
    scaled = np.linalg.det(u @ vh)[..., None, None] * np.conj(np.swapaxes(vh, -1, -2)) * others[..., None, :]
    return wrap(scaled @ np.conj(np.swapaxes(u, -1, -2)))


def _adjugate_jvp(primals: Any, tangents: Any) -> Any:
    """That of the adjugate of a diagonal matrix, between the singular vectors."""
    (a,), (t,) = primals, tangents
    n, dtype = aval_of(a).shape[-1], aval_of(a).dtype
    u, s, vh = svd(a, full_matrices=False)
    same = _diagonal_mask(n)
    rows = ew.where(same, _part(dtype).type(1), broadcast_to(_row(s), aval_of(a).shape))
    pairs = ew.where(same, _part(dtype).type(0), products_of_others(rows))  # [i, j]: all singular values but i and j
    pairs = convert_element_type(pairs, dtype)
    inner = matmul(matmul(_h(u), t), _h(vh))
    diagonal = ew.mul(matmul(pairs, _column(_diagonal(inner))), _eye(n, dtype))
    sign = reshape(det_p.bind(matmul(u, vh)), (*aval_of(a).shape[:-2], 1, 1))
    return adjugate_p.bind(a), matmul(matmul(_h(vh), sign * (diagonal - ew.mul(pairs, inner))), _h(u))


adjugate_p.impl = _adjugate_impl
adjugate_p.abstract_eval = _adjugate_abstract
adjugate_p.jvp = _adjugate_jvp
adjugate_p.batch = _batch_all(adjugate_p)

# ---------------------------------------------------------------- lu

lu_p = Primitive("lu", multiple_results=True)


def _lu_abstract(a: ShapedArray) -> list[ShapedArray]:
    _check_matrices("lu", a)
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
    lower = _lower(below, strict=True) + _eye(m, aval_of(a).dtype)
    above = pad(slice_in_dim(lu, 0, k, axis=len(batch)), zero, [*none, (0, n - k, 0), (0, 0, 0)])
    rest = convert_element_type(ew.ge(broadcasted_iota(np.int64, (n,), 0), k), aval_of(a).dtype)
    upper = _upper(above) + ew.mul(_eye(n, aval_of(a).dtype), rest)
    t = take_along(t, broadcast_to(_column(permutation), aval_of(t).shape), len(batch), mode="promise_in_bounds")
    inner = triangular_solve(lower, t, lower=True, unit_diagonal=True)
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
lu_p.batch = _batch_all(lu_p)


def lu(a: Any) -> tuple[Any, Any, Any]:
    """The LU decomposition with partial pivoting: `a[permutation] = l u`.

    Returns:
        `l` (below the diagonal; ones on it) and `u` in one matrix, the rows swapped at each step (int32), and the
        permutation that these swaps make (int32).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.lu(np.array([[1.0, 2.0], [2.0, 2.0]]))
    (Array([[2. , 2. ],
           [0.5, 1. ]]), Array([1, 1], dtype=int32), Array([1, 0], dtype=int32))
    """
    factors, pivots, permutation = lu_p.bind(a)
    return factors, pivots, permutation


# ---------------------------------------------------------------- eigh

eigh_p = Primitive("eigh", multiple_results=True)


def _eigh_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("eigh", a)
    return [ShapedArray(a.shape[:-1], _part(a.dtype)), a.strong()]


def _eigh_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    w, v = eigh_p.bind(a)
    inner = matmul(matmul(_h(v), _hermitian(t)), v)
    f = convert_element_type(_inverse_gaps(w), aval_of(inner).dtype)
    return [w, v], [ew.real(_diagonal(inner)), matmul(v, ew.mul(inner, f))]


def _inverse_gaps(w: Any) -> Any:
    """`1 / (w[j] - w[i])` off the diagonal, zero on it."""
    one, same = aval_of(w).dtype.type(1), _diagonal_mask(aval_of(w).shape[-1])
    gaps = ew.where(same, one, _row(w) - _column(w))
    with np.errstate(divide="ignore"):  # equal ones: infinite for vectors, of no matter to values
        return ew.where(same, aval_of(w).dtype.type(0), one / gaps)


eigh_p.impl = lambda a: [wrap(x) for x in np.linalg.eigh(a)]
eigh_p.abstract_eval = _eigh_abstract
eigh_p.jvp = _eigh_jvp
eigh_p.batch = _batch_all(eigh_p)


def eigh(a: Any, *, lower: bool = True, symmetrize_input: bool = True) -> tuple[Any, Any]:
    """Orthonormal eigenvectors of Hermitian matrices, and their eigenvalues in ascending order.

    Args:
        a: matrices in the last two axes.
        lower: with `symmetrize_input=False`, whether the lower or the upper triangle counts.
        symmetrize_input: take the Hermitian part of `a`, so that derivatives are Hermitian too.

    >>> import functrans.lax as lax, numpy as np
    >>> v, w = lax.linalg.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w
    Array([1., 3.])
    """
    check_square("eigh", aval_of(a))
    a = symmetrize(a) if symmetrize_input else a if lower else _h(a)
    w, v = eigh_p.bind(a)
    return v, w


# ---------------------------------------------------------------- eig

eig_p = Primitive("eig", multiple_results=True)


def _complex(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind == "c" else np.dtype(f"c{dtype.itemsize * 2}")


def _eig_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("eig", a)
    return [ShapedArray(a.shape[:-1], _complex(a.dtype)), ShapedArray(a.shape, _complex(a.dtype))]


def _eig_jvp(primals: Any, tangents: Any) -> Any:
    """The vectors' tangent keeps their norm at one and their largest component real, as LAPACK has them."""
    (a,), (t,) = primals, tangents
    w, v = eig_p.bind(a)
    dtype, rows = aval_of(v).dtype, aval_of(v).ndim - 2
    if not aval_of(v).size:
        return [w, v], [None, None]
    inner = solve_p.bind(v, matmul(convert_element_type(t, dtype), v))
    dv = matmul(v, ew.mul(inner, _inverse_gaps(w)))
    largest = ew.eq(broadcasted_iota(np.int64, (aval_of(v).shape[-1], 1), 0), _row(argmax(ew.abs(v), rows)))
    largest = convert_element_type(largest, dtype)
    total = lambda x: _row(reduce_sum_p.bind(x, axes=(rows,)))
    stretch = ew.real(total(ew.conj(v) * dv))
    turn = ew.imag(total(largest * dv)) / ew.real(total(largest * v))
    return [w, v], [_diagonal(inner), dv - v * ew.complex(stretch, turn)]


def _eig_impl(a: Any) -> list[Any]:
    return [wrap(x.astype(_complex(np.asarray(a).dtype))) for x in np.linalg.eig(a)]


eig_p.impl = _eig_impl
eig_p.abstract_eval = _eig_abstract
eig_p.jvp = _eig_jvp
eig_p.batch = _batch_all(eig_p)


def eig(a: Any, *, compute_left_eigenvectors: bool = True, compute_right_eigenvectors: bool = True) -> tuple[Any, ...]:
    """Eigenvalues of square matrices, then left and right eigenvectors as asked for; all complex.

    Eigenvectors are columns of norm one whose largest component is real. Left ones satisfy `vl^H a = diag(w) vl^H`, and
    need that `a` has independent eigenvectors.

    >>> import functrans.lax as lax, numpy as np
    >>> w, v = lax.linalg.eig(np.array([[2.0, 0.0], [0.0, 1.0]]), compute_left_eigenvectors=False)
    >>> w
    Array([2.+0.j, 1.+0.j])
    """
    w, v = eig_p.bind(a)
    out = [w]
    if compute_left_eigenvectors and not aval_of(v).size:
        out.append(v)
    elif compute_left_eigenvectors:
        left = _h(inv(v))
        rows = aval_of(v).ndim - 2
        place = _row(argmax(ew.abs(left), rows))
        phase = ew.conj(ew.sign(take_along(left, place, rows)))
        norm = ew.sqrt(reduce_sum_p.bind(ew.square(ew.abs(left)), axes=(rows,)))
        out.append(left * phase / _row(norm))
    if compute_right_eigenvectors:
        out.append(v)
    return tuple(out)


# ---------------------------------------------------------------- svd

svd_p = Primitive("svd", multiple_results=True)


def _svd_abstract(a: ShapedArray, *, full_matrices: bool, compute_uv: bool) -> list[ShapedArray]:
    _check_matrices("svd", a)
    *batch, m, n = a.shape
    k = min(m, n)
    s = ShapedArray((*batch, k), _part(a.dtype))
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
    v = _h(vh)
    inner = matmul(matmul(_h(u), t), v)
    ds = ew.real(_diagonal(inner))
    if not compute_uv:
        return [s], [ds]
    same, row, column = _diagonal_mask(k), _row(s), _column(s)
    gaps = ew.where(same, part.type(1), (row - column) * (row + column))
    with np.errstate(
        divide="ignore", invalid="ignore"
    ):  # equal or zero ones: infinite for vectors, of no matter to values
        f = convert_element_type(ew.where(same, part.type(0), part.type(1) / gaps), dtype)
        inverse = convert_element_type(part.type(1) / row, dtype)
    sr, sc = convert_element_type(row, dtype), convert_element_type(column, dtype)
    skew = _h(inner)
    du = matmul(u, ew.mul(f, inner * sr + sc * skew))
    dv = matmul(v, ew.mul(f, sc * inner + skew * sr))
    if dtype.kind == "c":  # the phase that keeps the diagonal of v real goes to u
        du = du + matmul(u, ew.mul(_eye(k, dtype), (inner - skew) * inverse * dtype.type(0.5)))
    if m > k:
        tv = matmul(t, v)
        du = du + (tv - matmul(u, matmul(_h(u), tv))) * inverse
    if n > k:
        tu = matmul(_h(t), u)
        dv = dv + (tu - matmul(v, matmul(vh, tu))) * inverse
    return [u, s, vh], [du, ds, _h(dv)]


def _svd_impl(a: Any, *, full_matrices: bool, compute_uv: bool) -> list[Any]:
    if not compute_uv:
        return [wrap(np.linalg.svd(a, compute_uv=False))]
    return [wrap(x) for x in np.linalg.svd(a, full_matrices=full_matrices)]


svd_p.impl = _svd_impl
svd_p.abstract_eval = _svd_abstract
svd_p.jvp = _svd_jvp
svd_p.batch = _batch_all(svd_p)


def svd(a: Any, *, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular value decomposition `a = u diag(s) vh`, or `s` alone without `compute_uv`.

    With `full_matrices` `u` and `vh` are square; only without it can those of other matrices be differentiated.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    Array([4., 3.])
    """
    _check_matrices("svd", aval_of(a))
    *_, m, n = aval_of(a).shape
    outs = svd_p.bind(a, full_matrices=bool(full_matrices and compute_uv and m != n), compute_uv=bool(compute_uv))
    return tuple(outs) if compute_uv else outs[0]


# ---------------------------------------------------------------- qr

qr_p = Primitive("qr", multiple_results=True)


def _qr_abstract(a: ShapedArray, *, full_matrices: bool) -> list[ShapedArray]:
    _check_matrices("qr", a)
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
        beyond = matmul(_h(dq), slice_in_dim(a, k, n, axis=last)) + matmul(_h(q), slice_in_dim(t, k, n, axis=last))
        dr = concatenate([dr, beyond], last)
    return [q, r], [dq, dr]


def _qr_tangents(q: Any, r: Any, t: Any) -> tuple[Any, Any]:
    """For matrices with no more columns than rows."""
    x = triangular_solve(r, t, left_side=False)
    qx = matmul(_h(q), x)
    below = _lower(qx, strict=True)
    omega = below - _h(below)
    if aval_of(t).dtype.kind == "c":  # the diagonal of r stays real
        diagonal = ew.mul(_eye(aval_of(t).shape[-1], aval_of(t).dtype), qx)
        omega = omega + (diagonal - ew.conj(diagonal)) * aval_of(t).dtype.type(0.5)
    return matmul(q, omega - qx) + x, matmul(qx - omega, r)


def _qr_impl(a: Any, *, full_matrices: bool) -> list[Any]:
    return [wrap(x) for x in np.linalg.qr(a, "complete" if full_matrices else "reduced")]


qr_p.impl = _qr_impl
qr_p.abstract_eval = _qr_abstract
qr_p.jvp = _qr_jvp
qr_p.batch = _batch_all(qr_p)


def qr(a: Any, *, full_matrices: bool = True) -> tuple[Any, Any]:
    """The QR decomposition `a = q r`; `q` is square with `full_matrices`, else as narrow as `a`.

    >>> import functrans.lax as lax, numpy as np
    >>> q, r = lax.linalg.qr(np.array([[0.0, 2.0], [1.0, 3.0]]))
    >>> np.abs(r)
    Array([[1., 3.],
           [0., 2.]])
    """
    _check_matrices("qr", aval_of(a))
    *_, m, n = aval_of(a).shape
    q, r = qr_p.bind(a, full_matrices=bool(full_matrices and m > n))
    return q, r
