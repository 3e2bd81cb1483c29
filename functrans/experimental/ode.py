"""Ordinary differential equations: `odeint`, an adaptive Runge-Kutta method with an adjoint derivative.

The pair of formulas of order 5 and 4 is that of Dormand & Prince ("A family of embedded Runge-Kutta formulae", 1980);
step sizes follow Hairer, Norsett & Wanner, "Solving Ordinary Differential Equations I", sec. II.4; between the steps a
polynomial of degree four is read (Shampine, "Some practical Runge-Kutta formulas", 1986). Reverse mode solves the
adjoint equation back in time (Chen et al., "Neural ordinary differential equations", 2018, app. C); forward mode goes
through the loop, with the steps that it took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans.api import stop_gradient
from functrans.api.differentiation import vjp
from functrans.core.avals import aval_of, is_array_like, is_inexact, kind_of
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.flatten_util import ravel_pytree
from functrans.lax.conversion import convert_element_type
from functrans.lax.custom import custom_vjp
from functrans.lax.flat import function_name, stage_function
from functrans.lax.loops import while_loop
from functrans.lax.promotion import common_dtype
from functrans.lax.scans import scan

__all__ = ["odeint"]


@api_boundary
def odeint(
    func: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    mxstep: float = np.inf,
    hmax: float = np.inf,
) -> Any:
    """The solution of `dy/dt = func(y, t, *args)` with `y(t[0]) = y0`, at the times `t`.

    Args:
        func: gives the derivative of `y` in time, a pytree of the structure and shapes of `y0`.
        y0: a pytree of arrays.
        t: times, a vector that increases or decreases.
        args: further arguments of `func`, pytrees of arrays.
        rtol, atol: each step's estimated error is kept below `atol + rtol * abs(y)`, in the mean of squares.
        mxstep: steps to take from one time to the next, at most.
        hmax: the longest step.

    Returns:
        A pytree of the structure of `y0`, whose leaves have a new leading axis of length `len(t)`. What was not reached
        (with `mxstep` steps, or because `func` gave no finite numbers) is NaN.

    Raises:
        ShapeError, DTypeError, ArgumentError: `t` is no increasing or decreasing vector of real numbers, or `func`
            returns something else than a derivative of `y`.

    Derivatives are taken with respect to `y0`, `t`, `args` and what `func` captures: in reverse mode by the adjoint
    equation, whose memory does not grow with the number of steps, and which is solved to the same tolerances.

    >>> import functrans as ft, functrans.numpy as fnp, numpy as np
    >>> from functrans.experimental.ode import odeint
    >>> def pendulum(y, t, damping):
    ...     angle, speed = y
    ...     return speed, -fnp.sin(angle) - damping * speed
    >>> times = np.array([0.0, 1.0, 2.0])
    >>> angle, speed = odeint(pendulum, (1.0, 0.0), times, 0.1)
    >>> angle.round(6)
    Array([ 1.      ,  0.612913, -0.230071])
    >>> gradient = ft.grad(lambda damping: odeint(pendulum, (1.0, 0.0), times, damping)[0][-1])
    >>> gradient(0.1).round(6)
    Array(0.725091)
    """
    name = function_name(func)
    leaves, tree = flatten(y0)
    _check_arrays("y0", leaves)
    _check_arrays("an argument after t", flatten(args)[0])
    dtype = common_dtype(*[aval_of(x).dtype for x in leaves], np.float32 if _all_float32(leaves) else np.float64)
    leaves = [convert_element_type(x, dtype) for x in leaves]
    t = _times(t)
    arg_leaves = flatten(args)[0]
    both = flatten((unflatten(tree, leaves), t[0], *args))[1]
    avals = [aval_of(x) for x in (*leaves, t[0], *arg_leaves)]
    what = f"the derivative function of odeint, {name},"
    jaxpr, consts, out_tree = stage_function(func, avals, both, what)
    if out_tree != tree:
        raise ArgumentError(f"{what} must return a pytree of the structure of y0, {tree}; it returned {out_tree}")
    for x, out in zip(leaves, jaxpr.out_avals):
        if out.shape != aval_of(x).shape or common_dtype(out.dtype, dtype) != dtype:
            raise (ShapeError if out.shape != aval_of(x).shape else DTypeError)(
                f"{what} must return derivatives of the shapes and dtypes of y0: {aval_of(x)}, not {out}"
            )
    y, unravel = ravel_pytree(unflatten(tree, leaves))
    problem = _Problem(jaxpr, unravel, float(rtol), float(atol), float(mxstep), float(hmax))
    if len(t) == 1 or not aval_of(y).size:
        ys = fnp.broadcast_to(y, (len(t), *aval_of(y).shape))
    else:
        ys = _solve(problem, y, t, [*consts], arg_leaves)
    parts, start = [], 0
    for x in leaves:
        aval = aval_of(x)
        parts.append(fnp.reshape(ys[:, start : start + aval.size], (len(t), *aval.shape)))
        start += aval.size
    return unflatten(tree, parts)


def _all_float32(leaves: Sequence[Any]) -> bool:
    return all(aval_of(x).dtype in (np.float32, np.complex64) and not aval_of(x).weak for x in leaves)


def _check_arrays(what: str, leaves: Sequence[Any]) -> None:
    for x in leaves:
        if not is_array_like(x):
            raise DTypeError(f"odeint: {what} must be a pytree of arrays and numbers; it holds {x!r:.60}")


def _times(t: Any) -> Any:
    t = fnp.asarray(t)
    if t.ndim != 1 or not len(t):
        raise ShapeError(f"odeint takes the times as a vector, got t of shape {t.shape}")
    if kind_of(t.dtype) not in "fiu":
        raise DTypeError(f"odeint takes real numbers as times, got t of dtype {t.dtype}")
    if not isinstance(t, Tracer):
        steps = np.diff(t)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            raise ArgumentError("odeint: the times t must increase from each to the next, or decrease")
    return t if kind_of(t.dtype) == "f" else convert_element_type(t, np.float64)


# ---------------------------------------------------------------- the equation


@dataclass(frozen=True)
class _Problem:
    """The derivative function as a jaxpr over flat values, and how exact its solution is to be."""

    jaxpr: Jaxpr
    unravel: Callable[[Any], Any]
    rtol: float
    atol: float
    mxstep: float
    hmax: float

    def derivative(self, y: Any, t: Any, consts: Sequence[Any], args: Sequence[Any]) -> Any:
        """`dy/dt`, all of `y` being one vector."""
        parts = flatten(self.unravel(y))[0]
        found = evaluate(self.jaxpr, (), [*consts, *parts, t, *args], sources=True)
        return fnp.concatenate([fnp.reshape(convert_element_type(x, y.dtype), (-1,)) for x in found])


# Row i: the weights of the derivatives found so far in stage i; the last stage is the derivative at the new point.
_NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_WEIGHTS = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
_MIDDLE = (
    6025192743 / 60171106304, 0.0, 51252292925 / 130801643196, -2691868925 / 90256659456, 187940372067 / 3189068634112,
    -1776094331 / 39487288512, 11237099 / 470086768,
)  # fmt: skip


class _State(NamedTuple):
    """Where the method is, with the step that brought it there: from `last_t`, with the solution half-way."""

    t: Any
    y: Any
    f: Any
    step: Any  # the length of the next one
    last_t: Any
    last_y: Any
    last_f: Any
    middle: Any


def _combine(weights: Sequence[float], ks: Sequence[Any]) -> Any:
    total = None
    for w, k in zip(weights, ks):
        if w:
            total = k * w if total is None else total + k * w
    return total


def _rms(x: Any) -> Any:
    return fnp.sqrt(fnp.mean(fnp.real(x) ** 2 + fnp.imag(x) ** 2 if x.dtype.kind == "c" else x * x))


def _first_step(problem: _Problem, f: Callable[[Any, Any], Any], t: Any, y: Any, dy: Any, longest: Any) -> Any:
    """A length for which an explicit Euler step is about as exact as is wanted, by Hairer's recipe."""
    scale = problem.atol + fnp.abs(y) * problem.rtol
    d0, d1 = _rms(y / scale), _rms(dy / scale)
    h0 = fnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / fnp.where(d1 == 0, 1.0, d1))
    h0 = fnp.minimum(h0, longest)
    d2 = _rms((f(y + h0 * dy, t + h0) - dy) / scale) / h0
    d = fnp.maximum(d1, d2)
    h1 = fnp.where(d <= 1e-15, fnp.maximum(1e-6, h0 * 1e-3), (0.01 / fnp.where(d <= 1e-15, 1.0, d)) ** 0.2)
    return stop_gradient(fnp.minimum(fnp.minimum(100 * h0, h1), longest).astype(t.dtype))


