"""Loops and branches as instructions: the body's own steps between labels, with jumps.

Each body's buffers are allocated once. A loop's carry alternates between two buffers: a body reads its carry through
one slot, writes the next carry through a second, and the slots change places at the end of each turn; the initial value
is read where it lies. A carry that a body only updates in places (`x.at[i].set(v)`), or element by element, has one
buffer. Scanned operands
and stacked results are read and written in place, through slots that step along them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functrans.compiler.lanes import HAS_MASK, LaneLoop, lane_scan, lane_while
from functrans.compiler.plan import (
    UPDATES,
    AddCounter,
    Buffer,
    Jump,
    JumpIfFalse,
    JumpIfLess,
    JumpIfNone,
    Mark,
    MoveSlot,
    Place,
    Planner,
    ReadCounter,
    SetCounter,
    nbytes,
)
from functrans.compiler.scalarloops import carried, loop_kernel
from functrans.compiler.steps import Kernel, Opaque
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var


@dataclass(frozen=True)
class Carry:
    """The slots of one carry: where the body reads it, where it writes the next, and which is free after that."""

    now: Place
    next: Place
    spare: Place
    stored: tuple[Buffer, ...]  # the buffers, without the initial value's
    in_place: bool = False


def enter_carry(p: Planner, operand: Atom, var: Var, in_place: bool, lanes: LanesOf | None = None) -> Carry:
    """Slots and buffers for a carry; its initial value is read where it is, and not written to if others read it."""
    size = nbytes(var.aval)
    if in_place and lanes is not None:
        target = lanes.place_of(var)
        p.copy(target, p.read(operand), size)
        return Carry(target, target, target, target.buffers, in_place=True)
    if in_place:
        place = p.overwrite(operand, var)
        if place is None:
            init = p.read(operand)
            place = p.write(var)
            p.copy(place, init, size)
        return Carry(place, place, place, place.buffers, in_place=True)
    init = p.read(operand)
    pair = [p.temporary(size, var.aval) for _ in range(2)]
    stored = (*pair[0].buffers, *pair[1].buffers)
    both = (*stored, *init.buffers)
    carry = Carry(Place(p.slot(), both), Place(p.slot(), stored), Place(p.slot(), stored), stored)
    for place, start in ((carry.now, init), (carry.next, pair[0]), (carry.spare, pair[1])):
        p.emit(MoveSlot(place.slot, start.slot, 0), start, place)
    return carry


def advance_carry(p: Planner, carry: Carry) -> None:
    """What was written becomes what is read; the turn after writes over what was read before it."""
    if carry.in_place:
        return
    now, following, spare = carry.now.slot, carry.next.slot, carry.spare.slot
    p.emit(MoveSlot(now, following, 0), carry.now)
    p.emit(MoveSlot(following, spare, 0))
    p.emit(MoveSlot(spare, now, 0))


def leave_carry(p: Planner, carry: Carry, var: Var, place: Place) -> None:
    """Give a loop's result its place: where it lies, unless another place wants it."""
    if carry.in_place:
        return
    if p.wanted(var) is None:
        p.define(var, place)
    else:
        p.copy(p.write(var), place, nbytes(var.aval))


class LanesOf:
    """The part of a plan that is for lanes: results have their places before it, and get their rows at its end."""

    def __init__(self, p: Planner, loop: LaneLoop, results: Sequence[Var]):
        self.p = p
        self.results = results
        self.places = [p.write(v) for v in results]
        self.entered = p.enter_lanes(loop.lanes, loop.block, loop.parallel)

    def place_of(self, var: Var) -> Place:
        return self.places[self.results.index(var)]

    def leave(self, carries: Sequence[Carry]) -> None:
        for carry, var, place in zip(carries, self.results, self.places):
            self.p.copy(place, carry.now, nbytes(var.aval))
        self.p.leave_lanes(self.entered)


def carries_in_place(
    p: Planner, body: Jaxpr, arguments: Sequence[Var], results: Sequence[Atom], by_kernels: bool = True
) -> list[bool]:
    """For each carry of a body whether its next value can replace it in memory: update by update, or by kernels."""
    return [_replaces(p, body, a, r, by_kernels) for a, r in zip(arguments, results)]


