"""Sums, products, statistics (NumPy's reference: Mathematical functions, Statistics)."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import SMALL_FLOATS, inexact_dtype
from functrans.core.documentation import with_example
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew, reductions as red
from functrans.lax.broadcasting import reduce_sum_p, spread
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import (
    dtype_of,
    implements,
    normalize_axes,
    normalize_axis,
    operand,
    reduced_axes,
    shape_of,
    unsupported,
)
from functrans.numpy.manipulation import broadcast_to, ravel
from functrans.numpy.ufuncs import where as _where
from functrans.transforms import eager

# ---------------------------------------------------------------- what they share


def _accumulator(dtype: np.dtype) -> np.dtype:
    """The dtype in which NumPy sums: that of the platform's integer for smaller ones."""
    if dtype.kind == "b" or (dtype.kind == "i" and dtype.itemsize < 8):
        return np.dtype(np.int64)
    if dtype.kind == "u" and dtype.itemsize < 8:
        return np.dtype(np.uint64)
    return dtype


def _accumulated(a: Any, dtype: Any, promote_integers: bool) -> Any:
    own = dtype_of(a)
    wanted = dtype if dtype is not None else _accumulator(own) if promote_integers or own.kind == "b" else own
    return lax.convert_element_type(a, wanted)


def _reduce(name: str, primitive: Any, a: Any, axis: Any, keepdims: Any, where: Any, neutral: Any, initial: Any) -> Any:
    shape = shape_of(a)
    axes = reduced_axes(axis, len(shape))
    if where is not None and where is not True:
        a = _where(broadcast_to(where, shape), a, neutral)
    if initial is not None and 0 in shape:
        out = lax.full(tuple(n for i, n in enumerate(shape) if i not in axes), neutral, dtype_of(a))
    else:
        out = primitive.bind(a, axes=axes) if axes else a
    return _keep(out, shape, axes) if keepdims else out


def _documented(function: Any, name: str, call: str, result: str, summary: str = "") -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = with_example(summary, call, result, imports="import functrans.numpy as fnp")
    return function


