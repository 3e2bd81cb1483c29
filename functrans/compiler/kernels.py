"""From kernel text to native code: compiled by Numba, kept in memory and on disk by content.

A kernel is the text of a module that defines `kernel(buffers, sizes, lo, hi)`, with the ABI
`void(intp buffers, intp sizes, intp lo, intp hi)`: the addresses of a table of pointers and of int64s, and the part of
the outermost loop to do. Its key is a hash of its text and of everything that decides what the text means: the modules
of functrans that it imports, and what they import; Python, Numba, LLVM, their settings and the CPU.

On disk a kernel is one file, named by its key: a checksum, a line of JSON with the key and the names of its symbols,
the object code, and the bitcode from which LLVM learns what symbols it has. It is written to a temporary file and
renamed, so processes may share a folder; verified when read; removed and made anew when anything is wrong with it.
Files that have not been read for long are removed. Object code rather than Numba's own disk cache: its index would be
keyed by the time stamp of a module file for each kernel, and it verifies nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import linecache
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from functrans import config
from functrans.core.forking import COMPILING

_ABI = "3"
_MAGIC = b"functrans kernel 2\n"
_DAY = 24 * 3600.0
_KEEP = 60 * _DAY  # a file that has not been read for so long is removed

_by_source: dict[str, int] = {}
_keep: list[Any] = []  # native code lives as long as the process
_warned = False


@dataclass
class Stats:
    """How kernels came to be since the process started."""

    compiled: int = 0
    loaded: int = 0  #: from the folder
    reused: int = 0  #: from memory

    @property
    def folder(self) -> Path | None:
        """Where kernels are kept; `None` for in memory only."""
        return config.cache_folder()


_stats = Stats()


def stats() -> Stats:
    """Counts since start: compiled by LLVM, loaded from disk, found in memory."""
    return _stats


def load(source: str) -> int:
    """The address of the kernel that this text defines as `kernel(buffers, sizes, lo, hi)`."""
    address = _by_source.get(source)
    if address is None:
        with COMPILING:
            address = _by_source.get(source)
            if address is None:
                address = _by_source[source] = _obtain(source)
                return address
    _stats.reused += 1
    return address


def _obtain(source: str) -> int:
    key = _key(source)
    folder = config.cache_folder()
    path = None if folder is None else folder / f"{key}.kernel"
    if path is not None:
        address = _from_file(path, key)
        if address:
            _stats.loaded += 1
            return address
    compiled = _cfunc(source, key)
    _stats.compiled += 1
    if path is not None:
        keep_file(path, _pack(key, compiled._wrapper_name, compiled._library.serialize_using_object_code()))
    return compiled.address


# ------------------------------------------------------------------ the key


def _key(source: str) -> str:
    parts = [_ABI, *_environment(), source]
    for module in modules_of(source):
        parts += [module, content_of(module)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _environment() -> list[str]:
    """What the meaning of a text, or the machine code for it, depends on besides modules of functrans."""
    import llvmlite
    import numba
    from numba.core.registry import cpu_target

    settings = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "USING_SVML", "DEBUGINFO_DEFAULT")
    return [
        sys.implementation.cache_tag or "", numba.__version__, llvmlite.__version__,
        *map(str, cpu_target.target_context.codegen().magic_tuple()),  # triple, CPU, features
        *(str(getattr(numba.config, name, "")) for name in settings),
    ]  # fmt: skip


_IMPORT = re.compile(r"^\s*(?:from|import)\s+(functrans[\w.]*)", re.MULTILINE)


def modules_of(source: str) -> list[str]:
    """The modules of functrans that a text imports, and those that they import."""
    found: set[str] = set()
    new = set(_IMPORT.findall(source))
    while new:
        found |= new
        new = {m for name in new for m in _imports(name)} - found
    return sorted(found)


@cache
def _text(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    return b"" if spec is None or not spec.origin else Path(spec.origin).read_bytes()


@cache
def content_of(module: str) -> str:
    return hashlib.sha256(_text(module)).hexdigest()


@cache
def _imports(module: str) -> frozenset[str]:
    return frozenset(_IMPORT.findall(_text(module).decode()))


# ------------------------------------------------------------------ native code


def _function(source: str, key: str) -> Callable[..., Any]:
    filename = f"<functrans kernel {key[:12]}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace: dict[str, Any] = {"__name__": f"functrans_kernel_{key[:16]}"}
    exec(compile(source, filename, "exec"), namespace)
    function = namespace["kernel"]
    # Symbols by content: forked processes that number theirs alike do not collide (numba#10486).
    function.__name__ = function.__qualname__ = f"kernel_{key[:32]}"
    return function


def _cfunc(source: str, key: str) -> Any:
    from numba import types

    from functrans.compiler.pipeline import compiled

    kernel = compiled(_function(source, key), types.void(*[types.intp] * 4))
    _keep.append(kernel)
    return kernel


def assembly(source: str) -> str:
    """The machine code of a kernel as text; compiles it anew."""
    key = hashlib.sha256(f"assembly\0{source}".encode()).hexdigest()
    with COMPILING:
        return _cfunc(source, key)._library.get_asm_str()


# ------------------------------------------------------------------ files


def _pack(key: str, symbol: str, state: Any) -> bytes:
    library, kind, (code, bitcode) = state
    head = {"key": key, "symbol": symbol, "library": library, "kind": kind, "code": len(code)}
    body = json.dumps(head).encode() + b"\n" + code + bitcode
    return _MAGIC + hashlib.sha256(body).digest() + body


def _unpack(content: bytes, key: str) -> tuple[str, Any]:
    """The symbol and the library of a file's content; ValueError if it is not what was written for this key."""
    start = len(_MAGIC) + 32
    body = content[start:]
    if not content.startswith(_MAGIC) or hashlib.sha256(body).digest() != content[len(_MAGIC) : start]:
        raise ValueError("damaged")
    line, _, rest = body.partition(b"\n")
    head = json.loads(line)
    if head["key"] != key:
        raise ValueError("another kernel's file")
    return head["symbol"], (head["library"], head["kind"], (rest[: head["code"]], rest[head["code"] :]))


