"""Keyword arguments of NumPy's and of JAX's functions: what they mean here, and errors for those that mean nothing."""

import inspect

import numpy as np
import pytest
from numpy_samples import X

import functrans as ft
import functrans.numpy as fnp
from functrans.testing import check_grads

D = ft.errors
POSITIVE = np.array([[1.0, 0.0, 4.0], [-2.0, 0.5, 0.0]])
VALUES = np.arange(24.0).reshape(2, 3, 4)


def outcome(f, *args):
    try:
        return f(*args), None
    except Exception as error:
        return None, error


def test_signatures_are_numpys():
    """Every parameter of NumPy's functions is one of ours, at the same place; more may follow.

    The results that ufuncs write into are given by name alone: one operand too many would be overwritten.
    """
    unlike = {
        "clip": "the standard's names come first",
        "einsum": "subscripts come first",
        "frompyfunc": "NumPy's has options without names",
        "reshape": "newshape is deprecated", "unique": "", "finfo": "", "iinfo": "",
        "fromstring": "", "fromiter": "", "fromfile": "", "load": "", "save": "", "savez": "", "savez_compressed": "",
    }  # fmt: skip
    deprecated = {("corrcoef", "bias"), ("corrcoef", "ddof")}  # gone in NumPy 2.4, as is `interpolation`
    wrong = []
    for name in fnp.__all__:
        theirs, ours = getattr(np, name, None), getattr(fnp, name)
        if name in unlike or not callable(theirs) or isinstance(theirs, type) or theirs is ours:
            continue
        try:
            wanted, found = (list(inspect.signature(f).parameters.values()) for f in (theirs, ours))
        except ValueError:  # before NumPy 2.4 functions written in C have none
            continue
        names = [p.name for p in found]
        for i, p in enumerate(wanted):
            if p.kind is p.POSITIONAL_ONLY:
                same = found[i].kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            elif p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                same = any(q.kind is p.kind for q in found)
            else:
                q = found[names.index(p.name)] if p.name in names else None
                free = p.kind is p.KEYWORD_ONLY or (p.name == "out" and isinstance(theirs, np.ufunc))
                place = free or (q is not None and names.index(p.name) == i)
                same = q is not None and place and (free or q.kind in (p.kind, p.POSITIONAL_OR_KEYWORD))
            if not same and (name, p.name) not in deprecated and p.name != "interpolation":
                wrong.append(f"{name}: {p}")
    assert not wrong


MASKED = [
    ("log", lambda x: (x,), POSITIVE > 0),
    ("arccosh", lambda x: (x,), POSITIVE > 1),
    ("divide", lambda x: (1, x), POSITIVE != 0),
    ("power", lambda x: (x, 0.5), POSITIVE > 0),
    ("float_power", lambda x: (x, 0.5), POSITIVE > 0),
    ("add", lambda x: (x, x[0]), np.array([True, False, True])),
    ("arctan2", lambda x: (x[0], x[:1]), POSITIVE[:1] > 0),
    ("divmod", lambda x: (x, x), POSITIVE > 0),
]


@pytest.mark.parametrize(("name", "args", "mask"), MASKED, ids=[name for name, _, _ in MASKED])
def test_where_of_ufuncs(name, args, mask):
    """Zeros where NumPy leaves results undefined; what is not computed neither warns nor makes derivatives NaN."""
    theirs, ours = getattr(np, name), getattr(fnp, name)
    with np.errstate(all="ignore"):
        wanted = [np.where(mask, y, 0.0) for y in ft.tree.leaves(theirs(*args(POSITIVE)))]
    traced = lambda x: theirs(*args(x), where=mask)
    with np.errstate(all="raise"):
        found = [ours(*args(POSITIVE), where=mask), ft.jit(traced)(POSITIVE)]
        slopes = ft.grad(lambda x: ft.tree.leaves(traced(x))[0].sum())(POSITIVE)
    for outs in found:
        for y, w in zip(ft.tree.leaves(outs), wanted, strict=True):
            assert y.dtype == w.dtype
            np.testing.assert_allclose(y, w, rtol=4e-16)
    assert np.isfinite(slopes).all()
    if mask.shape == POSITIVE.shape:
        np.testing.assert_array_equal(slopes[~mask], 0.0)
    with pytest.raises(D.DTypeError, match="where= takes booleans"):
        ours(*args(POSITIVE), where=mask.astype(int))


