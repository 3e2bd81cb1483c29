"""Integrals of samples and of functions, as `scipy.integrate`.

Integrals of samples are SciPy's own on plain arrays. Those of traced arrays keep float32, where SciPy's `simpson` and
`romb` may give float64. Integrals of functions can be differentiated by their limits, by `args` and by what the
function captures.
"""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import vmap
from functrans.core.avals import aval_of, float_info, inexact_dtype, is_inexact, real_dtype
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import has_tracer, normalize_axis
from functrans.scipy.closures import detached
from functrans.scipy.dispatch import implements, inexact, of_one_dtype

__all__ = [
    "cumulative_simpson", "cumulative_trapezoid", "fixed_quad", "quad", "quad_vec", "romb", "simpson", "trapezoid",
]  # fmt: skip


# ---------------------------------------------------------------- samples


def _samples(name: str, y: Any, axis: int, least: int = 1) -> Any:
    """The samples as floats, their axis last."""
    y = inexact(y)
    y = fnp.moveaxis(y, normalize_axis(axis, aval_of(y).ndim), -1)
    if aval_of(y).shape[-1] < least:
        raise ArgumentError(f"{name} takes at least {least} samples along the axis, got {aval_of(y).shape[-1]}")
    return y


def _steps(name: str, y: Any, x: Any, dx: Any, axis: int) -> Any:
    """The distances of neighbouring samples: an array that broadcasts against `y[..., 1:]`, or the number `dx`."""
    if x is None:
        return dx
    x = fnp.asarray(x)
    if aval_of(x).ndim == 1:
        if aval_of(x).shape[0] != aval_of(y).shape[-1]:
            raise ShapeError(
                f"{name}: x has {aval_of(x).shape[0]} points for {aval_of(y).shape[-1]} samples along the axis"
            )
    else:
        x = fnp.moveaxis(x, axis, -1)
        if aval_of(x).shape != aval_of(y).shape:
            raise ShapeError(f"{name}: x is one-dimensional or has the shape of y")
    return fnp.diff(x)


@implements("scipy.integrate")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of samples by the trapezoidal rule, as `scipy.integrate.trapezoid`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.trapezoid(np.array([1.0, 2.0, 5.0]))
    Array(5.)
    """
    return fnp.trapezoid(y, x, dx, axis)


@implements("scipy.integrate")
def cumulative_trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """Integrals of samples from the first to each by the trapezoidal rule, as `scipy.integrate.cumulative_trapezoid`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.cumulative_trapezoid(np.array([1.0, 2.0, 5.0]), initial=0)
    Array([0. , 1.5, 5. ])
    """
    name = "cumulative_trapezoid"
    y = _samples(name, y, axis)
    out = fnp.cumsum((y[..., 1:] + y[..., :-1]) * (0.5 * _steps(name, y, x, dx, axis)), axis=-1)
    if initial is not None:
        if isinstance(initial, Tracer) or not np.isscalar(initial) or initial != 0:
            raise ArgumentError(f"cumulative_trapezoid takes initial=None or initial=0, got {initial!r:.60}")
        out = fnp.concatenate([fnp.zeros_like(y[..., :1]), out], axis=-1)
    return fnp.moveaxis(out, -1, axis)


def _parabolas(y0: Any, y1: Any, y2: Any, h0: Any, h1: Any) -> Any:
    """Integrals of the parabolas through three samples at distances `h0` and `h1`."""
    ratio = _quotient(h0, h1)
    whole = h0 + h1
    return whole / 6 * (y0 * (2 - _quotient(1, ratio)) + y1 * whole * _quotient(whole, h0 * h1) + y2 * (2 - ratio))


def _quotient(a: Any, b: Any) -> Any:
    """`a / b`, and 0 where `b` is."""
    zero = fnp.equal(b, 0)
    return fnp.where(zero, 0, a / fnp.where(zero, 1, b))


@implements("scipy.integrate")
def simpson(y: Any, x: Any = None, *, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of samples by Simpson's rule, as `scipy.integrate.simpson`.

    Of an even number of samples the last interval is integrated by the parabola through the last three (K. Cartwright,
    "Simpson's rule cumulative integration with MS Excel and irregularly-spaced data", Journal of Mathematical Sciences
    and Mathematics Education 12, 2017).

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.simpson(np.arange(5.0) ** 3)
    Array(64.)
    """
    y = _samples("simpson", y, axis)
    h = _steps("simpson", y, x, dx, axis)
    n = aval_of(y).shape[-1]
    if n == 1:
        return fnp.zeros_like(y[..., 0])
    if n == 2:
        return 0.5 * (y[..., 0] + y[..., 1]) * (h if x is None else h[..., 0])
    stop = n - 1 if n % 2 else n - 2  # the last sample of whole pairs of intervals
    parts = y[..., 0 : stop - 1 : 2], y[..., 1:stop:2], y[..., 2 : stop + 1 : 2]
    if x is None:
        out = fnp.sum(parts[0] + 4 * parts[1] + parts[2], axis=-1) * (dx / 3)
    else:
        out = fnp.sum(_parabolas(*parts, h[..., 0 : stop - 1 : 2], h[..., 1:stop:2]), axis=-1)
    if n % 2:
        return out
    if x is None:
        return out + dx * (5 / 12 * y[..., -1] + 2 / 3 * y[..., -2] - 1 / 12 * y[..., -3])
    h0, h1 = h[..., -2], h[..., -1]
    return out + (
        _quotient(2 * h1 * h1 + 3 * h0 * h1, 6 * (h0 + h1)) * y[..., -1]
        + _quotient(h1 * h1 + 3 * h0 * h1, 6 * h0) * y[..., -2]
        - _quotient(h1 * h1 * h1, 6 * h0 * (h0 + h1)) * y[..., -3]
    )


