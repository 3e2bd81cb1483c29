"""The runtime of a real GPU: memory, streams and libraries are CuPy's, kernels are launched by CUDA's driver.

Memory comes from CuPy's pool, work goes to CuPy's current stream.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.compiler.cuda.kernels import cubin_of
from functrans.compiler.cuda.runtime import Runtime
from functrans.compiler.cuda.schedule import GridKernel, Limits
from functrans.compiler.plan import Gemm
from functrans.core.avals import SMALL_FLOATS
from functrans.errors import DeviceError, DeviceMemoryError

#: cuBLAS's numbers: of the types of elements, and of the precisions in which it multiplies.
_CUBLAS_TYPES = {"float16": 2, "bfloat16": 14, "float32": 0, "float64": 1, "complex64": 4, "complex128": 5}
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_32F_TF32 = 68, 70, 77
_OUT_OF_MEMORY = 2  # CUDA_ERROR_OUT_OF_MEMORY


def _driver_functions() -> np.ndarray:
    library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    names = ("cuLaunchKernel", "cuMemcpyDtoDAsync_v2", "cuMemsetD8Async")
    return np.array([ctypes.cast(getattr(library, n), ctypes.c_void_p).value for n in names], np.int64)


class CuPy(Runtime):
    """The GPU that is CuPy's current device when it is first used."""

    def __init__(self, cupy: Any):
        self.xp = cupy
        self.memory_errors = (cupy.cuda.memory.OutOfMemoryError,)
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise DeviceError(
                f"no GPU can be used: CUDA says {error} (which it also says where there is no driver)"
            ) from error
        if not count:
            raise DeviceError("there is no NVIDIA GPU in this machine: without device='cuda' functions run on the CPU")
        self._device = int(cupy.cuda.runtime.getDevice())
        properties = cupy.cuda.runtime.getDeviceProperties(self._device)
        self.name = properties["name"].decode()
        found = (int(properties["major"]), int(properties["minor"]))
        if found < (7, 5):
            raise DeviceError(f"{self.name} has compute capability {found[0]}.{found[1]}; kernels need 7.5 or newer")
        self.capability = found
        self.limits = Limits(blocks=int(properties["multiProcessorCount"]) * 16)
        self.driver = _driver_functions()
        self._functions: dict[str, Any] = {}
        self._threads = threading.local()

    def ready(self) -> None:
        """A thread that has not spoken to CUDA yet has no context, which its driver asks for."""
        api = self.xp.cuda.runtime
        current = api.getDevice()
        if current != self._device:
            raise DeviceError(
                f"functrans uses GPU {self._device}, but CuPy's current device is {current}: make it the current one "
                f"again by cupy.cuda.Device({self._device}).use()"
            )
        if not getattr(self._threads, "has_context", False):
            api.memGetInfo()
            self._threads.has_context = True

    # ---------------------------------------------------------------- memory

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        try:
            return self.xp.empty(shape, dtype)
        except self.memory_errors as error:
            raise self.out_of_memory(error) from error

    def out_of_memory(self, error: Exception) -> DeviceMemoryError:
        api, pool = self.xp.cuda.runtime, self.xp.get_default_memory_pool()
        free, total = api.memGetInfo()
        return DeviceMemoryError(
            f"no room on {self.name}: {str(error).rstrip('.')}; {free + pool.free_bytes()} of {total} bytes are free. "
            "Drop arrays that are no longer needed, work on smaller batches, or wrap parts of the function in "
            "functrans.checkpoint"
        )

    def upload(self, array: np.ndarray) -> Any:
        self.ready()
        out = self.empty(array.shape, array.dtype)
        if array.size:
            out.set(np.ascontiguousarray(array).reshape(array.shape))
        return out

    def adopt(self, value: Any) -> Any:
        """Another library's array on the GPU, by DLPack, which brings the streams of both in order, where it can."""
        self.ready()
        given = getattr(value, "__dlpack_device__", None)
        is_ours = isinstance(value, self.xp.ndarray)
        array = self.xp.from_dlpack(value) if given is not None and not is_ours else self.xp.asarray(value)
        if array.device.id != self._device:
            raise DeviceError(f"this array is on GPU {array.device.id}; functrans uses GPU {self._device}")
        return array

    def download(self, array: Any) -> np.ndarray:
        return np.asarray(self.xp.asnumpy(array))

    def address(self, array: Any) -> int:
        return int(array.data.ptr)

    def view(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None
    ) -> Any:
        if 0 in shape:
            return self.xp.empty(shape, dtype)
        if strides is None:
            size = dtype.itemsize
            for n in shape:
                size *= n
        else:
            size = dtype.itemsize + sum((n - 1) * s for n, s in zip(shape, strides))
        memory = self.xp.cuda.UnownedMemory(address, size, None, self._device)
        return self.xp.ndarray(shape, dtype, self.xp.cuda.MemoryPointer(memory, 0), strides=strides)

    def contiguous(self, array: Any) -> Any:
        if not array.flags.c_contiguous:
            return self.xp.ascontiguousarray(array)
        return array if array.data.ptr % array.dtype.itemsize == 0 else array.copy()

    def copy(self, target: int, source: int, nbytes: int) -> None:
        api = self.xp.cuda.runtime
        api.memcpyAsync(target, source, nbytes, api.memcpyDeviceToDevice, self.stream())

    def zero(self, target: int, nbytes: int) -> None:
        self.xp.cuda.runtime.memsetAsync(target, 0, nbytes, self.stream())

    # ---------------------------------------------------------------- work

    def function(self, kernel: GridKernel) -> int:
        function = self._functions.get(kernel.source)
        if function is None:
            cubin, entry = cubin_of(kernel.source, self.capability)
            module = self.xp.cuda.function.Module()
            module.load(cubin)
            function = self._functions[kernel.source] = module.get_function(entry)
        return int(function.ptr)

    def failed(self, code: int) -> Exception:
        error = self.xp.cuda.driver.CUDADriverError(code)
        return self.out_of_memory(error) if code == _OUT_OF_MEMORY else DeviceError(f"a kernel cannot run: {error}")

    def product(self, i: Gemm) -> Callable[[int, int, int], None]:
        """By cuBLAS itself: of its column-major matrices the product is that of ours in the other order."""
        kind = _CUBLAS_TYPES[i.dtype.name]
        if i.dtype in (np.float64, np.complex128):
            precision = _COMPUTE_64F
        else:
            tensor = i.dtype not in SMALL_FLOATS and os.environ.get("CUPY_TF32", "0") not in ("", "0")
            precision = _COMPUTE_32F_TF32 if tensor else _COMPUTE_32F
        factors = np.array([i.scale, 1 if i.accumulate else 0], np.float32 if i.dtype in SMALL_FLOATS else i.dtype)
        alpha = factors.ctypes.data
        beta = alpha + factors.itemsize
        multiply, handle = self.xp.cuda.cublas.gemmStridedBatchedEx, self.xp.cuda.device.get_cublas_handle

        def run(a: int, b: int, c: int, factors: np.ndarray = factors) -> None:  # which live as long as this does
            multiply(
                handle(), int(i.transpose_b), int(i.transpose_a), i.n, i.m, i.k, alpha, b, kind, i.ldb, i.stride_b,
                a, kind, i.lda, i.stride_a, beta, c, kind, i.ldc, i.stride_c, i.batch, precision, -1,
            )  # fmt: skip

        return run

    def stream(self) -> int:
        return int(self.xp.cuda.get_current_stream().ptr)

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()
