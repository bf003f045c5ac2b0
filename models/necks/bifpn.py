"""Bidirectional feature pyramid network.

Source: Tan et al., "EfficientDet: Scalable and Efficient Object Detection", arXiv:1911.09070, figure 2d and
section 3.3.
Names: attributes are those of Ross Wightman's efficientdet-pytorch, so what stands under `fpn.` in its weights
loads as it is.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

from mcore import Module, ModuleDict, Parameter, Sequential, Tensor, ones
from mcore import functional as F
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer
from models.functional.sizes import resize
from models.necks.base import Neck


class Node(NamedTuple):
    """One joining of maps: of which level, and which maps, the level's own first.

    Maps are numbered: first those of all levels that the cell is fed, then what each node gives.
    """

    level: int
    sources: tuple[int, ...]


class BiFPN(Neck):
    """Maps of all levels, joined from coarse to fine and back with learned weights, again and again.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: maps (n, channels, *size[i]), finest first; with `extra`, so many more, each half the size of
            the one before

    Args:
        channels: of every map returned.
        repeats: how many cells, each with both ways.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return, among all of them; layers that none of them needs aren't
            built.
        extra: coarser levels, pooled from the coarsest; EfficientDet makes 2 of maps at strides 8 to 32.
        norm: "batch" with EfficientDet's eps of 1e-3, "instance", "group", one with arguments, a constructor, or None.
        activation: before every 3x3 convolution.
        bias: of convolutions before a norm, as Google's weights have them.
        dims: 1, 2 or 3.

    Differs: pooling pads alike on both sides, as in the weights named efficientdet_*; those named
    tf_efficientdet_* pad behind.
    """

    def __init__(
        self,
        channels: int = 64,
        repeats: int = 3,
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        extra: int = 0,
        norm: Choice = "batch",
        activation: Choice = "silu",
        bias: bool = False,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        fed, levels = len(self.in_channels), len(self.in_channels) + extra
        if repeats < 1:
            raise ValueError(f"BiFPN: repeats={repeats} is not 1 or more.")
        if extra < 0 or levels < 2:
            raise ValueError(f"BiFPN: levels fed and extra are {fed} and {extra}; it joins 2 or more of them.")
        strides = (*self.in_strides, *(self.in_strides[-1] << more for more in range(1, extra + 1)))
        self._gives([(channels, stride) for stride in strides], out_indices)
        if norm == "batch":
            norm = partial(layers(dims, of="BiFPN").batch_norm, eps=1e-3, momentum=0.01)
        kit = _Kit(channels, strides, norm, activation, bias, dims)
        # Back from the maps wanted: which nodes of each cell they need, and which of its maps those take.
        wanted, needed = set(self.out_indices), list[dict[int, Node]]()
        for _ in range(repeats):
            nodes = _needed(levels, wanted)
            wanted = {source for node in nodes.values() for source in node.sources if source < levels}
            needed.insert(0, nodes)
        widths = (*self.in_channels, *(channels for _ in range(extra)))
        self.resample = ModuleDict(
            {str(i): Resample(kit, widths[i - 1], pooled=2) for i in range(fed, max(wanted, default=0) + 1)}
        )
        self.cell = Sequential(
            *(Cell(kit, nodes, widths if not number else (channels,) * levels) for number, nodes in enumerate(needed))
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        maps = dict(enumerate(self._fed(features)))
        for block in self.resample.values():
            maps[len(maps)] = block(maps[len(maps) - 1])
        return self._chosen(self.cell(maps))


class _Kit(NamedTuple):
    """What all layers of a BiFPN share."""

    channels: int
    strides: tuple[int, ...]
    norm: Choice
    activation: Choice
    bias: bool
    dims: int


class Cell(Module):
    """One way from coarse to fine, and one back: figure 2d.

    Shapes:
        maps: by level; those that no node needs may be missing
        returns: (n, channels, *size) by level, of those that were wanted
    """

    def __init__(self, kit: _Kit, nodes: Mapping[int, Node], in_channels: Sequence[int]) -> None:
        super().__init__()
        self.levels, self.nodes = len(kit.strides), dict(nodes)
        every = _nodes(self.levels)
        # Channels and level of each map by its number.
        widths = [*in_channels, *(kit.channels for _ in every)]
        places = [*range(self.levels), *(node.level for node in every)]
        self.fnode = ModuleDict()
        for number, node in self.nodes.items():
            steps = {
                source: Resample(kit, widths[source], pooled=_step(kit.strides, places[source], node.level))
                for source in node.sources
            }
            self.fnode[str(number)] = Join(kit, steps)

    def forward(self, maps: Mapping[int, Tensor]) -> dict[int, Tensor]:
        known, last = dict(maps), {}
        for number, node in self.nodes.items():
            x = self.fnode[str(number)]([known[source] for source in node.sources])
            known[self.levels + number] = last[node.level] = x
        return last


class Join(Module):
    """The weighted mean of maps at the first one's size, then activation, 3x3 and 1x1 convolution and norm."""

    def __init__(self, kit: _Kit, steps: Mapping[int, "Resample"]) -> None:
        super().__init__()
        self.combine = Combine(steps)
        self.after_combine = Sequential()
        self.after_combine.add_module("act", activation_layer(kit.activation, of="BiFPN"))
        self.after_combine.add_module("conv", _separable(kit))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.after_combine(self.combine(maps))


