"""Linear algebra: NumPy's factorizations, and derivatives of both modes to second order."""

import time

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_derivatives, check_rules, check_staged
from hypothesis import given, settings, strategies as st

from functrans import errors, lax
from functrans.lax import linalg as la, reductions
from functrans.transforms.jvp import jvp, linearize
from functrans.transforms.transpose import transpose_linear

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


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_factorizations_are_numpys(shape, dtype):
    x, p, tol = matrices(shape, dtype), positive(shape, dtype), tolerance(dtype)
    assert_same(la.cholesky(p), np.linalg.cholesky(p), tol, tol)
    assert_same(la.solve(x, p), np.linalg.solve(x, p), tol, tol)
    assert_same(la.inv(x), np.linalg.inv(x), tol, tol)
    assert_same(la.det(x), np.linalg.det(x), tol, tol)
    for got, wanted in zip(la.slogdet(x), np.linalg.slogdet(x), strict=True):
        assert_same(got, wanted, tol, tol)
    v, w = la.eigh(p)
    assert_same(w, np.linalg.eigvalsh(p), tol, tol)
    assert_same(p @ v, (v * w[..., None, :]).astype(dtype), tol * 10, tol * 10)
    w, vl, vr = la.eig(x)
    assert w.dtype == vl.dtype == vr.dtype == np.result_type(dtype, np.complex64)
    np.testing.assert_allclose(x @ vr, vr * w[..., None, :], rtol=tol * 100, atol=tol * 100)
    np.testing.assert_allclose(adjoint(vl) @ x, w[..., :, None] * adjoint(vl), rtol=tol * 1000, atol=tol * 1000)
    np.testing.assert_allclose(np.linalg.norm(vl, axis=-2), 1.0, rtol=tol)
    for fun in (la.inv, la.det, la.slogdet, la.lu, la.eig, la.qr, la.svd):
        check_staged(fun, x, rtol=tol)
    for fun in (la.cholesky, la.eigh):
        check_staged(fun, p, rtol=tol)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from([(), (2,), (0,)]),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.integers(0, 1000),
)
def test_factors_multiply_to_the_matrix(sizes, batch, dtype, full, seed):
    a, tol = matrices((*batch, *sizes), dtype, seed), tolerance(dtype)
    u, s, vh = la.svd(a, full_matrices=full)
    for got, wanted in zip((u, s, vh), np.linalg.svd(a, full_matrices=full), strict=True):
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    assert_same(la.svd(a, compute_uv=False), s, tol, tol)
    k = min(sizes)
    np.testing.assert_allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, rtol=tol, atol=tol)
    q, r = la.qr(a, full_matrices=full)
    wanted = np.linalg.qr(a, "complete" if full else "reduced")
    assert (q.shape, r.shape) == (wanted[0].shape, wanted[1].shape)
    np.testing.assert_allclose(q @ r, a, rtol=tol, atol=tol)
    factors, pivots, permutation = la.lu(a)
    lower = np.tril(factors, -1)[..., :k] + np.eye(sizes[0], k, dtype=dtype)
    np.testing.assert_allclose(
        lower @ np.triu(factors)[..., :k, :], np.take_along_axis(a, permutation[..., None], -2), rtol=tol, atol=tol
    )
    assert pivots.shape == (*batch, k)
    for fun in (lambda a: la.svd(a, full_matrices=full), lambda a: la.qr(a, full_matrices=full), la.lu):
        check_staged(fun, a, rtol=tol)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(DTYPES), st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from([((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), ())]),
    st.integers(1, 4), st.integers(0, 3),
)  # fmt: skip
def test_triangular_solve_solves(dtype, left_side, lower, transpose_a, conjugate_a, unit_diagonal, batches, n, k):
    a = matrices((*batches[0], n, n), dtype) + 3 * np.eye(n, dtype=dtype)
    b = matrices((*batches[1], n, k) if left_side else (*batches[1], k, n), dtype, 1)
    params = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a, "conjugate_a": conjugate_a,
              "unit_diagonal": unit_diagonal}  # fmt: skip
    fun = lambda a, b: la.triangular_solve(a, b, **params)
    x = fun(a, b)
    op = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        op = op - op * np.eye(n, dtype=dtype) + np.eye(n, dtype=dtype)
    op = op.conj() if conjugate_a else op
    op = np.swapaxes(op, -1, -2) if transpose_a else op
    wanted = np.broadcast_to(b, x.shape)
    np.testing.assert_allclose(op @ x if left_side else x @ op, wanted, rtol=tolerance(dtype), atol=tolerance(dtype))
    check_staged(fun, a, b)


