"""Scalar functions of kernel text, with NumPy's results, written in LLVM's terms.

Intrinsics rather than compiled functions: they cost no compilation of their own, never branch (both sides of a choice
are computed), and so let loops vectorise. Each works on every dtype for which NumPy has the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from functrans.compiler.llvm import call as _call, remainder_of
from functrans.core import threefry

# ---------------------------------------------------------------- building blocks


def _is_float(t: Any) -> bool:
    return isinstance(t, types.Float)


def _signed(t: Any) -> bool:
    return isinstance(t, types.Integer) and t.signed


def _is_nan(builder: Any, x: Any) -> Any:
    return builder.fcmp_unordered("uno", x, x)


def _unary(name: str, result: Callable[[Any], Any], emit: Callable[..., Any]) -> Any:
    def typed(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return emit(context, builder, signature.args[0], args[0])

        return result(x)(x), codegen

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _binary(name: str, result: Callable[[Any, Any], Any], emit: Callable[..., Any]) -> Any:
    def typed(typingctx: Any, x: Any, y: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return emit(context, builder, signature.args[0], *args)

        return result(x, y)(x, y), codegen

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _same(x: Any, *_: Any) -> Any:
    return x


def _boolean(*_: Any) -> Any:
    return types.boolean


# ---------------------------------------------------------------- choice and comparison


@intrinsic
def where(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a` if the condition holds, else `b`: a select, without a branch."""
    unified = typingctx.unify_types(a, b)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return unified(types.boolean, unified, unified), codegen


select = where


