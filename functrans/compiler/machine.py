"""The native machine: runs a plan's instructions without Python and without the GIL.

A program is one int64 array `code`: each instruction is an operation code and its operands. `slots` holds addresses of
buffers; slot 0 is the address of the status word, which a kernel sets to the number of the check that failed. Sizes of
kernels stand in `code` itself. `run` executes until the program returns, needs Python (a call of NumPy), or a check
fails; after a call of NumPy it is entered again behind it. So loops never return to Python for their own sake.

Kernels with enough work are split over a pool of threads (`threads.py`).
"""

from __future__ import annotations

import numpy as np
from numba import carray, cfunc, njit, types

from functrans.compiler.intrinsics import (
    atomic_exchange,
    atomic_store,
    call_address,
    call_gemm,
    call_kernel,
    copy_bytes,
    load_i8,
    load_i16,
    load_i32,
    load_i64,
    load_u8,
    load_u16,
    load_u32,
    pointer_aliased,
    store_i64,
    zero_bytes,
)
from functrans.compiler.threads import BLAS_BUSY, run_parallel

RETURN, KERNEL, GEMM, COPY, ZERO, MOVE, SET, ADD, READ, JUMP, JUMP_IF_FALSE, JUMP_IF_LESS, PYTHON = range(13)
LANES, COPY_ROWS, JUMP_IF_NONE, HOLD_BLAS, RELEASE_BLAS = range(13, 18)

#: What `run` returns: FINISHED, or the position of a call of Python, or FAILED - position of a kernel.
FINISHED = -1
FAILED = -2

#: What `LANES` puts into the table: the length that it has at least.
LEAST_TABLE = 9

#: Copies of so many bytes are divided among the threads of the pool, in pieces of so many.
PARALLEL_COPY, COPY_PIECE = 1 << 19, 1 << 16
#: Products of matrices with so many multiplications are divided among the threads of the pool, a piece for each: BLAS
#: packs its operands anew for each piece. They take pieces as they come, where BLAS's own threads wait for the one that
#: other work of the machine holds up. Still larger ones are left to BLAS, which then packs its operands once.
PARALLEL_PRODUCTS, LARGE_PRODUCTS = 1 << 18, 1 << 28
_ALL, _BATCH, _ROWS, _COLUMNS = range(4)
_NOT_TRANSPOSED = ord("N")

