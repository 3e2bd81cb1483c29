"""The incomplete gamma and beta functions: elementwise primitives, as those of `special.py`.

Beside the functions, their complements and inverses there are their logarithms, which hold where the functions
underflow, and derivatives by the parameters, which are kernels of their own (`compiler/special.py`). Plain arrays go
through SciPy where SciPy has the function, and through a program of one equation where it has not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.avals import aval_of
from functrans.lax.elementwise import (
    Derivative,
    Elementwise,
    digamma,
    exp,
    lgamma,
    log,
    log1p,
    where,
    zero,
)
from functrans.lax.special import (
    OfKernels,
    Special,
    betaln,
    kernel_row,
    row,
    unknown,
    xlog1py,
    xlogy,
)
from functrans.transforms.recording import over, times

# ---------------------------------------------------------------- incomplete gamma functions

igamma = row(
    "igamma",
    "scipy_gammainc({0}, {1})",
    times(lambda y, a, x: igamma_grad_a(a, x)),
    times(lambda y, a, x: gamma_density(a, x)),
    scipy="gammainc",
)
igammac = row(
    "igammac",
    "scipy_gammaincc({0}, {1})",
    times(lambda y, a, x: -igamma_grad_a(a, x)),
    times(lambda y, a, x: -gamma_density(a, x)),
    scipy="gammaincc",
)
gammaincinv = row(
    "gammaincinv",
    "scipy_gammaincinv({0}, {1})",
    times(lambda y, a, p: random_gamma_grad(a, y)),
    over(lambda y, a, p: gamma_density(a, y)),
)
gammainccinv = row(
    "gammainccinv",
    "scipy_gammainccinv({0}, {1})",
    times(lambda y, a, p: random_gamma_grad(a, y)),
    over(lambda y, a, p: -gamma_density(a, y)),
)
#: x^(a-1) exp(-x) / Gamma(a)
gamma_density = kernel_row(
    "gamma_density",
    2,
    "special_gamma_density({0}, {1})",
    times(lambda y, a, x: y * (log(x) - digamma(a))),
    times(lambda y, a, x: y * ((a - 1) / x - 1)),
)
random_gamma_grad = kernel_row(
    "random_gamma_grad",
    2,
    "-special_gamma_slope({0}, {1})",
    times(lambda y, a, x: -(_gamma_curvature(a, x) + y * (log(x) - digamma(a)))),
    times(lambda y, a, x: -((log(x) - digamma(a)) + y * ((a - 1) / x - 1))),
)
random_gamma_grad.__doc__ = """How a gamma sample moves with the shape parameter, at a fixed place in the distribution.

`random_gamma_grad(a, x)` is `-igamma_grad_a(a, x)` divided by the density at `x` (Figurnov, Mohamed, Mnih: Implicit
reparameterization gradients, 2018); as `jax.lax.random_gamma_grad`. Elementwise, of floats whose shapes broadcast.