def _less(or_equal: bool) -> Any:
    operator = "<=" if or_equal else "<"

    def emit(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
        if isinstance(t, types.Complex):
            xr, xi = (builder.extract_value(x, i) for i in (0, 1))
            yr, yi = (builder.extract_value(y, i) for i in (0, 1))
            first = builder.and_(builder.fcmp_ordered("<", xr, yr), builder.fcmp_ordered("ord", xi, yi))
            second = builder.and_(builder.fcmp_ordered("==", xr, yr), builder.fcmp_ordered(operator, xi, yi))
            return builder.or_(first, second)
        if _is_float(t):
            return builder.fcmp_ordered(operator, x, y)
        return (builder.icmp_signed if _signed(t) else builder.icmp_unsigned)(operator, x, y)

    return emit


@intrinsic
def less(typingctx: Any, x: Any, y: Any) -> Any:
    """`x < y`: complex values in lexicographic order, int64 against uint64 exactly."""
    return _comparison(x, y, "<", _less(False))


@intrinsic
def less_equal(typingctx: Any, x: Any, y: Any) -> Any:
    """`x <= y`, as `less`."""
    return _comparison(x, y, "<=", _less(True))


def _comparison(x: Any, y: Any, operator: str, emit: Any) -> Any:
    mixed = isinstance(x, types.Integer) and isinstance(y, types.Integer) and x.signed != y.signed

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tx, ty = signature.args
        a, b = args
        if not mixed:
            return emit(context, builder, tx, a, b)
        wide = ir.IntType(64)
        a = (builder.sext if tx.signed else builder.zext)(a, wide) if a.type.width < 64 else a
        b = (builder.sext if ty.signed else builder.zext)(b, wide) if b.type.width < 64 else b
        below = builder.icmp_unsigned(operator, a, b)
        if tx.signed:
            return builder.or_(builder.icmp_signed("<", a, a.type(0)), below)
        return builder.and_(builder.icmp_signed(">=", b, b.type(0)), below)

    return types.boolean(x, y), codegen


def _truth(context: Any, builder: Any, t: Any, x: Any) -> Any:
    if isinstance(t, types.Complex):
        return builder.or_(
            *[
                builder.fcmp_unordered("!=", p, p.type(0.0))
                for p in (builder.extract_value(x, 0), builder.extract_value(x, 1))
            ]
        )
    if _is_float(t):
        return builder.fcmp_unordered("!=", x, x.type(0.0))
    return builder.icmp_unsigned("!=", x, x.type(0))


def _logical(method: str) -> Any:
    return lambda context, builder, t, x, y: getattr(builder, method)(
        _truth(context, builder, t, x), _truth(context, builder, t, y)
    )


logical_and = _binary("logical_and", _boolean, _logical("and_"))
logical_or = _binary("logical_or", _boolean, _logical("or_"))
logical_xor = _binary("logical_xor", _boolean, _logical("xor"))
logical_not = _unary("logical_not", _boolean, lambda c, b, t, x: b.not_(_truth(c, b, t, x)))
truth = _unary("truth", _boolean, _truth)


def _float_test(emit: Callable[[Any, Any], Any], otherwise: bool, any_: bool = True) -> Any:
    def test(context: Any, builder: Any, t: Any, x: Any) -> Any:
        if isinstance(t, types.Complex):
            parts = [emit(builder, builder.extract_value(x, i)) for i in (0, 1)]
            return (builder.or_ if any_ else builder.and_)(*parts)
        return emit(builder, x) if _is_float(t) else ir.Constant(ir.IntType(1), otherwise)

    return test


def _magnitude(builder: Any, x: Any) -> Any:
    return _call(builder, "llvm.fabs", x.type, x)


def _infinity(x: Any) -> Any:
    return ir.Constant(x.type, float("inf"))


isnan = _unary("isnan", _boolean, _float_test(_is_nan, False))
isinf = _unary("isinf", _boolean, _float_test(lambda b, x: b.fcmp_ordered("==", _magnitude(b, x), _infinity(x)), False))
isfinite = _unary(
    "isfinite",
    _boolean,
    _float_test(lambda b, x: b.fcmp_ordered("<", _magnitude(b, x), _infinity(x)), True, any_=False),
)


def _bits(builder: Any, x: Any) -> Any:
    return builder.bitcast(x, ir.IntType(64 if isinstance(x.type, ir.DoubleType) else 32))


def _signbit(context: Any, builder: Any, t: Any, x: Any) -> Any:
    if _is_float(t):
        x = _bits(builder, x)
    elif not _signed(t):
        return ir.Constant(ir.IntType(1), False)
    return builder.icmp_signed("<", x, x.type(0))


signbit = _unary("signbit", _boolean, _signbit)

# ---------------------------------------------------------------- extrema


def _extremum(operator: str, intrinsic_name: str) -> Any:
    def emit(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
        if isinstance(t, types.Complex):
            nan = _float_test(_is_nan, False)(context, builder, t, x)
            less_or_equal = _less(True)
            wins = (
                less_or_equal(context, builder, t, y, x)
                if operator == ">"
                else less_or_equal(context, builder, t, x, y)
            )
            return builder.select(builder.or_(wins, nan), x, y)
        if _is_float(t):
            return _call(builder, intrinsic_name, x.type, x, y)
        if isinstance(t, types.Boolean):
            return builder.or_(x, y) if operator == ">" else builder.and_(x, y)
        return builder.select((builder.icmp_signed if _signed(t) else builder.icmp_unsigned)(operator, x, y), x, y)

    return emit


def _passing_nan(operator: str) -> Any:
    def emit(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
        if isinstance(t, types.Complex):
            nan = _float_test(_is_nan, False)(context, builder, t, y)
            le = _less(True)
            wins = le(context, builder, t, y, x) if operator == ">" else le(context, builder, t, x, y)
            return builder.select(builder.or_(wins, nan), x, y)
        if _is_float(t):
            wins = builder.or_(builder.fcmp_ordered(">=" if operator == ">" else "<=", x, y), _is_nan(builder, y))
            return builder.select(wins, x, y)
        return _extremum(operator, "")(context, builder, t, x, y)

    return emit


emit_maximum, emit_minimum = _extremum(">", "llvm.maximum"), _extremum("<", "llvm.minimum")
maximum = _binary("maximum", _same, emit_maximum)
minimum = _binary("minimum", _same, emit_minimum)
fmax = _binary("fmax", _same, _passing_nan(">"))
fmin = _binary("fmin", _same, _passing_nan("<"))

# ---------------------------------------------------------------- sign, parts, rounding


def _absolute(context: Any, builder: Any, t: Any, x: Any) -> Any:
    if _is_float(t):
        return _magnitude(builder, x)
    if not _signed(t):
        return x
    return builder.select(builder.icmp_signed("<", x, x.type(0)), builder.neg(x), x)


_absolute_real = _unary("_absolute_real", _same, _absolute)


def _sign(context: Any, builder: Any, t: Any, x: Any) -> Any:
    if _is_float(t):
        one, zero = x.type(1.0), x.type(0.0)
        y = builder.select(builder.fcmp_ordered("<", x, zero), x.type(-1.0), x)  # keeps NaN; NumPy gives +0.0 for -0.0
        y = builder.select(builder.fcmp_ordered(">", x, zero), one, y)
        return builder.select(builder.fcmp_ordered("==", x, zero), zero, y)
    positive = builder.select(builder.icmp_unsigned("!=", x, x.type(0)), x.type(1), x.type(0))
    if not _signed(t):
        return positive
    return builder.select(builder.icmp_signed("<", x, x.type(0)), x.type(-1), positive)


_sign_real = _unary("_sign_real", _same, _sign)


def _rounding(name: str) -> Any:
    def emit(context: Any, builder: Any, t: Any, x: Any) -> Any:
        if isinstance(t, types.Complex):
            y = x
            for i in (0, 1):
                part = builder.extract_value(x, i)
                y = builder.insert_value(y, _call(builder, name, part.type, part), i)
            return y
        return _call(builder, name, x.type, x) if _is_float(t) else x

    return emit


floor = _unary("floor", _same, _rounding("llvm.floor"))
ceil = _unary("ceil", _same, _rounding("llvm.ceil"))
trunc = _unary("trunc", _same, _rounding("llvm.trunc"))
rint = _unary("rint", _same, _rounding("llvm.rint"))


def _real_only(name: str) -> Any:
    return lambda context, builder, t, *args: _call(builder, name, args[0].type, *args)


sqrt_f64 = sqrt_f32 = _unary("sqrt", _same, _real_only("llvm.sqrt"))
copysign = _binary("copysign", _same, _real_only("llvm.copysign"))


@intrinsic
def fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """`x * y + z` with one rounding."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, "llvm.fma", args[0].type, *args)

    return x(x, x, x), codegen


# ---------------------------------------------------------------- integers


def _shift(left: bool) -> Any:
    def emit(context: Any, builder: Any, t: Any, x: Any, n: Any) -> Any:
        width = x.type.width
        inside = builder.icmp_unsigned("<", n, n.type(width))
        amount = builder.select(inside, n, n.type(0))
        if left:
            return builder.select(inside, builder.shl(x, amount), x.type(0))
        if not _signed(t):
            return builder.select(inside, builder.lshr(x, amount), x.type(0))
        return builder.ashr(x, builder.select(inside, n, n.type(width - 1)))

    return emit


left_shift = _binary("left_shift", _same, _shift(True))
right_shift = _binary("right_shift", _same, _shift(False))


def _divide_integers(want_quotient: bool) -> Any:
    """Python's floor division, with NumPy's zero for a zero divisor and wraparound for the smallest by -1."""

    def emit(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
        zero = builder.icmp_unsigned("==", y, y.type(0))
        if not _signed(t):
            divisor = builder.select(zero, y.type(1), y)
            result = builder.udiv(x, divisor) if want_quotient else builder.urem(x, divisor)
            return builder.select(zero, x.type(0), result)
        minus_one = builder.icmp_signed("==", y, y.type(-1))
        divisor = builder.select(builder.or_(zero, minus_one), y.type(1), y)
        quotient = builder.sdiv(x, divisor)
        rest = builder.sub(x, builder.mul(quotient, divisor))
        crosses = builder.and_(
            builder.icmp_signed("!=", rest, rest.type(0)),
            builder.icmp_signed("<", builder.xor(rest, divisor), rest.type(0)),
        )
        if want_quotient:
            result = builder.select(crosses, builder.sub(quotient, x.type(1)), quotient)
            result = builder.select(minus_one, builder.neg(x), result)
        else:
            result = builder.select(crosses, builder.add(rest, divisor), rest)
            result = builder.select(minus_one, x.type(0), result)
        return builder.select(zero, x.type(0), result)

    return emit


_floor_divide_integer = _binary("_floor_divide_integer", _same, _divide_integers(True))
_remainder_integer = _binary("_remainder_integer", _same, _divide_integers(False))


def _fmod_integers(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
    zero = builder.icmp_unsigned("==", y, y.type(0))
    if not _signed(t):
        return builder.select(zero, x.type(0), builder.urem(x, builder.select(zero, y.type(1), y)))
    unsafe = builder.or_(zero, builder.icmp_signed("==", y, y.type(-1)))
    return builder.select(unsafe, x.type(0), builder.srem(x, builder.select(unsafe, y.type(1), y)))


_fmod_integer = _binary("_fmod_integer", _same, _fmod_integers)
_fmod_float = _binary("_fmod_float", _same, lambda c, b, t, x, y: remainder_of(b, x, y))
for _width in (8, 16, 32, 64):
    for _kind in "iu":
        globals()[f"floor_divide_{_kind}{_width}"] = _floor_divide_integer
        globals()[f"remainder_{_kind}{_width}"] = _remainder_integer
        globals()[f"fmod_{_kind}{_width}"] = _fmod_integer
        globals()[f"absolute_{_kind}{_width}"] = _absolute_real
        globals()[f"sign_{_kind}{_width}"] = _sign_real
for _width in (32, 64):
    globals()[f"fmod_f{_width}"] = _fmod_float
    globals()[f"absolute_f{_width}"] = _absolute_real
    globals()[f"sign_f{_width}"] = _sign_real


@register_jitable
def gcd(x: Any, y: Any) -> Any:
    """Euclid's algorithm; what has no absolute value stays negative, as in NumPy."""
    while y != 0:
        x, y = y, _fmod_integer(x, y)
    return _absolute_real(x)


@register_jitable
def lcm(x: Any, y: Any) -> Any:
    return _absolute_real(_floor_divide_integer(x, gcd(x, y))) * _absolute_real(y)


bitwise_count = _unary(
    "bitwise_count",
    lambda t: types.uint8,
    lambda c, b, t, x: _to_byte(b, _call(b, "llvm.ctpop", x.type, _absolute(c, b, t, x))),
)


def _to_byte(builder: Any, x: Any) -> Any:
    return x if x.type.width == 8 else builder.trunc(x, ir.IntType(8))


#: Index arithmetic: both operands are known to be non-negative, the divisor positive.
unsigned_divide = _binary("unsigned_divide", _same, lambda c, b, t, x, y: b.udiv(x, y))

# ---------------------------------------------------------------- random bits


class _Word:
    """A word of 32 bits in a kernel, with the operators in which Threefry is written."""

    def __init__(self, builder: Any, value: Any):
        self.builder, self.value = builder, value

    def _apply(self, instruction: str, other: Any) -> _Word:
        other = other.value if isinstance(other, _Word) else ir.IntType(32)(other)
        return _Word(self.builder, getattr(self.builder, instruction)(self.value, other))

    def __add__(self, other: Any) -> _Word:
        return self._apply("add", other)

    def __xor__(self, other: Any) -> _Word:
        return self._apply("xor", other)

    def __or__(self, other: Any) -> _Word:
        return self._apply("or_", other)

    def __lshift__(self, distance: int) -> _Word:
        return self._apply("shl", distance)

    def __rshift__(self, distance: int) -> _Word:
        return self._apply("lshr", distance)


@intrinsic
def threefry2x32(typingctx: Any, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """A block of Threefry as one uint64: the first word is the high one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        long = ir.IntType(64)
        words = [_Word(builder, context.cast(builder, a, t, types.uint32)) for a, t in zip(args, signature.args)]
        high, low = (builder.zext(w.value, long) for w in threefry.threefry2x32(*words))
        return builder.or_(builder.shl(high, long(32)), low)

    return types.uint64(k0, k1, x0, x1), codegen  # words that a loop carries have a wider type to Numba


# ---------------------------------------------------------------- conversions


@intrinsic
def bitcast(typingctx: Any, x: Any, target: Any) -> Any:
    """The bits of `x` as a value of the type `target` (of the same width)."""
    to = target.instance_type

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(x, target), codegen


def _float_to_uint64(context: Any, builder: Any, t: Any, x: Any) -> Any:
    """As the C cast does on x86-64: negative values wrap."""
    wide = ir.IntType(64)
    negative = builder.fcmp_ordered("<", x, x.type(0.0))
    return builder.select(negative, builder.fptosi(x, wide), builder.fptoui(x, wide))


float_to_uint64 = _unary("float_to_uint64", lambda t: types.uint64, _float_to_uint64)

# ---------------------------------------------------------------- division, complex values

#: Without Numba's check for a zero divisor.
divide = _binary("divide", _same, lambda c, b, t, x, y: b.fdiv(x, y))


_one = _unary("_one", _same, lambda c, b, t, x: x.type(1.0))


@register_jitable
def _divide_complex(x: Any, y: Any) -> Any:
    """Smith's algorithm, as in NumPy."""
    a, b, c, d = x.real, x.imag, y.real, y.imag
    by_real = _absolute_real(c) >= _absolute_real(d)
    large, small = where(by_real, c, d), where(by_real, d, c)
    zero = (c == 0) & (d == 0)
    ratio = divide(small, large)
    scale = divide(_one(large), large + small * ratio)
    re = where(by_real, a + b * ratio, a * ratio + b) * scale
    im = where(by_real, b - a * ratio, b * ratio - a) * scale
    return complex(where(zero, divide(a, _absolute_real(c)), re), where(zero, divide(b, _absolute_real(c)), im))


@register_jitable
def _remainder(x: Any, y: Any) -> Any:
    r = _fmod_float(x, y)
    return where(r == 0, copysign(r, y), where((r < 0) != (y < 0), r + y, r))


@register_jitable
def _floor_divide(x: Any, y: Any) -> Any:
    """CPython's float floor division, as NumPy has it; of infinities the floor of the quotient."""
    r = _fmod_float(x, y)
    q = divide(x - r, y)
    one = _one(y)
    q = where((r != 0) & ((r < 0) != (y < 0)), q - one, q)
    low = floor(q)
    low = where(q - low > divide(one, one + one), low + one, low)
    result = where(q == 0, copysign(q, divide(x, y)), low)
    return where((y == 0) | (isinf(x) != isinf(y)), floor(divide(x, y)), result)


@register_jitable
def _sign_complex(x: Any) -> Any:
    """`x / |x|`, as in NumPy 2: of one infinite part 1 or -1; but NaN of a NaN, and 0 of every zero."""
    size = abs(x)
    one, zero, empty = _one(size), size - size, size == 0
    lone = (isinf(x.real) != isinf(x.imag)) & (x.real == x.real) & (x.imag == x.imag)
    re = where(isinf(x.real), copysign(one, x.real), one - one)
    im = where(isinf(x.imag), copysign(one, x.imag), one - one)
    return complex(
        where(empty, zero, where(lone, re, divide(x.real, size))),
        where(empty, zero, where(lone, im, divide(x.imag, size))),
    )


sign_c128 = sign_c64 = _sign_complex
remainder_f64 = remainder_f32 = _remainder
floor_divide_f64 = floor_divide_f32 = _floor_divide
divide_c128 = divide_c64 = _divide_complex
