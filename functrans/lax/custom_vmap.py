"""Functions with batching rules of the user's own: `custom_vmap`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import PyTreeDef, flatten, structure_error, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, NotDifferentiableError, ShapeError
from functrans.lax.flat import live_values, spread, stage_function
from functrans.lax.scans import map as map_slices
from functrans.transforms.batching import batch_first
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import DirectTracer, TangentTracer, close_over, jvp, linearize_jaxpr, tangent_aval
from functrans.transforms.transpose import Linear, backward_pass, is_linear, transpose_jaxpr

#: A rule on leaves: `(axis size, which operands are batched, operands) -> results, which of them are batched`.
FlatRule = Callable[[int, Sequence[bool], Sequence[Any]], tuple[list[Any], list[bool]]]


class custom_vmap:
    """A function that `vmap` maps by a rule of the user's own.

    The rule, given to `def_vmap`, is `rule(axis_size, in_batched, *args) -> out, out_batched`: `in_batched` has
    the structure of `args`, with booleans that say which arrays are batched (along their first axis); `out_batched`
    says that of the result.

    Both modes of differentiation go through the rule. Values that the function captures must not be mapped, nor
    differentiated with respect to: pass those as arguments.

    >>> import functrans as ft, functrans.numpy as fnp, numpy as np
    >>> @ft.custom_batching.custom_vmap
    ... def f(x, y):
    ...     return x @ y
    >>> @f.def_vmap
    ... def f_vmap_rule(axis_size, in_batched, x, y):
    ...     print(in_batched)
    ...     return x @ y, True
    >>> ft.vmap(f, in_axes=(0, None))(np.ones((2, 3)), np.ones(3))
    [True, False]
    Array([3., 3.])
    """

    def __init__(self, fun: Callable[..., Any]):
        if not callable(fun):
            raise ArgumentError(f"custom_vmap takes a function, got {fun!r:.60}")
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.vmap_rule: Callable[..., Any] | None = None

    def def_vmap(self, vmap_rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule."""
        self.vmap_rule = vmap_rule
        return vmap_rule

    @property
    def name(self) -> str:
        return getattr(self.fun, "__name__", type(self.fun).__name__)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.vmap_rule is None:
            raise ArgumentError(f"{self.name} is a custom_vmap without a rule: define one with @{self.name}.def_vmap")
        bound = inspect.signature(self.fun).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise ArgumentError(
                f"{self.name} has a batching rule and keyword-only arguments ({', '.join(bound.kwargs)}), which a rule "
                "cannot take; make them positional"
            )
        args = bound.args
        leaves, tree = flatten(args)
        if all(map(_known, leaves)):
            return self.fun(*args)
        what = f"{self.name}, which has a batching rule,"
        jaxpr, consts, out_tree = stage_function(self.fun, [aval_of(x) for x in leaves], tree, what)
        rule = _flat_rule(self.name, self.vmap_rule, tree, out_tree, jaxpr)
        outs = custom_vmap_call_p.bind(*consts, *leaves, jaxpr=jaxpr, rule=rule, name=self.name, num_consts=len(consts))
        return unflatten(out_tree, outs)


def _known(x: Any) -> bool:
    """Whether a value is plain data, perhaps under differentiation: nothing that `vmap` or `jit` will see again."""
    return _known(x.primal) if isinstance(x, (TangentTracer, DirectTracer)) else not isinstance(x, Tracer)


def _flat_rule(name: str, rule: Callable[..., Any], tree: PyTreeDef, out_tree: PyTreeDef, jaxpr: Jaxpr) -> FlatRule:
    def flat(size: int, batched: Sequence[bool], args: Sequence[Any]) -> tuple[list[Any], list[bool]]:
        pair = rule(size, list(unflatten(tree, list(batched))), *unflatten(tree, args))
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ArgumentError(f"the batching rule of {name} must return a pair (out, out_batched), got {pair!r:.80}")
        outs, structure = flatten(pair[0])
        flags, flag_structure = flatten(pair[1])
        if structure != out_tree:
            raise structure_error(
                f"the result of {name} and that of its batching rule", out_tree, structure, ("result", "rule's result")
            ) or ArgumentError(f"the batching rule of {name} returned another structure than {name}")
        if isinstance(pair[1], bool):
            flags = [pair[1]] * len(outs)
        elif flag_structure != out_tree:
            raise structure_error(
                f"out and out_batched of the batching rule of {name}", out_tree, flag_structure, ("out", "out_batched")
            ) or ArgumentError(f"out and out_batched of the batching rule of {name} differ in structure")
        for out, flag, aval in zip(outs, flags, jaxpr.out_avals):
            wanted = (size, *aval.shape) if flag else aval.shape
            if aval_of(out).shape != wanted or aval_of(out).dtype != aval.dtype:
                raise ShapeError(
                    f"the batching rule of {name} returned {aval_of(out)}, {'' if flag else 'not '}batched, where "
                    f"{name} returns {aval} for one example and the axis has {size}"
                )
        return outs, [bool(f) for f in flags]

    return flat


