"""Special functions of kernels that SciPy has no C function for, as plain scalar code with loops.

Derivatives of the incomplete gamma and beta functions by their parameters, Hurwitz's zeta function and polygamma. All
compute in float64, whatever their operands; the result has the dtype of the last one.

Each of the incomplete functions has a series or a continued fraction that converges on one side of its mean. Its terms
are differentiated along with it (as in Moore, Algorithm AS 187, 1982, and Boik, Robison-Cox, 1998): where the function
itself has small relative error, so have the derivatives, but for what cancels between the terms. Those of the gamma
function's are divided by its density `x^(a-1) exp(-x) / Gamma(a)`, which may underflow.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types
from numba.extending import intrinsic, register_jitable

from functrans.compiler import scipyfunctions

betaln, gamma, gammaln, psi = (getattr(scipyfunctions, f"scipy_{n}") for n in ("betaln", "gamma", "gammaln", "psi"))
betainc, betaincc, gammainc, gammaincc = (
    getattr(scipyfunctions, f"scipy_{n}") for n in ("betainc", "betaincc", "gammainc", "gammaincc")
)

_Six = tuple[float, float, float, float, float, float]

_EPS = 2.0**-53

#: (2k)! / B_2k for k = 1, 2, ...
_ZETA = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10,
    -2.950130727918164224e12, 1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17,
    -7.1661652561756670113e18,
)  # fmt: skip


def _like(typingctx: Any, x: Any, value: Any) -> Any:
    """A float64 in the dtype of `x`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[1], types.float64, signature.return_type)

    return x(x, types.float64), codegen


like: Any = intrinsic(_like)


def _wide(typingctx: Any, x: Any) -> Any:
    """A number as float64; Numba's `float` keeps float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], signature.args[0], types.float64)

    return types.float64(x), codegen


wide: Any = intrinsic(_wide)


# ---------------------------------------------------------------- zeta


@register_jitable
def _hurwitz_zeta(x: float, q: float) -> float:
    """The sum of (q + k)^-x over k = 0, 1, ...: Euler's and Maclaurin's formula, as in Cephes' `zeta.c`."""
    if x == 1.0:
        return math.inf
    if x < 1.0:
        return math.nan
    if q <= 0.0:
        if q == math.floor(q):
            return math.inf
        if x != math.floor(x):
            return math.nan
    if x != x or q != q:
        return math.nan
    if q > 1e8:
        return (1.0 / (x - 1.0) + 1.0 / (2.0 * q)) * math.pow(q, 1.0 - x)
    total, a = math.pow(q, -x), q
    for i in range(1_000_000_000):
        if i >= 9 and a > 9.0:
            break
        a += 1.0
        term = math.pow(a, -x)
        total += term
        if abs(term) < _EPS * abs(total):
            return total
    term = math.pow(a, -x)
    total += term * a / (x - 1.0) - 0.5 * term
    factor = 1.0
    k = 0.0
    for coefficient in _ZETA:
        factor *= x + k
        term /= a
        t = factor * term / coefficient
        total += t
        if abs(t) < _EPS * abs(total):
            return total
        k += 1.0
        factor *= x + k
        term /= a
        k += 1.0
    return total


@register_jitable
def special_zeta(x: Any, q: Any) -> Any:
    return like(q, _hurwitz_zeta(wide(x), wide(q)))


@register_jitable
def special_polygamma(n: Any, x: Any) -> Any:
    order = wide(n)
    if order == 0.0:
        return like(x, psi(wide(x)))
    return like(x, math.pow(-1.0, order + 1.0) * gamma(order + 1.0) * _hurwitz_zeta(order + 1.0, wide(x)))


# ---------------------------------------------------------------- gamma


