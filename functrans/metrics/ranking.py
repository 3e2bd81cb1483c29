"""Metrics of scores, by the order in which they put samples or items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import functrans.numpy as fnp
from functrans.api.vectorization import vmap
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.metrics.arguments import (
    checked_labels,
    indicators,
    mean_of_samples,
    pair,
    sample_count,
    sample_weights,
)

__all__ = ["average_precision", "ndcg", "roc_auc"]

Average = Literal["micro", "macro", "weighted"] | None


def roc_auc(y_true: Any, y_score: Any, *, average: Average = "macro", weights: Any = None) -> Any:
    """The area under the receiver operating characteristic, as `sklearn.metrics.roc_auc_score`.

    It is the probability that a positive sample has a higher score than a negative one, where equal scores count half
    (J. Hanley and B. McNeil, "The meaning and use of the area under a ROC curve", Radiology 143, 1982). Of several
    classes each is compared with all others (`multi_class="ovr"`).

    Args:
        y_true: 0 and 1, or booleans, `(samples,)`; of several classes their numbers, `(samples,)`; of labels of which a
            sample may have several 0 or 1 for each, `(samples, labels)`.
        y_score: real numbers, `(samples,)`; of several classes or labels for each of them, `(samples, classes)`.
        average: of several classes or labels `"macro"`, the mean; `"weighted"`, the mean weighted by how often they are
            true; `"micro"`, of all pairs of a sample and a label together; `None`, an array of all.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        DTypeError: `y_true` are neither integers nor booleans.
        IndexOutOfBoundsError: a label other than 0 and 1, or that is no class.
        ArgumentError: no positive or no negative samples; in compiled functions the result is NaN then.

    With a score of NaN the result is NaN.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    Array(0.75)
    """
    return _of_labels("roc_auc", _area, y_true, y_score, average, weights)


def average_precision(y_true: Any, y_score: Any, *, average: Average = "macro", weights: Any = None) -> Any:
    """The mean of the precisions at each positive sample, as `sklearn.metrics.average_precision_score`.

    The precision at a sample is that of the prediction that all samples of its score and above are positive. Without
    any positive sample it is 0. Arguments and errors as for `roc_auc`.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    Array(0.83333333)
    """
    return _of_labels("average_precision", _precision, y_true, y_score, average, weights)


def ndcg(y_true: Any, y_score: Any, k: int | None = None, *, weights: Any = None) -> Any:
    """Normalized discounted cumulative gain, the mean over the samples, as `sklearn.metrics.ndcg_score`.

    The gain of a sample is the sum of the relevances of its items, each divided by the logarithm of its place; it is
    divided by that of the best order. Items of equal scores share their places.

    Args:
        y_true: relevances, not negative, `(samples, items)`.
        y_score: scores, `(samples, items)`.
        k: how many places count, all by default.
        weights: of the samples, `(samples,)`.

    Raises:
        ShapeError: other shapes.
        ArgumentError: a negative relevance (outside `jit`), `k` is less than 1, or there are no samples.

    A sample without relevant items has 0.

    Source: K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002).

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.ndcg(np.array([[3, 2, 0, 1]]), np.array([[0.9, 0.2, 0.4, 0.1]]))
    Array(0.93045092)
    """
    name = "ndcg"
    true, scores = (x.astype(np.float64) for x in pair(name, y_true, y_score))
    if aval_of(true).ndim != 2:
        raise ShapeError(f"{name} takes arrays (samples, items), got shape {aval_of(true).shape}")
    sample_count(name, true)
    if k is not None and k < 1:
        raise ArgumentError(f"{name} takes k of 1 or more, got {k}")
    if not isinstance(true, Tracer) and (true < 0).any():
        raise ArgumentError(f"{name} takes relevances that are not negative, got {true.min()}")
    places = np.arange(aval_of(true).shape[1])
    discounts = np.where(places < (len(places) if k is None else k), 1 / np.log2(places + 2.0), 0.0)
    until = np.concatenate([[0.0], np.cumsum(discounts)])

    def quality(gains: Any, scores: Any) -> Any:
        first, end = _places(scores)
        shares = (fnp.asarray(until)[end] - fnp.asarray(until)[first]) / (end - first)
        best = fnp.sum(fnp.sort(gains)[::-1] * discounts)
        return fnp.where(best > 0, fnp.sum(gains * shares) / fnp.where(best > 0, best, 1.0), 0.0)

    return mean_of_samples(name, vmap(quality)(true, scores), weights)


# ---------------------------------------------------------------- of one label


def _area(positive: Any, negative: Any, scores: Any) -> Any:
    """The area under the curve, by the weights of samples that are positive and of those that are negative."""
    pairs = fnp.sum(positive) * fnp.sum(negative)
    first, end = _places(-scores)
    order = fnp.argsort(scores)
    below = fnp.concatenate([fnp.zeros(1), fnp.cumsum(negative[order])])
    won = fnp.sum(positive * 0.5 * (below[first] + below[end]))
    return fnp.where(pairs == 0, np.nan, won / fnp.where(pairs == 0, 1.0, pairs))


def _precision(positive: Any, negative: Any, scores: Any) -> Any:
    """The average precision, likewise."""
    _, end = _places(scores)
    order = fnp.argsort(-scores)
    above = lambda w: fnp.concatenate([fnp.zeros(1), fnp.cumsum(w[order])])[end]
    right, all_ = above(positive), above(positive + negative)
    total = fnp.sum(positive)
    mean = fnp.sum(positive * right / fnp.where(all_ == 0, 1.0, all_)) / fnp.where(total == 0, 1.0, total)
    return mean


def _places(scores: Any) -> tuple[Any, Any]:
    """Where each score stands from the highest on: the first place of all that are equal to it, and that after them."""
    ordered = fnp.sort(-scores)
    first, end = (fnp.searchsorted(ordered, -scores, side=side) for side in ("left", "right"))
    return first, end


# ---------------------------------------------------------------- of several


def _of_labels(name: str, metric: Callable[..., Any], y_true: Any, y_score: Any, average: Average, weights: Any) -> Any:
    """A metric of one label, of all columns of scores."""
    if average not in ("micro", "macro", "weighted", None):
        raise ArgumentError(f"{name}: average is 'micro', 'macro', 'weighted' or None, got {average!r}")
    true, scores = fnp.asarray(y_true), fnp.asarray(y_score).astype(np.float64)
    shape = aval_of(scores).shape
    if len(shape) not in (1, 2) or aval_of(true).shape not in (shape, shape[:1]):
        raise ShapeError(
            f"{name} takes labels (samples,) or (samples, labels) and scores of the same shape, or classes (samples,) "
            f"and scores (samples, classes), got {aval_of(true).shape} and {shape}"
        )
    sample_count(name, true)
    w = sample_weights(name, weights, shape[0])
    if aval_of(true).shape == shape:
        true = indicators(name, "y_true", true)
    else:
        true = fnp.eye(shape[1], dtype=bool)[checked_labels(name, "y_true", true, shape[1])]
    if len(shape) == 2:
        w = fnp.broadcast_to(w[:, None], shape)
        if average == "micro":
            true, scores, w = true.ravel(), scores.ravel(), w.ravel()
    positive, negative = w * true, w * ~true
    if metric is _area:
        _check_both(name, positive, negative)
    values = (vmap(metric, 1) if aval_of(true).ndim == 2 else metric)(positive, negative, scores)
    values = fnp.where(fnp.any(fnp.isnan(scores), 0), np.nan, values)
    if aval_of(values).ndim == 0 or average is None:
        return values
    return fnp.average(values, weights=fnp.sum(positive, 0) if average == "weighted" else None)


def _check_both(name: str, positive: Any, negative: Any) -> None:
    for kind, w in (("positive", positive), ("negative", negative)):
        missing = fnp.sum(w, 0) == 0
        if not isinstance(missing, Tracer) and missing.any():
            where = f" for label {int(np.argmax(missing))}" if missing.ndim else ""
            raise ArgumentError(f"{name} compares positive with negative samples, but there are no {kind} ones{where}")
