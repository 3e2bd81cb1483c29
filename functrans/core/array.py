"""The concrete array: an `np.ndarray` that also has `.at[...]` and what else JAX's arrays offer.

Every library takes it without a copy. `wrap` turns what NumPy returns into one; methods that need the layers above
(`.at`, indexing by tracers) are installed by `functrans.numpy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.avals import SMALL_FLOATS, bfloat16
from functrans.core.trace import Tracer


class _ArrayType(type):
    """Makes `isinstance(x, Array)` true of tracers too: inside a transformed function they are the arrays."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or isinstance(instance, Tracer)


class Array(np.ndarray, metaclass=_ArrayType):
    """An `np.ndarray` with functional updates: `x.at[i].set(v)`.

    >>> import functrans.numpy as fnp
    >>> fnp.zeros(3).at[1].set(5.0)
    Array([0., 5., 0.])
    """

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if self.dtype.kind == "V" and context is not None:
            array = in_small_floats(context[0], context[1][: context[0].nin], array)
        return array if type(array) is Array else array.view(Array)

    def __hash__(self) -> int:  # type: ignore[override]
        """That of the number in an array without axes: elements of arrays, as iteration gives them, can be in sets."""
        if self.ndim:
            raise TypeError("unhashable type: an array with axes")
        return hash(self.item())

    def __repr__(self) -> str:
        if self.dtype.kind != "V":
            return super().__repr__()
        # bfloat16 and float0: NumPy would take each element for an Array
        text = repr(np.asarray(self)).replace("dtype(bfloat16)", "bfloat16")  # as ml_dtypes 0.7 has it
        return "Array" + text.removeprefix("array")

    def __str__(self) -> str:
        return super().__str__() if self.dtype.kind != "V" else str(np.asarray(self))

    def block_until_ready(self) -> Array:
        """This array: results are ready when they are returned."""
        return self

    @property
    def weak_type(self) -> bool:
        return False


def in_small_floats(function: Any, args: Sequence[Any], out: Any) -> Any:
    """What a function gave in a larger float, in the small float of which all arrays among its operands are.

    Functions of SciPy's have no loops for small floats, they give float32 or float64. ml_dtypes has NumPy take Python's
    floats beside bfloat16 for float32, where they are weak beside arrays of other dtypes.
    """
    if out.dtype.char not in "fd":
        return out
    own = None
    for a in args[:1] if function is np.ldexp else args:  # its exponents are integers
        if isinstance(a, (np.ndarray, np.generic)):
            if a.dtype.itemsize != 2 or a.dtype not in SMALL_FLOATS or own not in (None, a.dtype):
                return out  # nearly always
            own = a.dtype
    if own is None:
        return out
    if own == bfloat16 and any(type(a) is float for a in args):
        out = function(*[bfloat16.type(a) if type(a) in (int, float) else a for a in args])
    return wrap(np.asarray(out).astype(own))


def wrap(value: Any) -> Any:
    """What NumPy returned (an array or a scalar) as an `Array`, without a copy."""
    if type(value) is Array:
        return value
    return np.asarray(value).view(Array)


def as_array(value: Any) -> Any:
    """NumPy's arrays and scalars as `Array`s; anything else as it is."""
    return wrap(value) if isinstance(value, (np.ndarray, np.generic)) else value


def plain(value: Any) -> Any:
    """An `Array` as NumPy's own array, whose operators take half the time; anything else as it is."""
    return value.view(np.ndarray) if type(value) is Array else value


def asarray_scalar(value: Any) -> Any:
    """A NumPy scalar, for literals."""
    return np.asarray(value)[()]
