"""Simplification: a jaxpr that computes the same with fewer equations.

One pass forwards rebuilds the program equation by equation: calls are inlined, each new equation is offered to the
rules of its primitive (`algebra.py`, `simplify_control.py`), folded when all its operands are literals, and looked up
among those already there. One pass backwards then drops what nothing reads. Both are linear in the program's size.

Results are those of the given program to the bit, NaN, infinities and signed zeros included, except that small
integer powers become products. Equations with an effect stay, in their order; `optimization_barrier` is opaque, so
that what a `checkpoint` recomputes is not merged with the original.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import (
    Atom,
    Eqn,
    Jaxpr,
    Literal,
    Var,
    has_effect as operation_has_effect,
    inner_jaxprs,
    jaxpr_has_effect,
)
from functrans.core.primitive import Primitive, lookup
from functrans.core.source import Source

#: A rule gives what an equation is equal to, or `None` when it has nothing to say.
Rule = Callable[["Builder", Eqn], "Atom | Sequence[Atom] | None"]

#: Calls that exist for other transformations and mean their body.
INLINED = frozenset({
    "jit", "custom_jvp_call", "custom_vjp_call", "checkpoint", "custom_linear_solve", "custom_root", "custom_vmap_call",
    "linear_call",
})  # fmt: skip
#: Sizes up to here are written into kernels, and their loops unrolled.
LARGEST_WRITTEN = 16
COMMUTATIVE = frozenset({"add", "mul", "and", "or", "xor", "eq", "ne"})


def simplify(jaxpr: Jaxpr) -> Jaxpr:
    """The same program, simplified; made once for each jaxpr."""
    return jaxpr.memoize("simplify", lambda: _simplify(jaxpr))


def _simplify(jaxpr: Jaxpr) -> Jaxpr:
    constvars = [Var(v.aval) for v in jaxpr.constvars]
    invars = [Var(v.aval) for v in jaxpr.invars]
    builder = Builder()
    outs = builder.inline(jaxpr, [*constvars, *invars])
    return finish(Jaxpr(constvars, invars, builder.eqns, outs))


def finish(jaxpr: Jaxpr) -> Jaxpr:
    """What can be done once the whole program is known."""
    from functrans.transforms.algebra import with_swapped_products

    return with_swapped_products(remove_dead(jaxpr))


class Builder:
    """A simplified program under construction."""

    __slots__ = ("definition", "eqns", "known", "rules")

    def __init__(self) -> None:
        self.eqns: list[Eqn] = []
        self.definition: dict[Var, Eqn] = {}
        self.known: dict[Any, Sequence[Var]] = {}
        self.rules = _rules()

    def inline(self, jaxpr: Jaxpr, args: Sequence[Atom]) -> list[Atom]:
        """Add the equations of a jaxpr for these operands: what its results are here."""
        env: dict[Atom, Atom] = dict(zip((*jaxpr.constvars, *jaxpr.invars), args))
        for eqn in jaxpr.eqns:
            inputs = [a if type(a) is Literal else env[a] for a in eqn.inputs]
            outs = self.add(Eqn(eqn.primitive, inputs, eqn.outvars, eqn.params, eqn.source))
            env.update(zip(eqn.outvars, outs))
        return [a if type(a) is Literal else env[a] for a in jaxpr.outvars]

    def add(self, eqn: Eqn) -> Sequence[Atom]:
        """Add an equation, or find what it is equal to. Its outvars only tell the types."""
        name = eqn.primitive.name
        if name in INLINED:
            return self.inline(eqn.params["jaxpr"], eqn.inputs)
        if name != "optimization_barrier" and not eqn.primitive.effect:
            equal: Atom | Sequence[Atom] | None = self._without_splats(eqn) if is_elementwise(eqn) else None
            if equal is None:
                rule = self.rules.get(name)
                equal = None if rule is None else rule(self, eqn)
            if equal is not None:
                return equal if isinstance(equal, (list, tuple)) else (equal,)
        return self.emit(eqn)

    def emit(self, eqn: Eqn) -> Sequence[Atom]:
        """Add an equation as it stands, unless it folds or is there already."""
        if has_effect(eqn) or eqn.primitive.name == "optimization_barrier":
            return self._append(eqn)
        folded = fold(eqn)
        if folded is not None:
            return folded
        key = _key(eqn)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._append(eqn)
        return found

    def _append(self, eqn: Eqn) -> Sequence[Var]:
        new = Eqn(eqn.primitive, tuple(eqn.inputs), tuple(Var(v.aval) for v in eqn.outvars), eqn.params, eqn.source)
        self.eqns.append(new)
        self.definition.update((v, new) for v in new.outvars)
        return new.outvars

    def bind(self, name: str, *inputs: Atom, aval: ShapedArray, source: Source | None, **params: Any) -> Atom:
        """The result of a primitive with one result."""
        return self.add(Eqn(lookup(name), inputs, (Var(aval),), params, source))[0]

    def defined_by(self, atom: Atom, name: str) -> Eqn | None:
        """The equation that defines an atom, if it applies the primitive of that name."""
        eqn = self.definition.get(atom) if type(atom) is Var else None
        return eqn if eqn is not None and eqn.primitive.name == name else None

    def splat(self, value: Any, aval: ShapedArray, source: Source | None) -> Atom:
        """An array of one value."""
        literal = make_literal(value, aval)
        if aval.shape == ():
            return literal
        return self.bind(
            "broadcast_in_dim", literal, aval=aval, source=source, shape=aval.shape, broadcast_dimensions=()
        )

    def splat_literal(self, atom: Atom) -> Literal | None:
        """The literal whose value every element of this atom has, if that is known."""
        if type(atom) is Literal:
            return atom
        eqn = self.defined_by(atom, "broadcast_in_dim")
        return eqn.inputs[0] if eqn is not None and type(eqn.inputs[0]) is Literal else None

    def _without_splats(self, eqn: Eqn) -> Sequence[Atom] | None:
        """An elementwise equation with literals for operands of one value, as far as the result keeps its shape."""
        literals = [self.splat_literal(a) for a in eqn.inputs]
        if all(lit is None or lit is a for lit, a in zip(literals, eqn.inputs)):
            return None
        out = eqn.outvars[0].aval
        if all(lit is not None for lit in literals):
            scalar = Eqn(eqn.primitive, literals, (Var(out.with_shape(())),), eqn.params, eqn.source)  # type: ignore[arg-type]
            (value,) = self.add(scalar)
            if type(value) is Literal:
                return (self.splat(value.value, out, eqn.source),)
            if out.shape == ():
                return (value,)
            params = {"shape": out.shape, "broadcast_dimensions": ()}
            return self.emit(Eqn(lookup("broadcast_in_dim"), (value,), (Var(out),), params, eqn.source))
        shapes = [a.aval.shape for a, lit in zip(eqn.inputs, literals) if lit is None]
        if _broadcast(shapes) != out.shape:
            return None
        inputs = [a if lit is None else lit for a, lit in zip(eqn.inputs, literals)]
        return self.add(Eqn(eqn.primitive, inputs, eqn.outvars, eqn.params, eqn.source))


@cache
def _rules() -> dict[str, Rule]:
    from functrans.transforms import algebra, simplify_control

    return {**algebra.RULES, **simplify_control.RULES}


def is_elementwise(eqn: Eqn) -> bool:
    """Whether an equation computes each element of its result from the operands' elements there, broadcast."""
    return hasattr(eqn.primitive, "expr")


