"""Reductions of an array by segments: of the messages that meet at the nodes of a graph, of ragged batches.

All four take the same arguments. What goes to no segment is dropped, so that padding may have the id `num_segments`.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax, numpy as fnp
from functrans.core.placement import refuse_placement
from functrans.errors import (
    ArgumentError,
    ConcretizationError,
    DTypeError,
    FunctransError,
    IndexOutOfBoundsError,
    ShapeError,
)
from functrans.lax.subscript import neutral
from functrans.numpy.dispatch import known

__all__ = ["segment_max", "segment_min", "segment_prod", "segment_sum"]

_MODES = ("drop", "fill", "clip", "raise", "promise_in_bounds")


def _reduced(name: str, kind: str, data: Any, segment_ids: Any, num_segments: Any, mode: Any, out_sharding: Any) -> Any:
    """A scatter of `data` into an array that is full of what changes nothing."""
    refuse_placement(name, out_sharding=out_sharding)
    data, ids = fnp.asarray(data), fnp.asarray(segment_ids)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{name} takes segment_ids of integers, got {ids.dtype}")
    if data.dtype.kind == "b" and kind in ("add", "multiply"):
        raise DTypeError(f"{name} takes numbers, got booleans; convert them (data.astype(int))")
    if data.ndim == 0 or ids.shape != data.shape[:1]:
        raise ShapeError(
            f"{name} takes a vector of segment_ids, one for each data[i]; got segment_ids of shape {ids.shape} for "
            f"data of shape {data.shape}"
        )
    if mode is None:
        mode = "drop"
    if mode not in _MODES:
        raise ArgumentError(f"{name}: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    values = known(ids) if num_segments is None or mode == "raise" else None
    if num_segments is None:
        if values is None:
            raise ConcretizationError(
                f"{name} of traced segment_ids has a shape that depends on values: give the number of segments as "
                f"{name}(data, segment_ids, num_segments=n)"
            )
        num_segments = max(int(values.max()) + 1, 0) if values.size else 0
    try:
        n = operator.index(num_segments)
    except TypeError as error:
        if isinstance(error, FunctransError):
            raise
        raise DTypeError(f"{name}: num_segments must be an integer, got {num_segments!r:.40}") from None
    if n < 0:
        raise ArgumentError(f"{name}: num_segments must not be negative, got {n}")
    if mode == "raise" and values is not None and values.min(initial=0) < 0:
        raise IndexOutOfBoundsError(f"{name}: the segment {values.min()} is not among the {n} from 0")
    if ids.dtype == np.uint64:
        ids = fnp.minimum(ids, np.uint64(np.iinfo(np.int64).max))
    ids = lax.convert_element_type(ids, np.int64)
    ids = fnp.maximum(ids, 0) if mode == "clip" else fnp.where(ids < 0, n, ids)  # -1 does not mean the last segment
    out = lax.full((n, *data.shape[1:]), neutral(kind, data.dtype), data.dtype)
    return lax.scatter(kind, out, data, [ids], [0], mode=mode)


def segment_sum(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
    out_sharding: None = None,
) -> Any:
    """The sum of the `data[i]` of each segment.

    Args:
        data: an array of shape `(n, ...)`.
        segment_ids: a vector of `n` integers, in any order: the segment to which `data[i]` belongs.
        num_segments: how many segments there are, by default the largest id and one; needed in traced functions.
        indices_are_sorted, unique_indices, bucket_size: accepted for the sake of JAX's signature; without effect.
        mode: what becomes of ids outside `[0, num_segments)`: `drop` (the default, also called `fill`), `clip` to the
            nearest segment, `raise` an IndexError, or `promise_in_bounds`: there are none. Also a
            `lax.GatherScatterMode`.
        out_sharding: `None`.

    Returns:
        An array of shape `(num_segments, ...)` with the dtype of `data`. A segment without data has the sum 0 (the
        product 1; the maximum -infinity, the minimum infinity, or for integers the extremes of the dtype).

    Raises:
        ShapeError: there is not one id for each `data[i]`.
        DTypeError: ids are no integers; sums and products of booleans.
        ArgumentError: there is no such `mode`, `num_segments` is negative.
        IndexOutOfBoundsError: an id lies outside, in the mode `raise`.
        ConcretizationError: `num_segments` is missing in a traced function.

    >>> import functrans.numpy as fnp
    >>> from functrans import ops
    >>> ops.segment_sum(fnp.array([1.0, 2.0, 4.0]), fnp.array([0, 2, 0]), num_segments=3)
    Array([5., 0., 2.])
    """
    return _reduced("segment_sum", "add", data, segment_ids, num_segments, mode, out_sharding)


def segment_prod(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
    out_sharding: None = None,
) -> Any:
    """The product of the `data[i]` of each segment; arguments and errors are those of `segment_sum`.

    >>> import functrans.numpy as fnp
    >>> from functrans import ops
    >>> ops.segment_prod(fnp.array([3.0, 2.0, 4.0]), fnp.array([0, 2, 0]), num_segments=3)
    Array([12.,  1.,  2.])
    """
    return _reduced("segment_prod", "multiply", data, segment_ids, num_segments, mode, out_sharding)


def segment_max(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
    out_sharding: None = None,
) -> Any:
    """The largest `data[i]` of each segment; arguments and errors are those of `segment_sum`.

    >>> import functrans.numpy as fnp
    >>> from functrans import ops
    >>> ops.segment_max(fnp.array([3.0, 2.0, 4.0]), fnp.array([0, 2, 0]), num_segments=3)
    Array([  4., -inf,   2.])
    """
    return _reduced("segment_max", "max", data, segment_ids, num_segments, mode, out_sharding)


def segment_min(
    data: Any,
    segment_ids: Any,
    num_segments: int | None = None,
    indices_are_sorted: bool = False,
    unique_indices: bool = False,
    bucket_size: int | None = None,
    mode: str | None = None,
    out_sharding: None = None,
) -> Any:
    """The smallest `data[i]` of each segment; arguments and errors are those of `segment_sum`.

    >>> import functrans.numpy as fnp
    >>> from functrans import ops
    >>> ops.segment_min(fnp.array([3.0, 2.0, 4.0]), fnp.array([0, 2, 0]), num_segments=3)
    Array([ 3., inf,  2.])
    """
    return _reduced("segment_min", "min", data, segment_ids, num_segments, mode, out_sharding)
