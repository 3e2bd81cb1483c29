"""Products of vectors, matrices and tensors (NumPy's reference: Linear algebra, Matrix and vector products)."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, AxisError, DTypeError, KeywordError, ShapeError
from functrans.lax import contraction, options
from functrans.lax.promotion import common_dtype, promote, to_common_dtype
from functrans.lax.structural import integer_axis
from functrans.numpy.dispatch import (
    explained,
    has_tracer,
    holds_bfloat16,
    implements,
    normalize_axis,
    operand,
    shape_of,
    unsupported,
    wrap_result,
)
from functrans.numpy.manipulation import broadcast_arrays, moveaxis, ravel, stack
from functrans.numpy.ufuncs import Ufunc

_KEYWORDS = "out casting order dtype subok signature axes axis keepdims precision preferred_element_type".split()


class Product(Ufunc):
    """A ufunc of vectors and matrices: of their last axes, or those that `axes` or `axis` name.

    Args:
        axes: the axes of the vectors and matrices, a tuple of one or two for each operand and for the result.
        axis: the axis of the vectors (`vecdot` alone), which `keepdims` leaves with size one.
        dtype, casting: those of the product's loop.
        precision: accepted for programs of JAX; products are computed in the operands' dtype.
        preferred_element_type: the dtype of the sums and of the result, as in JAX.
    """

    def __init__(self, ufunc: Any, traced: Any, core: tuple[int, int, int]):
        self._core = core  # how many axes the operands and the result have of their own
        super().__init__(ufunc, traced)
        self.__doc__ = f"{traced.__doc__}\n\n    {inspect.cleandoc(type(self).__doc__ or '')}"

    def _signature(self) -> inspect.Signature:
        own = [p for p in super()._signature().parameters.values() if p.name != "where"]
        more = ("axes", "axis", "keepdims", "precision", "preferred_element_type")
        defaults: dict[str, Any] = {"keepdims": False}
        named = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(k)) for k in more]
        return inspect.Signature([*own, *named])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 2:
            raise options.wrong_number(self.__name__, 2, len(args))
        preferred = None
        if kwargs:
            preferred = kwargs.pop("preferred_element_type", None)
            kwargs = {k: v for k, v in kwargs.items() if v is not None and k != "precision"}
        if self.ufunc is None or preferred is not None or has_tracer(args) or holds_bfloat16(args):
            return self._traced(*args, preferred_element_type=preferred, **kwargs)
        try:
            return wrap_result(self.ufunc(*args, **kwargs))
        except Exception as error:
            raise explained(error, self._traced, args, kwargs, self.__name__) from None

    def _traced(
        self, x1: Any, x2: Any, /, *, axes: Any = None, axis: Any = None, keepdims: bool = False,
        preferred_element_type: Any = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        name, vectors = self.__name__, self._core == (1, 1, 0)
        if (axis is not None or keepdims) and not vectors:
            raise KeywordError(f"{name} takes no axis= and keepdims=: they are for functions of two vectors")
        options.check_keywords(name, kwargs, _KEYWORDS)
        dtype, casting = options.loop(name, kwargs)
        a, b = operand(name, x1), operand(name, x2)
        if dtype is not None or casting is not None:
            a, b = promote(name, np.matmul, (a, b), dtype=dtype, casting=casting)
        if preferred_element_type is not None:
            a, b = (lax.convert_element_type(x, preferred_element_type) for x in (a, b))
        if axes is None and axis is None and not keepdims:
            return self.traced(a, b)
        if axes is None:
            axes = [(-1 if axis is None else axis,)] * 2
        elif axis is not None:
            raise KeywordError(f"{name}: axes and axis cannot be given together")
        axes = self._axes(axes, [min(n, len(shape_of(x))) if n == 2 else n for n, x in zip(self._core, (a, b))])
        if vectors and keepdims:
            axes[2] = axes[0]
        moved = [moveaxis(x, own, tuple(range(-len(own), 0))) for x, own in zip((a, b), axes)]
        out = self.traced(*moved)
        if keepdims:
            out = lax.reshape(out, (*shape_of(out), 1))
        return moveaxis(out, tuple(range(-len(axes[2]), 0)), axes[2]) if axes[2] else out

    def _axes(self, axes: Any, core: list[int]) -> list[tuple[int, ...]]:
        """`axes` as three tuples; that of a scalar result may be missing."""
        name = self.__name__
        core = [*core, self._core[2] if self._core != (2, 2, 2) else core[0] + core[1] - 2]
        axes = list(axes) if isinstance(axes, (list, tuple)) else axes
        if not isinstance(axes, list) or len(axes) not in ((2, 3) if not core[2] else (3,)):
            raise ArgumentError(f"{name}: axes is a list of the axes of both operands and of the result, got {axes!r}")
        out = [tuple(own) if isinstance(own, (tuple, list)) else (own,) for own in axes] + [()]
        for own, n in zip(out, core):
            if len(own) != n:
                raise AxisError(f"{name}: axes={axes!r} must name {core[0]}, {core[1]} and {core[2]} axes")
        return out[:3]


def _product(ufunc: Any, core: tuple[int, int, int]) -> Callable[[Callable[..., Any]], Product]:
    return lambda traced: Product(ufunc, traced, core)


matmul = Product(np.matmul, contraction.matmul, (2, 2, 2))


def _preferred(dtype: Any, *values: Any) -> tuple[Any, ...]:
    """Operands in the dtype that JAX's `preferred_element_type` names."""
    return values if dtype is None else tuple(lax.convert_element_type(x, dtype) for x in values)


