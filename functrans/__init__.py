"""Functional transformations of NumPy programs: `grad`, `vmap`, `jit` and the rest, in the style of JAX."""

import importlib
from typing import Any

from functrans import errors, lax, numpy, tree, tree_util
from functrans.api import (
    block_until_ready,
    cache_info,
    checkpoint,
    default_device,
    device_get,
    device_put,
    devices,
    disable_jit,
    ensure_compile_time_eval,
    eval_shape,
    explain,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jit,
    jvp,
    linear_transpose,
    linearize,
    make_jaxpr,
    named_call,
    profile,
    remat,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from functrans.core.array import Array
from functrans.core.avals import ShapeDtypeStruct, float0
from functrans.custom_derivatives import custom_gradient
from functrans.drawing import visualize
from functrans.lax.callbacks import io_callback, pure_callback
from functrans.lax.calls import checkpoint_name
from functrans.lax.custom import custom_jvp, custom_vjp
from functrans.lax.linear_call import closure_convert
from functrans.serialization import load, save

__version__ = "0.1.0"

_ON_DEMAND = (
    "checking", "checkpoint_policies", "config", "custom_batching", "custom_derivatives", "debug", "experimental",
    "export", "flatten_util", "losses", "metrics", "nn", "ops", "optim", "random", "scipy", "testing", "train",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return importlib.import_module(f"functrans.{name}")
    raise AttributeError(f"module 'functrans' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})


__all__ = [
    "Array", "ShapeDtypeStruct", "block_until_ready", "cache_info", "checkpoint", "checkpoint_name", "closure_convert",
    "custom_gradient", "custom_jvp", "custom_vjp", "default_device", "device_get", "device_put", "devices",
    "disable_jit", "ensure_compile_time_eval", "errors", "eval_shape", "explain", "float0", "grad", "hessian", "hvp",
    "io_callback", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "lax", "linear_transpose", "linearize", "load",
    "make_jaxpr", "named_call", "numpy", "profile", "pure_callback", "remat", "save", "stop_gradient", "tree",
    "tree_util", "value_and_grad", "visualize", "vjp", "vmap",
]  # fmt: skip
