"""Metrics: how good predictions are, with the results of scikit-learn's functions, and under every transformation.

The arguments are scikit-learn's: first what is true, then what was predicted (losses have it the other way round).
Classes are the integers from 0 to `num_classes - 1`. Outside `jit`, `num_classes` may be left to the labels; in
compiled functions it must be given, and a label out of range raises when the program runs. Results are float64.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, IndexOutOfBoundsError, ShapeError
from functrans.scipy.special import xlogy

__all__ = [
    "accuracy", "confusion_matrix", "f1", "log_loss", "mae", "mse", "precision", "r2", "recall", "roc_auc",
    "top_k_accuracy",
]  # fmt: skip

Average = Literal["binary", "micro", "macro", "weighted"] | None


# ---------------------------------------------------------------- classes


def accuracy(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """Which part of the predictions is right, as `sklearn.metrics.accuracy_score`.

    Args:
        y_true, y_pred: labels, of one shape; or rows of them, which are right only as a whole.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: there are no samples.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.accuracy(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2]))
    Array(0.75)
    """
    true, predicted = _pair("accuracy", y_true, y_pred)
    right = true == predicted
    if aval_of(right).ndim > 1:
        right = fnp.all(right, tuple(range(1, aval_of(right).ndim)))
    return _mean("accuracy", right, weights)


def top_k_accuracy(y_true: Any, y_score: Any, k: int = 2, *, weights: Any = None) -> Any:
    """Which part of the true classes is among the `k` of the highest scores, as `sklearn.metrics.top_k_accuracy_score`.

    Args:
        y_true: classes, `(samples,)`.
        y_score: scores, `(samples, classes)`. Of equal scores that of the later class counts as higher.
        k: how many classes, from 1 on.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: `y_true` are no integers.
        IndexOutOfBoundsError: a label that is no class.
        ArgumentError: `k` is less than 1, or there are no samples.

    >>> import functrans as ft, numpy as np
    >>> scores = np.array([[0.5, 0.2, 0.3], [0.3, 0.4, 0.3], [0.2, 0.4, 0.6]])
    >>> ft.metrics.top_k_accuracy(np.array([0, 2, 0]), scores, k=2)
    Array(0.66666667)
    """
    name = "top_k_accuracy"
    scores = fnp.asarray(y_score)
    given = aval_of(scores)
    true = fnp.asarray(y_true)
    if given.ndim != 2 or aval_of(true).shape != given.shape[:1]:
        raise ShapeError(
            f"{name} takes classes (samples,) and scores (samples, classes), got {aval_of(true).shape} and "
            f"{given.shape}"
        )
    if k < 1:
        raise ArgumentError(f"{name} takes k of 1 or more, got {k}")
    true = _labels(name, "y_true", true, given.shape[1])
    own = fnp.take_along_axis(scores, true[:, None], 1)
    later = fnp.arange(given.shape[1]) > true[:, None]
    above = fnp.sum((scores > own) | ((scores == own) & later), 1)
    return _mean(name, above < k, weights)


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    num_classes: int | None = None,
    *,
    normalize: Literal["true", "pred", "all"] | None = None,
    weights: Any = None,
) -> Any:
    """How often class `j` was predicted where class `i` is true, as `sklearn.metrics.confusion_matrix`.

    Args:
        y_true, y_pred: classes, `(samples,)`.
        num_classes: how many there are; outside `jit` by default one more than the largest.
        normalize: divide by the sums of rows (`"true"`), of columns (`"pred"`), or of all. Where the sum is 0, so is
            the quotient.
        weights: of the samples, `(samples,)`.

    Returns:
        An array `(num_classes, num_classes)`: int64 counts; float64 with `normalize`, and the dtype of weights.

    Raises:
        ShapeError: other shapes.
        DTypeError: labels that are neither integers nor booleans.
        IndexOutOfBoundsError: a label that is no class.
        ArgumentError: no `num_classes` for traced labels; an unknown `normalize`.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.confusion_matrix(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1]))
    Array([[1, 1, 0],
           [0, 1, 0],
           [0, 1, 0]])
    """
    name = "confusion_matrix"
    if normalize not in (None, "true", "pred", "all"):
        raise ArgumentError(f"{name}: normalize is 'true', 'pred', 'all' or None, got {normalize!r}")
    counts = _confusion(name, y_true, y_pred, num_classes, weights)
    if normalize is None:
        return counts
    axis = {"true": 1, "pred": 0, "all": (0, 1)}[normalize]
    return _ratio(counts, fnp.broadcast_to(fnp.sum(counts, axis, keepdims=True), aval_of(counts).shape), 0.0)


def precision(
    y_true: Any,
    y_pred: Any,
    *,
    average: Average = "binary",
    pos_label: int = 1,
    num_classes: int | None = None,
    zero_division: float = 0.0,
    weights: Any = None,
) -> Any:
    """Which part of the predictions of a class is right, as `sklearn.metrics.precision_score`.

    Args:
        y_true, y_pred: classes, `(samples,)`.
        average: `"binary"`, that of class `pos_label` of two classes; `"micro"`, of all predictions together;
            `"macro"`, the mean over the classes that occur; `"weighted"`, the same with the classes weighted by how
            often they are true; `None`, an array `(num_classes,)` of all.
        pos_label: the class that counts for `"binary"`.
        num_classes: how many classes there are; outside `jit` by default one more than the largest.
        zero_division: the value where a class was never predicted, so that there is nothing to divide by.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: labels that are neither integers nor booleans.
        IndexOutOfBoundsError: a label that is no class.
        ArgumentError: no samples; more than two classes for `"binary"`; no `num_classes` for traced labels.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.precision(np.array([1, 0, 1, 1]), np.array([1, 1, 1, 0]))
    Array(0.66666667)
    """
    right, true, predicted = _counts("precision", y_true, y_pred, average, pos_label, num_classes, weights)
    return _averaged(right, predicted, true, predicted, average, pos_label, zero_division)


def recall(
    y_true: Any,
    y_pred: Any,
    *,
    average: Average = "binary",
    pos_label: int = 1,
    num_classes: int | None = None,
    zero_division: float = 0.0,
    weights: Any = None,
) -> Any:
    """Which part of the samples of a class was found, as `sklearn.metrics.recall_score`. Arguments as for `precision`.

    `zero_division` is the value where no sample has the class.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.recall(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2]), average=None)
    Array([1., 0., 1.])
    """
    right, true, predicted = _counts("recall", y_true, y_pred, average, pos_label, num_classes, weights)
    return _averaged(right, true, true, predicted, average, pos_label, zero_division)


def f1(
    y_true: Any,
    y_pred: Any,
    *,
    average: Average = "binary",
    pos_label: int = 1,
    num_classes: int | None = None,
    zero_division: float = 0.0,
    weights: Any = None,
) -> Any:
    """The harmonic mean of precision and recall, as `sklearn.metrics.f1_score`. Arguments as for `precision`.

    `zero_division` is the value where no sample has the class and none was predicted to.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.f1(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2]), average="macro")
    Array(0.6)
    """
    right, true, predicted = _counts("f1", y_true, y_pred, average, pos_label, num_classes, weights)
    return _averaged(2 * right, true + predicted, true, predicted, average, pos_label, zero_division)


def roc_auc(y_true: Any, y_score: Any, *, weights: Any = None) -> Any:
    """The area under the receiver operating characteristic, as `sklearn.metrics.roc_auc_score` for two classes.

    It is the probability that a positive sample has a higher score than a negative one, where equal scores count half
    (J. Hanley and B. McNeil, "The meaning and use of the area under a ROC curve", Radiology 143, 1982).

    Args:
        y_true: 0 and 1, or booleans, `(samples,)`.
        y_score: real numbers, `(samples,)`.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: `y_true` are neither integers nor booleans.
        IndexOutOfBoundsError: a label other than 0 and 1.
        ArgumentError: no positive or no negative samples; in compiled functions the result is NaN then.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    Array(0.75)
    """
    name = "roc_auc"
    true, scores = _pair(name, y_true, y_score)
    _samples(name, true)
    true = _labels(name, "y_true", true, 2)
    w = _weights(name, weights, aval_of(true).shape[0])
    positive, negative = w * (true == 1), w * (true == 0)
    both = fnp.sum(positive) * fnp.sum(negative)
    if not isinstance(both, Tracer) and both == 0:
        missing = "positive" if fnp.sum(positive) == 0 else "negative"
        raise ArgumentError(f"{name} compares positive with negative samples, but there are no {missing} ones")
    order = fnp.argsort(scores)
    ordered = scores[order]
    below = fnp.concatenate([fnp.zeros(1), fnp.cumsum(negative[order])])
    lower, equal = (below[fnp.searchsorted(ordered, scores, side=side)] for side in ("left", "right"))
    won = fnp.sum(positive * 0.5 * (lower + equal))
    return fnp.where(both == 0, np.nan, won / fnp.where(both == 0, 1.0, both))


def log_loss(y_true: Any, y_prob: Any, *, weights: Any = None) -> Any:
    """Minus the mean logarithm of the probability given to the true class, as `sklearn.metrics.log_loss`.

    Args:
        y_true: classes, `(samples,)`.
        y_prob: probabilities `(samples, classes)`, or those of class 1 of two, `(samples,)`. They are kept away from 0
            and 1 by the precision of their dtype, so that the result is finite.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: `y_true` are neither integers nor booleans.
        IndexOutOfBoundsError: a label that is no class.
        ArgumentError: probabilities outside of [0, 1] (outside `jit`), or no samples.

    For training take `functrans.losses.categorical_cross_entropy` of logits.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]]))
    Array(1.03972077)
    """
    name = "log_loss"
    true, p = fnp.asarray(y_true), fnp.asarray(y_prob)
    if aval_of(p).ndim not in (1, 2) or aval_of(true).shape != aval_of(p).shape[:1]:
        raise ShapeError(
            f"{name} takes classes (samples,) and probabilities (samples, classes) or (samples,), got "
            f"{aval_of(true).shape} and {aval_of(p).shape}"
        )
    _samples(name, true)
    if not isinstance(p, Tracer) and not ((p >= 0) & (p <= 1)).all():
        raise ArgumentError(f"{name} takes probabilities between 0 and 1, got {p[~((p >= 0) & (p <= 1))][0]}")
    p = p if kind_of(aval_of(p).dtype) == "f" else p.astype(np.float64)
    if aval_of(p).ndim == 1:
        p = fnp.stack([1 - p, p], 1)
    true = _labels(name, "y_true", true, aval_of(p).shape[1])
    eps = float(float_info(aval_of(p).dtype).eps)
    chosen = fnp.clip(fnp.take_along_axis(p, true[:, None], 1)[:, 0], eps, 1 - eps)
    return _mean(name, -xlogy(1.0, chosen.astype(np.float64)), weights)


# ---------------------------------------------------------------- regression


def mse(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """The mean squared error, as `sklearn.metrics.mean_squared_error`.

    Args:
        y_true, y_pred: numbers `(samples,)` or `(samples, outputs)`.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: there are no samples.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.mse(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(2.)
    """
    true, predicted = _numbers("mse", y_true, y_pred)
    return fnp.mean(_mean("mse", fnp.square(true - predicted), weights))


def mae(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """The mean absolute error, as `sklearn.metrics.mean_absolute_error`. Arguments as for `mse`.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.mae(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(1.)
    """
    true, predicted = _numbers("mae", y_true, y_pred)
    return fnp.mean(_mean("mae", fnp.abs(true - predicted), weights))


def r2(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """The coefficient of determination, `1 - sum((y - p)^2) / sum((y - mean(y))^2)`, as `sklearn.metrics.r2_score`.

    Of several outputs the mean. For constant `y_true` it is 1 if the predictions are exact, and else 0.

    Arguments as for `mse`, with two samples at least.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    Array(0.5)
    """
    true, predicted = _numbers("r2", y_true, y_pred)
    if aval_of(true).shape[0] == 1:
        raise ArgumentError("r2 takes two samples at least: of one there is no variance")
    residual = _mean("r2", fnp.square(true - predicted), weights)
    variance = _mean("r2", fnp.square(true - _mean("r2", true, weights)), weights)
    constant = variance == 0
    score = 1 - residual / fnp.where(constant, 1.0, variance)
    return fnp.mean(fnp.where(constant, fnp.where(residual == 0, 1.0, 0.0), score))


# ---------------------------------------------------------------- what metrics share


def _pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    true, predicted = fnp.asarray(y_true), fnp.asarray(y_pred)
    if aval_of(true).shape != aval_of(predicted).shape:
        raise ShapeError(
            f"{name}: what is true and what was predicted must have one shape, got {aval_of(true).shape} and "
            f"{aval_of(predicted).shape}"
            + ("; of scores for classes take the highest, .argmax(-1)" if name == "accuracy" else "")
        )
    return true, predicted


def _numbers(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    true, predicted = _pair(name, y_true, y_pred)
    if aval_of(true).ndim not in (1, 2):
        raise ShapeError(f"{name} takes arrays (samples,) or (samples, outputs), got shape {aval_of(true).shape}")
    return true.astype(np.float64), predicted.astype(np.float64)


def _samples(name: str, x: Any) -> int:
    shape = aval_of(x).shape
    if not shape:
        raise ShapeError(f"{name} takes arrays of samples, got a scalar")
    if 0 in shape:
        raise ArgumentError(f"{name} takes one sample at least, got shape {shape}")
    return shape[0]


def _weights(name: str, weights: Any, count: int) -> Any:
    """Weights of the samples, `(count,)`."""
    if weights is None:
        return fnp.ones(count, np.int64)
    weights = fnp.asarray(weights)
    if aval_of(weights).shape != (count,):
        raise ShapeError(
            f"{name}: weights have a number for each of {count} samples, got shape {aval_of(weights).shape}"
        )
    return weights if kind_of(aval_of(weights).dtype) in "fi" else weights.astype(np.int64)


def _mean(name: str, values: Any, weights: Any) -> Any:
    """The mean over the first axis."""
    w = _weights(name, weights, _samples(name, values)).astype(np.float64)
    w = w.reshape((-1,) + (1,) * (aval_of(values).ndim - 1))
    return fnp.sum(w * values, 0) / fnp.sum(w)


def _labels(name: str, what: str, labels: Any, classes: int) -> Any:
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


def _confusion(name: str, y_true: Any, y_pred: Any, num_classes: int | None, weights: Any) -> Any:
    true, predicted = _pair(name, y_true, y_pred)
    if aval_of(true).ndim != 1:
        raise ShapeError(f"{name} takes classes (samples,), got shape {aval_of(true).shape}")
    _samples(name, true)
    if num_classes is None:
        if isinstance(true, Tracer) or isinstance(predicted, Tracer):
            raise ArgumentError(f"{name} of traced labels needs num_classes, as the shape of its arrays depends on it")
        num_classes = int(max(true.max(), predicted.max(), 0)) + 1
    true = _labels(name, "y_true", true, num_classes)
    predicted = _labels(name, "y_pred", predicted, num_classes)
    w = _weights(name, weights, aval_of(true).shape[0])
    return fnp.zeros((num_classes, num_classes), aval_of(w).dtype).at[true, predicted].add(w)


def _counts(
    name: str, y_true: Any, y_pred: Any, average: Any, pos_label: int, num_classes: int | None, weights: Any
) -> tuple[Any, Any, Any]:
    """For each class how often it was rightly predicted, how often it is true, and how often it was predicted."""
    if average not in ("binary", "micro", "macro", "weighted", None):
        raise ArgumentError(f"{name}: average is 'binary', 'micro', 'macro', 'weighted' or None, got {average!r}")
    if average == "binary":
        if num_classes not in (None, 2) or pos_label not in (0, 1):
            raise ArgumentError(
                f"{name}: average='binary' is for the classes 0 and 1; choose 'micro', 'macro', 'weighted' or None"
            )
        highest = 1
        for labels in (y_true, y_pred):
            if not isinstance(labels, Tracer) and np.size(labels):
                highest = max(highest, int(np.max(labels)))
        if highest > 1:
            raise ArgumentError(
                f"{name}: average='binary' is for the classes 0 and 1, but there is a label {highest}; choose 'micro', "
                "'macro', 'weighted' or None"
            )
        num_classes = 2
    matrix = _confusion(name, y_true, y_pred, num_classes, weights)
    return fnp.diagonal(matrix), fnp.sum(matrix, 1), fnp.sum(matrix, 0)


def _averaged(
    above: Any, below: Any, true: Any, predicted: Any, average: Any, pos_label: int, zero_division: float
) -> Any:
    if average == "micro":
        return _ratio(fnp.sum(above), fnp.sum(below), zero_division)
    ratios = _ratio(above, below, zero_division)
    if average is None:
        return ratios
    if average == "binary":
        return ratios[pos_label]
    # Classes that do not occur have no part in the mean.
    w = true if average == "weighted" else (true + predicted > 0)
    w = w.astype(np.float64)
    return _ratio(fnp.sum(w * ratios), fnp.sum(w), zero_division)


def _ratio(above: Any, below: Any, otherwise: float) -> Any:
    above, below = above.astype(np.float64), below.astype(np.float64)
    return fnp.where(below == 0, otherwise, above / fnp.where(below == 0, 1.0, below))
