"""Samplers made of uniform numbers by a function: the inverse of a distribution, or a few steps of arithmetic.

All are differentiable with respect to their parameters. `dtype` is float64 by default, as everywhere in NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import stop_gradient
from functrans.core.avals import aval_of, float_info
from functrans.errors import ArgumentError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.conversion import bitcast_convert_type, convert_element_type
from functrans.lax.elementwise import shift_right
from functrans.lax.promotion import common_dtype
from functrans.lax.random import random_bits
from functrans.random.arguments import (
    Shape,
    checked_dtype,
    checked_key,
    checked_shape,
    concrete,
    floating,
    parameter,
)
from functrans.random.keys import _split

__all__ = [
    "cauchy", "double_sided_maxwell", "exponential", "gumbel", "laplace", "logistic", "lognormal", "maxwell",
    "multivariate_normal", "normal", "orthogonal", "pareto", "rademacher", "rayleigh", "triangular", "truncated_normal",
    "uniform", "wald", "weibull_min",
]  # fmt: skip


def uniform(key: Any, shape: Any = (), dtype: Any = float, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """Uniform in `[minval, maxval)`.

    >>> from functrans import random
    >>> random.uniform(random.key(0), 3)
    Array([0.41845711, 0.21629545, 0.96532146])
    """
    key, dtype = checked_key("uniform", key), checked_dtype("uniform", dtype, "f")
    return _uniform(key, checked_shape("uniform", shape, minval, maxval), dtype, minval, maxval)


def _uniform(key: Any, shape: Shape, dtype: np.dtype, minval: Any = 0.0, maxval: Any = 1.0) -> Any:
    """Random bits as the significand of a number in [1, 2), less 1."""
    low, high = (parameter("uniform", v, dtype) for v in (minval, maxval))
    precision = int(float_info(dtype).nmant)
    width = 8 * dtype.itemsize if precision > 7 else 8
    word, drawn = np.dtype(f"u{dtype.itemsize}"), np.dtype(f"u{width // 8}")
    one = np.ones((), dtype).view(word)[()]
    significand = shift_right(random_bits(key, width, shape), drawn.type(width - precision))
    significand = convert_element_type(significand, word)
    unit = bitcast_convert_type(lax.bitwise_or(significand, one), dtype) - dtype.type(1)
    return fnp.maximum(low, unit * (high - low) + low)


def _positive(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    """Uniform numbers that have a logarithm."""
    return fnp.maximum(_uniform(key, shape, dtype), float_info(dtype).tiny)


def normal(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Normal with mean 0 and variance 1; complex dtypes have half of the variance in each part.

    >>> from functrans import random
    >>> random.normal(random.key(0), 3)
    Array([-0.20584214, -0.78476578,  1.81608667])
    """
    key, dtype = checked_key("normal", key), checked_dtype("normal", dtype, "fc")
    return _normal(key, canonical_shape(shape), dtype)


