"""Gather, scatter, dynamic slices, and NumPy's indexing language over them: values, errors and derivatives."""

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_derivatives, check_rules, check_staged
from hypothesis import given, settings, strategies as st

from functrans import errors, lax
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import evaluate
from functrans.core.trace import stage
from functrans.lax.indexing import scatter, take_along
from functrans.lax.subscript import IndexUpdate, getitem

X = np.random.default_rng(0).standard_normal((3, 4, 2))
I2 = np.array([0, 1])


# ---------------------------------------------------------------- gather and scatter


def reference_gather(x, indices, axes):
    """By NumPy's take, one place after another."""
    others = [i for i in range(x.ndim) if i not in axes]
    out = np.empty((*indices[0].shape, *(x.shape[i] for i in others)), x.dtype)
    for b in np.ndindex(*indices[0].shape):
        index = [slice(None)] * x.ndim
        for i, a in zip(indices, axes):
            index[a] = i[b]
        out[b] = x[tuple(index)]
    return out


@st.composite
def gathers(draw):
    """An array, axes of it, and index arrays within bounds (negative ones too) of some shape and integer dtype."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axes = draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    batch = draw(st.lists(st.integers(0, 3), max_size=2))
    dtype = draw(st.sampled_from([np.int8, np.int64, np.uint8]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    low = 0 if np.dtype(dtype).kind == "u" else -1
    indices = [np.asarray(rng.integers(low * shape[a], shape[a], batch), dtype) for a in axes]
    return rng.standard_normal(shape), indices, axes


@settings(max_examples=40, deadline=None)
@given(gathers())
def test_gather_reads_at_indices(case):
    x, indices, axes = case
    fun = lambda x, *i: lax.gather(x, i, axes)
    assert_same(fun(x, *indices), reference_gather(x, indices, axes))
    check_staged(fun, x, *indices)
    check_batching(fun, x, *indices)
    check_derivatives(fun, x, *indices, order=1)


@settings(max_examples=25, deadline=None)
@given(gathers(), st.sampled_from(["set", "add", "multiply", "min", "max"]))
def test_scatter_writes_at_indices(case, kind):
    x, indices, axes = case
    updates = np.random.default_rng(0).standard_normal(lax.gather(x, indices, axes).shape)
    fun = lambda x, u, *i: scatter(kind, x, u, i, axes)
    before = x.copy()
    wanted = x.copy()
    combine = {"set": None, "add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum}[kind]
    for b in np.ndindex(*indices[0].shape):
        index = [slice(None)] * x.ndim
        for i, a in zip(indices, axes):
            index[a] = i[b]
        wanted[tuple(index)] = updates[b] if combine is None else combine(wanted[tuple(index)], updates[b])
    assert_same(fun(x, updates, *indices), wanted, 1e-14)
    assert_same(x, before)
    check_staged(fun, x, updates, *indices)
    check_batching(fun, x, updates, *indices)
    check_derivatives(fun, x, updates, *indices, order=1)


@pytest.mark.parametrize("kind", ["set", "add", "multiply", "min", "max"])
@pytest.mark.parametrize("index", [[0, 2], [1, 1, 0], [-1]])
def test_scatters_have_second_derivatives(kind, index):
    i = np.array(index)
    u = np.random.default_rng(1).standard_normal((len(i), 4, 2))
    check_derivatives(lambda x, u: scatter(kind, x * x, u * u, [i], [0]), X, u, order=2)
    check_derivatives(lambda x, u: lax.gather(x * x, [i], [0]) * u, X, u, order=2)


def test_products_of_zeros_at_distinct_places_have_derivatives():
    x, u = np.array([1.0, 0.0, 3.0]), np.array([0.0, 2.0])
    check_derivatives(lambda x, u: scatter("multiply", x, u, [np.array([0, 1])], [0]), x, u, order=2)


MODES = ["clip", "wrap", "fill", "promise_in_bounds"]


@pytest.mark.parametrize("mode", MODES)
def test_reads_beyond_an_axis(mode):
    x = np.arange(3.0)
    i = np.array([-3, -1, 2]) if mode == "promise_in_bounds" else np.array([-7, -4, -3, -1, 2, 3, 9])
    fun = lambda x, i: lax.gather(x, [i], [0], mode)
    inside = np.where(i < 0, i + 3, i)
    wanted = {
        "clip": x[np.clip(inside, 0, 2)],
        "wrap": x[inside % 3],
        "fill": np.where((inside >= 0) & (inside < 3), x[np.clip(inside, 0, 2)], np.nan),
        "promise_in_bounds": x[inside % 3],
    }[mode]
    assert_same(fun(x, i), wanted)
    check_staged(fun, x, i)
    check_batching(fun, x, i)
    if mode != "fill":
        check_derivatives(fun, x, i)
    check_derivatives(lambda x: lax.gather(x, [i], [0], mode, fill_value=7.0), x)


@pytest.mark.parametrize("mode", ["clip", "wrap", "drop", "fill"])
@pytest.mark.parametrize("kind", ["set", "add", "multiply", "min", "max"])
def test_writes_beyond_an_axis(mode, kind):
    x, u, i = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5]), np.array([1, 5, -9])
    fun = lambda x, u, i: scatter(kind, x, u, [i], [0], mode)
    if mode in ("drop", "fill"):
        places, kept = np.array([1]), u[:1]
    else:
        inside = np.where(i < 0, i + 3, i)
        places, kept = (np.clip(inside, 0, 2) if mode == "clip" else inside % 3), u
    assert_same(fun(x, u, i), scatter(kind, x, kept, [places], [0]))
    check_staged(fun, x, u, i)
    check_batching(fun, x, u, i)
    check_derivatives(lambda x, u: fun(x, u, i), x, u)


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [(np.int8, -128), (np.uint8, 255), (np.bool_, True), (np.float32, np.nan), (np.complex64, np.nan)],
)
def test_what_fills_by_default(dtype, fill):
    assert_same(lax.gather(np.zeros(2, dtype), [np.array([5])], [0], "fill"), np.array([fill], dtype))
    assert_same(lax.gather(np.zeros(0, dtype), [np.array([5])], [0], "fill"), np.array([fill], dtype))


def test_take_along_axis_is_numpys():
    i = np.argsort(X, 1)
    check_rules(lambda x: take_along(x, i, 1), X)
    assert_same(take_along(X, i, 1), np.take_along_axis(X, i, 1))
    assert_same(take_along(X, i[:1], 1), np.take_along_axis(X, i[:1], 1))


GATHER_ERRORS = [
    (lambda x: lax.gather(x, [I2], [0, 1]), errors.ShapeError, "2 axes and 1 index arrays"),
    (lambda x: lax.gather(x, [I2, np.arange(3)], [0, 1]), errors.ShapeError, "must have one shape"),
    (lambda x: lax.gather(x, [I2 * 1.0], [0]), errors.DTypeError, "indices must be integers"),
    (lambda x: lax.gather(x, [I2], [2]), errors.AxisError, "not distinct axes of shape"),
    (lambda x: lax.gather(x, [I2], [0], "ignore"), errors.ArgumentError, "mode of a read must be one of"),
    (lambda x: scatter("add", x, np.zeros(2), [I2], [0]), errors.ShapeError, "updates of shape .2,. for a place of"),
    (lambda x: scatter("add", x, np.zeros((2, 3), int), [I2], [0]), errors.DTypeError, "updates of dtype int64"),
    (lambda x: scatter("add", x, np.zeros((2, 3)), [I2], [0], "ignore"), errors.ArgumentError, "mode of a write"),
    (lambda x: scatter("plus", x, np.zeros((2, 3)), [I2], [0]), errors.ArgumentError, "kind of a write"),
    (lambda x: lax.dynamic_slice(x, (0,), (1, 1)), errors.ShapeError, "dynamic_slice: 1 starts for shape"),
    (lambda x: lax.dynamic_slice(x, (0, 0), (1,)), errors.ShapeError, "dynamic_slice: 1 sizes for shape"),
    (lambda x: lax.dynamic_slice(x, (0, 0), (1, 9)), errors.ShapeError, "does not fit into shape"),
    (lambda x: lax.dynamic_slice(x, (0, 0.5), (1, 1)), errors.DTypeError, "a start index must be an integer"),
    (lambda x: lax.dynamic_update_slice(x, np.ones(()), (0, 0)), errors.ShapeError, "a block of shape .. does not fit"),
    (
        lambda x: lax.dynamic_update_slice(x, np.ones((9, 1)), (0, 0)),
        errors.ShapeError,
        "a block of shape .9, 1. does not fit",
    ),
    (lambda x: lax.dynamic_update_slice(x, np.ones((1, 1)), (0,)), errors.ShapeError, "1 starts for shape"),
    (lambda x: lax.dynamic_update_slice(x, np.ones((1, 1), int), (0, 0)), errors.DTypeError, "a block of dtype int64"),
]


@pytest.mark.parametrize(("fun", "error", "text"), GATHER_ERRORS)
def test_errors_are_the_same_eagerly_and_staged(fun, error, text):
    with pytest.raises(error, match=text):
        fun(np.ones((2, 3)))
    with pytest.raises(error, match=text):
        abstract(fun, ((2, 3), np.float64))


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_bounds_is_named(index):
    with pytest.raises(errors.IndexOutOfBoundsError, match=f"index {index} is out of bounds for axis 1 with size 3"):
        lax.gather(np.ones((2, 3)), [np.array([0, index])], [1])
    with pytest.raises(errors.IndexOutOfBoundsError, match=f"index {index} is out of bounds for axis 1 with size 3"):
        scatter("add", np.ones((2, 3)), np.ones((2, 2)), [np.array([0, index])], [1])


@pytest.mark.parametrize("mode", ["raise", "clip", "wrap"])
def test_an_empty_axis_has_no_elements_to_read(mode):
    with pytest.raises(errors.IndexOutOfBoundsError):
        lax.gather(np.ones((0, 2)), [np.array([0])], [0], mode)
    assert lax.gather(np.ones((0, 2)), [np.zeros(0, int)], [0], mode).shape == (0, 2)
    with pytest.raises(errors.IndexOutOfBoundsError):
        scatter("set", np.ones((0, 2)), np.ones((1, 2)), [np.array([0])], [0], mode)


# ---------------------------------------------------------------- dynamic slices


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 5), st.integers(-7, 7)), min_size=1, max_size=3), st.booleans()
)
def test_dynamic_slices(axes, unsigned):
    shape = [n for n, _, _ in axes]
    sizes = [min(m, n) for n, m, _ in axes]
    starts = [np.asarray(abs(s), np.uint8) if unsigned else np.asarray(s) for _, _, s in axes]
    x, u = np.random.default_rng(0).standard_normal(shape), np.random.default_rng(1).standard_normal(sizes)
    front = [int(s) + n if s < 0 else int(s) for s, n in zip(starts, shape)]
    place = tuple(
        slice(f, f + m) for f, m in zip([min(max(f, 0), n - m) for f, n, m in zip(front, shape, sizes)], sizes)
    )
    read = lambda x, *starts: lax.dynamic_slice(x, starts, sizes)
    write = lambda x, u, *starts: lax.dynamic_update_slice(x, u, starts)
    wanted = x.copy()
    wanted[place] = u
    assert_same(read(x, *starts), x[place])
    assert_same(write(x, u, *starts), wanted)
    check_rules(read, x, *starts, order=1)
    check_rules(write, x, u, *starts, order=1)


def test_dynamic_slices_in_one_dimension():
    check_rules(lambda x, i: lax.dynamic_slice_in_dim(x, i, 2, 1), X, np.array(1))
    check_rules(lambda x, i: lax.dynamic_index_in_dim(x * x, i, 1, keepdims=False), X, np.array(-1))
    check_rules(lambda x, u, i: lax.dynamic_update_index_in_dim(x, u * u, i, 1), X, X[:, 0], np.array(2))
    assert_same(lax.dynamic_index_in_dim(X, 1, -2), X[:, 1:2])
    check_rules(lambda x: lax.index_in_dim(x * x, -1, 1, keepdims=False), X)
    assert_same(lax.index_in_dim(X, -1, 1), X[:, -1:])
    with pytest.raises(errors.IndexOutOfBoundsError, match="index 4 is out of bounds for axis 1 with size 4"):
        lax.index_in_dim(X, 4, 1)
    assert_same(lax.index_take(X, [I2, I2], [0, 2]), X[I2, :, I2])
    assert_same(lax.dynamic_update_slice_in_dim(X, X[:, :2], 2, 1)[:, 2:], X[:, :2])


# ---------------------------------------------------------------- NumPy's language


@st.composite
def subscripts(draw, shape):
    """An index of an array of this shape: any mixture of what NumPy takes, within bounds."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    batch = draw(st.sampled_from([(), (1,), (2,), (2, 1), (3,)]))
    items, axis = [], 0
    dots = draw(st.integers(0, len(shape) + 1))
    used = draw(st.integers(0, len(shape)))
    while axis < used:
        if len(items) == dots and Ellipsis not in [i for i in items if not isinstance(i, np.ndarray)]:
            items.append(Ellipsis)
        where = (
            axis if Ellipsis not in [i for i in items if not isinstance(i, np.ndarray)] else len(shape) - used + axis
        )
        n = shape[where]
        kind = draw(
            st.sampled_from(["int", "slice", "slice", "array", "array", "mask", "mask2", "new", "flag", "list"])
        )
        if kind == "new":
            items.append(None)
            if sum(i is None for i in items) > 2:
                axis = used
            continue
        if kind == "flag":
            items.append(draw(st.sampled_from([True, np.True_, np.array(True), False])))
            axis += len(items) > 5
            continue
        if kind == "mask2" and axis + 2 <= used:
            items.append(rng.random(shape[where : where + 2]) < 0.5)
            axis += 2
            continue
        if kind == "slice" or n == 0:
            items.append(draw(st.slices(n)))
        elif kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "mask":
            items.append(rng.random(n) < 0.5)
        else:
            index = rng.integers(-n, n, batch[draw(st.integers(0, len(batch))) :])
            items.append(index.tolist() if kind == "list" and index.ndim == 1 else index)
        axis += 1
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_index_reads_as_numpy(data):
    shape = data.draw(SHAPES)
    index = data.draw(subscripts(shape))
    x = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) * 1.5)
    try:
        wanted = x[index]
    except IndexError:
        with pytest.raises((errors.IndexOutOfBoundsError, errors.AxisError)):
            getitem(x, index)
        with pytest.raises((errors.IndexOutOfBoundsError, errors.AxisError)):
            abstract(lambda x: getitem(x, index), (shape, x.dtype))
        return
    assert_same(getitem(x, index), wanted)
    jaxpr, consts = stage(lambda x: [getitem(x, index)], [ShapedArray(shape, x.dtype)])
    assert_same(evaluate(jaxpr, consts, [x])[0], wanted)
    check_derivatives(lambda x: getitem(x, index), x, order=1)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(["set", "add", "multiply", "min", "max", "divide", "subtract"]))
