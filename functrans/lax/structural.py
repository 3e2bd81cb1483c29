"""Structural primitives: they move elements and compute nothing.

reshape, transpose, slice and pad (each other's transpose), concatenate, rev. Their lowering is an index map, so they
fuse with whatever reads them.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import AxisError, DTypeError, FunctransError, ShapeError
from functrans.lax.broadcasting import linear_unary, reduce_sum_p
from functrans.transforms import eager
from functrans.transforms.batching import batch_first, move_axis
from functrans.transforms.taylor import termwise
from functrans.transforms.transpose import is_linear

Shape = tuple[int, ...]
builtin_slice = builtins.slice

# ---------------------------------------------------------------- reshape


def reshape(
    operand: Any, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None, *, out_sharding: None = None
) -> Any:
    """`operand` in row-major order with another shape.

    Args:
        operand: an array.
        new_sizes: the shape.
        dimensions: an order of the axes of `operand`, by which it is transposed first.
        out_sharding: `None`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.reshape(np.arange(4), (2, 2))
    Array([[0, 1],
           [2, 3]])
    """
    refuse_placement("reshape", out_sharding=out_sharding)
    if dimensions is not None:
        operand = transpose(operand, dimensions)
    sizes = tuple(map(operator.index, new_sizes))
    return operand if aval_of(operand).shape == sizes else reshape_p.bind(operand, new_sizes=sizes)


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """`array` without the named axes, which must have size 1.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.squeeze(np.array([[1, 2]]), (0,))
    Array([1, 2])
    """
    shape = aval_of(array).shape
    dims = {canonical_axis(d, len(shape)) for d in dimensions}
    for d in dims:
        if shape[d] != 1:
            raise ShapeError(f"cannot squeeze axis {d} of size {shape[d]}: only axes of size 1 can be dropped")
    return reshape(array, tuple(n for i, n in enumerate(shape) if i not in dims))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """`array` with axes of size 1 at the named places of the result.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.expand_dims(np.array([1, 2]), (0,))
    Array([[1, 2]])
    """
    shape = list(aval_of(array).shape)
    ndim = len(shape) + len(dimensions)
    for d in sorted(canonical_axis(d, ndim) for d in dimensions):
        shape.insert(d, 1)
    return reshape(array, shape)


def integer_axis(axis: Any) -> int:
    """What numbers an axis, as an integer."""
    try:
        return operator.index(axis)
    except TypeError as error:
        if isinstance(error, FunctransError):
            raise
        raise DTypeError(f"an axis must be an integer, got {axis!r:.40}") from None


def canonical_axis(axis: Any, ndim: int) -> int:
    """An axis counted from the front; `ShapeError` where there is none."""
    axis = integer_axis(axis)
    if not -ndim <= axis < ndim:
        raise AxisError(f"axis {axis} is out of bounds for an array of {ndim} dimensions")
    return axis % ndim


def _reshape_abstract(x: ShapedArray, *, new_sizes: Shape) -> ShapedArray:
    out = x.with_shape(new_sizes)
    if out.size != x.size or any(n < 0 for n in new_sizes):
        raise ShapeError(f"cannot reshape an array of shape {x.shape} ({x.size} elements) into shape {new_sizes}")
    return out


def _reshape_batch(axis: Axis, args: list[Any], dims: list[int], *, new_sizes: Shape) -> tuple[Any, int]:
    return reshape_p.bind(move_axis(args[0], dims[0], 0), new_sizes=(axis.size, *new_sizes)), 0


def _reshape_lower(k: Any, idx: Any, x: Any, *, new_sizes: Shape) -> Any:
    """Match runs of axes with equal products; within a run go through the flat position."""
    return x.at(*reshape_index(k, idx, new_sizes, x.aval.shape))


def reshape_index(k: Any, idx: Any, new: Shape, old: Shape) -> list[Any]:
    """The index into an array of shape `old` of the element at `idx` of its reshape to `new`."""
    if 0 in old:
        return [k.size(0)] * len(old)
    out: list[Any] = []
    i = j = 0
    while j < len(old):
        if old[j] == 1:
            out.append(k.size(0))
            j += 1
            continue
        while new[i] == 1:
            i += 1
        i0, j0, a, b = i, j, new[i], old[j]
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a, i = a * new[i], i + 1
            else:
                b, j = b * old[j], j + 1
        out += _run_index(k, idx[i0:i], new[i0:i], old[j0:j])
    return out


def _run_index(k: Any, idx: Any, new: Shape, old: Shape) -> list[Any]:
    pairs = [(x, n) for x, n in zip(idx, new) if n != 1]
    if len(pairs) == 1 and sum(n != 1 for n in old) == 1:
        return [pairs[0][0] if n != 1 else k.size(0) for n in old]
    return list(k.unravel(k.ravel(idx, new), old))


reshape_p = Primitive("reshape")
reshape_p.impl = lambda x, *, new_sizes: wrap(np.reshape(x, new_sizes))
reshape_p.abstract_eval = _reshape_abstract
linear_unary(reshape_p)
reshape_p.transpose = lambda ct, x, *, new_sizes: [reshape(ct, x.aval.shape)]
reshape_p.batch = _reshape_batch
reshape_p.lower = _reshape_lower

# ---------------------------------------------------------------- transpose


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """`operand` with its axes in the order `permutation`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.transpose(np.ones((2, 3)), (1, 0)).shape
    (3, 2)
    """
    permutation = tuple(map(operator.index, permutation))
    if permutation == tuple(range(len(permutation))) and aval_of(operand).ndim == len(permutation):
        return operand
    return transpose_p.bind(operand, permutation=permutation)


def _transpose_abstract(x: ShapedArray, *, permutation: Shape) -> ShapedArray:
    if sorted(permutation) != list(range(x.ndim)):
        raise ShapeError(f"transpose: {permutation} is not a permutation of the {x.ndim} axes of shape {x.shape}")
    return x.with_shape(tuple(x.shape[i] for i in permutation))


def _inverse(permutation: Shape) -> Shape:
    return tuple(sorted(range(len(permutation)), key=permutation.__getitem__))


def _transpose_batch(axis: Axis, args: list[Any], dims: list[int], *, permutation: Shape) -> tuple[Any, int]:
    d = dims[0]
    return transpose(args[0], (d, *(p + (p >= d) for p in permutation))), 0


transpose_p = Primitive("transpose")
transpose_p.impl = lambda x, *, permutation: wrap(np.transpose(x, permutation))
transpose_p.abstract_eval = _transpose_abstract
linear_unary(transpose_p)
transpose_p.transpose = lambda ct, x, *, permutation: [transpose(ct, _inverse(permutation))]
transpose_p.batch = _transpose_batch
transpose_p.lower = lambda k, idx, x, *, permutation: x.at(*[idx[i] for i in _inverse(permutation)])

# ---------------------------------------------------------------- slice and pad


def slice(
    operand: Any, start_indices: Sequence[int], limit_indices: Sequence[int], strides: Sequence[int] | None = None
) -> Any:
    """`operand[start:limit:stride]` along every axis, with bounds that lie inside and positive strides.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.slice(np.arange(6), (1,), (6,), (2,))
    Array([1, 3, 5])
    """
    shape = aval_of(operand).shape
    start, limit = tuple(map(operator.index, start_indices)), tuple(map(operator.index, limit_indices))
    steps = (1,) * len(start) if strides is None else tuple(map(operator.index, strides))
    if start == (0,) * len(shape) and limit == shape and steps == (1,) * len(shape):
        return operand
    return slice_p.bind(operand, start_indices=start, limit_indices=limit, strides=steps)


def slice_in_dim(operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0) -> Any:
    """`slice` along one axis; `None` and negative bounds as in Python.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.slice_in_dim(np.arange(6), 1, 5, stride=2)
    Array([1, 3])
    """
    shape = aval_of(operand).shape
    axis = canonical_axis(axis, len(shape))
    first, last, _ = builtin_slice(start_index, limit_index).indices(shape[axis])
    start, limit, steps = [0] * len(shape), list(shape), [1] * len(shape)
    start[axis], limit[axis], steps[axis] = first, max(first, last), stride
    return slice(operand, start, limit, steps)


def _slice_abstract(x: ShapedArray, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> ShapedArray:
    if not (len(start_indices) == len(limit_indices) == len(strides) == x.ndim) or not all(
        0 <= s <= e <= n and t > 0 for s, e, t, n in zip(start_indices, limit_indices, strides, x.shape)
    ):
        raise ShapeError(
            f"slice: start {start_indices}, limit {limit_indices} and strides {strides} do not fit shape {x.shape}; "
            "each axis needs 0 <= start <= limit <= size and a positive stride"
        )
    sizes = (-(-(e - s) // t) for s, e, t in zip(start_indices, limit_indices, strides))
    return x.with_shape(tuple(sizes))


def _slice_impl(x: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> Any:
    return wrap(np.asarray(x)[_slice_index(start_indices, limit_indices, strides)])


def _slice_index(start: Shape, limit: Shape, strides: Shape) -> tuple[builtin_slice, ...]:
    return tuple(map(builtin_slice, start, limit, strides))


def _slice_transpose(ct: Any, x: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> list[Any]:
    shape, out = x.aval.shape, aval_of(ct).shape
    if isinstance(ct, np.ndarray):
        padded = np.zeros(shape, ct.dtype)
        padded[_slice_index(start_indices, limit_indices, strides)] = ct
        return [wrap(padded)]
    config = []
    for s, t, n, m in zip(start_indices, strides, shape, out):
        reach = s + (m - 1) * t + 1 if m else s
        config.append((s, n - reach, t - 1))
    return [pad(ct, zeros(ShapedArray((), aval_of(ct).dtype)), config)]


def _slice_batch(axis: Axis, args: list[Any], dims: list[int], **params: Shape) -> tuple[Any, int]:
    (x,), (d,) = args, dims
    start, limit, steps = (list(params[name]) for name in ("start_indices", "limit_indices", "strides"))
    start.insert(d, 0), limit.insert(d, axis.size), steps.insert(d, 1)  # type: ignore[func-returns-value]
    return slice(x, start, limit, steps), d


def _slice_lower(k: Any, idx: Any, x: Any, *, start_indices: Shape, limit_indices: Shape, strides: Shape) -> Any:
    moved = []
    for i, s, t in zip(idx, start_indices, strides):
        i = i if t == 1 else i * k.size(t)
        moved.append(i if s == 0 else i + k.size(s))
    return x.at(*moved)


slice_p = Primitive("slice")
slice_p.impl = _slice_impl
slice_p.abstract_eval = _slice_abstract
linear_unary(slice_p)
slice_p.transpose = _slice_transpose
slice_p.batch = _slice_batch
slice_p.lower = _slice_lower


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """`operand` with `(low, high, interior)` copies of a scalar before, after and between the elements of each axis.

    Negative `low` and `high` cut elements off.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.pad(np.array([1.0, 2.0]), 0.0, [(1, 0, 1)])
    Array([0., 1., 0., 2.])
    """
    config = tuple(tuple(map(operator.index, c)) for c in padding_config)
    if all(c == (0, 0, 0) for c in config):
        return operand
    return pad_p.bind(operand, padding_value, padding_config=config)


def _pad_abstract(x: ShapedArray, value: ShapedArray, *, padding_config: Any) -> ShapedArray:
    if value.shape != () or len(padding_config) != x.ndim:
        raise ShapeError(f"pad: needs a scalar value and one (low, high, interior) for each axis of shape {x.shape}")
    if value.dtype != x.dtype:
        raise DTypeError(f"pad: the padding value has dtype {value.dtype}, the array {x.dtype}")
    sizes = tuple(lo + hi + n + max(n - 1, 0) * between for n, (lo, hi, between) in zip(x.shape, padding_config))
    if any(n < 0 for n in sizes):
        raise ShapeError(f"pad: negative padding {padding_config} is larger than shape {x.shape}")
    return ShapedArray(sizes, x.dtype)


def _pad_impl(x: Any, value: Any, *, padding_config: Any) -> Any:
    x = np.asarray(x)
    sizes = _pad_abstract(aval_of(x), ShapedArray((), x.dtype), padding_config=padding_config).shape
    out = np.full(sizes, value, x.dtype)
    target, source = [], []
    for n, m, (lo, _, between) in zip(x.shape, sizes, padding_config):
        step = between + 1
        first = max(0, -(lo // step)) if lo < 0 else 0
        start = lo + first * step
        count = max(0, min(n - first, -(-(m - start) // step)))
        source.append(builtin_slice(first, first + count))
        target.append(builtin_slice(start, start + count * step, step) if count else builtin_slice(0, 0))
    out[tuple(target)] = x[tuple(source)]
    return wrap(out)


def _pad_jvp(p: Any, t: Any, *, padding_config: Any) -> Any:
    tx, tv = (zeros(aval_of(x).strong()) if dx is None else dx for x, dx in zip(p, t))
    return pad_p.bind(*p, padding_config=padding_config), pad_p.bind(tx, tv, padding_config=padding_config)


def _pad_transpose(ct: Any, x: Any, value: Any, *, padding_config: Any) -> list[Any]:
    inside = None
    if is_linear(x):
        uncut = pad(ct, zeros(ShapedArray((), aval_of(ct).dtype)), [(-lo, -hi, 0) for lo, hi, _ in padding_config])
        inside = slice(uncut, [0] * len(padding_config), aval_of(uncut).shape, [b + 1 for _, _, b in padding_config])
    if not is_linear(value):
        return [inside, None]
    axes = tuple(range(len(padding_config)))
    total = reduce_sum_p.bind(ct, axes=axes)
    shape = x.aval.shape if is_linear(x) else aval_of(x).shape
    ones = pad_p.bind(
        zeros(ShapedArray(shape, total.dtype)), np.ones((), total.dtype)[()], padding_config=padding_config
    )
    return [inside, reduce_sum_p.bind(ct * ones, axes=axes)]


def _pad_batch(axis: Axis, args: list[Any], dims: list[Any], *, padding_config: Any) -> tuple[Any, int]:
    (x, value), (d, dv) = args, dims
    if dv is not None:
        from functrans.lax.elementwise import select_n

        x = batch_first(axis, x, d)
        config = ((0, 0, 0), *padding_config)
        dtype = aval_of(x).dtype
        inside = pad_p.bind(zeros(ShapedArray(aval_of(x).shape, np.dtype(bool))), np.True_, padding_config=config)
        filled = pad_p.bind(x, dtype.type(0), padding_config=config)
        value = reshape(value, (axis.size, *[1] * len(padding_config)))
        return select_n.bind(inside, filled, value), 0
    widened = list(padding_config)
    widened.insert(d, (0, 0, 0))
    return pad(x, value, widened), d


def _pad_lower(k: Any, idx: Any, x: Any, value: Any, *, padding_config: Any) -> Any:
    inside, moved = None, []
    for i, n, (lo, hi, between) in zip(idx, x.aval.shape, padding_config):
        j = i - k.size(lo) if lo > 0 else i + k.size(-lo) if lo < 0 else i
        conditions = []
        if between:
            step = k.size(between + 1)
            conditions.append((j % step).eq(0))
            j_in = j // step
        else:
            j_in = j
        if lo > 0:
            conditions.append(j >= k.size(0))
        if hi > 0 or between:
            conditions.append(j_in < k.size(n))
        for c in conditions:
            inside = c if inside is None else inside & c
        moved.append(j_in)
    if 0 in x.aval.shape:
        return value.at()
    return x.at(*moved) if inside is None else k.guard(inside, lambda: x.at(*moved), value.at())


pad_p = Primitive("pad")
pad_p.impl = _pad_impl
pad_p.abstract_eval = _pad_abstract
pad_p.jvp = _pad_jvp
pad_p.transpose = _pad_transpose
termwise(pad_p)
pad_p.batch = _pad_batch
pad_p.direct = eager.linear(pad_p, builtin_slice(2))
pad_p.lower = _pad_lower

# ---------------------------------------------------------------- concatenate


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Arrays of one dtype joined along an axis.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.concatenate([np.zeros(1), np.ones(2)], 0)
    Array([0., 1., 1.])
    """
    operands = list(operands)
    if not operands:
        raise ShapeError("concatenate needs at least one array")
    if len(operands) == 1:
        return operands[0]
    return concatenate_p.bind(*operands, dimension=operator.index(dimension))


