"""Splines as sums of B-splines (C. de Boor, "A practical guide to splines", chapters IX and X)."""

from __future__ import annotations

import operator
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.scipy.interpolate.common import (
    Interpolator,
    evaluated,
    inexact,
    is_double,
    samples,
    scipys,
    spread,
    wrapped,
)


def basis(t: Any, k: int, v: Any, last: int) -> tuple[Any, list[Any]]:
    """The interval `i` of each point, `t[i] <= v < t[i + 1]`, and the `k + 1` B-splines there, from `i - k` on.

    `last` is the number of B-splines; points beyond the outer intervals belong to these.
    """
    index = fnp.clip(fnp.searchsorted(t, v, side="right") - 1, k, last - 1)
    found: list[Any] = [fnp.ones_like(v)]
    for p in range(1, k + 1):
        new: list[Any] = [fnp.zeros_like(v)] * (p + 1)
        for j in range(p):
            left, right = t[index - p + 1 + j], t[index + 1 + j]
            width = right - left
            part = fnp.where(width > 0, found[j] / fnp.where(width > 0, width, 1), 0)
            new[j] = new[j] + (right - v) * part
            new[j + 1] = new[j + 1] + (v - left) * part
        found = new
    return index, found


class BSpline(Interpolator):
    """A spline by its knots and coefficients, as `scipy.interpolate.BSpline`; a pytree of both.

    Args:
        t: knots, not decreasing, `(n + k + 1,)`.
        c: coefficients, `(n, ...)`.
        k: the degree.
        extrapolate: whether the outer pieces go on beyond `t[k]` and `t[n]`, NaN is there (`False`), or all is repeated
            (`"periodic"`).
        axis: where among the axes of a result those of the points come.

    >>> import functrans as ft, numpy as np
    >>> s = ft.scipy.interpolate.make_interp_spline(np.arange(6.0), np.arange(6.0) ** 2)
    >>> s(2.5), ft.grad(s)(2.5)
    (Array(6.25), Array(5.))
    """

    arrays: ClassVar[tuple[str, ...]] = ("t", "c")
    static: ClassVar[tuple[str, ...]] = ("k", "extrapolate", "axis")

    t: Any
    c: Any
    k: int
    extrapolate: Any
    axis: int

    def __init__(self, t: Any, c: Any, k: int, extrapolate: Any = True, axis: int = 0):
        name = "BSpline"
        k = operator.index(k)
        t, c = inexact(name, "t", t, complexes=False), inexact(name, "c", c)
        if k < 0:
            raise ArgumentError(f"{name} takes a degree of 0 or more, got k={k}")
        if extrapolate not in (True, False, "periodic"):
            raise ArgumentError(f"extrapolate is True, False or 'periodic', got {extrapolate!r:.40}")
        if aval_of(t).ndim != 1 or not aval_of(c).ndim:
            raise ShapeError(f"{name} takes knots of one dimension and coefficients of one or more")
        if not -aval_of(c).ndim <= axis < aval_of(c).ndim:
            raise ArgumentError(f"{name} takes an axis of c, which has {aval_of(c).ndim}, got {axis}")
        axis %= aval_of(c).ndim
        c = fnp.moveaxis(c, axis, 0)
        n = aval_of(t).size - k - 1
        if n < k + 1:
            raise ShapeError(f"{name} takes at least {2 * k + 2} knots for degree {k}, got {aval_of(t).size}")
        if aval_of(c).shape[0] < n:
            raise ShapeError(f"{name} takes {n} coefficients for these knots, got {aval_of(c).shape[0]}")
        if not isinstance(t, Tracer) and not np.all(np.diff(t) >= 0):
            raise ArgumentError(f"{name} takes knots that do not decrease")
        self.t, self.c, self.k, self.extrapolate, self.axis = t, c, k, extrapolate, axis

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The values, or the derivative of order `nu`, at an array of points."""
        nu = operator.index(nu)
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if self.is_plain(x) and is_double(self.c):
            made = scipys().BSpline.construct_fast(
                np.asarray(self.t, np.float64), np.asarray(self.c), self.k, self.extrapolate, self.axis
            )
            return wrapped(made(np.asarray(x), nu, extrapolate))
        if nu < 0:
            raise ArgumentError(f"the order of a derivative is 0 or more, got {nu}")
        spline = self.derivative(nu) if nu else self
        t, c, k = spline.t, spline.c, spline.k
        n = aval_of(t).size - k - 1
        v = inexact("BSpline", "points", x, complexes=False)
        flat = fnp.ravel(v).astype(common_dtype(aval_of(v).dtype, aval_of(t).dtype))
        ends = t[k], t[n]
        if extrapolate == "periodic":
            flat = ends[0] + fnp.remainder(flat - ends[0], ends[1] - ends[0])
        index, weights = basis(t, k, flat, n)
        out = sum((spread(w, c) * c[index - k + j] for j, w in enumerate(weights)), spread(0 * flat, c))
        if extrapolate is False:
            out = fnp.where(spread((flat < ends[0]) | (flat > ends[1]), c), np.nan, out)
        return evaluated(v, out, self.axis)

    def derivative(self, nu: int = 1) -> BSpline:
        """The derivative of order `nu` as a spline."""
        t, c, k = self.t, self.c, self.k
        c = c[: aval_of(t).size - k - 1]
        for _ in range(operator.index(nu)):
            if k == 0:
                return self._of(t, fnp.zeros_like(c), 0)
            n = aval_of(c).shape[0]
            width = t[k + 1 : n + k] - t[1:n]
            safe = fnp.where(width > 0, width, 1)
            c = fnp.diff(c, axis=0) * spread(fnp.where(width > 0, k / safe, 0), c)
            t, k = t[1:-1], k - 1
        return self._of(t, c, k)

    def _of(self, t: Any, c: Any, k: int) -> BSpline:
        out = object.__new__(BSpline)
        out.t, out.c, out.k, out.extrapolate, out.axis = t, c, k, self.extrapolate, self.axis
        return out


def _knots(x: Any, k: int) -> Any:
    """SciPy's knots for the spline of degree `k` through the points."""
    inner = x if k % 2 else (x[1:] + x[:-1]) / 2
    cut = (k + 1) // 2 if k % 2 else k // 2
    inner = inner[cut : aval_of(inner).shape[0] - cut]
    if k == 0:
        return fnp.concatenate([x, x[-1:]])
    ends = [fnp.broadcast_to(x[i], (k + 1,)) for i in (0, -1)]
    return fnp.concatenate([ends[0], inner, ends[1]])


