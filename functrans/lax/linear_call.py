"""Linear functions with transposes of the user's own (`linear_call`), and captured values as arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of, is_inexact
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import flatten, structure_error, unflatten
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, NotDifferentiableError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.flat import common_consts, function_name, live_values, spread, stage_function
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import linearize_jaxpr, tangent_aval
from functrans.transforms.transpose import is_linear


@api_boundary
def linear_call(
    fun: Callable[[Any, Any], Any], fun_transpose: Callable[[Any, Any], Any], residual_args: Any, linear_args: Any
) -> Any:
    """`fun(residual_args, linear_args)`, a linear function of `linear_args`, transposed by `fun_transpose`.

    Args:
        fun: linear in its second argument.
        fun_transpose: `fun_transpose(residual_args, ct)`, with `ct` of the type of the result, gives what has the
            type of `linear_args`.
        residual_args, linear_args: pytrees of arrays.

    >>> import functrans as ft
    >>> def scale(x, by):
    ...     return ft.custom_derivatives.linear_call(
    ...         lambda by, x: x / by, lambda by, ct: ct / by, residual_args=by, linear_args=x
    ...     )
    >>> ft.linear_transpose(lambda x: scale(x, 4.0), 1.0)(8.0)
    (Array(2.),)
    """
    for f in (fun, fun_transpose):
        if not callable(f):
            raise ArgumentError(f"linear_call takes two functions first, got {f!r:.60}")
    residuals, _ = flatten(residual_args)
    linear, linear_tree = flatten(linear_args)
    both = flatten((residual_args, linear_args))[1]
    in_avals = [aval_of(x).strong() for x in linear]
    res_avals = [aval_of(x) for x in residuals]
    jaxpr, consts, out_tree = stage_function(
        fun, [*res_avals, *in_avals], both, f"the function of linear_call, {function_name(fun)},"
    )
    out_avals = [a.strong() for a in jaxpr.out_avals]
    back_tree = flatten((residual_args, unflatten(out_tree, [0] * len(out_avals))))[1]
    name = f"the transpose function of linear_call, {function_name(fun_transpose)},"
    back, back_consts, found_tree = stage_function(fun_transpose, [*res_avals, *out_avals], back_tree, name)
    if found_tree != linear_tree:
        raise structure_error(
            f"linear_args and the result of {name}", linear_tree, found_tree, ("linear_args", "the result")
        ) or ArgumentError(f"{name} returned another structure than that of linear_args")
    for a, out in zip(in_avals, back.out_avals):
        if a.shape != out.shape or a.dtype != out.dtype:
            raise ShapeError(f"{name} must return what has the type of linear_args, {a}; it returned {out}")
    (jaxpr, back), consts = common_consts([(jaxpr, consts), (back, back_consts)])
    outs = linear_call_p.bind(
        *consts, *residuals, *linear, jaxpr=jaxpr, transposed=back, num_residuals=len(consts) + len(residuals)
    )
    return unflatten(out_tree, outs)


def _jvp(primals: Any, tangents: Any, *, num_residuals: int, **params: Any) -> Any:
    """Linear in the linear operands; by the residuals it is differentiated as a function like others."""
    outs = linear_call_p.bind(*primals, num_residuals=num_residuals, **params)
    n = num_residuals
    totals: list[Any] = [None] * len(outs)
    if any(t is not None for t in tangents[n:]):
        filled = [zeros(tangent_aval(p)) if t is None else t for t, p in zip(tangents[n:], primals[n:])]
        totals = linear_call_p.bind(*primals[:n], *filled, num_residuals=n, **params)
    if any(t is not None for t in tangents[:n]):
        jaxpr: Jaxpr = params["jaxpr"]
        split = linearize_jaxpr(jaxpr, [*(t is not None for t in tangents[:n]), *[False] * (len(primals) - n)])
        saved = evaluate(split.forward, (), primals)[len(outs) :]
        found = evaluate(split.linear, (), [*split.residuals(primals, saved), *live_values(tangents[:n])])
        others = spread(found, split.nonzero_outs)
        totals = [a if b is None else b if a is None else ew.add(a, b) for a, b in zip(totals, others)]
    return outs, totals


def _transpose(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, transposed: Jaxpr, num_residuals: int) -> list[Any]:
    residuals, linear = operands[:num_residuals], operands[num_residuals:]
    if any(map(is_linear, residuals)):
        raise NotDifferentiableError(
            "the transpose of linear_call with respect to its residual_args, in which it is not linear"
        )
    filled = [zeros(a.strong()) if ct is None else ct for ct, a in zip(cts, jaxpr.out_avals)]
    outs = linear_call_p.bind(*residuals, *filled, jaxpr=transposed, transposed=jaxpr, num_residuals=num_residuals)
    return [*[None] * num_residuals, *(o if is_linear(x) else None for o, x in zip(outs, linear))]


def _batch(axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, transposed: Jaxpr, num_residuals: int) -> Any:
    residuals = [d is not None for d in dims[:num_residuals]]
    flags = [*residuals, *[True] * (len(args) - num_residuals)]
    operands = [batch_first(axis, x, d) if b else x for x, d, b in zip(args, dims, flags)]
    n_outs = len(jaxpr.outvars)
    inner, _ = batch_jaxpr(jaxpr, axis, flags, [True] * n_outs)
    back, _ = batch_jaxpr(transposed, axis, [*residuals, *[True] * n_outs], [True] * len(transposed.outvars))
    outs = linear_call_p.bind(*operands, jaxpr=inner, transposed=back, num_residuals=num_residuals)
    return outs, [0] * n_outs


def _out_avals(*avals: ShapedArray, jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    return [a.strong() for a in jaxpr.out_avals]


def _guard(active: Any, *operands: Any, jaxpr: Jaxpr, transposed: Jaxpr, num_residuals: int) -> list[Any]:
    return linear_call_p.bind(
        active, *operands, jaxpr=guarded(jaxpr), transposed=guarded(transposed), num_residuals=num_residuals + 1
    )


linear_call_p = Primitive("linear_call", multiple_results=True)
linear_call_p.impl = lambda *args, jaxpr, **params: evaluate(jaxpr, (), args)
linear_call_p.abstract_eval = _out_avals
linear_call_p.jvp = _jvp
linear_call_p.transpose = _transpose
linear_call_p.batch = _batch
linear_call_p.guard = _guard

# ---------------------------------------------------------------- closures


@api_boundary
def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """A function as one that captures nothing that is differentiated, and the values it captured.

    For functions with `custom_vjp` rules that take functions as arguments: what these capture becomes an argument.

    Args:
        fun: a function of pytrees of arrays.
        *example_args: arguments with the shapes and dtypes that it will be called with.

    Returns:
        `(converted, captured)`: `converted(*args, *captured)` equals `fun(*args)`; `captured` are the real and complex
        values that are traced.

    >>> import functrans as ft
    >>> def apply(scale):
    ...     converted, captured = ft.closure_convert(lambda x: scale * x, 1.0)
    ...     assert len(captured) == 1
    ...     return converted(3.0, *captured)
    >>> ft.grad(apply)(2.0)
    Array(3.)
    """
    leaves, tree = flatten(example_args)
    what = f"the function of closure_convert, {function_name(fun)},"
    jaxpr, consts, out_tree = stage_function(fun, [aval_of(x) for x in leaves], tree, what)
    hoisted = [isinstance(c, Tracer) and is_inexact(c.aval.dtype) for c in consts]
    captured = [c for c, h in zip(consts, hoisted) if h]

    @api_boundary
    def converted(*args: Any) -> Any:
        n = len(args) - len(captured)
        own, given = flatten(args[:n])
        if given != tree:
            raise structure_error(
                f"the arguments of {what} and its example arguments", tree, given, ("examples", "arguments")
            ) or ArgumentError(f"{what} takes the structure of its example arguments, then what it captured")
        rest = iter(args[n:])
        values = [next(rest) if h else c for c, h in zip(consts, hoisted)]
        return unflatten(out_tree, evaluate(jaxpr, (), [*values, *own], sources=True))

    return converted, captured


__all__ = ["closure_convert", "linear_call"]
