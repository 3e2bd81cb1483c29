"""float16 and bfloat16: computed in float32, each result rounded; Python's numbers are weak beside them."""

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp

DTYPES = [np.dtype(np.float16)]
if fnp.bfloat16.names is None:  # ml_dtypes is there
    DTYPES.append(fnp.bfloat16)

X = np.linspace(0.25, 0.875, 6)
M = np.arange(12.0).reshape(3, 4) / 8

#: Functions of arrays of one dtype, which the result has too.
FUNCTIONS = {
    **{
        name: (getattr(fnp, name), X)
        for name in "sin cos tan arcsin arctan sinh tanh exp exp2 expm1 log log1p log2 log10 sqrt cbrt square "
        "reciprocal negative abs sign floor rint trunc sum prod max min mean std var cumsum cumprod sort".split()
    },
    **{
        f"{name} of rows": (lambda x, name=name: getattr(fnp, name)(x, axis=1), M)
        for name in "sum max mean var cumsum sort".split()
    },
    "product with a number": (lambda x: 0.1 * x, X),
    "numbers all around": (lambda x: 1.5 - (x + 2) / 3.0 + x**2 - x**-1, X),
    "a power": (lambda x: x**x, X),
    "where": (lambda x: fnp.where(x > 0.5, x, 0.1), X),
    "clip": (lambda x: fnp.clip(x, 0.3, 0.7), X),
    "maximum": (lambda x: fnp.maximum(x, 0.4), X),
    "matmul": (lambda x: x @ x.T, M),
    "dot": (lambda x: fnp.dot(x, x), X),
    "einsum": (lambda x: fnp.einsum("ij,kj->ik", x, x), M),
    "shapes": (lambda x: fnp.concatenate([x.T.reshape(2, 6)[:, ::2], x[:2, :3]]), M),
    "gather": (lambda x: x[np.array([0, 2, 0])] * 2, M),
    "scatter": (lambda x: x.at[1].add(2.5).at[0].set(1), X),
    "pad": (lambda x: fnp.pad(x, 1), X),
    "zeros": (lambda x: fnp.zeros(6, x.dtype) + fnp.ones_like(x) * x, X),
    "full": (lambda x: fnp.full(6, 0.1, x.dtype) + x, X),
    "logaddexp": (lambda x: fnp.logaddexp(x, x), X),
    "softmax": (ft.nn.softmax, X),
    "a loop": (lambda x: ft.lax.fori_loop(0, 3, lambda i, y: y * 1.5, x), X),
    "a scan": (lambda x: ft.lax.scan(lambda c, y: (c + y, c * y), x[0], x)[1], X),
    "a branch": (lambda x: ft.lax.cond(x[0] > 0, lambda y: y, lambda y: y * 2, x), X),
    "a normalization": (
        lambda x: (x - fnp.mean(x, -1, keepdims=True)) / fnp.sqrt(fnp.var(x, -1, keepdims=True) + 1e-3),
        M,
    ),
}


def wide(x):
    return np.asarray(x).astype(np.float64)