def _concatenate_abstract(*avals: ShapedArray, dimension: int) -> ShapedArray:
    first = avals[0]
    if not 0 <= dimension < first.ndim:
        raise ShapeError(f"concatenate: no axis {dimension} in arrays of shape {first.shape}")
    for a in avals[1:]:
        if a.ndim != first.ndim or any(i != dimension and n != m for i, (n, m) in enumerate(zip(a.shape, first.shape))):
            raise ShapeError(
                f"concatenate: shapes {first.shape} and {a.shape} must be equal in every axis but {dimension}"
            )
        if a.dtype != first.dtype:
            raise DTypeError(f"concatenate: dtypes {first.dtype} and {a.dtype} differ; convert the arrays first")
    sizes = list(first.shape)
    sizes[dimension] = sum(a.shape[dimension] for a in avals)
    return ShapedArray(tuple(sizes), first.dtype)


def _concatenate_jvp(p: Any, t: Any, *, dimension: int) -> Any:
    ts = [zeros(aval_of(x).strong()) if dx is None else dx for x, dx in zip(p, t)]
    return concatenate_p.bind(*p, dimension=dimension), concatenate_p.bind(*ts, dimension=dimension)


def _concatenate_transpose(ct: Any, *xs: Any, dimension: int) -> list[Any]:
    outs, position = [], 0
    shape = aval_of(ct).shape
    for x in xs:
        n = (x.aval if is_linear(x) else aval_of(x)).shape[dimension]
        start, limit = [0] * len(shape), list(shape)
        start[dimension], limit[dimension] = position, position + n
        outs.append(slice(ct, start, limit) if is_linear(x) else None)
        position += n
    return outs


