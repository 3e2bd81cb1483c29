"""Matrices of a special form, and what they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import operand
from functrans.scipy.dispatch import implements
from functrans.scipy.linalg.arguments import check_matrix, check_square, check_vector, choice


def _plain(name: str, doc: str) -> Any:
    """A function of sizes alone: SciPy's."""

    def function(*args: Any, **kwargs: Any) -> Any:
        raise ArgumentError(f"{name} takes plain numbers, not traced arrays: its result has a shape that they decide")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return implements("scipy.linalg")(function)


hilbert = _plain("hilbert", """The Hilbert matrix `1 / (i + j + 1)` of order `n`, as `scipy.linalg.hilbert`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.hilbert(2)
    Array([[1.        , 0.5       ],
           [0.5       , 0.33333333]])
    """)  # fmt: skip
invhilbert = _plain("invhilbert", """The inverse of the Hilbert matrix, as `scipy.linalg.invhilbert`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.invhilbert(2)
    Array([[ 4., -6.],
           [-6., 12.]])
    """)  # fmt: skip
pascal = _plain("pascal", """Pascal's matrix of binomial coefficients, as `scipy.linalg.pascal`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.pascal(3)
    Array([[1, 1, 1],
           [1, 2, 3],
           [1, 3, 6]], dtype=uint64)
    """)  # fmt: skip
invpascal = _plain("invpascal", """The inverse of Pascal's matrix, as `scipy.linalg.invpascal`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.invpascal(3)
    Array([[ 3, -3,  1],
           [-3,  5, -2],
           [ 1, -2,  1]])
    """)  # fmt: skip
dft = _plain("dft", """The matrix of the discrete Fourier transform, as `scipy.linalg.dft`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.dft(2).real
    Array([[ 1.,  1.],
           [ 1., -1.]])
    """)  # fmt: skip
hadamard = _plain("hadamard", """Sylvester's Hadamard matrix, as `scipy.linalg.hadamard`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.hadamard(2)
    Array([[ 1,  1],
           [ 1, -1]])
    """)  # fmt: skip
helmert = _plain("helmert", """Helmert's matrix, as `scipy.linalg.helmert`.

    >>> import functrans as ft
    >>> ft.scipy.linalg.helmert(3)
    Array([[ 0.70710678, -0.70710678,  0.        ],
           [ 0.40824829,  0.40824829, -0.81649658]])
    """)  # fmt: skip


def _vector(name: str, x: Any) -> Any:
    x = operand(name, x)
    check_vector(name, x)
    return x


def _entry(x: Any, index: np.ndarray) -> Any:
    """`x[..., index]`, where every index is within bounds."""
    return fnp.take(x, index, axis=-1, mode="clip")


