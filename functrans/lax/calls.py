"""Primitives that apply an inner jaxpr: `jit` and `checkpoint`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray
from functrans.core.forking import COMPILING
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var, evaluate, jaxpr_has_effect
from functrans.core.primitive import Axis, Primitive
from functrans.core.trace import stage
from functrans.core.watching import check_program
from functrans.lax.conversion import optimization_barrier_p
from functrans.lax.flat import live_values, spread
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, jvp_jaxpr, linearize, linearize_jaxpr
from functrans.transforms.simplify import has_effect, remove_dead, without_displays
from functrans.transforms.taylor import flattened, grouped, taylor_jaxpr
from functrans.transforms.transpose import is_linear, transpose_jaxpr


def _batch_call(primitive: Primitive) -> Any:
    def batch(axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        batched = [d is not None for d in dims]
        args = [batch_first(axis, a, d) if b else a for a, d, b in zip(args, dims, batched)]
        inner, out_batched = batch_jaxpr(jaxpr, axis, batched)
        outs = primitive.bind(*args, jaxpr=inner, **params)
        return outs, [0 if b else None for b in out_batched]

    return batch


def _guard_call(primitive: Primitive) -> Any:
    def guard(active: Any, *args: Any, jaxpr: Jaxpr, **params: Any) -> Any:
        return primitive.bind(active, *args, jaxpr=guarded(jaxpr), **params)

    return guard


def _jvp_call(primitive: Primitive) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        inner, live = jvp_jaxpr(jaxpr, [t is not None for t in tangents])
        outs = primitive.bind(*primals, *live_values(tangents), jaxpr=inner, **params)
        n = len(jaxpr.outvars)
        return outs[:n], spread(outs[n:], live)

    return jvp


def _taylor_call(primitive: Primitive) -> Any:
    def rule(order: int, primals: Sequence[Any], series: Sequence[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        inner, live = taylor_jaxpr(jaxpr, order, [s is not None for s in series])
        outs = primitive.bind(*primals, *flattened(series, primals), jaxpr=inner, **params)
        n = len(jaxpr.outvars)
        return outs[:n], grouped(outs[n:], order, live)

    return rule


# ---------------------------------------------------------------- jit


def _jit_impl(*args: Any, jaxpr: Jaxpr, name: str) -> list[Any]:
    if "compiled" not in jaxpr.memo:
        with COMPILING:
            from functrans.compiler.program import compile

            jaxpr.memoize("compiled", lambda: compile(jaxpr, []))
    compiled = jaxpr.memo["compiled"]
    outs = compiled(*[np.asarray(a, v.aval.dtype) for a, v in zip(args, jaxpr.invars)])
    if config.watched:
        check_compiled(name, jaxpr, (), args, outs)
    return outs


def check_compiled(name: str, jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], outs: Sequence[Any]) -> None:
    """Look for NaN and infinities in what a compiled program gave, under `config.debug_nans` and `debug_infs`."""
    quiet = without_displays(jaxpr)
    again = None if jaxpr_has_effect(quiet) else lambda: evaluate(quiet, consts, args)
    check_program(name, outs, again)


def _jit_linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, name: str) -> Any:
    split = linearize_jaxpr(jaxpr, [t is not None for t in tangents])
    outs = jit_p.bind(*primals, jaxpr=split.forward, name=name)
    n = len(jaxpr.outvars)
    residuals = split.residuals(primals, outs[n:])
    out_tangents = jit_p.bind(*residuals, *live_values(tangents), jaxpr=split.linear, name=name)
    return outs[:n], spread(out_tangents, split.nonzero_outs)


def _jit_transpose(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, name: str) -> list[Any]:
    linear = [is_linear(x) for x in operands]
    inner, live = transpose_jaxpr(jaxpr, linear, [ct is not None for ct in cts])
    known = [x for x in operands if not is_linear(x)]
    outs = jit_p.bind(*known, *live_values(cts), jaxpr=inner, name=name)
    return spread(spread(outs, live), linear)


jit_p = Primitive("jit", multiple_results=True)
jit_p.impl = _jit_impl
jit_p.abstract_eval = lambda *avals, jaxpr, name: jaxpr.out_avals
jit_p.jvp = _jvp_call(jit_p)
jit_p.taylor = _taylor_call(jit_p)
jit_p.linearize = _jit_linearize
jit_p.transpose = _jit_transpose
jit_p.batch = _batch_call(jit_p)
jit_p.guard = _guard_call(jit_p)

# ---------------------------------------------------------------- checkpoint

#: Whether reverse mode keeps the result of an equation: `(primitive, *avals of the operands, **params) -> bool`.
Policy = Callable[..., bool]


def checkpoint_name(x: Any, name: str) -> Any:
    """`x`, under a name for the policies of `checkpoint` (`functrans.checkpoint_policies`).

    >>> import functrans as ft, numpy as np
    >>> ft.checkpoint_name(np.ones(2), "ones")
    Array([1., 1.])
    """
    return name_p.bind(x, name=name)


name_p = Primitive("name")
name_p.impl = lambda x, *, name: wrap(np.asarray(x))
name_p.abstract_eval = lambda x, *, name: x
name_p.jvp = lambda primals, tangents, *, name: (name_p.bind(primals[0], name=name), tangents[0])
name_p.taylor = lambda k, y, x, *, name: x[k]
name_p.batch = lambda axis, args, dims, *, name: (name_p.bind(args[0], name=name), dims[0])
name_p.lower = lambda k, idx, x, *, name: x.at(*idx)


def _checkpoint_linearize(
    primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, policy: Policy | None = None
) -> Any:
    """Save the arguments, and what the policy says; the linear part recomputes what it needs from them."""
    nonzero = [t is not None for t in tangents]
    key = ("recompute", tuple(nonzero), policy)
    forward, recompute, live = jaxpr.memoize(key, lambda: _split(jaxpr, nonzero, policy))
    n = len(jaxpr.outvars)
    results = checkpoint_p.bind(*primals, jaxpr=forward, **({} if policy is None else {"policy": policy}))
    out_tangents = checkpoint_p.bind(*primals, *results[n:], *live_values(tangents), jaxpr=recompute)
    return results[:n], spread(out_tangents, live)


def _split(jaxpr: Jaxpr, nonzero: Sequence[bool], policy: Policy | None) -> tuple[Jaxpr, Jaxpr, list[bool]]:
    """`primals -> outs, saved` and `primals, saved, tangents -> tangents`, and which tangents those are."""
    live: list[bool] = []
    n, n_outs = len(jaxpr.invars), len(jaxpr.outvars)

    def fun(*args: Any) -> list[Any]:
        outs, lin = linearize(lambda *xs: evaluate(jaxpr, (), xs, sources=True), args[:n], nonzero)
        live[:] = lin.nonzero_outs
        return [*outs, *live_values(lin(*args[n:]))]

    avals = [*jaxpr.in_avals, *(a.strong() for a, nz in zip(jaxpr.in_avals, nonzero) if nz)]
    both = close_over(*stage(fun, avals))
    primals, tangents = both.invars[:n], both.invars[n:]
    outs, out_tangents = both.outvars[:n_outs], both.outvars[n_outs:]
    quiet = without_displays(both)
    if policy is None and not jaxpr_has_effect(quiet):
        return jaxpr, remove_dead(Jaxpr((), both.invars, quiet.eqns, out_tangents)), live
    linear: set[Atom] = set(tangents)
    known: list[Eqn] = []
    saved: list[Var] = []
    rest: list[Eqn] = []
    for eqn in both.eqns:
        if not linear.isdisjoint(eqn.inputs):
            linear.update(eqn.outvars)
            rest.append(eqn)
            continue
        known.append(eqn)
        once = eqn.outvars and has_effect(eqn) and jaxpr_has_effect(without_displays(Jaxpr((), (), (eqn,), ())))
        if once or (policy is not None and policy(eqn.primitive, *(a.aval for a in eqn.inputs), **eqn.params)):
            saved += eqn.outvars
        else:
            rest.append(eqn)
    recompute = without_displays(Jaxpr((), [*primals, *saved, *tangents], rest, out_tangents))
    recompute = remove_dead(recompute)
    read = {a for eqn in recompute.eqns for a in eqn.inputs} | set(recompute.outvars)
    kept = [v for v in saved if v in read]
    recompute = Jaxpr((), [*primals, *kept, *tangents], recompute.eqns, out_tangents)
    return remove_dead(Jaxpr((), primals, known, [*outs, *kept])), recompute, live


def _checkpoint_transpose(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, policy: Policy | None = None) -> list[Any]:
    linear = [is_linear(x) for x in operands]
    inner, live = transpose_jaxpr(jaxpr, linear, [ct is not None for ct in cts])
    known = [optimization_barrier_p.bind(x) for x in operands if not is_linear(x)]
    return spread(spread(evaluate(inner, (), [*known, *live_values(cts)]), live), linear)


def _out_avals(*avals: ShapedArray, jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    return jaxpr.out_avals


checkpoint_p = Primitive("checkpoint", multiple_results=True)
checkpoint_p.impl = lambda *args, jaxpr, policy=None: evaluate(jaxpr, (), args)
checkpoint_p.abstract_eval = _out_avals
checkpoint_p.jvp = _jvp_call(checkpoint_p)
checkpoint_p.taylor = _taylor_call(checkpoint_p)
checkpoint_p.linearize = _checkpoint_linearize
checkpoint_p.transpose = _checkpoint_transpose
checkpoint_p.batch = _batch_call(checkpoint_p)
checkpoint_p.guard = _guard_call(checkpoint_p)
