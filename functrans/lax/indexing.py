"""Reading and writing at computed places: gather and scatter, dynamic slices.

`gather(x, i0, i1, ...; axes)` reads `x` at index arrays of one shape `B` along `axes`; the result has shape `B` + the
other axes of `x`. `scatter*` write updates of that shape. The two are each other's transpose. NumPy's own indexing
language stands on them in `subscript.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, is_inexact
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import ArgumentError, AxisError, DTypeError, IndexOutOfBoundsError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, broadcasted_iota, unbroadcast
from functrans.lax.conversion import convert_element_type
from functrans.lax.structural import canonical_axis, reshape, slice_in_dim, transpose
from functrans.transforms import eager
from functrans.transforms.batching import batch_first, move_axis
from functrans.transforms.jvp import instantiate
from functrans.transforms.taylor import Series, termwise
from functrans.transforms.transpose import is_linear

Axes = tuple[int, ...]
GATHER_MODES = ("raise", "clip", "fill", "wrap", "promise_in_bounds")
SCATTER_MODES = ("raise", "clip", "drop", "wrap", "promise_in_bounds")


def out_of_bounds(index: Any, axis: int, size: int) -> IndexOutOfBoundsError:
    return IndexOutOfBoundsError(f"index {index} is out of bounds for axis {axis} with size {size}")


def _others(ndim: int, axes: Axes) -> Axes:
    return tuple(i for i in range(ndim) if i not in axes)


def _resolve(indices: Sequence[Any], sizes: Sequence[int], axes: Axes, mode: str) -> tuple[list[Any], Any]:
    """Plain indices inside their axes, by `mode`, and a mask of those that lay inside (`None` if all count)."""
    out, inside = [], None
    for i, n, axis in zip(indices, sizes, axes):
        i = np.asarray(i).astype(np.int64)
        i = np.where(i < 0, i + n, i)
        good = (i >= 0) & (i < n)
        if mode == "wrap" and n:
            i = i % n
        elif not good.all():
            if mode in ("raise", "promise_in_bounds") or (n == 0 and mode in ("clip", "wrap")):
                bad = i[~good].flat[0]
                raise out_of_bounds(int(bad) if bad >= n else int(bad) - n, axis, n)
            if mode in ("fill", "drop"):
                inside = good if inside is None else inside & good
            i = np.clip(i, 0, max(n - 1, 0))
        out.append(i)
    return out, inside


def _batch_shape(what: str, indices: Sequence[ShapedArray], axes: Axes, x: ShapedArray) -> tuple[int, ...]:
    if not indices or len(indices) != len(axes):
        raise ShapeError(f"{what}: {len(axes)} axes and {len(indices)} index arrays; there must be one for each")
    for i in indices:
        if i.dtype.kind not in "iu":
            raise DTypeError(f"{what}: indices must be integers, got {i}")
        if i.shape != indices[0].shape:
            raise ShapeError(f"{what}: index arrays of shapes {[i.shape for i in indices]} must have one shape")
    if len(set(axes)) != len(axes) or not all(0 <= a < x.ndim for a in axes):
        raise AxisError(f"{what}: {axes} are not distinct axes of shape {x.shape}")
    return indices[0].shape


# ---------------------------------------------------------------- gather


def gather(x: Any, indices: Sequence[Any], axes: Sequence[int], mode: str = "raise", fill_value: Any = None) -> Any:
    """`x` read at index arrays along `axes`: shape of the indices, then the other axes of `x`.

    Args:
        x: an array.
        indices: one integer array for each axis, of one shape; negative ones count from the end.
        axes: the axes that are indexed.
        mode: what an index beyond its axis means: `raise` an IndexError, `clip`, `wrap`, `fill` the result with
            `fill_value` (by default NaN, the smallest signed or largest unsigned integer, or True),
            `promise_in_bounds`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.gather(np.arange(6).reshape(2, 3), [np.array([0, 2])], [1])
    Array([[0, 3],
           [2, 5]])
    """
    if mode not in GATHER_MODES:
        raise ArgumentError(f"mode of a read must be one of {', '.join(GATHER_MODES)}, got {mode!r}")
    axes = tuple(map(operator.index, axes))
    if fill_value is not None:
        fill_value = aval_of(x).dtype.type(fill_value)
    return gather_p.bind(x, *indices, axes=axes, mode=str(mode), fill_value=fill_value)


def _fill(dtype: np.dtype, fill_value: Any) -> Any:
    if fill_value is not None:
        return fill_value
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return dtype.type(bounds.min if dtype.kind == "i" else bounds.max)
    return dtype.type(np.nan) if is_inexact(dtype) else dtype.type(True)


def _gather_abstract(x: ShapedArray, *indices: ShapedArray, axes: Axes, mode: str, fill_value: Any) -> ShapedArray:
    batch = _batch_shape("gather", indices, axes, x)
    if mode != "fill" and any(x.shape[a] == 0 for a in axes) and 0 not in batch:
        raise IndexOutOfBoundsError(f"index out of bounds: an axis of shape {x.shape} that is indexed is empty")
    return ShapedArray((*batch, *(x.shape[i] for i in _others(x.ndim, axes))), x.dtype)


def _gather_impl(x: Any, *indices: Any, axes: Axes, mode: str, fill_value: Any) -> Any:
    x = np.asarray(x)
    _gather_abstract(aval_of(x), *map(aval_of, indices), axes=axes, mode=mode, fill_value=fill_value)
    indices, inside = _resolve(indices, [x.shape[a] for a in axes], axes, mode)  # type: ignore[assignment]
    if any(x.shape[a] == 0 for a in axes):
        shape = np.shape(indices[0]) + tuple(x.shape[i] for i in _others(x.ndim, axes))
        return wrap(np.full(shape, _fill(x.dtype, fill_value), x.dtype))
    front = x.transpose(*axes, *_others(x.ndim, axes))
    out = front[tuple(indices)]
    if inside is not None:
        mask = inside.reshape(inside.shape + (1,) * (out.ndim - inside.ndim))
        out = np.where(mask, out, _fill(x.dtype, fill_value))
    return wrap(out)


def _gather_jvp(primals: Any, tangents: Any, *, fill_value: Any, **params: Any) -> Any:
    x, *indices = primals
    y = gather_p.bind(x, *indices, fill_value=fill_value, **params)
    if tangents[0] is None:
        return y, None
    zero = aval_of(tangents[0]).dtype.type(0)
    return y, gather_p.bind(tangents[0], *indices, fill_value=zero, **params)


def _gather_direct(*args: Any, mode: str, **params: Any) -> Any:
    return _linear_gather(*args, mode=mode, **params) if mode != "fill" else None


def _gather_transpose(ct: Any, x: Any, *indices: Any, axes: Axes, mode: str, fill_value: Any) -> list[Any]:
    back = {"fill": "drop"}.get(mode, mode)
    total = scatter_add_p.bind(zeros(x.aval.strong()), ct, *indices, axes=axes, mode=back)
    return [total, *[None] * len(indices)]


def _batch_indices(axis: Axis, indices: Sequence[Any], dims: Sequence[Any]) -> tuple[list[Any], bool]:
    """Index arrays with the batch axis in front (in all of them, if in any)."""
    batched = any(d is not None for d in dims)
    return [batch_first(axis, i, d) if batched else i for i, d in zip(indices, dims)], batched


def _batch_number(axis: Axis, like: Any) -> Any:
    return broadcasted_iota(np.int64, aval_of(like).shape, 0)


def _as_int64(indices: Sequence[Any]) -> list[Any]:
    return [convert_element_type(i, np.int64) for i in indices]


def _gather_batch(axis: Axis, args: list[Any], dims: list[Any], *, axes: Axes, **params: Any) -> tuple[Any, int]:
    x, d = args[0], dims[0]
    indices, batched = _batch_indices(axis, args[1:], dims[1:])
    if d is None:
        return gather_p.bind(x, *indices, axes=axes, **params), 0
    moved = tuple(a + (a >= d) for a in axes)
    if not batched:
        others = _others(aval_of(x).ndim, moved)
        out = gather_p.bind(x, *indices, axes=moved, **params)
        return out, aval_of(indices[0]).ndim + others.index(d)
    number = _batch_number(axis, indices[0])
    return gather_p.bind(x, number, *_as_int64(indices), axes=(d, *moved), **params), 0


def _kernel_index(k: Any, i: Any, n: int, axis: int, mode: str) -> tuple[Any, Any]:
    """An index node inside its axis, by `mode`, and the condition that it lay inside (or `None`)."""
    i = k.convert(i, np.dtype(np.int64))
    size = k.size(n)
    i = k.where(i < 0, i + size, i)
    if mode == "raise":
        return k.checked(i, size, f"index out of bounds for axis {axis} with size {n}"), None
    if mode == "clip":
        return k.clip(i, 0, size - 1), None
    if mode == "wrap":
        return i % size, None
    if mode == "promise_in_bounds":
        return i, None
    return i, (i >= 0) & (i < size)


def _gather_lower(k: Any, idx: Any, x: Any, *indices: Any, axes: Axes, mode: str, fill_value: Any) -> Any:
    n_batch = indices[0].aval.ndim
    batch, rest = idx[:n_batch], iter(idx[n_batch:])
    where: dict[int, Any] = {}
    inside = None
    for i, a in zip(indices, axes):
        where[a], good = _kernel_index(k, i.at(*batch), x.aval.shape[a], a, mode)
        if good is not None:
            inside = good if inside is None else inside & good
    index = [where[a] if a in where else next(rest) for a in range(x.aval.ndim)]
    if inside is None:
        return x.at(*index)
    return k.guard(inside, lambda: x.at(*index), k.const(_fill(x.aval.dtype, fill_value), x.aval.dtype))


def _gather_taylor(k: int, y: Series, x: Series, *indices: Series, axes: Axes, mode: str, fill_value: Any) -> Any:
    if x[k] is None:
        return None
    zero = x.aval.dtype.type(0)  # what is filled in is constant
    return gather_p.bind(x[k], *(i[0] for i in indices), axes=axes, mode=mode, fill_value=zero)


def harmless_indices(active: Any, indices: Sequence[Any], mode: str) -> list[Any]:
    """The indices where `active` holds; elsewhere ones that raise no error."""
    return [ew.where(active, i, aval_of(i).dtype.type(0)) if mode == "raise" else i for i in indices]


def _gather_guard(active: Any, x: Any, *indices: Any, mode: str, **params: Any) -> Any:
    return gather_p.bind(x, *harmless_indices(active, indices, mode), mode=mode, **params)


gather_p = Primitive("gather")
_linear_gather = eager.linear(gather_p, slice(1))
gather_p.impl = _gather_impl
gather_p.abstract_eval = _gather_abstract
gather_p.jvp = _gather_jvp
gather_p.transpose = _gather_transpose
gather_p.taylor = _gather_taylor
gather_p.batch = _gather_batch
gather_p.guard = _gather_guard
gather_p.direct = _gather_direct
gather_p.lower = _gather_lower


def take_along(x: Any, indices: Any, axis: int, mode: str = "raise", fill_value: Any = None) -> Any:
    """`x` read along one axis at an index array of the same number of axes (`numpy.take_along_axis`).

    >>> import numpy as np
    >>> from functrans.lax.indexing import take_along
    >>> take_along(np.array([[3, 1, 2]]), np.array([[1, 0]]), 1)
    Array([[1, 3]])
    """
    shape, own = aval_of(x).shape, aval_of(indices).shape
    index = []
    for d in range(len(shape)):
        if d == axis:
            index.append(convert_element_type(indices, np.int64))
        elif shape[d] == 1 and own[d] != 1:
            index.append(broadcast_to(np.int64(0), own))
        else:
            index.append(broadcasted_iota(np.int64, own, d))
    if all(n == m for d, (n, m) in enumerate(zip(shape, own)) if d != axis):
        return gather(x, index, range(len(shape)), mode, fill_value)
    out = tuple(m if d == axis else max(n, m) for d, (n, m) in enumerate(zip(shape, own)))
    return take_along(
        broadcast_to(x, tuple(shape[d] if d == axis else out[d] for d in range(len(shape)))),
        broadcast_to(indices, out), axis, mode, fill_value,
    )  # fmt: skip


# ---------------------------------------------------------------- scatter


def _scatter_primitive(name: str, combine: Any) -> Primitive:
    p = Primitive(name)

    def abstract_eval(
        x: ShapedArray, updates: ShapedArray, *indices: ShapedArray, axes: Axes, mode: str
    ) -> ShapedArray:
        batch = _batch_shape(name, indices, axes, x)
        wanted = (*batch, *(x.shape[i] for i in _others(x.ndim, axes)))
        if updates.shape != wanted:
            raise ShapeError(f"{name}: updates of shape {updates.shape} for a place of shape {wanted}")
        if updates.dtype != x.dtype:
            raise DTypeError(f"{name}: updates of dtype {updates.dtype} into an array of dtype {x.dtype}")
        return x.strong()

    def impl(x: Any, updates: Any, *indices: Any, axes: Axes, mode: str) -> Any:
        out = np.array(x)
        updates = np.asarray(updates)
        abstract_eval(aval_of(out), aval_of(updates), *map(aval_of, indices), axes=axes, mode=mode)
        if updates.size == 0:
            return wrap(out)
        places, inside = _resolve(indices, [out.shape[a] for a in axes], axes, mode)
        if inside is not None:
            places = [i[inside] for i in places]
            updates = updates[inside]
        front = out.transpose(*axes, *_others(out.ndim, axes))
        combine(front, tuple(places), updates)
        return wrap(out)

    def batch(axis: Axis, args: list[Any], dims: list[Any], *, axes: Axes, mode: str) -> tuple[Any, int]:
        x = batch_first(axis, args[0], dims[0])
        indices, batched = _batch_indices(axis, args[2:], dims[2:])
        moved = tuple(a + 1 for a in axes)
        updates = batch_first(axis, args[1], dims[1])
        if batched:
            number = _batch_number(axis, indices[0])
            return p.bind(x, updates, number, *_as_int64(indices), axes=(0, *moved), mode=mode), 0
        return p.bind(x, move_axis(updates, 0, aval_of(indices[0]).ndim), *indices, axes=moved, mode=mode), 0

    def guard(active: Any, x: Any, updates: Any, *indices: Any, axes: Axes, mode: str) -> Any:
        return p.bind(x, updates, *harmless_indices(active, indices, mode), axes=axes, mode=mode)

    p.impl, p.abstract_eval, p.batch, p.guard = impl, abstract_eval, batch, guard
    return p


def _assign(front: Any, places: Any, updates: Any) -> None:
    front[places] = updates


scatter_p = _scatter_primitive("scatter", _assign)
scatter_add_p = _scatter_primitive("scatter_add", lambda f, i, u: np.add.at(f, i, u))
scatter_mul_p = _scatter_primitive("scatter_mul", lambda f, i, u: np.multiply.at(f, i, u))
scatter_min_p = _scatter_primitive("scatter_min", lambda f, i, u: np.minimum.at(f, i, u))
scatter_max_p = _scatter_primitive("scatter_max", lambda f, i, u: np.maximum.at(f, i, u))

_READ = {"drop": "fill"}


def _read_back(x: Any, indices: Sequence[Any], axes: Axes, mode: str) -> Any:
    """What stands at the places of a scatter; zeros where nothing was written."""
    return gather_p.bind(x, *indices, axes=axes, mode=_READ.get(mode, mode), fill_value=aval_of(x).dtype.type(0))


def _scatter_add_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    y = scatter_add_p.bind(*primals, **params)
    if tangents[0] is None and tangents[1] is None:
        return y, None
    tx, tu = (instantiate(t, p) for t, p in zip(tangents[:2], primals[:2]))
    return y, scatter_add_p.bind(tx, tu, *primals[2:], **params)


def _scatter_add_transpose(ct: Any, x: Any, updates: Any, *indices: Any, axes: Axes, mode: str) -> list[Any]:
    read = _read_back(ct, indices, axes, mode) if is_linear(updates) else None
    return [ct if is_linear(x) else None, read, *[None] * len(indices)]


scatter_add_p.jvp = _scatter_add_jvp
scatter_add_p.transpose = _scatter_add_transpose
termwise(scatter_add_p)


def _winners(x: Any, updates: Any, indices: Sequence[Any], axes: Axes, mode: str) -> Any:
    """Which updates of a scatter remain: where a place is written twice, one of them; as a mask over the updates."""
    shape = aval_of(updates).shape
    number = reshape(broadcasted_iota(np.int64, (aval_of(updates).size,), 0), shape)
    last = scatter_p.bind(broadcast_to(np.int64(-1), aval_of(x).shape), number, *indices, axes=axes, mode=mode)
    return ew.eq(_read_back(last, indices, axes, mode), number)


def _scatter_jvp(primals: Any, tangents: Any, *, axes: Axes, mode: str) -> Any:
    indices = primals[2:]
    y = scatter_p.bind(*primals, axes=axes, mode=mode)
    if tangents[0] is None and tangents[1] is None:
        return y, None
    tx, tu = (instantiate(t, p) for t, p in zip(tangents[:2], primals[:2]))
    return y, scatter_p.bind(tx, tu, *indices, axes=axes, mode=mode)


def _scatter_transpose(ct: Any, x: Any, updates: Any, *indices: Any, axes: Axes, mode: str) -> list[Any]:
    dtype = aval_of(ct).dtype
    shape = (updates.aval if is_linear(updates) else aval_of(updates)).shape
    cleared = read = None
    if is_linear(x):
        cleared = scatter_p.bind(ct, zeros(ShapedArray(shape, dtype)), *indices, axes=axes, mode=mode)
    if is_linear(updates):
        read = _read_back(ct, indices, axes, mode)
        mask = _winners(ct, read, indices, axes, mode)
        read = ew.select_n.bind(mask, zeros(ShapedArray((), dtype)), read)
    return [cleared, read, *[None] * len(indices)]


scatter_p.jvp = _scatter_jvp
scatter_p.transpose = _scatter_transpose
termwise(scatter_p)


def _scatter_mul_jvp(primals: Any, tangents: Any, *, axes: Axes, mode: str) -> Any:
    """Right where indices are distinct, and where no factor written to a place twice is zero."""
    x, updates, *indices = primals
    tx, tu = tangents[:2]
    y = scatter_mul_p.bind(*primals, axes=axes, mode=mode)
    terms = []
    if tx is not None:
        terms.append(scatter_mul_p.bind(broadcast_to(aval_of(x).dtype.type(1), aval_of(x).shape), updates, *indices,
                                        axes=axes, mode=mode) * tx)  # fmt: skip
    if tu is not None:
        others = _read_back(y, indices, axes, mode) / ew.where(ew.eq(updates, 0), 1.0, updates)
        alone = ew.where(ew.eq(updates, 0), _read_back(x, indices, axes, mode), others)
        blank = zeros(ShapedArray(aval_of(x).shape, aval_of(tu).dtype))
        terms.append(scatter_add_p.bind(blank, ew.mul(tu, alone), *indices, axes=axes, mode=mode))
    if not terms:
        return y, None
    return y, terms[0] if len(terms) == 1 else terms[0] + terms[1]


scatter_mul_p.jvp = _scatter_mul_jvp


def _scatter_extremum_jvp(primitive: Any) -> Any:
    """The tangent of what remained, shared equally among equals."""

    def jvp(primals: Any, tangents: Any, *, axes: Axes, mode: str) -> Any:
        x, updates, *indices = primals
        y = primitive().bind(*primals, axes=axes, mode=mode)
        if tangents[0] is None and tangents[1] is None:
            return y, None
        dtype = aval_of(y).dtype
        tx, tu = (instantiate(t, p) for t, p in zip(tangents[:2], primals[:2]))
        kept = convert_element_type(ew.eq(x, y), dtype)
        won = convert_element_type(ew.eq(updates, _read_back(y, indices, axes, mode)), dtype)
        count = scatter_add_p.bind(kept, won, *indices, axes=axes, mode=mode)
        total = scatter_add_p.bind(ew.mul(kept, tx), ew.mul(won, tu), *indices, axes=axes, mode=mode)
        return y, ew.div(total, count)

    return jvp


scatter_min_p.jvp = _scatter_extremum_jvp(lambda: scatter_min_p)
scatter_max_p.jvp = _scatter_extremum_jvp(lambda: scatter_max_p)

SCATTERS = {
    "set": scatter_p,
    "add": scatter_add_p,
    "multiply": scatter_mul_p,
    "min": scatter_min_p,
    "max": scatter_max_p,
}


def scatter(kind: str, x: Any, updates: Any, indices: Sequence[Any], axes: Sequence[int], mode: str = "raise") -> Any:
    """`x` with updates combined into it at index arrays along `axes`.

    Args:
        kind: `set`, `add`, `multiply`, `min` or `max`; where a place occurs twice all but `set` combine both.
        x: an array; it is not changed.
        updates: shape of the indices, then the other axes of `x`.
        indices, axes: as for `gather`.
        mode: as for `gather`, with `drop` for `fill`: updates beyond an axis are left out.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.scatter("add", np.zeros(3), np.ones(2), [np.array([1, 1])], [0])
    Array([0., 2., 0.])
    """
    mode = {"fill": "drop"}.get(mode, mode)
    if mode not in SCATTER_MODES:
        raise ArgumentError(f"mode of a write must be one of {', '.join(SCATTER_MODES)}, got {mode!r}")
    if kind not in SCATTERS:
        raise ArgumentError(f"kind of a write must be one of {', '.join(SCATTERS)}, got {kind!r}")
    return SCATTERS[kind].bind(x, updates, *indices, axes=tuple(map(operator.index, axes)), mode=str(mode))


# ---------------------------------------------------------------- dynamic slices


def dynamic_slice(
    operand: Any,
    start_indices: Sequence[Any],
    slice_sizes: Sequence[int],
    *,
    allow_negative_indices: bool | Sequence[bool] = True,
) -> Any:
    """A block of static size that starts at computed indices, moved so that it lies inside (as in JAX).

    Args:
        operand: an array.
        start_indices: a scalar for each axis.
        slice_sizes: the shape of the block.
        allow_negative_indices: whether negative starts count from the end, for each axis or for all; if not, they are
            moved to 0 as those beyond the end are.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_slice(np.arange(5), (4,), (2,))
    Array([3, 4])
    """
    sizes = tuple(map(operator.index, slice_sizes))
    starts = _starts("dynamic_slice", start_indices, operand, allow_negative_indices)
    if len(sizes) != len(starts):
        raise ShapeError(f"dynamic_slice: {len(sizes)} sizes for shape {aval_of(operand).shape}; each axis needs one")
    return dynamic_slice_p.bind(operand, *starts, slice_sizes=sizes)


def _starts(what: str, start_indices: Sequence[Any], operand: Any, negative: bool | Sequence[bool]) -> list[Any]:
    """Starts counted from the front, one for each axis."""
    shape = aval_of(operand).shape
    starts = list(start_indices)
    if len(starts) != len(shape):
        raise ShapeError(f"{what}: {len(starts)} starts for shape {shape}; each axis needs one")
    from_end = [negative] * len(shape) if isinstance(negative, bool) else list(negative)
    if len(from_end) != len(shape):
        raise ShapeError(f"{what}: {len(from_end)} allow_negative_indices for shape {shape}; each axis needs one")
    return [_start(i, n if counted else 0) for i, n, counted in zip(starts, shape, from_end)]


def _start(i: Any, n: int) -> Any:
    if isinstance(i, (int, np.integer)):
        return np.int64(i + n if i < 0 else i)
    if aval_of(i).dtype.kind not in "iu" or aval_of(i).shape != ():
        raise DTypeError(f"a start index must be an integer scalar, got {aval_of(i)}")
    i = convert_element_type(i, np.int64)
    return ew.where(ew.lt(i, 0), i + n, i) if n else i


def dynamic_update_slice(
    operand: Any, update: Any, start_indices: Sequence[Any], *, allow_negative_indices: bool | Sequence[bool] = True
) -> Any:
    """`operand` with a block replaced that starts at computed indices, moved so that it lies inside (as in JAX).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_update_slice(np.zeros(4), np.ones(2), (1,))
    Array([0., 1., 1., 0.])
    """
    starts = _starts("dynamic_update_slice", start_indices, operand, allow_negative_indices)
    update = convert_element_type(update, aval_of(operand).dtype) if aval_of(update).weak else update
    return dynamic_update_slice_p.bind(operand, update, *starts)


def dynamic_slice_in_dim(
    operand: Any, start_index: Any, slice_size: int, axis: int = 0, *, allow_negative_indices: bool = True
) -> Any:
    """`dynamic_slice` along one axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_slice_in_dim(np.arange(5), 1, 3)
    Array([1, 2, 3])
    """
    shape = list(aval_of(operand).shape)
    axis = canonical_axis(axis, len(shape))
    starts = [0] * len(shape)
    starts[axis], shape[axis] = start_index, slice_size
    return dynamic_slice(operand, starts, shape, allow_negative_indices=allow_negative_indices)


def dynamic_index_in_dim(
    operand: Any, index: Any, axis: int = 0, keepdims: bool = True, *, allow_negative_indices: bool = True
) -> Any:
    """One index of an axis, at a computed place.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_index_in_dim(np.arange(6).reshape(2, 3), 1, keepdims=False)
    Array([3, 4, 5])
    """
    axis = canonical_axis(axis, aval_of(operand).ndim)
    out = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    shape = aval_of(out).shape
    return out if keepdims else reshape(out, shape[:axis] + shape[axis + 1 :])


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One index of an axis, known now; negative ones count from the end.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.index_in_dim(np.arange(6).reshape(2, 3), -1, 1)
    Array([[2],
           [5]])
    """
    axis = canonical_axis(axis, aval_of(operand).ndim)
    shape, place = aval_of(operand).shape, operator.index(index)
    if not -shape[axis] <= place < shape[axis]:
        raise out_of_bounds(place, axis, shape[axis])
    place %= shape[axis]
    out = slice_in_dim(operand, place, place + 1, axis=axis)
    return out if keepdims else reshape(out, shape[:axis] + shape[axis + 1 :])


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """`gather` under the name that JAX has for it.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.index_take(np.arange(6).reshape(2, 3), [np.array([1, 0]), np.array([2, 0])], [0, 1])
    Array([5, 0])
    """
    return gather(src, idxs, axes)


