"""Linear algebra: errors, the same eagerly and staged."""

import numpy as np
import pytest
from helpers import abstract, assert_same, check_derivatives
from matrices import matrices

from functrans import errors, lax
from functrans.lax import linalg as la
from functrans.transforms.jvp import jvp

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
    (lambda x: la.triangular_solve(x, x[:, :2]), errors.ShapeError, "triangular_solve: .* do not fit"),
    (
        lambda x: la.triangular_solve(x, x.astype(np.complex128)),
        errors.DTypeError,
        "triangular_solve: dtypes .* differ",
    ),
    (lambda x: la.solve(x, x.astype(np.complex128)), errors.DTypeError, "solve: dtypes float64 and complex128 differ"),
    (lambda x: la.householder_product(x[:2], x[0]), errors.ShapeError, "householder_product: .* do not fit"),
    (lambda x: la.householder_product(x, x[0].astype(complex)), errors.DTypeError, "householder_product: dtypes"),
    (lambda x: la.ormqr(x[:2], x[0], x), errors.ShapeError, "ormqr: .* do not fit"),
    (lambda x: la.cholesky_update(x, x), errors.ShapeError, "cholesky_update: .* do not fit"),
    (lambda x: la.cholesky_update(x, x[0].astype(complex)), errors.DTypeError, "cholesky_update: dtypes .* differ"),
    (lambda x: la.symmetric_product(x, x[:2]), errors.ShapeError, "symmetric_product: .* do not fit"),
    (lambda x: la.symmetric_product(x, x.astype(complex)), errors.DTypeError, "symmetric_product: dtypes .* differ"),
    (lambda x: la.schur(x, sort_eig_vals=True), errors.ArgumentError, "does not sort eigenvalues"),
    (
        lambda x: la.tridiagonal_solve(x[0], x[0], x[0], x, perturb_singular=True),
        errors.ArgumentError,
        "does not perturb singular matrices",
    ),
    (lambda x: la.eigh(x, subset_by_index=(2, 2)), errors.ArgumentError, "0 <= start < stop <= 3, got .2, 2."),
    (lambda x: la.svd(x, subset_by_index=(0, 4)), errors.ArgumentError, "0 <= start < stop <= 3, got .0, 4."),
    (lambda x: la.svd(x, subset_by_index=(0, 2)), errors.ArgumentError, "use full_matrices=False"),
    (lambda x: la.lu_pivots_to_permutation(x[0], 3), errors.DTypeError, "takes integers, got float64"),
    (lambda x: la.lu_pivots_to_permutation(lax.eq(x[0], 1) + 0, 2), errors.ShapeError, "no permutation of 2 elements"),
    (
        lambda x: la.tridiagonal_solve(x[0], x[0], x[0], x[0]),
        errors.ShapeError,
        "right-hand sides of shape .3,. do not fit",
    ),
    (lambda x: la.tridiagonal_solve(x[0], x[0, :2], x[0], x), errors.ShapeError, "tridiagonal_solve: .* do not fit"),
    (
        lambda x: la.tridiagonal_solve(x[0], x[0].astype(complex), x[0], x),
        errors.DTypeError,
        "tridiagonal_solve: dtypes float64, complex128, float64 and float64 differ",
    ),
]


@pytest.mark.parametrize(("fun", "error", "text"), [pytest.param(*e, id=str(i)) for i, e in enumerate(OTHER_ERRORS)])
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
    for n in (1, 2):
        with pytest.raises(np.linalg.LinAlgError):
            la.tridiagonal_solve(np.zeros(n), np.zeros(n), np.zeros(n), np.ones((n, 1)))
    with pytest.raises(errors.IndexOutOfBoundsError, match="pivots lie in 0 ... 2"):
        la.lu_pivots_to_permutation(np.array([3]), 3)
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
