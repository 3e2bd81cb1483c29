"""Special functions of SciPy: elementwise primitives by the table of `elementwise.py`, and the ufuncs that it lacks.

The incomplete gamma and beta functions are in `incomplete.py`. Kernels call SciPy's own C functions (`scipy_...`,
`compiler/scipyfunctions.py`) or what is written for them (`special_...`, `compiler/special.py`), or hold straight-line
code where that is as good. Rows without a scalar expression for a dtype, complex ones mostly, run as calls of NumPy.
"""

from __future__ import annotations

import builtins
import inspect
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from functrans.core.avals import SMALL_FLOATS, ShapedArray, aval_of
from functrans.core.jaxpr import Eqn, Jaxpr, Var
from functrans.core.primitive import lookup
from functrans.errors import NotDifferentiableError
from functrans.lax.conversion import convert_element_type
from functrans.lax.elementwise import (
    Derivative,
    Elementwise,
    abs,
    complex,
    conj,
    cos,
    cosh,
    digamma,
    erf,
    exp,
    imag,
    log,
    log1p,
    logistic,
    real,
    sign,
    sin,
    sinh,
    sqrt,
    where,
    zero,
)
from functrans.transforms.recording import over, times

# ---------------------------------------------------------------- ufuncs


class _Function:
    """A function with the interface of a ufunc that the elementwise rows use.

    `loop` gives the dtypes of operands and result for those of the operands, by default those of a ufunc of SciPy's
    for float32 and float64.
    """

    nout = 1

    def __init__(self, name: str, nin: int, loop: Any = None):
        self.__name__ = name
        self.nin = nin
        self._loop = loop or _float_loop

    def __call__(self, *args: Any) -> Any:
        types = [type(v) if type(v) in _SCALARS else np.asarray(v).dtype for v in args]
        *dtypes, result = self.resolve_dtypes((*types, None))
        return np.asarray(self.evaluate(*map(np.asarray, args, dtypes)), result)[()]

    def evaluate(self, *args: Any) -> Any:
        raise NotImplementedError

    def resolve_dtypes(self, types: tuple[Any, ...]) -> Sequence[np.dtype]:
        """As the method of ufuncs: the dtypes of the loop for operands of these dtypes."""
        return self._loop(types[: self.nin])


_SCALARS = (int, float, builtins.complex)


def _float_loop(types: tuple[Any, ...]) -> Sequence[np.dtype]:
    from scipy import special

    if all(isinstance(t, type) for t in types):
        types = tuple(np.dtype(t) for t in types)
    ufunc = {1: special.i0, 2: special.beta, 3: special.betainc, 4: special.hyp2f1}[len(types)]
    return inspect.unwrap(ufunc).resolve_dtypes((*types, None))  # wrapped, with SCIPY_ARRAY_API


class OfSciPy(_Function):
    """A function of `scipy.special` that is no ufunc, or one result of a ufunc that has several."""

    def __init__(self, name: str, nin: int, evaluate: Any, loop: Any = None):
        super().__init__(name, nin, loop)
        self._evaluate = evaluate

    def evaluate(self, *args: Any) -> Any:
        from scipy import special

        return self._evaluate(special, *args)


polygamma_ufunc = OfSciPy("polygamma", 2, lambda special, n, x: special.polygamma(n, x))


class OfKernels(_Function):
    """A function that only kernels have: plain arrays go through a program of one equation."""

    def evaluate(self, *args: Any) -> Any:
        args = np.broadcast_arrays(*args)
        shape, size = args[0].shape, args[0].size
        program = _program(self.__name__, self.nin, args[0].dtype, size)
        return np.reshape(program(*(np.ascontiguousarray(a).reshape(size) for a in args))[0], shape)


@lru_cache(256)
def _program(name: str, count: int, dtype: np.dtype, size: int) -> Any:
    from functrans.compiler.program import compile

    aval = ShapedArray((size,), dtype)
    operands, result = [Var(aval) for _ in range(count)], Var(aval)
    return compile(Jaxpr((), operands, [Eqn(lookup(name), operands, [result], {})], [result]), ())


# ---------------------------------------------------------------- rows


