"""Tests of mathematical functions by properties: derivatives, transformations, and arrays to try them on.

`check_grads` holds derivatives to numerical ones; `check_transforms` holds all that `jit`, `vmap`, `grad` and the rest
make of a function to the plain function, on arrays that Hypothesis draws, and reports a small counterexample. All but
the first three names need the package `hypothesis` (`pip install hypothesis`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from functrans.testing.gradients import check_grads, complex_step_jvp, numerical_jvp

if TYPE_CHECKING:
    from functrans.testing.strategies import arrays, broadcastable_shapes, dtypes, pytrees, scalars, shapes
    from functrans.testing.transforms import TRANSFORMS, check_transforms

__all__ = [
    "TRANSFORMS", "arrays", "broadcastable_shapes", "check_grads", "check_transforms", "complex_step_jvp", "dtypes",
    "numerical_jvp", "pytrees", "scalars", "shapes",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'functrans.testing' has no attribute {name!r}")
    module = "transforms" if name in ("TRANSFORMS", "check_transforms") else "strategies"
    try:
        return getattr(importlib.import_module(f"functrans.testing.{module}"), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ModuleNotFoundError(
            f"functrans.testing.{name} needs the package hypothesis: pip install hypothesis", name="hypothesis"
        ) from None


def __dir__() -> list[str]:
    return sorted(__all__)
