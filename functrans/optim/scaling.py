"""Gradient transformations, each one idea: clipping, weight decay, momentum, and the scalings of adaptive methods.

In formulas `g` is the gradient, `p` the parameters, `t` the number of the step, counted from 1; all operations go
element by element. None of them has the sign of descent: that comes with `scale_by_learning_rate`, the last of a chain.
Each state is a named tuple of arrays and of pytrees like the parameters, which must be real floats.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import is_array_like
from functrans.core.pytree import leaves
from functrans.errors import ArgumentError
from functrans.optim.base import (
    GradientTransformation,
    Mask,
    ScalarOrSchedule,
    cast_like,
    each,
    is_function,
    like,
    moving_average,
    needed,
    stateless,
    sum_of_squares,
    zeros_like,
)
from functrans.optim.wrappers import masked

__all__ = [
    "EmaState", "ScaleByAdadeltaState", "ScaleByAdamState", "ScaleByAmsgradState", "ScaleByLionState",
    "ScaleByRmsState", "ScaleByRssState", "ScaleByScheduleState", "ScaleByStddevState", "TraceState",
    "add_decayed_weights", "clip", "clip_by_global_norm", "ema", "scale", "scale_by_adadelta", "scale_by_adam",
    "scale_by_adamax", "scale_by_amsgrad", "scale_by_learning_rate", "scale_by_lion", "scale_by_radam",
    "scale_by_rms", "scale_by_rss", "scale_by_schedule", "scale_by_stddev", "scale_by_trust_ratio", "trace",
]  # fmt: skip


# ---------------------------------------------------------------- step sizes


def scale(step_size: Any) -> GradientTransformation:
    """`step_size g`.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale(-0.5).update(np.array([2.0, 4.0]), ft.optim.EmptyState())[0]
    Array([-1., -2.])
    """
    scaled = lambda g: fnp.multiply(like(step_size, g), g)
    return stateless(lambda updates, params: each("scale", scaled, updates=updates))


class ScaleByScheduleState(NamedTuple):
    """`count`: the number of steps so far.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_schedule(lambda step: 0.1).init(np.zeros(1)).count
    Array(0)
    """

    count: Any


def scale_by_schedule(step_size: Any) -> GradientTransformation:
    """`step_size(count) g`, where `count` is the number of steps before this one.

    >>> import functrans as ft, numpy as np
    >>> halves = ft.optim.scale_by_schedule(lambda count: 0.5**count)
    >>> state = halves.init(np.ones(1))
    >>> for _ in range(3):
    ...     updates, state = halves.update(np.ones(1), state)
    >>> updates
    Array([0.25])
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        size = step_size(state.count)
        updates = each("scale_by_schedule", lambda g: fnp.multiply(like(size, g), g), updates=updates)
        return updates, ScaleByScheduleState(state.count + 1)

    return GradientTransformation(lambda params: ScaleByScheduleState(_zero()), update)


def scale_by_learning_rate(learning_rate: ScalarOrSchedule) -> GradientTransformation:
    """`-learning_rate g`: the step of descent.

    Args:
        learning_rate: a number, an array, or a schedule.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_learning_rate(0.1).update(np.array([2.0, 4.0]), ft.optim.EmptyState())[0]
    Array([-0.2, -0.4])
    """
    if is_function(learning_rate):
        return scale_by_schedule(lambda count: -learning_rate(count))
    if not is_array_like(learning_rate):
        hint = "; the parameters are an argument of init and update" if leaves(learning_rate) != [learning_rate] else ""
        raise ArgumentError(f"a learning rate is a number, an array or a schedule, got {learning_rate!r:.60}{hint}")
    return scale(-learning_rate)


# ---------------------------------------------------------------- clipping and weight decay


