"""Filters: sums, maxima and minima of windows of an image.

All are sums over the windows of the extended image; a separable filter is one sum for each axis.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.windows import slide
from functrans.numpy.dispatch import normalize_axis
from functrans.scipy.dispatch import implements
from functrans.scipy.ndimage.boundaries import check_mode, extended, output_dtype, wide


def _per_axis(name: str, what: str, value: Any, count: int) -> list[Any]:
    """One value for each axis."""
    if isinstance(value, str) or not (isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim)):
        return [value] * count
    if len(value) != count:
        raise ArgumentError(f"{name} takes {what} for each of {count} axes, got {len(value)}")
    return list(value)


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in the order given, in which other arguments have a value for each."""
    if axes is None:
        return tuple(range(ndim))
    found = tuple(normalize_axis(a, ndim) for a in (axes if isinstance(axes, (tuple, list)) else (axes,)))
    if len(set(found)) < len(found):
        raise ArgumentError(f"each axis can be named once, got axes={tuple(axes)}")
    return found


def _windows(name: str, x: Any, axes: Sequence[int], sizes: Sequence[int], origins: Any, mode: Any, cval: Any) -> Any:
    """The windows around every element, their axes behind all others."""
    modes = _per_axis(name, "a mode", mode, len(axes))
    origins = _per_axis(name, "an origin", origins, len(axes))
    for axis, size, m, origin in zip(axes, sizes, modes, origins):
        check_mode(name, m)
        origin = operator.index(origin)
        before = size // 2 + origin
        if not 0 <= before < size:
            raise ArgumentError(f"{name}: origin={origin} moves a window of {size} elements off its element")
        if not aval_of(x).shape[axis]:
            continue
        x = extended(x, axis, before, size - 1 - before, m, cval)
    return slide(x, axes, sizes, (1,) * len(axes), (1,) * len(axes))


def _weighted(name: str, x: Any, weights: Any, axes: Sequence[int], origins: Any, mode: Any, cval: Any) -> Any:
    if 0 in aval_of(x).shape:
        return x
    windows = _windows(name, x, axes, aval_of(weights).shape, origins, mode, cval)
    return fnp.sum(windows * weights, axis=tuple(range(aval_of(x).ndim, aval_of(windows).ndim)))


def _cast(x: Any, dtype: np.dtype) -> Any:
    if aval_of(x).dtype.kind == "c" and dtype.kind != "c":
        raise DTypeError(f"a complex result does not fit output={dtype}")
    return x.astype(dtype)


def _result_dtype(name: str, output: Any, dtype: np.dtype, weights: Any) -> np.dtype:
    if aval_of(weights).dtype.kind == "c" and dtype.kind != "c":
        dtype = np.result_type(dtype, np.complex64)
    return output_dtype(name, output, dtype)


def _along_axis(
    name: str, input: Any, weights: Any, axis: int, output: Any, mode: str, cval: Any, origin: int, flip: bool
) -> Any:
    x, dtype = wide(name, input)
    axis = normalize_axis(axis, aval_of(x).ndim)
    weights, _ = wide(name, weights)
    if aval_of(weights).ndim != 1 or not aval_of(weights).size:
        raise ShapeError(f"{name} takes weights of one dimension with elements, got shape {aval_of(weights).shape}")
    origin = operator.index(origin)
    if flip:
        weights, (origin,) = _flipped(weights, [origin])
    else:
        weights = fnp.conj(weights)
    out = _weighted(name, x, weights, (axis,), [origin], mode, cval)
    return _cast(out, _result_dtype(name, output, dtype, weights))


def _flipped(weights: Any, origins: Sequence[int]) -> tuple[Any, list[int]]:
    """Weights and origins of the correlation that is a convolution with these."""
    return fnp.flip(weights), [-o - (n % 2 == 0) for o, n in zip(origins, aval_of(weights).shape)]


