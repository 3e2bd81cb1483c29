"""Derivative rules of the user's own, as in `jax.custom_derivatives`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from functrans.core.avals import ShapedArray, aval_of, tangent_dtype
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.pytree import PyTreeDef, flatten, unflatten
from functrans.errors import ArgumentError
from functrans.lax.custom import (
    CustomVJPPrimal,
    SymbolicZero,
    custom_jvp,
    custom_vjp,
    custom_vjp_primal_tree_values,
    zero_from_primal,
)
from functrans.lax.flat import function_name, stage_function
from functrans.lax.linear_call import closure_convert, linear_call
from functrans.tree_util import Partial


def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function with a reverse rule, given together: `fun(*args)` returns the result and the rule.

    Args:
        fun: returns a pair `(out, rule)`. `rule(ct)`, where `ct` has the structure, shapes and dtypes of `out`, gives a
            tuple of cotangents, one for each argument (or just that of a single argument).

    >>> import functrans as ft, functrans.numpy as fnp
    >>> @ft.custom_gradient
    ... def log1pexp(x):
    ...     e = fnp.exp(x)
    ...     return fnp.log(1 + e), lambda ct: ct * (1 - 1 / (1 + e))
    >>> ft.grad(log1pexp)(100.0)
    Array(1.)
    """

    @functools.wraps(fun)
    def value(*args: Any, **kwargs: Any) -> Any:
        return _pair(fun, args, kwargs)[0]

    def forward(*args: Any, **kwargs: Any) -> Any:
        out, rule = _pair(fun, args, kwargs)
        leaves = flatten(out)[0]
        avals = [ShapedArray(aval_of(x).shape, tangent_dtype(aval_of(x).dtype)) for x in leaves]
        what = f"the rule of {function_name(fun)}"
        jaxpr, consts, tree = stage_function(rule, avals, flatten((out,))[1], what)
        return out, Partial(functools.partial(_pull, jaxpr, tree), *consts)

    wrapped = custom_vjp(value)
    wrapped.defvjp(forward, lambda pull, ct: pull(ct))
    return wrapped


def _pair(fun: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    pair = fun(*args, **kwargs)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not callable(pair[1]):
        raise ArgumentError(
            f"{function_name(fun)}, a custom_gradient, must return a pair (out, rule), got {pair!r:.80}"
        )
    return pair


def _pull(jaxpr: Jaxpr, tree: PyTreeDef, *operands: Any) -> Any:
    *consts, ct = operands
    found = unflatten(tree, evaluate(jaxpr, (), [*consts, *flatten(ct)[0]], sources=True))
    return found if isinstance(found, (tuple, list)) else (found,)


__all__ = [
    "CustomVJPPrimal", "SymbolicZero", "closure_convert", "custom_gradient", "custom_jvp", "custom_vjp",
    "custom_vjp_primal_tree_values", "linear_call", "zero_from_primal",
]  # fmt: skip
