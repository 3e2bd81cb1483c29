"""The intermediate form: jaxprs, after JAX's.

A jaxpr is a first-order, typed program in A-normal form: a list of equations, each of which applies a primitive to
variables and scalars. Inner jaxprs (of `jit`, `scan`, `cond`, ...) are params of their equation and have no constvars:
whatever a body captures is an operand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from functrans import config
from functrans.core.avals import ShapedArray
from functrans.core.source import Source, source_is
from functrans.errors import ArgumentError

if TYPE_CHECKING:
    from functrans.core.primitive import Primitive


class Var:
    """A variable of a jaxpr; its identity is its name."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    def __repr__(self) -> str:
        return f"Var({self.aval})"


class Literal:
    """A scalar written into the program."""

    __slots__ = ("aval", "value")

    def __init__(self, value: Any, aval: ShapedArray):
        self.value = value
        self.aval = aval

    val = property(lambda self: self.value)  # its name in JAX

    def __repr__(self) -> str:
        return f"{self.value}:{self.aval}"


Atom = Var | Literal


class Eqn:
    """`outvars = primitive[params](*inputs)`, and the line of the user's program it came from."""

    __slots__ = ("inputs", "outvars", "params", "primitive", "source")

    def __init__(
        self,
        primitive: Primitive,
        inputs: Sequence[Atom],
        outvars: Sequence[Var],
        params: dict[str, Any],
        source: Source | None = None,
    ):
        self.primitive = primitive
        self.inputs = inputs
        self.outvars = outvars
        self.params = params
        self.source = source

    invars = property(lambda self: self.inputs)  # its name in JAX

    def replace(self, **changes: Any) -> Eqn:
        fields = {name: getattr(self, name) for name in Eqn.__slots__}
        return Eqn(**{**fields, **changes})

    def __repr__(self) -> str:
        from functrans.core.printing import format_eqn

        return format_eqn(self)


