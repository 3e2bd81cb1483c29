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
def _gamma_density(a: float, x: float) -> float:
    """x^(a-1) exp(-x) / Gamma(a), after Loader: fast and accurate computation of binomial probabilities (2000)."""
    if not (a > 0.0 and x >= 0.0) or a == math.inf:
        return math.nan
    if x == 0.0:
        return 0.0 if a > 1.0 else 1.0 if a == 1.0 else math.inf
    if x == math.inf:
        return 0.0
    if a < 10.0:
        return math.exp((a - 1.0) * math.log(x) - x - gammaln(a))
    y = 1.0 / (a * a)
    stirling = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y * (1 / 1188 - y * 691 / 360360))))) / a
    return math.sqrt(a / (2.0 * math.pi)) / x * math.exp(a * _log1pmx((x - a) / a) - stirling)


@register_jitable
def special_gamma_density(a: Any, x: Any) -> Any:
    return like(x, _gamma_density(wide(a), wide(x)))


# ---------------------------------------------------------------- beta


@register_jitable
def _beta_fraction(a: float, b: float, x: float) -> tuple[float, float, float]:
    """I_x(a, b) a B(a, b) / (x^a (1 - x)^b) and its derivatives by `a` and `b` (Abramowitz and Stegun, 26.5.8)."""
    p0, p, q0, q = 0.0, 1.0, 1.0, 1.0
    p0_a, p_a, q0_a, q_a = 0.0, 0.0, 0.0, 0.0
    p0_b, p_b, q0_b, q_b = 0.0, 0.0, 0.0, 0.0
    r, ra, rb = 1.0, 0.0, 0.0
    settled = 0
    for n in range(1, 200_000):
        m = float(n // 2)
        if n % 2:
            below = (a + 2 * m) * (a + 2 * m + 1)
            u, v = a + m, a + b + m
            d = -u * v * x / below
            d_a = -x * (u + v) / below - d * (1 / (a + 2 * m) + 1 / (a + 2 * m + 1))
            d_b = -u * x / below
        else:
            below = (a + 2 * m - 1) * (a + 2 * m)
            d = m * (b - m) * x / below
            d_a = -d * (1 / (a + 2 * m - 1) + 1 / (a + 2 * m))
            d_b = m * x / below
        p_, q_ = p + d * p0, q + d * q0
        pa, qa = p_a + d * p0_a + d_a * p0, q_a + d * q0_a + d_a * q0
        pb, qb = p_b + d * p0_b + d_b * p0, q_b + d * q0_b + d_b * q0
        p0, p, q0, q = p, p_, q, q_
        p0_a, p_a, q0_a, q_a = p_a, pa, q_a, qa
        p0_b, p_b, q0_b, q_b = p_b, pb, q_b, qb
        if q != 0.0:
            old, old_a, old_b = r, ra, rb
            r = p / q
            ra, rb = (p_a - r * q_a) / q, (p_b - r * q_b) / q
            if (
                abs(r - old) <= 2 * _EPS * abs(r)
                and abs(ra - old_a) <= 2 * _EPS * abs(ra)
                and abs(rb - old_b) <= 2 * _EPS * abs(rb)
            ):
                settled += 1
                if settled == 3:
                    break
            else:
                settled = 0
        size = abs(q)
        if size > 1e100 or size < 1e-100:
            scale = 1e-100 if size > 1.0 else 1e100
            p0, p, q0, q = p0 * scale, p * scale, q0 * scale, q * scale
            p0_a, p_a, q0_a, q_a = p0_a * scale, p_a * scale, q0_a * scale, q_a * scale
            p0_b, p_b, q0_b, q_b = p0_b * scale, p_b * scale, q0_b * scale, q_b * scale
    return r, ra, rb


@register_jitable
def _beta_derivatives(a: Any, b: Any, x: Any) -> tuple[float, float]:
    """The derivatives of I_x(a, b) by `a` and `b`."""
    a, b, x = wide(a), wide(b), wide(x)
    if not (a > 0.0 and b > 0.0 and 0.0 <= x <= 1.0) or a == math.inf or b == math.inf:
        return math.nan, math.nan
    if x == 0.0 or x == 1.0:
        return 0.0, 0.0
    swapped = x > (a + 1.0) / (a + b + 2.0)
    if swapped:  # I_x(a, b) = 1 - I_(1 - x)(b, a)
        a, b = b, a
        log_x, log_y, x = math.log1p(-x), math.log(x), 1.0 - x
    else:
        log_x, log_y = math.log(x), math.log1p(-x)
    r, ra, rb = _beta_fraction(a, b, x)
    front = math.exp(a * log_x + b * log_y - betaln(a, b)) / a
    joint = psi(a + b)
    by_a = front * (r * (log_x - psi(a) + joint - 1.0 / a) + ra)
    by_b = front * (r * (log_y - psi(b) + joint) + rb)
    return (-by_b, -by_a) if swapped else (by_a, by_b)


@register_jitable
def special_beta_slope_a(a: Any, b: Any, x: Any) -> Any:
    return like(x, _beta_derivatives(a, b, x)[0])


@register_jitable
def special_beta_slope_b(a: Any, b: Any, x: Any) -> Any:
    return like(x, _beta_derivatives(a, b, x)[1])


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
