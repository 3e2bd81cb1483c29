"""Hypothesis strategies for arrays and pytrees: dtypes, shapes, values in a domain, special values, memory layouts.

Floats are drawn from a grid of sixteenths, which every float dtype holds exactly, so that failures shrink to numbers a
reader can follow; what a grid never meets (NaN, infinities, signed zeros, subnormals) is drawn on request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from functrans.core.avals import float_info
from functrans.errors import ArgumentError

__all__ = ["DOMAINS", "LAYOUTS", "SPECIAL", "arrays", "broadcastable_shapes", "dtypes", "pytrees", "scalars", "shapes"]

Domain = str | tuple[float, float]

#: Domains of floats by name, as closed intervals.
DOMAINS: dict[str, tuple[float, float]] = {
    "real": (-10.0, 10.0),
    "positive": (0.125, 10.0),
    "nonnegative": (0.0, 10.0),
    "unit": (-0.875, 0.875),
    "probability": (0.0625, 0.9375),
    "small": (-1.0, 1.0),
    "above one": (1.125, 10.0),
}
#: Special values by name.
SPECIAL = ("nan", "inf", "negative zero", "subnormal", "extreme")
#: Memory layouts by name; arrays in the last two cannot be written to.
LAYOUTS = ("C", "F", "strided", "reversed", "readonly", "broadcast")

_KINDS: dict[str, list[Any]] = {
    "b": [np.bool_],
    "i": [np.int8, np.int16, np.int32, np.int64],
    "u": [np.uint8, np.uint16, np.uint32, np.uint64],
    "f": [np.float64, np.float32],
    "h": [np.float16],
    "c": [np.complex128, np.complex64],
}


def dtypes(kinds: str = "fibuc") -> st.SearchStrategy[np.dtype]:
    """Dtypes of some kinds: `b` bool, `i` and `u` integers, `f` float64 and float32, `h` float16, `c` complex.

    >>> from hypothesis import given
    >>> from functrans.testing import dtypes
    >>> @given(dtypes("fc"))
    ... def test(dtype):
    ...     assert dtype.kind in "fc"
    >>> test()
    """
    unknown = set(kinds) - set(_KINDS)
    if unknown:
        raise ArgumentError(f"dtypes takes kinds among {''.join(_KINDS)!r}, got {kinds!r}")
    return st.sampled_from([np.dtype(t) for kind in kinds for t in _KINDS[kind]])


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes: 0-d, empty and ordinary ones.

    >>> from hypothesis import given
    >>> from functrans.testing import shapes
    >>> @given(shapes(min_dims=1, max_dims=2, min_side=1))
    ... def test(shape):
    ...     assert len(shape) in (1, 2)
    ...     assert 0 not in shape
    >>> test()
    """
    return st.lists(st.integers(min_side, max_side), min_size=min_dims, max_size=max_dims).map(tuple)


def broadcastable_shapes(
    count: int, max_dims: int = 3, min_side: int = 1, max_side: int = 4
) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    """Tuples of `count` shapes that NumPy broadcasts together.

    >>> import numpy as np
    >>> from hypothesis import given
    >>> from functrans.testing import broadcastable_shapes
    >>> @given(broadcastable_shapes(2))
    ... def test(shapes):
    ...     np.broadcast_shapes(*shapes)
    >>> test()
    """
    found = hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, min_side=min_side, max_side=max_side)
    return found.map(lambda both: both.input_shapes)


def scalars(
    dtype: Any = np.float64, domain: Domain = "real", *, exclude: Sequence[float] = (), special: Any = False
) -> st.SearchStrategy[Any]:
    """NumPy scalars of a dtype, in a domain; arguments are those of `arrays`.

    >>> from hypothesis import given
    >>> from functrans.testing import scalars
    >>> @given(scalars(domain="positive"))
    ... def test(x):
    ...     assert x > 0
    >>> test()
    """
    return arrays(dtype, (), domain, exclude=exclude, special=special, layouts=("C",)).map(lambda a: a[()])


@st.composite
def arrays(
    draw: st.DrawFn,
    dtype: Any = np.float64,
    shape: Any = None,
    domain: Domain = "real",
    *,
    exclude: Sequence[float] = (),
    special: bool | Sequence[str] = False,
    unique: bool = False,
    layouts: Sequence[str] = LAYOUTS,
) -> np.ndarray:
    """Arrays.

    Args:
        dtype: a dtype or a strategy of dtypes.
        shape: a shape or a strategy of shapes (`shapes()` by default).
        domain: where values lie: an interval, or one of `DOMAINS` by name. Integers lie in it too; unsigned ones in its
            nonnegative part. Real and imaginary parts of complex numbers both lie in it.
        exclude: values that do not occur, as the kinks of a function whose derivative is tested.
        special: `True`, or some of `SPECIAL`: values beyond the domain (for integers, the extremes of the dtype).
        unique: no two elements are equal.
        layouts: memory layouts to draw from: `C`, `F`, `strided` (every second element of a larger array), `reversed`
            (negative strides), `readonly`, `broadcast` (zero strides along the first axis).

    >>> from hypothesis import given
    >>> from functrans.testing import arrays
    >>> @given(arrays(shape=(3,), domain="positive"))
    ... def test(x):
    ...     assert (x > 0).all()
    >>> test()
    """
    dtype = np.dtype(draw(dtype) if isinstance(dtype, st.SearchStrategy) else dtype)
    if shape is None:
        shape = shapes()
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else tuple(shape)
    elements = _elements(dtype, _interval(domain), [float(v) for v in exclude], _special_names(special))
    values = draw(hnp.arrays(dtype, shape, elements=elements, fill=st.nothing(), unique=unique))
    usable = [name for name in layouts if name != "broadcast" or not unique]
    return laid_out(values, draw(st.sampled_from(usable)))


