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
    log1mexp,
    log_sigmoid,
    log_softmax,
    logmeanexp,
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
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    standardize,
    swish,
    tanh,
)
from functrans.nn.attention import MultiheadAttention, dot_product_attention
from functrans.nn.containers import MLP, Dropout, Flatten, Identity, Sequential
from functrans.nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
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
from functrans.nn.normalization import (
    BatchNorm,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    BatchStatistics,
    GroupNorm,
    LayerNorm,
    RMSNorm,
    State,
    with_state,
)
from functrans.nn.pooling import avg_pool, max_pool, min_pool
from functrans.nn.pooling_layers import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from functrans.nn.recurrent import RNN, Bidirectional, GRUCell, LSTMCell, RNNCell
from functrans.nn.summary import Summary, summary
from functrans.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "BatchNorm", "BatchNorm1d", "BatchNorm2d",
    "BatchNorm3d", "BatchStatistics", "Bidirectional", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d",
    "ConvTranspose2d", "ConvTranspose3d", "Dense", "Dropout", "Embedding", "Flatten", "GRUCell", "GroupNorm",
    "Identity", "LSTMCell", "Lambda", "LayerNorm", "Linear", "MLP", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Module",
    "MultiheadAttention", "RMSNorm", "RNN", "RNNCell", "Sequential", "State", "Summary", "TransformerDecoderLayer",
    "TransformerEncoderLayer", "avg_pool", "celu", "combine", "dot_product_attention", "elu", "field", "filter",
    "filter_grad", "filter_value_and_grad", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "identity", "inference_mode", "initializers", "is_array", "is_inexact_array", "leaky_relu", "log1mexp",
    "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "max_pool", "min_pool", "mish", "one_hot", "partition",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid",
    "squareplus", "standardize", "static", "summary", "swish", "tanh", "tree_at", "with_state",
]  # fmt: skip
