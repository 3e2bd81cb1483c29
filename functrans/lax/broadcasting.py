"""Broadcasting and its transpose, summation; and the arrays made from nothing: `full` and `iota`.

The two are each other's transpose, so they stand in one file, below every other family: whoever broadcasts operands
(all elementwise primitives do) needs `unbroadcast` for its cotangents.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, bfloat16, native
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive, Reduction, lookup
from functrans.errors import DTypeError, ShapeError
from functrans.transforms import eager
from functrans.transforms.jvp import Constant
from functrans.transforms.taylor import termwise
from functrans.transforms.transpose import is_linear, unbroadcast

Shape = tuple[int, ...]


def linear_unary(primitive: Primitive) -> None:
    """Give a primitive that is linear in its one operand its rules for derivatives."""
    primitive.jvp = lambda p, t, **params: (primitive.bind(p[0], **params), primitive.bind(t[0], **params))
    primitive.direct = eager.linear_unary(primitive)
    termwise(primitive)


# ---------------------------------------------------------------- constant

constant_p = Primitive("constant")
constant_p.__doc__ = "An array that a transformation put into a jaxpr; programs keep it as an argument of their own."
constant_p.impl = lambda *, value: wrap(value.value)
constant_p.abstract_eval = lambda *, value: aval_of(value.value).strong()


def constant(value: Any) -> Any:
    """A plain array as an equation of its own in a staged function."""
    return constant_p.create(value=Constant(value))


# ---------------------------------------------------------------- broadcast_in_dim


def broadcast_in_dim(
    operand: Any, shape: Shape, broadcast_dimensions: Sequence[int], *, out_sharding: None = None
) -> Any:
    """`operand` with its axis `i` as axis `broadcast_dimensions[i]` of an array of `shape`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.broadcast_in_dim(np.arange(2), (2, 3), (0,))
    Array([[0, 0, 0],
           [1, 1, 1]])
    """
    refuse_placement("broadcast_in_dim", out_sharding=out_sharding)
    shape = tuple(map(operator.index, shape))
    dims = tuple(map(operator.index, broadcast_dimensions))
    if aval_of(operand).shape == shape and dims == tuple(range(len(shape))):
        return operand
    return broadcast_in_dim_p.bind(operand, shape=shape, broadcast_dimensions=dims)


def broadcast_to(operand: Any, shape: Shape) -> Any:
    """`operand` broadcast to `shape` by NumPy's rule: aligned at the last axis.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.broadcast_to(np.array([1, 2]), (2, 2))
    Array([[1, 2],
           [1, 2]])
    """
    return broadcast_in_dim(operand, shape, range(len(shape) - aval_of(operand).ndim, len(shape)))


def _aligned(x: Any, shape: Shape, dims: Sequence[int]) -> Any:
    """Reshape so that NumPy's own broadcasting puts axis i at dims[i]."""
    sizes = [1] * len(shape)
    for d, n in zip(dims, np.shape(x)):
        sizes[d] = n
    return np.reshape(x, sizes)


def spread(x: Any, shape: Shape, dims: Sequence[int]) -> np.ndarray:
    """What `broadcast_in_dim` gives of a plain array, without a copy: NumPy's array, not to be written to."""
    x = np.asarray(x)
    if x.dtype.kind not in "biufc" or not x.size or not x.flags.c_contiguous or 0 in shape:
        return np.broadcast_to(_aligned(x, shape, dims), shape)
    strides = [0] * len(shape)  # in a tenth of the time of `broadcast_to`
    for d, n, step in zip(dims, x.shape, x.strides):
        if n != 1:
            if n != shape[d]:
                raise ValueError(f"an axis of size {n} for one of size {shape[d]}")
            strides[d] = step
    out = np.ndarray(shape, x.dtype, x, 0, strides)
    out.flags.writeable = False
    return out


def _broadcast_impl(x: Any, *, shape: Shape, broadcast_dimensions: tuple[int, ...]) -> Any:
    return wrap(spread(x, shape, broadcast_dimensions))


