"""Sorting: `sort` of several operands by the first ones, `argsort`, `top_k`."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, bfloat16
from functrans.core.primitive import Axis, Primitive
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.broadcasting import broadcasted_iota
from functrans.lax.indexing import take_along
from functrans.lax.structural import canonical_axis, rev, slice_in_dim
from functrans.transforms.batching import batch_first

#: Arrays with fewer elements are sorted by NumPy's stable sort.
MANY = 1024


def _impl(*operands: Any, dimension: int, num_keys: int, is_stable: bool) -> list[Any]:
    arrays = [np.asarray(x) for x in operands]
    _abstract(*map(aval_of, arrays), dimension=dimension, num_keys=num_keys, is_stable=is_stable)
    keys = [x.astype(np.float32) if x.dtype == bfloat16 else x for x in arrays[:num_keys]]  # it leaves NaN anywhere
    if len(arrays) == 1:
        kind: Any = "stable" if is_stable and _tells_equals_apart(keys[0]) else None
        return [wrap(np.sort(keys[0], dimension, kind=kind).astype(arrays[0].dtype, copy=False))]
    if num_keys > 1:
        order = np.lexsort(keys[::-1], dimension)
    else:
        order = _stable_order(keys[0], dimension) if is_stable else np.argsort(keys[0], dimension)
    return [wrap(np.take_along_axis(x, order, dimension)) for x in arrays]


def _tells_equals_apart(x: np.ndarray) -> bool:
    """Whether equal numbers differ: zeros by their signs. NumPy's sorts that are not stable use vectors."""
    if x.dtype.kind != "f":
        return x.dtype.kind not in "biu"
    negative = np.signbit(x[x == 0])
    return bool(negative.any() and not negative.all())


def _stable_order(x: np.ndarray, axis: int) -> np.ndarray:
    """The indices that sort stably: by another order, with runs of equals put right where they are few."""
    if x.dtype.kind not in "fiu" or x.dtype.itemsize < 4 or x.size < MANY:
        return np.argsort(x, axis, kind="stable")
    if x.dtype.kind in "iu":
        least = x.min()
        if int(x.max()) - int(least) < 1 << 16:  # NumPy sorts short integers by their digits
            return np.argsort((x - least).astype(np.uint16), axis, kind="stable")
    rows = np.moveaxis(x, axis, -1)
    order = np.argsort(rows, -1)
    ordered = np.take_along_axis(rows, order, -1)
    same = ordered[..., 1:] == ordered[..., :-1]
    if x.dtype.kind == "f":
        same |= np.isnan(ordered[..., :-1])  # all that follow one are
    first = np.ones(rows.shape, bool)
    first[..., 1:] = ~same
    equal = ~first
    equal[..., :-1] |= same
    places = np.flatnonzero(equal)
    if places.size > x.size // 8:
        return np.argsort(x, axis, kind="stable")
    flat = np.ascontiguousarray(order).reshape(-1)
    among = flat[places]
    flat[places] = among[np.lexsort((among, np.cumsum(first)[places]))]
    return np.moveaxis(flat.reshape(rows.shape), -1, axis)


def _abstract(*avals: ShapedArray, dimension: int, num_keys: int, is_stable: bool) -> list[ShapedArray]:
    for a in avals:
        if a.shape != avals[0].shape:
            raise ShapeError(f"sort: operands of shapes {[a.shape for a in avals]} must have one shape")
    if not 1 <= num_keys <= len(avals):
        raise ArgumentError(f"sort: num_keys={num_keys} of {len(avals)} operands; there must be at least one key")
    return [a.strong() for a in avals]


def _jvp(primals: Any, tangents: Any, *, dimension: int, num_keys: int, is_stable: bool) -> Any:
    shape = aval_of(primals[0]).shape
    places = broadcasted_iota(np.int64, shape, dimension)
    *outs, order = sort_p.bind(*primals, places, dimension=dimension, num_keys=num_keys, is_stable=is_stable)
    moved = [None if t is None else take_along(t, order, dimension, mode="promise_in_bounds") for t in tangents]
    return outs, moved


