"""Determinants and their logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, kind_of
from functrans.core.primitive import Primitive
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, reduce_sum_p
from functrans.lax.contraction import matmul
from functrans.lax.conversion import convert_element_type, stop_gradient_p
from functrans.lax.linalg.matrices import (
    adjoint,
    as_column,
    as_row,
    batch_all,
    check_square,
    diagonal_mask,
    diagonals,
    eye,
    mT,
    real_dtype,
    trace,
)
from functrans.lax.linalg.spectral import svd
from functrans.lax.linalg.systems import solve_p
from functrans.lax.reductions import products_of_others
from functrans.lax.structural import reshape

# ---------------------------------------------------------------- slogdet

slogdet_p = Primitive("slogdet", multiple_results=True)


def _slogdet_abstract(a: ShapedArray) -> list[ShapedArray]:
    check_square("slogdet", a)
    return [ShapedArray(a.shape[:-2], a.dtype), ShapedArray(a.shape[:-2], real_dtype(a.dtype))]


def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    sign, logdet = slogdet_p.bind(a)
    change = trace(solve_p.bind(a, t))
    if aval_of(a).dtype.kind == "c":
        imaginary = change - convert_element_type(ew.real(change), aval_of(a).dtype)
        return [sign, logdet], [ew.mul(imaginary, sign), ew.real(change)]
    return [sign, logdet], [None, change]


slogdet_p.impl = lambda a: [wrap(v) for v in np.linalg.slogdet(a)]
slogdet_p.abstract_eval = _slogdet_abstract
slogdet_p.jvp = _slogdet_jvp
slogdet_p.batch = batch_all(slogdet_p)


def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign and the logarithm of the absolute value of the determinant.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.slogdet(np.array([[0.0, 1.0], [1.0, 0.0]]))
    (Array(-1.), Array(0.))
    """
    sign, logdet = slogdet_p.bind(a)
    return sign, logdet


# ---------------------------------------------------------------- det

# The derivative of the determinant is the adjugate, a polynomial of the matrix: so are its own derivatives, at singular
# matrices too. With a = u diag(s) vh the adjugate is det(u vh) v adj(diag(s)) u^H.

det_p = Primitive("det")
adjugate_p = Primitive("adjugate")


def _det_abstract(a: ShapedArray) -> ShapedArray:
    check_square("det", a)
    return ShapedArray(a.shape[:-2], a.dtype)


def _det_jvp(primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    ndim = aval_of(a).ndim
    return det_p.bind(a), reduce_sum_p.bind(ew.mul(mT(adjugate_p.bind(a)), t), axes=(ndim - 2, ndim - 1))


det_p.impl = lambda a: wrap(np.linalg.det(a))
det_p.abstract_eval = _det_abstract
det_p.jvp = _det_jvp
det_p.batch = batch_all(det_p)


def det(a: Any) -> Any:
    """The determinant; its derivatives hold for singular matrices too.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.det(np.array([[2.0, 1.0], [1.0, 3.0]]))
    Array(5.)
    """
    return det_p.bind(a)


def _adjugate_abstract(a: ShapedArray) -> ShapedArray:
    check_square("adjugate", a)
    return a.strong()


def _adjugate_impl(a: Any) -> Any:
    u, s, vh = np.linalg.svd(np.asarray(a))
    others = np.asarray(products_of_others(s)).astype(u.dtype)
    scaled = np.linalg.det(u @ vh)[..., None, None] * np.conj(np.swapaxes(vh, -1, -2)) * others[..., None, :]
    return wrap(scaled @ np.conj(np.swapaxes(u, -1, -2)))


def _adjugate_jvp(primals: Any, tangents: Any) -> Any:
    """That of the adjugate of a diagonal matrix, between the singular vectors."""
    (a,), (t,) = primals, tangents
    n, dtype = aval_of(a).shape[-1], aval_of(a).dtype
    u, s, vh = svd(a, full_matrices=False)
    same = diagonal_mask(n)
    rows = ew.where(same, real_dtype(dtype).type(1), broadcast_to(as_row(s), aval_of(a).shape))
    pairs = ew.where(
        same, real_dtype(dtype).type(0), products_of_others(rows)
    )  # [i, j]: all singular values but i and j
    pairs = convert_element_type(pairs, dtype)
    inner = matmul(matmul(adjoint(u), t), adjoint(vh))
    diagonal = ew.mul(matmul(pairs, as_column(diagonals(inner))), eye(n, dtype))
    unitary = matmul(u, vh)
    if kind_of(dtype) == "f":  # its determinant is 1 or -1, and to differentiate it would divide by zero
        unitary = stop_gradient_p.bind(unitary)
    sign = reshape(det_p.bind(unitary), (*aval_of(a).shape[:-2], 1, 1))
    return adjugate_p.bind(a), matmul(matmul(adjoint(vh), sign * (diagonal - ew.mul(pairs, inner))), adjoint(u))


def _adjugate_expanded(a: Any) -> Any:
    """As `_adjugate_impl`, in compiled programs."""
    if not aval_of(a).size:
        return ew.neg(a)
    u, s, vh = svd(a, full_matrices=False)
    sign = reshape(det_p.bind(matmul(u, vh)), (*aval_of(a).shape[:-2], 1, 1))
    others = convert_element_type(as_row(products_of_others(s)), aval_of(a).dtype)
    return matmul(ew.mul(ew.mul(sign, adjoint(vh)), others), adjoint(u))


adjugate_p.impl = _adjugate_impl
adjugate_p.expand = _adjugate_expanded
adjugate_p.abstract_eval = _adjugate_abstract
adjugate_p.jvp = _adjugate_jvp
adjugate_p.batch = batch_all(adjugate_p)
