"""Settings: threads, the kernel cache, memory, the search for NaN and infinities, and for keys used twice.

Each has an environment variable that gives its value at start:

- `FUNCTRANS_NUM_THREADS`: threads that kernels run on (default: the cores that the process may use).
- `FUNCTRANS_CACHE_DIR`: the folder of compiled kernels (default: `functrans` in the user's cache folder).
- `FUNCTRANS_CACHE=0`: keep compiled kernels in memory only.
- `FUNCTRANS_DEBUG_NANS=1`, `FUNCTRANS_DEBUG_INFS=1`: raise an error where a NaN, or an infinity, arises.
- `FUNCTRANS_DEBUG_KEY_REUSE=1`: raise an error where a random key is used twice.

All hold for the whole process, also inside the blocks of `threads`, `cache`, `debug_nans`, `debug_infs`
and `debug_key_reuse`. `update` takes the settings that JAX programs begin with.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from functrans.errors import ArgumentError

__all__ = [
    "cache", "cache_folder", "check_tracer_leaks", "checking_leaks", "debug_infs", "debug_key_reuse", "debug_nans",
    "default_matmul_precision", "default_prng_impl", "enable_checks", "enable_x64", "explain_cache_misses",
    "log_compiles", "num_threads", "numpy_dtype_promotion", "numpy_rank_promotion", "read", "recycled_memory",
    "set_cache_folder", "set_debug_infs", "set_debug_key_reuse", "set_debug_nans", "set_num_threads",
    "set_recycled_memory", "threads", "threefry_partitionable", "transfer_guard", "update",
]  # fmt: skip


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
    """How many threads a kernel may run on.

    >>> from functrans import config
    >>> config.num_threads() >= 1
    True
    """
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
    """The folder of compiled kernels, or `None` when they are kept in memory only.

    >>> from pathlib import Path
    >>> from functrans import config
    >>> isinstance(config.cache_folder(), Path | None)
    True
    """
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


# ------------------------------------------------------------------ memory

_recycled = 1 << 28


def recycled_memory() -> int:
    """How many bytes of large results that nobody holds any more are kept for results to come, at most.

    >>> from functrans import config
    >>> config.recycled_memory() >= 0
    True
    """
    return _recycled


def set_recycled_memory(limit: int) -> None:
    """Set that number (256 MiB at start); 0 gives memory back to the operating system at once.

    >>> from functrans import config
    >>> config.set_recycled_memory(config.recycled_memory())
    """
    global _recycled
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ArgumentError(f"the memory to be kept must be a number of bytes, got {limit!r}")
    _recycled = limit
    memory = sys.modules.get("functrans.compiler.memory")
    if memory is not None:
        memory.trim(limit)


# ------------------------------------------------------------------ NaN and infinities

#: What results are searched for: "nan", "inf", both or nothing.
watched: frozenset[str] = frozenset(
    kind for kind in ("nan", "inf") if os.environ.get(f"FUNCTRANS_DEBUG_{kind.upper()}S", "0") not in ("", "0")
)


def _watch(kind: str, enable: bool) -> None:
    global watched
    watched = watched | {kind} if enable else watched - {kind}


@contextmanager
def _watching(kind: str, enable: bool) -> Iterator[None]:
    outer = kind in watched
    _watch(kind, enable)
    try:
        yield
    finally:
        _watch(kind, outer)


def set_debug_nans(enable: bool) -> None:
    """Set whether an operation with NaN among its results is an error, in the whole process.

    >>> from functrans import config
    >>> config.set_debug_nans(False)
    """
    _watch("nan", enable)


def set_debug_infs(enable: bool) -> None:
    """Set whether an operation with an infinity among its results is an error, in the whole process.

    >>> from functrans import config
    >>> config.set_debug_infs(False)
    """
    _watch("inf", enable)


def debug_nans(enable: bool = True) -> AbstractContextManager[None]:
    """Inside the block, operations of functrans with NaN among their results raise `NonFiniteError`.

    The error, a `FloatingPointError`, names the operation and its line. A compiled program is searched when NaN is
    among its own results: it runs a second time then, equation by equation. NumPy's operations on plain arrays are
    NumPy's: `np.errstate(invalid="raise")` is for those.

    >>> import functrans as ft, numpy as np
    >>> @ft.jit
    ... def f(x):
    ...     y = np.log(x)
    ...     return y * 2
    >>> with np.errstate(invalid="ignore"), ft.config.debug_nans():
    ...     f(-1.0)
    Traceback (most recent call last):
        ...
    functrans.errors.NonFiniteError: nan in a result of log at ...
    """
    return _watching("nan", enable)


def debug_infs(enable: bool = True) -> AbstractContextManager[None]:
    """Inside the block, operations of functrans with infinities among their results raise `NonFiniteError`.

    As `debug_nans` does for NaN.

    >>> import functrans as ft, numpy as np
    >>> with ft.config.debug_infs():
    ...     ft.jit(lambda x: 1 / x)(0.0)
    Traceback (most recent call last):
        ...
    functrans.errors.NonFiniteError: inf in a result of div at ...
    """
    return _watching("inf", enable)


# ------------------------------------------------------------------ random keys

#: Whether a random key used twice is an error.
key_reuse_watched: bool = os.environ.get("FUNCTRANS_DEBUG_KEY_REUSE", "0") not in ("", "0")


def set_debug_key_reuse(enable: bool) -> None:
    """Set whether using a random key twice is an error, in the whole process.

    >>> from functrans import config
    >>> config.set_debug_key_reuse(False)
    """
    global key_reuse_watched
    key_reuse_watched = enable


@contextmanager
def debug_key_reuse(enable: bool = True) -> Iterator[None]:
    """Inside the block, a sampler of `functrans.random` or `split` given a key that was used before raises an error.

    Keys are known by their values, also inside compiled functions, as far as these were traced inside the block.
    `random.fold_in` does not use up its key, and `random.clone` lets a key be used once more. What was used is
    forgotten at the end of the block.

    >>> import functrans as ft
    >>> key = ft.random.key(0)
    >>> with ft.config.debug_key_reuse():
    ...     x = ft.random.normal(key)
    ...     y = ft.random.uniform(key)
    Traceback (most recent call last):
        ...
    functrans.errors.KeyReuseError: the key [0, 0] was used before, by random.normal at ...
    """
    outer = key_reuse_watched
    set_debug_key_reuse(enable)
    try:
        yield
    finally:
        set_debug_key_reuse(outer)


# ------------------------------------------------------------------ JAX's names

_DTYPES = "dtypes are NumPy's, float64 stays float64; write dtype=np.float32 where arrays are made"
_PLATFORM = 'the CPU is the default; write jit(f, device="cuda") or default_device("cuda") for a GPU'
_KEYS = "keys and their numbers are those of Threefry, as JAX's are by default"

#: Settings that hold one value here: the values that mean it, the first of which is read, and what to do instead.
_FIXED: dict[str, tuple[tuple[object, ...], str]] = {
    "jax_enable_x64": ((True,), _DTYPES),
    "jax_numpy_dtype_promotion": (("standard",), "dtypes combine as NumPy's do"),
    "jax_numpy_rank_promotion": (("allow", None), "arrays of different ranks broadcast, as NumPy's do"),
    "jax_platforms": ((None, "cpu", ""), _PLATFORM),
    "jax_platform_name": (("cpu", "", None), _PLATFORM),
    "jax_num_cpu_devices": ((1, -1), "the CPU is one device; config.set_num_threads says how much of it is used"),
    "jax_default_prng_impl": (("threefry2x32",), _KEYS),
    "jax_threefry_partitionable": ((True,), _KEYS),
    "jax_enable_custom_prng": ((False,), "keys are arrays of uint32"),
    "jax_legacy_prng_key": (("allow",), "keys are arrays of uint32"),
    "jax_random_seed_offset": ((0,), "add it to the seeds"),
}

#: Settings without effect, for they never change a result: accepted, and read as they were set.
_IDLE: dict[str, object] = {
    "jax_default_matmul_precision": None,
    "jax_check_tracer_leaks": False,
    "jax_enable_checks": False,
    "jax_softmax_custom_jvp": True,
    "jax_log_compiles": False,
    "jax_explain_cache_misses": False,
    "jax_traceback_filtering": "auto",
    "jax_logging_level": "NOTSET",
    "jax_pprint_use_color": False,
    "jax_compilation_cache_max_size": -1,
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_persistent_cache_enable_xla_caches": "none",
    "jax_raise_persistent_cache_errors": False,
    "jax_cpu_enable_async_dispatch": False,
    "jax_transfer_guard": None,
    "jax_transfer_guard_host_to_device": None,
    "jax_transfer_guard_device_to_device": None,
    "jax_transfer_guard_device_to_host": None,
}

#: Settings that say something here: how each is read, and how it is set.
_SETTABLE: dict[str, tuple[Callable[[], object], Callable[[Any], None]]] = {}


def settable(name: str, read: Callable[[], object], write: Callable[[Any], None]) -> None:
    """Declare a setting of JAX's that a part above this file holds."""
    _SETTABLE[name] = (read, write)


