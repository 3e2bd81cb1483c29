"""The namespace of the array API standard, 2024.12: names, signatures, and a call of each function by them.

Each call is made of the eager namespace and of one in which every function is compiled, with what is no array closed
over; both give NumPy's values, in the dtypes that the standard says.
"""

import inspect

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp

SIGNATURES = {
    fnp: {
        "x, /": "abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag isfinite "
        "isinf isnan log log10 log1p log2 logical_not matrix_transpose negative nonzero positive real reciprocal round "
        "sign signbit sin sinh sqrt square tan tanh trunc unique_all unique_counts unique_inverse unique_values",
        "x1, x2, /": "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign "
        "divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and logical_or "
        "logical_xor matmul maximum minimum multiply nextafter not_equal pow remainder subtract",
        "x, /, *, axis=None, keepdims=False": "all any argmax argmin count_nonzero max mean min",
        "x, /, *, axis=None, dtype=None, keepdims=False": "prod sum",
        "x, /, *, axis=None, correction=0.0, keepdims=False": "std var",
        "x, /, *, axis=None, dtype=None, include_initial=False": "cumulative_prod cumulative_sum",
        "x, /, *, axis=-1, descending=False, stable=True": "argsort sort",
        "shape, *, dtype=None, device=None": "empty ones zeros",
        "x, /, *, dtype=None, device=None": "empty_like ones_like zeros_like",
        "x, dtype, /, *, copy=True, device=None": "astype",
        "x, /, *, k=0": "tril triu",
        "x, /, *, axis=None": "flip",
        "x, /, *, axis=0": "expand_dims unstack",
        "arrays, /, *, axis=0": "concat stack",
        "*arrays": "broadcast_arrays",
        "*arrays, indexing='xy'": "meshgrid",
        "*arrays_and_dtypes": "result_type",
        "condition, x1, x2, /": "where",
        "dtype, kind": "isdtype",
        "from_, to, /": "can_cast",
        "n_rows, n_cols=None, /, *, k=0, dtype=None, device=None": "eye",
        "obj, /, *, dtype=None, device=None, copy=None": "asarray",
        "shape, fill_value, *, dtype=None, device=None": "full",
        "start, /, stop=None, step=1, *, dtype=None, device=None": "arange",
        "start, stop, /, num, *, dtype=None, device=None, endpoint=True": "linspace",
        "type, /": "finfo iinfo",
        "x, /, *, axis=-1, n=1, prepend=None, append=None": "diff",
        "x, /, *, device=None, copy=None": "from_dlpack",
        "x, /, axes": "permute_dims",
        "x, /, axis": "squeeze",
        "x, /, fill_value, *, dtype=None, device=None": "full_like",
        "x, /, min=None, max=None": "clip",
        "x, /, shape": "broadcast_to",
        "x, /, shape, *, copy=None": "reshape",
        "x, /, shift, *, axis=None": "roll",
        "x, indices, /, *, axis=-1": "take_along_axis",
        "x, indices, /, *, axis=None": "take",
        "x, repeats, /, *, axis=None": "repeat",
        "x, repetitions, /": "tile",
        "x, source, destination, /": "moveaxis",
        "x1, x2, /, *, axes=2": "tensordot",
        "x1, x2, /, *, axis=-1": "vecdot",
        "x1, x2, /, *, side='left', sorter=None": "searchsorted",
        "": "__array_namespace_info__",
    },
    fnp.linalg: {
        "x, /": "det eigh eigvalsh inv matrix_transpose slogdet svdvals",
        "x, /, *, upper=False": "cholesky",
        "x, /, *, offset=0": "diagonal",
        "x, /, *, offset=0, dtype=None": "trace",
        "x, /, *, keepdims=False, ord='fro'": "matrix_norm",
        "x, /, *, axis=None, keepdims=False, ord=2": "vector_norm",
        "x, n, /": "matrix_power",
        "x, /, *, rtol=None": "matrix_rank pinv",
        "x, /, *, mode='reduced'": "qr",
        "x, /, *, full_matrices=True": "svd",
        "x1, x2, /": "matmul outer solve",
        "x1, x2, /, *, axis=-1": "cross vecdot",
        "x1, x2, /, *, axes=2": "tensordot",
    },
    fnp.fft: {
        "x, /, *, n=None, axis=-1, norm='backward'": "fft hfft ifft ihfft irfft rfft",
        "x, /, *, s=None, axes=None, norm='backward'": "fftn ifftn irfftn rfftn",
        "n, /, *, d=1.0, dtype=None, device=None": "fftfreq rfftfreq",
        "x, /, *, axes=None": "fftshift ifftshift",
    },
}
NAMED = [
    pytest.param(namespace, name, signature, id=f"{namespace.__name__.split('.')[-1]}.{name}")
    for namespace, table in SIGNATURES.items()
    for signature, names in table.items()
    for name in names.split()
]


