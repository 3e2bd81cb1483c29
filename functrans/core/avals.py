"""Abstract values: what is known of an array before it has a value.

A `ShapedArray` is the type of everything in a jaxpr. `weak` marks what came from a Python scalar: under NumPy 2's
rules (NEP 50) such a value takes the dtype of what it meets. Dtypes are in the machine's byte order; an array that is
not (from a file, say) is converted where its memory is read by kernels.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.placement import refuse_placement
from functrans.errors import DTypeError


def _bfloat16() -> Any:
    try:
        return np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    except ModuleNotFoundError:  # then no array has this dtype, and nothing else is amiss
        return np.dtype([("bfloat16 needs ml_dtypes", np.uint16)])


#: Google's 16-bit float with the exponents of float32: computed in float32, each result rounded. NumPy has its kind as
#: "V", so it is asked by `kind_of`.
bfloat16: Any = _bfloat16()

#: The floats that are computed in float32.
SMALL_FLOATS = (np.dtype(np.float16), bfloat16)


def native(x: Any) -> np.ndarray:
    """An array in the machine's byte order."""
    x = np.asarray(x)
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def kind_of(dtype: np.dtype) -> str:
    """NumPy's letter for the kind of a dtype, where bfloat16 is a float."""
    kind = dtype.kind
    return "f" if kind == "V" and dtype == bfloat16 else kind


def is_inexact(dtype: np.dtype) -> bool:
    """Whether it is a dtype of floats or complex numbers."""
    return kind_of(dtype) in "fc"


def inexact_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which functions of real or complex numbers compute: itself if inexact, float64 otherwise."""
    return dtype if kind_of(dtype) in "fc" else np.dtype(np.float64)


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of the real parts."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def float_info(dtype: np.dtype) -> Any:
    """`numpy.finfo`, also of bfloat16."""
    return importlib.import_module("ml_dtypes").finfo(dtype) if dtype == bfloat16 else np.finfo(dtype)


#: The dtype of tangents of integers and booleans: the trivial vector space, as in JAX.
float0 = np.dtype([("float0", np.void, 0)])

_WEAK_TYPES = {int: np.dtype(np.int64), float: np.dtype(np.float64), complex: np.dtype(np.complex128)}
_KIND_NAMES = {"f": "f", "c": "c", "i": "i", "u": "u"}


class ShapedArray:
    """The type of an array: its shape, its dtype, and whether it is weak (came from a Python scalar)."""

    __slots__ = ("dtype", "shape", "weak")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, weak: bool = False):
        self.shape = shape
        self.dtype = dtype
        self.weak = weak

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def weak_type(self) -> bool:
        return self.weak

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    def strong(self) -> ShapedArray:
        return ShapedArray(self.shape, self.dtype) if self.weak else self

    def with_shape(self, shape: tuple[int, ...]) -> ShapedArray:
        return ShapedArray(shape, self.dtype, self.weak)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ShapedArray)
            and self.shape == other.shape
            and self.dtype == other.dtype
            and self.weak == other.weak
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak))

    def __repr__(self) -> str:
        return f"ShapedArray({self})"

    def __str__(self) -> str:
        return f"{dtype_name(self.dtype)}[{','.join(map(str, self.shape))}]"


class ShapeDtypeStruct:
    """A stand-in for an array, with a shape and a dtype and no data, for `eval_shape`, `jit(f).lower` and their like.

    >>> import functrans as ft, numpy as np
    >>> ft.ShapeDtypeStruct((2, 3), np.float32)
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    __slots__ = ("dtype", "shape", "weak_type")

    def __init__(self, shape: Sequence[int], dtype: Any, weak_type: bool = False, *, sharding: None = None):
        refuse_placement("ShapeDtypeStruct", sharding=sharding)
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.weak_type = weak_type

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return ShapedArray(self.shape, self.dtype).size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShapeDtypeStruct) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype})"


def dtype_name(dtype: np.dtype) -> str:
    """The short name of a dtype in jaxprs: `f64`, `i32`, `bool`, `c128`."""
    if kind_of(dtype) != dtype.kind:
        return "bf16"
    kind = _KIND_NAMES.get(dtype.kind)
    if kind is not None:
        return f"{kind}{dtype.itemsize * 8}"
    return "float0" if dtype == float0 else str(dtype)


def aval_of(value: Any) -> ShapedArray:
    """The abstract value of an array, a tracer, a scalar or a `ShapeDtypeStruct`."""
    if isinstance(value, (np.ndarray, np.generic)):
        dtype = value.dtype
        return ShapedArray(value.shape, dtype if dtype.isnative else dtype.newbyteorder("="))
    aval = getattr(value, "aval", None)
    if aval is not None:
        return aval
    weak = _WEAK_TYPES.get(type(value))
    if weak is not None:
        return ShapedArray((), weak, True)
    if isinstance(value, bool):
        return ShapedArray((), np.dtype(bool))
    if isinstance(value, ShapeDtypeStruct):
        return ShapedArray(value.shape, value.dtype, value.weak_type)
    for scalar_type, dtype in _WEAK_TYPES.items():  # subclasses: IntEnum and their like
        if isinstance(value, scalar_type):
            return ShapedArray((), dtype, True)
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return aval_of(np.asarray(value))
    raise DTypeError(
        f"expected an array or a scalar, got {value!r:.80} of type {type(value).__name__}. Pass arrays, numbers and "
        "pytrees of them; mark other arguments as static (jit's static_argnums or static_argnames) or close over them."
    )


def is_array_like(value: Any) -> bool:
    """Whether a leaf can be an operand: an array, a tracer or a number (not a list, a string or an object)."""
    return (
        isinstance(value, (np.ndarray, np.generic, bool, int, float, complex))
        or hasattr(value, "aval")
        or hasattr(value, "__array__")
    )


def tangent_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of tangents of arrays of `dtype`: itself if inexact, `float0` otherwise."""
    return dtype if is_inexact(dtype) else float0