class Combine(Module):
    """Fast normalised fusion: weights are kept above zero by ReLU, and divided by their sum."""

    def __init__(self, steps: Mapping[int, "Resample"]) -> None:
        super().__init__()
        self.resample = ModuleDict({str(source): step for source, step in steps.items()})
        self.edge_weights = Parameter(ones(len(steps)))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        first, *others = zip(self.resample.values(), maps, strict=True)
        x = first[0](first[1])
        brought = [x, *(resize(block(y), x.shape[2:], mode="nearest") for block, y in others)]
        weights = F.relu(self.edge_weights)
        weights = weights / (weights.sum() + 1e-4)
        weighed = [y * weights[index] for index, y in enumerate(brought)]
        return sum(weighed[1:], start=weighed[0])


class Resample(Module):
    """A map with the pyramid's channels, pooled by `pooled`: maxima over one pixel more, as wide apart."""

    def __init__(self, kit: _Kit, in_channels: int, *, pooled: int = 1) -> None:
        super().__init__()
        self.conv = None
        if in_channels != kit.channels:
            self.conv = ConvNormAct(
                in_channels,
                kit.channels,
                1,
                bias=kit.bias or kit.norm is None,
                norm=kit.norm,
                activation=None,
                names=CONV_BN_ACT,
                dims=kit.dims,
            )
        pool: Any = layers(kit.dims, of="BiFPN").max_pool
        self.downsample = pool(pooled + 1, stride=pooled, padding=pooled // 2) if pooled > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.conv is None else self.conv(x)
        return x if self.downsample is None else self.downsample(x)


def _separable(kit: _Kit) -> Sequential:
    conv, make_norm = layers(kit.dims, of="BiFPN").conv, norm_layer(kit.norm, kit.dims, of="BiFPN")
    block, count = Sequential(), kit.channels
    block.add_module("conv_dw", conv(count, count, 3, padding=1, groups=count, bias=False))
    block.add_module("conv_pw", conv(count, count, 1, bias=kit.bias or make_norm is None))
    if make_norm is not None:
        block.add_module("bn", make_norm(count))
    return block


def _step(strides: Sequence[int], source: int, level: int) -> int:
    """How many pixels of a map at level `source` make one of `level`; 1 where it is coarser."""
    return max(1, strides[level] // strides[source])


def _nodes(levels: int) -> list[Node]:
    """All nodes of a cell, in the order in which they run.

    >>> _nodes(3)
    [Node(level=1, sources=(1, 2)), Node(level=0, sources=(0, 3)), Node(level=1, sources=(1, 3, 4)), \
Node(level=2, sources=(2, 5))]
    """
    made = {level: [level] for level in range(levels)}
    nodes: list[Node] = []

    def add(level: int, sources: Sequence[int]) -> None:
        made[level].append(levels + len(nodes))
        nodes.append(Node(level, tuple(sources)))

    for level in range(levels - 2, -1, -1):
        add(level, [made[level][-1], made[level + 1][-1]])
    for level in range(1, levels):
        add(level, [*made[level], made[level - 1][-1]])
    return nodes


def _needed(levels: int, wanted: set[int]) -> dict[int, Node]:
    """The nodes that a cell needs to give the levels wanted, by number.

    >>> list(_needed(3, {0}))
    [0, 1]
    """
    nodes = _nodes(levels)
    last = {node.level: levels + number for number, node in enumerate(nodes)}
    waiting, needed = [last[level] for level in wanted], set()
    while waiting:
        number = waiting.pop() - levels
        if number >= 0 and number not in needed:
            needed.add(number)
            waiting += nodes[number].sources
    return {number: nodes[number] for number in sorted(needed)}
