"""Profiles: every step is there once, with its counts; the program computes as ever."""

import numpy as np
import pytest

import functrans as ft
from functrans import errors, lax


def test_steps_with_operations_bytes_and_lines():
    x = np.ones((64, 32))
    profile = ft.profile(lambda x: np.sum(np.sin(x) @ x.T))(x)
    sine, product, total = profile.steps
    assert (sine.operation, product.operation) == ("kernel 0: sin", "gemm float64 (64, 32) @ (32, 64)")
    assert (sine.flops, sine.bytes) == (x.size, 2 * x.nbytes)
    assert (product.flops, product.bytes) == (2 * 64 * 32 * 64, 8 * (2 * 64 * 32 + 64 * 64))
    assert "reduce_sum" in total.operation
    assert "test_profiling.py" in sine.source
    assert all(s.calls == 1 and s.seconds >= 0 for s in profile.steps)
    assert profile.seconds > 0


def test_prints_the_slowest_first():
    text = str(ft.profile(lambda x: np.sort(np.exp(x)) @ np.ones(len(x)))(np.ones(200_000)))
    first, head, *rows = text.splitlines()
    assert first.startswith("<lambda>: ")
    assert first.endswith("a call")
    assert head.split() == ["time", "share", "calls", "Gflop/s", "GB/s", "step", "#", "line"]
    shares = [float(row.split("%")[0].split()[-1]) for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert abs(sum(shares) - 100) < 1
    assert any("NumPy sort" in row for row in rows)


def test_steps_of_a_loop_count_each_turn():
    a = np.full((64, 64), 0.01)
    profile = ft.profile(lambda x: lax.fori_loop(0, 5, lambda i, x: np.tanh(a @ x), x))(np.ones((64, 64)))
    gemm = next(s for s in profile.steps if s.operation.startswith("gemm"))
    assert gemm.calls == 5
    assert gemm.flops == 5 * 2 * 64**3


def test_lanes_are_one_step():
    def root(x):
        return lax.while_loop(lambda y: np.abs(y * y - x) > 1e-9, lambda y: (y + x / y) / 2, x)

    profile = ft.profile(ft.vmap(root))(np.linspace(1, 9, 5000))
    assert any(s.operation.startswith("lanes: ") for s in profile.steps)


def test_pytrees_keywords_and_effects():
    seen = []

    def f(tree, scale):
        ft.debug.callback(lambda x: seen.append(float(x)), scale)
        return tree["a"] * scale

    profile = ft.profile(ft.jit(f), runs=2)({"a": np.ones(3)}, scale=2.0)
    assert profile.name == "f"
    assert set(seen) == {2.0}


def test_errors():
    with pytest.raises(errors.ArgumentError, match="at least one run"):
        ft.profile(np.sin, runs=0)
    with pytest.raises(errors.ArgumentError, match="profile the outermost"):
        ft.jit(lambda x: ft.profile(np.sin)(x))(np.ones(3))
