"""Pytrees of arrays as vectors: what optimizers and linear algebra want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import aval_of
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ShapeError
from functrans.lax.conversion import convert_element_type
from functrans.lax.promotion import common_dtype
from functrans.lax.structural import concatenate, reshape, slice_in_dim

__all__ = ["ravel_pytree"]


def ravel_pytree(pytree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All leaves of a pytree as one vector, and the way back.

    Args:
        pytree: a pytree of arrays and numbers.

    Returns:
        `(vector, unravel)`: the vector has the dtype to which NumPy promotes the leaves' dtypes; `unravel(vector)` has
        the structure, shapes and dtypes of the pytree, and takes a vector of any dtype if the leaves have one dtype.

    >>> import numpy as np
    >>> from functrans.flatten_util import ravel_pytree
    >>> vector, unravel = ravel_pytree({"a": np.eye(2), "b": 3.0})
    >>> vector
    Array([1., 0., 0., 1., 3.])
    >>> unravel(2 * vector)["b"]
    Array(6.)
    """
    leaves, tree = flatten(pytree)
    avals = [aval_of(x) for x in leaves]
    dtype = common_dtype(*[a.dtype for a in avals]) if avals else np.dtype(float)
    parts = [reshape(convert_element_type(x, dtype), (a.size,)) for x, a in zip(leaves, avals)]
    vector = concatenate(parts, 0) if parts else wrap(np.zeros(0))
    if isinstance(vector, np.ndarray):
        vector = wrap(np.array(vector))
    one_dtype = all(a.dtype == dtype for a in avals)
    total = sum(a.size for a in avals)

    def unravel(vector: Any) -> Any:
        given = aval_of(vector)
        if given.shape != (total,):
            raise ShapeError(f"unravel takes a vector of {total} elements, got shape {given.shape}")
        out, position = [], 0
        for a in avals:
            part = reshape(slice_in_dim(vector, position, position + a.size), a.shape)
            out.append(part if one_dtype else convert_element_type(part, a.dtype))
            position += a.size
        return unflatten(tree, out)

    return vector, unravel
