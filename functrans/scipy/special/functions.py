"""What is no ufunc in SciPy, or has several results."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, real_dtype
from functrans.errors import ArgumentError
from functrans.lax import special as rows
from functrans.lax.elementwise import lgamma
from functrans.scipy.dispatch import implements, inexact


@implements("scipy.special")
def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """Riemann's zeta function, or Hurwitz's with `q`: the sum of `(q + k)^-x` over `k = 0, 1, ...`.

    As `scipy.special.zeta`. The derivative by `x` holds for `x > 1`, and without `q` near to that.

    >>> import functrans as ft
    >>> ft.scipy.special.zeta(2.0)
    Array(1.64493407)
    """
    if out is not None:
        raise ArgumentError("zeta of a traced array does not take out=: results are new arrays")
    return rows.riemann_zeta(x) if q is None else rows.zeta(x, q)


@implements("scipy.special")
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """`Gamma(n + 1)`, and 0 for negative `n`, as `scipy.special.factorial`.

    A traced array has no exact factorial (integers of any size), and no complex one.

    >>> import functrans as ft
    >>> ft.scipy.special.factorial(5)
    Array(120.)
    """
    if exact or extend != "zero":
        raise ArgumentError("factorial of a traced array takes neither exact=True nor extend='complex'")
    n = fnp.asarray(n)
    negative = n < 0
    value = rows.gamma(fnp.where(negative, 0, n) + 1)
    return fnp.where(negative, 0.0, value).astype(np.float64)  # as SciPy, also of float32


@implements("scipy.special")
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """How many ways there are to choose `k` of `N` things, as `scipy.special.comb`; 0 for `k > N` and negative ones.

    A traced array has no exact result (integers of any size).

    >>> import functrans as ft
    >>> ft.scipy.special.comb(5, 2)
    Array(10.)
    """
    if exact:
        raise ArgumentError("comb of a traced array does not take exact=True")
    N, k = fnp.asarray(N), fnp.asarray(k)
    if repetition:
        return comb(N + k - 1, k)
    inside = (k <= N) & (N >= 0) & (k >= 0)
    value = rows.binom(fnp.where(inside, N, 1), fnp.where(inside, k, 1))
    return fnp.where(inside, value, 0.0)


@implements("scipy.special")
def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """How many ordered choices of `k` of `N` things there are, as `scipy.special.perm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.perm(4, 2)
    Array(12.)
    """
    if exact:
        raise ArgumentError("perm of a traced array does not take exact=True")
    N, k = fnp.asarray(N), fnp.asarray(k)
    inside = (k <= N) & (N >= 0) & (k >= 0)
    value = rows.poch(fnp.where(inside, N - k + 1, 1), fnp.where(inside, k, 1))
    return fnp.where(inside, value, 0.0)


def _whole(value: Any, expected: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{expected}, got {value!r:.60}") from None


def bessel_jn(z: Any, *, v: int, n_iter: int = 50) -> Any:
    """The Bessel functions of orders `0, ..., v`, of shape `(v + 1, ...)`, as `jax.scipy.special.bessel_jn`.

    `n_iter` is accepted for JAX's sake; values are SciPy's.

    >>> import functrans as ft
    >>> ft.scipy.special.bessel_jn(1.0, v=2)
    Array([0.76519769, 0.44005059, 0.11490348])
    """
    v = _whole(v, "bessel_jn takes a whole number v")
    z = inexact(z)
    orders = np.arange(v + 1).astype(real_dtype(aval_of(z).dtype))
    return rows.jv(orders.reshape((-1,) + (1,) * aval_of(z).ndim), z)


@implements("scipy.special")
def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the gamma function of dimension `d`, as `scipy.special.multigammaln`.

    Where `a <= (d - 1) / 2`, SciPy raises an error; for traced arrays the result means nothing there.

    >>> import functrans as ft
    >>> ft.scipy.special.multigammaln(3.0, 2)
    Array(1.55019499)
    """
    d = _whole(d, "multigammaln takes a whole number as its dimension d")
    a = inexact(a)
    terms = lgamma(a[..., None] - (np.arange(d) / 2).astype(aval_of(a).dtype))
    return np.float64(d * (d - 1) / 4 * math.log(math.pi)) + fnp.sum(terms, axis=-1)


@implements("scipy.special")
def sici(x: Any) -> tuple[Any, Any]:
    """The sine and the cosine integral, as `scipy.special.sici`.

    >>> import functrans as ft
    >>> ft.scipy.special.sici(1.0)
    (Array(0.94608307), Array(0.33740392))
    """
    return rows.sine_integral(x), rows.cosine_integral(x)


@implements("scipy.special")
def shichi(x: Any) -> tuple[Any, Any]:
    """The hyperbolic sine and cosine integral, as `scipy.special.shichi`.

    >>> import functrans as ft
    >>> ft.scipy.special.shichi(1.0)
    (Array(1.05725088), Array(0.83786694))
    """
    return rows.hyperbolic_sine_integral(x), rows.hyperbolic_cosine_integral(x)


@implements("scipy.special")
def airy(z: Any) -> tuple[Any, Any, Any, Any]:
    """Airy's functions and their derivatives, `(Ai, Ai', Bi, Bi')`, as `scipy.special.airy`.

    >>> import functrans as ft
    >>> ft.grad(lambda x: ft.scipy.special.airy(x)[0])(1.0)
    Array(-0.15914744)
    """
    return rows.airy_ai(z), rows.airy_ai_slope(z), rows.airy_bi(z), rows.airy_bi_slope(z)


@implements("scipy.special")
def cbrt(x: Any) -> Any:
    """The cube root, as `scipy.special.cbrt`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.cbrt(np.array([8.0, -27.0]))
    Array([ 2., -3.])
    """
    return fnp.cbrt(x)


@implements("scipy.special")
def exp2(x: Any) -> Any:
    """`2**x`, as `scipy.special.exp2`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.exp2(np.array([3.0, -1.0]))
    Array([8. , 0.5])
    """
    return fnp.exp2(x)


@implements("scipy.special")
def exp10(x: Any) -> Any:
    """`10**x`, as `scipy.special.exp10`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.exp10(np.array([2.0, -1.0]))
    Array([100. ,   0.1])
    """
    return fnp.power(10.0, x)


@implements("scipy.special")
def expm1(x: Any) -> Any:
    """`exp(x) - 1`, precise near 0, as `scipy.special.expm1`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.expm1(np.array([0.0, 1e-10]))
    Array([0.e+00, 1.e-10])
    """
    return fnp.expm1(x)


@implements("scipy.special")
def log1p(x: Any) -> Any:
    """`log(1 + x)`, precise near 0, as `scipy.special.log1p`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.log1p(np.array([0.0, 1e-10]))
    Array([0.e+00, 1.e-10])
    """
    return fnp.log1p(x)


@implements("scipy.special")
def sinc(x: Any) -> Any:
    """`sin(pi x) / (pi x)`, as `scipy.special.sinc`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.sinc(np.array([0.0, 0.5]))
    Array([1.        , 0.63661977])
    """
    return fnp.sinc(x)


@implements("scipy.special")
def fresnel(z: Any) -> tuple[Any, Any]:
    """Fresnel's integrals of `sin(pi z^2 / 2)` and `cos(pi z^2 / 2)`, as `scipy.special.fresnel`.

    >>> import functrans as ft
    >>> ft.scipy.special.fresnel(1.0)
    (Array(0.43825915), Array(0.7798934))
    """
    return rows.fresnel_s(z), rows.fresnel_c(z)


@implements("scipy.special")
def lambertw(z: Any, k: Any = 0, tol: float = 1e-8) -> Any:
    """The solution `w` of `w exp(w) = z` on branch `k`; complex, as `scipy.special.lambertw`.

    Branch 0 is real for real `z >= -1/e`, and branch -1 for `-1/e <= z < 0`: take the real part.

    >>> import functrans as ft
    >>> ft.grad(lambda z: ft.scipy.special.lambertw(z).real)(1.0)
    Array(0.36189626)
    """
    return rows.lambertw(fnp.asarray(z).astype(np.complex128), fnp.asarray(k).astype(np.int64), float(tol))


@implements("scipy.special")
def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Any:
    """Spherical harmonics of degree `n` and order `m` at polar angle `theta` and azimuth `phi`; complex.

    As `scipy.special.sph_harm_y` (SciPy 1.15). Derivatives of traced arrays are those of `grad`, not `diff_n`.

    >>> import functrans as ft
    >>> ft.scipy.special.sph_harm_y(1, 0, 0.5, 0.0)
    Array(0.42878904+0.j)
    """
    if diff_n:
        raise ArgumentError("sph_harm_y of a traced array does not take diff_n: differentiate it (jvp, jacfwd)")
    n, m = (fnp.asarray(v).astype(np.int64) for v in (n, m))
    return rows.sph_harm_y(n, m, *(fnp.asarray(v).astype(np.float64) for v in (theta, phi)))


def bernoulli(n: int) -> Any:
    """The Bernoulli numbers `B_0, ..., B_n`, as `scipy.special.bernoulli`; of shape `(n + 1,)`.

    >>> import functrans as ft
    >>> ft.scipy.special.bernoulli(4)
    Array([ 1.        , -0.5       ,  0.16666667,  0.        , -0.03333333])
    """
    from scipy import special

    n = _whole(n, "bernoulli takes a whole number")
    return fnp.asarray(special.bernoulli(n))