def clip(max_delta: Any) -> GradientTransformation:
    """Each element of `g` limited to `[-max_delta, max_delta]`.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.clip(1.0).update(np.array([-3.0, 0.5]), ft.optim.EmptyState())[0]
    Array([-1. ,  0.5])
    """

    def clipped(g: Any) -> Any:
        return fnp.clip(g, like(-max_delta, g), like(max_delta, g))

    return stateless(lambda updates, params: each("clip", clipped, updates=updates))


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """All of `g` scaled down together, where need be, so that `global_norm(g)` is at most `max_norm`.

    Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.clip_by_global_norm(1.0).update({"a": np.array([3.0]), "b": np.array([4.0])}, ft.optim.EmptyState())[0]
    {'a': Array([0.6]), 'b': Array([0.8])}
    """

    def clipped(updates: Any, params: Any) -> Any:
        squares = sum_of_squares(updates)
        bound = like(max_norm, squares)
        # The root of the larger square has a derivative also where all is zero.
        factor = bound / fnp.sqrt(fnp.maximum(squares, bound * bound))
        inside = squares <= bound * bound
        return each("clip_by_global_norm", lambda g: fnp.where(inside, g, cast_like(factor, g) * g), updates=updates)

    return stateless(clipped)


def add_decayed_weights(weight_decay: Any = 0.0, mask: Mask | None = None) -> GradientTransformation:
    """`g + weight_decay p`.

    Before an adaptive scaling this is a penalty of squared weights, after it the decoupled decay of AdamW.

    Args:
        weight_decay: a number.
        mask: a pytree of booleans, a prefix of that of the parameters, or a function from the parameters to one: which
            of them decay. All by default.

    >>> import functrans as ft, numpy as np
    >>> params = {"w": np.array([10.0]), "b": np.array([10.0])}
    >>> decay = ft.optim.add_decayed_weights(0.1, mask={"w": True, "b": False})
    >>> decay.update({"w": np.zeros(1), "b": np.zeros(1)}, decay.init(params), params)[0]
    {'w': Array([1.]), 'b': array([0.])}
    """

    def decayed(updates: Any, params: Any) -> Any:
        params = needed("add_decayed_weights", params)
        add = lambda g, p: g + like(weight_decay, g) * cast_like(p, g)
        return each("add_decayed_weights", add, updates=updates, params=params)

    transformation = stateless(decayed)
    return transformation if mask is None else masked(transformation, mask)


# ---------------------------------------------------------------- momentum


class TraceState(NamedTuple):
    """`trace`: the decaying sum of gradients.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.trace(0.9).init(np.zeros(1)).trace
    Array([0.])
    """

    trace: Any


def trace(decay: Any, nesterov: bool = False) -> GradientTransformation:
    """Momentum: `m = decay m + g`; gives `m`, or with `nesterov` what the next step would add: `decay m + g`.

    Source: I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    >>> import functrans as ft, numpy as np
    >>> momentum = ft.optim.trace(0.5)
    >>> state = momentum.init(np.ones(1))
    >>> for _ in range(3):
    ...     updates, state = momentum.update(np.ones(1), state)
    >>> updates
    Array([1.75])
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        add = lambda g, m: like(decay, m) * m + cast_like(g, m)
        moment = each("trace", add, updates=updates, state=state.trace)
        return each("trace", add, updates=updates, state=moment) if nesterov else moment, TraceState(moment)

    return GradientTransformation(lambda params: TraceState(zeros_like("trace", params)), update)


class EmaState(NamedTuple):
    """`count`: the number of steps so far; `ema`: the moving average.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.ema(0.9).init(np.zeros(1)).ema
    Array([0.])
    """

    count: Any
    ema: Any


def ema(decay: Any, debias: bool = True) -> GradientTransformation:
    """The moving average `m = decay m + (1 - decay) g`, with `debias` divided by `1 - decay^t` for its start at 0.

    The average of parameters rather than of gradients is `incremental_update(params, average, 1 - decay)`.

    >>> import functrans as ft, numpy as np
    >>> average = ft.optim.ema(0.5)
    >>> state = average.init(np.ones(1))
    >>> for gradient in (1.0, 4.0):
    ...     updates, state = average.update(np.array([gradient]), state)
    >>> updates, state.ema
    (Array([3.]), Array([2.25]))
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count = state.count + 1
        mean = each("ema", lambda m, g: moving_average(decay, m, g), state=state.ema, updates=updates)
        corrected = each("ema", lambda m: m / like(1 - decay**count, m), state=mean) if debias else mean
        return corrected, EmaState(count, mean)

    return GradientTransformation(lambda params: EmaState(fnp.zeros((), np.int64), zeros_like("ema", params)), update)


