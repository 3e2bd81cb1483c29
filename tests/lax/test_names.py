"""Functions of `jax.lax` that are composed of primitives: values, derivatives, errors."""

import functools

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans import errors, lax
from functrans.testing import check_grads

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
INTEGERS = [np.dtype(f"{k}{n}") for k in "iu" for n in (1, 2, 4, 8)]


def everywhere(fun, *args):
    """The value, eagerly, compiled and mapped."""
    want = fun(*args)
    for got in (ft.jit(fun)(*args), ft.tree.map(lambda y: y[0], ft.vmap(fun)(*(np.asarray(a)[None] for a in args)))):
        for g, w in zip(ft.tree.leaves(got), ft.tree.leaves(want), strict=True):
            assert_same(g, w)
    return want


# ---------------------------------------------------------------- bits and rounding


def extremes(dtype):
    info = np.iinfo(dtype)
    return np.array(
        [0, 1, 2, 7, 100, info.max, info.max - 1, info.min, info.min + 1, *rng.integers(info.min, info.max, 8, dtype)],
        dtype,
    )


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_bits(dtype):
    x, width = extremes(dtype), 8 * dtype.itemsize
    words = [int(v) & ((1 << width) - 1) for v in x]
    as_dtype = lambda values: np.array(
        [v - (1 << width) if dtype.kind == "i" and v >> (width - 1) else v for v in values], dtype
    )
    assert_same(everywhere(lax.population_count, x), np.array([v.bit_count() for v in words], dtype))
    assert_same(everywhere(lax.clz, x), np.array([width - v.bit_length() for v in words], dtype))
    shift = np.arange(len(x), dtype=dtype) % (width - 1)
    assert_same(lax.shift_right_logical(x, shift), as_dtype([v >> int(s) for v, s in zip(words, shift)]))
    high = [(int(a) * int(b)) >> width for a, b in zip(x, x[::-1])]
    assert_same(everywhere(lax.mulhi, x, x[::-1]), np.array(high, dtype))


@pytest.mark.parametrize("large", [np.uint64, np.float64, np.int32])
@pytest.mark.parametrize("small", [np.uint8, np.int16, np.float32])
def test_bit_casts_between_sizes(large, small):
    x = rng.integers(0, 255, (3, 2, 8), np.uint8).view(large)
    with np.errstate(invalid="ignore"):
        apart = everywhere(lambda x: lax.bitcast_convert_type(x, small), x)
    count = np.dtype(large).itemsize // np.dtype(small).itemsize
    if count == 1:
        want = x.view(small)
    else:
        want = x.reshape(*x.shape, 1).view(small)
    np.testing.assert_array_equal(np.asarray(apart).view(np.uint8), want.view(np.uint8))
    together = lax.bitcast_convert_type(apart, large)
    np.testing.assert_array_equal(np.asarray(together).view(np.uint8), x.view(np.uint8))


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-99, 99).map(lambda n: n / 2), min_size=1, max_size=9))
@settings(max_examples=20)
def test_round(values):
    x = np.array(values)
    assert_same(lax.round(x), np.copysign(np.floor(np.abs(x) + 0.5) * (np.abs(x % 1) != 0.49999999999999994), x))
    assert_same(lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN), np.rint(x))


def test_round_at_the_edges():
    x = np.array([0.49999999999999994, -0.0, 0.5, 1.5, -2.5, 2.0**52 + 1, np.inf, -np.inf, np.nan, 1e300])
    want = np.array([0.0, -0.0, 1.0, 2.0, -3.0, 2.0**52 + 1, np.inf, -np.inf, np.nan, 1e300])
    out = everywhere(lax.round, x)
    assert_same(out, want)
    assert np.signbit(out[1])
    assert ft.grad(lax.round)(0.7) == 0.0
    with pytest.raises(errors.DTypeError, match="takes floats"):
        lax.round(np.arange(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reduce_precision_to_half(dtype):
    """NumPy rounds to float16 in the same way; what is subnormal there becomes zero."""
    x = np.concatenate(
        [
            rng.normal(size=50) * 10.0 ** rng.integers(-6, 6, 50),
            [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.9, 65520, 1 + 2**-11],
        ]
    ).astype(dtype)
    fun = lambda x: lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)
    with np.errstate(over="ignore"):
        want = x.astype(np.float16).astype(dtype)
    want = np.where(np.abs(want) < 2.0**-14, np.copysign(dtype(0), x), want)
    out = everywhere(fun, x)
    assert_same(out, want)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(want))
    assert_same(lax.reduce_precision(x, 11 if dtype == np.float64 else 8, 52 if dtype == np.float64 else 23), x)
    assert_same(ft.grad(lambda x: fun(x).sum())(X), np.ones((3, 4)))


