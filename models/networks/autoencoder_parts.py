"""What AutoEncoder_CNNV3 is made of: blocks of one signature, the encoder and the decoder.

Source: the guide "AutoEncoder CNN V3", architecture design.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Literal

import mcore
from mcore import AdaptiveAvgPool2d, Conv2d, Flatten, Linear, Module, Sequential, Tensor, Unflatten
from models.attention.self_attention import MultiHeadSelfAttention
from models.attention.squeeze_excite import SE
from models.basicblocks.conv import ConvNormAct
from models.basicblocks.grouped import GroupedBottleneck
from models.basicblocks.inception import InceptionBlock
from models.basicblocks.norm import ChannelNorm
from models.basicblocks.residual import BasicBlock
from models.functional.sizes import resize
from models.utils.arguments import one_of, whole_numbers

Strategy = Literal["conv", "spatial"]
STRATEGIES = ("conv", "spatial")
# Pictures are grey.
CHANNELS = 1
# Pixels along each axis of what features are averaged to, and how many that are.
GRID = 4
CELLS = GRID * GRID
# Elements that a latent may have.
LEAST, MOST = 128, 8192


def ResNetBasicBlock(in_channels: int, out_channels: int, *, stride: int = 1) -> BasicBlock:
    """Two 3x3 convolutions beside a shortcut: ResNet's."""
    return BasicBlock(in_channels, out_channels, stride=stride)


def SEBlock(in_channels: int, out_channels: int, *, stride: int = 1) -> BasicBlock:
    """The same, whose channels are weighed by what all of them hold on average: SE-ResNet's."""
    return BasicBlock(in_channels, out_channels, stride=stride, attention=SE)