# ---------------------------------------------------------------- rules


def _no_capture(name: str, operands: Sequence[Any], verb: str) -> None:
    if any(x is not None for x in operands):
        raise NotDifferentiableError(
            f"{name}, which has a batching rule of its own, captures a value {verb} (a closure); the rule "
            "says nothing of it. Pass it as an argument."
        )


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, rule: FlatRule, name: str, num_consts: int
) -> Any:
    _no_capture(name, dims[:num_consts], "that is mapped")
    args, dims = args[num_consts:], dims[num_consts:]
    operands = [x if d is None else batch_first(axis, x, d) for x, d in zip(args, dims)]
    outs, flags = rule(axis.size, [d is not None for d in dims], operands)
    return outs, [0 if f else None for f in flags]


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, rule: FlatRule, name: str, num_consts: int
) -> Any:
    """The tangents are a function of their own, whose batching rule is the derivative of the rule."""
    _no_capture(name, tangents[:num_consts], "with respect to which it is differentiated")
    outs = custom_vmap_call_p.bind(*primals, jaxpr=jaxpr, rule=rule, name=name, num_consts=num_consts)
    nonzero = [t is not None for t in tangents]
    pushed, live = jaxpr.memoize(("tangents", tuple(nonzero)), lambda: _tangents(jaxpr, nonzero))
    if not any(live):
        return outs, [None] * len(outs)
    own, n = nonzero[num_consts:], len(primals) - num_consts

    def pushed_rule(size: int, batched: Sequence[bool], args: Sequence[Any]) -> tuple[list[Any], list[bool]]:
        axis = Axis(size)
        together = [b or bool(t) for b, t in zip(batched[:n], spread(batched[n:], own))]
        rest = iter(zip(args[n:], batched[n:]))
        values = [_like(axis, x, b, w) for x, b, w in zip(args[:n], batched[:n], together)]
        directions = [_like(axis, *next(rest), w) if nz else None for nz, w in zip(own, together)]
        flags: list[bool] = []

        def flat(*xs: Any) -> list[Any]:
            found, flags[:] = rule(size, together, xs)
            return found

        found, found_tangents = jvp(flat, values, directions)
        kept = [(zeros(tangent_aval(o)) if t is None else t, f)
                for o, t, f, lv in zip(found, found_tangents, flags, live) if lv]  # fmt: skip
        return [t for t, _ in kept], [f for _, f in kept]

    found = custom_vmap_call_p.bind(
        *primals, *live_values(tangents), jaxpr=pushed, rule=pushed_rule, name=name, num_consts=num_consts
    )
    return outs, spread(found, live)


def _like(axis: Axis, x: Any, batched: bool, wanted: bool) -> Any:
    return batch_first(axis, x, None) if wanted and not batched else x


def _tangents(jaxpr: Jaxpr, nonzero: Sequence[bool]) -> tuple[Jaxpr, list[bool]]:
    """`primals, nonzero tangents -> nonzero tangents of the results`, and which those are."""
    split = linearize_jaxpr(jaxpr, nonzero)
    n, n_outs = len(jaxpr.invars), len(jaxpr.outvars)

    def fun(*args: Any) -> list[Any]:
        saved = evaluate(split.forward, (), args[:n], sources=True)[n_outs:]
        return evaluate(split.linear, (), [*split.residuals(args[:n], saved), *args[n:]], sources=True)

    avals = [*jaxpr.in_avals, *(tangent_aval(v) for v, nz in zip(jaxpr.invars, nonzero) if nz)]
    return close_over(*stage(fun, avals)), split.nonzero_outs


