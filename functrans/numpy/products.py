"""Products of vectors, matrices and tensors (NumPy's reference: Linear algebra, Matrix and vector products)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, AxisError, ShapeError
from functrans.lax import contraction
from functrans.lax.elementwise import to_common_dtype
from functrans.numpy.dispatch import implements, normalize_axis, operand, shape_of
from functrans.numpy.manipulation import broadcast_arrays, moveaxis, ravel, stack
from functrans.numpy.ufuncs import Ufunc, made_of_others

matmul = Ufunc(np.matmul, contraction.matmul)


def _strong(name: str, a: Any, b: Any) -> list[Any]:
    """Operands of the dtype to which NumPy promotes them as arrays, Python numbers too."""
    return to_common_dtype(
        name, [lax.convert_element_type(x, aval_of(x).dtype) for x in (operand(name, a), operand(name, b))]
    )


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = _strong("dot", a, b)
    n, m = len(shape_of(a)), len(shape_of(b))
    if not n or not m:
        return a * b
    if shape_of(a)[-1] != shape_of(b)[-2 if m > 1 else 0]:
        raise ShapeError(f"dot: shapes {shape_of(a)} and {shape_of(b)} do not fit")
    return lax.dot_general(a, b, (((n - 1,), (m - 2 if m > 1 else 0,)), ((), ())))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    return dot(ravel(lax.conj(operand("vdot", a))), ravel(operand("vdot", b)))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = _strong("inner", a, b)
    n, m = len(shape_of(a)), len(shape_of(b))
    if not n or not m:
        return a * b
    return lax.dot_general(a, b, (((n - 1,), (m - 1,)), ((), ())))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    a, b = ravel(operand("outer", a)), ravel(operand("outer", b))
    return lax.reshape(a, (*shape_of(a), 1)) * b


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _strong("tensordot", a, b)
    n, m = len(shape_of(a)), len(shape_of(b))
    if isinstance(axes, (int, np.integer)):
        k = operator.index(axes)
        if k > min(n, m) or k < 0:
            raise AxisError(f"tensordot: {k} axes of arrays of shapes {shape_of(a)} and {shape_of(b)}")
        ca, cb = tuple(range(n - k, n)), tuple(range(k))
    else:
        ca, cb = (tuple(x) if isinstance(x, (tuple, list)) else (x,) for x in axes)
        ca, cb = tuple(normalize_axis(i, n) for i in ca), tuple(normalize_axis(i, m) for i in cb)
        if len(ca) != len(cb):
            raise ShapeError(f"tensordot: {len(ca)} axes of the first array and {len(cb)} of the second")
    return lax.dot_general(a, b, ((ca, cb), ((), ())))


@implements(np.einsum)
def einsum(subscripts: Any, /, *operands: Any, out: Any = None, optimize: Any = "auto", **options: Any) -> Any:
    return contraction.einsum(subscripts, *operands, optimize=optimize)


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "greedy") -> Any:
    """The order in which `einsum` contracts, as `numpy.einsum_path`."""
    return np.einsum_path(subscripts, *[np.broadcast_to(0.0, shape_of(x)) for x in operands], optimize=optimize)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = _strong("kron", a, b)
    n = max(len(shape_of(a)), len(shape_of(b)))
    sa, sb = ((1,) * (n - len(shape_of(x))) + shape_of(x) for x in (a, b))
    left = lax.reshape(a, tuple(k for m in sa for k in (m, 1)))
    right = lax.reshape(b, tuple(k for m in sb for k in (1, m)))
    return lax.reshape(left * right, tuple(i * j for i, j in zip(sa, sb)))


@implements(np.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Dot products of vectors along an axis, the first conjugated, as `numpy.vecdot`."""
    from functrans.numpy.reductions import sum

    a, b = (moveaxis(operand("vecdot", x), axis, -1) for x in (x1, x2))
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ShapeError(f"vecdot: vectors of {shape_of(a)[-1]} and {shape_of(b)[-1]} elements")
    return sum(lax.conj(a) * b, axis=-1, dtype=np.result_type(aval_of(a).dtype, aval_of(b).dtype))