@register_jitable
def _by_series(a: float, x: float) -> tuple[float, float]:
    """P = density * x / a * sum of x^n / ((a + 1) ... (a + n))."""
    term, slope, bend = 1.0, 0.0, 0.0  # c_n; c_n' / c_n; minus (c_n' / c_n)'
    s, s1, s2 = 1.0, 0.0, 0.0
    n = a
    for _ in range(100_000):
        n += 1.0
        term *= x / n
        slope -= 1.0 / n
        bend += 1.0 / (n * n)
        s += term
        s1 += term * slope
        s2 += term * (slope * slope + bend)
        if n > x and term * slope * slope <= _EPS * min(abs(s2), s) and term * -slope <= _EPS * -s1:
            break
    level = math.log(x) - psi(a + 1.0)
    curve = _hurwitz_zeta(2.0, a + 1.0)
    scale = x / a
    return scale * (level * s + s1), scale * ((level * level - curve) * s + 2.0 * level * s1 + s2)


@register_jitable
def _by_fraction(a: float, x: float) -> tuple[float, float]:
    """1 - P = density * x / a continued fraction (DLMF 8.9.2), by Lentz's method.

    Its value is the product of c d over all steps, so that the logarithm's derivatives are sums that settle.
    """
    b = x + 1.0 - a
    f, f1, f2 = b, -1.0 / b, -1.0 / (b * b)  # the value; the derivatives of its logarithm
    c, c1, c2 = b, -1.0, 0.0
    d, d1, d2 = 0.0, 0.0, 0.0
    for i in range(1, 100_000):
        n = wide(i)
        b += 2.0
        u, u1 = -n * (n - a), n
        e, e1, e2 = b + u * d, u1 * d + u * d1 - 1.0, 2.0 * u1 * d1 + u * d2
        d = 1.0 / e
        d1, d2 = -e1 * d * d, (2.0 * e1 * e1 * d - e2) * d * d
        g = 1.0 / c
        g1, g2 = -c1 * g * g, (2.0 * c1 * c1 * g - c2) * g * g
        c, c1, c2 = b + u * g, u1 * g + u * g1 - 1.0, 2.0 * u1 * g1 + u * g2
        step, above, below = c * d, c1 / c, e1 * d
        step1, step2 = above - below, (c2 / c - above * above) - (e2 * d - below * below)
        f, f1, f2 = f * step, f1 + step1, f2 + step2
        small = 4.0 * _EPS
        if (
            abs(step - 1.0) <= small
            and abs(step1) <= small * (abs(f1) + abs(above))
            and abs(step2) <= small * (f1 * f1 + abs(f2) + above * above)
        ):
            break
    level = math.log(x) - psi(a)
    curve = _hurwitz_zeta(2.0, a)
    slope = level - f1
    return -x / f * slope, -x / f * (slope * slope - curve - f2)


@register_jitable
def _by_quantiles(a: float, x: float) -> tuple[float, float]:
    """The quantile as a function of `a` and the normal quantile z, after Goldberg and Levine (1946)."""
    root = math.sqrt(a)
    z = (x - a) / root
    for _ in range(4):
        z2 = z * z
        value = a + z * root + (z2 - 1) / 3 + (z2 - 7) * z / (36 * root) - (3 * z2 * z2 + 7 * z2 - 16) / (810 * a)
        slope = root + 2 * z / 3 + (z2 - 7 / 3) / (12 * root) - (12 * z2 + 14) * z / (810 * a)
        z -= (value - x) / slope
    z2 = z * z
    cubic, quartic = (z2 - 7) * z / 36, (3 * z2 * z2 + 7 * z2 - 16) / 810
    first = 1 + z / (2 * root) - cubic / (2 * a * root) + quartic / (a * a)
    second = -z / (4 * a * root) + 3 * cubic / (4 * a * a * root) - 2 * quartic / (a * a * a)
    level = math.log1p((x - a) / a) + 1 / (2 * a) + 1 / (12 * a * a)  # log(x) - digamma(a)
    tilt = (a - x - 1) / x
    return -first, -(2 * level * first + tilt * first * first + second)


@register_jitable
def _gamma_derivatives(a: Any, x: Any) -> tuple[float, float]:
    """The first and second derivative of P(a, x) by `a`, divided by the density at `x`."""
    a, x = wide(a), wide(x)
    if not (a > 0.0 and x >= 0.0) or a == math.inf or x == math.inf:
        return math.nan, math.nan
    if x == 0.0:
        return 0.0, 0.0
    if a > 1e6 and abs(x - a) < 40 * math.sqrt(a):
        return _by_quantiles(a, x)
    if x > 1.0 and x > a:
        return _by_fraction(a, x)
    return _by_series(a, x)


