"""Threefry-2x32: a block cipher for counters, the source of all random bits.

Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC 2011), with 20 rounds. The text below runs
on scalars and arrays of NumPy and on the words of a kernel (`compiler/scalars.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_SCALARS = 6  # so few elements are faster one by one
_BLOCK = 1 << 13  # elements whose words stay in the innermost cache


def threefry2x32(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """The block `(x0, x1)` under the key `(k0, k1)`; all are words of 32 bits that wrap around."""
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = x0 + k0, x1 + k1
    for i in range(5):
        for distance in _ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = (x1 << distance | x1 >> 32 - distance) ^ x0
        x0 = x0 + keys[(i + 1) % 3]
        x1 = x1 + (keys[(i + 2) % 3] + (i + 1))
    return x0, x1


def evaluate(k0: Any, k1: Any, x0: Any, x1: Any) -> np.ndarray:
    """Blocks of uint32 arrays that broadcast together, each as a uint64: the first word is the high one."""
    operands = np.broadcast_arrays(k0, k1, x0, x1)
    out = np.empty(operands[0].shape, np.uint64)
    flat, words = out.reshape(-1), [np.ravel(x) if x.size <= _BLOCK else x.flat for x in operands]
    if out.size <= _SCALARS:
        with np.errstate(over="ignore"):
            for i, block in enumerate(zip(*words)):
                high, low = threefry2x32(*block)
                flat[i] = int(high) << 32 | int(low)
        return out
    for start in range(0, out.size, _BLOCK):
        high, low = threefry2x32(*[w[start : start + _BLOCK] for w in words])
        flat[start : start + _BLOCK] = high.astype(np.uint64) << np.uint64(32) | low
    return out
