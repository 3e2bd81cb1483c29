"""lgamma and digamma.

lgamma between 5/4 and 9/4 is (x - 2) P(x - 2), and to it leads log Gamma(x + 1) = log x + log Gamma(x): up or down, and
all factors meet in one logarithm. Beyond 6.25 it is Stirling's series, and below -1/4 the reflection
Gamma(x) Gamma(-x) = -pi / (x sin(pi x)). So it goes for digamma, the derivative, whose zero is a factor of its
polynomial between 1 and 2. Polynomials are minimax (Remez).

Below zero are zeros of both, between the poles, next to which the two terms of the reflection cancel: there the error
is small beside the terms, not beside the result.
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.logarithm import INFINITY, NAN, log
from functrans.compiler.mathematics.trigonometric import cosine, sine
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    muladd,
    number,
    polynomial,
    rounded,
    two_product,
    where,
)

PI_64, PI_32 = (3.141592653589793, 1.2246467991473532e-16), (3.1415927, -8.742278e-08)
HALF_LOG_TWO_PI = 0.9189385332046728

#: log(Gamma(2 + t)) / t in powers of t + 1/4 for -3/4 <= t <= 1/4, to 2^-61 and 2^-29.
_P_64 = (
    0.3376044840819422, 0.36052812214032426, -0.08609125122636038, 0.03022997882582535, -0.012471680011324017,
    0.005606724830697062, -0.0026545437149283102, 0.0013001093284194332, -0.0006518933603316376, 0.0003325039129321134,
    -0.00017180261851062418, 8.967191362901686e-05, -4.718679718780594e-05, 2.4982384926765154e-05,
    -1.3293921118575174e-05, 7.183526966367931e-06, -3.90747644407147e-06, 1.8873321876241401e-06,
    -9.331401229562132e-07, 9.03678184343089e-07, -5.622221487853103e-07,
)  # fmt: skip
_P_32 = (
    0.3376045, 0.36052814, -0.08609118, 0.030229565, -0.012474018, 0.0056133876, -0.0026281108, 0.0012572025,
    -0.00077066687, 0.00044639545,
)  # fmt: skip

#: What Stirling's formulas for log(Gamma(x)) and digamma(x) lack, times x and -x^2, in powers of x^-2: for x >= 6.25 to
#: 2^-51 and 2^-24, and for x >= 6, times x^-2, to 2^-58 and 2^-28.
_STIRLING_64 = (
    0.08333333333333273, -0.0027777777760368003, 0.0007936499851445056, -0.0005951000454892698, 0.0008309583357607131,
    -0.0015151880318581095,
)  # fmt: skip
_STIRLING_32 = (
    0.08333327, -0.002757837,
)  # fmt: skip
_DIGAMMA_64 = (
    0.08333333333332585, -0.008333333326320648, 0.003968251737163865, -0.0041663279128065734, 0.007547895008613403,
    -0.019798891396680063, 0.049999239308230685,
)  # fmt: skip
_DIGAMMA_32 = (
    0.08333207, -0.008184777,
)  # fmt: skip

#: sin(pi f) / f in powers of f^2 on |f| <= 1/2, to 2^-60 and 2^-26.
_SIN_PI_64 = (
    3.141592653589793, -5.167712780049969, 2.5501640398773007, -0.5992645293189474, 0.08214588657314421,
    -0.007370430506269508, 0.0004662998178563369, -2.19035011764123e-05, 7.697867782955373e-07,
)  # fmt: skip
_SIN_PI_32 = (
    3.1415927, -5.1677103, 2.5500777, -0.5982922, 0.077659406,
)  # fmt: skip

#: The zero of digamma in two floats, and digamma(x) over the distance to it in powers of x - 3/2 for 1 <= x <= 2, to
#: 2^-58 and 2^-28.
_ZERO_64, _ZERO_32 = (1.4616321449683622, 9.549995429965697e-17), (1.4616321, 1.243815e-08)
_G_64 = (
    0.9510558760318328, -0.4236274212814606, 0.24054248424078722, -0.1484049230538802, 0.09498872445285002,
    -0.061922133275550455, 0.04076083394337775, -0.026975796657315438, 0.01790724823594765, -0.01190822015996442,
    0.007927023321430028, -0.0052799365465260005, 0.003518088764711913, -0.0023455005719212056, 0.0015635030246950346,
    -0.0010364281980067087, 0.0006902836207715892, -0.0004860467787793845, 0.0003258771957600899,
    -0.00014463477455904108, 9.32997941309136e-05, -0.00017834985270857916, 0.00012117074950983246,
)  # fmt: skip
_G_32 = (
    0.9510559, -0.4236275, 0.24054262, -0.14839877, 0.094982095, -0.062057234, 0.040879272, -0.025780164, 0.01698057,
    -0.016385613, 0.011118563,
)  # fmt: skip


def _from_two(a: Any) -> tuple[Any, Any]:
    """Y in [5/4, 9/4) and a product, so that Gamma(a) is the product times Gamma(y), for 5/4 <= a < 6.25."""
    y, product = a, number(1.0, a)
    for _ in range(4):
        above = y >= 2.25
        y = where(above, y - 1.0, y)
        product = where(above, product * y, product)
    return y, product


def lgamma(x: Any) -> Any:
    """Log |Gamma(x)|, within 3 ulp; below -1/4 within 4 ulp of the largest of 1, the two terms and their sum."""
    a = absolute(x)
    reflected = x <= -0.25
    close, below, large = a < 0.25, a < 1.25, a >= 6.25
    y, product = _from_two(a)
    t = where(close, x, where(below, a - 1.0, y - 2.0))
    factor = where(close, absolute(x * (x + 1.0)), where(below | large, a, product))
    logarithm = log(factor)
    middle = muladd(t, polynomial(t + 0.25, choose(x, _P_64, _P_32)), where(below, -logarithm, logarithm))
    inverse = 1.0 / a
    series = inverse * polynomial(inverse * inverse, choose(x, _STIRLING_64, _STIRLING_32))
    stirling = muladd(a - 0.5, logarithm - 1.0, (HALF_LOG_TWO_PI - 0.5) + series)
    y = where(large, stirling, middle)
    f = a - rounded(a)
    sine_of_pi = absolute(f) * polynomial(f * f, choose(x, _SIN_PI_64, _SIN_PI_32))
    reflection = where(f == 0.0, INFINITY, log(PI_64[0] / (a * sine_of_pi)) - y)
    return where(a < INFINITY, where(reflected, reflection, y), a)


def digamma(x: Any) -> Any:
    """Gamma' / Gamma, within 3 ulp; below 0 within 4 ulp of the largest of 1, the two terms and their sum."""
    reflected = x < 0.0
    a = where(reflected, 1.0 - x, x)
    # digamma(a) = digamma(y) + above / below with 1 <= y <= 2
    near = a < 1.0
    y, above, below = a, number(0.0, a), number(1.0, a)
    for _ in range(4):
        step = y >= 2.0
        y = where(step, y - 1.0, y)
        above, below = where(step, muladd(above, y, below), above), where(step, below * y, below)
    y, above, below = where(near, a + 1.0, y), where(near, -1.0, above), where(near, a, below)
    high, low = choose(x, _ZERO_64, _ZERO_32)
    middle = ((y - high) - low) * polynomial(y - 1.5, choose(x, _G_64, _G_32)) + above / below
    inverse = 1.0 / a
    z = inverse * inverse
    far = log(a) - muladd(z, polynomial(z, choose(x, _DIGAMMA_64, _DIGAMMA_32)), 0.5 * inverse)
    result = where(a < 6.0, middle, where(a < INFINITY, far, a))
    # less pi / tan(pi x)
    f = x - rounded(x)
    quarter = absolute(f) > 0.25
    h = where(quarter, 0.5 - absolute(f), absolute(f))
    high, low = choose(x, PI_64, PI_32)
    r, rest = two_product(h, high)
    rest = muladd(h, low, rest)
    s, c = sine(r, rest), cosine(r, rest)
    cotangent = copysign(where(quarter, s, c) / where(quarter, c, s), f)
    return where(reflected, where(f == 0.0, NAN, result - high * cotangent), result)


lgamma_f64, lgamma_f32 = compiled(lgamma)
digamma_f64, digamma_f32 = compiled(digamma)
