"""Sorting, searching, counting (NumPy's reference: Sorting, searching and counting)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, bfloat16, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.promotion import to_common_dtype
from functrans.numpy.dispatch import dtype_of, implements, known, normalize_axis, operand, shape_of, sized
from functrans.numpy.manipulation import ravel
from functrans.numpy.ufuncs import where


@implements(np.sort, "descending")
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: bool = False
) -> Any:
    """
    Args:
        descending: the largest first (NaN, the greatest of all, before them); as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.sort([3, 1, 2])
    Array([1, 2, 3])
    """
    a, axis = _sortable("sort", a, axis, order, kind)
    out = lax.sort(a, axis)
    return lax.rev(out, (axis,)) if descending else out


def _plain_argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    return np.argsort(a, axis, kind, order, stable=True if kind is None and stable is None else stable)


@implements(np.argsort, "descending", "dtype", eager=_plain_argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None, descending: bool = False,
    dtype: Any = None,
) -> Any:  # fmt: skip
    """
    Args:
        stable: equal elements keep their order; so they do by default too, unless a `kind` is given.
        descending: the largest first, equal elements in their order; as in JAX.
        dtype: of the indices; int64 by default.

    >>> import functrans.numpy as fnp
    >>> fnp.argsort([3, 1, 2])
    Array([1, 2, 0])
    """
    a = operand("argsort", a)
    _check_kind("argsort", kind)
    if not shape_of(a) and axis in (0, -1):
        return lax.full((1,), 0, np.int64 if dtype is None else dtype)
    a, axis = _sortable("argsort", a, axis, order, kind)
    if descending:
        n = shape_of(a)[axis]
        out = n - 1 - lax.rev(lax.argsort(lax.rev(a, (axis,)), axis), (axis,))
    else:
        out = lax.argsort(a, axis)
    return out if dtype is None else lax.convert_element_type(out, dtype)


def _check_kind(name: str, kind: Any) -> None:
    if kind is not None and not str(kind).lower().startswith(("q", "h", "m", "s")):
        raise ArgumentError(f"{name}: kind must be 'quicksort', 'heapsort', 'mergesort' or 'stable', got {kind!r:.40}")


def _sortable(name: str, a: Any, axis: Any, order: Any, kind: Any) -> tuple[Any, int]:
    a = operand(name, a)
    _check_kind(name, kind)
    if order is not None:
        raise ArgumentError(f"{name} takes no order=: arrays have no fields")
    if axis is None:
        return ravel(a), 0
    return a, normalize_axis(axis, len(shape_of(a)))


@implements(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.sort_complex([2 + 1j, 1, 2 - 1j])
    Array([1.+0.j, 2.-1.j, 2.+1.j])
    """
    a = operand("sort_complex", a)
    out = sort(a)
    own = dtype_of(a)
    if own.kind == "c":
        return out
    return lax.convert_element_type(out, np.complex64 if own.kind in "iu" and own.itemsize < 4 else np.complex128)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.lexsort(([1, 2, 1], [0, 0, -1]))
    Array([2, 0, 1])
    """
    keys = [operand("lexsort", k) for k in keys]
    if not keys:
        raise ArgumentError("lexsort needs at least one key")
    if not shape_of(keys[0]):
        return lax.full((), 0, np.int64)
    axis = normalize_axis(axis, len(shape_of(keys[0])))
    places = lax.broadcasted_iota(np.int64, shape_of(keys[0]), axis)
    return lax.sort((*reversed(keys), places), axis, num_keys=len(keys))[-1]


@implements(np.partition)
def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.partition([3, 1, 2], 0)[0]
    Array(1)
    """
    _check_selection("partition", kind, order)
    _check_kth("partition", a, kth, axis)
    return sort(a, axis)


