"""Activation functions. All take an array of floats of any shape and keep its dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, is_inexact
from functrans.errors import ArgumentError
from functrans.lax.conversion import stop_gradient_p
from functrans.scipy import special

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "leaky_relu",
    "log1mexp", "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "mish", "one_hot", "relu", "relu6", "selu",
    "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid", "squareplus", "standardize",
    "swish", "tanh",
]  # fmt: skip


def identity(x: Any) -> Any:
    """`x`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.identity(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    return x


def relu(x: Any) -> Any:
    """`max(x, 0)`; its derivative at 0 is 0.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.relu(np.array([-1.0, 2.0]))
    Array([0., 2.])
    """
    x = fnp.asarray(x)
    return fnp.where(x <= 0, 0, x)  # NaN stays NaN


def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`; its derivative at 0 and at 6 is 0.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.relu6(np.array([-1.0, 2.0, 9.0]))
    Array([0., 2., 6.])
    """
    x = fnp.asarray(x)
    return fnp.where(x <= 0, 0, fnp.where(x >= 6, 6, x))


def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.sigmoid(np.array([0.0, 2.0]))
    Array([0.5       , 0.88079708])
    """
    return lax.logistic(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.tanh(np.array([0.0, 1.0]))
    Array([0.        , 0.76159416])
    """
    return fnp.tanh(x)


def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.softplus(np.array([0.0, 100.0]))
    Array([  0.69314718, 100.        ])
    """
    return fnp.logaddexp(x, 0.0)


def squareplus(x: Any, b: Any = 4) -> Any:
    """`(x + sqrt(x^2 + b)) / 2`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.squareplus(np.array([0.0, 3.0]))
    Array([1.        , 3.30277564])
    """
    x = fnp.asarray(x)
    return (x + fnp.sqrt(x * x + b)) / 2


def soft_sign(x: Any) -> Any:
    """`x / (|x| + 1)`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.soft_sign(np.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75])
    """
    x = fnp.asarray(x)
    return x / (fnp.abs(x) + 1)


def silu(x: Any) -> Any:
    """`x sigmoid(x)`, also named swish.

    Also called `swish`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.silu(np.array([-1.0, 2.0]))
    Array([-0.26894142,  1.76159416])
    """
    x = fnp.asarray(x)
    return x * sigmoid(x)


swish = silu


def mish(x: Any) -> Any:
    """`x tanh(softplus(x))`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.mish(np.array([-1.0, 2.0]))
    Array([-0.30340146,  1.94395896])
    """
    x = fnp.asarray(x)
    return x * fnp.tanh(softplus(x))


def log_sigmoid(x: Any) -> Any:
    """`log(sigmoid(x))`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.log_sigmoid(np.array([0.0, -100.0]))
    Array([  -0.69314718, -100.        ])
    """
    return -softplus(-fnp.asarray(x))


def elu(x: Any, alpha: Any = 1.0) -> Any:
    """`x` where positive, `alpha (exp(x) - 1)` elsewhere.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.elu(np.array([-1.0, 2.0]))
    Array([-0.63212056,  2.        ])
    """
    x = fnp.asarray(x)
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, 0.0, x)))


def celu(x: Any, alpha: Any = 1.0) -> Any:
    """`x` where positive, `alpha (exp(x / alpha) - 1)` elsewhere.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.celu(np.array([-1.0, 2.0]))
    Array([-0.63212056,  2.        ])
    """
    x = fnp.asarray(x)
    return fnp.where(x > 0, x, alpha * fnp.expm1(fnp.where(x > 0, 0.0, x) / alpha))


def selu(x: Any) -> Any:
    """The self-normalising `elu` (Klambauer et al., 2017).

    >>> import functrans as ft, numpy as np
    >>> ft.nn.selu(np.array([-1.0, 2.0]))
    Array([-1.11133074,  2.10140197])
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


def gelu(x: Any, approximate: bool = True) -> Any:
    """`x` times the normal distribution function at `x`; by tanh if `approximate` (Hendrycks and Gimpel, 2016).

    `(1 + tanh u) / 2` is `logistic(2 u)`, which is exact also where tanh is almost -1.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.gelu(np.array([-1.0, 2.0]), approximate=False)
    Array([-0.15865525,  1.95449974])
    """
    x = fnp.asarray(x)
    if approximate:
        return x * lax.logistic((8 / np.pi) ** 0.5 * (x + 0.044715 * (x * x * x)))
    return 0.5 * x * lax.erfc(-x / 2**0.5)


def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """`x` where not negative, `negative_slope x` elsewhere.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.leaky_relu(np.array([-1.0, 2.0]))
    Array([-0.01,  2.  ])
    """
    x = fnp.asarray(x)
    return fnp.where(x >= 0, x, negative_slope * x)


def hard_tanh(x: Any) -> Any:
    """`x` limited to [-1, 1].

    >>> import functrans as ft, numpy as np
    >>> ft.nn.hard_tanh(np.array([-4.0, 0.5]))
    Array([-1. ,  0.5])
    """
    x = fnp.asarray(x)
    return fnp.where(x > 1, 1.0, fnp.where(x < -1, -1.0, x))


def hard_sigmoid(x: Any) -> Any:
    """`relu6(x + 3) / 6`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    Array([0.  , 0.5 , 0.75])
    """
    return relu6(fnp.asarray(x) + 3.0) / 6


def hard_silu(x: Any) -> Any:
    """`x hard_sigmoid(x)`.

    Also called `hard_swish`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.hard_silu(np.array([-4.0, 0.0, 1.5]))
    Array([-0.   ,  0.   ,  1.125])
    """
    return fnp.asarray(x) * hard_sigmoid(x)


hard_swish = hard_silu


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of an axis times the sigmoid of the second.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.glu(np.array([1.0, 2.0, 0.0, 0.0]))
    Array([0.5, 1. ])
    """
    first, second = fnp.split(x, 2, axis)
    return first * sigmoid(second)


def sparse_plus(x: Any) -> Any:
    """0 up to -1, `x` from 1 on, and `(x + 1)^2 / 4` between: a `softplus` with sparse derivatives.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.sparse_plus(np.array([-2.0, 0.0, 2.0]))
    Array([0.  , 0.25, 2.  ])
    """
    x = fnp.asarray(x)
    return fnp.where(x <= -1, 0.0, fnp.where(x >= 1, x, (x + 1) * (x + 1) / 4))


def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, 1 from 1 on, and `(x + 1) / 2` between: the derivative of `sparse_plus`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.sparse_sigmoid(np.array([-2.0, 0.0, 2.0]))
    Array([0. , 0.5, 1. ])
    """
    return fnp.clip(fnp.asarray(x) + 1.0, 0.0, 2.0) / 2


def log1mexp(x: Any) -> Any:
    """`log(1 - exp(-x))` of positive numbers, accurate for small and for large ones (Maechler, 2012).

    >>> import functrans as ft, numpy as np
    >>> ft.nn.log1mexp(np.array([1e-20, 100.0]))
    Array([-4.60517019e+01, -3.72007598e-44])
    """
    x = fnp.asarray(x)
    small = x < np.log(2)
    return fnp.where(small, fnp.log(-fnp.expm1(-fnp.where(small, x, 1))), fnp.log1p(-fnp.exp(-fnp.where(small, 1, x))))


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """`log(sum(b exp(a)))` along axes without overflow, of the elements where `where` holds.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.logsumexp(np.array([1000.0, 1000.0]))
    Array(1000.69314718)
    """
    if where is not None:
        a = fnp.where(where, a, -np.inf)
    return special.logsumexp(a, axis, b, keepdims, return_sign)


def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Any:
    """`log(mean(exp(x)))` along axes without overflow, of the elements where `where` holds.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.logmeanexp(np.array([1000.0, 1000.0]))
    Array(1000.)
    """
    x = fnp.asarray(x)
    total = logsumexp(x, axis, keepdims=keepdims, where=where)
    counted = fnp.broadcast_to(True if where is None else where, x.shape)
    count = fnp.sum(counted, axis=axis, keepdims=keepdims)
    return total - fnp.log(count.astype(total.dtype))


def standardize(
    x: Any,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 1e-5,
    where: Any = None,
    *,
    algorithm: str = "fast",
) -> Any:
    """`x` with mean 0 and variance 1 along an axis.

    Args:
        x: an array.
        axis: the axis, or axes.
        mean, variance: those of `x` where `where` holds, unless they are given.
        epsilon: added to the variance.
        where: which elements count for mean and variance.
        algorithm: `fast`, by the mean of squares less the square of the mean; `stable`, by the mean of the squares of
            differences from the mean, which is exact also where the mean is large beside the deviation.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.standardize(np.array([1.0, 3.0]), epsilon=0.0)
    Array([-1.,  1.])
    """
    if algorithm not in ("fast", "stable"):
        raise ArgumentError(f"standardize: algorithm is 'fast' or 'stable', got {algorithm!r}")
    x = fnp.asarray(x)
    mean = fnp.mean(x, axis, keepdims=True, where=True if where is None else where) if mean is None else mean
    if variance is None:
        squares = fnp.square(x if algorithm == "fast" else x - mean)
        squares = squares if where is None else fnp.where(where, squares, 0)
        variance = fnp.mean(squares, axis, keepdims=True, where=True if where is None else where)
        variance = variance - fnp.square(mean) if algorithm == "fast" else variance
    return (x - mean) / fnp.sqrt(variance + epsilon)


def softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """`exp(x)` divided by its sum along axes, the last by default; 0 where `where` does not hold.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.softmax(np.array([0.0, 0.0]))
    Array([0.5, 0.5])
    """
    terms = fnp.exp(_below_maximum(x, axis, where))
    return terms / fnp.sum(terms, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """The logarithm of `softmax`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.log_softmax(np.array([0.0, 0.0]))
    Array([-0.69314718, -0.69314718])
    """
    shifted = _below_maximum(x, axis, where)
    return shifted - fnp.log(fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True))


def _below_maximum(x: Any, axis: Any, where: Any) -> Any:
    x = fnp.asarray(x)
    x = x if is_inexact(x.dtype) else x.astype(np.float64)
    if where is not None:
        x = fnp.where(where, x, -np.inf)
    return x - stop_gradient_p.bind(fnp.max(x, axis=axis, keepdims=True))


def one_hot(x: Any, num_classes: int, *, dtype: Any = float, axis: int = -1) -> Any:
    """Integers as unit vectors along a new axis; zeros for those outside `[0, num_classes)`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.one_hot(np.array([0, 2]), 3)
    Array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    x = fnp.asarray(x)
    ndim = aval_of(x).ndim + 1
    axis = axis % ndim
    own = [1] * ndim
    own[axis] = num_classes
    classes = fnp.reshape(fnp.arange(num_classes), own)
    return (fnp.expand_dims(x, axis) == classes).astype(dtype)
