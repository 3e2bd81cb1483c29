"""Functions that users pass, with what they capture laid open: what solvers and quadratures need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functrans.api import stop_gradient
from functrans.core.avals import aval_of
from functrans.core.jaxpr import evaluate
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import stage


def detached(fun: Callable[..., Any], *examples: Any) -> Callable[..., Any]:
    """The function for arguments like the examples, with no derivative by what it captures.

    So a search for a solution, whose derivative is known otherwise, is not itself differentiated.
    """
    leaves, tree = flatten(examples)
    out_tree: list[Any] = []

    def flat(*args: Any) -> list[Any]:
        outs, structure = flatten(fun(*unflatten(tree, args)))
        out_tree[:] = [structure]
        return outs

    jaxpr, consts = stage(flat, [aval_of(x) for x in leaves], getattr(fun, "__name__", "a function"))
    consts = [stop_gradient(c) for c in consts]
    return lambda *args: unflatten(out_tree[0], evaluate(jaxpr, consts, flatten(args)[0]))