def _advance(problem: _Problem, f: Callable[[Any, Any], Any], s: _State, end: Any) -> _State:
    """One attempt at a step: taken if its error is small enough, and in any case the length of the next one."""
    last = s.t + s.step >= end  # never beyond the end, where the derivative may not exist
    h = fnp.where(last, end - s.t, s.step)
    real = h.astype(fnp.real(s.y).dtype)
    ks = [s.f]
    for node, weights in zip(_NODES, _WEIGHTS):
        y = s.y + real * _combine(weights, ks)
        ks.append(f(y, s.t + node * h))
    error = real * _combine(_ERROR, ks)
    ratio = _rms(error / (problem.atol + problem.rtol * fnp.maximum(fnp.abs(s.y), fnp.abs(y))))
    ratio = stop_gradient(ratio).astype(s.t.dtype)
    factor = 0.9 * fnp.where(ratio == 0, 1.0, ratio) ** -0.2
    factor = fnp.where(ratio == 0, 10.0, fnp.clip(factor, fnp.where(ratio < 1, 1.0, 0.2), 10.0))
    length = fnp.minimum(stop_gradient(h) * factor, problem.hmax).astype(s.t.dtype)
    new = (fnp.where(last, end, s.t + h), y, ks[-1], s.t, s.y, s.f, s.y + real * _combine(_MIDDLE, ks))
    old = (s.t, s.y, s.f, s.last_t, s.last_y, s.last_f, s.middle)
    t, y, dy, *before = (fnp.where(ratio <= 1, a, b) for a, b in zip(new, old))
    return _State(t, y, dy, length, *before)


