"""Collectives: reductions and exchanges between the examples of a `vmap` with an `axis_name`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from functrans.core import axes
from functrans.core.avals import ShapedArray, aval_of, is_array_like, is_inexact
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer, current_staging
from functrans.errors import ArgumentError, AxisNameError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_in_dim, broadcasted_iota, iota, reduce_sum_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.indexing import gather
from functrans.lax.promotion import as_operand
from functrans.lax.reductions import reduce_max_p, reduce_min_p
from functrans.lax.structural import canonical_axis, reshape
from functrans.transforms.batching import batch_first, move_axis
from functrans.transforms.taylor import termwise


class Collective(Primitive):
    """A primitive over the named axis of a `vmap`; `shared(x, size, **params)` is its result where all have one `x`."""

    def __init__(self, name: str, shared: Callable[..., Any]):
        super().__init__(name)
        self.collective = True
        self.shared = shared
        self.impl = lambda x, *, axis_name, **params: shared(x, axes.axis_size(axis_name), **params)

    def bind(self, *args: Any, **params: Any) -> Any:
        """What comes from outside of the `vmap` is no value of it: all examples share it."""
        (x,) = args
        name = params["axis_name"]
        if isinstance(x, Tracer) and x._trace.level <= axes.axis_level(name):
            return self.impl(x, **params)
        return super().bind(x, **params)


# ---------------------------------------------------------------- groups of examples

Groups = Sequence[Sequence[int]] | None


class _Groups:
    """Groups into which the examples of an axis fall: whose members this example looks at, and its place there."""

    def __init__(self, name: str, axis_name: Hashable, groups: Sequence[Sequence[int]], equal: bool = True):
        if isinstance(axis_name, (tuple, list)):
            raise ArgumentError(f"{name}: axis_index_groups are groups of one axis, got the axes {axis_name!r}")
        n = axes.axis_size(axis_name)
        members = [[operator.index(i) for i in group] for group in groups]
        if sorted(i for group in members for i in group) != list(range(n)):
            raise ArgumentError(
                f"{name}: axis_index_groups must name each of the {n} examples of axis {axis_name!r} once, got "
                f"{groups!r}"
            )
        if equal and len({len(group) for group in members}) > 1:
            raise ArgumentError(f"{name}: axis_index_groups must be of one size, got {groups!r}")
        self.axis_name = axis_name
        self.size = max(map(len, members), default=0)
        table, counts, ranks = np.zeros((n, self.size), int), np.zeros(n, int), np.zeros(n, int)
        for group in members:
            for rank, i in enumerate(group):
                table[i], counts[i], ranks[i] = (group * self.size)[: self.size], len(group), rank
        index = axis_index(axis_name)
        self.members, self.count, self.rank = (_at(a, index) for a in (table, counts, ranks))

    def values(self, x: Any) -> Any:
        """What the members of the group have, along a new first axis; where groups differ, some of it twice."""
        return gather(all_gather(x, self.axis_name), [self.members], [0], mode="promise_in_bounds")

    def reduced(self, primitive: Collective, x: Any) -> Any:
        values = self.values(x)
        if primitive is psum_p:
            shape = aval_of(values).shape
            counted = ew.lt(broadcasted_iota(np.int64, shape, 0), self.count)
            return reduce_sum_p.bind(ew.where(counted, values, aval_of(values).dtype.type(0)), axes=(0,))
        return (reduce_max_p if primitive is pmax_p else reduce_min_p).bind(values, axes=(0,))


def _at(table: Any, index: Any) -> Any:
    return gather(table, [index], [0], mode="promise_in_bounds")


# ---------------------------------------------------------------- reductions


def _reduction(name: str, reduce: Primitive, shared: Callable[[Any, int], Any]) -> Collective:
    p = Collective(name, shared)
    p.abstract_eval = lambda x, *, axis_name: x.strong()

    def batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable) -> Any:
        (x,), (d,) = args, dims
        if axis.name != axis_name:
            return p.bind(x, axis_name=axis_name), d
        return (shared(x, axis.size), None) if d is None else (reduce.bind(x, axes=(d,)), None)

    p.batch = batch
    return p


psum_p = _reduction("psum", reduce_sum_p, lambda x, n: x * n if isinstance(x, (int, float, complex)) else ew.mul(x, n))
pmax_p = _reduction("pmax", reduce_max_p, lambda x, n: x)
pmin_p = _reduction("pmin", reduce_min_p, lambda x, n: x)
psum_p.jvp = lambda p, t, *, axis_name: (psum_p.bind(p[0], axis_name=axis_name), psum_p.bind(t[0], axis_name=axis_name))
termwise(psum_p)
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


def _over(primitive: Collective, x: Any, axis_name: Any, groups: Groups = None) -> Any:
    names = axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,)
    for name in names:
        axes.axis_size(name)  # the error for a name that nobody binds
    leaves, tree = flatten(x)
    leaves = [v if is_array_like(v) else as_operand(primitive.name, v) for v in leaves]
    if groups is not None:
        parts = _Groups(primitive.name, axis_name, groups, equal=False)
        return unflatten(tree, [parts.reduced(primitive, v) for v in leaves])
    for name in names:
        leaves = [primitive.bind(v, axis_name=name) for v in leaves]
    return unflatten(tree, leaves)


def psum(x: Any, axis_name: Any, *, axis_index_groups: Groups = None) -> Any:
    """The sum over all examples of the `vmap` that binds a name.

    Args:
        x: a pytree; booleans are counted. Of a Python number it is a Python number: `psum(1, "i")` is the axis's size.
        axis_name: a name, or a tuple of names, to sum over all their axes.
        axis_index_groups: lists of the examples' numbers, each number in one of them: each example gets the sum over
            its own group. So for all collectives; those that exchange values need groups of one size.

    Raises:
        AxisNameError: no enclosing `vmap` binds the name.
        ArgumentError: the groups do not name each example once.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.psum(x, "i"), axis_name="i")(np.arange(3.0))
    Array([3., 3., 3.])
    """
    leaves, tree = flatten(x)
    leaves = [convert_element_type(v, np.int64) if _is_bool(v) else v for v in leaves]
    return _over(psum_p, unflatten(tree, leaves), axis_name, axis_index_groups)


def _is_bool(x: Any) -> bool:
    return is_array_like(x) and aval_of(x).dtype.kind == "b"


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Groups = None) -> Any:
    """The mean over all examples of the `vmap` that binds a name (or over several axes); of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: x - ft.lax.pmean(x, "i"), axis_name="i")(np.arange(3.0))
    Array([-1.,  0.,  1.])
    """
    n = axis_size(axis_name)
    if axis_index_groups is not None:
        n = _Groups("pmean", axis_name, axis_index_groups, equal=False).count
    leaves, tree = flatten(psum(x, axis_name, axis_index_groups=axis_index_groups))
    return unflatten(tree, [v / _as_real(n, v) for v in leaves])


def _as_real(n: Any, like: Any) -> Any:
    """A number of examples that keeps the dtype of floats, as a Python number does."""
    dtype = aval_of(like).dtype if is_array_like(like) else np.dtype(np.float64)
    return convert_element_type(n, dtype) if isinstance(n, Tracer) and is_inexact(dtype) else n


def pmax(x: Any, axis_name: Any, *, axis_index_groups: Groups = None) -> Any:
    """The maximum over all examples of the `vmap` that binds a name (or over several axes); of a pytree.

    Where several examples have it, they share its derivative.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: x == ft.lax.pmax(x, "i"), axis_name="i")(np.array([1.0, 3.0, 2.0]))
    Array([False,  True, False])
    """
    return _over(pmax_p, x, axis_name, axis_index_groups)


def pmin(x: Any, axis_name: Any, *, axis_index_groups: Groups = None) -> Any:
    """The minimum over all examples of the `vmap` that binds a name (or over several axes); of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: x - ft.lax.pmin(x, "i"), axis_name="i")(np.array([4.0, 3.0, 5.0]))
    Array([1., 0., 2.])
    """
    return _over(pmin_p, x, axis_name, axis_index_groups)


# ---------------------------------------------------------------- the axis itself


def axis_size(axis_name: Any) -> int:
    """The number of examples along an axis (of several together), a plain integer.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: x / ft.lax.axis_size("i"), axis_name="i")(np.ones(4))
    Array([0.25, 0.25, 0.25, 0.25])
    """
    size = 1
    for name in axis_name if isinstance(axis_name, (tuple, list)) else (axis_name,):
        size *= axes.axis_size(name)
    return size


class _AxisIndex(Primitive):
    """The one primitive without operands that differs from example to example: only the `vmap`'s trace can take it."""

    def bind(self, *args: Any, **params: Any) -> Any:
        staging = current_staging()
        if staging is None:
            raise AxisNameError(f"axis_index of {params['axis_name']!r} outside of the vmap that binds it")
        return staging.process(self, args, params)


