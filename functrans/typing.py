"""Types for annotations, with the names of `jax.typing`.

>>> from functrans.typing import Array, ArrayLike
>>> def double(x: ArrayLike) -> Array:
...     return 2 * x
"""

from __future__ import annotations

from typing import TypeAlias, Union

import numpy as np
import numpy.typing as npt

from functrans.core.array import Array
from functrans.core.trace import Tracer

__all__ = ["Array", "ArrayLike", "DTypeLike"]

#: What functions take for an array: arrays, NumPy's arrays and scalars, Python's numbers. (Not lists.)
ArrayLike: TypeAlias = Union[Array, Tracer, np.ndarray, np.generic, bool, int, float, complex]  # noqa: UP007

#: What stands for a dtype: a dtype, a type of NumPy's or Python's, a name.
DTypeLike: TypeAlias = npt.DTypeLike
