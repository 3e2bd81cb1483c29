"""Functions whose programs are the kernel families of a GPU, with arguments: for PTX, the simulator and a real GPU."""

import numpy as np

import functrans as ft
import functrans.numpy as fnp


def _floats(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def softmax(x):
    e = fnp.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(x, scale, shift):
    centred = x - x.mean(-1, keepdims=True)
    return centred / fnp.sqrt((centred**2).mean(-1, keepdims=True) + x.dtype.type(1e-5)) * scale + shift


def black_scholes(spot, strike, years, rate, volatility):
    root = volatility * fnp.sqrt(years)
    d1 = (fnp.log(spot / strike) + (rate + 0.5 * volatility**2) * years) / root
    cdf = lambda x: 0.5 * (1.0 + ft.scipy.special.erf(x * np.float32(0.7071067811865476)))
    return spot * cdf(d1) - strike * fnp.exp(-rate * years) * cdf(d1 - root)


def lorenz(state):
    def step(s, _):
        x, y, z = s[0], s[1], s[2]
        change = fnp.stack([10 * (y - x), x * (28 - z) - y, x * y - np.float32(8 / 3) * z])
        return s + np.float32(0.01) * change, x

    return ft.lax.scan(step, state, None, length=20)


def affine_scan(xs):
    return ft.lax.scan(lambda c, x: (c * x + 1, c), np.float32(0), xs, reverse=True)


def newton(x):
    return ft.lax.while_loop(lambda s: fnp.abs(s * s - 2) > 1e-5, lambda s: (s + 2 / s) / 2, x)


OPTIONS = [np.float32(low) + np.float32(high - low) * np.abs(_floats(1003, seed=i)).clip(0, 1) for i, (low, high) in
           enumerate([(80, 120), (90, 110), (0.1, 2), (0.01, 0.05), (0.1, 0.5)])]  # fmt: skip
INDICES = np.random.default_rng(0).integers(-100, 100, 30)
VECTOR, MATRIX, TALL = _floats(1003), _floats(20, 40), _floats(300, 5)

#: By name: the function, its arguments, and the modes of the kernels that it should become.
FAMILIES = {
    "affine": (lambda x: x * 2 + 1, (VECTOR,), ["map"]),
    "black_scholes": (black_scholes, OPTIONS, ["map"]),
    "black_scholes_grad": (lambda *xs: ft.grad(lambda s, *r: black_scholes(s, *r).sum())(*xs), OPTIONS, ["map"]),
    "rows_of_a_broadcast": (lambda x, row: x + row, (MATRIX, MATRIX[0]), ["map"]),
    "odd_rows": (lambda x, row: x + row, (MATRIX[:, :37], MATRIX[0, :37]), ["map"]),
    "several_axes": (lambda x: x.transpose(1, 0, 2) * 2, (_floats(3, 4, 24),), ["map"]),
    "reversed": (lambda x: x[::-1] * 2, (VECTOR,), ["map"]),
    "float64": (lambda x: fnp.tanh(x) * x, (VECTOR.astype(float),), ["map"]),
    "float16": (lambda x: fnp.exp(x) + 1, (VECTOR.astype(np.float16),), ["map"]),
    "bytes": (lambda x: x * np.uint8(3), (np.arange(100).astype(np.uint8),), ["map"]),
    "bools": (lambda x: (x > 0) & (x < 1), (VECTOR,), ["map"]),
    "complex": (lambda x: x * x + 1, ((VECTOR + 1j).astype(np.complex64),), ["map"]),
    "choices": (lambda x: fnp.where(x > 0, fnp.log(x), -x), (VECTOR,), ["map"]),
    "gather": (lambda x, i: x[i] * 2, (VECTOR, np.arange(-30, 37, 2)), ["map"]),
    "padded": (lambda x: fnp.pad(x, ((1, 2), (3, 1))) + 1, (MATRIX,), ["map"]),
    "sum": (lambda x: x.sum(), (VECTOR,), ["block"]),
    "sum_in_parts": (lambda x: x.sum(), (_floats(70000),), ["block", "block"]),
    "sums_of_rows": (lambda x: x.sum(1), (MATRIX,), ["warp"]),
    "sums_of_long_rows": (lambda x: x.sum(1), (_floats(3, 1500),), ["block"]),
    "sums_of_columns": (lambda x: x.sum(0), (TALL,), ["thread"]),
    "sums_of_columns_in_parts": (lambda x: x.sum(0), (_floats(4000, 5),), ["thread", "thread"]),
    "maximum": (lambda x: x.max(), (VECTOR,), ["block"]),
    "any": (lambda x: (x > 1).any(1), (MATRIX,), ["warp"]),
    "product": (lambda x: (1 + x / 10).prod(1), (MATRIX,), ["warp"]),
    "integers": (lambda x: x.sum(1), (np.arange(800).reshape(20, 40),), ["warp"]),
    "complex_sum": (lambda x: x.sum(1), ((MATRIX + 1j).astype(np.complex64),), ["warp"]),
    "mean_and_variance": (lambda x: (x.mean(1), x.var(1)), (MATRIX,), ["warp"]),
    "softmax": (softmax, (MATRIX,), ["warp"]),
    "softmax_of_long_rows": (softmax, (_floats(2, 1501),), ["block"]),
    "softmax_grad": (lambda x, ct: ft.vjp(softmax, x)[1](ct)[0], (MATRIX, MATRIX[::-1].copy()), ["warp"]),
    "layer_norm": (layer_norm, (MATRIX, MATRIX[0], MATRIX[1]), ["warp"]),
    "sum_of_squared_sums": (lambda x: (x.sum(2) ** 2).sum(1), (_floats(17, 5, 18),), ["warp", "thread"]),
    "random_bits": (lambda key: ft.random.bits(key, (33,)), (ft.random.key(3),), None),
    "random_normal": (lambda key: ft.random.normal(key, (33,), dtype=np.float32), (ft.random.key(3),), None),
    "scatter": (lambda x, i: x.at[i].set(i.astype(np.float32)), (VECTOR, INDICES), None),
    "scatter_rows": (lambda x, i: x.at[i % 20].set(1), (MATRIX, INDICES), None),
    "scatter_add": (lambda x, i: x.at[i].add(x[:30]), (VECTOR, INDICES), None),
    "scatter_mul": (lambda x, i: x.at[i].multiply(np.float32(2)), (VECTOR, INDICES), None),
    "scatter_max": (lambda x, i: x.at[i].max(np.float32(0)), (VECTOR, INDICES), None),
    "scatter_add_of_integers": (lambda x, i: x.at[i].add(1), (np.arange(100), INDICES), None),
    "scatter_add_of_bytes": (lambda x, i: x.at[i].add(np.uint8(3)), (np.arange(100).astype(np.uint8), INDICES), None),
    "scatter_add_complex": (lambda x, i: x.at[i].add(np.complex64(1j)), (VECTOR.astype(np.complex64), INDICES), None),
    "gather_grad": (lambda x, i: ft.grad(lambda x: (x[i] ** 2).sum())(x), (VECTOR, INDICES), None),
    "slice_update": (lambda x, i: ft.lax.dynamic_update_slice(x, x[:2, :3] * 2, (i, i)), (MATRIX, np.int64(7)), None),
    "cumsum": (lambda x: fnp.cumsum(x, 1), (MATRIX[:3],), ["block"]),
    "cumsum_of_columns": (lambda x: fnp.cumsum(x, 0), (MATRIX,), ["thread"]),
    "cummax": (lambda x: ft.lax.cummax(x, 1, reverse=True), (MATRIX[:3],), ["block"]),
    "cumprod_complex": (lambda x: ft.lax.cumprod(x, 0), ((MATRIX + 1j).astype(np.complex64),), ["thread"]),
    "argmax": (lambda x: fnp.argmax(x, 1), (MATRIX.round(),), ["warp"]),
    "argmin_of_columns": (lambda x: fnp.argmin(x, 0), (MATRIX.round(),), ["thread"]),
    "transpose": (lambda x: fnp.transpose(x, (0, 2, 1)) * 2, (_floats(2, 33, 40),), ["block", "map"]),
    "lorenz_vmap": (ft.vmap(lorenz), (_floats(19, 3),), ["thread", "map"]),
    "lorenz_grad": (ft.grad(lambda s: ft.vmap(lorenz)(s)[1].sum()), (_floats(5, 3),), None),
    "newton_vmap": (ft.vmap(newton), (np.linspace(1, 90, 19, dtype=np.float32),), ["thread"]),
    "scan_of_scalars": (affine_scan, (VECTOR[:40],), ["thread"]),
    "matmul_of_halves": (lambda a, b: a @ b.T, ((MATRIX / 4).astype(np.float16),) * 2, ["gemm"]),
    "matmul": (lambda a, b: fnp.tanh(a @ b.T), (MATRIX, MATRIX), ["gemm", "map"]),
}  # fmt: skip

#: Families that hold float64.
WITH_DOUBLES = frozenset({"float64"})


def assert_close(got, wanted):
    """Whether results are those of the CPU, up to rounding."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    tolerance = {np.dtype("f2"): 2e-3, np.dtype("f4"): 2e-5, np.dtype("c8"): 2e-5}.get(got.dtype, 1e-12)
    scale = np.abs(np.asarray(wanted, np.complex128)).max(initial=1e-30)
    np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance * min(float(scale), 1e3))
