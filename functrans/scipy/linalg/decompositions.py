"""Decompositions of matrices."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, float_info, real_dtype
from functrans.errors import ArgumentError, ConcretizationError, ShapeError
from functrans.lax import linalg as prim
from functrans.lax.conversion import stop_gradient_p
from functrans.lax.custom import custom_jvp
from functrans.lax.linalg.matrices import adjoint, complex_dtype
from functrans.numpy.dispatch import known
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import (
    choice,
    inexact,
    matrix,
    only_plain,
    square,
)


@implements("scipy.linalg", lapack=True)
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The Cholesky factor, upper by default, as `scipy.linalg.cholesky`.

    One triangle of the matrix is read, the one that `lower` names, and gradients are zero in the other: symmetrize the
    matrix first for gradients that are symmetric.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 1.],
           [0., 2.]])
    """
    a = square("cholesky", a)
    factor = prim.cholesky(a if lower else adjoint(a), symmetrize_input=False)
    return factor if lower else adjoint(factor)


@implements("scipy.linalg", lapack=True)
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, bool]:
    """A Cholesky factor for `cho_solve`, as `scipy.linalg.cho_factor`; of traced arrays its other triangle is zero.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.cho_factor(np.array([[4.0, 0.0], [0.0, 9.0]]))
    (Array([[2., 0.],
           [0., 3.]]), False)
    """
    return cholesky(a, lower), lower


@implements("scipy.linalg", lapack=True)
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    """The LU decomposition `a = p l u` with partial pivoting, as `scipy.linalg.lu`.

    Args:
        a: matrices in the last two axes.
        permute_l: give `p l` and `u`.
        overwrite_a, check_finite: of no effect on traced arrays.
        p_indices: give `p` as indices of rows, `a = l[p] u`.

    >>> import functrans as ft, numpy as np
    >>> p, l, u = ft.scipy.linalg.lu(np.array([[1.0, 2.0], [2.0, 2.0]]))
    >>> u
    Array([[2., 2.],
           [0., 1.]])
    """
    a = matrix("lu", a)
    *batch, m, n = aval_of(a).shape
    k, dtype = min(m, n), aval_of(a).dtype
    factors, _, order = prim.lu(a)
    l = fnp.tril(factors[..., :k], -1) + fnp.eye(m, k, dtype=dtype)
    u = fnp.triu(factors[..., :k, :])
    if permute_l or p_indices:
        place = fnp.argsort(order, axis=-1)
        if not permute_l:
            return lax.convert_element_type(place, np.int32), l, u
        return fnp.take_along_axis(l, fnp.broadcast_to(place[..., None], (*batch, m, k)), -2), u
    real = real_dtype(dtype)
    p = lax.convert_element_type(order[..., None, :] == np.arange(m, dtype=np.int32)[:, None], real)
    return p, l, u


@implements("scipy.linalg", lapack=True)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """The factors of an LU decomposition in one matrix and the pivots, as `scipy.linalg.lu_factor`; see `lu_solve`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.lu_factor(np.array([[1.0, 2.0], [2.0, 2.0]]))
    (Array([[2. , 2. ],
           [0.5, 1. ]]), Array([1, 1], dtype=int32))
    """
    factors, pivots, _ = prim.lu(matrix("lu_factor", a))
    return factors, pivots


