"""The vocabulary in which the functions of this package are written, and how their text becomes machine code.

A function is plain Python over operators and the words below: `where` for choices, `rounded`, `bits` and their like for
what lies under a float. Its text runs on two kinds of values. On an `Operand`, a value of LLVM, each operation writes
one or two instructions: that is how `compiled` turns the text into Numba intrinsics, whose instructions stand in the
loop that uses them, without a call, without a branch, and without anything for Numba to infer. On NumPy's float64 and
float32 it computes, which is what the intrinsic's `py_func` is for. Numbers in the text take the type of what they
meet.

Nothing here needs or survives reassociation, so kernels are to be compiled without fast-math, or with `contract` and
`nsz` at most.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from functrans.compiler.llvm import call, is_gpu, negative

_F64, _F32, _I1 = ir.DoubleType(), ir.FloatType(), ir.IntType(1)
_INT = {_F64: ir.IntType(64), _F32: ir.IntType(32)}
_FLOAT = {64: _F64, 32: _F32}


class Operand:
    """An LLVM value; operators on it write instructions."""

    __slots__ = ("builder", "fuses", "llvm")

    def __init__(self, builder: Any, llvm: Any, fuses: bool):
        self.builder, self.llvm, self.fuses = builder, llvm, fuses

    @property
    def is_float(self) -> bool:
        return self.llvm.type in _INT

    def like(self, llvm: Any) -> Operand:
        return Operand(self.builder, llvm, self.fuses)

    def of(self, value: Any) -> Any:
        """The LLVM value of an operand, or of a number as a constant of this operand's type."""
        if isinstance(value, Operand):
            return value.llvm
        if self.is_float:
            return ir.Constant(self.llvm.type, float(value))
        width = self.llvm.type.width
        return ir.Constant(self.llvm.type, (int(value) + (1 << width - 1)) % (1 << width) - (1 << width - 1))

    def _binary(self, other: Any, float_name: str, int_name: str, swapped: bool = False) -> Operand:
        write = getattr(self.builder, float_name if self.is_float else int_name)
        a, b = self.llvm, self.of(other)
        return self.like(write(b, a) if swapped else write(a, b))

    def _compare(self, other: Any, relation: str) -> Operand:
        if self.is_float:
            write = self.builder.fcmp_unordered if relation == "!=" else self.builder.fcmp_ordered
        else:
            write = self.builder.icmp_signed
        return self.like(write(relation, self.llvm, self.of(other)))

    def __add__(self, other: Any) -> Operand:
        return self._binary(other, "fadd", "add")

    def __radd__(self, other: Any) -> Operand:
        return self._binary(other, "fadd", "add", swapped=True)

    def __sub__(self, other: Any) -> Operand:
        return self._binary(other, "fsub", "sub")

    def __rsub__(self, other: Any) -> Operand:
        return self._binary(other, "fsub", "sub", swapped=True)

    def __mul__(self, other: Any) -> Operand:
        return self._binary(other, "fmul", "mul")

    def __rmul__(self, other: Any) -> Operand:
        return self._binary(other, "fmul", "mul", swapped=True)

    def __truediv__(self, other: Any) -> Operand:
        return self._binary(other, "fdiv", "")

    def __rtruediv__(self, other: Any) -> Operand:
        return self._binary(other, "fdiv", "", swapped=True)

    def __neg__(self) -> Operand:
        return self.like(negative(self.builder, self.llvm) if self.is_float else self.builder.neg(self.llvm))

    def __lshift__(self, n: int) -> Operand:
        return self._binary(n, "", "shl")

    def __rshift__(self, n: int) -> Operand:
        return self._binary(n, "", "lshr")

    def __and__(self, other: Any) -> Operand:
        return self._binary(other, "", "and_")

    def __or__(self, other: Any) -> Operand:
        return self._binary(other, "", "or_")

    def __xor__(self, other: Any) -> Operand:
        return self._binary(other, "", "xor")

    def __lt__(self, other: Any) -> Operand:
        return self._compare(other, "<")

    def __le__(self, other: Any) -> Operand:
        return self._compare(other, "<=")

    def __gt__(self, other: Any) -> Operand:
        return self._compare(other, ">")

    def __ge__(self, other: Any) -> Operand:
        return self._compare(other, ">=")

    def __eq__(self, other: Any) -> Operand:  # type: ignore[override]
        return self._compare(other, "==")

    def __ne__(self, other: Any) -> Operand:  # type: ignore[override]
        return self._compare(other, "!=")

    __hash__ = None  # type: ignore[assignment]

    def call(self, name: str, *others: Any) -> Operand:
        """Call an LLVM intrinsic on values of this type."""
        return self.like(call(self.builder, name, self.llvm.type, self.llvm, *map(self.of, others)))