def _broadcast_abstract(x: ShapedArray, *, shape: Shape, broadcast_dimensions: tuple[int, ...]) -> ShapedArray:
    fits = (
        len(broadcast_dimensions) == x.ndim
        and all(a < b for a, b in zip(broadcast_dimensions, broadcast_dimensions[1:]))
        and all(0 <= d < len(shape) and n in (1, shape[d]) for d, n in zip(broadcast_dimensions, x.shape))
    )
    if not fits:
        raise ShapeError(
            f"cannot broadcast shape {x.shape} to {shape}: each axis must have the size of its place there, or size 1"
        )
    return x.with_shape(shape)


def _broadcast_transpose(ct: Any, x: Any, *, shape: Shape, broadcast_dimensions: tuple[int, ...]) -> list[Any]:
    sizes = x.aval.shape
    summed = [d for d in range(len(shape)) if d not in broadcast_dimensions]
    summed += [d for d, n in zip(broadcast_dimensions, sizes) if n == 1 and shape[d] != 1]
    ct = reduce_sum_p.bind(ct, axes=tuple(sorted(summed))) if summed else ct
    return [_reshape(ct, sizes)]


def _broadcast_batch(
    axis: Axis, args: list[Any], dims: list[int], *, shape: Shape, broadcast_dimensions: tuple[int, ...]
) -> tuple[Any, int]:
    (x,), (d,) = args, dims
    order = [0 if i == d else 1 + broadcast_dimensions[i - (i > d)] for i in range(aval_of(x).ndim)]
    if d != 0:  # keep the dimensions increasing: the batch axis goes in front
        from functrans.transforms.batching import move_axis

        x = move_axis(x, d, 0)
        order = [0, *(1 + b for b in broadcast_dimensions)]
    return broadcast_in_dim_p.bind(x, shape=(axis.size, *shape), broadcast_dimensions=tuple(order)), 0


def _broadcast_lower(k: Any, idx: Any, x: Any, *, shape: Shape, broadcast_dimensions: tuple[int, ...]) -> Any:
    return x.at(*[idx[d] if n != 1 else k.size(0) for d, n in zip(broadcast_dimensions, x.aval.shape)])


broadcast_in_dim_p = Primitive("broadcast_in_dim")
broadcast_in_dim_p.impl = _broadcast_impl
broadcast_in_dim_p.abstract_eval = _broadcast_abstract
linear_unary(broadcast_in_dim_p)
broadcast_in_dim_p.transpose = _broadcast_transpose
broadcast_in_dim_p.batch = _broadcast_batch
broadcast_in_dim_p.lower = _broadcast_lower

# ---------------------------------------------------------------- reduce_sum