def test_rsqrt():
    check_grads(lax.rsqrt, (np.abs(X) + 0.5,), 2)
    assert_same(everywhere(lax.rsqrt, np.abs(X)), 1 / np.sqrt(np.abs(X)))


# ---------------------------------------------------------------- arrangement


def test_arrangement():
    assert_same(everywhere(lambda x: lax.broadcast(x, (2, 1)), X), np.broadcast_to(X, (2, 1, 3, 4)))
    assert_same(everywhere(lax.broadcast_like, X[0], X), np.broadcast_to(X[0], X.shape))
    assert lax.broadcast_shapes((3, 1), (4,), (1, 1, 1)) == (1, 3, 4)
    assert_same(everywhere(lambda x: lax.broadcast_to_rank(x, 4), X), X[None, None])
    assert_same(everywhere(lambda x: lax.tile(x, (2, 3)), X), np.tile(X, (2, 3)))
    assert_same(everywhere(lambda x: lax.collapse(x, 0), X), X.ravel())
    assert_same(lax.collapse(np.zeros((2, 3, 4, 5)), 1, 3), np.zeros((2, 12, 5)))
    assert_same(lax.collapse(np.zeros((2, 3)), 1, 1), np.zeros((2, 1, 3)))
    for got, want in zip(everywhere(lambda x: lax.split(x, (1, 0, 3), 1), X), np.split(X, (1, 1), 1)):
        assert_same(got, want)
    assert_same(everywhere(lambda x, y: lax.stack([x, y], -1), X, X + 1), np.stack([X, X + 1], -1))
    for got, want in zip(everywhere(lambda x: lax.unstack(x, 1), X), X.T, strict=True):
        assert_same(got, want)
    assert_same(lax.full_like(np.ones((2, 3), np.float32), 7), np.full((2, 3), 7, np.float32))
    assert_same(lax.full_like(1, 7, np.int8, (2,)), np.full(2, 7, np.int8))
    assert (lax.empty((2, 0), int).shape, lax.dtype([1, 2])) == ((2, 0), np.dtype(np.int64))
    assert_same(lax.shape_as_value((3, 4)), np.array([3, 4]))
    check_grads(lambda x: (lax.tile(x, (1, 2)), lax.stack(lax.unstack(x)), lax.split(x, (3, 1), 1)), (X,), 1)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16])
def test_select_n(dtype):
    which = np.array([0, 1, 2, 1], dtype)
    cases = [X[0], X[1], X[2]]
    assert_same(everywhere(lambda w, *c: lax.select_n(w, *c), which, *cases), np.choose(which, cases))
    assert_same(everywhere(lambda *c: lax.select_n(dtype(9), *c), *cases), X[2])
    assert_same(lax.select_n(np.array(True), X, -X), -X)
    assert_same(lax.select_n(which < 1, X[0], 1.0 + X[0]), np.where(which < 1, 1.0 + X[0], X[0]))
    check_grads(lambda *c: lax.select_n(which, *c), cases, 1)


def test_identities():
    tree = {"x": X, "n": 3}
    assert ft.tree.map(type, lax.stop_gradient(tree))["n"] is int
    assert ft.grad(lambda x: x * lax.stop_gradient(x))(3.0) == 3.0
    assert ft.grad(lambda x: lax.optimization_barrier((x * x, x))[0])(3.0) == 6.0
    assert lax.platform_dependent(2.0, default=lambda x: -x, tpu=lambda x: x) == -2.0
    assert lax.composite(lambda x: x + 1, "name")(1) == 2
    with pytest.raises(errors.ArgumentError, match="cpu"):
        lax.platform_dependent(2.0, tpu=lambda x: x)


# ---------------------------------------------------------------- sorting, products, convolutions, collectives


