"""The public transformations, a file for each kind: differentiation, vectorization, compilation, staging."""

from functrans.api.compilation import Compiled, Jitted, Lowered, Traced, cache_info, clear_caches, disable_jit, jit
from functrans.api.devices import (
    Device,
    default_backend,
    default_device,
    device_count,
    device_get,
    device_put,
    devices,
    local_device_count,
    local_devices,
    process_count,
    process_index,
)
from functrans.api.differentiation import (
    fwd_and_bwd,
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linear_transpose,
    linearize,
    value_and_grad,
    vjp,
)
from functrans.api.explaining import explain
from functrans.api.profiling import Profile, profile
from functrans.api.staging import (
    block_until_ready,
    checkpoint,
    effects_barrier,
    ensure_compile_time_eval,
    eval_shape,
    make_jaxpr,
    named_call,
    named_scope,
    remat,
    typeof,
)
from functrans.api.vectorization import vmap
from functrans.lax.arrangement import stop_gradient

__all__ = [
    "Compiled", "Device", "Jitted", "Lowered", "Profile", "Traced", "block_until_ready", "cache_info", "checkpoint",
    "clear_caches", "default_backend", "default_device", "device_count", "device_get", "device_put", "devices",
    "disable_jit", "effects_barrier", "ensure_compile_time_eval", "eval_shape", "explain", "fwd_and_bwd", "grad",
    "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jit", "jvp", "linear_transpose", "linearize",
    "local_device_count", "local_devices", "make_jaxpr", "named_call", "named_scope", "process_count",
    "process_index", "profile", "remat", "stop_gradient", "typeof", "value_and_grad", "vjp", "vmap",
]  # fmt: skip
