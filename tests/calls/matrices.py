"""Calls of the functions of `functrans.scipy.linalg`."""

import numpy as np
import scipy.linalg
from numpy_samples import SPD, SQUARE, P, V, W, X, Y

import functrans.numpy as fnp
from calls.measure import Call
from functrans.scipy import linalg

A, C, S = SQUARE[0], SQUARE[1], SPD[0]
BAND = np.array([[0.0, 1.0, 2.0, 1.0], [4.0, 5.0, 6.0, 5.0], [1.0, 2.0, 0.5, 0.0]])
LOWER_BAND = np.array([[4.0, 5, 6, 5], [1, 2, 0.5, 0]])
TALL = X.T

PLAIN = {
    "whole numbers alone": "dft hadamard helmert hilbert invhilbert invpascal pascal",
}

MATRICES: dict[str, Call] = {}


def add(name: str, *args: object, fun: object = None, step: float = 1e-6, **kwargs: object) -> None:
    MATRICES[name] = Call(fun or getattr(linalg, name), args, kwargs, step)


symmetric = lambda a: (a + a.T) / 2
for name in "bandwidth ishermitian issymmetric".split():
    add(name, np.tril(A))
for name in (
    "coshm cosm det expm funm inv lu lu_factor pinv polar sinhm sinm svdvals tanhm tanm fiedler hessenberg"
).split():
    add(name, A)
add("funm", A, fun=lambda a: linalg.funm(a, fnp.exp))
add("fiedler", V)
for name in "logm signm sqrtm".split():
    add(name, S)
for name in "cholesky cho_factor".split():
    add(name, S, fun=lambda a, name=name: fnp.triu((lambda c: c[0] if isinstance(c, tuple) else c)(
        getattr(linalg, name)(symmetric(a)))))  # fmt: skip
add("pinvh", S, fun=lambda a: linalg.pinvh(symmetric(a)))
add("fractional_matrix_power", S, 0.4)
add("expm_frechet", A, C)
add("block_diag", A, TALL)
for name in "circulant companion fiedler_companion toeplitz hankel".split():
    add(name, V)
add("convolution_matrix", V, 4)
add("diagsvd", W, 4, 5)
add("khatri_rao", X, Y)
add("leslie", W, P[0, :3])
add("matmul_toeplitz", V[:3], A)
add("solve", A, V[:3])
add("solve_triangular", A, V[:3])
add("cho_solve", (np.linalg.cholesky(S), True), V[:3])
add("lu_solve", scipy.linalg.lu_factor(A), V[:3])
add("solve_banded", (1, 1), BAND, W)
add("solveh_banded", LOWER_BAND, W, lower=True)
add("cholesky_banded", LOWER_BAND, lower=True)
add("cho_solve_banded", (LOWER_BAND, True), W)
add("solve_circulant", V[:3], A)
add("solve_toeplitz", V[:3] + np.array([5, 0, 0]), V[:3])
add("lstsq", TALL, W, fun=lambda a, b: linalg.lstsq(a, b)[0])
for name in "solve_continuous_lyapunov solve_discrete_lyapunov solve_lyapunov".split():
    add(name, A / 9, S)
add("solve_sylvester", A, C, S)
add("eig", A, fun=lambda a: linalg.eig(a)[0])
add("eigvals", A)
add("eigh", S, fun=lambda a: (lambda w, v: (w, v**2))(*linalg.eigh(symmetric(a))))
add("eigvalsh", S, fun=lambda a: linalg.eigvalsh(symmetric(a)))
add("eig_banded", LOWER_BAND, lower=True, fun=lambda a, lower: linalg.eig_banded(a, lower=lower)[0])
add("eigvals_banded", LOWER_BAND, lower=True)
add("eigh_tridiagonal", W, V[:3], fun=lambda d, e: linalg.eigh_tridiagonal(d, e)[0])
add("eigvalsh_tridiagonal", W, V[:3])
add("null_space", X, fun=lambda a: (lambda n: n @ n.T)(linalg.null_space(a)))
add("orth", X, fun=lambda a: (lambda n: n @ n.T)(linalg.orth(a)))
add("orthogonal_procrustes", X, Y[:, :4], fun=lambda a, b: linalg.orthogonal_procrustes(a.T, b.T))
add("qr", TALL, mode="economic")
add("qr_multiply", TALL, X[:2])
add("rq", A, fun=lambda a: (lambda r, q: abs(r) + abs(q))(*linalg.rq(a)))
diagonal = lambda t, z: abs(fnp.diagonal(linalg.rsf2csf(fnp.triu(t, -1), z)[0]))
add("rsf2csf", *scipy.linalg.schur(A), fun=diagonal, step=0)
add("schur", A + 1j * A.T, fun=lambda a: abs(linalg.schur(a)[0]) ** 2)
add("svd", X, fun=lambda a: (lambda u, s, v: (s, (u * s) @ v))(*linalg.svd(a, full_matrices=False)))
add("subspace_angles", TALL, Y.T[:, :2])
