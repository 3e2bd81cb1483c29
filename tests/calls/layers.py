"""Calls of `functrans.nn`: functions, and layers, which are functions of their parameters and of an array."""

import numpy as np
from numpy_samples import P, X, Y

from calls.measure import Call
from functrans import nn, random

KEY = random.key(0)
WORDS = np.asarray(random.PRNGKey(7))
DOUBLE = {"key": KEY, "dtype": np.float64}
ROWS = X[:, None, :] * np.ones((1, 2, 1))  # (batch, channels or time, length)
IMAGES = np.resize(np.concatenate([X, Y]), (2, 2, 5, 4))
VOLUMES = np.resize(np.concatenate([X, Y]), (1, 2, 3, 4, 4)) + np.arange(4) / 7
TOKENS = np.array([0, 2, 1])

PLAIN = {
    "models as pytrees": "combine field filter filter_grad filter_value_and_grad inference_mode is_array "
    "is_inexact_array partition static summary tree_at with_state",
}
#: Classes that are no layers.
APART = "BatchStatistics Module State Summary".split()

NN: dict[str, Call] = {}


def add(name: str, *args: object, **kwargs: object) -> None:
    NN[name] = Call(getattr(nn, name), args, kwargs)


for name in (
    "celu elu gelu hard_sigmoid hard_silu hard_tanh identity leaky_relu log_sigmoid log_softmax logsumexp mish relu "
    "relu6 selu sigmoid silu soft_sign softmax softplus sparse_plus sparse_sigmoid squareplus standardize tanh"
).split():
    add(name, X)
add("glu", X)
add("log1mexp", P)
add("logmeanexp", X)
add("one_hot", TOKENS, 4)
for name in ("avg_pool", "max_pool", "min_pool"):
    add(name, IMAGES.transpose(0, 2, 3, 1), (2, 2), (1, 2))
add("dot_product_attention", *[np.resize(v, (2, 3, 2, 4)) for v in (X, Y, P)])


def layer(name: str, made: object, *args: object, step: float = 1e-6, **kwargs: object) -> None:
    NN[name] = Call(lambda layer, *rest, **options: layer(*rest, **options), (made, *args), kwargs, step)


for name in ("Linear", "Dense"):
    layer(name, getattr(nn, name)(4, 3, **DOUBLE), X)
layer("MLP", nn.MLP(4, 2, 5, 2, activation=nn.tanh, **DOUBLE), X)
layer("Embedding", nn.Embedding(4, 3, **DOUBLE), TOKENS)
for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES)):
    layer(f"Conv{n}d", getattr(nn, f"Conv{n}d")(2, 3, 2, **DOUBLE), x)
    layer(f"ConvTranspose{n}d", getattr(nn, f"ConvTranspose{n}d")(2, 3, 2, **DOUBLE), x)
    layer(f"AvgPool{n}d", getattr(nn, f"AvgPool{n}d")(2), x)
    layer(f"MaxPool{n}d", getattr(nn, f"MaxPool{n}d")(2), x)
    layer(f"AdaptiveAvgPool{n}d", getattr(nn, f"AdaptiveAvgPool{n}d")(2), x)
    layer(f"AdaptiveMaxPool{n}d", getattr(nn, f"AdaptiveMaxPool{n}d")(2), x)
    batch_norm, state = nn.with_state(getattr(nn, f"BatchNorm{n}d")(2, dtype=np.float64))
    layer(f"BatchNorm{n}d", batch_norm, x, state=state, step=0)  # the state has no derivative
    if n == 2:
        layer("BatchNorm", batch_norm, x, state=state, step=0)
layer("LayerNorm", nn.LayerNorm(4, dtype=np.float64), X)
layer("RMSNorm", nn.RMSNorm(4, dtype=np.float64), X)
layer("GroupNorm", nn.GroupNorm(1, 2, dtype=np.float64), IMAGES)
layer("Dropout", nn.Dropout(0.5), X, key=WORDS)
layer("Flatten", nn.Flatten(), IMAGES)
layer("Identity", nn.Identity(), X)
layer("Lambda", nn.Lambda(nn.tanh), X)
layer("Sequential", nn.Sequential(nn.Linear(4, 3, **DOUBLE), nn.tanh), X)
layer("MultiheadAttention", nn.MultiheadAttention(4, 2, **DOUBLE), ROWS)
layer("TransformerEncoderLayer", nn.TransformerEncoderLayer(4, 2, 3, 0.0, nn.tanh, **DOUBLE), ROWS)
layer("TransformerDecoderLayer", nn.TransformerDecoderLayer(4, 2, 3, 0.0, nn.tanh, **DOUBLE), ROWS, ROWS)
layer("RNN", nn.RNN(nn.GRUCell(4, 3, **DOUBLE)), ROWS)
layer("Bidirectional", nn.Bidirectional(nn.RNNCell(4, 3, **DOUBLE), nn.RNNCell(4, 3, **DOUBLE)), ROWS)
layer("RNNCell", nn.RNNCell(4, 3, **DOUBLE), X, Y[:, :3])
layer("GRUCell", nn.GRUCell(4, 3, **DOUBLE), X, Y[:, :3])
layer("LSTMCell", nn.LSTMCell(4, 3, **DOUBLE), X, (Y[:, :3], P[:, :3]))

INITIALIZERS: dict[str, Call] = {}
for name in sorted({*nn.initializers.__all__} - {"Initializer"}):
    made = getattr(nn.initializers, name)
    if name == "constant":
        made = made(1.5)
    elif name == "variance_scaling":
        made = made(1.0, "fan_in", "normal")
    elif name not in ("zeros", "ones"):
        made = made()
    shape = (3, 2, 4) if name == "delta_orthogonal" else (3, 4)
    INITIALIZERS[name] = Call(lambda key, made=made, shape=shape: made(key, shape, np.float64), (WORDS,))
