"""`evaluate` and `predict`: a model over data, in inference mode, batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from functrans.api.compilation import jit
from functrans.errors import ArgumentError
from functrans.train.data import Batches, pieces
from functrans.train.judging import Judge, Tally, joined
from functrans.train.state import call, model_and_state


def evaluate(
    model: Any, data: Any, loss: str | Callable[..., Any] | None = None, metrics: Any = (), *, batch_size: int = 256
) -> dict[str, float]:
    """The loss and the metrics of a model, in inference mode, over data.

    Args:
        model: a trained model, or the state of a training.
        data: as for `fit`.
        loss, metrics: as for `fit`; at least one of the two.
        batch_size: the examples that are computed at once, where `data` are arrays.

    Returns:
        A dict of numbers, with the loss as `"loss"`.

    Raises:
        ArgumentError: there is neither a loss nor a metric, or the arguments are otherwise not as above.

    >>> import functrans as ft, numpy as np
    >>> model = ft.nn.Linear(2, 3, key=ft.random.key(0))
    >>> x, y = np.ones((10, 2), np.float32), np.zeros((10, 3), np.float32)
    >>> list(ft.train.evaluate(model, (x, y), "mean_squared_error", ["mae"]))
    ['loss', 'mae']
    """
    judge = Judge(loss, metrics)
    if not judge.names:
        raise ArgumentError("evaluate needs a loss or metrics")
    return over_epoch(model, Batches("data", data, batch_size), judge)


def over_epoch(model: Any, batches: Batches, judge: Judge) -> dict[str, float]:
    """The loss and the metrics of a model, or of a state of training, over all batches."""
    model, model_state = model_and_state("evaluate", model)
    step, tally = _step(judge), Tally(judge)
    for batch in batches.epoch():
        x, y, *weights = batch
        tally.add(batch, *step(model, model_state, x, y, *weights))
    if not tally.weight:
        raise ArgumentError(f"{batches.what} gave no examples, or weights of 0 alone")
    return tally.results()


def predict(model: Any, inputs: Any, *, batch_size: int = 256) -> Any:
    """The predictions of a model, in inference mode, for many inputs.

    Args:
        model: a trained model, or the state of a training.
        inputs: an array, or a pytree of arrays, whose first axis counts examples; or an iterable of batches of inputs.
        batch_size: the examples that are computed at once.

    Returns:
        What the model returns, for all examples.

    >>> import functrans as ft, numpy as np
    >>> model = ft.nn.Linear(2, 3, key=ft.random.key(0))
    >>> ft.train.predict(model, np.ones((1000, 2), np.float32)).shape
    (1000, 3)
    """
    if batch_size < 1:
        raise ArgumentError(f"batch_size must be 1 or more, got {batch_size}")
    model, model_state = model_and_state("predict", model)
    parts = [_predictions(model, model_state, x) for x in pieces(inputs, batch_size)]
    if not parts:
        raise ArgumentError("predict: there are no inputs")
    return joined(parts)


@jit
def _predictions(model: Any, model_state: Any, x: Any) -> Any:
    return call(model, model_state, x)[0]


@functools.lru_cache(maxsize=64)
def _step(judge: Judge) -> Callable[..., Any]:
    """The compiled evaluation of a batch."""

    @jit
    def evaluate_step(model: Any, model_state: Any, x: Any, y: Any, weights: Any = None) -> Any:
        predictions, _ = call(model, model_state, x)
        means, kept = judge.of_batch(predictions, y, weights)
        loss = {} if judge.loss is None else {"loss": judge.objective(predictions, y, weights)}
        return {**loss, **means}, kept

    return evaluate_step