def _strong(name: str, a: Any, b: Any) -> list[Any]:
    """Operands of the dtype to which NumPy promotes them as arrays, Python numbers too."""
    return to_common_dtype(
        name, [lax.convert_element_type(x, aval_of(x).dtype) for x in (operand(name, a), operand(name, b))]
    )


@implements(np.dot, "precision", "preferred_element_type")
def dot(a: Any, b: Any, out: Any = None, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """
    Args:
        precision: accepted for programs of JAX; products are computed in the operands' dtype.
        preferred_element_type: the dtype of the sums and of the result, as in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.dot([1, 2], [3, 4])
    Array(11)
    """
    unsupported("dot", out=out)
    if preferred_element_type is None and (direct := contraction.direct_product(a, b)) is not None:
        return direct
    a, b = _preferred(preferred_element_type, *_strong("dot", a, b))
    n, m = len(shape_of(a)), len(shape_of(b))
    if not n or not m:
        return a * b
    if shape_of(a)[-1] != shape_of(b)[-2 if m > 1 else 0]:
        raise ShapeError(f"dot: shapes {shape_of(a)} and {shape_of(b)} do not fit")
    return lax.dot_general(a, b, (((n - 1,), (m - 2 if m > 1 else 0,)), ((), ())))


@implements(np.vdot, "precision", "preferred_element_type")
def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`precision` and `preferred_element_type` are as for `dot`.

    >>> import functrans.numpy as fnp
    >>> fnp.vdot([1j, 2], [1j, 1])
    Array(3.+0.j)
    """
    a, b = ravel(lax.conj(operand("vdot", a))), ravel(operand("vdot", b))
    return dot(a, b, preferred_element_type=preferred_element_type)


@implements(np.inner, "precision", "preferred_element_type")
def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`precision` and `preferred_element_type` are as for `dot`.

    >>> import functrans.numpy as fnp
    >>> fnp.inner([1, 2], [3, 4])
    Array(11)
    """
    a, b = _preferred(preferred_element_type, *_strong("inner", a, b))
    n, m = len(shape_of(a)), len(shape_of(b))
    if not n or not m:
        return a * b
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ShapeError(f"inner: shapes {shape_of(a)} and {shape_of(b)} do not fit: their last axes must be equal")
    return lax.dot_general(a, b, (((n - 1,), (m - 1,)), ((), ())))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.outer([1, 2], [3, 4])
    Array([[3, 4],
           [6, 8]])
    """
    unsupported("outer", out=out)
    a, b = ravel(operand("outer", a)), ravel(operand("outer", b))
    return lax.reshape(a, (*shape_of(a), 1)) * b


@implements(np.tensordot, "precision", "preferred_element_type")
def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`precision` and `preferred_element_type` are as for `dot`.

    >>> import functrans.numpy as fnp
    >>> fnp.tensordot([[1, 2], [3, 4]], [[1, 2], [3, 4]])
    Array(30)
    """
    a, b = _preferred(preferred_element_type, *_strong("tensordot", a, b))
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


@implements(np.einsum, "precision", "preferred_element_type")
def einsum(
    subscripts: Any, /, *operands: Any, out: Any = None, dtype: Any = None, order: str = "K", casting: str = "safe",
    optimize: Any = "auto", precision: Any = None, preferred_element_type: Any = None,
) -> Any:  # fmt: skip
    """`precision` and `preferred_element_type` are as for `dot`.

    >>> import functrans.numpy as fnp
    >>> fnp.einsum("ij,j->i", fnp.eye(2), fnp.array([3.0, 4.0]))
    Array([3., 4.])
    """
    unsupported("einsum", out=out)
    if dtype is None and preferred_element_type is None:
        return contraction.einsum(subscripts, *operands, optimize=optimize)
    arrays = operands if isinstance(subscripts, str) else (subscripts, *operands)
    taken = range(0, len(arrays), 1 if isinstance(subscripts, str) else 2)
    values = [operand("einsum", arrays[i]) for i in taken if i + 1 < len(arrays) or isinstance(subscripts, str)]
    if dtype is not None:
        for x in values:
            if not np.can_cast(aval_of(x).dtype, dtype, casting):  # type: ignore[arg-type]
                raise DTypeError(
                    f"einsum: an operand {aval_of(x)} does not become {np.dtype(dtype)} by casting={casting!r}"
                )
    values = [lax.convert_element_type(x, dtype if preferred_element_type is None else preferred_element_type)
              for x in values]  # fmt: skip
    if isinstance(subscripts, str):
        return contraction.einsum(subscripts, *values, optimize=optimize)
    full = list(arrays)
    full[: 2 * len(values) : 2] = values
    return contraction.einsum(*full, optimize=optimize)


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    """The order in which `einsum` contracts, as `numpy.einsum_path`.

    >>> import functrans.numpy as fnp
    >>> fnp.einsum_path("ij,jk->ik", fnp.eye(2), fnp.eye(2))[0]
    ['einsum_path', (0, 1)]
    """
    if einsum_call:
        raise ArgumentError("einsum_path: einsum_call is for NumPy's own use")
    return np.einsum_path(subscripts, *[np.broadcast_to(0.0, shape_of(x)) for x in operands], optimize=optimize)


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.kron([1, 2], [1, 10])
    Array([ 1, 10,  2, 20])
    """
    a, b = _strong("kron", a, b)
    n = max(len(shape_of(a)), len(shape_of(b)))
    sa, sb = ((1,) * (n - len(shape_of(x))) + shape_of(x) for x in (a, b))
    left = lax.reshape(a, tuple(k for m in sa for k in (m, 1)))
    right = lax.reshape(b, tuple(k for m in sb for k in (1, m)))
    return lax.reshape(left * right, tuple(i * j for i, j in zip(sa, sb)))


@_product(np.vecdot, (1, 1, 0))
def vecdot(x1: Any, x2: Any, /) -> Any:
    """Dot products of vectors along an axis, the first conjugated, as `numpy.vecdot`.

    >>> import functrans.numpy as fnp
    >>> fnp.vecdot([[1, 2], [3, 4]], [1, 1])
    Array([3, 7])
    """
    from functrans.numpy.reductions import sum

    a, b = operand("vecdot", x1), operand("vecdot", x2)
    if not shape_of(a) or not shape_of(b):
        raise ShapeError("vecdot takes vectors, got a scalar")
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ShapeError(f"vecdot: vectors of {shape_of(a)[-1]} and {shape_of(b)[-1]} elements")
    return sum(lax.conj(a) * b, axis=-1, dtype=common_dtype(aval_of(a).dtype, aval_of(b).dtype))


@_product(getattr(np, "matvec", None), (2, 1, 1))
def matvec(x1: Any, x2: Any, /) -> Any:
    """Matrices times vectors, `(..., m, n)` and `(..., n)`, as `numpy.matvec` (of NumPy 2.2).

    >>> import functrans.numpy as fnp
    >>> fnp.matvec([[1, 2], [3, 4]], [1, 1])
    Array([3, 7])
    """
    a, v = operand("matvec", x1), operand("matvec", x2)
    if not shape_of(v) or len(shape_of(a)) < 2:
        raise ShapeError(f"matvec takes a matrix and a vector, got shapes {shape_of(a)} and {shape_of(v)}")
    out = matmul(a, lax.reshape(v, (*shape_of(v), 1)))
    return lax.reshape(out, shape_of(out)[:-1])


@_product(getattr(np, "vecmat", None), (1, 2, 1))
def vecmat(x1: Any, x2: Any, /) -> Any:
    """Vectors, conjugated, times matrices, `(..., n)` and `(..., n, m)`, as `numpy.vecmat` (of NumPy 2.2).

    >>> import functrans.numpy as fnp
    >>> fnp.vecmat([1, 1], [[1, 2], [3, 4]])
    Array([4, 6])
    """
    v, a = operand("vecmat", x1), operand("vecmat", x2)
    if not shape_of(v) or len(shape_of(a)) < 2:
        raise ShapeError(f"vecmat takes a vector and a matrix, got shapes {shape_of(v)} and {shape_of(a)}")
    out = matmul(lax.reshape(lax.conj(v), (*shape_of(v)[:-1], 1, shape_of(v)[-1])), a)
    return lax.reshape(out, (*shape_of(out)[:-2], shape_of(out)[-1]))


@implements(np.cross)
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.cross([1, 0, 0], [0, 1, 0])
    Array([0, 0, 1])
    """
    if axis is not None:
        axisa = axisb = axisc = integer_axis(axis)
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

    >>> import functrans.numpy as fnp
    >>> fnp.convolve([1, 2, 3], [1, 1])
    Array([1, 3, 5, 3])
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

    >>> import functrans.numpy as fnp
    >>> fnp.correlate([1, 2, 3], [1, 1])
    Array([3, 5])
    """
    a, v = _vector("correlate", a), _vector("correlate", v)
    if preferred_element_type is not None:
        a, v = (lax.convert_element_type(x, preferred_element_type) for x in (a, v))
    return _slid("correlate", a, lax.conj(v), mode)
