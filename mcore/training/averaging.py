"""The average of a network's weights over training steps.

Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging" (1992); exponential, with the
ramp at the start, as Szegedy et al., arXiv:1512.00567, section 8, and TensorFlow's moving averages have it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch

# Steps after which no decay below 1 is shortened any more.
_SETTLED = 10**12


class EMA:
    """Exponential moving average of every number of a network's state: `mean += (1 - decay) * (now - mean)`.

    Whole numbers (counters) are taken as they are. At step n the decay is at most `(1 + n) / (10 + n)`, so that
    the first, random weights are forgotten soon.

    Args:
        net: the network that is trained.
        decay: the share of the mean that a step leaves, from 0 up to, not including, 1.

    >>> net = torch.nn.Linear(2, 1)
    >>> ema = EMA(net, decay=0.5)
    >>> ema.update()
    >>> with ema.applied():
    ...     y = net(torch.zeros(1, 2))

    Raises:
        ValueError: `decay` is none.
    """

    def __init__(self, net: torch.nn.Module, decay: float = 0.9999) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"EMA: decay={decay} is not in 0 <= decay < 1.")
        self.net, self.decay, self.steps = net, decay, 0
        self._mean = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights of now; call it after each step of the optimiser."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        now = self.net.state_dict()
        numbers = [name for name, value in now.items() if value.dtype.is_floating_point]
        # All of a kind in one call: a loop over hundreds of small tensors costs as much as a small network. Where
        # weights are sharded, buffers aren't, and torch takes no mixture.
        kinds: dict[type, list[str]] = {}
        for name in numbers:
            kinds.setdefault(type(self._mean[name]), []).append(name)
        for names in kinds.values():
            torch._foreach_lerp_([self._mean[name] for name in names], [now[name] for name in names], 1.0 - decay)
        for name in now.keys() - set(numbers):
            self._mean[name].copy_(now[name])

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The mean, by the names of the network's state: it loads into the network as it is."""
        return dict(self._mean)

    def load_state_dict(self, state: Mapping[str, torch.Tensor], *, steps: int | None = None) -> None:
        """Goes on from a mean that `state_dict` gave.

        Args:
            state: the mean.
            steps: over how many it was taken (`ema.steps`); left out, so many that `decay` holds from the first on.

        Raises:
            KeyError: names differ; nothing was changed.
        """
        differing = sorted(set(state) ^ set(self._mean))
        if differing:
            raise KeyError(f"EMA: names differ from the network's: {', '.join(differing[:5])}")
        self._mean = {name: value.detach().clone() for name, value in state.items()}
        self.steps = _SETTLED if steps is None else steps

    @contextlib.contextmanager
    def applied(self) -> Iterator[torch.nn.Module]:
        """The network with the mean for its weights; its own come back afterwards."""
        own = {name: value.detach().clone() for name, value in self.net.state_dict().items()}
        _set(self.net, self._mean)
        try:
            yield self.net
        finally:
            _set(self.net, own)


@torch.no_grad()
def _set(net: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    for name, value in net.state_dict().items():
        value.copy_(state[name])


__all__ = ["EMA"]