class Special(Elementwise):
    """A row whose scalar expression holds for real operands."""

    def _lower(self, k: Any, idx: Any, *operands: Any) -> Any:
        if any(x.aval.dtype.kind == "c" for x in operands):
            raise NotImplementedError(f"no scalar form of {self.name} for complex operands")
        return super()._lower(k, idx, *operands)


def row(name: str, expr: str | dict[str, str], *derivatives: Derivative, scipy: str = "") -> Elementwise:
    """A row for a ufunc of `scipy.special`, of the same name unless `scipy` names it."""
    original = scipy or name
    return Special(name, f"scipy.special:{original}", expr, *derivatives, doc=f"As `scipy.special.{original}`.")


def kernel_row(name: str, nin: int, expr: str, *derivatives: Derivative) -> Elementwise:
    """A row for a function that only kernels have."""
    return Special(name, OfKernels(name, nin), expr, *derivatives)


def unknown(what: str) -> Derivative:
    """The derivative by an operand for which there is no formula here."""

    def derivative(t: Any, y: Any, *x: Any) -> Any:
        raise NotDifferentiableError(
            f"{what} is not implemented; if that operand need not be differentiated, wrap it in stop_gradient"
        )

    return derivative


# ---------------------------------------------------------------- products and logarithms

_NONZERO = "where(({0} == 0) & ({1} == {1}), 0, "

xlogy = row(
    "xlogy",
    _NONZERO + "{0} * log({1}))",
    times(lambda y, x, z: log(z)),
    times(lambda y, x, z: x / where(x == 0, 1.0, z)),
)
xlog1py = row(
    "xlog1py",
    _NONZERO + "{0} * log1p({1}))",
    times(lambda y, x, z: log1p(z)),
    times(lambda y, x, z: x / where(x == 0, 1.0, 1 + z)),
)
entr = row(
    "entr",
    "where({0} > 0, -{0} * log({0}), where({0} == 0, 0, where({0} < 0, -inf, {0})))",
    times(lambda y, x: -1 - log(x)),
)
# As SciPy: the quotient's logarithm, near 1 by the difference, and beyond the range of quotients by two logarithms.
_RELATIVE = (
    "where(({0} < 2 * {1}) & ({1} < 2 * {0}), {0} * log1p(({0} - {1}) / {1}), "
    "where(({0} / {1} > 1e-37) & ({0} / {1} < 1e37), {0} * log({0} / {1}), {0} * (log({0}) - log({1}))))"
)
rel_entr = row(
    "rel_entr",
    "where(({0} != {0}) | ({1} != {1}), nan, where(({0} > 0) & ({1} > 0), "
    + _RELATIVE
    + ", where(({0} == 0) & ({1} >= 0), 0, inf)))",
    times(lambda y, p, q: log(p / q) + 1),
    times(lambda y, p, q: -(p / q)),
)
kl_div = row(
    "kl_div",
    "scipy_kl_div({0}, {1})",
    times(lambda y, p, q: log(p / q)),
    times(lambda y, p, q: 1 - p / q),
)
logit = row(
    "logit",
    "where(({0} < 0.3) | ({0} > 0.65), log({0} / (1 - {0})), log1p(2 * ({0} - 0.5)) - log1p(-2 * ({0} - 0.5)))",
    over(lambda y, x: x * (1 - x)),
)
log_expit = row(
    "log_expit",
    "where({0} < 0, {0} - log1p(exp({0})), -log1p(exp(-{0})))",
    times(lambda y, x: logistic(-x)),
)

cosm1 = row("cosm1", "scipy_cosm1({0})", times(lambda y, x: -sin(x)))
exprel = row("exprel", "scipy_exprel({0})", times(lambda y, x: _exprel_slope(x)))


def _series(x: Any, coefficients: Sequence[float]) -> Any:
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _exprel_slope(x: Any) -> Any:
    near = abs(x) < 0.25
    far = where(near, 1.0, x)
    series = _series(where(near, x, 0.0), [(n + 1) / math.factorial(n + 2) for n in range(14)])
    return where(near, series, (exp(far) - exprel(far)) / far)


