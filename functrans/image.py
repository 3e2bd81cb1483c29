"""Images at other sizes: resampling by the filters of `jax.image`, one axis after another.

A pixel `i` covers the interval from `i` to `i + 1`, so that its centre is `i + 1/2`. Each pixel of the result is a mean
of those of the image, weighted by a kernel around the place it comes from; along an axis that is a product with a
matrix of weights. Where an image is made smaller and `antialias` is true, the kernel is as much wider. Kernels: R. G.
Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on Acoustics, Speech, and Signal
Processing 29(6), 1981; C. E. Duchon, "Lanczos filtering in one and two dimensions", Journal of Applied Meteorology
18(8), 1979.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import lax, numpy as fnp
from functrans.core.avals import aval_of, is_inexact, kind_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.structural import canonical_axis

__all__ = ["ResizeMethod", "resize", "scale_and_translate"]


class ResizeMethod(enum.Enum):
    """How pixels are made of those around their place."""

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of that name.

        Raises:
            ArgumentError: there is none.

        >>> from functrans.image import ResizeMethod
        >>> ResizeMethod.from_string("bicubic")
        <ResizeMethod.CUBIC: 4>
        """
        if s not in _NAMES:
            raise ArgumentError(f"a method of resizing is one of {', '.join(_NAMES)} or a ResizeMethod, got {s!r:.60}")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


# ---------------------------------------------------------------- kernels, at distances of at least 0


def _triangle(x: Any) -> Any:
    return fnp.maximum(1 - x, 0)


def _lanczos(radius: int) -> Callable[[Any], Any]:
    return lambda x: fnp.where(x < radius, fnp.sinc(x) * fnp.sinc(x / radius), 0)


def _cubic(a: float) -> Callable[[Any], Any]:
    """Keys' kernels; that with `a = -1/2` is exact for quadratic functions."""

    def kernel(x: Any) -> Any:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return fnp.where(x < 1, near, fnp.where(x < 2, far, 0))

    return kernel


_KERNELS: dict[ResizeMethod, Callable[[Any], Any]] = {
    ResizeMethod.LINEAR: _triangle,
    ResizeMethod.LANCZOS3: _lanczos(3),
    ResizeMethod.LANCZOS5: _lanczos(5),
    ResizeMethod.CUBIC: _cubic(-0.5),
}
_PYTORCH = _cubic(-0.75)


# ---------------------------------------------------------------- weights


def _divided(weights: Any) -> Any:
    """Weights whose sum along the pixels of the image is 1; zeros where it is nearly 0."""
    total = fnp.sum(weights, axis=0)
    some = fnp.abs(total) > 1000 * float(np.finfo(np.float32).eps)
    return fnp.where(some, weights / fnp.where(some, total, 1), 0)


def _weights(m: int, n: int, scale: Any, translation: Any, method: ResizeMethod, antialias: bool) -> Any:
    """A matrix of shape (m, n): what each of m pixels contributes to each of n."""
    step = 1 / scale
    left = (np.arange(n) - translation) * step  # where the pixels of the result begin, in the image
    centre = left + step / 2 - 0.5  # counted in pixels: those of the image have theirs at 0, 1, ...
    pixels = np.arange(m)[:, None]
    if method is ResizeMethod.CUBIC_PYTORCH and not antialias:  # the image goes on beyond its edges
        beyond = np.arange(-2, m + 2)
        weights = _PYTORCH(fnp.abs(centre - beyond[:, None]))
        return _divided(fnp.asarray((np.clip(beyond, 0, m - 1) == pixels) * 1.0) @ weights)
    if method is ResizeMethod.AREA:
        weights = fnp.maximum(fnp.minimum(left + step, pixels + 1) - fnp.maximum(left, pixels), 0)
    else:
        kernel = _KERNELS[ResizeMethod.CUBIC if method is ResizeMethod.CUBIC_PYTORCH else method]
        weights = kernel(fnp.abs(centre - pixels) / (fnp.maximum(step, 1) if antialias else 1))
    inside = (centre >= -0.5) & (centre <= m - 0.5)
    return fnp.where(inside, _divided(weights), 0)


def _resampled(
    image: Any, axes: Sequence[int], shape: Sequence[int], scales: Any, translations: Any, method: ResizeMethod,
    antialias: bool,
) -> Any:  # fmt: skip
    """A floating-point image, resampled along axes."""
    dtype = aval_of(image).dtype
    if kind_of(dtype) == "c":
        dtype = np.dtype(f"f{dtype.itemsize // 2}")
    for axis, scale, translation in zip(axes, scales, translations):
        weights = _weights(image.shape[axis], shape[axis], scale, translation, method, antialias)
        image = fnp.moveaxis(fnp.tensordot(image, lax.convert_element_type(weights, dtype), (axis, 0)), -1, axis)
    return image


