"""Operations under `grad`, `vjp` and `jvp` at plain values, each in one step: what `bind` comes to there, at once.

A maker here gives a primitive its `direct` rule: called with the operands of the primitive, it evaluates by NumPy,
takes the tangent along (forward mode) or appends to the entries of the `Recording` (`linearize`), and returns the new
tracer; or None, where the operation needs more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import Array, as_array, plain
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Eqn, Literal, Var
from functrans.core.primitive import Primitive
from functrans.core.trace import Tracer, current_staging
from functrans.transforms.jvp import PUSH, DirectTracer, TangentTrace
from functrans.transforms.recording import NEGATED, OPAQUE, SAME, TIMES, Multiple, Step

Direct = Callable[..., Any]

# ---------------------------------------------------------------- operands

_FLOAT64 = np.dtype(np.float64)


def constant(value: Any, trace: TangentTrace, dtype: np.dtype) -> Any:
    """An operand that is not differentiated beside floats of `dtype`: a number of Python's, or of that dtype.

    It may be a tracer of a transformation around that of `trace`. None for others.
    """
    kind = type(value)
    if kind is float:
        return value
    if kind is Array:
        return value.view(np.ndarray) if value.dtype is dtype else None
    if kind is int:
        return value if -(2**53) < value < 2**53 else None
    if kind is np.ndarray or kind is dtype.type:
        return value if value.dtype is dtype else None
    if isinstance(value, Tracer) and value._trace.level < trace.level and not value.has_value:
        return value if value.aval.dtype is dtype and not value.aval.weak else None
    return None


def any_traced(values: Sequence[Any]) -> bool:
    return any(isinstance(v, Tracer) for v in values)


def is_direct(a: Any) -> bool:
    """Whether this operand has a value of NumPy's, and operations on it alone can act at once."""
    return (
        type(a) is DirectTracer
        and a._trace.entries is not None
        and isinstance(a.value, (np.ndarray, np.generic))
        and current_staging() is None
        and not config.watched
    )


def operands(args: Sequence[Any], weak: bool = True) -> tuple[TangentTrace, np.dtype, list[Any], list[Any]] | None:
    """The innermost trace of direct tracers, their dtype, and of all operands values and tangents (None if constant).

    None, if there is no such trace or the operands are not all of that dtype. Python's numbers stay such if `weak`.
    """
    trace: TangentTrace | None = None
    own: Any = None
    for a in args:
        if type(a) is DirectTracer and (trace is None or a._trace.level > trace.level):
            trace, own = a._trace, a.value
    if trace is None or trace.entries is None or current_staging() is not None or config.watched:
        return None
    dtype = _FLOAT64 if type(own) is float else own.dtype
    values, tangents = [], []
    for a in args:
        if type(a) is DirectTracer and a._trace is trace:
            value, tangent = a.value, a.tangent
            if type(value) is float:
                value = np.float64(value)
            if value.dtype is not dtype:
                return None
        else:
            value, tangent = constant(a, trace, dtype), None
            if value is None:
                return None
            if not weak and type(value) in (float, int):
                value = dtype.type(value)
        values.append(value)
        tangents.append(tangent)
    return trace, dtype, values, tangents


# ---------------------------------------------------------------- results


def residual(value: Any) -> Literal:
    """A value that an equation of a `Recording` holds."""
    return Literal(value, aval_of(value))


def combination(trace: TangentTrace, y: Any, *terms: Any) -> DirectTracer:
    """The tracer of `y` with the sum of multiples for its tangent: for each a tangent, a kind and a factor."""
    entries = trace.entries
    if entries is PUSH:
        tangent: Any = None
        for i in range(0, len(terms), 3):
            t, kind, factor = terms[i : i + 3]
            if kind == TIMES:
                t = t * factor
            elif kind != SAME:
                t = -t if kind == NEGATED else t / factor
            tangent = t if tangent is None else tangent + t
        return DirectTracer(trace, y, tangent if tangent.shape == y.shape else np.broadcast_to(tangent, y.shape))
    out = Var(_aval(y, terms[0].aval))
    entries.append((out, *terms))
    return DirectTracer(trace, y, out)


def step(
    trace: TangentTrace, tangent: Any, y: Any, apply: Callable[[Any], Any], pull: Callable[[Any], Any]
) -> DirectTracer:
    """The tracer of `y`, which depends linearly on one tangent (see `Step`)."""
    if trace.entries is PUSH:
        return DirectTracer(trace, y, _like(y, apply(tangent)))
    out = Var(_aval(y, tangent.aval))
    trace.entries.append(Step(out, tangent, apply, pull))
    return DirectTracer(trace, y, out)


def equation(trace: TangentTrace, y: Any, primitive: Primitive, terms: Sequence[Any], **params: Any) -> DirectTracer:
    """The tracer of `y`, whose tangent the primitive gives of these operands: tangents, and values that stay."""
    if trace.entries is PUSH:
        return DirectTracer(trace, y, _like(y, primitive.impl(*terms, **params)))
    out = Var(ShapedArray(y.shape, y.dtype))
    atoms = [t if type(t) is Var else residual(t) for t in terms]
    trace.entries.append(Eqn(primitive, atoms, (out,), params))
    return DirectTracer(trace, y, out)


