"""Images and masks from files: PNG, JPEG and what else Pillow reads, TIFF by tifffile, and NumPy's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from mcore.checkpoint.extras import needed
from mcore.training.data.options import Pixels
from mcore.training.errors import DataError

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", *TIFF, ".npy")
# ITU-R BT.601, as Pillow makes gray of colours.
GRAY = np.array([0.299, 0.587, 0.114], np.float32)


def is_image(path: Path, folder: Path) -> bool:
    """Whether a file below a folder is called as images are.

    Hidden ones are none: macOS leaves `._photo.png` beside files, notebooks `.ipynb_checkpoints/photo.png`.
    """
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def images_below(folder: Path) -> list[Path]:
    """Image files in a folder and those below it, by name."""
    return sorted(path for path in folder.rglob("*") if is_image(path, folder) and path.is_file())


class Files:
    """Reads images and masks as a source's arguments say.

    Raises:
        DataError: `size` has another number of axes than images have.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.dims, self.color, self.sizes, self.scaling = pixels.dims, pixels.color, pixels.sizes, pixels.scaling
        if self.sizes is not None and len(self.sizes) != self.dims:
            raise DataError(f"size has {len(self.sizes)} numbers, and images have {self.dims} axes (dims).")

    def image(self, path: Path) -> np.ndarray:
        """The image of a file: float32 (c, *size).

        Raises:
            DataError: it can't be read, or has other axes; the message has its name.
        """
        return self.image_of(self._channels_first(read_array(path, dims=self.dims), name=str(path)), name=str(path))

    def image_of(self, array: np.ndarray, *, name: str) -> np.ndarray:
        """The same of what a file holds, as (c, *size)."""
        floats = self.scaling(array, name=name, before=self._coloured)
        return floats if self.sizes is None else resized(floats, self.sizes)

    def target(self, path: Path, *, image: Path, size: tuple[int, ...]) -> np.ndarray:
        """A mask (*size) of whole numbers, or numbers with a point (*size) or (c, *size), that belong to an image.

        `size` is the image's, as it is read.

        Raises:
            DataError: it can't be read, is colours, or of another size than its image.
        """
        array = self._channels_first(read_array(path, dims=self.dims, palette=False), name=str(path))
        if len(array) == 1:
            array = array[0]
        elif array.dtype.kind != "f" and path.suffix.lower() != ".npy":
            raise DataError(
                f"{path} has {len(array)} channels; a mask has one whole number a pixel: gray, or a palette."
            )
        array = self.mask_of(array)
        if array.shape[-self.dims :] != size:
            raise DataError(f"{path} is {_times(array)}, and its image {image} is {_times(size)}; they need one size.")
        return array

    def mask_of(self, array: np.ndarray) -> np.ndarray:
        """What a file holds of a mask (..., *size), of the size that images get."""
        return array if self.sizes is None else nearest(array, self.sizes)

    def _channels_first(self, array: np.ndarray, *, name: str) -> np.ndarray:
        if array.ndim == self.dims:
            return array[None]
        if array.ndim == self.dims + 1:
            return array
        raise DataError(f"{name} is {_times(array)}; with dims={self.dims} {self.dims} axes fit, and one of channels.")

    def _coloured(self, image: np.ndarray) -> np.ndarray:
        """Channels as `color` says, of 1 (gray), 2 (with alpha), 3 (colours) or 4."""
        if self.color == "gray" and len(image) > 2:
            return np.tensordot(GRAY, image[:3], 1)[None]
        if self.color == "rgb" and len(image) > 2:
            return image[:3]
        return image if self.color is None else np.repeat(image[:1], 3 if self.color == "rgb" else 1, axis=0)


def read_array(path: Path, *, dims: int, palette: bool = True) -> np.ndarray:
    """What an image file holds, as it is: (*size), or (c, *size) where it has channels.

    Colours of a palette are looked up if `palette`; else its numbers are read, which masks mean.

    Raises:
        DataError: it can't be read; the message has its name.
    """
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        return _read_tiff(path, dims) if path.suffix.lower() in TIFF else _read_picture(path, palette)
    except ImportError:
        raise
    # A damaged file makes the readers raise whatever they stumble over: struct.error, SyntaxError, ...
    except Exception as error:
        raise DataError(f"{path} can't be read as an image: {type(error).__name__}: {error}") from error


def _read_picture(path: Path, palette: bool) -> np.ndarray:
    pillow = needed("PIL.Image", "train", what="reading images")
    with pillow.open(path) as picture:
        if picture.mode == "P" and palette:
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        array = np.asarray(picture)
    return array if array.ndim == 2 else np.moveaxis(array, -1, 0)


def _read_tiff(path: Path, dims: int) -> np.ndarray:
    tifffile = needed("tifffile", "train", what="reading TIFF files")
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        array, axes = series.asarray(), series.axes
    # S: samples of a pixel, C: channels. Pages without a meaning are slices, or channels if slices are one too many.
    channel = next((axes.index(letter) for letter in "SC" if letter in axes), 0)
    return np.moveaxis(array, channel, 0) if array.ndim == dims + 1 else array


def resized(image: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """A float image (c, *size), linearly; where it shrinks, smoothed first (in two dimensions)."""
    if image.shape[1:] == sizes:
        return image
    options: dict[str, Any] = {"mode": "trilinear"} if len(sizes) == 3 else {"mode": "bilinear", "antialias": True}
    return F.interpolate(torch.from_numpy(image)[None], sizes, **options)[0].numpy()


def nearest(mask: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """A mask (..., *size) of any type, each pixel from the one in whose area its middle lies.

    >>> nearest(np.arange(6), (3,))
    array([1, 3, 5])
    """
    for axis, size in zip(range(-len(sizes), 0), sizes, strict=True):
        middles = (2 * np.arange(size) + 1) * mask.shape[axis] // (2 * size)
        mask = mask.take(middles, axis)
    return mask


def _times(size: np.ndarray | Iterable[int]) -> str:
    return "x".join(map(str, size.shape if isinstance(size, np.ndarray) else size)) or "one number"


__all__ = ["SUFFIXES", "Files", "images_below", "is_image", "nearest", "read_array", "resized"]
