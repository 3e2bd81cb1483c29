"""Calls of the functions of `functrans.lax` and `functrans.lax.linalg`."""

import numpy as np
from numpy_samples import SPD, SQUARE, B, I, P, V, W, X, Y, Z

import functrans as ft
import functrans.numpy as fnp
from calls.measure import Call
from functrans import lax

A = SQUARE[0]
S = A + A.T
N = np.array([5, -3, 12, 0])
PLACES = np.array([2, 0])
WORDS = np.array([7, 1 << 31], np.uint32)
IMAGE, FILTER = np.resize(X, (1, 2, 5, 4)), np.resize(Y, (3, 2, 2, 3))
ROW, ROW_FILTER = X.reshape(1, 2, 6), Y.reshape(3, 2, 2)
READ = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
WRITE = lax.ScatterDimensionNumbers(
    update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,)
)

PLAIN = {
    "shapes, dtypes and layouts": "broadcast_shapes conv_dimension_numbers dtype padtype_to_pads shape_as_value",
}

LAX: dict[str, Call] = {}
LINALG: dict[str, Call] = {}


def add(name: str, *args: object, fun: object = None, step: float = 1e-6, **kwargs: object) -> None:
    LAX[name] = Call(fun or getattr(lax, name), args, kwargs, step)


for name in (
    "abs acos asin asinh atan atanh bessel_i0e bessel_i1e cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 lgamma "
    "log log1p logistic neg reciprocal rsqrt sin sinh sqrt square tan tanh ceil floor round sign is_finite isfinite "
    "cumlogsumexp cummax cummin cumprod cumsum argsort sort optimization_barrier"
).split():
    add(name, P)
for name in (
    "add atan2 div max min mul pow sub eq ge gt le lt ne nextafter complex igamma igammac igamma_grad_a "
    "random_gamma_grad"
).split():
    add(name, P, P[::-1])
add("acosh", P + 1)
add("rem", X, P)
add("integer_pow", P, 3)
add("zeta", P + 1.2, P)
add("polygamma", 2.0, P)
add("stop_gradient", P, step=0)
for name in ("betainc", "regularized_incomplete_beta"):
    add(name, 0.7, 1.6, P)
for name in ("conj", "imag", "real"):
    add(name, Z)
for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "mulhi"):
    add(name, N, N[::-1])
for name in ("bitwise_not", "clz", "population_count"):
    add(name, N)
for name in ("shift_left", "shift_right_arithmetic", "shift_right_logical"):
    add(name, N, np.arange(4))
