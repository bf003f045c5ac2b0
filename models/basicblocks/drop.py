"""Stochastic depth.

Source: Huang et al., "Deep Networks with Stochastic Depth", arXiv:1603.09382, section 3.
"""

from collections.abc import Sequence

import mcore
from mcore import Module, Tensor


class DropPath(Module):
    """Leaves out the branch of a residual block for some samples of a batch, in training only.

    What stays is scaled up, so that the mean is what it is in eval mode.

    Shapes:
        x: (n, ...)
        returns: the same

    Args:
        rate: the share of samples that lose the branch, from 0 up to, not including, 1.
    """

    def __init__(self, rate: float = 0.0) -> None:
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"DropPath: rate={rate} is not in 0 <= rate < 1.")
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0.0 or not self.training:
            return x
        shape = (x.shape[0], *(1 for _ in range(x.ndim - 1)))
        kept = mcore.rand(*shape, dtype=x.dtype, device=x.device) >= self.rate
        return x * kept / (1.0 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def rising(rate: float, depths: Sequence[int]) -> list[list[float]]:
    """Rates by stage and block, from 0 at the first block to `rate` at the last, evenly.

    >>> rising(0.2, (1, 2))
    [[0.0], [0.1, 0.2]]
    """
    total, rates, done = sum(depths), [], 0
    for depth in depths:
        rates.append([rate * (done + block) / max(1, total - 1) for block in range(depth)])
        done += depth
    return rates