@register_jitable
def special_gamma_slope(a: Any, x: Any) -> Any:
    return like(x, _gamma_derivatives(a, x)[0])


@register_jitable
def special_gamma_curvature(a: Any, x: Any) -> Any:
    return like(x, _gamma_derivatives(a, x)[1])


@register_jitable
def _log1pmx(x: float) -> float:
    """log(1 + x) - x."""
    if abs(x) > 0.25:
        return math.log1p(x) - x
    total, power = 0.0, -x
    for k in range(2, 40):
        power *= -x
        total -= power / k
        if abs(power) < _EPS * abs(total):
            break
    return total


@register_jitable
def _gamma_exponent(a: float, x: float) -> float:
    """log(x^(a-1) exp(-x) / Gamma(a)) - log(a / 2 pi) / 2 + log(x) for a >= 10, after Loader: fast and accurate
    computation of binomial probabilities (2000).
    """
    y = 1.0 / (a * a)
    stirling = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - y * 691 / 360360))))) / a
    far = x < 0.1 * a
    return a * (math.log(x / a) + 1.0 - x / a if far else _log1pmx((x - a) / a)) - stirling


@register_jitable
def _gamma_density(a: float, x: float) -> float:
    """x^(a-1) exp(-x) / Gamma(a)."""
    if not (a > 0.0 and x >= 0.0) or a == math.inf:
        return math.nan
    if x == 0.0:
        return 0.0 if a > 1.0 else 1.0 if a == 1.0 else math.inf
    if x == math.inf:
        return 0.0
    if a < 10.0:
        return math.exp((a - 1.0) * math.log(x) - x - gammaln(a))
    return math.sqrt(a / (2.0 * math.pi)) / x * math.exp(_gamma_exponent(a, x))


@register_jitable
def _log_gamma_tail(a: float, x: float) -> float:
    """The logarithm of the tail on the side of the mean on which `x` lies, by its fraction or its series."""
    if a < 10.0:
        level = a * math.log(x) - x - gammaln(a)
    else:
        level = 0.5 * math.log(a / (2.0 * math.pi)) + _gamma_exponent(a, x)
    if x > a:
        b = x + 1.0 - a
        f, c, d = b, b, 0.0
        for i in range(1, 100_000):
            n = wide(i)
            b += 2.0
            u = -n * (n - a)
            d = 1.0 / (b + u * d)
            c = b + u / c
            f *= c * d
            if not abs(c * d - 1.0) > 2.0 * _EPS:
                break
        return level - math.log(f)
    term, total, n = 1.0, 1.0, a
    for _ in range(100_000):
        n += 1.0
        term *= x / n
        total += term
        if not term > _EPS * total:
            break
    return level + math.log(total / a)


@register_jitable
def _log_tail(tail: float, other: float) -> float:
    if tail >= 0.5:
        return math.log1p(-other)
    return math.log(tail) if tail > 0.0 else -math.inf if tail == 0.0 else math.nan


@register_jitable
def special_log_gammainc(a: Any, x: Any) -> Any:
    a_, x_ = wide(a), wide(x)
    p, q = gammainc(a_, x_), gammaincc(a_, x_)
    if p >= 1e-280 or p != p or x_ <= 0.0:
        return like(x, _log_tail(p, q))
    return like(x, _log_gamma_tail(a_, x_))


@register_jitable
def special_log_gammaincc(a: Any, x: Any) -> Any:
    a_, x_ = wide(a), wide(x)
    p, q = gammainc(a_, x_), gammaincc(a_, x_)
    if q >= 1e-280 or q != q or x_ == math.inf:
        return like(x, _log_tail(q, p))
    return like(x, _log_gamma_tail(a_, x_))


@register_jitable
def special_gamma_density(a: Any, x: Any) -> Any:
    return like(x, _gamma_density(wide(a), wide(x)))


# ---------------------------------------------------------------- beta


