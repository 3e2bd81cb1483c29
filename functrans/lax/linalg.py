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
from functrans.lax.structural import concatenate, reshape, transpose
from functrans.transforms.batching import batch_first

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


def _half_diagonal(x: Any) -> Any:
    """The lower triangle with the diagonal halved."""
    n, dtype = aval_of(x).shape[-1], aval_of(x).dtype
    return ew.mul(_lower(x), ew.where(_diagonal_mask(n), dtype.type(0.5), dtype.type(1)))


def check_square(name: str, a: ShapedArray) -> None:
    """Raise the user's error unless `a` holds square matrices of floats or complex numbers."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name} takes square matrices in the last two axes, got shape {a.shape}")
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


# ---------------------------------------------------------------- cholesky

cholesky_p = Primitive("cholesky")


def _cholesky_abstract(a: ShapedArray) -> ShapedArray:
    check_square("cholesky", a)
    return a.strong()


def _cholesky_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    factor = cholesky_p.bind(a)
    t = ew.mul(ew.add(t, _h(t)), aval_of(t).dtype.type(0.5))
    inner = triangular_solve(factor, t, lower=True)
    inner = triangular_solve(factor, inner, left_side=False, lower=True, transpose_a=True, conjugate_a=True)
    return factor, matmul(factor, _half_diagonal(inner))


cholesky_p.impl = lambda a: wrap(np.linalg.cholesky(a))
cholesky_p.abstract_eval = _cholesky_abstract
cholesky_p.jvp = _cholesky_jvp
cholesky_p.batch = _batch_all(cholesky_p)


def cholesky(a: Any, *, symmetrize_input: bool = True) -> Any:
    """The lower Cholesky factor of Hermitian positive definite matrices.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]])
    """
    return cholesky_p.bind(a)


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
    from scipy.linalg import solve_triangular

    a, b = np.asarray(a), np.asarray(b)
    if conjugate_a:
        a = a.conj()
    if not left_side:  # x op(a) = b is op(a)' x' = b'
        out = _triangular_impl(
            a, np.swapaxes(b, -1, -2), left_side=True, lower=lower, transpose_a=not transpose_a, conjugate_a=False,
            unit_diagonal=unit_diagonal,
        )  # fmt: skip
        return wrap(np.ascontiguousarray(np.swapaxes(out, -1, -2)))
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    out = np.empty(b.shape, b.dtype)
    for i in np.ndindex(*batch):
        if out[i].size:
            with np.errstate(all="ignore"):
                out[i] = _solve_one(solve_triangular, a[i], b[i], lower, transpose_a, unit_diagonal)
    return wrap(out)


def _solve_one(solver: Any, a: Any, b: Any, lower: bool, transposed: bool, unit: bool) -> Any:
    try:
        return solver(a, b, lower=lower, trans=int(transposed), unit_diagonal=unit, check_finite=False)
    except np.linalg.LinAlgError:  # a zero on the diagonal: infinities, as BLAS gives them
        return np.full(b.shape, np.nan, b.dtype)


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
triangular_solve_p.batch = _batch_all(triangular_solve_p)

# ---------------------------------------------------------------- solve

solve_p = Primitive("solve")


def solve(a: Any, b: Any) -> Any:
    """The solution of `a x = b` for square matrices `a` and matrices `b` of right-hand sides."""
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


solve_p.impl = lambda a, b: wrap(np.linalg.solve(a, b))
solve_p.abstract_eval = _solve_abstract
solve_p.jvp = _solve_jvp
solve_p.transpose = lambda ct, a, b: [None, unbroadcast(solve_p.bind(mT(a), ct), b.aval)]
solve_p.batch = _batch_all(solve_p)


def inv(a: Any) -> Any:
    """The inverse of square matrices."""
    aval = aval_of(a)
    check_square("inv", aval)
    return solve_p.bind(a, broadcast_to(_eye(aval.shape[-1], aval.dtype), aval.shape))


# ---------------------------------------------------------------- slogdet

slogdet_p = Primitive("slogdet", multiple_results=True)


def _slogdet_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("slogdet", a)
    part = np.dtype(f"f{a.dtype.itemsize // 2}") if a.dtype.kind == "c" else a.dtype
    return [ShapedArray(a.shape[:-2], a.dtype), ShapedArray(a.shape[:-2], part)]


def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    sign, logdet = slogdet_p.bind(a)
    change = _trace(solve_p.bind(a, t))
    if aval_of(a).dtype.kind == "c":
        imaginary = change - convert_element_type(ew.real(change), aval_of(a).dtype)
        return [sign, logdet], [ew.mul(imaginary, sign), ew.real(change)]
    return [sign, logdet], [None, change]


def _trace(x: Any) -> Any:
    n, ndim = aval_of(x).shape[-1], aval_of(x).ndim
    return reduce_sum_p.bind(ew.mul(x, _eye(n, aval_of(x).dtype)), axes=(ndim - 2, ndim - 1))


slogdet_p.impl = lambda a: [wrap(v) for v in np.linalg.slogdet(a)]
slogdet_p.abstract_eval = _slogdet_abstract
slogdet_p.jvp = _slogdet_jvp
slogdet_p.batch = _batch_all(slogdet_p)


def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign and the logarithm of the absolute value of the determinant."""
    sign, logdet = slogdet_p.bind(a)
    return sign, logdet