def test_masks_and_results_to_write_into():
    clipped = lambda n, x: n.clip(x, 0.0, 1.0, where=POSITIVE > 0)
    for found in (clipped(fnp, POSITIVE), ft.jit(lambda x: clipped(np, x))(POSITIVE)):
        np.testing.assert_array_equal(found, np.where(POSITIVE > 0, np.clip(POSITIVE, 0, 1), 0))
    out = np.full(2, 7.0)
    fnp.add([1.0, 2.0], 1.0, out=out, where=[True, False])  # plain results are written, as in NumPy
    np.testing.assert_array_equal(out, [2.0, 7.0])
    with pytest.raises(D.ArgumentError, match=r"write y = functrans.numpy.where\(condition, add\(...\), y\)"):
        ft.jit(lambda x: fnp.add(x, 1.0, out=out, where=[True, False]))(out)
    with pytest.raises(D.ArgumentError, match=r"y = np.where\(condition, np.add\(...\), y\)"):
        ft.jit(lambda x: np.add(x, 1.0, out=out, where=[True, False]))(out)


M, V = VALUES, VALUES[0, 0]
PRODUCTS = [
    ("matmul", (M, M.transpose(2, 1, 0)), {"axes": [(1, 2), (0, 1), (1, 0)]}),
    ("matmul", (M, V), {"axes": [(1, 2), (0,), (0,)]}),
    ("matmul", (V, M), {"axes": [0, (2, 1), -1]}),
    ("matmul", (M, M[0].T), {"dtype": "c8", "casting": "unsafe"}),
    ("matmul", (M, M[0].T), {"dtype": "f4", "casting": "safe"}),
    ("matmul", (M, M[0].T), {"axis": 0}),
    ("matmul", (M, M[0].T), {"axes": [(0, 1)]}),
    ("matmul", (M, M[0].T), {"axes": [(0, 1, 2), (0, 1), (0, 1)]}),
    ("vecdot", (M, M), {"axis": 1}),
    ("vecdot", (M, M * 1j), {"axis": 0, "keepdims": True}),
    ("vecdot", (M[:, :2], M[:, :2]), {"axes": [0, 1]}),
    ("vecdot", (M, M), {"axes": [0, 1]}),
    ("vecdot", (M, M), {"axis": 5}),
    ("vecdot", (M, 1.0), {}),
    ("matvec", (M, M[:, 0]), {"axes": [(1, 2), (1,), (0,)]}),
    ("vecmat", (V, M.transpose(0, 2, 1)), {"axes": [(0,), (1, 2), (0,)]}),
    ("vecmat", (V, M.transpose(0, 2, 1)), {"axes": [(0,), (1, 2), (5,)]}),
    ("einsum", ("ij,j", M[0], V), {"dtype": "c16"}),
    ("einsum", (M[0], [0, 1], V, [1], [0]), {"dtype": "c16"}),
    ("einsum", ("ij,j", M[0], V), {"dtype": "f4"}),
    ("inner", (M, M), {}),
    ("inner", (M, V[:3]), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), PRODUCTS)
def test_options_of_products(name, args, options):
    theirs, ours = getattr(np, name, None), getattr(fnp, name)
    if theirs is None:
        pytest.skip("this NumPy does not have it")
    arrays = [a for a in args if isinstance(a, np.ndarray)]

    def traced(*xs):
        left = iter(xs)
        return theirs(*[next(left) if isinstance(a, np.ndarray) else a for a in args], **options)

    wanted, error = outcome(lambda: theirs(*args, **options))
    if error is not None:
        kinds = tuple(k for k in (TypeError, ValueError) if isinstance(error, k))
        errors = [outcome(lambda: ours(*args, **options))[1], outcome(ft.make_jaxpr(traced), *arrays)[1]]
        assert all(isinstance(e, kinds) and isinstance(e, D.FunctransError) for e in errors)
        assert str(errors[0]) == str(errors[1])
        return
    for found in (ours(*args, **options), ft.jit(traced)(*arrays)):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-6 if wanted.dtype == np.complex64 else 1e-14)


@pytest.mark.parametrize(
    "name", "dot matmul inner vdot vecdot tensordot matvec vecmat einsum convolve correlate".split()
)
def test_preferred_element_type(name):
    """The sums are made in it: in float16 these would overflow."""
    x = np.full(300, 16.0, np.float16)
    matrix = np.full((300, 2), 16.0, np.float16)
    args = {"matvec": (matrix.T, x), "vecmat": (x, matrix), "tensordot": (x, x, 1), "einsum": ("i,i", x, x)}.get(
        name, (x, x)
    )
    options = {"mode": "valid"} if name in ("convolve", "correlate") else {}
    f = lambda: getattr(fnp, name)(*args, **options, precision="highest", preferred_element_type=np.float32)
    for found in (f(), ft.jit(f)()):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, np.full(found.shape, 300 * 256.0))


def test_derivatives_through_options():
    check_grads(
        lambda a, b: fnp.matmul(a, b, axes=[(1, 2), (0, 1), (1, 0)]),
        (VALUES / 9, VALUES.transpose(2, 1, 0) / 9),
        order=2,
    )
    check_grads(lambda a: fnp.vecdot(a, a[0], axis=-2, keepdims=True), (VALUES / 9,), order=2)


