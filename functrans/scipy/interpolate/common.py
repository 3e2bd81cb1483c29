"""What the interpolators share: they are pytrees, and some of their arguments are vectors that increase."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans.core.array import wrap
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of, real_dtype
from functrans.core.pytree import GetAttrKey, register_pytree_with_keys
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import common_dtype


class Interpolator:
    """A pytree: `arrays` are the names of its children, `static` those of what belongs to its structure."""

    arrays: ClassVar[tuple[str, ...]] = ()
    static: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        def flat(self: Any) -> Any:
            children = [(GetAttrKey(name), getattr(self, name)) for name in cls.arrays]
            return children, tuple(getattr(self, name) for name in cls.static)

        def whole(static: Any, children: Any) -> Any:
            self = object.__new__(cls)
            self.__dict__.update(zip((*cls.arrays, *cls.static), (*children, *static)))
            return self

        register_pytree_with_keys(cls, flat, whole)

    def is_plain(self, *others: Any) -> bool:
        """Whether its arrays and these values are plain data, for which SciPy's own code runs."""
        values = [v for name in self.arrays for v in _listed(getattr(self, name))]
        return all(_is_plain(v) for v in (*values, *others))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_short(getattr(self, name))}" for name in (*self.arrays, *self.static))
        return f"{type(self).__name__}({fields})"


def _listed(value: Any) -> Any:
    return value if isinstance(value, (tuple, list)) else (value,)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(v) for v in value)
    return not isinstance(value, Tracer)


def _short(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_short, value))})"
    return f"{aval_of(value)}" if hasattr(value, "dtype") else f"{value!r:.40}"


def scipys() -> Any:
    """SciPy's module, imported when code of it first runs."""
    return importlib.import_module("scipy.interpolate")


def inexact(name: str, what: str, value: Any, complexes: bool = True) -> Any:
    """An array of floats (or complex numbers)."""
    value = fnp.asarray(value)
    if kind_of(aval_of(value).dtype) not in ("biufc" if complexes else "biuf"):
        raise DTypeError(f"{name} takes {'' if complexes else 'real '}numbers as {what}, got {aval_of(value).dtype}")
    return as_inexact(value)


def increasing(name: str, what: str, value: Any, least: int = 2) -> Any:
    """A vector of real numbers that increase; of a traced one that is taken for granted."""
    value = inexact(name, what, value, complexes=False)
    if aval_of(value).ndim != 1:
        raise ShapeError(f"{name} takes {what} of one dimension, got shape {aval_of(value).shape}")
    if aval_of(value).size < least:
        raise ShapeError(f"{name} takes at least {least} points as {what}, got {aval_of(value).size}")
    if not isinstance(value, Tracer):
        if not np.all(np.isfinite(value)):
            raise ArgumentError(f"{name} takes finite numbers as {what}")
        if not np.all(np.diff(value) > 0):
            raise ArgumentError(f"{name} takes {what} that increase strictly")
    return value


def samples(name: str, x: Any, y: Any, axis: int, small: bool = False) -> tuple[Any, Any, int]:
    """Points, and values with their axis first, both in one precision; small floats as float32 unless `small`."""
    x, y = increasing(name, "x", x), inexact(name, "y", y)
    ndim = aval_of(y).ndim
    if not -ndim <= axis < ndim or aval_of(y).shape[axis] != aval_of(x).size:
        raise ShapeError(
            f"{name} takes y with {aval_of(x).size} values along axis {axis}, as x has, got shape {aval_of(y).shape}"
        )
    y = fnp.moveaxis(y, axis, 0)
    real = common_dtype(real_dtype(aval_of(y).dtype), aval_of(x).dtype)
    real = np.dtype(np.float32) if real in SMALL_FLOATS and not small else real
    return x.astype(real), y.astype(common_dtype(real, aval_of(y).dtype)), axis % ndim


def is_double(x: Any) -> bool:
    """Whether an array is in double precision; SciPy's interpolators take the others for it."""
    return real_dtype(aval_of(x).dtype).itemsize == 8


def spread(x: Any, y: Any) -> Any:
    """A vector to broadcast along the first axis of an array."""
    return fnp.reshape(x, (-1, *[1] * (aval_of(y).ndim - 1)))


def wrapped(value: Any) -> Any:
    """SciPy's array as an `Array`."""
    return wrap(np.asarray(value))


def evaluated(v: Any, values: Any, axis: int) -> Any:
    """Values at the raveled points `v`, first axis, with the shape of `v` at the axis of the samples."""
    shape = aval_of(v).shape
    rest = aval_of(values).shape[1:]
    values = fnp.reshape(values, (*shape, *rest))
    return fnp.moveaxis(values, list(range(len(shape))), list(range(axis, axis + len(shape)))) if axis else values
