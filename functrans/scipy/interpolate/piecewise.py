"""Piecewise polynomials, and the cubic ones through samples.

The cubic ones differ in the slopes that they have at the samples. For a spline the slopes solve a tridiagonal system,
which makes second derivatives continuous (C. de Boor, "A practical guide to splines", chapter IV).
"""

from __future__ import annotations

import math
import operator
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, real_dtype
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
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


class PPoly(Interpolator):
    """A piecewise polynomial, as `scipy.interpolate.PPoly`: a pytree of its coefficients and break points.

    Args:
        c: coefficients, `(k, m, ...)`, those of the highest power first: on interval `i` the value is the sum of
            `c[j, i] (v - x[i])**(k - 1 - j)`.
        x: the `m + 1` break points, increasing.
        extrapolate: whether the outer pieces go on beyond the ends (`None`, `True`), NaN is there (`False`), or all is
            repeated (`"periodic"`).
        axis: where among the axes of a result those of the points come.

    Values and coefficients can be differentiated, under `jit` and `vmap` too.

    >>> import functrans as ft, numpy as np
    >>> p = ft.scipy.interpolate.PPoly(np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([0.0, 1.0, 2.0]))
    >>> p(np.array([0.5, 1.5])), p.integrate(0.0, 2.0)
    (Array([0.5, 2. ]), Array(2.5))
    >>> ft.grad(lambda p: p(1.5))(p).c
    Array([[0. , 0.5],
           [0. , 1. ]])
    """

    arrays: ClassVar[tuple[str, ...]] = ("c", "x")
    static: ClassVar[tuple[str, ...]] = ("extrapolate", "axis")

    c: Any
    x: Any
    extrapolate: Any
    axis: int

    def __init__(self, c: Any, x: Any, extrapolate: Any = None, axis: int = 0):
        c, x = inexact("PPoly", "c", c), increasing("PPoly", "x", x)
        if aval_of(c).ndim < 2 or aval_of(c).shape[1] != aval_of(x).size - 1 or not aval_of(c).shape[0]:
            raise ShapeError(
                f"PPoly takes c of shape (k, {aval_of(x).size - 1}, ...) for {aval_of(x).size} break points, "
                f"got {aval_of(c).shape}"
            )
        if not 0 <= axis < aval_of(c).ndim - 1:
            raise ArgumentError(f"PPoly takes an axis from 0 to {aval_of(c).ndim - 2}, got {axis}")
        self._set(c, x, extrapolate, axis)

    def _set(self, c: Any, x: Any, extrapolate: Any, axis: int) -> None:
        if extrapolate not in (None, True, False, "periodic"):
            raise ArgumentError(f"extrapolate is True, False or 'periodic', got {extrapolate!r:.40}")
        self.c, self.x, self.axis = c, x, axis
        self.extrapolate = True if extrapolate is None else extrapolate

    @staticmethod
    def _of(c: Any, x: Any, extrapolate: Any, axis: int) -> PPoly:
        out = object.__new__(PPoly)
        out._set(c, x, extrapolate, axis)
        return out

    def _scipys(self) -> Any:
        c, x = (np.asarray(a, np.result_type(a.dtype, np.float64)) for a in (self.c, self.x))
        return scipys().PPoly.construct_fast(c, x, self.extrapolate, self.axis)

    def __call__(self, x: Any, nu: int = 0, extrapolate: Any = None) -> Any:
        """The values, or the derivative of order `nu`, at an array of points.

        `extrapolate` is in place of that of the polynomial.
        """
        nu = operator.index(nu)
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        if self.is_plain(x) and nu >= 0 and is_double(self.c):
            return wrapped(self._scipys()(np.asarray(x), nu, extrapolate))
        if nu < 0:
            return self.antiderivative(-nu)(x, 0, extrapolate)
        v = inexact("PPoly", "points", x, complexes=False)
        flat = fnp.ravel(v).astype(common_dtype(aval_of(v).dtype, aval_of(self.x).dtype))
        ends = self.x[0], self.x[-1]
        if extrapolate == "periodic":
            flat = ends[0] + fnp.remainder(flat - ends[0], ends[1] - ends[0])
        pieces = aval_of(self.x).size - 1
        index = fnp.clip(fnp.searchsorted(self.x, flat, side="right") - 1, 0, pieces - 1)
        c = _derived(self.c, nu)
        s = spread(flat - self.x[index], c[0])
        out = c[0][index] + 0 * s
        for j in range(1, aval_of(c).shape[0]):
            out = out * s + c[j][index]
        if extrapolate is False:
            beyond = spread((flat < ends[0]) | (flat > ends[1]), out)
            out = fnp.where(beyond, np.nan, out)
        return evaluated(v, out, self.axis)

    def derivative(self, nu: int = 1) -> PPoly:
        """The derivative of order `nu` as a piecewise polynomial."""
        nu = operator.index(nu)
        return (
            self.antiderivative(-nu) if nu < 0 else self._of(_derived(self.c, nu), self.x, self.extrapolate, self.axis)
        )

    def antiderivative(self, nu: int = 1) -> PPoly:
        """The antiderivative of order `nu` that is 0 at the first break point; it is no longer periodic."""
        nu = operator.index(nu)
        if nu < 0:
            return self.derivative(-nu)
        c = self.c
        for _ in range(nu):
            k = aval_of(c).shape[0]
            powers = np.arange(k, 0, -1).astype(real_dtype(aval_of(c).dtype))
            c = c / spread(powers, c)
            h = spread(fnp.diff(self.x), c[0])
            whole = c[0]
            for j in range(1, k):
                whole = whole * h + c[j]
            whole = whole * h  # the integrals over the intervals
            start = fnp.concatenate([fnp.zeros_like(whole[:1]), fnp.cumsum(whole[:-1], axis=0)])
            c = fnp.concatenate([c, start[None]])
        extrapolate = False if self.extrapolate == "periodic" and nu else self.extrapolate
        return self._of(c, self.x, extrapolate, self.axis)

    def integrate(self, a: Any, b: Any, extrapolate: Any = None) -> Any:
        """The integral from `a` to `b`, scalars."""
        extrapolate = self.extrapolate if extrapolate is None else extrapolate
        whole = self._of(self.c, self.x, True, self.axis).antiderivative()
        a, b = (inexact("integrate", "limits", v, complexes=False) for v in (a, b))
        if extrapolate != "periodic":
            return whole(b, 0, extrapolate) - whole(a, 0, extrapolate)
        first, last = self.x[0], self.x[-1]
        period = last - first

        def upto(v: Any) -> Any:
            turns = fnp.floor((v - first) / period)
            return turns * whole(last) + whole(v - turns * period)

        return upto(b) - upto(a)


