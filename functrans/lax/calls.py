"""Primitives that apply an inner jaxpr: `jit` and `checkpoint`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import Axis, Primitive
from functrans.core.trace import stage
from functrans.lax.conversion import optimization_barrier_p
from functrans.lax.flat import live_values, spread
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.jvp import close_over, jvp_jaxpr, linearize, linearize_jaxpr
from functrans.transforms.transpose import is_linear, transpose_jaxpr


def _batch_call(primitive: Primitive) -> Any:
    def batch(axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        batched = [d is not None for d in dims]
        args = [batch_first(axis, a, d) if b else a for a, d, b in zip(args, dims, batched)]
        inner, out_batched = batch_jaxpr(jaxpr, axis, batched)
        outs = primitive.bind(*args, jaxpr=inner, **params)
        return outs, [0 if b else None for b in out_batched]

    return batch


def _jvp_call(primitive: Primitive) -> Any:
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        inner, live = jvp_jaxpr(jaxpr, [t is not None for t in tangents])
        outs = primitive.bind(*primals, *live_values(tangents), jaxpr=inner, **params)
        n = len(jaxpr.outvars)
        return outs[:n], spread(outs[n:], live)

    return jvp


# ---------------------------------------------------------------- jit


def _jit_impl(*args: Any, jaxpr: Jaxpr, name: str) -> list[Any]:
    from functrans.compiler.program import compile

    compiled = jaxpr.memoize("compiled", lambda: compile(jaxpr, []))
    return compiled(*[np.asarray(a, v.aval.dtype) for a, v in zip(args, jaxpr.invars)])


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
jit_p.linearize = _jit_linearize
jit_p.transpose = _jit_transpose
jit_p.batch = _batch_call(jit_p)

# ---------------------------------------------------------------- checkpoint


def _checkpoint_linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr) -> Any:
    """Save the arguments alone; the linear part recomputes what it needs from them."""
    nonzero = [t is not None for t in tangents]
    outs = checkpoint_p.bind(*primals, jaxpr=jaxpr)
    recompute, live = jaxpr.memoize(("recompute", tuple(nonzero)), lambda: _recompute_jaxpr(jaxpr, nonzero))
    out_tangents = checkpoint_p.bind(*primals, *live_values(tangents), jaxpr=recompute)
    return outs, spread(out_tangents, live)


def _recompute_jaxpr(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> tuple[Jaxpr, list[bool]]:
    live: list[bool] = []
    n = len(jaxpr.invars)

    def fun(*args: Any) -> list[Any]:
        _, lin = linearize(lambda *xs: evaluate(jaxpr, (), xs), args[:n], nonzero)
        live[:] = lin.nonzero_outs
        return live_values(lin(*args[n:]))

    avals = [*jaxpr.in_avals, *(a.strong() for a, nz in zip(jaxpr.in_avals, nonzero) if nz)]
    return close_over(*stage(fun, avals)), live


def _checkpoint_transpose(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr) -> list[Any]:
    linear = [is_linear(x) for x in operands]
    inner, live = transpose_jaxpr(jaxpr, linear, [ct is not None for ct in cts])
    known = [optimization_barrier_p.bind(x) for x in operands if not is_linear(x)]
    return spread(spread(evaluate(inner, (), [*known, *live_values(cts)]), live), linear)


def _out_avals(*avals: ShapedArray, jaxpr: Jaxpr) -> list[ShapedArray]:
    return jaxpr.out_avals


checkpoint_p = Primitive("checkpoint", multiple_results=True)
checkpoint_p.impl = lambda *args, jaxpr: evaluate(jaxpr, (), args)
checkpoint_p.abstract_eval = _out_avals
checkpoint_p.jvp = _jvp_call(checkpoint_p)
checkpoint_p.linearize = _checkpoint_linearize
checkpoint_p.transpose = _checkpoint_transpose
checkpoint_p.batch = _batch_call(checkpoint_p)
