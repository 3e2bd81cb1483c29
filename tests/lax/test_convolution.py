"""Convolutions against their definition, sums in loops: dimensions, strides, padding, dilation, groups, layouts."""

import math

import numpy as np
import pytest
from helpers import abstract, assert_same, check_batching, check_rules, check_staged
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans import errors, lax
from functrans.lax import convolution
from functrans.testing import check_grads

DTYPES = [np.float64, np.float32, np.int32, np.complex128]
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-4, np.int32: 0, np.complex128: 1e-12}


def definition(x, w, strides, pads, lhs_dilation, rhs_dilation, numbers, groups=1, batch_groups=1):
    """The sum over features and places of the kernel, for each element of the result."""
    lhs_spec, rhs_spec, out_spec = numbers
    x, w = x.transpose(lhs_spec), w.transpose(rhs_spec)
    out_features, features, *kernel = w.shape
    images = x.shape[0] // batch_groups
    dilated = [(n - 1) * d + 1 if n else 0 for n, d in zip(x.shape[2:], lhs_dilation)]
    reach = [(k - 1) * d + 1 if k else 0 for k, d in zip(kernel, rhs_dilation)]
    space = [
        max(0, (n + lo + hi - k) // s + 1) if n + lo + hi >= k else 0
        for n, (lo, hi), k, s in zip(dilated, pads, reach, strides)
    ]
    y = np.zeros((images, out_features, *space), x.dtype)
    for n, o, *p in np.ndindex(*y.shape):
        group = o // (out_features // groups)
        image = x[o // (out_features // batch_groups) * images + n]
        for i, *t in np.ndindex(features, *kernel):
            places = [a * s + b * d - lo for a, s, b, d, (lo, _) in zip(p, strides, t, rhs_dilation, pads)]
            if all(0 <= q < m and q % d == 0 for q, m, d in zip(places, dilated, lhs_dilation)):
                place = tuple(q // d for q, d in zip(places, lhs_dilation))
                y[(n, o, *p)] += image[(group * features + i, *place)] * w[(o, i, *t)]
    return y.transpose(np.argsort(out_spec))


def random_array(rng, shape, dtype):
    values = rng.integers(-4, 5, shape) if np.dtype(dtype).kind == "i" else rng.standard_normal(shape)
    return np.asarray(values + (1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else 0)).astype(dtype)


@st.composite
def convolutions(draw, dtypes=(np.float64,), smallest=0, dims=(0, 1, 2, 3), largest=5):
    """Operands and params of a convolution."""
    n = draw(st.sampled_from(dims))
    largest = {0: largest, 1: largest, 2: largest - 1, 3: 3}[n]
    each = lambda strategy: tuple(draw(strategy) for _ in range(n))
    groups, batch_groups = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)]))
    images = draw(st.integers(smallest, 2)) * batch_groups
    features, out = draw(st.integers(smallest, 2)), draw(st.integers(smallest, 2)) * groups * batch_groups
    sizes, kernel = each(st.integers(smallest, largest)), each(st.integers(1, 3))
    strides, spread = each(st.integers(1, 3)), each(st.integers(1, 2))
    lhs_dilation = each(st.integers(1, 2)) if draw(st.booleans()) else (1,) * n
    pads = tuple((draw(st.integers(-min(1, s // 2), 2)), draw(st.integers(-min(1, s // 2), 2))) for s in sizes)
    orders = [tuple(draw(st.permutations(range(n + 2)))) for _ in range(3)]
    numbers = lax.ConvDimensionNumbers(*orders)
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    dtype = draw(st.sampled_from(dtypes))
    x = random_array(rng, (images, features * groups, *sizes), dtype).transpose(np.argsort(numbers.lhs_spec))
    w = random_array(rng, (out, features, *kernel), dtype).transpose(np.argsort(numbers.rhs_spec))
    return x, w, (strides, pads, lhs_dilation, spread, numbers, groups, batch_groups)


@settings(max_examples=400)
@given(convolutions(DTYPES))
def test_conv_general_dilated_is_its_definition(drawn):
    x, w, params = drawn
    fun = lambda x, w: lax.conv_general_dilated(x, w, *params)
    rtol = TOLERANCE[x.dtype.type]
    assert_same(fun(x, w), definition(x, w, *params), rtol, rtol)
    check_staged(fun, x, w, rtol=rtol)
    check_batching(fun, x, w, rtol=rtol)


@settings(max_examples=100)
@given(convolutions(smallest=1, largest=4))
def test_derivatives(drawn):
    x, w, params = drawn
    check_grads(lambda x, w: lax.conv_general_dilated(x, w, *params), (x, w), 2)


@settings(max_examples=40)
@given(convolutions(largest=3))
def test_derivatives_of_empty_arrays_and_all_rules_together(drawn):
    x, w, params = drawn
    check_rules(lambda x, w: lax.conv_general_dilated(x, w, *params), x, w)


def test_derivatives_of_complex_convolutions():
    rng = np.random.default_rng(0)
    x, w = random_array(rng, (2, 2, 4), complex), random_array(rng, (2, 2, 2), complex)
    check_rules(lambda x, w: lax.conv(x, w, (2,), "SAME"), x, w)


def test_one_array_as_image_and_kernel():
    x = np.random.default_rng(0).standard_normal((2, 2, 3))
    check_rules(lambda x: lax.conv(x, x, (1,), "SAME"), x)


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        (None, ((0, 1, 2, 3), (0, 1, 2, 3), (0, 1, 2, 3))),
        (("NHWC", "HWIO", "NHWC"), ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))),
        (("NCHW", "WHIO", "HWNC"), ((0, 1, 3, 2), (3, 2, 0, 1), (2, 3, 1, 0))),
        (["CNab", "OIba", "abCN"], ((1, 0, 3, 2), (0, 1, 2, 3), (3, 2, 1, 0))),
    ],
)
def test_dimension_numbers(letters, wanted):
    """As JAX's: spatial axes are in the order of the kernel's."""
    numbers = lax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), letters)
    assert numbers == wanted
    assert lax.conv_dimension_numbers((1, 2, 3, 4), (1, 2, 3, 4), numbers) == wanted


