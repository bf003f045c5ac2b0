"""EMVision's residual U-Nets whose convolutions aren't padded, so that no voxel of the result saw a border.

Source: seung-lab/pytorch-emvision (0f24d06).
Names: the table `emvision` renames the original's files; entries have the original's order.
"""

from collections.abc import Sequence
from typing import Any, Literal

from mcore import Module, Upsample
from models.backbones.base import Weights
from models.networks.choices import Norm, activation_of
from models.networks.emvision_act import Act
from models.networks.ends import Outputs
from models.networks.symmetric import WIDTH, Fit, SymmetricUNet, check_width
from models.utils.arguments import one_of
from models.utils.patches import patch_size_pairs
from models.utils.triples import Triple, sum3, triple

# How maps come up, by the names that torch has for it, and the one that the original took beside them.
_UP = {"trilinear": "trilinear", "bilinear": "trilinear", "nearest": "nearest"}


class VRUNet(SymmetricUNet):
    """A residual symmetric U-Net whose blocks take 4 voxels off every axis: only inside residuals is anything padded.

    Shapes:
        x: (n, width[0], z, y, x); with `in_channels`, these channels
        returns: (n, width[0], z', y', x'), smaller: see `output_size`; with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        mode: how maps come up: "trilinear" (or "bilinear", which is the same), or "nearest".
        scale_factor: how much coarser each step is, along z, y and x.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "instance", "batch" (which the original had until March 2023), "group", "channel", one with arguments, a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd. They aren't padded either.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Differs: "nearest" takes any number of images, repeats along each axis by that axis's own factor, where the original
        takes x's for y too, and refuses a factor along z, which the original returned wrong sizes for. Norms of the
        original's files from March 2023 to October 2025 had no weights; loaded, they are 1, biases 0.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        mode: Literal["trilinear", "bilinear", "nearest"] = "trilinear",
        scale_factor: int | Sequence[int] = (1, 2, 2),
        act: Act = "ReLU",
        *,
        norm: Norm = "instance",
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = 1,
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        title = type(self).__name__
        one_of(tuple(_UP), of=title, mode=mode)
        check_width(width, of=title)
        factor = triple(scale_factor, of=title, name="scale_factor")
        if mode == "nearest" and factor[0] != 1:
            raise ValueError(f"{title}: scale_factor={list(factor)} has a factor along z, for which take 'trilinear'.")
        super().__init__(
            width,
            factors=[factor] * (len(width) - 1),
            norm=norm,
            activation=activation_of(act, act_params, of=title),
            upsampling=_Interpolated(_UP[mode]),
            padding="inner",
            divisible=False,
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            weights=weights,
        )


# The original's entry to the class; its docstring and arguments are the class's.
class vrunet(VRUNet):
    pass


class RUNet(SymmetricUNet):
    """A residual symmetric U-Net whose blocks take 8 voxels off every axis, or none; it knows the sizes of patches.

    Shapes:
        x: (n, width[0], z, y, x); with `in_channels`, these channels
        returns: (n, width[0], z', y', x'), smaller by `crop_margin` at both ends; with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        scale_factor: how much coarser each step is, along z, y and x.
        mode: "valid", or "same", which pads all convolutions.
        norm: "instance", "batch", "group", "channel", one with arguments, a norm's class, a constructor, or None,
            where all convolutions have a bias.
        residual: what a block without norms adds: "rectified" is the original's, `relu(x)`; "identity" is `x`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd. In mode "valid", they aren't padded either.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result,
            in mode "same" alone.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Differs: the image stays as it is; without norms, the original overwrote it. Sizes of patches are those that go
        through, also with factors other than 2 and in mode "same".

    Raises:
        ValueError: a mode, a norm or factors that don't fit.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        scale_factor: int | Sequence[int] = (2, 2, 2),
        mode: Literal["valid", "same"] = "valid",
        norm: Norm = "instance",
        *,
        residual: Literal["rectified", "identity"] = "rectified",
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = 1,
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("valid", "same"), of=title, mode=mode)
        one_of(("rectified", "identity"), of=title, residual=residual)
        check_width(width, of=title)
        factor = triple(scale_factor, of=title, name="scale_factor")
        super().__init__(
            width,
            factors=[factor] * (len(width) - 1),
            norm=norm,
            upsampling=_Interpolated("trilinear"),
            padding=mode,
            rectified=norm is None and residual == "rectified",
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )

    @property
    def crop_margin(self) -> Triple:
        """Voxels by which the result is smaller than the image, at both ends of each axis."""
        ends = [self._end_loss("embed", axis) + self._end_loss("out", axis) for axis in range(3)]
        blocks = sum3(self.block_margin, self.block_margin)
        return sum3(sum3(blocks, self.inner_crop_margins[-1]), [pixels // 2 for pixels in ends])

    def input_patch_sizes(self, num_shapes: int) -> list[Triple]:
        """The smallest sizes of an image that go through, ascending along all axes at once."""
        return [size for size, _ in self.patch_size_pairs(num_shapes)]

    def output_patch_sizes(self, num_shapes: int) -> list[Triple]:
        """The sizes of what `input_patch_sizes` give."""
        return [size for _, size in self.patch_size_pairs(num_shapes)]

    def patch_size_pairs(self, num_shapes: int) -> list[tuple[Triple, Triple]]:
        """The smallest sizes of an image that go through, each with that of the result."""
        return patch_size_pairs(self, num_shapes)


class _Interpolated:
    """Upsampling by interpolation between the centres of voxels, or by nearest neighbours."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __call__(self, channels: int, factor: Triple) -> Module:
        corners = None if self.mode == "nearest" else False
        return Upsample(scale_factor=tuple(map(float, factor)), mode=self.mode, align_corners=corners)