boxcox = row(
    "boxcox",
    "scipy_boxcox({0}, {1})",
    times(lambda y, x, power: x ** (power - 1)),
    times(lambda y, x, power: log(x) ** 2 * _exprel_slope(power * log(x))),
)
boxcox1p = row(
    "boxcox1p",
    "scipy_boxcox1p({0}, {1})",
    times(lambda y, x, power: (1 + x) ** (power - 1)),
    times(lambda y, x, power: log1p(x) ** 2 * _exprel_slope(power * log1p(x))),
)
#: log(1 + u) against u / (1 + u), near u = 0: (u / (1 + u) - log(1 + u)) / u^2.
_INVERSE_BOXCOX = [(-1) ** (n + 1) * (n + 1) / (n + 2) for n in range(24)]


def _inverse_boxcox_slope(x: Any, power: Any) -> Any:
    """The derivative by the power of the logarithm of `inv_boxcox`."""
    u = power * x
    near = abs(u) < 0.15
    far = where(near, 1.0, u)
    return x * x * where(near, _series(where(near, u, 0.0), _INVERSE_BOXCOX), (far / (1 + far) - log1p(far)) / far**2)


inv_boxcox = row(
    "inv_boxcox",
    "scipy_inv_boxcox({0}, {1})",
    times(lambda y, x, power: y / (1 + power * x)),
    times(lambda y, x, power: y * _inverse_boxcox_slope(x, power)),
)
inv_boxcox1p = row(
    "inv_boxcox1p",
    "scipy_inv_boxcox1p({0}, {1})",
    times(lambda y, x, power: (1 + y) / (1 + power * x)),
    times(lambda y, x, power: (1 + y) * _inverse_boxcox_slope(x, power)),
)
huber = row(
    "huber",
    "scipy_huber({0}, {1})",
    times(lambda y, delta, r: where(abs(r) > delta, abs(r) - delta, 0.0)),
    times(lambda y, delta, r: where(abs(r) > delta, delta * sign(r), r)),
)
pseudo_huber = row(
    "pseudo_huber",
    "scipy_pseudo_huber({0}, {1})",
    times(lambda y, delta, r: (2 * y - r * r / sqrt(1 + (r / delta) ** 2)) / delta),
    times(lambda y, delta, r: r / sqrt(1 + (r / delta) ** 2)),
)

# ---------------------------------------------------------------- the gamma function

gamma = row("gamma", "scipy_gamma({0})", times(lambda y, x: y * digamma(x)))
loggamma = row("loggamma", "scipy_loggamma({0})", times(lambda y, x: digamma(x)))
gammasgn = row("gammasgn", "scipy_gammasgn({0})", zero)


def _rgamma_derivative(t: Any, y: Any, x: Any) -> Any:
    """Of sin(pi x) Gamma(1 - x) / pi on the left, where Gamma has poles."""
    left = real(x) < 0.5
    z, r = where(left, x, 0.0), where(left, 1.0, x)
    reflected = gamma(1 - z) * (cos(math.pi * z) - sin(math.pi * z) * digamma(1 - z) / math.pi)
    return t * where(left, reflected, -rgamma(r) * digamma(r))


rgamma = row("rgamma", "scipy_rgamma({0})", _rgamma_derivative)
poch = row(
    "poch",
    "scipy_poch({0}, {1})",
    times(lambda y, a, m: y * (digamma(a + m) - digamma(a))),
    times(lambda y, a, m: y * digamma(a + m)),
)
beta = row(
    "beta",
    "scipy_beta({0}, {1})",
    times(lambda y, a, b: y * (digamma(a) - digamma(a + b))),
    times(lambda y, a, b: y * (digamma(b) - digamma(a + b))),
)
betaln = row(
    "betaln",
    "scipy_betaln({0}, {1})",
    times(lambda y, a, b: digamma(a) - digamma(a + b)),
    times(lambda y, a, b: digamma(b) - digamma(a + b)),
)
binom = row(
    "binom",
    "scipy_binom({0}, {1})",
    times(lambda y, n, k: y * (digamma(n + 1) - digamma(n - k + 1))),
    times(lambda y, n, k: y * (digamma(n - k + 1) - digamma(k + 1))),
)

# ---------------------------------------------------------------- error functions and the normal distribution

_TWO_OVER_SQRT_PI, _SQRT_TWO_PI = 2 / math.sqrt(math.pi), math.sqrt(2 * math.pi)

