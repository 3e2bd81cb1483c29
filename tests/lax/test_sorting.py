"""Sorting: NumPy's order, keys and values together, stability, derivatives by the permutation."""

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_rules, check_staged
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from functrans import errors, lax

DTYPES = [np.bool_, np.int8, np.int64, np.uint8, np.float16, np.float32, np.float64, np.complex128]


@st.composite
def arrays(draw, dtypes=DTYPES):
    """Arrays with many ties, NaN and infinities included, and one of their axes."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(hnp.array_shapes(max_dims=3, min_side=0, max_side=5))
    few = {"f": [np.nan, np.inf, -np.inf, -0.0, 0.0, 1.5, 2.0], "c": [np.nan, 1j, 1 + 1j, -1.0], "b": [True, False]}
    elements = st.sampled_from([dtype.type(v) for v in few.get(dtype.kind, [0, 1, 2, 7])])
    return draw(hnp.arrays(dtype, shape, elements=elements)), draw(st.integers(-len(shape), len(shape) - 1))


@settings(max_examples=60, deadline=None)
@given(arrays(), st.booleans())
def test_sort_is_numpys(case, stable):
    x, axis = case
    fun = lambda x: lax.sort(x, axis, is_stable=stable)
    assert_same(fun(x), np.sort(x, axis, stable=True))
    check_staged(fun, x)
    if stable:  # -0.0 and 0.0 are equal: an unstable sort may change which comes first
        check_batching(fun, x)


@settings(max_examples=60, deadline=None)
@given(arrays())
def test_argsort_is_numpys_stable_one(case):
    x, axis = case
    fun = lambda x: lax.argsort(x, axis)
    assert_same(fun(x), np.argsort(x, axis, stable=True))
    check_staged(fun, x)
    check_batching(fun, x)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("ties", ["few", "many", "digits"])
def test_large_arrays_are_sorted_stably(dtype, axis, ties):
    """By other ways, for which equals, zeros of both signs among them, and NaN are put right."""
    rng = np.random.default_rng(0)
    size = {"few": 1 << 30, "many": 50, "digits": 3000}[ties]
    whole = rng.integers(0, size, (60, 50))
    x = whole.astype(dtype) if np.dtype(dtype).kind in "iu" else rng.normal(size=whole.shape).astype(dtype)
    if x.dtype.kind == "f":
        x = (whole * 0.37).astype(dtype) if ties == "many" else x
        x[rng.random(x.shape) < 0.02] = np.nan
        x[rng.random(x.shape) < 0.02] = 0.0
        x[rng.random(x.shape) < 0.02] = -0.0
    x[3, :4] = x[4, :4]
    order = np.argsort(x, axis, stable=True)
    assert_same(lax.argsort(x, axis), order)
    got = lax.sort(x, axis)
    assert_same(got, np.take_along_axis(x, order, axis))
    assert_same(np.signbit(got)[~np.isnan(got)], np.signbit(np.take_along_axis(x, order, axis))[~np.isnan(got)])


@settings(max_examples=40, deadline=None)
@given(arrays(), st.integers(1, 3))
def test_several_operands_follow_their_keys(case, num_keys):
    x, axis = case
    y = np.arange(x.size).reshape(x.shape) % 3
    z = np.arange(x.size).reshape(x.shape) * 1.0
    fun = lambda *xs: lax.sort(xs, axis, num_keys=num_keys)
    order = np.lexsort([x, y, z][:num_keys][::-1], axis)
    for got, operand in zip(fun(x, y, z), (x, y, z), strict=True):
        assert_same(got, np.take_along_axis(operand, order, axis))
    check_staged(fun, x, y, z)
    check_batching(fun, x, y, z)


@settings(max_examples=40, deadline=None)
@given(arrays([np.int64, np.float32, np.float64]), st.data())
def test_top_k_is_the_head_of_the_descending_order(case, data):
    x, axis = case
    k = data.draw(st.integers(0, x.shape[axis]))
    values, indices = lax.top_k(x, k, axis=axis)
    last_first = np.flip(np.argsort(np.flip(x, axis), axis, stable=True), axis)  # among equals the first comes first
    wanted = np.take(x.shape[axis] - 1 - last_first, np.arange(k), axis)
    assert_same(indices, wanted)
    assert_same(values, np.take_along_axis(x, wanted, axis))
    check_staged(lambda x: lax.top_k(x, k, axis=axis), x)
    check_batching(lambda x: lax.top_k(x, k, axis=axis), x)


@pytest.mark.parametrize(("shape", "axis"), [((1,), 0), ((6,), 0), ((3, 4), 0), ((2, 3, 2), 1)])
def test_derivatives(shape, axis):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape), rng.standard_normal(shape)
    n = shape[axis]
    check_rules(lambda x: lax.sort(x * x, axis), x)
    check_rules(lambda x: lax.argsort(x, axis), x)
    check_rules(lambda x, y: lax.sort_key_val(x, x * y * y, axis), x, y)
    check_rules(lambda x, y: lax.sort((x * 0.0, x * x, y * y), axis, num_keys=2), x, y)
    check_rules(lambda x: lax.top_k(x * x * x, n // 2, axis=axis), x)


def test_nan_comes_last_and_first_in_descending_order():
    x = np.array([2.0, np.nan, 1.0])
    assert_same(lax.sort(x), np.array([1.0, 2.0, np.nan]))
    assert_same(lax.top_k(x, 2)[0], np.array([np.nan, 2.0]))


ERRORS = [
    (lambda x: lax.sort(x, 2), errors.AxisError, "axis 2"),
    (lambda x: lax.sort((x, x[:1]), 0), errors.ShapeError, "must have one shape"),
    (lambda x: lax.sort((x[:1], x), 1), errors.ShapeError, "operands of shapes .* must have one"),
    (lambda x: lax.sort((x, x), num_keys=3), errors.ArgumentError, "num_keys=3 of 2 operands"),
    (lambda x: lax.sort(x, num_keys=0), errors.ArgumentError, "num_keys=0 of 1 operands"),
    (lambda x: lax.top_k(x, 4), errors.ShapeError, "top_k: k=4 of an axis of size 3"),
    (lambda x: lax.top_k(x, -1), errors.ShapeError, "top_k: k=-1 of an axis of size 3"),
]


@pytest.mark.parametrize(("fun", "error", "text"), ERRORS)
def test_errors_are_the_same_eagerly_and_staged(fun, error, text):
    with pytest.raises(error, match=text):
        fun(np.ones((2, 3)))
    with pytest.raises(error, match=text):
        abstract(fun, ((2, 3), np.float64))
