"""Users' functions of pytrees as jaxprs, for the primitives that take functions (`cond`, `scan`, ...)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of, is_array_like
from functrans.core.jaxpr import Jaxpr, convert_constvars
from functrans.core.pytree import PyTreeDef, flatten, key_paths, keystr, unflatten
from functrans.core.trace import stage
from functrans.errors import DTypeError


def function_name(fun: Any) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__


def stage_function(
    fun: Callable[..., Any], avals: Sequence[ShapedArray], tree: PyTreeDef, what: str
) -> tuple[Jaxpr, list[Any], PyTreeDef]:
    """The jaxpr of `fun(*unflatten(tree, leaves))`, what it captures as leading arguments, and its result's tree."""
    out_tree: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        outs, structure = flatten(fun(*unflatten(tree, leaves)))
        out_tree[:] = [structure]
        for i, o in enumerate(outs):
            if not is_array_like(o):
                path = keystr(key_paths(structure)[i])
                raise DTypeError(
                    f"{what} returned {o!r:.60} of type {type(o).__name__}{' at ' + path if path else ''}; it "
                    "must return "
                    "arrays, numbers and pytrees of them"
                )
        return outs

    jaxpr, consts = stage(flat, avals, what)
    return convert_constvars(jaxpr), consts, out_tree[0]


def common_consts(parts: Sequence[tuple[Jaxpr, Sequence[Any]]]) -> tuple[list[Jaxpr], list[Any]]:
    """Jaxprs with leading captured values of their own, made to take the captured values of all."""
    from functrans.core.jaxpr import Var

    everything = [c for _, consts in parts for c in consts]
    out, start = [], 0
    for jaxpr, consts in parts:
        own = len(consts)
        before = [Var(aval_of(c)) for c in everything[:start]]
        after = [Var(aval_of(c)) for c in everything[start + own :]]
        out.append(Jaxpr((), [*before, *jaxpr.invars[:own], *after, *jaxpr.invars[own:]], jaxpr.eqns, jaxpr.outvars))
        start += own
    return out, everything
