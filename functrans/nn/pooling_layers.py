"""Pooling as layers, with PyTorch's arguments.

Inputs are `(*batch, channels, *spatial)`, or `(*batch, *spatial, channels)` with `data_format="channels_last"`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, is_inexact
from functrans.errors import ArgumentError, DTypeError
from functrans.nn.module import Module, static
from functrans.nn.spatial import Ints, Pads, check_reach, checked_format, each_axis, images, pads, resolved

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d",
]  # fmt: skip


class _Pool(Module):
    dimensions: ClassVar[int] = 0

    kernel_size: Ints = static()
    stride: Ints = static()
    padding: str | Pads = static()
    dilation: Ints = static()
    data_format: str = static()

    def _configure(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, data_format: str) -> None:
        name, n = type(self).__name__, self.dimensions
        self.kernel_size = each_axis(f"kernel_size of {name}", kernel_size, n)
        self.stride = self.kernel_size if stride is None else each_axis(f"stride of {name}", stride, n)
        self.dilation = each_axis(f"dilation of {name}", dilation, n)
        self.padding = pads(name, padding, n)
        self.data_format = checked_format(name, data_format)

    def _reduce(self, reduce: Any, x: Any, sizes: Sequence[int], channels_last: bool) -> Any:
        reach = [d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation)]
        rest = aval_of(x).ndim - self.dimensions - channels_last
        full = lambda values, other: (*[other] * rest, *values, *[other] * channels_last)
        padding = resolved(self.padding, sizes, reach, self.stride)
        check_reach(type(self).__name__, sizes, reach, padding)
        return reduce(
            x, full(self.kernel_size, 1), full(self.stride, 1), full(padding, (0, 0)), None, full(self.dilation, 1)
        )


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: Any = 0,
        dilation: int | Sequence[int] = 1,
        data_format: str = "channels_first",
    ):
        self._configure(kernel_size, stride, padding, dilation, data_format)

    def __call__(self, x: Any) -> Any:
        """`(*batch, channels, *spatial)` to the same with other spatial sizes, channels last if so configured."""
        channels_last = self.data_format == "channels_last"
        x, sizes = images(type(self).__name__, x, self.dimensions, channels_last)
        return self._reduce(lax.reduce_window_max, x, sizes, channels_last)


class MaxPool1d(_MaxPool):
    """The maximum of each window along one spatial axis; see `MaxPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.MaxPool1d(2)(np.array([[1.0, 5.0, 2.0, 3.0]]))
    Array([[5., 3.]])
    """

    dimensions = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window over two spatial axes.

    Args:
        kernel_size: the size of windows: an integer, or one for each spatial axis; likewise `stride` and `dilation`.
        stride: the distance between neighbouring windows; `kernel_size` by default.
        padding: as for `Conv2d`; padding is never a maximum.
        dilation: the distance between neighbouring elements of a window.
        data_format: `"channels_first"` or `"channels_last"`.

    Sizes that strides do not divide are rounded down.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.MaxPool2d(2)(np.arange(16.0).reshape(1, 4, 4))
    Array([[[ 5.,  7.],
            [13., 15.]]])
    """

    dimensions = 2


class MaxPool3d(_MaxPool):
    """The maximum of each window over three spatial axes; see `MaxPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.MaxPool3d(2)(np.ones((1, 4, 4, 4))).shape
    (1, 2, 2, 2)
    """

    dimensions = 3


class _AvgPool(_Pool):
    count_include_pad: bool = static()

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] | None = None,
        padding: Any = 0,
        count_include_pad: bool = True,
        data_format: str = "channels_first",
    ):
        self._configure(kernel_size, stride, padding, 1, data_format)
        self.count_include_pad = count_include_pad

    def __call__(self, x: Any) -> Any:
        """`(*batch, channels, *spatial)` to the same with other spatial sizes, channels last if so configured."""
        name, channels_last = type(self).__name__, self.data_format == "channels_last"
        x, sizes = images(name, x, self.dimensions, channels_last)
        dtype = _floating(name, x)
        total = self._reduce(lax.reduce_window_sum, x, sizes, channels_last)
        if self.count_include_pad:
            return total / dtype.type(math.prod(self.kernel_size))
        ones = np.ones((*sizes, 1) if channels_last else (1, *sizes), dtype)
        return total / self._reduce(lax.reduce_window_sum, ones, sizes, channels_last)


def _floating(name: str, x: Any) -> np.dtype:
    dtype = aval_of(x).dtype
    if not is_inexact(dtype):
        raise DTypeError(f"{name}: means of {dtype} are not of that dtype; convert the input to floats")
    return dtype


class AvgPool1d(_AvgPool):
    """The mean of each window along one spatial axis; see `AvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AvgPool1d(2)(np.array([[1.0, 5.0, 2.0, 3.0]]))
    Array([[3. , 2.5]])
    """

    dimensions = 1


class AvgPool2d(_AvgPool):
    """The mean of each window over two spatial axes.

    Args:
        kernel_size: the size of windows: an integer, or one for each spatial axis; likewise `stride`.
        stride: the distance between neighbouring windows; `kernel_size` by default.
        padding: as for `Conv2d`.
        count_include_pad: whether padding counts as zeros, or not at all.
        data_format: `"channels_first"` or `"channels_last"`.

    Sizes that strides do not divide are rounded down.

    Raises:
        DTypeError: the input is of integers.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AvgPool2d(2)(np.arange(16.0).reshape(1, 4, 4))
    Array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """

    dimensions = 2


class AvgPool3d(_AvgPool):
    """The mean of each window over three spatial axes; see `AvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AvgPool3d(2)(np.ones((1, 4, 4, 4))).shape
    (1, 2, 2, 2)
    """

    dimensions = 3


class _AdaptivePool(Module):
    dimensions: ClassVar[int] = 0

    output_size: tuple[int | None, ...] = static()
    data_format: str = static()

    def __init__(self, output_size: int | Sequence[int | None], data_format: str = "channels_first"):
        name, n = type(self).__name__, self.dimensions
        sizes = (output_size,) * n if isinstance(output_size, int) else tuple(output_size)
        if len(sizes) != n or not all(size is None or (isinstance(size, int) and size > 0) for size in sizes):
            raise ArgumentError(
                f"output_size of {name} is a positive integer, or {n} such (None keeps a size), got {output_size!r:.60}"
            )
        self.output_size = sizes
        self.data_format = checked_format(name, data_format)

    def __call__(self, x: Any) -> Any:
        """`(*batch, channels, *spatial)` to `(*batch, channels, *output_size)`, channels last if so configured."""
        name, n, channels_last = type(self).__name__, self.dimensions, self.data_format == "channels_last"
        x, sizes = images(name, x, n, channels_last)
        for i, (size, out) in enumerate(zip(sizes, self.output_size)):
            if out is None or out == size:
                continue
            axis = i - n - channels_last
            shape = aval_of(x).shape
            if size % out == 0:
                after = shape[axis + 1 :] if axis < -1 else ()
                x = self._reduced(fnp.reshape(x, (*shape[:axis], out, size // out, *after)), axis)
            else:
                x = self._uneven(x, axis, size, out)
        return x

    def _reduced(self, x: Any, axis: int) -> Any:
        """Each window as one number."""
        raise NotImplementedError

    def _uneven(self, x: Any, axis: int, size: int, out: int) -> Any:
        """The same for windows of different sizes."""
        raise NotImplementedError


class _AdaptiveAvgPool(_AdaptivePool):
    def __call__(self, x: Any) -> Any:
        """`(*batch, channels, *spatial)` to `(*batch, channels, *output_size)`, channels last if so configured."""
        _floating(type(self).__name__, x)
        return super().__call__(x)

    def _reduced(self, x: Any, axis: int) -> Any:
        return fnp.mean(x, axis)

    def _uneven(self, x: Any, axis: int, size: int, out: int) -> Any:
        means = np.stack([(a <= np.arange(size)) & (np.arange(size) < b) for a, b in _windows(size, out)])
        means = (means / means.sum(1, keepdims=True)).astype(aval_of(x).dtype)
        return fnp.moveaxis(fnp.tensordot(x, means, (axis, 1)), -1, axis)


class _AdaptiveMaxPool(_AdaptivePool):
    def _reduced(self, x: Any, axis: int) -> Any:
        return fnp.max(x, axis)

    def _uneven(self, x: Any, axis: int, size: int, out: int) -> Any:
        first = fnp.moveaxis(x, axis, 0)
        return fnp.moveaxis(fnp.stack([fnp.max(first[a:b], 0) for a, b in _windows(size, out)]), 0, axis)


def _windows(size: int, out: int) -> list[tuple[int, int]]:
    """Where so many windows over an axis begin and end: `floor(i size / out)` and `ceil((i + 1) size / out)`."""
    return [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of as many windows as are asked for, along one spatial axis; see `AdaptiveAvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveAvgPool1d(2)(np.array([[1.0, 5.0, 3.0]]))
    Array([[3., 4.]])
    """

    dimensions = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of as many windows as are asked for, over two spatial axes.

    Args:
        output_size: the number of windows: an integer, or one for each spatial axis; `None` keeps an axis as it is.
            Window `i` of `m` over `n` elements goes from `floor(i n / m)` to `ceil((i + 1) n / m)`, as in PyTorch.
        data_format: `"channels_first"` or `"channels_last"`.

    Raises:
        DTypeError: the input is of integers.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveAvgPool2d(1)(np.arange(16.0).reshape(1, 4, 4))
    Array([[[7.5]]])
    """

    dimensions = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of as many windows as are asked for, over three spatial axes; see `AdaptiveAvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveAvgPool3d((1, 2, None))(np.ones((1, 4, 4, 4))).shape
    (1, 1, 2, 4)
    """

    dimensions = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of as many windows as are asked for, along one spatial axis; see `AdaptiveAvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveMaxPool1d(2)(np.array([[1.0, 5.0, 3.0]]))
    Array([[5., 5.]])
    """

    dimensions = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of as many windows as are asked for, over two spatial axes; see `AdaptiveAvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveMaxPool2d((1, 2))(np.arange(16.0).reshape(1, 4, 4))
    Array([[[13., 15.]]])
    """

    dimensions = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of as many windows as are asked for, over three spatial axes; see `AdaptiveAvgPool2d`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.AdaptiveMaxPool3d((1, 2, None))(np.ones((1, 4, 4, 4))).shape
    (1, 1, 2, 4)
    """

    dimensions = 3
