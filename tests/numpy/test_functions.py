"""Every function of the namespace against NumPy's: eagerly, compiled, mapped, and differentiated."""

import numpy as np
import pytest
from numpy_samples import SAMPLES

import functrans as ft
import functrans.numpy as fnp
from functrans.lax.reductions import reduce_sum

# NumPy 2.5 warns of it where it is called in its own name, as the tests do.
pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")


def find(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def leaves(value):
    return [np.asarray(v) for v in ft.tree.leaves(value)]


def assert_same(found, expected, ulps=0):
    found, expected = leaves(found), leaves(expected)
    assert len(found) == len(expected)
    for f, e in zip(found, expected):
        assert f.dtype == e.dtype
        assert f.shape == e.shape
        if e.dtype.kind in "fc" and ulps:
            scale = np.maximum(np.abs(e), np.abs(e).max(initial=0.0) * 1e-2)
            with np.errstate(invalid="ignore"):
                wrong = ~(np.abs(f - e) <= ulps * np.finfo(e.dtype).eps * scale) & ~(
                    (f == e) | (np.isnan(f) & np.isnan(e))
                )
            assert not wrong.any(), f"{f}\n{e}"
        else:
            np.testing.assert_array_equal(f, e)


def call(module, sample, args=None):
    return find(module, sample.name)(*(sample.args if args is None else args), **sample.kwargs)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_eager_is_numpy(sample):
    found = call(fnp, sample)
    assert_same(found, call(np, sample))
    assert all(isinstance(v, ft.Array) for v in ft.tree.leaves(found) if not isinstance(v, str | bool))


def traced_arguments(args):
    """The array arguments, and the function that puts others into their places."""
    flat, tree = ft.tree.flatten(args)
    places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and a.ndim]

    def fill(values):
        full = list(flat)
        for i, v in zip(places, values):
            full[i] = v
        return ft.tree.unflatten(tree, full)

    return [flat[i] for i in places], fill


#: What must be known while tracing stays as it is.
STATIC = {"compress": (0,), "repeat": (1,), "delete": (1,), "insert": (1,), "add.reduceat": (1,)}


def traced_call(module, sample):
    """The arrays of a sample that can be traced, and the call as a function of them."""
    static = STATIC.get(sample.name, ())
    chosen = [a for i, a in enumerate(sample.args) if i not in static]
    arrays, fill = traced_arguments(chosen)

    def function(*xs):
        rest = iter(fill(xs))
        return call(module, sample, [a if i in static else next(rest) for i, a in enumerate(sample.args)])

    return arrays, function


TRACED = [s for s in SAMPLES if s.traced]


@pytest.mark.parametrize("sample", TRACED, ids=str)
def test_compiled_is_eager(sample):
    """Where kernels have mathematics of their own results may differ by some units in the last place."""
    arrays, function = traced_call(fnp, sample)
    assert_same(ft.jit(function)(*arrays), call(np, sample), ulps=64)


DIFFERENTIABLE = [s for s in TRACED if s.smooth and any(a.dtype.kind == "f" for a in traced_call(fnp, s)[0])]


@pytest.mark.parametrize("sample", DIFFERENTIABLE, ids=str)
def test_derivatives(sample):
    """Reverse mode against finite differences, forward mode against reverse; and the same of the gradient."""
    arrays, function = traced_call(fnp, sample)
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    weights = np.random.default_rng(1)

    def scalar(*xs):
        full = list(arrays)
        for i, x in zip(floats, xs):
            full[i] = x
        outs = [o for o in ft.tree.leaves(function(*full)) if getattr(o, "dtype", np.dtype(int)).kind == "f"]
        draws = np.random.default_rng(1)
        return sum(reduce_sum(o * draws.normal(size=o.shape), range(o.ndim)) for o in outs)

    xs = [arrays[i] for i in floats]
    directions = [weights.normal(size=x.shape) for x in xs]
    places = tuple(range(len(xs)))

    def slope(*xs):
        gradient = ft.grad(scalar, places)(*xs)
        return sum(reduce_sum(g * d, range(d.ndim)) for g, d in zip(gradient, directions))

    for f in (scalar, slope):
        h = 1e-6
        plus, minus = (float(f(*[x + s * h * d for x, d in zip(xs, directions)])) for s in (1, -1))
        expected = (plus - minus) / (2 * h)
        by_reverse = sum(float(np.sum(g * d)) for g, d in zip(ft.grad(f, places)(*xs), directions))
        _, by_forward = ft.jvp(f, tuple(xs), tuple(directions))
        assert abs(by_reverse - expected) <= 1e-5 * max(1.0, abs(expected), abs(plus))
        assert abs(float(by_forward) - by_reverse) <= 1e-9 * max(1.0, abs(by_reverse))


#: Of these a second example is the same one: they take sorted or other special arrays.
SAME = {"searchsorted", "digitize", "interp", "histogram", "linalg.cholesky", "choose", "gradient", "trapezoid",
        "histogramdd", "histogram2d", "ravel_multi_index", "polyfit", "average", "percentile"}  # fmt: skip


