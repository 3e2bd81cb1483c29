"""log, log2, log10 and log1p.

x = 2^n m with m between sqrt(1/2) and sqrt(2), read off the bits of x. With f = m - 1 and s = f / (2 + f),

    log(1 + f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + R(s^2)),   R(z) = 2 z/3 + 2 z^2/5 + ...

in which f is exact and the rest is small: the arrangement of fdlibm (Sun Microsystems, 1993, `e_log.c`), with
coefficients of our own (Remez). log2 and log10 keep what the sums and products of this take, so that powers of two
and ten have whole logarithms.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import LN2_64
from functrans.compiler.mathematics.values import (
    absolute,
    bits,
    choose,
    compiled,
    exponent_bias,
    fast_two_sum,
    from_bits,
    muladd,
    number,
    number_bits,
    polynomial,
    two_product,
    two_sum,
    where,
)

INFINITY, NAN = float("inf"), float("nan")
LN2_32 = (0.693359375, -0.00021219444)

#: R(z) / z for z <= (3 - 2 sqrt(2))^2, to 2^-64 and 2^-35 of 1 (degrees 7 and 3).
R_64 = (
    0.6666666666666666, 0.4000000000000089, 0.28571428570796703, 0.2222222239316664, 0.18181795494867395,
    0.1538624715213662, 0.13268583883338902, 0.13088513507428184,
)  # fmt: skip
R_32 = (0.6666667, 0.40000123, 0.2855072, 0.23332843)

#: 1 / ln 2 and 1 / ln 10 as a float and the rest of it; log10(2) with zeros at the end of the first.
LOG2_E_64, LOG2_E_32 = (1.4426950408889634, 2.0355273740931033e-17), (1.442695, 1.925963e-08)
LOG10_E_64, LOG10_E_32 = (0.4342944819032518, 1.098319650216765e-17), (0.4342945, -1.010305e-08)
LOG10_2_64, LOG10_2_32 = (0.30102999566395283, 2.8363394551044964e-14), (0.30103302, -3.0243555e-06)

_SQRT_HALF = 0.7071067811865476


def split(x: Any, excess: Any = 0.0) -> tuple[Any, Any]:
    """The float n and m with x = 2^(n + excess) m, for normal x; the excess is zero, or a value of the format of x."""
    exponent = choose(x, 52, 23)
    above = bits(x) + (number_bits(x, 1.0) - number_bits(x, _SQRT_HALF))
    biased = above >> exponent
    m = from_bits((above & ((1 << exponent) - 1)) + number_bits(x, _SQRT_HALF))
    offset = choose(x, 2.0**52, 2.0**23)  # as AVX2 has no conversion of int64; with it what is too much in the exponent
    return from_bits(biased | number_bits(x, offset)) - (excess + (offset + exponent_bias(x))), m


def decomposed(x: Any) -> tuple[Any, Any]:
    """The float n and m with x = 2^n m, for positive x."""
    small = x < choose(x, 2.2250738585072014e-308, 1.1754944e-38)
    shift = choose(x, 54, 25)
    return split(where(small, x * 2.0**shift, x), where(small, number(shift, x), 0.0))


def small_part(f: Any) -> tuple[Any, Any]:
    """f^2/2 and s (f^2/2 + R): log(1 + f) is f less the first plus the second."""
    s = f / (f + 2.0)
    z = s * s
    half_square = 0.5 * f * f
    return half_square, s * muladd(z, polynomial(z, choose(f, R_64, R_32)), half_square)


def special(x: Any, result: Any) -> Any:
    """The logarithm where it is not a number like others: below zero, at zero, at infinity; NaN."""
    ordinary = where(x < INFINITY, result, x)  # infinity and NaN remain
    return where(x > 0.0, ordinary, where(x == 0.0, -INFINITY, x * NAN))


def log(x: Any) -> Any:
    """The natural logarithm, within 1.2 ulp."""
    n, m = decomposed(x)
    high, low = choose(x, LN2_64, LN2_32)
    f = m - 1.0
    half_square, rest = small_part(f)
    return special(x, muladd(n, high, f - (half_square - muladd(n, low, rest))))


def _log_in_two(x: Any, log_of_base: Any, log_of_two: Any) -> Any:
    """The logarithm of a base, of which 1 / ln is given in two parts, and so the logarithm of 2."""
    n, m = decomposed(x)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    half_square, half_rest = two_product(0.5 * f, f)
    high, rest = fast_two_sum(f, -half_square)
    rest = rest + (s * muladd(z, polynomial(z, choose(f, R_64, R_32)), half_square) - half_rest)
    product, product_rest = two_product(high, log_of_base[0])
    result, result_rest = fast_two_sum(n * log_of_two[0], product)
    rest = muladd(n, log_of_two[1], muladd(high, log_of_base[1], muladd(rest, log_of_base[0], product_rest)))
    return special(x, result + (result_rest + rest))


def log2(x: Any) -> Any:
    """The logarithm to base 2, within 1.2 ulp."""
    return _log_in_two(x, choose(x, LOG2_E_64, LOG2_E_32), (1.0, 0.0))


def log10(x: Any) -> Any:
    """The logarithm to base 10, within 1.2 ulp."""
    return _log_in_two(x, choose(x, LOG10_E_64, LOG10_E_32), choose(x, LOG10_2_64, LOG10_2_32))


def log_of_sum(u: Any, lost: Any, more: Any = 0.0) -> Any:
    """The logarithm of 2^more (u + lost) for a normal number u > 0 and what its rounding took, good also next to 1."""
    n, m = split(u)
    n = n + more
    high, low = choose(u, LN2_64, LN2_32)
    f = m - 1.0
    half_square, rest = small_part(f)
    return muladd(n, high, f - (half_square - (rest + muladd(n, low, lost / u))))


def log1p(x: Any) -> Any:
    """log(1 + x), within 1.2 ulp."""
    result = where(x < INFINITY, log_of_sum(*two_sum(1.0, x)), x)
    tiny = absolute(x) < choose(x, 2.0**-54, 2.0**-25)
    return where(tiny, x, where(x > -1.0, result, where(x == -1.0, -INFINITY, x * NAN)))


log_f64, log_f32 = compiled(log)
log2_f64, log2_f32 = compiled(log2)
log10_f64, log10_f32 = compiled(log10)
log1p_f64, log1p_f32 = compiled(log1p)
