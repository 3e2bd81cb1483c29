"""Why a function was traced again, and what was compiled for it."""

from __future__ import annotations

from typing import Any

from functrans.api.compilation import Jitted
from functrans.core.pytree import SequenceKey, differences, key_paths, keystr
from functrans.errors import ArgumentError


def explain(fun: Any) -> str:
    """Each trace that `jit` made of a function: for which arguments, why not an earlier one, and what it cost.

    A trace is for the shapes and dtypes of the arguments, their structure as a pytree, the values of static arguments,
    and the axes of `vmap` around the call. A shape that is new is traced again; that compiles nothing if kernels for
    its rank are there.

    >>> import functrans as ft, numpy as np
    >>> total = ft.jit(lambda x: np.sum(np.sin(x)))
    >>> _ = total(np.ones(100)), total(np.ones(200)), total(np.ones(100, np.float32))
    >>> print(ft.explain(total))
    <lambda> was traced 3 times
      1. x: f64[100]
         first call
         ... ms to trace, ... ms to compile; kernels: ...
      2. x: f64[200]
         traced again: x has shape (200,), not (100,) as in 1
         ... ms to trace, ... ms to compile; kernels: 0 compiled, ...
      3. x: f32[100]
         traced again: x has dtype float32, not float64 as in 1
         ... ms to trace, ... ms to compile; kernels: ...
    """
    if not isinstance(fun, Jitted):
        raise ArgumentError(f"explain takes what jit returned, got {fun!r:.60} of type {type(fun).__name__}")
    traces = list(fun._by_signature.items())
    times = "once" if len(traces) == 1 else f"{len(traces)} times"
    lines = [f"{fun._name} was {f'traced {times}' if traces else 'not traced yet'}"]
    for number, (key, entry) in enumerate(traces):
        arguments = ", ".join(f"{name}: {aval}" for name, aval in zip(entry.names, key[2]))
        lines.append(f"  {number + 1}. {arguments or 'no arguments'}")
        if number == 0:
            lines.append("     first call")
        else:
            found = [
                (_differences(key, entry.names, old, e.names), i + 1) for i, (old, e) in enumerate(traces[:number])
            ]
            least, which = min(found, key=lambda d: len(d[0]))
            lines.append(f"     traced again: {'; '.join(least)} as in {which}")
        lines.append(f"     {_cost(entry)}")
    return "\n".join(lines)


def _differences(new: Any, names: Any, old: Any, old_names: Any) -> list[str]:
    """What differs between the keys of two traces, in words."""
    (static, tree, avals, axes), (old_static, old_tree, old_avals, old_axes) = new, old
    out = []
    if static != old_static:
        values, old_values = (dict(p for part in s[0] for p in part) if s else {} for s in (static, old_static))
        for where in dict.fromkeys((*values, *old_values)):
            if (where in values) != (where in old_values):
                out.append(f"static argument {where!r} is {'given' if where in values else 'not given'}, not")
            elif values[where] != old_values[where] or type(values[where]) is not type(old_values[where]):
                out.append(f"static argument {where!r} is {values[where]!r:.40}, not {old_values[where]!r:.40}")
    if tree != old_tree:
        for path, here, there in differences(tree, old_tree):
            out.append(f"{_where(path, tree, names) or _where(path, old_tree, old_names)} is {here}, not {there}")
    elif avals != old_avals:
        for name, a, b in zip(names, avals, old_avals):
            if a.shape != b.shape:
                out.append(f"{name} has shape {a.shape}, not {b.shape}")
            if a.dtype != b.dtype:
                out.append(f"{name} has dtype {a.dtype}, not {b.dtype}")
            if a.weak != b.weak and a.dtype == b.dtype:
                kinds = {True: "a Python number", False: "an array"}
                out.append(f"{name} is {kinds[a.weak]}, not {kinds[b.weak]}")
    if axes != old_axes:
        out.append("it is called under other axes of vmap, not those")
    return out


def _where(path: Any, tree: Any, names: Any) -> str:
    """A place in the tree of positional and keyword arguments, as the user would write it."""
    if len(path) < 2:
        return "the tuple of arguments" if path == (SequenceKey(0),) else "the dict of keyword arguments"
    for leaf, name in zip(key_paths(tree), names):
        if leaf[:2] == path[:2]:
            return name.removesuffix(keystr(leaf[2:])) + keystr(path[2:])
    return ""


def _cost(entry: Any) -> str:
    tracing = f"{1e3 * entry.tracing:.1f} ms to trace"
    if entry.kernels is None:
        return f"{tracing}; not compiled by itself"
    compiled, loaded, reused = entry.kernels
    return (
        f"{tracing}, {1e3 * entry.compiling:.1f} ms to compile; "
        f"kernels: {compiled} compiled, {loaded} from disk, {reused} from memory"
    )
