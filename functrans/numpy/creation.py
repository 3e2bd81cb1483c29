"""Making arrays (NumPy's reference: Array creation routines).

Inside a staged function these are equations, so that a large array of zeros costs nothing until it is needed.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import wrap
from functrans.core.avals import aval_of, bfloat16, inexact_dtype, is_inexact
from functrans.core.placement import refuse_placement
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.promotion import as_operand, common_dtype, from_outside, weak_type
from functrans.numpy.dispatch import (
    check_order,
    creates,
    dtype_of,
    has_tracer,
    holds_bfloat16,
    implements,
    on_cpu,
    operand,
    shape_of,
    wrap_result,
)


@creates(np.zeros)
def zeros(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.zeros((2, 2))
    Array([[0., 0.],
           [0., 0.]])
    """
    on_cpu(device)
    check_order("zeros", order)
    return lax.full(canonical_shape(shape), 0, float if dtype is None else dtype)


@creates(np.ones)
def ones(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.ones(3)
    Array([1., 1., 1.])
    """
    on_cpu(device)
    check_order("ones", order)
    return lax.full(canonical_shape(shape), 1, float if dtype is None else dtype)


@creates(np.empty)
def empty(shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.empty((2, 3)).shape
    (2, 3)
    """
    on_cpu(device)
    check_order("empty", order)
    return lax.full(canonical_shape(shape), 0, float if dtype is None else dtype)


@creates(np.full)
def full(
    shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.full((2, 2), 7)
    Array([[7, 7],
           [7, 7]])
    """
    on_cpu(device)
    check_order("full", order)
    fill_value = as_operand("full", fill_value)
    dtype = dtype_of(fill_value) if dtype is None else np.dtype(dtype)
    return lax.broadcast_to(lax.convert_element_type(fill_value, dtype), canonical_shape(shape))


def _like(a: Any, dtype: Any, shape: Any) -> tuple[Any, Any]:
    a = operand("zeros_like", a)
    return (shape_of(a) if shape is None else canonical_shape(shape)), dtype_of(a) if dtype is None else dtype


@creates(np.zeros_like)
def zeros_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.zeros_like([1.5, 2.5])
    Array([0., 0.])
    """
    on_cpu(device)
    check_order("zeros_like", order)
    return zeros(*_like(a, dtype, shape))


@creates(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.ones_like([1.5, 2.5])
    Array([1., 1.])
    """
    on_cpu(device)
    check_order("ones_like", order)
    return ones(*_like(a, dtype, shape))


@creates(np.empty_like)
def empty_like(
    prototype: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *, device: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.empty_like([1.0, 2.0]).shape
    (2,)
    """
    on_cpu(device)
    check_order("empty_like", order)
    return zeros(*_like(prototype, dtype, shape))


@creates(np.full_like)
def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: Any = True, shape: Any = None, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.full_like([1.0, 2.0], 7)
    Array([7., 7.])
    """
    on_cpu(device)
    check_order("full_like", order)
    size, dtype = _like(a, dtype, shape)
    return full(size, fill_value, dtype)


@creates(np.arange)
def arange(
    start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None, like: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.arange(1, 10, 3)
    Array([1, 4, 7])
    """
    on_cpu(device)
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    for bound in (start, stop, step):
        if isinstance(bound, Tracer):  # an error that says why, unless it has a value
            bound.__index__()
    like = np.arange(start, start, step, dtype)  # type: ignore[call-overload]
    if like.dtype.kind in "iu" and all(isinstance(v, (int, np.integer)) for v in (start, stop, step)):
        n = len(range(int(start), int(stop), int(step)))
        counting = lax.iota(like.dtype, n)
        if step != 1:
            counting = counting * like.dtype.type(step)
        return counting + like.dtype.type(start) if start != 0 else counting
    return wrap(np.arange(start, stop, step, dtype))  # type: ignore[call-overload]


@creates(np.linspace)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.linspace(0.0, 1.0, 5)
    Array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    on_cpu(device)
    num = operator.index(num)
    if not has_tracer((start, stop)) and not holds_bfloat16((start, stop)):
        out = np.linspace(start, stop, num, endpoint, True, dtype, axis)  # type: ignore[call-overload]
        return (wrap(out[0]), wrap(out[1])) if retstep else wrap(out[0])
    start, stop = operand("linspace", start), operand("linspace", stop)
    divisor = num - 1 if endpoint else num
    types = [weak_type(v) for v in (start, stop)]
    own = common_dtype(*[t(0) if isinstance(t, type) else t for t in types], 0.0)
    kind = np.dtype(np.float32) if own == bfloat16 else own  # which counts to 256 only
    start, stop = lax.convert_element_type(start, kind), lax.convert_element_type(stop, kind)
    difference = stop - start
    shape = shape_of(difference)
    step = difference / divisor if divisor > 0 else difference * np.nan
    t = lax.convert_element_type(lax.iota(np.int64, num), kind)
    t = lax.reshape(t, (num, *[1] * len(shape)))
    out = t * step + start if divisor > 0 else lax.broadcast_to(start, (num, *shape)) + t * difference
    if endpoint and num > 1:
        last = lax.reshape(lax.eq(lax.iota(np.int64, num), num - 1), (num, *[1] * len(shape)))
        out = lax.select(last, stop, out)
    if dtype is not None and np.dtype(dtype).kind in "iu":
        out = lax.floor(out)
    out, step = lax.convert_element_type(out, own if dtype is None else dtype), lax.convert_element_type(step, own)
    if axis != 0:
        from functrans.numpy.manipulation import moveaxis

        out = moveaxis(out, 0, axis)
    return (out, step) if retstep else out


@creates(np.logspace)
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.logspace(0.0, 2.0, 3)
    Array([  1.,  10., 100.])
    """
    out = base ** linspace(start, stop, num, endpoint, axis=axis)
    return out if dtype is None else lax.convert_element_type(out, dtype)


@creates(np.geomspace)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.geomspace(1.0, 8.0, 4)
    Array([1., 2., 4., 8.])
    """
    if not has_tracer((start, stop)) and not holds_bfloat16((start, stop)):
        return wrap(np.geomspace(start, stop, num, endpoint, dtype, axis))
    start, stop = operand("geomspace", start), operand("geomspace", stop)
    own = inexact_dtype(common_dtype(dtype_of(start), dtype_of(stop)))
    start, stop = lax.convert_element_type(start, own), lax.convert_element_type(stop, own)
    sign = lax.sign(start + stop * 0)
    out = sign * lax.exp(linspace(lax.log(lax.abs(start)), lax.log(lax.abs(stop)), num, endpoint, axis=axis))
    return out if dtype is None else lax.convert_element_type(out, dtype)


@creates(np.eye)
def eye(
    N: Any, M: Any = None, k: Any = 0, dtype: Any = float, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.eye(2, 3)
    Array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    on_cpu(device)
    check_order("eye", order)
    n = operator.index(N)
    m = n if M is None else operator.index(M)
    row, column = (lax.broadcasted_iota(np.int64, (n, m), d) for d in (0, 1))
    return lax.convert_element_type(lax.eq(column, row + operator.index(k)), float if dtype is None else dtype)


@creates(np.identity)
def identity(n: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.identity(2)
    Array([[1., 0.],
           [0., 1.]])
    """
    return eye(n, dtype=float if dtype is None else dtype)


@creates(np.tri)
def tri(N: Any, M: Any = None, k: Any = 0, dtype: Any = float, *, like: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.tri(2, 3)
    Array([[1., 0., 0.],
           [1., 1., 0.]])
    """
    n = operator.index(N)
    m = n if M is None else operator.index(M)
    row, column = (lax.broadcasted_iota(np.int64, (n, m), d) for d in (0, 1))
    return lax.convert_element_type(lax.le(column, row + operator.index(k)), dtype)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.tril([[1, 2], [3, 4]])
    Array([[1, 0],
           [3, 4]])
    """
    m = operand("tril", m)
    return lax.select(_below(m, k), m, dtype_of(m).type(0))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.triu([[1, 2], [3, 4]])
    Array([[1, 2],
           [0, 4]])
    """
    m = operand("triu", m)
    return lax.select(_below(m, k - 1), dtype_of(m).type(0), m)


def _below(m: Any, k: int) -> Any:
    shape = shape_of(m)
    if len(shape) == 1:
        shape = (shape[0], shape[0])
    if not shape:
        raise ShapeError("tril and triu take arrays with at least one axis")
    return tri(shape[-2], shape[-1], k=k, dtype=bool)


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.diag([1.0, 2.0])
    Array([[1., 0.],
           [0., 2.]])
    """
    v = operand("diag", v)
    shape = shape_of(v)
    if len(shape) == 1:
        n = shape[0] + abs(k)
        before, after = (k, 0) if k >= 0 else (0, -k)
        row = lax.pad(v, dtype_of(v).type(0), [(before, after, 0)])
        return lax.select(eye(n, k=k, dtype=bool), lax.reshape(row, (1, n)), dtype_of(v).type(0))
    if len(shape) == 2:
        from functrans.numpy.indexing import diagonal

        return diagonal(v, k)
    raise ShapeError(f"diag takes an array of one or two axes, got shape {shape}")


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.diagflat([[1, 2]])
    Array([[1, 0],
           [0, 2]])
    """
    v = operand("diagflat", v)
    return diag(lax.reshape(v, (aval_of(v).size,)), k)


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.vander([2, 3], 3)
    Array([[4, 2, 1],
           [9, 3, 1]])
    """
    x = operand("vander", x)
    if len(shape_of(x)) != 1:
        raise ShapeError(f"vander takes a vector, got an array of shape {shape_of(x)}")
    n = shape_of(x)[0] if N is None else operator.index(N)
    powers = np.arange(n) if increasing else np.arange(n - 1, -1, -1)
    return lax.reshape(x, (shape_of(x)[0], 1)) ** powers.astype(common_dtype(dtype_of(x), np.int64))


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> x, y = fnp.meshgrid([1, 2], [3, 4])
    >>> x + y
    Array([[4, 5],
           [5, 6]])
    """
    arrays = [operand("meshgrid", x) for x in xi]
    if indexing not in ("xy", "ij"):
        raise ArgumentError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    n = len(arrays)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    sizes = [aval_of(x).size for x in arrays]
    shape = tuple(sizes[i] for i in order)
    out = []
    for i, x in enumerate(arrays):
        own = [1] * n
        own[order.index(i)] = sizes[i]
        x = lax.reshape(x, own)
        out.append(x if sparse else lax.broadcast_to(x, shape))
    return tuple(out)


@creates(np.indices)
def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.indices((2, 2))[0]
    Array([[0, 0],
           [1, 1]])
    """
    from functrans.numpy.manipulation import stack

    shape = canonical_shape(dimensions)
    if sparse:
        n = len(shape)
        ones_ = [tuple(m if i == d else 1 for i, m in enumerate(shape)) for d in range(n)]
        return tuple(lax.broadcasted_iota(dtype, s, d) for d, s in enumerate(ones_))
    return stack([lax.broadcasted_iota(dtype, shape, d) for d in range(len(shape))])


def array(
    object: Any, dtype: Any = None, *, copy: bool | None = True, order: Any = "K", subok: bool = False, ndmin: int = 0,
    ndmax: int = 0, like: Any = None, device: Any = None, out_sharding: Any = None,
) -> Any:  # fmt: skip
    """An array of numbers, arrays, tracers, or nested lists of them.

    Unlike `numpy.array` it takes traced elements; that function cannot know of them.

    Args:
        ndmin, ndmax: the least number of axes, and (since NumPy 2.4) the most that nested lists make.
        device: `"cpu"`.
        order, subok, like: as NumPy has them for plain values; without effect on traced ones.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> ft.grad(lambda x: fnp.array([x, 2 * x]).sum())(1.0)
    Array(3.)
    """
    on_cpu(device)
    refuse_placement("array", out_sharding=out_sharding)
    if isinstance(object, (list, tuple)):
        from functrans.numpy.dispatch import has_tracer

        if has_tracer(object):
            out = operand("array", object)
            out = out if dtype is None else lax.convert_element_type(out, dtype)
            return _at_least(out, ndmin)
    if not isinstance(object, Tracer):
        more: Any = {"ndmax": ndmax} if ndmax else {}
        return wrap_result(np.array(from_outside(object), dtype=dtype, copy=copy, order=order, ndmin=ndmin, **more))
    out = (
        object
        if dtype is None and not object.aval.weak
        else lax.convert_element_type(object, dtype or dtype_of(object))
    )
    return _at_least(out, ndmin)


def _at_least(x: Any, ndmin: int) -> Any:
    shape = shape_of(x)
    return lax.reshape(x, (*[1] * (ndmin - len(shape)), *shape)) if len(shape) < ndmin else x


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None, like: Any = None,
    out_sharding: Any = None,
) -> Any:  # fmt: skip
    """An array-like as an array: without a copy where it is one (as `numpy.asarray`, for tracers too).

    Array-likes are lists, numbers, and what NumPy reads by the buffer protocol, `__array__`, or DLPack.

    Also called `asanyarray`, `ascontiguousarray`.

    >>> import functrans.numpy as fnp
    >>> fnp.asarray([1.0, 2.0])
    Array([1., 2.])
    """
    from functrans.numpy.dispatch import has_tracer

    on_cpu(device)
    refuse_placement("asarray", out_sharding=out_sharding)
    if isinstance(a, Tracer) or (isinstance(a, (list, tuple)) and has_tracer(a)):
        return array(a, dtype)
    return wrap_result(np.asarray(from_outside(a), dtype, order, copy=copy))


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array that shares the memory of an array of another library, by DLPack, as `numpy.from_dlpack`.

    >>> import functrans.numpy as fnp, numpy as np
    >>> fnp.from_dlpack(np.arange(3))
    Array([0, 1, 2])
    """
    on_cpu(device)
    if isinstance(x, Tracer):
        return x
    if isinstance(x, np.ndarray):  # also readonly ones and dtypes that DLPack does not know
        return wrap(x.copy()) if copy else wrap(x)
    out = np.from_dlpack(x)
    return wrap(out.copy()) if copy else wrap(out)


asanyarray = ascontiguousarray = asarray


def asfortranarray(a: Any, dtype: Any = None, *, like: Any = None) -> Any:
    """An array in Fortran's order of memory, as `numpy.asfortranarray`; traced arrays have no order.

    >>> import functrans.numpy as fnp
    >>> fnp.asfortranarray([[1.0, 2.0], [3.0, 4.0]])
    Array([[1., 2.],
           [3., 4.]])
    """
    out = asarray(a, dtype)
    return out if isinstance(out, Tracer) else wrap(np.asfortranarray(out))


def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """An array with properties of its memory, as `numpy.require`; traced arrays have none.

    >>> import functrans.numpy as fnp
    >>> fnp.require([1.0, 2.0], requirements="W")
    Array([1., 2.])
    """
    out = asarray(a, dtype)
    return out if isinstance(out, Tracer) else wrap(np.require(out, dtype, requirements))


def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """`asarray`, and an error for NaN and infinities, as `numpy.asarray_chkfinite`; those of traced arrays pass.

    >>> import functrans.numpy as fnp
    >>> fnp.asarray_chkfinite([1.0, 2.0])
    Array([1., 2.])
    """
    out = asarray(a, dtype)
    if not isinstance(out, Tracer) and is_inexact(out.dtype) and not np.isfinite(out).all():
        raise ArgumentError("asarray_chkfinite: array must not contain infs or NaNs")
    return out


@implements(np.copy)
def copy(a: Any, order: Any = "K", subok: Any = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.copy([1.0, 2.0])
    Array([1., 2.])
    """
    check_order("copy", order)
    return operand("copy", a)


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any) -> Any:
    """`function` called with the index arrays of `shape`, as `numpy.fromfunction`.

    >>> import functrans.numpy as fnp
    >>> fnp.fromfunction(lambda i, j: i + j, (2, 2))
    Array([[0., 1.],
           [1., 2.]])
    """
    grids = indices(shape, dtype=dtype)
    return function(*[grids[i] for i in range(len(canonical_shape(shape)))], **kwargs)


def frombuffer(buffer: Any, dtype: Any = None, count: int = -1, offset: int = 0, *, like: Any = None) -> Any:
    """A buffer's bytes as a vector, as `numpy.frombuffer`.

    >>> import functrans.numpy as fnp
    >>> fnp.frombuffer(b"abc", dtype=fnp.uint8)
    Array([97, 98, 99], dtype=uint8)
    """
    return wrap(np.frombuffer(buffer, float if dtype is None else dtype, count, offset))
