"""Traced forms against NumPy over dtypes, shapes and special values: the same results, or errors of the same kinds.

The functions are staged and evaluated equation by equation, which compiles nothing. Where NumPy raises, ours raises one
of `functrans.errors` that is also an exception of NumPy's kind, with one text eagerly and traced.
"""

import itertools
import warnings

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.core.jaxpr import evaluate
from functrans.core.trace import stage

SHAPES = [(), (0,), (1,), (4,), (2, 3), (0, 3), (3, 0), (2, 2, 3)]
ALL = "?bBilLefdFD"
SOME = "?BlfF"
REAL = "bBilLefd"


def values(dtype, shape, special):
    """Small numbers, in a layout that is not contiguous; special ones among them."""
    rng = np.random.default_rng([ord(dtype), *shape, len(shape)])
    kind, n = np.dtype(dtype).kind, int(np.prod(shape))
    if kind in "biu":
        numbers = rng.integers(-3 if kind == "i" else 0, 4 if kind != "b" else 2, n)
    else:
        numbers = rng.integers(-3, 4, n) + rng.choice([0, 0.5, 0.25], n)
        numbers = numbers + 1j * rng.integers(-2, 3, n) if kind == "c" else numbers
    numbers = numbers.astype(dtype)
    if special and kind in "fc" and n:
        numbers[rng.integers(n)] = np.nan
        if n > 2:
            numbers[rng.integers(n)], numbers[rng.integers(n)] = np.inf, -0.0
    out = np.empty((*shape[::-1], 2), dtype)[..., 0].T
    out[...] = numbers.reshape(shape)
    return out


def staged(function, args):
    """The result of the function run through its jaxpr."""
    leaves, tree = ft.tree.flatten(args)
    places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray)]
    structure = []

    def run(*arrays):
        full = list(leaves)
        for i, x in zip(places, arrays):
            full[i] = x
        outs, out_tree = ft.tree.flatten(function(*ft.tree.unflatten(tree, full)))
        structure[:] = [out_tree]
        return outs

    arrays = [leaves[i] for i in places]
    jaxpr, consts = stage(run, [aval_of(x) for x in arrays])
    outs = [np.asarray(v) for v in evaluate(jaxpr, consts, arrays)]
    assert [(o.shape, o.dtype) for o in outs] == [(a.shape, a.dtype) for a in jaxpr.out_avals]
    return ft.tree.unflatten(structure[0], outs)


def outcome(function, *args):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function(*args), None
        except Exception as error:
            return None, error


KINDS = (TypeError, ValueError, IndexError)


def check(name, args, kwargs, ulps=32):
    theirs, ours = getattr(np, name), getattr(fnp, name)
    wanted, error = outcome(lambda: theirs(*args, **kwargs))
    eager, eager_error = outcome(lambda: ours(*args, **kwargs))
    traced, traced_error = outcome(staged, lambda *xs: ours(*xs, **kwargs), args)
    if error is not None:
        kinds = tuple(k for k in KINDS if isinstance(error, k))
        assert isinstance(traced_error, ft.errors.FunctransError), (error, traced_error)
        assert isinstance(traced_error, kinds), (error, traced_error)
        assert (type(eager_error), str(eager_error)) == (type(traced_error), str(traced_error))
        return
    assert eager_error is None
    assert traced_error is None, traced_error
    for found, exact in ((eager, 1), (traced, ulps)):
        found, expected = ([np.asarray(v) for v in ft.tree.leaves(x)] for x in (found, wanted))
        assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in expected]
        for x, y in zip(found, expected):
            if y.dtype.kind in "fc":
                eps = exact * np.finfo(y.dtype).eps
                np.testing.assert_allclose(x, y, rtol=eps, atol=eps)
            else:
                np.testing.assert_array_equal(x, y)


def sweep(name, calls, dtypes=ALL, shapes=SHAPES, special=(False, True), args=lambda x: (x,), **options):
    for dtype, shape, arguments in itertools.product(dtypes, shapes, calls):
        kwargs = dict(arguments)
        positional = kwargs.pop("_", ())
        for some in special if np.dtype(dtype).kind in "fc" else (False,):
            chosen = (*args(values(dtype, shape, some)), *positional)
            try:
                check(name, chosen, kwargs, **options)
            except AssertionError as error:
                raise AssertionError(f"{name}{chosen!r} with {kwargs}, dtype {dtype}, shape {shape}: {error}") from None


