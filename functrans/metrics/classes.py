"""Metrics of classes: which was predicted where another is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of, float_info, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.metrics.arguments import (
    checked_labels,
    indicators,
    mean_of_samples,
    pair,
    ratio,
    sample_count,
    sample_weights,
)
from functrans.scipy.special import xlogy

__all__ = [
    "accuracy", "balanced_accuracy", "confusion_matrix", "f1", "log_loss", "matthews_corrcoef", "precision", "recall",
    "top_k_accuracy",
]  # fmt: skip

Average = Literal["binary", "micro", "macro", "weighted", "samples"] | None


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
    true, predicted = pair("accuracy", y_true, y_pred)
    right = true == predicted
    if aval_of(right).ndim > 1:
        right = fnp.all(right, tuple(range(1, aval_of(right).ndim)))
    return mean_of_samples("accuracy", right, weights)


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
    true = checked_labels(name, "y_true", true, given.shape[1])
    own = fnp.take_along_axis(scores, true[:, None], 1)
    later = fnp.arange(given.shape[1]) > true[:, None]
    above = fnp.sum((scores > own) | ((scores == own) & later), 1)
    return mean_of_samples(name, above < k, weights)


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
    return ratio(counts, fnp.broadcast_to(fnp.sum(counts, axis, keepdims=True), aval_of(counts).shape), 0.0)


def balanced_accuracy(y_true: Any, y_pred: Any, *, num_classes: int | None = None, weights: Any = None) -> Any:
    """The mean recall of the classes that occur, as `sklearn.metrics.balanced_accuracy_score`.

    Args:
        y_true, y_pred: classes, `(samples,)`.
        num_classes: how many classes there are; outside `jit` by default one more than the largest.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError, DTypeError, IndexOutOfBoundsError, ArgumentError: as `confusion_matrix`.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    Array(0.83333333)
    """
    counts = _confusion("balanced_accuracy", y_true, y_pred, num_classes, weights)
    true = fnp.sum(counts, 1)
    return fnp.sum(ratio(fnp.diagonal(counts), true, 0.0)) / fnp.sum(true > 0)


def matthews_corrcoef(y_true: Any, y_pred: Any, *, num_classes: int | None = None, weights: Any = None) -> Any:
    """The correlation of predicted with true classes, from -1 to 1, as `sklearn.metrics.matthews_corrcoef`.

    It is 0 where one of the two is always the same class. Arguments as for `balanced_accuracy`.

    Source: J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", Computational
    Biology and Chemistry 28 (2004).

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.matthews_corrcoef(np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1]))
    Array(-0.33333333)
    """
    counts = _confusion("matthews_corrcoef", y_true, y_pred, num_classes, weights).astype(np.float64)
    true, predicted, total = fnp.sum(counts, 1), fnp.sum(counts, 0), fnp.sum(counts)
    covariance = lambda a, b, both: both * total - fnp.sum(a * b)
    spread = covariance(true, true, total) * covariance(predicted, predicted, total)
    varies = spread > 0
    together = covariance(true, predicted, fnp.trace(counts))
    return fnp.where(varies, together / fnp.sqrt(fnp.where(varies, spread, 1.0)), 0.0)


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
        y_true, y_pred: classes, `(samples,)`; or where a sample may have several labels, 0 or 1 for each of them,
            `(samples, labels)`.
        average: `"binary"`, that of class `pos_label` of two classes; `"micro"`, of all predictions together;
            `"macro"`, the mean over the classes that occur, or over all labels; `"weighted"`, the same with the classes
            weighted by how often they are true; `None`, an array `(num_classes,)` of all; `"samples"`, the mean over
            the samples, each with several labels.
        pos_label: the class that counts for `"binary"`.
        num_classes: how many classes there are; outside `jit` by default one more than the largest.
        zero_division: the value where a class was never predicted, so that there is nothing to divide by.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: labels that are neither integers nor booleans.
        IndexOutOfBoundsError: a label that is no class.
        ArgumentError: no samples; more than two classes for `"binary"`; no `num_classes` for traced classes;
            `"samples"` where each sample has one class.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.precision(np.array([1, 0, 1, 1]), np.array([1, 1, 1, 0]))
    Array(0.66666667)
    """
    right, _, predicted, mean = _counts("precision", y_true, y_pred, average, pos_label, num_classes, weights)
    return mean(ratio(right, predicted, zero_division))


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
    right, true, _, mean = _counts("recall", y_true, y_pred, average, pos_label, num_classes, weights)
    return mean(ratio(right, true, zero_division))


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
    right, true, predicted, mean = _counts("f1", y_true, y_pred, average, pos_label, num_classes, weights)
    return mean(ratio(2 * right, true + predicted, zero_division))


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
    sample_count(name, true)
    if not isinstance(p, Tracer) and not ((p >= 0) & (p <= 1)).all():
        raise ArgumentError(f"{name} takes probabilities between 0 and 1, got {p[~((p >= 0) & (p <= 1))][0]}")
    p = p if kind_of(aval_of(p).dtype) == "f" else p.astype(np.float64)
    if aval_of(p).ndim == 1:
        p = fnp.stack([1 - p, p], 1)
    true = checked_labels(name, "y_true", true, aval_of(p).shape[1])
    eps = float(float_info(aval_of(p).dtype).eps)
    chosen = fnp.clip(fnp.take_along_axis(p, true[:, None], 1)[:, 0], eps, 1 - eps)
    return mean_of_samples(name, -xlogy(1.0, chosen.astype(np.float64)), weights)


