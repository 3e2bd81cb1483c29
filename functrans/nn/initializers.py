"""Initial values of parameters, as in `jax.nn.initializers`: functions that make functions `(key, shape, dtype)`.

Which variance keeps signals of one size from layer to layer is told by Glorot and Bengio (2010) for symmetric
activations, by He et al. (2015) for rectifiers, and by LeCun et al. (1998) for the rest. The fan in is the number of
inputs of a unit: the axis `in_axis` times those of the receptive field, which are all axes but `in_axis`, `out_axis`
and `batch_axis`. The default axes are those of kernels `(*spatial, in, out)`; layers call an initializer with that
shape, whatever the order of the axes of their own weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import random
from functrans.core.placement import refuse_placement
from functrans.errors import ArgumentError, ShapeError

__all__ = [
    "Initializer", "constant", "delta_orthogonal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform",
    "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal", "ones", "orthogonal",
    "truncated_normal", "uniform", "variance_scaling", "xavier_normal", "xavier_uniform", "zeros",
]  # fmt: skip

#: A function `(key, shape, dtype) -> array`.
Initializer = Callable[..., Any]
Axes = int | Sequence[int]


def zeros(key: Any, shape: Sequence[int], dtype: Any = float, out_sharding: None = None) -> Any:
    """An initializer of zeros; the key is not used.

    >>> import functrans as ft
    >>> ft.nn.initializers.zeros(None, (2,))
    Array([0., 0.])
    """
    refuse_placement("initializers.zeros", out_sharding=out_sharding)
    return fnp.zeros(tuple(shape), dtype)


def ones(key: Any, shape: Sequence[int], dtype: Any = float, out_sharding: None = None) -> Any:
    """An initializer of ones; the key is not used.

    >>> import functrans as ft
    >>> ft.nn.initializers.ones(None, (2,))
    Array([1., 1.])
    """
    refuse_placement("initializers.ones", out_sharding=out_sharding)
    return fnp.ones(tuple(shape), dtype)


def constant(value: Any, dtype: Any = float) -> Initializer:
    """An initializer of one value, a number or an array that broadcasts to the shape.

    >>> import functrans as ft
    >>> ft.nn.initializers.constant(0.5)(None, (2,))
    Array([0.5, 0.5])
    """
    return lambda key, shape, dtype=dtype: fnp.full(tuple(shape), value, dtype)


def uniform(scale: Any = 1e-2, dtype: Any = float) -> Initializer:
    """An initializer of numbers equally likely in `[0, scale)`.

    >>> import functrans as ft
    >>> ft.nn.initializers.uniform(2.0)(ft.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return lambda key, shape, dtype=dtype: random.uniform(key, shape, dtype) * np.dtype(dtype).type(scale)


def normal(stddev: Any = 1e-2, dtype: Any = float) -> Initializer:
    """An initializer of normal numbers with mean 0.

    >>> import functrans as ft
    >>> ft.nn.initializers.normal(0.1)(ft.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return lambda key, shape, dtype=dtype: random.normal(key, shape, dtype) * np.dtype(dtype).type(stddev)


def truncated_normal(stddev: Any = 1e-2, dtype: Any = float, lower: float = -2.0, upper: float = 2.0) -> Initializer:
    """An initializer of normal numbers between `lower` and `upper`, times `stddev`.

    The result has a smaller standard deviation than `stddev`: 0.88 of it with the default bounds.

    >>> import functrans as ft
    >>> ft.nn.initializers.truncated_normal(0.1)(ft.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return lambda key, shape, dtype=dtype: (
        random.truncated_normal(key, lower, upper, shape, dtype) * np.dtype(dtype).type(stddev)
    )


def variance_scaling(
    scale: float,
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: Any = float,
) -> Initializer:
    """An initializer of numbers with mean 0 and variance `scale / fan`.

    Args:
        scale: a positive number.
        mode: which fan: `"fan_in"`, `"fan_out"`, `"fan_avg"` (their mean) or `"fan_geo_avg"`.
        distribution: `"normal"`, `"uniform"` or `"truncated_normal"` (within two standard deviations, widened so that
            the variance is right).
        in_axis, out_axis: the axes of inputs and outputs.
        batch_axis: axes that are neither part of them nor of the receptive field.
        dtype: the dtype where the call gives none.

    Raises:
        ArgumentError: an unknown mode or distribution.
        ShapeError: the shape has fewer axes than are named.

    >>> import functrans as ft
    >>> w = ft.nn.initializers.variance_scaling(2.0, "fan_in", "normal")(ft.random.key(0), (50, 1000))
    >>> float(w.var())
    0.04
    """
    if mode not in ("fan_in", "fan_out", "fan_avg", "fan_geo_avg"):
        raise ArgumentError(f"variance_scaling: mode is fan_in, fan_out, fan_avg or fan_geo_avg, got {mode!r}")
    if distribution not in ("normal", "uniform", "truncated_normal"):
        raise ArgumentError(
            f"variance_scaling: distribution is normal, uniform or truncated_normal, got {distribution!r}"
        )

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        dtype = np.dtype(dtype)
        fan_in, fan_out = _fans(shape, in_axis, out_axis, batch_axis)
        fan = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out),
        }[mode]
        deviation = math.sqrt(scale / max(1, fan))
        if distribution == "normal":
            return random.normal(key, shape, dtype) * dtype.type(deviation)
        if distribution == "uniform":
            return random.uniform(key, shape, dtype, -1.0, 1.0) * dtype.type(math.sqrt(3) * deviation)
        # the standard deviation of a normal number between -2 and 2
        return random.truncated_normal(key, -2.0, 2.0, shape, dtype) * dtype.type(deviation / 0.87962566103423978)

    return init


