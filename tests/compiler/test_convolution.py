"""Compiled convolutions and reductions of windows: native, equal to the eager ones, bounded in memory."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
from functrans import lax
from functrans.compiler import convolution, imagetiles
from functrans.compiler.plan import CallKernel, CallPython, Gemm, Mark
from functrans.compiler.program import lower

RNG = np.random.default_rng(0)
LAYOUTS = {"last": ("NHWC", "HWIO", "NHWC"), "first": ("NCHW", "OIHW", "NCHW"), "mixed": ("HNCW", "OHWI", "WCNH")}
TOLERANCE = {"f2": 5e-3, "f4": 1e-5, "f8": 1e-12, "i4": 0, "c16": 1e-12}


def instructions(fun, *args, kind):
    return [i for i in _plan(fun, *args).instructions if isinstance(i, kind)]


def _plan(fun, *args):
    closed = ft.make_jaxpr(fun)(*args)
    return lower(closed.jaxpr, closed.consts).plan


def operands(letters, dtype, sizes, kernel):
    shapes = [[sizes[c] for c in letters[0]], [kernel[c] for c in letters[1]]]
    return [RNG.normal(scale=3, size=s).astype(dtype) for s in shapes]


@st.composite
def convolutions(draw):
    """A convolution in two dimensions, and arrays for it."""
    letters = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    dtype = draw(st.sampled_from(sorted(TOLERANCE)))
    groups = draw(st.sampled_from([1, 2, 4]))
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))
    features, out = draw(st.sampled_from([0, 1, 2, 5])), draw(st.sampled_from([1, 2, 9, 33]))
    (h, w), (kh, kw) = pair(1, 9), pair(1, 3)
    sizes = {"N": draw(st.integers(0, 3)), "C": features * groups, "H": h, "W": w}
    kernel = {"O": out * groups, "I": features, "H": kh, "W": kw}
    pads = tuple(pair(-1, 2) if n > 2 else pair(0, 2) for n in (h, w))
    options = (pair(1, 2), pads, pair(1, 2), pair(1, 2), letters, groups)
    return operands(letters, dtype, sizes, kernel), options, TOLERANCE[dtype]


def assert_close(got, want, tolerance):
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    scale = np.max(np.abs(want), initial=0.0, where=np.isfinite(want)) if want.dtype.kind in "fc" else 0.0
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


@given(convolutions(), st.sampled_from([1, 256, 1 << 23]))
def test_compiled_is_eager(drawn, block):
    (x, w), options, tolerance = drawn
    fun = lambda x, w: lax.conv_general_dilated(x, w, *options)
    want = fun(x, w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "BLOCK", block)
        assert_close(ft.jit(fun)(x, w), want, tolerance)
        if x.dtype.kind != "f" or x.dtype.itemsize < 8:
            return
        pull = lambda x, w: ft.vjp(fun, x, w)[1](want)
        for got, wanted in zip(ft.jit(pull)(x, w), pull(x, w)):
            assert_close(got, wanted, tolerance)


@pytest.mark.parametrize("letters", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_everything_is_native(letters, groups):
    """Also the derivatives, and second ones."""
    x, w = operands(letters, "f4", {"N": 3, "C": 4, "H": 8, "W": 7}, {"O": 8, "I": 4 // groups, "H": 3, "W": 2})
    fun = lambda x, w: lax.conv_general_dilated(
        x, w, (2, 1), "SAME", dimension_numbers=letters, feature_group_count=groups
    )
    loss = lambda x, w: (fun(x, w) ** 3).sum()
    curvature = lambda x, w: ft.jvp(ft.grad(loss, (0, 1)), (x, w), (x, w))[1]
    for f in (fun, ft.grad(loss, (0, 1)), curvature):
        assert not instructions(f, x, w, kind=CallPython)


def test_a_plain_layout_is_windows_and_a_product():
    """Nothing is transposed: the product is the result."""
    x, w = operands(LAYOUTS["last"], "f4", {"N": 2, "C": 8, "H": 16, "W": 16}, {"O": 8, "I": 8, "H": 3, "W": 3})
    fun = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=LAYOUTS["last"])
    assert len(instructions(fun, x, w, kind=CallKernel)) == 1
    assert len(instructions(fun, x, w, kind=Gemm)) == 1


def test_windows_of_one_element_are_not_copied():
    x, w = operands(LAYOUTS["last"], "f4", {"N": 2, "C": 8, "H": 16, "W": 16}, {"O": 8, "I": 8, "H": 1, "W": 1})
    fun = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=LAYOUTS["last"])
    plan = _plan(fun, x, w)
    assert plan.arena == 0
    assert [type(i) for i in plan.instructions] == [Gemm]


# ---------------------------------------------------------------- tiles


@pytest.mark.skipif(not imagetiles.machine_has_masks(), reason="needs vectors that can be written in part")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("sizes", "kernel", "strides", "pads"),
    [
        ({"N": 2, "C": 5, "H": 8, "W": 30}, {"O": 32, "I": 5, "H": 3, "W": 3}, (1, 1), "SAME"),
        ({"N": 3, "C": 3, "H": 9, "W": 7}, {"O": 20, "I": 3, "H": 3, "W": 2}, (2, 1), "SAME"),
        ({"N": 5, "C": 16, "H": 6, "W": 6}, {"O": 16, "I": 16, "H": 3, "W": 3}, (1, 1), "VALID"),
        ({"N": 1, "C": 2, "H": 5, "W": 3}, {"O": 40, "I": 2, "H": 5, "W": 5}, (1, 1), "SAME"),
        ({"N": 18, "C": 8, "H": 5, "W": 17}, {"O": 13, "I": 8, "H": 2, "W": 3}, (2, 2), ((1, 0), (0, 3))),
    ],
    ids=["wide", "strides", "no padding", "large kernel", "groups"],
)
def test_features_last_are_convolved_by_tiles(dtype, sizes, kernel, strides, pads):
    x, w = operands(LAYOUTS["last"], dtype, sizes, kernel)
    fun = lambda x, w: lax.conv_general_dilated(x, w, strides, pads, dimension_numbers=LAYOUTS["last"])
    by_tiles = lambda f: sum("by tiles" in i.kernel.note for i in instructions(f, x, w, kind=CallKernel))
    assert by_tiles(fun) == 1
    assert_close(ft.jit(fun)(x, w), fun(x, w), TOLERANCE[dtype])
    gradient = ft.grad(lambda x, w: (fun(x, w) ** 2).sum(), (0, 1))
    assert by_tiles(gradient) >= 2
    for got, wanted in zip(ft.jit(gradient)(x, w), gradient(x, w)):
        assert_close(got, wanted, TOLERANCE[dtype])


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("letters", [LAYOUTS["last"], LAYOUTS["first"]], ids=["last", "first"])
@pytest.mark.parametrize("images", [1, 7, 12])
def test_many_images_are_convolved_in_blocks(letters, images, monkeypatch):
    x, w = operands(letters, "f8", {"N": images, "C": 4, "H": 9, "W": 8}, {"O": 3, "I": 4, "H": 3, "W": 3})
    fun = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=letters)
    loss = lambda x, w: (fun(x, w) ** 2).sum()
    want, wanted = fun(x, w), ft.grad(loss, (0, 1))(x, w)
    size = 9 * 8 * 9 * 4 * 8  # bytes of the windows of an image
    whole = [_plan(f, x, w).arena for f in (fun, ft.grad(loss, (0, 1)))]
    monkeypatch.setattr(convolution, "BLOCK", 3 * size // ft.config.num_threads())
    plans = [_plan(f, x, w) for f in (fun, ft.grad(loss, (0, 1)))]
    if images > 3:
        assert [sum(isinstance(i, Mark) for i in plan.instructions) for plan in plans] == [1, 3]
        assert plans[0].arena < whole[0] - (images - 4) * size
        assert plans[1].arena < whole[1]
    assert_close(ft.jit(fun)(x, w), want, 1e-12)
    for got, expected in zip(ft.jit(ft.grad(loss, (0, 1)))(x, w), wanted):
        assert_close(got, expected, 1e-12)


def test_blocks_inside_of_loops_and_under_vmap(monkeypatch):
    monkeypatch.setattr(convolution, "BLOCK", 1000)
    x, w = RNG.normal(size=(4, 2, 6, 6)), RNG.normal(size=(3, 2, 2, 3, 3))
    layer = lambda x, w: lax.tanh(lax.conv(x, w, (1, 1), "SAME"))
    fun = lambda x, w: lax.scan(lambda c, w: (layer(c, w), None), x, w)[0]
    assert_close(ft.jit(fun)(x, w), fun(x, w), 1e-12)
    assert_close(ft.jit(ft.grad(lambda w: fun(x, w).sum()))(w), ft.grad(lambda w: fun(x, w).sum())(w), 1e-11)
    for axes in ((0, None), (None, 0), (0, 0)):
        args = [np.stack([a, a[::-1]]) if d == 0 else a for a, d in zip((x, w), axes)]
        each = [fun(*[a[i] if d == 0 else a for a, d in zip(args, axes)]) for i in range(2)]
        assert_close(ft.jit(ft.vmap(fun, axes))(*args), np.stack(each), 1e-12)


# ---------------------------------------------------------------- windows


@pytest.mark.parametrize("fun", [lax.reduce_window_sum, lax.reduce_window_max, lax.reduce_window_min])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u8"])
def test_reductions_of_windows_are_one_kernel(fun, dtype):
    x = RNG.integers(0, 9, (2, 7, 6, 3)).astype(dtype)
    pool = lambda x: fun(x, (1, 3, 2, 1), (1, 2, 2, 1), "SAME")
    plan = _plan(pool, x)
    assert [type(i) for i in plan.instructions] == [CallKernel]
    assert plan.arena == 0
    assert_close(ft.jit(pool)(x), pool(x), 0)


@given(st.data())
def test_compiled_reductions_of_windows(data):
    pair = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(2))
    sizes, windows, strides = pair(1, 8), pair(1, 4), pair(1, 3)
    base, spread = pair(1, 2), pair(1, 2)
    pads = tuple(pair(-1, 2) if n > 2 else pair(0, 2) for n in sizes)
    x = np.round(np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=sizes), 1)
    if data.draw(st.booleans()):
        x.flat[data.draw(st.integers(0, x.size - 1))] = np.nan
    fun = data.draw(st.sampled_from([lax.reduce_window_sum, lax.reduce_window_max, lax.reduce_window_min]))
    pool = lambda x: fun(x, windows, strides, pads, base, spread)
    assert_close(ft.jit(pool)(x), pool(x), 1e-13)
    weights = np.random.default_rng(0).normal(size=pool(x).shape)
    pull = lambda x: ft.vjp(pool, x)[1](weights)[0]
    assert not [i for i in _plan(pull, x).instructions if isinstance(i, CallPython)]
    assert_close(ft.jit(pull)(x), pull(x), 1e-13)


def test_the_loop_over_blocks_reads_a_shared_operand_once(monkeypatch):
    """Both convolutions of the derivative split the cotangent alike: one array, no copies."""
    monkeypatch.setattr(convolution, "BLOCK", 1000)
    letters = LAYOUTS["last"]
    x, w = operands(letters, "f4", {"N": 4, "C": 4, "H": 6, "W": 6}, {"O": 4, "I": 4, "H": 3, "W": 3})
    fun = lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=letters)
    text = ft.jit(ft.grad(lambda x, w: (fun(x, w) ** 2).sum(), (0, 1))).lower(x, w).as_text("loops")
    assert ": reshape\n" not in text
