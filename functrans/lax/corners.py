"""Where the array API standard asks for other special values than NumPy gives: NumPy's ufuncs, corrected.

NumPy's result is kept wherever the two agree, and looked at again only if an infinity or a NaN is among the operands.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np

from functrans.core.avals import kind_of


def floor_divide(x1: Any, x2: Any) -> Any:
    """`numpy.floor_divide`, but `floor(x1 / x2)` where one of two floats is infinite.

    NumPy keeps `x1 == x1 % x2 + x2 * (x1 // x2)` in view instead: infinity by a number is NaN, 1 by -infinity is -1.
    """
    lone: Any = False
    if not (_whole(x1) and _whole(x2)):
        lone = np.not_equal(_infinite(x1), _infinite(x2))
    if lone is False or not lone.any():
        return np.floor_divide(x1, x2)
    with np.errstate(invalid="ignore"):
        out = np.floor_divide(x1, x2)
        return np.where(lone, np.floor(np.true_divide(x1, x2)), out).astype(out.dtype, copy=False)


def _whole(x: Any) -> bool:
    return type(x) is int or (isinstance(x, np.ndarray) and x.dtype.kind in "biu")


def _infinite(x: Any) -> Any:
    if type(x) is float:
        return math.isinf(x)
    x = np.asarray(x)
    return np.isinf(x) if kind_of(x.dtype) == "f" else np.False_


def power(x1: Any, x2: Any) -> Any:
    """`numpy.power`; NumPy takes square roots for an exponent of 0.5, which at -infinity and -0 are another thing."""
    if type(x2) is int or (x2 != 0.5 if type(x2) is float else not np.any(np.equal(x2, 0.5))):
        return np.power(x1, x2)
    with np.errstate(invalid="ignore") if np.any(np.equal(x1, -np.inf)) else nullcontext():
        out = np.power(x1, x2)
    if kind_of(out.dtype) != "f":
        return out
    corner = np.equal(x2, 0.5) & (np.equal(x1, -np.inf) | np.equal(x1, 0))
    return np.where(corner, np.abs(x1), out).astype(out.dtype, copy=False)


def sign(x: Any) -> Any:
    """`numpy.sign`; of a complex zero with negative parts it is 0, not -0, and NaN of whatever has a NaN in it."""
    out = np.sign(x)
    return np.where(np.isnan(x), complex(np.nan, np.nan), out + 0).astype(out.dtype) if out.dtype.kind == "c" else out


def tan(x: Any) -> Any:
    """`numpy.tan`, of which the same holds as of `tanh`, with the parts exchanged."""
    return _complex_corners("tan", np.tan, x)


def tanh(x: Any) -> Any:
    """`numpy.tanh`; at a real part of infinity the imaginary part keeps the argument's sign."""
    return _complex_corners("tanh", np.tanh, x)


def expm1(x: Any) -> Any:
    """`numpy.expm1`; of complex infinities it is `exp(x) - 1`, and of zeros the real part is +0."""
    out = _complex_corners("expm1", np.expm1, x)
    if out.dtype.kind == "c":
        out = np.array(out)
        out.real += 0.0
    return out


def arccosh(x: Any) -> Any:
    """`numpy.arccosh`; that of NumPy 2.1 is NaN in both parts at a NaN on the imaginary axis."""
    return _complex_corners("arccosh", np.arccosh, x)


def _complex_corners(name: str, ufunc: Any, x: Any) -> Any:
    x = np.asarray(x)
    if x.dtype.kind != "c":
        return ufunc(x)
    corner = ~np.isfinite(x)
    if not np.any(corner):
        return ufunc(x)
    from functrans.compiler.mathematics import plane  # imports Numba

    x = np.asarray(x)
    with np.errstate(invalid="ignore", over="ignore"):
        out = np.asarray(ufunc(x))
    out[corner] = plane.special(name, x[corner])
    return out
