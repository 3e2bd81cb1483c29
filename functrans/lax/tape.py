"""Loops that run forward and then back over what they passed through: reverse mode of `while`.

`tape(*cond_consts, *consts, *carry, *back)` runs `carry = body(consts, carry)` while a condition holds and keeps each
carry on a tape; then it runs `back = step(consts, carry, back)` over the tape, last first, and gives the last `back`.
The tape grows while the loop runs. In compiled programs it grows by chunks: one native loop fills a chunk, another goes
back over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, Var, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.trace import stage
from functrans.errors import NotDifferentiableError
from functrans.lax import elementwise as ew
from functrans.lax.carry import carry_tangents, fixed_point, reordered
from functrans.lax.flat import live_values, split_list, spread
from functrans.lax.indexing import dynamic_index_in_dim, dynamic_update_index_in_dim
from functrans.lax.structural import reshape
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, jvp_jaxpr, tangent_aval
from functrans.transforms.transpose import Linear, backward_pass, is_linear

#: A chunk of tape has so many turns at most, and about so many bytes.
CHUNK_TURNS, CHUNK_BYTES = 1024, 1 << 22

# ---------------------------------------------------------------- evaluation


def _impl(
    *args: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, body_jaxpr: Jaxpr, back_jaxpr: Jaxpr
) -> list[Any]:
    cond_consts, consts, carry, back = split_list(args, cond_nconsts, nconsts, len(body_jaxpr.outvars))
    passed = []
    while evaluate(cond_jaxpr, (), [*cond_consts, *carry])[0]:
        passed.append(carry)
        carry = evaluate(body_jaxpr, (), [*consts, *carry])
    while passed:
        back = evaluate(back_jaxpr, (), [*consts, *passed.pop(), *back])
    return [wrap(np.asarray(b, v.aval.dtype)) for b, v in zip(back, back_jaxpr.outvars)]


def _native(
    *avals: ShapedArray, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, body_jaxpr: Jaxpr, back_jaxpr: Jaxpr
) -> Callable[..., Any]:
    """The loop for compiled programs: native loops that fill a chunk of tape, and go back over it."""
    from functrans.compiler.program import compile

    n_carry = len(body_jaxpr.outvars)
    cond_in, consts_in, carry_in, back_in = split_list(avals, cond_nconsts, nconsts, n_carry)
    nbytes = sum(a.size * a.dtype.itemsize for a in carry_in)
    turns = max(1, min(CHUNK_TURNS, CHUNK_BYTES // max(nbytes, 1)))
    tapes_in = [ShapedArray((turns, *a.shape), a.dtype) for a in carry_in]
    counter = ShapedArray((), np.dtype(np.int64))
    record = _recorder(turns, cond_nconsts, nconsts, body_jaxpr, cond_jaxpr)
    play = _player(nconsts, n_carry, back_jaxpr)
    recorder = compile(*stage(record, [*cond_in, *consts_in, *carry_in]))
    player = compile(*stage(play, [*consts_in, counter, *tapes_in, *back_in]))

    def run(*args: Any) -> list[Any]:
        cond_consts, consts, carry, back = split_list(args, cond_nconsts, nconsts, n_carry)
        chunks = []
        n = turns
        while n == turns:
            count, *rest = recorder(*cond_consts, *consts, *carry)
            carry, n = rest[:n_carry], int(count)
            chunks.append((count, rest[n_carry:]))
        while chunks:
            count, tapes = chunks.pop()
            back = player(*consts, count, *tapes, *back)
        return back

    return run


def _recorder(turns: int, cond_nconsts: int, nconsts: int, body: Jaxpr, cond: Jaxpr) -> Callable[..., list[Any]]:
    """`*cond_consts, *consts, *carry -> turns made, *carry, *tapes`."""
    from functrans.lax.loops import while_loop

    def record(*args: Any) -> list[Any]:
        cond_consts, consts, carry = split_list(args, cond_nconsts, nconsts)
        tapes = [zeros(ShapedArray((turns, *a.shape), a.dtype)) for a in map(aval_of, carry)]

        def goes_on(state: Any) -> Any:
            return ew.bitwise_and(ew.lt(state[0], turns), evaluate(cond, (), [*cond_consts, *state[1]])[0])

        def turn(state: Any) -> Any:
            n, carry, tapes = state
            tapes = [dynamic_update_index_in_dim(t, c, n, 0) for t, c in zip(tapes, carry)]
            return ew.add(n, 1), evaluate(body, (), [*consts, *carry]), tapes

        n, carry, tapes = while_loop(goes_on, turn, (np.int64(0), carry, tapes))
        return [n, *carry, *tapes]

    return record


def _player(nconsts: int, n_carry: int, step: Jaxpr) -> Callable[..., list[Any]]:
    """`*consts, turns made, *tapes, *back -> *back`."""
    from functrans.lax.loops import while_loop

    def play(*args: Any) -> list[Any]:
        consts, (n,), tapes, back = split_list(args, nconsts, 1, n_carry)

        def turn(state: Any) -> Any:
            n = ew.sub(state[0], 1)
            carry = [dynamic_index_in_dim(t, n, 0, keepdims=False) for t in tapes]
            return n, evaluate(step, (), [*consts, *carry, *state[1]])

        return while_loop(lambda state: ew.gt(state[0], 0), turn, (n, back))[1]

    return play


def _abstract(*avals: ShapedArray, back_jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    return back_jaxpr.out_avals


# ---------------------------------------------------------------- rules


def _jvp(
    primals: Any, tangents: Any, *, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, body_jaxpr: Jaxpr,
    back_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    """A tape of carries and their tangents, and a way back with tangents."""
    n_carry = len(body_jaxpr.outvars)
    cond_consts, consts, carry, back = split_list(primals, cond_nconsts, nconsts, n_carry)
    _, t_consts, t_carry, t_back = split_list(tangents, cond_nconsts, nconsts, n_carry)
    nz_consts, nz_carry, nz_back = ([t is not None for t in ts] for ts in (t_consts, t_carry, t_back))
    nz_carry = fixed_point(nz_carry, lambda m: jvp_jaxpr(body_jaxpr, [*nz_consts, *m])[1])
    nz_back = fixed_point(nz_back, lambda m: jvp_jaxpr(back_jaxpr, [*nz_consts, *nz_carry, *m])[1])
    body, _ = jvp_jaxpr(body_jaxpr, [*nz_consts, *nz_carry], nz_carry)
    step, _ = jvp_jaxpr(back_jaxpr, [*nz_consts, *nz_carry, *nz_back], nz_back)
    body = _grouped(body, [(nconsts, nz_consts), (n_carry, nz_carry)])
    step = _grouped(step, [(nconsts, nz_consts), (n_carry, nz_carry), (len(back), nz_back)])
    unread = [Var(tangent_aval(v)) for v, nz in zip(body_jaxpr.outvars, nz_carry) if nz]
    cond = Jaxpr((), [*cond_jaxpr.invars, *unread], cond_jaxpr.eqns, cond_jaxpr.outvars)
    outs = tape_p.bind(
        *cond_consts, *consts, *live_values(t_consts), *carry, *carry_tangents(t_carry, carry, nz_carry), *back,
        *carry_tangents(t_back, back, nz_back), cond_nconsts=cond_nconsts, cond_jaxpr=cond,
        nconsts=nconsts + sum(nz_consts), body_jaxpr=body, back_jaxpr=step,
    )  # fmt: skip
    return outs[: len(back)], spread(outs[len(back) :], nz_back)


def _grouped(jaxpr: Jaxpr, groups: Sequence[tuple[int, Sequence[bool]]]) -> Jaxpr:
    """A jaxpr whose arguments are all values, then all tangents, with each group of values before its tangents."""
    order: list[int] = []
    value, tangent = 0, sum(n for n, _ in groups)
    for n, nonzero in groups:
        order += [*range(value, value + n), *range(tangent, tangent + sum(nonzero))]
        value, tangent = value + n, tangent + sum(nonzero)
    return reordered(jaxpr, order, range(len(jaxpr.outvars)))


def _transpose(
    cts: Sequence[Any], *operands: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, body_jaxpr: Jaxpr,
    back_jaxpr: Jaxpr,
) -> list[Any]:  # fmt: skip
    """Linear in what goes back alone: the cotangents go forward, along with the loop."""
    from functrans.lax.loops import while_p

    n_carry = len(body_jaxpr.outvars)
    cond_consts, consts, carry, back = split_list(operands, cond_nconsts, nconsts, n_carry)
    if any(map(is_linear, (*consts, *carry))):
        raise NotDifferentiableError(
            "reverse mode twice (as in grad of grad) through a while_loop, or a fori_loop with traced bounds, in a "
            "function that is being compiled or mapped: what the second pass needs is not kept. Take one of the two "
            "derivatives in forward mode (jacfwd(grad(f)), hessian, hvp), or give the loop max_steps."
        )
    ct_avals = [v.strong() for v in back_jaxpr.in_avals[nconsts + n_carry :]]

    def turn(*args: Any) -> list[Any]:
        own, carry, ct = split_list(args, nconsts, n_carry)
        found = backward_pass(back_jaxpr, [], [*own, *carry, *map(Linear, ct_avals)], ct)
        new = [zeros(a) if c is None else c for c, a in zip(found[nconsts + n_carry :], ct_avals)]
        return [*evaluate(body_jaxpr, (), [*own, *carry]), *new]

    body = close_over(*stage(turn, [*body_jaxpr.in_avals, *ct_avals]))
    cond = Jaxpr((), [*cond_jaxpr.invars, *map(Var, ct_avals)], cond_jaxpr.eqns, cond_jaxpr.outvars)
    start = [zeros(a) if ct is None else ct for ct, a in zip(cts, ct_avals)]
    outs = while_p.bind(
        *cond_consts, *consts, *carry, *start, cond_nconsts=cond_nconsts, cond_jaxpr=cond, body_nconsts=nconsts,
        body_jaxpr=body,
    )  # fmt: skip
    found = [ct if is_linear(b) else None for ct, b in zip(outs[n_carry:], back)]
    return [*[None] * (cond_nconsts + nconsts + n_carry), *found]


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int,
    body_jaxpr: Jaxpr, back_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    """As for `while`; on the way back, lanes that were done wait until the tape is at a turn of theirs."""
    n_carry = len(body_jaxpr.outvars)
    b_cond, b_consts, b_carry, b_back = split_list([d is not None for d in dims], cond_nconsts, nconsts, n_carry)
    b_carry = fixed_point(b_carry, lambda m: batch_jaxpr(body_jaxpr, axis, [*b_consts, *m])[1])
    b_pred = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry])[1][0]
    if b_pred:
        b_carry = [True] * n_carry
    b_back = fixed_point(b_back, lambda m: batch_jaxpr(back_jaxpr, axis, [*b_consts, *b_carry, *m])[1])
    if b_pred:
        b_back = [True] * len(b_back)
    cond, _ = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *b_carry], [b_pred])
    running = [True] if b_pred else []
    if b_pred:
        body_jaxpr, back_jaxpr = guarded(body_jaxpr), guarded(back_jaxpr)
    body, _ = batch_jaxpr(body_jaxpr, axis, [*running, *b_consts, *b_carry], b_carry)
    step, _ = batch_jaxpr(back_jaxpr, axis, [*running, *b_consts, *b_carry, *b_back], b_back)
    operands = [
        batch_first(axis, x, d) if b else x
        for x, d, b in zip(args, dims, [d is not None for d in dims[: cond_nconsts + nconsts]] + b_carry + b_back)
    ]
    out_dims = [0 if b else None for b in b_back]
    params = {
        "cond_nconsts": cond_nconsts,
        "cond_jaxpr": cond,
        "nconsts": nconsts,
        "body_jaxpr": body,
        "back_jaxpr": step,
    }
    if b_pred:
        operands = [*operands[:cond_nconsts], *operands]
        params |= _masked(cond_nconsts, cond, nconsts, body, step)
    return tape_p.bind(*operands, **params), out_dims


def _masked(n_cond: int, cond: Jaxpr, nconsts: int, body: Jaxpr, step: Jaxpr) -> dict[str, Any]:
    """The params of a tape whose condition holds for some lanes; the constants of the condition are constants too.

    `body` and `step` are guarded: they take first whether each lane is running.
    """
    from functrans.lax.reductions import reduce_or

    n_carry = len(body.outvars)

    def any_lane(*xs: Any) -> list[Any]:
        return [reduce_or(evaluate(cond, (), xs)[0], (0,))]

    def turn(*xs: Any) -> list[Any]:
        own_cond, own, carry = split_list(xs, n_cond, nconsts)
        running = evaluate(cond, (), [*own_cond, *carry])[0]
        return [where_lane(running, n, c) for n, c in zip(evaluate(body, (), [running, *own, *carry]), carry)]

    def back(*xs: Any) -> list[Any]:
        own_cond, own, carry, back = split_list(xs, n_cond, nconsts, n_carry)
        running = evaluate(cond, (), [*own_cond, *carry])[0]
        return [where_lane(running, n, b) for n, b in zip(evaluate(step, (), [running, *own, *carry, *back]), back)]

    c_avals = cond.in_avals[:n_cond]
    return {
        "nconsts": n_cond + nconsts,
        "cond_jaxpr": close_over(*stage(any_lane, cond.in_avals)),
        "body_jaxpr": close_over(*stage(turn, [*c_avals, *body.in_avals[1:]])),
        "back_jaxpr": close_over(*stage(back, [*c_avals, *step.in_avals[1:]])),
    }


def where_lane(running: Any, new: Any, old: Any) -> Any:
    """The new value in the lanes that are running, the old one in the others."""
    mask = reshape(running, (*aval_of(running).shape, *[1] * (aval_of(new).ndim - aval_of(running).ndim)))
    return ew.select_n.bind(mask, old, new)


def _guard(
    active: Any, *operands: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, body_jaxpr: Jaxpr,
    back_jaxpr: Jaxpr,
) -> Any:  # fmt: skip
    from functrans.lax.loops import goes_on

    return tape_p.bind(
        active, *operands[:cond_nconsts], active, *operands[cond_nconsts:], cond_nconsts=cond_nconsts + 1,
        cond_jaxpr=goes_on(cond_jaxpr), nconsts=nconsts + 1, body_jaxpr=guarded(body_jaxpr),
        back_jaxpr=guarded(back_jaxpr),
    )  # fmt: skip


tape_p = Primitive("tape", multiple_results=True)
tape_p.impl = _impl
tape_p.abstract_eval = _abstract
tape_p.native = _native
tape_p.jvp = _jvp
tape_p.transpose = _transpose
tape_p.batch = _batch
tape_p.guard = _guard
