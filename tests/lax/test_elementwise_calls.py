"""Calls of elementwise functions: how many operands they take, comparisons, and parts of real and complex numbers."""

import operator

import numpy as np
import pytest
from helpers import abstract

import functrans as ft
from functrans import errors, lax


@pytest.mark.parametrize(("fun", "n"), [(lax.add, 3), (lax.sin, 2), (lax.max, 1)], ids=["add", "sin", "max"])
def test_the_number_of_operands(fun, n):
    xs = [np.full(2, float(i)) for i in range(n)]
    with pytest.raises(errors.DTypeError, match=rf"{fun.name} takes \d operands?, got {n}"):
        fun(*xs)
    with pytest.raises(errors.DTypeError, match=rf"{fun.name} takes \d operands?, got {n}"):
        abstract(fun, *[((2,), np.float64)] * n)
    assert [x.tolist() for x in xs] == [[float(i)] * 2 for i in range(n)]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i8", "u8"])
@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons_with_numbers_that_the_dtype_does_not_hold(name, dtype):
    compare, x = getattr(operator, name), np.array([0, 1, 100], dtype)
    for number in (-1, 1, 300, -(2**70), 2**70):
        for f in (lambda x, n=number: compare(x, n), lambda x, n=number: compare(n, x)):
            assert ft.jit(f)(x).tolist() == ft.vmap(f)(x).tolist() == f(x).tolist()


@pytest.mark.parametrize("name", ["real", "imag", "conj"])
@pytest.mark.parametrize("dtype", ["?", "i4", "f2", "f4", "f8", "c8", "c16"])
def test_parts_of_numbers_of_any_kind(name, dtype):
    """Parts of real numbers too: the imaginary part of infinity is zero."""
    x = np.array([0, -1.5, 3, np.inf, -np.inf, np.nan])
    x = x.astype(dtype) if np.dtype(dtype).kind in "fc" else x[:3].astype(dtype)
    f = getattr(np, name)
    want, got = f(x), ft.jit(lambda x: f(x))(x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
