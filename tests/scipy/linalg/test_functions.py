"""scipy.linalg: values eagerly, compiled, mapped and of stacks; derivatives of both modes to second order."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.linalg
from helpers import check_rules, staged
from matrices import adjoint, matrices

import functrans as ft
import functrans.numpy as fnp
from functrans.scipy import linalg


@dataclass
class Case:
    """A call; `part` picks of its results what can be compared, `smooth` what can be differentiated."""

    name: str
    args: tuple
    kwargs: dict = field(default_factory=dict)
    order: int = 2
    part: object = None
    stacks: bool = True  # its traced form takes stacks of each array argument
    smooth: bool = False


def case(name, *args, order=2, part=None, stacks=True, smooth=False, **kwargs):
    return Case(name, args, kwargs, order, part, stacks, smooth)


def system(name, *args, **options):
    """The right-hand side is last; a stack of vectors would be a matrix."""
    return case(name, *args, stacks=np.ndim(args[-1]) > 1, **options)


first = lambda out: out[0]
second = lambda out: out[1]
magnitudes = lambda out: [abs(x) for x in out]

A, B = matrices((3, 3)) + 3 * np.eye(3), matrices((3, 3), seed=1) + 3 * np.eye(3)
Z = matrices((3, 3), complex) + 3 * np.eye(3)
S, P = A + A.T + np.diag([0.0, 1, 2]), A @ A.T + np.eye(3)
H, Q = Z + adjoint(Z), Z @ adjoint(Z) + np.eye(3)
TALL, WIDE = matrices((4, 2)), matrices((2, 4))
V, W = matrices(3), matrices(4, seed=3)
COLUMNS = matrices((3, 2), seed=4)
INTEGERS = np.array([[4, 1, 0], [1, 5, 2], [0, 2, 6]])
BAND = np.array([[0.0, 1.0, 2.0, 1.0], [4.0, 5.0, 6.0, 5.0], [1.0, 2.0, 0.5, 0.0]])
LOWER_BAND, UPPER_BAND = np.array([[4.0, 5, 6, 5], [1, 2, 0.5, 0]]), np.array([[0, 1.0, 2, 1], [4, 5, 6, 5]])

OLD = np.lib.NumpyVersion(scipy.__version__) < "1.15.0"  # which knows fewer structures of matrices
SYSTEMS = [
    system("solve", A, V), system("solve", A, COLUMNS), system("solve", Z, V), system("solve", INTEGERS, V, order=0),
    system("solve", A, V, transposed=True), system("solve", A.astype(np.float32), V.astype(np.float32), order=0),
    *[system("solve", m, COLUMNS, assume_a=kind, lower=lower) for (kind, m), lower in itertools.product(
        [("sym", S), ("her", H), ("pos", P), ("pos", Q)], [False, True])],
    *([] if OLD else [
        system("solve", np.tril(A), COLUMNS, assume_a="lower triangular"),
        system("solve", np.triu(A), V, assume_a="upper triangular"),
        system("solve", np.diag(V + 3), COLUMNS, assume_a="diagonal"),
        system("solve", np.triu(np.tril(A, 1), -1), V, assume_a="tridiagonal"),
        system("solve", np.triu(np.tril(A, 1), -1), V, assume_a="tridiagonal", transposed=True),
        system("solve", np.triu(A, -1), V, assume_a="banded"),
    ]),
    system("solve", P, V, assume_a="pos", transposed=True),
    *[system("solve_triangular", m, COLUMNS, trans=trans, lower=lower) for m, trans, lower in itertools.product(
        [A, Z], [0, "T", 2], [False, True])],
    system("solve_triangular", A, V, unit_diagonal=True), system("solve_triangular", INTEGERS, V, order=0),
    system("cho_solve", (np.linalg.cholesky(P), True), V),
    system("cho_solve", (adjoint(np.linalg.cholesky(Q)), False), COLUMNS),
    *[case("lu_solve", scipy.linalg.lu_factor(m), COLUMNS, trans=trans, stacks=False)
      for m, trans in itertools.product([A[::-1], Z], [0, 1, 2])],
    case("lu_solve", scipy.linalg.lu_factor(A[::-1]), V, stacks=False),
    case("inv", A), case("inv", Z), case("inv", INTEGERS, order=0), case("det", A), case("det", Z),
    case("det", A.astype(np.float32), order=0), case("det", INTEGERS, order=0),
    case("pinv", TALL), case("pinv", WIDE), case("pinv", Z), case("pinv", TALL, rtol=0.9, order=0),
    case("pinv", TALL, atol=0.1, return_rank=True), case("pinv", INTEGERS.astype(np.float32), order=0),
    case("pinvh", S), case("pinvh", H, lower=False), case("pinvh", S, return_rank=True),
    case("lstsq", TALL, W, stacks=False), case("lstsq", TALL, matrices((4, 3)), stacks=False),
    case("lstsq", WIDE, V[:2], stacks=False), case("lstsq", TALL, W, cond=0.9, order=0, stacks=False, part=first),
    case("solve_banded", (1, 1), BAND, W, stacks=False), case("solve_banded", (1, 0), LOWER_BAND, W, stacks=False),
    case("solve_banded", (0, 1), UPPER_BAND, matrices((4, 2)), stacks=False),
    case("solve_banded", (0, 0), LOWER_BAND[:1], W, stacks=False),
    case("solve_banded", (2, 1), np.concatenate([BAND, [[0.5, 1, 0, 0]]]) * (1 + 1j), W, stacks=False),
    case("solveh_banded", LOWER_BAND, W, lower=True, stacks=False), case("solveh_banded", UPPER_BAND, W, stacks=False),
    case("solveh_banded", UPPER_BAND * [[1j], [2]], matrices((4, 2)), stacks=False),
    case("solveh_banded", LOWER_BAND * [[2], [1j]], W, lower=True, stacks=False),
    case("solveh_banded", np.concatenate([LOWER_BAND, [[0.5, 0.3, 0, 0]]]), W, lower=True, stacks=False),
    case("cholesky_banded", LOWER_BAND, lower=True), case("cholesky_banded", UPPER_BAND),
    case("cho_solve_banded", (LOWER_BAND, True), W, stacks=False),
    case("cho_solve_banded", (UPPER_BAND, False), W, stacks=False),
    case("solve_toeplitz", V + np.array([5, 0, 0]), V, stacks=False),
    case("solve_toeplitz", (Z[0] + np.array([5, 0, 0]), V), COLUMNS, stacks=False),
    case("matmul_toeplitz", V, COLUMNS, stacks=False), case("matmul_toeplitz", (V, W), W, stacks=False),
    case("matmul_toeplitz", (Z[0], W), W, stacks=False), case("solve_circulant", V, COLUMNS, stacks=False),
    case("solve_circulant", Z[0], V, stacks=False),
    case("solve_circulant", np.array([1.0, 1, 0, 0]), W, singular="lstsq", stacks=False, order=0),
]  # fmt: skip

DECOMPOSITIONS = [
    *[case("cholesky", m, lower=lower) for m, lower in itertools.product([P, Q], [False, True])],
    case("cholesky", P + np.triu(A, 1), lower=True), case("cholesky", INTEGERS, order=0),
    case("cho_factor", P, part=lambda out: fnp.triu(out[0])),
    case("cho_factor", Q, lower=True, part=lambda out: fnp.tril(out[0])),
    *[case("lu", m) for m in (A[::-1], Z, TALL, WIDE)], case("lu", TALL, permute_l=True),
    case("lu", A[::-1], p_indices=True),
    case("lu", A.astype(np.float32), order=0), case("lu", Z.astype(np.complex64), order=0),
    case("lu_factor", A[::-1]), case("lu_factor", Z),
    case("qr", A), case("qr", Z), case("qr", TALL, mode="economic"), case("qr", WIDE), case("qr", TALL, order=0),
    case("qr", TALL, mode="r"), case("qr", WIDE, mode="r", pivoting=True), case("qr", A, pivoting=True),
    case("qr", TALL, mode="economic", pivoting=True), case("qr", INTEGERS, order=0),
    case("rq", A, part=magnitudes), case("rq", WIDE, mode="economic", part=magnitudes),
    case("rq", TALL, part=magnitudes),
    case("rq", WIDE, mode="r", order=0, part=abs), case("rq", Z, part=magnitudes), case("rq", A, mode="r", part=abs),
    case("qr_multiply", TALL, matrices((3, 4))), case("qr_multiply", TALL, matrices((2, 3)), "left"),
    case("qr_multiply", A, V, pivoting=True, stacks=False),
    case("qr_multiply", Z, V, "left", conjugate=True, stacks=False),
    case("svd", A), case("svd", TALL, full_matrices=False), case("svd", TALL, order=0),
    case("svd", WIDE, compute_uv=False),
    case("svdvals", Z), case("diagsvd", V, 3, 4), case("diagsvd", V, 4, 3),
    case("diagsvd", np.arange(2), 2, 2, order=0),
    case("orth", TALL, order=0, stacks=False), case("null_space", WIDE, order=0, stacks=False),
    case("subspace_angles", TALL, matrices((4, 2), seed=2)), case("subspace_angles", TALL, W[:, None]),
    case("subspace_angles", W[:, None], TALL), case("subspace_angles", TALL, TALL + 1e-9, order=0),
    *[case("polar", m, side) for m, side in itertools.product([A, TALL, WIDE, Z], ["right", "left"])],
    case("polar", np.eye(3)), case("orthogonal_procrustes", A, B), case("orthogonal_procrustes", Z, Z[::-1]),
    case("hessenberg", A, order=0), case("hessenberg", Z, calc_q=True, order=0),
    case("hessenberg", A[:1, :1], True, order=0),
    case("schur", A, order=0),
    case("schur", S, "complex", stacks=False, part=lambda out: fnp.real(fnp.diagonal(out[0]))),
    case("schur", INTEGERS, order=0),
    case("schur", Z, order=0),
    case("rsf2csf", *scipy.linalg.schur(matrices((3, 3), seed=5)), part=magnitudes, order=0),
]  # fmt: skip

EIGENVALUES = [
    *[case("eigh", m, lower=lower, smooth=True, part=magnitudes)
      for m, lower in itertools.product([S, H], [False, True])],
    case("eigh", S + np.triu(A, 1), part=magnitudes), case("eigh", S, eigvals_only=True),
    case("eigh", S, subset_by_index=[1, 2], part=magnitudes),
    case("eigh", INTEGERS, order=0, part=magnitudes),
    *[case("eigh", S, P, type=kind, part=magnitudes, smooth=True) for kind in (1, 2, 3)],
    case("eigh", H, Q, lower=False, part=magnitudes, smooth=True),
    case("eigvalsh", S), case("eigvalsh", S, P), case("eigvalsh", H, subset_by_index=[0, 1]),
    case("eig", A, part=magnitudes, smooth=True, order=1), case("eig", Z, smooth=True, order=1, part=first),
    case("eig", A, left=True, part=magnitudes, smooth=True, order=1),
    case("eig", A, left=True, right=False, part=magnitudes, order=1),
    case("eig", P, B, part=lambda out: abs(out[0]), order=1), case("eig", A, right=False, order=1), case("eigvals", Z),
    case("eigvals", P, B, order=1),
    case("eigh_tridiagonal", W, V, part=magnitudes, smooth=True), case("eigh_tridiagonal", W, V, True),
    case("eigh_tridiagonal", W, V, True, "i", (1, 2)), case("eigvalsh_tridiagonal", W, V),
    case("eig_banded", LOWER_BAND, True, part=magnitudes, smooth=True),
    case("eig_banded", UPPER_BAND, eigvals_only=True),
    case("eigvals_banded", UPPER_BAND * [[1j], [2]]),
    case("eigvals_banded", LOWER_BAND, True, select="i", select_range=(0, 1)),
]  # fmt: skip

SMALL = A / 3
FUNCTIONS = [
    case("expm", SMALL), case("expm", Z / 3), case("expm", INTEGERS, order=0),
    case("expm", A.astype(np.float32), order=0),
    case("expm_frechet", SMALL, B), case("expm_frechet", SMALL, B, compute_expm=False),
    case("logm", Z, smooth=True), case("sqrtm", Z), case("logm", P, order=1, part=fnp.real),
    case("sqrtm", P, order=1, part=fnp.real),
    case("fractional_matrix_power", Z, 0.3, stacks=False, order=1, smooth=True),
    case("fractional_matrix_power", A, 3, stacks=False),
    case("fractional_matrix_power", P, 0.5, stacks=False, order=1, part=fnp.real),
    *[case(n, m, order=1) for n in ("cosm", "sinm", "tanm", "coshm", "sinhm", "tanhm") for m in (SMALL, Z / 3)],
    case("signm", A - 3 * np.diag([2.0, 0, 0]), order=1), case("signm", Z - 6 * np.diag([0, 1, 0]), order=1),
    case("funm", Z, np.exp, order=1, smooth=True), case("funm", P, np.sin, order=1, part=fnp.real, smooth=True),
    case("solve_sylvester", A, B, INTEGERS + 0.5), case("solve_sylvester", Z, B[:2, :2] + 0j, COLUMNS + 0j),
    case("solve_continuous_lyapunov", A, B), case("solve_continuous_lyapunov", Z, P), case("solve_lyapunov", A, Z),
    *[case("solve_discrete_lyapunov", a, q, m) for a, q in ((SMALL, P), (Z / 9, A)) for m in (None, "bilinear")],
]  # fmt: skip

SPECIAL = [
    case("toeplitz", V, order=1), case("toeplitz", V, W), case("toeplitz", Z[0]),
    case("toeplitz", np.arange(3), order=0),
    case("hankel", V), case("hankel", V, W), case("circulant", V), case("companion", W),
    case("companion", np.arange(1, 4), order=0),
    case("leslie", W, V), case("fiedler", V), case("fiedler", np.arange(4), order=0),
    *[case("fiedler_companion", np.concatenate([[2.0], np.arange(1.0, n)])) for n in range(2, 8)],
    *[case("convolution_matrix", V, n, mode) for n, mode in itertools.product([2, 3, 5], ["full", "same", "valid"])],
    case("block_diag", A, TALL, V, stacks=False), case("block_diag", INTEGERS, 1.5, order=0),
    case("block_diag", A, np.zeros((0, 2)), Z),
    case("khatri_rao", TALL, matrices((3, 2))), case("khatri_rao", INTEGERS, INTEGERS, order=0),
    case("issymmetric", S, order=0), case("issymmetric", A, order=0),
    case("issymmetric", S + 1e-9 * A, atol=1e-6, order=0),
    case("ishermitian", H, order=0), case("ishermitian", Z, rtol=1e-3, order=0),
    case("bandwidth", np.triu(A, -1), order=0, stacks=False), case("bandwidth", np.tril(WIDE), order=0, stacks=False),
]  # fmt: skip

CASES = SYSTEMS + DECOMPOSITIONS + EIGENVALUES + FUNCTIONS + SPECIAL


COMPILED = {c.name: c for c in reversed(CASES)}  # the first of each name


def leaves(value):
    return [np.asarray(v) for v in ft.tree.leaves(value)]


def assert_close(got, want, tolerance):
    got, want = leaves(got), leaves(want)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        np.testing.assert_allclose(g, w, rtol=0, atol=tolerance * max(1.0, np.max(np.abs(w), initial=0.0)))


def arrays_of(args):
    """The array arguments of a call and the function that puts others in their places."""
    flat, tree = ft.tree.flatten(args)
    places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and a.ndim]

    def fill(values):
        full = list(flat)
        for i, v in zip(places, values):
            full[i] = v
        return ft.tree.unflatten(tree, full)

    return [flat[i] for i in places], fill


@pytest.mark.parametrize("c", [pytest.param(c, id=f"{c.name}-{i}") for i, c in enumerate(CASES)])
def test_values_and_derivatives(c):
    function, scipys = getattr(linalg, c.name), getattr(scipy.linalg, c.name)
    part = c.part or (lambda out: out)
    want = scipys(*c.args, **c.kwargs)
    for got, exact in zip(leaves(function(*c.args, **c.kwargs)), leaves(want), strict=True):
        np.testing.assert_array_equal(got, exact)
        assert got.dtype == exact.dtype
    if c.name in ("orth", "null_space"):
        return
    arrays, fill = arrays_of(c.args)
    call = lambda *xs: ft.tree.leaves(part(function(*fill(xs), **c.kwargs)))
    tolerance = 1e-5 if any(a.dtype in (np.float32, np.complex64) for a in arrays) else 1e-10
    run = ft.jit(call) if COMPILED[c.name] is c else staged(call)
    assert_close(run(*arrays), part(want), tolerance)
    if c.stacks:
        stacks = [np.stack([a] * 3) for a in arrays]
        assert_close(staged(call)(*stacks), [np.stack([w] * 3) for w in leaves(part(want))], tolerance)
    if c.order:
        check_rules(call, *arrays, order=c.order, rtol=1e-7 if c.smooth else 1e-5, smooth=c.smooth)
