"""Samples that are rows of NumPy arrays: of `.npy` files, which stay on the disk, or of one `.npz`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import model_validator

from mcore.training.data.base import Sample, Source
from mcore.training.data.images import Files
from mcore.training.data.options import Pixels, check_targets, located
from mcore.training.errors import DataError
from mcore.vocabulary import nearest


class ArraysOptions(Pixels):
    """Arguments of the source "numpy"; what `Pixels` has, too.

    Attributes:
        path: a `.npz`; or the `.npy` of images.
        image: which array of a `.npz` the images are: (n, *size), or (n, c, *size).
        targets: targets by key, each n long: names of arrays of the `.npz`, or other `.npy` files. Left out, all other
            arrays of the `.npz`; of a `.npy`, none.
    """

    path: str | Path
    image: str = "image"
    targets: dict[str, str | Path] | None = None

    @model_validator(mode="after")
    def _readable(self) -> ArraysOptions:
        paths = [self.path, *(self.targets or {}).values()] if not _is_npz(self.path) else [self.path]
        check_targets(self.targets or ())
        wrong = [str(path) for path in paths if Path(path).suffix.lower() not in (".npy", ".npz")]
        if wrong:
            raise ValueError(f"{wrong[0]} is neither .npy nor .npz")
        return self


class Arrays(Source):
    """Rows of arrays in their order; see `ArraysOptions`.

    Raises:
        DataError: a file can't be read, an array is missing, or of another length, or of axes that aren't images'.
    """

    Options = ArraysOptions

    def __init__(self, options: ArraysOptions, *, base: Path = Path()) -> None:
        self.options, self.base = options, base
        self.path = located(options.path, base)
        self.files = Files(options)
        self._arrays: dict[str, np.ndarray] | None = None
        images = self.arrays["image"]
        if images.ndim - 1 not in (options.dims, options.dims + 1):
            raise DataError(
                f"{self.path}: images are {_times(images.shape)}; with dims={options.dims} (n, *size) or (n, c, *size) "
                f"fits, {options.dims + 1} or {options.dims + 2} axes."
            )
        self.length = len(images)
        for key, array in self.arrays.items():
            if array.ndim == 0 or len(array) != self.length:
                raise DataError(f"{self.path}: {key!r} is {_times(array.shape)}, and there are {self.length} images.")

    def __len__(self) -> int:
        return self.length

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """One row of each array; see `Source.read`."""
        image = np.asarray(self.arrays["image"][index])
        name = f"{self.path}[{index}]"
        image = image[None] if image.ndim == self.files.dims else image
        sample: Sample = {"image": self.files.image_of(image, name=name), "name": name}
        for key, array in self.arrays.items():
            if key != "image":
                sample[key] = self._target(array[index], size=image.shape[1:])
        return sample

    def _target(self, value: np.ndarray, *, size: tuple[int, ...]) -> np.ndarray:
        # A copy: of a mapped file's rows the tensors would go on reading the file.
        value = np.array(value)
        is_mask = value.ndim >= len(size) and value.shape[value.ndim - len(size) :] == size
        return self.files.mask_of(value) if is_mask else value

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by key, opened when first asked for; mapped where files are `.npy`."""
        if self._arrays is None:
            self._arrays = self._packed() if _is_npz(self.path) else self._mapped()
        return self._arrays

    def __getstate__(self) -> dict[str, Any]:
        # A mapped array would be copied whole into every worker that is started anew.
        return {**self.__dict__, "_arrays": None}

    def _mapped(self) -> dict[str, np.ndarray]:
        files = {key: located(path, self.base) for key, path in (self.options.targets or {}).items()}
        return {key: _opened(path, mmap_mode="r") for key, path in {"image": self.path, **files}.items()}

    def _packed(self) -> dict[str, np.ndarray]:
        with _opened(self.path) as packed:
            targets = self.options.targets
            if targets is None:
                targets = {name: name for name in packed.files if name not in ("image", self.options.image)}
            wanted = {**targets, "image": self.options.image}
            for name in map(str, wanted.values()):
                if name not in packed.files:
                    raise DataError(f"{self.path} has no array {name!r}{_meant(name, packed)}")
            return {key: packed[str(name)] for key, name in wanted.items()}


def _opened(path: Path, **options: Any) -> Any:
    try:
        return np.load(path, allow_pickle=False, **options)
    # numpy raises ValueError, EOFError, zipfile's and the system's errors by what is wrong.
    except Exception as error:
        raise DataError(f"{path} can't be read: {type(error).__name__}: {error}") from error


def _is_npz(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".npz"


def _meant(name: str, packed: Mapping[str, Any]) -> str:
    likely = nearest(name, packed, most=1)
    return f" (did you mean {likely[0]!r}?)" if likely else f"; it has {', '.join(packed)}."


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


__all__ = ["Arrays", "ArraysOptions"]
