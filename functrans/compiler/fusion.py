"""Which equations share a loop nest.

Equations become items: maps (they have a `lower` rule), reductions, and opaque ones. Walking the program backwards,
each result is either computed in place inside the kernels that read it, or stored in memory by a kernel of its own or
by one that passes over all of it anyway. A result is computed in place when that costs less than memory would; a
reduction when its readers stand in loops over exactly its elements, so that it runs once for each (softmax: the row's
maximum and sum between loops over the row).

A cluster is a kernel in the making. It has axes, and knows for each variable it computes the *maps* under which it is
read: for each axis of the variable an axis of the cluster, None (size one) or OTHER (any index expression).

| kind | loops |
|---|---|
| `map` | over the frame, the common shape of its results; reductions inside have axes of their own |
| `part` | over the operand of reductions that are too long for one thread: parts of it go to partial results |
| `tiny` | none: everything has at most UNROLL_LIMIT elements and is written out as scalars |
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from functrans.compiler.nodes import UNROLL_LIMIT, KernelBuilder, Node
from functrans.core.avals import ShapedArray, kind_of
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var

OTHER = "other"
#: An axis of a cluster: ("f", axis of the frame) or ("r", extent, number) for loops of reductions; in a map also
#: ("t", axes): an index into at most UNROLL_LIMIT elements that is known once those (short) axes are unrolled.
Axis = Any
Map = tuple[Axis, ...]

#: Most equations in one kernel: longer chains are cut.
MOST_ITEMS = 120
#: Most scalars in a kernel without loops.
MOST_SCALARS = 600
#: Joining more arrays than this is not done element by element.
MOST_OPERANDS = 12
#: Operations for which one kernel alone is fast enough on one thread.
SMALL = 1 << 15
#: Elements in one part of a reduction in parts; rows in a part of a reduction over leading axes.
PART, PART_ROWS = 1 << 14, 64
#: From so many columns on a reduction over leading axes is split by columns, from half of them on if it is of so few
#: elements that more than two threads do not pay; so many rows are added up without parts.
BLOCKED_COLUMNS, FEW_ELEMENTS, ROWS_AT_ONCE = 2048, 1 << 18, 1024


@dataclass(frozen=True)
class Parts:
    """How a reduction is done in parts."""

    elements: int  # how many of the reduced elements (or rows) make one; 0: by blocks of columns
    column: bool  # the last axis is kept, so results accumulate in memory row by row
    dtype: np.dtype  # of partial results


@dataclass(frozen=True)
class Target:
    """What fusion has to know of a machine.

    Costs of memory are in operations: for each element, and for one more kernel. `parts(eqn, axes)` says how a
    reduction is done in parts, if it is.
    """

    memory_cost: int
    kernel_cost: int
    parts: Callable[[Eqn, tuple[int, ...]], Parts | None]
    without: frozenset[str] = frozenset()  # modules whose functions it cannot run


@dataclass(eq=False)
class Item:
    """An equation, or a half of a reduction in parts."""

    position: int
    kind: str  # map, reduce, part or opaque
    eqn: Eqn
    inputs: Sequence[Atom]
    outs: Sequence[Var]
    accesses: list[list[Map]] = field(default_factory=list)  # for each operand: how a map reads it
    cost: int = 0  # of one element, operands given
    tree: float = 0  # of one element, from memory
    axes: tuple[int, ...] = ()
    elements: int = 0  # part: how many of the reduced elements (or rows) make one; 0: results by blocks of columns
    column: bool = False  # part: the last axis is kept, so results accumulate in memory row by row

    @property
    def out(self) -> Var:
        return self.outs[0]


@dataclass(eq=False)
class Cluster:
    """A kernel in the making."""

    kind: str
    frame: tuple[int, ...]
    items: dict[Var, Item] = field(default_factory=dict)
    roots: dict[Var, Map] = field(default_factory=dict)
    maps: dict[Var, list[Map]] = field(default_factory=dict)
    reduce_axes: dict[Var, tuple[Axis, ...]] = field(default_factory=dict)
    serial: bool = False
    part: tuple[Any, ...] = ()  # part: axes, elements, column
    into: Cluster | None = None
    scalars: int = 0
    unroll: bool = False  # short axes are written out, so that indices along them are literal

    def extent(self, axis: Axis) -> int:
        return self.frame[axis[1]] if axis[0] == "f" else axis[1]

    @property
    def size(self) -> int:
        return math.prod(self.frame)

    def total(self) -> int:
        """Iterations of the whole nest."""
        own = {a for axes in self.reduce_axes.values() for a in axes if a[0] == "r"}
        return max(self.size * math.prod(a[1] for a in own), 1)

    def short(self, axis: Axis) -> bool:
        return axis[0] in "fr" and self.extent(axis) <= UNROLL_LIMIT

    @property
    def can_unroll(self) -> bool:
        return self.kind == "map" and math.prod(n for n in self.frame if n <= UNROLL_LIMIT) <= UNROLL_LIMIT

    @property
    def loops(self) -> list[int]:
        """The axes of the frame that are loops."""
        return [d for d, n in enumerate(self.frame) if n != 1 and not (self.unroll and n <= UNROLL_LIMIT)]

    def evaluations(self, m: Map, shape: tuple[int, ...]) -> int:
        """How many times the nest computes a variable of a shape that is read under a map."""
        if OTHER in m:
            return self.total()
        if self.unroll or any(a is not None and a[0] == "t" for a in m):
            long = [a[1] for a in m if a is not None and a[0] == "f" and not self.short(a)]
            outer = math.prod(n for n in self.frame[: max(long) + 1] if n > UNROLL_LIMIT) if long else 1
            return outer * math.prod(n for a, n in zip(m, shape) if a is not None and (a[0] != "f" or self.short(a)))
        frame = [a[1] for a in m if a is not None and a[0] == "f"]
        outer = math.prod(self.frame[: max(frame) + 1]) if frame else 1
        return outer * math.prod(a[1] for a in m if a is not None and a[0] == "r")

    def times(self, maps: list[Map], shape: tuple[int, ...]) -> int:
        """How many elements of a variable the nest computes for all the maps under which it is read."""
        if self.kind == "tiny":
            return math.prod(shape)
        short = [m for m in maps if any(a is not None and a[0] == "t" for a in m)]
        if short and OTHER not in sum(maps, ()):  # the same elements, whichever map asks for them
            return max(self.evaluations(m, shape) for m in maps)
        return sum(self.evaluations(m, shape) for m in maps)

    @property
    def sort_key(self) -> int:
        return max(self.items[v].position for v in self.roots)


Vertex = Cluster | Item


def composed(entry: Any, m: Map, c: Cluster) -> Axis:
    """Where an operand's axis lies in a cluster, if its reader lies there by a map."""
    if entry is None or entry == OTHER or isinstance(entry, int):
        return m[entry] if isinstance(entry, int) else entry
    axes: set[Axis] = set()
    for d in entry[1]:
        a = m[d]
        if a == OTHER:
            return OTHER
        if a is not None:
            axes.update(a[1] if a[0] == "t" else (a,))
    return ("t", tuple(sorted(axes))) if c.can_unroll and all(c.short(a) for a in axes) else OTHER


