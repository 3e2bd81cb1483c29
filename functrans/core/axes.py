"""The named axes of the `vmap`s under way: what collectives and `axis_index` refer to."""

from __future__ import annotations

import threading
from collections.abc import Container, Hashable, Iterator
from contextlib import contextmanager

from functrans.core.trace import current_level
from functrans.errors import AxisNameError


class _State(threading.local):
    axes: tuple[tuple[Hashable, int, int], ...] = ()  # name, size, and the level of traces that surrounds the vmap


_state = _State()


@contextmanager
def bind_axis(name: Hashable | None, size: int) -> Iterator[None]:
    """Make an axis known by name inside the block; a name of `None` binds nothing."""
    outer = _state.axes
    if name is not None:
        _state.axes = (*outer, (name, size, current_level()))
    try:
        yield
    finally:
        _state.axes = outer


def bound_axes() -> tuple[tuple[Hashable, int], ...]:
    """Names and sizes of all axes that are bound here, outermost first."""
    return tuple((name, size) for name, size, _ in _state.axes)


def axis_size(name: Hashable) -> int:
    """The size of a named axis; `AxisNameError` where no enclosing `vmap` binds it."""
    return _find(name)[0]


def axis_level(name: Hashable) -> int:
    """The level of traces around the `vmap` that binds the name: tracers of higher levels differ between examples."""
    return _find(name)[1]


def needs_level(names: Container[Hashable]) -> int:
    """The least level at which operations over these axes can be traced: one inside of every `vmap` that binds them."""
    return max((level + 1 for name, _, level in _state.axes if name in names), default=0)


def _find(name: Hashable) -> tuple[int, int]:
    for bound, size, level in reversed(_state.axes):
        if bound == name:
            return size, level
    known = ", ".join(repr(n) for n, _, _ in _state.axes) or "none"
    raise AxisNameError(
        f"no enclosing vmap binds the axis name {name!r} (bound here: {known}); give it as vmap(f, axis_name={name!r})"
    )
