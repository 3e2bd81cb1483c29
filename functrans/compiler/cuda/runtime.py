"""What programs need of a GPU, and who provides it: CuPy on a real one, NumPy where Numba's simulator stands in for it.

A runtime's arrays are its library's (`cupy.ndarray`, `np.ndarray`); addresses are integers. Everything is done in the
order of the stream that is current; nothing waits but what reads values (`download`, `read`, `synchronize`).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from functrans.compiler.cuda.kernels import MISSING, Capability
from functrans.compiler.cuda.schedule import GridKernel, Limits, geometry
from functrans.core.avals import SMALL_FLOATS
from functrans.errors import DeviceError

if TYPE_CHECKING:
    from functrans.compiler.plan import Gemm


class Runtime(ABC):
    """One GPU."""

    name: str
    capability: Capability
    limits: Limits
    xp: Any  #: the library of arrays: `cupy`, or `numpy` in the simulator
    driver: np.ndarray  #: the addresses of the driver's functions that `launches.run` calls
    memory_errors: tuple[type[Exception], ...] = ()  #: what the library raises when memory runs out

    def ready(self) -> None:  # noqa: B027
        """Before a program runs, or memory is asked for: see to it that this thread may speak to the device."""

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A new array from the pool."""

    @abstractmethod
    def upload(self, array: np.ndarray) -> Any:
        """A host array's copy on the device."""

    def adopt(self, value: Any) -> Any:
        """Another library's array that is on the device, as one of this library's."""
        return self.xp.asarray(value)

    @abstractmethod
    def download(self, array: Any) -> np.ndarray:
        """A device array's copy on the host, once it is computed."""

    @abstractmethod
    def address(self, array: Any) -> int:
        """Where an array's elements begin."""

    @abstractmethod
    def view(
        self, address: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...] | None = None
    ) -> Any:
        """The array at an address."""

    @abstractmethod
    def contiguous(self, array: Any) -> Any:
        """An array with its elements in C order: itself, or a copy."""

    @abstractmethod
    def copy(self, target: int, source: int, nbytes: int) -> None:
        """Copy memory."""

    @abstractmethod
    def zero(self, target: int, nbytes: int) -> None:
        """Fill memory with zeros."""

    @abstractmethod
    def function(self, kernel: GridKernel) -> int:
        """What the driver knows a kernel by, once it is compiled and loaded."""

    def load(self, kernel: GridKernel) -> list[int]:
        """A kernel, ready to be launched: its function, grid and block."""
        return [self.function(kernel), *(n for pair in geometry(kernel, self.limits) for n in pair)]

    def out_of_memory(self, error: Exception) -> Exception:
        """What is to be raised for an error of memory."""
        return error

    @abstractmethod
    def failed(self, code: int) -> BaseException:
        """What is to be raised when the driver answers with a code."""

    def product(self, i: Gemm) -> Callable[[int, int, int], None]:
        """A product of matrices, or of a batch of them, that takes the addresses of both and of the result."""
        size = i.dtype.itemsize

        def matrices(address: int, rows: int, columns: int, leading: int, stride: int, transposed: bool) -> Any:
            steps = (size, leading * size) if transposed else (leading * size, size)
            if i.batch == 1:
                return self.view(address, (rows, columns), i.dtype, steps)
            return self.view(address, (i.batch, rows, columns), i.dtype, (stride * size, *steps))

        def run(x: int, y: int, out: int) -> None:
            a = matrices(x, i.m, i.k, i.lda, i.stride_a, i.transpose_a)
            b = matrices(y, i.k, i.n, i.ldb, i.stride_b, i.transpose_b)
            c = matrices(out, i.m, i.n, i.ldc, i.stride_c, False)
            if i.dtype in SMALL_FLOATS:
                a, b = a.astype(np.float32), b.astype(np.float32)
            product = self.xp.matmul(a, b)
            if i.scale != 1:
                product = product.dtype.type(i.scale) * product
            c[...] = c + product if i.accumulate else product

        return run

    @abstractmethod
    def stream(self) -> int:
        """The stream in whose order things are done now."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all is done that the current stream was given."""

    def read(self, address: int, dtype: np.dtype) -> Any:
        """The value at an address, once it is computed."""
        return self.download(self.view(address, (), dtype))[()]


@cache
def runtime() -> Runtime:
    """The GPU, or Numba's simulator of one; an error that says what is missing where there is neither."""
    if sys.platform == "darwin":
        raise DeviceError("there are no NVIDIA GPUs on macOS: remove device='cuda', and functions run on the CPU")
    try:
        from numba import cuda
        from numba.core import config
    except ImportError as error:
        raise DeviceError(MISSING) from error
    if bool(getattr(config, "ENABLE_CUDASIM", False)) or bool(
        getattr(getattr(cuda, "config", None), "ENABLE_CUDASIM", False)
    ):
        from functrans.compiler.cuda.simulator import Simulator

        return Simulator()
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(MISSING) from error
    from functrans.compiler.cuda.cupy_runtime import CuPy

    return CuPy(cupy)
