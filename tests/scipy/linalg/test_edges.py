"""scipy.linalg: ranks, stacks and systems that broadcast, empty matrices, dtypes, what traced forms refuse."""

import numpy as np
import pytest
import scipy.linalg
from helpers import check_derivatives, staged
from matrices import matrices

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.scipy import linalg

SCIPY = np.lib.NumpyVersion(scipy.__version__)
A, V = matrices((3, 3)) + 3 * np.eye(3), matrices(3)
P, TALL, WIDE = A @ A.T + np.eye(3), matrices((4, 2)), matrices((2, 4))


def test_subspaces_have_derivatives_where_the_rank_is_known():
    def null_projector(a):
        basis = linalg.null_space(a)
        return basis @ fnp.conj(fnp.matrix_transpose(basis))

    def range_projector(a):
        basis = linalg.orth(a)
        return basis @ fnp.conj(fnp.matrix_transpose(basis))

    for x in (WIDE, WIDE.astype(complex) * (1 + 1j), np.zeros((0, 2))):
        check_derivatives(null_projector, x, order=2)
    check_derivatives(range_projector, TALL, order=2)
    low = lambda l: null_projector(l @ fnp.ones((1, 3)))  # of rank one
    check_derivatives(low, matrices((2, 1)), order=1)
    for fun in (linalg.null_space, linalg.orth):
        with pytest.raises(errors.ConcretizationError, match="a shape that depends on its rank"):
            ft.jit(fun)(WIDE)
        with pytest.raises(errors.ShapeError, match="takes one matrix"):
            ft.jit(fun)(np.ones((2, 2, 3)))


def test_angles_of_subspaces_that_meet():
    a, b = matrices((4, 3)), matrices((4, 2), seed=1)  # in four dimensions these have a line in common
    angles = linalg.subspace_angles(a, b)
    assert angles[1] < 1e-12
    check_derivatives(lambda a, b: linalg.subspace_angles(a, b)[:1], a, b, order=1)


def test_systems_broadcast():
    a, b = np.stack([A, A.T, P]), matrices((3, 2), seed=1)
    structures = ("upper triangular", "diagonal") if SCIPY >= "1.15.0" else ()
    for assume_a in (*structures, *([None] if structures else []), "sym"):
        got = ft.jit(lambda a, b, k=assume_a: linalg.solve(a, b, assume_a=k))(a, b)
        assert got.shape == (3, 3, 2)
        for x, m in zip(got, a):
            np.testing.assert_allclose(x, scipy.linalg.solve(m, b, assume_a=assume_a), rtol=1e-10)
    got = ft.vmap(linalg.lu_solve, in_axes=(0, None))(ft.vmap(linalg.lu_factor)(a), b)
    np.testing.assert_allclose(got, np.linalg.solve(a, b), rtol=1e-10)


OF_EMPTY = {
    "one": [linalg.inv, linalg.det, linalg.cholesky, linalg.lu, linalg.qr, linalg.svdvals, linalg.eigvalsh, linalg.expm,
            linalg.pinv, linalg.polar, linalg.eigvals, linalg.sqrtm],
    "two": [linalg.solve, linalg.solve_continuous_lyapunov, linalg.solve_triangular],
}  # fmt: skip


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)], ids=str)
def test_empty_matrices(shape):
    a = np.ones(shape)
    for count, functions in OF_EMPTY.items():
        for fun in functions:
            run = staged(lambda *xs, fun=fun: ft.tree.leaves(fun(*xs)))
            for got in run(a) if count == "one" else run(a, a):
                assert got.shape[: len(shape) - 2] == shape[:-2]


@pytest.mark.parametrize("dtype", ["?", "b", "h", "i", "l", "B", "Q", "e", "f", "d", "F", "D"])
@pytest.mark.parametrize(
    "name",
    [
        "cholesky", "inv", "lu_factor", "svdvals", "eigvalsh", "det", "expm", "sqrtm", "polar", "solve_sylvester",
        "solve_continuous_lyapunov", "toeplitz", "fractional_matrix_power",
    ],
)  # fmt: skip
def test_dtypes_are_scipys(name, dtype):
    if name in ("sqrtm", "toeplitz") and SCIPY < "1.17.0":
        pytest.skip("SciPy had other dtypes, and matrices as vectors")
    a = np.eye(2).astype(dtype)
    args = (a,) * {"solve_sylvester": 3, "solve_continuous_lyapunov": 2}.get(name, 1)
    args = (*args, 2) if name == "fractional_matrix_power" else args
    want = getattr(scipy.linalg, name)(*args)
    arrays = [x for x in args if isinstance(x, np.ndarray)]
    got = staged(lambda *xs: ft.tree.leaves(getattr(linalg, name)(*xs, *args[len(arrays) :])))(*arrays)
    if (
        name in ("solve_sylvester", "solve_continuous_lyapunov") and dtype == "?"
    ):  # SciPy takes truth values, and no others, in float32
        want = want.astype(np.float64)
    for g, w in zip(got, ft.tree.leaves(want), strict=True):
        assert g.dtype == (w.dtype if name != "sqrtm" else np.result_type(w.dtype, np.complex64))
        np.testing.assert_allclose(g, w, rtol=1e-6)


