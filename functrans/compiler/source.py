"""Loop nests as text: the Python function of a kernel.

A nest is a list of stores; each names the loop variables it stands under, outermost first. What a store needs is
written at the outermost loop where it is known: `Writer` keeps the open loops as a stack of scopes, each with its
lines, and puts a node's assignment into the scope of the innermost loop variable on which the node depends. A
reduction is written as a loop of its own in the scope where its result belongs; reductions over the same loop that do
not need each other share it, and so do stores.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from functrans.compiler.nodes import INT64, UNROLL_LIMIT, KernelBuilder, Node
from functrans.compiler.templates import (
    INTRINSICS,
    SCALARS,
    compute_dtype,
    constant_text,
    rounded,
    small_float,
    suffix,
)
from functrans.core.avals import kind_of
from functrans.core.jaxpr import Var

#: Elements that one partial sum adds up before it goes to the next level: keeps sums as exact as pairwise ones.
SUM_BLOCK = 1024


@dataclass(eq=False)
class Store:
    """`var[offset] = value` under loops over `loops`; `combine` accumulates in memory instead."""

    var: Var
    offset: Node
    value: Node
    loops: tuple[Node, ...]
    combine: str | None = None
    identity: object = None
    reduced: tuple[Node, ...] = ()  # those of `loops` over which `combine` accumulates

    @property
    def rank(self) -> int:
        return max(self.value.rank, self.offset.rank)


@dataclass(eq=False)
class Nest:
    """The stores of one kernel, and how its loops run."""

    builder: KernelBuilder
    stores: list[Store]
    order: list[Node]  # all loop variables, outermost first
    serial: bool  # one call runs all of it; otherwise [lo, hi) is a part of the first loop
    chunks: dict[Node, tuple[Node, int]] = field(default_factory=dict)  # variable: its part number, elements in a part


@dataclass
class Text:
    source: str
    buffers: tuple[Var, ...]
    writes: frozenset[Var]
    sizes: tuple[int, ...]
    extent: int
    checks: tuple[str, ...]
    replaces: tuple[tuple[Var, Var], ...]


@dataclass
class Scope:
    variable: Node | None
    lines: list[str] = field(default_factory=list)
    names: dict[Node, str] = field(default_factory=dict)
    branch: bool = False
    spread: bool = False  # a loop that threads share (on a GPU)


@dataclass
class Tables:
    """What the nests of one kernel share: the tables of its arguments, its imports, the names in use."""

    buffers: dict[Var, str] = field(default_factory=dict)
    sizes: dict[int, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    imports: dict[str, set[str]] = field(default_factory=lambda: {INTRINSICS: {"pointer"}})
    count: int = 0
    #: In which nests and at which offsets a buffer is read, and written; `None` for places that are written repeatedly.
    loads: dict[Var, set[tuple[Nest, Node | None]]] = field(default_factory=dict)
    stores: dict[Var, set[tuple[Nest, Node | None]]] = field(default_factory=dict)


def write(nests: Sequence[Nest], comments: Sequence[str] = ()) -> Text:
    """The text of a kernel that runs some nests one after another, and the tables of its arguments."""
    tables, lines, extent = Tables(), list[str](), 1
    for nest in nests:
        writer = Writer(nest, tables)
        lines += writer.write()
        extent = 1 if writer.first is None else writer.extents[writer.first]
    return Text(
        assemble(tables, lines, comments),
        tuple(tables.buffers),
        frozenset(s.var for nest in nests for s in nest.stores),
        tuple(tables.sizes),
        extent,
        tuple(tables.checks),
        tuple(replacements(tables, lines)),
    )


_INDEXED = re.compile(r"\b(\w+)\[")


def replacements(tables: Tables, lines: Sequence[str]) -> Iterator[tuple[Var, Var]]:
    """For results the operands whose memory they could take.

    All that reads the operand stands before all that writes the result; in a nest that does both each element is read
    where the result's element is to be written, and nowhere else. So the turn that writes an element is the last that
    reads it.
    """
    first_store: dict[str, int] = {}
    last_load: dict[str, int] = {}
    for number, line in enumerate(lines):
        for name in _INDEXED.findall(line):
            if line.lstrip().startswith(f"{name}["):
                first_store.setdefault(name, number)
            else:
                last_load[name] = number
    for w, written in tables.stores.items():
        nests = {nest for nest, _ in written}
        start = first_store[tables.buffers[w]]
        for r, read in tables.loads.items():
            if r in tables.stores or r.aval.size != w.aval.size or last_load[tables.buffers[r]] >= start:
                continue
            if storage_token(r.aval.dtype) != storage_token(w.aval.dtype) or any(at is None for _, at in written):
                continue
            if all(place in written for place in read if place[0] in nests):
                yield w, r


def assemble(tables: Tables, lines: Sequence[str], comments: Sequence[str]) -> str:
    body = ["    " + line for line in lines]
    head = []
    for number, (var, name) in enumerate(tables.buffers.items()):
        head.append(f"    {name} = pointer(buffers, {number}, {storage_token(var.aval.dtype)})")
    if tables.sizes:
        tables.imports[INTRINSICS].add("size")
    head += [f"    {name} = size(sizes, {number})" for number, name in enumerate(tables.sizes.values())]
    if tables.checks:
        head.append(f"    status = pointer(buffers, {len(tables.buffers)}, int64)")
        head += [f"    bad{code} = False" for code in range(1, len(tables.checks) + 1)]
        for code in range(1, len(tables.checks) + 1):
            body += [f"    if bad{code}:", f"        status[0] = {code}"]
    text = "\n".join(head + body)
    top = [*(f"# {c}" for c in comments), *imports_of(tables.imports, text)]
    return "\n".join([*top, "", "", "def kernel(buffers, sizes, lo, hi):", text, ""])


def imports_of(imports: dict[str, set[str]], text: str) -> list[str]:
    """The lines that import what a kernel's text uses."""
    top = []
    for module in sorted(imports):
        names = sorted(imports[module])
        if module in ("math", "cmath"):
            top += [f"from {module} import {n} as {module}_{n}" for n in names]
        elif names:
            top.append(f"from {module} import {', '.join(names)}")
    words = set(_words(text))
    if words & {"inf", "nan"}:
        top.append(f"from math import {', '.join(sorted(words & {'inf', 'nan'}))}")
    if words & _TOKENS:
        top.append(f"from numba.types import {', '.join(sorted(words & _TOKENS))}")
    return top


