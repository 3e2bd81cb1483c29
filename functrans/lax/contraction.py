"""Contractions: `dot_general`, and on it `matmul`, `dot` and `einsum`.

One primitive sums products over contracted axes, pair by pair, for each index of the batch axes; its derivative and
both transposes are contractions again.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from functrans.core.array import in_small_floats, plain, wrap
from functrans.core.avals import ShapedArray, aval_of, bfloat16
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.broadcasting import broadcast_to, broadcasted_iota, reduce_sum_p
from functrans.lax.conversion import convert_element_type
from functrans.lax.elementwise import add, bitwise_and, ge, lt, mul, sub, where
from functrans.lax.promotion import as_operand, broadcast_shapes, common_dtype, promote
from functrans.lax.reductions import cumsum
from functrans.lax.structural import reshape, slice_in_dim, transpose, transpose_p
from functrans.transforms import eager
from functrans.transforms.batching import move_axis
from functrans.transforms.taylor import product
from functrans.transforms.transpose import is_linear

Dims = tuple[int, ...]
DimensionNumbers = tuple[tuple[Dims, Dims], tuple[Dims, Dims]]


def dot_general(
    lhs: Any,
    rhs: Any,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    out_sharding: None = None,
) -> Any:
    """Sums of products over contracted axes.

    Args:
        lhs, rhs: arrays of one dtype.
        dimension_numbers: `((lhs contracted, rhs contracted), (lhs batch, rhs batch))`, axes in corresponding order.
        precision: accepted; products are computed in the operands' dtype.
        preferred_element_type: the dtype of the result and of the sums; that of the operands by default.

    Returns:
        An array with the batch axes, then the free axes of `lhs`, then those of `rhs`.

    Raises:
        ShapeError: axes do not exist or have different sizes.
        DTypeError: the operands have different dtypes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dot_general(np.ones((2, 3)), np.ones((3, 4)), (((1,), (0,)), ((), ()))).shape
    (2, 4)
    """
    refuse_placement("dot_general", out_sharding=out_sharding)
    try:
        (ca, cb), (ba, bb) = dimension_numbers
        numbers = tuple(tuple(tuple(map(operator.index, d)) for d in pair) for pair in ((ca, cb), (ba, bb)))
    except (TypeError, ValueError):
        raise ArgumentError(
            "the dimension_numbers of dot_general are ((lhs contracted, rhs contracted), (lhs batch, rhs batch)), each "
            f"a sequence of axes, got {dimension_numbers!r:.80}"
        ) from None
    preferred = None if preferred_element_type is None else np.dtype(preferred_element_type)
    lhs, rhs = as_operand("dot_general", lhs), as_operand("dot_general", rhs)
    if preferred is not None:
        lhs, rhs = convert_element_type(lhs, preferred), convert_element_type(rhs, preferred)
    return dot_general_p.bind(lhs, rhs, dimension_numbers=numbers, preferred_element_type=None)


def _free(ndim: int, *used: Sequence[int]) -> Dims:
    taken = {d for dims in used for d in dims}
    return tuple(i for i in range(ndim) if i not in taken)


def _dot_abstract(
    a: ShapedArray, b: ShapedArray, *, dimension_numbers: DimensionNumbers, preferred_element_type: Any
) -> ShapedArray:
    (ca, cb), (ba, bb) = dimension_numbers
    for dims, x, which in (((*ca, *ba), a, "first"), ((*cb, *bb), b, "second")):
        if len(set(dims)) != len(dims) or not all(0 <= d < x.ndim for d in dims):
            raise ShapeError(f"dot_general: {dims} are not distinct axes of the {which} operand, of shape {x.shape}")
    for da, db, what in ((ca, cb, "contracted"), (ba, bb, "batch")):
        sizes = [tuple(x.shape[d] for d in dims) for x, dims in ((a, da), (b, db))]
        if sizes[0] != sizes[1]:
            raise ShapeError(
                f"dot_general: the {what} axes of shapes {a.shape} and {b.shape} must have equal sizes, they have "
                f"{sizes[0]} and {sizes[1]}"
            )
    if a.dtype != b.dtype:
        raise DTypeError(f"dot_general: operands of dtypes {a.dtype} and {b.dtype}; convert them to one")
    shape = tuple(a.shape[d] for d in ba)
    shape += tuple(a.shape[d] for d in _free(a.ndim, ca, ba)) + tuple(b.shape[d] for d in _free(b.ndim, cb, bb))
    return ShapedArray(shape, a.dtype)


def _dot_impl(a: Any, b: Any, *, dimension_numbers: DimensionNumbers, preferred_element_type: Any) -> Any:
    (ca, cb), (ba, bb) = dimension_numbers
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.kind == "V" and a.dtype == bfloat16 and b.dtype == bfloat16:
        wide = (x.astype(np.float32) for x in (a, b))
        out = _dot_impl(*wide, dimension_numbers=dimension_numbers, preferred_element_type=None)
        return wrap(out.astype(bfloat16))
    if not ba and len(ca) == 1 and a.ndim <= 2 and b.ndim <= 2 and a.dtype is b.dtype:
        return wrap(np.dot(a if ca[0] == a.ndim - 1 else a.T, b if cb[0] == 0 else b.T))
    fa, fb = _free(a.ndim, ca, ba), _free(b.ndim, cb, bb)
    out = _dot_abstract(aval_of(a), aval_of(b), dimension_numbers=dimension_numbers, preferred_element_type=None).shape
    batch = tuple(a.shape[d] for d in ba)

    def size(x: np.ndarray, dims: Dims) -> int:
        return int(np.prod([x.shape[d] for d in dims], dtype=np.int64))

    left = a.transpose(*ba, *fa, *ca).reshape(*batch, size(a, fa), size(a, ca))
    right = b.transpose(*bb, *cb, *fb).reshape(*batch, size(b, cb), size(b, fb))
    return wrap(np.matmul(left, right).reshape(out))


def _dot_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (a, b), (ta, tb) = primals, tangents
    out = dot_general_p.bind(a, b, **params)
    terms = []
    if ta is not None:
        terms.append(dot_general_p.bind(ta, b, **params))
    if tb is not None:
        terms.append(dot_general_p.bind(a, tb, **params))
    return out, terms[0] if len(terms) == 1 else terms[0] + terms[1]


def _dot_direct(a: Any, b: Any, **params: Any) -> Any:
    operands = eager.operands((a, b))
    if operands is None or eager.any_traced(operands[2]):
        return None
    trace, dtype, (x, z), (left, right) = operands
    y = plain(dot_general_p.impl(x, z, **params))
    if y.dtype is not dtype:
        return None
    on_left = None if left is None else eager.equation(trace, y, dot_general_p, (left, z), **params)
    on_right = None if right is None else eager.equation(trace, y, dot_general_p, (x, right), **params)
    return eager.joined(on_left, on_right)


def _dot_transpose(ct: Any, a: Any, b: Any, *, dimension_numbers: DimensionNumbers, **params: Any) -> list[Any]:
    (ca, cb), (ba, bb) = dimension_numbers
    if is_linear(a):
        return [_transpose_left(ct, a.aval.ndim, b, (ca, cb), (ba, bb), swap=False), None]
    return [None, _transpose_left(ct, b.aval.ndim, a, (cb, ca), (bb, ba), swap=True)]


def _transpose_left(ct: Any, ndim: int, other: Any, contract: Any, batch: Any, swap: bool) -> Any:
    """The cotangent of the operand with `ndim` axes, which stands left (right if `swap`) of `other`."""
    numbers, permutation = _transposition(ndim, aval_of(other).ndim, contract, batch, swap)
    out = dot_general_p.bind(ct, other, dimension_numbers=numbers, preferred_element_type=None)
    return out if permutation is None else transpose_p.bind(out, permutation=permutation)


@lru_cache(maxsize=1024)
def _transposition(ndim: int, other: int, contract: Any, batch: Any, swap: bool) -> tuple[DimensionNumbers, Any]:
    """The contraction with the cotangent, and the order in which its result's axes are those of the operand."""
    (cx, co), (bx, bo) = contract, batch
    nb = len(bx)
    free_x, free_o = _free(ndim, cx, bx), _free(other, co, bo)
    start = nb + (0 if swap else len(free_x))
    over = tuple(range(start, start + len(free_o)))
    # batch, free axes of x, then the contracted ones in the order in which the other operand has them
    order = sorted(range(len(co)), key=lambda i: co[i])
    axes = [*bx, *free_x, *(cx[i] for i in order)]
    permutation = tuple(axes.index(i) for i in range(ndim))
    numbers = ((over, free_o), (tuple(range(nb)), bo))
    return numbers, None if permutation == tuple(range(ndim)) else permutation