@pytest.mark.parametrize("params", [{"lower": True}, {"left_side": False}, {"lower": True, "transpose_a": True,
                         "conjugate_a": True}, {"left_side": False, "unit_diagonal": True}], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_derivatives_of_triangular_solve(params, dtype):
    a = matrices((3, 3), dtype) + 3 * np.eye(3, dtype=dtype)
    b = matrices((3, 2) if params.get("left_side", True) else (2, 3), dtype, 1)
    check_rules(lambda a, b: la.triangular_solve(a, b, **params), a, b)


# ---------------------------------------------------------------- derivatives


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 2, 2)], ids=str)
def test_derivatives_of_solvers(shape, dtype):
    x, y = matrices(shape, dtype), matrices((*shape[:-1], 2), dtype, 1)
    check_rules(la.solve, x, y)
    check_rules(la.inv, x)
    check_rules(la.det, x)
    check_rules(la.slogdet, x)
    check_rules(la.cholesky, positive(shape, dtype))
    check_rules(lambda a: la.cholesky(a, symmetrize_input=False), positive(shape, dtype))
    check_rules(la.lu, x)


@pytest.mark.parametrize("symmetrize_input", [True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_derivatives_of_eigh(symmetrize_input, lower):
    p = positive((2, 3, 3))
    check_rules(lambda a: la.eigh(a, lower=lower, symmetrize_input=symmetrize_input), p, rtol=1e-4)


def test_derivatives_of_complex_eigh():
    def projectors(a):  # the phases of eigenvectors are LAPACK's choice
        v, w = la.eigh(a)
        return w, v[:, :1] * lax.conj(lax.reshape(v[:, :1], (1, 3)))

    p = positive((3, 3), np.complex128)
    check_rules(projectors, p, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_derivatives_of_eig(dtype):
    x = matrices((2, 3, 3), dtype, 3)
    check_rules(lambda a: la.eig(a, compute_left_eigenvectors=False), x, rtol=1e-4)
    check_rules(la.eig, x, rtol=1e-4, order=1)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_derivatives_of_svd(shape):
    x = matrices(shape)
    check_rules(lambda a: la.svd(a, full_matrices=False), x, rtol=1e-4)
    check_rules(lambda a: la.svd(a, compute_uv=False), x, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
def test_derivatives_of_complex_svd(shape):
    def invariant(a):  # the phases of singular vectors are LAPACK's choice
        u, s, vh = la.svd(a, full_matrices=False)
        return s, lax.dot(u * lax.exp(-s), vh), u[:, :1] * lax.conj(lax.reshape(u[:, :1], (1, shape[0])))

    check_rules(invariant, matrices(shape, np.complex128), rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_derivatives_of_qr(shape, dtype):
    check_rules(lambda a: la.qr(a, full_matrices=False), matrices(shape, dtype))


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)], ids=str)
def test_derivatives_of_lu_of_any_shape(shape):
    check_rules(la.lu, matrices(shape))


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
def test_the_determinant_is_differentiable_at_singular_matrices(rank):
    x = matrices((4, rank)) @ matrices((rank, 4), seed=1)
    check_derivatives(la.det, x, order=2)
    check_derivatives(la.det, np.eye(4), order=2)
    check_derivatives(la.det, matrices((3, 1), complex) @ matrices((1, 3), complex, 1), order=2)


def test_the_determinant_of_a_large_matrix_has_a_cheap_gradient():
    x = matrices((300, 300)) / 10
    (out,), linear = linearize(lambda a: [la.det(a)], [x])
    start = time.perf_counter()
    (gradient,) = transpose_linear(linear, [np.ones(())])
    assert time.perf_counter() - start < 5
    np.testing.assert_allclose(gradient, out * np.linalg.inv(x).T, rtol=1e-6, atol=1e-8 * np.max(np.abs(gradient)))


def test_eigenvalues_that_are_equal_have_a_trace_with_a_gradient():
    for fun in (lambda a: la.eigh(a)[1], lambda a: la.svd(a, compute_uv=False)):
        _, linear = linearize(lambda a, fun=fun: [reductions.reduce_sum(fun(a), (0,))], [np.eye(3)])
        assert_same(transpose_linear(linear, [np.ones(())])[0], np.eye(3), 0, 1e-14)


def test_derivatives_keep_the_dtype():
    x = positive((3, 3), np.float32)
    for fun in (la.cholesky, la.inv, la.det, la.slogdet, la.lu, la.eigh, la.svd, la.qr, la.eig):
        flat = lambda a, fun=fun: list(out) if isinstance(out := fun(a), tuple) else [out]
        outs, tangents = jvp(flat, [x], [np.ones_like(x)])
        for out, t in zip(outs, tangents):
            assert t is None or t.dtype == out.dtype


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 3), (2, 3, 2)), ((2, 3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((2, 1, 3, 3), (4, 3, 1))],
    ids=str,
)
def test_systems_broadcast_and_batch(left, right):
    a, b = matrices(left), matrices(right, seed=1)
    check_batching(la.solve, a, b, rtol=1e-9)
    check_batching(lambda a, b: la.triangular_solve(a, b, lower=True), a, b, rtol=1e-9)
    check_batching(lambda a, b: la.triangular_solve(a, la.mT(b), left_side=False), a, b, rtol=1e-9)
    check_derivatives(la.solve, a, b, order=1)
    check_derivatives(lambda a, b: la.triangular_solve(a + np.eye(3) * 3, b), a, b, order=1)


