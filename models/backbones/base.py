"""What backbones have in common: levels, frozen stages, the classifier that may be left out."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from mcore import Module, Tensor
from mcore.vocabulary import nearest
from models.component import Component
from models.utils.arguments import one_of
from models.utils.weights import load_weights

Row = TypeVar("Row")

Weights = str | os.PathLike[str] | Mapping[str, Any] | None


@dataclass(frozen=True)
class Level:
    """What a backbone can return: `index` counts from 0 at stride 2, so that the stride is `2 ** (index + 1)`."""

    index: int
    channels: int
    stride: int


class Backbone(Component):
    """A tuple of feature maps, finest first; with `num_classes`, the published classifier.

    A family calls `super().__init__` with its levels, builds its layers only as far as `last_level` says,
    and ends its constructor with `_complete`. It names its parts in `by_stage`, stem first.

    Args:
        variant: the name of the size, for messages.
        levels: what it can return, finest first; by default those at strides 4 to 32 are.
        num_classes: makes it the classifier, which returns scores; None, a backbone without one.
        out_indices: which levels to return; layers that none of them needs aren't built.
    """

    # State names of the first convolution (or of all that see the image) and of the classifier, to adapt weights
    # from files: "conv1", "fc".
    first_conv: str | tuple[str, ...] = ""
    classifier = ""
    # Whether every map has ceil(size / stride) pixels; a family that says no tells what its maps have.
    rounds_up = True

    def __init__(
        self,
        variant: str,
        levels: Iterable[Level],
        *,
        dims: int,
        num_classes: int | None,
        out_indices: Sequence[int] | None,
    ) -> None:
        super().__init__()
        received: Any = self._arguments  # kept by the metaclass
        for name in ("in_channels", "num_classes"):
            if received.get(name) is not None and received[name] < 1:
                raise ValueError(f"{variant}: {name}={received[name]} is not 1 or more.")
        there = {level.index: level for level in levels}
        chosen = tuple(i for i in there if i > 0) if out_indices is None else tuple(out_indices)
        if not chosen or sorted(set(chosen)) != list(chosen) or not set(chosen) <= set(there):
            known = ", ".join(f"{level.index} (stride {level.stride})" for level in there.values())
            raise ValueError(f"{variant}: out_indices={list(chosen)} aren't some of {known}, ascending.")
        self.variant, self.dims, self.num_classes = variant, dims, num_classes
        #: Every level that `out_indices` can name.
        self.levels = tuple(there.values())
        #: The levels that it returns; a classifier returns none.
        self.out_indices: tuple[int, ...] = chosen if num_classes is None else ()
        #: The coarsest level that has to be built.
        self.last_level = chosen[-1] if num_classes is None else max(there)
        #: (channels, stride) of each map that it returns.
        self.features = [(there[i].channels, there[i].stride) for i in self.out_indices]
        self.frozen_stages = -1

    def by_stage(self) -> list[list[Module]]:
        """What was built, by stage: the stem, then each stage. A stage ends where a level is reached."""
        raise NotImplementedError(f"{type(self).__name__} doesn't say what its stages are: by_stage is missing.")

    def chosen(self, maps: Sequence[Tensor], *, first: int = 0) -> tuple[Tensor, ...]:
        """The maps to return out of those of all levels from `first` on."""
        return tuple(maps[index - first] for index in self.out_indices)

    def train(self, mode: bool = True) -> "Backbone":
        """Training mode for all but frozen stages, whose norms keep their statistics."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def _complete(self, frozen_stages: int, weights: Weights) -> None:
        """Freezes stages up to `frozen_stages` (0 the stem, -1 none) and loads a file; constructors end with it."""
        last = len(self.by_stage()) - 1
        if not -1 <= frozen_stages <= last:
            raise ValueError(
                f"{self.variant}: frozen_stages={frozen_stages} is not -1 (none), 0 (the stem) or a stage up to {last}."
            )
        self.frozen_stages = frozen_stages
        for part in self._frozen():
            part.eval().requires_grad_(False)
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def _frozen(self) -> list[Module]:
        return [part for stage in self.by_stage()[: self.frozen_stages + 1] for part in stage]


def row_of(rows: Mapping[str, Row], variant: str, *, of: str) -> Row:
    """The row of a table of sizes; `of` is the class that asks, named in the error.

    Raises:
        ValueError: there is no such row.
    """
    if variant not in rows:
        near = nearest(variant, rows, least=0.0, most=1)[0]
        raise ValueError(f"{of}: variant {variant!r} is none of {', '.join(rows)}; the nearest is {near!r}.")
    return rows[variant]


def levels_of(channels: Sequence[int], *, first: int = 0, output_stride: int = 32) -> list[Level]:
    """Levels of these channels, each at twice the stride of the one before, at most `output_stride`.

    >>> levels_of((96, 192), first=1)
    [Level(index=1, channels=96, stride=4), Level(index=2, channels=192, stride=8)]
    """
    numbered = enumerate(channels, start=first)
    return [Level(index, count, min(2 ** (index + 1), output_stride)) for index, count in numbered]


class Step(NamedTuple):
    """How a stage strides: `first_dilation` is that of its first block, which sees what the stage before left."""

    stride: int
    first_dilation: int
    dilation: int


def steps_to(
    output_stride: int, strides: Sequence[int], *, reached: int, variant: str, even: bool = False
) -> list[Step]:
    """Strides of stages that keep at most `output_stride`: beyond it, dilation grows where the stride would.

    `reached` is the stride before the first of them. `even` dilates a stage's first block like its others.

    >>> [(step.stride, step.dilation) for step in steps_to(8, (1, 2, 2, 2), reached=4, variant="resnet50")]
    [(1, 1), (2, 1), (1, 2), (1, 4)]
    """
    one_of((8, 16, 32), of=variant, output_stride=output_stride)
    steps, dilation = [], 1
    for stride in strides:
        before = dilation
        if reached * stride > output_stride:
            dilation, stride = dilation * stride, 1
        reached *= stride
        steps.append(Step(stride, dilation if even else before, dilation))
    return steps
