"""EMVision's residual symmetric U-Nets for volumes of electron microscopy.

Source: Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120, as
seung-lab/pytorch-emvision (0f24d06) implements it.
Differs: convolutions for the image and the result are there where they are asked for; sizes that don't fit are refused
before anything is computed, or padded; groups that don't fit are refused by name.
Names: the table `emvision` renames the original's files; entries have the original's order.
"""

from collections.abc import Sequence
from typing import Literal

from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.basicblocks.symmetric import grouped
from models.networks.choices import Norm
from models.networks.ends import Outputs
from models.networks.symmetric import WIDTH, Fit, SymmetricUNet, bilinear, check_width, factors_of
from models.utils.arguments import one_of
from models.utils.triples import Triple, triple


class RSUNet(SymmetricUNet):
    """The residual symmetric U-Net: 2x2 pooling of slices, batch norms, ReLU.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level, a norm that doesn't fit the channels, or another argument that fits nothing.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            width,
            norm=norm,
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class isoRSUNet(SymmetricUNet):
    """`RSUNet` for volumes as fine along z as along y and x: 2x2x2 pooling.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z too;
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level, a norm that doesn't fit the channels, or another argument that fits nothing.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        check_width(width, of=type(self).__name__)
        super().__init__(
            width,
            factors=factors_of([2] * (len(width) - 1), width, of=type(self).__name__),
            norm=norm,
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_gn(SymmetricUNet):
    """`RSUNet` with group norms.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        group: channels to a group of the norm, not the number of groups, which is `channels // group`.
        norm: "group", or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: `group` exceeds a level's channels or divides them unevenly, or another argument fits nothing.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        group: int = 16,
        *,
        norm: Literal["group"] | None = "group",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            width,
            norm=group_norms(norm, group, width, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_2d3d(SymmetricUNet):
    """`RSUNet` whose finest levels have flat kernels, which see slices apart.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        depth2d: how many levels have flat kernels, the finest first; all that there are, at most.
        kernel2d: of these levels' convolutions, along z, y and x; odd.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: more flat levels than levels, an even kernel, or another argument that fits nothing.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        depth2d: int = 0,
        kernel2d: Sequence[int] = (1, 3, 3),
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            width,
            kernels=kernels_of(depth2d, kernel2d, width, of=type(self).__name__),
            norm=norm,
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_2d3d_gn(SymmetricUNet):
    """`rsunet_2d3d` with group norms.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        group: channels to a group of the norm, not the number of groups, which is `channels // group`.
        depth2d: how many levels have flat kernels, the finest first; all that there are, at most.
        kernel2d: of these levels' convolutions, along z, y and x; odd.
        norm: "group", or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: more flat levels than levels, an even kernel, groups that don't fit, or another argument.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        group: int = 16,
        depth2d: int = 0,
        kernel2d: Sequence[int] = (1, 3, 3),
        *,
        norm: Literal["group"] | None = "group",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            width,
            kernels=kernels_of(depth2d, kernel2d, width, of=type(self).__name__),
            norm=group_norms(norm, group, width, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_v3(SymmetricUNet):
    """`RSUNet` without the norm and ReLU at its end, so that results may be negative.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Raises:
        ValueError: one level, a norm that doesn't fit the channels, or another argument that fits nothing.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
    ) -> None:
        super().__init__(
            width,
            norm=norm,
            upsampling=bilinear(trilinear),
            final=False,
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )
        # The original's has these, and no other of the family.
        self.in_channels = width[0] if in_channels is None else in_channels
        self.out_channels = width[0] if out_channels is None else out_channels


def group_norms(
    norm: Literal["group"] | None,
    group: int,
    width: Sequence[int],
    *,
    of: str,
    eps: float = 1e-5,
    affine: bool = True,
) -> Factory | None:
    """The constructor of group norms with `group` channels to a group, or None.

    Raises:
        ValueError: groups that don't fit the channels of a level, or an `eps` that is no number from 0 on.
    """
    one_of(("group", None), of=of, norm=norm)
    check_width(width, of=of)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or eps < 0:
        raise ValueError(f"{of}: eps={eps!r} is no number from 0 on, like 1e-5.")
    return None if norm is None else grouped(group, widths=tuple(width), of=of, eps=eps, affine=affine)


def kernels_of(depth2d: int, kernel2d: Sequence[int], width: Sequence[int], *, of: str) -> list[Triple]:
    """The kernel of each level, flat for the `depth2d` finest; a negative number is none, as in the original.

    Raises:
        ValueError: more levels than there are, or no whole number of them; or a kernel that isn't odd.
    """
    check_width(width, of=of)
    if type(depth2d) is not int:
        raise ValueError(f"{of}: depth2d={depth2d!r} is no whole number of levels.")
    if depth2d > len(width):
        raise ValueError(f"{of}: depth2d={depth2d} levels are more than the {len(width)} of width={list(width)}.")
    flat = triple(kernel2d, of=of, name="kernel2d")
    if any(size % 2 == 0 for size in flat):
        raise ValueError(f"{of}: kernel2d={list(flat)} has an even number, which doesn't keep the size.")
    return [flat if level < depth2d else (3, 3, 3) for level in range(len(width))]
