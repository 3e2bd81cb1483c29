"""Reductions by a function of the user's own: `reduce`, and `reduce_window`.

A function of two scalars that is one of sum, product, maximum, ... becomes the reduction of that name. Others are
traced once and combine neighbours, then neighbours of those, along a tree of logarithmic depth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import PyTreeDef, flatten, structure_error, unflatten
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.broadcasting import broadcast_in_dim, broadcast_to, reduce_sum_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import function_name, stage_function, takes_weak
from functrans.lax.promotion import as_operand
from functrans.lax.reductions import (
    canonical_axes,
    reduce_and_p,
    reduce_max_p,
    reduce_min_p,
    reduce_or_p,
    reduce_prod_p,
    reduce_xor_p,
)
from functrans.lax.structural import concatenate, reshape, slice_in_dim, transpose
from functrans.transforms.batching import batch_evaluate, batch_first

#: For each primitive that combines two values, the primitive that reduces an axis by it.
REDUCTIONS = {
    "add": reduce_sum_p,
    "mul": reduce_prod_p,
    "max": reduce_max_p,
    "min": reduce_min_p,
    "and": reduce_and_p,
    "or": reduce_or_p,
    "xor": reduce_xor_p,
}


class Monoid:
    """An associative function of two pytrees of scalars, staged; `named` if it is one primitive of `REDUCTIONS`."""

    def __init__(self, what: str, computation: Callable[[Any, Any], Any], dtypes: Sequence[np.dtype], tree: PyTreeDef):
        if not callable(computation):
            raise ArgumentError(f"{what} takes a function of two values as its computation, got {computation!r:.60}")
        scalars = [ShapedArray((), d) for d in dtypes]
        value = unflatten(tree, [0] * len(scalars))
        name = f"the computation of {what}, {function_name(computation)},"
        self.jaxpr, self.consts, out_tree = stage_function(
            computation, [*scalars, *scalars], flatten((value, value))[1], name
        )
        if out_tree != tree:
            raise structure_error(
                f"{name} must return the structure of an element", tree, out_tree, ("an element", "the result")
            ) or ArgumentError(f"{name} must return the structure of an element, {tree}, it returned {out_tree}")
        for d, out in zip(dtypes, self.jaxpr.out_avals):
            if out.shape != () or (out.dtype != d and not takes_weak(d, out)):
                raise (ShapeError if out.shape else DTypeError)(
                    f"{name} must return a scalar of dtype {d}, as it was given, but it returned {out}"
                )
        self.dtypes = list(dtypes)
        self.named = _named(self.jaxpr) if not self.consts else None

    def combine(self, xs: Sequence[Any], ys: Sequence[Any]) -> list[Any]:
        """The function on arrays of equal shapes, element by element."""
        shape = aval_of(xs[0]).shape
        n = math.prod(shape)
        flat = [reshape(v, (n,)) for v in (*xs, *ys)]
        axis = Axis(n)
        args = [*self.consts, *flat]
        outs, dims = batch_evaluate(self.jaxpr, (), axis, args, [None] * len(self.consts) + [0] * len(flat))
        outs = [batch_first(axis, o, d) for o, d in zip(outs, dims)]
        return [reshape(convert_element_type(o, d), shape) for o, d in zip(outs, self.dtypes)]

    def reduce(self, xs: Sequence[Any], inits: Sequence[Any], axes: Sequence[int]) -> list[Any]:
        """All elements along `axes` combined, in order, and the initial values before them."""
        shape = aval_of(xs[0]).shape
        kept = [i for i in range(len(shape)) if i not in axes]
        sizes = [shape[i] for i in kept]
        n = math.prod(shape[i] for i in axes)
        starts = [broadcast_to(i, tuple(sizes)) for i in inits]
        if n == 0 or 0 in sizes:
            return starts
        last = len(kept)
        xs = [reshape(transpose(x, [*kept, *axes]), (*sizes, n)) for x in xs]
        while n > 1:
            half = n // 2
            pairs = [reshape(slice_in_dim(x, 0, 2 * half, axis=last), (*sizes, half, 2)) for x in xs]
            left, right = (
                [reshape(slice_in_dim(p, i, i + 1, axis=last + 1), (*sizes, half)) for p in pairs] for i in (0, 1)
            )
            found = self.combine(left, right)
            rest = [slice_in_dim(x, 2 * half, n, axis=last) for x in xs]
            xs = [concatenate([f, r], last) for f, r in zip(found, rest)] if n % 2 else found
            n = half + n % 2
        return self.combine(starts, [reshape(x, tuple(sizes)) for x in xs])


def _named(jaxpr: Jaxpr) -> Primitive | None:
    """The primitive of two scalars that a jaxpr is, if it is one that reduces an axis."""
    if len(jaxpr.eqns) == 1 and list(jaxpr.outvars) == list(jaxpr.eqns[0].outvars):
        eqn = jaxpr.eqns[0]
        if eqn.primitive.name in REDUCTIONS and set(eqn.inputs) == set(jaxpr.invars):
            return eqn.primitive
    return None


def initial(what: str, value: Any, dtype: np.dtype) -> Any:
    """The initial value of a reduction, of the operand's dtype."""
    aval = aval_of(value)
    if aval.shape:
        raise ShapeError(f"{what}: init_value must be a scalar, got an array of shape {aval.shape}")
    if aval.dtype != dtype and takes_weak(dtype, aval):
        return convert_element_type(value, dtype)
    if aval.dtype != dtype:
        raise DTypeError(f"{what}: init_value has dtype {aval.dtype}, the operand {dtype}; convert one of them")
    return value if isinstance(value, Tracer) else dtype.type(value)