# ---------------------------------------------------------------- det

det_p = Primitive("det")


def _cofactor_jvp(primals: Any, tangents: Any) -> Any:
    """`tr(adj(a) t)`, with the adjugate by singular vectors: right for singular matrices too."""
    (a,), (t,) = primals, tangents
    d = det_p.bind(a)
    return d, _trace(matmul(_adjugate(a), t))


def _adjugate(a: Any) -> Any:
    """The adjugate, column by column: determinants of `a` with one row replaced, so that it is a polynomial of `a`."""
    n, dtype = aval_of(a).shape[-1], aval_of(a).dtype
    columns = []
    for i in range(n):
        row = ew.eq(broadcasted_iota(np.int64, (n, 1), 0), i)
        units = reshape(_eye(n, dtype), (n, *[1] * (aval_of(a).ndim - 2), 1, n))
        replaced = ew.select_n.bind(row, a, units)  # row i becomes each unit vector in turn
        columns.append(reshape(det_p.bind(replaced), (n, *aval_of(a).shape[:-2], 1)))
    stacked = concatenate(columns, aval_of(a).ndim - 1)  # (j, batch, i): the cofactor of element (i, j)
    order = [*range(1, aval_of(a).ndim - 1), 0, aval_of(a).ndim - 1]
    return transpose(stacked, order)


det_p.impl = lambda a: wrap(np.linalg.det(a))
det_p.jvp = _cofactor_jvp
det_p.batch = _batch_all(det_p)


def _det_abstract(a: ShapedArray) -> ShapedArray:
    check_square("det", a)
    return ShapedArray(a.shape[:-2], a.dtype)


det_p.abstract_eval = _det_abstract


def det(a: Any) -> Any:
    """The determinant."""
    return det_p.bind(a)


# ---------------------------------------------------------------- eigh

eigh_p = Primitive("eigh", multiple_results=True)


def _eigh_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("eigh", a)
    part = np.dtype(f"f{a.dtype.itemsize // 2}") if a.dtype.kind == "c" else a.dtype
    return [ShapedArray(a.shape[:-1], part), a.strong()]


def _eigh_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    w, v = eigh_p.bind(a)
    t = ew.mul(ew.add(t, _h(t)), aval_of(t).dtype.type(0.5))
    n = aval_of(a).shape[-1]
    inner = matmul(matmul(_h(v), t), v)
    diagonal = reduce_sum_p.bind(ew.mul(inner, _eye(n, aval_of(inner).dtype)), axes=(aval_of(inner).ndim - 1,))
    row, column = reshape(w, (*aval_of(w).shape, 1)), reshape(w, (*aval_of(w).shape[:-1], 1, n))
    gap = ew.where(_diagonal_mask(n), 1.0, column - row)
    f = convert_element_type(ew.where(_diagonal_mask(n), 0.0, 1.0 / gap), aval_of(inner).dtype)
    return [w, v], [ew.real(diagonal), matmul(v, ew.mul(inner, f))]


eigh_p.impl = lambda a: [wrap(x) for x in np.linalg.eigh(a)]
eigh_p.abstract_eval = _eigh_abstract
eigh_p.jvp = _eigh_jvp
eigh_p.batch = _batch_all(eigh_p)


def eigh(a: Any) -> tuple[Any, Any]:
    """Eigenvalues in ascending order and orthonormal eigenvectors of Hermitian matrices (their lower triangles)."""
    w, v = eigh_p.bind(a)
    return w, v


