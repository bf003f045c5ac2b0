"""ConvNeXt backbones and classifiers, first and second version.

Source: Liu et al., "A ConvNet for the 2020s", arXiv:2201.03545, section 3; Woo et al., "ConvNeXt V2",
arXiv:2301.00808, appendix A. The sizes below tiny of the first version are timm's.
Names: attributes are timm's, so its weights load as they are; `rename: torchvision_convnext` takes torchvision's,
`rename: facebook_convnext` the authors'.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mcore import Linear, Module, ModuleList, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Step, Weights, levels_of, row_of, steps_to
from models.basicblocks.convnext import ConvNeXtBlock
from models.basicblocks.drop import rising
from models.basicblocks.layers import layers
from models.basicblocks.norm import ChannelNorm
from models.component import sized
from models.utils.initialise import truncated_normal


class Row(NamedTuple):
    """One size: blocks and channels of the four stages; `grn` makes it the second version."""

    depths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]
    conv_mlp: bool = False
    grn: bool = False


SIZES = {
    "convnext_atto": Row((2, 2, 6, 2), (40, 80, 160, 320), conv_mlp=True),
    "convnext_femto": Row((2, 2, 6, 2), (48, 96, 192, 384), conv_mlp=True),
    "convnext_pico": Row((2, 2, 6, 2), (64, 128, 256, 512), conv_mlp=True),
    "convnext_nano": Row((2, 2, 8, 2), (80, 160, 320, 640), conv_mlp=True),
    "convnext_tiny": Row((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext_small": Row((3, 3, 27, 3), (96, 192, 384, 768)),
    "convnext_base": Row((3, 3, 27, 3), (128, 256, 512, 1024)),
    "convnext_large": Row((3, 3, 27, 3), (192, 384, 768, 1536)),
    "convnextv2_atto": Row((2, 2, 6, 2), (40, 80, 160, 320), conv_mlp=True, grn=True),
    "convnextv2_femto": Row((2, 2, 6, 2), (48, 96, 192, 384), conv_mlp=True, grn=True),
    "convnextv2_pico": Row((2, 2, 6, 2), (64, 128, 256, 512), conv_mlp=True, grn=True),
    "convnextv2_nano": Row((2, 2, 8, 2), (80, 160, 320, 640), conv_mlp=True, grn=True),
    "convnextv2_tiny": Row((3, 3, 9, 3), (96, 192, 384, 768), grn=True),
    "convnextv2_base": Row((3, 3, 27, 3), (128, 256, 512, 1024), grn=True),
}


class ConvNeXt(Backbone):
    """ConvNeXt: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size), at least 32 pixels along each axis
        returns: one (n, channels, *floor(size / stride)) for each of `features`: pixels that fill no patch of
            4, 8, 16 or 32 are dropped; or (n, num_classes)

    Args:
        variant: a row of `SIZES`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 1 at stride 4 to 4 at stride 32; those after the last aren't built.
        output_stride: 8 or 16 keeps the resolution of later stages and dilates them.
        drop_path_rate: the share of samples that lose the last block in training; it rises from 0 at the first.
        frozen_stages: the last stage that isn't trained, 0 being the stem; -1 trains all.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    first_conv, classifier = "stem.0", "head.fc"
    rounds_up = False

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        output_stride: Literal[8, 16, 32] = 32,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(SIZES, variant, of="ConvNeXt")
        steps = steps_to(output_stride, (1, 2, 2, 2), reached=4, variant=variant)
        super().__init__(
            variant,
            levels_of(row.channels, first=1, output_stride=output_stride),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        conv = layers(dims, of=variant).conv
        rates = rising(drop_path_rate, row.depths)
        self.stem = Sequential(conv(in_channels, row.channels[0], 4, stride=4), ChannelNorm(row.channels[0]))
        built = (_Stage(row, i, step=steps[i], rates=rates[i], dims=dims) for i in range(self.last_level))
        self.stages = ModuleList(built)
        if num_classes is not None:
            self.head = Sequential()
            self.head.add_module("norm", ChannelNorm(row.channels[-1]))
            self.head.add_module("fc", Linear(row.channels[-1], num_classes))
        truncated_normal(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.chosen(maps, first=1) if self.num_classes is None else self.head(x.flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        return [[self.stem], *([stage] for stage in self.stages)]


class _Stage(Module):
    """A norm and a 2x2 convolution, which the first stage hasn't, and blocks."""

    def __init__(self, row: Row, index: int, *, step: Step, rates: Sequence[float], dims: int) -> None:
        super().__init__()
        channels = row.channels[index]
        self.stride, self.dilation = step.stride, step.first_dilation
        self.downsample = None
        if index > 0:
            before = row.channels[index - 1]
            conv = layers(dims, of="ConvNeXt").conv
            self.downsample = Sequential(
                ChannelNorm(before), conv(before, channels, 2, stride=step.stride, dilation=step.first_dilation)
            )
        self.blocks = Sequential(
            *(
                ConvNeXtBlock(
                    channels,
                    dilation=step.dilation,
                    conv_mlp=row.conv_mlp,
                    grn=row.grn,
                    layer_scale=None if row.grn else 1e-6,
                    drop_path=rate,
                    dims=dims,
                )
                for rate in rates
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.downsample is not None:
            norm, conv = self.downsample
            x = conv(self._padded(norm(x)))
        return self.blocks(x)

    def _padded(self, x: Tensor) -> Tensor:
        """Zeros around `x` where the convolution is dilated instead of strided, so that it keeps the size."""
        if self.stride > 1:
            return x
        before = self.dilation // 2
        return F.pad(x, (before, self.dilation - before) * (x.ndim - 2))


convnext_atto = sized(ConvNeXt, "convnext_atto")
convnext_femto = sized(ConvNeXt, "convnext_femto")
convnext_pico = sized(ConvNeXt, "convnext_pico")
convnext_nano = sized(ConvNeXt, "convnext_nano")
convnext_tiny = sized(ConvNeXt, "convnext_tiny")
convnext_small = sized(ConvNeXt, "convnext_small")
convnext_base = sized(ConvNeXt, "convnext_base")
convnext_large = sized(ConvNeXt, "convnext_large")
convnextv2_atto = sized(ConvNeXt, "convnextv2_atto")
convnextv2_femto = sized(ConvNeXt, "convnextv2_femto")
convnextv2_pico = sized(ConvNeXt, "convnextv2_pico")
convnextv2_nano = sized(ConvNeXt, "convnextv2_nano")
convnextv2_tiny = sized(ConvNeXt, "convnextv2_tiny")
convnextv2_base = sized(ConvNeXt, "convnextv2_base")
