"""The loss and the metrics of a training: by name or as functions, over one batch and over an epoch.

A metric that is a mean over examples is computed batch by batch, inside the compiled step, and averaged; for any other
(F1, the area under a curve, a function of the user's) the predictions of the epoch are kept, and it is computed once
from all of them. So all are exact, and only those that need it cost memory.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import losses, metrics as library
from functrans.api.flattening import name_of
from functrans.api.staging import eval_shape
from functrans.core.avals import aval_of
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ArgumentError, ShapeError
from functrans.train.state import examples_in

Metric = Callable[..., Any]


def loss_of(loss: Any) -> Callable[..., Any]:
    """The loss of a name, or a function as it is."""
    if isinstance(loss, str):
        if loss not in losses.__all__:
            raise ArgumentError(f"there is no loss {loss!r}; functrans.losses has {', '.join(losses.__all__)}")
        return getattr(losses, loss)
    if not callable(loss):
        raise ArgumentError(f"the loss must be a function of (predictions, targets) or a name, got {loss!r:.60}")
    return loss


def class_accuracy(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """Which part of the examples has its highest score at the true class."""
    true, scores = aval_of(fnp.asarray(y_true)), aval_of(y_pred)
    if scores.ndim == 0 or (scores.shape != true.shape and scores.shape[:-1] != true.shape):
        raise ShapeError(
            f"accuracy: scores of shape {scores.shape} (classes last) do not fit targets of shape {true.shape}"
        )
    if scores.shape == true.shape and (true.ndim < 2 or true.shape[-1] == 1):
        raise ShapeError(
            f"accuracy takes scores with an axis of classes, got predictions of the shape of the targets, {true.shape}."
            ' For two classes by one number say where they part: metrics={"accuracy": lambda y, p: '
            "functrans.metrics.accuracy(y, p > 0)} (0.5 for probabilities)."
        )
    labels = fnp.argmax(y_true, -1) if scores.shape == true.shape else fnp.asarray(y_true)
    if weights is not None:
        weights = fnp.ravel(fnp.broadcast_to(_of_examples(weights, aval_of(labels).ndim), aval_of(labels).shape))
    return library.accuracy(fnp.ravel(labels), fnp.ravel(fnp.argmax(y_pred, -1)), weights=weights)


#: What names mean, and which of them are means over examples.
_BY_NAME: dict[str, Metric] = {
    "accuracy": class_accuracy, "top_k_accuracy": library.top_k_accuracy, "log_loss": library.log_loss,
    "mse": library.mse, "mae": library.mae, "rmse": library.rmse, "r2": library.r2, "roc_auc": library.roc_auc,
    "average_precision": library.average_precision, "ndcg": library.ndcg,
}  # fmt: skip
_MEANS = (class_accuracy, library.accuracy, library.top_k_accuracy, library.log_loss, library.mse, library.mae)


def metrics_of(metrics: Any) -> dict[str, Metric]:
    """Metrics by name, from a sequence of names and functions or a mapping from names to functions."""
    if isinstance(metrics, (str, Mapping)) or callable(metrics):
        pairs = dict(metrics) if isinstance(metrics, Mapping) else {_name(metrics): metrics}
    elif isinstance(metrics, Sequence):
        pairs = {_name(metric): metric for metric in metrics}
        if len(pairs) < len(metrics):
            raise ArgumentError("two metrics have one name; pass a dict with a name for each")
    else:
        raise ArgumentError(f"metrics must be a sequence of names or functions, or a dict of such, got {metrics!r:.60}")
    for name, metric in pairs.items():
        if isinstance(metric, str):
            if metric not in _BY_NAME:
                raise ArgumentError(
                    f"there is no metric {metric!r} by name: there are {', '.join(_BY_NAME)}. Others are functions of "
                    "(y_true, predictions): lambda y, p: functrans.metrics.f1(y, p.argmax(-1), average='macro'), say."
                )
            pairs[name] = _BY_NAME[metric]
        elif not callable(metric):
            raise ArgumentError(f"the metric {name!r} must be a function of (y_true, predictions), got {metric!r:.60}")
    if "loss" in pairs:
        raise ArgumentError("a metric cannot be named 'loss', which is the loss's own name")
    return pairs


def _name(metric: Any) -> str:
    return metric if isinstance(metric, str) else name_of(metric)


def _of_examples(weights: Any, rank: int) -> Any:
    """Weights `(examples, ...)` as an array of this rank: one of an example is that of all its elements."""
    weights = fnp.asarray(weights)
    return fnp.reshape(weights, aval_of(weights).shape + (1,) * (rank - aval_of(weights).ndim))


def _weighed(metric: Metric, weights: Any) -> dict[str, Any]:
    """The weights as an argument, for a metric that takes them."""
    return {"weights": weights} if weights is not None and _takes_weights(metric) else {}


def _takes_weights(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters
    return "weights" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _is_of_library(loss: Callable[..., Any]) -> bool:
    """Whether this is one of `functrans.losses`, perhaps with some options set."""
    while isinstance(loss, functools.partial):
        loss = loss.func
    return any(loss is getattr(losses, name) for name in losses.__all__)


class Judge:
    """A loss, if there is one, and metrics: which are computed in the compiled step, and which from a whole epoch.

    Two judges of the same functions are equal, so that what was compiled for one serves the other.
    """

    def __init__(self, loss: Any, metrics: Any):
        self.loss = None if loss is None else loss_of(loss)
        found = metrics_of(metrics)
        self.means = {name: metric for name, metric in found.items() if metric in _MEANS}
        self.wholes = {name: metric for name, metric in found.items() if metric not in _MEANS}
        self.names = (*(() if loss is None else ("loss",)), *found)
        self._key = (self.loss, tuple(self.means.items()), bool(self.wholes))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Judge) and self._key == other._key

    def objective(self, predictions: Any, y: Any, weights: Any) -> Any:
        """The loss of a batch."""
        loss = self.loss
        assert loss is not None
        if weights is None:
            return loss(predictions, y)
        if not _takes_weights(loss):
            raise ArgumentError(
                f"the data have weights, so the loss must take them: {name_of(loss)}(predictions, targets, "
                "weights=...), as those of functrans.losses do"
            )
        if _is_of_library(loss):
            each = eval_shape(lambda p, y: loss(p, y, reduction="none"), predictions, y)
            weights = _of_examples(weights, len(each.shape))
        return loss(predictions, y, weights=weights)

    def of_batch(self, predictions: Any, y: Any, weights: Any) -> tuple[dict[str, Any], Any]:
        """The metrics of a batch that are means, and the predictions if they are needed for others."""
        means = {name: metric(y, predictions, **_weighed(metric, weights)) for name, metric in self.means.items()}
        return means, predictions if self.wholes else None


class Tally:
    """What a judge finds, batch after batch, in an epoch."""

    def __init__(self, judge: Judge):
        self.judge = judge
        self.sums = dict.fromkeys((name for name in judge.names if name not in judge.wholes), 0.0)
        self.weight = 0.0
        self.kept: list[tuple[Any, Any, Any]] = []

    def add(self, batch: Any, found: dict[str, Any], predictions: Any) -> None:
        """The results of a batch, which counts by its examples or by their weights."""
        _, y, *weights = batch
        weight = float(np.sum(weights[0])) if weights else examples_in(batch)
        self.weight += weight
        for name, value in found.items():
            if weight:
                self.sums[name] += weight * float(value)
        if self.judge.wholes:
            self.kept.append((y, predictions, weights[0] if weights else None))

    def running(self) -> dict[str, float]:
        """The means so far."""
        return {name: total / self.weight if self.weight else float("nan") for name, total in self.sums.items()}

    def results(self) -> dict[str, float]:
        """The results of the epoch, in the order in which the metrics were given."""
        found = self.running()
        if self.judge.wholes:
            if not self.kept:
                return dict.fromkeys(self.judge.names, float("nan"))
            y, predictions = (joined([part[i] for part in self.kept]) for i in (0, 1))
            weights = None if self.kept[0][2] is None else np.concatenate([w for _, _, w in self.kept])
            for name, metric in self.judge.wholes.items():
                found[name] = float(metric(y, predictions, **_weighed(metric, weights)))
        return {name: found[name] for name in self.judge.names}


def joined(parts: Sequence[Any]) -> Any:
    """Pytrees of arrays, one after the other along the first axis."""
    columns = [flatten(part) for part in parts]
    return unflatten(columns[0][1], [fnp.concatenate(leaves) for leaves in zip(*(leaves for leaves, _ in columns))])
