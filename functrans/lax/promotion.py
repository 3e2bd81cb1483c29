"""How operands combine: their common shape, the dtypes of NumPy's loops, and Python's numbers among them.

Operands broadcast as in NumPy and have the dtypes of a ufunc's loop; `promote` converts to those. Python's numbers are
weak: they take the dtype of what they meet (NEP 50).
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from functrans.core.array import Array
from functrans.core.avals import SMALL_FLOATS, aval_of, bfloat16, is_array_like, kind_of
from functrans.core.trace import StagedTracer, Tracer
from functrans.errors import DTypeError, ShapeError
from functrans.lax import options
from functrans.lax.broadcasting import _reshape
from functrans.lax.conversion import convert_element_type
from functrans.lax.structural import concatenate
from functrans.transforms.jvp import DirectTracer, TangentTracer

_PYTHON_TYPES = {"i": int, "f": float, "c": complex}
_COMPARISONS = {np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal}
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def broadcast_shapes(what: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rule, or an error that names the operation and the shapes."""
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"{what}: operands of shapes {' and '.join(map(str, shapes))} cannot be broadcast together: aligned at "
            "the last axis, sizes must be equal or 1"
        ) from None


_SMALL = {*SMALL_FLOATS}


@cache
def loop_dtypes(
    name: str, ufunc: Any, types: tuple[Any, ...], out: Any = None, casting: Any = None
) -> tuple[np.dtype, ...]:
    """The dtypes of NumPy's loop for operands of these dtypes; `int`, `float`, `complex` stand for Python scalars.

    `out` is a dtype that the results must have, `casting` says what may be done to the operands for it.
    """
    if bfloat16 in types:  # ml_dtypes takes Python's floats for float32: here they are weak, as everywhere
        types = tuple(bfloat16 if t is float or (t is int and ufunc is not np.ldexp) else t for t in types)
    chosen: dict[str, Any] = {} if casting is None else {"casting": casting}
    if out is not None:
        chosen["signature"] = (*[None] * ufunc.nin, *[np.dtype(out)] * ufunc.nout)
    try:
        loop = ufunc.resolve_dtypes((*types, *[None] * ufunc.nout), **chosen)
    except TypeError:
        given = ", ".join(getattr(t, "__name__", str(t)) for t in types)
        if out is not None or casting is not None:
            raise DTypeError(
                f"{name} with {f'dtype={np.dtype(out)}' if out is not None else f'casting={casting!r}'} does not take "
                f"operands of type ({given}) by the casting rule {casting or 'same_kind'!r}; convert them by astype"
            ) from None
        raise DTypeError(f"{name} is not defined for operands of type ({given})") from None
    own = {t for t in (types[:1] if ufunc is np.ldexp else types) if t is not int and t is not float}
    if out is None and len(own) == 1 and own <= _SMALL:  # without a loop of its own for it: in float32, rounded
        (small,) = own
        loop = tuple(small if d in (np.float32, np.float64) else d for d in loop)
    return tuple(np.dtype(d) for d in loop)


def weak_type(value: Any) -> Any:
    """What `resolve_dtypes` takes for an operand: its dtype, or `int`, `float`, `complex` for weak ones."""
    aval = aval_of(value)
    return _PYTHON_TYPES[aval.dtype.kind] if aval.weak else aval.dtype


def _comparable(a: Any, b: Any) -> list[Any]:
    """The operands of a comparison; a number of Python's beyond the integers that the other can hold is an infinity."""
    return [_infinite_beyond(a, b), _infinite_beyond(b, a)]


def _infinite_beyond(number: Any, other: Any) -> Any:
    if type(number) is not int or weak_type(other) is int or aval_of(other).dtype.kind not in "iu":
        return number
    held = np.iinfo(aval_of(other).dtype)
    return number if held.min <= number <= held.max else math.copysign(math.inf, number)


def promote(name: str, ufunc: Any, args: Sequence[Any], **kwargs: Any) -> list[Any]:
    """Operands converted to the dtypes of NumPy's loop for them. `kwargs` are a ufunc's keyword arguments."""
    dtype = None if kwargs else _one_float(args)
    if dtype is not None:
        # Beside a number of Python's, SciPy's ufuncs may have another loop than NumPy's: `beta`, `expn`, `polygamma`.
        types = tuple(type(a) if type(a) in (int, float) else dtype for a in args)
        if loop_dtypes(name, ufunc, types)[: len(args)] == (dtype,) * len(args):
            return [dtype.type(a) if type(a) in (float, int) else a for a in args]
    args = [as_operand(name, a) for a in args]
    if ufunc in _COMPARISONS:
        args = _comparable(*args)
    types = tuple(weak_type(a) for a in args)
    if kwargs:
        dtype, casting = options.loop(name, kwargs)
        if dtype is not None or casting is not None:
            loop = loop_dtypes(name, ufunc, types, None if dtype is None else np.dtype(dtype), casting)
            return [convert_element_type(a, d) for a, d in zip(args, loop)]
    weak = all(isinstance(t, type) for t in types)
    loop = loop_dtypes(name, ufunc, tuple(np.dtype(t) for t in types) if weak else types)
    return [
        a if t == d and not isinstance(t, type) else convert_element_type(a, d, weak=weak)
        for a, t, d in zip(args, types, loop)
    ]


