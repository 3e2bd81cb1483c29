"""Sets: distinct elements, unions, intersections, membership (NumPy's reference: Set routines).

How many elements a set has depends on values. In traced functions `size` says how many to give, and `fill_value` stands
for those that there are not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, bfloat16, is_inexact
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError
from functrans.lax.promotion import to_common_dtype
from functrans.numpy.dispatch import dtype_of, implements, known, named, normalize_axis, operand, shape_of, sized
from functrans.numpy.indexing import flatnonzero
from functrans.numpy.manipulation import concatenate, moveaxis, ravel
from functrans.numpy.ufuncs import where

# ---------------------------------------------------------------- distinct elements


@implements(np.unique, "size", "fill_value")
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None, *,
    equal_nan: bool = True, sorted: bool = True, size: int | None = None, fill_value: Any = None,
) -> Any:  # fmt: skip
    """
    Args:
        size: how many to give, needed in traced functions; `fill_value` (the smallest element by default) stands for
            those that there are not, with a count of zero and the index of the smallest.

    >>> import functrans.numpy as fnp
    >>> fnp.unique(fnp.array([3, 1, 3]), return_counts=True, size=3, fill_value=0)
    (Array([1, 3, 0]), Array([1, 2, 0]))
    """
    ar = operand("unique", ar)
    wanted = (return_index, return_inverse, return_counts)
    n = _count("unique", ar, axis, equal_nan) if size is None else sized("unique", ar, size)
    rows = shape_of(ar)
    if axis is None:
        x = ravel(ar)
        columns = [x]
    else:
        axis = normalize_axis(axis, len(rows))
        x = moveaxis(ar, axis, 0)
        flat = lax.reshape(x, (rows[axis], aval_of(x).size // max(rows[axis], 1)))
        columns = [flat[:, j] for j in range(shape_of(flat)[1])]
    total = shape_of(x)[0]
    if not total:
        empty = lax.full((0,), 0, np.int64)
        blank = lax.full((n,), 0, np.int64)
        fill = lax.convert_element_type(0 if fill_value is None else fill_value, dtype_of(ar))
        value = lax.broadcast_to(fill, (n, *shape_of(x)[1:]))
        return _results(moveaxis(value, 0, axis or 0), [blank, empty, blank], wanted)
    *keys, order = lax.sort((*columns, lax.iota(np.int64, total)), 0, num_keys=max(len(columns), 1))
    new = concatenate([lax.full((1,), True), _differ(keys, total, equal_nan and axis is None)])
    places = flatnonzero(new, size=n, fill_value=total)
    there = places < total
    first = lax.gather(order, [where(there, places, 0)], [0], mode="promise_in_bounds")
    value = lax.gather(x, [first], [0], mode="promise_in_bounds")
    if fill_value is not None:
        mask = lax.reshape(there, (n, *[1] * (len(shape_of(value)) - 1)))
        value = where(mask, value, lax.convert_element_type(fill_value, dtype_of(ar)))
    rank = lax.cumsum(lax.convert_element_type(new, np.int64), 0) - 1
    inverse = lax.scatter("set", lax.full((total,), 0, np.int64), rank, [order], [0], mode="promise_in_bounds")
    if axis is None:
        inverse = lax.reshape(inverse, rows)
    ends = concatenate([places[1:], lax.full((min(n, 1),), total, np.int64)])
    return _results(moveaxis(value, 0, axis or 0), [first, inverse, ends - places], wanted)


def _results(value: Any, others: list[Any], wanted: tuple[bool, ...]) -> Any:
    chosen = [x for x, w in zip(others, wanted) if w]
    return (value, *chosen) if chosen else value


def _differ(keys: list[Any], total: int, equal_nan: bool) -> Any:
    """For sorted columns: whether each row but the first differs from the one before."""
    out = lax.full((total - 1,), False)
    for x in keys:
        a, b = x[1:], x[:-1]
        differ = lax.ne(a, b)
        if equal_nan and is_inexact(dtype_of(x)):
            differ = differ & ~(lax.ne(a, a) & lax.ne(b, b))
        out = out | differ
    return out


def _count(name: str, ar: Any, axis: Any, equal_nan: bool) -> int:
    """The number of distinct elements, of an array that has a value."""
    values = known(ar)
    if values is None:
        return sized(name, ar, None)
    values = values.astype(np.float32) if values.dtype == bfloat16 else values  # of which NumPy leaves NaN anywhere
    return np.unique(values, axis=axis, equal_nan=equal_nan).shape[axis or 0]


# ---------------------------------------------------------------- two sets


class _Merged:
    """Two vectors sorted together, in groups of equal elements. A NaN equals no element of the other vector."""

    def __init__(self, name: str, ar1: Any, ar2: Any):
        a, b = to_common_dtype(name, [ravel(operand(name, ar1)), ravel(operand(name, ar2))])
        self.sizes = shape_of(a)[0], shape_of(b)[0]
        self.total = sum(self.sizes)
        x = concatenate([a, b])
        second = lax.iota(np.int64, self.total) >= self.sizes[0]
        self.x, second, self.order = lax.sort((x, second, lax.iota(np.int64, self.total)), 0, num_keys=2)
        new = lax.ne(self.x[1:], self.x[:-1])
        if is_inexact(dtype_of(x)):
            nan = lax.ne(self.x, self.x)
            new = new & ~(nan[1:] & nan[:-1] & lax.eq(second[1:], second[:-1]))
        self.new = concatenate([lax.full((min(self.total, 1),), True), new])
        self.group = lax.cumsum(lax.convert_element_type(self.new, np.int64), 0) - 1
        self.in_first, self.in_second = self._present(~second), self._present(second)
        self.second = second

    def _present(self, mask: Any) -> Any:
        """For each element of the sorted vector, whether its group has an element where the mask holds."""
        counts = lax.full((self.total,), 0, np.int64)
        counts = lax.scatter("add", counts, lax.convert_element_type(mask, np.int64), [self.group], [0], mode="drop")
        return lax.gather(counts, [self.group], [0], mode="promise_in_bounds") > 0 if self.total else mask

    def select(self, name: str, mask: Any, given: tuple[Any, ...], size: Any, fill_value: Any) -> tuple[Any, Any]:
        """The elements of the groups for which the mask holds, and where they stand."""
        mask = self.new & mask
        n = _size_of(name, mask, given, size)
        places = flatnonzero(mask, size=n, fill_value=self.total)
        return _filled(self.x, places, fill_value), places


def _size_of(name: str, mask: Any, given: tuple[Any, ...], size: int | None) -> int:
    values = known(mask) if size is None else None
    if values is not None:
        return int(np.count_nonzero(values))
    return sized(name, next((g for g in given if isinstance(g, Tracer)), mask), size)


def _filled(x: Any, places: Any, fill_value: Any) -> Any:
    """`x` at places; the first of them, or `fill_value`, where a place lies beyond."""
    total, n = shape_of(x)[0], shape_of(places)[0]
    if not total or not n:
        return lax.full((n,), 0 if fill_value is None else fill_value, dtype_of(x))
    out = lax.gather(x, [places], [0], mode="clip")
    if fill_value is None:
        fill_value = where(places[0] < total, out[0], dtype_of(x).type(0))
    return where(places < total, out, lax.convert_element_type(fill_value, dtype_of(x)))


@implements(np.union1d, "size", "fill_value")
def union1d(ar1: Any, ar2: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """
    Args:
        size: how many elements to give, needed in traced functions; `fill_value` (the smallest by default) stands for
            those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.union1d(fnp.array([1, 3]), fnp.array([3, 2]), size=4)
    Array([1, 2, 3, 1])
    """
    a, b = to_common_dtype("union1d", [ravel(operand("union1d", ar1)), ravel(operand("union1d", ar2))])
    both = concatenate([a, b])
    return unique(both, size=_count("union1d", both, None, True) if size is None else size, fill_value=fill_value)


@implements(np.intersect1d, "size", "fill_value")
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False, *, size: int | None = None,
    fill_value: Any = None,
) -> Any:  # fmt: skip
    """
    Args:
        size: how many elements to give, needed in traced functions; `fill_value` (the smallest by default) stands for
            those that there are not, and the sizes of the arrays for their indices.

    >>> import functrans.numpy as fnp
    >>> fnp.intersect1d(fnp.array([1, 3, 2]), fnp.array([3, 2]), size=3, fill_value=-1)
    Array([ 2,  3, -1])
    """
    m = _Merged("intersect1d", ar1, ar2)
    out, places = m.select("intersect1d", m.in_first & m.in_second, (ar1, ar2), size, fill_value)
    if not return_indices:
        return out
    n1, n2 = m.sizes
    there = places < m.total
    if not m.total:
        return out, places, places
    places = where(there, places, 0)
    first = lax.gather(m.order, [places], [0], mode="promise_in_bounds")
    own = where(m.second, m.order - n1, n2)
    earliest = lax.scatter("min", lax.full((m.total,), n2, np.int64), own, [m.group], [0], mode="drop")
    group = lax.gather(m.group, [places], [0], mode="promise_in_bounds")
    second = lax.gather(earliest, [group], [0], mode="promise_in_bounds")
    return out, where(there, first, n1), where(there, second, n2)


@implements(np.setdiff1d, "size", "fill_value")
def setdiff1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """
    Args:
        size: how many elements to give, needed in traced functions; `fill_value` (the first by default) stands for
            those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.setdiff1d(fnp.array([1, 3, 2]), fnp.array([3]), size=3, fill_value=0)
    Array([1, 2, 0])
    """
    if assume_unique:
        x = ravel(operand("setdiff1d", ar1))
        kept = isin(x, ar2, invert=True)
        places = flatnonzero(kept, size=_size_of("setdiff1d", kept, (ar1, ar2), size), fill_value=shape_of(x)[0])
        return _filled(x, places, fill_value)
    m = _Merged("setdiff1d", ar1, ar2)
    out, _ = m.select("setdiff1d", m.in_first & ~m.in_second, (ar1, ar2), size, fill_value)
    return lax.convert_element_type(out, dtype_of(operand("setdiff1d", ar1)))


@implements(np.setxor1d, "size", "fill_value")
def setxor1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, *, size: int | None = None, fill_value: Any = None
) -> Any:
    """
    Args:
        size: how many elements to give, needed in traced functions; `fill_value` (the smallest by default) stands for
            those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.setxor1d(fnp.array([1, 3, 2]), fnp.array([3, 4]), size=3)
    Array([1, 2, 4])
    """
    m = _Merged("setxor1d", ar1, ar2)
    return m.select("setxor1d", m.in_first ^ m.in_second, (ar1, ar2), size, fill_value)[0]


@implements(np.isin, "method")
def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None,
    method: str = "auto",
) -> Any:  # fmt: skip
    """
    Args:
        kind: `"sort"` or `"table"`, NumPy's methods; without effect on traced arrays.
        method: `"compare_all"` (each with each), `"binary_search"` in the sorted test elements, or `"auto"`.

    >>> import functrans.numpy as fnp
    >>> fnp.isin([1, 2, 3], [3, 1])
    Array([ True, False,  True])
    """
    if kind not in (None, "sort", "table"):
        raise ArgumentError(f"isin: kind must be None, 'sort' or 'table', got {kind!r:.40}")
    if method not in ("auto", "compare_all", "binary_search", "sort"):
        raise ArgumentError(f"isin: method must be auto, compare_all, binary_search or sort, got {method!r}")
    element, tests = operand("isin", element), ravel(operand("isin", test_elements))
    shape, m = shape_of(element), shape_of(tests)[0]
    if method == "compare_all" or m <= 16:
        found = lax.reduce_or(lax.eq(lax.reshape(element, (*shape, 1)), tests), (len(shape),))
    else:
        from functrans.numpy.sorting import searchsorted

        x, tests = to_common_dtype("isin", [element, tests])
        tests = lax.sort(tests, 0)
        place = searchsorted(tests, x)
        found = lax.eq(lax.gather(tests, [place], [0], mode="clip"), x)
    return ~found if invert else found


# ---------------------------------------------------------------- distinct elements, as in the array API standard


class UniqueAll(NamedTuple):
    """What `unique_all` gives: the values, where they occur first, which each element is, how many there are."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` gives."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` gives."""

    values: Any
    inverse_indices: Any


def _distinct(x: Any, index: bool, inverse: bool, counts: bool, size: Any, fill_value: Any) -> Any:
    """`unique` for which each NaN is distinct."""
    known_size = {} if size is None else {"size": size, "fill_value": fill_value}
    return unique(x, index, inverse, counts, equal_nan=False, **known_size)


@named
def unique_all(x: Any, *, size: int | None = None, fill_value: Any = None) -> UniqueAll:
    """The distinct elements in ascending order; the first index of each; which each element is; how many there are.

    Each NaN is distinct. As `numpy.unique_all`; `size` and `fill_value` are as for `unique`.

    >>> import functrans.numpy as fnp
    >>> fnp.unique_all(fnp.array([5, 3, 5]))
    UniqueAll(values=Array([3, 5]), indices=Array([1, 0]), inverse_indices=Array([1, 0, 1]), counts=Array([1, 2]))
    """
    value, first, inverse, counts = _distinct(x, True, True, True, size, fill_value)
    return UniqueAll(value, first, lax.reshape(inverse, shape_of(x)), counts)


@named
def unique_counts(x: Any, *, size: int | None = None, fill_value: Any = None) -> UniqueCounts:
    """The distinct elements and how many there are of each, as `numpy.unique_counts`; `size` as for `unique`.

    >>> import functrans.numpy as fnp
    >>> fnp.unique_counts([3, 1, 3])
    UniqueCounts(values=Array([1, 3]), counts=Array([1, 2]))
    """
    return UniqueCounts(*_distinct(x, False, False, True, size, fill_value))


@named
def unique_inverse(x: Any, *, size: int | None = None, fill_value: Any = None) -> UniqueInverse:
    """The distinct elements and which of them each element is, as `numpy.unique_inverse`; `size` as for `unique`.

    >>> import functrans.numpy as fnp
    >>> fnp.unique_inverse([3, 1, 3])
    UniqueInverse(values=Array([1, 3]), inverse_indices=Array([1, 0, 1]))
    """
    value, inverse = _distinct(x, False, True, False, size, fill_value)
    return UniqueInverse(value, lax.reshape(inverse, shape_of(operand("unique_inverse", x))))


@named
def unique_values(x: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """The distinct elements in ascending order, as `numpy.unique_values`; `size` as for `unique`.

    >>> import functrans.numpy as fnp
    >>> fnp.unique_values([3, 1, 3])
    Array([1, 3])
    """
    return _distinct(x, False, False, False, size, fill_value)
