"""Linearization at plain values, where the types and the factors of the linear part are known at once.

Outside of `jit` the primals of a `linearize` (of `grad`, `vjp`) are arrays. What a jvp rule would stage one operation
at a time, each typed by its abstract evaluation, is then recorded as it will be needed: an operation that is linear in
its operand as one equation with the type of its result, a row of the elementwise table as one product with its
derivative, evaluated now by giving the row's rule `ONE` for the tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import Array
from functrans.core.avals import ShapedArray
from functrans.core.primitive import Primitive, lookup
from functrans.core.trace import StagedTracer, StagingTrace, Trace, Tracer, current_staging
from functrans.transforms.jvp import TangentTrace, TangentTracer


def recorder(primals: Sequence[Any], tangents: Sequence[Any]) -> StagingTrace | None:
    """The trace that stages these tangents, if it is one trace and the primals are plain values."""
    trace = None
    for p, t in zip(primals, tangents):
        if isinstance(p, Tracer):
            return None
        if t is not None:
            if type(t) is not StagedTracer or (trace is not None and t._trace is not trace):
                return None
            trace = t._trace
    return trace


def linearize_unary(primitive: Primitive) -> Callable[..., Any]:
    """The `linearize` rule of a primitive that is linear in its one operand."""

    def rule(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
        trace = recorder(primals, tangents)
        if trace is None:
            return primitive.jvp(primals, tangents, **params)
        y = primitive.bind(primals[0], **params)
        return y, trace.record(primitive, tangents, ShapedArray(y.shape, y.dtype), **params)

    return rule


# ---------------------------------------------------------------- factors


class NotAFactorError(Exception):
    """A derivative rule does something else with the tangent than to multiply it."""


class _Units(Trace):
    """The trace of `ONE`: products with it are the other factor, and quotients are kept as such."""

    level = 1 << 60

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if primitive.name == "convert_element_type":
            return args[0]
        if args[0] is ONE:
            if primitive.name == "mul":
                return args[1]
            if primitive.name == "div":
                return Over(args[1])
            if primitive.name == "neg":
                return -1.0
        elif args[-1] is ONE and primitive.name == "mul":
            return args[0]
        raise NotAFactorError


class _One(Tracer):
    """The tangent 1, of any dtype and shape: what a rule makes of it is what the rule multiplies tangents by."""

    __slots__ = ()

    aval = ShapedArray((), np.dtype(np.float64), True)

    def __mul__(self, other: Any) -> Any:
        return other

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return Over(other)

    def __neg__(self) -> Any:
        return -1.0

    def __repr__(self) -> str:
        return "ONE"


ONE = _One()
ONE._trace = _Units()


class Over(Tracer):
    """`ONE / divisor`: tangents are divided, since the reciprocal of a small number may be infinite."""

    __slots__ = ("divisor",)

    aval = _One.aval

    def __init__(self, divisor: Any):
        self._trace = ONE._trace
        self.divisor = divisor


def record_product(trace: StagingTrace, t: StagedTracer, factor: Any, like: Any) -> Any:
    """`t * factor` as one equation, where both and the result have the type of `like`; None where that does not fit."""
    shape, dtype = like.shape, like.dtype
    if t.aval.dtype != dtype:
        return None
    if factor is ONE:
        return t
    name = "mul"
    if type(factor) is Over:
        name, factor = "div", factor.divisor
    if type(factor) is float:
        factor = dtype.type(factor)
    if isinstance(factor, Tracer) or factor.dtype != dtype or (factor.shape != shape and t.aval.shape != shape):
        return None
    return trace.record(lookup(name), (t, factor), ShapedArray(shape, dtype))


def record_factors(
    trace: StagingTrace, derivatives: Sequence[Any], y: Any, primals: Sequence[Any], tangents: Sequence[Any]
) -> Any:
    """The tangent of an elementwise result, recorded; None where the rules have to do it.

    `derivatives[i](t, y, *primals)` is what the tangent `t` of operand `i` adds, or None.
    """
    if y.dtype.char not in "fd":
        return None
    total = None
    for derivative, t in zip(derivatives, tangents):
        if t is None:
            continue
        factor = derivative(ONE, y, *primals)
        if factor is None:
            continue
        term = record_product(trace, t, factor, y)
        if term is None:
            return None
        total = term if total is None else trace.record(lookup("add"), (total, term), ShapedArray(y.shape, y.dtype))
    return total if total is not None and total.aval.shape == y.shape else None


def plain_operands(args: Sequence[Any]) -> tuple[TangentTrace, StagingTrace, list[Any], list[Any]] | None:
    """Trace, trace of the tangents, primals and tangents of operands of one trace that are floats of one dtype.

    Python's numbers get the dtype. None for other operands, and where something is staged or watched.
    """
    if current_staging() is not None or config.watched:
        return None
    trace: TangentTrace | None = None
    dtype: Any = None
    primals: list[Any] = []
    tangents: list[Any] = []
    numbers = False
    for a in args:
        tangent = None
        if type(a) is TangentTracer:
            if trace is None:
                trace = a._trace
            elif a._trace is not trace:
                return None
            a, tangent = a.primal, a.tangent
            if type(tangent) is not StagedTracer:
                return None
        primals.append(a)
        tangents.append(tangent)
        if type(a) is Array:
            if dtype is None:
                dtype = a.dtype
            elif a.dtype is not dtype:
                return None
        elif type(a) is float or (type(a) is int and -(2**53) < a < 2**53):
            numbers = True
        else:
            return None
    if trace is None or trace.linear is None or dtype is None or dtype.char not in "fd":
        return None
    if numbers:
        primals = [a if type(a) is Array else dtype.type(a) for a in primals]
    return trace, trace.linear, primals, tangents
