"""Schedules for a GPU: from a jaxpr to kernels and opaque steps.

Fusion and lowering are those of the CPU. What a machine with many threads wants otherwise: reductions in more and
smaller parts, memory dearer against arithmetic, and a kernel for each loop nest, whose loops are laid over threads as
its reads and reductions suggest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from functrans.compiler.cuda.source import (
    BLOCK_THREADS,
    THREADS,
    TURNS,
    GridWriter,
    Shape,
    Text,
    can_be_resident,
    rows_of,
    write,
)
from functrans.compiler.fusion import Cluster, Fusion, Item, Parts, Target
from functrans.compiler.loops import LOWERINGS, comments, in_program_order, note, work_of
from functrans.compiler.nodes import UNROLL_LIMIT, Node
from functrans.compiler.source import Nest, Tables, reachable
from functrans.compiler.steps import Kernel, Opaque
from functrans.compiler.templates import compute_dtype
from functrans.core.jaxpr import Eqn, Jaxpr
from functrans.errors import IndexOutOfBoundsError

#: Elements of one part of a reduction, and rows of one that is over leading axes (a thread adds them up).
PART, PART_ROWS = 1 << 14, 256
#: So many results of a reduction keep a GPU busy: each by a block, or each by a thread.
ENOUGH_BLOCKS, ENOUGH_THREADS = 512, 1 << 18
#: Rows up to so many vectors belong to a warp, longer ones to a block.
WARP_STEPS = 32 * TURNS
#: Most lines of a kernel whose bodies are written for each element of a vector.
MOST_LINES = 700


@dataclass(frozen=True)
class GridKernel(Kernel):
    """A kernel for a GPU: how its loops lie over threads, and the same without vectors."""

    mode: str = "map"
    rows_count: int = 1
    columns: int = 1
    width: int = 1
    vectors: frozenset[int] = frozenset()  # the buffers that must be aligned to 16 bytes
    plain: GridKernel | None = None  # for those that are not
    looping: GridKernel | None = None  # of a kernel with resident rows: for GPUs whose blocks have too few threads
    block: tuple[int, int] | None = None  # threads of a block, where that is fixed: a block for each row then

    def spread(self) -> str:
        who = {"map": "threads", "thread": "a thread each", "warp": "a warp each", "block": "a block each"}[self.mode]
        vectors = f", {self.width} elements at a time" if self.width > 1 else ""
        resident = ", in registers" if self.looping is not None else ""
        return f"{self.rows_count} rows of {self.columns}, {who}{vectors}{resident}"


def _parts(eqn: Eqn, axes: tuple[int, ...]) -> Parts | None:
    operand, out = eqn.inputs[0], eqn.outvars[0]
    shape = operand.aval.shape
    kept = math.prod(n for d, n in enumerate(shape) if d not in axes)
    reduced = operand.aval.size // max(kept, 1)
    if operand.aval.size <= PART or reduced <= UNROLL_LIMIT:
        return None
    dtype = compute_dtype(out.aval.dtype)
    column = [d for d, n in enumerate(shape) if n != 1][-1] not in axes
    if column:
        wanted = -(-ENOUGH_THREADS // kept)  # parts, for all threads to have something to do
        rows = max(-(-reduced // wanted), min(PART_ROWS, -(-reduced // (UNROLL_LIMIT + 1))), 32)
        return None if rows * 2 > reduced else Parts(rows, False, dtype)
    if kept >= ENOUGH_BLOCKS or reduced <= 4 * PART:
        return None
    return Parts(PART, False, dtype)


#: SciPy's functions, and those written around them, are code of the host.
_OF_THE_HOST = frozenset({"functrans.compiler.scipyfunctions", "functrans.compiler.special"})

GPU = Target(memory_cost=30, kernel_cost=1 << 20, parts=_parts, without=_OF_THE_HOST)


def schedule(jaxpr: Jaxpr, apart: bool = False) -> list[Kernel | Opaque]:
    """The steps of a program, in execution order."""
    steps: list[Kernel | Opaque] = []
    for vertex in Fusion(jaxpr, GPU).run():
        if isinstance(vertex, Item):
            steps.append(Opaque(vertex.eqn))
        elif any(v.aval.size for v in vertex.roots):
            steps.append(kernel_of(vertex))
    return steps


def kernel_of(c: Cluster) -> GridKernel:
    """The kernel of a cluster."""
    eqns = tuple(dict.fromkeys(i.eqn for i in in_program_order(c)))
    operations, accesses = work_of(c)
    return kernel_for(lambda: LOWERINGS[c.kind](c), eqns, note(c), operations + accesses)


def kernel_for(make_nest: Callable[[], Nest], eqns: tuple[Eqn, ...], about: str, work: int) -> GridKernel:
    """The kernel of a nest, which is made anew for each way that is tried to write it."""
    nest = make_nest()
    stored = [s.var.aval.dtype.itemsize for s in nest.stores]
    width = next((w for w in (4, 2) if w * max(stored) <= 16), 1)
    narrow = _is_narrow(nest)
    mode, rows, columns, fits = mode_of(nest)  # which changes it
    lines = comments(eqns)

    def written(width: int, resident: bool, plain: GridKernel | None = None) -> GridKernel | None:
        steps = -(-columns // width)
        own = "block" if mode == "warp" and steps > WARP_STEPS else mode
        if resident and steps > TURNS * (32 if own == "warp" else BLOCK_THREADS):
            return None
        text = write(make_nest(), Shape(own, width, narrow, resident), lines)
        if text.lines > MOST_LINES and (width > 1 or resident):
            return None
        if width > 1 and (text.is_misaligned or not text.vectors):
            return None
        return _kernel(text, own, rows, columns, width, eqns, about, work, plain)

    def best(width: int, plain: GridKernel | None) -> GridKernel | None:
        looping = written(width, False, plain)
        resident = written(width, True, plain) if fits and looping is not None else None
        return looping if resident is None else replace(resident, looping=looping)

    plain = best(1, None)
    assert plain is not None
    if width == 1 or mode == "thread" or columns < 2 * width:
        return plain
    return best(width, plain) or plain


def _kernel(
    text: Text,
    mode: str,
    rows: int,
    columns: int,
    width: int,
    eqns: tuple[Eqn, ...],
    about: str,
    work: int,
    plain: GridKernel | None = None,
) -> GridKernel:
    return GridKernel(
        source=text.source, buffers=text.buffers, writes=text.writes, sizes=text.sizes, extent=rows * columns,
        parallel=True, work=work, checks=text.checks, eqns=eqns, note=about, error=IndexOutOfBoundsError,
        mode=mode, rows_count=rows, columns=columns, width=width, vectors=text.vectors, plain=plain,
    )  # fmt: skip


def _is_narrow(nest: Nest) -> bool:
    """Whether all positions in memory and all numbers of turns fit into 31 bits."""
    nodes = reachable([n for s in nest.stores for n in (s.offset, s.value)])
    sizes = [n.args[0].aval.size for n in nodes if n.kind == "load"] + [s.var.aval.size for s in nest.stores]
    return math.prod(v.args[0] for v in nest.order) < 1 << 31 and max(sizes, default=0) < 1 << 31


# ---------------------------------------------------------------- how a nest lies over threads


def mode_of(nest: Nest) -> tuple[str, int, int, bool]:
    """The mode of a nest (`source.py`), its rows' number, the length of what threads share in each, and residency."""
    writer = GridWriter(nest, Tables(), Shape("warp"))
    order = writer.prepare()
    if not order:
        return "map", 1, 1, False
    reductions = [n for n in writer.nodes if n.kind == "reduce"]
    if not reductions:
        rows = rows_of(writer, "map")
        inner = [math.prod(writer.extents[v] for v in s.loops[len(rows) :]) for s in writer.pending]
        return "map", math.prod(writer.extents[v] for v in rows), max(inner, default=1), False
    rows = rows_of(writer, "warp")
    count = math.prod(writer.extents[v] for v in rows)
    lasts = {[v for v in n.args[3] if v not in writer.merged][-1] for n in reductions}
    longest = max(writer.extents[v] for v in lasts)
    inner = [writer.extents[s.loops[-1]] for s in writer.pending if len(s.loops) > len(rows)]
    columns = max([longest, *inner])
    if rows and (columns <= UNROLL_LIMIT or _steps_with_rows(writer, reductions, rows[-1], lasts)):
        return "thread", count, columns, False
    return "warp" if rows else "block", count, columns, can_be_resident(writer, rows)


