"""Keys: where randomness comes from.

A key is an array of uint32 of shape `(2,)`, the key of a Threefry cipher. Whoever needs several independent samples
makes a key for each, by `split` or `fold_in`; the same key gives the same sample again. An array of keys has more axes
in front, over which `vmap` maps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.array import wrap
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.conversion import convert_element_type
from functrans.lax.random import UINT32, UINT64, blocks, halves, random_bits, threefry2x32
from functrans.random import reuse
from functrans.random.arguments import checked_dtype, checked_key

__all__ = ["PRNGKey", "bits", "clone", "fold_in", "key", "key_data", "key_impl", "split", "wrap_key_data"]


def key(seed: Any, *, impl: str | None = None) -> Any:
    """The key of a seed, an integer of up to 64 bits.

    `impl`, the name of a generator, is `"threefry2x32"` or `None`.

    Raises:
        DTypeError: the seed is no integer.
        ArgumentError: the seed does not fit 64 bits, or is an array; or `impl` names another generator.

    Also called `PRNGKey`.

    >>> from functrans import random
    >>> random.key(42)
    Array([ 0, 42], dtype=uint32)
    """
    _check_impl(impl)
    if isinstance(seed, int) and not isinstance(seed, bool):
        if not -(1 << 63) <= seed < 1 << 64:
            raise ArgumentError(f"a seed has up to 64 bits, got {seed}")
        words = [seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF]
        return wrap(np.array(words, UINT32))
    aval = aval_of(seed if isinstance(seed, Tracer) else np.asarray(seed))
    if aval.dtype.kind not in "iu":
        raise DTypeError(f"a seed is an integer, got {aval}")
    if aval.shape:
        raise ArgumentError(f"random.key takes one seed, got {aval}: use vmap for an array of seeds")
    return fnp.stack(_words(seed))


PRNGKey = key


def _check_impl(impl: str | None) -> None:
    if impl not in (None, "threefry2x32"):
        raise ArgumentError(f"the generator is threefry2x32, there is no {impl!r}")


def _words(seed: Any) -> tuple[Any, Any]:
    """The high and the low word of an integer; those of up to 32 bits have a high word of zero, as in JAX."""
    if aval_of(seed).dtype.itemsize <= 4:
        return UINT32.type(0), convert_element_type(seed, UINT32)
    return halves(convert_element_type(seed, UINT64))


def split(key: Any, num: int | tuple[int, ...] = 2) -> Any:
    """`num` new keys, an array `(num, 2)`; `num` may be a shape, for `(*num, 2)`.

    The given key must not be used again.

    >>> from functrans import random
    >>> key, subkey = random.split(random.key(0))
    >>> subkey
    Array([ 928981903, 3453687069], dtype=uint32)
    """
    return _split(checked_key("split", key), num)


def _split(key: Any, num: int | tuple[int, ...] = 2) -> Any:
    return fnp.stack(halves(blocks(key, canonical_shape(num))), axis=-1)


def fold_in(key: Any, data: Any) -> Any:
    """The key made of a key and an integer of 32 bits, such as the number of a step or of a worker.

    The key may be used again, with other integers.

    >>> from functrans import random
    >>> random.fold_in(random.key(0), 7)
    Array([2716826189,  292468403], dtype=uint32)
    """
    key = checked_key("fold_in", key, consumes=False)
    data = data if isinstance(data, Tracer) else np.asarray(data)
    aval = aval_of(data)
    if aval.dtype.kind not in "iu" or aval.shape:
        raise DTypeError(f"fold_in takes an integer, got {aval}")
    if not isinstance(data, Tracer) and not -(1 << 31) <= int(data) < 1 << 32:
        raise ArgumentError(f"fold_in takes an integer of 32 bits, got {data}")
    block = threefry2x32(key[0], key[1], UINT32.type(0), convert_element_type(data, UINT32))
    return fnp.stack(halves(block))


def clone(key: Any) -> Any:
    """The same key, which `config.debug_key_reuse` lets be used once more.

    >>> from functrans import random
    >>> key = random.key(0)
    >>> bool((random.clone(key) == key).all())
    True
    """
    key = checked_key("clone", key, consumes=False)
    if reuse.watched():
        reuse.release(key)
    return key


def key_data(keys: Any) -> Any:
    """The words of keys: the keys themselves, which are arrays `(..., 2)` of uint32.

    >>> import functrans as ft, numpy as np
    >>> ft.random.key_data(ft.random.key(0))
    Array([0, 0], dtype=uint32)
    """
    return wrap_key_data(keys)


def wrap_key_data(key_bits_array: Any, *, impl: str | None = None) -> Any:
    """An array `(..., 2)` of uint32 as keys.

    Raises:
        DTypeError: the array has another dtype or shape.
        ArgumentError: `impl` names another generator than `"threefry2x32"`.

    >>> import functrans as ft, numpy as np
    >>> ft.random.wrap_key_data(np.array([0, 7], np.uint32))
    Array([0, 7], dtype=uint32)
    """
    _check_impl(impl)
    keys = key_bits_array if isinstance(key_bits_array, Tracer) else fnp.asarray(key_bits_array)
    aval = aval_of(keys)
    if aval.dtype != UINT32 or aval.shape[-1:] != (2,):
        raise DTypeError(f"keys are arrays of uint32 of shape (..., 2), got {aval}")
    return keys


def key_impl(keys: Any) -> str:
    """The name of the generator that keys belong to: `"threefry2x32"`.

    >>> import functrans as ft, numpy as np
    >>> ft.random.key_impl(ft.random.key(0))
    'threefry2x32'
    """
    wrap_key_data(keys)
    return "threefry2x32"


def bits(key: Any, shape: Any = (), dtype: Any = np.uint64) -> Any:
    """Unsigned integers, all equally likely.

    Args:
        key: a key.
        shape: the shape of the result.
        dtype: uint8, uint16, uint32 or uint64.

    >>> from functrans import random
    >>> random.bits(random.key(0), 3, "uint8")
    Array([167, 146,  40], dtype=uint8)
    """
    key = checked_key("bits", key)
    dtype = checked_dtype("bits", dtype, "u")
    return random_bits(key, 8 * dtype.itemsize, canonical_shape(shape))
