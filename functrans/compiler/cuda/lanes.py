"""Loops as one kernel, with a thread for each lane: what `vmap` of a small `scan` or `while_loop` becomes.

If each row of a loop's carry depends on the same row alone, rows are *lanes*: a thread takes one through all turns, its
row of the carry in registers. A carry without that axis (a counter) is the same for all lanes, and every thread has it.
A loop over a few scalars is one lane. What a body computes is written by the rules of its primitives, element by
element, so it has to be maps, and reductions of a few elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from functrans.compiler.contractions import with_loops
from functrans.compiler.convolution import with_expansions
from functrans.compiler.cuda.schedule import GPU, GridKernel
from functrans.compiler.cuda.source import GridWriter, Shape, assemble
from functrans.compiler.fusion import Cluster, items_of
from functrans.compiler.lanes import by_lane_values
from functrans.compiler.loops import Lowering, comments
from functrans.compiler.nodes import INT64, Node
from functrans.compiler.plan import Planner
from functrans.compiler.source import Nest, Tables, stored
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var

#: Most elements of a lane's carry, most elements that a reduction adds up, and the longest text.
MOST_ELEMENTS, MOST_REDUCED, MOST_LINES = 64, 256, 1500


class NotByLane(Exception):
    """A loop that cannot be written as one kernel."""


def emit_lanes(p: Planner, eqn: Eqn) -> bool:
    """Add a `scan` or `while` as one kernel, if it can be one."""
    try:
        kernel = LaneWriter(eqn).kernel()
    except NotByLane:
        return False
    places = [p.write(v) if v in kernel.writes else p.read(v) for v in kernel.buffers]
    p.call_at(kernel, places)
    return True


class LaneLowering(Lowering):
    """Elements of a body's values at a lane: carries are local variables, scanned operands are read at the turn."""

    def __init__(self, items: Cluster, lane: Node | None):
        super().__init__(items)
        self.lane = lane
        self.turn = self.k.variable(1 << 62)
        self.locals: dict[Var, str] = {}
        self.along: dict[Var, tuple[Var, Node]] = {}  # a slice: the whole, and the number of the slice
        self.alias: dict[Var, Atom] = {}

    def load(self, var: Var, idx: tuple[Node, ...]) -> Node:
        if var in self.locals:
            own = idx[1:] if self.has_lanes(var) else idx
            if any(i.kind != "const" for i in own) or (own is not idx and idx[0] is not self.lane):
                raise NotByLane
            shape = var.aval.shape[len(idx) - len(own) :]
            place = int(np.ravel_multi_index([int(i.args[0]) for i in own], shape)) if own else 0
            return self.local(f"{self.locals[var]}_{place}", var)
        if var in self.along:
            whole, number = self.along[var]
            offset = number * self.k.size(var.aval.size) + self.k.ravel(idx, var.aval.shape)
            return self.k.load(whole, offset, safe=True)
        atom = self.alias.get(var)
        return super().load(var, idx) if atom is None else self.element(atom, idx)

    def has_lanes(self, var: Var) -> bool:
        return self.lane is not None and var.aval.shape[:1] == (self.lane.args[0],)

    def local(self, name: str, var: Var) -> Node:
        node = self.k._node(("local", name), (), var.aval.dtype)
        node.args = ()
        node.deps = frozenset((self.turn,) if self.lane is None else (self.turn, self.lane))
        self.names[node] = name
        return node

    names: dict[Node, str]


def _rewritten(jaxpr: Jaxpr) -> Jaxpr:
    return with_loops(with_expansions(jaxpr))