def _batch(axis: Axis, args: Any, dims: Any, *, dimension: int, **params: Any) -> Any:
    operands = [batch_first(axis, x, d) for x, d in zip(args, dims)]
    return sort_p.bind(*operands, dimension=dimension + 1, **params), [0] * len(operands)


sort_p = Primitive("sort", multiple_results=True)
sort_p.impl = _impl
sort_p.abstract_eval = _abstract
sort_p.jvp = _jvp
sort_p.batch = _batch


def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """Sort along an axis; of a sequence of arrays, all in the order of the first `num_keys`. NaN comes last.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.sort((np.array([2, 1]), np.array([10.0, 20.0])))
    (Array([1, 2]), Array([20., 10.]))
    """
    several = isinstance(operand, (tuple, list))
    operands = tuple(operand) if several else (operand,)
    axis = canonical_axis(dimension, aval_of(operands[0]).ndim)
    outs = sort_p.bind(*operands, dimension=axis, num_keys=num_keys, is_stable=bool(is_stable))
    return tuple(outs) if several else outs[0]


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """`keys` sorted, and `values` in the same order.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.sort_key_val(np.array([2, 1]), np.array([10.0, 20.0]))
    (Array([1, 2]), Array([20., 10.]))
    """
    return sort((keys, values), dimension, is_stable)


def argsort(operand: Any, dimension: int = -1, is_stable: bool = True) -> Any:
    """The indices that sort an array along an axis (int64).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.argsort(np.array([3.0, np.nan, 1.0]))
    Array([2, 0, 1])
    """
    aval = aval_of(operand)
    axis = canonical_axis(dimension, aval.ndim)
    return sort((operand, broadcasted_iota(np.int64, aval.shape, axis)), axis, is_stable)[1]


def _chosen(name: str, aval: ShapedArray, k: int, axis: int) -> tuple[int, int, int]:
    """The axis, its size, and how many elements along it are chosen."""
    axis = canonical_axis(axis, aval.ndim)
    n, k = aval.shape[axis], operator.index(k)
    if not 0 <= k <= n:
        raise ShapeError(f"{name}: k={k} of an axis of size {n}")
    return axis, n, k


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The `k` largest elements along an axis, in descending order, and their indices.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.top_k(np.array([3.0, 1.0, 2.0]), 2)
    (Array([3., 2.]), Array([0, 2]))
    """
    aval = aval_of(operand)
    axis, n, k = _chosen("top_k", aval, k, axis)
    # reversed, so that among equals the first comes first after the final reversal
    flipped = rev(operand, (axis,))
    places = rev(broadcasted_iota(np.int64, aval.shape, axis), (axis,))
    values, indices = sort((flipped, places), axis)
    return tuple(rev(slice_in_dim(x, n - k, n, axis=axis), (axis,)) for x in (values, indices))


def approx_max_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The `k` largest elements along an axis and their indices, as `top_k`: exact, so the recall is 1.

    `recall_target`, `reduction_input_size_override` and `aggregate_to_topk` are accepted.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.approx_max_k(np.array([3.0, 1.0, 2.0]), 2)
    (Array([3., 2.]), Array([0, 2]))
    """
    return top_k(operand, k, axis=reduction_dimension)


def approx_min_k(
    operand: Any,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Any, Any]:
    """The `k` smallest elements along an axis, in ascending order, and their indices: exact, as `approx_max_k`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.approx_min_k(np.array([3.0, 1.0, 2.0]), 2)
    (Array([1., 2.]), Array([1, 2]))
    """
    aval = aval_of(operand)
    axis, _, k = _chosen("approx_min_k", aval, k, reduction_dimension)
    values, places = sort((operand, broadcasted_iota(np.int64, aval.shape, axis)), axis)
    return slice_in_dim(values, 0, k, axis=axis), slice_in_dim(places, 0, k, axis=axis)
