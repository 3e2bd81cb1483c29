"""Recurrent layers: cells that take one step, and `RNN`, which runs a cell over time. Weights are PyTorch's."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

import functrans.numpy as fnp
from functrans import lax, random, tree
from functrans.core.avals import aval_of
from functrans.core.pytree import flatten
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.nn.activations import relu, sigmoid
from functrans.nn.linear import bounded, checked_features, layer_input
from functrans.nn.module import Module, static

__all__ = ["RNN", "Bidirectional", "GRUCell", "LSTMCell", "RNNCell"]


class _Cell(Module):
    """Weights of so many gates, in PyTorch's order, one below the other."""

    gates: ClassVar[int] = 1
    state_parts: ClassVar[tuple[str, ...]] = ("h",)

    input_size: int = static()
    hidden_size: int = static()
    weight_ih: Any
    weight_hh: Any
    bias_ih: Any
    bias_hh: Any

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, key: Any, dtype: Any = np.float32):
        self.input_size, self.hidden_size = input_size, hidden_size
        rows, keys = self.gates * hidden_size, random.split(key, 4)
        self.weight_ih = bounded(keys[0], (rows, input_size), dtype, hidden_size)
        self.weight_hh = bounded(keys[1], (rows, hidden_size), dtype, hidden_size)
        self.bias_ih = bounded(keys[2], (rows,), dtype, hidden_size) if bias else None
        self.bias_hh = bounded(keys[3], (rows,), dtype, hidden_size) if bias else None

    def initial_state(self, batch: tuple[int, ...] = (), dtype: Any = None) -> Any:
        """Zeros `(*batch, hidden_size)`, of the dtype of the weights if none is given."""
        return fnp.zeros((*batch, self.hidden_size), aval_of(self.weight_hh).dtype if dtype is None else dtype)

    def _start(self, x: Any, state: Any) -> tuple[Any, Any]:
        """Input and state, checked; zeros where there is no state yet."""
        name = type(self).__name__
        x = checked_features(name, x, self.input_size)
        aval = aval_of(x)
        if state is None:
            dtype = common_dtype(aval.dtype, aval_of(self.weight_ih).dtype)
            return x, self.initial_state(aval.shape[:-1], dtype)
        parts = flatten(state)[0]
        if len(parts) != len(self.state_parts):
            raise ArgumentError(
                f"{name} has a state of {len(self.state_parts)}, {', '.join(self.state_parts)}, got {len(parts)} arrays"
            )
        for part in parts:
            shape, expected = aval_of(part).shape, (*aval.shape[:-1], self.hidden_size)
            if shape != expected:
                raise ShapeError(f"{name} with an input of shape {aval.shape} has states {expected}, got {shape}")
        return x, state

    def _of_input(self, x: Any) -> Any:
        return _linear(x, self.weight_ih, self.bias_ih)

    def _of_hidden(self, h: Any) -> Any:
        return _linear(h, self.weight_hh, self.bias_hh)


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = fnp.matmul(x, weight.T)
    return y if bias is None else y + bias