def _dot_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, dimension_numbers: DimensionNumbers, **params: Any
) -> Any:
    (a, b), (da, db) = args, dims
    (ca, cb), (ba, bb) = dimension_numbers

    def moved(axes: Dims, d: int | None) -> Dims:
        return axes if d is None else tuple(i + (i >= d) for i in axes)

    ca, ba, cb, bb = moved(ca, da), moved(ba, da), moved(cb, db), moved(bb, db)
    if da is not None and db is not None:
        numbers = ((ca, cb), ((da, *ba), (db, *bb)))
        return dot_general_p.bind(a, b, dimension_numbers=numbers, **params), 0
    out = dot_general_p.bind(a, b, dimension_numbers=((ca, cb), (ba, bb)), **params)
    if da is not None:
        return out, len(ba) + _free(aval_of(a).ndim, ca, ba).index(da)
    free_a = len(_free(aval_of(a).ndim, ca, ba))
    return out, len(ba) + free_a + _free(aval_of(b).ndim, cb, bb).index(db)


dot_general_p = Primitive("dot_general")
dot_general_p.impl = _dot_impl
dot_general_p.abstract_eval = _dot_abstract
dot_general_p.jvp = _dot_jvp
dot_general_p.direct = _dot_direct
dot_general_p.transpose = _dot_transpose
product(dot_general_p)
dot_general_p.batch = _dot_batch

