"""Recurrent layers: by torch's own where it computes the same, else step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, operator

# Gates in torch's order, as places in ONNX's: i o f c -> i f g o; z r h -> r z n.
_GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}


@operator("LSTM")
def lstm(node: Node, x: Tensor, w: Tensor, r: Tensor, *given: Tensor | None) -> tuple[Tensor, ...]:
    bias, lengths, h, c, peepholes = (*given, None, None, None, None, None)[:5]
    return _Layer(node, x, w, r, bias, lengths, h, c, peepholes).outputs()


@operator("GRU", "RNN")
def gru(node: Node, x: Tensor, w: Tensor, r: Tensor, *given: Tensor | None) -> tuple[Tensor, ...]:
    bias, lengths, h = (*given, None, None, None)[:3]
    return _Layer(node, x, w, r, bias, lengths, h, None, None).outputs()[:2]


class _Layer:
    """One layer, time first inside: (t, n, features)."""

    def __init__(
        self, node: Node, x: Tensor, w: Tensor, r: Tensor, bias: Any, lengths: Any, h: Any, c: Any, peepholes: Any
    ) -> None:
        self.node, self.w, self.r, self.bias, self.lengths, self.peepholes = node, w, r, bias, lengths, peepholes
        self.swapped = bool(node.get("layout", 0))
        self.x = x.transpose(0, 1) if self.swapped else x
        self.directions, self.hidden = w.shape[0], r.shape[2]
        self.h, self.c = self._first(h), self._first(c)
        self.way = node.get("direction", "forward")
        self.clip = node.get("clip")
        names = node.get("activations")
        self.names = list(names) if names else list(_DEFAULTS[node.op]) * self.directions

    def _first(self, state: Tensor | None) -> Tensor:
        if state is None:
            shape = [self.directions, self.x.shape[1], self.hidden]
            return torch.zeros(shape, dtype=self.x.dtype, device=self.x.device)
        return state.transpose(0, 1) if self.swapped else state

    def outputs(self) -> tuple[Tensor, ...]:
        y, h, c = self._fused() if self._in_torch() else self._stepwise()
        if self.swapped:
            return y.permute(2, 0, 1, 3), h.transpose(0, 1), c.transpose(0, 1)
        return y, h, c

    # --- torch's own

    def _in_torch(self) -> bool:
        node = self.node
        if self.clip is not None or self.lengths is not None or self.peepholes is not None:
            return False
        if node.get("input_forget", 0) or (node.op == "GRU" and not node.get("linear_before_reset", 0)):
            return False
        return self._function() is not None and not node.get("activation_alpha")

    def _function(self) -> Callable[..., Any] | None:
        op, first = self.node.op, self.names[0]
        if op == "RNN":
            alike = self.names == [first] * self.directions
            return {"Tanh": torch.rnn_tanh, "Relu": torch.rnn_relu}.get(first) if alike else None
        fits = self.names == list(_DEFAULTS[op]) * self.directions
        return (torch.lstm if op == "LSTM" else torch.gru) if fits else None

    def _gates(self, value: Tensor) -> Tensor:
        parts = torch.chunk(value, len(_GATES[self.node.op]), dim=0)
        return torch.cat([parts[k] for k in _GATES[self.node.op]], dim=0) if len(parts) > 1 else value

    def _weights(self) -> list[Tensor]:
        out = []
        for k in range(self.directions):
            out += [self._gates(self.w[k]), self._gates(self.r[k])]
            if self.bias is not None:
                out += [self._gates(half) for half in torch.chunk(self.bias[k], 2, dim=0)]
        return out

    def _fused(self) -> tuple[Tensor, Tensor, Tensor]:
        function = self._function()
        assert function is not None
        both, backward = self.directions == 2, self.way == "reverse"
        x = torch.flip(self.x, (0,)) if backward else self.x
        state: Any = (self.h, self.c) if self.node.op == "LSTM" else self.h
        y, *last = function(x, state, self._weights(), self.bias is not None, 1, 0.0, False, both, False)
        y = torch.flip(y, (0,)) if backward else y
        y = y.unflatten(2, (self.directions, self.hidden)).transpose(1, 2)
        return y, last[0], last[-1]

    # --- step by step

    def _stepwise(self) -> tuple[Tensor, Tensor, Tensor]:
        each = [self._one(k) for k in range(self.directions)]
        ys, hs, cs = zip(*each, strict=True)
        return torch.stack(ys, dim=1), torch.stack(hs), torch.stack(cs)

    def _one(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        backward = self.way == "reverse" or k == 1
        x = self._turned(self.x) if backward else self.x
        h, c, step, ys = self.h[k], self.c[k], _Step(self, k), []
        for t in range(x.shape[0]):
            new_h, new_c = step(x[t], h, c)
            if self.lengths is None:
                h, c = new_h, new_c
                ys.append(h)
            else:  # what has ended keeps its state and gives zeros
                on = (self.lengths > t).unsqueeze(1)
                h, c = torch.where(on, new_h, h), torch.where(on, new_c, c)
                ys.append(torch.where(on, h, torch.zeros_like(h)))
        y = torch.stack(ys)
        return self._turned(y) if backward else y, h, c

    def _turned(self, x: Tensor) -> Tensor:
        """Time backwards, of each sequence by itself."""
        if self.lengths is None:
            return torch.flip(x, (0,))
        steps, ends = torch.arange(x.shape[0], device=x.device).unsqueeze(1), self.lengths.unsqueeze(0)
        index = torch.where(steps < ends, ends - 1 - steps, steps)
        return torch.gather(x, 0, index.unsqueeze(2).expand(x.shape).to(torch.int64))


class _Step:
    """One step of one direction."""

    def __init__(self, layer: _Layer, k: int) -> None:
        self.node, self.clip = layer.node, layer.clip
        self.w, self.r, count = layer.w[k], layer.r[k], len(_GATES[layer.node.op])
        zeros = torch.zeros_like(self.w[:, 0])
        self.wb, self.rb = (zeros, zeros) if layer.bias is None else torch.chunk(layer.bias[k], 2, dim=0)
        self.parts = count
        self.peepholes = None if layer.peepholes is None else torch.chunk(layer.peepholes[k], 3, dim=0)
        per = len(_DEFAULTS[layer.node.op])
        alphas, betas = list(self.node.get("activation_alpha", ())), list(self.node.get("activation_beta", ()))
        self.functions = []
        for name in layer.names:  # numbers are handed out in order to those functions that take them
            takes = _TAKES.get(name, "")
            alpha = alphas.pop(0) if "a" in takes and alphas else None
            beta = betas.pop(0) if "b" in takes and betas else None
            self.functions.append((name, alpha, beta))
        self.functions = self.functions[k * per : (k + 1) * per]

    def __call__(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return {"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[self.node.op](x, h, c)

    def _act(self, k: int, x: Tensor) -> Tensor:
        x = x if self.clip is None else torch.clamp(x, -self.clip, self.clip)
        return _activated(*self.functions[k], x)

    def _lstm(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, o, f, g = torch.chunk(F.linear(x, self.w, self.wb) + F.linear(h, self.r, self.rb), 4, dim=1)
        if self.peepholes is not None:
            i, f = i + self.peepholes[0] * c, f + self.peepholes[2] * c
        i = self._act(0, i)
        f = 1 - i if self.node.get("input_forget", 0) else self._act(0, f)
        c = f * c + i * self._act(1, g)
        o = o if self.peepholes is None else o + self.peepholes[1] * c
        # The cell itself isn't clipped: so runtimes do it.
        return self._act(0, o) * _activated(*self.functions[2], c), c

    def _gru(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        xz, xr, xh = torch.chunk(F.linear(x, self.w, self.wb), 3, dim=1)
        rz, rr, rh = torch.chunk(self.r, 3, dim=0)
        bz, br, bh = torch.chunk(self.rb, 3, dim=0)
        z, r = self._act(0, xz + F.linear(h, rz, bz)), self._act(0, xr + F.linear(h, rr, br))
        inner = r * F.linear(h, rh, bh) if self.node.get("linear_before_reset", 0) else F.linear(r * h, rh, bh)
        return (1 - z) * self._act(1, xh + inner) + z * h, c

    def _rnn(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        return self._act(0, F.linear(x, self.w, self.wb) + F.linear(h, self.r, self.rb)), c


# Which numbers an activation takes: alpha, beta.
_TAKES = {"Affine": "ab", "LeakyRelu": "a", "ThresholdedRelu": "a", "ScaledTanh": "ab", "HardSigmoid": "ab", "Elu": "a"}


_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": F.relu, "Softsign": F.softsign, "Softplus": F.softplus,
}  # fmt: skip


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _activated(name: str, alpha: float | None, beta: float | None, x: Tensor) -> Tensor:
    if name in _PLAIN:
        return _PLAIN[name](x)
    if name == "Affine":
        return _or(alpha, 1.0) * x + _or(beta, 0.0)
    if name == "LeakyRelu":
        return F.leaky_relu(x, _or(alpha, 0.01))
    if name == "ThresholdedRelu":
        return torch.where(x > _or(alpha, 1.0), x, torch.zeros_like(x))
    if name == "ScaledTanh":
        return _or(alpha, 1.0) * torch.tanh(_or(beta, 1.0) * x)
    if name == "HardSigmoid":
        return torch.clamp(_or(alpha, 0.2) * x + _or(beta, 0.5), 0.0, 1.0)
    if name == "Elu":
        return F.elu(x, _or(alpha, 1.0))
    raise NotImplementedError(f"activation {name!r}")
