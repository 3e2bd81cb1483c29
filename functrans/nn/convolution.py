"""Convolutions as layers, with PyTorch's arguments, weights and initial values.

Inputs are `(*batch, channels, *spatial)` with any number of batch axes, also none; with
`data_format="channels_last"`, as in Keras, `(*batch, *spatial, channels)`. Weights keep their shapes in either case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans import lax, random
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError
from functrans.lax.promotion import common_dtype
from functrans.nn.initializers import Initializer
from functrans.nn.linear import kernel, offsets
from functrans.nn.module import Module, static
from functrans.nn.spatial import (
    Ints,
    Pads,
    check_reach,
    checked_format,
    each_axis,
    images,
    in_one_batch,
    pads,
    resolved,
)

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _Convolution(Module):
    """What convolutions and their transposes share."""

    dimensions: ClassVar[int] = 0

    in_channels: int = static()
    out_channels: int = static()
    kernel_size: Ints = static()
    stride: Ints = static()
    padding: str | Pads = static()
    dilation: Ints = static()
    groups: int = static()
    data_format: str = static()
    weight: Any
    bias: Any

    def _configure(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        groups: int, data_format: str,
    ) -> None:  # fmt: skip
        name, n = type(self).__name__, self.dimensions
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: groups must divide the channels, got groups={groups} with {in_channels} channels in and "
                f"{out_channels} out"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = each_axis(f"kernel_size of {name}", kernel_size, n)
        self.stride = each_axis(f"stride of {name}", stride, n)
        self.dilation = each_axis(f"dilation of {name}", dilation, n)
        self.padding = pads(name, padding, n)
        self.data_format = checked_format(name, data_format)

    def _convolve(self, x: Any, weight: Any, strides: Ints, padding: Pads, lhs_dilation: Ints) -> Any:
        """The convolution with a kernel `(out, in / groups, *spatial)`, and the bias."""
        n, channels_last = self.dimensions, self.data_format == "channels_last"
        first = tuple(range(n + 2))
        spec = (0, n + 1, *range(1, n + 1)) if channels_last else first
        dtype = common_dtype(aval_of(x).dtype, aval_of(weight).dtype)
        y = in_one_batch(
            lambda x: lax.conv_general_dilated(
                x, lax.convert_element_type(weight, dtype), strides, padding, lhs_dilation, self.dilation,
                lax.ConvDimensionNumbers(spec, first, spec), self.groups,
            ),
            lax.convert_element_type(x, dtype),
            n + 1,
        )  # fmt: skip
        if self.bias is None:
            return y
        return y + (self.bias if channels_last else fnp.reshape(self.bias, (self.out_channels, *[1] * n)))


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        data_format: str = "channels_first",
        *,
        key: Any,
        dtype: Any = np.float32,
        weight_init: Initializer | None = None,
        bias_init: Initializer | None = None,
    ):
        self._configure(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, data_format)
        weights, biases = random.split(key)
        fan_in = in_channels // groups * math.prod(self.kernel_size)
        shape = (*self.kernel_size, in_channels // groups, out_channels)
        self.weight = kernel(weights, shape, dtype, fan_in, weight_init)
        self.bias = offsets(biases, out_channels, dtype, fan_in, bias_init) if bias else None

    def __call__(self, x: Any) -> Any:
        """`(*batch, in_channels, *spatial)` to `(*batch, out_channels, *spatial)`, channels last if so configured."""
        n, name = self.dimensions, type(self).__name__
        x, sizes = images(name, x, n, self.data_format == "channels_last", self.in_channels)
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation)]
        padding = resolved(self.padding, sizes, reach, self.stride)
        check_reach(type(self).__name__, sizes, reach, padding)
        return self._convolve(x, self.weight, self.stride, padding, (1,) * n)


class Conv1d(_Conv):
    """Convolution over one spatial axis; see `Conv2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.Conv1d(3, 8, 5, key=ft.random.key(0))(np.ones((2, 3, 20), np.float32)).shape
    (2, 8, 16)
    """

    dimensions = 1


class Conv2d(_Conv):
    """Convolution over two spatial axes (a correlation: the kernel is not flipped).

    Args:
        in_channels, out_channels: the number of features of inputs and outputs.
        kernel_size: an integer, or one for each spatial axis; likewise `stride` and `dilation`.
        stride: the distance between neighbouring windows.
        padding: zeros on both sides: an integer; an integer or a pair (low, high) for each axis; `"valid"` for none;
            or `"same"`, so that with stride 1 sizes do not change, with an odd rest at the end, and with others sizes
            are divided by them and rounded up, as in Keras.
        dilation: the distance between neighbouring elements of the kernel.
        groups: the number of groups of channels that have nothing to do with each other.
        bias: whether there is a bias.
        data_format: `"channels_first"` as in PyTorch, or `"channels_last"`, of inputs and outputs.
        key: a random key.
        dtype: of the parameters, float32 by default.
        weight_init: an initializer, called with the shape `(*kernel_size, in_channels / groups, out_channels)`; by
            default weights and biases are uniform within `1 / sqrt(fan_in)` of zero, as in PyTorch.
        bias_init: an initializer, called with `(out_channels,)`.

    Attributes:
        weight: `(out_channels, in_channels / groups, *kernel_size)`.
        bias: `(out_channels,)`, or `None`.

    Raises:
        ArgumentError: `groups` does not divide the channels, or an argument of an unknown form.
        ShapeError: an input with another number of channels, or too few axes.

    >>> import functrans as ft, numpy as np
    >>> layer = ft.nn.Conv2d(1, 16, 3, stride=2, padding="same", key=ft.random.key(0))
    >>> layer(np.ones((5, 1, 28, 28), np.float32)).shape
    (5, 16, 14, 14)
    >>> layer.weight.shape
    (16, 1, 3, 3)
    """

    dimensions = 2


class Conv3d(_Conv):
    """Convolution over three spatial axes; see `Conv2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.Conv3d(1, 2, 3, key=ft.random.key(0))(np.ones((1, 6, 6, 6), np.float32)).shape
    (2, 4, 4, 4)
    """

    dimensions = 3


class _ConvTranspose(_Convolution):
    output_padding: Ints = static()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Any = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        data_format: str = "channels_first",
        *,
        key: Any,
        dtype: Any = np.float32,
        weight_init: Initializer | None = None,
        bias_init: Initializer | None = None,
    ):
        self._configure(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, data_format)
        self.output_padding = each_axis(
            f"output_padding of {type(self).__name__}", output_padding, self.dimensions, minimum=0
        )
        weights, biases = random.split(key)
        fan_in = out_channels // groups * math.prod(self.kernel_size)  # PyTorch's, which counts the reversed way
        shape = (*self.kernel_size, out_channels // groups, in_channels)
        self.weight = kernel(weights, shape, dtype, fan_in, weight_init)
        self.bias = offsets(biases, out_channels, dtype, fan_in, bias_init) if bias else None

    def __call__(self, x: Any) -> Any:
        """`(*batch, in_channels, *spatial)` to `(*batch, out_channels, *spatial)`, channels last if so configured."""
        n, name = self.dimensions, type(self).__name__
        x, sizes = images(name, x, n, self.data_format == "channels_last", self.in_channels)
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation)]
        larger = [size * s for size, s in zip(sizes, self.stride)]
        before = resolved(self.padding, larger, reach, self.stride)
        if self.padding == "same":  # sizes times strides
            padding = tuple((r - 1 - low, s - 1 + low) for r, s, (low, _) in zip(reach, self.stride, before))
        else:
            padding = tuple(
                (r - 1 - low, r - 1 - high + more) for r, (low, high), more in zip(reach, before, self.output_padding)
            )
        return self._convolve(x, self._reversed_kernel(), (1,) * n, padding, self.stride)

    def _reversed_kernel(self) -> Any:
        """The weights `(in, out / groups, *spatial)` as the kernel `(out, in / groups, *spatial)`, flipped."""
        n, groups = self.dimensions, self.groups
        weight = fnp.flip(self.weight, tuple(range(2, n + 2)))
        parts = fnp.reshape(weight, (groups, self.in_channels // groups, *aval_of(weight).shape[1:]))
        shape = (self.out_channels, self.in_channels // groups, *self.kernel_size)
        return fnp.reshape(fnp.swapaxes(parts, 1, 2), shape)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one spatial axis; see `ConvTranspose2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.ConvTranspose1d(3, 8, 4, stride=2, key=ft.random.key(0))(np.ones((2, 3, 10), np.float32)).shape
    (2, 8, 22)
    """

    dimensions = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution over two spatial axes, as decoders use it to enlarge images.

    With the same arguments, it maps shapes back to where `Conv2d` takes them from.

    Args:
        in_channels, out_channels: the number of features of inputs and outputs.
        kernel_size: an integer, or one for each spatial axis; likewise `stride`, `output_padding` and `dilation`.
        stride: how many times larger outputs are.
        padding: what the convolution that this one reverses would add, so this much is cut off; `"same"`: sizes are
            those of the input times the strides, as in Keras.
        output_padding: what is added at the end of each axis, where a convolution would have rounded down.
        groups, bias, dilation, data_format, key, dtype, bias_init: as for `Conv2d`.
        weight_init: an initializer, called with the shape `(*kernel_size, out_channels / groups, in_channels)`.

    Attributes:
        weight: `(in_channels, out_channels / groups, *kernel_size)`.
        bias: `(out_channels,)`, or `None`.

    Raises:
        ArgumentError: `groups` does not divide the channels, or an argument of an unknown form.
        ShapeError: an input with another number of channels, or too few axes.

    >>> import functrans as ft, numpy as np
    >>> layer = ft.nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1, key=ft.random.key(0))
    >>> layer(np.ones((5, 16, 14, 14), np.float32)).shape
    (5, 1, 28, 28)
    """

    dimensions = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three spatial axes; see `ConvTranspose2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.ConvTranspose3d(2, 1, 2, stride=2, key=ft.random.key(0))(np.ones((2, 3, 3, 3), np.float32)).shape
    (1, 6, 6, 6)
    """

    dimensions = 3
