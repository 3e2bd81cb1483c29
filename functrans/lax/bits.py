"""Rounding and bits as `jax.lax` has them: functions composed of elementwise primitives."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, float_info, kind_of
from functrans.core.primitive import Primitive
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew, options
from functrans.lax.conversion import bitcast_convert_type as bitcast, convert_element_type
from functrans.lax.promotion import as_operand, to_common_dtype
from functrans.lax.reductions import reduce_or
from functrans.lax.structural import reshape

# ---------------------------------------------------------------- rounding


class RoundingMethod(enum.IntEnum):
    """To which integer `round` takes what lies halfway between two.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.round(np.array([0.5, 1.5]), ft.lax.RoundingMethod.TO_NEAREST_EVEN)
    Array([0., 2.])
    """

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest whole number, of the operand's dtype (a float); `np.round` goes to even ones from halfway.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.round(np.array([0.5, 1.5, -2.5]))
    Array([ 1.,  2., -3.])
    >>> lax.round(np.array([0.5, 1.5, -2.5]), lax.RoundingMethod.TO_NEAREST_EVEN)
    Array([ 0.,  2., -2.])
    """
    x = as_operand("round", x)
    if kind_of(aval_of(x).dtype) != "f":
        raise DTypeError(f"lax.round takes floats, got {aval_of(x)}")
    if RoundingMethod(rounding_method) is RoundingMethod.TO_NEAREST_EVEN:
        return ew.rint(x)
    finite = ew.where(ew.isfinite(x), x, _like(0, x))
    whole = ew.trunc(finite)
    away = ew.ge(ew.abs(ew.sub(finite, whole)), 0.5)
    rounded = ew.where(away, ew.add(whole, ew.copysign(_like(1, x), x)), whole)
    return ew.where(ew.isfinite(x), ew.copysign(rounded, x), x)


def rsqrt(x: Any, *, accuracy: None = None) -> Any:
    """One divided by the square root.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.rsqrt(np.array([4.0, 16.0]))
    Array([0.5 , 0.25])
    """
    options.refuse_accuracy("rsqrt", accuracy)
    return ew.reciprocal(ew.sqrt(x))


def _like(value: Any, x: Any) -> Any:
    return aval_of(x).dtype.type(value)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Floats rounded to a format with fewer bits, of the operand's dtype.

    Beyond the largest number of the format they are infinite, below the smallest normal one zero. Derivatives are those
    of the identity.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.reduce_precision(np.array([np.pi, 1e10]), exponent_bits=5, mantissa_bits=10)
    Array([3.140625,      inf])
    """
    operand = as_operand("reduce_precision", operand)
    dtype = aval_of(operand).dtype
    if kind_of(dtype) != "f":
        raise DTypeError(f"reduce_precision takes floats, got {aval_of(operand)}")
    if exponent_bits < 1 or mantissa_bits < 0:
        raise ArgumentError(
            f"reduce_precision needs 1 bit of exponent and 0 of mantissa at least, got {exponent_bits}, {mantissa_bits}"
        )
    return reduce_precision_p.bind(operand, exponent_bits=int(exponent_bits), mantissa_bits=int(mantissa_bits))


def _reduce_precision(x: Any, *, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round to nearest even by an addition to the bits, which carries into the exponent."""
    dtype = aval_of(x).dtype
    info = float_info(dtype)
    unsigned = np.dtype(f"u{dtype.itemsize}").type
    bits = bitcast_convert_type(x, unsigned)
    drop = info.nmant - mantissa_bits
    if drop > 0:
        last = ew.bitwise_and(ew.shift_right(bits, unsigned(drop)), unsigned(1))
        half = ew.add(last, unsigned((1 << (drop - 1)) - 1))
        mask = unsigned(((1 << (8 * dtype.itemsize)) - 1) ^ ((1 << drop) - 1))
        bits = ew.bitwise_and(ew.add(bits, half), mask)
    y = bitcast_convert_type(bits, dtype)
    if exponent_bits < info.iexp:
        bias = (1 << (exponent_bits - 1)) - 1
        smallest, beyond = np.ldexp(dtype.type(1), 1 - bias), np.ldexp(dtype.type(1), bias + 1)
        size = ew.abs(y)
        y = ew.where(ew.lt(size, smallest), ew.copysign(dtype.type(0), x), y)
        y = ew.where(ew.ge(size, beyond), ew.copysign(dtype.type(np.inf), x), y)
    return ew.where(ew.ne(x, x), x, y)


def _reduce_precision_impl(x: Any, **params: int) -> Any:
    return wrap(np.asarray(_reduce_precision(np.asarray(x), **params), np.asarray(x).dtype))


def _reduce_precision_abstract(x: ShapedArray, **params: int) -> ShapedArray:
    return x.strong()


reduce_precision_p = Primitive("reduce_precision")
reduce_precision_p.impl = _reduce_precision_impl
reduce_precision_p.abstract_eval = _reduce_precision_abstract
reduce_precision_p.jvp = lambda p, t, **params: (reduce_precision_p.bind(p[0], **params), t[0])
reduce_precision_p.batch = lambda axis, args, dims, **params: (reduce_precision_p.bind(args[0], **params), dims[0])
reduce_precision_p.expand = _reduce_precision

