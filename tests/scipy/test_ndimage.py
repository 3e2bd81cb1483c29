"""scipy.ndimage: compiled filters and splines against SciPy's own; derivatives; errors."""

import warnings

import numpy as np
import pytest
import scipy.ndimage

import functrans as ft
from functrans import errors
from functrans.scipy import ndimage
from functrans.scipy.ndimage.boundaries import MODES
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 7))


def agree(name, *args, x=X, rtol=1e-10, **options):
    """The function eagerly and mapped over the image against SciPy's."""
    want = getattr(scipy.ndimage, name)(x, *args, **options)
    np.testing.assert_array_equal(getattr(ndimage, name)(x, *args, **options), want)
    got = ft.vmap(lambda x: getattr(ndimage, name)(x, *args, **options))(x[None])[0]
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * 10)


def test_every_name_is_scipys():
    assert all(callable(getattr(scipy.ndimage, name)) for name in ndimage.__all__)


FILTERS = {
    "correlate1d": ([1.0, 2.0, 3.5],), "convolve1d": ([1.0, 2.0, 3.5, 4.0],), "correlate": (RNG.random((3, 4)),),
    "convolve": (RNG.random((2, 3)),), "gaussian_filter": ((1.2, 0.6), (1, 0)), "gaussian_filter1d": (3.0, 0, 2),
    "uniform_filter": ((3, 4),), "uniform_filter1d": (20,), "maximum_filter": ((3, 2),), "minimum_filter": (3,),
    "maximum_filter1d": (5, 0), "minimum_filter1d": (4,), "sobel": (), "prewitt": (0,), "laplace": (),
    "median_filter": ((2, 3),), "rank_filter": (-2, 3), "percentile_filter": (30, (3, 2)),
    "gaussian_laplace": (1.0,), "gaussian_gradient_magnitude": ((1.0, 2.0),),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FILTERS)
def test_filters(name, mode):
    options = {"mode": mode, "cval": 2.0} if "constant" in mode else {"mode": mode}
    agree(name, *FILTERS[name], **options)


@pytest.mark.parametrize("name", FILTERS)
def test_dtypes_and_derivatives_of_filters(name):
    args = FILTERS[name]
    agree(name, *args, x=X.astype(np.float32), rtol=2e-6)
    agree(name, *args, x=(10 * X).astype(np.int32))
    agree(name, *args, x=(10 * X).astype(np.int16), output=np.float64)
    agree(name, *args, x=X[::-1, ::2])
    got = ft.jit(lambda x: getattr(ndimage, name)(x, *args))(X)
    np.testing.assert_allclose(got, getattr(scipy.ndimage, name)(X, *args), rtol=1e-10, atol=1e-13)
    check_grads(lambda x: getattr(ndimage, name)(x, *args), (X,), 2)


def test_weights_and_origins():
    z = X + 1j * RNG.standard_normal(X.shape)
    agree("correlate", RNG.random((3, 3)), x=z)
    agree("correlate1d", np.array([1j, 2.0]))
    for name in ("correlate", "convolve"):
        agree(name, RNG.random((3, 4)), origin=(1, -2))
        w = RNG.random(4)  # SciPy has axes since 1.16
        got = ft.vmap(lambda x, w=w, name=name: getattr(ndimage, name)(x, w, axes=(0,), origin=1, mode="wrap"))(X[None])
        want = getattr(scipy.ndimage, f"{name}1d")(X, w, 0, origin=1, mode="wrap")
        np.testing.assert_allclose(got[0], want, rtol=1e-12)
        check_grads(lambda x, w, name=name: getattr(ndimage, name)(x, w, mode="mirror"), (X, RNG.random((3, 2))), 2)
    agree("convolve1d", [1.0, 2.0], origin=-1)
    agree("uniform_filter", 3, mode=("wrap", "nearest"), origin=(1, 0))
    agree("maximum_filter", (2, 3), axes=(1, 0), origin=-1)
    agree("gaussian_filter", 1.0, order=3, radius=6, axes=1)
    agree("gaussian_filter", 0.0)
    agree("gaussian_filter", 0.7, x=X[0, 0:1])  # a window far larger than the image


def test_sigma_can_be_traced():
    f = lambda x, s: ndimage.gaussian_filter(x, s, radius=4)
    np.testing.assert_allclose(ft.jit(f)(X, 0.8), scipy.ndimage.gaussian_filter(X, 0.8, radius=4), rtol=1e-12)
    check_grads(f, (X, np.array([0.8, 1.1])), 2)