@implements("scipy.integrate")
def cumulative_simpson(y: Any, *, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Any:
    """Integrals of samples from the first to each by Simpson's rule, as `scipy.integrate.cumulative_simpson`.

    Each interval is integrated by the parabola through its ends and the sample after it or, every second interval and
    the last, before it.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.cumulative_simpson(np.arange(5.0) ** 2, initial=0)
    Array([ 0.        ,  0.33333333,  2.66666667,  9.        , 21.33333333])
    """
    name = "cumulative_simpson"
    y = _samples(name, y, axis)
    if aval_of(y).shape[-1] < 3:
        out = fnp.cumsum((y[..., 1:] + y[..., :-1]) * (0.5 * _steps(name, y, x, dx, axis)), axis=-1)
    else:
        h = _steps(name, y, x, dx, axis)
        h = fnp.ones_like(y[..., 1:]) * h

        def first(y: Any, h: Any) -> Any:
            """The integral over the first of each two intervals."""
            h0, h1 = h[..., :-1], h[..., 1:]
            a, b = h0 / (h0 + h1), h0 / h1
            return h0 / 6 * ((3 - a) * y[..., :-2] + (3 + a * b + a) * y[..., 1:-1] - a * b * y[..., 2:])

        before, after = first(y, h), fnp.flip(first(fnp.flip(y, -1), fnp.flip(h, -1)), -1)
        n = aval_of(y).shape[-1] - 1
        even = np.arange(n) % 2 == 0
        even[-1] = False
        edge = fnp.zeros_like(before[..., :1])
        out = fnp.cumsum(
            fnp.where(even, fnp.concatenate([before, edge], -1), fnp.concatenate([edge, after], -1)), axis=-1
        )
    if initial is not None:
        initial = fnp.asarray(initial, dtype=None if hasattr(initial, "dtype") else aval_of(out).dtype)
        if aval_of(initial).ndim == 0:
            initial = fnp.broadcast_to(initial, (*aval_of(out).shape[:-1], 1))
        else:
            initial = fnp.moveaxis(initial, axis, -1)
            if aval_of(initial).shape != (*aval_of(out).shape[:-1], 1):
                raise ShapeError(f"{name} takes as initial a number, or an array with one element along the axis")
        out = fnp.concatenate([initial, out + initial], axis=-1)
    return fnp.moveaxis(out, -1, axis)


@implements("scipy.integrate")
def romb(y: Any, dx: Any = 1.0, axis: int = -1, show: bool = False) -> Any:
    """The integral of `2**k + 1` samples by Romberg's method, as `scipy.integrate.romb`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.romb(np.arange(5.0) ** 4)
    Array(204.8)
    """
    if show:
        raise ArgumentError("romb of a traced array does not take show=True: it has no values to print yet")
    y = _samples("romb", y, axis)
    n = aval_of(y).shape[-1] - 1
    if n < 1 or n & (n - 1):
        raise ArgumentError(f"romb takes one plus a power of two samples, got {n + 1}")
    row: list[Any] = []
    step = n
    while step:
        ends = 0.5 * (y[..., 0] + y[..., -1])
        inner = fnp.sum(y[..., step:-1:step], axis=-1) if step < n else 0
        new = [(ends + inner) * (dx * step)]
        for j, old in enumerate(row):
            new.append(new[j] + (new[j] - old) / (4 ** (j + 1) - 1))
        row, step = new, step // 2
    return row[-1]


# ---------------------------------------------------------------- functions


def fixed_quad(func: Callable[..., Any], a: Any, b: Any, args: Sequence[Any] = (), n: int = 5) -> tuple[Any, None]:
    """The integral of a function by Gauss-Legendre quadrature, as `scipy.integrate.fixed_quad`.

    Args:
        func: `func(x, *args)` of an array of `n` points; the last axis of its result belongs to them.
        a, b: finite limits.
        args: further arguments.
        n: the number of points; polynomials of degree `2 n - 1` are integrated exactly.

    Returns:
        `(integral, None)`, as SciPy.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.fixed_quad(np.exp, 0.0, 1.0)[0]
    Array(1.71828183)
    >>> ft.grad(lambda b: ft.scipy.integrate.fixed_quad(np.exp, 0.0, b)[0])(1.0)  # exp(1)
    Array(2.71828183)
    """
    nodes, weights = np.polynomial.legendre.leggauss(operator.index(n))
    a, b = fnp.asarray(a), fnp.asarray(b)
    for name, limit in (("a", a), ("b", b)):
        if not isinstance(limit, Tracer) and not np.all(np.isfinite(limit)):
            raise ArgumentError(f"fixed_quad takes finite limits, got {name}={limit}; quad takes infinite ones")
    nodes, weights = (_like(v, a, b) for v in (nodes, weights))
    half = (b - a) / 2
    return half * fnp.sum(weights * func(half * (nodes + 1) + a, *args), axis=-1), None


def _like(values: np.ndarray, *arrays: Any) -> np.ndarray:
    """Constants in the precision of arrays."""
    return values.astype(inexact_dtype(common_dtype(*[aval_of(a).dtype for a in arrays])))


#: Nodes of the Gauss-Kronrod rule with 10 and 21 points, their weights, and the Gauss weights of every second one.
#: Source: R. Piessens et al., "QUADPACK" (1983). Positive nodes, the largest first, and 0.
_NODES = np.array([
    0.995657163025808080735527280689003, 0.973906528517171720077964012084452, 0.930157491355708226001207180059508,
    0.865063366688984510732096688423493, 0.780817726586416897063717578345042, 0.679409568299024406234327365114874,
    0.562757134668604683339000099272694, 0.433395394129247190799265943165784, 0.294392862701460198131126603103866,
    0.14887433898163121088482600112972, 0.0,
])  # fmt: skip
_KRONROD = np.array([
    0.011694638867371874278064396062192, 0.03255816230796472747881897245939, 0.05475589657435199603138130024458,
    0.07503967481091995276704314091619, 0.093125454583697605535065465083366, 0.109387158802297641899210590325805,
    0.123491976262065851077958109585166, 0.134709217311473325928054001771707, 0.142775938577060080797094273138717,
    0.147739104901338491374841515972068, 0.149445554002916905664936468389821,
])  # fmt: skip
_GAUSS = np.array([
    0.066671344308688137593568809893332, 0.149451349150580593145863396957698, 0.219086362515982043995534934228163,
    0.269266719309996355091226921569469, 0.295524224714752870173815619188769,
])  # fmt: skip


def quad_vec(
    f: Callable[..., Any],
    a: Any,
    b: Any,
    epsabs: float = 1e-10,
    epsrel: float = 1e-8,
    norm: str = "2",
    cache_size: float = 100e6,
    limit: int = 50,
    workers: Any = 1,
    points: Any = None,
    quadrature: str | None = None,
    full_output: bool = False,
    *,
    args: Sequence[Any] = (),
) -> tuple[Any, Any]:
    """The integral of a function of one real variable with arrays as values, by adaptive Gauss-Kronrod quadrature.

    As `scipy.integrate.quad_vec` with `quadrature="gk21"`, for functions that can be traced: one compiled loop under
    `jit` halves the interval of the largest error until the errors are small enough. Differences: the most intervals
    are 50, and `epsabs` is 1e-10, by default.

    Args:
        f: `f(x, *args)` of a scalar; the result is an array of any shape.
        a, b: the limits, which may be infinite.
        epsabs, epsrel: the absolute error and the error relative to the integral, one of which suffices.
        norm: how an error is measured: `"2"` for its Euclidean norm, `"max"` for its largest element.
        limit: the most intervals.
        points: where the interval is divided at first, as at jumps of the function; each part then has its own `limit`
            intervals and its share of `epsabs`. Points beyond the limits do not count.
        cache_size, workers, quadrature, full_output: SciPy's. The first two are without effect, `quadrature` is
            `"gk21"`, and there is no full output.
        args: further arguments.

    Returns:
        `(integral, error)`: the integral has the shape of `f`'s result, the error is an estimate, a scalar.

    Derivatives of any order, by the limits, by `args` and by captured values, are those of the sum over the intervals
    found, which costs `21 limit` calls of `f`.

    Raises:
        ArgumentError: another norm or quadrature, no interval, or the full output.

    >>> import functrans as ft, numpy as np
    >>> value, error = ft.scipy.integrate.quad_vec(lambda x: np.exp(-(x**2)), -np.inf, np.inf)
    >>> value, bool(error < 1e-8)
    (Array(1.77245385), True)
    >>> gamma = lambda s: ft.scipy.integrate.quad_vec(lambda x: x ** (s - 1) * np.exp(-x), 0.0, np.inf)[0]
    >>> ft.grad(gamma)(3.0), ft.scipy.special.gamma(3.0) * ft.scipy.special.digamma(3.0)
    (Array(1.84556867), Array(1.84556867))
    """
    if norm not in ("2", "max"):
        raise ArgumentError(f"quad_vec takes norm='2' or norm='max', got {norm!r:.60}")
    if quadrature not in (None, "gk21"):
        raise ArgumentError(f"quad_vec takes quadrature='gk21', got {quadrature!r:.60}")
    if full_output:
        raise ArgumentError("quad_vec gives the integral and its error: it takes no full_output")
    if points is not None and aval_of(fnp.asarray(points)).size:
        places = fnp.clip(fnp.sort(fnp.ravel(fnp.asarray(points))), fnp.minimum(a, b), fnp.maximum(a, b))
        ends = [a, *fnp.where(fnp.asarray(a) <= b, places, places[::-1]), b]
        share = epsabs / (len(ends) - 1)
        parts = [
            quad_vec(f, low, high, share, epsrel, norm, limit=limit, args=args) for low, high in zip(ends, ends[1:])
        ]
        return sum(value for value, _ in parts), sum(error for _, error in parts)
    limit = operator.index(limit)
    if limit < 1:
        raise ArgumentError(f"quad_vec takes 1 or more intervals, got limit={limit}")
    a, b = fnp.asarray(a), fnp.asarray(b)
    if aval_of(a).ndim or aval_of(b).ndim:
        raise ShapeError(f"the limits of quad_vec are scalars, got shapes {aval_of(a).shape} and {aval_of(b).shape}")
    a, b = of_one_dtype(a, b, small=False)
    dtype = aval_of(a).dtype
    nodes = np.concatenate([-_NODES, _NODES[-2::-1]]).astype(dtype)
    kronrod = np.concatenate([_KRONROD, _KRONROD[-2::-1]])
    gauss = np.zeros(21)
    gauss[1::2] = np.concatenate([_GAUSS, _GAUSS[::-1]])

    def transformed(t: Any) -> Any:
        """The integrand on [0, 1], whatever the limits are."""
        below, above = fnp.isinf(a), fnp.isinf(b)
        start, stop = fnp.where(below, 0, a), fnp.where(above, 0, b)
        # one infinite limit: x = finite limit -+ (1 - t) / t;  two: x = (1 - |s|) / s with s in (-1, 1)
        s = fnp.where(below & above, 2 * t - 1, t)
        s = fnp.where(s == 0, dtype.type(4 * np.sqrt(float_info(dtype).tiny)), s)
        far = (1 - fnp.abs(s)) / s
        both, one = fnp.where(a < b, far, -far), fnp.where(below, stop + fnp.sign(a) * far, start + fnp.sign(b) * far)
        x = fnp.where(below & above, both, fnp.where(below | above, one, start + (stop - start) * t))
        # the sign of a transformed integral: from a finite limit to an infinite one t runs from 1 to 0
        turned = fnp.where(above, fnp.sign(b), -fnp.sign(a))
        scale = fnp.where(
            below & above,
            fnp.where(a == b, 0, fnp.where(a < b, 2, -2)) / (s * s),
            fnp.where(below | above, turned / (s * s), stop - start),
        )
        value = fnp.asarray(f(x.astype(dtype), *args))
        return value * scale.astype(_real_dtype(value, dtype))

    def rule(left: Any, width: Any) -> tuple[Any, Any, Any]:
        """The integral over an interval, and the size of its error and of its rounding."""
        values = vmap(transformed)(left + width * (nodes + 1) / 2)
        real = _real_dtype(values, dtype)
        half = (width / 2).astype(real)
        total = fnp.tensordot(kronrod.astype(real), values, 1) * half
        error = fnp.tensordot((kronrod - gauss).astype(real), values, 1) * half
        rounding = fnp.tensordot(kronrod.astype(real), fnp.abs(values), 1) * half * (50 * float_info(real).eps)
        return total, size(error), size(rounding)

    def size(value: Any) -> Any:
        value = fnp.abs(fnp.ravel(value)).astype(np.float64)
        return fnp.max(value) if norm == "max" else fnp.sqrt(fnp.sum(value * value))

    search = detached(rule, dtype.type(0), dtype.type(1))

    def refine(state: Any) -> Any:
        count, lefts, widths, totals, errors, roundings = state
        worst = fnp.argmax(errors)
        width = widths[worst] / 2
        for place, left in ((worst, lefts[worst]), (count, lefts[worst] + width)):
            total, error, rounding = search(left, width)
            error = fnp.where(width > 4 * float_info(dtype).eps, fnp.where(fnp.isnan(error), np.inf, error), 0)
            rows = (left, width, total, error, rounding)
            lefts, widths, totals, errors, roundings = (
                lax.dynamic_update_index_in_dim(old, new, place, 0)
                for old, new in zip((lefts, widths, totals, errors, roundings), rows)
            )
        return count + 1, lefts, widths, totals, errors, roundings

    def go_on(state: Any) -> Any:
        count, _, _, totals, errors, roundings = state
        tolerance = fnp.maximum(epsabs, epsrel * size(fnp.sum(totals, axis=0)))
        error = fnp.sum(errors)
        return (count < limit) & ~(error <= tolerance) & ~(error <= fnp.sum(roundings))

    with_values = search(dtype.type(0), dtype.type(1))
    first = [fnp.zeros(limit, dtype), fnp.ones(1, dtype)]

    def column(value: Any) -> Any:
        value = fnp.asarray(value)[None]
        rest = fnp.zeros((limit - 1, *aval_of(value).shape[1:]), aval_of(value).dtype)
        return fnp.concatenate([value, rest]) if limit > 1 else value

    start = (fnp.ones((), np.int64), first[0], column(dtype.type(1)), *map(column, with_values))
    _, lefts, widths, _, errors, roundings = lax.while_loop(go_on, refine, start)
    # once more over all intervals, which is what is differentiated; for those not used the first, without weight
    used = widths > 0
    again = vmap(lambda left, width: rule(left, width)[0])(
        fnp.where(used, lefts, lefts[0]), fnp.where(used, widths, widths[0])
    )
    used = fnp.reshape(used, (limit, *[1] * (aval_of(again).ndim - 1)))
    return fnp.sum(fnp.where(used, again, 0), axis=0), fnp.sum(errors) + fnp.sum(roundings)


def _real_dtype(value: Any, dtype: np.dtype) -> Any:
    kind = aval_of(value).dtype
    return real_dtype(kind) if is_inexact(kind) else dtype


def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Sequence[Any] = (),
    full_output: Any = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    """The integral of a real function, as `scipy.integrate.quad`.

    SciPy's own for plain limits and functions; `quad_vec` where the limits, `args` or what the function returns are
    traced. Of the options that are left, that takes `points` and `complex_func`; the others are for SciPy alone.

    Returns:
        `(integral, error)`: the value and an estimate of its error.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.integrate.quad(np.exp, 0.0, 1.0)[0]
    1.71828182845904...
    >>> ft.grad(lambda c: ft.scipy.integrate.quad(lambda x, c: np.exp(c * x), 0.0, 1.0, args=(c,))[0])(1.0)
    Array(1.)
    """
    args = args if isinstance(args, tuple) else (args,)
    if not has_tracer((a, b, *args)):
        low, high = (v if math.isfinite(v) else None for v in (a, b))
        inner = (
            0.0 if low is None and high is None else a + 1 if high is None else b - 1 if low is None else a / 2 + b / 2
        )
        if not isinstance(func(inner, *args), Tracer):
            scipys: Any = importlib.import_module("scipy.integrate")
            return scipys.quad(
                func, a, b, args, full_output, epsabs, epsrel, limit, points, weight, wvar, wopts, maxp1, limlst,
                complex_func,
            )  # fmt: skip
    options = {"full_output": full_output or None, "weight": weight, "wvar": wvar, "wopts": wopts}
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ArgumentError(
            f"quad of traced values does not take {', '.join(given)}: write a weight into the function, and change "
            "the variable if it is singular"
        )
    return quad_vec(func, a, b, epsabs, epsrel, limit=limit, points=points, args=args)
