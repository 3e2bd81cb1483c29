"""Layers against PyTorch, forward and backward, by figures.npz (see make_figures.py); and their properties."""

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, nn, random
from functrans.testing import check_grads

KEY = random.key(0)
RNG = np.random.default_rng(0)


def load():
    figures = {}
    with np.load(Path(__file__).parent / "figures.npz") as file:
        for name in file.files:
            layer, key = name.split("/")
            figures.setdefault(layer, {})[key] = file[name]
    return figures


FIGURES = load()


def layers(dtype):
    """By the names of figures.npz."""
    return {
        "linear": nn.Linear(4, 3, key=KEY, dtype=dtype),
        "linear_nobias": nn.Linear(4, 3, bias=False, key=KEY, dtype=dtype),
        "conv1d": nn.Conv1d(2, 4, 3, stride=2, padding=1, key=KEY, dtype=dtype),
        "conv1d_same": nn.Conv1d(2, 3, 4, padding="same", key=KEY, dtype=dtype),
        "conv2d": nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), key=KEY, dtype=dtype),
        "conv2d_groups": nn.Conv2d(4, 6, 3, groups=2, bias=False, key=KEY, dtype=dtype),
        "conv2d_depthwise": nn.Conv2d(3, 6, 2, groups=3, key=KEY, dtype=dtype),
        "conv3d": nn.Conv3d(2, 3, 2, stride=2, padding=1, key=KEY, dtype=dtype),
        "conv_transpose1d": nn.ConvTranspose1d(3, 2, 4, stride=3, padding=1, output_padding=2, key=KEY, dtype=dtype),
        "conv_transpose2d": nn.ConvTranspose2d(
            4,
            6,
            (3, 2),
            stride=2,
            padding=(1, 0),
            output_padding=(1, 0),
            groups=2,
            dilation=(2, 1),
            key=KEY,
            dtype=dtype,
        ),
        "conv_transpose3d": nn.ConvTranspose3d(2, 1, 2, stride=(1, 2, 2), key=KEY, dtype=dtype),
        "max_pool1d": nn.MaxPool1d(3, stride=2, padding=1),
        "max_pool2d": nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 1), dilation=(2, 1)),
        "max_pool3d": nn.MaxPool3d(2),
        "avg_pool1d": nn.AvgPool1d(3, stride=2, padding=1),
        "avg_pool2d": nn.AvgPool2d((2, 3), stride=(2, 1), padding=(1, 1), count_include_pad=False),
        "avg_pool3d": nn.AvgPool3d(2),
        "adaptive_avg_pool1d": nn.AdaptiveAvgPool1d(3),
        "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d((3, None)),
        "adaptive_avg_pool3d": nn.AdaptiveAvgPool3d((1, 2, 4)),
        "batch_norm1d": nn.BatchNorm1d(3, dtype=dtype),
        "batch_norm2d": nn.BatchNorm2d(3, eps=1e-3, momentum=0.3, dtype=dtype),
        "batch_norm3d": nn.BatchNorm3d(2, momentum=None, affine=False, dtype=dtype),
        "batch_norm_inference": nn.inference_mode(nn.BatchNorm2d(3, dtype=dtype)),
        "layer_norm": nn.LayerNorm((3, 4), dtype=dtype),
        "layer_norm_nobias": nn.LayerNorm(4, eps=1e-2, bias=False, dtype=dtype),
        "group_norm": nn.GroupNorm(2, 6, dtype=dtype),
        "rms_norm": nn.RMSNorm((3, 4), dtype=dtype),
        "rnn_cell": nn.RNNCell(3, 4, key=KEY, dtype=dtype),
        "rnn_cell_relu": nn.RNNCell(3, 4, nonlinearity="relu", bias=False, key=KEY, dtype=dtype),
        "gru_cell": nn.GRUCell(3, 4, key=KEY, dtype=dtype),
        "lstm_cell": nn.LSTMCell(3, 4, key=KEY, dtype=dtype),
        "rnn": nn.RNN(nn.RNNCell(3, 4, key=KEY, dtype=dtype)),
        "gru": nn.RNN(nn.GRUCell(3, 4, key=KEY, dtype=dtype)),
        "lstm": nn.RNN(nn.LSTMCell(3, 4, key=KEY, dtype=dtype)),
        "attention": nn.MultiheadAttention(6, 2, key=KEY, dtype=dtype),
        "attention_causal": nn.MultiheadAttention(6, 3, bias=False, key=KEY, dtype=dtype),
        "attention_sizes": nn.MultiheadAttention(6, 2, kdim=4, vdim=5, key=KEY, dtype=dtype),
        "adaptive_max_pool1d": nn.AdaptiveMaxPool1d(3),
        "adaptive_max_pool2d": nn.AdaptiveMaxPool2d((2, None)),
        "adaptive_max_pool3d": nn.AdaptiveMaxPool3d((1, 2, 4)),
        "transformer_encoder": nn.TransformerEncoderLayer(6, 2, 5, 0.0, key=KEY, dtype=dtype),
        "transformer_encoder_first": nn.TransformerEncoderLayer(
            6,
            3,
            5,
            0.0,
            functools.partial(nn.gelu, approximate=False),
            norm_first=True,
            bias=False,
            key=KEY,
            dtype=dtype,
        ),
        "transformer_decoder": nn.TransformerDecoderLayer(6, 2, 5, 0.0, layer_norm_eps=1e-3, key=KEY, dtype=dtype),
    }