def _normal(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        key_re, key_im = _split(key)
        return lax.complex(_normal(key_re, shape, part), _normal(key_im, shape, part)) / dtype.type(math.sqrt(2))
    lowest = np.nextafter(dtype.type(-1), dtype.type(0))
    return dtype.type(math.sqrt(2)) * lax.erf_inv(_uniform(key, shape, dtype, lowest, 1.0))


def truncated_normal(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Normal with mean 0 and variance 1, given that it lies between `lower` and `upper`.

    `shape` is by default that of the bounds.

    >>> from functrans import random
    >>> random.truncated_normal(random.key(0), -1.0, 1.0, 3)
    Array([-0.13999612, -0.50631466,  0.90652156])
    """
    key, dtype = checked_key("truncated_normal", key), checked_dtype("truncated_normal", dtype, "f")
    shape = checked_shape("truncated_normal", shape, lower, upper)
    low, high = (parameter("truncated_normal", v, dtype) for v in (lower, upper))
    root = dtype.type(math.sqrt(2))
    out = root * lax.erf_inv(_uniform(key, shape, dtype, lax.erf(low / root), lax.erf(high / root)))
    inside = [lax.nextafter(stop_gradient(v), dtype.type(to)) for v, to in ((low, np.inf), (high, -np.inf))]
    return fnp.clip(out, *inside)


def lognormal(key: Any, sigma: Any = 1.0, shape: Any = None, dtype: Any = float) -> Any:
    """`exp(sigma z)` with `z` normal.

    >>> from functrans import random
    >>> random.lognormal(random.key(0), 0.5, 3)
    Array([0.90219818, 0.67544544, 2.4794663 ])
    """
    key, dtype = checked_key("lognormal", key), checked_dtype("lognormal", dtype, "f")
    shape = checked_shape("lognormal", shape, sigma)
    return fnp.exp(_normal(key, shape, dtype) * parameter("lognormal", sigma, dtype, shape))


def multivariate_normal(
    key: Any, mean: Any, cov: Any, shape: Any = None, dtype: Any = None, method: str = "cholesky"
) -> Any:
    """Normal vectors of a given mean and covariance.

    Args:
        key: a key.
        mean: `(..., n)`.
        cov: `(..., n, n)`, symmetric and positive definite (semidefinite with `"svd"` and `"eigh"`).
        shape: the shape of the result without its last axis; by default that of the batch axes of mean and covariance.
        dtype: that of the parameters by default.
        method: how the covariance is factored: `"cholesky"`, `"svd"` or `"eigh"`.

    >>> from functrans import random
    >>> random.multivariate_normal(random.key(0), [0.0, 1.0], [[2.0, 1.0], [1.0, 2.0]], 2)
    Array([[-0.29110475, -0.10669023],
           [ 2.5683344 ,  2.51422819]])
    """
    name = "multivariate_normal"
    key = checked_key(name, key)
    mean, cov = floating(name, mean), floating(name, cov)
    dtype = checked_dtype(name, common_dtype(aval_of(mean).dtype, aval_of(cov).dtype) if dtype is None else dtype, "f")
    n = mean.shape[-1] if mean.ndim else 0
    if not mean.ndim or cov.shape[-2:] != (n, n):
        raise ArgumentError(f"{name} takes a mean (..., n) and a covariance (..., n, n), got {mean.shape}, {cov.shape}")
    batch = checked_shape(name, shape, mean[..., 0], cov[..., 0, 0])
    if method == "svd":
        u, s, _ = fnp.linalg.svd(cov)
        factor = u * fnp.sqrt(s[..., None, :])
    elif method == "eigh":
        w, v = fnp.linalg.eigh(cov)
        factor = v * fnp.sqrt(w[..., None, :])
    elif method == "cholesky":
        factor = fnp.linalg.cholesky(cov)
    else:
        raise ArgumentError(f"{name}: method must be 'cholesky', 'svd' or 'eigh', got {method!r}")
    z = _normal(key, (*batch, n), dtype)
    return convert_element_type(mean + fnp.einsum("...ij,...j->...i", factor, z), dtype)


def exponential(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Exponential with mean 1: density `exp(-x)` on `x >= 0`.

    >>> from functrans import random
    >>> random.exponential(random.key(0), 3)
    Array([0.54207056, 0.24372319, 3.36163426])
    """
    key, dtype = checked_key("exponential", key), checked_dtype("exponential", dtype, "f")
    return _exponential(key, canonical_shape(shape), dtype)


def _exponential(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    return -fnp.log1p(-_uniform(key, shape, dtype))


def laplace(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Laplace: density `exp(-|x|) / 2`.

    >>> from functrans import random
    >>> random.laplace(random.key(0), 3)
    Array([ 0.17803369,  0.83796278, -2.66848708])
    """
    key, dtype = checked_key("laplace", key), checked_dtype("laplace", dtype, "f")
    u = _uniform(key, canonical_shape(shape), dtype, -1.0 + float(float_info(dtype).epsneg), 1.0)
    return fnp.sign(u) * fnp.log1p(-fnp.abs(u))


def logistic(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Logistic: density `exp(-x) / (1 + exp(-x))^2`.

    >>> from functrans import random
    >>> random.logistic(random.key(0), 3)
    Array([-0.32911032, -1.28738678,  3.32634015])
    """
    key, dtype = checked_key("logistic", key), checked_dtype("logistic", dtype, "f")
    u = _uniform(key, canonical_shape(shape), dtype, float_info(dtype).tiny, 1.0)
    return fnp.log(u) - fnp.log1p(-u)


def cauchy(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Cauchy: density `1 / (pi (1 + x^2))`.

    >>> from functrans import random
    >>> random.cauchy(random.key(0), 3)
    Array([-0.26192951, -1.23784602,  9.14252843])
    """
    key, dtype = checked_key("cauchy", key), checked_dtype("cauchy", dtype, "f")
    u = _uniform(key, canonical_shape(shape), dtype, float_info(dtype).eps, 1.0)
    return fnp.tan(dtype.type(math.pi) * (u - dtype.type(0.5)))


def gumbel(key: Any, shape: Any = (), dtype: Any = float, mode: str | None = None) -> Any:
    """Gumbel: density `exp(-x - exp(-x))`.

    `mode="high"` takes twice as many bits, which the upper tail of float32 samples needs; `"low"` is the default.

    >>> from functrans import random
    >>> random.gumbel(random.key(0), 3)
    Array([ 0.13790566, -0.42599294,  3.34403911])
    """
    key, dtype = checked_key("gumbel", key), checked_dtype("gumbel", dtype, "f")
    return _gumbel(key, canonical_shape(shape), dtype, mode)


def _gumbel(key: Any, shape: Shape, dtype: np.dtype, mode: str | None = None) -> Any:
    info = float_info(dtype)
    if mode in (None, "low"):
        return -fnp.log(-fnp.log(_uniform(key, shape, dtype, info.tiny, 1.0)))
    if mode != "high":
        raise ArgumentError(f"gumbel: mode must be 'low' or 'high', got {mode!r}")
    high, low = _uniform(key, (2, *shape), dtype)
    x = fnp.where(high >= 0.5, high, high + 2.0**-info.nmant * low + info.tiny)
    return -fnp.log(-fnp.log1p(-x))


def pareto(key: Any, b: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Pareto: density `b / x^(b + 1)` on `x >= 1`.

    >>> from functrans import random
    >>> random.pareto(random.key(0), 2.0, 3)
    Array([1.31132133, 1.12959775, 5.36994212])
    """
    key, dtype = checked_key("pareto", key), checked_dtype("pareto", dtype, "f")
    shape = checked_shape("pareto", shape, b)
    return fnp.exp(_exponential(key, shape, dtype) / parameter("pareto", b, dtype, shape))


def weibull_min(key: Any, scale: Any, concentration: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Weibull: density `c / s (x / s)^(c - 1) exp(-(x / s)^c)` on `x > 0`, with scale `s` and concentration `c`.

    >>> from functrans import random
    >>> random.weibull_min(random.key(0), 1.0, 2.0, 3)
    Array([0.73625441, 0.49368328, 1.833476  ])
    """
    key, dtype = checked_key("weibull_min", key), checked_dtype("weibull_min", dtype, "f")
    shape = checked_shape("weibull_min", shape, scale, concentration)
    scale, concentration = (parameter("weibull_min", v, dtype, shape) for v in (scale, concentration))
    return _exponential(key, shape, dtype) ** (1.0 / concentration) * scale


def rayleigh(key: Any, scale: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Rayleigh: density `x / s^2 exp(-x^2 / (2 s^2))` on `x > 0`, with scale `s`.

    >>> from functrans import random
    >>> random.rayleigh(random.key(0), 2.0, 3)
    Array([2.63997102, 3.49983995, 0.53136889])
    """
    key, dtype = checked_key("rayleigh", key), checked_dtype("rayleigh", dtype, "f")
    shape = checked_shape("rayleigh", shape, scale)
    u = _positive(key, shape, dtype)
    return parameter("rayleigh", scale, dtype, shape) * fnp.sqrt(-2.0 * fnp.log(u))


def maxwell(key: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Maxwell: density `sqrt(2 / pi) x^2 exp(-x^2 / 2)` on `x > 0`, the length of a normal vector in space.

    >>> from functrans import random
    >>> random.maxwell(random.key(0), 3)
    Array([1.98906991, 0.42460738, 1.24030791])
    """
    key, dtype = checked_key("maxwell", key), checked_dtype("maxwell", dtype, "f")
    return _maxwell(key, canonical_shape(shape), dtype)


def _maxwell(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    return fnp.linalg.norm(_normal(key, (*shape, 3), dtype), axis=-1)


def double_sided_maxwell(key: Any, loc: Any, scale: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Maxwell with a random sign, times `scale`, plus `loc`.

    As in `jax.random` the samples have the shape `(*shape, *parameters)`, where `parameters` is the common shape of
    `loc` and `scale`, and stands for a `shape` of `()` too.

    >>> from functrans import random
    >>> random.double_sided_maxwell(random.key(0), 0.0, 1.0, 3)
    Array([ 1.98461204, -2.4782074 , -1.6334815 ])
    """
    name = "double_sided_maxwell"
    key, dtype = checked_key(name, key), checked_dtype(name, dtype, "f")
    own = checked_shape(name, None, loc, scale)
    shape = (canonical_shape(shape) or own) + own
    key_size, key_sign = _split(key)
    signed = _rademacher(key_sign, shape, dtype) * _maxwell(key_size, shape, dtype)
    return signed * parameter(name, scale, dtype) + parameter(name, loc, dtype)


def rademacher(key: Any, shape: Any = (), dtype: Any = int) -> Any:
    """-1 or 1, equally likely.

    >>> from functrans import random
    >>> random.rademacher(random.key(0), 6)
    Array([ 1,  1, -1, -1, -1,  1])
    """
    key, dtype = checked_key("rademacher", key), checked_dtype("rademacher", dtype, "if")
    return _rademacher(key, canonical_shape(shape), dtype)


def _rademacher(key: Any, shape: Shape, dtype: np.dtype) -> Any:
    half = _uniform(key, shape, np.dtype(float)) < 0.5
    return fnp.where(half, dtype.type(1), dtype.type(-1))


def triangular(key: Any, left: Any, mode: Any, right: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Triangular between `left` and `right`, most likely at `mode`.

    >>> from functrans import random
    >>> random.triangular(random.key(0), 0.0, 1.0, 4.0, 3)
    Array([1.35831216, 0.9301515 , 3.35490895])
    """
    name = "triangular"
    key, dtype = checked_key(name, key), checked_dtype(name, dtype, "f")
    shape = checked_shape(name, shape, left, mode, right)
    left, mode, right = (parameter(name, v, dtype, shape) for v in (left, mode, right))
    u = _uniform(key, shape, dtype)
    rising = u < (mode - left) / (right - left)
    area = fnp.where(rising, u * (mode - left), (1 - u) * (right - mode)) * (right - left)
    # the root of zero has no derivative, and a sample there has none either
    side = fnp.where(area > 0, fnp.sqrt(fnp.where(area > 0, area, 1)), 0)
    return fnp.where(rising, left + side, right - side)


def wald(key: Any, mean: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Wald (inverse Gaussian) of scale 1: density `exp(-(x - m)^2 / (2 m^2 x)) / sqrt(2 pi x^3)` on `x > 0`.

    Michael, Schucany, Haas: Generating random variates using transformations with multiple roots (1976).

    >>> from functrans import random
    >>> random.wald(random.key(0), 2.0, 3)
    Array([0.22327945, 3.90085525, 3.56995724])
    """
    key, dtype = checked_key("wald", key), checked_dtype("wald", dtype, "f")
    shape = checked_shape("wald", shape, mean)
    mean = parameter("wald", mean, dtype, shape)
    key_normal, key_choice = _split(key)
    y = _normal(key_normal, shape, dtype) ** 2
    x = mean + mean**2 * y / 2 - mean / 2 * fnp.sqrt(4 * mean * y + mean**2 * y**2)
    return fnp.where(_uniform(key_choice, shape, dtype) <= mean / (mean + x), x, mean**2 / x)


def orthogonal(key: Any, n: int, shape: Any = (), dtype: Any = float, m: int | None = None) -> Any:
    """Orthogonal (unitary, for complex dtypes) matrices `(*shape, n, m)`, uniform over all of them (Haar).

    With `m` other than `n` the columns, or if `m > n` the rows, are orthonormal. Mezzadri: How to generate random
    matrices from the classical compact groups (2007).

    >>> from functrans import random
    >>> q = random.orthogonal(random.key(0), 3)
    >>> bool((abs(q.T @ q - 1.0 * (q.T @ q > 0.5)) < 1e-12).all())
    True
    """
    key, dtype = checked_key("orthogonal", key), checked_dtype("orthogonal", dtype, "fc")
    n = concrete("orthogonal", "n", n)
    m = n if m is None else concrete("orthogonal", "m", m)
    z = _normal(key, (*canonical_shape(shape), max(n, m), min(n, m)), dtype)
    q, r = fnp.linalg.qr(z)
    x = q * fnp.sign(fnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
    return fnp.swapaxes(x, -1, -2) if n < m else x
