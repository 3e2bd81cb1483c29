"""Elementwise functions: NumPy's ufuncs by their names (rows of `lax.elementwise`), and functions made of them.

`TRACED_UFUNCS` maps each ufunc to its traced form, for `np.sin(tracer)`.
"""

from __future__ import annotations

import builtins
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.array import wrap
from functrans.core.avals import aval_of, float_info, is_inexact, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ConcretizationError, DTypeError
from functrans.lax import elementwise as ew, options
from functrans.lax.promotion import common_dtype, loop_dtypes, promote
from functrans.numpy.dispatch import (
    as_ours,
    dtype_of,
    explained,
    has_tracer,
    holds_bfloat16,
    implements,
    known,
    operand,
    wrap_result,
)

# names of NumPy and of the Array API for the same rows
add, subtract, multiply = ew.add, ew.sub, ew.mul
divide = true_divide = ew.div
floor_divide, fmod = ew.floor_divide, ew.fmod
remainder = mod = ew.rem
negative, positive = ew.neg, ew.positive
absolute = abs = ew.abs
fabs, sign, rint, square, sqrt, cbrt, reciprocal = ew.fabs, ew.sign, ew.rint, ew.square, ew.sqrt, ew.cbrt, ew.reciprocal
conjugate = conj = ew.conj
exp, exp2, expm1, log, log2, log10, log1p = ew.exp, ew.exp2, ew.expm1, ew.log, ew.log2, ew.log10, ew.log1p
logaddexp, logaddexp2 = ew.logaddexp, ew.logaddexp2
sin, cos, tan, sinh, cosh, tanh = ew.sin, ew.cos, ew.tan, ew.sinh, ew.cosh, ew.tanh
arcsin = asin = ew.asin
arccos = acos = ew.acos
arctan = atan = ew.atan
arctan2 = atan2 = ew.atan2
arcsinh = asinh = ew.asinh
arccosh = acosh = ew.acosh
arctanh = atanh = ew.atanh
hypot = ew.hypot
deg2rad = radians = ew.deg2rad
rad2deg = degrees = ew.rad2deg
floor, ceil, trunc = ew.floor, ew.ceil, ew.trunc
copysign, nextafter, spacing, heaviside, ldexp = ew.copysign, ew.nextafter, ew.spacing, ew.heaviside, ew.ldexp
maximum, minimum, fmax, fmin = ew.max, ew.min, ew.fmax, ew.fmin
equal, not_equal, less, less_equal = ew.eq, ew.ne, ew.lt, ew.le
greater, greater_equal = ew.gt, ew.ge
isfinite, isinf, isnan, signbit = ew.isfinite, ew.isinf, ew.isnan, ew.signbit
bitwise_and, bitwise_or, bitwise_xor = ew.bitwise_and, ew.bitwise_or, ew.bitwise_xor
invert = bitwise_not = bitwise_invert = ew.bitwise_not
left_shift = bitwise_left_shift = ew.shift_left
right_shift = bitwise_right_shift = ew.shift_right
bitwise_count = ew.population_count
logical_and, logical_or, logical_xor, logical_not = ew.logical_and, ew.logical_or, ew.logical_xor, ew.logical_not
gcd, lcm = ew.gcd, ew.lcm


class Ufunc:
    """A ufunc of NumPy whose traced form is made of other functions; called as NumPy's, with its keyword arguments.

    The NumPy at hand may not have the ufunc yet: then it is `None`, and the traced form runs on plain values.
    """

    __name__: str

    def __init__(self, ufunc: Any, traced: Any, plain: Any = None):
        functools.update_wrapper(self, traced)
        self.ufunc = ufunc
        self.plain = plain or ufunc
        self.traced = traced
        self.__doc__ = traced.__doc__
        self._operands = len(inspect.signature(traced).parameters)
        self.__signature__ = self._signature()

    def _signature(self) -> inspect.Signature:
        return options.signature(options.operand_names(self._operands), 1 if self.ufunc is None else self.ufunc.nout)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) != self._operands:
            raise options.wrong_number(self.__name__, self._operands, len(args))
        if kwargs:
            mask, kwargs = options.split_mask(kwargs)
            if mask is not None:
                return options.masked(self.__name__, lambda *xs: self(*xs, **kwargs), args, mask)
        if self.ufunc is None or has_tracer(args) or holds_bfloat16(args):
            return self._traced(*as_ours(args), **kwargs)
        try:
            return wrap_result((self.ufunc if kwargs else self.plain)(*args, **kwargs))
        except Exception as error:
            raise explained(error, self._traced, args, kwargs, self.__name__) from None

    def _traced(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            dtype, casting = options.loop(self.__name__, kwargs)
            if dtype is not None or casting is not None:
                args = tuple(promote(self.__name__, self.ufunc, args, dtype=dtype, casting=casting))
        return self.traced(*args)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r}>"


