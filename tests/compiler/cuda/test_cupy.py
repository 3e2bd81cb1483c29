"""The runtime of a real GPU on a stand-in for CuPy and CUDA's driver, which is strict; and its names in the real CuPy.

Memory of the stand-in is the host's, and is known by its addresses while arrays hold it. Kernels are loaded as machine
code, and run as PTX.
"""

import ctypes
import importlib.util
import inspect
import os
import re
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from emulation import Emulator
from families import FAMILIES, assert_close

import functrans as ft
import functrans.numpy as fnp
from functrans import config, errors
from functrans.compiler.cuda import cupy_runtime
from functrans.compiler.cuda.cupy_runtime import CuPy
from functrans.compiler.cuda.program import DeviceProgram, lower
from functrans.compiler.plan import Gemm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"),
    pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") == "1", reason="the simulator compiles nothing"),
]

GPU_BYTES = 1 << 22


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with config.cache(tmp_path_factory.mktemp("kernels")):
        yield


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    pass


class FakeArray(np.ndarray):
    """An array of CuPy's, as far as the runtime looks at it."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self):
        return SimpleNamespace(id=0)

    def set(self, array):
        assert type(array) is np.ndarray
        assert (array.shape, array.dtype) == (self.shape, self.dtype)
        assert self.flags.c_contiguous
        self.view(np.ndarray)[...] = array


class FakeCuPy:
    """CuPy and its driver, with the memory of a small GPU."""

    __name__ = "a stand-in for cupy"
    ndarray = FakeArray

    def __init__(self, count=1, device=0):
        self.live = {}  # sizes by address
        self.current, self.contexts, self.loaded = device, set(), []
        self.this_stream = SimpleNamespace(ptr=7, synchronize=lambda: None)
        runtime = SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError, getDeviceCount=lambda: count, getDevice=lambda: self.current,
            getDeviceProperties=lambda device: {"name": b"A GPU", "major": 9, "minor": 0, "multiProcessorCount": 2},
            memGetInfo=self.mem_get_info, memcpyDeviceToDevice=3, memcpyAsync=self.memcpy, memsetAsync=self.memset,
        )  # fmt: skip
        self.cuda = SimpleNamespace(
            runtime=runtime, memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError), driver=SimpleNamespace(
                CUDADriverError=lambda code: RuntimeError(f"CUDA_ERROR number {code}")),
            function=SimpleNamespace(Module=lambda: FakeModule(self)), UnownedMemory=self.unowned,
            MemoryPointer=lambda memory, offset: memory, get_current_stream=lambda: self.this_stream,
            cublas=SimpleNamespace(gemmStridedBatchedEx=self.gemm), device=SimpleNamespace(
                get_cublas_handle=lambda: 11),
        )  # fmt: skip

    def mem_get_info(self):
        self.contexts.add(threading.get_ident())
        return GPU_BYTES - sum(self.live.values()), GPU_BYTES

    def get_default_memory_pool(self):
        return SimpleNamespace(free_bytes=lambda: 0)

    def empty(self, shape, dtype):
        size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
        if size > self.mem_get_info()[0]:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes.")
        memory = np.full(size + 512, 0xA5, np.uint8)
        start = -memory.ctypes.data % 512
        out = memory[start : start + size].view(dtype).reshape(shape).view(FakeArray)
        self.live[out.ctypes.data] = size
        weakref.finalize(memory, self.live.pop, out.ctypes.data)
        return out

    def check(self, address, size):
        assert type(address) is int
        assert any(a <= address and address + size <= a + n for a, n in self.live.items()), "memory that is not there"

    def unowned(self, address, size, owner, device):
        assert (owner, device) == (None, 0)
        self.check(address, size)
        return address, size

    def ndarray(self, shape, dtype, memory, strides=None):  # noqa: F811
        address, size = memory
        block = (ctypes.c_char * size).from_address(address)
        return np.ndarray(shape, dtype, block, strides=strides).view(FakeArray)

    def asnumpy(self, array):
        assert isinstance(array, FakeArray)
        return np.array(array.view(np.ndarray))

    def ascontiguousarray(self, array):
        out = self.empty(array.shape, array.dtype)
        out[...] = array
        return out

    def memcpy(self, target, source, size, kind, stream):
        assert (kind, stream) == (3, self.this_stream.ptr)
        self.check(target, size)
        self.check(source, size)
        ctypes.memmove(target, source, size)

    def memset(self, target, value, size, stream):
        assert stream == self.this_stream.ptr
        self.check(target, size)
        ctypes.memset(target, value, size)

    def gemm(
        self, handle, transa, transb, m, n, k, alpha, a, a_type, lda, stride_a, b, b_type, ldb, stride_b, beta, c,
        c_type, ldc, stride_c, count, compute, algorithm,
    ):  # fmt: skip
        """`cublasGemmStridedBatchedEx`: matrices are column-major."""
        assert (handle, algorithm) == (11, -1)
        assert a_type == b_type == c_type
        assert lda >= max(1, k if transa else m)
        assert ldb >= max(1, n if transb else k)
        assert ldc >= max(1, m)
        names = {2: "float16", 14: "bfloat16", 0: "float32", 1: "float64", 4: "complex64", 5: "complex128"}
        dtype = np.empty(0, dtype=ft.numpy.dtype(names[a_type]) if a_type != 14 else ft.numpy.bfloat16).dtype
        assert compute == (70 if names[a_type] in ("float64", "complex128") else 68)
        scalar = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
        factors = [np.ndarray((), scalar, (ctypes.c_char * scalar.itemsize).from_address(at)) for at in (alpha, beta)]

        def matrices(address, rows, columns, leading, stride):
            size = dtype.itemsize
            extent = size * ((count - 1) * stride + (columns - 1) * leading + rows)
            self.check(address, extent)
            block = (ctypes.c_char * extent).from_address(address)
            return np.ndarray((count, rows, columns), dtype, block, strides=(stride * size, size, leading * size))

        x = matrices(a, *((k, m) if transa else (m, k)), lda, stride_a).astype(scalar)
        y = matrices(b, *((n, k) if transb else (k, n)), ldb, stride_b).astype(scalar)
        z = matrices(c, m, n, ldc, stride_c)
        product = (x.swapaxes(1, 2) if transa else x) @ (y.swapaxes(1, 2) if transb else y)
        z[...] = (factors[0] * product + (factors[1] * z if factors[1] else 0)).astype(dtype)


class FakeModule:
    """A module of machine code."""

    def __init__(self, cupy):
        self.cupy = cupy

    def load(self, cubin):
        assert type(cubin) is bytes
        assert cubin[:4] == b"\x7fELF"
        assert int.from_bytes(cubin[18:20], "little") == 190, "not machine code of a GPU"
        self.cubin = cubin

    def get_function(self, name):
        assert name.encode() + b"\0" in self.cubin
        return SimpleNamespace(ptr=len(self.cupy.loaded) + 1, module=self)


class Emulated(CuPy):
    """The runtime with a driver that runs PTX."""

    def __init__(self, cupy, monkeypatch):
        self.emulator = Emulator()
        launch = cupy_driver(cupy, self.emulator)
        functions = np.array([ctypes.cast(f, ctypes.c_void_p).value for f in launch], np.int64)
        monkeypatch.setattr(cupy_runtime, "_driver_functions", lambda: functions)
        self.keep = launch
        super().__init__(cupy)

    def function(self, kernel):
        known = len(self._functions)
        handle = super().function(kernel)
        if len(self._functions) > known:
            self.xp.loaded.append(kernel)
            assert self.emulator.function(kernel) == handle
        return handle


def cupy_driver(cupy, emulator):
    """`cuLaunchKernel`, `cuMemcpyDtoDAsync`, `cuMemsetD8Async`."""
    from functrans.compiler.cuda import simulator

    def guarded(call):
        def run(*arguments):
            try:
                assert threading.get_ident() in cupy.contexts, "a thread without a context"
                return call(*arguments)
            except Exception as error:
                print(f"{type(error).__name__}: {error}")
                return 700  # CUDA_ERROR_ILLEGAL_ADDRESS

        return run

    def launch(function, *arguments):
        gx, gy, _, bx, by, _, _, stream, pointers, _ = arguments
        assert stream == cupy.this_stream.ptr
        assert 0 < gx < 1 << 31
        assert 0 < gy < 1 << 16
        assert 0 < bx * by <= 1024
        kernel = cupy.loaded[function - 1]
        table = (ctypes.c_void_p * len(kernel.buffers)).from_address(pointers)
        for at, v in zip(table, kernel.buffers):
            cupy.check(ctypes.c_int64.from_address(at).value, v.aval.size * v.aval.dtype.itemsize)
        return emulator._launch(function, *arguments)

    copy = lambda target, source, size, stream: cupy.memcpy(target, source, size, 3, stream) or 0
    zero = lambda target, value, size, stream: cupy.memset(target, value, size, stream) or 0
    return [
        kind(guarded(call))
        for kind, call in ((simulator._LAUNCH, launch), (simulator._COPY, copy), (simulator._ZERO, zero))
    ]


@pytest.fixture
def gpu(monkeypatch):
    return Emulated(FakeCuPy(), monkeypatch)


def program_of(function, args, runtime):
    traced = ft.jit(function).trace(*args)
    return DeviceProgram(lower(traced.jaxpr.jaxpr, traced.jaxpr.consts).plan, runtime)


@pytest.mark.parametrize("name", ["float16", "gather", "matmul", "scatter", "softmax_of_long_rows", "sum_in_parts"])
def test_family(name, gpu):
    function, args, _ = FAMILIES[name]
    program = program_of(function, args, gpu)
    arrays = [gpu.upload(np.asarray(a)) for a in args]
    for _ in range(2):
        outs = program(*arrays)
    for out, wanted in zip([gpu.download(out) for out in outs], ft.tree.leaves(ft.jit(function)(*args)), strict=True):
        assert_close(out, wanted)
    del outs, arrays, program
    assert not gpu.xp.live  # nothing holds memory but programs and arrays


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128", "bfloat16"])
def test_products_of_matrices(gpu, dtype):
    dtype = np.dtype(ft.numpy.bfloat16) if dtype == "bfloat16" else np.dtype(dtype)
    rng = np.random.default_rng(0)
    for batch, ta, tb, accumulate in np.ndindex(2, 2, 2, 2):
        batch, m, n, k = batch * 2 + 1, 3, 4, 5
        shapes = (batch, *((k, m) if ta else (m, k))), (batch, *((n, k) if tb else (k, n))), (batch, m, n)
        values = [rng.normal(size=s).astype(dtype) for s in shapes]
        a, b, c = map(gpu.upload, values)
        lda, ldb = shapes[0][-1], shapes[1][-1]
        gemm = Gemm(
            dtype, 0, 1, 2, m, n, k, bool(ta), bool(tb), lda, ldb, n, batch, m * k, k * n, m * n, bool(accumulate), 0.5
        )
        gpu.product(gemm)(*map(gpu.address, (a, b, c)))
        x, y, z = (v.astype(np.complex128) for v in values)
        wanted = 0.5 * (x.swapaxes(1, 2) if ta else x) @ (y.swapaxes(1, 2) if tb else y) + accumulate * z
        np.testing.assert_allclose(
            gpu.download(c).astype(np.complex128), wanted, atol={2: 0.05}.get(dtype.itemsize, 1e-5)
        )


def test_memory_that_is_not_aligned(gpu):
    """A kernel with vectors has one without."""
    program = program_of(lambda x: x * 2 + 1, (np.ones(1000, np.float32),), gpu)
    whole = gpu.upload(np.arange(1001, dtype=np.float32))
    part = whole[1:]
    for x, first in ((part, 1), (whole[:1000], 0), (part, 1)):
        np.testing.assert_array_equal(
            gpu.download(program(x)[0]), 2 * np.arange(first, first + 1000, dtype=np.float32) + 1
        )


def test_an_index_out_of_bounds(gpu):
    program = program_of(lambda x, i: x[i], (np.ones(5), np.int64(0)), gpu)
    x, bad, good = map(gpu.upload, (np.arange(5.0), np.array(7), np.array(-1)))
    with pytest.raises(errors.IndexOutOfBoundsError, match="axis 0 with size 5"):
        program(x, bad)
    assert gpu.download(program(x, good)[0]) == 4


def test_memory_runs_out(gpu):
    program = program_of(lambda x: fnp.cumsum(fnp.cumsum(x) + x), (np.ones(300),), gpu)
    x, rest = gpu.upload(np.ones(300)), gpu.empty((GPU_BYTES - 6000,), np.dtype(np.uint8))
    for call in (
        lambda: gpu.empty((10_000,), np.dtype(np.uint8)),
        lambda: gpu.upload(np.ones(1000)),
        lambda: program(x),
    ):
        with pytest.raises(errors.DeviceMemoryError, match="Out of memory allocating .* bytes are free.*checkpoint"):
            call()
    del rest
    np.testing.assert_allclose(gpu.download(program(x)[0])[:2], [2, 5])


def test_threads_and_streams(gpu):
    program = program_of(lambda x: x + 1, (np.ones(8),), gpu)
    found = []
    thread = threading.Thread(target=lambda: found.append(gpu.download(program(gpu.upload(np.ones(8)))[0])))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0], 2)
    gpu.xp.this_stream = SimpleNamespace(ptr=99, synchronize=lambda: None)
    np.testing.assert_array_equal(gpu.download(program(gpu.upload(np.ones(8)))[0]), 2)


def test_errors_say_what_is_wrong(gpu, monkeypatch):
    gpu.xp.current = 1
    with pytest.raises(errors.DeviceError, match=r"CuPy's current device is 1.*Device\(0\)\.use"):
        gpu.upload(np.ones(3))
    with pytest.raises(errors.DeviceError, match="no NVIDIA GPU in this machine"):
        Emulated(FakeCuPy(count=0), monkeypatch)
    cupy = FakeCuPy()

    def insufficient():
        raise CUDARuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")

    cupy.cuda.runtime.getDeviceCount = insufficient
    with pytest.raises(errors.DeviceError, match=r"CUDA says cudaErrorInsufficientDriver.*no driver\)"):
        Emulated(cupy, monkeypatch)
    assert isinstance(gpu.failed(2), errors.DeviceMemoryError)
    assert "CUDA_ERROR number 700" in str(gpu.failed(700))


# ---------------------------------------------------------------- the real CuPy


#: What is called of CuPy, with how many operands and which options.
CALLS = {
    "empty": (2, ()), "ndarray": None, "asarray": (1, ()), "from_dlpack": (1, ()), "asnumpy": (1, ()),
    "ascontiguousarray": (1, ()), "get_default_memory_pool": (0, ()), "cuda.UnownedMemory": None,
    "cuda.MemoryPointer": None, "cuda.get_current_stream": (0, ()), "cuda.function.Module": None,
    "cuda.function.Module.load": None, "cuda.function.Module.get_function": None, "cuda.function.Function.ptr": None,
    "cuda.memory.OutOfMemoryError": None, "cuda.driver.CUDADriverError": None,
    "cuda.runtime.CUDARuntimeError": None, "cuda.runtime.getDeviceCount": (0, ()), "cuda.runtime.getDevice": (0, ()),
    "cuda.runtime.getDeviceProperties": (1, ()), "cuda.runtime.memGetInfo": (0, ()),
    "cuda.runtime.memcpyAsync": (5, ()), "cuda.runtime.memsetAsync": (4, ()),
    "cuda.runtime.memcpyDeviceToDevice": None, "cuda.device.get_cublas_handle": (0, ()),
    "cuda.cublas.gemmStridedBatchedEx": (23, ()), "linalg.solve": (2, ()), "linalg.cholesky": (1, ()),
    "linalg.det": (1, ()), "linalg.slogdet": (1, ()), "linalg.eigh": (1, ()), "linalg.eig": (1, ()),
    "linalg.svd": (1, ("full_matrices",)), "linalg.qr": (2, ()), "fft.fftn": (4, ()), "fft.ifftn": (4, ()),
    "fft.rfftn": (4, ()), "fft.irfftn": (4, ()), "sort": (2, ("kind",)), "argsort": (2, ("kind",)),
    "take_along_axis": (3, ()), "broadcast_to": (2, ()), "broadcast_shapes": (2, ()), "swapaxes": (3, ()),
    "stack": (1, ()), "concatenate": (2, ()), "zeros_like": (1, ()), "empty_like": (1, ()),
    "matmul": (2, ()),
}  # fmt: skip


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_calls_fit_cupy():
    import cupy

    for name, call in CALLS.items():
        found = cupy
        for part in name.split("."):
            found = getattr(found, part)
        if call is None:
            continue
        count, options = call
        try:
            signature = inspect.signature(found)
        except ValueError:  # of Cython: its first line says it, or nothing does
            match = re.match(r"\w+\((.*?)\)", (found.__doc__ or "").replace("\n", " "))
            if match is not None:
                operands = [p for p in match[1].split(",") if p.strip() not in ("", "*")]
                assert sum("=" not in p for p in operands) <= count <= len(operands), name
            continue
        signature.bind(*range(count), **dict.fromkeys(options))


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_special_functions_are_there():
    import cupyx.cusolver
    import cupyx.scipy.linalg
    import cupyx.scipy.special

    from functrans.compiler.cuda.libraries import _SPECIAL

    assert not [name for name in _SPECIAL.values() if not hasattr(cupyx.scipy.special, name)]
    inspect.signature(cupyx.scipy.linalg.lu_factor).bind(0, check_finite=False)
    inspect.signature(cupyx.scipy.linalg.solve_triangular).bind(0, 0, trans=0, lower=True, unit_diagonal=True)
    inspect.signature(cupyx.scipy.linalg.expm).bind(0)
    inspect.signature(cupyx.errstate).bind(linalg="raise")
    assert callable(cupyx.cusolver.check_availability)
