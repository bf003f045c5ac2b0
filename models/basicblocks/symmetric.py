"""Blocks of the residual symmetric U-Net: norms and activations stand before convolutions, skips are added.

Source: Lee et al., "Superhuman Accuracy on the SNEMI3D Connectomics Challenge", arXiv:1706.00120, figure 2, as
seung-lab/pytorch-emvision implements it.
Names: attributes are pytorch-emvision's, with one name for what its networks call `norm_relu` and `norm_act`; the
table `emvision` renames its files.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from mcore import GroupNorm, Module, ModuleList, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.conv import Pixels, each
from models.basicblocks.layers import Choice, Factory, activation_layer, layers, norm_layer
from models.functional.sizes import crop_center
from models.functional.volumes import crop_margins
from models.utils.arguments import one_of

Padding = Literal["same", "inner", "valid"]
# Which of a block's four convolutions keep the size.
_PADDED: dict[Padding, tuple[bool, ...]] = {
    "same": (True, True, True, True),
    "inner": (False, True, True, False),
    "valid": (False, False, False, False),
}


class NormAct(Module):
    """A norm, then an activation.

    Shapes:
        x: (n, channels, *size)
        returns: (n, channels, *size)

    Args:
        channels: of what comes.
        norm: a name, one with arguments, a constructor, or None.
        activation: a name, one with arguments, a constructor, or None.
        dims: 1, 2 or 3.
    """

    def __init__(self, channels: int, *, norm: Choice = "batch", activation: Choice = "relu", dims: int = 3) -> None:
        super().__init__()
        make = norm_layer(norm, dims, of="NormAct")
        self.norm = None if make is None else make(channels)
        self.act = activation_layer(activation, of="NormAct")

    def forward(self, x: Tensor, *bank: int) -> Tensor:
        return self.act(x if self.norm is None else self.norm(x, *bank))


class NormActConv(Module):
    """A norm of what comes, an activation, then a convolution.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size), less where it isn't padded

    Args:
        in_channels: of what comes, which is normed.
        out_channels: of the result.
        kernel_size: odd; pixels along every axis, or along each.
        padded: whether zeros around keep the size.
        bias: of the convolution.
        norm: a name, one with arguments, a constructor, or None.
        activation: a name, one with arguments, a constructor, or None.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pixels = 3,
        *,
        padded: bool = True,
        bias: bool = False,
        norm: Choice = "batch",
        activation: Choice = "relu",
        dims: int = 3,
    ) -> None:
        super().__init__()
        self.norm_act = NormAct(in_channels, norm=norm, activation=activation, dims=dims)
        kernel = each(kernel_size, dims)
        around = tuple(size // 2 if padded else 0 for size in kernel)
        self.conv = layers(dims, of="NormActConv").conv(in_channels, out_channels, kernel, padding=around, bias=bias)

    def forward(self, x: Tensor, *bank: int) -> Tensor:
        return self.conv(self.norm_act(x, *bank))


class SymmetricBlock(Module):
    """Four convolutions, each behind a norm and an activation; what the first gives is added to what the third does.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size); with a kernel of 3 pixels, 4 less on each axis with `padding="inner"` and
            8 less with "valid"

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: odd; pixels along every axis, or along each.
        padding: "same" keeps the size, "inner" pads the second and third convolution, "valid" none.
        bias: of the convolutions; where left out, wherever there is no norm.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        activation: a name, one with arguments, a constructor, or None.
        rectified: what is added goes through ReLU first.
        dims: 1, 2 or 3.

    Raises:
        ValueError: a kernel that isn't odd.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pixels = 3,
        *,
        padding: Padding = "same",
        bias: bool | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        rectified: bool = False,
        dims: Literal[1, 2, 3] = 3,
    ) -> None:
        one_of(tuple(_PADDED), of="SymmetricBlock", padding=padding)
        kernel = each(kernel_size, dims)
        if any(size < 1 or size % 2 == 0 for size in kernel):
            raise ValueError(f"SymmetricBlock: kernel_size={kernel_size!r} is not odd along every axis.")
        super().__init__()
        padded, self.rectified = _PADDED[padding], rectified
        # Pixels that each convolution takes off every axis, both ends together.
        self.lost = tuple(tuple(0 if kept else size - 1 for kept in padded) for size in kernel)

        def conv(fed: int, place: int) -> NormActConv:
            made = norm is None if bias is None else bias
            return NormActConv(
                fed,
                out_channels,
                kernel,
                padded=padded[place],
                bias=made,
                norm=norm,
                activation=activation,
                dims=dims,
            )

        self.pre = conv(in_channels, 0)
        self.res = _Residual(conv(out_channels, 1), conv(out_channels, 2), tuple(sum(lost[1:3]) for lost in self.lost))
        self.post = conv(out_channels, 3)

    def forward(self, x: Tensor, *bank: int) -> Tensor:
        x = self.pre(x, *bank)
        return self.post(self.res(F.relu(x) if self.rectified else x, *bank), *bank)


class _Residual(Module):
    """`x + conv2(conv1(x))`, where `x` lies in the middle of what the convolutions saw."""

    def __init__(self, conv1: NormActConv, conv2: NormActConv, lost: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv1, conv2
        self.margin = tuple(pixels // 2 for pixels in lost)

    def forward(self, x: Tensor, *bank: int) -> Tensor:
        middle = crop_margins(x, self.margin) if any(self.margin) else x
        return middle + self.conv2(self.conv1(x, *bank), *bank)


class SymmetricDown(Module):
    """One step down: the maximum of every `factor` pixels, then a block.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *floor(size / factor)), as far as the block keeps it

    Args:
        conv: the block.
        factor: pixels along each axis.
        dims: 1, 2 or 3.
    """

    def __init__(self, conv: Module, factor: Sequence[int], *, dims: int = 3) -> None:
        super().__init__()
        self.pool = layers(dims, of="SymmetricDown").max_pool(tuple(factor))
        self.conv = conv

    def forward(self, x: Tensor, *bank: int) -> Tensor:
        return self.conv(self.pool(x), *bank)


class SymmetricUp(Module):
    """One step up: upsampling, a 1x1 convolution to the channels of the finer map, which is added, then a block.

    Shapes:
        x: (n, in_channels, *size)
        skip: (n, out_channels, *factor * size), larger by what is cropped
        returns: (n, out_channels, *factor * size), as far as the block keeps it

    Args:
        in_channels: of what comes up.
        conv: the block behind the sum.
        out_channels: of the finer map.
        up: what makes a map finer; it keeps its channels.
        bias: of the 1x1 convolution.
        crop: pixels that the finer map is larger by, at both ends of each axis; "center" takes its middle, whatever
            its size; None, it is as large as what comes up.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        up: Module,
        conv: Module,
        bias: bool = False,
        crop: Sequence[int] | Literal["center"] | None = None,
        dims: int = 3,
    ) -> None:
        super().__init__()
        project = layers(dims, of="SymmetricUp").conv(in_channels, out_channels, 1, bias=bias)
        self.up, self.conv, self.crop = Sequential(up, project), conv, crop

    def forward(self, x: Tensor, skip: Tensor, *bank: int) -> Tensor:
        x = self.up(x)
        if self.crop == "center":
            skip = crop_center(skip, x.shape[2:])
        elif self.crop is not None:
            skip = crop_margins(skip, self.crop)
        return self.conv(x + skip, *bank)


