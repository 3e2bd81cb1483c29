"""The runtime of Numba's simulator: memory and libraries are NumPy's, kernels run as Python.

For tests: `NUMBA_ENABLE_CUDASIM=1`, set before Numba is imported. Grids are a few threads, so that loops of all kinds
go through several turns.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np

from functrans.compiler.cuda.kernels import function_of
from functrans.compiler.cuda.runtime import Launcher, Runtime
from functrans.compiler.cuda.schedule import GridKernel, Limits, geometry
from functrans.compiler.cuda.simulation import Memory, translate
from functrans.core.avals import SMALL_FLOATS

_one_at_a_time = threading.RLock()  # the simulator runs one kernel at a time
_ALIGNMENT = 64


class Simulator(Runtime):
    """A GPU of a few threads."""

    name = "Numba's CUDA simulator"
    capability = (9, 0)
    limits = Limits(threads=4, most_threads=4, warp=4, blocks=2)
    xp = np

    def __init__(self) -> None:
        self._kernels: dict[str, Any] = {}

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        memory = np.full(size + _ALIGNMENT, 0xA5, np.uint8)  # what is read before it is written shows
        start = -memory.ctypes.data % _ALIGNMENT
        return memory[start : start + size].view(dtype).reshape(shape)

    def upload(self, array: np.ndarray) -> Any:
        out = self.empty(array.shape, array.dtype)
        out[...] = array
        return out

    def download(self, array: Any) -> np.ndarray:
        return np.array(array)

    def address(self, array: Any) -> int:
        return int(array.ctypes.data)

    def view(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None
    ) -> Any:
        steps = strides or np.empty(shape, np.bool_).strides if strides is None else strides
        if strides is None:
            size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        else:
            size = dtype.itemsize + sum((n - 1) * s for n, s in zip(shape, steps)) if 0 not in shape else 0
        if not size:
            return np.empty(shape, dtype)
        memory: Any = (ctypes.c_char * size).from_address(address)
        return np.ndarray(shape, dtype, memory, strides=strides)

    def contiguous(self, array: Any) -> Any:
        return array if array.flags.c_contiguous and array.flags.aligned else self.upload(array)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    def zero(self, target: int, nbytes: int) -> None:
        ctypes.memset(target, 0, nbytes)

    def load(self, kernel: GridKernel) -> Launcher:
        from numba import cuda

        if kernel.source not in self._kernels:
            self._kernels[kernel.source] = cuda.jit(function_of(kernel.source, translate))
        function = self._kernels[kernel.source]
        grid, block = geometry(kernel, self.limits)
        types = [_storage(v.aval.dtype) for v in kernel.buffers]
        counts = [v.aval.size for v in kernel.buffers]

        def launch(addresses: Any, sizes: Any, status: int) -> None:
            args: list[Any] = [Memory(self.view(a, (n,), t)) for a, n, t in zip(addresses, counts, types)]
            args += [np.int64(n) for n in sizes]
            if kernel.checks:
                args.append(Memory(self.view(status, (1,), np.dtype(np.int64))))
            with _one_at_a_time:
                function[grid, block](*args)

        return launch

    def stream(self) -> int:
        return 0

    def synchronize(self) -> None:
        pass


def _storage(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint8 if dtype.kind == "b" else np.uint16 if dtype in SMALL_FLOATS else dtype)
