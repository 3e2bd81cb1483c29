"""`while_loop` and `fori_loop`.

`while(*cond_consts, *body_consts, *carry)` runs until its condition fails; the number of turns is not known before, so
it has a forward-mode derivative only. `fori_loop` with static bounds is a `scan`, which has both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, Var, convert_constvars, evaluate
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, NotDifferentiableError
from functrans.lax import elementwise as ew
from functrans.lax.carry import carry_tangents, check_structure, fixed_point, leaf_names, reordered, stage_carry
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import function_name, live_values, split_list, spread, stage_function
from functrans.lax.reductions import reduce_or
from functrans.lax.scans import scan_p
from functrans.lax.structural import reshape
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.jvp import close_over, jvp_jaxpr, tangent_aval


@api_boundary
def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any) -> Any:
    """`while cond_fun(val): val = body_fun(val)`, starting from `init_val`.

    Args:
        cond_fun: gives a boolean scalar.
        body_fun: gives a value of the same structure, shapes and dtypes.
        init_val: a pytree of arrays.

    Differentiable in forward mode (`jvp`, `jacfwd`); for reverse mode use `scan`, or `fori_loop` with static bounds.

    >>> import functrans as ft
    >>> ft.lax.while_loop(lambda x: x < 100, lambda x: 2 * x, 3)
    Array(192)
    """
    for f, which in ((cond_fun, "condition"), (body_fun, "body")):
        if not callable(f):
            raise ArgumentError(f"while_loop takes a function as its {which}, got {f!r:.60}")
    what = f"the body of while_loop, {function_name(body_fun)},"
    carry, tree = flatten(init_val)
    wrapped = flatten((init_val,))[1]

    def stage_body(avals: list[ShapedArray]) -> tuple[Jaxpr, list[Any]]:
        jaxpr, consts, out_tree = stage_function(body_fun, avals, wrapped, what)
        check_structure(what, tree, out_tree)
        return jaxpr, consts

    body, body_consts, carry = stage_carry(what, leaf_names("val", tree), carry, stage_body)
    condition = f"the condition of while_loop, {function_name(cond_fun)},"
    cond, cond_consts, _ = stage_function(cond_fun, body.in_avals[len(body_consts) :], wrapped, condition)
    if len(cond.outvars) != 1 or cond.outvars[0].aval.shape != () or cond.outvars[0].aval.dtype.kind != "b":
        raise DTypeError(f"{condition} must return a boolean scalar, it returned {', '.join(map(str, cond.out_avals))}")
    outs = while_p.bind(
        *cond_consts, *body_consts, *carry, cond_nconsts=len(cond_consts), cond_jaxpr=cond,
        body_nconsts=len(body_consts), body_jaxpr=body,
    )  # fmt: skip
    return unflatten(tree, outs)


@api_boundary
def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *, unroll: int | bool | None = None
) -> Any:
    """`for i in range(lower, upper): val = body_fun(i, val)`, starting from `init_val`.

    With bounds known while tracing it is a `scan`, and differentiable in both modes; otherwise a `while_loop`.

    Args:
        lower, upper: integers. The counter has their dtype; from Python integers it takes, as those do, the dtype of
            what it meets.
        body_fun: gives a value of the same structure, shapes and dtypes.
        init_val: a pytree of arrays.
        unroll: accepted; how loops are unrolled is the compiler's choice.

    >>> import functrans as ft
    >>> ft.lax.fori_loop(0, 5, lambda i, total: total + i, 0)
    Array(10)
    """
    if not callable(body_fun):
        raise ArgumentError(f"fori_loop takes a function as its body, got {body_fun!r:.60}")
    for bound in (lower, upper):
        if aval_of(bound).dtype.kind not in "iu" or aval_of(bound).shape != ():
            raise DTypeError(f"the bounds of fori_loop must be integer scalars, got {aval_of(bound)}")
    strong = [a.dtype for a in map(aval_of, (lower, upper)) if not a.weak]
    if strong:  # the counter has their dtype; that of Python integers takes the dtype of what it meets
        lower, upper = (convert_element_type(bound, np.result_type(*strong)) for bound in (lower, upper))
    what = f"the body of fori_loop, {function_name(body_fun)},"
    carry, tree = flatten(init_val)
    both = flatten((lower, init_val))[1]

    def step(i: Any, value: Any) -> tuple[Any, Any]:
        return i + 1, body_fun(i, value)

    def stage_body(avals: list[ShapedArray]) -> tuple[Jaxpr, list[Any]]:
        jaxpr, consts, out_tree = stage_function(step, avals, both, what)
        check_structure(what, tree, out_tree.children()[1])
        return jaxpr, consts

    body, consts, carry = stage_carry(what, ["i", *leaf_names("val", tree)], [lower, *carry], stage_body)
    if not isinstance(lower, Tracer) and not isinstance(upper, Tracer):
        outs = scan_p.bind(
            *consts, *carry, num_consts=len(consts), num_carry=len(carry), jaxpr=body,
            length=max(0, int(upper) - int(lower)), reverse=False, unroll=1 if unroll is None else unroll,
        )  # fmt: skip
        return unflatten(tree, outs[1:])
    cond, cond_consts = stage(lambda i, *_: [ew.lt(i, upper)], body.in_avals[len(consts) :])
    outs = while_p.bind(
        *cond_consts, *consts, *carry, cond_nconsts=len(cond_consts), cond_jaxpr=convert_constvars(cond),
        body_nconsts=len(consts), body_jaxpr=body,
    )  # fmt: skip
    return unflatten(tree, outs[1:])


# ---------------------------------------------------------------- rules


def _impl(*args: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr) -> list[Any]:
    cond_consts, body_consts, carry = split_list(args, cond_nconsts, body_nconsts)
    while evaluate(cond_jaxpr, (), [*cond_consts, *carry])[0]:
        carry = evaluate(body_jaxpr, (), [*body_consts, *carry])
    return [wrap(np.asarray(c, v.aval.dtype)) for c, v in zip(carry, body_jaxpr.outvars)]


def _abstract(*avals: ShapedArray, body_jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    return body_jaxpr.out_avals


def _jvp(
    primals: Any, tangents: Any, *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr
) -> Any:
    cond_consts, body_consts, carry = split_list(primals, cond_nconsts, body_nconsts)
    _, t_consts, t_carry = split_list(tangents, cond_nconsts, body_nconsts)
    nz_consts = [t is not None for t in t_consts]
    nz_carry = _carries_with_tangents(
        tangents, cond_nconsts=cond_nconsts, cond_jaxpr=cond_jaxpr, body_nconsts=body_nconsts, body_jaxpr=body_jaxpr
    )
    inner, _ = jvp_jaxpr(body_jaxpr, [*nz_consts, *nz_carry], nz_carry)
    n_in, n_carry = len(body_jaxpr.invars), len(carry)
    t_in = list(range(n_in, len(inner.invars)))
    tc, tr = split_list(t_in, sum(nz_consts))
    body = reordered(inner, [*range(body_nconsts), *tc, *range(body_nconsts, n_in), *tr], range(len(inner.outvars)))
    unread = [Var(tangent_aval(v)) for v, nz in zip(body_jaxpr.outvars, nz_carry) if nz]
    cond = Jaxpr((), [*cond_jaxpr.invars, *unread], cond_jaxpr.eqns, cond_jaxpr.outvars)
    outs = while_p.bind(
        *cond_consts, *body_consts, *live_values(t_consts), *carry, *carry_tangents(t_carry, carry, nz_carry),
        cond_nconsts=cond_nconsts, cond_jaxpr=cond, body_nconsts=body_nconsts + sum(nz_consts), body_jaxpr=body,
    )  # fmt: skip
    return outs[:n_carry], spread(outs[n_carry:], nz_carry)


def _linearize(primals: Any, tangents: Any, **params: Any) -> Any:
    """The loop runs now; its derivative runs it once more, with tangents, since what it passes through is not kept."""
    outs = while_p.bind(*primals, **params)
    reached = _carries_with_tangents(tangents, **params)
    return outs, _jvp(primals, tangents, **params)[1] if any(reached) else [None] * len(outs)


def _carries_with_tangents(
    tangents: Any, *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr
) -> list[bool]:
    _, consts, carry = split_list([t is not None for t in tangents], cond_nconsts, body_nconsts)
    return fixed_point(carry, lambda m: jvp_jaxpr(body_jaxpr, [*consts, *m])[1])


def _transpose(cts: Any, *operands: Any, body_jaxpr: Jaxpr, **params: Any) -> Any:
    where = next((f" (the loop at {eqn.source})" for eqn in body_jaxpr.eqns if eqn.source is not None), "")
    raise NotDifferentiableError(
        "reverse-mode differentiation (grad, vjp, jacrev) of while_loop, or of fori_loop with bounds that are traced"
        f"{where}: the number of turns is not known, so what the backward pass needs cannot be kept. Use scan, or "
        "fori_loop with static bounds and a condition inside (functrans.numpy.where); or forward mode (jvp, jacfwd)."
    )


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int,
    body_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    """Where the condition is batched, turns go on while any lane's holds, and lanes that are done keep their value."""
    b_cond, b_body, b_carry = split_list([d is not None for d in dims], cond_nconsts, body_nconsts)
    b_carry = fixed_point(b_carry, lambda m: batch_jaxpr(body_jaxpr, axis, [*b_body, *m])[1])
    cond, (b_pred,) = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry])
    if b_pred:
        b_carry = [True] * len(b_carry)
        cond, _ = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry], [True])
    body, _ = batch_jaxpr(body_jaxpr, axis, [*b_body, *b_carry], b_carry)
    pairs = list(zip(args, dims))
    cond_consts, body_consts, carry = split_list(pairs, cond_nconsts, body_nconsts)
    operands = [
        *(x if d is None else batch_first(axis, x, d) for x, d in (*cond_consts, *body_consts)),
        *(batch_first(axis, x, d) if b else x for (x, d), b in zip(carry, b_carry)),
    ]
    out_dims = [0 if b else None for b in b_carry]
    if not b_pred:
        outs = while_p.bind(
            *operands, cond_nconsts=cond_nconsts, cond_jaxpr=cond, body_nconsts=body_nconsts, body_jaxpr=body
        )
        return outs, out_dims
    n_cond, n_body = cond_nconsts, body_nconsts
    c_avals, r_avals = cond.in_avals[:n_cond], cond.in_avals[n_cond:]

    def any_lane(*xs: Any) -> list[Any]:
        return [reduce_or(evaluate(cond, (), xs)[0], (0,))]

    def lanes(*xs: Any) -> list[Any]:
        own_cond, own_body, values = split_list(xs, n_cond, n_body)
        running = evaluate(cond, (), [*own_cond, *values])[0]
        new = evaluate(body, (), [*own_body, *values])
        return [_where_lane(running, n, v) for n, v in zip(new, values)]

    outs = while_p.bind(
        *operands[:n_cond], *operands, cond_nconsts=n_cond, cond_jaxpr=close_over(*stage(any_lane, cond.in_avals)),
        body_nconsts=n_cond + n_body,
        body_jaxpr=close_over(*stage(lanes, [*c_avals, *body.in_avals[:n_body], *r_avals])),
    )  # fmt: skip
    return outs, out_dims


def _where_lane(running: Any, new: Any, old: Any) -> Any:
    mask = reshape(running, (*aval_of(running).shape, *[1] * (aval_of(new).ndim - 1)))
    return ew.select_n.bind(mask, old, new)


while_p = Primitive("while", multiple_results=True)
while_p.impl = _impl
while_p.abstract_eval = _abstract
while_p.jvp = _jvp
while_p.linearize = _linearize
while_p.transpose = _transpose
while_p.batch = _batch
