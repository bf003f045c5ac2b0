"""Arguments that the sources have in common: what shall become of the pixels of a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mcore.training.data.scaling import Scaling
from mcore.training.settings import Positive, Section

Finite = Annotated[float, Field(allow_inf_nan=False)]
# Of a configuration lists, of Python code tuples, too.
Row = list[Finite] | tuple[Finite, ...]
Sizes = list[Positive] | tuple[Positive, ...]


class Values(Section):
    """How values become float32: `(image * scale - mean) / std`.

    Attributes:
        scale: what values are multiplied by. Left out, whole numbers are divided by the largest of their type (uint8
            by 255, uint16 by 65535) and then lie within 0 and 1; numbers with a point stay as they are.
        mean: of scaled values; one number, or one for each channel.
        std: the same.
    """

    scale: Finite | None = None
    mean: Finite | Row | None = None
    std: Finite | Row | None = None

    @property
    def scaling(self) -> Scaling:
        """What does it."""
        return Scaling(self.scale, mean=self.mean, std=self.std)


class Pixels(Values):
    """How the pixels of a file become an image; what `Values` has, too.

    Attributes:
        dims: axes of an image without channels: 2, or 3 for volumes.
        color: "gray" or "rgb": images that have the other become so, and lose their alpha; left out, they stay.
        size: what all are resized to, in pixels: one number, or one for each axis (height, width); images linearly,
            smoothed where they shrink (volumes aren't smoothed), masks by their nearest pixel.
    """

    dims: Literal[2, 3] = 2
    color: Literal["gray", "rgb"] | None = None
    size: Positive | Sizes | None = None

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """The size of each axis."""
        if self.size is None or isinstance(self.size, list | tuple):
            return self.size if self.size is None else tuple(self.size)
        return (self.size,) * self.dims


def check_targets(keys: Iterable[str]) -> None:
    """Raises ValueError where a target would take the place of what every sample has."""
    taken = [key for key in keys if key in ("image", "name")]
    if taken:
        raise ValueError(f"no target can be called {taken[0]!r}, as every sample's own is")


def located(path: str | Path, base: Path) -> Path:
    """A path of a configuration; one that is relative is so to the folder of the configuration."""
    return base / Path(path).expanduser()


__all__ = ["Pixels", "Values", "check_targets", "located"]