@register_jitable
def _next(y: _Six, y0: _Six, d: _Six) -> _Six:
    """The recurrence y + d y0 of a fraction, with its derivatives by a, b, aa, ab and bb; d has none by bb."""
    return (
        y[0] + d[0] * y0[0],
        y[1] + d[0] * y0[1] + d[1] * y0[0],
        y[2] + d[0] * y0[2] + d[2] * y0[0],
        y[3] + d[0] * y0[3] + 2.0 * d[1] * y0[1] + d[3] * y0[0],
        y[4] + d[0] * y0[4] + d[1] * y0[2] + d[2] * y0[1] + d[4] * y0[0],
        y[5] + d[0] * y0[5] + 2.0 * d[2] * y0[2],
    )


@register_jitable
def _times(y: _Six, scale: float) -> _Six:
    return (y[0] * scale, y[1] * scale, y[2] * scale, y[3] * scale, y[4] * scale, y[5] * scale)


@register_jitable
def _quotient(p: _Six, q: _Six) -> _Six:
    r = p[0] / q[0]
    ra, rb = (p[1] - r * q[1]) / q[0], (p[2] - r * q[2]) / q[0]
    return (
        r,
        ra,
        rb,
        (p[3] - 2.0 * ra * q[1] - r * q[3]) / q[0],
        (p[4] - ra * q[2] - rb * q[1] - r * q[4]) / q[0],
        (p[5] - 2.0 * rb * q[2] - r * q[5]) / q[0],
    )


