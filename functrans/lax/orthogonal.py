"""Orthogonal polynomials and spherical Bessel functions: special functions of a whole degree.

Each family is closed under differentiation by the argument (NIST Handbook, sections 18.9 and 10.51), so derivatives of
any order are there, also where the quotients of textbooks divide 0 by 0. Degrees are int64 and have no derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans.core.avals import aval_of
from functrans.lax.conversion import convert_element_type
from functrans.lax.elementwise import where, zero
from functrans.lax.special import OfSciPy, Special, unknown


def _of_degree(name: str, parameters: str, derivative: Any, polynomial: bool = True) -> Special:
    """A row `name(n, *parameters, x)`; only what is no polynomial has float32 in SciPy, and no C function."""
    names = parameters.split()
    count = len(names) + 2

    def evaluate(special: Any, *operands: Any) -> Any:
        return getattr(special, name)(*operands)

    def loop(types: tuple[Any, ...]) -> list[np.dtype]:
        dtype = np.dtype(np.float64)
        if not polynomial and types[-1] in (np.float16, np.float32):
            from scipy import special

            dtype = np.asarray(evaluate(special, np.zeros(0, np.int64), np.zeros(0, types[-1]))).dtype
        return [np.dtype(np.int64), *[dtype] * count]

    text = f"scipy_{name}({', '.join(f'{{{i}}}' for i in range(count))})" if polynomial else ""
    by_parameters = [unknown(f"the derivative of {name} by {p}") for p in names]
    return Special(name, OfSciPy(name, count, evaluate, loop), text, zero, *by_parameters, derivative)


def _real(n: Any) -> Any:
    return convert_element_type(n, np.float64)


def _below(n: Any) -> Any:
    """The degree below, which for 0 is not looked at."""
    return where(n > 0, n - 1, 0)


def _some(n: Any) -> Any:
    """1, and 0 of degree 0, whose polynomial is constant; SciPy's negative degrees have no derivative here."""
    return where(n > 0, 1.0, where(n == 0, 0.0, np.nan))


eval_legendre = _of_degree("eval_legendre", "", lambda t, y, n, x: t * _some(n) * eval_gegenbauer(_below(n), 1.5, x))
eval_chebyt = _of_degree("eval_chebyt", "", lambda t, y, n, x: t * _some(n) * _real(n) * eval_chebyu(_below(n), x))
eval_chebyu = _of_degree("eval_chebyu", "", lambda t, y, n, x: t * _some(n) * 2.0 * eval_gegenbauer(_below(n), 2.0, x))
eval_gegenbauer = _of_degree(
    "eval_gegenbauer", "alpha", lambda t, y, n, a, x: t * _some(n) * 2.0 * a * eval_gegenbauer(_below(n), a + 1.0, x)
)
eval_jacobi = _of_degree(
    "eval_jacobi",
    "alpha beta",
    lambda t, y, n, a, b, x: (
        t * _some(n) * 0.5 * (_real(n) + a + b + 1.0) * eval_jacobi(_below(n), a + 1.0, b + 1.0, x)
    ),
)
eval_laguerre = _of_degree("eval_laguerre", "", lambda t, y, n, x: -t * _some(n) * eval_genlaguerre(_below(n), 1.0, x))
eval_genlaguerre = _of_degree(
    "eval_genlaguerre", "alpha", lambda t, y, n, a, x: -t * _some(n) * eval_genlaguerre(_below(n), a + 1.0, x)
)
eval_hermite = _of_degree(
    "eval_hermite", "", lambda t, y, n, x: t * _some(n) * 2.0 * _real(n) * eval_hermite(_below(n), x)
)
eval_hermitenorm = _of_degree(
    "eval_hermitenorm", "", lambda t, y, n, x: t * _some(n) * _real(n) * eval_hermitenorm(_below(n), x)
)


def _spherical(name: str, below: float, above: float) -> Special:
    """Its derivative is `(below n f_{n-1} + above (n + 1) f_{n+1}) / (2n + 1)`, which has no division by `x`."""

    def derivative(t: Any, y: Any, n: Any, x: Any) -> Any:
        degree = convert_element_type(n, aval_of(x).dtype)
        terms = below * degree * row(_below(n), x) + above * (degree + 1.0) * row(n + 1, x)
        return t * where(n > 0, terms / (2.0 * degree + 1.0), above * row(n + 1, x))

    row = _of_degree(name, "", derivative, polynomial=False)
    return row


spherical_jn = _spherical("spherical_jn", 1.0, -1.0)
spherical_yn = _spherical("spherical_yn", 1.0, -1.0)
spherical_in = _spherical("spherical_in", 1.0, 1.0)
spherical_kn = _spherical("spherical_kn", -1.0, -1.0)
