"""Samplers of integers and of truth values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.errors import ArgumentError
from functrans.lax.conversion import convert_element_type
from functrans.lax.random import random_bits
from functrans.random.arguments import (
    Shape,
    checked_dtype,
    checked_key,
    checked_shape,
    floating,
    parameter,
    real,
)
from functrans.random.continuous import _positive, _uniform
from functrans.random.keys import _split

INT32 = np.dtype(np.int32)

__all__ = ["bernoulli", "binomial", "geometric", "multinomial", "poisson", "randint"]


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = int) -> Any:
    """Integers in `[minval, maxval)`, all equally likely; `minval` where `maxval` is not above it.

    Bounds beyond the range of `dtype` are cut off, so that `maxval=256` with uint8 means all of its values.

    >>> from functrans import random
    >>> random.randint(random.key(0), 5, 0, 10)
    Array([5, 1, 5, 7, 3])
    """
    key, dtype = checked_key("randint", key), checked_dtype("randint", dtype, "iu")
    return _randint(key, checked_shape("randint", shape, minval, maxval), minval, maxval, dtype)


def _randint(key: Any, shape: Shape, minval: Any, maxval: Any, dtype: np.dtype) -> Any:
    """Two words of bits, as the digits of one number, modulo the size of the range: nearly without bias."""
    info, unsigned = np.iinfo(dtype), np.dtype(f"u{dtype.itemsize}")
    low, high = (_integers("randint", v) for v in (minval, maxval))
    if dtype.itemsize < 4:
        low, high = _clipped(low, info.min, info.max, INT32), _clipped(high, info.min, info.max + 1, INT32)
        return convert_element_type(_randint(key, shape, low, high, INT32), dtype)
    beyond = high > info.max
    low, high = (_clipped(v, info.min, info.max, dtype) for v in (low, high))
    digits = [random_bits(k, 8 * dtype.itemsize, shape) for k in _split(key)]
    span = convert_element_type(high, unsigned) - convert_element_type(low, unsigned)
    span = fnp.where(high <= low, unsigned.type(1), span)
    span = fnp.where(beyond & (high > low), span + unsigned.type(1), span)
    base = _rem(unsigned.type(1 << 4 * dtype.itemsize), span)
    base = _rem(base * base, span)
    offset = _rem(_rem(digits[0], span) * base + _rem(digits[1], span), span)
    return low + convert_element_type(offset, dtype)


def _rem(x: Any, span: Any) -> Any:
    """`x % span`, where a span of 0 stands for all values of the dtype."""
    return fnp.where(span == 0, x, x % fnp.where(span == 0, aval_of(span).dtype.type(1), span))


def _integers(name: str, value: Any) -> Any:
    value = real(name, value)
    return value if aval_of(value).dtype.kind in "iu" else convert_element_type(value, np.dtype(np.int64))


def _clipped(value: Any, low: int, high: int, dtype: np.dtype) -> Any:
    own = np.iinfo(aval_of(value).dtype)
    return convert_element_type(fnp.clip(value, max(own.min, low), min(own.max, high)), dtype)


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low") -> Any:
    """True with probability `p`.

    `mode="high"` compares with twice as many bits, for probabilities far below those that a uniform sample resolves.

    >>> from functrans import random
    >>> random.bernoulli(random.key(0), 0.3, 4)
    Array([False,  True, False, False])
    """
    key, p = checked_key("bernoulli", key), floating("bernoulli", p)
    shape, dtype = checked_shape("bernoulli", shape, p), aval_of(p).dtype
    if mode == "low":
        return _uniform(key, shape, dtype) < p
    if mode != "high":
        raise ArgumentError(f"bernoulli: mode must be 'low' or 'high', got {mode!r}")
    high, low = _uniform(key, (2, *shape), dtype)
    return low * 2.0 ** -float_info(dtype).nmant < p - high


def geometric(key: Any, p: Any, shape: Any = None, dtype: Any = int) -> Any:
    """How many trials of success probability `p` it takes until one succeeds: 1, 2, ...; -1 (NaN) if `p` is none.

    >>> from functrans import random
    >>> random.geometric(random.key(0), 0.3, 4)
    Array([3, 5, 1, 2])
    """
    key, dtype = checked_key("geometric", key), checked_dtype("geometric", dtype, "iuf")
    p = floating("geometric", p)
    shape = checked_shape("geometric", shape, p)
    u = _uniform(key, shape, aval_of(p).dtype)
    between = (p > 0) & (p < 1)
    trials = fnp.floor(fnp.log(fnp.where(u == 0, 1, u)) / fnp.log1p(-fnp.where(between, p, 0.5))) + 1
    trials = fnp.where(between, trials, fnp.where(p == 1, 1, np.nan))
    if kind_of(dtype) == "f":
        return convert_element_type(trials, dtype)
    return convert_element_type(fnp.where(fnp.isnan(trials), -1, trials), dtype)


def poisson(key: Any, lam: Any, shape: Any = None, dtype: Any = int) -> Any:
    """Poisson with rate `lam`: probability `lam^k exp(-lam) / k!`.

    Small rates: Knuth's product of uniform numbers. Others: Hörmann, The transformed rejection method for generating
    Poisson random variables (1993).

    >>> from functrans import random
    >>> random.poisson(random.key(0), 4.0, 5)
    Array([0, 1, 5, 5, 2])
    """
    key, dtype = checked_key("poisson", key), checked_dtype("poisson", dtype, "iu")
    lam = floating("poisson", lam)
    shape = checked_shape("poisson", shape, lam)
    lam = fnp.broadcast_to(lam, shape)
    small = fnp.isnan(lam) | (lam < 10)
    count = _poisson_by_products(key, fnp.where(small, lam, 0.0), shape)
    large = _poisson_by_rejection(key, fnp.where(small, 1e5, lam), shape)
    return convert_element_type(fnp.where(lam == 0, 0, fnp.where(small, count, large)), dtype)


def _poisson_by_products(key: Any, lam: Any, shape: Shape) -> Any:
    def multiply(state: Any) -> Any:
        key, count, log_product = state
        key, subkey = _split(key)
        count = fnp.where(log_product > -lam, count + 1, count)
        return key, count, log_product + fnp.log(_positive(subkey, shape, np.dtype(np.float32)))

    start = key, fnp.zeros(shape, aval_of(lam).dtype), fnp.zeros(shape, np.float32)
    return lax.while_loop(lambda state: fnp.any(state[2] > -lam), multiply, start)[1] - 1


def _poisson_by_rejection(key: Any, lam: Any, shape: Shape) -> Any:
    dtype, log_lam = aval_of(lam).dtype, fnp.log(lam)
    b = 0.931 + 2.53 * fnp.sqrt(lam)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    v_r = 0.9277 - 3.6224 / (b - 2)

    def propose(state: Any) -> Any:
        key, out, accepted = state
        key, key_u, key_v = _split(key, 3)
        u, v = _uniform(key_u, shape, dtype) - 0.5, _positive(key_v, shape, dtype)
        distance = 0.5 - fnp.abs(u)
        k = fnp.floor((2 * a / distance + b) * u + lam + 0.43)
        log_hat = fnp.log(v * inverse_alpha / (a / (distance * distance) + b))
        reject = (k < 0) | ((distance < 0.013) & (v > distance))
        accept = (distance >= 0.07) & (v <= v_r)
        accept = accept | (~reject & (log_hat <= -lam + k * log_lam - lax.lgamma(fnp.maximum(k, 0) + 1)))
        return key, fnp.where(accept, k, out), accepted | accept

    start = key, fnp.full(shape, -1.0, dtype), fnp.zeros(shape, bool)
    return lax.while_loop(lambda state: ~fnp.all(state[2]), propose, start)[1]


def binomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = float) -> Any:
    """How many of `n` trials of success probability `p` succeed.

    NaN where `n` or `p` is negative or NaN, infinity where `n` is. Few successes are counted by the gaps between them,
    others drawn by rejection (Hörmann: The generation of binomial random variates, 1993).

    >>> from functrans import random
    >>> random.binomial(random.key(0), 10, 0.3, 5)
    Array([4., 1., 3., 4., 3.])
    """
    key, dtype = checked_key("binomial", key), checked_dtype("binomial", dtype, "f")
    p = floating("binomial", p)
    shape = checked_shape("binomial", shape, n, p)
    return _binomial(key, fnp.broadcast_to(parameter("binomial", n, aval_of(p).dtype), shape), p, shape, dtype)


def _binomial(key: Any, n: Any, p: Any, shape: Shape, dtype: np.dtype) -> Any:
    p = fnp.broadcast_to(p, shape)
    rare = p < 0.5
    q = fnp.where(rare, p, 1.0 - p)
    bad_n, bad_q = fnp.isnan(n) | (n < 0.0), fnp.isnan(q) | (q < 0.0)
    endless = fnp.isinf(n)
    q = fnp.where(bad_q, 0.01, q)
    few = bad_n | (n * q <= 10.0)
    n = fnp.floor(n)
    by_gaps = _binomial_by_gaps(key, fnp.where(few, n, 0.0), q, shape)
    usable = few | endless
    by_rejection = _binomial_by_rejection(key, fnp.where(usable, 1e4, n), fnp.where(usable, 0.5, q), shape)
    out = fnp.where(few, by_gaps, by_rejection)
    out = fnp.where(rare, out, n - out)
    out = fnp.where(endless, np.inf, out)
    return convert_element_type(fnp.where(bad_n | bad_q, np.nan, out), dtype)


def _binomial_by_gaps(key: Any, n: Any, p: Any, shape: Shape) -> Any:
    dtype, possible = aval_of(p).dtype, p > 0
    log_failure = fnp.log1p(-fnp.where(possible, p, 0.5))

    def gap(state: Any) -> Any:
        key, count, total = state
        subkey, key = _split(key)
        trials = fnp.ceil(fnp.log(_positive(subkey, shape, dtype)) / log_failure)
        trials = fnp.where(possible, trials, np.inf)  # until the next success
        return key, fnp.where(total <= n, count + 1, count), total + trials

    start = key, fnp.zeros(shape, dtype), fnp.zeros(shape, dtype)
    return lax.while_loop(lambda state: fnp.any(state[2] <= n), gap, start)[1] - 1


def _binomial_by_rejection(key: Any, n: Any, p: Any, shape: Shape) -> Any:
    dtype = aval_of(p).dtype
    deviation = fnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    v_r = 0.92 - 4.2 / b
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    m = fnp.floor((n + 1) * p)

    def propose(state: Any) -> Any:
        key, out, accepted = state
        key, key_u, key_v = _split(key, 3)
        u, v = _uniform(key_u, shape, dtype) - 0.5, _positive(key_v, shape, dtype)
        distance = 0.5 - fnp.abs(u)
        k = fnp.floor((2 * a / distance + b) * u + c)
        accept = (distance >= 0.07) & (v <= v_r)
        reject = (k < 0) | (k > n)
        log_hat = fnp.log(v * alpha / (a / (distance * distance) + b))
        k = fnp.clip(k, 0, n)
        bound = (
            (m + 0.5) * fnp.log((m + 1) / (odds * (n - m + 1)))
            + (n + 1) * fnp.log((n - m + 1) / (n - k + 1))
            + (k + 0.5) * fnp.log(odds * (n - k + 1) / (k + 1))
            + (_stirling_tail(m) + _stirling_tail(n - m) - _stirling_tail(k) - _stirling_tail(n - k))
        )
        accept = accept | (~reject & (log_hat <= bound))
        return key, fnp.where(accept, k, out), accepted | accept

    start = key, fnp.full(shape, -1.0, dtype), fnp.zeros(shape, bool)
    return lax.while_loop(lambda state: ~fnp.all(state[2]), propose, start)[1]


#: What Stirling's formula misses of log(k!), for k from 0 to 9.
_STIRLING_TAIL = np.array([math.lgamma(k + 1) - 0.5 * math.log(2 * math.pi) - (k + 0.5) * math.log(k + 1) + k + 1
                           for k in range(10)])  # fmt: skip


def _stirling_tail(k: Any) -> Any:
    dtype = aval_of(k).dtype
    known = fnp.clip(k, 0.0, 9.0)
    square = (known + 1) * (known + 1)
    square = fnp.where(k <= 9, square, (k + 1) * (k + 1))
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)
    table = fnp.take(_STIRLING_TAIL.astype(dtype), convert_element_type(known, np.dtype(np.int64)))
    return fnp.where(k <= 9, table, series)


def multinomial(key: Any, n: Any, p: Any, *, shape: Any = None, dtype: Any = float, unroll: int = 1) -> Any:
    """How often each outcome occurs in `n` draws, with probabilities `p` along the last axis.

    Args:
        key: a key.
        n: the number of draws, of any shape that broadcasts to the batch axes.
        p: probabilities `(..., k)`.
        shape: the shape of the result, that of `p` by default; it ends in `k`.
        dtype: the dtype of the counts.
        unroll: how many outcomes one turn of the loop takes.

    >>> from functrans import random
    >>> random.multinomial(random.key(0), 20, [0.2, 0.3, 0.5])
    Array([ 3.,  6., 11.])
    """
    key, dtype = checked_key("multinomial", key), checked_dtype("multinomial", dtype, "iuf")
    p = floating("multinomial", p)
    shape = checked_shape("multinomial", shape, p)
    n = parameter("multinomial", n, aval_of(p).dtype, shape[:-1])
    p = fnp.moveaxis(fnp.broadcast_to(p, shape), -1, 0)
    left = lax.cumsum(p, 0, reverse=True)
    ratios = fnp.clip(p / fnp.where(left == 0, 1, left), 0, 1)

    def draw(rest: Any, turn: Any) -> Any:
        ratio, key = turn
        count = _binomial(key, rest, ratio, shape[:-1], aval_of(rest).dtype)
        return rest - count, count

    _, counts = lax.scan(draw, n, (ratios, _split(key, shape[-1])), unroll=unroll)
    return convert_element_type(fnp.moveaxis(counts, 0, -1), dtype)
