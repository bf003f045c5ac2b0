"""Recurrent layers and cells: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any, ClassVar

from mcore.platform import init
from mcore.platform.base import Module
from mcore.platform.errors import unsupported
from mcore.platform.layers._common import inverse_root
from mcore.platform.parameter import Parameter, empty
from mcore.platform.tensor import Tensor
from mcore.platform.word import WORDS

# Gates a mode has: rows of the weights over hidden_size.
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_WORDS = {
    "LSTM": "torch.lstm",
    "GRU": "torch.gru",
    "RNN_TANH": "torch.rnn_tanh",
    "RNN_RELU": "torch.rnn_relu",
}


class RNNBase(Module):
    """What recurrent layers share: parameters, checks, unbatched input, states that start at zero."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.proj_size = proj_size
        self._check_settings(dropout)
        self.dropout = float(dropout)
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                self._add_weights(layer, suffix, device, dtype)
        self.reset_parameters()

    def _check_settings(self, dropout: Any) -> None:
        if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:  # type: ignore[operator]
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {self.mode}")

    def _add_weights(self, layer: int, suffix: str, device: Any, dtype: Any) -> None:
        gates = _GATES[self.mode] * self.hidden_size
        hidden = self.proj_size or self.hidden_size
        width = self.input_size if layer == 0 else hidden * (2 if self.bidirectional else 1)
        shapes: dict[str, Any] = {"weight_ih": (gates, width), "weight_hh": (gates, hidden)}
        if self.bias:
            shapes |= {"bias_ih": gates, "bias_hh": gates}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = [f"{name}_l{layer}{suffix}" for name in shapes]
        for name, shape in zip(names, shapes.values(), strict=True):
            self.register_parameter(name, empty(shape, device, dtype))
        self._all_weights.append(names)

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """Parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Does nothing: the session lays out weights as it likes."""

    def reset_parameters(self) -> None:
        """Draws the parameters anew: uniform within one over the root of the hidden size."""
        bound = inverse_root(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    # --- checks, in torch's words

    def check_input(self, input: Tensor, batch_sizes: Tensor | None = None) -> None:
        """Raises where an input's type, rank or width doesn't fit."""
        own = self._flat_weights[0]._dtype
        if input._dtype is not own:
            raise ValueError(
                f"RNN input dtype ({input._dtype}) does not match weight dtype ({own}). Convert input: "
                f"input.to({own}), or convert model: model.to({input._dtype})"
            )
        if input.ndim != 3:
            raise RuntimeError(f"input must have 3 dimensions, got {input.ndim}")
        if self.input_size != int(input.shape[-1]):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None = None) -> tuple[int, int, int]:
        """Shape of the hidden state for this input."""
        batch = input.shape[0 if self.batch_first else 1]
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.proj_size or self.hidden_size

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple, msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raises where a state's shape doesn't fit."""
        expected, got = tuple(map(int, expected_hidden_size)), list(map(int, hx.shape))
        if list(expected) != got:
            raise RuntimeError(msg.format(expected, got))

    # --- running

    def _batched(self, input: Any) -> tuple[Tensor, bool]:
        if not isinstance(input, Tensor):
            raise unsupported(
                type(self).__name__,
                f"input of type {type(input).__name__}",
                "a Tensor; packed sequences are not",
            )
        if input.ndim not in (2, 3):
            kind = type(self).__name__
            tail = "D tensor instead" if kind == "RNN" else "D instead"
            raise ValueError(f"{kind}: Expected input to be 2D or 3D, got {input.ndim}{tail}")
        if input.ndim == 3:
            return input, True
        return input.unsqueeze(0 if self.batch_first else 1), False  # type: ignore[attr-defined]

    def _zeros(self, input: Tensor, width: int) -> Tensor:
        count = self.num_layers * (2 if self.bidirectional else 1)
        batch = input.shape[0 if self.batch_first else 1]
        return WORDS["torch.zeros"](count, batch, width, dtype=input._dtype, device=input._device)

    def _settings(self) -> tuple:
        return (
            self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional,
            self.batch_first,
        )  # fmt: skip

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        # RNN and GRU; the LSTM has two states.
        input, batched = self._batched(input)
        if hx is not None and hx.ndim != (3 if batched else 2):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            rank = 3 if batched else 2
            raise RuntimeError(f"For {kind} input, hx should also be {rank}-D but got {hx.ndim}-D tensor")
        if hx is None:
            hx = self._zeros(input, self.hidden_size)
        elif not batched:
            hx = hx.unsqueeze(1)
        self.check_input(input)
        self.check_hidden_size(hx, self.get_expected_hidden_size(input))
        out, hidden = WORDS[_WORDS[self.mode]](input, hx, *self._settings())
        if batched:
            return out, hidden
        return out.squeeze(0 if self.batch_first else 1), hidden.squeeze(1)

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}", f"{self.hidden_size}"]
        if self.proj_size != 0:
            parts.append(f"proj_size={self.proj_size}")
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if self.batch_first is not False:
            parts.append(f"batch_first={self.batch_first}")
        if self.dropout != 0:
            parts.append(f"dropout={self.dropout}")
        if self.bidirectional is not False:
            parts.append(f"bidirectional={self.bidirectional}")
        return ", ".join(parts)


class RNN(RNNBase):
    """A plain recurrence with tanh or relu: `RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", ...)`.

    Shapes:
        input: (l, n, input_size), or (n, l, input_size) with `batch_first`, or (l, input_size)
        hx: (layers * directions, n, hidden_size)
        returns: the outputs (l, n, directions * hidden_size), and the last states
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class GRU(RNNBase):
    """The gated recurrence of Cho et al. (2014).

    Shapes:
        input: (l, n, input_size), or (n, l, input_size) with `batch_first`, or (l, input_size)
        hx: (layers * directions, n, hidden_size)
        returns: the outputs (l, n, directions * hidden_size), and the last states
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class LSTM(RNNBase):
    """The recurrence of Hochreiter and Schmidhuber (1997), with a forget gate.

    Shapes:
        input: (l, n, input_size), or (n, l, input_size) with `batch_first`, or (l, input_size)
        hx: hidden states (layers * directions, n, proj_size or hidden_size), and cell states
        returns: the outputs (l, n, directions * (proj_size or hidden_size)), and the last states
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None = None) -> tuple[int, int, int]:
        """Shape of the cell state for this input."""
        count, batch, _ = self.get_expected_hidden_size(input)
        return count, batch, self.hidden_size

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        input, batched = self._batched(input)
        if hx is None:
            width = self.proj_size or self.hidden_size
            hidden, cell = self._zeros(input, width), self._zeros(input, self.hidden_size)
        else:
            hidden, cell = hx
            rank = 3 if batched else 2
            if hidden.ndim != rank or cell.ndim != rank:
                kind = "batched 3-D" if batched else "unbatched 2-D"
                raise RuntimeError(
                    f"For {kind} input, hx and cx should also be {rank}-D but got "
                    f"({hidden.ndim}-D, {cell.ndim}-D) tensors"
                )
            if not batched:
                hidden, cell = hidden.unsqueeze(1), cell.unsqueeze(1)  # type: ignore[attr-defined]
        self.check_input(input)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input), "Expected hidden[0] size {}, got {}")
        self.check_hidden_size(cell, self.get_expected_cell_size(input), "Expected hidden[1] size {}, got {}")
        out, hidden, cell = WORDS["torch.lstm"](input, (hidden, cell), *self._settings())
        if batched:
            return out, (hidden, cell)
        axis = 0 if self.batch_first else 1
        return out.squeeze(axis), (hidden.squeeze(1), cell.squeeze(1))


