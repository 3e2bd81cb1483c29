"""Methods of ufuncs: `reduce`, `accumulate`, `outer`, `at`, `reduceat`; and `ufunc`, what `frompyfunc` makes.

The ufuncs of the namespace (rows of `lax.elementwise`, and those made of others) get the methods from here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ConcretizationError, DTypeError, ShapeError, TracerItemAssignmentError
from functrans.lax.elementwise import Elementwise
from functrans.lax.subscript import IndexUpdate, getitem
from functrans.numpy import products, reductions
from functrans.numpy.dispatch import (
    dtype_of,
    explained,
    has_tracer,
    known,
    named,
    normalize_axes,
    normalize_axis,
    operand,
    shape_of,
    wrap_result,
)
from functrans.numpy.manipulation import broadcast_to, concatenate, moveaxis, ravel, reshape
from functrans.numpy.mapping import vectorize
from functrans.numpy.ufuncs import Ufunc, where as _where

_REDUCTIONS: dict[Any, Any] = {
    np.add: reductions.sum, np.multiply: reductions.prod, np.maximum: reductions.max, np.minimum: reductions.min,
    np.logical_and: reductions.all, np.logical_or: reductions.any,
}  # fmt: skip
_ACCUMULATIONS: dict[Any, Any] = {
    np.add: reductions.cumsum, np.multiply: reductions.cumprod,
    np.maximum: lambda a, axis: lax.cummax(a, normalize_axis(axis, len(shape_of(a)))),
    np.minimum: lambda a, axis: lax.cummin(a, normalize_axis(axis, len(shape_of(a)))),
    np.logaddexp: lambda a, axis: lax.cumlogsumexp(a, normalize_axis(axis, len(shape_of(a)))),
}  # fmt: skip
_UPDATES = {np.add: "add", np.subtract: "subtract", np.multiply: "multiply", np.minimum: "min", np.maximum: "max"}


class UfuncMethods:
    """The methods of a ufunc; `__call__`, `ufunc` (NumPy's, or `None`) and `identity` are the class's that has them."""

    ufunc: Any
    __call__: Callable[..., Any]

    @property
    def nin(self) -> int:
        return self.ufunc.nin

    @property
    def nout(self) -> int:
        return self.ufunc.nout

    @property
    def nargs(self) -> int:
        return self.nin + self.nout

    @property
    def identity(self) -> Any:
        return self.ufunc.identity

    @named
    def reduce(
        self, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        """The elements along axes combined into one, from the first to the last."""
        options: dict[str, Any] = {
            "axis": axis,
            "dtype": dtype,
            "keepdims": keepdims,
            "initial": initial,
            "where": where,
        }
        return self._run("reduce", _reduce, (a,), options, out)

    @named
    def accumulate(self, a: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """The results of combining the elements along an axis one after the other."""
        return self._run("accumulate", _accumulate, (a,), {"axis": axis, "dtype": dtype}, out)

    @named
    def outer(self, a: Any, b: Any, /, **options: Any) -> Any:
        """The function of every element of `a` with every element of `b`."""
        return self._run("outer", _outer, (a, b), options, options.pop("out", None))

    @named
    def reduceat(self, a: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        """`reduce` of slices: from each index to the next, which must be known when it is traced."""
        return self._run("reduceat", _reduceat, (a, indices), {"axis": axis, "dtype": dtype}, out)

    @named
    def at(self, a: Any, indices: Any, b: Any = None, /, *, inplace: bool = True) -> Any:
        """`a[indices] = f(a[indices], b)`, once for each time that an index occurs.

        NumPy's writes into `a`; with `inplace=False`, which traced arrays need, the result is a new array.
        """
        operands = (a, indices) if b is None else (a, indices, b)
        if not inplace:
            return _at(self, *operands)
        if self.ufunc is None or has_tracer(operands):
            raise TracerItemAssignmentError(
                f"{_name(self)}.at writes into its argument, and traced arrays are immutable: write "
                f"x = {_name(self)}.at(x, ..., inplace=False)"
            )
        return self.ufunc.at(*operands)

    def _run(self, method: str, traced: Any, args: tuple[Any, ...], options: dict[str, Any], out: Any) -> Any:
        if self.nin != 2 or self.nout != 1:
            raise ArgumentError(f"{_name(self)}.{method}: only functions of two arguments with one result have it")
        plain = self.ufunc is not None and not has_tracer((*args, *options.values()))
        if plain:
            given = {k: v for k, v in options.items() if v is not None}
            if options.get("initial", 0) is None:
                given.pop("initial", None)
            if method == "reduce" and options["axis"] is None:
                given["axis"] = None
            try:
                return wrap_result(getattr(self.ufunc, method)(*args, out=out, **given))
            except Exception as error:
                name = f"{_name(self)}.{method}"
                raise explained(error, lambda *a, **k: traced(self, *a, **k), args, options, name) from None
        if out is not None:
            raise ArgumentError(f"{_name(self)}.{method} of a traced array does not take out=: results are new arrays")
        return traced(self, *args, **options)


def _name(f: Any) -> str:
    return f.ufunc.__name__ if f.ufunc is not None else f.__name__


def _prepared(f: Any, a: Any, dtype: Any) -> Any:
    """The array in the dtype in which results are combined."""
    a = operand(_name(f), a)
    if dtype is not None:
        return lax.convert_element_type(a, dtype)
    scalar = lax.full((), 1, dtype_of(a))
    return lax.convert_element_type(a, dtype_of(f(scalar, scalar)))


def _reduce(
    f: Any, a: Any, *, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
) -> Any:
    known_form = _REDUCTIONS.get(f.ufunc)
    if known_form is not None:
        options = {"dtype": dtype, "initial": initial, "where": where if where is not True else None}
        return known_form(a, axis=axis, keepdims=keepdims, **{k: v for k, v in options.items() if v is not None})
    x = _prepared(f, a, dtype)
    own = dtype_of(x)
    shape = shape_of(x)
    axes = normalize_axes(axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in axes]
    count = int(np.prod([shape[i] for i in axes], dtype=np.int64))
    rest = tuple(shape[i] for i in kept)
    front = lambda v: lax.reshape(lax.transpose(v, [*axes, *kept]), (count, *rest))
    mask = None if where is True else front(broadcast_to(where, shape))
    x = front(x)
    start = f.identity if initial is None and (mask is not None or not count) else initial
    if start is None and (mask is not None or not count):
        raise ShapeError(f"{_name(f)}.reduce has no identity: it needs initial= for no elements, and with where=")
    if start is None:
        carry, x = x[0], x[1:]
    else:
        carry = broadcast_to(lax.convert_element_type(start, own), rest)

    def step(total: Any, row: Any) -> Any:
        value, counts = row if mask is not None else (row, None)
        new = lax.convert_element_type(f(total, value), own)
        return (new if counts is None else _where(counts, new, total)), None

    out, _ = lax.scan(step, carry, x if mask is None else (x, mask))
    return lax.reshape(out, tuple(1 if i in axes else n for i, n in enumerate(shape))) if keepdims else out


def _accumulate(f: Any, a: Any, *, axis: int = 0, dtype: Any = None) -> Any:
    if not shape_of(operand(_name(f), a)):
        normalize_axis(axis, 1)
        raise DTypeError(f"{_name(f)}.accumulate takes an array with axes, got a scalar")
    known_form = _ACCUMULATIONS.get(f.ufunc)
    if known_form is not None:
        a = operand(_name(f), a)
        if dtype is not None:
            a = lax.convert_element_type(a, dtype)
        return known_form(a, axis=axis)
    x = _prepared(f, a, dtype)
    own, axis = dtype_of(x), normalize_axis(axis, len(shape_of(x)))
    x = moveaxis(x, axis, 0)
    if not shape_of(x)[0]:
        return moveaxis(x, 0, axis)

    def step(total: Any, value: Any) -> Any:
        new = lax.convert_element_type(f(total, value), own)
        return new, new

    _, rest = lax.scan(step, x[0], x[1:])
    return moveaxis(concatenate([x[:1], rest]), 0, axis)


def _outer(f: Any, a: Any, b: Any, **options: Any) -> Any:
    a, b = operand(_name(f), a), operand(_name(f), b)
    return f(reshape(a, (*shape_of(a), *[1] * len(shape_of(b)))), b, **options)


def _reduceat(f: Any, a: Any, indices: Any, *, axis: int = 0, dtype: Any = None) -> Any:
    places = known(indices)
    if places is None:
        raise ConcretizationError(f"{_name(f)}.reduceat needs indices with values: the slices depend on them")
    a = operand(_name(f), a)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise DTypeError(f"{_name(f)}.reduceat takes a vector of integers as indices, got {aval_of(places)}")
    axis = normalize_axis(axis, len(shape_of(a)))
    n = shape_of(a)[axis]
    if ((places < 0) | (places >= n)).any():
        raise ShapeError(f"{_name(f)}.reduceat: indices out of bounds for an axis of size {n}")
    a = moveaxis(a, axis, 0)
    parts = []
    for i, stop in zip(places.tolist(), [*places.tolist()[1:], n]):
        parts.append(_reduce(f, a[i : stop if stop > i else i + 1], axis=0, dtype=dtype, keepdims=True))
    return moveaxis(concatenate(parts), 0, axis)


def _at(f: Any, a: Any, indices: Any, *b: Any) -> Any:
    a = operand(_name(f), a)
    if f.nin == 1 or (kind := _UPDATES.get(f.ufunc)) is None:
        return _one_by_one(f, a, indices, b)
    return getattr(IndexUpdate(a)[indices], kind)(lax.convert_element_type(operand(_name(f), b[0]), dtype_of(a)))


def _one_by_one(f: Any, a: Any, indices: Any, b: tuple[Any, ...]) -> Any:
    places = getitem(np.arange(aval_of(a).size).reshape(shape_of(a)), indices)
    values = [ravel(broadcast_to(operand(_name(f), v), shape_of(places))) for v in b]

    def step(x: Any, row: Any) -> Any:
        place, *own = row
        new = f(x[place], *own)
        return IndexUpdate(x)[place].set(lax.convert_element_type(new, dtype_of(a))), None

    out, _ = lax.scan(step, ravel(a), (ravel(places), *values))
    return lax.reshape(out, shape_of(a))


class ufunc(UfuncMethods):
    """A function of scalars as one of arrays, with the methods of a ufunc: what `frompyfunc` makes.

    >>> import functrans.numpy as fnp
    >>> add = fnp.frompyfunc(lambda x, y: x + y, 2, 1, identity=0)
    >>> isinstance(add, fnp.ufunc), add.reduce(fnp.arange(4))
    (True, Array(6))
    """

    ufunc = None

    def __init__(self, func: Callable[..., Any], nin: int, nout: int, identity: Any = None):
        self._func = func
        self._mapped = vectorize(func)
        self._counts = operator.index(nin), operator.index(nout)
        self._identity = identity
        self.__name__ = f"{getattr(func, '__name__', type(func).__name__)}"
        self.__doc__ = func.__doc__

    @property
    def nin(self) -> int:
        return self._counts[0]

    @property
    def nout(self) -> int:
        return self._counts[1]

    @property
    def identity(self) -> Any:
        return self._identity

    def __call__(self, *args: Any) -> Any:
        if len(args) != self.nin:
            raise ArgumentError(f"{self.__name__} takes {self.nin} arguments, got {len(args)}")
        return self._mapped._traced(args, {})

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r} of {self.nin} arguments>"


def _install() -> None:
    names = ("nin", "nout", "nargs", "identity", "reduce", "accumulate", "outer", "reduceat", "at", "_run")
    for cls in (Elementwise, Ufunc):
        for name in names:
            setattr(cls, name, UfuncMethods.__dict__[name])


_install()

#: Ufuncs on vectors and matrices.
GENERALIZED: dict[Any, Any] = {
    getattr(np, n): getattr(products, n) for n in ("matmul", "vecdot", "matvec", "vecmat") if hasattr(np, n)
}
