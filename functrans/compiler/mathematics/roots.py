"""cbrt and hypot.

The cube root of 2^(3 q + e) m, with m between sqrt(1/2) and sqrt(2), is 2^q 2^(e/3) g(m) for a minimax polynomial g
(Remez), and one step of Newton's method whose residual is computed in two floats.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.logarithm import INFINITY, decomposed
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    exponent_bias,
    muladd,
    nearest,
    number,
    polynomial,
    power_of_two,
    sqrt,
    two_product,
    where,
)

#: The cube root between sqrt(1/2) and sqrt(2), to 2^-30 and 2^-16.
_CBRT_64 = (
    0.35027232582053597, 1.5784653916601115, -2.5121556722894285, 3.619725058996642, -3.875524495205147,
    2.968767030141306, -1.5786538223578888, 0.5533851688654133, -0.11502254853521476, 0.010741562763891014,
)  # fmt: skip
_CBRT_32 = (0.45166713, 0.904815, -0.5356214, 0.21692906, -0.03778557)
_CBRT_TWO, _CBRT_HALF = 1.2599210498948732, 0.7937005259840998


def cbrt(x: Any) -> Any:
    """The cube root, within 1.2 ulp."""
    a = absolute(x)
    n, m = decomposed(a)
    third, i = nearest(n * (1 / 3), exponent_bias(x))
    e = muladd(third, -3.0, n)
    one = number(1.0, x)
    root = where(e > 0.0, _CBRT_TWO, where(e < 0.0, _CBRT_HALF, one))
    g = polynomial(m, choose(x, _CBRT_64, _CBRT_32)) * root
    v = m * where(e > 0.0, 2.0, where(e < 0.0, 0.5, one))
    square, square_rest = two_product(g, g)
    cube, cube_rest = two_product(square, g)
    step = ((v - cube) - muladd(square_rest, g, cube_rest)) / (3.0 * square)
    result = copysign((g + step) * power_of_two(i, x), x)
    return where((a > 0.0) & (a < INFINITY), result, x)


def hypot(x: Any, y: Any) -> Any:
    """The square root of x^2 + y^2, within 1.2 ulp, without overflow on the way."""
    a, b = absolute(x), absolute(y)
    larger, smaller = where(a < b, b, a), where(a < b, a, b)  # keeps NaN
    one = number(1.0, x)
    large, small = larger > choose(x, 2.0**500, 2.0**60), larger < choose(x, 2.0**-400, 2.0**-50)
    scale = where(large, choose(x, 2.0**-600, 2.0**-80), where(small, choose(x, 2.0**700, 2.0**100), one))
    back = where(large, choose(x, 2.0**600, 2.0**80), where(small, choose(x, 2.0**-700, 2.0**-100), one))
    larger, smaller = larger * scale, smaller * scale
    result = sqrt(muladd(larger, larger, smaller * smaller)) * back
    return where((a == INFINITY) | (b == INFINITY), INFINITY, result)


cbrt_f64, cbrt_f32 = compiled(cbrt)
hypot_f64, hypot_f32 = compiled(hypot)
