"""Changing shapes, joining, splitting, rearranging (NumPy's reference: Array manipulation routines)."""

from __future__ import annotations

import builtins
import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, ShapeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.promotion import broadcast_shapes as _common_shape, to_common_dtype
from functrans.lax.subscript import getitem
from functrans.numpy.dispatch import (
    check_order,
    dtype_of,
    implements,
    known,
    normalize_axes,
    normalize_axis,
    operand,
    reduced_axes,
    shape_of,
    unsupported,
)

# ---------------------------------------------------------------- shape


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.reshape(fnp.arange(4), (2, -1))
    Array([[0, 1],
           [2, 3]])
    """
    a = operand("reshape", a)
    sizes = shape if shape is not None else newshape
    sizes = tuple(operator.index(n) for n in (sizes if isinstance(sizes, (tuple, list, np.ndarray)) else (sizes,)))
    size = aval_of(a).size
    if sizes.count(-1) > 1:
        raise ShapeError("reshape: only one unknown dimension (-1) can be given")
    if -1 in sizes:
        known = 1
        for n in sizes:
            known *= n if n != -1 else 1
        if known == 0 or size % known:
            raise ShapeError(f"cannot reshape an array of shape {shape_of(a)} ({size} elements) into shape {sizes}")
        sizes = tuple(size // known if n == -1 else n for n in sizes)
    if order == "F":
        reverse = tuple(range(len(sizes) - 1, -1, -1))
        return lax.transpose(lax.reshape(transpose(a), sizes[::-1]), reverse)
    if order not in ("C", "A"):
        unsupported("reshape", order=order)
    return lax.reshape(a, sizes)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.ravel([[1, 2], [3, 4]])
    Array([1, 2, 3, 4])
    """
    check_order("ravel", order)
    return reshape(a, (-1,) if aval_of(a).size else (0,), order=order if order == "F" else "C")