class Writer:
    """Writes one nest."""

    #: From this cost on a value that two loops over a row need is kept in the output's row between them.
    worth_keeping = 8
    #: A loop over so many elements, of so long a formula, is for several vectors at a time.
    many, long_formula = 512, 12

    def __init__(self, nest: Nest, tables: Tables):
        self.nest = nest
        self.tables = tables
        self.buffers, self.sizes, self.checks, self.imports = (
            tables.buffers,
            tables.sizes,
            tables.checks,
            tables.imports,
        )
        self.k = nest.builder
        self.merged: dict[Node, Node] = {}  # loop variables that another loop runs through
        self.extents: dict[Node, int] = {v: v.args[0] for v in nest.order}
        self.scopes = [Scope(None)]
        self.loop_names: dict[Node, str] = {}
        self.first: Node | None = None  # the loop over [lo, hi)
        self.pending: list[Store] = []
        self.groups: dict[tuple[Any, ...], list[Node]] = {}

    # ---------------------------------------------------------------- the whole

    def write(self) -> list[str]:
        order = self.prepare()
        outermost = {s.loops[0] if s.loops else None for s in self.pending}
        self.first = order[0] if order and not self.nest.serial and outermost == {order[0]} else None
        self.block(list(self.pending), 0)
        return self.scopes[0].lines

    def prepare(self) -> list[Node]:
        """Find the loops that run as one, and what is to be stored; the loops that are left, outermost first."""
        self.nodes = reachable([n for s in self.nest.stores for n in (s.offset, s.value)])
        self.merge_loops()
        for node in self.nodes:
            if node.kind == "reduce":
                self.groups.setdefault(self.group_of(node), []).append(node)
        order = [v for v in self.nest.order if v not in self.merged]
        for s in self.nest.stores:
            s.loops = tuple(v for v in s.loops if v not in self.merged)
            s.reduced = tuple(v for v in s.reduced if v not in self.merged)
        self.pending = self.keep_rows(list(self.nest.stores))
        return order

    # ---------------------------------------------------------------- loops that run as one

    def merge_loops(self) -> None:
        """Run adjacent loops as one where every index goes through them as through one axis."""
        polys = [self.k._terms(n) for n in self.nodes if n.kind == "poly"]
        operands = [m for n in self.nodes if n.kind != "poly" for m in n.operands]
        operands += [n for s in self.nest.stores for n in (s.offset, s.value)]
        fixed = {n for n in operands if n.kind == "var"}  # used for itself, not in a sum
        fixed.update(self.nest.chunks, (part for part, _ in self.nest.chunks.values()))
        together = [set(n.args[3]) for n in self.nodes if n.kind == "reduce"]
        together += [set(s.reduced) for s in self.nest.stores if s.reduced] + [set(s.loops) for s in self.nest.stores]
        for a, b in reversed(list(zip(self.nest.order, self.nest.order[1:]))):
            if a in fixed or b in fixed or any((a in group) is not (b in group) for group in together):
                continue
            step = self.k.size(b.args[0])
            if all(self.same_axis(terms, a, b, step) for terms in polys):
                target = self.merged.get(b, b)
                self.merged[a] = target
                self.extents[target] *= a.args[0]

    def same_axis(self, terms: dict, a: Node, b: Node, step: Node) -> bool:
        """Whether `a` and `b` occur in a polynomial only as `c * (a * step + b)`."""
        with_a = {key: t for key, t in terms.items() if any(f is a for f in t[1])}
        with_b = {key: t for key, t in terms.items() if any(f is b for f in t[1])}
        if len(with_a) != len(with_b) or any(key in with_b for key in with_a):
            return False
        for c, factors in with_b.values():
            rest = list(factors)
            rest.pop(next(i for i, f in enumerate(rest) if f is b))
            if step.kind == "const":
                partner, c = sorted([*rest, a], key=lambda f: f.serial), c * int(step.args[0])
            else:
                partner = sorted([*rest, a, step], key=lambda f: f.serial)
            found = with_a.get(tuple(f.serial for f in partner))
            if found is None or found[0] != c:
                return False
        return True

    # ---------------------------------------------------------------- scopes

    @contextmanager
    def opened(
        self, variable: Node | None, header: str, branch: bool = False, before: str | None = None
    ) -> Iterator[Scope]:
        """A scope, written when it closes: by then all that it needs from outside has been written before it."""
        scope = Scope(variable, branch=branch)
        self.scopes.append(scope)
        yield scope
        self.scopes.pop()
        self.scopes[-1].lines += [header] if before is None else [before, header]
        self.scopes[-1].lines += ["    " + line for line in scope.lines or ["pass"]]

    def deps(self, node: Node) -> set[Node]:
        return {self.merged.get(v, v) for v in node.deps}

    def level(self, node: Node) -> int:
        """The scope where a node is known: that of the innermost loop variable it depends on."""
        deps = self.deps(node)
        for level in range(len(self.scopes) - 1, 0, -1):
            variable = self.scopes[level].variable
            if variable is not None and variable in deps:
                return level
        return 0

    def place(self, node: Node) -> Scope:
        if node.unsafe:
            for scope in reversed(self.scopes):
                if scope.branch:
                    return scope
        return self.scopes[self.level(node)]

    def fresh(self) -> str:
        self.tables.count += 1
        return f"t{self.tables.count}"

    def range_of(self, variable: Node) -> tuple[str, str]:
        if variable is self.first:
            return "lo", "hi"
        if variable in self.nest.chunks:
            part, elements = self.nest.chunks[variable]
            return self.chunk_range(variable, part, elements)
        return "0", self.size_text(self.extents[variable])

    def chunk_range(self, variable: Node, part: Node, elements: int) -> tuple[str, str]:
        length, total = self.argument(elements), self.argument(self.extents[variable])
        start = f"{self.loop_name(part)} * {length}"
        return start, f"min({start} + {length}, {total})"

    def loop_name(self, variable: Node) -> str:
        name = self.loop_names.get(variable)
        if name is None:
            number = len(self.loop_names)
            name = self.loop_names[variable] = "ijlmopqr"[number] if number < 8 else f"i{number}"
        return name

    def size_text(self, n: int) -> str:
        if abs(n) <= UNROLL_LIMIT:
            return str(n)
        return self.argument(n)

    def argument(self, n: int) -> str:
        """A size that is an argument whatever its value."""
        if n not in self.sizes:
            self.sizes[n] = f"n{len(self.sizes)}"
        return self.sizes[n]

    def buffer(self, var: Var) -> str:
        name = self.buffers.get(var)
        if name is None:
            name = self.buffers[var] = (
                f"{'abcdefgh'[len(self.buffers)] if len(self.buffers) < 8 else 'a' + str(len(self.buffers))}"
            )
        return name

    # ---------------------------------------------------------------- stores

    def block(self, stores: list[Store], depth: int) -> None:
        """Write stores whose first `depth` loops are open."""
        for s in sorted(stores, key=lambda s: s.rank):
            self.join_reduction(s, depth)
        stores = [s for s in stores if s in self.pending]
        for variable in dict.fromkeys(s.loops[depth] for s in stores if len(s.loops) > depth):
            self.descend([s for s in stores if len(s.loops) > depth and s.loops[depth] is variable], variable, depth)
        for s in sorted(stores, key=lambda s: s.rank):
            if len(s.loops) == depth and s in self.pending:
                self.store(s)

    def join_reduction(self, s: Store, depth: int) -> None:
        """Write the reductions that run over the same loop as a store: they take it along."""
        open_ = {scope.variable for scope in self.scopes}
        over = [
            group[0]
            for (deps, variables, rank), group in self.groups.items()
            if variables and same(variables, s.loops[depth:]) and rank > s.rank and deps <= open_
        ]
        if s in self.pending and over and not s.combine:
            self.name(min(over, key=lambda n: n.rank))

    def descend(self, inner: list[Store], variable: Node, depth: int) -> None:
        starting = [s for s in inner if s.combine and s.reduced and s.reduced[0] is variable]
        for s in starting:
            self.initialise(s, depth)
        for node in self.needed_here(inner, depth):
            self.name(node)  # reductions may take stores along
        inner = [s for s in inner if s in self.pending]
        if inner:
            self.run(variable, inner, depth)

    def run(self, variable: Node, inner: list[Store], depth: int) -> None:
        """Write the loop over a variable with stores that stand in it."""
        with self.loop(variable) as scope:
            self.block(inner, depth + 1)
            straight = not any(line.endswith(":") for line in scope.lines)
            if (
                straight
                and self.extents[variable] >= self.many
                and sum(n.cost for n in scope.names) >= self.long_formula
            ):
                self.imports[INTRINSICS].add("vectors_at_a_time")
                scope.lines.insert(0, "vectors_at_a_time(4)")

    @contextmanager
    def loop(self, variable: Node) -> Iterator[Scope]:
        """A loop over all of a variable's range."""
        start, stop = self.range_of(variable)
        with self.opened(variable, f"for {self.loop_name(variable)} in range({start}, {stop}):") as scope:
            yield scope

    def needed_here(self, stores: list[Store], depth: int) -> list[Node]:
        """The reductions that stores in a deeper loop need, and that belong to the scopes that are open."""
        open_ = {s.variable for s in self.scopes}
        found = reachable([n for s in stores for n in (s.offset, s.value)])
        return [n for n in found if n.kind == "reduce" and self.deps(n) <= open_ and not self.known(n)]

    def initialise(self, s: Store, depth: int) -> None:
        free = [v for v in s.loops[depth:] if v not in set(s.reduced)]
        with self.loops(free):
            dtype = s.var.aval.dtype
            value = stored(constant_text(s.identity, dtype), dtype, self)
            self.line(f"{self.buffer(s.var)}[{self.index_text(s.offset)}] = {value}")

    @contextmanager
    def loops(self, variables: Sequence[Node]) -> Iterator[None]:
        if not variables:
            yield
            return
        with self.loop(variables[0]), self.loops(variables[1:]):
            yield

    def line(self, text: str) -> None:
        self.scopes[-1].lines.append(text)

    def store(self, s: Store) -> None:
        self.pending.remove(s)
        value = self.name(s.value)
        self.put(s, value)

    def put(self, s: Store, value: str) -> None:
        """Write the store of a value that has a name."""
        target = f"{self.buffer(s.var)}[{self.index_text(s.offset)}]"
        deps = self.deps(s.offset)
        parts = {part for run, (part, _) in self.nest.chunks.items() if run in deps}
        once = not s.combine and set(s.loops) <= deps | parts
        self.tables.stores.setdefault(s.var, set()).add((self.nest, s.offset if once else None))
        dtype = s.var.aval.dtype
        if s.combine:
            if s.value.dtype != dtype:
                value = f"{self.token(dtype)}({value})"
            old = self.loaded(target, dtype)
            value = self.combined(s.combine, old, value, dtype)
        self.line(f"{target} = {stored(value, dtype, self)}")

    def token(self, dtype: np.dtype) -> str:
        return str(compute_dtype(dtype))

    def loaded(self, text: str, dtype: np.dtype) -> str:
        if dtype.kind == "b":
            return f"{text} != 0"
        functions = small_float(dtype)
        if functions:
            self.imports[INTRINSICS].add(functions[0])
            return f"{functions[0]}({text})"
        return text

    def combined(self, combine: str, a: str, b: str, dtype: np.dtype) -> str:
        if dtype.kind == "b":
            combine = {"add": "or", "max": "or", "mul": "and", "min": "and"}.get(combine, combine)
        if combine in ("max", "min"):
            name = {"max": "maximum", "min": "minimum"}[combine]
            self.imports.setdefault(SCALARS, set()).add(name)
            return f"{name}({a}, {b})"
        operator = {"add": "+", "mul": "*", "and": "&", "or": "|", "xor": "^"}[combine]
        text = f"{a} {operator} {b}" if " != " not in a else f"({a}) {operator} {b}"
        return f"{dtype}({text})" if dtype.kind in "iu" and dtype != INT64 else text

    # ---------------------------------------------------------------- nodes

    def known(self, node: Node) -> str | None:
        for scope in self.scopes:
            name = scope.names.get(node)
            if name is not None:
                return name
        return None

    def name(self, node: Node) -> str:
        """The text by which a node's value is known here, after writing what computes it."""
        if node.kind == "const":
            return constant_text(node.args[0], node.dtype)
        if node.kind == "size":
            return self.size_text(node.args[0])
        if node.kind == "var":
            return self.loop_name(self.merged.get(node, node))
        known = self.known(node)
        if known is not None:
            return known
        self.write_operands(node)
        if node.kind == "poly":
            return self.poly(node)
        return getattr(self, "write_" + node.kind)(node)

    def write_operands(self, node: Node) -> None:
        """Write what a node needs in any case, deepest first: chains may be longer than Python's stack."""
        stack = [(n, False) for n in reversed(needed_always(node))]
        seen: set[Node] = set()
        while stack:
            n, ready = stack.pop()
            if ready:
                self.name(n)
            elif n not in seen and n.kind not in ("const", "size", "var", "poly") and self.known(n) is None:
                seen.add(n)
                stack.append((n, True))
                stack += [(m, False) for m in reversed(needed_always(n))]
            elif n.kind == "poly" and n not in seen:
                seen.add(n)
                stack += [(m, False) for m in reversed(n.operands)]

    def assign(self, node: Node, text: str) -> str:
        scope, name = self.place(node), self.fresh()
        scope.lines.append(f"{name} = {text}")
        scope.names[node] = name
        return name

    def index_text(self, node: Node) -> str:
        return self.poly_text(node) if node.kind == "poly" else self.name(node)

    def poly(self, node: Node) -> str:
        text = self.poly_text(node)
        return self.assign(node, text) if " " in text else text

    def poly_text(self, node: Node) -> str:
        """A sum of terms; what is known further out is added up there."""
        terms = [t for t in node.args if not any(f in self.merged for f in t[1] if f.kind == "var")]
        levels = [max((self.level(f) for f in factors), default=-1) for _, factors in terms]
        deepest = max(levels, default=-1)
        outer = [t for t, level in zip(terms, levels) if level < deepest]
        inner = [t for t, level in zip(terms, levels) if level == deepest]
        text = ""
        if len([t for t in outer if t[1]]) > 1 or any(len(f) + (c != 1) > 1 and f for c, f in outer):
            constant = [t for t in outer if not t[1]]
            named = [t for t in outer if t[1]]
            prefix = self.k._poly({tuple(f.serial for f in t[1]): t for t in named})
            text, outer = self.name(prefix), constant
        for c, factors in [*inner, *outer]:
            text = join_term(text, c, [self.name(f) for f in factors])
        return text or "0"

    def write_floordiv(self, node: Node) -> str:
        a, b = node.args
        positive = a.bounds is not None and a.bounds[0] >= 0
        function = "unsigned_divide" if positive else "floor_divide_i64"
        self.imports.setdefault(SCALARS, set()).add(function)
        return self.assign(node, f"{function}({self.index_text(a)}, {self.name(b)})")

    def write_op(self, node: Node) -> str:
        resolved, *operands = node.args
        for module, name in resolved.imports:
            self.imports.setdefault(module, set()).add(name)
        return self.assign(node, resolved.text.format(*[self.name(n) for n in operands]))

    def write_load(self, node: Node) -> str:
        var, offset = node.args
        self.tables.loads.setdefault(var, set()).add((self.nest, offset))
        return self.assign(node, self.loaded(f"{self.buffer(var)}[{self.index_text(offset)}]", node.dtype))

    def write_checked(self, node: Node) -> str:
        i, n, message = node.args
        index, limit = self.name(i), self.name(n)
        if message not in self.checks:
            self.checks.append(message)
        code, scope = self.checks.index(message) + 1, self.place(node)
        scope.lines.append(f"bad{code} = bad{code} | ({index} < 0) | ({index} >= {limit})")
        self.imports.setdefault(SCALARS, set()).update(("maximum", "minimum"))
        return self.assign(node, f"maximum(minimum({index}, {limit} - 1), 0)")

    def write_guard(self, node: Node) -> str:
        condition, a, b = node.args
        test, name = self.name(condition), self.fresh()
        scope = self.place(node)
        depth = next(i for i, s in enumerate(self.scopes) if s is scope)
        saved, self.scopes = self.scopes, self.scopes[: depth + 1]
        branches = [(f"if {test}:", self.branch(name, a)), ("else:", self.branch(name, b))]
        for header, lines in branches:  # only now: what both need was written before them
            scope.lines += [header, *["    " + line for line in lines]]
        self.scopes = saved
        scope.names[node] = name
        return name

    def branch(self, name: str, value: Node) -> list[str]:
        self.scopes.append(Scope(None, branch=True))
        self.line(f"{name} = {self.name(value)}")
        return self.scopes.pop().lines

    # ---------------------------------------------------------------- reductions

    def group_of(self, node: Node) -> tuple[Any, ...]:
        variables = tuple(v for v in node.args[3] if v not in self.merged)
        return frozenset(self.deps(node)), variables, node.rank

    def write_reduce(self, node: Node) -> str:
        """Write a reduction, with all that can run in the same loop, in the scope where the result belongs."""
        level = self.level(node)
        saved, self.scopes = self.scopes, self.scopes[: level + 1]
        key = self.group_of(node)
        group, variables = self.groups[key], key[1]
        path = tuple(s.variable for s in self.scopes if s.variable is not None) + tuple(variables)
        taken = [s for s in self.pending if s.rank < node.rank and same(s.loops, path) and not s.combine]
        totals = [self.accumulator(n) for n in group]
        for total in totals:
            total.begin()
        self.reduce_loops(list(variables), totals, taken)
        for total, n in zip(totals, group):
            self.scopes[-1].names[n] = total.result()
        self.scopes = saved
        return self.known(node)  # type: ignore[return-value]

    def accumulator(self, node: Node) -> Accumulator:
        return Accumulator(self, node)

    def reduce_loops(self, variables: list[Node], totals: list[Accumulator], taken: list[Store]) -> None:
        variable, rest = variables[0], variables[1:]
        if rest:
            with self.loop(variable):
                self.reduce_loops(rest, totals, taken)
            return

        def body() -> None:
            for s in taken:
                self.store(s)
            for total in totals:
                total.add()

        self.reduce_loop(variable, totals, body)

    def reduce_loop(self, variable: Node, totals: list[Accumulator], body: Callable[[], None]) -> None:
        """The innermost loop of reductions; long sums in blocks."""
        blocked = any(t.blocked for t in totals) and (self.extents[variable] > UNROLL_LIMIT)
        if not blocked:
            with self.loop(variable):
                body()
            return
        name, (start, stop) = self.loop_name(variable), self.range_of(variable)
        if not stop.isidentifier():
            end = f"{name}_end"
            self.line(f"{end} = {stop}")
            stop = end
        with self.opened(None, f"for {name}0 in range({start}, {stop}, {SUM_BLOCK}):"):
            for total in totals:
                total.begin_block()
            with self.opened(variable, f"for {name} in range({name}0, min({name}0 + {SUM_BLOCK}, {stop})):"):
                body()
            for total in totals:
                total.end_block()

    # ---------------------------------------------------------------- rows kept between loops

    def keep_rows(self, stores: list[Store]) -> list[Store]:
        """Values that are expensive and needed by a reduction and again after it wait in the row of an output."""
        added: list[Store] = []
        for s in stores:
            if s.combine or s.rank == 0:
                continue
            needed = reachable([s.value])
            candidates = [
                n
                for n in needed
                if n.kind == "op"
                and n.cost >= self.worth_keeping
                and n.rank < s.rank
                and n.dtype == s.var.aval.dtype
                and self.deps(n) == set(s.loops)
                and any(self.reduces_over(r, s, n) for r in needed if r.kind == "reduce")
            ]
            if not candidates:
                continue
            kept = max(candidates, key=lambda n: (n.rank, n.serial))
            added.append(Store(s.var, s.offset, kept, s.loops))
            s.value = replaced(self.k, s.value, kept, self.k.load(s.var, s.offset, safe=True))
        if added:
            self.nodes = reachable([n for s in stores + added for n in (s.offset, s.value)])
        return added + stores

    def reduces_over(self, r: Node, s: Store, n: Node) -> bool:
        variables = tuple(v for v in r.args[3] if v not in self.merged)
        within = same(s.loops[len(s.loops) - len(variables) :], variables)
        return within and r.rank == n.rank + 1 and any(m is n for m in reachable([r.args[2]]))


