"""The gamma distribution and what is made of it.

Marsaglia, Tsang: A simple method for generating gamma variables (2000). Each sample has a key of its own and a loop
that ends when a proposal is accepted. Derivatives with respect to the parameters are implicit: a sample moves so that
its place in the distribution stays (Figurnov, Mohamed, Mnih: Implicit reparameterization gradients, 2018).
"""

from __future__ import annotations

import math
from typing import Any

import functrans.numpy as fnp
from functrans import lax
from functrans.api import vmap
from functrans.core.avals import aval_of, float_info
from functrans.errors import ArgumentError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.custom import custom_jvp
from functrans.random.arguments import (
    checked_dtype,
    checked_key,
    checked_shape,
    concrete,
    parameter,
)
from functrans.random.continuous import _exponential, _normal, _positive, _rademacher, _uniform
from functrans.random.keys import _split
from functrans.scipy.special import softmax

__all__ = ["ball", "beta", "chisquare", "dirichlet", "f", "gamma", "generalized_normal", "loggamma", "t"]


def gamma(key: Any, a: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Gamma of shape parameter `a`: density `x^(a - 1) exp(-x) / Gamma(a)` on `x > 0`.

    For small `a` (below 0.1, say) most samples underflow: use `loggamma`.

    >>> from functrans import random
    >>> random.gamma(random.key(0), 2.0, 3)
    Array([1.3520308 , 1.12435945, 3.73240416])
    """
    key, dtype = checked_key("gamma", key), checked_dtype("gamma", dtype, "f")
    shape = checked_shape("gamma", shape, a)
    return _gamma(key, parameter("gamma", a, dtype, shape), False)


def loggamma(key: Any, a: Any, shape: Any = None, dtype: Any = float) -> Any:
    """The logarithm of a gamma sample, exact also where the sample itself would underflow.

    >>> from functrans import random
    >>> random.loggamma(random.key(0), 0.01, 3)
    Array([-111.95421555, -228.98216108,  -84.62141393])
    """
    key, dtype = checked_key("loggamma", key), checked_dtype("loggamma", dtype, "f")
    shape = checked_shape("loggamma", shape, a)
    return _gamma(key, parameter("loggamma", a, dtype, shape), True)


def _gamma(key: Any, a: Any, log_space: bool) -> Any:
    return (_loggamma_sample if log_space else _gamma_sample)(key, a)


def _samples(key: Any, a: Any, log_space: bool) -> Any:
    """A sample for each element of `a`."""
    aval = aval_of(a)
    keys = _split(key, math.prod(aval.shape))
    samples = vmap(lambda key, a: _one_sample(key, a, log_space))(keys, fnp.reshape(a, -1))
    return fnp.reshape(samples, aval.shape)


def _one_sample(key: Any, a: Any, log_space: bool) -> Any:
    dtype = aval_of(a).dtype
    zero, one = dtype.type(0), dtype.type(1)
    large = a >= 1
    boosted = fnp.where(large, a, a + 1)  # Gamma(a) is Gamma(a + 1) times a power of a uniform number
    d = boosted - dtype.type(1 / 3)
    c = dtype.type(1 / 3) / fnp.sqrt(d)

    def rejected(state: Any) -> Any:
        _, square, v, u = state
        squeeze = u >= one - dtype.type(0.0331) * (square * square)
        return squeeze & (fnp.log(u) >= square * dtype.type(0.5) + d * (one - v + fnp.log(v)))

    def propose(state: Any) -> Any:
        key, normal_key, uniform_key = _split(state[0], 3)

        def draw(state: Any) -> Any:
            key, subkey = _split(state[0])
            x = _normal(subkey, (), dtype)
            return key, x, one + x * c

        _, x, v = lax.while_loop(lambda state: state[2] <= 0, draw, (normal_key, zero, -one))
        return key, x * x, v * v * v, _positive(uniform_key, (), dtype)

    key, boost_key = _split(key)
    _, _, v, _ = lax.while_loop(rejected, propose, (key, zero, one, dtype.type(2)))
    if log_space:
        log_uniform = -_exponential(boost_key, (), dtype)
        return fnp.log(d) + fnp.log(v) + fnp.where(large | (log_uniform == 0), 0, log_uniform / a)
    return d * v * fnp.where(large, 1, (1 - _uniform(boost_key, (), dtype)) ** (1 / a))


@custom_jvp
def _gamma_sample(key: Any, a: Any) -> Any:
    return _samples(key, a, False)


@custom_jvp
def _loggamma_sample(key: Any, a: Any) -> Any:
    return _samples(key, a, True)


@_gamma_sample.defjvp
def _gamma_jvp(primals: Any, tangents: Any) -> Any:
    key, a = primals
    sample = _gamma_sample(key, a)
    return sample, tangents[1] * lax.random_gamma_grad(a, sample)


@_loggamma_sample.defjvp
def _loggamma_jvp(primals: Any, tangents: Any) -> Any:
    key, a = primals
    log_sample = _loggamma_sample(key, a)
    sample = fnp.maximum(fnp.exp(log_sample), float_info(aval_of(a).dtype).tiny)
    return log_sample, tangents[1] * lax.random_gamma_grad(a, sample) / sample


def beta(key: Any, a: Any, b: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Beta: density proportional to `x^(a - 1) (1 - x)^(b - 1)` on `0 < x < 1`.

    >>> from functrans import random
    >>> random.beta(random.key(0), 2.0, 3.0, 3)
    Array([0.32795607, 0.61380901, 0.76013421])
    """
    key, dtype = checked_key("beta", key), checked_dtype("beta", dtype, "f")
    shape = checked_shape("beta", shape, a, b)
    key_a, key_b = _split(key)
    log_a = _gamma(key_a, parameter("beta", a, dtype, shape), True)
    log_b = _gamma(key_b, parameter("beta", b, dtype, shape), True)
    top = fnp.maximum(log_a, log_b)
    x, y = fnp.exp(log_a - top), fnp.exp(log_b - top)
    return x / (x + y)


def dirichlet(key: Any, alpha: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Dirichlet: points of the simplex, density proportional to the product of `x_i^(alpha_i - 1)`.

    Args:
        key: a key.
        alpha: concentrations `(..., n)`.
        shape: the shape of the result without its last axis; by default that of the batch axes of `alpha`.
        dtype: the dtype of the result.

    >>> from functrans import random
    >>> random.dirichlet(random.key(0), [1.0, 2.0, 3.0])
    Array([0.07065346, 0.16705569, 0.76229085])
    """
    key, dtype = checked_key("dirichlet", key), checked_dtype("dirichlet", dtype, "f")
    alpha = parameter("dirichlet", alpha, dtype)
    if not alpha.ndim:
        raise ArgumentError("dirichlet takes concentrations of shape (..., n), got a scalar")
    shape = checked_shape("dirichlet", shape, alpha[..., 0])
    return softmax(_gamma(key, fnp.broadcast_to(alpha, (*shape, alpha.shape[-1])), True), -1)


def chisquare(key: Any, df: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Chi-squared with `df` degrees of freedom, the sum of as many squares of normal numbers.

    >>> from functrans import random
    >>> random.chisquare(random.key(0), 3.0, 3)
    Array([1.81389348, 1.44835385, 5.98027483])
    """
    key, dtype = checked_key("chisquare", key), checked_dtype("chisquare", dtype, "f")
    shape = checked_shape("chisquare", shape, df)
    return _chisquare(key, parameter("chisquare", df, dtype, shape))


def _chisquare(key: Any, df: Any) -> Any:
    return 2 * fnp.exp(_gamma(key, df / 2, True))


def f(key: Any, dfnum: Any, dfden: Any, shape: Any = None, dtype: Any = float) -> Any:
    """F: the quotient of two chi-squared numbers, each divided by its degrees of freedom.

    >>> from functrans import random
    >>> random.f(random.key(0), 3.0, 5.0, 3)
    Array([1.54798047, 0.35745633, 0.09343816])
    """
    key, dtype = checked_key("f", key), checked_dtype("f", dtype, "f")
    shape = checked_shape("f", shape, dfnum, dfden)
    dfnum, dfden = (parameter("f", df, dtype, shape) for df in (dfnum, dfden))
    key_den, key_num = _split(key)
    return _chisquare(key_num, dfnum) / dfnum / (_chisquare(key_den, dfden) / dfden)


def t(key: Any, df: Any, shape: Any = None, dtype: Any = float) -> Any:
    """Student's t with `df` degrees of freedom.

    >>> from functrans import random
    >>> random.t(random.key(0), 5.0, 3)
    Array([ 1.46806694, -0.55869328,  0.79999126])
    """
    key, dtype = checked_key("t", key), checked_dtype("t", dtype, "f")
    shape = checked_shape("t", shape, df)
    key_normal, key_gamma = _split(key)
    half = parameter("t", df, dtype, shape) / 2
    return _normal(key_normal, shape, dtype) * fnp.sqrt(half / _gamma(key_gamma, half, False))


def generalized_normal(key: Any, p: Any, shape: Any = (), dtype: Any = float) -> Any:
    """Generalized normal: density proportional to `exp(-|x|^p)`.

    >>> from functrans import random
    >>> random.generalized_normal(random.key(0), 4.0, 3)
    Array([ 0.70833083, -0.98146637, -0.12841882])
    """
    name = "generalized_normal"
    key, dtype = checked_key(name, key), checked_dtype(name, dtype, "f")
    shape = checked_shape(name, shape or None, p)
    return _generalized_normal(key, parameter(name, p, dtype, shape))


def _generalized_normal(key: Any, p: Any) -> Any:
    key_gamma, key_sign = _split(key)
    aval = aval_of(p)
    return _rademacher(key_sign, aval.shape, aval.dtype) * _gamma(key_gamma, 1 / p, False) ** (1 / p)


def ball(key: Any, d: int, p: Any = 2, shape: Any = (), dtype: Any = float) -> Any:
    """Uniform in the unit ball of the `p`-norm in `d` dimensions: of shape `(*shape, d)`.

    Barthe, Guédon, Mendelson, Naor: A probabilistic approach to the geometry of the l_p^n-ball (2005).

    >>> from functrans import random
    >>> random.ball(random.key(0), 2)
    Array([-0.87015073, -0.45473046])
    """
    key, dtype = checked_key("ball", key), checked_dtype("ball", dtype, "f")
    shape, d, p = canonical_shape(shape), concrete("ball", "d", d), parameter("ball", p, dtype)
    key_direction, key_radius = _split(key)
    g = _generalized_normal(key_direction, fnp.broadcast_to(p, (*shape, d)))
    e = _exponential(key_radius, shape, dtype)
    return g / ((fnp.sum(fnp.abs(g) ** p, -1) + e) ** (1 / p))[..., None]
