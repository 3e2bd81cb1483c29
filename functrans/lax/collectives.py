"""Collectives: reductions and exchanges between the examples of a `vmap` with an `axis_name`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from functrans.core import axes
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer, current_staging
from functrans.errors import AxisNameError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import iota, reduce_sum_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import gather
from functrans.lax.reductions import reduce_max_p, reduce_min_p
from functrans.lax.structural import reshape
from functrans.transforms.batching import batch_first, move_axis

# ---------------------------------------------------------------- reductions


def _collective(name: str) -> Primitive:
    p = Primitive(name)
    p.collective = True
    p.impl = lambda *args, axis_name, **params: _unbound(name, axis_name)
    return p


def _unbound(name: str, axis_name: Any) -> Any:
    raise AxisNameError(f"{name} over the axis {axis_name!r} outside of the vmap that binds it")


def _reduction(name: str, reduce: Primitive, shared: Any) -> Primitive:
    """`shared(x, size)`: the result for a value that all examples share."""
    p = _collective(name)
    p.abstract_eval = lambda x, *, axis_name: x.strong()

    def batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable) -> Any:
        (x,), (d,) = args, dims
        if axis.name != axis_name:
            return p.bind(x, axis_name=axis_name), d
        return (shared(x, axis.size), None) if d is None else (reduce.bind(x, axes=(d,)), None)

    p.batch = batch
    return p


psum_p = _reduction("psum", reduce_sum_p, lambda x, n: ew.mul.bind(x, aval_of(x).dtype.type(n)))
pmax_p = _reduction("pmax", reduce_max_p, lambda x, n: x)
pmin_p = _reduction("pmin", reduce_min_p, lambda x, n: x)
psum_p.jvp = lambda p, t, *, axis_name: (psum_p.bind(p[0], axis_name=axis_name), psum_p.bind(t[0], axis_name=axis_name))
psum_p.transpose = lambda ct, x, *, axis_name: [psum_p.bind(ct, axis_name=axis_name)]


def _extremum_jvp(primitive: Primitive) -> Any:
    def jvp(primals: Any, tangents: Any, *, axis_name: Hashable) -> Any:
        (x,), (t,) = primals, tangents
        y = primitive.bind(x, axis_name=axis_name)
        chosen = convert_element_type(ew.eq(x, y), aval_of(x).dtype)
        share = ew.div(chosen, psum_p.bind(chosen, axis_name=axis_name))
        return y, psum_p.bind(ew.mul(t, share), axis_name=axis_name)

    return jvp


pmax_p.jvp = _extremum_jvp(pmax_p)
pmin_p.jvp = _extremum_jvp(pmin_p)


def _over(primitive: Primitive, x: Any, axis_name: Any) -> Any:
    names = axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        axes.axis_size(name)  # the error for a name that nobody binds
    leaves, tree = flatten(x)
    for name in names:
        leaves = [_bind(primitive, v, name) for v in leaves]
    return unflatten(tree, leaves)


def _bind(primitive: Primitive, x: Any, name: Any, **params: Any) -> Any:
    """Bind even where the operand is a plain value: what it means is known to the vmap alone."""
    staging = current_staging()
    if staging is not None and not isinstance(x, Tracer):
        return staging.process(primitive, [x], {"axis_name": name, **params})
    return primitive.bind(x, axis_name=name, **params)


def psum(x: Any, axis_name: Any) -> Any:
    """The sum over all examples of the `vmap` that binds `axis_name` (one name, or several); of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.psum(x, "i"), axis_name="i")(np.arange(3.0))
    Array([3., 3., 3.])
    """
    return _over(psum_p, x, axis_name)


def pmean(x: Any, axis_name: Any) -> Any:
    """The mean over all examples."""
    n = axis_size(axis_name)
    leaves, tree = flatten(psum(x, axis_name))
    return unflatten(tree, [v / n for v in leaves])


def pmax(x: Any, axis_name: Any) -> Any:
    """The maximum over all examples."""
    return _over(pmax_p, x, axis_name)


def pmin(x: Any, axis_name: Any) -> Any:
    """The minimum over all examples."""
    return _over(pmin_p, x, axis_name)


# ---------------------------------------------------------------- the axis itself


def axis_size(axis_name: Any) -> int:
    """The number of examples along an axis (of several together), a plain integer."""
    size = 1
    for name in axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,):
        size *= axes.axis_size(name)
    return size


axis_index_p = _collective("axis_index")
axis_index_p.abstract_eval = lambda *, axis_name: ShapedArray((), np.dtype(np.int64))


def _axis_index_batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable) -> Any:
    if axis.name != axis_name:
        return axis_index_p.create(axis_name=axis_name), None
    return iota(np.int64, axis.size), 0


axis_index_p.batch = _axis_index_batch


def axis_index(axis_name: Any) -> Any:
    """The number of this example along the axis.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: x + ft.lax.axis_index("i"), axis_name="i")(np.zeros(3))
    Array([0., 1., 2.])
    """
    if isinstance(axis_name, (tuple, list)):
        index: Any = 0
        for name in axis_name:
            index = index * axis_size(name) + axis_index(name)
        return index
    axes.axis_size(axis_name)
    return axis_index_p.create(axis_name=axis_name)


# ---------------------------------------------------------------- exchanges

all_gather_p = _collective("all_gather")
all_gather_p.abstract_eval = lambda x, *, axis_name, axis, size: ShapedArray(
    (*x.shape[:axis], size, *x.shape[axis:]), x.dtype
)


def _all_gather_batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable, **params: Any) -> Any:
    (x,), (d,) = args, dims
    place = params["axis"]
    if axis.name != axis_name:
        if d is None:
            return all_gather_p.bind(x, axis_name=axis_name, **params), None
        x = move_axis(x, d, 0)
        return all_gather_p.bind(x, axis_name=axis_name, axis=place + 1, size=params["size"]), 0
    return move_axis(batch_first(axis, x, d), 0, place), None


all_gather_p.batch = _all_gather_batch
all_gather_p.jvp = lambda p, t, **params: (all_gather_p.bind(p[0], **params), all_gather_p.bind(t[0], **params))


def _all_gather_transpose(ct: Any, x: Any, *, axis_name: Hashable, axis: int, size: int) -> list[Any]:
    total = psum_p.bind(ct, axis_name=axis_name)
    index = axis_index_p.create(axis_name=axis_name)
    return [gather(total, [index], [axis], mode="promise_in_bounds")]


all_gather_p.transpose = _all_gather_transpose


def all_gather(x: Any, axis_name: Hashable, *, axis: int = 0, tiled: bool = False) -> Any:
    """The values of all examples, along a new axis (joined along `axis` if `tiled`), in every example."""
    size = axes.axis_size(axis_name)
    leaves, tree = flatten(x)
    out = []
    for v in leaves:
        ndim = aval_of(v).ndim + 1
        y = _bind(all_gather_p, v, axis_name, axis=axis % ndim, size=size)
        if tiled:
            shape = aval_of(v).shape
            y = reshape(y, (*shape[:axis], size * shape[axis], *shape[axis + 1 :]))
        out.append(y)
    return unflatten(tree, out)


def ppermute(x: Any, axis_name: Hashable, perm: Sequence[tuple[int, int]]) -> Any:
    """Each example's value sent to another: `perm` lists (source, destination); zeros where nothing arrives."""
    size = axes.axis_size(axis_name)
    source = np.full(size, size)
    for s, d in perm:
        source[d] = s
    if len({d for _, d in perm}) != len(perm) or len({s for s, _ in perm}) != len(perm):
        raise ShapeError(f"ppermute: {perm} names a source or a destination twice")
    leaves, tree = flatten(all_gather(x, axis_name))
    here = gather(source, [axis_index(axis_name)], [0], mode="promise_in_bounds")
    return unflatten(tree, [gather(v, [here], [0], mode="fill", fill_value=0) for v in leaves])


def all_to_all(x: Any, axis_name: Hashable, split_axis: int, concat_axis: int) -> Any:
    """Each example keeps its share of every example's `split_axis`, lined up along `concat_axis`."""
    leaves, tree = flatten(all_gather(x, axis_name))
    index = axis_index(axis_name)
    out = []
    for v in leaves:
        mine = gather(v, [index], [split_axis + 1], mode="promise_in_bounds")  # (examples, rest)
        out.append(move_axis(mine, 0, concat_axis))
    return unflatten(tree, out)


def pswapaxes(x: Any, axis_name: Hashable, axis: int) -> Any:
    """The axis of examples exchanged with an axis of the value, which must have its size."""
    return all_to_all(x, axis_name, axis, axis)


__all__ = [
    "all_gather", "all_to_all", "axis_index", "axis_size", "pmax", "pmean", "pmin", "ppermute",
    "pswapaxes", "psum",
]  # fmt: skip