@pytest.mark.parametrize(("namespace", "name", "signature"), NAMED)
def test_signatures(namespace, name, signature):
    """Positional parameters in their places, by their names where callers may use them; keywords by name."""
    wanted = inspect.signature(eval(f"lambda {signature}: None")).parameters.values()
    given = inspect.signature(getattr(namespace, name)).parameters
    by_place = [p for p in given.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    place = 0
    for parameter in wanted:
        if parameter.kind is parameter.VAR_POSITIONAL:
            assert any(p.kind is p.VAR_POSITIONAL for p in given.values())
            continue
        if parameter.kind is parameter.KEYWORD_ONLY:
            found = given[parameter.name]
            assert found.kind in (found.KEYWORD_ONLY, found.POSITIONAL_OR_KEYWORD)
        else:
            found = by_place[place]
            place += 1
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                assert (found.name, found.kind) == (parameter.name, parameter.kind)
        if parameter.default is not parameter.empty:
            assert found.default is not found.empty
    wanted_by_place = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in wanted)
    assert all(p.default is not p.empty for p in by_place[wanted_by_place:])


# ---------------------------------------------------------------- calls

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
Y = rng.normal(size=(3, 4))
P = rng.uniform(0.2, 0.8, size=(2, 3))
I = rng.integers(1, 9, size=(2, 3))
J = rng.integers(1, 5, size=(3,))
B = rng.random((2, 3)) > 0.5
Z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
F32 = X.astype(np.float32)
I8 = I.astype(np.int8)
U16 = I.astype(np.uint16)
SQUARE = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
SPD = SQUARE @ np.swapaxes(SQUARE, -1, -2)
TIES = np.array([2.0, 1.0, 2.0, 3.0, 1.0])

_INTEGERS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift floor_divide remainder pow"
_REAL = "add subtract multiply divide atan2 copysign hypot logaddexp maximum minimum nextafter floor_divide remainder"
_PREDICATES = "equal not_equal less less_equal greater greater_equal"


