"""Dtypes: what promotes to what, what they hold, conversions (array API standard: Data type functions)."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import wrap
from functrans.core.avals import ShapeDtypeStruct, aval_of, bfloat16, float_info, is_inexact
from functrans.core.trace import Tracer
from functrans.errors import DTypeError
from functrans.lax.promotion import common_dtype, weak_type
from functrans.numpy.dispatch import named, on_cpu, operand


def _dtype(value: Any) -> np.dtype:
    """The dtype that is meant by a dtype, an array or a number."""
    if isinstance(value, (Tracer, np.ndarray, np.generic, ShapeDtypeStruct, bool, int, float, complex)):
        return aval_of(value).dtype
    return np.dtype(value)


class finfo:
    """The limits of a floating-point dtype, as Python numbers; what else `numpy.finfo` has is there too.

    Args:
        dtype: a dtype of real or complex floats, or an array of one.

    Attributes: `bits`, `dtype`, `eps`, `max`, `min`, `smallest_normal`.

    >>> import functrans.numpy as fnp
    >>> fnp.finfo(fnp.float32).bits, fnp.finfo(fnp.float64).eps
    (32, 2.220446049250313e-16)
    """

    bits: int
    dtype: np.dtype
    eps: float
    max: float
    min: float
    smallest_normal: float

    def __init__(self, dtype: Any):
        dtype = _dtype(dtype)
        if not is_inexact(dtype):
            raise DTypeError(f"finfo takes floating-point dtypes, got {dtype}; use iinfo for integers")
        self._info: Any = float_info(dtype)
        self.bits, self.dtype = int(self._info.bits), np.dtype(self._info.dtype)
        for name in ("eps", "max", "min", "smallest_normal"):
            setattr(self, name, float(getattr(self._info, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_info"], name)

    def __repr__(self) -> str:
        return f"finfo(min={self.min}, max={self.max}, eps={self.eps}, dtype={self.dtype})"


class iinfo(np.iinfo):
    """The limits of an integer dtype, as `numpy.iinfo`; it takes arrays too.

    >>> import functrans.numpy as fnp
    >>> fnp.iinfo(fnp.int8).max
    127
    """

    def __init__(self, int_type: Any):
        dtype = _dtype(int_type)
        if dtype.kind not in "iu":
            raise DTypeError(f"iinfo takes integer dtypes, got {dtype}; use finfo for floats")
        super().__init__(dtype)


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a dtype, or that of an array, becomes another without loss, as `numpy.can_cast`.

    >>> import functrans.numpy as fnp
    >>> fnp.can_cast(fnp.int32, fnp.float64), fnp.can_cast(fnp.float64, fnp.int32)
    (True, False)
    """
    return np.can_cast(_dtype(from_), np.dtype(to), casting)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind (`"real floating"`, `"integral"`, ...), or another dtype, as `numpy.isdtype`.

    >>> import functrans.numpy as fnp
    >>> fnp.isdtype(fnp.float32, "real floating")
    True
    """
    dtype = np.dtype(dtype)
    if dtype == bfloat16:
        kinds = kind if isinstance(kind, tuple) else (kind,)
        return any(k in ("real floating", "numeric") if isinstance(k, str) else np.dtype(k) == dtype for k in kinds)
    return np.isdtype(dtype, kind)


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is another or of a kind, as `numpy.issubdtype`; bfloat16 is a float.

    >>> import functrans.numpy as fnp
    >>> fnp.issubdtype(fnp.bfloat16, fnp.floating), fnp.issubdtype(fnp.float32, fnp.integer)
    (True, False)
    """
    if not isinstance(arg1, type) or arg1 is bfloat16.type:
        arg1 = np.dtype(arg1)
        if arg1 == bfloat16:
            return arg2 in (np.floating, np.inexact, np.number, np.generic) or arg1 == arg2
    return bool(np.issubdtype(arg1, arg2))


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype to which arrays, scalars and dtypes promote, as `numpy.result_type`.

    >>> import functrans.numpy as fnp
    >>> fnp.result_type(fnp.int32, fnp.float32)
    dtype('float64')
    """
    items = []
    for x in arrays_and_dtypes:
        if isinstance(x, Tracer):
            kind = weak_type(x)
            x = kind(0) if isinstance(kind, type) else kind
        items.append(x)
    return common_dtype(*items)


@named
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """An array with another dtype, by NumPy's casting; `copy=False` gives back an array that has it already.

    >>> import functrans.numpy as fnp
    >>> fnp.astype(fnp.array([1.5, 2.5]), fnp.int64)
    Array([1, 2])
    """
    on_cpu(device)
    x = operand("astype", x)
    if not copy and isinstance(x, np.ndarray) and x.dtype == np.dtype(dtype):
        return wrap(x)
    return lax.convert_element_type(x, dtype)
