"""NumPy's indexing language, for reading (`x[index]`) and for functional updates (`x.at[index].set(v)`).

An index is parsed once into a `Subscript`: what happens to each axis, and the shape of the result with a label for each
of its axes. Reading then slices, gathers and orders axes; writing pads (slices alone) or scatters. Plain arrays are
handed to NumPy.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import aval_of, is_array_like
from functrans.core.trace import StagedTracer, Tracer
from functrans.errors import (
    ArgumentError,
    DTypeError,
    IndexOutOfBoundsError,
    NonConcreteBooleanIndexError,
    ShapeError,
)
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, full
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import dynamic_update_slice, gather, out_of_bounds, scatter
from functrans.lax.structural import pad, reshape, rev, slice, transpose

Slice = builtins.slice


# ---------------------------------------------------------------- parsing


@dataclass(frozen=True)
class Range:
    """An axis read at `start, start + step, ...`, `count` times."""

    axis: int
    start: int
    step: int
    count: int

    def whole(self, size: int) -> bool:
        return (self.start, self.step, self.count) == (0, 1, size)

    def bounds(self) -> tuple[int, int, int]:
        """As `start, limit, stride` with a positive stride."""
        if not self.count:
            return 0, 0, 1
        last = self.start + (self.count - 1) * self.step
        return min(self.start, last), max(self.start, last) + 1, abs(self.step)


@dataclass(frozen=True)
class Subscript:
    """A parsed index.

    `ranges` are the axes that stay, `fixed` those read at one static index, `arrays` those read at index arrays (all of
    one shape, `batch`). `layout` lists the result's axes: an axis of the operand, `"new"`, or `"batch"` for all axes of
    the index arrays together.
    """

    ranges: tuple[Range, ...]
    fixed: tuple[tuple[int, int], ...]
    arrays: tuple[tuple[int, Any], ...]
    batch: tuple[int, ...]
    layout: tuple[Any, ...]

    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        counts = {r.axis: r.count for r in self.ranges}
        out: list[int] = []
        for label in self.layout:
            out += self.batch if label == "batch" else [1 if label == "new" else counts[label]]
        return tuple(out)


def parse(index: Any, shape: tuple[int, ...], mode: str = "raise") -> Subscript:
    """What an index means for an array of this shape, by NumPy's rules."""
    items = _expand(index, shape)
    any_array = any(isinstance(i, _Advanced) and i.ndim for i in items)
    ranges: list[Range] = []
    fixed: list[tuple[int, int]] = []
    arrays: list[tuple[int, Any]] = []
    layout: list[Any] = []
    places: list[int] = []  # positions in `items` of what counts as advanced
    axis = 0
    for position, item in enumerate(items):
        if item is None:
            layout.append("new")
            continue
        size = shape[axis]
        if isinstance(item, Slice):
            start, stop, step = _slice_indices(item, size)
            ranges.append(Range(axis, start, step, len(range(start, stop, step))))
            layout.append(axis)
        elif isinstance(item, int):
            inside = -size <= item < size
            if not inside and mode == "raise":
                raise out_of_bounds(item, axis, size)
            if any_array or not inside:
                arrays.append((axis, np.int64(item)))
                places.append(position)
            else:
                fixed.append((axis, item % size))
        else:
            arrays.append((axis, item.value))
            places.append(position)
        if isinstance(item, _Advanced) or (isinstance(item, int) and any_array):
            if "batch" not in layout:
                layout.append("batch")
        axis += 1
    if places and any(b - a > 1 for a, b in zip(places, places[1:])) and "batch" in layout:
        layout.remove("batch")
        layout.insert(0, "batch")  # separated by a slice: NumPy puts them first
    if "batch" not in layout:
        layout.insert(0, "batch")
    batch = ew.broadcast_shapes("an index", [aval_of(i).shape for _, i in arrays]) if arrays else ()
    arrays = [(a, broadcast_to(convert_element_type(i, np.int64), batch)) for a, i in arrays]
    return Subscript(tuple(ranges), tuple(fixed), tuple(arrays), batch, tuple(layout))


class _Advanced:
    """An integer array (or traced integer) in an index."""

    def __init__(self, value: Any):
        self.value = value
        self.ndim = aval_of(value).ndim