def _keep(out: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return lax.reshape(out, tuple(1 if i in axes else n for i, n in enumerate(shape)))


def _direct(function: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """`sum` or `mean` of a direct tracer, in one step; None where it is more."""
    if keepdims is not True and keepdims is not False:
        return None
    value = a.value
    try:
        y = np.add.reduce(value, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
    except (TypeError, ValueError):  # which the traced form explains
        return None
    shape = value.shape
    if function is mean:
        if not value.size:
            return None
        count = value.size // y.size
        y = y / value.dtype.type(count)
    reduced = () if keepdims else reduced_axes(axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in reduced] if len(reduced) < len(shape) else ()

    def pull(ct: Any) -> Any:
        return spread(ct if function is sum else ct / ct.dtype.type(count), shape, kept)

    return eager.step(a._trace, a.tangent, y, lambda t: function(t, axis, keepdims=keepdims), pull)


@implements(np.sum, "promote_integers")
def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None, *, promote_integers: bool = True,
) -> Any:  # fmt: skip
    """
    Args:
        promote_integers: whether small integers are summed as int64; as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.sum([[1, 2], [3, 4]], axis=0)
    Array([4, 6])
    """
    if eager.is_direct(a) and dtype is None and out is None and initial is None and (where is None or where is True):
        direct = _direct(sum, a, axis, keepdims)
        if direct is not None:
            return direct
    unsupported("sum", out=out)
    a = _accumulated(operand("sum", a), dtype, promote_integers)
    total = _reduce("sum", reduce_sum_p, a, axis, keepdims, where, dtype_of(a).type(0), None)
    return total if initial is None else total + lax.convert_element_type(initial, dtype_of(total))


@implements(np.prod, "promote_integers")
def prod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None, *, promote_integers: bool = True,
) -> Any:  # fmt: skip
    """
    Args:
        promote_integers: whether small integers are multiplied as int64; as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.prod([1, 2, 3])
    Array(6)
    """
    unsupported("prod", out=out)
    a = _accumulated(operand("prod", a), dtype, promote_integers)
    total = _reduce("prod", red.reduce_prod_p, a, axis, keepdims, where, dtype_of(a).type(1), None)
    return total if initial is None else total * lax.convert_element_type(initial, dtype_of(total))


def _extremum(name: str, primitive: Any, combine: Any, neutral: Any, *doc: str) -> Any:
    def reduce(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
    ) -> Any:
        unsupported(name, out=out)
        a = operand(name, a)
        if where is not None and where is not True and initial is None:
            raise ArgumentError(f"{name} with where= needs initial=, the value of an empty selection")
        value = _reduce(name, primitive, a, axis, keepdims, where, neutral(dtype_of(a)), initial)
        return value if initial is None else combine(value, lax.convert_element_type(initial, dtype_of(value)))

    return _documented(reduce, name, *doc)


max = amax = implements(np.max)(
    _extremum(
        "max", red.reduce_max_p, ew.max, red._lowest,
        "fnp.max([[1, 4], [3, 2]], axis=0)", "Array([3, 4])", "Also called `amax`.",
    )
)  # fmt: skip
min = amin = implements(np.min)(
    _extremum(
        "min", red.reduce_min_p, ew.min, red._highest,
        "fnp.min([[1, 4], [3, 2]], axis=0)", "Array([1, 2])", "Also called `amin`.",
    )
)  # fmt: skip
implements(np.amax)(max.__wrapped__)
implements(np.amin)(min.__wrapped__)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.ptp([1, 5, 2])
    Array(4)
    """
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


@implements(np.all)
def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.all([True, False]), fnp.all([[True, False], [True, True]], axis=1)
    (Array(False), Array([False,  True]))
    """
    a = _boolean(operand("all", a))
    return _reduce("all", red.reduce_and_p, a, axis, keepdims, where, np.True_, None)


@implements(np.any)
def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.any([True, False]), fnp.any([[False, False], [True, True]], axis=1)
    (Array(True), Array([False,  True]))
    """
    a = _boolean(operand("any", a))
    return _reduce("any", red.reduce_or_p, a, axis, keepdims, where, np.False_, None)


def _boolean(a: Any) -> Any:
    return a if dtype_of(a).kind == "b" else lax.ne(a, 0)


def _arg(name: str, function: Any, *example: str) -> Any:
    def reduce(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        unsupported(name, out=out)
        a = operand(name, a)
        shape = shape_of(a)
        if axis is None or (not shape and axis in (0, -1)):
            found = function(ravel(a), 0)
            return _keep(found, shape, tuple(range(len(shape)))) if keepdims else found
        axis = normalize_axis(axis, len(shape))
        found = function(a, axis)
        return _keep(found, shape, (axis,)) if keepdims else found

    return _documented(reduce, name, *example)


argmax = implements(np.argmax)(_arg("argmax", lax.argmax, "fnp.argmax([1, 4, 3])", "Array(1)"))
argmin = implements(np.argmin)(_arg("argmin", lax.argmin, "fnp.argmin([2, 1, 3])", "Array(1)"))

# ---------------------------------------------------------------- means and variances


def _only_where(where: Any) -> dict[str, Any]:
    """`where` as NumPy takes it: not at all if it is `None`."""
    return {} if where is None else {"where": where}


def _count(a: Any, axis: Any, where: Any, dtype: Any, keepdims: Any) -> Any:
    shape = shape_of(a)
    if where is None or where is True:
        n = 1
        for i in normalize_axes(axis, len(shape)):
            n *= shape[i]
        return n
    return sum(lax.convert_element_type(broadcast_to(where, shape), dtype), axis, keepdims=keepdims)


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Array([2., 3.])
    """
    if eager.is_direct(a) and dtype is None and out is None and (where is None or where is True):
        direct = _direct(mean, a, axis, keepdims)
        if direct is not None:
            return direct
    unsupported("mean", out=out)
    a = as_inexact(operand("mean", a), dtype)
    own = dtype_of(a)
    if own in SMALL_FLOATS:  # NumPy sums halves as float32
        return lax.convert_element_type(
            mean(lax.convert_element_type(a, np.float32), axis, keepdims=keepdims, **_only_where(where)), own
        )
    return sum(a, axis, keepdims=keepdims, where=where) / _count(a, axis, where, own, keepdims)


@implements(np.var)
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.var([1.0, 3.0], ddof=1)
    Array(2.)
    """
    unsupported("var", out=out)
    a = as_inexact(operand("var", a), dtype)
    own = dtype_of(a)
    if correction is not None and ddof:
        raise ArgumentError("var: ddof and correction cannot be given together")
    ddof = ddof if correction is None else correction
    if own in SMALL_FLOATS:
        options = {"ddof": ddof, "keepdims": keepdims, **_only_where(where)}
        wide = var(lax.convert_element_type(a, np.float32), axis, **options)
        return lax.convert_element_type(wide, own)
    n = _count(a, axis, where, np.empty(0, own).real.dtype, keepdims)
    center = _mean_of(a, axis, where) if mean is None else mean
    centered = a - center
    squares = lax.real(centered * lax.conj(centered)) if own.kind == "c" else centered * centered
    total = sum(squares, axis, keepdims=keepdims, where=where)
    return total / (builtins.max(n - ddof, 0) if isinstance(n, int) else ew.max(n - ddof, 0))


def _mean_of(a: Any, axis: Any, where: Any) -> Any:
    return mean(a, axis, keepdims=True, where=where)


@implements(np.std)
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.std([1.0, 3.0])
    Array(1.)
    """
    return ew.sqrt(var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


@implements(np.average)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.average([1.0, 2.0], weights=[3.0, 1.0])
    Array(1.25)
    """
    a = operand("average", a)
    shape = shape_of(a)
    axis = tuple(axis) if isinstance(axis, list) else axis
    axes = normalize_axes(axis, len(shape))
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        total: Any = lax.full(shape_of(out), _count(a, axis, None, None, False), dtype_of(out))
        return (out, total) if returned else out
    weights = operand("average", weights)
    if shape_of(weights) != shape:
        if axis is None:
            raise DTypeError("average: axis must be given when the shapes of a and weights differ")
        if shape_of(weights) != tuple(shape[i] for i in axes):
            raise ShapeError(f"average: weights of shape {shape_of(weights)} for axes {axes} of shape {shape}")
        order = sorted(range(len(axes)), key=lambda i: axes[i])
        weights = lax.broadcast_in_dim(lax.transpose(weights, order), shape, sorted(axes))
    dtype = common_dtype(inexact_dtype(dtype_of(a)), dtype_of(weights))
    weights = lax.convert_element_type(weights, dtype)
    total = sum(weights, axis, keepdims=keepdims)
    out = sum(lax.convert_element_type(a, dtype) * weights, axis, keepdims=keepdims) / total
    return (out, broadcast_to(total, shape_of(out))) if returned else out


# ---------------------------------------------------------------- cumulative


def _cumulative(name: str, function: Any, *example: str) -> Any:
    def cumulative(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        unsupported(name, out=out)
        a = operand(name, a)
        if axis is None or (not shape_of(a) and axis in (0, -1)):
            a, axis = ravel(a), 0
        a = lax.convert_element_type(a, _accumulator(dtype_of(a)) if dtype is None else dtype)
        return function(a, normalize_axis(axis, len(shape_of(a))))

    return _documented(cumulative, name, *example)


cumsum = implements(np.cumsum)(_cumulative("cumsum", lax.cumsum, "fnp.cumsum([1, 2, 3])", "Array([1, 3, 6])"))
cumprod = implements(np.cumprod)(_cumulative("cumprod", lax.cumprod, "fnp.cumprod([1, 2, 3])", "Array([1, 2, 6])"))


def _array_api_cumulative(name: str, function: Any, neutral: int, *example: str) -> Any:
    def cumulative(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Any:
        x = operand(name, x)
        x = x if shape_of(x) else lax.reshape(x, (1,))
        if axis is None and len(shape_of(x)) != 1:
            raise ArgumentError(f"{name} of an array of {len(shape_of(x))} axes needs an axis")
        axis = normalize_axis(0 if axis is None else axis, len(shape_of(x)))
        y = function(x, axis, dtype, out)
        if include_initial:
            first = lax.full((*shape_of(y)[:axis], 1, *shape_of(y)[axis + 1 :]), neutral, dtype_of(y))
            y = lax.concatenate([first, y], axis)
        return y

    return _documented(cumulative, name, *example)


cumulative_sum = implements(np.cumulative_sum)(
    _array_api_cumulative(
        "cumulative_sum", cumsum, 0,
        "fnp.cumulative_sum(fnp.array([1, 2, 3]), include_initial=True)", "Array([0, 1, 3, 6])",
    )
)  # fmt: skip
cumulative_prod = implements(np.cumulative_prod)(
    _array_api_cumulative(
        "cumulative_prod", cumprod, 1,
        "fnp.cumulative_prod(fnp.array([1, 2, 3]), include_initial=True)", "Array([1, 1, 2, 6])",
    )
)  # fmt: skip
