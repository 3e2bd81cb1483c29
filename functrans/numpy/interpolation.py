"""Interpolation between samples, and phases without jumps (NumPy's reference: Mathematical functions)."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.numpy.datatypes import result_type
from functrans.numpy.differences import diff
from functrans.numpy.dispatch import dtype_of, implements, known, normalize_axis, operand, shape_of
from functrans.numpy.manipulation import concatenate
from functrans.numpy.reductions import cumsum
from functrans.numpy.sorting import argsort, searchsorted


def _plain_interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return interp.__wrapped__(x, xp, fp, left, right, period)  # type: ignore[attr-defined]
    return np.interp(x, xp, fp, left, right, period)


@implements(np.interp, eager=_plain_interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """
    Args:
        left, right: also `"extrapolate"`, as in JAX: the line through the last two points goes on.

    >>> import functrans.numpy as fnp
    >>> fnp.interp([0.5, 1.5], [0.0, 1.0, 2.0], [0.0, 10.0, 40.0])
    Array([ 5., 25.])
    """
    x, xp, fp = (operand("interp", v) for v in (x, xp, fp))
    for name, value in (("x", x), ("xp", xp)):
        if dtype_of(value).kind == "c":
            raise DTypeError(f"interp: {name} must be real, got {aval_of(value)}")
    if len(shape_of(xp)) != 1 or shape_of(xp) != shape_of(fp):
        raise ShapeError(f"interp takes xp and fp as vectors of one length, got shapes {shape_of(xp)}, {shape_of(fp)}")
    n = shape_of(xp)[0]
    if not n and 0 in shape_of(x) and np.lib.NumpyVersion(np.__version__) >= "2.5.0":  # which has nothing for nothing
        return lax.full(shape_of(x), 0, np.complex128 if dtype_of(fp).kind == "c" else np.float64)
    if not n:
        raise ShapeError("interp needs at least one point")
    x, xp = (lax.convert_element_type(v, np.float64) for v in (x, xp))
    fp = lax.convert_element_type(fp, np.complex128 if dtype_of(fp).kind == "c" else np.float64)
    if period is not None:
        if known(period) is not None and not known(period):
            raise ArgumentError("interp: the period must not be zero")
        period = ew.abs(operand("interp", period))
        x, xp = x % period, xp % period
        order = argsort(xp)
        xp, fp = lax.gather(xp, [order], [0]), lax.gather(fp, [order], [0])
        xp = concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
        n += 2
    high = lax.clamp(np.int64(1), searchsorted(xp, x, side="right"), np.int64(builtins.max(n - 1, 1)))
    read = lambda a, i: lax.gather(a, [i], [0], mode="clip")
    x0, x1, f0, f1 = read(xp, high - 1), read(xp, high), read(fp, high - 1), read(fp, high)
    width = x1 - x0
    slope = ew.where(ew.eq(width, 0), 0.0, (f1 - f0) / ew.where(ew.eq(width, 0), 1.0, width))
    # at a point itself, whatever the slope (it may be infinite)
    line = ew.where(ew.eq(x, x0), f0, f0 + (x - x0) * slope)
    line = line if n > 1 else ew.where(ew.ne(x, x), fp[0], line)
    out = line
    if not _extrapolates(left):
        out = ew.where(ew.lt(x, xp[0]), fp[0] if left is None else left, out)
    if not _extrapolates(right):
        out = ew.where(ew.gt(x, xp[-1]), fp[-1] if right is None else right, out)
    return out


def _extrapolates(end: Any) -> bool:
    if isinstance(end, str) and end != "extrapolate":
        raise ArgumentError(f"interp: the only text for left and right is 'extrapolate', got {end!r}")
    return isinstance(end, str)


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.unwrap([0.0, 3.0, 6.0, 2.72], period=6.28)
    Array([0., 3., 6., 9.])
    """
    p = operand("unwrap", p)
    axis = normalize_axis(axis, len(shape_of(p)))
    jumps = diff(p, axis=axis)
    dtype = result_type(jumps, period)
    p, jumps = (lax.convert_element_type(v, dtype) for v in (p, jumps))
    if dtype.kind == "i":
        half, odd = divmod(period, 2)
        ambiguous = not odd
    else:
        half, ambiguous = period / 2, True
    low = -half
    wrapped = (jumps - low) % period + low
    if ambiguous:
        wrapped = ew.where(ew.logical_and(ew.eq(wrapped, low), jumps > 0), half, wrapped)
    correction = wrapped - jumps
    correction = ew.where(ew.abs(jumps) < (period / 2 if discont is None else discont), dtype.type(0), correction)
    config = [(0, 0, 0)] * len(shape_of(p))
    config[axis] = (1, 0, 0)
    return p + lax.pad(cumsum(correction, axis=axis, dtype=dtype), dtype.type(0), config)
