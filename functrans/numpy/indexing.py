"""Reading and writing by indices (NumPy's reference: Indexing routines)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import wrap
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, AxisError, DTypeError, IndexTypeError, ShapeError
from functrans.lax.indexing import take_along
from functrans.lax.subscript import from_front, getitem
from functrans.numpy.dispatch import (
    check_order,
    dtype_of,
    implements,
    known,
    named,
    normalize_axis,
    operand,
    shape_of,
    sized,
    unsupported,
)
from functrans.numpy.manipulation import broadcast_arrays, broadcast_to, moveaxis, ravel
from functrans.numpy.ufuncs import where


@implements(np.take, "unique_indices", "indices_are_sorted", "fill_value")
def take(
    a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise", unique_indices: bool = False,
    indices_are_sorted: bool = False, fill_value: Any = None,
) -> Any:  # fmt: skip
    """
    Args:
        mode: also `"fill"`: `fill_value` (NaN, or the smallest integer) where an index is out of bounds.
        unique_indices, indices_are_sorted: accepted for programs of JAX; nothing depends on them.

    >>> import functrans.numpy as fnp
    >>> fnp.take([5, 6, 7], [2, 0])
    Array([7, 5])
    """
    unsupported("take", out=out)
    a, indices = operand("take", a), operand("take", indices)
    if dtype_of(indices).kind not in "biu":
        raise DTypeError(f"take: indices must be integers, got {aval_of(indices)}")
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    mode = mode if fill_value is None else "fill"
    indices = lax.convert_element_type(indices, np.int64)
    if mode == "clip":  # here a negative index does not count from the end
        indices = lax.max(indices, 0)
    out_ = lax.gather(a, [indices], [axis], mode=mode, fill_value=fill_value)
    n = len(shape_of(indices))
    order = [*range(n, n + axis), *range(n), *range(n + axis, len(shape_of(out_)))]
    return lax.transpose(out_, order)


@implements(np.take_along_axis, "mode", "fill_value", "wrap_negative_indices")
def take_along_axis(
    arr: Any, indices: Any, axis: Any = -1, mode: Any = None, fill_value: Any = None, *,
    wrap_negative_indices: bool | None = None,
) -> Any:  # fmt: skip
    """
    Args:
        mode: what an index out of bounds does: `"raise"` (the default), `"clip"`, `"wrap"` or `"fill"`, which gives
            `fill_value`.
        wrap_negative_indices: `False` makes negative indices ones out of bounds; they count from the end by default.

    >>> import functrans.numpy as fnp
    >>> fnp.take_along_axis(fnp.array([[10, 30, 20]]), fnp.array([[1, 2]]), axis=1)
    Array([[30, 20]])
    """
    arr, indices = operand("take_along_axis", arr), operand("take_along_axis", indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    if len(shape_of(arr)) != len(shape_of(indices)):
        raise ShapeError(
            f"take_along_axis: indices of shape {shape_of(indices)} must have as many axes as the array of "
            f"shape {shape_of(arr)}"
        )
    if dtype_of(indices).kind not in "iu":
        raise IndexTypeError(f"take_along_axis: indices must be integers, got {aval_of(indices)}")
    mode = mode or ("raise" if fill_value is None else "fill")
    axis = normalize_axis(axis, len(shape_of(arr)))
    if wrap_negative_indices is False:
        indices = from_front(indices, shape_of(arr)[axis], mode)
    own, wanted = ([n for i, n in enumerate(shape_of(x)) if i != axis] for x in (arr, indices))
    try:
        rest = list(np.broadcast_shapes(tuple(own), tuple(wanted)))
    except ValueError:
        raise AxisError(
            f"take_along_axis: indices of shape {shape_of(indices)} do not fit an array of shape {shape_of(arr)}"
        ) from None
    arr, indices = (broadcast_to(x, (*rest[:axis], shape_of(x)[axis], *rest[axis:])) for x in (arr, indices))
    return take_along(arr, indices, axis, mode, fill_value)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.diagonal([[1, 2], [3, 4]])
    Array([1, 4])
    """
    a = operand("diagonal", a)
    n = len(shape_of(a))
    i, j = normalize_axis(axis1, n), normalize_axis(axis2, n)
    rows, columns = shape_of(a)[i], shape_of(a)[j]
    offset = operator.index(offset)
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    counting = lax.iota(np.int64, length)
    places = [counting - min(offset, 0), counting + max(offset, 0)]
    return moveaxis(lax.gather(a, places, [i, j], mode="promise_in_bounds"), 0, -1)


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.trace([[1, 2], [3, 4]])
    Array(5)
    """
    from functrans.numpy.reductions import sum

    return sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.nonzero, "size", "fill_value")
def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Any, ...]:
    """
    Args:
        size: how many to give, needed in traced functions; `fill_value` (0 by default; one for each axis, or one for
            all) stands for those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.nonzero(fnp.array([0, 3, 0, 4]), size=3)
    (Array([1, 3, 0]),)
    """
    a = operand("nonzero", a)
    if not shape_of(a):
        raise ShapeError("nonzero takes an array with at least one axis; use atleast_1d for a scalar")
    flat = ravel(lax.ne(a, 0))
    values = known(flat) if size is None else None
    n = int(np.count_nonzero(values)) if values is not None else sized("nonzero", a, size)
    count = lax.cumsum(lax.convert_element_type(flat, np.int64), 0)
    total = aval_of(flat).size
    blank = lax.full((n,), total, np.int64)
    target = where(flat, count - 1, n)
    places = lax.scatter("set", blank, lax.iota(np.int64, total), [target], [0], mode="drop")
    found = places < total
    fill_value = 0 if fill_value is None else fill_value
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * len(shape_of(a))
    if len(fills) != len(shape_of(a)):
        raise ArgumentError(f"nonzero: {len(fills)} fill values for an array of {len(shape_of(a))} axes")
    out, rest = [], places
    for m in reversed(shape_of(a)):
        out.append(rest % max(m, 1))
        rest = rest // max(m, 1)
    return tuple(where(found, i, lax.convert_element_type(f, np.int64)) for i, f in zip(reversed(out), fills))


@implements(np.flatnonzero, "size", "fill_value")
def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """`size` and `fill_value` are as for `nonzero`.

    >>> import functrans.numpy as fnp
    >>> fnp.flatnonzero([0, 3, 0, 4])
    Array([1, 3])
    """
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


@implements(np.argwhere, "size", "fill_value")
def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """`size` and `fill_value` are as for `nonzero`.

    >>> import functrans.numpy as fnp
    >>> fnp.argwhere([0, 3, 0, 4])
    Array([[1],
           [3]])
    """
    from functrans.numpy.manipulation import stack

    a = operand("argwhere", a)
    if not shape_of(a):
        values = known(a) if size is None else None
        rows = int(bool(values)) if values is not None else sized("argwhere", a, size)
        return lax.full((rows, 0), 0, np.int64)
    return stack(list(nonzero(a, size=size, fill_value=fill_value)), 1)


@implements(np.compress, "size", "fill_value")
def compress(
    condition: Any, a: Any, axis: Any = None, out: Any = None, *, size: int | None = None, fill_value: Any = 0
) -> Any:
    """
    Args:
        size: how many slices to give, needed where the condition is traced; `fill_value` stands for those that there
            are not.

    >>> import functrans.numpy as fnp
    >>> fnp.compress([True, False, True], [1, 2, 3])
    Array([1, 3])
    """
    unsupported("compress", out=out)
    return _compressed("compress", condition, a, axis, size, fill_value)


def _compressed(name: str, condition: Any, a: Any, axis: Any, size: int | None, fill_value: Any) -> Any:
    condition, a = operand(name, condition), operand(name, a)
    if len(shape_of(condition)) != 1:
        raise ShapeError(f"{name}: the condition must have one axis, it has shape {shape_of(condition)}")
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    values = known(condition) if size is None else None
    if values is not None:
        return moveaxis(lax.gather(a, [np.flatnonzero(values)], [axis]), 0, axis)
    n = sized(name, condition, size, "condition, x, size=n")
    m = shape_of(a)[axis]
    if shape_of(condition)[0] > m:  # NumPy: only what holds beyond the end is an error
        condition = condition[:m]
    places = flatnonzero(condition, size=n, fill_value=m)
    return moveaxis(lax.gather(a, [places], [axis], mode="fill", fill_value=fill_value), 0, axis)


@implements(np.extract, "size", "fill_value")
def extract(condition: Any, arr: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """`size` and `fill_value` are as for `compress`.

    >>> import functrans.numpy as fnp
    >>> fnp.extract([True, False, True], [1, 2, 3])
    Array([1, 3])
    """
    return _compressed("extract", ravel(condition), ravel(arr), None, size, fill_value)


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.choose([1, 0, 1], [[1, 2, 3], [10, 20, 30]])
    Array([10,  2, 30])
    """
    from functrans.numpy.manipulation import stack

    if dtype_of(operand("choose", a)).kind not in "biu":
        raise DTypeError(f"choose takes integers that say which choice, got {aval_of(a)}")
    a, *choices = broadcast_arrays(a, *choices)
    return getitem(take_along(stack(choices), lax.expand_dims(a, (0,)), 0, mode), 0)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.select([[True, False, False], [True, True, False]], [[1, 2, 3], [10, 20, 30]], default=-1)
    Array([ 1, 20, -1])
    """
    if not len(condlist):
        raise ArgumentError("select needs at least one condition")
    if len(condlist) != len(choicelist):
        raise ArgumentError(f"select: {len(condlist)} conditions and {len(choicelist)} choices")
    out = operand("select", default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        out = where(condition, choice, out)
    return out


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.piecewise(fnp.array([-1.0, 2.0]), [fnp.array([True, False])], [lambda x: -x, lambda x: x * x])
    Array([1., 4.])
    """
    x = operand("piecewise", x)
    condlist = list(condlist) if isinstance(condlist, (list, tuple)) else [condlist]
    funclist = list(funclist)
    default = funclist.pop() if len(funclist) == len(condlist) + 1 else 0
    call = lambda f: f(x, *args, **kw) if callable(f) else f
    out = lax.broadcast_to(lax.convert_element_type(call(default), dtype_of(x)), shape_of(x))
    for condition, f in zip(condlist, funclist):
        out = where(condition, lax.convert_element_type(call(f), dtype_of(x)), out)
    return out


