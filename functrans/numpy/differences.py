"""Differences, gradients, integrals of samples; covariances (NumPy's reference: Mathematical functions, Statistics)."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.contraction import matmul
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import dtype_of, implements, known, normalize_axes, normalize_axis, operand, shape_of
from functrans.numpy.indexing import diagonal
from functrans.numpy.manipulation import atleast_2d, broadcast_to, concatenate, moveaxis, ravel
from functrans.numpy.reductions import average, mean, sum


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.diff([1, 4, 9, 16])
    Array([3, 5, 7])
    """
    a = operand("diff", a)
    if n == 0:
        return a
    if n < 0:
        raise ArgumentError(f"diff: the order must not be negative, got {n}")
    if not shape_of(a):
        raise ShapeError("diff takes an array with at least one axis, got a scalar")
    axis = normalize_axis(axis, len(shape_of(a)))
    ends = []
    for value in (prepend, append):
        if value is np._NoValue:
            value = None
        if value is not None:
            value = operand("diff", value)
            if not shape_of(value):
                value = broadcast_to(value, (*shape_of(a)[:axis], 1, *shape_of(a)[axis + 1 :]))
        ends.append(value)
    parts = [p for p in (ends[0], a, ends[1]) if p is not None]
    a = concatenate(parts, axis) if len(parts) > 1 else a
    for _ in range(n):
        m = shape_of(a)[axis]
        high, low = lax.slice_in_dim(a, 1, m, axis=axis), lax.slice_in_dim(a, 0, builtins.max(m - 1, 0), axis=axis)
        a = lax.ne(high, low) if dtype_of(a).kind == "b" else high - low
    return a


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.ediff1d([1, 4, 9], to_end=0)
    Array([3, 5, 0])
    """
    ary = ravel(operand("ediff1d", ary))
    own = dtype_of(ary)
    ends = []
    for name, value in (("to_begin", to_begin), ("to_end", to_end)):
        if value is not None:
            value = ravel(operand("ediff1d", value))
            if not np.can_cast(dtype_of(value), own, "same_kind"):
                raise DTypeError(f"ediff1d: {name} of dtype {dtype_of(value)} cannot be cast to {own}")
            value = lax.convert_element_type(value, own)
        ends.append(value)
    parts = [ends[0], ary[1:] - ary[: builtins.max(shape_of(ary)[0] - 1, 0)], ends[1]]
    return concatenate([p for p in parts if p is not None])


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.gradient([1.0, 4.0, 9.0, 16.0])
    Array([3., 4., 6., 7.])
    """
    f = operand("gradient", f)
    shape = shape_of(f)
    axes = normalize_axes(axis, len(shape))
    if dtype_of(f).kind == "b":
        raise DTypeError("gradient takes numbers, got bool")
    f = as_inexact(f)
    steps = [operand("gradient", h) for h in varargs] or [operand("gradient", 1.0)]
    steps = steps * len(axes) if len(steps) == 1 and not shape_of(steps[0]) else steps
    if len(steps) != len(axes):
        raise DTypeError(f"gradient: {len(steps)} spacings for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    out = []
    for i, h in zip(axes, steps):
        n = shape[i]
        if shape_of(h) not in ((), (n,)):
            raise ArgumentError(f"gradient: coordinates of shape {shape_of(h)} for an axis of size {n}")
        if n < edge_order + 1:
            raise ArgumentError(f"gradient: axis {i} of size {n} is too small; edge_order={edge_order} needs more")
        out.append(lax.convert_element_type(_slopes(f, i, h, edge_order), dtype_of(f)))
    return out[0] if len(out) == 1 else tuple(out)


def _slopes(f: Any, axis: int, h: Any, edge_order: int) -> Any:
    """Second-order differences inside, of the order asked for at the ends."""
    n = shape_of(f)[axis]

    def at(i: int, j: int | None = None) -> Any:
        return lax.slice_in_dim(f, i, i + 1 if j is None else j, axis=axis)

    if shape_of(h):  # coordinates
        d = diff(h)
        own = [1] * len(shape_of(f))
        own[axis] = n - 2
        before, after = (lax.reshape(x, own) for x in (d[:-1], d[1:]))
        both = before + after
        inner = at(0, n - 2) * (-after / (before * both)) + at(1, n - 1) * ((after - before) / (before * after))
        inner = inner + at(2, n) * (before / (after * both))
        d0, d1, e0, e1 = d[0], d[1] if n > 2 else d[0], d[-1], d[-2] if n > 2 else d[-1]
    else:
        inner = (at(2, n) - at(0, n - 2)) / (2.0 * h)
        d0 = d1 = e0 = e1 = h
    if edge_order == 1:
        return lax.concatenate([(at(1) - at(0)) / d0, inner, (at(n - 1) - at(n - 2)) / e0], axis)
    first = at(0) * (-(2 * d0 + d1) / (d0 * (d0 + d1))) + at(1) * ((d0 + d1) / (d0 * d1))
    first = first - at(2) * (d0 / (d1 * (d0 + d1)))
    last = at(n - 3) * (e0 / (e1 * (e0 + e1))) - at(n - 2) * ((e0 + e1) / (e0 * e1))
    last = last + at(n - 1) * ((2 * e0 + e1) / (e0 * (e0 + e1)))
    return lax.concatenate([first, inner, last], axis)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.trapezoid([0.0, 1.0, 4.0], dx=0.5)
    Array(1.5)
    """
    y = operand("trapezoid", y)
    axis = normalize_axis(axis, len(shape_of(y)))
    y = moveaxis(as_inexact(y), axis, -1)
    if x is not None:
        x = operand("trapezoid", x)
        dx = diff(x) if len(shape_of(x)) == 1 else diff(moveaxis(x, axis, -1))
    return sum((y[..., 1:] + y[..., :-1]) * 0.5 * dx, -1)


# ---------------------------------------------------------------- covariances


@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.cov([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    Array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if ddof is not None and ddof != int(ddof):
        raise ArgumentError(f"cov: ddof must be an integer, got {ddof}")
    x, other = _rows("cov", m, rowvar), None if y is None else _rows("cov", y, rowvar)
    if dtype is None:
        dtype = common_dtype(dtype_of(x), np.float64, *([] if other is None else [dtype_of(other)]))
    x = lax.convert_element_type(x, dtype)
    if not shape_of(x)[0]:
        return lax.full((0, 0), 0.0)
    if other is not None:
        x = concatenate([x, lax.convert_element_type(other, dtype)])
    n = shape_of(x)[1]
    ddof = (0 if bias else 1) if ddof is None else int(ddof)
    w = _observation_weights(n, fweights, aweights)
    if w is None:
        center: Any = mean(x, 1, keepdims=True)
        factor: Any = builtins.max(n - ddof, 0)
    else:
        center = average(x, 1, w, keepdims=True)
        total = sum(w)
        if ddof == 0 or aweights is None:
            factor = total - ddof
        else:
            factor = total - ddof * sum(w * operand("cov", aweights)) / total
        factor = ew.max(factor, 0.0)
    x = x - center
    right = lax.conj(lax.transpose(x if w is None else x * w, (1, 0)))
    out = matmul(x, right) / factor
    return lax.reshape(out, ()) if aval_of(out).size == 1 else out


def _rows(name: str, m: Any, rowvar: bool) -> Any:
    """Variables as rows, observations as columns."""
    x = operand(name, m)
    if len(shape_of(x)) > 2:
        raise ShapeError(f"{name} takes arrays of at most two axes, got shape {shape_of(x)}")
    vector = len(shape_of(x)) < 2
    x = atleast_2d(x)
    return x if rowvar or vector else lax.transpose(x, (1, 0))


def _observation_weights(n: int, fweights: Any, aweights: Any) -> Any:
    w = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        given = operand("cov", given)
        if shape_of(given) != (n,):
            raise ShapeError(f"cov: {name} of shape {shape_of(given)} for {n} observations")
        values = known(given)
        if values is not None and (values < 0).any():
            raise ArgumentError(f"cov: {name} must not be negative")
        if name == "fweights":
            if values is not None and (values != np.around(values)).any():
                raise DTypeError("cov: fweights must be whole numbers")
        given = lax.convert_element_type(given, np.float64)
        w = given if w is None else w * given
    return w


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.corrcoef([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    Array([[1. , 0.5],
           [0.5, 1. ]])
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return c / c
    scale = ew.sqrt(lax.real(diagonal(c)))
    c = c / lax.reshape(scale, (shape_of(scale)[0], 1)) / scale
    if dtype_of(c).kind == "c":
        return lax.complex(ew.max(ew.min(lax.real(c), 1.0), -1.0), ew.max(ew.min(lax.imag(c), 1.0), -1.0))
    return ew.max(ew.min(c, 1.0), -1.0)
