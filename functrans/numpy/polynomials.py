"""Polynomials as vectors of coefficients, the highest power first (NumPy's reference: numpy.poly1d and its functions).

NumPy drops leading zeros of results, whose number depends on values; traced forms keep them. The functions of
`numpy.polynomial` trace as they are.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import SMALL_FLOATS, float_info
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, ShapeError
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import to_common_dtype
from functrans.numpy import linalg
from functrans.numpy.creation import diag, vander
from functrans.numpy.dispatch import dtype_of, implements, known, operand, shape_of
from functrans.numpy.manipulation import atleast_1d, concatenate, stack, trim_zeros
from functrans.numpy.products import convolve, outer
from functrans.numpy.reductions import sum
from functrans.numpy.ufuncs import sqrt


def _vector(name: str, p: Any) -> Any:
    p = atleast_1d(operand(name, p))
    if len(shape_of(p)) != 1:
        raise ShapeError(f"{name} takes coefficients as a vector, got shape {shape_of(p)}")
    return p


def _trimmed(p: Any, trim: bool) -> Any:
    if not trim:
        return p
    if known(p) is None:
        raise ConcretizationError("trim_leading_zeros=True needs values, which a traced array does not have")
    return trim_zeros(p, "f")


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Complex roots give complex coefficients; NumPy drops the imaginary parts where roots come in conjugate pairs.

    >>> import functrans.numpy as fnp
    >>> fnp.poly([1.0, 2.0])
    Array([ 1., -3.,  2.])
    """
    zeros = atleast_1d(operand("poly", seq_of_zeros))
    shape = shape_of(zeros)
    if len(shape) == 2 and shape[0] == shape[1] and shape[0]:
        zeros = linalg.eigvals(zeros)
    elif len(shape) != 1:
        raise ShapeError(f"poly takes a vector of roots or a square matrix, got shape {shape}")
    zeros = as_inexact(zeros, np.float64 if dtype_of(zeros) in SMALL_FLOATS else None)
    if not shape[0]:
        return lax.full((), 1.0)
    out = lax.full((1,), 1, dtype_of(zeros))
    for i in range(shape[0]):  # times (x - root)
        blank = lax.full((1,), 0, dtype_of(zeros))
        out = concatenate([out, blank]) - zeros[i] * concatenate([blank, out])
    return out


@implements(np.roots, "strip_zeros")
def roots(p: Any, *, strip_zeros: bool = True) -> Any:
    """The eigenvalues of the companion matrix. In traced functions the first coefficient must not be zero.

    Args:
        strip_zeros: whether leading and trailing zeros are dropped, which a traced function cannot do; as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.sort(fnp.roots([1.0, -3.0, 2.0]))
    Array([1., 2.])
    """
    p = as_inexact(_vector("roots", p))
    n = shape_of(p)[0]
    values = known(p) if strip_zeros else None
    if values is not None and values.size:
        lead, tail = (int(np.argmax(v != 0)) for v in (values, values[::-1]))
        if not values.any():
            return lax.full((0,), 0.0)
        found = roots(p[lead : n - tail], strip_zeros=False)
        return concatenate([found, lax.full((tail,), 0, dtype_of(found))]) if tail else found
    if n < 2:
        return lax.full((0,), 0.0)
    companion = diag(lax.full((n - 2,), 1, dtype_of(p)), -1) if n > 2 else lax.full((1, 1), 0, dtype_of(p))
    top = lax.reshape(-p[1:] / p[0], (1, n - 1))
    return linalg.eigvals(concatenate([top, companion[1:]]))


def _aligned(name: str, a1: Any, a2: Any) -> list[Any]:
    """Two polynomials with zeros in front of the shorter one."""
    parts = to_common_dtype(name, [_vector(name, a1), _vector(name, a2)])
    n = max(shape_of(p)[0] for p in parts)
    return [lax.pad(p, dtype_of(p).type(0), [(n - shape_of(p)[0], 0, 0)]) for p in parts]