def _calls():
    for name in SIGNATURES[fnp]["x, /"].split():
        if name.startswith("unique") or name in ("bitwise_invert", "nonzero", "imag"):
            continue
        yield name, (P + 1 if name == "acosh" else P,), {}
        yield name, ((P + 1 if name == "acosh" else P).astype(np.float32),), {}
    for name in "abs ceil floor negative positive round sign square trunc isfinite isinf isnan real conj".split():
        yield name, (I8,), {}
        if name not in ("ceil", "floor", "trunc"):
            yield name, (Z,), {}
    for x in (I8, U16, B):
        yield "bitwise_invert", (x,), {}
    yield "imag", (Z,), {}
    for name in (*_REAL.split(), *_PREDICATES.split()):
        yield name, (P, P[:1] + 0.5), {}
        yield name, (F32, 2.0), {}
        if name in "add subtract multiply":
            yield name, (Z, X), {}
    for name in (*_INTEGERS.split(), *_PREDICATES.split()):
        yield name, (I8, I8[:1]), {}
        yield name, (U16, 2), {}
        if name not in ("pow", "bitwise_left_shift"):
            yield name, (3, I), {}
    for name in "logical_and logical_or logical_xor".split():
        yield name, (B, ~B), {}
        yield name, (B, True), {}
    yield "pow", (P, 2), {}
    yield "pow", (P, P), {}
    for name in "max min sum prod mean std var count_nonzero".split():
        for options in ({}, {"axis": 0}, {"axis": (0, 1), "keepdims": True}, {"axis": ()}):
            yield name, (X,), options
        yield name, (F32,), {"axis": -1}
    for name in ("std", "var"):
        yield name, (X,), {"axis": 1, "correction": 1.0}
    for name in ("sum", "prod", "cumulative_sum", "cumulative_prod"):
        axis = {"axis": 1}
        yield name, (I8,), axis
        yield name, (U16,), axis
        yield name, (F32,), axis
        yield name, (I8,), {**axis, "dtype": np.float32}
    for name in ("cumulative_sum", "cumulative_prod"):
        yield name, (J,), {"include_initial": True}
        yield name, (X,), {"axis": 0, "include_initial": True}
    for name in ("argmax", "argmin"):
        yield name, (X,), {}
        yield name, (X,), {"axis": 0, "keepdims": True}
    for name in ("all", "any"):
        yield name, (B,), {}
        yield name, (X,), {"axis": 1, "keepdims": True}
    for name, x in (("zeros_like", X), ("ones_like", F32)):
        yield name, (x,), {}
        yield name, (x,), {"dtype": np.int16, "device": "cpu"}
    for name in ("zeros", "ones"):
        yield name, ((2, 3),), {"dtype": np.complex64, "device": "cpu"}
        yield name, (2,), {}
    yield "full", ((2, 3), 5), {"device": "cpu"}
    yield "full", (3, 1.5), {"dtype": np.float32}
    yield "full_like", (F32, 2), {}
    yield "full_like", (F32, 2), {"dtype": np.int8, "device": "cpu"}
    yield "arange", (3,), {"device": "cpu"}
    yield "arange", (1, 9, 2), {"dtype": np.int16}
    yield "arange", (0.0, 1.0, 0.25), {}
    yield "linspace", (0.0, 1.0, 5), {"endpoint": False, "dtype": np.float32, "device": "cpu"}
    yield "linspace", (0, 2 + 1j, 3), {}
    yield "eye", (3, 4), {"k": 1, "dtype": np.int8, "device": "cpu"}
    yield "eye", (2,), {"dtype": None}
    yield "tril", (SQUARE,), {"k": -1}
    yield "triu", (X,), {"k": 1}
    yield "meshgrid", (J, P[0]), {"indexing": "ij"}
    yield "asarray", (X,), {"dtype": np.float32, "copy": True, "device": "cpu"}
    yield "broadcast_arrays", (X, Y[:1]), {}
    yield "broadcast_to", (X, (2, 3, 4)), {}
    yield "concat", ([X, F32],), {"axis": 1}
    yield "concat", ([X, Y],), {"axis": None}
    yield "stack", ([I8, U16],), {"axis": -1}
    yield "unstack", (X,), {"axis": 1}
    yield "expand_dims", (X,), {"axis": 1}
    yield "flip", (X,), {}
    yield "flip", (X,), {"axis": (0, -1)}
    yield "moveaxis", (SQUARE, 0, -1), {}
    yield "moveaxis", (SQUARE, (0, 1), (-1, 0)), {}
    yield "permute_dims", (SQUARE, (2, 0, 1)), {}
    yield "repeat", (X, 2), {"axis": 0}
    yield "repeat", (X, 2), {}
    yield "reshape", (X, (2, -1)), {"copy": True}
    yield "roll", (X, (1, 2)), {"axis": (0, 1)}
    yield "roll", (X, 1), {}
    yield "squeeze", (X[None], 0), {}
    yield "tile", (X, (2, 1, 2)), {}
    yield "diff", (X,), {"axis": 0, "n": 2}
    yield "diff", (X,), {"prepend": X[:, :1], "append": X[:, :2]}
    yield "take", (X, np.array([1, 0, 1])), {"axis": 1}
    yield "take_along_axis", (X, np.array([[1, 0], [3, 2], [0, 0]])), {"axis": 1}
    yield "searchsorted", (np.sort(X[0]), X), {"side": "right"}
    yield "searchsorted", (X[0], X[1]), {"sorter": np.argsort(X[0])}
    yield "where", (B, I, P), {}
    yield "where", (B, P, 1.0), {}
    yield "clip", (X, -0.5, 0.5), {}
    yield "clip", (X,), {"min": -0.5}
    yield "clip", (X,), {"max": Y}
    yield "clip", (I8, 2, 5), {}
    yield "clip", (X,), {}
    yield "sort", (X,), {"axis": 0, "stable": False}
    yield "argsort", (TIES,), {"stable": True}
    yield "matmul", (X, Y.T), {}
    yield "matmul", (SQUARE, SQUARE[0]), {}
    yield "matrix_transpose", (SQUARE,), {}
    yield "tensordot", (X, Y), {"axes": ((0, 1), (0, 1))}
    yield "tensordot", (X, Y.T), {"axes": 1}
    yield "vecdot", (Z, X), {"axis": 0}
    for name in SIGNATURES[fnp.linalg]["x, /"].split():
        yield f"linalg.{name}", (SPD,), {}
    yield "linalg.cholesky", (SPD,), {"upper": True}
    yield "linalg.cross", (SQUARE, SPD), {"axis": 1}
    yield "linalg.diagonal", (SQUARE,), {"offset": 1}
    yield "linalg.trace", (SQUARE,), {"offset": -1, "dtype": np.float64}
    yield "linalg.trace", (np.stack([I8[:, :2], I8[:, 1:]]),), {}
    for order in (1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"):
        yield "linalg.matrix_norm", (SQUARE,), {"ord": order, "keepdims": order == "fro"}
    for order in (0, 1, 2, 3.5, -1, np.inf, -np.inf):
        yield "linalg.vector_norm", (X,), {"ord": order, "axis": 1}
    yield "linalg.vector_norm", (SQUARE,), {"axis": (0, 2), "keepdims": True}
    yield "linalg.vector_norm", (Z,), {}
    yield "linalg.matrix_power", (SQUARE, 3), {}
    yield "linalg.matrix_power", (SQUARE, -2), {}
    yield "linalg.matrix_rank", (SQUARE,), {"rtol": 1e-6}
    yield "linalg.pinv", (SQUARE,), {"rtol": 1e-12}
    yield "linalg.outer", (J, P[0]), {}
    yield "linalg.solve", (SQUARE, SPD), {}
    yield "linalg.solve", (SQUARE[0], X[:, 0]), {}
    yield "linalg.qr", (X.T,), {"mode": "reduced"}
    yield "linalg.qr", (X.T,), {"mode": "complete"}
    yield "linalg.svd", (X,), {"full_matrices": False}
    yield "linalg.matmul", (X, Y.T), {}
    yield "linalg.tensordot", (X, Y.T), {"axes": 1}
    yield "linalg.vecdot", (X, Y), {"axis": 1}
    for name in ("fft", "ifft", "hfft", "irfft"):
        yield f"fft.{name}", (Z,), {"n": 5, "axis": 0, "norm": "ortho"}
    for name in ("rfft", "ihfft"):
        yield f"fft.{name}", (X,), {"n": 3, "axis": -1, "norm": "forward"}
    for name in ("fftn", "ifftn", "irfftn"):
        yield f"fft.{name}", (Z,), {"s": (2, 4), "axes": (0, 1), "norm": "backward"}
    yield "fft.rfftn", (X,), {"axes": (0, 1)}
    for name in ("fft.fftfreq", "fft.rfftfreq"):
        yield name, (5,), {"d": 0.5, "device": "cpu"}
    for name in ("fft.fftshift", "fft.ifftshift"):
        yield name, (X,), {"axes": 1}


def _of(namespace, name):
    for part in name.split("."):
        namespace = getattr(namespace, part)
    return namespace


def compiled(function):
    """`jit` of a function, of its arrays; lists of arrays are arguments too, and all else is closed over."""

    def call(*args, **kwargs):
        is_array = lambda v: isinstance(v, np.ndarray) or (isinstance(v, list) and isinstance(v[0], np.ndarray))
        arrays = [a for a in args if is_array(a)]
        named = {k: v for k, v in kwargs.items() if is_array(v)}
        others = {k: v for k, v in kwargs.items() if k not in named}

        def inner(arrays, named):
            arrays = iter(arrays)
            return function(*[next(arrays) if is_array(a) else a for a in args], **named, **others)

        return ft.jit(inner)(arrays, named)

    return call


def _parts(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


CALLS = [pytest.param(*call, id=f"{call[0]}-{i}") for i, call in enumerate(_calls())]


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS)
def test_calls(name, args, kwargs):
    reference = _of(np, name)
    want = _parts(reference(*args, **kwargs))
    function = _of(fnp, name)
    for got in (_parts(function(*args, **kwargs)), _parts(compiled(function)(*args, **kwargs))):
        assert len(got) == len(want)
        if name.endswith(("qr", "svd", "eigh")):  # up to signs
            got, want = [np.abs(g) for g in got], [np.abs(w) for w in want]
        for g, w in zip(got, want):
            w = np.asarray(w)
            assert isinstance(g, fnp.ndarray)
            assert (g.dtype, g.shape) == (w.dtype, w.shape)
            tolerance = 64 * np.finfo(w.dtype).eps if w.dtype.kind in "fc" else 0
            if name.startswith("linalg"):
                tolerance *= 100
            np.testing.assert_allclose(np.asarray(g), w, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("run", [lambda f: f, compiled], ids=["eager", "jit"])
class TestOwn:
    """Functions, or parameters, that NumPy does not have."""

    def test_descending(self, run):
        np.testing.assert_array_equal(run(fnp.sort)(TIES, descending=True), [3, 2, 2, 1, 1])
        np.testing.assert_array_equal(run(fnp.argsort)(TIES, descending=True), [3, 0, 2, 1, 4])
        np.testing.assert_array_equal(run(fnp.argsort)(TIES), [1, 4, 0, 2, 3])
        np.testing.assert_array_equal(
            run(fnp.argsort)(X, axis=0, descending=True, stable=False), np.argsort(-X, 0, stable=True)
        )
        np.testing.assert_array_equal(run(fnp.sort)(X, axis=None, descending=True), np.sort(X, None)[::-1])

    def test_frequencies_of_a_dtype(self, run):
        for name in ("fftfreq", "rfftfreq"):
            got = run(getattr(fnp.fft, name))(6, d=2.0, dtype=np.float32)
            want = getattr(np.fft, name)(6, d=2.0).astype(np.float32)
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, want)

    def test_astype(self, run):
        for dtype in (np.int8, np.float32, np.bool_, np.complex64):
            got = run(fnp.astype)(X, dtype, device="cpu")
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, X.astype(dtype))

    def test_unique(self, run):
        x = np.array([[3.0, 1.0, 3.0], [np.nan, 2.0, np.nan]])
        want = np.unique(x, True, True, True, equal_nan=False)
        got = run(fnp.unique_all)(x, size=5)
        assert got._fields == ("values", "indices", "inverse_indices", "counts")
        np.testing.assert_array_equal(got.values, want[0])
        np.testing.assert_array_equal(got.indices, want[1])
        np.testing.assert_array_equal(got.inverse_indices, want[2].reshape(2, 3))
        np.testing.assert_array_equal(got.counts, want[3])
        more = run(fnp.unique_counts)(x[:1], size=4, fill_value=9)
        np.testing.assert_array_equal(more.values, [1, 3, 9, 9])
        np.testing.assert_array_equal(more.counts, [1, 2, 0, 0])
        np.testing.assert_array_equal(run(fnp.unique_values)(x[:1], size=1), [1])
        inverse = run(fnp.unique_inverse)(I, size=6)
        np.testing.assert_array_equal(np.asarray(inverse.values)[inverse.inverse_indices], I)
        empty = run(fnp.unique_all)(x[:0], size=2, fill_value=7)
        np.testing.assert_array_equal(empty.values, [7, 7])
        assert empty.inverse_indices.shape == (0, 3)


