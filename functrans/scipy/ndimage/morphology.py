"""Grey morphology, as in `scipy.ndimage`: extremes of neighbourhoods, and what is made of them.

A neighbourhood is a box (`size`), the places of a mask (`footprint`), or these with heights that are taken off or added
(`structure`, which may be traced and differentiated). Derivatives are those of the elements that are the extremes.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.numpy.dispatch import known
from functrans.scipy.dispatch import implements
from functrans.scipy.ndimage.boundaries import output_dtype
from functrans.scipy.ndimage.filters import _axes, _per_axis, _windows, maximum_filter, minimum_filter

_implements = implements("scipy.ndimage")


def _neighbourhood(name: str, size: Any, footprint: Any, structure: Any, count: int) -> tuple[np.ndarray, Any]:
    """The mask, which is static, and the heights or None."""
    if footprint is not None:
        mask = known(footprint)
        if mask is None:
            raise ArgumentError(f"{name} takes a plain footprint: which elements there are is static")
        mask = mask.astype(bool)
    elif structure is not None:
        mask = np.ones(aval_of(fnp.asarray(structure)).shape, bool)
    elif size is not None:
        mask = np.ones(tuple(map(operator.index, _per_axis(name, "a size", size, count))), bool)
    else:
        raise ArgumentError(f"{name} takes size=, footprint= or structure=")
    heights = None if structure is None else fnp.asarray(structure).astype(np.float64)
    if mask.ndim != count or (heights is not None and aval_of(heights).shape != mask.shape):
        raise ShapeError(f"{name} takes a neighbourhood of {count} axes, and heights of its shape, got {mask.shape}")
    if not mask.any():
        raise ArgumentError(f"{name} takes a footprint that is not empty")
    return mask, heights


def _extreme(
    name: str, input: Any, size: Any, footprint: Any, structure: Any, output: Any, mode: Any, cval: Any, origin: Any,
    axes: Any, largest: bool,
) -> Any:  # fmt: skip
    x = fnp.asarray(input)
    dtype = aval_of(x).dtype
    if dtype.kind == "c":
        raise DTypeError(f"{name} takes a real image, got {dtype}")
    found = _axes(axes, aval_of(x).ndim)
    mask, heights = _neighbourhood(name, size, footprint, structure, len(found))
    origins = [operator.index(o) for o in _per_axis(name, "an origin", origin, len(found))]
    if largest:  # the neighbourhood turned round its centre
        mask = np.flip(mask)
        heights = None if heights is None else fnp.flip(heights)
        origins = [-o - (n % 2 == 0) for o, n in zip(origins, mask.shape)]
    if heights is None and mask.all():
        box = maximum_filter if largest else minimum_filter
        return box(x, mask.shape, output=output, mode=mode, cval=cval, origin=origins, axes=found)
    places = (..., *np.nonzero(mask))
    wide = x if heights is None else x.astype(np.float64)
    values = _windows(name, wide, found, mask.shape, origins, mode, cval)[places]
    if heights is not None:
        values = values + heights[places] if largest else values - heights[places]
    out = fnp.max(values, -1) if largest else fnp.min(values, -1)
    return out.astype(output_dtype(name, output, dtype))


@_implements
def grey_erosion(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The smallest element of each neighbourhood, less its height there, as `scipy.ndimage.grey_erosion`.

    Args:
        input: a real array.
        size: the sizes of a box, or one for all axes.
        footprint: a mask of booleans, for neighbourhoods that are no boxes.
        structure: heights, of the mask's shape.
        output: a dtype for the result.
        mode, cval: what lies beyond the edges, one for all axes or one for each.
        origin: where a neighbourhood lies around its element, 0 for centred.
        axes: the axes that are filtered, all by default.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.grey_erosion(np.array([1.0, 4.0, 2.0, 5.0]), 3)
    Array([1., 1., 2., 2.])
    """
    return _extreme("grey_erosion", input, size, footprint, structure, output, mode, cval, origin, axes, False)


@_implements
def grey_dilation(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The largest element of each neighbourhood, with its height there, as `scipy.ndimage.grey_dilation`.

    The arguments are those of `grey_erosion`; the neighbourhood is turned round its centre.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.grey_dilation(np.array([1.0, 4.0, 2.0, 5.0]), structure=np.array([0.5, 0.0, 0.5]))
    Array([4.5, 4. , 5.5, 5.5])
    """
    return _extreme("grey_dilation", input, size, footprint, structure, output, mode, cval, origin, axes, True)


@_implements
def grey_opening(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Erosion, then dilation: without small bright things; `scipy.ndimage.grey_opening`; arguments: `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.grey_opening(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([1., 2., 2., 5., 5.])
    """
    eroded = grey_erosion(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_dilation(eroded, size, footprint, structure, output, mode, cval, origin, axes=axes)


@_implements
def grey_closing(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Dilation, then erosion: without small dark things; `scipy.ndimage.grey_closing`; arguments: `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.grey_closing(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([4., 4., 4., 5., 5.])
    """
    dilated = grey_dilation(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return grey_erosion(dilated, size, footprint, structure, output, mode, cval, origin, axes=axes)


@_implements
def morphological_gradient(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Dilation less erosion, as `scipy.ndimage.morphological_gradient`; arguments: `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.morphological_gradient(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([3., 3., 3., 3., 0.])
    """
    ends = [f(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
            for f in (grey_dilation, grey_erosion)]  # fmt: skip
    return _finished("morphological_gradient", ends[0] - ends[1], output)


@_implements
def morphological_laplace(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """Dilation and erosion less twice the image, as `scipy.ndimage.morphological_laplace`; see `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.morphological_laplace(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([ 3., -3.,  3., -3.,  0.])
    """
    ends = [f(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
            for f in (grey_dilation, grey_erosion)]  # fmt: skip
    return _finished("morphological_laplace", ends[0] + ends[1] - input - input, output)


@_implements
def white_tophat(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The image less its opening: small bright things, as `scipy.ndimage.white_tophat`; see `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.white_tophat(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([0., 2., 0., 0., 0.])
    """
    opened = grey_opening(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return _finished("white_tophat", _less(input, opened), output)


@_implements
def black_tophat(
    input: Any, size: Any = None, footprint: Any = None, structure: Any = None, output: Any = None,
    mode: Any = "reflect", cval: Any = 0.0, origin: Any = 0, *, axes: Any = None,
) -> Any:  # fmt: skip
    """The closing less the image: small dark things, as `scipy.ndimage.black_tophat`; see `grey_erosion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.ndimage.black_tophat(np.array([1.0, 4.0, 2.0, 5.0, 5.0]), 2)
    Array([3., 0., 2., 0., 0.])
    """
    closed = grey_closing(input, size, footprint, structure, None, mode, cval, origin, axes=axes)
    return _finished("black_tophat", _less(closed, input), output)


def _less(x: Any, y: Any) -> Any:
    return fnp.logical_xor(x, y) if aval_of(x).dtype.kind == "b" else x - y


def _finished(name: str, x: Any, output: Any) -> Any:
    return x.astype(output_dtype(name, output, aval_of(x).dtype))
