"""Quantiles, percentiles, medians, and their like that ignore NaN (NumPy's reference: Statistics, Order statistics).

A quantile lies at a place in the sorted elements, in general between two of them. Methods differ in the place and in
how they go from one element to the next (R. J. Hyndman, Y. Fan, "Sample quantiles in statistical packages", 1996).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, bfloat16, inexact_dtype, is_inexact
from functrans.errors import ArgumentError, DTypeError, IndexOutOfBoundsError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.indexing import take_along
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import dtype_of, implements, known, normalize_axes, operand, shape_of, unsupported
from functrans.numpy.manipulation import broadcast_to
from functrans.numpy.ufuncs import where

#: Methods that interpolate: alpha and beta of Hyndman and Fan.
_CONTINUOUS = {
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
#: Methods that give an element: its place among `n` sorted ones.
_DISCRETE: dict[str, Any] = {
    "inverted_cdf": lambda n, q: _boundary(n * q - 1, lambda share, place: lax.eq(share, 0)),
    "closest_observation": lambda n, q: _boundary(
        n * q - 1 - 0.5, lambda share, place: lax.eq(share, 0) & lax.eq(ew.floor(place) % 2, 1)
    ),
    "lower": lambda n, q: ew.floor((n - 1) * q),
    "higher": lambda n, q: ew.ceil((n - 1) * q),
    "nearest": lambda n, q: ew.rint((n - 1) * q),
}
_OTHER = ("linear", "averaged_inverted_cdf", "midpoint")


def _boundary(place: Any, stays: Any) -> Any:
    low = ew.floor(place)
    return ew.max(where(stays(place - low, place), low, low + 1), 0)


def _place(method: str, n: Any, q: Any) -> tuple[Any, Any]:
    """Where the quantile lies among `n` elements, and its share of the way to the next element."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        place = n * q + (alpha + q * (1 - alpha - beta)) - 1
    elif method == "averaged_inverted_cdf":
        place = n * q - 1
    elif method == "midpoint":
        place = 0.5 * (ew.floor((n - 1) * q) + ew.ceil((n - 1) * q))
    else:
        place = (n - 1) * q
    share = place - ew.floor(place)
    if method == "averaged_inverted_cdf":
        share = where(lax.eq(share, 0), 0.5, 1.0)
    elif method == "midpoint":
        share = where(lax.eq(share, 0), 0.0, 0.5)
    return place, lax.convert_element_type(share, dtype_of(place))


class _Slices:
    """The elements to take quantiles of: along axis 0, sorted, NaN last."""

    def __init__(self, name: str, a: Any, axis: Any, ignore_nan: bool):
        self.a = operand(name, a)
        if dtype_of(self.a).kind == "c" and "median" not in name:
            raise DTypeError(f"{name} takes real numbers, got {aval_of(self.a)}")
        self.shape = shape_of(self.a)
        self.axes = normalize_axes(axis, len(self.shape))
        self.kept = [i for i in range(len(self.shape)) if i not in self.axes]
        self.rest = tuple(self.shape[i] for i in self.kept)
        self.x = self.in_front(self.a)
        self.total = shape_of(self.x)[0]
        self.ignore_nan = ignore_nan and is_inexact(dtype_of(self.a))

    def in_front(self, a: Any) -> Any:
        """The axes of the quantiles as one axis, in front of the others."""
        total = 1
        for i in self.axes:
            total *= self.shape[i]
        return lax.reshape(lax.transpose(a, [*self.axes, *self.kept]), (total, *self.rest))

    def count(self, sorted_: Any) -> Any:
        """How many elements count, and which slices have none or are NaN."""
        if self.ignore_nan:
            n = lax.reduce_sum(lax.convert_element_type(lax.eq(sorted_, sorted_), np.int64), (0,))
            return n, lax.eq(n, 0)
        return self.total, lax.ne(sorted_[-1], sorted_[-1]) if is_inexact(dtype_of(sorted_)) else None

    def read(self, sorted_: Any, place: Any, n: Any) -> Any:
        """The elements at places of shape `(Q, ...)`, the last for places beyond the end."""
        place = lax.convert_element_type(ew.max(ew.min(place, n - 1), 0), np.int64)
        if self.ignore_nan:
            return take_along(sorted_, broadcast_to(place, (shape_of(place)[0], *self.rest)), 0, "clip")
        return lax.gather(sorted_, [lax.reshape(place, (shape_of(place)[0],))], [0], mode="clip")

    def finish(self, value: Any, bad: Any, q_shape: tuple[int, ...], keepdims: bool) -> Any:
        if bad is not None:
            value = where(bad, dtype_of(value).type(np.nan), value)
        rest = tuple(1 if i in self.axes else m for i, m in enumerate(self.shape)) if keepdims else self.rest
        return lax.reshape(value, (*q_shape, *rest))


