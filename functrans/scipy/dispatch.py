"""How a function here is SciPy's own on plain arrays and ours on tracers; as `functrans.numpy.dispatch` for NumPy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import functrans.numpy as fnp
from functrans import config
from functrans.core.avals import SMALL_FLOATS, aval_of, inexact_dtype
from functrans.core.pytree import flatten
from functrans.core.watching import check_results
from functrans.errors import ArgumentError
from functrans.lax.conversion import as_inexact
from functrans.lax.promotion import common_dtype
from functrans.numpy.dispatch import as_ours, checked, explained, has_tracer, wrap_result

F = TypeVar("F", bound=Callable[..., Any])


def implements(module: str, *beyond: str, lapack: bool = False) -> Callable[[F], F]:
    """Make a function of tracers the traced form of the function of its name in a module of SciPy's.

    The module is named and not passed: it is imported when a function of it is first called on plain arrays. A mistake
    gets one text, eagerly and in traced functions: that of the traced form, where it has one. Small floats are for the
    traced form: SciPy refuses some, takes others for float64, and does not know bfloat16.

    Args:
        beyond: names of arguments that SciPy's function does not have. Where one is given, the traced form runs on
            plain values too.
        lapack: whether small floats become float32 and stay SciPy's.
    """
    extra = frozenset(beyond)

    def register(traced: F) -> F:
        name = traced.__name__
        form = checked(name, traced)

        @functools.wraps(traced)
        def function(*args: Any, **kwargs: Any) -> Any:
            if has_tracer(args) or (kwargs and (has_tracer(kwargs.values()) or not extra.isdisjoint(kwargs))):
                return form(*args, **kwargs)
            if _holds_small(args) or (kwargs and _holds_small(kwargs.values())):
                if not lapack:
                    return form(*as_ours(args), **{k: as_ours(v) for k, v in kwargs.items()})
                args, kwargs = _in_single(args), {k: _in_single(v) for k, v in kwargs.items()}
            plain = getattr(importlib.import_module(module), name, traced)  # SciPy may be older than its function
            try:
                out = wrap_result(plain(*args, **kwargs))
            except Exception as error:
                raise explained(error, form, args, kwargs) from None
            if config.watched:
                check_results(name, args, flatten(out)[0])
            return out

        return function  # type: ignore[return-value]

    return register


def of_plain_numbers(module: str, name: str, doc: str, why: str) -> Callable[..., Any]:
    """SciPy's own function, with results as plain arrays; traced arguments are refused, for the reason `why`."""

    def function(*args: Any, **kwargs: Any) -> Any:
        if has_tracer((*args, *kwargs.values())):
            raise ArgumentError(f"{name} takes plain numbers{why}")
        return wrap_result(getattr(importlib.import_module(module), name)(*args, **kwargs))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _holds_small(values: Any) -> bool:
    """Whether an array of float16 or bfloat16 is among the arguments, or in a list or tuple among them."""
    for v in values:
        if isinstance(v, (np.ndarray, np.generic)):
            if v.dtype in SMALL_FLOATS:
                return True
        elif isinstance(v, (list, tuple)) and _holds_small(v):
            return True
    return False


def _in_single(value: Any) -> Any:
    """Arrays of float16 and bfloat16, also in lists and tuples, as float32: LAPACK knows no smaller floats."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.astype(np.float32) if value.dtype in SMALL_FLOATS else value
    return type(value)(map(_in_single, value)) if type(value) in (list, tuple) else value


def inexact(x: Any) -> Any:
    """An array of floats or complex numbers: of its own dtype, or float64 if it holds others."""
    return as_inexact(fnp.asarray(x))


def of_one_dtype(*values: Any, small: bool = True) -> list[Any]:
    """Arrays of floats or complex numbers in one dtype, which is a small one only if `small`."""
    arrays = [fnp.asarray(v) for v in values]
    dtype = inexact_dtype(common_dtype(*(aval_of(a).dtype for a in arrays)))
    return [a.astype(np.float32 if dtype in SMALL_FLOATS and not small else dtype) for a in arrays]