def _between(s: _State, t: Any) -> Any:
    """The solution at a time within the last step: the polynomial with the values and slopes at its ends, and the
    value half-way.
    """
    h = s.t - s.last_t
    h = fnp.where(h == 0, 1.0, h)
    x = ((t - s.last_t) / h).astype(fnp.real(s.y).dtype)
    h = h.astype(x.dtype)
    d0, d1, rise, bend = h * s.last_f, h * s.f, s.y - s.last_y, s.middle - s.last_y
    a = 2 * (d1 - d0) - 8 * rise + 16 * bend
    b = 5 * d0 - 3 * d1 + 14 * rise - 32 * bend
    c = d1 - 4 * d0 - 5 * rise + 16 * bend
    # written from the nearer end, so that the ends are exact
    return fnp.where(x == 1, s.y, s.last_y + x * (d0 + x * (c + x * (b + x * a))))


def _integrate(problem: _Problem, y0: Any, ts: Any, consts: Sequence[Any], args: Sequence[Any]) -> Any:
    """The solution, a row for each time. Time goes forward here; the equation is turned round where it does not."""
    sign = stop_gradient(fnp.where(ts[-1] < ts[0], -1.0, 1.0).astype(ts.dtype))
    ts = sign * ts

    def f(y: Any, t: Any) -> Any:
        return sign.astype(fnp.real(y).dtype) * problem.derivative(y, sign * t, consts, args)

    def reach(state: _State, target: Any) -> tuple[_State, Any]:
        def unfinished(value: Any) -> Any:
            n, s = value
            going = (s.t < target) & (s.step > 0)
            return going if np.isinf(problem.mxstep) else going & (n < problem.mxstep)

        def step(value: Any) -> Any:
            n, s = value
            return n + 1, _advance(problem, f, s, ts[-1])

        _, state = while_loop(unfinished, step, (np.int64(0), state))
        return state, fnp.where(state.t < target, np.nan, _between(state, target))

    dy = f(y0, ts[0])
    longest = fnp.minimum(ts[-1] - ts[0], problem.hmax).astype(ts.dtype)
    length = _first_step(problem, f, ts[0], y0, dy, longest)
    start = _State(ts[0], y0, dy, length, ts[0], y0, dy, y0)
    _, ys = scan(reach, start, ts[1:])
    return fnp.concatenate([y0[None], ys])


