"""What makes a tracer an array: operators, methods, properties and NumPy's two protocols, installed on `Tracer`.

The core knows nothing of NumPy's namespace; this file, above it, gives tracers their behaviour. Concrete arrays
(`functrans.Array`) are ndarrays and have most of it from NumPy; they get `.at` and indexing by tracers here.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import Array, wrap
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, DTypeError
from functrans.lax import elementwise as ew
from functrans.lax.subscript import IndexUpdate, getitem
from functrans.numpy import (
    datatypes,
    indexing,
    manipulation,
    products,
    reductions,
    sorting,
    standard,
    ufuncmethods,
    ufuncs,
)
from functrans.numpy.dispatch import TRACED, has_tracer

# ---------------------------------------------------------------- operators


def _is_operand(other: Any) -> bool:
    return not isinstance(other, (str, bytes, dict, set, type(None)))


def _binary(op: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    def forward(self: Tracer, other: Any) -> Any:
        return op(self, other) if _is_operand(other) else NotImplemented

    def reflected(self: Tracer, other: Any) -> Any:
        return op(other, self) if _is_operand(other) else NotImplemented

    return forward, reflected


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": ew.add, "sub": ew.sub, "mul": ew.mul, "truediv": ew.div, "floordiv": ew.floor_divide, "mod": ew.rem,
    "pow": ufuncs.power, "and": ew.bitwise_and, "or": ew.bitwise_or, "xor": ew.bitwise_xor, "lshift": ew.shift_left,
    "rshift": ew.shift_right, "matmul": products.matmul, "divmod": ufuncs.divmod,
}  # fmt: skip
_COMPARISONS = {"eq": ew.eq, "ne": ew.ne, "lt": ew.lt, "le": ew.le, "gt": ew.gt, "ge": ew.ge}


def _round(self: Tracer, ndigits: int | None = None) -> Any:
    return ufuncs.round(self, ndigits or 0)


def _install_operators() -> None:
    for name, op in _OPERATORS.items():
        forward, reflected = _binary(op)
        setattr(Tracer, f"__{name}__", forward)
        setattr(Tracer, f"__r{name}__", reflected)
    for name, op in _COMPARISONS.items():
        setattr(Tracer, f"__{name}__", _binary(op)[0])
    unary = {"neg": ew.neg, "pos": ew.positive, "abs": ew.abs, "invert": ew.bitwise_not}
    for name, row in unary.items():
        setattr(Tracer, f"__{name}__", lambda self, row=row: row(self))
    Tracer.__round__ = _round  # type: ignore[attr-defined]


# ---------------------------------------------------------------- properties


def _iterate(self: Tracer) -> Iterator[Any]:
    shape = self.aval.shape
    if not shape:
        raise DTypeError(f"iteration over a 0-d array: {self.describe()}")
    return iter([getitem(self, i) for i in range(shape[0])])


def _length(self: Tracer) -> int:
    if not self.aval.shape:
        raise DTypeError("len() of a 0-d array")
    return self.aval.shape[0]


_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    "shape": lambda self: self.aval.shape,
    "dtype": lambda self: self.aval.dtype,
    "ndim": lambda self: self.aval.ndim,
    "size": lambda self: self.aval.size,
    "itemsize": lambda self: self.aval.dtype.itemsize,
    "nbytes": lambda self: self.aval.size * self.aval.dtype.itemsize,
    "weak_type": lambda self: self.aval.weak,
    "T": lambda self: manipulation.transpose(self),
    "mT": lambda self: manipulation.matrix_transpose(self),
    "real": lambda self: ufuncs.real(self),
    "imag": lambda self: ufuncs.imag(self),
    "at": IndexUpdate,
    "device": lambda self: "cpu",
}

# ---------------------------------------------------------------- methods


def _astype(
    self: Any, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: Any = True, copy: Any = True
) -> Any:
    return lax.convert_element_type(self, dtype)


def _reshape(self: Any, *shape: Any, order: str = "C", copy: Any = None) -> Any:
    return manipulation.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)


def _transpose(self: Any, *axes: Any) -> Any:
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return manipulation.transpose(self, axes[0])
    return manipulation.transpose(self, axes or None)


def _item(self: Any, *args: Any) -> Any:
    value = self.concrete(ConcretizationError, "a Python number")
    return np.asarray(value).item(*args)


def _tolist(self: Any) -> Any:
    return np.asarray(self.concrete(ConcretizationError, "a Python list")).tolist()


def _clip(self: Any, min: Any = None, max: Any = None, out: Any = None) -> Any:
    return ufuncs.clip(self, min, max)


def _compress(self: Any, condition: Any, axis: Any = None, out: Any = None) -> Any:
    return indexing.compress(condition, self, axis)


def _searchsorted(self: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return sorting.searchsorted(self, v, side, sorter)


_METHODS: dict[str, Callable[..., Any]] = {
    "all": reductions.all, "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin,
    "argsort": sorting.argsort, "astype": _astype, "block_until_ready": lambda self: self, "clip": _clip,
    "compress": _compress, "conj": lambda self: ew.conj(self), "conjugate": lambda self: ew.conj(self),
    "copy": lambda self, order="C": self, "cumprod": reductions.cumprod, "cumsum": reductions.cumsum,
    "diagonal": indexing.diagonal, "dot": products.dot,
    "flatten": lambda self, order="C": manipulation.ravel(self, order),
    "item": _item, "max": reductions.max, "mean": reductions.mean, "min": reductions.min,
    "nonzero": lambda self: indexing.nonzero(self), "prod": reductions.prod, "ptp": reductions.ptp,
    "ravel": lambda self, order="C": manipulation.ravel(self, order), "repeat": manipulation.repeat,
    "reshape": _reshape,
    "round": lambda self, decimals=0, out=None: ufuncs.round(self, decimals), "searchsorted": _searchsorted,
    "sort": sorting.sort, "squeeze": manipulation.squeeze, "std": reductions.std, "sum": reductions.sum,
    "swapaxes": manipulation.swapaxes, "take": indexing.take,
    "to_device": standard.to_device, "tolist": _tolist, "trace": indexing.trace,
    "transpose": _transpose, "var": reductions.var,
}  # fmt: skip


def _install_methods() -> None:
    for name, get in _PROPERTIES.items():
        setattr(Tracer, name, property(get))
    for name, method in _METHODS.items():
        setattr(Tracer, name, _method(name, method))
    Tracer.__getitem__ = getitem  # type: ignore[misc]
    Tracer.__iter__ = _iterate  # type: ignore[attr-defined]
    Tracer.__len__ = _length  # type: ignore[attr-defined]
    Tracer.__array_namespace__ = _namespace  # type: ignore[attr-defined]
    Tracer.__dlpack__ = standard.dlpack  # type: ignore[attr-defined]
    Tracer.__dlpack_device__ = standard.dlpack_device  # type: ignore[attr-defined]


def _method(name: str, function: Callable[..., Any]) -> Any:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = function.__doc__
    return method


def _namespace(self: Any, /, *, api_version: str | None = None) -> Any:
    return standard.namespace(api_version)


# ---------------------------------------------------------------- NumPy's protocols


def _scipy_ufuncs() -> dict[Any, Any]:
    """Traced forms of SciPy's ufuncs, made when the first one is met."""
    if not _SCIPY:
        import scipy.special

        ours = importlib.import_module("functrans.scipy.special")
        for name in dir(scipy.special):
            function = inspect.unwrap(getattr(scipy.special, name))
            if isinstance(function, np.ufunc) and hasattr(ours, name):
                _SCIPY[function] = getattr(ours, name)
    return _SCIPY