@pytest.mark.parametrize("letters", [("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("HWNC", "OHWI", "CWNH")])
def test_letters(letters):
    rng = np.random.default_rng(0)
    sizes = {"N": 2, "C": 3, "H": 5, "W": 4}
    x = rng.standard_normal([sizes[c] for c in letters[0]])
    w = rng.standard_normal([{"O": 4, "I": 3, "H": 2, "W": 3}[c] for c in letters[1]])
    y = lax.conv_general_dilated(x, w, (1, 2), "VALID", dimension_numbers=letters)
    plain = lax.conv(np.einsum(f"{letters[0]}->NCHW", x), np.einsum(f"{letters[1]}->OIHW", w), (1, 2), "VALID")
    np.testing.assert_allclose(y, np.einsum(f"NCHW->{letters[2]}", plain), rtol=1e-12)


# ---------------------------------------------------------------- padding


@settings(max_examples=60)
@given(st.integers(0, 9), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["SAME", "SAME_LOWER", "same"]))
def test_same_padding_gives_a_window_for_each_stride(n, k, s, kind):
    ((lo, hi),) = lax.padtype_to_pads((n,), (k,), (s,), kind)
    assert lo >= 0
    assert hi >= 0
    assert hi - lo in ((0, -1) if kind == "SAME_LOWER" else (0, 1))
    assert (n + lo + hi - k) // s + 1 >= -(-n // s)  # more only where windows are shorter than strides
    if n:
        x, w = np.ones((1, 1, n)), np.ones((1, 1, k))
        assert lax.conv(x, w, (s,), kind).shape == (1, 1, -(-n // s))


def test_named_paddings_count_dilation():
    x, w = np.arange(6.0).reshape(1, 1, 6), np.ones((1, 1, 3))
    y = lax.conv_general_dilated(x, w, (1,), "SAME", rhs_dilation=(2,))
    np.testing.assert_array_equal(y[0, 0], [2, 4, 6, 9, 6, 8])
    assert lax.conv_with_general_padding(x, w, (2,), "VALID", None, (2,)).shape == (1, 1, 1)
    assert lax.padtype_to_pads((4,), (3,), (1,), "VALID") == [(0, 0)]


def test_a_window_larger_than_the_image():
    y = lax.conv(np.ones((2, 1, 3)), np.ones((4, 1, 5)), (1,), "VALID")
    assert_same(y, np.zeros((2, 4, 0)))
    fun = lambda x, w: lax.conv(x, w, (1,), "VALID").sum()
    grads = ft.grad(fun, (0, 1))(np.ones((2, 1, 3)), np.ones((4, 1, 5)))
    assert [g.shape for g in grads] == [(2, 1, 3), (4, 1, 5)]
    assert not any(np.any(g) for g in grads)


# ---------------------------------------------------------------- dtypes


@pytest.mark.parametrize(("dtype", "wide"), [(np.int8, np.int32), (np.float16, np.float32), (np.float32, np.float64)])
def test_preferred_element_type_is_that_of_the_sums(dtype, wide):
    x, w = np.full((1, 1, 300), 11, dtype), np.full((1, 1, 300), 11, dtype)
    fun = lambda x, w: lax.conv(x, w, (1,), "VALID", preferred_element_type=wide)
    assert_same(fun(x, w), np.full((1, 1, 1), 300 * 121, wide))
    check_staged(fun, x, w)


def test_operands_may_be_strided():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((4, 6, 9))[::2, ::3, ::-1], rng.standard_normal((3, 3, 2)).T[:, :2]
    args = ((2,), "SAME")
    assert_same(lax.conv(x, w, *args), lax.conv(x.copy(), w.copy(), *args), 1e-14, 1e-14)


@pytest.mark.parametrize("letters", [("NHC", "HIO", "NHC"), ("NCH", "OIH", "NCH"), ("HNC", "HIO", "CNH")])
def test_large_convolutions_are_done_in_parts(letters, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal([{"N": 6, "C": 2, "H": 9}[c] for c in letters[0]])
    w = rng.standard_normal([{"O": 3, "I": 2, "H": 3}[c] for c in letters[1]])
    fun = lambda x, w: lax.conv_general_dilated(x, w, (1,), "SAME", dimension_numbers=letters)
    loss = lambda x, w: (fun(x, w) ** 2).sum()
    want = [fun(x, w), *ft.grad(loss, (0, 1))(x, w)]
    monkeypatch.setattr(convolution, "LARGEST", 2 * 9 * 3 * 2 * 8)
    calls = []
    expand = convolution._expand
    monkeypatch.setattr(convolution, "_expand", lambda *args, **params: calls.append(1) or expand(*args, **params))
    for got, wanted in zip([fun(x, w), *ft.grad(loss, (0, 1))(x, w)], want):
        assert_same(got, wanted, 1e-12, 1e-12)
    assert len(calls) == (4 if letters[0] == "HNC" else 3 + 3 + 6 + 3)


# ---------------------------------------------------------------- conv_transpose


@settings(max_examples=60)
@given(st.data())
def test_conv_transpose_is_the_transpose(data):
    """With `transpose_kernel` it is the gradient of the convolution that it reverses."""
    n = data.draw(st.sampled_from([1, 2]))
    kernel = tuple(data.draw(st.integers(1, 4)) for _ in range(n))
    strides = tuple(data.draw(st.integers(1, 3)) for _ in range(n))
    spread = tuple(data.draw(st.integers(1, 2)) for _ in range(n))
    consistent = data.draw(st.booleans())
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, spread)]
    # Sizes of images that windows fill to the end.
    if consistent:
        padding = tuple((data.draw(st.integers(0, r - 1)), data.draw(st.integers(0, r - 1))) for r in reach)
        extra = [sum(p) for p in padding]
    else:
        padding, extra = "VALID", [0] * n
    counts = [data.draw(st.integers(1, 3)) for _ in range(n)]
    sizes = [(c - 1) * s + r - e for c, s, r, e in zip(counts, strides, reach, extra)]
    if any(size < 1 for size in sizes) or (padding == "VALID" and any(r < s for r, s in zip(reach, strides))):
        return
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, *sizes, 3)), rng.standard_normal((*kernel, 3, 2))
    letters = ("NHWC", "HWIO", "NHWC") if n == 2 else ("NHC", "HIO", "NHC")
    forward = lambda x: lax.conv_general_dilated(x, w, strides, padding, rhs_dilation=spread, dimension_numbers=letters)
    y, pull = ft.vjp(forward, x)
    ct = rng.standard_normal(y.shape)
    got = lax.conv_transpose(
        ct, w, strides, padding, rhs_dilation=spread, transpose_kernel=True, use_consistent_padding=consistent
    )
    np.testing.assert_allclose(got, pull(ct)[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("k", "s"), [(k, s) for k in (1, 2, 3, 5) for s in (1, 2, 3)])
def test_sizes_of_conv_transpose(padding, k, s):
    y = lax.conv_transpose(np.ones((1, 4, 2)), np.ones((k, 2, 3)), (s,), padding)
    assert y.shape == (1, 4 * s if padding == "SAME" else 4 * s + max(k - s, 0), 3)


def test_conv_transpose_with_pairs_and_layouts():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 4, 3)), rng.standard_normal((3, 3, 3, 2))
    y = lax.conv_transpose(x, w, (2, 1), [(1, 2), (0, 1)])
    wanted = lax.conv_general_dilated(x, w, (1, 1), [(1, 2), (0, 1)], (2, 1), None, ("NHWC", "HWIO", "NHWC"))
    assert_same(y, wanted)
    numbers = ("NCHW", "OIHW", "NCHW")
    moved = lax.conv_transpose(
        np.moveaxis(x, 3, 1), w.transpose(3, 2, 0, 1), (2, 1), [(1, 2), (0, 1)], dimension_numbers=numbers
    )
    np.testing.assert_allclose(moved, np.moveaxis(y, 3, 1), rtol=1e-12)
    check_rules(lambda x, w: lax.conv_transpose(x, w, (2,), "SAME"), x[:, 0, :3], w[0])