@register_jitable
def _beta_fraction(a: float, b: float, x: float) -> _Six:
    """I_x(a, b) a B(a, b) / (x^a (1 - x)^b) and its derivatives by a, b, aa, ab, bb (Abramowitz and Stegun, 26.5.8)."""
    one, none = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    p0, p, q0, q, r = none, one, one, one, one
    settled = 0
    for n in range(1, 200_000):
        m = float(n // 2)
        s = a + 2.0 * m
        if n % 2:
            d = -(a + m) * (a + b + m) * x / (s * (s + 1.0))
            e, f, g, h = 1.0 / (a + m), 1.0 / (a + b + m), 1.0 / s, 1.0 / (s + 1.0)
            slope, bend = (e - g) + f - h, (g - e) * (g + e) + h * h - f * f
            step = (d, d * slope, d * f, d * (slope * slope + bend), d * (slope - f) * f, 0.0)
        else:
            by_b = m * x / ((s - 1.0) * s)
            d = (b - m) * by_b
            slope = -1.0 / (s - 1.0) - 1.0 / s
            bend = 1.0 / (s * s) + 1.0 / ((s - 1.0) * (s - 1.0))
            step = (d, d * slope, by_b, d * (slope * slope + bend), by_b * slope, 0.0)
        p, p0 = _next(p, p0, step), p
        q, q0 = _next(q, q0, step), q
        if q[0] != 0.0:
            old, r = r, _quotient(p, q)
            if not abs(r[0] + r[1] + r[2] + r[3] + r[4] + r[5]) < math.inf:
                break
            small = 2.0 * _EPS
            if (
                abs(r[0] - old[0]) <= small * abs(r[0])
                and abs(r[1] - old[1]) <= small * abs(r[1])
                and abs(r[2] - old[2]) <= small * abs(r[2])
                and abs(r[3] - old[3]) <= small * (abs(r[3]) + abs(r[1]))
                and abs(r[4] - old[4]) <= small * (abs(r[4]) + abs(r[2]))
                and abs(r[5] - old[5]) <= small * (abs(r[5]) + abs(r[2]))
            ):
                settled += 1
                if settled == 3:
                    break
            else:
                settled = 0
        size = abs(q[0])
        if size > 1e100 or size < 1e-100:
            scale = 1e-100 if size > 1.0 else 1e100
            p0, p, q0, q = _times(p0, scale), _times(p, scale), _times(q0, scale), _times(q, scale)
    return r


@register_jitable
def _log_beta(a: float, b: float, x: float, log_x: float, log_y: float) -> _Six:
    """log(I_x(a, b)) and its derivatives by a, b, aa, ab, bb, for x below the mean."""
    r = _beta_fraction(a, b, x)
    if not r[0] > 0.0:
        return (math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    ra, rb = r[1] / r[0], r[2] / r[0]
    joint, bend = psi(a + b), _hurwitz_zeta(2.0, a + b)
    return (
        a * log_x + b * log_y - betaln(a, b) - math.log(a) + math.log(r[0]),
        log_x - psi(a + 1.0) + joint + ra,
        log_y - psi(b) + joint + rb,
        bend - _hurwitz_zeta(2.0, a + 1.0) + r[3] / r[0] - ra * ra,
        bend + r[4] / r[0] - ra * rb,
        bend - _hurwitz_zeta(2.0, b) + r[5] / r[0] - rb * rb,
    )


@register_jitable
def _log_beta_of(a: float, b: float, x: float, y: float, log_x: float, log_y: float, complement: bool) -> _Six:
    """The same for any x = 1 - y, and for the logarithm of 1 - I_x(a, b)."""
    swapped = x > (a + 1.0) / (a + b + 2.0)
    if swapped:
        e = _log_beta(b, a, y, log_y, log_x)
        e = (e[0], e[2], e[1], e[5], e[4], e[3])
    else:
        e = _log_beta(a, b, x, log_x, log_y)
    if swapped == complement:
        return e
    if not e[0] < 0.0:
        return (-math.inf, math.nan, math.nan, math.nan, math.nan, math.nan)
    ratio = 1.0 / math.expm1(-e[0])  # of exp(e) to its complement
    g, h = -ratio * e[1], -ratio * e[2]
    return (
        math.log(-math.expm1(e[0])),
        g,
        h,
        -ratio * (e[3] + e[1] * e[1]) - g * g,
        -ratio * (e[4] + e[1] * e[2]) - g * h,
        -ratio * (e[5] + e[2] * e[2]) - h * h,
    )


@register_jitable
def _beta_logarithm(a: Any, b: Any, x: Any, complement: bool) -> _Six:
    a, b, x = wide(a), wide(b), wide(x)
    if not (a > 0.0 and b > 0.0 and 0.0 < x < 1.0) or a == math.inf or b == math.inf:
        return (math.nan, math.nan, math.nan, math.nan, math.nan, math.nan)
    return _log_beta_of(a, b, x, 1.0 - x, math.log(x), math.log1p(-x), complement)


@register_jitable
def special_beta_slope_a(a: Any, b: Any, x: Any) -> Any:
    if x == 0.0 or x == 1.0:
        return like(x, 0.0)
    e = _beta_logarithm(a, b, x, False)
    return like(x, math.exp(e[0]) * e[1])


@register_jitable
def special_beta_slope_b(a: Any, b: Any, x: Any) -> Any:
    if x == 0.0 or x == 1.0:
        return like(x, 0.0)
    e = _beta_logarithm(a, b, x, False)
    return like(x, math.exp(e[0]) * e[2])


@register_jitable
def special_log_beta_a(a: Any, b: Any, x: Any, complement: Any) -> Any:
    return like(x, _beta_logarithm(a, b, x, complement != 0)[1])


@register_jitable
def special_log_beta_b(a: Any, b: Any, x: Any, complement: Any) -> Any:
    return like(x, _beta_logarithm(a, b, x, complement != 0)[2])


@register_jitable
def special_log_beta_aa(a: Any, b: Any, x: Any, complement: Any) -> Any:
    return like(x, _beta_logarithm(a, b, x, complement != 0)[3])


@register_jitable
def special_log_beta_ab(a: Any, b: Any, x: Any, complement: Any) -> Any:
    return like(x, _beta_logarithm(a, b, x, complement != 0)[4])


@register_jitable
def special_log_beta_bb(a: Any, b: Any, x: Any, complement: Any) -> Any:
    return like(x, _beta_logarithm(a, b, x, complement != 0)[5])


@register_jitable
def _log_beta_tail(a: float, b: float, x: float, log_x: float, log_y: float) -> float:
    """log(I_x(a, b)) far below the mean: the same fraction without derivatives, by Lentz's method."""
    f, c, d = 1.0, 1.0, 0.0
    for n in range(1, 200_000):
        m = float(n // 2)
        s = a + 2.0 * m
        u = -(a + m) * (a + b + m) * x / (s * (s + 1.0)) if n % 2 else m * (b - m) * x / ((s - 1.0) * s)
        d, c = 1.0 / (1.0 + u * d), 1.0 + u / c
        f *= c * d
        if not abs(c * d - 1.0) > 2.0 * _EPS:
            break
    return a * log_x + b * log_y - betaln(a, b) - math.log(a) - math.log(f)


@register_jitable
def special_log_betainc(a: Any, b: Any, x: Any) -> Any:
    a_, b_, x_ = wide(a), wide(b), wide(x)
    p, q = betainc(a_, b_, x_), betaincc(a_, b_, x_)
    if p >= 1e-280 or p != p or x_ <= 0.0:
        return like(x, _log_tail(p, q))
    return like(x, _log_beta_tail(a_, b_, x_, math.log(x_), math.log1p(-x_)))


@register_jitable
def special_log_betaincc(a: Any, b: Any, x: Any) -> Any:
    a_, b_, x_ = wide(a), wide(b), wide(x)
    p, q = betainc(a_, b_, x_), betaincc(a_, b_, x_)
    if q >= 1e-280 or q != q or x_ >= 1.0:
        return like(x, _log_tail(q, p))
    return like(x, _log_beta_tail(b_, a_, 1.0 - x_, math.log1p(-x_), math.log(x_)))


@register_jitable
def _beta_density(a: float, b: float, x: float) -> float:
    """x^(a-1) (1 - x)^(b-1) / B(a, b)."""
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0):
        return math.nan
    if x == 0.0 or x == 1.0:
        exponent = a if x == 0.0 else b
        return 0.0 if exponent > 1.0 else a * b if exponent == 1.0 else math.inf
    return math.exp((a - 1.0) * math.log(x) + (b - 1.0) * math.log1p(-x) - betaln(a, b))


@register_jitable
def special_beta_density(a: Any, b: Any, x: Any) -> Any:
    return like(x, _beta_density(wide(a), wide(b), wide(x)))


# ---------------------------------------------------------------- Student's t


@register_jitable
def _t_derivatives(df: Any, t: Any) -> tuple[float, float]:
    """The first and second derivative of the distribution function by `df`: of half of I(df / 2, 1 / 2) on the left."""
    df, t = wide(df), wide(t)
    if not df > 0.0 or t != t:
        return math.nan, math.nan
    if t == 0.0 or df == math.inf or abs(t) == math.inf:
        return 0.0, 0.0
    a, u = 0.5 * df, abs(t) / math.sqrt(df)
    if a == 0.0 or u == 0.0 or u == math.inf:
        return 0.0, 0.0
    v = u * u if u < 1.0 else 1.0 / u / u
    less, more, log_more, log_less = v / (1.0 + v), 1.0 / (1.0 + v), -math.log1p(v), -2.0 * abs(math.log(u))
    log_less += log_more
    x, y, log_x, log_y = (more, less, log_more, log_less) if u < 1.0 else (less, more, log_less, log_more)
    e = _log_beta_of(a, 0.5, x, y, log_x, log_y, False)
    value = math.exp(e[0])
    by_a, by_aa = value * e[1], value * (e[3] + e[1] * e[1])
    moved = math.exp(a * log_x + 0.5 * log_y - betaln(a, 0.5)) / df  # the density times x'
    level = log_x - psi(a) + psi(a + 0.5)
    first = 0.25 * by_a + 0.5 * moved
    second = 0.5 * (0.25 * by_aa + moved * (level + (a - 1.0) * y / df - 1.5 * x / df))
    return (first, second) if t < 0.0 else (-first, -second)


@register_jitable
def special_t_slope(df: Any, t: Any) -> Any:
    return like(t, _t_derivatives(df, t)[0])


@register_jitable
def special_t_curvature(df: Any, t: Any) -> Any:
    return like(t, _t_derivatives(df, t)[1])
