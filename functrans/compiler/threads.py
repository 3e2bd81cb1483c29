"""The pool of threads that kernels are split over.

Workers are Python threads inside one native loop, without the GIL: each spins for a while on its semaphore, then sleeps
on it. Kernels follow each other quickly, and waking a thread takes as long as many a kernel. One kernel at a time uses
the pool; a caller that finds it busy runs its kernel alone, so several Python threads may call compiled functions at
once. A worker that wakes late, because the machine has other work, finds the kernel closed: nobody waits for a worker
that has not begun. After a fork the child makes a pool of its own when it needs one.
Nothing here touches Numba's threading layer. Without POSIX semaphores (macOS, Windows) kernels run on the calling
thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress

from numba import njit, types

from functrans import config
from functrans.compiler.intrinsics import (
    atomic_add,
    atomic_exchange,
    atomic_load,
    atomic_store,
    call_address,
    call_kernel,
    load_i64,
    store_i64,
)

# The pool is a block of int64s; these are the byte offsets of its fields.
_BUSY, _KERNEL, _TABLE, _SIZES, _HI, _CHUNK, _NEXT, _STATE = (64 * i for i in range(8))  # a cache line each
_THREADS, _POST, _WAIT, _TRY, _DONE, BLAS_BUSY, _STARTS = 512, 520, 528, 536, 544, 576, 640
_MAX_THREADS = 64  # what the block has room for
_CALLED = _STARTS + 8 * _MAX_THREADS  # for each worker: whether its semaphore was raised and it has not come yet
_OPEN = 1 << 32  # the state while workers may begin; added to it, how many are at work
_SPINS = 150_000  # about 200 microseconds
_PIECES = 4  # pieces of work for each thread, so that a late one does not hold up all
_SEMAPHORE = 64


@njit(types.void(types.int64), cache=True, nogil=True)
def _work(pool: int) -> None:
    """Take pieces of the kernel under way until none is left."""
    kernel, table, sizes = load_i64(pool + _KERNEL), load_i64(pool + _TABLE), load_i64(pool + _SIZES)
    hi, chunk = load_i64(pool + _HI), load_i64(pool + _CHUNK)
    while True:
        lo = atomic_add(pool + _NEXT, chunk)
        if lo >= hi:
            return
        call_kernel(kernel, table, sizes, lo, min(lo + chunk, hi))


@njit(types.void(types.int64, types.int64), cache=True, nogil=True)
def _acquire(pool: int, semaphore: int) -> None:
    """Wait for a semaphore: spinning first, then asleep."""
    for _ in range(_SPINS):
        if call_address(load_i64(pool + _TRY), semaphore) == 0:
            return
    while call_address(load_i64(pool + _WAIT), semaphore) != 0:
        pass  # interrupted by a signal


@njit(types.void(types.int64, types.int64), cache=True, nogil=True)
def _worker(pool: int, number: int) -> None:
    start = load_i64(pool + _STARTS + 8 * number)
    while True:
        _acquire(pool, start)
        atomic_exchange(pool + _CALLED + 8 * number, 0)
        if atomic_add(pool + _STATE, 1) >= _OPEN:
            _work(pool)
        if atomic_add(pool + _STATE, -1) == 1:  # closed, and this was the last
            call_address(load_i64(pool + _POST), load_i64(pool + _DONE))


@njit(types.void(*[types.int64] * 5), cache=True, nogil=True)
def run_parallel(pool: int, kernel: int, table: int, sizes: int, hi: int) -> None:
    """Run a kernel over [0, hi) on all threads of the pool, or alone when the pool is busy."""
    helpers = min(load_i64(pool + _THREADS), hi) - 1
    if helpers < 1 or atomic_exchange(pool + _BUSY, 1) != 0:
        call_kernel(kernel, table, sizes, 0, hi)
        return
    store_i64(pool + _KERNEL, kernel)
    store_i64(pool + _TABLE, table)
    store_i64(pool + _SIZES, sizes)
    store_i64(pool + _HI, hi)
    store_i64(pool + _CHUNK, (hi + (helpers + 1) * _PIECES - 1) // ((helpers + 1) * _PIECES))
    atomic_store(pool + _NEXT, 0)
    atomic_add(pool + _STATE, _OPEN)
    for i in range(helpers):
        if atomic_exchange(pool + _CALLED + 8 * i, 1) == 0:
            call_address(load_i64(pool + _POST), load_i64(pool + _STARTS + 8 * i))
    _work(pool)
    atomic_add(pool + _STATE, -_OPEN)
    while atomic_load(pool + _STATE) != 0:
        _acquire(pool, load_i64(pool + _DONE))
    atomic_store(pool + _BUSY, 0)


# ------------------------------------------------------------------ making the pool

_lock = threading.Lock()
_block = 0  # the pool's address, once there is one
_started = 0
_wanted, _address = 0, 0  # the number of threads that `_address` is the answer for


def pool_address() -> int:
    """The address of the pool for the number of threads that is set; 0 for one thread."""
    wanted = config.num_threads()
    return _address if wanted == _wanted else _adapt(wanted)


def _adapt(wanted: int) -> int:
    """Make the pool have as many threads as wanted and possible: its address."""
    global _wanted, _address, _started
    with _lock:
        threads = min(wanted, _MAX_THREADS) if sys.platform.startswith("linux") else 1
        if threads > 1:
            pool = _allocated()
            with suppress(RuntimeError):  # no more threads to be had: fewer will do
                while _started < threads - 1:
                    name = f"functrans-{_started}"
                    threading.Thread(target=_worker, args=(pool, _started), name=name, daemon=True).start()
                    _started += 1
            threads = min(threads, _started + 1)
            ctypes.c_int64.from_address(pool + _THREADS).value = threads
        _wanted, _address = wanted, _block if threads > 1 else 0
        return _address


def _allocated() -> int:
    """The block of the pool, with its semaphores; never freed, for workers wait on it until the process ends."""
    global _block
    if not _block:
        libc = ctypes.CDLL(None)
        libc.calloc.restype, libc.calloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t] * 2
        libc.sem_init.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint]
        fields = _CALLED + 8 * _MAX_THREADS
        memory = libc.calloc(1, fields + _SEMAPHORE * (_MAX_THREADS + 1) + 64)
        if not memory:
            raise MemoryError("no memory for the thread pool")
        block = -(-memory // 64) * 64
        words = (ctypes.c_int64 * (fields // 8)).from_address(block)
        semaphores = [block + fields + _SEMAPHORE * i for i in range(_MAX_THREADS + 1)]
        for semaphore in semaphores:
            libc.sem_init(semaphore, 0, 0)
        for field, name in ((_POST, "sem_post"), (_WAIT, "sem_wait"), (_TRY, "sem_trywait")):
            words[field // 8] = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0
        words[_DONE // 8] = semaphores[-1]
        words[_STARTS // 8 : _CALLED // 8] = semaphores[:-1]
        _block = block
    return _block


def _after_fork() -> None:
    """In the child the workers are gone, and the pool may be locked for ever: forget it."""
    global _lock, _block, _started, _wanted, _address
    _lock, _block, _started, _wanted, _address = threading.Lock(), 0, 0, 0, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

__all__ = ["BLAS_BUSY", "pool_address", "run_parallel"]
