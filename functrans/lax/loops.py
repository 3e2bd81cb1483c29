"""`while_loop` and `fori_loop`.

`while(*cond_consts, *body_consts, *carry)` runs until its condition fails. Where values are known while a function is
differentiated, its derivative is that of a `scan` over as many turns as it made; elsewhere reverse mode keeps what the
loop passed through on a tape (`tape.py`). `fori_loop` with static bounds is a `scan`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, Var, axis_names, convert_constvars, evaluate, jaxpr_has_effect
from functrans.core.primitive import Axis, Primitive, muted
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, NotDifferentiableError
from functrans.lax import elementwise as ew
from functrans.lax.calls import checkpoint_p
from functrans.lax.carry import check_structure, fixed_point, forward_rules, leaf_names, reordered, stage_carry
from functrans.lax.control import cond
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import function_name, split_list, stage_function
from functrans.lax.reductions import reduce_or
from functrans.lax.scans import one_by_one, scan, scan_p
from functrans.lax.tape import Pass, transpose_passes, where_lane
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, jvp_jaxpr, separate_jvp_jaxpr, tangent_aval
from functrans.transforms.simplify import without_displays
from functrans.transforms.taylor import flattened, grouped


@api_boundary
def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    max_steps: int | None = None,
) -> Any:
    """`while cond_fun(val): val = body_fun(val)`, starting from `init_val`.

    Args:
        cond_fun: gives a boolean scalar.
        body_fun: gives a value of the same structure, shapes and dtypes.
        init_val: a pytree of arrays.
        max_steps: stop after so many turns at the latest. Reverse mode then needs memory for about twice the square
            root of `max_steps` values, and runs the loop twice (Griewank & Walther, "Evaluating Derivatives", ch. 12).

    Differentiable in both modes, to any order. Without `max_steps`, reverse mode keeps the value at each turn.

    >>> import functrans as ft
    >>> ft.lax.while_loop(lambda x: x < 100, lambda x: 2 * x, 3)
    Array(192)
    >>> ft.jit(ft.grad(lambda x: ft.lax.while_loop(lambda x: x < 100, lambda x: x * x, x)))(3.0)
    Array(17496.)
    """
    if max_steps is not None:
        return _bounded(cond_fun, body_fun, init_val, operator.index(max_steps))
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


def _bounded(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any, max_steps: int) -> Any:
    """A loop of `max_steps` turns, of which those after the condition fails do nothing: blocks of them, each of which
    keeps only what it starts with.
    """
    if max_steps < 0:
        raise ArgumentError(f"max_steps of while_loop must not be negative, got {max_steps}")
    inner = max(1, math.isqrt(max_steps))
    outer, rest = divmod(max_steps, inner)

    def turn(value: Any, _: Any) -> tuple[Any, None]:
        return cond(cond_fun(value), body_fun, lambda value: value, value), None

    def block(value: Any, _: Any) -> tuple[Any, None]:
        def turns(value: Any) -> Any:
            return cond(cond_fun(value), lambda v: scan(turn, v, None, length=inner)[0], lambda v: v, value)

        leaves, _ = flatten(value)
        jaxpr, consts, tree = stage_function(turns, [aval_of(x) for x in leaves], flatten((value,))[1], "while_loop")
        return unflatten(tree, checkpoint_p.bind(*consts, *leaves, jaxpr=jaxpr)), None

    value = scan(block, init_val, None, length=outer)[0]
    return scan(turn, value, None, length=rest)[0]


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


def _push_forward(
    order: int, derive: Callable[..., tuple[Jaxpr, list[bool]]], primals: Any, series: Any, *, cond_nconsts: int,
    cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    """The loop of the body that `derive` gives, which takes `order` tangents or coefficients for each live argument."""
    cond_consts, body_consts, carry = split_list(primals, cond_nconsts, body_nconsts)
    _, s_consts, s_carry = split_list(series, cond_nconsts, body_nconsts)
    nz_consts = [s is not None for s in s_consts]
    nz_carry = fixed_point([s is not None for s in s_carry], lambda m: derive(body_jaxpr, [*nz_consts, *m])[1])
    s_carry = [[None] * order if nz and s is None else s for s, nz in zip(s_carry, nz_carry)]
    inner, _ = derive(body_jaxpr, [*nz_consts, *nz_carry], nz_carry)
    n_in, n_carry = len(body_jaxpr.invars), len(carry)
    tc, tr = split_list(range(n_in, len(inner.invars)), order * sum(nz_consts))
    body = reordered(inner, [*range(body_nconsts), *tc, *range(body_nconsts, n_in), *tr], range(len(inner.outvars)))
    unread = [Var(tangent_aval(v)) for v, nz in zip(body_jaxpr.outvars, nz_carry) if nz for _ in range(order)]
    cond = Jaxpr((), [*cond_jaxpr.invars, *unread], cond_jaxpr.eqns, cond_jaxpr.outvars)
    outs = while_p.bind(
        *cond_consts, *body_consts, *flattened(s_consts, body_consts), *carry, *flattened(s_carry, carry),
        cond_nconsts=cond_nconsts, cond_jaxpr=cond, body_nconsts=body_nconsts + len(tc), body_jaxpr=body,
    )  # fmt: skip
    return outs[:n_carry], grouped(outs[n_carry:], order, nz_carry)


def _linearize(primals: Any, tangents: Any, **params: Any) -> Any:
    """The loop runs now. With values that are known it is a scan; else its derivative runs it once more."""
    if not any(_carries_with_tangents(tangents, **params)):
        outs = while_p.bind(*primals, **params)
        return outs, [None] * len(outs)
    if jaxpr_has_effect(params["cond_jaxpr"]) or jaxpr_has_effect(params["body_jaxpr"]):
        outs = while_p.bind(*primals, **params)
        with muted():  # derivative rules of the user's may have effects too
            return outs, _linearize(primals, tangents, **_quiet(params))[1]
    turns = _turns(primals, **params)
    if turns is not None:
        n_cond, n_body, body = params["cond_nconsts"], params["body_nconsts"], params["body_jaxpr"]
        assert scan_p.linearize is not None
        return scan_p.linearize(
            primals[n_cond:], tangents[n_cond:], num_consts=n_body, num_carry=len(body.outvars), jaxpr=body,
            length=turns, reverse=False, unroll=1,
        )  # fmt: skip
    _, series = _push_forward(1, separate_jvp_jaxpr, primals, [None if t is None else [t] for t in tangents], **params)
    return while_p.bind(*primals, **params), [None if s is None else s[0] for s in series]


def _quiet(params: dict[str, Any]) -> dict[str, Any]:
    """The params of the same loop, to be run again: what happens in it for its effect has happened."""
    quiet = {k: without_displays(v) if isinstance(v, Jaxpr) else v for k, v in params.items()}
    if jaxpr_has_effect(quiet["cond_jaxpr"]) or jaxpr_has_effect(quiet["body_jaxpr"]):
        raise NotDifferentiableError(
            "reverse mode through a while_loop, or a fori_loop with traced bounds, with an io_callback in it: it runs "
            "the loop twice, and the callback may run once. Use scan, or fori_loop with static bounds, or give the "
            "loop max_steps."
        )
    return quiet


def _turns(args: Any, *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr) -> int | None:
    """How many turns a loop makes; `None` if that depends on what is only traced."""
    cond_consts, body_consts, carry = split_list(args, cond_nconsts, body_nconsts)
    turns = 0
    try:
        while evaluate(cond_jaxpr, (), [*cond_consts, *carry])[0]:
            carry = evaluate(body_jaxpr, (), [*body_consts, *carry])
            turns += 1
    except ConcretizationError:
        return None
    return turns


def _carries_with_tangents(
    tangents: Any, *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr
) -> list[bool]:
    _, consts, carry = split_list([t is not None for t in tangents], cond_nconsts, body_nconsts)
    return fixed_point(carry, lambda m: jvp_jaxpr(body_jaxpr, [*consts, *m])[1])


def _transpose(
    cts: Any, *operands: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr
) -> list[Any]:
    """The loop runs once more with what is known, keeps it, and cotangents go back along it (`tape.py`)."""
    return transpose_passes(
        cts, operands, cond_nconsts=cond_nconsts, cond_jaxpr=cond_jaxpr, nconsts=body_nconsts,
        layout=(Pass(False, len(body_jaxpr.outvars), ()),), jaxprs=(body_jaxpr,),
    )  # fmt: skip


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int,
    body_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    """Where the condition is batched, turns go on while any lane's holds, and lanes that are done keep their value."""
    b_cond, b_body, b_carry = split_list([d is not None for d in dims], cond_nconsts, body_nconsts)
    b_carry = fixed_point(b_carry, lambda m: batch_jaxpr(body_jaxpr, axis, [*b_body, *m])[1])
    cond, (b_pred,) = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry])
    if b_pred and (jaxpr_has_effect(cond_jaxpr) or jaxpr_has_effect(body_jaxpr)):
        params = {"cond_nconsts": cond_nconsts, "cond_jaxpr": cond_jaxpr, "body_nconsts": body_nconsts}
        if axis.name not in axis_names(while_p, {"cond_jaxpr": cond_jaxpr, "body_jaxpr": body_jaxpr}):
            return one_by_one(while_p, axis, args, dims, **params, body_jaxpr=body_jaxpr)
    if b_pred:
        b_carry = [True] * len(b_carry)
        cond, _ = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry], [True])
    if b_pred:
        body, _ = batch_jaxpr(guarded(body_jaxpr), axis, [True, *b_body, *b_carry], b_carry)
    else:
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
        new = evaluate(body, (), [running, *own_body, *values])
        return [where_lane(running, n, v) for n, v in zip(new, values)]

    outs = while_p.bind(
        *operands[:n_cond], *operands, cond_nconsts=n_cond, cond_jaxpr=close_over(*stage(any_lane, cond.in_avals)),
        body_nconsts=n_cond + n_body,
        body_jaxpr=close_over(*stage(lanes, [*c_avals, *body.in_avals[1 : n_body + 1], *r_avals])),
    )  # fmt: skip
    return outs, out_dims


def goes_on(cond: Jaxpr) -> Jaxpr:
    """The condition of a loop with `active` as first argument: a loop that is not active takes no turn."""
    inner = guarded(cond)
    fun = lambda active, *xs: [ew.bitwise_and(active, *evaluate(inner, (), [active, *xs]))]
    return cond.memoize("goes on", lambda: close_over(*stage(fun, inner.in_avals)))


def _guard(
    active: Any, *operands: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, body_nconsts: int, body_jaxpr: Jaxpr
) -> Any:
    return while_p.bind(
        active, *operands[:cond_nconsts], active, *operands[cond_nconsts:], cond_nconsts=cond_nconsts + 1,
        cond_jaxpr=goes_on(cond_jaxpr), body_nconsts=body_nconsts + 1, body_jaxpr=guarded(body_jaxpr),
    )  # fmt: skip


while_p = Primitive("while", multiple_results=True)
while_p.impl = _impl
while_p.abstract_eval = _abstract
while_p.jvp, while_p.taylor = forward_rules(_push_forward)
while_p.linearize = _linearize
while_p.transpose = _transpose
while_p.batch = _batch
while_p.guard = _guard
