"""Least squares, curves through data, and assignments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import jacobian, jit, stop_gradient
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, float_info
from functrans.core.pytree import leaves
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.callbacks import pure_callback
from functrans.numpy.dispatch import has_tracer, wrap_result
from functrans.scipy.optimize.derivatives import floats, scipys, solve_symmetric, tuple_of, wrapped


class LeastSquaresResult(NamedTuple):
    """What `least_squares` of traced values returns; fields as in SciPy.

    Attributes:
        x: the minimiser, `(n,)`; it has derivatives, and so have
        cost: half the sum of squares, `fun`: the residuals, `(m,)`, and `jac`: their Jacobian, `(m, n)`, there.
        grad: the gradient of the cost there, `(n,)`; optimality: the largest of its elements.
        nfev, njev: evaluations of the residuals and of their Jacobian.
        status: 1 where the gradient, 2 where the fall of the cost, 3 where the step is small; else 0.
        success: whether the status is above 0.

    >>> import functrans as ft, numpy as np
    >>> solve = lambda a: ft.scipy.optimize.least_squares(lambda x: x - a, np.zeros(2))
    >>> ft.eval_shape(solve, np.ones(2)).x
    ShapeDtypeStruct(shape=(2,), dtype=float64)
    """

    x: Any
    cost: Any
    fun: Any
    jac: Any
    grad: Any
    optimality: Any
    nfev: Any
    njev: Any
    status: Any
    success: Any


def _levenberg_marquardt(f: Any, x0: Any, tolerances: Sequence[float], max_nfev: int) -> Any:
    """Steps of Gauss and Newton, damped along the diagonal as far as the cost would rise.

    J. Moré, "The Levenberg-Marquardt algorithm: implementation and theory" (1978); the damping follows H. Nielsen,
    "Damping parameter in Marquardt's method" (1999).
    """
    ftol, xtol, gtol = tolerances
    dtype = aval_of(x0).dtype
    tiny = float_info(dtype).tiny
    jacobian_of = jacobian(f)

    def step(state: Any) -> Any:
        x, r, jac, scale, damping, growth, nfev, njev, _ = state
        g = fnp.matmul(jac.T, r)
        normal = fnp.matmul(jac.T, jac)
        scale = fnp.maximum(scale, fnp.diagonal(normal))
        weights = fnp.where(scale > 0, scale, 1)
        move = -fnp.linalg.solve(normal + damping * fnp.diag(weights), g)
        new = x + move
        found = f(new)
        cost, reached = fnp.dot(r, r), fnp.dot(found, found)
        promised = fnp.dot(move, damping * weights * move - g)
        gain = (cost - reached) / fnp.maximum(promised, tiny)
        better = (reached < cost) & fnp.all(fnp.isfinite(found))
        # a small step or fall ends the search, of whichever size the damping is
        short = fnp.linalg.norm(move) <= xtol * (xtol + fnp.linalg.norm(x))
        flat = (fnp.abs(cost - reached) <= ftol * cost) & (promised <= 2 * ftol * cost)
        steep = 2 * gain - 1
        damping = fnp.where(better, damping * fnp.maximum(1 / 3, 1 - steep * steep * steep), damping * growth)
        growth = fnp.where(better, 2.0, 2 * growth).astype(dtype)
        x, r = fnp.where(better, new, x), fnp.where(better, found, r)
        jac = lax.cond(better, lambda: jacobian_of(x), lambda: jac)
        status = fnp.where(
            fnp.max(fnp.abs(fnp.matmul(jac.T, r)), initial=0) <= gtol, 1, fnp.where(flat, 2, fnp.where(short, 3, 0))
        )
        return x, r, jac, scale, damping.astype(dtype), growth, nfev + 1, njev + better, status

    r, jac = f(x0), jacobian_of(x0)
    normal = fnp.sum(jac * jac, axis=0)
    small = fnp.max(fnp.abs(fnp.matmul(jac.T, r)), initial=0) <= gtol
    one = fnp.ones((), np.int64)
    start = (
        x0, r, jac, normal, fnp.full((), 1e-3, dtype), fnp.full((), 2.0, dtype), one, one, fnp.where(small, 1, 0),
    )  # fmt: skip
    return lax.while_loop(lambda s: (s[8] == 0) & (s[6] < max_nfev), step, start)


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = (-np.inf, np.inf),
    method: str = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    *,
    max_nfev: int | None = None,
    args: Any = (),
    kwargs: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Minimise half the sum of squares of a function from vectors to vectors, as `scipy.optimize.least_squares`.

    On plain values SciPy's own solver, with a compiled Jacobian unless `jac` is given. Traced, the method of Levenberg
    and Marquardt as a compiled loop, without bounds and with squares as loss; the minimiser has derivatives of any
    order by `args`, `kwargs` and captured values.

    Args:
        fun: `fun(x, *args, **kwargs)` gives the residuals, `(m,)`.
        x0: where to start, `(n,)` or a scalar.
        jac: a function, or `"2-point"`, `"3-point"`, `"cs"`, in place of the compiled Jacobian.
        bounds, method, options: SciPy's.
        ftol, xtol, gtol: relative fall of the cost, relative step, and gradient at which the search ends, or `None`.
        max_nfev: the most evaluations; traced, 100 for each unknown by default.
        args, kwargs: further arguments.

    Returns:
        SciPy's `OptimizeResult`, or for traced values `LeastSquaresResult`.

    >>> import functrans as ft, numpy as np
    >>> t = np.arange(5.0)
    >>> residuals = lambda p, y: p[0] * np.exp(-p[1] * t) - y
    >>> fit = lambda y: ft.scipy.optimize.least_squares(residuals, np.ones(2), args=(y,)).x
    >>> y = 2.0 * np.exp(-0.5 * t)
    >>> fit(y), ft.jit(fit)(y), ft.jacobian(fit)(y).shape
    (Array([2. , 0.5]), Array([2. , 0.5]), (2, 5))
    """
    args, kwargs = tuple_of(args), kwargs or {}
    start = floats("least_squares", x0)
    start = start[None] if aval_of(start).ndim == 0 else start
    if aval_of(start).ndim != 1:
        raise ShapeError(f"least_squares takes x0 of one dimension, got shape {aval_of(start).shape}")
    of_x = lambda x: fnp.atleast_1d(fun(x, *args, **kwargs))
    first = fun(start, *args, **kwargs)
    if not has_tracer([start, first, *leaves((args, kwargs))]):
        optimize = scipys()

        if jac is None:
            compiled = jit(jacobian(of_x))
            jac = lambda x, *_, **__: np.asarray(compiled(x))
        if max_nfev is not None:
            options["max_nfev"] = max_nfev
        found = optimize.least_squares(
            lambda x, *a, **k: np.asarray(fun(x, *a, **k)), np.asarray(start), jac, bounds, method, ftol, xtol, gtol,
            args=args, kwargs=kwargs, **options,
        )  # fmt: skip
        return wrapped(found)
    unbounded = isinstance(bounds, tuple) and len(bounds) == 2 and bounds == (-np.inf, np.inf)
    if not unbounded or options or jac is not None:
        given = ["bounds"] * (not unbounded) + ["jac"] * (jac is not None) + list(options)
        raise ArgumentError(f"least_squares of traced values does not take {', '.join(given)}")
    if aval_of(fnp.asarray(first)).ndim > 1:
        raise ShapeError(f"least_squares takes residuals of one dimension, got shape {aval_of(first).shape}")
    dtype = aval_of(start).dtype
    residuals = lambda x: of_x(x).astype(dtype)
    limit = 100 * aval_of(start).size if max_nfev is None else int(max_nfev)
    least = float(float_info(dtype).eps)
    tolerances = [-1.0 if t is None else max(least, t) for t in (ftol, xtol, gtol)]

    def solve(_: Any, x: Any) -> Any:
        found = _levenberg_marquardt(residuals, x, tolerances, limit)
        return found[0], (found[6], found[7], found[8])

    def gradient(x: Any) -> Any:
        return fnp.matmul(jacobian(residuals)(x).T, residuals(x))

    x, (nfev, njev, status) = lax.custom_root(gradient, start, solve, solve_symmetric, has_aux=True)
    r, matrix = residuals(x), jacobian(residuals)(x)
    g = fnp.matmul(matrix.T, r)
    return LeastSquaresResult(x, fnp.dot(r, r) / 2, r, matrix, g, fnp.max(fnp.abs(g)), nfev, njev, status, status > 0)