@implements("scipy.ndimage")
def correlate1d(
    input: Any, weights: Any, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
    origin: int = 0,
) -> Any:  # fmt: skip
    """The correlation of an image and weights along one axis, as `scipy.ndimage.correlate1d`.

    Args:
        input: the image.
        weights: one-dimensional.
        axis: along which axis.
        output: the dtype of the result, that of the image by default.
        mode: what lies beyond the edges: `"reflect"` (`d c b a | a b c d | d c b a`), `"mirror"`
            (`d c b | a b c d | c b a`), `"nearest"`, `"wrap"`, `"constant"`, or a synonym of these: `"grid-mirror"`,
            `"grid-wrap"`, `"grid-constant"`.
        cval: the constant.
        origin: by how many elements the window is moved.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda x: ft.scipy.ndimage.correlate1d(x, [1.0, 0.0, -1.0]))(np.array([1.0, 2.0, 4.0]))
    Array([-1., -3., -2.])
    """
    return _along_axis("correlate1d", input, weights, axis, output, mode, cval, origin, False)


@implements("scipy.ndimage")
def convolve1d(
    input: Any, weights: Any, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0,
    origin: int = 0,
) -> Any:  # fmt: skip
    """The convolution of an image and weights along one axis, as `scipy.ndimage.convolve1d`.

    Arguments as for `correlate1d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.convolve1d(np.array([0.0, 1.0, 0.0]), [1.0, 2.0, 3.0])
    Array([1., 2., 3.])
    """
    return _along_axis("convolve1d", input, weights, axis, output, mode, cval, origin, True)


def _along_axes(
    name: str, input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any, flip: bool
) -> Any:
    x, dtype = wide(name, input)
    axes = _axes(axes, aval_of(x).ndim)
    weights, _ = wide(name, weights)
    if aval_of(weights).ndim != len(axes) or 0 in aval_of(weights).shape:
        raise ShapeError(
            f"{name} takes weights with elements and as many dimensions as the image ({len(axes)}), got shape "
            f"{aval_of(weights).shape}"
        )
    origins = [operator.index(o) for o in _per_axis(name, "an origin", origin, len(axes))]
    if flip:
        weights, origins = _flipped(weights, origins)
    else:
        weights = fnp.conj(weights)
    out = _weighted(name, x, weights, axes, origins, mode, cval)
    return _cast(out, _result_dtype(name, output, dtype, weights))


