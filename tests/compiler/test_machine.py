"""The machine: every instruction against NumPy, and how it stops."""

import numpy as np
import pytest

from functrans import config
from functrans.compiler import blas, kernels, machine as m

FILL = """from functrans.compiler.intrinsics import pointer, size
from numba.types import float64


def kernel(buffers, sizes, lo, hi):
    x = pointer(buffers, 0, float64)
    y = pointer(buffers, 1, float64)
    for i in range(lo, hi):
        y[i] = x[i] * size(sizes, 0) + size(sizes, 1)
"""
CHECK = """from functrans.compiler.intrinsics import pointer
from numba.types import float64, int64


def kernel(buffers, sizes, lo, hi):
    x = pointer(buffers, 0, float64)
    status = pointer(buffers, 1, int64)
    for i in range(lo, hi):
        if x[i] < 0.0:
            status[0] = 7
"""


class Memory:
    """Slots 1, 2, ... for arrays, and four counters."""

    def __init__(self, *arrays):
        self.status = np.zeros(1, np.int64)
        self.arrays = arrays
        self.slots = np.array([self.status.ctypes.data, *(a.ctypes.data for a in arrays), 0, 0], np.int64)
        self.counters = np.zeros(4, np.int64)

    def run(self, *code, pc=0, pool=0):
        self.code = np.array([*code, m.RETURN], np.int64)
        return m.run(self.code, self.slots, self.counters, np.zeros(m.LEAST_TABLE, np.int64), pc, pool, 0, 0)


def kernel(source, slots, sizes, hi, check=0, parallel=0):
    return [m.KERNEL, kernels.load(source), len(slots), hi, check, parallel, 0, len(sizes), *slots, *sizes]


# ------------------------------------------------------------------ instructions


def test_kernel():
    x, y = np.arange(10.0), np.full(10, -1.0)
    memory = Memory(x, y)
    assert memory.run(*kernel(FILL, [1, 2], [3, 4], 9)) == m.FINISHED
    np.testing.assert_array_equal(y, [*(x[:9] * 3 + 4), -1])


def test_a_kernel_over_nothing():
    y = np.full(3, -1.0)
    assert Memory(y, y).run(*kernel(FILL, [1, 2], [3, 4], 0)) == m.FINISHED
    assert (y == -1).all()


