"""What primitives with inner jaxprs share: users' functions as jaxprs, and flat lists of operands taken apart."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray, aval_of, is_array_like, kind_of
from functrans.core.jaxpr import Jaxpr, Var, convert_constvars
from functrans.core.pytree import PyTreeDef, flatten, key_paths, keystr, unflatten
from functrans.core.trace import stage
from functrans.errors import DTypeError


def function_name(fun: Any) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__


def stage_function(
    fun: Callable[..., Any], avals: Sequence[ShapedArray], tree: PyTreeDef, what: str, absorbs: bool = False
) -> tuple[Jaxpr, list[Any], PyTreeDef]:
    """The jaxpr of `fun(*unflatten(tree, leaves))`, what it captures as leading arguments, and its result's tree.

    `absorbs`: also what it does with captured tracers alone is in the jaxpr, so that it is not differentiated.
    """
    out_tree: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        outs, structure = flatten(fun(*unflatten(tree, leaves)))
        out_tree[:] = [structure]
        check_results(what, outs, structure)
        return outs

    jaxpr, consts = stage(flat, avals, what, _argument_names(fun, tree), absorbs)
    return convert_constvars(jaxpr), consts, out_tree[0]


def _argument_names(fun: Any, tree: PyTreeDef) -> list[str]:
    """The leaves of the arguments as the user wrote them: `carry['w']`."""
    try:
        parameters = list(inspect.signature(inspect.unwrap(fun)).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = []
    for position, child in enumerate(tree.children()):
        base = parameters[position].name if position < len(parameters) else f"number {position}"
        names += [base + keystr(path) for path in key_paths(child)]
    return names


def check_results(what: str, leaves: Sequence[Any], tree: PyTreeDef) -> None:
    """The error for results of a user's function that are not arrays."""
    for i, x in enumerate(leaves):
        if not is_array_like(x):
            path = keystr(key_paths(tree)[i])
            raise DTypeError(
                f"{what} returned {x!r:.60} of type {type(x).__name__}{' at ' + path if path else ''}; it must return "
                "arrays, numbers and pytrees of them"
            )


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def takes_weak(dtype: np.dtype, aval: ShapedArray) -> bool:
    """Whether a weak value (of a Python number) becomes one of this dtype, as NumPy's promotion has it."""
    return aval.weak and _RANK[aval.dtype.kind] <= _RANK[kind_of(dtype)]


def common_consts(parts: Sequence[tuple[Jaxpr, Sequence[Any]]]) -> tuple[list[Jaxpr], list[Any]]:
    """Jaxprs with leading captured values of their own, made to take the captured values of all, each once."""
    everything = list({id(c): c for _, consts in parts for c in consts}.values())
    out = []
    for jaxpr, consts in parts:
        own = dict(zip(map(id, consts), jaxpr.invars))
        captured = [own[id(c)] if id(c) in own else Var(aval_of(c)) for c in everything]
        out.append(Jaxpr((), [*captured, *jaxpr.invars[len(consts) :]], jaxpr.eqns, jaxpr.outvars))
    return out, everything


def split_list(values: Sequence[Any], *sizes: int) -> list[list[Any]]:
    """The first `sizes[0]` values, the next `sizes[1]`, ..., and the rest."""
    out, start = [], 0
    for n in sizes:
        out.append(list(values[start : start + n]))
        start += n
    return [*out, list(values[start:])]


def live_values(values: Sequence[Any]) -> list[Any]:
    """The values that are not symbolic zeros."""
    return [v for v in values if v is not None]


def spread(values: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    """The values in the places where the mask holds, `None` elsewhere: the inverse of `live_values`."""
    rest = iter(values)
    return [next(rest) if m else None for m in mask]
