"""Taking out, putting in and padding (NumPy's reference: Array manipulation routines)."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, kind_of
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, IndexOutOfBoundsError, ShapeError
from functrans.lax.subscript import IndexUpdate
from functrans.numpy.dispatch import dtype_of, implements, known, normalize_axis, operand, shape_of
from functrans.numpy.manipulation import broadcast_to, concatenate, flip, moveaxis, ravel
from functrans.numpy.ufuncs import where


def _out_of_bounds(name: str, obj: Any, axis: int, n: int) -> IndexOutOfBoundsError:
    return IndexOutOfBoundsError(f"{name}: index {obj} is out of bounds for axis {axis} with size {n}")


@implements(np.delete, "assume_unique_indices")
def delete(arr: Any, obj: Any, axis: Any = None, *, assume_unique_indices: bool = False) -> Any:
    """
    Args:
        assume_unique_indices: says that no index occurs twice, which a traced `obj` of several indices needs: the shape
            of the result depends on it.

    >>> import functrans.numpy as fnp
    >>> fnp.delete([1, 2, 3], 1)
    Array([1, 3])
    """
    arr = operand("delete", arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = normalize_axis(axis, len(shape_of(arr)))
    n = shape_of(arr)[axis]
    values = obj if isinstance(obj, slice) else known(obj)
    if values is not None:
        try:
            empty = not isinstance(values, slice) and not values.size
            kept: Any = np.arange(n) if empty else np.delete(np.arange(n), values)
        except IndexError:
            raise _out_of_bounds("delete", obj, axis, n) from None
        except ValueError as error:
            raise ShapeError(f"delete: {error}") from None
    else:
        obj = operand("delete", obj)
        if dtype_of(obj).kind not in "iu":
            raise ConcretizationError("delete with a traced mask has a shape that depends on values")
        if aval_of(obj).size > 1 and not assume_unique_indices:
            raise ConcretizationError(
                "delete with traced indices has a shape that depends on values: give assume_unique_indices=True if no "
                "index occurs twice, or call it outside the traced function"
            )
        obj = ravel(obj)
        going = IndexUpdate(lax.full((n,), False))[obj].set(True)
        from functrans.numpy.indexing import flatnonzero

        kept = flatnonzero(~going, size=n - shape_of(obj)[0])
    return moveaxis(lax.gather(arr, [kept], [axis]), 0, axis)


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.insert([1, 2, 3], 1, 9)
    Array([1, 9, 2, 3])
    """
    arr = operand("insert", arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = normalize_axis(axis, len(shape_of(arr)))
    shape = shape_of(arr)
    n = shape[axis]
    values = lax.convert_element_type(operand("insert", values), dtype_of(arr))
    places = _insertions(obj, axis, n)
    single = aval_of(places).size == 1
    values = lax.reshape(values, (*[1] * (len(shape) - len(shape_of(values))), *shape_of(values)))
    if len(shape_of(values)) > len(shape):
        raise ShapeError(f"insert: values of shape {shape_of(values)} for an array of shape {shape}")
    if single:
        if not shape_of(places):
            values = moveaxis(values, 0, axis)
        count = shape_of(values)[axis]
        target = lax.reshape(places, (1,)) + lax.iota(np.int64, count)
    else:
        count = shape_of(places)[0]
        order = lax.argsort(places, 0)
        moved = lax.gather(places, [order], [0], mode="promise_in_bounds") + lax.iota(np.int64, count)
        target = lax.scatter("set", lax.full((count,), 0, np.int64), moved, [order], [0], mode="promise_in_bounds")
    try:
        values = broadcast_to(values, (*shape[:axis], count, *shape[axis + 1 :]))
    except ValueError:
        raise ShapeError(
            f"insert: values of shape {shape_of(values)} do not fit {count} places along axis {axis} of shape {shape}"
        ) from None
    new = IndexUpdate(lax.full((n + count,), False))[target].set(True)
    if not n:
        old = lax.full((*shape[:axis], count, *shape[axis + 1 :]), 0, dtype_of(arr))
    else:
        source = lax.cumsum(lax.convert_element_type(~new, np.int64), 0) - 1
        old = moveaxis(lax.gather(arr, [source], [axis], mode="clip"), 0, axis)
    return IndexUpdate(old)[(slice(None),) * axis + (target,)].set(values)


def _insertions(obj: Any, axis: int, n: int) -> Any:
    """The places before which something is inserted, counted from the front."""
    if isinstance(obj, slice):
        obj = np.arange(n)[obj]
    plain = known(obj)
    if plain is not None:
        if plain.ndim > 1:
            raise ShapeError("insert: the places must be a number, a slice or a vector")
        if plain.dtype.kind == "b":
            if plain.ndim and plain.shape != (n,):
                raise IndexOutOfBoundsError(f"insert: a mask of shape {plain.shape} for an axis of size {n}")
            plain = np.flatnonzero(plain)
        if plain.size == 0:
            plain = plain.astype(np.int64)
        if plain.dtype.kind not in "iu":
            raise DTypeError(f"insert: places must be integers, got {plain.dtype}")
        for place in plain.reshape(-1).tolist():
            if not -n <= place <= n:
                raise _out_of_bounds("insert", place, axis, n)
        return np.where(plain < 0, plain + n, plain)
    places = operand("insert", obj)
    if len(shape_of(places)) > 1 or dtype_of(places).kind not in "iu":
        raise ConcretizationError("insert takes traced places as a number or a vector of integers")
    places = lax.convert_element_type(places, np.int64)
    return where(places < 0, places + n, places)


# ---------------------------------------------------------------- padding

#: The options of each mode of `pad`.
_PAD_OPTIONS: dict[str, tuple[str, ...]] = {
    "empty": (), "edge": (), "wrap": (), "constant": ("constant_values",), "linear_ramp": ("end_values",),
    "maximum": ("stat_length",), "mean": ("stat_length",), "median": ("stat_length",), "minimum": ("stat_length",),
    "reflect": ("reflect_type",), "symmetric": ("reflect_type",),
}  # fmt: skip


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """A function as `mode` gets a padded vector and returns a new one; NumPy's writes into it.

    >>> import functrans.numpy as fnp
    >>> fnp.pad([1, 2], (1, 2), constant_values=7)
    Array([7, 1, 2, 7, 7])
    """
    array = operand("pad", array)
    widths = _pad_widths(pad_width, len(shape_of(array)))
    if callable(mode):
        return _pad_by(mode, array, widths, kwargs)
    if mode not in _PAD_OPTIONS:
        raise ArgumentError(f"pad: mode {mode!r} is not supported; the modes are {', '.join(_PAD_OPTIONS)}")
    unknown = set(kwargs) - set(_PAD_OPTIONS[mode])
    if unknown:
        raise ArgumentError(f"pad: mode {mode!r} takes no argument {', '.join(sorted(unknown))}")
    shape = shape_of(array)
    for axis, (low, high) in enumerate(widths):
        if not shape[axis] and (low or high) and mode not in ("constant", "empty"):
            raise ArgumentError(f"pad: only the modes 'constant' and 'empty' extend an empty axis, as axis {axis}")
    pairs = {k: _pairs(k, v, len(shape)) for k, v in kwargs.items() if k != "reflect_type"}
    odd = kwargs.get("reflect_type", "even") == "odd"
    if kwargs.get("reflect_type", "even") not in ("even", "odd"):
        raise ArgumentError(f"pad: reflect_type must be 'even' or 'odd', got {kwargs['reflect_type']!r}")
    if "stat_length" in pairs and mode in ("maximum", "minimum") and any(0 in p for p in pairs["stat_length"]):
        raise ArgumentError(f"pad: stat_length of 0 yields no value for mode {mode!r}")
    for axis, (low, high) in enumerate(widths):
        if mode in ("constant", "empty"):
            array = _pad_constant(array, axis, low, high, pairs.get("constant_values", [(0, 0)] * len(shape))[axis])
        elif not low and not high:
            continue
        elif odd:
            array = _pad_odd(array, axis, low, high, mode == "reflect")
        elif mode in ("edge", "reflect", "symmetric", "wrap"):
            places = np.pad(np.arange(shape[axis]), (low, high), mode=mode)
            array = moveaxis(lax.gather(array, [places], [axis]), 0, axis)
        elif mode == "linear_ramp":
            array = _pad_ramp(array, axis, low, high, pairs.get("end_values", [(0, 0)] * len(shape))[axis])
        else:
            lengths = pairs.get("stat_length", [(None, None)] * len(shape))[axis]
            array = _pad_statistic(mode, array, axis, (low, high), lengths)
    return array


def _pad_widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        for key in pad_width:
            normalize_axis(key, ndim)
        given = {normalize_axis(k, ndim): w for k, w in pad_width.items()}
        pad_width = [given.get(i, 0) for i in range(ndim)]
        pad_width = [(w, w) if np.ndim(w) == 0 else w for w in pad_width]
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu" and widths.size:
        raise DTypeError(f"pad: pad_width must be of integral type, got {widths.dtype}")
    if widths.size and widths.min() < 0:
        raise ArgumentError("pad: pad_width cannot contain negative values")
    try:
        return [(int(a), int(b)) for a, b in np.broadcast_to(widths, (ndim, 2))]
    except ValueError:
        raise ShapeError(f"pad: pad_width {pad_width} does not fit an array of {ndim} axes") from None


def _pairs(name: str, value: Any, ndim: int) -> list[tuple[Any, Any]]:
    """An option of `pad` for both ends of every axis."""
    if value is None:
        return [(None, None)] * ndim
    values = operand("pad", value) if name != "stat_length" else np.asarray(value)
    if name == "stat_length" and (values < 0).any():
        raise ArgumentError("pad: stat_length cannot contain negative values")
    values = broadcast_to(values, (ndim, 2))
    if name == "stat_length":
        return [(int(a), int(b)) for a, b in np.asarray(values)]
    return [(values[i, 0], values[i, 1]) for i in range(ndim)]


def _pad_constant(array: Any, axis: int, low: int, high: int, values: tuple[Any, Any]) -> Any:
    for config, value in (((low, 0, 0), values[0]), ((0, high, 0), values[1])):
        if config == (0, 0, 0):
            continue
        whole = [(0, 0, 0)] * len(shape_of(array))
        whole[axis] = config
        array = lax.pad(array, lax.convert_element_type(value, dtype_of(array)), whole)
    return array


def _cut(array: Any, axis: int, start: int, stop: int) -> Any:
    return lax.slice_in_dim(array, start, stop, axis=axis)


def _pad_odd(array: Any, axis: int, low: int, high: int, reflect: bool) -> Any:
    """Reflected about the element at the end; once more, where the padding is longer than the array."""
    own = shape_of(array)[axis]
    if own == 1 and reflect:  # a single element reflects to itself
        places = np.zeros(1 + low + high, np.int64)
        return moveaxis(lax.gather(array, [places], [axis]), 0, axis)
    while low or high:
        n = shape_of(array)[axis]
        skip = 1 if reflect else 0
        parts = [array]
        if low:
            first, count = _cut(array, axis, 0, 1), min(low, own - skip)
            parts.insert(0, 2 * first - flip(_cut(array, axis, skip, skip + count), axis))
            low -= count
        if high:
            last, count = _cut(array, axis, n - 1, n), min(high, own - skip)
            parts.append(2 * last - flip(_cut(array, axis, n - skip - count, n - skip), axis))
            high -= count
        array = concatenate(parts, axis)
        own = shape_of(array)[axis]
    return array


def _pad_ramp(array: Any, axis: int, low: int, high: int, ends: tuple[Any, Any]) -> Any:
    from functrans.numpy.creation import linspace

    n, own = shape_of(array)[axis], dtype_of(array)
    parts = [array]
    for width, end, place in ((low, ends[0], 0), (high, ends[1], n - 1)):
        edge = lax.squeeze(_cut(array, axis, place, place + 1), (axis,))
        ramp = lax.convert_element_type(linspace(end, edge, width, endpoint=False, dtype=own, axis=axis), own)
        parts = [ramp, *parts] if place == 0 and len(parts) == 1 else [*parts, flip(ramp, axis)]
    return concatenate(parts, axis)


def _pad_statistic(mode: str, array: Any, axis: int, widths: tuple[int, int], lengths: tuple[Any, Any]) -> Any:
    from functrans.numpy import quantiles, reductions, ufuncs

    reduce = {
        "maximum": reductions.max, "minimum": reductions.min, "mean": reductions.mean, "median": quantiles.median,
    }[mode]  # fmt: skip
    shape, own = shape_of(array), dtype_of(array)
    n = shape[axis]
    ends = []
    for k, (width, length) in enumerate(zip(widths, lengths)):
        length = n if length is None else min(length, n)
        part = _cut(array, axis, 0, length) if k == 0 else _cut(array, axis, n - length, n)
        value = reduce(part, axis=axis, keepdims=True)
        value = ufuncs.round(value) if own.kind in "iu" and kind_of(dtype_of(value)) == "f" else value
        value = lax.convert_element_type(value, own)
        ends.append(broadcast_to(value, (*shape[:axis], width, *shape[axis + 1 :])))
    return lax.concatenate([ends[0], array, ends[1]], axis)


def _pad_by(function: Any, array: Any, widths: list[tuple[int, int]], kwargs: Any) -> Any:
    from functrans.numpy.mapping import apply_along_axis

    for axis, (low, high) in enumerate(widths):
        array = _pad_constant(array, axis, low, high, (0, 0))
    for axis, pair in enumerate(widths):

        def fill(vector: Any, pair: Any = pair, axis: int = axis) -> Any:
            out = function(vector, pair, axis, kwargs)
            if out is None:
                raise ArgumentError("pad: the function for mode must return a new vector; traced arrays are immutable")
            return out

        array = apply_along_axis(fill, axis, array)
    return array
