"""Recurrent layers: the functions that torch.nn.LSTM, GRU and RNN call with their flat weights, and single
cells.

The gates stand in another order in ONNX than in torch (LSTM i, o, f, c against i, f, g, o; GRU z, r, h
against r, z, n), and both biases lie one behind the other; the blocks are gathered in the graph, so the
file keeps the parameters as they are named. Differs: packed sequences and projections are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.tensor import Tensor, constant, emit_many
from mcore.platform.word import WORDS, word
from mcore.platform.words._pieces import (
    binary,
    concat,
    permute,
    reshape,
    section,
    squeeze,
    take,
    unary,
    unsqueeze,
)
from mcore.platform.words.linear import linear

# Where ONNX's blocks lie in torch's weights, by operator.
_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def _refuse_packed(title: str, packed: bool) -> None:
    if packed:
        raise unsupported(title, "a packed sequence", "padded tensors of one length; mask what lies behind the end")


class Layout:
    """How many layers and directions there are, and what each step is."""

    def __init__(self, op: str, num_layers: int, bidirectional: bool, attributes: dict[str, Any]) -> None:
        self.op, self.num_layers, self.directions = op, num_layers, 2 if bidirectional else 1
        self.attributes = attributes | ({"direction": "bidirectional"} if bidirectional else {})

    def blocks(self, weight: Tensor) -> Tensor:
        """A weight or bias with its gates in ONNX's order, and an axis in front for the direction."""
        order = _ORDER[self.op]
        if len(order) == 1:
            return unsqueeze(weight, 0)
        size = int(weight.shape[0]) // len(order)
        places = np.concatenate([np.arange(size) + k * size for k in order])
        return take(weight, constant(places[None], dtypes.int64), 0)

    def weights(self, params: Sequence[Tensor], layer: int, biases: bool) -> list[Tensor | None]:
        """W, R and B of one layer, directions one behind the other."""
        count = 4 if biases else 2
        of = [
            [self.blocks(p) for p in params[count * k : count * (k + 1)]]
            for k in range(layer * self.directions, (layer + 1) * self.directions)
        ]
        joined: list[Tensor | None] = [concat([w[k] for w in of], 0) for k in range(2)]
        return [*joined, concat([concat(w[2:], 1) for w in of], 0) if biases else None]


def _run(
    layout: Layout,
    input: Tensor,
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    dropout: float,
    train: bool,
    batch_first: bool,
) -> list[Tensor]:
    """The output of the last layer, and each kind of state of every layer after the last step."""
    title, directions = layout.op.lower(), layout.directions
    _check(title, layout, input, states, params, has_biases)
    size = int(params[1].shape[1])
    x = permute(input, (1, 0, 2)) if batch_first else input
    length, batch = x.shape[:2]
    if not int(batch):  # ONNX Runtime's kernels end the process on an empty batch
        shape = (0, int(length), directions * size) if batch_first else (int(length), 0, directions * size)
        shapes = [shape, *[(layout.num_layers * directions, 0, size)] * len(states)]
        return [constant(np.zeros(s), x._dtype) for s in shapes]
    finals: list[list[Tensor]] = [[] for _ in states]
    for layer in range(layout.num_layers):
        if layer and train and dropout > 0:
            x = WORDS["F.dropout"](x, dropout, True)
        start = [section(s, 0, layer * directions, (layer + 1) * directions) for s in states]
        outputs: list[tuple] = [((length, directions, batch, size), x._dtype)]
        outputs += [((directions, batch, size), x._dtype)] * len(states)
        y, *last = emit_many(
            layout.op,
            [x, *layout.weights(params, layer, has_biases), None, *start],
            outputs,
            hidden_size=size,
            **layout.attributes,
        )
        if directions == 1:
            x = squeeze(y, 1)
        else:
            x = reshape(permute(y, (0, 2, 1, 3)), (length, batch, directions * size))
        for collected, final in zip(finals, last, strict=True):
            collected.append(final)
    return [permute(x, (1, 0, 2)) if batch_first else x, *[concat(f, 0) for f in finals]]


def _check(
    title: str,
    layout: Layout,
    input: Tensor,
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
) -> None:
    layers = layout.num_layers * layout.directions
    if len(params) != layers * (4 if has_biases else 2):
        if len(params) == layers * (5 if has_biases else 3):
            raise unsupported(title, "proj_size > 0", "proj_size=0")
        raise RuntimeError(f"{title}: got {len(params)} weights, expected {layers * (4 if has_biases else 2)}")
    if input.ndim != 3:
        raise ShapeError(f"{title}: Expected input to be 3-D, got {input.ndim}-D")
    if int(input.shape[-1]) != int(params[0].shape[1]):
        raise ShapeError(
            f"input.size(-1) must be equal to input_size. Expected {int(params[0].shape[1])}, got "
            f"{int(input.shape[-1])}"
        )
    for state in states:
        if int(state.shape[0]) != layers:
            raise RuntimeError("Expected more hidden states in stacked_rnn")