def _derived(c: Any, nu: int) -> Any:
    """Coefficients of a derivative."""
    if not nu:
        return c
    k = aval_of(c).shape[0]
    if nu >= k:
        return fnp.zeros_like(c[:1])
    factors = np.array([math.perm(p, nu) for p in range(k - 1, nu - 1, -1)], real_dtype(aval_of(c).dtype))
    return c[: k - nu] * spread(factors, c)


class _Cubic(PPoly):
    """A cubic through samples, given by its slopes there."""

    def _hermite(self, name: str, x: Any, y: Any, slopes: Any, extrapolate: Any, axis: int) -> None:
        h = spread(fnp.diff(x), y)
        secant = fnp.diff(y, axis=0) / h
        bend = (slopes[:-1] + slopes[1:] - 2 * secant) / h
        c = fnp.stack([bend / h, (secant - slopes[:-1]) / h - bend, slopes[:-1], y[:-1]])
        self._set(c, x, extrapolate, axis)

    def _from(self, found: Any, extrapolate: Any) -> None:
        """Take the coefficients of SciPy's interpolator."""
        self._set(wrapped(found.c), wrapped(found.x), extrapolate, found.axis)


def _plain(*values: Any) -> bool:
    """Whether SciPy's own code makes the coefficients: plain values in double precision."""
    return all(not isinstance(v, Tracer) and is_double(v) for v in values)


class CubicHermiteSpline(_Cubic):
    """The cubic with given values and slopes, as `scipy.interpolate.CubicHermiteSpline`; a `PPoly`.

    Args:
        x: points, increasing, `(n,)`.
        y, dydx: values and slopes, with `n` elements along the axis.
        axis: the axis of the points.
        extrapolate: as for `PPoly`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.interpolate.CubicHermiteSpline([0.0, 1.0], [0.0, 1.0], [0.0, 0.0])(0.5)
    Array(0.5)
    """

    def __init__(self, x: Any, y: Any, dydx: Any, axis: int = 0, extrapolate: Any = None):
        name = "CubicHermiteSpline"
        x, y, axis = samples(name, x, y, axis)
        slopes = fnp.moveaxis(inexact(name, "dydx", dydx), axis, 0)
        if aval_of(slopes).shape != aval_of(y).shape:
            raise ShapeError(f"{name} takes y and dydx of one shape")
        self._hermite(
            name, x, y, slopes.astype(common_dtype(aval_of(y).dtype, aval_of(slopes).dtype)), extrapolate, axis
        )


