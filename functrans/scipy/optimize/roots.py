"""Roots and fixed points: SciPy's solvers on plain values, compiled loops with implicit derivatives on traced ones.

The derivative of a root `x` of `f(x, a) = 0` is `dx = -(df/dx)^-1 (df/da) da`, whatever the solver did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import jacobian, jit, jvp, stop_gradient
from functrans.checking import check
from functrans.core.avals import aval_of, float_info
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import wrap_result
from functrans.scipy.optimize.derivatives import (
    floats,
    is_traced,
    scipys,
    solve_dense,
    solve_elementwise,
    tuple_of,
    wrapped,
)

_EPS = float(np.finfo(float).eps)


class RootResults(NamedTuple):
    """How a traced search for a root of a function of one variable went; fields as in SciPy.

    >>> import functrans as ft, numpy as np
    >>> solve = lambda a: ft.scipy.optimize.brentq(lambda x: x * x - a, 0.0, 9.0, full_output=True)[1]
    >>> ft.eval_shape(solve, 4.0).converged
    ShapeDtypeStruct(shape=(), dtype=bool)
    """

    root: Any
    iterations: Any
    function_calls: Any
    converged: Any


# ---------------------------------------------------------------- between two ends


class _Bracket(NamedTuple):
    """The last three points of the search, `a` and `b` with values of opposite sign, and where to look next."""

    a: Any
    fa: Any
    b: Any
    fb: Any
    c: Any
    fc: Any
    t: Any
    count: Any
    done: Any


def _bracketed(f: Any, a: Any, fa: Any, b: Any, fb: Any, xtol: Any, rtol: Any, maxiter: int, halve: bool) -> _Bracket:
    """Bisection, or Chandrupatla's method, which uses inverse quadratic interpolation where that is safe.

    T. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without
    using derivatives", Advances in Engineering Software 28 (1997).
    """

    def step(s: _Bracket) -> _Bracket:
        x = s.a + s.t * (s.b - s.a)
        fx = f(x)
        same = fnp.sign(fx) == fnp.sign(s.fa)
        c, fc = fnp.where(same, s.a, s.b), fnp.where(same, s.fa, s.fb)
        b, fb = fnp.where(same, s.b, s.a), fnp.where(same, s.fb, s.fa)
        a, fa = x, fx
        best = fnp.where(fnp.abs(fa) < fnp.abs(fb), a, b)
        tolerance = (xtol + rtol * fnp.abs(best)) / fnp.where(b == a, 1, fnp.abs(b - a))
        done = (fa == 0) | (fb == 0) | (tolerance > 1) | (b == a) | fnp.isnan(fx)
        limit = fnp.minimum(tolerance / 2, 0.5)
        xi = (a - b) / fnp.where(c == b, 1, c - b)
        phi = (fa - fb) / fnp.where(fc == fb, 1, fc - fb)
        safe = (phi * phi < xi) & ((1 - phi) * (1 - phi) < 1 - xi) & (fc != fa) & (fc != fb)
        div = lambda p, q: p / fnp.where(q == 0, 1, q)
        inner = div(fa, fb - fa) * div(fc, fb - fc) + div(c - a, b - a) * div(fa, fc - fa) * div(fb, fc - fb)
        t = fnp.where(safe & ~fnp.asarray(halve), fnp.clip(inner, limit, 1 - limit), 0.5)
        dtype = s.t.dtype
        return _Bracket(a, fa, b, fb, c, fc, t.astype(dtype), s.count + 1, done)

    half = fnp.full((), 0.5, aval_of(a).dtype)
    start = _Bracket(a, fa, b, fb, a, fa, half, fnp.zeros((), np.int64), (fa == 0) | (fb == 0))
    return lax.while_loop(lambda s: ~s.done & (s.count < maxiter), step, start)


def _between(
    name: str, f: Any, a: Any, b: Any, args: Any, xtol: Any, rtol: Any, maxiter: int, full_output: bool, disp: bool,
    **options: Any,
) -> Any:  # fmt: skip
    args = tuple_of(args)
    if not isinstance(b, Tracer) and not is_traced(f, a, args):
        optimize = scipys()

        solver = getattr(optimize, name)
        return wrap_result(
            solver(f, a, b, args, xtol=xtol, rtol=rtol, maxiter=maxiter, full_output=full_output, disp=disp, **options)
        )
    if not isinstance(xtol, Tracer) and not xtol > 0:
        raise ArgumentError(f"{name} takes xtol above 0, got {xtol}")
    a, b = floats(name, a), floats(name, b)
    dtype = common_dtype(aval_of(a).dtype, aval_of(b).dtype)
    if aval_of(a).ndim or aval_of(b).ndim:
        raise ShapeError(
            f"{name} takes scalars as ends, got shapes {aval_of(a).shape} and {aval_of(b).shape}; use vmap"
        )
    a, b = stop_gradient(a.astype(dtype)), stop_gradient(b.astype(dtype))
    equation = lambda x: _number(name, f(x, *args), dtype)
    fa, fb = equation(a), equation(b)
    check(
        ~(fnp.sign(fa) * fnp.sign(fb) > 0),
        f"{name}: the function must have values of opposite sign at the ends, got {{}} at {{}} and {{}} at {{}}",
        fa, a, fb, b,
    )  # fmt: skip
    rtol = max(float(rtol), 4 * float(float_info(dtype).eps))

    def solve(f: Any, x: Any) -> Any:
        found = _bracketed(f, a, f(a), b, f(b), xtol, rtol, int(maxiter), name == "bisect")
        first = fnp.abs(found.fa) < fnp.abs(found.fb)
        return fnp.where(first, found.a, found.b), (found.count, found.done)

    root, (count, done) = lax.custom_root(equation, (a + b) / 2, solve, solve_elementwise, has_aux=True)
    if disp:
        check(done, f"{name} did not converge in {{}} iterations: it reached {{}}", count, root)
    return (root, RootResults(root, count, count + 2, done)) if full_output else root


def _number(name: str, value: Any, dtype: Any) -> Any:
    value = fnp.asarray(value)
    if aval_of(value).ndim:
        raise ShapeError(f"{name} takes a function with a scalar as result, got shape {aval_of(value).shape}")
    return value.astype(dtype)


def brentq(
    f: Callable[..., Any], a: Any, b: Any, args: Any = (), xtol: float = 2e-12, rtol: float = 4 * _EPS,
    maxiter: int = 100, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """A root of a function between two points where its values have opposite sign, as `scipy.optimize.brentq`.

    With traced values (ends, `args`, captured) Chandrupatla's method, as a compiled loop; the root has derivatives
    by `args` and captured values. Under `vmap` each example has its own ends.

    Args:
        f: `f(x, *args)` of a scalar.
        a, b: the ends.
        args: further arguments.
        xtol, rtol: tolerances, absolute and relative.
        maxiter: the most iterations.
        full_output: whether to return `RootResults` too.
        disp: whether not to converge is an error.

    Raises:
        ValueError: the values at the ends have one sign; traced, a `CheckError`, which is one, when the program runs.

    >>> import functrans as ft, numpy as np
    >>> root = lambda a: ft.scipy.optimize.brentq(lambda x: x**3 - a, 0.0, 10.0)
    >>> ft.jit(ft.value_and_grad(root))(8.0)
    (Array(2.), Array(0.08333333))
    """
    return _between("brentq", f, a, b, args, xtol, rtol, maxiter, full_output, disp)


def brenth(
    f: Callable[..., Any], a: Any, b: Any, args: Any = (), xtol: float = 2e-12, rtol: float = 4 * _EPS,
    maxiter: int = 100, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.optimize.brenth`; traced as `brentq`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.optimize.brenth(lambda x: x * x - 2, 0.0, 2.0)
    1.4142135623730965
    """
    return _between("brenth", f, a, b, args, xtol, rtol, maxiter, full_output, disp)