def _fans(shape: Sequence[int], in_axis: Axes, out_axis: Axes, batch_axis: Axes) -> tuple[float, float]:
    ndim = len(shape)
    groups = [[axes] if isinstance(axes, int) else list(axes) for axes in (in_axis, out_axis, batch_axis)]
    if any(not -ndim <= axis < ndim for group in groups for axis in group):
        raise ShapeError(
            f"an initializer with in_axis={in_axis}, out_axis={out_axis} and batch_axis={batch_axis} needs a shape "
            f"with these axes, got {tuple(shape)}; give vectors, as of biases, by zeros, normal or uniform"
        )
    sizes = [math.prod(shape[axis] for axis in group) for group in groups]
    field = math.prod(shape) / max(1, math.prod(sizes))
    return sizes[0] * field, sizes[1] * field


def glorot_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """Glorot's initializer, uniform: variance 1 / the mean of the fans. Also named `xavier_uniform`.

    >>> import functrans as ft, numpy as np
    >>> np.abs(ft.nn.initializers.glorot_uniform()(ft.random.key(0), (3, 3))).max() <= 1
    Array(True)
    """
    return variance_scaling(1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype)


def glorot_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """Glorot's initializer, normal within two deviations. Also named `xavier_normal`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.initializers.glorot_normal()(ft.random.key(0), (3, 2)).shape
    (3, 2)
    """
    return variance_scaling(1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def lecun_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """LeCun's initializer, uniform: variance 1 / fan in.

    >>> import functrans as ft, numpy as np
    >>> np.abs(ft.nn.initializers.lecun_uniform()(ft.random.key(0), (3, 2))).max() <= 1
    Array(True)
    """
    return variance_scaling(1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def lecun_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """LeCun's initializer, normal within two deviations.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.initializers.lecun_normal()(ft.random.key(0), (3, 2)).shape
    (3, 2)
    """
    return variance_scaling(1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


def he_uniform(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """He's initializer, uniform: variance 2 / fan in. Also named `kaiming_uniform`.

    >>> import functrans as ft, numpy as np
    >>> np.abs(ft.nn.initializers.he_uniform()(ft.random.key(0), (6, 2))).max() <= 1
    Array(True)
    """
    return variance_scaling(2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype)


def he_normal(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = float) -> Initializer:
    """He's initializer, normal within two deviations. Also named `kaiming_normal`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.initializers.he_normal()(ft.random.key(0), (3, 2)).shape
    (3, 2)
    """
    return variance_scaling(2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype)


xavier_uniform, xavier_normal = glorot_uniform, glorot_normal
kaiming_uniform, kaiming_normal = he_uniform, he_normal


def orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = float) -> Initializer:
    """An initializer of orthogonal matrices (Saxe et al., 2014).

    All axes but `column_axis` together are the rows; the shorter of rows and columns are orthonormal, times `scale`.

    Raises:
        ShapeError: the shape has fewer than two axes.

    >>> import functrans as ft, numpy as np
    >>> w = ft.nn.initializers.orthogonal()(ft.random.key(0), (3, 2))
    >>> np.allclose(w.T @ w, np.eye(2))
    True
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal needs a shape of at least two axes, got {tuple(shape)}")
        columns = shape[column_axis]
        rows = math.prod(shape) // max(1, columns)
        q, r = fnp.linalg.qr(random.normal(key, (max(rows, columns), min(rows, columns)), dtype))
        q = q * fnp.sign(fnp.diagonal(r))  # makes all orthogonal matrices equally likely
        q = q if rows >= columns else q.T
        others = tuple(np.delete(np.array(shape), column_axis).tolist())
        return fnp.moveaxis(fnp.reshape(q, (*others, columns)), -1, column_axis) * np.dtype(dtype).type(scale)

    return init


def delta_orthogonal(scale: float = 1.0, column_axis: int = -1, dtype: Any = float) -> Initializer:
    """An initializer of convolutions that are orthogonal maps: an orthogonal matrix at the centre (Xiao et al., 2018).

    Shapes are `(*spatial, in, out)` with one to three spatial axes and `in <= out`.

    Raises:
        ShapeError: another number of axes, or more inputs than outputs.

    >>> import functrans as ft
    >>> ft.nn.initializers.delta_orthogonal()(ft.random.key(0), (3, 3, 2, 4))[0, 0].sum()
    Array(0.)
    """

    def init(key: Any, shape: Sequence[int], dtype: Any = dtype) -> Any:
        if len(shape) not in (3, 4, 5) or shape[-2] > shape[-1]:
            raise ShapeError(
                "delta_orthogonal needs a shape (*spatial, in, out) with one to three spatial axes and no more inputs "
                f"than outputs, got {tuple(shape)}"
            )
        matrix = orthogonal(scale, column_axis, dtype)(key, shape[-2:], dtype)
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        return fnp.zeros(tuple(shape), dtype).at[centre].set(matrix)

    return init
