"""`dot_product_attention` against JAX (jax_figures.json) and its definition; what `MultiheadAttention` adds."""

import json
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
from functrans import errors, nn, random
from functrans.testing import check_grads, check_transforms

FIGURES = json.loads((Path(__file__).parent / "jax_figures.json").read_text())["attention"]

RNG = np.random.default_rng(0)
QUERY = RNG.normal(size=(2, 4, 6, 3))
KEY, VALUE = RNG.normal(size=(2, 2, 5, 2, 3))
BIAS, MASK = RNG.normal(size=(1, 6, 4, 5)), RNG.random((2, 1, 4, 5)) < 0.7

CASES = {
    "plain": {},
    "bias": {"bias": BIAS, "scale": 0.3},
    "mask": {"mask": MASK},
    "causal": {"is_causal": True},
    "window": {"local_window_size": (1, 2)},
    "lengths": {"query_seq_lengths": np.array([3, 4]), "key_value_seq_lengths": np.array([2, 5])},
    "all": {"bias": BIAS, "mask": MASK, "is_causal": True, "local_window_size": 2},
}


@pytest.mark.parametrize("name", CASES)
def test_figures_of_jax(name):
    """JAX computes the softmax in float32, whatever the dtype."""
    y = nn.dot_product_attention(QUERY, KEY, VALUE, **CASES[name])
    np.testing.assert_allclose(y, FIGURES[name], rtol=1e-5, atol=1e-6)
    assert y.dtype == np.float64


