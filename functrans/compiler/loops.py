"""Schedules: from a jaxpr to kernels and opaque steps, in the order in which they run.

`fusion.py` decides which equations share a kernel; here each of its clusters becomes a loop nest, by asking the rules
of its primitives for the elements of its results, and `source.py` writes the nest as text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from functrans.compiler.fusion import OTHER, Axis, Cluster, Fusion, Item, Map
from functrans.compiler.nodes import INT64, UNROLL_LIMIT, KernelBuilder, Node
from functrans.compiler.source import Nest, Store, reachable, write
from functrans.compiler.steps import Kernel, Opaque
from functrans.core.avals import SMALL_FLOATS, ShapedArray, dtype_name
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.transforms.simplify import may_be_size

#: Columns that a reduction over leading axes sums up at a time.
COLUMNS = 512


#: From so many operations on a kernel is worth several threads (tens of microseconds on one), and what reading or
#: writing an element counts for in that: arithmetic is done for several elements at once, memory is slower.
PARALLEL, ACCESS = 1 << 18, 4
#: Most loop nests in one kernel, and the most equations in them.
MOST_NESTS, MOST_EQUATIONS = 6, 100


def schedule(jaxpr: Jaxpr, apart: bool = False) -> list[Kernel | Opaque]:
    """The steps of a program, in execution order; `apart`: with a kernel for each loop nest."""
    steps: list[Kernel | Opaque] = []
    clusters: dict[int, Cluster] = {}
    fusion = Fusion(jaxpr)
    for vertex in fusion.run():
        if isinstance(vertex, Item):
            steps.append(Opaque(vertex.eqn))
        elif any(v.aval.size for v in vertex.roots):
            clusters[len(steps)] = vertex
            steps.append(kernel_of([vertex], fusion.why))
    return steps if apart else in_sequence(steps, clusters, fusion.why)


def in_sequence(
    steps: list[Kernel | Opaque], clusters: dict[int, Cluster], why: dict[Var, str]
) -> list[Kernel | Opaque]:
    """Small kernels that follow one another as one, unless their text serves several of them: fewer to compile."""
    texts = Counter(step.source for step in steps if isinstance(step, Kernel))
    out: list[Kernel | Opaque] = []
    run: list[int] = []

    def close() -> None:
        if len(run) > 1:
            out.append(kernel_of([clusters[i] for i in run], why))
        else:
            out.extend(steps[i] for i in run)
        run.clear()

    for i, step in enumerate(steps):
        if isinstance(step, Opaque) or step.parallel or texts[step.source] > 1 or clusters[i].kind == "part":
            close()
            out.append(step)
            continue
        equations = sum(len(clusters[j].items) for j in (*run, i))
        if len(run) == MOST_NESTS or equations > MOST_EQUATIONS:
            close()
        run.append(i)
    close()
    return out


def kernel_of(clusters: Sequence[Cluster], why: dict[Var, str]) -> Kernel:
    """The kernel of a cluster, or of several that run one after another on one thread."""
    nests = [LOWERINGS[c.kind](c) for c in clusters]
    if len(nests) > 1:
        for nest in nests:
            nest.serial = True
    eqns = tuple(dict.fromkeys(i.eqn for c in clusters for i in in_program_order(c)))
    text = write(nests, comments(eqns))
    operations, accesses = map(sum, zip(*map(work_of, clusters)))
    return Kernel(
        source=text.source,
        buffers=text.buffers,
        writes=text.writes,
        sizes=text.sizes,
        extent=text.extent,
        parallel=text.extent > 1 and operations + ACCESS * accesses > PARALLEL,
        work=operations + accesses,
        checks=text.checks,
        eqns=eqns,
        note="; ".join(map(note, clusters)),
        rows=rows_of(clusters, text.extent),
        why=tuple((v, why[v]) for v in text.buffers if v in text.writes and v in why),
        replaces=text.replaces,
    )


def rows_of(clusters: Sequence[Cluster], extent: int) -> int:
    """The first axis of a kernel's frame, if that is its outermost loop."""
    c = clusters[0]
    if len(clusters) > 1 or c.kind != "map" or c.serial or not c.loops or c.loops[0] != 0:
        return 0
    return c.frame[0] if extent > 1 and extent % c.frame[0] == 0 else 0


