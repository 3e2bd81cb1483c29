"""Loops over many lanes that do not look at each other, as `vmap` of a `scan` or `while_loop` makes them.

If each row of a carry depends on the same row alone, the loop need not finish a turn for all rows before the next: it
runs to its end for a block of rows, whose carry stays in cache, then for the next block, on all threads without waiting
for each other. A `while` so ends for each block of lanes when the slowest of them is done, not the slowest of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functrans.compiler.fusion import items_of
from functrans.compiler.loops import ACCESS, PARALLEL
from functrans.compiler.plan import Planner, nbytes
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Jaxpr, Var

#: Fewer lanes are done at once. A block's values take so many bytes, for a first level cache; it is not smaller than
#: two vectors.
FEWEST, BLOCK_BYTES, FEWEST_IN_BLOCK = 64, 1 << 15, 32
#: How many turns a `while` is expected to make.
TURNS = 16


@dataclass(frozen=True)
class LaneLoop:
    """A loop in which the first axis of every carry counts lanes."""

    lanes: int
    block: int
    parallel: bool
    body: Jaxpr
    cond: Jaxpr | None = None  # whether each lane goes on


def lane_scan(p: Planner, body: Jaxpr, n_consts: int, n_carry: int, length: int) -> LaneLoop | None:
    """The body of a `scan` as a loop over lanes, if it is one."""
    carries = body.invars[n_consts : n_consts + n_carry]
    lanes = _lanes(carries)
    apart = _copy(body, body.outvars)
    by_lane = by_lane_values(apart, carries, lanes) if lanes else None
    if by_lane is None or not by_lane.issuperset(apart.outvars):
        return None
    return _loop(p, lanes, length, apart, None, by_lane)


def lane_while(p: Planner, cond: Jaxpr, cond_consts: int, body: Jaxpr, body_consts: int) -> LaneLoop | None:
    """A `while` that goes on while any lane does, and leaves the others as they are."""
    carries = body.invars[body_consts:]
    lanes = _lanes(carries)
    result = cond.outvars[0]
    test = next((e for e in cond.eqns if e.outvars == [result] or tuple(e.outvars) == (result,)), None)
    if not lanes or test is None or test.primitive.name != "reduce_or":
        return None
    (goes_on,) = test.inputs
    if len(test.params["axes"]) != goes_on.aval.ndim:
        return None
    cond = _copy(cond, [goes_on], without=test)
    apart = _copy(body, body.outvars)
    tested = by_lane_values(cond, cond.invars[cond_consts:], lanes)
    by_lane = by_lane_values(apart, carries, lanes)
    if tested is None or by_lane is None:
        return None
    if not tested.issuperset(cond.outvars) or not by_lane.issuperset(apart.outvars):
        return None
    return _loop(p, lanes, TURNS, apart, cond, by_lane | tested)


def _lanes(carries: Sequence[Var]) -> int:
    """The common first axis of all carries, if it is long."""
    firsts = {v.aval.shape[:1] for v in carries}
    lanes = next(iter(firsts), ())
    return lanes[0] if len(firsts) == 1 and lanes and lanes[0] >= FEWEST and all(v.aval.size for v in carries) else 0


def _copy(jaxpr: Jaxpr, outvars: Sequence[Atom], without: object = None) -> Jaxpr:
    """The same jaxpr as an object of its own: it is scheduled differently."""
    eqns = [e for e in jaxpr.eqns if e is not without]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, outvars)


def by_lane_values(jaxpr: Jaxpr, carries: Sequence[Var], lanes: int) -> set[Atom] | None:
    """What depends on the carries, if all of it keeps their first axis, and reads of such values its own row only."""
    by_lane: set[Atom] = set(carries)
    for item in items_of(jaxpr):
        if item.kind == "opaque":
            return None
        if by_lane.isdisjoint(item.inputs):
            continue
        if item.kind == "part" or item.out.aval.shape[:1] != (lanes,):
            return None
        if item.kind == "reduce":
            if 0 in item.axes:
                return None
        elif any(m[:1] != (0,) for a, maps in zip(item.inputs, item.accesses) if a in by_lane for m in maps):
            return None
        by_lane.add(item.out)
    return by_lane


def _loop(p: Planner, lanes: int, turns: int, body: Jaxpr, cond: Jaxpr | None, by_lane: set[Atom]) -> LaneLoop | None:
    """The loop, if its kernels can do some lanes at a time, and write nothing that is there for all lanes."""
    kernels: list[Kernel] = []
    for jaxpr in (body, cond) if cond is not None else (body,):
        for step in p.analysis(jaxpr, apart=True).working_steps:
            if not isinstance(step, Kernel) or step.rows != lanes or step.checks or not by_lane.issuperset(step.writes):
                return None
            kernels.append(step)
    values = {v for kernel in kernels for v in kernel.buffers if v.aval.shape[:1] == (lanes,)}
    row = sum(nbytes(v.aval) for v in values) // lanes
    block = min(max(BLOCK_BYTES // max(row, 1) // FEWEST_IN_BLOCK, 1) * FEWEST_IN_BLOCK, lanes)
    work = sum(ACCESS * kernel.work for kernel in kernels) * turns
    return LaneLoop(lanes, block, lanes > FEWEST_IN_BLOCK and work > PARALLEL, body, cond)