_SCIPY: dict[Any, Any] = {}


def _array_ufunc(self: Tracer, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    if kwargs.get("out") is not None:
        raise ArgumentError(
            f"numpy.{ufunc.__name__} with out= on a traced array: results are new arrays; write y = "
            f"np.{ufunc.__name__}(...), y = np.where(condition, np.{ufunc.__name__}(...), y) for where=condition "
            f"(and x = x + y for x += y where x is an ndarray).\nThe array is {self.describe()}"
        )
    kwargs.pop("out", None)
    traced = ufuncs.TRACED_UFUNCS.get(ufunc) or ufuncmethods.GENERALIZED.get(ufunc) or _scipy_ufuncs().get(ufunc)
    if traced is not None and hasattr(traced, method):
        return getattr(traced, method)(*inputs, **kwargs)
    what = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    raise DTypeError(f"{what} has no traced form in functrans; it was called on {self.describe()}")


def _array_function(self: Tracer, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    traced = TRACED.get(function) or _BY_NAME.get(function)
    if traced is None:
        name = getattr(function, "__name__", str(function))
        module = getattr(function, "__module__", "numpy")
        raise DTypeError(
            f"{module}.{name} has no traced form in functrans; it was called on {self.describe()}.\n"
            "Compose it of other functions, or call it outside of the transformed function."
        )
    return traced(*args, **kwargs)


#: NumPy functions whose traced forms are plain functions, since they take options of their own.
_BY_NAME: dict[Any, Any] = {
    np.shape: lambda a: aval_of(a).shape,
    np.ndim: lambda a: aval_of(a).ndim,
    np.size: lambda a, axis=None: aval_of(a).size if axis is None else aval_of(a).shape[axis],
    np.iscomplexobj: lambda x: aval_of(x).dtype.kind == "c",
    np.isrealobj: lambda x: aval_of(x).dtype.kind != "c",
    np.result_type: datatypes.result_type,
    np.can_cast: datatypes.can_cast,
    getattr(np, "astype", None): datatypes.astype,  # since NumPy 2.1
    np.array_repr: lambda arr, *args, **kwargs: repr(arr),
}

# ---------------------------------------------------------------- concrete arrays


def _array_getitem(self: Any, index: Any) -> Any:
    if has_tracer(index if isinstance(index, tuple) else (index,)):
        return getitem(self, index)
    out = np.ndarray.__getitem__(self, index)
    return out if isinstance(out, np.ndarray) else wrap(out)


def _as_array(name: str) -> Any:
    """A method whose result NumPy does not always give in the type of its array."""
    method = getattr(np.ndarray, name)

    @functools.wraps(method)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrap(method(self, *args, **kwargs))

    return wrapped


def _power(self: Any, other: Any) -> Any:
    if type(other) is int or (type(other) is float and other != 0.5):  # where NumPy has short ways, all of them right
        return np.ndarray.__pow__(self, other)
    return ufuncs.power(self, other) if _is_operand(other) else NotImplemented


def _in_place(operation: Any, ufunc: Any) -> Any:
    def method(self: Any, other: Any) -> Any:
        out = operation(self, other)
        if isinstance(out, Tracer) or out.shape != self.shape or not np.can_cast(out.dtype, self.dtype, "same_kind"):
            return ufunc(self, other, out=self)  # which says why not
        self[...] = out
        return self

    return method


def _install_on_array() -> None:
    Array.round = _as_array("round")  # type: ignore[method-assign]
    Array.trace = _as_array("trace")  # type: ignore[method-assign]
    # Where the array API standard differs from NumPy's operators (lax/corners.py).
    for name, operation in (("floordiv", ew.floor_divide), ("pow", ufuncs.power)):
        forward, reflected = _binary(operation)
        setattr(Array, f"__{name}__", forward)
        setattr(Array, f"__r{name}__", reflected)
    Array.__pow__ = _power  # type: ignore[method-assign, assignment]
    Array.__ifloordiv__ = _in_place(ew.floor_divide, np.floor_divide)  # type: ignore[method-assign]
    Array.__ipow__ = _in_place(ew.pow, np.power)  # type: ignore[method-assign]
    Array.at = property(IndexUpdate)  # type: ignore[attr-defined]
    Array.__getitem__ = _array_getitem  # type: ignore[method-assign]
    Array.__array_namespace__ = _namespace  # type: ignore[method-assign]


_install_operators()
_install_methods()
_install_on_array()
Tracer.__array_ufunc__ = _array_ufunc  # type: ignore[attr-defined]
Tracer.__array_function__ = _array_function  # type: ignore[attr-defined]
