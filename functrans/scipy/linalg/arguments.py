"""Operands of the traced forms: their dtypes, as SciPy chooses them, and their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import SMALL_FLOATS, aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import operand


def inexact(name: str, *operands: Any, small: type = np.float32) -> Any:
    """Operands of one dtype in which LAPACK computes; one alone, or a list.

    Floats of half precision become float32 and integers float64; booleans and integers below 32 bits are `small`.
    """
    arrays = [operand(name, x) for x in operands]
    dtypes = []
    for x in arrays:
        dtype = aval_of(x).dtype
        if dtype.kind in "biu":
            dtype = np.dtype(small if dtype.itemsize < 4 else np.float64)
        elif dtype in SMALL_FLOATS:
            dtype = np.dtype(np.float32)
        dtypes.append(dtype)
    common = common_dtype(*dtypes)
    out = [lax.convert_element_type(x, common) for x in arrays]
    return out[0] if len(out) == 1 else out


def double(name: str, *operands: Any) -> Any:
    """Operands in double precision, where SciPy computes in no other."""
    arrays = [operand(name, x) for x in operands]
    kinds = "c" if any(aval_of(x).dtype.kind == "c" for x in arrays) else "f"
    out = [lax.convert_element_type(x, np.complex128 if kinds == "c" else np.float64) for x in arrays]
    return out[0] if len(out) == 1 else out


def check_matrix(name: str, a: Any) -> Any:
    """Raise the user's error unless there are two axes."""
    if aval_of(a).ndim < 2:
        raise ShapeError(f"{name} takes matrices in the last two axes, got shape {aval_of(a).shape}")
    return a


def matrix(name: str, a: Any, small: type = np.float32) -> Any:
    """An operand that holds matrices."""
    return check_matrix(name, inexact(name, a, small=small))


def square(name: str, a: Any, small: type = np.float32) -> Any:
    """An operand that holds square matrices."""
    a = inexact(name, a, small=small)
    check_square(name, a)
    return a


def check_square(name: str, *operands: Any) -> None:
    """Raise the user's error unless the last two axes are as long as each other."""
    for a in operands:
        shape = aval_of(a).shape
        if len(shape) < 2 or shape[-1] != shape[-2]:
            raise ShapeError(f"{name} takes square matrices in the last two axes, got shape {shape}")


def check_vector(name: str, *operands: Any) -> None:
    """Raise the user's error for scalars."""
    for x in operands:
        if not aval_of(x).ndim:
            raise ShapeError(f"{name} takes vectors in the last axis, got a scalar")


def as_columns(name: str, b: Any) -> tuple[Any, bool]:
    """Right-hand sides as matrices, and whether there was a single vector."""
    if not aval_of(b).ndim:
        raise ShapeError(f"{name} takes vectors or matrices as right-hand sides, got a scalar")
    vector = aval_of(b).ndim == 1
    return (lax.reshape(b, (*aval_of(b).shape, 1)) if vector else b), vector


def as_given(x: Any, vector: bool) -> Any:
    """The solution in the form of the right-hand side."""
    return lax.reshape(x, aval_of(x).shape[:-1]) if vector else x


def choice(name: str, argument: str, value: Any, *allowed: Any) -> None:
    """Raise the user's error unless the argument is one of these."""
    if value not in allowed:
        wanted = ", ".join(map(repr, allowed))
        raise ArgumentError(f"{name}: {argument} is one of {wanted}, got {value!r}")


def only_plain(name: str, **options: Any) -> None:
    """Refuse options (given and not at their default) that have no meaning for traced arrays."""
    for option, value in options.items():
        if value is not None and value is not False:
            raise ArgumentError(f"{name} of a traced array does not take {option}={value!r:.40}")