def _checked(name: str, image: Any, shape: Any, method: Any) -> tuple[Any, tuple[int, ...], ResizeMethod]:
    image = fnp.asarray(image)
    shape = canonical_shape(shape)
    if len(shape) != image.ndim:
        raise ShapeError(f"{name} takes a size for each axis of the image, got {shape} for one of shape {image.shape}")
    return image, shape, method if isinstance(method, ResizeMethod) else ResizeMethod.from_string(method)


def resize(
    image: Any, shape: Sequence[int], method: str | ResizeMethod, antialias: bool = True, precision: Any = None
) -> Any:
    """An image at another size.

    Args:
        image: an array; also with axes for channels and batches.
        shape: the shape of the result; axes whose size it does not change are left as they are.
        method: `nearest`; `linear` (or `bilinear`, `trilinear`, `triangle`); `cubic` (or `bicubic`, `tricubic`);
            `cubic-pytorch`, which without `antialias` is PyTorch's; `lanczos3`, `lanczos5`; `area`, the mean of what a
            pixel covers; or a `ResizeMethod`.
        antialias: whether a smaller image is low-passed, by a wider kernel.
        precision: accepted; products are always in full precision.

    Returns:
        An array of that shape, with the dtype of the image; integers become float64, but by `nearest`.

    Raises:
        ShapeError: the image has another number of axes.
        ArgumentError: there is no such method.

    >>> import functrans.numpy as fnp
    >>> from functrans import image
    >>> image.resize(fnp.array([[0.0, 1.0], [2.0, 3.0]]), (2, 4), "linear")
    Array([[0.  , 0.25, 0.75, 1.  ],
           [2.  , 2.25, 2.75, 3.  ]])
    """
    image, shape, chosen = _checked("resize", image, shape, method)
    axes = [d for d in range(len(shape)) if shape[d] != image.shape[d]]
    if any(not image.shape[d] for d in axes):
        raise ShapeError(f"resize: an image of shape {image.shape} has no pixels to make {shape} of")
    if chosen is ResizeMethod.NEAREST:
        for d in axes:
            m, n = image.shape[d], shape[d]
            image = fnp.take(image, (2 * np.arange(n) + 1) * m // (2 * n), axis=d)
        return image
    if not is_inexact(image.dtype):
        image = fnp.asarray(image, dtype=np.float64)
    scales = [np.float64(shape[d] / image.shape[d]) for d in axes]
    return _resampled(image, axes, shape, scales, np.zeros(len(axes)), chosen, antialias)


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Any:
    """An image stretched and moved along some of its axes, into one of another shape.

    What lies at `x` comes to `x * scale + translation`, where the first pixel covers the interval from 0 to 1. Pixels
    of the result that come from beyond the image are 0. Differentiable in the image, the scale and the translation.

    Args:
        image: an array.
        shape: the shape of the result.
        spatial_dims: the axes that `scale` and `translation` are for; the others keep their size.
        scale, translation: arrays with a number for each of these axes.
        method, antialias, precision: as for `resize`, but for `nearest`.

    Returns:
        An array of that shape, with the dtype of the image; integers become float64.

    Raises:
        ShapeError: shapes do not fit together.
        ArgumentError: there is no such method, or it is `nearest`.

    Pixels at the corners stay there, as by `align_corners=True` in PyTorch, with a scale of `(n - 1) / (m - 1)` for
    m pixels that become n, and a translation of `(1 - scale) / 2`:

    >>> import functrans.numpy as fnp
    >>> from functrans import image
    >>> s = fnp.array([3 / 2])
    >>> image.scale_and_translate(fnp.array([0.0, 1.0, 2.0]), (4,), (0,), s, (1 - s) / 2, "linear")
    Array([0.        , 0.66666667, 1.33333333, 2.        ])
    """
    image, shape, chosen = _checked("scale_and_translate", image, shape, method)
    if chosen is ResizeMethod.NEAREST:
        raise ArgumentError("scale_and_translate has no method 'nearest', for it has no derivative; resize has it")
    axes = [canonical_axis(d, image.ndim) for d in spatial_dims]
    scale, translation = fnp.asarray(scale), fnp.asarray(translation)
    if scale.shape != (len(axes),) or translation.shape != (len(axes),):
        raise ShapeError(
            f"scale_and_translate takes a scale and a translation for each of the {len(axes)} spatial_dims, got shapes "
            f"{scale.shape} and {translation.shape}"
        )
    for d in range(image.ndim):
        if d not in axes and shape[d] != image.shape[d]:
            raise ShapeError(
                f"scale_and_translate: axis {d} is not among the spatial_dims {tuple(axes)}, and keeps its size "
                f"{image.shape[d]}, got {shape[d]}"
            )
    if not is_inexact(image.dtype):
        image = fnp.asarray(image, dtype=np.float64)
    scales, translations = ([v[i] for i in range(len(axes))] for v in (scale, translation))
    return _resampled(image, axes, shape, scales, translations, chosen, antialias)
