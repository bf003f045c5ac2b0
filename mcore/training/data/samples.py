"""Samples as tensors: of a source of ours or of a torch dataset, random by (seed, epoch, index) alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from mcore.training.data.base import Sample, Source
from mcore.training.data.randomness import drawn_seed, generator_of, seeded_globals, seeds_of
from mcore.training.data.sampling import Key
from mcore.training.data.scaling import as_float
from mcore.training.errors import DataError

Augmentation = Callable[[Sample, int], Sample]


class Samples(Dataset[Sample]):
    """What a DataLoader reads: `samples[epoch, index]` is a sample of tensors, augmented.

    A torch dataset is read with torch's, NumPy's and Python's global generators seeded for the time of the call, so
    what it draws is the same in any worker. Its items: a mapping with "image"; `(image, target)`, which becomes
    {"image", "target"}; or an image alone.

    Attributes:
        classes: names of the classes, where the data has them; a list of text.

    Raises:
        DataError: what is given has no length, or no samples.
    """

    def __init__(self, data: Source | Dataset[Any], *, seed: int, augment: Augmentation | None = None) -> None:
        _check_readable(data)
        self.data, self.seed, self.augment = data, seed, augment
        self.classes: list[str] | None = getattr(data, "classes", None)

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]

    def __getitem__(self, key: Key) -> Sample:
        """
        Raises:
            DataError: it can't be read or augmented; the message has its name.
        """
        epoch, index = key
        name = f"sample {index}"
        try:
            if isinstance(self.data, Source):
                random = generator_of(self.seed, epoch, index)
                sample = self.data.read(index, random)
                seed = 0 if self.augment is None else drawn_seed(random)
            else:
                first, seed = seeds_of(self.seed, epoch, index)
                with seeded_globals(first):
                    sample = _sample_of(self.data[index])
            name = sample.setdefault("name", name)
            sample = tensors(sample)
            return sample if self.augment is None else self.augment(sample, seed)
        except DataError:
            raise
        # Whatever a stranger's dataset raises: without the sample's name nobody finds it among a million.
        except Exception as error:
            of = type(self.data).__name__
            raise DataError(f"{name} of {of} can't be read: {type(error).__name__}: {error}") from error


def tensors(sample: Mapping[str, Any]) -> Sample:
    """A sample's arrays and numbers as tensors: the image float32; targets int64, or float32 where they have a point.

    Raises:
        DataError: it has no image, or something that isn't numbers; the message has its name.
    """
    name = sample["name"]
    if "image" not in sample:
        raise DataError(f"{name} has no 'image', only {', '.join(map(repr, sample))}.")
    return {key: value if key == "name" else _tensor(value, key=key, name=name) for key, value in sample.items()}


def finite(batch: Mapping[str, Any]) -> list[str]:
    """Names of the samples of a batch that hold a NaN or an infinity, in the image or a target."""
    names = batch["name"]
    bad = torch.zeros(len(names), dtype=torch.bool)
    for value in batch.values():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            bad |= ~torch.isfinite(value).reshape(len(names), -1).all(1).cpu()
    return [name for name, is_bad in zip(names, bad.tolist(), strict=True) if is_bad]


def _tensor(value: Any, *, key: str, name: str) -> torch.Tensor:
    if isinstance(value, np.ndarray):
        value = _from_numpy(value, key=key, name=name)
    elif not isinstance(value, torch.Tensor):
        if not isinstance(value, int | float | list | tuple | np.generic):
            raise DataError(f"{name}: {key!r} is {type(value).__name__}; a tensor, an array or a number fits.")
        value = torch.tensor(value)
    if value.is_floating_point():
        return value if value.dtype == torch.float32 else value.float()
    if key == "image":
        return torch.from_numpy(as_float(value.numpy(), scale=None, name=name))
    return value if value.dtype == torch.int64 else value.long()


def _from_numpy(array: np.ndarray, *, key: str, name: str) -> torch.Tensor:
    if array.dtype.kind not in "buif":
        raise DataError(f"{name}: {key!r} holds values of type {array.dtype}; numbers fit.")
    # Of unsigned numbers torch knows bytes well and wider ones hardly; negative strides and read-only memory not.
    if array.dtype.kind == "u" and array.dtype != np.uint8:
        array = as_float(array, scale=None, name=name) if key == "image" else array.astype(np.int64)
    return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


def _sample_of(item: Any) -> Sample:
    """An item of a torch dataset as a sample."""
    if isinstance(item, Mapping):
        return dict(item)
    if isinstance(item, torch.Tensor | np.ndarray):
        return {"image": item}
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        return dict(zip(("image", "target"), item, strict=False))
    count = f" of {len(item)}" if isinstance(item, tuple | list) else ""
    raise TypeError(
        f"an item is {type(item).__name__}{count}; a mapping with 'image', (image, target), or an image alone fits."
    )


def _check_readable(data: Any) -> None:
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise DataError(f"{type(data).__name__} has no length; data that is read by number fits: a torch Dataset.")
    if not len(data):
        raise DataError(f"{type(data).__name__} is empty: it has no samples.")


__all__ = ["Augmentation", "Samples", "finite", "tensors"]
