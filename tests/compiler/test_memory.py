"""Memory of large results: used again when nobody holds it, and never while somebody does."""

import gc
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans import config
from functrans.compiler import memory
from functrans.errors import ArgumentError

N = memory.LEAST // 8
DOUBLE = ft.jit(lambda x: (x * 2, x + 1))


@pytest.fixture(autouse=True)
def _empty():
    """A list without blocks before each test, and the limit that was set after it."""
    limit = config.recycled_memory()
    gc.collect()
    memory.trim(0)
    yield
    config.set_recycled_memory(limit)


def address(x):
    return x.__array_interface__["data"][0]


def test_a_result_that_nobody_holds_makes_place():
    x = np.ones(N)
    first = {address(y) for y in DOUBLE(x)}
    assert {address(y) for y in DOUBLE(x)} == first
    assert memory.kept_bytes() == 2 * (8 * N + 64)


@pytest.mark.parametrize(
    "view",
    [
        lambda y: y,
        lambda y: y[5:],
        np.asarray,
        lambda y: y.view(np.uint8),
        lambda y: y.base,
        lambda y: np.asarray(y.base)[3:],
        lambda y: np.asarray(y.base[3:]),
        lambda y: y.base.base,
        lambda y: np.asarray(y.base.base),
        memoryview,
        lambda y: y.reshape(-1, 2).T,
        lambda y: ft.numpy.asarray(y)[::2],
    ],
    ids=range(12),
)
def test_a_view_keeps_the_memory(view):
    x = np.arange(float(N))
    held = [view(y) for y in DOUBLE(x)]
    kept = [bytes(h) for h in held]
    for _ in range(3):
        DOUBLE(-x)
    assert [bytes(h) for h in held] == kept


def test_memory_is_aligned_and_results_are_ordinary():
    (y, _), small = DOUBLE(np.ones((N // 4, 4))), DOUBLE(np.ones(3))[0]
    assert address(y) % 64 == 0
    assert y.flags.c_contiguous
    assert y.flags.writeable
    assert y.flags.aligned
    assert small.flags.owndata
    again = pickle.loads(pickle.dumps(y))
    np.testing.assert_array_equal(again, y)
    y[0] = 7  # results are writable
    assert (y[0] == 7).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=25))
def test_results_that_are_held_never_change(steps):
    """Results of some sizes, some held and some let go."""
    held = []
    for i, (size, hold) in enumerate(steps):
        x = np.full(size * N, float(i))
        y, z = DOUBLE(x)
        assert y[0] == y[-1] == 2 * i
        assert z[0] == z[-1] == i + 1
        if hold:
            held.append((i, y, z[1:]))
        elif held:
            held.pop(0)
    for i, y, z in held:
        assert (y == 2 * i).all()
        assert (z == i + 1).all()


def test_the_limit():
    x = np.ones(N)
    size = 8 * N + 64
    config.set_recycled_memory(3 * size)
    results = [DOUBLE(x) for _ in range(4)]
    del results
    assert memory.kept_bytes() == 3 * size
    config.set_recycled_memory(size)
    assert memory.kept_bytes() == size
    config.set_recycled_memory(0)
    DOUBLE(x)
    assert memory.kept_bytes() == 0
    for bad in (-1, 1.5, True):
        with pytest.raises(ArgumentError, match="number of bytes"):
            config.set_recycled_memory(bad)


def test_several_threads():
    failures = []

    def work(seed):
        for i in range(40):
            x = np.full(N, float(100 * seed + i))
            y, z = DOUBLE(x)
            if not ((y == 2 * x).all() and (z == x + 1).all()):
                failures.append((seed, i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