def _replaces(p: Planner, body: Jaxpr, argument: Var, result: Atom, by_kernels: bool) -> bool:
    block = p.analysis(body)
    waiting = [block.root(result)]
    if waiting[0] is argument:
        return False
    is_copied = sum(block.root(atom) is waiting[0] for atom in body.outvars) > 1  # also stacked, say
    while waiting:
        value = waiting.pop()
        if value is argument:
            return True
        number = block.writer.get(value, -1)  # type: ignore[arg-type]
        step = block.steps[number] if number >= 0 else None
        if isinstance(step, Opaque):
            operand = _replaced_operand(p, step.eqn, value, by_kernels)
            waiting += [operand] if operand is not None and block.is_last_read(operand, number) else []
        elif step is not None and by_kernels and not is_copied:
            waiting += [operand for out, operand in block.replaceable(number) if out is value]
        waiting = [block.root(atom) for atom in waiting]
    return False


def _replaced_operand(p: Planner, eqn: Eqn, result: Atom, by_kernels: bool) -> Atom | None:
    """The operand of an equation whose memory can become that of a result, if there is one."""
    if eqn.primitive.name in UPDATES:
        return eqn.inputs[0]
    if eqn.primitive.name not in ("scan", "while"):
        return None
    number = list(eqn.outvars).index(result)  # type: ignore[arg-type]
    params = eqn.params
    body: Jaxpr = params["jaxpr"] if "jaxpr" in params else params["body_jaxpr"]
    first = params["num_consts"] if "jaxpr" in params else params["body_nconsts"]
    if "jaxpr" in params and (number >= params["num_carry"] or params["length"] == 0):
        return None
    argument, next_value = body.invars[first + number], body.outvars[number]
    if not _replaces(p, body, argument, next_value, by_kernels=False):
        if not by_kernels or not _replaces(p, body, argument, next_value, by_kernels=True) or _is_kernel(p, eqn):
            return None
    return eqn.inputs[number + first + params.get("cond_nconsts", 0)]


def _is_kernel(p: Planner, eqn: Eqn) -> bool:
    """Whether a loop is a kernel, which keeps its carries in registers and reads them before it writes results."""
    return not p.lanes and loop_kernel(eqn, p.analysis, lambda e: loop_in_place(p, e)) is not None


def call_loop(p: Planner, eqn: Eqn, kernel: Kernel) -> bool:
    """Call a loop that is a kernel of its own."""
    places = [p.read(a) for a in eqn.inputs]
    changed = dict(zip(eqn.outvars, zip(loop_in_place(p, eqn), carried(eqn))))
    results = []
    for var in eqn.outvars:
        in_place, init = changed.get(var, (False, None))
        results.append(p.updated(init, var) if in_place and init is not None else p.write(var))
    scratch = [p.temporary(nbytes(v.aval), v.aval) for v in kernel.buffers[len(places) + len(results) :]]
    p.call_at(kernel, [*places, *results, *scratch])
    return True


def loop_in_place(p: Planner, eqn: Eqn) -> list[bool]:
    """For each carry of a `scan` or `while` that is a kernel whether it is only updated in place."""
    params = eqn.params
    if "jaxpr" in params:
        body, first, n = params["jaxpr"], params["num_consts"], params["num_carry"]
    else:
        body, first, n = params["body_jaxpr"], params["body_nconsts"], len(params["body_jaxpr"].outvars)
    return carries_in_place(p, body, body.invars[first : first + n], body.outvars[:n], by_kernels=False)


# ------------------------------------------------------------------ scan