LAYERS = layers(np.float64)


def filled(name, layer, kind):
    """The layer with PyTorch's parameters (or its derivatives by them) in place of its own."""
    return with_values(layer, {key[2:]: value for key, value in FIGURES[name].items() if key.startswith(kind)})


def with_values(layer, values):
    """The layer with parameters by PyTorch's names."""
    if isinstance(layer, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        names = {key.split(".")[0] for key in values}
        inner = lambda name: {
            key.removeprefix(f"{name}."): v for key, v in values.items() if key.startswith(f"{name}.")
        }
        return layer.replace(**{name: with_values(getattr(layer, name), inner(name)) for name in names})
    if isinstance(layer, nn.MultiheadAttention):
        if "in_proj_weight" in values:
            weights = np.split(values["in_proj_weight"], 3)
        else:
            weights = [values[f"{part}_proj_weight"] for part in "qkv"]
        biases = np.split(values["in_proj_bias"], 3) if "in_proj_bias" in values else [None] * 3
        parts = ("query_proj", "key_proj", "value_proj")
        changes = {p: getattr(layer, p).replace(weight=w, bias=b) for p, w, b in zip(parts, weights, biases)}
        out = layer.out_proj.replace(weight=values["out_proj.weight"], bias=values.get("out_proj.bias"))
        return layer.replace(**changes, out_proj=out)
    if isinstance(layer, nn.RNN):
        return layer.replace(cell=layer.cell.replace(**{key.removesuffix("_l0"): v for key, v in values.items()}))
    return layer.replace(**{key.removeprefix("layer."): v for key, v in values.items()})


def call(name, layer, xs):
    """The outputs of a layer as PyTorch gives them, a tuple."""
    if isinstance(layer, nn.BatchNorm):
        layer, state = nn.with_state(layer)
        if layer.inference:
            state = state.set(0, statistics(name, "layer.running"))
        return layer(xs[0], state)[:1]
    if isinstance(layer, nn.LSTMCell):
        return layer(xs[0], tuple(xs[1:]))
    out = layer(*xs, **({"is_causal": True} if name == "attention_causal" else {}))
    if isinstance(layer, nn.RNN):
        outputs, last = out
        return (outputs, *(h[None] for h in (last if isinstance(last, tuple) else (last,))))  # an axis for stacks
    return out if isinstance(out, tuple) else (out,)


def statistics(name, prefix):
    mean, variance = (FIGURES[name][f"b:{prefix}_{part}"] for part in ("mean", "var"))
    return nn.BatchStatistics(mean, variance, np.array(1))


def arguments(name, dtype=np.float64):
    figures = FIGURES[name]
    count = lambda letter: sum(key[:-1] == letter for key in figures)
    return [[figures[f"{letter}{i}"].astype(dtype) for i in range(count(letter))] for letter in "xc"]


def close(found, expected, rtol=1e-9, atol=1e-11):
    ft.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), found, expected)


def test_each_figure_has_a_layer():
    assert sorted(LAYERS) == sorted(FIGURES)


@pytest.mark.parametrize("name", LAYERS)
def test_forward_and_backward_are_those_of_pytorch(name):
    """Eagerly and compiled."""
    figures, (xs, cs) = FIGURES[name], arguments(name)
    layer = filled(name, LAYERS[name], "p:")

    def loss(layer, xs):
        ys = call(name, layer, xs)
        return sum(fnp.sum(c * y) for c, y in zip(cs, ys, strict=True)), ys

    gradient = ft.value_and_grad(loss, (0, 1), has_aux=True)
    for computed in (gradient, ft.jit(gradient)):
        (_, ys), (by_layer, by_xs) = computed(layer, xs)
        close(ys, tuple(figures[f"y{i}"] for i in range(len(cs))))
        close(by_xs, [figures[f"dx{i}"] for i in range(len(xs))])
        close(by_layer, filled(name, layer, "d:"))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(name, dtype):
    layer, (xs, _) = layers(dtype)[name], arguments(name, dtype)
    assert all(leaf.dtype == dtype for leaf in ft.tree.leaves(layer))
    if name == "batch_norm_inference":
        layer = nn.inference_mode(layer, False)
    value = lambda layer: sum(fnp.sum(y) for y in call(name, layer, xs))
    assert all(y.dtype == dtype for y in call(name, layer, xs))
    assert all(leaf.dtype == dtype for leaf in ft.tree.leaves(ft.grad(value)(layer)))


