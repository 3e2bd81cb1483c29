"""Convolutions: `conv_general_dilated`, and on it `conv`, `conv_with_general_padding` and `conv_transpose`.

As everywhere in machine learning they are correlations: the kernel is not flipped. One primitive knows strides,
padding, dilation of both operands and groups of features, so that its derivatives are convolutions again (Dumoulin and
Visin, "A guide to convolution arithmetic for deep learning", 2016): with respect to the image with the kernel flipped,
and strides and dilation of the image exchanged; with respect to the kernel with images as features.

It is computed as one product of matrices for each group: windows of the image times the kernel.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans.compiler.convolution import parts
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import reduce_sum_p
from functrans.lax.contraction import dot_general_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.promotion import as_operand
from functrans.lax.structural import expand_dims, pad, reshape, rev, squeeze, transpose
from functrans.lax.windows import (
    dilated,
    explicit_pads,
    integers,
    padded,
    padtype_to_pads,
    slide,
    transposed_padding,
    window_counts,
)
from functrans.transforms.batching import move_axis
from functrans.transforms.taylor import product
from functrans.transforms.transpose import is_linear

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]

#: Bytes of a matrix of windows from which on NumPy gets it in parts.
LARGEST = 1 << 26


class ConvDimensionNumbers(NamedTuple):
    """Which axis is which, for the operands and the result of a convolution.

    `lhs_spec` and `out_spec` are the axes `(batch, feature, *spatial)`, `rhs_spec` is `(out feature, in feature,
    *spatial)`.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.conv_dimension_numbers((1, 5, 3), (2, 3, 4), ("NWC", "WIO", "NWC"))
    ConvDimensionNumbers(lhs_spec=(0, 2, 1), rhs_spec=(2, 1, 0), out_spec=(0, 2, 1))
    """

    lhs_spec: Ints
    rhs_spec: Ints
    out_spec: Ints


_LETTERS = (("N", "C"), ("O", "I"), ("N", "C"))


def conv_dimension_numbers(
    lhs_shape: Sequence[int], rhs_shape: Sequence[int], dimension_numbers: Any
) -> ConvDimensionNumbers:
    """Dimension numbers in the form that convolutions use.

    Args:
        lhs_shape, rhs_shape: the shapes of the operands.
        dimension_numbers: `None` for `("NCHW", "OIHW", "NCHW")` and its like in other dimensions; three strings, with
            the letters N (batch), C, I, O (features) and the same spatial letters in each; or a `ConvDimensionNumbers`.

    Raises:
        ShapeError: the operands differ in rank, or the strings do not have a letter for each axis.
        ArgumentError: letters that are missing, stand twice, or do not correspond.

    >>> import functrans.lax as lax
    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 4), ("NHWC", "HWIO", "NHWC"))
    ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2), rhs_spec=(3, 2, 0, 1), out_spec=(0, 3, 1, 2))
    """
    ndim = len(lhs_shape)
    if ndim != len(rhs_shape):
        raise ShapeError(f"a convolution needs operands of one rank, got shapes {lhs_shape} and {rhs_shape}")
    if ndim < 2:
        raise ShapeError(f"a convolution needs an axis for the batch and one for features, got shape {lhs_shape}")
    if dimension_numbers is None:
        axes = tuple(range(ndim))
        return ConvDimensionNumbers(axes, axes, axes)
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        specs = [tuple(map(operator.index, spec)) for spec in dimension_numbers]
        if any(sorted(spec) != list(range(ndim)) for spec in specs):
            raise ShapeError(
                f"each of {dimension_numbers} must name the {ndim} axes of shapes {lhs_shape} and {rhs_shape} once"
            )
        return ConvDimensionNumbers(*specs)
    if (
        not isinstance(dimension_numbers, (list, tuple))
        or len(dimension_numbers) != 3
        or not all(isinstance(spec, str) for spec in dimension_numbers)
    ):
        raise ArgumentError(
            "the dimension_numbers of a convolution are None, three strings as in ('NHWC', 'HWIO', 'NHWC'), or a "
            f"ConvDimensionNumbers, got {dimension_numbers!r:.80}"
        )
    spatial = [c for c in dimension_numbers[1] if c not in "OI"]
    numbers = []
    for spec, letters in zip(dimension_numbers, _LETTERS):
        if len(spec) != ndim:
            raise ShapeError(f"{spec!r} must have a letter for each axis of shapes {lhs_shape} and {rhs_shape}")
        if sorted(spec) != sorted([*letters, *spatial]) or len(set(spec)) != ndim:
            raise ArgumentError(
                f"each of the dimension_numbers {tuple(dimension_numbers)} must have the letters of its two special "
                f"axes ({letters[0]} and {letters[1]} in {spec!r}) and the same spatial letters, each once"
            )
        numbers.append(tuple(spec.index(c) for c in (*letters, *spatial)))
    return ConvDimensionNumbers(*numbers)


def conv_general_dilated(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: Any = None,
    out_sharding: None = None,
) -> Any:
    """Convolutions in any number of dimensions, with strides, padding, dilation and groups.

    Args:
        lhs: images: an array with an axis for the batch, one for features, and the spatial axes.
        rhs: the kernel, of the same dtype: axes for output and input features, and the spatial ones.
        window_strides: the distance between neighbouring windows along each spatial axis.
        padding: zeros around the image: `"VALID"` (none), `"SAME"`, `"SAME_LOWER"` (see `padtype_to_pads`), or a
            `(low, high)` pair for each spatial axis; negative numbers cut off.
        lhs_dilation: the distance between neighbouring elements of the image, with zeros between.
        rhs_dilation: likewise of the kernel.
        dimension_numbers: which axis is which, see `conv_dimension_numbers`; batch and features first by default.
        feature_group_count: groups of features (of images and of results) that have nothing to do with each other.
        batch_group_count: groups of the batch, each convolved with its own group of output features.
        precision: accepted; products are computed in the operands' dtype.
        preferred_element_type: the dtype of the result and of the sums; that of the operands by default.
        out_sharding: `None`.

    Returns:
        An array with axes in the order that `dimension_numbers` says.

    Raises:
        ShapeError: sizes that do not fit together.
        DTypeError: the operands have different dtypes.
        ArgumentError: `dimension_numbers` or `padding` of an unknown form.

    >>> import functrans.lax as lax, numpy as np
    >>> x, kernel = np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    >>> lax.conv_general_dilated(x, kernel, (2, 2), "SAME").shape
    (2, 4, 4, 4)
    """
    refuse_placement("conv_general_dilated", out_sharding=out_sharding)
    name = "conv_general_dilated"
    lhs, rhs = as_operand(name, lhs), as_operand(name, rhs)
    if aval_of(lhs).dtype != aval_of(rhs).dtype:
        raise DTypeError(
            f"{name}: operands of dtypes {aval_of(lhs).dtype} and {aval_of(rhs).dtype}; convert them to one"
        )
    numbers = conv_dimension_numbers(aval_of(lhs).shape, aval_of(rhs).shape, dimension_numbers)
    n = len(numbers.rhs_spec) - 2
    strides = integers(f"window_strides of {name}", window_strides, n)
    lhs_dilation = integers(f"lhs_dilation of {name}", lhs_dilation, n)
    rhs_dilation = integers(f"rhs_dilation of {name}", rhs_dilation, n)
    if isinstance(padding, str):
        if padding.upper() != "VALID" and any(d != 1 for d in lhs_dilation):
            raise ArgumentError(
                f"{name} with lhs_dilation needs its padding as (low, high) pairs, or use conv_transpose"
            )
        image, kernel = _sizes(aval_of(lhs), numbers.lhs_spec[2:]), _sizes(aval_of(rhs), numbers.rhs_spec[2:])
        padding = padtype_to_pads(dilated(image, lhs_dilation), dilated(kernel, rhs_dilation), strides, padding)
    if preferred_element_type is not None:
        dtype = np.dtype(preferred_element_type)
        lhs, rhs = convert_element_type(lhs, dtype), convert_element_type(rhs, dtype)
    params = {
        "window_strides": strides,
        "padding": explicit_pads(name, padding, n),
        "lhs_dilation": lhs_dilation,
        "rhs_dilation": rhs_dilation,
        "dimension_numbers": numbers,
        "feature_group_count": _count("feature_group_count", feature_group_count),
    }
    if _count("batch_group_count", batch_group_count) > 1:
        lhs = _groups_as_features(lhs, rhs, numbers, batch_group_count, feature_group_count)
        params["feature_group_count"] = batch_group_count
    return conv_general_dilated_p.bind(lhs, rhs, **params)


def _sizes(aval: ShapedArray, axes: Sequence[int]) -> Ints:
    return tuple(aval.shape[a] for a in axes)


def _count(what: str, value: Any) -> int:
    count = operator.index(value)
    if count < 1:
        raise ShapeError(f"the {what} of a convolution must be 1 at least, got {count}")
    return count


def _groups_as_features(lhs: Any, rhs: Any, numbers: ConvDimensionNumbers, groups: int, feature_groups: int) -> Any:
    """Groups of the batch as groups of features: each result sees one group, whichever axis it lies in."""
    if feature_groups > 1:
        raise ShapeError(
            "a convolution has groups of features or of the batch: at most one of "
            f"feature_group_count={feature_groups} and batch_group_count={groups} may be more than 1"
        )
    batch, feature = numbers.lhs_spec[:2]
    (count,), (out,) = _sizes(aval_of(lhs), (batch,)), _sizes(aval_of(rhs), numbers.rhs_spec[:1])
    for what, size in (("images", count), ("output features", out)):
        if size % groups:
            raise ShapeError(f"batch_group_count={groups} must divide the number of {what}, {size}")
    return _axis_into(_axis_out_of(lhs, batch, groups), batch, feature)


def conv(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv_general_dilated` of images `(batch, features, *spatial)` and kernels `(out, in, *spatial)`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.conv(np.ones((1, 1, 5)), np.ones((1, 1, 3)), (1,), "VALID")
    Array([[[3., 3., 3.]]])
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, precision=precision, preferred_element_type=preferred_element_type
    )


def conv_with_general_padding(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None,
    rhs_dilation: Sequence[int] | None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """`conv` with dilation.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.conv_with_general_padding(np.ones((1, 1, 5)), np.ones((1, 1, 3)), (1,), [(1, 1)], None, (2,))
    Array([[[2., 3., 2.]]])
    """
    return conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


_CHANNELS_LAST = {
    2: ("NC", "IO", "NC"),
    3: ("NHC", "HIO", "NHC"),
    4: ("NHWC", "HWIO", "NHWC"),
    5: ("NHWDC", "HWDIO", "NHWDC"),
}


def conv_transpose(
    lhs: Any,
    rhs: Any,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    transpose_kernel: bool = False,
    precision: Any = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
) -> Any:
    """Convolutions with fractional strides ("deconvolutions"), as decoders use them to enlarge images.

    Args:
        lhs, rhs: images and kernel, of one dtype; features are the last axis by default.
        strides: how many times larger the result is along each spatial axis.
        padding: `"SAME"` or `"VALID"`, meant of the convolution that this one reverses; or a `(low, high)` pair for
            each spatial axis, meant of this one, or with `use_consistent_padding` of that one too.
        rhs_dilation: the distance between neighbouring elements of the kernel.
        dimension_numbers: as for `conv_general_dilated`; `("NHWC", "HWIO", "NHWC")` and its like by default.
        transpose_kernel: flip the kernel and exchange its features, as gradients of convolutions do.
        precision, preferred_element_type: as for `conv_general_dilated`.

    Raises:
        ShapeError: sizes that do not fit together.
        DTypeError: the operands have different dtypes.
        ArgumentError: `dimension_numbers` or `padding` of an unknown form.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.conv_transpose(np.ones((1, 4, 4, 3)), np.ones((3, 3, 3, 2)), (2, 2), "SAME").shape
    (1, 8, 8, 2)
    """
    lhs, rhs = as_operand("conv_transpose", lhs), as_operand("conv_transpose", rhs)
    ndim = aval_of(lhs).ndim
    if dimension_numbers is None:
        if ndim not in _CHANNELS_LAST:
            raise ShapeError(f"conv_transpose of arrays with {ndim} axes needs its dimension_numbers")
        dimension_numbers = _CHANNELS_LAST[ndim]
    numbers = conv_dimension_numbers(aval_of(lhs).shape, aval_of(rhs).shape, dimension_numbers)
    n = ndim - 2
    factors = integers("strides of conv_transpose", strides, n)
    spread = integers("rhs_dilation of conv_transpose", rhs_dilation, n)
    if isinstance(padding, str) or use_consistent_padding:
        windows = dilated(_sizes(aval_of(rhs), numbers.rhs_spec[2:]), spread)
        given = [padding] * n if isinstance(padding, str) else explicit_pads("conv_transpose", padding, n)
        padding = [_reversed_padding(k, s, p) for k, s, p in zip(windows, factors, given)]
    if transpose_kernel:
        rhs = rev(rhs, numbers.rhs_spec[2:])
        out, into, *rest = numbers.rhs_spec
        numbers = numbers._replace(rhs_spec=(into, out, *rest))
    return conv_general_dilated(
        lhs, rhs, (1,) * n, padding, factors, spread, numbers, precision=precision,
        preferred_element_type=preferred_element_type,
    )  # fmt: skip


def _reversed_padding(k: int, s: int, padding: Any) -> tuple[int, int]:
    """The padding with which a dilated convolution reverses one with windows of `k`, stride `s` and this padding."""
    if not isinstance(padding, str):
        return k - 1 - padding[0], k - 1 - padding[1]
    if padding.upper() == "VALID":
        return k - 1, s - 1 + max(k - s, 0)
    if padding.upper() == "SAME":
        total = k + s - 2
        before = k - 1 if s > k - 1 else -(-total // 2)
        return before, total - before
    raise ArgumentError(f"the padding of conv_transpose is 'SAME', 'VALID' or (low, high) pairs, got {padding!r:.80}")


# ---------------------------------------------------------------- rules


def _abstract(
    x: ShapedArray,
    w: ShapedArray,
    *,
    window_strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    dimension_numbers: ConvDimensionNumbers,
    feature_group_count: int,
) -> ShapedArray:
    name, groups = "conv_general_dilated", feature_group_count
    lhs_spec, rhs_spec, out_spec = dimension_numbers
    if x.dtype != w.dtype:
        raise DTypeError(f"{name}: operands of dtypes {x.dtype} and {w.dtype}; convert them to one")
    features, (out, into) = x.shape[lhs_spec[1]], _sizes(w, rhs_spec[:2])
    if features != into * groups:
        kernels = f"the kernel, of shape {w.shape}, has {into} input features"
        wanted = f"{into}" if groups == 1 else f"{into * groups} for {groups} groups"
        raise ShapeError(f"{name}: {kernels}, so images must have {wanted}; those of shape {x.shape} have {features}")
    if out % groups:
        raise ShapeError(f"{name}: feature_group_count={groups} must divide the number of output features, {out}")
    sizes = padded(name, dilated(_sizes(x, lhs_spec[2:]), lhs_dilation), padding)
    shape = [0] * x.ndim
    spatial = window_counts(sizes, dilated(_sizes(w, rhs_spec[2:]), rhs_dilation), window_strides)
    for axis, size in zip(out_spec, (x.shape[lhs_spec[0]], out, *spatial)):
        shape[axis] = size
    return ShapedArray(tuple(shape), x.dtype)


def _expand(
    x: Any,
    w: Any,
    *,
    window_strides: Ints,
    padding: Pads,
    lhs_dilation: Ints,
    rhs_dilation: Ints,
    dimension_numbers: ConvDimensionNumbers,
    feature_group_count: int,
) -> Any:
    """The windows of the image times the kernel: axes have names, in the order in which they lie."""
    lhs_spec, rhs_spec, out_spec = dimension_numbers
    groups, (out, into, *kernel) = feature_group_count, _sizes(aval_of(w), rhs_spec)
    config = [(0, 0, 0)] * len(lhs_spec)
    for a, (lo, hi), d in zip(lhs_spec[2:], padding, lhs_dilation):
        config[a] = (lo, hi, d - 1)
    x = pad(x, aval_of(x).dtype.type(0), config)
    # Windows along the axes where they are more than the elements of the image.
    slides = [i for i, (k, s) in enumerate(zip(kernel, window_strides)) if k > 1 or s > 1]
    axes, sizes, strides, dilation = (
        tuple(values[i] for i in slides) for values in (lhs_spec[2:], kernel, window_strides, rhs_dilation)
    )
    windows = slide(x, axes, sizes, strides, dilation)
    # Batch n, group g, input features c and output features o of the group, windows p and places k within them.
    group = ["g"] if groups > 1 else []
    space, within = [[f"p{i}"] for i in range(len(kernel))], [f"k{i}" for i in slides]
    image = [*_names(lhs_spec, ["n"], [*group, "c"], *space), *within]
    filters = _names(rhs_spec, [*group, "o"], ["c"], *([f"k{i}"] for i in range(len(kernel))))
    result = _names(out_spec, ["n"], [*group, "o"], *space)
    if groups > 1:
        windows, w = _axis_out_of(windows, lhs_spec[1], groups), _axis_out_of(w, rhs_spec[0], groups)
    w = squeeze(w, [a for a, name in enumerate(filters) if name[0] == "k" and name not in within])
    filters = [name for name in filters if name[0] != "k" or name in within]
    if into == 1 and out == groups:
        return _weigh_features(windows, image, w, filters, result, out_spec)
    order = [*group, *_order(dict(zip(image, aval_of(windows).shape)))]
    windows = transpose(windows, [image.index(name) for name in order])
    operands = [(windows, order), (w, filters)]
    if result[-1] != "o":
        operands.reverse()
    (a, a_names), (b, b_names) = operands
    shared = [name for name in order if name in filters]
    product = [*group, *(name for names in (a_names, b_names) for name in names if name not in shared)]
    contract, batch = (
        tuple(tuple(names.index(name) for name in found) for names in (a_names, b_names))
        for found in (shared[len(group) :], group)
    )
    y = dot_general_p.bind(a, b, dimension_numbers=(contract, batch), preferred_element_type=None)
    y = transpose(y, [product.index(name) for name in result])
    return _merge_axes(y, out_spec[1]) if groups > 1 else y


def _names(spec: Ints, *names: list[str]) -> list[str]:
    """Names of axes in the order in which they lie."""
    at = dict(zip(spec, names))
    return [name for axis in range(len(spec)) for name in at[axis]]


def _order(sizes: dict[str, int]) -> list[str]:
    """Axes of the matrix of windows: its rows or columns innermost, so that neighbours were neighbours in the image."""
    space, within = (sorted(name for name in sizes if name[0] == letter) for letter in "pk")
    last = next((name for name in reversed(sizes) if name[0] != "k" and sizes[name] > 1), "n")
    if last in ("c", "g"):
        return ["n", *space, *within, "c"]
    if last == "n":
        return ["c", *within, *space, "n"]
    if sizes[last] < sizes.get(f"k{last[1:]}", 1):
        return ["n", *space, "c", *within]
    return ["c", *within, "n", *space]


def _weigh_features(
    windows: Any, image: list[str], w: Any, filters: list[str], result: list[str], out_spec: Ints
) -> Any:
    """The product where each feature has a filter of its own: a matrix would be a vector."""
    aligned = transpose(w, [filters.index(name) for name in ("o", *image) if name in filters])
    sizes = dict(zip(filters, aval_of(w).shape))
    products = ew.mul(windows, reshape(aligned, [sizes.get(name, 1) for name in image]))
    summed = tuple(a for a, name in enumerate(image) if name[0] in "ck")
    y = reduce_sum_p.bind(products, axes=summed)
    left = [name for name in image if name[0] not in "ck"]
    y = transpose(y, [left.index(name) for name in result if name != "o"])
    return y if "g" in left else expand_dims(y, (out_spec[1],))


def _axis_out_of(x: Any, axis: int, count: int) -> Any:
    """An axis as two, of which the first has this size."""
    shape = aval_of(x).shape
    return reshape(x, (*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]))


def _merge_axes(x: Any, axis: int) -> Any:
    """An axis and the next one as one."""
    shape = aval_of(x).shape
    return reshape(x, (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def _axis_into(x: Any, source: int, target: int) -> Any:
    """An axis in front of another, as one with it; `target` counts without the first."""
    return _merge_axes(move_axis(x, source, target), target)


def _impl(x: Any, w: Any, **params: Any) -> Any:
    x, w = np.asarray(x), np.asarray(w)
    out = _abstract(aval_of(x), aval_of(w), **params)
    if not (out.size and x.size and w.size):
        return wrap(np.zeros(out.shape, out.dtype))
    found = parts(aval_of(x), aval_of(w), out, params, LARGEST)
    if found is None:
        return wrap(np.ascontiguousarray(_expand(x, w, **params)))
    pieces = np.split(x, found.number)
    if found.of_images:
        return wrap(np.concatenate([_expand(piece, w, **params) for piece in pieces]))
    y = np.zeros(out.shape, out.dtype)
    for piece, features in zip(pieces, np.split(w, found.number)):
        y += _expand(piece, features, **params)
    return wrap(y)


def _jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (x, w), (tx, tw) = primals, tangents
    y = conv_general_dilated_p.bind(x, w, **params)
    terms = [] if tx is None else [conv_general_dilated_p.bind(tx, w, **params)]
    terms += [] if tw is None else [conv_general_dilated_p.bind(x, tw, **params)]
    return y, terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _transpose(ct: Any, x: Any, w: Any, **params: Any) -> list[Any]:
    if is_linear(x):
        return [_transpose_image(ct, x.aval, w, **params), None]
    return [None, _transpose_kernel(ct, x, w.aval, **params)]


def _transpose_image(
    ct: Any, x: ShapedArray, w: Any, *, window_strides: Ints, padding: Pads, lhs_dilation: Ints, rhs_dilation: Ints,
    dimension_numbers: ConvDimensionNumbers, feature_group_count: int,
) -> Any:  # fmt: skip
    """The flipped kernel, input and output features exchanged, over cotangents dilated by the strides."""
    lhs_spec, rhs_spec, out_spec = dimension_numbers
    if not (aval_of(ct).size and x.size and aval_of(w).size):
        return zeros(x.strong())
    pads = transposed_padding(
        _sizes(x, lhs_spec[2:]), _sizes(aval_of(w), rhs_spec[2:]), _sizes(aval_of(ct), out_spec[2:]),
        strides=window_strides, padding=padding, base_dilation=lhs_dilation, window_dilation=rhs_dilation,
    )  # fmt: skip
    out, into, *space = rhs_spec
    if feature_group_count > 1:  # groups belong to what are output features now
        w = _axis_out_of(w, out, feature_group_count)
        w = _axis_into(w, out, into)
    return conv_general_dilated_p.bind(
        ct, rev(w, space), window_strides=lhs_dilation, padding=pads, lhs_dilation=window_strides,
        rhs_dilation=rhs_dilation, dimension_numbers=ConvDimensionNumbers(out_spec, (into, out, *space), lhs_spec),
        feature_group_count=feature_group_count,
    )  # fmt: skip


def _transpose_kernel(
    ct: Any, x: Any, w: ShapedArray, *, window_strides: Ints, padding: Pads, lhs_dilation: Ints, rhs_dilation: Ints,
    dimension_numbers: ConvDimensionNumbers, feature_group_count: int,
) -> Any:  # fmt: skip
    """Cotangents as a kernel, dilated by the strides, over images; the batch is summed over as features are."""
    lhs_spec, rhs_spec, out_spec = dimension_numbers
    if not (aval_of(ct).size and aval_of(x).size and w.size):
        return zeros(w.strong())
    image, kernel = _sizes(aval_of(x), lhs_spec[2:]), _sizes(w, rhs_spec[2:])
    spread = dilated(_sizes(aval_of(ct), out_spec[2:]), window_strides)
    reach = dilated(kernel, rhs_dilation)
    pads = tuple(
        (lo, m - n + k - 1 - lo) for n, m, k, (lo, _) in zip(dilated(image, lhs_dilation), spread, reach, padding)
    )
    swapped = [(b, a, *rest) for a, b, *rest in dimension_numbers]
    if feature_group_count > 1:  # groups of features are groups of the batch now
        batch, feature = swapped[0][:2]
        x = _axis_into(_axis_out_of(x, batch, feature_group_count), batch, feature)
    return conv_general_dilated_p.bind(
        x, ct, window_strides=rhs_dilation, padding=pads, lhs_dilation=lhs_dilation, rhs_dilation=window_strides,
        dimension_numbers=ConvDimensionNumbers(swapped[0], swapped[2], swapped[1]),
        feature_group_count=feature_group_count,
    )  # fmt: skip


def _batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> tuple[Any, int]:
    """Examples as more images, as more output features, or as groups of features."""
    (x, w), (dx, dw) = args, dims
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    groups = params["feature_group_count"]
    if dw is None:
        y = conv_general_dilated_p.bind(_axis_into(x, dx, lhs_spec[0]), w, **params)
        return _axis_out_of(y, out_spec[0], axis.size), out_spec[0]
    if dx is not None:
        params["feature_group_count"] = groups * axis.size
        x, w = _axis_into(x, dx, lhs_spec[1]), _axis_into(w, dw, rhs_spec[0])
        y = conv_general_dilated_p.bind(x, w, **params)
        return _axis_out_of(y, out_spec[1], axis.size), out_spec[1]
    out = rhs_spec[0]
    w = _axis_out_of(move_axis(w, dw, 0), 1 + out, groups)  # example, ..., group, output features of it
    w = _merge_axes(move_axis(w, 0, 1 + out), 1 + out)  # ..., group, examples and output features of it
    y = conv_general_dilated_p.bind(x, _merge_axes(w, out), **params)
    feature = out_spec[1]
    y = _axis_out_of(_axis_out_of(y, feature, groups), feature + 1, axis.size)
    y = move_axis(y, feature + 1, 0)
    return _merge_axes(y, 1 + feature), 0


conv_general_dilated_p = Primitive("conv_general_dilated")
conv_general_dilated_p.impl = _impl
conv_general_dilated_p.abstract_eval = _abstract
conv_general_dilated_p.jvp = _jvp
conv_general_dilated_p.transpose = _transpose
product(conv_general_dilated_p)
conv_general_dilated_p.batch = _batch
conv_general_dilated_p.expand = _expand

__all__ = [
    "ConvDimensionNumbers",
    "conv",
    "conv_dimension_numbers",
    "conv_general_dilated",
    "conv_transpose",
    "conv_with_general_padding",
]