# ---------------------------------------------------------------- errors

IMAGE, KERNEL = (2, 4, 5, 5), (6, 4, 3, 3)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        ((IMAGE, (6, 4, 3)), {}, r"operands of one rank, got shapes \(2, 4, 5, 5\) and \(6, 4, 3\)"),
        (((5,), (3,)), {"window_strides": ()}, "an axis for the batch and one for features"),
        ((IMAGE, (6, 3, 3, 3)), {}, "has 3 input features, so images must have 3; those of shape .* have 4"),
        ((IMAGE, (6, 2, 3, 3)), {"feature_group_count": 3}, "must have 6 for 3 groups"),
        ((IMAGE, (5, 2, 3, 3)), {"feature_group_count": 2}, "must divide the number of output features, 5"),
        ((IMAGE, KERNEL), {"feature_group_count": 0}, "feature_group_count of a convolution must be 1 at least"),
        ((IMAGE, KERNEL), {"batch_group_count": 3}, "batch_group_count=3 must divide the number of images, 2"),
        ((IMAGE, (5, 4, 3, 3)), {"batch_group_count": 2}, "must divide the number of output features, 5"),
        ((IMAGE, (6, 2, 3, 3)), {"batch_group_count": 2, "feature_group_count": 2}, "at most one of feature_group_c"),
        ((IMAGE, KERNEL), {"window_strides": (1,)}, "window_strides .* one entry for each of 2 axes"),
        ((IMAGE, KERNEL), {"window_strides": (0, 1)}, r"must be 1 at least, got \(0, 1\)"),
        ((IMAGE, KERNEL), {"rhs_dilation": (1, 0)}, "rhs_dilation .* must be 1 at least"),
        ((IMAGE, KERNEL), {"padding": [(0, 0)]}, "a .low, high. pair for each of 2 axes"),
        ((IMAGE, KERNEL), {"padding": [(-3, -3), (0, 0)]}, "negative padding .* is larger than the axes"),
        ((IMAGE, KERNEL), {"dimension_numbers": ("NCHW", "OIHW", "NCH")}, "'NCH' must have a letter for each axis"),
        ((IMAGE, KERNEL), {"dimension_numbers": lax.ConvDimensionNumbers((0, 1, 2, 2), *[(0, 1, 2, 3)] * 2)}, "once"),
    ],
)  # fmt: skip
def test_shape_errors(shapes, options, message):
    fun = lambda x, w: lax.conv_general_dilated(x, w, **{"window_strides": (1, 1), "padding": "VALID", **options})
    with pytest.raises(errors.ShapeError, match=message):
        fun(*map(np.ones, shapes))
    with pytest.raises(errors.ShapeError, match=message):
        abstract(fun, *((s, np.float64) for s in shapes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"padding": "FULL"}, "padding is 'VALID', 'SAME', 'SAME_LOWER' or .* got 'FULL'"),
        ({"padding": 3}, "padding of conv_general_dilated is"),
        ({"window_strides": 2}, "window_strides of conv_general_dilated must be a sequence of integers, got 2"),
        ({"padding": "SAME", "lhs_dilation": (2, 2)}, "as .low, high. pairs, or use conv_transpose"),
        ({"dimension_numbers": "NCHW"}, "three strings as in"),
        ({"dimension_numbers": ("NCHW", "OIHW", "NCHH")}, "the same spatial letters"),
        ({"dimension_numbers": ("NCHW", "OIHW", "NCHX")}, "the same spatial letters"),
        ({"dimension_numbers": ("NCHW", "ONHW", "NCHW")}, "letters of its two special axes"),
    ],
)
def test_argument_errors(options, message):
    with pytest.raises(errors.ArgumentError, match=message):
        lax.conv_general_dilated(
            np.ones(IMAGE), np.ones(KERNEL), **{"window_strides": (1, 1), "padding": "VALID", **options}
        )


