"""`minimize`: SciPy's methods with derivatives by functrans, or compiled loops with implicit derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import grad, hessian, hvp, jacobian, jit, value_and_grad
from functrans.core.avals import aval_of
from functrans.core.pytree import leaves
from functrans.errors import ArgumentError, NonScalarGradError, ShapeError
from functrans.numpy.dispatch import has_tracer
from functrans.scipy.optimize import descent
from functrans.scipy.optimize.derivatives import floats, is_traced, scipys, solve_symmetric, tuple_of, wrapped

#: SciPy's methods by the derivatives that they use.
_WITHOUT = {"nelder-mead", "powell", "cobyla", "cobyqa"}
_WITH_PRODUCTS = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}
_WITH_HESSIAN = {"dogleg", "trust-exact"}
#: Methods of compiled loops, by the names that SciPy and JAX have for them.
_COMPILED = {
    "bfgs": "bfgs", "l-bfgs-b": "l-bfgs", "l-bfgs": "l-bfgs", "l-bfgs-experimental-do-not-rely-on-this": "l-bfgs",
}  # fmt: skip


class OptimizeResults(NamedTuple):
    """What `minimize` of traced values returns; its fields are JAX's.

    Attributes:
        x: the minimiser, `(n,)`. It has derivatives, and so have
        fun: the objective there, and
        jac: its gradient there.
        success: whether the method converged.
        status: 0 if it did; 1 for too many iterations, 2 if no step lowers the objective, 3 for NaN.
        hess_inv: the estimate of the inverse Hessian, `(n, n)`; `None` for L-BFGS.
        nfev, njev, nit: evaluations of the objective, of its gradient, and iterations.

    >>> import functrans as ft, numpy as np
    >>> solve = lambda a: ft.scipy.optimize.minimize(lambda x: np.sum((x - a) ** 2), np.zeros(2), method="BFGS")
    >>> ft.eval_shape(solve, np.ones(2)).x
    ShapeDtypeStruct(shape=(2,), dtype=float64)
    """

    x: Any
    success: Any
    status: Any
    fun: Any
    jac: Any
    hess_inv: Any
    nfev: Any
    njev: Any
    nit: Any


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | Callable[..., Any] | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Minimise a function of a vector, as `scipy.optimize.minimize`.

    On plain values SciPy's own solver runs. Where it uses derivatives that are not given, they are made here: the
    gradient compiled together with the objective, the Hessian or its products, and the Jacobians of constraints.

    With traced values (`x0`, `args`, or captured by `fun`; under `jit`, `vmap`, `grad`) it is a loop of the program:
    BFGS or L-BFGS with a line search for the strong Wolfe conditions. The minimiser has derivatives of any order by
    `args` and by captured values, those of the equation `grad(fun)(x) = 0` (none by `x0`). They hold where the method
    converged, and need a regular Hessian there.

    Args:
        fun: `fun(x, *args)` gives a scalar. For SciPy's methods without derivatives (Nelder-Mead, Powell, COBYLA,
            COBYQA) and with `jac` given it can be any function, else it must be one that can be traced.
        x0: where to start, `(n,)`.
        args: a tuple of further arguments.
        method: one of SciPy's. Traced: `"BFGS"` (the default), `"L-BFGS-B"` or `"L-BFGS"` (without bounds).
        jac, hess, hessp: SciPy's, in place of derivatives made here: functions, `jac=True` for a `fun` that returns
            the gradient too, `"2-point"`, `"3-point"`, `"cs"`, or strategies for `hess`.
        bounds, constraints, callback: as in SciPy; not for traced values, and with no traced values in them.
            Constraints without a Jacobian get one.
        tol: tolerance, that of the gradient for BFGS and L-BFGS.
        options: the method's own; traced, for BFGS `gtol`, `norm`, `maxiter`, `maxls`, for L-BFGS `gtol`, `ftol`,
            `maxiter`, `maxls`, `maxcor`.

    Returns:
        SciPy's `OptimizeResult`, or for traced values `OptimizeResults`.

    Raises:
        ShapeError: `x0` is not one-dimensional. ArgumentError: what traced values do not take.

    >>> import functrans as ft, numpy as np
    >>> rosenbrock = lambda x, a: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (a - x[:-1]) ** 2)
    >>> found = ft.scipy.optimize.minimize(rosenbrock, np.zeros(3), args=(1.0,), method="trust-ncg")
    >>> found.success, np.round(found.x, 6)
    (True, Array([1., 1., 1.]))

    The derivative of a minimiser:

    >>> solution = lambda a: ft.scipy.optimize.minimize(lambda x: np.sum((x - a) ** 2 + x**4), np.zeros(1)).x[0]
    >>> ft.grad(solution)(1.0)  # of x with 2 (x - a) + 4 x^3 = 0: 1 / (1 + 6 x^2)
    Array(0.32395...)
    """
    args = tuple_of(args)
    start = floats("minimize", x0)
    start = start[None] if aval_of(start).ndim == 0 else start
    if aval_of(start).ndim != 1:
        raise ShapeError(f"minimize takes x0 of one dimension, got shape {aval_of(start).shape}; ravel it")
    limits = [getattr(bounds, "lb", None), getattr(bounds, "ub", None)] if hasattr(bounds, "lb") else bounds
    if has_tracer(leaves((limits, [c for c in _listed(constraints) if isinstance(c, dict)]))):
        raise ArgumentError(f"minimize takes bounds and constraints without traced values: {_WITHOUT_BOUNDS}")
    if jac is None and hess is None and hessp is None and not callable(method) and _can_be_compiled(method):
        if is_traced(fun, start, args):
            return _compiled(fun, start, args, method, bounds, constraints, tol, callback, dict(options or {}))
    elif is_traced(fun, start, args):
        raise ArgumentError(
            "minimize of traced values takes method='BFGS' or 'L-BFGS', and no jac, hess or hessp, which it makes"
            f"; got method={method!r:.40}"
        )
    return wrapped(_by_scipy(fun, start, args, method, jac, hess, hessp, bounds, constraints, tol, callback, options))