@pytest.mark.parametrize("dtype", [np.float16, fnp.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("jit", [False, True])
def test_normalization_of_half_precision_is_computed_in_float32(dtype, jit):
    """Squares of numbers from 256 on overflow in float16; these layers take them."""
    x = (1000 * np.random.default_rng(0).normal(size=(8, 6))).astype(dtype)
    norm, state = nn.with_state(nn.BatchNorm(6, dtype=dtype))
    for layer in (nn.LayerNorm(6, dtype=dtype), nn.RMSNorm(6, dtype=dtype), nn.GroupNorm(2, 6, dtype=dtype), norm):
        call = lambda layer, x: layer(x, state)[0] if isinstance(layer, nn.BatchNorm) else layer(x)
        loss = lambda x, layer=layer, call=call: fnp.sum(call(layer, x) * x)
        y, slope = (ft.jit if jit else lambda f: f)(lambda x: (call(layer, x), ft.grad(loss)(x)))(x)  # noqa: B023
        assert y.dtype == slope.dtype == dtype
        exact = ft.tree.map(lambda p: p.astype(np.float64), layer)
        exact = exact.replace(eps=2**-23) if layer.eps is None else exact
        wide = x.astype(np.float64)
        tolerance = 2e-3 if dtype == np.float16 else 2e-2
        np.testing.assert_allclose(y.astype(float), call(exact, wide), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(
            slope.astype(float), ft.grad(loss)(wide, exact), rtol=5 * tolerance, atol=5 * tolerance
        )
    _, new = norm(x, state)
    assert {leaf.dtype for leaf in ft.tree.leaves(new)} == {np.dtype(np.float32), np.dtype(np.int64)}
    np.testing.assert_allclose(new.get(0).variance, 0.9 + 0.1 * np.var(x.astype(float), 0, ddof=1), rtol=1e-3)


def test_parameters_are_float32_by_default():
    made = [
        nn.Linear(2, 3, key=KEY), nn.Embedding(3, 2, key=KEY), nn.Conv2d(1, 2, 3, key=KEY), nn.MLP(1, 2, 3, 1, key=KEY),
        nn.ConvTranspose1d(1, 2, 3, key=KEY), nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.RMSNorm(3), nn.BatchNorm(3),
        nn.LSTMCell(1, 2, key=KEY), nn.MultiheadAttention(4, 2, key=KEY),
    ]  # fmt: skip
    assert {leaf.dtype for leaf in ft.tree.leaves(made)} == {np.dtype(np.float32)}


UNBATCHED = ("conv2d_depthwise", "attention_sizes")
PER_EXAMPLE = [name for name in LAYERS if "batch_norm" not in name and name not in UNBATCHED]


@pytest.mark.parametrize("name", PER_EXAMPLE)
def test_batches_are_examples_side_by_side(name):
    """A batch is as good as `vmap`, with an axis more in front too; group normalization alone needs a batch."""
    layer, (xs, _) = LAYERS[name], arguments(name)
    examples = [x[:, None] for x in xs] if isinstance(layer, nn.GroupNorm) else xs
    ys = call(name, layer, xs)[:1]
    mapped = ft.vmap(lambda *xs: call(name, layer, xs)[0])(*examples)
    close(mapped.reshape(ys[0].shape), ys[0])
    if not isinstance(layer, nn.GroupNorm):
        close(call(name, layer, [fnp.stack([x, -x]) for x in xs])[0][0], ys[0])


SMOOTH = ["linear", "conv2d", "conv_transpose2d", "avg_pool2d", "adaptive_avg_pool2d", "batch_norm2d", "layer_norm",
          "group_norm", "rms_norm", "rnn_cell", "gru_cell", "lstm", "attention_causal"]  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_of_both_modes_to_second_order(name):
    layer, (xs, cs) = filled(name, LAYERS[name], "p:"), arguments(name)
    check_grads(lambda layer, xs: sum(fnp.sum(c * y) for c, y in zip(cs, call(name, layer, xs))), (layer, xs), 2)


# Convolutions and pooling ---------------------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """Arguments of a layer with windows over two axes, and sizes that they fit."""
    pair = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * 2))
    kernel, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 2)
    padding = draw(st.one_of(st.sampled_from(["same", "valid"]), st.tuples(*[st.integers(0, 2)] * 2)))
    low = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    sizes = tuple(draw(st.integers(n, n + 4)) for n in low)
    return sizes, {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": padding}


def expected_sizes(sizes, kernel_size, stride, dilation, padding):
    if padding == "same":
        return tuple(-(-n // s) for n, s in zip(sizes, stride))
    pads = (0, 0) if padding == "valid" else padding
    return tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, d, p in zip(sizes, kernel_size, stride, dilation, pads)
    )


@given(windows(), st.sampled_from([1, 2]))
def test_shapes_and_formats_of_convolutions(case, groups):
    sizes, options = case
    layer = nn.Conv2d(2, 4, groups=groups, **options, key=KEY)
    x = np.random.default_rng(1).normal(size=(2, 2, *sizes)).astype(np.float32)
    y = layer(x)
    assert y.shape == (2, 4, *expected_sizes(sizes, **options))
    last = layer.replace(data_format="channels_last")(np.moveaxis(x, 1, -1))
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), y, rtol=1e-4, atol=1e-5)


