"""Settings: threads and the kernel cache.

Each has an environment variable that gives its value at start:

- `FUNCTRANS_NUM_THREADS`: threads that kernels run on (default: the cores that the process may use).
- `FUNCTRANS_CACHE_DIR`: the folder of compiled kernels (default: `functrans` in the user's cache folder).
- `FUNCTRANS_CACHE=0`: keep compiled kernels in memory only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from functrans.errors import ArgumentError

__all__ = ["cache_folder", "num_threads", "set_num_threads", "threads"]


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _checked(n: object) -> int:
    if not isinstance(n, int) or n < 1:
        raise ArgumentError(f"the number of threads must be a positive integer, got {n!r}")
    return n


def _threads_at_start() -> int:
    text = os.environ.get("FUNCTRANS_NUM_THREADS", "")
    return _checked(int(text)) if text.isdigit() and int(text) else _cores()


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


def cache_folder() -> Path | None:
    """The folder of compiled kernels, or `None` when they are kept in memory only."""
    if os.environ.get("FUNCTRANS_CACHE", "") == "0":
        return None
    given = os.environ.get("FUNCTRANS_CACHE_DIR")
    if given:
        return Path(given)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "functrans"