def unit(dtype):
    return fnp.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions(name, dtype):
    function, x = FUNCTIONS[name]
    x = x.astype(dtype)
    got, compiled = function(fnp.asarray(x)), ft.jit(function)(x)
    assert got.dtype == compiled.dtype == dtype
    want = wide(function(fnp.asarray(wide(x))))
    size = max(1.0, np.max(np.abs(want)))
    np.testing.assert_allclose(wide(got), want, rtol=8 * unit(dtype), atol=8 * unit(dtype) * size)
    np.testing.assert_allclose(wide(compiled), wide(got), rtol=2 * unit(dtype), atol=2 * unit(dtype) * size)
    if name in ("sum", "cumsum", "matmul", "where", "a scan", "a branch", "numbers all around"):
        mapped = ft.vmap(function)(np.stack([x, x]))
        assert mapped.dtype == dtype
        np.testing.assert_allclose(wide(mapped[1]), wide(got), rtol=2 * unit(dtype), atol=2 * unit(dtype) * size)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    "name",
    "exp sqrt prod max cumsum matmul where softmax".split() + ["numbers all around", "a scan", "a normalization"],
)
def test_derivatives(name, dtype):
    """They have the dtype of the argument, and are those of float64 but for rounding."""
    function, x = FUNCTIONS[name]
    loss = lambda x: fnp.sum(fnp.square(function(x)))
    want = np.asarray(ft.grad(loss)(x))
    size = max(1.0, np.max(np.abs(want)))
    for gradient in (ft.grad(loss), ft.jit(ft.grad(loss))):
        got = gradient(x.astype(dtype))
        assert got.dtype == dtype
        np.testing.assert_allclose(wide(got), want, rtol=40 * unit(dtype), atol=40 * unit(dtype) * size)
    _, tangent = ft.jvp(function, (x.astype(dtype),), (np.ones_like(x, dtype),))
    assert tangent.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sums_are_not_made_in_small_floats(dtype):
    ones = np.ones((3, 600), dtype)
    for function in (fnp.sum, lambda x: fnp.sum(x, 1), fnp.mean, lambda x: fnp.dot(x, x.T), lambda x: fnp.cumsum(x, 1)):
        want = function(wide(ones))
        for got in (function(fnp.asarray(ones)), ft.jit(function)(ones)):
            assert got.dtype == dtype
            np.testing.assert_array_equal(wide(got), wide(np.asarray(want).astype(dtype)))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_conversions_of_all_values(dtype):
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    for to in (np.float32, np.float64, np.bool_, np.complex64):
        np.testing.assert_array_equal(ft.jit(lambda x, to=to: x.astype(to))(every), every.astype(to))
    whole = np.arange(-300, 300)
    for x in (every.astype(np.float32), whole, whole.astype(np.float64), whole.astype(np.int16), whole > 0):
        np.testing.assert_array_equal(wide(ft.jit(lambda x: x.astype(dtype))(x)), wide(x.astype(dtype)))
    small = (whole[::7] / 3).astype(dtype)
    np.testing.assert_array_equal(ft.jit(lambda x: x.astype(np.int32))(small), small.astype(np.int32))
    bits = ft.jit(lambda x: ft.lax.bitcast_convert_type(x, np.uint16))(every[:-1])
    finite = ~np.isnan(every.astype(np.float32))[:-1]  # NaNs go through float32, which makes them quiet
    np.testing.assert_array_equal(bits[finite], every[:-1].view(np.uint16)[finite])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounding_is_to_nearest_even(dtype):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
    halves = (bits & 0xFFFF0000) | 0x8000  # between two numbers of bfloat16
    x = np.concatenate([bits, halves, halves + 1, halves - 1]).view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        want = x.astype(dtype)
    np.testing.assert_array_equal(wide(ft.jit(lambda x: x.astype(dtype))(x)), wide(want))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_promotion(dtype):
    x = np.ones(2, dtype)
    others = [
        (2, dtype), (2.5, dtype), (True, dtype), (np.float32(1), np.float32), (np.ones(2), np.float64),
        (np.ones(2, bool), dtype), (np.ones(2, np.int8), dtype), (np.ones(2, np.int32), np.float64),
        (np.complex64(1), np.complex64), (np.ones(2, np.float16), np.float16 if dtype == np.float16 else np.float32),
    ]  # fmt: skip
    for other, want in others:
        for function in (lambda x, other=other: x * other, lambda x, other=other: fnp.add(other, x)):
            assert function(fnp.asarray(x)).dtype == want
            assert ft.eval_shape(function, x).dtype == want
            assert ft.jvp(function, (x,), (x,))[0].dtype == want
        assert fnp.result_type(x, other) == want
        assert ft.eval_shape(lambda x, other=other: fnp.zeros(2, fnp.result_type(x, other)), x).dtype == want


@pytest.mark.skipif(fnp.bfloat16.names is not None, reason="ml_dtypes is not installed")
def test_bfloat16():
    dtype = fnp.bfloat16
    info = fnp.finfo(dtype)
    assert (info.bits, info.eps, info.dtype, info.smallest_normal) == (16, 2.0**-7, dtype, 2.0**-126)
    assert fnp.isdtype(dtype, "real floating")
    assert fnp.isdtype(dtype, ("bool", "numeric"))
    assert fnp.isdtype(dtype, dtype)
    assert not fnp.isdtype(dtype, "integral")
    assert not fnp.isdtype(dtype, np.float32)
    x = fnp.asarray([1.5, 2], dtype=dtype)
    assert repr(x) == "Array([1.5, 2], dtype=bfloat16)"
    assert str(x) == "[1.5 2]"
    assert "a:bf16[2]" in str(ft.make_jaxpr(fnp.sin)(x))
    text = ft.jit(lambda x: x + 1).lower(x).as_text()
    assert "float_to_brain" in text
    assert not [s for s in text.splitlines() if "NumPy" in s and "call" in s]
    assert isinstance(fnp.from_dlpack(x), fnp.ndarray)
    y = fnp.arange(3, dtype=dtype)
    assert y.dtype == ft.jit(lambda: fnp.linspace(0, 1, 3, dtype=dtype))().dtype == dtype
    for function in (ft.lax.erf, lambda x: ft.jit(ft.lax.erf)(x)):  # which SciPy has not for it
        np.testing.assert_allclose(wide(function(x)), [0.96610515, 0.99532227], rtol=2.0**-8)


