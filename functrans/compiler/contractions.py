"""Contractions: `dot_general` as matrix products by BLAS, or as loops where BLAS has nothing to offer.

BLAS multiplies matrices with one unit stride. Runs of axes that lie side by side in memory count as one axis, so most
contractions need no copy: operands are read transposed, batches with a stride. Otherwise an operand is first
transposed into place. Contractions of integers, and tiny ones, become a product and a sum, and fuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from functrans.compiler.plan import Gemm, Place, Planner, Zero, nbytes
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.primitive import lookup

BLAS_DTYPES = frozenset(map(np.dtype, "fdFD"))

#: Up to this many multiplications a product, a fused loop beats a call of BLAS.
SMALL = 256

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Contraction:
    """Axes of the two operands by role, and the sizes of the matrices: `batch` of `m, k` times `k, n`."""

    batch_dims: tuple[Dims, Dims]
    free_dims: tuple[Dims, Dims]
    contract_dims: tuple[Dims, Dims]
    batch: int
    m: int
    n: int
    k: int


def contraction_of(eqn: Eqn) -> Contraction:
    a, b = (x.aval for x in eqn.inputs)
    (contract, batch) = eqn.params["dimension_numbers"]
    contract, batch = tuple(map(tuple, contract)), tuple(map(tuple, batch))
    free = tuple(
        tuple(d for d in range(x.ndim) if d not in contract[i] and d not in batch[i]) for i, x in enumerate((a, b))
    )
    return Contraction(
        batch, free, contract,  # type: ignore[arg-type]
        _size(a.shape, batch[0]), _size(a.shape, free[0]), _size(b.shape, free[1]), _size(a.shape, contract[0]),
    )  # fmt: skip


def _size(shape: Sequence[int], dims: Dims) -> int:
    size = 1
    for d in dims:
        size *= shape[d]
    return size


# ------------------------------------------------------------------ BLAS


def emit_contraction(p: Planner, eqn: Eqn) -> bool:
    """The instructions of a contraction of floats or complex numbers."""
    out = eqn.outvars[0]
    if out.aval.dtype not in BLAS_DTYPES or any(a.aval.dtype != out.aval.dtype for a in eqn.inputs):
        return False
    c = contraction_of(eqn)
    places = [p.read(a) for a in eqn.inputs]
    target = p.write(out)
    if out.aval.size == 0:
        return True
    if c.k == 0:
        p.emit(Zero(target.slot, nbytes(out.aval)), target)
        return True
    order = _contract_order(eqn, c)
    contract = [tuple(c.contract_dims[i][j] for j in order) for i in range(2)]
    a_place, a = _operand(p, eqn.inputs[0], places[0], c.batch_dims[0], c.free_dims[0], contract[0])
    b_place, b = _operand(p, eqn.inputs[1], places[1], c.batch_dims[1], contract[1], c.free_dims[1])
    instruction = Gemm(
        out.aval.dtype, a_place.slot, b_place.slot, target.slot, c.m, c.n, c.k, a.transposed, b.transposed,
        a.leading, b.leading, c.n, c.batch, a.batch_stride, b.batch_stride, c.m * c.n,
    )  # fmt: skip
    p.emit(instruction, a_place, b_place, target)
    p.count(2.0 * c.batch * c.m * c.n * c.k, out.aval, *(x.aval for x in eqn.inputs))
    return True


@dataclass(frozen=True)
class Matrices:
    """How BLAS reads an operand: `transposed` says that the stored rows are the matrix' columns."""

    transposed: bool
    leading: int
    batch_stride: int


def _operand(
    p: Planner, atom: Atom, place: Place, batch: Dims, rows: Dims, columns: Dims
) -> tuple[Place, Matrices]:
    """An operand as matrices where it lies, or a copy of it with its axes in order."""
    found = matrices(atom.aval.shape, batch, rows, columns)
    if found is None:
        order = (*batch, *rows, *columns)
        shape = tuple(atom.aval.shape[d] for d in order)
        x, y = Var(atom.aval), Var(ShapedArray(shape, atom.aval.dtype))
        move = Eqn(lookup("transpose"), (x,), (y,), {"permutation": order})
        (place,) = p.block(Jaxpr((), (x,), (move,), (y,)), {x: place}, [None])
        nb, nr = len(batch), len(rows)
        dims = tuple(range(len(order)))
        found = matrices(shape, dims[:nb], dims[nb : nb + nr], dims[nb + nr :])
        assert found is not None
    return place, found


def matrices(shape: Sequence[int], batch: Dims, rows: Dims, columns: Dims) -> Matrices | None:
    """How BLAS can read a contiguous array as a batch of matrices; `None` if it cannot."""
    strides = _strides(shape)
    runs = [_merge(shape, strides, dims) for dims in (batch, rows, columns)]
    if any(run is None for run in runs):
        return None
    (_, batch_stride), (m, row_stride), (n, column_stride) = runs  # type: ignore[misc]
    if n == 1 or column_stride == 1:
        leading = row_stride if m > 1 else n
        if leading >= n:
            return Matrices(False, leading, batch_stride)
    if m == 1 or row_stride == 1:
        leading = column_stride if n > 1 else m
        if leading >= m:
            return Matrices(True, leading, batch_stride)
    return None


