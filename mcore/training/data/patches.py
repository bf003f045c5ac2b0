"""Patches of zarr volumes, of which only what they need is read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from mcore.checkpoint.extras import needed
from mcore.training.data.base import Sample, Source
from mcore.training.data.options import Sizes, Values, located
from mcore.training.errors import DataError
from mcore.training.settings import Positive
from mcore.vocabulary import nearest


class PatchesOptions(Values):
    """Arguments of the source "zarr"; what `Values` has, too.

    Attributes:
        path: a zarr group (or several, all of the same arrays); left out where `image` and `mask` are paths.
        image: the array of the image within the group, or its path: (*size), or with one axis of channels.
        mask: the same of the mask, (*size); left out, samples are images alone.
        patch: the size of a sample, in voxels: [depth, height, width], or [height, width] of an image.
        samples: how many patches an epoch has; each lies anywhere, drawn anew in each epoch.
        grid: instead, all patches of a regular grid, in order, as validation wants. The last of an axis lies at its
            end, and so overlaps the one before where the patch doesn't divide the volume.
        stride: of the grid; left out, the patch.
        channels: which axis of the image has its channels; left out, the first where it has one axis more than patch.
    """

    path: str | Path | list[str | Path] | None = None
    image: str | Path
    mask: str | Path | None = None
    patch: Sizes
    samples: Positive | None = None
    grid: bool = False
    stride: Sizes | None = None
    channels: int | None = None

    @model_validator(mode="after")
    def _fitting(self) -> PatchesOptions:
        if (self.samples is None) != self.grid:
            raise ValueError("give one of samples (random patches, to train) and grid: true (all, to validate)")
        if self.stride is not None and (not self.grid or len(self.stride) != len(self.patch)):
            raise ValueError("stride is of a grid, one number for each of patch")
        return self


class Volume:
    """An image and its mask in zarr, opened in whichever process reads them.

    Raises:
        DataError: one isn't there, is no array, or their sizes differ.
    """

    def __init__(self, image: str, mask: str | None, *, axes: int, channels: int | None) -> None:
        self.places = {"image": image} if mask is None else {"image": image, "mask": mask}
        self._opened: tuple[int, dict[str, Any]] | None = None
        shape = self.arrays["image"].shape
        self.channels = _channel_axis(shape, axes=axes, channels=channels, name=image)
        self.size = tuple(length for axis, length in enumerate(shape) if axis != self.channels)
        if mask is not None and self.arrays["mask"].shape != self.size:
            raise DataError(
                f"{mask} is {_times(self.arrays['mask'].shape)}, and its image {image} {_times(self.size)}."
            )

    @property
    def arrays(self) -> dict[str, Any]:
        """zarr's arrays; opened anew after a fork, which connections to a store over a network don't outlive."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), {key: _array(place) for key, place in self.places.items()}
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def read(self, corner: Sequence[int], patch: Sequence[int]) -> dict[str, np.ndarray]:
        """A patch: the image (c, *patch) as it is in the file, and the mask (*patch)."""
        where = tuple(slice(start, start + length) for start, length in zip(corner, patch, strict=True))
        found: dict[str, np.ndarray] = {}
        for key, array in self.arrays.items():
            if key == "mask":
                found[key] = np.asarray(array[where])
            elif self.channels is None:
                found[key] = np.asarray(array[where])[None]
            else:
                whole = (*where[: self.channels], slice(None), *where[self.channels :])
                found[key] = np.moveaxis(np.asarray(array[whole]), self.channels, 0)
        return found


