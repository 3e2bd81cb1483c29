"""sin, cos and tan.

x = n pi/2 + r with |r| <= pi/4, then minimax polynomials for sin r and cos r, of which n mod 4 chooses; their quotient
is tan r. pi/2 is taken in three floats (Cody & Waite, 1980) and r in two, with products and sums whose roundings are
kept, so r is good to its last bit also next to multiples of pi/2. That holds up to `LIMIT`; beyond it, where reduction
needs hundreds of digits of pi (Payne & Hanek, 1983), `rarely` calls the C library.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.rare import rarely
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    fast_two_sum,
    flip_sign,
    fused,
    muladd,
    nearest,
    polynomial,
    two_product,
    two_sum,
    where,
)

TWO_OVER_PI = 0.6366197723675814
HALF_PI_64 = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
HALF_PI_32 = (1.5707964, -4.371139e-08, -1.7151245e-15)
LIMIT_64, LIMIT_32 = 2.0**30, 2.0**17

#: (sin r / r - 1) / r^2 and (cos r - 1 + r^2/2) / r^4 in powers of r^2, on |r| <= pi/4.
_SIN_64 = (
    -0.16666666666666666, 0.008333333333333325, -0.00019841269841256747, 2.7557319214926223e-06,
    -2.505210507821978e-08, 1.6058385476546861e-10, -7.579540622291321e-13,
)  # fmt: skip
_SIN_32 = (-0.16666667, 0.008333329, -0.0001983938, 2.718662e-06)
_COS_64 = (
    0.04166666666666666, -0.0013888888888883338, 2.4801587294844587e-05, -2.755731580337628e-07, 2.0875908960950066e-09,
    -1.1368740760864937e-11,
)  # fmt: skip
_COS_32 = (0.041666653, -0.001388759, 2.4460634e-05)


def reduced(x: Any) -> tuple[Any, Any, Any]:
    """r, what its rounding took, and an integer with the low bits of n, for |x| <= LIMIT."""
    n, i = nearest(x * TWO_OVER_PI)
    first, second, third = choose(x, HALF_PI_64, HALF_PI_32)
    a = fused(n, -first, x)  # exact
    p, p_rest = two_product(n, second)
    r, rest = two_sum(a, -p)
    r, rest = fast_two_sum(r, (rest - p_rest) - n * third)
    return r, rest, i


def _sine_in_two(r: Any, rest: Any) -> tuple[Any, Any]:
    """sin(r + rest) for |r| <= pi/4 as a number and a small one."""
    z = r * r
    return r, muladd(z * r, polynomial(z, choose(r, _SIN_64, _SIN_32)), muladd(z, -0.5 * rest, rest))


def _cosine_in_two(r: Any, rest: Any) -> tuple[Any, Any]:
    """cos(r + rest) for |r| <= pi/4 as a number and a small one."""
    z = r * r
    half = 0.5 * z
    w = 1.0 - half
    return w, ((1.0 - w) - half) + muladd(z * z, polynomial(z, choose(r, _COS_64, _COS_32)), -(r * rest))


def sine(r: Any, rest: Any) -> Any:
    """sin(r + rest) for |r| <= pi/4."""
    r, small = _sine_in_two(r, rest)
    return r + small


def cosine(r: Any, rest: Any) -> Any:
    """cos(r + rest) for |r| <= pi/4."""
    w, small = _cosine_in_two(r, rest)
    return w + small


def _is_odd(i: Any) -> Any:
    return (i & 1) != 0


def sin(x: Any) -> Any:
    """The sine, within 1.2 ulp."""
    r, rest, i = reduced(x)
    y = flip_sign(where(_is_odd(i), cosine(r, rest), sine(r, rest)), i >> 1)
    y = where(x == 0.0, x, y)
    return rarely(absolute(x) > choose(x, LIMIT_64, LIMIT_32), "sin", x, y)


def cos(x: Any) -> Any:
    """The cosine, within 1.2 ulp."""
    r, rest, i = reduced(x)
    y = flip_sign(where(_is_odd(i), sine(r, rest), cosine(r, rest)), (i + 1) >> 1)
    return rarely(absolute(x) > choose(x, LIMIT_64, LIMIT_32), "cos", x, y)


def tan(x: Any) -> Any:
    """The tangent, within 1.2 ulp."""
    r, rest, i = reduced(x)
    s, s_rest = fast_two_sum(*_sine_in_two(r, rest))
    c, c_rest = fast_two_sum(*_cosine_in_two(r, rest))
    odd = _is_odd(i)
    above, above_rest = where(odd, c, s), where(odd, c_rest, s_rest)
    below, below_rest = where(odd, s, c), where(odd, s_rest, c_rest)
    inverse = 1.0 / below
    y = above * inverse
    y = y + (fused(-y, below, above) + muladd(-y, below_rest, above_rest)) * inverse
    y = where(x == 0.0, x, flip_sign(y, i))
    return rarely(absolute(x) > choose(x, LIMIT_64, LIMIT_32), "tan", x, y)


sin_f64, sin_f32 = compiled(sin)
cos_f64, cos_f32 = compiled(cos)
tan_f64, tan_f32 = compiled(tan)