def in_program_order(c: Cluster) -> list[Item]:
    return sorted(c.items.values(), key=lambda i: i.position)


def work_of(c: Cluster) -> tuple[int, int]:
    """About how many scalar operations a cluster makes, and how many elements it reads and writes."""
    items = c.items.values()
    operations = sum(max(i.cost, i.kind != "map") * max(i.out.aval.size, _reduced_size(i)) for i in items)
    read = {a for i in items for a in i.inputs if isinstance(a, Var) and a not in c.items}
    return operations, sum(v.aval.size for v in (*read, *c.roots))


def _reduced_size(item: Item) -> int:
    return 0 if item.kind == "map" else item.inputs[0].aval.size


def note(c: Cluster) -> str:
    if c.kind == "tiny":
        return "scalars, written out"
    if c.kind == "part":
        if not c.part[1]:
            return "reductions over leading axes, by blocks of columns"
        return "partial results of reductions over " + ("leading axes" if c.part[2] else "all of an array")
    return f"one loop nest over {c.frame}" + (", with reductions inside" if c.reduce_axes else "")


def comments(eqns: Sequence[Eqn]) -> list[str]:
    """The equations as lines of text that say nothing of sizes."""
    names: dict[Var, str] = {}

    def name(atom: Atom) -> str:
        if isinstance(atom, Literal):
            value = np.asarray(atom.value)[()]
            return "n" if may_be_size(value) else str(value)
        return names.setdefault(atom, f"v{len(names)}")

    lines = []
    for eqn in eqns:
        right = " ".join([eqn.primitive.name, *map(name, eqn.inputs)])
        lines.append(f"{name(eqn.outvars[0])}:{dtype_name(eqn.outvars[0].aval.dtype)} = {right}")
    return lines


# ---------------------------------------------------------------- elements


class Operand:
    """An operand as rules see it: `at` gives the node of an element."""

    __slots__ = ("_lowering", "atom", "aval")

    def __init__(self, lowering: Lowering, atom: Atom):
        self._lowering, self.atom, self.aval = lowering, atom, atom.aval

    def at(self, *idx: Node) -> Node:
        return self._lowering.element(self.atom, idx)


