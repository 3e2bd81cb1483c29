"""What programs need of a GPU, and who provides it: CuPy on a real one, NumPy where Numba's simulator stands in for it.

A runtime's arrays are its library's (`cupy.ndarray`, `np.ndarray`); addresses are integers. Everything is done in the
order of the stream that is current; nothing waits but what reads values (`download`, `read`, `synchronize`).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from functrans.compiler.cuda.kernels import MISSING, Capability
from functrans.compiler.cuda.schedule import GridKernel, Limits
from functrans.errors import DeviceError

#: Launches a kernel with the addresses of its buffers, its sizes, and the address of its status word, if it has one.
Launcher = Callable[[Sequence[int], Sequence[int], int], None]


class Runtime(ABC):
    """One GPU."""

    name: str
    capability: Capability
    limits: Limits
    xp: Any  #: the library of arrays: `cupy`, or `numpy` in the simulator

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A new array from the pool."""

    @abstractmethod
    def upload(self, array: np.ndarray) -> Any:
        """A host array's copy on the device."""

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
    def load(self, kernel: GridKernel) -> Launcher:
        """A kernel, ready to be launched."""

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