class NormBank(ModuleList):
    """Norms of the same channels, of which each call chooses one: statistics of every step of a recurrence apart.

    Shapes:
        x: (n, channels, *size)
        returns: (n, channels, *size)

    Args:
        make: the constructor of one, from nothing.
        count: how many.
    """

    def __init__(self, make: Callable[[], Module], count: int) -> None:
        super().__init__([make() for _ in range(count)])

    def forward(self, x: Tensor, unroll: int = 1) -> Tensor:
        """`x`, by the norm of step `unroll`, counted from 1."""
        return self[unroll - 1](x)


def grouped(group: int, *, widths: tuple[int, ...], of: str, eps: float = 1e-5, affine: bool = True) -> Factory:
    """The constructor of a group norm whose groups have `group` channels each, or somewhat more.

    There are `channels // group` of them.

    Raises:
        ValueError: for one of `widths`, that is none, or doesn't divide the channels.

    >>> grouped(5, widths=(12,), of="rsunet_gn")(12).num_groups
    2
    """
    for channels in widths:
        if type(group) is not int or group < 1 or channels < group or channels % (channels // group):
            fits = [size for size in range(1, channels + 1) if channels % (channels // size) == 0]
            near = min(fits, key=lambda size: abs(size - group)) if type(group) is int else fits[-1]
            raise ValueError(
                f"{of}: group={group!r} channels to a group don't divide a level of {channels} channels evenly; the "
                f"nearest that does is {near}."
            )

    def make(channels: int) -> Module:
        return GroupNorm(channels // group, channels, eps=eps, affine=affine)

    return make
