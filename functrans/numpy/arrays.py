"""Methods that plain arrays and tracers have, beyond what `ndarray` has or as it does not have it.

A method of `functrans.Array` is NumPy's own. Where a tracer is among its arguments, or a keyword of JAX's, the function
of the namespace runs instead, as it does for tracers.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import Array, wrap
from functrans.core.avals import aval_of, bfloat16, kind_of
from functrans.core.trace import Tracer
from functrans.errors import DTypeError, NoSuchAttributeError, ShapeError, TracerItemAssignmentError
from functrans.lax import elementwise as ew
from functrans.lax.subscript import IndexUpdate, getitem
from functrans.numpy import indexing, manipulation, products, reductions, sorting, ufuncs
from functrans.numpy.dispatch import has_tracer, on_cpu, shape_of

builtin_type = type

# ---------------------------------------------------------------- bits


def view(self: Any, dtype: Any = None, type: Any = None) -> Any:
    """The bytes of an array read as another dtype, as `ndarray.view`: the last axis grows or shrinks."""
    if type is not None and not (isinstance(type, builtin_type) and issubclass(type, np.ndarray)):
        raise DTypeError(f"view of a traced array takes a dtype, got type={type!r:.40}")
    if dtype is None or (isinstance(dtype, builtin_type) and issubclass(dtype, np.ndarray)):
        return self
    new, aval = np.dtype(dtype), aval_of(self)
    if kind_of(new) not in "biufc":
        raise DTypeError(f"view of a traced array reads numbers, not {new}")
    old = aval.dtype
    if old.itemsize != new.itemsize and not aval.ndim:
        raise ShapeError(f"view: an array without axes keeps the size of its dtype, {old}; got {new}")
    if old.itemsize < new.itemsize and aval.shape[-1] * old.itemsize % new.itemsize:
        size = aval.shape[-1] * old.itemsize
        raise ShapeError(f"view: the last axis of an array {aval} has {size} bytes, which numbers of {new} do not fill")
    if old == new:
        return self
    if not aval.ndim:
        return lax.reshape(view(lax.reshape(self, (1,)), new), ())
    x = _parts(self)
    own, part = aval_of(x).dtype, np.zeros(0, new).real.dtype
    if own != part:
        x = _merged(_split(x, min(own.itemsize, part.itemsize)), part.itemsize)
        x = ew.ne(x, 0) if part.kind == "b" else lax.bitcast_convert_type(x, part)
    return lax.complex(x[..., ::2], x[..., 1::2]) if new.kind == "c" else x


def _parts(x: Any) -> Any:
    """Complex numbers as their real and imaginary parts, one after another along the last axis."""
    aval = aval_of(x)
    if aval.dtype.kind != "c":
        return x
    parts = [lax.expand_dims(part, [-1]) for part in (lax.real(x), lax.imag(x))]
    return lax.reshape(lax.concatenate(parts, aval.ndim), (*aval.shape[:-1], aval.shape[-1] * 2))


def _split(x: Any, size: int) -> Any:
    """As unsigned words of this many bytes, those of each element one after another along the last axis."""
    if aval_of(x).dtype.kind == "b":
        return lax.convert_element_type(x, np.uint8)
    whole = aval_of(x).dtype.itemsize == size
    x = lax.bitcast_convert_type(x, f"u{size}")
    return x if whole else lax.reshape(x, (*shape_of(x)[:-2], shape_of(x)[-2] * shape_of(x)[-1]))


def _merged(x: Any, size: int) -> Any:
    """Unsigned words as ones of this many bytes."""
    own = aval_of(x).dtype.itemsize
    if own == size:
        return x
    *rest, n = shape_of(x)
    return lax.bitcast_convert_type(lax.reshape(x, (*rest, n * own // size, size // own)), f"u{size}")


def byteswap(self: Any, inplace: bool = False) -> Any:
    """Every number with its bytes in the other order, as `ndarray.byteswap`."""
    if inplace:
        raise TracerItemAssignmentError("byteswap(inplace=True) writes into its array: write x = x.byteswap()")
    aval = aval_of(self)
    size = aval.dtype.itemsize // (2 if aval.dtype.kind == "c" else 1)
    words = _split(_parts(self if aval.ndim else lax.reshape(self, (1,))), 1)
    shape = shape_of(words)
    turned = lax.rev(lax.reshape(words, (*shape[:-1], shape[-1] // size, size)), (len(shape),))
    return lax.reshape(view(lax.reshape(turned, shape), aval.dtype), aval.shape)


# ---------------------------------------------------------------- conversions


def astype(
    self: Any, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True, copy: Any = True, *,
    device: Any = None,
) -> Any:  # fmt: skip
    """The array with another dtype, by NumPy's casting; an error where `casting` forbids it."""
    on_cpu(device)
    own, new = aval_of(self).dtype, np.dtype(dtype)
    if casting != "unsafe" and bfloat16 not in (own, new) and not np.can_cast(own, new, casting):
        raise DTypeError(f"astype: {own} cannot be cast to {new} by the rule {casting!r}")
    return lax.convert_element_type(self, new)


