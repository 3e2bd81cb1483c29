"""Windows that slide over an array, and reductions of what they show: pooling.

`slide` makes the windows axes of their own, as a view of the array; `unslide` is its transpose. They are index maps, so
in compiled programs they fuse with whatever reads them: a reduction over windows is one loop nest. A window that
reaches beyond the array sees the identity of the reduction.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import flatten, structure_error, unflatten
from functrans.errors import ArgumentError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_in_dim, iota, linear_unary, reduce_sum_p
from functrans.lax.monoids import REDUCTIONS, Monoid, initial, is_identity
from functrans.lax.promotion import as_operand
from functrans.lax.reductions import reduce_max_p, reduce_min_p
from functrans.lax.structural import pad, reshape
from functrans.transforms.batching import move_axis

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]

# ---------------------------------------------------------------- sizes and padding


def dilated(sizes: Sequence[int], dilation: Sequence[int]) -> Ints:
    """Sizes of axes with `dilation - 1` gaps between neighbours."""
    return tuple((n - 1) * d + 1 if n else 0 for n, d in zip(sizes, dilation))


def window_counts(sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int]) -> Ints:
    """How many windows fit into each axis, a stride apart."""
    return tuple((n - k) // s + 1 if n >= k else 0 for n, k, s in zip(sizes, windows, strides))


def padtype_to_pads(
    in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """The `(low, high)` padding of each axis that a name stands for.

    Args:
        in_shape, window_shape, window_strides: sizes of the axes and of the windows over them, and their distances.
        padding: `"VALID"`, no padding; `"SAME"`, as many windows as there are strides in the axis, an odd rest at the
            end; `"SAME_LOWER"`, the rest at the beginning. Case does not matter.

    Raises:
        ArgumentError: another name.

    >>> import functrans.lax as lax
    >>> lax.padtype_to_pads((5,), (4,), (1,), "SAME")
    [(1, 2)]
    """
    kind = padding.upper() if isinstance(padding, str) else padding
    if kind == "VALID":
        return [(0, 0)] * len(in_shape)
    if kind not in ("SAME", "SAME_LOWER"):
        raise ArgumentError(
            f"padding is 'VALID', 'SAME', 'SAME_LOWER' or a (low, high) pair for each axis, got {padding!r:.80}"
        )
    pads = []
    for n, k, s in zip(in_shape, window_shape, window_strides):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if kind == "SAME" else (large, small))
    return pads


def integers(what: str, values: Any, count: int, minimum: int = 1) -> Ints:
    """So many integers, none less than `minimum`; ones for `None`."""
    if values is None:
        return (1,) * count
    try:
        found = tuple(map(operator.index, values))
    except TypeError:
        raise ArgumentError(f"{what} must be a sequence of integers, got {values!r:.80}") from None
    if len(found) != count:
        raise ShapeError(f"{what} must have one entry for each of {count} axes, got {found}")
    if any(n < minimum for n in found):
        raise ShapeError(f"{what} must be {minimum} at least, got {found}")
    return found


def explicit_pads(what: str, padding: Any, count: int) -> Pads:
    """Padding as `(low, high)` pairs of integers."""
    try:
        pads = tuple((operator.index(lo), operator.index(hi)) for lo, hi in padding)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"the padding of {what} is 'VALID', 'SAME', 'SAME_LOWER' or a (low, high) pair for each axis, "
            f"got {padding!r:.80}"
        ) from None
    if len(pads) != count:
        raise ShapeError(f"the padding of {what} needs a (low, high) pair for each of {count} axes, got {pads}")
    return pads


def padded(what: str, sizes: Sequence[int], padding: Pads) -> Ints:
    """Sizes with padding, which may be negative but must not take more than there is."""
    out = tuple(n + lo + hi for n, (lo, hi) in zip(sizes, padding))
    if any(n < 0 for n in out):
        raise ShapeError(f"{what}: negative padding {padding} is larger than the axes it is taken from, {tuple(sizes)}")
    return out


def transposed_padding(
    sizes: Sequence[int],
    windows: Sequence[int],
    out: Sequence[int],
    *,
    strides: Sequence[int],
    padding: Pads,
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
) -> Pads:
    """The padding of `out`, dilated by the strides, with which its windows run over the elements of the operand."""
    whole, reach, spread = dilated(sizes, base_dilation), dilated(windows, window_dilation), dilated(out, strides)
    before = [k - lo - 1 for k, (lo, _) in zip(reach, padding)]
    return tuple((b, n + k - 1 - m - b) for n, k, m, b in zip(whole, reach, spread, before))


# ---------------------------------------------------------------- slide


def slide(x: Any, axes: Sequence[int], sizes: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Any:
    """The windows of an array: along the axes their number, and behind all axes those of the windows.

    `out[..., p, ..., t] = x[..., p * stride + t * dilation, ...]`.

    >>> import numpy as np
    >>> from functrans.lax.windows import slide
    >>> slide(np.arange(5), (0,), (3,), (2,), (1,))
    Array([[0, 1, 2],
           [2, 3, 4]])
    """
    shape = aval_of(x).shape
    wide = broadcast_in_dim(x, (*shape, *sizes), tuple(range(len(shape))))
    if all(k == 1 and s == 1 for k, s in zip(sizes, strides)):
        return wide
    return slide_p.bind(wide, axes=tuple(axes), strides=tuple(strides), dilation=tuple(dilation))


def _slid(x: ShapedArray, axes: Ints, strides: Ints, dilation: Ints) -> Ints:
    """The numbers of windows along `axes`."""
    windows = x.shape[x.ndim - len(axes) :]
    return window_counts([x.shape[a] for a in axes], dilated(windows, dilation), strides)


def _slide_abstract(x: ShapedArray, *, axes: Ints, strides: Ints, dilation: Ints) -> ShapedArray:
    shape = list(x.shape)
    for a, n in zip(axes, _slid(x, axes, strides, dilation)):
        shape[a] = n
    return x.with_shape(tuple(shape))


def _window_strides(x: np.ndarray, axes: Ints, strides: Ints, dilation: Ints) -> list[int]:
    steps = list(x.strides)
    for j, (a, s, d) in enumerate(zip(axes, strides, dilation)):
        steps[x.ndim - len(axes) + j] += steps[a] * d
        steps[a] *= s
    return steps


def _slide_impl(x: Any, *, axes: Ints, strides: Ints, dilation: Ints) -> Any:
    x = np.asarray(x)
    shape = _slide_abstract(aval_of(x), axes=axes, strides=strides, dilation=dilation).shape
    return wrap(as_strided(x, shape, _window_strides(x, axes, strides, dilation), writeable=False))


def _slide_transpose(ct: Any, x: Any, *, axes: Ints, **params: Ints) -> list[Any]:
    return [unslide_p.bind(ct, axes=axes, sizes=tuple(x.aval.shape[a] for a in axes), **params)]


def _batch(primitive: Primitive) -> Any:
    def batch(axis: Axis, args: list[Any], dims: list[int], *, axes: Ints, **params: Ints) -> tuple[Any, int]:
        return primitive.bind(move_axis(args[0], dims[0], 0), axes=tuple(a + 1 for a in axes), **params), 0

    return batch


def _slide_lower(k: Any, idx: Any, x: Any, *, axes: Ints, strides: Ints, dilation: Ints) -> Any:
    if 0 in x.aval.shape:
        return k.const(0, x.aval.dtype)
    moved = list(idx)
    for a, t, s, d in zip(axes, idx[len(idx) - len(axes) :], strides, dilation):
        moved[a] = idx[a] * k.size(s) + t * k.size(d)
    return x.at(*moved)


slide_p = Primitive("slide")
slide_p.__doc__ = "`out[..., p, ..., t] = x[..., p * stride + t * dilation, ..., t]`: from copies side by side."
slide_p.impl = _slide_impl
slide_p.abstract_eval = _slide_abstract
linear_unary(slide_p)
slide_p.transpose = _slide_transpose
slide_p.batch = _batch(slide_p)
slide_p.lower = _slide_lower


def _unslide_abstract(x: ShapedArray, *, axes: Ints, sizes: Ints, strides: Ints, dilation: Ints) -> ShapedArray:
    shape = list(x.shape)
    for a, n in zip(axes, sizes):
        shape[a] = n
    out = ShapedArray(tuple(shape), x.dtype)
    if _slid(out, axes, strides, dilation) != tuple(x.shape[a] for a in axes):
        raise ShapeError(f"unslide: windows of shape {x.shape} along axes {axes} do not fit sizes {sizes}")
    return out


def _unslide_impl(x: Any, *, axes: Ints, sizes: Ints, strides: Ints, dilation: Ints) -> Any:
    x = np.asarray(x)
    aval = _unslide_abstract(aval_of(x), axes=axes, sizes=sizes, strides=strides, dilation=dilation)
    out = np.zeros(aval.shape, aval.dtype)
    if x.size:
        as_strided(out, x.shape, _window_strides(out, axes, strides, dilation))[...] = x
    return wrap(out)


def _unslide_lower(k: Any, idx: Any, x: Any, *, axes: Ints, sizes: Ints, strides: Ints, dilation: Ints) -> Any:
    zero = k.const(0, x.aval.dtype)
    if 0 in x.aval.shape:
        return zero
    moved, inside = list(idx), k.const(True, np.bool_)
    for a, t, s, d in zip(axes, idx[len(idx) - len(axes) :], strides, dilation):
        place = idx[a] - t * k.size(d)
        window = place if s == 1 else place // k.size(s)
        inside = inside & (place >= k.size(0)) & (window < k.size(x.aval.shape[a]))
        if s > 1:
            inside = inside & (place % k.size(s)).eq(0)
        moved[a] = window
    return k.guard(inside, lambda: x.at(*moved), zero)


unslide_p = Primitive("unslide")
unslide_p.__doc__ = "The transpose of `slide`: each element of a window at its place in the array, zero elsewhere."
unslide_p.impl = _unslide_impl
unslide_p.abstract_eval = _unslide_abstract
linear_unary(unslide_p)
unslide_p.transpose = lambda ct, x, *, sizes, **params: [slide_p.bind(ct, **params)]
unslide_p.batch = _batch(unslide_p)
unslide_p.lower = _unslide_lower

# ---------------------------------------------------------------- reductions of windows


def _windows(
    x: Any, fill: Any, *, window_dimensions: Ints, window_strides: Ints, padding: Pads, base_dilation: Ints,
    window_dilation: Ints,
) -> tuple[Any, Ints]:  # fmt: skip
    """The windows of the dilated and padded array, and the axes within them (those of single elements left out)."""
    x = pad(x, fill, [(lo, hi, d - 1) for (lo, hi), d in zip(padding, base_dilation)])
    ndim = len(window_dimensions)
    axes = tuple(a for a in range(ndim) if window_dimensions[a] > 1 or window_strides[a] > 1)
    sizes, strides, dilation = (
        [values[a] for a in axes] for values in (window_dimensions, window_strides, window_dilation)
    )
    return slide(x, axes, sizes, strides, dilation), tuple(range(ndim, ndim + len(axes)))


def _identity(reduction: Primitive, x: Any) -> Any:
    """What a window beyond the array sees."""
    assert reduction.reduction is not None
    dtype = aval_of(x).dtype
    return dtype.type(reduction.reduction.identity(dtype))


def _window_reduction(primitive: Primitive, ufunc: Any, reduction: Primitive) -> None:
    """Give a primitive the rules that all reductions of windows share."""

    def abstract_eval(x: ShapedArray, **params: Any) -> ShapedArray:
        windows = dilated(params["window_dimensions"], params["window_dilation"])
        sizes = padded(primitive.name, dilated(x.shape, params["base_dilation"]), params["padding"])
        reduction.abstract_eval(ShapedArray((1,), x.dtype), axes=(0,))  # is it defined for the dtype?
        return ShapedArray(window_counts(sizes, windows, params["window_strides"]), x.dtype)

    def expand(x: Any, **params: Any) -> Any:
        windows, axes = _windows(x, _identity(reduction, x), **params)
        return reduction.bind(windows, axes=axes)

    def impl(x: Any, **params: Any) -> Any:
        """One pass over the array for each place in the window: NumPy's reductions are slow along short axes."""
        x = np.asarray(x)
        found, axes = _windows(x, _identity(reduction, x), **params)
        windows = np.asarray(found)
        first, *others = np.ndindex(*[windows.shape[a] for a in axes])
        out = windows[(..., *first)].copy()
        for place in others:
            ufunc(out, windows[(..., *place)], out=out)
        return wrap(out)

    def batch(axis: Axis, args: list[Any], dims: list[int], *, padding: Pads, **params: Ints) -> tuple[Any, int]:
        x = move_axis(args[0], dims[0], 0)
        each = {name: (1, *values) for name, values in params.items()}
        return primitive.bind(x, padding=((0, 0), *padding), **each), 0

    primitive.abstract_eval, primitive.expand, primitive.impl, primitive.batch = abstract_eval, expand, impl, batch


