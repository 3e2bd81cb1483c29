"""A search along a line for the strong Wolfe conditions; `functrans.optim` has it as a transformation.

From a first length on the step grows until a minimum along the line lies behind, then the interval is narrowed by the
minima of cubics (J. Nocedal and S. Wright, "Numerical Optimization", 2nd ed., 2006, algorithms 3.5 and 3.6). Near the
minimum, where values no longer tell, slopes decide (W. Hager and H. Zhang, "A new conjugate gradient method with
guaranteed descent and an efficient line search", SIAM Journal on Optimization 16, 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.tree import map as tree_map


class Point(NamedTuple):
    """A length `t`, the objective there, and its slope along the line: float64 scalars."""

    t: Any
    value: Any
    slope: Any


class Search(NamedTuple):
    """The state of the search: `low` is the best point so far, `high` (infinite at first) the other end.

    `count` evaluations were made, `done` says whether the conditions hold, `t` is where to look next, and `grad` is
    what `at` gave beside value and slope at `low`.
    """

    count: Any
    done: Any
    t: Any
    low: Point
    high: Point
    grad: Any


def zoom(
    at: Callable[[Any], tuple[Any, Any, Any]],
    value: Any,
    slope: Any,
    grad: Any,
    first: Any = 1.0,
    *,
    max_steps: int = 20,
    max_length: float = np.inf,
    increase: float = 2.0,
    slope_rtol: float = 1e-4,
    curv_rtol: float = 0.9,
    approx_dec_rtol: float = 1e-6,
) -> Search:
    """The search from a point with this value and slope along the line, and this gradient (a pytree).

    `at(t)` gives the three at the length `t`. If no length lowers the objective enough, `low.t` stays 0.
    """

    def try_next(s: Search) -> Search:
        trial_value, trial_slope, trial_grad = at(s.t)
        trial = Point(s.t, trial_value, trial_slope)
        lower = (trial.value <= value + slope_rtol * s.t * slope) & (trial.value < s.low.value)
        rounding = trial.value <= value + approx_dec_rtol * fnp.abs(value)
        good = (lower | (rounding & (trial.slope <= (2 * slope_rtol - 1) * slope))) & fnp.isfinite(trial.slope)
        accepted = good & (fnp.abs(trial.slope) <= -curv_rtol * slope)
        behind = fnp.where(trial.slope > 0, s.high.t > s.low.t, s.high.t < s.low.t)
        high = _choose(good, _choose(behind, s.low, s.high), trial)
        low = _choose(good, trial, s.low)
        at_end = good & ~fnp.isfinite(high.t) & (s.t >= max_length)
        longer = fnp.minimum(increase * s.t, max_length)
        t = fnp.where(fnp.isfinite(high.t), _between(low, high), longer)
        kept = tree_map(lambda new, old: fnp.where(good, new, old), trial_grad, s.grad)
        return Search(s.count + 1, accepted | at_end, t, low, high, kept)

    zero, infinite = fnp.zeros(()), fnp.full((), np.inf)
    search = Search(
        fnp.zeros((), np.int64),
        ~(slope < 0),
        fnp.minimum(fnp.ones(()) * first, max_length),
        Point(zero, value, slope),
        Point(infinite, infinite, zero),
        grad,
    )
    return lax.while_loop(lambda s: ~s.done & (s.count < max_steps), try_next, search)


def _between(a: Point, b: Point) -> Any:
    """Where the cubic with these values and slopes has its minimum (3.59), kept away from both ends."""
    usable = fnp.isfinite(b.t) & fnp.isfinite(b.value) & fnp.isfinite(b.slope)
    b = _choose(usable, b, Point(fnp.where(fnp.isfinite(b.t), b.t, a.t + 1), a.value, -a.slope))
    width = b.t - a.t
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / width
    d2 = fnp.sign(width) * fnp.sqrt(fnp.maximum(d1 * d1 - a.slope * b.slope, 0.0))
    bottom = b.slope - a.slope + 2 * d2
    part = 1 - (b.slope + d2 - d1) / fnp.where(bottom == 0, 1.0, bottom)
    return a.t + fnp.where(usable & (bottom != 0), fnp.clip(part, 0.1, 0.9), 0.5) * width


def _choose(condition: Any, a: Point, b: Point) -> Point:
    return Point(*(fnp.where(condition, x, y) for x, y in zip(a, b)))
