"""Reductions by segments, against a loop over the segments."""

import numpy as np
import pytest

import functrans as ft
from functrans import errors, lax, ops
from functrans.testing import check_grads

IDS = np.array([0, 4, 0, 2, -1, 7, 4, 2])  # 1 and 3 are empty; -1 and 7 are no segments
FUNCTIONS = {
    "segment_sum": (np.sum, 0.0),
    "segment_prod": (np.prod, 1.0),
    "segment_max": (np.max, -np.inf),
    "segment_min": (np.min, np.inf),
}
EACH = pytest.mark.parametrize("name", FUNCTIONS)
FULL = {  # the extremes of dtypes that have no infinity
    ("segment_max", "i"): lambda d: np.iinfo(d).min,
    ("segment_min", "i"): lambda d: np.iinfo(d).max,
    ("segment_max", "b"): lambda d: False,
    ("segment_min", "b"): lambda d: True,
}


def by_loop(name, data, ids, n):
    reduce, empty = FUNCTIONS[name]
    kind = {"u": "i"}.get(data.dtype.kind, data.dtype.kind)
    out = np.full((n, *data.shape[1:]), FULL.get((name, kind), lambda d: empty)(data.dtype), data.dtype)
    for segment in range(n):
        if np.any(ids == segment):
            out[segment] = reduce(data[ids == segment], axis=0)
    return out


CASES = [(name, dtype, (8, 3)) for name in FUNCTIONS for dtype in ("float32", "int32", "uint8")]
CASES += [(name, "float64", shape) for name in FUNCTIONS for shape in ((8,), (8, 0), (8, 2, 2))]
CASES += [(name, "bool", (8, 3)) for name in ("segment_max", "segment_min")]


@pytest.mark.parametrize(("name", "dtype", "shape"), CASES)
def test_against_a_loop(name, dtype, shape):
    data = np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
    fun = getattr(ops, name)
    wanted = by_loop(name, data, IDS, 5)
    jitted = ft.jit(lambda data, ids: fun(data, ids, 5))
    for got in (fun(data, IDS, 5), jitted(data, IDS), jitted(data, IDS.astype(np.int8))):
        assert got.dtype == data.dtype
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(fun(data, IDS), by_loop(name, data, IDS, 8))


@EACH
def test_no_data_and_no_segments(name):
    fun = getattr(ops, name)
    assert fun(np.zeros((0, 2)), np.zeros(0, int)).shape == (0, 2)
    np.testing.assert_array_equal(fun(np.zeros(0), np.zeros(0, int), 2), [FUNCTIONS[name][1]] * 2)
    assert fun(np.ones(8), IDS, 0).shape == fun(np.ones(2), np.array([-1, -3])).shape == (0,)
    assert fun(np.zeros(0), np.zeros(0, np.uint8)).shape == (0,)


@EACH
def test_modes(name):
    fun = getattr(ops, name)
    data = np.arange(1.0, 9.0)
    for mode in ("clip", lax.GatherScatterMode.CLIP):
        np.testing.assert_array_equal(fun(data, IDS, 5, mode=mode), by_loop(name, data, np.clip(IDS, 0, 4), 5))
    far = np.array([0, 2**63 + 5], np.uint64)
    np.testing.assert_array_equal(fun(data[:2], far, 5, mode="clip"), by_loop(name, data[:2], np.array([0, 4]), 5))
    inside = IDS % 5
    np.testing.assert_array_equal(
        ft.jit(lambda x, i: fun(x, i, 5, mode="promise_in_bounds"))(data, inside), by_loop(name, data, inside, 5)
    )
    for transform in (lambda f: f, ft.jit):
        for ids in (np.array([0, -1]), np.array([0, 2])):
            with pytest.raises(errors.IndexOutOfBoundsError):
                transform(lambda x, i: fun(x, i, 2, mode="raise"))(np.ones(2), ids)


@EACH
def test_derivatives_and_vmap(name):
    fun = getattr(ops, name)
    data = np.random.default_rng(1).permutation(np.linspace(0.5, 2.0, 16)).reshape(8, 2)
    full = np.where(IDS < 0, 0, IDS) % 2  # no empty segments: their infinities have no differences
    check_grads(lambda x: fun(x, full, 2), (data,), order=2)
    check_grads(ft.jit(lambda x: fun(x, full, 2)), (data,), order=1)
    ids = np.stack([IDS, IDS[::-1]])
    got = ft.vmap(lambda x, i: fun(x, i, 5), in_axes=(1, 0))(data, ids)
    np.testing.assert_array_equal(got, np.stack([fun(data[:, k], ids[k], 5) for k in range(2)]))


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("data", "ids", "n", "error", "text"),
    [
        (np.ones(3), np.ones(2, int), 2, errors.ShapeError, r"one for each data\[i\]; got segment_ids of shape \(2,\)"),
        (np.ones((2, 2)), np.ones((2, 2), int), 2, errors.ShapeError, r"shape \(2, 2\) for data of shape \(2, 2\)"),
        (np.float64(1), np.ones((), int), 2, errors.ShapeError, r"for data of shape \(\)"),
        (np.ones(2), np.ones(2), 2, errors.DTypeError, "segment_ids of integers, got float64"),
        (np.ones(2, bool), np.ones(2, int), 2, errors.DTypeError, "segment_sum takes numbers, got booleans"),
        (np.ones(2), np.ones(2, int), -1, errors.ArgumentError, "num_segments must not be negative, got -1"),
    ],
)
def test_mistakes(transform, data, ids, n, error, text):
    with pytest.raises(error, match=text):
        transform(lambda data, ids: ops.segment_sum(data, ids, n))(data, ids)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"mode": "wrap"}, errors.ArgumentError, "segment_max: mode must be one of drop, fill, clip, .* got 'wrap'"),
        ({"num_segments": 2.0}, errors.DTypeError, r"num_segments must be an integer, got 2\.0"),
        ({"out_sharding": "x"}, errors.ArgumentError, "does not take out_sharding='x': a program runs on one device"),
        ({"num_segments": 2, "mode": "raise"}, errors.IndexOutOfBoundsError, "segment -1 is not among the 2 from 0"),
    ],
)
def test_mistakes_in_options(options, error, text):
    with pytest.raises(error, match=text):
        ops.segment_max(np.ones(2), np.array([0, -1]), **options)


def test_the_number_of_segments_must_be_known_while_tracing():
    with pytest.raises(errors.ConcretizationError, match=r"segment_max\(data, segment_ids, num_segments=n\)"):
        ft.jit(ops.segment_max)(np.ones(2), np.ones(2, int))
