"""Decompositions: NumPy's values, products, derivatives of both modes to second order."""

import numpy as np
import pytest
import scipy.linalg
from helpers import assert_same, check_rules, check_staged
from hypothesis import given, settings, strategies as st
from matrices import DTYPES, SHAPES, adjoint, matrices, positive, tolerance

from functrans.lax import linalg as la
from functrans.transforms.jvp import jvp


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


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_derivatives_of_qr(shape, dtype):
    check_rules(lambda a: la.qr(a, full_matrices=False), matrices(shape, dtype))


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)], ids=str)
def test_derivatives_of_lu_of_any_shape(shape):
    check_rules(la.lu, matrices(shape))


def test_derivatives_keep_the_dtype():
    x = positive((3, 3), np.float32)
    for fun in (la.cholesky, la.inv, la.det, la.slogdet, la.lu, la.eigh, la.svd, la.qr, la.eig):
        flat = lambda a, fun=fun: list(out) if isinstance(out := fun(a), tuple) else [out]
        outs, tangents = jvp(flat, [x], [np.ones_like(x)])
        for out, t in zip(outs, tangents):
            assert t is None or t.dtype == out.dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4, 3), (3, 0)], ids=str)
def test_products_of_reflections_are_lapacks(shape, dtype):
    lapack = scipy.linalg.get_lapack_funcs
    x, batch, n = matrices(shape, dtype), shape[:-2], shape[-1]
    a, taus = np.empty(shape, dtype), np.empty((*batch, n), dtype)
    wanted = np.empty(shape, dtype)
    for i in np.ndindex(*batch) if n else ():
        a[i], taus[i], *_ = lapack("geqrf", (x,))(x[i])
        name = "ungqr" if np.dtype(dtype).kind == "c" else "orgqr"
        wanted[i] = lapack(name, (x,))(a[i], taus[i])[0]
    assert_same(la.householder_product(a, taus), wanted, tolerance(dtype), tolerance(dtype))
    check_staged(la.householder_product, a, taus)
    if np.finfo(dtype).bits == 64 and n:
        check_rules(la.householder_product, a, taus)
        first = la.householder_product(a, taus[..., :1])  # fewer reflections than columns
        np.testing.assert_allclose(
            first, np.eye(*shape[-2:]) - taus[..., :1, None] * (v := unit(a)) * np.conj(v[..., :n, :].swapaxes(-1, -2)),
            atol=1e-12,
        )  # fmt: skip


def unit(a):
    """The vector of the first reflection."""
    return np.concatenate([np.ones_like(a[..., :1, :1]), a[..., 1:, :1]], -2)


@given(st.integers(1, 5), st.sampled_from([(), (2,), (2, 3), (0,)]), st.integers(0, 100))
def test_pivots_make_the_permutation_of_lu(n, batch, seed):
    _, pivots, permutation = la.lu(matrices((*batch, n, n), seed=seed))
    assert_same(la.lu_pivots_to_permutation(pivots, n), permutation)
    check_rules(lambda p: la.lu_pivots_to_permutation(p, n + 1), pivots, order=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 2, 4), (0, 3), (2, 0)], ids=str)
def test_qr_with_pivoting(shape, dtype):
    a, tol = matrices(shape, dtype), tolerance(dtype)
    q, r, p = la.qr(a, pivoting=True, full_matrices=False)
    assert p.dtype == np.int32
    np.testing.assert_allclose(q @ r, np.take_along_axis(a, p[..., None, :], -1), rtol=tol, atol=tol)
    sizes = np.abs(np.diagonal(r, 0, -2, -1))
    assert np.all(np.diff(sizes) <= tol)
    check_rules(lambda a: la.qr(a, pivoting=True, full_matrices=False), a, order=1 if tol < 1e-10 else 0, batch=False)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_reflections(dtype):
    a, taus, tol = matrices((2, 4, 3), dtype), matrices((2, 3), dtype, 1), tolerance(dtype)
    q = la.ormqr(a, taus, np.eye(4, dtype=dtype))
    np.testing.assert_allclose(q[..., :3], la.householder_product(a, taus), rtol=tol, atol=tol)
    c = matrices((2, 4, 2), dtype, 2)
    assert_same(la.ormqr(a, taus, c), q @ c, tol, tol)
    assert_same(la.ormqr(a, taus, c, transpose=True), adjoint(q) @ c, tol, tol)
    ct = np.swapaxes(c, -1, -2)
    assert_same(la.ormqr(a, taus, ct, left=False), ct @ q, tol, tol)
    assert_same(la.ormqr(a, taus, ct, left=False, transpose=True), ct @ adjoint(q), tol, tol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_updates_of_cholesky_factors(batch, dtype):
    p, w, tol = positive((*batch, 3, 3), dtype), matrices((*batch, 3), dtype, 1), 10 * tolerance(dtype)
    upper = adjoint(np.linalg.cholesky(p))
    found = la.cholesky_update(upper, w)
    wanted = np.linalg.cholesky(p + np.conj(w)[..., :, None] * w[..., None, :])
    assert_same(found, adjoint(wanted), tol, tol)
    if tol < 1e-9:
        check_rules(la.cholesky_update, upper, w, order=1)


def test_symmetric_products():
    a, c = matrices((2, 3, 2)), positive((2, 3, 3))
    for options in ({}, {"alpha": 2.0, "beta": -1.0, "symmetrize_output": True}):
        alpha, beta = options.get("alpha", 1), options.get("beta", 0)
        fun = lambda a, c, options=options: la.symmetric_product(a, c, **options)
        assert_same(fun(a, c), alpha * a @ adjoint(a) + beta * c, 1e-13, 1e-13)
        check_rules(fun, a, c)


def test_subsets_of_values():
    p = positive((2, 4, 4))
    v, w = la.eigh(p)
    for got, wanted in zip(la.eigh(p, subset_by_index=(1, 3)), (v[..., 1:3], w[..., 1:3]), strict=True):
        assert_same(got, wanted)
    u, s, vh = la.svd(p, full_matrices=False)
    subset = la.svd(p, full_matrices=False, subset_by_index=(0, 2))
    for got, wanted in zip(subset, (u[..., :2], s[..., :2], vh[..., :2, :]), strict=True):
        assert_same(got, wanted)
    assert_same(la.svd(p, compute_uv=False, subset_by_index=(1, 3)), la.svd(p, compute_uv=False)[..., 1:3])
