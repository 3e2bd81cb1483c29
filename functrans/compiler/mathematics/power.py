"""pow.

|x|^y = e^(y log|x|). An error of log|x| is multiplied by up to 2^10 (2^7) on its way into the result, so log|x| is
computed as the sum of two floats, good to 2^-65 (2^-30) of itself: with x = 2^n m and s = (m - 1) / (m + 1),

    log|x| = n ln 2 + 2 s + s z (2/3 + z P(z)),   z = s^2

in which all but P, a minimax polynomial (Remez), is carried in two floats each (Dekker, "A floating-point technique
for extending the available precision", 1971). So is the product by y, whose small part is added after
the reduction by ln 2.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import LN2_32, LN2_64, LOG2_E, tail
from functrans.compiler.mathematics.logarithm import INFINITY, NAN, decomposed
from functrans.compiler.mathematics.values import (
    absolute,
    bits,
    choose,
    compiled,
    exponent_bias,
    fast_two_sum,
    flip_sign,
    floor,
    fused,
    maximum,
    minimum,
    muladd,
    nearest,
    polynomial,
    scaled,
    two_product,
    where,
)

_TWO_THIRDS_64, _TWO_THIRDS_32 = (0.6666666666666666, 3.700743415417188e-17), (0.6666667, -1.9868216e-08)
#: ((2 atanh(s) / s - 2) / s^2 - 2/3) / s^2 in powers of s^2 for s^2 <= (3 - 2 sqrt(2))^2, times s^4 to 2^-65 and 2^-35.
_P_64 = (
    0.40000000000002256, 0.28571428570100627, 0.22222222519769252, 0.18181784377973784, 0.1538675692870403,
    0.13256825300499864, 0.13196272217557967,
)  # fmt: skip
_P_32 = (0.40000153, 0.28547138, 0.23418558)


def log_in_two(x: Any) -> tuple[Any, Any]:
    """The logarithm of a positive x as the sum of two floats, of which the first is the sum rounded."""
    n, m = decomposed(x)
    # s = (m - 1) / (m + 1) and z = s^2
    f = m - 1.0
    d, d_rest = fast_two_sum(2.0, f)
    inverse = 1.0 / d
    s = f * inverse
    s_rest = muladd(-s, d_rest, fused(-s, d, f)) * inverse
    z, z_rest = two_product(s, s)
    z_rest = muladd(s + s, s_rest, z_rest)
    # s z (2/3 + z P)
    third, third_rest = choose(x, _TWO_THIRDS_64, _TWO_THIRDS_32)
    c, c_rest = fast_two_sum(third, z * polynomial(z, choose(x, _P_64, _P_32)))
    v, v_rest = two_product(z, c)
    v_rest = muladd(z, c_rest + third_rest, muladd(z_rest, c, v_rest))
    w, w_rest = two_product(s, v)
    w_rest = muladd(s, v_rest, muladd(s_rest, v, w_rest))
    # n ln 2 + 2 s + that
    high, low = choose(x, LN2_64, LN2_32)
    a, a_rest = fast_two_sum(s + s, w)
    b, b_rest = fast_two_sum(n * high, a)
    return fast_two_sum(b, b_rest + (a_rest + (muladd(n, low, s_rest + s_rest) + w_rest)))


def pow(x: Any, y: Any) -> Any:
    """x^y, within 1.2 ulp; the special cases are those of C."""
    a = absolute(x)
    log, log_rest = log_in_two(a)
    log = where(a == 0.0, -INFINITY, where(a < INFINITY, log, a))
    # The logarithm of 1 is 0, also times infinity; beyond its size no other logarithm needs more of y.
    finite = maximum(minimum(y, choose(y, 1e300, 1e30)), choose(y, -1e300, -1e30))
    t, t_rest = two_product(finite, log)
    t_rest = where(absolute(t) < choose(t, 1000.0, 200.0), muladd(finite, log_rest, t_rest), 0.0)
    t = maximum(minimum(t, choose(t, 710.0, 89.0)), choose(t, -746.0, -104.0))
    n, i = nearest(t * LOG2_E, 2 * exponent_bias(t))
    high, low = choose(t, LN2_64, LN2_32)
    r, r_rest = fast_two_sum(muladd(n, -high, t), muladd(n, -low, t_rest))
    s, s_rest = fast_two_sum(1.0, r)
    result = scaled(s + (s_rest + muladd(r * r, tail(r), r_rest)), i)
    # Signs
    half = 0.5 * y
    whole = floor(y) == y
    odd = floor(half) != half
    negative = (x < 0.0) & (a < INFINITY)
    result = where(negative, where(whole, result, NAN), result)
    sign = bits(x) >> choose(x, 63, 31)
    result = where(whole, where(odd, flip_sign(result, sign), result), result)
    return where(x == 1.0, 1.0, where(y == 0.0, 1.0, result))


pow_f64, pow_f32 = compiled(pow)
