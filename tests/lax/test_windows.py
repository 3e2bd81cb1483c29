"""Reductions of windows against their definition in loops; ties, NaN, padding; the two index maps under them."""

import math
import operator

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_rules, check_staged
from hypothesis import given, settings, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.lax.windows import slide, slide_p, unslide_p
from functrans.testing import check_grads

COMPUTATIONS = {
    "add": (lax.add, np.add, lambda dtype: dtype.type(0)),
    "mul": (lax.mul, np.multiply, lambda dtype: dtype.type(1)),
    "max": (lax.max, np.maximum, lambda dtype: dtype.type(-np.inf) if dtype.kind == "f" else np.iinfo(dtype).min),
    "min": (lax.min, np.minimum, lambda dtype: dtype.type(np.inf) if dtype.kind == "f" else np.iinfo(dtype).max),
}


def definition(x, init, ufunc, windows, strides, pads, base_dilation, window_dilation):
    """Each window starts with `init` and sees it wherever the dilated array has no element."""
    dilated = [(n - 1) * d + 1 if n else 0 for n, d in zip(x.shape, base_dilation)]
    reach = [(k - 1) * d + 1 for k, d in zip(windows, window_dilation)]
    shape = [
        (n + lo + hi - k) // s + 1 if n + lo + hi >= k else 0
        for n, (lo, hi), k, s in zip(dilated, pads, reach, strides)
    ]
    y = np.empty(shape, x.dtype)
    for p in np.ndindex(*shape):
        total = init
        for t in np.ndindex(*windows):
            places = [a * s + b * d - lo for a, s, b, d, (lo, _) in zip(p, strides, t, window_dilation, pads)]
            inside = all(0 <= q < m and q % d == 0 for q, m, d in zip(places, dilated, base_dilation))
            element = x[tuple(q // d for q, d in zip(places, base_dilation))] if inside else init
            total = ufunc(total, element)
        y[p] = total
    return y


@st.composite
def windows(draw, dtypes=(np.float64,), smallest=0):
    """An array and the params of a reduction of its windows."""
    n = draw(st.integers(0, 3))
    each = lambda strategy: tuple(draw(strategy) for _ in range(n))
    sizes = each(st.integers(smallest, 5 if n < 3 else 3))
    shape, strides, spread = each(st.integers(1, 3)), each(st.integers(1, 3)), each(st.integers(1, 2))
    base = each(st.integers(1, 3)) if draw(st.booleans()) else (1,) * n
    pads = tuple((draw(st.integers(-min(1, s // 2), 2)), draw(st.integers(-min(1, s // 2), 2))) for s in sizes)
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    values = (
        rng.integers(0, 6, sizes) - (3 if dtype.kind == "i" else 0) if dtype.kind in "iu" else rng.normal(size=sizes)
    )
    return np.asarray(values).astype(dtype), (shape, strides, pads, base, spread)


@settings(max_examples=300)
@given(windows([np.float64, np.float32, np.int32, np.uint8]), st.sampled_from(list(COMPUTATIONS)), st.booleans())
def test_reduce_window_is_its_definition(drawn, name, starts_elsewhere):
    x, params = drawn
    computation, ufunc, identity = COMPUTATIONS[name]
    init = x.dtype.type(2) if starts_elsewhere else identity(x.dtype)
    fun = lambda x: lax.reduce_window(x, init, computation, *params)
    rtol = 0 if x.dtype.kind in "iu" or name in ("max", "min") else 1e-4 if x.dtype == np.float32 else 1e-12
    assert_same(fun(x), definition(x, init, ufunc, *params), rtol, rtol)
    check_staged(fun, x, rtol=rtol)
    check_batching(fun, x, rtol=rtol)


def finite(fun):
    """The function with zeros for the infinities of windows that see padding alone: finite differences need numbers."""
    return lambda x: (lambda y: fnp.where(fnp.isfinite(y), y, 0.0))(fun(x))


@settings(max_examples=80)
@given(windows(smallest=1), st.sampled_from(list(COMPUTATIONS)), st.booleans())
def test_derivatives(drawn, name, starts_elsewhere):
    x, params = drawn
    init = 2.0 if starts_elsewhere and name in ("add", "mul") else COMPUTATIONS[name][2](x.dtype)
    check_grads(finite(lambda x: lax.reduce_window(x, init, COMPUTATIONS[name][0], *params)), (x,), 2)


@settings(max_examples=30)
@given(windows(), st.sampled_from(list(COMPUTATIONS)))
def test_all_rules_together(drawn, name):
    x, params = drawn
    computation, _, identity = COMPUTATIONS[name]
    check_rules(finite(lambda x: lax.reduce_window(x, identity(x.dtype), computation, *params)), x)


def test_a_traced_initial_value():
    x = np.array([1.0, 3.0, 2.0])
    check_rules(lambda x, v: lax.reduce_window(x, v, lax.add, (2,), (1,), [(1, 0)]), x, np.array(0.5))
    check_rules(lambda x, v: lax.reduce_window(x, v, lax.max, (2,), (1,), "SAME"), x, np.array(2.5))


@pytest.mark.parametrize(
    "computation",
    [lax.add, np.add, fnp.add, operator.add, lambda x, y: y + x],
    ids=["lax", "np", "fnp", "op", "lambda"],
)
def test_the_computation_is_known_however_it_is_written(computation):
    assert_same(lax.reduce_window(np.arange(4), 0, computation, (2,)), np.array([1, 3, 5]))


def test_bits_and_booleans():
    x = np.array([True, False, True, True])
    assert_same(lax.reduce_window(x, True, lax.bitwise_and, (2,)), np.array([False, False, True]))
    assert_same(lax.reduce_window_max(x, (2,)), np.array([True, True, True]))
    n = np.array([6, 3, 5])
    assert_same(lax.reduce_window(n, 0, lax.bitwise_or, (2,)), np.array([7, 7]))
    assert_same(lax.reduce_window(n, 0, lax.bitwise_xor, (2,)), np.array([5, 6]))


# ---------------------------------------------------------------- maxima


def pulled(fun, x):
    """The gradient of the sum of the results, each weighted by its number, counted from 1."""
    weights = lambda y: np.arange(1.0, y.size + 1).reshape(y.shape)
    eager = ft.grad(lambda x: (fun(x) * weights(fun(x))).sum())(x)
    assert_same(ft.jit(ft.grad(lambda x: (fun(x) * weights(fun(x))).sum()))(x), eager)
    return eager


def test_ties_go_to_the_first():
    """Unlike those of `max`, whose ties share: as in JAX."""
    maximum = lambda x: lax.reduce_window_max(x, (3,), (2,))
    np.testing.assert_array_equal(pulled(maximum, np.ones(5)), [1, 0, 2, 0, 0])
    minimum = lambda x: lax.reduce_window_min(x, (2, 2), (2, 2))
    np.testing.assert_array_equal(pulled(minimum, np.zeros((2, 4))), [[1, 0, 2, 0], [0, 0, 0, 0]])


def test_nan_is_the_maximum_and_the_minimum():
    x = np.array([1.0, np.nan, 5.0, 2.0, np.nan])
    for fun in (lax.reduce_window_max, lax.reduce_window_min):
        y = fun(x, (2,))
        np.testing.assert_array_equal(np.isnan(y), [True, True, False, True])
        tangent = ft.jvp(lambda x: fun(x, (3,)), (x,), (np.arange(1.0, 6),))[1]  # noqa: B023
        np.testing.assert_array_equal(tangent, [2, 2, 5])


def test_infinite_elements_and_padding():
    x = np.full(3, -np.inf)
    assert_same(lax.reduce_window_max(x, (2,), (1,), [(0, 2)]), np.full(4, -np.inf))
    tangent = ft.jvp(lambda x: lax.reduce_window_max(x, (2,), (1,), [(0, 2)]), (x,), (np.ones(3),))[1]
    np.testing.assert_array_equal(tangent, [1, 1, 1, 0])  # the last window sees padding alone


def test_named_padding():
    x = np.arange(5.0)
    np.testing.assert_array_equal(lax.reduce_window_sum(x, (4,), (1,), "SAME"), [3, 6, 10, 9, 7])
    np.testing.assert_array_equal(lax.reduce_window_sum(x, (4,), (1,), "SAME_LOWER"), [1, 3, 6, 10, 9])
    np.testing.assert_array_equal(lax.reduce_window_sum(x, (2,), (1,), "same", window_dilation=(2,)), [1, 2, 4, 6, 3])


# ---------------------------------------------------------------- slide


@settings(max_examples=100)
@given(st.data())
def test_slide_and_its_transpose(data):
    n = data.draw(st.integers(1, 2))
    sizes = tuple(data.draw(st.integers(0, 6)) for _ in range(n))
    ks, strides, spread = ([data.draw(st.integers(1, 3)) for _ in range(n)] for _ in range(3))
    axes = tuple(data.draw(st.permutations(range(n + 1)))[:n])
    shape = [2] * (n + 1)
    for a, size in zip(axes, sizes):
        shape[a] = size
    x = np.random.default_rng(0).normal(size=shape)
    y = slide(x, axes, ks, strides, spread)
    for index in np.ndindex(*y.shape):
        place = list(index[: n + 1])
        for a, t, s, d in zip(axes, index[n + 1 :], strides, spread):
            place[a] = index[a] * s + t * d
        assert y[index] == x[tuple(place)]
    params = {"axes": axes, "strides": tuple(strides), "dilation": tuple(spread)}
    wide = np.random.default_rng(1).normal(size=(*shape, *ks))
    z = slide_p.bind(wide, **params)
    ct = np.random.default_rng(2).normal(size=z.shape)
    back = unslide_p.bind(ct, sizes=sizes, **params)
    assert back.shape == wide.shape
    np.testing.assert_allclose(np.sum(back * wide), np.sum(ct * z), rtol=1e-12, atol=1e-12)
    check_staged(lambda v: unslide_p.bind(v, sizes=sizes, **params), ct)


def test_windows_are_a_view():
    x = np.arange(6.0)
    assert np.shares_memory(slide(x, (0,), (3,), (1,), (1,)), x)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_dimensions": (2,)}, "window_dimensions of reduce_window must have one entry for each of 2 axes"),
        ({"window_dimensions": (2, 0)}, r"window_dimensions of reduce_window must be 1 at least, got \(2, 0\)"),
        ({"window_strides": (1, 0)}, "window_strides of reduce_window must be 1 at least"),
        ({"padding": [(0, 0)]}, "for each of 2 axes"),
        ({"padding": [(-2, -2), (0, 0)]}, "negative padding"),
        ({"init_value": np.zeros(1)}, r"init_value must be a scalar, got an array of shape \(1,\)"),
        ({"window_dilation": (0, 1)}, "window_dilation of reduce_window must be 1 at least"),
    ],
)
@pytest.mark.parametrize("init", [0.0, 1.0])
def test_shape_errors(options, message, init):
    given = {"init_value": init, "window_dimensions": (2, 2), **options}
    fun = lambda x: lax.reduce_window(x, computation=lax.add, **given)
    with pytest.raises(errors.ShapeError, match=message):
        fun(np.ones((3, 4)))
    with pytest.raises(errors.ShapeError, match=message):
        abstract(fun, ((3, 4), np.float64))


def test_more_errors():
    x = np.ones(3)
    with pytest.raises(errors.DTypeError, match="init_value has dtype float32, the operand float64"):
        lax.reduce_window(x, np.float32(0), lax.add, (2,))
    with pytest.raises(errors.DTypeError, match="init_value has dtype float64, the operand int64"):
        lax.reduce_window(np.arange(3), -np.inf, lax.max, (2,))
    with pytest.raises(errors.ArgumentError, match="'SAME_LOWER' or .* got 'FULL'"):
        lax.reduce_window_sum(x, (2,), (1,), "FULL")
    with pytest.raises(errors.ArgumentError, match="the padding of reduce_window_max is"):
        lax.reduce_window_max(x, (2,), (1,), 1)
    with pytest.raises(errors.ArgumentError, match="must be a sequence of integers, got 2"):
        lax.reduce_window_max(x, 2)


# ---------------------------------------------------------------- figures of JAX 0.10


def test_figures():
    """Weighted sums of results and gradients that JAX 0.10.2 gives, ties included."""
    count = lambda *shape: np.cos(np.arange(math.prod(shape), dtype=float)).reshape(shape)
    weigh = lambda y: float(np.sum(y * np.sin(3 * count(*y.shape))))
    x = np.round(count(6, 7, 3), 1)
    options = ((3, 2, 1), (2, 3, 1), "SAME")
    got = []
    for init, computation in ((0.0, lax.add), (-np.inf, lax.max), (np.inf, lax.min)):
        fun = lambda x, init=init, computation=computation: lax.reduce_window(x, init, computation, *options)
        loss = lambda x, fun=fun: (lambda y: (y * count(*y.shape) * y).sum())(fun(x))
        got.append([weigh(fun(x)), weigh(ft.grad(loss)(x))])
    np.testing.assert_allclose(got, FIGURES, rtol=1e-10)


FIGURES = [
    [-0.5956920371010017, 1.4770984108652185],
    [0.3577831796429444, -0.028734851974610787],
    [-0.8113646837479938, 1.1624704654526083],
]