# ---------------------------------------------------------------- matmul and dot


def matmul(a: Any, b: Any) -> Any:
    """The matrix product with NumPy's rules: vectors are rows or columns, leading axes broadcast.

    Raises:
        ShapeError: an operand is a scalar, or the shapes do not fit.

    >>> import numpy as np
    >>> from functrans.lax.contraction import matmul
    >>> matmul(np.ones((5, 2, 3)), np.ones(3)).shape
    (5, 2)
    """
    if not isinstance(a, Tracer) and not isinstance(b, Tracer):
        try:
            return in_small_floats(np.matmul, (a, b), wrap(np.matmul(a, b)))
        except (TypeError, ValueError) as error:
            a, b = promote("matmul", np.matmul, (a, b))
            _matmul_batch(aval_of(a).shape, aval_of(b).shape)
            raise error
    if (out := direct_product(a, b)) is not None:
        return out
    a, b = promote("matmul", np.matmul, (a, b))
    sa, sb = aval_of(a).shape, aval_of(b).shape
    batch = _matmul_batch(sa, sb)
    if len(sb) == 1 or (len(sb) == 2 and len(sa) > 1):
        return _contract_axes(a, b, len(sa) - 1, 0)
    if len(sa) == 1:
        return _contract_axes(a, b, 0, len(sb) - 2)
    if len(sa) == 2:
        return move_axis(_contract_axes(a, b, 1, len(sb) - 2), 0, len(sb) - 2)
    a, b = broadcast_to(a, (*batch, *sa[-2:])), broadcast_to(b, (*batch, *sb[-2:]))
    n = len(batch)
    numbers = (((n + 1,), (n,)), (tuple(range(n)), tuple(range(n))))
    return dot_general_p.bind(a, b, dimension_numbers=numbers, preferred_element_type=None)


def direct_product(a: Any, b: Any) -> Any:
    """The product of matrices and vectors at plain values, a step for each operand; None where it is more."""
    operands = eager.operands((a, b))
    if operands is None:
        return None
    trace, _, (x, z), (left, right) = operands
    if not (isinstance(x, np.ndarray) and isinstance(z, np.ndarray) and 0 < x.ndim < 3 and 0 < z.ndim < 3):
        return None
    try:
        y = np.matmul(x, z)
    except ValueError:  # of shapes that do not fit: `matmul` explains
        return None
    n, m = x.ndim, z.ndim
    on_left = on_right = None
    if left is not None:
        on_left = eager.step(trace, left, y, lambda t: matmul(t, z), lambda ct: _pull_left(ct, n, z))
    if right is not None:
        on_right = eager.step(trace, right, y, lambda t: matmul(x, t), lambda ct: _pull_right(ct, x, m))
    return eager.joined(on_left, on_right)