def dynamic_update_slice_in_dim(
    operand: Any, update: Any, start_index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """`dynamic_update_slice` along one axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_update_slice_in_dim(np.zeros(4), np.ones(2), 1, 0)
    Array([0., 1., 1., 0.])
    """
    axis = canonical_axis(axis, aval_of(operand).ndim)
    starts: list[Any] = [0] * aval_of(operand).ndim
    starts[axis] = start_index
    return dynamic_update_slice(operand, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(
    operand: Any, update: Any, index: Any, axis: int, *, allow_negative_indices: bool = True
) -> Any:
    """One index of an axis replaced, at a computed place.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dynamic_update_index_in_dim(np.zeros((2, 2)), np.ones(2), 1, 0)
    Array([[0., 0.],
           [1., 1.]])
    """
    axis = canonical_axis(axis, aval_of(operand).ndim)
    if aval_of(update).ndim != aval_of(operand).ndim:
        shape = aval_of(update).shape
        update = reshape(update, (*shape[:axis], 1, *shape[axis:]))
    options = {"allow_negative_indices": allow_negative_indices}
    return dynamic_update_slice_in_dim(operand, update, index, axis, **options)


def _clamped(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    first = [min(max(int(s), 0), n - m) for s, n, m in zip(starts, shape, sizes)]
    return tuple(slice(s, s + m) for s, m in zip(first, sizes))


def _dynamic_abstract(x: ShapedArray, *starts: ShapedArray, slice_sizes: Axes) -> ShapedArray:
    if any(m > n or m < 0 for n, m in zip(x.shape, slice_sizes)):
        raise ShapeError(f"dynamic_slice: a block of shape {slice_sizes} does not fit into shape {x.shape}")
    return ShapedArray(slice_sizes, x.dtype)


def _dynamic_slice_impl(x: Any, *starts: Any, slice_sizes: Axes) -> Any:
    x = np.asarray(x)
    _dynamic_abstract(aval_of(x), slice_sizes=slice_sizes)
    return wrap(np.array(x[_clamped(starts, x.shape, slice_sizes)]))


def _block_places(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> list[Any]:
    """Index arrays of all places of a block, for gather and scatter; `starts` may be batched in front."""
    batch = aval_of(starts[0]).shape
    out = []
    for d, (s, n, m) in enumerate(zip(starts, shape, sizes)):
        s = ew.min(ew.max(s, np.int64(0)), np.int64(n - m))
        s = reshape(s, (*batch, *[1] * len(sizes)))
        out.append(s + broadcasted_iota(np.int64, (*[1] * len(batch), *sizes), len(batch) + d))
    full = (*batch, *sizes)
    return [broadcast_to(i, full) for i in out]


def _dynamic_slice_batch(axis: Axis, args: list[Any], dims: list[Any], *, slice_sizes: Axes) -> tuple[Any, int]:
    x, d = args[0], dims[0]
    if all(s is None for s in dims[1:]):
        starts, sizes = list(args[1:]), list(slice_sizes)
        starts.insert(d, np.int64(0)), sizes.insert(d, axis.size)  # type: ignore[func-returns-value]
        return dynamic_slice_p.bind(x, *starts, slice_sizes=tuple(sizes)), d
    shape = aval_of(x).shape if d is None else aval_of(x).shape[:d] + aval_of(x).shape[d + 1 :]
    starts = [batch_first(axis, s, sd) for s, sd in zip(args[1:], dims[1:])]
    places = _block_places(starts, shape, slice_sizes)
    axes = tuple(range(len(shape)))
    if d is None:
        return gather_p.bind(x, *places, axes=axes, mode="promise_in_bounds", fill_value=None), 0
    x = move_axis(x, d, 0)
    number = _batch_number(axis, places[0])
    out = gather_p.bind(x, number, *places, axes=(0, *(a + 1 for a in axes)), mode="promise_in_bounds", fill_value=None)
    return out, 0


def _dynamic_slice_lower(k: Any, idx: Any, x: Any, *starts: Any, slice_sizes: Axes) -> Any:
    first = [
        k.clip(k.convert(s.at(), np.dtype(np.int64)), 0, k.size(n) - k.size(m))
        for s, n, m in zip(starts, x.aval.shape, slice_sizes)
    ]
    return x.at(*[i + s for i, s in zip(idx, first)])


dynamic_slice_p = Primitive("dynamic_slice")
dynamic_slice_p.impl = _dynamic_slice_impl
dynamic_slice_p.abstract_eval = _dynamic_abstract
dynamic_slice_p.jvp = lambda primals, tangents, *, slice_sizes: (
    dynamic_slice_p.bind(*primals, slice_sizes=slice_sizes),
    None if tangents[0] is None else dynamic_slice_p.bind(tangents[0], *primals[1:], slice_sizes=slice_sizes),
)
dynamic_slice_p.transpose = lambda ct, x, *starts, slice_sizes: [
    dynamic_update_slice_p.bind(zeros(x.aval.strong()), ct, *starts),
    *[None] * len(starts),
]
dynamic_slice_p.batch = _dynamic_slice_batch
termwise(dynamic_slice_p)
dynamic_slice_p.direct = eager.linear(dynamic_slice_p, slice(1))
dynamic_slice_p.lower = _dynamic_slice_lower


def _update_abstract(x: ShapedArray, update: ShapedArray, *starts: ShapedArray) -> ShapedArray:
    if update.ndim != x.ndim or any(m > n for n, m in zip(x.shape, update.shape)):
        raise ShapeError(f"dynamic_update_slice: a block of shape {update.shape} does not fit into shape {x.shape}")
    if update.dtype != x.dtype:
        raise DTypeError(f"dynamic_update_slice: a block of dtype {update.dtype} into an array of dtype {x.dtype}")
    return x.strong()


def _update_impl(x: Any, update: Any, *starts: Any) -> Any:
    out = np.array(x)
    _update_abstract(aval_of(out), aval_of(update))
    out[_clamped(starts, out.shape, np.shape(update))] = update
    return wrap(out)


def _update_jvp(primals: Any, tangents: Any) -> Any:
    y = dynamic_update_slice_p.bind(*primals)
    if tangents[0] is None and tangents[1] is None:
        return y, None
    tx, tu = (instantiate(t, p) for t, p in zip(tangents[:2], primals[:2]))
    return y, dynamic_update_slice_p.bind(tx, tu, *primals[2:])


def _update_transpose(ct: Any, x: Any, update: Any, *starts: Any) -> list[Any]:
    aval = update.aval if is_linear(update) else aval_of(update)
    blank = zeros(ShapedArray(aval.shape, aval_of(ct).dtype))
    return [
        dynamic_update_slice_p.bind(ct, blank, *starts) if is_linear(x) else None,
        dynamic_slice_p.bind(ct, *starts, slice_sizes=aval.shape) if is_linear(update) else None,
        *[None] * len(starts),
    ]


def _update_batch(axis: Axis, args: list[Any], dims: list[Any]) -> tuple[Any, int]:
    x, update = (batch_first(axis, a, d) for a, d in zip(args[:2], dims[:2]))
    if all(d is None for d in dims[2:]):
        return dynamic_update_slice_p.bind(x, update, np.int64(0), *args[2:]), 0
    starts = [batch_first(axis, s, d) for s, d in zip(args[2:], dims[2:])]
    places = _block_places(starts, aval_of(x).shape[1:], aval_of(update).shape[1:])
    number = _batch_number(axis, places[0])
    axes = tuple(range(aval_of(x).ndim))
    return scatter_p.bind(x, update, number, *places, axes=axes, mode="promise_in_bounds"), 0


def _update_lower(k: Any, idx: Any, x: Any, update: Any, *starts: Any) -> Any:
    inside, moved = None, []
    for i, s, n, m in zip(idx, starts, x.aval.shape, update.aval.shape):
        first = k.clip(k.convert(s.at(), np.dtype(np.int64)), 0, k.size(n) - k.size(m))
        j = i - first
        moved.append(j)
        if n != m:
            good = (j >= 0) & (j < k.size(m))
            inside = good if inside is None else inside & good
    if 0 in update.aval.shape:
        return x.at(*idx)
    return update.at(*moved) if inside is None else k.guard(inside, lambda: update.at(*moved), x.at(*idx))


dynamic_update_slice_p = Primitive("dynamic_update_slice")
dynamic_update_slice_p.impl = _update_impl
dynamic_update_slice_p.abstract_eval = _update_abstract
dynamic_update_slice_p.jvp = _update_jvp
dynamic_update_slice_p.transpose = _update_transpose
termwise(dynamic_update_slice_p)
dynamic_update_slice_p.batch = _update_batch
dynamic_update_slice_p.direct = eager.linear(dynamic_update_slice_p, slice(2))
dynamic_update_slice_p.lower = _update_lower

__all__ = [
    "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim", "dynamic_update_index_in_dim",
    "dynamic_update_slice", "dynamic_update_slice_in_dim", "gather", "index_in_dim", "index_take", "scatter",
    "take_along", "transpose", "unbroadcast",
]  # fmt: skip