def ridder(
    f: Callable[..., Any], a: Any, b: Any, args: Any = (), xtol: float = 2e-12, rtol: float = 4 * _EPS,
    maxiter: int = 100, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.optimize.ridder`; traced as `brentq`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.optimize.ridder(lambda x: x * x - 2, 0.0, 2.0)
    1.414213562372099
    """
    return _between("ridder", f, a, b, args, xtol, rtol, maxiter, full_output, disp)


def toms748(
    f: Callable[..., Any], a: Any, b: Any, args: Any = (), k: int = 1, xtol: float = 2e-12, rtol: float = 4 * _EPS,
    maxiter: int = 100, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.optimize.toms748`; traced as `brentq`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.optimize.toms748(lambda x: x * x - 2, 0.0, 2.0)
    Array(1.41421356)
    """
    return _between("toms748", f, a, b, args, xtol, rtol, maxiter, full_output, disp, **({} if k == 1 else {"k": k}))


def bisect(
    f: Callable[..., Any], a: Any, b: Any, args: Any = (), xtol: float = 2e-12, rtol: float = 4 * _EPS,
    maxiter: int = 100, full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """A root between two points by halving their interval, as `scipy.optimize.bisect`; arguments as for `brentq`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.optimize.bisect(lambda x: x * x - 2, 0.0, 2.0)
    1.4142135623715149
    """
    return _between("bisect", f, a, b, args, xtol, rtol, maxiter, full_output, disp)


# ---------------------------------------------------------------- from a starting point


def newton(
    func: Callable[..., Any], x0: Any, fprime: Callable[..., Any] | None = None, args: Any = (), tol: float = 1.48e-8,
    maxiter: int = 50, fprime2: Callable[..., Any] | None = None, x1: Any = None, rtol: float = 0.0,
    full_output: bool = False, disp: bool = True,
) -> Any:  # fmt: skip
    """A root by Newton's method, as `scipy.optimize.newton`.

    For plain values SciPy's: without `fprime` the secant method. For traced ones Newton's method with the derivative
    made here, as a compiled loop with an implicit derivative; `fprime`, `fprime2` and `x1` are not needed and not used.

    Args:
        func: `func(x, *args)`, elementwise: `x` is a scalar or an array, of which each element has its own root.
        x0: where to start.
        fprime, fprime2, x1: SciPy's.
        args: further arguments.
        tol, rtol: the search ends where a step is at most `tol + rtol |x|`.
        maxiter: the most steps.
        full_output: whether to return `RootResults` too.
        disp: whether not to converge is an error.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda a: ft.scipy.optimize.newton(lambda x: np.exp(x) - a, 1.0))(np.array(2.0))
    Array(0.69314718)
    """
    name = "newton"
    args = tuple_of(args)
    if not is_traced(func, x0, args):
        optimize = scipys()

        return wrap_result(optimize.newton(func, x0, fprime, args, tol, maxiter, fprime2, x1, rtol, full_output, disp))
    x0 = floats(name, x0)
    dtype = aval_of(x0).dtype
    value = fnp.asarray(func(x0, *args))
    x0 = fnp.broadcast_to(x0, np.broadcast_shapes(aval_of(x0).shape, aval_of(value).shape))

    def equation(x: Any) -> Any:
        value = fnp.asarray(func(x, *args)).astype(dtype)
        if aval_of(value).shape != aval_of(x).shape:
            raise ShapeError(f"newton: the function made shape {aval_of(value).shape} of shape {aval_of(x).shape}")
        return value

    def solve(f: Any, x: Any) -> Any:
        def step(state: Any) -> Any:
            x, count, _ = state
            y, slope = jvp(f, (x,), (fnp.ones_like(x),))
            change = fnp.where(y == 0, 0, y / fnp.where(slope == 0, 1, slope))
            stuck = (slope == 0) & (y != 0)
            new = fnp.where(stuck, x, x - change)
            return new, count + 1, (fnp.abs(change) <= tol + rtol * fnp.abs(new)) & ~stuck

        start = (x, fnp.zeros((), np.int64), fnp.zeros(aval_of(x).shape, bool))
        x, count, done = lax.while_loop(lambda s: ~fnp.all(s[2]) & (s[1] < maxiter), step, start)
        return x, (count, done)

    root, (count, done) = lax.custom_root(equation, stop_gradient(x0), solve, solve_elementwise, has_aux=True)
    if disp:
        check(fnp.all(done), "newton did not converge in {} steps", count)
    return (root, RootResults(root, count, count, done)) if full_output else root


def root_scalar(
    f: Callable[..., Any], args: Any = (), method: str | None = None, bracket: Any = None, fprime: Any = None,
    fprime2: Any = None, x0: Any = None, x1: Any = None, xtol: Any = None, rtol: Any = None, maxiter: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """A root of a function of one variable, as `scipy.optimize.root_scalar`; traced, `brentq`, `bisect` or `newton`.

    Args:
        f: `f(x, *args)` of a scalar.
        args: further arguments.
        method: SciPy's; by default `"brentq"` with `bracket`, else `"newton"`.
        bracket: two points where the values have opposite sign.
        fprime, fprime2, x1: SciPy's; not used for traced values.
        x0: where to start.
        xtol, rtol, maxiter: tolerances and the most iterations.
        options: further options of SciPy's.

    Returns:
        SciPy's `RootResults`, or for traced values the `RootResults` here.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.optimize.root_scalar(lambda x: x * x - 2, bracket=(0.0, 2.0)).root
    1.4142135623731364
    """
    args = tuple_of(args)
    at = bracket[0] if bracket is not None else x0
    if at is None:
        raise ArgumentError("root_scalar takes bracket= or x0=")
    if not is_traced(f, at, args) and (bracket is None or not isinstance(bracket[1], Tracer)):
        optimize = scipys()

        return optimize.root_scalar(f, args, method, bracket, fprime, fprime2, x0, x1, xtol, rtol, maxiter, options)
    name = method or ("newton" if bracket is None else "brentq")
    given = {"rtol": rtol, "maxiter": maxiter}
    chosen: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
    if name in ("bisect", "brentq", "brenth", "ridder", "toms748"):
        if bracket is None:
            raise ArgumentError(f"root_scalar with method={name!r} takes bracket=")
        chosen = {"xtol": 2e-12, "rtol": 4 * _EPS, "maxiter": 100, **chosen, **({} if xtol is None else {"xtol": xtol})}
        a, b = bracket
        return _between(name, f, a, b, args, **chosen, full_output=True, disp=False)[1]
    if name not in ("newton", "secant", "halley"):
        raise ArgumentError(f"root_scalar of traced values does not know method={name!r:.40}")
    if x0 is None:
        raise ArgumentError(f"root_scalar with method={name!r} takes x0=")
    return newton(f, x0, args=args, **chosen, **({} if xtol is None else {"tol": xtol}), full_output=True, disp=False)[
        1
    ]


def fixed_point(
    func: Callable[..., Any], x0: Any, args: Any = (), xtol: float = 1e-8, maxiter: int = 500, method: str = "del2"
) -> Any:
    """A point that a function maps to itself, as `scipy.optimize.fixed_point`.

    SciPy's own for plain values; traced, a compiled loop with an implicit derivative.

    Args:
        func: `func(x, *args)` gives an array of the shape of `x`.
        x0: where to start.
        args: further arguments.
        xtol: relative tolerance.
        maxiter: the most iterations.
        method: `"del2"`, accelerated elementwise by Aitken's process, or `"iteration"`.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda a: ft.scipy.optimize.fixed_point(lambda x: np.cos(a * x), 0.5))(1.0)
    Array(0.73908513)
    """
    name = "fixed_point"
    args = tuple_of(args)
    if method not in ("del2", "iteration"):
        raise ArgumentError(f"{name} takes method='del2' or 'iteration', got {method!r:.40}")
    if not is_traced(func, x0, args):
        optimize = scipys()

        return wrap_result(optimize.fixed_point(func, x0, args, xtol, maxiter, method))
    x0 = floats(name, x0)
    dtype, shape = aval_of(x0).dtype, aval_of(x0).shape
    call = lambda x: fnp.asarray(func(x, *args)).astype(dtype)
    if aval_of(call(x0)).shape != shape:
        raise ShapeError(f"{name}: the function made shape {aval_of(call(x0)).shape} of shape {shape}")

    def solve(_: Any, x: Any) -> Any:
        def step(state: Any) -> Any:
            x, count, _ = state
            new = call(x)
            if method == "del2":
                twice = call(new)
                bend = twice - 2 * new + x
                new = fnp.where(bend == 0, twice, x - fnp.square(new - x) / fnp.where(bend == 0, 1, bend))
            error = fnp.where(x == 0, new, (new - x) / fnp.where(x == 0, 1, x))
            return new, count + 1, fnp.all(fnp.abs(error) < xtol)

        start = (x, fnp.zeros((), np.int64), fnp.zeros((), bool))
        x, count, done = lax.while_loop(lambda s: ~s[2] & (s[1] < maxiter), step, start)
        return x, (count, done)

    def tangent_solve(g: Any, y: Any) -> Any:
        n = aval_of(y).size
        found = solve_dense(lambda v: fnp.reshape(g(fnp.reshape(v, shape)), (n,)), fnp.reshape(y, (n,)))
        return fnp.reshape(found, shape)

    point, (count, done) = lax.custom_root(lambda x: x - call(x), stop_gradient(x0), solve, tangent_solve, has_aux=True)
    check(done, f"{name} did not converge in {{}} iterations", count)
    return point


# ---------------------------------------------------------------- systems of equations


class RootResult(NamedTuple):
    """What `root` of traced values returns.

    Attributes:
        x: the root, of the shape of `x0`; it has derivatives.
        success: whether the method converged.
        fun: the function there.
        nfev, nit: evaluations and steps.

    >>> import functrans as ft, numpy as np
    >>> solve = lambda a: ft.scipy.optimize.root(lambda x: x * x - a, np.ones(2))
    >>> ft.eval_shape(solve, np.ones(2)).x
    ShapeDtypeStruct(shape=(2,), dtype=float64)
    """

    x: Any
    success: Any
    fun: Any
    nfev: Any
    nit: Any


def root(
    fun: Callable[..., Any], x0: Any, args: Any = (), method: str = "hybr", jac: Any = None, tol: float | None = None,
    callback: Any = None, options: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """A root of a function from vectors to vectors of as many elements, as `scipy.optimize.root`.

    On plain values SciPy's own solver, which for `"hybr"` and `"lm"` gets a compiled Jacobian if `jac` is `None`
    (`jac=False` for finite differences). Traced, Newton's method with shortened steps where the equation's error would
    grow, as a compiled loop; the root has derivatives of any order by `args` and captured values.

    Args:
        fun: `fun(x, *args)` gives an array of the shape of `x`.
        x0: where to start.
        args: further arguments.
        method, jac, callback: SciPy's; not used for traced values.
        tol: tolerance; traced, of the step relative to `x`, 1.49e-8 by default.
        options: SciPy's; traced, `maxiter`, 100 by default.

    Returns:
        SciPy's `OptimizeResult`, or for traced values `RootResult`.

    >>> import functrans as ft, numpy as np
    >>> f = lambda x, a: np.stack([x[0] * x[1] - a, x[0] - x[1] ** 2])
    >>> solution = lambda a: ft.scipy.optimize.root(f, np.ones(2), (a,)).x
    >>> solution(8.0), ft.jacobian(solution)(8.0)
    (Array([4., 2.]), Array([0.33333333, 0.08333333]))
    """
    name = "root"
    args = tuple_of(args)
    x0 = floats(name, x0)
    if not is_traced(fun, x0, args):
        optimize = scipys()

        if jac is None and method in ("hybr", "lm"):
            flat = jit(jacobian(lambda x: fnp.ravel(fun(x, *args))))
            n = aval_of(x0).size
            jac = lambda x, *_: np.asarray(flat(x)).reshape(-1, n)
        return wrapped(optimize.root(fun, np.asarray(x0), args, method, jac or None, tol, callback, options))
    given = dict(options or {})
    maxiter = int(given.pop("maxiter", 100))
    if given:
        raise ArgumentError(f"root of traced values takes the option maxiter, got {', '.join(map(str, given))}")
    shape, dtype = aval_of(x0).shape, aval_of(x0).dtype
    if aval_of(fnp.asarray(fun(x0, *args))).size != aval_of(x0).size:
        raise ShapeError(f"root takes a function with as many results as unknowns, {aval_of(x0).size}")
    equation = lambda v: fnp.ravel(fnp.asarray(fun(fnp.reshape(v, shape), *args))).astype(dtype)
    tolerance = 1.49e-8 if tol is None else tol
    tolerance = max(tolerance, 4 * float(float_info(dtype).eps))

    def solve(f: Any, v: Any) -> Any:
        def shorten(state: Any) -> Any:
            t, _, x, direction, square, calls = state
            t = t / 2
            found = f(x + t * direction)
            return t, fnp.dot(found, found), x, direction, square, calls + 1

        def step(state: Any) -> Any:
            x, y, count, calls, _ = state
            direction = -fnp.linalg.solve(jacobian(f)(x), y)
            square = fnp.dot(y, y)
            whole = f(x + direction)
            t, _, _, _, _, calls = lax.while_loop(
                lambda s: ~(s[1] <= (1 - 1e-4 * s[0]) * s[4]) & (s[0] > 1e-6),
                shorten,
                (fnp.ones((), dtype), fnp.dot(whole, whole), x, direction, square, calls + 1),
            )
            new = x + t * direction
            small = fnp.linalg.norm(direction) <= tolerance * (fnp.linalg.norm(new) + tolerance)
            value = f(new)
            return new, value, count + 1, calls + 1, small | fnp.all(value == 0)

        value = f(v)
        zero = fnp.zeros((), np.int64)
        start = (v, value, zero, zero + 1, fnp.all(value == 0))
        x, _, count, calls, done = lax.while_loop(
            lambda s: ~s[4] & (s[2] < maxiter) & ~fnp.any(fnp.isnan(s[1])), step, start
        )
        return x, (done, calls, count)

    x, (done, calls, count) = lax.custom_root(equation, stop_gradient(fnp.ravel(x0)), solve, solve_dense, has_aux=True)
    x = fnp.reshape(x, shape)
    return RootResult(x, done, fnp.asarray(fun(x, *args)), calls, count)