class Patches(Source):
    """Patches of volumes, random or of a grid; see `PatchesOptions`.

    Of several volumes, larger ones give more random patches: each voxel that a patch may begin at is as likely.

    Raises:
        DataError: what `Volume` raises; a volume is smaller than a patch.
    """

    Options = PatchesOptions

    def __init__(self, options: PatchesOptions, *, base: Path = Path()) -> None:
        self.patch, self.samples, self.scaling = tuple(options.patch), options.samples, options.scaling
        self.volumes = [
            Volume(image, mask, axes=len(self.patch), channels=options.channels)
            for image, mask in _places(options, base)
        ]
        for volume in self.volumes:
            if any(length < patch for length, patch in zip(volume.size, self.patch, strict=True)):
                raise DataError(
                    f"{volume.places['image']} is {_times(volume.size)}, smaller than a patch of {_times(self.patch)}."
                )
        # How many places a patch may begin at, up to and with each volume.
        self.ends = np.cumsum([np.prod(self._room(volume), dtype=np.int64) for volume in self.volumes])
        self.corners = self._grids(tuple(options.stride or self.patch)) if options.grid else []

    def __len__(self) -> int:
        return self.samples or len(self.corners)

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """A patch; see `Source.read`."""
        volume, corner = self._drawn(random) if self.samples else self.corners[index]
        name = f"{volume.places['image']} at {','.join(map(str, corner))}"
        try:
            found: Sample = dict(volume.read(corner, self.patch))
        # zarr's codecs raise what they like of a damaged chunk.
        except Exception as error:
            raise DataError(f"{name} can't be read: {type(error).__name__}: {error}") from error
        return {**found, "image": self.scaling(found["image"], name=name), "name": name}

    def _drawn(self, random: np.random.Generator) -> tuple[Volume, tuple[int, ...]]:
        volume = self.volumes[int(np.searchsorted(self.ends, random.integers(self.ends[-1]), side="right"))]
        return volume, tuple(random.integers(self._room(volume)).tolist())

    def _grids(self, stride: tuple[int, ...]) -> list[tuple[Volume, tuple[int, ...]]]:
        return [(volume, corner) for volume in self.volumes for corner in _grid(volume.size, self.patch, stride)]

    def _room(self, volume: Volume) -> list[int]:
        return [length - patch + 1 for length, patch in zip(volume.size, self.patch, strict=True)]


def _grid(size: tuple[int, ...], patch: tuple[int, ...], stride: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Corners of patches that together cover all.

    >>> _grid((5,), (2,), (2,))
    [(0,), (2,), (3,)]
    """
    starts = [
        [*range(0, length - width, step), length - width]
        for length, width, step in zip(size, patch, stride, strict=True)
    ]
    return list(itertools.product(*starts))


def _places(options: PatchesOptions, base: Path) -> list[tuple[str, str | None]]:
    """Of each volume where its image and its mask are: relative to the group, or else to `base`."""
    given = options.path if isinstance(options.path, list) else [options.path]
    groups = ["" if path is None else _place(path, base) for path in given]

    def place(name: str | Path, group: str) -> str:
        return f"{group.rstrip('/')}/{name}" if group else _place(name, base)

    return [
        (place(options.image, group), None if options.mask is None else place(options.mask, group)) for group in groups
    ]


def _place(path: str | Path, base: Path) -> str:
    # An address of a store ("s3://...") is no path, and relative to nothing.
    return str(path) if "://" in str(path) else str(located(path, base))


def _array(place: str) -> Any:
    zarr = needed("zarr", "train", what="reading zarr volumes")
    try:
        found = zarr.open(place, mode="r")
    # zarr raises its own errors and those of the store.
    except Exception as error:
        raise DataError(f"{place} can't be opened by zarr: {type(error).__name__}: {error}{_beside(place)}") from error
    if not isinstance(found, zarr.Array):
        names = sorted(name for name, _ in found.arrays())
        raise DataError(f"{place} is a zarr group, of the arrays {', '.join(names) or '(none)'}; name one of them.")
    return found


def _beside(place: str) -> str:
    """What else there is where something is missing."""
    path = Path(place)
    if path.exists() or not path.parent.is_dir():
        return ""
    names = [item.name for item in path.parent.iterdir() if item.is_dir()]
    likely = nearest(path.name, names, most=1)
    return f" (did you mean {likely[0]!r}?)" if likely else ""


def _channel_axis(shape: tuple[int, ...], *, axes: int, channels: int | None, name: str) -> int | None:
    if channels is None and len(shape) in (axes, axes + 1):
        return 0 if len(shape) == axes + 1 else None
    if channels is not None and len(shape) == axes + 1 and -len(shape) <= channels < len(shape):
        return channels % len(shape)
    told = "" if channels is None else f" and channels={channels}"
    raise DataError(
        f"{name} is {_times(shape)}; a patch of {axes} numbers{told} needs {axes} axes, and one of channels."
    )


def _times(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


__all__ = ["Patches", "PatchesOptions", "Volume"]
