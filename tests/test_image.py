"""Resampled images, against figures of JAX's, loops over pixels, and what the kernels promise."""

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, image
from functrans.image import ResizeMethod
from functrans.testing import check_grads

LINE = np.array([0.0, 3.0, 1.0, 4.0, 2.0])

#: By jax.image.resize(LINE, (n,), method, antialias) in float64 (JAX 0.10): method, n, antialias, result.
FIGURES = [
    ("linear", 3, True, [1.2857142857142856, 2.111111111111111, 2.8571428571428568]),
    ("linear", 3, False, [1.0, 1.0, 2.666666666666666]),
    ("linear", 7, True, [0.0, 1.7142857142857142, 2.428571428571428, 1.0, 3.1428571428571432, 3.1428571428571423, 2.0]),
    ("cubic", 3, True, [1.2153846153846155, 2.2325581395348837, 2.86153846153846]),
    ("cubic", 3, False, [0.8965517241379313, 1.0, 2.655172413793102]),
    ("cubic", 7, True, [-0.17475728155339765, 1.811634349030471, 2.6472303206997085, 1.0, 3.361516034985424,
                        3.3185595567867026, 1.8834951456310676]),
    ("cubic-pytorch", 3, True, [1.2153846153846155, 2.2325581395348837, 2.86153846153846]),
    ("cubic-pytorch", 3, False, [1.0555555555555558, 1.0, 2.7962962962962927]),
    ("lanczos3", 3, True, [1.146721423897029, 2.3817367852455735, 2.8251227973973707]),
    ("lanczos3", 7, True, [-0.2910724695436242, 1.8894439999410926, 2.6876909459411147, 1.0, 3.348125952966982,
                           3.4369828881173112, 1.7639769590528864]),
    ("lanczos5", 3, False, [1.1263683133383988, 1.0, 2.9348681078973016]),
    ("lanczos5", 7, True, [-0.399110610622561, 2.008084829608576, 2.661962594893143, 1.0, 3.2136152158930646,
                           3.6034137930076917, 1.660042600093644]),
    ("area", 3, True, [1.2, 2.0, 2.8]),
    ("area", 7, False, [0.0, 1.8, 2.6, 1.0, 3.4, 3.2, 2.0]),
]  # fmt: skip
SMOOTH = [m for m in ResizeMethod if m is not ResizeMethod.NEAREST]


@pytest.mark.parametrize(("method", "n", "antialias", "wanted"), FIGURES)
def test_figures(method, n, antialias, wanted):
    np.testing.assert_allclose(image.resize(LINE, (n,), method, antialias), wanted, rtol=1e-13, atol=1e-13)
    jitted = ft.jit(lambda x: image.resize(x, (2, n), method, antialias))(np.stack([LINE, -LINE]))
    np.testing.assert_allclose(jitted, [wanted, -np.array(wanted)], rtol=1e-12, atol=1e-12)


def test_figures_of_scale_and_translate():
    wanted = [0.5171299947746832, 2.967404319698465, 1.286628668928572, 2.4373259052924787, 3.802723811043653,
              1.9306234349551858]  # fmt: skip
    call = lambda s, t: image.scale_and_translate(LINE, (6,), (0,), s, t, ResizeMethod.LANCZOS3)
    for f in (call, ft.jit(call)):
        np.testing.assert_allclose(f(np.array([1.3]), np.array([-0.4])), wanted, rtol=1e-12)


@pytest.mark.parametrize("method", SMOOTH)
@pytest.mark.parametrize("antialias", [True, False])
def test_what_holds_for_all_kernels(method, antialias):
    x = np.random.default_rng(0).normal(size=(4, 6, 2))
    resize = lambda x, shape: image.resize(x, shape, method, antialias)
    np.testing.assert_array_equal(resize(x, x.shape), x)
    np.testing.assert_allclose(resize(np.full((4, 6), 2.5), (7, 3)), np.full((7, 3), 2.5))
    np.testing.assert_allclose(resize(x[::-1], (3, 9, 2)), resize(x, (3, 9, 2))[::-1], atol=1e-13)
    one_by_one = np.stack([resize(x[..., c], (3, 9)) for c in range(2)], -1)
    np.testing.assert_allclose(resize(x, (3, 9, 2)), one_by_one, atol=1e-14)
    np.testing.assert_allclose(ft.vmap(lambda v: resize(v, (3, 9)), -1, -1)(x), one_by_one, atol=1e-14)
    assert resize(x.astype(np.float32), (3, 3, 2)).dtype == np.float32
    assert resize(x.astype(np.complex64), (3, 3, 2)).dtype == np.complex64
    assert resize(np.arange(6), (3,)).dtype == np.float64
    assert resize(x[:0], (0, 3, 2)).shape == (0, 3, 2)


