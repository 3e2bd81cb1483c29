"""Eigenvalues and singular values: derivatives of both modes to second order."""

import numpy as np
import pytest
from helpers import assert_same, check_rules
from matrices import matrices, positive

from functrans import lax
from functrans.lax import linalg as la, reductions
from functrans.transforms.jvp import linearize
from functrans.transforms.transpose import transpose_linear


@pytest.mark.parametrize("symmetrize_input", [True, False])
@pytest.mark.parametrize("lower", [True, False])
def test_derivatives_of_eigh(symmetrize_input, lower):
    p = positive((2, 3, 3))
    check_rules(lambda a: la.eigh(a, lower=lower, symmetrize_input=symmetrize_input), p, smooth=True, rtol=1e-7)


def test_derivatives_of_complex_eigh():
    def projectors(a):  # the phases of eigenvectors are LAPACK's choice
        v, w = la.eigh(a)
        return w, v[:, :1] * lax.conj(lax.reshape(v[:, :1], (1, 3)))

    p = positive((3, 3), np.complex128)
    check_rules(projectors, p, smooth=True, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_derivatives_of_eig(dtype):
    x = matrices((2, 3, 3), dtype, 3)
    check_rules(lambda a: la.eig(a, compute_left_eigenvectors=False), x, smooth=True, rtol=1e-7)
    check_rules(la.eig, x, smooth=True, rtol=1e-7, order=1)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
def test_derivatives_of_svd(shape):
    x = matrices(shape)
    check_rules(lambda a: la.svd(a, full_matrices=False), x, smooth=True, rtol=1e-7)
    check_rules(lambda a: la.svd(a, compute_uv=False), x, smooth=True, rtol=1e-7)


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
def test_derivatives_of_complex_svd(shape):
    def invariant(a):  # the phases of singular vectors are LAPACK's choice
        u, s, vh = la.svd(a, full_matrices=False)
        return s, lax.dot(u * lax.exp(-s), vh), u[:, :1] * lax.conj(lax.reshape(u[:, :1], (1, shape[0])))

    check_rules(invariant, matrices(shape, np.complex128), smooth=True, rtol=1e-7)


def test_hints_of_jax_are_of_no_effect():
    x = positive((3, 3))
    for found, wanted in [
        (la.eigh(x, implementation="qr"), la.eigh(x)),
        (la.eig(x, enable_eigvec_derivs=True, implementation=None, use_magma=False), la.eig(x)),
        (la.svd(x, algorithm=None), la.svd(x)),
        (la.qr(x, use_magma=False), la.qr(x)),
    ]:
        assert len(found) == len(wanted)
        for got, want in zip(found, wanted):
            assert_same(got, want)


def test_eigenvalues_that_are_equal_have_a_trace_with_a_gradient():
    for fun in (lambda a: la.eigh(a)[1], lambda a: la.svd(a, compute_uv=False)):
        _, linear = linearize(lambda a, fun=fun: [reductions.reduce_sum(fun(a), (0,))], [np.eye(3)])
        assert_same(transpose_linear(linear, [np.ones(())])[0], np.eye(3), 0, 1e-14)
