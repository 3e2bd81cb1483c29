"""What every sampler asks of its arguments."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from functrans.core.avals import aval_of, kind_of
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.broadcasting import broadcast_to, canonical_shape
from functrans.lax.conversion import as_inexact, convert_element_type
from functrans.random import reuse

Shape = tuple[int, ...]


def checked_key(name: str, key: Any, consumes: bool = True) -> Any:
    """`key`, which must be a single one; under `config.debug_key_reuse` one that was not used before."""
    if not isinstance(key, (np.ndarray, Tracer)):
        key = np.asarray(key)
    aval = aval_of(key)
    if aval.dtype != np.uint32 or aval.shape[-1:] != (2,):
        raise DTypeError(f"{name}: a key is an array of uint32 of shape (2,), as random.key(seed) makes it; got {aval}")
    if aval.ndim != 1:
        raise ShapeError(f"{name} takes one key, got {aval}: use vmap for an array of keys")
    if reuse.watched() and consumes:
        reuse.consume(name, key)
    return key


def checked_shape(name: str, shape: Any, *parameters: Any) -> Shape:
    """`shape` as a tuple, by default that of the parameters, which must broadcast to it."""
    own = [aval_of(p).shape for p in parameters]
    try:
        common = np.broadcast_shapes(*own)
    except ValueError:
        raise ShapeError(f"{name}: parameters of shapes {' and '.join(map(str, own))} do not broadcast") from None
    if shape is None:
        return common
    shape = canonical_shape(shape)
    try:
        fits = np.broadcast_shapes(common, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{name}: parameters of shape {common} do not broadcast to samples of shape {shape}")
    return shape


def checked_dtype(name: str, dtype: Any, kinds: str) -> np.dtype:
    """`dtype` as an object, of one of these kinds; for `None` the one of 64 bits."""
    if dtype is None:
        dtype = {"u": np.uint64, "iu": np.int64}.get(kinds, np.float64)
    dtype = np.dtype(dtype)
    if kind_of(dtype) not in kinds:
        expected = {"f": "a float", "fc": "a float or complex", "iu": "an integer", "u": "an unsigned integer"}
        raise DTypeError(f"{name} makes samples of {expected.get(kinds, 'a number')} dtype, got dtype={dtype}")
    return dtype


def parameter(name: str, value: Any, dtype: np.dtype, shape: Shape | None = None) -> Any:
    """A parameter of a distribution in the dtype of the samples, broadcast to a shape if one is given."""
    value = real(name, value)
    value = convert_element_type(value, dtype)
    return value if shape is None else broadcast_to(value, shape)


def real(name: str, value: Any) -> Any:
    """A parameter as an array of real numbers."""
    if not isinstance(value, (np.ndarray, Tracer)):
        value = np.asarray(value)
    if kind_of(aval_of(value).dtype) not in "biuf":
        raise DTypeError(f"{name}: parameters are real numbers, got {aval_of(value)}")
    return value


def floating(name: str, value: Any) -> Any:
    """A parameter as an array of floats: of its own dtype, or float64 if it holds integers."""
    return as_inexact(real(name, value))


def concrete(name: str, what: str, value: Any) -> int:
    """An argument that decides about a shape."""
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{name}: {what} must be an integer, got {value!r}") from None
