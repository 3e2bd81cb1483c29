"""Transposition of linear programs: the backward pass of reverse mode.

The equations of a linear jaxpr are visited last to first; each gives the cotangents of its linear operands from those
of its results. Equations that do not depend on a linear input (a function given to `linear_transpose`, the recomputed
part of a `checkpoint`) are evaluated forward first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.core.primitive import zeros
from functrans.core.source import source_is
from functrans.core.trace import stage
from functrans.transforms.jvp import LinearFunction, close_over


class Linear:
    """Stands for a linear operand in a transpose rule: only its type is known."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval


def is_linear(operand: Any) -> bool:
    return type(operand) is Linear


def backward_pass(
    jaxpr: Jaxpr,
    consts: list[Any],
    args: Sequence[Any],
    cotangents: Sequence[Any],
    consume: bool = False,
) -> list[Any]:
    """Cotangents of the linear arguments (those given as `Linear`; `None` for the others and for zeros).

    `consume` empties `consts` at the start and drops each residual after its last use in the backward direction.
    """
    values: dict[Var, Any] = dict(zip(jaxpr.constvars, consts))  # of linear variables: `Linear`
    if consume:
        consts.clear()
    linear: set[Any] = set()
    for var, arg in zip(jaxpr.invars, args):
        values[var] = arg
        if type(arg) is Linear:
            linear.add(var)

    pending: list[tuple[Eqn, list[Any]]] = []
    for eqn in jaxpr.eqns:
        operands = [values[a] if type(a) is Var else a.value for a in eqn.inputs]  # type: ignore[union-attr]
        if linear.isdisjoint(eqn.inputs):
            with source_is(eqn.source):
                out = eqn.primitive.bind(*operands, **eqn.params)
            values.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out]))
        else:
            for var in eqn.outvars:
                linear.add(var)
                values[var] = Linear(var.aval)
            pending.append((eqn, operands))
    if consume:
        values.clear()  # each residual is held by the operations that read it

    cts: dict[Any, Any] = {}

    def accumulate(atoms: Sequence[Atom], cotangents: Sequence[Any]) -> None:
        for atom, ct in zip(atoms, cotangents):
            if ct is not None and atom in linear:
                known = cts.get(atom)
                cts[atom] = ct if known is None else known + ct

    accumulate(jaxpr.outvars, cotangents)
    while pending:
        eqn, operands = pending.pop()
        if eqn.primitive.multiple_results:
            ct = [cts.pop(v, None) for v in eqn.outvars]
            live = any(c is not None for c in ct)
        else:
            ct = cts.pop(eqn.outvars[0], None)
            live = ct is not None
        if live:
            if eqn.source is None:
                accumulate(eqn.inputs, eqn.primitive.transpose(ct, *operands, **eqn.params))
            else:
                with source_is(eqn.source):
                    in_cts = eqn.primitive.transpose(ct, *operands, **eqn.params)
                accumulate(eqn.inputs, in_cts)
    return [cts.get(v) if v in linear else None for v in jaxpr.invars]


def transpose_linear(lin: LinearFunction, cotangents: Sequence[Any], consume: bool = False) -> list[Any]:
    """Pull cotangents of all results of a linearized function back to all its inputs; `None` is zero."""
    live = [ct for ct, nonzero in zip(cotangents, lin.nonzero_outs) if nonzero]
    args = [Linear(v.aval) for v in lin.jaxpr.invars]
    found = iter(backward_pass(lin.jaxpr, lin.consts, args, live, consume))
    return [next(found) if nonzero else None for nonzero in lin.nonzero_ins]


def transpose_jaxpr(jaxpr: Jaxpr, linear: Sequence[bool], nonzero_cts: Sequence[bool]) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr `nonlinear args, nonzero cotangents -> nonzero cotangents of the linear args`; and which those are."""
    key = ("transpose", tuple(linear), tuple(nonzero_cts))
    return jaxpr.memoize(key, lambda: _transpose_jaxpr(jaxpr, linear, nonzero_cts, force=False))


def transpose_jaxpr_full(jaxpr: Jaxpr, linear: Sequence[bool]) -> Jaxpr:
    """The same with all cotangents present, zeros included: loops need it, whose carries keep their types."""
    key = ("transpose full", tuple(linear))
    full = [True] * len(jaxpr.outvars)
    return jaxpr.memoize(key, lambda: _transpose_jaxpr(jaxpr, linear, full, force=True))[0]


def _transpose_jaxpr(
    jaxpr: Jaxpr, linear: Sequence[bool], nonzero_cts: Sequence[bool], force: bool
) -> tuple[Jaxpr, list[bool]]:
    known = [v.aval for v, lin in zip(jaxpr.invars, linear) if not lin]
    ct_avals = [v.aval.strong() for v, nz in zip(jaxpr.outvars, nonzero_cts) if nz]
    live_outs: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        values, live = iter(args[: len(known)]), iter(args[len(known) :])
        operands = [Linear(v.aval) if lin else next(values) for v, lin in zip(jaxpr.invars, linear)]
        cts = [next(live) if nz else None for nz in nonzero_cts]
        found = backward_pass(jaxpr, [], operands, cts)
        outs = [ct for ct, lin in zip(found, linear) if lin]
        if force:
            avals = [v.aval for v, lin in zip(jaxpr.invars, linear) if lin]
            outs = [zeros(a.strong()) if ct is None else ct for ct, a in zip(outs, avals)]
        live_outs[:] = [ct is not None for ct in outs]
        return [ct for ct in outs if ct is not None]

    return close_over(*stage(fun, [*known, *ct_avals])), live_outs