@implements("scipy.linalg", lapack=True)
def qr(
    a: Any, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The QR decomposition `a = q r`, as `scipy.linalg.qr`; of traced arrays not with `mode="raw"`.

    Derivatives need independent columns (the first ones, of wide matrices), and of tall matrices `"full"` has none.

    Args:
        a: matrices in the last two axes.
        overwrite_a, lwork, check_finite: of no effect on traced arrays.
        mode: `"full"`, `"economic"`, or `"r"` for a tuple without `q`.
        pivoting: permute the columns, so that the diagonal of `r` does not increase; the order is the last result.

    >>> import functrans as ft, numpy as np
    >>> q, r = ft.scipy.linalg.qr(np.array([[0.0, 2.0], [1.0, 3.0]]))
    >>> np.abs(r)
    Array([[1., 3.],
           [0., 2.]])
    """
    if mode == "raw":
        raise ArgumentError("qr of a traced array takes mode 'full', 'economic' or 'r', got 'raw'")
    choice("qr", "mode", mode, "full", "economic", "r")
    a = matrix("qr", a)
    _, *rest = out = prim.qr(a, pivoting=bool(pivoting), full_matrices=mode == "full")
    if mode == "r":  # as SciPy, with as many rows as the matrix
        missing = aval_of(a).shape[-2] - aval_of(rest[0]).shape[-2]
        empty = fnp.zeros((*aval_of(a).shape[:-2], missing, aval_of(a).shape[-1]), aval_of(a).dtype)
        return (fnp.concatenate([rest[0], empty], -2) if missing else rest[0], *rest[1:])
    return out


@implements("scipy.linalg", lapack=True)
def rq(
    a: Any, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", check_finite: bool = True
) -> Any:
    """The RQ decomposition `a = r q`, as `scipy.linalg.rq`: `r` is upper triangular from the lower right corner.

    Traced, it is the QR decomposition of the matrix turned around; rows may differ from SciPy's by their sign.

    >>> import functrans as ft, numpy as np
    >>> r, q = ft.scipy.linalg.rq(np.array([[0.0, 2.0], [3.0, 0.0]]))
    >>> np.abs(r)
    Array([[2., 0.],
           [0., 3.]])
    """
    choice("rq", "mode", mode, "full", "economic", "r")
    a = matrix("rq", a)
    # a with its rows in reverse order, transposed, is q1 r1: a = (r1^H turned around) (q1^H with its rows reversed)
    q1, r1 = prim.qr(adjoint(fnp.flip(a, -2)), full_matrices=mode != "economic")
    r, q = fnp.flip(adjoint(r1), (-2, -1)), fnp.flip(adjoint(q1), -2)
    return r if mode == "r" else (r, q)


@implements("scipy.linalg", lapack=True)
def qr_multiply(
    a: Any, c: Any, mode: str = "right", pivoting: bool = False, conjugate: bool = False, overwrite_a: bool = False,
    overwrite_c: bool = False,
) -> Any:  # fmt: skip
    """`q c` or `c q` with the `q` of a QR decomposition, and `r`, as `scipy.linalg.qr_multiply`.

    >>> import functrans as ft, numpy as np
    >>> cq, r = ft.scipy.linalg.qr_multiply(np.array([[0.0, 2.0], [1.0, 3.0]]), np.array([1.0, 0.0]))
    >>> np.abs(cq)
    Array([0., 1.])
    """
    choice("qr_multiply", "mode", mode, "left", "right")
    a, c = inexact("qr_multiply", a, c)
    matrix("qr_multiply", a)
    vector = aval_of(c).ndim == 1
    if vector:
        c = c[:, None] if mode == "left" else c[None]
    m, n = aval_of(a).shape[-2:]
    k = min(m, n)
    inner = aval_of(c).shape[-2 if mode == "left" else -1]
    if inner != k and inner != m:
        raise ShapeError(f"qr_multiply: a matrix of shape {(m, n)} and c of shape {aval_of(c).shape} do not fit")
    q, *rest = prim.qr(a, pivoting=bool(pivoting), full_matrices=mode == "left" and inner != k)
    q = fnp.conj(q) if conjugate else q
    out = q @ c if mode == "left" else c @ q
    if vector:
        out = out[..., 0] if mode == "left" else out[..., 0, :]
    return (out, rest[0][..., :k, :], *rest[1:])


@implements("scipy.linalg", lapack=True)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """The singular value decomposition, as `scipy.linalg.svd`.

    Derivatives of singular vectors are infinite where two singular values are equal; those of values are not. Of
    matrices that are not square `full_matrices=True` has none.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.svd(np.array([[3.0, 0.0], [0.0, 4.0]]), compute_uv=False)
    Array([4., 3.])
    """
    choice("svd", "lapack_driver", lapack_driver, "gesdd", "gesvd")
    return prim.svd(matrix("svd", a), full_matrices=bool(full_matrices), compute_uv=bool(compute_uv))


@implements("scipy.linalg", lapack=True)
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Singular values in descending order, as `scipy.linalg.svdvals`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.svdvals(np.array([[3.0, 0.0], [0.0, 4.0]]))
    Array([4., 3.])
    """
    return prim.svd(matrix("svdvals", a), compute_uv=False)


@implements("scipy.linalg")
def diagsvd(s: Any, M: int, N: int) -> Any:
    """The matrix of singular values, of size `M` by `N`, as `scipy.linalg.diagsvd`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.diagsvd(np.array([2.0, 1.0]), 2, 3)
    Array([[2., 0., 0.],
           [0., 1., 0.]])
    """
    s = fnp.asarray(s)
    k = aval_of(s).shape[-1]
    if k not in (M, N) or k > min(M, N):
        raise ShapeError(f"diagsvd: {k} singular values make no matrix of {M} by {N}")
    return (s[..., None, :] if k == N else s[..., None]) * fnp.eye(M, N, dtype=aval_of(s).dtype)


# ---------------------------------------------------------------- subspaces

# The numbers of columns depend on the rank: they can be found where values are known, under `grad` but not under `jit`.


def _rank(name: str, s: Any, shape: tuple[int, ...], dtype: np.dtype, rcond: float | None) -> int:
    if len(shape) != 2:
        raise ShapeError(f"{name} of a traced array takes one matrix, got shape {shape}: ranks may differ")
    limit = (float_info(dtype).eps * max(shape) if rcond is None else rcond) * fnp.max(s, initial=0)
    rank = known(fnp.sum(s > limit))
    if rank is None:
        raise ConcretizationError(
            f"{name} of a traced array has a shape that depends on its rank: call it outside the traced function, or "
            "use functrans.scipy.linalg.svd"
        )
    return int(rank)


@implements("scipy.linalg", lapack=True)
def orth(A: Any, rcond: float | None = None) -> Any:
    """An orthonormal basis of the columns' span, as `scipy.linalg.orth`.

    The number of its vectors is the rank, which must be known: not inside `jit`, where `svd` can be used instead. Its
    derivatives are those of singular vectors.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.orth(np.array([[2.0, 0.0], [0.0, 0.0]])).shape
    (2, 1)
    """
    A = matrix("orth", A)
    u, s, _ = prim.svd(A, full_matrices=False)
    return u[:, : _rank("orth", s, aval_of(A).shape, aval_of(A).dtype, rcond)]


@implements("scipy.linalg", lapack=True)
def null_space(
    A: Any, rcond: float | None = None, *, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """An orthonormal basis of the vectors that `A` takes to zero, as `scipy.linalg.null_space`.

    The number of its vectors depends on the rank, which must be known: not inside `jit`. The derivative moves the
    space where the rank does not change, and turns no vector within it.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.null_space(np.array([[2.0, 0.0]]))
    Array([[0.],
           [1.]])
    """
    A = matrix("null_space", A)
    s = prim.svd(stop_gradient_p.bind(A), compute_uv=False)
    rank = _rank("null_space", s, aval_of(A).shape, aval_of(A).dtype, rcond)
    return _null_space(A, rank)


@partial(custom_jvp, nondiff_argnums=(1,))
def _null_space(a: Any, rank: int) -> Any:
    _, _, vh = prim.svd(a, full_matrices=True)
    return adjoint(vh[rank:])


@_null_space.defjvp
def _null_space_jvp(rank: int, primals: Any, tangents: Any) -> Any:
    (a,), (t,) = primals, tangents
    basis = _null_space(a, rank)
    _, s, _ = prim.svd(stop_gradient_p.bind(a), full_matrices=False)
    inverse = fnp.linalg.pinv(a, rtol=s[rank - 1] / s[0] / 2 if rank else 1.0)
    return basis, -(inverse @ (t @ basis))


@implements("scipy.linalg", lapack=True)
def subspace_angles(A: Any, B: Any) -> Any:
    """Angles between the spans of columns, largest first, as `scipy.linalg.subspace_angles`.

    Of traced arrays the columns must be independent.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.subspace_angles(np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]]))
    Array([0.78539816])
    """
    A, B = inexact("subspace_angles", A, B)
    if aval_of(A).ndim < 2 or aval_of(B).ndim < 2 or aval_of(A).shape[-2] != aval_of(B).shape[-2]:
        raise ShapeError(
            f"subspace_angles takes matrices of as many rows, got shapes {aval_of(A).shape} and {aval_of(B).shape}"
        )
    qa, qb = (prim.qr(x, full_matrices=False)[0] for x in (A, B))
    inner = adjoint(qa) @ qb
    cosines = prim.svd(inner, compute_uv=False)
    small_in_large = aval_of(A).shape[-1] >= aval_of(B).shape[-1]
    rest = qb - qa @ inner if small_in_large else qa - qb @ adjoint(inner)
    sines = fnp.clip(prim.svd(rest, compute_uv=False), -1.0, 1.0)
    large = cosines**2 >= 0.5  # there the sine is exact, elsewhere the cosine
    theta = fnp.arcsin(fnp.where(fnp.flip(large, -1), sines, 0.0))
    cosines = fnp.where(fnp.flip(large, -1), 0.0, fnp.clip(fnp.flip(cosines, -1), -1.0, 1.0))
    return fnp.where(fnp.flip(large, -1), theta, fnp.arccos(cosines))


# ---------------------------------------------------------------- polar


@implements("scipy.linalg", "method", "eps", "max_iterations", lapack=True)
def polar(
    a: Any, side: str = "right", *, method: str = "qdwh", eps: float | None = None, max_iterations: int | None = None
) -> tuple[Any, Any]:
    """The polar decomposition `a = u p`, or `a = p u` from the left, as `scipy.linalg.polar`.

    `u` has orthonormal columns (rows, of wide matrices), `p` is Hermitian and not negative. Derivatives hold for
    matrices of full rank, also where singular values are equal.

    Args:
        a: matrices in the last two axes.
        side: on which side of `u` the factor `p` stands.
        method, eps, max_iterations: accepted for programs of JAX, of no effect: the singular values are computed.

    >>> import functrans as ft, numpy as np
    >>> u, p = ft.scipy.linalg.polar(np.array([[0.0, 2.0], [1.0, 0.0]]))
    >>> p
    Array([[1., 0.],
           [0., 2.]])
    """
    choice("polar", "side", side, "left", "right")
    choice("polar", "method", method, "qdwh", "svd")
    a = matrix("polar", a)
    m, n = aval_of(a).shape[-2:]
    u = _unitary(a) if m >= n else adjoint(_unitary(adjoint(a)))
    p = adjoint(u) @ a if side == "right" else a @ adjoint(u)
    return u, (p + adjoint(p)) / 2


@custom_jvp
def _unitary(a: Any) -> Any:
    u, _, vh = prim.svd(a, full_matrices=False)
    return u @ vh


@_unitary.defjvp
def _unitary_jvp(primals: Any, tangents: Any) -> Any:
    """With `a = u p`: `u^H du = x` solves `x p + p x = u^H t - t^H u`; `du` beyond the span is that of `t p^-1`."""
    (a,), (t,) = primals, tangents
    u = _unitary(a)
    p = adjoint(u) @ a
    p = (p + adjoint(p)) / 2
    inner = adjoint(u) @ t
    du = u @ prim.solve_sylvester(p, p, inner - adjoint(inner))
    m, n = aval_of(a).shape[-2:]
    if m > n:
        beyond = t - u @ inner
        du = du + adjoint(prim.solve(p, adjoint(beyond)))
    return u, du


@implements("scipy.linalg", lapack=True)
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The unitary `r` for which `A r` is nearest to `B`, and the sum of singular values of `A^H B`.

    As `scipy.linalg.orthogonal_procrustes`. Derivatives hold where `A^H B` is regular.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.orthogonal_procrustes(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]))[0]
    Array([[0., 1.],
           [1., 0.]])
    """
    A, B = inexact("orthogonal_procrustes", A, B)
    if aval_of(A).ndim < 2 or aval_of(A).shape[-2:] != aval_of(B).shape[-2:]:
        raise ShapeError(
            f"orthogonal_procrustes takes matrices of one shape, got {aval_of(A).shape} and {aval_of(B).shape}"
        )
    product = adjoint(A) @ B
    return _unitary(product), fnp.sum(prim.svd(product, compute_uv=False), axis=-1)


# ---------------------------------------------------------------- condensed forms


@implements("scipy.linalg", lapack=True)
def hessenberg(a: Any, calc_q: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The Hessenberg form `a = q h q^H`, as `scipy.linalg.hessenberg`. It has no derivative.

    >>> import functrans as ft, numpy as np
    >>> h = ft.scipy.linalg.hessenberg(np.array([[1.0, 2.0, 2.0], [3.0, 4.0, 5.0], [4.0, 0.0, 1.0]]))
    >>> abs(h[2, 0])
    Array(0.)
    """
    a = square("hessenberg", a)
    packed, taus = prim.hessenberg(a)
    h = fnp.triu(packed, -1)
    if not calc_q:
        return h
    n = aval_of(a).shape[-1]
    q = fnp.broadcast_to(fnp.eye(n, dtype=aval_of(a).dtype), aval_of(a).shape)
    if n > 1:
        q = q.at[..., 1:, 1:].set(prim.householder_product(packed[..., 1:, :-1], taus))
    return h, q


