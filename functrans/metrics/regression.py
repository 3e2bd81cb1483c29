"""Metrics of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.metrics.arguments import mean_of_samples, pair

__all__ = ["mae", "mse", "r2", "rmse"]


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
    return fnp.mean(mean_of_samples("mse", fnp.square(true - predicted), weights))


def mae(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """The mean absolute error, as `sklearn.metrics.mean_absolute_error`. Arguments as for `mse`.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.mae(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(1.)
    """
    true, predicted = _numbers("mae", y_true, y_pred)
    return fnp.mean(mean_of_samples("mae", fnp.abs(true - predicted), weights))


def rmse(y_true: Any, y_pred: Any, *, weights: Any = None) -> Any:
    """The root of the mean squared error, as `sklearn.metrics.root_mean_squared_error`. Arguments as for `mse`.

    Of several outputs the mean of their roots.

    >>> import functrans as ft, numpy as np
    >>> ft.metrics.rmse(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array(1.41421356)
    """
    true, predicted = _numbers("rmse", y_true, y_pred)
    return fnp.mean(fnp.sqrt(mean_of_samples("rmse", fnp.square(true - predicted), weights)))


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
    residual = mean_of_samples("r2", fnp.square(true - predicted), weights)
    variance = mean_of_samples("r2", fnp.square(true - mean_of_samples("r2", true, weights)), weights)
    constant = variance == 0
    score = 1 - residual / fnp.where(constant, 1.0, variance)
    return fnp.mean(fnp.where(constant, fnp.where(residual == 0, 1.0, 0.0), score))


def _numbers(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    true, predicted = pair(name, y_true, y_pred)
    if aval_of(true).ndim not in (1, 2):
        raise ShapeError(f"{name} takes arrays (samples,) or (samples, outputs), got shape {aval_of(true).shape}")
    return true.astype(np.float64), predicted.astype(np.float64)
