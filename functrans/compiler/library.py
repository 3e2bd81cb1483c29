"""Equations without a loop form: which native form each has, and the call of NumPy for those that have none."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import Any

import numpy as np

from functrans.compiler.contractions import emit_accumulation, emit_contraction
from functrans.compiler.controlflow import emit_cond, emit_scan, emit_while
from functrans.compiler.factorizations import emit_cholesky, emit_triangular_solve
from functrans.compiler.imagetiles import emit_convolution
from functrans.compiler.lapack import LAPACK
from functrans.compiler.plan import CallPython, Emitter, MoveSlot, Place, Planner, nbytes
from functrans.compiler.running import emit_argument, emit_cumulative
from functrans.compiler.scatter import emit_scatter, emit_update
from functrans.core.jaxpr import Eqn


def emit_equation(p: Planner, eqn: Eqn) -> None:
    """Add the instructions of an equation that is not a kernel."""
    native = NATIVE.get(eqn.primitive.name)
    if native is None or not native(p, eqn):
        call_numpy(p, eqn)


def emit_constant(p: Planner, eqn: Eqn) -> bool:
    """A constant array is memory that the program holds."""
    (var,) = eqn.outvars
    place = p.constant(np.asarray(eqn.params["value"].value))
    if p.wanted(var) is None:
        p.define(var, place)
    else:
        p.copy(p.write(var), place, nbytes(var.aval))
    return True


def emit_concatenation(p: Planner, eqn: Eqn) -> bool:
    """Many arrays joined along the leading axis: one copy each."""
    (out,) = eqn.outvars
    if math.prod(out.aval.shape[: eqn.params["dimension"]]) != 1:
        return False
    sources = [p.read(a) for a in eqn.inputs]
    target = p.write(out)
    part = Place(p.slot(), target.buffers)
    position = 0
    for atom, source in zip(eqn.inputs, sources):
        p.emit(MoveSlot(part.slot, target.slot, position), target)
        p.copy(part, source, nbytes(atom.aval))
        position += nbytes(atom.aval)
    return True


def call_numpy(p: Planner, eqn: Eqn) -> None:
    """A call of the primitive's NumPy evaluation, on views of its operands."""
    ins = [p.read(a) for a in eqn.inputs]
    outs = [p.write(v) for v in eqn.outvars]
    primitive, params = eqn.primitive, eqn.params

    @cache
    def implementation() -> Any:
        if primitive.native is None:
            return partial(primitive.impl, **params)
        return primitive.native(*(a.aval for a in eqn.inputs), **params)

    def function(*args: Any) -> list[Any]:
        results = implementation()(*args)
        return results if primitive.multiple_results else [results]

    call = CallPython(
        function,
        tuple(p.operand(place, a.aval) for place, a in zip(ins, eqn.inputs)),
        tuple(p.operand(place, v.aval) for place, v in zip(outs, eqn.outvars)),
        primitive.name,
        eqn.source,
    )
    p.emit(call, *ins, *outs)
    p.count(*(a.aval for a in (*eqn.inputs, *eqn.outvars)))


NATIVE: dict[str, Emitter] = {
    "scan": emit_scan,
    "while": emit_while,
    "cond": emit_cond,
    "dot_general": emit_contraction,
    "dot_general_add": emit_accumulation,
    "constant": emit_constant,
    "conv_general_dilated": emit_convolution,
    "concatenate": emit_concatenation,
    "cholesky": emit_cholesky,
    "triangular_solve": emit_triangular_solve,
    **LAPACK,
    "dynamic_update_slice": emit_update,
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), emit_cumulative),
    **dict.fromkeys(("argmax", "argmin"), emit_argument),
    **dict.fromkeys(("scatter", "scatter_add", "scatter_mul", "scatter_max", "scatter_min"), emit_scatter),
}