def test_more_errors():
    x, w = np.ones((1, 1, 3)), np.ones((1, 1, 2))
    with pytest.raises(errors.DTypeError, match="dtypes float64 and float32; convert them"):
        lax.conv(x, w.astype(np.float32), (1,), "SAME")
    with pytest.raises(errors.ShapeError, match="with 6 axes needs its dimension_numbers"):
        lax.conv_transpose(np.ones((1,) * 6), np.ones((1,) * 6), (1,) * 4, "SAME")
    with pytest.raises(errors.ArgumentError, match="conv_transpose is 'SAME', 'VALID'"):
        lax.conv_transpose(x, w, (1,), "SAME_LOWER")


# ---------------------------------------------------------------- figures of JAX 0.10


def test_figures():
    """Weighted sums of results that JAX 0.10.2 gives."""
    count = lambda *shape: np.cos(np.arange(math.prod(shape), dtype=float)).reshape(shape)
    weigh = lambda y: float(np.sum(y * np.sin(3 * count(*y.shape))))
    x, w = count(2, 6, 7, 4), count(3, 2, 2, 6)
    numbers = ("NHWC", "HWIO", "NHWC")
    grouped = lambda x, w: lax.conv_general_dilated(
        x, w, (2, 1), ((1, 2), (0, 3)), (1, 2), (2, 1), numbers, feature_group_count=2
    )
    batched = lambda x, w: lax.conv_general_dilated(
        x, w, (1, 2), "SAME_LOWER", None, (1, 2), ("HCWN", "WIHO", "CNHW"), batch_group_count=2
    )
    up = lambda x, w: lax.conv_transpose(x, w, (2, 3), "SAME")
    cases = [(grouped, x, w), (batched, count(5, 2, 4, 4), count(3, 2, 2, 4)), (up, x, count(3, 2, 4, 3))]
    got = []
    for fun, x, w in cases:
        loss = lambda x, w, fun=fun: (lambda y: (y * count(*y.shape) * y).sum())(fun(x, w))
        got.append([weigh(fun(x, w)), *map(weigh, ft.grad(loss, (0, 1))(x, w))])
    np.testing.assert_allclose(got, FIGURES, rtol=1e-10)


FIGURES = [
    [-0.9707264490302168, 8.341895993746085, 10.059360030440054],
    [-5.683330605756536, -9.8173522669319, -49.85822784068053],
    [-2.969163053869001, -9.071934816193014, 0.7960506596412111],
]