def _expand(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """The items of an index, one for each axis and each new axis; masks as integer arrays, ellipsis as slices."""
    items = list(index) if isinstance(index, tuple) else [index]
    out: list[Any] = []
    for item in items:
        before = sum(i is not None and i is not Ellipsis for i in out)
        out += _item(item, shape, before, any(i is Ellipsis for i in out))
    used = sum(i is not None and i is not Ellipsis for i in out)
    if used > len(shape):
        raise IndexOutOfBoundsError(f"too many indices: the array has {len(shape)} axes, but {used} were indexed")
    dots = [i for i, item in enumerate(out) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexOutOfBoundsError("an index can only have a single ellipsis ('...')")
    rest = [Slice(None)] * (len(shape) - used)
    if dots:
        return out[: dots[0]] + rest + out[dots[0] + 1 :]
    return out + rest


def _item(item: Any, shape: tuple[int, ...], axis: int, after_ellipsis: bool) -> list[Any]:
    if item is None or item is Ellipsis or isinstance(item, Slice):
        return [item]
    if isinstance(item, (bool, np.bool_)):
        if not item:
            raise ArgumentError("False as one of several indices selects nothing; index with an empty array instead")
        return [None]
    if isinstance(item, (int, np.integer)):
        return [int(item)]
    if isinstance(item, (list, range)) or (is_array_like(item) and not isinstance(item, (np.ndarray, Tracer))):
        item = np.asarray(item)
        if item.size == 0 and item.dtype.kind == "f":
            item = item.astype(np.int64)
    if not isinstance(item, (np.ndarray, Tracer)):
        raise DTypeError(
            f"an index must be an integer, a slice, an ellipsis, None, or an integer or boolean array, got {item!r:.60} "
            f"of type {type(item).__name__}"
        )
    aval = aval_of(item)
    if aval.dtype.kind == "b":
        return _mask(item, shape, axis, after_ellipsis)
    if aval.dtype.kind not in "iu":
        raise DTypeError(f"an index array must hold integers or booleans, got {aval}; convert it by .astype(int)")
    if isinstance(item, np.ndarray) and item.ndim == 0:
        return [int(item)]
    return [_Advanced(item)]


def _mask(mask: Any, shape: tuple[int, ...], axis: int, after_ellipsis: bool) -> list[Any]:
    if isinstance(mask, Tracer):
        try:
            mask = np.asarray(mask.concrete(NonConcreteBooleanIndexError, "a boolean mask"))
        except NonConcreteBooleanIndexError:
            raise NonConcreteBooleanIndexError(
                "a boolean mask as an index selects a number of elements that depends on its values, and this mask has "
                f"none yet: it is {mask.describe()}.\nUse functrans.numpy.where(mask, x, 0) to keep the shape, "
                "x.at[...] with where for updates, or functrans.numpy.nonzero(mask, size=n) for a fixed number."
            ) from None
    if not after_ellipsis and mask.shape != shape[axis : axis + mask.ndim]:
        raise IndexOutOfBoundsError(
            f"boolean index of shape {mask.shape} does not fit the axes {tuple(range(axis, axis + mask.ndim))} of shape "
            f"{shape}"
        )
    return [_Advanced(i) for i in np.nonzero(mask)]


def _slice_indices(item: slice, size: int) -> tuple[int, int, int]:
    for bound in (item.start, item.stop, item.step):
        if isinstance(bound, StagedTracer):
            raise ArgumentError(
                f"the bounds of a slice must be known while tracing, but one is {bound.describe()}.\nUse "
                "functrans.lax.dynamic_slice(x, starts, sizes) for a block of static size at a computed place."
            )
    try:
        return item.indices(size)
    except TypeError:
        raise DTypeError(f"the bounds of a slice must be integers or None, got {item}") from None


# ---------------------------------------------------------------- reading


def getitem(x: Any, index: Any, mode: str = "raise", fill_value: Any = None) -> Any:
    """`x[index]`, by NumPy's rules; `mode` says what indices out of bounds mean."""
    if not _has_tracer(x, index) and mode == "raise":
        return wrap(np.asarray(x)[index])
    if _is_scalar_false(index):
        return full((0, *aval_of(x).shape), 0, aval_of(x).dtype)
    shape = aval_of(x).shape
    s = parse(index, shape, mode)
    bounds = {r.axis: r.bounds() for r in s.ranges}
    bounds.update({a: (i, i + 1, 1) for a, i in s.fixed})
    spans = [bounds.get(a, (0, n, 1)) for a, n in enumerate(shape)]
    x = slice(x, *[[b[j] for b in spans] for j in range(3)])
    x = rev(x, [r.axis for r in s.ranges if r.step < 0 and r.count > 1])
    gone = {a for a, _ in s.fixed}
    kept = [a for a in range(len(shape)) if a not in gone]
    if gone:
        x = reshape(x, [aval_of(x).shape[a] for a in kept])
    if s.arrays:
        axes = [kept.index(a) for a, _ in s.arrays]
        x = gather(x, [i for _, i in s.arrays], axes, mode, fill_value)
    indexed = {a for a, _ in s.arrays}
    labels: list[Any] = ["batch"] * len(s.batch) + [a for a in kept if a not in indexed]
    return reshape(transpose(x, _order(labels, s.layout)), s.shape())


def _order(labels: Sequence[Any], layout: Sequence[Any]) -> list[int]:
    """The permutation that brings labelled axes into the order of a layout."""
    out: list[int] = []
    for label in layout:
        out += [i for i, x in enumerate(labels) if x == label and type(x) is type(label)]
    return out


def _has_tracer(x: Any, index: Any) -> bool:
    items = index if isinstance(index, tuple) else (index,)
    return isinstance(x, Tracer) or any(isinstance(i, Tracer) for i in items)


def _is_scalar_false(index: Any) -> bool:
    return isinstance(index, (bool, np.bool_)) and not index


# ---------------------------------------------------------------- writing


class IndexUpdate:
    """What `x.at` gives: `x.at[index]` is a place, whose methods return changed copies of `x`."""

    __slots__ = ("_x",)

    def __init__(self, x: Any):
        self._x = x

    def __getitem__(self, index: Any) -> Place:
        return Place(self._x, index)

    def __repr__(self) -> str:
        return f"<at of {self._x!r}>"


class Place:
    """A place of an array. Each method but `get` returns the array with that place changed.

    `mode` says what indices out of bounds mean: `raise` an IndexError (the default), `drop` (or `fill`) leaves such
    updates out, `clip` and `wrap` move them inside, `promise_in_bounds` says that there are none. Where an index occurs
    twice, `add`, `multiply`, `min` and `max` take both updates, `set` one of them.
    """

    __slots__ = ("_index", "_x")

    def __init__(self, x: Any, index: Any):
        self._x = x
        self._index = index

    def get(self, *, mode: str | None = None, fill_value: Any = None, **hints: Any) -> Any:
        """`x[index]`, with a `mode` for indices out of bounds.

        >>> import functrans.numpy as fnp
        >>> fnp.arange(3.0).at[5].get(mode="fill", fill_value=-1.0)
        Array(-1.)
        """
        _check_hints(hints)
        return getitem(self._x, self._index, {None: "raise", "drop": "fill"}.get(mode, mode), fill_value)  # type: ignore[arg-type]

    def set(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = values`."""
        return self._update("set", values, mode, hints)

    def add(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] += values`, with all updates of a place that occurs twice."""
        return self._update("add", values, mode, hints)

    def subtract(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] -= values`."""
        return self._update("add", ew.neg(values), mode, hints)

    def multiply(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] *= values`."""
        return self._update("multiply", values, mode, hints)

    mul = multiply

    def min(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = minimum(x[index], values)`."""
        return self._update("min", values, mode, hints)

    def max(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = maximum(x[index], values)`."""
        return self._update("max", values, mode, hints)

    def divide(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] /= values`."""
        return self._replace(lambda old: ew.div(old, values), mode, hints)

    def power(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] **= values`."""
        return self._replace(lambda old: old**values, mode, hints)

    def apply(self, ufunc: Callable[[Any], Any], *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = ufunc(x[index])`."""
        return self._replace(ufunc, mode, hints)

    def _replace(self, change: Callable[[Any], Any], mode: str | None, hints: Any) -> Any:
        read = {"drop": "clip", "fill": "clip"}.get(mode, mode)  # type: ignore[arg-type]
        return self._update("set", change(self.get(mode=read)), mode, hints)

    def _update(self, kind: str, values: Any, mode: str | None, hints: Any) -> Any:
        _check_hints(hints)
        mode = {None: "raise", "fill": "drop"}.get(mode, mode)  # type: ignore[arg-type]
        if mode == "raise" and not _has_tracer(self._x, self._index) and not isinstance(values, Tracer):
            return _update_plain(kind, self._x, self._index, values)
        return update(kind, self._x, self._index, values, mode)  # type: ignore[arg-type]


def _check_hints(hints: dict[str, Any]) -> None:
    unknown = set(hints) - {"indices_are_sorted", "unique_indices", "wrap_negative_indices", "out_sharding"}
    if unknown:
        raise ArgumentError(f"an update takes no option {', '.join(sorted(unknown))}")


_PLAIN = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}


def _update_plain(kind: str, x: Any, index: Any, values: Any) -> Any:
    out = np.array(x)
    if kind == "set":
        out[index] = values
    else:
        values = np.asarray(values).astype(out.dtype)
        if _is_basic(index):
            out[index] = _PLAIN[kind](out[index], values)
        else:
            _PLAIN[kind].at(out, index, values)
    return wrap(out)


def _is_basic(index: Any) -> bool:
    items = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, np.integer, Slice)) for i in items)