@pytest.mark.parametrize("axis", [0, 1])
def test_approximate_extrema_are_exact(axis):
    for got, want in zip(lax.approx_max_k(X, 2, axis), lax.top_k(X, 2, axis=axis)):
        assert_same(got, want)
    values, places = everywhere(lambda x: lax.approx_min_k(x, 2, axis), X)
    assert_same(values, np.sort(X, axis).take([0, 1], axis))
    assert_same(np.take_along_axis(X, np.asarray(places), axis), values)


def test_batched_and_ragged_products():
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5))
    np.testing.assert_allclose(lax.batch_matmul(a, b), a @ b)
    sizes, lhs = np.array([2, 0, 3]), rng.normal(size=(6, 4))
    rhs = rng.normal(size=(3, 4, 5))
    want = np.concatenate([lhs[:2] @ rhs[0], lhs[2:5] @ rhs[2], np.zeros((1, 5))])
    np.testing.assert_allclose(ft.jit(lax.ragged_dot)(lhs, rhs, sizes), want)
    np.testing.assert_allclose(lax.dot(X, X.T, precision=lax.Precision.HIGHEST), X @ X.T)
    check_grads(lambda lhs, rhs: lax.ragged_dot(lhs, rhs, sizes), (lhs, rhs), 1)


def test_patches_are_what_a_convolution_sees():
    x, kernel = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 2, 3))
    params = {"window_strides": (1, 2), "padding": "SAME", "rhs_dilation": (2, 1)}
    patches = lax.conv_general_dilated_patches(x, (2, 3), **params)
    want = lax.conv_general_dilated(x, kernel, **params)
    np.testing.assert_allclose(np.einsum("ncij,oc->noij", patches, kernel.reshape(4, -1)), want)
    last = lax.conv_general_dilated_patches(
        x.transpose(0, 2, 3, 1), (2, 3), dimension_numbers=("NHWC", "HWIO", "NHWC"), **params
    )
    assert_same(last, np.asarray(patches).transpose(0, 2, 3, 1))
    everywhere_same = np.broadcast_to(kernel.reshape(4, 18, 1, 1), (4, 18, *want.shape[2:]))
    local = lax.conv_general_dilated_local(
        x, everywhere_same, params["window_strides"], "SAME", (2, 3), rhs_dilation=(2, 1)
    )
    np.testing.assert_allclose(local, want)
    last = lax.conv_general_dilated_local(
        x.transpose(0, 2, 3, 1), everywhere_same.transpose(2, 3, 1, 0), params["window_strides"], "SAME", (2, 3),
        rhs_dilation=(2, 1), dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    np.testing.assert_allclose(np.asarray(last).transpose(0, 3, 1, 2), want)


def test_collectives():
    over = lambda f: ft.vmap(f, axis_name="i")
    assert_same(over(lambda x: lax.psum_scatter(x, "i", tiled=True))(np.ones((3, 6))), np.full((3, 2), 3.0))
    square = rng.normal(size=(3, 2, 3))
    got = over(lambda x: lax.psum_scatter(x, "i", scatter_dimension=1))(square)
    np.testing.assert_allclose(got, square.sum(0).T)
    assert_same(over(lambda x: lax.pshuffle(x, "i", [2, 0, 1]))(X), X[[2, 0, 1]])
    assert_same(over(lambda x: lax.pbroadcast({"x": x}, "i", 1)["x"])(X), X[[1, 1, 1]])
    check_grads(
        over(lambda x: (lax.psum_scatter(x[:3], "i"), lax.pshuffle(x, "i", [1, 2, 0]), lax.pbroadcast(x, "i", 2))),
        (X,),
        1,
    )


def test_an_operand_for_each_branch():
    f = lambda p, x, y: lax.cond(p, x, np.sin, (y, 2.0), lambda pair: pair[0] * pair[1])
    for g in (f, ft.jit(f)):
        assert_same(g(True, 0.5, 3.0), np.sin(0.5))
        assert_same(g(False, 0.5, 3.0), 6.0)
    assert ft.grad(f, 2)(False, 0.5, 3.0) == 2.0
    with pytest.raises(errors.ArgumentError, match="cond takes two functions"):
        lax.cond(True, 1.0, np.sin, 2.0, 3.0)


def test_operands_of_branches_by_name():
    assert lax.cond(True, lambda x: x, lambda x: -x, operand=2.0) == 2.0
    assert lax.cond(False, lambda x: 1.0, lambda x: 2.0, operand=None) == 2.0
    assert ft.jit(lambda i, x: lax.switch(i, [lambda x: x, lambda x: -x], operand=x))(1, 2.0) == -2.0
    with pytest.raises(errors.ArgumentError, match="not both"):
        lax.cond(True, lambda x: x, lambda x: -x, 1.0, operand=2.0)


BAD = {
    "tile": (lambda: lax.tile(X, (2,)), errors.ShapeError, "a number for each axis"),
    "split": (lambda: lax.split(X, (1, 1)), errors.ShapeError, "do not make up axis 0"),
    "stack": (lambda: lax.stack([]), errors.ArgumentError, "an array"),
    "rank": (lambda: lax.broadcast_to_rank(X, 1), errors.ShapeError, "more than 1 axes"),
    "like": (lambda: lax.broadcast_like(X, X[0]), errors.ShapeError, "broadcast"),
    "shapes": (lambda: lax.broadcast_shapes((2,), (3,)), errors.ShapeError, "cannot be broadcast"),
    "collapse": (lambda: lax.collapse(X, 2, 0), errors.ShapeError, "wrong order"),
    "cases": (lambda: lax.select_n(np.array([0, 1]), X, X), errors.ShapeError, "a selector of shape"),
    "three for booleans": (lambda: lax.select_n(np.array(True), X, X, X), errors.DTypeError, "booleans for two"),
    "parts": (lambda: lax.bitcast_convert_type(np.zeros(3, np.uint8), np.uint32), errors.ShapeError, "the 4 parts"),
    "bits": (lambda: lax.clz(X), errors.DTypeError, "clz takes integers"),
    "precision": (lambda: lax.reduce_precision(X, 0, 3), errors.ArgumentError, "1 bit of exponent"),
    "precision of integers": (lambda: lax.reduce_precision(np.arange(3), 5, 3), errors.DTypeError, "floats"),
    "approx": (lambda: lax.approx_min_k(X, 5), errors.ShapeError, "k=5"),
    "stacks": (lambda: lax.batch_matmul(X, X[0]), errors.ShapeError, "stacks of matrices"),
    "ragged": (lambda: lax.ragged_dot(X, X, np.ones(3, int)), errors.ShapeError, "ragged_dot"),
    "shuffle": (
        lambda: ft.vmap(lambda x: lax.pshuffle(x, "i", [0, 0, 1]), axis_name="i")(X), errors.ShapeError, "permutation"
    ),
    "source": (
        lambda: ft.vmap(lambda x: lax.pbroadcast(x, "i", 3), axis_name="i")(X), errors.ShapeError, "no example 3"
    ),
    "share": (
        lambda: ft.vmap(lambda x: lax.psum_scatter(x, "i"), axis_name="i")(X), errors.ShapeError, "psum_scatter"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()


BY_NAME = {
    "add": {"x": 1.5, "y": 0.3}, "pow": {"x": 1.5, "y": 0.3}, "atan2": {"x": 1.5, "y": 0.3}, "sin": {"x": 1.5},
    "complex": {"x": 1.5, "y": 0.3}, "igamma": {"a": 1.5, "x": 0.3}, "igammac": {"a": 1.5, "x": 0.3},
    "zeta": {"x": 1.5, "q": 0.3}, "polygamma": {"m": 1.0, "x": 0.3}, "betainc": {"a": 1.5, "b": 2.5, "x": 0.3},
    "integer_pow": {"x": 1.5, "y": 3}, "max": {"x": 1.5, "y": 0.3},
}  # fmt: skip
ACCURATE = ["cbrt", "cos", "exp", "exp2", "expm1", "log", "log1p", "logistic", "rsqrt", "sin", "sqrt", "tan", "tanh"]


@pytest.mark.parametrize("name", BY_NAME)
def test_operands_by_their_names_in_jax(name):
    fun, operands = getattr(lax, name), BY_NAME[name]
    first, *rest = operands
    assert_same(fun(**operands), fun(*operands.values()))
    traced = ft.make_jaxpr(lambda v: fun(v, **{k: operands[k] for k in rest}))(operands[first])
    assert str(traced) == str(ft.make_jaxpr(lambda v: fun(v, *[operands[k] for k in rest]))(operands[first]))


@pytest.mark.parametrize("name", ACCURATE)
def test_there_is_one_accuracy(name):
    assert_same(getattr(lax, name)(0.3, accuracy=None), getattr(lax, name)(0.3))
    with pytest.raises(errors.ArgumentError, match=f"{name} does not take accuracy='highest': functions have one"):
        getattr(lax, name)(0.3, accuracy="highest")


def test_options_of_jax():
    m = np.arange(6.0).reshape(2, 3)
    assert_same(lax.reshape(m, (6,), dimensions=(1, 0)), m.T.ravel())
    assert_same(lax.dot(m, m, dimension_numbers=(((1,), (1,)), ((), ()))), m @ m.T)
    assert_same(lax.broadcast_like(m[0], np.zeros((4, 3))), np.broadcast_to(m[0], (4, 3)))
    key = np.array([0, 1], np.uint32)
    for algorithm in (lax.RandomAlgorithm.RNG_THREE_FRY, "default"):
        assert_same(lax.rng_bit_generator(key, (2,), algorithm=algorithm)[1], lax.rng_bit_generator(key, (2,))[1])
    with pytest.raises(errors.ArgumentError, match="bits of Threefry"):
        lax.rng_bit_generator(key, (2,), algorithm=lax.RandomAlgorithm.RNG_PHILOX)


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("allow", [True, False])
def test_negative_starts(transform, allow):
    """They count from the end, or are moved to the front."""
    x, option = np.arange(12.0).reshape(4, 3), {"allow_negative_indices": allow}
    last = -1 if allow else 0
    for choice in (allow, (allow, not allow)):
        part = lambda x, i, choice: lax.dynamic_slice(x, (i, 0), (2, 2), allow_negative_indices=choice)
        assert_same(transform(functools.partial(part, choice=choice))(x, -2), x[2:, :2] if allow else x[:2, :2])
    update = transform(lambda x, i: lax.dynamic_update_slice(x, np.ones((1, 3)), (i, 0), **option))
    assert_same(update(x, -1)[last], np.ones(3))
    assert_same(transform(lambda x, i: lax.dynamic_slice_in_dim(x, i, 1, **option))(x, -1), x[last][None])
    assert_same(transform(lambda x, i: lax.dynamic_index_in_dim(x, i, 0, False, **option))(x, -1), x[last])
    for f in (lax.dynamic_update_slice_in_dim, lax.dynamic_update_index_in_dim):
        assert_same(transform(lambda x, i, f=f: f(x, np.zeros((1, 3)), i, 0, **option))(x, -1)[last], np.zeros(3))
    with pytest.raises(errors.ShapeError, match="1 allow_negative_indices for shape"):
        lax.dynamic_slice(x, (0, 0), (1, 1), allow_negative_indices=(True,))


PLACED = {
    "broadcast": (1.0, (2,)), "broadcast_in_dim": (1.0, (2,), ()), "broadcasted_iota": (int, (2,), 0),
    "empty": ((2,), int),
    "dot": (np.ones(2), np.ones(2)), "dot_general": (np.ones(2), np.ones(2), (((0,), (0,)), ((), ()))),
    "reduce_sum": (np.ones(2), (0,)), "reshape": (np.ones(2), (2,)),
    "reduce": (np.ones(2), 0.0, lambda x, y: x + y, (0,)), "rng_bit_generator": (np.zeros(2, np.uint32), (2,)),
    "ragged_dot": (np.ones((3, 2)), np.ones((1, 2, 1)), np.array([3])),
    "conv_general_dilated": (np.ones((1, 1, 3)), np.ones((1, 1, 2)), (1,), "VALID"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*PLACED, "full", "full_like"])
def test_shardings_are_refused(name):
    keyword = "sharding" if name.startswith("full") else "out_sharding"
    args = PLACED.get(name) or (((2,), 1.0) if name == "full" else (np.ones(2), 1.0))
    getattr(lax, name)(*args, **{keyword: None})
    with pytest.raises(errors.ArgumentError, match=f"{name} does not take {keyword}='x': a program runs on one device"):
        getattr(lax, name)(*args, **{keyword: "x"})