# ---------------------------------------------------------------- errors

SQUARE_ERRORS = [
    (lambda x: la.cholesky(x), "cholesky"),
    (lambda x: la.solve(x, x), "solve"),
    (lambda x: la.inv(x), "inv"),
    (lambda x: la.det(x), "det"),
    (lambda x: la.slogdet(x), "slogdet"),
    (lambda x: la.eigh(x), "eigh"),
    (lambda x: la.eig(x), "eig"),
    (lambda x: la.triangular_solve(x, x), "triangular_solve"),
]


@pytest.mark.parametrize(("fun", "name"), SQUARE_ERRORS, ids=[n for _, n in SQUARE_ERRORS])
def test_matrices_must_be_square_and_inexact(fun, name):
    for x in (np.ones((2, 3)), np.ones(3)):
        for run in (lambda x=x: fun(x), lambda x=x: abstract(fun, (x.shape, x.dtype))):
            with pytest.raises(errors.ShapeError, match=f"{name} takes square matrices .* got shape"):
                run()
    for dtype in (np.int64, np.float16):
        with pytest.raises(
            errors.DTypeError, match=f"{name} takes float32, float64 or complex matrices, got {np.dtype(dtype)}"
        ):
            abstract(fun, ((2, 2), dtype))


OTHER_ERRORS = [
    (lambda x: la.svd(x[0]), errors.ShapeError, "svd takes matrices in the last two axes"),
    (lambda x: la.qr(x[0]), errors.ShapeError, "qr takes matrices in the last two axes"),
    (lambda x: la.lu(x[0]), errors.ShapeError, "lu takes matrices in the last two axes"),
    (lambda x: la.solve(x, x[:2]), errors.ShapeError, "right-hand sides of shape .2, 3. do not fit"),
    (lambda x: la.solve(x, x[0]), errors.ShapeError, "right-hand sides of shape .3,. do not fit"),
    (lambda x: la.triangular_solve(x, x[:2]), errors.ShapeError, "triangular_solve: .* do not fit"),
    (
        lambda x: la.triangular_solve(x, x.astype(np.complex128)),
        errors.DTypeError,
        "triangular_solve: dtypes .* differ",
    ),
    (lambda x: la.solve(x, x.astype(np.complex128)), errors.DTypeError, "solve: dtypes float64 and complex128 differ"),
]


@pytest.mark.parametrize(("fun", "error", "text"), OTHER_ERRORS)
def test_errors_are_the_same_eagerly_and_staged(fun, error, text):
    with pytest.raises(error, match=text):
        fun(np.eye(3))
    with pytest.raises(error, match=text):
        abstract(fun, ((3, 3), np.float64))


def test_singular_matrices_raise_as_numpy():
    singular = np.ones((2, 2))
    for fun in (la.inv, lambda a: la.solve(a, a), lambda a: la.cholesky(-a)):
        with pytest.raises(np.linalg.LinAlgError):
            fun(singular)
    assert la.slogdet(singular)[1] == -np.inf
    assert_same(la.triangular_solve(np.zeros((1, 1)), np.ones((1, 1))), np.array([[np.inf]]))


def test_what_has_no_derivative_says_why():
    x = matrices((3, 2))
    with pytest.raises(errors.NotDifferentiableError, match="Use full_matrices=False"):
        jvp(lambda a: list(la.svd(a)), [x], [x])
    with pytest.raises(errors.NotDifferentiableError, match="Use full_matrices=False"):
        jvp(lambda a: list(la.qr(a)), [x], [x])
    with pytest.raises(errors.NotDifferentiableError, match="Use full_matrices=False"):
        jvp(lambda a: list(la.svd(a)), [x.T], [x.T])
    check_derivatives(la.qr, x.T, order=1)  # wide matrices have no more than their factors