>>> import functrans as ft, numpy as np
>>> ft.lax.random_gamma_grad(2.0, np.array([1.0, 2.0]))
Array([0.61, 0.83])
"""
_gamma_curvature = kernel_row(
    "gamma_curvature",
    2,
    "special_gamma_curvature({0}, {1})",
    *[unknown("the third derivative of the incomplete gamma function by a")] * 2,
)


def igamma_grad_a(a: Any, x: Any) -> Any:
    """The derivative of `igamma(a, x)` by `a`.

    >>> import functrans.lax as lax
    >>> lax.igamma_grad_a(1.0, 2.0)
    Array(-0.22082543)
    """
    end = x == np.inf
    x = where(end, 1.0, x)
    return where(end, 0.0, -random_gamma_grad(a, x) * gamma_density(a, x))


# ---------------------------------------------------------------- incomplete beta functions

regularized_incomplete_beta = row(
    "regularized_incomplete_beta",
    "scipy_betainc({0}, {1}, {2})",
    times(lambda y, a, b, x: _beta_slope_a(a, b, x)),
    times(lambda y, a, b, x: _beta_slope_b(a, b, x)),
    times(lambda y, a, b, x: beta_density(a, b, x)),
    scipy="betainc",
)
betaincc = row(
    "betaincc",
    "scipy_betaincc({0}, {1}, {2})",
    times(lambda y, a, b, x: -_beta_slope_a(a, b, x)),
    times(lambda y, a, b, x: -_beta_slope_b(a, b, x)),
    times(lambda y, a, b, x: -beta_density(a, b, x)),
)
betaincinv = row(
    "betaincinv",
    "scipy_betaincinv({0}, {1}, {2})",
    times(lambda y, a, b, p: -_beta_slope_a(a, b, y) / beta_density(a, b, y)),
    times(lambda y, a, b, p: -_beta_slope_b(a, b, y) / beta_density(a, b, y)),
    over(lambda y, a, b, p: beta_density(a, b, y)),
)
betainccinv = row(
    "betainccinv",
    "scipy_betainccinv({0}, {1}, {2})",
    times(lambda y, a, b, p: -_beta_slope_a(a, b, y) / beta_density(a, b, y)),
    times(lambda y, a, b, p: -_beta_slope_b(a, b, y) / beta_density(a, b, y)),
    over(lambda y, a, b, p: -beta_density(a, b, y)),
)
#: x^(a-1) (1 - x)^(b-1) / B(a, b)
beta_density = kernel_row(
    "beta_density",
    3,
    "special_beta_density({0}, {1}, {2})",
    times(lambda y, a, b, x: y * (log(x) - digamma(a) + digamma(a + b))),
    times(lambda y, a, b, x: y * (log1p(-x) - digamma(b) + digamma(a + b))),
    times(lambda y, a, b, x: y * ((a - 1) / x - (b - 1) / (1 - x))),
)
_beta_slope_a = kernel_row(
    "beta_slope_a",
    3,
    "special_beta_slope_a({0}, {1}, {2})",
    times(lambda y, a, b, x: _beta_curvature(a, b, x, log_beta_aa)),
    times(lambda y, a, b, x: _beta_curvature(a, b, x, log_beta_ab)),
    times(lambda y, a, b, x: beta_density(a, b, x) * (log(x) - digamma(a) + digamma(a + b))),
)
_beta_slope_b = kernel_row(
    "beta_slope_b",
    3,
    "special_beta_slope_b({0}, {1}, {2})",
    times(lambda y, a, b, x: _beta_curvature(a, b, x, log_beta_ab)),
    times(lambda y, a, b, x: _beta_curvature(a, b, x, log_beta_bb)),
    times(lambda y, a, b, x: beta_density(a, b, x) * (log1p(-x) - digamma(b) + digamma(a + b))),
)

# ---------------------------------------------------------------- their logarithms


class _Logarithm(OfKernels):
    """The logarithm of an incomplete function: by SciPy's, and by a kernel where that underflows."""

    def __init__(self, name: str, nin: int, function: str, complement: str):
        super().__init__(name, nin)
        self._tails = function, complement

    def evaluate(self, *args: Any) -> Any:
        from scipy import special

        args = tuple(np.broadcast_arrays(*(np.asarray(a, np.float64) for a in args)))
        value, other = (getattr(special, name)(*args) for name in self._tails)
        with np.errstate(all="ignore"):
            out = np.asarray(np.where(value < 0.5, np.log(value), np.log1p(-other)))
        x = args[-1]
        far = (value < _UNDERFLOW) & (x > 0) & (x < (np.inf if self.nin == 2 else 1))
        if far.any():
            out[far] = super().evaluate(*(a[far] for a in args))
        return out


#: Below, a function's digits may be lost.
_UNDERFLOW = 1e-280


def _logarithm(name: str, function: str, complement: str, *derivatives: Derivative) -> Special:
    nin = len(derivatives)
    operands = ", ".join(f"{{{i}}}" for i in range(nin))
    return Special(name, _Logarithm(name, nin, function, complement), f"special_{name}({operands})", *derivatives)


def _gamma_share(a: Any, x: Any, y: Any) -> Any:
    """The density relative to the tail whose logarithm is `y`."""
    return exp(xlogy(a - 1, x) - x - lgamma(a) - y)


def _beta_share(a: Any, b: Any, x: Any, y: Any) -> Any:
    return exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b) - y)


#: log(gammainc(a, x)) and log(gammaincc(a, x))
log_gammainc = _logarithm(
    "log_gammainc",
    "gammainc",
    "gammaincc",
    times(lambda y, a, x: -(random_gamma_grad(a, x) * _gamma_share(a, x, y))),
    times(lambda y, a, x: _gamma_share(a, x, y)),
)
log_gammaincc = _logarithm(
    "log_gammaincc",
    "gammaincc",
    "gammainc",
    times(lambda y, a, x: random_gamma_grad(a, x) * _gamma_share(a, x, y)),
    times(lambda y, a, x: -_gamma_share(a, x, y)),
)