def _quantiles(name: str, a: Any, q: Any, axis: Any, method: str, keepdims: Any, weights: Any, ignore_nan: bool) -> Any:
    slices = _Slices(name, a, axis, ignore_nan)
    if method not in _CONTINUOUS and method not in _DISCRETE and method not in _OTHER:
        known_methods = ", ".join((*_CONTINUOUS, *_DISCRETE, *_OTHER))
        raise ArgumentError(f"{name}: {method!r} is not a valid method; use one of {known_methods}")
    q = operand(name, q)
    if dtype_of(q).kind == "c":
        raise DTypeError(f"{name}: q must be real, got {aval_of(q)}")
    own = dtype_of(slices.a)
    counted = inexact_dtype(own if aval_of(q).weak else dtype_of(q))
    out_dtype = common_dtype(inexact_dtype(own), counted)
    q = lax.convert_element_type(q, np.float32 if counted == bfloat16 else counted)  # bfloat16 counts to 256 only
    if len(shape_of(q)) > 1:
        flat = lax.reshape(q, (aval_of(q).size,))
        out = _quantiles(name, a, flat, axis, method, keepdims, weights, ignore_nan)
        return lax.reshape(out, (*shape_of(q), *shape_of(out)[1:]))
    values = known(q)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        limit = (
            "Percentiles must be in the range [0, 100]" if "perc" in name else "Quantiles must be in the range [0, 1]"
        )
        raise ArgumentError(f"{name}: {limit}")
    q_shape = shape_of(q)
    if weights is not None:
        return _weighted(name, slices, q, method, keepdims, weights)
    if not slices.total and not ignore_nan:
        raise IndexOutOfBoundsError(f"{name} of no elements: the array has shape {slices.shape}")
    if not slices.total:
        nothing = lax.full((aval_of(q).size, *slices.rest), np.nan, inexact_dtype(own))
        return slices.finish(nothing, None, q_shape, keepdims)
    x = lax.sort(slices.x, 0)
    n, bad = slices.count(x)
    n = lax.convert_element_type(n, dtype_of(q)) if slices.ignore_nan else n
    q = lax.reshape(q, (aval_of(q).size, *[1] * len(slices.rest)))
    if method in _DISCRETE:
        return slices.finish(slices.read(x, _DISCRETE[method](n, q), n), bad, q_shape, keepdims)
    place, share = _place(method, n, q)
    low = ew.floor(place)
    # Beyond either end both neighbours are the element there.
    lower = slices.read(x, low, n)
    upper = slices.read(x, where(place < 0, 0.0, low + 1), n)
    step = upper - lower
    value = where(share >= 0.5, upper - step * (1 - share), lower + step * share)
    value = lax.convert_element_type(value, out_dtype) if counted == bfloat16 else value
    return slices.finish(value, bad, q_shape, keepdims)