def test_any_index_is_written_as_numpy(data, kind):
    shape = data.draw(SHAPES)
    index = data.draw(subscripts(shape))
    x = np.asarray(1.0 + np.arange(np.prod(shape, dtype=int)).reshape(shape))
    try:
        place = x[index]
    except IndexError:
        return
    values = np.random.default_rng(0).uniform(1.0, 2.0, place.shape[data.draw(st.integers(0, place.ndim)) :])
    wanted = x.copy()
    if kind == "set":
        values = 7.5  # which of several values remains is not NumPy's promise
        wanted[index] = values
    else:
        ufunc = {"add": np.add, "multiply": np.multiply, "min": np.minimum, "max": np.maximum, "divide": np.divide,
                 "subtract": np.subtract}[kind]  # fmt: skip
        ufunc.at(wanted, index, values)
    fun = lambda x, v: getattr(IndexUpdate(x)[index], kind)(v)
    assert_same(fun(x, values), wanted, 1e-12)
    check_staged(fun, x, np.asarray(values), rtol=1e-12)
    if kind in ("set", "add", "subtract", "multiply"):
        check_derivatives(fun, x, np.asarray(values), order=1)
        check_batching(fun, x, np.asarray(values))


@pytest.mark.parametrize(
    "index", [(0, slice(None), 1), (slice(None, None, -2), 1), (Ellipsis, None, I2), (I2, slice(1, 3), I2)]
)
def test_indices_to_second_order(index):
    check_rules(lambda x: getitem(x * x, index), X)
    check_rules(lambda x: IndexUpdate(x * x)[index].multiply(getitem(x, index) * 2.0), X)
    check_rules(lambda x: IndexUpdate(x)[index].power(getitem(x, index)), np.abs(X) + 0.5)


