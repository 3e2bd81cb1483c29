"""A sample of every primitive: a function that applies it, and arguments at which its rules are tested.

`tests/test_registry.py` fails for a primitive that has none. Elementwise primitives need a row only where the defaults
(`elementwise`, below) do not fit.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import functrans as ft
import functrans.numpy as fnp
from functrans import checking, custom_batching, custom_derivatives, lax
from functrans.core.primitive import registry
from functrans.lax import elementwise as ew, incomplete, orthogonal, random as lax_random, special
from functrans.lax.elementwise import Elementwise
from functrans.lax.linalg.functions import expm_frechet_p, expm_p, logm_frechet_p, logm_p, sqrtm_p, sylvester_p
from functrans.lax.windows import slide, unslide_p


class Sample(NamedTuple):
    """A function of arrays, and where to test it."""

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    order: int = 2  # of the derivatives that finite differences confirm
    modes: tuple[str, ...] = ("fwd", "rev")
    vmap: bool = True


rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
Y = rng.normal(size=(3, 4))
V = rng.normal(size=5)
P = rng.uniform(0.2, 0.8, size=(3, 4))
M = rng.normal(size=(3, 3)) + 3 * np.eye(3)
S = M @ M.T
B = np.array([True, False, True])
N = np.array([5, -3, 12, 0])
I = np.array([2, 0, -1])
WORDS = np.array([0, 7, 1 << 31, (1 << 32) - 1], np.uint32)
LONG = rng.normal(size=40)

# ---------------------------------------------------------------- elementwise

#: Primitives whose operands are not the default (0.2 to 0.8, so that logarithms, roots and inverse functions are
#: smooth): a sample each.
ELEMENTWISE: dict[str, Sample] = {
    "acosh": Sample(lax.acosh, (1 + P,)),
    "complex": Sample(lax.complex, (X, Y)),
    "gcd": Sample(ew.gcd, (N, np.array([10, 6, -8, 0])), 0),
    "high_word": Sample(lambda x: lax_random.high_word(x), (WORDS.astype(np.uint64) << np.uint64(20),), 0),
    "heaviside": Sample(ew.heaviside, (X, Y)),
    "integer_pow": Sample(lambda x: (lax.integer_pow(x, 3), lax.integer_pow(x, -2), lax.integer_pow(x, 0)), (P,)),
    "lcm": Sample(ew.lcm, (N, np.array([10, 6, -8, 0])), 0),
    "ldexp": Sample(ew.ldexp, (X, np.arange(4))),
    "and": Sample(ew.bitwise_and, (N, N[::-1]), 0),
    "not": Sample(ew.bitwise_not, (N,), 0),
    "or": Sample(ew.bitwise_or, (N, N[::-1]), 0),
    "xor": Sample(ew.bitwise_xor, (N, N[::-1]), 0),
    "polygamma": Sample(lambda x: (ew.polygamma(1.0, x), ew.polygamma(2.0, x)), (P,)),
    "population_count": Sample(ew.population_count, (N,), 0),
    "select_n": Sample(lambda x, y: ew.select_n(X > 0, x, y), (X, Y)),
    "threefry2x32": Sample(lax_random.threefry2x32, (WORDS[:1], WORDS[1:2], WORDS, WORDS[::-1]), 0),
    "beta_density": Sample(incomplete.beta_density, (1 + P, 1 + P[::-1], P)),
    "beta_slope_a": Sample(lambda x: incomplete._beta_slope_a(0.7, 1.6, x), (P,)),
    "beta_slope_b": Sample(lambda x: incomplete._beta_slope_b(0.7, 1.6, x), (P,)),
    "betaincc": Sample(lambda x: incomplete.betaincc(0.7, P, x), (P[::-1],)),
    "betainccinv": Sample(lambda x: incomplete.betainccinv(0.7, P, x), (P[::-1],)),
    "betaincinv": Sample(lambda x: incomplete.betaincinv(0.7, P, x), (P[::-1],)),
    "expn": Sample(lambda x: [special.expn(n, x) for n in (0, 1, 3, 2.0)], (P,)),
    "gamma_curvature": Sample(incomplete._gamma_curvature, (P, P[::-1]), 0),
    "hyp1f1": Sample(lambda x: special.hyp1f1(0.7, P, x), (X,)),
    "hyp2f1": Sample(lambda x: special.hyp2f1(0.7, -0.4, P, x), (P[::-1],)),
    "lambertw": Sample(lambda x: special.lambertw(x + 0j, 0, 1e-8), (P,)),
    "random_gamma_grad": Sample(incomplete.random_gamma_grad, (P, P[::-1]), 1),
    "log_gammainc": Sample(incomplete.log_gammainc, (P, P[:1] + 0.3)),
    "log_gammaincc": Sample(incomplete.log_gammaincc, (P, P[:1] + 0.3)),
    "log_betainc": Sample(incomplete.log_betainc, (P, 1 + P[:1], P[::-1])),
    "log_betaincc": Sample(incomplete.log_betaincc, (P, 1 + P[:1], P[::-1])),
    "log_beta_a": Sample(lambda a, x: [incomplete._log_beta_a(a, 1.6, x, c) for c in (0.0, 1.0)], (P, P[::-1]), 1),
    "log_beta_b": Sample(lambda b, x: [incomplete._log_beta_b(1.6, b, x, c) for c in (0.0, 1.0)], (P, P[::-1]), 1),
    **{
        f.name: Sample(lambda x, f=f: f(0.7, 1.6, x, 0.0), (P,), 0)
        for f in (incomplete.log_beta_aa, incomplete.log_beta_ab, incomplete.log_beta_bb)
    },
    "huber": Sample(lambda d, x: special.huber(d, x), (P, 3 * X)),
    "wofz": Sample(lambda x, y: special.wofz(lax.complex(x, y)), (P, X)),
    "ndtri_exp": Sample(special.ndtri_exp, (-P,)),
    "hyp0f1": Sample(lambda x: special.hyp0f1(0.7, x), (X,)),
    "inv_boxcox": Sample(special.inv_boxcox, (X, P * 0.3)),
    "inv_boxcox1p": Sample(special.inv_boxcox1p, (X, P * 0.3)),
    "voigt_profile": Sample(special.voigt_profile, (X, 0.3 + P, P[:1])),
    "wrightomega": Sample(special.wrightomega, (X,)),
    "zetac": Sample(special.zetac, (1.5 + P,)),
    **{
        f.name: Sample(lambda x, f=f, extra=extra: [f(n, *extra, x) for n in (0, 1, 3)], (P,))
        for f, *extra in (
            (orthogonal.eval_legendre,),
            (orthogonal.eval_chebyt,),
            (orthogonal.eval_chebyu,),
            (orthogonal.eval_laguerre,),
            (orthogonal.eval_hermite,),
            (orthogonal.eval_hermitenorm,),
            (orthogonal.eval_gegenbauer, 1.5),
            (orthogonal.eval_genlaguerre, 1.5),
            (orthogonal.eval_jacobi, 1.5, 0.5),
            (orthogonal.spherical_jn,),
            (orthogonal.spherical_yn,),
            (orthogonal.spherical_in,),
            (orthogonal.spherical_kn,),
        )
    },
    "stdtr": Sample(incomplete.stdtr, (1 + P, X)),
    "stdtrit": Sample(incomplete.stdtrit, (1 + P, P[::-1])),
    "t_slope": Sample(incomplete._t_slope, (1 + P, X), 1),
    "t_curvature": Sample(incomplete._t_curvature, (1 + P, X), 0),
    "regularized_incomplete_beta": Sample(lambda x: incomplete.regularized_incomplete_beta(0.7, P, x), (P[::-1],)),
    "riemann_zeta": Sample(special.riemann_zeta, (1.5 + P,)),
    "sph_harm_y": Sample(lambda x, y: special.sph_harm_y(3, np.array([-3, 0, 1, 2]), x, y), (P, X)),
    "zeta": Sample(special.zeta, (1.5 + P, P[::-1])),
    **{
        f.name: Sample(lambda x, f=f: [f(v, x) for v in (0.0, 1.0, 2.5)], (P,))
        for f in (special.iv, special.ive, special.jv, special.kv, special.kve, special.yv)
    },
    "shift_left": Sample(ew.shift_left, (N, np.array([0, 1, 2, 3])), 0),
    "shift_right": Sample(ew.shift_right, (N, np.array([0, 1, 2, 3])), 0),
}
#: Those that also take complex numbers, and are smooth in them.
COMPLEX = (
    "abs acos acosh add asin asinh atan atanh conj cos cosh div exp exp2 expm1 imag log log10 log1p log2 mul neg "
    "positive pow real reciprocal sign sin sinh sqrt square sub tan tanh"
).split()


def elementwise(primitive: Elementwise) -> Sample:
    if primitive.name in ELEMENTWISE:
        return ELEMENTWISE[primitive.name]
    operands = (P, P[:1] * 1.3 + 0.01)[: primitive.ufunc.nin if primitive.ufunc is not None else 1]
    return Sample(primitive, operands)


def complex_elementwise(primitive: Elementwise) -> Sample:
    z = P + 1j * Y
    return Sample(primitive, (z, z[:1] * (0.3 - 1j))[: primitive.ufunc.nin if primitive.ufunc is not None else 1])


# ---------------------------------------------------------------- custom rules


@ft.custom_jvp
def sine(x: Any) -> Any:
    return fnp.sin(x)


@sine.defjvp
def _sine_jvp(primals: Any, tangents: Any) -> Any:
    return sine(primals[0]), tangents[0] * fnp.cos(primals[0])


@ft.custom_jvp
def weighted(x: Any) -> Any:
    return fnp.sum(x * V)


@weighted.defjvp
def _weighted_jvp(primals: Any, tangents: Any) -> Any:
    return weighted(primals[0]), fnp.sum(tangents[0] * V)


@ft.custom_vjp
def product(x: Any, y: Any) -> Any:
    return x * y


@custom_batching.custom_vmap
def cosine(x: Any) -> Any:
    return fnp.cos(x)


cosine.def_vmap(lambda size, batched, x: (fnp.cos(x), True))
product.defvjp(lambda x, y: (x * y, (x, y)), lambda r, ct: (ct * r[1], ct * r[0]))


def shown(x: Any) -> Any:
    ft.debug.callback(lambda x, y: None, x, np.sum(x))
    return np.sin(x)


def checked_sine(x: Any) -> Any:
    checking.check(np.all(x > -9), "{} among {x}", np.min(x), x=x)
    return np.sin(x)


def twisted(x: Any) -> Any:
    return lax.complex(x, x.T)


def over(collective: Callable[..., Any], **options: Any) -> Callable[[Any], Any]:
    """A function that maps a collective over the leading axis of its argument."""
    return ft.vmap(lambda x: collective(x, "i", **options), axis_name="i")


# ---------------------------------------------------------------- the table

SAMPLES: dict[str, list[Sample]] = {
    # conversion
    "convert_element_type": [
        Sample(lambda x: lax.convert_element_type(x, np.complex128), (X,)),
        Sample(lambda x: lax.convert_element_type(x, np.int32), (X,), 0),
    ],
    "bitcast_convert_type": [Sample(lambda x: lax.bitcast_convert_type(x, np.int64), (X,), 0)],
    "copy": [Sample(ft.lax.conversion.copy, (X,))],
    "optimization_barrier": [Sample(lambda x: ft.lax.conversion.optimization_barrier_p.bind(x), (X,))],
    "stop_gradient": [Sample(ft.stop_gradient, (X,), 0)],
    "constant": [Sample(lambda x: ft.jvp(ft.jit(weighted), (x,), (x,))[1], (V,), 0)],
    # structure
    "reshape": [Sample(lambda x: lax.reshape(x, (2, 6)), (X,)), Sample(lambda x: lax.reshape(x, (1,)), (1.5,))],
    "transpose": [Sample(lambda x: lax.transpose(x, (1, 0)), (X,))],
    "broadcast_in_dim": [
        Sample(lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1, 2)), (X,)),
        Sample(lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1, 2)), (X[:, :1],)),
    ],
    "slice": [Sample(lambda x: lax.slice(x, (0, 1), (3, 4), (2, 1)), (X,))],
    "pad": [Sample(lambda x, v: lax.pad(x, v, [(1, 2, 0), (-1, 1, 2)]), (X, 1.5))],
    "concatenate": [Sample(lambda x, y: lax.concatenate([x, y, x], 1), (X, Y[:, :2]))],
    "rev": [Sample(lambda x: lax.rev(x, (0, 1)), (X,))],
    "iota": [Sample(lambda x: x * lax.broadcasted_iota(np.float64, (3, 4), 1), (X,))],
    # reductions
    "reduce_sum": [Sample(lambda x: lax.reduce_sum(x, (0,)), (X,)), Sample(lambda x: lax.reduce_sum(x, (0,)), (LONG,))],
    "reduce_prod": [Sample(lambda x: lax.reduce_prod(x, (1,)), (X * [1, 0, 1, 1],))],
    "reduce_max": [Sample(lambda x: lax.reduce_max(x, (0, 1)), (X,))],
    "reduce_min": [Sample(lambda x: lax.reduce_min(x, (1,)), (X,))],
    "reduce_and": [
        Sample(lambda x: lax.reduce_and(x, (1,)), (X > -1,), 0),
        Sample(lambda n: lax.reduce_and(n, (0,)), (N,), 0),
    ],
    "reduce_or": [
        Sample(lambda x: lax.reduce_or(x, (0,)), (X > 1,), 0),
        Sample(lambda n: lax.reduce_or(n, (0,)), (N,), 0),
    ],
    "reduce_xor": [Sample(lambda n: lax.reduce_xor(n, (0,)), (N,), 0)],
    "argmax": [Sample(lambda x: lax.argmax(x, 1), (X,), 0)],
    "argmin": [Sample(lambda x: lax.argmin(x, 0), (X,), 0)],
    "cumsum": [Sample(lambda x: lax.cumsum(x, axis=1, reverse=True), (X,))],
    "cumprod": [Sample(lambda x: lax.cumprod(x, axis=1), (X * [1, 0, 1, 1],))],
    "cummax": [Sample(lambda x: lax.cummax(x, axis=0), (X,))],
    "cummin": [Sample(lambda x: lax.cummin(x, axis=1, reverse=True), (X,))],
    "cumlogsumexp": [Sample(lambda x: lax.cumlogsumexp(x, axis=1), (X,))],
    # indexing
    "gather": [
        Sample(lambda x: lax.gather(x, [I], (0,)), (X,)),
        Sample(lambda x, i: lax.gather(x, [i, i], (0, 1), mode="clip"), (X, I)),
        Sample(lambda x: lax.gather(x, [I + 2], (0,), mode="fill", fill_value=7.0), (X,)),
    ],
    "scatter": [Sample(lambda x, u: lax.scatter("set", x, u, [np.array([0, 2])], (0,)), (X, Y[:2]))],
    "scatter_add": [Sample(lambda x, u: lax.scatter("add", x, u, [np.array([0, 2, 0])], (0,)), (X, Y))],
    "scatter_mul": [Sample(lambda x, u: lax.scatter("multiply", x, u, [np.array([0, 2])], (0,)), (X, Y[:2]))],
    "scatter_min": [Sample(lambda x, u: lax.scatter("min", x, u, [np.array([0, 2])], (0,)), (X, Y[:2]))],
    "scatter_max": [Sample(lambda x, u: lax.scatter("max", x, u, [np.array([0, 2])], (0,)), (X, Y[:2]))],
    "dynamic_slice": [Sample(lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)), (X, 1))],
    "dynamic_update_slice": [Sample(lambda x, u, i: lax.dynamic_update_slice(x, u, (i, 1)), (X, Y[:2, :2], 1))],
    # windows and convolutions
    "slide": [Sample(lambda x: slide(x, (1,), (2,), (2,), (1,)), (X,))],
    "unslide": [
        Sample(lambda y: unslide_p.bind(y, axes=(0,), sizes=(7,), strides=(2,), dilation=(1,)), (Y[:2],)),
        Sample(lambda y: unslide_p.bind(y, axes=(0,), sizes=(9,), strides=(1,), dilation=(2,)), (Y,)),
    ],
    "reduce_window_sum": [
        Sample(lambda x: lax.reduce_window_sum(x, (2, 2), (1, 2), "SAME", (1, 2), (1, 2)), (X,)),
        Sample(lambda x: lax.reduce_window_sum(x, (3,), (2,)), (LONG,)),
    ],
    "reduce_window_max": [Sample(lambda x: lax.reduce_window_max(x, (2, 3), (1, 2), "SAME"), (X,))],
    "reduce_window_min": [Sample(lambda x: lax.reduce_window_min(x, (2, 1), (2, 1), ((0, 1), (0, -1))), (X,))],
    "conv_general_dilated": [
        Sample(lambda x, w: lax.conv(x, w, (2,), "SAME"), (X.reshape(2, 2, 3), Y.reshape(3, 2, 2))),
        Sample(
            lambda x, w: lax.conv_general_dilated(
                x, w, (1, 2), ((1, 0), (0, 1)), (1, 2), (2, 1), ("NHWC", "HWIO", "HWNC"), feature_group_count=2
            ),
            (LONG[:24].reshape(1, 3, 2, 4), LONG[:16].reshape(2, 2, 2, 2)),
        ),
        Sample(
            lambda x, w: lax.conv_general_dilated(x, w, (1,), "VALID", feature_group_count=4),
            (X.reshape(1, 4, 3), Y[:2].reshape(4, 1, 2)),
        ),
    ],
    # contraction, sorting, linear algebra
    "dot_general": [
        Sample(lambda x, y: lax.dot_general(x, y, (((1,), (1,)), ((), ()))), (X, Y)),
        Sample(
            lambda x, y: lax.dot_general(x, y, (((2,), (1,)), ((0,), (0,)))),
            (X.reshape(2, 2, 3), Y.reshape(2, 3, 2)),
        ),
    ],
    "sort": [
        Sample(lambda x: lax.sort(x), (X,)),
        Sample(lambda x, y: lax.sort((x, y), dimension=0, num_keys=1), (X, Y)),
    ],
    "fft": [
        Sample(lambda x: lax.fft(x, "FFT", (4,)), (X,)),
        Sample(lambda x: lax.fft(x, "RFFT", (3, 4)), (X,)),
        Sample(lambda x: lax.fft(lax.complex(x, x * x), "IRFFT", (7,)), (X,)),
        Sample(lambda x: lax.fft(lax.complex(x, x * x), "IFFT", (3, 4)), (X,)),
    ],
    "cholesky": [Sample(lambda a: lax.linalg.cholesky(a), (S,))],
    "triangular_solve": [
        Sample(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True, lower=True), (M, X)),
    ],
    "solve": [Sample(lambda a, b: lax.linalg.solve(a, b), (M, X))],
    "slogdet": [Sample(lambda a: lax.linalg.slogdet(a)[1], (M,))],
    "det": [Sample(lambda a: lax.linalg.det(a), (M,)), Sample(lambda a: lax.linalg.det(a), (X[:, :3] * [1, 0, 1],), 1)],
    "adjugate": [Sample(lambda a: ft.jvp(lax.linalg.det, (a,), (M,))[1], (M,), 1)],
    "lu": [Sample(lambda a: lax.linalg.lu(a)[0], (M,), 1)],
    "eigh": [Sample(lambda a: (lambda w, v: (w, v * v))(*lax.linalg.eigh(a)), (S,))],
    "eig": [Sample(lambda a: fnp.sum(lax.linalg.eig(a)[0] ** 3), (M,))],
    "svd": [
        Sample(lambda a: lax.linalg.svd(a, full_matrices=False, compute_uv=False), (X,)),
        Sample(
            lambda a: (lambda u, s, v: (u * u, s, (u * s) @ v))(*lax.linalg.svd(a, full_matrices=False)), (X.T,), 1
        ),
    ],
    "qr": [Sample(lambda a: lax.linalg.qr(a, full_matrices=False), (X.T,))],
    "lu_pivots_to_permutation": [
        Sample(lambda p: lax.linalg.lu_pivots_to_permutation(p, 4), (np.array([2, 2, 3]),), 0)
    ],
    "tridiagonal_solve": [Sample(lax.linalg.tridiagonal_solve, (X[0], Y[0] + 4, P[0], X.T))],
    "qr_column_order": [Sample(lambda a: lax.linalg.qr(a, pivoting=True)[2], (X,), 0)],
    "hessenberg": [Sample(lax.linalg.hessenberg, (M,), 0)],
    "tridiagonal": [Sample(lax.linalg.tridiagonal, (S,), 0)],
    "schur": [Sample(lambda a: fnp.sum(fnp.abs(lax.linalg.schur(twisted(a))[0]) ** 2), (M,), 1)],
    "expm": [Sample(expm_p.bind, (M / 3,))],
    "expm_frechet": [Sample(expm_frechet_p.bind, (M / 3, X[:, :3]), 1)],
    "logm": [Sample(lambda a: lax.real(logm_p.bind(twisted(a)) @ a), (M / 3,))],
    "logm_frechet": [
        Sample(lambda a, e: lax.real(logm_frechet_p.bind(*map(twisted, (a, e)))), (M / 3, X[:, :3]), 1),
    ],
    "sylvester": [Sample(sylvester_p.bind, (M, S, X[:, :3]))],
    "sqrtm": [Sample(lambda a: lax.real(sqrtm_p.bind(twisted(a))), (S,))],
    # collectives
    "psum": [Sample(over(lax.psum), (X,))],
    "pmax": [Sample(over(lax.pmax), (X,))],
    "pmin": [Sample(over(lax.pmin), (X,))],
    "all_gather": [Sample(ft.vmap(lambda x: lax.all_gather(x, "i"), axis_name="i"), (X,))],
    "axis_index": [Sample(ft.vmap(lambda x: x * lax.axis_index("i"), axis_name="i"), (X,))],
    # control flow and calls
    "cond": [
        Sample(lambda x: lax.cond(x[0] > 0, lambda v: fnp.sin(v), lambda v: v**3, x), (np.abs(V),)),
        Sample(lambda x: lax.switch(fnp.argmax(x), [lambda v: v, lambda v: 2 * v, fnp.cos], x), (V[:3],)),
    ],
    "scan": [
        Sample(lambda c, xs: lax.scan(lambda c, x: (fnp.sin(c * x), c + x), c, xs), (0.5, V)),
        Sample(lambda c, xs: lax.scan(lambda c, x: (c @ x, c[0]), c, xs, reverse=True), (V[:2], X.reshape(3, 2, 2))),
    ],
    "while": [
        Sample(lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, fnp.sin(c[1]) * x), (0, x)), (V,),
               2, ("fwd",)),
        Sample(lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, fnp.sin(c[1]) * x), (0, x)), (V,), 1),
    ],
    "tape": [
        Sample(ft.grad(lambda x: fnp.sum(lax.while_loop(lambda c: fnp.sum(c) < 9, lambda c: fnp.sin(c) + c + 1, x))),
               (V,), 1),
    ],
    "pure_callback": [Sample(lambda x, y: ft.pure_callback(np.hypot, x, x, y, vmap_method="broadcast_all"), (X, Y), 0)],
    "io_callback": [Sample(lambda x: ft.io_callback(np.sin, x, x) * x, (V,), 0)],
    "debug_callback": [Sample(shown, (X,))],
    "check": [Sample(checked_sine, (X,))],
    "jit": [Sample(ft.jit(lambda x, y: (fnp.sin(x) * y, x)), (X, Y))],
    "name": [Sample(lambda x: ft.checkpoint_name(fnp.sin(x), "sine") * x, (X,))],
    "checkpoint": [Sample(ft.checkpoint(lambda x: fnp.sin(fnp.sin(x))), (X,))],
    "custom_jvp_call": [Sample(sine, (X,))],
    "custom_vjp_call": [Sample(product, (X, Y))],
    "custom_linear_solve": [
        Sample(lambda a, b: lax.custom_linear_solve(lambda x: a @ x, b, lambda _, b: fnp.linalg.solve(a, b),
                                                    lambda _, b: fnp.linalg.solve(a.T, b)), (M, X)),
    ],
    "custom_root": [
        Sample(lambda a: lax.custom_root(lambda x: x**3 - a, a, lambda f, x: fnp.cbrt(a),
                                         lambda g, y: y / g(fnp.ones((3, 4)))), (P,)),
    ],
    "custom_vmap_call": [Sample(ft.jit(cosine), (X,)), Sample(ft.vmap(lambda x: ft.jit(cosine)(x)), (X,))],
    "linear_call": [
        Sample(lambda x, y: custom_derivatives.linear_call(lambda r, v: fnp.sin(r) * v, lambda r, ct: fnp.sin(r) * ct,
                                                           x, y), (X, Y)),
    ],
    "reduce_precision": [Sample(lambda x: lax.reduce_precision(x, 8, 40), (X,), 0)],
    "custom_pullback": [Sample(lambda x, t: ft.linearize(product, x, x)[1](t, t), (X, Y), 0)],
}  # fmt: skip


def samples(name: str) -> Iterator[Sample]:
    """The samples of a primitive."""
    primitive = registry[name]
    if isinstance(primitive, Elementwise):
        yield elementwise(primitive)
        if name in COMPLEX:
            yield complex_elementwise(primitive)
    else:
        yield from SAMPLES[name]