#: How a counter is read: by dtype.
READERS = {np.dtype(t): i for i, t in enumerate(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"))}

_intp_array = types.Array(types.int64, 1, "C")


@njit(types.int64(types.int64, types.int64), cache=True, nogil=True)
def _read_counter(kind: int, address: int) -> int:
    if kind == 0:
        return load_i8(address)
    if kind == 1:
        return load_i16(address)
    if kind == 2:
        return load_i32(address)
    if kind in (3, 7):
        return load_i64(address)
    if kind == 5:
        return load_u16(address)
    if kind == 6:
        return load_u32(address)
    return load_u8(address)


@njit(types.void(*[types.int64] * 3), cache=True, nogil=True)
def _multiply(context: int, lo: int, hi: int) -> None:
    """The part from `lo` to `hi` of the products of a `GEMM`: of their batch, rows or columns, as the context says."""
    at, part = load_i64(context), load_i64(context + 8)
    first, second, third = load_i64(context + 16), load_i64(context + 24), load_i64(context + 32)
    m, n, k, size = load_i64(at + 40), load_i64(at + 48), load_i64(at + 56), load_i64(at + 152)
    ta, tb, lda, ldb, ldc = (
        load_i64(at + 64), load_i64(at + 72), load_i64(at + 80), load_i64(at + 88), load_i64(at + 96),
    )  # fmt: skip
    start, stop = 0, load_i64(at + 104)
    if part == _ROWS:
        first += lo * size * (lda if ta == _NOT_TRANSPOSED else 1)
        third += lo * size * ldc
        m = hi - lo
    elif part == _COLUMNS:
        second += lo * size * (1 if tb == _NOT_TRANSPOSED else ldb)
        third += lo * size
        n = hi - lo
    else:
        start, stop = lo, hi
    for i in range(start, stop):
        a = first + i * load_i64(at + 112)
        b = second + i * load_i64(at + 120)
        c = third + i * load_i64(at + 128)
        # row-major c = a b is column-major c' = b' a'
        call_gemm(
            load_i64(at + 8), tb, ta, n, m, k, load_i64(at + 136), b, ldb, a, lda, load_i64(at + 144), c, ldc
        )  # fmt: skip


@njit(types.void(*[types.int64] * 3), cache=True, nogil=True)
def _release_blas(pool: int, set_threads: int, threads: int) -> None:
    """Give BLAS the threads back that `HOLD_BLAS` took away; zero if it took none."""
    if threads != 0:
        call_address(set_threads, threads)
        atomic_store(pool + BLAS_BUSY, 0)


@cfunc(types.void(*[types.intp] * 4), cache=True)
def _run_product(context: int, _: int, lo: int, hi: int) -> None:
    extent, piece = load_i64(context + 40), load_i64(context + 48)
    _multiply(context, lo * piece, min(hi * piece, extent))


@cfunc(types.void(*[types.intp] * 4), cache=True)
def _run_copy(context: int, _: int, lo: int, hi: int) -> None:
    start = lo * COPY_PIECE
    end = min(hi * COPY_PIECE, load_i64(context + 16))
    copy_bytes(load_i64(context) + start, load_i64(context + 8) + start, end - start)


def copy_runner() -> int:
    """The address of the function that copies a part of memory, which is called as kernels are."""
    return int(_run_copy.address or 0)


def product_runner() -> int:
    """The address of the function that does a part of a product of matrices, which is called as kernels are."""
    return int(_run_product.address or 0)


@njit(types.int64(*[_intp_array] * 4, *[types.int64] * 4), cache=True, nogil=True)
def run(code, slots, counters, table, pc, pool, first, last):  # type: ignore[no-untyped-def]
    """Execute from `pc`; `table` is scratch for a kernel's pointers, `pool` the thread pool's address or 0.

    Instructions for lanes do those from `first` to before `last`.
    """
    base = code.ctypes.data
    pointers = table.ctypes.data
    while True:
        op = code[pc]
        if op == KERNEL:
            n = code[pc + 2]
            hi = code[pc + 3]
            for i in range(n):
                table[i] = slots[code[pc + 8 + i]]
            sizes = base + 8 * (pc + 8 + n)
            steps = code[pc + 6]
            if steps != 0:
                call_kernel(code[pc + 1], pointers, sizes, first * steps, last * steps)
            elif pool != 0 and code[pc + 5] != 0:
                run_parallel(pool, code[pc + 1], pointers, sizes, hi)
            else:
                call_kernel(code[pc + 1], pointers, sizes, 0, hi)
            after = pc + 8 + n + code[pc + 7]
            if code[pc + 4] != 0 and load_i64(slots[0]) != 0:
                if code[after] == RELEASE_BLAS:
                    _release_blas(pool, code[after + 3], counters[code[after + 1]])
                return FAILED - pc
            pc = after
        elif op == GEMM:
            table[0], table[1] = base + 8 * pc, _ALL
            table[2], table[3], table[4] = slots[code[pc + 2]], slots[code[pc + 3]], slots[code[pc + 4]]
            m, n, batch = code[pc + 5], code[pc + 6], code[pc + 13]
            get, set_ = code[pc + 21], code[pc + 22]
            done = False
            if pool != 0 and get != 0 and PARALLEL_PRODUCTS < batch * m * n * code[pc + 7] < LARGE_PRODUCTS:
                if atomic_exchange(pool + BLAS_BUSY, 1) == 0:
                    threads = call_address(get, 0)
                    if threads > 1:
                        table[1] = _BATCH if batch >= 16 else _ROWS if m >= n else _COLUMNS
                        table[5] = batch if batch >= 16 else max(m, n)
                        table[6] = max(-(-table[5] // threads), 1)
                        call_address(set_, 1)
                        run_parallel(pool, code[pc + 20], pointers, 0, -(-table[5] // table[6]))
                        call_address(set_, threads)
                        done = True
                    atomic_store(pool + BLAS_BUSY, 0)
            if not done:
                _multiply(pointers, 0, batch)
            pc += 23
        elif op == MOVE:
            slots[code[pc + 1]] = slots[code[pc + 2]] + code[pc + 3]
            pc += 4
        elif op == ADD:
            counters[code[pc + 1]] += code[pc + 2]
            pc += 3
        elif op == JUMP_IF_LESS:
            pc = code[pc + 3] if counters[code[pc + 1]] < code[pc + 2] else pc + 4
        elif op == JUMP_IF_FALSE:
            pc = code[pc + 2] if load_u8(slots[code[pc + 1]]) == 0 else pc + 3
        elif op == JUMP:
            pc = code[pc + 1]
        elif op == SET:
            counters[code[pc + 1]] = code[pc + 2]
            pc += 3
        elif op == READ:
            counters[code[pc + 1]] = _read_counter(code[pc + 3], slots[code[pc + 2]])
            pc += 4
        elif op == COPY:
            nbytes = code[pc + 3]
            if pool != 0 and nbytes >= PARALLEL_COPY:
                table[0], table[1], table[2] = slots[code[pc + 1]], slots[code[pc + 2]], nbytes
                run_parallel(pool, code[pc + 4], pointers, 0, -(-nbytes // COPY_PIECE))
            else:
                copy_bytes(slots[code[pc + 1]], slots[code[pc + 2]], nbytes)
            pc += 5
        elif op == ZERO:
            zero_bytes(slots[code[pc + 1]], code[pc + 2])
            pc += 3
        elif op == PYTHON:
            return pc
        elif op == COPY_ROWS:
            row = code[pc + 3]
            copy_bytes(slots[code[pc + 1]] + first * row, slots[code[pc + 2]] + first * row, (last - first) * row)
            pc += 4
        elif op == JUMP_IF_NONE:
            start = slots[code[pc + 1]]
            found = 0
            for i in range(first * code[pc + 2], last * code[pc + 2]):
                found |= load_u8(start + i)
            pc = code[pc + 3] if found == 0 else pc + 4
        elif op == HOLD_BLAS:
            threads = 0
            if pool != 0 and code[pc + 2] != 0 and atomic_exchange(pool + BLAS_BUSY, 1) == 0:
                threads = call_address(code[pc + 2], 0)
                call_address(code[pc + 3], 1)
            counters[code[pc + 1]] = threads
            pc += 4
        elif op == RELEASE_BLAS:
            _release_blas(pool, code[pc + 3], counters[code[pc + 1]])
            pc += 4
        elif op == LANES:
            table[0], table[1], table[2] = base, code.size, slots.ctypes.data
            table[3], table[4], table[5] = slots.size, counters.ctypes.data, counters.size
            table[6], table[7], table[8] = table.size, pc + 6, code[pc + 3]
            if pool != 0 and code[pc + 4] != 0:
                run_parallel(pool, code[pc + 1], pointers, 0, code[pc + 2])
            else:
                call_kernel(code[pc + 1], pointers, 0, 0, code[pc + 2])
            pc = code[pc + 5]
        else:
            return FINISHED


@cfunc(types.void(*[types.intp] * 4), cache=True)
def _run_lanes(context: int, _: int, lo: int, hi: int) -> None:
    """The instructions behind a `LANES` for the lanes from `lo` to before `hi`, a block at a time."""
    code = carray(pointer_aliased(context, 0, types.int64), (load_i64(context + 8),))
    slots = carray(pointer_aliased(context, 2, types.int64), (load_i64(context + 24),))
    counters = carray(pointer_aliased(context, 4, types.int64), (load_i64(context + 40),)).copy()
    table = np.empty(load_i64(context + 48), np.int64)
    block = load_i64(context + 64)
    for first in range(lo, hi, block):
        run(code, slots.copy(), counters, table, load_i64(context + 56), 0, first, min(first + block, hi))


def lane_runner() -> int:
    """The address of the function that runs instructions for lanes, which is called as kernels are."""
    return int(_run_lanes.address or 0)


_DATA, _FLAGS = 16, 64  # the fields of PyArrayObject that `enter` reads
_C_CONTIGUOUS, _ALIGNED = 0x1, 0x100
NOT_CONTIGUOUS = -(1 << 40)


@njit(types.int64(*[_intp_array] * 3), cache=True, nogil=True)
def overlapping(objects, sizes, given):  # type: ignore[no-untyped-def]
    """The number of an array that shares memory with one of those `given` by their numbers; -1 if there is none."""
    for i in given:
        start = load_i64(objects[i] + _DATA)
        for j in range(objects.shape[0]):
            other = load_i64(objects[j] + _DATA)
            if j != i and other < start + sizes[i] and start < other + sizes[j]:
                return j
    return -1


@njit(types.int64(*[_intp_array] * 5, types.int64), cache=True, nogil=True)
def enter(code, slots, counters, table, objects, pool):  # type: ignore[no-untyped-def]
    """Put the data of arrays, given by the addresses of the Python objects, into slots 1, 2, ... and run.

    `NOT_CONTIGUOUS` when one of them is not contiguous and aligned: nothing has run then.
    """
    wanted = _C_CONTIGUOUS | _ALIGNED
    for i in range(objects.shape[0]):
        if load_i32(objects[i] + _FLAGS) & wanted != wanted:
            return NOT_CONTIGUOUS
        slots[1 + i] = load_i64(objects[i] + _DATA)
    store_i64(slots[0], 0)
    return run(code, slots, counters, table, 0, pool, 0, 0)