class Jaxpr:
    """`{ lambda constvars ; invars. let eqns in outvars }`."""

    __slots__ = ("__weakref__", "constvars", "eqns", "invars", "memo", "outvars")

    def __init__(
        self,
        constvars: Sequence[Var],
        invars: Sequence[Var],
        eqns: Sequence[Eqn],
        outvars: Sequence[Atom],
    ):
        self.constvars = tuple(constvars)
        self.invars = tuple(invars)
        self.eqns = tuple(eqns)
        self.outvars = tuple(outvars)
        self.memo: dict[Any, Any] = {}  # what transformations derived from this (immutable) jaxpr

    @property
    def in_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ShapedArray]:
        return [v.aval for v in self.outvars]

    def memoize(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make()` gives, made once for this jaxpr and key."""
        try:
            return self.memo[key]
        except KeyError:
            value = self.memo[key] = make()
            return value

    def __repr__(self) -> str:
        from functrans.core.printing import format_jaxpr

        return format_jaxpr(self)


class ClosedJaxpr:
    """A jaxpr together with the values of its constvars."""

    __slots__ = ("consts", "jaxpr")

    def __init__(self, jaxpr: Jaxpr, consts: Sequence[Any]):
        self.jaxpr = jaxpr
        self.consts = list(consts)

    literals = property(lambda self: self.consts)  # its name in JAX
    eqns = property(lambda self: self.jaxpr.eqns)
    in_avals = property(lambda self: self.jaxpr.in_avals)
    out_avals = property(lambda self: self.jaxpr.out_avals)

    def __repr__(self) -> str:
        return repr(self.jaxpr)


def convert_constvars(jaxpr: Jaxpr) -> Jaxpr:
    """The same program with its constvars as leading arguments."""
    return Jaxpr((), jaxpr.constvars + jaxpr.invars, jaxpr.eqns, jaxpr.outvars) if jaxpr.constvars else jaxpr


def inner_jaxprs(params: dict[str, Any]) -> Iterator[tuple[str, Jaxpr]]:
    """The jaxprs among an equation's params, with the param's name."""
    for name, value in params.items():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, Jaxpr):
                yield name, item
            elif isinstance(item, ClosedJaxpr):
                yield name, item.jaxpr


def axis_names(primitive: Primitive, params: dict[str, Any]) -> frozenset[Any]:
    """The named axes that an operation acts over, as a collective or by collectives in its inner jaxprs."""
    if primitive.collective:
        return frozenset((params["axis_name"],))
    names: frozenset[Any] = frozenset()
    for _, inner in inner_jaxprs(params):
        names |= _axis_names_within(inner)
    return names


def _axis_names_within(jaxpr: Jaxpr) -> frozenset[Any]:
    return jaxpr.memoize(
        "axis_names", lambda: frozenset().union(*(axis_names(eqn.primitive, eqn.params) for eqn in jaxpr.eqns))
    )


def has_effect(primitive: Primitive, params: dict[str, Any]) -> bool:
    """Whether an operation does something besides computing its results, itself or in its inner jaxprs."""
    return primitive.effect or any(jaxpr_has_effect(inner) for _, inner in inner_jaxprs(params))


def jaxpr_has_effect(jaxpr: Jaxpr) -> bool:
    """Whether an equation of a jaxpr has an effect."""
    return jaxpr.memoize("has_effect", lambda: any(has_effect(e.primitive, e.params) for e in jaxpr.eqns))


def evaluate(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], sources: bool = False) -> list[Any]:
    """Run a jaxpr by binding its primitives, one after another; values may be tracers.

    With `sources`, what is staged meanwhile is from the lines of the user's program that the equations are from.
    """
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, consts))
    env.update(zip(jaxpr.invars, args))

    def read(atom: Atom) -> Any:
        return atom.value if type(atom) is Literal else env[atom]  # type: ignore[index]

    last_use = jaxpr.memoize("last_use", lambda: last_uses(jaxpr))
    sources = sources or bool(config.watched)
    for eqn, dead in zip(jaxpr.eqns, last_use):
        operands = [read(a) for a in eqn.inputs]
        if sources:
            with source_is(eqn.source):
                out = eqn.primitive.bind(*operands, **eqn.params)
        else:
            out = eqn.primitive.bind(*operands, **eqn.params)
        if eqn.primitive.multiple_results:
            env.update(zip(eqn.outvars, out))
        else:
            env[eqn.outvars[0]] = out
        for var in dead:
            del env[var]
    return [read(a) for a in jaxpr.outvars]


def eval_jaxpr(jaxpr: Jaxpr, consts: Sequence[Any], *args: Any) -> list[Any]:
    """The results of a jaxpr for the values of its constvars and arguments: a list.

    >>> import functrans as ft, numpy as np
    >>> closed = ft.make_jaxpr(lambda x: np.sin(x) * 2)(1.0)
    >>> ft.core.eval_jaxpr(closed.jaxpr, closed.consts, np.pi / 2)
    [Array(2.)]
    """
    for what, values, wanted in (("consts", consts, jaxpr.constvars), ("args", args, jaxpr.invars)):
        if len(values) != len(wanted):
            raise ArgumentError(f"eval_jaxpr: the jaxpr takes {len(wanted)} {what}, got {len(values)}")
    return evaluate(jaxpr, consts, args)


def last_uses(jaxpr: Jaxpr) -> list[list[Var]]:
    """For each equation the variables that nothing reads after it."""
    live: set[Var] = {v for v in jaxpr.outvars if isinstance(v, Var)}
    dead_after: list[list[Var]] = []
    for eqn in reversed(jaxpr.eqns):
        dead: list[Var] = []
        for v in (*eqn.inputs, *eqn.outvars):
            if isinstance(v, Var) and v not in live:
                live.add(v)
                dead.append(v)
        dead_after.append(dead)
    return dead_after[::-1]
