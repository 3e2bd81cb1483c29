"""Primitives and the functions over them, by family; names and semantics of `jax.lax`."""

from typing import Any

from functrans.core.primitive import registry
from functrans.lax import elementwise_docs as _elementwise_docs, linalg, special_docs as _special_docs  # noqa: F401
from functrans.lax.arrangement import (
    broadcast,
    broadcast_like,
    broadcast_shapes,
    broadcast_to_rank,
    collapse,
    composite,
    dtype,
    empty,
    full_like,
    optimization_barrier,
    platform_dependent,
    select_n,
    shape_as_value,
    split,
    stack,
    stop_gradient,
    tile,
    unstack,
)
from functrans.lax.bits import (
    RoundingMethod,
    bitcast_convert_type,
    clz,
    mulhi,
    population_count,
    reduce_precision,
    round,
    rsqrt,
    shift_right_logical,
)
from functrans.lax.broadcasting import (
    broadcast_in_dim,
    broadcast_to,
    broadcasted_iota,
    full,
    iota,
)
from functrans.lax.collectives import (
    all_gather,
    all_to_all,
    axis_index,
    axis_size,
    pbroadcast,
    pmax,
    pmean,
    pmin,
    ppermute,
    pshuffle,
    psum,
    psum_scatter,
    pswapaxes,
)
from functrans.lax.contraction import Precision, batch_matmul, dot, dot_general, ragged_dot
from functrans.lax.control import cond, switch
from functrans.lax.conversion import convert_element_type
from functrans.lax.convolution import (
    ConvDimensionNumbers,
    conv,
    conv_dimension_numbers,
    conv_general_dilated,
    conv_transpose,
    conv_with_general_padding,
)
from functrans.lax.dimension_numbers import (
    GatherDimensionNumbers,
    GatherScatterMode,
    ScatterDimensionNumbers,
    gather,
    scatter,
    scatter_add,
    scatter_apply,
    scatter_max,
    scatter_min,
    scatter_mul,
    scatter_sub,
)
from functrans.lax.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    cbrt,
    ceil,
    clamp,
    complex,
    conj,
    cos,
    cosh,
    digamma,
    div,
    eq,
    erf,
    erf_inv,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    ge,
    gt,
    imag,
    integer_pow,
    isfinite,
    isfinite as is_finite,
    le,
    lgamma,
    log,
    log1p,
    logistic,
    lt,
    max,
    min,
    mul,
    ne,
    neg,
    nextafter,
    polygamma,
    pow,
    real,
    reciprocal,
    rem,
    select,
    shift_left,
    shift_right as shift_right_arithmetic,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    sub,
    tan,
    tanh,
)
from functrans.lax.fourier import FftType, fft
from functrans.lax.implicit import custom_linear_solve, custom_root
from functrans.lax.incomplete import (
    igamma,
    igamma_grad_a,
    igammac,
    random_gamma_grad,
    regularized_incomplete_beta,
    regularized_incomplete_beta as betainc,
)
from functrans.lax.indexing import (
    dynamic_index_in_dim,
    dynamic_slice,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice,
    dynamic_update_slice_in_dim,
    index_in_dim,
    index_take,
)
from functrans.lax.loops import fori_loop, while_loop
from functrans.lax.monoids import reduce
from functrans.lax.patches import conv_general_dilated_local, conv_general_dilated_patches
from functrans.lax.random import RandomAlgorithm, rng_bit_generator
from functrans.lax.reductions import (
    argmax,
    argmin,
    cumlogsumexp,
    cummax,
    cummin,
    cumprod,
    cumsum,
    reduce_and,
    reduce_max,
    reduce_min,
    reduce_or,
    reduce_prod,
    reduce_sum,
    reduce_xor,
)
from functrans.lax.scans import associative_scan, map, scan
from functrans.lax.sorting import approx_max_k, approx_min_k, argsort, sort, sort_key_val, top_k
from functrans.lax.special import bessel_i0e, bessel_i1e, zeta
from functrans.lax.structural import (
    concatenate,
    expand_dims,
    pad,
    reshape,
    rev,
    slice,
    slice_in_dim,
    squeeze,
    transpose,
)
from functrans.lax.windows import (
    padtype_to_pads,
    reduce_window,
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
)

__all__ = [
    "ConvDimensionNumbers", "FftType", "GatherDimensionNumbers", "GatherScatterMode", "Precision", "RandomAlgorithm",
    "RoundingMethod", "ScatterDimensionNumbers", "abs", "acos", "acosh", "add", "all_gather", "all_to_all",
    "approx_max_k", "approx_min_k", "argmax", "argmin", "argsort", "asin", "asinh", "associative_scan", "atan",
    "atan2", "atanh", "axis_index", "axis_size", "batch_matmul", "bessel_i0e", "bessel_i1e", "betainc",
    "bitcast_convert_type", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "broadcast",
    "broadcast_in_dim", "broadcast_like", "broadcast_shapes", "broadcast_to", "broadcast_to_rank",
    "broadcasted_iota", "cbrt", "ceil", "clamp", "clz", "collapse", "complex", "composite", "concatenate", "cond",
    "conj", "conv", "conv_dimension_numbers", "conv_general_dilated", "conv_general_dilated_local",
    "conv_general_dilated_patches", "conv_transpose", "conv_with_general_padding", "convert_element_type", "cos",
    "cosh", "cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "custom_linear_solve", "custom_root",
    "digamma", "div", "dot", "dot_general",
    "dtype", "dynamic_index_in_dim", "dynamic_slice", "dynamic_slice_in_dim", "dynamic_update_index_in_dim",
    "dynamic_update_slice", "dynamic_update_slice_in_dim", "empty", "eq", "erf", "erf_inv", "erfc", "exp", "exp2",
    "expand_dims", "expm1", "fft", "floor", "fori_loop", "full", "full_like", "gather", "ge", "gt", "igamma",
    "igamma_grad_a", "igammac", "imag", "index_in_dim", "index_take", "integer_pow", "iota", "is_finite",
    "isfinite", "le", "lgamma", "linalg", "log", "log1p", "logistic", "lt", "map", "max", "min", "mul", "mulhi",
    "ne", "neg", "nextafter", "optimization_barrier", "pad", "padtype_to_pads", "pbroadcast", "platform_dependent",
    "pmax", "pmean", "pmin", "polygamma", "population_count", "pow", "ppermute", "pshuffle", "psum",
    "psum_scatter", "pswapaxes", "ragged_dot", "random_gamma_grad", "real", "reciprocal", "reduce", "reduce_and",
    "reduce_max", "reduce_min", "reduce_or", "reduce_precision", "reduce_prod", "reduce_sum", "reduce_window",
    "reduce_window_max", "reduce_window_min", "reduce_window_sum", "reduce_xor", "regularized_incomplete_beta",
    "rem", "reshape", "rev", "rng_bit_generator", "round", "rsqrt", "scan", "scatter", "scatter_add",
    "scatter_apply", "scatter_max", "scatter_min", "scatter_mul", "scatter_sub", "select", "select_n",
    "shape_as_value", "shift_left", "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh",
    "slice", "slice_in_dim", "sort", "sort_key_val", "split", "sqrt", "square", "squeeze", "stack",
    "stop_gradient", "sub", "switch", "tan", "tanh", "tile", "top_k", "transpose", "unstack", "while_loop", "zeta",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """A primitive by its name in JAX: `lax.sin_p`."""
    if name.endswith("_p") and name.removesuffix("_p") in registry:
        return registry[name.removesuffix("_p")]
    raise AttributeError(f"module 'functrans.lax' has no attribute {name!r}")
