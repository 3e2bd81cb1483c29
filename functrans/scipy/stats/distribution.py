"""Distributions as tables: a few functions of the standardised variable, and all else derived from them here.

A row of a table (`normal.py`, `gamma.py`, ..., `discrete.py`) states what mathematics states: the logarithm of the
density, the distribution function and its inverse, of a variable `z` without location and scale and inside the support.
This file adds what is the same for all: location and scale, the ends of the support, parameters that are not allowed
(NaN, as in SciPy), logarithms of tails, complements, dtypes. Arguments, names and special values are SciPy's.

Values where a formula does not hold are never computed: the formula gets a point inside the support instead, and its
result is not used. So derivatives are finite beside the support, where masks alone would make NaN of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.api.differentiation import jvp
from functrans.core.avals import SMALL_FLOATS, aval_of, float_info, kind_of
from functrans.errors import ArgumentError, DTypeError
from functrans.lax.conversion import convert_element_type, stop_gradient_p
from functrans.lax.custom import custom_jvp
from functrans.lax.elementwise import abs, exp, floor, isfinite, log, log1p, max, min, sqrt, where
from functrans.lax.loops import while_loop
from functrans.lax.promotion import as_operand, broadcast_shapes, to_common_dtype

Function = Callable[..., Any]
End = float | Function  # an end of the support: a number, or a function of the shape parameters


def positive(*shapes: Any) -> Any:
    """The usual condition on shape parameters: all are greater than zero."""
    valid = True
    for s in shapes:
        valid = (s > 0) & valid
    return valid


class Distribution:
    """What continuous and discrete distributions share: parameters, the support, tails, moments.

    Args:
        name: the name in `scipy.stats`.
        shapes: the names of the shape parameters, separated by spaces.
        support: its two ends, numbers or functions of the shape parameters.
        valid: the condition on the shape parameters, by default `positive`.
        cdf, sf, logcdf, logsf: functions of `(z, *shapes)` inside the support; what is absent follows from the others.
        mean, var, entropy: functions of the shape parameters, or numbers.
    """

    _scaled = False

    def __init__(
        self,
        name: str,
        shapes: str = "",
        *,
        support: tuple[End, End],
        valid: Function = positive,
        cdf: Function | None = None,
        sf: Function | None = None,
        logcdf: Function | None = None,
        logsf: Function | None = None,
        mean: Any = None,
        var: Any = None,
        entropy: Any = None,
    ):
        self.name, self.shapes = name, tuple(shapes.split())
        self.parameters = (*self.shapes, "loc", "scale")[: len(self.shapes) + 1 + self._scaled]
        self._support, self._valid = support, valid
        if cdf is None and logcdf is not None:
            cdf = lambda *z: exp(logcdf(*z))
        if sf is None and logsf is not None:
            sf = lambda *z: exp(logsf(*z))
        if sf is None and cdf is not None:
            sf = lambda *z: 1 - cdf(*z)
        if cdf is None and sf is not None:
            cdf = lambda *z: 1 - sf(*z)
        if cdf is not None and sf is not None:
            logcdf, logsf = logcdf or _logarithm(cdf, sf), logsf or _logarithm(sf, cdf)
        self._cdf, self._sf, self._logcdf, self._logsf = cdf, sf, logcdf, logsf
        self._mean, self._var, self._entropy = mean, var, entropy

    def __repr__(self) -> str:
        defaults = [*self.shapes, "loc=0", "scale=1"]
        return f"{self.name}({', '.join(defaults[: len(self.parameters)])})"

    def __call__(self, *args: Any, **kwargs: Any) -> Frozen:
        """The distribution with parameters in place: `norm(1.0, 2.0).pdf(x)` is `norm.pdf(x, 1.0, 2.0)`."""
        return Frozen(self, self._given(self.name, args, kwargs))

    # -- arguments

    def _given(self, what: str, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Parameters by name; location and scale only if they are given."""
        if len(args) > len(self.parameters):
            raise ArgumentError(f"{what} takes the parameters {', '.join(self.parameters)}, got {len(args)}")
        given = dict(zip(self.parameters, args))
        for name, value in kwargs.items():
            if name not in self.parameters or name in given:
                problem = "twice" if name in given else "which is none of them"
                raise ArgumentError(f"{what} takes the parameters {', '.join(self.parameters)}, got {name} {problem}")
            given[name] = value
        for name in self.shapes:
            if name not in given:
                raise ArgumentError(f"{what} needs the parameter {name}: {self.name} is {self!r}")
        return given

    def _arguments(self, method: str, first: Any, args: Any, kwargs: Any) -> tuple[Any, tuple[Any, ...], Any, Any, Any]:
        """All as arrays of one floating dtype, absent locations and scales as None; and whether they are valid."""
        what = f"{self.name}.{method}"
        given = self._given(what, args, kwargs)
        names = list(given)
        values = to_common_dtype(what, [as_operand(what, v) for v in (first, *given.values())])
        kind = kind_of(aval_of(values[0]).dtype)
        if kind == "c":
            raise DTypeError(f"{what} takes real numbers, got {aval_of(values[0]).dtype}")
        dtype = aval_of(values[0]).dtype if kind == "f" else np.dtype(float)
        if dtype in SMALL_FLOATS:
            dtype = np.dtype(np.float32)
        values = [convert_element_type(v, dtype) for v in values]
        broadcast_shapes(what, [aval_of(v).shape for v in values])
        x, by_name = values[0], dict(zip(names, values[1:]))
        shapes = tuple(by_name[n] for n in self.shapes)
        valid = self._valid(*shapes)
        if (scale := by_name.get("scale")) is not None:
            valid = (scale > 0) & valid
        return x, shapes, by_name.get("loc"), scale, valid

    def _ends(self, shapes: tuple[Any, ...]) -> tuple[Any, Any]:
        low, high = (e(*shapes) if callable(e) else e for e in self._support)
        return low, high

    # -- methods

    def cdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of values up to `x`."""
        return self._tail("cdf", 0.0, 1.0, x, args, kwargs)

    def sf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of values beyond `x`, accurate where it is small."""
        return self._tail("sf", 1.0, 0.0, x, args, kwargs)

    def logcdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `cdf`, also where that underflows."""
        return self._tail("logcdf", -np.inf, 0.0, x, args, kwargs)

    def logsf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of `sf`, also where that underflows."""
        return self._tail("logsf", 0.0, -np.inf, x, args, kwargs)

    def ppf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """The inverse of `cdf`: the quantile at `q`."""
        return self._quantile("ppf", q, args, kwargs)

    def isf(self, q: Any, *args: Any, **kwargs: Any) -> Any:
        """The inverse of `sf`."""
        return self._quantile("isf", q, args, kwargs)

    def mean(self, *args: Any, **kwargs: Any) -> Any:
        """The mean; infinite or NaN where it does not exist."""
        return self._moment("mean", args, kwargs)

    def var(self, *args: Any, **kwargs: Any) -> Any:
        """The variance; infinite or NaN where it does not exist."""
        return self._moment("var", args, kwargs)

    def std(self, *args: Any, **kwargs: Any) -> Any:
        """The standard deviation."""
        with _quiet():
            return sqrt(self._moment("var", args, kwargs))

    def entropy(self, *args: Any, **kwargs: Any) -> Any:
        """The (differential) entropy, in natural units."""
        return self._moment("entropy", args, kwargs)

    def median(self, *args: Any, **kwargs: Any) -> Any:
        """The quantile at one half."""
        return self.ppf(0.5, *args, **kwargs)

    def interval(self, confidence: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The ends of the interval around the median that has this probability."""
        tail = (1 - as_operand("interval", confidence)) / 2
        return self.ppf(tail, *args, **kwargs), self.isf(tail, *args, **kwargs)

    def support(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """The least and the greatest possible value."""
        _, shapes, loc, scale, valid = self._arguments("support", 0.0, args, kwargs)
        ends = [_placed(e, loc, scale) for e in self._ends(shapes)]
        return where(valid, ends[0], np.nan), where(valid, ends[1], np.nan)

    # -- how they are made of the table

    def _need(self, method: str) -> Function:
        function = getattr(self, f"_{method}")
        if function is None:
            raise ArgumentError(f"{self.name}.{method} has no closed form and is not offered")
        return function if callable(function) else lambda *shapes: function

    def _tail(self, method: str, before: float, after: float, x: Any, args: Any, kwargs: Any) -> Any:
        function = self._need(method)
        with _quiet():
            x, shapes, loc, scale, valid = self._arguments(method, x, args, kwargs)
            z = self._step(_standardised(x, loc, scale))
            low, high = self._ends(shapes)
            below, inside = self._below(z, low), self._inside(z, low, high)
            out = function(where(inside, z, self._instead(low, high)), *shapes)
            out = where(inside, out, where(below, before, after))
            return _result(out, valid & (x == x), x)

    def _moment(self, method: str, args: Any, kwargs: Any) -> Any:
        function = self._need(method)
        with _quiet():
            like, shapes, loc, scale, valid = self._arguments(method, 0, args, kwargs)
            out = function(*shapes)
            if method == "mean":
                out = _placed(out, loc, scale)
            elif scale is not None:
                out = out * (scale * scale) if method == "var" else out + log(scale)
            return _result(out + 0 * _or(loc, 0), valid, like)

    # -- what differs between continuous and discrete ones

    def _step(self, z: Any) -> Any:
        return z

    def _below(self, z: Any, low: Any) -> Any:
        raise NotImplementedError

    def _inside(self, z: Any, low: Any, high: Any) -> Any:
        raise NotImplementedError

    def _instead(self, low: Any, high: Any) -> Any:
        raise NotImplementedError

    def _quantile(self, method: str, q: Any, args: Any, kwargs: Any) -> Any:
        raise NotImplementedError


class Frozen:
    """A distribution with given parameters."""

    def __init__(self, distribution: Distribution, parameters: dict[str, Any]):
        self.dist, self.kwds = distribution, parameters

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        function = getattr(self.dist, method)
        return lambda *args: function(*args, **self.kwds)

    def __repr__(self) -> str:
        return f"{self.dist.name}({', '.join(f'{k}={v!r}' for k, v in self.kwds.items())})"


class Continuous(Distribution):
    """A row for a distribution with a density; see `Distribution` for the arguments that are not named here.

    Args:
        logpdf: the logarithm of the density inside the support.
        pdf: the density, where `exp(logpdf)` is not as good.
        ppf, isf: inverses of `cdf` and `sf`; without them they are sought by halving, with implicit derivatives.
        closed: whether the ends of the support have the density that `logpdf` gives there.
        symmetric: about zero; `sf`, `logsf`, `isf` are then those of the other side.
    """

    _scaled = True

    def __init__(
        self,
        name: str,
        shapes: str = "",
        *,
        support: tuple[End, End] = (-np.inf, np.inf),
        logpdf: Function,
        pdf: Function | None = None,
        cdf: Function | None = None,
        sf: Function | None = None,
        logcdf: Function | None = None,
        logsf: Function | None = None,
        ppf: Function | None = None,
        isf: Function | None = None,
        closed: bool = True,
        symmetric: bool = False,
        **table: Any,
    ):
        if symmetric:
            sf, logsf = _mirrored(cdf), _mirrored(logcdf)
            isf = None if ppf is None else lambda q, *shapes: -ppf(q, *shapes)
        super().__init__(name, shapes, support=support, cdf=cdf, sf=sf, logcdf=logcdf, logsf=logsf, **table)
        self._logpdf, self._closed = logpdf, closed
        self._pdf = pdf or (lambda *z: exp(logpdf(*z)))
        self._ppf, self._isf = ppf, isf
        if ppf is None and self._cdf is not None:
            self._ppf, self._isf = self._sought(upper=False), self._sought(upper=True)
        elif ppf is not None and isf is None:
            self._isf = lambda q, *shapes: ppf(1 - q, *shapes)

    def logpdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of the density at `x`."""
        return self._density("logpdf", -np.inf, x, args, kwargs)

    def pdf(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """The density at `x`."""
        return self._density("pdf", 0.0, x, args, kwargs)

    def _density(self, method: str, outside: float, x: Any, args: Any, kwargs: Any) -> Any:
        function = getattr(self, f"_{method}")
        with _quiet():
            x, shapes, loc, scale, valid = self._arguments(method, x, args, kwargs)
            z = _standardised(x, loc, scale)
            low, high = self._ends(shapes)
            inside = (z >= low) & (z <= high) & isfinite(z) if self._closed else self._inside(z, low, high)
            out = function(where(inside, z, self._instead(low, high)), *shapes)
            if scale is not None:
                out = out - log(scale) if method == "logpdf" else out / scale
            return _result(where(inside, out, outside), valid & (x == x), x)

    def _quantile(self, method: str, q: Any, args: Any, kwargs: Any) -> Any:
        function = self._need(method)
        with _quiet():
            q, shapes, loc, scale, valid = self._arguments(method, q, args, kwargs)
            first, last = self._ends(shapes) if method == "ppf" else reversed(self._ends(shapes))
            inside = (q > 0) & (q < 1)
            z = function(where(inside, q, 0.5), *shapes)
            z = where(inside, z, where(q == 0, first, last))
            return _result(_placed(z, loc, scale), valid & (q >= 0) & (q <= 1), q)

    def _below(self, z: Any, low: Any) -> Any:
        return z <= low

    def _inside(self, z: Any, low: Any, high: Any) -> Any:
        return (z > low) & (z < high)

    def _instead(self, low: Any, high: Any) -> Any:
        """A point inside the support."""
        if isinstance(low, float) and isinstance(high, float):
            if math.isinf(low):
                return 0.0 if math.isinf(high) else high - 1.0
            return low + 1.0 if math.isinf(high) else (low + high) / 2
        left = where(abs(low) < np.inf, low, where(abs(high) < np.inf, high - 2.0, -1.0))
        return (left + where(abs(high) < np.inf, high, left + 2.0)) / 2

    def _sought(self, upper: bool) -> Function:
        """The inverse of `cdf` (or of `sf`) by halving an interval; its derivative follows from those of `cdf`."""
        function, sign = (self._sf, -1.0) if upper else (self._cdf, 1.0)
        assert function is not None

        @custom_jvp
        def quantile(q: Any, *shapes: Any) -> Any:
            below, above = (1 - q, q) if upper else (q, 1 - q)
            # the smaller of both tails says it more exactly
            beyond = lambda z: where(below > 0.5, self._sf(z, *shapes) <= above, self._cdf(z, *shapes) >= below)  # type: ignore[misc]
            return boundary(beyond, *self._ends(shapes), q + 0 * sum(shapes))

        def derivative(primals: Any, tangents: Any) -> Any:
            (q, *shapes), (t, *shape_tangents) = primals, tangents
            z = quantile(q, *shapes)
            if shapes:
                t = t - jvp(lambda *s: function(z, *s), tuple(shapes), tuple(shape_tangents))[1]
            return z, sign * t / self._pdf(z, *shapes)

        quantile.defjvp(derivative)
        return quantile


class Discrete(Distribution):
    """A row for a distribution on whole numbers; `logpmf` is the logarithm of the probability of `k`.

    Without `cdf` that is the sum of the probabilities, for supports that begin at a finite number.
    """

    def __init__(
        self,
        name: str,
        shapes: str = "",
        *,
        support: tuple[End, End] = (0.0, np.inf),
        logpmf: Function,
        pmf: Function | None = None,
        **table: Any,
    ):
        if "cdf" not in table and "sf" not in table:
            table.update(self._summed())
        super().__init__(name, shapes, support=support, **table)
        self._logpmf = logpmf
        self._pmf = pmf or (lambda *k: exp(logpmf(*k)))

    def logpmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The logarithm of the probability of `k`."""
        return self._probability("logpmf", -np.inf, k, args, kwargs)

    def pmf(self, k: Any, *args: Any, **kwargs: Any) -> Any:
        """The probability of `k`; zero where `k` is not whole."""
        return self._probability("pmf", 0.0, k, args, kwargs)

    def _probability(self, method: str, outside: float, k: Any, args: Any, kwargs: Any) -> Any:
        function = getattr(self, f"_{method}")
        with _quiet():
            k, shapes, loc, _, valid = self._arguments(method, k, args, kwargs)
            z = _standardised(k, loc, None)
            low, high = self._ends(shapes)
            inside = (z >= low) & (z <= high) & (z == floor(z)) & isfinite(z)
            out = where(inside, function(where(inside, z, low), *shapes), outside)
            return _result(out, valid & (k == k), k)

    def _quantile(self, method: str, q: Any, args: Any, kwargs: Any) -> Any:
        function = self._need("cdf" if method == "ppf" else "sf")
        with _quiet():
            q, shapes, loc, _, valid = self._arguments(method, q, args, kwargs)
            valid = valid & (q >= 0) & (q <= 1)
            inside = valid & (q > 0) & (q < 1)
            level, *still = (stop_gradient_p.bind(v) for v in (where(inside, q, 0.5), *shapes))
            low, high = self._ends(tuple(still))

            def reached(k: Any) -> Any:
                value = function(where(k < high, k, low), *still)
                return (value >= level if method == "ppf" else value <= level) | (k >= high) | ~inside

            k = boundary(reached, low, high, level + 0 * sum(still), whole=True)
            start = q == (0 if method == "ppf" else 1)
            k = where(inside, k, where(start, low - 1, high))
            return _result(_placed(k, loc, None), valid, q)

    def _step(self, z: Any) -> Any:
        return floor(z)

    def _below(self, z: Any, low: Any) -> Any:
        return z < low

    def _inside(self, z: Any, low: Any, high: Any) -> Any:
        return (z >= low) & (z < high)

    def _instead(self, low: Any, high: Any) -> Any:
        return low

    def _summed(self) -> dict[str, Function]:
        """Tails as sums of probabilities, each from its own end of the support."""

        def total(k: Any, shapes: Any, start: Any, step: float, last: Any) -> Any:
            def add(carry: Any) -> Any:
                j, out = carry
                going = (j - last) * step <= 0
                return j + step, out + where(going, self._pmf(where(going, j, start), *shapes), 0.0)

            start = start + 0 * k
            return while_loop(lambda carry: ((carry[0] - last) * step <= 0).any(), add, (start, 0 * start))[1]

        return {
            "cdf": lambda k, *shapes: total(k, shapes, self._ends(shapes)[0], 1.0, k),
            "sf": lambda k, *shapes: total(k, shapes, self._ends(shapes)[1], -1.0, k + 1),
        }


def transformed(
    base: Continuous,
    name: str,
    shapes: str = "",
    *,
    to: Function,
    back: Function,
    shape: Function = lambda *shapes: shapes,
    decreasing: bool = False,
    **table: Any,
) -> Continuous:
    """The distribution of `z = back(u, *shapes)`, where `u` is distributed as `base` with parameters `shape(*shapes)`.

    `to` is the inverse of `back`; both are increasing functions, or decreasing ones.
    """

    def of(function: Any) -> Function:
        return lambda z, *shapes: function(to(z, *shapes), *shape(*shapes))

    def inverse(function: Any) -> Function:
        return lambda q, *shapes: back(function(q, *shape(*shapes)), *shapes)

    names = ("cdf", "sf", "logcdf", "logsf", "ppf", "isf")
    other = ("sf", "cdf", "logsf", "logcdf", "isf", "ppf")
    for method, source in zip(names, other if decreasing else names):
        function = getattr(base, f"_{source}")
        table.setdefault(method, inverse(function) if method in ("ppf", "isf") else of(function))
    return Continuous(name, shapes, **table)


# ---------------------------------------------------------------- parts


def _quiet() -> Any:
    """NumPy's warnings off: infinities at the ends of a support are results."""
    return np.errstate(all="ignore")


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _standardised(x: Any, loc: Any, scale: Any) -> Any:
    x = x if loc is None else x - loc
    return x if scale is None else x / scale


def _placed(z: Any, loc: Any, scale: Any) -> Any:
    z = z if scale is None else z * scale
    return z if loc is None else z + loc


def _result(out: Any, valid: Any, like: Any) -> Any:
    return convert_element_type(where(valid, out, np.nan), aval_of(like).dtype)


def _mirrored(function: Function | None) -> Function | None:
    return None if function is None else lambda z, *shapes: function(-z, *shapes)


def _logarithm(tail: Function, other: Function) -> Function:
    """The logarithm of a tail: where that is near to one, by the other tail."""

    def logarithm(*z: Any) -> Any:
        value = tail(*z)
        small = value < 0.5
        return where(small, log(value), log1p(-where(small, 0.5, other(*z))))

    return logarithm


def boundary(beyond: Function, low: Any, high: Any, like: Any, whole: bool = False) -> Any:
    """Where in `(low, high)` a condition begins to hold: by doubling steps to bracket the place, then by halving.

    To the last digit, or the least whole number at which the condition holds. One evaluation a turn, for all elements.
    """
    eps = float_info(aval_of(like).dtype).eps
    least = float_info(aval_of(like).dtype).tiny if whole or low > -np.inf else eps
    origin = low if whole or low > -np.inf else 0.0

    def open_ended(left: Any, right: Any) -> Any:
        return (left == -np.inf) | (right == np.inf)

    def going(ends: Any) -> Any:
        left, right = ends
        apart = right - left > (1 if whole else eps * max(max(abs(left), abs(right)), least))
        return (where(open_ended(left, right), left < right, apart)).any()

    def turn(ends: Any) -> Any:
        left, right = ends
        up = origin + 2 * (max(left, origin) - origin) + 1
        down = origin + 2 * (min(right, origin) - origin) - 1
        middle = left + (right - left) / 2
        place = where(right == np.inf, up, where(left == -np.inf, down, floor(middle) if whole else middle))
        passed = beyond(place)
        return where(passed, left, place), where(passed, place, right)

    left, right = while_loop(going, turn, ((low - 1 if whole else low) + 0 * like, high + 0 * like))
    return right if whole else left + (right - left) / 2
