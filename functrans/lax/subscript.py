"""NumPy's indexing language, for reading (`x[index]`) and for functional updates (`x.at[index].set(v)`).

An index is parsed once into a `Subscript`: what happens to each axis, and the shape of the result with a label for each
of its axes. Reading then slices, gathers and orders axes; writing pads (slices alone) or scatters. Plain arrays are
handed to NumPy.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from functrans.core.array import wrap as as_array
from functrans.core.avals import aval_of, is_array_like, is_inexact
from functrans.core.placement import refuse_placement
from functrans.core.trace import StagedTracer, Tracer
from functrans.errors import (
    ArgumentError,
    AxisError,
    DTypeError,
    IndexOutOfBoundsError,
    IndexTypeError,
    KeywordError,
    NonConcreteBooleanIndexError,
    NoSuchAttributeError,
    ShapeError,
)
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, full
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import SCATTER_MODES, dynamic_update_slice, gather, out_of_bounds, scatter
from functrans.lax.promotion import as_operand, loop_dtypes, weak_type
from functrans.lax.structural import pad, reshape, rev, slice, transpose
from functrans.transforms import eager

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


def parse(index: Any, shape: tuple[int, ...], mode: str = "raise", wrap: bool = True) -> Subscript:
    """What an index means for an array of this shape, by NumPy's rules; `wrap=False`: negative indices lie outside."""
    items = _expand(index, shape)
    any_array = any(isinstance(i, _Flag) or (isinstance(i, _Advanced) and i.ndim) for i in items)
    ranges: list[Range] = []
    fixed: list[tuple[int, int]] = []
    arrays: list[tuple[int, Any]] = []
    flags: list[tuple[int, ...]] = []  # what scalar booleans add to the shapes of the index arrays
    layout: list[Any] = []
    places: list[int] = []  # positions in `items` of what counts as advanced
    axis = 0
    for position, item in enumerate(items):
        if item is None:
            layout.append("new")
            continue
        if item is Ellipsis:  # the axes it stands for follow; where there are none it still separates
            continue
        if isinstance(item, _Flag):
            flags.append((int(item.value),))
        elif isinstance(item, Slice):
            start, stop, step = _slice_indices(item, shape[axis])
            ranges.append(Range(axis, start, step, len(range(start, stop, step))))
            layout.append(axis)
        elif isinstance(item, int):
            size = shape[axis]
            inside = (-size if wrap else 0) <= item < size
            if not inside and mode == "raise":
                raise out_of_bounds(item, axis, size)
            if any_array or not inside:
                arrays.append((axis, np.int64(item) if wrap else from_front(np.int64(item), size, mode)))
            else:
                fixed.append((axis, item % size))
        else:
            item.check(axis, shape[axis], mode)
            arrays.append((axis, item.value if wrap else from_front(item.value, shape[axis], mode)))
        if isinstance(item, (_Advanced, _Flag)) or (isinstance(item, int) and any_array):
            places.append(position)
            if "batch" not in layout:
                layout.append("batch")
        axis += not isinstance(item, _Flag)
    if "batch" in layout and any(b - a > 1 for a, b in zip(places, places[1:])):
        layout.remove("batch")
        layout.insert(0, "batch")  # separated by a slice: NumPy puts them first
    if "batch" not in layout:
        layout.insert(0, "batch")
    batch = _broadcast([aval_of(i).shape for _, i in arrays] + flags)
    arrays = [(a, broadcast_to(convert_element_type(i, np.int64), batch)) for a, i in arrays]
    return Subscript(tuple(ranges), tuple(fixed), tuple(arrays), batch, tuple(layout))


