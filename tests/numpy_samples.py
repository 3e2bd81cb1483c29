"""Samples of the functions of `functrans.numpy`: a row for each, or for each way to call it.

Tests hold every row to NumPy, eagerly, compiled, mapped and differentiated.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
Y = rng.normal(size=(3, 4))
P = rng.uniform(0.2, 0.8, size=(3, 4))
V = rng.normal(size=5)
I = rng.integers(-9, 9, size=(3, 4))
U = rng.integers(0, 255, size=(3, 4), dtype=np.uint8)
B = rng.random((3, 4)) > 0.5
SQUARE = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
SPD = SQUARE @ np.swapaxes(SQUARE, -1, -2)
Z = X + 1j * Y
N = np.where(B, np.nan, X)
W = rng.uniform(0.5, 2.0, size=4)

# name, arguments, keyword arguments; arguments are differentiated when they are float arrays and `smooth`
ELEMENTWISE_1 = (
    "negative positive absolute fabs square sqrt cbrt reciprocal exp exp2 expm1 log log2 log10 log1p sin cos "
    "tan arcsin "
    "arccos arctan sinh cosh tanh arcsinh arctanh deg2rad rad2deg radians degrees sinc"
).split()
ELEMENTWISE_2 = (
    "add subtract multiply divide power arctan2 hypot logaddexp logaddexp2 maximum minimum fmax fmin copysign "
    "float_power"
).split()
FLAT_1 = "sign rint floor ceil trunc fix isfinite isinf isnan signbit logical_not spacing isposinf isneginf".split()
FLAT_2 = (
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor floor_divide nextafter"
).split()
INTEGER = "bitwise_and bitwise_or bitwise_xor gcd lcm left_shift right_shift remainder floor_divide".split()


METHODS = (
    "linear lower higher nearest midpoint inverted_cdf averaged_inverted_cdf closest_observation "
    "interpolated_inverted_cdf hazen weibull median_unbiased normal_unbiased"
).split()
SETS_1 = "unique_all unique_counts unique_inverse".split()
SETS_2 = "union1d intersect1d setdiff1d setxor1d".split()


class Sample(NamedTuple):
    """A call of a function of NumPy's, by its name in the namespace.

    Float arrays among the arguments are differentiated where `smooth`; `traced` is false of what needs values.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    smooth: bool
    traced: bool
    number: int

    def __str__(self) -> str:
        return f"{self.name}-{self.number}"


_numbers = itertools.count()


def case(name: str, *args: Any, smooth: bool = True, traced: bool = True, **kwargs: Any) -> Sample:
    return Sample(name, args, kwargs, smooth, traced, next(_numbers))


