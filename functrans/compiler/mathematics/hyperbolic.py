"""tanh, sinh, cosh and their inverses.

tanh: for |x| < 0.625 the rational form of Cephes (Moshier, 1989, `tanh.c`: x + x^3 P/Q), in float32 a minimax
polynomial; beyond it 1 - 2 / (e^2x + 1). sinh: an odd minimax polynomial below 1. The inverses are logarithms
of sums in two floats, which for arctanh near 0 are the series that `logarithm.py` has for log((1 + x) / (1 - x)).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import exp_within, reduced, tail
from functrans.compiler.mathematics.logarithm import INFINITY, NAN, R_32, R_64, log_of_sum
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    exponent_bias,
    fast_two_sum,
    fused,
    is_double,
    minimum,
    muladd,
    number,
    polynomial,
    scaled,
    sqrt,
    two_product,
    two_sum,
    where,
)

_TANH_P = (-1614.6876844170845, -99.28772310019185, -0.9643991794250523)
_TANH_Q = (4844.063053251255, 2235.4883906010045, 112.81167849163293, 1.0)
#: (tanh x / x - 1) / x^2 in powers of x^2, to 2^-32.
_TANH_32 = (-0.3333333, 0.13333212, -0.053947467, 0.021704199, -0.008185352, 0.0021497337)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, within 1.2 ulp."""
    a = minimum(absolute(x), choose(x, 22.0, 10.0))
    z = a * a
    e, rest = exp_within(a + a)
    d, d_rest = fast_two_sum(e, 1.0)
    small = a < 0.625
    if is_double(x):
        q = where(small, z * polynomial(z, _TANH_P), 2.0) / where(small, polynomial(z, _TANH_Q), d)
        near = q
    else:
        q = 2.0 / d
        near = z * polynomial(z, _TANH_32)
    far = 1.0 - (q - 0.5 * q * q * (d_rest + e * rest))
    return copysign(where(small, muladd(a, near, a), far), x)


#: (sinh x / x - 1) / x^2 in powers of x^2 on |x| <= 1, times x^2 to 2^-63 and 2^-34.
_SINH_64 = (
    0.16666666666666669, 0.008333333333333137, 0.0001984126984143834, 2.75573191551098e-06, 2.5052123437396546e-08,
    1.6057237122458662e-10, 7.759415186731316e-13,
)  # fmt: skip
_SINH_32 = (0.16666667, 0.0083333505, 0.00019836056, 2.8175027e-06)


def _halves(a: Any) -> tuple[Any, Any, Any]:
    """e^a / 2, about what its rounding took, and e^-a / 2, for a >= 0."""
    _, r, i = reduced(minimum(a, choose(a, 712.0, 91.0)), 2 * exponent_bias(a) - 1)
    y, rest = fast_two_sum(1.0, muladd(r * r, tail(r), r))
    h = scaled(y, i)
    return h, where(h < INFINITY, h * rest, 0.0), 0.25 / h


def sinh(x: Any) -> Any:
    """The hyperbolic sine, within 1.2 ulp."""
    a = absolute(x)
    z = minimum(a * a, 1.0)
    near = muladd(a * z, polynomial(z, choose(x, _SINH_64, _SINH_32)), a)
    h, rest, other = _halves(a)
    return copysign(where(a < 1.0, near, h + (rest - other)), x)


def cosh(x: Any) -> Any:
    """The hyperbolic cosine, within 1.2 ulp."""
    h, rest, other = _halves(absolute(x))
    return h + (rest + other)


def _root_of_sum(high: Any, low: Any) -> tuple[Any, Any]:
    """The square root of high + low, rounded, and what that took."""
    root = sqrt(high)
    return root, (fused(-root, root, high) + low) / (root + root + choose(high, 1e-290, 1e-35))


def _log_of_twice(large: Any, a: Any, other: Any, rest: Any) -> Any:
    """log(2 a) for large ones, where both terms of a + sqrt(a^2 +- 1) are equal, else log(other + rest)."""
    result = log_of_sum(where(large, a, other), where(large, 0.0, rest), where(large, number(1.0, a), 0.0))
    return where(a < INFINITY, result, a)


def arcsinh(x: Any) -> Any:
    """The inverse of sinh, within 1.2 ulp: log(x + sqrt(x^2 + 1))."""
    a = absolute(x)
    limit = choose(x, 2.0**28, 2.0**13)
    b = minimum(a, limit)
    square, square_rest = two_product(b, b)
    total, total_rest = two_sum(1.0, square)
    root, root_rest = _root_of_sum(total, total_rest + square_rest)
    u, rest = fast_two_sum(root, b)
    return copysign(_log_of_twice(a > limit, a, u, rest + root_rest), x)


def arccosh(x: Any) -> Any:
    """The inverse of cosh, within 1.2 ulp: log(x + sqrt(x^2 - 1))."""
    limit = choose(x, 2.0**28, 2.0**13)
    b = minimum(x, limit)
    square, square_rest = two_product(b, b)
    total, total_rest = fast_two_sum(square, -1.0)
    root, root_rest = _root_of_sum(total, total_rest + square_rest)
    u, rest = fast_two_sum(b, root)
    return where(x >= 1.0, _log_of_twice(x > limit, x, u, rest + root_rest), x * NAN)


def arctanh(x: Any) -> Any:
    """The inverse of tanh, within 1.2 ulp: log((1 + x) / (1 - x)) / 2."""
    a = absolute(x)
    z = a * a
    near = muladd(0.5 * a * z, polynomial(z, choose(x, R_64, R_32)), a)
    above, above_rest = fast_two_sum(1.0, a)
    below, below_rest = fast_two_sum(1.0, -a)
    inverse = 1.0 / below
    u = above * inverse
    u_rest = (fused(-u, below, above) + muladd(-u, below_rest, above_rest)) * inverse
    result = copysign(where(a < 0.17, near, 0.5 * log_of_sum(u, u_rest)), x)
    return where(a < 1.0, result, where(a == 1.0, x * INFINITY, x * NAN))


tanh_f64, tanh_f32 = compiled(tanh)
sinh_f64, sinh_f32 = compiled(sinh)
cosh_f64, cosh_f32 = compiled(cosh)
arcsinh_f64, arcsinh_f32 = compiled(arcsinh)
arccosh_f64, arccosh_f32 = compiled(arccosh)
arctanh_f64, arctanh_f32 = compiled(arctanh)