axis_index_p = _AxisIndex("axis_index")
axis_index_p.collective = True
axis_index_p.abstract_eval = lambda *, axis_name: ShapedArray((), np.dtype(np.int64))


def _axis_index_batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable) -> Any:
    if axis.name != axis_name:
        return axis_index_p.bind(axis_name=axis_name), None
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
    return axis_index_p.bind(axis_name=axis_name)


# ---------------------------------------------------------------- exchanges


def _all_gather_shared(x: Any, n: int, *, dimension: int, size: int) -> Any:
    shape = aval_of(x).shape
    kept = tuple(i + (i >= dimension) for i in range(len(shape)))
    return broadcast_in_dim(x, (*shape[:dimension], size, *shape[dimension:]), kept)


all_gather_p = Collective("all_gather", _all_gather_shared)
all_gather_p.abstract_eval = lambda x, *, axis_name, dimension, size: ShapedArray(
    (*x.shape[:dimension], size, *x.shape[dimension:]), x.dtype
)


def _all_gather_batch(axis: Axis, args: Any, dims: Any, *, axis_name: Hashable, dimension: int, size: int) -> Any:
    (x,), (d,) = args, dims
    if axis.name != axis_name:
        x = move_axis(x, d, 0)
        return all_gather_p.bind(x, axis_name=axis_name, dimension=dimension + 1, size=size), 0
    return move_axis(batch_first(axis, x, d), 0, dimension), None


