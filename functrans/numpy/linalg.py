"""Linear algebra (NumPy's reference: numpy.linalg), over the primitives of `lax.linalg`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, float_info
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import elementwise as ew, linalg as prim
from functrans.lax.contraction import matmul as _matmul
from functrans.lax.conversion import as_inexact
from functrans.lax.custom import custom_jvp
from functrans.lax.linalg.matrices import check_dtype, check_square, mT, symmetrize
from functrans.lax.promotion import common_dtype
from functrans.numpy import creation, indexing, manipulation, products, reductions as red, sorting, ufuncs
from functrans.numpy.dispatch import (
    dtype_of,
    implements,
    normalize_axes,
    normalize_axis,
    operand,
    shape_of,
    unsupported,
)

__all__ = [
    "EigResult", "EighResult", "LinAlgError", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cond", "cross",
    "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power",
    "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "tensorinv", "tensorsolve", "trace", "vecdot", "vector_norm",
]  # fmt: skip

LinAlgError = np.linalg.LinAlgError


class EighResult(NamedTuple):
    """Eigenvalues and eigenvectors.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eigh(fnp.diag([1.0, 2.0])).eigenvalues
    Array([1., 2.])
    """

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Eigenvalues and eigenvectors.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eig(fnp.diag([1.0, 2.0])).eigenvalues
    Array([1., 2.])
    """

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Factors of a QR decomposition.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.qr(fnp.array([[3.0], [4.0]])).Q.shape
    (2, 1)
    """

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """Factors of a singular value decomposition.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.svd(fnp.diag([1.0, 2.0])).S
    Array([2., 1.])
    """

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.slogdet(fnp.diag([1.0, -1.0])).sign
    Array(-1.)
    """

    sign: Any
    logabsdet: Any


def _float(name: str, a: Any) -> Any:
    """A matrix of a dtype in which LAPACK computes."""
    a = as_inexact(operand(name, a))
    check_dtype(name, aval_of(a))
    return a


