"""Matrices for the tests of linear algebra."""

import numpy as np

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
SHAPES = [(0, 0), (1, 1), (3, 3), (2, 4, 4), (0, 2, 2), (2, 1, 3, 3)]


def matrices(shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(shape, dtype=np.float64, seed=0):
    x = matrices(shape, dtype, seed)
    return x @ adjoint(x) + np.eye(shape[-1], dtype=dtype)


def tolerance(dtype):
    return 1e-4 if np.finfo(dtype).bits == 32 else 1e-11