def _broadcast(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        given = " ".join(map(str, shapes))
        raise AxisError(
            f"shape mismatch: indexing arrays could not be broadcast together with shapes {given}"
        ) from None


def from_front(index: Any, size: int, mode: str) -> Any:
    """Indices where negative ones are out of bounds: what stands for those, in the mode that reads or writes them."""
    if mode == "wrap":  # there they mean the same
        return index
    index = convert_element_type(index, np.int64)
    return ew.where(ew.lt(index, 0), np.int64(0 if mode == "clip" else size), index)


class _Advanced:
    """An integer array (or traced integer) in an index; `length` is that of the axis of the mask it came from."""

    def __init__(self, value: Any, length: int | None = None):
        self.value = value
        self.ndim = aval_of(value).ndim
        self.length = length

    def check(self, axis: int, size: int, mode: str) -> None:
        """Refuse at once what cannot be: masks of another size, known indices out of bounds."""
        if self.length is not None and self.length != size:
            raise IndexOutOfBoundsError(
                f"boolean index did not match indexed array along axis {axis}; size of axis is {size} but size of "
                f"corresponding boolean axis is {self.length}"
            )
        if mode == "raise" and not isinstance(self.value, Tracer) and self.value.size:
            low, high = int(self.value.min()), int(self.value.max())
            if low < -size or high >= size:
                raise out_of_bounds(low if low < -size else high, axis, size)


class _Flag:
    """A scalar boolean in an index: an axis of size one or zero, after NumPy an index array for no axis."""

    def __init__(self, value: Any):
        self.value = bool(value)


def _expand(index: Any, shape: tuple[int, ...]) -> list[Any]:
    """The items of an index; masks as integer arrays, and after an ellipsis the slices that it stands for."""
    out: list[Any] = []
    for item in index if isinstance(index, tuple) else (index,):
        out += _item(item)
    used = sum(i is not None and i is not Ellipsis and not isinstance(i, _Flag) for i in out)
    if used > len(shape):
        raise IndexOutOfBoundsError(
            f"too many indices for array: array is {len(shape)}-dimensional, but {used} were indexed"
        )
    dots = [i for i, item in enumerate(out) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexOutOfBoundsError("an index can only have a single ellipsis ('...')")
    place = dots[0] + 1 if dots else len(out)
    return out[:place] + [Slice(None)] * (len(shape) - used) + out[place:]


def _item(item: Any) -> list[Any]:
    if item is None or item is Ellipsis or isinstance(item, Slice):
        return [item]
    if isinstance(item, (bool, np.bool_)):
        return [_Flag(item)]
    if isinstance(item, (int, np.integer)):
        return [int(item)]
    if isinstance(item, (list, range)):
        item = np.asarray(item)
        item = item.astype(np.int64) if item.size == 0 else item
    elif is_array_like(item) and not isinstance(item, (np.ndarray, Tracer)):
        item = np.asarray(item)
    is_index = isinstance(item, Tracer) or (isinstance(item, np.ndarray) and (item.ndim or item.dtype.kind in "biu"))
    if not is_index:
        raise IndexTypeError(
            "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are valid indices, got "
            f"{item!r:.60} of type {type(item).__name__}"
        )
    aval = aval_of(item)
    if aval.dtype.kind == "b":
        return _mask(item)
    if aval.dtype.kind not in "iu":
        raise IndexTypeError(
            f"arrays used as indices must be of integer (or boolean) type, got {aval}; convert it by .astype(int)"
        )
    if isinstance(item, np.ndarray) and item.ndim == 0:
        return [int(item)]
    return [_Advanced(item)]


def _mask(mask: Any) -> list[Any]:
    if isinstance(mask, Tracer):
        try:
            mask = np.asarray(mask.concrete(NonConcreteBooleanIndexError, "a boolean mask"))
        except NonConcreteBooleanIndexError:
            raise NonConcreteBooleanIndexError(
                "a boolean mask as an index selects a number of elements that depends on its values, and this mask has "
                f"none yet: it is {mask.describe()}.\nUse functrans.numpy.where(mask, x, 0) to keep the shape, "
                "x.at[...] with where for updates, or functrans.numpy.nonzero(mask, size=n) for a fixed number."
            ) from None
    if mask.ndim == 0:
        return [_Flag(mask)]
    return [_Advanced(i, n) for i, n in zip(np.nonzero(mask), mask.shape)]


def _slice_indices(item: Any, size: int) -> tuple[int, int, int]:
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


def getitem(x: Any, index: Any, mode: str = "raise", fill_value: Any = None, wrap: bool = True) -> Any:
    """`x[index]`, by NumPy's rules; `mode` says what indices out of bounds mean, `wrap=False` that negative ones are.

    >>> import numpy as np
    >>> from functrans.lax.subscript import getitem
    >>> getitem(np.arange(3), np.array([0, 5]), mode="clip")
    Array([0, 2])
    """
    if mode == "raise" and wrap and eager.is_direct(x) and (out := _getitem_direct(x, index)) is not None:
        return out
    shape = aval_of(x).shape
    if type(index) is Slice and shape and isinstance(x, Tracer):
        start, stop, step = _slice_indices(index, shape[0])
        if step > 0:  # what `x[1:]` comes to, at once
            rest = shape[1:]
            return slice(x, (start, *[0] * len(rest)), (max(start, stop), *rest), (step, *[1] * len(rest)))
    if not _has_tracer(x, index) and mode == "raise" and wrap:
        try:
            return as_array(np.asarray(x)[index])
        except (IndexError, TypeError) as error:
            parse(index, shape)  # raises what tracing would say
            raise IndexOutOfBoundsError(str(error)) from None
    s = parse(index, shape, mode, wrap)
    if 0 in s.batch and not s.arrays:
        return full(s.shape(), 0, aval_of(x).dtype)
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
    elif s.batch:
        x = reshape(x, (*s.batch, *aval_of(x).shape))  # scalar booleans alone
    indexed = {a for a, _ in s.arrays}
    labels: list[Any] = ["batch"] * len(s.batch) + [a for a in kept if a not in indexed]
    return reshape(transpose(x, _order(labels, s.layout)), s.shape())


_BASIC = {int, Slice, type(None), type(Ellipsis)}


def _getitem_direct(x: Any, index: Any) -> Any:
    """`x[index]` at plain values, where NumPy does both directions; None for other indices."""
    items = index if type(index) is tuple else (index,)
    basic = True
    for item in items:
        if type(item) not in _BASIC and not isinstance(item, np.integer):
            if not isinstance(item, np.ndarray) or item.dtype.kind not in "iub":
                return None
            basic = basic and item.dtype.kind == "b" and len(items) == 1
    value = x.value
    try:
        y = value[index]
    except IndexError:  # which `parse` explains
        return None
    shape = value.shape

    def pull(ct: Any) -> Any:
        out = np.zeros(shape, ct.dtype)
        if basic:
            out[index] = ct
        else:
            np.add.at(out, index, ct)
        return out

    return eager.step(x._trace, x.tangent, y, lambda t: getitem(t, index), pull)


def _order(labels: Sequence[Any], layout: Sequence[Any]) -> list[int]:
    """The permutation that brings labelled axes into the order of a layout."""
    out: list[int] = []
    for label in layout:
        out += [i for i, x in enumerate(labels) if x == label and type(x) is type(label)]
    return out


def _has_tracer(x: Any, index: Any) -> bool:
    items = index if isinstance(index, tuple) else (index,)
    return isinstance(x, Tracer) or any(isinstance(i, Tracer) for i in items)


# ---------------------------------------------------------------- writing


class IndexUpdate:
    """What `x.at` gives: `x.at[index]` is a place, whose methods return changed copies of `x`."""

    __slots__ = ("_x",)

    def __init__(self, x: Any):
        self._x = x

    def __getitem__(self, index: Any) -> Place:
        return Place(self._x, index)

    def __call__(self, *index: Any) -> NoReturn:
        raise IndexTypeError("x.at takes its index in brackets: x.at[i].set(v), not x.at(i)")

    def __getattr__(self, name: str) -> NoReturn:
        if name in Place.__dict__:
            raise NoSuchAttributeError(f"x.at.{name} has no place to act on: write x.at[i].{name}(v), or x.at[...]")
        raise NoSuchAttributeError(f"x.at has no attribute {name!r}; it takes an index in brackets: x.at[i].set(v)")

    def __repr__(self) -> str:
        return f"<at of {self._x!r}>"


class Place:
    """A place of an array. Each method but `get` returns the array with that place changed.

    `mode` says what indices out of bounds mean: `raise` an IndexError (the default), `drop` (or `fill`) leaves such
    updates out, `clip` and `wrap` move them inside, `promise_in_bounds` says that there are none. Where an index occurs
    twice, `add`, `multiply`, `min` and `max` take both updates, `set` one of them.

    The other options are JAX's. `wrap_negative_indices=False` makes negative indices ones out of bounds (slices are as
    ever); `indices_are_sorted` and `unique_indices` are promises; the second saves work in `divide` and `power`.
    """

    __slots__ = ("_index", "_x")

    def __init__(self, x: Any, index: Any):
        self._x = x
        self._index = index

    def __getattr__(self, name: str) -> NoReturn:
        known = {"sub": "subtract", "div": "divide", "truediv": "divide", "pow": "power", "minimum": "min",
                 "maximum": "max", "update": "set", "put": "set"}  # fmt: skip
        advice = (
            f"use {known[name]}" if name in known else f"there are {', '.join(n for n in dir(Place) if n[0] != '_')}"
        )
        raise NoSuchAttributeError(f"x.at[i] has no method {name!r}: {advice}")

    def get(self, *, mode: str | None = None, fill_value: Any = None, **hints: Any) -> Any:
        """`x[index]`, with a `mode` for indices out of bounds.

        >>> import functrans.numpy as fnp
        >>> fnp.arange(3.0).at[5].get(mode="fill", fill_value=-1.0)
        Array(-1.)
        """
        own: Any = {None: "raise", "drop": "fill"}.get(mode, mode)
        return getitem(self._x, self._index, own, fill_value, _wraps(hints))

    def set(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = values`.

        >>> import functrans.numpy as fnp
        >>> fnp.zeros(3).at[1:].set(2.0)
        Array([0., 2., 2.])
        """
        return self._update("set", values, mode, hints)

    def add(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] += values`, with all updates of a place that occurs twice.

        >>> import functrans.numpy as fnp
        >>> fnp.zeros(3).at[fnp.array([0, 2, 2])].add(1.0)
        Array([1., 0., 2.])
        """
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
        total = self._product(values, np.true_divide, mode, hints)
        return self._replace(lambda old: ew.div(old, total), mode, hints)

    def power(self, values: Any, *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] **= values`."""
        total = self._product(values, np.power, mode, hints)
        return self._replace(lambda old: ew.pow(old, total), mode, hints)

    def apply(self, ufunc: Callable[[Any], Any], *, mode: str | None = None, **hints: Any) -> Any:
        """`x[index] = ufunc(x[index])`: once, where an index occurs twice."""
        return self._replace(ufunc, mode, hints)

    def _product(self, values: Any, ufunc: Any, mode: str | None, hints: Any) -> Any:
        """Values, multiplied where an index occurs twice."""
        if _is_basic(self._index) or hints.get("unique_indices"):
            return values
        values = as_operand("an update", values)
        dtype = loop_dtypes(ufunc.__name__, ufunc, (weak_type(self._x), weak_type(values)))[1]
        place = IndexUpdate(full(aval_of(self._x).shape, 1, dtype))[self._index]
        total = place.multiply(values, mode=mode, **hints)
        return IndexUpdate(total)[self._index].get(mode=_READ_MODE.get(mode, mode), **hints)

    def _replace(self, change: Callable[[Any], Any], mode: str | None, hints: Any) -> Any:
        return self._update("set", change(self.get(mode=_READ_MODE.get(mode, mode), **hints)), mode, hints)

    def _update(self, kind: str, values: Any, mode: str | None, hints: Any) -> Any:
        own = _wraps(hints)
        mode = {None: "raise", "fill": "drop"}.get(mode, mode)
        if mode not in SCATTER_MODES:
            raise ArgumentError(f"mode of a write must be one of {', '.join(SCATTER_MODES)}, got {mode!r}")
        if mode == "raise" and own and not _has_tracer(self._x, self._index) and not isinstance(values, Tracer):
            try:
                return _update_plain(kind, self._x, self._index, values)
            except (TypeError, ValueError, IndexError):
                update(kind, self._x, self._index, values, mode)  # raises what tracing would say
                raise
        return update(kind, self._x, self._index, values, mode, own)


#: How a place is read that is to be written in a mode: elements that will be dropped may be any.
_READ_MODE: dict[str | None, str] = {"drop": "clip", "fill": "clip"}


_HINTS = ("mode", "fill_value", "indices_are_sorted", "unique_indices", "wrap_negative_indices")


def _wraps(hints: dict[str, Any]) -> bool:
    """Whether negative indices count from the end; the error for options that there are not."""
    unknown = set(hints) - {*_HINTS, "out_sharding"}
    if unknown:
        raise KeywordError(f"x.at[...] takes no option {', '.join(sorted(unknown))}; there are {', '.join(_HINTS)}")
    refuse_placement("x.at[...]", out_sharding=hints.get("out_sharding"))
    return hints.get("wrap_negative_indices", True) is not False


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
    return as_array(out)


def _is_basic(index: Any) -> bool:
    items = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, (int, np.integer, Slice)) for i in items)


def update(kind: str, x: Any, index: Any, values: Any, mode: str, wrap: bool = True) -> Any:
    """`x` with `values` combined into `x[index]`; traced."""
    shape, dtype = aval_of(x).shape, aval_of(x).dtype
    s = parse(index, shape, mode, wrap)
    values = convert_element_type(as_operand("an update", values), dtype)
    wanted = s.shape()
    extra = aval_of(values).ndim - len(wanted)
    if extra > 0 and aval_of(values).shape[:extra] == (1,) * extra:
        values = reshape(values, aval_of(values).shape[extra:])  # as NumPy's assignment
    try:
        fits = np.broadcast_shapes(aval_of(values).shape, wanted) == wanted
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"an update of shape {aval_of(values).shape} cannot be broadcast to the place of shape {wanted} that the "
            f"index selects in an array of shape {shape}"
        )
    if 0 in wanted:
        return x
    values = broadcast_to(values, wanted)
    return _update_slices(kind, x, s, values) if not s.arrays else _update_arrays(kind, x, s, values, mode)


