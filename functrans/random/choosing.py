"""Choosing among things: permutations, samples with and without replacement, categories."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.random import random_bits
from functrans.lax.structural import canonical_axis
from functrans.random.arguments import checked_key, floating
from functrans.random.continuous import _gumbel, _uniform
from functrans.random.discrete import _randint
from functrans.random.keys import _split

__all__ = ["categorical", "choice", "permutation"]


def _population(name: str, x: Any) -> Any:
    """An array, or the integers below a number."""
    x = x if isinstance(x, Tracer) else np.asarray(x)
    if aval_of(x).ndim:
        return x
    try:
        return fnp.arange(operator.index(x))
    except TypeError:
        raise ArgumentError(f"{name} takes an array or an integer, got {x!r}") from None


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False) -> Any:
    """`x` shuffled along an axis, or the integers below `x` shuffled, if it is one.

    Slices along the axis move as a whole; `independent` shuffles each vector along it by itself.

    >>> from functrans import random
    >>> random.permutation(random.key(0), 5)
    Array([0, 1, 4, 3, 2])
    """
    key, x = checked_key("permutation", key), _population("permutation", x)
    axis = canonical_axis(axis, aval_of(x).ndim)
    return _permutation(key, x, axis, independent)


def _permutation(key: Any, x: Any, axis: int, independent: bool = False) -> Any:
    shape = aval_of(x).shape
    if independent or len(shape) == 1:
        return _shuffle(key, x, axis)
    return fnp.take(x, _shuffle(key, fnp.arange(shape[axis]), 0), axis)


def _shuffle(key: Any, x: Any, axis: int) -> Any:
    """Sort by random numbers of 32 bits, so often that equal ones among them do no harm."""
    size = math.prod(aval_of(x).shape)
    for _ in range(math.ceil(3 * math.log(max(1, size)) / math.log(2**32 - 1))):
        key, subkey = _split(key)
        _, x = lax.sort_key_val(random_bits(subkey, 32, aval_of(x).shape), x, axis)
    return x


def choice(
    key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0, mode: str | None = None
) -> Any:
    """Elements of `a` along an axis, or integers below `a`, if it is one.

    Args:
        key: a key.
        a: an array or an integer.
        shape: the shape of the choice; it stands in the result where `axis` was.
        replace: whether an element may be chosen again.
        p: the probability of each element, all equal by default.
        axis: the axis along which elements are chosen.
        mode: as for `gumbel`, where elements are chosen without replacement by probabilities.

    >>> from functrans import random
    >>> random.choice(random.key(0), 10, (4,), replace=False)
    Array([0, 1, 8, 5])
    """
    key, shape, x = checked_key("choice", key), canonical_shape(shape), _population("choice", a)
    axis = canonical_axis(axis, aval_of(x).ndim)
    sizes = aval_of(x).shape
    n, draws = sizes[axis], math.prod(shape)
    out_shape = sizes[:axis] + shape + sizes[axis + 1 :]
    if draws == 0:
        return fnp.zeros(out_shape, aval_of(x).dtype)
    if n == 0:
        raise ArgumentError("choice: there is nothing to choose from")
    if not replace and draws > n:
        raise ArgumentError(f"choice of {draws} among {n} without replacement")
    if p is None and not replace:
        return fnp.reshape(lax.slice_in_dim(_permutation(key, x, axis), 0, draws, axis=axis), out_shape)
    if p is None:
        places = _randint(key, shape, 0, n, np.dtype(np.int64))
    else:
        p = floating("choice", p)
        if aval_of(p).shape != (n,):
            raise ShapeError(f"choice: p has shape {aval_of(p).shape}, there are {n} elements along axis {axis}")
        if replace:
            total = fnp.cumsum(p)
            places = fnp.searchsorted(total, total[-1] * (1 - _uniform(key, shape, aval_of(p).dtype)))
        else:
            noise = _gumbel(key, (n,), aval_of(p).dtype, mode)
            places = lax.top_k(noise + fnp.log(p), draws)[1]
    return fnp.reshape(fnp.take(x, fnp.reshape(places, shape), axis), out_shape)


def categorical(
    key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True, mode: str | None = None
) -> Any:
    """Indices along an axis, with probabilities `softmax(logits, axis)`.

    Args:
        key: a key.
        logits: logarithms of probabilities, up to a constant.
        axis: the axis along which probabilities stand.
        shape: the shape of the result, by default that of `logits` without `axis`, with which it must end.
        replace: whether, along the leading axes of `shape`, an index may come again.
        mode: as for `gumbel`.

    >>> from functrans import random
    >>> random.categorical(random.key(0), [0.0, 1.0, 2.0], shape=(6,))
    Array([2, 2, 2, 1, 1, 2])
    """
    key, logits = checked_key("categorical", key), floating("categorical", logits)
    aval = aval_of(logits)
    axis = canonical_axis(axis, aval.ndim)
    batch = aval.shape[:axis] + aval.shape[axis + 1 :]
    shape = batch if shape is None else canonical_shape(shape)
    prefix = shape[: len(shape) - len(batch)]
    if shape[len(prefix) :] != batch:
        raise ShapeError(f"categorical: shape {shape} must end in {batch}, the shape of logits without axis {axis}")
    if replace:
        noise = _gumbel(key, (*prefix, *aval.shape), aval.dtype, mode)
        return fnp.argmax(noise + logits, axis=axis + len(prefix))
    draws = math.prod(prefix)
    if draws > aval.shape[axis]:
        raise ArgumentError(f"categorical: {draws} samples without replacement of {aval.shape[axis]} categories")
    noisy = fnp.moveaxis(logits + _gumbel(key, aval.shape, aval.dtype, mode), axis, -1)
    return fnp.reshape(fnp.moveaxis(lax.top_k(noisy, draws)[1], -1, 0), shape)
