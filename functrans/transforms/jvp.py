"""Forward-mode differentiation, and the linearization that reverse mode stands on.

A `TangentTracer` carries a value and its tangent; an operation on it runs the primitive's jvp rule at once. When the
tangents are plain values that is forward mode. `linearize` makes the tangents staged tracers instead, so that the same
rules leave behind a linear jaxpr in the tangents, whose constants are the residuals. A tangent of `None` is zero.

Source: A. Radul et al., "You Only Linearize Once: Tangents Transpose to Gradients", POPL 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import Array, as_array, plain
from functrans.core.avals import ShapedArray, aval_of, is_inexact, tangent_dtype
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var, convert_constvars, evaluate
from functrans.core.primitive import Primitive, lookup, zeros
from functrans.core.trace import StagedTracer, StagingTrace, Trace, Tracer, current_staging, deeper, stage, staging_into
from functrans.errors import ConcretizationError, NotDifferentiableError
from functrans.transforms.recording import Recording

Strip = Callable[[Callable[[Any], Any]], None]


class TangentTracer(Tracer):
    """A value and its tangent."""

    __slots__ = ("_aval", "primal", "tangent")

    _trace: TangentTrace

    def __init__(self, trace: TangentTrace, primal: Any, tangent: Any):
        self._trace = trace
        self._aval: ShapedArray | None = None
        self.primal = primal
        self.tangent = tangent

    @property
    def aval(self) -> ShapedArray:  # type: ignore[override]
        if self._aval is None:
            self._aval = aval_of(self.primal)
        return self._aval

    def concrete(self, error: type[ConcretizationError], need: str) -> Any:
        return self.primal.concrete(error, need) if isinstance(self.primal, Tracer) else self.primal

    def describe(self) -> str:
        if isinstance(self.primal, Tracer):
            return self.primal.describe()
        return f"an array {self.aval} under differentiation, whose tangent would be lost"

    def __repr__(self) -> str:
        return f"Traced<{self.aval}> with primal {self.primal!r}"


class DirectTracer(Tracer):
    """A float32 or float64 value outside of `jit`, and its tangent, on which operations act at once (`eager.py`).

    The value is NumPy's own array or scalar, since operators of `Array` take twice as long, a number of Python's, or a
    tracer of another transformation. The tangent has the same dtype and shape: in forward mode it is a value too, under
    `linearize` a variable.
    """

    __slots__ = ("tangent", "value")

    _trace: TangentTrace

    def __init__(self, trace: TangentTrace, value: Any, tangent: Any):
        self._trace = trace
        self.value = value
        self.tangent = tangent

    @property
    def aval(self) -> ShapedArray:  # type: ignore[override]
        return aval_of(self.value)

    @property
    def primal(self) -> Any:
        return as_array(self.value)

    concrete = TangentTracer.concrete
    describe = TangentTracer.describe
    __repr__ = TangentTracer.__repr__


TangentTracer.__name__ = DirectTracer.__name__ = "Traced"

#: What `TangentTrace.entries` is in forward mode: operations on direct tracers push tangents forward.
PUSH: Any = object()


class TangentTrace(Trace):
    """Runs jvp rules; `linear` is the trace that stages the tangents, which must not reach the primal computation.

    With `direct`, values are plain and nothing is staged: `entries` is then the list of the `Recording`, or `PUSH`.
    """

    def __init__(self, level: int, linear: StagingTrace | None = None, direct: bool = False):
        self.level = level
        self.linear = linear
        self.entries: Any = None
        if direct:
            self.entries = PUSH if linear is None else linear.eqns
        self.staging = current_staging()

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The operation by its jvp (or linearize, or direct) rule."""
        if primitive.direct is not None and self.entries is not None:
            out = primitive.direct(*args, **params)
            if out is not None:
                return out
        if current_staging() is not self.staging:
            with staging_into(self.staging):  # what a rule creates belongs here, not to a body that is staged meanwhile
                return self.process(primitive, args, params)
        pairs = [self.split(a) for a in args]
        primals = [p for p, _ in pairs]
        tangents = [t for _, t in pairs]
        rule = primitive.jvp
        if self.linear is not None and primitive.linearize is not None:
            rule = primitive.linearize
        out, tangent = rule(primals, tangents, **params)
        if primitive.calls_user_rule:
            check_closure(self, params["name"], [*out, *tangent])
        if primitive.multiple_results:
            return [o if t is None else self.join(o, t) for o, t in zip(out, tangent)]
        return out if tangent is None else self.join(out, tangent)

    def join(self, primal: Any, tangent: Any) -> Tracer:
        """A primal and its tangent as one value."""
        entries = self.entries
        if entries is not None and _can_be_direct(primal):
            if entries is PUSH:
                if _can_be_direct(tangent) and _same_type(primal, tangent):
                    tangent = np.float64(tangent) if type(tangent) is float else plain(tangent)
                    return DirectTracer(self, plain(primal), tangent)
            elif type(tangent) is StagedTracer and _same_type(primal, tangent):
                return DirectTracer(self, plain(primal), tangent._var)
        return TangentTracer(self, primal, tangent)

    def split(self, value: Any) -> tuple[Any, Any]:
        """The primal and the tangent of a value, of which the second may be None."""
        if isinstance(value, Tracer) and value._trace is self:
            if type(value) is not DirectTracer:
                return value.primal, value.tangent  # type: ignore[attr-defined]
            tangent = value.tangent
            if type(tangent) is Var:
                return value.primal, StagedTracer(self.linear, tangent)  # type: ignore[arg-type]
            return value.primal, as_array(tangent)
        return value, None


