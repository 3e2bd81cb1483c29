"""Loops and branches as instructions: the body's own steps between labels, with jumps.

Each body's buffers are allocated once. A loop's carry alternates between two buffers: a body reads its carry through
one slot, writes the next carry through a second, and the slots change places at the end of each turn; the initial value
is read where it lies. Scanned operands and stacked results are read and written in place, through slots that step along
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from functrans.compiler.plan import (
    AddCounter,
    Buffer,
    Jump,
    JumpIfFalse,
    JumpIfLess,
    Mark,
    MoveSlot,
    Place,
    Planner,
    ReadCounter,
    SetCounter,
    nbytes,
)
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var


@dataclass(frozen=True)
class Carry:
    """The slots of one carry: where the body reads it, where it writes the next, and which is free after that."""

    now: Place
    next: Place
    spare: Place
    stored: tuple[Buffer, ...]  # the two buffers, without the initial value's


def enter_carry(p: Planner, init: Place, var: Var) -> Carry:
    """Slots and buffers for a carry; its initial value is read where it is, and never written to."""
    size = nbytes(var.aval)
    pair = [p.temporary(size, var.aval) for _ in range(2)]
    stored = (*pair[0].buffers, *pair[1].buffers)
    both = (*stored, *init.buffers)
    carry = Carry(Place(p.slot(), both), Place(p.slot(), stored), Place(p.slot(), stored), stored)
    for place, start in ((carry.now, init), (carry.next, pair[0]), (carry.spare, pair[1])):
        p.emit(MoveSlot(place.slot, start.slot, 0), start, place)
    return carry


def advance_carry(p: Planner, carry: Carry) -> None:
    """What was written becomes what is read; the turn after writes over what was read before it."""
    now, following, spare = carry.now.slot, carry.next.slot, carry.spare.slot
    p.emit(MoveSlot(now, following, 0), carry.now)
    p.emit(MoveSlot(following, spare, 0))
    p.emit(MoveSlot(spare, now, 0))


def leave_carry(p: Planner, carry: Carry, var: Var, place: Place) -> None:
    """Give a loop's result its place: where it lies, unless another place wants it."""
    target = p.wanted(var)
    if target is None:
        p.define(var, place)
    else:
        p.copy(p.write(var), place, nbytes(var.aval))


# ------------------------------------------------------------------ scan


def emit_scan(p: Planner, eqn: Eqn) -> bool:
    params = eqn.params
    body: Jaxpr = params["jaxpr"]
    n_consts, n_carry, length = params["num_consts"], params["num_carry"], params["length"]
    consts, init, xs = _split(eqn.inputs, n_consts, n_carry)
    if length == 0:
        for a, var in zip(init, eqn.outvars):
            p.copy(p.write(var), p.read(a), nbytes(a.aval))
        for var in eqn.outvars[n_carry:]:
            p.write(var)
        return True
    read = [p.read(a) for a in consts]
    carries = [enter_carry(p, p.read(a), v) for a, v in zip(init, eqn.outvars)]
    stacks = [p.write(v) for v in eqn.outvars[n_carry:]]
    stack_avals = [v.aval for v in eqn.outvars[n_carry:]]
    reverse = params.get("reverse", False)
    along_xs = [Along(p, p.read(a), nbytes(a.aval) // length, length, reverse) for a in xs]
    along_ys = [Along(p, place, nbytes(aval) // length, length, reverse) for place, aval in zip(stacks, stack_avals)]
    counter, top = p.counter(), p.label()
    p.emit(SetCounter(counter, 0))
    p.enter_loop(length)
    p.emit(Mark(top))
    places = [*read, *(c.now for c in carries), *(a.place for a in along_xs)]
    targets = [*(c.next for c in carries), *(a.place for a in along_ys)]
    p.block(body, dict(zip(body.invars, places)), targets)
    for carry in carries:
        advance_carry(p, carry)
    for along in (*along_xs, *along_ys):
        along.step(p)
    p.emit(AddCounter(counter, 1))
    p.emit(JumpIfLess(counter, length, top))
    p.leave_loop()
    for carry, var in zip(carries, eqn.outvars):
        leave_carry(p, carry, var, Place(carry.now.slot, carry.stored))
    return True


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


def emit_while(p: Planner, eqn: Eqn) -> bool:
    params = eqn.params
    cond: Jaxpr = params["cond_jaxpr"]
    body: Jaxpr = params["body_jaxpr"]
    cond_consts, body_consts, init = _split(eqn.inputs, params["cond_nconsts"], params["body_nconsts"])
    cond_places = [p.read(a) for a in cond_consts]
    body_places = [p.read(a) for a in body_consts]
    carries = [enter_carry(p, p.read(a), v) for a, v in zip(init, eqn.outvars)]
    top, end = p.label(), p.label()
    now = [c.now for c in carries]
    p.enter_loop()
    p.emit(Mark(top))
    (test,) = p.block(cond, dict(zip(cond.invars, [*cond_places, *now])), [None])
    p.emit(JumpIfFalse(test.slot, end), test)
    p.block(body, dict(zip(body.invars, [*body_places, *now])), [c.next for c in carries])
    for carry in carries:
        advance_carry(p, carry)
    p.emit(Jump(top))
    p.leave_loop()
    p.emit(Mark(end))
    for carry, var in zip(carries, eqn.outvars):
        leave_carry(p, carry, var, carry.now)
    return True


# ------------------------------------------------------------------ cond


def emit_cond(p: Planner, eqn: Eqn) -> bool:
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