def _concatenate_batch(axis: Axis, args: list[Any], dims: list[Any], *, dimension: int) -> tuple[Any, int]:
    xs = [batch_first(axis, x, d) for x, d in zip(args, dims)]
    return concatenate_p.bind(*xs, dimension=dimension + 1), 0


def _concatenate_lower(k: Any, idx: Any, *xs: Any, dimension: int) -> Any:
    i = idx[dimension]
    ends, position = [], 0
    for x in xs:
        position += x.aval.shape[dimension]
        ends.append(position)

    def element(j: int) -> Any:
        start = ends[j] - xs[j].aval.shape[dimension]
        index = list(idx)
        index[dimension] = i - k.size(start) if start else i
        return xs[j].at(*index)

    live = [j for j, x in enumerate(xs) if 0 not in x.aval.shape]
    if not live:
        return k.const(0, xs[0].aval.dtype)
    out = element(live[-1]) if len(live) == 1 else None
    if out is None:
        out = k.guard(i >= k.size(ends[live[-2]]), lambda: element(live[-1]), k.const(0, xs[0].aval.dtype))
        for n in range(len(live) - 2, -1, -1):
            j = live[n]
            inside = i < k.size(ends[j])
            if n:
                inside = inside & (i >= k.size(ends[live[n - 1]]))
            out = k.guard(inside, lambda j=j: element(j), out)
    return out


