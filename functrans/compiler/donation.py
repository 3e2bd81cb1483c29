"""Results in the memory of arguments that their caller gave away (`donate_argnums`).

A result takes the memory of a donated argument of its type in two cases: it is the argument changed in places, update
by update (`x.at[i].set(v)`, also in loops) or element by element, or nothing reads the argument any more when the
result begins to be written.
"""

from __future__ import annotations

from collections.abc import Sequence

from functrans.compiler.controlflow import carries_in_place
from functrans.compiler.plan import Planner
from functrans.core.jaxpr import Atom, Jaxpr, Var


def assign_donations(p: Planner, jaxpr: Jaxpr, donated: Sequence[int]) -> tuple[dict[int, int], list[Var]]:
    """For results the number of the argument whose memory they take, and the arguments that are changed in places."""
    taken: dict[int, int] = {}
    changed: list[Var] = []
    for test in (_updates, _follows):
        for i in donated:
            if i in taken.values():
                continue
            for j, result in enumerate(jaxpr.outvars):
                if j not in taken and _fits(jaxpr.invars[i], result) and test(p, jaxpr, i, j):
                    taken[j] = i
                    changed += [jaxpr.invars[i]] if test is _updates else []
                    break
    return taken, changed


def _fits(argument: Var, result: Atom) -> bool:
    """Whether an argument's memory can hold a result."""
    return argument.aval.size == result.aval.size > 0 and argument.aval.dtype == result.aval.dtype


def _updates(p: Planner, jaxpr: Jaxpr, i: int, j: int) -> bool:
    """Whether a result is an argument changed in places."""
    return carries_in_place(p, jaxpr, [jaxpr.invars[i]], [jaxpr.outvars[j]])[0]


def _follows(p: Planner, jaxpr: Jaxpr, i: int, j: int) -> bool:
    """Whether a result is written after the last read of an argument."""
    argument, result = jaxpr.invars[i], jaxpr.outvars[j]
    block = p.analysis(jaxpr)
    origin = block.root(result)
    if any(block.root(other) is origin for n, other in enumerate(jaxpr.outvars) if n != j):
        return False
    return block.last_read(argument) < block.writer.get(origin, -1)  # type: ignore[arg-type]