@pytest.mark.parametrize("sample", [s for s in TRACED if s.name not in {"block", "lexsort"}], ids=str)
def test_mapped_is_a_loop(sample):
    arrays, function = traced_call(fnp, sample)
    if not arrays:
        return
    batches = [np.stack([a, a if sample.name in SAME else a[::-1]]) for a in arrays]
    found = ft.vmap(function)(*batches)
    for i in range(2):
        expected = function(*[b[i] for b in batches])
        assert_same(ft.tree.map(lambda v, i=i: v[i], found), expected, ulps=64)


CREATION = [
    ("zeros", ((2, 3),), {}), ("ones", (4,), {"dtype": np.float32}), ("full", ((2,), 3), {}), ("eye", (3,), {"k": 1}),
    ("identity", (2,), {}), ("tri", (3, 4), {}), ("arange", (5,), {}), ("arange", (1, 10, 3), {}),
    ("arange", (0.0, 1.0, 0.25), {}), ("linspace", (0.0, 1.0, 5), {}),
    ("linspace", (0, 3), {"num": 4, "endpoint": False}),
    ("logspace", (0.0, 2.0, 3), {}), ("geomspace", (1.0, 8.0, 4), {}), ("indices", ((2, 3),), {}), ("zeros", (0,), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), CREATION)
def test_creation(name, args, kwargs):
    expected = find(np, name)(*args, **kwargs)
    found = find(fnp, name)(*args, **kwargs)
    assert_same(found, expected)
    assert found.flags.writeable
    assert_same(ft.jit(lambda: find(fnp, name)(*args, **kwargs))(), expected, ulps=4)


def test_zeros_in_a_traced_function_are_an_equation():
    text = str(ft.make_jaxpr(lambda x: x + fnp.zeros(1000))(1.0))
    assert "broadcast_in_dim" in text


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.uint8, np.int32, np.uint64, np.float16, np.float32, np.complex64]
)
def test_dtypes_follow_numpy(dtype):
    x = np.array([1, 0, 2]).astype(dtype)
    for function in (
        lambda n, x: x + 1, lambda n, x: x * 2.0, lambda n, x: n.sum(x), lambda n, x: n.mean(x),
        lambda n, x: n.cumsum(x), lambda n, x: n.prod(x), lambda n, x: n.where(x, x, 1),
        lambda n, x: n.maximum(x, np.float32(1)),
        lambda n, x: n.square(x), lambda n, x: n.concatenate([x, np.ones(1, np.float32)]), lambda n, x: n.exp(x),
        lambda n, x: x == 1, lambda n, x: n.multiply(x, np.int16(3)), lambda n, x: n.std(x),
    ):  # fmt: skip
        try:
            expected = np.asarray(function(np, x))
        except TypeError:
            continue
        staged = ft.eval_shape(lambda x, f=function: f(fnp, x), x)
        assert (staged.shape, staged.dtype) == (expected.shape, expected.dtype), function


def test_weak_scalars_stay_weak():
    x = np.ones(2, np.float32)
    assert ft.jit(lambda s, x: s * x)(2.0, x).dtype == np.float32
    assert ft.jit(lambda s, x: (2 * s + 1) * x)(2, x).dtype == np.float32
    assert ft.jit(lambda s: s * 2)(3).dtype == np.int64
    assert ft.jit(lambda x: x + np.float64(1))(x).dtype == np.float64


def test_sizes_that_depend_on_values():
    x = np.array([0, 3, 0, 4])
    (found,) = ft.jit(lambda x: fnp.nonzero(x, size=3, fill_value=-1))(x)
    np.testing.assert_array_equal(found, [1, 3, -1])
    np.testing.assert_array_equal(ft.jit(lambda x: fnp.unique(x, size=4, fill_value=9))(x), [0, 3, 4, 9])
    np.testing.assert_array_equal(ft.jit(lambda x: fnp.bincount(x, length=5))(x), np.bincount(x))
    with pytest.raises(ft.errors.ConcretizationError, match=r"nonzero\(x, size=n\)"):
        ft.jit(fnp.nonzero)(x)


def test_methods_of_arrays_give_arrays():
    """NumPy's own `round` and `trace` drop the type of what they are given."""
    x = fnp.asarray(np.eye(2) / 3)
    for out, wanted in ((x.round(3), [[0.333, 0], [0, 0.333]]), (x.trace(), 2 / 3), (x.round(), np.zeros((2, 2)))):
        assert type(out) is ft.Array
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", ["f4", "f2", "i1", "c8", "f8"])
@pytest.mark.parametrize("function", ["linspace", "logspace"])
def test_ends_of_python_are_weak(function, dtype):
    x = np.array([1, 2]).astype(dtype)
    for ends in (lambda x: (0, x[1]), lambda x: (x[0], 2.5), lambda x: (x, 3), lambda x: (x[0], x[1])):
        wanted = getattr(np, function)(*ends(x), 4)
        got = ft.jit(lambda x, ends=ends: getattr(fnp, function)(*ends(x), 4))(x)
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=4 * np.finfo(wanted.dtype).eps)
