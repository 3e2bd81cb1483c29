"""Layers of layers, and layers without parameters."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import random
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.nn.activations import identity, relu
from functrans.nn.linear import Linear, checked_key, layer_input
from functrans.nn.module import Lambda, Module, static

__all__ = ["MLP", "Dropout", "Flatten", "Identity", "Sequential"]


class Sequential(Module):
    """Layers one after the other; functions among them become `Lambda`.

    Args:
        layers: modules and functions of one array.

    Layers that take a `key` get one of their own, made from `key`. Where `state` is given, layers that have a state
    (see `with_state`) use it, and the call returns a pair of the result and the new state.

    A sequence has a length, and its layers are its elements; a slice is a sequence.

    >>> import functrans as ft, numpy as np
    >>> first, last = ft.random.split(ft.random.key(0))
    >>> model = ft.nn.Sequential(ft.nn.Linear(3, 8, key=first), ft.nn.relu, ft.nn.Linear(8, 2, key=last))
    >>> model(np.ones((5, 3), np.float32)).shape
    (5, 2)
    >>> model[1:]
    Sequential(
      layers=(Lambda(fn=relu), Linear(in_features=8, out_features=2, weight=f32[2,8], bias=f32[2]))
    )
    """

    layers: tuple[Any, ...]

    def __init__(self, *layers: Any):
        for i, layer in enumerate(layers):
            if not callable(layer):
                hint = "; write Sequential(*layers)" if isinstance(layer, (list, tuple)) else ""
                raise ArgumentError(f"layer {i} of Sequential is {layer!r:.60}, which cannot be called{hint}")
        self.layers = tuple(layer if isinstance(layer, Module) else Lambda(layer) for layer in layers)

    def __call__(self, x: Any, state: Any = None, *, key: Any = None) -> Any:
        """The last layer's result, or `(result, state)` where a state is given."""
        keyed = [takes(layer.__class__, "key") for layer in self.layers]
        keys = iter([None] * sum(keyed) if key is None else random.split(key, sum(keyed)))
        for layer, with_key in zip(self.layers, keyed):
            options = {"key": next(keys)} if with_key else {}
            if state is not None and takes(layer.__class__, "state"):
                x, state = layer(x, state, **options)
            else:
                x = layer(x, **options)
        return x if state is None else (x, state)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int | slice) -> Any:
        return Sequential(*self.layers[i]) if isinstance(i, slice) else self.layers[i]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)


@functools.cache
def takes(cls: Any, name: str) -> bool:
    """Whether calls of a layer of this class take an argument of this name."""
    return name in inspect.signature(cls.__call__).parameters


class MLP(Module):
    """A multilayer perceptron: linear layers with activations between them.

    Args:
        in_size, out_size: features of inputs and outputs.
        width: features of the hidden layers.
        depth: the number of hidden layers; with 0 it is one linear layer.
        activation: after each hidden layer.
        final_activation: after the last layer.
        key: a random key.
        dtype: of the parameters, float32 by default.

    >>> import functrans as ft, numpy as np
    >>> mlp = ft.nn.MLP(3, 2, width=8, depth=2, key=ft.random.key(0))
    >>> mlp(np.ones((5, 3), np.float32)).shape, len(mlp.layers)
    ((5, 2), 3)
    """

    layers: tuple[Linear, ...]
    activation: Callable[..., Any]
    final_activation: Callable[..., Any]

    def __init__(
        self,
        in_size: int,
        out_size: int,
        width: int,
        depth: int,
        activation: Callable[..., Any] = relu,
        final_activation: Callable[..., Any] = identity,
        *,
        key: Any,
        dtype: Any = np.float32,
    ):
        sizes = [in_size, *[width] * depth, out_size]
        keys = random.split(key, depth + 1)
        self.layers = tuple(Linear(m, n, key=k, dtype=dtype) for m, n, k in zip(sizes, sizes[1:], keys))
        self.activation, self.final_activation = activation, final_activation

    def __call__(self, x: Any) -> Any:
        """`(..., in_size)` to `(..., out_size)`."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return self.final_activation(last(x))


class Identity(Module):
    """The layer that changes nothing.

    >>> import functrans as ft
    >>> ft.nn.Identity()(3.0)
    3.0
    """

    def __call__(self, x: Any) -> Any:
        """`x`."""
        return x


class Flatten(Module):
    """Several neighbouring axes made one.

    Args:
        start_axis, end_axis: the first and the last of them; by default all but the first, which is the batch.

    Raises:
        ShapeError: the input has no such axes.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.Flatten()(np.ones((5, 2, 3, 4))).shape
    (5, 24)
    """

    start_axis: int = static(default=1)
    end_axis: int = static(default=-1)

    def __call__(self, x: Any) -> Any:
        """`(a, *axes, b)` to `(a, n, b)`."""
        x = layer_input("Flatten", x)
        shape = aval_of(x).shape
        start, end = (axis + len(shape) if axis < 0 else axis for axis in (self.start_axis, self.end_axis))
        if not 0 <= start <= end < len(shape):
            raise ShapeError(f"Flatten of the axes {self.start_axis} to {self.end_axis} of an input of shape {shape}")
        return fnp.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


class Dropout(Module):
    """Zeros in random places, the rest scaled so that the mean stays (Srivastava et al., 2014).

    Args:
        p: the probability of a zero, at least 0 and less than 1, or 1 for all zeros.
        inference: nothing is dropped; set by `inference_mode`.

    Raises:
        ArgumentError: `p` is no probability; or there is no key in training.

    >>> import functrans as ft, numpy as np
    >>> dropout = ft.nn.Dropout(0.5)
    >>> dropout(np.ones(6), key=ft.random.key(1))
    Array([2., 2., 0., 0., 2., 0.])
    >>> ft.nn.inference_mode(dropout)(np.ones(3))
    Array([1., 1., 1.])
    """

    p: float = static(default=0.5)
    inference: bool = static(default=False)

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ArgumentError(f"Dropout: p is a probability, from 0 to 1, got {self.p}")

    def __call__(self, x: Any, *, key: Any = None) -> Any:
        """An array of the shape and dtype of `x`."""
        x = fnp.asarray(layer_input("Dropout", x))
        if self.inference or self.p == 0:
            return x
        if self.p == 1:
            return fnp.zeros_like(x)
        kept = random.bernoulli(checked_key("Dropout", key), 1 - self.p, aval_of(x).shape)
        return fnp.where(kept, x / (1 - self.p), 0)
