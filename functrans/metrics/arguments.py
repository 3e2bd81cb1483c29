"""The arguments of metrics, checked: pairs of arrays, labels, weights; and means over samples."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, IndexOutOfBoundsError, ShapeError


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Two arrays of one shape."""
    true, predicted = fnp.asarray(y_true), fnp.asarray(y_pred)
    if aval_of(true).shape != aval_of(predicted).shape:
        raise ShapeError(
            f"{name}: what is true and what was predicted must have one shape, got {aval_of(true).shape} and "
            f"{aval_of(predicted).shape}"
            + ("; of scores for classes take the highest, .argmax(-1)" if name == "accuracy" else "")
        )
    return true, predicted


def sample_count(name: str, x: Any) -> int:
    """How many samples there are, at least one."""
    shape = aval_of(x).shape
    if not shape:
        raise ShapeError(f"{name} takes arrays of samples, got a scalar")
    if 0 in shape:
        raise ArgumentError(f"{name} takes one sample at least, got shape {shape}")
    return shape[0]


def sample_weights(name: str, weights: Any, count: int) -> Any:
    """Weights of the samples, `(count,)`."""
    if weights is None:
        return fnp.ones(count, np.int64)
    weights = fnp.asarray(weights)
    if aval_of(weights).shape != (count,):
        raise ShapeError(
            f"{name}: weights have a number for each of {count} samples, got shape {aval_of(weights).shape}"
        )
    return weights if kind_of(aval_of(weights).dtype) in "fi" else weights.astype(np.int64)


def mean_of_samples(name: str, values: Any, weights: Any) -> Any:
    """The mean over the first axis."""
    w = sample_weights(name, weights, sample_count(name, values)).astype(np.float64)
    w = w.reshape((-1,) + (1,) * (aval_of(values).ndim - 1))
    return fnp.sum(w * values, 0) / fnp.sum(w)


def checked_labels(name: str, what: str, labels: Any, classes: int) -> Any:
    """Labels as indices that are in range, or raise: at once, or when the compiled program uses them."""
    if aval_of(labels).dtype.kind not in "iub":
        raise DTypeError(f"{name}: {what} are integers or booleans, got {aval_of(labels).dtype}")
    labels = labels.astype(np.int64)
    valid = (labels >= 0) & (labels < classes)
    if isinstance(labels, Tracer):
        return fnp.where(valid, labels, classes)  # negative ones would count from the end
    if not valid.all():
        raise IndexOutOfBoundsError(f"{name}: {what} lie in [0, {classes}), got {labels[~valid][0]}")
    return labels


def indicators(name: str, what: str, labels: Any) -> Any:
    """Zeros and ones, of labels that a sample has or has not, as booleans; or raise as `checked_labels` does."""
    if isinstance(labels, Tracer) and aval_of(labels).dtype != bool:
        return fnp.array([False, True])[checked_labels(name, what, labels, 2)]
    return checked_labels(name, what, labels, 2).astype(bool)


def ratio(above: Any, below: Any, otherwise: float) -> Any:
    """A quotient of counts, or this where there is nothing to divide by."""
    above, below = above.astype(np.float64), below.astype(np.float64)
    return fnp.where(below == 0, otherwise, above / fnp.where(below == 0, 1.0, below))
