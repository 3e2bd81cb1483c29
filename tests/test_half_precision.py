"""float16 and bfloat16 everywhere: what a function makes of one it makes of the other.

Every row is a call of a public function. With arrays of bfloat16 its results have bfloat16 where those of float16 have
float16, and they are those of float64 but for rounding.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy_samples import SAMPLES

import functrans as ft
import functrans.numpy as fnp
from functrans import losses, metrics, nn
from functrans.errors import DTypeError
from functrans.scipy import cluster, fft, integrate, interpolate, linalg, ndimage, signal, special, stats

HALF, BRAIN = np.dtype(np.float16), fnp.bfloat16
pytestmark = pytest.mark.skipif(BRAIN.names is not None, reason="ml_dtypes is not installed")

RNG = np.random.default_rng(0)
X = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
P, BACK = X / 4, X[::-1]
Y = np.array([0.5, -0.25, 1.0, 0.75, -0.5, 0.25])
ROW = np.cos(np.arange(24.0)) + np.arange(24.0) / 16
M = RNG.integers(-8, 8, (3, 4)) / 4
A = np.array([[2.0, 0.5, 0.25], [0.5, 3.0, 0.5], [0.25, 0.5, 1.5]])
B = np.array([[1.0, 0.5], [0.25, 2.0], [0.5, 1.0]])
IMAGE = RNG.integers(0, 16, (6, 7)) / 4
CLASSES = np.array([2, 0, 3])
key = ft.random.key(0)


class Row(NamedTuple):
    """A call; arrays of float64 among its arguments are given in other dtypes."""

    name: str
    function: Any
    args: tuple[Any, ...]
    rounds: float  # the error, in units of the dtype's rounding and of the largest element
    number: int
    traced: bool = True

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"


_numbers = itertools.count()


def row(module: Any, name: str, *args: Any, rounds: float = 8, traced: bool = True, **options: Any) -> Row:
    def function(*args: Any) -> Any:
        *args, options = args
        found = module
        for part in name.split("."):
            found = getattr(found, part)
        return found(*args, **options)

    full = f"{module.__name__.removeprefix('functrans.')}.{name}"
    return Row(full, function, (*args, options), rounds, next(_numbers), traced)


def made(name: str, function: Any, *args: Any, rounds: float = 8) -> Row:
    return Row(name, function, args, rounds, next(_numbers))


def floats(value: Any, dtype: Any) -> Any:
    return ft.tree.map(lambda a: a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype == np.float64 else a, value)


def wide(value: Any) -> Any:
    """Small floats as float64."""
    return ft.tree.map(
        lambda a: np.asarray(a).astype(np.float64) if getattr(a, "dtype", None) in (HALF, BRAIN) else a, value
    )


NUMPY = [
    row(fnp, s.name, *s.args, rounds=24, traced=s.traced, **s.kwargs)
    for s in SAMPLES
    if any(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in ft.tree.leaves(s.args))
    and s.name != "polydiv"  # NumPy's drops leading zeros
]

SPECIAL = [
    *[row(special, n, P) for n in "entr erf erfc erfcx erfi erfinv erfcinv exp1 expi expit exprel fresnel".split()],
    *[row(special, n, X) for n in "gamma gammaln gammasgn i0 i0e i1 i1e j0 j1 k0 k0e k1 k1e log_expit".split()],
    *[row(special, n, X) for n in "log_ndtr log_softmax logsumexp softmax loggamma rgamma sici spence y0 y1".split()],
    *[row(special, n, P) for n in "cosm1 dawsn digamma psi ellipe ellipk logit ndtri factorial".split()],
    row(special, "ndtri_exp", -X), row(special, "bessel_jn", X, v=2),
    *[row(special, n, X, BACK) for n in "beta betaln kl_div rel_entr xlogy xlog1py poch gammainc".split()],
    *[row(special, n, X, BACK) for n in "gammaincc boxcox boxcox1p huber pseudo_huber jv iv ive kv kve".split()],
    row(special, "betainc", X, BACK, P), row(special, "polygamma", 2, X), row(special, "zeta", X + 1, X),
    row(special, "multigammaln", X + 3, 3), row(special, "binom", X + 3, X), row(special, "comb", X + 3, X),
    row(special, "stdtr", X, X), row(special, "hyp1f1", X, X + 1, P), row(special, "owens_t", X, P),
    row(special, "logsumexp", M, axis=1, b=np.abs(M)), row(special, "softmax", M, axis=0),
]  # fmt: skip

STATS = [
    row(stats, "zscore", X), row(stats, "zmap", X, Y), row(stats, "gmean", X), row(stats, "hmean", X),
    row(stats, "gmean", X, weights=X), row(stats, "sem", X), row(stats, "moment", X, 2), row(stats, "skew", X),
    row(stats, "kurtosis", X, rounds=24), row(stats, "iqr", X), row(stats, "entropy", P), row(stats, "entropy", P, X),
    row(stats, "rankdata", Y), row(stats, "mode", X), row(stats, "pearsonr", X, Y, rounds=24),
    row(stats, "norm.pdf", X), row(stats, "norm.cdf", X, 0.5), row(stats, "gamma.logpdf", X, X),
    row(stats, "t.ppf", P[:3], 4),
    row(stats, "multivariate_normal.logpdf", X[:3], X[:3] / 2, A),
    row(stats, "dirichlet.logpdf", np.array([0.25, 0.75]), X[:2]),
    row(stats, "spearmanr", X, Y, rounds=24),
]  # fmt: skip

SIGNAL = [
    *[row(signal, n, X, Y[:3], mode=m) for n in ("convolve", "correlate", "fftconvolve") for m in ("full", "same")],
    row(signal, "oaconvolve", X, Y[:3]), row(signal, "convolve2d", IMAGE, A),
    row(signal, "correlate2d", IMAGE, A, mode="valid"),
    row(signal, "detrend", ROW), row(signal, "detrend", ROW, type="constant"),
    row(signal, "lfilter", Y[:2], X[2:3], ROW),
    row(signal, "filtfilt", np.array([0.5, 0.5]), np.array([1.0]), ROW), row(signal, "hilbert", ROW),
    row(signal, "resample", ROW, 12),
    row(signal, "sosfilt", np.array([[0.5, 0.25, 0.0, 1.0, 0.25, 0.0]]), ROW),
    row(signal, "resample_poly", ROW, 2, 3), row(signal, "upfirdn", Y[:3], ROW, 2),
    row(signal, "savgol_filter", ROW, 5, 2),
    row(signal, "stft", ROW, nperseg=8, rounds=24), row(signal, "welch", ROW, nperseg=8, rounds=24),
    row(signal, "periodogram", ROW, rounds=24), row(signal, "csd", ROW, ROW[::-1], nperseg=8, rounds=24),
    row(signal, "spectrogram", ROW, nperseg=8, noverlap=4, rounds=24),
    row(signal, "coherence", ROW, ROW[::-1], nperseg=8, rounds=64),
    made("istft", lambda x: signal.istft(signal.stft(x, nperseg=8)[2], nperseg=8), ROW, rounds=24),
]  # fmt: skip

IMAGES = [
    *[row(ndimage, n, IMAGE, A) for n in ("convolve", "correlate")],
    *[row(ndimage, n, IMAGE, Y[:3]) for n in ("convolve1d", "correlate1d")],
    *[row(ndimage, n, IMAGE, 1.0) for n in ("gaussian_filter", "gaussian_filter1d", "gaussian_gradient_magnitude")],
    *[row(ndimage, n, IMAGE) for n in ("laplace", "prewitt", "sobel")],
    row(ndimage, "gaussian_laplace", IMAGE, 1.0, rounds=24),
    *[row(ndimage, n, IMAGE, 3) for n in ("uniform_filter", "uniform_filter1d", "median_filter", "maximum_filter")],
    *[row(ndimage, n, IMAGE, 3) for n in ("minimum_filter", "maximum_filter1d", "minimum_filter1d")],
    row(ndimage, "rank_filter", IMAGE, 2, 3), row(ndimage, "percentile_filter", IMAGE, 30, 3),
    row(ndimage, "zoom", IMAGE, 2, order=1), row(ndimage, "shift", IMAGE, 0.5),
    row(ndimage, "rotate", IMAGE, 30.0, order=1),
    row(ndimage, "map_coordinates", IMAGE, np.array([[0.5, 1.5], [2.25, 3.0]])),
    row(ndimage, "affine_transform", IMAGE, A[:2, :2], order=1),
    row(ndimage, "spline_filter", IMAGE, output=np.float64), row(ndimage, "spline_filter1d", IMAGE),
]  # fmt: skip

INTERPOLATE = [
    *[made(f"interp1d-{kind}", lambda x, y, v, kind=kind: interpolate.interp1d(x, y, kind)(v), X, Y, P + 0.25)
      for kind in ("linear", "nearest", "previous", "zero")],
    *[made(f"interp1d-{k}", lambda x, y, v, k=k: interpolate.interp1d(x, y, k)(v), X, Y, P + 0.25, rounds=64)
      for k in ("quadratic", "cubic")],
    *[made(n, lambda x, y, v, n=n: getattr(interpolate, n)(x, y)(v), X, Y, P + 0.25, rounds=64)
      for n in ("PchipInterpolator", "Akima1DInterpolator", "CubicSpline", "make_interp_spline")],
    made("CubicHermiteSpline", lambda x, y, d, v: interpolate.CubicHermiteSpline(x, y, d)(v), X, Y, Y, P + 0.25,
    rounds=64),
    made("PPoly", lambda c, x, v: interpolate.PPoly(c, x)(v), M[:, :3], X[:4], P + 0.25, rounds=24),
    made("BSpline", lambda t, c, v: interpolate.BSpline(t, c, 2)(v), np.r_[X[:1], X[:1], X, X[-1:], X[-1:]],
    np.r_[Y, X[:1]], P + 0.25),
    made("RegularGridInterpolator", lambda x, y, z, v: interpolate.RegularGridInterpolator((x, y), z)(v), X[:3], X[:4],
    M, np.array([[0.5, 1.25], [0.75, 0.5]])),
    made("interpn", lambda x, y, z, v: interpolate.interpn((x, y), z, v), X[:3], X[:4], M,
    np.array([[0.5, 1.25], [0.75, 0.5]])),
]  # fmt: skip

INTEGRATE = [
    *[row(integrate, n, X[:5]) for n in ("trapezoid", "simpson", "romb", "cumulative_trapezoid")],
    row(integrate, "cumulative_simpson", X), row(integrate, "simpson", Y, X, rounds=24),
    row(integrate, "trapezoid", Y, X),
    made("fixed_quad", lambda a: integrate.fixed_quad(np.exp, a[0], a[1])[0], X, rounds=24),
    made("quad_vec", lambda a: integrate.quad_vec(np.exp, a[0], a[1])[0], X, rounds=24),
]  # fmt: skip

LINALG = [
    *[row(linalg, n, A) for n in "cholesky det inv expm lu qr svdvals eigvalsh pinv pinvh hessenberg".split()],
    *[row(linalg, n, A, rounds=64) for n in "cosm sinm tanm coshm sinhm tanhm signm eigh polar rq".split()],
    made("scipy.linalg.sqrtm", lambda a: np.real(linalg.sqrtm(a)), A),
    row(linalg, "solve", A, X[:3]), row(linalg, "lstsq", A, X[:3]), row(linalg, "solve_triangular", np.triu(A), X[:3]),
    row(linalg, "block_diag", A, M), row(linalg, "toeplitz", X), row(linalg, "hankel", X), row(linalg, "circulant", X),
    row(linalg, "companion", X), row(linalg, "fiedler", X), row(linalg, "leslie", X[:3], P[:2]),
    row(linalg, "khatri_rao", A, A),
    row(linalg, "convolution_matrix", X, 3), row(linalg, "matmul_toeplitz", X, X),
    row(linalg, "solve_sylvester", A, A, A),
    row(linalg, "solve_toeplitz", BACK, X, rounds=64), row(linalg, "solve_circulant", X, X, rounds=64),
    row(linalg, "bandwidth", A), row(linalg, "issymmetric", A), row(linalg, "diagsvd", X[:3], 3, 4),
]  # fmt: skip

OTHERS = [
    *[row(fft, n, X) for n in "dct dst idct idst fft ifft rfft irfft hfft ihfft fftshift".split()],
    *[row(fft, n, A) for n in "dctn dstn idctn idstn fft2 ifftn rfft2 irfftn".split()],
    row(cluster.vq, "vq", B, B[:2]), row(cluster.vq, "whiten", B), row(cluster.vq, "kmeans", B, B[:2]),
    made("cg", lambda a, b: ft.scipy.sparse.linalg.cg(a, b)[0], A, X[:3], rounds=32),
    made("Rotation", lambda v, w: ft.scipy.spatial.transform.Rotation.from_rotvec(v).apply(w), X[:3], Y[:3]),
]  # fmt: skip

LOSSES = [
    *[row(losses, n, M, M + 0.5) for n in ("mean_squared_error", "mean_absolute_error", "log_cosh", "huber")],
    *[row(losses, n, M, np.sign(M + 0.1)) for n in ("hinge", "squared_hinge")],
    row(losses, "categorical_hinge", M, CLASSES),
    row(losses, "binary_cross_entropy", M, (M > 0).astype(int), from_logits=True),
    row(losses, "cosine_similarity_loss", M, M + 0.5, rounds=16),
    row(losses, "categorical_cross_entropy", M, CLASSES, from_logits=True),
    row(losses, "triplet_margin", M, M + 0.5, M - 1),
    row(losses, "kl_divergence", M, np.abs(M) + 0.25, from_logits=True, rounds=24),
    row(losses, "ctc_loss", np.cos(np.arange(60.0)).reshape(2, 6, 5), np.array([[1, 2], [3, 0]]), np.array([6, 5]),
    np.array([2, 1])),
    row(metrics, "mse", M, M + 0.5), row(metrics, "mae", M, M + 0.5), row(metrics, "r2", X, X + Y / 8),
    row(metrics, "log_loss", CLASSES, np.array(nn.softmax(M))), row(metrics, "roc_auc", (Y > 0).astype(int), X),
    row(metrics, "top_k_accuracy", CLASSES, M, k=2),
]  # fmt: skip

ACTIVATIONS = (
    "celu elu gelu glu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid log_softmax "
    "logsumexp mish relu relu6 selu sigmoid silu soft_sign softmax softplus squareplus standardize swish tanh"
).split()
NN = [
    *[row(nn, n, M) for n in ACTIVATIONS],
    *[row(nn, n, IMAGE[:, :, None], (2, 2)) for n in ("avg_pool", "max_pool", "min_pool")],
    row(nn, "dot_product_attention", RNG.normal(size=(2, 4, 1, 8)), RNG.normal(size=(2, 4, 1, 8)),
    RNG.normal(size=(2, 4, 1, 8))),
    *[made(n, lambda x, n=n: getattr(nn, n)(4)(x), M, rounds=24) for n in ("LayerNorm", "RMSNorm")],
    made("Linear", lambda w, b, x: nn.tree_at(lambda m: (m.weight, m.bias), nn.Linear(4, 2, key=key), (w, b))(x),
    M[:2], Y[:2], M),
]  # fmt: skip

ROWS = [*NUMPY, *SPECIAL, *STATS, *SIGNAL, *IMAGES, *INTERPOLATE, *INTEGRATE, *LINALG, *OTHERS, *LOSSES, *NN]


def dtypes(value: Any) -> list[np.dtype]:
    return [np.asarray(v).dtype for v in ft.tree.leaves(value)]


def close(got: Any, want: Any, dtype: np.dtype, rounds: float) -> None:
    for g, w in zip(ft.tree.leaves(wide(got)), ft.tree.leaves(want), strict=True):
        g, w = np.asarray(g), np.asarray(w)
        assert g.shape == w.shape
        if w.dtype.kind in "fc":
            size = np.max(np.abs(w), initial=0.0, where=np.isfinite(w))
            np.testing.assert_allclose(g, w, rtol=0, atol=rounds * float(fnp.finfo(dtype).eps) * size)


def of_arrays(function: Any, args: Any, dtype: np.dtype) -> Any:
    """The function of the arrays of `dtype` alone, and these."""
    flat, tree = ft.tree.flatten(args)
    places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and a.dtype == dtype]

    def inner(*arrays: Any) -> Any:
        given = list(flat)
        for i, a in zip(places, arrays):
            given[i] = a
        return function(*ft.tree.unflatten(tree, given))

    return inner, [flat[i] for i in places]


#: Functions whose values depend on the dtype.
OF_DTYPES = {"numpy.nextafter", "numpy.spacing", "numpy.nan_to_num"}


@pytest.mark.parametrize("r", ROWS, ids=str)
def test_bfloat16_is_as_float16(r):
    made = []
    for dtype in (HALF, BRAIN):
        args = floats(r.args, dtype)
        try:
            got = r.function(*args)
        except DTypeError as error:  # LAPACK has no small floats
            got = str(error)
            assert "float32, float64 or complex" in got
        made.append(got)
        if not isinstance(got, str) and r.name not in OF_DTYPES:
            close(got, r.function(*wide(args)), dtype, r.rounds)
    half, brain = made
    if isinstance(half, str):
        assert brain == half.replace("got float16", "got bfloat16")
    else:
        assert [d if d != HALF else BRAIN for d in dtypes(half)] == dtypes(brain)
        if r.traced:
            function, arrays = of_arrays(r.function, floats(r.args, BRAIN), BRAIN)
            assert dtypes(brain) == [x.dtype for x in ft.tree.leaves(ft.eval_shape(function, *arrays))]


SAMPLE = [r for r in ROWS if r.traced][::40]


@pytest.mark.parametrize("r", SAMPLE, ids=str)
@pytest.mark.parametrize("dtype", [HALF, BRAIN], ids=str)
def test_compiled_is_eager(r, dtype):
    function, arrays = of_arrays(r.function, floats(r.args, dtype), dtype)
    try:
        want = function(*arrays)
    except DTypeError as error:
        with pytest.raises(DTypeError, match=str(error)):
            ft.jit(function)(*arrays)
        return
    got = ft.jit(function)(*arrays)
    assert dtypes(got) == dtypes(want)
    close(got, wide(want), dtype, r.rounds)
