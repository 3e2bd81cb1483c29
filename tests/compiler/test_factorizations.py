"""Cholesky factorizations and triangular systems of compiled programs: by LAPACK and BLAS, on one thread of theirs."""

import ctypes

import numpy as np
import pytest

import functrans as ft
from functrans import config, lax
from functrans.compiler import blas

TOLERANCE = {"f": 1e-4, "F": 1e-4, "d": 1e-11, "D": 1e-11}


def positive_definite(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape).astype(dtype)
    if a.dtype.kind == "c":
        a = a + 1j * rng.normal(size=shape).astype(a.real.dtype)
    return (a @ a.conj().swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize("dtype", "fdFD")
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 4, 4), (2, 40, 40), (0, 0), (2, 0, 3, 3), (800, 800)])
def test_cholesky(shape, dtype):
    f = ft.jit(np.linalg.cholesky)
    a = positive_definite(shape, dtype)
    assert "NumPy" not in f.lower(a).as_text("plan")
    kept = a.copy()
    out = f(a)
    assert out.dtype == a.dtype
    np.testing.assert_allclose(out, np.linalg.cholesky(a), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(a, kept)  # what is computed in place is a copy


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_matrix_that_is_not_positive_definite(threads):
    """The error is NumPy's, with the line; BLAS has its threads back afterwards, and the program goes on working."""
    good = positive_definite((3, 6, 6), "d")
    bad = np.stack([good[0], -good[1], good[2]])
    f = ft.jit(lambda a: np.linalg.cholesky(a) * 2)
    get = blas.thread_count()[0]
    count = ctypes.CFUNCTYPE(ctypes.c_int)(get) if get else lambda: 0
    before = count()
    with config.threads(threads):
        for a in (bad, -good):
            with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite, at .*test_factorizations.py:\d+"):
                f(a)
            assert count() == before
        np.testing.assert_allclose(f(good), 2 * np.linalg.cholesky(good))
        assert np.isnan(f(np.full((3, 6, 6), np.nan))).any()  # as in NumPy
    assert count() == before


@pytest.mark.parametrize("dtype", "dF")
@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
@pytest.mark.parametrize("transpose", [True, False], ids=["transposed", "plain"])
@pytest.mark.parametrize(("batch", "n", "free"), [((), 150, 301), ((), 7, 3), ((3,), 60, 200), ((), 4, 0), ((), 0, 4)])
def test_triangular_systems(batch, n, free, transpose, lower, left, dtype):
    """Large systems are split by their right-hand sides."""
    rng = np.random.default_rng(0)
    a = (rng.normal(size=(*batch, n, n)) + max(n, 1) * np.eye(n)).astype(dtype)
    b = rng.normal(size=(*batch, *((n, free) if left else (free, n)))).astype(dtype)

    def solve(a, b):
        return lax.linalg.triangular_solve(a, b, left_side=left, lower=lower, transpose_a=transpose)

    x = ft.jit(solve)(a, b)
    t = np.tril(a) if lower else np.triu(a)
    t = t.swapaxes(-1, -2) if transpose else t
    np.testing.assert_allclose(t @ x if left else x @ t, b, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def test_a_system_is_solved_where_its_right_hand_side_was():
    a, b = np.eye(80) * 2, np.ones((80, 80))
    f = ft.jit(lambda a, b: lax.linalg.triangular_solve(a, b * 3.0, left_side=True, lower=True) + 1)
    np.testing.assert_allclose(f(a, b), 2.5)
    assert "copy" not in f.lower(a, b).as_text("plan")