def _reduced(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _sum_abstract(x: ShapedArray, *, axes: tuple[int, ...]) -> ShapedArray:
    return ShapedArray(_reduced(x.shape, axes), x.dtype)


def _sum_transpose(ct: Any, x: Any, *, axes: tuple[int, ...]) -> list[Any]:
    shape = x.aval.shape
    kept = () if len(axes) == len(shape) else tuple(i for i in range(len(shape)) if i not in axes)
    return [broadcast_in_dim_p.bind(ct, shape=shape, broadcast_dimensions=kept)]


def batch_reduction(primitive: Primitive) -> Any:
    """The batching rule of every reduction over `axes`."""

    def batch(axis: Axis, args: list[Any], dims: list[int], *, axes: tuple[int, ...], **params: Any) -> Any:
        (x,), (d,) = args, dims
        moved = tuple(a + (a >= d) for a in axes)
        return primitive.bind(x, axes=moved, **params), d - sum(a < d for a in moved)

    return batch


def _sum_impl(x: Any, *, axes: Sequence[int]) -> Any:
    x = native(x)
    dtype = x.dtype
    if dtype.char in "fd":
        return wrap(np.add.reduce(x, axis=axes))
    wide = np.float32 if dtype == bfloat16 else dtype
    return wrap(np.add.reduce(x, axis=axes, dtype=wide).astype(dtype, copy=False))


reduce_sum_p = Primitive("reduce_sum")
reduce_sum_p.impl = _sum_impl
reduce_sum_p.abstract_eval = _sum_abstract
linear_unary(reduce_sum_p)
reduce_sum_p.transpose = _sum_transpose
reduce_sum_p.batch = batch_reduction(reduce_sum_p)
reduce_sum_p.reduction = Reduction("add", lambda dtype: dtype.type(0))


def _reshape(x: Any, shape: Shape) -> Any:
    return x if aval_of(x).shape == shape else lookup("reshape").bind(x, new_sizes=shape)


# ---------------------------------------------------------------- full and iota


def full(shape: Shape | int, fill_value: Any, dtype: Any = None, *, sharding: None = None) -> Any:
    """An array of `shape` filled with a scalar.

    >>> import functrans.lax as lax
    >>> lax.full((2,), 7.0)
    Array([7., 7.])
    """
    refuse_placement("full", sharding=sharding)
    shape = canonical_shape(shape)
    aval = aval_of(fill_value)
    if aval.shape != ():
        raise ShapeError(f"fill_value must be a scalar, got an array of shape {aval.shape}")
    dtype = aval.dtype if dtype is None else np.dtype(dtype)
    if aval.dtype != dtype or aval.weak:
        from functrans.lax.conversion import convert_element_type

        fill_value = convert_element_type(fill_value, dtype)
    out = broadcast_in_dim_p.create(fill_value, shape=shape, broadcast_dimensions=())
    return wrap(out.copy()) if isinstance(out, np.ndarray) and not out.flags.writeable else out


def iota(dtype: Any, size: int) -> Any:
    """`0, 1, ..., size - 1` as a vector.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.iota(np.float32, 3)
    Array([0., 1., 2.], dtype=float32)
    """
    return broadcasted_iota(dtype, (operator.index(size),), 0)


def broadcasted_iota(dtype: Any, shape: Shape, dimension: int, *, out_sharding: None = None) -> Any:
    """An array of `shape` that counts along one axis.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.broadcasted_iota(np.int64, (2, 3), 1)
    Array([[0, 1, 2],
           [0, 1, 2]])
    """
    refuse_placement("broadcasted_iota", out_sharding=out_sharding)
    return iota_p.create(dtype=np.dtype(dtype), shape=canonical_shape(shape), dimension=operator.index(dimension))


def canonical_shape(shape: Any) -> Shape:
    """A shape as a tuple of ints; an int is a shape of one axis."""
    try:
        sizes = (operator.index(shape),) if not isinstance(shape, (tuple, list, np.ndarray)) else shape
        sizes = tuple(operator.index(n) for n in sizes)
    except TypeError as error:
        from functrans.errors import FunctransError

        if isinstance(error, FunctransError):
            raise
        raise DTypeError(f"a shape must be an integer or a tuple of integers, got {shape!r}") from None
    if any(n < 0 for n in sizes):
        raise ShapeError(f"negative dimensions are not allowed: {sizes}")
    return sizes


def _iota_impl(*, dtype: np.dtype, shape: Shape, dimension: int) -> Any:
    counting = np.arange(shape[dimension]).astype(dtype)
    return wrap(np.ascontiguousarray(np.broadcast_to(_aligned(counting, shape, (dimension,)), shape)))


iota_p = Primitive("iota")
iota_p.impl = _iota_impl
iota_p.abstract_eval = lambda *, dtype, shape, dimension: ShapedArray(shape, dtype)
iota_p.lower = lambda k, idx, *, dtype, shape, dimension: k.convert(idx[dimension], dtype)

__all__ = [
    "broadcast_in_dim",
    "broadcast_to",
    "broadcasted_iota",
    "canonical_shape",
    "constant",
    "full",
    "iota",
    "is_linear",
    "unbroadcast",
]