erfcx = row("erfcx", "scipy_erfcx({0})", times(lambda y, x: 2 * x * y - _TWO_OVER_SQRT_PI))
erfi = row("erfi", "scipy_erfi({0})", times(lambda y, x: _TWO_OVER_SQRT_PI * exp(x * x)))
erfcinv = row("erfcinv", "scipy_erfcinv({0})", times(lambda y, x: exp(y * y) / -_TWO_OVER_SQRT_PI))
dawsn = row("dawsn", "scipy_dawsn({0})", times(lambda y, x: 1 - 2 * x * y))
ndtr = row(
    "ndtr",
    "where(abs({0} * 0.7071067811865476) < 1, 0.5 + 0.5 * erf({0} * 0.7071067811865476), "
    "where({0} > 0, 1 - 0.5 * erfc(abs({0} * 0.7071067811865476)), 0.5 * erfc(abs({0} * 0.7071067811865476))))",
    times(lambda y, x: exp(-0.5 * (x * x)) / _SQRT_TWO_PI),
)
log_ndtr = row("log_ndtr", "scipy_log_ndtr({0})", times(lambda y, x: math.sqrt(2 / math.pi) / erfcx(x / -(2**0.5))))
ndtri = row("ndtri", "scipy_ndtri({0})", times(lambda y, p: exp(0.5 * (y * y)) * _SQRT_TWO_PI))
#: The normal quantile by the logarithm of the probability.
ndtri_exp = row(
    "ndtri_exp", "scipy_ndtri_exp({0})", times(lambda y, p: math.sqrt(math.pi / 2) * erfcx(y * -math.sqrt(0.5)))
)
owens_t = row(
    "owens_t",
    "scipy_owens_t({0}, {1})",
    times(lambda y, h, a: exp(-0.5 * (h * h)) * erf(a * h * math.sqrt(0.5)) / (-2 * _SQRT_TWO_PI)),
    times(lambda y, h, a: exp(-0.5 * (h * h) * (1 + a * a)) / (2 * math.pi * (1 + a * a))),
)
wofz = row("wofz", "", times(lambda y, z: 2j / math.sqrt(math.pi) - 2 * z * y))


def _voigt_slopes(y: Any, *operands: Any) -> list[Any]:
    """The derivatives by all operands, from that of the Faddeeva function, whose real part the profile is."""
    dtype = aval_of(y).dtype
    wide = np.float32 if dtype.itemsize == 2 else dtype  # there are no complex numbers of two halves
    y, x, sigma, gamma = (convert_element_type(v, wide) for v in (y, *operands))
    width = sigma * math.sqrt(2)
    z = complex(x, gamma) / width
    slope = (2j / math.sqrt(math.pi) - 2 * z * wofz(z)) / (sigma * math.sqrt(2 * math.pi))
    slopes = real(slope) / width, -(y + real(z * slope)) / sigma, -imag(slope) / width
    return [convert_element_type(s, dtype) for s in slopes]


voigt_profile = row(
    "voigt_profile",
    "scipy_voigt_profile({0}, {1}, {2})",
    lambda t, y, *operands: t * _voigt_slopes(y, *operands)[0],
    lambda t, y, *operands: t * _voigt_slopes(y, *operands)[1],
    lambda t, y, *operands: t * _voigt_slopes(y, *operands)[2],
)
fresnel_s = Special(
    "fresnel_s",
    OfSciPy("fresnel_s", 1, lambda special, x: special.fresnel(x)[0]),
    "",
    times(lambda y, x: sin((math.pi / 2) * (x * x))),
)
fresnel_c = Special(
    "fresnel_c",
    OfSciPy("fresnel_c", 1, lambda special, x: special.fresnel(x)[1]),
    "",
    times(lambda y, x: cos((math.pi / 2) * (x * x))),
)

# ---------------------------------------------------------------- Bessel functions


def _by_order(name: str) -> Derivative:
    return unknown(f"the derivative of {name} by its order")