# ---------------------------------------------------------------- from equations to items


class _Probe:
    """An operand that notes at which index it is read."""

    def __init__(self, k: KernelBuilder, atom: Atom, seen: list[tuple[Node, ...]]):
        self.k, self.aval, self.seen = k, atom.aval, seen
        self.var = Var(atom.aval)

    def at(self, *idx: Node) -> Node:
        self.seen.append(idx)
        return self.k.load(self.var, self.k.ravel(idx, self.aval.shape), safe=True)


def probe(eqn: Eqn, without: frozenset[str] = frozenset()) -> tuple[list[list[Map]], int] | None:
    """How a map reads its operands and what one element costs; None if it cannot be lowered.

    Nor can it if that takes functions of modules in `without`.
    """
    k = KernelBuilder()
    shape = eqn.outvars[0].aval.shape
    idx = tuple(k.const(0, np.int64) if n == 1 else k.variable(n) for n in shape)
    operands = [_Probe(k, a, []) for a in eqn.inputs]
    try:
        eqn.primitive.lower(k, idx, *operands, **eqn.params)  # type: ignore[misc]
    except NotImplementedError:
        return None
    if without and any(m in without for n in k._interned.values() if n.kind == "op" for m, _ in n.args[0].imports):
        return None
    place = {node: d for d, node in enumerate(idx) if node.kind == "var"}
    accesses = [
        list(dict.fromkeys(tuple(_entry(n, size, place, shape) for n, size in zip(at, x.aval.shape)) for at in x.seen))
        for x in operands
    ]
    cost = sum(n.cost for n in k._interned.values() if n.kind in ("op", "guard", "checked", "floordiv"))
    return accesses, cost