@implements(np.ravel_multi_index, "dtype")
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C", *, dtype: Any = None) -> Any:
    """In kernels `mode="raise"` does not check the indices.

    >>> import functrans.numpy as fnp
    >>> fnp.ravel_multi_index(([0, 1], [2, 0]), (2, 3))
    Array([2, 3])
    """
    dims = tuple(map(operator.index, dims if isinstance(dims, (tuple, list)) else (dims,)))
    parts = [operand("ravel_multi_index", i) for i in multi_index]
    modes = (mode,) * len(dims) if isinstance(mode, str) else tuple(mode)
    if len(parts) != len(dims):
        raise ShapeError(f"ravel_multi_index: {len(parts)} index arrays for {len(dims)} dimensions")
    if any(dtype_of(i).kind not in "iu" for i in parts):
        raise DTypeError("ravel_multi_index: indices must be integers")
    if order not in ("C", "F") or set(modes) - {"raise", "clip", "wrap"}:
        raise ArgumentError(f"ravel_multi_index: got order={order!r} and mode={mode!r}")
    items = list(zip(parts, dims, modes))
    out: Any = np.int64(0)
    for i, n, m in items if order == "C" else reversed(items):
        i = lax.convert_element_type(i, np.int64)
        i = lax.clamp(np.int64(0), i, np.int64(n - 1)) if m == "clip" else i % n if m == "wrap" else i
        out = out * n + i
    return lax.convert_element_type(out, np.int64 if dtype is None else dtype)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    """In kernels indices out of bounds are not checked.

    >>> import functrans.numpy as fnp
    >>> fnp.unravel_index([2, 3], (2, 3))
    (Array([0, 1]), Array([2, 0]))
    """
    check_order("unravel_index", order)
    shape = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    rest = operand("unravel_index", indices)
    if dtype_of(rest).kind not in "iu":
        raise DTypeError(f"unravel_index: indices must be integers, got {aval_of(rest)}")
    rest = lax.convert_element_type(rest, np.int64)
    out = []
    for n in reversed(shape) if order == "C" else shape:
        out.append(rest % n)
        rest = rest // n
    return tuple(reversed(out)) if order == "C" else tuple(out)


