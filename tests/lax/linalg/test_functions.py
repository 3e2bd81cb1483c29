"""Functions of matrices: SciPy's values, and derivatives of both modes."""

import numpy as np
import pytest
import scipy.linalg
from helpers import abstract, assert_same, check_derivatives, check_rules
from hypothesis import given, settings, strategies as st
from matrices import matrices

from functrans import errors
from functrans.lax import linalg as la
from functrans.lax.linalg.functions import expm_frechet_p, logm_frechet_p, logm_p, sqrtm_p


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 4), st.sampled_from("fdFD"), st.sampled_from([1e-9, 0.1, 1.0, 10.0]), st.integers(0, 99))
def test_exponentials_and_their_derivatives_are_scipys(n, dtype, size, seed):
    a, e = size * matrices((2, n, n), dtype, seed), matrices((n, n), dtype, seed + 1)
    a, e = a.astype(dtype), e.astype(dtype)
    assert_same(la.expm(a), scipy.linalg.expm(a))
    found = expm_frechet_p.bind(a, e)
    assert (found.shape, found.dtype) == (a.shape, a.dtype)
    for i in range(2) if n else ():
        wanted = scipy.linalg.expm_frechet(a[i].astype(complex), e.astype(complex), compute_expm=False)
        limit = 1e3 * np.finfo(dtype).eps * max(np.abs(wanted).max(), np.exp(np.linalg.norm(a[i], 2)))
        np.testing.assert_allclose(found[i], wanted, rtol=0, atol=limit)


@pytest.mark.parametrize(("shape", "dtype"), [((1, 1), complex), ((3, 3), float), ((2, 2, 2), complex)], ids=str)
def test_derivatives(shape, dtype):
    a, e = matrices(shape, dtype), matrices(shape[-2:], dtype, 1)
    definite = a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(shape[-1], dtype=dtype)
    check_rules(la.expm, a)
    check_rules(expm_frechet_p.bind, a, e)
    check_rules(la.logm, definite, smooth=True, rtol=1e-7)
    check_rules(logm_frechet_p.bind, definite.astype(complex), e.astype(complex), order=1, smooth=True, rtol=1e-7)
    check_rules(la.sqrtm, definite)
    check_rules(la.solve_sylvester, definite, definite[..., :1, :1].real.astype(dtype), e[:, :1])


def test_derivatives_at_zero_and_at_the_identity():
    check_derivatives(la.expm, np.zeros((3, 3)), order=2)
    check_derivatives(la.logm, np.eye(3), order=2)
    check_derivatives(la.sqrtm, np.eye(3), order=2)


@pytest.mark.parametrize("batches", [((), (2,), ()), ((2,), (), (2,)), ((2, 1), (1, 3), (3,)), ((), (), (2,))], ids=str)
def test_sylvester_broadcasts(batches):
    a, b, c = (matrices((*s, *n), seed=i) for i, (s, n) in enumerate(zip(batches, [(3, 3), (2, 2), (3, 2)])))
    a, b = a + 3 * np.eye(3), b + 3 * np.eye(2)
    x = la.solve_sylvester(a, b, c)
    np.testing.assert_allclose(a @ x + x @ b, np.broadcast_to(c, x.shape), atol=1e-12)
    check_rules(la.solve_sylvester, a, b, c)


@pytest.mark.parametrize(("fun", "error", "text"), [
    (la.expm, errors.ShapeError, "expm takes square matrices"),
    (lambda x: la.solve_sylvester(x, x, x), errors.ShapeError, "solve_sylvester takes square matrices"),
    (lambda x: la.solve_sylvester(x[:, :2], x[:, :2], x), errors.ShapeError, "matrices of shapes .* do not fit"),
    (lambda x: la.solve_sylvester(x[:, :2], x[:, :2], x[:, :2] * 1j), errors.DTypeError, "dtypes .* differ"),
    (lambda x: expm_frechet_p.bind(x[:, :2], x), errors.ShapeError, "expm_frechet: matrices .* do not fit"),
    (lambda x: sqrtm_p.bind(x[:, :2]), errors.DTypeError, "takes complex matrices"),
    (lambda x: logm_p.bind(x[:, :2]), errors.DTypeError, "primitive logm takes complex matrices"),
    (la.logm, errors.ShapeError, "logm takes square matrices"),
])  # fmt: skip
def test_errors(fun, error, text):
    for run in (lambda: fun(np.ones((2, 3))), lambda: abstract(fun, ((2, 3), np.float64))):
        with pytest.raises(error, match=text):
            run()
