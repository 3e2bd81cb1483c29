"""Arrays from arrays, in the words of `jax.lax`: functions composed of the structural primitives."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import aval_of, is_array_like, is_inexact
from functrans.core.placement import refuse_placement
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.broadcasting import broadcast_in_dim, broadcast_to, canonical_shape, full
from functrans.lax.conversion import convert_element_type, optimization_barrier_p, stop_gradient_p
from functrans.lax.elementwise import le, select_n as choose
from functrans.lax.promotion import as_operand, to_common_dtype
from functrans.lax.structural import canonical_axis, concatenate, expand_dims, reshape, slice_in_dim, squeeze

# ---------------------------------------------------------------- broadcasting


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: None = None) -> Any:
    """`operand` repeated along new axes in front, of these sizes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.broadcast(np.arange(2), (3,)).shape
    (3, 2)
    """
    refuse_placement("broadcast", out_sharding=out_sharding)
    operand = as_operand("broadcast", operand)
    return broadcast_to(operand, (*canonical_shape(sizes), *aval_of(operand).shape))


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast together.

    >>> import functrans.lax as lax
    >>> lax.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    try:
        return tuple(np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError:
        raise ShapeError(
            f"shapes {' and '.join(map(str, map(tuple, shapes)))} cannot be broadcast together: aligned at the last "
            "axis, sizes must be equal or 1"
        ) from None


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """`x` with axes of size one in front, so that it has `rank` axes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.broadcast_to_rank(np.arange(2), 3).shape
    (1, 1, 2)
    """
    x = as_operand("broadcast_to_rank", x)
    missing = operator.index(rank) - aval_of(x).ndim
    if missing < 0:
        raise ShapeError(f"broadcast_to_rank: shape {aval_of(x).shape} has more than {rank} axes")
    return expand_dims(x, range(missing))


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """`arr` broadcast to the shape of another array, by NumPy's rules.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.broadcast_like(np.arange(2), np.zeros((2, 2)))
    Array([[0, 1],
           [0, 1]])
    """
    return broadcast_to(as_operand("broadcast_like", arr), aval_of(like_arr).shape)


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Any = None, sharding: None = None) -> Any:
    """An array of one value, of the shape and dtype of another, or of those given.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.full_like(np.zeros((1, 2)), 7)
    Array([[7., 7.]])
    """
    refuse_placement("full_like", sharding=sharding)
    aval = aval_of(x)
    return full(
        aval.shape if shape is None else canonical_shape(shape), fill_value, aval.dtype if dtype is None else dtype
    )


def empty(shape: Any, dtype: Any, *, out_sharding: None = None) -> Any:
    """An array of this shape and dtype, whose values are not defined (they are zeros).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.empty((2, 3), np.float32).shape
    (2, 3)
    """
    refuse_placement("empty", out_sharding=out_sharding)
    return full(canonical_shape(shape), 0, dtype)


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """`operand` repeated as often along each of its axes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.tile(np.arange(2), (3,))
    Array([0, 1, 0, 1, 0, 1])
    """
    operand = as_operand("tile", operand)
    shape, counts = aval_of(operand).shape, canonical_shape(reps)
    if len(counts) != len(shape):
        raise ShapeError(f"lax.tile needs a number for each axis of shape {shape}, got {counts}; np.tile adds axes")
    wide = broadcast_in_dim(operand, tuple(n for pair in zip(counts, shape) for n in pair), range(1, 2 * len(shape), 2))
    return reshape(wide, tuple(c * n for c, n in zip(counts, shape)))


# ---------------------------------------------------------------- axes


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """`operand` with the axes from one up to another as a single axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.collapse(np.zeros((2, 3, 4)), 0, 2).shape
    (6, 4)
    """
    operand = as_operand("collapse", operand)
    shape = aval_of(operand).shape
    first, last, _ = slice(start_dimension, stop_dimension).indices(len(shape))
    if last < first:
        raise ShapeError(f"collapse: axes {start_dimension} to {stop_dimension} of shape {shape} are in wrong order")
    return reshape(operand, (*shape[:first], math.prod(shape[first:last]), *shape[last:]))


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Parts of `operand` along an axis, of these sizes, which make up its size.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.split(np.arange(5), (2, 3))
    [Array([0, 1]), Array([2, 3, 4])]
    """
    operand = as_operand("split", operand)
    axis = canonical_axis(axis, aval_of(operand).ndim)
    parts = canonical_shape(sizes)
    if sum(parts) != aval_of(operand).shape[axis]:
        raise ShapeError(f"split: sizes {parts} do not make up axis {axis} of shape {aval_of(operand).shape}")
    out, start = [], 0
    for n in parts:
        out.append(slice_in_dim(operand, start, start + n, axis=axis))
        start += n
    return out


