"""Programs as graphs: nodes for inputs, equations and results, edges for values; inner programs as graphs in nodes.

A jaxpr is a list of *units*: equations, and after fusion the compiler's kernels. What a unit reads and writes gives the
edges. A unit with inner programs becomes a box; its operands enter at *ports*, the inputs of those programs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from functrans.compiler.cost import MOVES, Cost, cost, nbytes
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var, inner_jaxprs
from functrans.core.printing import Names, format_jaxpr, format_param
from functrans.drawing.folding import Repeat, fold

#: Params that the type of the result shows, or the drawing.
_SHOWN_OTHERWISE = frozenset({
    "branches", "body_jaxpr", "body_nconsts", "broadcast_dimensions", "cond_jaxpr", "cond_nconsts", "dimension_numbers",
    "dtype", "index_dtype", "jaxpr", "name", "new_dtype", "new_sizes", "num_carry", "num_consts",
    "preferred_element_type", "shape", "value", "weak_type",
})  # fmt: skip
#: Bodies of so many equations are drawn wherever they occur, larger ones once.
_SMALL = 4

Unit = Eqn | Kernel | Repeat


@dataclass(eq=False)
class Node:
    """What is drawn as one box. `kind` gives its look; `bodies` are drawn inside, unless the node is `folded`."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    tooltip: str = ""
    operands: str = ""
    bodies: tuple[Graph, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Port:
    """A place on a node: the input or result with this number of one of its bodies; or of the node itself."""

    body: int
    number: int


@dataclass(eq=False)
class Edge:
    """A value on its way from one node of a graph to another."""

    source: Node
    target: Node
    label: str
    source_port: Port
    target_port: Port


@dataclass(eq=False)
class Graph:
    """Nodes in the order of the program, and edges. A `caption` says which body of its node a graph is."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    inputs: list[Node] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    caption: str = ""

    def add(self, node: Node) -> Node:
        self.nodes.append(node)
        return node


@dataclass
class Options:
    """How a program is drawn: `units` gives the units of a jaxpr; deeper bodies than `depth` are folded."""

    units: Callable[[Jaxpr], Sequence[Unit]]
    depth: int = 4
    fold: bool = True
    is_kernel: Callable[[Eqn], bool] = lambda eqn: False  # whether an equation with bodies is one kernel
    note: Callable[[Eqn], str] = lambda eqn: ""  # how an equation runs
    drawn: set[str] = field(default_factory=set)  # texts of bodies that have been drawn


def graph_of(
    jaxpr: Jaxpr,
    options: Options,
    in_names: Sequence[str],
    out_names: Sequence[str],
    caption: str = "",
    depth: int = 0,
) -> Graph:
    """The graph of a jaxpr, with its arguments and results under these names."""
    builder = _Builder(options, depth, caption, _names_of(jaxpr))
    for var in jaxpr.constvars:
        builder.input(var, "const", "captured")
    for var, name in zip(jaxpr.invars, in_names):
        builder.input(var, "input", name)
    units = options.units(jaxpr)
    for unit in fold(units, jaxpr.outvars) if options.fold else units:
        builder.unit(unit)
    builder.outputs(jaxpr.outvars, out_names)
    return builder.graph


def _names_of(jaxpr: Jaxpr) -> Names:
    """The names that the printed jaxpr has."""
    names = Names()
    for var in (*jaxpr.constvars, *jaxpr.invars):
        names(var)
    for eqn in jaxpr.eqns:
        for atom in (*(v for v in eqn.outvars if v is not None), *eqn.inputs):
            names(atom)
    return names


class _Builder:
    """One graph under construction; `where` has the node and port that make each value."""

    def __init__(self, options: Options, depth: int, caption: str, names: Names):
        self.options = options
        self.depth = depth
        self.names = names
        self.graph = Graph(caption=caption)
        self.where: dict[Var, tuple[Node, Port]] = {}

    # -- values

    def input(self, var: Var, kind: str, name: str) -> None:
        """A node for an argument: under its name, or under that of the variable."""
        typed = f"{self.names(var)}: {var.aval}"
        line = typed if name else str(var.aval)
        node = self.graph.add(Node(kind, name or self.names(var), (line,), f"{name}\n{typed}".strip()))
        self.graph.inputs.append(node)
        self.where[var] = node, Port(0, 0)

    def output(self, atom: Atom, name: str) -> None:
        value = self.value(atom)
        node = Node("output", name or value, (value,) if name else (), f"{name}\n{value}: {atom.aval}".strip())
        self.graph.outputs.append(self.graph.add(node))
        self.connect(atom, node, Port(0, 0))

    def outputs(self, atoms: Sequence[Atom], names: Sequence[str]) -> None:
        """Nodes for results; one for those of the turns of one loop that a graph without ports has."""
        alike: dict[Any, list[int]] = {}
        for i, atom in enumerate(atoms):
            place = self.where.get(atom) if isinstance(atom, Var) else None
            repeated = place is not None and place[0].kind == "repeat" and not self.depth
            alike.setdefault(place if repeated else i, []).append(i)
        for first, *others in alike.values():
            self.output(atoms[first], names[first])
            if others:
                node = self.graph.outputs[-1]
                node.title = f"{names[first]} … {names[others[-1]]}"
                node.lines = (f"{len(others) + 1} × {atoms[first].aval}",)
                node.tooltip = "\n".join(f"{names[i]}: {atoms[i].aval}" for i in (first, *others))

    def connect(self, atom: Atom, target: Node, port: Port) -> None:
        if isinstance(atom, Var) and atom in self.where:
            source, source_port = self.where[atom]
            label = self.names.typed(atom)
            self.graph.edges.append(Edge(source, target, label, source_port, port))

    def value(self, atom: Atom) -> str:
        return _number(atom.value) if isinstance(atom, Literal) else self.names(atom)

    # -- units

    def unit(self, unit: Unit) -> None:
        if isinstance(unit, Repeat):
            self.repeat(unit)
        elif isinstance(unit, Kernel):
            self.kernel(unit)
        else:
            self.equation(unit)

    def equation(self, eqn: Eqn, reads: Sequence[Atom] | None = None, kernel: Kernel | None = None) -> Node:
        """A node for an equation; for one in a kernel with what that reads; for all of a kernel with that too."""
        spent = _cost_of(eqn if kernel is None else kernel)
        if reads is not None and kernel is None:  # what is fused does not go through memory
            spent = Cost(spent.flops)
        node = Node(
            kind_of(eqn), eqn.primitive.name, (*self.results(eqn), *_cost_lines(spent)),
            self.tooltip(eqn, spent, kernel), self.operands(eqn),
        )  # fmt: skip
        bodies = _bodies(eqn)
        if bodies:
            self.fill(node, eqn, bodies)
        elif kernel is not None:
            node.kind += " fused"
        elif note := self.options.note(eqn):
            node.lines = (*node.lines, note)
        self.add(node)
        for atom, port in zip(eqn.inputs, _ports(eqn)):
            if reads is None or atom in reads:
                self.connect(atom, node, port)
        for i, var in enumerate(eqn.outvars):
            if var is not None:
                self.where[var] = node, Port(max(len(bodies) - 1, 0) if node.kind != "branch" else 0, i)
        return node

    def fill(self, node: Node, eqn: Eqn, bodies: Sequence[tuple[str, Jaxpr]]) -> None:
        """Make a node the box of an equation with inner programs."""
        options = self.options
        node.title = _box_title(eqn)
        if options.is_kernel(eqn):
            node.kind, node.title = "kernel", f"{node.title}, one kernel"
            options = replace(options, units=lambda jaxpr: jaxpr.eqns, is_kernel=lambda eqn: False)
        text = "\n".join(format_jaxpr(jaxpr) for _, jaxpr in bodies)
        large = sum(len(jaxpr.eqns) for _, jaxpr in bodies) > _SMALL
        node.folded = self.depth >= options.depth or (options.fold and large and text in options.drawn)
        options.drawn.add(text)
        node.bodies = tuple(
            graph_of(jaxpr, options, *_roles(eqn, jaxpr, caption), caption, self.depth + 1) for caption, jaxpr in bodies
        )

    def add(self, node: Node) -> None:
        if node.folded:
            node.lines = (*node.lines, f"⊕ {sum(len(body.nodes) for body in node.bodies)} nodes")
        self.graph.add(node)

    def kernel(self, kernel: Kernel) -> None:
        """A box for a kernel, with its equations inside; for only one, the equation's node."""
        reads = [v for v in kernel.buffers if v not in kernel.writes]
        writes = [v for v in kernel.buffers if v in kernel.writes]
        if len(kernel.eqns) == 1:
            self.fused(kernel, reads, writes)
            return
        inside = _Builder(self.options, self.depth + 1, "", self.names)
        for var in reads:
            inside.input(var, "input", "")
        inside.fused(kernel, reads, writes)
        for var in writes:
            inside.output(var, "")
        spent = _cost_of(kernel)
        threads = ", on all threads" if kernel.parallel else ""
        lines = "\n".join(dict.fromkeys(map(_source, kernel.eqns)))
        node = Node(
            "kernel", "kernel", _cost_lines(spent), f"{kernel}{threads}\n{_cost_text(spent)}\n{lines}",
            f"{len(kernel.eqns)} equations{threads}", (inside.graph,), self.depth >= self.options.depth,
        )  # fmt: skip
        self.add(node)
        for i, var in enumerate(reads):
            self.connect(var, node, Port(0, i))
        for i, var in enumerate(writes):
            self.where[var] = node, Port(0, i)

    def fused(self, kernel: Kernel, reads: Sequence[Var], writes: Sequence[Var]) -> None:
        """The equations of a kernel. Halves of a reduction exchange partial results, which no equation names."""
        made = {v for e in kernel.eqns for v in e.outvars}
        used = {a for e in kernel.eqns for a in e.inputs if isinstance(a, Var)}
        partial = [v for v in reads if v not in used]
        last: Node | None = None  # that makes what no equation names
        for eqn in kernel.eqns:
            node = self.equation(eqn, [*reads, *made], kernel if len(kernel.eqns) == 1 else None)
            if any(isinstance(a, Var) and a not in made and a not in reads for a in eqn.inputs):
                for var in partial:
                    self.connect(var, node, Port(0, 0))
            if not any(v in used or v in writes for v in eqn.outvars):
                last = node
        for var in writes:
            if var not in self.where and last is not None:
                self.where[var] = last, Port(0, 0)

    def repeat(self, repeat: Repeat) -> None:
        """A box for units that repeat, with the first turn inside."""
        inside = _Builder(self.options, self.depth + 1, "", self.names)
        for entry in repeat.entries:
            role = "carry" if entry.carried else f"one of {len(entry.values)}" if len(entry.values) > 1 else ""
            inside.input(entry.first, "input", role)
        for unit in repeat.units:
            inside.unit(unit)
        for var in repeat.results:
            inside.output(var, "")
        spent = sum(map(_cost_of, repeat.units), Cost()) * repeat.times
        node = Node(
            "repeat", f"repeated {repeat.times} times", _cost_lines(spent),
            f"{len(repeat.units)} steps, {repeat.times} times; the first time is drawn\n{_cost_text(spent)}", "",
            (inside.graph,), self.depth >= self.options.depth,
        )  # fmt: skip
        for entry in repeat.entries:
            self.merge_inputs(entry.values)
        self.add(node)
        for i, entry in enumerate(repeat.entries):
            sources = {self.where[v]: v for v in reversed(entry.values) if v in self.where}
            for var in sources.values():
                self.connect(var, node, Port(0, i))
        for i, alike in enumerate(repeat.outcomes):
            for var in alike:
                self.where[var] = node, Port(0, i)

    def merge_inputs(self, values: Sequence[Var]) -> None:
        """One node for inputs that only differ in the turn that reads them."""
        found = list(dict.fromkeys(self.where[v][0] for v in values if v in self.where))
        busy = {id(e.source) for e in self.graph.edges}
        inputs = [n for n in found if n.kind == "input" and id(n) not in busy]
        if len(inputs) < 3 or self.depth:
            return
        first, *others = inputs
        first.title = f"{first.title} … {inputs[-1].title}"
        first.lines = (f"{len(inputs)} × {values[0].aval}",)
        first.tooltip = "\n".join(n.tooltip for n in inputs)
        for var in values:
            if self.where.get(var, (None,))[0] in others:
                self.where[var] = first, Port(0, 0)
        gone = set(map(id, others))
        self.graph.nodes = [n for n in self.graph.nodes if id(n) not in gone]
        self.graph.inputs = [n for n in self.graph.inputs if id(n) not in gone]

    # -- text

    def operands(self, eqn: Eqn) -> str:
        values = [self.value(a) for a in eqn.inputs]
        if len(values) > 4:
            values = [*values[:3], f"… {len(values) - 3} more"]
        return " ".join(values)

    def results(self, eqn: Eqn) -> tuple[str, ...]:
        outs = [f"{self.names(v)}: {v.aval}" for v in eqn.outvars if v is not None]
        if len(outs) > 3:
            outs = [*outs[:2], f"… {len(outs) - 2} more"]
        params = _params(eqn)
        return ((params,) if params else ()) + tuple(outs)

    def tooltip(self, eqn: Eqn, spent: Cost, kernel: Kernel | None) -> str:
        left = " ".join("_" if v is None else self.names.typed(v) for v in eqn.outvars)
        right = " ".join(self.value(a) for a in eqn.inputs)
        params = "".join(
            f"\n  {k} = {format_param(v)[:200]}"
            for k, v in sorted(eqn.params.items())
            if v is not None and not callable(v) and k not in ("value", "jaxpr", "branches", "cond_jaxpr", "body_jaxpr")
        )
        how = f"\n{kernel}" if kernel is not None else ""
        return f"{left} = {eqn.primitive.name} {right}{params}\n{_cost_text(spent)}{how}\n{_source(eqn)}".strip()


# ------------------------------------------------------------------ equations with inner jaxprs


def _box_title(eqn: Eqn) -> str:
    name, params = eqn.primitive.name, eqn.params
    if name == "scan":
        return f"scan, {params['length']} turns" + (" from the end" if params["reverse"] else "")
    return f"{name} {params['name']}" if isinstance(params.get("name"), str) else name


def _bodies(eqn: Eqn) -> list[tuple[str, Jaxpr]]:
    """The inner programs of an equation, each with a caption where there are several."""
    if eqn.primitive.name == "while":
        return [("condition", eqn.params["cond_jaxpr"]), ("body", eqn.params["body_jaxpr"])]
    if eqn.primitive.name == "tape":
        captions = ["body", *("backwards" if p.reverse else "forwards" for p in eqn.params["layout"][1:])]
        return [("condition", eqn.params["cond_jaxpr"]), *zip(captions, eqn.params["jaxprs"])]
    inner = [jaxpr for _, jaxpr in inner_jaxprs(eqn.params)]
    if eqn.primitive.name != "cond":
        return [("", jaxpr) for jaxpr in inner]
    names = ("if false", "if true") if len(inner) == 2 else [f"branch {i}" for i in range(len(inner))]
    return list(zip(names, inner))


def _ports(eqn: Eqn) -> list[Port]:
    """For each operand the input of a body that it becomes; number -1 for one that the equation itself reads."""
    n, name = len(eqn.inputs), eqn.primitive.name
    if name == "while":
        first, last = eqn.params["cond_nconsts"], len(eqn.params["body_jaxpr"].invars)
        return [Port(0, i) for i in range(first)] + [Port(1, i) for i in range(last)]
    if name == "tape":
        consts = eqn.params["nconsts"]
        ends = [Port(0, i) for i in range(eqn.params["cond_nconsts"])] + [Port(1, i) for i in range(consts)]
        return ends + [Port(k, consts + i) for k, p in enumerate(eqn.params["layout"], 1) for i in range(p.ncarry)]
    return [Port(0, i - (name == "cond")) for i in range(n)]


def _roles(eqn: Eqn, jaxpr: Jaxpr, caption: str) -> tuple[list[str], list[str]]:
    """What the arguments and results of a body are to their equation."""
    name, params = eqn.primitive.name, eqn.params
    n, m = len(jaxpr.invars), len(jaxpr.outvars)
    if name == "scan":
        consts, carry = params["num_consts"], params["num_carry"]
        ins = ["const"] * consts + ["carry"] * carry + ["x"] * (n - consts - carry)
        return ins, ["carry"] * carry + ["y"] * (m - carry)
    if name in ("while", "tape") and caption == "condition":
        consts = params["cond_nconsts"]
        return ["const"] * consts + ["carry"] * (n - consts), ["go on"]
    if name == "while":
        consts = params["body_nconsts"]
        return ["const"] * consts + ["carry"] * (n - consts), ["carry"] * m
    if name == "tape":
        p = params["layout"][next(i for i, j in enumerate(params["jaxprs"]) if j is jaxpr)]
        ins = ["const"] * params["nconsts"] + ["carry"] * p.ncarry + ["tape"] * len(p.reads)
        return ins, ["carry"] * p.ncarry + ["tape"] * (m - p.ncarry)
    return [""] * n, [""] * m


# ------------------------------------------------------------------ looks and texts


def kind_of(eqn: Eqn) -> str:
    """The family of an equation, which gives its colour."""
    name = eqn.primitive.name
    if _bodies(eqn):
        return "loop" if name in ("scan", "while", "tape") else "branch" if name == "cond" else "call"
    if name.startswith(("dot_general", "conv_")):
        return "product"
    if eqn.primitive.reduction is not None or name.startswith(("arg", "cum", "reduce_window")):
        return "reduction"
    if name in MOVES:
        return "move"
    return "math" if eqn.primitive.lower is not None else "other"


def _params(eqn: Eqn) -> str:
    """What is worth a line of a node."""
    if _bodies(eqn):
        return ""
    if eqn.primitive.name.startswith("dot_general"):
        return _einsum(eqn)
    shown = {k: v for k, v in sorted(eqn.params.items()) if k not in _SHOWN_OTHERWISE}
    text = " ".join(f"{k}={format_param(v)}" for k, v in shown.items() if v is not None and v is not False)
    return text if len(text) <= 30 else text[:29] + "…"


def _einsum(eqn: Eqn) -> str:
    """The axes of a contraction, in einsum's notation."""
    (contracted, batch) = eqn.params["dimension_numbers"]
    a, b = (x.aval.ndim for x in eqn.inputs[-2:])
    letters = iter("ijklmnopqrstuvwxyzabcdefgh" * 3)
    left = [next(letters) for _ in range(a)]
    shared = dict(zip((*contracted[1], *batch[1]), (*contracted[0], *batch[0])))
    right = [left[shared[d]] if d in shared else next(letters) for d in range(b)]
    out = [left[d] for d in batch[0]]
    out += [left[d] for d in range(a) if d not in (*contracted[0], *batch[0])]
    out += [right[d] for d in range(b) if d not in shared]
    return f"{''.join(left)},{''.join(right)}->{''.join(out)}"


def _number(value: Any) -> str:
    value = np.asarray(value)[()]
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _cost_of(unit: Eqn | Kernel) -> Cost:
    """The cost of an equation or a kernel; this reads and writes only what it does not keep to itself."""
    if not isinstance(unit, Kernel):
        return cost(unit)
    known = {*unit.buffers, *(v for e in unit.eqns for v in e.outvars)}
    used = {a for e in unit.eqns for a in e.inputs}
    partial = sum(v.aval.size for v in unit.buffers if v not in unit.writes and v not in used)
    whole = [all(isinstance(a, Literal) or a in known for a in e.inputs) for e in unit.eqns]
    flops = sum(cost(e).flops if w else partial for e, w in zip(unit.eqns, whole))  # second halves add partial results
    return Cost(flops, nbytes(unit.buffers))


def _cost_lines(spent: Cost) -> tuple[str, ...]:
    parts = [f"{_short(n)}{unit}" for n, unit in ((spent.flops, "flop"), (spent.bytes, "B")) if n]
    return (" · ".join(parts),) if parts else ()


def _cost_text(spent: Cost) -> str:
    return f"{spent.flops:,.0f} flop, {spent.bytes:,.0f} bytes"


def _short(number: float) -> str:
    """A number in three digits, a space, and a prefix of the SI for the unit that follows: `1.23 M`."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}"
    return f"{number:.0f} "


def _source(eqn: Eqn) -> str:
    return f"at {eqn.source}" if eqn.source else ""


__all__ = ["Edge", "Graph", "Node", "Options", "Port", "graph_of"]