@word("torch.lstm")
def lstm(
    input: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple:
    """LSTM over a sequence.

    Shapes:
        input: (t, n, in), or (n, t, in) with `batch_first`; hx: two of (layers * directions, n, h)
        returns: (t, n, directions * h), and both states after the last step
    """
    _refuse_packed("lstm", isinstance(hx, Tensor))
    layout = Layout("LSTM", num_layers, bidirectional, {})
    return tuple(_run(layout, input, hx, params, has_biases, dropout, train, batch_first))


def _simple(
    op: str,
    title: str,
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    attributes: dict[str, Any],
) -> tuple:
    _refuse_packed(title, isinstance(params, Tensor))
    layout = Layout(op, num_layers, bidirectional, attributes)
    return tuple(_run(layout, input, [hx], params, has_biases, dropout, train, batch_first))


@word("torch.gru")
def gru(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple:
    """GRU over a sequence: output, and the state after the last step."""
    return _simple(
        "GRU",
        "gru",
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
        {"linear_before_reset": 1},
    )


@word("torch.rnn_tanh")
def rnn_tanh(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple:
    """Elman network with tanh over a sequence: output, and the state after the last step."""
    return _simple(
        "RNN",
        "rnn_tanh",
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
        {},
    )


@word("torch.rnn_relu")
def rnn_relu(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple:
    """Elman network with relu over a sequence: output, and the state after the last step."""
    activations = ("Relu",) * (2 if bidirectional else 1)
    return _simple(
        "RNN",
        "rnn_relu",
        input,
        hx,
        params,
        has_biases,
        num_layers,
        dropout,
        train,
        bidirectional,
        batch_first,
        {"activations": activations},
    )


# --- one step


def _gates(input: Tensor, hidden: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any) -> tuple[Tensor, Tensor]:
    """What input and state give to the gates, after torch's checks."""
    if int(input.shape[-1]) != int(w_ih.shape[1]):
        raise ShapeError(f"input has inconsistent input_size: got {int(input.shape[-1])} expected {int(w_ih.shape[1])}")
    if int(input.shape[0]) != int(hidden.shape[0]):
        raise ShapeError(
            f"Input batch size {int(input.shape[0])} doesn't match hidden0 batch size {int(hidden.shape[0])}"
        )
    if int(hidden.shape[-1]) != int(w_hh.shape[1]):
        raise ShapeError(
            f"hidden0 has inconsistent hidden_size: got {int(hidden.shape[-1])}, expected {int(w_hh.shape[1])}"
        )
    return linear(input, w_ih, b_ih), linear(hidden, w_hh, b_hh)


def _parts(x: Tensor, count: int) -> list[Tensor]:
    size = x.shape[-1] // count
    return emit_many("Split", [x], [((*x.shape[:-1], size), x._dtype)] * count, axis=x.ndim - 1, num_outputs=count)


@word("torch.lstm_cell")
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: the new hidden and cell state."""
    hidden, cell = hx
    i, f, g, o = _parts(binary("Add", *_gates(input, hidden, w_ih, w_hh, b_ih, b_hh)), 4)
    kept = binary("Mul", unary("Sigmoid", f), cell)
    cell = binary("Add", kept, binary("Mul", unary("Sigmoid", i), unary("Tanh", g)))
    return binary("Mul", unary("Sigmoid", o), unary("Tanh", cell)), cell


@word("torch.gru_cell")
def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of a GRU: the new state."""
    from_input, from_state = _gates(input, hx, w_ih, w_hh, b_ih, b_hh)
    (ri, zi, ni), (rh, zh, nh) = _parts(from_input, 3), _parts(from_state, 3)
    reset = unary("Sigmoid", binary("Add", ri, rh))
    update = unary("Sigmoid", binary("Add", zi, zh))
    new = unary("Tanh", binary("Add", ni, binary("Mul", reset, nh)))
    # new + update * (old - new)
    return binary("Add", new, binary("Mul", update, binary("Sub", hx, new)))


@word("torch.rnn_tanh_cell")
def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of an Elman network with tanh."""
    return unary("Tanh", binary("Add", *_gates(input, hx, w_ih, w_hh, b_ih, b_hh)))


@word("torch.rnn_relu_cell")
def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of an Elman network with relu."""
    return unary("Relu", binary("Add", *_gates(input, hx, w_ih, w_hh, b_ih, b_hh)))
