"""A learning rate that falls when the loss no longer does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans.errors import ArgumentError
from functrans.optim.base import GradientTransformationExtraArgs, each, like

__all__ = ["ReduceOnPlateauState", "reduce_on_plateau"]


class ReduceOnPlateauState(NamedTuple):
    """The state of `reduce_on_plateau`.

    Attributes:
        scale: what updates are multiplied by.
        best_value: the lowest mean so far.
        plateau_count: how many means since then were not lower.
        cooldown_count: how many means to come are not judged.
        count, avg_value: how many values the mean under way has, and what it is.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.reduce_on_plateau().init(np.zeros(1)).scale
    Array(1.)
    """

    scale: Any
    best_value: Any
    plateau_count: Any
    cooldown_count: Any
    count: Any
    avg_value: Any


def reduce_on_plateau(
    factor: float = 0.1,
    patience: int = 10,
    rtol: float = 1e-4,
    atol: float = 0.0,
    cooldown: int = 0,
    accumulation_size: int = 1,
    min_scale: float = 0.0,
) -> GradientTransformationExtraArgs:
    """Multiply updates by a scale that falls when the loss no longer does; the last of a chain.

    Its `update` takes the loss as `value=`; `train.fit` gives that of each batch. As `optax.contrib.reduce_on_plateau`.

    Args:
        factor: what the scale, 1 at first, is multiplied by.
        patience: after how many means without improvement.
        rtol, atol: an improvement is a mean below `(1 - rtol) * best - atol`.
        cooldown: how many means after a reduction are not counted.
        accumulation_size: of how many values a mean is taken; the batches of an epoch, say.
        min_scale: the scale falls no lower.

    Raises:
        ArgumentError: arguments out of range; `update` is called without `value`.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.chain(ft.optim.sgd(0.1), ft.optim.reduce_on_plateau(factor=0.5, patience=2))
    >>> state = optimizer.init(np.ones(1))
    >>> for loss in (1.0, 1.0, 1.0):
    ...     updates, state = optimizer.update(np.ones(1), state, value=loss)
    >>> updates
    Array([-0.05])
    """
    if not 0 < factor < 1 or not 0 <= rtol <= 1 or atol < 0 or rtol == atol == 0:
        raise ArgumentError(
            "reduce_on_plateau takes a factor between 0 and 1, rtol from 0 to 1 and atol from 0 on, one of which is "
            f"not 0; got factor={factor}, rtol={rtol}, atol={atol}"
        )
    if patience < 1 or cooldown < 0 or accumulation_size < 1:
        raise ArgumentError(
            "reduce_on_plateau takes a patience and an accumulation_size of 1 or more and a cooldown of 0 or more; got "
            f"patience={patience}, accumulation_size={accumulation_size}, cooldown={cooldown}"
        )

    def init(params: Any) -> ReduceOnPlateauState:
        zero = fnp.zeros((), np.int64)
        return ReduceOnPlateauState(fnp.ones(()), fnp.full((), np.inf), zero, zero, zero, fnp.zeros(()))

    def update(updates: Any, state: Any, params: Any = None, *, value: Any = None, **extra: Any) -> Any:
        if value is None:
            raise ArgumentError("reduce_on_plateau needs the loss: call update(updates, state, params, value=loss)")
        count = state.count + 1
        mean = (state.count * state.avg_value + value) / count
        complete = count == accumulation_size
        better = complete & (mean < (1 - rtol) * state.best_value - atol)
        cooling = state.cooldown_count > 0
        waited = fnp.where(better | cooling, 0, state.plateau_count + 1)
        over = complete & (waited == patience)
        scale = fnp.where(over, fnp.maximum(state.scale * factor, min_scale), state.scale)
        new = ReduceOnPlateauState(
            scale,
            fnp.where(better, mean, state.best_value),
            fnp.where(complete, fnp.where(over, 0, waited), state.plateau_count),
            fnp.where(over, cooldown, fnp.where(complete & cooling, state.cooldown_count - 1, state.cooldown_count)),
            fnp.where(complete, 0, count),
            fnp.where(complete, 0.0, mean),
        )
        return each("reduce_on_plateau", lambda u: like(scale, u) * u, updates=updates), new

    return GradientTransformationExtraArgs(init, update)
