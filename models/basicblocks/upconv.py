"""Upsampling followed by a convolution, and torch's constructors as data can call them.

Source: the primitives of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running them showed.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import mcore
from mcore import Conv2d, GroupNorm, Module, ModuleDict, ModuleList, Sequential, Tensor
from models.basicblocks.layers import Factory
from models.utils.arguments import constructors
from models.utils.extents import chain

_FINER = functools.partial(mcore.Upsample, scale_factor=2)
_KEEPING = functools.partial(Conv2d, padding="same")


class UpConv(Module):
    """Makes a map finer, then convolves it.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *what the two make of size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: of the convolution, in pixels along every axis, or by axis.
        upsampler: makes the layer that comes first, from nothing; twice as fine, where left out.
        conv: makes the convolution, from channels in, channels out and the kernel; of images, keeping the size,
            where left out.

    Source: zetta_utils' `UpConv`.

    Raises:
        TypeError: `upsampler` or `conv` is a layer that is built, or another value.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        upsampler: Factory = _FINER,
        conv: Factory = _KEEPING,
    ) -> None:
        constructors(of="UpConv", upsampler=upsampler, conv=conv)
        super().__init__()
        self.upsampler = upsampler()
        kernel = kernel_size if isinstance(kernel_size, int) else tuple(kernel_size)
        self.conv = conv(in_channels, out_channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.upsampler(x))

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis."""
        return chain((self.upsampler, self.conv), pixels, axis)


def upsample(
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> mcore.Upsample:
    """torch's Upsample, which takes tuples, from lists.

    Args:
        size: of the result, in pixels along every axis, or by axis.
        scale_factor: how many times finer, along every axis, or by axis; instead of `size`.
        mode: "nearest", "linear", "bilinear", "bicubic", "trilinear" or "nearest-exact".
        align_corners: whether the centres of corner pixels stay where they are; of the linear modes.
        recompute_scale_factor: whether weights are computed from the sizes, instead of `scale_factor`.
    """
    return mcore.Upsample(_tuple(size), _tuple(scale_factor), mode, align_corners, recompute_scale_factor)


def build_group_norm(num_channels: int, num_groups: int, eps: float = 1e-5, affine: bool = True) -> GroupNorm:
    """torch's GroupNorm with its channels first, as a norm is made.

    Args:
        num_channels: of what comes.
        num_groups: as which they are normed together; divides them.
        eps: added to the variance.
        affine: whether each channel has a weight and a bias.
    """
    return GroupNorm(num_groups, num_channels, eps=eps, affine=affine)


def sequential(modules: Sequence[Module]) -> Sequential:
    """torch's Sequential, from a list.

    Args:
        modules: in their order.
    """
    return Sequential(*modules)


def module_list(modules: Sequence[Module] = ()) -> ModuleList:
    """torch's ModuleList.

    Args:
        modules: in their order.
    """
    return ModuleList(modules)


def module_dict(modules: Mapping[str, Module]) -> ModuleDict:
    """torch's ModuleDict.

    Args:
        modules: by name.
    """
    return ModuleDict(modules)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