def test_unique_of_values_at_hand():
    x = np.array([[3, 1, 3], [0, 2, 1]])
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        got, want = getattr(fnp, name)(x), getattr(np, name)(x)
        assert got._fields == want._fields
        for g, w in zip(got, want):
            assert isinstance(g, fnp.ndarray)
            np.testing.assert_array_equal(g, w)
    np.testing.assert_array_equal(fnp.unique_values(np.array([np.nan, np.nan, 0])), [0, np.nan, np.nan])
    with pytest.raises(ft.errors.ConcretizationError, match="size=n"):
        ft.jit(fnp.unique_values)(x)


def test_nonzero():
    for g, w in zip(fnp.nonzero(B), np.nonzero(B)):
        np.testing.assert_array_equal(g, w)
    for f in (fnp.nonzero, ft.jit(lambda x: fnp.nonzero(x, size=1))):
        with pytest.raises(ValueError, match="at least one axis"):
            f(np.float64(1))
    assert fnp.argwhere(np.float64(1)).shape == np.argwhere(np.float64(1)).shape == (1, 0)


# ---------------------------------------------------------------- dtypes, promotion, constants

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()


def test_constants_and_dtypes():
    assert (fnp.e, fnp.pi, fnp.inf, fnp.newaxis) == (np.e, np.pi, np.inf, None)
    assert fnp.isnan(fnp.nan)
    for name in DTYPES:
        x = fnp.zeros(2, dtype=getattr(fnp, name))
        assert x.dtype == getattr(fnp, name) == np.dtype(name)
    assert fnp.__array_api_version__ == "2024.12"


