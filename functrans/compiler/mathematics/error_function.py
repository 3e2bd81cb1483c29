"""erf and erfc.

For |x| < 1 erf is an odd polynomial; beyond it erf(x) = 1 - e^-q(x), where q = -log(erfc(x)) is so smooth that one
polynomial serves up to where erf is 1. erfc(x), which is as good for large x as for small, is e^-x^2 C(t) / (1 + 2 x)
with t = (x - K) / (x + K) (Shepherd & Laframboise, "Chebyshev approximation of (1 + 2 x) exp(x^2) erfc x", 1981). All
polynomials are minimax (Remez).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import exp_within, reduced, tail
from functrans.compiler.mathematics.values import (
    absolute,
    choose,
    compiled,
    copysign,
    fast_two_sum,
    fused,
    minimum,
    muladd,
    polynomial,
    scaled,
    two_product,
    two_sum,
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

#: (1 + 2 x) e^x^2 erfc(x) in t for x >= 0.46, to 2^-60 and 2^-30; K; what is left of the first coefficients.
_C_64 = (
    1.2329951186255526, -0.1396211168405625, 0.015379652102619738, 0.06809705425468913, -0.10103906603630257,
    0.09373283499850517, -0.06633036581229837, 0.03716751553435932, -0.01619773405629693, 0.00503197001259733,
    -0.0007577733035007462, -0.000199256927865341, 0.0001506217652743535, -2.4398205595756195e-05,
    -1.12223725164166e-05, 5.70686129713177e-06, 2.946506561703511e-07, -8.200617041852389e-07, 7.336841301004962e-08,
    1.0372200273606373e-07, -1.6863277187982425e-08, -9.819356732597358e-09, 1.4663345572254384e-09,
)  # fmt: skip
_C_32 = (
    1.253008, -0.1356211, -0.047562387, 0.12964511, -0.11927134, 0.068309665, -0.023790866, 0.0025114536, 0.0019619134,
    -0.000700568, -0.00019693509,
)  # fmt: skip
_K_64, _K_32 = 4.0, 3.0
_C_REST_64, _C_REST_32 = -4.557596804517717e-17, 5.0876004e-08


def _near_zero(a: Any) -> Any:
    """erf(a) for 0 <= a <= 1."""
    return muladd(a, TWO_OVER_SQRT_PI, a * polynomial(a * a, choose(a, _ERF_64, _ERF_32)))


def erf(x: Any) -> Any:
    """The error function, within 1.2 ulp."""
    a = minimum(absolute(x), choose(x, 6.0, 4.0))
    near = _near_zero(a)
    far = 1.0 - exp_within(-polynomial(a, choose(x, _Q_64, _Q_32)))[0]
    return copysign(where(a < 1.0, near, far), x)


def erfc(x: Any) -> Any:
    """1 - erf(x), within 1.5 ulp."""
    a = minimum(absolute(x), choose(x, 28.0, 10.5))
    # e^-a^2 as 2^n (y + y rest)
    square, square_rest = two_product(a, a)
    _, r, i = reduced(-square)
    r = r - square_rest
    y, rest = fast_two_sum(1.0, muladd(r * r, tail(r), r))
    # C(t) / (1 + 2 a) as w + w_rest
    k = choose(x, _K_64, _K_32)
    t = (a - k) / (a + k)
    first, *others = choose(x, _C_64, _C_32)
    c, c_rest = fast_two_sum(first, t * polynomial(t, others))
    d, d_rest = two_sum(1.0, a + a)
    inverse = 1.0 / d
    w = c * inverse
    w_rest = (fused(-w, d, c) + muladd(-w, d_rest, c_rest + choose(x, _C_REST_64, _C_REST_32))) * inverse
    v, v_rest = two_product(y, w)
    far = scaled(v + (v_rest + y * muladd(w, rest, w_rest)), i)
    far = where(x < 0.0, 2.0 - far, far)
    return where(a < 0.47, 1.0 - copysign(_near_zero(a), x), far)


erf_f64, erf_f32 = compiled(erf)
erfc_f64, erfc_f32 = compiled(erfc)
