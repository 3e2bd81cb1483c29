"""Minima of functions of one variable.

Source: R. Brent, "Algorithms for minimization without derivatives" (1973), chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import grad, stop_gradient
from functrans.core.avals import aval_of, float_info
from functrans.core.pytree import leaves
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import has_tracer
from functrans.scipy.optimize.derivatives import floats, is_traced, scipys, solve_elementwise, tuple_of, wrapped

#: The part of an interval that a step of golden section goes.
_GOLDEN = 0.5 * (3 - 5**0.5)


class ScalarResult(NamedTuple):
    """What `minimize_scalar` of traced values returns; fields as in SciPy. `x` and `fun` have derivatives.

    >>> import functrans as ft, numpy as np
    >>> solve = lambda a: ft.scipy.optimize.minimize_scalar(lambda x: (x - a) ** 2, bounds=(0.0, 9.0))
    >>> ft.eval_shape(solve, 2.0).x
    ShapeDtypeStruct(shape=(), dtype=float64)
    """

    x: Any
    fun: Any
    success: Any
    nfev: Any
    nit: Any


class _State(NamedTuple):
    """The interval `(a, b)`, the three best points so far with their values, the last two steps, and a count."""

    a: Any
    b: Any
    x: Any
    fx: Any
    w: Any
    fw: Any
    v: Any
    fv: Any
    step: Any
    before: Any
    count: Any


def _tolerance(s: _State, xtol: Any) -> Any:
    return np.sqrt(float_info(aval_of(s.x).dtype).eps) * fnp.abs(s.x) + xtol / 3


def _found(s: _State, xtol: Any) -> Any:
    middle = 0.5 * (s.a + s.b)
    return fnp.abs(s.x - middle) <= 2 * _tolerance(s, xtol) - 0.5 * (s.b - s.a)


def _narrowed(f: Callable[[Any], Any], s: _State, xtol: Any) -> _State:
    """One step: to the minimum of the parabola through the three points, or of golden section."""
    least = _tolerance(s, xtol)
    middle = 0.5 * (s.a + s.b)
    r = (s.x - s.w) * (s.fx - s.fv)
    q = (s.x - s.v) * (s.fx - s.fw)
    p = (s.x - s.v) * q - (s.x - s.w) * r
    q = 2 * (q - r)
    p, q = fnp.where(q > 0, -p, p), fnp.abs(q)
    usable = (fnp.abs(s.before) > least) & (fnp.abs(p) < fnp.abs(0.5 * q * s.before))
    usable = usable & (p > q * (s.a - s.x)) & (p < q * (s.b - s.x))
    step = p / fnp.where(q == 0, 1, q)
    at_edge = (s.x + step - s.a < 2 * least) | (s.b - s.x - step < 2 * least)
    step = fnp.where(at_edge, fnp.where(s.x < middle, least, -least), step)
    side = fnp.where(s.x < middle, s.b - s.x, s.a - s.x)
    before = fnp.where(usable, s.step, side)
    step = fnp.where(usable, step, _GOLDEN * side)
    u = s.x + fnp.where(fnp.abs(step) >= least, step, fnp.where(step > 0, least, -least))
    fu = f(u)
    better = fu <= s.fx
    left = u < s.x
    a = fnp.where(better, fnp.where(left, s.a, s.x), fnp.where(left, u, s.a))
    b = fnp.where(better, fnp.where(left, s.x, s.b), fnp.where(left, s.b, u))
    second = ~better & ((fu <= s.fw) | (s.w == s.x))
    third = ~better & ~second & ((fu <= s.fv) | (s.v == s.x) | (s.v == s.w))
    pick = lambda new, x, w, v: fnp.where(better, x, fnp.where(second, w, fnp.where(third, v, new)))
    v, fv = pick(s.v, s.w, s.w, u), pick(s.fv, s.fw, s.fw, fu)
    w, fw = pick(s.w, s.x, u, s.w), pick(s.fw, s.fx, fu, s.fw)
    x, fx = fnp.where(better, u, s.x), fnp.where(better, fu, s.fx)
    return _State(a, b, x, fx, w, fw, v, fv, step, before, s.count + 1)


def _bracketed(f: Callable[[Any], Any], a: Any, b: Any) -> tuple[Any, Any, Any, Any]:
    """Three points the middle one of which has the least value, by going down hill, and how many values that took."""
    fa, fb = f(a), f(b)
    a, b, fb = fnp.where(fa < fb, b, a), fnp.where(fa < fb, a, b), fnp.minimum(fa, fb)
    c = b + 1.618034 * (b - a)
    start = (a, b, fb, c, f(c), fnp.full((), 3, np.int64))

    def on(state: Any) -> Any:
        _, b, _, c, fc, count = state
        further = c + 1.618034 * (c - b)
        return b, c, fc, further, f(further), count + 1

    a, b, _, c, _, count = lax.while_loop(lambda s: (s[4] < s[2]) & (s[5] < 1000), on, start)
    return a, b, c, count


def minimize_scalar(
    fun: Callable[..., Any], bracket: Any = None, bounds: Any = None, args: Any = (), method: str | None = None,
    tol: float | None = None, options: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """A minimum of a function of one variable, as `scipy.optimize.minimize_scalar`.

    SciPy's own for plain values; traced, Brent's method as a compiled loop. The minimiser has derivatives of any order
    by `args` and captured values, if it lies between the bounds.

    Args:
        fun: `fun(x, *args)` gives a scalar.
        bracket: traced, two points from which to go down hill, `(0, 1)` by default.
        bounds: two points between which the minimum is looked for.
        args: further arguments.
        method: SciPy's; traced, `"brent"` or, with `bounds`, `"bounded"`.
        tol: tolerance of the minimiser.
        options: SciPy's; traced, `maxiter`, and `xtol` or `xatol` in place of `tol`.

    Returns:
        SciPy's `OptimizeResult`, or for traced values `ScalarResult`.

    >>> import functrans as ft, numpy as np
    >>> solution = lambda a: ft.scipy.optimize.minimize_scalar(lambda x: np.exp(x) - a * x, tol=1e-8).x
    >>> ft.grad(solution)(2.0)  # of log(a)
    Array(0.5)
    """
    name = "minimize_scalar"
    args = tuple_of(args)
    ends = bounds if bounds is not None else (0.0, 1.0) if bracket is None else bracket
    inner = ends[0] + _GOLDEN * (ends[1] - ends[0])  # at the bounds the function need not be defined
    if not has_tracer(leaves(ends)) and not is_traced(fun, ends[0] if bounds is None else inner, args):
        optimize = scipys()
        return wrapped(optimize.minimize_scalar(fun, bracket, bounds, args, method, tol, options))
    expected = "brent" if bounds is None else "bounded"
    if method is not None and str(method).lower() != expected:
        raise ArgumentError(
            f"{name} of traced values takes method='brent', or 'bounded' with bounds=, got {method!r:.40}"
        )
    if len(ends) != 2:
        raise ArgumentError(f"{name} of traced values takes two points, got {len(ends)}")
    a, b = (floats(name, v) for v in ends)
    if aval_of(a).ndim or aval_of(b).ndim:
        raise ShapeError(
            f"{name} takes scalars as ends, got shapes {aval_of(a).shape} and {aval_of(b).shape}; use vmap"
        )
    dtype = common_dtype(aval_of(a).dtype, aval_of(b).dtype)
    a, b = (stop_gradient(v.astype(dtype)) for v in (a, b))
    given = dict(options or {})
    xtol = given.pop("xatol", given.pop("xtol", tol))
    xtol = (1e-5 if bounds is not None else 1.48e-8) if xtol is None else xtol
    maxiter = int(given.pop("maxiter", 500))
    given.pop("disp", None)
    if given:
        raise ArgumentError(f"{name} of traced values does not take {', '.join(map(str, given))}")

    def objective(x: Any) -> Any:
        value = fnp.asarray(fun(x, *args))
        if aval_of(value).ndim:
            raise ShapeError(f"{name} takes a function with a scalar as result, got shape {aval_of(value).shape}")
        return value.astype(dtype)

    def solve(_: Any, start: Any) -> Any:
        if bounds is None:
            first, x, last, calls = _bracketed(objective, a, b)
            low, high = fnp.minimum(first, last), fnp.maximum(first, last)
        else:
            low, high, x, calls = a, b, start, fnp.zeros((), np.int64)
        fx = objective(x)
        zero = fnp.zeros((), dtype)
        state = _State(low, high, x, fx, x, fx, x, fx, zero, zero, fnp.zeros((), np.int64))
        found = lax.while_loop(
            lambda s: ~_found(s, xtol) & (s.count < maxiter), lambda s: _narrowed(objective, s, xtol), state
        )
        return found.x, (_found(found, xtol) & ~fnp.isnan(found.fx), calls + found.count + 1, found.count)

    x, (success, calls, count) = lax.custom_root(
        grad(objective), a + _GOLDEN * (b - a), solve, solve_elementwise, has_aux=True
    )
    return ScalarResult(x, objective(x), success, calls, count)
