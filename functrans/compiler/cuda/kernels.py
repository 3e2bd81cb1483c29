"""From the text of a GPU kernel to PTX: compiled by Numba, kept in memory and on disk by content.

A text defines `kernel(...)`; the comment line above it has the types of its arguments. PTX depends on the text, on the
modules of functrans that it imports, on the versions of Numba and NVVM, and on the compute capability: these are the
key. A GPU is not needed. A file holds a checksum and the PTX; one that is not as it was written is removed.
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

_MAGIC = b"functrans ptx 1\n"
_SIGNATURE = re.compile(r"^# \((.*)\)\ndef kernel\(", re.MULTILINE)
_ENTRY = re.compile(rb"\.visible \.entry (\w+)")

_lock = threading.RLock()
_by_source: dict[tuple[str, Capability], bytes] = {}


def ptx_of(source: str, capability: Capability) -> bytes:
    """The PTX of a kernel for a compute capability."""
    found = _by_source.get((source, capability))
    if found is not None:
        stats().reused += 1
        return found
    with _lock:
        found = _by_source[source, capability] = _obtain(source, capability)
    return found


def entry_of(ptx: bytes) -> str:
    """The name of the kernel in PTX."""
    found = _ENTRY.search(ptx)
    assert found is not None, "PTX without a kernel"
    return found[1].decode()


def _obtain(source: str, capability: Capability) -> bytes:
    key = _key(source, capability)
    folder = config.cache_folder()
    path = None if folder is None else folder / f"{key}.ptx.kernel"
    if path is not None:
        with suppress(OSError):
            content = path.read_bytes()
            start = len(_MAGIC) + 32
            body = content[start:]
            if content.startswith(_MAGIC) and hashlib.sha256(body).digest() == content[len(_MAGIC) : start]:
                stats().loaded += 1
                return body
            path.unlink()
    ptx = _compiled(source, capability)
    stats().compiled += 1
    if path is not None:
        keep_file(path, _MAGIC + hashlib.sha256(ptx).digest() + ptx)
    return ptx


def _key(source: str, capability: Capability) -> str:
    parts = ["cuda", str(capability), *_versions(), source]
    for module in modules_of(source):
        parts += [module, content_of(module)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _versions() -> tuple[str, ...]:
    found = []
    for package in ("numba", "numba-cuda", "llvmlite", "nvidia-nvvm", "cuda-toolkit"):
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


def signature_of(source: str) -> list[str]:
    """The types of a kernel's arguments: `float32*`, `int64`, ..."""
    found = _SIGNATURE.search(source)
    assert found is not None, "a kernel's text without a signature"
    return [t.strip() for t in found[1].split(",")] if found[1] else []


def _compiled(source: str, capability: Capability) -> bytes:
    try:
        from numba import cuda, types
    except ImportError as error:  # pragma: no cover: numba without its CUDA target
        raise DeviceError(MISSING) from error
    if not hasattr(cuda, "compile_ptx") or cuda.compile_ptx is None:
        raise DeviceError("kernels cannot be compiled for a GPU in Numba's simulator (NUMBA_ENABLE_CUDASIM is set)")
    arguments = []
    for name in signature_of(source):
        element = getattr(types, name.rstrip("*"))
        arguments.append(types.CPointer(element) if name.endswith("*") else element)
    with warnings.catch_warnings(), _as_if_on(capability):
        warnings.simplefilter("ignore")  # of Numba's: that there is no GPU, that a grid is small
        ptx, _ = cuda.compile_ptx(function_of(source), types.void(*arguments), cc=capability)
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