def _all_gather_transpose(ct: Any, x: Any, *, axis_name: Hashable, dimension: int, size: int) -> list[Any]:
    total = psum_p.bind(ct, axis_name=axis_name)
    index = axis_index_p.bind(axis_name=axis_name)
    return [gather(total, [index], [dimension], mode="promise_in_bounds")]


all_gather_p.batch = _all_gather_batch
all_gather_p.jvp = lambda p, t, **params: (all_gather_p.bind(p[0], **params), all_gather_p.bind(t[0], **params))
all_gather_p.transpose = _all_gather_transpose


def all_gather(
    x: Any, axis_name: Hashable, *, axis_index_groups: Groups = None, axis: int = 0, tiled: bool = False,
    to: str | None = None,
) -> Any:  # fmt: skip
    """The values of all examples, along a new axis, in every example.

    Args:
        x: a pytree.
        axis_name: a name that an enclosing `vmap` binds.
        axis_index_groups: groups of examples, as for `psum`.
        axis: where the axis of examples goes in the result.
        tiled: join the examples along the existing `axis` instead.
        to: `"varying"` or `None`; JAX's types of what differs from device to device are not there.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.all_gather(x, "i"), axis_name="i")(np.arange(2.0))
    Array([[0., 1.],
           [0., 1.]])
    """
    if to not in (None, "varying"):
        raise ArgumentError(f"all_gather: to must be 'varying' or None, got {to!r}: results belong to each example")
    groups = None if axis_index_groups is None else _Groups("all_gather", axis_name, axis_index_groups)
    size = axes.axis_size(axis_name) if groups is None else groups.size

    def gathered(v: Any) -> Any:
        shape = aval_of(v).shape
        place = canonical_axis(axis, len(shape) + (not tiled))
        if groups is None:
            y = all_gather_p.bind(v, axis_name=axis_name, dimension=place, size=size)
        else:
            y = move_axis(groups.values(v), 0, place)
        return reshape(y, (*shape[:place], size * shape[place], *shape[place + 1 :])) if tiled else y

    leaves, tree = flatten(x)
    return unflatten(tree, [gathered(as_operand("all_gather", v)) for v in leaves])


