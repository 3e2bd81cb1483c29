"""Pooling: Flax's conventions over the reductions of windows."""

import numpy as np
import pytest

import functrans as ft
from functrans import errors, lax, nn
from functrans.testing import check_grads, check_transforms

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("padding", ["VALID", "SAME", "same_lower", [(1, 0), (0, 2)]], ids=str)
@pytest.mark.parametrize("strides", [None, (2, 1)])
def test_maxima_and_minima(padding, strides):
    x = RNG.normal(size=(2, 6, 5, 3))
    y = nn.max_pool(x, (2, 3), strides, padding)
    pads = padding if isinstance(padding, str) else [(0, 0), *padding, (0, 0)]
    steps = (1, *(strides or (1, 1)), 1)
    np.testing.assert_array_equal(y, lax.reduce_window(x, -np.inf, lax.max, (1, 2, 3, 1), steps, pads))
    np.testing.assert_array_equal(nn.min_pool(x, (2, 3), strides, padding), -nn.max_pool(-x, (2, 3), strides, padding))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex128])
def test_means(dtype):
    x = RNG.normal(size=(1, 4, 2)).astype(dtype)
    y = nn.avg_pool(x, (2,), (2,))
    assert y.dtype == dtype
    np.testing.assert_allclose(y, (x[:, ::2] + x[:, 1::2]) / 2, rtol=2e-3 if dtype == np.float16 else 1e-6)


def test_padding_counts_in_means_or_not():
    x = np.ones((1, 3, 3, 1))
    with_zeros = nn.avg_pool(x, (2, 2), None, "SAME")[0, :, :, 0]
    np.testing.assert_array_equal(with_zeros, [[1, 1, 0.5], [1, 1, 0.5], [0.5, 0.5, 0.25]])
    np.testing.assert_array_equal(nn.avg_pool(x, (2, 2), None, "SAME", count_include_pad=False), x)


@pytest.mark.parametrize("pool", [nn.max_pool, nn.min_pool, nn.avg_pool])
def test_batches(pool):
    """Any number of batch axes, also none."""
    x = RNG.normal(size=(2, 3, 5, 4))
    y = pool(x, (2,), (2,))
    assert y.shape == (2, 3, 2, 4)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_array_equal(pool(x[i, j], (2,), (2,)), y[i, j])


@pytest.mark.parametrize("pool", [nn.max_pool, nn.min_pool, nn.avg_pool])
def test_every_transformation(pool):
    x = RNG.normal(size=(2, 4, 4, 2))
    fun = lambda x: pool(x, (2, 2), (1, 2), "SAME")
    check_transforms(fun, (x,))
    check_grads(fun, (x,), 2)


def test_the_derivative_of_a_maximum_is_that_of_the_first():
    gradient = ft.grad(lambda x: nn.max_pool(x, (2, 2), (2, 2)).sum())(np.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4])


def test_errors():
    x = np.ones((4, 4))
    with pytest.raises(errors.ShapeError, match=r"max_pool over windows \(2, 2\) needs images .* 2 spatial axes, got"):
        nn.max_pool(x, (2, 2))
    with pytest.raises(errors.ShapeError, match=r"min_pool: strides \(1, 1\) and windows \(2,\)"):
        nn.min_pool(x, (2,), (1, 1))
    with pytest.raises(errors.DTypeError, match="means of int64 are not of that dtype"):
        nn.avg_pool(x.astype(int), (2,))
    with pytest.raises(errors.ArgumentError, match="got 'FULL'"):
        nn.avg_pool(x, (2,), padding="FULL")
