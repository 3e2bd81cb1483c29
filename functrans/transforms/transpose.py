"""Transposition of linear programs: the backward pass of reverse mode.

The equations of a linear jaxpr are visited last to first; each gives the cotangents of its linear operands from those
of its results. Equations that do not depend on a linear input (a function given to `linear_transpose`, the recomputed
part of a `checkpoint`) are evaluated forward first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functrans.core.array import as_array, plain
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.core.primitive import lookup, zeros
from functrans.core.source import source_is
from functrans.core.trace import Tracer, stage
from functrans.transforms.jvp import LinearFunction, Recorded, close_over
from functrans.transforms.recording import OVER, SAME, TIMES, Recording, Step


class Linear:
    """Stands for a linear operand in a transpose rule: only its type is known."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval


def is_linear(operand: Any) -> bool:
    return type(operand) is Linear


def unbroadcast(ct: Any, aval: ShapedArray) -> Any:
    """The cotangent of an operand of type `aval` that NumPy's rule broadcast to the shape of `ct`."""
    shape, own = aval_of(ct).shape, aval.shape
    if shape == own:
        return ct
    extra = len(shape) - len(own)
    summed = tuple(range(extra))
    if 1 in own:
        summed += tuple(i for i, n in enumerate(own, extra) if n == 1 and shape[i] != 1)
    ct = lookup("reduce_sum").bind(ct, axes=summed) if summed else ct
    return ct if aval_of(ct).shape == own else lookup("reshape").bind(ct, new_sizes=own)


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


def pull_back(recorded: Recorded, cotangents: Sequence[Any], consume: bool = False) -> list[Any]:
    """The same for a derivative as `record` leaves it."""
    if recorded.linear is not None or not isinstance(recorded.trace, Recording):
        return transpose_linear(recorded.linear_function(), cotangents, consume)
    cts: dict[Any, Any] = {}
    live = iter(recorded.outs)
    for ct, nonzero in zip(cotangents, recorded.nonzero_outs):
        if nonzero and ct is not None:
            out = next(live)
            _accumulate(cts, out, out.aval.dtype.type(ct) if type(ct) is float else ct)
    entries = recorded.trace.eqns if consume else recorded.trace.eqns[:]
    while entries:
        entry = entries.pop()
        if type(entry) is tuple:
            _pull_sum(cts, *entry)
        elif type(entry) is Step:
            _pull_step(cts, entry)
        else:
            _pull_equation(cts, entry)
    found = iter([cts.get(v) for v in recorded.trace.invars])
    return [next(found) if nonzero else None for nonzero in recorded.nonzero_ins]


def _accumulate(cts: dict[Any, Any], atom: Any, ct: Any) -> None:
    if type(atom) is Var:
        if ct.shape != atom.aval.shape:
            ct = unbroadcast(ct, atom.aval)
        known = cts.get(atom)
        cts[atom] = ct if known is None else known + ct


def _pull_sum(cts: dict[Any, Any], out: Var, *terms: Any) -> None:
    ct = cts.pop(out, None)
    if ct is None:
        return
    for i in range(0, len(terms), 3):
        variable, kind, factor = terms[i : i + 3]
        if kind == TIMES:
            term = ct * factor
        elif kind == SAME:
            term = ct
        else:
            term = ct / factor if kind == OVER else -ct
        _accumulate(cts, variable, term)


def _pull_step(cts: dict[Any, Any], step: Step) -> None:
    ct = cts.pop(step.out, None)
    if ct is not None:
        _accumulate(cts, step.variable, _pull_traced(step, ct) if isinstance(ct, Tracer) else step.pull(ct))


def _pull_equation(cts: dict[Any, Any], eqn: Eqn) -> None:
    found = [as_array(cts.pop(v, None)) for v in eqn.outvars]
    if all(ct is None for ct in found):
        return
    ct = found if eqn.primitive.multiple_results else found[0]
    operands = [Linear(a.aval) if type(a) is Var else a.value for a in eqn.inputs]  # type: ignore[union-attr]
    for atom, term in zip(eqn.inputs, eqn.primitive.transpose(ct, *operands, **eqn.params)):
        if term is not None:
            _accumulate(cts, atom, plain(term))


def _pull_traced(step: Step, ct: Any) -> Any:
    """The transpose of a step at a cotangent that is traced, by the rules."""
    aval = step.variable.aval
    jaxpr, consts = stage(lambda t: [step.apply(t)], [aval])
    return backward_pass(jaxpr, consts, [Linear(aval)], [ct])[0]


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