def _broadcast(shapes: Iterable[tuple[int, ...]]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None


# ------------------------------------------------------------------ literals


def make_literal(value: Any, aval: ShapedArray) -> Literal:
    """The literal of a value in the dtype of a type."""
    return Literal(np.asarray(value, aval.dtype)[()], aval.with_shape(()))


def may_be_size(value: Any) -> bool:
    """Whether a literal is a whole number that may be a size: kernels get it as an argument, so that others fit too."""
    fits = value.dtype.kind in "iuf" and value.dtype.itemsize >= 4
    return bool(fits and LARGEST_WRITTEN < value < 1 << 24 and value == int(value))


def fold(eqn: Eqn) -> list[Literal] | None:
    """The results of a scalar equation all of whose operands are literals; no fraction of what may be a size."""
    if eqn.primitive.lower is None or not all(type(a) is Literal for a in eqn.inputs):
        return None
    avals = [v.aval for v in eqn.outvars]
    if any(aval.shape != () for aval in avals):
        return None
    values = [np.asarray(a.value, a.aval.dtype)[()] for a in eqn.inputs]  # type: ignore[union-attr]
    try:
        with np.errstate(all="ignore"):
            out = eqn.primitive.impl(*values, **eqn.params)
    except Exception:  # it will be raised when the program runs, if that equation ever does
        return None
    outs = [np.asarray(o) for o in (out if eqn.primitive.multiple_results else [out])]
    if eqn.primitive.name == "div" and may_be_size(values[1]) and outs[0] != np.floor(outs[0]):
        return None
    if any(o.dtype != aval.dtype or o.shape != () for o, aval in zip(outs, avals)):
        return None
    return [Literal(o[()], aval) for o, aval in zip(outs, avals)]


# ------------------------------------------------------------------ common subexpressions


def _key(eqn: Eqn) -> Any:
    inputs = [_atom_key(a) for a in eqn.inputs]
    if eqn.primitive.name in COMMUTATIVE:
        inputs.sort(key=hash)
    outs = tuple((v.aval.shape, v.aval.dtype) for v in eqn.outvars) if not eqn.inputs else ()
    return (eqn.primitive, *inputs, *((k, _param_key(v)) for k, v in eqn.params.items()), outs)


def _atom_key(atom: Atom) -> Any:
    if type(atom) is Literal:
        return (atom.aval.dtype, np.asarray(atom.value, atom.aval.dtype).tobytes())
    return atom


def _param_key(value: Any) -> Any:
    """A key under which only params that mean the same are equal: 0.0 is not -0.0, nor 1 True."""
    if isinstance(value, (tuple, list)):
        return tuple(map(_param_key, value))
    if isinstance(value, (float, complex, np.inexact)):
        return (type(value), repr(value))
    if type(value).__name__ == "Constant":
        return id(value.value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return (type(value), value)


# ------------------------------------------------------------------ dead code


def has_effect(eqn: Eqn) -> bool:
    """Whether an equation does something besides computing its results, itself or within."""
    return operation_has_effect(eqn.primitive, eqn.params)


def without_displays(jaxpr: Jaxpr) -> Jaxpr:
    """The program without effects that have no results (it shows nothing, it checks nothing), for what runs twice."""
    return jaxpr.memoize("without_displays", lambda: _without_displays(jaxpr)) if jaxpr_has_effect(jaxpr) else jaxpr


def _without_displays(jaxpr: Jaxpr) -> Jaxpr:
    def quiet(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(map(quiet, value)) if any(isinstance(v, Jaxpr) for v in value) else value
        return without_displays(value) if isinstance(value, Jaxpr) else value

    eqns = [
        e.replace(params={k: quiet(v) for k, v in e.params.items()}) if has_effect(e) else e
        for e in jaxpr.eqns
        if e.outvars or not e.primitive.effect
    ]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def remove_dead(jaxpr: Jaxpr) -> Jaxpr:
    """The program without equations, and results of loops and branches, that nothing reads."""
    from functrans.transforms.simplify_control import PRUNE

    live: set[Atom] = {a for a in jaxpr.outvars if type(a) is Var}
    kept: list[Eqn] = []
    for eqn in reversed(jaxpr.eqns):
        used = [v in live for v in eqn.outvars]
        if not any(used) and not has_effect(eqn):
            continue
        prune = PRUNE.get(eqn.primitive.name)
        if prune is not None:
            eqn = prune(eqn, used)
        live.update(a for a in eqn.inputs if type(a) is Var)
        kept.append(eqn)
    return Jaxpr(jaxpr.constvars, jaxpr.invars, kept[::-1], jaxpr.outvars)


def free_of_failure(eqn: Eqn) -> bool:
    """Whether an equation may run although the program would not have run it: no effect, no error, no loop."""
    if has_effect(eqn) or any(True for _ in inner_jaxprs(eqn.params)) or eqn.params.get("mode") == "raise":
        return False
    primitive: Primitive = eqn.primitive
    return primitive.lower is not None or primitive.reduction is not None or primitive.name in _TOTAL


_TOTAL = frozenset({"dot_general", "constant"})