def curve_fit(
    f: Callable[..., Any],
    xdata: Any,
    ydata: Any,
    p0: Any = None,
    sigma: Any = None,
    absolute_sigma: bool = False,
    check_finite: bool | None = None,
    bounds: Any = (-np.inf, np.inf),
    method: str | None = None,
    jac: Any = None,
    **options: Any,
) -> Any:
    """Fit the parameters of a function to data by least squares, as `scipy.optimize.curve_fit`.

    On plain values SciPy's own, with a compiled Jacobian unless `jac` is given. Traced (data, start, errors, captured
    values), `least_squares` here; then parameters and covariance have derivatives.

    Args:
        f: `f(xdata, *params)` gives values for `ydata`.
        xdata, ydata: the data.
        p0: parameters to start from; ones by default.
        sigma: standard errors of `ydata`, `(m,)`, or their covariance, `(m, m)`.
        absolute_sigma: whether `sigma` is absolute, or relative.
        jac: a function, or `"2-point"`, `"3-point"`, `"cs"`, in place of the compiled Jacobian.
        check_finite, bounds, method, options: SciPy's; not for traced values.

    Returns:
        `(params, covariance)`, and more with `full_output=True` in `options`.

    >>> import functrans as ft, numpy as np
    >>> t = np.arange(5.0)
    >>> ft.scipy.optimize.curve_fit(lambda t, a, b: a * np.exp(-b * t), t, 2.0 * np.exp(-0.5 * t))[0]
    Array([2. , 0.5])
    """
    count = _parameters(f) if p0 is None else aval_of(fnp.atleast_1d(p0)).size
    traced = has_tracer(leaves((xdata, ydata, p0, sigma)))
    if isinstance(xdata, (list, tuple)):
        xdata = fnp.asarray(xdata)
    if not traced and not isinstance(f(xdata, *([1.0] * count if p0 is None else np.ravel(p0))), Tracer):
        optimize = scipys()

        if jac is None:
            compiled = jit(jacobian(lambda p: fnp.ravel(f(xdata, *(p[i] for i in range(count))))))
            jac = lambda x, *p: np.asarray(compiled(np.array(p, np.float64)))
        return wrap_result(
            optimize.curve_fit(f, xdata, ydata, p0, sigma, absolute_sigma, check_finite, bounds, method, jac, **options)
        )
    unbounded = isinstance(bounds, tuple) and len(bounds) == 2 and bounds == (-np.inf, np.inf)
    if not unbounded or jac is not None or method not in (None, "lm"):
        raise ArgumentError("curve_fit of traced values takes neither bounds nor jac, and method='lm'")
    extra = set(options) - {"ftol", "xtol", "gtol", "max_nfev"}
    if extra:
        raise ArgumentError(f"curve_fit of traced values does not take {', '.join(sorted(extra))}")
    y = floats("curve_fit", ydata)
    start = floats("curve_fit", np.ones(count, aval_of(y).dtype) if p0 is None else p0)
    start = fnp.atleast_1d(start)
    errors = None if sigma is None else floats("curve_fit", sigma)

    def residuals(p: Any) -> Any:
        found = fnp.ravel(f(xdata, *(p[i] for i in range(count))) - y)
        if errors is None:
            return found
        if aval_of(errors).ndim == 2:
            return lax.linalg.triangular_solve(fnp.linalg.cholesky(errors), found[:, None], left_side=True, lower=True)[
                :, 0
            ]
        return found / fnp.ravel(errors)

    found = least_squares(residuals, start, **options)
    covariance = fnp.linalg.inv(fnp.matmul(found.jac.T, found.jac))
    m = aval_of(found.fun).size
    if not absolute_sigma:
        covariance = covariance * (2 * found.cost / (m - count) if m > count else np.inf)
    return found.x, covariance


