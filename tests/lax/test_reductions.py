"""Reductions and cumulative reductions: NumPy's values, types and errors, and derivatives of both modes."""

import warnings

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_rules, check_staged
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from functrans import errors, lax
from functrans.lax import reductions as red
from functrans.transforms.jvp import jvp

FLOATS = [np.float16, np.float32, np.float64]
COMPLEX = [np.complex64, np.complex128]
INTEGERS = [np.int8, np.int32, np.int64, np.uint8, np.uint64]
NUMBERS = INTEGERS + FLOATS + COMPLEX

REDUCTIONS = {
    "reduce_sum": (np.add, [*NUMBERS]),
    "reduce_prod": (np.multiply, [*NUMBERS]),
    "reduce_max": (np.maximum, [np.bool_, *NUMBERS]),
    "reduce_min": (np.minimum, [np.bool_, *NUMBERS]),
    "reduce_and": (np.bitwise_and, [np.bool_, *INTEGERS]),
    "reduce_or": (np.bitwise_or, [np.bool_, *INTEGERS]),
    "reduce_xor": (np.bitwise_xor, [np.bool_, *INTEGERS]),
}
CUMULATIVE = {
    "cumsum": (lambda x, axis: np.add.accumulate(x, axis, dtype=x.dtype), NUMBERS),
    "cumprod": (lambda x, axis: np.multiply.accumulate(x, axis, dtype=x.dtype), NUMBERS),
    "cummax": (np.maximum.accumulate, [np.bool_, *NUMBERS]),
    "cummin": (np.minimum.accumulate, [np.bool_, *NUMBERS]),
    "cumlogsumexp": (np.logaddexp.accumulate, FLOATS),
}


def some_array(data, dtypes, min_dims=0):
    """Any array of up to three axes, empty ones included; floats with NaN, infinities and signed zeros."""
    dtype = data.draw(st.sampled_from(dtypes))
    shape = data.draw(hnp.array_shapes(min_dims=min_dims, max_dims=3, min_side=0, max_side=4))
    return data.draw(hnp.arrays(dtype, shape))


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_numpys(name, data):
    ufunc, dtypes = REDUCTIONS[name]
    x = some_array(data, dtypes)
    axes = tuple(data.draw(st.lists(st.sampled_from(range(x.ndim)), unique=True))) if x.ndim else ()
    fun = lambda x: getattr(lax, name)(x, axes)
    with np.errstate(all="ignore"):
        try:
            wanted = ufunc.reduce(x, axis=axes, dtype=x.dtype)
        except ValueError:
            with pytest.raises(errors.ShapeError, match="has no identity"):
                fun(x)
            with pytest.raises(errors.ShapeError, match="has no identity"):
                abstract(fun, (x.shape, x.dtype))
            return
        assert_same(fun(x), wanted)
        check_staged(fun, x)
        check_batching(fun, x, rtol=1e-3 if x.dtype == np.float16 else 1e-5)


@settings(max_examples=25, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", CUMULATIVE)
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_reductions_are_numpys(name, reverse, data):
    accumulate, dtypes = CUMULATIVE[name]
    x = some_array(data, dtypes, min_dims=1)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    fun = lambda x: getattr(lax, name)(x, axis=axis, reverse=reverse)
    with np.errstate(all="ignore"):
        wanted = np.flip(accumulate(np.flip(x, axis), axis), axis) if reverse else accumulate(x, axis)
        assert_same(fun(x), wanted)
        check_staged(fun, x)
        check_batching(fun, x, rtol=1e-3 if x.dtype == np.float16 else 1e-5)


@settings(max_examples=40, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_of_extrema_are_numpys(name, data):
    x = some_array(data, [np.bool_, *NUMBERS], min_dims=1)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    fun = lambda x: getattr(lax, name)(x, axis, np.int32)
    try:
        wanted = getattr(np, name)(x, axis).astype(np.int32)
    except ValueError:
        with pytest.raises(errors.ShapeError, match="empty"):
            fun(x)
        with pytest.raises(errors.ShapeError, match="empty"):
            abstract(fun, (x.shape, x.dtype))
        return
    assert_same(fun(x), wanted)
    check_staged(fun, x)
    if x.size:
        check_batching(fun, x)


def test_the_first_nan_is_the_extremum():
    x = np.array([1.0, np.nan, 3.0, np.nan])
    assert lax.argmax(x, 0) == lax.argmin(x, 0) == 1


@pytest.mark.parametrize("reduce", [lax.reduce_sum, lax.reduce_prod, lax.reduce_max, lax.reduce_min])
@pytest.mark.parametrize(
    ("shape", "axes"), [((), ()), ((3,), (0,)), ((2, 3), (1,)), ((2, 3, 2), (0, 2)), ((2, 1), (0, 1))]
)
def test_derivatives_of_reductions(reduce, shape, axes):
    x = np.random.default_rng(0).standard_normal(shape)
    check_rules(lambda x: reduce(x, axes), x)


@pytest.mark.parametrize("reduce", [lax.reduce_sum, lax.reduce_prod])
def test_derivatives_of_complex_reductions(reduce):
    rng = np.random.default_rng(0)
    check_rules(lambda x: reduce(x, (1,)), rng.standard_normal((2, 3)) + 1j * rng.standard_normal((2, 3)))


@pytest.mark.parametrize("zeros", [[0], [1, 3], [0, 1, 2], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize(
    "fun",
    [lambda x: lax.reduce_prod(x, (0,)), lax.cumprod, lambda x: lax.cumprod(x, 0, True)],
    ids=["reduce_prod", "cumprod", "reverse cumprod"],
)
def test_derivatives_of_products_with_zeros(zeros, fun):
    x = np.random.default_rng(1).standard_normal(5)
    x[zeros] = 0.0
    check_rules(fun, x)


def test_empty_products_and_sums_have_derivatives():
    x = np.zeros((0, 3))
    check_rules(lambda x: lax.reduce_prod(x, (0,)), x)
    check_rules(lambda x: lax.reduce_sum(x, (0,)), x)
    for name in CUMULATIVE:
        check_rules(lambda x, name=name: getattr(lax, name)(x, 0), x)


def test_ties_share_the_tangent():
    x, t = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]]), np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 6.0]])
    (_,), (out,) = jvp(lambda x: [lax.reduce_max(x, (1,))], [x], [t])
    np.testing.assert_allclose(out, [3.0, 3.0])


