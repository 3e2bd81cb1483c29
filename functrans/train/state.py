"""The state of a training, a pytree, and how a model is called whatever it needs besides its input."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from functrans import nn, random
from functrans.core.pytree import flatten
from functrans.errors import ArgumentError
from functrans.nn.containers import takes
from functrans.optim import GradientTransformation, MultiSteps


class TrainState(NamedTuple):
    """All that a training is at one moment: from it, training goes on as if it had never stopped.

    It is a pytree, so `functrans.save` writes it to a file, and `functrans.load` reads it by one like it:
    `load(path, like=TrainState.create(model, optimizer))`.

    Attributes:
        model: the model with its parameters.
        model_state: what its layers remember, as batch normalization does (see `nn.with_state`), or `None`.
        optimizer_state: the optimizer's.
        key: the random key of the whole training.
        epoch: how many epochs are complete.
        batch: how many batches of the next epoch are done; 0 unless training was interrupted within it.

    >>> import functrans as ft, numpy as np
    >>> model = ft.nn.Linear(2, 1, key=ft.random.key(0))
    >>> ft.train.TrainState.create(model, ft.optim.sgd(0.1)).epoch
    0
    """

    model: Any
    model_state: Any
    optimizer_state: Any
    key: Any
    epoch: Any
    batch: Any

    @classmethod
    def create(cls, model: Any, optimizer: GradientTransformation | MultiSteps, key: Any = None) -> TrainState:
        """The state before the first step.

        Args:
            model: a module, or any callable pytree. Layers that have a state get their first one.
            optimizer: one of `functrans.optim`.
            key: a random key, `random.key(0)` by default.

        Raises:
            ArgumentError: the model cannot be called, or the optimizer is none.

        >>> import functrans as ft
        >>> model = ft.nn.Linear(2, 3, key=ft.random.key(0))
        >>> state = ft.train.TrainState.create(model, ft.optim.sgd(0.1))
        >>> state.epoch, state.model
        (0, Linear(in_features=2, out_features=3, weight=f32[3,2], bias=f32[3]))
        """
        check_model(model)
        optimizer = optimizer_of(optimizer)
        model, model_state = nn.with_state(model)
        parameters = nn.filter(model, nn.is_inexact_array)
        key = random.key(0) if key is None else key
        return cls(model, model_state if model_state.values else None, optimizer.init(parameters), key, 0, 0)


def optimizer_of(given: Any) -> GradientTransformation:
    """An optimizer as a pair of functions."""
    if isinstance(given, MultiSteps):
        return given.gradient_transformation()
    if isinstance(given, GradientTransformation):
        return given
    name = getattr(given, "__name__", given)
    hint = f"; call it: {name}(learning_rate)" if callable(given) else ""
    raise ArgumentError(f"the optimizer must be one of functrans.optim, such as adam(1e-3), got {given!r:.60}{hint}")


def check_model(model: Any) -> None:
    """Raise the error of a model that cannot be called or has nothing to train."""
    if not callable(model):
        remedy = (
            "name its method `forward` `__call__`"
            if callable(getattr(model, "forward", None))
            else "parameters with a function of their own are made a model by a subclass of nn.Module"
        )
        raise ArgumentError(
            f"the model must be a module or another callable pytree, got {model!r:.60} of type {type(model).__name__}; "
            + remedy
        )
    if not any(nn.is_array(leaf) for leaf in flatten(model)[0]):
        raise ArgumentError(
            f"the model {model!r:.60} has no arrays, so there is nothing to train. A function that closes over its "
            "parameters is no model: make it a subclass of nn.Module."
        )


def model_and_state(name: str, model: Any) -> tuple[Any, Any]:
    """The model of a state of training, or a model by itself, ready for predictions."""
    if isinstance(model, TrainState):
        return nn.inference_mode(model.model), model.model_state
    check_model(model)
    if nn.with_state(model)[1].values:
        raise ArgumentError(
            f"{name}: this model has layers that remember something, such as running means of batches. Pass the state "
            "of its training, `fit(...).state`, which has both."
        )
    return nn.inference_mode(model), None


def call(model: Any, model_state: Any, x: Any, key: Any = None) -> tuple[Any, Any]:
    """The model's predictions and its next state; a key is for models that take one."""
    options = {"key": key} if key is not None and takes(model.__class__, "key") else {}
    if model_state is None:
        return model(x, **options), None
    out = model(x, model_state, **options)
    if not (isinstance(out, tuple) and len(out) == 2):
        raise ArgumentError(
            f"the model {type(model).__name__} has layers with a state, so it must return (predictions, state), got "
            f"{out!r:.60}"
        )
    return out


def examples_in(batch: Any) -> int:
    """How many examples a batch `(x, ...)` has."""
    return int(np.shape(flatten(batch[0])[0][0])[0])
