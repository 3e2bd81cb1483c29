"""`summary`: a table of the layers of a model, with the shapes that go through them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.api.flattening import name_of
from functrans.api.staging import eval_shape
from functrans.core.avals import ShapeDtypeStruct, aval_of, is_array_like
from functrans.core.pytree import flatten, key_paths, keystr, unflatten
from functrans.errors import ArgumentError
from functrans.nn.containers import takes
from functrans.nn.module import Lambda, Module, is_inexact_array
from functrans.nn.normalization import State, with_state

__all__ = ["Summary", "summary"]


class Summary(str):
    """A string that shows itself as it is, so that an interactive session prints the table.

    >>> import functrans as ft, numpy as np
    >>> table = ft.nn.summary(ft.nn.Linear(2, 3, key=ft.random.key(0)), np.ones(2))
    >>> isinstance(table, ft.nn.Summary)
    True
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary(model: Any, *inputs: Any, dtype: Any = np.float32, state: Any = None) -> Summary:
    """A table of the layers of a model: where each is, its kind, the shape of its output and its parameters.

    The model is traced, not run, so it costs no time whatever its size. Layers stand in the order in which they are
    called, with a row for each call; the parameters of a layer include those of the layers inside it. Layers that the
    model passes through a transformation as arguments (to `jit`, say) have no row of their own.

    Args:
        model: a module that can be called. If it takes a `key`, it gets one.
        inputs: the shape of each input; or an array or a `ShapeDtypeStruct`, where it has another dtype.
        dtype: of the inputs that are given by their shapes.
        state: for a model with a state, that of `with_state`; by default its first one.

    Returns:
        A string that prints as the table.

    Raises:
        ArgumentError: the model is no module that can be called. The model's own errors, where shapes do not fit it.

    >>> import functrans as ft
    >>> first, last = ft.random.split(ft.random.key(0))
    >>> nn = ft.nn
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64, key=first), nn.relu, nn.Linear(64, 10, key=last))
    >>> nn.summary(model, (32, 1, 28, 28))
    layer      kind        output shape  parameters
    -----------------------------------------------
    model      Sequential  (32, 10)          50,890
    layers[0]  Flatten     (32, 784)              0
    layers[1]  Linear      (32, 64)          50,240
    layers[2]  relu        (32, 64)               0
    layers[3]  Linear      (32, 10)             650
    -----------------------------------------------
    50,890 parameters, 203,560 bytes
    """
    if not isinstance(model, Module) or not callable(model):
        raise ArgumentError(f"summary takes a module that can be called, got {model!r:.60} of type {type(model)}")
    arrays = [x if hasattr(x, "dtype") else ShapeDtypeStruct(_shape(x), dtype) for x in inputs]
    if state is None:
        found: tuple[Any, State] = with_state(model)
        if found[1].values:
            model, state = found
    extra = () if state is None else (state,)
    options = {"key": ShapeDtypeStruct((2,), np.uint32)} if takes(model.__class__, "key") else {}
    calls: list[_Call] = []
    watched = _watched(model, "", calls)
    eval_shape(lambda *arrays, **options: _results(watched(*arrays, *extra, **options)), *arrays, **options)
    rows = [("layer", "kind", "output shape", "parameters"), *(call.row() for call in calls)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([*map(str.ljust, row[:3], widths), row[3].rjust(widths[3])]) for row in rows]
    rule = "-" * len(lines[0])
    parameters = _parameters(model)
    total = f"{_size(parameters):,} parameters, {sum(x.size * x.dtype.itemsize for x in parameters):,} bytes"
    return Summary("\n".join([lines[0], rule, *lines[1:], rule, total]))


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _results(out: Any) -> list[Any]:
    """The arrays that a layer returned, less its state."""
    leaves = flatten(out, lambda x: isinstance(x, State))[0]
    return [x for x in leaves if is_array_like(x)]


def _parameters(layer: Any) -> list[Any]:
    return [aval_of(x) for x in flatten(layer)[0] if is_inexact_array(x)]


def _size(parameters: list[Any]) -> int:
    return sum(math.prod(x.shape) for x in parameters)


class _Call:
    """One call of a layer: where in the model it stands, and the shapes that it returned."""

    def __init__(self, path: str, layer: Any):
        self.path, self.layer, self.shapes = path, layer, ""

    def row(self) -> tuple[str, str, str, str]:
        kind = name_of(self.layer.fn) if isinstance(self.layer, Lambda) else type(self.layer).__name__
        return self.path or "model", kind, self.shapes, f"{_size(_parameters(self.layer)):,}"


@functools.cache
def _watching(cls: Any) -> Any:
    """A subclass of a class of modules, whose instances write down their calls."""

    class Watching(cls):
        __slots__ = ("watch",)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if not hasattr(self, "watch"):  # made anew by a transformation
                return super().__call__(*args, **kwargs)
            path, layer, calls = self.watch
            call = _Call(path, layer)
            calls.append(call)
            out = super().__call__(*args, **kwargs)
            call.shapes = ", ".join(str(aval_of(x).shape) for x in _results(out))
            return out

    Watching.__call__.__wrapped__ = cls.__call__  # type: ignore[attr-defined]  # for its signature
    Watching.__name__ = Watching.__qualname__ = cls.__name__
    return Watching


def _watched(tree: Any, path: str, calls: list[_Call]) -> Any:
    """A tree whose modules write their calls into a list."""
    leaves, treedef = flatten(tree, lambda x: isinstance(x, Module) and x is not tree)
    places = [path + keystr(keys) for keys in key_paths(treedef)]
    leaves = [_watched(x, place, calls) if isinstance(x, Module) else x for x, place in zip(leaves, places)]
    inner = unflatten(treedef, leaves)
    if not isinstance(tree, Module) or not callable(tree):
        return inner
    copy = object.__new__(_watching(type(tree)))
    vars(copy).update(vars(inner))
    object.__setattr__(copy, "watch", (path.lstrip("."), tree, calls))
    object.__setattr__(copy, "_layout", inner._layout)
    return copy