def _to_operand_order(s: Subscript, values: Any, ndim: int) -> Any:
    """Values of a subscript without arrays as a block with an axis for each axis of the operand."""
    counts = {r.axis: r.count for r in s.ranges}
    block = reshape(values, [counts.get(a, 1) for a in range(ndim)])  # new axes have size 1, fixed ones come back
    return rev(block, [r.axis for r in s.ranges if r.step < 0 and r.count > 1])


_COMBINE = {"add": ew.add, "multiply": ew.mul, "min": ew.min, "max": ew.max}


def neutral(kind: str, dtype: np.dtype) -> Any:
    """What an update of this kind (`add`, `multiply`, `min` or `max`) leaves as it is, whatever it is."""
    if kind in ("add", "multiply"):
        return dtype.type(kind == "multiply")
    if is_inexact(dtype):
        return dtype.type(np.inf if kind == "min" else -np.inf)
    if dtype.kind == "b":
        return np.bool_(kind == "min")
    return dtype.type(np.iinfo(dtype).max if kind == "min" else np.iinfo(dtype).min)


def _update_slices(kind: str, x: Any, s: Subscript, values: Any) -> Any:
    shape, dtype = aval_of(x).shape, aval_of(x).dtype
    bounds = {r.axis: r.bounds() for r in s.ranges}
    bounds.update({a: (i, i + 1, 1) for a, i in s.fixed})
    block = _to_operand_order(s, values, len(shape))
    if kind == "set" and all(bounds[a][2] == 1 for a in range(len(shape))):
        return dynamic_update_slice(x, block, [np.int64(bounds[a][0]) for a in range(len(shape))])
    config = []
    for a, n in enumerate(shape):
        start, limit, step = bounds[a]
        config.append((start, n - limit, step - 1))
    if kind == "set":
        inside = pad(full(aval_of(block).shape, np.True_), np.False_, config)
        return ew.where(inside, pad(block, dtype.type(0), config), x)
    return _COMBINE[kind](x, pad(block, neutral(kind, dtype), config))


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