def is_identity(reduction: Primitive, value: Any, dtype: np.dtype) -> bool:
    """Whether a value is known, and changes nothing that a reduction combines with it."""
    assert reduction.reduction is not None
    return not isinstance(value, Tracer) and np.array_equal(value, dtype.type(reduction.reduction.identity(dtype)))


@api_boundary
def reduce(
    operands: Any,
    init_values: Any,
    computation: Callable[[Any, Any], Any],
    dimensions: Sequence[int],
    out_sharding: None = None,
) -> Any:
    """Combine all elements along some axes by an associative function.

    Args:
        operands: an array, or a pytree of arrays of one shape whose elements are combined together.
        init_values: for each operand a scalar of its dtype, with which the reduction starts: for whatever is combined
            with it, it should change nothing.
        computation: an associative function of two elements. Sums, products, maxima, minima and bitwise operations,
            written in any way, become `reduce_sum` and its like; others combine neighbours along a tree.
        dimensions: the axes.
        out_sharding: `None`.

    Returns:
        The structure of `operands`, without those axes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.reduce(np.array([1.0, 2.0, 3.0]), 0.0, lambda x, y: x + y, (0,))
    Array(6.)
    >>> def later_maximum(x, y):
    ...     return lax.cond(y[0] >= x[0], lambda: y, lambda: x)
    >>> lax.reduce((np.array([1.0, 3.0, 3.0]), np.arange(3)), (-np.inf, -1), later_maximum, (0,))
    (Array(3.), Array(2))
    """
    refuse_placement("reduce", out_sharding=out_sharding)
    leaves, tree = flatten(operands)
    leaves = [as_operand("reduce", x) for x in leaves]
    inits, init_tree = flatten(init_values)
    if init_tree != tree:
        raise structure_error(
            "operands and init_values of reduce", tree, init_tree, ("operands", "init_values")
        ) or ArgumentError("operands and init_values of reduce have different structures")
    if not leaves:
        return operands
    shapes = [aval_of(x).shape for x in leaves]
    if any(s != shapes[0] for s in shapes):
        raise ShapeError(f"reduce: the operands must have one shape, they have {shapes}")
    axes = canonical_axes(dimensions, len(shapes[0]))
    dtypes = [aval_of(x).dtype for x in leaves]
    starts = [initial("reduce", i, d) for i, d in zip(inits, dtypes)]
    monoid = Monoid("reduce", computation, dtypes, tree)
    if monoid.named is not None:
        reduction = REDUCTIONS[monoid.named.name]
        known = is_identity(reduction, starts[0], dtypes[0])
        if math.prod(shapes[0][a] for a in axes) == 0:
            kept = tuple(n for i, n in enumerate(shapes[0]) if i not in axes)
            return unflatten(tree, [broadcast_in_dim(starts[0], kept, ())])
        out = reduction.bind(leaves[0], axes=axes)
        return unflatten(tree, [out if known else monoid.named.bind(starts[0], out)])
    return unflatten(tree, monoid.reduce(leaves, starts, axes))


__all__ = ["reduce"]
