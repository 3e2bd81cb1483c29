"""What may be done at the end of each epoch."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from functrans.errors import ArgumentError
from functrans.serialization import save
from functrans.train.state import TrainState

Mode = Literal["auto", "min", "max"]


class Epoch(NamedTuple):
    """An epoch that is complete.

    Attributes:
        number: its number, from 1.
        logs: the loss and the metrics by name; those of the validation data begin with `val_`.
        state: the state of the training after it.

    >>> import functrans as ft, numpy as np
    >>> epoch = ft.train.Epoch(1, {"loss": 0.5}, None)
    >>> epoch.number, epoch.logs["loss"]
    (1, 0.5)
    """

    number: int
    logs: Mapping[str, float]
    state: TrainState


class Callback:
    """Base of what `fit` calls as it goes; a plain function of an `Epoch` will often do.

    >>> import functrans as ft
    >>> class Slow(ft.train.Callback):
    ...     def epoch_end(self, epoch):
    ...         return epoch.number >= 3 and epoch.logs["loss"] > 1
    """

    def begin(self, state: TrainState) -> None:
        """Before the first epoch."""

    def epoch_end(self, epoch: Epoch) -> bool | None:
        """After each epoch; `True` ends the training."""

    def finish(self, state: TrainState) -> TrainState:
        """At the end: the state that `fit` shall return, by default the last one."""
        return state


class _Function(Callback):
    def __init__(self, function: Callable[[Epoch], Any]):
        self.function = function

    def epoch_end(self, epoch: Epoch) -> bool | None:
        answer = self.function(epoch)
        return None if answer is None else bool(answer)


def callback_of(given: Any) -> Callback:
    """A callback as it is, or one of a function."""
    if isinstance(given, Callback):
        return given
    if isinstance(given, type) or not callable(given):
        raise ArgumentError(f"a callback must be a Callback or a function of an Epoch, got {given!r:.60}")
    return _Function(given)


class _Monitor:
    """Watches one number for improvements."""

    def __init__(self, name: str, mode: Mode, min_delta: float = 0.0):
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f"mode is 'auto', 'min' or 'max', got {mode!r}")
        self.name, self.min_delta = name, min_delta
        rising = ("accuracy", "f1", "precision", "recall", "r2", "auc", "ndcg", "matthews_corrcoef")
        self.sign = -1 if mode == "max" or (mode == "auto" and name.removeprefix("val_").endswith(rising)) else 1
        self.best = math.inf

    def improved(self, logs: Mapping[str, float]) -> bool:
        if self.name not in logs:
            hint = "; pass validation_data to fit" if self.name.startswith("val_") else ""
            raise ArgumentError(f"there is no {self.name!r} to monitor, only {', '.join(logs)}{hint}")
        value = self.sign * logs[self.name]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Callback):
    """Ends a training that no longer improves, and gives back the best state.

    Args:
        monitor: which number to watch.
        patience: after how many epochs without improvement to stop.
        min_delta: the least change that counts as one.
        mode: whether less (`"min"`) or more (`"max"`) is better; `"auto"` knows that of accuracies and the like
            more is.
        restore_best: whether `fit` returns the state of the best epoch, or the last one.

    A number that is not finite is no improvement.

    >>> import functrans as ft
    >>> stopping = ft.train.EarlyStopping("val_accuracy", patience=3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        *,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best: bool = True,
    ):
        if patience < 0:
            raise ArgumentError(f"patience must be 0 or more, got {patience}")
        self.patience, self.restore_best = patience, restore_best
        self._options = (monitor, mode, min_delta)
        self.begin(None)

    def begin(self, state: Any) -> None:
        """Forget the training before."""
        self._monitor, self._waited = _Monitor(*self._options), 0
        self._best: TrainState | None = None

    def epoch_end(self, epoch: Epoch) -> bool | None:
        """Whether the last improvement is `patience` epochs ago."""
        if self._monitor.improved(epoch.logs):
            self._best, self._waited = epoch.state, 0
            return None
        self._waited += 1
        return self._waited >= self.patience

    def finish(self, state: TrainState) -> TrainState:
        """The best state, or the last."""
        return self._best if self.restore_best and self._best is not None else state


class Checkpoint(Callback):
    """Writes the state of the training to a file, after each epoch or each that is the best so far.

    Args:
        path: the file; `{epoch}` in it stands for the epoch's number, and other names for the numbers of `Epoch.logs`.
        monitor: which number tells the best; `None` to write every time.
        mode: as for `EarlyStopping`.
        every: write after each so many epochs.

    The file is written as a whole or not at all. It is read by
    `functrans.load(path, like=TrainState.create(model, optimizer))`, and its metadata has the epoch and the logs.

    >>> import functrans as ft
    >>> best = ft.train.Checkpoint("best.safetensors", monitor="val_loss")
    >>> each = ft.train.Checkpoint("epoch-{epoch:03d}.safetensors")
    """

    def __init__(
        self, path: str | os.PathLike[str], monitor: str | None = None, *, mode: Mode = "auto", every: int = 1
    ):
        if every < 1:
            raise ArgumentError(f"every must be 1 or more, got {every}")
        self.path, self.every = os.fspath(path), every
        self._options = None if monitor is None else (monitor, mode)
        self.begin(None)

    def begin(self, state: Any) -> None:
        """Forget the training before: its best is not compared with."""
        self._monitor = None if self._options is None else _Monitor(*self._options)

    def epoch_end(self, epoch: Epoch) -> bool | None:
        """Write the state, if it is the turn of this epoch."""
        improved = self._monitor is None or self._monitor.improved(epoch.logs)
        if improved and epoch.number % self.every == 0:
            try:
                path = Path(self.path.format(epoch=epoch.number, **epoch.logs))
            except (KeyError, IndexError) as error:
                raise ArgumentError(f"Checkpoint: the path {self.path!r} names {error}, which is none of epoch, "
                                    f"{', '.join(epoch.logs)}") from None  # fmt: skip
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, epoch.state, metadata={"epoch": epoch.number, "logs": dict(epoch.logs)})
        return None