def _entry(node: Node, size: int, place: dict[Node, int], shape: tuple[int, ...]) -> Any:
    if size == 1 or node in place:
        return None if size == 1 else place[node]
    on = tuple(sorted(place[v] for v in node.deps))
    literal = size <= UNROLL_LIMIT and all(shape[d] <= UNROLL_LIMIT for d in on) and not _reads(node)
    return ("t", on) if literal else OTHER


def _reads(node: Node) -> bool:
    return node.kind == "load" or any(_reads(n) for n in node.operands)


_probes: dict[Any, Any] = {}


def _probed(eqn: Eqn, without: frozenset[str]) -> tuple[list[list[Map]], int] | None:
    try:
        avals = tuple((a.aval.shape, a.aval.dtype, type(a) is Literal) for a in eqn.inputs)
        key = (eqn.primitive.name, avals, eqn.outvars[0].aval.shape, tuple(sorted(eqn.params.items())), without)
        if key not in _probes:
            if len(_probes) > 4096:
                _probes.clear()
            _probes[key] = probe(eqn, without)
        return _probes[key]
    except TypeError:  # params that do not hash or sort
        return probe(eqn, without)


def items_of(jaxpr: Jaxpr, target: Target | None = None) -> list[Item]:
    target = target or CPU
    items: list[Item] = []
    trees: dict[Var, float] = {}
    for eqn in jaxpr.eqns:
        for item in _items_of_eqn(eqn, len(items), target):
            if item.kind == "map":
                reads = sum(
                    max(len(at), 1) * min(trees.get(a, 1), 1000) if isinstance(a, Var) else 0
                    for a, at in zip(item.inputs, item.accesses)
                )
                item.tree = item.cost + reads
                trees[item.out] = item.tree
            items.append(item)
    return items


def _items_of_eqn(eqn: Eqn, position: int, target: Target) -> list[Item]:
    p = eqn.primitive
    if (
        p.effect
        or p.multiple_results
        or not eqn.outvars
        or any(not _supported(v.aval) for v in (*eqn.inputs, *eqn.outvars))
    ):
        return [Item(position, "opaque", eqn, eqn.inputs, eqn.outvars)]
    if len(eqn.inputs) > MOST_OPERANDS and eqn.outvars[0].aval.size > UNROLL_LIMIT:
        return [Item(position, "opaque", eqn, eqn.inputs, eqn.outvars)]
    if p.reduction is not None and "axes" in eqn.params and len(eqn.inputs) == 1 and isinstance(eqn.inputs[0], Var):
        return _reduction_items(eqn, position, target)
    probed = _probed(eqn, target.without) if p.lower is not None else None
    if probed is None:
        return [Item(position, "opaque", eqn, eqn.inputs, eqn.outvars)]
    return [Item(position, "map", eqn, eqn.inputs, eqn.outvars, probed[0], probed[1])]


def _supported(aval: ShapedArray) -> bool:
    return (kind_of(aval.dtype) in "biuf" and aval.dtype.itemsize <= 8) or aval.dtype in (np.complex64, np.complex128)