add("clamp", 0.3, P, 0.7)
add("select", B, X, Y)
add("select_n", B, X, Y)
add("convert_element_type", X, np.complex128)
add("bitcast_convert_type", X, np.int64)
add("reduce_precision", X, 8, 23, step=0)
# Arrangement
add("broadcast", X, (2,))
add("broadcast_in_dim", X, (2, 3, 4), (1, 2))
add("broadcast_like", X, np.zeros((2, 3, 4)))
add("broadcast_to", X, (2, 3, 4))
add("broadcast_to_rank", X, 3)
add("broadcasted_iota", float, (2, 3), 1)
add("collapse", X, 0)
add("concatenate", [X, Y], 0)
add("empty", (2, 0), float)
add("expand_dims", X, (1,))
add("full", (2, 3), 1.5)
add("full_like", X, 1.5)
add("iota", float, 4)
add("pad", X, np.array(1.5), [(1, 2, 0), (-1, 1, 2)])
add("reshape", X, (2, 6))
add("rev", X, (0,))
add("slice", X, (0, 1), (3, 4), (2, 1))
add("slice_in_dim", X, 1, 3)
add("split", X, (1, 3), axis=1)
add("squeeze", X[:1], (0,))
add("stack", [X, Y])
add("tile", X, (2, 1))
add("transpose", X, (1, 0))
add("unstack", X)
# Indexing
add("dynamic_index_in_dim", X, np.array(1))
add("dynamic_slice", X, (np.array(1), np.array(0)), (2, 2))
add("dynamic_slice_in_dim", X, np.array(1), 2)
add("dynamic_update_index_in_dim", X, Y[0], np.array(1), 0)
add("dynamic_update_slice", X, Y[:2, :2], (np.array(1), np.array(0)))
add("dynamic_update_slice_in_dim", X, Y[:2], np.array(1), 0)
add("index_in_dim", X, 1)
add("index_take", X, [PLACES, PLACES], [0, 1])
add("gather", X, PLACES[:, None], READ, (1, 4))
for name in ("scatter", "scatter_add", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub"):
    add(name, X, PLACES[:, None], Y[:2], WRITE)
add("scatter_apply", X, PLACES[:, None], fnp.sin, WRITE, update_shape=(2, 4))
# Reductions and sorting
for name in ("argmax", "argmin"):
    add(name, X, 1, int)
for name in ("reduce_max", "reduce_min", "reduce_prod", "reduce_sum"):
    add(name, X, (1,))
for name in ("reduce_and", "reduce_or", "reduce_xor"):
    add(name, I, (1,))
add("reduce", X, 0.0, lax.add, (1,))
add("reduce_window", X, 0.0, lax.add, (2, 2), (1, 2), "VALID")
for name in ("reduce_window_max", "reduce_window_min", "reduce_window_sum"):
    add(name, X, (2, 2), (1, 2), "VALID")
for name in ("approx_max_k", "approx_min_k", "top_k"):
    add(name, X, 2)
add("sort_key_val", X, Y)
# Products, convolutions, transforms
add("batch_matmul", SQUARE, SQUARE)
add("dot", X, Y.T)
add("dot_general", X, Y, (((1,), (1,)), ((), ())))
add("ragged_dot", X, np.resize(Y, (2, 4, 2)), np.array([1, 2]))
add("conv", IMAGE, FILTER, (1, 2), "SAME")
add("conv_general_dilated", IMAGE, FILTER, (1, 1), ((1, 0), (2, 2)), (1, 2), (2, 1))
add("conv_general_dilated_local", ROW, np.resize(Y, (3, 4, 5)), (1,), "VALID", (2,))
add("conv_general_dilated_patches", IMAGE, (2, 2), (1, 1), "VALID")
add("conv_transpose", ROW, ROW_FILTER, (2,), "SAME", dimension_numbers=("NCW", "IOW", "NCW"), transpose_kernel=False,
    fun=lambda x, w, *a, **k: lax.conv_transpose(x, w.transpose(1, 0, 2), *a, **k))  # fmt: skip
add("conv_with_general_padding", IMAGE, FILTER, (1, 1), ((1, 0), (0, 1)), None, None)
add("fft", Z, "FFT", (4,))
# Control flow
add("associative_scan", lax.add, X)
add("composite", X, fun=lambda x: lax.composite(fnp.sin, "sine")(x))
add("cond", B[0, 0] | np.array(True), fnp.sin, fnp.cos, X)
add("custom_linear_solve", A, V[:3],
    fun=lambda a, b: lax.custom_linear_solve(lambda x: a @ x, b, lambda _, y: fnp.linalg.solve(a, y),
                                             lambda _, y: fnp.linalg.solve(a.T, y)))  # fmt: skip
add("custom_root", P[0], fun=lambda p: lax.custom_root(lambda x: x**2 - p, p, lambda f, x: fnp.sqrt(p),
                                                       lambda g, y: y / g(fnp.ones_like(y))))  # fmt: skip
add("fori_loop", X, fun=lambda x: lax.fori_loop(0, 3, lambda i, y: fnp.sin(y) * (i + 1), x))
add("map", lambda x: fnp.sum(x**2), X)
add("platform_dependent", X, cpu=fnp.sin)
add("reduce_precision", X, 11, 52)
add("scan", X, fun=lambda x: lax.scan(lambda c, y: (c * fnp.sin(y), c), x[0], x))
add("switch", np.array(1), [fnp.cos, fnp.sin], X)
add("while_loop", X, fun=lambda x: lax.while_loop(lambda y: fnp.sum(y) < 90, lambda y: y + fnp.sin(y) ** 2 + 1, x))
# Random bits
add("rng_bit_generator", WORDS, (3,))
# Collectives: of a map over the first axis
COLLECTIVES = {
    "all_gather": (), "all_to_all": (0, 0), "axis_index": None, "axis_size": None, "pbroadcast": (1,), "pmax": (),
    "pmean": (), "pmin": (), "ppermute": ([(0, 1), (1, 2), (2, 0)],), "pshuffle": ([2, 0, 1],), "psum": (),
    "psum_scatter": (), "pswapaxes": (0,),
}  # fmt: skip


def collective(name: str, rest: tuple | None) -> Call:
    function = getattr(lax, name)
    of_one = (lambda x: x * function("i")) if rest is None else (lambda x: function(x, "i", *rest))
    return Call(lambda x: ft.vmap(of_one, axis_name="i")(x), (X[:, :3],))


LAX |= {name: collective(name, rest) for name, rest in COLLECTIVES.items()}


def linalg(name: str, *args: object, fun: object = None, **kwargs: object) -> None:
    LINALG[name] = Call(fun or getattr(lax.linalg, name), args, kwargs)


symmetric = lambda a: a + fnp.matrix_transpose(a)
linalg("cholesky", SPD, fun=lambda a: lax.linalg.cholesky(symmetric(a)))
linalg("cholesky_update", np.linalg.cholesky(SPD[0]).T, V[:3])
linalg("det", SQUARE)
linalg("eig", A, fun=lambda a: lax.linalg.eig(a)[0])
linalg("eigh", SPD, fun=lambda a: (lambda v, w: (w, v**2))(*lax.linalg.eigh(symmetric(a))))
linalg("expm", SQUARE)
linalg("hessenberg", SQUARE)
linalg("householder_product", np.linalg.qr(X.T, "raw")[0].T, np.linalg.qr(X.T, "raw")[1])
linalg("inv", SQUARE)
linalg("logm", SPD)
linalg("lu", SQUARE)
linalg("lu_pivots_to_permutation", np.array([2, 2, 3]), 4)
linalg("ormqr", np.linalg.qr(X.T, "raw")[0].T, np.linalg.qr(X.T, "raw")[1], X.T)
linalg("qr", X.T, full_matrices=False)
linalg("schur", A + 1j * A.T, fun=lambda a: fnp.abs(lax.linalg.schur(a)[0]) ** 2)
linalg("slogdet", SQUARE)
linalg("solve", A, X)
linalg("solve_sylvester", A, A, S)
linalg("sqrtm", SPD)
linalg("svd", X, full_matrices=False, compute_uv=False)
linalg("symmetric_product", X, SPD[0], beta=1.0)
linalg("triangular_solve", A, X, left_side=True, lower=True)
linalg("tridiagonal", SPD)
linalg("tridiagonal_solve", X[0], Y[0] + 4, W, X.T)