# ---------------------------------------------------------------- adaptive scalings


class ScaleByAdamState(NamedTuple):
    """`count`: the number of steps so far; `mu`, `nu`: the averages of gradients and of their squares.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_adam().init(np.zeros(1)).mu
    Array([0.])
    """

    count: Any
    mu: Any
    nu: Any


def scale_by_adam(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0, *, nesterov: bool = False
) -> GradientTransformation:
    """The scaling of `adam`, or with `nesterov` that of `nadam`, which have the formulas.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_adam()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([1.])
    """
    name = "scale_by_adam"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count, mu, nu = _moments(name, updates, state, b1, b2)
        mean = _momentum_ahead(name, updates, mu, b1, count) if nesterov else _unbiased(name, mu, b1, count)
        out = each(name, lambda m, v: _quotient(m, v, eps, eps_root), mu=mean, nu=_unbiased(name, nu, b2, count))
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(name), update)


class ScaleByAmsgradState(NamedTuple):
    """That of Adam, with `nu_max`, the largest unbiased average of squares so far.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_amsgrad().init(np.zeros(1)).nu_max
    Array([0.])
    """

    count: Any
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_amsgrad(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0) -> GradientTransformation:
    """The scaling of `amsgrad`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_amsgrad()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([1.])
    """
    name = "scale_by_amsgrad"

    def init(params: Any) -> Any:
        zeros = zeros_like(name, params)
        return ScaleByAmsgradState(_zero(), zeros, zeros, zeros)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count, mu, nu = _moments(name, updates, state, b1, b2)
        nu_max = each(name, fnp.maximum, nu=_unbiased(name, nu, b2, count), nu_max=state.nu_max)
        out = each(name, lambda m, v: _quotient(m, v, eps, eps_root), mu=_unbiased(name, mu, b1, count), nu=nu_max)
        return out, ScaleByAmsgradState(count, mu, nu, nu_max)

    return GradientTransformation(init, update)


def scale_by_adamax(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> GradientTransformation:
    """The scaling of `adamax`, which has the formula; `nu` of its state is the decaying maximum.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_adamax()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([1.])
    """
    name = "scale_by_adamax"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count = state.count + 1
        mu = each(name, lambda g, m: moving_average(b1, m, g), updates=updates, state=state.mu)
        larger = lambda g, v: fnp.maximum(like(b2, v) * v, fnp.abs(cast_like(g, v)) + like(eps, v))
        nu = each(name, larger, updates=updates, state=state.nu)
        return each(name, lambda m, v: m / v, mu=_unbiased(name, mu, b1, count), nu=nu), ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(name), update)


def scale_by_radam(
    b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0, threshold: Any = 5.0
) -> GradientTransformation:
    """The scaling of `radam`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_radam()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([3.])
    """
    name = "scale_by_radam"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count, mu, nu = _moments(name, updates, state, b1, b2)
        longest = 2 / (1 - b2) - 1
        power = b2**count
        length = longest - 2 * count * power / (1 - power)
        rectified = length >= threshold
        above, below = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
        ratio = fnp.sqrt(fnp.where(rectified, above, 1.0) / fnp.where(rectified, below, 1.0))

        def step(m: Any, v: Any) -> Any:
            return fnp.where(rectified, like(ratio, m) * _quotient(m, v, eps, eps_root), m)

        out = each(name, step, mu=_unbiased(name, mu, b1, count), nu=_unbiased(name, nu, b2, count))
        return out, ScaleByAdamState(count, mu, nu)

    return GradientTransformation(_adam_init(name), update)


