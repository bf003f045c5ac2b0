"""A loss of what a network holds inside, for autoencoders."""

from __future__ import annotations

from torch import Tensor

from mcore.training.objectives.criterion import Criterion


class InformationBottleneck(Criterion):
    """`beta` times the variance of each latent number over the samples, on average: it keeps codes close together.

    It has no target, and is computed of the part that gives the codes: `of: encoder`. The variance is that of the
    samples that a process takes at a time, two or more; in validation, a single one counts as nothing.

    Shapes:
        output: (n, ...)

    Raises:
        ValueError: one sample has no variance, in training.
    """

    relation = "free"
    compares = False

    def __init__(self, beta: float = 0.01) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, output: Tensor) -> Tensor:
        if output.shape[0] < 2:
            if not self.training:
                return output.sum() * 0
            raise ValueError("a single sample has no variance: let each process take two or more at a time")
        return self.beta * output.var(dim=0).mean()


__all__ = ["InformationBottleneck"]
