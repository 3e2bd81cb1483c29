"""Contractions: `dot_general` as matrix products by BLAS, or as loops where BLAS has nothing to offer.

BLAS multiplies matrices with one unit stride. Runs of axes that lie side by side in memory count as one axis, so most
contractions need no copy: operands are read transposed, batches with a stride. Otherwise an operand is first
transposed into place. Contractions of integers, and tiny ones, become a product and a sum, and fuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans.compiler.plan import (
    AddCounter,
    Gemm,
    JumpIfLess,
    Mark,
    MoveSlot,
    Place,
    Planner,
    SetCounter,
    Zero,
    nbytes,
)
from functrans.compiler.rewriting import Variant
from functrans.core.avals import SMALL_FLOATS, ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.primitive import Primitive, lookup

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


def emit_contraction(p: Planner, eqn: Eqn, dtypes: frozenset[np.dtype] = BLAS_DTYPES) -> bool:
    """The instructions of a contraction of the types that BLAS has."""
    if not _is_for_blas(eqn, eqn.inputs, dtypes):
        return False
    sources = [p.read(a) for a in eqn.inputs]
    target = p.write(eqn.outvars[0])
    if contraction_of(eqn).k == 0:
        p.emit(Zero(target.slot, nbytes(eqn.outvars[0].aval)), target)
    else:
        _multiply(p, eqn, sources, target)
    return True


def emit_accumulation(p: Planner, eqn: Eqn) -> bool:
    """A sum `x + scale * (a @ b)`: the product is added to `x` where it lies, or to a copy of it."""
    x, *factors = eqn.inputs
    product = eqn.replace(inputs=factors)
    scale = eqn.params["scale"]
    sources = [p.read(a) for a in factors]
    target = p.updated(x, eqn.outvars[0])
    if contraction_of(product).k:
        _multiply(p, product, sources, target, accumulate=True, scale=scale)
    return True


def _is_for_blas(eqn: Eqn, factors: Sequence[Atom], dtypes: frozenset[np.dtype]) -> bool:
    dtype = eqn.outvars[0].aval.dtype
    return dtype in dtypes and all(a.aval.dtype == dtype and type(a) is Var for a in factors)


def _multiply(
    p: Planner, eqn: Eqn, sources: Sequence[Place], target: Place, accumulate: bool = False, scale: float = 1.0
) -> None:
    """Matrix products, one for each element of the batch; by a loop where a batch has no single stride."""
    out, c = eqn.outvars[0].aval, contraction_of(eqn)
    if out.size == 0:
        return
    layout = min(_layouts(eqn, c), key=lambda found: found.copied)
    operands = []
    for i, (atom, place, dims) in enumerate(zip(eqn.inputs, sources, layout.dims)):
        x = layout.operands[i]
        if x is None:
            place, x = _transposed(p, atom, place, dims)
        operands.append((place, x))
    (a_place, a), (b_place, b) = operands
    outer, inner = layout.outer, c.batch // max(layout.outer, 1)
    strides = [a.outer_stride, b.outer_stride, inner * c.m * c.n]
    places = [a_place, b_place, target]
    if outer > 1:
        own = [Place(p.slot(), place.buffers) for place in places]
        for new, place in zip(own, places):
            p.emit(MoveSlot(new.slot, place.slot, 0), place)
        counter, top = p.counter(), p.label()
        p.emit(SetCounter(counter, 0))
        p.enter_loop(outer)
        p.emit(Mark(top))
        places = own
    product = Gemm(
        out.dtype, places[0].slot, places[1].slot, places[2].slot, c.m, c.n, c.k, a.transposed, b.transposed,
        a.leading, b.leading, c.n, inner, a.batch_stride, b.batch_stride, c.m * c.n, accumulate, scale,
    )  # fmt: skip
    p.emit(product, *places)
    if outer > 1:
        for place, stride in zip(places, strides):
            p.emit(MoveSlot(place.slot, place.slot, stride * out.dtype.itemsize), place)
        p.emit(AddCounter(counter, 1))
        p.emit(JumpIfLess(counter, outer, top))
        p.leave_loop()
    p.count(out, *(x.aval for x in eqn.inputs))


@dataclass(frozen=True)
class Matrices:
    """How BLAS reads an operand: `transposed` says that the stored rows are the matrix' columns."""

    transposed: bool
    leading: int
    batch_stride: int
    outer_stride: int