def emit_scan(p: Planner, eqn: Eqn, as_kernel: bool = True) -> bool:
    """A `scan`: as a kernel where that is allowed and its body is scalars, over lanes, or as a loop of instructions."""
    params = eqn.params
    body: Jaxpr = params["jaxpr"]
    n_consts, n_carry, length = params["num_consts"], params["num_carry"], params["length"]
    consts, init, xs = _split(eqn.inputs, n_consts, n_carry)
    alone = as_kernel and not p.lanes
    kernel = loop_kernel(eqn, p.analysis, lambda e: loop_in_place(p, e)) if length and alone else None
    if kernel is not None:
        return call_loop(p, eqn, kernel)
    if length == 0:
        for a, var in zip(init, eqn.outvars):
            p.copy(p.write(var), p.read(a), nbytes(a.aval))
        for var in eqn.outvars[n_carry:]:
            p.write(var)
        return True
    read = [p.read(a) for a in consts]
    lane_loop = lane_scan(p, body, n_consts, n_carry, length) if n_carry and alone else None
    body = lane_loop.body if lane_loop else body
    arguments = body.invars[n_consts : n_consts + n_carry]
    in_place = carries_in_place(p, body, arguments, body.outvars[:n_carry])
    stacked_as = [_stacked_as(p, body, n_carry, i) if not flag else None for i, flag in enumerate(in_place)]
    stacks = [p.write(v) for v in eqn.outvars[n_carry:]]
    lanes = LanesOf(p, lane_loop, eqn.outvars[:n_carry]) if lane_loop else None
    carries = [
        enter_carry(p, a, v, flag, lanes) if j is None else follow_stack(p, a, eqn.outvars[n_carry + j])
        for a, v, flag, j in zip(init, eqn.outvars, in_place, stacked_as)
    ]
    stack_avals = [v.aval for v in eqn.outvars[n_carry:]]
    reverse = params.get("reverse", False)
    along_xs = [Along(p, p.read(a), nbytes(a.aval) // length, length, reverse) for a in xs]
    along_ys = [Along(p, place, nbytes(aval) // length, length, reverse) for place, aval in zip(stacks, stack_avals)]
    counter, top = p.counter(), p.label()
    p.emit(SetCounter(counter, 0))
    p.enter_loop(length)
    p.emit(Mark(top))
    places = [*read, *(c.now for c in carries), *(a.place for a in along_xs)]
    targets = [
        *(c.next if j is None else None for c, j in zip(carries, stacked_as)),
        *(a.place for a in along_ys),
    ]
    p.block(body, dict(zip(body.invars, places)), targets, [a for a, flag in zip(arguments, in_place) if flag])
    for carry, j in zip(carries, stacked_as):
        if j is None:
            advance_carry(p, carry)
        else:
            p.emit(MoveSlot(carry.now.slot, along_ys[j].place.slot, 0), carry.now, along_ys[j].place)
    for along in (*along_xs, *along_ys):
        along.step(p)
    p.emit(AddCounter(counter, 1))
    p.emit(JumpIfLess(counter, length, top))
    p.leave_loop()
    if lanes:
        lanes.leave(carries)
        return True
    for carry, var in zip(carries, eqn.outvars):
        leave_carry(p, carry, var, Place(carry.now.slot, carry.stored))
    return True


def _stacked_as(p: Planner, body: Jaxpr, n_carry: int, i: int) -> int | None:
    """The number of the stacked result that is the next value of a carry: the carry is read from there then."""
    block = p.analysis(body)
    value = block.root(body.outvars[i])
    if value not in block.writer or value.aval.size == 0:
        return None
    same = [j for j, atom in enumerate(body.outvars[n_carry:]) if block.root(atom) is value]
    first = not any(block.root(atom) is value for atom in body.outvars[:i])
    return same[0] if same and first else None


def follow_stack(p: Planner, operand: Atom, stacked: Var) -> Carry:
    """The slot of a carry whose values are all stacked: its initial value is read where it is, the others there."""
    init, stack = p.read(operand), p.share(stacked)
    now = Place(p.slot(), (*init.buffers, *stack.buffers))
    p.emit(MoveSlot(now.slot, init.slot, 0), now)
    return Carry(now, now, now, stack.buffers)


class Along:
    """A slot that steps along the first axis of an array."""

    def __init__(self, p: Planner, whole: Place, stride: int, length: int, reverse: bool):
        self.stride = -stride if reverse else stride
        self.place = Place(p.slot(), whole.buffers)
        p.emit(MoveSlot(self.place.slot, whole.slot, (length - 1) * stride if reverse else 0), whole)

    def step(self, p: Planner) -> None:
        if self.stride:
            p.emit(MoveSlot(self.place.slot, self.place.slot, self.stride), self.place)


def _split(items: Sequence[Atom], *sizes: int) -> list[Sequence[Atom]]:
    out, position = [], 0
    for n in sizes:
        out.append(items[position : position + n])
        position += n
    return [*out, items[position:]]


# ------------------------------------------------------------------ while


def emit_while(p: Planner, eqn: Eqn, as_kernel: bool = True) -> bool:
    """A `while`, as `emit_scan`."""
    params = eqn.params
    cond: Jaxpr = params["cond_jaxpr"]
    body: Jaxpr = params["body_jaxpr"]
    cond_consts, body_consts, init = _split(eqn.inputs, params["cond_nconsts"], params["body_nconsts"])
    alone = as_kernel and not p.lanes
    kernel = loop_kernel(eqn, p.analysis, lambda e: loop_in_place(p, e)) if alone else None
    if kernel is not None:
        return call_loop(p, eqn, kernel)
    cond_places = [p.read(a) for a in cond_consts]
    body_places = [p.read(a) for a in body_consts]
    lane_loop = lane_while(p, cond, len(cond_consts), body, len(body_consts)) if alone else None
    if lane_loop:
        cond, body = lane_loop.cond or cond, lane_loop.body
    arguments = body.invars[len(body_consts) :]
    in_place = carries_in_place(p, body, arguments, body.outvars)
    lanes = LanesOf(p, lane_loop, eqn.outvars) if lane_loop else None
    carries = [enter_carry(p, a, v, flag, lanes) for a, v, flag in zip(init, eqn.outvars, in_place)]
    top, end = p.label(), p.label()
    now = [c.now for c in carries]
    p.enter_loop()
    p.emit(Mark(top))
    (test,) = p.block(cond, dict(zip(cond.invars, [*cond_places, *now])), [None])
    if p.lanes:
        p.emit(JumpIfNone(test.slot, nbytes(cond.outvars[0].aval) // p.lanes, end), test)
    else:
        p.emit(JumpIfFalse(test.slot, end), test)
    owned = [a for a, flag in zip(arguments, in_place) if flag]
    p.block(body, dict(zip(body.invars, [*body_places, *now])), [c.next for c in carries], owned)
    for carry in carries:
        advance_carry(p, carry)
    p.emit(Jump(top))
    p.leave_loop()
    p.emit(Mark(end))
    if lanes:
        lanes.leave(carries)
        return True
    for carry, var in zip(carries, eqn.outvars):
        leave_carry(p, carry, var, carry.now)
    return True


# ------------------------------------------------------------------ cond


def emit_cond(p: Planner, eqn: Eqn) -> bool:
    if HAS_MASK in eqn.params:
        return emit_lane_cond(p, eqn)
    index, *operands = eqn.inputs
    branches: Sequence[Jaxpr] = eqn.params["branches"]
    if type(index) is Literal:
        chosen = branches[min(max(int(index.value), 0), len(branches) - 1)]
        p.block(chosen, dict(zip(chosen.invars, map(p.read, operands))), [p.write(v) for v in eqn.outvars])
        return True
    places = [p.read(a) for a in operands]
    which = p.read(index)
    counter, end = p.counter(), p.label()
    starts = [p.label() for _ in branches]
    targets = [p.write(v) for v in eqn.outvars]
    p.emit(ReadCounter(counter, which.slot, index.aval.dtype), which, *targets)
    for number, start in enumerate(starts[:-1]):  # below the first is the first, beyond the last is the last
        p.emit(JumpIfLess(counter, number + 1, start))
    for number in (len(branches) - 1, *range(len(branches) - 1)):
        p.emit(Mark(starts[number]))
        branch = branches[number]
        p.block(branch, dict(zip(branch.invars, places)), targets)
        p.emit(Jump(end))
    p.emit(Mark(end))
    return True


def emit_lane_cond(p: Planner, eqn: Eqn) -> bool:
    """The second branch for each block with lanes that take it, the first for the others."""
    mask, *operands = eqn.inputs
    nobody, somebody = eqn.params["branches"]
    test, places = p.read(mask), [p.read(a) for a in operands]
    targets = [p.write(v) for v in eqn.outvars]
    lane_loop: LaneLoop | None = eqn.params[HAS_MASK] if not p.lanes else None
    if lane_loop is not None:
        p.know(lane_loop.blocks)
        nobody, somebody = lane_loop.cond or nobody, lane_loop.body
        entered = p.enter_lanes(lane_loop.lanes, lane_loop.block, lane_loop.parallel)
    other, end = p.label(), p.label()
    p.emit(JumpIfNone(test.slot, nbytes(mask.aval) // p.lanes, other), test, *targets)
    p.block(somebody, dict(zip(somebody.invars, places)), targets)
    p.emit(Jump(end))
    p.emit(Mark(other))
    p.block(nobody, dict(zip(nobody.invars, places)), targets)
    p.emit(Mark(end))
    if lane_loop is not None:
        p.leave_lanes(entered)
    return True
