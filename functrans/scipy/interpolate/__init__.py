"""Interpolation, as `scipy.interpolate`.

Interpolators are pytrees of arrays: they can be made, passed and returned inside of `jit` and `vmap`, and
differentiated by samples, points and coefficients. For plain arrays of double precision SciPy makes coefficients and
evaluates; float32 stays float32.
"""

from functrans.scipy.interpolate.bsplines import BSpline, make_interp_spline
from functrans.scipy.interpolate.grids import RegularGridInterpolator, interp1d, interpn
from functrans.scipy.interpolate.piecewise import (
    Akima1DInterpolator,
    CubicHermiteSpline,
    CubicSpline,
    PchipInterpolator,
    PPoly,
)

__all__ = [
    "Akima1DInterpolator", "BSpline", "CubicHermiteSpline", "CubicSpline", "PPoly", "PchipInterpolator",
    "RegularGridInterpolator", "interp1d", "interpn", "make_interp_spline",
]  # fmt: skip
