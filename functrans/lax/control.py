"""Branches: `cond` and `switch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.compiler.cost import jaxpr_cost
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, is_inexact, kind_of
from functrans.core.jaxpr import Jaxpr, axis_names, evaluate, jaxpr_has_effect
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import PyTreeDef, flatten, key_paths, keystr, structure_error, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_in_dim
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import check_results, common_consts, function_name, spread, stage_function, takes_weak
from functrans.lax.promotion import common_dtype
from functrans.lax.reductions import reduce_or
from functrans.lax.scans import one_by_one
from functrans.lax.structural import reshape
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, jvp_jaxpr, linearize_jaxpr, tangent_aval
from functrans.transforms.taylor import flattened, grouped, taylor_jaxpr
from functrans.transforms.transpose import is_linear, transpose_jaxpr_full

Branches = tuple[Jaxpr, ...]
_NOTHING = object()


@api_boundary
def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any, operand: Any = _NOTHING
) -> Any:
    """`true_fun(*operands)` where the scalar `pred` holds, `false_fun(*operands)` otherwise; only one of them runs.

    Both must return the same structure, shapes and dtypes. A single operand may be given by name (`operand=`). Under
    `vmap` with a batched `pred` a branch with much to do runs if some example takes it, one with little always, and
    results are selected. Examples that do not take a branch raise no errors in it and take no turns of its loops. Where
    branches have effects (`debug.print`, `io_callback`), the chosen one runs for one example after another. An operand
    for each branch, as JAX takes them too, is `cond(pred, true_operand, true_fun, false_operand, false_fun)`.

    >>> import functrans as ft
    >>> ft.lax.cond(True, lambda x: x + 1, lambda x: x - 1, 1.0)
    Array(2.)
    """
    aval = aval_of(pred)
    if aval.shape != ():
        raise ShapeError(
            f"cond takes a scalar predicate, got {aval}; use functrans.numpy.where for a choice of elements, or vmap"
        )
    if kind_of(aval.dtype) not in "biuf":
        raise DTypeError(f"cond takes a boolean or a number as predicate, got {aval}")
    if not callable(true_fun) and callable(false_fun) and len(operands) == 2 and callable(operands[1]):
        run_true, run_false, operands = false_fun, operands[1], (true_fun, operands[0])
        true_fun, false_fun = (lambda a, b: run_true(a)), (lambda a, b: run_false(b))
    if not callable(true_fun) or not callable(false_fun):
        raise ArgumentError(
            "cond takes two functions, for true and for false: cond(pred, true_fun, false_fun, *operands)"
        )
    index = pred if aval.dtype.kind == "b" else ew.ne(pred, 0)
    operands = _with_named("cond", operands, operand)
    return _choose("cond", index, (false_fun, true_fun), ("false_fun", "true_fun"), operands)


def _with_named(what: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    if operand is _NOTHING:
        return operands
    if operands:
        raise ArgumentError(f"{what} takes operands by position, or one by name as operand=, not both")
    return (operand,)


@api_boundary
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any, operand: Any = _NOTHING) -> Any:
    """`branches[index](*operands)`, with the integer `index` clamped to the branches; only one of them runs.

    >>> import functrans as ft
    >>> ft.lax.switch(7, [lambda x: x, lambda x: -x], 1.0)
    Array(-1.)
    """
    aval = aval_of(index)
    if aval.shape != () or aval.dtype.kind not in "iu":
        raise DTypeError(f"switch takes an integer scalar as index, got {aval}")
    if not branches:
        raise ArgumentError("switch needs at least one branch")
    names = [f"branch {i} ({function_name(b)})" for i, b in enumerate(branches)]
    return _choose("switch", index, tuple(branches), names, _with_named("switch", operands, operand))


def _choose(what: str, index: Any, functions: Sequence[Any], names: Sequence[str], operands: Any) -> Any:
    if not isinstance(index, Tracer):
        number = min(max(int(index), 0), len(functions) - 1)
        leaves, tree = flatten(functions[number](*operands))
        check_results(f"{names[number]} of {what}", leaves, tree)
        return unflatten(tree, [x if isinstance(x, Tracer) else wrap(x) for x in leaves])
    leaves, tree = flatten(operands)
    avals = [aval_of(x) for x in leaves]
    staged = [stage_function(f, avals, tree, f"{name} of {what}", absorbs=True) for f, name in zip(functions, names)]
    out_tree = staged[0][2]
    for (_, _, other), name in zip(staged[1:], names[1:]):
        if other != out_tree:
            raise structure_error(
                f"the results of {names[0]} and {name} of {what}", out_tree, other, (names[0], name)
            ) or ArgumentError(f"the branches of {what} return different structures")
    jaxprs = _one_type(what, names, [j for j, _, _ in staged], out_tree)
    jaxprs, consts = common_consts([(j, c) for j, (_, c, _) in zip(jaxprs, staged)])
    index = convert_element_type(index, np.int64)
    outs = cond_p.bind(index, *consts, *leaves, branches=tuple(jaxprs))
    return unflatten(out_tree, outs)


def _one_type(what: str, names: Sequence[str], jaxprs: list[Jaxpr], tree: PyTreeDef) -> list[Jaxpr]:
    """The branches with equal result types: weak results take the dtype of the others."""
    wanted: list[ShapedArray] = []
    for path, *avals in zip(key_paths(tree), *[j.out_avals for j in jaxprs]):
        shapes = {a.shape for a in avals}
        strong = {a.dtype for a in avals if not a.weak}
        dtype = next(iter(strong)) if strong else common_dtype(*[a.dtype for a in avals])
        if len(shapes) > 1 or len(strong) > 1 or not all(a.dtype == dtype or takes_weak(dtype, a) for a in avals):
            lines = "\n".join(f"  {name}: {a}" for name, a in zip(names, avals))
            place = f"the result {keystr(path)}" if path else "the result"
            raise (ShapeError if len(shapes) > 1 else DTypeError)(
                f"the branches of {what} must return equal shapes and dtypes, but {place} is\n{lines}"
            )
        wanted.append(ShapedArray(avals[0].shape, dtype, not strong))
    return [_converted(j, wanted) for j in jaxprs]


def _converted(jaxpr: Jaxpr, wanted: Sequence[ShapedArray]) -> Jaxpr:
    if [(a.dtype, a.weak) for a in jaxpr.out_avals] == [(w.dtype, w.weak) for w in wanted]:
        return jaxpr

    def fun(*args: Any) -> list[Any]:
        outs = evaluate(jaxpr, (), args, sources=True)
        return [convert_element_type(o, w.dtype, w.weak) for o, w in zip(outs, wanted)]

    return close_over(*stage(fun, jaxpr.in_avals))


# ---------------------------------------------------------------- rules


def _impl(index: Any, *operands: Any, branches: Branches, by_lane: bool = False) -> list[Any]:
    return evaluate(branches[min(max(int(index), 0), len(branches) - 1)], (), operands)


def _abstract(index: ShapedArray, *avals: ShapedArray, branches: Branches, by_lane: bool = False) -> list[ShapedArray]:
    return branches[0].out_avals


def _jvp(primals: Any, tangents: Any, *, branches: Branches, **mark: bool) -> Any:
    nonzero = [t is not None for t in tangents[1:]]
    lives = [jvp_jaxpr(b, nonzero)[1] for b in branches]
    force = [any(live[i] for live in lives) for i in range(len(branches[0].outvars))]
    inner = tuple(jvp_jaxpr(b, nonzero, force)[0] for b in branches)
    outs = cond_p.bind(*primals, *(t for t in tangents[1:] if t is not None), branches=inner, **mark)
    n = len(branches[0].outvars)
    return outs[:n], spread(outs[n:], force)


def _taylor(order: int, primals: Any, series: Any, *, branches: Branches, **mark: bool) -> Any:
    live = [s is not None for s in series[1:]]
    lives = [taylor_jaxpr(b, order, live)[1] for b in branches]
    force = [any(live[i] for live in lives) for i in range(len(branches[0].outvars))]
    inner = tuple(taylor_jaxpr(b, order, live, force)[0] for b in branches)
    outs = cond_p.bind(*primals, *flattened(series[1:], primals[1:]), branches=inner, **mark)
    n = len(branches[0].outvars)
    return outs[:n], grouped(outs[n:], order, force)


def _linearize(primals: Any, tangents: Any, *, branches: Branches, **mark: bool) -> Any:
    """The branch that runs saves its residuals; places for those of the others are filled with what does no harm."""
    index, *operands = primals
    nonzero = [t is not None for t in tangents[1:]]
    splits = [linearize_jaxpr(b, nonzero) for b in branches]
    n_outs = len(branches[0].outvars)
    force = [any(s.nonzero_outs[i] for s in splits) for i in range(n_outs)]
    slots, places = _residual_slots([[a.aval.strong() for a in s.forward.outvars[n_outs:]] for s in splits])

    def forward(number: int) -> Jaxpr:
        def fun(*args: Any) -> list[Any]:
            results = evaluate(splits[number].forward, (), args, sources=True)
            saved = dict(zip(places[number], results[n_outs:]))
            return [*results[:n_outs], *(saved[k] if k in saved else _harmless(a) for k, a in enumerate(slots))]

        return close_over(*stage(fun, branches[number].in_avals))

    def linear(number: int) -> Jaxpr:
        split = splits[number]

        def fun(*args: Any) -> list[Any]:
            saved, rest = args[: len(slots)], args[len(slots) :]
            own, tangents_in = rest[: len(operands)], rest[len(operands) :]
            outs = evaluate(split.linear, (), [*split.residuals(own, [saved[k] for k in places[number]]), *tangents_in])
            found = spread(outs, split.nonzero_outs)
            return [
                zeros(tangent_aval(v)) if t is None else t for t, v, f in zip(found, branches[0].outvars, force) if f
            ]

        tangent_avals = [tangent_aval(v) for v, nz in zip(branches[number].invars, nonzero) if nz]
        return close_over(*stage(fun, [*slots, *branches[number].in_avals, *tangent_avals]))

    outs = cond_p.bind(index, *operands, branches=tuple(forward(i) for i in range(len(branches))), **mark)
    out_tangents = cond_p.bind(
        index, *outs[n_outs:], *operands, *(t for t in tangents[1:] if t is not None),
        branches=tuple(linear(i) for i in range(len(branches))), **mark,
    )  # fmt: skip
    return outs[:n_outs], spread(out_tangents, force)


def _harmless(aval: ShapedArray) -> Any:
    """Ones, and zeros for integers: a mapped branch reads them for examples that did not take it.

    Residuals are divisors often; where one were zero, a derivative of what is not selected would be NaN.
    """
    if not is_inexact(aval.dtype):
        return zeros(aval)
    return broadcast_in_dim(aval.dtype.type(1), aval.shape, ())


def _residual_slots(residuals: Sequence[Sequence[ShapedArray]]) -> tuple[list[ShapedArray], list[list[int]]]:
    """Types of places that hold the residuals of any one branch, and for each branch where its residuals go."""
    slots: list[ShapedArray] = []
    places = []
    for avals in residuals:
        free = list(range(len(slots)))
        own = []
        for aval in avals:
            k = next((k for k in free if slots[k] == aval), None)
            if k is None:
                k = len(slots)
                slots.append(aval)
            else:
                free.remove(k)
            own.append(k)
        places.append(own)
    return slots, places


def _transpose(cts: Sequence[Any], index: Any, *operands: Any, branches: Branches, **mark: bool) -> list[Any]:
    linear = [is_linear(x) for x in operands]
    filled = [zeros(a.strong()) if ct is None else ct for ct, a in zip(cts, branches[0].out_avals)]
    inner = tuple(transpose_jaxpr_full(b, linear) for b in branches)
    outs = cond_p.bind(index, *(x for x in operands if not is_linear(x)), *filled, branches=inner, **mark)
    return [None, *spread(outs, linear)]


def _batch(axis: Axis, args: list[Any], dims: list[Any], *, branches: Branches, by_lane: bool = False) -> Any:
    index, *operands = args
    batched = [d is not None for d in dims[1:]]
    operands = [batch_first(axis, x, d) if d is not None else x for x, d in zip(operands, dims[1:])]
    lives = [batch_jaxpr(b, axis, batched)[1] for b in branches]
    if dims[0] is None:
        force = [any(live[i] for live in lives) for i in range(len(branches[0].outvars))]
        inner = tuple(batch_jaxpr(b, axis, batched, force)[0] for b in branches)
        return cond_p.bind(index, *operands, branches=inner), [0 if f else None for f in force]
    if any(map(jaxpr_has_effect, branches)) and axis.name not in axis_names(cond_p, {"branches": branches}):
        return one_by_one(cond_p, axis, args, dims, branches=branches)
    index, last = batch_first(axis, index, dims[0]), len(branches) - 1
    if not last:  # everybody takes it
        return cond_p.batch(axis, [0, *operands], [None, *(0 if b else None for b in batched)], branches=branches)
    # below the first is the first, beyond the last the last
    masks = [ew.le(index, 0), *(ew.eq(index, i) for i in range(1, last)), ew.ge(index, last)]
    results = [_taken(axis, mask, b, batched, operands) for mask, b in zip(masks, branches)]
    outs = results[-1]
    for mask, result in zip(masks[-2::-1], results[-2::-1]):
        outs = [_select(mask, a, b) for a, b in zip(result, outs)]
    return outs, [0] * len(outs)


#: Operations of one example from which on it pays to ask whether any example takes a branch.
MANY = 200


def _taken(axis: Axis, active: Any, branch: Jaxpr, batched: Sequence[bool], operands: Sequence[Any]) -> list[Any]:
    """The results of a branch for the examples that take it; what the others get is of no matter, nor are warnings.

    The param `by_lane` tells the compiler so: it may take the branch for some lanes and pass it over for others.
    """
    force = [True] * len(branch.outvars)
    jaxpr, _ = batch_jaxpr(guarded(branch), axis, [True, *batched], force)
    if jaxpr_cost(branch).flops < MANY or axis.name in axis_names(cond_p, {"branches": (branch,)}):
        with np.errstate(all="ignore"):
            return evaluate(jaxpr, (), [active, *operands], sources=True)
    nobody = close_over(*stage(lambda *_: [zeros(a.strong()) for a in jaxpr.out_avals], jaxpr.in_avals))
    some = convert_element_type(reduce_or(active, (0,)), np.int64)
    with np.errstate(all="ignore"):
        return cond_p.bind(some, active, *operands, branches=(nobody, jaxpr), by_lane=True)


def _guard(active: Any, index: Any, *operands: Any, branches: Branches, **mark: bool) -> Any:
    return cond_p.bind(index, active, *operands, branches=tuple(map(guarded, branches)), **mark)


def _select(mask: Any, x: Any, y: Any) -> Any:
    ndim = aval_of(x).ndim
    mask = reshape(mask, (*aval_of(mask).shape, *[1] * (ndim - aval_of(mask).ndim)))
    return ew.select_n.bind(mask, y, x)


cond_p = Primitive("cond", multiple_results=True)
cond_p.impl = _impl
cond_p.abstract_eval = _abstract
cond_p.jvp = _jvp
cond_p.taylor = _taylor
cond_p.linearize = _linearize
cond_p.transpose = _transpose
cond_p.batch = _batch
cond_p.guard = _guard