def contains(self: Any, value: Any) -> bool:
    return bool(reductions.any(ew.eq(self, value)))


def truncated(self: Any) -> int:
    return math.trunc(self.item())


def rounded(self: Any, ndigits: int | None = None) -> Any:
    return ufuncs.round(self, ndigits or 0)


# ---------------------------------------------------------------- methods with keywords of their own


def clip(self: Any, min: Any = None, max: Any = None, out: Any = None, **kwargs: Any) -> Any:
    return ufuncs.clip(self, min, max, out, **kwargs)


def compress(
    self: Any, condition: Any, axis: Any = None, out: Any = None, *, size: int | None = None, fill_value: Any = 0
) -> Any:
    return indexing.compress(condition, self, axis, out, size=size, fill_value=fill_value)


def searchsorted(self: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Any:
    return sorting.searchsorted(self, v, side, sorter)


def flatten(self: Any, order: str = "C", **options: Any) -> Any:
    return manipulation.ravel(self, order, **options)


#: By the name of the method: the function, and the keywords that NumPy's method does not have.
EXTENDED: dict[str, tuple[Callable[..., Any], str]] = {
    "all": (reductions.all, ""), "any": (reductions.any, ""), "argpartition": (sorting.argpartition, "kth"),
    "argsort": (sorting.argsort, "descending dtype"), "astype": (astype, "device"), "choose": (indexing.choose, ""),
    "clip": (clip, ""), "compress": (compress, "size fill_value"),
    "dot": (products.dot, "b precision preferred_element_type"),
    "flatten": (flatten, ""), "max": (reductions.max, ""),
    "mean": (reductions.mean, ""), "min": (reductions.min, ""), "nonzero": (indexing.nonzero, "size fill_value"),
    "prod": (reductions.prod, "promote_integers"), "ravel": (manipulation.ravel, ""),
    "round": (ufuncs.round, ""),
    "repeat": (manipulation.repeat, "repeats total_repeat_length"), "searchsorted": (searchsorted, "v method"),
    "std": (reductions.std, "correction"), "sum": (reductions.sum, "promote_integers"),
    "swapaxes": (manipulation.swapaxes, "axis1 axis2"),
    "take": (indexing.take, "indices unique_indices indices_are_sorted fill_value"), "trace": (indexing.trace, ""),
    "var": (reductions.var, "correction"),
}  # fmt: skip


def _extended(name: str, function: Callable[..., Any], beyond: str) -> Any:
    method = getattr(np.ndarray, name)
    more = frozenset((*beyond.split(), "out_sharding"))

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs and kwargs.get("where", True) is None:
            del kwargs["where"]
        if kwargs and (not more.isdisjoint(kwargs) or kwargs.get("mode") == "fill" or has_tracer(kwargs.values())):
            return function(self, *args, **kwargs)
        if args and has_tracer(args):
            return function(self, *args, **kwargs)
        out = method(self, *args, **kwargs)
        if type(out) is Array:
            return out
        return tuple(map(wrap, out)) if type(out) is tuple else wrap(out)

    return wrapped


# ---------------------------------------------------------------- where an array is


def devices(self: Any) -> set[Any]:
    """The device of the array, as a set, as JAX gives it."""
    return set(importlib.import_module("functrans.api.devices").devices(str(self.device).partition(":")[0]))


#: What JAX's arrays tell of devices and of computations that go on: here there is one device, and results are ready.
PLACED: dict[str, Any] = {
    "devices": devices,
    "is_ready": lambda self: True,
    "is_deleted": lambda self: False,
    "copy_to_host_async": lambda self: None,
    "on_device_size_in_bytes": lambda self: self.nbytes,
    "is_fully_addressable": property(lambda self: True),
    "is_fully_replicated": property(lambda self: True),
}

# ---------------------------------------------------------------- what tracers do not have

_MEMORY = "a traced array has no memory of its own; take it from the result, outside of the transformed function"
_WRITES = "it works in place, and traced arrays are immutable; write "
_DEVICES = "a program runs on one device, x.device"
_INSTEAD = {
    "sort": f"{_WRITES}x = functrans.numpy.sort(x)",
    "partition": f"{_WRITES}x = functrans.numpy.partition(x, kth)",
    "fill": f"{_WRITES}x = functrans.numpy.full_like(x, value)",
    "put": f"{_WRITES}x = functrans.numpy.put(x, indices, values, inplace=False), or x = x.at[i].set(v)",
    "resize": f"{_WRITES}x = functrans.numpy.resize(x, shape)",
    "setfield": f"{_WRITES}x = x.at[i].set(v)",
    "setflags": _MEMORY,
    "itemset": f"{_WRITES}x = x.at[i].set(v)",
    "flat": "write x.ravel(), and x.ravel()[i] or x.ravel().at[i].set(v)",
    "getfield": "write x.view(dtype)",
    "newbyteorder": "write x.view(dtype)",
    "tostring": _MEMORY,
    "delete": "Python frees arrays that nobody holds",
    **dict.fromkeys(("flags", "strides", "data", "ctypes", "base", "tobytes", "tofile", "dump", "dumps"), _MEMORY),
    **dict.fromkeys(("sharding", "addressable_data", "addressable_shards", "global_shards", "committed"), _DEVICES),
}
_ASSIGNED = {
    "shape": "x = x.reshape(shape)", "dtype": "x = x.view(dtype)", "real": "x = functrans.lax.complex(re, x.imag)",
    "imag": "x = functrans.lax.complex(x.real, im)", "T": "x = x.T", "mT": "x = x.mT",
}  # fmt: skip


def property_of_tracers(name: str, get: Callable[[Any], Any]) -> property:
    def refuse(self: Tracer, value: Any) -> None:
        write = f"; write {_ASSIGNED[name]}" if name in _ASSIGNED else ""
        raise NoSuchAttributeError(
            f"x.{name} cannot be assigned: arrays inside a transformed function are immutable{write}"
        )

    return property(get, refuse)


# ---------------------------------------------------------------- concrete arrays


def _getitem(self: Any, index: Any) -> Any:
    if has_tracer(index if isinstance(index, tuple) else (index,)):
        return getitem(self, index)
    out = np.ndarray.__getitem__(self, index)
    return out if isinstance(out, np.ndarray) else wrap(out)


def _power(self: Any, other: Any, modulus: Any = None) -> Any:
    if modulus is not None:
        raise DTypeError("pow with a modulus takes integers, not arrays; write x ** y % m")
    if isinstance(self, Tracer):
        return ufuncs.power(self, other) if is_operand(other) else NotImplemented
    if type(other) is int or (type(other) is float and other != 0.5):  # where NumPy has short ways, all of them right
        return np.ndarray.__pow__(self, other)
    return ufuncs.power(self, other) if is_operand(other) else NotImplemented


def is_operand(other: Any) -> bool:
    return not isinstance(other, (str, bytes, dict, set, type(None)))


def binary(op: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """An operator and its reflected form."""

    def forward(self: Any, other: Any) -> Any:
        return op(self, other) if is_operand(other) else NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        return op(other, self) if is_operand(other) else NotImplemented

    return forward, reflected


def _in_place(operation: Any, ufunc: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        out = operation(self, other)
        if isinstance(other, Tracer):
            return out
        if out.shape != self.shape or not np.can_cast(out.dtype, self.dtype, "same_kind"):
            return ufunc(self, other, out=self)  # which says why not
        self[...] = out
        return self

    return method


def _in_place_or_new(name: str, operation: Any) -> Any:
    """NumPy's operator, but with a tracer `x += t` is `x = x + t`, as it is of arrays that are traced."""
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def wrapped(self: Any, other: Any) -> Any:
        return operation(self, other) if isinstance(other, Tracer) else method(self, other)

    return wrapped


_IN_PLACE = {
    "__iadd__": ew.add, "__isub__": ew.sub, "__imul__": ew.mul, "__itruediv__": ew.div, "__imod__": ew.rem,
    "__iand__": ew.bitwise_and, "__ior__": ew.bitwise_or, "__ixor__": ew.bitwise_xor, "__ilshift__": ew.shift_left,
    "__irshift__": ew.shift_right, "__imatmul__": products.matmul,
}  # fmt: skip


_OWN: dict[str, Any] = {
    "__ifloordiv__": _in_place(ew.floor_divide, np.floor_divide),
    "__ipow__": _in_place(ew.pow, np.power),
    "__getitem__": _getitem,
    "ptp": reductions.ptp,
    "aval": property(aval_of),
}
_SHARED: dict[str, Any] = {
    "at": property(IndexUpdate), "__contains__": contains, "__pow__": _power, "__round__": rounded,
    "__trunc__": truncated, **PLACED,
}  # fmt: skip


def install() -> None:
    """Give `functrans.Array` these methods, and tracers those that they share."""
    for name, (function, beyond) in EXTENDED.items():
        setattr(Array, name, _extended(name, function, beyond))
    for name, operation in _IN_PLACE.items():
        setattr(Array, name, _in_place_or_new(name, operation))
    # Where the array API standard differs from NumPy's operators (lax/corners.py).
    for name, operation in (("floordiv", ew.floor_divide), ("pow", ufuncs.power)):
        forward, reflected = binary(operation)
        setattr(Array, f"__{name}__", forward)
        setattr(Array, f"__r{name}__", reflected)
    for name, attribute in _OWN.items():
        setattr(Array, name, attribute)
    for cls in (Array, Tracer):
        for name, attribute in _SHARED.items():
            setattr(cls, name, attribute)
    Tracer.instead.update(_INSTEAD)


__all__ = ["EXTENDED", "binary", "byteswap", "install", "property_of_tracers", "view"]
