"""Histograms of one and several dimensions (NumPy's reference: Statistics, Histograms)."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of, inexact_dtype
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import to_common_dtype
from functrans.numpy.creation import linspace
from functrans.numpy.datatypes import result_type
from functrans.numpy.differences import diff
from functrans.numpy.dispatch import dtype_of, implements, known, operand, shape_of
from functrans.numpy.manipulation import ravel
from functrans.numpy.reductions import max, min, sum
from functrans.numpy.sorting import searchsorted
from functrans.numpy.ufuncs import where

_range = range


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """Of a traced array, `bins` is a number or the edges themselves: other rules need its values.

    >>> import functrans.numpy as fnp
    >>> fnp.histogram_bin_edges([1.0, 2.0, 4.0], bins=3)
    Array([1., 2., 3., 4.])
    """
    a = ravel(operand("histogram_bin_edges", a))
    if isinstance(bins, str):
        values = known(a)
        if values is None:
            raise ArgumentError(f"histogram of a traced array takes a number of bins or their edges, got {bins!r}")
        return operand("histogram_bin_edges", np.histogram_bin_edges(values, bins, range, weights))
    return _edges("histogram", a, bins, range)


def _edges(name: str, x: Any, bins: Any, bounds: Any) -> Any:
    """The edges of bins of the vector `x`."""
    bins = operand(name, bins)
    if len(shape_of(bins)) == 1:
        values = known(bins)
        if values is not None and (np.diff(values) < 0).any():
            raise ArgumentError(f"{name}: the edges of bins must increase monotonically")
        return bins
    if shape_of(bins):
        raise ShapeError(f"{name}: bins must be a number or a vector of edges, got shape {shape_of(bins)}")
    n = bins.__index__()
    if n < 1:
        raise ArgumentError(f"{name}: the number of bins must be positive, got {n}")
    if bounds is not None:
        low, high = bounds
        plain = [known(v) for v in (low, high)]
        if plain[0] is not None and plain[1] is not None and not plain[0] <= plain[1]:
            raise ArgumentError(f"{name}: max must be larger than min in range, got {bounds}")
    else:
        low, high = (min(x), max(x)) if aval_of(x).size else (0.0, 1.0)
    dtype = result_type(low, high, x) if name == "histogram" else result_type(low, high, 1.0)
    dtype = inexact_dtype(dtype)
    low, high = (lax.convert_element_type(operand(name, v), dtype) for v in (low, high))
    flat = lax.eq(low, high)
    return linspace(where(flat, low - 0.5, low), where(flat, high + 0.5, high), n + 1)


def _places(x: Any, edges: Any) -> Any:
    """The bin of each element, -1 or the number of bins outside of all."""
    n = shape_of(edges)[0] - 1
    place = searchsorted(edges, x, side="right") - 1
    return where(lax.eq(x, edges[-1]), n - 1, where(lax.ne(x, x), n, place))


@implements(np.histogram)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> counts, edges = fnp.histogram([1.0, 2.0, 2.5, 4.0], bins=3)
    >>> counts, edges
    (Array([1, 2, 1]), Array([1., 2., 3., 4.]))
    """
    a = operand("histogram", a)
    if weights is not None and shape_of(operand("histogram", weights)) != shape_of(a):
        raise ShapeError(f"histogram: weights of shape {shape_of(weights)} for an array of shape {shape_of(a)}")
    a = ravel(a)
    edges = histogram_bin_edges(a, bins, range)
    n = shape_of(edges)[0] - 1
    place = _places(a, edges)
    updates = lax.full(shape_of(a), 1, np.int64) if weights is None else ravel(operand("histogram", weights))
    blank = lax.full((n,), 0, dtype_of(updates))
    counts = lax.scatter("add", blank, updates, [where(place < 0, n, place)], [0], mode="drop")
    if density:
        return counts / lax.convert_element_type(diff(edges), np.float64) / sum(counts), edges
    return counts, edges


@implements(np.histogramdd)
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.histogramdd([[0.1, 0.2], [0.9, 0.8]], bins=2)[0]
    Array([[0., 1.],
           [1., 0.]])
    """
    if isinstance(sample, (list, tuple)):
        columns = to_common_dtype("histogramdd", [ravel(operand("histogramdd", x)) for x in sample])
        if len({shape_of(c) for c in columns}) > 1:
            raise ShapeError("histogramdd: all coordinates must have the same number of points")
    else:
        sample = operand("histogramdd", sample)
        if len(shape_of(sample)) < 2:
            sample = lax.reshape(sample, (aval_of(sample).size, 1))
        if len(shape_of(sample)) != 2:
            raise ShapeError(f"histogramdd takes points as an array (N, D), got shape {shape_of(sample)}")
        columns = [sample[:, i] for i in _range(shape_of(sample)[1])]
    d = len(columns)
    each = list(bins) if isinstance(bins, (list, tuple)) or len(shape_of(operand("histogramdd", bins))) else [bins] * d
    if len(each) != d:
        raise ArgumentError(f"histogramdd: {len(each)} bins for points of {d} dimensions")
    if range is not None and len(range) != d:
        raise ArgumentError(f"histogramdd: {len(range)} ranges for points of {d} dimensions")
    bounds = [None] * d if range is None else range
    edges = [_edges("histogramdd", x, b, r) for x, b, r in zip(columns, each, bounds)]
    shape = tuple(shape_of(e)[0] - 1 for e in edges)
    updates = lax.full(shape_of(columns[0]), 1.0)
    if weights is not None:
        updates = lax.convert_element_type(operand("histogramdd", weights), np.float64)
    outside, places = False, []
    for x, e, n in zip(columns, edges, shape):
        place = _places(x, e)
        outside = lax.bitwise_or(outside, (place < 0) | (place >= n))
        places.append(place)
    places[0] = where(outside, shape[0], places[0])
    counts = lax.scatter("add", lax.full(shape, 0.0), updates, places, list(_range(d)), mode="drop")
    if density:
        total = sum(counts)
        for i, e in enumerate(edges):
            counts = counts / lax.reshape(diff(e), [shape[i] if j == i else 1 for j in _range(d)])
        counts = counts / total
    return counts, edges


@implements(np.histogram2d)
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.histogram2d([0.1, 0.9], [0.2, 0.8], bins=2)[0]
    Array([[1., 0.],
           [0., 1.]])
    """
    x, y = operand("histogram2d", x), operand("histogram2d", y)
    if shape_of(x) != shape_of(y):
        raise ShapeError(f"histogram2d: x and y must have one length, they have shapes {shape_of(x)} and {shape_of(y)}")
    number = len(bins) if isinstance(bins, (list, tuple)) else (shape_of(operand("histogram2d", bins)) or (2,))[0]
    if number not in (1, 2):
        bins = [bins, bins]  # the edges of both
    counts, (first, second) = histogramdd([x, y], bins, range, density, weights)
    return counts, first, second