def _reduction_items(eqn: Eqn, position: int, target: Target) -> list[Item]:
    """A reduction as one item, or as two: parts of it, and the reduction of their results."""
    operand = eqn.inputs[0]
    axes = tuple(sorted(a % operand.aval.ndim for a in eqn.params["axes"]))
    parts = target.parts(eqn, axes)
    if parts is None:
        return [Item(position, "reduce", eqn, eqn.inputs, eqn.outvars, axes=axes, tree=math.inf)]
    if not parts.elements:
        return [Item(position, "part", eqn, eqn.inputs, eqn.outvars, axes=axes, column=True, tree=math.inf)]
    kept_shape = tuple(n for d, n in enumerate(operand.aval.shape) if d not in axes)
    reduced = operand.aval.size // max(math.prod(kept_shape), 1)
    number = max(-(-reduced // parts.elements), UNROLL_LIMIT + 1)  # their number is a run-time size
    elements = -(-reduced // (8 * number)) * 8  # parts begin where vectors do; the last ones may be empty
    partial = Var(ShapedArray((number, *kept_shape), parts.dtype))
    first = Item(
        position, "part", eqn, eqn.inputs, [partial], axes=axes, elements=elements, column=parts.column, tree=math.inf
    )
    second = Item(position + 1, "reduce", eqn, [partial], eqn.outvars, axes=(0,), tree=math.inf)
    return [first, second]


def _parts_on_cpu(eqn: Eqn, axes: tuple[int, ...]) -> Parts | None:
    operand, out = eqn.inputs[0], eqn.outvars[0]
    shape = operand.aval.shape
    total, kept = operand.aval.size, math.prod(n for d, n in enumerate(shape) if d not in axes)
    reduced = total // max(kept, 1)
    if total <= PART or reduced <= 1:
        return None
    wide = _wide(out.aval.dtype) if eqn.primitive.reduction.combine == "add" else out.aval.dtype  # type: ignore[union-attr]
    column = [d for d, n in enumerate(shape) if n != 1][-1] not in axes
    if not column:
        return None if kept >= 64 or (reduced <= 4 * PART and kept > 1) else Parts(PART, False, wide)
    blocked = BLOCKED_COLUMNS if total > FEW_ELEMENTS else BLOCKED_COLUMNS // 2
    if kept >= blocked and (reduced <= ROWS_AT_ONCE or out.aval.dtype.itemsize >= 8):
        return Parts(0, True, out.aval.dtype)
    if reduced <= UNROLL_LIMIT and kept > SMALL:
        return None
    return Parts(max(PART_ROWS, PART // max(kept, 1)), True, wide)


def _wide(dtype: np.dtype) -> np.dtype:
    return np.dtype({"f": np.float64, "c": np.complex128}.get(kind_of(dtype), dtype))


CPU = Target(memory_cost=6, kernel_cost=2000, parts=_parts_on_cpu)


# ---------------------------------------------------------------- the graph of clusters


class Fusion:
    """Builds the clusters of a program."""

    def __init__(self, jaxpr: Jaxpr, target: Target = CPU):
        self.target = target
        self.items = items_of(jaxpr, target)
        self.stored: set[Var] = {v for v in jaxpr.outvars if isinstance(v, Var)}
        self.why: dict[Var, str] = dict.fromkeys(self.stored, "a result")  # why a value is stored in memory
        self.uses: dict[Var, list[tuple[Cluster, Map]]] = {}
        self.readers: dict[Var, list[Vertex]] = {}
        self.clusters: list[Cluster] = []
        self.producer: dict[Var, Vertex] = {}
        effects = [i for i in self.items if i.kind == "opaque" and i.eqn.primitive.effect]
        self.next_effect: dict[Vertex, Vertex] = dict(itertools.pairwise(effects))

    def run(self) -> list[Vertex]:
        for item in reversed(self.items):
            if item.kind == "opaque":
                self.opaque(item)
            else:
                self.place(item)
        self.merge_siblings()
        return self.in_order()

    def opaque(self, item: Item) -> None:
        for out in item.outs:
            self.read_from_memory(out)
            self.producer[out] = item
        for a in item.inputs:
            if isinstance(a, Var):
                self.stored.add(a)
                self.why.setdefault(a, f"{item.eqn.primitive.name} reads it")
                self.readers.setdefault(a, []).append(item)

    def read_from_memory(self, var: Var) -> None:
        self.readers.setdefault(var, []).extend(self.uses_of(var))

    def uses_of(self, var: Var) -> dict[Cluster, list[Map]]:
        out: dict[Cluster, list[Map]] = {}
        for cluster, m in self.uses.get(var, ()):
            maps = out.setdefault(find(cluster), [])
            if m not in maps:
                maps.append(m)
        return out

    # ---------------------------------------------------------------- placing one result

    def place(self, item: Item) -> None:
        v, uses = item.out, self.uses_of(item.out)
        if not uses and v not in self.stored:
            return
        if uses and v not in self.stored:
            obstacle = self.inline_everywhere(item, uses)
            if obstacle is None:
                return
            self.why[v] = obstacle
            uses = self.uses_of(v)  # clusters may have become one
        target = self.host(item, uses) or self.new_cluster(item)
        m = next((m for m in uses.get(target, ()) if self.covers(target, m, v)), None)
        if m is None:
            m = self.root_map(target, item)
        self.readers.setdefault(v, []).extend(c for c in uses if c is not target)
        self.producer[v] = target
        target.roots[v] = m
        self.include(item, target, [m, *[x for x in uses.get(target, ()) if x != m]])

    def inline_everywhere(self, item: Item, uses: dict[Cluster, list[Map]]) -> str | None:
        """Compute a result in place in every cluster that reads it; what speaks against that, if anything does."""
        v = item.out
        if item.kind == "part":
            return "a reduction in parts, for several threads"
        if len(uses) > 1 and (item.kind == "reduce" or not self.worth_repeating(item, uses)):
            merged = self.merge_all(list(uses))
            if merged is None:
                return "several kernels read it"
            uses = {merged: self.uses_of(v)[merged]}
        if not all(self.fits(item, c, maps) for c, maps in uses.items()):
            full = item.kind != "reduce" or any(len(c.items) >= MOST_ITEMS for c in uses)
            return "the kernel that reads it is full" if full else "a reduction, not read in rows of its reader's loops"
        if not self.worth_repeating(item, uses) and not self.worth_unrolling(item, uses):
            return "computing it at each read costs more"
        for c, maps in uses.items():
            self.include(item, c, maps)
        return None

    def worth_repeating(self, item: Item, uses: dict[Cluster, list[Map]]) -> bool:
        size = item.out.aval.size
        times = sum(c.times(maps, item.out.aval.shape) for c, maps in uses.items())
        if item.kind == "reduce":
            return times <= size
        return times * (item.tree - 1) <= size * (item.tree + self.target.memory_cost) + self.target.kernel_cost

    def worth_unrolling(self, item: Item, uses: dict[Cluster, list[Map]]) -> bool:
        """Whether writing out the short axes of the one cluster that reads a result makes computing it there right."""
        c = next(iter(uses))
        if len(uses) > 1 or item.kind == "reduce" or c.unroll or not c.can_unroll or c.kind != "map":
            return False
        scalars = sum(self.written(c, i) for i in (item, *c.items.values()))
        if not any(1 < n <= UNROLL_LIMIT for n in c.frame) or scalars > MOST_SCALARS // 2:
            return False
        c.unroll = True
        if not self.worth_repeating(item, uses):
            c.unroll = False
        return c.unroll

    def fits(self, item: Item, c: Cluster, maps: list[Map]) -> bool:
        """Whether a cluster can compute an item in place."""
        v = item.out
        if len(c.items) >= MOST_ITEMS:
            return False
        if c.kind == "tiny":
            scalars = max(v.aval.size, max((a.aval.size for a in item.inputs), default=0))
            return scalars <= UNROLL_LIMIT and c.scalars + v.aval.size <= MOST_SCALARS
        unroll = c.unroll or any(a is not None and a[0] == "t" for m in maps for a in m)
        if unroll and c.scalars + self.written(c, item) > MOST_SCALARS:
            return False
        if item.kind != "reduce":
            return True
        return c.kind == "map" and len(maps) == 1 and self.is_prefix(c, maps[0], item)

    def written(self, c: Cluster, item: Item) -> int:
        """How many scalars a turn of the loops computes for an item where short axes are unrolled."""
        shape = (item.inputs[0] if item.kind == "reduce" else item.out).aval.shape
        return math.prod(n for n in shape if n <= UNROLL_LIMIT) if c.can_unroll else 1

    def is_prefix(self, c: Cluster, m: Map, item: Item) -> bool:
        """Whether a reduction read under a map belongs inside the first loops of the frame, once for each turn."""
        if OTHER in m or any(a is not None and a[0] != "f" for a in m):
            return False
        used = {a[1] for a in m if a is not None}
        if len(used) != sum(a is not None for a in m):
            return False
        real = c.loops
        used &= set(real)
        if used != set(real[: len(used)]):
            return False
        operand = item.inputs[0].aval
        if not used and real:  # one result for all: no threads
            return c.size + operand.size <= SMALL
        last = [d for d, n in enumerate(operand.shape) if n != 1][-1:]
        return not last or last[0] in item.axes or operand.size <= 4 * PART

    def host(self, item: Item, uses: dict[Cluster, list[Map]]) -> Cluster | None:
        """A cluster that reads all of a result once, in order, and can store it on the way."""
        v = item.out
        if item.kind == "part":
            return None
        readers = list(uses) + self.readers.get(v, [])
        for c, maps in uses.items():
            m = next((m for m in maps if self.covers(c, m, v)), None)
            if m is None or not self.fits(item, c, maps):
                continue
            if item.kind == "reduce" and c.kind != "tiny" and len(maps) > 1:
                continue
            if any(find(r) is not c and self.reaches(r, c) for r in readers):
                continue
            if self.worth_repeating(item, {c: maps}):
                return c
        return None

    def covers(self, c: Cluster, m: Map, v: Var) -> bool:
        """Whether the loops of a map pass over every element of a variable exactly once."""
        if c.kind == "tiny":
            return True
        if OTHER in m or any(a is not None and (a[0] == "t" or c.extent(a) != n) for a, n in zip(m, v.aval.shape)):
            return False
        axes = [a for a in m if a is not None]
        if len(set(axes)) != len(axes) or axes != sorted(axes, key=lambda a: (a[0] == "r", a[1:])):
            return False
        if c.kind == "part":
            return len(axes) == sum(n != 1 for n in c.frame)
        real = c.loops
        frame = [a[1] for a in axes if a[0] == "f" and (a[1] in real or not c.unroll)]
        inner = tuple(a for a in axes if a[0] == "r")
        if frame != real[: len(frame)] or (inner and not any(inner == axes_ for axes_ in c.reduce_axes.values())):
            return False
        return bool(frame) or not real or c.serial

    def new_cluster(self, item: Item) -> Cluster:
        v = item.out
        if item.kind == "part":
            c = Cluster("part", item.inputs[0].aval.shape, part=(item.axes, item.elements, item.column))
        elif v.aval.size <= UNROLL_LIMIT and all(a.aval.size <= UNROLL_LIMIT for a in item.inputs):
            c = Cluster("tiny", (), serial=True)
        else:
            c = Cluster("map", v.aval.shape)
        self.clusters.append(c)
        return c

    def root_map(self, c: Cluster, item: Item) -> Map:
        if c.kind == "tiny":
            return (OTHER,) * item.out.aval.ndim
        return tuple(None if n == 1 else ("f", d) for d, n in enumerate(item.out.aval.shape))

    def include(self, item: Item, c: Cluster, maps: list[Map]) -> None:
        """Compute an item in a cluster, and note how it reads its operands there."""
        v = item.out
        c.items[v] = item
        c.maps[v] = list(maps)
        c.scalars += v.aval.size if c.kind == "tiny" else self.written(c, item)
        for m in maps:
            c.unroll = c.unroll or any(a is not None and a[0] == "t" for a in m)
            if item.kind == "map":
                for a, accesses in zip(item.inputs, item.accesses):
                    if isinstance(a, Var):
                        for access in accesses:
                            self.use(a, c, tuple(composed(e, m, c) for e in access))
            else:
                self.use(item.inputs[0], c, self.operand_map(item, c, m))  # type: ignore[arg-type]

    def operand_map(self, item: Item, c: Cluster, m: Map) -> Map:
        shape = item.inputs[0].aval.shape
        if c.kind == "tiny":
            return (OTHER,) * len(shape)
        if item.kind == "part":
            return tuple(None if n == 1 else ("f", d) for d, n in enumerate(shape))
        kept = iter(m)
        taken = [a for a in m if a is not None]
        out: list[Axis] = []
        own: list[Axis] = []
        for d, n in enumerate(shape):
            axis = next(kept) if d not in item.axes else None if n == 1 else self.loop_axis(c, n, taken)
            if d in item.axes and n != 1:
                taken.append(axis)
                own.append(axis)
            out.append(axis)
        c.reduce_axes[item.out] = tuple(own)
        if not any(a for a in m) and c.size > 1:
            c.serial = True
        return tuple(out)

    def loop_axis(self, c: Cluster, extent: int, taken: list[Axis]) -> Axis:
        """An axis for a reduction: one of the frame behind those in use, or one of its own."""
        first = 1 + max((a[1] for a in taken if a[0] == "f"), default=-1)
        for d in range(first, len(c.frame)):
            if c.frame[d] == extent:
                return ("f", d)
        number = 0
        while ("r", extent, number) in taken:
            number += 1
        return ("r", extent, number)

    def use(self, var: Var, c: Cluster, m: Map) -> None:
        uses = self.uses.setdefault(var, [])
        if not any(find(other) is c and m == known for other, known in uses[-8:]):
            uses.append((c, m))

    # ---------------------------------------------------------------- order and merging

    def successors(self, vertex: Vertex) -> Iterable[Vertex]:
        outs = vertex.outs if isinstance(vertex, Item) else list(vertex.roots)
        for v in outs:
            for reader in self.readers.get(v, ()):
                reader = find(reader)
                if reader is not vertex:
                    yield reader
        if vertex in self.next_effect:
            yield self.next_effect[vertex]

    def reaches(self, start: Vertex, goal: Vertex) -> bool:
        """Whether `goal` must wait for `start`: it needs what that computes, directly or not, or is it."""
        start, goal = find(start), find(goal)
        seen, stack = {start}, [start]
        while stack:
            vertex = stack.pop()
            if vertex is goal:
                return True
            for s in self.successors(vertex):
                if s not in seen:
                    seen.add(s)
                    stack.append(s)
        return False

    def merge_all(self, clusters: list[Cluster]) -> Cluster | None:
        """One cluster in place of several, if their loops fit together and none needs another."""
        host, *others = sorted(clusters, key=lambda c: -len(c.frame))
        if sum(len(c.items) for c in clusters) > MOST_ITEMS or not all(self.may_merge(host, c) for c in others):
            return None
        if any(c.unroll for c in clusters) and sum(c.scalars for c in clusters) > MOST_SCALARS:
            return None
        for position, a in enumerate(clusters):
            if any(self.reaches(a, b) or self.reaches(b, a) for b in clusters[position + 1 :]):
                return None
        for c in others:
            if self.reaches(c, host) or self.reaches(host, c):  # by way of one that was merged just now
                return None
            self.merge(host, c)
        return host

    def may_merge(self, host: Cluster, c: Cluster) -> bool:
        """Whether the loops of a cluster are those of another, or its first ones: rows, and scalars for each row."""
        if host.kind != c.kind or host.part != c.part or host.serial != c.serial:
            return False
        if host.kind == "tiny" or host.frame == c.frame:
            return True
        n = len(c.frame)
        rows = host.kind == "map" and 0 < n < len(host.frame) and host.frame[:n] == c.frame
        return rows and not host.serial and not host.unroll and not c.unroll and math.prod(c.frame) > 1

    def merge(self, a: Cluster, b: Cluster) -> None:
        if a.frame != b.frame:
            self.share_loops(a, b)
        for v, item in b.items.items():
            a.maps[v] = list(dict.fromkeys([*a.maps.get(v, []), *b.maps[v]]))
            a.items[v] = item
        a.roots.update(b.roots)
        a.reduce_axes.update(b.reduce_axes)
        a.scalars += b.scalars
        a.serial, a.unroll = a.serial or b.serial, a.unroll or b.unroll
        b.into = a
        self.clusters.remove(b)

    def share_loops(self, a: Cluster, b: Cluster) -> None:
        """Let the reductions of `b`, whose frame is the first axes of that of `a`, run over the other axes of `a`."""
        new: dict[Axis, Axis] = {}
        free = list(range(len(b.frame), len(a.frame)))
        for axis in dict.fromkeys(x for axes in b.reduce_axes.values() for x in axes if x[0] == "r"):
            place = next((d for d in free if a.frame[d] == axis[1]), None)
            if place is not None:
                free = [d for d in free if d > place]
                new[axis] = ("f", place)

        def moved(m: Map) -> Map:
            return tuple(new.get(x, x) if x is None or x[0] != "t" else x for x in m)

        b.reduce_axes = {v: moved(m) for v, m in b.reduce_axes.items()}
        b.maps = {v: [moved(m) for m in maps] for v, maps in b.maps.items()}
        b.roots = {v: moved(m) for v, m in b.roots.items()}
        for var in {x for item in b.items.values() for x in item.inputs if isinstance(x, Var)}:
            uses = self.uses.get(var, [])
            uses[:] = [(c, moved(m) if find(c) is b else m) for c, m in uses]

    def inputs(self, c: Cluster) -> set[Var]:
        out: set[Var] = set()
        for item in c.items.values():
            out.update(a for a in item.inputs if isinstance(a, Var) and a not in c.items)
        return out

    def merge_siblings(self) -> None:
        """Clusters over one frame that read the same memory become one."""
        groups: dict[Any, list[Cluster]] = {}
        for c in sorted(self.clusters, key=lambda c: -len(c.frame)):
            groups.setdefault((c.kind, c.frame[:1], c.part, c.serial), []).append(c)
        for group in groups.values():
            reads = {c: self.inputs(c) for c in group} if len(group) <= 64 else {}
            kept: list[Cluster] = []
            for c in reads:
                for other in kept:
                    if self.may_merge(other, c) and self.are_siblings(other, c, reads[other], reads[c]):
                        self.merge(other, c)
                        reads[other] |= reads[c]
                        break
                else:
                    kept.append(c)

    def are_siblings(self, a: Cluster, b: Cluster, reads_a: set[Var], reads_b: set[Var]) -> bool:
        shares = a.kind == "tiny" or any(v.aval.size > 1 for v in reads_a & reads_b)
        if not shares or len(a.items) + len(b.items) > MOST_ITEMS:
            return False
        if len(reads_a | reads_b) + len(a.roots) + len(b.roots) > 16 and a.kind != "tiny":
            return False
        if a.scalars + b.scalars > MOST_SCALARS and (a.kind == "tiny" or a.unroll or b.unroll):
            return False
        return not self.reaches(a, b) and not self.reaches(b, a)

    def in_order(self) -> list[Vertex]:
        """All vertices in an order in which each finds what it needs; effects in their own order."""
        vertices: list[Vertex] = [*self.clusters, *[i for i in self.items if i.kind == "opaque"]]
        vertices = [v for v in vertices if isinstance(v, Item) or v.roots]
        waiting: dict[Vertex, int] = dict.fromkeys(vertices, 0)
        next_: dict[Vertex, list[Vertex]] = {v: list(dict.fromkeys(self.successors(v))) for v in vertices}
        for targets in next_.values():
            for t in targets:
                waiting[t] += 1
        return _kahn(vertices, waiting, next_, lambda v: v.position if isinstance(v, Item) else v.sort_key)


def _kahn(
    vertices: list[Vertex], waiting: dict[Vertex, int], next_: dict[Vertex, list[Vertex]], key: Callable[[Vertex], int]
) -> list[Vertex]:
    import heapq

    number = {v: i for i, v in enumerate(vertices)}
    ready = [(key(v), number[v], v) for v in vertices if waiting[v] == 0]
    heapq.heapify(ready)
    out: list[Vertex] = []
    while ready:
        _, _, v = heapq.heappop(ready)
        out.append(v)
        for t in next_[v]:
            waiting[t] -= 1
            if waiting[t] == 0:
                heapq.heappush(ready, (key(t), number[t], t))
    if len(out) != len(vertices):
        raise AssertionError("kernels that need each other: a bug of the fusion")
    return out


def find(vertex: Any) -> Any:
    """The cluster that a cluster was merged into."""
    while isinstance(vertex, Cluster) and vertex.into is not None:
        vertex = vertex.into
    return vertex
