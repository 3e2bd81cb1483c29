"""The memory of L-BFGS: the last steps and changes of the gradient, and the inverse Hessian that they imply.

Source: J. Nocedal and S. Wright, "Numerical Optimization" (2nd ed., 2006), algorithm 7.4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import float_info


class Memory(NamedTuple):
    """Steps and changes of the gradient, `(size, n)`, the newest last; 1 over their products, 0 for empty rows."""

    steps: Any
    changes: Any
    weights: Any


def empty(size: int, n: int, dtype: np.dtype) -> Memory:
    """A memory of `size` steps of `n` elements."""
    rows = fnp.zeros((size, n), dtype)
    return Memory(rows, rows, fnp.zeros(size, dtype))


def remember(memory: Memory, s: Any, y: Any, valid: Any = True) -> Memory:
    """The memory with one more step `s` and change `y`, in place of the oldest.

    Changes along which the gradient does not grow, which no convex function has, are left out.
    """
    product, square = fnp.dot(s, y), fnp.dot(y, y)
    convex = valid & (product > float_info(s.dtype).eps * square) & (square > 0)
    weight = 1 / fnp.where(convex, product, 1)
    rows = zip(memory, (s[None], y[None], weight[None]))
    return Memory(*(fnp.where(convex, fnp.concatenate([old[1:], new]), old) for old, new in rows))


def inverse_hessian_times(g: Any, memory: Memory, scaled: bool = True) -> Any:
    """The estimated inverse Hessian times a gradient, by the two loops over the memory.

    The estimate begins with the identity or, `scaled`, with a multiple of it that fits the last step (7.20), at the
    first step one that makes the result no longer than 1.
    """

    def newest_first(q: Any, row: Any) -> Any:
        s, y, weight = row
        alpha = weight * fnp.dot(s, q)
        return q - alpha * y, alpha

    def oldest_first(r: Any, row: Any) -> Any:
        s, y, weight, alpha = row
        return r + s * (alpha - weight * fnp.dot(y, r)), None

    q, alphas = lax.scan(newest_first, g, tuple(memory), reverse=True)
    if scaled:
        s, y = memory.steps[-1], memory.changes[-1]
        known = memory.weights[-1] > 0
        fitted = fnp.dot(s, y) / fnp.where(known, fnp.dot(y, y), 1)
        q = fnp.where(known, fitted, 1 / fnp.sqrt(fnp.maximum(fnp.dot(g, g), 1))) * q
    return lax.scan(oldest_first, q, (*memory, alphas))[0]