bessel_i0 = row("bessel_i0", "scipy_i0({0})", times(lambda y, x: bessel_i1(x)), scipy="i0")
bessel_i0e = row("bessel_i0e", "scipy_i0e({0})", times(lambda y, x: bessel_i1e(x) - sign(x) * y), scipy="i0e")
bessel_i1 = row("bessel_i1", "scipy_i1({0})", times(lambda y, x: 0.5 * (bessel_i0(x) + iv(2.0, x))), scipy="i1")
bessel_i1e = row(
    "bessel_i1e",
    "scipy_i1e({0})",
    times(lambda y, x: 0.5 * (bessel_i0e(x) + ive(2.0, x)) - sign(x) * y),
    scipy="i1e",
)
bessel_j0 = row("bessel_j0", "scipy_j0({0})", times(lambda y, x: -bessel_j1(x)), scipy="j0")
bessel_j1 = row("bessel_j1", "scipy_j1({0})", times(lambda y, x: 0.5 * (bessel_j0(x) - jv(2.0, x))), scipy="j1")
bessel_y0 = row("bessel_y0", "scipy_y0({0})", times(lambda y, x: -bessel_y1(x)), scipy="y0")
bessel_y1 = row("bessel_y1", "scipy_y1({0})", times(lambda y, x: bessel_y0(x) - y / x), scipy="y1")
bessel_k0 = row("bessel_k0", "scipy_k0({0})", times(lambda y, x: -bessel_k1(x)), scipy="k0")
bessel_k0e = row("bessel_k0e", "scipy_k0e({0})", times(lambda y, x: y - bessel_k1e(x)), scipy="k0e")
bessel_k1 = row("bessel_k1", "scipy_k1({0})", times(lambda y, x: -(bessel_k0(x) + y / x)), scipy="k1")
bessel_k1e = row("bessel_k1e", "scipy_k1e({0})", times(lambda y, x: y - bessel_k0e(x) - y / x), scipy="k1e")
iv = row(
    "iv",
    "scipy_iv({0}, {1})",
    _by_order("iv"),
    times(lambda y, v, x: 0.5 * (iv(v - 1, x) + iv(v + 1, x))),
)
ive = row(
    "ive",
    "scipy_ive({0}, {1})",
    _by_order("ive"),
    lambda t, y, v, x: _unscaled(t, y, x) + t * (0.5 * (ive(v - 1, x) + ive(v + 1, x))),
)
jv = row(
    "jv",
    "scipy_jv({0}, {1})",
    _by_order("jv"),
    times(lambda y, v, x: 0.5 * (jv(v - 1, x) - jv(v + 1, x))),
)
yv = row(
    "yv",
    "scipy_yv({0}, {1})",
    _by_order("yv"),
    times(lambda y, v, x: 0.5 * (yv(v - 1, x) - yv(v + 1, x))),
)
kv = row(
    "kv",
    "scipy_kv({0}, {1})",
    _by_order("kv"),
    times(lambda y, v, x: -0.5 * (kv(v - 1, x) + kv(v + 1, x))),
)
kve = row(
    "kve",
    "scipy_kve({0}, {1})",
    _by_order("kve"),
    times(lambda y, v, x: y - 0.5 * (kve(v - 1, x) + kve(v + 1, x))),
)


def _unscaled(t: Any, y: Any, x: Any) -> Any:
    """What the factor exp(-|Re x|) adds to a tangent."""
    return -(real(t) * sign(real(x))) * y


# ---------------------------------------------------------------- exponential integrals and their like


def _near(x: Any, coefficients: tuple[float, ...], otherwise: Any) -> Any:
    """A function of `x` that divides 0 by 0 at 0: its power series there, which has the derivatives too."""
    near = abs(x) < 1e-4
    series = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        series = series * x + c
    return where(near, series, otherwise(where(near, 1.0, x)))


expi = row("expi", "scipy_expi({0})", times(lambda y, x: exp(x) / x))
exp1 = row("exp1", "scipy_exp1({0})", times(lambda y, x: -(exp(-x) / x)))


def _expn_derivative(t: Any, y: Any, n: Any, x: Any) -> Any:
    first = n < 1
    lower = expn(where(first, 0, n - 1), x)
    return -t * where(first, exp(-x) / x * (1 + 1 / x), lower)