def _confusion(name: str, y_true: Any, y_pred: Any, num_classes: int | None, weights: Any) -> Any:
    true, predicted = pair(name, y_true, y_pred)
    if aval_of(true).ndim != 1:
        raise ShapeError(f"{name} takes classes (samples,), got shape {aval_of(true).shape}")
    sample_count(name, true)
    if num_classes is None:
        if isinstance(true, Tracer) or isinstance(predicted, Tracer):
            raise ArgumentError(f"{name} of traced labels needs num_classes, as the shape of its arrays depends on it")
        num_classes = int(max(true.max(), predicted.max(), 0)) + 1
    true = checked_labels(name, "y_true", true, num_classes)
    predicted = checked_labels(name, "y_pred", predicted, num_classes)
    w = sample_weights(name, weights, aval_of(true).shape[0])
    return fnp.zeros((num_classes, num_classes), aval_of(w).dtype).at[true, predicted].add(w)


def _counts(
    name: str, y_true: Any, y_pred: Any, average: Average, pos_label: int, num_classes: int | None, weights: Any
) -> tuple[Any, Any, Any, Callable[[Any], Any]]:
    """Of what ratios are taken: how often a class was rightly predicted, is true, and was predicted; and their mean."""
    if average not in ("binary", "micro", "macro", "weighted", "samples", None):
        raise ArgumentError(
            f"{name}: average is 'binary', 'micro', 'macro', 'weighted', 'samples' or None, got {average!r}"
        )
    if aval_of(fnp.asarray(y_true)).ndim == 2:
        return _counts_of_indicators(name, y_true, y_pred, average, num_classes, weights)
    if average == "samples":
        raise ArgumentError(f"{name}: average='samples' is for samples of several labels, (samples, labels)")
    if average == "binary":
        _check_binary(name, y_true, y_pred, pos_label, num_classes)
        num_classes = 2
    matrix = _confusion(name, y_true, y_pred, num_classes, weights)
    right, true, predicted = fnp.diagonal(matrix), fnp.sum(matrix, 1), fnp.sum(matrix, 0)
    if average == "binary":
        return right, true, predicted, lambda ratios: ratios[pos_label]
    # Classes that do not occur have no part in the mean.
    return *_summed(right, true, predicted, average), _mean_of_classes(average, true, true + predicted > 0)


def _counts_of_indicators(
    name: str, y_true: Any, y_pred: Any, average: Average, num_classes: int | None, weights: Any
) -> tuple[Any, Any, Any, Callable[[Any], Any]]:
    """The same of labels of which a sample may have several, `(samples, labels)`."""
    true, predicted = pair(name, y_true, y_pred)
    count, labels = aval_of(true).shape
    sample_count(name, true)
    if average == "binary":
        raise ArgumentError(
            f"{name}: average='binary' is for one label of each sample, got shape {(count, labels)}; choose 'micro', "
            "'macro', 'weighted', 'samples' or None"
        )
    if num_classes not in (None, labels):
        raise ArgumentError(f"{name}: num_classes={num_classes} of labels of shape {(count, labels)}")
    true, predicted = indicators(name, "y_true", true), indicators(name, "y_pred", predicted)
    if average == "samples":
        counts = [fnp.sum(x, 1) for x in (true & predicted, true, predicted)]
        return *counts, lambda ratios: mean_of_samples(name, ratios, weights)
    w = sample_weights(name, weights, count)[:, None]
    right, true, predicted = (fnp.sum(w * x, 0) for x in (true & predicted, true, predicted))
    return *_summed(right, true, predicted, average), _mean_of_classes(average, true, fnp.ones(labels))


def _check_binary(name: str, y_true: Any, y_pred: Any, pos_label: int, num_classes: int | None) -> None:
    remedy = "choose 'micro', 'macro', 'weighted' or None"
    if num_classes not in (None, 2) or pos_label not in (0, 1):
        raise ArgumentError(f"{name}: average='binary' is for the classes 0 and 1; {remedy}")
    known = [np.max(labels) for labels in (y_true, y_pred) if not isinstance(labels, Tracer) and np.size(labels)]
    if (highest := max(known, default=0)) > 1:
        raise ArgumentError(
            f"{name}: average='binary' is for the classes 0 and 1, but there is a label {highest}; {remedy}"
        )


def _summed(right: Any, true: Any, predicted: Any, average: Average) -> tuple[Any, Any, Any]:
    """The counts of classes, or for `"micro"` of all together."""
    return (fnp.sum(right), fnp.sum(true), fnp.sum(predicted)) if average == "micro" else (right, true, predicted)


def _mean_of_classes(average: Average, true: Any, present: Any) -> Callable[[Any], Any]:
    """How the ratios of classes become the result."""
    if average in ("micro", None):
        return lambda ratios: ratios
    if average == "weighted":
        present = fnp.where(fnp.sum(true) > 0, true, present)
    present = present.astype(np.float64)
    return lambda ratios: fnp.sum(present * ratios) / fnp.sum(present)
