"""Losses that see structure and features rather than single pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mcore.checkpoint.extras import needed
from mcore.training.objectives.criterion import Criterion

RANDOM = "random"
# What weights trained on ImageNet expect of red, green and blue, from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SSIM(Criterion):
    """One less the structural similarity of images or volumes, by torchmetrics.

    Shapes:
        output, target: (n, c, h, w) or (n, c, d, h, w); each axis longer than half the window

    Args:
        data_range: the difference between the largest and the smallest value that an image can have.
        sigma: of the gaussian window, in pixels; the window has 11 along each axis for 1.5.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", 2004.
    Differs: the border counts, too, of the image reflected there.

    Raises:
        ValueError: no window, or an image too small for it.
    """

    def __init__(self, data_range: float = 1.0, sigma: float = 1.5) -> None:
        super().__init__()
        if not sigma > 0 or not data_range > 0:
            raise ValueError(f"data_range={data_range} and sigma={sigma} are to be above 0")
        self.data_range, self.sigma = data_range, sigma
        #: Pixels along each axis, as torchmetrics has them.
        self.window = 2 * int(3.5 * sigma + 0.5) + 1
        # Missing, it is told now, not in the first step.
        needed("torchmetrics", "train", what="the loss ssim")

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if output.ndim not in (4, 5) or min(output.shape[2:]) <= self.window // 2:
            raise ValueError(
                f"a window of {self.window} pixels needs images or volumes of more than {self.window // 2} along each "
                f"axis, got {tuple(output.shape)}; a smaller sigma has a smaller one"
            )
        from torchmetrics.functional.image import structural_similarity_index_measure

        similarity = structural_similarity_index_measure(
            output, target, sigma=self.sigma, kernel_size=self.window, data_range=self.data_range
        )
        assert isinstance(similarity, Tensor)
        return 1 - similarity


class Perceptual(Criterion):
    """How unlike the features are that a trained network finds in output and target.

    The network is one of the zoo, by its name, frozen and in eval mode. Images of one channel are given three times.

    Shapes:
        output, target: (n, 1 or 3, h, w), from 0 to 1

    Args:
        network: a backbone that gives feature maps.
        levels: which of its maps are compared; of vgg16, -1 at full resolution to 4; 1 is "relu3_3".
        weights: "imagenet", out of the places that the environment variable MCORE_WEIGHTS names; a file; what else
            `weights=` of a backbone takes; or "random": features of an untrained network, the same in every run.
        norm: how features are compared: "l2" or "l1".
        mean, std: what is taken off each channel, and what it is divided by, before the network sees it.

    Source: Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", arXiv:1603.08155,
    section 3.2.

    Raises:
        ValueError: no weights were named, or an argument that fits nothing.
    """

    def __init__(
        self,
        network: str = "vgg16",
        weights: Any = None,
        levels: Sequence[int] = (1,),
        norm: Literal["l1", "l2"] = "l2",
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        super().__init__()
        if weights is None:
            raise ValueError(
                "features of an untrained network say little: give weights, 'imagenet' (see the environment variable "
                "MCORE_WEIGHTS) or a file; or 'random', if that is what you mean"
            )
        if norm not in ("l1", "l2"):
            raise ValueError(f"norm={norm!r} is not 'l1' or 'l2'")
        self.norm = norm
        self.network = _features(network, levels, weights)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(list(std)).view(1, -1, 1, 1))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        if output.ndim != 4 or output.shape[1] not in (1, 3):
            raise ValueError(f"images of one or three channels are compared, got {tuple(output.shape)}")
        found = self.network(self._seen(output))
        with torch.no_grad():
            wanted = self.network(self._seen(target))
        differs = F.l1_loss if self.norm == "l1" else F.mse_loss
        return torch.stack([differs(ours, theirs) for ours, theirs in zip(found, wanted, strict=True)]).mean()

    def train(self, mode: bool = True) -> Perceptual:
        """Never training mode for the network: its norms and dropout are as they were trained."""
        super().train(mode)
        self.network.eval()
        return self

    def _seen(self, image: Tensor) -> Tensor:
        return (image.expand(-1, 3, -1, -1) - self.mean) / self.std


def _features(network: str, levels: Sequence[int], weights: Any) -> torch.nn.Module:
    """A frozen backbone of the zoo with these maps; the random numbers of training stay as they were."""
    from mcore.specs import build

    spec = {"type": network, "out_indices": list(levels)}
    if weights != RANDOM:
        spec["weights"] = weights
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        built = build(spec, kind="backbone")
    return built.eval().requires_grad_(False)


__all__ = ["SSIM", "Perceptual"]