def call(*positional, **kwargs):
    return {"_": positional, **kwargs}


AXES = [{"axis": a} for a in (None, 0, -1, 2)]
REDUCTIONS = (
    "sum prod mean std var max min ptp all any argmax argmin median nansum nanprod nanmax nanmin nancumsum nancumprod "
    "cumsum cumprod nanmedian count_nonzero sort flip"
).split()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_along_axes(name):
    sweep(name, AXES, "?BlLefdF")


@pytest.mark.parametrize("name", ["nanmean", "nanstd", "nanvar"])
def test_means_without_nan(name):
    sweep(name, AXES, "?BlefdF", SHAPES[1:])


@pytest.mark.parametrize("name", "fix isposinf isneginf isreal iscomplex real imag angle sinc i0 nan_to_num".split())
def test_elementwise(name):
    with np.errstate(all="ignore"):
        halves = "" if name == "sinc" and np.isnan(np.sinc(np.float16(0))) else "e"  # NumPy 2.1 divides by zero
    sweep(name, [{}], f"?bBl{halves}fdFD", [(), (0,), (2, 3)])


METHODS = (
    "linear lower higher nearest midpoint inverted_cdf averaged_inverted_cdf closest_observation "
    "interpolated_inverted_cdf hazen weibull median_unbiased normal_unbiased bad"
).split()


@pytest.mark.parametrize("method", METHODS)
def test_quantiles(method):
    for q in (0.3, [0.0, 0.5, 1.0], 1.5):
        calls = [call(q, axis=axis, method=method) for axis in (None, 0, -1)]
        sweep("quantile", calls, "?lefF", [(0,), (1,), (4,), (2, 3), (0, 3)])
        sweep("nanquantile", calls, "lfd", [(4,), (2, 3)])


SHAPES_AND_ORDER = {
    "reshape": [call(-1), call((2, -1)), call((3, 2), order="F"), call((5,)), call((-1, -1)), call((1, 4), order="A")],
    "ravel": [call(), call(order="F")],
    "transpose": [call(), call((1, 0)), call((0, 0)), call((0, 5)), call((-1, 0))],
    "matrix_transpose": [call()],
    "swapaxes": [call(0, 1), call(0, 5), call(-1, 0)],
    "moveaxis": [call(0, -1), call([0, 1], [1, 0]), call(0, 9), call([0, 1], [0])],
    "rollaxis": [call(1), call(0, 2), call(-1, 0), call(0, 9)],
    "squeeze": [call(), call(axis=0), call(axis=(0,)), call(axis=5)],
    "expand_dims": [call(0), call((0, 2)), call(-1), call(9), call((0, 0))],
    "atleast_1d": [call()],
    "atleast_2d": [call()],
    "atleast_3d": [call()],
    "fliplr": [call()],
    "flipud": [call()],
    "broadcast_to": [call((2, 3)), call((4,)), call((3, 4)), call(()), call(4)],
    "append": [call(1), call(np.array([1.5])), call(np.ones((1, 3)), axis=0), call(1, axis=0)],
    "split": [call(2), call(3), call(2, axis=1), call([1, 2]), call([1, 9]), call([-1]), call(2, axis=4)],
    "array_split": [call(3), call(2, axis=-1), call([2, 1]), call(0)],
    "hsplit": [call(2)],
    "vsplit": [call(2)],
    "dsplit": [call(3)],
    "unstack": [call(), call(axis=1), call(axis=5)],
    "tile": [call(2), call((2, 1)), call((2, 2, 2, 2)), call(0), call(())],
    "repeat": [call(2), call(2, axis=0), call([1, 2, 0, 1], axis=0), call(2, axis=7), call([2], axis=-1)],
    "rot90": [call(), call(2), call(-1), call(1, (1, 0)), call(1, (0, 0)), call(1, (0, 5)), call(1, (0, 1, 2))],
    "roll": [call(1), call(-2), call(1, 0), call((1, 2), (0, 1)), call(1, (0, 1)), call((1, 2), 0), call(1, 5)],
    "resize": [call((2, 4)), call(3), call(0), call((2, 0))],
    "delete": [call(0), call([0, 1]), call(0, axis=0), call(slice(0, 2)), call(9), call(-1, axis=1)],
    "insert": [
        call(0, 7), call(1, [7]), call([0, 1], [7, 8]), call(0, 7, axis=1), call(9, 7), call(-1, 7.5), call([0, 0], 9),
        call(slice(0, 2), 9), call(1, np.arange(3), axis=0), call([1], [[5], [6]], axis=1),
    ],
    "take": [call(np.array([0, -1])), call(1, axis=0), call(9), call(9, mode="clip"), call(-9, mode="clip"),
             call(9, mode="wrap"), call(0, axis=7), call(np.array([0.5]))],
    "take_along_axis": [call(np.array([0]), 0), call(np.array([[0], [1]]), 1), call(np.array([0]), None),
                        call(np.array([9]), 0), call(np.array([[0]]), -1), call(np.array([[0]]), 5)],
    "diagonal": [call(), call(1), call(-1, 1, 0), call(0, 0, 0), call(0, 0, 5)],
    "trace": [call(), call(1), call(dtype="f4"), call(0, 0, 5)],
    "diag": [call(), call(1), call(-1)],
    "vander": [call(), call(2), call(3, increasing=True)],
    "ix_": [call([0, 1])],
    "meshgrid": [call(np.arange(2)), call(np.arange(2), indexing="ij", sparse=True), call(np.arange(2), indexing="x")],
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES_AND_ORDER)
def test_shapes_and_order(name):
    sweep(name, SHAPES_AND_ORDER[name], "lF", special=(False,))