expn = row(
    "expn",
    {
        "i": "scipy_expn({0}, {1})",
        "f": "where({0} == {0}, scipy_expn(where(abs({0}) < 2147483648, {0}, -1), {1}), nan)",
    },
    _by_order("expn"),
    _expn_derivative,
)
spence = row(
    "spence",
    "scipy_spence({0})",
    times(lambda y, x: _near(x - 1, (-1.0, 1 / 2, -1 / 3, 1 / 4, -1 / 5, 1 / 6), lambda u: -log(1 + u) / u)),
)
sine_integral = Special(
    "sine_integral",
    OfSciPy("sine_integral", 1, lambda special, x: special.sici(x)[0]),
    "",
    times(lambda y, x: _near(x, (1.0, 0.0, -1 / 6, 0.0, 1 / 120), lambda x: sin(x) / x)),
)
cosine_integral = Special(
    "cosine_integral",
    OfSciPy("cosine_integral", 1, lambda special, x: special.sici(x)[1]),
    "",
    times(lambda y, x: cos(x) / x),
)

hyperbolic_sine_integral = Special(
    "hyperbolic_sine_integral",
    OfSciPy("hyperbolic_sine_integral", 1, lambda special, x: special.shichi(x)[0]),
    "",
    times(lambda y, x: _near(x, (1.0, 0.0, 1 / 6, 0.0, 1 / 120), lambda x: sinh(x) / x)),
)
hyperbolic_cosine_integral = Special(
    "hyperbolic_cosine_integral",
    OfSciPy("hyperbolic_cosine_integral", 1, lambda special, x: special.shichi(x)[1]),
    "",
    times(lambda y, x: cosh(x) / x),
)

# ---------------------------------------------------------------- Airy functions


def _airy(name: str, place: int, derivative: Derivative) -> Special:
    return Special(name, OfSciPy(name, 1, lambda special, x: special.airy(x)[place]), "", derivative)


airy_ai = _airy("airy_ai", 0, times(lambda y, x: airy_ai_slope(x)))
airy_ai_slope = _airy("airy_ai_slope", 1, times(lambda y, x: x * airy_ai(x)))
airy_bi = _airy("airy_bi", 2, times(lambda y, x: airy_bi_slope(x)))
airy_bi_slope = _airy("airy_bi_slope", 3, times(lambda y, x: x * airy_bi(x)))

# ---------------------------------------------------------------- elliptic integrals

#: Coefficients of K(m) 2 / pi: squares of (2n)! / (4^n n!^2).
_ELLIPTIC = [(math.comb(2 * n, n) / 4**n) ** 2 for n in range(20)]


def _elliptic_slope(m: Any, coefficients: Sequence[float], formula: Any) -> Any:
    """By the power series near zero, where the formula divides 0 by 0."""
    near = abs(m) < 0.1
    series = _series(where(near, m, 0.0), [math.pi / 2 * n * c for n, c in enumerate(coefficients)][1:])
    return where(near, series, formula(where(near, 0.5, m)))


ellipk = row(
    "ellipk",
    "scipy_ellipk({0})",
    times(lambda y, m: _elliptic_slope(
        m, _ELLIPTIC, lambda m: (ellipe(m) - (1 - m) * ellipk(m)) / (2 * m * (1 - m))
    )),
)  # fmt: skip
ellipe = row(
    "ellipe",
    "scipy_ellipe({0})",
    times(lambda y, m: _elliptic_slope(
        m, [c / (1 - 2 * n) for n, c in enumerate(_ELLIPTIC)], lambda m: (ellipe(m) - ellipk(m)) / (2 * m)
    )),
)  # fmt: skip
ellipkm1 = row(
    "ellipkm1",
    "scipy_ellipkm1({0})",
    times(lambda y, p: -_elliptic_slope(
        1 - p, _ELLIPTIC, lambda m: (ellipe(m) - (1 - m) * ellipkm1(1 - m)) / (2 * m * (1 - m))
    )),
)  # fmt: skip

# ---------------------------------------------------------------- hypergeometric functions

hyp0f1 = row(
    "hyp0f1",
    "",  # SciPy's function asks for the interpreter where it fails
    unknown("the derivative of hyp0f1 by v"),
    times(lambda y, v, x: hyp0f1(v + 1, x) / v),
)

