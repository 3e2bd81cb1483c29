"""Condensed forms: LAPACK's values, similarity to the matrix, derivatives of the complex Schur form."""

import numpy as np
import pytest
import scipy.linalg
from helpers import abstract, assert_same, check_derivatives, check_rules
from matrices import DTYPES, SHAPES, adjoint, matrices, positive, tolerance

from functrans import errors, lax
from functrans.lax import linalg as la
from functrans.transforms.jvp import jvp


def bordered(q):
    """With a first row and column of the identity."""
    n = q.shape[-1] + 1
    out = np.broadcast_to(np.eye(n, dtype=q.dtype), (*q.shape[:-2], n, n)).copy()
    out[..., 1:, 1:] = q
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s[-1]], ids=str)
def test_forms_are_similar_to_the_matrix(shape, dtype):
    a, tol = matrices(shape, dtype), 10 * tolerance(dtype)
    packed, taus = la.hessenberg(a)
    q = bordered(la.householder_product(packed[..., 1:, :-1], taus))
    np.testing.assert_allclose(q @ np.triu(packed, -1) @ adjoint(q), a, rtol=tol, atol=tol)
    p = positive(shape, dtype)
    packed, d, e, taus = la.tridiagonal(p)
    q = bordered(la.householder_product(packed[..., 1:, :-1], taus))
    t = adjoint(q) @ p @ q
    diagonal = lambda k: np.diagonal(t, k, -2, -1)
    np.testing.assert_allclose(diagonal(0), d, rtol=tol, atol=tol)
    np.testing.assert_allclose(diagonal(-1), e, rtol=tol, atol=tol)
    np.testing.assert_allclose(np.tril(t, -2), 0, atol=tol * max(1, np.max(np.abs(p), initial=0)))
    assert_same(la.tridiagonal(p * np.tri(shape[-1], dtype=dtype))[1], d, tol, tol)  # reads the lower triangle alone
    if dtype in (np.float64, np.complex128):
        upper = la.tridiagonal(p, lower=False)
        assert_same(la.tridiagonal(np.triu(p), lower=False)[1], upper[1], tol, tol)
    t, z = la.schur(a)
    np.testing.assert_allclose(z @ t @ adjoint(z), a, rtol=tol, atol=tol)
    assert_same(la.schur(a, compute_schur_vectors=False), t)
    for fun in (la.hessenberg, la.schur):
        check_rules(fun, a, order=0)
    check_rules(la.tridiagonal, p, order=0, batch=False)


def test_derivatives_of_the_complex_schur_form():
    def invariant(a):  # the phases of Schur vectors are LAPACK's choice
        t, z = la.schur(a)
        first = z[:, :2]
        return lax.dot(first, lax.conj(lax.transpose(first, (1, 0)))), t * lax.conj(t), t[0, 0], t[3, 3]

    a = matrices((4, 4), complex) + np.diag([4.0, 3, 2, 1])
    check_rules(invariant, a, smooth=True, rtol=1e-7, batch=False)
    check_derivatives(lambda a: (lambda t, z: lax.dot(z, lax.dot(t, lax.conj(lax.transpose(z, (1, 0))))))(*la.schur(a)),
                      a, order=1)  # fmt: skip


def test_what_has_no_derivative_says_so():
    x = matrices((3, 3))
    for fun, text in ((la.schur, "the real Schur form .* complex"), (la.hessenberg, "hessenberg has no derivative"),
                      (la.tridiagonal, "tridiagonal has no derivative")):  # fmt: skip
        with pytest.raises(errors.NotDifferentiableError, match=text):
            jvp(lambda a, fun=fun: list(fun(a)), [x], [x])


@pytest.mark.parametrize("fun", [la.hessenberg, la.tridiagonal, la.schur])
def test_matrices_must_be_square(fun):
    for run in (lambda: fun(np.ones((2, 3))), lambda: abstract(fun, ((2, 3), np.float64))):
        with pytest.raises(errors.ShapeError, match=f"{fun.__name__} takes square matrices"):
            run()


def test_values_are_scipys():
    a = matrices((5, 5))
    h, q = scipy.linalg.hessenberg(a, calc_q=True)
    packed, taus = la.hessenberg(a)
    assert_same(np.triu(packed, -1), h, 1e-12, 1e-12)
    assert_same(bordered(la.householder_product(packed[1:, :-1], taus)), q, 1e-12, 1e-12)
    for got, wanted in zip(la.schur(a), scipy.linalg.schur(a), strict=True):
        assert_same(got, wanted)