concatenate_p = Primitive("concatenate")
concatenate_p.impl = lambda *xs, dimension: wrap(np.concatenate(xs, dimension))
concatenate_p.abstract_eval = _concatenate_abstract
concatenate_p.jvp = _concatenate_jvp
concatenate_p.direct = eager.linear(concatenate_p, builtin_slice(None))
concatenate_p.transpose = _concatenate_transpose
termwise(concatenate_p)
concatenate_p.batch = _concatenate_batch
concatenate_p.lower = _concatenate_lower

# ---------------------------------------------------------------- rev


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """`operand` with the order of elements along some axes reversed.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.rev(np.arange(3), (0,))
    Array([2, 1, 0])
    """
    dims = tuple(map(operator.index, dimensions))
    return rev_p.bind(operand, dimensions=dims) if dims else operand


def _rev_abstract(x: ShapedArray, *, dimensions: Shape) -> ShapedArray:
    if len(set(dimensions)) != len(dimensions) or not all(0 <= d < x.ndim for d in dimensions):
        raise ShapeError(f"rev: {dimensions} are not distinct axes of shape {x.shape}")
    return x


def _rev_lower(k: Any, idx: Any, x: Any, *, dimensions: Shape) -> Any:
    return x.at(*[k.size(n - 1) - i if d in dimensions else i for d, (i, n) in enumerate(zip(idx, x.aval.shape))])


rev_p = Primitive("rev")
rev_p.impl = lambda x, *, dimensions: wrap(np.flip(x, dimensions))
rev_p.abstract_eval = _rev_abstract
linear_unary(rev_p)
rev_p.transpose = lambda ct, x, *, dimensions: [rev(ct, dimensions)]
rev_p.batch = lambda axis, args, dims, *, dimensions: (
    rev(args[0], [d + (d >= dims[0]) for d in dimensions]),
    dims[0],
)
rev_p.lower = _rev_lower
