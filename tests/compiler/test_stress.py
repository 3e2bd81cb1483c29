"""Threads, forks and processes that compile into one cold folder, all at once; and sums, whoever adds them up."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
from functrans import config

ROOT = Path(__file__).parents[2]

SCRIPT = """
import os, sys, threading, warnings
import numpy as np
import functrans as ft

warnings.simplefilter("ignore")  # of forks while threads run
np.random  # imported when first used, which a fork must not interrupt
functions = [
    lambda x: np.sum(np.tanh(x) ** 2),
    lambda x: np.exp(-x) / np.sum(np.exp(-x)),
    lambda x: ft.lax.fori_loop(0, 5, lambda i, y: np.sin(y) + i, x),
    lambda x: np.sort(x)[::-1] @ np.cumsum(x),
    lambda x: np.cos(x) * np.max(x),
]
compiled = [ft.jit(ft.vmap(f)) for f in functions]
right, failed = [], []

def work(seed, turns=4):
    rng = np.random.default_rng(seed)
    for turn in range(turns):
        x = rng.normal(size=(int(rng.integers(1, 5)), int(rng.integers(20, 3000))))
        number = (seed + turn) % len(functions)
        wanted = np.stack([np.asarray(functions[number](ft.numpy.asarray(row))) for row in x])
        if not np.allclose(compiled[number](x), wanted, rtol=1e-10, atol=1e-10):
            failed.append((seed, turn))
        right.append(seed)

threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
for thread in threads:
    thread.start()
for child_seed in range(3):
    child = os.fork() if hasattr(os, "fork") else None
    if child == 0:
        work(100 + child_seed, 2)
        os._exit(len(failed))
    if child is not None:
        assert os.waitpid(child, 0)[1] == 0, "a child failed"
for thread in threads:
    thread.join()
assert not failed, failed
print(len(right))
"""


@pytest.mark.slow
def test_threads_forks_and_processes_on_one_cold_folder(tmp_path):
    environment = {**os.environ, "FUNCTRANS_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("FUNCTRANS_CACHE", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen([sys.executable, "-c", SCRIPT], **pipes) for _ in range(2)]
    for process in processes:
        out, error = process.communicate(timeout=400)
        assert process.returncode == 0, error
        assert out.split() == ["32"]
    for path in list(tmp_path.glob("*.kernel"))[::2]:  # what the next process finds is damaged
        path.write_bytes(path.read_bytes()[:-100])
    again = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, timeout=400)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("shape", [(10_000_000,), (1000, 10_000)], ids=str)
def test_sums_of_many_floats_are_exact_whatever_the_number_of_threads(shape):
    x = np.random.default_rng(0).random(shape, np.float32)
    exact = np.sum(x, dtype=np.float64)
    total = ft.jit(np.sum)
    found = []
    for threads in (1, 2, 3, 8):
        with config.threads(threads):
            found += [float(total(x)) for _ in range(2)]
    assert len(set(found)) == 1
    assert abs(found[0] - exact) <= 1e-6 * exact