def _transpose(
    cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, rule: FlatRule, name: str, num_consts: int
) -> list[Any]:
    """Its batching rule is the transpose of the rule; what is linear counts as batched in it."""
    linear = [is_linear(x) for x in operands]
    nonzero = [ct is not None for ct in cts]
    inner, live = transpose_jaxpr(jaxpr, linear, nonzero)
    known = [x for x in operands if not is_linear(x)]
    avals = [x.aval for x in operands if is_linear(x)]
    own = linear[num_consts:]

    def transposed_rule(size: int, batched: Sequence[bool], args: Sequence[Any]) -> tuple[list[Any], list[bool]]:
        axis = Axis(size)
        n_known = own.count(False)
        values, flags = args[:n_known], iter(batched[:n_known])
        every = [True if lin else next(flags) for lin in own]

        def forward(*directions: Any) -> list[Any]:
            rest, free = iter(directions), iter(values)
            found, out_flags = rule(size, every, [next(rest) if lin else next(free) for lin in own])
            return [_like(axis, x, f, True) for x, f in zip(found, out_flags)]

        batched_avals = [ShapedArray((size, *a.shape), a.dtype) for a in avals]
        program, consts = stage(forward, batched_avals, f"the batching rule of {name}")
        out_cts = iter(_like(axis, ct, b, True) for ct, b in zip(args[n_known:], batched[n_known:]))
        found = backward_pass(
            program, consts, list(map(Linear, batched_avals)), [next(out_cts) if nz else None for nz in nonzero]
        )
        filled = [zeros(a) if ct is None else ct for ct, a, lv in zip(found, batched_avals, live) if lv]
        return filled, [True] * len(filled)

    outs = custom_vmap_call_p.bind(
        *known, *live_values(cts), jaxpr=inner, rule=transposed_rule, name=name, num_consts=num_consts
    )
    return spread(spread(outs, live), linear)


def _guard(active: Any, *operands: Any, jaxpr: Jaxpr, rule: FlatRule, name: str, num_consts: int) -> list[Any]:
    """The user's rule is told nothing of examples that are not active: it sees all."""
    inner = guarded(jaxpr)
    consts, args = operands[:num_consts], operands[num_consts:]
    moved = Jaxpr((), [*inner.invars[1 : num_consts + 1], inner.invars[0], *inner.invars[num_consts + 1 :]], inner.eqns,
                  inner.outvars)  # fmt: skip
    of_args: FlatRule = lambda size, batched, xs: rule(size, batched[1:], xs[1:])
    return custom_vmap_call_p.bind(*consts, active, *args, jaxpr=moved, rule=of_args, name=name, num_consts=num_consts)


custom_vmap_call_p = Primitive("custom_vmap_call", multiple_results=True)
custom_vmap_call_p.impl = lambda *args, jaxpr, **params: evaluate(jaxpr, (), args)
custom_vmap_call_p.abstract_eval = lambda *avals, jaxpr, **params: jaxpr.out_avals
custom_vmap_call_p.jvp = _jvp
custom_vmap_call_p.transpose = _transpose
custom_vmap_call_p.batch = _batch
custom_vmap_call_p.guard = _guard

# ---------------------------------------------------------------- one example after another


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """`f`, which `vmap` runs on one example after another (by `lax.map`).

    >>> import functrans as ft, numpy as np
    >>> @ft.custom_batching.sequential_vmap
    ... def f(x, y):
    ...     return x * y
    >>> ft.vmap(f, in_axes=(0, None))(np.arange(3.0), 2.0)
    Array([0., 2., 4.])
    """
    mapped = custom_vmap(f)

    @mapped.def_vmap
    def rule(axis_size: int, in_batched: Any, *args: Any) -> Any:
        leaves, tree = flatten(args)
        flags = flatten(tuple(in_batched))[0]

        def one(own: list[Any]) -> Any:
            rest = iter(own)
            return f(*unflatten(tree, [next(rest) if b else x for x, b in zip(leaves, flags)]))

        return map_slices(one, [x for x, b in zip(leaves, flags) if b]), True

    return mapped


__all__ = ["custom_vmap", "sequential_vmap"]
