"""Pooling: windows of images reduced to one number each, as in `flax.linen`.

Images have their features last: `(*batch, *spatial, features)`, with any number of batch axes, also none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, is_inexact
from functrans.errors import DTypeError, ShapeError
from functrans.lax.promotion import as_operand

Padding = str | Sequence[tuple[int, int]]


def max_pool(
    inputs: Any, window_shape: Sequence[int], strides: Sequence[int] | None = None, padding: Padding = "VALID"
) -> Any:
    """The maximum of each window.

    Args:
        inputs: an array `(*batch, *spatial, features)`.
        window_shape: the size of the window along each spatial axis.
        strides: the distance between neighbouring windows along each spatial axis, 1 by default.
        padding: `"VALID"`, `"SAME"`, `"SAME_LOWER"`, or a `(low, high)` pair for each spatial axis.

    Returns:
        An array of the same dtype. Padding never counts; at ties the derivative is that of the first element.

    Raises:
        ShapeError: `inputs` has no features, or sizes do not fit.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.max_pool(np.arange(16.0).reshape(1, 4, 4, 1), (2, 2), (2, 2))[0, :, :, 0]
    Array([[ 5.,  7.],
           [13., 15.]])
    """
    return _pool("max_pool", lax.reduce_window_max, inputs, window_shape, strides, padding)


def min_pool(
    inputs: Any, window_shape: Sequence[int], strides: Sequence[int] | None = None, padding: Padding = "VALID"
) -> Any:
    """The minimum of each window; arguments and results as for `max_pool`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.min_pool(np.arange(16.0).reshape(1, 4, 4, 1), (2, 2), (2, 2))[0, :, :, 0]
    Array([[ 0.,  2.],
           [ 8., 10.]])
    """
    return _pool("min_pool", lax.reduce_window_min, inputs, window_shape, strides, padding)


def avg_pool(
    inputs: Any,
    window_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: Padding = "VALID",
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window; arguments as for `max_pool`.

    Padding counts as zeros, or with `count_include_pad=False` not at all. `inputs` are floats or complex numbers.

    Raises:
        DTypeError: `inputs` are integers or booleans.
        ShapeError: `inputs` has no features, or sizes do not fit.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.avg_pool(np.arange(16.0).reshape(1, 4, 4, 1), (2, 2), (2, 2))[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    inputs = as_operand("avg_pool", inputs)
    dtype = aval_of(inputs).dtype
    if not is_inexact(dtype):
        raise DTypeError(f"avg_pool: means of {dtype} are not of that dtype; convert the images to floats")
    total = _pool("avg_pool", lax.reduce_window_sum, inputs, window_shape, strides, padding)
    if count_include_pad:
        return total / dtype.type(math.prod(window_shape))
    ones = np.ones((*aval_of(inputs).shape[-1 - len(window_shape) : -1], 1), dtype)
    return total / _pool("avg_pool", lax.reduce_window_sum, ones, window_shape, strides, padding)


def _pool(name: str, reduce: Any, inputs: Any, window_shape: Any, strides: Any, padding: Padding) -> Any:
    inputs = as_operand(name, inputs)
    window_shape = tuple(window_shape)
    shape = aval_of(inputs).shape
    batch = len(shape) - len(window_shape) - 1
    if batch < 0:
        raise ShapeError(
            f"{name} over windows {window_shape} needs images of shape (*batch, *spatial, features) with "
            f"{len(window_shape)} spatial axes, got shape {shape}"
        )
    strides = (1,) * len(window_shape) if strides is None else tuple(strides)
    if len(strides) != len(window_shape):
        raise ShapeError(f"{name}: strides {strides} and windows {window_shape} must have as many entries")
    if not isinstance(padding, str):
        padding = (*[(0, 0)] * batch, *padding, (0, 0))
    ones = (1,) * batch
    return reduce(inputs, (*ones, *window_shape, 1), (*ones, *strides, 1), padding)


__all__ = ["avg_pool", "max_pool", "min_pool"]