def test_complex_derivatives_are_jaxs():
    """A gradient of a real function of z = x + iy is its derivative by x, minus i times that by y; of a holomorphic one
    it is f'. Products of a vector with the Jacobian are not conjugated (jax.vjp).
    """
    z = np.array([1.0 + 2.0j, -0.5 + 0.25j])
    for run in (lambda f: f, ft.jit):
        np.testing.assert_allclose(run(ft.grad(lambda z: fnp.sum(fnp.abs(z) ** 2)))(z), 2 * z.conj())
        np.testing.assert_allclose(run(ft.grad(lambda z: fnp.sum(fnp.real(z**2))))(z), 2 * z)
        np.testing.assert_allclose(run(ft.grad(lambda z: fnp.sum(fnp.imag(z))))(z), np.full(2, -1j))
        np.testing.assert_allclose(run(ft.grad(lambda z: fnp.sum(fnp.angle(z))))(z), -1j / z)
        for f, derivative in ((fnp.exp, np.exp), (fnp.sin, np.cos), (fnp.tanh, lambda z: 1 - np.tanh(z) ** 2),
                              (fnp.log, lambda z: 1 / z), (fnp.sqrt, lambda z: 0.5 / np.sqrt(z)),
                              (fnp.expm1, np.exp), (fnp.arctan, lambda z: 1 / (1 + z * z)),
                              (lambda z: z**3, lambda z: 3 * z**2)):  # fmt: skip
            gradient = ft.grad(lambda z, f=f: fnp.sum(f(z)), holomorphic=True)
            np.testing.assert_allclose(run(gradient)(z), derivative(z))
            np.testing.assert_allclose(run(lambda z, f=f: ft.jvp(f, (z,), (1j * z,))[1])(z), 1j * z * derivative(z))
            np.testing.assert_allclose(run(lambda z, f=f: ft.vjp(f, z)[1](1j * z)[0])(z), 1j * z * derivative(z))
        np.testing.assert_allclose(run(lambda z: ft.vjp(fnp.conj, z)[1](z)[0])(z), z.conj())
        np.testing.assert_allclose(
            run(lambda x: ft.vjp(lambda x: x * (1 + 2j), x)[1](z)[0])(X[:2]), (z * (1 + 2j)).real
        )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nan_is_sorted_last(dtype):
    x = np.array([3, np.nan, 1, np.nan, 2, -np.inf], dtype)
    for run in (lambda f: f, ft.jit):
        np.testing.assert_array_equal(wide(run(fnp.sort)(x)), [-np.inf, 1, 2, 3, np.nan, np.nan])
        np.testing.assert_array_equal(run(fnp.argsort)(x), [5, 2, 4, 0, 1, 3])
        np.testing.assert_array_equal(run(lambda x: fnp.searchsorted(fnp.sort(x), x))(x), [3, 4, 1, 4, 2, 0])
    np.testing.assert_array_equal(wide(fnp.unique(x)), [-np.inf, 1, 2, 3, np.nan])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_places_are_counted_beyond_what_the_dtype_counts_to(dtype):
    x = np.linspace(0, 1, 2001)[::-1].astype(dtype)
    for run in (lambda f: f, ft.jit):
        np.testing.assert_allclose(wide(run(fnp.median)(x)), 0.5, rtol=unit(dtype))
        if dtype == fnp.bfloat16:  # NumPy's places of float16 are float16
            np.testing.assert_allclose(wide(run(lambda x: fnp.quantile(x, 0.3))(x)), 0.3, rtol=unit(dtype))
            ends = run(lambda a, b: fnp.linspace(a, b, 2001))(x[-1], x[0])
            np.testing.assert_allclose(wide(ends), np.linspace(0, 1, 2001), atol=unit(dtype) / 2)