@implements(np.argpartition)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.argpartition([3, 1, 2], 0)[0]
    Array(1)
    """
    _check_selection("argpartition", kind, order)
    _check_kth("argpartition", a, kth, axis)
    return argsort(a, axis)


def _check_selection(name: str, kind: Any, order: Any) -> None:
    if kind != "introselect":
        raise ArgumentError(f"{name}: kind must be 'introselect', got {kind!r:.40}")
    if order is not None:
        raise ArgumentError(f"{name} takes no order=: arrays have no fields")


def _check_kth(name: str, a: Any, kth: Any, axis: Any) -> None:
    shape = shape_of(operand(name, a))
    n = aval_of(a).size if axis is None else shape[normalize_axis(axis, len(shape))]
    if isinstance(kth, Tracer):
        kth.__index__()
    for k in np.atleast_1d(kth).tolist() if n else ():
        if not -n <= k < n:
            raise ArgumentError(f"{name}: kth(={k}) out of bounds ({n})")


@implements(np.searchsorted, "method")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Any:
    """
    Args:
        method: accepted for programs of JAX; it is always a binary search.

    >>> import functrans.numpy as fnp
    >>> fnp.searchsorted([1.0, 2.0, 3.0], [2.0, 2.5])
    Array([1, 2])
    """
    a, v = operand("searchsorted", a), operand("searchsorted", v)
    if len(shape_of(a)) != 1:
        raise ShapeError(f"searchsorted searches a vector, got an array of shape {shape_of(a)}")
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
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
    if dtype_of(x).kind == "c":  # R + Rj, R + nanj, nan + Rj, nan + nanj
        x, y = ([v.real, v.imag] for v in (x, y))
        keys = [[ew.isnan(v[0]), ew.isnan(v[1]), *(where(ew.isnan(p), 0.0, p) for p in v)] for v in (x, y)]
        out = None
        for a, b in reversed(list(zip(*keys))):
            out = ew.lt(a, b) if out is None else ew.lt(a, b) | (ew.eq(a, b) & out)
        return out
    if kind_of(dtype_of(x)) != "f":
        return x < y
    if dtype_of(x) == bfloat16:  # whose comparisons warn of NaN
        x, y = (lax.convert_element_type(v, np.float32) for v in (x, y))
    return (x < y) | (lax.ne(y, y) & lax.eq(x, x))


@implements(np.digitize, "method")
def digitize(x: Any, bins: Any, right: bool = False, *, method: Any = None) -> Any:
    """
    Args:
        method: accepted for programs of JAX; it is always a binary search.

    >>> import functrans.numpy as fnp
    >>> fnp.digitize([0.5, 1.5, 9.0], [0.0, 1.0, 2.0])
    Array([1, 2, 3])
    """
    x, bins = operand("digitize", x), operand("digitize", bins)
    if dtype_of(x).kind == "c":
        raise DTypeError("digitize: x may not be complex")
    if len(shape_of(bins)) != 1:
        raise ShapeError(f"digitize takes a vector of bins, got shape {shape_of(bins)}")
    steps = None if known(bins) is None else np.diff(np.asarray(known(bins), np.float64))
    if steps is not None and (steps < 0).any() and (steps > 0).any():
        raise ArgumentError("digitize: bins must be monotonically increasing or decreasing")
    n = shape_of(bins)[0]
    if n == 0:
        return lax.full(shape_of(x), 0, np.int64)
    up = searchsorted(bins, x, side="left" if right else "right")
    down = n - searchsorted(lax.rev(bins, (0,)), x, side="left" if right else "right")
    return where(bins[-1] >= bins[0], up, down)


def _plain_count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """`numpy.count_nonzero`, which in NumPy 2.1 gives a Python integer for all axes."""
    return np.asarray(np.count_nonzero(a, axis, keepdims=keepdims))


@implements(np.count_nonzero, eager=_plain_count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.count_nonzero([0, 3, 4])
    Array(2)
    """
    from functrans.numpy.reductions import sum

    return sum(lax.ne(operand("count_nonzero", a), 0), axis=axis, keepdims=keepdims, dtype=np.int64)


@implements(np.bincount, "length")
def bincount(x: Any, /, weights: Any = None, minlength: int = 0, *, length: int | None = None) -> Any:
    """
    Args:
        length: the number of bins, needed in traced functions; numbers beyond are not counted.

    >>> import functrans.numpy as fnp
    >>> fnp.bincount(fnp.array([1, 1, 3]), length=3)
    Array([0, 2, 0])
    """
    x = operand("bincount", x)
    if len(shape_of(x)) != 1:
        raise ShapeError(f"bincount takes a vector, got an array of shape {shape_of(x)}")
    if dtype_of(x).kind not in "biu":
        raise DTypeError(f"bincount takes a vector of integers, got {aval_of(x)}")
    if weights is not None and shape_of(operand("bincount", weights)) != shape_of(x):
        raise ShapeError(f"bincount: weights of shape {shape_of(weights)} for an array of shape {shape_of(x)}")
    values = known(x) if length is None else None
    if values is not None:
        length = int(np.max(values, initial=-1)) + 1
        if values.min(initial=0) < 0:
            raise ArgumentError("bincount: the numbers must not be negative")
    length = max(sized("bincount", x, length, "x, length=n"), operator.index(minlength))
    updates = lax.full(shape_of(x), 1, np.int64)
    if weights is not None:
        updates = lax.convert_element_type(operand("bincount", weights), np.float64)
    x = lax.convert_element_type(x, np.int64)
    place = where(x < 0, length, x)
    return lax.scatter("add", lax.full((length,), 0, dtype_of(updates)), updates, [place], [0], mode="drop")
