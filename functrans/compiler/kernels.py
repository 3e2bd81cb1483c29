"""From kernel text to native code: compiled by Numba, kept in memory and on disk by content.

A kernel's key is a hash of its text and of everything that decides what the text means: the helper modules it imports,
Numba, LLVM and the CPU. On disk a kernel is one file, named by its key: a checksum, the symbol's name, and the object
code. It is written to a temporary file and renamed, verified when read, and rebuilt when anything is wrong with it.
"""

from __future__ import annotations

import hashlib
import linecache
import os
import pickle
import tempfile
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from functrans import config

_ABI = "1"
_MAGIC = b"functrans kernel\n"

_lock = threading.RLock()
_addresses: dict[str, int] = {}
_libraries: list[Any] = []  # keeps native code alive
_by_source: dict[str, int] = {}
_warned = False


@dataclass
class Stats:
    """How kernels came to be since the process started."""

    compiled: int = 0
    loaded: int = 0
    reused: int = 0


_stats = Stats()


def stats() -> Stats:
    """Counts since start: compiled by LLVM, loaded from disk, found in memory."""
    return _stats


def load(source: str) -> int:
    """The address of the kernel that this text defines as `kernel(buffers, sizes, lo, hi)`."""
    address = _by_source.get(source)
    if address is not None:
        _stats.reused += 1
        return address
    with _lock:
        address = _by_source.get(source)
        if address is None:
            address = _by_source[source] = _obtain(source)
        return address


def _obtain(source: str) -> int:
    key = hashlib.sha256(f"{_fingerprint()}\0{source}".encode()).hexdigest()
    folder = config.cache_folder()
    if folder is not None:
        found = _read(folder / f"{key}.kernel")
        if found is not None:
            address = _link(*found)
            if address:
                _stats.loaded += 1
                return address
    name, state, address = _compile(source, key)
    _stats.compiled += 1
    if folder is not None:
        _write(folder / f"{key}.kernel", name, state)
    return address


@cache
def _fingerprint() -> str:
    """What a kernel's meaning depends on besides its text."""
    import llvmlite
    import numba
    from llvmlite import binding

    here = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted([here / "intrinsics.py", here / "scalars.py", *(here / "mathematics").glob("*.py")]):
        if path.exists():
            digest.update(path.read_bytes())
    parts = [
        _ABI, numba.__version__, llvmlite.__version__, binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(), binding.get_process_triple(), digest.hexdigest(),
        *(os.environ.get(f"NUMBA_{n}", "") for n in ("CPU_NAME", "CPU_FEATURES", "OPT")),
    ]  # fmt: skip
    return "\0".join(parts)


# ------------------------------------------------------------------ native code


def _function(source: str, key: str) -> Callable[..., Any]:
    filename = f"<functrans kernel {key[:12]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": f"functrans_kernel_{key[:16]}"}
    exec(compile(source, filename, "exec"), namespace)
    function = namespace["kernel"]
    function.__name__ = function.__qualname__ = f"kernel_{key[:32]}"  # a symbol of its own in every process
    return function


def _cfunc(source: str, key: str) -> Any:
    from numba import cfunc, types

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = types.void(types.intp, types.intp, types.intp, types.intp)
        return cfunc(signature, nopython=True, fastmath={"contract", "nsz"} if _CONTRACT else False)(
            _function(source, key)
        )


_CONTRACT = False


def _compile(source: str, key: str) -> tuple[str, Any, int]:
    compiled = _cfunc(source, key)
    library = compiled._library
    _libraries.append(compiled)
    return compiled._wrapper_name, library.serialize_using_object_code(), compiled.address


def _link(name: str, state: Any) -> int:
    from numba.core.registry import cpu_target

    library = cpu_target.target_context.codegen().unserialize_library(state)
    address = library.get_pointer_to_function(name)
    if address:
        _libraries.append(library)
    return address or 0


def assembly(source: str) -> str:
    """The machine code of a kernel as text; compiles it anew."""
    key = hashlib.sha256(f"assembly\0{source}".encode()).hexdigest()
    with _lock:
        return _cfunc(source, key)._library.get_asm_str()


# ------------------------------------------------------------------ files


def _read(path: Path) -> tuple[str, Any] | None:
    """The contents of a kernel file; `None` if there is none or it is damaged (it is then removed)."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, body = content[len(_MAGIC) : len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
    if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != checksum:
        path.unlink(missing_ok=True)
        return None
    return pickle.loads(body)  # what this user's own process wrote, verified above


def _write(path: Path, name: str, state: Any) -> None:
    body = pickle.dumps((name, state))
    content = _MAGIC + hashlib.sha256(body).digest() + body
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        global _warned
        if not _warned:
            _warned = True
            warnings.warn(
                f"compiled kernels cannot be kept in {path.parent} ({error.strerror or error}); they will be compiled "
                "again in every process. Set FUNCTRANS_CACHE_DIR to a folder that can be written to, or "
                "FUNCTRANS_CACHE=0 to keep them in memory.",
                stacklevel=2,
            )