def _steps_with_rows(writer: GridWriter, reductions: Sequence[Node], row: Node, lasts: set[Node]) -> bool:
    """Whether reads go through memory from row to row rather than within a row."""
    score = 0
    for node in reachable([n.args[2] for n in reductions]):
        if node.kind == "load":
            score += _has_step(writer, node.args[1], row) - any(_has_step(writer, node.args[1], v) for v in lasts)
    return score > 0


def _has_step(writer: GridWriter, offset: Node, variable: Node) -> bool:
    terms = writer.k._terms(offset).values()
    return any(c == 1 and len(factors) == 1 and factors[0] is variable for c, factors in terms)


# ---------------------------------------------------------------- the grid


@dataclass(frozen=True)
class Limits:
    """How many threads a block has, and how many blocks there are, at most."""

    threads: int = THREADS
    most_threads: int = BLOCK_THREADS
    warp: int = 32
    blocks: int = 132 * 16


def geometry(kernel: GridKernel, limits: Limits) -> tuple[tuple[int, int], tuple[int, int]]:
    """The grid and the block for a kernel."""
    rows, steps = max(kernel.rows_count, 1), max(-(-kernel.columns // kernel.width), 1)
    if kernel.block is not None:
        x = min(kernel.block[0], limits.most_threads)
        return (min(rows, limits.blocks * 4), 1), (x, min(kernel.block[1], max(limits.most_threads // x, 1)))
    if kernel.mode == "map":
        x = min(_power(steps), limits.threads)
        y = min(_power(rows), max(limits.threads // x, 1))
        across = min(-(-steps // x), limits.blocks)
        down = min(-(-rows // y), max(limits.blocks // across, 1), 65535)
        return (across, down), (x, y)
    if kernel.mode == "thread":
        x = min(_power(rows), limits.threads)
        return (min(-(-rows // x), limits.blocks * 4), 1), (x, 1)
    if kernel.mode == "warp":
        y = max(limits.threads // limits.warp, 1)
        return (min(-(-rows // y), limits.blocks * 4), 1), (limits.warp, y)
    x = min(max(_power(-(-steps // TURNS)), limits.warp), limits.most_threads)
    return (min(rows, limits.blocks * 4), 1), (x, 1)


def fitting(kernel: GridKernel, limits: Limits) -> GridKernel:
    """The kernel, or the same with loops where its threads are too few for resident rows."""
    if kernel.looping is None:
        return kernel
    _, (lanes, _) = geometry(kernel, limits)
    return kernel if kernel.columns <= TURNS * lanes * kernel.width else kernel.looping


def _power(n: int) -> int:
    """The least power of two from `n` on."""
    return 1 << max(n - 1, 0).bit_length()


__all__ = ["GPU", "GridKernel", "Limits", "fitting", "geometry", "kernel_for", "kernel_of", "schedule"]
