"""Systems of linear equations, inverses and pseudoinverses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import linalg as prim
from functrans.lax.conversion import stop_gradient_p
from functrans.lax.linalg.matrices import adjoint, mT
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import (
    as_columns,
    as_given,
    check_square,
    check_vector,
    choice,
    double,
    inexact,
    matrix,
    square,
)
from functrans.scipy.linalg.decompositions import cholesky
from functrans.scipy.linalg.matrices import toeplitz

_KINDS = {
    None: "gen", "gen": "gen", "general": "gen", "diagonal": "diagonal", "tridiagonal": "tridiagonal",
    "banded": "gen", "upper triangular": "upper", "lower triangular": "lower", "sym": "sym", "symmetric": "sym",
    "her": "her", "hermitian": "her", "pos": "pos", "positive definite": "pos",
}  # fmt: skip


def _kind(name: str, assume_a: Any) -> str:
    if assume_a not in _KINDS:
        raise ArgumentError(f"{name}: assume_a is one of {', '.join(map(repr, _KINDS))}, got {assume_a!r}")
    return _KINDS[assume_a]


def of_triangle(a: Any, lower: bool, hermitian: bool) -> Any:
    """The symmetric or Hermitian matrices of which one triangle is given; the diagonal of the latter is real."""
    beside = fnp.tril(a, -1) if lower else fnp.triu(a, 1)
    diagonal = fnp.where(np.eye(aval_of(a).shape[-1], dtype=bool), fnp.real(a) if hermitian else a, 0)
    return beside + (adjoint(beside) if hermitian else mT(beside)) + diagonal


@implements("scipy.linalg", lapack=True)
def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: str | None = None, transposed: bool = False,
) -> Any:  # fmt: skip
    """The solution of `a x = b` for square matrices, as `scipy.linalg.solve`.

    Of traced arrays no structure is found by looking at values: say it with `assume_a`. A matrix that is `"sym"`,
    `"her"` or `"pos"` is read in the triangle that `lower` names.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([4.0, 2.0]))
    Array([1., 2.])
    """
    kind = _kind("solve", assume_a)
    a, b = inexact("solve", a, b)
    check_square("solve", a)
    b, vector = as_columns("solve", b)
    if aval_of(b).shape[-2] != aval_of(a).shape[-1]:
        raise ShapeError(f"solve: matrices {aval_of(a).shape} and right-hand sides {aval_of(b).shape} do not fit")
    if kind in ("upper", "lower"):
        x = solve_triangular(a, b, "T" if transposed else "N", kind == "lower")
    elif kind == "pos":
        factor = cholesky(a, lower)
        x = cho_solve((fnp.conj(factor) if transposed else factor, lower), b)
    elif kind == "diagonal":
        x = b / fnp.diagonal(a, 0, -2, -1)[..., None]
    elif kind == "tridiagonal":
        below, d, above = (fnp.diagonal(a, k, -2, -1) for k in (-1, 0, 1))
        below, above = (above, below) if transposed else (below, above)
        none = fnp.zeros_like(d[..., :1])
        x = prim.tridiagonal_solve(
            fnp.concatenate([none, below], -1), d, fnp.concatenate([above, none], -1), b
        )  # fmt: skip
    else:
        if kind in ("sym", "her"):
            a = of_triangle(a, lower, kind == "her")
        x = prim.solve(mT(a) if transposed else a, b)
    return as_given(x, vector)


@implements("scipy.linalg", lapack=True)
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The solution of `a x = b` for triangular `a`, as `scipy.linalg.solve_triangular`.

    Of traced arrays a zero on the diagonal gives infinities or NaN, not an error.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_triangular(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([2.0, 3.0]), lower=True)
    Array([1., 2.])
    """
    choice("solve_triangular", "trans", trans, 0, 1, 2, "N", "T", "C")
    a, b = inexact("solve_triangular", a, b)
    check_square("solve_triangular", a)
    b, vector = as_columns("solve_triangular", b)
    x = prim.triangular_solve(
        a, b, left_side=True, lower=bool(lower), transpose_a=trans in (1, 2, "T", "C"), conjugate_a=trans in (2, "C"),
        unit_diagonal=bool(unit_diagonal),
    )  # fmt: skip
    return as_given(x, vector)