@pytest.mark.parametrize("name", CUMULATIVE)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((1,), 0), ((5,), 0), ((7, 2), 0), ((2, 3, 2), 1)])
def test_derivatives_of_cumulative_reductions(name, reverse, shape, axis):
    x = np.random.default_rng(2).standard_normal(shape)
    check_rules(lambda x: getattr(lax, name)(x, axis, reverse), x)


def test_cumulative_log_sums_with_infinities_have_finite_derivatives():
    x = np.array([-np.inf, -np.inf, 1.0, -np.inf, 2.0])
    (out,), (tangent,) = jvp(lambda x: [lax.cumlogsumexp(x)], [x], [np.ones(5)])
    np.testing.assert_allclose(out, np.logaddexp.accumulate(x))
    share = np.array([np.nan, np.nan, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(tangent[2:], share[2:])
    large = np.array([1000.0, 1001.0, 999.0])
    (_,), (tangent,) = jvp(lambda x: [lax.cumlogsumexp(x)], [large], [np.ones(3)])
    np.testing.assert_allclose(tangent, 1.0)


def test_half_precision_sums_as_numpy():
    x = np.full(4096, 0.1, np.float16)
    assert lax.reduce_sum(x, (0,)) == np.sum(x)
    assert lax.reduce_sum(x, (0,)).dtype == np.float16


def test_results_keep_the_dtype():
    assert lax.reduce_sum(np.ones(300, np.int8), (0,)).dtype == np.int8
    assert abstract(lambda x: lax.reduce_prod(x, (0,)), ((3,), np.uint8))[0].dtype == np.uint8


ERRORS = [
    (lambda x: lax.reduce_max(x, (2,)), np.ones((2, 2)), errors.AxisError, "axis 2 is out of bounds"),
    (lambda x: lax.reduce_sum(x, (0, -2)), np.ones((2, 2)), errors.AxisError, "duplicate"),
    (lambda x: lax.reduce_and(x, (0,)), np.ones(2), errors.DTypeError, "reduce_and is not defined .*float64"),
    (lambda x: lax.cumsum(x, 1), np.ones(2), errors.AxisError, "axis 1 is out of bounds"),
    (lambda x: lax.cumlogsumexp(x, 0), np.ones(2, np.int64), errors.DTypeError, "cumlogsumexp is not defined .*int64"),
    (lambda x: lax.cumlogsumexp(x, 0), np.ones(2, complex), errors.DTypeError, "cumlogsumexp is not defined .*complex"),
    (lambda x: lax.reduce_max(x, (0,)), np.ones((0, 2)), errors.ShapeError, "maximum which has no identity"),
    (lambda x: lax.argmin(x, 0), np.ones((0, 2)), errors.ShapeError, "attempt to get argmin of an empty"),
]  # fmt: skip


@pytest.mark.parametrize(("fun", "x", "error", "text"), ERRORS)
def test_errors_are_the_same_eagerly_and_staged(fun, x, error, text):
    with pytest.raises(error, match=text):
        fun(x)
    with pytest.raises(error, match=text):
        abstract(fun, (x.shape, x.dtype))


def test_maxima_of_nan_raise_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(lax.reduce_max(np.array([1.0, np.nan]), (0,)))
        assert np.isnan(lax.cummin(np.array([np.nan, 1.0]))).all()


def test_axes_are_canonical():
    assert red.canonical_axes((-1, 0), 3) == (0, 2)