CALLS = [
    (lambda x: fnp.sum(x, foo=2), "sum: got an unexpected keyword argument 'foo'; it is called as sum\\(a, axis=None"),
    (lambda x: fnp.sum(), "sum: missing a required argument: 'a'"),
    (lambda x: fnp.cumsum(x, axis=0, keepdims=True), "cumsum: got an unexpected keyword argument 'keepdims'"),
    (lambda x: fnp.moveaxis(x, 0, 1, 2), "moveaxis: too many positional arguments"),
    (lambda x: fnp.zeros_like(x, foo=1), "zeros_like: got an unexpected keyword argument 'foo'"),
    (lambda x: fnp.add(x, x, foo=1), "add takes no argument 'foo'; keyword arguments are out, where"),
    (lambda x: fnp.power(x, x, foo=1), "power takes no argument 'foo'"),
    (lambda x: fnp.matmul(x, x.T, foo=1), "matmul takes no argument 'foo'"),
    (lambda x: fnp.asarray(x).at[0].set(1.0, foo=1), r"x.at\[...\] takes no option foo"),
]


@pytest.mark.parametrize(("f", "text"), CALLS)
def test_calls_that_do_not_fit(f, text):
    for call in (f, ft.jit(f)):
        with pytest.raises(D.KeywordError, match=text) as error:
            call(X)
        assert isinstance(error.value, TypeError)


def test_keywords_for_several_devices():
    for f in (fnp.zeros, fnp.arange, fnp.array, fnp.asarray):
        assert f(3, out_sharding=None).dtype == f(3).dtype
        with pytest.raises(D.ArgumentError, match="a program runs on one device"):
            f(3, out_sharding="x")
    for f in (lambda x: fnp.dot(x, x.T, out_sharding=1), lambda x: fnp.asarray(x).at[0].get(out_sharding=1)):
        for call in (f, ft.jit(f)):
            with pytest.raises(D.ArgumentError, match="a program runs on one device"):
                call(X)
    assert fnp.zeros(2, device=ft.devices("cpu")[0]).shape == (2,)
    with pytest.raises(D.ArgumentError, match="device_put"):
        fnp.zeros(2, device="cuda")


@pytest.mark.parametrize("mode", ["fill", "drop", "clip", "wrap"])
def test_negative_indices_that_are_out_of_bounds(mode):
    """As in JAX (whose `wrap` does not read)."""
    x, places = np.arange(5.0), np.array([-1, 0, 7, -9])
    inside = {"clip": [0, 0, 4, 0], "wrap": [4, 0, 2, 1]}.get(mode)
    read = [x[i] for i in inside] if inside else [np.nan, 0.0, np.nan, np.nan]
    written = x.copy()
    np.add.at(written, inside or [0], 9.0)
    f = lambda x, i: x.at[i].get(mode=mode, wrap_negative_indices=False)
    g = lambda x, i: x.at[i].add(9.0, mode=mode, wrap_negative_indices=False)
    h = lambda x, i: x.at[i].divide(2.0, mode=mode, wrap_negative_indices=False)
    divided = x.copy()
    np.divide.at(divided, inside or [0], 2.0)
    for apply in (lambda f: f, ft.jit):
        np.testing.assert_array_equal(apply(f)(fnp.asarray(x), places), read)
        np.testing.assert_array_equal(apply(g)(fnp.asarray(x), places), written)
        np.testing.assert_array_equal(apply(h)(fnp.asarray(x), places), divided)
    if mode == "fill":
        along = lambda x, i: fnp.take_along_axis(x, i, 0, mode="fill", wrap_negative_indices=False)
        np.testing.assert_array_equal(ft.jit(along)(x, places), read)


def test_a_negative_index_that_is_out_of_bounds():
    x = fnp.arange(5.0)
    assert np.isnan(x.at[-1].get(mode="fill", wrap_negative_indices=False))
    np.testing.assert_array_equal(x.at[-2:].get(mode="fill", wrap_negative_indices=False), [3.0, 4.0])
    np.testing.assert_array_equal(x.at[-1].set(9.0, mode="drop", wrap_negative_indices=False), x)
    with pytest.raises(IndexError, match="index -1 is out of bounds"):
        x.at[-1].get(wrap_negative_indices=False)
    with pytest.raises(IndexError, match="out of bounds"):
        ft.jit(lambda i: x.at[i].get(wrap_negative_indices=False))(np.array([-1]))


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "prod",
        "mean",
        "std",
        "var",
        "max",
        "min",
        "any",
        "all",
        "nansum",
        "nanprod",
        "nanmean",
        "nanmax",
        "nanstd",
    ],
)
def test_where_none_is_no_mask(name):
    x = np.array([3.0, 1.0, 2.0])
    wanted = getattr(np, name)(x)
    calls = [lambda x: getattr(fnp, name)(x, where=None)]
    if hasattr(np.ndarray, name):
        calls.append(lambda x: getattr(fnp.asarray(x), name)(where=None))
    for call in calls:
        assert call(x) == ft.jit(call)(x) == wanted
