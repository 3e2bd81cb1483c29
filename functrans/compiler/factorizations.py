"""Triangular systems by BLAS and Cholesky factorizations by LAPACK, many at a time, in place where that is possible."""

from __future__ import annotations

import math

import numpy as np

from functrans.compiler.contractions import BLAS_DTYPES
from functrans.compiler.plan import Place, Planner, nbytes
from functrans.compiler.steps import Kernel
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.primitive import lookup

_TRIANGULAR = """# triangular_solve
from functrans.compiler.fortran import call_trsm
from functrans.compiler.intrinsics import load_i64, size


def kernel(buffers, sizes, lo, hi):
    x = load_i64(buffers)
    a = load_i64(buffers + 8)
    one = load_i64(buffers + 16)
    n = size(sizes, 5)
    rows = size(sizes, 6)
    columns = size(sizes, 7)
    pieces = size(sizes, 10)
    free = rows if size(sizes, 1) == {left} else columns
    for i in range(lo, hi):
        system = i // pieces
        start = (i % pieces) * free // pieces
        stop = (i % pieces + 1) * free // pieces
        at = x + system * size(sizes, 9)
        if size(sizes, 1) == {left}:
            m, k, at = columns, stop - start, at + start * columns * size(sizes, 11)
        else:
            m, k, at = stop - start, rows, at + start * size(sizes, 11)
        call_trsm(
            size(sizes, 0), size(sizes, 1), size(sizes, 2), size(sizes, 3), size(sizes, 4), m, k, one,
            a + system * size(sizes, 8), n, at, columns,
        )
""".replace("{left}", str(ord("L")))

_CHOLESKY = """# cholesky
from functrans.compiler.fortran import call_potrf
from functrans.compiler.intrinsics import load_i64, size, store_i64, zero_bytes


def kernel(buffers, sizes, lo, hi):
    x = load_i64(buffers)
    n = size(sizes, 2)
    width = size(sizes, 3)
    for i in range(lo, hi):
        matrix = x + i * n * n * width
        if call_potrf(size(sizes, 0), size(sizes, 1), n, matrix, n) != 0:
            store_i64(load_i64(buffers + 8), 1)
        for row in range(n):
            zero_bytes(matrix + (row * n + row + 1) * width, (n - row - 1) * width)
"""

#: A system with this much work is split into pieces of its right-hand sides, no smaller than that many.
_SPLIT_WORK, _SPLIT_COLUMNS, _PIECES = 1 << 18, 64, 8
#: Matrices from this size on are left to LAPACK's own threads.
_LARGE_MATRIX = 768


def emit_cholesky(p: Planner, eqn: Eqn) -> bool:
    """Factorize a copy in place; the lower triangle of a row-major matrix is the upper one of what LAPACK sees."""
    (a,), (out,) = eqn.inputs, eqn.outvars
    *batch, n = out.aval.shape[:-1]
    if out.aval.dtype not in BLAS_DTYPES or type(a) is not Var:
        return False
    from functrans.compiler import blas

    target = _own_copy(p, a, out)
    if not out.aval.size:
        return True
    count = math.prod(batch)
    sizes = (blas.routine("potrf", out.aval.dtype), ord("U"), n, out.aval.dtype.itemsize)
    work = count * n**3 // 3
    kernel = Kernel(
        _CHOLESKY, (out,), frozenset({out}), sizes, count, count > 1 and work > _SPLIT_WORK, work,
        ("Matrix is not positive definite" + (f", at {eqn.source}" if eqn.source else ""),), (eqn,),
        f"{count} Cholesky factorizations by LAPACK", error=np.linalg.LinAlgError,
    )  # fmt: skip
    (p.call_at if n >= _LARGE_MATRIX and count == 1 else p.call_blas_at)(kernel, [target])
    return True


def _own_copy(p: Planner, x: Atom, out: Var) -> Place:
    """The place of a result that is computed in place from an operand: the operand's if nothing reads it any more."""
    place = p.overwrite(x, out)
    if place is None:
        source, place = p.read(x), p.write(out)
        p.copy(place, source, nbytes(out.aval))
    return place


def emit_triangular_solve(p: Planner, eqn: Eqn) -> bool:
    """Copy the right-hand sides, solve in place.

    What is a row-major matrix here is its transpose to BLAS: `op(a) x = b` is solved as `x' op(a)' = b'`.
    """
    a, b = eqn.inputs
    (out,) = eqn.outvars
    params, dtype = eqn.params, out.aval.dtype
    conjugate = params["conjugate_a"] and dtype.kind == "c"
    if dtype not in BLAS_DTYPES or type(a) is not Var or (conjugate and not params["transpose_a"]):
        return False
    from functrans.compiler import blas

    batch = out.aval.shape[:-2]
    count = math.prod(batch)
    matrix = a.aval.shape[-2:]
    a_place = p.read(a)
    if math.prod(a.aval.shape[:-2]) not in (1, count):
        a_place = broadcast(p, a, a_place, (*batch, *matrix))
    one = p.read(Literal(dtype.type(1), ShapedArray((), dtype)))
    if b.aval.size == out.aval.size:
        target = _own_copy(p, b, out)
    else:
        source = broadcast(p, b, p.read(b), out.aval.shape)
        target = p.write(out)
        p.copy(target, source, nbytes(out.aval))
    if not out.aval.size:
        return True
    rows, columns = out.aval.shape[-2:]
    trans = "N" if not params["transpose_a"] else "C" if conjugate else "T"
    codes = ("R" if params["left_side"] else "L", "U" if params["lower"] else "L", trans)
    step = 0 if math.prod(a.aval.shape[:-2]) == 1 else matrix[0] * matrix[1] * dtype.itemsize
    work = out.aval.size * matrix[0]
    free = columns if params["left_side"] else rows
    pieces = max(min(free // _SPLIT_COLUMNS, _PIECES), 1) if count < _PIECES and work > _SPLIT_WORK else 1
    sizes = (
        blas.routine("trsm", dtype), *map(ord, codes), ord("U" if params["unit_diagonal"] else "N"), matrix[0],
        rows, columns, step, rows * columns * dtype.itemsize, pieces, dtype.itemsize,
    )  # fmt: skip
    buffers = (out, a, Var(ShapedArray((), dtype)))
    kernel = Kernel(
        _TRIANGULAR, buffers, frozenset({out}), sizes, count * pieces, count * pieces > 1 and work > 1 << 15, work, (),
        (eqn,), f"{count} triangular systems by BLAS",
    )  # fmt: skip
    p.call_blas_at(kernel, [target, a_place, one])
    return True


def broadcast(p: Planner, atom: Atom, place: Place, shape: tuple[int, ...]) -> Place:
    """A copy of an operand for each element of a batch."""
    x, y = Var(atom.aval), Var(ShapedArray(shape, atom.aval.dtype))
    dims = tuple(range(len(shape) - atom.aval.ndim, len(shape)))
    spread = Eqn(lookup("broadcast_in_dim"), (x,), (y,), {"shape": shape, "broadcast_dimensions": dims})
    (place,) = p.block(Jaxpr((), (x,), (spread,), (y,)), {x: place}, [None])
    return place
