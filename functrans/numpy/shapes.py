"""What is known of an array without its values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from functrans.core.avals import aval_of
from functrans.core.trace import Tracer
from functrans.numpy.dispatch import named, normalize_axes


@named
def shape(a: Any) -> tuple[int, ...]:
    """The shape, as `numpy.shape`.

    >>> import functrans.numpy as fnp
    >>> fnp.shape([[1, 2]])
    (1, 2)
    """
    return aval_of(a).shape if isinstance(a, Tracer) else np.shape(a)


@named
def ndim(a: Any) -> int:
    """The number of axes, as `numpy.ndim`.

    >>> import functrans.numpy as fnp
    >>> fnp.ndim([[1, 2]])
    2
    """
    return len(shape(a))


@named
def size(a: Any, axis: int | tuple[int, ...] | None = None) -> int:
    """The number of elements, or those along axes, as `numpy.size`.

    >>> import functrans.numpy as fnp
    >>> fnp.size([[1, 2]])
    2
    """
    sizes = shape(a)
    return math.prod(sizes[i] for i in normalize_axes(axis, len(sizes)))


@named
def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex, as `numpy.iscomplexobj`.

    >>> import functrans.numpy as fnp
    >>> fnp.iscomplexobj([1j, 2]), fnp.iscomplexobj([1.0])
    (True, False)
    """
    return aval_of(x).dtype.kind == "c" if isinstance(x, Tracer) else np.iscomplexobj(x)


@named
def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex, as `numpy.isrealobj`.

    >>> import functrans.numpy as fnp
    >>> fnp.isrealobj([1j, 2]), fnp.isrealobj([1.0])
    (False, True)
    """
    return not iscomplexobj(x)


@named
def isscalar(element: Any) -> bool:
    """Whether it is a number or a string, and no array, as `numpy.isscalar`.

    >>> import functrans.numpy as fnp
    >>> fnp.isscalar(3.0), fnp.isscalar([3.0])
    (True, False)
    """
    return not isinstance(element, Tracer) and np.isscalar(element)


def array_repr(arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """The text of an array as Python shows it, as `numpy.array_repr`; of a traced one its type.

    >>> import functrans.numpy as fnp
    >>> fnp.array_repr(fnp.array([1.0, 2.0]))
    'Array([1., 2.])'
    """
    return repr(arr) if isinstance(arr, Tracer) else np.array_repr(arr, max_line_width, precision, suppress_small)


def array_str(a: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """The text of an array's elements, as `numpy.array_str`; of a traced one its type.

    >>> import functrans.numpy as fnp
    >>> fnp.array_str(fnp.array([1.0, 2.0]))
    '[1. 2.]'
    """
    return str(a) if isinstance(a, Tracer) else np.array_str(a, max_line_width, precision, suppress_small)
