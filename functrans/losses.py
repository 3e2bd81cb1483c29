"""Loss functions: how far predictions are from what they should be, differentiable in the predictions.

Each loss has a value for each example, or for each element where examples are compared element by element. `weights`
(numbers that broadcast to these values) multiply them, then `reduction` says what becomes of them: `"mean"`, their
mean; `"sum"`, their sum; `"none"`, the values as they are. The mean divides by the number of values or, where there are
weights, by the sum of the weights; a mask of booleans is a weight too, and a mean of nothing is 0.

Results have the dtype of the predictions (float64 for integers).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, IndexOutOfBoundsError, ShapeError
from functrans.nn import log_sigmoid, log_softmax, logsumexp, one_hot, sigmoid, softplus
from functrans.scipy.special import rel_entr, xlogy

__all__ = [
    "binary_cross_entropy", "binary_focal_cross_entropy", "categorical_cross_entropy", "categorical_hinge",
    "cosine_similarity_loss", "ctc_loss", "gaussian_nll", "hinge", "huber", "kl_divergence", "log_cosh",
    "mean_absolute_error", "mean_squared_error", "pinball", "poisson_nll", "squared_hinge", "triplet_margin",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]


# ---------------------------------------------------------------- regression


def mean_squared_error(predictions: Any, targets: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`(predictions - targets)^2`, element by element.

    Args:
        predictions, targets: arrays of one shape.
        weights: broadcast to that shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Raises:
        ShapeError: the shapes differ.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.mean_squared_error(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(2.)
    """
    x, y = _pair("mean_squared_error", predictions, targets)
    return _reduced("mean_squared_error", fnp.square(x - y), weights, reduction)