def is_double(x: Any) -> bool:
    return bool(x.llvm.type == _F64 if isinstance(x, Operand) else x.dtype == np.float64)


def choose(x: Any, double: Any, single: Any) -> Any:
    """What the precision of `x` needs: the number, table or formula for float64, or that for float32."""
    return double if is_double(x) else single


def number(value: float, x: Any) -> Any:
    """A number in the format of `x`, for a choice between two numbers."""
    return x.like(x.of(value)) if isinstance(x, Operand) else x.dtype.type(value)


# ---------------------------------------------------------------- choices, signs, rounding


def where(condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`; both are computed."""
    if isinstance(condition, Operand):
        typed = a if isinstance(a, Operand) else b
        return condition.like(condition.builder.select(condition.llvm, typed.of(a), typed.of(b)))
    return np.where(condition, a, b)[()]


def absolute(x: Any) -> Any:
    return x.call("llvm.fabs") if isinstance(x, Operand) else np.abs(x)


def copysign(x: Any, sign: Any) -> Any:
    if isinstance(x, Operand):
        return x.call("llvm.copysign", sign)
    return sign.call("llvm.copysign", x) if isinstance(sign, Operand) else np.copysign(x, sign)


def sqrt(x: Any) -> Any:
    return x.call("llvm.sqrt") if isinstance(x, Operand) else np.sqrt(x)


def floor(x: Any) -> Any:
    return x.call("llvm.floor") if isinstance(x, Operand) else np.floor(x)


def rounded(x: Any) -> Any:
    """The nearest whole number, ties to even."""
    return x.call("llvm.rint") if isinstance(x, Operand) else np.rint(x)


def maximum(x: Any, y: Any) -> Any:
    """The larger; `x` if that is NaN."""
    return where(x < y, y, x)


def minimum(x: Any, y: Any) -> Any:
    """The smaller; `x` if that is NaN."""
    return where(x > y, y, x)


# ---------------------------------------------------------------- bits


def bits(x: Any) -> Any:
    """The integer of the same width whose bits are those of `x`; `>>` on it shifts zeros in."""
    if isinstance(x, Operand):
        return x.like(x.builder.bitcast(x.llvm, _INT[x.llvm.type]))
    return x.view(np.uint64 if x.dtype == np.float64 else np.uint32)


def from_bits(i: Any) -> Any:
    """The float with these bits."""
    if isinstance(i, Operand):
        return i.like(i.builder.bitcast(i.llvm, _FLOAT[i.llvm.type.width]))
    return i.view(np.float64 if i.dtype == np.uint64 else np.float32)


def number_bits(x: Any, value: float) -> int:
    """The bits of a number in the format of `x`."""
    return int.from_bytes(struct.pack(choose(x, "<d", "<f"), value), "little")


def shifter(x: Any) -> float:
    """1.5 * 2^p. Added to a small number it leaves the nearest whole number in the low bits of the sum."""
    return choose(x, 1.5 * 2.0**52, 1.5 * 2.0**23)


def nearest(x: Any, bias: int = 0) -> tuple[Any, Any]:
    """The whole number n nearest to `x` as a float, and an integer with the low bits of n + bias; |x| < 2^50 (2^21)."""
    shifted = x + (shifter(x) + bias)
    return shifted - (shifter(x) + bias), bits(shifted)


def exponent_bias(x: Any) -> int:
    """What is added to the exponent of a normal number in its bits."""
    return choose(x, 1023, 127)


def power_of_two(i: Any, x: Any) -> Any:
    """2^n in the format of `x` from the low bits of n + bias; n is an exponent of a normal number."""
    return from_bits(i << choose(x, 52, 23))


def scaled(y: Any, i: Any) -> Any:
    """Return y near 1 times 2^n, rounded once; the low bits of `i` are those of n + 2 bias, |n| < 1.5 * 1022 (126)."""
    place = choose(y, 52, 23)
    half = (i << place - 1) & choose(y, (1 << 64) - (1 << 52), (1 << 32) - (1 << 23))  # of n + 2 bias, as an exponent
    return y * from_bits(half) * from_bits((i << place) - half)


def flip_sign(x: Any, i: Any) -> Any:
    """-x if the lowest bit of an integer is set, else x."""
    return from_bits(bits(x) ^ (i << choose(x, 63, 31)))


# ---------------------------------------------------------------- sums and products


def muladd(a: Any, b: Any, c: Any) -> Any:
    """The value of a * b + c, rounded once or twice, whichever the machine does faster."""
    for x in (a, b, c):
        if isinstance(x, Operand):
            return x.like(x.of(a)).call("llvm.fmuladd", b, c)
    return a * b + c


def fused(a: Any, b: Any, c: Any) -> Any:
    """The value of a * b + c without rounding the product; exact where c + a * b is, also without such hardware."""
    for x in (a, b, c):
        if isinstance(x, Operand) and x.fuses:
            return x.like(x.of(a)).call("llvm.fma", b, c)
    p, e = two_product(a, b)
    return (c + p) + e


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded product and what rounding took from it (Dekker; Muller et al., Handbook, 4.4)."""
    for x in (a, b):
        if isinstance(x, Operand) and x.fuses:
            p = x.like(x.of(a)) * b
            return p, x.like(x.of(a)).call("llvm.fma", b, -p)
    p = a * b
    (ah, al), (bh, bl) = _split(a, p), _split(b, p)
    return p, al * bl - (((p - ah * bh) - al * bh) - ah * bl)


def _split(x: Any, like: Any) -> tuple[Any, Any]:
    """High and low half of a number's digits."""
    if isinstance(x, float):
        x = number(x, like)
    mask = choose(x, (1 << 64) - (1 << 27), (1 << 32) - (1 << 12))
    high = from_bits(bits(x) & mask)
    return high, x - high


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The rounded sum and what rounding took from it (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """`two_sum` for |a| >= |b| (Dekker)."""
    s = a + b
    return s, b - (s - a)


def polynomial(x: Any, coefficients: Sequence[float]) -> Any:
    """c0 + c1 x + c2 x^2 + ... by Horner's rule; the rest of a long one as even and odd powers, which do not wait."""
    if len(coefficients) < 8:
        return _horner(x, coefficients)
    first, second, third, *others = coefficients
    square = x * x
    rest = muladd(_horner(square, others[1::2]), x, _horner(square, others[0::2]))
    return muladd(muladd(square, rest, muladd(third, x, second)), x, first)


def _horner(x: Any, coefficients: Sequence[float]) -> Any:
    *rest, result = coefficients
    for c in reversed(rest):
        result = muladd(result, x, c)
    return result


# ---------------------------------------------------------------- compilation


def _fuses(context: Any) -> bool:
    """Whether the machine that code is generated for has fused multiply-add."""
    try:
        triple, _, features = context.codegen().magic_tuple()
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return True  # a GPU
    return "+fma" in features.split(",") or triple.startswith(("aarch64", "arm64", "powerpc64"))


def compiled(text: Callable[..., Any], intrinsic: Any = intrinsic) -> tuple[Any, Any]:
    """The float64 and the float32 intrinsic of a function's text; `py_func` is the text."""
    return _compiled(text, types.float64, intrinsic), _compiled(text, types.float32, intrinsic)


def _compiled(text: Callable[..., Any], type_: Any, intrinsic: Any) -> Any:
    count = text.__code__.co_argcount

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        fuses = is_gpu(builder) or _fuses(context)
        return text(*(Operand(builder, a, fuses) for a in args)).llvm

    def one(typingctx: Any, x: Any) -> Any:
        return type_(type_), codegen

    def two(typingctx: Any, x: Any, y: Any) -> Any:
        return type_(type_, type_), codegen

    typed = one if count == 1 else two
    typed.__name__ = typed.__qualname__ = f"{text.__name__}_f{type_.bitwidth}"
    typed.__doc__ = text.__doc__
    result = intrinsic(typed)
    result.py_func = text
    return result
