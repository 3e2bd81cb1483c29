"""What a schedule is made of: fused loop nests, and the equations that have no loop form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from functrans.core.jaxpr import Eqn, Var
from functrans.errors import IndexOutOfBoundsError


@dataclass(frozen=True)
class Kernel:
    """One fused loop nest: the text of a function and what it is called with.

    `buffers` lists what the table of pointers holds, in order; those in `writes` are outputs. Variables that no
    equation binds (partial results of a reduction in chunks) appear here first as a write: they want memory too.
    A kernel never reads what it writes before it has written it. No buffer of `writes` may share memory with another
    buffer of the table, but for those that `in_place` made one.
    """

    source: str
    buffers: tuple[Var, ...]
    writes: frozenset[Var]
    sizes: tuple[int, ...]
    extent: int  # the range [0, extent) of the outermost loop: split over threads where `parallel`
    parallel: bool
    work: int  # about the number of scalar operations and elements touched
    checks: tuple[str, ...]  # the message of each error that it may report, by status code - 1
    eqns: tuple[Eqn, ...]
    note: str
    rows: int = 0  # the first axis of the results, if [0, extent) runs along it, extent // rows steps in each row
    error: type[Exception] = IndexOutOfBoundsError  # the class of its errors
    why: tuple[tuple[Var, str], ...] = ()  # for what it writes, why that is stored in memory
    replaces: tuple[tuple[Var, Var], ...] = ()  # what it writes, and what it reads whose memory that could take

    def spread(self) -> str:
        """How its work is spread, in words."""
        return f"{self.extent} iterations{', on all threads' if self.parallel else ''}"

    def in_place(self, pairs: Sequence[tuple[Var, Var]]) -> Kernel:
        """The kernel with some results in the memory of operands, of those pairs that `replaces` has.

        Its text has one name for both: LLVM takes buffers of different names to be apart.
        """
        lines = self.source.split("\n")
        for pair in pairs:
            first, second = sorted(map(self.buffers.index, pair))
            heads = [next(i for i, x in enumerate(lines) if f" = pointer(buffers, {n}, " in x) for n in (first, second)]
            name, other = (lines[i].partition(" = ")[0] for i in heads)
            lines[heads[1]] = f"{other} = {name.strip()}"
        return replace(self, source="\n".join(lines), replaces=())

    def __str__(self) -> str:
        return f"kernel of {len(self.eqns)} equations over {self.extent} iterations: {self.note}"


@dataclass(frozen=True)
class Opaque:
    """An equation without a loop form: a library call, control flow, or a call of its NumPy evaluation."""

    eqn: Eqn


Step = Kernel | Opaque
