"""What a block's jaxpr becomes before it is scheduled: equations that must not fuse, or must keep their order."""

from __future__ import annotations

from typing import Any

from functrans.core.jaxpr import Jaxpr
from functrans.core.primitive import Primitive
from functrans.transforms.simplify import has_effect


class Variant(Primitive):
    """A primitive with other attributes, for the compiler alone: not registered."""

    def __init__(self, primitive: Primitive, **changes: Any):
        self.__dict__.update(primitive.__dict__)
        self.__dict__.update(changes)


def with_updates_apart(jaxpr: Jaxpr) -> Jaxpr:
    """The program with updates of small slices as equations that no kernel takes in: they can happen in place."""

    def is_small_update(eqn: Any) -> bool:
        if eqn.primitive.name != "dynamic_update_slice":
            return False
        operand, update = eqn.inputs[0].aval, eqn.inputs[1].aval
        return operand.size >= 64 and update.size * 4 <= operand.size

    if not any(map(is_small_update, jaxpr.eqns)):
        return jaxpr
    eqns = [e.replace(primitive=Variant(e.primitive, lower=None)) if is_small_update(e) else e for e in jaxpr.eqns]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def with_effects_marked(jaxpr: Jaxpr) -> Jaxpr:
    """The program with loops and branches that have effects inside as equations with effects: they keep their order."""
    hidden = [has_effect(e) and not e.primitive.effect for e in jaxpr.eqns]
    if not any(hidden):
        return jaxpr
    eqns = [
        e.replace(primitive=Variant(e.primitive, effect=True)) if flag else e for e, flag in zip(jaxpr.eqns, hidden)
    ]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)
