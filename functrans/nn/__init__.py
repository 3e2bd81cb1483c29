"""Neural networks: layers as immutable pytrees, activation functions and initializers as in `jax.nn`, and pooling."""

from functrans.nn import initializers
from functrans.nn.activations import (
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    mish,
    one_hot,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_sign,
    softmax,
    softplus,
    squareplus,
    standardize,
    swish,
    tanh,
)
from functrans.nn.containers import MLP, Dropout, Flatten, Identity, Sequential
from functrans.nn.linear import Dense, Embedding, Linear
from functrans.nn.module import (
    Lambda,
    Module,
    combine,
    field,
    filter,
    filter_grad,
    filter_value_and_grad,
    inference_mode,
    is_array,
    is_inexact_array,
    partition,
    static,
    tree_at,
)
from functrans.nn.pooling import avg_pool, max_pool, min_pool

__all__ = [
    "Dense", "Dropout", "Embedding", "Flatten", "Identity", "Lambda", "Linear", "MLP", "Module", "Sequential",
    "avg_pool", "celu", "combine", "elu", "field", "filter", "filter_grad", "filter_value_and_grad", "gelu", "glu",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity", "inference_mode", "initializers", "is_array",
    "is_inexact_array", "leaky_relu", "log_sigmoid", "log_softmax", "logsumexp", "max_pool", "min_pool", "mish",
    "one_hot", "partition", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus",
    "squareplus", "standardize", "static", "swish", "tanh", "tree_at",
]  # fmt: skip