# ---------------------------------------------------------------- splines

LONG = RNG.standard_normal((30, 28))  # where SciPy's filter for `reflect` is exact too


@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("mode", MODES)
def test_map_coordinates(mode, order):
    beyond = np.stack([RNG.uniform(-10, 40, 60), RNG.uniform(-10, 38, 60)])
    inside = np.stack([RNG.uniform(0, 29, 20), RNG.uniform(0, 27, 20)])
    edges = np.array([[0.0, 29.0, 14.0, 7.0, -0.5, 29.5], [0.0, 27.0, 3.0, 2.5, 3.0, -1.0]])
    c = np.concatenate([beyond, inside, edges], axis=1).reshape(2, 2, -1)
    agree("map_coordinates", c, x=LONG, order=order, mode=mode, cval=0.7, rtol=1e-9)


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "grid-wrap"])
def test_splines_go_through_the_samples(mode):
    i = np.indices(X.shape)
    for order in (2, 3, 4, 5):
        got = ft.vmap(lambda x, order=order: ndimage.map_coordinates(x, i, order=order, mode=mode))(X[None])[0]
        np.testing.assert_allclose(got, X, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 3])
def test_derivatives_of_splines(order):
    c = np.array([[0.3, 2.2, 4.9], [1.7, 3.1, 9.3]])
    for mode in ("mirror", "constant"):
        f = lambda x, c, mode=mode: ndimage.map_coordinates(x, c, order=order, mode=mode)
        check_grads(f, (X, c), 2)
    if order == 1:
        got = ft.jit(ft.jacobian(f, 1))(X, c)
        np.testing.assert_allclose(got, ft.jacobian(f, 1)(X, c), rtol=1e-12)


def test_dtypes_of_splines():
    c = RNG.uniform(0, 6, (2, 9))
    for dtype in (np.float32, np.int16, np.uint8, np.complex64):
        x = (40 * LONG + 100).astype(dtype)
        agree("map_coordinates", c, x=x, rtol=1e-6)
        agree("spline_filter", x=x, rtol=1e-6, output=np.complex128 if dtype == np.complex64 else np.float64)
        agree("map_coordinates", c, x=x, output=np.complex128 if dtype == np.complex64 else np.float64)
    agree("map_coordinates", c, x=LONG, prefilter=False)
    agree("spline_filter1d", 4, 0, mode="mirror")
    agree("map_coordinates", c[:1] * 0, x=np.array([2.0]), mode="nearest")