class _Cell(Module):
    _gates: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self._gates * hidden_size
        self.weight_ih = empty((rows, input_size), device, dtype)
        self.weight_hh = empty((rows, hidden_size), device, dtype)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, empty(rows, device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew: uniform within one over the root of the hidden size."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text

    def _weights(self) -> tuple:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _check(self, value: Tensor, name: str) -> None:
        if value.ndim not in (1, 2):
            raise ValueError(f"{type(self).__name__}: Expected {name} to be 1D or 2D, got {value.ndim}D instead")

    def _zeros(self, input: Tensor) -> Tensor:
        return WORDS["torch.zeros"](input.shape[0], self.hidden_size, dtype=input._dtype, device=input._device)

    def _step(self, word: str, input: Tensor, hx: Tensor | None) -> Tensor:
        self._check(input, "input")
        if hx is not None:
            self._check(hx, "hidden")
        batched = input.ndim == 2
        if not batched:
            input = input.unsqueeze(0)  # type: ignore[attr-defined]
            hx = None if hx is None else hx.unsqueeze(0)  # type: ignore[attr-defined]
        out = WORDS[word](input, self._zeros(input) if hx is None else hx, *self._weights())
        return out if batched else out.squeeze(0)


class RNNCell(_Cell):
    """One step of a plain recurrence."""

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"torch.rnn_{self.nonlinearity}_cell", input, hx)


class GRUCell(_Cell):
    """One step of a GRU."""

    _gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("torch.gru_cell", input, hx)


class LSTMCell(_Cell):
    """One step of an LSTM."""

    _gates = 4

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        self._check(input, "input")
        for k, value in enumerate(hx or ()):
            self._check(value, f"hx[{k}]")
        batched = input.ndim == 2
        if not batched:
            input = input.unsqueeze(0)  # type: ignore[attr-defined]
            hx = hx and tuple(value.unsqueeze(0) for value in hx)  # type: ignore[attr-defined, assignment]
        if hx is None:
            zeros = self._zeros(input)
            hx = zeros, zeros
        hidden, cell = WORDS["torch.lstm_cell"](input, hx, *self._weights())
        return (hidden, cell) if batched else (hidden.squeeze(0), cell.squeeze(0))


__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell"]