class Lowering:
    """Nodes of the elements of a cluster's variables."""

    def __init__(self, cluster: Cluster):
        self.cluster = cluster
        self.k = KernelBuilder()
        self.axes: dict[Axis, Node] = {}
        self.order: list[Node] = []
        self.memo: dict[Any, Node] = {}
        self.zero = self.k.const(0, INT64)

    def axis(self, axis: Axis) -> Node:
        """The index along an axis of the cluster."""
        node = self.axes.get(axis)
        if node is None:
            node = self.axes[axis] = self.loop(self.cluster.extent(axis))
        return node

    def loop(self, extent: int) -> Node:
        if extent == 1:
            return self.zero
        node = self.k.variable(extent)
        self.order.append(node)
        return node

    def index(self, m: Map) -> tuple[Node, ...]:
        return tuple(self.zero if a is None else self.axis(a) for a in m)

    def element(self, atom: Atom, idx: Sequence[Node]) -> Node:
        if isinstance(atom, Literal):
            return self.literal(atom)
        idx = tuple(self.zero if n == 1 else self.k.index(i) for i, n in zip(idx, atom.aval.shape))
        key = (atom, *[i.serial for i in idx])
        node = self.memo.get(key)
        if node is None:
            node = self.memo[key] = self.compute(atom, idx)
        return node

    def literal(self, atom: Literal) -> Node:
        """A constant; large whole numbers are arguments: often they are sizes, as in a mean."""
        dtype, value = atom.aval.dtype, np.asarray(atom.value).astype(atom.aval.dtype)[()]
        if may_be_size(value):
            return self.k.convert(self.k.size(int(value)), dtype)
        return self.k.const(value, dtype)

    def compute(self, var: Var, idx: tuple[Node, ...]) -> Node:
        item = self.cluster.items.get(var)
        if item is None or item.kind == "part":
            return self.load(var, idx)
        if item.kind == "map":
            operands = [Operand(self, a) for a in item.inputs]
            node = item.eqn.primitive.lower(self.k, idx, *operands, **item.eqn.params)  # type: ignore[misc]
            return self.k.convert(node, var.aval.dtype)
        return self.reduction(item, idx)

    def load(self, var: Var, idx: tuple[Node, ...]) -> Node:
        shape = var.aval.shape
        if 0 in shape:
            return self.k.const(0, var.aval.dtype)
        inside = all(i.bounds is not None and i.bounds[0] >= 0 and i.bounds[1] < n for i, n in zip(idx, shape))
        return self.k.load(var, self.k.ravel(idx, shape), safe=inside)

    def reduction(self, item: Item, idx: tuple[Node, ...]) -> Node:
        """A reduction in place, over loops of its own, or written out."""
        own_axes = self.cluster.reduce_axes.get(item.out, ())
        if self.cluster.kind == "tiny" or (self.cluster.unroll and all(map(self.cluster.short, own_axes))):
            return self.written_out(item, idx)
        variables = tuple(self.axis(a) for a in own_axes)
        shape, kept, own = item.inputs[0].aval.shape, iter(idx), iter(variables)
        full = [next(kept) if d not in item.axes else self.zero if n == 1 else next(own) for d, n in enumerate(shape)]
        return self.combine(item, tuple(full), variables, item.out.aval.dtype)

    def written_out(self, item: Item, idx: tuple[Node, ...]) -> Node:
        """A reduction over a few elements."""
        operand, out = item.inputs[0], item.out
        reduction = item.eqn.primitive.reduction
        assert reduction is not None
        total: Node | None = None
        template = (_COMBINE_BOOL if out.aval.dtype.kind == "b" else _COMBINE)[reduction.combine]
        small, combine = out.aval.dtype in SMALL_FLOATS, reduction.combine
        wide = small and (combine == "add" or (combine == "mul" and out.aval.dtype != np.float16))  # as NumPy does
        for reduced in np.ndindex(*[operand.aval.shape[d] for d in item.axes]):
            kept, own = iter(idx), iter(reduced)
            full = [self.k.const(next(own), INT64) if d in item.axes else next(kept) for d in range(operand.aval.ndim)]
            value = self.element(operand, full)
            if wide:
                value = self.k.convert(value, np.dtype(np.float32))
            total = value if total is None else self.k.op(template, total, value)
        if total is None:
            return self.k.const(reduction.identity(out.aval.dtype), out.aval.dtype)
        return self.k.convert(total, out.aval.dtype)

    def combine(
        self,
        item: Item,
        full: tuple[Node, ...],
        variables: tuple[Node, ...],
        dtype: np.dtype,
        within: tuple[Node, ...] = (),
    ) -> Node:
        reduction = item.eqn.primitive.reduction
        assert reduction is not None
        operand = item.inputs[0]
        identity = reduction.identity(operand.aval.dtype)
        if 0 in operand.aval.shape:
            return self.k.const(identity, dtype)
        body = self.element(operand, full)
        node = self.k.reduce(reduction.combine, identity, body, variables, within) if variables else body
        return self.k.convert(node, dtype)

    def root_store(self, var: Var, m: Map, loops: Sequence[Node] | None = None) -> Store:
        idx = self.index(m)
        loops = [i for i in idx if i.kind == "var"] if loops is None else loops
        return Store(var, self.k.ravel(idx, var.aval.shape), self.element(var, idx), tuple(loops))

    def turns(self, m: Map) -> Iterator[None]:
        """Every index along the unrolled axes of a map, one after another; one turn where nothing is unrolled."""
        if not self.cluster.unroll:
            yield
            return
        named = [a for a in m if a is not None and a != OTHER]
        short = sorted({b for a in named for b in (a[1] if a[0] == "t" else (a,)) if self.cluster.short(b)})
        for values in np.ndindex(*[self.cluster.extent(a) for a in short]):
            self.axes.update((a, self.k.const(i, INT64)) for a, i in zip(short, values))
            yield
        for a in short:
            self.axes.pop(a, None)  # it is not there where some axis is empty

    def prepare(self) -> None:
        """Elements of what is read in one place, in program order: keeps the recursion of rules shallow.

        What is read along a longer axis than its own is read under a guard, and has to wait for it.
        """
        for item in in_program_order(self.cluster):
            for m in self.cluster.maps[item.out]:
                known = item.kind != "part" and not any(a == OTHER or (a is not None and a[0] == "t") for a in m)
                fits = known and all(a is None or self.cluster.extent(a) == n for a, n in zip(m, item.out.aval.shape))
                for _ in self.turns(m) if fits else ():
                    self.element(item.out, self.index(m))