@implements(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.polyadd([1, 2], [3, 0, 1])
    Array([3, 1, 3])
    """
    a, b = _aligned("polyadd", a1, a2)
    return a + b


@implements(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.polysub([1, 2], [3, 0, 1])
    Array([-3,  1,  1])
    """
    a, b = _aligned("polysub", a1, a2)
    return a - b


@implements(np.polymul, "trim_leading_zeros")
def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.polymul([1, 2], [1, -2])
    Array([ 1,  0, -4])
    """
    parts = [_trimmed(_vector("polymul", x), trim_leading_zeros) for x in (a1, a2)]
    a, b = (p if shape_of(p)[0] else lax.full((1,), 0, dtype_of(p)) for p in parts)
    return convolve(a, b)


@implements(np.polydiv, "trim_leading_zeros")
def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> Any:
    """The remainder has the length of `u`; NumPy drops its leading zeros.

    >>> import functrans.numpy as fnp
    >>> quotient, remainder = fnp.polydiv([1.0, 0.0, -1.0], [1.0, -1.0])
    >>> quotient
    Array([1., 1.])
    """
    u, v = to_common_dtype("polydiv", [as_inexact(_vector("polydiv", x)) for x in (u, v)])
    n, m = shape_of(u)[0], shape_of(v)[0]
    if not n or not m:
        raise ShapeError("polydiv: a polynomial without coefficients")
    if n < m:
        return lax.full((1,), 0, dtype_of(u)), _trimmed(u, trim_leading_zeros)
    rest, quotient = u, []
    for k in range(n - m + 1):
        d = rest[k] / v[0]
        quotient.append(d)
        rest = rest - lax.pad(d * v, dtype_of(u).type(0), [(k, n - m - k, 0)])
    return stack(quotient), _trimmed(rest, trim_leading_zeros)


@implements(np.polyder)
def polyder(p: Any, m: Any = 1) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.polyder([1, 2, 3])
    Array([2, 2])
    """
    m = operator.index(m)
    if m < 0:
        raise ArgumentError(f"polyder: the order of the derivative must not be negative, got {m}")
    p = _vector("polyder", p)
    for _ in range(m):
        n = shape_of(p)[0] - 1
        p = p[: max(n, 0)] * np.arange(max(n, 0), 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.polyint([2.0, 2.0])
    Array([1., 2., 0.])
    """
    m = operator.index(m)
    if m < 0:
        raise ArgumentError(f"polyint: the order of the integral must not be negative, got {m}")
    k = atleast_1d(operand("polyint", lax.full((m,), 0.0) if k is None else k))
    if len(shape_of(k)) != 1 or (shape_of(k)[0] < m and shape_of(k)[0] != 1):
        raise ArgumentError(f"polyint: k must be a scalar or a vector of {m} constants, got shape {shape_of(k)}")
    p = _vector("polyint", p)
    for i in range(m):
        constant = k[i if shape_of(k)[0] >= m else 0]
        n = shape_of(p)[0]
        p = concatenate([p / np.arange(n, 0, -1), lax.reshape(constant, (1,))])
    return p


@implements(np.polyval, "unroll")
def polyval(p: Any, x: Any, *, unroll: int = 16) -> Any:
    """By Horner's rule.

    Args:
        unroll: accepted for programs of JAX; the rule is written out.

    >>> import functrans.numpy as fnp
    >>> fnp.polyval([1, 2, 3], 2.0)
    Array(11.)
    """
    p, x = _vector("polyval", p), operand("polyval", x)
    x = lax.convert_element_type(x, dtype_of(x))
    y = x * 0
    for i in range(shape_of(p)[0]):
        y = y * x + p[i]
    return y


@implements(np.polyfit)
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """By least squares; a fit of lower rank gives no warning in traced functions.

    >>> import functrans.numpy as fnp
    >>> fnp.polyfit([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], 1)
    Array([2., 1.])
    """
    order = operator.index(deg) + 1
    x, y = (lax.mul(operand("polyfit", v), 1.0) for v in (x, y))
    if order < 1:
        raise ArgumentError(f"polyfit: the degree must not be negative, got {deg}")
    if len(shape_of(x)) != 1 or not shape_of(x)[0]:
        raise DTypeError(f"polyfit takes x as a vector of points, got shape {shape_of(x)}")
    if len(shape_of(y)) not in (1, 2) or shape_of(y)[0] != shape_of(x)[0]:
        raise DTypeError(f"polyfit: y of shape {shape_of(y)} does not fit {shape_of(x)[0]} points")
    n = shape_of(x)[0]
    rcond = n * float_info(dtype_of(x)).eps if rcond is None else rcond
    left, right = vander(x, order), y
    if w is not None:
        w = lax.mul(operand("polyfit", w), 1.0)
        if shape_of(w) != (n,):
            raise DTypeError(f"polyfit: weights of shape {shape_of(w)} for {n} points")
        column = lax.reshape(w, (n, 1))
        left, right = left * column, right * (column if len(shape_of(y)) == 2 else w)
    scale = sqrt(sum(left * left, axis=0))
    left = left / scale
    c, residuals, rank, singular = linalg.lstsq(left, right, rcond)
    c = c / (lax.reshape(scale, (order, 1)) if len(shape_of(y)) == 2 else scale)
    if full:
        return c, residuals, rank, singular, rcond
    if not isinstance(cov, str) and not cov:
        return c
    base = linalg.inv(lax.transpose(left, (1, 0)) @ left) / outer(scale, scale)
    factor: Any = 1
    if cov != "unscaled":
        if n <= order:
            raise ArgumentError("polyfit: more points than coefficients are needed to scale the covariances")
        factor = residuals / (n - order)
    return c, base * factor if len(shape_of(y)) == 1 else lax.expand_dims(base, (2,)) * factor