@pytest.mark.parametrize("index", ["i", "x[i, :, j]", "x[:, i]", "x[0, i, j]", "x[[..], :, i]"])
def test_traced_integers_are_scalars(index):
    i, j = np.array(1), np.array(-1)
    make = {
        "i": lambda i, j: i,
        "x[i, :, j]": lambda i, j: (i, slice(None), j),
        "x[:, i]": lambda i, j: (slice(None), i),
        "x[0, i, j]": lambda i, j: (0, i, j),
        "x[[..], :, i]": lambda i, j: (I2, slice(None), j),
    }[index]
    fun = lambda x, i, j: getitem(x, make(i, j))
    assert_same(fun(X, i, j), X[make(i, j)])
    check_rules(fun, X, i, j)
    check_rules(lambda x, i, j: IndexUpdate(x)[make(i, j)].add(1.0), X, i, j)


def test_static_indices_become_slices():
    names = lambda index: [
        e.primitive.name for e in stage(lambda x: [getitem(x, index)], [ShapedArray((3, 4, 2), X.dtype)])[0].eqns
    ]
    assert names((0, slice(1, 3))) == ["slice", "reshape"]
    assert names((slice(None, None, -1),)) == ["rev"]
    assert names(Ellipsis) == []
    assert "gather" in names((I2,))


