"""Values of an image between its elements, by splines.

An image is turned into coefficients of B-splines by recursive filters along each axis, forward and backward, one pair
for each pole (M. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing Magazine 16,
1999); a value is the sum of the coefficients around it times the splines there.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.api import vmap
from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, ShapeError
from functrans.numpy.dispatch import normalize_axis
from functrans.scipy.dispatch import implements
from functrans.scipy.ndimage.boundaries import check_mode, output_dtype, wide, within

#: The poles of the filters, by the order of the splines.
_POLES: dict[int, list[float]] = {
    2: [math.sqrt(8) - 3],
    3: [math.sqrt(3) - 2],
    4: [
        math.sqrt(664 - math.sqrt(438976)) + math.sqrt(304) - 19,
        math.sqrt(664 + math.sqrt(438976)) - math.sqrt(304) - 19,
    ],
    5: [
        math.sqrt(67.5 - math.sqrt(4436.25)) + math.sqrt(26.25) - 6.5,
        math.sqrt(67.5 + math.sqrt(4436.25)) - math.sqrt(26.25) - 6.5,
    ],
}

#: How coefficients go on beyond the edges, by the mode.
_EXTENSION = {
    "reflect": "reflect", "grid-mirror": "reflect", "nearest": "reflect", "grid-wrap": "grid-wrap",
}  # fmt: skip
#: The elements that are added at the edges where a mode has no exact filter.
_MARGIN = 12


def _check_order(name: str, order: Any) -> int:
    order = operator.index(order)
    if not 0 <= order <= 5:
        raise ArgumentError(f"{name} takes splines of order 0 to 5, got {order}")
    return order


def _tail(n: int, z: float, extension: str) -> np.ndarray:
    """Weights of the samples in the sum of `z**k x[-k]` over all `k >= 0`, of the image that goes on for ever."""
    period = {"mirror": max(2 * n - 2, 1), "reflect": 2 * n, "grid-wrap": n}[extension]
    k = np.arange(period)
    weights = np.zeros(n)
    np.add.at(weights, within(-k, n, extension), z**k)
    return weights / (1 - z**period)


def _filtered(x: Any, order: int, mode: str) -> Any:
    """The coefficients of the splines along the first axis."""
    n = aval_of(x).shape[0]
    if n <= 1 or order < 2:
        return x
    extension = _EXTENSION.get(mode, "mirror")
    for z in _POLES[order]:
        gain = (1 - z) * (1 - 1 / z)

        def step(before: Any, u: Any, z: float = z) -> Any:
            out = u + z * before
            return out, out

        first = fnp.tensordot(_tail(n, z, extension), x, 1)
        _, ahead = lax.scan(step, first, x[1:])
        ahead = fnp.concatenate([first[None], ahead])
        if extension == "mirror":
            last = z / (z * z - 1) * (ahead[-1] + z * ahead[-2])
        elif extension == "reflect":
            last = z / (z - 1) * ahead[-1]
        else:
            weights = -z * np.concatenate([z ** np.arange(1, n), [1.0]]) / (1 - z**n)
            last = fnp.tensordot(weights, ahead, 1)

        def back(after: Any, u: Any, z: float = z) -> Any:
            out = z * (after - u)
            return out, out

        _, behind = lax.scan(back, last, ahead[:-1], reverse=True)
        x = gain * fnp.concatenate([behind, last[None]])
    return x


@implements("scipy.ndimage")
def spline_filter1d(input: Any, order: int = 3, axis: int = -1, output: Any = np.float64, mode: str = "mirror") -> Any:
    """The coefficients of splines through an image's elements along one axis, as `scipy.ndimage.spline_filter1d`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.spline_filter1d(np.ones(3))
    Array([1., 1., 1.])
    """
    name = "spline_filter1d"
    check_mode(name, mode)
    x, dtype = wide(name, input)
    order = _check_order(name, order)
    axis = normalize_axis(axis, aval_of(x).ndim)
    out = fnp.moveaxis(_filtered(fnp.moveaxis(x, axis, 0), order, mode), 0, axis)
    return out.astype(_spline_dtype(name, output, dtype))


def _spline_dtype(name: str, output: Any, dtype: np.dtype) -> np.dtype:
    found = output_dtype(name, output, dtype)
    return np.result_type(found, np.complex64) if dtype.kind == "c" and found.kind != "c" else found


@implements("scipy.ndimage")
def spline_filter(input: Any, order: int = 3, output: Any = np.float64, mode: str = "mirror") -> Any:
    """The coefficients of the splines through an image's elements, as `scipy.ndimage.spline_filter`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.spline_filter(np.ones(3))
    Array([1., 1., 1.])
    """
    name = "spline_filter"
    check_mode(name, mode)
    x, dtype = wide(name, input)
    order = _check_order(name, order)
    for axis in range(aval_of(x).ndim):
        x = fnp.moveaxis(_filtered(fnp.moveaxis(x, axis, 0), order, mode), 0, axis)
    return x.astype(_spline_dtype(name, output, dtype))


def _weights(t: Any, order: int) -> list[Any]:
    """The B-splines that are not zero at `t`, in [0, 1) between two knots (recursion of Cox and de Boor)."""
    found: list[Any] = [fnp.ones_like(t)]
    for p in range(1, order + 1):
        zero = fnp.zeros_like(t)
        below, above = [zero, *found], [*found, zero]
        found = [((t + (p - j)) * b + (1 + j - t) * a) / p for j, (b, a) in enumerate(zip(below, above))]
    return found


def _values(x: Any, coordinates: Sequence[Any], order: int, mode: str, cval: Any, prefilter: bool) -> Any:
    """The values at coordinates of one shape, in float64; `x` is real."""
    shape = aval_of(x).shape
    outside: Any = None
    margin = _MARGIN if prefilter and order > 1 and mode in ("nearest", "grid-constant") else 0
    if margin and mode == "nearest":
        x = fnp.pad(x, margin, "edge")
    elif margin:
        x = fnp.pad(x, margin, "constant", constant_values=cval)
    if prefilter and order > 1:
        for axis in range(len(shape)):
            x = fnp.moveaxis(_filtered(fnp.moveaxis(x, axis, 0), order, mode), 0, axis)
    weights, indices, beyond = [], [], []
    for axis, c in enumerate(coordinates):
        n = aval_of(x).shape[axis]
        if mode == "constant":
            out = (c < 0) | (c > n - 1)
            outside = out if outside is None else outside | out
            c = fnp.where(out, 0, c)
        elif mode == "wrap":  # whose period SciPy takes to be n - 1
            c = fnp.where((c < 0) | (c > n - 1), fnp.remainder(c, max(n - 1, 1)), c)
        elif mode == "nearest":
            c = fnp.clip(c + margin, 0, n - 1)
        elif mode == "mirror" and order == 0:  # for ties at the edges
            c = fnp.remainder(fnp.abs(c), max(2 * n - 2, 1))
            c = fnp.where(c >= n, 2 * n - 2 - c, c)
        else:
            c = c + margin
        start = fnp.floor(c + (0.5 if order % 2 == 0 else 0.0))
        t = c - start + (0.5 if order % 2 == 0 else 0.0)
        index = start.astype(np.int64)[..., None] + np.arange(-(order // 2), order - order // 2 + 1)
        if mode == "grid-constant":
            beyond.append((index < 0) | (index >= n))
            index = fnp.clip(index, 0, n - 1)
        else:
            index = within(index, n, "mirror" if mode in ("constant", "wrap") else mode)
        place = [1] * len(shape)
        place[axis] = order + 1
        spread = (*aval_of(c).shape, *place)
        weights.append(fnp.reshape(fnp.stack(_weights(t, order), axis=-1), spread))
        indices.append(fnp.reshape(index, spread))
        if mode == "grid-constant":
            beyond[-1] = fnp.reshape(beyond[-1], spread)
    # one index array for each axis, and behind the coordinates' axes the splines along each
    around = x[tuple(indices)]
    for b in beyond:
        around = fnp.where(b, cval, around)
    for w in weights:
        around = around * w
    ndim = len(aval_of(coordinates[0]).shape)
    out = fnp.sum(around, axis=tuple(range(ndim, ndim + len(shape))))
    return out if outside is None else fnp.where(outside, cval, out)


def _interpolated(
    name: str, input: Any, coordinates: Sequence[Any], output: Any, order: Any, mode: str, cval: Any, prefilter: bool
) -> Any:
    check_mode(name, mode)
    mode = "reflect" if mode == "grid-mirror" else mode
    order = _check_order(name, order)
    x, dtype = wide(name, input)
    dtype = _spline_dtype(name, output, dtype)
    if not aval_of(x).ndim:
        raise ShapeError(f"{name} takes an image of one dimension or more, got a scalar")
    if 0 in aval_of(x).shape:
        raise ShapeError(f"{name} takes an image with elements, got shape {aval_of(x).shape}")
    cval = fnp.asarray(cval)
    if aval_of(x).dtype.kind == "c":
        parts = zip((fnp.real(x), fnp.imag(x)), (fnp.real(cval), fnp.imag(cval)))
        real, imag = (_values(part, coordinates, order, mode, c, prefilter) for part, c in parts)
        return (real + 1j * imag).astype(dtype)
    out = _values(x, coordinates, order, mode, cval.astype(np.float64), prefilter)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        out = fnp.clip(fnp.trunc(out + fnp.copysign(0.5, out)), limits.min, limits.max)
    return out.astype(dtype)


@implements("scipy.ndimage")
def map_coordinates(
    input: Any, coordinates: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:  # fmt: skip
    """Values of an image at coordinates, by splines, as `scipy.ndimage.map_coordinates`.

    Args:
        input: the image, of `d` dimensions.
        coordinates: of shape `(d, ...)`: for each result one coordinate along each axis, in elements.
        output: the dtype of the result, that of the image by default. Integers are rounded.
        order: of the splines, 0 to 5: 0 the nearest element, 1 linear, 3 cubic.
        mode: what lies beyond the edges, as for `correlate1d`. The mode `"constant"` is `cval` wherever a coordinate
            lies outside, `"grid-constant"` only beyond the next elements; `"wrap"` has a period of one element less
            than the axis, `"grid-wrap"` that of the axis.
        cval: the constant.
        prefilter: whether the image is to be turned into coefficients of splines first; `False` if it is that already.

    Returns:
        An array with the shape of `coordinates` less its first axis. It has derivatives by image and coordinates.

    In the mode `"reflect"` SciPy's splines of order 2 and more miss the elements of axes shorter than 20, by up to
    1e-4; those of traced arrays do not.

    Raises:
        ArgumentError: another order or mode. ShapeError: `coordinates` does not fit the image.

    >>> import functrans as ft, numpy as np
    >>> image = np.arange(9.0).reshape(3, 3)
    >>> ft.jit(lambda c: ft.scipy.ndimage.map_coordinates(image, c, order=1))(np.array([[0.5], [1.0]]))
    Array([2.5])
    """
    name = "map_coordinates"
    ndim = aval_of(fnp.asarray(input)).ndim
    if isinstance(coordinates, (list, tuple)):
        coordinates = fnp.stack(fnp.broadcast_arrays(*coordinates))
    coordinates = fnp.asarray(coordinates)
    shape = aval_of(coordinates).shape
    if not shape or shape[0] != ndim:
        raise ShapeError(f"{name} takes coordinates of shape ({ndim}, ...) for an image of {ndim} axes, got {shape}")
    coordinates = coordinates.astype(np.float64)
    return _interpolated(name, input, [coordinates[i] for i in range(ndim)], output, order, mode, cval, prefilter)


def _numbers(name: str, what: str, value: Any, count: int) -> Any:
    value = fnp.asarray(value).astype(np.float64)
    if aval_of(value).shape not in ((), (count,)):
        raise ShapeError(f"{name} takes {what} as a number or {count} of them, got shape {aval_of(value).shape}")
    return fnp.broadcast_to(value, (count,))


def _grid(shape: Sequence[int], axis: int) -> np.ndarray:
    """The indices along an axis, to broadcast against the others."""
    return np.arange(shape[axis], dtype=np.float64).reshape([-1 if a == axis else 1 for a in range(len(shape))])


@implements("scipy.ndimage")
def shift(
    input: Any, shift: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True,
) -> Any:  # fmt: skip
    """The image moved along its axes, by splines, as `scipy.ndimage.shift`; arguments as for `map_coordinates`.

    >>> import functrans as ft, numpy as np
    >>> ft.jit(lambda s: ft.scipy.ndimage.shift(np.arange(4.0), s, order=1))(0.5)
    Array([0. , 0.5, 1.5, 2.5])
    """
    shape = aval_of(fnp.asarray(input)).shape
    moved = _numbers("shift", "shift", shift, len(shape))
    grids = fnp.broadcast_arrays(*[_grid(shape, a) - moved[a] for a in range(len(shape))])
    return _interpolated("shift", input, grids, output, order, mode, cval, prefilter)


@implements("scipy.ndimage")
def affine_transform(
    input: Any, matrix: Any, offset: Any = 0.0, output_shape: Any = None, output: Any = None, order: int = 3,
    mode: str = "constant", cval: Any = 0.0, prefilter: bool = True,
) -> Any:  # fmt: skip
    """The image at `matrix @ index + offset` for each index of the result, as `scipy.ndimage.affine_transform`.

    Args:
        input: the image, of `d` dimensions.
        matrix: of shape `(d, d)`, `(d,)` for a diagonal one, or `(d, d + 1)` or `(d + 1, d + 1)` with the offset as
            last column.
        offset: a number, or one for each axis.
        output_shape: the shape of the result, that of the image by default.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.affine_transform(np.arange(4.0), [1.0], offset=1, order=1)
    Array([1., 2., 3., 0.])
    """
    name = "affine_transform"
    ndim = aval_of(fnp.asarray(input)).ndim
    shape = aval_of(fnp.asarray(input)).shape if output_shape is None else tuple(map(operator.index, output_shape))
    matrix = fnp.asarray(matrix).astype(np.float64)
    given = aval_of(matrix).shape
    if given in ((ndim, ndim + 1), (ndim + 1, ndim + 1)):
        matrix, offset = matrix[:ndim, :ndim], matrix[:ndim, ndim]
    elif given == (ndim,):
        matrix = fnp.diag(matrix)
    if aval_of(matrix).shape != (ndim, len(shape)):
        raise ShapeError(f"{name} takes a matrix of shape ({ndim}, {len(shape)}) or with the offset in it, got {given}")
    offset = _numbers(name, "offset", offset, ndim)
    grids = [sum((matrix[i, j] * _grid(shape, j) for j in range(len(shape))), offset[i]) for i in range(ndim)]
    return _interpolated(name, input, fnp.broadcast_arrays(*grids), output, order, mode, cval, prefilter)


@implements("scipy.ndimage")
def zoom(
    input: Any, zoom: Any, output: Any = None, order: int = 3, mode: str = "constant", cval: Any = 0.0,
    prefilter: bool = True, *, grid_mode: bool = False,
) -> Any:  # fmt: skip
    """The image with other sizes, by splines, as `scipy.ndimage.zoom`; the factors are static.

    Args:
        input: the image.
        zoom: the factor of all sizes, or one for each axis.
        grid_mode: whether elements are areas, whose outer edges stay, or points, the outermost of which stay.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.zoom(np.array([0.0, 1.0, 2.0]), 2, order=1)
    Array([0. , 0.4, 0.8, 1.2, 1.6, 2. ])
    """
    name = "zoom"
    if isinstance(zoom, Tracer):
        raise ArgumentError("zoom takes plain numbers as factors: they give the shape of the result")
    old = aval_of(fnp.asarray(input)).shape
    factors = np.broadcast_to(np.asarray(zoom, float), (len(old),)) if np.size(zoom) in (1, len(old)) else None
    if factors is None:
        raise ShapeError(f"{name} takes a factor or {len(old)} of them, got {np.size(zoom)}")
    shape = tuple(round(n * f) for n, f in zip(old, factors.tolist()))
    grids = []
    for axis, (n, m) in enumerate(zip(old, shape)):
        index = _grid(shape, axis)
        if grid_mode:
            index = (index + 0.5) * (n / m) - 0.5
        else:
            index = index * ((n - 1) / (m - 1) if m > 1 else 1.0)
            index = np.where(np.isclose(index, n - 1, rtol=1e-15, atol=0), n - 1, index)
        grids.append(index)
    return _interpolated(name, input, fnp.broadcast_arrays(*grids), output, order, mode, cval, prefilter)


@implements("scipy.ndimage")
def rotate(
    input: Any, angle: Any, axes: Sequence[int] = (1, 0), reshape: bool = True, output: Any = None, order: int = 3,
    mode: str = "constant", cval: Any = 0.0, prefilter: bool = True,
) -> Any:  # fmt: skip
    """The image turned in the plane of two axes, by splines, as `scipy.ndimage.rotate`.

    Args:
        input: the image, of two dimensions or more.
        angle: in degrees; traced, it needs `reshape=False`.
        axes: the plane.
        reshape: whether the result is as large as the turned image.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.rotate(np.array([[1.0, 2.0], [3.0, 4.0]]), 90, order=0)
    Array([[2., 4.],
           [1., 3.]])
    """
    name = "rotate"
    shape = list(aval_of(fnp.asarray(input)).shape)
    if len(shape) < 2:
        raise ShapeError(f"{name} takes an image of two dimensions or more, got shape {tuple(shape)}")
    if len(axes) != 2:
        raise ArgumentError(f"{name} takes two axes, got {tuple(axes)}")
    first, second = sorted(normalize_axis(a, len(shape)) for a in axes)
    if isinstance(angle, Tracer):
        if reshape:
            raise ArgumentError("rotate by a traced angle takes reshape=False: the shape of the result is static")
        radians = fnp.multiply(angle, np.pi / 180)
        c, s = fnp.cos(radians), fnp.sin(radians)
    else:
        from scipy import special

        c, s = special.cosdg(angle), special.sindg(angle)
    plane = [shape[first], shape[second]]
    if reshape:
        ends = np.array([[c, s], [-s, c]]) @ [[0, 0, plane[0], plane[0]], [0, plane[1], 0, plane[1]]]
        shape[first], shape[second] = (int(v + 0.5) for v in np.ptp(ends, axis=1))
    i, j = (_grid(shape, a) - (shape[a] - 1) / 2 for a in (first, second))
    grids = [_grid(shape, a) for a in range(len(shape))]
    grids[first] = c * i + s * j + (plane[0] - 1) / 2
    grids[second] = -s * i + c * j + (plane[1] - 1) / 2
    if len(shape) == 2:
        return _interpolated(name, input, fnp.broadcast_arrays(*grids), output, order, mode, cval, prefilter)
    x = fnp.moveaxis(fnp.asarray(input), (first, second), (-2, -1))
    rows = fnp.reshape(x, (-1, *plane))
    others = tuple(a for a in range(len(shape)) if a not in (first, second))
    planes = [fnp.squeeze(g, others) for g in (grids[first], grids[second])]
    turned = vmap(
        lambda row: _interpolated(name, row, fnp.broadcast_arrays(*planes), output, order, mode, cval, prefilter)
    )(rows)
    out = fnp.reshape(turned, (*aval_of(x).shape[:-2], shape[first], shape[second]))
    return fnp.moveaxis(out, (-2, -1), (first, second))
