"""`fit`: the loop that trains."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans import nn, random
from functrans.api.compilation import jit
from functrans.api.differentiation import value_and_grad
from functrans.errors import ArgumentError
from functrans.optim import GradientTransformation, GradientTransformationExtraArgs, MultiSteps, apply_updates
from functrans.train.callbacks import Callback, Epoch, callback_of
from functrans.train.data import Batches
from functrans.train.evaluation import over_epoch
from functrans.train.history import History
from functrans.train.judging import Judge, Tally
from functrans.train.progress import Progress
from functrans.train.state import TrainState, call, optimizer_of


class Trained(NamedTuple):
    """What `fit` returns.

    Attributes:
        state: the model and all that training needs to go on.
        history: the loss and the metrics of each epoch.
        interrupted: whether it was stopped by the keyboard. What was done until then is in `state` and `history`.

    >>> import functrans as ft, numpy as np
    >>> model, x = ft.nn.Linear(1, 1, key=ft.random.key(0)), np.ones((4, 1), np.float32)
    >>> trained = ft.train.fit(model, (x, x), "mean_squared_error", ft.optim.sgd(0.1), epochs=0, progress=False)
    >>> isinstance(trained, ft.train.Trained), trained.interrupted
    (True, False)
    """

    state: TrainState
    history: History
    interrupted: bool

    @property
    def model(self) -> Any:
        """The trained model."""
        return self.state.model

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self.history.items() if values)
        return f"Trained({type(self.model).__name__}, {last}{', interrupted' if self.interrupted else ''})"


_NOT_FINITE = (
    "the loss is {} in epoch {}. Cross-entropies take probabilities unless from_logits=True; a smaller learning rate "
    "or optim.clip_by_global_norm may help; functrans.config.debug_nans finds the line."
)


def fit(
    model: Any,
    data: Any,
    loss: str | Callable[..., Any],
    optimizer: GradientTransformation | MultiSteps,
    epochs: int = 1,
    *,
    batch_size: int = 32,
    drop_last: bool = False,
    validation_data: Any = None,
    metrics: Any = (),
    callbacks: Callback | Callable[[Epoch], Any] | Sequence[Any] = (),
    shuffle: bool = True,
    key: Any = None,
    progress: bool = True,
) -> Trained:
    """Train a model.

    Args:
        model: a module, or another callable pytree, called with whole batches; or the `TrainState` of an earlier
            training, which goes on. Layers that need keys or have a state (`Dropout`, `BatchNorm`) get theirs. Its
            floating arrays are trained.
        data: a tuple `(inputs, targets)` or `(inputs, targets, weights)` of arrays whose first axis counts examples
            (inputs and targets may be pytrees); or an iterable of such tuples, each one batch, such as a list or a
            `DataLoader` of PyTorch's; or a function without arguments that makes such an iterable for each epoch.
        loss: a function of `(predictions, targets)` to a scalar, the mean over the batch, such as those of
            `functrans.losses`, or the name of one there. With weights it takes them as `weights=`; to the elements of
            an example those of the library give the example's weight.
        optimizer: one of `functrans.optim`.
        epochs: how many times to go through the data, counted from the very first time: a state of epoch 3 is trained
            for 2 more with `epochs=5`.
        batch_size: the examples in a batch, where `data` are arrays. The last batch of an epoch may have fewer.
        drop_last: leave out a last batch that has fewer.
        validation_data: like `data`. After each epoch its loss and metrics, in inference mode, are named `val_...`.
        metrics: names (`"accuracy"`, `"top_k_accuracy"`, `"log_loss"`, `"mse"`, `"mae"`, `"rmse"`, `"r2"`,
            `"roc_auc"`, `"average_precision"`, `"ndcg"`) and functions of `(y_true, predictions)`, in a list, or in a
            dict with names of your own; functions with an argument `weights` get those of the data. They are those of
            the whole epoch; on the training data, of the predictions made while training. `"accuracy"` compares the
            class with the highest score.
        callbacks: `EarlyStopping`, `Checkpoint`, other `Callback`s, or functions of an `Epoch`, which stop the training
            by returning `True`.
        shuffle: whether arrays are put in a new random order for each epoch.
        key: a random key for the order and the layers, `random.key(0)` by default; the same key gives the same
            training.
        progress: whether to show it: a line for each epoch and, in a terminal and if tqdm is installed, a bar.

    Returns:
        `Trained(state, history, interrupted)`, with the trained `model`. Ctrl-C ends the training after the step at
        hand and returns normally. Training goes on from the `state`, to the bit as if there had been no interruption
        (given the same data and the same arguments).

    Raises:
        ArgumentError: arguments that are not as above.
        ShapeError: inputs and targets of different lengths.

    >>> import functrans as ft, numpy as np
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> model = ft.nn.MLP(1, 1, width=16, depth=1, key=ft.random.key(0))
    >>> trained = ft.train.fit(model, (x, x**2), "mean_squared_error", ft.optim.adam(1e-2), epochs=50, progress=False)
    >>> trained.history["loss"][-1] < 0.01
    True
    >>> ft.train.predict(trained.model, x).shape
    (64, 1)
    """
    if not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ArgumentError(f"epochs must be an integer, 0 or more, got {epochs!r:.60}")
    judge, optimizer = Judge(loss, metrics), optimizer_of(optimizer)
    batches = Batches("data", data, batch_size, drop_last)
    validation = None if validation_data is None else Batches("validation_data", validation_data, batch_size)
    if isinstance(model, TrainState):
        state = model._replace(epoch=int(model.epoch), batch=int(model.batch))
        if key is not None:
            raise ArgumentError("a state of training has its own key; pass no other")
    else:
        state = TrainState.create(model, optimizer, key)
    if epochs - state.epoch > 1:
        batches.check_repeatable()
        if validation is not None:
            validation.check_repeatable()
    calls = [callback_of(c) for c in (callbacks if isinstance(callbacks, Sequence) else [callbacks])]
    step = _step(judge, optimizer)
    history = History(epoch=[])
    for callback in calls:
        callback.begin(state)

    interrupted = warned = False
    try:
        while state.epoch < epochs:
            start = time.perf_counter()
            order_key, step_key = random.split(random.fold_in(state.key, state.epoch))
            tally = Tally(judge)
            with Progress(progress, state.epoch + 1, epochs, batches.count, state.batch) as shown:
                for batch in batches.epoch(order_key if shuffle else None, skip=state.batch):
                    (x, y, *weights) = batch
                    (*new, found, predictions) = step(state[:3], step_key, np.int64(state.batch), x, y, *weights)
                    state = state._replace(
                        model=new[0], model_state=new[1], optimizer_state=new[2], batch=state.batch + 1
                    )  # one assignment: wherever an interruption falls, the state is whole
                    tally.add(batch, found, predictions)
                    shown.update(tally)
                if state.batch == 0:
                    raise ArgumentError(f"data gave no batches in epoch {state.epoch + 1}")
                logs = tally.results()
                if validation is not None:
                    found = over_epoch(state, validation, judge)
                    logs.update({f"val_{name}": value for name, value in found.items()})
                state = state._replace(epoch=state.epoch + 1, batch=0)
                history.append(state.epoch, logs)
                if tally.weight and not warned and not np.isfinite(logs["loss"]):
                    warned = True
                    warnings.warn(_NOT_FINITE.format(logs["loss"], state.epoch), RuntimeWarning, stacklevel=2)
                shown.finish(logs, time.perf_counter() - start)
            answers = [callback.epoch_end(Epoch(state.epoch, logs, state)) for callback in calls]
            if any(answer is True for answer in answers):
                break
    except KeyboardInterrupt:
        interrupted = True
    for callback in calls:
        state = callback.finish(state)
    return Trained(state, history, interrupted)


@functools.lru_cache(maxsize=64)
def _step(judge: Judge, optimizer: GradientTransformation) -> Callable[..., Any]:
    """The compiled step: gradient, update, metrics. Kept, so that another `fit` of the same functions finds it."""

    @jit
    def train_step(parts: Any, epoch_key: Any, number: Any, x: Any, y: Any, weights: Any = None) -> Any:
        model, model_state, optimizer_state = parts
        parameters, rest = nn.partition(model, nn.is_inexact_array)
        key = random.fold_in(epoch_key, number)

        def objective(parameters: Any) -> Any:
            predictions, new_state = call(nn.combine(parameters, rest), model_state, x, key)
            return judge.objective(predictions, y, weights), (predictions, new_state)

        (value, (predictions, new_state)), gradient = value_and_grad(objective, has_aux=True)(parameters)
        options = {}
        if isinstance(optimizer, GradientTransformationExtraArgs):  # what line searches need
            options = {"value": value, "grad": gradient, "value_fn": lambda p: objective(p)[0]}
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, parameters, **options)
        model = nn.combine(apply_updates(parameters, updates), rest)
        means, kept = judge.of_batch(predictions, y, weights)
        return model, new_state, optimizer_state, {"loss": value, **means}, kept

    return train_step
