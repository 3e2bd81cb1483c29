"""Memory of large results, used again when nobody holds them any more.

Fresh memory from the operating system costs a page fault and a cleared page for every few kilobytes, which takes longer
than many a kernel. A large result lies in a block that goes back to a list when the array, and every view of it, is
gone. The blocks kept there have at most `config.recycled_memory()` bytes in all; those not used for longest go first.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import Array

#: Results with fewer bytes are ordinary arrays.
LEAST = 1 << 18
_ALIGNMENT = 64

_lock = threading.RLock()  # a collection may come while it is held, and give a block back
_kept: OrderedDict[int, _Block] = OrderedDict()  # by identity, the oldest first
_bytes = 0


class _Block(np.ndarray):
    """The memory itself, of a type of its own: NumPy lets no view skip it on the way to what it is a view of."""


class _Hold(np.ndarray):
    """A view of a block: what arrays in it have as their base, so that it ends with the last of them."""

    def __del__(self) -> None:
        block = self.base
        if type(block) is _Block and sys.getrefcount(block) <= 3:  # this view, the name, the argument
            _give_back(block)


def empty(shape: tuple[int, ...], dtype: np.dtype, nbytes: int) -> Array:
    """An array with any contents."""
    if nbytes < LEAST:
        return Array(shape, dtype)
    block = _take(nbytes + _ALIGNMENT)
    return Array(shape, dtype, buffer=block.view(_Hold), offset=-block.ctypes.data % _ALIGNMENT)


def _take(size: int) -> _Block:
    global _bytes
    with _lock:
        for key in reversed(_kept):
            if _kept[key].size == size:
                block = _kept.pop(key)
                _bytes -= size
                return block
    return _Block(size, np.uint8)


def _give_back(block: _Block) -> None:
    global _bytes
    if config is None:  # the interpreter is ending
        return
    with _lock:
        _kept[id(block)] = block
        _bytes += block.size
        trim(config.recycled_memory())


def trim(limit: int) -> None:
    """Let go of blocks until those kept have at most so many bytes."""
    global _bytes
    with _lock:
        while _bytes > limit:
            _bytes -= _kept.popitem(last=False)[1].size


def kept_bytes() -> int:
    """Bytes of the blocks that wait for a result."""
    return _bytes


__all__: list[Any] = ["LEAST", "empty", "kept_bytes", "trim"]