# ---------------------------------------------------------------- svd

svd_p = Primitive("svd", multiple_results=True)


def _svd_abstract(a: ShapedArray) -> list[ShapedArray]:
    if a.ndim < 2:
        raise ShapeError(f"svd takes matrices in the last two axes, got shape {a.shape}")
    _check_dtype("svd", a)
    *batch, m, n = a.shape
    k = min(m, n)
    part = np.dtype(f"f{a.dtype.itemsize // 2}") if a.dtype.kind == "c" else a.dtype
    return [ShapedArray((*batch, m, k), a.dtype), ShapedArray((*batch, k), part), ShapedArray((*batch, k, n), a.dtype)]


def _svd_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    u, s, vh = svd_p.bind(a)
    *_, m, n = aval_of(a).shape
    k, dtype = min(m, n), aval_of(a).dtype
    v = _h(vh)
    inner = matmul(matmul(_h(u), t), v)
    mask = _diagonal_mask(k)
    ds = ew.real(reduce_sum_p.bind(ew.mul(inner, _eye(k, dtype)), axes=(aval_of(inner).ndim - 1,)))
    row = reshape(s, (*aval_of(s).shape, 1))
    column = reshape(s, (*aval_of(s).shape[:-1], 1, k))
    f = convert_element_type(ew.where(mask, 0.0, 1.0 / ew.where(mask, 1.0, column * column - row * row)), dtype)
    sc, sr = convert_element_type(column, dtype), convert_element_type(row, dtype)
    skew = _h(inner)
    du = matmul(u, ew.mul(f, inner * sc + sr * skew))
    dv = matmul(v, ew.mul(f, sr * inner + skew * sc))
    if dtype.kind == "c":  # the phase that keeps the diagonal of v real goes to u
        phase = ew.mul(_eye(k, dtype), (inner - skew) / (sc + sc))
        du = du + matmul(u, phase)
    if m > k:
        tv = matmul(t, v)
        du = du + (tv - matmul(u, matmul(_h(u), tv))) / sc
    if n > k:
        tu = matmul(_h(t), u)
        dv = dv + (tu - matmul(v, matmul(vh, tu))) / sc
    return [u, s, vh], [du, ds, _h(dv)]


svd_p.impl = lambda a: [wrap(x) for x in np.linalg.svd(a, full_matrices=False)]
svd_p.abstract_eval = _svd_abstract
svd_p.jvp = _svd_jvp
svd_p.batch = _batch_all(svd_p)


def svd(a: Any) -> tuple[Any, Any, Any]:
    """The thin singular value decomposition `a = u diag(s) vh`."""
    u, s, vh = svd_p.bind(a)
    return u, s, vh


# ---------------------------------------------------------------- qr

qr_p = Primitive("qr", multiple_results=True)


def _qr_abstract(a: ShapedArray) -> list[ShapedArray]:
    if a.ndim < 2:
        raise ShapeError(f"qr takes matrices in the last two axes, got shape {a.shape}")
    _check_dtype("qr", a)
    *batch, m, n = a.shape
    k = min(m, n)
    return [ShapedArray((*batch, m, k), a.dtype), ShapedArray((*batch, k, n), a.dtype)]


def _qr_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    q, r = qr_p.bind(a)
    *_, m, n = aval_of(a).shape
    if m < n:
        raise NotDifferentiableError(f"qr of wide matrices (shape {aval_of(a).shape}) has no derivative here")
    x = triangular_solve(r, t, left_side=False)
    qx = matmul(_h(q), x)
    below = _lower(qx, strict=True)
    omega = below - _h(below)
    if aval_of(a).dtype.kind == "c":
        diagonal = ew.mul(_eye(n, aval_of(a).dtype), qx)
        omega = omega + (diagonal - ew.conj(diagonal)) * aval_of(a).dtype.type(0.5)
    dq = matmul(q, omega - qx) + x
    return [q, r], [dq, matmul(qx - omega, r)]


qr_p.impl = lambda a: [wrap(x) for x in np.linalg.qr(a)]
qr_p.abstract_eval = _qr_abstract
qr_p.jvp = _qr_jvp
qr_p.batch = _batch_all(qr_p)


def qr(a: Any) -> tuple[Any, Any]:
    """The reduced QR decomposition."""
    q, r = qr_p.bind(a)
    return q, r
