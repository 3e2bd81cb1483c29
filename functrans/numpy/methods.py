"""What makes a tracer an array: operators, methods, properties and NumPy's two protocols, installed on `Tracer`.

The core knows nothing of NumPy's namespace; this file, above it, gives tracers their behaviour. What concrete arrays
(`functrans.Array`), which are ndarrays, do not have from NumPy, and what both share, is in `arrays.py`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from functrans.core.array import Array
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, DTypeError
from functrans.lax import elementwise as ew
from functrans.lax.subscript import getitem
from functrans.numpy import (
    arrays,
    datatypes,
    indexing,
    manipulation,
    products,
    reductions,
    shapes,
    standard,
    ufuncmethods,
    ufuncs,
)
from functrans.numpy.dispatch import TRACED

# ---------------------------------------------------------------- operators


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": ew.add, "sub": ew.sub, "mul": ew.mul, "truediv": ew.div, "floordiv": ew.floor_divide, "mod": ew.rem,
    "pow": ufuncs.power.traced, "and": ew.bitwise_and, "or": ew.bitwise_or, "xor": ew.bitwise_xor,
    "lshift": ew.shift_left, "rshift": ew.shift_right, "matmul": products.matmul, "divmod": ufuncs.divmod,
}  # fmt: skip
_COMPARISONS = {"eq": ew.eq, "ne": ew.ne, "lt": ew.lt, "le": ew.le, "gt": ew.gt, "ge": ew.ge}


def _install_operators() -> None:
    for name, op in _OPERATORS.items():
        forward, reflected = arrays.binary(op)
        setattr(Tracer, f"__{name}__", forward)
        setattr(Tracer, f"__r{name}__", reflected)
    for name, op in _COMPARISONS.items():
        setattr(Tracer, f"__{name}__", arrays.binary(op)[0])
    unary = {"neg": ew.neg, "pos": ew.positive, "abs": ew.abs, "invert": ew.bitwise_not}
    for name, row in unary.items():
        setattr(Tracer, f"__{name}__", lambda self, row=row: row(self))


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
    "device": lambda self: "cpu",
}

# ---------------------------------------------------------------- methods


def _reshape(self: Any, *shape: Any, order: str = "C", copy: Any = None, **options: Any) -> Any:
    return manipulation.reshape(self, shape[0] if len(shape) == 1 else shape, order=order, **options)


def _transpose(self: Any, *axes: Any) -> Any:
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return manipulation.transpose(self, axes[0])
    return manipulation.transpose(self, axes or None)


def _item(self: Any, *args: Any) -> Any:
    value = self.concrete(ConcretizationError, "a Python number")
    return np.asarray(value).item(*args)


def _tolist(self: Any) -> Any:
    return np.asarray(self.concrete(ConcretizationError, "a Python list")).tolist()


_METHODS: dict[str, Callable[..., Any]] = {
    **{name: function for name, (function, _) in arrays.EXTENDED.items()},
    "argmax": reductions.argmax, "argmin": reductions.argmin, "block_until_ready": lambda self: self,
    "byteswap": arrays.byteswap, "conj": lambda self: ew.conj(self), "conjugate": lambda self: ew.conj(self),
    "copy": lambda self, order="C": self, "cumprod": reductions.cumprod, "cumsum": reductions.cumsum,
    "diagonal": indexing.diagonal, "item": _item, "ptp": reductions.ptp, "reshape": _reshape,
    "squeeze": manipulation.squeeze, "to_device": standard.to_device, "tolist": _tolist, "transpose": _transpose,
    "view": arrays.view,
}  # fmt: skip


def _install_methods() -> None:
    for name, get in _PROPERTIES.items():
        setattr(Tracer, name, arrays.property_of_tracers(name, get))
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
    np.shape: shapes.shape,
    np.ndim: shapes.ndim,
    np.size: shapes.size,
    np.iscomplexobj: lambda x: aval_of(x).dtype.kind == "c",
    np.isrealobj: lambda x: aval_of(x).dtype.kind != "c",
    np.result_type: datatypes.result_type,
    np.can_cast: datatypes.can_cast,
    np.astype: datatypes.astype,
    np.array_repr: lambda arr, *args, **kwargs: repr(arr),
}

_install_operators()
_install_methods()
Array.__array_namespace__ = _namespace  # type: ignore[method-assign]
arrays.install()
Tracer.__array_ufunc__ = _array_ufunc  # type: ignore[attr-defined]
Tracer.__array_function__ = _array_function  # type: ignore[attr-defined]