def ppermute(x: Any, axis_name: Hashable, perm: Sequence[tuple[int, int]]) -> Any:
    """Each example's value sent to another.

    Args:
        x: a pytree.
        axis_name: a name that an enclosing `vmap` binds.
        perm: pairs (source, destination), no source and no destination twice; zeros arrive where nothing is sent.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.ppermute(x, "i", [(0, 1), (1, 2)]), axis_name="i")(np.array([5.0, 6.0, 7.0]))
    Array([0., 5., 6.])
    """
    size = axes.axis_size(axis_name)
    perm = [(operator.index(s), operator.index(d)) for s, d in perm]
    if not all(0 <= i < size for pair in perm for i in pair):
        raise ShapeError(f"ppermute: {perm} names examples outside of the {size} of axis {axis_name!r}")
    if any(len(set(part)) != len(part) for part in zip(*perm)):
        raise ShapeError(f"ppermute: {perm} names a source or a destination twice")
    source = np.full(size, size)
    for s, d in perm:
        source[d] = s
    leaves, tree = flatten(all_gather(x, axis_name))
    here = gather(source, [axis_index(axis_name)], [0], mode="promise_in_bounds")
    return unflatten(tree, [gather(v, [here], [0], mode="fill", fill_value=0) for v in leaves])


def all_to_all(
    x: Any, axis_name: Hashable, split_axis: int, concat_axis: int, *, axis_index_groups: Groups = None,
    tiled: bool = False,
) -> Any:  # fmt: skip
    """Each example keeps its share of every example's `split_axis`, and lines the shares up.

    Args:
        x: a pytree.
        axis_name: a name that an enclosing `vmap` binds.
        split_axis: the axis that is shared out: its size is the number of examples (a multiple of it if `tiled`).
        concat_axis: where in the result the shares lie, along a new axis.
        axis_index_groups: groups of examples, as for `psum`.
        tiled: the shares keep `split_axis`, and are joined along the existing `concat_axis`.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.all_to_all(x, "i", 0, 0), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[1., 3.],
           [2., 4.]])
    """
    groups = None if axis_index_groups is None else _Groups("all_to_all", axis_name, axis_index_groups)
    size = axes.axis_size(axis_name) if groups is None else groups.size
    index = axis_index(axis_name) if groups is None else groups.rank

    def exchanged(v: Any) -> Any:
        shape = aval_of(v).shape
        split, concat = canonical_axis(split_axis, len(shape)), canonical_axis(concat_axis, len(shape))
        if shape[split] % size or (not tiled and shape[split] != size):
            raise ShapeError(
                f"all_to_all: axis {split_axis} of shape {shape} must have the size of axis {axis_name!r}"
                f"{' (of a group)' if groups else ''}, {size}" + (", or a multiple of it" if tiled else "")
            )
        if tiled:
            v = reshape(v, (*shape[:split], size, shape[split] // size, *shape[split + 1 :]))
        everyone = groups.values(v) if groups else all_gather(v, axis_name)
        mine = gather(everyone, [index], [split + 1], mode="promise_in_bounds")  # (examples, the other axes)
        out = move_axis(mine, 0, concat)
        if not tiled:
            return out
        own = aval_of(out).shape
        return reshape(out, (*own[:concat], own[concat] * own[concat + 1], *own[concat + 2 :]))

    leaves, tree = flatten(x)
    return unflatten(tree, [exchanged(as_operand("all_to_all", v)) for v in leaves])


def pswapaxes(x: Any, axis_name: Hashable, axis: int, *, axis_index_groups: Groups = None) -> Any:
    """The axis of examples exchanged with an axis of the value, which must have its size; of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.pswapaxes(x, "i", 0), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[1., 3.],
           [2., 4.]])
    """
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def psum_scatter(
    x: Any, axis_name: Hashable, *, scatter_dimension: int = 0, axis_index_groups: Groups = None, tiled: bool = False
) -> Any:
    """The sum over all examples, of which each keeps its share of an axis.

    Args:
        x: a pytree.
        axis_name: a name that an enclosing `vmap` binds.
        scatter_dimension: the axis that is shared out: its size is the number of examples, and the result lacks it; if
            `tiled`, a multiple of the number of examples, of which each keeps a block.
        axis_index_groups: groups of examples, as for `psum`.
        tiled: see there.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.psum_scatter(x, "i"), axis_name="i")(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([4., 6.])
    """
    groups = None if axis_index_groups is None else _Groups("psum_scatter", axis_name, axis_index_groups)
    size = axes.axis_size(axis_name) if groups is None else groups.size
    index = axis_index(axis_name) if groups is None else groups.rank

    def share(v: Any) -> Any:
        shape = aval_of(v).shape
        place = canonical_axis(scatter_dimension, len(shape))
        if shape[place] % size or (not tiled and shape[place] != size):
            raise ShapeError(
                f"psum_scatter: axis {scatter_dimension} of shape {shape} must have the size of axis {axis_name!r}"
                f"{' (of a group)' if groups else ''}, {size}" + (", or a multiple of it" if tiled else "")
            )
        v = psum(v, axis_name, axis_index_groups=axis_index_groups)
        if tiled:
            v = reshape(v, (*shape[:place], size, shape[place] // size, *shape[place + 1 :]))
        return gather(v, [index], [place], mode="promise_in_bounds")

    leaves, tree = flatten(x)
    return unflatten(tree, [share(as_operand("psum_scatter", v)) for v in leaves])


def pshuffle(x: Any, axis_name: Hashable, perm: Sequence[int]) -> Any:
    """Each example's value from another: example `i` gets that of `perm[i]`; of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.pshuffle(x, "i", [2, 0, 1]), axis_name="i")(np.array([5.0, 6.0, 7.0]))
    Array([7., 5., 6.])
    """
    size = axes.axis_size(axis_name)
    if sorted(perm) != list(range(size)):
        raise ShapeError(f"pshuffle: {list(perm)} is no permutation of the {size} examples of axis {axis_name!r}")
    return ppermute(x, axis_name, list(zip(perm, range(size))))


def pbroadcast(x: Any, axis_name: Hashable, source: int) -> Any:
    """The value of one example in all of them; of a pytree.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda x: ft.lax.pbroadcast(x, "i", 1), axis_name="i")(np.array([5.0, 6.0, 7.0]))
    Array([6., 6., 6.])
    """
    size = axes.axis_size(axis_name)
    source = operator.index(source)
    if not 0 <= source < size:
        raise ShapeError(f"pbroadcast: there is no example {source} among the {size} of axis {axis_name!r}")
    leaves, tree = flatten(all_gather(x, axis_name))
    return unflatten(tree, [gather(v, [np.int64(source)], [0], mode="promise_in_bounds") for v in leaves])


__all__ = [
    "all_gather", "all_to_all", "axis_index", "axis_size", "pbroadcast", "pmax", "pmean", "pmin", "ppermute",
    "pshuffle", "pswapaxes", "psum", "psum_scatter",
]  # fmt: skip
