"""Arrays from files, text and iterators, and to files (NumPy's reference: Input and output).

NumPy's own functions, whose results become arrays of the type `Array`. Traced arrays have no values to write.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.pytree import flatten
from functrans.core.trace import Tracer
from functrans.errors import ConcretizationError
from functrans.numpy.dispatch import wrap_result


def _handed_on(name: str, returns_array: bool) -> Callable[..., Any]:
    plain = getattr(np, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        for leaf in flatten((args, kwargs))[0]:
            if isinstance(leaf, Tracer):
                leaf.concrete(ConcretizationError, f"the values for numpy.{name}")
        out = plain(*args, **kwargs)
        return wrap_result(out) if returns_array else out

    functools.update_wrapper(function, plain)
    function.__module__ = __name__
    function.__doc__ = f"NumPy's own `numpy.{name}`" + (", its result as an `Array`." if returns_array else ".")
    return function


load = _handed_on("load", True)
loadtxt = _handed_on("loadtxt", True)
genfromtxt = _handed_on("genfromtxt", True)
fromfile = _handed_on("fromfile", True)
fromiter = _handed_on("fromiter", True)
fromstring = _handed_on("fromstring", True)
save = _handed_on("save", False)
savez = _handed_on("savez", False)
savez_compressed = _handed_on("savez_compressed", False)
savetxt = _handed_on("savetxt", False)
