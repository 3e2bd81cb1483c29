"""Functions of square matrices (exponential, logarithm, square root) and Sylvester's equation, by SciPy.

The derivative of a function of matrices in a direction is its Fréchet derivative; it stands in the corner of the
function of a matrix of blocks, `f([[a, e], [0, a]]) = [[f(a), L(a, e)], [0, f(a)]]`, and so do its own derivatives
(N. Higham, "Functions of Matrices", 2008, section 3.2). The derivative of the square root solves an equation of
Sylvester's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.errors import DTypeError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.broadcasting import broadcast_to, unbroadcast
from functrans.lax.contraction import matmul
from functrans.lax.conversion import convert_element_type
from functrans.lax.linalg.matrices import batch_all, check_square, complex_dtype, mT
from functrans.lax.promotion import broadcast_shapes
from functrans.lax.structural import concatenate, slice_in_dim


def _each(function: Callable[..., Any], *operands: Any) -> np.ndarray:
    """The function of each matrix of stacks, of the shape and dtype of the last operand."""
    arrays = [np.asarray(x) for x in operands]
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in arrays))
    arrays = [np.broadcast_to(x, batch + x.shape[-2:]) for x in arrays]
    out = np.empty(arrays[-1].shape, arrays[-1].dtype)
    if out.size:
        for i in np.ndindex(*batch):
            out[i] = function(*(x[i] for x in arrays))
    return out


# ---------------------------------------------------------------- functions with a Fréchet derivative


def _matrix_function(
    name: str, function: Callable[[Any], Any], check: Callable[[str, ShapedArray], None]
) -> tuple[Primitive, Primitive]:
    """The primitives of a function of matrices and of its Fréchet derivative `L(a, e)`, which is linear in `e`."""
    value_p, derivative_p = Primitive(name), Primitive(f"{name}_frechet")

    def abstract(a: ShapedArray) -> ShapedArray:
        check(name, a)
        return a.strong()

    def derivative_abstract(a: ShapedArray, e: ShapedArray) -> ShapedArray:
        check(name, a)
        if a.shape[-2:] != e.shape[-2:] or a.dtype != e.dtype:
            raise ShapeError(f"{name}_frechet: matrices {a} and directions {e} do not fit")
        return e.strong().with_shape((*broadcast_shapes(name, [a.shape[:-2], e.shape[:-2]]), *a.shape[-2:]))

    def derivative_impl(a: Any, e: Any) -> Any:
        a, e = np.broadcast_arrays(np.asarray(a), np.asarray(e))
        scale = _largest(e) / np.where(_largest(a) > 0, _largest(a), 1)  # linear in e: any scale will do
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1).astype(e.dtype)
        blocks = np.block([[a, e / scale], [np.zeros_like(a), a]])
        n = a.shape[-1]
        return wrap((function(blocks)[..., :n, n:] * scale).astype(e.dtype))

    def derivative_jvp(primals: Any, tangents: Any) -> Any:
        (a, e), (ta, te) = primals, tangents
        out = derivative_p.bind(a, e)
        along = None if te is None else derivative_p.bind(a, te)
        if ta is not None:
            n = aval_of(a).shape[-1]
            bent = derivative_p.bind(_blocks(a, e), _blocks(ta, zeros(aval_of(ta))))
            bent = slice_in_dim(slice_in_dim(bent, 0, n, axis=-2), n, 2 * n, axis=-1)
            along = bent if along is None else along + bent
        return out, along

    def derivative_batch(axis: Axis, args: list[Any], dims: list[Any]) -> Any:
        return derivative_p.bind(*ew.align_batched(args, dims)), 0

    def impl(a: Any) -> Any:
        abstract(aval_of(a))
        return wrap(function(a))

    value_p.impl = impl
    value_p.abstract_eval = abstract
    value_p.jvp = lambda primals, tangents: (value_p.bind(primals[0]), derivative_p.bind(primals[0], tangents[0]))
    value_p.batch = batch_all(value_p)
    derivative_p.impl = derivative_impl
    derivative_p.abstract_eval = derivative_abstract
    derivative_p.jvp = derivative_jvp
    derivative_p.transpose = lambda ct, a, e: [None, unbroadcast(derivative_p.bind(mT(a), ct), e.aval)]
    derivative_p.batch = derivative_batch
    return value_p, derivative_p


def _largest(x: Any) -> Any:
    return np.max(np.abs(x), axis=(-2, -1), keepdims=True, initial=0)


def _blocks(a: Any, e: Any) -> Any:
    """The matrices `[[a, e], [0, a]]`."""
    shape = broadcast_shapes("blocks", [aval_of(a).shape, aval_of(e).shape])
    a, e = broadcast_to(a, shape), broadcast_to(e, shape)
    last = len(shape) - 1
    return concatenate([concatenate([a, e], last), concatenate([zeros(aval_of(a)), a], last)], last - 1)


def _check_complex(name: str, a: ShapedArray) -> None:
    """Real matrices may have a complex value, and a dtype cannot depend on values: the callers convert them."""
    check_square(name, a)
    if a.dtype.kind != "c":
        raise DTypeError(f"the primitive {name} takes complex matrices, got {a.dtype}")


def _as_complex(name: str, a: Any) -> Any:
    check_square(name, aval_of(a))
    return convert_element_type(a, complex_dtype(aval_of(a).dtype))


def _expm(a: Any) -> Any:
    from scipy.linalg import expm

    return expm(np.asarray(a))


def _logm(a: Any) -> Any:
    from scipy.linalg import logm

    return _each(logm, a)


expm_p, expm_frechet_p = _matrix_function("expm", _expm, check_square)
logm_p, logm_frechet_p = _matrix_function("logm", _logm, _check_complex)


def expm(a: Any) -> Any:
    """The exponential of square matrices, `1 + a + a a / 2 + ...`, by SciPy (Al-Mohy and Higham, 2009).

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.expm(np.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([[1., 1.],
           [0., 1.]])
    """
    return expm_p.bind(a)


def logm(a: Any) -> Any:
    """The principal logarithm of square matrices, complex always, by SciPy (Al-Mohy and Higham, 2012).

    Its derivatives hold where no eigenvalue is zero or a negative number.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.logm(np.array([[1.0, 1.0], [0.0, 1.0]])).real
    Array([[0., 1.],
           [0., 0.]])
    """
    return logm_p.bind(_as_complex("logm", a))


# ---------------------------------------------------------------- Sylvester's equation

sylvester_p = Primitive("sylvester")


def solve_sylvester(a: Any, b: Any, c: Any) -> Any:
    """The solution of `a x + x b = c`, which is unique where no eigenvalue of `a` is one of `-b`.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.solve_sylvester(np.diag([1.0, 2.0]), np.eye(2), np.ones((2, 2)))
    Array([[0.5       , 0.5       ],
           [0.33333333, 0.33333333]])
    """
    return sylvester_p.bind(a, b, c)


def _sylvester_abstract(a: ShapedArray, b: ShapedArray, c: ShapedArray) -> ShapedArray:
    check_square("solve_sylvester", a)
    check_square("solve_sylvester", b)
    if c.ndim < 2 or c.shape[-2:] != (a.shape[-1], b.shape[-1]):
        raise ShapeError(f"solve_sylvester: matrices of shapes {a.shape}, {b.shape} and {c.shape} do not fit")
    if not a.dtype == b.dtype == c.dtype:
        raise DTypeError(f"solve_sylvester: dtypes {a.dtype}, {b.dtype} and {c.dtype} differ; convert them to one")
    batch = broadcast_shapes("solve_sylvester", [a.shape[:-2], b.shape[:-2], c.shape[:-2]])
    return ShapedArray((*batch, *c.shape[-2:]), c.dtype)


def _sylvester_impl(a: Any, b: Any, c: Any) -> Any:
    from scipy.linalg import solve_sylvester

    _sylvester_abstract(aval_of(a), aval_of(b), aval_of(c))
    return wrap(_each(solve_sylvester, a, b, c))


def _sylvester_jvp(primals: Any, tangents: Any) -> Any:
    (a, b, c), (ta, tb, tc) = primals, tangents
    x = sylvester_p.bind(a, b, c)
    terms = [tc, None if ta is None else ew.neg(matmul(ta, x)), None if tb is None else ew.neg(matmul(x, tb))]
    total = functools.reduce(ew.add, [term for term in terms if term is not None])
    return x, sylvester_p.bind(a, b, total)


def _sylvester_batch(axis: Axis, args: list[Any], dims: list[Any]) -> Any:
    return sylvester_p.bind(*ew.align_batched(args, dims)), 0


sylvester_p.impl = _sylvester_impl
sylvester_p.abstract_eval = _sylvester_abstract
sylvester_p.jvp = _sylvester_jvp
sylvester_p.transpose = lambda ct, a, b, c: [None, None, unbroadcast(sylvester_p.bind(mT(a), mT(b), ct), c.aval)]
sylvester_p.batch = _sylvester_batch

# ---------------------------------------------------------------- square root

sqrtm_p = Primitive("sqrtm")


def sqrtm(a: Any) -> Any:
    """The principal square root of square matrices, complex always, by SciPy (Björck and Hammarling, 1983).

    Its derivatives hold where no eigenvalue is zero or a negative number.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.linalg.sqrtm(np.array([[4.0, 0.0], [0.0, 9.0]])).real
    Array([[2., 0.],
           [0., 3.]])
    """
    return sqrtm_p.bind(_as_complex("sqrtm", a))


def _sqrtm_abstract(a: ShapedArray) -> ShapedArray:
    _check_complex("sqrtm", a)
    return a.strong()


def _sqrtm_impl(a: Any) -> Any:
    from scipy.linalg import sqrtm

    _sqrtm_abstract(aval_of(a))
    return wrap(_each(lambda x: sqrtm(x) if np.isfinite(x).all() else np.full_like(x, np.nan), a))


def _sqrtm_jvp(primals: Any, tangents: Any) -> Any:
    root = sqrtm_p.bind(primals[0])
    return root, sylvester_p.bind(root, root, tangents[0])


sqrtm_p.impl = _sqrtm_impl
sqrtm_p.abstract_eval = _sqrtm_abstract
sqrtm_p.jvp = _sqrtm_jvp
sqrtm_p.batch = batch_all(sqrtm_p)