def _sum_transpose(ct: Any, x: Any, *, window_strides: Ints, padding: Pads, base_dilation: Ints, **params: Ints) -> Any:
    """A sum over the windows that an element lies in."""
    pads = transposed_padding(
        x.aval.shape, params["window_dimensions"], aval_of(ct).shape, strides=window_strides, padding=padding,
        base_dilation=base_dilation, window_dilation=params["window_dilation"],
    )  # fmt: skip
    return [
        reduce_window_sum_p.bind(ct, window_strides=base_dilation, padding=pads, base_dilation=window_strides, **params)
    ]


def _extremum_jvp(primitive: Primitive, reduction: Primitive) -> Callable[..., Any]:
    """The tangent of the extremum; of the first where there are several, and of the first NaN where there is one."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x,), (t,) = primals, tangents
        y = primitive.bind(x, **params)
        windows, axes = _windows(x, _identity(reduction, x), **params)
        sizes = [aval_of(windows).shape[a] for a in axes]
        column = (*aval_of(y).shape, *[1] * len(axes))
        place = reshape(iota(np.int64, math.prod(sizes)), sizes)
        is_extremum = ew.logical_or(ew.eq(windows, reshape(y, column)), ew.ne(windows, windows))
        first = reduce_min_p.bind(ew.where(is_extremum, place, math.prod(sizes)), axes=axes)
        chosen = ew.eq(place, reshape(first, column))
        zero = aval_of(t).dtype.type(0)
        return y, reduce_sum_p.bind(ew.where(chosen, _windows(t, zero, **params)[0], zero), axes=axes)

    return jvp


reduce_window_sum_p = Primitive("reduce_window_sum")
_window_reduction(reduce_window_sum_p, np.add, reduce_sum_p)
linear_unary(reduce_window_sum_p)
reduce_window_sum_p.transpose = _sum_transpose

reduce_window_max_p = Primitive("reduce_window_max")
_window_reduction(reduce_window_max_p, np.maximum, reduce_max_p)
reduce_window_max_p.jvp = _extremum_jvp(reduce_window_max_p, reduce_max_p)

reduce_window_min_p = Primitive("reduce_window_min")
_window_reduction(reduce_window_min_p, np.minimum, reduce_min_p)
reduce_window_min_p.jvp = _extremum_jvp(reduce_window_min_p, reduce_min_p)

_WINDOW_REDUCTIONS = {"add": reduce_window_sum_p, "max": reduce_window_max_p, "min": reduce_window_min_p}


def _params(
    what: str, operand: Any, window_dimensions: Any, window_strides: Any, padding: Any, base_dilation: Any,
    window_dilation: Any,
) -> dict[str, Any]:  # fmt: skip
    """The params of a reduction of windows, checked."""
    shape = aval_of(operand).shape
    windows = integers(
        f"window_dimensions of {what}", () if window_dimensions is None else window_dimensions, len(shape)
    )
    strides = integers(f"window_strides of {what}", window_strides, len(shape))
    base = integers(f"base_dilation of {what}", base_dilation, len(shape))
    spread = integers(f"window_dilation of {what}", window_dilation, len(shape))
    if isinstance(padding, str):
        padding = padtype_to_pads(dilated(shape, base), dilated(windows, spread), strides, padding)
    return {
        "window_dimensions": windows,
        "window_strides": strides,
        "padding": explicit_pads(what, padding, len(shape)),
        "base_dilation": base,
        "window_dilation": spread,
    }


def reduce_window(
    operand: Any,
    init_value: Any,
    computation: Callable[[Any, Any], Any],
    window_dimensions: Sequence[int],
    window_strides: Sequence[int] | None = None,
    padding: str | Sequence[tuple[int, int]] = "VALID",
    base_dilation: Sequence[int] | None = None,
    window_dilation: Sequence[int] | None = None,
) -> Any:
    """Combine the elements of each window that slides over an array.

    Args:
        operand: an array, or a pytree of arrays of one shape whose elements are combined together.
        init_value: a scalar of the operand's dtype (for each operand), with which each window starts; padding has this
            value too.
        computation: an associative function of two elements: `lax.add`, `np.maximum`, `operator.mul`, ... Those that
            are a sum, product, maximum, minimum, and, or, exclusive or are one pass over the array; others combine
            neighbours along a tree, as `reduce` does.
        window_dimensions: the size of the window along each axis.
        window_strides: the distance between neighbouring windows along each axis, 1 by default.
        padding: as for `padtype_to_pads`, or a `(low, high)` pair for each axis; negative numbers cut off.
        base_dilation, window_dilation: the distance between neighbouring elements of the operand, and of the window.

    Returns:
        The structure and dtypes of the operand, with one element for each window. At ties the derivative of a maximum
        or minimum belongs to the first element of the window that has it.

    Raises:
        ShapeError: sizes that do not fit the operand.
        DTypeError: `init_value` has another dtype.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.reduce_window(np.arange(5.0), -np.inf, lax.max, (3,), (2,))
    Array([2., 4.])
    """
    leaves, tree = flatten(operand)
    leaves = [as_operand("reduce_window", x) for x in leaves]
    inits, init_tree = flatten(init_value)
    if init_tree != tree or not leaves:
        raise structure_error(
            "operand and init_value of reduce_window", tree, init_tree, ("operand", "init_value")
        ) or ArgumentError("reduce_window takes an array, or a pytree of arrays with an initial value for each")
    shapes = [aval_of(x).shape for x in leaves]
    if any(s != shapes[0] for s in shapes):
        raise ShapeError(f"reduce_window: the operands must have one shape, they have {shapes}")
    sizes = (window_dimensions, window_strides, padding, base_dilation, window_dilation)
    params = _params("reduce_window", leaves[0], *sizes)
    dtypes = [aval_of(x).dtype for x in leaves]
    starts = [initial("reduce_window", i, d) for i, d in zip(inits, dtypes)]
    monoid = Monoid("reduce_window", computation, dtypes, tree)
    padded("reduce_window", dilated(shapes[0], params["base_dilation"]), params["padding"])
    if monoid.named is None:
        pairs = [_windows(x, i, **params) for x, i in zip(leaves, starts)]
        return unflatten(tree, monoid.reduce([w for w, _ in pairs], starts, pairs[0][1]))
    name = monoid.named.name
    known = is_identity(REDUCTIONS[name], starts[0], dtypes[0])
    if known and name in _WINDOW_REDUCTIONS:
        return unflatten(tree, [_WINDOW_REDUCTIONS[name].bind(leaves[0], **params)])
    windows, axes = _windows(leaves[0], starts[0], **params)
    out = REDUCTIONS[name].bind(windows, axes=axes)
    return unflatten(tree, [out if known else monoid.named.bind(starts[0], out)])


def _public(primitive: Primitive, what: str, example: str) -> Any:
    def reduce(
        operand: Any,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int] | None = None,
        padding: str | Sequence[tuple[int, int]] = "VALID",
        base_dilation: Sequence[int] | None = None,
        window_dilation: Sequence[int] | None = None,
    ) -> Any:
        operand = as_operand(primitive.name, operand)
        given = (operand, window_dimensions, window_strides, padding, base_dilation, window_dilation)
        return primitive.bind(operand, **_params(primitive.name, *given))

    reduce.__name__ = reduce.__qualname__ = primitive.name
    reduce.__doc__ = f"""{what} of each window that slides over an array, as `reduce_window` computes it.

    Raises:
        ShapeError: sizes that do not fit the operand.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.{primitive.name}({example}
    """
    return reduce


reduce_window_sum = _public(reduce_window_sum_p, "The sum", "np.arange(5), (3,))\n    Array([3, 6, 9])")
reduce_window_max = _public(reduce_window_max_p, "The maximum", "np.arange(5), (3,), (2,))\n    Array([2, 4])")
reduce_window_min = _public(
    reduce_window_min_p, "The minimum", 'np.arange(5), (3,), (2,), "SAME")\n    Array([0, 1, 3])'
)

__all__ = [
    "padtype_to_pads",
    "reduce_window",
    "reduce_window_max",
    "reduce_window_min",
    "reduce_window_sum",
]