def update(kind: str, x: Any, index: Any, values: Any, mode: str) -> Any:
    """`x` with `values` combined into `x[index]`; traced."""
    if _is_scalar_false(index):
        return x
    shape, dtype = aval_of(x).shape, aval_of(x).dtype
    s = parse(index, shape, mode)
    values = convert_element_type(ew.as_operand("an update", values), dtype)
    wanted = s.shape()
    try:
        fits = np.broadcast_shapes(aval_of(values).shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"an update of shape {aval_of(values).shape} cannot be broadcast to the place of shape {wanted} that the "
            f"index selects in an array of shape {shape}"
        )
    values = broadcast_to(values, wanted)
    return _update_slices(kind, x, s, values) if not s.arrays else _update_arrays(kind, x, s, values, mode)


def _to_operand_order(s: Subscript, values: Any, ndim: int) -> Any:
    """Values of a subscript without arrays as a block with an axis for each axis of the operand."""
    counts = {r.axis: r.count for r in s.ranges}
    block = reshape(values, [counts.get(a, 1) for a in range(ndim)])  # new axes have size 1, fixed ones come back
    return rev(block, [r.axis for r in s.ranges if r.step < 0 and r.count > 1])


_NEUTRAL: dict[str, Any] = {
    "add": lambda d: d.type(0),
    "multiply": lambda d: d.type(1),
    "min": lambda d: np.inf if d.kind == "f" else np.True_ if d.kind == "b" else np.iinfo(d).max,
    "max": lambda d: -np.inf if d.kind == "f" else np.False_ if d.kind == "b" else np.iinfo(d).min,
}
_COMBINE = {"add": ew.add, "multiply": ew.mul, "min": ew.min, "max": ew.max}