def _set_compilation_cache(folder: Any) -> None:
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"jax_compilation_cache_dir cannot be {folder!r}: it is a path, or None for none")
    set_cache_folder(folder)


def _enable_compilation_cache(enable: Any) -> None:
    if not enable:
        set_cache_folder(None)
    elif cache_folder() is None:
        _set.clear()


settable("jax_debug_nans", lambda: "nan" in watched, lambda value: set_debug_nans(bool(value)))
settable("jax_debug_infs", lambda: "inf" in watched, lambda value: set_debug_infs(bool(value)))
settable("jax_debug_key_reuse", lambda: key_reuse_watched, lambda value: set_debug_key_reuse(bool(value)))
settable("jax_compilation_cache_dir", cache_folder, _set_compilation_cache)
settable("jax_enable_compilation_cache", lambda: cache_folder() is not None, _enable_compilation_cache)


def _unknown(name: object) -> ArgumentError:
    return ArgumentError(
        f"there is no setting {name!r}; of JAX's there are {', '.join(sorted({*_FIXED, *_IDLE, *_SETTABLE}))}. The "
        "functions of functrans.config set what else there is"
    )


def update(name: str, value: object) -> None:
    """A setting by its name in JAX, so that a program that sets it runs unchanged.

    Args:
        name: `jax_debug_nans`, `jax_debug_infs`, `jax_debug_key_reuse`, `jax_disable_jit`, `jax_default_device`,
            `jax_compilation_cache_dir` and `jax_enable_compilation_cache` say here what they say there.
            `jax_enable_x64` may be `True`, `jax_platforms` may be `"cpu"`, `jax_numpy_rank_promotion` may be
            `"allow"`, and so on: what holds anyway. Settings that never change a result (`jax_log_compiles`,
            `jax_default_matmul_precision`, ...) are accepted and have no effect.
        value: the value.

    Raises:
        ArgumentError: there is no such setting, or it cannot have this value.

    >>> from functrans import config
    >>> config.update("jax_enable_x64", True)
    >>> config.update("jax_enable_x64", False)
    Traceback (most recent call last):
        ...
    functrans.errors.ArgumentError: jax_enable_x64 cannot be False: dtypes are NumPy's...
    """
    if name in _SETTABLE:
        _SETTABLE[name][1](value)
    elif name in _FIXED:
        accepted, instead = _FIXED[name]
        if value not in accepted:
            raise ArgumentError(f"{name} cannot be {value!r}: {instead}")
    elif name in _IDLE:
        _IDLE[name] = value
    else:
        raise _unknown(name)


