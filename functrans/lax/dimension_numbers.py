"""`gather` and `scatter*` as `jax.lax` has them: windows at computed places, described by dimension numbers.

Each is a call of the primitives of `indexing.py` with an index array for each axis. Where no dimension numbers are
given, the functions take the simpler arguments of that module.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew, indexing
from functrans.lax.broadcasting import broadcast_to, broadcasted_iota
from functrans.lax.conversion import convert_element_type
from functrans.lax.structural import reshape, slice_in_dim, transpose

# ---------------------------------------------------------------- dimension numbers and modes


class GatherDimensionNumbers(NamedTuple):
    """Which axes of operand, start indices and result of `gather` go with each other.

    Args:
        offset_dims: the axes of the result along which windows lie.
        collapsed_slice_dims: axes of the operand along which windows have size one, and which the result lacks.
        start_index_map: the axes of the operand that the entries of a start index are for.
        operand_batching_dims, start_indices_batching_dims: axes of operand and indices that run together.

    >>> import functrans as ft, numpy as np
    >>> numbers = ft.lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> ft.lax.gather(np.array([[1, 2], [3, 4]]), np.array([[1], [0]]), numbers, (1, 2))
    Array([[3, 4],
           [1, 2]])
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()


class ScatterDimensionNumbers(NamedTuple):
    """Which axes of operand, scatter indices and updates of `scatter` go with each other.

    Args:
        update_window_dims: the axes of the updates along which windows lie.
        inserted_window_dims: axes of the operand along which windows have size one, and which the updates lack.
        scatter_dims_to_operand_dims: the axes of the operand that the entries of a scatter index are for.
        operand_batching_dims, scatter_indices_batching_dims: axes of operand and indices that run together.

    >>> import functrans as ft, numpy as np
    >>> numbers = ft.lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> ft.lax.scatter_add(np.zeros(3), np.array([[1]]), np.array([5.0]), numbers)
    Array([0., 5., 0.])
    """

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()


class GatherScatterMode(enum.StrEnum):
    """What a window that reaches beyond the operand means; each is equal to the string that names it.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.GatherScatterMode.CLIP.name
    'CLIP'
    """

    CLIP = "clip"
    FILL_OR_DROP = "fill"
    PROMISE_IN_BOUNDS = "promise_in_bounds"

    @staticmethod
    def from_any(value: Any) -> GatherScatterMode:
        if value is None:
            return GatherScatterMode.FILL_OR_DROP
        if isinstance(value, GatherScatterMode):
            return value
        return GatherScatterMode(_mode_name("gather", value))


_MODES = {"drop": "fill", "fill_or_drop": "fill"}


def _mode_name(what: str, mode: Any) -> str:
    if mode is None:
        return "fill"
    name = mode.value if isinstance(mode, GatherScatterMode) else _MODES.get(mode, mode)
    if name not in ("clip", "fill", "promise_in_bounds", "raise"):
        raise ArgumentError(
            f"mode of {what} must be 'clip', 'fill' (or 'drop'), 'promise_in_bounds', 'raise' or a GatherScatterMode, "
            f"got {mode!r}"
        )
    return name


# ---------------------------------------------------------------- places


def _starts(
    what: str, start_indices: Any, axes: Sequence[int], shape: Sequence[int], sizes: Sequence[int],
    batching: Sequence[int], index_batching: Sequence[int],
) -> tuple[list[Any], tuple[int, ...]]:  # fmt: skip
    """The start of the windows along each axis (`None` where all start at zero), and the shape of the batch."""
    given = aval_of(start_indices)
    if given.dtype.kind not in "iu":
        raise DTypeError(f"{what}: indices must be integers, got {given}")
    if not given.shape or given.shape[-1] != len(axes):
        raise ShapeError(
            f"{what}: indices of shape {given.shape} for {len(axes)} axes {tuple(axes)}: the last axis holds an index "
            "for each"
        )
    if len(set(axes)) != len(axes) or not all(0 <= a < len(shape) for a in axes):
        raise ShapeError(f"{what}: {tuple(axes)} are not distinct axes of an operand of shape {tuple(shape)}")
    if any(m > n or m < 0 for m, n in zip(sizes, shape)):
        raise ShapeError(f"{what}: windows of shape {tuple(sizes)} do not fit an operand of shape {tuple(shape)}")
    batch = given.shape[:-1]
    last = len(batch)
    starts: list[Any] = [None] * len(shape)
    for j, a in enumerate(axes):
        entry = reshape(slice_in_dim(start_indices, j, j + 1, axis=last), batch)
        starts[a] = convert_element_type(entry, np.int64)
    for a, i in zip(batching, index_batching):
        starts[a] = broadcasted_iota(np.int64, batch, i)
    return starts, batch


