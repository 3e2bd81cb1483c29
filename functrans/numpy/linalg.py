"""Linear algebra (NumPy's reference: numpy.linalg), over the primitives of `lax.linalg`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import elementwise as ew, linalg as prim
from functrans.lax.contraction import matmul as _matmul
from functrans.numpy import indexing, manipulation, products, reductions as red
from functrans.numpy.dispatch import dtype_of, implements, normalize_axes, normalize_axis, operand, shape_of

LinAlgError = np.linalg.LinAlgError


class EighResult(NamedTuple):
    """Eigenvalues and eigenvectors."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Eigenvalues and eigenvectors."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Factors of a QR decomposition."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """Factors of a singular value decomposition."""

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


def _float(name: str, a: Any) -> Any:
    a = operand(name, a)
    dtype = dtype_of(a)
    return (
        a
        if dtype.kind in "fc" and dtype.itemsize >= 4 and not aval_of(a).weak
        else lax.convert_element_type(
            a, np.result_type(dtype, np.float64) if dtype.kind in "biu" else np.result_type(dtype, np.float32)
        )
    )


def _pair(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    a, b = _float(name, a), _float(name, b)
    dtype = np.result_type(dtype_of(a), dtype_of(b))
    return lax.convert_element_type(a, dtype), lax.convert_element_type(b, dtype)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    a, b = _pair("solve", a, b)
    if len(shape_of(b)) == 1:
        out = prim.solve(a, lax.reshape(b, (*shape_of(b), 1)))
        return lax.reshape(out, shape_of(out)[:-1])
    return prim.solve(a, b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    return prim.inv(_float("inv", a))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    return prim.det(_float("det", a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    return SlogdetResult(*prim.slogdet(_float("slogdet", a)))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = _float("cholesky", a)
    return lax.conj(prim.mT(prim.cholesky(a))) if upper else prim.cholesky(a)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr of a traced array takes mode 'reduced', 'complete' or 'r', got {mode!r}")
    q, r = prim.qr(_float("qr", a), full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.svd)
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    a = _float("svd", a)
    if not compute_uv:
        return prim.svd(a, compute_uv=False)
    return SVDResult(*prim.svd(a, full_matrices=full_matrices))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    return prim.svd(_float("svdvals", x), compute_uv=False)


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    vectors, values = prim.eigh(_float("eigh", a), lower=UPLO.upper() == "L")
    return EighResult(values, vectors)


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return eigh(a, UPLO).eigenvalues


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Of traced arrays both are complex, whatever their values."""
    return EigResult(*prim.eig(_float("eig", a), compute_left_eigenvectors=False))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Of traced arrays they are complex, whatever their values."""
    return eig(a).eigenvalues


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = _float("pinv", a)
    u, s, vh = prim.svd(a, full_matrices=False)
    rtol = rtol if rtol is not None else rcond
    cutoff = max(shape_of(a)[-2:]) * np.finfo(dtype_of(s)).eps if rtol is None else rtol
    keep = s > cutoff * red.max(s, -1, keepdims=True)
    inverse = ew.where(keep, 1.0 / ew.where(keep, s, 1.0), 0.0)
    scaled = lax.conj(prim.mT(vh)) * lax.convert_element_type(lax.expand_dims(inverse, (-2,)), dtype_of(vh))
    return _matmul(scaled, lax.conj(prim.mT(u)))


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    a, b = _pair("lstsq", a, b)
    u, s, vh = prim.svd(a, full_matrices=False)
    cutoff = np.finfo(dtype_of(s)).eps * max(shape_of(a)) if rcond is None else rcond
    keep = s > cutoff * s[0]
    inverse = ew.where(keep, 1.0 / ew.where(keep, s, 1.0), 0.0)
    columns = b if len(shape_of(b)) == 2 else lax.reshape(b, (*shape_of(b), 1))
    inner = _matmul(lax.conj(prim.mT(u)), columns) * lax.convert_element_type(
        lax.reshape(inverse, (shape_of(s)[0], 1)), dtype_of(u)
    )
    x = _matmul(lax.conj(prim.mT(vh)), inner)
    rank = red.sum(keep)
    residual = red.sum(lax.square(lax.abs(columns - _matmul(a, x))), 0)
    return (x if len(shape_of(b)) == 2 else lax.reshape(x, shape_of(x)[:-1])), residual, rank, s


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    a = _float("matrix_rank", A)
    s = prim.svd(a, compute_uv=False)
    limit = tol
    if limit is None:
        rtol = max(shape_of(a)[-2:]) * np.finfo(dtype_of(s)).eps if rtol is None else rtol
        limit = red.max(s, -1, keepdims=True) * rtol
    return red.sum(s > limit, -1)


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    a = operand("matrix_power", a)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        size = shape_of(a)[-1]
        return lax.broadcast_to(prim._eye(size, dtype_of(a)), shape_of(a))
    out, square = None, a
    while n:
        if n & 1:
            out = square if out is None else _matmul(out, square)
        n >>= 1
        square = _matmul(square, square) if n else square
    return out


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz"
    terms, ndims = [], [len(shape_of(operand("multi_dot", x))) for x in arrays]
    for i, n in enumerate(ndims):
        first, last = letters[i], letters[i + 1]
        terms.append(last if n == 1 and i == 0 else first if n == 1 else first + last)
    result = "".join(c for c, n in ((letters[0], ndims[0]), (letters[len(ndims)], ndims[-1])) if n == 2)
    return products.einsum(",".join(terms) + "->" + result, *arrays)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    x = _float("cond", x)
    if p in (None, 2, -2):
        s = prim.svd(x, compute_uv=False)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = operand("norm", x)
    if dtype_of(x).kind not in "fc":
        x = lax.convert_element_type(x, np.float64)
    ndim = len(shape_of(x))
    if axis is None and (ord is None or (ord in ("fro", "f") and ndim == 2) or (ord == 2 and ndim == 1)):
        out = _root_of_squares(x, None, False)
        return lax.reshape(out, (1,) * ndim) if keepdims else out
    axes = (
        normalize_axes(axis, ndim)
        if not isinstance(axis, (tuple, list))
        else tuple(normalize_axis(i, ndim) for i in axis)
    )
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) == 2:
        return _matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)
    raise ShapeError(f"norm takes one axis (vectors) or two (matrices), got {axis} for an array of shape {shape_of(x)}")


def _root_of_squares(x: Any, axes: Any, keepdims: bool) -> Any:
    """The Euclidean norm; its derivative at zero is zero, as JAX has it nan: the subgradient of least norm."""
    squares = lax.real(x * lax.conj(x)) if dtype_of(x).kind == "c" else x * x
    total = red.sum(squares, axes, keepdims=keepdims)
    empty = lax.eq(total, 0)
    return ew.where(empty, 0.0, ew.sqrt(ew.where(empty, 1.0, total)))


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = operand("vector_norm", x)
    if dtype_of(x).kind not in "fc":
        x = lax.convert_element_type(x, np.float64)
    axes = normalize_axes(axis, len(shape_of(x)))
    if ord == 2:
        return _root_of_squares(x, axes, keepdims)
    size = lax.abs(x)
    if ord == np.inf:
        return red.max(size, axes, keepdims=keepdims)
    if ord == -np.inf:
        return red.min(size, axes, keepdims=keepdims)
    if ord == 0:
        return red.sum(lax.convert_element_type(lax.ne(x, 0), dtype_of(size)), axes, keepdims=keepdims)
    if ord == 1:
        return red.sum(size, axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ArgumentError(f"norm of vectors takes a number as ord, got {ord!r}")
    return red.sum(size**ord, axes, keepdims=keepdims) ** (1.0 / ord)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return _matrix_norm(_float("matrix_norm", x), ord, (-2, -1), keepdims)


def _matrix_norm(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    ndim = len(shape_of(x))
    row, column = (normalize_axis(i, ndim) for i in axes)
    if ord in ("fro", "f"):
        return _root_of_squares(x, (row, column), keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        inner, outer = (row, column) if abs(ord) == 1 else (column, row)
        sums = red.sum(lax.abs(x), inner, keepdims=True)
        out = (red.max if ord > 0 else red.min)(sums, outer, keepdims=True)
    elif ord in (2, -2, "nuc"):
        s = prim.svd(manipulation.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        value = red.sum(s, -1) if ord == "nuc" else s[..., 0] if ord == 2 else s[..., -1]
        out = lax.expand_dims(value, sorted((row, column)))
    else:
        raise ArgumentError(f"norm of matrices takes ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    return out if keepdims else lax.squeeze(out, (row, column))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = operand("tensorsolve", a), operand("tensorsolve", b)
    if axes is not None:
        ndim = len(shape_of(a))
        rest = [i for i in range(ndim) if i not in {normalize_axis(x, ndim) for x in axes}]
        a = lax.transpose(a, [*rest, *(normalize_axis(x, ndim) for x in axes)])
    q = shape_of(a)[len(shape_of(b)) :]
    n = aval_of(b).size
    return lax.reshape(solve(lax.reshape(a, (n, n)), lax.reshape(b, (n,))), q)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    shape = shape_of(a)
    n = int(np.prod(shape[ind:]))
    return lax.reshape(inv(lax.reshape(a, (n, n))), (*shape[ind:], *shape[:ind]))


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return indexing.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return indexing.trace(x, offset, -2, -1, dtype)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    return prim.mT(operand("matrix_transpose", x))


@implements(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    return products.outer(x1, x2)


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return products.cross(x1, x2, axis=axis)


@implements(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    return products.matmul(x1, x2)


@implements(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return products.tensordot(x1, x2, axes)


@implements(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return products.vecdot(x1, x2, axis=axis)