def _from_file(path: Path, key: str) -> int:
    """The address of the kernel in a file; 0 if there is none, or it is of no use (it is then removed)."""
    from numba.core.registry import cpu_target

    try:
        content = path.read_bytes()
    except OSError:
        return 0
    try:
        symbol, state = _unpack(content, key)
        library = cpu_target.target_context.codegen().unserialize_library(state)
        address = library.get_pointer_to_function(symbol)
    except Exception:  # whatever is wrong with it, it can be made anew
        address = 0
    if not address:
        with suppress(OSError):
            path.unlink()
        return 0
    _keep.append(library)
    with suppress(OSError):
        if time.time() - path.stat().st_mtime > _DAY:
            os.utime(path)  # it is in use
    return address


def keep_file(path: Path, content: bytes) -> None:
    """Write a file of the folder, for other processes either whole or not there."""
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _prune(folder)
    except OSError as error:
        global _warned
        if not _warned:
            _warned = True
            warnings.warn(
                f"compiled kernels cannot be kept in {folder} ({error.strerror or error}); they will be compiled "
                "again in every process. Set FUNCTRANS_CACHE_DIR to a folder that can be written to, or "
                "FUNCTRANS_CACHE=0 to keep them in memory.",
                stacklevel=2,
            )


@cache
def _prune(folder: Path) -> None:
    """Remove what has not been read for long, and what writers that died left: once a process."""
    now = time.time()
    for pattern, age in (("*.kernel", _KEEP), (".writing-*", _DAY)):
        for path in folder.glob(pattern):
            with suppress(OSError):
                if now - path.stat().st_mtime > age:
                    path.unlink()