def _inside(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> Any:
    """Which windows lie within the operand; `None` if all do."""
    found = None
    for s, n, m in zip(starts, shape, sizes):
        if s is not None:
            good = ew.bitwise_and(ew.ge(s, 0), ew.le(s, n - m))
            found = good if found is None else ew.bitwise_and(found, good)
    return found


def _clamped(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> list[Any]:
    return [
        None if s is None else ew.max(ew.min(s, np.int64(n - m)), np.int64(0)) for s, n, m in zip(starts, shape, sizes)
    ]


def _places(
    starts: Sequence[Any], batch: tuple[int, ...], shape: Sequence[int], sizes: Sequence[int], kept: Sequence[int]
) -> tuple[list[Any], list[int], list[int]]:
    """Index arrays of the batch's shape and the indexed windows', the axes they are for, and those read whole."""
    whole = [a for a in kept if starts[a] is None and sizes[a] == shape[a]]
    windows = [a for a in kept if a not in whole]
    full = (*batch, *(sizes[a] for a in windows))
    indexed = [a for a in range(len(shape)) if a not in whole]
    out = []
    for a in indexed:
        start = np.int64(0) if starts[a] is None else reshape(starts[a], (*batch, *[1] * len(windows)))
        if a in windows:
            start = ew.add(start, broadcasted_iota(np.int64, _only(full, len(batch) + windows.index(a)),
                                                   len(batch) + windows.index(a)))  # fmt: skip
        out.append(broadcast_to(start, full))
    return out, indexed, [*windows, *whole]


def _only(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(n if i == axis else 1 for i, n in enumerate(shape))


# ---------------------------------------------------------------- gather


def gather(
    operand: Any,
    start_indices: Any,
    dimension_numbers: Any = None,
    slice_sizes: Any = None,
    *,
    unique_indices: bool = False,
    indices_are_sorted: bool = False,
    mode: Any = None,
    fill_value: Any = None,
    axes: Sequence[int] | None = None,
) -> Any:
    """Windows of an array that start at computed indices, or elements at index arrays.

    As in JAX, with `GatherDimensionNumbers`; or in a simpler form, `gather(x, indices, axes, mode=...)`, with one index
    array for each axis of `axes` (a sequence of integers), all of one shape: the result has that shape, then the other
    axes of `x`.

    Args:
        operand: an array.
        start_indices: integers; the last axis holds an index for each axis of `start_index_map`.
        dimension_numbers: `GatherDimensionNumbers`.
        slice_sizes: the size of the windows along each axis of the operand.
        unique_indices, indices_are_sorted: accepted.
        mode: what a window that reaches beyond the operand means: `fill` with `fill_value` (by default NaN, the
            smallest signed or largest unsigned integer, or True), `clip` (move the start so that it lies inside),
            `promise_in_bounds`, `raise`. With dimension numbers `fill` is the default, as in JAX, and negative indices
            lie beyond; in the simpler form `raise` is, negative indices count from the end, and there is `wrap`.
        fill_value: a scalar.
        axes: the simpler form's axes, by name.

    >>> import functrans.lax as lax, numpy as np
    >>> numbers = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
    >>> lax.gather(np.arange(6.0).reshape(3, 2), np.array([[2], [5]]), numbers, slice_sizes=(1, 2))
    Array([[ 4.,  5.],
           [nan, nan]])
    >>> lax.gather(np.arange(6).reshape(2, 3), [np.array([0, 2])], [1])
    Array([[0, 3],
           [2, 5]])
    """
    if not isinstance(dimension_numbers, GatherDimensionNumbers):
        axes = dimension_numbers if axes is None else axes
        if axes is None:
            raise ArgumentError("gather needs GatherDimensionNumbers and slice_sizes, or axes")
        mode = slice_sizes if mode is None and isinstance(slice_sizes, str) else mode
        return indexing.gather(operand, start_indices, axes, "raise" if mode is None else mode, fill_value)
    n = dimension_numbers
    shape, sizes = aval_of(operand).shape, tuple(slice_sizes or ())
    if len(sizes) != len(shape):
        raise ShapeError(f"gather: slice_sizes {sizes} for an operand of shape {shape}; each axis needs one")
    gone = {*n.collapsed_slice_dims, *n.operand_batching_dims}
    if any(sizes[a] > 1 for a in gone):
        raise ShapeError(f"gather: windows of shape {sizes} must have size one along the axes {tuple(sorted(gone))}")
    starts, batch = _starts(
        "gather", start_indices, n.start_index_map, shape, sizes, n.operand_batching_dims, n.start_indices_batching_dims
    )
    kept = [a for a in range(len(shape)) if a not in gone]
    if len(n.offset_dims) != len(kept):
        raise ShapeError(f"gather: offset_dims {n.offset_dims} for windows along the axes {tuple(kept)}")
    kind = _mode_name("gather", mode)
    mask = _inside(starts, shape, sizes) if kind == "fill" else None
    if kind in ("fill", "clip"):
        starts, kind = _clamped(starts, shape, sizes), "promise_in_bounds"
    places, indexed, order = _places(starts, batch, shape, sizes, kept)
    if indexed:
        if any(shape[a] == 0 for a in indexed):  # only windows of no elements, or none, fit
            out = broadcast_to(aval_of(operand).dtype.type(0), (*batch, *(sizes[a] for a in order)))
        else:
            out = indexing.gather(operand, places, indexed, kind)
    else:
        out = broadcast_to(operand, (*batch, *(sizes[a] for a in order)))
    if mask is not None:
        mask = reshape(mask, (*batch, *[1] * len(kept)))
        dtype = aval_of(operand).dtype
        blank = indexing._fill(dtype, None if fill_value is None else dtype.type(fill_value))
        out = ew.select_n.bind(broadcast_to(mask, aval_of(out).shape), broadcast_to(blank, aval_of(out).shape), out)
    return transpose(out, _order(len(batch), [order.index(a) for a in kept], n.offset_dims))


def _order(n_batch: int, windows: Sequence[int], offset_dims: Sequence[int]) -> list[int]:
    """The permutation of batch axes, then window axes, that puts window `i` at `offset_dims[i]`."""
    total = n_batch + len(windows)
    at = dict(zip(offset_dims, windows))
    if len(at) != len(windows) or not all(0 <= d < total for d in at):
        raise ShapeError(f"{tuple(offset_dims)} are not distinct axes of a result of {total} axes")
    rest = iter(range(n_batch))
    return [n_batch + at[d] if d in at else next(rest) for d in range(total)]


# ---------------------------------------------------------------- scatter


def _scatter(kind: str, operand: Any, indices: Any, updates: Any, n: ScatterDimensionNumbers, mode: Any) -> Any:
    what = "scatter" if kind == "set" else f"scatter_{kind}"
    shape, given = aval_of(operand).shape, aval_of(updates).shape
    gone = {*n.inserted_window_dims, *n.operand_batching_dims}
    kept = [a for a in range(len(shape)) if a not in gone]
    if len(n.update_window_dims) != len(kept) or not all(0 <= d < len(given) for d in n.update_window_dims):
        raise ShapeError(
            f"{what}: update_window_dims {n.update_window_dims} of updates of shape {given}, for windows along the "
            f"axes {tuple(kept)}"
        )
    at = dict(zip(kept, n.update_window_dims))
    sizes = [given[at[a]] if a in at else 1 for a in range(len(shape))]
    starts, batch = _starts(
        what, indices, n.scatter_dims_to_operand_dims, shape, sizes, n.operand_batching_dims,
        n.scatter_indices_batching_dims,
    )  # fmt: skip
    if tuple(given[d] for d in range(len(given)) if d not in n.update_window_dims) != batch:
        raise ShapeError(f"{what}: updates of shape {given} for indices of shape {aval_of(indices).shape}")
    name = _mode_name(what, mode)
    if name == "fill":
        mask = _inside(starts, shape, sizes)
        starts = [s if s is None else ew.where(mask, s, np.int64(n)) for s, n in zip(starts, shape)]
        name = "drop"
    elif name == "clip":
        starts, name = _clamped(starts, shape, sizes), "promise_in_bounds"
    places, indexed, order = _places(starts, batch, shape, sizes, kept)
    if not indexed:  # a window as large as the operand
        places, indexed = [np.zeros((), np.int64)], [0]
        if not shape:
            return _scatter_scalar(kind, operand, updates, batch)
        places = [broadcast_to(broadcasted_iota(np.int64, shape[:1], 0), (*batch, shape[0]))]
        order = [0, *(a for a in order if a != 0)]
    rest = [d for d in range(len(given)) if d not in n.update_window_dims]
    updates = transpose(updates, [*rest, *(at[a] for a in order)])
    if aval_of(updates).weak or aval_of(updates).dtype != aval_of(operand).dtype:
        if not aval_of(updates).weak:
            raise DTypeError(f"{what}: updates {aval_of(updates)} into an operand {aval_of(operand)}; convert them")
        updates = convert_element_type(updates, aval_of(operand).dtype)
    return indexing.scatter(kind, operand, updates, places, indexed, name)


def _scatter_scalar(kind: str, operand: Any, updates: Any, batch: tuple[int, ...]) -> Any:
    zero = broadcast_to(np.int64(0), batch)
    return reshape(indexing.scatter(kind, reshape(operand, (1,)), updates, [zero], [0], "promise_in_bounds"), ())


def _public(kind: str, what: str, example: str) -> Any:
    def scatter(
        operand: Any,
        scatter_indices: Any,
        updates: Any,
        dimension_numbers: ScatterDimensionNumbers,
        *,
        indices_are_sorted: bool = False,
        unique_indices: bool = False,
        mode: Any = None,
    ) -> Any:
        if not isinstance(dimension_numbers, ScatterDimensionNumbers):
            raise ArgumentError(f"{scatter.__name__} takes ScatterDimensionNumbers, got {dimension_numbers!r:.60}")
        updates = ew.neg(updates) if kind == "sub" else updates
        return _scatter("add" if kind == "sub" else kind, operand, scatter_indices, updates, dimension_numbers, mode)

    scatter.__name__ = scatter.__qualname__ = {"multiply": "scatter_mul", "set": "scatter"}.get(kind, f"scatter_{kind}")
    scatter.__doc__ = f"""{what} windows of an array that start at computed indices.

    Args:
        operand: an array; it is not changed.
        scatter_indices: integers; the last axis holds an index for each axis of `scatter_dims_to_operand_dims`.
        updates: the windows.
        dimension_numbers: `ScatterDimensionNumbers`.
        indices_are_sorted, unique_indices: accepted.
        mode: what a window that reaches beyond the operand means: `drop` it (the default), `clip` (move the start so
            that it lies inside), `promise_in_bounds`, `raise`.

    >>> import functrans.lax as lax, numpy as np
    >>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.{scatter.__name__}(np.array([1.0, 2.0, 3.0]), np.array([[1], [9]]), np.array([4.0, 5.0]), numbers)
    {example}
    """
    return scatter


scatter_add = _public("add", "Updates added to", "Array([1., 6., 3.])")
scatter_sub = _public("sub", "Updates subtracted from", "Array([ 1., -2.,  3.])")
scatter_mul = _public("multiply", "Updates multiplied into", "Array([1., 8., 3.])")
scatter_min = _public("min", "Minima of updates and", "Array([1., 2., 3.])")
scatter_max = _public("max", "Maxima of updates and", "Array([1., 4., 3.])")
_scatter_set = _public("set", "Updates in place of", "Array([1., 4., 3.])")


def scatter(*args: Any, **kwargs: Any) -> Any:
    """Windows of an array replaced, at computed indices; or updates combined into it at index arrays.

    As in JAX, `scatter(operand, scatter_indices, updates, dimension_numbers, *, indices_are_sorted, unique_indices,
    mode)`, whose arguments are those of `scatter_add`; or in a simpler form, `scatter(kind, x, updates, indices, axes,
    mode="raise")`, where `kind` is `"set"`, `"add"`, `"multiply"`, `"min"` or `"max"`, and the others are as for the
    simpler form of `gather`.

    >>> import functrans.lax as lax, numpy as np
    >>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter(np.array([1.0, 2.0, 3.0]), np.array([[1]]), np.array([4.0]), numbers)
    Array([1., 4., 3.])
    >>> lax.scatter("add", np.zeros(3), np.ones(2), [np.array([1, 1])], [0])
    Array([0., 2., 0.])
    """
    kind = args[0] if args else kwargs.get("kind")
    return indexing.scatter(*args, **kwargs) if isinstance(kind, str) else _scatter_set(*args, **kwargs)


def scatter_apply(
    operand: Any,
    scatter_indices: Any,
    func: Callable[[Any], Any],
    dimension_numbers: ScatterDimensionNumbers,
    *,
    update_shape: Sequence[int] = (),
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    mode: Any = None,
) -> Any:
    """`func` applied to the elements of windows at computed indices, once to each element.

    Args:
        operand, scatter_indices, dimension_numbers, mode: as for `scatter_add`.
        func: an elementwise function.
        update_shape: the shape that updates would have.
        indices_are_sorted, unique_indices: accepted.

    >>> import functrans.lax as lax, numpy as np
    >>> numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    >>> lax.scatter_apply(np.array([1.0, 2.0, 3.0]), np.array([[1], [2]]), np.square, numbers, update_shape=(2,))
    Array([1., 4., 9.])
    """
    marks = broadcast_to(np.int64(1), tuple(update_shape))
    blank = broadcast_to(np.int64(0), aval_of(operand).shape)
    touched = _scatter("set", blank, scatter_indices, marks, dimension_numbers, mode)
    return ew.where(ew.ne(touched, 0), convert_element_type(func(operand), aval_of(operand).dtype), operand)


__all__ = [
    "GatherDimensionNumbers", "GatherScatterMode", "ScatterDimensionNumbers", "gather", "scatter", "scatter_add",
    "scatter_apply", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub",
]  # fmt: skip
