"""Calls of the functions of `functrans.numpy`: those of `numpy_samples.py`, and what has none there."""

import numpy as np
from numpy_samples import SAMPLES, SPD, SQUARE, B, I, P, V, W, X, Y, Z

import functrans.numpy as fnp
from calls.measure import Call

C = X[0] + 1j * Y[0]

#: Functions with no arrays of numbers to transform: run by Python and NumPy, in traced functions too.
PLAIN = {
    "dtypes": "can_cast common_type finfo iinfo isdtype issubdtype min_scalar_type mintypecode promote_types "
    "result_type typename iscomplexobj isrealobj",
    "shapes and places": "broadcast_shapes diag_indices einsum_path isfortran isscalar iterable mask_indices "
    "may_share_memory ndim shape shares_memory size tril_indices triu_indices __array_namespace_info__",
    "text": "array2string array_repr array_str base_repr binary_repr format_float_positional format_float_scientific "
    "get_printoptions printoptions set_printoptions",
    "files and buffers": "from_dlpack frombuffer fromfile fromiter fromstring genfromtxt load loadtxt save savetxt "
    "savez savez_compressed",
    "NumPy's handling of errors": "errstate geterr seterr",
}

CALLS: dict[str, Call] = {}
for sample in sorted(SAMPLES, key=lambda s: not (s.smooth and s.traced)):
    if sample.name.count(".") == sample.name.startswith(("linalg.", "fft.")):
        module, name = sample.name.rsplit(".", 1) if "." in sample.name else ("", sample.name)
        function = getattr(getattr(fnp, module) if module else fnp, name)
        CALLS.setdefault(sample.name, Call(function, sample.args, sample.kwargs))


def add(name: str, *args: object, fun: object = None, step: float = 1e-6, **kwargs: object) -> None:
    module, _, last = name.rpartition(".")
    CALLS[name] = Call(fun or getattr(getattr(fnp, module) if module else fnp, last), args, kwargs, step)


# Creation
add("arange", 0.0, 5.0, 0.5)
add("array", X)
add("asarray", X)
add("asanyarray", X)
add("asarray_chkfinite", X)
add("ascontiguousarray", X)
add("asfortranarray", X)
add("require", X)
add("empty", (2, 0))
add("empty_like", X[:0])
add("eye", 3)
add("full", (2, 3), 1.5)
add("fromfunction", lambda i, j: i + j, (2, 3))
add("geomspace", P[0], 3 + P[0], 4)
add("identity", 3)
add("indices", (2, 3))
add("linspace", X[0], Y[0], 5)
add("logspace", X[0], Y[0], 5)
add("ones", (2, 3))
add("tri", 3)
add("zeros", (2, 3))
for window in ("bartlett", "blackman", "hamming", "hanning"):
    add(window, 7)
add("kaiser", 7, np.array(3.5))
# Sizes that depend on values, given
add("argwhere", I % 3, size=12)
add("bincount", abs(I[0]), W, length=10)
add("compress", np.array([True, False, True]), X, axis=0, size=2)
add("extract", B, X, size=3)
add("flatnonzero", I % 3, size=12)
add("nonzero", I % 3, size=12)
add("repeat", X, np.array([1, 2, 0]), axis=0, total_repeat_length=3)
add("unique", I, size=12)
for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values"):
    add(name, I[0], fun=lambda x, name=name: getattr(fnp, name)(x, size=4))
for name in ("intersect1d", "setdiff1d", "setxor1d", "union1d"):
    add(name, I[0], I[1], size=8)
# Writing, as new arrays
add("copyto", X, Y, inplace=False)
add("fill_diagonal", X[:, :3], W[:3], inplace=False)
add("place", X, B, W, inplace=False)
add("put", X, [0, 5, 2], W[:3], inplace=False)
add("put_along_axis", X, np.array([[0], [3], [1]]), P[:, :1], 1, inplace=False)
add("putmask", X, B, Y, inplace=False)
# Functions of functions
add("frompyfunc", X, Y, fun=lambda x, y: fnp.frompyfunc(lambda a, b: a * b + 1, 2, 1)(x, y).astype(float))
add("vectorize", X, Y, fun=lambda x, y: fnp.vectorize(lambda a, b: a * b + 1)(x, y))
add("mask_indices", 3, np.triu)
add("allclose", X, X + 1e-9)
add("polydiv", V, X[0, :2], fun=lambda u, v: [fnp.polydiv(u, v)[0]])
add("poly", X[0])
add("roots", np.array([1.0, -6.0, 11.0, -6.0]), fun=lambda p: fnp.sum(fnp.roots(p) ** 2).real)
add("trim_zeros", V)
add("astype", X, np.complex128)
add("matvec", SQUARE, V[:3])
add("vecmat", V[:3], SQUARE)
add("real_if_close", C)
add("i0", X)
# Linear algebra
symmetric = lambda a: a + fnp.matrix_transpose(a)
add("linalg.cholesky", SQUARE, fun=lambda a: fnp.linalg.cholesky(a @ fnp.matrix_transpose(a)))
add("linalg.cross", X[:, :3], Y[:, :3])
add("linalg.diagonal", SQUARE)
add("linalg.eig", SQUARE[0], fun=lambda a: fnp.linalg.eig(a)[0])
add("linalg.eigvals", SQUARE[0])
add("linalg.eigh", SPD, fun=lambda a: (lambda w, v: (w, v**2))(*fnp.linalg.eigh(symmetric(a))))
add("linalg.eigvalsh", SPD, fun=lambda a: fnp.linalg.eigvalsh(symmetric(a)))
add("linalg.lstsq", X.T, W, fun=lambda a, b: fnp.linalg.lstsq(a, b)[0])
add("linalg.matmul", SQUARE, SQUARE)
add("linalg.matrix_norm", SQUARE)
add("linalg.matrix_transpose", SQUARE)
add("linalg.outer", V, W)
add("linalg.qr", X.T)
add("linalg.svd", X, fun=lambda a: (lambda u, s, v: (s, (u * s) @ v))(*fnp.linalg.svd(a, full_matrices=False)))
add("linalg.tensordot", X, Y, axes=([0], [0]))
add("linalg.tensorinv", (SQUARE[0] + np.eye(3)).reshape(3, 3, 1), ind=1)
add("linalg.tensorsolve", SQUARE[0], V[:3])
add("linalg.trace", SQUARE)
add("linalg.vecdot", X, Y)
add("linalg.vector_norm", X, axis=1)
# Fourier transforms
for name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "hfft", "irfft", "irfft2", "irfftn", "fftshift"):
    add(f"fft.{name}", Z)
for name in ("rfft", "rfft2", "rfftn", "ihfft", "ifftshift"):
    add(f"fft.{name}", X)
add("fft.fftfreq", 5)
add("fft.rfftfreq", 5)

NUMPY = {k: v for k, v in CALLS.items() if "." not in k}
LINALG = {k.removeprefix("linalg."): v for k, v in CALLS.items() if k.startswith("linalg.")}
FFT = {k.removeprefix("fft."): v for k, v in CALLS.items() if k.startswith("fft.")}