_WITHOUT_BOUNDS = (
    "let it search without bounds, as by x = low + (high - low) * expit(u) (functrans.scipy.special.expit) or x = "
    "low + exp(u), with penalties or multipliers for constraints; or call it outside of the transformed function"
)


def _listed(constraints: Any) -> list[Any]:
    return list(constraints) if isinstance(constraints, (list, tuple)) else [constraints]


def _can_be_compiled(method: Any) -> bool:
    return method is None or (isinstance(method, str) and method.lower() in _COMPILED)


# ---------------------------------------------------------------- compiled loops


def _compiled(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...], method: Any, bounds: Any, constraints: Any, tol: Any,
    callback: Any, given: dict[str, Any],
) -> OptimizeResults:  # fmt: skip
    if bounds is not None or constraints:
        raise ArgumentError(f"minimize of traced values takes neither bounds nor constraints: {_WITHOUT_BOUNDS}")
    if callback is not None:
        raise ArgumentError("minimize of traced values takes no callback: print from fun by functrans.debug.print")
    name = "bfgs" if method is None else _COMPILED[method.lower()]
    options = descent.options_of(name, given, tol)
    limited = name == "l-bfgs"
    step = descent.limited_memory(options["maxcor"]) if limited else descent.BFGS
    n = aval_of(x0).size
    objective = lambda x: _scalar(fun(x, *args))

    def solve(_: Any, x: Any) -> Any:
        found = descent.minimized(
            objective, x, step, gtol=options["gtol"], ftol=options["ftol"] if limited else 0.0,
            norm=np.inf if limited else options["norm"], maxls=options["maxls"],
            maxiter=200 * n if options["maxiter"] is None else options["maxiter"],
        )  # fmt: skip
        estimate = () if limited else found.estimate
        return found.x, (found.converged, found.status, estimate, found.evaluations, found.count)

    gradient = grad(objective)
    x, (converged, status, estimate, evaluations, count) = lax.custom_root(
        gradient, x0, solve, solve_symmetric, has_aux=True
    )
    value, jac = value_and_grad(objective)(x)
    return OptimizeResults(
        x, converged, status, value, jac, None if limited else estimate, evaluations, evaluations, count
    )


def _scalar(value: Any) -> Any:
    value = fnp.asarray(value)
    if aval_of(value).size != 1:
        raise NonScalarGradError(f"minimize takes a function with a scalar as result, got shape {aval_of(value).shape}")
    return fnp.reshape(value, ())


# ---------------------------------------------------------------- SciPy's solvers


def _by_scipy(
    fun: Callable[..., Any], x0: Any, args: tuple[Any, ...], method: Any, jac: Any, hess: Any, hessp: Any,
    bounds: Any, constraints: Any, tol: Any, callback: Any, options: Any,
) -> Any:  # fmt: skip
    optimize = scipys()

    name = method.lower() if isinstance(method, str) else None
    called = fun
    if name not in _WITHOUT:
        constraints = _with_jacobians(constraints, name)
        if jac is None:
            objective = lambda x: _scalar(fun(x, *args))
            both = jit(value_and_grad(objective))
            if hess is None and hessp is None and name in _WITH_HESSIAN:
                hess = _plain(jit(hessian(objective)))
            elif hess is None and hessp is None and name in _WITH_PRODUCTS:
                product = jit(lambda x, v: hvp(objective, (x,), (v,)))
                hessp = lambda x, v, *_: np.asarray(product(x, np.asarray(v, x.dtype)))

            def with_gradient(x: Any, *_: Any) -> tuple[float, np.ndarray]:
                value, gradient = both(x)
                return float(value), np.asarray(gradient, np.float64)

            called, jac = with_gradient, True
    return optimize.minimize(
        called, np.asarray(x0), args, method, jac, hess, hessp, bounds, constraints, tol, callback, options
    )


def _plain(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """A compiled function of `x` as SciPy calls it: with the user's `args`, which it has already."""
    return lambda x, *_: np.asarray(function(x))


def _with_jacobians(constraints: Any, method: str | None) -> Any:
    """SciPy's constraints with compiled Jacobians where they have none, and Hessians where the method takes them."""
    optimize = scipys()

    if not isinstance(constraints, (list, tuple)):
        return _with_jacobians([constraints], method)[0]
    found = []
    for c in constraints:
        if isinstance(c, dict) and "fun" in c and "jac" not in c:
            of_x = lambda x, c=c: fnp.atleast_1d(c["fun"](x, *c.get("args", ())))
            c = {**c, "jac": _plain(jit(jacobian(of_x)))}
        elif isinstance(c, optimize.NonlinearConstraint) and isinstance(c.jac, str) and c.jac == "2-point":
            of_x = lambda x, c=c: fnp.atleast_1d(c.fun(x))
            second = c.hess
            if method == "trust-constr" and isinstance(second, optimize.BFGS):
                product = jit(hessian(lambda x, v, f=of_x: fnp.dot(v, f(x))))
                second = lambda x, v, product=product: np.asarray(product(x, v))
            c = optimize.NonlinearConstraint(
                c.fun, c.lb, c.ub, _plain(jit(jacobian(of_x))), second, c.keep_feasible, c.finite_diff_rel_step
            )
        found.append(c)
    return found
