"""The named axes of the `vmap`s under way: what collectives and `axis_index` refer to."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from functrans.errors import AxisNameError


class _State(threading.local):
    axes: tuple[tuple[Hashable, int], ...] = ()


_state = _State()


@contextmanager
def bind_axis(name: Hashable | None, size: int) -> Iterator[None]:
    """Make an axis known by name inside the block; a name of `None` binds nothing."""
    outer = _state.axes
    if name is not None:
        _state.axes = (*outer, (name, size))
    try:
        yield
    finally:
        _state.axes = outer


def bound_axes() -> tuple[tuple[Hashable, int], ...]:
    """Names and sizes of all axes that are bound here, outermost first."""
    return _state.axes


def axis_size(name: Hashable) -> int:
    """The size of a named axis; `AxisNameError` where no enclosing `vmap` binds it."""
    for bound, size in reversed(_state.axes):
        if bound == name:
            return size
    known = ", ".join(repr(n) for n, _ in _state.axes) or "none"
    raise AxisNameError(
        f"no enclosing vmap binds the axis name {name!r} (bound here: {known}); give it as vmap(f, axis_name={name!r})"
    )
