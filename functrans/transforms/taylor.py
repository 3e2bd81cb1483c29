"""Taylor mode: truncated power series pushed through a program, for derivatives of high order.

A `TaylorTracer` carries the coefficients of a power series in one variable. A primitive's `taylor` rule gives the k-th
coefficient of its result from those of the operands up to k and of the result below k. Linear maps and products have
such rules; for all else the jvp rule serves, for it states a differential equation: from `y' = D(x, y) x'` follows
`k y_k = [D(x, y) x']_(k-1)`, and what stands in brackets is evaluated by the same means, coefficient by coefficient.
So `exp`, whose tangent is `t * y`, gets the recurrence of the books with no word more, and all of it takes a number
of operations that grows with the square of the order, where nested derivatives take exponentially many.

Source: A. Griewank & A. Walther, "Evaluating Derivatives", 2nd ed., ch. 13; M. D. McIlroy, "Power series, power
serious", 1999, for series that are defined by themselves.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import Primitive, lookup, zeros
from functrans.core.trace import Trace, Tracer, current_staging, deeper, stage, staging_into
from functrans.errors import ConcretizationError
from functrans.transforms.jvp import check_closure, close_over, has_tangent


class Series:
    """The coefficients of a power series, each computed when it is first asked for; `None` is zero."""

    __slots__ = ("compute", "known")

    def __init__(self, first: Any, compute: Callable[[int], Any] | None = None):
        self.known = [first]
        self.compute = compute  # the k-th coefficient; without it the series is constant

    def __getitem__(self, k: int) -> Any:
        while len(self.known) <= k:
            self.known.append(self.compute(len(self.known)) if self.compute is not None else None)
        return self.known[k]

    @property
    def aval(self) -> ShapedArray:
        return aval_of(self.known[0])


class TaylorTracer(Tracer):
    """A value that is a power series; what Python asks of it, its constant term answers."""

    __slots__ = ("series",)

    def __init__(self, trace: TaylorTrace, series: Series):
        self._trace = trace
        self.series = series

    @property
    def aval(self) -> ShapedArray:  # type: ignore[override]
        return self.series.aval

    @property
    def primal(self) -> Any:
        return self.series.known[0]

    def concrete(self, error: type[ConcretizationError], need: str) -> Any:
        return self.primal.concrete(error, need) if isinstance(self.primal, Tracer) else self.primal

    def describe(self) -> str:
        return self.primal.describe() if isinstance(self.primal, Tracer) else f"a Taylor series of arrays {self.aval}"

    def __repr__(self) -> str:
        return f"Traced<{self.aval}> with primal {self.primal!r}"


TaylorTracer.__name__ = "Traced"


class TaylorTrace(Trace):
    """Pushes series up to `order` through operations.

    The user's operations are computed to the end at once. Those that a rule applies meanwhile stay lazy, and are found
    again (`pending`) when a rule applies the same to the same, so that a series may be defined by itself, or `sin` and
    `cos` by each other.
    """

    def __init__(self, level: int, order: int):
        self.level = level
        self.order = order
        self.staging = current_staging()
        self.pending: list[tuple[Primitive, Sequence[Any], dict[str, Any], Any]] | None = None

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        with staging_into(self.staging):
            if self.pending is not None:
                return self.lazily(primitive, args, params)
            self.pending = []
            try:
                outs = self.lazily(primitive, args, params)
                done = [self.finished(o) for o in (outs if primitive.multiple_results else [outs])]
            finally:
                self.pending = None
        return done if primitive.multiple_results else done[0]

    def finished(self, out: Any) -> Any:
        """A result with all its coefficients; a plain value where they are zero."""
        if not isinstance(out, TaylorTracer):
            return out
        terms = [out.series[k] for k in range(1, self.order + 1)]
        out.series.compute = None
        return out.primal if all(t is None for t in terms) else out

    def series_of(self, value: Any) -> Series:
        return value.series if isinstance(value, TaylorTracer) and value._trace is self else Series(value)

    def lazily(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The constant terms of the results now, the other coefficients when they are asked for."""
        pending = [] if self.pending is None else self.pending
        for other, other_args, other_params, outs in pending:
            same = other is primitive and len(args) == len(other_args) and all(map(operator.is_, args, other_args))
            if same and _same(params, other_params):
                return outs
        operands = [self.series_of(a) for a in args]
        first = primitive.bind(*[x[0] for x in operands], **params)
        firsts = first if primitive.multiple_results else [first]
        if primitive.taylor is flat:
            return first
        if primitive.calls_user_rule:
            check_closure(self, params["name"], firsts)
        if primitive.taylor is not None and primitive.multiple_results:
            compute = self.by_inner_jaxprs(primitive, operands, params, whole=not pending)
        elif primitive.taylor is not None:
            compute = self.by_recurrence(primitive, operands, params)
        else:
            compute = self.by_derivative(primitive, args, params)
        made = [Series(f) for f in firsts]
        for i, series in enumerate(made):
            if has_tangent(series[0]):
                series.compute = compute(i, series)
        results = [TaylorTracer(self, s) if s.compute is not None else s[0] for s in made]
        outs = results if primitive.multiple_results else results[0]
        pending.append((primitive, args, params, outs))
        return outs

    def by_recurrence(self, primitive: Primitive, operands: Sequence[Series], params: dict[str, Any]) -> Any:
        rule = primitive.taylor
        assert rule is not None
        return lambda i, y: lambda k: rule(k, y, *operands, **params)

    def by_derivative(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """By the jvp rule, applied to the series and their derivatives, when a coefficient is first asked for."""
        found: list[Any] = []

        def tangents() -> list[Series | None]:
            if not found:
                _, out = primitive.jvp(list(args), [self.derivative(a) for a in args], **params)
                outs = out if primitive.multiple_results else [out]
                found.extend(None if t is None else self.series_of(t) for t in outs)
            return found

        def coefficient(i: int) -> Callable[[int], Any]:
            def kth(k: int) -> Any:
                tangent = tangents()[i]
                return None if tangent is None else scaled(tangent[k - 1], 1 / k)

            return kth

        return lambda i, y: coefficient(i)

    def derivative(self, value: Any) -> TaylorTracer | None:
        """The derivative of a series, as the tangent that a jvp rule takes."""
        if not isinstance(value, TaylorTracer) or value._trace is not self:
            return None
        x = value.series
        first = zeros(x.aval.strong()) if x[1] is None else x[1]
        return TaylorTracer(self, Series(first, lambda k: scaled(x[k + 1], k + 1) if k < self.order else None))

    def by_inner_jaxprs(
        self, primitive: Primitive, operands: Sequence[Series], params: dict[str, Any], whole: bool
    ) -> Any:
        """By a rule for all coefficients up to some order: that of the trace where the operands are known so far."""
        rule = primitive.taylor
        assert rule is not None
        orders: dict[int, Any] = {}

        def terms(order: int) -> Any:
            if order not in orders:
                series = [
                    None if all(x[k] is None for k in range(1, order + 1)) else [x[k] for k in range(1, order + 1)]
                    for x in operands
                ]
                orders[order] = rule(order, [x[0] for x in operands], series, **params)[1]
            return orders[order]

        def coefficient(i: int) -> Callable[[int], Any]:
            def kth(k: int) -> Any:
                found = terms(self.order if whole else k)[i]
                return None if found is None else found[k - 1]

            return kth

        return lambda i, y: coefficient(i)


def _same(params: dict[str, Any], others: dict[str, Any]) -> bool:
    plain = (int, float, str, tuple, type(None))
    return params.keys() == others.keys() and all(
        v is others[k] or (isinstance(v, plain) and isinstance(others[k], plain) and v == others[k])
        for k, v in params.items()
    )


def scaled(term: Any, factor: float) -> Any:
    """A coefficient times a number, in its own dtype."""
    if term is None or factor == 1:
        return term
    return lookup("mul").bind(term, aval_of(term).dtype.type(factor))


# ---------------------------------------------------------------- rules that primitives share


def flat(k: int, y: Series, *operands: Series, **params: Any) -> None:
    """The rule of what is constant wherever it is differentiable: its results are no series."""


def termwise(primitive: Primitive) -> None:
    """Give a primitive that is linear in all its real and complex operands its rule."""

    def rule(k: int, y: Series, *operands: Series, **params: Any) -> Any:
        terms = [x[k] if has_tangent(x[0]) else x[0] for x in operands]
        if all(t is None or not has_tangent(t) for t in terms):
            return None
        blanks = (zeros(x.aval.strong()) if t is None else t for x, t in zip(operands, terms))
        return primitive.bind(*blanks, **params)

    primitive.taylor = rule


def product(primitive: Primitive) -> None:
    """Give a primitive that is linear in each of its two operands its rule, Cauchy's product."""

    def rule(k: int, y: Series, a: Series, b: Series, **params: Any) -> Any:
        total = None
        for j in range(k + 1):
            if a[j] is not None and b[k - j] is not None:
                term = primitive.bind(a[j], b[k - j], **params)
                total = term if total is None else lookup("add").bind(total, term)
        return total

    primitive.taylor = rule


# ---------------------------------------------------------------- functions and jaxprs


def taylor(
    fun: Callable[..., Sequence[Any]],
    order: int,
    primals: Sequence[Any],
    series: Sequence[Sequence[Any] | None],
) -> tuple[list[Any], list[list[Any] | None]]:
    """Values of a flat function and the coefficients from 1 to `order`; `None` is zero, as a series or in one."""
    with deeper() as level:
        trace = TaylorTrace(level, order)
        ins = []
        for p, terms in zip(primals, series):
            if terms is None:
                ins.append(p)
            else:
                known = Series(p)
                known.known.extend(terms)
                ins.append(TaylorTracer(trace, known))
        found = [trace.series_of(o) for o in fun(*ins)]
        outs = [[s[k] for k in range(1, order + 1)] for s in found]
    return [s[0] for s in found], [None if all(t is None for t in terms) else terms for terms in outs]


def taylor_jaxpr(
    jaxpr: Jaxpr, order: int, live: Sequence[bool], force: Sequence[bool] | None = None
) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr `primals, coefficients of the live ones -> outs, coefficients of the live outs`, and which those are.

    A series has `order` coefficients in a row. `force` asks for those of some outputs even if they are zero.
    """
    key = ("taylor", order, tuple(live), None if force is None else tuple(force))
    return jaxpr.memoize(key, lambda: _taylor_jaxpr(jaxpr, order, live, force))


def _taylor_jaxpr(
    jaxpr: Jaxpr, order: int, live: Sequence[bool], force: Sequence[bool] | None
) -> tuple[Jaxpr, list[bool]]:
    live_outs: list[bool] = []
    n = len(jaxpr.invars)

    def fun(*args: Any) -> list[Any]:
        rest = iter(args[n:])
        series = [[next(rest) for _ in range(order)] if lv else None for lv in live]
        outs, found = taylor(lambda *xs: evaluate(jaxpr, (), xs, sources=True), order, args[:n], series)
        for i, out in enumerate(outs):
            if force is not None and force[i] and found[i] is None and has_tangent(out):
                found[i] = [None] * order
        live_outs[:] = [terms is not None for terms in found]
        return [*outs, *flattened(found, outs)]

    avals = [*jaxpr.in_avals, *(a.strong() for a, lv in zip(jaxpr.in_avals, live) if lv for _ in range(order))]
    return close_over(*stage(fun, avals)), live_outs


def flattened(series: Sequence[Sequence[Any] | None], primals: Sequence[Any]) -> list[Any]:
    """The coefficients of all series that are not zero in a row, zeros among them as arrays."""
    return [
        zeros(aval_of(p).strong()) if t is None else t
        for p, terms in zip(primals, series) if terms is not None for t in terms
    ]  # fmt: skip


def grouped(values: Sequence[Any], order: int, live: Sequence[bool]) -> list[list[Any] | None]:
    """Coefficients in a row as series again, `None` for those that are zero."""
    rest = iter(values)
    return [[next(rest) for _ in range(order)] if lv else None for lv in live]
