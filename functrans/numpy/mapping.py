"""Functions of functions: applied along axes, element by element, or to the loops of a signature.

With traced arrays each is a `vmap`; with plain arrays NumPy calls the function in a loop. (NumPy's reference:
Functional programming.)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import lax
from functrans.api.vectorization import vmap
from functrans.core.trace import current_level
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import broadcast_shapes
from functrans.numpy.dispatch import has_tracer, implements, normalize_axis, operand, shape_of, wrap_result
from functrans.numpy.manipulation import broadcast_to, expand_dims, moveaxis


@implements(np.apply_along_axis)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.apply_along_axis(fnp.max, 1, [[1, 2], [4, 3]])
    Array([2, 4])
    """
    arr = operand("apply_along_axis", arr)
    axis = normalize_axis(axis, len(shape_of(arr)))
    moved = moveaxis(arr, axis, -1)
    loops = shape_of(moved)[:-1]
    if 0 in loops:
        raise ShapeError(f"apply_along_axis: there is nothing to apply the function to in shape {shape_of(arr)}")
    rows = lax.reshape(moved, (int(np.prod(loops, dtype=np.int64)), shape_of(moved)[-1]))
    out = vmap(lambda row: operand("apply_along_axis", func1d(row, *args, **kwargs)))(rows)
    own = shape_of(out)[1:]
    out = lax.reshape(out, (*loops, *own))
    n = len(loops)
    order = [*range(axis), *range(n, n + len(own)), *range(axis, n)]
    return lax.transpose(out, order)


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.apply_over_axes(fnp.sum, fnp.ones((2, 3, 4)), [0, 2])
    Array([[[8.],
            [8.],
            [8.]]])
    """
    a = operand("apply_over_axes", a)
    n = len(shape_of(a))
    for axis in axes if isinstance(axes, (tuple, list)) else (axes,):
        axis = normalize_axis(axis, n)
        out = func(a, axis)
        if len(shape_of(out)) != n:
            out = expand_dims(out, axis)
            if len(shape_of(out)) != n:
                raise ShapeError("apply_over_axes: the function must keep the axes, or take away the one it is given")
        a = out
    return a


_GROUP = re.compile(r"\(\s*([^()]*?)\s*\)")


def _core_dimensions(signature: str) -> tuple[list[list[str]], list[list[str]]]:
    """The names of the core dimensions of arguments and results, from a signature as `"(m,n),(n)->(m)"`."""
    sides = signature.replace(" ", "").split("->")
    name = r"\((?:\w+(?:,\w+)*)?\)"
    if len(sides) != 2 or not all(re.fullmatch(f"{name}(?:,{name})*", side) for side in sides):
        raise ArgumentError(f"vectorize: {signature!r} is not a signature such as '(m,n),(n)->(m)'")
    first, second = ([[d for d in g.split(",") if d] for g in _GROUP.findall(side)] for side in sides)
    return first, second


class vectorize:
    """A function of scalars (or of the arrays of a signature) as one of arrays, as `numpy.vectorize`.

    With traced arrays the function is mapped by `vmap`. With plain arrays NumPy calls it for each element.

    Args:
        pyfunc: the function; without it, a decorator.
        otypes: the dtypes of the results, as a string of type codes or a list.
        excluded: positions and names of arguments that are not mapped.
        signature: the core dimensions of arguments and results, as `"(n),(n)->()"`.
        doc, cache: as in NumPy; nothing is cached for traced arrays.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> clipped = fnp.vectorize(lambda x, low: fnp.where(x < low, low, x))
    >>> ft.jit(clipped)(fnp.arange(4.0), 1.5)
    Array([1.5, 1.5, 2. , 3. ])
    """

    def __init__(
        self, pyfunc: Any = None, otypes: Any = None, doc: Any = None, excluded: Any = None, cache: bool = False,
        signature: str | None = None,
    ):  # fmt: skip
        self.pyfunc = pyfunc
        self.otypes = otypes
        self.excluded = set(excluded or ())
        self.cache = cache
        self.signature = signature
        self._dimensions = _core_dimensions(signature) if signature is not None else None
        self._doc = doc
        if pyfunc is not None:
            functools.update_wrapper(self, pyfunc)
            if doc is not None:
                self.__doc__ = doc

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.pyfunc is None:
            return vectorize(args[0], self.otypes, self._doc, self.excluded, self.cache, self.signature)
        if not current_level() and not has_tracer(args) and not has_tracer(kwargs.values()):
            otypes = self.otypes
            plain = np.vectorize(self.pyfunc, otypes, None, self.excluded, self.cache, self.signature)
            return wrap_result(plain(*args, **kwargs))
        return self._traced(args, kwargs)

    def _traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        places: list[Any] = [i for i in range(len(args)) if i not in self.excluded]
        places += [k for k in kwargs if k not in self.excluded]
        values = [operand("vectorize", args[p] if isinstance(p, int) else kwargs[p]) for p in places]
        cores = [0] * len(values)
        if self._dimensions is not None:
            names = self._dimensions[0]
            if len(names) != len(values):
                raise ArgumentError(f"vectorize: {self.signature} has {len(names)} arguments, {len(values)} are given")
            self._check(values, names)
            cores = [len(n) for n in names]
        loops = [shape_of(v)[: len(shape_of(v)) - c] for v, c in zip(values, cores)]
        loop = broadcast_shapes("vectorize", loops) if loops else ()
        size = int(np.prod(loop, dtype=np.int64))
        flat = []
        for v, c in zip(values, cores):
            core = shape_of(v)[len(shape_of(v)) - c :]
            flat.append(lax.reshape(broadcast_to(v, (*loop, *core)), (size, *core)))

        def example(*chosen: Any) -> tuple[Any, ...]:
            own, named = list(args), dict(kwargs)
            for place, value in zip(places, chosen):
                (own if isinstance(place, int) else named)[place] = value
            out = self.pyfunc(*own, **named)
            outs = out if isinstance(out, tuple) else (out,)
            single[:] = [not isinstance(out, tuple)]
            return tuple(operand("vectorize", o) for o in outs)

        single: list[bool] = []
        outs = vmap(example)(*flat)
        outs = [lax.reshape(o, (*loop, *shape_of(o)[1:])) for o in outs]
        if self._dimensions is not None:
            self._check_results(outs, len(loop))
        if self.otypes is not None:
            types = list(self.otypes)
            outs = [lax.convert_element_type(o, np.dtype(t)) for o, t in zip(outs, types)]
        return outs[0] if single[0] else tuple(outs)

    def _check(self, values: list[Any], names: list[list[str]]) -> None:
        sizes: dict[str, int] = {}
        for value, dims in zip(values, names):
            shape = shape_of(value)
            if len(shape) < len(dims):
                raise ShapeError(
                    f"vectorize: an argument of shape {shape} has fewer axes than its dimensions in {self.signature}"
                )
            for name, n in zip(dims, shape[len(shape) - len(dims) :]):
                if sizes.setdefault(name, n) != n:
                    raise ShapeError(f"vectorize: dimension {name} of {self.signature} has sizes {sizes[name]} and {n}")

    def _check_results(self, outs: list[Any], loops: int) -> None:
        assert self._dimensions is not None
        names = self._dimensions[1]
        if len(names) != len(outs):
            raise ArgumentError(f"vectorize: {self.signature} has {len(names)} results, the function gave {len(outs)}")
        for out, dims in zip(outs, names):
            if len(shape_of(out)) - loops != len(dims):
                raise ShapeError(
                    f"vectorize: a result of shape {shape_of(out)[loops:]} does not fit ({','.join(dims)}) of "
                    f"{self.signature}"
                )


def frompyfunc(func: Callable[..., Any], /, nin: int, nout: int, *, identity: Any = None) -> Any:
    """A function of scalars as a function of arrays with a ufunc's methods, after `numpy.frompyfunc`.

    It works on numbers, also traced ones; NumPy's works on Python objects. As in JAX.

    >>> import functrans.numpy as fnp
    >>> fnp.frompyfunc(lambda x, y: x * y + 1, 2, 1).accumulate(fnp.array([1, 2, 3]))
    Array([ 1,  3, 10])
    """
    from functrans.numpy.ufuncmethods import ufunc

    return ufunc(func, nin, nout, identity)