_PLAIN = {Array, np.ndarray, np.float64, np.float32, float}


def _can_be_direct(value: Any) -> bool:
    if isinstance(value, Tracer):  # one with a value is an array on a GPU, with which NumPy's do not mix
        return not value.has_value and not value.aval.weak
    return type(value) in _PLAIN and (type(value) is float or value.dtype.isnative)


def _same_type(primal: Any, tangent: Any) -> bool:
    own, other = aval_of(primal), aval_of(tangent)
    return own.dtype is other.dtype and own.dtype.char in "fd" and own.shape == other.shape


def check_closure(trace: Trace, name: str, values: Sequence[Any]) -> None:
    """Refuse results of a user's derivative rule that depend on differentiated values it captured."""
    if any(isinstance(v, Tracer) and v._trace is trace for v in values):
        raise NotDifferentiableError(
            f"the derivative rule of {name} captures a value with respect to which it is differentiated (a "
            "closure); the rule says nothing of it. Pass it as an argument."
        )


def has_tangent(value: Any) -> bool:
    """Whether arrays of this type have nonzero tangents (floats and complex numbers do)."""
    return is_inexact(aval_of(value).dtype)


def jvp(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    strip: Strip | None = None,
) -> tuple[list[Any], list[Any]]:
    """Values and tangents of a flat function; tangents of `None` are zero, on the way in and out."""
    with deeper() as level:
        trace = TangentTrace(level, direct=_at_once())
        ins = [p if t is None else trace.join(p, t) for p, t in zip(primals, tangents)]
        pairs = [trace.split(o) for o in fun(*ins)]
        if strip is not None:
            strip(lambda value: trace.split(value)[0])
    return [p for p, _ in pairs], [t for _, t in pairs]


def _at_once() -> bool:
    """Whether operations can act on values at once."""
    return current_staging() is None and not config.watched


class LinearFunction:
    """A linear map as a jaxpr, with its residuals: `outs` flags the results that are not identically zero."""

    __slots__ = ("consts", "jaxpr", "nonzero_ins", "nonzero_outs")

    def __init__(self, jaxpr: Jaxpr, consts: list[Any], nonzero_ins: list[bool], nonzero_outs: list[bool]):
        self.jaxpr = jaxpr
        self.consts = consts
        self.nonzero_ins = nonzero_ins
        self.nonzero_outs = nonzero_outs

    def __call__(self, *tangents: Any) -> list[Any]:
        """Push tangents (of the nonzero inputs) forward; `None` for outputs that are identically zero."""
        outs = iter(evaluate(self.jaxpr, self.consts, tangents))
        return [next(outs) if nonzero else None for nonzero in self.nonzero_outs]


