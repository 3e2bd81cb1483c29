"""Writing by indices and masks (NumPy's reference: Indexing routines, Inserting data into arrays).

NumPy writes into its argument. So do these functions with plain arrays; with `inplace=False`, which traced arrays need,
they return a new array and leave the argument as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError, TracerItemAssignmentError
from functrans.lax.subscript import IndexUpdate
from functrans.numpy.dispatch import dtype_of, has_tracer, implements, normalize_axis, operand, shape_of
from functrans.numpy.manipulation import broadcast_to, ravel
from functrans.numpy.ufuncs import where as _where

_MODES = {"raise": "raise", "clip": "clip", "wrap": "wrap", "fill": "drop", "drop": "drop", None: "raise"}


def _functional(name: str, inplace: bool, *args: Any) -> bool:
    """Whether the result is a new array; the error for traced arrays that would be written to."""
    if inplace and has_tracer(args):
        raise TracerItemAssignmentError(
            f"{name} writes into its argument, and traced arrays are immutable: write x = functrans.numpy.{name}(x, "
            "..., inplace=False)"
        )
    return not inplace


def _mode(name: str, mode: Any) -> str:
    if mode not in _MODES:
        raise ArgumentError(f"{name}: mode must be one of 'raise', 'clip', 'wrap' and 'drop', got {mode!r}")
    return _MODES[mode]


def _cycled(values: Any, places: Any) -> Any:
    """The elements of a vector at places that go around it."""
    n = shape_of(values)[0]
    return lax.gather(values, [places % n], [0], mode="promise_in_bounds")


@implements(np.put, "inplace")
def put(a: Any, ind: Any, v: Any, mode: Any = "raise", *, inplace: bool = True) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.

    >>> import functrans.numpy as fnp
    >>> fnp.put(fnp.zeros(4), [1, 2], 5.0, inplace=False)
    Array([0., 5., 5., 0.])
    """
    if not _functional("put", inplace, a, ind, v):
        return np.put(a, ind, v, mode)
    a, ind, v = operand("put", a), ravel(operand("put", ind)), ravel(operand("put", v))
    if dtype_of(ind).kind not in "iu":
        raise DTypeError(f"put: indices must be integers, got {aval_of(ind)}")
    if not aval_of(ind).size or not aval_of(v).size:
        return a
    v = _cycled(v, lax.iota(np.int64, shape_of(ind)[0]))
    out = IndexUpdate(ravel(a))[ind].set(v, mode=_mode("put", mode))
    return lax.reshape(out, shape_of(a))


@implements(np.place, "inplace")
def place(arr: Any, mask: Any, vals: Any, *, inplace: bool = True) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.

    >>> import functrans.numpy as fnp
    >>> x = fnp.arange(4)
    >>> fnp.place(x, x > 1, [7, 8], inplace=False)
    Array([0, 1, 7, 8])
    """
    if not _functional("place", inplace, arr, mask, vals):
        return np.place(arr, mask, vals)
    arr, mask, vals = operand("place", arr), operand("place", mask), ravel(operand("place", vals))
    if aval_of(mask).size != aval_of(arr).size:
        raise ShapeError(f"place: a mask of shape {shape_of(mask)} for an array of shape {shape_of(arr)}")
    if not aval_of(vals).size:
        if aval_of(arr).size:
            raise ArgumentError("place: there are no values to insert")
        return arr
    flat = lax.ne(ravel(mask), 0)
    rank = lax.cumsum(lax.convert_element_type(flat, np.int64), 0) - 1
    new = lax.convert_element_type(_cycled(vals, rank), dtype_of(arr))
    return lax.reshape(_where(flat, new, ravel(arr)), shape_of(arr))


@implements(np.putmask, "inplace")
def putmask(a: Any, mask: Any, values: Any, *, inplace: bool = True) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.

    >>> import functrans.numpy as fnp
    >>> fnp.putmask(fnp.arange(3), [True, False, True], [7, 8, 9], inplace=False)
    Array([7, 1, 9])
    """
    if not _functional("putmask", inplace, a, mask, values):
        return np.putmask(a, mask, values)
    a, mask, values = operand("putmask", a), operand("putmask", mask), ravel(operand("putmask", values))
    if aval_of(mask).size != aval_of(a).size:
        raise ShapeError(f"putmask: a mask of shape {shape_of(mask)} for an array of shape {shape_of(a)}")
    if not aval_of(values).size:
        return a
    new = lax.convert_element_type(_cycled(values, lax.iota(np.int64, aval_of(a).size)), dtype_of(a))
    return lax.reshape(_where(lax.ne(ravel(mask), 0), new, ravel(a)), shape_of(a))


