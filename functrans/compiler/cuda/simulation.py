"""Kernel text in Numba's simulator: what it imports, in plain Python over NumPy's scalars.

The simulator runs a kernel's text as Python, a thread of Python for each thread of the grid. So the text is the one
that is compiled for a GPU; only its imports lead here. Memory checks every index, and the alignment of vectors.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core import threefry
from functrans.core.avals import bfloat16

_IMPORT = re.compile(r"^from (functrans\.compiler\.[\w.]+|numba\.types) import ", re.MULTILINE)
_LIBRARY = re.compile(r"^from (?:c?math) import (\w+) as (\w+)$", re.MULTILINE)


def translate(source: str) -> str:
    """The text of a kernel with its imports from this module, and with NumPy's warnings off, as a GPU has none."""
    text = _IMPORT.sub(f"from {__name__} import ", source)
    text = _LIBRARY.sub(rf"from {__name__} import \2", text)
    text = text.replace("def kernel(", "def _kernel(")
    return f"{text}\n\nfrom {__name__} import errstate\n\n{_QUIETLY}"


_QUIETLY = """
def kernel(*args):
    with errstate(all='ignore'):
        _kernel(*args)
"""


class Memory:
    """A buffer as a kernel's pointer."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray):
        self.array = array

    def __getitem__(self, index: Any) -> Any:
        return self.array[self._checked(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[self._checked(index)] = value

    def _checked(self, index: Any) -> Any:
        if not 0 <= index < len(self.array):
            raise IndexError(f"a kernel reads or writes element {index} of a buffer of {len(self.array)}")
        return index


# ---------------------------------------------------------------- device.py


def _loads(width: int) -> Callable[..., Any]:
    def load(memory: Memory, index: Any) -> Any:
        assert index % width == 0, "a vector that is not aligned"
        return tuple(memory[index + i] for i in range(width))

    return load


def _stores(width: int) -> Callable[..., Any]:
    def store(memory: Memory, index: Any, values: Any) -> None:
        assert index % width == 0, "a vector that is not aligned"
        for i in range(width):
            memory[index + i] = values[i]

    return store


load2, load4 = _loads(2), _loads(4)
store2, store4 = _stores(2), _stores(4)


def quotient32(x: Any, y: Any) -> Any:
    assert max(x, y) < 1 << 31
    return np.int64(x // y)


def _exchanged(value: Any) -> dict[int, Any]:
    """What the threads of this one's warp give, by lane."""
    thread: Any = threading.current_thread()
    box = thread._manager.__dict__.setdefault("functrans_exchange", {})
    at = thread.threadIdx.x, thread.threadIdx.y
    box[at] = value
    thread.syncthreads()
    warp = at[0] // 32
    seen = {x % 32: v for (x, y), v in box.items() if y == at[1] and x // 32 == warp}
    thread.syncthreads()
    return seen


def _lane() -> int:
    thread: Any = threading.current_thread()
    return thread.threadIdx.x % 32


def shuffle_xor(value: Any, mask: Any) -> Any:
    return _exchanged(value).get(_lane() ^ int(mask), value)


def shuffle_up(value: Any, distance: Any) -> Any:
    return _exchanged(value).get(_lane() - int(distance), value)


def _over_a_warp(combine: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    def reduction(value: Any) -> Any:
        seen = _exchanged(value)
        with np.errstate(all="ignore"):
            return functools.reduce(combine, [seen[lane] for lane in sorted(seen)])

    return reduction


warp_add, warp_mul = _over_a_warp(lambda x, y: x + y), _over_a_warp(lambda x, y: x * y)
warp_max, warp_min = _over_a_warp(np.maximum), _over_a_warp(np.minimum)
warp_and, warp_or = _over_a_warp(lambda x, y: x & y), _over_a_warp(lambda x, y: x | y)
warp_xor = _over_a_warp(lambda x, y: x ^ y)

_atomics = threading.Lock()


def _atomic(combine: Callable[[Any, Any], Any]) -> Callable[..., None]:
    def atomic(memory: Memory, index: Any, value: Any) -> None:
        with _atomics, np.errstate(all="ignore"):
            memory[index] = combine(memory[index], value)

    return atomic


atomic_add, atomic_mul = _atomic(lambda x, y: x + y), _atomic(lambda x, y: x * y)
atomic_max, atomic_min = _atomic(np.maximum), _atomic(np.minimum)

# ---------------------------------------------------------------- types and conversions


def _type(dtype: Any) -> Callable[[Any], Any]:
    kind = np.dtype(dtype)

    def convert(value: Any) -> Any:
        if type(value) is int and kind.kind in "iu":
            return np.array(value & (1 << 8 * kind.itemsize) - 1, f"u{kind.itemsize}").astype(kind)[()]
        return np.asarray(value).astype(kind)[()]

    convert.dtype = kind  # type: ignore[attr-defined]
    return convert


int8, int16, int32, int64 = map(_type, ("i1", "i2", "i4", "i8"))
uint8, uint16, uint32, uint64 = map(_type, ("u1", "u2", "u4", "u8"))
float32, float64, complex64, complex128, bool_ = map(_type, ("f4", "f8", "c8", "c16", "?"))


def half_to_float(bits: Any) -> Any:
    return np.float32(np.uint16(bits).view(np.float16))


def float_to_half(value: Any) -> Any:
    return np.float16(value).view(np.uint16)


def brain_to_float(bits: Any) -> Any:
    return np.uint32(int(bits) << 16).view(np.float32)


def float_to_brain(value: Any) -> Any:
    return np.float32(value).astype(bfloat16).view(np.uint16)


def bitcast(value: Any, to: Any) -> Any:
    return np.asarray(value)[()].view(to.dtype)


def float_to_uint64(value: Any) -> Any:
    return np.uint64(np.int64(value)) if value < 0 else np.asarray(value).astype(np.uint64)[()]


# ---------------------------------------------------------------- scalars.py and mathematics/

errstate = np.errstate


def where(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


select = where


def truth(value: Any) -> Any:
    return np.bool_(value != 0)


def threefry2x32(k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    words = [np.array([v]).astype(np.uint32) for v in (k0, k1, x0, x1)]
    high, low = threefry.threefry2x32(*words)
    return np.uint64((int(high[0]) << 32) | int(low[0]))


def unsigned_divide(x: Any, y: Any) -> Any:
    return np.int64(x // y)


def fma(x: Any, y: Any, z: Any) -> Any:
    return x * y + z


def divide(x: Any, y: Any) -> Any:
    return np.divide(x, y)


_NAMES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh", "acosh": "arccosh",
    "atanh": "arctanh", "pow": "power", "fabs": "fabs",
}  # fmt: skip
_SUFFIX = re.compile(r"_(?:[fiuc]\d+|bool)$")


def __getattr__(name: str) -> Any:
    from functrans.compiler import mathematics

    text = getattr(getattr(mathematics, name, None), "py_func", None)
    if text is not None:
        kind = np.float64 if name.endswith("64") else np.float32
        return lambda *args: text(*map(kind, args))
    if name.startswith("scipy_"):
        from scipy import special

        return _of_scalars(getattr(special, name.removeprefix("scipy_")))
    plain = _SUFFIX.sub("", name).removeprefix("math_").removeprefix("cmath_")
    plain = _NAMES.get(plain, plain)
    found = getattr(np, plain, None)
    if found is None:
        from scipy import special

        found = getattr(special, {"lgamma": "gammaln"}.get(plain, plain), None)
    if found is None:
        raise AttributeError(f"the simulator has no {name}")
    return _of_scalars(found)


def _of_scalars(function: Any) -> Callable[..., Any]:
    def scalar(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(function(*args))[()]

    return scalar