class PchipInterpolator(_Cubic):
    """The cubic that is monotonic where the samples are, as `scipy.interpolate.PchipInterpolator`; a `PPoly`.

    Source: F. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic interpolants", SIAM
    Journal on Scientific and Statistical Computing 5 (1984).

    >>> import functrans as ft, numpy as np
    >>> p = ft.scipy.interpolate.PchipInterpolator(np.arange(4.0), np.array([0.0, 0.0, 1.0, 1.0]))
    >>> p(np.array([0.5, 1.5]))
    Array([0. , 0.5])
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, extrapolate: Any = None):
        x, y, axis = samples("PchipInterpolator", x, y, axis)
        if _plain(x, y):
            self._from(
                scipys().PchipInterpolator(np.asarray(x), np.moveaxis(np.asarray(y), 0, axis), axis), extrapolate
            )
            return
        self._hermite("PchipInterpolator", x, y, _monotonic_slopes(x, y), extrapolate, axis)


def _monotonic_slopes(x: Any, y: Any) -> Any:
    h = spread(fnp.diff(x), y)
    secant = fnp.diff(y, axis=0) / h
    if aval_of(x).size == 2:
        return fnp.concatenate([secant, secant])
    before, after = secant[:-1], secant[1:]
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    turns = (fnp.sign(before) != fnp.sign(after)) | (before == 0) | (after == 0)
    mean = w1 / fnp.where(turns, 1, before) + w2 / fnp.where(turns, 1, after)
    inner = fnp.where(turns, 0, (w1 + w2) / fnp.where(turns, 1, mean))

    def end(h0: Any, h1: Any, m0: Any, m1: Any) -> Any:
        slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
        steep = (fnp.sign(m0) != fnp.sign(m1)) & (fnp.abs(slope) > 3 * fnp.abs(m0))
        return fnp.where(fnp.sign(slope) != fnp.sign(m0), 0, fnp.where(steep, 3 * m0, slope))

    first = end(h[0], h[1], secant[0], secant[1])
    last = end(h[-1], h[-2], secant[-1], secant[-2])
    return fnp.concatenate([first[None], inner, last[None]])


class Akima1DInterpolator(_Cubic):
    """Akima's cubic, which follows steps without waves, as `scipy.interpolate.Akima1DInterpolator`; a `PPoly`.

    Args:
        x, y, axis: as for `CubicSpline`.
        method: `"akima"`, or `"makima"` for the modified one.
        extrapolate: as for `PPoly`; `None` is `False` here.

    Source: H. Akima, "A new method of interpolation and smooth curve fitting based on local procedures", Journal of the
    ACM 17 (1970).

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.interpolate.Akima1DInterpolator(np.arange(4.0), np.arange(4.0))(1.5)
    Array(1.5)
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, *, method: str = "akima", extrapolate: Any = None):
        if method not in ("akima", "makima"):
            raise ArgumentError(f"Akima1DInterpolator takes method='akima' or 'makima', got {method!r:.40}")
        x, y, axis = samples("Akima1DInterpolator", x, y, axis)
        extrapolate = False if extrapolate is None else extrapolate
        if _plain(x, y):
            found = scipys().Akima1DInterpolator(
                np.asarray(x),
                np.moveaxis(np.asarray(y), 0, axis),
                axis,
                method=method,
            )
            self._from(found, extrapolate)
            return
        self._hermite("Akima1DInterpolator", x, y, _local_slopes(x, y, method), extrapolate, axis)