def _weighted(name: str, slices: _Slices, q: Any, method: str, keepdims: Any, weights: Any) -> Any:
    """The first element at which the weights up to it come to the share `q` of all."""
    if method != "inverted_cdf":
        raise ArgumentError(f"{name}: only the method 'inverted_cdf' takes weights, got {method!r}")
    weights = operand(name, weights)
    if shape_of(weights) != slices.shape:
        if tuple(slices.shape[i] for i in slices.axes) != shape_of(weights):
            raise ShapeError(f"{name}: weights of shape {shape_of(weights)} for an array of shape {slices.shape}")
        places = tuple(sorted(slices.axes))
        weights = lax.broadcast_in_dim(weights, slices.shape, places)
    w = lax.convert_element_type(slices.in_front(weights), np.float64)
    values = known(w)
    if values is not None and (values < 0).any():
        raise ArgumentError(f"{name}: weights must not be negative")
    if slices.ignore_nan:
        w = where(lax.ne(slices.x, slices.x), 0.0, w)
    x, w = lax.sort((slices.x, w), 0)
    _, bad = slices.count(x)
    cdf = lax.cumsum(w, 0)
    cdf = lax.convert_element_type(cdf / cdf[-1], dtype_of(q))
    cdf = where(lax.eq(cdf, 0), -1.0, cdf)  # what weighs nothing is never chosen
    flat = lax.reshape(q, (1, aval_of(q).size, *[1] * len(slices.rest)))
    below = lax.expand_dims(cdf, (1,)) < flat
    place = ew.min(lax.reduce_sum(lax.convert_element_type(below, np.int64), (0,)), slices.total - 1)
    return slices.finish(take_along(x, place, 0, "clip"), bad, shape_of(q), keepdims)


def _middle(name: str, a: Any, axis: Any, keepdims: Any, ignore_nan: bool) -> Any:
    """The mean of the two elements in the middle, or the one."""
    slices = _Slices(name, a, axis, ignore_nan)
    own = dtype_of(slices.a)
    wide = inexact_dtype(own)
    if not slices.total:
        return slices.finish(lax.full((1, *slices.rest), np.nan, wide), None, (), keepdims)
    x = lax.sort(slices.x, 0)
    n, bad = slices.count(x)
    column = lax.full((1, *[1] * len(slices.rest)), 0, np.int64)
    low, high = (lax.convert_element_type(slices.read(x, column + place, n), wide) for place in ((n - 1) // 2, n // 2))
    odd = lax.eq(n % 2, 1) if slices.ignore_nan else bool(n % 2)
    value = where(odd, low, (low + high) * wide.type(0.5))
    return slices.finish(value, bad, (), keepdims)


def _scaled(name: str, a: Any, q: Any) -> Any:
    """Percentages as shares, divided in the dtype that NumPy divides in."""
    q, own = operand(name, q), dtype_of(operand(name, a))
    return q / (own.type(100) if own.kind == "f" and not aval_of(q).weak else 100)


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.quantile([1.0, 2.0, 3.0, 4.0], [0.25, 0.5])
    Array([1.75, 2.5 ])
    """
    unsupported("quantile", out=out)
    return _quantiles("quantile", a, q, axis, method, keepdims, weights, False)


@implements(np.percentile)
def percentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.percentile([1.0, 2.0, 3.0, 4.0], 50)
    Array(2.5)
    """
    unsupported("percentile", out=out)
    return _quantiles("percentile", a, _scaled("percentile", a, q), axis, method, keepdims, weights, False)


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.median([3.0, 1.0, 2.0])
    Array(2.)
    """
    unsupported("median", out=out)
    return _middle("median", a, axis, keepdims, False)


@implements(np.nanquantile)
def nanquantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanquantile([3.0, fnp.nan, 2.0], 0.5)
    Array(2.5)
    """
    unsupported("nanquantile", out=out)
    return _quantiles("nanquantile", a, q, axis, method, keepdims, weights, True)


@implements(np.nanpercentile)
def nanpercentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: Any = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanpercentile([3.0, fnp.nan, 2.0], 50)
    Array(2.5)
    """
    unsupported("nanpercentile", out=out)
    scaled = _scaled("nanpercentile", a, q)
    return _quantiles("nanpercentile", a, scaled, axis, method, keepdims, weights, True)


@implements(np.nanmedian)
def nanmedian(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanmedian([3.0, fnp.nan, 2.0])
    Array(2.5)
    """
    unsupported("nanmedian", out=out)
    return _middle("nanmedian", a, axis, keepdims, True)