@implements(np.copyto, "inplace")
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True, *, inplace: bool = True) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.

    >>> import functrans.numpy as fnp
    >>> fnp.copyto(fnp.zeros(2), [1.0, 2.0], inplace=False)
    Array([1., 2.])
    """
    if not _functional("copyto", inplace, dst, src, where):
        return np.copyto(dst, src, casting=casting, where=where)
    dst, src = operand("copyto", dst), operand("copyto", src)
    if not aval_of(src).weak and not np.can_cast(dtype_of(src), dtype_of(dst), casting):
        raise DTypeError(f"copyto: {dtype_of(src)} cannot be cast to {dtype_of(dst)} by the rule {casting!r}")
    src = broadcast_to(lax.convert_element_type(src, dtype_of(dst)), shape_of(dst))
    return src if where is True else _where(broadcast_to(where, shape_of(dst)), src, dst)


@implements(np.fill_diagonal, "inplace")
def fill_diagonal(a: Any, val: Any, wrap: bool = False, *, inplace: bool = True) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.

    >>> import functrans.numpy as fnp
    >>> fnp.fill_diagonal(fnp.zeros((2, 2)), 3.0, inplace=False)
    Array([[3., 0.],
           [0., 3.]])
    """
    if not _functional("fill_diagonal", inplace, a, val):
        return np.fill_diagonal(a, val, wrap)
    a, val = operand("fill_diagonal", a), ravel(operand("fill_diagonal", val))
    shape = shape_of(a)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ShapeError(f"fill_diagonal takes an array of at least two axes, equal if more than two, got {shape}")
    end = None if wrap or len(shape) > 2 else shape[1] * shape[1]
    step = shape[1] + 1 if len(shape) == 2 else 1 + int(np.cumprod(shape[:-1]).sum())
    places = np.arange(aval_of(a).size)[:end:step]
    if not places.size:
        return a
    new = lax.convert_element_type(_cycled(val, lax.iota(np.int64, places.size)), dtype_of(a))
    return lax.reshape(IndexUpdate(ravel(a))[places].set(new), shape)


@implements(np.put_along_axis, "inplace", "mode")
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any, inplace: bool = True, *, mode: Any = None) -> Any:
    """
    Args:
        inplace: `False` returns a new array, which traced arrays need.
        mode: what an index out of bounds does: `"raise"`, `"clip"`, `"wrap"` or `"drop"`.

    >>> import functrans.numpy as fnp
    >>> fnp.put_along_axis(fnp.zeros((2, 3)), fnp.array([[2], [0]]), 1.0, 1, inplace=False)
    Array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if not _functional("put_along_axis", inplace, arr, indices, values):
        return np.put_along_axis(arr, indices, values, axis)
    arr, indices = operand("put_along_axis", arr), operand("put_along_axis", indices)
    if axis is None:
        flat = put_along_axis(ravel(arr), indices, values, 0, False, mode=mode)
        return lax.reshape(flat, shape_of(arr))
    shape = shape_of(indices)
    if len(shape) != len(shape_of(arr)):
        raise ShapeError(f"put_along_axis: indices of shape {shape} for an array of shape {shape_of(arr)}")
    axis = normalize_axis(axis, len(shape))
    index = tuple(
        indices if d == axis else np.arange(n).reshape([-1 if i == d else 1 for i in range(len(shape))])
        for d, n in enumerate(shape_of(arr))
    )
    return IndexUpdate(arr)[index].set(values, mode=_mode("put_along_axis", mode))