@pytest.mark.parametrize("name", ["concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"])
def test_joining(name):
    options = [call(), call(axis=1), call(axis=-1), call(axis=5)] if name in ("concatenate", "stack") else [call()]
    for args in (lambda x: ([x, x],), lambda x: ([x, x[:1] if x.ndim else x],)):
        sweep(name, options, "lfF", special=(False,), args=args)


PADS = [
    *[call(1, mode=m) for m in "constant edge reflect symmetric wrap maximum minimum mean median bad".split()],
    call((1, 2)), call(((1, 0), (0, 2))), call(1, constant_values=5), call(1, constant_values=(1, 2)), call(-1),
    call(2, mode="maximum", stat_length=1), call(2, mode="mean", stat_length=2), call(3, mode="wrap"),
    call(1, mode="linear_ramp", end_values=3), call(2, mode="reflect", reflect_type="odd"), call(1.5),
    call(2, mode="symmetric", reflect_type="odd"), call(1, mode="edge", constant_values=1),
    *([] if np.lib.NumpyVersion(np.__version__) < "2.2.0" else [call({0: 1})]),
]  # fmt: skip


def test_pad():
    sweep("pad", [p for p in PADS if p["_"] not in (({0: 1},), (((1, 0), (0, 2)),))], "lfF", special=(False,))
    sweep("pad", PADS, "l", [(2, 3)])


