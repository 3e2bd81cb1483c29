"""Reductions and cumulative reductions (`reduce_sum` is in `broadcasting.py`).

Derivatives: the maximum splits its tangent equally among ties; a product's is written with exclusive cumulative
products, so that it is right, to any order, where factors are zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, bfloat16, is_inexact, kind_of, native
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive, Reduction
from functrans.errors import AxisError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import (
    _reduced,
    batch_reduction,
    broadcast_in_dim_p,
    broadcasted_iota,
    linear_unary,
    reduce_sum_p,
)
from functrans.lax.conversion import convert_element_type
from functrans.lax.structural import concatenate_p, integer_axis, pad, reshape, slice_in_dim, transpose
from functrans.transforms import eager
from functrans.transforms.recording import OVER, TIMES

Axes = tuple[int, ...]


def canonical_axes(axes: Sequence[int], ndim: int) -> Axes:
    """Axes counted from the front and sorted; `AxisError` for one that does not exist or stands twice."""
    out = []
    for a in axes:
        a = integer_axis(a)
        if not -ndim <= a < ndim:
            raise AxisError(f"axis {a} is out of bounds for an array of {ndim} dimensions")
        out.append(a % ndim)
    if len(set(out)) != len(out):
        raise AxisError(f"duplicate axes in {tuple(axes)}")
    return tuple(sorted(out))


def _keep(x: Any, y: Any, axes: Axes) -> Any:
    """A reduced value broadcast back to the shape of what was reduced."""
    shape = aval_of(x).shape
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    return broadcast_in_dim_p.bind(y, shape=shape, broadcast_dimensions=kept)


def _not_defined(name: str, dtype: np.dtype) -> DTypeError:
    return DTypeError(f"{name} is not defined for arrays of dtype {dtype}")


def _reduction(name: str, ufunc: Any, combine: str, identity: Any, kinds: str, jvp: Any = None) -> Primitive:
    p = Primitive(name)

    def impl(x: Any, *, axes: Axes) -> Any:
        x = native(x)
        wide = np.float32 if x.dtype == bfloat16 else x.dtype
        return wrap(ufunc.reduce(x, axis=axes, dtype=wide).astype(x.dtype, copy=False))

    def abstract_eval(x: ShapedArray, *, axes: Axes) -> ShapedArray:
        if kind_of(x.dtype) not in kinds:
            raise _not_defined(name, x.dtype)
        if combine in ("max", "min") and any(x.shape[a] == 0 for a in axes):
            raise ShapeError(
                f"zero-size array to reduction operation {ufunc.__name__} which has no identity: {name} over "
                f"axes {axes} "
                f"of shape {x.shape}"
            )
        return ShapedArray(_reduced(x.shape, axes), x.dtype)

    p.impl = impl
    p.abstract_eval = abstract_eval
    p.batch = batch_reduction(p)
    p.reduction = Reduction(combine, identity)
    p.jvp = jvp or (lambda primals, tangents, *, axes: (p.bind(primals[0], axes=axes), None))
    return p


# ---------------------------------------------------------------- max, min


def _lowest(dtype: np.dtype) -> Any:
    if dtype.kind == "b":
        return np.False_
    return dtype.type(-np.inf) if is_inexact(dtype) else np.iinfo(dtype).min


def _highest(dtype: np.dtype) -> Any:
    if dtype.kind == "b":
        return np.True_
    return dtype.type(np.inf) if is_inexact(dtype) else np.iinfo(dtype).max


def _extremum_jvp(primitive: Any) -> Any:
    def jvp(primals: Any, tangents: Any, *, axes: Axes) -> Any:
        (x,), (t,) = primals, tangents
        y = primitive().bind(x, axes=axes)
        chosen = convert_element_type(ew.eq(x, _keep(x, y, axes)), aval_of(x).dtype)
        count = reduce_sum_p.bind(chosen, axes=axes)
        return y, ew.div(reduce_sum_p.bind(ew.mul(t, chosen), axes=axes), count)

    return jvp


def _extremum_direct(ufunc: Any) -> Any:
    """What the jvp rule comes to at plain values."""

    def direct(x: Any, *, axes: Axes) -> Any:
        if not eager.is_direct(x):
            return None
        trace, value = x._trace, x.value
        try:
            y = np.asarray(ufunc.reduce(value, axis=axes, keepdims=True))
        except ValueError:  # of no element: `bind` explains
            return None
        chosen = np.equal(value, y).astype(value.dtype)
        y = y.reshape(_reduced(value.shape, axes))
        products = eager.combination(trace, value, x.tangent, TIMES, chosen)
        total = eager.equation(trace, y, reduce_sum_p, (products.tangent,), axes=axes)
        return eager.combination(trace, y, total.tangent, OVER, np.add.reduce(chosen, axis=axes))

    return direct


reduce_max_p = _reduction("reduce_max", np.maximum, "max", _lowest, "biufc", _extremum_jvp(lambda: reduce_max_p))
reduce_min_p = _reduction("reduce_min", np.minimum, "min", _highest, "biufc", _extremum_jvp(lambda: reduce_min_p))

reduce_max_p.direct = _extremum_direct(np.maximum)
reduce_min_p.direct = _extremum_direct(np.minimum)

# ---------------------------------------------------------------- prod, and, or, xor


def _prod_jvp(primals: Any, tangents: Any, *, axes: Axes) -> Any:
    """The tangent is the sum over factors of `t` times the product of all the others."""
    (x,), (t,) = primals, tangents
    y = reduce_prod_p.bind(x, axes=axes)
    shape = aval_of(x).shape
    kept = [i for i in range(len(shape)) if i not in axes]
    order, sizes = [*kept, *axes], [shape[i] for i in kept]
    flat = reshape(transpose(x, order), [*sizes, _size(shape, axes)])
    tangent = reshape(transpose(t, order), aval_of(flat).shape)
    return y, reduce_sum_p.bind(ew.mul(tangent, products_of_others(flat)), axes=(len(kept),))


def _size(shape: Sequence[int], axes: Axes) -> int:
    n = 1
    for a in axes:
        n *= shape[a]
    return n


def products_of_others(x: Any) -> Any:
    """Along the last axis: the product of all elements but this one, by exclusive products from both ends."""
    axis = aval_of(x).ndim - 1
    n = aval_of(x).shape[axis]
    if n == 0:
        return x
    ones = broadcast_in_dim_p.create(
        aval_of(x).dtype.type(1), shape=(*aval_of(x).shape[:-1], 1), broadcast_dimensions=()
    )
    before = concatenate_p.bind(ones, slice_in_dim(cumprod(x, axis), 0, n - 1, axis=axis), dimension=axis)
    after = concatenate_p.bind(slice_in_dim(cumprod(x, axis, reverse=True), 1, n, axis=axis), ones, dimension=axis)
    return ew.mul(before, after)


reduce_prod_p = _reduction("reduce_prod", np.multiply, "mul", lambda dtype: dtype.type(1), "biufc", _prod_jvp)
reduce_and_p = _reduction(
    "reduce_and", np.bitwise_and, "and", lambda d: d.type(-1 if d.kind == "i" else _highest(d)), "biu"
)
reduce_or_p = _reduction("reduce_or", np.bitwise_or, "or", lambda d: d.type(0), "biu")
reduce_xor_p = _reduction("reduce_xor", np.bitwise_xor, "xor", lambda d: d.type(0), "biu")


def _public(primitive: Primitive, what: str, example: str) -> Any:
    def reduce(operand: Any, axes: Sequence[int], *, out_sharding: None = None) -> Any:
        refuse_placement(primitive.name, out_sharding=out_sharding)
        return primitive.bind(operand, axes=canonical_axes(axes, aval_of(operand).ndim))

    reduce.__name__ = reduce.__qualname__ = primitive.name
    reduce.__doc__ = f"""{what} over `axes`; the result has the dtype of the operand.

    Raises:
        AxisError: an axis does not exist, or stands twice.
        DTypeError: the operation is not defined for the dtype.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.{primitive.name}({example}
    """
    return reduce


reduce_sum = _public(reduce_sum_p, "The sum", "np.array([[1, 2], [3, 4]]), (0,))\n    Array([4, 6])")
reduce_prod = _public(reduce_prod_p, "The product", "np.array([[1, 2], [3, 4]]), (0, 1))\n    Array(24)")
reduce_max = _public(
    reduce_max_p,
    "The maximum (NaN where there is one), of one element at least,",
    "np.array([[1, 2], [3, 4]]), (1,))\n    Array([2, 4])",
)
reduce_min = _public(
    reduce_min_p,
    "The minimum (NaN where there is one), of one element at least,",
    "np.array([[1, 2], [3, 4]]), (1,))\n    Array([1, 3])",
)
reduce_and = _public(
    reduce_and_p, "The bitwise (for booleans: logical) conjunction", "np.array([6, 3]), (0,))\n    Array(2)"
)
reduce_or = _public(
    reduce_or_p, "The bitwise (for booleans: logical) disjunction", "np.array([6, 3]), (0,))\n    Array(7)"
)
reduce_xor = _public(reduce_xor_p, "The bitwise exclusive or", "np.array([6, 3]), (0,))\n    Array(5)")

# ---------------------------------------------------------------- argmax, argmin


def _arg(name: str, function: Any) -> Primitive:
    p = Primitive(name)

    def abstract_eval(x: ShapedArray, *, axes: Axes, index_dtype: np.dtype) -> ShapedArray:
        if x.shape[axes[0]] == 0:
            raise ShapeError(f"attempt to get {name} of an empty sequence: axis {axes[0]} of shape {x.shape}")
        return ShapedArray(_reduced(x.shape, axes), index_dtype)

    p.impl = lambda x, *, axes, index_dtype: wrap(np.asarray(function(x, axis=axes[0])).astype(index_dtype))
    p.abstract_eval = abstract_eval
    p.jvp = lambda primals, tangents, **params: (p.bind(primals[0], **params), None)
    p.batch = batch_reduction(p)
    return p


argmax_p = _arg("argmax", np.argmax)
argmin_p = _arg("argmin", np.argmin)


def argmax(operand: Any, axis: int, index_dtype: Any = np.int64) -> Any:
    """The first index of the maximum along an axis; of the first NaN where there is one.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.argmax(np.array([1.0, 3.0, 2.0]), 0)
    Array(1)
    """
    axes = canonical_axes((axis,), aval_of(operand).ndim)
    return argmax_p.bind(operand, axes=axes, index_dtype=np.dtype(index_dtype))


def argmin(operand: Any, axis: int, index_dtype: Any = np.int64) -> Any:
    """The first index of the minimum along an axis; of the first NaN where there is one.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.argmin(np.array([1.0, np.nan, 0.0]), 0)
    Array(1)
    """
    axes = canonical_axes((axis,), aval_of(operand).ndim)
    return argmin_p.bind(operand, axes=axes, index_dtype=np.dtype(index_dtype))


# ---------------------------------------------------------------- cumulative reductions


def _cumulative(name: str, accumulate: Any, kinds: str = "biufc") -> Primitive:
    p = Primitive(name)

    def impl(x: Any, *, axis: int, reverse: bool) -> Any:
        x = native(x)
        if kind_of(x.dtype) not in kinds:
            raise _not_defined(name, x.dtype)
        wide = x.astype(np.float32) if x.dtype == bfloat16 else x
        out = accumulate(np.flip(wide, axis) if reverse else wide, axis).astype(x.dtype, copy=False)
        return wrap(np.flip(out, axis) if reverse else out)

    def abstract_eval(x: ShapedArray, *, axis: int, reverse: bool) -> ShapedArray:
        if kind_of(x.dtype) not in kinds:
            raise _not_defined(name, x.dtype)
        if not 0 <= axis < x.ndim:
            raise AxisError(f"axis {axis} is out of bounds for an array of {x.ndim} dimensions")
        return x.strong()

    def batch(vmapped: Axis, args: Any, dims: Any, *, axis: int, reverse: bool) -> Any:
        return p.bind(args[0], axis=axis + (axis >= dims[0]), reverse=reverse), dims[0]

    p.impl, p.abstract_eval, p.batch = impl, abstract_eval, batch
    return p


cumsum_p = _cumulative("cumsum", lambda x, axis: np.add.accumulate(x, axis, dtype=x.dtype))
linear_unary(cumsum_p)
cumsum_p.transpose = lambda ct, x, *, axis, reverse: [cumsum_p.bind(ct, axis=axis, reverse=not reverse)]
cumprod_p = _cumulative("cumprod", lambda x, axis: np.multiply.accumulate(x, axis, dtype=x.dtype))
cummax_p = _cumulative("cummax", lambda x, axis: np.maximum.accumulate(x, axis))
cummin_p = _cumulative("cummin", lambda x, axis: np.minimum.accumulate(x, axis))
cumlogsumexp_p = _cumulative("cumlogsumexp", lambda x, axis: np.logaddexp.accumulate(x, axis), "f")


def _cumprod_jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
    """Pairs `(p, t)` under `(p1, t1) (p2, t2) = (p1 p2, t1 p2 + p1 t2)`, an associative product: right at zeros."""
    (x,), (t,) = primals, tangents
    y = cumprod_p.bind(x, axis=axis, reverse=reverse)
    return y, _scan_linear(x, y, t, axis, reverse)


def _scan_linear(x: Any, y: Any, t: Any, axis: int, reverse: bool) -> Any:
    """Tangents of cumulative products: `s[i] = s[i-1] x[i] + y[i-1] t[i]`, by doubling, linear in `t`."""
    n = aval_of(x).shape[axis]
    if n <= 1:
        return t
    one = aval_of(x).dtype.type(1)
    previous = _shift(y, 1, axis, reverse, one)
    s, factor = ew.mul(previous, t), x
    step = 1
    while step < n:
        s = ew.add(s, ew.mul(_shift(s, step, axis, reverse, aval_of(x).dtype.type(0)), factor))
        factor = ew.mul(factor, _shift(factor, step, axis, reverse, one))
        step *= 2
    return s


def _shift(x: Any, by: int, axis: int, reverse: bool, fill: Any) -> Any:
    """The elements `by` places earlier along an axis (later if `reverse`), `fill` where there are none."""
    n = aval_of(x).shape[axis]
    by = min(by, n)
    config = [(0, 0, 0)] * aval_of(x).ndim
    config[axis] = (-by, by, 0) if reverse else (by, -by, 0)
    return pad(x, fill, config)


def _cumulative_extremum_jvp(primitive: Any, better: Any) -> Any:
    """The tangent of the element that is the running extremum; ties go to the first."""

    def jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        (x,), (t,) = primals, tangents
        y = primitive().bind(x, axis=axis, reverse=reverse)
        from functrans.lax.indexing import take_along

        shape = aval_of(x).shape
        n = shape[axis]
        position = broadcasted_iota(np.int64, shape, axis)
        before = _shift(y, 1, axis, reverse, np.zeros((), aval_of(x).dtype)[()])
        first = ew.eq(position, n - 1 if reverse else 0)
        is_new = ew.logical_or(first, better(x, before))
        if reverse:
            where_new = ew.where(is_new, position, n - 1)
            source = cummin_p.bind(where_new, axis=axis, reverse=True)
        else:
            where_new = ew.where(is_new, position, 0)
            source = cummax_p.bind(where_new, axis=axis, reverse=False)
        return y, take_along(t, source, axis)

    return jvp


def _cumlogsumexp_jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
    (x,), (t,) = primals, tangents
    y = cumlogsumexp_p.bind(x, axis=axis, reverse=reverse)
    n = aval_of(x).shape[axis]
    if n == 0:
        return y, t
    # s[i] = w[i] s[i-1] + (1 - w[i]) t[i], where w[i] = exp(y[i-1] - y[i])
    minus_infinity = aval_of(x).dtype.type(-np.inf)
    previous = _shift(y, 1, axis, reverse, minus_infinity)
    w = ew.exp(previous - ew.where(ew.eq(y, minus_infinity), aval_of(x).dtype.type(0), y))
    s, factor = ew.mul(1 - w, t), w
    step = 1
    while step < n:
        s = ew.add(s, ew.mul(_shift(s, step, axis, reverse, aval_of(x).dtype.type(0)), factor))
        factor = ew.mul(factor, _shift(factor, step, axis, reverse, aval_of(x).dtype.type(1)))
        step *= 2
    return y, s


cumprod_p.jvp = _cumprod_jvp
cummax_p.jvp = _cumulative_extremum_jvp(lambda: cummax_p, ew.gt)
cummin_p.jvp = _cumulative_extremum_jvp(lambda: cummin_p, ew.lt)
cumlogsumexp_p.jvp = _cumlogsumexp_jvp


def _public_cumulative(primitive: Primitive, what: str, example: str) -> Any:
    def cumulative(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        (axis,) = canonical_axes((axis,), aval_of(operand).ndim)
        return primitive.bind(operand, axis=axis, reverse=bool(reverse))

    cumulative.__name__ = cumulative.__qualname__ = primitive.name
    cumulative.__doc__ = f"""{what} along an axis, from the end if `reverse`; of the shape and dtype of the operand.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.{primitive.name}({example}
    """
    return cumulative


cumsum = _public_cumulative(cumsum_p, "Cumulative sums", "np.array([1, 2, 3]))\n    Array([1, 3, 6])")
cumprod = _public_cumulative(
    cumprod_p, "Cumulative products", "np.array([1, 2, 3]), reverse=True)\n    Array([6, 6, 3])"
)
cummax = _public_cumulative(cummax_p, "Running maxima", "np.array([1, 3, 2]))\n    Array([1, 3, 3])")
cummin = _public_cumulative(cummin_p, "Running minima", "np.array([2, 3, 1]))\n    Array([2, 2, 1])")
cumlogsumexp = _public_cumulative(
    cumlogsumexp_p,
    "Logarithms of cumulative sums of exponentials",
    "np.zeros(2))\n    Array([0.        , 0.69314718])",
)