def _pair(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    a, b = _float(name, a), _float(name, b)
    dtype = common_dtype(dtype_of(a), dtype_of(b))
    return lax.convert_element_type(a, dtype), lax.convert_element_type(b, dtype)


def _matrices(name: str, a: Any) -> Any:
    a = _float(name, a)
    if len(shape_of(a)) < 2:
        raise ShapeError(f"{name} takes matrices in the last two axes, got shape {shape_of(a)}")
    return a


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    Array([1. , 0.5])
    """
    a, b = _pair("solve", a, b)
    if len(shape_of(b)) == 1:
        out = prim.solve(a, lax.reshape(b, (*shape_of(b), 1)))
        return lax.reshape(out, shape_of(out)[:-1])
    return prim.solve(a, b)


@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.inv([[2.0, 0.0], [0.0, 4.0]])
    Array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    return prim.inv(_float("inv", a))


@implements(np.linalg.det)
def det(a: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.det([[2.0, 0.0], [0.0, 3.0]])
    Array(6.)
    """
    return prim.det(_float("det", a))


@implements(np.linalg.slogdet, "method")
def slogdet(a: Any, *, method: str | None = None) -> Any:
    """
    Args:
        method: `"lu"` or `"qr"`, accepted for programs of JAX; of no effect.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.slogdet([[2.0, 0.0], [0.0, 0.5]])
    SlogdetResult(sign=Array(1.), logabsdet=Array(0.))
    """
    if method not in (None, "lu", "qr"):
        raise ArgumentError(f"slogdet takes method 'lu' or 'qr', got {method!r}")
    return SlogdetResult(*prim.slogdet(_float("slogdet", a)))


def _hermitian(a: Any, symmetrize_input: bool | None) -> Any:
    """Matrices for a function that reads one triangle, as `symmetrize_input` asks."""
    if symmetrize_input is None:
        return _with_hermitian_tangents(a)
    return symmetrize(a) if symmetrize_input else a


@custom_jvp
def _with_hermitian_tangents(a: Any) -> Any:
    return a


_with_hermitian_tangents.defjvp(lambda primals, tangents: (_with_hermitian_tangents(*primals), symmetrize(*tangents)))


@implements(np.linalg.cholesky, "symmetrize_input")
def cholesky(a: Any, /, *, upper: bool = False, symmetrize_input: bool | None = None) -> Any:
    """One triangle of the matrices is read. Derivatives are those for Hermitian changes, so gradients are Hermitian.

    Args:
        symmetrize_input: factorize the Hermitian part (`True`), or the matrix of the one triangle with gradients that
            are zero in the other (`False`).

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]])
    Array([[2., 0.],
           [1., 2.]])
    """
    a = _float("cholesky", a)
    check_square("cholesky", aval_of(a))
    a = _hermitian(a, symmetrize_input)
    if upper:
        return lax.conj(mT(prim.cholesky(lax.conj(mT(a)), symmetrize_input=False)))
    return prim.cholesky(a, symmetrize_input=False)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Of traced arrays `mode` is `"reduced"`, `"complete"` or `"r"`; `"raw"` is for plain arrays alone.

    Derivatives need independent columns (the first ones, of wide matrices), and of tall matrices `"complete"` has none.

    >>> import functrans.numpy as fnp
    >>> fnp.abs(fnp.linalg.qr([[3.0], [4.0]]).R)
    Array([[5.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr of a traced array takes mode 'reduced', 'complete' or 'r', got {mode!r}")
    q, r = prim.qr(_float("qr", a), full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.svd, "subset_by_index")
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False,
    subset_by_index: tuple[int, int] | None = None,
) -> Any:  # fmt: skip
    """Derivatives of singular vectors are infinite where two singular values are equal; those of values are not.

    Of matrices that are not square `full_matrices=True` has none.

    Args:
        subset_by_index: the first and one beyond the last of the singular values that are wanted, as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False)
    Array([4., 3.])
    """
    a = _float("svd", a)
    if hermitian and subset_by_index is not None:
        raise ArgumentError("svd takes hermitian=True or subset_by_index, not both")
    if hermitian:
        w, u = eigh(a)
        order = lax.rev(sorting.argsort(lax.abs(w), -1), (len(shape_of(w)) - 1,))
        w = indexing.take_along_axis(w, order, -1)
        if not compute_uv:
            return lax.abs(w)
        u = indexing.take_along_axis(u, lax.expand_dims(order, (-2,)), -1)
        turned = u * lax.convert_element_type(lax.expand_dims(ufuncs.copysign(1.0, w), (-2,)), dtype_of(u))
        return SVDResult(u, lax.abs(w), lax.conj(mT(turned)))
    if not compute_uv:
        return prim.svd(a, compute_uv=False, subset_by_index=subset_by_index)
    return SVDResult(*prim.svd(a, full_matrices=full_matrices, subset_by_index=subset_by_index))


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.svdvals([[3.0, 0.0], [0.0, 4.0]])
    Array([4., 3.])
    """
    return prim.svd(_float("svdvals", x), compute_uv=False)


@implements(np.linalg.eigh, "symmetrize_input")
def eigh(a: Any, UPLO: str = "L", *, symmetrize_input: bool | None = None) -> Any:
    """One triangle of the matrices is read. Derivatives are those for Hermitian changes, so gradients are Hermitian.

    Derivatives of eigenvectors are infinite where two eigenvalues are equal; those of eigenvalues are not.

    Args:
        symmetrize_input: take the Hermitian part (`True`), or the matrix of the one triangle with gradients that are
            zero in the other (`False`).

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eigh([[2.0, 1.0], [1.0, 2.0]]).eigenvalues
    Array([1., 3.])
    """
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ArgumentError(f"UPLO is 'L' or 'U', got {UPLO!r}")
    a = _float("eigh", a)
    check_square("eigh", aval_of(a))
    vectors, values = prim.eigh(_hermitian(a, symmetrize_input), lower=UPLO.upper() == "L", symmetrize_input=False)
    return EighResult(values, vectors)


@implements(np.linalg.eigvalsh, "symmetrize_input")
def eigvalsh(a: Any, UPLO: str = "L", *, symmetrize_input: bool | None = None) -> Any:
    """Reads, and is differentiated, as `eigh`.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eigvalsh([[2.0, 1.0], [1.0, 2.0]])
    Array([1., 3.])
    """
    return eigh(a, UPLO, symmetrize_input=symmetrize_input).eigenvalues


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Of traced arrays both are complex, whatever their values.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eig([[2.0, 0.0], [0.0, 3.0]]).eigenvectors
    Array([[1., 0.],
           [0., 1.]])
    """
    return EigResult(*prim.eig(_float("eig", a), compute_left_eigenvectors=False))


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Of traced arrays they are complex, whatever their values.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.eigvals([[2.0, 0.0], [0.0, 3.0]])
    Array([2., 3.])
    """
    return eig(a).eigenvalues


_UNSET: Any = object()


def _plain_pinv(a: Any, *args: Any, **kwargs: Any) -> Any:
    """NumPy's function, which has no default `rtol` for integers."""
    a = np.asarray(a)
    return np.linalg.pinv(a.astype(np.float64) if a.dtype.kind in "biu" else a, *args, **kwargs)


@implements(np.linalg.pinv, eager=_plain_pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = _UNSET) -> Any:
    """The derivative (Golub and Pereyra, 1973) holds where the rank does not change, for equal singular values too.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.pinv([[2.0, 0.0], [0.0, 0.0]])
    Array([[0.5, 0. ],
           [0. , 0. ]])
    """
    a = _matrices("pinv", a)
    if rcond is not None and rtol is not _UNSET:
        raise ArgumentError("pinv takes rcond or rtol, not both")
    if rcond is None:
        rcond = 1e-15 if rtol is _UNSET else rtol
    return _pinv(a, _relative(a, rcond), hermitian)


def _relative(a: Any, rtol: Any) -> Any:
    """A tolerance relative to the largest singular value, one for each matrix."""
    if rtol is None:
        rtol = max(shape_of(a)[-2:]) * float_info(dtype_of(a)).eps
    return lax.expand_dims(lax.convert_element_type(operand("rtol", rtol), np.float64), (-1,))


@partial(custom_jvp, nondiff_argnums=(2,))
def _pinv(a: Any, rtol: Any, hermitian: bool) -> Any:
    if not aval_of(a).size:
        return lax.conj(mT(a))
    u, s, vh = svd(a, full_matrices=False, hermitian=hermitian)
    keep = s > rtol * red.max(s, -1, keepdims=True)
    inverse = ew.where(keep, 1.0 / ew.where(keep, s, 1.0), 0.0)
    scaled = lax.conj(mT(vh)) * lax.convert_element_type(lax.expand_dims(inverse, (-2,)), dtype_of(vh))
    return _matmul(scaled, lax.conj(mT(u)))


@_pinv.defjvp
def _pinv_jvp(hermitian: bool, primals: Any, tangents: Any) -> Any:
    (a, rtol), (t, _) = primals, tangents
    p = _pinv(a, rtol, hermitian)
    ph, th = lax.conj(mT(p)), lax.conj(mT(t))
    within = _matmul(_matmul(p, t), p)
    inner = _matmul(p, _matmul(ph, th))
    outer = _matmul(_matmul(th, ph), p)
    return p, inner - _matmul(_matmul(inner, a), p) + outer - _matmul(p, _matmul(a, outer)) - within


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Of traced arrays the residuals are there for tall matrices of any rank, where NumPy gives none below full rank.

    The solution is differentiated as the pseudoinverse is.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0])[0]
    Array([1., 2.])
    """
    a, b = _pair("lstsq", a, b)
    if len(shape_of(a)) != 2 or len(shape_of(b)) not in (1, 2) or shape_of(a)[0] != shape_of(b)[0]:
        raise ShapeError(
            f"lstsq takes a matrix and as many rows of right-hand sides, got shapes {shape_of(a)} and {shape_of(b)}"
        )
    m, n = shape_of(a)
    rcond = np.finfo(np.float64).eps * max(m, n) if rcond is None else rcond
    rcond = ew.where(lax.lt(rcond, 0), np.finfo(np.float64).eps, rcond)  # as LAPACK
    columns = b if len(shape_of(b)) == 2 else lax.reshape(b, (m, 1))
    rtol = _relative(a, rcond)
    x = _matmul(_pinv(a, rtol, False), columns)
    s = prim.svd(a, compute_uv=False)
    x = ew.where(red.all(lax.eq(s, s)), x, dtype_of(x).type(np.nan))  # an infinite matrix has no singular values
    rank = red.sum(s > rtol * red.max(s, -1, initial=0))
    residuals = _squares(columns - _matmul(a, x), 0, False) if m > n else creation.zeros(0, dtype_of(s))
    return (
        (x if len(shape_of(b)) == 2 else lax.reshape(x, (n,))),
        residuals,
        lax.convert_element_type(rank, np.int32),
        s,
    )


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]])
    Array(1)
    """
    if rtol is not None and tol is not None:
        raise ArgumentError("matrix_rank takes tol or rtol, not both")
    a = operand("matrix_rank", A)
    if len(shape_of(a)) < 2:
        return lax.convert_element_type(red.any(lax.ne(a, 0)), np.int64)
    s = svd(a, compute_uv=False, hermitian=hermitian)
    if tol is None:
        limit = red.max(s, -1, keepdims=True, initial=0) * (_relative(s, rtol) if rtol is not None else _default(a, s))
    else:
        limit = lax.expand_dims(operand("matrix_rank", tol), (-1,))
    return red.sum(s > limit, -1)


def _default(a: Any, s: Any) -> Any:
    return max(shape_of(a)[-2:]) * float_info(dtype_of(s)).eps


@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.matrix_power([[1, 1], [0, 1]], 5)
    Array([[1, 5],
           [0, 1]])
    """
    a, n = operand("matrix_power", a), operator.index(n)
    if len(shape_of(a)) < 2 or shape_of(a)[-1] != shape_of(a)[-2]:
        raise ShapeError(f"matrix_power takes square matrices in the last two axes, got shape {shape_of(a)}")
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return lax.broadcast_to(creation.eye(shape_of(a)[-1], dtype=dtype_of(a)), shape_of(a))
    out, square = None, a
    while n:
        if n & 1:
            out = square if out is None else _matmul(out, square)
        n >>= 1
        square = _matmul(square, square) if n else square
    return out


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.multi_dot([[[1, 2]], [[3], [4]], [[5]]])
    Array([[55]])
    """
    unsupported("multi_dot", out=out)
    arrays = [operand("multi_dot", x) for x in arrays]
    if len(arrays) < 2:
        raise ArgumentError("multi_dot takes at least two arrays")
    shapes = [shape_of(x) for x in arrays]
    if any(len(shape) != 2 for shape in shapes[1:-1]) or any(len(shapes[i]) not in (1, 2) for i in (0, -1)):
        raise ShapeError(f"multi_dot takes matrices, and vectors at the ends, got shapes {shapes}")
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if len(arrays) >= len(letters):
        raise ArgumentError(f"multi_dot of traced arrays takes fewer than {len(letters)} arrays, got {len(arrays)}")
    terms = [letters[i : i + 2] for i in range(len(arrays))]
    if len(shapes[0]) == 1:
        terms[0] = terms[0][1:]
    if len(shapes[-1]) == 1:
        terms[-1] = terms[-1][:1]
    ends = (terms[0][:-1], terms[-1][1:])
    return products.einsum(",".join(terms) + "->" + "".join(ends), *arrays)


def _real_cond(x: Any, p: Any = None) -> Any:
    """`numpy.linalg.cond`, which in NumPy 2.1 gives complex numbers without imaginary parts for complex matrices."""
    return np.linalg.cond(x, p).real


@implements(np.linalg.cond, eager=_real_cond)
def cond(x: Any, p: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.cond([[2.0, 0.0], [0.0, 0.5]])
    Array(4.)
    """
    x = _matrices("cond", x)
    if not math.prod(shape_of(x)[-2:]):
        raise ShapeError(f"cond is not defined for empty arrays, got shape {shape_of(x)}")
    if p in (None, 2, -2):
        s = prim.svd(x, compute_uv=False)
        r = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    else:
        check_square("cond", aval_of(x))
        r = norm(x, p, (-2, -1)) * norm(_inverse_or_infinite(x), p, (-2, -1))
    lost = ufuncs.isnan(r) & ~red.any(ufuncs.isnan(x), (-2, -1))
    return ew.where(lost, np.inf, r)


def _inverse_or_infinite(a: Any) -> Any:
    """The inverse, with infinities and NaN where `inv` raises."""
    factors, _, permutation = prim.lu(a)
    n = shape_of(a)[-1]
    rows = lax.convert_element_type(lax.eq(lax.expand_dims(permutation, (-1,)), lax.iota(np.int32, n)), dtype_of(a))
    half = prim.triangular_solve(factors, rows, left_side=True, lower=True, unit_diagonal=True)
    return prim.triangular_solve(factors, half, left_side=True)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The derivative at zero is zero where a norm has none, the subgradient of least norm.

    >>> import functrans.numpy as fnp
    >>> fnp.linalg.norm([3.0, 4.0])
    Array(5.)
    """
    x = _normed("norm", x)
    ndim = len(shape_of(x))
    if axis is None and (ord is None or (ord in ("fro", "f") and ndim == 2) or (ord == 2 and ndim == 1)):
        return _root_of_squares(x, tuple(range(ndim)), keepdims)
    axes = _ordered_axes(axis, ndim)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) == 2:
        return _matrix_norm(x, "fro" if ord is None else ord, axes, keepdims)
    raise ShapeError(f"norm takes one axis (vectors) or two (matrices), got {axis} for an array of shape {shape_of(x)}")


def _ordered_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in the order in which they were given."""
    normalize_axes(axis, ndim)  # refuses those that are not there, or twice
    return (
        tuple(normalize_axis(i, ndim) for i in axis) if isinstance(axis, (tuple, list)) else normalize_axes(axis, ndim)
    )


def _normed(name: str, x: Any) -> Any:
    return as_inexact(operand(name, x))


def _squares(x: Any, axes: Any, keepdims: bool) -> Any:
    return red.sum(lax.real(x * lax.conj(x)) if dtype_of(x).kind == "c" else x * x, axes, keepdims=keepdims)


def _root(total: Any, root: Callable[[Any], Any]) -> Any:
    """A root of numbers that are not negative, with derivative zero at zero."""
    empty = lax.eq(total, 0)
    return ew.where(empty, 0.0, root(ew.where(empty, 1.0, total)))


def _root_of_squares(x: Any, axes: Any, keepdims: bool) -> Any:
    return _root(_squares(x, axes, keepdims), ew.sqrt)


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.vector_norm([[3.0, 4.0], [6.0, 8.0]], axis=1)
    Array([ 5., 10.])
    """
    x = _normed("vector_norm", x)
    axes = normalize_axes(axis, len(shape_of(x)))
    if ord is None or ord == 2:
        return _root_of_squares(x, axes, keepdims)
    if isinstance(ord, str):
        raise ArgumentError(f"norm of vectors takes a number as ord, got {ord!r}")
    size = lax.abs(x)
    if ord == np.inf:
        return red.max(size, axes, keepdims=keepdims, **_identity_of(size, axes))
    if ord == -np.inf:
        return red.min(size, axes, keepdims=keepdims)
    if ord == 0:
        return red.sum(lax.convert_element_type(lax.ne(x, 0), dtype_of(size)), axes, keepdims=keepdims)
    if ord == 1:
        return red.sum(size, axes, keepdims=keepdims)
    total = red.sum(size**ord, axes, keepdims=keepdims)
    return _root(total, lambda t: t ** (1.0 / ord)) if ord > 0 else total ** (1.0 / ord)


def _identity_of(size: Any, axes: Any) -> dict[str, Any]:
    """NumPy's maximum norm of no elements is zero."""
    return {} if all(shape_of(size)[i] for i in axes) else {"initial": 0}


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.matrix_norm([[3.0, 0.0], [0.0, 4.0]])
    Array(5.)
    """
    x = _normed("matrix_norm", x)
    if len(shape_of(x)) < 2:
        raise ShapeError(f"matrix_norm takes matrices in the last two axes, got shape {shape_of(x)}")
    return _matrix_norm(x, ord, (-2, -1), keepdims)


def _matrix_norm(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    ndim = len(shape_of(x))
    row, column = (normalize_axis(i, ndim) for i in axes)
    if ord in ("fro", "f", None):
        return _root_of_squares(x, (row, column), keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        inner, outer = (row, column) if abs(ord) == 1 else (column, row)
        sums = red.sum(lax.abs(x), inner, keepdims=True)
        if ord > 0:
            out = red.max(sums, outer, keepdims=True, **_identity_of(sums, (outer,)))
        else:
            out = red.min(sums, outer, keepdims=True)
    elif ord in (2, -2, "nuc"):
        s = prim.svd(manipulation.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        if ord == 2:
            value = red.max(s, -1, **_identity_of(s, (-1,)))
        else:
            value = red.sum(s, -1) if ord == "nuc" else red.min(s, -1)
        out = lax.expand_dims(value, sorted((row, column)))
    else:
        raise ArgumentError(f"norm of matrices takes ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    return out if keepdims else lax.squeeze(out, (row, column))


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.tensorsolve(2 * fnp.eye(4).reshape(2, 2, 2, 2), fnp.ones((2, 2)))
    Array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    a, b = operand("tensorsolve", a), operand("tensorsolve", b)
    ndim = len(shape_of(a))
    if axes is not None:
        last = _ordered_axes(tuple(axes), ndim)
        a = lax.transpose(a, [*(i for i in range(ndim) if i not in last), *last])
    q = shape_of(a)[len(shape_of(b)) :]
    n = math.prod(q)
    if aval_of(a).size != n * n or aval_of(b).size != n:
        raise ShapeError(f"tensorsolve: shapes {shape_of(a)} and {shape_of(b)} make no square system")
    return lax.reshape(solve(lax.reshape(a, (n, n)), lax.reshape(b, (n,))), q)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.tensorinv(2 * fnp.eye(4).reshape(2, 2, 2, 2)).shape
    (2, 2, 2, 2)
    """
    a = operand("tensorinv", a)
    if ind <= 0:
        raise ArgumentError(f"ind is the number of first axes, at least one, got {ind}")
    shape = shape_of(a)
    if not shape:
        raise ShapeError("tensorinv takes an array with axes, got a scalar")
    n = math.prod(shape[ind:])
    if math.prod(shape[:ind]) != n:
        raise ShapeError(f"tensorinv: the first {ind} and the other axes of shape {shape} have different sizes")
    return lax.reshape(inv(lax.reshape(a, (n, n))), (*shape[ind:], *shape[:ind]))


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.diagonal([[1, 2], [3, 4]])
    Array([1, 4])
    """
    return indexing.diagonal(x, offset, -2, -1)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.trace([[1, 2], [3, 4]])
    Array(5)
    """
    return indexing.trace(x, offset, -2, -1, dtype)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.matrix_transpose([[1, 2], [3, 4]])
    Array([[1, 3],
           [2, 4]])
    """
    return manipulation.matrix_transpose(x)


@implements(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.outer([1, 2], [3, 4])
    Array([[3, 4],
           [6, 8]])
    """
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ShapeError(f"outer takes two vectors, got shapes {shape_of(x1)} and {shape_of(x2)}")
    return products.outer(x1, x2)


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.cross([1, 0, 0], [0, 1, 0])
    Array([0, 0, 1])
    """
    return products.cross(x1, x2, axis=axis)


@implements(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.matmul([[1, 2], [3, 4]], [[1, 0], [0, 2]])
    Array([[1, 4],
           [3, 8]])
    """
    return products.matmul(x1, x2)


@implements(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.tensordot([[1, 2], [3, 4]], [[1, 2], [3, 4]])
    Array(30)
    """
    return products.tensordot(x1, x2, axes)


@implements(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linalg.vecdot([[1, 2], [3, 4]], [1, 1])
    Array([3, 7])
    """
    return products.vecdot(x1, x2, axis=axis)
