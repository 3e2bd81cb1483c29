"""The runtime of a real GPU: memory, streams and libraries are CuPy's, kernels are launched by CUDA's driver.

Memory comes from CuPy's pool, work goes to CuPy's current stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.compiler.cuda.kernels import cubin_of
from functrans.compiler.cuda.runtime import Launcher, Runtime
from functrans.compiler.cuda.schedule import GridKernel, Limits, geometry
from functrans.errors import DeviceError, DeviceMemoryError


class CuPy(Runtime):
    """The GPU that is CuPy's current device when it is first used."""

    def __init__(self, cupy: Any):
        self.xp = cupy
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(f"no GPU can be used: CUDA's driver says {error}") from error
        if not count:
            raise DeviceError("there is no NVIDIA GPU in this machine: without device='cuda' functions run on the CPU")
        self._device = int(cupy.cuda.Device().id)
        properties = cupy.cuda.runtime.getDeviceProperties(self._device)
        self.name = properties["name"].decode()
        found = (int(properties["major"]), int(properties["minor"]))
        if found < (7, 5):
            raise DeviceError(f"{self.name} has compute capability {found[0]}.{found[1]}; kernels need 7.5 or newer")
        self.capability = found
        self.limits = Limits(blocks=int(properties["multiProcessorCount"]) * 16)
        self._functions: dict[str, Any] = {}

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        try:
            return self.xp.empty(shape, dtype)
        except self.xp.cuda.memory.OutOfMemoryError as error:
            size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
            free, total = self.xp.cuda.runtime.memGetInfo()
            raise DeviceMemoryError(
                f"no room for {size} bytes on {self.name}: {free} of {total} bytes are free. Drop arrays that are no "
                "longer needed, work on smaller batches, or wrap parts of the function in functrans.checkpoint"
            ) from error

    def upload(self, array: np.ndarray) -> Any:
        out = self.empty(array.shape, array.dtype)
        if array.size:
            out.set(np.ascontiguousarray(array).reshape(array.shape))
        return out

    def download(self, array: Any) -> np.ndarray:
        return np.asarray(self.xp.asnumpy(array))

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def view(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None
    ) -> Any:
        if strides is None:
            size = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        else:
            size = dtype.itemsize + sum((n - 1) * s for n, s in zip(shape, strides)) if 0 not in shape else 0
        if not size:
            return self.xp.empty(shape, dtype)
        memory = self.xp.cuda.UnownedMemory(address, size, None, self._device)
        return self.xp.ndarray(shape, dtype, self.xp.cuda.MemoryPointer(memory, 0), strides=strides)

    def contiguous(self, array: Any) -> Any:
        if array.flags.c_contiguous and array.data.ptr % array.dtype.itemsize == 0:
            return array
        return self.xp.ascontiguousarray(array)

    def copy(self, target: int, source: int, nbytes: int) -> None:
        api = self.xp.cuda.runtime
        api.memcpyAsync(target, source, nbytes, api.memcpyDeviceToDevice, self.stream())

    def zero(self, target: int, nbytes: int) -> None:
        self.xp.cuda.runtime.memsetAsync(target, 0, nbytes, self.stream())

    def load(self, kernel: GridKernel) -> Launcher:
        function = self._functions.get(kernel.source)
        if function is None:
            cubin, entry = cubin_of(kernel.source, self.capability)
            module = self.xp.cuda.function.Module()
            module.load(cubin)
            function = self._functions[kernel.source] = module.get_function(entry)
        grid, block = geometry(kernel, self.limits)
        has_status = bool(kernel.checks)

        def launch(addresses: Any, sizes: Any, status: int) -> None:
            function(grid, block, (*addresses, *sizes, status) if has_status else (*addresses, *sizes))

        return launch

    def stream(self) -> int:
        return int(self.xp.cuda.get_current_stream().ptr)

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()