class RNNCell(_Cell):
    """One step of a simple recurrent network (Elman, 1990): `tanh(W_ih x + b_ih + W_hh h + b_hh)`.

    Args:
        input_size, hidden_size: features of inputs and of the state.
        bias: whether there are biases.
        nonlinearity: `"tanh"` or `"relu"`.
        key: a random key.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight_ih, weight_hh: `(hidden_size, input_size)`, `(hidden_size, hidden_size)`.
        bias_ih, bias_hh: `(hidden_size,)`, or `None`.

    >>> import functrans as ft, numpy as np
    >>> cell = ft.nn.RNNCell(3, 4, key=ft.random.key(0))
    >>> h = cell(np.ones((5, 3), np.float32))
    >>> cell(np.ones((5, 3), np.float32), h).shape
    (5, 4)
    """

    nonlinearity: str = static()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        key: Any,
        dtype: Any = np.float32,
    ):
        super().__init__(input_size, hidden_size, bias, key=key, dtype=dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNNCell: nonlinearity is 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def __call__(self, x: Any, h: Any = None) -> Any:
        """The next state: `x` is `(*batch, input_size)`, states are `(*batch, hidden_size)`, zeros by default."""
        x, h = self._start(x, h)
        return (fnp.tanh if self.nonlinearity == "tanh" else relu)(self._of_input(x) + self._of_hidden(h))


class GRUCell(_Cell):
    """One step of a gated recurrent unit (Cho et al., 2014).

    Args:
        input_size, hidden_size: features of inputs and of the state.
        bias: whether there are biases.
        key: a random key.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight_ih, weight_hh: `(3 hidden_size, ...)`: the reset gate, the update gate, the new state.
        bias_ih, bias_hh: `(3 hidden_size,)`, or `None`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.GRUCell(3, 4, key=ft.random.key(0))(np.ones((5, 3), np.float32)).shape
    (5, 4)
    """

    gates = 3

    def __call__(self, x: Any, h: Any = None) -> Any:
        """The next state: `x` is `(*batch, input_size)`, states are `(*batch, hidden_size)`, zeros by default."""
        x, h = self._start(x, h)
        reset_x, update_x, new_x = fnp.split(self._of_input(x), 3, -1)
        reset_h, update_h, new_h = fnp.split(self._of_hidden(h), 3, -1)
        update = sigmoid(update_x + update_h)
        new = fnp.tanh(new_x + sigmoid(reset_x + reset_h) * new_h)
        return new + update * (h - new)


class LSTMCell(_Cell):
    """One step of a long short-term memory (Hochreiter and Schmidhuber, 1997).

    Args:
        input_size, hidden_size: features of inputs and of both parts of the state.
        bias: whether there are biases.
        key: a random key.
        dtype: of the parameters, float32 by default.

    Attributes:
        weight_ih, weight_hh: `(4 hidden_size, ...)`: the input gate, the forget gate, the new cell, the output gate.
        bias_ih, bias_hh: `(4 hidden_size,)`, or `None`.

    >>> import functrans as ft, numpy as np
    >>> h, c = ft.nn.LSTMCell(3, 4, key=ft.random.key(0))(np.ones((5, 3), np.float32))
    >>> h.shape, c.shape
    ((5, 4), (5, 4))
    """

    gates = 4
    state_parts = ("h", "c")

    def initial_state(self, batch: tuple[int, ...] = (), dtype: Any = None) -> Any:
        """A pair of zeros `(*batch, hidden_size)`."""
        return super().initial_state(batch, dtype), super().initial_state(batch, dtype)

    def __call__(self, x: Any, carry: Any = None) -> tuple[Any, Any]:
        """The next state, a pair `(h, c)`: `x` is `(*batch, input_size)`, both parts are `(*batch, hidden_size)`."""
        x, (h, c) = self._start(x, carry)
        enter, forget, new, out = fnp.split(self._of_input(x) + self._of_hidden(h), 4, -1)
        c = sigmoid(forget) * c + sigmoid(enter) * fnp.tanh(new)
        return sigmoid(out) * fnp.tanh(c), c


class RNN(Module):
    """A cell run over the second last axis of its input, which is time, by `lax.scan`.

    Args:
        cell: `RNNCell`, `GRUCell`, `LSTMCell`, or a module of your own that maps an input `(*batch, features)` and a
            state to the next state, with a method `initial_state(batch, dtype)`. What it puts out is its state, or the
            first part of it where it is a tuple.
        reverse: run from the last step to the first; outputs keep the order of inputs.

    >>> import functrans as ft, numpy as np
    >>> first, second = ft.random.split(ft.random.key(0))
    >>> lstm = ft.nn.RNN(ft.nn.LSTMCell(3, 4, key=first))
    >>> y, (h, c) = lstm(np.ones((5, 10, 3), np.float32))
    >>> y.shape, h.shape
    ((5, 10, 4), (5, 4))
    """

    cell: Any
    reverse: bool = static(default=False)

    def __call__(self, x: Any, carry: Any = None, *, lengths: Any = None) -> tuple[Any, Any]:
        """`(*batch, time, features)` to outputs `(*batch, time, hidden)` and the last state; `carry` is the first.

        `lengths`, integers `(*batch,)`, say how many times of each sequence count, all by default. Outputs after them
        are zeros, and the state stays as it was, as with PyTorch's packed sequences.
        """
        x = layer_input("RNN", x)
        shape = aval_of(x).shape
        if len(shape) < 2:
            raise ShapeError(f"RNN takes inputs (*batch, time, features), got an input of shape {shape}")

        def step(carry: Any, now: Any) -> tuple[Any, Any]:
            x, time = now
            new = self.cell(x, carry)
            if lengths is not None:
                within = lengths > time
                new = tree.map(lambda a, b: _where(within, a, b), new, carry)
            output = new[0] if isinstance(new, tuple) else new
            return new, output if lengths is None else _where(within, output, 0)

        if lengths is not None:
            lengths = _checked_lengths(lengths, shape[:-2])
        if carry is None:
            carry = self.cell.initial_state(shape[:-2], common_dtype(aval_of(x).dtype, *_dtypes(self.cell)))
        times = None if lengths is None else fnp.arange(shape[-2])
        last, outputs = lax.scan(step, carry, (fnp.moveaxis(x, -2, 0), times), reverse=self.reverse)
        return fnp.moveaxis(outputs, 0, -2), last


class Bidirectional(Module):
    """One cell run forward over time, another backward; outputs of both side by side, as in PyTorch's layers.

    Args:
        forward, backward: cells, as `RNN` takes.

    >>> import functrans as ft, numpy as np
    >>> first, second = ft.random.split(ft.random.key(0))
    >>> both = ft.nn.Bidirectional(ft.nn.GRUCell(3, 4, key=first), ft.nn.GRUCell(3, 4, key=second))
    >>> y, (last, earliest) = both(np.ones((5, 10, 3), np.float32))
    >>> y.shape, last.shape
    ((5, 10, 8), (5, 4))
    """

    forward: Any
    backward: Any

    def __call__(self, x: Any, carry: Any = (None, None), *, lengths: Any = None) -> tuple[Any, Any]:
        """`(*batch, time, features)` to outputs `(*batch, time, both hidden sizes)` and the last states of both.

        `lengths` are those of `RNN`; the cell that runs backward starts at the end of each sequence.
        """
        ahead, last = RNN(self.forward)(x, carry[0], lengths=lengths)
        back, earliest = RNN(self.backward, reverse=True)(x, carry[1], lengths=lengths)
        return fnp.concatenate([ahead, back], -1), (last, earliest)


def _checked_lengths(lengths: Any, batch: tuple[int, ...]) -> Any:
    lengths = fnp.asarray(lengths)
    aval = aval_of(lengths)
    if aval.shape != batch or aval.dtype.kind not in "iu":
        raise ShapeError(f"RNN: lengths are integers of shape {batch}, got {aval}")
    return lengths


def _where(within: Any, new: Any, old: Any) -> Any:
    """What is new for the examples that are within their sequences."""
    rank = aval_of(new).ndim - aval_of(within).ndim
    return fnp.where(fnp.reshape(within, (*aval_of(within).shape, *[1] * rank)), new, old)


def _dtypes(cell: Any) -> list[np.dtype]:
    return [aval_of(leaf).dtype for leaf in flatten(cell)[0]]