def read(name: str) -> Any:
    """The value of a setting by its name in JAX; `config.jax_enable_x64` reads it too.

    Raises:
        ArgumentError: there is no such setting.

    >>> from functrans import config
    >>> config.read("jax_enable_x64"), config.jax_debug_nans
    (True, False)
    """
    if name in _SETTABLE:
        return _SETTABLE[name][0]()
    if name in _FIXED:
        return _FIXED[name][0][0]
    if name in _IDLE:
        return _IDLE[name]
    raise _unknown(name)


def __getattr__(name: str) -> Any:
    if name.startswith("jax_"):
        try:
            return read(name)
        except ArgumentError as error:
            raise AttributeError(str(error)) from None
    raise AttributeError(f"module 'functrans.config' has no attribute {name!r}")


_UNSET: Any = object()


def _block(
    setting: str, *default: object, example: object = True, name: str | None = None
) -> Callable[..., AbstractContextManager[None]]:
    """A setting of JAX's inside a block; `default` is what a call without a value sets, if there is one."""
    name = name or setting.removeprefix("jax_")

    @contextmanager
    def block(value: object) -> Iterator[None]:
        outer = read(setting)
        update(setting, value)
        try:
            yield
        finally:
            update(setting, outer)

    def enter(new_val: object = _UNSET) -> AbstractContextManager[None]:
        if new_val is not _UNSET:
            return block(new_val)
        if not default:
            raise ArgumentError(f"{enter.__name__} takes a value")
        return block(*default)

    enter.__name__ = enter.__qualname__ = name
    enter.__doc__ = f"""`config.update({setting!r}, value)` inside a `with` block.

    >>> from functrans import config
    >>> with config.{name}({example!r}):
    ...     config.read({setting!r})
    {example!r}
    """
    return enter


enable_x64 = _block("jax_enable_x64", True)
check_tracer_leaks = _block("jax_check_tracer_leaks", True)
checking_leaks = _block("jax_check_tracer_leaks", True, name="checking_leaks")
enable_checks = _block("jax_enable_checks", True)
log_compiles = _block("jax_log_compiles", True)
explain_cache_misses = _block("jax_explain_cache_misses", True)
default_matmul_precision = _block("jax_default_matmul_precision", example="highest")
default_prng_impl = _block("jax_default_prng_impl", example="threefry2x32")
threefry_partitionable = _block("jax_threefry_partitionable", True)
numpy_dtype_promotion = _block("jax_numpy_dtype_promotion", example="standard")
numpy_rank_promotion = _block("jax_numpy_rank_promotion", example="allow")
transfer_guard = _block("jax_transfer_guard", example="allow")