def test_transformed_images():
    matrix, offset = np.array([[0.9, 0.2], [-0.3, 1.1]]), np.array([1.0, -0.5])
    agree("shift", (0.5, -1.25))
    agree("shift", 1.0, order=1, mode="wrap")
    agree("affine_transform", matrix, offset, (4, 6), mode="mirror")
    agree("affine_transform", np.c_[matrix, offset], order=1, mode="nearest")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The behavior of affine_transform with a 1-D array")  # SciPy below 1.15
        agree("affine_transform", np.array([1.5, 0.5]), 0.25, mode="grid-wrap")
    agree("zoom", (2.0, 0.7))
    agree("zoom", 1.6, mode="grid-constant", grid_mode=True)
    agree("rotate", 33.0)
    agree("rotate", 120.0, reshape=False, mode="mirror", order=2)
    agree("rotate", 20.0, x=RNG.standard_normal((3, 4, 5)), axes=(0, 2))
    check_grads(lambda x, a: ndimage.rotate(x, a, reshape=False, mode="nearest"), (X, 13.0), 2)
    check_grads(lambda x, s: ndimage.shift(x, s, mode="grid-wrap"), (X, np.array([0.3, 0.4])), 2)
    check_grads(lambda x, m: ndimage.affine_transform(x, m, offset, mode="mirror"), (X, matrix), 1)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: ndimage.correlate1d(x, [1.0], mode="circular"), errors.ArgumentError, "takes one of the modes"),
        (lambda x: ndimage.correlate1d(x, [[1.0]]), errors.ShapeError, "weights of one dimension"),
        (lambda x: ndimage.correlate1d(x, [1.0], origin=1), errors.ArgumentError, "origin=1 moves a window of 1"),
        (lambda x: ndimage.correlate(x, [1.0]), errors.ShapeError, "as many dimensions as the image"),
        (lambda x: ndimage.correlate1d(x, [1.0], axis=2), errors.AxisError, "axis 2"),
        (lambda x: ndimage.correlate1d(x, [1j], output=float), errors.DTypeError, "complex result does not fit"),
        (lambda x: ndimage.gaussian_filter(x, x[0, 0]), errors.ArgumentError, "traced sigma takes radius="),
        (lambda x: ndimage.gaussian_filter(x, (1.0, 2.0, 3.0)), errors.ArgumentError, "sigma for each of 2 axes"),
        (lambda x: ndimage.gaussian_filter1d(x, 1.0, order=-1), errors.ArgumentError, "an order of 0 or more"),
        (lambda x: ndimage.uniform_filter1d(x, 0), errors.ArgumentError, "windows of 1 or more"),
        (lambda x: ndimage.maximum_filter(x, footprint=[[1]]), errors.ArgumentError, "no footprint"),
        (lambda x: ndimage.rank_filter(x, 9, 3), errors.ArgumentError, "no element of rank 9"),
        (lambda x: ndimage.median_filter(x, footprint=[[1]]), errors.ArgumentError, "median_filter of a traced array"),
        (lambda x: ndimage.percentile_filter(x, 101, 3), errors.ArgumentError, "from -100 to 100"),
        (lambda x: ndimage.sobel(x, output=np.zeros((5, 7))), errors.ArgumentError, "a dtype as output"),
        (lambda x: ndimage.map_coordinates(x, x), errors.ShapeError, r"coordinates of shape \(2, ...\)"),
        (lambda x: ndimage.map_coordinates(x, x[:2], order=6), errors.ArgumentError, "order 0 to 5, got 6"),
        (lambda x: ndimage.shift(x, (1.0, 2.0, 3.0)), errors.ShapeError, "a number or 2 of them"),
        (lambda x: ndimage.affine_transform(x, x), errors.ShapeError, "a matrix of shape"),
        (lambda x: ndimage.zoom(x, x[0, 0]), errors.ArgumentError, "plain numbers as factors"),
        (lambda x: ndimage.rotate(x, x[0, 0]), errors.ArgumentError, "reshape=False"),
        (lambda x: ndimage.rotate(x[0], 1.0), errors.ShapeError, "two dimensions or more"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(X)


# ---------------------------------------------------------------- morphology

CROSS = np.array([[False, True, False], [True, True, True], [False, False, True]])
HEIGHTS = RNG.random((3, 2))
MORPHOLOGY = (
    "black_tophat grey_closing grey_dilation grey_erosion grey_opening morphological_gradient morphological_laplace "
    "white_tophat"
).split()


@pytest.mark.parametrize("name", MORPHOLOGY)
def test_morphology(name):
    for options in (
        {"size": (3, 2)}, {"footprint": CROSS, "mode": "constant", "cval": 0.5}, {"structure": HEIGHTS, "mode": "wrap"},
        {"structure": np.eye(3), "footprint": CROSS, "origin": (1, 0)}, {"size": 2, "mode": "nearest", "origin": -1},
    ):  # fmt: skip
        agree(name, **options)
    agree(name, x=(9 * X).astype(np.int32), footprint=CROSS)
    agree(name, x=X.astype(np.float32), structure=HEIGHTS, rtol=1e-5)
    check_grads(lambda x, h: getattr(ndimage, name)(x, structure=h), (X[:3, :4], HEIGHTS), 1)


def test_errors_of_morphology():
    for call, error, text in (
        (lambda x: ndimage.grey_erosion(x), errors.ArgumentError, "grey_erosion takes size=, footprint= or structure="),
        (lambda x: ndimage.grey_dilation(x, footprint=x > 0), errors.ArgumentError, "takes a plain footprint"),
        (lambda x: ndimage.grey_opening(x, structure=[1.0]), errors.ShapeError, "a neighbourhood of 2 axes"),
        (lambda x: ndimage.white_tophat(x, footprint=CROSS & False), errors.ArgumentError, "not empty"),
        (lambda x: ndimage.grey_erosion(x * 1j, 3), errors.DTypeError, "a real image"),
    ):
        with pytest.raises(error, match=text):
            ft.jit(call)(X)
