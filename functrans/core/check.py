"""The jaxpr checker: run by the tests after every transformation."""

from __future__ import annotations

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Jaxpr, Literal, Var, inner_jaxprs
from functrans.errors import JaxprError


def check_jaxpr(jaxpr: Jaxpr) -> None:
    """Raise `JaxprError` unless every variable is bound once, before its use, and every equation is well typed."""
    bound: set[Var] = set()

    def bind(var: Var) -> None:
        if var in bound:
            raise JaxprError(f"variable bound twice: {var} in\n{jaxpr}")
        bound.add(var)

    def use(atom: Atom) -> ShapedArray:
        if isinstance(atom, Var) and atom not in bound:
            raise JaxprError(f"variable used before it is bound: {atom} in\n{jaxpr}")
        if isinstance(atom, Literal) and atom.aval.shape != ():
            raise JaxprError(f"literal that is not a scalar: {atom} in\n{jaxpr}")
        return atom.aval

    for var in (*jaxpr.constvars, *jaxpr.invars):
        bind(var)
    for eqn in jaxpr.eqns:
        in_avals = [use(a) for a in eqn.inputs]
        for _, inner in inner_jaxprs(eqn.params):
            if inner.constvars:
                raise JaxprError(f"inner jaxpr with constvars in\n{eqn}")
            check_jaxpr(inner)
        out = eqn.primitive.abstract_eval(*in_avals, **eqn.params)
        out_avals = list(out) if eqn.primitive.multiple_results else [out]
        if len(out_avals) != len(eqn.outvars):
            raise JaxprError(f"{len(eqn.outvars)} outputs where {len(out_avals)} are computed, in\n{eqn}")
        for var, aval in zip(eqn.outvars, out_avals):
            if (var.aval.shape, var.aval.dtype) != (aval.shape, aval.dtype):
                raise JaxprError(f"output of type {var.aval} where {aval} is computed, in\n{eqn}")
            bind(var)
    for atom in jaxpr.outvars:
        use(atom)