@pytest.mark.parametrize("a", DTYPES)
def test_promotion(a):
    """The dtype of a sum of arrays, and of an array and a Python number, compiled too, is what NumPy says."""
    x = np.ones(2, a)
    for b in DTYPES:
        y = np.ones(2, b)
        want = np.result_type(x, y)
        assert fnp.result_type(x, y) == fnp.result_type(x.dtype, y.dtype) == want
        assert fnp.multiply(x, y).dtype == want
        assert ft.eval_shape(fnp.multiply, x, y).dtype == want
        assert ft.eval_shape(lambda x, y: fnp.zeros(2, dtype=fnp.result_type(x, y)), x, y).dtype == want
        assert fnp.can_cast(x, y.dtype) == fnp.can_cast(x.dtype, y.dtype) == np.can_cast(a, b)
    for scalar in (True, 2, 2.0, 2j):
        want = np.multiply(x, scalar).dtype
        times = lambda x, scalar=scalar: x * scalar
        assert times(fnp.asarray(x)).dtype == want
        assert ft.eval_shape(times, x).dtype == want
        assert fnp.result_type(x, scalar) == np.result_type(x, scalar)


def test_isdtype():
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]
    for name in DTYPES:
        for kind in [*kinds, ("bool", "integral"), np.dtype(np.float32)]:
            assert fnp.isdtype(np.dtype(name), kind) == np.isdtype(np.dtype(name), kind)


