"""Writes figures.npz: what PyTorch's layers compute from given inputs and parameters, with all derivatives.

Run it in an environment with PyTorch 2.13.0:

    pip install torch==2.13.0 numpy && python tests/nn/make_figures.py

For each layer below the file holds, under "name/...", the inputs `x0`, `x1`, ..., the parameters `p:<name>`, the
outputs `y0`, ..., weights `c0`, ... of the outputs, and the derivatives of `sum(c * y)` with respect to each input,
`dx0`, ..., and each parameter, `d:<name>`; buffers after the call are `b:<name>`. All is float64.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)


class Attention(nn.MultiheadAttention):
    def __init__(self, *args, causal=False, **kwargs):
        super().__init__(*args, batch_first=True, **kwargs)
        self.causal = causal

    def forward(self, q, k, v):
        mask = torch.triu(torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool), 1) if self.causal else None
        return super().forward(q, k, v, attn_mask=mask, need_weights=False)[0]


class Inference(nn.Module):
    """A layer that has seen one batch, in evaluation mode."""

    def __init__(self, layer, shape):
        super().__init__()
        self.layer = layer
        layer(torch.randn(shape))
        layer.eval()

    def forward(self, x):
        return self.layer(x)


LAYERS = {
    "linear": (nn.Linear(4, 3), [(5, 4)]),
    "linear_nobias": (nn.Linear(4, 3, bias=False), [(2, 5, 4)]),
    "conv1d": (nn.Conv1d(2, 4, 3, stride=2, padding=1), [(2, 2, 9)]),
    "conv1d_same": (nn.Conv1d(2, 3, 4, padding="same"), [(2, 2, 9)]),
    "conv2d": (nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), [(2, 3, 7, 6)]),
    "conv2d_groups": (nn.Conv2d(4, 6, 3, groups=2, bias=False), [(2, 4, 5, 6)]),
    "conv2d_depthwise": (nn.Conv2d(3, 6, 2, groups=3), [(3, 5, 4)]),
    "conv3d": (nn.Conv3d(2, 3, 2, stride=2, padding=1), [(1, 2, 4, 5, 3)]),
    "conv_transpose1d": (nn.ConvTranspose1d(3, 2, 4, stride=3, padding=1, output_padding=2), [(2, 3, 5)]),
    "conv_transpose2d": (
        nn.ConvTranspose2d(4, 6, (3, 2), stride=2, padding=(1, 0), output_padding=(1, 0), groups=2, dilation=(2, 1)),
        [(2, 4, 3, 4)],
    ),
    "conv_transpose3d": (nn.ConvTranspose3d(2, 1, 2, stride=(1, 2, 2)), [(1, 2, 2, 3, 2)]),
    "max_pool1d": (nn.MaxPool1d(3, stride=2, padding=1), [(2, 3, 8)]),
    "max_pool2d": (nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 1), dilation=(2, 1)), [(2, 2, 6, 7)]),
    "max_pool3d": (nn.MaxPool3d(2), [(1, 2, 4, 5, 4)]),
    "avg_pool1d": (nn.AvgPool1d(3, stride=2, padding=1), [(2, 3, 8)]),
    "avg_pool2d": (nn.AvgPool2d((2, 3), stride=(2, 1), padding=(1, 1), count_include_pad=False), [(2, 2, 6, 7)]),
    "avg_pool3d": (nn.AvgPool3d(2), [(1, 2, 4, 5, 4)]),
    "adaptive_avg_pool1d": (nn.AdaptiveAvgPool1d(3), [(2, 3, 8)]),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d((3, None)), [(2, 2, 7, 5)]),
    "adaptive_avg_pool3d": (nn.AdaptiveAvgPool3d((1, 2, 4)), [(1, 2, 4, 5, 3)]),
    "batch_norm1d": (nn.BatchNorm1d(3), [(6, 3)]),
    "batch_norm2d": (nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), [(4, 3, 2, 3)]),
    "batch_norm3d": (nn.BatchNorm3d(2, momentum=None, affine=False), [(2, 2, 2, 2, 3)]),
    "batch_norm_inference": (Inference(nn.BatchNorm2d(3), (4, 3, 2, 3)), [(2, 3, 2, 3)]),
    "layer_norm": (nn.LayerNorm((3, 4)), [(2, 5, 3, 4)]),
    "layer_norm_nobias": (nn.LayerNorm(4, eps=1e-2, bias=False), [(5, 4)]),
    "group_norm": (nn.GroupNorm(2, 6), [(2, 6, 3, 2)]),
    "rms_norm": (nn.RMSNorm((3, 4)), [(2, 3, 4)]),
    "rnn_cell": (nn.RNNCell(3, 4), [(2, 3), (2, 4)]),
    "rnn_cell_relu": (nn.RNNCell(3, 4, nonlinearity="relu", bias=False), [(2, 3), (2, 4)]),
    "gru_cell": (nn.GRUCell(3, 4), [(2, 3), (2, 4)]),
    "lstm_cell": (nn.LSTMCell(3, 4), [(2, 3), (2, 4), (2, 4)]),
    "rnn": (nn.RNN(3, 4, batch_first=True), [(2, 5, 3)]),
    "gru": (nn.GRU(3, 4, batch_first=True), [(2, 5, 3)]),
    "lstm": (nn.LSTM(3, 4, batch_first=True), [(2, 5, 3)]),
    "attention": (Attention(6, 2), [(2, 4, 6), (2, 5, 6), (2, 5, 6)]),
    "attention_causal": (Attention(6, 3, bias=False, causal=True), [(2, 4, 6)] * 3),
    "attention_sizes": (Attention(6, 2, kdim=4, vdim=5), [(3, 6), (4, 4), (4, 5)]),
    "adaptive_max_pool1d": (nn.AdaptiveMaxPool1d(3), [(2, 3, 8)]),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d((2, None)), [(2, 2, 6, 5)]),
    "adaptive_max_pool3d": (nn.AdaptiveMaxPool3d((1, 2, 4)), [(1, 2, 4, 5, 3)]),
    "transformer_encoder": (nn.TransformerEncoderLayer(6, 2, 5, dropout=0.0, batch_first=True), [(2, 4, 6)]),
    "transformer_encoder_first": (
        nn.TransformerEncoderLayer(
            6, 3, 5, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, bias=False
        ),
        [(2, 4, 6)],
    ),
    "transformer_decoder": (
        nn.TransformerDecoderLayer(6, 2, 5, dropout=0.0, layer_norm_eps=1e-3, batch_first=True),
        [(2, 4, 6), (2, 3, 6)],
    ),
}


def call(name, layer, xs):
    out = layer(xs[0], tuple(xs[1:])) if name == "lstm_cell" else layer(*xs)
    if isinstance(out, tuple) and isinstance(out[1], tuple):
        out = (out[0], *out[1])
    return out if isinstance(out, tuple) else (out,)


def main():
    torch.manual_seed(0)
    figures = {}
    for name, (layer, shapes) in LAYERS.items():
        with torch.no_grad():  # no zeros and ones among the parameters
            for p in layer.parameters():
                p.copy_(torch.randn(p.shape) * 0.5)
        xs = [torch.randn(shape, requires_grad=True) for shape in shapes]
        ys = call(name, layer, xs)
        cs = [torch.randn(y.shape) for y in ys]
        sum((c * y).sum() for c, y in zip(cs, ys)).backward()
        found = {f"x{i}": x for i, x in enumerate(xs)} | {f"dx{i}": x.grad for i, x in enumerate(xs)}
        found |= {f"y{i}": y for i, y in enumerate(ys)} | {f"c{i}": c for i, c in enumerate(cs)}
        for key, p in layer.named_parameters():
            found |= {f"p:{key}": p, f"d:{key}": p.grad}
        found |= {f"b:{key}": b for key, b in layer.named_buffers()}
        figures |= {f"{name}/{key}": value.detach().numpy() for key, value in found.items()}
    np.savez_compressed(Path(__file__).parent / "figures.npz", **figures)


if __name__ == "__main__":
    main()