@dataclass
class Accumulator:
    """The running total of one reduction: `begin`, `add` in the innermost loop, `result` after it."""

    writer: Writer
    node: Node

    def __post_init__(self) -> None:
        self.combine, self.identity, self.body, _ = self.node.args
        dtype = self.node.dtype
        extents = [self.writer.extents[v] for v in self.node.args[3] if v not in self.writer.merged]
        short = all(n <= UNROLL_LIMIT for n in extents) and math.prod(extents) <= UNROLL_LIMIT**2
        self.blocked = self.combine == "add" and kind_of(dtype) in "fc" and not short
        self.wide = np.dtype({"f": np.float64, "c": np.complex128}[kind_of(dtype)]) if self.blocked else dtype
        self.total = self.writer.fresh()
        self.part: str | None = None

    def begin(self) -> None:
        self.writer.line(f"{self.total} = {constant_text(self.identity, self.wide)}")

    def begin_block(self) -> None:
        if self.blocked:
            self.part = self.part or self.writer.fresh()
            self.writer.line(f"{self.part} = {constant_text(self.identity, self.node.dtype)}")

    def end_block(self) -> None:
        if self.part is not None:
            self.writer.line(f"{self.total} += {self.widened(self.part)}")
            self.part = None

    def widened(self, value: str) -> str:
        return value if self.wide == self.node.dtype else f"{self.wide}({value})"

    def add(self) -> None:
        writer, dtype = self.writer, compute_dtype(self.node.dtype)
        value = writer.name(self.body)
        target = self.part or self.total
        if self.part is not None and dtype.kind == "f":
            function = f"add_reassoc_{suffix(dtype)}"
            writer.imports[INTRINSICS].add(function)
            writer.line(f"{target} = {function}({target}, {value})")
        elif self.blocked and self.part is None:
            writer.line(f"{target} += {self.widened(value)}")
        else:
            writer.line(f"{target} = {writer.combined(self.combine, target, value, self.node.dtype)}")

    def result(self) -> str:
        dtype = self.node.dtype
        if self.wide == dtype and not small_float(dtype):
            return self.total
        text = f"{compute_dtype(dtype)}({self.total})"
        text, imports = rounded(text, dtype)
        for module, name in imports:
            self.writer.imports.setdefault(module, set()).add(name)
        name = self.writer.fresh()
        self.writer.line(f"{name} = {text}")
        return name


