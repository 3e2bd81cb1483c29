"""What `linearize` records at plain values: the linear part in the form in which reverse mode reads it.

Outside of `jit` the primals of a `linearize` (of `grad`, `vjp`) are arrays, and an elementwise operation multiplies the
tangents of its operands by factors that are known at once. It is then one entry of a `Recording` in place of the
equations that its jvp rule would stage. `transpose.pull_back` reads the entries backwards; what wants a jaxpr gets one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.array import as_array
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.primitive import lookup
from functrans.core.trace import StagedTracer, StagingTrace, staging_into

# ---------------------------------------------------------------- derivatives that multiply

SAME, NEGATED, TIMES, OVER = range(4)


class Multiple:
    """The derivative of an elementwise operation in one operand: it multiplies tangents, by a `factor` if it names one.

    Called as every derivative of the elementwise table, with the tangent, the result and the operands.
    """

    __slots__ = ("factor", "kind")

    def __init__(self, kind: int, factor: Callable[..., Any] | None = None):
        self.kind = kind
        self.factor = factor

    def __call__(self, t: Any, y: Any, *operands: Any) -> Any:
        if self.factor is None:
            return t if self.kind == SAME else lookup("neg").bind(t)
        return lookup("mul" if self.kind == TIMES else "div").bind(t, self.factor(y, *operands))


def times(factor: Callable[..., Any]) -> Multiple:
    """The derivative `t * factor(y, *operands)`."""
    return Multiple(TIMES, factor)


def over(divisor: Callable[..., Any]) -> Multiple:
    """The derivative `t / divisor(y, *operands)`: the reciprocal of a small number may be infinite."""
    return Multiple(OVER, divisor)


same = Multiple(SAME)
negated = Multiple(NEGATED)

#: Stands for a derivative of which only its rule knows what it does.
OPAQUE = Multiple(-1)


# ---------------------------------------------------------------- recordings

#: `(out, in, kind, factor, ...)`: the variable of the result, and for each operand its variable and what multiplies it.
#: Operands may have fewer axes than the result, or sizes of one, as in NumPy's broadcasting.
Entry = tuple[Any, ...]


class Step:
    """An entry for a linear function of one variable: `apply` is it, of tracers; `pull` its transpose, of arrays.

    Where operands broadcast, what `pull` returns may have the shape of the result.
    """

    __slots__ = ("apply", "out", "pull", "variable")

    def __init__(self, out: Var, variable: Var, apply: Callable[[Any], Any], pull: Callable[[Any], Any]):
        self.out = out
        self.variable = variable
        self.apply = apply
        self.pull = pull


class Recording(StagingTrace):
    """The trace of tangents at plain values: `eqns` holds equations, entries and steps."""

    eqns: list[Any]
    writing = False

    def atom(self, value: Any) -> Atom:
        """As in every trace, but that an entry holds its residuals: they go with it."""
        if self.writing or (isinstance(value, StagedTracer) and (value._trace is self or not value._trace.open)):
            return super().atom(value)
        return Literal(value, aval_of(value))

    def jaxpr(self, outs: Sequence[Atom]) -> tuple[Jaxpr, list[Any]]:
        self.writing = self.open = True
        self._write_out()
        outs = self._atoms(outs)
        self.writing = self.open = False
        return super().jaxpr(outs)

    def origin(self, var: Var) -> str:
        return super().origin(var) if var in self.invars else f"a value of {self.what}"

    def _write_out(self) -> None:
        """Turn the entries into equations."""
        entries = self.eqns[:]
        self.eqns.clear()
        with staging_into(None):
            for entry in entries:
                if isinstance(entry, Eqn):
                    entry.inputs = self._atoms(entry.inputs)
                    self.eqns.append(entry)
                elif isinstance(entry, Step):
                    self._write_step(entry)
                else:
                    self._write_sum(*entry)

    def _atoms(self, atoms: Sequence[Atom]) -> list[Atom]:
        """Arrays among them as constvars."""
        return [self.atom(a.value) if isinstance(a, Literal) else a for a in atoms]

    def _write_step(self, step: Step) -> None:
        before = len(self.eqns)
        self._write_result(step.out, step.apply(StagedTracer(self, step.variable))._var, before)

    def _write_sum(self, out: Var, *terms: Any) -> None:
        before = len(self.eqns)
        total = None
        for term, kind, factor in zip(terms[::3], terms[1::3], terms[2::3]):
            if kind == NEGATED:
                term = self._write("neg", term)
            elif kind != SAME:
                factor = out.aval.dtype.type(factor) if type(factor) in (int, float) else as_array(factor)
                term = self._write("mul" if kind == TIMES else "div", term, self.atom(factor))
            total = term if total is None else self._write("add", total, term)
        self._write_result(out, total, before)

    def _write(self, name: str, *atoms: Atom) -> Var:
        shape = np.broadcast_shapes(*[a.aval.shape for a in atoms])
        out = Var(ShapedArray(shape, atoms[0].aval.dtype))
        self.eqns.append(Eqn(lookup(name), atoms, (out,), {}))
        return out

    def _write_result(self, out: Var, value: Any, before: int) -> None:
        """Make `out` the variable of a value, broadcast to its shape; `before` it was written there were equations."""
        shape = out.aval.shape
        if len(self.eqns) > before and self.eqns[-1].outvars[0] is value and value.aval.shape == shape:
            self.eqns[-1].outvars = (out,)
            return
        dims = tuple(range(len(shape) - value.aval.ndim, len(shape)))
        params = {"shape": shape, "broadcast_dimensions": dims}
        self.eqns.append(Eqn(lookup("broadcast_in_dim"), (value,), (out,), params))