@implements(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """
    Also called `permute_dims`.

    >>> import functrans.numpy as fnp
    >>> fnp.transpose(fnp.ones((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    a = operand("transpose", a)
    n = len(shape_of(a))
    if axes is None:
        return lax.transpose(a, tuple(range(n - 1, -1, -1)))
    if len(axes) != n:
        raise ShapeError(f"transpose: {len(axes)} axes given for an array of {n}")
    return lax.transpose(a, [normalize_axis(i, n) for i in axes])


permute_dims = transpose


@implements(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.matrix_transpose([[1, 2], [3, 4]])
    Array([[1, 3],
           [2, 4]])
    """
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.swapaxes(fnp.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    a = operand("swapaxes", a)
    n = len(shape_of(a))
    order = list(range(n))
    i, j = normalize_axis(axis1, n), normalize_axis(axis2, n)
    order[i], order[j] = order[j], order[i]
    return lax.transpose(a, order)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.moveaxis(fnp.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    a = operand("moveaxis", a)
    n = len(shape_of(a))
    sources = [normalize_axis(i, n) for i in (source if isinstance(source, (tuple, list)) else (source,))]
    targets = [
        normalize_axis(i, n) for i in (destination if isinstance(destination, (tuple, list)) else (destination,))
    ]
    if len(sources) != len(targets):
        raise ShapeError("moveaxis: source and destination must have the same number of axes")
    order = [i for i in range(n) if i not in sources]
    for target, axis in sorted(zip(targets, sources)):
        order.insert(target, axis)
    return lax.transpose(a, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.rollaxis(fnp.ones((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    n = len(shape_of(a))
    axis, start = normalize_axis(axis, n), start + n if start < 0 else start
    return moveaxis(a, axis, start - 1 if start > axis else start)


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.squeeze([[[1, 2]]])
    Array([1, 2])
    """
    a = operand("squeeze", a)
    shape = shape_of(a)
    axes = [i for i, n in enumerate(shape) if n == 1] if axis is None else reduced_axes(axis, len(shape))
    return lax.squeeze(a, axes)


@implements(np.expand_dims, eager=lambda a, axis=0: np.expand_dims(a, axis))
def expand_dims(a: Any, axis: Any = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.expand_dims([1, 2], 0)
    Array([[1, 2]])
    """
    a = operand("expand_dims", a)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return lax.expand_dims(a, normalize_axes(axes, len(shape_of(a)) + len(axes)))


def _at_least(n: int, name: str, arrays: tuple[Any, ...], place: Any) -> Any:
    out = []
    for a in arrays:
        a = operand(name, a)
        shape = shape_of(a)
        out.append(a if len(shape) >= n else lax.reshape(a, place(shape)))
    return out[0] if len(out) == 1 else tuple(out)


@implements(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.atleast_1d(5)
    Array([5])
    """
    return _at_least(1, "atleast_1d", arys, lambda s: (1,))


@implements(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.atleast_2d([1, 2])
    Array([[1, 2]])
    """
    return _at_least(2, "atleast_2d", arys, lambda s: (1, *s) if s else (1, 1))


@implements(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.atleast_3d([1, 2]).shape
    (1, 2, 1)
    """
    return _at_least(3, "atleast_3d", arys, lambda s: {0: (1, 1, 1), 1: (1, *s, 1), 2: (*s, 1)}[len(s)])


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.broadcast_to([1, 2], (2, 2))
    Array([[1, 2],
           [1, 2]])
    """
    array = operand("broadcast_to", array)
    shape = canonical_shape(shape)
    own = shape_of(array)
    if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own[::-1], shape[::-1])):
        raise ShapeError(f"cannot broadcast an array of shape {own} to shape {shape}")
    return lax.broadcast_to(array, shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.broadcast_arrays([1, 2], [[3], [4]])[1]
    Array([[3, 3],
           [4, 4]])
    """
    arrays = [operand("broadcast_arrays", a) for a in args]
    shape = _common_shape("broadcast_arrays", [shape_of(a) for a in arrays])
    return tuple(lax.broadcast_to(a, shape) for a in arrays)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast, as `numpy.broadcast_shapes`.

    >>> import functrans.numpy as fnp
    >>> fnp.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return np.broadcast_shapes(*shapes)


# ---------------------------------------------------------------- joining


def _sequence(name: str, arrays: Any) -> list[Any]:
    if isinstance(arrays, (Tracer, np.ndarray, np.generic)) and not shape_of(arrays):
        raise DTypeError(f"{name} takes a sequence of arrays, got an array without axes")
    if isinstance(arrays, Tracer):
        out = [getitem(arrays, i) for i in range(shape_of(arrays)[0])]
    else:
        out = [operand(name, a) for a in arrays]
    if not out:
        raise ShapeError(f"{name} needs at least one array")
    return to_common_dtype(name, out)


def _check_casting(name: str, arrays: Any, dtype: Any, casting: Any) -> None:
    if dtype is None:
        return
    for a in arrays if not isinstance(arrays, Tracer) else [arrays]:
        own = dtype_of(operand(name, a))
        if not np.can_cast(own, dtype, casting):
            rule = casting
            raise DTypeError(f"{name}: {own} cannot be cast to {np.dtype(dtype)} by the rule {rule!r}")


@implements(np.concatenate)
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    """
    Also called `concat`.

    >>> import functrans.numpy as fnp
    >>> fnp.concatenate([[1, 2], [3]])
    Array([1, 2, 3])
    """
    unsupported("concatenate", out=out)
    _check_casting("concatenate", arrays, dtype, casting)
    parts = _sequence("concatenate", arrays)
    if axis is None:
        parts, axis = [ravel(a) for a in parts], 0
    if not shape_of(parts[0]):
        raise ShapeError("concatenate: arrays without axes cannot be joined; use stack")
    joined = lax.concatenate(parts, normalize_axis(axis, len(shape_of(parts[0]))))
    return joined if dtype is None else lax.convert_element_type(joined, dtype)


concat = concatenate


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.stack([[1, 2], [3, 4]], axis=1)
    Array([[1, 3],
           [2, 4]])
    """
    unsupported("stack", out=out)
    _check_casting("stack", arrays, dtype, casting)
    parts = _sequence("stack", arrays)
    shapes = {shape_of(a) for a in parts}
    if len(shapes) > 1:
        raise ShapeError(f"stack: all arrays must have one shape, they have {sorted(shapes)}")
    axis = normalize_axis(axis, len(shape_of(parts[0])) + 1)
    joined = lax.concatenate([lax.expand_dims(a, (axis,)) for a in parts], axis)
    return joined if dtype is None else lax.convert_element_type(joined, dtype)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.vstack([[1, 2], [3, 4]])
    Array([[1, 2],
           [3, 4]])
    """
    return concatenate([atleast_2d(a) for a in _sequence("vstack", tup)], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.hstack([[1, 2], [3]])
    Array([1, 2, 3])
    """
    parts = [atleast_1d(a) for a in _sequence("hstack", tup)]
    return concatenate(parts, 0 if len(shape_of(parts[0])) == 1 else 1, dtype=dtype, casting=casting)


@implements(np.dstack, "dtype")
def dstack(tup: Any, *, dtype: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.dstack([[1, 2], [3, 4]]).shape
    (1, 2, 2)
    """
    return concatenate([atleast_3d(a) for a in _sequence("dstack", tup)], 2, dtype=dtype)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.column_stack([[1, 2], [3, 4]])
    Array([[1, 3],
           [2, 4]])
    """
    parts = []
    for a in _sequence("column_stack", tup):
        a = atleast_1d(a)
        parts.append(lax.reshape(a, (shape_of(a)[0], 1)) if len(shape_of(a)) == 1 else a)
    return concatenate(parts, 1)


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.append([1, 2], [3, 4])
    Array([1, 2, 3, 4])
    """
    if axis is None:
        return concatenate([ravel(operand("append", arr)), ravel(operand("append", values))])
    return concatenate([arr, values], axis)


@implements(np.block)
def block(arrays: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.block([[fnp.ones((1, 2)), fnp.zeros((1, 1))]])
    Array([[1., 1., 0.]])
    """

    def depth(x: Any) -> int:
        return 1 + depth(x[0]) if isinstance(x, list) else 0

    n = depth(arrays)
    ndim = builtins.max([n, *(len(shape_of(operand("block", a))) for a in _leaves(arrays))])

    def join(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            x = operand("block", x)
            return lax.reshape(x, (*[1] * (ndim - len(shape_of(x))), *shape_of(x)))
        return concatenate([join(v, level + 1) for v in x], ndim - n + level)

    return join(arrays, 0)


def _leaves(x: Any) -> list[Any]:
    return [leaf for v in x for leaf in _leaves(v)] if isinstance(x, list) else [x]


# ---------------------------------------------------------------- splitting


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.array_split([1, 2, 3], 2)
    [Array([1, 2]), Array([3])]
    """
    ary = operand("array_split", ary)
    axis = normalize_axis(axis, len(shape_of(ary)))
    n = shape_of(ary)[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ArgumentError(f"array_split: the number of sections must be larger than 0, got {sections}")
        each, extra = divmod(n, sections)
        ends = np.cumsum([0] + [each + 1] * extra + [each] * (sections - extra)).tolist()
    else:
        ends = [0, *[int(i) for i in indices_or_sections], n]
    return [lax.slice_in_dim(ary, a, b if i < len(ends) - 2 else n, axis=axis)
            for i, (a, b) in enumerate(zip(ends, ends[1:]))]  # fmt: skip


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.split(fnp.arange(4), 2)
    [Array([0, 1]), Array([2, 3])]
    """
    ary = operand("split", ary)
    if isinstance(indices_or_sections, (int, np.integer)):
        n = shape_of(ary)[normalize_axis(axis, len(shape_of(ary)))]
        if indices_or_sections <= 0:
            raise ArgumentError(f"split: the number of sections must be larger than 0, got {indices_or_sections}")
        if n % indices_or_sections:
            raise ShapeError(f"split: an axis of size {n} cannot be split into {indices_or_sections} equal parts")
    return array_split(ary, indices_or_sections, axis)


@implements(np.hsplit)
def hsplit(ary: Any, indices_or_sections: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.hsplit(fnp.arange(4), 2)
    [Array([0, 1]), Array([2, 3])]
    """
    return split(_of_rank("hsplit", ary, 1), indices_or_sections, 1 if len(shape_of(ary)) > 1 else 0)


@implements(np.vsplit)
def vsplit(ary: Any, indices_or_sections: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.vsplit(fnp.eye(2), 2)
    [Array([[1., 0.]]), Array([[0., 1.]])]
    """
    return split(_of_rank("vsplit", ary, 2), indices_or_sections, 0)


@implements(np.dsplit)
def dsplit(ary: Any, indices_or_sections: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> [part.shape for part in fnp.dsplit(fnp.ones((1, 2, 4)), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    return split(_of_rank("dsplit", ary, 3), indices_or_sections, 2)


def _of_rank(name: str, a: Any, least: int) -> Any:
    a = operand(name, a)
    if len(shape_of(a)) < least:
        raise ShapeError(f"{name} takes an array with at least {least} axes, got shape {shape_of(a)}")
    return a


@implements(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.unstack(fnp.array([[1, 2], [3, 4]]))
    (Array([1, 2]), Array([3, 4]))
    """
    x = moveaxis(x, axis, 0)
    return tuple(getitem(x, i) for i in range(shape_of(x)[0]))


# ---------------------------------------------------------------- tiling and rearranging


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.tile([1, 2], 2)
    Array([1, 2, 1, 2])
    """
    a = operand("tile", A)
    counts = tuple(reps) if isinstance(reps, (tuple, list)) else (reps,)
    n = builtins.max(len(counts), len(shape_of(a)))
    counts = (1,) * (n - len(counts)) + tuple(map(operator.index, counts))
    shape = (1,) * (n - len(shape_of(a))) + shape_of(a)
    spread = lax.broadcast_in_dim(
        lax.reshape(a, shape), tuple(m for c, s in zip(counts, shape) for m in (c, s)), range(1, 2 * n, 2)
    )
    return lax.reshape(spread, tuple(c * s for c, s in zip(counts, shape)))


@implements(np.repeat, "total_repeat_length")
def repeat(a: Any, repeats: Any, axis: Any = None, *, total_repeat_length: int | None = None) -> Any:
    """
    Args:
        total_repeat_length: the size of the result along the axis, needed where `repeats` is traced: what is beyond is
            cut off, what lacks is filled with the last element.

    >>> import functrans.numpy as fnp
    >>> fnp.repeat([1, 2], 2)
    Array([1, 1, 2, 2])
    """
    a, repeats = operand("repeat", a), operand("repeat", repeats)
    if axis is None or (not shape_of(a) and axis in (0, -1)):
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    shape = shape_of(a)
    n = shape[axis]
    if dtype_of(repeats).kind not in "biu":
        raise DTypeError(f"repeat: repeats must be integers, got {aval_of(repeats)}")
    if shape_of(repeats) not in ((), (1,), (n,)):
        raise ShapeError(f"repeat: repeats of shape {shape_of(repeats)} for an axis of size {n}")
    values = known(repeats)
    if values is not None:
        if (values < 0).any():
            raise ArgumentError("repeat: repeats may not contain negative values")
        if values.size == 1 and total_repeat_length is None:
            count = int(values.reshape(()))
            kept = [i for i in range(len(shape) + 1) if i != axis + 1]
            spread = lax.broadcast_in_dim(a, (*shape[: axis + 1], count, *shape[axis + 1 :]), kept)
            return lax.reshape(spread, (*shape[:axis], n * count, *shape[axis + 1 :]))
        places: Any = np.repeat(np.arange(n), np.broadcast_to(values, (n,)))
        if total_repeat_length is not None:
            extra = builtins.max(total_repeat_length - places.size, 0)
            places = np.concatenate([places, np.full(extra, n - 1)])[:total_repeat_length]
    elif total_repeat_length is None:
        raise ConcretizationError(
            "repeat with traced repeats has a shape that depends on values: give the size of the result as "
            "functrans.numpy.repeat(x, repeats, total_repeat_length=n), or call it outside the traced function"
        )
    else:
        ends = lax.cumsum(lax.convert_element_type(broadcast_to(repeats, (n,)), np.int64), 0)
        counting = lax.iota(np.int64, operator.index(total_repeat_length))
        after = lax.le(lax.reshape(ends, (1, n)), lax.reshape(counting, (shape_of(counting)[0], 1)))
        places = lax.reduce_sum(lax.convert_element_type(after, np.int64), (1,))
        places = lax.clamp(np.int64(0), places, np.int64(n - 1))
    return moveaxis(lax.gather(a, [places], [axis]), 0, axis)


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.flip([1, 2, 3])
    Array([3, 2, 1])
    """
    m = operand("flip", m)
    return lax.rev(m, normalize_axes(axis, len(shape_of(m))))


@implements(np.flipud)
def flipud(m: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.flipud([[1, 2], [3, 4]])
    Array([[3, 4],
           [1, 2]])
    """
    return flip(m, 0)


@implements(np.fliplr)
def fliplr(m: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fliplr([[1, 2], [3, 4]])
    Array([[2, 1],
           [4, 3]])
    """
    return flip(m, 1)


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.rot90([[1, 2], [3, 4]])
    Array([[2, 4],
           [1, 3]])
    """
    if len(axes) != 2:
        raise ArgumentError(f"rot90 takes two axes, got {axes}")
    m = operand("rot90", m)
    a, b = (normalize_axis(i, len(shape_of(m))) for i in axes)
    if a == b:
        raise ArgumentError(f"rot90: the axes must be different, got {axes}")
    k %= 4
    if k == 0:
        return operand("rot90", m)
    if k == 2:
        return flip(flip(m, a), b)
    return swapaxes(flip(m, b), a, b) if k == 1 else flip(swapaxes(m, a, b), b)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.roll([1, 2, 3], 1)
    Array([3, 1, 2])
    """
    a = operand("roll", a)
    if axis is None:
        return lax.reshape(roll(ravel(a), shift, 0), shape_of(a))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    axes = axes * len(shifts) if len(axes) == 1 else axes
    for s, i in zip(shifts, axes):
        i = normalize_axis(i, len(shape_of(a)))
        n = shape_of(a)[i]
        if not n:
            continue
        if isinstance(s, Tracer):
            places = (lax.iota(np.int64, n) - s) % n
            a = moveaxis(lax.gather(a, [places], [i], mode="promise_in_bounds"), 0, i)
            continue
        s = operator.index(s) % n
        if s:
            a = lax.concatenate([lax.slice_in_dim(a, n - s, n, axis=i), lax.slice_in_dim(a, 0, n - s, axis=i)], i)
    return a


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.resize([1, 2, 3], (2, 2))
    Array([[1, 2],
           [3, 1]])
    """
    a, shape = ravel(operand("resize", a)), canonical_shape(new_shape)
    size, own = int(np.prod(shape, dtype=np.int64)), aval_of(a).size
    if not own or not size:
        return lax.full(shape, 0, dtype_of(a))
    return lax.reshape(lax.slice_in_dim(tile(a, -(-size // own)), 0, size), shape)


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Of a traced array it needs values, so it works under `grad` but not under `jit`.

    >>> import functrans.numpy as fnp
    >>> fnp.trim_zeros([0, 0, 1, 2, 0])
    [1, 2]
    """
    filt = operand("trim_zeros", filt)
    sides = trim.lower()
    if sides not in ("fb", "bf", "f", "b"):
        raise ArgumentError(f"trim_zeros: unexpected character(s) in `trim`: {trim!r}")
    values = known(filt)
    if values is None:
        raise ConcretizationError(
            "trim_zeros of a traced array has a shape that depends on values: call it outside the traced function.\n"
            f"The array is {filt.describe()}"
        )
    axes = normalize_axes(axis, values.ndim)
    places = np.argwhere(values)
    index: list[Any] = [slice(None)] * values.ndim
    for i in axes:
        first = (int(places[:, i].min()) if "f" in sides else 0) if len(places) else 0
        last = (int(places[:, i].max()) + 1 if "b" in sides else values.shape[i]) if len(places) else 0
        index[i] = slice(first, last)
    return getitem(filt, tuple(index))
