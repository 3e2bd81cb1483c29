"""A loop nest as the text of a GPU kernel.

Expressions, and the order in which they are written, are those of the CPU (`functrans.compiler.source`); what differs
is how loops become threads. The outermost loops that all stores share are the *rows*. In each mode

| mode | a row belongs to | the innermost loops inside it |
|---|---|---|
| `map` | threads side by side, several rows in a block | shared by the threads, across the grid |
| `warp`, `block` | the 32 threads of a warp, or a block of threads | shared by these; totals are combined among them |
| `thread` | one thread | run by it, so threads side by side work on rows side by side |

A loop that threads share steps through memory in vectors of `width` elements, of 16 bytes where the sizes allow: its
body is written once for each element of a vector. A thread that has a row, or an element of one, has all of its loops'
turns at the same places, so what it wrote it may read again. Where a team's threads have all of a row in `TURNS` turns,
rows are *resident*: these are written out, and what one loop over the row has read or computed is there for the next
one, in registers. All loads of a loop come before what is done with them, so memory is waited for once.

Kernels take their buffers as pointers, then sizes, then the status word of checks:
`kernel(a, b, ..., n0, n1, ..., status)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from functrans.compiler.nodes import UNROLL_LIMIT, Node
from functrans.compiler.source import (
    Accumulator,
    Nest,
    Scope,
    Store,
    Tables,
    Writer,
    imports_of,
    reachable,
    storage_token,
    stored,
)
from functrans.compiler.templates import compute_dtype, constant_text
from functrans.core.jaxpr import Var

DEVICE = "functrans.compiler.cuda.device"
#: Turns of a thread that one partial sum adds up before it goes to the next level.
BLOCK_TURNS = 32
#: Turns of a thread over a resident row, and how many arrays it is read from at most: registers have to hold them.
TURNS, MOST_READ = 4, 1
#: Threads in a block, and in one that has a row.
THREADS, BLOCK_THREADS = 256, 512

_POSITIONS = {
    "map": (
        "row = int64(cuda.blockIdx.y) * cuda.blockDim.y + cuda.threadIdx.y",
        "rows = int64(cuda.gridDim.y) * cuda.blockDim.y",
        "lane = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x",
        "lanes = int64(cuda.gridDim.x) * cuda.blockDim.x",
    ),
    "warp": (
        "row = int64(cuda.blockIdx.x) * cuda.blockDim.y + cuda.threadIdx.y",
        "rows = int64(cuda.gridDim.x) * cuda.blockDim.y",
        "lane = int64(cuda.threadIdx.x)",
        "lanes = int64(cuda.blockDim.x)",
    ),
    "thread": (
        "row = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x",
        "rows = int64(cuda.gridDim.x) * cuda.blockDim.x",
    ),
}
_POSITIONS["block"] = _POSITIONS["warp"]


@dataclass(frozen=True)
class Shape:
    """How a nest is laid over threads; `width` elements in a vector, 1 for none."""

    mode: str
    width: int = 1
    narrow: bool = True  # all positions fit into 31 bits
    resident: bool = False  # a team has a row in `TURNS` turns


@dataclass
class Text:
    """The text of a kernel and the tables of its arguments."""

    source: str
    buffers: tuple[Var, ...]
    writes: frozenset[Var]
    sizes: tuple[int, ...]
    checks: tuple[str, ...]
    vectors: frozenset[int] = field(default_factory=frozenset)  # the buffers that must be aligned
    is_misaligned: bool = False  # vectors do not fit the sizes
    lines: int = 0


def write(nest: Nest, shape: Shape, comments: Sequence[str] = ()) -> Text:
    """The text of one nest as a kernel."""
    tables = Tables()
    writer = GridWriter(nest, tables, shape)
    lines = writer.write()
    vectors = frozenset(list(tables.buffers).index(v) for v in writer.vector_buffers)
    return Text(
        assemble(tables, lines, comments, BLOCK_THREADS if shape.mode == "block" else THREADS),
        tuple(tables.buffers),
        frozenset(s.var for s in nest.stores),
        tuple(tables.sizes),
        tuple(tables.checks),
        vectors,
        writer.is_misaligned,
        len(lines),
    )


def assemble(tables: Tables, lines: Sequence[str], comments: Sequence[str] = (), threads: int = THREADS) -> str:
    """A kernel from its lines: comments say what it computes, its arguments' types, and how many threads a block has.

    That is at most: registers are shared out by it.
    """
    head, tail = [], []
    arguments = [*tables.buffers.values(), *tables.sizes.values()]
    types = [storage_token(v.aval.dtype) + "*" for v in tables.buffers] + ["int64"] * len(tables.sizes)
    if tables.checks:
        arguments.append("status")
        types.append("int64*")
        for code in range(1, len(tables.checks) + 1):
            head.append(f"bad{code} = False")
            tail += [f"if bad{code}:", f"    status[0] = {code}"]
    body = [f"    {line}" for line in (*head, *lines, *tail)]
    text = "\n".join(body)
    top = [f"# {c}" for c in comments]
    imports = {module: names - {"pointer"} for module, names in tables.imports.items()}
    top += ["from numba import cuda", *imports_of(imports, text)]
    signature = f"# ({', '.join(types)}) in blocks of {threads}"
    return "\n".join([*top, "", "", signature, f"def kernel({', '.join(arguments)}):", text, ""])


class GridWriter(Writer):
    """Writes one nest for a grid of threads."""

    worth_keeping = 60  # to compute again is less than to write and read
    long_formula = 1 << 60  # a GPU has other threads to do meanwhile

    def __init__(self, nest: Nest, tables: Tables, shape: Shape):
        super().__init__(nest, tables)
        self.shape = shape
        self.vector_buffers: dict[Var, None] = {}
        self.copies: dict[Node, list[str]] = {}  # vectors of memory by the load that they serve
        self.copy: tuple[Node, int, int] | None = None  # the loop, the element of the vector, the width
        self.waiting: dict[Store, list[str]] = {}  # values for a store as a vector
        self.is_misaligned = False
        self.resident: dict[tuple[Node, int, int], dict[Node, str]] = {}  # names by loop, turn and element of a vector
        if shape.resident:
            self.worth_keeping = 1 << 60  # values are kept in registers

    @property
    def is_team(self) -> bool:
        return self.shape.mode in ("warp", "block")

    # ---------------------------------------------------------------- rows

    def write(self) -> list[str]:
        order = self.prepare()
        rows = rows_of(self, self.shape.mode)
        if not order:
            self.block(list(self.pending), 0)
            return self.scopes[0].lines
        self.scopes[0].lines += _POSITIONS[self.shape.mode]
        if not rows:
            if self.shape.mode == "thread" or self.is_team:
                with self.opened(None, "if row == 0:"):
                    self.block(list(self.pending), 0)
            else:
                self.block(list(self.pending), 0)
            return self.scopes[0].lines
        total = " * ".join(self.size_text(self.extents[v]) for v in rows)
        count = total if " " not in total else "row_count"
        if count != total:
            self.scopes[0].lines.append(f"row_count = {total}")
        with self.opened(None, f"while row < {count}:"):
            names = [self.loop_name(v) for v in rows]
            rest = "row"
            for position in range(len(rows) - 1, 0, -1):
                size, name = self.size_text(self.extents[rows[position]]), names[position]
                above = names[0] if position == 1 else f"row{position}"
                self.line(f"{above} = {self.quotient(rest, size)}")
                self.line(f"{name} = {rest} - {above} * {size}")
                rest = above
            if len(rows) == 1:
                self.line(f"{names[0]} = row")
            with self.inside(rows):
                self.block(list(self.pending), len(rows))
            self.line("row += rows")
        return self.scopes[0].lines

    @contextmanager
    def inside(self, variables: Sequence[Node]) -> Iterator[None]:
        """Scopes of variables whose values are known, without loops."""
        for variable in variables:
            self.scopes.append(Scope(variable))
        yield
        for _ in variables:
            scope = self.scopes.pop()
            self.scopes[-1].lines += scope.lines

    def quotient(self, a: str, b: str) -> str:
        name, module = ("quotient32", DEVICE) if self.shape.narrow else ("unsigned_divide", _SCALARS)
        self.imports.setdefault(module, set()).add(name)
        return f"{name}({a}, {b})"

    def chunk_range(self, variable: Node, part: Node, elements: int) -> tuple[str, str]:
        self.is_misaligned |= elements % self.shape.width != 0
        start, stop = super().chunk_range(variable, part, elements)
        return start, f"max({stop}, {start})"  # a part may be empty

    def write_floordiv(self, node: Node) -> str:
        a, b = node.args
        if a.bounds is not None and a.bounds[0] >= 0:
            return self.assign(node, self.quotient(self.index_text(a), self.name(b)))
        return super().write_floordiv(node)

    # ---------------------------------------------------------------- loops that threads share

    @property
    def is_shared(self) -> bool:
        """Whether the innermost scope stands in a loop that threads share."""
        return any(s.spread for s in self.scopes)

    def run(self, variable: Node, inner: list[Store], depth: int) -> None:
        last = all(len(s.loops) == depth + 1 for s in inner)
        if self.shape.mode == "thread" or self.is_shared or not last or any(s.combine for s in inner):
            super().run(variable, inner, depth)
        else:
            self.spread(
                variable,
                lambda: self.block([s for s in inner if s in self.pending or s in self.waiting], depth + 1),
                inner,
            )

    def spread(self, variable: Node, body: Callable[[], None], stores: Sequence[Store] = ()) -> None:
        """A loop whose turns threads share: in vectors where it can be, and what is left over one by one."""
        start, stop = self.range_of(variable)
        width = self.shape.width
        if self.shape.resident:
            self.resident_loop(variable, stop, [n for s in stores for n in (s.value, s.offset)], body)
            return
        again = list(stores)
        if width > 1:
            self.shared_loop(variable, start, stop, width, body)
            if not self.has_rest(variable):
                self.is_misaligned |= self.extents[variable] % width != 0
                return
            start = f"{stop} - ({stop}{'' if start == '0' else f' - {start}'}) % {width}"
            self.pending += [s for s in again if s not in self.pending]
        self.shared_loop(variable, start, stop, 1, body)

    def has_rest(self, variable: Node) -> bool:
        """Whether the length of a loop need not be a multiple of the width."""
        return variable in self.nest.chunks or not any(s.variable is not None for s in self.scopes)

    def shared_loop(self, variable: Node, start: str, stop: str, width: int, body: Callable[[], None]) -> None:
        name = self.loop_name(variable)
        first, step, end = "lane", "lanes", stop
        if width > 1:
            first, step, end = f"lane * {width}", f"lanes * {width}", f"{stop} - {width - 1}"
        begin = first if start == "0" else f"{start} + {first}"
        self.stepping(variable, name, begin, end, step, width, body)

    def stepping(
        self, variable: Node, name: str, begin: str, end: str, step: str, width: int, body: Callable[[], None]
    ) -> None:
        counter = name if width == 1 else f"{name}v"
        loop = None if width > 1 else variable
        with self.opened(loop, f"while {counter} < {end}:", before=f"{counter} = {begin}") as scope:
            scope.spread = True
            if width == 1:
                body()
            else:
                self.vector_body(variable, counter, width, body)
            self.line(f"{counter} += {step}")

    def resident_loop(self, variable: Node, stop: str, roots: Sequence[Node], body: Callable[[], None]) -> None:
        """The turns of a loop over a resident row: first what they load, then what they do."""
        loads = [n for n in reachable(roots) if n.kind == "load" and not n.unsafe and self.deps(n) > {variable}]
        name, width, pending = self.loop_name(variable), self.shape.width, list(self.pending)
        if (variable, 0, 0) not in self.resident:
            for turn in range(TURNS):
                position = "lane" if turn == 0 else f"(lane + lanes * {turn})"
                self.line(f"{name}{turn} = {position}" + (f" * {width}" if width > 1 else ""))
            self.is_misaligned |= self.extents[variable] % width != 0

        def turns(body: Callable[[], None]) -> None:
            for turn in range(TURNS):
                self.pending = list(pending)
                with self.opened(None, f"if {name}{turn} < {stop}:") as scope:
                    scope.spread = True
                    self.vector_body(variable, f"{name}{turn}", width, body, turn)

        if any(self.resident.get((variable, 0, 0), {}).get(n) is None for n in loads):
            turns(lambda: self.name_all(loads))
        turns(body)

    def name_all(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.name(node)

    def vector_body(
        self, variable: Node, counter: str, width: int, body: Callable[[], None], turn: int | None = None
    ) -> None:
        """A body once for each element of a vector; then the stores."""
        outer = self.copy, self.copies, self.waiting, list(self.pending)
        self.copies, self.waiting = {}, {}
        name = self.loop_name(variable)
        for element in range(width):
            self.copy = (variable, element, width) if width > 1 else None
            self.pending = list(outer[3])
            self.line(f"{name} = {counter}" + (f" + {element}" if element else ""))
            with self.inside([variable]):
                if turn is not None:
                    self.scopes[-1].names = self.resident.setdefault((variable, turn, element), {})
                body()
        self.copy = None
        for store, values in self.waiting.items():
            self.imports.setdefault(DEVICE, set()).add(f"store{width}")
            self.vector_buffers[store.var] = None
            with self.inside([variable]):
                self.line(f"{name} = {counter}")
                token = storage_token(store.var.aval.dtype)
                group = ", ".join(f"{token}({v})" for v in values)
                self.line(f"store{width}({self.buffer(store.var)}, {self.index_text(store.offset)}, ({group}))")
        self.copy, self.copies, self.waiting, _ = outer

    def in_steps(self, s: Var, offset: Node) -> bool:
        """Whether an access goes on by one element with the loop that is written in vectors, from a multiple on."""
        assert self.copy is not None
        if s.aval.dtype.kind == "c":
            return False
        variable, _, width = self.copy
        steps, is_aligned = 0, True
        for coefficient, factors in self.k._terms(offset).values():
            if any(f in self.merged for f in factors):
                continue
            if any(variable in self.deps(f) for f in factors):
                if coefficient != 1 or len(factors) != 1 or factors[0] is not variable:
                    return False
                steps += 1
            else:
                sizes = [f.args[0] for f in factors if f.kind in ("const", "size")]
                is_aligned &= math.prod([coefficient, *sizes]) % width == 0
        self.is_misaligned |= steps == 1 and not is_aligned
        return steps == 1

    def write_load(self, node: Node) -> str:
        var, offset = node.args
        if self.copy is None or node.unsafe or not self.in_steps(var, offset):
            return super().write_load(node)
        _, element, width = self.copy
        vector = self.copies.get(node)
        if vector is None:
            if element:
                return super().write_load(node)
            self.imports.setdefault(DEVICE, set()).add(f"load{width}")
            self.vector_buffers[var] = None
            scope = self.place(node)
            name = self.fresh()
            scope.lines.append(f"{name} = load{width}({self.buffer(var)}, {self.index_text(offset)})")
            vector = self.copies[node] = [name]
        return self.assign(node, self.loaded(f"{vector[0]}[{element}]", node.dtype))

    def put(self, s: Store, value: str) -> None:
        if self.copy is not None and not s.combine and self.in_steps(s.var, s.offset):
            name = self.fresh()  # the value itself may be the loop's variable, which goes on
            self.line(f"{name} = {stored(value, s.var.aval.dtype, self)}")
            self.waiting.setdefault(s, []).append(name)
        elif self.shape.mode != "thread" and self.nest.order and not self.is_shared:
            with self.opened(None, "if lane == 0:"):
                super().put(s, value)
        else:
            super().put(s, value)

    # ---------------------------------------------------------------- reductions

    def write_reduce(self, node: Node) -> str:
        outer, self.copy = self.copy, None  # its loops are no part of a vector's
        name = super().write_reduce(node)
        self.copy = outer
        return name

    def accumulator(self, node: Node) -> Accumulator:
        return TeamAccumulator(self, node)

    def reduce_loop(self, variable: Node, totals: list[Accumulator], body: Callable[[], None]) -> None:
        shared = self.is_team and not self.is_shared
        blocked = any(t.blocked for t in totals) and self.extents[variable] > UNROLL_LIMIT

        def in_blocks(write: Callable[[str, str], None], start: str, stop: str, step: str) -> None:
            """A loop in blocks of turns, each with partial sums of its own."""
            name = self.loop_name(variable)
            if not blocked:
                write(start, stop)
                return
            with self.opened(None, f"while {name}b < {stop}:", before=f"{name}b = {start}"):
                self.line(f"{name}e = min({name}b + {step}, {stop})")
                for t in totals:
                    t.begin_block()
                write(f"{name}b", f"{name}e")
                for t in totals:
                    t.end_block()
                self.line(f"{name}b += {step}")

        start, stop = self.range_of(variable)
        if shared and self.shape.resident:
            self.resident_loop(variable, stop, [t.body for t in totals], body)
            return
        if not shared:
            name = self.loop_name(variable)

            def sequential(begin: str, end: str) -> None:
                with self.opened(variable, f"for {name} in range({begin}, {end}):"):
                    body()

            in_blocks(sequential, start, stop, str(BLOCK_TURNS))
            return
        width, pending = self.shape.width, list(self.pending)
        if not stop.isidentifier():
            self.line(f"{self.loop_name(variable)}_end = {stop}")
            stop = f"{self.loop_name(variable)}_end"
        if width > 1:
            step = f"lanes * {width * BLOCK_TURNS}"
            in_blocks(lambda a, b: self.shared_loop(variable, a, b, width, body), start, stop, step)
            if not self.has_rest(variable):
                self.is_misaligned |= self.extents[variable] % width != 0
                return
            start = f"{stop} - ({stop}{'' if start == '0' else f' - {start}'}) % {width}"
            self.pending += [s for s in pending if s not in self.pending]
            self.shared_loop(variable, start, stop, 1, body)
            return
        in_blocks(lambda a, b: self.shared_loop(variable, a, b, 1, body), start, stop, f"lanes * {BLOCK_TURNS}")


class TeamAccumulator(Accumulator):
    """A total that each thread has a part of, until they are combined."""

    writer: GridWriter

    def __post_init__(self) -> None:
        super().__post_init__()
        self.wide = self.node.dtype  # a GPU has few units for float64
        self.is_parted = self.writer.is_team and not self.writer.is_shared

    def add(self) -> None:
        value = self.writer.name(self.body)
        target = self.part or self.total
        self.writer.line(f"{target} = {self.writer.combined(self.combine, target, value, self.node.dtype)}")

    def result(self) -> str:
        if not self.is_parted:
            return self.total
        writer, dtype = self.writer, compute_dtype(self.node.dtype)
        combine, total = self.combine, self.total
        if dtype.kind == "b":
            combine = {"add": "or", "max": "or", "mul": "and", "min": "and"}.get(combine, combine)
            dtype, total = np.dtype(np.int32), f"int32({total})"
        name, test = writer.fresh(), " != 0" if self.node.dtype.kind == "b" else ""
        writer.line(f"{name} = {over_team(writer, combine, total, self.identity, dtype)}{test}")
        return name


def over_team(writer: GridWriter, combine: str, value: str, identity: object, dtype: np.dtype) -> str:
    """The combination of the values that the threads of a team have, after the lines that a block needs for it."""
    function = f"warp_{combine}"
    writer.imports.setdefault(DEVICE, set()).add(function)
    if writer.shape.mode == "warp":
        return f"{function}({value})"
    shared, part = f"shared_{dtype}", writer.fresh()
    declaration = f"{shared} = cuda.shared.array(32, {dtype})"
    if declaration not in writer.scopes[0].lines:
        writer.scopes[0].lines.insert(0, declaration)
    for line in (
        f"{part} = {function}({value})",
        "if lane % 32 == 0:",
        f"    {shared}[lane // 32] = {part}",
        "cuda.syncthreads()",
        f"{part} = {constant_text(np.asarray(identity).astype(dtype), dtype)}",
        "if lane % 32 < (lanes + 31) // 32:",
        f"    {part} = {shared}[lane % 32]",
        f"{part} = {function}({part})",
        "cuda.syncthreads()",
    ):
        writer.line(line)
    return part


def can_be_resident(writer: Writer, rows: Sequence[Node]) -> bool:
    """Whether all that is done inside a row is loops, one deep, over the same variable from beginning to end."""
    if not rows or writer.nest.chunks or any(s.combine for s in writer.pending):
        return False
    inner = [s.loops[len(rows) :] for s in writer.pending if len(s.loops) > len(rows)]
    reductions = [n for n in writer.nodes if n.kind == "reduce"]
    if not inner and not reductions:
        return False
    inner += [tuple(v for v in n.args[3] if v not in writer.merged) for n in reductions]
    if any(len(loops) != 1 or loops[0] is not inner[0][0] for loops in inner):
        return False
    read = [n for n in writer.nodes if n.kind == "load" and writer.deps(n) > {inner[0][0]}]
    return len(read) <= MOST_READ and all(writer.deps(n) == set(rows) for n in reductions)


def rows_of(writer: Writer, mode: str) -> list[Node]:
    """The loops that are rows: the outermost that all stores share and on which every reduction outside depends."""
    loops = [s.loops for s in writer.pending]
    shared: list[Node] = []
    for variables in zip(*loops):
        if not all(v is variables[0] for v in variables):
            break
        shared.append(variables[0])
    reductions = [n for n in writer.nodes if n.kind == "reduce"]
    for n in reductions:
        deps = writer.deps(n)
        bound = {v for r in reductions for v in r.args[3]}
        if deps & bound - set(shared):
            continue  # inside another reduction
        while shared and not set(shared) <= deps:
            shared.pop()
    if mode == "map" and shared and all(len(ls) == len(shared) for ls in loops):
        shared.pop()
    return shared


_SCALARS = "functrans.compiler.scalars"

__all__ = ["DEVICE", "GridWriter", "Shape", "Text", "assemble", "write"]
