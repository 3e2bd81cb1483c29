"""Changes of dtype and identities: conversion, bit casts, copies, barriers, `stop_gradient`."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, inexact_dtype, is_inexact
from functrans.core.primitive import Axis, Primitive
from functrans.core.trace import Tracer
from functrans.errors import DTypeError
from functrans.transforms.taylor import flat, termwise


def convert_element_type(operand: Any, new_dtype: Any, weak: bool = False) -> Any:
    """`operand` with another dtype, by NumPy's casting.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.convert_element_type(np.array([1.7, -1.7]), np.int32)
    Array([ 1, -1], dtype=int32)
    """
    new_dtype = np.dtype(new_dtype)
    if not isinstance(operand, Tracer):
        return _convert_plain(operand, new_dtype, weak)
    aval = operand.aval
    if aval.dtype == new_dtype and aval.weak == weak:
        return operand
    if aval.dtype.kind == "c" and new_dtype.kind not in "cb":
        from functrans.lax.elementwise import real

        return convert_element_type(real(operand), new_dtype, weak)
    return convert_p.bind(operand, new_dtype=new_dtype, weak_type=weak)


def as_inexact(operand: Any, dtype: Any = None) -> Any:
    """`operand` as floats or complex numbers: of a given dtype, else of its own, or of float64 if it holds others."""
    aval = aval_of(operand)
    if dtype is None and is_inexact(aval.dtype) and not aval.weak:
        return operand
    return convert_element_type(operand, inexact_dtype(aval.dtype) if dtype is None else dtype)


def _convert_plain(value: Any, dtype: np.dtype, weak: bool) -> Any:
    if isinstance(value, (bool, int, float, complex)):
        if weak and aval_of(value).dtype == dtype:
            return value
        if isinstance(value, int) and dtype.kind in "iu":
            return dtype.type(value)  # raises OverflowError, as NumPy does
        value = np.asarray(value).astype(dtype)
        return wrap(value) if dtype.kind == "V" else value[()]  # scalars of ml_dtypes make float32 of Python's floats
    with np.errstate(invalid="ignore"):
        return wrap(_real_if_needed(np.asarray(value), dtype).astype(dtype))


def _real_if_needed(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return value.real if value.dtype.kind == "c" and dtype.kind not in "cb" else value


def _convert_impl(x: Any, *, new_dtype: np.dtype, weak_type: bool) -> Any:
    with np.errstate(invalid="ignore"):
        return wrap(np.asarray(x).astype(new_dtype))


def _convert_jvp(p: Any, t: Any, *, new_dtype: np.dtype, weak_type: bool) -> Any:
    out = convert_p.bind(p[0], new_dtype=new_dtype, weak_type=weak_type)
    if not is_inexact(new_dtype):
        return out, None
    return out, convert_element_type(t[0], new_dtype)


def _convert_batch(axis: Axis, args: Any, dims: Any, **params: Any) -> Any:
    return convert_p.bind(args[0], **params), dims[0]


convert_p = Primitive("convert_element_type")
convert_p.impl = _convert_impl
convert_p.abstract_eval = lambda x, *, new_dtype, weak_type: ShapedArray(x.shape, new_dtype, weak_type)
convert_p.jvp = _convert_jvp
convert_p.transpose = lambda ct, x, **_: [convert_element_type(ct, x.aval.dtype)]
convert_p.batch = _convert_batch
termwise(convert_p)
convert_p.lower = lambda k, idx, x, *, new_dtype, weak_type: k.convert(x.at(*idx), new_dtype)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits of `operand` read as another dtype of the same size.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.bitcast_convert_type(np.float32(1.0), np.uint32)
    Array(1065353216, dtype=uint32)
    """
    new_dtype = np.dtype(new_dtype)
    aval = aval_of(operand)
    if aval.dtype.itemsize != new_dtype.itemsize or "b" in (aval.dtype.kind, new_dtype.kind):
        raise DTypeError(f"bitcast_convert_type takes dtypes of one size, got {aval.dtype} and {new_dtype}")
    return bitcast_p.bind(operand, new_dtype=new_dtype)


bitcast_p = Primitive("bitcast_convert_type")
bitcast_p.impl = lambda x, *, new_dtype: wrap(
    np.ascontiguousarray(x, aval_of(x).dtype).view(new_dtype).reshape(np.shape(x))
)
bitcast_p.abstract_eval = lambda x, *, new_dtype: ShapedArray(x.shape, new_dtype)
bitcast_p.taylor = flat
bitcast_p.jvp = lambda p, t, *, new_dtype: (bitcast_p.bind(p[0], new_dtype=new_dtype), None)
bitcast_p.batch = lambda axis, args, dims, *, new_dtype: (bitcast_p.bind(args[0], new_dtype=new_dtype), dims[0])
bitcast_p.lower = lambda k, idx, x, *, new_dtype: k.bitcast(x.at(*idx), new_dtype)


def _identity(name: str, impl: Any) -> Primitive:
    """A primitive that returns its operand, with the rules of a linear map."""
    p = Primitive(name)
    p.impl = impl
    p.abstract_eval = lambda x: x
    p.jvp = lambda primals, tangents: (p.bind(primals[0]), p.bind(tangents[0]))
    p.transpose = lambda ct, x: [ct]
    termwise(p)
    p.batch = lambda axis, args, dims: (p.bind(args[0]), dims[0])
    p.lower = lambda k, idx, x: x.at(*idx)
    return p


copy_p = _identity("copy", lambda x: wrap(np.array(x)))


def copy(operand: Any) -> Any:
    """A copy of an array."""
    return copy_p.bind(operand)


stop_gradient_p = _identity("stop_gradient", lambda x: wrap(x))
stop_gradient_p.jvp = lambda primals, tangents: (stop_gradient_p.bind(primals[0]), None)
stop_gradient_p.taylor = flat


optimization_barrier_p = _identity("optimization_barrier", lambda x: wrap(x))
optimization_barrier_p.__doc__ = "The identity that simplification does not look through: recomputation stays such."
