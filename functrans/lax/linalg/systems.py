"""Systems of linear equations: triangular, general and tridiagonal matrices.

The solution of `a x = b` moves by `a^-1 (tb - ta x)`; its cotangent solves the transposed system (Giles, 2008).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Axis, Primitive
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import unbroadcast
from functrans.lax.contraction import matmul
from functrans.lax.linalg.matrices import (
    as_column,
    batch_solver,
    check_dtype,
    check_square,
    eye,
    guard_matrix,
    lower_triangle,
    mT,
)
from functrans.lax.promotion import broadcast_shapes
from functrans.lax.structural import pad, reshape

# ---------------------------------------------------------------- triangular_solve

triangular_solve_p = Primitive("triangular_solve")


def triangular_solve(
    a: Any, b: Any, *, left_side: bool = False, lower: bool = False, transpose_a: bool = False,
    conjugate_a: bool = False, unit_diagonal: bool = False,
) -> Any:  # fmt: skip
    """The solution of `x op(a) = b`, or of `op(a) x = b` with `left_side`, for triangular matrices `a`.

    Args:
        a: matrices of shape `(..., n, n)`; the triangle that does not count is not read.
        b: right-hand sides, matrices too; leading axes broadcast.
        left_side: whether `a` stands on the left of `x`.
        lower: whether the lower or the upper triangle of `a` counts.
        transpose_a, conjugate_a: what `op` does to `a`.
        unit_diagonal: take the diagonal for ones, and do not read it.

    >>> import functrans.lax as lax, numpy as np
    >>> a, b = np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([[2.0], [3.0]])
    >>> lax.linalg.triangular_solve(a, b, left_side=True, lower=True)
    Array([[1.],
           [2.]])
    """
    return triangular_solve_p.bind(
        a, b, left_side=left_side, lower=lower, transpose_a=transpose_a, conjugate_a=conjugate_a,
        unit_diagonal=unit_diagonal,
    )  # fmt: skip


def _triangular_abstract(a: ShapedArray, b: ShapedArray, *, left_side: bool, **params: Any) -> ShapedArray:
    check_square("triangular_solve", a)
    n = a.shape[-1]
    if b.ndim < 2 or b.shape[-2 if left_side else -1] != n:
        raise ShapeError(
            f"triangular_solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do not fit"
        )
    if a.dtype != b.dtype:
        raise DTypeError(f"triangular_solve: dtypes {a.dtype} and {b.dtype} differ; convert them to one")
    return ShapedArray((*broadcast_shapes("triangular_solve", [a.shape[:-2], b.shape[:-2]]), *b.shape[-2:]), b.dtype)


def _triangular_impl(
    a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
) -> Any:
    from scipy.linalg.blas import get_blas_funcs

    a, b = np.asarray(a), np.asarray(b)
    params = {"left_side": left_side}
    batch = _triangular_abstract(aval_of(a), aval_of(b), **params).shape[:-2]
    a, b = np.broadcast_to(a, batch + a.shape[-2:]), np.broadcast_to(b, batch + b.shape[-2:])
    if conjugate_a:
        a = a.conj()
    out = np.empty(b.shape, b.dtype)
    if out.size:
        trsm: Any = get_blas_funcs("trsm", (a, b))
        for i in np.ndindex(*batch):  # a zero on the diagonal gives infinities, as in compiled programs
            out[i] = trsm(
                1.0, a[i], b[i], side=not left_side, lower=lower, trans_a=int(transpose_a), diag=unit_diagonal
            )  # fmt: skip
    return wrap(out)


def _triangular_jvp(primals: Any, tangents: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool,
                    unit_diagonal: bool) -> Any:  # fmt: skip
    (a, b), (ta, tb) = primals, tangents
    params = {"left_side": left_side, "lower": lower, "transpose_a": transpose_a, "conjugate_a": conjugate_a,
              "unit_diagonal": unit_diagonal}  # fmt: skip
    x = triangular_solve_p.bind(a, b, **params)
    if ta is not None:
        ta = lower_triangle(ta, unit_diagonal) if lower else mT(lower_triangle(mT(ta), unit_diagonal))
        ta = mT(ta) if transpose_a else ta
        ta = ew.conj(ta) if conjugate_a else ta
        moved = ew.neg(matmul(ta, x) if left_side else matmul(x, ta))
        tb = moved if tb is None else tb + moved
    return x, triangular_solve_p.bind(a, tb, **params)


def _triangular_transpose(ct: Any, a: Any, b: Any, *, transpose_a: bool, **params: Any) -> list[Any]:
    out = triangular_solve_p.bind(a, ct, transpose_a=not transpose_a, **params)
    return [None, unbroadcast(out, b.aval)]


triangular_solve_p.impl = _triangular_impl
triangular_solve_p.abstract_eval = _triangular_abstract
triangular_solve_p.jvp = _triangular_jvp
triangular_solve_p.transpose = _triangular_transpose
triangular_solve_p.batch = batch_solver(triangular_solve_p)

# ---------------------------------------------------------------- solve

solve_p = Primitive("solve")


def solve(a: Any, b: Any) -> Any:
    """The solution of `a x = b` for square matrices `a` and matrices `b` of right-hand sides.

    Raises:
        numpy.linalg.LinAlgError: a matrix is singular.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.solve(np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[4.0], [2.0]]))
    Array([[1.],
           [2.]])
    """
    return solve_p.bind(a, b)


def _solve_abstract(a: ShapedArray, b: ShapedArray) -> ShapedArray:
    check_square("solve", a)
    if b.ndim < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"solve: matrices of shape {a.shape} and right-hand sides of shape {b.shape} do not fit")
    if a.dtype != b.dtype:
        raise DTypeError(f"solve: dtypes {a.dtype} and {b.dtype} differ; convert them to one")
    return ShapedArray((*broadcast_shapes("solve", [a.shape[:-2], b.shape[:-2]]), *b.shape[-2:]), b.dtype)


def _solve_jvp(primals: Any, tangents: Any) -> Any:
    (a, b), (ta, tb) = primals, tangents
    x = solve_p.bind(a, b)
    if ta is not None:
        moved = ew.neg(matmul(ta, x))
        tb = moved if tb is None else tb + moved
    return x, solve_p.bind(a, tb)


def _solve_impl(a: Any, b: Any) -> Any:
    _solve_abstract(aval_of(a), aval_of(b))  # NumPy would convert, and take a vector
    return wrap(np.linalg.solve(a, b))


solve_p.impl = _solve_impl
solve_p.abstract_eval = _solve_abstract
solve_p.jvp = _solve_jvp
solve_p.transpose = lambda ct, a, b: [None, unbroadcast(solve_p.bind(mT(a), ct), b.aval)]
solve_p.batch = batch_solver(solve_p)
solve_p.guard = guard_matrix(solve_p)


def inv(a: Any) -> Any:
    """The inverse of square matrices.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    aval = aval_of(a)
    check_square("inv", aval)
    return solve_p.bind(a, eye(aval.shape[-1], aval.dtype))


