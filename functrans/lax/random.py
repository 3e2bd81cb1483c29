"""Random bits: the primitive on which `functrans.random` stands.

`threefry2x32(k0, k1, x0, x1)` encrypts the counter `(x0, x1)` under the key `(k0, k1)`, all of them uint32, element by
element; the result is uint64 with the first word of the block in its high half.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core import threefry
from functrans.core.avals import aval_of
from functrans.core.placement import refuse_placement
from functrans.errors import ArgumentError, DTypeError
from functrans.lax.broadcasting import _reshape, canonical_shape, iota
from functrans.lax.conversion import convert_element_type
from functrans.lax.elementwise import _Custom, bitwise_or, bitwise_xor, shift_left
from functrans.lax.structural import concatenate, expand_dims

UINT32, UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)


def _block_dtype(*words: np.dtype) -> np.dtype:
    if any(w != UINT32 for w in words):
        raise DTypeError(f"threefry2x32 takes words of uint32, got {', '.join(map(str, words))}")
    return UINT64


threefry2x32 = _Custom("threefry2x32", threefry.evaluate, _block_dtype, "threefry2x32({0}, {1}, {2}, {3})")

#: The first word of a block; one operation, so that kernels find the word where Threefry left it.
high_word = _Custom(
    "high_word", lambda block: (block >> np.uint64(32)).astype(UINT32), lambda block: UINT32, "{0} >> 32"
)


def blocks(key: Any, shape: Sequence[int], start: Any = None) -> Any:
    """The blocks of the counters `start`, `start + 1`, ... (0 by default) under a key `(2,)`, as uint64 of that shape.

    Each element depends on the key and on its own place alone, so that parts can be computed apart.
    """
    shape = tuple(shape)
    size = math.prod(shape)
    if size < 1 << 32 and start is None:
        high, low = UINT32.type(0), iota(UINT32, size)
    else:
        high, low = halves(iota(UINT64, size) + (UINT64.type(0) if start is None else start))
    return _reshape(threefry2x32(key[0], key[1], high, low), shape)


def halves(block: Any) -> tuple[Any, Any]:
    """The first and the second word of blocks."""
    return high_word.bind(block), convert_element_type(block, UINT32)


def random_bits(key: Any, bit_width: int, shape: Sequence[int]) -> Any:
    """Unsigned integers of 8, 16, 32 or 64 bits, all equally likely."""
    block = blocks(key, shape)
    if bit_width == 64:
        return block
    first, second = halves(block)
    return convert_element_type(bitwise_xor(first, second), np.dtype(f"u{bit_width // 8}"))


class RandomAlgorithm(enum.Enum):
    """Ways to make random bits, in JAX; here there is Threefry, which is the default too.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.RandomAlgorithm.RNG_THREE_FRY.name
    'RNG_THREE_FRY'
    """

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2


def rng_bit_generator(
    key: Any,
    shape: Any,
    dtype: Any = np.uint32,
    algorithm: RandomAlgorithm | str = RandomAlgorithm.RNG_DEFAULT,
    *,
    out_sharding: None = None,
) -> tuple[Any, Any]:
    """Random bits from a state that goes on: the next state, and an array of unsigned integers.

    Args:
        key: the state, uint32 of shape `(2,)`, a key; or `(4,)`: a key and the next
            counter, high word first.
        shape: the shape of the result.
        dtype: uint8, uint16, uint32 or uint64.
        algorithm: `RandomAlgorithm.RNG_DEFAULT` or `RNG_THREE_FRY`, or `"default"` or `"three_fry"`.
        out_sharding: `None`.

    Raises:
        ArgumentError: another algorithm is asked for.

    The algorithm is Threefry; for most uses keys are easier (`functrans.random`).

    >>> import functrans.lax as lax, numpy as np
    >>> state = np.array([0, 42, 0, 0], np.uint32)
    >>> state, x = lax.rng_bit_generator(state, 3)
    >>> state, y = lax.rng_bit_generator(state, 3)
    >>> state
    Array([ 0, 42,  0,  6], dtype=uint32)
    >>> x.dtype, bool((x == y).any())
    (dtype('uint32'), False)
    """
    refuse_placement("rng_bit_generator", out_sharding=out_sharding)
    if algorithm not in (RandomAlgorithm.RNG_DEFAULT, RandomAlgorithm.RNG_THREE_FRY, "default", "three_fry"):
        raise ArgumentError(f"rng_bit_generator makes the bits of Threefry, not of {algorithm!r}")
    aval, shape, dtype = aval_of(key), canonical_shape(shape), np.dtype(dtype)
    if aval.dtype != UINT32 or aval.shape not in ((2,), (4,)):
        raise DTypeError(f"rng_bit_generator takes a state of uint32 and shape (2,) or (4,), got {aval}")
    if dtype.kind != "u":
        raise DTypeError(f"rng_bit_generator makes unsigned integers, got dtype {dtype}")
    if aval.shape == (2,):
        key = concatenate([key, np.zeros(2, UINT32)], 0)
    start = _long(key[2], key[3])
    bits = blocks(key, shape, start)
    if dtype != UINT64:
        bits = convert_element_type(bitwise_xor(*halves(bits)), dtype)
    state = key[:2], *[expand_dims(w, (0,)) for w in halves(start + UINT64.type(math.prod(shape)))]
    if aval.shape == (2,):  # no room for a counter: another key
        state = (concatenate([expand_dims(w, (0,)) for w in halves(threefry2x32(key[0], key[1], *_LAST))], 0),)
    return concatenate(state, 0), bits


_LAST = (UINT32.type(0xFFFFFFFF), UINT32.type(0xFFFFFFFF))


def _long(high: Any, low: Any) -> Any:
    high, low = convert_element_type(high, UINT64), convert_element_type(low, UINT64)
    return bitwise_or(shift_left(high, UINT64.type(32)), low)
