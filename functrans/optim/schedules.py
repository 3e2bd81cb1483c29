"""Schedules: functions from the number of a step, counted from 0, to a learning rate (or any other number).

A step may be a Python integer, an integer array of any shape, or traced; the result is a float64 array of its shape.
Names and formulas are those of Optax.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError

__all__ = [
    "constant_schedule", "cosine_decay_schedule", "cosine_onecycle_schedule", "exponential_decay", "join_schedules",
    "linear_onecycle_schedule", "linear_schedule", "piecewise_constant_schedule", "polynomial_schedule",
    "sgdr_schedule", "step_decay", "warmup_constant_schedule", "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]  # fmt: skip

Schedule = Callable[[Any], Any]


def constant_schedule(value: float) -> Schedule:
    """`value` at every step.

    >>> import functrans as ft
    >>> ft.optim.constant_schedule(0.1)(7)
    Array(0.1)
    """
    return lambda count: fnp.full(aval_of(count).shape, value, np.float64)


def linear_schedule(init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """From `init_value` to `end_value` on a line, `transition_steps` long from step `transition_begin`.

    Raises:
        ArgumentError: `transition_steps` is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.linear_schedule(1.0, 0.0, 4)(np.arange(6))
    Array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def polynomial_schedule(
    init_value: float, end_value: float, power: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """`end + (init - end) (1 - t)^power`, where `t` goes from 0 to 1 in `transition_steps` from `transition_begin`.

    Raises:
        ArgumentError: `transition_steps` is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.polynomial_schedule(1.0, 0.0, 2, 4)(np.arange(6))
    Array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    _check_positive("polynomial_schedule", transition_steps=transition_steps)

    def schedule(count: Any) -> Any:
        left = 1 - fnp.clip(_steps(count) - transition_begin, 0.0, transition_steps) / transition_steps
        return (init_value - end_value) * left**power + end_value

    return schedule


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """`init decay_rate^((step - begin) / transition_steps)`.

    Args:
        init_value: the value up to step `transition_begin`.
        transition_steps: in how many steps the value is multiplied by `decay_rate`.
        decay_rate: a positive factor.
        transition_begin: where the decay begins.
        staircase: jump every `transition_steps`, and stay in between.
        end_value: where the decay (or, for a rate above 1, the growth) stops.

    Raises:
        ArgumentError: `transition_steps` or `decay_rate` is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.exponential_decay(1.0, 2, 0.25)(np.arange(4))
    Array([1.   , 0.5  , 0.25 , 0.125])
    """
    _check_positive("exponential_decay", transition_steps=transition_steps, decay_rate=decay_rate)

    def schedule(count: Any) -> Any:
        exponent = fnp.maximum(_steps(count) - transition_begin, 0.0) / transition_steps
        value = init_value * decay_rate ** (fnp.floor(exponent) if staircase else exponent)
        if end_value is None:
            return value
        return fnp.maximum(value, end_value) if decay_rate < 1 else fnp.minimum(value, end_value)

    return schedule


def step_decay(init_value: float, step_size: int, decay_rate: float = 0.1) -> Schedule:
    """`init_value` multiplied by `decay_rate` every `step_size` steps.

    Raises:
        ArgumentError: `step_size` or `decay_rate` is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.step_decay(1.0, 2, 0.5)(np.arange(6))
    Array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """
    _check_positive("step_decay", step_size=step_size, decay_rate=decay_rate)
    return exponential_decay(init_value, step_size, decay_rate, staircase=True)


def piecewise_constant_schedule(init_value: float, boundaries_and_scales: Mapping[int, float]) -> Schedule:
    """`init_value`, from each boundary on multiplied by the scale that belongs to it.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.1})(np.arange(6))
    Array([1.  , 1.  , 0.5 , 0.5 , 0.05, 0.05])
    """
    boundaries = sorted(boundaries_and_scales)

    def schedule(count: Any) -> Any:
        count = _steps(count)
        value = fnp.full(aval_of(count).shape, init_value, np.float64)
        for boundary in boundaries:
            value = fnp.where(count >= boundary, value * boundaries_and_scales[boundary], value)
        return value

    return schedule


def cosine_decay_schedule(init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0) -> Schedule:
    """Half a period of a cosine, from `init_value` down to `alpha init_value` in `decay_steps`.

    The value is `init ((1 - alpha) ((1 + cos(pi t)) / 2)^exponent + alpha)` with `t` going from 0 to 1.

    Raises:
        ArgumentError: `decay_steps` is not positive.

    Source: I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.cosine_decay_schedule(1.0, 4)(np.arange(6))
    Array([1.        , 0.85355339, 0.5       , 0.14644661, 0.        , 0.        ])
    """
    _check_positive("cosine_decay_schedule", decay_steps=decay_steps)

    def schedule(count: Any) -> Any:
        cosine = 0.5 * (1 + fnp.cos(math.pi * fnp.clip(_steps(count), 0.0, decay_steps) / decay_steps))
        return init_value * ((1 - alpha) * cosine**exponent + alpha)

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """One schedule after the other: each counts its steps from the boundary at which it begins.

    Args:
        schedules: at least one.
        boundaries: for each schedule but the first the step at which it begins, in increasing order.

    Raises:
        ArgumentError: not one boundary fewer than schedules, or boundaries out of order.

    >>> import functrans as ft, numpy as np
    >>> up, down = ft.optim.linear_schedule(0.0, 1.0, 2), ft.optim.linear_schedule(1.0, 0.0, 4)
    >>> ft.optim.join_schedules([up, down], [2])(np.arange(7))
    Array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    if len(boundaries) != len(schedules) - 1 or list(boundaries) != sorted(boundaries):
        raise ArgumentError(
            "join_schedules takes increasing boundaries, one fewer than schedules, "
            f"got {list(boundaries)} for {len(schedules)} schedules"
        )

    def schedule(count: Any) -> Any:
        count = fnp.asarray(count)
        value = schedules[0](count)
        for boundary, following in zip(boundaries, schedules[1:]):
            value = fnp.where(count < boundary, value, following(count - boundary))
        return value

    return schedule


