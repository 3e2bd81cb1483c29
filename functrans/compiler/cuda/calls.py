"""Calls of CuPy's libraries as instructions of a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from functrans.compiler.plan import Instruction, Operand, Planner
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


def call_device(p: Planner, eqn: Eqn, function: Callable[..., Sequence[Any]]) -> bool:
    """A call of `function(xp, *operands)`, whose results are arrays of the results' types."""
    ins = [p.read(a) for a in eqn.inputs]
    outs = [p.write(v) for v in eqn.outvars]
    if not any(v.aval.size for v in eqn.outvars):
        return True
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
