"""Sums of exponentials along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import DTypeError
from functrans.lax.conversion import stop_gradient_p
from functrans.scipy.dispatch import implements, inexact

Axis = int | tuple[int, ...] | None


def _axes(axis: Axis, ndim: int) -> Any:
    return tuple(range(ndim)) if axis is None else axis


@implements("scipy.special", "where")
def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False, where: Any = None
) -> Any:
    """`log(sum(b exp(a)))` along axes without overflow, as `scipy.special.logsumexp`.

    Args:
        where: a mask of the elements that are summed, as in JAX; of none the result is minus infinity.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.logsumexp(np.array([1000.0, 1000.0]))
    Array(1000.69314718)
    """
    a = inexact(a)
    axis = _axes(axis, aval_of(a).ndim)
    if where is not None:
        where = fnp.asarray(where)
        if aval_of(where).dtype.kind != "b":
            raise DTypeError(f"logsumexp: where= takes booleans, got {aval_of(where)}")
        a = fnp.where(where, a, -np.inf)
    if b is not None:
        a, b = fnp.broadcast_arrays(a, fnp.asarray(b))
        a = fnp.where(b == 0, -np.inf, a)
    empty = {} if aval_of(a).size else {"initial": -np.inf}
    top = fnp.max(lax.real(a), axis=axis, keepdims=True, **empty)
    top = stop_gradient_p.bind(fnp.where(fnp.isfinite(top), top, 0.0))
    terms = fnp.exp(a - top)
    total = fnp.sum(terms if b is None else b * terms, axis=axis, keepdims=True)
    sign = fnp.sign(total) if return_sign else None
    size = fnp.abs(total) if return_sign else total
    if where is None:
        out = fnp.log(size) + top
    else:  # of no elements
        some = fnp.any(fnp.broadcast_to(where, aval_of(a).shape), axis=axis, keepdims=True)
        out = fnp.where(some, fnp.log(fnp.where(some, size, 1.0)) + top, -np.inf)
    if not keepdims:
        out = fnp.squeeze(out, axis)
        sign = fnp.squeeze(sign, axis) if return_sign else None
    return (out, sign) if return_sign else out


@implements("scipy.special")
def softmax(x: Any, axis: Axis = None) -> Any:
    """`exp(x)` divided by its sum along axes, by default along all, as `scipy.special.softmax`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.softmax(np.array([0.0, 0.0]))
    Array([0.5, 0.5])
    """
    x = inexact(x)
    axis = _axes(axis, aval_of(x).ndim)
    terms = fnp.exp(x - stop_gradient_p.bind(fnp.max(x, axis=axis, keepdims=True)))
    return terms / fnp.sum(terms, axis=axis, keepdims=True)


@implements("scipy.special")
def log_softmax(x: Any, axis: Axis = None) -> Any:
    """The logarithm of `softmax`, as `scipy.special.log_softmax`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.log_softmax(np.array([0.0, 0.0]))
    Array([-0.69314718, -0.69314718])
    """
    x = inexact(x)
    axis = _axes(axis, aval_of(x).ndim)
    shifted = x - stop_gradient_p.bind(fnp.max(x, axis=axis, keepdims=True))
    return shifted - fnp.log(fnp.sum(fnp.exp(shifted), axis=axis, keepdims=True))
