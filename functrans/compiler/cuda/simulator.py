"""The runtime of Numba's simulator: memory and libraries are NumPy's, kernels run as Python.

For tests: `NUMBA_ENABLE_CUDASIM=1`, set before Numba is imported. Grids are a few threads, so that loops of all kinds
go through several turns. In place of CUDA's driver there are functions with its signatures.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.compiler.cuda.kernels import function_of
from functrans.compiler.cuda.runtime import Runtime
from functrans.compiler.cuda.schedule import GridKernel, Limits
from functrans.compiler.cuda.simulation import Memory, translate
from functrans.core.avals import SMALL_FLOATS

_one_at_a_time = threading.RLock()  # the simulator runs one kernel at a time
_int, _size = ctypes.c_int, ctypes.c_size_t
_LAUNCH = ctypes.CFUNCTYPE(_int, _size, *[ctypes.c_uint] * 7, _size, ctypes.c_void_p, ctypes.c_void_p)
_COPY = ctypes.CFUNCTYPE(_int, _size, _size, _size, _size)
_ZERO = ctypes.CFUNCTYPE(_int, _size, ctypes.c_ubyte, _size, _size)

#: Runs a kernel with its grid, its block and its arguments.
Launcher = Callable[[tuple[int, int], tuple[int, int], Sequence[int]], None]


class Simulator(Runtime):
    """A GPU of a few threads."""

    name = "Numba's CUDA simulator"
    capability = (9, 0)
    limits = Limits(threads=4, most_threads=4, warp=4, blocks=2)
    xp = np
    alignment = 64

    def __init__(self) -> None:
        self._compiled: dict[str, Any] = {}
        self._numbers: dict[Any, int] = {}
        self._launchers: list[tuple[Launcher, int]] = []  # with how many arguments
        self._raised: list[BaseException] = []
        self._functions = _LAUNCH(self._launch), _COPY(self._copy), _ZERO(self._zero)
        self.driver = np.array([ctypes.cast(f, ctypes.c_void_p).value for f in self._functions], np.int64)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        memory = np.full(size + 128, 0xA5, np.uint8)  # what is read before it is written shows
        start = (self.alignment - memory.ctypes.data) % 64
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
        if strides is None:
            size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        else:
            size = dtype.itemsize + sum((n - 1) * s for n, s in zip(shape, strides)) if 0 not in shape else 0
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

    def function(self, kernel: GridKernel) -> int:
        key = kernel.source, tuple(v.aval.shape for v in kernel.buffers)
        number = self._numbers.get(key)
        if number is None:
            arguments = len(kernel.buffers) + len(kernel.sizes) + bool(kernel.checks)
            self._launchers.append((self.launcher(kernel), arguments))
            number = self._numbers[key] = len(self._launchers)
        return number

    def launcher(self, kernel: GridKernel) -> Launcher:
        from numba import cuda

        if kernel.source not in self._compiled:
            self._compiled[kernel.source] = cuda.jit(function_of(kernel.source, translate))
        function = self._compiled[kernel.source]
        buffers = [(v.aval.size, _storage(v.aval.dtype)) for v in kernel.buffers]
        n = len(kernel.sizes)

        def launch(grid: tuple[int, int], block: tuple[int, int], arguments: Sequence[int]) -> None:
            args: list[Any] = [Memory(self.view(a, (size,), t)) for a, (size, t) in zip(arguments, buffers)]
            rest = arguments[len(buffers) :]
            args += map(np.int64, rest[:n])
            args += [Memory(self.view(a, (1,), np.dtype(np.int64))) for a in rest[n:]]
            with _one_at_a_time:
                function[grid, block](*args)

        return launch

    def failed(self, code: int) -> BaseException:
        return self._raised.pop()

    def stream(self) -> int:
        return 0

    def synchronize(self) -> None:
        pass

    # ---------------------------------------------------------------- the driver's functions

    def _launch(self, function: int, *arguments: Any) -> int:
        gx, gy, gz, bx, by, bz, shared, _, pointers, extra = arguments
        try:
            assert (gz, bz, shared, extra) == (1, 1, 0, None)
            launcher, count = self._launchers[function - 1]
            table = (ctypes.c_void_p * count).from_address(pointers)
            launcher((gx, gy), (bx, by), [ctypes.c_int64.from_address(at or 0).value for at in table])
        except BaseException as error:  # C cannot pass it on: `failed` does
            self._raised.append(error)
            return 1
        return 0

    def _copy(self, target: int, source: int, nbytes: int, stream: int) -> int:
        self.copy(target, source, nbytes)
        return 0

    def _zero(self, target: int, value: int, nbytes: int, stream: int) -> int:
        assert value == 0
        self.zero(target, nbytes)
        return 0


def _storage(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint8 if dtype.kind == "b" else np.uint16 if dtype in SMALL_FLOATS else dtype)
