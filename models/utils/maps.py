"""Necks and heads by themselves, in a form that can be exported: an artifact's inputs are tensors."""

from typing import Any

from mcore import Module, Tensor


class OfMaps(Module):
    """A neck or head with one argument for each map.

    Shapes:
        maps: (n, channels, *size) each, finest first
        returns: what the part gives

    Args:
        part: takes a tuple of maps.
        stride: of the finest map; brings a dense head's result to the size of the image that the maps are of. Where
            left out, it has the size that the part gives by itself.

    Raises:
        TypeError: `stride` is given, and the part takes no size of an image.
    """

    def __init__(self, part: Module, stride: int | None = None) -> None:
        if stride is not None and not getattr(part, "dense", False):
            raise TypeError(f"OfMaps: {type(part).__name__} takes no size of an image; leave stride={stride} out.")
        super().__init__()
        self.part, self.stride = part, stride

    def forward(self, *maps: Tensor) -> Any:
        if self.stride is None:
            return self.part(maps)
        return self.part(maps, size=[self.stride * pixels for pixels in maps[0].shape[2:]])


__all__ = ["OfMaps"]
