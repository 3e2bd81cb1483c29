"""A fork waits until no thread imports the compiler or makes a kernel.

The child has only the thread that forked: a lock that another thread held, of the import system, of Numba or of ours,
would be held there for ever.
"""

from __future__ import annotations

import logging  # noqa: F401  registers what it does at a fork before Numba, which imports it, can do so during one
import os
import threading

#: Held by whoever imports the compiler, compiles, or loads native code.
COMPILING = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=COMPILING.acquire, after_in_parent=COMPILING.release, after_in_child=COMPILING.release)
