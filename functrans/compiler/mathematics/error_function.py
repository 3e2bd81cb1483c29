"""The error function.

For |x| < 1 an odd polynomial; beyond it erf(x) = 1 - e^-q(x), where q = -log(erfc(x)) is so smooth that one
polynomial serves up to where erf is 1. Both are minimax (Remez).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import exp_within
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    minimum,
    muladd,
    polynomial,
    where,
)

#: erf x / x - 2 / sqrt(pi), with this factor as a float, in powers of x^2, on |x| <= 1, to 2^-63 and 2^-30.
TWO_OVER_SQRT_PI = 1.1283791670955126
_ERF_64 = (
    1.5209335061974328e-17, -0.3761263890318375, 0.11283791670954885, -0.026866170645077875, 0.005223977624828431,
    -0.0008548326981425542, 0.0001205533113295582, -1.4925595772180906e-05, 1.64610084778027e-06,
    -1.6350396222864617e-07, 1.466032872274226e-08, -1.137495573607015e-09, 5.960685338520971e-11,
)  # fmt: skip
_ERF_32 = (-5.9816244e-08, -0.37612626, 0.112836, -0.026854446, 0.0051895366, -0.00080208457, 7.889119e-05)

#: -log(erfc(x)) on [1, 6] and [1, 4], so that erfc is good to 2^-57 and 2^-35.
_Q_64 = (
    5.132663061609433e-07, 1.1283739914776036, 0.6366440561169487, 0.10270228706835743, -0.0189880369825285,
    -0.00041354341486378855, 0.0019189526580083375, -0.000773048676612823, 0.00013655767864894768, 1.95220966936203e-05,
    -2.2532595926690587e-05, 8.578699223352782e-06, -2.114780623532973e-06, 3.6956195665961784e-07,
    -4.5932746503350074e-08, 3.8899701029051145e-09, -2.0203182986343053e-10, 4.865037005130035e-12,
)  # fmt: skip
_Q_32 = (
    -0.00018802479, 1.1295784, 0.63322, 0.108418435, -0.02520817, 0.0042045303, -0.00044133016, 2.1686332e-05,
)  # fmt: skip


def erf(x: Any) -> Any:
    """The error function, within 1.2 ulp."""
    a = minimum(absolute(x), choose(x, 6.0, 4.0))
    z = a * a
    near = muladd(a, TWO_OVER_SQRT_PI, a * polynomial(z, choose(x, _ERF_64, _ERF_32)))
    far = 1.0 - exp_within(-polynomial(a, choose(x, _Q_64, _Q_32)))[0]
    return copysign(where(a < 1.0, near, far), x)


erf_f64, erf_f32 = compiled(erf)
