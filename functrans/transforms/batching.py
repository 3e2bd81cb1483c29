"""Vectorisation: a jaxpr of one example, run on a batch of them.

`vmap` stages the function at the shapes of one example and evaluates the jaxpr here, equation by equation, by the
primitives' batching rules. A dim is the position of the batch axis in a value, or `None` for a value that all examples
share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Atom, Jaxpr, Literal, Var, axis_names, last_uses
from functrans.core.primitive import Axis, lookup
from functrans.core.source import source_is
from functrans.core.trace import stage
from functrans.transforms.jvp import close_over

Dim = int | None


def batch_evaluate(
    jaxpr: Jaxpr, consts: Sequence[Any], axis: Axis, args: Sequence[Any], dims: Sequence[Dim]
) -> tuple[list[Any], list[Dim]]:
    """Run a jaxpr on batched values; constants are shared by all examples."""
    env: dict[Var, tuple[Any, Dim]] = {v: (c, None) for v, c in zip(jaxpr.constvars, consts)}
    env.update((v, (a, d)) for v, a, d in zip(jaxpr.invars, args, dims))

    def read(atom: Atom) -> tuple[Any, Dim]:
        return (atom.value, None) if type(atom) is Literal else env[atom]  # type: ignore[index]

    for eqn, dead in zip(jaxpr.eqns, jaxpr.memoize("last_use", lambda: last_uses(jaxpr))):
        pairs = [read(a) for a in eqn.inputs]
        values = [v for v, _ in pairs]
        in_dims = [d for _, d in pairs]
        primitive = eqn.primitive
        with source_is(eqn.source):
            if all(d is None for d in in_dims) and axis.name not in axis_names(primitive, eqn.params):
                out = primitive.bind(*values, **eqn.params)
                out_dims: Any = [None] * len(eqn.outvars) if primitive.multiple_results else None
            else:
                out, out_dims = primitive.batch(axis, values, in_dims, **eqn.params)
        if primitive.multiple_results:
            env.update((v, (o, d)) for v, o, d in zip(eqn.outvars, out, out_dims))
        else:
            env[eqn.outvars[0]] = (out, out_dims)
        for var in dead:
            del env[var]
    results = [read(a) for a in jaxpr.outvars]
    return [v for v, _ in results], [d for _, d in results]


def batch_jaxpr(
    jaxpr: Jaxpr, axis: Axis, batched: Sequence[bool], force: Sequence[bool] | None = None
) -> tuple[Jaxpr, list[bool]]:
    """The jaxpr on batches, batch axes first; and which outputs are batched (at least those in `force`)."""
    key = ("batch", axis, tuple(batched), None if force is None else tuple(force))
    return jaxpr.memoize(key, lambda: _batch_jaxpr(jaxpr, axis, batched, force))


def _batch_jaxpr(
    jaxpr: Jaxpr, axis: Axis, batched: Sequence[bool], force: Sequence[bool] | None
) -> tuple[Jaxpr, list[bool]]:
    out_batched: list[bool] = []

    def fun(*args: Any) -> list[Any]:
        outs, dims = batch_evaluate(jaxpr, (), axis, args, [0 if b else None for b in batched])
        out_batched[:] = [d is not None or (force is not None and force[i]) for i, d in enumerate(dims)]
        return [batch_first(axis, o, d) if b else o for o, d, b in zip(outs, dims, out_batched)]

    avals = [ShapedArray((axis.size, *a.shape), a.dtype, a.weak) if b else a for a, b in zip(jaxpr.in_avals, batched)]
    return close_over(*stage(fun, avals)), out_batched


def batch_first(axis: Axis, value: Any, dim: Dim) -> Any:
    """The value with its batch axis in front; a shared value is broadcast along it."""
    if dim is None:
        shape = aval_of(value).shape
        return lookup("broadcast_in_dim").bind(
            value, shape=(axis.size, *shape), broadcast_dimensions=tuple(range(1, len(shape) + 1))
        )
    return move_axis(value, dim, 0)


def move_axis(value: Any, source: int, destination: int) -> Any:
    """The value with one axis moved."""
    if source == destination:
        return value
    order = [i for i in range(aval_of(value).ndim) if i != source]
    order.insert(destination, source)
    return lookup("transpose").bind(value, permutation=tuple(order))