@dataclass(frozen=True)
class Layout:
    """A way to do a contraction: axes of the operands in order, how each can be read in place, elements to copy."""

    dims: tuple[tuple[Dims, Dims, Dims, Dims], ...]  # for each operand: outer batch, batch, rows, columns
    operands: tuple[Matrices | None, ...]
    outer: int
    copied: int


def _layouts(eqn: Eqn, c: Contraction) -> Iterator[Layout]:
    """Ways to do a contraction: contracted axes in another order, the first batch axes in a loop; best first."""
    shapes = [a.aval.shape for a in eqn.inputs]
    count = range(len(c.contract_dims[0]))
    orders: list[Sequence[int]] = [count]
    orders += [sorted(count, key=lambda j, i=i: c.contract_dims[i][j]) for i in range(2)]  # type: ignore[misc]
    for split in range(len(c.batch_dims[0]) + 1):
        for order in orders:
            dims = []
            for i in range(2):
                contract = tuple(c.contract_dims[i][j] for j in order)
                matrix = (c.free_dims[0], contract) if i == 0 else (contract, c.free_dims[1])
                dims.append((c.batch_dims[i][:split], c.batch_dims[i][split:], *matrix))
            found = [matrices(shape, *group) for shape, group in zip(shapes, dims)]
            copied = sum(_size(s, tuple(range(len(s)))) for s, x in zip(shapes, found) if x is None)
            yield Layout(tuple(dims), tuple(found), _size(shapes[0], c.batch_dims[0][:split]), copied)
            if not copied:
                return


def _transposed(p: Planner, atom: Atom, place: Place, dims: tuple[Dims, ...]) -> tuple[Place, Matrices]:
    """A copy of an operand with its axes in order."""
    order = tuple(d for group in dims for d in group)
    shape = tuple(atom.aval.shape[d] for d in order)
    x, y = Var(atom.aval), Var(ShapedArray(shape, atom.aval.dtype))
    move = Eqn(lookup("transpose"), (x,), (y,), {"permutation": order})
    (place,) = p.block(Jaxpr((), (x,), (move,), (y,)), {x: place}, [None])
    groups, position = [], 0
    for group in dims:
        groups.append(tuple(range(position, position + len(group))))
        position += len(group)
    found = matrices(shape, *groups)
    assert found is not None
    return place, found


def matrices(shape: Sequence[int], outer: Dims, batch: Dims, rows: Dims, columns: Dims) -> Matrices | None:
    """How BLAS can read a contiguous array as batches of matrices; `None` if it cannot."""
    strides = _strides(shape)
    runs = [_merge(shape, strides, dims) for dims in (outer, batch, rows, columns)]
    if any(run is None for run in runs):
        return None
    (_, outer_stride), (_, batch_stride), (m, row_stride), (n, column_stride) = runs  # type: ignore[misc]
    if n == 1 or column_stride == 1:
        leading = row_stride if m > 1 else n
        if leading >= n:
            return Matrices(False, leading, batch_stride, outer_stride)
    if m == 1 or row_stride == 1:
        leading = column_stride if n > 1 else m
        if leading >= m:
            return Matrices(True, leading, batch_stride, outer_stride)
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


# ------------------------------------------------------------------ sums of products


def _accumulation(product: Primitive) -> Primitive:
    """`x + scale * dot_general(a, b)`."""
    impl = lambda x, a, b, *, scale, **params: x + x.dtype.type(scale) * product.impl(a, b, **params)
    return Variant(product, name="dot_general_add", impl=impl)