def _update_slices(kind: str, x: Any, s: Subscript, values: Any) -> Any:
    shape, dtype = aval_of(x).shape, aval_of(x).dtype
    bounds = {r.axis: r.bounds() for r in s.ranges}
    bounds.update({a: (i, i + 1, 1) for a, i in s.fixed})
    block = _to_operand_order(s, values, len(shape))
    if 0 in aval_of(block).shape:
        return x
    if kind == "set" and all(bounds[a][2] == 1 for a in range(len(shape))):
        return dynamic_update_slice(x, block, [np.int64(bounds[a][0]) for a in range(len(shape))])
    config = []
    for a, n in enumerate(shape):
        start, limit, step = bounds[a]
        config.append((start, n - limit, step - 1))
    if kind == "set":
        inside = pad(full(aval_of(block).shape, np.True_), np.False_, config)
        return ew.where(inside, pad(block, dtype.type(0), config), x)
    return _COMBINE[kind](x, pad(block, dtype.type(_NEUTRAL[kind](dtype)), config))


def _update_arrays(kind: str, x: Any, s: Subscript, values: Any, mode: str) -> Any:
    """Slices that are not whole become index arrays beside the others."""
    shape = aval_of(x).shape
    partial = [r for r in s.ranges if not r.whole(shape[r.axis])]
    whole = [r.axis for r in s.ranges if r.whole(shape[r.axis])]
    block = (*s.batch, *(r.count for r in partial))
    axes, indices = [], []
    for a, i in (*s.arrays, *((a, np.int64(i)) for a, i in s.fixed)):
        own = aval_of(i).shape
        axes.append(a)
        indices.append(broadcast_to(reshape(i, (*own, *[1] * (len(block) - len(s.batch)))) if own else i, block))
    for n, r in enumerate(partial):
        places = r.start + r.step * np.arange(r.count)
        sizes = [1] * len(block)
        sizes[len(s.batch) + n] = r.count
        axes.append(r.axis)
        indices.append(broadcast_to(places.reshape(sizes), block))
    labels: list[Any] = []
    for label in s.layout:
        labels += ["batch"] * len(s.batch) if label == "batch" else [label]
    kept = [i for i, label in enumerate(labels) if label != "new"]
    values = reshape(values, [aval_of(values).shape[i] for i in kept])
    order = _order([labels[i] for i in kept], ["batch", *(r.axis for r in partial), *whole])
    return scatter(kind, x, transpose(values, order), indices, axes, mode)