def make_interp_spline(
    x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: int = 0, check_finite: bool = True
) -> BSpline:
    """The spline of degree `k` through samples, as `scipy.interpolate.make_interp_spline`.

    Args:
        x: points, increasing, `(n,)`.
        y: values, with `n` elements along the axis.
        k: the degree.
        t: knots; by default those of the not-a-knot spline.
        bc_type: conditions at the ends, for plain values alone; `CubicSpline` takes them for traced ones.
        axis: the axis of the points.
        check_finite: SciPy's, for plain values.

    Returns:
        A `BSpline`. It has derivatives by `y` and `x`; the equations for its coefficients are solved as a full matrix.

    >>> import functrans as ft, numpy as np
    >>> spline = ft.scipy.interpolate.make_interp_spline(np.arange(5.0), np.arange(5.0) ** 2)
    >>> spline(2.5)
    Array(6.25)
    """
    name = "make_interp_spline"
    k = operator.index(k)
    if k < 0:
        raise ArgumentError(f"{name} takes a degree of 0 or more, got k={k}")
    x, y, axis = samples(name, x, y, axis)
    if not any(isinstance(v, Tracer) for v in (x, y, t)) and is_double(y):
        found: Any = scipys().make_interp_spline(np.asarray(x), np.asarray(y), k, t, bc_type, 0, check_finite)
        out = BSpline(found.t, found.c, found.k, found.extrapolate)
        out.axis = axis
        return out
    if bc_type not in (None, "not-a-knot", (None, None)):
        raise ArgumentError(f"{name} of traced values takes no bc_type; CubicSpline takes it")
    n = aval_of(x).size
    if n <= k:
        raise ShapeError(f"{name} takes more than k={k} points, got {n}")
    t = _knots(x, k) if t is None else inexact(name, "t", t, complexes=False).astype(aval_of(x).dtype)
    if aval_of(t).shape != (n + k + 1,):
        raise ShapeError(f"{name} takes {n + k + 1} knots for {n} points and degree {k}, got {aval_of(t).shape}")
    index, weights = basis(t, k, x, n)
    columns = np.arange(n)
    matrix: Any = sum(
        (fnp.where((index - k + j)[:, None] == columns, w[:, None], 0) for j, w in enumerate(weights)), 0.0
    )
    shape, dtype = aval_of(y).shape, aval_of(y).dtype
    c = fnp.linalg.solve(matrix.astype(dtype), fnp.reshape(y, (n, -1)))
    out = BSpline(t, fnp.reshape(c, shape), k)
    out.axis = axis
    return out
