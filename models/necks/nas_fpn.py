"""The pyramid that a search found.

Source: Ghiasi et al., "NAS-FPN: Learning Scalable Feature Pyramid Architecture for Object Detection",
arXiv:1904.07392, figure 6f and section 3.1.
Names: attributes are those of mmdetection's NASFPN, so its weights load as they are.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from mcore import Module, ModuleDict, ModuleList, Sequential, Tensor
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import Choice, layers
from models.functional.sizes import resize
from models.necks.base import Neck, convolution

# The cell takes and gives five maps.
LEVELS = 5


class Merge(NamedTuple):
    """A merging cell: its name, what it joins and where the result stands, each a name and a level."""

    name: str
    first: tuple[str, int]
    second: tuple[str, int]
    result: tuple[str, int]
    conv: bool = True


# In the order in which they run; names begin with the operation and hold numbers of levels, the finest 3.
P3, P4, P5, P6, P7 = [(f"p{level + 3}", level) for level in range(LEVELS)]
MERGES = (
    Merge("gp_64_4", P6, P4, ("p4_1", 1)),
    Merge("sum_44_4", ("p4_1", 1), P4, ("p4_2", 1)),
    Merge("sum_43_3", ("p4_2", 1), P3, P3),
    Merge("sum_34_4", P3, ("p4_2", 1), P4),
    Merge("gp_43_5", P4, P3, ("p5_1", 2), conv=False),
    Merge("sum_55_5", P5, ("p5_1", 2), P5),
    Merge("gp_54_7", P5, ("p4_2", 1), ("p7_1", 4), conv=False),
    Merge("sum_77_7", P7, ("p7_1", 4), P7),
    Merge("gp_75_6", P7, P5, P6),
)


class NASFPN(Neck):
    """Five maps, joined in pairs in the order that a search found best, again and again.

    Shapes:
        features: up to five maps (n, in_channels[i], *size[i]), finest first
        returns: five maps (n, channels, *size[i]), finest first; those that weren't fed are each half the size
            of the one before

    Args:
        channels: of every map returned.
        repeats: how many times the cell, 7 in the paper.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return, of the five; layers that none of them needs aren't built.
        norm: "batch", "instance", "group", one with arguments, a constructor, or None.
        dims: 1, 2 or 3.

    Differs: where a size isn't a multiple, maxima over windows cut off at the end, where mmdetection pads both
    ends with zeros.
    """

    def __init__(
        self,
        channels: int = 256,
        repeats: int = 7,
        *,
        in_channels: Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        norm: Choice = "batch",
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        fed = len(self.in_channels)
        if fed > LEVELS:
            raise ValueError(f"NASFPN: {fed} maps are fed, but its cell joins {LEVELS}; leave out the finest.")
        if repeats < 1:
            raise ValueError(f"NASFPN: repeats={repeats} is not 1 or more.")
        strides = (*self.in_strides, *(self.in_strides[-1] << more for more in range(1, LEVELS - fed + 1)))
        self._gives([(channels, stride) for stride in strides], out_indices)
        # Back from the maps wanted: which merges of each stage they need, and which maps those take.
        live, stages = {f"p{level + 3}" for level in self.out_indices}, list[list[Merge]]()
        for _ in range(repeats):
            merges, live = _needed(live)
            stages.insert(0, merges)
        same: dict[str, Any] = {"norm": norm, "names": CONV_BN_ACT, "dims": dims}
        last = max(level for level in range(LEVELS) if f"p{level + 3}" in live)
        self.lateral_convs = ModuleDict(
            {
                str(level): convolution(count, channels, 1, **same)
                for level, count in enumerate(self.in_channels)
                # Levels beyond those fed are made of the coarsest.
                if f"p{level + 3}" in live or level == fed - 1 <= last
            }
        )
        pool = layers(dims, of="NASFPN").max_pool
        self.extra_downsamples = ModuleList(
            Sequential(convolution(channels, channels, 1, **same), pool(2, ceil_mode=True))
            for _ in range(fed, last + 1)
        )
        self.fpn_stages = ModuleList(
            ModuleDict({merge.name: MergingCell(merge, channels, strides, norm=norm, dims=dims) for merge in merges})
            for merges in stages
        )
        self.merges = stages

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        fed = self._fed(features)
        maps = {int(level): conv(fed[int(level)]) for level, conv in self.lateral_convs.items()}
        for number, downsample in enumerate(self.extra_downsamples, start=len(fed)):
            maps[number] = downsample(maps[number - 1])
        sizes = {level: x.shape[2:] for level, x in maps.items()}
        named = {f"p{level + 3}": x for level, x in maps.items()}
        stage: Any
        for stage, merges in zip(self.fpn_stages, self.merges, strict=True):
            for cell, merge in zip(stage.values(), merges, strict=True):
                (first, _), (second, _), (result, level) = merge.first, merge.second, merge.result
                named[result] = cell(named[first], named[second], sizes[level])
        return self._chosen({level: named[f"p{level + 3}"] for level in self.out_indices})


class MergingCell(Module):
    """Two maps, brought to one size, and summed, or the first weighed by the means of the second: figure 3.

    Shapes:
        first: (n, channels, *size of its level)
        second: (n, channels, *size of its level)
        size: pixels by axis of the level of the result
        returns: (n, channels, *size)
    """

    def __init__(self, merge: Merge, channels: int, strides: Sequence[int], *, norm: Choice, dims: int) -> None:
        super().__init__()
        self.weighs, pool = merge.name.startswith("gp"), layers(dims, of="NASFPN").max_pool
        goal = strides[merge.result[1]]
        # What a map is pooled by, to come down to the result's level.
        by = [goal // strides[level] for _, level in (merge.first, merge.second)]
        self.first, self.second = (pool(ratio, ceil_mode=True) if ratio > 1 else None for ratio in by)
        self.same = [strides[level] == goal for _, level in (merge.first, merge.second)]
        self.out_conv: Any = None
        if merge.conv:
            self.out_conv = ConvNormAct(
                channels, channels, bias=True, norm=norm, activation=None, names=CONV_BN_ACT, dims=dims
            )

    def forward(self, first: Tensor, second: Tensor, size: Sequence[int]) -> Tensor:
        pools = (self.first, self.second)
        first, second = (
            x if same else resize(x if pool is None else pool(x), size, mode="nearest")
            for x, pool, same in zip((first, second), pools, self.same, strict=True)
        )
        if self.weighs:
            first = first * second.mean(tuple(range(2, second.ndim)), keepdim=True).sigmoid()
        joined = first + second
        return joined if self.out_conv is None else self.out_conv(joined.relu())


def _needed(wanted: set[str]) -> tuple[list[Merge], set[str]]:
    """The merges of a stage that the maps wanted need, and the maps that those take from before it.

    >>> [merge.name for merge in _needed({"p3"})[0]]
    ['gp_64_4', 'sum_44_4', 'sum_43_3']
    """
    needed, live = list[Merge](), set(wanted)
    for merge in reversed(MERGES):
        if merge.result[0] in live:
            needed.insert(0, merge)
            live = (live - {merge.result[0]}) | {merge.first[0], merge.second[0]}
    return needed, live
