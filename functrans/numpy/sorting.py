"""Sorting, searching, sets (NumPy's reference: Sorting, searching and counting)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.lax.elementwise import to_common_dtype
from functrans.numpy.dispatch import dtype_of, implements, normalize_axis, operand, shape_of, wrap_result
from functrans.numpy.manipulation import concatenate, ravel
from functrans.numpy.ufuncs import where


@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    a = operand("sort", a)
    if axis is None:
        a, axis = ravel(a), 0
    return lax.sort(a, normalize_axis(axis, len(shape_of(a))))


@implements(np.argsort)
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    a = operand("argsort", a)
    if axis is None:
        a, axis = ravel(a), 0
    return lax.argsort(a, normalize_axis(axis, len(shape_of(a))))


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    keys = [operand("lexsort", k) for k in keys]
    axis = normalize_axis(axis, len(shape_of(keys[0])))
    places = lax.broadcasted_iota(np.int64, shape_of(keys[0]), axis)
    return lax.sort((*reversed(keys), places), axis, num_keys=len(keys))[-1]


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> Any:
    return argsort(a, axis)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    a, v = operand("searchsorted", a), operand("searchsorted", v)
    if sorter is not None:
        a = lax.gather(a, [sorter], [0])
    a, v = to_common_dtype("searchsorted", [a, v])
    n = shape_of(a)[0]
    low = lax.full(shape_of(v), 0, np.int64)
    width = n
    while width > 0:  # binary search: the number of steps depends on the shape alone
        half = (width + 1) // 2
        probe = low + (half - 1)
        inside = probe < n
        value = lax.gather(a, [probe], [0], mode="clip") if n else v
        goes_right = _less(value, v) if side == "left" else ~_less(v, value)
        low = where(inside & goes_right, low + half, low)
        width = width // 2 if width > 1 else 0
    return low


def _less(x: Any, y: Any) -> Any:
    """`x < y` in the order of sorting, where NaN is greatest."""
    if dtype_of(x).kind != "f":
        return x < y
    return (x < y) | (lax.ne(y, y) & lax.eq(x, x))


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    x, bins = operand("digitize", x), operand("digitize", bins)
    n = shape_of(bins)[0]
    if n == 0:
        return lax.full(shape_of(x), 0, np.int64)
    up = searchsorted(bins, x, side="left" if right else "right")
    down = n - searchsorted(lax.rev(bins, (0,)), x, side="right" if right else "left")
    return where(bins[-1] >= bins[0], up, down)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    from functrans.numpy.reductions import sum

    return sum(lax.ne(operand("count_nonzero", a), 0), axis=axis, keepdims=keepdims, dtype=np.int64)


_np_unique: Any = np.unique


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None, *,
    equal_nan: bool = True, size: int | None = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """The sorted distinct elements, as `numpy.unique`.

    Args:
        size: how many to give, needed in traced functions; `fill_value` (the smallest element by default) stands for
            those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.unique(fnp.array([3, 1, 3]), size=3, fill_value=0)
    Array([1, 3, 0])
    """
    if not isinstance(ar, Tracer) and size is None:
        return wrap_result(_np_unique(ar, return_index, return_inverse, return_counts, axis, equal_nan=equal_nan))
    from functrans.errors import ArgumentError
    from functrans.numpy.indexing import _sized

    if axis is not None or return_index or return_inverse or return_counts:
        raise ArgumentError("unique with size= gives the distinct elements of the whole array alone")
    n = _sized("unique", ar, size)
    x = lax.sort(ravel(operand("unique", ar)))
    new = concatenate([lax.full((1,), True), lax.ne(x[1:], x[:-1])]) if aval_of(x).size else lax.full((0,), True)
    rank = lax.cumsum(lax.convert_element_type(new, np.int64), 0) - 1
    blank = lax.full((n,), 0, dtype_of(x)) + (x[0] if fill_value is None else dtype_of(x).type(fill_value))
    return lax.scatter("set", blank, x, [where(new, rank, n)], [0], mode="drop")


@implements(np.isin)
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    element, tests = operand("isin", element), ravel(operand("isin", test_elements))
    shape = shape_of(element)
    same = lax.eq(lax.reshape(element, (*shape, 1)), tests)
    found = lax.reduce_or(same, (len(shape),))
    return ~found if invert else found


@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0, *, length: int | None = None) -> Any:
    x = operand("bincount", x)
    if length is None:
        from functrans.numpy.indexing import _sized

        if isinstance(x, Tracer):
            _sized("bincount", x, None)
        length = max(int(np.max(x, initial=-1)) + 1, minlength)
    length = max(operator.index(length), minlength)
    updates = lax.full(shape_of(x), 1, np.int64) if weights is None else operand("bincount", weights)
    blank = lax.full((length,), 0, dtype_of(updates))
    return lax.scatter("add", blank, updates, [lax.convert_element_type(x, np.int64)], [0], mode="drop")


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    a = ravel(operand("histogram", a))
    edges = histogram_bin_edges(a, bins, range)
    n = shape_of(edges)[0] - 1
    place = searchsorted(edges, a, side="right") - 1
    place = where(lax.eq(a, edges[-1]), n - 1, place)
    outside = (a < edges[0]) | (a > edges[-1])
    updates = lax.full(shape_of(a), 1, np.int64) if weights is None else ravel(operand("histogram", weights))
    counts = lax.scatter(
        "add", lax.full((n,), 0, dtype_of(updates)), updates, [where(outside, n, place)], [0], mode="drop"
    )
    if density:
        from functrans.numpy.reductions import diff, sum

        return counts / diff(edges) / sum(counts), edges
    return counts, edges


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    if not isinstance(bins, (int, np.integer)):
        return operand("histogram", bins)
    from functrans.numpy.creation import linspace
    from functrans.numpy.reductions import max, min

    low, high = range if range is not None else (min(a), max(a))
    flat = lax.eq(operand("histogram", low), high)
    return linspace(where(flat, low - 0.5, low), where(flat, high + 0.5, high), int(bins) + 1)