@given(windows())
def test_shapes_and_formats_of_pooling(case):
    sizes, options = case
    x = np.random.default_rng(1).normal(size=(2, 3, *sizes))
    for kind in (nn.MaxPool2d, nn.AvgPool2d):
        if kind is nn.AvgPool2d:
            options = {**options, "dilation": (1, 1)}
        given = options if kind is nn.MaxPool2d else {key: v for key, v in options.items() if key != "dilation"}
        y = kind(**given)(x)
        assert y.shape == (2, 3, *expected_sizes(sizes, **options))
        last = kind(**given, data_format="channels_last")(np.moveaxis(x, 1, -1))
        np.testing.assert_allclose(np.moveaxis(last, -1, 1), y, rtol=1e-12)


@given(windows(), st.sampled_from([1, 2]))
def test_transposed_convolutions_are_transposes(case, groups):
    """`<conv(x), y> = <x, conv_transpose(y)>` with the same weights, and the shapes of `x`."""
    sizes, options = case
    down = nn.Conv2d(2, 4, bias=False, groups=groups, **options, key=KEY, dtype=np.float64)
    up = nn.ConvTranspose2d(4, 2, bias=False, groups=groups, **options, key=KEY, dtype=np.float64)
    up = up.replace(weight=down.weight)
    small = expected_sizes(sizes, **options)
    if options["padding"] == "same":
        sizes = tuple(n * s for n, s in zip(small, options["stride"]))
    else:
        rest = tuple(n - m for n, m in zip(sizes, up(np.ones((4, *small))).shape[1:]))
        up = up.replace(output_padding=rest)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, *sizes)), rng.normal(size=(4, *small))
    assert up(y).shape == x.shape
    np.testing.assert_allclose(np.sum(down(x) * y), np.sum(x * up(y)), rtol=1e-10, atol=1e-12)
    last = up.replace(data_format="channels_last")(np.moveaxis(y, 0, -1))
    np.testing.assert_allclose(np.moveaxis(last, -1, 0), up(y), rtol=1e-10, atol=1e-12)


