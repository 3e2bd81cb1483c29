"""tanh.

For |x| < 0.625 the rational form of Cephes (Moshier, 1989, `tanh.c`: x + x^3 P/Q), in float32 a minimax
polynomial; beyond it 1 - 2 / (e^2x + 1).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import exp_within
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    fast_two_sum,
    is_double,
    minimum,
    muladd,
    polynomial,
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


tanh_f64, tanh_f32 = compiled(tanh)