# ---------------------------------------------------------------- one lowering for each kind of cluster


def lower_map(c: Cluster) -> Nest:
    low = Lowering(c)
    frame = [low.axis(("f", d)) for d in (c.loops if c.unroll else range(len(c.frame)))]
    low.k.innermost = next((v for v in reversed(frame) if v.kind == "var"), None)
    low.prepare()
    stores = [low.root_store(v, m) for v, m in c.roots.items() if v.aval.size for _ in low.turns(m)]
    return Nest(low.k, stores, low.order, c.serial)


def lower_tiny(c: Cluster) -> Nest:
    low = Lowering(c)
    for item in in_program_order(c):
        for idx in np.ndindex(item.out.aval.shape):
            low.element(item.out, [low.k.const(i, INT64) for i in idx])
    stores = []
    for v in c.roots:
        for idx in np.ndindex(v.aval.shape):
            nodes = [low.k.const(i, INT64) for i in idx]
            stores.append(Store(v, low.k.ravel(nodes, v.aval.shape), low.element(v, nodes), ()))
    return Nest(low.k, stores, [], True)


_COMBINE = {"add": "{0} + {1}", "mul": "{0} * {1}", "max": "maximum({0}, {1})", "min": "minimum({0}, {1})",
            "and": "{0} & {1}", "or": "{0} | {1}", "xor": "{0} ^ {1}"}  # fmt: skip


def lower_part(c: Cluster) -> Nest:
    """Parts of reductions: the axis that is cut into parts is several as one if every index allows it."""
    lower = _lower_part if c.part[1] else _lower_columns
    nest = lower(c, True)
    return nest if nest is not None else lower(c, False)  # type: ignore[return-value]