# ---------------------------------------------------------------- tridiagonal_solve

tridiagonal_solve_p = Primitive("tridiagonal_solve")


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """The solution of `a x = b` for tridiagonal matrices `a`, by Gaussian elimination with partial pivoting.

    Args:
        dl: below the diagonal, `a[i, i - 1] = dl[i]`; `dl[0]` is of no matter.
        d: the diagonal. All three have shape `(..., n)`.
        du: above the diagonal, `a[i, i + 1] = du[i]`; `du[-1]` is of no matter.
        b: right-hand sides of shape `(..., n, k)`.
        perturb_singular: of JAX, refused: singular matrices are an error.

    Raises:
        numpy.linalg.LinAlgError: a matrix is singular.

    >>> import functrans.lax as lax, numpy as np
    >>> d, e = np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0])
    >>> lax.linalg.tridiagonal_solve(e, d, e, np.array([[3.0], [4.0], [3.0]]))
    Array([[1.],
           [1.],
           [1.]])
    """
    if perturb_singular:
        raise ArgumentError("tridiagonal_solve does not perturb singular matrices: leave out perturb_singular")
    return tridiagonal_solve_p.bind(dl, d, du, b)


def _tridiagonal_abstract(dl: ShapedArray, d: ShapedArray, du: ShapedArray, b: ShapedArray) -> ShapedArray:
    check_dtype("tridiagonal_solve", b)
    if not dl.dtype == d.dtype == du.dtype == b.dtype:
        raise DTypeError(
            f"tridiagonal_solve: dtypes {dl.dtype}, {d.dtype}, {du.dtype} and {b.dtype} differ; convert them to one"
        )
    sizes = {x.shape[-1:] for x in (dl, d, du)}
    if b.ndim < 2 or sizes != {b.shape[-2:-1]}:
        raise ShapeError(
            f"tridiagonal_solve: diagonals of shapes {dl.shape}, {d.shape}, {du.shape} and right-hand sides of shape "
            f"{b.shape} do not fit"
        )
    batch = broadcast_shapes("tridiagonal_solve", [dl.shape[:-1], d.shape[:-1], du.shape[:-1], b.shape[:-2]])
    return ShapedArray((*batch, *b.shape[-2:]), b.dtype)