def test_limits():
    for dtype in (np.float16, np.float32, np.float64):
        info, want = fnp.finfo(dtype), np.finfo(dtype)
        assert (info.bits, info.dtype, info.nmant) == (want.bits, want.dtype, want.nmant)
        for name in ("eps", "max", "min", "smallest_normal"):
            assert type(getattr(info, name)) is float
            assert getattr(info, name) == getattr(want, name)
    assert fnp.finfo(np.complex64).dtype == np.float32
    assert fnp.finfo(X).eps == 2.0**-52
    for dtype in DTYPES[1:9]:
        info, want = fnp.iinfo(np.zeros(1, dtype)), np.iinfo(dtype)
        assert (info.bits, info.max, info.min, info.dtype) == (want.bits, want.max, want.min, np.dtype(dtype))
    assert ft.jit(lambda x: x + fnp.finfo(x).eps)(1.0) == 1 + 2.0**-52
    with pytest.raises(ft.errors.DTypeError, match="use iinfo"):
        fnp.finfo(np.int8)
    with pytest.raises(ft.errors.DTypeError, match="use finfo"):
        fnp.iinfo(np.float32)


# ---------------------------------------------------------------- the array object


def test_namespace_of_arrays_and_tracers():
    def f(x):
        assert x.__array_namespace__() is x.__array_namespace__(api_version="2024.12") is fnp
        with pytest.raises(ValueError, match="up to 2024.12"):
            x.__array_namespace__(api_version="2035.12")
        assert x.device == "cpu"
        assert x.to_device("cpu").shape == x.shape
        with pytest.raises(ValueError, match="cpu"):
            x.to_device("gpu")
        assert x.__dlpack_device__() == (1, 0)
        assert (x.ndim, x.size, x.shape, x.dtype) == (2, 12, (3, 4), np.float64)
        return x.T + x.mT

    np.testing.assert_array_equal(ft.jit(f)(X), f(fnp.asarray(X)))
    np.testing.assert_array_equal(ft.jvp(f, (X,), (X,))[0], 2 * X.T)


