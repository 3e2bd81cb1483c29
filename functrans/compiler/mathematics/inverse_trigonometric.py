"""arctan, arctan2, arcsin and arccos.

For a, b >= 0 the arctangent of a / b is k pi/4 + arctan(t) with |t| <= tan(pi/8), where k is 0, 1 or 2, and t is a / b,
(a - b) / (a + b) or -b / a. The arcsine beyond 1/2 is pi/2 - 2 arcsin(sqrt((1 - x) / 2)): the arrangement of fdlibm
(Sun Microsystems, 1993, `e_asin.c`). What the rounding of differences, quotients and roots takes is kept, and so is
the second half of pi. The polynomials are minimax (Remez).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.values import (
    absolute,
    bits,
    choose,
    compiled,
    copysign,
    fast_two_sum,
    fused,
    maximum,
    minimum,
    muladd,
    number,
    polynomial,
    sqrt,
    two_sum,
    where,
)

INFINITY = float("inf")
#: In two floats, the first with zeros for its last two bits: small multiples of it are exact.
QUARTER_PI_64 = (0.7853981633974483, 3.061616997868383e-17)
QUARTER_PI_32 = (0.78539824, -8.146034e-08)

#: (atan t / t - 1) / t^2 in powers of t^2 on |t| <= tan(pi/8), times t^2 to 2^-59 and 2^-30.
_ATAN_64 = (
    -0.333333333333332, 0.1999999999995367, -0.14285714280204495, 0.1111111078383618, -0.09090897767635356,
    0.07692060370435216, -0.06663105540577384, 0.058478979213940324, -0.05039332860816189, 0.03806499873040592,
    -0.017907384378275954,
)  # fmt: skip
_ATAN_32 = (-0.33333316, 0.19998485, -0.14243753, 0.10595211, -0.060812637)

#: (asin t / t - 1) / t^2 in powers of t^2 on |t| <= 1/2, times t^2 to 2^-59 and 2^-31.
_ASIN_64 = (
    0.16666666666666763, 0.07499999999969932, 0.04464285717545318, 0.030381942666868084, 0.022372216153156398,
    0.01735159088704932, 0.013981075772682972, 0.011396809659219853, 0.010792111682160214, 0.003661347820128651,
    0.02181771790478703, -0.02115600000692915, 0.03272732189763581,
)  # fmt: skip
_ASIN_32 = (0.1666666, 0.07500513, 0.04451532, 0.031821337, 0.014387152, 0.037588682)

_TAN_EIGHTH, _TAN_THREE_EIGHTHS = 0.4142135623730951, 2.414213562373095


def _reduced(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """k, t and the rest of arctan(a / b) = k pi/4 + t + rest; a is a value, and b may be a number."""
    large, middle = a > _TAN_THREE_EIGHTHS * b, a > _TAN_EIGHTH * b
    difference, difference_rest = two_sum(a, -b)
    total, total_rest = two_sum(a, b)
    above = where(large, -b, where(middle, difference, a))
    below = where(large, a, where(middle, total, b))
    only_middle = where(large, 0.0, where(middle, number(1.0, a), 0.0))
    inverse = 1.0 / below
    t = above * inverse
    lost = only_middle * muladd(-t, total_rest, difference_rest)
    z = t * t
    rest = muladd(t * z, polynomial(z, choose(a, _ATAN_64, _ATAN_32)), (fused(-t, below, above) + lost) * inverse)
    return where(large, 2.0, only_middle), t, rest


def arctan(x: Any) -> Any:
    """The arctangent, within 1.2 ulp."""
    k, t, rest = _reduced(minimum(absolute(x), 1e18), 1.0)
    high, low = choose(x, QUARTER_PI_64, QUARTER_PI_32)
    y, y_rest = fast_two_sum(k * high, t)
    return copysign(y + (y_rest + muladd(k, low, rest)), x)


def arctan2(y: Any, x: Any) -> Any:
    """The angle of the point (x, y), within 1.2 ulp."""
    a, b = absolute(y), absolute(x)
    # Points at infinity, the origin, and points with parts of the quotient that would not be normal numbers.
    endless_a, endless_b = a == INFINITY, b == INFINITY
    a = where(endless_a, 1.0, where(endless_b, where(a == a, 0.0, a), a))
    b = where(endless_b, 1.0, where(endless_a, where(b == b, 0.0, b), b))
    size = maximum(b, a)
    b = where(size == 0.0, 1.0, b)
    scale = where(
        size > choose(y, 2.0**900, 2.0**90),
        choose(y, 2.0**-200, 2.0**-40),
        where(size < choose(y, 2.0**100, 2.0**20), number(choose(y, 2.0**300, 2.0**60), y), 1.0),
    )
    k, t, rest = _reduced(a * scale, b * scale)
    negative = (bits(x) >> choose(x, 63, 31)) != 0
    k, t, rest = where(negative, 4.0 - k, k), where(negative, -t, t), where(negative, -rest, rest)
    high, low = choose(x, QUARTER_PI_64, QUARTER_PI_32)
    angle, angle_rest = fast_two_sum(k * high, t)
    return copysign(angle + (angle_rest + muladd(k, low, rest)), y)


def _arcsine_within_half(x: Any) -> tuple[Any, Any, Any]:
    """Whether |x| >= 1/2, and s and the rest of arcsin(s + ...), s being |x|, or else sqrt((1 - |x|) / 2)."""
    a = absolute(x)
    large = a >= 0.5
    half = muladd(-0.5, a, 0.5)  # exact
    z = where(large, half, a * a)
    root = sqrt(half)
    s = where(large, root, a)
    root_rest = fused(-root, root, half) / (root + root + choose(x, 1e-290, 1e-35))
    return large, s, muladd(s * z, polynomial(z, choose(x, _ASIN_64, _ASIN_32)), where(large, root_rest, 0.0))


def arcsin(x: Any) -> Any:
    """The arcsine, within 1.2 ulp."""
    large, s, rest = _arcsine_within_half(x)
    high, low = choose(x, QUARTER_PI_64, QUARTER_PI_32)
    y, y_rest = fast_two_sum(2.0 * high, -(s + s))
    return copysign(where(large, y + (y_rest + (2.0 * low - (rest + rest))), s + rest), x)


def arccos(x: Any) -> Any:
    """The arccosine, within 1.2 ulp."""
    large, s, rest = _arcsine_within_half(x)
    high, low = choose(x, QUARTER_PI_64, QUARTER_PI_32)
    negative = x < 0.0
    s, rest = where(large, s + s, s), where(large, rest + rest, rest)
    # 2 (s + rest) near 1, pi less that near -1, else pi/2 - (s + rest) with the sign of x
    minus = large == negative
    k = where(large, where(negative, number(4.0, x), 0.0), 2.0)
    y, y_rest = fast_two_sum(k * high, where(minus, -s, s))
    return y + (y_rest + muladd(k, low, where(minus, -rest, rest)))


arctan_f64, arctan_f32 = compiled(arctan)
arctan2_f64, arctan2_f32 = compiled(arctan2)
arcsin_f64, arcsin_f32 = compiled(arcsin)
arccos_f64, arccos_f32 = compiled(arccos)
