"""Functions of a complex number in kernels, with the special values of C99's Annex G and of the array API standard.

`cmath`, as Numba compiles it, serves finite arguments; at infinities and NaN its results are not C's. Both precisions
compute in double: a complex64 is rounded once, at the end. Each function here takes and gives the two parts; `_typed`
makes of it what kernels call.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic, register_jitable

_LARGE = 709.0  # beyond, exp and cosh overflow where the product with a cosine might not


_HUGE = 1e307


@intrinsic
def _double(typingctx: Any, x: Any) -> Any:
    from numba import types

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], signature.args[0], types.float64)

    return types.float64(x), codegen


@intrinsic
def _rounded_as(typingctx: Any, like: Any, x: Any) -> Any:
    """`x` in the precision of `like`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        single = isinstance(args[0].type, ir.FloatType)
        return builder.fptrunc(args[1], args[0].type) if single else args[1]

    return like(like, x), codegen


def _typed(parts: Callable[[Any, Any], tuple[Any, Any]]) -> Any:
    compute = register_jitable(parts)

    @register_jitable
    def function(z: Any) -> Any:
        re, im = compute(_double(z.real), _double(z.imag))
        return complex(_rounded_as(z.real, re), _rounded_as(z.real, im))

    return function


@register_jitable
def _finite(a: Any, b: Any) -> Any:
    return math.isfinite(a) and math.isfinite(b)


# ---------------------------------------------------------------- exponential and hyperbolic


def _exp(a: Any, b: Any) -> Any:
    if b == 0:
        return math.exp(a), b
    if _finite(a, b):
        root = math.exp(0.5 * a) if a > _LARGE else 1.0
        scale = root if a > _LARGE else math.exp(a)
        return scale * math.cos(b) * root, scale * math.sin(b) * root
    if a == -math.inf:
        return 0.0 * math.cos(b) if math.isfinite(b) else 0.0, 0.0 * math.sin(b) if math.isfinite(b) else 0.0
    if a == math.inf:
        return (math.inf * math.cos(b), math.inf * math.sin(b)) if math.isfinite(b) else (math.inf, math.nan)
    return math.nan, math.nan


def _sinh(a: Any, b: Any) -> Any:
    if b == 0:
        return math.sinh(a), b
    if _finite(a, b):
        if abs(a) > _LARGE:
            root = math.exp(0.5 * abs(a))
            return math.copysign(0.5 * root, a) * math.cos(b) * root, 0.5 * root * math.sin(b) * root
        return math.sinh(a) * math.cos(b), math.cosh(a) * math.sin(b)
    if math.isinf(a):
        return (a * math.cos(b), math.inf * math.sin(b)) if math.isfinite(b) else (a, math.nan)
    return (a if a == 0 else math.nan), math.nan


def _cosh(a: Any, b: Any) -> Any:
    if b == 0:
        return math.cosh(a), math.copysign(b, a) * math.copysign(1.0, b)
    if _finite(a, b):
        if abs(a) > _LARGE:
            root = math.exp(0.5 * abs(a))
            return 0.5 * root * math.cos(b) * root, math.copysign(0.5 * root, a) * math.sin(b) * root
        return math.cosh(a) * math.cos(b), math.sinh(a) * math.sin(b)
    if math.isinf(a):
        return (math.inf * math.cos(b), a * math.sin(b)) if math.isfinite(b) else (math.inf, math.nan)
    return math.nan, (a if a == 0 else math.nan)


def _tanh(a: Any, b: Any) -> Any:
    if math.isinf(a):
        return math.copysign(1.0, a), math.copysign(0.0, b)
    if b == 0:
        return math.tanh(a), b
    if _finite(a, b):
        w = cmath.tanh(complex(a, b))
        return w.real, w.imag
    return (a if a == 0 else math.nan), math.nan


def _expm1(a: Any, b: Any) -> Any:
    if b == 0:
        return math.expm1(a) + 0.0, b  # of -0 it is +0
    if _finite(a, b):
        half = math.sin(0.5 * b)
        return math.expm1(a) * math.cos(b) - 2 * half * half, math.exp(a) * math.sin(b)
    if a == -math.inf:
        return -1.0, math.copysign(0.0, math.sin(b) if math.isfinite(b) else b)
    if a == math.inf:
        return (math.inf * math.cos(b), math.inf * math.sin(b)) if math.isfinite(b) else (math.inf, math.nan)
    return math.nan, math.nan