def _pull_left(ct: Any, ndim: int, z: np.ndarray) -> Any:
    """The cotangent of a left operand with so many axes."""
    if z.ndim == 2:
        return np.matmul(ct, z.T)
    return ct * z if ndim == 1 else np.multiply.outer(ct, z)


def _pull_right(ct: Any, x: np.ndarray, ndim: int) -> Any:
    """The cotangent of a right operand with so many axes."""
    if x.ndim == 2:
        return np.matmul(x.T, ct)
    return ct * x if ndim == 1 else np.multiply.outer(x, ct)


def _contract_axes(a: Any, b: Any, i: int, j: int) -> Any:
    return dot_general_p.bind(a, b, dimension_numbers=(((i,), (j,)), ((), ())), preferred_element_type=None)


def _matmul_batch(sa: tuple[int, ...], sb: tuple[int, ...]) -> tuple[int, ...]:
    """The leading axes of a matrix product, or the error for shapes that have none."""
    if not sa or not sb:
        raise ShapeError("matmul: operands must have at least one axis; multiply by scalars with *")
    inner = sb[-2] if len(sb) > 1 else sb[0]
    if sa[-1] != inner:
        raise ShapeError(
            f"matmul: shapes {sa} and {sb} do not fit: the last axis of the first ({sa[-1]}) and the "
            f"{'second to last' if len(sb) > 1 else 'only'} axis of the second ({inner}) must be equal"
        )
    return broadcast_shapes("matmul, leading axes", [sa[:-2], sb[:-2]])


def dot(
    lhs: Any,
    rhs: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    *,
    dimension_numbers: Any = None,
    out_sharding: None = None,
) -> Any:
    """The product of vectors and matrices.

    Args:
        lhs, rhs: arrays of one or two axes.
        precision: accepted; products are computed in the operands' dtype.
        preferred_element_type: the dtype of the result and of the sums; that of the operands by default.
        dimension_numbers: those of `dot_general`, which is called with them.
        out_sharding: `None`.

    Raises:
        ShapeError: an operand has no axes or more than two, or the shapes do not fit.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.dot(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    Array([3., 7.])
    """
    refuse_placement("dot", out_sharding=out_sharding)
    if dimension_numbers is not None:
        return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)
    lhs, rhs = as_operand("dot", lhs), as_operand("dot", rhs)
    for x in (lhs, rhs):
        if aval_of(x).ndim not in (1, 2):
            raise ShapeError(f"dot takes vectors and matrices, got shape {aval_of(x).shape}; use matmul or dot_general")
    if preferred_element_type is not None:
        dtype = np.dtype(preferred_element_type)
        lhs, rhs = convert_element_type(lhs, dtype), convert_element_type(rhs, dtype)
    return matmul(lhs, rhs)


