"""What lies beyond the edges of an image, and the dtypes of results: what filters and interpolation share."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError

MODES = ("reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap")


def check_mode(name: str, mode: Any) -> None:
    """Raise `ArgumentError` for what is no mode."""
    if mode not in MODES:
        raise ArgumentError(f"{name} takes one of the modes {', '.join(map(repr, MODES))}, got {mode!r:.60}")


def within(index: Any, n: int, mode: str) -> Any:
    """Indices beyond an axis of `n` elements as those of the elements that a mode puts there (not for constants)."""
    xp: Any = fnp if isinstance(index, Tracer) else np
    match mode:
        case "nearest":
            return xp.clip(index, 0, n - 1)
        case "grid-wrap":
            return xp.remainder(index, n)
        case "reflect" | "grid-mirror":
            around = xp.remainder(index, 2 * n)
            return xp.minimum(around, 2 * n - 1 - around)
        case _:  # mirror
            around = xp.remainder(index, max(2 * n - 2, 1))
            return xp.minimum(around, 2 * n - 2 - around)


def extended(x: Any, axis: int, before: int, after: int, mode: str, cval: Any) -> Any:
    """The image with elements more along an axis, as filters see them."""
    n = aval_of(x).shape[axis]
    if not before and not after:
        return x
    if mode in ("constant", "grid-constant"):
        pads = [(0, 0, 0)] * aval_of(x).ndim
        pads[axis] = (before, after, 0)
        return lax.pad(x, fnp.asarray(cval).astype(aval_of(x).dtype), pads)
    index = within(np.arange(-before, n + after), n, "grid-wrap" if mode == "wrap" else mode)
    return fnp.take(x, index, axis=axis)


def wide(name: str, x: Any) -> tuple[Any, np.dtype]:
    """The image in the dtype in which it is filtered, and its own."""
    x = fnp.asarray(x)
    dtype = aval_of(x).dtype
    if kind_of(dtype) not in "biufc":
        raise DTypeError(f"{name} takes an image of numbers, got {dtype}")
    return x.astype(np.complex128 if dtype.kind == "c" else np.float64), dtype


def output_dtype(name: str, output: Any, default: np.dtype) -> np.dtype:
    """The dtype that the argument `output` stands for."""
    if output is None:
        return default
    if isinstance(output, (np.ndarray, Tracer)):
        raise ArgumentError(f"{name} of a traced array takes a dtype as output: results are new arrays")
    return np.dtype(output)
