"""What reverse mode keeps: the names of `jax.ad_checkpoint`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functrans import checkpoint_policies
from functrans.api import checkpoint, remat, vjp
from functrans.api.flattening import argument_names, check_leaf, name_of
from functrans.core.avals import aval_of
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import StagedTracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.lax.calls import checkpoint_name

__all__ = ["checkpoint", "checkpoint_name", "checkpoint_policies", "print_saved_residuals", "remat", "saved_residuals"]


@api_boundary
def saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> list[str]:
    """The arrays that reverse mode keeps between forward and backward pass: their types, and where they arise.

    Args:
        f: a function of pytrees of arrays.
        args, kwargs: its arguments, or `ShapeDtypeStruct` for each array.

    >>> import functrans as ft, numpy as np
    >>> from functrans.ad_checkpoint import saved_residuals
    >>> for line in saved_residuals(lambda x: np.sum(np.sin(np.sin(x))), np.ones(3)):
    ...     print(line)
    f64[3] the result of cos of x at ...
    f64[3] the result of cos at ...
    """
    leaves, tree = flatten((args, kwargs))
    name = name_of(f)
    avals = [check_leaf(x, f"an argument of {name}") for x in leaves]
    found: dict[Any, str] = {}  # by variable

    def run(*values: Any) -> list[Any]:
        def call(*values: Any) -> Any:
            own_args, own_kwargs = unflatten(tree, values)
            return f(*own_args, **own_kwargs)

        for value in flatten(vjp(call, *values)[1])[0]:
            if isinstance(value, StagedTracer):
                found[value._var] = value.describe()
            else:
                found[id(value)] = f"{aval_of(value)} a constant"
        return []

    stage(run, avals, name, argument_names(f, args, kwargs))
    return list(found.values())


def print_saved_residuals(f: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print `saved_residuals`, a line for each.

    >>> import functrans as ft, numpy as np
    >>> from functrans.ad_checkpoint import print_saved_residuals
    >>> print_saved_residuals(ft.checkpoint(lambda x: np.sin(np.sin(x))), 1.0)
    f64[] the argument x of checkpoint_of_<lambda>
    """
    for line in saved_residuals(f, *args, **kwargs):
        print(line)
