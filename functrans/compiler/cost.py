"""What an equation costs: scalar operations, and bytes read and written.

Counts follow the algorithms, not the machine: an addition, a comparison and a sine are one operation each, moving
elements is none. Factorizations count by the leading terms of Golub & Van Loan, Matrix Computations (4th ed.: 3.2, 4.2,
5.2, 7.5, 8.3, 8.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, inner_jaxprs

#: Primitives that only move, convert or make elements.
MOVES = frozenset({
    "all_gather", "axis_index", "bitcast_convert_type", "broadcast_in_dim", "complex", "concatenate", "constant",
    "convert_element_type", "copy", "dynamic_slice", "dynamic_update_slice", "gather", "imag", "iota",
    "optimization_barrier", "pad", "positive", "real", "reshape", "rev", "scatter", "slice", "slide",
    "stop_gradient", "transpose",
})  # fmt: skip

#: Primitives that read of their first operand only what they return.
_READ_PART = frozenset({"slice", "dynamic_slice", "gather"})
#: Primitives that write only what their second operand replaces, which compiled programs do in place.
_WRITE_PART = frozenset({
    "dynamic_update_slice", "scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max",
})  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Scalar operations, and bytes read and written."""

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.flops * times, self.bytes * times)


def cost(eqn: Eqn) -> Cost:
    """The cost of one equation by itself; equations with inner jaxprs cost what these do.

    A `scan` costs its body times its length, a `while` one turn, a `cond` its dearest branch.
    """
    name, params = eqn.primitive.name, eqn.params
    inner = [jaxpr_cost(jaxpr) for _, jaxpr in inner_jaxprs(params)]
    if name == "cond":
        return max(inner, key=lambda c: (c.flops, c.bytes))
    if inner:
        return sum(inner, Cost()) * params.get("length", 1)
    return Cost(float(_flops(eqn)), float(_bytes(eqn)))


def jaxpr_cost(jaxpr: Jaxpr) -> Cost:
    """The sum over a jaxpr's equations."""
    return jaxpr.memoize("cost", lambda: sum(map(cost, jaxpr.eqns), Cost()))


def nbytes(atoms: Iterable[Atom]) -> int:
    """Bytes of some values; literals are part of the program's text."""
    return sum(a.aval.size * a.aval.dtype.itemsize for a in atoms if not isinstance(a, Literal))


def _bytes(eqn: Eqn) -> int:
    name = eqn.primitive.name
    if name in _READ_PART:
        return 2 * nbytes(eqn.outvars) + nbytes(eqn.inputs[1:])
    if name in _WRITE_PART:
        return nbytes(eqn.inputs[1:2]) + nbytes(eqn.inputs[1:])
    return nbytes(eqn.inputs) + nbytes(eqn.outvars)


def _flops(eqn: Eqn) -> float:
    name = eqn.primitive.name
    if name in MOVES:
        return 0
    if name in _COUNTS:
        return _COUNTS[name](eqn)
    operand = eqn.inputs[0].aval.size if eqn.inputs else 0
    out = max((v.aval.size for v in eqn.outvars), default=0)
    if eqn.primitive.reduction is not None or name in ("argmax", "argmin"):
        return max(operand - out, 0)
    return out


def _dot_general(eqn: Eqn) -> float:
    """Each element of the result is a sum of products: `2 m n k` in all."""
    (contracted, _), _ = eqn.params["dimension_numbers"]
    return 2 * eqn.outvars[0].aval.size * math.prod(eqn.inputs[-2].aval.shape[d] for d in contracted)


def _convolution(eqn: Eqn) -> float:
    """Each element of the result is a sum of products over a filter; where this lies over padding, counted too."""
    kernel, (_, rhs_spec, _) = eqn.inputs[1].aval, eqn.params["dimension_numbers"]
    return 2 * eqn.outvars[0].aval.size * kernel.size / max(kernel.shape[rhs_spec[0]], 1)


def _windows(eqn: Eqn) -> float:
    return eqn.outvars[0].aval.size * (math.prod(eqn.params["window_dimensions"]) - 1)


def _update(eqn: Eqn) -> float:
    return eqn.inputs[1].aval.size


def _sort(eqn: Eqn) -> float:
    aval = eqn.inputs[0].aval
    return aval.size * max(math.log2(max(aval.shape[eqn.params["dimension"]], 1)), 1.0)


def _fft(eqn: Eqn) -> float:
    """`5 n log2 n` for a complex transform of `n` points, by convention; half of it between real arrays and spectra."""
    points = math.prod(eqn.params["fft_lengths"])
    sizes = eqn.inputs[0].aval.size, eqn.outvars[0].aval.size
    factor = 5.0 if sizes[0] == sizes[1] else 2.5
    return factor * max(sizes) * math.log2(points)


def _matrices(formula: Callable[[int, int], float]) -> Callable[[Eqn], float]:
    """A factorization's count, for each of a stack of `m` by `n` matrices."""

    def count(eqn: Eqn) -> float:
        *batch, m, n = eqn.inputs[0].aval.shape
        return math.prod(batch) * formula(m, n)

    return count


def _lu(m: int, n: int) -> float:
    k = min(m, n)
    return 2 * m * n * k - (m + n) * k**2 + 2 * k**3 / 3


def _qr(m: int, n: int) -> float:
    """Householder's triangle, and as much again for the orthogonal factor."""
    k = min(m, n)
    return 4 * (max(m, n) * k**2 - k**3 / 3)


def _svd(eqn: Eqn) -> float:
    """By the bidiagonal form of the triangle of a QR factorization."""
    *batch, m, n = eqn.inputs[0].aval.shape
    m, n = max(m, n), min(m, n)
    if not eqn.params["compute_uv"]:
        each = 2 * m * n**2 + 2 * n**3
    else:
        each = 4 * m**2 * n + 22 * n**3 if eqn.params["full_matrices"] else 6 * m * n**2 + 20 * n**3
    return math.prod(batch) * each


def _triangular_solve(eqn: Eqn) -> float:
    """For each element of the solution half a row of the matrix, in multiplications and additions."""
    return eqn.inputs[0].aval.shape[-1] * eqn.outvars[0].aval.size


def _solve(eqn: Eqn) -> float:
    """A factorization, and two triangular systems for each right-hand side."""
    *batch, n, _ = eqn.inputs[0].aval.shape
    return math.prod(batch) * _lu(n, n) + 2 * n * eqn.outvars[0].aval.size


_COUNTS: dict[str, Callable[[Eqn], float]] = {
    "dot_general": _dot_general,
    "dot_general_add": _dot_general,
    "conv_general_dilated": _convolution,
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), _windows),
    "sort": _sort,
    "fft": _fft,
    "cholesky": _matrices(lambda m, n: n**3 / 3),
    "lu": _matrices(_lu),
    "det": _matrices(_lu),
    "slogdet": _matrices(_lu),
    "adjugate": _matrices(lambda m, n: 26 * n**3),
    "qr": _matrices(_qr),
    "eigh": _matrices(lambda m, n: 9 * n**3),
    "eig": _matrices(lambda m, n: 25 * n**3),
    "svd": _svd,
    "triangular_solve": _triangular_solve,
    "solve": _solve,
    **dict.fromkeys(("scatter_add", "scatter_mul", "scatter_min", "scatter_max"), _update),
}