INDEX_ERRORS = [
    (5, errors.IndexOutOfBoundsError, "index 5 is out of bounds for axis 0 with size 3"),
    ((0, -5), errors.IndexOutOfBoundsError, "index -5 is out of bounds for axis 1 with size 4"),
    (I2 + 2, errors.IndexOutOfBoundsError, "index 3 is out of bounds for axis 0 with size 3"),
    ((0, 0, 0, 0), errors.IndexOutOfBoundsError, "too many indices for array: array is 3-dimensional, but 4 were"),
    ((..., ...), errors.IndexOutOfBoundsError, "single ellipsis"),
    (1.0, errors.IndexTypeError, "only integers, slices"),
    ("a", errors.IndexTypeError, "only integers, slices"),
    (np.array([1.0]), errors.IndexTypeError, "must be of integer .or boolean. type"),
    (slice(0, 1.5), errors.DTypeError, "bounds of a slice"),
    (
        np.ones(2, bool),
        errors.IndexOutOfBoundsError,
        "boolean index did not match indexed array along axis 0; size of axis is 3",
    ),
    ((..., np.ones(3, bool)), errors.IndexOutOfBoundsError, "along axis 2; size of axis is 2 but size of"),
    ((I2, np.arange(3)), errors.AxisError, "could not be broadcast together with shapes .2,. .3,."),
]


