"""HRNet backbones and classifiers: branches of four resolutions side by side, fused again and again.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", arXiv:1908.07919, figures 2
and 3; the classifier is in its appendix.
Differs: where a size is no multiple of 32, what comes up from a coarser branch is cropped to the finer one; the
original refuses such sizes.
Names: attributes are timm's (and the authors'), so published weights load as they are.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from mcore import Linear, Module, ModuleDict, ModuleList, Sequential, Tensor
from mcore import functional as F
from models.backbones.base import Backbone, Weights, levels_of, row_of
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.layers import layers
from models.basicblocks.residual import BasicBlock, Bottleneck
from models.component import sized
from models.functional.sizes import crop
from models.utils.arguments import one_of
from models.utils.initialise import kaiming_fan_out


class Row(NamedTuple):
    """One size: channels of the finest branch, doubled for each next one.

    Of the first stage, its bottlenecks and their width; of the others, blocks of a branch in each module, and the
    modules of stages 2, 3 and 4.
    """

    width: int
    bottlenecks: int = 4
    bottleneck_width: int = 64
    blocks: int = 4
    modules: tuple[int, int, int] = (1, 4, 3)


SIZES = {
    "hrnet_w18_small": Row(16, bottlenecks=1, bottleneck_width=32, blocks=2, modules=(1, 1, 1)),
    "hrnet_w18_small_v2": Row(18, bottlenecks=2, blocks=2, modules=(1, 3, 2)),
    "hrnet_w18": Row(18),
    "hrnet_w30": Row(30),
    "hrnet_w32": Row(32),
    "hrnet_w40": Row(40),
    "hrnet_w44": Row(44),
    "hrnet_w48": Row(48),
    "hrnet_w64": Row(64),
}

# Channels of the stem; inside the classifier's bottleneck of each branch; before the classifier.
STEM, HEAD_WIDTHS, FINAL = 64, (32, 64, 128, 256), 2048


class HRNet(Backbone):
    """HRNet: a tuple of feature maps, finest first; with `num_classes` the published classifier.

    Shapes:
        x: (n, in_channels, *size)
        returns: one (n, channels, *ceil(size / stride)) for each of `features`; or (n, num_classes)

    Args:
        variant: a row of `SIZES`.
        in_channels: channels of the image.
        num_classes: makes it the classifier; None, a backbone without one.
        dims: 1, 2 or 3 for sequences, images or volumes.
        out_indices: levels to return, 0 (the stem) at stride 2 to 4 at stride 32.
        taps: what levels 1 to 4 are. "incre": the branches after the classifier's bottlenecks, with 128, 256, 512
            and 1024 channels, as timm's features; "branches": the branches themselves, with the width, twice,
            four and eight times as many, as HRNet's necks and OCR take them.
        frozen_stages: the last stage that isn't trained, 0 being the first convolution, 1 to 4 the paper's stages;
            -1 trains all. Frozen norms stay in eval mode. All of stages 1 to 4 are needed by any level but 0.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: `taps` is neither.
    """

    first_conv, classifier = "conv1", "classifier"

    def __init__(
        self,
        variant: str,
        in_channels: int = 3,
        *,
        num_classes: int | None = None,
        dims: Literal[1, 2, 3] = 2,
        out_indices: Sequence[int] | None = None,
        taps: Literal["incre", "branches"] = "incre",
        frozen_stages: int = -1,
        weights: Weights = None,
    ) -> None:
        row = row_of(SIZES, variant, of="HRNet")
        one_of(("incre", "branches"), of=variant, taps=taps)
        widths = [row.width << branch for branch in range(4)]
        raised = [Bottleneck.expansion * width for width in HEAD_WIDTHS]
        super().__init__(
            variant,
            levels_of((STEM, *(widths if taps == "branches" else raised))),
            dims=dims,
            num_classes=num_classes,
            out_indices=out_indices,
        )
        kit = layers(dims, of=variant)
        self.conv1 = kit.conv(in_channels, STEM, 3, stride=2, padding=1, bias=False)
        self.bn1 = kit.batch_norm(STEM)
        # Branches whose last map something needs. Each fusion but the last needs all of them.
        self._needed = tuple(range(4)) if num_classes is not None else tuple(i - 1 for i in self.out_indices if i > 0)
        self._raises = bool(self._needed) and (num_classes is not None or taps == "incre")
        if self._needed:
            self.conv2 = kit.conv(STEM, STEM, 3, stride=2, padding=1, bias=False)
            self.bn2 = kit.batch_norm(STEM)
            self._add_stages(row, widths, dims)
        if self._raises:
            self.incre_modules = _numbered(
                {i: Sequential(Bottleneck(widths[i], HEAD_WIDTHS[i], dims=dims)) for i in self._needed}
            )
        if num_classes is not None:
            self.downsamp_modules = ModuleList(
                ConvNormAct(finer, coarser, stride=2, bias=True, dims=dims) for finer, coarser in pairwise(raised)
            )
            self.final_layer = ConvNormAct(raised[-1], FINAL, 1, bias=True, dims=dims)
            self._put("classifier", Linear(FINAL, num_classes))
        kaiming_fan_out(self)
        self._complete(frozen_stages, weights)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = F.relu(self.bn1(self.conv1(x)))
        maps = {0: x}
        if self._needed:
            branches = self._branches(F.relu(self.bn2(self.conv2(x))))
            maps |= {branch + 1: x for branch, x in zip(self._needed, branches, strict=True)}
        if self.num_classes is None:
            return tuple(maps[index] for index in self.out_indices)
        x = maps[1]
        for index, down in enumerate(self.downsamp_modules):
            x = maps[index + 2] + down(x)
        return self._layer("classifier")(self.final_layer(x).flatten(2).mean(2))

    def by_stage(self) -> list[list[Module]]:
        stages = [[self.conv1, self.bn1]]
        if self._needed:
            stages.append([self.conv2, self.bn2, self.layer1])
            stages += [[getattr(self, f"transition{i - 1}"), getattr(self, f"stage{i}")] for i in (2, 3, 4)]
        if self._raises:
            stages[-1].append(self.incre_modules)
        return stages

    def _add_stages(self, row: Row, widths: Sequence[int], dims: int) -> None:
        before = Bottleneck.expansion * row.bottleneck_width
        self.layer1 = Sequential(
            *(
                Bottleneck(STEM if number == 0 else before, row.bottleneck_width, dims=dims)
                for number in range(row.bottlenecks)
            )
        )
        for stage, modules in enumerate(row.modules, start=2):
            # A stage has as many branches as its number; the last of them is new.
            coarsest = Sequential(ConvNormAct(before, widths[stage - 1], stride=2, bias=False, dims=dims))
            new: dict[int, Module] = {stage - 1: coarsest}
            if stage == 2:
                new = {0: ConvNormAct(before, widths[0], bias=False, dims=dims)} | new
            self.add_module(f"transition{stage - 1}", _numbered(new))
            last = self._needed if stage == 4 else tuple(range(stage))
            fusions = [
                _Fusion(widths[:stage], row.blocks, last if number == modules - 1 else tuple(range(stage)), dims)
                for number in range(modules)
            ]
            self.add_module(f"stage{stage}", Sequential(*fusions))
            before = widths[stage - 1]

    def _branches(self, x: Tensor) -> tuple[Tensor, ...]:
        """The branches after stage 4 that something needs, finest first."""
        x = self.layer1(x)
        branches: tuple[Tensor, ...] = (x,)
        for stage in (2, 3, 4):
            new = getattr(self, f"transition{stage - 1}")
            finer = (new["0"](x),) if stage == 2 else branches
            branches = getattr(self, f"stage{stage}")((*finer, new[str(stage - 1)](branches[-1])))
        if not self._raises:
            return branches
        return tuple(self.incre_modules[str(i)](x) for i, x in zip(self._needed, branches, strict=True))


class _Fusion(Module):
    """A module of a stage: blocks on every branch, then sums over all branches, at the resolution of each needed."""

    def __init__(self, widths: Sequence[int], blocks: int, needed: Sequence[int], dims: int) -> None:
        super().__init__()
        self.branches = ModuleList(
            Sequential(*(BasicBlock(width, width, dims=dims) for _ in range(blocks))) for width in widths
        )
        self.fuse_layers = _numbered(
            {
                to: _numbered({of: _bring(widths, of, to, dims) for of in range(len(widths)) if of != to})
                for to in needed
            }
        )
        self.needed = tuple(needed)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        return tuple(F.relu(self._sum(maps, to)) for to in self.needed)

    def _sum(self, maps: Sequence[Tensor], to: int) -> Tensor:
        layers: Any = self.fuse_layers[str(to)]
        brought = []
        for of, x in enumerate(maps):
            if of != to:
                x = layers[str(of)](x)
            if of > to:
                x = crop(F.interpolate(x, scale_factor=2 ** (of - to), mode="nearest"), maps[to].shape[2:])
            brought.append(x)
        return sum(brought[1:], start=brought[0])


def _bring(widths: Sequence[int], of: int, to: int, dims: int) -> Sequential:
    """Layers from branch `of` to the channels of branch `to`, and to its resolution where that is coarser."""
    if of > to:
        return ConvNormAct(widths[of], widths[to], 1, bias=False, activation=None, dims=dims)
    halvings = [ConvNormAct(widths[of], widths[of], stride=2, bias=False, dims=dims) for _ in range(to - of - 1)]
    last = ConvNormAct(widths[of], widths[to], stride=2, bias=False, activation=None, dims=dims)
    return Sequential(*halvings, last)


def _numbered(layers: Mapping[int, Module]) -> ModuleDict:
    """Layers under their numbers, some of which may be missing."""
    return ModuleDict({str(number): layer for number, layer in layers.items()})


hrnet_w18_small = sized(HRNet, "hrnet_w18_small")
hrnet_w18_small_v2 = sized(HRNet, "hrnet_w18_small_v2")
hrnet_w18 = sized(HRNet, "hrnet_w18")
hrnet_w30 = sized(HRNet, "hrnet_w30")
hrnet_w32 = sized(HRNet, "hrnet_w32")
hrnet_w40 = sized(HRNet, "hrnet_w40")
hrnet_w44 = sized(HRNet, "hrnet_w44")
hrnet_w48 = sized(HRNet, "hrnet_w48")
hrnet_w64 = sized(HRNet, "hrnet_w64")
