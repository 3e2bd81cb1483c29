"""The time of each workload, beside JAX's where it is installed.

    pip install '.[test]' jax
    pytest tests/benchmarks -k test_functrans --benchmark-enable -n 0
    pytest tests/benchmarks -k test_jax --benchmark-enable -n 0

`compare.py` lets the two take turns, for ratios on a machine that has other things to do.
Without `--benchmark-enable` each runs once, and its result is compared with that of NumPy's operations one by one.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import functrans as ft

sys.path.insert(0, str(Path(__file__).parent))

from workloads import WORKLOADS

CASES = [(name, dtype) for name, (_, dtypes) in WORKLOADS.items() for dtype in dtypes]


def library(name):
    module = importlib.import_module(name)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    for part in ("numpy", "lax", "nn", "random", "scipy.special", "scipy.linalg", "tree"):
        importlib.import_module(f"{name}.{part}")
    return module


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_functrans(benchmark, name, dtype):
    make, _ = WORKLOADS[name]
    run, args = make(ft, np.dtype(dtype).type)
    result = benchmark(run, *args)
    with ft.disable_jit():
        plain = run(*args)
    eps = np.finfo(dtype).eps
    for got, want in zip(ft.tree.leaves(result), ft.tree.leaves(plain), strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        # Sums of a million terms, and a thousand steps of a chaotic system, are what differs most.
        np.testing.assert_allclose(got, want, rtol=1e4 * eps, atol=1e4 * eps * np.abs(want).max(initial=0))


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_jax(benchmark, name, dtype):
    jax = library("jax")
    make, _ = WORKLOADS[name]
    run, args = make(jax, np.dtype(dtype).type)
    args = jax.tree.map(jax.numpy.asarray, args)
    result = benchmark(lambda: jax.block_until_ready(run(*args)))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))
