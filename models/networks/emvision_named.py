"""EMVision's networks under the names and arguments that configurations of PyTorch Connectomics have for them."""

from collections.abc import Sequence
from typing import Literal

from models.backbones.base import Weights
from models.networks.choices import Norm
from models.networks.emvision import group_norms
from models.networks.ends import Outputs
from models.networks.symmetric import Fit, SymmetricUNet, bilinear, check_width, factors_of
from models.utils.triples import Triple, triple


class emvision_rsunet(SymmetricUNet):
    """`RSUNet` from an image to scores, as a configuration writes it.

    Shapes:
        x: (n, in_channels, z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z by what `zfactor` says
        returns: (n, out_channels, z, y, x), or a dict of such by name

    Args:
        filters: channels of each level, finest first; two or more.
        zfactor: how much coarser each step from a level to the next is along z, finest first; y and x are halved.
            Three numbers where there aren't three steps are the factor of every step, along z, y and x.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image.
        out_channels: of the result; a mapping of names to channels gives a dict.
        end_kernel: of the first and last convolution, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level, or factors that don't fit.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128, 256),
        *,
        zfactor: Sequence[int] | None = None,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int = 1,
        out_channels: Outputs = 1,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            filters,
            factors=read_zfactor(zfactor, filters, of="emvision_rsunet"),
            norm=norm,
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class emvision_rsunet_gn(SymmetricUNet):
    """`rsunet_act_gn` with ReLU from an image to scores, as a configuration writes it.

    Shapes:
        x: (n, in_channels, z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z by what `zfactor` says
        returns: (n, out_channels, z, y, x), or a dict of such by name

    Args:
        filters: channels of each level, finest first; two or more.
        group: channels to a group of the norm, not the number of groups, which is `channels // group`.
        zfactor: how much coarser each step from a level to the next is along z, finest first; y and x are halved.
            Three numbers where there aren't three steps are the factor of every step, along z, y and x.
        norm: "group", or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image.
        out_channels: of the result; a mapping of names to channels gives a dict.
        end_kernel: of the first and last convolution, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level, groups or factors that don't fit.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128, 256),
        group: int = 16,
        *,
        zfactor: Sequence[int] | None = None,
        norm: Literal["group"] | None = "group",
        trilinear: bool = False,
        in_channels: int = 1,
        out_channels: Outputs = 1,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            filters,
            factors=read_zfactor(zfactor, filters, of="emvision_rsunet_gn"),
            norm=group_norms(norm, group, filters, of="emvision_rsunet_gn"),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class emvision_iso_rsunet(SymmetricUNet):
    """`isoRSUNet` from an image to scores, as a configuration writes it.

    Shapes:
        x: (n, in_channels, z, y, x), each divided evenly by 2 ** (levels - 1)
        returns: (n, out_channels, z, y, x), or a dict of such by name

    Args:
        filters: channels of each level, finest first; two or more.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image.
        out_channels: of the result; a mapping of names to channels gives a dict.
        end_kernel: of the first and last convolution, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level.
    """

    def __init__(
        self,
        filters: Sequence[int] = (16, 32, 64, 128, 256),
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int = 1,
        out_channels: Outputs = 1,
        end_kernel: int | Sequence[int] = 3,
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        check_width(filters, of="emvision_iso_rsunet")
        super().__init__(
            filters,
            factors=[(2, 2, 2)] * (len(filters) - 1),
            norm=norm,
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


def read_zfactor(zfactor: Sequence[int] | None, filters: Sequence[int], *, of: str) -> list[Triple]:
    """The factor of each step; three numbers where there aren't three steps are that of all, along z, y and x.

    >>> read_zfactor([1, 2, 2], [16, 32, 64, 128, 256], of="emvision_rsunet")
    [(1, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2)]

    Raises:
        ValueError: another number of them.
    """
    check_width(filters, of=of)
    steps = len(filters) - 1
    if zfactor is None or isinstance(zfactor, int) or len(zfactor) == steps or len(zfactor) != 3:
        return factors_of(zfactor, filters, of=of)
    return [triple(zfactor, of=of, name="zfactor")] * steps
