"""Normalization: inputs shifted and scaled to mean 0 and variance 1, over other examples or over other features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import stop_gradient
from functrans.core.avals import SMALL_FLOATS, aval_of, float_info, kind_of
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.nn.linear import checked_features, layer_input
from functrans.nn.module import Module, static
from functrans.nn.spatial import checked_format

__all__ = [
    "BatchNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchStatistics", "GroupNorm", "LayerNorm", "RMSNorm",
    "State", "with_state",
]  # fmt: skip

Tree = TypeVar("Tree")


# What a model remembers from call to call -----------------------------------------------------------------------------


class State(Module):
    """What the layers of a model remember from call to call: a pytree, made by `with_state`, passed along with inputs.

    It is apart from the model, so that what is not learnt by gradients is no parameter: optimizers do not see it.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm(2))
    >>> isinstance(state, ft.nn.State), state.get(0).count
    (True, Array(0))
    """

    values: tuple[Any, ...]

    def get(self, index: int | None) -> Any:
        """What the layer of this number remembers."""
        return self.values[self._checked(index)]

    def set(self, index: int | None, value: Any) -> State:
        """A state in which the layer of this number remembers something else."""
        i = self._checked(index)
        return self.replace(values=(*self.values[:i], value, *self.values[i + 1 :]))

    def _checked(self, index: int | None) -> int:
        if index is None or not 0 <= index < len(self.values):
            raise ArgumentError(
                "this state is not that of the model: make both by `model, state = nn.with_state(model)`, and use the "
                "model that it returns"
            )
        return index


def with_state(model: Tree) -> tuple[Tree, State]:
    """A model whose layers know where in the state to look, and the state that it starts with.

    Layers that have a state are called with it and return the next one: `y, state = model(x, state)`. `Sequential`
    passes it through its layers; a module of your own passes it on from one to the next. A layer of your own has a
    state if it has a field `state_index`, `None` at first, and a method `initial_state()`, and if its calls take an
    argument named `state`; see `BatchNorm`.

    Args:
        model: a module, or any pytree of modules.

    >>> import functrans as ft, numpy as np
    >>> nn = ft.nn
    >>> model = nn.Sequential(nn.Linear(3, 4, key=ft.random.key(0)), nn.BatchNorm(4), nn.relu)
    >>> model, state = nn.with_state(model)
    >>> y, state = model(np.ones((5, 3), np.float32), state)
    >>> y.shape, int(state.values[0].count)
    ((5, 4), 1)
    """
    values: list[Any] = []

    def number(tree: Any) -> Any:
        leaves, treedef = flatten(tree, lambda x: isinstance(x, Module) and x is not tree)
        tree = unflatten(treedef, [number(x) if isinstance(x, Module) else x for x in leaves])
        if isinstance(tree, Module) and "state_index" in vars(tree):
            values.append(tree.initial_state())  # type: ignore[attr-defined]
            return tree.replace(state_index=len(values) - 1)
        return tree

    return number(model), State(tuple(values))


class BatchStatistics(NamedTuple):
    """What `BatchNorm` remembers: running means and variances `(features,)`, and how many batches there were.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm(2))
    >>> state.get(0).mean
    Array([0., 0.], dtype=float32)
    """

    mean: Any
    variance: Any
    count: Any


class BatchNorm(Module):
    """Features normalized over the batch and over all spatial axes (Ioffe and Szegedy, 2015).

    In training by the batch's own statistics, of which running averages are kept in the state; in inference (see
    `inference_mode`) by those. The derivative goes through the batch's statistics, and not into the state. Under `vmap`
    every example of the mapped axis has statistics of its own: call the layer with whole batches.

    Args:
        features: the number of features; they are axis 1 of inputs `(batch, features, *spatial)`.
        eps: added to the variance.
        momentum: the weight of the newest batch in the running averages; `None` for the mean of all batches.
        affine: whether there are a scale and an offset.
        data_format: `"channels_first"`, or `"channels_last"` for inputs `(batch, *spatial, features)`.
        dtype: of parameters and state, float32 by default; with half precision the state is float32.

    Attributes:
        weight, bias: `(features,)`, or `None`.

    Raises:
        ShapeError: an input with another number of features, or in training with one value for each only.
        ArgumentError: there is no state, or that of another model.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm(2))
    >>> y, state = layer(np.array([[1.0, 2.0], [3.0, 6.0]]), state)
    >>> y
    Array([[-0.999995  , -0.99999875],
           [ 0.999995  ,  0.99999875]])
    >>> state.values[0].mean
    Array([0.2, 0.4], dtype=float32)
    """

    dimensions: ClassVar[tuple[int, ...]] = ()

    features: int = static()
    eps: float = static()
    momentum: float | None = static()
    data_format: str = static()
    dtype: np.dtype = static()
    weight: Any
    bias: Any
    inference: bool = static()
    state_index: int | None = static()

    def __init__(
        self,
        features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        data_format: str = "channels_first",
        *,
        dtype: Any = np.float32,
    ):
        self.features, self.eps, self.momentum, self.dtype = features, eps, momentum, np.dtype(dtype)
        self.data_format = checked_format(type(self).__name__, data_format)
        self.weight = fnp.ones(features, dtype) if affine else None
        self.bias = fnp.zeros(features, dtype) if affine else None
        self.inference, self.state_index = False, None

    def initial_state(self) -> BatchStatistics:
        """Means of zero and variances of one."""
        dtype = _exact_dtype(self.dtype)
        zeros, ones = fnp.zeros(self.features, dtype), fnp.ones(self.features, dtype)
        return BatchStatistics(zeros, ones, fnp.zeros((), np.int64))

    def __call__(self, x: Any, state: State | None = None) -> tuple[Any, State]:
        """`(normalized, state)`; the input is `(batch, features, *spatial)`, or as configured."""
        name = type(self).__name__
        if state is None:
            raise ArgumentError(
                f"{name} needs a state: make it by `model, state = nn.with_state(model)` and call "
                "`y, state = model(x, state)`"
            )
        x = _floats(name, x)
        shape = aval_of(x).shape
        if len(shape) < 2 or (self.dimensions and len(shape) - 2 not in self.dimensions):
            ranks = " or ".join(str(n) for n in self.dimensions) or "any number of"
            raise ShapeError(f"{name} takes batches of inputs with {ranks} spatial axes, got an input of shape {shape}")
        axis = -1 if self.data_format == "channels_last" else 1 - len(shape)
        x = checked_features(name, x, self.features, axis)
        axes = tuple(i for i in range(len(shape)) if i != axis % len(shape))
        wide = (self.features,) + (1,) * (-axis - 1)
        if self.inference:
            mean, variance, _ = state.get(self.state_index)
        else:
            count = math.prod(shape[i] for i in axes)
            if count < 2:
                raise ShapeError(
                    f"{name} in training needs more than one value for each feature, got shape {shape}; for "
                    "predictions take nn.inference_mode(model), and leave out a last batch of one example, as "
                    "train.fit does with drop_last=True"
                )
            mean, variance = _moments(x, axes)
            state = state.set(self.state_index, self._updated(state.get(self.state_index), mean, variance, count))
        y = _scaled(x, fnp.reshape(mean, wide), fnp.reshape(variance, wide), self.eps)
        return _affine(y, self.weight, self.bias, wide, x), state

    def _updated(self, old: BatchStatistics, mean: Any, variance: Any, count: int) -> BatchStatistics:
        number = old.count + 1
        dtype = _exact_dtype(self.dtype)
        weight = dtype.type(self.momentum) if self.momentum is not None else 1 / number.astype(dtype)
        unbiased = variance * (count / (count - 1))
        move = lambda a, b: a + weight * (lax.convert_element_type(stop_gradient(b), dtype) - a)
        return BatchStatistics(move(old.mean, mean), move(old.variance, unbiased), number)


class BatchNorm1d(BatchNorm):
    """`BatchNorm` that takes `(batch, features)` or `(batch, features, length)` and nothing else.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm1d(2))
    >>> y, state = layer(np.array([[1.0, 2.0], [3.0, 6.0]]), state)
    >>> np.round(y, 3)
    Array([[-1., -1.],
           [ 1.,  1.]])
    """

    dimensions = (0, 1)


class BatchNorm2d(BatchNorm):
    """`BatchNorm` that takes `(batch, features, height, width)` and nothing else.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm2d(2))
    >>> y, state = layer(np.ones((4, 2, 5, 5)), state)
    >>> y.shape
    (4, 2, 5, 5)
    """

    dimensions = (2,)


class BatchNorm3d(BatchNorm):
    """`BatchNorm` that takes `(batch, features, depth, height, width)` and nothing else.

    >>> import functrans as ft, numpy as np
    >>> layer, state = ft.nn.with_state(ft.nn.BatchNorm3d(2))
    >>> y, state = layer(np.ones((4, 2, 5, 5, 5)), state)
    >>> y.shape
    (4, 2, 5, 5, 5)
    """

    dimensions = (3,)


class LayerNorm(Module):
    """Each example normalized over its last axes (Ba, Kiros and Hinton, 2016).

    Args:
        normalized_shape: the sizes of these axes: an integer, or a tuple.
        eps: added to the variance.
        elementwise_affine: whether there are a scale and an offset for each element.
        bias: whether there is the offset.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight, bias: of shape `normalized_shape`, or `None`.

    Raises:
        ShapeError: the last axes of the input are others.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.LayerNorm(3)(np.array([1.0, 2.0, 3.0]))
    Array([-1.22473568,  0.        ,  1.22473568])
    """

    normalized_shape: tuple[int, ...] = static()
    eps: float = static()
    weight: Any
    bias: Any

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
    ):
        self.normalized_shape, self.eps = _shape(normalized_shape), eps
        self.weight = fnp.ones(self.normalized_shape, dtype) if elementwise_affine else None
        self.bias = fnp.zeros(self.normalized_shape, dtype) if elementwise_affine and bias else None

    def __call__(self, x: Any) -> Any:
        """An array of the shape of `x`, `(..., *normalized_shape)`."""
        x, axes = _last_axes("LayerNorm", x, self.normalized_shape)
        mean, variance = _moments(x, axes, keepdims=True)
        return _affine(_scaled(x, mean, variance, self.eps), self.weight, self.bias, self.normalized_shape, x)


class RMSNorm(Module):
    """Each example divided by its root mean square over its last axes (Zhang and Sennrich, 2019).

    Args:
        normalized_shape: the sizes of these axes: an integer, or a tuple.
        eps: added to the mean square; by default the precision of the dtype of the computation, as in PyTorch.
        elementwise_affine: whether there is a scale for each element.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight: of shape `normalized_shape`, or `None`.

    Raises:
        ShapeError: the last axes of the input are others.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.RMSNorm(2)(np.array([3.0, 4.0]))
    Array([0.84852814, 1.13137085])
    """

    normalized_shape: tuple[int, ...] = static()
    eps: float | None = static()
    weight: Any

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = np.float32,
    ):
        self.normalized_shape, self.eps = _shape(normalized_shape), eps
        self.weight = fnp.ones(self.normalized_shape, dtype) if elementwise_affine else None

    def __call__(self, x: Any) -> Any:
        """An array of the shape of `x`, `(..., *normalized_shape)`."""
        x, axes = _last_axes("RMSNorm", x, self.normalized_shape)
        exact = _exact(x)
        eps = float(float_info(aval_of(exact).dtype).eps) if self.eps is None else self.eps
        y = exact / fnp.sqrt(fnp.mean(fnp.square(exact), axes, keepdims=True) + eps)
        return _affine(y, self.weight, None, self.normalized_shape, x)


class GroupNorm(Module):
    """Each example normalized over groups of its features and over all spatial axes (Wu and He, 2018).

    With one group it is layer normalization over features and space, with as many as there are features instance
    normalization.

    Args:
        num_groups: the number of groups, which divides the number of features.
        features: the number of features; they are axis 1 of inputs `(batch, features, *spatial)`.
        eps: added to the variance.
        affine: whether there are a scale and an offset for each feature.
        data_format: `"channels_first"`, or `"channels_last"` for inputs `(batch, *spatial, features)`.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight, bias: `(features,)`, or `None`.

    Raises:
        ArgumentError: the groups do not divide the features.
        ShapeError: an input with another number of features.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.GroupNorm(2, 4)(np.array([[1.0, 3.0, 5.0, 9.0]]))
    Array([[-0.999995  ,  0.999995  , -0.99999875,  0.99999875]])
    """

    num_groups: int = static()
    features: int = static()
    eps: float = static()
    data_format: str = static()
    weight: Any
    bias: Any

    def __init__(
        self,
        num_groups: int,
        features: int,
        eps: float = 1e-5,
        affine: bool = True,
        data_format: str = "channels_first",
        *,
        dtype: Any = np.float32,
    ):
        if num_groups < 1 or features % num_groups:
            raise ArgumentError(f"GroupNorm: {num_groups} groups do not divide {features} features")
        self.num_groups, self.features, self.eps = num_groups, features, eps
        self.data_format = checked_format("GroupNorm", data_format)
        self.weight = fnp.ones(features, dtype) if affine else None
        self.bias = fnp.zeros(features, dtype) if affine else None

    def __call__(self, x: Any) -> Any:
        """An array of the shape of `x`: `(batch, features, *spatial)`, or as configured."""
        x = _floats("GroupNorm", x)
        shape = aval_of(x).shape
        if len(shape) < 2:
            raise ShapeError(f"GroupNorm takes batches, inputs (batch, features, *spatial), got shape {shape}")
        axis = -1 if self.data_format == "channels_last" else 1 - len(shape)
        x = checked_features("GroupNorm", x, self.features, axis)
        place = axis % len(shape)
        size = self.features // self.num_groups
        parts = fnp.reshape(x, (*shape[:place], self.num_groups, size, *shape[place + 1 :]))
        mean, variance = _moments(parts, tuple(i for i in range(1, len(shape) + 1) if i != place), keepdims=True)
        y = fnp.reshape(_scaled(parts, mean, variance, self.eps), shape)
        return _affine(y, self.weight, self.bias, (self.features,) + (1,) * (-axis - 1), x)


# What they share ------------------------------------------------------------------------------------------------------


def _shape(sizes: int | Sequence[int]) -> tuple[int, ...]:
    return (sizes,) if isinstance(sizes, int) else tuple(sizes)


def _floats(name: str, x: Any) -> Any:
    x = layer_input(name, x)
    if kind_of(aval_of(x).dtype) != "f":
        raise DTypeError(f"{name} takes floats, got {aval_of(x)}; convert the input by .astype(np.float32)")
    return x


def _last_axes(name: str, x: Any, sizes: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    x = _floats(name, x)
    shape = aval_of(x).shape
    if shape[len(shape) - len(sizes) :] != sizes or len(shape) < len(sizes):
        raise ShapeError(f"{name} takes inputs whose last axes are {sizes}, got an input of shape {shape}")
    return x, tuple(range(-len(sizes), 0))


def _exact_dtype(dtype: np.dtype) -> np.dtype:
    """In which is computed: squares overflow in half precision, so it is float32 for these."""
    return np.dtype(np.float32) if dtype in SMALL_FLOATS else dtype


def _exact(x: Any) -> Any:
    return lax.convert_element_type(x, _exact_dtype(aval_of(x).dtype))


def _moments(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> tuple[Any, Any]:
    x = _exact(x)
    return fnp.mean(x, axes, keepdims=keepdims), fnp.var(x, axes, keepdims=keepdims)


def _scaled(x: Any, mean: Any, variance: Any, eps: float) -> Any:
    return (_exact(x) - mean) / fnp.sqrt(variance + eps)


def _affine(y: Any, weight: Any, bias: Any, shape: tuple[int, ...], x: Any) -> Any:
    """The result, of the dtype that the input `x` has with the parameters."""
    if weight is not None:
        y = y * fnp.reshape(weight, shape)
    if bias is not None:
        y = y + fnp.reshape(bias, shape)
    dtypes = [aval_of(part).dtype for part in (x, weight, bias) if part is not None]
    return lax.convert_element_type(y, common_dtype(*dtypes))
