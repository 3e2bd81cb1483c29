"""Equations without a loop form on a GPU: kernels of their own, CuPy's libraries, or, named in the text, the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from functrans.compiler.contractions import emit_accumulation, emit_contraction
from functrans.compiler.controlflow import emit_cond, emit_scan, emit_while
from functrans.compiler.cuda.families import EMITTERS
from functrans.compiler.cuda.lanes import emit_lanes
from functrans.compiler.library import call_numpy, emit_concatenation, emit_constant
from functrans.compiler.plan import Emitter, Instruction, Operand, Planner
from functrans.core.jaxpr import Eqn


@dataclass(frozen=True)
class CallDevice(Instruction):
    """`outs = function(xp, *ins)` on the device, by the runtime's library of arrays."""

    function: Callable[..., Sequence[Any]]
    ins: tuple[Operand, ...]
    outs: tuple[Operand, ...]
    name: str
    source: Any = None

    def __str__(self) -> str:
        left, right = (", ".join(f"%{o.slot}" for o in group) for group in (self.outs, self.ins))
        return f"{left} = CuPy {self.name}({right})" + (f"  # at {self.source}" if self.source else "")


def emit_equation(p: Planner, eqn: Eqn) -> None:
    """Add the instructions of an equation that is not a kernel."""
    native = NATIVE.get(eqn.primitive.name)
    if native is None or not native(p, eqn):
        call_numpy(p, eqn)


def call_device(p: Planner, eqn: Eqn, function: Callable[..., Sequence[Any]]) -> bool:
    """A call of `function(xp, *operands)`, whose results are arrays of the results' types."""
    ins = [p.read(a) for a in eqn.inputs]
    outs = [p.write(v) for v in eqn.outvars]
    call = CallDevice(
        function,
        tuple(p.operand(place, a.aval) for place, a in zip(ins, eqn.inputs)),
        tuple(p.operand(place, v.aval) for place, v in zip(outs, eqn.outvars)),
        eqn.primitive.name,
        eqn.source,
    )
    p.emit(call, *ins, *outs)
    p.count(*(a.aval for a in (*eqn.inputs, *eqn.outvars)))
    return True


NATIVE: dict[str, Emitter] = {
    "scan": lambda p, eqn: emit_lanes(p, eqn) or emit_scan(p, eqn, as_kernel=False),
    "while": lambda p, eqn: emit_lanes(p, eqn) or emit_while(p, eqn, as_kernel=False),
    "cond": emit_cond,
    "dot_general": emit_contraction,
    "dot_general_add": emit_accumulation,
    "constant": emit_constant,
    **EMITTERS,
    "concatenate": emit_concatenation,
}