def warmup_constant_schedule(init_value: float, peak_value: float, warmup_steps: int) -> Schedule:
    """From `init_value` to `peak_value` on a line in `warmup_steps`, and `peak_value` from there on.

    Source: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.

    Raises:
        ArgumentError: `warmup_steps` is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.warmup_constant_schedule(0.0, 1.0, 2)(np.arange(4))
    Array([0. , 0.5, 1. , 1. ])
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """A line from `init_value` to `peak_value`, then half a period of a cosine down to `end_value`.

    Args:
        init_value: where the line begins.
        peak_value: where it ends, after `warmup_steps`; not 0.
        warmup_steps: the length of the line.
        decay_steps: the length of all, the line included; more than `warmup_steps`.
        end_value: the value from `decay_steps` on.
        exponent: a power of the cosine, as for `cosine_decay_schedule`.

    Raises:
        ArgumentError: `warmup_steps` or what remains for the cosine is not positive.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.warmup_cosine_decay_schedule(0.0, 1.0, 2, 6)(np.arange(7))
    Array([0.        , 0.5       , 1.        , 0.85355339, 0.5       ,
           0.14644661, 0.        ])
    """
    if not 0 < warmup_steps < decay_steps:
        raise ArgumentError(
            "warmup_cosine_decay_schedule takes 0 < warmup_steps < decay_steps (which counts the warmup), "
            f"got {warmup_steps} and {decay_steps}"
        )
    alpha = 0.0 if peak_value == 0 else end_value / peak_value
    decay = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return join_schedules([linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])


def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """A line from `init_value` to `peak_value` in `warmup_steps`, then the `exponential_decay` of the other arguments.

    Raises:
        ArgumentError: `warmup_steps` is not positive, or as `exponential_decay`.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.warmup_exponential_decay_schedule(0.0, 1.0, 2, transition_steps=1, decay_rate=0.5)(np.arange(5))
    Array([0.  , 0.5 , 1.  , 0.5 , 0.25])
    """
    decay = exponential_decay(
        peak_value, transition_steps, decay_rate, transition_begin, staircase=staircase, end_value=end_value
    )
    return join_schedules([linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Warm restarts: several schedules `warmup_cosine_decay_schedule`, one after the other.

    Args:
        cosine_kwargs: the arguments of each; `decay_steps` is its length.

    Raises:
        ArgumentError: there is none, or as `warmup_cosine_decay_schedule`.

    Source: I. Loshchilov and F. Hutter, "SGDR: Stochastic gradient descent with warm restarts", ICLR 2017.

    >>> import functrans as ft, numpy as np
    >>> cycle = {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 1, "decay_steps": 3}
    >>> ft.optim.sgdr_schedule([cycle, {**cycle, "peak_value": 0.5}])(np.arange(7))
    Array([0.  , 1.  , 0.5 , 0.  , 0.5 , 0.25, 0.  ])
    """
    cycles = list(cosine_kwargs)
    if not cycles:
        raise ArgumentError("sgdr_schedule takes the arguments of one cycle at least")
    ends = list(itertools.accumulate(cycle["decay_steps"] for cycle in cycles))
    return join_schedules([warmup_cosine_decay_schedule(**cycle) for cycle in cycles], ends[:-1])


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to a peak and down again on lines, then on a third line to a far smaller value.

    Args:
        transition_steps: the length of the cycle.
        peak_value: the highest value.
        pct_start: at which part of the cycle the peak stands.
        pct_final: at which part the value is again what it was at the beginning.
        div_factor: the first value is `peak_value / div_factor`.
        final_div_factor: the last value is the first divided by this.

    Raises:
        ArgumentError: not `0 < pct_start < pct_final < 1`, or too few steps to tell them apart.

    Source: L. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning
    rates", 2017.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.linear_onecycle_schedule(20, 1.0, 0.2, 0.8, 10.0, 10.0)(np.array([0, 2, 4, 10, 16, 20]))
    Array([0.1 , 0.55, 1.  , 0.55, 0.1 , 0.01])
    """
    low = peak_value / div_factor
    steps = [0, int(pct_start * transition_steps), int(pct_final * transition_steps), transition_steps]
    return _interpolated("linear_onecycle_schedule", steps, [low, peak_value, low, low / final_div_factor], _line)


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Up to a peak and down again, each by half a period of a cosine.

    Args:
        transition_steps: the length of the cycle.
        peak_value: the highest value.
        pct_start: at which part of the cycle the peak stands.
        div_factor: the first value is `peak_value / div_factor`.
        final_div_factor: the last value is the first divided by this.

    Raises:
        ArgumentError: not `0 < pct_start < 1`, or too few steps.

    Source: as for `linear_onecycle_schedule`.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.cosine_onecycle_schedule(10, 1.0, 0.4, 10.0, 10.0)(np.array([0, 2, 4, 7, 10]))
    Array([0.1  , 0.55 , 1.   , 0.505, 0.01 ])
    """
    low = peak_value / div_factor
    steps = [0, int(pct_start * transition_steps), transition_steps]
    return _interpolated("cosine_onecycle_schedule", steps, [low, peak_value, low / final_div_factor], _cosine)


def _interpolated(what: str, steps: list[int], values: list[float], path: Callable[[Any], Any]) -> Schedule:
    """Through given values at given steps; `path` leads from 0 to 1 as its argument does."""
    if any(a >= b for a, b in zip(steps, steps[1:])):
        raise ArgumentError(f"{what}: its phases need a step or more each, but they begin and end at the steps {steps}")

    def schedule(count: Any) -> Any:
        count = _steps(count)
        value = fnp.full(aval_of(count).shape, values[0], np.float64)
        for start, end, before, after in zip(steps, steps[1:], values, values[1:]):
            reached = path(fnp.clip((count - start) / (end - start), 0.0, 1.0))
            value = fnp.where(count > start, before + (after - before) * reached, value)
        return value

    return schedule


def _line(t: Any) -> Any:
    return t


def _cosine(t: Any) -> Any:
    return 0.5 * (1 - fnp.cos(math.pi * t))


def _steps(count: Any) -> Any:
    return fnp.asarray(count).astype(np.float64)


def _check_positive(what: str, **numbers: float) -> None:
    for name, number in numbers.items():
        if not number > 0:
            raise ArgumentError(f"{what} takes a positive {name}, got {number}")