@implements("scipy.linalg", lapack=True)
def schur(
    a: Any, output: str = "real", lwork: int | None = None, overwrite_a: bool = False, sort: Any = None,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The Schur decomposition `a = z t z^H`, as `scipy.linalg.schur`; of traced arrays without `sort`.

    Derivatives are those of the complex form (`output="complex"`); they are infinite where two eigenvalues are equal,
    and the phases of its vectors are LAPACK's choice.

    >>> import functrans as ft, numpy as np
    >>> t, z = ft.scipy.linalg.schur(np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> t
    Array([[1., 2.],
           [0., 3.]])
    """
    choice("schur", "output", output, "real", "complex", "r", "c")
    only_plain("schur", sort=sort)
    a = square("schur", a, small=np.float64)
    if output in ("complex", "c"):
        a = lax.convert_element_type(a, complex_dtype(aval_of(a).dtype))
    return prim.schur(a)


@implements("scipy.linalg", lapack=True)
def rsf2csf(T: Any, Z: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The complex Schur form from the real one, as `scipy.linalg.rsf2csf`.

    Traced, it is the Schur form of `T`; its vectors may differ from SciPy's by their phases.

    >>> import functrans as ft, numpy as np
    >>> t, z = ft.scipy.linalg.rsf2csf(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2))
    >>> abs(t[1, 0])
    Array(0.)
    """
    T, Z = inexact("rsf2csf", T, Z)
    dtype = complex_dtype(aval_of(T).dtype)
    t, z = prim.schur(lax.convert_element_type(T, dtype))
    return t, lax.convert_element_type(Z, dtype) @ z