def _one_float(args: Sequence[Any]) -> Any:
    """The dtype of operands that are all float32 or all float64, beside Python's numbers; None for others."""
    dtype = None
    for a in args:
        kind = type(a)
        if kind is Array:
            own = a.dtype
        elif kind is StagedTracer or kind is TangentTracer or kind is DirectTracer:
            aval = a.aval
            if aval.weak:
                return None
            own = aval.dtype
        elif kind is float or (kind is int and -(2**53) < a < 2**53):
            continue
        else:
            return None
        if (own is not _FLOAT64 and own is not _FLOAT32) or (dtype is not None and own is not dtype):
            return None
        dtype = own
    return dtype


def from_outside(value: Any) -> Any:
    """An array of another library that speaks DLPack alone, as NumPy's; anything else as it is."""
    if hasattr(value, "__dlpack__") and not (hasattr(value, "__array__") or isinstance(value, Tracer)):
        return np.from_dlpack(value)
    return value


def refuse(dtype: np.dtype) -> None:
    """The error for arrays of what is no number: strings, objects, dates, records."""
    if dtype.kind in "OSUTMm" or dtype.names is not None:
        raise DTypeError(
            f"functrans.numpy holds numbers and booleans, not {dtype}; use NumPy itself for strings, objects, dates "
            "and records"
        )


def as_operand(name: str, value: Any) -> Any:
    """An array, tracer or scalar as it is; lists and tuples of numbers, and arrays of other libraries, as arrays."""
    if is_array_like(value):
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind not in "biufc":
            refuse(value.dtype)
        return value
    value = from_outside(value)
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (list, tuple)):
        if _holds_tracer(value):
            return stack_nested(name, value)
        try:
            array = np.asarray(value)
        except ValueError:  # of elements that do not fit together
            return stack_nested(name, value)
        if kind_of(array.dtype) in "biufc":
            return array
    raise DTypeError(f"{name}: expected an array or a number, got {value!r:.60} of type {type(value).__name__}")


def _holds_tracer(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return builtins.any(_holds_tracer(v) for v in value)
    return isinstance(value, Tracer)


def stack_nested(name: str, values: Sequence[Any]) -> Any:
    """Nested lists of arrays and numbers as one array, as `np.array` makes it of plain values."""
    parts = [as_operand(name, v) for v in values]
    shapes = [aval_of(v).shape for v in parts]
    if builtins.any(s != shapes[0] for s in shapes):
        raise ShapeError(f"{name}: the elements of a list must have one shape to make an array, they have {shapes}")
    return concatenate([_reshape(v, (1, *shapes[0])) for v in to_common_dtype(name, parts)], 0)


def common_dtype(*items: Any) -> np.dtype:
    """`numpy.result_type`; bfloat16 and what has no common dtype with it promote as float32 and that do."""
    if not any(getattr(x, "dtype", x) == bfloat16 for x in items if not isinstance(x, str)):
        return np.result_type(*items)
    items = tuple(bfloat16 if type(x) in (int, float) else x for x in items)  # weak
    try:
        return np.result_type(*items)
    except TypeError:
        single = np.dtype(np.float32)
        return np.result_type(*[single if getattr(x, "dtype", x) == bfloat16 else x for x in items])


def to_common_dtype(name: str, values: Sequence[Any]) -> list[Any]:
    """Arrays and scalars converted to the dtype to which NumPy promotes them all; weak only if all are."""
    own = _one_float(values)
    if own is not None:
        return [own.type(v) if type(v) in (float, int) else v for v in values]
    types = [weak_type(v) for v in values]
    strong = [t for t in types if not isinstance(t, type)]
    try:
        dtype = common_dtype(*strong, *[t(0) for t in types if isinstance(t, type)])
    except TypeError:
        raise DTypeError(f"{name}: no common dtype for {', '.join(str(aval_of(v)) for v in values)}") from None
    return [convert_element_type(v, dtype, weak=not strong) for v in values]
