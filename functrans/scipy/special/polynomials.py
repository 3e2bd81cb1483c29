"""Orthogonal polynomials, the nodes of their quadratures, and spherical Bessel functions.

In traced functions degrees are whole numbers and arguments are real. Derivatives are those by the argument, of any
order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.core.documentation import with_example
from functrans.errors import ArgumentError, DTypeError
from functrans.lax import orthogonal as rows
from functrans.lax.promotion import as_operand, promote
from functrans.numpy.dispatch import known
from functrans.scipy.dispatch import implements, of_plain_numbers


def _operands(name: str, n: Any, *rest: Any) -> tuple[Any, ...]:
    n = as_operand(name, n)
    if aval_of(n).dtype.kind not in "iub":
        value = known(n)
        if value is None or value.dtype.kind != "f" or np.any(value != np.floor(value)):
            raise ArgumentError(f"{name} of a traced array takes whole degrees n, got {aval_of(n)}")
        n = value.astype(np.int64)
    operands = [as_operand(name, x) for x in rest]
    for x in operands:
        if aval_of(x).dtype.kind == "c":
            raise DTypeError(f"{name} of a traced array takes real arguments, got {aval_of(x)}")
    return n, *operands


@implements("scipy.special")
def eval_legendre(n: Any, x: Any) -> Any:
    """Legendre's polynomial of degree `n` at `x`, as `scipy.special.eval_legendre`.

    >>> import functrans as ft
    >>> ft.grad(ft.scipy.special.eval_legendre, 1)(2, 0.5)
    Array(1.5)
    """
    return rows.eval_legendre(*_operands("eval_legendre", n, x))


@implements("scipy.special")
def eval_chebyt(n: Any, x: Any) -> Any:
    """Chebyshev's polynomial of the first kind, `cos(n arccos(x))`, as `scipy.special.eval_chebyt`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_chebyt(2, np.array([0.0, 0.5]))
    Array([-1. , -0.5])
    """
    return rows.eval_chebyt(*_operands("eval_chebyt", n, x))


@implements("scipy.special")
def eval_chebyu(n: Any, x: Any) -> Any:
    """Chebyshev's polynomial of the second kind, as `scipy.special.eval_chebyu`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_chebyu(2, np.array([0.0, 0.5]))
    Array([-1.,  0.])
    """
    return rows.eval_chebyu(*_operands("eval_chebyu", n, x))


@implements("scipy.special")
def eval_gegenbauer(n: Any, alpha: Any, x: Any) -> Any:
    """Gegenbauer's polynomial of parameter `alpha`, as `scipy.special.eval_gegenbauer`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_gegenbauer(2, 1.0, np.array([0.0, 0.5]))
    Array([-1.,  0.])
    """
    return rows.eval_gegenbauer(*_operands("eval_gegenbauer", n, alpha, x))


@implements("scipy.special")
def eval_jacobi(n: Any, alpha: Any, beta: Any, x: Any) -> Any:
    """Jacobi's polynomial of parameters `alpha` and `beta`, as `scipy.special.eval_jacobi`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_jacobi(2, 1.0, 1.0, np.array([0.0, 1.0]))
    Array([-0.75,  3.  ])
    """
    return rows.eval_jacobi(*_operands("eval_jacobi", n, alpha, beta, x))


@implements("scipy.special")
def eval_laguerre(n: Any, x: Any) -> Any:
    """Laguerre's polynomial, as `scipy.special.eval_laguerre`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_laguerre(2, np.array([0.0, 1.0]))
    Array([ 1. , -0.5])
    """
    return rows.eval_laguerre(*_operands("eval_laguerre", n, x))


@implements("scipy.special")
def eval_genlaguerre(n: Any, alpha: Any, x: Any) -> Any:
    """The generalized Laguerre polynomial, as `scipy.special.eval_genlaguerre`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_genlaguerre(2, 1.0, np.array([0.0, 1.0]))
    Array([3. , 0.5])
    """
    return rows.eval_genlaguerre(*_operands("eval_genlaguerre", n, alpha, x))


@implements("scipy.special")
def eval_hermite(n: Any, x: Any) -> Any:
    """Hermite's polynomial of the weight `exp(-x^2)`, as `scipy.special.eval_hermite`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_hermite(2, np.array([0.0, 1.0]))
    Array([-2.,  2.])
    """
    return rows.eval_hermite(*_operands("eval_hermite", n, x))


@implements("scipy.special")
def eval_hermitenorm(n: Any, x: Any) -> Any:
    """Hermite's polynomial of the weight `exp(-x^2 / 2)`, as `scipy.special.eval_hermitenorm`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.eval_hermitenorm(2, np.array([0.0, 1.0]))
    Array([-1.,  0.])
    """
    return rows.eval_hermitenorm(*_operands("eval_hermitenorm", n, x))


def _spherical(name: str, row: Any, n: Any, z: Any, derivative: bool) -> Any:
    n, z = _operands(name, n, z)
    if not derivative:
        return row(n, z)
    n, z = promote(name, row.ufunc, (n, z))
    return row.derivatives[1](fnp.ones_like(z), None, n, z)


@implements("scipy.special")
def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the first kind, as `scipy.special.spherical_jn`.

    >>> import functrans as ft
    >>> ft.grad(ft.scipy.special.spherical_jn, 1)(1, 0.0)
    Array(0.33333333)
    """
    return _spherical("spherical_jn", rows.spherical_jn, n, z, derivative)