def linearize(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    nonzero: Sequence[bool] | None = None,
    strip: Strip | None = None,
) -> tuple[list[Any], LinearFunction]:
    """Values of a flat function and its derivative at `primals`, as a linear function of the `nonzero` tangents.

    `strip` is called once with the function that drops the tangents of what else the function computed (`aux`).
    """
    outs, recorded = record(fun, primals, nonzero, strip)
    return outs, recorded.linear_function()


class Recorded:
    """A derivative as `record` leaves it: the closed trace of the tangents, and its results there."""

    __slots__ = ("linear", "nonzero_ins", "nonzero_outs", "outs", "trace")

    def __init__(self, trace: StagingTrace, outs: list[Atom], nonzero_ins: list[bool], nonzero_outs: list[bool]):
        self.linear: LinearFunction | None = None
        self.trace = trace
        self.outs = outs
        self.nonzero_ins = nonzero_ins
        self.nonzero_outs = nonzero_outs

    def linear_function(self) -> LinearFunction:
        if self.linear is None:
            self.linear = LinearFunction(*self.trace.jaxpr(self.outs), self.nonzero_ins, self.nonzero_outs)
        return self.linear


def record(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    nonzero: Sequence[bool] | None = None,
    strip: Strip | None = None,
) -> tuple[list[Any], Recorded]:
    """What `linearize` does, before the derivative becomes a jaxpr: reverse mode that runs once needs none."""
    nonzero = [has_tangent(p) for p in primals] if nonzero is None else list(nonzero)
    direct = _at_once()
    with deeper() as staging_level:
        kind = Recording if direct else StagingTrace
        staging = kind(staging_level, "a linear function", sources=bool(config.watched))
        with deeper() as level:
            trace = TangentTrace(level, staging, direct)
            ins = [trace.join(p, staging.argument(tangent_aval(p))) if live else p for p, live in zip(primals, nonzero)]
            pairs = [trace.split(o) for o in fun(*ins)]
            if strip is not None:
                strip(lambda value: trace.split(value)[0])
        trace.entries = None
        outs = [p for p, _ in pairs]
        tangents = [t if t is not None and has_tangent(p) else None for p, t in pairs]
        atoms = staging.close([t for t in tangents if t is not None])
    return outs, Recorded(staging, atoms, nonzero, [t is not None for t in tangents])


def tangent_aval(value: Any) -> ShapedArray:
    aval = aval_of(value)
    return ShapedArray(aval.shape, tangent_dtype(aval.dtype))


def instantiate(tangent: Any, primal: Any) -> Any:
    """A tangent as an array: zeros for `None`."""
    return zeros(tangent_aval(primal)) if tangent is None else tangent


# ------------------------------------------------------------------ jaxprs