OPERATORS = "add and eq floordiv ge gt le lshift lt matmul mod mul ne or pow rshift sub truediv xor".split()


@pytest.mark.parametrize("array", [fnp.Array, ft.core.trace.Tracer], ids=["array", "tracer"])
def test_methods(array):
    for name in OPERATORS:
        assert hasattr(array, f"__{name}__")
        if name not in ("eq", "ge", "gt", "le", "lt", "ne"):
            assert hasattr(array, f"__r{name}__")
    for (
        name
    ) in "abs array_namespace bool complex dlpack dlpack_device float getitem index int invert neg pos setitem".split():
        assert hasattr(array, f"__{name}__")
    for name in "T dtype device mT ndim shape size to_device".split():
        assert hasattr(array, name)


def test_devices_are_checked():
    for make in (lambda x, **o: fnp.zeros(3, **o), lambda x, **o: fnp.ones_like(x, **o),
                 lambda x, **o: fnp.arange(3, **o), lambda x, **o: fnp.asarray(x, **o),
                 lambda x, **o: fnp.linspace(0, 1, 3, **o), lambda x, **o: fnp.astype(x, np.int8, **o),
                 lambda x, **o: fnp.fft.fftfreq(3, **o), lambda x, **o: fnp.eye(3, **o)):  # fmt: skip
        for run in (lambda f: f, ft.jit):
            run(lambda x, make=make: make(x, device="cpu"))(X)
            with pytest.raises(ValueError, match="cpu"):
                run(lambda x, make=make: make(x, device="gpu"))(X)


def test_empty():
    for run in (lambda f: f, ft.jit):
        like = run(lambda x: fnp.empty_like(x, dtype=np.int8, device="cpu"))(X)
        assert (like.shape, like.dtype) == (X.shape, np.int8)
        made = run(lambda x: fnp.empty((2, 3), dtype=np.float32, device="cpu"))(X)
        assert (made.shape, made.dtype) == ((2, 3), np.float32)


def test_info():
    info = fnp.__array_namespace_info__()
    assert info.capabilities() == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
    assert info.default_device() == "cpu"
    assert info.devices() == ["cpu"]
    defaults = info.default_dtypes(device="cpu")
    assert defaults["real floating"] == fnp.asarray(1.0).dtype
    assert defaults["complex floating"] == fnp.asarray(1j).dtype
    assert defaults["integral"] == fnp.asarray(1).dtype
    assert defaults["indexing"] == fnp.argmax(X).dtype
    assert set(info.dtypes()) == set(DTYPES)
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert set(info.dtypes(kind=("bool", "complex floating"), device="cpu")) == {"bool", "complex64", "complex128"}
    with pytest.raises(ft.errors.ArgumentError, match="kinds among"):
        info.dtypes(kind="float")


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack(dtype):
    x = np.arange(4).reshape(2, 2).astype(dtype)
    y = fnp.from_dlpack(x)
    assert isinstance(y, fnp.ndarray)
    assert np.shares_memory(x, y)
    z = np.from_dlpack(y)
    assert np.shares_memory(x, z)
    assert z.dtype == y.dtype == x.dtype
    copied = fnp.from_dlpack(x, device="cpu", copy=True)
    assert not np.shares_memory(x, copied)

    class Foreign:  # of a library that has this protocol alone
        def __dlpack__(self, **options):
            return x.__dlpack__(**options)

        def __dlpack_device__(self):
            return x.__dlpack_device__()

    for taken in (fnp.from_dlpack(Foreign()), fnp.asarray(Foreign())):
        assert np.shares_memory(taken, x)
    with pytest.raises(ft.errors.TracerArrayConversionError, match="share"):
        ft.jit(np.from_dlpack)(x)
