"""The connectomics convnet's block of convolutions, with residuals between any two of them.

Source: `ConvBlock` of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), versions from 0.0.2 on, by what running
it showed.
Names: layers are numbered as there, so its files of weights load as they are.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from mcore import Conv2d, LeakyReLU, Tensor
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.networks.convnet_program import (
    Programmed,
    Setting,
    activation_of,
    axes,
    convolutions,
    edges,
    fitted,
)
from models.utils.arguments import constructors, one_of
from models.utils.extents import keeps_size


class ConvBlock(Programmed):
    """Convolutions in a row, with norms, activations and residuals between any two of them.

    Shapes:
        x: (n, num_channels[0], *size), or without n
        returns: (n, num_channels[-1], *size), smaller where paddings are

    Args:
        num_channels: what comes, and what each convolution gives.
        kernel_sizes: in pixels: one number, or one by axis, of all convolutions, or a list with one for each.
        conv: makes a convolution: called with channels in and out, kernel, stride, padding, and `padding_mode`.
        strides: as kernel_sizes; 1, where left out.
        activation: makes an activation, from nothing.
        normalization: makes a norm, from its channels; None for none.
        skips: where residuals lead: `{"0": 2}` adds what comes in to what the second convolution gives. "post" takes
            a convolution's result behind its activation, and adds before that of the other; "pre" takes and adds
            what convolutions give by themselves. The middle is taken where a residual is larger or has more channels.
        normalize_last: whether a norm follows the last convolution too.
        activate_last: whether an activation does.
        paddings: as kernel_sizes; "same" keeps the size, "valid" adds none.
        padding_modes: "zeros", "reflect", "replicate" or "circular": of all, or one for each.
        activation_mode: "post": norm and activation follow a convolution; "pre": they come before it.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Source: zetta_utils' `ConvBlock`, from version 0.0.2 on.
    Differs: residuals are added to a new tensor, where the original changes the image that it was called with, and
    can't learn where two of them end alike; each of these is cut to where it ends. Skips that lead nowhere
    are told of, which the original passes over; those with too few channels are refused at once, not when called.

    Raises:
        ValueError: a setting or a skip doesn't fit the convolutions.
        TypeError: a factory is none.
    """

    version = "0.0.2"

    def __init__(
        self,
        num_channels: Sequence[int],
        kernel_sizes: Setting = 3,
        conv: Factory = Conv2d,
        strides: Setting | None = None,
        activation: Factory = LeakyReLU,
        normalization: Factory | None = None,
        skips: Mapping[str, int] | None = None,
        normalize_last: bool = False,
        activate_last: bool = False,
        paddings: Setting = "same",
        padding_modes: str | Sequence[str] = "zeros",
        activation_mode: Literal["pre", "post"] = "post",
        *,
        weights: Weights = None,
    ) -> None:
        title = type(self).__name__
        one_of(("pre", "post"), of=title, activation_mode=activation_mode)
        constructors(
            of=title, optional=("normalization",), conv=conv, activation=activation, normalization=normalization
        )
        super().__init__()
        convs = convolutions(
            title,
            num_channels,
            conv,
            kernel_sizes=kernel_sizes,
            strides=strides,
            paddings=paddings,
            padding_modes=padding_modes,
        )
        self.num_channels, self.dims = tuple(num_channels), axes(convs, kernel_sizes)  # type: ignore[assignment]
        self.edges = edges(title, skips, len(convs))
        self._check_channels(title)
        self.keeping = all(keeps_size(layer) for layer in convs)
        last, pre = len(convs), activation_mode == "pre"

        def act() -> None:
            # Before a convolution, a residual may still need what the activation is given.
            self.add(activation_of(activation, pure=pre))

        def norm(channels: int) -> None:
            if normalization is not None:
                self.add(normalization(channels))

        self.mark("keep", 0)
        numbers = []
        for index, layer in enumerate(convs, start=1):
            if pre:
                norm(num_channels[index - 1])
                act()
            numbers.append(self.add(layer))
            if not pre and (index < last or normalize_last):
                norm(num_channels[index])
            self.mark("join", index)
            if not pre and (index < last or activate_last):
                act()
            self.mark("keep", index)
        if pre and normalize_last:
            norm(num_channels[-1])
        if pre and activate_last:
            act()
        # Steps that no residual needs are left out.
        starts, ends = ({edge[side] for edge in self.edges} for side in (0, 1))
        used = {"keep": starts, "join": ends}
        self.steps = [step for step in self.steps if step.number in used.get(step.what, (step.number,))]
        self.first_conv, self.classifier = (f"layers.{numbers[index]}" for index in (0, -1))
        self._complete(weights)

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        for start, end in self.edges:
            if end == number:
                have, want = (self.num_channels[index] for index in (start, end))
                x = x + fitted(x, kept[start], have=have, want=want, dims=self.dims, of=type(self).__name__)
        return x

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        sizes = [kept[start] for start, end in self.edges if end == number]
        return pixels if all(size >= pixels for size in sizes) else None

    def _check_channels(self, title: str) -> None:
        for start, end in self.edges:
            have, want = (self.num_channels[index] for index in (start, end))
            if have < want:
                raise ValueError(
                    f"{title}: the skip from {start} to {end} has {have} channels where {want} are needed; it must "
                    "have as many, or more, of which the middle is taken."
                )