# ---------------------------------------------------------------- helpers

_TOKENS = frozenset(
    "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 bool_".split()
)


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z_]\w*", text)


def storage_token(dtype: np.dtype) -> str:
    """The type of elements in memory: bools are bytes, values of small floats are their bits."""
    return "uint8" if dtype.kind == "b" else "uint16" if small_float(dtype) else str(dtype)


def stored(value: str, dtype: np.dtype, writer: Writer) -> str:
    if dtype.kind == "b":
        return f"uint8({value})"
    functions = small_float(dtype)
    if functions:
        writer.imports[INTRINSICS].add(functions[1])
        return f"{functions[1]}({value})"
    return value


def join_term(text: str, coefficient: int, factors: list[str]) -> str:
    sign, size = ("-", -coefficient) if coefficient < 0 else ("+", coefficient)
    parts = ([str(size)] if size != 1 or not factors else []) + factors
    term = " * ".join(parts)
    if not text:
        return f"-{term}" if sign == "-" else term
    return f"{text} {sign} {term}"


def reachable(roots: Sequence[Node]) -> list[Node]:
    """All nodes that the roots need, operands first."""
    seen: set[Node] = set()
    out: list[Node] = []
    stack: list[tuple[Node, bool]] = [(n, False) for n in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            out.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((n, False) for n in reversed(node.operands) if n not in seen)
    return out


def needed_always(node: Node) -> tuple[Node, ...]:
    """The operands of a node that are computed whenever it is, outside of loops and branches of its own."""
    if node.kind == "reduce":
        return ()
    return node.args[:1] if node.kind == "guard" else node.operands


def same(a: Sequence[object], b: Sequence[object]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b))


def replaced(k: KernelBuilder, root: Node, old: Node, new: Node) -> Node:
    """The expression with one node in place of another, except inside reductions."""
    memo: dict[Node, Node] = {}
    for node in reachable([root]):
        result = node
        args = [memo.get(n, n) for n in node.operands]
        if node is old:
            result = new
        elif node.kind in ("op", "guard") and not same(args, node.operands):
            if node.kind == "op":
                result = k._apply(node.args[0], args, node.dtype, node.bounds)
            else:
                key = ("guard", *[n.serial for n in args], node.unsafe)
                result = k._node(key, tuple(args), node.dtype, args, 2)
                result.unsafe = node.unsafe
        memo[node] = result
    return memo[root]