def _strides(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return strides


def _merge(shape: Sequence[int], strides: Sequence[int], dims: Dims) -> tuple[int, int] | None:
    """Axes as one axis, outermost first: its size and stride; `None` if they do not lie so."""
    size, stride = 1, 0
    for d in dims:
        if shape[d] == 1:
            continue
        if size > 1 and stride != shape[d] * strides[d]:
            return None
        size, stride = size * shape[d], strides[d]
    return size, stride


def _contract_order(eqn: Eqn, c: Contraction) -> Sequence[int]:
    """The order of the contracted axes in which the operands can be read in place, if there is one."""
    count = range(len(c.contract_dims[0]))
    shapes = [a.aval.shape for a in eqn.inputs]
    orders: list[Sequence[int]] = [
        count,
        sorted(count, key=lambda j: c.contract_dims[0][j]),
        sorted(count, key=lambda j: c.contract_dims[1][j]),
    ]

    def copies(order: Sequence[int]) -> int:
        left, right = (tuple(c.contract_dims[i][j] for j in order) for i in range(2))
        a = matrices(shapes[0], c.batch_dims[0], c.free_dims[0], left)
        b = matrices(shapes[1], c.batch_dims[1], right, c.free_dims[1])
        return (a is None) * _size(shapes[0], range(len(shapes[0]))) + (b is None) * _size(  # type: ignore[arg-type]
            shapes[1], range(len(shapes[1]))  # type: ignore[arg-type]
        )

    return min(orders, key=copies)


# ------------------------------------------------------------------ loops


def with_loops(jaxpr: Jaxpr) -> Jaxpr:
    """The program with contractions that BLAS should not do as a product and a sum."""
    if not any(e.primitive.name == "dot_general" and wants_loops(e) for e in jaxpr.eqns):
        return jaxpr
    eqns: list[Eqn] = []
    for eqn in jaxpr.eqns:
        eqns += as_loops(eqn) if eqn.primitive.name == "dot_general" and wants_loops(eqn) else [eqn]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def wants_loops(eqn: Eqn) -> bool:
    out = eqn.outvars[0].aval
    if any(type(a) is Literal for a in eqn.inputs) or out.dtype not in BLAS_DTYPES:
        return True
    if any(a.aval.dtype != out.dtype for a in eqn.inputs):
        return True
    c = contraction_of(eqn)
    return c.m * c.n * c.k <= SMALL


def as_loops(eqn: Eqn) -> list[Eqn]:
    """`dot_general` as broadcasts, a product and a sum over the contracted axes (which come last)."""
    c = contraction_of(eqn)
    out = eqn.outvars[0].aval
    shapes = [a.aval.shape for a in eqn.inputs]
    batch_shape = tuple(shapes[0][d] for d in c.batch_dims[0])
    free_shapes = [tuple(shapes[i][d] for d in c.free_dims[i]) for i in range(2)]
    contract_shape = tuple(shapes[0][d] for d in c.contract_dims[0])
    shape = (*batch_shape, *free_shapes[0], *free_shapes[1], *contract_shape)
    dtype = np.dtype(np.float32) if out.dtype == np.float16 else out.dtype
    eqns: list[Eqn] = []

    def apply(name: str, *inputs: Atom, aval: ShapedArray, **params: object) -> Var:
        var = Var(aval)
        eqns.append(Eqn(lookup(name), inputs, (var,), params, eqn.source))
        return var

    factors: list[Atom] = []
    nb, nf, nk = len(batch_shape), [len(s) for s in free_shapes], len(contract_shape)
    for i, atom in enumerate(eqn.inputs):
        if atom.aval.dtype != dtype:
            atom = apply(
                "convert_element_type", atom, aval=ShapedArray(atom.aval.shape, dtype), new_dtype=dtype, weak_type=False
            )
        order = (*c.batch_dims[i], *c.free_dims[i], *c.contract_dims[i])
        if order != tuple(range(len(order))):
            moved = tuple(shapes[i][d] for d in order)
            atom = apply("transpose", atom, aval=ShapedArray(moved, dtype), permutation=order)
        start = nb + (nf[0] if i else 0)
        dims = (*range(nb), *range(start, start + nf[i]), *range(nb + sum(nf), nb + sum(nf) + nk))
        if dims != tuple(range(len(shape))):
            atom = apply(
                "broadcast_in_dim", atom, aval=ShapedArray(shape, dtype), shape=shape, broadcast_dimensions=dims
            )
        factors.append(atom)
    total: Atom = apply("mul", *factors, aval=ShapedArray(shape, dtype))
    if nk:
        axes = tuple(range(len(shape) - nk, len(shape)))
        reduce = "reduce_or" if dtype.kind == "b" else "reduce_sum"
        total = apply(reduce, total, aval=ShapedArray(out.shape, dtype), axes=axes)
    if dtype != out.dtype:
        total = apply("convert_element_type", total, aval=out.strong(), new_dtype=out.dtype, weak_type=False)
    return [*eqns[:-1], eqns[-1].replace(outvars=eqn.outvars)]