class Precision(enum.Enum):
    """How exactly products are computed, in JAX; here all are as exact as the operands' dtype.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.dot(np.ones(2), np.ones(2), precision=ft.lax.Precision.HIGHEST)
    Array(2.)
    """

    DEFAULT = 0
    HIGH = 1
    HIGHEST = 2


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Products of stacks of matrices, of equal leading axes.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.batch_matmul(np.ones((5, 2, 3)), np.ones((5, 3, 4))).shape
    (5, 2, 4)
    """
    lhs, rhs = as_operand("batch_matmul", lhs), as_operand("batch_matmul", rhs)
    a, b = aval_of(lhs).shape, aval_of(rhs).shape
    if len(a) < 2 or len(a) != len(b) or a[:-2] != b[:-2]:
        raise ShapeError(f"batch_matmul takes stacks of matrices with equal leading axes, got shapes {a} and {b}")
    return matmul(lhs, rhs)


def ragged_dot(
    lhs: Any,
    rhs: Any,
    group_sizes: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
    group_offset: None = None,
    out_sharding: None = None,
) -> Any:
    """Products of groups of rows with a matrix for each group.

    Args:
        lhs: `(m, k)`; its rows lie group by group.
        rhs: `(g, k, n)`, a matrix for each group.
        group_sizes: integers `(g,)`, how many rows each group has. Rows beyond them all give zeros.
        precision: accepted.
        preferred_element_type: the dtype of the result.
        group_offset, out_sharding: `None`.

    Returns:
        An array `(m, n)`. Each group costs a product of all rows.

    >>> import functrans.lax as lax, numpy as np
    >>> lax.ragged_dot(np.ones((3, 2)), np.array([[[1.0], [1.0]], [[2.0], [2.0]]]), np.array([1, 2]))
    Array([[2.],
           [4.],
           [4.]])
    """
    refuse_placement("ragged_dot", group_offset=group_offset, out_sharding=out_sharding)
    lhs, rhs, sizes = (as_operand("ragged_dot", x) for x in (lhs, rhs, group_sizes))
    (a, b, s) = (aval_of(x) for x in (lhs, rhs, sizes))
    if (a.ndim, b.ndim, s.ndim) != (2, 3, 1) or a.shape[1] != b.shape[1] or s.shape[0] != b.shape[0]:
        raise ShapeError(f"ragged_dot takes shapes (m, k), (g, k, n) and (g,), got {a.shape}, {b.shape} and {s.shape}")
    if s.dtype.kind not in "iu":
        raise DTypeError(f"ragged_dot: group_sizes must be integers, got {s}")
    ends = cumsum(convert_element_type(sizes, np.int64))
    starts = sub(ends, convert_element_type(sizes, np.int64))
    row = broadcasted_iota(np.int64, (a.shape[0], 1), 0)
    out = None
    for g in range(b.shape[0]):
        start, end, matrix = (reshape(slice_in_dim(x, g, g + 1), aval_of(x).shape[1:]) for x in (starts, ends, rhs))
        mine = bitwise_and(ge(row, start), lt(row, end))
        product = dot(lhs, matrix, preferred_element_type=preferred_element_type)
        term = where(mine, product, aval_of(product).dtype.type(0))
        out = term if out is None else add(out, term)
    if out is None:
        dtype = common_dtype(a.dtype, b.dtype) if preferred_element_type is None else preferred_element_type
        return broadcast_to(np.dtype(dtype).type(0), (a.shape[0], b.shape[2]))
    return out


# ---------------------------------------------------------------- einsum


def einsum(subscripts: Any, *operands: Any, optimize: Any = "auto") -> Any:
    """Einstein's summation, as `numpy.einsum`, along the path that opt_einsum finds.

    Args:
        subscripts: `"ij,jk->ik"`: letters for axes, `...` for axes that broadcast; without `->` the result has the
            letters that occur once, in alphabetical order. Or, as in NumPy, operands and lists of labels alternate.
        operands: one array for each term.
        optimize: how opt_einsum looks for the order of contractions; `False` takes them from left to right.

    Raises:
        ShapeError: terms, operands and sizes do not fit.

    >>> import numpy as np
    >>> from functrans.lax.contraction import einsum
    >>> einsum("ij,jk->ki", np.ones((2, 3)), np.ones((3, 4))).shape
    (4, 2)
    """
    if not isinstance(subscripts, str):
        from opt_einsum.parser import convert_interleaved_input

        if not operands or not isinstance(operands[0], (list, tuple)):
            raise DTypeError(f"einsum takes the subscripts as a string, got {subscripts!r:.60}")
        subscripts, operands = convert_interleaved_input((subscripts, *operands))
    values = [as_operand("einsum", x) for x in operands]
    if isinstance(optimize, (list, tuple)):
        optimize = tuple(step for step in optimize if step != "einsum_path")
    inputs, output, path = _einsum_path(subscripts, tuple(aval_of(x).shape for x in values), optimize)
    if len(values) > 1:
        values = _one_dtype(values)
    terms = [_diagonals(x, term) for x, term in zip(values, inputs)]
    for positions in path:
        chosen = [terms.pop(i) for i in sorted(positions, reverse=True)]
        keep = {c for _, t in terms for c in t} | set(output)
        while len(chosen) > 1:
            x, y = chosen.pop(), chosen.pop()
            wanted = keep | {c for _, t in chosen for c in t}
            chosen.append(_contract(x, y, wanted))
        terms.append(_sum_out(chosen[0], keep))
    ((x, term),) = terms
    return transpose(x, [term.index(c) for c in output])


@lru_cache(maxsize=512)
def _einsum_path(
    subscripts: str, shapes: tuple[tuple[int, ...], ...], optimize: Any
) -> tuple[list[str], str, list[tuple[int, ...]]]:
    """The terms, the term of the result, and which operands to contract, step by step."""
    import opt_einsum

    try:
        inputs, output, _ = opt_einsum.parser.parse_einsum_input((subscripts, *shapes), shapes=True)
        terms = inputs.split(",")
        for term, shape in zip(terms, shapes):
            for c in term:
                sizes = {n for t, n in zip(term, shape) if t == c}
                if len(sizes) > 1:
                    raise ValueError(f"the index {c!r} stands for axes of sizes {' and '.join(map(str, sizes))}")
        if optimize is False:
            return terms, output, [tuple(range(len(terms)))]
        how = list(optimize) if isinstance(optimize, tuple) else optimize
        path, _ = opt_einsum.contract_path(f"{inputs}->{output}", *shapes, shapes=True, optimize=how)
    except (ValueError, KeyError, IndexError) as error:
        given = ", ".join(map(str, shapes))
        raise ShapeError(f"einsum {subscripts!r} with operands of shapes {given}: {error}") from None
    return terms, output, list(path)


def _one_dtype(values: list[Any]) -> list[Any]:
    out = values[:1]
    for v in values[1:]:
        first, v = promote("einsum", np.multiply, (out[0], v))
        out = [convert_element_type(x, aval_of(first).dtype) for x in out] + [v]
    return out


def _diagonals(x: Any, term: str) -> tuple[Any, str]:
    """An operand without repeated letters: its diagonal along their axes, last."""
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            shape = aval_of(x).shape
            n = shape[i]
            rest = [k for k in range(len(term)) if k not in (i, j)]
            flat = reshape(transpose(x, [*rest, i, j]), (*(shape[k] for k in rest), n * n))
            x = slice_in_dim(flat, 0, n * n, n + 1, axis=-1)
            term = "".join(term[k] for k in rest) + c
    return x, term


def _sum_out(operand: tuple[Any, str], keep: set[str]) -> tuple[Any, str]:
    x, term = operand
    axes = tuple(i for i, c in enumerate(term) if c not in keep)
    return (reduce_sum_p.bind(x, axes=axes) if axes else x), "".join(c for c in term if c in keep)


def _contract(left: tuple[Any, str], right: tuple[Any, str], keep: set[str]) -> tuple[Any, str]:
    """Two operands as one, with the letters in `keep`."""
    left = _sum_out(left, keep | set(right[1]))
    right = _sum_out(right, keep | set(left[1]))
    (x, tx), (y, ty) = left, right
    x, tx = _squeeze_ones(x, tx, y, ty)
    y, ty = _squeeze_ones(y, ty, x, tx)
    shared = [c for c in tx if c in ty]
    batch = [c for c in shared if c in keep]
    over = [c for c in shared if c not in keep]
    if not over:  # nothing to sum: an outer product
        out = "".join(batch) + "".join(c for c in tx if c not in batch) + "".join(c for c in ty if c not in batch)
        return mul(_spread(x, tx, out), _spread(y, ty, out)), out
    numbers = (
        (tuple(tx.index(c) for c in over), tuple(ty.index(c) for c in over)),
        (tuple(tx.index(c) for c in batch), tuple(ty.index(c) for c in batch)),
    )
    z = dot_general_p.bind(x, y, dimension_numbers=numbers, preferred_element_type=None)
    rest = [c for c in tx if c not in shared] + [c for c in ty if c not in shared]
    return z, "".join(batch + rest)


def _squeeze_ones(x: Any, tx: str, y: Any, ty: str) -> tuple[Any, str]:
    """Drop axes of size 1 that the other operand has larger: einsum broadcasts them."""
    sx, sy = aval_of(x).shape, aval_of(y).shape
    drop = [i for i, c in enumerate(tx) if sx[i] == 1 and c in ty and sy[ty.index(c)] != 1]
    if not drop:
        return x, tx
    kept = [i for i in range(len(tx)) if i not in drop]
    return reshape(x, [sx[i] for i in kept]), "".join(tx[i] for i in kept)


def _spread(x: Any, term: str, out: str) -> Any:
    """Axes in the order of `out`, with size 1 where `x` has none."""
    order = sorted(range(len(term)), key=lambda i: out.index(term[i]))
    x = transpose(x, order)
    shape = iter(aval_of(x).shape)
    return reshape(x, [next(shape) if c in term else 1 for c in out])
