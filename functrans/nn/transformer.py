"""Layers of transformers (Vaswani et al., 2017), with PyTorch's arguments and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from functrans import random
from functrans.nn.activations import relu
from functrans.nn.attention import MultiheadAttention
from functrans.nn.containers import Dropout
from functrans.nn.linear import Linear
from functrans.nn.module import Module, static
from functrans.nn.normalization import LayerNorm

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]


class _TransformerLayer(Module):
    """Attention to itself and a network of two layers for each time; each is added to its input and normalized."""

    self_attn: MultiheadAttention
    linear1: Linear
    linear2: Linear
    norm1: LayerNorm
    norm2: LayerNorm
    dropout: Dropout
    activation: Callable[..., Any]
    norm_first: bool = static()

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Callable[..., Any] = relu,
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        *,
        key: Any,
        dtype: Any = np.float32,
    ):
        attention, first, second = random.split(key, 3)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, key=attention, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, key=first, dtype=dtype)
        self.linear2 = Linear(dim_feedforward, d_model, bias, key=second, dtype=dtype)
        self.norm1, self.norm2 = (LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(2))
        self.dropout, self.activation, self.norm_first = Dropout(dropout), activation, norm_first

    def _added(self, x: Any, part: Callable[[Any], Any], norm: LayerNorm, key: Any) -> Any:
        """The input and what a part makes of it, normalized before or after."""
        if self.norm_first:
            return x + self.dropout(part(norm(x)), key=key)
        return norm(x + self.dropout(part(x), key=key))

    def _feed_forward(self, x: Any, key: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x)), key=key))


def _keys(key: Any, count: int) -> Any:
    return [None] * count if key is None else random.split(key, count)


class TransformerEncoderLayer(_TransformerLayer):
    """Attention to itself, then a network of two layers for each time; each is added to its input and normalized.

    Args:
        d_model: features of inputs and outputs.
        nhead: the number of heads, which divides `d_model`.
        dim_feedforward: features between the two layers.
        dropout: a probability: of weights of attention, of these features, and of what is added.
        activation: after the first of the two layers.
        layer_norm_eps: the `eps` of `LayerNorm`.
        norm_first: normalize before attention and network rather than after them.
        bias: whether linear layers and normalizations have biases.
        key: a random key.
        dtype: of the parameters, float32 by default.

    Attributes:
        self_attn: a layer `MultiheadAttention`.
        linear1, linear2: layers `Linear`.
        norm1, norm2: layers `LayerNorm`.

    Raises:
        ArgumentError: the heads do not divide `d_model`; or there is dropout and no random key.

    >>> import functrans as ft, numpy as np
    >>> layer = ft.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, key=ft.random.key(0))
    >>> x = np.ones((5, 10, 8), np.float32)
    >>> layer(x, key=ft.random.key(1)).shape
    (5, 10, 8)
    >>> ft.nn.inference_mode(layer)(x, is_causal=True).shape
    (5, 10, 8)
    """

    def __call__(self, x: Any, *, mask: Any = None, is_causal: bool = False, key: Any = None) -> Any:
        """`(*batch, time, d_model)` to the same; `mask` and `is_causal` are those of `MultiheadAttention`."""
        keys = _keys(key, 4)
        attend = lambda x: self.self_attn(x, mask=mask, is_causal=is_causal, key=keys[0])
        x = self._added(x, attend, self.norm1, keys[1])
        return self._added(x, lambda x: self._feed_forward(x, keys[2]), self.norm2, keys[3])


class TransformerDecoderLayer(_TransformerLayer):
    """As `TransformerEncoderLayer`, with attention to what an encoder made, the memory, between the two parts.

    Args:
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias, key, dtype: as for
            `TransformerEncoderLayer`.

    Attributes:
        self_attn, multihead_attn: layers `MultiheadAttention`; the second attends to the memory.
        linear1, linear2: layers `Linear`.
        norm1, norm2, norm3: layers `LayerNorm`.

    >>> import functrans as ft, numpy as np
    >>> layer = ft.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, dropout=0.0, key=ft.random.key(0))
    >>> x, memory = np.ones((5, 10, 8), np.float32), np.ones((5, 7, 8), np.float32)
    >>> layer(x, memory, is_causal=True).shape
    (5, 10, 8)
    """

    multihead_attn: MultiheadAttention
    norm3: LayerNorm

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Callable[..., Any] = relu,
        layer_norm_eps: float = 1e-5,
        norm_first: bool = False,
        bias: bool = True,
        *,
        key: Any,
        dtype: Any = np.float32,
    ):
        own, memory = random.split(key)
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, norm_first, bias, key=own, dtype=dtype
        )
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, key=memory, dtype=dtype)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

    def __call__(
        self, x: Any, memory: Any, *, mask: Any = None, memory_mask: Any = None, is_causal: bool = False,
        key: Any = None,
    ) -> Any:  # fmt: skip
        """`(*batch, time, d_model)` and memory `(*batch, memory time, d_model)` to an array like the first.

        `mask` and `is_causal` are for the attention to itself, `memory_mask` for that to the memory.
        """
        keys = _keys(key, 6)
        attend = lambda x: self.self_attn(x, mask=mask, is_causal=is_causal, key=keys[0])
        recall = lambda x: self.multihead_attn(x, memory, mask=memory_mask, key=keys[2])
        x = self._added(x, attend, self.norm1, keys[1])
        x = self._added(x, recall, self.norm2, keys[3])
        return self._added(x, lambda x: self._feed_forward(x, keys[4]), self.norm3, keys[5])