def _parameters(f: Callable[..., Any]) -> int:
    """How many parameters a function has beside its first argument."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        found = [p for p in inspect.signature(f).parameters.values() if p.kind in kinds]
    except (TypeError, ValueError):
        found = []
    if len(found) < 2:
        raise ArgumentError("curve_fit cannot tell how many parameters the function has: give p0")
    return len(found) - 1


def linear_sum_assignment(cost_matrix: Any, maximize: bool = False) -> tuple[Any, Any]:
    """The assignment of rows to columns of least total cost, as `scipy.optimize.linear_sum_assignment`.

    SciPy's own, also inside compiled programs, which call it. The indices have no derivative; that of the total,
    `cost_matrix[rows, columns].sum()`, is that of the entries chosen.

    Args:
        cost_matrix: `(m, n)`.
        maximize: whether to look for the largest total.

    Returns:
        `(rows, columns)`, each of `min(m, n)` indices; the rows are sorted.

    >>> import functrans as ft, numpy as np
    >>> cost = np.array([[4.0, 1.0], [2.0, 3.0]])
    >>> ft.grad(lambda c: np.sum(c[ft.scipy.optimize.linear_sum_assignment(c)]))(cost)
    Array([[0., 1.],
           [1., 0.]])
    """
    cost = fnp.asarray(cost_matrix)
    if aval_of(cost).ndim != 2:
        raise ShapeError(f"linear_sum_assignment takes a matrix of costs, got shape {aval_of(cost).shape}")

    def assigned(cost: Any) -> tuple[np.ndarray, np.ndarray]:
        optimize = scipys()

        rows, columns = optimize.linear_sum_assignment(np.asarray(cost), maximize)
        return rows.astype(np.int64), columns.astype(np.int64)

    if not isinstance(cost, Tracer):
        rows, columns = assigned(cost)
        return wrap(rows), wrap(columns)
    out = ShapedArray((min(aval_of(cost).shape),), np.dtype(np.int64))
    return pure_callback(assigned, (out, out), stop_gradient(cost), vmap_method="sequential")