def made_of_others(ufunc: Any, plain: Any = None) -> Callable[[Callable[..., Any]], Ufunc]:
    """Make a function of tracers the traced form of a ufunc; `plain` is what plain values get instead of the ufunc."""
    return lambda traced: Ufunc(ufunc, traced, plain)


@made_of_others(np.power, ew.pow)
def power(x1: Any, x2: Any, /) -> Any:
    """`x1 ** x2`, elementwise; as `numpy.power`. A Python integer exponent becomes multiplications.

    Also called `pow`.

    >>> import functrans.numpy as fnp
    >>> fnp.power([2.0, 3.0], 2)
    Array([4., 9.])
    """
    if type(x2) is int and isinstance(x1, Tracer) and is_inexact(x1.aval.dtype):
        return ew.integer_pow(x1, x2)
    return ew.pow(x1, x2)


pow = power


@made_of_others(np.float_power)
def float_power(x1: Any, x2: Any, /) -> Any:
    """`x1 ** x2` in at least float64; as `numpy.float_power`.

    >>> import functrans.numpy as fnp
    >>> fnp.float_power([2, 3], -1)
    Array([0.5       , 0.33333333])
    """
    x1, x2 = operand("float_power", x1), operand("float_power", x2)
    dtype = common_dtype(dtype_of(x1), dtype_of(x2), np.float64)
    return ew.pow(lax.convert_element_type(x1, dtype), lax.convert_element_type(x2, dtype))


@made_of_others(np.divmod)
def divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    """The quotient and the remainder; as `numpy.divmod`.

    >>> import functrans.numpy as fnp
    >>> fnp.divmod([7, -7], 3)
    (Array([ 2, -3]), Array([1, 2]))
    """
    return ew.floor_divide(x1, x2), ew.rem(x1, x2)


@made_of_others(np.modf)
def modf(x: Any, /) -> tuple[Any, Any]:
    """The fractional and the integral part; as `numpy.modf`.

    >>> import functrans.numpy as fnp
    >>> fnp.modf([1.5, -2.25])
    (Array([ 0.5 , -0.25]), Array([ 1., -2.]))
    """
    x = _float(_real("modf", x))
    whole = ew.trunc(x)
    return ew.copysign(ew.where(ew.isinf(x), dtype_of(x).type(0), x - whole), x), whole


@made_of_others(np.frexp)
def frexp(x: Any, /) -> tuple[Any, Any]:
    """Mantissa in [0.5, 1) and exponent of 2; as `numpy.frexp`.

    >>> import functrans.numpy as fnp
    >>> fnp.frexp([8.0, 0.75])
    (Array([0.5 , 0.75]), Array([4, 0], dtype=int32))
    """
    x = _float(_real("frexp", x))
    own = dtype_of(x)
    wide = x if own == np.float64 else lax.convert_element_type(x, np.float64)
    special = (wide == 0) | ~ew.isfinite(wide)
    tiny = ew.abs(wide) < 1e-300  # subnormal numbers, scaled so that nothing is lost
    size = ew.where(special, 1.0, ew.abs(wide) * ew.where(tiny, 2.0**60, 1.0))
    exponent = ew.floor(ew.log2(size)) + 1
    exponent = exponent + ew.where(size * ew.exp2(-exponent) >= 1, 1.0, 0.0)
    exponent = exponent - ew.where(size * ew.exp2(-exponent) < 0.5, 1.0, 0.0)
    mantissa = ew.copysign(size * ew.exp2(-exponent), wide)
    exponent = exponent - ew.where(tiny, 60.0, 0.0)
    mantissa = lax.convert_element_type(ew.where(special, wide, mantissa), own)
    return mantissa, lax.convert_element_type(ew.where(special, 0.0, exponent), np.int32)