@implements("scipy.linalg", lapack=True)
def cho_solve(c_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """The solution of `a x = b` by the Cholesky factor of `a`, as `scipy.linalg.cho_solve`.

    >>> import functrans as ft, numpy as np
    >>> linalg = ft.scipy.linalg
    >>> linalg.cho_solve(linalg.cho_factor(np.array([[2.0, 0.0], [0.0, 4.0]])), np.array([2.0, 4.0]))
    Array([1., 1.])
    """
    c, lower = c_and_lower
    c, b = inexact("cho_solve", c, b)
    b, vector = as_columns("cho_solve", b)
    y = solve_triangular(c, b, 0 if lower else 2, lower)
    return as_given(solve_triangular(c, y, 2 if lower else 0, lower), vector)


@implements("scipy.linalg", lapack=True)
def lu_solve(
    lu_and_piv: tuple[Any, Any], b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of `a x = b` by the factors that `lu_factor` gives, as `scipy.linalg.lu_solve`.

    >>> import functrans as ft, numpy as np
    >>> linalg = ft.scipy.linalg
    >>> linalg.lu_solve(linalg.lu_factor(np.array([[2.0, 1.0], [0.0, 1.0]])), np.array([4.0, 2.0]))
    Array([1., 2.])
    """
    choice("lu_solve", "trans", trans, 0, 1, 2)
    lu, piv = lu_and_piv
    lu, b = inexact("lu_solve", lu, b)
    check_square("lu_solve", lu)
    b, vector = as_columns("lu_solve", b)
    n = aval_of(lu).shape[-1]
    if aval_of(b).shape[-2] != n:
        raise ShapeError(f"lu_solve: factors {aval_of(lu).shape} and right-hand sides {aval_of(b).shape} do not fit")
    order = prim.lu_pivots_to_permutation(fnp.asarray(piv), n)
    rows = lambda x, p: fnp.take_along_axis(x, p[..., None], -2) if aval_of(p).ndim > 1 else x[..., p, :]
    if trans == 0:
        y = solve_triangular(lu, rows(b, order), lower=True, unit_diagonal=True)
        return as_given(solve_triangular(lu, y), vector)
    y = solve_triangular(lu, solve_triangular(lu, b, trans), trans, lower=True, unit_diagonal=True)
    return as_given(rows(y, fnp.argsort(order, axis=-1)), vector)


@implements("scipy.linalg", lapack=True)
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None, lower: bool = False
) -> Any:
    """The inverse of square matrices, as `scipy.linalg.inv`. `assume_a` (SciPy 1.17) is as in `solve`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    a = square("inv", a)
    if _kind("inv", assume_a) == "gen":
        return prim.inv(a)
    eye = fnp.broadcast_to(fnp.eye(aval_of(a).shape[-1], dtype=aval_of(a).dtype), aval_of(a).shape)
    return solve(a, eye, lower=lower, assume_a=assume_a)


@implements("scipy.linalg", lapack=True)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinant, in double precision, as `scipy.linalg.det`. Its derivatives hold for singular matrices too.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.det(np.array([[2.0, 1.0], [1.0, 3.0]]))
    Array(5.)
    """
    a = double("det", a)
    check_square("det", a)
    return prim.det(a)


def _cutoff(a: Any, largest: Any, atol: Any, rtol: Any) -> Any:
    """The limit below which SciPy takes a singular value for zero."""
    atol = 0.0 if atol is None else atol
    if rtol is None:
        rtol = max(aval_of(a).shape[-2:]) * float_info(aval_of(a).dtype).eps
    return atol + largest * rtol


@implements("scipy.linalg", lapack=True)
def pinv(
    a: Any, *, atol: float | None = None, rtol: float | None = None, return_rank: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The pseudoinverse, as `scipy.linalg.pinv`. Its derivative holds where the rank does not change.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.pinv(np.array([[2.0, 0.0], [0.0, 0.0]]))
    Array([[0.5, 0. ],
           [0. , 0. ]])
    """
    a = matrix("pinv", a)
    s = prim.svd(stop_gradient_p.bind(a), compute_uv=False)
    largest = fnp.max(s, axis=-1, initial=0)
    cutoff = _cutoff(a, largest, atol, rtol)
    out = fnp.linalg.pinv(a, rtol=cutoff / fnp.where(largest > 0, largest, 1))
    return (out, fnp.sum(s > cutoff[..., None], axis=-1)) if return_rank else out


@implements("scipy.linalg", lapack=True)
def pinvh(
    a: Any, atol: float | None = None, rtol: float | None = None, lower: bool = True, return_rank: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The pseudoinverse of Hermitian matrices, as `scipy.linalg.pinvh`; reads the triangle that `lower` names.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.pinvh(np.array([[2.0, 0.0], [0.0, 0.0]]))
    Array([[0.5, 0. ],
           [0. , 0. ]])
    """
    return pinv(of_triangle(square("pinvh", a), lower, True), atol=atol, rtol=rtol, return_rank=return_rank)


@implements("scipy.linalg", lapack=True)
def lstsq(
    a: Any, b: Any, cond: float | None = None, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, lapack_driver: str | None = None,
) -> Any:  # fmt: skip
    """Least squares, as `scipy.linalg.lstsq`: the solution of least norm, squared residuals, rank, singular values.

    Of traced arrays the residuals are there for tall matrices of any rank, where SciPy gives none below full rank; and
    the singular values also with `lapack_driver="gelsy"`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))[0]
    Array([2.])
    """
    choice("lstsq", "lapack_driver", lapack_driver, None, "gelsd", "gelsy", "gelss")
    a, b = inexact("lstsq", a, b)
    cond = float_info(aval_of(a).dtype).eps if cond is None else cond
    x, residuals, rank, s = fnp.linalg.lstsq(a, b, cond)
    if aval_of(residuals).shape and aval_of(b).ndim == 1 and aval_of(residuals).size:
        residuals = residuals[0]  # a number for a vector
    return x, lax.convert_element_type(residuals, aval_of(x).dtype), lax.convert_element_type(rank, np.int64), s


# ---------------------------------------------------------------- banded matrices


def band_to_matrix(ab: Any, l: int, u: int) -> Any:
    """The square matrices of diagonals in LAPACK's order: `ab[u + i - j, j] = a[i, j]`."""
    n = aval_of(ab).shape[-1]
    i, j = np.ix_(range(n), range(n))
    rows = u + i - j
    inside = (rows >= 0) & (rows <= l + u)
    return fnp.where(inside, ab[..., np.clip(rows, 0, l + u), j + 0 * i], 0)


@implements("scipy.linalg", lapack=True)
def solve_banded(
    l_and_u: Sequence[int], ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The solution of `a x = b` for banded matrices, as `scipy.linalg.solve_banded`.

    Traced, up to three diagonals are eliminated as such; a wider band becomes a full matrix.

    Args:
        l_and_u: the numbers of diagonals below and above the main one.
        ab: the diagonals, `ab[u + i - j, j] = a[i, j]`.
        b: right-hand sides.
        overwrite_ab, overwrite_b, check_finite: of no effect on traced arrays.

    >>> import functrans as ft, numpy as np
    >>> ab = np.array([[0.0, 1.0], [2.0, 2.0], [1.0, 0.0]])
    >>> ft.scipy.linalg.solve_banded((1, 1), ab, np.array([3.0, 3.0]))
    Array([1., 1.])
    """
    l, u = map(int, l_and_u)
    ab, b = inexact("solve_banded", ab, b)
    b, vector = as_columns("solve_banded", b)
    shape = aval_of(ab).shape
    if len(shape) < 2 or l < 0 or u < 0 or shape[-2] != l + u + 1 or aval_of(b).shape[-2] != shape[-1]:
        raise ShapeError(
            f"solve_banded: {l} diagonals below and {u} above make {l + u + 1} rows of ab, which has shape {shape}; "
            f"the right-hand sides have shape {aval_of(b).shape}"
        )
    if l > 1 or u > 1 or shape[-1] == 0:
        return as_given(prim.solve(band_to_matrix(ab, l, u), b), vector)
    none = fnp.zeros_like(ab[..., 0, :1])
    below = fnp.concatenate([none, ab[..., -1, :-1]], -1) if l else fnp.zeros_like(ab[..., 0, :])
    above = fnp.concatenate([ab[..., 0, 1:], none], -1) if u else fnp.zeros_like(ab[..., 0, :])
    return as_given(prim.tridiagonal_solve(below, ab[..., u, :], above, b), vector)


def whole_band(ab: Any, lower: bool) -> Any:
    """All diagonals of Hermitian matrices of which one half is given."""
    n, k = aval_of(ab).shape[-1], aval_of(ab).shape[-2] - 1
    rows = []
    for d in range(1, k + 1):  # the d-th diagonal beside the main one, moved to the place of its mirror
        given = ab[..., d, : n - d] if lower else ab[..., k - d, d:]
        zeros = fnp.zeros_like(ab[..., 0, : min(d, n)])
        rows.append(fnp.conj(fnp.concatenate([zeros, given] if lower else [given, zeros], -1)))
    mirrored = [r[..., None, :] for r in rows]
    main = lax.convert_element_type(fnp.real(ab[..., :1, :] if lower else ab[..., -1:, :]), aval_of(ab).dtype)
    parts = [*mirrored[::-1], main, ab[..., 1:, :]] if lower else [ab[..., :-1, :], main, *mirrored]
    return fnp.concatenate(parts, -2)


@implements("scipy.linalg", lapack=True)
def solveh_banded(
    ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """The solution of `a x = b` for Hermitian positive definite banded matrices, as `scipy.linalg.solveh_banded`.

    Traced, it is that of `solve_banded`, which does not ask whether the matrix is positive definite.

    >>> import functrans as ft, numpy as np
    >>> ab = np.array([[2.0, 2.0], [1.0, 0.0]])
    >>> ft.scipy.linalg.solveh_banded(ab, np.array([3.0, 3.0]), lower=True)
    Array([1., 1.])
    """
    ab, b = inexact("solveh_banded", ab, b)
    if aval_of(ab).ndim < 2 or not aval_of(ab).shape[-2]:
        raise ShapeError(f"solveh_banded takes diagonals in the rows of ab, got shape {aval_of(ab).shape}")
    k = aval_of(ab).shape[-2] - 1
    return solve_banded((k, k), whole_band(ab, lower), b)


@implements("scipy.linalg", lapack=True)
def cho_solve_banded(
    cb_and_lower: tuple[Any, bool], b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The solution of `a x = b` by the factor that `cholesky_banded` gives, as `scipy.linalg.cho_solve_banded`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.cho_solve_banded((np.array([[2.0, 2.0]]), True), np.array([4.0, 8.0]))
    Array([1., 2.])
    """
    cb, lower = cb_and_lower
    cb, b = inexact("cho_solve_banded", cb, b)
    k = aval_of(cb).shape[-2] - 1
    return cho_solve((band_to_matrix(cb, *((k, 0) if lower else (0, k))), lower), b)


@implements("scipy.linalg", lapack=True)
def cholesky_banded(ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Any:
    """The Cholesky factor of Hermitian positive definite banded matrices, as `scipy.linalg.cholesky_banded`.

    Traced, it is computed of the full matrix.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.cholesky_banded(np.array([[4.0, 9.0]]), lower=True)
    Array([[2., 3.]])
    """
    ab = matrix("cholesky_banded", ab)
    n, k = aval_of(ab).shape[-1], aval_of(ab).shape[-2] - 1
    full = cholesky(band_to_matrix(whole_band(ab, lower), k, k), lower)
    d, j = np.ix_(range(k + 1), range(n))
    i = j + d if lower else j + d - k
    inside = (i >= 0) & (i < n)
    return fnp.where(inside, full[..., np.clip(i, 0, n - 1), j + 0 * d], ab)  # corners as given


# ---------------------------------------------------------------- matrices of one vector or two


def _column_and_row(name: str, c_or_cr: Any) -> tuple[Any, Any]:
    if isinstance(c_or_cr, tuple):
        c, r = (fnp.asarray(x) for x in c_or_cr)
        return c, r
    c = fnp.asarray(c_or_cr)
    return c, fnp.conj(c)


@implements("scipy.linalg", lapack=True)
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """The solution of `t x = b` for a Toeplitz matrix, as `scipy.linalg.solve_toeplitz`.

    Traced, the matrix is made and the system solved by elimination, not by Levinson's recursion.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_toeplitz(np.array([2.0, 1.0]), np.array([3.0, 3.0]))
    Array([1., 1.])
    """
    c, r = _column_and_row("solve_toeplitz", c_or_cr)
    check_vector("solve_toeplitz", c, r)
    t, b = double("solve_toeplitz", toeplitz(c, r), b)
    return solve(t, b)


@implements("scipy.linalg", lapack=True)
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: int | None = None) -> Any:
    """The product of a Toeplitz matrix and vectors, by Fourier transforms; as `scipy.linalg.matmul_toeplitz`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.matmul_toeplitz(np.array([2.0, 1.0]), np.array([1.0, 1.0]))
    Array([3., 3.])
    """
    c, r = _column_and_row("matmul_toeplitz", c_or_cr)
    check_vector("matmul_toeplitz", c, r)
    c, r, x = double("matmul_toeplitz", c, r, x)
    x, vector = as_columns("matmul_toeplitz", x)
    m, n = aval_of(c).shape[-1], aval_of(r).shape[-1]
    if aval_of(x).shape[-2] != n:
        raise ShapeError(f"matmul_toeplitz: a matrix of {n} columns and an operand of shape {aval_of(x).shape}")
    size = m + n - 1
    ring = fnp.concatenate([c, r[..., :0:-1]], -1)[..., None]
    if aval_of(x).dtype.kind == "c":
        out = fnp.fft.ifft(fnp.fft.fft(ring, axis=-2) * fnp.fft.fft(x, size, axis=-2), axis=-2)
    else:
        out = fnp.fft.irfft(fnp.fft.rfft(ring, axis=-2) * fnp.fft.rfft(x, size, axis=-2), size, axis=-2)
    return as_given(out[..., :m, :], vector)


@implements("scipy.linalg", lapack=True)
def solve_circulant(
    c: Any, b: Any, singular: str = "raise", tol: float | None = None, caxis: int = -1, baxis: int = 0,
    outaxis: int = 0,
) -> Any:  # fmt: skip
    """The solution of `circulant(c) x = b` by Fourier transforms, as `scipy.linalg.solve_circulant`.

    Of traced arrays `singular` is of no effect but for `"lstsq"`: a matrix that is singular gives infinities or NaN.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.solve_circulant(np.array([2.0, 1.0]), np.array([3.0, 3.0]))
    Array([1., 1.])
    """
    choice("solve_circulant", "singular", singular, "raise", "lstsq")
    c, b = (fnp.atleast_1d(fnp.asarray(v)) for v in (c, b))
    c, b = inexact("solve_circulant", c, b, small=np.float64)
    c, b = fnp.moveaxis(c, caxis, -1), fnp.moveaxis(b, baxis, -1)
    if aval_of(c).shape[-1] != aval_of(b).shape[-1]:
        raise ShapeError(f"solve_circulant: c of shape {aval_of(c).shape} and b of shape {aval_of(b).shape} do not fit")
    real = kind_of(aval_of(c).dtype) == "f"
    fc, fb = fnp.fft.fft(c), fnp.fft.fft(b)
    if singular == "lstsq":
        size = fnp.abs(fc)
        limit = fnp.max(size, axis=-1, keepdims=True) * (aval_of(c).shape[-1] * float_info(aval_of(c).dtype).eps)
        small = size <= (limit if tol is None else tol)
        x = fnp.fft.ifft(fnp.where(small, 0, fb / fnp.where(small, 1, fc)))
    else:
        x = fnp.fft.ifft(fb / fc)
    return fnp.moveaxis(x.real if real else x, -1, outaxis)