@given(st.integers(1, 9), st.integers(1, 9))
def test_adaptive_pooling_keeps_formats(size, out):
    x = np.random.default_rng(1).normal(size=(2, size, 3))
    y = nn.AdaptiveAvgPool1d(out, data_format="channels_last")(x)
    first = nn.AdaptiveAvgPool1d(out)(np.moveaxis(x, 1, -1))
    np.testing.assert_allclose(np.moveaxis(y, 1, -1), first, rtol=1e-12)
    windows = [slice(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
    np.testing.assert_allclose(y, np.stack([x[:, w].mean(1) for w in windows], 1), rtol=1e-12, atol=1e-15)


def test_integer_images_become_floats():
    x = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 1, 8, 8)
    layer = nn.Conv2d(1, 3, 3, key=KEY)
    np.testing.assert_array_equal(layer(x), layer(x.astype(np.float32)))


# State ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["batch_norm1d", "batch_norm2d", "batch_norm3d"])
def test_running_statistics_are_those_of_pytorch(name):
    layer, state = nn.with_state(LAYERS[name])
    _, state = layer(arguments(name)[0][0], state)
    close(state.get(0), statistics(name, "running"), rtol=1e-12)


def test_batch_normalization_in_a_sequence():
    first, last = random.split(KEY)
    model = nn.Sequential(
        nn.Linear(3, 4, key=first), nn.BatchNorm(4), nn.relu, nn.Dropout(0.5),
        nn.Sequential(nn.BatchNorm(4), nn.Linear(4, 2, key=last)),
    )  # fmt: skip
    model, state = nn.with_state(model)
    x = RNG.normal(size=(8, 3)).astype(np.float32)

    @ft.jit
    def step(model, state, x, key):
        def loss(model):
            y, new = model(x, state, key=key)
            return fnp.mean(y**2), new

        (value, new), gradient = ft.value_and_grad(loss, has_aux=True)(model)
        return value, ft.tree.map(lambda w, g: w - np.float32(0.1) * g, model, gradient), new

    values = []
    for i in range(20):
        value, model, state = step(model, state, x, random.fold_in(KEY, i))
        values.append(float(value))
    assert values[-1] < 0.5 * values[0]
    assert [int(s.count) for s in state.values] == [20, 20]
    assert all(leaf.dtype == np.float32 for leaf in ft.tree.leaves(model))

    still = nn.inference_mode(model)
    y, same = still(x, state)
    close(same, state, 0, 0)
    close(fnp.concatenate([still(row[None], state)[0] for row in x]), y, 1e-5, 1e-6)


class Counter(nn.Module):
    """A layer with a state of its own kind."""

    state_index: int | None = None

    def initial_state(self):
        return np.zeros((), np.int64)

    def __call__(self, x, state):
        n = state.get(self.state_index)
        return x * n, state.set(self.state_index, n + 1)


def test_layers_of_ones_own_have_states():
    """And the first state of a recurrent layer is another thing."""
    rnn = nn.RNN(nn.GRUCell(3, 4, key=KEY))
    model = nn.Sequential(Counter(), rnn, lambda out: out[0], nn.BatchNorm(4, data_format="channels_last"), Counter())
    model, state = nn.with_state(model)
    assert [layer.state_index for layer in (model[0], model[3], model[4])] == [0, 1, 2]
    x = RNG.normal(size=(2, 5, 3))
    for n in range(3):
        y, state = ft.jit(lambda model, x, state: model(x, state))(model, x, state)
        normal, _ = model[3](rnn(n * x)[0], state)
        np.testing.assert_allclose(y, n * normal, rtol=1e-5, atol=1e-6)
    assert int(state.get(2)) == 3


def test_the_state_passes_through_scan_and_has_no_derivative():
    layer, state = nn.with_state(nn.BatchNorm(2, dtype=np.float64))
    batches = RNG.normal(size=(5, 8, 2))
    last, _ = ft.lax.scan(lambda state, x: (layer(x, state)[1], None), state, batches)
    for x in batches:
        _, state = layer(x, state)
    close(last, state, 1e-12)
    gradient = ft.grad(lambda x: layer(x, state)[1].get(0).mean.sum())(batches[0])
    np.testing.assert_array_equal(gradient, 0)


def test_channels_last_normalization():
    x = RNG.normal(size=(4, 6, 3, 2))
    for layer in (nn.GroupNorm(2, 6, dtype=np.float64), nn.BatchNorm(6, dtype=np.float64)):
        last = layer.replace(data_format="channels_last")
        y, z = (call("", layer, [x])[0], call("", last, [np.moveaxis(x, 1, -1)])[0])
        np.testing.assert_allclose(np.moveaxis(z, -1, 1), y, rtol=1e-12)


# Recurrent layers, embeddings, dropout, containers --------------------------------------------------------------------


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("reverse", [False, True])
def test_rnn_is_a_loop_over_cells(cell, reverse):
    rnn = nn.RNN(cell(3, 4, key=KEY, dtype=np.float64), reverse=reverse)
    x = RNG.normal(size=(2, 5, 3))
    outputs, last = rnn(x)
    state, expected = None, [None] * 5
    for t in reversed(range(5)) if reverse else range(5):
        state = rnn.cell(x[:, t], state)
        expected[t] = state[0] if isinstance(state, tuple) else state
    np.testing.assert_allclose(outputs, np.stack(expected, 1), rtol=1e-12)
    close(last, state)
    if not reverse:  # in two parts
        first, state = rnn(x[:, :2])
        second, state = rnn(x[:, 2:], state)
        np.testing.assert_allclose(np.concatenate([first, second], 1), outputs, rtol=1e-12)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("jit", [False, True])
def test_lengths_of_sequences(cell, jit):
    """Each example is as it is by itself, cut to its length; what comes after has no part in derivatives."""
    both = nn.Bidirectional(*[cell(3, 4, key=k, dtype=np.float64) for k in ft.random.split(KEY)])
    x, lengths = RNG.normal(size=(4, 5, 3)), np.array([5, 2, 1, 0])
    x[3] = np.nan  # nor have values that are none
    call = lambda x, lengths: both(x, lengths=lengths)
    outputs, states = (ft.jit(call) if jit else call)(x, lengths)
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(outputs[i, n:], 0)
        if n:
            alone, last = both(x[i, :n])
            np.testing.assert_allclose(outputs[i, :n], alone, rtol=1e-12)
            close(ft.tree.map(lambda s, i=i: s[i], states), last)
    gradient = ft.grad(lambda x: ft.numpy.sum(call(x, lengths)[0][:3] ** 2))(np.where(np.isnan(x), 1.0, x))
    for i, n in enumerate(lengths):
        assert np.all(gradient[i, :n] != 0)
        np.testing.assert_array_equal(gradient[i, n:], 0)
    np.testing.assert_allclose(call(x[:3], np.full(3, 5))[0], both(x[:3])[0], rtol=1e-12)


def test_bidirectional():
    cells = [nn.LSTMCell(3, 4, key=k, dtype=np.float64) for k in ft.random.split(KEY)]
    x = RNG.normal(size=(2, 5, 3))
    outputs, (last, earliest) = nn.Bidirectional(*cells)(x)
    ahead, behind = nn.RNN(cells[0])(x), nn.RNN(cells[1])(x[:, ::-1])
    np.testing.assert_allclose(outputs, np.concatenate([ahead[0], behind[0][:, ::-1]], -1), rtol=1e-12)
    close((last, earliest), (ahead[1], behind[1]))


def test_embedding():
    layer = nn.Embedding(5, 3, key=KEY)
    indices = np.array([[0, 4], [2, 2]])
    np.testing.assert_array_equal(layer(indices), layer.weight[indices])
    gradient = ft.grad(lambda layer: layer(indices).sum())(layer)
    np.testing.assert_array_equal(gradient.weight, np.array([1, 0, 2, 0, 1])[:, None] * np.ones(3))


def test_dropout():
    x = np.ones((100, 100), np.float32)
    y = nn.Dropout(0.3)(x, key=KEY)
    assert y.dtype == np.float32
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(nn.Dropout(0.0)(x), x)
    np.testing.assert_array_equal(nn.Dropout(1.0)(x), 0)
    np.testing.assert_array_equal(ft.jit(nn.Dropout(0.3))(x, key=KEY), y)


@pytest.mark.parametrize("kind", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer])
def test_dropout_of_transformers(kind):
    layer = kind(4, 2, 8, 0.5, key=KEY)
    xs = [RNG.normal(size=(2, 3, 4)).astype(np.float32)] * (1 if kind is nn.TransformerEncoderLayer else 2)
    with pytest.raises(errors.ArgumentError, match="needs a random key"):
        layer(*xs)
    one, same, other = (layer(*xs, key=random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(nn.inference_mode(layer)(*xs), kind(4, 2, 8, 0.0, key=KEY)(*xs))


def test_layers_of_a_sequence_have_keys_of_their_own():
    model = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.Dropout(0.5), nn.Flatten(0)), nn.Lambda(np.cos))
    x = np.ones((20, 20))
    y = model(x, key=KEY)
    first, inner = random.split(KEY, 2)
    expected = nn.Dropout(0.5)(nn.Dropout(0.5)(x, key=first), key=random.split(inner, 1)[0])
    np.testing.assert_array_equal(y, np.cos(expected).ravel())
    assert model[1][0] is list(model)[1].layers[0]
    assert len(model[:2]) == 2


