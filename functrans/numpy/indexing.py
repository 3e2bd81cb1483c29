"""Reading and writing by indices (NumPy's reference: Indexing routines)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import wrap
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, ShapeError
from functrans.lax.indexing import take_along
from functrans.lax.subscript import getitem
from functrans.numpy.dispatch import dtype_of, implements, normalize_axis, operand, shape_of, unsupported
from functrans.numpy.manipulation import broadcast_arrays, moveaxis, ravel
from functrans.numpy.ufuncs import where


@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise", fill_value: Any = None) -> Any:
    unsupported("take", out=out)
    a, indices = operand("take", a), operand("take", indices)
    if dtype_of(indices).kind not in "iu":
        raise DTypeError(f"take: indices must be integers, got {aval_of(indices)}")
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    out_ = lax.gather(a, [lax.convert_element_type(indices, np.int64)], [axis], mode, fill_value)
    n = len(shape_of(indices))
    order = [*range(n, n + axis), *range(n), *range(n + axis, len(shape_of(out_)))]
    return lax.transpose(out_, order)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1, mode: str = "raise", fill_value: Any = None) -> Any:
    arr, indices = operand("take_along_axis", arr), operand("take_along_axis", indices)
    if axis is None:
        arr, axis = ravel(arr), 0
    if len(shape_of(arr)) != len(shape_of(indices)):
        raise ShapeError(
            f"take_along_axis: indices of shape {shape_of(indices)} must have as many axes as the array of "
            f"shape {shape_of(arr)}"
        )
    return take_along(arr, indices, normalize_axis(axis, len(shape_of(arr))), mode, fill_value)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
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
    from functrans.numpy.reductions import sum

    return sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype)


def _sized(name: str, a: Any, size: int | None) -> Any:
    if size is None:
        raise ConcretizationError(
            f"{name} of a traced array has a shape that depends on values: give the number of results as "
            f"functrans.numpy.{name}(x, size=n), or call it outside the traced function.\nThe array is {a.describe()}"
        )
    return operator.index(size)


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = 0) -> tuple[Any, ...]:
    """The indices of the elements that are not zero, one array for each axis, as `numpy.nonzero`.

    Args:
        size: how many to give, needed in traced functions; `fill_value` stands for those that there are not.

    >>> import functrans.numpy as fnp
    >>> fnp.nonzero(fnp.array([0, 3, 0, 4]), size=3)
    (Array([1, 3, 0]),)
    """
    if not isinstance(a, Tracer) and size is None:
        return tuple(wrap(i) for i in np.nonzero(np.atleast_1d(a)))
    n = _sized("nonzero", a, size)
    flat = ravel(lax.ne(operand("nonzero", a), 0))
    count = lax.cumsum(lax.convert_element_type(flat, np.int64), 0)
    total = aval_of(flat).size
    blank = lax.full((n,), total, np.int64)
    target = where(flat, count - 1, n)
    places = lax.scatter("set", blank, lax.iota(np.int64, total), [target], [0], mode="drop")
    found = places < total
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * len(shape_of(a))
    out, rest = [], places
    for m in reversed(shape_of(a)):
        out.append(rest % m)
        rest = rest // m
    return tuple(where(found, i, lax.convert_element_type(f, np.int64)) for i, f in zip(reversed(out), fills))


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """The indices of nonzero elements of the flat array, as `numpy.flatnonzero`; `size` as for `nonzero`."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = 0) -> Any:
    """The indices of nonzero elements as rows, as `numpy.argwhere`; `size` as for `nonzero`."""
    from functrans.numpy.manipulation import stack

    return stack(list(nonzero(a, size=size, fill_value=fill_value)), 1)


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    if isinstance(condition, Tracer):
        return _sized("nonzero", condition, None)
    a = operand("compress", a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    return moveaxis(lax.gather(a, [np.flatnonzero(condition)], [axis]), 0, axis)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    return compress(ravel(condition), ravel(arr))


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    from functrans.numpy.manipulation import stack

    a, *choices = broadcast_arrays(a, *choices)
    return getitem(take_along(stack(choices), lax.expand_dims(a, (0,)), 0, mode), 0)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ArgumentError(f"select: {len(condlist)} conditions and {len(choicelist)} choices")
    out = operand("select", default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        out = where(condition, choice, out)
    return out


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    x = operand("piecewise", x)
    condlist = list(condlist) if isinstance(condlist, (list, tuple)) else [condlist]
    funclist = list(funclist)
    default = funclist.pop() if len(funclist) == len(condlist) + 1 else 0
    call = lambda f: f(x, *args, **kw) if callable(f) else f
    out = lax.broadcast_to(lax.convert_element_type(call(default), dtype_of(x)), shape_of(x))
    for condition, f in zip(condlist, funclist):
        out = where(condition, lax.convert_element_type(call(f), dtype_of(x)), out)
    return out


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> Any:
    """A copy of `arr` with `values` at `indices` along an axis (`numpy.put_along_axis`, which writes in place)."""
    from functrans.lax.subscript import IndexUpdate

    shape = shape_of(indices)
    axis = normalize_axis(axis, len(shape))
    index = tuple(
        indices if d == axis else np.arange(n).reshape([-1 if i == d else 1 for i in range(len(shape))])
        for d, n in enumerate(shape)
    )
    return IndexUpdate(arr)[index].set(values)


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Any:
    """A copy of `a` with `val` on the diagonal (`numpy.fill_diagonal`, which writes in place)."""
    from functrans.lax.subscript import IndexUpdate

    n = min(shape_of(a))
    return IndexUpdate(a)[(np.arange(n),) * len(shape_of(a))].set(val)


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Any:
    out: Any = 0
    for i, n in zip(multi_index, dims):
        out = out * n + i
    return out


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    out, rest = [], operand("unravel_index", indices)
    for n in reversed(shape):
        out.append(rest % n)
        rest = rest // n
    return tuple(reversed(out))


def ix_(*args: Any) -> Any:
    """Index arrays of an open mesh, as `numpy.ix_`."""
    return tuple(wrap(i) for i in np.ix_(*args))


def tril_indices(n: int, k: int = 0, m: int | None = None) -> Any:
    """The indices of the lower triangle, as `numpy.tril_indices`."""
    return tuple(wrap(i) for i in np.tril_indices(n, k, m))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> Any:
    """The indices of the upper triangle, as `numpy.triu_indices`."""
    return tuple(wrap(i) for i in np.triu_indices(n, k, m))


def diag_indices(n: int, ndim: int = 2) -> Any:
    """The indices of the main diagonal, as `numpy.diag_indices`."""
    return tuple(wrap(i) for i in np.diag_indices(n, ndim))