def _interval(domain: Domain) -> tuple[float, float]:
    if isinstance(domain, str):
        if domain not in DOMAINS:
            raise ArgumentError(f"no domain is called {domain!r}; there are {', '.join(DOMAINS)}, or give (low, high)")
        return DOMAINS[domain]
    low, high = domain
    if not low <= high:
        raise ArgumentError(f"a domain is an interval (low, high), got {domain!r}")
    return float(low), float(high)


def _special_names(special: bool | Sequence[str]) -> Sequence[str]:
    names = SPECIAL if special is True else special or ()
    if not set(names) <= set(SPECIAL):
        raise ArgumentError(f"special values are {', '.join(SPECIAL)}, got {names!r}")
    return names


def _elements(
    dtype: np.dtype, interval: tuple[float, float], exclude: Sequence[float], special: Sequence[str]
) -> st.SearchStrategy[Any]:
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        return _integers(dtype, interval, exclude, special)
    part = np.empty(0, dtype).real.dtype
    real: st.SearchStrategy[Any] = _grid(interval, exclude)
    if special:
        real = st.one_of(real, st.sampled_from(list(_special_floats(part, special))))
    return st.builds(complex, real, real) if dtype.kind == "c" else real


def _integers(
    dtype: np.dtype, interval: tuple[float, float], exclude: Sequence[float], special: Sequence[str]
) -> st.SearchStrategy[Any]:
    info = np.iinfo(dtype)
    low, high = max(int(info.min), math.ceil(interval[0])), min(int(info.max), math.floor(interval[1]))
    if low > high:
        raise ArgumentError(f"no {dtype} lies in the domain from {interval[0]:g} to {interval[1]:g}")
    found: st.SearchStrategy[Any] = st.integers(low, high)
    if "extreme" in special:
        found = st.one_of(found, st.sampled_from([int(info.max), int(info.min)]))
    return found.filter(lambda n: n not in exclude) if exclude else found


def _grid(interval: tuple[float, float], exclude: Sequence[float]) -> st.SearchStrategy[float]:
    """Multiples of a power of two, at least sixteen in the interval."""
    low, high = interval
    if low == high:
        return st.just(low)
    steps = 16.0 if high - low >= 1 else 2.0 ** math.ceil(math.log2(16 / (high - low)))
    grid = st.integers(math.ceil(low * steps), math.floor(high * steps)).map(lambda n: n / steps)
    return grid.filter(lambda x: x not in exclude) if exclude else grid


def _special_floats(dtype: np.dtype, names: Sequence[str]) -> Iterator[float]:
    info = float_info(dtype)
    values = {
        "nan": [math.nan],
        "inf": [math.inf, -math.inf],
        "negative zero": [0.0, -0.0],
        "subnormal": [float(info.smallest_subnormal), -float(info.smallest_subnormal)],
        "extreme": [float(info.max), -float(info.max), float(info.smallest_normal), float(info.eps)],
    }
    for name in names:
        yield from values[name]


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """The same values in another memory layout (for `broadcast`, those of the first row, repeated)."""
    if layout == "F":
        return np.array(values, order="F")
    if layout == "strided" and values.ndim:
        return np.repeat(values, 2, axis=-1)[..., ::2]
    if layout == "reversed" and values.ndim:
        return np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    if layout == "broadcast" and values.ndim and values.shape[0]:
        return np.broadcast_to(values[:1], values.shape)
    if layout == "readonly":
        values = values.copy()
        values.flags.writeable = False
    elif layout not in LAYOUTS:
        raise ArgumentError(f"no memory layout is called {layout!r}; there are {', '.join(LAYOUTS)}")
    return values


def pytrees(leaves: st.SearchStrategy[Any], max_leaves: int = 5) -> st.SearchStrategy[Any]:
    """Nests of tuples, lists and dicts with drawn leaves.

    >>> import functrans as ft
    >>> from hypothesis import given, strategies as st
    >>> from functrans.testing import pytrees
    >>> @given(pytrees(st.integers()))
    ... def test(tree):
    ...     leaves, structure = ft.tree.flatten(tree)
    ...     assert ft.tree.unflatten(structure, leaves) == tree
    >>> test()
    """
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.lists(inner, min_size=1, max_size=3).map(tuple),
            st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3),
        ),
        max_leaves=max_leaves,
    )
