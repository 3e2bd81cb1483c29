"""Two pytrees of arrays side by side: whether they agree, and the first place where they do not, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import aval_of, float0, float_info, is_inexact
from functrans.core.pytree import flatten, key_paths, keystr

Noise = Callable[[], Iterable[Any]]


def tolerance(dtype: np.dtype) -> float:
    """128 units in the last place, relative to the largest element: what reordering a computation may cost.

    Compiled and batched programs add in another order, fuse a product with a sum and call other implementations of
    `exp` than NumPy; each step of a function moves its result by an ulp or so. A hundred such steps stay below this,
    a wrong rule does not. What ill-conditioned functions need beyond it, `difference` measures.
    """
    return 128 * float(float_info(dtype).eps) if is_inexact(dtype) else 0.0


def difference(
    found: Any, expected: Any, rtol: float | None = None, atol: float | None = None, noise: Noise | None = None
) -> str | None:
    """The first difference of two pytrees, in words; `None` where structure, shapes, dtypes and values agree.

    Args:
        found, expected: the pytrees; NaN equals NaN.
        rtol: allowed relative to the element; by default that of `tolerance`.
        atol: allowed beside; by default `rtol` times the largest finite element of the leaf, or times one if that is
            larger: values of ordinary size that cancel leave that much behind.
        noise: gives other evaluations of `expected`, at arguments a rounding error away; called when values disagree.
            Elements that these move by a comparable amount are ill-conditioned there, and say nothing.
    """
    leaves, tree = flatten(found)
    wanted, wanted_tree = flatten(expected)
    if tree != wanted_tree:
        return f"the result has structure {tree}, expected {wanted_tree}"
    others: list[list[Any]] | None = None
    for i, (path, f, e) in enumerate(zip(key_paths(tree), leaves, wanted)):
        f, e = np.asarray(f), np.asarray(e)
        place = f"result{keystr(path)}"
        if (f.shape, f.dtype) != (e.shape, e.dtype):
            return f"{place} is {aval_of(f)}, expected {aval_of(e)}"
        if e.dtype == float0 or not e.size:
            continue
        relative = tolerance(e.dtype) if rtol is None else rtol
        allowed = _allowed(e, relative, atol)
        wrong = ~_close(f, e, allowed)
        if wrong.any() and noise is not None:
            if others is None:
                others = [flatten(o)[0] for o in noise()]
            for other in others:
                o = np.asarray(other[i])
                wrong &= ~(np.not_equal(o, e) & ~_close(o, e, allowed / 16))
            if others:
                moved = np.max([_distance(np.asarray(o[i]), e) for o in others], axis=0)
                wrong &= ~_close(f, e, allowed + 32 * moved)
        if wrong.any():
            return _describe(place, f, e, wrong, allowed)
    return None


def _allowed(expected: np.ndarray, rtol: float, atol: float | None) -> np.ndarray:
    if not is_inexact(expected.dtype):
        return np.zeros(expected.shape)
    size = np.where(np.isfinite(expected), np.abs(expected), 0.0).astype(float)
    return rtol * size + (rtol * size.max(initial=1.0) if atol is None else atol)


def _distance(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How far apart elements are; zero where both are NaN or equal infinities, infinite where only one is."""
    if not is_inexact(expected.dtype):
        return np.where(found == expected, 0.0, np.inf)
    wide = np.result_type(expected.dtype, np.float64)
    with np.errstate(all="ignore"):
        apart = np.abs(found.astype(wide) - expected.astype(wide))
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        if expected.dtype.kind == "c":
            same |= _same_nonfinite(found.real, expected.real) & _same_nonfinite(found.imag, expected.imag)
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def _same_nonfinite(f: np.ndarray, e: np.ndarray) -> np.ndarray:
    return (f == e) | (np.isnan(f) & np.isnan(e))


def _close(found: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    return _distance(found, expected) <= allowed


def _describe(place: str, f: np.ndarray, e: np.ndarray, wrong: np.ndarray, allowed: np.ndarray) -> str:
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    at = f"{place}[{', '.join(map(str, index))}]" if index else place
    text = f"{at} is {number(f[index])}, expected {number(e[index])} ({e.dtype}"
    if is_inexact(e.dtype):
        text += f"; difference {_distance(f, e)[index]:.3g}, tolerance {allowed[index]:.3g}"
    text += ")"
    if wrong.size > 1:
        text += f"\n{int(wrong.sum())} of {wrong.size} elements differ"
    return text


def number(value: Any) -> str:
    """A scalar with all the digits that tell it from its neighbours."""
    return repr(value.item()) if value.dtype.itemsize >= 8 or not is_inexact(value.dtype) else str(value)


def show(names: Sequence[str], values: Sequence[Any], indent: str = "  ") -> str:
    """Named arrays, one a line."""
    lines = []
    for name, value in zip(names, values):
        array = np.asarray(value)
        with np.printoptions(threshold=60, edgeitems=3, linewidth=100):
            text = repr(array) if array.ndim else f"{number(array[()])} ({array.dtype})"
        head = f"{indent}{name} = "
        lines.append(head + text.replace("\n", "\n" + " " * len(head)))
    return "\n".join(lines)
