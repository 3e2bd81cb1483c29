"""Dtypes, with the names of `jax.dtypes`.

>>> import functrans as ft, numpy as np
>>> ft.dtypes.issubdtype(np.float32, np.floating), ft.dtypes.canonicalize_dtype(float)
(True, dtype('float64'))
"""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, float0, kind_of
from functrans.errors import DTypeError
from functrans.numpy import finfo, iinfo

__all__ = [
    "TypePromotionError", "canonicalize_dtype", "extended", "finfo", "float0", "iinfo", "issubdtype", "itemsize_bits",
    "prng_key", "result_type", "scalar_type_of",
]  # fmt: skip

TypePromotionError = DTypeError


class extended(np.generic):
    """The kind of dtypes that NumPy does not have, in JAX; no dtype here is of it."""


class prng_key(extended):
    """The kind of dtypes of keys, in JAX; keys are arrays of uint32 here, so no dtype is of it."""


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is another or of a kind, as `numpy.issubdtype`; bfloat16 is a float.

    >>> import functrans as ft
    >>> key = ft.random.key(0)
    >>> ft.dtypes.issubdtype(key.dtype, ft.dtypes.prng_key)
    False
    """
    if isinstance(arg2, type) and issubclass(arg2, extended):
        return isinstance(arg1, type) and issubclass(arg1, arg2)
    if isinstance(arg1, type) and issubclass(arg1, extended):
        return False
    return fnp.issubdtype(arg1, arg2)


def canonicalize_dtype(dtype: Any, allow_extended_dtype: bool = False) -> np.dtype:
    """A dtype as an object: those of 64 bits stay what they are.

    >>> import functrans as ft
    >>> ft.dtypes.canonicalize_dtype("int64")
    dtype('int64')
    """
    return np.dtype(dtype)


def result_type(*args: Any, return_weak_type_flag: bool = False) -> Any:
    """The dtype of what arrays and dtypes give together, by NumPy's rules.

    Args:
        args: arrays, dtypes and Python's numbers.
        return_weak_type_flag: whether to return a pair of it and whether all arguments are weak.

    >>> import functrans as ft, numpy as np
    >>> ft.dtypes.result_type(np.float32, 1.0)
    dtype('float32')
    """
    dtype = fnp.result_type(*args)
    if not return_weak_type_flag:
        return dtype
    arrays = [a for a in args if not isinstance(a, (type, np.dtype, str))]
    return dtype, len(arrays) == len(args) and all(aval_of(a).weak for a in arrays)


def scalar_type_of(x: Any) -> type:
    """Python's type of number for the elements of an array: `bool`, `int`, `float` or `complex`.

    >>> import functrans as ft, numpy as np
    >>> ft.dtypes.scalar_type_of(np.ones(2, np.float32))
    <class 'float'>
    """
    aval = aval_of(x)
    kinds: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "c": complex}
    kind = kind_of(aval.dtype)
    if kind not in kinds:
        raise DTypeError(f"scalar_type_of takes arrays of numbers, got {aval}")
    return kinds[kind]


def itemsize_bits(dtype: Any) -> int:
    """The number of bits of a number.

    >>> import functrans as ft
    >>> ft.dtypes.itemsize_bits("float32")
    32
    """
    return np.dtype(dtype).itemsize * 8


def __getattr__(name: str) -> Any:
    if name == "bfloat16":
        return fnp.bfloat16
    raise AttributeError(f"module 'functrans.dtypes' has no attribute {name!r}")