def jvp_jaxpr(jaxpr: Jaxpr, nonzero: Sequence[bool], force: Sequence[bool] | None = None) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr `primals, nonzero tangents -> outs, nonzero out tangents`, and which out tangents are nonzero.

    `force` asks for tangents of some outputs even when they are zero (a loop's carry must keep its type).
    """
    key = ("jvp", tuple(nonzero), None if force is None else tuple(force))
    return jaxpr.memoize(key, lambda: _jvp_jaxpr(jaxpr, nonzero, force, jvp))


def separate_jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], force: Sequence[bool] | None = None
) -> tuple[Jaxpr, list[bool]]:
    """The same, in which no equation computes values and tangents together: it can be transposed by the tangents."""
    key = ("separate jvp", tuple(nonzero), None if force is None else tuple(force))
    return jaxpr.memoize(key, lambda: _jvp_jaxpr(jaxpr, nonzero, force, _linearized_push))


def _linearized_push(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    outs, lin = linearize(fun, primals, [t is not None for t in tangents])
    return outs, lin(*(t for t in tangents if t is not None))


def _jvp_jaxpr(
    jaxpr: Jaxpr, nonzero: Sequence[bool], force: Sequence[bool] | None, push: Callable[..., Any]
) -> tuple[Jaxpr, list[bool]]:
    live_outs: list[bool] = []
    n = len(jaxpr.invars)

    def fun(*args: Any) -> list[Any]:
        primals, live = args[:n], iter(args[n:])
        tangents = [next(live) if nz else None for nz in nonzero]
        outs, out_tangents = push(lambda *xs: evaluate(jaxpr, (), xs, sources=True), primals, tangents)
        for i, (o, t) in enumerate(zip(outs, out_tangents)):
            if force is not None and force[i] and t is None and has_tangent(o):
                out_tangents[i] = zeros(tangent_aval(o))
            elif not has_tangent(o):
                out_tangents[i] = None
        live_outs[:] = [t is not None for t in out_tangents]
        return [*outs, *(t for t in out_tangents if t is not None)]

    avals = [*jaxpr.in_avals, *(a.strong() for a, nz in zip(jaxpr.in_avals, nonzero) if nz)]
    new, consts = stage(fun, avals)
    return close_over(new, consts), live_outs


class LinearizedJaxpr:
    """A jaxpr split in two: `forward: ins -> outs, saved` and `linear: residuals, tangents -> out tangents`.

    Residuals that are arguments of the jaxpr are not returned by `forward`: `forwarded[i]` is the number of the
    argument that residual `i` is, or `None` when it is the next of the saved ones.
    """

    __slots__ = ("forward", "forwarded", "linear", "nonzero_outs")

    def __init__(self, forward: Jaxpr, linear: Jaxpr, forwarded: list[int | None], nonzero_outs: list[bool]):
        self.forward = forward
        self.linear = linear
        self.forwarded = forwarded
        self.nonzero_outs = nonzero_outs

    def residuals(self, args: Sequence[Any], saved: Sequence[Any]) -> list[Any]:
        """All residuals, from the arguments of the forward part and what it saved."""
        rest = iter(saved)
        return [next(rest) if i is None else args[i] for i in self.forwarded]


def linearize_jaxpr(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> LinearizedJaxpr:
    """Split a jaxpr into a forward part that saves residuals and a linear part that reads them."""
    return jaxpr.memoize(("linearize", tuple(nonzero)), lambda: _linearize_jaxpr(jaxpr, nonzero))


def _linearize_jaxpr(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> LinearizedJaxpr:
    linear: list[LinearFunction] = []

    def fun(*primals: Any) -> list[Any]:
        outs, lin = linearize(lambda *xs: evaluate(jaxpr, (), xs, sources=True), primals, nonzero)
        linear.append(lin)
        return [*outs, *lin.consts]

    forward = close_over(*stage(fun, jaxpr.in_avals))
    (lin,) = linear
    n_outs = len(jaxpr.outvars)
    position = {var: i for i, var in enumerate(forward.invars)}
    forwarded = [position.get(v) for v in forward.outvars[n_outs:]]  # type: ignore[arg-type]
    saved = [v for v, i in zip(forward.outvars[n_outs:], forwarded) if i is None]
    forward = Jaxpr((), forward.invars, forward.eqns, [*forward.outvars[:n_outs], *saved])
    return LinearizedJaxpr(forward, convert_constvars(lin.jaxpr), forwarded, lin.nonzero_outs)


def close_over(jaxpr: Jaxpr, consts: Sequence[Any]) -> Jaxpr:
    """A jaxpr without constvars: its constants become `constant` equations."""
    if not consts:
        return jaxpr
    eqns = [
        Eqn(lookup("constant"), (), (var,), {"value": Constant(value)}, None)
        for var, value in zip(jaxpr.constvars, consts)
    ]
    return Jaxpr((), jaxpr.invars, [*eqns, *jaxpr.eqns], jaxpr.outvars)


class Constant:
    """An array as a param: equal only to itself, printed by its type."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return f"<{aval_of(self.value)}>"