class ScaleByLionState(NamedTuple):
    """`mu`: the average of gradients.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_lion().init(np.zeros(1)).mu
    Array([0.])
    """

    mu: Any


def scale_by_lion(b1: Any = 0.9, b2: Any = 0.99) -> GradientTransformation:
    """The scaling of `lion`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_lion()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([1.])
    """
    name = "scale_by_lion"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        out = each(name, lambda g, m: fnp.sign(moving_average(b1, m, g)), updates=updates, state=state.mu)
        mu = each(name, lambda g, m: moving_average(b2, m, g), updates=updates, state=state.mu)
        return out, ScaleByLionState(mu)

    return GradientTransformation(lambda params: ScaleByLionState(zeros_like(name, params)), update)


class ScaleByRssState(NamedTuple):
    """`sum_of_squares` of all gradients so far.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_rss().init(np.zeros(1)).sum_of_squares
    Array([0.1])
    """

    sum_of_squares: Any


def scale_by_rss(initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> GradientTransformation:
    """The scaling of `adagrad`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_rss()
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([0.99449031])
    """
    name = "scale_by_rss"

    def init(params: Any) -> Any:
        return ScaleByRssState(zeros_like(name, params, initial_accumulator_value))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        squares = each(name, lambda g, s: s + fnp.square(cast_like(g, s)), updates=updates, state=state.sum_of_squares)
        # Where nothing has come yet the root may have no derivative; the step is 0 in any case.
        step = lambda g, s: fnp.where(s > 0, cast_like(g, s) / fnp.sqrt(fnp.where(s > 0, s + like(eps, s), 1)), 0)
        return each(name, step, updates=updates, state=squares), ScaleByRssState(squares)

    return GradientTransformation(init, update)


class ScaleByRmsState(NamedTuple):
    """`nu`: the average of squared gradients.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_rms().init(np.zeros(1)).nu
    Array([0.])
    """

    nu: Any


def scale_by_rms(decay: Any = 0.9, eps: Any = 1e-8, initial_scale: Any = 0.0) -> GradientTransformation:
    """The scaling of `rmsprop`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_rms(decay=0.75)
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([2.])
    """
    name = "scale_by_rms"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        nu = each(name, lambda g, v: moving_average(decay, v, fnp.square(g)), updates=updates, state=state.nu)
        step = lambda g, v: cast_like(g, v) / fnp.sqrt(v + like(eps, v))
        return each(name, step, updates=updates, state=nu), ScaleByRmsState(nu)

    return GradientTransformation(lambda params: ScaleByRmsState(zeros_like(name, params, initial_scale)), update)


class ScaleByStddevState(NamedTuple):
    """`mu`, `nu`: the averages of gradients and of their squares.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_stddev().init(np.zeros(1)).mu
    Array([0.])
    """

    mu: Any
    nu: Any


def scale_by_stddev(decay: Any = 0.9, eps: Any = 1e-8, initial_scale: Any = 0.0) -> GradientTransformation:
    """The scaling of `rmsprop` with `centered=True`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_stddev(decay=0.5)
    >>> scaling.update(np.array([3.0]), scaling.init(np.zeros(1)))[0]
    Array([2.])
    """
    name = "scale_by_stddev"

    def init(params: Any) -> Any:
        return ScaleByStddevState(zeros_like(name, params), zeros_like(name, params, initial_scale))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        mu = each(name, lambda g, m: moving_average(decay, m, g), updates=updates, state=state.mu)
        nu = each(name, lambda g, v: moving_average(decay, v, fnp.square(g)), updates=updates, state=state.nu)
        step = lambda g, m, v: cast_like(g, v) / fnp.sqrt(v - fnp.square(m) + like(eps, v))
        return each(name, step, updates=updates, mu=mu, nu=nu), ScaleByStddevState(mu, nu)

    return GradientTransformation(init, update)


class ScaleByAdadeltaState(NamedTuple):
    """`e_g`, `e_x`: the averages of squared gradients and of squared updates.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_adadelta().init(np.zeros(1)).e_g
    Array([0.])
    """

    e_g: Any
    e_x: Any


def scale_by_adadelta(rho: Any = 0.9, eps: Any = 1e-6) -> GradientTransformation:
    """The scaling of `adadelta`, which has the formula.

    >>> import functrans as ft, numpy as np
    >>> scaling = ft.optim.scale_by_adadelta()
    >>> scaling.update(np.array([1.0]), scaling.init(np.zeros(1)))[0]
    Array([0.00316226])
    """
    name = "scale_by_adadelta"

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        e_g = each(name, lambda g, a: moving_average(rho, a, fnp.square(g)), updates=updates, state=state.e_g)

        def step(g: Any, squares: Any, steps: Any) -> Any:
            return fnp.sqrt(steps + like(eps, steps)) / fnp.sqrt(squares + like(eps, squares)) * cast_like(g, squares)

        out = each(name, step, updates=updates, e_g=e_g, e_x=state.e_x)
        e_x = each(name, lambda u, a: moving_average(rho, a, fnp.square(u)), updates=out, state=state.e_x)
        return out, ScaleByAdadeltaState(e_g, e_x)

    return GradientTransformation(
        lambda params: ScaleByAdadeltaState(zeros_like(name, params), zeros_like(name, params)), update
    )


def scale_by_trust_ratio(trust_coefficient: Any = 1.0, eps: Any = 0.0) -> GradientTransformation:
    """Each array of `g` times `trust_coefficient |p| / (|g| + eps)`; as it is where one of the norms is 0.

    Source: Y. You, I. Gitman and B. Ginsburg, "Large batch training of convolutional networks", 2017.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale_by_trust_ratio().update(np.array([0.3, 0.4]), ft.optim.EmptyState(), np.array([5.0, 12.0]))[0]
    Array([ 7.8, 10.4])
    """

    def step(g: Any, p: Any) -> Any:
        g_square, p_square = sum_of_squares(g), sum_of_squares(cast_like(p, g))
        both = (g_square > 0) & (p_square > 0)
        g_norm, p_norm = (fnp.sqrt(fnp.where(both, x, 1)) for x in (g_square, p_square))
        ratio = like(trust_coefficient, g_norm) * p_norm / (g_norm + like(eps, g_norm))
        return cast_like(fnp.where(both, ratio, 1), g) * g

    def update(updates: Any, params: Any) -> Any:
        params = needed("scale_by_trust_ratio", params)
        return each("scale_by_trust_ratio", step, updates=updates, params=params)

    return stateless(update)


def _adam_init(name: str) -> Any:
    return lambda params: ScaleByAdamState(_zero(), zeros_like(name, params), zeros_like(name, params))


def _moments(name: str, updates: Any, state: Any, b1: Any, b2: Any) -> tuple[Any, Any, Any]:
    """The number of this step, and the averages of gradients and of their squares."""
    mu = each(name, lambda g, m: moving_average(b1, m, g), updates=updates, state=state.mu)
    nu = each(name, lambda g, v: moving_average(b2, v, fnp.square(g)), updates=updates, state=state.nu)
    return state.count + 1, mu, nu


def _unbiased(name: str, moment: Any, decay: Any, count: Any) -> Any:
    """An average that began with zeros, divided by the sum of the weights of what has come since."""
    weight = 1 - decay**count
    return each(name, lambda m: m / like(weight, m), moment=moment)


def _momentum_ahead(name: str, updates: Any, mu: Any, b1: Any, count: Any) -> Any:
    """Nesterov's momentum in Adam: the average that the next step would see if the gradient stayed."""
    now, ahead = 1 - b1**count, 1 - b1 ** (count + 1)
    mix = lambda g, m: like(b1 / ahead, m) * m + like((1 - b1) / now, m) * cast_like(g, m)
    return each(name, mix, updates=updates, mu=mu)


def _quotient(m: Any, v: Any, eps: Any, eps_root: Any) -> Any:
    return m / (fnp.sqrt(v + like(eps_root, v)) + like(eps, v))


def _zero() -> Any:
    return fnp.zeros((), np.int64)
