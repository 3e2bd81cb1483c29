"""Images of any number of dimensions, as `scipy.ndimage`: SciPy's own functions, and their traced forms.

As SciPy does, traced forms compute in float64 (complex128) and give the dtype of the input, or the dtype `output`.
Images, weights, coordinates and fill values may be traced and differentiated; sizes, modes and orders are static. For
`output` traced forms take a dtype, not an array.
"""

from functrans.scipy.ndimage.filters import (
    convolve,
    convolve1d,
    correlate,
    correlate1d,
    gaussian_filter,
    gaussian_filter1d,
    gaussian_gradient_magnitude,
    gaussian_laplace,
    laplace,
    maximum_filter,
    maximum_filter1d,
    median_filter,
    minimum_filter,
    minimum_filter1d,
    percentile_filter,
    prewitt,
    rank_filter,
    sobel,
    uniform_filter,
    uniform_filter1d,
)
from functrans.scipy.ndimage.interpolation import (
    affine_transform,
    map_coordinates,
    rotate,
    shift,
    spline_filter,
    spline_filter1d,
    zoom,
)
from functrans.scipy.ndimage.morphology import (
    black_tophat,
    grey_closing,
    grey_dilation,
    grey_erosion,
    grey_opening,
    morphological_gradient,
    morphological_laplace,
    white_tophat,
)

__all__ = [
    "affine_transform", "black_tophat", "convolve", "convolve1d", "correlate", "correlate1d", "gaussian_filter",
    "gaussian_filter1d", "gaussian_gradient_magnitude", "gaussian_laplace", "grey_closing", "grey_dilation",
    "grey_erosion", "grey_opening", "laplace", "map_coordinates", "maximum_filter", "maximum_filter1d",
    "median_filter", "minimum_filter", "minimum_filter1d", "morphological_gradient", "morphological_laplace",
    "percentile_filter", "prewitt", "rank_filter", "rotate", "shift", "sobel", "spline_filter", "spline_filter1d",
    "uniform_filter", "uniform_filter1d", "white_tophat", "zoom",
]  # fmt: skip
