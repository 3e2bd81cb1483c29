"""Settings: threads and the kernel cache.

Each has an environment variable that gives its value at start:

- `FUNCTRANS_NUM_THREADS`: threads that kernels run on (default: the cores that the process may use).
- `FUNCTRANS_CACHE_DIR`: the folder of compiled kernels (default: `functrans` in the user's cache folder).
- `FUNCTRANS_CACHE=0`: keep compiled kernels in memory only.

All hold for the whole process, also inside the blocks of `threads` and `cache`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from functrans.errors import ArgumentError

__all__ = ["cache", "cache_folder", "num_threads", "set_cache_folder", "set_num_threads", "threads"]


# ------------------------------------------------------------------ threads


def _cores() -> int:
    """The cores that the process may use: by its affinity, and by the quota of its container."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return cores


def _checked(n: object) -> int:
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ArgumentError(f"the number of threads must be a positive integer, got {n!r}")
    return n


def _threads_at_start() -> int:
    text = os.environ.get("FUNCTRANS_NUM_THREADS", "")
    if text.isdecimal() and int(text):
        return int(text)
    if text:
        warnings.warn(f"FUNCTRANS_NUM_THREADS must be a positive integer, is {text!r}: ignored", stacklevel=2)
    return _cores()


_threads = _threads_at_start()


def num_threads() -> int:
    """How many threads a kernel may run on."""
    return _threads


def set_num_threads(n: int) -> None:
    """Set how many threads a kernel may run on, in the whole process.

    >>> from functrans import config
    >>> config.set_num_threads(config.num_threads())
    """
    global _threads
    _threads = _checked(n)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Another number of threads inside the block.

    >>> from functrans import config
    >>> with config.threads(1):
    ...     config.num_threads()
    1
    """
    outer = _threads
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(outer)


# ------------------------------------------------------------------ the kernel cache

_set: list[Path | None] = []  # what `set_cache_folder` was last given, if it was called


def cache_folder() -> Path | None:
    """The folder of compiled kernels, or `None` when they are kept in memory only."""
    if _set:
        return _set[0]
    if os.environ.get("FUNCTRANS_CACHE", "") == "0":
        return None
    given = os.environ.get("FUNCTRANS_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    return base / "functrans"


def set_cache_folder(folder: str | os.PathLike[str] | None) -> None:
    """Set the folder of compiled kernels; `None` keeps them in memory only.

    >>> from functrans import config
    >>> config.set_cache_folder(config.cache_folder())
    """
    _set[:] = [None if folder is None else Path(folder).expanduser()]


@contextmanager
def cache(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Another folder of compiled kernels inside the block; `None` for none.

    >>> from functrans import config
    >>> with config.cache(None):
    ...     print(config.cache_folder())
    None
    """
    outer = list(_set)
    set_cache_folder(folder)
    try:
        yield
    finally:
        _set[:] = outer
