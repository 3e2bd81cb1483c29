"""How a function here is SciPy's own on plain arrays and ours on tracers; as `functrans.numpy.dispatch` for NumPy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import functrans.numpy as fnp
from functrans import config
from functrans.core.avals import aval_of, kind_of
from functrans.core.pytree import flatten
from functrans.core.watching import check_results
from functrans.numpy.dispatch import checked, explained, has_tracer, wrap_result

F = TypeVar("F", bound=Callable[..., Any])


def implements(module: str, *beyond: str) -> Callable[[F], F]:
    """Make a function of tracers the traced form of the function of its name in a module of SciPy's.

    The module is named and not passed: it is imported when a function of it is first called on plain arrays. A mistake
    gets one text, eagerly and in traced functions: that of the traced form, where it has one.

    Args:
        beyond: names of arguments that SciPy's function does not have. Where one is given, the traced form runs on
            plain values too.
    """
    extra = frozenset(beyond)

    def register(traced: F) -> F:
        name = traced.__name__
        form = checked(name, traced)

        @functools.wraps(traced)
        def function(*args: Any, **kwargs: Any) -> Any:
            if has_tracer(args) or (kwargs and (has_tracer(kwargs.values()) or not extra.isdisjoint(kwargs))):
                return form(*args, **kwargs)
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


def inexact(x: Any) -> Any:
    """An array of floats or complex numbers: of its own dtype, or float64 if it holds others."""
    x = fnp.asarray(x)
    return x if kind_of(aval_of(x).dtype) in "fc" else x.astype(np.float64)