def mean_absolute_error(predictions: Any, targets: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`|predictions - targets|`, element by element; its derivative at 0 is 0. Arguments as for `mean_squared_error`.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.mean_absolute_error(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(1.)
    """
    x, y = _pair("mean_absolute_error", predictions, targets)
    return _reduced("mean_absolute_error", fnp.abs(x - y), weights, reduction)


def huber(
    predictions: Any, targets: Any, delta: Any = 1.0, *, weights: Any = None, reduction: Reduction = "mean"
) -> Any:
    """`e^2 / 2` where the error `e` is at most `delta` in size, and from there on a line: `delta (|e| - delta / 2)`.

    Args:
        predictions, targets: arrays of one shape.
        delta: a positive number.
        weights, reduction: as for `mean_squared_error`.

    Source: P. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).

    >>> import functrans as ft, numpy as np
    >>> ft.losses.huber(np.array([0.5, 3.0]), np.zeros(2), reduction="none")
    Array([0.125, 2.5  ])
    """
    x, y = _pair("huber", predictions, targets)
    size = fnp.abs(x - y)
    near = fnp.minimum(size, delta)  # the loss is an integral: of `near` over the size of the error
    return _reduced("huber", near * (size - 0.5 * near), weights, reduction)


def log_cosh(predictions: Any, targets: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`log(cosh(e))` of the error `e`: near 0 as `e^2 / 2`, far away as `|e| - log(2)`; never overflows.

    Arguments as for `mean_squared_error`.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.log_cosh(np.array([0.0, 1000.0]), np.zeros(2), reduction="none")
    Array([  0.        , 999.30685282])
    """
    x, y = _pair("log_cosh", predictions, targets)
    error = x - y
    # log1p(2 sinh(e/2)^2) is exact near 0, where the other form subtracts what is nearly equal.
    small = fnp.abs(error) < 1
    half = fnp.sinh(0.5 * fnp.where(small, error, 0.0))
    far = fnp.where(small, 1.0, error)
    value = fnp.where(small, fnp.log1p(2 * fnp.square(half)), softplus(-2 * far) + far - np.log(2).item())
    return _reduced("log_cosh", value, weights, reduction)


def pinball(
    predictions: Any, targets: Any, quantile: Any = 0.5, *, weights: Any = None, reduction: Reduction = "mean"
) -> Any:
    """`quantile e` for errors `e = targets - predictions` above 0, and `(quantile - 1) e` below.

    Its mean is least where the predictions are the quantile of the targets.

    Args:
        predictions, targets: arrays of one shape.
        quantile: a number between 0 and 1, or numbers that broadcast to that shape.
        weights, reduction: as for `mean_squared_error`.

    Source: R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46 (1978).

    >>> import functrans as ft, numpy as np
    >>> ft.losses.pinball(np.array([0.0, 2.0]), np.array([1.0, 1.0]), 0.9, reduction="none")
    Array([0.9, 0.1])
    """
    x, y = _pair("pinball", predictions, targets)
    error, q = y - x, fnp.asarray(quantile).astype(aval_of(x).dtype)
    return _reduced("pinball", fnp.maximum(q * error, (q - 1) * error), weights, reduction)


def gaussian_nll(
    predictions: Any,
    targets: Any,
    variances: Any,
    *,
    full: bool = False,
    epsilon: float = 1e-6,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """`(log(v) + (predictions - targets)^2 / v) / 2`: minus the logarithm of the density of a normal distribution.

    Args:
        predictions, targets: arrays of one shape.
        variances: positive numbers `v` that broadcast to that shape.
        full: whether to add the constant `log(2 pi) / 2`.
        epsilon: the least variance.
        weights, reduction: as for `mean_squared_error`.

    Source: D. Nix and A. Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.gaussian_nll(np.array([0.0, 3.0]), np.zeros(2), np.array([1.0, 9.0]), reduction="none")
    Array([0.        , 1.59861229])
    """
    x, y = _pair("gaussian_nll", predictions, targets)
    v = fnp.maximum(_floats("gaussian_nll", variances).astype(aval_of(x).dtype), epsilon)
    value = 0.5 * (fnp.log(v) + fnp.square(x - y) / v)
    return _reduced("gaussian_nll", value + 0.5 * np.log(2 * np.pi).item() if full else value, weights, reduction)


def poisson_nll(
    predictions: Any,
    counts: Any,
    *,
    from_logs: bool = False,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """`m - counts log(m)` for means `m`: minus the logarithm of a Poisson distribution, but for what no mean changes.

    Args:
        predictions: the means, positive; or with `from_logs` their logarithms, any numbers.
        counts: numbers that are not negative, in the same shape.
        from_logs: which of the two the predictions are.
        weights, reduction: as for `mean_squared_error`.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.poisson_nll(np.array([0.0, 1.0]), np.array([2, 1]), from_logs=True, reduction="none")
    Array([1.        , 1.71828183])
    """
    x, y = _pair("poisson_nll", predictions, counts)
    value = fnp.exp(x) - y * x if from_logs else x - xlogy(y, x)
    return _reduced("poisson_nll", value, weights, reduction)


# ---------------------------------------------------------------- distributions


def binary_cross_entropy(
    predictions: Any,
    labels: Any,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """`-(y log(p) + (1 - y) log(1 - p))`, element by element.

    Args:
        predictions: probabilities `p` of the label 1; or with `from_logits` their logits, any numbers `x` with
            `p = 1 / (1 + exp(-x))`. By logits the loss is exact however sure the predictions are.
        labels: 0 or 1 (or booleans, or probabilities) in the shape of the predictions.
        from_logits: which of the two the predictions are.
        label_smoothing: the part of each label that is replaced by one half.
        weights, reduction: as for `mean_squared_error`.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: `label_smoothing` is not in [0, 1].

    >>> import functrans as ft, numpy as np
    >>> ft.losses.binary_cross_entropy(np.array([0.5, 0.75]), np.array([1, 1]), reduction="none")
    Array([0.69314718, 0.28768207])
    >>> ft.losses.binary_cross_entropy(np.array([-1000.0]), np.array([1]), from_logits=True)
    Array(1000.)
    """
    x, y = _pair("binary_cross_entropy", predictions, labels)
    _check_smoothing("binary_cross_entropy", label_smoothing)
    if label_smoothing:
        y = (1 - label_smoothing) * y + 0.5 * label_smoothing
    # Not x y from softplus(x): both would be large where their difference is small.
    value = -(y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x)) if from_logits else -(xlogy(y, x) + xlogy(1 - y, 1 - x))
    return _reduced("binary_cross_entropy", value, weights, reduction)


def binary_focal_cross_entropy(
    predictions: Any,
    labels: Any,
    gamma: float = 2.0,
    alpha: float | None = None,
    *,
    from_logits: bool = False,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """`binary_cross_entropy` times `(1 - q)^gamma`, where `q` is the probability given to what is true.

    So examples that are rightly predicted have little part, as it is wanted where most of them are easy.

    Args:
        predictions, labels: as for `binary_cross_entropy`.
        gamma: how little; 0 makes it the cross-entropy.
        alpha: weight of the label 1, where that of the label 0 is `1 - alpha`; by default both are 1.
        from_logits: whether the predictions are logits.
        weights, reduction: as for `mean_squared_error`.

    Source: T. Lin et al., "Focal loss for dense object detection", ICCV 2017.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.binary_focal_cross_entropy(np.array([0.5, 0.75]), np.array([1, 1]), reduction="none")
    Array([0.1732868 , 0.01798013])
    """
    name = "binary_focal_cross_entropy"
    x, y = _pair(name, predictions, labels)
    value = binary_cross_entropy(x, y, from_logits=from_logits, reduction="none")
    p, other = (sigmoid(x), sigmoid(-x)) if from_logits else (x, 1 - x)
    value = fnp.power(y * other + (1 - y) * p, gamma) * value
    if alpha is not None:
        value = (alpha * y + (1 - alpha) * (1 - y)) * value
    return _reduced(name, value, weights, reduction)


def categorical_cross_entropy(
    predictions: Any,
    labels: Any,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    weights: Any = None,
    reduction: Reduction = "mean",
    axis: int = -1,
) -> Any:
    """`-sum(y log(p))` over the classes.

    Args:
        predictions: probabilities `p`, which sum to 1 along the axis of classes; or with `from_logits` any numbers `x`
            with `p = softmax(x)`. By logits the loss is exact however sure the predictions are.
        labels: integers in `[0, classes)`, in the shape of the predictions without the axis of classes; or unit vectors
            (or other distributions) in the shape of the predictions.
        from_logits: which of the two the predictions are.
        label_smoothing: the part of each label that is spread over all classes alike.
        weights: broadcast to the shape without the axis of classes.
        reduction: as for `mean_squared_error`.
        axis: that of the classes.

    Raises:
        ShapeError: labels of another shape.
        DTypeError: labels without the axis of classes that are not integers.
        IndexOutOfBoundsError: a label outside of the classes; in compiled code such a label has a loss of NaN.
        ArgumentError: `label_smoothing` is not in [0, 1].

    >>> import functrans as ft, numpy as np
    >>> logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    >>> ft.losses.categorical_cross_entropy(logits, np.array([1, 2]), from_logits=True, reduction="none")
    Array([1.38629436, 0.22314355])
    >>> ft.losses.categorical_cross_entropy(np.exp(logits), np.array([[0, 1, 0], [0, 0, 1]]))
    Array(0.80471896)
    """
    name = "categorical_cross_entropy"
    x = fnp.moveaxis(_floats(name, predictions), axis, -1)
    _check_smoothing(name, label_smoothing)
    shape, y = aval_of(x).shape, fnp.asarray(labels)
    given = aval_of(y)
    if given.ndim == len(shape):
        y = fnp.moveaxis(y, axis, -1)
        given = aval_of(y)
    classes = shape[-1]
    logs = log_softmax(x) if from_logits else None
    if given.shape == shape[:-1]:
        y, valid = _class_labels(name, y, classes)
        if not label_smoothing:
            picked = fnp.take_along_axis(x if logs is None else logs, y[..., None], -1)[..., 0]
            value = fnp.where(valid, -fnp.log(picked) if logs is None else -picked, np.nan)
            return _reduced(name, value, weights, reduction)
        y = fnp.where(valid[..., None], one_hot(y, classes, dtype=aval_of(x).dtype), np.nan)
    elif given.shape != shape:
        raise ShapeError(
            f"{name}: predictions of shape {shape} (classes last) take labels of that shape, or integers of shape "
            f"{shape[:-1]}, got shape {given.shape}"
        )
    y = y.astype(aval_of(x).dtype)
    if label_smoothing:
        y = (1 - label_smoothing) * y + label_smoothing / classes
    # A class of probability 0 that is no label has no part in the loss: 0 log(0) = 0.
    terms = xlogy(y, x) if logs is None else fnp.where(y == 0, 0.0, y * fnp.where(y == 0, 0.0, logs))
    return _reduced(name, -fnp.sum(terms, -1), weights, reduction)


def kl_divergence(
    predictions: Any,
    targets: Any,
    *,
    from_logits: bool = False,
    weights: Any = None,
    reduction: Reduction = "mean",
    axis: int = -1,
) -> Any:
    """The divergence of Kullback and Leibler of the predictions from the targets, `sum(q log(q / p))`, in nats.

    Args:
        predictions: probabilities `p` along an axis; or with `from_logits` any numbers `x` with `p = softmax(x)`.
        targets: probabilities `q`, in the same shape.
        from_logits: which of the two the predictions are.
        weights: broadcast to the shape without the axis.
        reduction: as for `mean_squared_error`.
        axis: that of the distributions.

    Raises:
        ShapeError: the shapes differ.

    Source: S. Kullback and R. Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22 (1951).

    >>> import functrans as ft, numpy as np
    >>> ft.losses.kl_divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    Array(0.69314718)
    """
    x, y = _pair("kl_divergence", predictions, targets)
    terms = xlogy(y, y) - y * log_softmax(x, axis) if from_logits else rel_entr(y, x)
    return _reduced("kl_divergence", fnp.sum(terms, axis), weights, reduction)


# ---------------------------------------------------------------- margins


def hinge(predictions: Any, labels: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`max(0, 1 - y x)`, element by element, for scores `x` and labels `y` of -1 and 1.

    Args:
        predictions: scores.
        labels: -1 and 1 in the shape of the predictions.
        weights, reduction: as for `mean_squared_error`.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.hinge(np.array([0.5, 2.0]), np.array([-1, 1]), reduction="none")
    Array([1.5, 0. ])
    """
    x, y = _pair("hinge", predictions, labels)
    return _reduced("hinge", fnp.maximum(1 - y * x, 0.0), weights, reduction)


def squared_hinge(predictions: Any, labels: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`max(0, 1 - y x)^2`, element by element. Arguments as for `hinge`.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.squared_hinge(np.array([0.5, 2.0]), np.array([-1, 1]), reduction="none")
    Array([2.25, 0.  ])
    """
    x, y = _pair("squared_hinge", predictions, labels)
    return _reduced("squared_hinge", fnp.square(fnp.maximum(1 - y * x, 0.0)), weights, reduction)


def categorical_hinge(predictions: Any, labels: Any, *, weights: Any = None, reduction: Reduction = "mean") -> Any:
    """`max(0, 1 + x_other - x_label)`, where `x_other` is the highest score of the other classes.

    Args:
        predictions: scores `(..., classes)`, for two classes or more.
        labels: integers in `[0, classes)`, in the shape without the classes.
        weights: broadcast to the shape without the classes.
        reduction: as for `mean_squared_error`.

    Raises:
        ShapeError: labels of another shape.
        DTypeError: labels that are not integers.
        IndexOutOfBoundsError: a label outside of the classes; in compiled code such a label has a loss of NaN.

    Source: K. Crammer and Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines",
    JMLR 2 (2001).

    >>> import functrans as ft, numpy as np
    >>> ft.losses.categorical_hinge(np.array([[1.0, 0.5, -1.0]]), np.array([0]))
    Array(0.5)
    """
    name = "categorical_hinge"
    x = _floats(name, predictions)
    shape = aval_of(x).shape
    if len(shape) == 0 or aval_of(labels).shape != shape[:-1]:
        raise ShapeError(
            f"{name}: scores of shape {shape} take labels of shape {shape[:-1]}, got {aval_of(labels).shape}"
        )
    y, valid = _class_labels(name, fnp.asarray(labels), shape[-1])
    chosen = fnp.take_along_axis(x, y[..., None], -1)[..., 0]
    other = fnp.max(fnp.where(one_hot(y, shape[-1], dtype=bool), -np.inf, x), -1)
    return _reduced(name, fnp.where(valid, fnp.maximum(1 + other - chosen, 0.0), np.nan), weights, reduction)


# ---------------------------------------------------------------- directions and distances


def cosine_similarity_loss(
    predictions: Any,
    targets: Any,
    *,
    epsilon: float = 1e-8,
    weights: Any = None,
    reduction: Reduction = "mean",
    axis: int = -1,
) -> Any:
    """One minus the cosine of the angle between vectors: 0 where they point the same way, 2 for opposite ways.

    Args:
        predictions, targets: arrays of one shape, with vectors along an axis.
        epsilon: the least norm to divide by; so a vector of zeros has the loss 1, and the derivative there is finite.
        weights: broadcast to the shape without the axis.
        reduction: as for `mean_squared_error`.
        axis: that of the vectors.

    Raises:
        ShapeError: the shapes differ.

    >>> import functrans as ft, numpy as np
    >>> ft.losses.cosine_similarity_loss(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]))
    Array(0.5)
    """
    name = "cosine_similarity_loss"
    x, y = _pair(name, predictions, targets)
    dtype = aval_of(x).dtype
    if dtype in SMALL_FLOATS:  # squares would overflow
        x, y = x.astype(np.float32), y.astype(np.float32)
    norms = [fnp.sqrt(fnp.maximum(fnp.sum(fnp.square(v), axis), epsilon**2)) for v in (x, y)]
    value = 1 - fnp.sum(x * y, axis) / (norms[0] * norms[1])
    return _reduced(name, value.astype(dtype), weights, reduction)


def triplet_margin(
    anchors: Any,
    positives: Any,
    negatives: Any,
    margin: Any = 1.0,
    *,
    p: float = 2.0,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """`max(0, d(anchor, positive) - d(anchor, negative) + margin)` for distances `d` in the norm `p`.

    Args:
        anchors, positives, negatives: vectors `(..., n)`, of one shape.
        margin: how much farther away the negatives should be.
        p: the norm is `sum(|x|^p)^(1/p)`, with `p` of 1 or more. Its derivative at distance 0 is 0.
        weights: broadcast to the shape without the last axis.
        reduction: as for `mean_squared_error`.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: `p` is less than 1.

    Source: F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet", CVPR 2015 (there with squared distances).

    >>> import functrans as ft, numpy as np
    >>> anchor, positive, negative = np.array([0.0, 0.0]), np.array([3.0, 4.0]), np.array([0.0, 2.0])
    >>> ft.losses.triplet_margin(anchor, positive, negative)
    Array(4.)
    """
    name = "triplet_margin"
    if p < 1:
        raise ArgumentError(f"{name} takes a norm with p of 1 or more, got {p}")
    x, y = _pair(name, anchors, positives)
    _, z = _pair(name, anchors, negatives)

    def distance(other: Any) -> Any:
        size = fnp.abs(x - other)
        if p == 1:
            return fnp.sum(size, -1)
        total = fnp.sum(fnp.square(size) if p == 2 else fnp.power(size, p), -1)
        apart = total > 0
        return fnp.where(apart, fnp.power(fnp.where(apart, total, 1.0), 1 / p), 0.0)

    return _reduced(name, fnp.maximum(distance(y) - distance(z) + margin, 0.0), weights, reduction)


# ---------------------------------------------------------------- sequences


def ctc_loss(
    logits: Any,
    labels: Any,
    logit_lengths: Any = None,
    label_lengths: Any = None,
    *,
    blank_id: int = 0,
    weights: Any = None,
    reduction: Reduction = "mean",
) -> Any:
    """Connectionist temporal classification: minus the log-probability of a label sequence, over all its alignments.

    At each time a network says one of the classes or nothing (the blank). A path of such words stands for the sequence
    that remains when repetitions are merged and blanks dropped.

    Args:
        logits: `(batch, times, classes)`, normalised here by a softmax.
        labels: integers `(batch, labels)`, none of them the blank within the length of its sequence.
        logit_lengths: how many times of each example count, integers `(batch,)`; all by default.
        label_lengths: how many of the labels count, integers `(batch,)`; all by default.
        blank_id: the class that is the blank.
        weights: broadcast to `(batch,)`.
        reduction: as for `mean_squared_error`; the mean is over the examples.

    Returns:
        A scalar, or `(batch,)` for `reduction="none"`. Infinite where no path is long enough: a sequence takes a time
        for each label, and one more between equal neighbours.

    Raises:
        ShapeError: operands of other shapes.
        DTypeError: labels or lengths that are not integers.
        IndexOutOfBoundsError: a label outside of the classes; in compiled code such a sequence has a loss of NaN.
        ArgumentError: `blank_id` is no class.

    Source: A. Graves, S. Fernández, F. Gomez and J. Schmidhuber, "Connectionist temporal classification", ICML 2006;
    the forward recursion of section 4.1 in logarithms.

    >>> import functrans as ft, numpy as np
    >>> logits = np.zeros((1, 2, 3))  # two times, three classes, all alike: 9 paths
    >>> float(np.exp(-ft.losses.ctc_loss(logits, np.array([[1]]))) * 9)  # -1, 1-, 11
    3.0
    """
    name = "ctc_loss"
    x = _floats(name, logits)
    given, y = aval_of(x), fnp.asarray(labels)
    if given.ndim != 3 or aval_of(y).ndim != 2 or aval_of(y).shape[0] != given.shape[0]:
        raise ShapeError(
            f"{name} takes logits (batch, times, classes) and labels (batch, labels), got {given.shape} and "
            f"{aval_of(y).shape}"
        )
    batch, times, classes = given.shape
    count = aval_of(y).shape[1]
    if not 0 <= blank_id < classes:
        raise ArgumentError(f"{name}: blank_id={blank_id} is none of the {classes} classes")
    ends = _lengths(name, "logit_lengths", logit_lengths, batch, times)
    lasts = _lengths(name, "label_lengths", label_lengths, batch, count)
    counted = fnp.arange(count) < lasts[:, None]
    y, valid = _class_labels(name, fnp.where(counted, y, blank_id), classes)

    # States of a path: blank, label 0, blank, label 1, ..., blank. From a state one goes on, or by one, or from a label
    # to the next by two where they differ.
    width = 2 * count + 1
    states = fnp.full((batch, width), blank_id, np.int64).at[:, 1::2].set(y)
    differ = fnp.concatenate([fnp.zeros((batch, 2), bool), states[:, 2:] != states[:, :-2]], 1)[:, :width]
    skips = differ & (fnp.arange(width) % 2 == 1)
    logs = log_softmax(x)
    emitted = fnp.take_along_axis(logs, fnp.broadcast_to(states[:, None], (batch, times, width)), 2)

    def step(alpha: Any, now: Any) -> Any:
        emission, time = now
        moved = fnp.stack([alpha, _shifted(alpha, 1), fnp.where(skips, _shifted(alpha, 2), -np.inf)])
        return fnp.where((time < ends)[:, None], _log_add(moved) + emission, alpha), None

    before = fnp.where(fnp.arange(width) == 0, 0.0, -np.inf).astype(given.dtype)
    # The virtual state before the first time is the first blank; from there also the first label is in reach.
    alpha, _ = lax.scan(
        step, fnp.broadcast_to(before, (batch, width)), (fnp.moveaxis(emitted, 1, 0), fnp.arange(times))
    )
    final = fnp.take_along_axis(alpha, fnp.stack([2 * lasts, fnp.maximum(2 * lasts - 1, 0)], 1), 1)
    final = fnp.where(fnp.stack([lasts >= 0, lasts > 0], 1), final, -np.inf)
    value = fnp.where(fnp.all(valid, 1), -_log_add(fnp.moveaxis(final, 1, 0)), np.nan)
    return _reduced(name, value, weights, reduction)


def _shifted(alpha: Any, by: int) -> Any:
    """`alpha` moved to later states."""
    shape = aval_of(alpha).shape
    by = min(by, shape[1])
    return fnp.concatenate([fnp.full((shape[0], by), -np.inf, aval_of(alpha).dtype), alpha[:, : shape[1] - by]], 1)


def _log_add(terms: Any) -> Any:
    """`logsumexp` over the first axis, with derivative 0 where all terms are zero in probability."""
    possible = fnp.max(terms, 0) > -np.inf
    return fnp.where(possible, logsumexp(fnp.where(possible, terms, 0.0), 0), -np.inf)


def _lengths(name: str, what: str, lengths: Any, batch: int, longest: int) -> Any:
    if lengths is None:
        return fnp.full((batch,), longest, np.int64)
    lengths = fnp.asarray(lengths)
    given = aval_of(lengths)
    if given.shape != (batch,):
        raise ShapeError(f"{name}: {what} has a number for each of {batch} examples, got shape {given.shape}")
    if given.dtype.kind not in "iu":
        raise DTypeError(f"{name}: {what} are integers, got {given.dtype}")
    if not isinstance(lengths, Tracer) and lengths.size and not (0 <= lengths.min() and lengths.max() <= longest):
        raise ArgumentError(f"{name}: {what} are between 0 and {longest}, got {lengths.min()} to {lengths.max()}")
    return lengths


# ---------------------------------------------------------------- what losses share


def _floats(name: str, x: Any) -> Any:
    x = fnp.asarray(x)
    dtype = aval_of(x).dtype
    if kind_of(dtype) not in "fiub":
        raise DTypeError(f"{name} takes real numbers, got {dtype}")
    return x if kind_of(dtype) == "f" else x.astype(np.float64)


def _pair(name: str, predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Predictions and targets of one shape, in the dtype of the predictions."""
    x, y = _floats(name, predictions), _floats(name, targets)
    if aval_of(x).shape != aval_of(y).shape:
        shapes = aval_of(x).shape, aval_of(y).shape
        hint = "; write targets[..., None]" if shapes[0] == (*shapes[1], 1) else ""
        raise ShapeError(f"{name}: predictions and targets must have one shape, got {shapes[0]} and {shapes[1]}{hint}")
    return x, y.astype(aval_of(x).dtype)


def _class_labels(name: str, y: Any, classes: int) -> tuple[Any, Any]:
    """Labels as indices that are in range, and which of them were; outside `jit` all must be."""
    if aval_of(y).dtype.kind not in "iu":
        raise DTypeError(f"{name}: labels without an axis of classes are integers, got {aval_of(y).dtype}")
    valid = (y >= 0) & (y < classes)
    if not isinstance(y, Tracer) and not valid.all():
        raise IndexOutOfBoundsError(f"{name}: labels lie in [0, {classes}), got {y[~valid][0]}")
    return fnp.clip(y, 0, classes - 1), valid


def _check_smoothing(name: str, label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{name} takes a label_smoothing between 0 and 1, got {label_smoothing}")


def _one_for_each_example(given: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The remedy where weights seem to be those of the first axes."""
    if 0 < len(given) < len(shape) and given == shape[: len(given)]:
        axes = ", None" * (len(shape) - len(given))
        return f"; for one weight for each example write weights[...{axes}]"
    return ""


def _reduced(name: str, value: Any, weights: Any, reduction: str) -> Any:
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"{name}: reduction is 'mean', 'sum' or 'none', got {reduction!r}")
    aval = aval_of(value)
    if weights is not None:
        weights = fnp.asarray(weights)
        try:
            weights = fnp.broadcast_to(weights, aval.shape).astype(aval.dtype)
        except ValueError:
            raise ShapeError(
                f"{name}: weights of shape {aval_of(weights).shape} do not broadcast to the shape {aval.shape} of the "
                "losses" + _one_for_each_example(aval_of(weights).shape, aval.shape)
            ) from None
        # A masked element has no part in the loss, be it infinite or NaN.
        value = fnp.where(weights == 0, 0.0, fnp.where(weights == 0, 0.0, value) * weights)
    if reduction == "none":
        return value
    total = fnp.sum(value)
    if reduction == "sum":
        return total
    if weights is None:
        return total / max(aval.size, 1)
    whole = fnp.sum(weights)
    return fnp.where(whole == 0, 0.0, total / fnp.where(whole == 0, 1.0, whole))