# ---------------------------------------------------------------- bits of integers


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits of `operand` read as another dtype.

    A smaller dtype adds an axis behind, along which the parts of each element lie, the lowest bits first; a larger one
    takes the last axis for such parts.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.bitcast_convert_type(np.float32(1.0), np.uint32)
    Array(1065353216, dtype=uint32)
    >>> lax.bitcast_convert_type(np.uint32(258), np.uint8)
    Array([2, 1, 0, 0], dtype=uint8)
    """
    operand = as_operand("bitcast_convert_type", operand)
    aval, new_dtype = aval_of(operand), np.dtype(new_dtype)
    old, new = aval.dtype.itemsize, new_dtype.itemsize
    if old == new or not {aval.dtype.kind, new_dtype.kind} <= {*"iuf"}:
        return bitcast(operand, new_dtype)
    small, large = np.dtype(f"u{min(old, new)}"), np.dtype(f"u{max(old, new)}")
    count = large.itemsize // small.itemsize
    shifts = np.arange(count, dtype=large) * large.type(8 * small.itemsize)
    if old > new:
        words = reshape(bitcast(operand, large), (*aval.shape, 1))
        return bitcast(convert_element_type(ew.shift_right(words, shifts), small), new_dtype)
    if aval.shape[-1:] != (count,):
        raise ShapeError(
            f"bitcast_convert_type from {aval.dtype} to {new_dtype}: the last axis must hold the {count} parts of each "
            f"element, got shape {aval.shape}"
        )
    parts = ew.shift_left(convert_element_type(bitcast(operand, small), large), shifts)
    return bitcast(reduce_or(parts, (aval.ndim - 1,)), new_dtype)


def _unsigned(what: str, x: Any) -> tuple[Any, np.dtype, np.dtype]:
    """An integer array as unsigned words, the dtype of these, and its own."""
    x = as_operand(what, x)
    dtype = aval_of(x).dtype
    if dtype.kind not in "iu":
        raise DTypeError(f"{what} takes integers, got {aval_of(x)}")
    word = np.dtype(f"u{dtype.itemsize}")
    x = convert_element_type(x, dtype)
    return (x if dtype == word else bitcast_convert_type(x, word)), word, dtype


def population_count(x: Any) -> Any:
    """How many bits of each integer are set (for negative ones, of the two's complement); of the operand's dtype.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.population_count(np.array([7, 8, -1], np.int32))
    Array([ 3,  1, 32], dtype=int32)
    """
    words, _, dtype = _unsigned("population_count", x)
    return convert_element_type(ew.population_count(words), dtype)


def clz(x: Any) -> Any:
    """How many zeros lead the bits of each integer; of the operand's dtype.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.clz(np.array([0, 1, 255, -1], np.int32))
    Array([32, 31, 24,  0], dtype=int32)
    """
    words, word, dtype = _unsigned("clz", x)
    width = 8 * word.itemsize
    step = 1
    while step < width:  # every bit below the first that is set
        words = ew.bitwise_or(words, ew.shift_right(words, word.type(step)))
        step *= 2
    return ew.sub(dtype.type(width), convert_element_type(ew.population_count(words), dtype))


def shift_right_logical(x: Any, y: Any) -> Any:
    """Bits of integers moved to the right by `y` places, zeros in from the left, also for negative numbers.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.shift_right_logical(np.array([-1, 16], np.int8), np.int8(2))
    Array([63,  4], dtype=int8)
    """
    words, word, dtype = _unsigned("shift_right_logical", x)
    out = ew.shift_right(words, convert_element_type(y, word))
    return out if dtype == word else bitcast_convert_type(out, dtype)


def mulhi(x: Any, y: Any) -> Any:
    """The upper half of the bits of products of integers, which the dtype has no room for.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.mulhi(np.uint32(1 << 31), np.uint32(6))
    Array(3, dtype=uint32)
    """
    x, y = to_common_dtype("mulhi", [as_operand("mulhi", v) for v in (x, y)])
    dtype = aval_of(x).dtype
    if dtype.kind not in "iu":
        raise DTypeError(f"mulhi takes integers, got {aval_of(x)}")
    width = 8 * dtype.itemsize
    if width < 64:
        wide = np.dtype(f"{dtype.kind}8")
        product = ew.mul(convert_element_type(x, wide), convert_element_type(y, wide))
        return convert_element_type(ew.shift_right(product, wide.type(width)), dtype)
    (a, word, _), (b, _, _) = _unsigned("mulhi", x), _unsigned("mulhi", y)
    half, low = word.type(32), word.type(0xFFFFFFFF)
    (ah, al), (bh, bl) = ((ew.shift_right(v, half), ew.bitwise_and(v, low)) for v in (a, b))
    middle = ew.add(ew.mul(ah, bl), ew.shift_right(ew.mul(al, bl), half))
    other = ew.add(ew.mul(al, bh), ew.bitwise_and(middle, low))
    high = ew.add(ew.add(ew.mul(ah, bh), ew.shift_right(middle, half)), ew.shift_right(other, half))
    if dtype == word:
        return high
    zero = word.type(0)  # signed: what the sign bits added is taken away
    high = ew.sub(ew.sub(high, ew.where(ew.lt(x, 0), b, zero)), ew.where(ew.lt(y, 0), a, zero))
    return bitcast_convert_type(high, dtype)


__all__ = [
    "RoundingMethod", "bitcast_convert_type", "clz", "mulhi", "population_count", "reduce_precision", "round", "rsqrt",
    "shift_right_logical",
]  # fmt: skip
