"""Systems: solutions, broadcasting, derivatives of both modes to second order."""

import numpy as np
import pytest
from helpers import check_batching, check_derivatives, check_rules, check_staged
from hypothesis import given, settings, strategies as st
from matrices import DTYPES, matrices, positive, tolerance

from functrans.lax import linalg as la
from functrans.lax.linalg.matrices import mT


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


@pytest.mark.parametrize("params", [{"left_side": True, "lower": True}, {}, {"left_side": True, "lower": True,
                         "transpose_a": True, "conjugate_a": True}, {"unit_diagonal": True}], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_derivatives_of_triangular_solve(params, dtype):
    a = matrices((3, 3), dtype) + 3 * np.eye(3, dtype=dtype)
    b = matrices((3, 2) if params.get("left_side", False) else (2, 3), dtype, 1)
    check_rules(lambda a, b: la.triangular_solve(a, b, **params), a, b)


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


@pytest.mark.parametrize(
    ("left", "right"),
    [((3, 3), (2, 3, 2)), ((2, 3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((2, 1, 3, 3), (4, 3, 1))],
    ids=str,
)
def test_systems_broadcast_and_batch(left, right):
    a, b = matrices(left), matrices(right, seed=1)
    check_batching(la.solve, a, b, rtol=1e-9)
    check_batching(lambda a, b: la.triangular_solve(a, b, left_side=True, lower=True), a, b, rtol=1e-9)
    check_batching(lambda a, b: la.triangular_solve(a, mT(b), left_side=False), a, b, rtol=1e-9)
    check_derivatives(la.solve, a, b, order=1)
    check_derivatives(lambda a, b: la.triangular_solve(a + np.eye(3) * 3, b, left_side=True), a, b, order=1)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 3), st.sampled_from([(), (2,), (0,)]), st.sampled_from(DTYPES))
def test_tridiagonal_systems(n, k, batch, dtype):
    dl, d, du = (matrices((*batch, n), dtype, seed) for seed in range(3))
    d, b = d + 4, matrices((n, k), dtype, 3)
    x = la.tridiagonal_solve(dl, d, du, b)
    eye = np.eye(n)
    full = dl[..., None] * np.eye(n, k=-1) + d[..., None] * eye + du[..., None] * np.eye(n, k=1)
    np.testing.assert_allclose(full @ x, np.broadcast_to(b, x.shape), rtol=tolerance(dtype), atol=tolerance(dtype))
    check_staged(la.tridiagonal_solve, dl, d, du, b)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("batches", [((), ()), ((2,), ()), ((), (2,)), ((3, 1), (2,))], ids=str)
def test_derivatives_of_tridiagonal_systems(batches, dtype):
    dl, d, du = (matrices((*batches[0], 4), dtype, seed) for seed in range(3))
    check_rules(la.tridiagonal_solve, dl, d + 4, du[..., :], matrices((*batches[1], 4, 2), dtype, 3))
    check_rules(la.tridiagonal_solve, dl[..., :1], d[..., :1], du[..., :1], matrices((*batches[1], 1, 2), dtype, 3))