def _tridiagonal_impl(*operands: Any) -> Any:
    from scipy.linalg.lapack import get_lapack_funcs

    arrays = [np.asarray(x) for x in operands]
    aval = _tridiagonal_abstract(*map(aval_of, arrays))
    *diagonals, b = arrays
    batch = aval.shape[:-2]
    dl, d, du = (np.broadcast_to(x, batch + x.shape[-1:]) for x in diagonals)
    b = np.broadcast_to(b, aval.shape)
    out = np.empty(aval.shape, aval.dtype)
    gtsv: Any = get_lapack_funcs("gtsv", (b,))
    for i in np.ndindex(*batch) if out.size else ():
        if d.shape[-1] == 1:
            singular, out[i] = d[i][0] == 0, b[i] / (d[i] if d[i][0] else 1)
        else:
            *_, out[i], singular = gtsv(dl[i][1:], d[i], du[i][:-1], b[i])
        if singular:
            raise np.linalg.LinAlgError("Singular matrix")
    return wrap(out)


def _tridiagonal_jvp(primals: Any, tangents: Any) -> Any:
    (dl, d, du, b), (tl, td, tu, tb) = primals, tangents
    x = tridiagonal_solve_p.bind(dl, d, du, b)
    rows = aval_of(x).ndim - 2
    terms = [] if tb is None else [tb]
    if tl is not None:
        terms.append(ew.neg(ew.mul(as_column(tl), _shifted(x, 1, rows))))
    if td is not None:
        terms.append(ew.neg(ew.mul(as_column(td), x)))
    if tu is not None:
        terms.append(ew.neg(ew.mul(as_column(tu), _shifted(x, -1, rows))))
    return x, tridiagonal_solve_p.bind(dl, d, du, functools.reduce(ew.add, terms))


def _shifted(x: Any, by: int, axis: int) -> Any:
    """The elements moved along an axis by one place, with a zero where none comes from."""
    pads = [(0, 0, 0)] * aval_of(x).ndim
    pads[axis] = (by, -by, 0)
    return pad(x, aval_of(x).dtype.type(0), pads)


def _tridiagonal_transpose(ct: Any, dl: Any, d: Any, du: Any, b: Any) -> list[Any]:
    lower, upper = _shifted(du, 1, aval_of(du).ndim - 1), _shifted(dl, -1, aval_of(dl).ndim - 1)
    return [None, None, None, unbroadcast(tridiagonal_solve_p.bind(lower, d, upper, ct), b.aval)]


def _tridiagonal_batch(axis: Axis, args: list[Any], dims: list[Any]) -> Any:
    columns = [as_column(x) for x in args[:3]]  # of as many axes as the right-hand sides, which broadcast with them
    *columns, b = ew.align_batched([*columns, args[3]], dims)
    diagonals = [reshape(x, aval_of(x).shape[:-1]) for x in columns]
    return tridiagonal_solve_p.bind(*diagonals, b), 0


tridiagonal_solve_p.impl = _tridiagonal_impl
tridiagonal_solve_p.abstract_eval = _tridiagonal_abstract
tridiagonal_solve_p.jvp = _tridiagonal_jvp
tridiagonal_solve_p.transpose = _tridiagonal_transpose
tridiagonal_solve_p.batch = _tridiagonal_batch