@pytest.mark.parametrize(("index", "error", "text"), INDEX_ERRORS)
def test_indices_that_cannot_be(index, error, text):
    for fun in (lambda x: getitem(x, index), lambda x: IndexUpdate(x)[index].set(0.0)):
        with pytest.raises(error, match=text):
            fun(X)
        with pytest.raises(error, match=text):
            abstract(fun, (X.shape, X.dtype))


def test_values_that_do_not_fit():
    fun = lambda x: IndexUpdate(x)[0].set(np.ones(3))
    for run in (lambda: fun(X), lambda: abstract(fun, (X.shape, X.dtype))):
        with pytest.raises(
            errors.ShapeError, match=r"an update of shape \(3,\) cannot be broadcast to the place of shape \(4, 2\)"
        ):
            run()
    assert_same(IndexUpdate(X)[0].set(np.ones((1, 1, 4, 2)))[0], np.ones((4, 2)))
    check_staged(lambda x, v: IndexUpdate(x)[0].set(v), X, np.ones((1, 1, 4, 2)))


def test_a_traced_mask_says_what_to_write_instead():
    with pytest.raises(errors.NonConcreteBooleanIndexError, match=r"where\(mask, x, 0\)(.|\n)*nonzero\(mask, size=n\)"):
        abstract(lambda x: getitem(x, x > 0), (X.shape, X.dtype))
    check_derivatives(lambda x: getitem(x, x > 0) * 2.0, X)  # under differentiation it has a value


