"""From the text of a GPU kernel to its machine code: compiled by Numba, kept in memory and on disk by content.

A text defines `kernel(...)`; the comment line above it has the types of its arguments and the size of blocks. PTX
depends on the text, on the modules of functrans that it imports, on the versions of Numba and NVVM, and on the compute
capability: these are the key. nvJitLink makes machine code of it (a cubin), as a driver may be older than the NVVM that
wrote the PTX; where that library is missing, the driver is given the PTX. A GPU is not needed for either. A file holds
a checksum and the code; one that is not as it was written is removed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import linecache
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import SimpleNamespace
from typing import Any

from functrans import config
from functrans.compiler.kernels import content_of, keep_file, modules_of, stats
from functrans.errors import DeviceError

#: The compute capability of a GPU, as (8, 0).
Capability = tuple[int, int]

#: The newest compute capability that PTX is written for: machine code for newer GPUs is made from that.
NEWEST = (9, 0)

_MAGIC = b"functrans gpu 2\n"  # another number when code for the same text and versions is another
_SIGNATURE = re.compile(r"^# \((.*)\) in blocks of (\d+)\ndef kernel\(", re.MULTILINE)
_ENTRY = re.compile(rb"\.visible \.entry (\w+)")

_lock = threading.RLock()
_ptx: dict[tuple[str, Capability], bytes] = {}
_cubins: dict[tuple[str, Capability], tuple[bytes, str]] = {}


def ptx_of(source: str, capability: Capability) -> bytes:
    """The PTX of a kernel for a compute capability."""
    with _lock:
        if (source, capability) not in _ptx:
            _ptx[source, capability] = _kept("ptx", source, capability, lambda: _compiled(source, capability))
        return _ptx[source, capability]


def cubin_of(source: str, architecture: Capability) -> tuple[bytes, str]:
    """The machine code of a kernel for GPUs of an architecture, and the kernel's name in it."""
    found = _cubins.get((source, architecture))
    if found is not None:
        stats().reused += 1
        return found
    with _lock:

        def linked() -> bytes:
            capability = min(architecture, NEWEST)
            ptx = _ptx.get((source, capability)) or _ptx.setdefault((source, capability), _compiled(source, capability))
            try:
                code = link(ptx, architecture)[0]
            except (ImportError, RuntimeError):  # there is no nvJitLink: the driver makes machine code of it
                code = ptx + b"\0"
            return entry_of(ptx).encode() + b"\n" + code

        entry, _, cubin = _kept("cubin", source, architecture, linked).partition(b"\n")
        _cubins[source, architecture] = cubin, entry.decode()
    return _cubins[source, architecture]


def link(ptx: bytes, architecture: Capability) -> tuple[bytes, str]:
    """Machine code from PTX, and what the assembler says of it: registers, spills."""
    linker: Any = importlib.import_module("cuda.bindings.nvjitlink")
    handle = linker.create(2, [f"-arch=sm_{architecture[0]}{architecture[1]}", "-verbose"])
    try:
        linker.add_data(handle, linker.InputType.PTX, ptx, len(ptx), "kernel")
        linker.complete(handle)
        cubin, log = bytearray(linker.get_linked_cubin_size(handle)), bytearray(linker.get_info_log_size(handle))
        linker.get_linked_cubin(handle, cubin)
        linker.get_info_log(handle, log)
    finally:
        linker.destroy(handle)
    return bytes(cubin), log.decode(errors="replace")


def entry_of(ptx: bytes) -> str:
    """The name of the kernel in PTX."""
    found = _ENTRY.search(ptx)
    assert found is not None, "PTX without a kernel"
    return found[1].decode()


def _kept(kind: str, source: str, capability: Capability, make: Callable[[], bytes]) -> bytes:
    """Code of a kind from the folder, or made anew and put there."""
    key = _key(kind, source, capability)
    folder = config.cache_folder()
    path = None if folder is None else folder / f"{key}.{kind}.kernel"
    if path is not None:
        with suppress(OSError):
            content = path.read_bytes()
            start = len(_MAGIC) + 32
            body = content[start:]
            if content.startswith(_MAGIC) and hashlib.sha256(body).digest() == content[len(_MAGIC) : start]:
                stats().loaded += 1
                return body
            path.unlink()
    code = make()
    stats().compiled += 1
    if path is not None:
        keep_file(path, _MAGIC + hashlib.sha256(code).digest() + code)
    return code


def _key(kind: str, source: str, capability: Capability) -> str:
    parts = [kind, str(capability), *_versions(), source]
    for module in modules_of(source):
        parts += [module, content_of(module)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    found = []
    for package in ("numba", "numba-cuda", "llvmlite", "nvidia-nvvm", "nvidia-nvjitlink", "cuda-toolkit"):
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package} none")
    return tuple(found)


def function_of(source: str, translate: Callable[[str], str] = lambda text: text) -> Callable[..., Any]:
    """The Python function that a text defines."""
    key = hashlib.sha256(source.encode()).hexdigest()
    filename = f"<functrans GPU kernel {key[:12]}>"
    text = translate(source)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": f"functrans_gpu_kernel_{key[:16]}"}
    exec(compile(text, filename, "exec"), namespace)
    function = namespace["kernel"]
    function.__name__ = function.__qualname__ = f"kernel_{key[:16]}"
    return function


def signature_of(source: str) -> tuple[list[str], int]:
    """The types of a kernel's arguments, `float32*`, `int64`, ..., and how many threads a block has at most."""
    found = _SIGNATURE.search(source)
    assert found is not None, "a kernel's text without a signature"
    return [t.strip() for t in found[1].split(",")] if found[1] else [], int(found[2])


def _compiled(source: str, capability: Capability) -> bytes:
    try:
        from numba import cuda, types
    except ImportError as error:  # pragma: no cover: numba without its CUDA target
        raise DeviceError(MISSING) from error
    if not hasattr(cuda, "compile_ptx") or cuda.compile_ptx is None:
        raise DeviceError("kernels cannot be compiled for a GPU in Numba's simulator (NUMBA_ENABLE_CUDASIM is set)")
    names, threads = signature_of(source)
    arguments = []
    for name in names:
        element = getattr(types, name.rstrip("*"))
        arguments.append(types.CPointer(element) if name.endswith("*") else element)
    with warnings.catch_warnings(), _as_if_on(capability):
        warnings.simplefilter("ignore")  # of Numba's: that there is no GPU, that a grid is small
        bounds = threads, max(512 // threads, 1)  # blocks that share a multiprocessor: threads have 128 registers
        ptx, _ = cuda.compile_ptx(function_of(source), types.void(*arguments), cc=capability, launch_bounds=bounds)
    return ptx.encode()


@contextmanager
def _as_if_on(capability: Capability) -> Iterator[None]:
    """Compile the functions that a kernel calls for its compute capability too: Numba asks the driver for one."""
    dispatcher: Any = importlib.import_module("numba.cuda.dispatcher")
    lock: Any = importlib.import_module("numba.cuda.core.compiler_lock").global_compiler_lock
    with lock:  # nobody else compiles meanwhile
        asked = dispatcher.get_current_device
        dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
        try:
            yield
        finally:
            dispatcher.get_current_device = asked


MISSING = (
    "kernels for NVIDIA GPUs need the packages numba-cuda and cupy: pip install 'functrans[cuda]' (for CUDA 13; "
    "docs/gpu.md has other versions)"
)
