"""Attention: means of values, weighted by how well keys answer a query (Vaswani et al., 2017)."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import random
from functrans.core.avals import SMALL_FLOATS, aval_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.promotion import as_operand
from functrans.nn.activations import logsumexp, softmax
from functrans.nn.containers import Dropout
from functrans.nn.initializers import Initializer, glorot_uniform, variance_scaling, zeros
from functrans.nn.linear import Linear, layer_input
from functrans.nn.module import Module, static

__all__ = ["MultiheadAttention", "dot_product_attention"]


def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    query_seq_lengths: Any = None,
    key_value_seq_lengths: Any = None,
    local_window_size: int | tuple[int, int] | None = None,
    implementation: str | None = None,
    return_residual: bool = False,
) -> Any:
    """`softmax(scale * query @ key.T + bias) @ value` for each head, as `jax.nn.dot_product_attention`.

    Args:
        query: `(*batch, T, N, H)`: times, heads, features of a head.
        key, value: `(*batch, S, K, H)`, where `K` divides `N`: each head of these serves `N / K` heads of the query
            (grouped queries; with `K = 1`, multi-query attention). Values may have another number of features.
        bias: added to the logits; broadcasts to `(*batch, N, T, S)`.
        mask: booleans that broadcast to `(*batch, N, T, S)`; where false, a key is not attended to.
        scale: the factor of the logits, `1 / sqrt(H)` by default.
        is_causal: a query attends to keys of its own time and before.
        query_seq_lengths, key_value_seq_lengths: integers `(*batch,)`; queries from there on give zeros, keys from
            there on are not attended to.
        local_window_size: how many keys before and after its own time a query attends to; one number for both.
        implementation: accepted for JAX's sake: `None` or `"xla"`.
        return_residual: whether to return the `logsumexp` of the logits over the keys too, `(*batch, T, N)`.

    Returns:
        `(*batch, T, N, H)`, of the dtype of the query, or a pair of it and the residual. A query that may attend to no
        key at all gives the mean of all values, as in JAX. Logits of half precision are computed in float32.

    Raises:
        ShapeError: shapes that do not fit together.
        DTypeError: the mask is not of booleans.

    >>> import functrans as ft, numpy as np
    >>> q, k, v = np.random.default_rng(0).normal(size=(3, 2, 5, 4, 8))
    >>> ft.nn.dot_product_attention(q, k, v, is_causal=True).shape
    (2, 5, 4, 8)
    """
    if implementation not in (None, "xla"):
        raise ArgumentError(f"dot_product_attention: implementation is None or 'xla', got {implementation!r}")
    lengths = (query_seq_lengths, key_value_seq_lengths)
    keep = lambda weights: weights
    out, logits = _attend(query, key, value, bias, mask, scale, is_causal, lengths, local_window_size, keep)
    return (out, fnp.swapaxes(logsumexp(logits, axis=-1), -1, -2)) if return_residual else out


def _attend(
    query: Any, key: Any, value: Any, bias: Any, mask: Any, scale: float | None, is_causal: bool,
    lengths: tuple[Any, Any], window: int | tuple[int, int] | None, drop: Callable[[Any], Any],
) -> Any:  # fmt: skip
    query, key, value = (layer_input("dot_product_attention", x) for x in (query, key, value))
    batch, heads = _checked(aval_of(query).shape, aval_of(key).shape, aval_of(value).shape)
    times, keys, features = aval_of(query).shape[-3], aval_of(key).shape[-3], aval_of(query).shape[-1]
    dtype = aval_of(query).dtype
    shared = heads // aval_of(key).shape[-2]
    if shared > 1:
        key, value = fnp.repeat(key, shared, -2), fnp.repeat(value, shared, -2)

    precise = np.dtype(np.float32) if dtype in SMALL_FLOATS else dtype
    logits = fnp.matmul(fnp.swapaxes(query, -3, -2), fnp.moveaxis(key, -3, -1), preferred_element_type=precise).astype(
        precise
    )
    logits = logits * (features**-0.5 if scale is None else scale)
    if bias is not None:
        logits = logits + _fits("bias", bias, batch, heads, times, keys)
    allowed = _allowed(batch, times, keys, is_causal, lengths, window)
    if mask is not None:
        mask = _fits("mask", mask, batch, heads, times, keys)
        if aval_of(mask).dtype != bool:
            raise DTypeError(
                f"the mask of dot_product_attention is of booleans, got {aval_of(mask)}; they are true where a key is "
                "attended to, and what is added to the logits is the bias"
            )
        allowed.append(mask)
    if allowed:
        # a large negative number, and no infinity: a row without any key has a softmax all the same
        lowest = 0.7 * float(np.finfo(np.float32).min)
        logits = fnp.where(functools.reduce(operator.and_, allowed), logits, lowest)
    weights = drop(softmax(logits, axis=-1).astype(dtype))
    out = fnp.swapaxes(fnp.matmul(weights, fnp.swapaxes(value, -3, -2)), -3, -2)
    if lengths[0] is not None:
        within = fnp.arange(times) < fnp.expand_dims(fnp.asarray(lengths[0]), -1)
        out = fnp.where(within[..., None, None], out, 0)
    return out, logits


def _checked(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    """The batch axes and the number of heads."""
    good = len(query) == len(key) == len(value) >= 3
    good = good and query[:-3] == key[:-3] == value[:-3] and key[:-1] == value[:-1] and query[-1] == key[-1]
    if not good or key[-2] == 0 or query[-2] % key[-2]:
        raise ShapeError(
            "dot_product_attention takes a query (*batch, T, N, H), and keys and values (*batch, S, K, H) where K "
            f"divides N, got shapes {query}, {key} and {value}"
        )
    return query[:-3], query[-2]


def _fits(what: str, x: Any, batch: tuple[int, ...], heads: int, times: int, keys: int) -> Any:
    x = as_operand("dot_product_attention", x)
    shape, full = aval_of(x).shape, (*batch, heads, times, keys)
    if len(shape) > len(full) or any(n not in (1, m) for n, m in zip(reversed(shape), reversed(full))):
        hints = {
            (*batch, keys): f"for one of keys in each example write {what}[..., None, None, :]",
            (*batch, times, keys): f"for one that all heads share write {what}[..., None, :, :]",
        }
        raise ShapeError(
            f"the {what} of dot_product_attention must broadcast to {full}, got shape {shape}"
            + (f"; {hints[shape]}" if shape in hints else "")
        )
    return x


def _allowed(
    batch: tuple[int, ...], times: int, keys: int, is_causal: bool, lengths: tuple[Any, Any], window: Any
) -> list[Any]:
    """Which query may attend to which key: arrays of booleans that broadcast to the logits."""
    t, s = fnp.arange(times)[:, None], fnp.arange(keys)
    allowed = [s <= t] if is_causal else []
    if window is not None:
        before, after = (window, window) if isinstance(window, int) else window
        allowed.append((s >= t - before) & (s <= t + after))
    for what, length, place in zip(("query", "key_value"), lengths, (t, s)):
        if length is not None:
            length = fnp.asarray(length)
            if aval_of(length).shape != batch or aval_of(length).dtype.kind not in "iu":
                raise ShapeError(f"{what}_seq_lengths must be integers of shape {batch}, got {aval_of(length)}")
            allowed.append(place < length[..., None, None, None])
    return allowed


class MultiheadAttention(Module):
    """Attention by several heads at once, each with projections of its own (Vaswani et al., 2017).

    Args:
        embed_dim: features of queries and of the output; the heads divide it.
        num_heads: the number of heads.
        dropout: the probability with which a weight of attention is dropped in training.
        bias: whether the projections have biases.
        kdim, vdim: features of keys and values, `embed_dim` by default.
        key: a random key.
        dtype: of the parameters, float32 by default.

    Attributes:
        query_proj, key_proj, value_proj: layers `Linear`, PyTorch's `in_proj_weight` in three parts.
        out_proj: a layer `Linear`.

    Raises:
        ArgumentError: the heads do not divide `embed_dim`; or there is dropout and no random key.

    >>> import functrans as ft, numpy as np
    >>> attention = ft.nn.MultiheadAttention(8, 2, key=ft.random.key(0))
    >>> x = np.ones((5, 10, 8), np.float32)
    >>> attention(x, is_causal=True).shape
    (5, 10, 8)
    """

    embed_dim: int = static()
    num_heads: int = static()
    query_proj: Linear
    key_proj: Linear
    value_proj: Linear
    out_proj: Linear
    dropout: Dropout

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        *,
        key: Any,
        dtype: Any = np.float32,
    ):
        if num_heads < 1 or embed_dim % num_heads:
            raise ArgumentError(f"MultiheadAttention: {num_heads} heads do not divide {embed_dim} features")
        self.embed_dim, self.num_heads = embed_dim, num_heads
        kdim, vdim = kdim or embed_dim, vdim or embed_dim
        # PyTorch's initial values: those of one matrix for all three projections, if their sizes let it be one
        one: Initializer = variance_scaling(0.5, "fan_avg", "uniform")
        keys = random.split(key, 4)

        def projection(n: int, key: Any, init: Initializer | None) -> Linear:
            return Linear(n, embed_dim, bias, key=key, dtype=dtype, weight_init=init, bias_init=zeros)

        init = one if kdim == vdim == embed_dim else glorot_uniform()
        self.query_proj = projection(embed_dim, keys[0], init)
        self.key_proj = projection(kdim, keys[1], init)
        self.value_proj = projection(vdim, keys[2], init)
        self.out_proj = projection(embed_dim, keys[3], None)
        self.dropout = Dropout(dropout)

    def __call__(
        self, query: Any, key_: Any = None, value: Any = None, *, bias: Any = None, mask: Any = None,
        is_causal: bool = False, key: Any = None,
    ) -> Any:  # fmt: skip
        """Attend from a query `(*batch, T, embed_dim)` to keys and values `(*batch, S, features)`.

        Args:
            query: the query.
            key_: the keys, by default the query.
            value: the values, by default the keys.
            bias: added to the logits, as for `dot_product_attention`: of relative positions, say.
            mask: likewise, booleans that broadcast to `(*batch, num_heads, T, S)`, true where a key is attended to (in
                PyTorch's layer they are true where it is not). One of keys, `(*batch, S)`, is passed as
                `mask[..., None, None, :]`.
            is_causal: a query attends to keys of its own time and before.
            key: a random key, for dropout.
        """
        key_ = query if key_ is None else key_
        value = key_ if value is None else value
        q = self._heads(self.query_proj(query))
        k = self._heads(self.key_proj(key_))
        v = self._heads(self.value_proj(value))
        drop = functools.partial(self.dropout, key=key)
        out, _ = _attend(q, k, v, bias, mask, None, is_causal, (None, None), None, drop)
        return self.out_proj(fnp.reshape(out, (*aval_of(out).shape[:-2], self.embed_dim)))

    def _heads(self, x: Any) -> Any:
        shape = aval_of(x).shape
        return fnp.reshape(x, (*shape[:-1], self.num_heads, self.embed_dim // self.num_heads))