class LaneWriter:
    """Writes the kernel of one loop."""

    def __init__(self, eqn: Eqn):
        self.eqn = eqn
        params = eqn.params
        self.is_scan = eqn.primitive.name == "scan"
        if self.is_scan:
            if params["length"] == 0 or params["num_carry"] == 0:
                raise NotByLane
            first, n = params["num_consts"], params["num_carry"]
            self.body = _rewritten(params["jaxpr"])
            self.cond: Jaxpr | None = None
            self.init, self.carries = eqn.inputs[first : first + n], self.body.invars[first : first + n]
        else:
            first = params["cond_nconsts"] + params["body_nconsts"]
            self.body = _rewritten(params["body_jaxpr"])
            self.init, self.carries = eqn.inputs[first:], self.body.invars[params["body_nconsts"] :]
            self.cond = _rewritten(params["cond_jaxpr"])
        if any(v.aval.size == 0 for v in (*eqn.inputs, *eqn.outvars)):
            raise NotByLane
        self.lanes = self.find_lanes()

    # ---------------------------------------------------------------- lanes

    def find_lanes(self) -> int:
        """The length of the axis of lanes; 0 for a loop over scalars."""
        rows = {v.aval.shape[0] for v in self.carries if v.aval.ndim and v.aval.size > 1}
        if len(rows) == 1:
            (lanes,) = rows
            if self.is_by_lane(lanes):
                return lanes
        if sum(v.aval.size for v in self.carries) > MOST_ELEMENTS:
            raise NotByLane
        return 0

    def is_by_lane(self, lanes: int) -> bool:
        parted = [v for v in self.carries if v.aval.shape[:1] == (lanes,)]
        if sum(v.aval.size // lanes for v in parted) > MOST_ELEMENTS or lanes <= 1:
            return False
        found = by_lane_values(self.body, parted, lanes)
        if found is None:
            return False
        for v, out in zip(self.carries, self.body.outvars):
            if v not in parted and out in found:
                return False
        if self.cond is None:
            return True
        goes_on, tested = self.test_by_lane(lanes)
        return goes_on is not None and tested

    def test_by_lane(self, lanes: int) -> tuple[Atom | None, bool]:
        """What says whether a lane goes on: the loop goes on while any does, and leaves the others as they are."""
        assert self.cond is not None
        cond = self.cond
        carries = cond.invars[self.eqn.params["cond_nconsts"] :]
        parted = [v for v in carries if v.aval.shape[:1] == (lanes,)]
        result = cond.outvars[0]
        test = next((e for e in cond.eqns if tuple(e.outvars) == (result,)), None)
        if test is not None and test.primitive.name == "reduce_or" and test.inputs[0].aval.shape == (lanes,):
            rest = Jaxpr((), cond.invars, [e for e in cond.eqns if e is not test], test.inputs)
            found = by_lane_values(rest, parted, lanes)
            return test.inputs[0], found is not None
        found = by_lane_values(cond, parted, lanes)
        return result, found is not None and result not in found

    # ---------------------------------------------------------------- text

    def kernel(self) -> GridKernel:
        jaxprs = [self.body, *([self.cond] if self.cond is not None else [])]
        cluster = Cluster("tiny", ())
        for jaxpr in jaxprs:
            for item in items_of(jaxpr, GPU):
                if self.is_the_test(item.eqn):
                    continue
                reduced = item.inputs[0].aval.size // max(item.out.aval.size, 1) if item.kind == "reduce" else 0
                if item.kind not in ("map", "reduce") or reduced > MOST_REDUCED:
                    raise NotByLane
                cluster.items[item.out] = item
        probe = Lowering(cluster)
        lane = probe.k.variable(self.lanes) if self.lanes else None
        low = LaneLowering(cluster, lane)
        low.k, low.zero, low.names = probe.k, probe.zero, {}
        low.turn = low.k.variable(1 << 62)
        tables = Tables()
        nest = Nest(low.k, [], [v for v in (lane, low.turn) if v is not None], True)
        writer = _Expressions(nest, tables, Shape("thread", 1, self.is_narrow()), low)
        buffers = {a: a if isinstance(a, Var) else Var(a.aval) for a in self.eqn.inputs}
        lines = self.write(writer, low, buffers)
        if len(lines) > MOST_LINES:
            raise NotByLane
        used = tuple(tables.buffers)
        eqns = tuple(dict.fromkeys((self.eqn, *(e for j in jaxprs for e in j.eqns))))
        turns = self.eqn.params.get("length", 16)
        about = f"a loop, with a thread for each of {self.lanes} lanes" if self.lanes else "a loop over scalars"
        return GridKernel(
            source=assemble(tables, lines, comments(eqns[1:])), buffers=used,
            writes=frozenset(v for v in self.eqn.outvars if v in tables.buffers), sizes=tuple(tables.sizes),
            extent=max(self.lanes, 1), parallel=True, work=turns * len(lines) * max(self.lanes, 1),
            checks=tuple(tables.checks), eqns=eqns, note=about, mode="thread", rows_count=max(self.lanes, 1), columns=1,
        )  # fmt: skip

    def is_the_test(self, eqn: Eqn) -> bool:
        """Whether an equation only says whether any lane goes on."""
        if self.cond is None or not self.lanes or tuple(eqn.outvars) != tuple(self.cond.outvars):
            return False
        return eqn.primitive.name == "reduce_or" and eqn.inputs[0].aval.shape == (self.lanes,)

    def is_narrow(self) -> bool:
        return max(v.aval.size for v in (*self.eqn.inputs, *self.eqn.outvars)) < 1 << 31

    def write(self, w: _Expressions, low: LaneLowering, buffers: dict[Atom, Var]) -> list[str]:
        params = self.eqn.params
        top = w.scopes[0]
        top.lines += [
            "row = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x",
            "rows = int64(cuda.gridDim.x) * cuda.blockDim.x",
        ]
        count = w.argument(self.lanes) if self.lanes else "1"
        with w.opened(None, f"while row < {count}:"):
            if low.lane is not None:
                w.line(f"{w.loop_name(low.lane)} = row")
            with w.inside([low.lane] if low.lane is not None else []):
                self.write_lane(w, low, buffers, params)
            w.line("row += rows")
        return top.lines

    def write_lane(self, w: _Expressions, low: LaneLowering, buffers: dict[Atom, Var], params: dict) -> None:
        stems = [f"c{i}" for i in range(len(self.carries))]
        for var, operand, stem in zip(self.carries, self.init, stems):
            for place, idx in self.places(low, var):
                node = low.element(buffers[operand], idx) if isinstance(operand, Var) else low.literal(operand)
                value = w.name(node)
                w.line(f"{stem}_{place} = {w.typed(value, var)}")
        if self.is_scan:
            consts = zip(self.body.invars[: params["num_consts"]], self.eqn.inputs)
        else:
            assert self.cond is not None
            n = params["cond_nconsts"]
            consts = zip((*self.cond.invars[:n], *self.body.invars[: params["body_nconsts"]]), self.eqn.inputs)
            for var, stem in zip(self.cond.invars[n:], stems):
                low.locals[var] = stem
        for var, operand in consts:
            low.alias[var] = operand
        for var, stem in zip(self.carries, stems):
            low.locals[var] = stem
        if self.is_scan:
            self.write_scan(w, low, stems, params)
        else:
            self.write_while(w, low, stems)
        for var, out, stem in zip(self.carries, self.eqn.outvars, stems):
            self.write_result(w, low, out, stem, low.has_lanes(var))

    def places(self, low: LaneLowering, var: Var) -> list[tuple[int, tuple[Node, ...]]]:
        """The elements of a lane's part of a value: their numbers and indices."""
        shape = var.aval.shape
        own = shape[1:] if low.has_lanes(var) else shape
        if math.prod(own) > MOST_ELEMENTS:
            raise NotByLane
        first = (low.lane,) if low.has_lanes(var) else ()
        return [(i, (*first, *(low.k.const(j, INT64) for j in idx))) for i, idx in enumerate(product(*map(range, own)))]

    def write_scan(self, w: _Expressions, low: LaneLowering, stems: Sequence[str], params: dict) -> None:
        length, n = params["length"], params["num_carry"]
        turn = w.loop_name(low.turn)
        limit = w.argument(length)
        number = low.k.size(length) - 1 - low.turn if params.get("reverse", False) else low.turn
        first = params["num_consts"] + n
        for var, operand in zip(self.body.invars[first:], self.eqn.inputs[first:]):
            if not isinstance(operand, Var):
                raise NotByLane
            low.along[var] = (operand, number)
        with w.opened(low.turn, f"for {turn} in range({limit}):"):
            self.prepare(low, self.body)
            for atom, out in zip(self.body.outvars[n:], self.eqn.outvars[n:]):
                slice_ = Var(atom.aval)
                for _, idx in self.places(low, slice_):
                    offset = number * low.k.size(atom.aval.size) + low.k.ravel(idx, atom.aval.shape)
                    value = stored(w.name(low.element(atom, idx)), atom.aval.dtype, w)
                    self.put(w, low, f"{w.buffer(out)}[{w.index_text(offset)}] = {value}", low.has_lanes(slice_))
            self.advance(w, low, stems, self.body.outvars[:n])

    def write_while(self, w: _Expressions, low: LaneLowering, stems: Sequence[str]) -> None:
        assert self.cond is not None
        goes_on = self.test_by_lane(self.lanes)[0] if self.lanes else self.cond.outvars[0]
        assert goes_on is not None
        with w.opened(low.turn, "while True:"):
            idx = (low.lane,) if goes_on.aval.ndim and low.lane is not None else ()
            test = w.name(low.element(goes_on, idx))
            w.line(f"if not {test}:")
            w.line("    break")
            self.prepare(low, self.body)
            self.advance(w, low, stems, self.body.outvars)

    def prepare(self, low: LaneLowering, jaxpr: Jaxpr) -> None:
        """Elements in program order, which keeps the recursion of rules shallow."""
        for eqn in jaxpr.eqns:
            for var in eqn.outvars:
                size = var.aval.size // (self.lanes if low.has_lanes(var) else 1)
                if size <= MOST_ELEMENTS:
                    for _, idx in self.places(low, var):
                        low.element(var, idx)

    def advance(self, w: _Expressions, low: LaneLowering, stems: Sequence[str], atoms: Sequence[Atom]) -> None:
        """Give the carry its next values, all at once."""
        fresh = []
        for var, stem, atom in zip(self.carries, stems, atoms):
            for place, idx in self.places(low, var):
                value = w.typed(w.name(low.element(atom, idx)), var)
                if value != f"{stem}_{place}":
                    w.line(f"n{stem}_{place} = {value}")
                    fresh.append(f"{stem}_{place}")
        for name in fresh:
            w.line(f"{name} = n{name}")

    def write_result(self, w: _Expressions, low: LaneLowering, out: Var, stem: str, has_lanes: bool) -> None:
        for place, idx in self.places(low, out):
            value = stored(f"{stem}_{place}", out.aval.dtype, w)
            offset = low.k.ravel(idx, out.aval.shape)
            self.put(w, low, f"{w.buffer(out)}[{w.index_text(offset)}] = {value}", has_lanes)

    def put(self, w: _Expressions, low: LaneLowering, line: str, has_lanes: bool) -> None:
        if has_lanes or low.lane is None:
            w.line(line)
        else:  # the same in every thread: one writes it
            w.line("if row == 0:")
            w.line(f"    {line}")


class _Expressions(GridWriter):
    """Writes expressions in scopes that are opened one by one."""

    def __init__(self, nest: Nest, tables: Tables, shape: Shape, low: LaneLowering):
        super().__init__(nest, tables, shape)
        self.low = low

    def write_local(self, node: Node) -> str:
        return self.low.names[node]

    def typed(self, value: str, var: Var) -> str:
        dtype = var.aval.dtype
        return value if dtype.kind == "b" else f"{self.token(dtype)}({value})"