def stack(operands: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape along a new axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.stack([np.zeros(2), np.ones(2)], 1)
    Array([[0., 1.],
           [0., 1.]])
    """
    operands = [as_operand("stack", x) for x in operands]
    if not operands:
        raise ArgumentError("stack needs an array at least")
    place = canonical_axis(axis, aval_of(operands[0]).ndim + 1)
    return concatenate([expand_dims(x, (place,)) for x in operands], place)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices of an array along an axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.unstack(np.array([[1, 2], [3, 4]]))
    (Array([1, 2]), Array([3, 4]))
    """
    operand = as_operand("unstack", x)
    axis = canonical_axis(axis, aval_of(operand).ndim)
    n = aval_of(operand).shape[axis]
    return tuple(squeeze(slice_in_dim(operand, i, i + 1, axis=axis), (axis,)) for i in range(n))


def select_n(which: Any, *cases: Any) -> Any:
    """For each element the case that `which` numbers.

    Args:
        which: booleans for two cases (the first where false), or integers, which are clamped to the cases; a scalar, or
            of the cases' shape.
        cases: arrays of one shape and dtype.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.select_n(np.array([2, 0, 1]), np.zeros(3), np.ones(3), np.full(3, 2.0))
    Array([2., 0., 1.])
    """
    which, *values = (as_operand("select_n", x) for x in (which, *cases))
    if not values:
        raise ArgumentError("select_n needs a case at least")
    shapes, kind = [aval_of(v).shape for v in values], aval_of(which).dtype.kind
    if any(s != shapes[0] for s in shapes) or aval_of(which).shape not in ((), shapes[0]):
        raise ShapeError(
            f"select_n takes cases of one shape, and a selector of that shape or a scalar; got a selector of shape "
            f"{aval_of(which).shape} and cases of shapes {shapes}"
        )
    if kind not in "biu" or (kind == "b" and len(values) > 2):
        raise DTypeError(f"select_n takes booleans for two cases, integers for any number; got {aval_of(which)}")
    values = to_common_dtype("select_n", values)
    if kind == "b":
        return values[0] if len(values) == 1 else choose.bind(which, *values)
    out = values[-1]
    for number in range(len(values) - 2, -1, -1):
        out = choose.bind(le(which, number), out, values[number])
    return out


# ---------------------------------------------------------------- identities and names


def stop_gradient(x: Any) -> Any:
    """`x`, or a pytree, which derivatives take for a constant.

    >>> import functrans as ft
    >>> ft.grad(lambda x: x * ft.lax.stop_gradient(x))(3.0)
    Array(3.)
    """
    leaves, tree = flatten(x)
    return unflatten(
        tree, [stop_gradient_p.bind(v) if is_array_like(v) and is_inexact(aval_of(v).dtype) else v for v in leaves]
    )


def optimization_barrier(operand: Any) -> Any:
    """A pytree as it is, which the compiler does not look through: what was computed twice remains so.

    >>> import functrans.lax as lax
    >>> lax.optimization_barrier((1.0, 2.0))
    (Array(1.), Array(2.))
    """
    leaves, tree = flatten(operand)
    return unflatten(tree, [optimization_barrier_p.bind(as_operand("optimization_barrier", v)) for v in leaves])


def dtype(x: Any) -> np.dtype:
    """The dtype of an array, a number, or what can be made one.

    >>> import functrans.lax as lax
    >>> lax.dtype(1.0)
    dtype('float64')
    """
    return aval_of(x if is_array_like(x) else np.asarray(x)).dtype


def shape_as_value(shape: Sequence[int]) -> Any:
    """A shape as an array of int64.

    >>> import functrans.lax as lax
    >>> lax.shape_as_value((2, 3))
    Array([2, 3])
    """
    return convert_element_type(np.array(shape, np.int64), np.int64)


def platform_dependent(*args: Any, default: Callable[..., Any] | None = None, **per_platform: Any) -> Any:
    """The function for this platform, `cpu`, called with `args`; `default` where there is none.

    >>> import functrans.lax as lax
    >>> lax.platform_dependent(2.0, cpu=lambda x: x + 1, tpu=lambda x: x - 1)
    3.0
    """
    chosen = per_platform.get("cpu", default)
    if chosen is None:
        raise ArgumentError(f"platform_dependent: no function for cpu among {sorted(per_platform)}, and no default")
    return chosen(*args)


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """`decomposition`: names for groups of operations have no meaning here.

    >>> import functrans.lax as lax
    >>> lax.composite(lambda x: 2 * x, "my.double")(3.0)
    6.0
    """
    return decomposition


__all__ = [
    "broadcast", "broadcast_shapes", "broadcast_to_rank", "collapse", "composite", "dtype", "empty", "full_like",
    "optimization_barrier", "platform_dependent", "select_n", "shape_as_value", "split", "stack", "stop_gradient",
    "tile", "unstack",
]  # fmt: skip