def _lower_columns(c: Cluster, flat: bool) -> Nest | None:
    """Reductions over leading axes: blocks of columns, in each all rows after one another."""
    axes = tuple(d for d in c.part[0] if c.frame[d] != 1)
    low = Lowering(c)
    last = [d for d in range(axes[-1] + 1, len(c.frame)) if c.frame[d] != 1]
    last = last if flat else last[-1:]
    outer = [d for d in range(len(c.frame)) if d not in axes and d not in last and c.frame[d] != 1]
    extents = [c.frame[d] for d in last]
    columns = math.prod(extents)
    rows_first = math.prod(c.frame[d] for d in outer) >= UNROLL_LIMIT
    for d in outer if rows_first else ():
        low.axis(("f", d))
    block = low.loop(-(-columns // COLUMNS))
    for d in (*outer, *axes):
        low.axis(("f", d))
    reduced = tuple(low.axis(("f", d)) for d in axes)
    run = low.loop(columns)
    for d, i in zip(last, low.k.unravel(run, extents)):
        low.axes["f", d] = i
    low.k.innermost = run
    low.prepare()
    stores = []
    for v, item in c.items.items():
        if item.kind == "part":
            stores.append(_part_store(low, c, v, None, reduced))
    stores += [low.root_store(v, m, low.order) for v, m in c.roots.items() if c.items[v].kind != "part"]
    if flat and len(last) > 1 and _divides(stores, run):
        return None
    return Nest(low.k, stores, low.order, False, {run: (block, COLUMNS)} if block.kind == "var" else {})


def _divides(stores: Sequence[Store], variable: Node) -> bool:
    """Whether an index has to take a loop variable apart."""
    nodes = reachable([n for s in stores for n in (s.offset, s.value)])
    return any(n.kind == "floordiv" and variable in n.deps for n in nodes)


def _lower_part(c: Cluster, flat: bool) -> Nest | None:
    axes, elements, column = c.part
    low = Lowering(c)
    axes = tuple(d for d in axes if c.frame[d] != 1)
    adjacent = axes == tuple(d for d in range(len(c.frame)) if axes[0] <= d <= axes[-1] and c.frame[d] != 1)
    if flat and not adjacent:
        return None
    extents = [c.frame[d] for d in axes]
    total = math.prod(extents)
    if not flat:
        total = extents[0]
    partials = [v for v, item in c.items.items() if item.kind == "part"]
    parts = partials[0].aval.shape[0]  # as if the reduced axes were flat; the last ones may be empty
    elements = elements if flat else -(-total // parts)
    part = low.loop(parts)
    kept = [d for d in range(len(c.frame)) if d not in axes]
    before = [d for d in kept if not column or d < axes[0]]
    for d in before:
        low.axis(("f", d))
    if flat:
        run = low.loop(total)
        for d, i in zip(axes, low.k.unravel(run, extents)):
            low.axes["f", d] = i
        reduced: tuple[Node, ...] = (run,)
    else:
        reduced = tuple(low.axis(("f", d)) for d in axes)
    for d in kept:
        low.axis(("f", d))
    low.k.innermost = low.order[-1]
    low.prepare()
    stores = [_part_store(low, c, v, part, reduced) for v in partials]
    stores += [low.root_store(v, m, low.order) for v, m in c.roots.items() if v not in partials]
    if flat and len(axes) > 1 and _divides(stores, reduced[0]):
        return None
    return Nest(low.k, stores, low.order, False, {reduced[0]: (part, elements)})


def _part_store(low: Lowering, c: Cluster, v: Var, part: Node | None, reduced: tuple[Node, ...]) -> Store:
    item = c.items[v]
    full = tuple(low.zero if n == 1 else low.axis(("f", d)) for d, n in enumerate(c.frame))
    kept = [i for d, i in enumerate(full) if d not in item.axes]
    offset = low.k.ravel(kept if part is None else [part, *kept], v.aval.shape)
    if not c.part[2] and part is not None:
        value = low.combine(item, full, reduced, v.aval.dtype, (part,))
        loops = tuple(n for n in low.order if not any(n is r for r in reduced))
        return Store(v, offset, value, loops)
    reduction = item.eqn.primitive.reduction
    assert reduction is not None
    identity = reduction.identity(item.inputs[0].aval.dtype)
    value = low.element(item.inputs[0], full)
    return Store(v, offset, value, tuple(low.order), reduction.combine, identity, reduced)


_COMBINE_BOOL = {**_COMBINE, **dict.fromkeys(("add", "max"), "{0} | {1}"), **dict.fromkeys(("mul", "min"), "{0} & {1}")}

LOWERINGS = {"map": lower_map, "tiny": lower_tiny, "part": lower_part}

__all__ = [
    "LOWERINGS",
    "Kernel",
    "Opaque",
    "ShapedArray",
    "comments",
    "in_program_order",
    "note",
    "schedule",
    "work_of",
]