@made_of_others(getattr(np, "matvec", None))
def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices times vectors, `(..., m, n)` and `(..., n)`, as `numpy.matvec` (of NumPy 2.2)."""
    a, v = operand("matvec", x1), operand("matvec", x2)
    if not shape_of(v):
        raise ShapeError("matvec takes a matrix and a vector, got a scalar")
    out = matmul(a, lax.reshape(v, (*shape_of(v), 1)))
    return lax.reshape(out, shape_of(out)[:-1])


@made_of_others(getattr(np, "vecmat", None))
def vecmat(x1: Any, x2: Any, /) -> Any:
    """Vectors, conjugated, times matrices, `(..., n)` and `(..., n, m)`, as `numpy.vecmat` (of NumPy 2.2)."""
    v, a = operand("vecmat", x1), operand("vecmat", x2)
    if not shape_of(v):
        raise ShapeError("vecmat takes a vector and a matrix, got a scalar")
    out = matmul(lax.reshape(lax.conj(v), (*shape_of(v)[:-1], 1, shape_of(v)[-1])), a)
    return lax.reshape(out, (*shape_of(out)[:-2], shape_of(out)[-1]))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(operand("cross", a), axisa, -1), moveaxis(operand("cross", b), axisb, -1)
    if shape_of(a)[-1] != 3 or shape_of(b)[-1] != 3:
        raise ShapeError(f"cross takes vectors of three elements, got shapes {shape_of(a)} and {shape_of(b)}")
    a, b = broadcast_arrays(a, b)
    (a0, a1, a2), (b0, b1, b2) = ([x[..., i] for i in range(3)] for x in (a, b))
    return moveaxis(stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1), -1, axisc)


def _slid(name: str, a: Any, v: Any, mode: str) -> Any:
    """Products of two vectors at every shift of the second along the first, summed."""
    a, v = to_common_dtype(name, [_vector(name, a), _vector(name, v)])
    if mode not in ("full", "same", "valid"):
        raise ArgumentError(f"{name}: mode must be 'full', 'same' or 'valid', got {mode!r}")
    n, m = shape_of(a)[0], shape_of(v)[0]
    if not n or not m:
        raise ShapeError(f"{name}: an operand is empty")
    if n < m:
        return lax.rev(_slid(name, v, a, mode), (0,))
    before = {"full": m - 1, "same": m // 2, "valid": 0}[mode]
    after = {"full": m - 1, "same": m - 1 - m // 2, "valid": 0}[mode]
    own = aval_of(a).dtype
    if own.kind == "b":
        a, v = (lax.convert_element_type(x, np.int64) for x in (a, v))
    image, kernel = lax.reshape(a, (1, 1, n)), lax.reshape(v, (1, 1, m))
    out = lax.conv_general_dilated(image, kernel, (1,), [(before, after)])
    out = lax.reshape(out, (n + before + after - m + 1,))
    return lax.ne(out, 0) if own.kind == "b" else out


def _vector(name: str, x: Any) -> Any:
    x = operand(name, x)
    if len(shape_of(x)) > 1 or (not shape_of(x) and name == "correlate"):
        raise ShapeError(f"{name} takes vectors, got an array of shape {shape_of(x)}")
    return lax.reshape(x, (1,)) if not shape_of(x) else x


@implements(np.convolve, "precision", "preferred_element_type")
def convolve(a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """
    Args:
        precision, preferred_element_type: accepted for programs of JAX, the first without effect.
    """
    a, v = _vector("convolve", a), _vector("convolve", v)
    if shape_of(v)[0] > shape_of(a)[0]:
        a, v = v, a
    if preferred_element_type is not None:
        a, v = (lax.convert_element_type(x, preferred_element_type) for x in (a, v))
    return _slid("convolve", a, lax.rev(v, (0,)), mode)


@implements(np.correlate, "precision", "preferred_element_type")
def correlate(a: Any, v: Any, mode: str = "valid", *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """
    Args:
        precision, preferred_element_type: accepted for programs of JAX, the first without effect.
    """
    a, v = _vector("correlate", a), _vector("correlate", v)
    if preferred_element_type is not None:
        a, v = (lax.convert_element_type(x, preferred_element_type) for x in (a, v))
    return _slid("correlate", a, lax.conj(v), mode)