def test_mlp():
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    mlp = nn.MLP(3, 2, 8, 2, nn.tanh, nn.softmax, key=KEY)
    a, b, c = mlp.layers
    np.testing.assert_allclose(mlp(x), nn.softmax(c(np.tanh(b(np.tanh(a(x)))))), rtol=1e-5)
    assert [layer.weight.shape for layer in mlp.layers] == [(8, 3), (8, 8), (2, 8)]
    assert len(nn.MLP(3, 2, 8, 0, key=KEY).layers) == 1


def test_initial_values():
    """PyTorch's: within `1 / sqrt(fan_in)` of zero, and reaching nearly as far; or those of an initializer."""
    for layer, fan in [
        (nn.Linear(50, 200, key=KEY), 50),
        (nn.Conv2d(8, 64, (3, 5), groups=2, key=KEY), 60),
        (nn.ConvTranspose2d(64, 8, (3, 5), groups=2, key=KEY), 60),
    ]:
        for values in (layer.weight, layer.bias):
            assert 0.7 * fan**-0.5 < abs(values).max() <= fan**-0.5 * (1 + 1e-6)
    attention = nn.MultiheadAttention(64, 4, key=KEY)
    assert abs(attention.query_proj.weight).max() == pytest.approx((6 / (4 * 64)) ** 0.5, rel=0.01)
    np.testing.assert_array_equal(attention.out_proj.bias, 0)
    assert abs(nn.Embedding(100, 100, key=KEY).weight.std() - 1) < 0.02


def test_initializers_of_layers_see_kernels_with_features_last():
    he = nn.initializers.he_normal()
    linear = nn.Linear(3, 5, key=KEY, weight_init=he, bias_init=nn.initializers.ones)
    weights, _ = random.split(KEY)
    np.testing.assert_array_equal(linear.weight, he(weights, (3, 5), np.float32).T)
    np.testing.assert_array_equal(linear.bias, 1)
    conv = nn.Conv2d(4, 6, (2, 3), groups=2, key=KEY, weight_init=he)
    np.testing.assert_array_equal(conv.weight, he(weights, (2, 3, 2, 6), np.float32).transpose(3, 2, 0, 1))
    up = nn.ConvTranspose2d(4, 6, (2, 3), groups=2, key=KEY, weight_init=he)
    np.testing.assert_array_equal(up.weight, he(weights, (2, 3, 3, 4), np.float32).transpose(3, 2, 0, 1))