def test_kernels_of_their_order():
    """Linear kernels are exact for lines, the cubic one for parabolas, away from the edges; areas are means."""
    places = (np.arange(24) + 0.5) / 3 - 0.5
    for method, f in (("linear", lambda t: 2 * t - 1), ("cubic", lambda t: t * t - 3 * t)):
        np.testing.assert_allclose(image.resize(f(np.arange(8.0)), (24,), method)[6:-6], f(places)[6:-6], atol=1e-13)
    x = np.random.default_rng(1).normal(size=(6, 4))
    np.testing.assert_allclose(image.resize(x, (2, 2), "area"), x.reshape(2, 3, 2, 2).mean((1, 3)))


def test_nearest():
    x = np.arange(12, dtype=np.int16).reshape(3, 4)
    for shape in ((5, 3), (1, 7), (3, 4), (2, 2)):
        i = [int((k + 0.5) * 3 / shape[0]) for k in range(shape[0])]
        j = [int((k + 0.5) * 4 / shape[1]) for k in range(shape[1])]
        got = image.resize(x, shape, "nearest")
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, x[np.ix_(i, j)])
    check_grads(lambda v: image.resize(v, (5,), "nearest"), (LINE,), order=1)


@pytest.mark.parametrize("method", SMOOTH)
def test_derivatives(method):
    x = np.random.default_rng(2).normal(size=(4, 3))
    check_grads(lambda v: image.resize(v, (3, 5), method), (x,), order=1)
    f = lambda v, s, t: image.scale_and_translate(v, (3, 4), (1, 0), s, t, method, antialias=False)
    check_grads(f, (x, np.array([1.37, 0.81]), np.array([0.13, -0.29])), order=1)


def test_names():
    assert {ResizeMethod.from_string(s) for s in ("bilinear", "trilinear", "triangle")} == {ResizeMethod.LINEAR}
    assert [m.name for m in ResizeMethod] == [
        "NEAREST", "LINEAR", "LANCZOS3", "LANCZOS5", "CUBIC", "CUBIC_PYTORCH", "AREA",
    ]  # fmt: skip


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: image.resize(x, (2, 2), "linear"), errors.ShapeError, r"got \(2, 2\) for one of shape \(5,\)"),
        (lambda x: image.resize(x, (-1,), "linear"), errors.ShapeError, "negative dimensions"),
        (lambda x: image.resize(x, (2.5,), "linear"), errors.FunctransError, "integer"),
        (lambda x: image.resize(x[:0], (3,), "cubic"), errors.ShapeError, "has no pixels to make"),
        (lambda x: image.resize(x, (3,), "sinc"), errors.ArgumentError, "one of nearest, linear, .* got 'sinc'"),
        (lambda x: image.scale_and_translate(x, (3,), (0,), [1.0], [0.0], "nearest"), errors.ArgumentError, "nearest"),
        (lambda x: image.scale_and_translate(x, (3,), (), [], [], "linear"), errors.ShapeError, "keeps its size 5"),
        (lambda x: image.scale_and_translate(x, (3,), (0,), [1.0, 2.0], [0.0], "area"), errors.ShapeError, r"\(2,\)"),
        (lambda x: image.scale_and_translate(x, (3,), (1,), [1.0], [0.0], "area"), errors.AxisError, "axis 1"),
    ],
)
def test_mistakes(transform, call, error, text):
    with pytest.raises(error, match=text):
        transform(call)(fnp.asarray(LINE))
