"""DTU2, "down, then up": a U-Net of few convolutions and many channels, none of them padded.

Source: seung-lab/pytorch-emvision (0f24d06).
Names: attributes and their order are the original's, so its files load as they are.
"""

from collections.abc import Sequence
from typing import Any

from mcore import Conv3d, ConvTranspose3d, MaxPool3d, Module, ModuleList, Tensor
from mcore import functional as F
from models.backbones.base import Weights
from models.functional.volumes import crop_margins
from models.networks.ends import Outputs, classifiers, embedding, outputs, scores
from models.networks.symmetric import check_width
from models.sizing import Sized
from models.utils.initialise import kaiming_fan_in
from models.utils.triples import Triple, mul3, sum3, triple
from models.utils.weights import load_weights

Pixels = int | Sequence[int]


class DTU2(Sized):
    """A U-Net without norms, whose finer maps are cropped and added: ReLU, then a convolution, throughout.

    Shapes:
        x: (n, width[0], z, y, x); with `in_channels`, these channels
        returns: (n, width[0], z', y', x'), smaller: see `output_size`; with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        kszs: kernels of each level, along z, y and x; odd.
        factors: how much coarser each further level is, along z, y and x; one less than levels.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd. They aren't padded either.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Differs: the image stays as it is; the original overwrote it with `relu(x)`.

    Raises:
        ValueError: one level, an even kernel, or other numbers of levels, kernels and factors.
    """

    dims = 3
    first_conv = "embed"

    def __init__(
        self,
        width: Sequence[int] = (12, 72, 432, 2592),
        kszs: Sequence[Pixels] = ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)),
        factors: Sequence[Pixels] = ((1, 3, 3), (1, 3, 3), (3, 3, 3)),
        *,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: Pixels = 1,
        weights: Weights = None,
    ) -> None:
        check_width(width, of="DTU2")
        for name, listed in {"kszs": kszs, "factors": factors}.items():
            if not isinstance(listed, Sequence):
                raise ValueError(f"DTU2: {name}={listed!r} is no list, as in [[1, 3, 3], 3].")
        if not len(width) == len(kszs) == len(factors) + 1:
            raise ValueError(
                f"DTU2: width, kszs and factors are of {len(width)} levels, {len(kszs)} levels and {len(factors)} "
                "steps; give as many kernels as levels, and one factor less."
            )
        kernels = [triple(size, of="DTU2", name="kszs") for size in kszs]
        if any(size % 2 == 0 for kernel in kernels for size in kernel):
            raise ValueError(f"DTU2: kszs={kernels} has an even number; an odd one has a centre.")
        ends = triple(end_kernel, of="DTU2", name="end_kernel")
        super().__init__()
        self.factors = [triple(factor, of="DTU2", name="factors") for factor in factors]
        last = len(factors)
        #: Voxels that a level takes off both ends of each axis, on the way down and on the way up, finest first.
        self.down_crop = [_margin(kernel, 2) for kernel in kernels[1:]]
        self.up_crop = [_margin(kernel, 2 if level else 1) for level, kernel in enumerate(kernels[:-1])]
        #: Voxels that a finer map loses at both ends of each axis where it is added, finest first.
        self.crops = _crops(self.down_crop, self.up_crop, self.factors)
        self._loss = [size - 1 for size in kernels[0]], [size - 1 for size in ends]
        self.embed = embedding(in_channels, width[0], kernel=ends, padded=False, of="DTU2")
        self.iconv = _ReluConv(width[0], width[0], kernels[0])
        self.dconvs = ModuleList(
            _Down(width[level], width[level + 1], kernels[level + 1], factor=self.factors[level])
            for level in range(last)
        )
        # The finest first, which is the last to run.
        self.uconvs = ModuleList(
            _Up(
                width[level + 1],
                width[level],
                kernels[level],
                factor=self.factors[level],
                crop=self.crops[level],
                depth=2 if level else 1,
            )
            for level in range(last)
        )
        self.out = outputs(out_channels, width[0], kernel=ends, padded=False, of="DTU2")
        self.classifier = classifiers(out_channels)
        kaiming_fan_in(self)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Any:
        self.check_size(x.shape[2:])
        x = self.iconv(x if self.embed is None else self.embed(x))
        skips = []
        for down in self.dconvs:
            skips.append(x)
            x = down(x)
        for up in reversed(list(self.uconvs)):
            x = up(x, skips.pop())
        return scores(self.out, x)

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't fit."""
        first, ends = (loss[axis] for loss in self._loss)
        pixels -= first + (0 if self.embed is None else ends)
        for factor, crop in zip(self.factors, self.down_crop, strict=True):
            if pixels < factor[axis] or pixels % factor[axis]:
                return None
            pixels = pixels // factor[axis] - 2 * crop[axis]
        for factor, crop in zip(reversed(self.factors), reversed(self.up_crop), strict=True):
            if pixels < 1:
                return None
            pixels = pixels * factor[axis] - 2 * crop[axis]
        pixels -= 0 if self.out is None else ends
        return pixels if pixels >= 1 else None


class _ReluConv(Module):
    """ReLU, then a convolution."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Triple) -> None:
        super().__init__()
        self.conv = Conv3d(in_channels, out_channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(x))


class _Down(Module):
    """The maximum of every `factor` voxels, then two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Triple, *, factor: Triple) -> None:
        super().__init__()
        self.pool = MaxPool3d(factor)
        self.convmod = ModuleList(_ReluConv(fed, out_channels, kernel_size) for fed in (in_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        for conv in self.convmod:
            x = conv(x)
        return x


class _Up(Module):
    """A transposed convolution, the sum with the middle of the finer map, then `depth` convolutions."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Triple, *, factor: Triple, crop: Triple, depth: int
    ) -> None:
        super().__init__()
        self.upsample = ConvTranspose3d(in_channels, out_channels, factor, stride=factor)
        self.crop = crop
        self.convmod = ModuleList(_ReluConv(out_channels, out_channels, kernel_size) for _ in range(depth))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.upsample(x) + crop_margins(skip, self.crop)
        for conv in self.convmod:
            x = conv(x)
        return x


def _margin(kernel: Triple, count: int) -> Triple:
    """What `count` convolutions take off both ends of each axis."""
    z, y, x = (count * (size // 2) for size in kernel)
    return z, y, x


def _crops(down: Sequence[Triple], up: Sequence[Triple], factors: Sequence[Triple]) -> list[Triple]:
    """What a map loses, at both ends of each axis, on its way down from each level and up again to it."""
    found, lost = [], down[-1]
    for level in range(len(factors) - 1, -1, -1):
        found.append(mul3(lost, factors[level]))
        if level:
            lost = sum3(sum3(found[-1], up[level]), down[level - 1])
    return found[::-1]