@pytest.mark.parametrize("x", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(("rows", "columns", "inner"), [(3, 4, 5), (1, 6, 2), (4, 1, 3), (2, 3, 1), (2, 3, 0)])
def test_gemm(x, transpose_a, transpose_b, rows, columns, inner):
    rng = np.random.default_rng(0)
    dtype = np.dtype(x)

    def random(*shape):
        values = rng.standard_normal(shape)
        return (values + 1j * rng.standard_normal(shape) if dtype.kind == "c" else values).astype(dtype)

    batch, pad = 3, 2  # rows are wider than the matrices
    a = random(batch, *((inner, rows) if transpose_a else (rows, inner)))
    a_wide = np.concatenate([a, random(*a.shape[:2], pad)], 2)
    b = random(*((columns, inner) if transpose_b else (inner, columns)))  # the same in all of the batch
    before = random(batch, rows, columns + pad)
    numbers = np.array([1, 0, 2], dtype)
    one, zero, two = (numbers.ctypes.data + i * dtype.itemsize for i in range(3))
    letter = {False: ord("N"), True: ord("T")}
    for alpha, beta, a_factor, c_factor in ((one, zero, 1, 0), (one, one, 1, 1), (two, two, 2, 2)):
        c = before.copy()
        if not c_factor:
            c[..., :columns] = np.nan  # not read
        size = dtype.itemsize
        code = [
            m.GEMM, blas.routine("gemm", dtype), 1, 2, 3, rows, columns, inner, letter[transpose_a],
            letter[transpose_b], a_wide.shape[2], max(b.shape[1], 1), columns + pad, batch,
            a_wide[0].size * size, 0, c[0].size * size, alpha, beta, size, m.product_runner(), *blas.thread_count(),
        ]  # fmt: skip
        assert Memory(a_wide, b, c).run(*code) == m.FINISHED
        left, right = a.mT if transpose_a else a, b.T if transpose_b else b
        wanted = a_factor * (left @ right) + c_factor * before[..., :columns]
        np.testing.assert_allclose(
            c[..., :columns], wanted, rtol=100 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps * 100
        )
        np.testing.assert_array_equal(c[..., columns:], before[..., columns:])


@pytest.mark.parametrize("threads", [1, 3])
def test_lanes(threads):
    from functrans.compiler.threads import pool_address

    x, y = np.arange(100.0).reshape(50, 2), np.full((50, 2), -1.0)
    goes_on, out = (np.arange(50) < 20).astype(np.uint8), np.full((50, 2), -1.0)
    fill = kernel(FILL, [1, 2], [3, 4], 100)
    fill[6] = 2  # steps of the kernel in each lane
    inside = [*fill, m.JUMP_IF_NONE, 3, 1, 0, m.COPY_ROWS, 4, 2, 16, m.RETURN]
    start = [m.LANES, m.lane_runner(), 50, 8, 1, 6 + len(inside)]
    inside[len(fill) + 3] = len(start) + len(inside) - 1  # over the copy
    with config.threads(threads):
        assert Memory(x, y, goes_on, out).run(*start, *inside, pool=pool_address()) == m.FINISHED
    np.testing.assert_array_equal(y, x * 3 + 4)
    # A block of lanes goes on while any of them does; the blocks are of 8 lanes, or shorter at the end of a thread's.
    assert (out[:20] == y[:20]).all()
    assert (out[28:] == -1).all()


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("shape", [(700, 40, 50), (40, 700, 50), (20, 60, 50, 40)])
def test_large_products_are_divided_among_threads(shape, transposed):
    import functrans as ft

    *batch, rows, columns, inner = shape
    rng = np.random.default_rng(0)
    a = rng.normal(size=(*batch, inner, rows) if "a" in transposed else (*batch, rows, inner))
    b = rng.normal(size=(*batch, columns, inner) if "b" in transposed else (*batch, inner, columns))
    f = lambda a, b: (a.mT if "a" in transposed else a) @ (b.mT if "b" in transposed else b)
    for threads in (1, 3):
        with config.threads(threads):
            np.testing.assert_allclose(ft.jit(f)(a, b), f(a, b), rtol=1e-12, atol=1e-12)


def test_the_threads_of_blas_are_as_before():
    import threadpoolctl

    import functrans as ft

    x = np.ones((300, 300))
    for limit in (1, 2):
        with threadpoolctl.threadpool_limits(limit, "blas"):
            before = [i["num_threads"] for i in threadpoolctl.threadpool_info()]
            with config.threads(3):
                ft.jit(lambda x: x @ x)(x)
            assert [i["num_threads"] for i in threadpoolctl.threadpool_info()] == before


def test_copy_and_zero():
    x, y = np.arange(6.0), np.zeros(6)
    Memory(x, y).run(m.COPY, 2, 1, 40)
    np.testing.assert_array_equal(y, [0, 1, 2, 3, 4, 0])
    Memory(y).run(m.ZERO, 1, 16)
    np.testing.assert_array_equal(y, [0, 0, 2, 3, 4, 0])


def test_copies_may_overlap():
    x = np.arange(6.0)
    memory = Memory(x)
    memory.run(m.MOVE, 2, 1, 8, m.COPY, 2, 1, 40)
    np.testing.assert_array_equal(x, [0, 0, 1, 2, 3, 4])


def test_slots_move():
    x = np.arange(6.0)
    memory = Memory(x)
    memory.run(m.MOVE, 2, 1, 16, m.MOVE, 2, 2, 8, m.MOVE, 3, 2, -24)
    assert memory.slots[2] == x.ctypes.data + 24
    assert memory.slots[3] == x.ctypes.data


@pytest.mark.parametrize("dtype", m.READERS, ids=str)
def test_counters_are_read(dtype):
    kinds = [0, 1] if dtype.kind == "b" else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    for value in (v for v in kinds if v < 2**63):
        memory = Memory(np.array([value, 1], dtype))
        memory.run(m.READ, 2, 1, m.READERS[dtype])
        assert memory.counters[2] == value


def test_counters_and_jumps():
    # 0: set; 3: jump to the test; 5: add 3; 8: add to another; 11: test
    memory = Memory()
    memory.run(m.SET, 0, -2, m.JUMP, 11, m.ADD, 0, 3, m.ADD, 1, 10, m.JUMP_IF_LESS, 0, 10, 5)
    assert memory.counters[:2].tolist() == [10, 40]


@pytest.mark.parametrize("flag", [False, True])
def test_a_branch(flag):
    memory = Memory(np.array([flag]))
    memory.run(m.JUMP_IF_FALSE, 1, 8, m.SET, 0, 1, m.JUMP, 11, m.SET, 0, 2)
    assert memory.counters[0] == (1 if flag else 2)


def test_a_loop_of_kernels_steps_through_memory():
    x, y = np.arange(12.0), np.zeros(12)
    memory = Memory(x, y)
    body = [*kernel(FILL, [3, 4], [2, 1], 3), m.MOVE, 3, 3, 24, m.MOVE, 4, 4, 24, m.ADD, 0, 1]
    memory.run(m.MOVE, 3, 1, 0, m.MOVE, 4, 2, 0, *body, m.JUMP_IF_LESS, 0, 4, 8)
    np.testing.assert_array_equal(y, x * 2 + 1)


# ------------------------------------------------------------------ stops


def test_python_is_called_and_the_machine_entered_again():
    memory = Memory()
    code = [m.ADD, 0, 1, m.PYTHON, m.ADD, 0, 1]
    assert memory.run(*code) == 3
    assert memory.counters[0] == 1
    assert memory.run(*code, pc=4) == m.FINISHED
    assert memory.counters[0] == 2


def test_a_failed_check_stops():
    good, bad = np.ones(4), np.array([1.0, -1.0, 1.0])
    memory = Memory(good, bad)
    first, second = kernel(CHECK, [1, 0], [], 4, check=1), kernel(CHECK, [2, 0], [], 3, check=1)
    position = len(first)
    assert memory.run(*first, *second, m.SET, 0, 1) == m.FAILED - position
    assert memory.status[0] == 7
    assert memory.counters[0] == 0


def test_a_status_is_only_looked_at_after_kernels_with_checks():
    memory = Memory(np.array([-1.0]))
    assert memory.run(*kernel(CHECK, [1, 0], [], 1), m.SET, 0, 1) == m.FINISHED
    assert memory.status[0] == 7
    assert memory.counters[0] == 1


def test_arrays_enter_by_their_objects():
    x, y = np.arange(5.0), np.zeros(5)
    memory = Memory(x, y)
    memory.slots[1:] = 0
    memory.status[0] = 3  # of a run before
    code = np.array([*kernel(FILL, [1, 2], [1, 1], 5), m.RETURN], np.int64)

    def enter(*arrays):
        objects = np.array([id(a) for a in arrays], np.int64)
        return m.enter(code, memory.slots, memory.counters, np.zeros(4, np.int64), objects, 0)

    assert enter(x, y) == m.FINISHED
    np.testing.assert_array_equal(y, x + 1)
    assert memory.status[0] == 0
    wide = np.arange(10.0)
    unaligned = np.frombuffer(b"0" * 41, np.uint8)[1:].view(np.float64)
    for other in (wide[::2], wide[:5][::-1], unaligned):
        y[:] = -1
        assert enter(other, y) == m.NOT_CONTIGUOUS
        assert (y == -1).all()


def test_more_threads_than_one_give_the_same():
    from functrans.compiler.threads import pool_address

    x, y = np.arange(100_000.0), np.zeros(100_000)
    with config.threads(3):
        Memory(x, y).run(*kernel(FILL, [1, 2], [3, 4], 100_000, parallel=1), pool=pool_address())
    np.testing.assert_array_equal(y, x * 3 + 4)


def test_unknown_routines():
    with pytest.raises(LookupError, match="no routine dnothing"):
        blas.address("dnothing")
