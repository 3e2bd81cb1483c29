"""Arrays written as indices: `r_`, `c_`, `mgrid`, `ogrid` (NumPy's reference: Indexing routines)."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.trace import Tracer
from functrans.errors import ArgumentError
from functrans.lax.promotion import to_common_dtype
from functrans.numpy.creation import _at_least, arange, linspace
from functrans.numpy.dispatch import has_tracer, operand, shape_of, wrap_result
from functrans.numpy.manipulation import concatenate, transpose


class _Grid:
    """Index arrays of a grid: of all its points, or open (which broadcast)."""

    def __init__(self, name: str, sparse: bool):
        self._name = name
        self._plain: Any = getattr(np, name)
        self.sparse = sparse

    def __getitem__(self, key: Any) -> Any:
        for part in key if isinstance(key, tuple) else (key,):
            for bound in (part.start, part.stop, part.step):
                if isinstance(bound, Tracer):  # an error that says why, unless it has a value
                    bound.__index__()
        return wrap_result(self._plain[key])

    def __repr__(self) -> str:
        return f"functrans.numpy.{self._name}"


class _Joined:
    """Slices, numbers and arrays joined along an axis."""

    def __init__(self, name: str, axis: int, ndmin: int, trans1d: int):
        self._name = name
        self._plain: Any = getattr(np, name)
        self._defaults = axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Any:
        items = key if isinstance(key, tuple) else (key,)
        if not has_tracer(items) and not has_tracer(
            [b for i in items if isinstance(i, slice) for b in (i.start, i.stop, i.step)]
        ):
            return wrap_result(self._plain[key])
        axis, ndmin, trans1d = self._defaults
        if isinstance(items[0], str):
            axis, ndmin, trans1d = self._directive(items[0])
            items = items[1:]
        parts: list[Any] = []
        ndims = []
        for item in items:
            if isinstance(item, str):
                raise ArgumentError(f"{self._name}: {item!r} may only be the first item")
            value = _line(item) if isinstance(item, slice) else operand(self._name, item)
            ndims.append(1 if isinstance(item, slice) else len(shape_of(value)))
            parts.append(value)
        parts = to_common_dtype(self._name, parts)
        return concatenate([_placed(p, n, ndmin, trans1d) for p, n in zip(parts, ndims)], axis)

    def _directive(self, text: str) -> tuple[int, int, int]:
        numbers = text.split(",")
        try:
            axis, *rest = (int(n) for n in numbers)
            ndmin, trans1d = (*rest, *self._defaults[1 + len(rest) :])
        except ValueError:
            raise ArgumentError(
                f"{self._name} of traced arrays takes a first item as '0,2,1' (axis, least number of axes, place "
                f"of the axis of vectors), got {text!r}"
            ) from None
        return axis, ndmin, trans1d

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"functrans.numpy.{self._name}"


def _line(item: slice) -> Any:
    start, stop, step = 0 if item.start is None else item.start, item.stop, item.step
    if isinstance(step, complex):
        return linspace(start, stop, int(abs(step)))
    return arange(start, stop, 1 if step is None else step)


def _placed(x: Any, ndim: int, ndmin: int, trans1d: int) -> Any:
    """An array with at least `ndmin` axes, those that it had from `trans1d` on."""
    x = _at_least(x, max(ndmin, 1))
    if trans1d == -1 or ndim >= ndmin:
        return x
    if ndim == 0:
        return x
    new = ndmin - ndim
    place = trans1d if trans1d >= 0 else trans1d + new + 1
    axes = list(range(ndmin))
    return transpose(x, axes[:place] + axes[new:] + axes[place:new])


mgrid = _Grid("mgrid", False)
ogrid = _Grid("ogrid", True)
r_ = _Joined("r_", 0, 1, -1)
c_ = _Joined("c_", -1, 2, 0)
