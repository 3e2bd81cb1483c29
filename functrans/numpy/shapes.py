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


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype to which arrays, scalars and dtypes promote, as `numpy.result_type`."""
    from functrans.lax.elementwise import weak_type

    items = []
    for x in arrays_and_dtypes:
        if isinstance(x, Tracer):
            kind = weak_type(x)
            x = kind(0) if isinstance(kind, type) else kind
        items.append(x)
    return np.result_type(*items)