def test_updates_do_not_touch_their_operand():
    x = np.zeros(3)
    for kind in ("set", "add", "multiply", "divide", "power", "min", "max"):
        getattr(IndexUpdate(x)[0], kind)(5.0)
        getattr(IndexUpdate(x)[I2], kind)(5.0)
    IndexUpdate(x)[0].apply(np.cos)
    assert_same(x, np.zeros(3))


def test_duplicates_accumulate():
    x, i = np.full(3, 16.0), np.array([1, 1])
    assert_same(IndexUpdate(x)[i].add(1.0), np.array([16.0, 18.0, 16.0]))
    assert_same(IndexUpdate(x)[i].multiply(2.0), np.array([16.0, 64.0, 16.0]))
    assert_same(IndexUpdate(x)[i].divide(2.0), np.array([16.0, 4.0, 16.0]))
    assert_same(IndexUpdate(x)[i].power(0.5), np.array([16.0, 2.0, 16.0]))
    check_staged(lambda x: IndexUpdate(x)[i].divide(2.0), x)


def test_modes_and_hints_of_updates():
    x = np.arange(3.0)
    place = IndexUpdate(x)[np.array([1, 7])]
    assert_same(place.set(9.0, mode="drop"), np.array([0.0, 9.0, 2.0]))
    assert_same(place.add(1.0, mode="clip"), np.array([0.0, 2.0, 3.0]))
    assert_same(place.get(mode="fill", fill_value=-1.0), np.array([1.0, -1.0]))
    assert_same(place.get(mode="wrap"), np.array([1.0, 1.0]))
    assert_same(place.divide(2.0, mode="drop"), np.array([0.0, 0.5, 2.0]))
    assert_same(IndexUpdate(x)[I2].add(1.0, indices_are_sorted=True, unique_indices=True), np.array([1.0, 2.0, 2.0]))
    with pytest.raises(errors.ArgumentError, match="takes no option sorted"):
        place.add(1.0, sorted=True)
    with pytest.raises(errors.ArgumentError, match="mode of a write must be one of"):
        place.set(1.0, mode="ignore")