def joined(a: DirectTracer | None, b: DirectTracer | None) -> DirectTracer:
    """Of two tracers of one value, each with what one operand adds to the tangent, that with both."""
    if a is None or b is None:
        return a if b is None else b  # type: ignore[return-value]
    return combination(a._trace, a.value, a.tangent, SAME, None, b.tangent, SAME, None)


def _like(y: Any, tangent: Any) -> Any:
    """A tangent as NumPy's own array, with the axes of the value."""
    tangent = plain(tangent)
    return tangent if tangent.shape == y.shape else np.broadcast_to(tangent, y.shape)


def _aval(y: Any, aval: ShapedArray) -> ShapedArray:
    """The type of a result that has the dtype of an operand, and often its shape."""
    shape = y.shape
    return aval if aval.shape == shape else ShapedArray(shape, aval.dtype)


# ---------------------------------------------------------------- rules


def unary(function: Callable[[Any], Any], evaluate: Callable[[Any], Any], derivative: Multiple) -> Direct:
    """The rule of an elementwise function of one operand; `evaluate` is it for NumPy's arrays."""
    kind, factor = derivative.kind, derivative.factor

    def direct(a: Any) -> Any:
        if type(a) is not DirectTracer:
            return None
        trace, x = a._trace, a.value
        if trace.entries is None or current_staging() is not None or config.watched:
            return None
        if type(x) is float:
            x = np.float64(x)
        y = function(x) if isinstance(x, Tracer) else plain(evaluate(x))
        if y.dtype is not x.dtype:
            return None
        if kind == SAME:
            return DirectTracer(trace, y, a.tangent)
        return combination(trace, y, a.tangent, kind, None if factor is None else plain(factor(y, x)))

    return direct


def elementwise(
    function: Callable[..., Any], evaluate: Callable[..., Any], derivatives: Sequence[Multiple | None], weak: bool
) -> Direct:
    """The same for several operands; None for a derivative that is zero.

    `weak` says that the function and its derivatives take Python's numbers as they are.
    """

    def direct(*args: Any) -> Any:
        found = operands(args, weak)
        if found is None:
            return None
        trace, dtype, values, tangents = found
        try:
            y = function(*values) if any_traced(values) else plain(evaluate(*values))
        except (TypeError, ValueError):  # `bind` explains
            return None
        if y.dtype is not dtype:
            return None
        terms: list[Any] = []
        for tangent, d in zip(tangents, derivatives):
            if tangent is not None and d is not None:
                if d is OPAQUE:
                    return None
                terms += (tangent, d.kind, None if d.factor is None else plain(d.factor(y, *values)))
        if len(terms) == 3 and terms[1] == SAME:
            tangent = terms[0]
            if (tangent.aval.shape if type(tangent) is Var else tangent.shape) == y.shape:
                return DirectTracer(trace, y, tangent)
        return combination(trace, y, *terms) if terms else as_array(y)

    return direct


def flat(function: Callable[..., Any]) -> Direct:
    """The rule of a function whose derivative is zero, or that has none: it acts on the values."""

    def direct(*args: Any) -> Any:
        if current_staging() is not None:
            return None
        values = []
        for a in args:
            if type(a) is DirectTracer:
                if a._trace.entries is None:
                    return None
                a = a.value
            elif isinstance(a, Tracer):
                return None
            values.append(a)
        return function(*values)

    return direct


def linear_unary(primitive: Primitive) -> Direct:
    """The rule of a primitive that is linear in its one operand."""

    def direct(a: Any, **params: Any) -> Any:
        if not is_direct(a):
            return None
        try:
            y = plain(primitive.impl(a.value, **params))
        except (TypeError, ValueError):  # `bind` explains
            return None
        return equation(a._trace, y, primitive, (a.tangent,), **params) if y.dtype is a.value.dtype else None

    return direct


def linear(primitive: Primitive, linear_in: slice) -> Direct:
    """The rule of a primitive that is linear in these operands together; the others are parameters."""

    def direct(*args: Any, **params: Any) -> Any:
        trace = None
        values, tangents = [], []
        positions = range(len(args))[linear_in]
        for i, a in enumerate(args):
            if type(a) is DirectTracer:
                if not is_direct(a) or i not in positions or (trace is not None and a._trace is not trace):
                    return None
                trace, dtype = a._trace, a.value.dtype
                values.append(a.value)
                tangents.append(a.tangent)
            elif isinstance(a, Tracer):
                return None
            else:
                values.append(plain(a))
                tangents.append(None)
        if trace is None:
            return None
        try:
            y = plain(primitive.impl(*values, **params))
        except (TypeError, ValueError, IndexError):  # `bind` explains
            return None
        if y.dtype is not dtype:
            return None
        for i, value in enumerate(values):
            if tangents[i] is None:
                tangents[i] = np.zeros(np.shape(value), dtype) if i in positions else value
        return equation(trace, y, primitive, tangents, **params)

    return direct
