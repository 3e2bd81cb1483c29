"""erf, erfc and erfinv.

erf(x) = 1 - e^-q(x), where q = -log(erfc(x)) is so smooth that one polynomial serves up to where erf is 1; in float64
an odd polynomial is better for |x| < 1, in float32 a logarithm to base 2 saves steps. erfc(x), which is as good for
large x as for small, is e^-x^2 C(t) / (1 + 2 x) with t = (x - K) / (x + K) (Shepherd & Laframboise, "Chebyshev
approximation of (1 + 2 x) exp(x^2) erfc x", 1981). All polynomials are minimax (Remez).

erfinv(x) / x is smooth in w = -log(1 - x^2) near zero, and in sqrt(w) far from it (Giles, "Approximating the erfinv
function", 2011).
"""

from __future__ import annotations

from typing import Any

from functrans.compiler.mathematics.exponential import LN2, exp_within, reduced, tail
from functrans.compiler.mathematics.logarithm import INFINITY, NAN, log
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
    nearest,
    polynomial,
    power_of_two,
    scaled,
    sqrt,
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

#: -log(erfc(x)) on [1, 6], so that erfc is good to 2^-57.
_Q_64 = (
    5.132663061609433e-07, 1.1283739914776036, 0.6366440561169487, 0.10270228706835743, -0.0189880369825285,
    -0.00041354341486378855, 0.0019189526580083375, -0.000773048676612823, 0.00013655767864894768, 1.95220966936203e-05,
    -2.2532595926690587e-05, 8.578699223352782e-06, -2.114780623532973e-06, 3.6956195665961784e-07,
    -4.5932746503350074e-08, 3.8899701029051145e-09, -2.0203182986343053e-10, 4.865037005130035e-12,
)  # fmt: skip
#: log2(erfc(x)) / x + 2 / (sqrt(pi) ln 2) on [0, 3.95], so that erf is good to 2^-27.8.
_Q_32 = (
    2.0492608e-09, -0.9184476, -0.14827715, 0.027632298, 0.00023094716, -0.0024045832, 0.0009127665, -0.00016966005,
    1.3347435e-05,
)  # fmt: skip
#: (2^r - 1) / r - ln 2 on |r| <= 1/2, to 2^-26.4.
_EXP2_32 = (5.4620797e-09, 0.24022649, 0.055503584, 0.009618293, 0.0013390282, 0.00015390407)

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

#: erfinv(x) / x in w - 2.5 for w <= 5, to 2^-60 and 2^-27; in sqrt(w) - 3 to 13.3 (16), to 2^-55 and 2^-27; and in
#: sqrt(w) - 5 from there to 36.3, to 2^-56.
_INVERSE_NEAR_64 = (
    1.501409351110792, 0.246640276744167, -0.004177317724383609, -0.0012527079078110232, 0.00021825026434396468,
    -4.9960795988791865e-06, -3.4166195963176996e-06, 4.787252185672431e-07, 1.3416803430879382e-08,
    -1.0861168973671564e-08, 9.073038972115442e-10, 1.1960700541312542e-10, -3.110290445543093e-11,
    9.115608121089094e-13, 5.356702169970891e-13, -7.612569934769679e-14, -2.8881363084017606e-15,
    1.89661501770888e-15, -1.357662699191988e-16, -2.682135395865561e-17, 4.85092260983255e-18, 1.6989422566709325e-19,
    -6.717768179450403e-20,
)  # fmt: skip
_INVERSE_NEAR_32 = (
    1.5014094, 0.24664028, -0.0041773883, -0.0012527436, 0.00021834581, -4.962131e-06, -3.463115e-06, 4.6586277e-07,
    2.3270237e-08, -8.765767e-09,
)  # fmt: skip
_INVERSE_MIDDLE_64 = (
    2.8329767987282706, 1.001675276693398, 0.009445522012001802, -0.007643805569834838, 0.005685182417141418,
    -0.0035587940249598793, 0.0014837373617190936, -0.00014889793759738314, -0.0002831246297823176,
    0.0002055149460168269, -4.6459073302052006e-05, -2.2863397515641617e-05, 2.1929691420597818e-05,
    -5.982573732972834e-06, -1.6434945488373083e-06, 2.0761911838712314e-06, -6.497897691129536e-07,
    -1.7551974187518246e-07, 1.637783673077142e-07, -4.489588428281994e-09,
)  # fmt: skip
_INVERSE_FAR_64 = (
    4.849906401408584, 1.010300464864544, -0.00013871931837693133, -0.0002150301197472851, 7.599527802291898e-05,
    -1.968177200463827e-05, 4.5260531278223975e-06, -9.930197156536387e-07, 2.290507178969423e-07,
    -6.75952978225819e-08, 2.9021127246384503e-08, -1.516153638819053e-08, 7.825266594080234e-09,
    -3.6074251856758787e-09, 1.3004751653711614e-09, -3.192009138695458e-10, 8.91699022671591e-11,
    -1.3700327389922916e-11, -3.180560582531913e-11, 1.1430066432008108e-11, 2.5900587100697672e-12,
)  # fmt: skip
_INVERSE_FAR_32 = (
    2.8329768, 1.001675, 0.009445651, -0.0076389, 0.0056835255, -0.003589424, 0.0014948354, -7.2343806e-05,
    -0.00031789124, 0.00012647732,
)  # fmt: skip


def _near_zero(a: Any) -> Any:
    """erf(a) for 0 <= a <= 1."""
    return muladd(a, TWO_OVER_SQRT_PI, a * polynomial(a * a, choose(a, _ERF_64, _ERF_32)))


def erf(x: Any) -> Any:
    """The error function, within 1.2 ulp (float32: 2)."""
    a = minimum(absolute(x), choose(x, 6.0, 3.95))
    if is_double(x):
        far = 1.0 - exp_within(-polynomial(a, _Q_64))[0]
        return copysign(where(a < 1.0, _near_zero(a), far), x)
    q = muladd(a, -TWO_OVER_SQRT_PI / LN2, a * polynomial(a, _Q_32))
    n, i = nearest(q, exponent_bias(x))
    r, power = q - n, power_of_two(i, x)  # erfc(a) is this power and as much of it as the next line adds
    return copysign(muladd(-power, muladd(r, LN2, r * polynomial(r, _EXP2_32)), 1.0 - power), x)


def erfc(x: Any) -> Any:
    """1 - erf(x), within 1.5 ulp."""
    a = minimum(absolute(x), choose(x, 28.0, 10.5))
    # e^-a^2 as 2^n (y + y rest)
    square, square_rest = two_product(a, a)
    _, r, i = reduced(-square, 2 * exponent_bias(x))
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


def erfinv(x: Any) -> Any:
    """The inverse of erf, within 3 ulp; as in SciPy, zero has no sign."""
    a = absolute(x)
    w = -log((1.0 - a) * (1.0 + a))
    s = sqrt(w)
    if is_double(x):
        far = where(s < 3.65, polynomial(s - 3.0, _INVERSE_MIDDLE_64), polynomial(s - 5.0, _INVERSE_FAR_64))
    else:
        far = polynomial(s - 3.0, _INVERSE_FAR_32)
    y = x * where(w < 5.0, polynomial(w - 2.5, choose(x, _INVERSE_NEAR_64, _INVERSE_NEAR_32)), far)
    return where(a < 1.0, y + 0.0, where(a == 1.0, x * INFINITY, x * NAN))


erf_f64, erf_f32 = compiled(erf)
erfc_f64, erfc_f32 = compiled(erfc)
erfinv_f64, erfinv_f32 = compiled(erfinv)