SAMPLES = [
    *[case(n, P) for n in ELEMENTWISE_1],
    *[case(n, P, P[:1] * 1.3) for n in ELEMENTWISE_2],
    *[case(n, X, smooth=False) for n in FLAT_1],
    *[case(n, X, Y, smooth=False) for n in FLAT_2],
    *[case(n, np.abs(I), np.abs(I[:1]) % 5 + 1) for n in INTEGER],
    case("arccosh", P + 1),
    case("remainder", X, P, smooth=False),
    case("fmod", X, P, smooth=False),
    case("heaviside", X, P, smooth=False),
    case("ldexp", X, I % 4, smooth=False),
    case("invert", I),
    case("invert", B),
    case("bitwise_count", I),
    case("divmod", X, P, smooth=False),
    case("modf", X, smooth=False),
    case("frexp", X, smooth=False),
    case("conjugate", Z, smooth=False),
    case("real", Z, smooth=False),
    case("imag", Z, smooth=False),
    case("angle", Z, smooth=False),
    case("absolute", Z, smooth=False),
    case("clip", X, -0.5, 0.5),
    case("round", X, 2, smooth=False),
    case("round", X, smooth=False),
    case("nan_to_num", np.array([1.0, np.nan, np.inf, -np.inf]), smooth=False),
    case("where", B, X, Y),
    case("isclose", X, X + 1e-9, smooth=False),
    case("interp", np.array([0.5, 1.5, -1.0, 9.0]), np.array([0.0, 1.0, 2.0]), np.array([3.0, 5.0, 4.0])),
    case("unwrap", np.array([0.0, 3.0, 7.0, -4.0]), smooth=False),
    # creation from arrays
    case("tril", X),
    case("triu", X, 1),
    case("diag", V),
    case("diag", V, -1),
    case("diag", X),
    case("diagflat", X),
    case("vander", V),
    case("zeros_like", X, smooth=False),
    case("ones_like", X, smooth=False),
    case("full_like", X, 3.0, smooth=False),
    case("meshgrid", V, V[:3]),
    # manipulation
    case("reshape", X, (2, -1)),
    case("reshape", X, (4, 3), order="F"),
    case("ravel", X),
    case("transpose", SQUARE, (2, 0, 1)),
    case("swapaxes", SQUARE, 0, 2),
    case("moveaxis", SQUARE, 0, -1),
    case("rollaxis", SQUARE, 2),
    case("squeeze", X[:1]),
    case("expand_dims", X, (0, 2)),
    case("atleast_1d", V),
    case("atleast_2d", V),
    case("atleast_3d", X),
    case("broadcast_to", V, (2, 5)),
    case("concatenate", [X, Y], axis=1),
    case("stack", [X, Y], axis=1),
    case("vstack", [V, V]),
    case("hstack", [V, V]),
    case("dstack", [X, Y]),
    case("column_stack", [V, V]),
    case("append", X, Y, axis=0),
    case("block", [[X, Y], [Y, X]]),
    case("split", X, 2, axis=1),
    case("array_split", V, 3),
    case("tile", X, (2, 1, 2)),
    case("repeat", X, 2, axis=1),
    case("repeat", X, 3),
    case("flip", X),
    case("flip", X, 1),
    case("flipud", X),
    case("fliplr", X),
    case("rot90", X),
    case("rot90", X, 3),
    case("roll", X, 2, axis=1),
    case("roll", X, (1, 2), axis=(0, 1)),
    case("roll", X, 3),
    case("resize", V, (2, 4)),
    case("delete", V, [0, 2]),
    case("insert", V, 2, 7.0),
    case("pad", X, ((1, 2), (0, 1))),
    case("pad", X, 2, mode="reflect"),
    case("pad", X, 1, mode="edge"),
    case("pad", X, 2, mode="wrap"),
    case("pad", X, 1, mode="mean"),
    # indexing
    case("take", X, np.array([[0, 2]]), axis=1),
    case("take", X, np.array([3, 11])),
    case("take_along_axis", X, np.array([[0], [3], [1]]), axis=1),
    case("diagonal", X, 1),
    case("trace", X),
    case("compress", np.array([True, False, True]), X, axis=0),
    case("choose", np.array([0, 1, 0]), [V[:3], V[1:4]]),
    case("select", [X > 1, X > 0], [X, Y]),
    # reductions
    case("sum", X),
    case("sum", X, axis=0, keepdims=True),
    case("sum", X, axis=1, where=B, initial=2.0),
    case("prod", X, axis=1),
    case("mean", X, axis=(0, 1)),
    case("mean", I, axis=0),
    case("std", X, axis=1),
    case("var", X, axis=0, ddof=1),
    case("var", Z, axis=0, smooth=False),
    case("max", X, axis=1),
    case("min", X),
    case("max", X, axis=0, where=B, initial=-3.0),
    case("ptp", X, axis=0),
    case("all", B, axis=1),
    case("any", X, axis=0, smooth=False),
    case("argmax", X, axis=1, smooth=False),
    case("argmin", X, smooth=False),
    case("argmax", X, axis=0, keepdims=True, smooth=False),
    case("average", X, axis=1, weights=np.arange(1.0, 5.0)),
    case("nansum", np.where(B, np.nan, X), axis=0, smooth=False),
    case("nanmean", np.where(B, np.nan, X), smooth=False),
    case("nanmax", np.where(B, np.nan, X), smooth=False),
    case("nanstd", np.where(B, np.nan, X), smooth=False),
    case("median", X, axis=1),
    case("median", X),
    case("quantile", X, np.array([0.2, 0.7]), axis=0),
    case("percentile", X, 30.0, smooth=False),
    case("cumsum", X, axis=1),
    case("cumsum", X),
    case("cumprod", X, axis=0),
    case("cumulative_sum", V, include_initial=True),
    case("diff", X, axis=1),
    case("diff", X, n=2, axis=1),
    case("ediff1d", V),
    case("gradient", V),
    case("gradient", X, axis=1),
    case("trapezoid", V),
    case("trapezoid", V, np.arange(5.0) ** 2, smooth=False),
    case("cov", X),
    case("corrcoef", X),
    case("count_nonzero", I, axis=0),
    # sorting and searching
    case("sort", X, axis=0),
    case("argsort", X, smooth=False),
    case("lexsort", (I[0], I[1])),
    case("searchsorted", np.sort(V), X[0], smooth=False),
    case("searchsorted", np.array([1, 1, 2]), np.array([1, 2, 3]), side="right"),
    case("digitize", X, np.array([-1.0, 0.0, 1.0]), smooth=False),
    case("isin", I, np.array([1, 2, 3])),
    case("histogram", X, bins=np.array([-2.0, 0.0, 1.0, 2.0]), smooth=False),
    # products
    case("dot", X, Y.T),
    case("vdot", X, Y),
    case("inner", X, Y),
    case("outer", V, V),
    case("matmul", SQUARE, SQUARE),
    case("matmul", X, V[:4]),
    case("tensordot", X, Y, axes=([0], [0])),
    case("einsum", "ij,kj->ik", X, Y),
    case("einsum", "ij,ij", X, Y),
    case("kron", X, V[:2]),
    case("cross", X[:, :3], Y[:, :3]),
    case("vecdot", X, Y),
    *([case("matvec", SQUARE, V[:3]), case("vecmat", V[:3], SQUARE)] if hasattr(np, "matvec") else []),  # NumPy 2.2
    case("convolve", V, X[0]),
    case("convolve", X[0], V, mode="same"),
    case("convolve", I[0], I[1], mode="valid"),
    case("correlate", V, X[0], mode="full"),
    case("correlate", X[0], V),
    case("correlate", Z[0], Z[1], mode="same", smooth=False),
    case("polyval", V, X[0]),
    # linear algebra
    case("linalg.norm", X),
    case("linalg.norm", X, axis=1),
    case("linalg.norm", X, ord=1),
    case("linalg.norm", X, ord=2),
    case("linalg.norm", X, ord="nuc"),
    case("linalg.norm", V, ord=3),
    case("linalg.solve", SQUARE, SQUARE),
    case("linalg.solve", SQUARE[0], V[:3]),
    case("linalg.inv", SQUARE),
    case("linalg.det", SQUARE),
    case("linalg.slogdet", SQUARE),
    case("linalg.cholesky", SPD, smooth=False),
    case("linalg.eigvalsh", SPD, smooth=False),
    case("linalg.svdvals", SQUARE),
    case("linalg.pinv", X),
    case("linalg.matrix_power", SQUARE, 3),
    case("linalg.multi_dot", [X, Y.T, X]),
    case("linalg.cond", SQUARE[0]),
    case("linalg.matrix_rank", SQUARE, smooth=False),
    # manipulation, further
    case("atleast_3d", V),
    case("unstack", X, axis=1),
    case("vsplit", X, [1]),
    case("hsplit", X, 2),
    case("dsplit", SQUARE, 3),
    case("concat", [X, Y], axis=None),
    case("permute_dims", X, (1, 0)),
    case("matrix_transpose", SQUARE),
    case("broadcast_arrays", X, W),
    case("repeat", X, [1, 2, 0], axis=0),
    case("delete", X, 1, axis=1),
    case("insert", X, [0, 2], Y[:, :2], axis=1),
    case("insert", X, 1, W, axis=0),
    case("pad", X, 1, mode="median"),
    case("pad", X, ((1, 2), (3, 0)), mode="linear_ramp", end_values=((1.0, 2.0), (3.0, 4.0))),
    case("pad", X, 2, mode="maximum", stat_length=2),
    case("pad", X, 1, mode="minimum"),
    case("pad", X, 3, mode="reflect", reflect_type="odd"),
    case("pad", X, 3, mode="symmetric", reflect_type="odd"),
    case("pad", X, 2, mode="symmetric"),
    case("pad", X, 1, constant_values=((1.0, 2.0), (3.0, 4.0))),
    case("trim_zeros", np.array([0.0, 0.0, 1.5, 0.0, 2.0, 0.0]), traced=False),
    case("copy", X),
    case("astype", X, np.float32, smooth=False),
    case("empty_like", np.zeros((0, 3)), smooth=False),
    # indexing, further
    case("choose", I % 3, [X, Y, P], mode="wrap"),
    case("piecewise", X, [X < 0, X > 1], [lambda x: x**2, lambda x: x, 0.5]),
    case("nonzero", I, smooth=False, traced=False),
    case("flatnonzero", I, smooth=False, traced=False),
    case("argwhere", I, smooth=False, traced=False),
    case("extract", B, X, traced=False),
    case("ravel_multi_index", (np.array([0, 2]), np.array([1, 3])), (3, 4)),
    case("ravel_multi_index", (np.array([0, 5]), np.array([1, -3])), (3, 4), mode=("clip", "wrap"), order="F"),
    case("unravel_index", np.array([[5, 11]]), (3, 4)),
    case("unravel_index", np.array([5, 11]), (3, 4), order="F"),
    case("ix_", np.array([0, 2]), np.array([1, 0, 3])),
    case("tril_indices_from", X, smooth=False),
    case("triu_indices_from", X, 1, smooth=False),
    case("diag_indices_from", SQUARE[0], smooth=False),
    # reductions, further
    case("amax", X, axis=0),
    case("amin", X, axis=1),
    case("std", X, axis=0, correction=1),
    case("var", X, mean=0.25),
    case("mean", X, axis=1, where=B | (I > 0)),
    case("average", X, axis=(0, 1), weights=P, returned=True),
    case("average", X),
    case("cumulative_prod", V),
    case("trapezoid", X, np.arange(4.0) ** 2, axis=1),
    case("gradient", V, np.array([0.0, 0.5, 2.0, 2.5, 4.0]), edge_order=2, smooth=False),
    case("gradient", X, 0.5, axis=1, edge_order=2),
    case("gradient", X, 2.0, np.array([0.0, 1.0, 3.0, 4.0]), smooth=False),
    case("ediff1d", V, to_begin=np.array([1.0, 2.0]), to_end=3.0),
    case("diff", X, axis=0, prepend=0.0, append=Y[:2]),
    case("cov", X, fweights=np.array([1, 2, 1, 3]), aweights=W, smooth=False),
    case("cov", X, Y, rowvar=False, bias=True),
    case("corrcoef", X, Y),
    case("nancumsum", N, axis=1, smooth=False),
    case("nancumprod", N, smooth=False),
    case("nanargmax", N, axis=1, smooth=False),
    case("nanargmin", N, smooth=False),
    case("nanmin", N, axis=0, initial=0.0, where=I > -5, smooth=False),
    case("nanprod", N, axis=1, smooth=False),
    case("nanvar", N, axis=1, correction=0.5, smooth=False),
    case("nanmedian", N, axis=1, smooth=False),
    case("nanquantile", N, np.array([0.2, 0.7]), axis=0, smooth=False),
    case("nanpercentile", N, 30.0, axis=1, method="hazen", keepdims=True, smooth=False),
    *[case("quantile", X, 0.4, axis=1, method=m) for m in METHODS],
    case("percentile", X, np.array([25.0, 60.0]), axis=0, weights=P, method="inverted_cdf", smooth=False),
    case("median", Z, axis=0, smooth=False),
    # sorting, sets, histograms
    case("partition", X, 2, axis=1, smooth=False, traced=False),  # equal to NumPy's in the order of the kth alone
    case("argpartition", X, 0, axis=1, smooth=False, traced=False),
    case("sort_complex", X, smooth=False),
    case("sort", Z, axis=0, smooth=False),
    case("bincount", np.abs(I[0]), W, smooth=False, traced=False),
    case("digitize", X, np.array([1.0, 0.0, -1.0]), smooth=False),
    case("searchsorted", np.array([3.0, 1.0, 2.0]), X, sorter=np.array([1, 2, 0]), smooth=False),
    case("histogram", X, bins=5, smooth=False),
    case("histogram", X, bins=4, range=(-1.0, 2.0), weights=P, density=True, smooth=False),
    case("histogram_bin_edges", X, 6),
    case("histogram2d", X[0], Y[0], bins=[2, 3], smooth=False),
    case("histogramdd", SQUARE[0], bins=3, weights=W[:3], smooth=False),
    case("isin", X, Y, invert=True, smooth=False),
    case("unique", I, smooth=False, traced=False),
    *[case(n, I, smooth=False, traced=False) for n in SETS_1],
    *[case(n, I[0], I[1], smooth=False, traced=False) for n in SETS_2],
    # polynomials
    case("poly", X[0]),
    case("poly", SPD[0], traced=False),
    case("roots", np.array([1.0, -6.0, 11.0, -6.0]), traced=False),
    case("polyadd", X[0], V),
    case("polysub", X[0], V),
    case("polymul", X[0], V),
    case("polydiv", V, X[0, :2], smooth=False, traced=False),
    case("polyder", V),
    case("polyder", V, 2),
    case("polyint", V, 2, k=3.0),
    case("polyfit", V, X[0, [0, 1, 2, 3, 0]], 2, w=P[0, [0, 1, 2, 3, 0]]),
    case("polyfit", V, X[0, [0, 1, 2, 3, 0]], 2, cov=True),
    # functions of functions
    case("apply_along_axis", lambda x: x[:2] * x.sum(), 1, X),
    case("apply_over_axes", lambda a, axis: (a**2).sum(axis), SQUARE, [0, 2]),
    # methods of ufuncs
    case("add.reduce", X),
    case("subtract.reduce", X, axis=1),
    case("multiply.reduce", X, axis=None, keepdims=True),
    case("logaddexp.reduce", X, axis=1),
    case("maximum.reduce", X, axis=0, initial=0.5, where=B),
    case("bitwise_and.reduce", I, axis=1),
    case("add.accumulate", X),
    case("divide.accumulate", P, axis=1),
    case("maximum.accumulate", X, axis=1),
    case("multiply.outer", W, V),
    case("arctan2.outer", W, V),
    case("add.reduceat", X, [0, 2, 1], axis=1),
    case("power.outer", W, V),
    # bits and windows
    case("packbits", B, axis=1),
    case("packbits", I, bitorder="little"),
    case("unpackbits", U, axis=0),
    case("unpackbits", U, count=-5, bitorder="little"),
    case("i0", X),
    case("kaiser", 7, 3.5),
    # questions
    case("allclose", X, X + 1e-9, smooth=False),
    case("array_equal", X, X, smooth=False),
    case("array_equiv", X, X[:1], smooth=False),
    case("iscomplex", Z, smooth=False),
    case("isreal", Z, smooth=False),
    case("real_if_close", Z, traced=False),
    case("interp", X, np.array([0.0, 0.5, 1.0]), np.array([3.0, 5.0, 4.0]), period=1.25, smooth=False),
    case("interp", X, np.array([0.0, 0.5]), np.array([3.0 + 1j, 5.0]), left=-1.0, right=9.0, smooth=False),
    case("unwrap", np.array([[0, 3], [7, -4]]), period=4, axis=0),
    case("clip", X, None, Y),
    case("nan_to_num", Z * np.array([np.inf, 1, np.nan, -np.inf]), nan=1.0, posinf=2.0, smooth=False),
]