def _local_slopes(x: Any, y: Any, method: str) -> Any:
    secant = fnp.diff(y, axis=0) / spread(fnp.diff(x), y)
    if aval_of(x).size == 2:
        return fnp.concatenate([secant, secant])
    # two more at each end, by parabolas
    left = 2 * secant[:1] - secant[1:2]
    right = 2 * secant[-1:] - secant[-2:-1]
    m = fnp.concatenate([2 * left - secant[:1], left, secant, right, 2 * right - secant[-1:]])
    change = fnp.abs(fnp.diff(m, axis=0))
    if method == "makima":
        change = change + 0.5 * fnp.abs(m[1:] + m[:-1])
    after, before = change[2:], change[:-2]
    both = after + before
    turning = both > 1e-9 * fnp.max(both, initial=-np.inf)
    mixed = m[1:-2] + before / fnp.where(turning, both, 1) * (m[2:-1] - m[1:-2])
    even = 0 if method == "makima" else 0.5 * (m[3:] + m[:-3])
    return fnp.where(turning, mixed, even)


class CubicSpline(_Cubic):
    """The cubic spline through samples, as `scipy.interpolate.CubicSpline`; a `PPoly`.

    Args:
        x: points, increasing, `(n,)`.
        y: values, with `n` elements along the axis; real or complex.
        axis: the axis of the points.
        bc_type: what holds at the ends: `"not-a-knot"`, the first two and the last two pieces are one; `"natural"`, no
            second derivative; `"clamped"`, no slope; `"periodic"`, values (the first and last of which are to be
            equal) and derivatives agree; or a pair for the two ends, of these names or of `(order, value)` for a
            derivative of order 1 or 2.
        extrapolate: as for `PPoly`; `None` is `"periodic"` for periodic splines.

    The spline is a pytree. It has derivatives by `y`, `x` and the values in `bc_type`, and can be made inside of `jit`
    and `vmap`.

    Raises:
        ShapeError: `x` and `y` do not fit. ArgumentError: `x` does not increase, or another `bc_type`.

    >>> import functrans as ft, numpy as np
    >>> x = np.linspace(0.0, np.pi, 9)
    >>> spline = ft.scipy.interpolate.CubicSpline(x, np.sin(x))
    >>> spline(1.0), spline(1.0, 1)
    (Array(0.841...), Array(0.540...))
    >>> ft.jit(ft.grad(lambda y: ft.scipy.interpolate.CubicSpline(x, y)(1.0)))(np.sin(x)).shape
    (9,)
    """

    def __init__(self, x: Any, y: Any, axis: int = 0, bc_type: Any = "not-a-knot", extrapolate: Any = None):
        x, y, axis = samples("CubicSpline", x, y, axis)
        periodic = isinstance(bc_type, str) and bc_type == "periodic"
        extrapolate = ("periodic" if periodic else True) if extrapolate is None else extrapolate
        conditions = ("periodic", "periodic") if periodic else _conditions(bc_type, y)
        if periodic and not isinstance(y, Tracer):
            near = 1e-15 if aval_of(y).dtype.itemsize > 4 * (1 + (aval_of(y).dtype.kind == "c")) else 1e-6
            if not np.allclose(y[0], y[-1], rtol=near, atol=near):
                raise ArgumentError("CubicSpline with bc_type='periodic' takes y whose first and last values are equal")
        values = [] if periodic else [c[1] for c in conditions]
        if _plain(x, y) and not any(isinstance(v, Tracer) for v in values):
            given: Any = "periodic" if periodic else [
                c[1] if c[0] == 0 else (c[0], np.asarray(c[1])) for c in conditions
            ]  # fmt: skip
            found = scipys().CubicSpline(np.asarray(x), np.moveaxis(np.asarray(y), 0, axis), axis, given)
            self._from(found, extrapolate)
            return
        slopes = _periodic_slopes(x, y) if periodic else _spline_slopes(x, y, *conditions)
        self._hermite("CubicSpline", x, y, slopes, extrapolate, axis)


def _conditions(bc_type: Any, y: Any) -> Any:
    """Both conditions as `(order, values)`; `(0, "not-a-knot")` for that one."""
    pair = (bc_type, bc_type) if isinstance(bc_type, str) else tuple(bc_type)
    if len(pair) != 2:
        raise ArgumentError(f"bc_type is a name or a pair, got {len(pair)} conditions")
    shape, dtype = aval_of(y).shape[1:], aval_of(y).dtype
    found = []
    for condition in pair:
        if isinstance(condition, str):
            named = {"not-a-knot": (0, "not-a-knot"), "clamped": (1, 0.0), "natural": (2, 0.0)}
            if condition not in named:
                raise ArgumentError(
                    "bc_type is 'not-a-knot', 'clamped', 'natural', 'periodic' (for both ends) or (order, value), "
                    f"got {condition!r:.40}"
                )
            order, value = named[condition]
        else:
            order, value = condition
            if order not in (1, 2):
                raise ArgumentError(f"bc_type takes derivatives of order 1 or 2 at an end, got {order!r:.40}")
        if order:
            value = fnp.asarray(value)
            if aval_of(value).shape not in ((), shape):
                raise ShapeError(f"bc_type takes values of shape {shape}, got {aval_of(value).shape}")
            value = fnp.broadcast_to(value, shape).astype(dtype)
        found.append((order, value))
    return found