@implements("scipy.special")
def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the second kind, as `scipy.special.spherical_yn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.spherical_yn(0, np.array([0.5, 1.0]))
    Array([-1.75516512, -0.54030231])
    """
    return _spherical("spherical_yn", rows.spherical_yn, n, z, derivative)


@implements("scipy.special")
def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the first kind, as `scipy.special.spherical_in`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.spherical_in(0, np.array([0.5, 1.0]))
    Array([1.04219061, 1.17520119])
    """
    return _spherical("spherical_in", rows.spherical_in, n, z, derivative)


@implements("scipy.special")
def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the second kind, as `scipy.special.spherical_kn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.special.spherical_kn(0, np.array([0.5, 1.0]))
    Array([1.90547226, 0.57786367])
    """
    return _spherical("spherical_kn", rows.spherical_kn, n, z, derivative)


def _roots(name: str, what: str, arguments: str, nodes: str) -> Any:
    summary = f"Nodes and weights of {what} quadrature with `n` points, as `scipy.special.{name}`."
    doc = with_example(summary, f"ft.scipy.special.{name}({arguments})[0]", nodes)
    why = ", not traced arrays: how many nodes there are is static"
    return of_plain_numbers("scipy.special", name, doc, why)


roots_legendre = _roots("roots_legendre", "Gauss-Legendre", "2", "Array([-0.57735027,  0.57735027])")
roots_chebyt = _roots("roots_chebyt", "Gauss-Chebyshev (first kind)", "2", "Array([-0.70710678,  0.70710678])")
roots_chebyu = _roots("roots_chebyu", "Gauss-Chebyshev (second kind)", "2", "Array([-0.5,  0.5])")
roots_gegenbauer = _roots("roots_gegenbauer", "Gauss-Gegenbauer", "2, 1.0", "Array([-0.5,  0.5])")
roots_jacobi = _roots("roots_jacobi", "Gauss-Jacobi", "2, 1.0, 1.0", "Array([-0.4472136,  0.4472136])")
roots_laguerre = _roots("roots_laguerre", "Gauss-Laguerre", "2", "Array([0.58578644, 3.41421356])")
roots_genlaguerre = _roots(
    "roots_genlaguerre", "generalized Gauss-Laguerre", "2, 1.0", "Array([1.26794919, 4.73205081])"
)
roots_hermite = _roots("roots_hermite", "Gauss-Hermite", "2", "Array([-0.70710678,  0.70710678])")
roots_hermitenorm = _roots("roots_hermitenorm", "Gauss-Hermite (weight `exp(-x^2 / 2)`)", "2", "Array([-1.,  1.])")
