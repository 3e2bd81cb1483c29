"""exp, exp2, expm1 and logistic.

exp(x) = 2^n exp(r) with n the whole number nearest to x / ln 2 and |r| <= ln 2 / 2, where ln 2 is taken in two parts so
that n times the first is exact (Cody & Waite, "Software Manual for the Elementary Functions", 1980). Then
exp(r) = 1 + r + r^2 p(r) with p minimax (Remez) on that interval, and 2^n is multiplied in two steps, the second of
which rounds: so subnormal results are right.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.values import (
    choose,
    compiled,
    exponent_bias,
    fast_two_sum,
    maximum,
    minimum,
    muladd,
    nearest,
    polynomial,
    power_of_two,
    scaled,
    two_sum,
    where,
)

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
LN2_64 = (0.6931471806019545, -4.2009150726810846e-11)
LN2_32 = (0.693145751953125, 1.4286068e-06)

#: (exp(r) - 1 - r) / r^2 on |r| <= ln 2 / 2, to 2^-64 of exp(r) - 1 (degree 10) and 2^-28 (degree 4).
TAIL_64 = (
    0.5, 0.16666666666666685, 0.04166666666666673, 0.008333333333316725, 0.0013888888888858506,
    0.00019841269897112154, 2.480158737363899e-05, 2.755723416879008e-06, 2.7557233436001454e-07,
    2.5112267492233797e-08, 2.0926921918864546e-09,
)  # fmt: skip
TAIL_32 = (0.5, 0.16666518, 0.041666206, 0.008368911, 0.0013950522)


def reduced(x: Any, bias: int = 0) -> tuple[Any, Any, Any]:
    """Floats n and r, with x = n ln 2 + r, and an integer with the low bits of n + bias."""
    n, i = nearest(x * LOG2_E, bias)
    high, low = choose(x, LN2_64, LN2_32)
    return n, muladd(n, -low, muladd(n, -high, x)), i


def tail(r: Any) -> Any:
    """(exp(r) - 1 - r) / r^2 on |r| <= ln 2 / 2."""
    return polynomial(r, choose(r, TAIL_64, TAIL_32))


def exp_and_rest(x: Any) -> tuple[Any, Any]:
    """e^x rounded, and about what rounding took from it, in units of it."""
    within = maximum(minimum(x, choose(x, 710.0, 89.0)), choose(x, -746.0, -104.0))
    _, r, i = reduced(within, 2 * exponent_bias(x))
    y, rest = fast_two_sum(1.0, muladd(r * r, tail(r), r))
    return scaled(y, i), rest


def exp_within(x: Any) -> tuple[Any, Any]:
    """`exp_and_rest` for |x| <= 708 (87), where e^x is neither infinite nor subnormal."""
    _, r, i = reduced(x, exponent_bias(x))
    y, rest = fast_two_sum(1.0, muladd(r * r, tail(r), r))
    return y * power_of_two(i, x), rest


def exp(x: Any) -> Any:
    """e^x, within 1.2 ulp."""
    return exp_and_rest(x)[0]  # LLVM drops the rest


#: ln 2 as a float and the rest of it.
_LN2_REST_64, _LN2_REST_32 = 2.3190468138462996e-17, -1.9046543e-09


def exp2(x: Any) -> Any:
    """2^x, within 1.2 ulp."""
    within = maximum(minimum(x, choose(x, 1025.0, 129.0)), choose(x, -1076.0, -151.0))
    n, i = nearest(within, 2 * exponent_bias(x))
    f = within - n  # exact
    r = f * LN2
    rest = f * choose(x, _LN2_REST_64, _LN2_REST_32)
    return scaled(1.0 + (r + muladd(r * r, tail(r), rest)), i)


def expm1(x: Any) -> Any:
    """e^x - 1, within 1.2 ulp."""
    within = maximum(minimum(x, choose(x, 710.0, 89.0)), choose(x, -40.0, -20.0))
    bias = exponent_bias(x)
    n, i = nearest(within * LOG2_E, 2 * bias)
    high, low = choose(x, LN2_64, LN2_32)
    a = muladd(n, -high, within)  # exact
    r, rest = fast_two_sum(a, -(n * low))
    # 2^n ((1 - 2^-n) + r + r^2 p(r)), whose first sum is kept exactly; beyond the precision 2^-n does not count.
    one_less = where(n > choose(x, 60.0, 30.0), 1.0, 1.0 - power_of_two(3 * bias - i, x))
    s, e = two_sum(one_less, r)
    result = scaled(s + (e + muladd(r * r, tail(r), rest)), i)
    return where(x == 0.0, x, result)


def logistic(x: Any) -> Any:
    """1 / (1 + e^-x), within 2 ulp: as 2^-h / (2^-h + 2^(n-h) e^r) with h half of n, so that nothing overflows.

    The smaller power and the fraction of the other are added first: they round to less than the larger one does.
    """
    within = maximum(minimum(-x, choose(x, 746.0, 104.0)), choose(x, -746.0, -104.0))
    bias = exponent_bias(x)
    _, r, i = reduced(within, 2 * bias)
    half = i >> 1  # with its bias
    one, power = power_of_two(2 * bias - half, x), power_of_two(i - half, x)
    return one / (maximum(one, power) + muladd(power, muladd(r * r, tail(r), r), minimum(one, power)))


exp_f64, exp_f32 = compiled(exp)
exp2_f64, exp2_f32 = compiled(exp2)
expm1_f64, expm1_f32 = compiled(expm1)
logistic_f64, logistic_f32 = compiled(logistic)