def _sqrt(a: Any, b: Any) -> Any:
    if abs(a) > _HUGE or abs(b) > _HUGE:  # where `cmath` scales them by what it does not undo
        w = cmath.sqrt(complex(0.25 * a, 0.25 * b))
        return 2 * w.real, 2 * w.imag
    w = cmath.sqrt(complex(a, b))
    return w.real, w.imag


# ---------------------------------------------------------------- their inverses


def _asinh(a: Any, b: Any) -> Any:
    if _finite(a, b):
        w = cmath.asinh(complex(a, b))
        return math.copysign(w.real, a), math.copysign(w.imag, b)
    re, im = math.nan, math.nan
    if math.isinf(a):
        re = math.inf
        im = math.pi / 4 if math.isinf(b) else 0.0 if math.isfinite(b) else math.nan
    elif math.isinf(b):
        re = math.inf
        im = math.pi / 2 if math.isfinite(a) else math.nan
    elif b == 0:
        im = 0.0
    return math.copysign(re, a), math.copysign(im, b)


def _atanh(a: Any, b: Any) -> Any:
    if b == 0 and abs(a) == 1:
        return math.copysign(math.inf, a), b
    if _finite(a, b):
        w = cmath.atanh(complex(a, b))
        return math.copysign(w.real, a), math.copysign(w.imag, b)
    if math.isinf(b) or (math.isinf(a) and math.isfinite(b)):
        return math.copysign(0.0, a), math.copysign(math.pi / 2, b)
    return (math.copysign(0.0, a) if math.isinf(a) or a == 0 else math.nan), math.nan


def _acos(a: Any, b: Any) -> Any:
    if _finite(a, b):
        w = cmath.acos(complex(a, b))
        return w.real, -math.copysign(w.imag, b)
    if math.isinf(b):
        if math.isinf(a):
            return (math.pi / 4 if a > 0 else 3 * math.pi / 4), -b
        return (math.pi / 2 if math.isfinite(a) else math.nan), -b
    if math.isinf(a):
        if math.isfinite(b):
            return (0.0 if a > 0 else math.pi), -math.copysign(math.inf, b)
        return math.nan, math.inf
    return (math.pi / 2 if a == 0 else math.nan), math.nan


def _acosh(a: Any, b: Any) -> Any:
    if _finite(a, b):
        w = cmath.acosh(complex(a, b))
        return w.real, math.copysign(w.imag, b)
    re, im = _acos_parts(a, b)
    return abs(im), math.copysign(re, b)


_acos_parts = register_jitable(_acos)
_sinh_parts, _cosh_parts, _tanh_parts = register_jitable(_sinh), register_jitable(_cosh), register_jitable(_tanh)
_asinh_parts, _atanh_parts = register_jitable(_asinh), register_jitable(_atanh)

# ---------------------------------------------------------------- circular: the hyperbolic ones of i z


def _sin(a: Any, b: Any) -> Any:
    re, im = _sinh_parts(-b, a)
    return im, -re


def _cos(a: Any, b: Any) -> Any:
    return _cosh_parts(-b, a)


def _tan(a: Any, b: Any) -> Any:
    re, im = _tanh_parts(-b, a)
    return im, -re


def _asin(a: Any, b: Any) -> Any:
    re, im = _asinh_parts(-b, a)
    return im, -re


def _atan(a: Any, b: Any) -> Any:
    re, im = _atanh_parts(-b, a)
    return im, -re


FUNCTIONS = {
    "exp": _exp, "sqrt": _sqrt, "sinh": _sinh, "cosh": _cosh, "tanh": _tanh, "expm1": _expm1, "arcsinh": _asinh,
    "arctanh": _atanh, "arccos": _acos, "arccosh": _acosh, "sin": _sin, "cos": _cos, "tan": _tan, "arcsin": _asin,
    "arctan": _atan,
}  # fmt: skip


def special(name: str, z: Any) -> Any:
    """The function at the elements of an array that are not finite, one by one in Python."""
    function = FUNCTIONS[name]
    return np.array([complex(*function(float(v.real), float(v.imag))) for v in z.ravel()], z.dtype).reshape(z.shape)


TYPED = {
    f"{name}_{dtype}": function
    for name, function in [(name, _typed(parts)) for name, parts in FUNCTIONS.items()]
    for dtype in ("c128", "c64")
}