def _log_beta(name: str, *derivatives: Derivative) -> Elementwise:
    """A derivative by the parameters of `log_betainc` (last operand 0) or `log_betaincc` (1)."""
    return kernel_row(name, 4, f"special_{name}({{0}}, {{1}}, {{2}}, {{3}})", *derivatives, zero)


def _by_x(t: Any, y: Any, level: Any, a: Any, b: Any, x: Any, c: Any) -> Any:
    """Of the derivative `y` of a tail's logarithm, where `level` is that of the density's."""
    tail = where(c == 0, log_betainc(a, b, x), log_betaincc(a, b, x))
    return t * ((1 - 2 * c) * _beta_share(a, b, x, tail) * (level - y))


_log_beta_a = _log_beta(
    "log_beta_a",
    times(lambda y, a, b, x, c: log_beta_aa(a, b, x, c)),
    times(lambda y, a, b, x, c: log_beta_ab(a, b, x, c)),
    lambda t, y, a, b, x, c: _by_x(t, y, log(x) - digamma(a) + digamma(a + b), a, b, x, c),
)
_log_beta_b = _log_beta(
    "log_beta_b",
    times(lambda y, a, b, x, c: log_beta_ab(a, b, x, c)),
    times(lambda y, a, b, x, c: log_beta_bb(a, b, x, c)),
    lambda t, y, a, b, x, c: _by_x(t, y, log1p(-x) - digamma(b) + digamma(a + b), a, b, x, c),
)
log_beta_aa, log_beta_ab, log_beta_bb = (
    _log_beta(f"log_beta_{which}", *[unknown("the third derivative of the incomplete beta function")] * 3)
    for which in ("aa", "ab", "bb")
)


def _beta_curvature(a: Any, b: Any, x: Any, second: Elementwise) -> Any:
    """A second derivative of the incomplete beta function by its parameters, from those of its logarithm."""
    by_a, by_b = (lambda: _log_beta_a(a, b, x, _as(x, 0))), (lambda: _log_beta_b(a, b, x, _as(x, 0)))
    first = {log_beta_aa: (by_a, by_a), log_beta_ab: (by_a, by_b), log_beta_bb: (by_b, by_b)}[second]
    return regularized_incomplete_beta(a, b, x) * (second(a, b, x, _as(x, 0)) + first[0]() * first[1]())


def _as(x: Any, value: float) -> Any:
    return aval_of(x).dtype.type(value)


#: log(betainc(a, b, x)) and log(betaincc(a, b, x))
log_betainc = _logarithm(
    "log_betainc",
    "betainc",
    "betaincc",
    times(lambda y, a, b, x: _log_beta_a(a, b, x, _as(x, 0))),
    times(lambda y, a, b, x: _log_beta_b(a, b, x, _as(x, 0))),
    times(lambda y, a, b, x: _beta_share(a, b, x, y)),
)
log_betaincc = _logarithm(
    "log_betaincc",
    "betaincc",
    "betainc",
    times(lambda y, a, b, x: _log_beta_a(a, b, x, _as(x, 1))),
    times(lambda y, a, b, x: _log_beta_b(a, b, x, _as(x, 1))),
    times(lambda y, a, b, x: -_beta_share(a, b, x, y)),
)

# ---------------------------------------------------------------- Student's t


def t_density(df: Any, t: Any) -> Any:
    return exp(-betaln(df / 2, _as(df, 0.5)) - log(df) / 2 - (df + 1) / 2 * log1p(t * t / df))


def _t_level(df: Any, t: Any) -> Any:
    """The derivative of the density's logarithm by `df`."""
    u = t * t / df
    return (digamma((df + 1) / 2) - digamma(df / 2) - 1 / df - log1p(u) + (df + 1) / df * (u / (1 + u))) / 2


stdtr = row(
    "stdtr",
    "scipy_stdtr({0}, {1})",
    times(lambda y, df, x: _t_slope(df, x)),
    times(lambda y, df, x: t_density(df, x)),
)
stdtrit = row(
    "stdtrit",
    "scipy_stdtrit({0}, {1})",
    times(lambda y, df, p: -(_t_slope(df, y) / t_density(df, y))),
    over(lambda y, df, p: t_density(df, y)),
)
_t_slope = kernel_row(
    "t_slope",
    2,
    "special_t_slope({0}, {1})",
    times(lambda y, df, x: _t_curvature(df, x)),
    times(lambda y, df, x: t_density(df, x) * _t_level(df, x)),
)
_t_curvature = kernel_row(
    "t_curvature",
    2,
    "special_t_curvature({0}, {1})",
    *[unknown("the third derivative of Student's distribution function by df")] * 2,
)
