"""Layers that are matrices: `Linear` and `Embedding`. Weights have PyTorch's shapes and initial values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import random
from functrans.core.avals import aval_of, is_array_like
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.promotion import as_operand
from functrans.nn.initializers import Initializer
from functrans.nn.module import Module, static

__all__ = ["Dense", "Embedding", "Linear"]


class Linear(Module):
    """`x @ weight.T + bias`.

    Args:
        in_features: the size of the last axis of inputs.
        out_features: the size of the last axis of outputs.
        bias: whether there is a bias.
        key: a random key.
        dtype: of the parameters, float32 by default as in PyTorch and Keras.
        weight_init: an initializer, called with the shape `(in, out)`; by default weights are uniform within
            `1 / sqrt(in_features)` of zero, as in PyTorch.
        bias_init: an initializer, called with `(out,)`; by default as the weights.

    Attributes:
        weight: `(out_features, in_features)`.
        bias: `(out_features,)`, or `None`.

    Raises:
        ShapeError: the last axis of the input is not `in_features` long.

    Also called `Dense`.

    >>> import functrans as ft, numpy as np
    >>> layer = ft.nn.Linear(3, 2, key=ft.random.key(0))
    >>> layer
    Linear(in_features=3, out_features=2, weight=f32[2,3], bias=f32[2])
    >>> layer(np.ones((5, 3), np.float32)).shape
    (5, 2)
    """

    in_features: int = static()
    out_features: int = static()
    weight: Any
    bias: Any

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        key: Any,
        dtype: Any = np.float32,
        weight_init: Initializer | None = None,
        bias_init: Initializer | None = None,
    ):
        self.in_features, self.out_features = in_features, out_features
        weights, biases = random.split(key)
        self.weight = kernel(weights, (in_features, out_features), dtype, in_features, weight_init)
        self.bias = offsets(biases, out_features, dtype, in_features, bias_init) if bias else None

    def __call__(self, x: Any) -> Any:
        """`(..., in_features)` to `(..., out_features)`."""
        x = checked_features("Linear", x, self.in_features)
        y = fnp.matmul(x, self.weight.T)
        return y if self.bias is None else y + self.bias


Dense = Linear


class Embedding(Module):
    """Rows of a table, by their numbers.

    Args:
        num_embeddings: the number of rows.
        embedding_dim: the size of a row.
        key: a random key.
        dtype: of the table, float32 by default.
        weight_init: an initializer, called with the table's shape; by default normal with variance 1, as in PyTorch.

    Attributes:
        weight: `(num_embeddings, embedding_dim)`.

    Raises:
        DTypeError: the input is no array of integers.
        IndexOutOfBoundsError: there is no such row; negative numbers count from the end.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.Embedding(10, 4, key=ft.random.key(0))(np.array([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    num_embeddings: int = static()
    embedding_dim: int = static()
    weight: Any

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        key: Any,
        dtype: Any = np.float32,
        weight_init: Initializer | None = None,
    ):
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.weight = (weight_init or random.normal)(key, (num_embeddings, embedding_dim), dtype)

    def __call__(self, x: Any) -> Any:
        """Integers of shape `(...)` to `(..., embedding_dim)`."""
        x = layer_input("Embedding", x)
        if aval_of(x).dtype.kind not in "iu":
            raise DTypeError(f"Embedding takes integers, the numbers of rows, got {aval_of(x)}")
        return fnp.take(self.weight, x, 0)


# What other layers use ------------------------------------------------------------------------------------------------


def bounded(key: Any, shape: Sequence[int], dtype: Any, fan_in: int) -> Any:
    """PyTorch's default: uniform within `1 / sqrt(fan_in)` of zero."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return random.uniform(key, tuple(shape), dtype, -bound, bound)


def kernel(key: Any, shape: Sequence[int], dtype: Any, fan_in: int, init: Initializer | None) -> Any:
    """Weights `(out, in, *spatial)`, where initializers are called with `shape`, `(*spatial, in, out)`."""
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise ArgumentError(
            f"the sizes of a layer are integers that are not negative, got {', '.join(map(str, shape))}"
        )
    *spatial, n_in, n_out = shape
    if init is None:
        return bounded(key, (n_out, n_in, *spatial), dtype, fan_in)
    return fnp.moveaxis(init(key, tuple(shape), dtype), (-1, -2), (0, 1))


def offsets(key: Any, size: int, dtype: Any, fan_in: int, init: Initializer | None) -> Any:
    """The bias of a layer."""
    return bounded(key, (size,), dtype, fan_in) if init is None else init(key, (size,), dtype)


def layer_input(name: str, x: Any) -> Any:
    """`x` as an operand."""
    if isinstance(x, tuple) and any(is_array_like(part) and aval_of(part).ndim for part in x):
        raise DTypeError(
            f"{name} takes an array, got a tuple of {len(x)}. Recurrent layers return (outputs, last state), layers "
            "with a state (output, state): pass on the first, in Sequential by lambda out: out[0] after the layer"
        )
    return as_operand(name, x)


def checked_features(name: str, x: Any, features: int, axis: int = -1) -> Any:
    """The input of a layer whose axis has the right size."""
    x = layer_input(name, x)
    shape = aval_of(x).shape
    if len(shape) < -axis or shape[axis] != features:
        place = "last axis" if axis == -1 else f"axis {axis}"
        raise ShapeError(f"{name} takes {features} features in the {place} of its input, got an input of shape {shape}")
    return x


def checked_key(name: str, key: Any) -> Any:
    """The key that a layer needs in training."""
    if key is None:
        raise ArgumentError(
            f"{name} in training needs a random key: call it with key=functrans.random.key(seed), a new one each time; "
            "for predictions make the model nn.inference_mode(model)"
        )
    return key
