"""What is known of an array without its values."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.avals import aval_of
from functrans.core.trace import Tracer


def shape(a: Any) -> tuple[int, ...]:
    """The shape, as `numpy.shape`."""
    return aval_of(a).shape if isinstance(a, Tracer) else np.shape(a)


def ndim(a: Any) -> int:
    """The number of axes, as `numpy.ndim`."""
    return len(shape(a))


def size(a: Any, axis: int | None = None) -> int:
    """The number of elements, or the size of an axis, as `numpy.size`."""
    return int(np.prod(shape(a), dtype=np.int64)) if axis is None else shape(a)[axis]


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex, as `numpy.iscomplexobj`."""
    return aval_of(x).dtype.kind == "c" if isinstance(x, Tracer) else np.iscomplexobj(x)


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex, as `numpy.isrealobj`."""
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether it is a number or a string, and no array, as `numpy.isscalar`."""
    return not isinstance(element, Tracer) and np.isscalar(element)


def array_repr(arr: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """The text of an array as Python shows it, as `numpy.array_repr`; of a traced one its type."""
    return repr(arr) if isinstance(arr, Tracer) else np.array_repr(arr, max_line_width, precision, suppress_small)


def array_str(a: Any, max_line_width: Any = None, precision: Any = None, suppress_small: Any = None) -> str:
    """The text of an array's elements, as `numpy.array_str`; of a traced one its type."""
    return str(a) if isinstance(a, Tracer) else np.array_str(a, max_line_width, precision, suppress_small)