def with_accumulation(jaxpr: Jaxpr) -> Jaxpr:
    """The program with `x + a @ b`, or `x - c * (a @ b)`, as one equation.

    Where `x` lies in memory anyway, and nothing fuses with the sum.
    """
    uses: dict[Atom, int] = {}
    for atom in (*(a for e in jaxpr.eqns for a in e.inputs), *jaxpr.outvars):
        uses[atom] = uses.get(atom, 0) + 1
    arguments, results = set(jaxpr.invars), set(jaxpr.outvars)
    products: dict[Atom, tuple[Eqn, float, list[Eqn]]] = {}  # the product, its factor, and the equations in between
    stored: set[Atom] = set()  # results of products, of which nothing else is made
    replaced: dict[Eqn, Eqn | None] = {}
    for eqn in jaxpr.eqns:
        out = eqn.outvars[0] if eqn.outvars else None
        if out is None:
            continue
        if eqn.primitive.name == "dot_general" and not wants_loops(eqn) and uses.get(out, 0) == 1:
            products[out] = (eqn, 1.0, [])
            stored.add(out)
        elif eqn.primitive.name in ("mul", "neg") and uses.get(out, 0) == 1:
            scaled = _scaled(eqn, products)
            if scaled is not None:
                products[out] = scaled
        elif eqn.primitive.name in ("add", "sub"):
            sign = 1.0 if eqn.primitive.name == "add" else -1.0
            for x, y in (eqn.inputs, eqn.inputs[::-1]) if sign > 0 else (eqn.inputs,):
                if y not in products or x.aval.shape != out.aval.shape or type(x) is not Var:
                    continue
                if x in stored or (x in arguments and out in results):
                    product, scale, between = products.pop(y)
                    new = _accumulation(product.primitive)
                    params = {**product.params, "scale": sign * scale}
                    replaced.update(dict.fromkeys((product, *between)))
                    replaced[eqn] = Eqn(new, (x, *product.inputs), eqn.outvars, params, eqn.source)
                    products.pop(x, None)
                    if uses.get(out, 0) == 1:
                        stored.add(out)
                    break
    if not replaced:
        return jaxpr
    eqns = [kept for e in jaxpr.eqns if (kept := replaced.get(e, e)) is not None]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def _scaled(eqn: Eqn, products: dict[Atom, tuple[Eqn, float, list[Eqn]]]) -> tuple[Eqn, float, list[Eqn]] | None:
    """A product times a real constant, or its negative."""
    factor: Any = -1.0
    (y,) = (a for a in eqn.inputs if type(a) is Var) if sum(type(a) is Var for a in eqn.inputs) == 1 else (None,)
    if eqn.primitive.name == "mul":
        factor = next((a.value for a in eqn.inputs if type(a) is Literal), None)
    if y not in products or factor is None or y.aval.shape != eqn.outvars[0].aval.shape:
        return None
    if np.iscomplexobj(factor) or not np.isfinite(factor):
        return None
    product, scale, between = products.pop(y)
    return product, scale * float(factor), [*between, eqn]


# ------------------------------------------------------------------ loops


def with_loops(jaxpr: Jaxpr, dtypes: frozenset[np.dtype] = BLAS_DTYPES) -> Jaxpr:
    """The program with contractions that BLAS, which has these types, should not do as a product and a sum."""
    if not any(e.primitive.name == "dot_general" and wants_loops(e, dtypes) for e in jaxpr.eqns):
        return jaxpr
    eqns: list[Eqn] = []
    for eqn in jaxpr.eqns:
        eqns += as_loops(eqn) if eqn.primitive.name == "dot_general" and wants_loops(eqn, dtypes) else [eqn]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def wants_loops(eqn: Eqn, dtypes: frozenset[np.dtype] = BLAS_DTYPES) -> bool:
    out = eqn.outvars[0].aval
    if any(type(a) is Literal for a in eqn.inputs) or out.dtype not in dtypes:
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
    dtype = np.dtype(np.float32) if out.dtype in SMALL_FLOATS else out.dtype
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