@implements(np.ix_)
def ix_(*args: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> rows, columns = fnp.ix_([0, 1], [2, 0])
    >>> fnp.arange(6).reshape(2, 3)[rows, columns]
    Array([[2, 0],
           [5, 3]])
    """
    out = []
    for i, a in enumerate(args):
        a = operand("ix_", a)
        if len(shape_of(a)) != 1:
            raise ShapeError(f"ix_ takes vectors, got an array of shape {shape_of(a)}")
        if dtype_of(a).kind == "b":
            a = flatnonzero(a)
        out.append(lax.reshape(a, tuple(shape_of(a)[0] if j == i else 1 for j in range(len(args)))))
    return tuple(out)


def _indices(numpy_function: Any, *args: Any) -> Any:
    return tuple(wrap(i) for i in numpy_function(*args))


@named
def tril_indices(n: int, k: int = 0, m: int | None = None) -> Any:
    """The indices of the lower triangle, as `numpy.tril_indices`.

    >>> import functrans.numpy as fnp
    >>> fnp.tril_indices(2)
    (Array([0, 1, 1]), Array([0, 0, 1]))
    """
    return _indices(np.tril_indices, n, k, m)


@named
def triu_indices(n: int, k: int = 0, m: int | None = None) -> Any:
    """The indices of the upper triangle, as `numpy.triu_indices`.

    >>> import functrans.numpy as fnp
    >>> fnp.triu_indices(2)
    (Array([0, 0, 1]), Array([0, 1, 1]))
    """
    return _indices(np.triu_indices, n, k, m)


@implements(np.tril_indices_from)
def tril_indices_from(arr: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.tril_indices_from(fnp.ones((2, 2)))
    (Array([0, 1, 1]), Array([0, 0, 1]))
    """
    return tril_indices(_matrix("tril_indices_from", arr)[0], k, shape_of(arr)[1])


@implements(np.triu_indices_from)
def triu_indices_from(arr: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.triu_indices_from(fnp.ones((2, 2)))
    (Array([0, 0, 1]), Array([0, 1, 1]))
    """
    return triu_indices(_matrix("triu_indices_from", arr)[0], k, shape_of(arr)[1])


def _matrix(name: str, arr: Any) -> tuple[int, ...]:
    if len(shape_of(arr)) != 2:
        raise ShapeError(f"{name} takes an array of two axes, got shape {shape_of(arr)}")
    return shape_of(arr)


@named
def diag_indices(n: int, ndim: int = 2) -> Any:
    """The indices of the main diagonal, as `numpy.diag_indices`.

    >>> import functrans.numpy as fnp
    >>> fnp.diag_indices(2)
    (Array([0, 1]), Array([0, 1]))
    """
    return _indices(np.diag_indices, n, ndim)


@implements(np.diag_indices_from)
def diag_indices_from(arr: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.diag_indices_from(fnp.ones((2, 2)))
    (Array([0, 1]), Array([0, 1]))
    """
    shape = shape_of(arr)
    if len(shape) < 2 or len(set(shape)) > 1:
        raise ShapeError(f"diag_indices_from takes an array of equal axes, at least two, got shape {shape}")
    return diag_indices(shape[0], len(shape))


def mask_indices(n: int, mask_func: Any, k: Any = 0, *, size: int | None = None) -> Any:
    """The indices of the elements of an `(n, n)` array that `mask_func` (as `triu`) leaves, as `numpy.mask_indices`.

    >>> import functrans.numpy as fnp
    >>> fnp.mask_indices(3, fnp.triu, 1)
    (Array([0, 0, 1]), Array([1, 2, 2]))
    """
    return nonzero(mask_func(np.ones((n, n), np.int64), k), size=size)
