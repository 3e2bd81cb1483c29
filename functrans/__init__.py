"""Functional transformations of NumPy programs: `grad`, `vmap`, `jit` and the rest, in the style of JAX."""

import importlib
from typing import Any

from functrans import core, errors, lax, numpy, tree, tree_util
from functrans.api import (
    block_until_ready,
    cache_info,
    checkpoint,
    clear_caches,
    default_backend,
    default_device,
    device_count,
    device_get,
    device_put,
    devices,
    disable_jit,
    effects_barrier,
    ensure_compile_time_eval,
    eval_shape,
    explain,
    fwd_and_bwd,
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
    local_device_count,
    local_devices,
    make_jaxpr,
    named_call,
    named_scope,
    process_count,
    process_index,
    profile,
    remat,
    stop_gradient,
    typeof,
    value_and_grad,
    vjp,
    vmap,
)
from functrans.config import (
    check_tracer_leaks,
    checking_leaks,
    debug_infs,
    debug_key_reuse,
    debug_nans,
    default_matmul_precision,
    default_prng_impl,
    enable_checks,
    enable_x64,
    explain_cache_misses,
    log_compiles,
    numpy_dtype_promotion,
    numpy_rank_promotion,
    threefry_partitionable,
    transfer_guard,
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
    "ad_checkpoint", "checking", "checkpoint_policies", "config", "custom_batching", "custom_derivatives", "debug",
    "dtypes", "experimental", "export", "flatten_util", "image", "losses", "metrics", "nn", "ops", "optim",
    "random", "scipy", "stages", "testing", "train", "typing",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return importlib.import_module(f"functrans.{name}")
    raise AttributeError(f"module 'functrans' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})


__all__ = [
    "Array", "ShapeDtypeStruct", "block_until_ready", "cache_info", "check_tracer_leaks", "checking_leaks",
    "checkpoint", "checkpoint_name", "clear_caches", "closure_convert", "core", "custom_gradient", "custom_jvp",
    "custom_vjp", "debug_infs", "debug_key_reuse", "debug_nans", "default_backend", "default_device",
    "default_matmul_precision", "default_prng_impl", "device_count", "device_get", "device_put", "devices",
    "disable_jit", "effects_barrier", "enable_checks", "enable_x64", "ensure_compile_time_eval", "errors",
    "eval_shape", "explain", "explain_cache_misses", "float0", "fwd_and_bwd", "grad", "hessian", "hvp",
    "io_callback", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "lax", "linear_transpose", "linearize", "load",
    "local_device_count", "local_devices", "log_compiles", "make_jaxpr", "named_call", "named_scope", "numpy",
    "numpy_dtype_promotion", "numpy_rank_promotion", "process_count", "process_index", "profile", "pure_callback",
    "remat", "save", "stop_gradient", "threefry_partitionable", "transfer_guard", "tree", "tree_util", "typeof",
    "value_and_grad", "visualize", "vjp", "vmap",
]  # fmt: skip