@implements("scipy.ndimage")
def correlate(
    input: Any, weights: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """The correlation of an image and weights of as many dimensions, as `scipy.ndimage.correlate`.

    Complex weights are conjugated.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.correlate(np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0]))
    Array([3., 2., 1.])
    """
    return _along_axes("correlate", input, weights, output, mode, cval, origin, axes, False)


@implements("scipy.ndimage")
def convolve(
    input: Any, weights: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """The convolution of an image and weights of as many dimensions, as `scipy.ndimage.convolve`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.convolve(np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0]))
    Array([1., 2., 3.])
    """
    return _along_axes("convolve", input, weights, output, mode, cval, origin, axes, True)


def _each_axis(
    name: str, input: Any, output: Any, axes: Any, mode: Any, one: Callable[[Any, int, int, str], Any]
) -> Any:
    """A filter of one axis along several; between them the image is in the dtype of the result, as in SciPy."""
    x = fnp.asarray(input)
    axes = _axes(axes, aval_of(x).ndim)
    modes = _per_axis(name, "a mode", mode, len(axes))
    dtype = output_dtype(name, output, aval_of(x).dtype)
    for place, (axis, m) in enumerate(zip(axes, modes)):
        x = one(x, place, axis, m)
    return x.astype(dtype)


# ---------------------------------------------------------------- Gaussians


def _gaussian(sigma: Any, order: int, radius: int) -> Any:
    """The weights of a Gaussian or of its derivative of an order, to be correlated with."""
    x = np.arange(-radius, radius + 1, dtype=np.float64)
    phi = fnp.exp(-0.5 / (sigma * sigma) * x**2)
    phi = phi / fnp.sum(phi)
    # the derivative is a polynomial times the Gaussian: q' - x / sigma^2 q for the next order
    q: list[Any] = [1.0]
    for _ in range(order):
        slope = [k * c for k, c in enumerate(q)][1:] + [0.0, 0.0]
        moved = [0.0, *(-c / (sigma * sigma) for c in q)]
        q = [a + b for a, b in zip(slope, moved)]
    polynomial = sum(c * x**k for k, c in enumerate(q))
    return fnp.flip(polynomial * phi)


def _radius(name: str, sigma: Any, truncate: float, radius: Any) -> int:
    if radius is None:
        if isinstance(sigma, Tracer):
            raise ArgumentError(f"{name} of a traced sigma takes radius=: the size of the window is static")
        radius = int(truncate * float(sigma) + 0.5)
    if operator.index(radius) < 0:
        raise ArgumentError(f"{name} takes a radius of 0 or more, got {radius}")
    return operator.index(radius)


@implements("scipy.ndimage")
def gaussian_filter1d(
    input: Any, sigma: Any, axis: int = -1, order: int = 0, output: Any = None, mode: str = "reflect",
    cval: Any = 0.0, truncate: float = 4.0, *, radius: Any = None,
) -> Any:  # fmt: skip
    """The convolution with a Gaussian, or with its derivative of an order, as `scipy.ndimage.gaussian_filter1d`.

    Args:
        input: the image.
        sigma: the standard deviation; traced, it needs `radius`.
        axis, output, mode, cval: as for `correlate1d`.
        order: which derivative.
        truncate, radius: the window reaches `truncate` standard deviations to each side, or `radius` elements.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.gaussian_filter1d(np.array([0.0, 0.0, 1.0, 0.0, 0.0]), 1.0)
    Array([0.05842299, 0.24210528, 0.39894347, 0.24210528, 0.05842299])
    """
    name = "gaussian_filter1d"
    order = operator.index(order)
    if order < 0:
        raise ArgumentError(f"{name} takes an order of 0 or more, got {order}")
    return correlate1d(input, _gaussian(sigma, order, _radius(name, sigma, truncate, radius)), axis, output, mode, cval)


@implements("scipy.ndimage")
def gaussian_filter(
    input: Any, sigma: Any, order: Any = 0, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
    truncate: float = 4.0, *, radius: Any = None, axes: Any = None,
) -> Any:  # fmt: skip
    """Gaussian smoothing, or Gaussian derivatives, along axes, as `scipy.ndimage.gaussian_filter`.

    Args:
        input: the image.
        sigma, order, mode, radius: as for `gaussian_filter1d`, one for all axes or one for each.
        output, cval, truncate: as there.
        axes: along which axes, by default all.

    >>> import functrans as ft, numpy as np
    >>> smooth = ft.jit(lambda x: ft.scipy.ndimage.gaussian_filter(x, 1.0))
    >>> smooth(np.array([0.0, 0.0, 1.0, 0.0, 0.0]))
    Array([0.05..., 0.24..., 0.39..., 0.24..., 0.05...])
    """
    name = "gaussian_filter"
    count = len(_axes(axes, aval_of(fnp.asarray(input)).ndim))
    if isinstance(sigma, Tracer) and aval_of(sigma).ndim:
        sigma = fnp.unstack(sigma)
    sigmas, orders, radii = (
        _per_axis(name, what, v, count) for what, v in (("sigma", sigma), ("an order", order), ("a radius", radius))
    )

    def one(x: Any, place: int, axis: int, mode: str) -> Any:
        if not isinstance(sigmas[place], Tracer) and sigmas[place] <= 1e-15:
            return x
        return gaussian_filter1d(
            x, sigmas[place], axis, orders[place], output, mode, cval, truncate, radius=radii[place]
        )

    return _each_axis(name, input, output, axes, mode, one)


def _summed(name: str, input: Any, output: Any, mode: Any, axes: Any, one: Callable[[Any, int, str], Any]) -> Any:
    """The sum over axes of a filter along each."""
    x = fnp.asarray(input)
    axes = _axes(axes, aval_of(x).ndim)
    modes = _per_axis(name, "a mode", mode, len(axes))
    if not axes:
        return x
    total = None
    for axis, m in zip(axes, modes):
        term = one(x, axis, m)
        total = term if total is None else total + term
    return total


@implements("scipy.ndimage")
def laplace(input: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None) -> Any:
    """The Laplacian by second differences, as `scipy.ndimage.laplace`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.laplace(np.arange(5.0) ** 2)
    Array([ 1.,  2.,  2.,  2., -7.])
    """
    weights = np.array([1.0, -2.0, 1.0])
    return _summed("laplace", input, output, mode, axes, lambda x, a, m: correlate1d(x, weights, a, output, m, cval))


def _gaussian_each(input: Any, sigma: Any, output: Any, cval: Any, axes: Any, order: int, options: Any) -> Any:
    """For each axis the Gaussian derivative along it."""
    ndim = aval_of(fnp.asarray(input)).ndim
    axes = _axes(axes, ndim)

    def one(x: Any, axis: int, mode: str) -> Any:
        orders = [order if a == axis else 0 for a in axes]
        return gaussian_filter(x, sigma, orders, output, mode, cval, axes=axes, **options)

    return one


@implements("scipy.ndimage")
def gaussian_laplace(
    input: Any, sigma: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """The Laplacian by Gaussian second derivatives, as `scipy.ndimage.gaussian_laplace`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.gaussian_laplace(np.arange(5.0) ** 2, 0.5)[2]
    Array(0.4422715)
    """
    one = _gaussian_each(input, sigma, output, cval, axes, 2, kwargs)
    return _summed("gaussian_laplace", input, output, mode, axes, one)


@implements("scipy.ndimage")
def gaussian_gradient_magnitude(
    input: Any, sigma: Any, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, *, axes: Any = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """The length of the gradient by Gaussian derivatives, as `scipy.ndimage.gaussian_gradient_magnitude`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.gaussian_gradient_magnitude(np.arange(5.0), 1.0)[2]
    Array(0.9701249)
    """
    name = "gaussian_gradient_magnitude"
    one = _gaussian_each(input, sigma, output, cval, axes, 1, kwargs)
    total = _summed(name, input, output, mode, axes, lambda x, a, m: fnp.square(one(x, a, m)))
    return fnp.sqrt(total).astype(output_dtype(name, output, aval_of(fnp.asarray(input)).dtype))


def _edges(name: str, across: Sequence[float], input: Any, axis: int, output: Any, mode: Any, cval: Any) -> Any:
    """A difference along one axis, smoothed along the others."""
    x = fnp.asarray(input)
    axis = normalize_axis(axis, aval_of(x).ndim)
    modes = _per_axis(name, "a mode", mode, aval_of(x).ndim)
    out = correlate1d(x, np.array([-1.0, 0.0, 1.0]), axis, output, modes[axis], cval)
    for other in range(aval_of(x).ndim):
        if other != axis:
            out = correlate1d(out, np.array(across), other, output, modes[other], cval)
    return out


@implements("scipy.ndimage")
def sobel(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    """Sobel's filter, as `scipy.ndimage.sobel`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.sobel(np.array([0.0, 1.0, 4.0, 9.0]))
    Array([1., 4., 8., 5.])
    """
    return _edges("sobel", [1.0, 2.0, 1.0], input, axis, output, mode, cval)


@implements("scipy.ndimage")
def prewitt(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: Any = 0.0) -> Any:
    """Prewitt's filter, as `scipy.ndimage.prewitt`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.prewitt(np.array([0.0, 1.0, 4.0, 9.0]))
    Array([1., 4., 8., 5.])
    """
    return _edges("prewitt", [1.0, 1.0, 1.0], input, axis, output, mode, cval)


# ---------------------------------------------------------------- means and extrema of boxes


def _size(name: str, size: Any) -> int:
    size = operator.index(size)
    if size < 1:
        raise ArgumentError(f"{name} takes windows of 1 or more elements, got {size}")
    return size


@implements("scipy.ndimage")
def uniform_filter1d(
    input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Any:
    """Means of windows along one axis, as `scipy.ndimage.uniform_filter1d`; arguments: `correlate1d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.uniform_filter1d(np.array([0.0, 3.0, 0.0, 0.0]), 3)
    Array([1., 1., 1., 0.])
    """
    name = "uniform_filter1d"
    size = _size(name, size)
    x, dtype = wide(name, input)
    windows = _windows(name, x, (normalize_axis(axis, aval_of(x).ndim),), (size,), [origin], mode, cval)
    out = fnp.sum(windows, axis=-1) / size if aval_of(windows).ndim > aval_of(x).ndim else windows
    return _cast(out, output_dtype(name, output, dtype))


@implements("scipy.ndimage")
def uniform_filter(
    input: Any, size: Any = 3, output: Any = None, mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *,
    axes: Any = None,
) -> Any:  # fmt: skip
    """Means of boxes, as `scipy.ndimage.uniform_filter`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.uniform_filter(np.array([0.0, 3.0, 0.0, 0.0]), 3)
    Array([1., 1., 1., 0.])
    """
    name = "uniform_filter"
    count = len(_axes(axes, aval_of(fnp.asarray(input)).ndim))
    sizes, origins = _per_axis(name, "a size", size, count), _per_axis(name, "an origin", origin, count)

    def one(x: Any, place: int, axis: int, mode: str) -> Any:
        if sizes[place] <= 1:
            return x
        return uniform_filter1d(x, sizes[place], axis, output, mode, cval, origins[place])

    return _each_axis(name, input, output, axes, mode, one)


def _extremum_along(
    name: str, input: Any, size: Any, axis: int, output: Any, mode: str, cval: Any, origin: int, largest: bool
) -> Any:
    size = _size(name, size)
    x = fnp.asarray(input)
    dtype = aval_of(x).dtype
    if dtype.kind == "c":
        raise DTypeError(f"{name} takes a real image, got {dtype}")
    axis = normalize_axis(axis, aval_of(x).ndim)
    check_mode(name, mode)
    before = size // 2 + operator.index(origin)
    if not 0 <= before < size:
        raise ArgumentError(f"{name}: origin={origin} moves a window of {size} elements off its element")
    x = extended(x, axis, before, size - 1 - before, mode, cval)
    windows = [size if a == axis else 1 for a in range(aval_of(x).ndim)]
    initial = _lowest(dtype) if largest else _highest(dtype)
    pick = lax.max if largest else lax.min
    out = lax.reduce_window(x, initial, pick, windows, [1] * len(windows), "VALID")
    return out.astype(output_dtype(name, output, dtype))


def _lowest(dtype: np.dtype) -> Any:
    return dtype.type(-np.inf) if kind_of(dtype) == "f" else dtype.type(0 if dtype.kind == "b" else np.iinfo(dtype).min)


def _highest(dtype: np.dtype) -> Any:
    return dtype.type(np.inf) if kind_of(dtype) == "f" else dtype.type(1 if dtype.kind == "b" else np.iinfo(dtype).max)


@implements("scipy.ndimage")
def maximum_filter1d(
    input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Any:
    """Maxima of windows along one axis, as `scipy.ndimage.maximum_filter1d`; arguments: `correlate1d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.maximum_filter1d(np.array([1, 4, 2, 0, 3]), 3)
    Array([4, 4, 4, 3, 3])
    """
    return _extremum_along("maximum_filter1d", input, size, axis, output, mode, cval, origin, True)


@implements("scipy.ndimage")
def minimum_filter1d(
    input: Any, size: int, axis: int = -1, output: Any = None, mode: str = "reflect", cval: Any = 0.0, origin: int = 0
) -> Any:
    """Minima of windows along one axis, as `scipy.ndimage.minimum_filter1d`; arguments: `correlate1d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.minimum_filter1d(np.array([1, 4, 2, 0, 3]), 3)
    Array([1, 1, 0, 0, 0])
    """
    return _extremum_along("minimum_filter1d", input, size, axis, output, mode, cval, origin, False)


def _extremum(
    name: str, input: Any, size: Any, footprint: Any, output: Any, mode: Any, cval: Any, origin: Any, axes: Any,
    largest: bool,
) -> Any:  # fmt: skip
    if footprint is not None:
        raise ArgumentError(f"{name} of a traced array takes size=, the size of a box, and no footprint")
    if size is None:
        raise ArgumentError(f"{name} takes size=")
    count = len(_axes(axes, aval_of(fnp.asarray(input)).ndim))
    sizes, origins = _per_axis(name, "a size", size, count), _per_axis(name, "an origin", origin, count)

    def one(x: Any, place: int, axis: int, mode: str) -> Any:
        return _extremum_along(name, x, sizes[place], axis, output, mode, cval, origins[place], largest)

    return _each_axis(name, input, output, axes, mode, one)


@implements("scipy.ndimage")
def maximum_filter(
    input: Any, size: Any = None, footprint: Any = None, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
    origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Maxima of boxes, as `scipy.ndimage.maximum_filter`; traced without `footprint`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.maximum_filter(np.array([1, 4, 2, 0, 3]), 3)
    Array([4, 4, 4, 3, 3])
    """
    return _extremum("maximum_filter", input, size, footprint, output, mode, cval, origin, axes, True)


@implements("scipy.ndimage")
def minimum_filter(
    input: Any, size: Any = None, footprint: Any = None, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
    origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Minima of boxes, as `scipy.ndimage.minimum_filter`; traced without `footprint`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.minimum_filter(np.array([1, 4, 2, 0, 3]), 3)
    Array([1, 1, 0, 0, 0])
    """
    return _extremum("minimum_filter", input, size, footprint, output, mode, cval, origin, axes, False)


# ---------------------------------------------------------------- ranks


def _ranked(
    name: str, input: Any, rank: Callable[[int], int], size: Any, footprint: Any, output: Any, mode: Any, cval: Any,
    origin: Any, axes: Any,
) -> Any:  # fmt: skip
    if footprint is not None:
        raise ArgumentError(f"{name} of a traced array takes size=, the size of a box, and no footprint")
    if size is None:
        raise ArgumentError(f"{name} takes size=")
    x = fnp.asarray(input)
    dtype = aval_of(x).dtype
    if dtype.kind == "c":
        raise DTypeError(f"{name} takes a real image, got {dtype}")
    axes = _axes(axes, aval_of(x).ndim)
    sizes = [_size(name, n) for n in _per_axis(name, "a size", size, len(axes))]
    count = math.prod(sizes)
    place = rank(count)
    place = place + count if place < 0 else place
    if not 0 <= place < count:
        raise ArgumentError(f"{name}: windows of {count} elements have no element of rank {place}")
    if 0 in aval_of(x).shape:
        return x
    windows = _windows(name, x, axes, sizes, origin, mode, cval)
    windows = fnp.reshape(windows, (*aval_of(x).shape, count))
    return fnp.sort(windows, axis=-1)[..., place].astype(output_dtype(name, output, dtype))


@implements("scipy.ndimage")
def rank_filter(
    input: Any, rank: int, size: Any = None, footprint: Any = None, output: Any = None, mode: Any = "reflect",
    cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The element of a rank in each box, as `scipy.ndimage.rank_filter`; traced without `footprint`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.rank_filter(np.array([1, 4, 2, 0, 3]), 0, 3)
    Array([1, 1, 0, 0, 0])
    """
    rank = operator.index(rank)
    return _ranked("rank_filter", input, lambda n: rank, size, footprint, output, mode, cval, origin, axes)


@implements("scipy.ndimage")
def median_filter(
    input: Any, size: Any = None, footprint: Any = None, output: Any = None, mode: Any = "reflect", cval: Any = 0.0,
    origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Medians of boxes, as `scipy.ndimage.median_filter`; traced without `footprint`.

    Of an even number of elements it is the upper one of the two in the middle.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.median_filter(np.array([1, 9, 2, 3, 3]), 3)
    Array([1, 2, 3, 3, 3])
    """
    return _ranked("median_filter", input, lambda n: n // 2, size, footprint, output, mode, cval, origin, axes)


@implements("scipy.ndimage")
def percentile_filter(
    input: Any, percentile: float, size: Any = None, footprint: Any = None, output: Any = None, mode: Any = "reflect",
    cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Percentiles of boxes, as `scipy.ndimage.percentile_filter`; traced without `footprint`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.percentile_filter(np.array([1, 4, 2, 0, 3]), 50, 3)
    Array([1, 2, 2, 2, 3])
    """
    if not -100 <= percentile <= 100:
        raise ArgumentError(f"percentile_filter takes a percentile from -100 to 100, got {percentile}")
    part = percentile + 100 if percentile < 0 else percentile
    rank = lambda n: n - 1 if part == 100 else int(n * part / 100)
    return _ranked("percentile_filter", input, rank, size, footprint, output, mode, cval, origin, axes)
