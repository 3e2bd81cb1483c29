"""Triangular systems by BLAS, many at a time; NumPy's other factorizations are native loops over batches already."""

from __future__ import annotations

import math

from functrans.compiler.contractions import BLAS_DTYPES
from functrans.compiler.plan import Place, Planner, nbytes
from functrans.compiler.steps import Kernel
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.primitive import lookup

_SOURCE = """# triangular_solve
from functrans.compiler.fortran import call_trsm
from functrans.compiler.intrinsics import load_i64, size


def kernel(buffers, sizes, lo, hi):
    x = load_i64(buffers)
    a = load_i64(buffers + 8)
    one = load_i64(buffers + 16)
    n = size(sizes, 5)
    rows = size(sizes, 6)
    columns = size(sizes, 7)
    for i in range(lo, hi):
        call_trsm(
            size(sizes, 0), size(sizes, 1), size(sizes, 2), size(sizes, 3), size(sizes, 4), columns, rows, one,
            a + i * size(sizes, 8), n, x + i * size(sizes, 9), columns,
        )
"""


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
    a_place, b_place = p.read(a), p.read(b)
    if math.prod(a.aval.shape[:-2]) not in (1, count):
        a_place = _broadcast(p, a, a_place, (*batch, *matrix))
    if b.aval.size != out.aval.size:
        b_place = _broadcast(p, b, b_place, out.aval.shape)
    one = p.read(Literal(dtype.type(1), ShapedArray((), dtype)))
    target = p.write(out)
    if not out.aval.size:
        return True
    p.copy(target, b_place, nbytes(out.aval))
    rows, columns = out.aval.shape[-2:]
    trans = "N" if not params["transpose_a"] else "C" if conjugate else "T"
    codes = ("R" if params["left_side"] else "L", "U" if params["lower"] else "L", trans)
    step = 0 if math.prod(a.aval.shape[:-2]) == 1 else matrix[0] * matrix[1] * dtype.itemsize
    sizes = (
        blas.routine("trsm", dtype), *map(ord, codes), ord("U" if params["unit_diagonal"] else "N"), matrix[0],
        rows, columns, step, rows * columns * dtype.itemsize,
    )  # fmt: skip
    work = out.aval.size * matrix[0]
    buffers = (out, a, Var(ShapedArray((), dtype)))
    kernel = Kernel(
        _SOURCE, buffers, frozenset({out}), sizes, count, count > 1 and work > 1 << 15, work, (), (eqn,),
        f"{count} triangular systems by BLAS",
    )  # fmt: skip
    p.call_at(kernel, [target, a_place, one])
    return True


def _broadcast(p: Planner, atom: Atom, place: Place, shape: tuple[int, ...]) -> Place:
    """A copy of an operand for each element of a batch."""
    x, y = Var(atom.aval), Var(ShapedArray(shape, atom.aval.dtype))
    dims = tuple(range(len(shape) - atom.aval.ndim, len(shape)))
    spread = Eqn(lookup("broadcast_in_dim"), (x,), (y,), {"shape": shape, "broadcast_dimensions": dims})
    (place,) = p.block(Jaxpr((), (x,), (spread,), (y,)), {x: place}, [None])
    return place