hyp1f1 = row(
    "hyp1f1",
    "scipy_hyp1f1({0}, {1}, {2})",
    unknown("the derivative of hyp1f1 by a"),
    unknown("the derivative of hyp1f1 by b"),
    times(lambda y, a, b, x: a / b * hyp1f1(a + 1, b + 1, x)),
)
hyp2f1 = row(
    "hyp2f1",
    "scipy_hyp2f1({0}, {1}, {2}, {3})",
    unknown("the derivative of hyp2f1 by a"),
    unknown("the derivative of hyp2f1 by b"),
    unknown("the derivative of hyp2f1 by c"),
    times(lambda y, a, b, c, x: a * b / c * hyp2f1(a + 1, b + 1, c + 1, x)),
)

# ---------------------------------------------------------------- zeta


def _zeta_by_exponent(t: Any, y: Any, x: Any, q: Any) -> Any:
    """Of Euler's and Maclaurin's formula, term by term (DLMF 25.11.28 is the formula for zeta itself)."""
    own = aval_of(y).dtype
    if own in SMALL_FLOATS:  # in which the terms overflow
        x, q = (convert_element_type(v, np.float32) for v in (x, q))
    terms = 12
    total = -sum(log(q + k) * (q + k) ** -x for k in range(terms))
    n = q + terms
    level, power = log(n), n**-x
    total = total - power * (n * (level / (x - 1) + 1 / (x - 1) ** 2) + 0.5 * level)
    rising: Any = x  # x (x + 1) ... (x + 2k - 2), and its logarithm's derivative
    slope = 1 / x
    for k, ratio in enumerate(_BERNOULLI_RATIOS):
        power = power / (n if k == 0 else n * n)
        total = total + ratio * rising * power * (slope - level)
        for j in (2 * k + 1, 2 * k + 2):
            rising, slope = rising * (x + j), slope + 1 / (x + j)
    return t * convert_element_type(total, own)


#: B_2k / (2k)! for k = 1, 2, ...
_BERNOULLI_RATIOS = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600)

zeta = Special(
    "zeta",
    OfSciPy("zeta", 2, lambda special, x, q: special.zeta(x, q)),
    "special_zeta({0}, {1})",
    _zeta_by_exponent,
    times(lambda y, x, q: -x * zeta(x + 1, q)),
)
riemann_zeta = Special(
    "riemann_zeta",
    OfSciPy("riemann_zeta", 1, lambda special, x: special.zeta(x)),
    "",
    lambda t, y, x: _zeta_by_exponent(t, y, x, aval_of(x).dtype.type(1)),
)

zetac = row("zetac", "scipy_zetac({0})", lambda t, y, x: _zeta_by_exponent(t, y, x, aval_of(x).dtype.type(1)))

# ---------------------------------------------------------------- complex functions

wrightomega = row("wrightomega", "", times(lambda y, z: y / (1 + y)))

lambertw = Special(
    "lambertw",
    OfSciPy(
        "lambertw",
        3,
        lambda special, z, k, tol: special.lambertw(z, k, float(tol)),
        lambda types: [np.dtype(t) for t in ("c16", "i8", "f8", "c16")],
    ),
    "",
    times(lambda y, z, k, tol: exp(-y) / (1 + y)),
    zero,
    zero,
)


def _polar_derivative(t: Any, y: Any, n: Any, m: Any, theta: Any, phi: Any) -> Any:
    """Half the difference of the ladder operators, which has no division by sin(theta)."""
    turn = complex(cos(phi), sin(phi))
    up, down = ((n - m) * (n + m + 1)), ((n + m) * (n - m + 1))
    up, down = (sqrt(where(v > 0, v, 0) * 1.0) for v in (up, down))
    return t * (
        0.5 * (up * conj(turn) * sph_harm_y(n, m + 1, theta, phi) - down * turn * sph_harm_y(n, m - 1, theta, phi))
    )


def _sph_harm_y(special: Any, n: Any, m: Any, theta: Any, phi: Any) -> Any:
    if hasattr(special, "sph_harm_y"):
        return special.sph_harm_y(n, m, theta, phi)
    return np.where(np.abs(m) > n, 0, special.sph_harm(m, n, phi, theta))  # SciPy before 1.15


sph_harm_y = Special(
    "sph_harm_y",
    OfSciPy(
        "sph_harm_y",
        4,
        _sph_harm_y,
        lambda types: [np.dtype(t) for t in ("i8", "i8", "f8", "f8", "c16")],
    ),
    "",
    zero,
    zero,
    _polar_derivative,
    lambda t, y, n, m, theta, phi: t * (1j * (m * y)),
)
