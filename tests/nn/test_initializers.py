"""Initializers against `jax.nn.initializers` (jax_figures.json: the same keys, float64), and what they promise."""

import json
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
from functrans import errors, random
from functrans.nn import initializers as init

FIGURES = json.loads((Path(__file__).parent / "jax_figures.json").read_text())["initializers"]
KEY = random.key(3)

INITIALIZERS = {
    "glorot_uniform": init.glorot_uniform(),
    "glorot_normal": init.glorot_normal(),
    "lecun_uniform": init.lecun_uniform(),
    "lecun_normal": init.lecun_normal(),
    "he_uniform": init.he_uniform(),
    "he_normal": init.he_normal(),
    "uniform": init.uniform(0.5),
    "normal": init.normal(0.5),
    "truncated_normal": init.truncated_normal(0.5, lower=-1.0),
    "variance_scaling": init.variance_scaling(0.7, "fan_geo_avg", "normal", in_axis=0, out_axis=(1,), batch_axis=2),
    "variance_scaling_axes": init.variance_scaling(0.7, "fan_out", "uniform", in_axis=0, out_axis=(1, 2)),
    "orthogonal": init.orthogonal(2.0),
    "orthogonal_axis": init.orthogonal(column_axis=0),
    "orthogonal_wide": init.orthogonal(),
    "delta_orthogonal": init.delta_orthogonal(0.5),
}


@pytest.mark.parametrize("name", FIGURES)
def test_numbers_are_those_of_jax(name):
    expected = np.array(FIGURES[name])
    np.testing.assert_allclose(INITIALIZERS[name](KEY, expected.shape), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*FIGURES, "zeros", "ones", "constant"])
def test_dtypes_and_jit(name, dtype):
    initializer = {"zeros": init.zeros, "ones": init.ones, "constant": init.constant(2.5)} | INITIALIZERS
    eager = initializer[name](KEY, (3, 2, 4), dtype)
    assert eager.dtype == dtype
    assert eager.shape == (3, 2, 4)
    compiled = ft.jit(lambda key: initializer[name](key, (3, 2, 4), dtype))(KEY)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5, atol=1e-6)


def test_constants():
    np.testing.assert_array_equal(init.zeros(None, (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(init.ones(None, (2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(init.constant([1.0, 2.0])(None, (3, 2)), [[1.0, 2.0]] * 3)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 4)])
@pytest.mark.parametrize("axis", [0, -1])
def test_orthogonal_matrices(shape, axis):
    matrix = np.moveaxis(init.orthogonal(3.0, axis)(KEY, shape), axis, -1).reshape(-1, shape[axis])
    short = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(short.T @ short, 9 * np.eye(short.shape[1]), atol=1e-12)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["normal", "uniform", "truncated_normal"])
def test_variances(mode, distribution):
    shape = (3, 40, 500)
    fan = {"fan_in": 3 * 40, "fan_out": 3 * 500, "fan_avg": 3 * 270}[mode]
    values = init.variance_scaling(2.0, mode, distribution)(KEY, shape)
    assert values.var() == pytest.approx(2 / fan, rel=0.03)
    assert abs(values.mean()) < 0.02 * values.std()


def test_names():
    assert init.xavier_uniform is init.glorot_uniform
    assert init.kaiming_normal is init.he_normal


def test_errors():
    with pytest.raises(errors.ArgumentError, match="mode is fan_in, .* got 'fan'"):
        init.variance_scaling(1.0, "fan", "normal")
    with pytest.raises(errors.ArgumentError, match="distribution is normal, .* got 'cauchy'"):
        init.variance_scaling(1.0, "fan_in", "cauchy")
    with pytest.raises(errors.ShapeError, match=r"in_axis=-2.*needs a shape with these axes, got \(3,\)"):
        init.he_normal()(KEY, (3,))
    with pytest.raises(errors.ShapeError, match="two axes"):
        init.orthogonal()(KEY, (3,))
    with pytest.raises(errors.ShapeError, match=r"no more inputs than outputs, got \(3, 4, 2\)"):
        init.delta_orthogonal()(KEY, (3, 4, 2))