# Mistakes -------------------------------------------------------------------------------------------------------------

X = np.ones((4, 3), np.float32)
ERRORS = {
    "features": (lambda: nn.Linear(2, 3, key=KEY)(X), errors.ShapeError,
                 r"Linear takes 2 features in the last axis of its input, got an input of shape \(4, 3\)"),
    "scalar": (lambda: nn.Linear(2, 3, key=KEY)(1.0), errors.ShapeError, r"shape \(\)"),
    "sizes": (lambda: nn.Linear(3, -2, key=KEY), errors.ArgumentError, "sizes of a layer are .* got 3, -2"),
    "window of a pool": (lambda: nn.MaxPool2d(5)(np.ones((1, 4, 8))), errors.ShapeError,
                         r"MaxPool2d: the window reaches over \(5, 5\), .* spatial sizes \(4, 8\)"),
    "window of a convolution": (lambda: nn.Conv1d(1, 2, 3, dilation=2, key=KEY)(np.ones((1, 4))), errors.ShapeError,
                                r"Conv1d: the window reaches over \(5,\), .* with padding \(4,\)"),
    "channels": (lambda: nn.Conv2d(3, 4, 3, key=KEY)(np.ones((5, 6, 6, 3))), errors.ShapeError,
                 r"\(\*batch, channels, \*spatial\) with 3 channels, got .* has 6; .* data_format='channels_last'"),
    "rank": (lambda: nn.MaxPool2d(2)(X), errors.ShapeError, r"with 2 spatial axes, got an input of shape \(4, 3\)"),
    "groups": (lambda: nn.Conv1d(3, 4, 3, groups=2, key=KEY), errors.ArgumentError, "groups must divide .*groups=2"),
    "kernel": (lambda: nn.Conv2d(3, 4, (3, 3, 3), key=KEY), errors.ArgumentError,
               r"kernel_size of Conv2d is an integer of at least 1, or 2 such, got \(3, 3, 3\)"),
    "stride": (lambda: nn.AvgPool1d(2, 0), errors.ArgumentError, "stride of AvgPool1d is an integer of at least 1"),
    "padding": (lambda: nn.MaxPool1d(2, padding="full"), errors.ArgumentError, "'same', 'valid', .* got 'full'"),
    "format": (lambda: nn.MaxPool1d(2, data_format="NHWC"), errors.ArgumentError, "'channels_last', got 'NHWC'"),
    "output size": (lambda: nn.AdaptiveAvgPool2d(0), errors.ArgumentError, "a positive integer, or 2 such .* got 0"),
    "means": (lambda: nn.AvgPool1d(2)(np.ones((1, 4), int)), errors.DTypeError, "means of int64"),
    "dropout key": (lambda: nn.Dropout(0.5)(X), errors.ArgumentError, "Dropout in training needs a random key: .*key="),
    "probability": (lambda: nn.Dropout(1.5), errors.ArgumentError, "from 0 to 1, got 1.5"),
    "embedding": (lambda: nn.Embedding(3, 2, key=KEY)(X), errors.DTypeError, r"takes integers, .* got f32\[4,3\]"),
    "row": (lambda: nn.Embedding(3, 2, key=KEY)(np.array([3])), errors.IndexOutOfBoundsError, "3"),
    "state": (lambda: nn.BatchNorm(3)(X), errors.ArgumentError, r"needs a state: .* nn.with_state\(model\)"),
    "other state": (lambda: nn.BatchNorm(3)(X, nn.with_state(nn.BatchNorm(3))[1]), errors.ArgumentError,
                    "use the model that it returns"),
    "one value": (lambda: call("", nn.BatchNorm(3), [X[:1]]), errors.ShapeError, "more than one value"),
    "rank of batch norm": (lambda: call("", nn.BatchNorm2d(3), [X]), errors.ShapeError,
                           r"BatchNorm2d takes batches of inputs with 2 spatial axes, got .* \(4, 3\)"),
    "layer norm": (lambda: nn.LayerNorm((4, 3))(np.ones((3, 4))), errors.ShapeError, r"last axes are \(4, 3\), got"),
    "integers": (lambda: nn.LayerNorm(3)(np.ones((2, 3), int)), errors.DTypeError, r"takes floats, got i64\[2,3\]"),
    "group norm": (lambda: nn.GroupNorm(2, 3), errors.ArgumentError, "2 groups do not divide 3 features"),
    "cell": (lambda: nn.GRUCell(3, 4, key=KEY)(X, np.ones((4, 5), np.float32)), errors.ShapeError,
             r"has states \(4, 4\), got \(4, 5\)"),
    "pair of a state": (lambda: nn.RNN(nn.LSTMCell(3, 4, key=KEY))(X, np.ones(4, np.float32)), errors.ArgumentError,
                        "LSTMCell has a state of 2, h, c, got 1 arrays"),
    "second of a state": (lambda: nn.LSTMCell(3, 4, key=KEY)(X, (np.ones((4, 4)), np.ones(4))), errors.ShapeError,
                          r"has states \(4, 4\), got \(4,\)"),
    "lengths": (lambda: nn.RNN(nn.GRUCell(3, 4, key=KEY))(X, lengths=[4]), errors.ShapeError,
                r"lengths are integers of shape \(\), got i64\[1\]"),
    "rows": (lambda: nn.Linear(3, 2, key=KEY)([[1.0, 2.0, 3.0], [1.0]]), errors.ShapeError,
             r"the elements of a list must have one shape to make an array, they have \[\(3,\), \(1,\)\]"),
    "tuple": (lambda: nn.Sequential(nn.RNN(nn.GRUCell(3, 4, key=KEY)), nn.Linear(4, 2, key=KEY))(X), errors.DTypeError,
              r"Linear takes an array, got a tuple of 2. .* lambda out: out\[0\]"),
    "time": (lambda: nn.RNN(nn.GRUCell(3, 4, key=KEY))(X[0]), errors.ShapeError, r"\(\*batch, time, features\)"),
    "nonlinearity": (lambda: nn.RNNCell(3, 4, nonlinearity="gelu", key=KEY), errors.ArgumentError, "got 'gelu'"),
    "flatten": (lambda: nn.Flatten(2)(X), errors.ShapeError, r"axes 2 to -1 of an input of shape \(4, 3\)"),
    "list": (lambda: nn.Sequential([nn.Flatten()]), errors.ArgumentError, r"Sequential\(\*layers\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_mistakes(name):
    mistake, error, message = ERRORS[name]
    with pytest.raises(error, match=message):
        mistake()


# Summary --------------------------------------------------------------------------------------------------------------


class Tagger(nn.Module):
    embed: nn.Embedding
    rnn: nn.RNN
    head: nn.Sequential

    def __call__(self, x, *, key=None):
        outputs, _ = self.rnn(self.embed(x))
        return self.head(outputs, key=key)


def test_summary():
    a, b, c = random.split(KEY, 3)
    rnn = nn.RNN(nn.LSTMCell(4, 6, key=b))
    model = Tagger(nn.Embedding(10, 4, key=a), rnn, nn.Sequential(nn.Dropout(0.1), nn.Linear(6, 3, key=c), nn.relu))
    text = nn.summary(model, (2, 7), dtype=np.int64)
    assert str(text) == repr(text)
    assert (
        text
        == """\
layer           kind        output shape               parameters
-----------------------------------------------------------------
model           Tagger      (2, 7, 3)                         349
embed           Embedding   (2, 7, 4)                          40
rnn             RNN         (2, 7, 6), (2, 6), (2, 6)         288
rnn.cell        LSTMCell    (2, 6), (2, 6)                    288
head            Sequential  (2, 7, 3)                          21
head.layers[0]  Dropout     (2, 7, 6)                           0
head.layers[1]  Linear      (2, 7, 3)                          21
head.layers[2]  relu        (2, 7, 3)                           0
-----------------------------------------------------------------
349 parameters, 1,396 bytes"""
    )


def test_keys_are_used_once():
    with ft.config.debug_key_reuse():
        first, last, key = random.split(random.key(5), 3)
        mlp = nn.MLP(3, 4, 8, 2, key=first)
        model = nn.Sequential(mlp, nn.Dropout(0.5), nn.MultiheadAttention(4, 2, 0.1, key=last), nn.Dropout(0.2))
        assert model(np.ones((2, 3), np.float32), key=key).shape == (2, 4)
        assert nn.summary(model, (2, 3)) == nn.summary(model, (2, 3))


def test_summary_of_a_model_with_a_state():
    model, state = nn.with_state(nn.Sequential(nn.Conv2d(1, 4, 3, key=KEY), nn.BatchNorm(4)))
    text = nn.summary(model, ft.ShapeDtypeStruct((2, 1, 8, 8), np.float64), state=state)
    assert nn.summary(model, (2, 1, 8, 8)) == text  # its first state by itself
    assert "layers[1]  BatchNorm   (2, 4, 6, 6)           8" in text
    with pytest.raises(errors.ShapeError, match="1 channels"):
        nn.summary(model, (2, 3, 8, 8), state=state)
    with pytest.raises(errors.ArgumentError, match="a module that can be called"):
        nn.summary(np.cos, (2,))
