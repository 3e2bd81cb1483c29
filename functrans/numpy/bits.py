"""Bits of bytes (NumPy's reference: Binary operations, Bit packing)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError
from functrans.numpy.dispatch import dtype_of, implements, normalize_axis, operand, shape_of
from functrans.numpy.manipulation import moveaxis, ravel


def _weights(name: str, bitorder: str) -> np.ndarray:
    if bitorder not in ("big", "little"):
        raise ArgumentError(f"{name}: bitorder must be 'big' or 'little', got {bitorder!r}")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1] if bitorder == "big" else places


@implements(np.packbits)
def packbits(a: Any, /, axis: Any = None, bitorder: str = "big") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.packbits([1, 0, 1, 0, 0, 0, 0, 1])
    Array([161], dtype=uint8)
    """
    a = operand("packbits", a)
    shifts = _weights("packbits", bitorder)
    if dtype_of(a).kind not in "biu":
        raise DTypeError(f"packbits takes integers or booleans, got {aval_of(a)}")
    if axis is None or (not shape_of(a) and axis in (0, -1)):
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    bits = lax.convert_element_type(lax.ne(moveaxis(a, axis, -1), 0), np.uint8)
    *rest, n = shape_of(bits)
    bits = lax.pad(bits, np.uint8(0), [*[(0, 0, 0)] * len(rest), (0, -n % 8, 0)])
    bits = lax.shift_left(lax.reshape(bits, (*rest, -(-n // 8), 8)), shifts)
    return moveaxis(lax.reduce_or(bits, (len(rest) + 1,)), -1, axis)


@implements(np.unpackbits)
def unpackbits(a: Any, /, axis: Any = None, count: Any = None, bitorder: str = "big") -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.unpackbits(fnp.uint8(161))
    Array([1, 0, 1, 0, 0, 0, 0, 1], dtype=uint8)
    """
    a = operand("unpackbits", a)
    shifts = _weights("unpackbits", bitorder)
    if dtype_of(a) != np.uint8:
        raise DTypeError(f"unpackbits takes uint8, got {aval_of(a)}")
    if axis is None or (not shape_of(a) and axis in (0, -1)):
        a, axis = ravel(a), 0
    axis = normalize_axis(axis, len(shape_of(a)))
    a = moveaxis(a, axis, -1)
    *rest, n = shape_of(a)
    bits = lax.bitwise_and(lax.shift_right_arithmetic(lax.reshape(a, (*rest, n, 1)), shifts), np.uint8(1))
    bits = lax.reshape(bits, (*rest, 8 * n))
    if count is not None:
        count = operator.index(count)
        stop = 8 * n + count if count < 0 else count
        if stop < 0:
            raise ArgumentError(f"unpackbits: count={count} is more than the {8 * n} bits there are")
        bits = lax.pad(bits, np.uint8(0), [*[(0, 0, 0)] * len(rest), (0, stop - 8 * n, 0)])
    return moveaxis(bits, -1, axis)
