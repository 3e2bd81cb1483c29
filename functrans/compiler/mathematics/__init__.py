"""Mathematical functions for kernels: straight-line code that vectorises in the loop that calls it.

`exp_f64`, `exp_f32` and so on, by NumPy's names: Numba intrinsics, whose `py_func` is the text they are made from. Each
states the largest error that its method allows, in units in the last place (ulp). Special values are NumPy's.
"""

from functrans.compiler.mathematics import plane
from functrans.compiler.mathematics.division import divide_by_f32 as divide_by_f32, divide_by_f64 as divide_by_f64
from functrans.compiler.mathematics.error_function import (
    erf_f32 as erf_f32,
    erf_f64 as erf_f64,
    erfc_f32 as erfc_f32,
    erfc_f64 as erfc_f64,
    erfinv_f32 as erfinv_f32,
    erfinv_f64 as erfinv_f64,
)
from functrans.compiler.mathematics.exponential import (
    exp2_f32 as exp2_f32,
    exp2_f64 as exp2_f64,
    exp_f32 as exp_f32,
    exp_f64 as exp_f64,
    expm1_f32 as expm1_f32,
    expm1_f64 as expm1_f64,
    logistic_f32 as logistic_f32,
    logistic_f64 as logistic_f64,
)
from functrans.compiler.mathematics.gamma import (
    digamma_f32 as digamma_f32,
    digamma_f64 as digamma_f64,
    lgamma_f32 as lgamma_f32,
    lgamma_f64 as lgamma_f64,
)
from functrans.compiler.mathematics.hyperbolic import (
    arccosh_f32 as arccosh_f32,
    arccosh_f64 as arccosh_f64,
    arcsinh_f32 as arcsinh_f32,
    arcsinh_f64 as arcsinh_f64,
    arctanh_f32 as arctanh_f32,
    arctanh_f64 as arctanh_f64,
    cosh_f32 as cosh_f32,
    cosh_f64 as cosh_f64,
    sinh_f32 as sinh_f32,
    sinh_f64 as sinh_f64,
    tanh_f32 as tanh_f32,
    tanh_f64 as tanh_f64,
)
from functrans.compiler.mathematics.inverse_trigonometric import (
    arccos_f32 as arccos_f32,
    arccos_f64 as arccos_f64,
    arcsin_f32 as arcsin_f32,
    arcsin_f64 as arcsin_f64,
    arctan2_f32 as arctan2_f32,
    arctan2_f64 as arctan2_f64,
    arctan_f32 as arctan_f32,
    arctan_f64 as arctan_f64,
)
from functrans.compiler.mathematics.logarithm import (
    log1p_f32 as log1p_f32,
    log1p_f64 as log1p_f64,
    log2_f32 as log2_f32,
    log2_f64 as log2_f64,
    log10_f32 as log10_f32,
    log10_f64 as log10_f64,
    log_f32 as log_f32,
    log_f64 as log_f64,
)
from functrans.compiler.mathematics.power import pow_f32 as pow_f32, pow_f64 as pow_f64
from functrans.compiler.mathematics.roots import (
    cbrt_f32 as cbrt_f32,
    cbrt_f64 as cbrt_f64,
    hypot_f32 as hypot_f32,
    hypot_f64 as hypot_f64,
)
from functrans.compiler.mathematics.trigonometric import (
    cos_f32 as cos_f32,
    cos_f64 as cos_f64,
    sin_f32 as sin_f32,
    sin_f64 as sin_f64,
    tan_f32 as tan_f32,
    tan_f64 as tan_f64,
)

globals().update(plane.TYPED)
