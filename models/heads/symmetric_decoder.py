"""The way up of the residual symmetric U-Net, on any backbone.

Source: Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120, as
seung-lab/pytorch-emvision implements it.
Differs: by default, maps come up by interpolation to the size of the finer map, so that every size works, and scores
to the size of the image. With `factors`, it is the original's.
Names: attributes are those of `models.networks.RSUNet`.
"""

from collections.abc import Sequence
from typing import Literal

from mcore import Identity, Module, ModuleList, Tensor
from models.basicblocks.bilinear_up import BilinearUp
from models.basicblocks.conv import Pixels, each
from models.basicblocks.layers import Choice, layers
from models.basicblocks.symmetric import NormAct, SymmetricBlock, SymmetricUp
from models.component import Part
from models.functional.maps import as_channels
from models.functional.sizes import resize
from models.heads.decoding import taken, to_image
from models.sizing import SizeError
from models.utils.initialise import kaiming_fan_in


class SymmetricDecoder(Part):
    """Scores of each class for every pixel, from the coarsest map up; each finer map is added on the way.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        size: of the image, in pixels; None leaves scores at the finest map's
        returns: (n, num_classes, *size), before softmax

    Args:
        num_classes: how many scores for each pixel.
        factors: of each step up, coarsest first, for every axis or by axis: maps come up by `BilinearUp`, as in the
            original, and sizes have to fit. Where left out, by linear interpolation to the finer map's size.
        norm: "batch", "instance", "group", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, a name with arguments, or a constructor.
        kernel_size: of the last convolution; odd, along every axis, or along each. Where left out, 5, but 1 along the
            first of three axes.
        in_channels: of the maps fed; from `models.assemble`, where left out.
        dims: 1, 2 or 3; with `factors`, 3.

    Raises:
        SizeError: in a call with `factors`, a map raised by one isn't as large as the finer one.
    """

    dense = True
    classifier = "out"

    def __init__(
        self,
        num_classes: int,
        *,
        factors: Sequence[Pixels] | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        kernel_size: Pixels | None = None,
        in_channels: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        fed = as_channels(in_channels or ())
        _check(factors, len(fed), dims)
        kernel = each(((1, 5, 5) if dims == 3 else 5) if kernel_size is None else kernel_size, dims)
        if len(kernel) != dims or any(size < 1 or size % 2 == 0 for size in kernel):
            raise ValueError(f"SymmetricDecoder: kernel_size={kernel_size!r} is not odd, nor {dims} odd numbers.")
        super().__init__()
        self.dims, self.fed = dims, len(fed)
        self.factors = None if factors is None else [each(factor, 3) for factor in factors]

        def up(step: int) -> Module:
            channels = fed[len(fed) - 1 - step]
            return Identity() if self.factors is None else BilinearUp(channels, channels, self.factors[step])

        def block(channels: int) -> SymmetricBlock:
            return SymmetricBlock(channels, channels, norm=norm, activation=activation, dims=dims)

        self.uconvs = ModuleList(
            SymmetricUp(coarse, fine, up=up(step), conv=block(fine), bias=norm is None, dims=dims)
            for step, (coarse, fine) in enumerate(zip(fed[:0:-1], fed[-2::-1], strict=True))
        )
        self.final = NormAct(fed[0], norm=norm, activation=activation, dims=dims)
        conv = layers(dims, of="SymmetricDecoder").conv
        self.out = conv(fed[0], num_classes, kernel, padding=tuple(pixels // 2 for pixels in kernel))
        kaiming_fan_in(self)

    def forward(self, features: Sequence[Tensor], size: Sequence[int] | None = None) -> Tensor:
        *finer, x = taken(features, range(self.fed), of=self.fed, title="SymmetricDecoder")
        for step, (up, skip) in enumerate(zip(self.uconvs, reversed(finer), strict=True)):
            if self.factors is None:
                x = resize(x, skip.shape[2:])
            else:
                _check_size(x.shape[2:], self.factors[step], skip.shape[2:])
            x = up(x, skip)
        return to_image(self.out(self.final(x)), size, align_corners=False)


def _check(factors: Sequence[Pixels] | None, maps: int, dims: int) -> None:
    """Refuses factors that aren't one for each step between the maps.

    Raises:
        ValueError: there are others, or the maps have other than three dimensions.
    """
    if factors is None:
        return
    if dims != 3:
        raise ValueError(f"SymmetricDecoder: factors={list(factors)} are for 3 dimensions, not {dims}; leave them out.")
    if len(factors) != maps - 1:
        raise ValueError(
            f"SymmetricDecoder: factors={list(factors)} are {len(factors)} for {maps} maps; give one for each step up, "
            f"{maps - 1}, coarsest first."
        )


def _check_size(size: Sequence[int], factor: Sequence[int], finer: Sequence[int]) -> None:
    """Refuses a map of `size` that, raised by a factor, isn't as large as the finer one.

    Raises:
        SizeError: it isn't.
    """
    raised = [pixels * step for pixels, step in zip(size, factor, strict=True)]
    if raised != [*finer]:
        came, wanted = ("x".join(str(int(pixels)) for pixels in sizes) for sizes in (raised, finer))
        raise SizeError(
            f"SymmetricDecoder: a map raised to {came} pixels meets a finer one of {wanted}; give an image that "
            "every step divides evenly, factors that are the backbone's, or leave factors out."
        )
