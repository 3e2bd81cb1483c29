"""Simplification of loops and branches: what is known outside is used inside, and what a body does not need leaves.

Bodies are simplified with the literals among their operands written in. Carries that a body hands on unchanged become
constants of the loop; what depends on constants alone is computed once, before the loop; operands and results that
nothing reads go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var, jaxpr_has_effect
from functrans.transforms.simplify import Builder, finish, free_of_failure, has_effect, remove_dead

#: Operations that cost less than reading their result from memory: they stay in a body, though they could leave.
CHEAP = frozenset({
    "broadcast_in_dim", "reshape", "transpose", "slice", "rev", "iota", "convert_element_type", "pad", "copy", "neg",
    "concatenate", "expand_dims",
})  # fmt: skip


class Body:
    """A loop body or branch being specialized: new invars for the operands that stay, and the operands themselves."""

    def __init__(self, outer: Builder) -> None:
        self.outer = outer
        self.builder = Builder()
        self.invars: list[Var] = []
        self.operands: list[Atom] = []
        self._known: dict[Atom, Atom] = {}

    def shared(self, operand: Atom) -> Atom:
        """The atom in the body for an operand that never changes: known values are made there, others are arguments."""
        if operand not in self._known:
            self._known[operand] = self.element(operand, operand.aval)
        return self._known[operand]

    def element(self, operand: Atom, aval: ShapedArray) -> Atom:
        """The atom in the body for an operand, or a part of it: made there if all its elements are one known value."""
        literal = self.outer.splat_literal(operand)
        return self.own(operand, aval) if literal is None else self.builder.splat(literal.value, aval, None)

    def own(self, operand: Atom, aval: ShapedArray) -> Var:
        var = Var(aval)
        self.invars.append(var)
        self.operands.append(operand)
        return var

    def finish(self, outs: Sequence[Atom]) -> Jaxpr:
        return finish(Jaxpr((), self.invars, self.builder.eqns, outs))


def used_invars(jaxpr: Jaxpr) -> list[bool]:
    """Which arguments a jaxpr reads."""
    read: set[Atom] = {a for a in jaxpr.outvars if type(a) is Var}
    for eqn in jaxpr.eqns:
        read.update(a for a in eqn.inputs if type(a) is Var)
    return [v in read for v in jaxpr.invars]


def _keep(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [x for x, flag in zip(items, flags) if flag]


# ------------------------------------------------------------------ hoisting


def hoist(
    outer: Builder, jaxpr: Jaxpr, num_consts: int, consts: Sequence[Atom], may_fail: bool
) -> tuple[Jaxpr, list[Atom]]:
    """Compute before a loop what its body derives from the constants alone: the new body, and the new constants.

    Cheap equations leave only with what reads them. `may_fail` lets those leave that can raise an error: the body is
    known to run.
    """
    invariant: set[Atom] = set(jaxpr.invars[:num_consts])
    movable: list[Eqn] = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "optimization_barrier" or not all(
            type(a) is Literal or a in invariant for a in eqn.inputs
        ):
            continue
        if free_of_failure(eqn) or (may_fail and not has_effect(eqn)):
            invariant.update(eqn.outvars)
            movable.append(eqn)
    moved = _worth_moving(movable)
    if not moved:
        return jaxpr, list(consts)
    env: dict[Atom, Atom] = dict(zip(jaxpr.invars, consts))
    for eqn in movable:
        if eqn in moved:
            inputs = [a if type(a) is Literal else env[a] for a in eqn.inputs]
            env.update(zip(eqn.outvars, outer.add(eqn.replace(inputs=inputs))))
    left = [e for e in jaxpr.eqns if e not in moved or e.primitive.name in CHEAP]
    read: set[Atom] = {a for e in left for a in e.inputs} | set(jaxpr.outvars)
    made_here = {v for e in left for v in e.outvars}
    entering = [v for e in movable if e in moved for v in e.outvars if v in read and v not in made_here]
    invars = (*jaxpr.invars[:num_consts], *entering, *jaxpr.invars[num_consts:])
    return remove_dead(Jaxpr((), invars, left, jaxpr.outvars)), [*consts, *(env[v] for v in entering)]


def _worth_moving(movable: Sequence[Eqn]) -> set[Eqn]:
    """Those that are not cheap, and the cheap ones they read."""
    needed: set[Atom] = set()
    moved: set[Eqn] = set()
    for eqn in reversed(movable):
        if eqn.primitive.name not in CHEAP or any(v in needed for v in eqn.outvars):
            moved.add(eqn)
            needed.update(a for a in eqn.inputs if type(a) is Var)
    return moved


# ------------------------------------------------------------------ scan


def scan(b: Builder, eqn: Eqn) -> Sequence[Atom] | None:
    """Specialize the body, turn unchanged carries into constants, move the invariant part out."""
    p = eqn.params
    body, length, n_carry = p["jaxpr"], p["length"], p["num_carry"]
    n_consts = p["num_consts"]
    consts, init, xs = _split(eqn.inputs, n_consts, n_carry)
    out_avals = [v.aval for v in eqn.outvars]
    if length == 0 and not jaxpr_has_effect(body):
        return [*init, *(b.splat(0, a, eqn.source) for a in out_avals[n_carry:])]
    if length == 1:
        return _run_once(b, eqn, body, consts, init, xs)
    varying = [o is not v for o, v in zip(body.outvars, body.invars[n_consts : n_consts + n_carry])]
    while True:
        inner = Body(b)
        fixed = [inner.shared(c) for c in consts]
        unchanged = {i: inner.shared(init[i]) for i in range(n_carry) if not varying[i]}
        count = len(inner.invars)
        carry = [unchanged[i] if i in unchanged else inner.own(init[i], init[i].aval) for i in range(n_carry)]
        slices = [inner.element(x, x.aval.with_shape(x.aval.shape[1:])) for x in xs]
        outs = inner.builder.inline(body, [*fixed, *carry, *slices])
        changes = [varying[i] and outs[i] is not carry[i] for i in range(n_carry)]
        if changes == varying:
            break
        varying = changes
    kept_outs = [*_keep(outs[:n_carry], varying), *outs[n_carry:]]
    new = inner.finish(kept_outs)
    n_left = sum(varying)
    operands = inner.operands
    new, new_consts = hoist(b, new, count, operands[:count], may_fail=length > 0)
    operands = [*new_consts, *operands[count:]]
    count = len(new_consts)
    used = used_invars(new)
    used[count : count + n_left] = [True] * n_left
    kept = sum(used[:count])
    new = Jaxpr((), _keep(new.invars, used), new.eqns, new.outvars)
    params = {**p, "jaxpr": new, "num_consts": kept, "num_carry": n_left}
    outvars = [*_keep(eqn.outvars[:n_carry], varying), *eqn.outvars[n_carry:]]
    found = iter(b.emit(Eqn(eqn.primitive, _keep(operands, used), outvars, params, eqn.source)))
    return [next(found) if i >= n_carry or varying[i] else init[i] for i in range(len(eqn.outvars))]


def _split(items: Sequence[Any], *sizes: int) -> list[list[Any]]:
    out, position = [], 0
    for n in sizes:
        out.append(list(items[position : position + n]))
        position += n
    return [*out, list(items[position:])]


def _run_once(
    b: Builder, eqn: Eqn, body: Jaxpr, consts: Sequence[Atom], init: Sequence[Atom], xs: Sequence[Atom]
) -> list[Atom]:
    """A loop of one turn is its body."""
    n_carry = len(init)
    shape = lambda x, sizes: b.bind("reshape", x, aval=x.aval.with_shape(sizes), source=eqn.source, new_sizes=sizes)
    slices = [shape(x, x.aval.shape[1:]) for x in xs]
    outs = b.inline(body, [*consts, *init, *slices])
    stacked = []
    for out, var in zip(outs[n_carry:], eqn.outvars[n_carry:]):
        literal = b.splat_literal(out)
        stacked.append(shape(out, var.aval.shape) if literal is None else b.splat(literal.value, var.aval, eqn.source))
    return [*outs[:n_carry], *stacked]


def prune_scan(eqn: Eqn, used: Sequence[bool]) -> Eqn:
    """A scan without the carries, stacked results and operands that nothing needs."""
    if all(used):
        return eqn
    p = eqn.params
    n_consts, n_carry = p["num_consts"], p["num_carry"]
    body: Jaxpr = p["jaxpr"]
    live = _live_carry(body, body.invars[n_consts : n_consts + n_carry], used[:n_carry], used[n_carry:])
    kept = [*live, *used[n_carry:]]
    if all(kept):
        return eqn
    new = remove_dead(Jaxpr((), body.invars, body.eqns, _keep(body.outvars, kept)))
    needed = used_invars(new)
    needed[n_consts : n_consts + n_carry] = live
    new = Jaxpr((), _keep(new.invars, needed), new.eqns, new.outvars)
    params = {**p, "jaxpr": new, "num_consts": sum(needed[:n_consts]), "num_carry": sum(live)}
    return eqn.replace(inputs=_keep(eqn.inputs, needed), outvars=tuple(_keep(eqn.outvars, kept)), params=params)


def _live_carry(body: Jaxpr, carry: Sequence[Var], used_carry: Sequence[bool], used_rest: Sequence[bool]) -> list[bool]:
    """Which carries are results that are used, or reach one (or an effect) through the body."""
    n = len(carry)
    live = list(used_carry)
    while True:
        outs = [*_keep(body.outvars[:n], live), *_keep(body.outvars[n:], used_rest)]
        needed = remove_dead(Jaxpr((), body.invars, body.eqns, outs))
        read = {a for e in needed.eqns for a in e.inputs} | set(outs)
        grown = [flag or v in read for flag, v in zip(live, carry)]
        if grown == live:
            return live
        live = grown


# ------------------------------------------------------------------ while


def while_(b: Builder, eqn: Eqn) -> Sequence[Atom] | None:
    """Specialize condition and body, turn unchanged carries into constants, move the invariant part out."""
    p = eqn.params
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    cond_consts, body_consts, init = _split(eqn.inputs, n_cond, n_body)
    n_carry = len(init)
    varying = [o is not v for o, v in zip(p["body_jaxpr"].outvars, p["body_jaxpr"].invars[n_body:])]
    while True:
        body = Body(b)
        fixed = [body.shared(c) for c in body_consts]
        unchanged = {i: body.shared(init[i]) for i in range(n_carry) if not varying[i]}
        count = len(body.invars)
        carry = [unchanged[i] if i in unchanged else body.own(init[i], init[i].aval) for i in range(n_carry)]
        outs = body.builder.inline(p["body_jaxpr"], [*fixed, *carry])
        changes = [varying[i] and outs[i] is not carry[i] for i in range(n_carry)]
        if changes == varying:
            break
        varying = changes
    new_body = body.finish(_keep(outs, varying))
    new_body, new_body_consts = hoist(b, new_body, count, body.operands[:count], may_fail=False)
    new_body, new_body_consts = _drop_consts(new_body, new_body_consts)

    cond = Body(b)
    fixed = [cond.shared(c) for c in cond_consts]
    unchanged = {i: cond.shared(init[i]) for i in range(n_carry) if not varying[i]}
    count = len(cond.invars)
    carry = [unchanged[i] if i in unchanged else cond.own(init[i], init[i].aval) for i in range(n_carry)]
    new_cond = cond.finish(cond.builder.inline(p["cond_jaxpr"], [*fixed, *carry]))
    test = new_cond.outvars[0]
    if type(test) is Literal and not test.value and not jaxpr_has_effect(new_cond):
        return list(init)
    new_cond, new_cond_consts = hoist(b, new_cond, count, cond.operands[:count], may_fail=True)
    new_cond, new_cond_consts = _drop_consts(new_cond, new_cond_consts)

    inputs = [*new_cond_consts, *new_body_consts, *_keep(init, varying)]
    params = {
        **p,
        "cond_jaxpr": new_cond,
        "body_jaxpr": new_body,
        "cond_nconsts": len(new_cond_consts),
        "body_nconsts": len(new_body_consts),
    }
    found = iter(b.emit(Eqn(eqn.primitive, inputs, _keep(eqn.outvars, varying), params, eqn.source)))
    return [next(found) if varying[i] else init[i] for i in range(n_carry)]


def _drop_consts(jaxpr: Jaxpr, consts: Sequence[Atom]) -> tuple[Jaxpr, list[Atom]]:
    """Without the constants that a body does not read."""
    used = used_invars(jaxpr)
    used[len(consts) :] = [True] * (len(used) - len(consts))
    return Jaxpr((), _keep(jaxpr.invars, used), jaxpr.eqns, jaxpr.outvars), _keep(consts, used)


def prune_while(eqn: Eqn, used: Sequence[bool]) -> Eqn:
    """A while loop without the carries that decide nothing and are not used."""
    if all(used):
        return eqn
    p = eqn.params
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    cond: Jaxpr = p["cond_jaxpr"]
    body: Jaxpr = p["body_jaxpr"]
    decides = used_invars(cond)[n_cond:]
    live = _live_carry(body, body.invars[n_body:], [u or d for u, d in zip(used, decides)], [])
    if all(live):
        return eqn
    new_body = remove_dead(Jaxpr((), body.invars, body.eqns, _keep(body.outvars, live)))
    new_body = Jaxpr((), [*body.invars[:n_body], *_keep(body.invars[n_body:], live)], new_body.eqns, new_body.outvars)
    cond_consts, body_consts, init = _split(eqn.inputs, n_cond, n_body)
    new_body, body_consts = _drop_consts(new_body, body_consts)
    new_cond = Jaxpr((), [*cond.invars[:n_cond], *_keep(cond.invars[n_cond:], live)], cond.eqns, cond.outvars)
    params = {**p, "cond_jaxpr": new_cond, "body_jaxpr": new_body, "body_nconsts": len(body_consts)}
    inputs = [*cond_consts, *body_consts, *_keep(init, live)]
    return eqn.replace(inputs=inputs, outvars=tuple(_keep(eqn.outvars, live)), params=params)


# ------------------------------------------------------------------ cond


def cond(b: Builder, eqn: Eqn) -> Sequence[Atom] | None:
    """Take a branch that is known, write literals into the branches, pass by what no branch changes."""
    index, *operands = eqn.inputs
    branches: Sequence[Jaxpr] = eqn.params["branches"]
    if type(index) is Literal or len(branches) == 1:
        n = 0 if len(branches) == 1 else int(np.clip(int(index.value), 0, len(branches) - 1))  # type: ignore[union-attr]
        return b.inline(branches[n], operands)
    bodies = []
    for branch in branches:
        body = Body(b)
        args = [body.shared(a) for a in operands]  # the same operands in the same order for every branch
        bodies.append(body.finish(body.builder.inline(branch, args)))
    inputs = body.operands
    passed = [_same_argument(bodies, i) for i in range(len(eqn.outvars))]
    changed = [n is None for n in passed]
    bodies = [remove_dead(Jaxpr((), j.invars, j.eqns, _keep(j.outvars, changed))) for j in bodies]
    lifted = [_lift_constants(b, j) for j in bodies]
    constants = [value for _, values in lifted for value in values]
    bodies = [_with_arguments(j, lifted, i, len(inputs)) for i, (j, _) in enumerate(lifted)]
    inputs = [*inputs, *constants]
    used = [any(flags) for flags in zip(*map(used_invars, bodies))]
    bodies = [Jaxpr((), _keep(j.invars, used), j.eqns, j.outvars) for j in bodies]
    params = {**eqn.params, "branches": tuple(bodies)}
    outvars = _keep(eqn.outvars, changed)
    if not outvars and not any(map(jaxpr_has_effect, bodies)):
        found: Iterator[Atom] = iter(())
    else:
        found = iter(b.emit(Eqn(eqn.primitive, [index, *_keep(inputs, used)], outvars, params, eqn.source)))
    return [next(found) if n is None else inputs[n] for n in passed]


def _same_argument(branches: Sequence[Jaxpr], i: int) -> int | None:
    """The number of the argument that result `i` is in every branch, if it is."""
    numbers = {next((n for n, v in enumerate(j.invars) if v is j.outvars[i]), None) for j in branches}
    return numbers.pop() if len(numbers) == 1 else None


def _lift_constants(outer: Builder, jaxpr: Jaxpr) -> tuple[Jaxpr, list[Atom]]:
    """A branch with its constant arrays as further arguments, and those arrays outside."""
    constants = [e for e in jaxpr.eqns if e.primitive.name == "constant"]
    if not constants:
        return jaxpr, []
    values = [outer.add(e)[0] for e in constants]
    rest = [e for e in jaxpr.eqns if e.primitive.name != "constant"]
    return Jaxpr((), [*jaxpr.invars, *(e.outvars[0] for e in constants)], rest, jaxpr.outvars), values


def _with_arguments(jaxpr: Jaxpr, lifted: Sequence[tuple[Jaxpr, list[Atom]]], own: int, count: int) -> Jaxpr:
    """The same branch with arguments for the constants of all branches."""
    invars = list(jaxpr.invars[:count])
    for i, (_, values) in enumerate(lifted):
        invars += jaxpr.invars[count:] if i == own else [Var(v.aval) for v in values]
    return Jaxpr((), invars, jaxpr.eqns, jaxpr.outvars)


def prune_cond(eqn: Eqn, used: Sequence[bool]) -> Eqn:
    """A branch point without the results that nothing reads."""
    if all(used):
        return eqn
    bodies = [remove_dead(Jaxpr((), j.invars, j.eqns, _keep(j.outvars, used))) for j in eqn.params["branches"]]
    needed = [any(flags) for flags in zip(*map(used_invars, bodies))]
    bodies = [Jaxpr((), _keep(j.invars, needed), j.eqns, j.outvars) for j in bodies]
    inputs = [eqn.inputs[0], *_keep(eqn.inputs[1:], needed)]
    params = {**eqn.params, "branches": tuple(bodies)}
    return eqn.replace(inputs=inputs, outvars=tuple(_keep(eqn.outvars, used)), params=params)


RULES: dict[str, Callable[[Builder, Eqn], Any]] = {"scan": scan, "while": while_, "cond": cond}
PRUNE: dict[str, Callable[[Eqn, Sequence[bool]], Eqn]] = {"scan": prune_scan, "while": prune_while, "cond": prune_cond}