@implements("scipy.linalg")
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrices with first column `c`, first row `r` and constant diagonals, as `scipy.linalg.toeplitz`.

    Without `r` it is the conjugate of `c`; `r[0]` is of no matter. Leading axes of traced arrays are batches.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.toeplitz(np.array([1, 2]), np.array([1, 3, 4]))
    Array([[1, 3, 4],
           [2, 1, 3]])
    """
    c = _vector("toeplitz", fnp.atleast_1d(operand("toeplitz", c)))
    r = (
        (fnp.conj(c) if aval_of(c).dtype.kind == "c" else c)
        if r is None
        else _vector("toeplitz", fnp.atleast_1d(operand("toeplitz", r)))
    )
    m, n = aval_of(c).shape[-1], aval_of(r).shape[-1]
    c, r = _broadcast(c, r)
    return _entry(fnp.concatenate([fnp.flip(c, -1), r[..., 1:]], -1), np.arange(m)[::-1, None] + np.arange(n))


def _broadcast(*vectors: Any) -> list[Any]:
    """Vectors with the same leading axes."""
    batch = np.broadcast_shapes(*(aval_of(x).shape[:-1] for x in vectors))
    return [fnp.broadcast_to(x, (*batch, aval_of(x).shape[-1])) for x in vectors]


@implements("scipy.linalg")
def hankel(c: Any, r: Any = None) -> Any:
    """The matrices with first column `c`, last row `r` and constant antidiagonals, as `scipy.linalg.hankel`.

    Without `r` it is zero; `r[0]` is of no matter. Leading axes of traced arrays are batches.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.hankel(np.array([1, 2]), np.array([2, 3, 4]))
    Array([[1, 2, 3],
           [2, 3, 4]])
    """
    c = _vector("hankel", fnp.atleast_1d(operand("hankel", c)))
    r = fnp.zeros_like(c) if r is None else _vector("hankel", fnp.atleast_1d(operand("hankel", r)))
    m, n = aval_of(c).shape[-1], aval_of(r).shape[-1]
    c, r = _broadcast(c, r)
    return _entry(fnp.concatenate([c, r[..., 1:]], -1), np.arange(m)[:, None] + np.arange(n))


@implements("scipy.linalg")
def circulant(c: Any) -> Any:
    """The matrices of which each column is the one before moved down by one, as `scipy.linalg.circulant`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.circulant(np.array([1, 2, 3]))
    Array([[1, 3, 2],
           [2, 1, 3],
           [3, 2, 1]])
    """
    c = _vector("circulant", fnp.atleast_1d(operand("circulant", c)))
    n = aval_of(c).shape[-1]
    return _entry(c, (np.arange(n)[:, None] - np.arange(n)) % max(n, 1))


@implements("scipy.linalg")
def companion(a: Any) -> Any:
    """The companion matrix of a polynomial's coefficients, highest first, as `scipy.linalg.companion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.companion(np.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]])
    """
    a = _vector("companion", a)
    n = aval_of(a).shape[-1]
    if n < 2:
        raise ShapeError(f"companion takes at least two coefficients, got shape {aval_of(a).shape}")
    first = -a[..., 1:] / a[..., :1]
    below = fnp.broadcast_to(fnp.eye(n - 2, n - 1, dtype=aval_of(first).dtype), (*aval_of(a).shape[:-1], n - 2, n - 1))
    return fnp.concatenate([first[..., None, :], below], -2)


@implements("scipy.linalg")
def leslie(f: Any, s: Any) -> Any:
    """The Leslie matrix of fecundities `f` and survivals `s`, one fewer, as `scipy.linalg.leslie`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.leslie(np.array([0.5, 2.0]), np.array([0.25]))
    Array([[0.5 , 2.  ],
           [0.25, 0.  ]])
    """
    f, s = _vector("leslie", f), _vector("leslie", s)
    n = aval_of(f).shape[-1]
    if aval_of(s).shape[-1] != n - 1 or n < 2:
        raise ShapeError(
            f"leslie takes at least two fecundities and one survival fewer, got shapes {aval_of(f).shape} and "
            f"{aval_of(s).shape}"
        )
    dtype = common_dtype(aval_of(f).dtype, aval_of(s).dtype)
    f, s = _broadcast(lax.convert_element_type(f, dtype), lax.convert_element_type(s, dtype))
    below = s[..., :, None] * fnp.eye(n - 1, n, dtype=dtype)
    return fnp.concatenate([f[..., None, :], below], -2)


@implements("scipy.linalg")
def fiedler(a: Any) -> Any:
    """The symmetric matrix `abs(a[i] - a[j])`, as `scipy.linalg.fiedler`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.fiedler(np.array([1.0, 4.0]))
    Array([[0., 3.],
           [3., 0.]])
    """
    a = _vector("fiedler", fnp.atleast_1d(operand("fiedler", a)))
    return fnp.abs(a[..., :, None] - a[..., None, :])


@implements("scipy.linalg")
def fiedler_companion(a: Any) -> Any:
    """Fiedler's companion matrix with five diagonals, as `scipy.linalg.fiedler_companion`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.fiedler_companion(np.array([1.0, -3.0, 2.0]))
    Array([[ 3., -2.],
           [ 1.,  0.]])
    """
    a = fnp.atleast_1d(operand("fiedler_companion", a))
    if aval_of(a).dtype.kind in "biu":
        a = lax.convert_element_type(a, np.float64)
    n = aval_of(a).shape[-1] - 1
    if n < 1:
        return fnp.zeros((*aval_of(a).shape[:-1], 0), aval_of(a).dtype)
    a = a / a[..., :1]
    if n == 1:
        return -a[..., 1:, None]
    which, ones = np.zeros((n, n), np.int64), np.zeros((n, n))  # which coefficient stands where, negated
    which[0, :2], ones[1, 0] = (1, 2), 1
    for i in range(2, n):
        if i % 2:
            ones[i, i - 2] = 1
        else:
            which[i, i - 1], ones[i - 2, i] = i + 1, 1
            if i + 1 < n:
                which[i, i + 1] = i + 2
    return fnp.where(which > 0, -_entry(a, which), ones.astype(aval_of(a).dtype))


@implements("scipy.linalg")
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Any:
    """The matrix of the convolution of `a` with vectors of `n` elements, as `scipy.linalg.convolution_matrix`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.convolution_matrix(np.array([1, 2]), 2)
    Array([[1, 0],
           [2, 1],
           [0, 2]])
    """
    choice("convolution_matrix", "mode", mode, "full", "valid", "same")
    if n <= 0:
        raise ArgumentError(f"convolution_matrix takes a positive number of elements n, got {n}")
    a = _vector("convolution_matrix", a)
    m = aval_of(a).shape[-1]
    if not m:
        raise ShapeError("convolution_matrix takes at least one element")
    start, size = {"full": (0, m + n - 1), "valid": (min(m, n) - 1, max(m, n) - min(m, n) + 1)}.get(
        mode, ((min(m, n) - 1) // 2, max(m, n))
    )
    places = np.arange(start, start + size)[:, None] - np.arange(n)
    inside = (places >= 0) & (places < m)
    return fnp.where(inside, _entry(a, np.clip(places, 0, m - 1)), np.zeros((), aval_of(a).dtype))


@implements("scipy.linalg")
def block_diag(*arrs: Any) -> Any:
    """The matrix with these matrices along its diagonal, as `scipy.linalg.block_diag`; vectors are rows.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.block_diag(np.array([[1]]), np.array([2, 3]))
    Array([[1, 0, 0],
           [0, 2, 3]])
    """
    blocks = [fnp.atleast_2d(operand("block_diag", x)) for x in arrs]
    dtype = common_dtype(*(aval_of(x).dtype for x in blocks))
    batch = np.broadcast_shapes(*(aval_of(x).shape[:-2] for x in blocks))
    width = sum(aval_of(x).shape[-1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        m, n = aval_of(x).shape[-2:]
        x = fnp.broadcast_to(lax.convert_element_type(x, dtype), (*batch, m, n))
        pads = [(0, 0, 0)] * (len(batch) + 1)
        rows.append(lax.pad(x, dtype.type(0), [*pads, (before, width - before - n, 0)]))
        before += n
    return fnp.concatenate(rows, -2)


@implements("scipy.linalg")
def khatri_rao(a: Any, b: Any) -> Any:
    """The Kronecker products of columns with columns, as `scipy.linalg.khatri_rao`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.khatri_rao(np.array([[1, 2]]), np.array([[3, 4], [5, 6]]))
    Array([[ 3,  8],
           [ 5, 12]])
    """
    a, b = (check_matrix("khatri_rao", operand("khatri_rao", x)) for x in (a, b))
    if aval_of(a).shape[-1] != aval_of(b).shape[-1]:
        raise ShapeError(
            f"khatri_rao takes matrices of as many columns, got shapes {aval_of(a).shape} and {aval_of(b).shape}"
        )
    out = a[..., :, None, :] * b[..., None, :, :]
    *batch, m, k, n = aval_of(out).shape
    return fnp.reshape(out, (*batch, m * k, n))


# ---------------------------------------------------------------- questions


def _close(name: str, a: Any, other: Any, atol: Any, rtol: Any) -> Any:
    if atol is None and rtol is None:
        return fnp.all(a == other, axis=(-2, -1))
    return fnp.all(fnp.isclose(a, other, rtol=rtol or 0.0, atol=atol or 0.0), axis=(-2, -1))


@implements("scipy.linalg")
def issymmetric(a: Any, atol: float | None = None, rtol: float | None = None) -> Any:
    """Whether a square matrix is symmetric, as `scipy.linalg.issymmetric`; of a traced array a traced boolean.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.issymmetric(np.array([[1.0, 2.0], [2.0, 1.0]]))
    True
    """
    a = operand("issymmetric", a)
    check_square("issymmetric", a)
    return _close("issymmetric", a, fnp.matrix_transpose(a), atol, rtol)


@implements("scipy.linalg")
def ishermitian(a: Any, atol: float | None = None, rtol: float | None = None) -> Any:
    """Whether a square matrix is Hermitian, as `scipy.linalg.ishermitian`; of a traced array a traced boolean.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.ishermitian(np.array([[1.0, 2j], [-2j, 1.0]]))
    True
    """
    a = operand("ishermitian", a)
    check_square("ishermitian", a)
    return _close("ishermitian", a, fnp.conj(fnp.matrix_transpose(a)), atol, rtol)


@implements("scipy.linalg")
def bandwidth(a: Any) -> tuple[Any, Any]:
    """The numbers of diagonals below and above the main one that are not all zero, as `scipy.linalg.bandwidth`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.linalg.bandwidth(np.array([[1.0, 2.0], [0.0, 1.0]]))
    (0, 1)
    """
    a = check_matrix("bandwidth", operand("bandwidth", a))
    m, n = aval_of(a).shape[-2:]
    place = np.arange(m)[:, None] - np.arange(n)
    count = lambda distance: fnp.max(fnp.where(a != 0, np.maximum(distance, 0), 0), axis=(-2, -1), initial=0)
    return count(place), count(-place)