def _spline_slopes(x: Any, y: Any, start: Any, end: Any) -> Any:
    """The slopes of the spline at the samples."""
    n = aval_of(x).size
    h = fnp.diff(x)
    wide = spread(h, y)
    secant = fnp.diff(y, axis=0) / wide
    if n == 2:  # no knots inside: a condition left out is the straight line's
        start, end = ((1, secant[0]) if order == 0 else (order, value) for order, value in (start, end))
    one, zero = fnp.ones_like(h[:1]), fnp.zeros_like(h[:1])
    inner = 3 * (wide[1:] * secant[:-1] + wide[:-1] * secant[1:])
    if n == 3 and start[0] == end[0] == 0:  # the parabola
        lower, upper = fnp.stack([h[0], h[1], h[0]]), fnp.stack([h[0], h[0], h[1]])
        lower, upper = fnp.concatenate([zero, h[1:2], one]), fnp.concatenate([one, h[:1], zero])
        diagonal = fnp.concatenate([one, 2 * (h[:1] + h[1:2]), one])
        right = fnp.concatenate([2 * secant[:1], inner, 2 * secant[1:]])
        return _tridiagonal(lower, diagonal, upper, right)

    def row(condition: Any, near: int, far: int, edge: int, sign: int) -> tuple[Any, Any, Any]:
        """Diagonal, its neighbour and right-hand side at an end, from the intervals next to it."""
        order, value = condition
        if order == 1:
            return one, zero, value[None]
        if order == 2:
            right = 3 * (secant[near] * wide[near]) - sign * 0.5 * value * wide[near] ** 2
            return 2 * h[near][None], h[near][None], right[None]
        both = h[near] + h[far]
        right = ((wide[near] + 2 * both) * wide[far] * secant[near] + wide[near] ** 2 * secant[far]) / both
        return h[far][None], both[None], right[None]

    first, above, top = row(start, 0, 1 if n > 2 else 0, 0, 1)
    last, below, bottom = row(end, -1, -2 if n > 2 else -1, -1, -1)
    lower = fnp.concatenate([zero, h[1:], below])
    diagonal = fnp.concatenate([first, 2 * (h[1:] + h[:-1]), last])
    upper = fnp.concatenate([above, h[:-1], zero])
    return _tridiagonal(lower, diagonal, upper, fnp.concatenate([top, inner, bottom]))


def _tridiagonal(lower: Any, diagonal: Any, upper: Any, right: Any) -> Any:
    shape, dtype = aval_of(right).shape, aval_of(right).dtype
    columns = fnp.reshape(right, (shape[0], math.prod(shape[1:])))
    out = lax.linalg.tridiagonal_solve(lower.astype(dtype), diagonal.astype(dtype), upper.astype(dtype), columns)
    return fnp.reshape(out, shape)


def _periodic_slopes(x: Any, y: Any) -> Any:
    """The same for a periodic spline, whose system is tridiagonal but for two corners."""
    h = fnp.diff(x)
    wide = spread(h, y)
    secant = fnp.diff(y, axis=0) / wide
    before, slope_before = fnp.roll(h, 1), fnp.roll(secant, 1, axis=0)
    right = 3 * (spread(before, y) * secant + wide * slope_before)
    unit = np.eye(aval_of(h).size, dtype=aval_of(h).dtype)
    matrix = 2 * (h + before)[:, None] * unit
    matrix = matrix + h[:, None] * np.roll(unit, -1, axis=1) + before[:, None] * np.roll(unit, 1, axis=1)
    shape = aval_of(right).shape
    columns = fnp.reshape(right, (shape[0], math.prod(shape[1:])))
    slopes = fnp.reshape(fnp.linalg.solve(matrix.astype(aval_of(right).dtype), columns), shape)
    return fnp.concatenate([slopes, slopes[:1]])