def test_triangles_decide_alone():
    junk = np.triu(np.full((3, 3), np.nan), 1)
    for fun in (
        lambda a: linalg.cholesky(a, lower=True),
        lambda a: linalg.solve(a, V, lower=True, assume_a="pos"),
        lambda a: linalg.solve(a, V, lower=True, assume_a="sym"),
        linalg.eigvalsh,
        linalg.pinvh,
    ):
        np.testing.assert_allclose(staged(fun)(np.tril(P) + junk)[0], fun(P), rtol=1e-9, atol=1e-12)
        gradient = ft.grad(lambda a, fun=fun: fnp.sum(fun(a)))(P)
        np.testing.assert_array_equal(np.triu(gradient, 1), 0)


def test_singular_matrices_raise_as_scipy():
    singular = np.ones((2, 2))
    for fun in (
        linalg.inv,
        lambda a: linalg.solve(a, a),
        lambda a: linalg.cholesky(-a),
        lambda a: linalg.cho_factor(-a),
    ):
        for run in (fun, ft.jit(fun)):
            with pytest.raises(np.linalg.LinAlgError):
                run(singular)


@pytest.mark.parametrize("run", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_keywords_of_jax(run):
    upper = run(lambda a: linalg.expm(a, upper_triangular=True))(A)
    np.testing.assert_allclose(upper, scipy.linalg.expm(np.triu(A)), rtol=1e-10)
    stack = np.stack([A, 64 * A, np.zeros((3, 3))])
    found = run(lambda a: linalg.expm(a, max_squarings=4))(stack)
    np.testing.assert_allclose(found[::2], scipy.linalg.expm(stack[::2]), rtol=1e-10)
    assert np.isnan(found[1]).all()
    assert run(lambda a: linalg.expm(a, max_squarings=16))(A.astype(np.float32)).dtype == np.float32
    for got, want in zip(run(lambda a: linalg.polar(a, method="svd"))(A), scipy.linalg.polar(A), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_square_roots_of_what_is_not_finite_are_nan():
    found = ft.jit(linalg.sqrtm)(np.stack([P, np.full((3, 3), np.nan), np.diag([1.0, np.inf, 2.0])]))
    np.testing.assert_allclose(found[0], scipy.linalg.sqrtm(P), atol=1e-12)
    assert np.isnan(found[1:]).all()


def test_plain_results_are_arrays():
    assert type(linalg.hilbert(3)) is ft.Array
    assert type(linalg.dft(2, scale="sqrtn")) is ft.Array
    np.testing.assert_array_equal(linalg.hadamard(4), scipy.linalg.hadamard(4))
    np.testing.assert_array_equal(linalg.invhilbert(3), scipy.linalg.invhilbert(3))
    np.testing.assert_array_equal(linalg.pascal(3, kind="lower"), scipy.linalg.pascal(3, kind="lower"))
    np.testing.assert_array_equal(linalg.invpascal(3), scipy.linalg.invpascal(3))
    np.testing.assert_array_equal(linalg.helmert(3), scipy.linalg.helmert(3))


SQUARE = "takes square matrices in the last two axes, got shape"
ERRORS = [
    *[(n, (TALL,), {}, errors.ShapeError, f"{n} {SQUARE}") for n in (
        "cholesky", "inv", "det", "eigh", "hessenberg", "schur", "expm", "sqrtm", "logm", "signm", "cosm", "eig",
        "pinvh")],
    ("funm", (TALL, np.exp), {}, errors.ShapeError, SQUARE),
    *[(n, (V,), {}, errors.ShapeError, f"{n} takes matrices in the last two axes, got shape .3,.")
      for n in ("lu", "qr", "svd", "polar", "pinv", "rq")],
    *[(n, (TALL,), {}, errors.ShapeError, f"{n} {SQUARE}") for n in ("issymmetric", "ishermitian")],
    ("solve", (TALL, V), {}, errors.ShapeError, SQUARE),
    ("solve", (A, matrices(4)), {}, errors.ShapeError, "do not fit"),
    ("solve", (A, V), {"assume_a": "odd"}, errors.ArgumentError, "assume_a is one of .* got 'odd'"),
    ("solve_triangular", (A, matrices(4)), {}, errors.ShapeError, "do not fit"),
    ("solve_triangular", (A, V), {"trans": 3}, errors.ArgumentError, "trans is one of 0, 1, 2, 'N', 'T', 'C', got 3"),
    ("lu_solve", ((A, np.arange(3)), matrices(4)), {}, errors.ShapeError, "do not fit"),
    ("lu_solve", ((A, np.arange(3)), V), {"trans": 3}, errors.ArgumentError, "trans is one of"),
    ("solve_banded", ((1, 0), A, V), {}, errors.ShapeError, "1 diagonals below and 0 above make 2 rows of ab"),
    ("qr", (A,), {"mode": "all"}, errors.ArgumentError, "mode is one of .* got 'all'"),
    ("qr_multiply", (A, matrices((2, 2))), {}, errors.ShapeError, "do not fit"),
    ("polar", (A, "up"), {}, errors.ArgumentError, "side is one of 'left', 'right', got 'up'"),
    ("schur", (A, "odd"), {}, errors.ArgumentError, "output is one of"),
    ("eigh", (P, A[:2, :2]), {}, errors.ShapeError, "do not fit"),
    ("eigh", (P,), {"type": 4, "b": P}, errors.ArgumentError, "type is one of 1, 2, 3, got 4"),
    ("eigh", (P,), {"subset_by_index": (1, 3)}, errors.ArgumentError, "no subset .1, 3. of 3 eigenvalues"),
    ("eigh_tridiagonal", (V, V), {}, errors.ShapeError, "do not fit"),
    ("eigh_tridiagonal", (V, V[1:] * 1j), {}, errors.ArgumentError, "takes real diagonals"),
    ("solve_sylvester", (A, A, TALL), {}, errors.ShapeError, "do not fit"),
    ("solve_discrete_lyapunov", (A, A, "odd"), {}, errors.ArgumentError, "method is one of"),
    ("solve_continuous_lyapunov", (A, A[:2, :2]), {}, errors.ShapeError, "do not fit"),
    ("companion", (V[:1],), {}, errors.ShapeError, "at least two coefficients"),
    ("leslie", (V, V), {}, errors.ShapeError, "one survival fewer"),
    ("khatri_rao", (TALL, A), {}, errors.ShapeError, "as many columns"),
    ("convolution_matrix", (V, 0), {}, errors.ArgumentError, "positive number of elements n, got 0"),
    ("convolution_matrix", (V, 2, "odd"), {}, errors.ArgumentError, "mode is one of"),
    ("diagsvd", (V, 4, 4), {}, errors.ShapeError, "3 singular values make no matrix of 4 by 4"),
    ("subspace_angles", (TALL, A), {}, errors.ShapeError, "as many rows"),
    ("orthogonal_procrustes", (TALL, A), {}, errors.ShapeError, "matrices of one shape"),
    ("solve_circulant", (V, matrices(4)), {}, errors.ShapeError, "do not fit"),
    ("matmul_toeplitz", (V, matrices(4)), {}, errors.ShapeError, "a matrix of 3 columns"),
]  # fmt: skip
#: What SciPy takes and traced forms do not.
REFUSED = [
    ("qr", (A,), {"mode": "raw"}, "mode 'full', 'economic' or 'r', got 'raw'"),
    ("schur", (A,), {"sort": "lhp"}, "does not take sort='lhp'"),
    ("eigh", (P,), {"subset_by_value": (0, 1)}, "does not take subset_by_value"),
    ("eigvalsh_tridiagonal", (V, V[1:]), {"select": "v", "select_range": (0, 1)}, "does not select by value"),
    ("eig", (A,), {"homogeneous_eigvals": True}, "does not take homogeneous_eigvals=True"),
    ("funm", (A, np.exp), {"disp": False}, "takes no disp=False"),
]


def traced(name, args, kwargs):
    flat, tree = ft.tree.flatten((args, kwargs))
    places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray)]

    def call(*xs):
        full = list(flat)
        for i, x in zip(places, xs):
            full[i] = x
        args, kwargs = ft.tree.unflatten(tree, full)
        return getattr(linalg, name)(*args, **kwargs)

    return ft.make_jaxpr(call)(*[flat[i] for i in places])


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error", "text"), [pytest.param(*r, id=f"{r[0]}-{i}") for i, r in enumerate(ERRORS)]
)
def test_errors(name, args, kwargs, error, text):
    with pytest.raises(error, match=text):
        traced(name, args, kwargs)
    if (name, kwargs.get("trans")) != ("solve_triangular", 3):  # which SciPy takes
        with pytest.raises(error, match=text):
            getattr(linalg, name)(*args, **kwargs)


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "text"), [pytest.param(*r, id=f"{r[0]}-{i}") for i, r in enumerate(REFUSED)]
)
def test_what_traced_forms_refuse(name, args, kwargs, text):
    with pytest.raises(errors.ArgumentError, match=text):
        traced(name, args, kwargs)
    with pytest.raises(errors.ArgumentError, match="hilbert takes plain numbers"):
        ft.jit(linalg.hilbert)(3)
