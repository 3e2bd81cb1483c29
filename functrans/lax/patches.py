"""Windows of images as features, and convolutions whose kernel differs from place to place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.avals import aval_of
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.contraction import dot_general
from functrans.lax.convolution import conv_dimension_numbers, conv_general_dilated
from functrans.lax.promotion import as_operand
from functrans.lax.structural import transpose


def conv_general_dilated_patches(
    lhs: Any,
    filter_shape: Sequence[int],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> Any:
    """The elements of each window that slides over images, as features.

    Args:
        lhs: images.
        filter_shape: the size of the window along each spatial axis.
        window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers: as for `conv_general_dilated`.
        precision, preferred_element_type: likewise.

    Returns:
        An array with the axes of the result of that convolution. There are as many features as elements in a window:
        for each feature of the image the spatial places in row-major order.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.conv_general_dilated_patches(np.arange(4.0).reshape(1, 1, 4), (2,), (1,), "VALID")
    Array([[[0., 1., 2.],
            [1., 2., 3.]]])
    """
    lhs = as_operand("conv_general_dilated_patches", lhs)
    window = canonical_shape(filter_shape)
    numbers = conv_dimension_numbers(aval_of(lhs).shape, (1, 1, *window), dimension_numbers)
    channels, places = aval_of(lhs).shape[numbers.lhs_spec[1]], math.prod(window)
    kernel = np.tile(
        np.eye(places, dtype=aval_of(lhs).dtype).reshape(places, 1, *window), (channels, *[1] * (1 + len(window)))
    )
    order = [0] * kernel.ndim
    for i, axis in enumerate(numbers.rhs_spec):
        order[axis] = i
    return conv_general_dilated(
        lhs, kernel.transpose(order), window_strides, padding, lhs_dilation, rhs_dilation, numbers, channels,
        precision=precision, preferred_element_type=preferred_element_type,
    )  # fmt: skip


def conv_general_dilated_local(
    lhs: Any,
    rhs: Any,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    filter_shape: Sequence[int],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    precision: Any = None,
) -> Any:
    """A convolution with a kernel of its own at each place of the result.

    Args:
        lhs: images.
        rhs: the kernels: axes for output features, for the elements of a window (input features, then spatial places,
            in row-major order) and for the spatial axes of the result.
        filter_shape: the size of the window along each spatial axis.
        window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision: as for
            `conv_general_dilated`.

    >>> import functrans.lax as lax, numpy as np
    >>> kernels = np.array([[[1.0, 10.0, 100.0], [0.0, 0.0, 1.0]]])
    >>> lax.conv_general_dilated_local(np.arange(4.0).reshape(1, 1, 4), kernels, (1,), "VALID", (2,))
    Array([[[  0.,  10., 203.]]])
    """
    patches = conv_general_dilated_patches(
        lhs, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, precision
    )
    rhs = as_operand("conv_general_dilated_local", rhs)
    numbers = conv_dimension_numbers(aval_of(lhs).shape, aval_of(rhs).shape, dimension_numbers)
    pairs = sorted(zip(numbers.out_spec[2:], numbers.rhs_spec[2:]))
    batch = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    out = dot_general(patches, rhs, (((numbers.out_spec[1],), (numbers.rhs_spec[1],)), batch))
    n = len(pairs)
    at = {numbers.out_spec[0]: n, numbers.out_spec[1]: n + 1, **{a: i for i, (a, _) in enumerate(pairs)}}
    return transpose(out, [at[d] for d in range(n + 2)])


__all__ = ["conv_general_dilated_local", "conv_general_dilated_patches"]
