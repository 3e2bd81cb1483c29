"""Interpolation of values at given points of a line or of a grid: linear, nearest, and by splines."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans.checking import check
from functrans.core.avals import aval_of, real_dtype
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.scipy.interpolate.bsplines import basis, make_interp_spline
from functrans.scipy.interpolate.common import (
    Interpolator,
    evaluated,
    increasing,
    inexact,
    is_double,
    samples,
    scipys,
    spread,
    wrapped,
)

#: The degrees of splines by their names.
_DEGREES = {"slinear": 1, "cubic": 3, "quintic": 5}


class RegularGridInterpolator(Interpolator):
    """Values between the points of a grid, as `scipy.interpolate.RegularGridInterpolator`; a pytree.

    Args:
        points: for each of `d` dimensions the coordinates of the grid, increasing or decreasing.
        values: the values there, of shape `(len(points[0]), ..., len(points[d - 1]), ...)`.
        method: `"linear"`, `"nearest"`, or products of splines: `"slinear"`, `"cubic"`, `"quintic"`; `"pchip"` for
            plain values alone.
        bounds_error: whether a point beyond the grid is an error, also in compiled programs.
        fill_value: else the value there; `None` to extrapolate.
        solver, solver_args: SciPy's; splines of traced values solve their equations directly.

    The interpolator has derivatives by `values`, `points` and where it is evaluated.

    Raises:
        ShapeError: points and values do not fit. ArgumentError: another method, or points that are not in order.

    >>> import functrans as ft, numpy as np
    >>> grid = ft.scipy.interpolate.RegularGridInterpolator(
    ...     (np.arange(3.0), np.arange(2.0)), np.arange(6.0).reshape(3, 2)
    ... )
    >>> grid(np.array([1.5, 0.5])), ft.jacobian(grid)(np.array([1.5, 0.5]))
    (Array([3.5]), Array([[2., 1.]]))
    """

    arrays: ClassVar[tuple[str, ...]] = ("grid", "values", "fill_value")
    static: ClassVar[tuple[str, ...]] = ("method", "bounds_error")

    grid: tuple[Any, ...]
    values: Any
    fill_value: Any
    method: str
    bounds_error: bool

    def __init__(
        self,
        points: Sequence[Any],
        values: Any,
        method: str = "linear",
        bounds_error: bool = True,
        fill_value: Any = np.nan,
        *,
        solver: Any = None,
        solver_args: Any = None,
    ):
        name = "RegularGridInterpolator"
        values = inexact(name, "values", values)
        if len(points) > aval_of(values).ndim:
            raise ShapeError(f"{name}: {len(points)} vectors of points for values of {aval_of(values).ndim} dimensions")
        grid = []
        for axis, p in enumerate(points):
            p = inexact(name, "points", p, complexes=False)
            if not isinstance(p, Tracer) and p.ndim == 1 and p.size > 1 and np.all(np.diff(p) < 0):
                p, values = fnp.flip(p), fnp.flip(values, axis)
            grid.append(increasing(name, f"points[{axis}]", p, least=1))
        sizes = tuple(aval_of(p).size for p in grid)
        if aval_of(values).shape[: len(grid)] != sizes:
            raise ShapeError(
                f"{name}: points of {sizes} coordinates do not fit values of shape {aval_of(values).shape}"
            )
        if method not in ("linear", "nearest", "pchip", *_DEGREES):
            raise ArgumentError(f"{name} takes method='linear', 'nearest', 'slinear', 'cubic', 'quintic' or 'pchip'")
        self.grid, self.values, self.method, self.bounds_error = tuple(grid), values, method, bool(bounds_error)
        self.fill_value = fill_value
        if method in _DEGREES:
            for size in sizes:
                if size <= _DEGREES[method]:
                    raise ShapeError(f"{name} takes more than {_DEGREES[method]} points for {method!r}, got {size}")
            self._solver = (solver, solver_args)

    def __call__(self, xi: Any, method: str | None = None, *, nu: Any = None) -> Any:
        """The values at points.

        Args:
            xi: points, `(..., d)`, or a tuple of `d` arrays that broadcast.
            method: in place of that of the interpolator.
            nu: SciPy's, for plain values: orders of derivatives of splines.
        """
        name = "RegularGridInterpolator"
        method = self.method if method is None else method
        d = len(self.grid)
        if isinstance(xi, tuple):
            xi = fnp.stack(fnp.broadcast_arrays(*map(fnp.asarray, xi)), axis=-1)
        xi = inexact(name, "xi", xi, complexes=False)
        xi = xi[..., None] if aval_of(xi).ndim < 2 and d == 1 and aval_of(xi).shape[-1:] != (1,) else xi
        if aval_of(xi).shape[-1:] != (d,):
            raise ShapeError(f"{name} takes points with {d} coordinates along the last axis, got {aval_of(xi).shape}")
        if self.is_plain(xi) and is_double(self.values):
            return wrapped(self._scipys()(np.asarray(xi), method, nu=nu))
        if nu is not None:
            raise ArgumentError(f"{name} of traced values takes no nu: differentiate it")
        if method not in ("linear", "nearest", *_DEGREES):
            raise ArgumentError(f"{name} of traced values does not know method={method!r:.40}")
        shape = aval_of(xi).shape[:-1] or (1,)
        flat = fnp.reshape(xi, (-1, d))
        beyond = fnp.zeros(aval_of(flat).shape[:1], bool)
        for j, p in enumerate(self.grid):
            beyond = beyond | (flat[:, j] < p[0]) | (flat[:, j] > p[-1])
        if self.bounds_error:
            check(~fnp.any(beyond), f"{name}: a point lies beyond the grid")
        columns = [flat[:, j] for j in range(d)]
        out = self._nearest(columns) if method == "nearest" else self._products(columns, method)
        if not self.bounds_error and self.fill_value is not None:
            out = fnp.where(spread(beyond, out), self.fill_value, out)
        missing = fnp.any(fnp.isnan(flat), axis=1)
        out = fnp.where(spread(missing, out), np.nan, out)
        return fnp.reshape(out, (*shape, *aval_of(out).shape[1:]))

    def _scipys(self) -> Any:
        solver, solver_args = getattr(self, "_solver", (None, None))
        extra = {} if solver is None else {"solver": solver, "solver_args": solver_args}
        fill = self.fill_value
        return scipys().RegularGridInterpolator(
            tuple(map(np.asarray, self.grid)), np.asarray(self.values), self.method, self.bounds_error,
            None if fill is None else np.asarray(fill)[()], **extra,
        )  # fmt: skip

    def _interval(self, j: int, v: Any) -> tuple[Any, Any]:
        """The interval of each point along a dimension, and how far it is through it."""
        p = self.grid[j]
        n = aval_of(p).size
        if n == 1:
            return fnp.zeros(aval_of(v).shape, np.int64), fnp.zeros_like(v)
        index = fnp.clip(fnp.searchsorted(p, v, side="right") - 1, 0, n - 2)
        return index, (v - p[index]) / (p[index + 1] - p[index])

    def _nearest(self, columns: Sequence[Any]) -> Any:
        places = []
        for j, v in enumerate(columns):
            index, part = self._interval(j, v)
            places.append(fnp.where(part <= 0.5, index, fnp.minimum(index + 1, aval_of(self.grid[j]).size - 1)))
        return self.values[tuple(places)]

    def _products(self, columns: Sequence[Any], method: str) -> Any:
        """The sum over the corners, or the B-splines, around each point."""
        values, around = self.values, []
        for j, v in enumerate(columns):
            if method == "linear":
                index, part = self._interval(j, v)
                last = aval_of(self.grid[j]).size - 1
                around.append([(index, 1 - part), (fnp.minimum(index + 1, last), part)])
                continue
            k = _DEGREES[method]
            spline = make_interp_spline(self.grid[j], values, k, axis=j) if k > 1 else None
            if spline is None:
                index, part = self._interval(j, v)
                around.append([(index, 1 - part), (index + 1, part)])
                continue
            values = fnp.moveaxis(spline.c, 0, j)
            index, weights = basis(spline.t, k, v, aval_of(self.grid[j]).size)
            around.append([(index - k + i, w) for i, w in enumerate(weights)])
        total: Any = 0
        for corner in itertools.product(*around):
            term = values[tuple(index for index, _ in corner)]
            weight = corner[0][1]
            for _, w in corner[1:]:
                weight = weight * w
            total = total + term * spread(weight, term).astype(real_dtype(aval_of(term).dtype))
        return total


def interpn(
    points: Sequence[Any], values: Any, xi: Any, method: str = "linear", bounds_error: bool = True,
    fill_value: Any = np.nan,
) -> Any:  # fmt: skip
    """Values between the points of a grid at once, as `scipy.interpolate.interpn`; see `RegularGridInterpolator`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.interpolate.interpn((np.arange(3.0),), np.array([0.0, 1.0, 4.0]), np.array([[1.5]]))
    Array([2.5])
    """
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)


_KINDS = ("linear", "nearest", "nearest-up", "zero", "slinear", "quadratic", "cubic", "previous", "next")


class interp1d(Interpolator):
    """Values between samples on a line, as `scipy.interpolate.interp1d`; a pytree.

    Args:
        x: points, `(n,)`.
        y: values, with `n` elements along the axis.
        kind: `"linear"`, `"nearest"`, `"nearest-up"`, `"previous"`, `"next"`, or splines: `"zero"`, `"slinear"`,
            `"quadratic"`, `"cubic"`, or their degree.
        axis: the axis of the points.
        copy: of no effect.
        bounds_error: whether a point beyond the samples is an error, also in compiled programs; by default where no
            `fill_value` is given.
        fill_value: else the value there; a pair for below and above; `"extrapolate"`.
        assume_sorted: whether `x` increases; traced ones must.

    >>> import functrans as ft, numpy as np
    >>> f = ft.scipy.interpolate.interp1d(np.arange(3.0), np.array([0.0, 1.0, 4.0]))
    >>> f(1.5), ft.grad(f)(1.5)
    (Array(2.5), Array(3.))
    """

    arrays: ClassVar[tuple[str, ...]] = ("x", "y", "fill")
    static: ClassVar[tuple[str, ...]] = ("kind", "axis", "bounds_error", "extrapolate")

    x: Any
    y: Any
    fill: Any
    kind: str
    axis: int
    bounds_error: bool
    extrapolate: bool

    def __init__(
        self, x: Any, y: Any, kind: Any = "linear", axis: int = -1, copy: bool = True, bounds_error: bool | None = None,
        fill_value: Any = np.nan, assume_sorted: bool = False,
    ):  # fmt: skip
        name = "interp1d"
        kind = {0: "zero", 1: "slinear", 2: "quadratic", 3: "cubic"}.get(kind, kind) if isinstance(kind, int) else kind
        if kind not in _KINDS:
            raise ArgumentError(f"{name} takes one of the kinds {', '.join(map(repr, _KINDS))}, got {kind!r:.40}")
        if not isinstance(x, Tracer) and not assume_sorted:
            order = np.argsort(x, kind="stable")
            x, y = fnp.asarray(x)[order], fnp.take(fnp.asarray(y), order, axis=axis)
        self.x, self.y, self.axis = samples(name, x, y, axis, small=True)
        self.kind, self.extrapolate = kind, isinstance(fill_value, str) and fill_value == "extrapolate"
        given = fill_value if isinstance(fill_value, tuple) else (fill_value, fill_value)
        self.fill = () if self.extrapolate else given
        unfilled = not self.extrapolate and all(isinstance(f, float) and np.isnan(f) for f in given)
        self.bounds_error = unfilled if bounds_error is None else bounds_error
        if self.extrapolate and bounds_error:
            raise ArgumentError(f"{name}: to extrapolate and bounds_error=True exclude each other")

    def __call__(self, x: Any) -> Any:
        """The values at an array of points."""
        if self.is_plain(x) and is_double(self.y):
            y = np.moveaxis(np.asarray(self.y), 0, self.axis)
            fill: Any = "extrapolate" if self.extrapolate else self.fill
            made = scipys().interp1d(
                np.asarray(self.x),
                y,
                self.kind,
                self.axis,
                False,
                self.bounds_error,
                fill,
                True,
            )
            return wrapped(made(x))
        v = inexact("interp1d", "points", x, complexes=False)
        flat = fnp.ravel(v).astype(common_dtype(aval_of(v).dtype, aval_of(self.x).dtype))
        below, above = flat < self.x[0], flat > self.x[-1]
        if self.bounds_error:
            check(~fnp.any(below | above), "interp1d: a point lies beyond the samples")
        out = self._values(flat)
        if not self.extrapolate and not self.bounds_error:
            low, high = (_fill(f, out) for f in self.fill)
            out = fnp.where(spread(below, out), low, fnp.where(spread(above, out), high, out))
        return evaluated(v, out, self.axis)

    def _values(self, v: Any) -> Any:
        x, y, n = self.x, self.y, aval_of(self.x).size
        degree = {"quadratic": 2, "cubic": 3}.get(self.kind)
        if degree:
            spline = make_interp_spline(x, y, degree)
            spline.axis = 0
            return spline(v)
        if self.kind in ("linear", "slinear"):
            index = fnp.clip(fnp.searchsorted(x, v, side="right") - 1, 0, n - 2)
            part = spread((v - x[index]) / (x[index + 1] - x[index]), y)
            return y[index] + part * (y[index + 1] - y[index])
        if self.kind in ("previous", "zero"):
            index = fnp.searchsorted(x, v, side="right") - 1
        elif self.kind == "next":
            index = fnp.searchsorted(x, v, side="left")
        else:
            middles = x[1:] / 2 + x[:-1] / 2
            index = fnp.searchsorted(middles, v, side="right" if self.kind == "nearest-up" else "left")
        out = y[fnp.clip(index, 0, n - 1)]
        if self.kind == "zero":  # a spline, while the others give NaN the last value
            return fnp.where(spread(fnp.isnan(v), out), np.nan, out)
        if self.kind in ("previous", "next"):
            return fnp.where(spread((index < 0) | ((index >= n) & ~fnp.isnan(v)), out), np.nan, out)
        return out


def _fill(value: Any, out: Any) -> Any:
    """A fill value to broadcast against results whose first axis is that of the points."""
    return fnp.asarray(value, dtype=None if hasattr(value, "dtype") else aval_of(out).dtype)