@pytest.mark.parametrize("name", CASES)
def test_definition(name):
    case = CASES[name]
    y = nn.dot_product_attention(QUERY, KEY, VALUE, **case)
    allowed = np.broadcast_to(case.get("mask", np.True_), (2, 6, 4, 5)).copy()
    t, s = np.indices((4, 5))
    if case.get("is_causal"):
        allowed &= s <= t
    if name in ("window", "all"):
        before, after = {"window": (1, 2), "all": (2, 2)}[name]
        allowed &= (t - before <= s) & (s <= t + after)
    for b, head in np.ndindex(2, 6):
        logits = QUERY[b, :, head] @ KEY[b, :, head // 3].T * case.get("scale", 3**-0.5)
        logits = logits + (BIAS[0, head] if "bias" in case else 0)
        good = allowed[b, head]
        if name == "lengths":
            good = good & (s < [2, 5][b])
        weights = np.exp(logits) * good
        expected = weights / weights.sum(-1, keepdims=True).clip(1e-300) @ VALUE[b, :, head // 3]
        rows = good.any(-1)  # JAX's figures say what happens in the others
        if name == "lengths":
            expected[[3, 4][b] :] = 0
        np.testing.assert_allclose(y[b, rows, head], expected[rows], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtypes_are_kept(dtype):
    args = [x.astype(dtype) for x in (QUERY, KEY, VALUE)]
    y = nn.dot_product_attention(*args, is_causal=True, mask=MASK)
    assert y.dtype == dtype
    exact = nn.dot_product_attention(QUERY, KEY, VALUE, is_causal=True, mask=MASK)
    np.testing.assert_allclose(y, exact, atol=4e-3 if dtype == np.float16 else 1e-5)


def test_batches():
    """Any number of batch axes, also none."""
    y = nn.dot_product_attention(QUERY, KEY, VALUE)
    np.testing.assert_allclose(nn.dot_product_attention(QUERY[0], KEY[0], VALUE[0]), y[0], rtol=1e-12)
    more = nn.dot_product_attention(*(x[:, None] for x in (QUERY, KEY, VALUE)))
    np.testing.assert_allclose(more[:, 0], y, rtol=1e-12)
    mapped = ft.vmap(nn.dot_product_attention)(QUERY, KEY, VALUE)
    np.testing.assert_allclose(mapped, y, rtol=1e-12)


@pytest.mark.parametrize("name", ["plain", "all"])
def test_transformations(name):
    fun = lambda q, k, v: nn.dot_product_attention(q, k, v, **CASES[name])
    check_transforms(fun, QUERY, KEY, VALUE, max_examples=3)
    check_grads(fun, (QUERY, KEY, VALUE), 2)


def test_derivatives_are_finite_where_nothing_may_be_attended_to():
    nothing = np.zeros((4, 5), bool)
    loss = lambda *args: nn.dot_product_attention(*args, mask=nothing).sum()
    for gradient in ft.grad(loss, (0, 1, 2))(QUERY, KEY, VALUE):
        assert np.isfinite(gradient).all()
    means = nn.dot_product_attention(QUERY, KEY, VALUE, mask=nothing)[0, 0, 0]
    np.testing.assert_allclose(means, VALUE[0, :, 0].mean(0))


def test_large_logits_of_half_precision():
    """Logits are computed in float32: those here are beyond the range of float16."""
    q, k, v = (300 * RNG.normal(size=(3, 1, 4, 2, 8))).astype(np.float16)
    for f in (nn.dot_product_attention, ft.jit(nn.dot_product_attention)):
        y = f(q, k, v)
        assert y.dtype == np.float16
        exact = nn.dot_product_attention(*(x.astype(np.float64) for x in (q, k, v)))
        np.testing.assert_allclose(y.astype(float), exact, rtol=2e-3)


def test_defaults_of_multihead_attention():
    layer = nn.MultiheadAttention(6, 2, key=random.key(0))
    x = RNG.normal(size=(3, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(layer(x), layer(x, x, x))
    other = RNG.normal(size=(3, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(layer(x, other), layer(x, other, other))
    np.testing.assert_allclose(
        layer(x, is_causal=True), layer(x, mask=np.tril(np.ones((4, 4), bool))), rtol=1e-5, atol=1e-6
    )
    later = np.triu(np.full((4, 4), -1e9, np.float32), 1)
    np.testing.assert_allclose(layer(x, is_causal=True), layer(x, bias=later), rtol=1e-5, atol=1e-6)


def test_dropout_of_attention():
    layer = nn.MultiheadAttention(6, 2, dropout=0.5, key=random.key(0))
    x = RNG.normal(size=(3, 4, 6)).astype(np.float32)
    with pytest.raises(errors.ArgumentError, match="needs a random key"):
        layer(x)
    one, same, other = (layer(x, key=random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    kept = layer.replace(dropout=nn.Dropout(0.0))(x)
    np.testing.assert_array_equal(nn.inference_mode(layer)(x), kept)


def test_residual():
    q, k, v = np.random.default_rng(5).normal(size=(3, 2, 4, 3, 5))
    mask = np.tril(np.ones((4, 4), bool))
    logits = np.where(mask, np.einsum("btnh,bsnh->bnts", q, k) / np.sqrt(5), -np.inf)
    call = lambda q: ft.nn.dot_product_attention(q, k, v, is_causal=True, return_residual=True)
    for f in (call, ft.jit(call)):
        out, residual = f(q)
        np.testing.assert_allclose(out, ft.nn.dot_product_attention(q, k, v, is_causal=True), rtol=1e-12)
        np.testing.assert_allclose(residual, np.log(np.exp(logits).sum(-1)).swapaxes(1, 2), rtol=1e-12)


def test_errors():
    with pytest.raises(errors.ShapeError, match=r"K divides N, got shapes \(2, 4, 6, 3\), .*\(2, 5, 4, 3\)"):
        nn.dot_product_attention(QUERY, np.ones((2, 5, 4, 3)), np.ones((2, 5, 4, 3)))
    with pytest.raises(errors.ShapeError, match=r"the mask .* must broadcast to \(2, 6, 4, 5\), got shape \(5, 4\)"):
        nn.dot_product_attention(QUERY, KEY, VALUE, mask=np.ones((5, 4), bool))
    with pytest.raises(errors.ShapeError, match=r"got shape \(2, 5\); .* write mask\[..., None, None, :\]"):
        nn.dot_product_attention(QUERY, KEY, VALUE, mask=np.ones((2, 5), bool))
    with pytest.raises(errors.ShapeError, match=r"got shape \(2, 4, 5\); .* write bias\[..., None, :, :\]"):
        nn.dot_product_attention(QUERY, KEY, VALUE, bias=np.ones((2, 4, 5)))
    with pytest.raises(errors.DTypeError, match="mask .* is of booleans, got f64"):
        nn.dot_product_attention(QUERY, KEY, VALUE, mask=np.ones((4, 5)))
    with pytest.raises(errors.ShapeError, match=r"query_seq_lengths must be integers of shape \(2,\)"):
        nn.dot_product_attention(QUERY, KEY, VALUE, query_seq_lengths=np.ones(3, int))
    with pytest.raises(errors.ArgumentError, match="'cudnn'"):
        nn.dot_product_attention(QUERY, KEY, VALUE, implementation="cudnn")
    with pytest.raises(errors.ArgumentError, match="4 heads do not divide 6 features"):
        nn.MultiheadAttention(6, 4, key=random.key(0))