def _real(name: str, x: Any) -> Any:
    x = operand(name, x)
    if dtype_of(x).kind == "c":
        raise DTypeError(f"{name} is not defined for operands of type ({dtype_of(x)})")
    return x


def _float(x: Any) -> Any:
    """As an array of floats or complex numbers, of the dtype that NumPy's float functions give."""
    dtype = dtype_of(x)
    return lax.convert_element_type(x, dtype if is_inexact(dtype) else loop_dtypes("exp", np.exp, (dtype,))[0])


TRACED_UFUNCS: dict[Any, Any] = {
    getattr(np, name): function
    for name, function in list(globals().items())
    if isinstance(getattr(np, name, None), np.ufunc) and callable(function)
}

# ---------------------------------------------------------------- made of them


@implements(np.where, "size", "fill_value")
def where(condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """With the condition alone it is `nonzero`, with its `size` and `fill_value`.

    >>> import functrans.numpy as fnp
    >>> fnp.where([True, False], [1, 2], [10, 20])
    Array([ 1, 20])
    """
    if x is None and y is None:
        from functrans.numpy.indexing import nonzero

        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ArgumentError("where takes the condition alone, or the condition and both choices")
    return ew.where(condition, x, y)


def _plain_clip(
    a: Any, min: Any = None, max: Any = None, out: Any = None, *, a_min: Any = None, a_max: Any = None, **kwargs: Any
) -> Any:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if out is None and kwargs.get("where", True) is not True:
        return clip.__wrapped__(a, low, high, **kwargs)  # type: ignore[attr-defined]
    plain = low is None and high is None and out is None and not kwargs
    return +np.asarray(a) if plain else np.clip(a, low, high, out, **kwargs)


@implements(np.clip, eager=_plain_clip)
def clip(
    a: Any, min: Any = None, max: Any = None, out: Any = None, *, a_min: Any = None, a_max: Any = None, **kwargs: Any
) -> Any:
    """
    Args:
        min, max: the limits, also by NumPy's older names `a_min` and `a_max`; `None` stands for no limit.
        kwargs: the keyword arguments of ufuncs.

    >>> import functrans.numpy as fnp
    >>> fnp.clip([-1, 5, 12], 0, 10)
    Array([ 0,  5, 10])
    """
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    a = operand("clip", a)
    if out is not None:
        kwargs = {**kwargs, "out": out}
    if low is None and high is None:
        return ew.positive(a, **kwargs)
    if low is not None:
        a = ew.max(a, low, **kwargs)
    return a if high is None else ew.min(a, high, **kwargs)


@implements(np.round)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """
    Also called `around`.

    >>> import functrans.numpy as fnp
    >>> fnp.round([1.25, -2.71], 1)
    Array([ 1.2, -2.7])
    """
    a = operand("round", a)
    own = dtype_of(a)
    if own.kind == "c":
        return lax.complex(round(lax.real(a), decimals), round(lax.imag(a), decimals))
    if own.kind == "b":
        if decimals:
            raise DTypeError("round of booleans takes no decimals")
        return lax.convert_element_type(a, np.float16)
    if own.kind in "iu":
        if decimals >= 0:
            return a
        return lax.convert_element_type(round(lax.convert_element_type(a, np.float64), decimals), own)
    if decimals == 0:
        return ew.rint(a)
    factor = own.type(10.0 ** builtins.abs(decimals))
    return ew.rint(a * factor) / factor if decimals > 0 else ew.rint(a / factor) * factor


around = round


@implements(np.fix, eager=np.trunc)  # NumPy 2.5 warns of its own name
def fix(x: Any, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.fix([1.7, -1.7])
    Array([ 1., -1.])
    """
    return ew.trunc(x)


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nan_to_num([fnp.nan, 1.0])
    Array([0., 1.])
    """
    x = operand("nan_to_num", x)
    dtype = dtype_of(x)
    if dtype.kind == "c":
        return lax.complex(*[nan_to_num(p, copy, nan, posinf, neginf) for p in (lax.real(x), lax.imag(x))])
    if kind_of(dtype) != "f":
        return x
    info = float_info(dtype)
    x = ew.where(ew.isnan(x), nan, x)
    x = ew.where(ew.eq(x, np.inf), dtype.type(info.max if posinf is None else posinf), x)
    return ew.where(ew.eq(x, -np.inf), dtype.type(info.min if neginf is None else neginf), x)


@implements(np.real)
def real(val: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.real([1 + 2j, 3.0])
    Array([1., 3.])
    """
    return lax.real(operand("real", val))


@implements(np.imag)
def imag(val: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.imag([1 + 2j, 3.0])
    Array([2., 0.])
    """
    return lax.imag(operand("imag", val))


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.angle(1j, deg=True)
    Array(90.)
    """
    z = operand("angle", z)
    z = lax.convert_element_type(z, np.float64) if dtype_of(z).kind == "b" else z
    out = ew.atan2(lax.imag(z), lax.real(z))
    return ew.rad2deg(out) if deg else out


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.sinc([0.0, 0.5])
    Array([1.        , 0.63661977])
    """
    x = operand("sinc", x) * np.pi
    small = ew.abs(x) < 1e-4  # the series keeps derivatives right where the quotient is 0 / 0
    safe = ew.where(small, 1.0, x)
    return ew.where(small, 1 - x * x / 6, ew.sin(safe) / safe)


@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.isclose([1.0, 2.0], [1.0, 2.1])
    Array([ True, False])
    """
    a, b = operand("isclose", a), operand("isclose", b)
    close = (ew.abs(a - b) <= atol + rtol * ew.abs(b)) & ew.isfinite(b)
    out = ew.logical_or(close, ew.eq(a, b))
    return ew.logical_or(out, ew.logical_and(ew.isnan(a), ew.isnan(b))) if equal_nan else out


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.allclose([1.0, 2.0], [1.0, 2.0 + 1e-9])
    True
    """
    close = isclose(a, b, rtol, atol, equal_nan)
    return lax.reduce_and(close, range(aval_of(close).ndim))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.array_equal([1, 2], [1, 2])
    True
    """
    a1, a2 = operand("array_equal", a1), operand("array_equal", a2)
    if aval_of(a1).shape != aval_of(a2).shape:
        return wrap(np.bool_(False))
    same = ew.eq(a1, a2)
    if equal_nan:
        same = ew.logical_or(same, ew.logical_and(ew.isnan(a1), ew.isnan(a2)))
    return lax.reduce_and(same, range(aval_of(same).ndim))


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.array_equiv([1, 1], [[1, 1], [1, 1]])
    True
    """
    a1, a2 = operand("array_equiv", a1), operand("array_equiv", a2)
    try:
        np.broadcast_shapes(aval_of(a1).shape, aval_of(a2).shape)
    except ValueError:
        return False
    same = ew.eq(a1, a2)
    return lax.reduce_and(same, range(aval_of(same).ndim))


@implements(np.real_if_close)
def real_if_close(a: Any, tol: Any = 100) -> Any:
    """Of traced complex arrays it needs values: whether the result is real depends on them.

    >>> import functrans.numpy as fnp
    >>> fnp.real_if_close([1 + 0j, 2])
    Array([1., 2.])
    """
    a = operand("real_if_close", a)
    if dtype_of(a).kind != "c":
        return a
    values = known(a)
    if values is None:
        raise ConcretizationError(
            "real_if_close of a traced array has a dtype that depends on values: take real(x), or call it outside the "
            f"traced function.\nThe array is {a.describe()}"
        )
    return lax.real(a) if np.isrealobj(np.real_if_close(values, tol)) else a


@implements(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.isposinf([-fnp.inf, fnp.inf, 0.0])
    Array([False,  True, False])
    """
    return ew.eq(_ordered("isposinf", x), np.inf)


@implements(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.isneginf([-fnp.inf, fnp.inf, 0.0])
    Array([ True, False, False])
    """
    return ew.eq(_ordered("isneginf", x), -np.inf)


def _ordered(name: str, x: Any) -> Any:
    x = operand(name, x)
    if dtype_of(x).kind == "c":
        raise DTypeError(f"{name} is not defined for complex numbers, got {aval_of(x)}")
    return x


@implements(np.isreal)
def isreal(x: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.isreal([1 + 2j, 3.0])
    Array([False,  True])
    """
    return ew.eq(imag(x), 0)


@implements(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.iscomplex([1 + 2j, 3.0])
    Array([ True, False])
    """
    return ew.ne(imag(x), 0)
