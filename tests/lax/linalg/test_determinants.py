"""Determinants: derivatives at singular matrices."""

import time

import numpy as np
import pytest
from helpers import check_derivatives
from matrices import matrices

from functrans.lax import linalg as la
from functrans.transforms.jvp import linearize
from functrans.transforms.transpose import transpose_linear


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