# ---------------------------------------------------------------- the adjoint equation


def _forward(problem: _Problem, y0: Any, ts: Any, consts: Sequence[Any], args: Sequence[Any]) -> Any:
    ys = _solve(problem, y0, ts, consts, args)
    return ys, (ys, ts, consts, args)


def _backward(problem: _Problem, residuals: Any, cts: Any) -> Any:
    """From the last time to the first: the cotangent `a` of the state obeys `da/dt = -a df/dy`, and those of the
    arguments gather `a df/dargs`.
    """
    ys, ts, consts, args = residuals
    everything = [*consts, *args]
    live = [is_inexact(aval_of(x).dtype) for x in everything]

    def f(y: Any, t: Any, *floats: Any) -> Any:
        rest = iter(floats)
        values = [next(rest) if lv else x for x, lv in zip(everything, live)]
        return problem.derivative(y, t, values[: len(consts)], values[len(consts) :])

    floats = [x for x, lv in zip(everything, live) if lv]

    def dynamics(state: Any, t: Any) -> Any:
        y, a, _ = state
        dy, pull = vjp(lambda y, *floats: f(y, t, *floats), y, *floats)
        ct_y, *ct_floats = pull(a)
        return dy, -ct_y, [-ct for ct in ct_floats]

    def interval(carry: Any, x: Any) -> Any:
        a, sums = carry
        y, ct, t, before = x
        ct_t = fnp.real(fnp.sum(f(y, t, *floats) * ct))
        state = (y, a + ct, sums)
        options = {"rtol": problem.rtol, "atol": problem.atol, "mxstep": problem.mxstep, "hmax": problem.hmax}
        _, a, sums = odeint(dynamics, state, fnp.stack([t, before]), **options)
        sums = [convert_element_type(s[1], aval_of(x).dtype) for s, x in zip(sums, floats)]
        return (a[1], sums), ct_t.astype(ts.dtype)

    start = (fnp.zeros_like(ys[0]), [fnp.zeros(x.shape, x.dtype) for x in map(aval_of, floats)])
    (a, sums), ct_ts = scan(interval, start, (ys[1:], cts[1:], ts[1:], ts[:-1]), reverse=True)
    first = -fnp.real(fnp.sum(f(ys[0], ts[0], *floats) * a)).astype(ts.dtype)  # a later start is a shorter way
    found = iter(sums)
    ct_all = [next(found) if lv else None for lv in live]
    ct_t = fnp.concatenate([first[None], ct_ts])
    return a + cts[0], ct_t, ct_all[: len(consts)], ct_all[len(consts) :]


_solve = custom_vjp(_integrate, nondiff_argnums=(0,), forward_through=True)
_solve.defvjp(_forward, _backward)