NUMBERS = {
    "clip": ([call(0, 1), call(None, 1), call(0, None), call(), call(np.array([0, 1.5]), 9), call(0.5, 1.5)], SOME),
    "round": ([call(), call(1), call(-1)], "?bBlefdFD"),
    "isclose": ([call(1), call(np.array([0.0])), call(np.nan, equal_nan=True), call(np.ones(5))], "?lefdF"),
    "allclose": ([call(1), call(np.zeros(4))], "?lefdF"),
    "array_equal": ([call(1), call(np.zeros(4)), call(np.zeros(4), equal_nan=True)], "?lefdF"),
    "array_equiv": ([call(1), call(np.zeros(4))], "?lefdF"),
    "diff": ([call(), call(2), call(0), call(-1), call(axis=0), call(axis=5), call(prepend=0)], "?Bldf"),
    "ediff1d": ([call(), call(9), call([1], [2.5])], "?ldf"),
    "gradient": ([call(), call(2.0), call(axis=0), call([0, 1, 3, 4.0]), call(edge_order=2), call(axis=5), call(1, 2),
                  call(edge_order=3)], "ldf"),
    "trapezoid": ([call(), call(dx=0.5), call([0, 1, 3, 4]), call(axis=0), call(axis=5)], "ldf"),
    "cov": ([call(), call(rowvar=False), call(bias=True), call(ddof=0), call(ddof=1.5),
             call([1.0, 2, 0, 4])], "ldfF"),
    "corrcoef": ([call(), call(rowvar=False)], "ldF"),
    "average": ([call(weights=np.array([1.0, 2, 0, 4])), call(axis=0, weights=[1.0, 2.0]), call(axis=0, keepdims=True),
                 call(weights=np.ones((2, 3)), returned=True), call(axis=1, weights=np.ones(5))], "lfdF"),
    "unwrap": ([call(), call(discont=1), call(axis=0), call(period=3), call(axis=5)], "ldf"),
    "interp": ([call([0, 1, 2.0], [3, 4, 5]), call([0, 1.0], [1, 2, 3]), call([], []), call([1.0], [2.0]),
                call([0, 1, 2.0], [3, 1, 5], left=-1, right=9), call([0, 1, 2], [1 + 1j, 2, 3])], "ldfF"),
    "searchsorted": ([call(np.array(v), side=s) for v in (1, [0.5, 2], [[1, np.nan]]) for s in ("left", "right", "x")],
                     "lfdF"),
    "digitize": ([call([0, 1, 2]), call([2, 1, 0.0]), call([0, 1, 2], right=True), call([[1]]), call([])], "?lfF"),
    "isin": ([call([1, 2]), call(np.arange(-5, 30)), call([np.nan, 1.0]), call([1], invert=True)], "?lLfF"),
    "histogram": ([call(), call(bins=4), call(bins=3, range=(-1, 2)), call(bins=[-1, 0, 2.0]), call(bins=0),
                   call(bins=[2, 1]), call(density=True, bins=4), call(weights=np.arange(4))], "Blef"),
    "histogramdd": ([call(), call(bins=[2, 3, 4]), call(bins=4, density=True), call(range=[(-1, 1)] * 3),
                     call(weights=np.array([1, 2.0]))], "lfd"),
    "packbits": ([call(), call(axis=0), call(axis=-1, bitorder="little"), call(axis=2), call(bitorder="x")], "?bBf"),
    "unpackbits": ([call(), call(axis=0), call(axis=-1, bitorder="little"), call(axis=2), call(count=5),
                    call(count=-3)], "?B"),
    "polyder": ([call(), call(2), call(-1)], "lfF"),
    "polyint": ([call(), call(2), call(2, [1, 2]), call(-1)], "lfF"),
    "polyval": ([call(2.0), call(np.array([1, 2]))], "lfF"),
    "convolve": ([call(np.array(v), mode=m) for v in ([1, 2, 3], [1.5, 2], [1 + 2j]) for m in ("full", "same", "x")],
                 SOME),
    "correlate": ([call(np.array(v), mode=m) for v in ([1, 2, 3], [1.5, 2], [1 + 2j]) for m in ("full", "valid")],
                  SOME),
    "polymul": ([call(np.array([1, 2, 3]))], "d"),
    "dot": ([call(np.arange(3)), call(np.ones((3, 2))), call(2.0), call(np.ones((2, 3, 4)))], "?lF"),
    "inner": ([call(np.arange(3)), call(np.ones((2, 3))), call(2.0)], "?lF"),
    "outer": ([call(np.arange(3)), call(2.0)], "?lF"),
    "kron": ([call(np.arange(3)), call(np.ones((2, 3)))], "?lF"),
    "tensordot": ([call(np.ones((2, 3)), 1), call(np.ones((2, 3)), ([0], [0])), call(np.ones(2), 0),
                   call(np.ones((2, 3)), 5), call(np.ones((3, 3)), ([0, 1], [0]))], "lF"),
}  # fmt: skip
#: Shapes for which the functions are defined, or at least agree in what they refuse.
ONLY = {
    "interp": [(), (0,), (2, 3)], "searchsorted": SHAPES[1:], "histogram": [(0,), (4,), (2, 3)],
    "polyder": [(4,), (2, 2)], "polyint": [(1,), (4,), (2, 2)], "polyval": [(1,), (3,)],
    "convolve": [(), (0,), (1,), (5,), (2, 2)], "polymul": [(4,)],
    "correlate": [(), (0,), (1,), (5,), (2, 2)], "unpackbits": SHAPES[2:],
    "average": [(4,), (2, 3)], "histogramdd": [(4,), (2, 3)], "corrcoef": [(4,), (2, 3)],
    "cov": [(0,), (4,), (2, 3), (2, 2, 3)],
}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name):
    calls, dtypes = NUMBERS[name]
    args = {"searchsorted": lambda x: (np.sort(x),)}.get(name, lambda x: (x,))
    # Infinities by complex numbers, which convolutions multiply, are what the order of sums and products makes of them.
    plain = ("gradient", "cov", "corrcoef", "histogram", "histogramdd", "polymul", "correlate", "convolve")
    special = (False,) if name in plain else (False, True)
    sweep(name, calls, dtypes, ONLY.get(name, SHAPES), special, args, ulps=64)