def ResNeXtBlock(in_channels: int, out_channels: int, *, stride: int = 1) -> GroupedBottleneck:
    """1x1, grouped 3x3 and 1x1 convolutions beside a shortcut: ResNeXt's, 32 groups, fewer where it is narrow.

    Inside, it has half of its channels, in groups of 4 or more.

    Source: Xie et al., "Aggregated Residual Transformations", arXiv:1611.05431, table 1.
    """
    group = max(4, out_channels // 2 // 32)
    width = -(-out_channels // (2 * group)) * group
    return GroupedBottleneck(in_channels, out_channels, width=width, group_width=group, stride=stride)


BLOCKS: dict[str, Callable[..., Module]] = {
    "resnet": ResNetBasicBlock,
    "resnext": ResNeXtBlock,
    "se": SEBlock,
    "inception": InceptionBlock,
}


class Encoder(Module):
    """Grey images to latents: a block for each stage, attention between all patches, a mean of 4x4 cells, the latent.

    Shapes:
        x: (n, 1, h, w)
        returns: (n, latent_size), or (n, actual_latent_size // 16, 4, 4) with `latent_strategy="spatial"`

    Args:
        latent_size: elements of the latent.
        block_config: each stage's block: "resnet", "resnext", "se", "inception".
        channel_config: each stage's channels.
        stride_config: each stage's stride.
        latent_strategy: "conv" flattens the cells for a linear layer, "spatial" keeps them for a 1x1 convolution.
        use_attention: whether the patches behind the last stage attend to each other.
    """

    def __init__(
        self,
        latent_size: int,
        *,
        block_config: Sequence[str],
        channel_config: Sequence[int],
        stride_config: Sequence[int],
        latent_strategy: Strategy = "conv",
        use_attention: bool = True,
    ) -> None:
        super().__init__()
        fed = (CHANNELS, *channel_config)
        rows = zip(block_config, fed[:-1], channel_config, stride_config, strict=True)
        self.stages = Sequential(*(BLOCKS[block](came, given, stride=stride) for block, came, given, stride in rows))
        last = fed[-1]
        self.attention = PatchAttention(last) if use_attention else None
        self.pool = AdaptiveAvgPool2d((GRID, GRID))
        self.latent = (
            Sequential(Flatten(), Linear(CELLS * last, latent_size))
            if latent_strategy == "conv"
            else Conv2d(last, cell_channels(latent_size), 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(x)
        return self.latent(self.pool(x if self.attention is None else self.attention(x)))

    def attention_matrix(self, x: Tensor) -> Tensor | None:
        """How much each patch attends to each, (n, patches, patches); None without attention."""
        return None if self.attention is None else self.attention.matrix(self.stages(x))


class Decoder(Module):
    """Latents to grey images: the encoder's stages backwards, each followed by linear interpolation.

    Shapes:
        latent: (n, latent_size); a spatial one also (n, actual_latent_size // 16, 4, 4)
        returns: (n, 1, *size)

    The 4x4 cells are raised to the size that the encoder's last stage has for such an image; a last convolution
    sees full resolution.

    Args:
        latent_size: elements of the latent.
        block_config: the encoder's.
        channel_config: the encoder's.
        stride_config: the encoder's.
        latent_strategy: the encoder's.
        input_size: height and width of an image, where `size` is left out.
    """

    def __init__(
        self,
        latent_size: int,
        *,
        block_config: Sequence[str],
        channel_config: Sequence[int],
        stride_config: Sequence[int],
        latent_strategy: Strategy = "conv",
        input_size: Sequence[int] = (201, 201),
    ) -> None:
        super().__init__()
        self.input_size = tuple(input_size)
        first, fed = channel_config[-1], (channel_config[0], *channel_config)
        if latent_strategy == "conv":
            self.shape: tuple[int, ...] = (latent_size,)
            self.spread: Module = Sequential(Linear(latent_size, CELLS * first), Unflatten(1, (first, GRID, GRID)))
        else:
            self.shape = (cell_channels(latent_size), GRID, GRID)
            self.spread = Conv2d(self.shape[0], first, 1)
        #: By how much each stage's maps are coarser than the image, coarsest first.
        self.strides = [math.prod(stride_config[:level]) for level in range(len(stride_config), 0, -1)]
        rows = reversed([*zip(block_config, fed[1:], fed[:-1], strict=True)])
        self.stages = Sequential(*(BLOCKS[block](came, given) for block, came, given in rows))
        self.smooth = ConvNormAct(fed[0], fed[0], 3)
        self.last = Conv2d(fed[0], CHANNELS, 3, padding=1)

    def forward(self, latent: Tensor, size: Sequence[int] | None = None) -> Tensor:
        whole = self.input_size if size is None else size
        x = self.spread(self._shaped(latent))
        for stride, stage in zip(self.strides, self.stages, strict=True):
            x = stage(resize(x, [-(-pixels // stride) for pixels in whole]))
        return self.last(self.smooth(resize(x, whole)))

    def _shaped(self, latent: Tensor) -> Tensor:
        """The latent as the first layer takes it; a spatial one may come flat."""
        came, elements = tuple(map(int, latent.shape[1:])), math.prod(self.shape)
        if came == self.shape:
            return latent
        if came == (elements,):
            return latent.unflatten(1, self.shape)
        either = f" or (n, {', '.join(map(str, self.shape))})" if len(self.shape) > 1 else ""
        raise ValueError(
            f"Decoder: a latent of (n, {', '.join(map(str, came))}) came; it takes (n, {elements}){either}."
        )


class PatchAttention(Module):
    """Each patch takes from all patches what it attends to: `x + attention(norm(x))`.

    Shapes:
        x: (n, channels, h, w), each pixel a patch of the image
        returns: the same

    Args:
        channels: of what comes and goes, in up to four heads.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.attention = MultiHeadSelfAttention(channels, math.gcd(channels, 4))
        self.scale = (channels // self.attention.heads) ** -0.5

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.norm(x))

    def matrix(self, x: Tensor) -> Tensor:
        """How much each patch attends to each, on average over heads: (n, h * w, h * w), whose rows add up to 1."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        split = self.attention.qkv(tokens).unflatten(2, (3, self.attention.heads, -1))
        query, key, _ = split.permute(2, 0, 3, 1, 4).unbind(0)
        return mcore.softmax(self.scale * query @ key.transpose(2, 3), dim=-1).mean(1)


@contextmanager
def inspecting(net: Module) -> Iterator[None]:
    """Eval mode; afterwards every module has the mode it had."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def cell_channels(latent_size: int) -> int:
    """Channels of the 4x4 cells whose number of elements is nearest to `latent_size`.

    >>> cell_channels(1000) * 16
    1008
    """
    return (latent_size + CELLS // 2) // CELLS


def check_stages(of: str, blocks: Sequence[str], channels: Sequence[int], strides: Sequence[int]) -> None:
    """Refuses stages that can't be built.

    Raises:
        ValueError: no stage at all, lists of different lengths, a block that there isn't, no positive number.
    """
    one_of_each = {"block_config": blocks, "channel_config": channels, "stride_config": strides}
    if not blocks or len({len(row) for row in one_of_each.values()}) > 1:
        told = ", ".join(f"{name}={[*row]}" for name, row in one_of_each.items())
        raise ValueError(f"{of}: {told}; each has one entry for every stage, and there is one stage or more.")
    for block in blocks:
        one_of((*BLOCKS,), of=of, block_config=block)
    whole_numbers(of=of, least=4, channel_config=channels)
    whole_numbers(of=of, least=1, stride_config=strides)


def check_latent(of: str, **sizes: int) -> None:
    """Refuses numbers of elements that no latent has.

    Raises:
        ValueError: no whole number, or not in 128 to 8192.
    """
    for name, size in sizes.items():
        if not isinstance(size, Integral) or isinstance(size, bool) or not LEAST <= size <= MOST:
            raise ValueError(f"{of}: {name}={size!r} is no whole number from {LEAST} to {MOST}.")


__all__ = ["BLOCKS", "Decoder", "Encoder", "InceptionBlock", "ResNeXtBlock", "ResNetBasicBlock", "SEBlock"]
