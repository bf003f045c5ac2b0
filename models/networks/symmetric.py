"""The residual symmetric U-Net: what all of EMVision's networks but DTU2 are made of.

Source: Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120, as
seung-lab/pytorch-emvision implements it.
Names: attributes are pytorch-emvision's, one for all members of the family; the table `emvision` renames its files.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from mcore import GroupNorm, InstanceNorm3d, Module, ModuleList, Tensor
from models.backbones.base import Weights
from models.basicblocks.bilinear_up import BilinearUp
from models.basicblocks.symmetric import NormAct, Padding, SymmetricBlock, SymmetricDown, SymmetricUp
from models.functional.sizes import crop, pad_to_multiple
from models.networks.choices import RELU, Activation, Norm, norm_name, norm_of
from models.networks.ends import Outputs, classifiers, embedding, outputs, scores
from models.sizing import Sized
from models.utils.arguments import one_of
from models.utils.initialise import kaiming_fan_in
from models.utils.triples import Triple, mul3, sum3, triple
from models.utils.weights import load_weights

# Channels of the levels, where nothing else is said.
WIDTH = (16, 32, 64, 128, 256, 512)

Fit = Literal["pad", "refuse"]
# What makes a map finer: called with its channels and the factor by axis.
Upsampling = Callable[[int, Triple], Module]


class SymmetricUNet(Sized):
    """Abstract: a residual symmetric U-Net, made of the parts that its members choose.

    Shapes:
        x: (n, width[0], z, y, x); with `in_channels`, (n, in_channels, z, y, x)
        returns: (n, width[0], z, y, x); with `out_channels`, these, or a dict by name; `output_size` tells the size

    Args:
        width: channels of each level, finest first; two or more.
        factors: how much coarser each further level is, along z, y and x; 1, 2, 2 each, where left out.
        kernels: of each level's convolutions, along z, y and x.
        norm: the constructor of a norm from its channels, a name, one with arguments, or None; without one,
            convolutions have a bias.
        activation: behind every norm.
        upsampling: makes what makes a map finer, from its channels and the factor.
        padding: of blocks; without "same", maps are cropped to join.
        divisible: whether pixels that a pooling would leave over are refused; else, those are whose maps have no
            common centre.
        rectified: whether residuals go through ReLU.
        final: whether a norm and an activation end it.
        in_channels: of the image, for which a convolution comes first; None leaves it out.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict.
            None leaves it out.
        end_kernel: of these two, along z, y and x.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the
            result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
    """

    dims = 3
    first_conv = "embed"

    def __init__(
        self,
        width: Sequence[int],
        *,
        factors: Sequence[Sequence[int]] | None = None,
        kernels: Sequence[Sequence[int]] | None = None,
        norm: Norm = "batch",
        activation: Activation = RELU,
        upsampling: Upsampling | None = None,
        padding: Padding = "same",
        divisible: bool = True,
        rectified: bool = False,
        final: bool = True,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = 1,
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("pad", "refuse"), of=title, fit=fit)
        check_width(width, of=title)
        steps = [(1, 2, 2)] * (len(width) - 1) if factors is None else [*factors]
        self._check_levels(width, steps, kernels)
        super().__init__()
        received: Any = self._arguments  # kept by the metaclass
        if "norm" in received:
            # A configuration can hold the name of a norm, not its class.
            received["norm"] = norm_name(received["norm"])
        self.fit, self.divisible = fit, divisible
        self.factors = [triple(step, of=title, name="factors") for step in steps]
        self.multiples = [math.prod(step[axis] for step in self.factors) for axis in range(3)]
        shapes = [(3, 3, 3)] * len(width) if kernels is None else [tuple(kernel) for kernel in kernels]
        make_norm, act = norm_of(norm, of=title), activation.made(width, of=title, alone=norm is None)
        ends = triple(end_kernel, of=title, name="end_kernel")
        padded = padding == "same"
        if fit == "pad" and not padded:
            raise ValueError(
                f"{title}: fit='pad' keeps the size, which convolutions without padding don't; leave it out."
            )
        block = partial(SymmetricBlock, padding=padding, norm=make_norm, activation=act, rectified=rectified)
        self.embed = embedding(in_channels, width[0], kernel=ends, padded=padded, of=title)
        self.iconv = block(width[0], width[0], shapes[0])
        self.dconvs = ModuleList(
            SymmetricDown(block(width[level], width[level + 1], shapes[level + 1]), step)
            for level, step in enumerate(self.factors)
        )
        self.uconvs = ModuleList(
            SymmetricUp(
                width[level + 1],
                width[level],
                up=(upsampling or bilinear())(width[level + 1], self.factors[level]),
                conv=block(width[level], width[level], shapes[level]),
                bias=make_norm is None,
                crop=None if padded else margin if divisible else "center",
            )
            for level, margin in zip(reversed(range(len(self.factors))), self.inner_crop_margins, strict=True)
        )
        self.final = NormAct(width[0], norm=make_norm, activation=act) if final else None
        self.out = outputs(out_channels, width[0], kernel=ends, padded=padded, of=title)
        self.classifier = classifiers(out_channels)
        # Whether the result is as large as the image, and else what a convolution at the ends takes off each axis.
        self._keeps = padded
        self._lost = [0 if padded else size - 1 for size in ends]
        # Of the norms that `places` counts, which have no spread over a single pixel.
        self._spread = [_sees_alone(layer.norm) for layer in self.modules() if isinstance(layer, NormAct)]
        kaiming_fan_in(self, slope=activation.slope)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Any:
        return self.run(x)

    def run(self, x: Tensor, *bank: int) -> Any:
        """The result for an image, by the norms of step `bank`, where there are several."""
        size = x.shape[2:]
        if self.fit == "pad":
            self.check_size(size)
            x = pad_to_multiple(x, self.multiples)
        else:
            self.check_size(size, ', or take fit="pad"' if self._keeps else "")
        x = self.iconv(x if self.embed is None else self.embed(x), *bank)
        skips = []
        for down in self.dconvs:
            skips.append(x)
            x = down(x, *bank)
        for up in self.uconvs:
            x = up(x, skips.pop(), *bank)
        x = x if self.final is None else self.final(x, *bank)
        return scores(self.out, crop(x, size) if self.fit == "pad" else x)

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't fit."""
        if self.fit == "pad":
            return pixels
        if self._keeps:
            return None if pixels % self.multiples[axis] else pixels
        places = self.places(pixels, axis)
        return None if places is None else places[-1]

    def refusal(self, size: Sequence[int]) -> str | None:
        """Why an image of this size is refused whose axes all fit: a norm of each image would see one pixel alone."""
        if not any(self._spread):
            return None
        along = [(self.places(pixels, axis) or [])[:-1] for axis, pixels in enumerate(size)]
        norms = zip(self._spread, zip(*along, strict=True), strict=True)
        if all(math.prod(place) > 1 for alone, place in norms if alone):
            return None
        return "leave a single pixel to a norm of each image, which needs two or more"

    def places(self, pixels: int, axis: int) -> list[int] | None:
        """Pixels along an axis at every norm, then of the result; None where an axis of `pixels` doesn't fit."""
        if self.fit == "pad":
            pixels = -(-pixels // self.multiples[axis]) * self.multiples[axis]
        left, skips = pixels - self._end_loss("embed", axis), []
        found, left = _through(self.iconv, left, axis)
        for down, step in zip(self.dconvs, self.factors, strict=True):
            if left < step[axis] or (self.divisible and left % step[axis]):
                return None
            skips.append(left)
            more, left = _through(down.conv, left // step[axis], axis)
            found += more
        for up, step in zip(self.uconvs, reversed(self.factors), strict=True):
            left, skip = left * step[axis], skips.pop()
            if left < 1 or left > skip or (not self.divisible and (skip - left) % 2):
                return None
            more, left = _through(up.conv, left, axis)
            found += more
        found += [left] * (self.final is not None)
        left -= self._end_loss("out", axis)
        return [*found, left] if left >= 1 else None

    def spec(self) -> dict[str, Any]:
        """The type and the arguments; those of the activation stand among the others, as they were given."""
        spec = super().spec()
        more = spec.pop("act_params", {})
        return spec | more

    def assumed(self, key: str) -> float | None:
        """What stands for an entry of the state in files whose norms had no weights; None where nothing does.

        Between July and October 2025 the original's instance norms had none.
        """
        norm, _, name = key.rpartition(".")
        if name not in ("weight", "bias") or not isinstance(self.get_submodule(norm), InstanceNorm3d):
            return None
        return 1.0 if name == "weight" else 0.0

    @property
    def inner_crop_margins(self) -> list[Triple]:
        """Voxels by which the finer map that each step up joins is larger, at both ends of each axis, coarsest first.

        It is larger by no more where all that pools is divided evenly.
        """
        # What the coarsest block takes off, and further up the block behind each sum too.
        found, taken = [], self.block_margin
        for factor in reversed(self.factors):
            found.append(mul3(taken, factor))
            taken = sum3(sum3(self.block_margin, self.block_margin), found[-1])
        return found

    @property
    def block_margin(self) -> Triple:
        """Voxels that a block takes off both ends of each axis; a padded one, none."""
        block: Any = self.iconv
        z, y, x = (sum(lost) // 2 for lost in block.lost)
        return z, y, x

    def _end_loss(self, name: str, axis: int) -> int:
        return 0 if getattr(self, name) is None else self._lost[axis]

    def _check_levels(
        self, width: Sequence[int], factors: Sequence[Any], kernels: Sequence[Sequence[int]] | None
    ) -> None:
        title, levels = type(self).__name__, len(width)
        if len(factors) != levels - 1:
            raise ValueError(
                f"{title}: factors={list(factors)} are {len(factors)} for {levels} levels; give one for each step "
                f"from a level to the next, {levels - 1}."
            )
        if kernels is not None and len(kernels) != levels:
            raise ValueError(f"{title}: {len(kernels)} kernels came for {levels} levels; give one for each.")


def _through(block: Any, pixels: int, axis: int) -> tuple[list[int], int]:
    """Pixels along an axis at each norm of a block, and behind it."""
    found = []
    for lost in block.lost[axis]:
        found.append(pixels)
        pixels -= lost
    return found, pixels


def _sees_alone(norm: Module | None) -> bool:
    """Whether a norm takes each channel of each image by itself."""
    if isinstance(norm, GroupNorm):
        return norm.num_groups == norm.num_channels
    return isinstance(norm, InstanceNorm3d)


def check_width(width: Sequence[int], *, of: str) -> None:
    """Refuses channels of levels that make no network.

    Raises:
        ValueError: there is one level, or none; or one isn't a positive number.
    """
    if not isinstance(width, Sequence) or len(width) < 2:
        raise ValueError(f"{of}: width={width!r} is no list of two or more levels' channels, as in [16, 32, 64].")
    if any(type(channels) is not int or channels < 1 for channels in width):
        raise ValueError(f"{of}: width={list(width)} are not all whole numbers of channels, 1 or more.")


def factors_of(zfactor: Sequence[int] | None, width: Sequence[int], *, of: str) -> list[Triple]:
    """The factor of each step: `zfactor` along z, 2 along y and x.

    Raises:
        ValueError: another number of them than steps, or one that isn't 1 or more.
    """
    check_width(width, of=of)
    steps = len(width) - 1
    along = [1] * steps if zfactor is None else zfactor
    if not isinstance(along, Sequence) or len(along) != steps or any(type(z) is not int or z < 1 for z in along):
        raise ValueError(
            f"{of}: zfactor={zfactor!r} is not one whole number for each of the {steps} steps between {len(width)} "
            f"levels, finest first, as in {[1] + [2] * (steps - 1)}."
        )
    return [(z, 2, 2) for z in along]


def bilinear(trilinear: bool = False) -> Upsampling:
    """Upsampling by `BilinearUp`."""

    def make(channels: int, factor: Triple) -> Module:
        return BilinearUp(channels, channels, factor, trilinear=trilinear)

    return make


__all__ = ["WIDTH", "Fit", "SymmetricUNet", "Upsampling", "bilinear", "check_width", "factors_of"]
