"""The thread pool: all work is done once, from several Python threads, after forks, and to the end of the process."""

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import config
from functrans.compiler import kernels, threads
from functrans.errors import ArgumentError, IndexOutOfBoundsError

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere kernels run on one thread")
COUNT = """from functrans.compiler.intrinsics import pointer
from numba.types import int64


def kernel(buffers, sizes, lo, hi):
    y = pointer(buffers, 0, int64)
    for i in range(lo, hi):
        y[i] += 1
"""


def count(n, pool):
    y = np.zeros(n + 1, np.int64)
    table = np.array([y.ctypes.data], np.int64)
    threads.run_parallel(pool, kernels.load(COUNT), table.ctypes.data, 0, n)
    return y


@LINUX
@pytest.mark.parametrize("number", [2, 3, 7])
def test_every_index_once(number):
    with config.threads(number):
        pool = threads.pool_address()
        assert pool
        for n in (0, 1, 2, 3, 7, 8, 100, 1001, 100_000):
            np.testing.assert_array_equal(count(n, pool), [1] * n + [0])


@LINUX
def test_the_number_of_threads_changes():
    for number in (2, 1, 4, 2, 1000, 3):
        with config.threads(number):
            pool = threads.pool_address()
            assert (pool == 0) == (number == 1)
            assert pool == threads.pool_address()
            if pool:
                workers = ctypes.c_int64.from_address(pool + threads._THREADS).value
                assert workers == min(number, threads._MAX_THREADS)
                np.testing.assert_array_equal(count(1000, pool), [1] * 1000 + [0])


@LINUX
def test_without_more_threads_fewer_do(monkeypatch):
    def none(*args, **kwargs):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads.threading, "Thread", none)
    started = threads._started
    with config.threads(threads._MAX_THREADS):
        pool = threads.pool_address()
        assert threads._started == started
        if pool:
            np.testing.assert_array_equal(count(100, pool), [1] * 100 + [0])
    monkeypatch.undo()
    threads._wanted = 0


@LINUX
def test_nobody_waits_for_a_worker_that_does_not_come():
    with config.threads(2):
        pool = threads.pool_address()
        number = ctypes.c_int64.from_address(pool + threads._THREADS)
        number.value, actual = min(threads._started + 3, threads._MAX_THREADS), number.value
        try:
            for _ in range(100):
                np.testing.assert_array_equal(count(1000, pool), [1] * 1000 + [0])
        finally:
            number.value = actual


@LINUX
def test_callers_at_once():
    failures = []

    def work(pool):
        for _ in range(300):
            if count(5000, pool).sum() != 5000:
                failures.append(1)

    with config.threads(3):
        callers = [threading.Thread(target=work, args=(threads.pool_address(),)) for _ in range(4)]
        for c in callers:
            c.start()
        for c in callers:
            c.join()
    assert not failures


@pytest.mark.parametrize("n", [10, 200_000])
def test_one_program_from_many_threads(n):
    f = ft.jit(lambda x, i: (fnp.sin(x) * 2 + x[i], fnp.cumsum(x)[-1]))
    failures = []

    def work(seed):
        x = np.random.default_rng(seed).random(n)
        wanted = np.sin(x) * 2 + x[3]
        for turn in range(30):
            if turn % 10 == 9:
                try:
                    f(x, n)
                    failures.append("no error")
                except IndexOutOfBoundsError:
                    pass
            elif not np.allclose(f(x, 3)[0], wanted, rtol=1e-12):
                failures.append(seed)

    with config.threads(2):
        callers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for c in callers:
            c.start()
        for c in callers:
            c.join()
    assert not failures


# ------------------------------------------------------------------ processes

HEAD = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
import numpy as np, functrans as ft
from functrans import config
config.set_num_threads(3)
x = np.arange(1e6)
f = ft.jit(lambda x: x * 2 + 1)
def right():
    return np.array_equal(f(x), x * 2 + 1)
assert right()
"""


def run(script, times=1):
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-c", HEAD + script],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forks():
    run("""
def child(depth):
    pid = os.fork()
    if not pid:
        good = all(right() for _ in range(5)) and (depth == 0 or child(depth - 1))
        os._exit(0 if good else 1)
    return os.waitpid(pid, 0)[1] == 0
for _ in range(3):
    assert child(1) and right()
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_forks_while_others_run():
    run("""
stop = False
def work():
    while not stop:
        assert right()
threads = [threading.Thread(target=work) for _ in range(2)]
for t in threads: t.start()
for _ in range(5):
    pid = os.fork()
    if not pid:
        os._exit(0 if right() and right() else 1)
    assert os.waitpid(pid, 0)[1] == 0
stop = True
for t in threads: t.join()
""")


def test_the_end_of_the_process():
    run("", times=3)


def test_numbas_own_threads_are_left_alone():
    run("""
import numba
@numba.njit(parallel=True)
def g(x):
    for i in numba.prange(len(x)):
        x[i] += 1
before = numba.get_num_threads()
y = np.zeros(1000)
g(y)
assert right() and (y == 1).all() and numba.get_num_threads() == before
""")


# ------------------------------------------------------------------ settings


def setting(value):
    return subprocess.run(
        [sys.executable, "-c", "from functrans import config; print(config.num_threads())"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "FUNCTRANS_NUM_THREADS": value},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_environment_sets_the_number():
    assert setting("5").stdout == "5\n"
    wrong = setting("many")
    assert wrong.stdout == f"{config._cores()}\n"
    assert "FUNCTRANS_NUM_THREADS must be a positive integer, is 'many'" in wrong.stderr


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "2", None, True])
def test_wrong_numbers(wrong):
    before = config.num_threads()
    with pytest.raises(ArgumentError, match="the number of threads must be a positive integer, got"):
        config.set_num_threads(wrong)
    assert config.num_threads() == before


def test_blocks_restore_what_was_set(tmp_path):
    def fails():
        with config.threads(before[0] + 1), config.cache(tmp_path):
            assert (config.num_threads(), config.cache_folder()) == (before[0] + 1, tmp_path)
            raise KeyError

    before = config.num_threads(), config.cache_folder()
    with pytest.raises(KeyError):
        fails()
    assert (config.num_threads(), config.cache_folder()) == before


def test_the_environment_sets_the_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "_set", [])
    monkeypatch.setenv("FUNCTRANS_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("FUNCTRANS_CACHE", raising=False)
    assert config.cache_folder() == tmp_path
    monkeypatch.setenv("FUNCTRANS_CACHE", "0")
    assert config.cache_folder() is None
