"""Ten shapes in a row through the workloads: kernels do not depend on sizes, so the last eight compile nothing.

What does depend on sizes is how a program is divided, and for that there are few cases: for one, whether loops over
lanes are worth it. Convolutions that are not done by tiles take some images at a time, and their number, if small, is
written into the kernels.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
import functrans.scipy.linalg
import functrans.scipy.special

sys.path.insert(0, str(Path(__file__).parent))

from workloads import WORKLOADS


def rows(args, n):
    """The arguments with `n` rows."""
    return tuple(np.resize(a, (n, *a.shape[1:])) for a in args)


def rows_of_images(args, n):
    images, kernel = args
    return np.resize(images, (n // 8, *images.shape[1:])), kernel


def both(args, n):
    return tuple(np.resize(a, (n, n + 5)) for a in args)


def batch(args, n):
    params, x, y = args
    return params, *rows((x, y), n)


def heads(args, n):
    return tuple(np.resize(a, (n // 8, 8, *a.shape[2:])) for a in args)


def square(args, n):
    return tuple(np.resize(a, (n, n)) for a in args)


SHAPES = {
    "black_scholes": rows, "black_scholes_grad": rows, "affine": both, "gelu": both, "softmax": both,
    "layer_norm": both, "logsumexp_grad": both, "sum_of_squares": both, "sum_of_squares_of_columns": both,
    "cumsum": rows, "sort": rows, "segment_sum": rows, "matmul_small": square, "training_step_small": batch,
    "training_step_large": batch, "attention_grad": heads,
    "convolution": rows_of_images, "convolution_grad": rows_of_images,
    "lorenz_vmap": rows, "newton_vmap": rows, "rosenbrock_grad": rows, "rosenbrock_hessian": rows,
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_new_shapes_compile_nothing(name):
    make, dtypes = WORKLOADS[name]
    function, args = make(ft, np.dtype(dtypes[-1]).type)
    compiled = []
    for i in range(10):
        function(*SHAPES[name](args, 200 + 3 * i))
        compiled.append(ft.cache_info().kernels_compiled + ft.cache_info().kernels_loaded)
    assert compiled[1] == compiled[-1], f"kernels made by shape: {np.diff(compiled)}"
