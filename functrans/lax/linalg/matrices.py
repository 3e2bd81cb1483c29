"""What all chapters share: parts of matrices, checks of operands, batching rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, is_inexact
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcasted_iota, reduce_sum_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.structural import reshape, transpose
from functrans.transforms.batching import batch_first, move_axis


def mT(x: Any) -> Any:
    """Matrices transposed."""
    n = aval_of(x).ndim
    return transpose(x, [*range(n - 2), n - 1, n - 2])


def adjoint(x: Any) -> Any:
    return ew.conj(mT(x)) if aval_of(x).dtype.kind == "c" else mT(x)


def eye(n: int, dtype: np.dtype) -> Any:
    return convert_element_type(diagonal_mask(n), dtype)


def diagonal_mask(n: int, compare: Any = ew.eq) -> Any:
    return compare(broadcasted_iota(np.int64, (n, n), 0), broadcasted_iota(np.int64, (n, n), 1))


def lower_triangle(x: Any, strict: bool = False) -> Any:
    mask = diagonal_mask(aval_of(x).shape[-1], ew.gt if strict else ew.ge)
    return ew.select_n.bind(mask, zeros(ShapedArray((), aval_of(x).dtype)), x)


def upper_triangle(x: Any) -> Any:
    return mT(lower_triangle(mT(x)))


def half_diagonal(x: Any) -> Any:
    """The lower triangle with the diagonal halved."""
    n, dtype = aval_of(x).shape[-1], aval_of(x).dtype
    return ew.mul(lower_triangle(x), ew.where(diagonal_mask(n), dtype.type(0.5), dtype.type(1)))


def hermitian(t: Any) -> Any:
    """The Hermitian matrices of these lower triangles: what LAPACK reads."""
    half = half_diagonal(t)
    return half + adjoint(half)


def symmetrize(a: Any) -> Any:
    """The Hermitian part of matrices."""
    return ew.mul(ew.add(a, adjoint(a)), aval_of(a).dtype.type(0.5))


def diagonals(x: Any) -> Any:
    """The diagonals of square matrices."""
    return reduce_sum_p.bind(ew.mul(x, eye(aval_of(x).shape[-1], aval_of(x).dtype)), axes=(aval_of(x).ndim - 1,))


def trace(x: Any) -> Any:
    """The sums of the diagonals of square matrices."""
    return reduce_sum_p.bind(diagonals(x), axes=(aval_of(x).ndim - 2,))


def as_column(x: Any) -> Any:
    """Vectors as columns."""
    return reshape(x, (*aval_of(x).shape, 1))


def as_row(x: Any) -> Any:
    """Vectors as rows."""
    return reshape(x, (*aval_of(x).shape[:-1], 1, aval_of(x).shape[-1]))


def inverse_gaps(w: Any) -> Any:
    """`1 / (w[j] - w[i])` off the diagonal, zero on it."""
    one, same = aval_of(w).dtype.type(1), diagonal_mask(aval_of(w).shape[-1])
    gaps = ew.where(same, one, as_row(w) - as_column(w))
    with np.errstate(divide="ignore"):  # equal ones: infinite for vectors, of no matter to values
        return ew.where(same, aval_of(w).dtype.type(0), one / gaps)


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of real parts."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def complex_dtype(dtype: np.dtype) -> np.dtype:
    """The complex dtype of this precision."""
    return dtype if dtype.kind == "c" else np.dtype(f"c{dtype.itemsize * 2}")


def check_square(name: str, a: ShapedArray) -> None:
    """Raise the user's error unless `a` holds square matrices of floats or complex numbers."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name} takes square matrices in the last two axes, got shape {a.shape}")
    check_dtype(name, a)


def check_matrices(name: str, a: ShapedArray) -> None:
    if a.ndim < 2:
        raise ShapeError(f"{name} takes matrices in the last two axes, got shape {a.shape}")
    check_dtype(name, a)


def check_dtype(name: str, a: ShapedArray) -> None:
    if not is_inexact(a.dtype) or a.dtype.itemsize < 4:
        raise DTypeError(f"{name} takes float32, float64 or complex matrices, got {a.dtype}")


def guard_matrix(primitive: Primitive) -> Any:
    """For primitives that raise LinAlgError: where they must not run, the first operand is an identity matrix."""

    def guard(active: Any, a: Any, *operands: Any, **params: Any) -> Any:
        aval = aval_of(a)
        row, column = (broadcasted_iota(np.int64, aval.shape[-2:], i) for i in range(2))
        return primitive.bind(
            ew.where(active, a, convert_element_type(ew.eq(row, column), aval.dtype)), *operands, **params
        )

    return guard


def batch_all(primitive: Primitive) -> Any:
    """For primitives that batch over leading axes by themselves."""

    def batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> Any:
        outs = primitive.bind(*[batch_first(axis, a, d) for a, d in zip(args, dims)], **params)
        return (outs, [0] * len(outs)) if primitive.multiple_results else (outs, 0)

    return batch


def batch_solver(primitive: Primitive) -> Any:
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


def by_matrix(avals: Sequence[ShapedArray], function: Callable[..., Any], *operands: Any) -> list[Any]:
    """The results of a function of single matrices for stacks of them, as arrays of these types."""
    arrays = [np.asarray(x) for x in operands]
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    arrays = [np.broadcast_to(x, batch + x.shape[-2:]) for x in arrays]
    outs = [np.empty(aval.shape, aval.dtype) for aval in avals]
    if arrays[0].size:
        for i in np.ndindex(*batch):
            for out, value in zip(outs, function(*(x[i] for x in arrays))):
                out[i] = value
    return [wrap(out) for out in outs]
