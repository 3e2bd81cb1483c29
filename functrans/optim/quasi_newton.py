"""L-BFGS and line searches.

A line search is a transformation too: it scales a direction of descent. It looks at the objective along the line, so
its `update` takes `value`, `grad` and `value_fn` beside the parameters. Sources: J. Nocedal and S. Wright, "Numerical
Optimization" (2nd ed., 2006), algorithms 3.1, 3.5, 3.6 and 7.4; names are those of Optax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api.differentiation import value_and_grad
from functrans.core.avals import aval_of
from functrans.core.pytree import leaves
from functrans.errors import ArgumentError
from functrans.flatten_util import ravel_pytree
from functrans.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    ScalarOrSchedule,
    chain,
    each,
    identity,
    like,
    needed,
    zeros_like,
)
from functrans.optim.scaling import scale_by_learning_rate
from functrans.scipy.optimize.linesearch import zoom
from functrans.scipy.optimize.memory import Memory, empty, inverse_hessian_times, remember

__all__ = [
    "ScaleByBacktrackingLinesearchState", "ScaleByLBFGSState", "ScaleByZoomLinesearchState", "lbfgs",
    "scale_by_backtracking_linesearch", "scale_by_lbfgs", "scale_by_zoom_linesearch", "value_and_grad_from_state",
]  # fmt: skip


# ---------------------------------------------------------------- the direction


class ScaleByLBFGSState(NamedTuple):
    """The state of `scale_by_lbfgs`; parameters and gradients are vectors here, of `n` elements.

    Attributes:
        count: the number of steps so far.
        params, updates: the parameters and the gradient of the last step, `(n,)`.
        diff_params, diff_updates: differences of the last steps, `(memory_size, n)`, the newest last.
        weights: 1 over the inner products of their rows, `(memory_size,)`; 0 for rows not yet filled.

    >>> import functrans as ft, numpy as np
    >>> isinstance(ft.optim.scale_by_lbfgs().init(np.zeros(2)), ft.optim.ScaleByLBFGSState)
    True
    """

    count: Any
    params: Any
    updates: Any
    diff_params: Any
    diff_updates: Any
    weights: Any


def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> GradientTransformation:
    """The gradient times an estimate of the inverse Hessian from the last steps (Nocedal and Wright, algorithm 7.4).

    Args:
        memory_size: how many steps to remember.
        scale_init_precond: whether the estimate begins with a multiple of the identity that fits the last step (7.20),
            at the first step one that makes the direction no longer than 1; else with the identity.

    Differences along which the gradient does not grow, which no convex function has, are left out; so the direction is
    always one of descent.

    Raises:
        ArgumentError: `memory_size` is below 1, or `update` is called without the parameters.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_lbfgs()
    >>> state = scaling.init(np.zeros(2))
    >>> scaling.update(np.array([3.0, 4.0]), state, np.zeros(2))[0]
    Array([0.6, 0.8])
    """
    if memory_size < 1:
        raise ArgumentError(f"scale_by_lbfgs remembers 1 or more steps, got memory_size={memory_size}")
    name = "scale_by_lbfgs"

    def init(params: Any) -> Any:
        zeros, _ = ravel_pytree(zeros_like(name, params))
        memory = empty(memory_size, aval_of(zeros).size, aval_of(zeros).dtype)
        return ScaleByLBFGSState(fnp.zeros((), np.int64), zeros, zeros, *memory)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        x, _ = ravel_pytree(needed(name, params))
        g, unravel = ravel_pytree(updates)
        g = like(g, state.updates)
        s, y = like(x, g) - state.params, g - state.updates
        memory = remember(Memory(state.diff_params, state.diff_updates, state.weights), s, y, state.count > 0)
        r = inverse_hessian_times(g, memory, scale_init_precond)
        return unravel(r), ScaleByLBFGSState(state.count + 1, like(x, g), g, *memory)

    return GradientTransformation(init, update)


# ---------------------------------------------------------------- the length


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """`learning_rate`: the last factor tried; `value`: the objective there, infinite before the first step.

    >>> import functrans as ft, numpy as np
    >>> search = ft.optim.scale_by_backtracking_linesearch(max_backtracking_steps=5)
    >>> search.init(np.zeros(1)).learning_rate
    Array(0.66666667)
    """

    learning_rate: Any
    value: Any


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int = 30,
    slope_rtol: float = 1e-4,
    decrease_factor: float = 0.8,
    increase_factor: float = 1.5,
    max_learning_rate: float = 1.0,
) -> GradientTransformationExtraArgs:
    """The direction times the first of smaller and smaller factors at which the objective has decreased enough.

    Enough (Armijo): to `value + slope_rtol t slope` at the factor `t`, where `slope` is the derivative along the line.

    Args:
        max_backtracking_steps: factors to try. If none will do, the updates are zeros.
        slope_rtol: which part of what the slope promises is enough.
        decrease_factor: between a factor and the next.
        increase_factor: the first factor is the last of the step before times this,
        max_learning_rate: and at most this.

    `update(updates, state, params, value=, grad=, value_fn=)` takes the objective and its gradient at `params`, and the
    objective as a function of the parameters.

    Raises:
        ArgumentError: factors that do not decrease or increase; `update` without one of its arguments.

    >>> import functrans as ft, numpy as np
    >>> objective = lambda p: np.sum(p**2)
    >>> descent = ft.optim.chain(ft.optim.sgd(1.0), ft.optim.scale_by_backtracking_linesearch())
    >>> params = np.array([1.0, -2.0])
    >>> state = descent.init(params)
    >>> for _ in range(50):
    ...     value, grad = ft.value_and_grad(objective)(params)
    ...     updates, state = descent.update(grad, state, params, value=value, grad=grad, value_fn=objective)
    ...     params = ft.optim.apply_updates(params, updates)
    >>> bool(objective(params) < 1e-12)
    True
    """
    name = "scale_by_backtracking_linesearch"
    if not 0 < decrease_factor < 1 <= increase_factor:
        raise ArgumentError(f"{name} takes decrease_factor in (0, 1) and increase_factor of 1 or more")

    def init(params: Any) -> Any:
        return ScaleByBacktrackingLinesearchState(
            fnp.full((), max_learning_rate / increase_factor, np.float64), fnp.full((), np.inf)
        )

    def update(
        updates: Any, state: Any, params: Any = None, *, value: Any = None, grad: Any = None,
        value_fn: Callable[[Any], Any] | None = None, **extra: Any,
    ) -> Any:  # fmt: skip
        start, slope, function = _line(name, updates, params, value, grad, value_fn)

        def enough(t: Any, reached: Any) -> Any:
            return reached <= start + slope_rtol * t * slope

        def at(t: Any) -> Any:
            return fnp.asarray(function(_moved(params, updates, t))).astype(np.float64)

        def go_on(carry: Any) -> Any:
            count, t, reached = carry
            return (count < max_backtracking_steps) & ~enough(t, reached)

        def back(carry: Any) -> Any:
            count, t, _ = carry
            t = t * decrease_factor
            return count + 1, t, at(t)

        first = fnp.minimum(state.learning_rate * increase_factor, max_learning_rate)
        _, t, reached = lax.while_loop(go_on, back, (fnp.ones((), np.int64), first, at(first)))
        found = enough(t, reached)
        state = ScaleByBacktrackingLinesearchState(t, fnp.where(found, reached, start))
        return _scaled(name, updates, fnp.where(found, t, 0.0)), state

    return GradientTransformationExtraArgs(init, update)


class ScaleByZoomLinesearchState(NamedTuple):
    """`learning_rate`: the last factor; `value`, `grad`: the objective there (first infinite) and its gradient.

    >>> import functrans as ft, numpy as np
    >>> search = ft.optim.scale_by_zoom_linesearch(max_linesearch_steps=5)
    >>> search.init(np.zeros(1)).learning_rate
    Array(1.)
    """

    learning_rate: Any
    value: Any
    grad: Any


def scale_by_zoom_linesearch(
    max_linesearch_steps: int = 20,
    max_learning_rate: float = np.inf,
    increase_factor: float = 2.0,
    slope_rtol: float = 1e-4,
    curv_rtol: float = 0.9,
    approx_dec_rtol: float = 1e-6,
) -> GradientTransformationExtraArgs:
    """The direction times a factor with the strong Wolfe conditions: enough decrease, and a much flatter slope.

    From 1 the factor grows until a minimum along the line lies behind, then the interval is narrowed by the minima of
    cubics (Nocedal and Wright, algorithms 3.5 and 3.6). Near the minimum, where values no longer tell, slopes decide
    (W. Hager and H. Zhang, "A new conjugate gradient method with guaranteed descent and an efficient line search", SIAM
    Journal on Optimization 16, 2005).

    Args:
        max_linesearch_steps: how often to evaluate the objective and its gradient. After that the best factor is taken
            at which the objective has decreased enough; if there is none the updates are zeros.
        max_learning_rate: the largest factor.
        increase_factor: between a factor and the next, while they grow.
        slope_rtol: which part of what the slope promises is a decrease enough.
        curv_rtol: to which part of its size the slope must have fallen.
        approx_dec_rtol: relative to the objective, an increase that may be rounding.

    `update` takes what that of `scale_by_backtracking_linesearch` takes.

    Raises:
        ArgumentError: not `0 < slope_rtol < curv_rtol < 1`; `update` without one of its arguments.

    >>> import functrans as ft, numpy as np
    >>> objective = lambda p: np.sum((p - 3.0) ** 2)
    >>> descent = ft.optim.chain(ft.optim.sgd(0.01), ft.optim.scale_by_zoom_linesearch(curv_rtol=0.1))
    >>> params = np.zeros(2)
    >>> value, grad = ft.value_and_grad(objective)(params)
    >>> descent.update(grad, descent.init(params), params, value=value, grad=grad, value_fn=objective)[0]
    Array([3., 3.])
    """
    name = "scale_by_zoom_linesearch"
    if not 0 < slope_rtol < curv_rtol < 1:
        raise ArgumentError(f"{name} takes 0 < slope_rtol < curv_rtol < 1, got {slope_rtol} and {curv_rtol}")

    def init(params: Any) -> Any:
        return ScaleByZoomLinesearchState(fnp.ones(()), fnp.full((), np.inf), zeros_like(name, params))

    def update(
        updates: Any, state: Any, params: Any = None, *, value: Any = None, grad: Any = None,
        value_fn: Callable[[Any], Any] | None = None, **extra: Any,
    ) -> Any:  # fmt: skip
        start, slope, function = _line(name, updates, params, value, grad, value_fn)

        kept = lambda grad: each(name, lambda g, old: like(fnp.asarray(g), old), grad=grad, state=state.grad)

        def at(t: Any) -> tuple[Any, Any, Any]:
            reached, gradient = value_and_grad(function)(_moved(params, updates, t))
            return fnp.asarray(reached).astype(np.float64), _inner(gradient, updates), kept(gradient)

        search = zoom(
            at, start, slope, kept(grad), max_steps=max_linesearch_steps, max_length=max_learning_rate,
            increase=increase_factor, slope_rtol=slope_rtol, curv_rtol=curv_rtol, approx_dec_rtol=approx_dec_rtol,
        )  # fmt: skip
        state = ScaleByZoomLinesearchState(search.low.t, search.low.value, search.grad)
        return _scaled(name, updates, search.low.t), state

    return GradientTransformationExtraArgs(init, update)


def _line(name: str, updates: Any, params: Any, value: Any, grad: Any, value_fn: Any) -> tuple[Any, Any, Any]:
    """The objective at the parameters, its slope along the updates, and the objective as a function."""
    needed(name, params)
    if value is None or grad is None or value_fn is None:
        raise ArgumentError(
            f"{name} looks along the line: call update(updates, state, params, value=, grad=, value_fn=) with the "
            "objective and its gradient at params, and the objective as a function of params"
        )
    return fnp.asarray(value).astype(np.float64), _inner(grad, updates), value_fn


def _inner(a: Any, b: Any) -> Any:
    products = each("line search", lambda x, y: fnp.sum(x * y, dtype=np.float64), grad=a, updates=b)
    return sum(leaves(products), fnp.zeros(()))


def _moved(params: Any, updates: Any, t: Any) -> Any:
    return each("line search", lambda p, u: p + like(like(t, u) * u, p), params=params, updates=updates)


def _scaled(name: str, updates: Any, t: Any) -> Any:
    return each(name, lambda u: like(t, u) * u, updates=updates)


# ---------------------------------------------------------------- both


def value_and_grad_from_state(value_fn: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """`value_and_grad(value_fn)` that takes both from the state of a zoom line search, which has them already.

    Args:
        value_fn: the objective as a function of the parameters.

    Returns:
        `f(params, state=state)`, where `state` is that of an optimizer which holds a zoom line search, and `params` are
        the parameters to which its last updates were added (or those of `init`).

    Raises:
        ArgumentError: `state` does not hold one zoom line search.

    >>> import functrans as ft, numpy as np
    >>> objective = lambda p: np.sum((p - 1.0) ** 4)
    >>> optimizer = ft.optim.lbfgs()
    >>> params = np.zeros(3)
    >>> state = optimizer.init(params)
    >>> for _ in range(20):
    ...     value, grad = ft.optim.value_and_grad_from_state(objective)(params, state=state)
    ...     updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=objective)
    ...     params = ft.optim.apply_updates(params, updates)
    >>> bool(objective(params) < 1e-10)
    True
    """

    def value_and_gradient(params: Any, *, state: Any) -> Any:
        is_search = lambda s: isinstance(s, ScaleByZoomLinesearchState)
        found = [s for s in leaves(state, is_search) if is_search(s)]
        if len(found) != 1:
            raise ArgumentError(
                f"value_and_grad_from_state needs the state of one zoom line search, and found {len(found)}; "
                "use value_and_grad"
            )
        (search,) = found

        def known(params: Any) -> Any:
            return search.value, search.grad

        def unknown(params: Any) -> Any:
            value, grad = value_and_grad(value_fn)(params)
            return (
                fnp.asarray(value).astype(np.float64),
                each("value_and_grad_from_state", like, grad=grad, state=search.grad),
            )

        return lax.cond(fnp.isfinite(search.value), known, unknown, params)

    return value_and_gradient


_ZOOM = scale_by_zoom_linesearch()


def lbfgs(
    learning_rate: ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: GradientTransformation | None = _ZOOM,
) -> GradientTransformationExtraArgs:
    """L-BFGS: Newton's direction by an inverse Hessian estimated from the last gradients, and a line search.

    For objectives that are functions of the parameters alone; noise of batches spoils the estimate.

    Args:
        learning_rate: a factor of the direction before the search; `None` for 1.
        memory_size, scale_init_precond: as for `scale_by_lbfgs`.
        linesearch: `scale_by_zoom_linesearch()` by default, `scale_by_backtracking_linesearch()`, or `None`.

    With a line search, `update(grad, state, params, value=, grad=, value_fn=)` takes the objective and its gradient at
    `params`, and the objective as a function of the parameters.

    Source: D. Liu and J. Nocedal, "On the limited memory BFGS method for large scale optimization", Mathematical
    Programming 45 (1989).

    >>> import functrans as ft, numpy as np
    >>> rosenbrock = lambda p: 100 * (p["y"] - p["x"] ** 2) ** 2 + (1 - p["x"]) ** 2
    >>> optimizer = ft.optim.lbfgs()
    >>> @ft.jit
    ... def step(params, state):
    ...     value, grad = ft.value_and_grad(rosenbrock)(params)
    ...     updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=rosenbrock)
    ...     return ft.optim.apply_updates(params, updates), state
    >>> params = {"x": np.array(-1.2), "y": np.array(1.0)}
    >>> state = optimizer.init(params)
    >>> for _ in range(40):
    ...     params, state = step(params, state)
    >>> params
    {'x': Array(1.0000000), 'y': Array(1.0000000)}
    """
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond),
        scale_by_learning_rate(1.0 if learning_rate is None else learning_rate),
        identity() if linesearch is None else linesearch,
    )
