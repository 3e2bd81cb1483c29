"""A debug option: using one key twice is an error, for then two samples that should be independent are not.

Keys are known by their values, so it does not matter through which variables and transformations they went.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np

from functrans import config
from functrans.core.source import user_source
from functrans.core.trace import Tracer
from functrans.errors import KeyReuseError
from functrans.lax.callbacks import debug_callback

_lock = threading.Lock()
_used: dict[tuple[int, ...], str] = {}
_clones: Counter[tuple[int, ...]] = Counter()


def watched() -> bool:
    """Whether the option is on; what was used before it went on is forgotten."""
    if not config.key_reuse_watched and (_used or _clones):
        _used.clear()
        _clones.clear()
    return config.key_reuse_watched


def consume(name: str, key: Any) -> None:
    """Note that a function uses up a key."""
    by = f"random.{name} at {user_source()}"
    if isinstance(key, Tracer):
        debug_callback(lambda key: _record(by, key), (key,), {})
    else:
        _record(by, key)


def release(key: Any) -> None:
    """Let a key be used once more than it could."""
    if isinstance(key, Tracer):
        debug_callback(_release, (key,), {})
    else:
        _release(key)


def _record(by: str, key: Any) -> None:
    if not watched():
        return
    words = tuple(int(w) for w in np.asarray(key))
    with _lock:
        earlier = _used.get(words)
        _used[words] = by
        if earlier is not None and _clones[words]:
            _clones[words] -= 1
            return
    if earlier is None:
        return
    raise KeyReuseError(
        f"the key {list(words)} was used before, by {earlier}, and is now used by {by}: samples from one key are not "
        "independent. Make a key for each use with random.split, or write random.clone(key) if this is meant"
    )


def _release(key: Any) -> None:
    with _lock:
        _clones[tuple(int(w) for w in np.asarray(key))] += 1
