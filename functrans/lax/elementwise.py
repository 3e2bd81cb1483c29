"""Elementwise primitives: one table row each.

A row names the NumPy (or SciPy) ufunc that evaluates the primitive and types it, the scalar expression that kernels
use, and its derivative: for each operand the tangent of the result due to `t`, that operand's tangent, given the
result `y` and the operands. `zero` is the derivative of functions that are flat almost everywhere.

Operands broadcast as in NumPy and have the dtypes of the ufunc's loop; `promote` converts to those. A row's result is
weak (takes the dtype of what it meets, as a Python scalar does) where Python's operators would give a Python scalar.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import Array, in_small_floats, plain, wrap
from functrans.core.avals import ShapedArray, aval_of, is_inexact, kind_of
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.trace import Tracer
from functrans.core.watching import check_results
from functrans.errors import ArgumentError, DTypeError
from functrans.lax import corners, options
from functrans.lax.broadcasting import _reshape, broadcast_to, unbroadcast
from functrans.lax.promotion import as_operand, broadcast_shapes, loop_dtypes, promote, weak_type
from functrans.transforms import eager
from functrans.transforms.batching import move_axis
from functrans.transforms.jvp import DirectTracer
from functrans.transforms.recording import OPAQUE, TIMES, Multiple, negated, over, same, times
from functrans.transforms.taylor import Series, flat, product
from functrans.transforms.transpose import is_linear

Derivative = Callable[..., Any]


class Elementwise(Primitive):
    """A primitive that acts on each element alone; calling it promotes its operands by NumPy's rules."""

    def __init__(
        self,
        name: str,
        ufunc: Any,
        expr: str | dict[str, str],
        *derivatives: Derivative,
        weak: bool = False,
        doc: str = "",
        evaluate: Callable[..., Any] | None = None,
        operator: Callable[..., Any] | None = None,
    ):
        super().__init__(name)
        if isinstance(ufunc, str):
            self._lazy = ufunc
        else:
            self.ufunc = ufunc
        self._corrected = evaluate
        count = ufunc.nin if isinstance(ufunc, np.ufunc) else len(derivatives)
        self.__signature__ = options.signature(options.operand_names(count))
        self.expr = {"": expr} if isinstance(expr, str) else expr
        self.derivatives = derivatives
        self.keeps_weak = weak
        self.impl = self._evaluate
        self.abstract_eval = self._abstract_eval
        self.jvp = self._jvp
        if type(self)._jvp is Elementwise._jvp:
            self.direct = self._direct_rule(evaluate or ufunc, operator)
            if builtins.all(d is zero for d in derivatives):
                self.taylor = flat
        self.batch = self._batch
        self.lower = self._lower if expr or type(self) is not Elementwise else None
        self.__doc__ = doc
        self.__name__ = self.__qualname__ = name

    def _direct_rule(self, evaluate: Any, operator: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """The `direct` rule of a row."""
        ds = self.derivatives
        function = operator or (self._evaluate if isinstance(evaluate, str) else evaluate)
        if builtins.all(d is zero for d in ds):
            return eager.flat(self)
        multiples = [None if d is zero else d if isinstance(d, Multiple) else OPAQUE for d in ds]
        if builtins.all(d is OPAQUE for d in multiples):
            return None
        if len(ds) == 1:
            return eager.unary(self, function, *multiples)  # type: ignore[arg-type]
        return eager.elementwise(self, function, multiples, weak=operator is not None)

    def __getattr__(self, name: str) -> Any:
        """`ufunc`, where it is one of SciPy's: named `module:function`, they are imported on first use."""
        if name != "ufunc":
            raise AttributeError(f"primitive {self.name} has no attribute {name}")
        module, _, function = self._lazy.partition(":")
        # With SCIPY_ARRAY_API, SciPy wraps its ufuncs.
        self.ufunc = inspect.unwrap(getattr(importlib.import_module(module), function))
        return self.ufunc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        ufunc = self.ufunc
        if kwargs:
            args, kwargs = options.by_name(self.name, args, kwargs)
        if len(args) != getattr(ufunc, "nin", len(args)):
            raise options.wrong_number(self.name, ufunc.nin, len(args))
        if kwargs:
            mask, kwargs = options.split_mask(kwargs)
            if mask is not None:
                return options.masked(self.name, lambda *xs: self(*xs, **kwargs), args, mask)
        for a in args:
            if isinstance(a, Tracer):
                if type(a) is DirectTracer and self.direct is not None and not kwargs:
                    out = self.direct(*args)
                    if out is not None:
                        return out
                return self.bind(*promote(self.name, ufunc, args, **kwargs))
        try:
            out = wrap(ufunc(*args, **kwargs) if kwargs or self._corrected is None else self._corrected(*args))
        except (TypeError, ValueError, AttributeError) as error:  # the last by arrays of objects
            avals = map(aval_of, promote(self.name, ufunc, args, **kwargs))  # raises what tracing would say
            self._abstract_eval(*avals)
            raise (ArgumentError if isinstance(error, ValueError) else DTypeError)(f"{self.name}: {error}") from None
        if kwargs.get("dtype") is None:
            out = in_small_floats(self._corrected or ufunc, args, out)
        if kind_of(out.dtype) not in "biufc":
            raise DTypeError(f"{self.name} takes numbers and booleans, got operands that give {out.dtype}")
        if config.watched:
            check_results(self.name, args, [out])
        return out

    # -- rules

    def _evaluate(self, *args: Any) -> Any:
        function = self._corrected or self.ufunc
        out = function(*args)
        return in_small_floats(function, args, out if type(out) is Array else wrap(out))

    def _abstract_eval(self, *avals: ShapedArray) -> ShapedArray:
        dtypes = tuple(a.dtype for a in avals)
        loop = loop_dtypes(self.name, self.ufunc, dtypes)
        if loop[: len(dtypes)] != dtypes:
            given, needed = (", ".join(map(str, d)) for d in (dtypes, loop[: len(dtypes)]))
            raise DTypeError(f"{self.name} takes operands of dtype ({needed}), got ({given}); convert them first")
        weak = self.keeps_weak and all(a.weak for a in avals)
        return ShapedArray(broadcast_shapes(self.name, [a.shape for a in avals]), loop[len(dtypes)], weak)

    def _jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        y = self.bind(*primals)
        return y, self._tangent(y, primals, tangents)

    def _tangent(self, y: Any, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        total = None
        for derivative, t in zip(self.derivatives, tangents):
            if t is not None and derivative is not zero:
                term = derivative(t, y, *primals)
                total = term if total is None else total if term is None else total + term
        return total if total is None else broadcast_to(total, aval_of(y).shape)

    def _batch(self, axis: Axis, args: list[Any], dims: list[int | None]) -> tuple[Any, int]:
        return self.bind(*align_batched(args, dims)), 0

    def _lower(self, k: Any, idx: Any, *operands: Any) -> Any:
        dtypes = tuple(x.aval.dtype for x in operands)
        out = loop_dtypes(self.name, self.ufunc, dtypes)[len(dtypes)]
        template = self.expr.get(kind_of(dtypes[0]), self.expr.get(""))
        return k.op(template, *[read(k, idx, x) for x in operands], dtype=out)

    def termwise(self, k: int, y: Series, *operands: Series) -> Any:
        """The `taylor` rule of rows that are linear in all their real and complex operands."""
        terms = [x[k] if x[0] is not None and is_inexact(aval_of(x[0]).dtype) else x[0] for x in operands]
        live = [t is not None and is_inexact(aval_of(t).dtype) for t in terms]
        if not builtins.any(live):
            return None
        if self is add and not builtins.all(live):
            return broadcast_to(terms[live.index(True)], y.aval.shape)
        blanks = (zeros(ShapedArray((), x.aval.dtype)) if t is None else t for x, t in zip(operands, terms))
        return broadcast_to(self.bind(*blanks), y.aval.shape)

    def __repr__(self) -> str:
        return self.name


def read(k: Any, idx: Any, x: Any) -> Any:
    """The element of an operand that NumPy's broadcasting pairs with output index `idx`."""
    own = idx[len(idx) - x.aval.ndim :]
    return x.at(*[k.size(0) if n == 1 else i for i, n in zip(own, x.aval.shape)])


def align_batched(args: Sequence[Any], dims: Sequence[int | None]) -> list[Any]:
    """Batch axes in front, and behind them size-one axes where an example has fewer axes than another."""
    rank = builtins.max(aval_of(a).ndim - (d is not None) for a, d in zip(args, dims))
    out = []
    for a, d in zip(args, dims):
        if d is not None:
            a = move_axis(a, d, 0)
            shape = aval_of(a).shape
            if len(shape) - 1 < rank:
                a = _reshape(a, (shape[0], *[1] * (rank + 1 - len(shape)), *shape[1:]))
        out.append(a)
    return out


zero: Derivative = lambda t, y, *x: None


# ---------------------------------------------------------------- arithmetic

_ARITHMETIC: dict[str, Any] = {"weak": True}

add = Elementwise(
    "add", np.add, {"b": "({0} | {1})", "": "({0} + {1})"}, same, same, operator=operator.add, **_ARITHMETIC
)
add.transpose = lambda ct, a, b: [
    unbroadcast(ct, a.aval) if is_linear(a) else None,
    unbroadcast(ct, b.aval) if is_linear(b) else None,
]

add.taylor = add.termwise

sub = Elementwise("sub", np.subtract, "({0} - {1})", same, negated, operator=operator.sub, **_ARITHMETIC)
sub.transpose = lambda ct, a, b: [
    unbroadcast(ct, a.aval) if is_linear(a) else None,
    unbroadcast(neg.bind(ct), b.aval) if is_linear(b) else None,
]

sub.taylor = sub.termwise

neg = Elementwise("neg", np.negative, "(-{0})", negated, operator=operator.neg, **_ARITHMETIC)
neg.transpose = lambda ct, a: [neg.bind(ct)]
neg.taylor = neg.termwise

mul = Elementwise(
    "mul",
    np.multiply,
    {"b": "({0} & {1})", "": "({0} * {1})"},
    times(lambda y, a, b: b),
    times(lambda y, a, b: a),
    operator=operator.mul,
    **_ARITHMETIC,
)
mul.transpose = lambda ct, a, b: [
    unbroadcast(mul.bind(ct, b), a.aval) if is_linear(a) else None,
    unbroadcast(mul.bind(a, ct), b.aval) if is_linear(b) else None,
]

product(mul)

div = Elementwise(
    "div",
    np.true_divide,
    "({0} / {1})",
    over(lambda y, a, b: b),
    times(lambda y, a, b: -y / b),
    operator=operator.truediv,
    **_ARITHMETIC,
)
# Staged even if both are plain numbers: one divided by a size must not become part of a kernel's text.
div.transpose = lambda ct, a, b: [unbroadcast(div.create(ct, b), a.aval), None]


def _div_taylor(k: int, y: Series, a: Series, b: Series) -> Any:
    """From `y b = a`: what the coefficients known so far leave of `a`, divided by the constant term of `b`."""
    rest = a[k]
    for j in range(k):
        if y[j] is not None and b[k - j] is not None:
            term = mul.bind(y[j], b[k - j])
            rest = neg.bind(term) if rest is None else sub.bind(rest, term)
    return None if rest is None else broadcast_to(div.bind(rest, b[0]), y.aval.shape)


div.taylor = _div_taylor


def _div_lower(k: Any, idx: Any, a: Any, b: Any) -> Any:
    """A division by a constant is a product, corrected if the reciprocal is inexact."""
    y = read(k, idx, b)
    if y.kind == "op" and y.args[1].kind == "size" and a.aval.dtype in (np.float32, np.float64):
        return k.op("divide_by({0}, {1})", read(k, idx, a), y)  # a whole number, which the kernel gets as an argument
    if y.kind == "const" and a.aval.dtype in (np.float32, np.float64) and 1e-18 < builtins.abs(y.args[0]) < 1e18:
        x = read(k, idx, a)
        if builtins.abs(math.frexp(y.args[0])[0]) == 0.5:
            return k.op("{0} * {1}", x, k.const(1 / y.args[0], y.dtype))
        positive = k.const(builtins.abs(y.args[0]), y.dtype)
        return k.op("divide_by({0}, {1})" if y.args[0] > 0 else "-divide_by({0}, {1})", x, positive)
    return Elementwise._lower(div, k, idx, a, b)


div.lower = _div_lower


pow = Elementwise(
    "pow",
    np.power,
    "pow({0}, {1})",
    times(lambda y, x, p: where(p == 0, 0.0, p * pow(x, where(p == 0, 1.0, p - 1)))),
    times(lambda y, x, p: y * log(where(x == 0, 1.0, x))),
    evaluate=corners.power,
    **_ARITHMETIC,
)
floor_divide = Elementwise(
    "floor_divide",
    np.floor_divide,
    "floor_divide({0}, {1})",
    zero,
    zero,
    evaluate=corners.floor_divide,
    **_ARITHMETIC,
)
rem = Elementwise(
    "rem",
    np.remainder,
    "remainder({0}, {1})",
    same,
    times(lambda y, a, b: -floor_divide(a, b)),
    **_ARITHMETIC,
)
fmod = Elementwise("fmod", np.fmod, "fmod({0}, {1})", same, times(lambda y, a, b: -trunc(a / b)), **_ARITHMETIC)


class _OfModulus(Multiple):
    """The derivative of the absolute value, which is no multiple for complex numbers."""

    def __call__(self, t: Any, y: Any, *operands: Any) -> Any:
        if aval_of(operands[0]).dtype.kind == "c":
            return real(t * conj(sign(operands[0])))
        return super().__call__(t, y, *operands)


abs = Elementwise(
    "abs", np.absolute, {"b": "{0}", "": "abs({0})"}, _OfModulus(TIMES, lambda y, x: sign(x)), **_ARITHMETIC
)


def _sign_derivative(t: Any, y: Any, x: Any) -> Any:
    if aval_of(x).dtype.kind != "c":
        return None
    size = abs(x)  # x / |x|: what t adds along the circle
    return where(size == 0, 0.0, 1j * y * imag(t * conj(y)) / where(size == 0, 1.0, size))


sign = Elementwise("sign", np.sign, "sign({0})", _sign_derivative, evaluate=corners.sign)
positive = Elementwise("positive", np.positive, "{0}", same, **_ARITHMETIC)
positive.transpose = lambda ct, x: [ct]
positive.taylor = positive.termwise
square = Elementwise("square", np.square, "{0} * {0}", times(lambda y, x: 2 * x))
reciprocal = Elementwise(
    "reciprocal",
    np.reciprocal,
    {"i": "select(abs({0}) == 1, {0}, 0)", "u": "select({0} == 1, {0}, 0)", "": "1 / {0}"},
    times(lambda y, x: -(y * y)),
)
sqrt = Elementwise("sqrt", np.sqrt, "sqrt({0})", times(lambda y, x: 0.5 / y))
cbrt = Elementwise("cbrt", np.cbrt, "cbrt({0})", times(lambda y, x: y / (3 * x)))
fabs = Elementwise("fabs", np.fabs, "abs({0})", times(lambda y, x: sign(x)))


class _IntegerPow(Elementwise):
    """`x ** y` for a Python integer `y`."""

    def __init__(self) -> None:
        super().__init__("integer_pow", np.power, "", weak=True)
        self.direct = self._direct

    def __call__(self, x: Any, y: int) -> Any:
        if not isinstance(x, Tracer):
            return wrap(np.power(x, y))
        if type(x) is DirectTracer and (out := self._direct(x, y=y)) is not None:
            return out
        return self.bind(x, y=y)

    def _direct(self, x: Any, *, y: int) -> Any:
        return _power_rule(y)(x) if y else None

    def _evaluate(self, x: Any, *, y: int) -> Any:  # type: ignore[override]
        out = np.square(x) if y == 2 else np.power(x, y)
        return in_small_floats(np.power, (x, y), wrap(out))

    def _abstract_eval(self, x: ShapedArray, *, y: int) -> ShapedArray:  # type: ignore[override]
        if y < 0 and not is_inexact(x.dtype):
            raise DTypeError("integers to negative integer powers are not allowed; convert the base to float")
        return x

    def _jvp(self, primals: Sequence[Any], tangents: Sequence[Any], *, y: int) -> tuple[Any, Any]:  # type: ignore[override]
        out = self.bind(*primals, y=y)
        return out, None if y == 0 else _power_derivative(y)(tangents[0], out, *primals)

    def _batch(self, axis: Axis, args: list[Any], dims: list[Any], *, y: int) -> Any:  # type: ignore[override]
        return self.bind(args[0], y=y), dims[0]

    def _lower(self, k: Any, idx: Any, x: Any, *, y: int) -> Any:  # type: ignore[override]
        base, dtype = x.at(*idx), x.aval.dtype
        if y == 0:
            return k.const(1, dtype)
        power, square_, n = None, base, -y if y < 0 else y
        while n:
            if n & 1:
                power = square_ if power is None else k.op("{0} * {1}", power, square_, dtype=dtype)
            n >>= 1
            if n:
                square_ = k.op("{0} * {0}", square_, dtype=dtype)
        return k.op("1 / {0}", power, dtype=dtype) if y < 0 else power


integer_pow = _IntegerPow()


@functools.cache
def _power_derivative(y: int) -> Multiple:
    if y == 1:
        return same
    if y == 2:
        return times(lambda out, x: x + x)
    return times(lambda out, x: y * integer_pow(x, y - 1))


@functools.cache
def _power_rule(y: int) -> Callable[..., Any]:
    evaluate = np.square if y == 2 else lambda x: np.power(x, y)
    return eager.unary(lambda x: integer_pow(x, y), evaluate, _power_derivative(y))


# ---------------------------------------------------------------- exponentials and logarithms

exp = Elementwise("exp", np.exp, "exp({0})", times(lambda y, x: y))
exp2 = Elementwise("exp2", np.exp2, "exp2({0})", times(lambda y, x: y * math.log(2)))
expm1 = Elementwise("expm1", np.expm1, "expm1({0})", times(lambda y, x: y + 1), evaluate=corners.expm1)
log = Elementwise("log", np.log, "log({0})", over(lambda y, x: x))
log2 = Elementwise("log2", np.log2, "log2({0})", over(lambda y, x: x * math.log(2)))
log10 = Elementwise("log10", np.log10, "log10({0})", over(lambda y, x: x * math.log(10)))
log1p = Elementwise("log1p", np.log1p, "log1p({0})", over(lambda y, x: x + 1))
logaddexp = Elementwise(
    "logaddexp",
    np.logaddexp,
    "logaddexp({0}, {1})",
    times(lambda y, a, b: _share(a, y)),
    times(lambda y, a, b: _share(b, y)),
)
logaddexp2 = Elementwise(
    "logaddexp2",
    np.logaddexp2,
    "logaddexp2({0}, {1})",
    times(lambda y, a, b: exp2(_finite_difference(a, y))),
    times(lambda y, a, b: exp2(_finite_difference(b, y))),
)


def _finite_difference(a: Any, y: Any) -> Any:
    return where(a == y, 0.0, a - y)  # equal infinities differ by nothing


def _share(a: Any, y: Any) -> Any:
    return exp(_finite_difference(a, y))


# ---------------------------------------------------------------- trigonometric and hyperbolic

sin = Elementwise("sin", np.sin, "sin({0})", times(lambda y, x: cos(x)))
cos = Elementwise("cos", np.cos, "cos({0})", times(lambda y, x: -sin(x)))
tan = Elementwise("tan", np.tan, "tan({0})", times(lambda y, x: 1 + y * y), evaluate=corners.tan)
asin = Elementwise("asin", np.arcsin, "arcsin({0})", over(lambda y, x: sqrt(1 - x * x)))
acos = Elementwise("acos", np.arccos, "arccos({0})", over(lambda y, x: -sqrt(1 - x * x)))
atan = Elementwise("atan", np.arctan, "arctan({0})", over(lambda y, x: 1 + x * x))
atan2 = Elementwise(
    "atan2",
    np.arctan2,
    "arctan2({0}, {1})",
    times(lambda y, a, b: b / (a * a + b * b)),
    times(lambda y, a, b: -a / (a * a + b * b)),
)
hypot = Elementwise("hypot", np.hypot, "hypot({0}, {1})", times(lambda y, a, b: a / y), times(lambda y, a, b: b / y))
sinh = Elementwise("sinh", np.sinh, "sinh({0})", times(lambda y, x: cosh(x)))
cosh = Elementwise("cosh", np.cosh, "cosh({0})", times(lambda y, x: sinh(x)))
tanh = Elementwise("tanh", np.tanh, "tanh({0})", times(lambda y, x: 1 - y * y), evaluate=corners.tanh)
asinh = Elementwise("asinh", np.arcsinh, "arcsinh({0})", over(lambda y, x: sqrt(x * x + 1)))
acosh = Elementwise(
    "acosh",
    np.arccosh,
    "arccosh({0})",
    over(lambda y, x: sqrt(x - 1) * sqrt(x + 1)),
    evaluate=corners.arccosh,
)
atanh = Elementwise("atanh", np.arctanh, "arctanh({0})", over(lambda y, x: 1 - x * x))
deg2rad = Elementwise("deg2rad", np.deg2rad, "({0} * 0.017453292519943295)", lambda t, y, x: deg2rad(t))
deg2rad.transpose = lambda ct, x: [deg2rad(ct)]
deg2rad.taylor = deg2rad.termwise
rad2deg = Elementwise("rad2deg", np.rad2deg, "({0} * 57.29577951308232)", lambda t, y, x: rad2deg(t))
rad2deg.transpose = lambda ct, x: [rad2deg(ct)]
rad2deg.taylor = rad2deg.termwise

# ---------------------------------------------------------------- special functions (SciPy's ufuncs)

_TWO_OVER_SQRT_PI = 2 / math.sqrt(math.pi)

erf = Elementwise("erf", "scipy.special:erf", "erf({0})", times(lambda y, x: _TWO_OVER_SQRT_PI * exp(-(x * x))))
erfc = Elementwise("erfc", "scipy.special:erfc", "erfc({0})", times(lambda y, x: -_TWO_OVER_SQRT_PI * exp(-(x * x))))
erf_inv = Elementwise(
    "erf_inv", "scipy.special:erfinv", "erfinv({0})", times(lambda y, x: exp(y * y) / _TWO_OVER_SQRT_PI)
)
lgamma = Elementwise(
    "lgamma",
    "scipy.special:gammaln",
    "where(({0} < 0) & ({0} - {0} != 0), {0}, lgamma({0}))",  # SciPy says -inf at -inf, C says inf
    times(lambda y, x: digamma(x)),
)
digamma = Elementwise(
    "digamma", "scipy.special:digamma", "digamma({0})", times(lambda y, x: polygamma(aval_of(x).dtype.type(1), x))
)
polygamma = Elementwise(
    "polygamma",
    "functrans.lax.special:polygamma_ufunc",
    {"f": "special_polygamma({0}, {1})"},
    zero,
    times(lambda y, n, x: polygamma(n + 1.0, x)),
)
logistic = Elementwise("logistic", "scipy.special:expit", "logistic({0})", times(lambda y, x: y * (1 - y)))

# ---------------------------------------------------------------- rounding, parts, floating point

floor = Elementwise("floor", np.floor, "floor({0})", zero)
ceil = Elementwise("ceil", np.ceil, "ceil({0})", zero)
trunc = Elementwise("trunc", np.trunc, "trunc({0})", zero)
rint = Elementwise("round", np.rint, "rint({0})", zero)
copysign = Elementwise(
    "copysign",
    np.copysign,
    "copysign({0}, {1})",
    times(lambda y, a, b: where(signbit(a) == signbit(b), aval_of(y).dtype.type(1), aval_of(y).dtype.type(-1))),
    zero,
)
nextafter = Elementwise("nextafter", np.nextafter, "nextafter({0}, {1})", same, zero)
spacing = Elementwise("spacing", np.spacing, "nextafter({0}, where({0} < 0, -inf, inf)) - {0}", zero)
heaviside = Elementwise(
    "heaviside", np.heaviside, "heaviside({0}, {1})", zero, lambda t, y, a, b: where(a == 0, t, 0.0)
)
ldexp = Elementwise("ldexp", np.ldexp, "ldexp({0}, {1})", lambda t, y, x, n: ldexp(t, n), zero)
ldexp.transpose = lambda ct, x, n: [unbroadcast(ldexp(ct, n), x.aval), None]

# ---------------------------------------------------------------- maximum and minimum


def _of_greater(y: Any, a: Any, b: Any) -> Any:
    share = aval_of(y).dtype.type  # of its dtype: a choice between Python scalars would be float64
    return where(a > b, share(1), where(a == b, share(0.5), share(0)))


def _of_less(y: Any, a: Any, b: Any) -> Any:
    return _of_greater(y, b, a)


max = Elementwise("max", np.maximum, {"b": "{0} | {1}", "": "max({0}, {1})"}, times(_of_greater), times(_of_less))
min = Elementwise("min", np.minimum, {"b": "{0} & {1}", "": "min({0}, {1})"}, times(_of_less), times(_of_greater))


def _of_chosen(y: Any, a: Any, b: Any) -> Any:
    share = aval_of(y).dtype.type
    return where(y == a, where(a == b, share(0.5), share(1)), share(0))  # fmax and fmin pass over NaN


def _of_other(y: Any, a: Any, b: Any) -> Any:
    return _of_chosen(y, b, a)


fmax = Elementwise("fmax", np.fmax, {"b": "{0} | {1}", "": "fmax({0}, {1})"}, times(_of_chosen), times(_of_other))
fmin = Elementwise("fmin", np.fmin, {"b": "{0} & {1}", "": "fmin({0}, {1})"}, times(_of_chosen), times(_of_other))

# ---------------------------------------------------------------- predicates, comparisons, logic, bits (no derivative)

_COMPLEX_LESS = "({0}.real < {1}.real) | (({0}.real == {1}.real) & ({0}.imag < {1}.imag))"
_COMPLEX_LESS_EQUAL = "({0}.real < {1}.real) | (({0}.real == {1}.real) & ({0}.imag <= {1}.imag))"


def _swapped(template: str) -> str:
    return template.replace("{0}", "{2}").replace("{1}", "{0}").replace("{2}", "{1}")


eq = Elementwise("eq", np.equal, "({0} == {1})")
ne = Elementwise("ne", np.not_equal, "({0} != {1})")
lt = Elementwise("lt", np.less, {"b": "(not {0}) & {1}", "c": _COMPLEX_LESS, "": "{0} < {1}"})
le = Elementwise("le", np.less_equal, {"b": "(not {0}) | {1}", "c": _COMPLEX_LESS_EQUAL, "": "{0} <= {1}"})
gt = Elementwise("gt", np.greater, {"b": "{0} & (not {1})", "c": _swapped(_COMPLEX_LESS), "": "{0} > {1}"})
ge = Elementwise("ge", np.greater_equal, {"b": "{0} | (not {1})", "c": _swapped(_COMPLEX_LESS_EQUAL), "": "{0} >= {1}"})
isfinite = Elementwise("is_finite", np.isfinite, "isfinite({0})")
isinf = Elementwise("is_inf", np.isinf, "isinf({0})")
isnan = Elementwise("is_nan", np.isnan, {"b": "{0} & (not {0})", "": "{0} != {0}"})
signbit = Elementwise("signbit", np.signbit, "signbit({0})")
bitwise_and = Elementwise("and", np.bitwise_and, "({0} & {1})")
bitwise_or = Elementwise("or", np.bitwise_or, "({0} | {1})")
bitwise_xor = Elementwise("xor", np.bitwise_xor, "({0} ^ {1})")
bitwise_not = Elementwise("not", np.invert, {"b": "not {0}", "": "~{0}"})
logical_and = Elementwise("logical_and", np.logical_and, {"b": "{0} & {1}", "": "({0} != 0) & ({1} != 0)"})
logical_or = Elementwise("logical_or", np.logical_or, {"b": "{0} | {1}", "": "({0} != 0) | ({1} != 0)"})
logical_xor = Elementwise("logical_xor", np.logical_xor, {"b": "{0} ^ {1}", "": "({0} != 0) ^ ({1} != 0)"})
logical_not = Elementwise("logical_not", np.logical_not, {"b": "not {0}", "": "{0} == 0"})
shift_left = Elementwise("shift_left", np.left_shift, "left_shift({0}, {1})")
shift_right = Elementwise("shift_right", np.right_shift, "right_shift({0}, {1})")
population_count = Elementwise("population_count", np.bitwise_count, "popcount({0})")
gcd = Elementwise("gcd", np.gcd, "gcd({0}, {1})")
lcm = Elementwise("lcm", np.lcm, "lcm({0}, {1})")

# ---------------------------------------------------------------- complex parts


class _Custom(Elementwise):
    """A row whose types no ufunc states: `types` maps operand avals to the dtype of the result."""

    def __init__(self, name: str, evaluate: Any, types: Any, expr: Any, *derivatives: Derivative, weak: bool = False):
        super().__init__(name, None, expr, *derivatives, weak=weak)
        self._function = evaluate
        self.types = types

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args, kwargs = options.by_name(self.name, args, kwargs)
            options.check_keywords(self.name, kwargs, ("x", "y")[: len(self.derivatives)])
        return self.bind(*[as_operand(self.name, a) for a in args])

    def _evaluate(self, *args: Any) -> Any:
        return wrap(self._function(*args))

    def _abstract_eval(self, *avals: ShapedArray) -> ShapedArray:
        dtype = self.types(*[a.dtype for a in avals])
        shape = broadcast_shapes(self.name, [a.shape for a in avals])
        return ShapedArray(shape, dtype, self.keeps_weak and all(a.weak for a in avals))

    def _lower(self, k: Any, idx: Any, *operands: Any) -> Any:
        dtypes = [x.aval.dtype for x in operands]
        template = self.expr.get(kind_of(dtypes[0]), self.expr.get(""))
        return k.op(template, *[read(k, idx, x) for x in operands], dtype=self.types(*dtypes))


def _part_dtype(x: np.dtype) -> np.dtype:
    if x.kind == "c":
        return np.dtype(f"f{x.itemsize // 2}")
    return x


def _complex_dtype(re: np.dtype, im: np.dtype) -> np.dtype:
    if re != im or kind_of(re) != "f" or re.itemsize < 4:
        raise DTypeError(f"complex takes two float32 or two float64 operands, got {re} and {im}")
    return np.dtype(f"c{re.itemsize * 2}")


def _make_complex(re: Any, im: Any) -> Any:
    re, im = np.broadcast_arrays(re, im)
    out = np.empty(re.shape, _complex_dtype(re.dtype, im.dtype))
    out.real, out.imag = re, im
    return out


real = _Custom("real", np.real, _part_dtype, {"c": "{0}.real", "": "{0}"}, lambda t, y, x: real(t))
real.transpose = lambda ct, x: [complex(ct, zeros(aval_of(ct))) if x.aval.dtype.kind == "c" else ct]
real.taylor = real.termwise
imag = _Custom("imag", np.imag, _part_dtype, {"c": "{0}.imag", "": "0"}, lambda t, y, x: imag(t))
imag.transpose = lambda ct, x: [
    complex(zeros(aval_of(ct)), neg.bind(ct)) if x.aval.dtype.kind == "c" else zeros(x.aval)
]
imag.taylor = imag.termwise
complex = _Custom(
    "complex",
    _make_complex,
    _complex_dtype,
    "complex({0}, {1})",
    lambda t, y, a, b: complex(t, zeros(aval_of(t))),
    lambda t, y, a, b: complex(zeros(aval_of(t)), t),
)
complex.transpose = lambda ct, a, b: [
    unbroadcast(real(ct), a.aval) if is_linear(a) else None,
    unbroadcast(neg.bind(imag(ct)), b.aval) if is_linear(b) else None,
]
complex.taylor = complex.termwise
conj = Elementwise("conj", np.conjugate, {"c": "conj({0})", "": "{0}"}, lambda t, y, x: conj.bind(t))
conj.transpose = lambda ct, x: [conj.bind(ct)]
conj.taylor = conj.termwise

# ---------------------------------------------------------------- choice


class _Select(_Custom):
    """`where` in the order of JAX's `select_n`: the false case first."""

    def _jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        which, _, _ = primals
        _, t0, t1 = tangents
        y = self.bind(*primals)
        if t0 is None and t1 is None:
            return y, None
        dtype = aval_of(y).dtype
        t0, t1 = (zeros(ShapedArray((), dtype)) if t is None else t for t in (t0, t1))
        return y, broadcast_to(self.bind(which, t0, t1), aval_of(y).shape)


def _select_dtype(which: np.dtype, a: np.dtype, b: np.dtype) -> np.dtype:
    if which.kind != "b":
        raise DTypeError(f"select_n takes a boolean selector, got {which}")
    if a != b:
        raise DTypeError(f"select_n takes cases of one dtype, got {a} and {b}")
    return a


select_n = _Select(
    "select_n", lambda which, a, b: np.where(which, b, a), _select_dtype, "select({0}, {2}, {1})", weak=True
)


def _select_transpose(ct: Any, which: Any, a: Any, b: Any) -> list[Any]:
    none = zeros(ShapedArray((), aval_of(ct).dtype))
    return [
        None,
        unbroadcast(select_n.bind(which, ct, none), a.aval) if is_linear(a) else None,
        unbroadcast(select_n.bind(which, none, ct), b.aval) if is_linear(b) else None,
    ]


select_n.transpose = _select_transpose
select_n.direct = eager.linear(select_n, slice(1, 3))
select_n.taylor = select_n.termwise


def _where_direct(condition: np.ndarray, x: Any, y: Any) -> Any:
    """`where` at plain values, in one step for each case; None where it is more."""
    operands = eager.operands((x, y))
    if operands is None or eager.any_traced(operands[2]):
        return None
    trace, _, (a, b), (left, right) = operands
    condition = plain(condition)
    try:
        out = np.where(condition, a, b)
    except ValueError:  # of shapes that do not fit: `bind` explains
        return None
    on_true = on_false = None
    if left is not None:
        on_true = eager.step(
            trace, left, out, lambda t: where(condition, t, 0.0), lambda ct: np.where(condition, ct, ct.dtype.type(0))
        )
    if right is not None:
        on_false = eager.step(
            trace, right, out, lambda t: where(condition, 0.0, t), lambda ct: np.where(condition, ct.dtype.type(0), ct)
        )
    return eager.joined(on_true, on_false)


def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where `condition` is true, `y` elsewhere, with NumPy's promotion and broadcasting."""
    if not any(isinstance(a, Tracer) for a in (condition, x, y)):
        return wrap(in_small_floats(lambda x, y: np.where(condition, x, y), (x, y), np.where(condition, x, y)))
    if isinstance(condition, np.ndarray) and condition.dtype.kind == "b":
        out = _where_direct(condition, x, y)
        if out is not None:
            return out
    condition, x, y = (as_operand("where", a) for a in (condition, x, y))
    if aval_of(condition).dtype.kind != "b":
        condition = ne(condition, 0)
    x, y = promote("where", np.add, (x, y)) if weak_type(x) != weak_type(y) else (x, y)
    return select_n.bind(condition, y, x)


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """`on_true` where `pred` holds, `on_false` elsewhere.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.select(np.array([True, False]), np.array([1, 2]), np.array([10, 20]))
    Array([ 1, 20])
    """
    return where(pred, on_true, on_false)


def clamp(min: Any, x: Any, max: Any) -> Any:
    """`x` limited to `[min, max]`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.clamp(0, np.array([-1, 0, 5]), 3)
    Array([0, 0, 3])
    """
    from functrans.lax import elementwise

    return elementwise.min(elementwise.max(x, min), max)
