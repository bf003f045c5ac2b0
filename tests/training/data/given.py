"""Data to read in tests: counted samples, files of images, and sources that misbehave; workers import it from here."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from mcore.training.data.base import Source
from mcore.training.data.opening import open_source
from mcore.training.settings import Typed


class Counted(Source):
    """Samples whose image is their number, with something drawn; reading `bad` fails, of `big` the image is larger."""

    def __init__(self, count: int = 20, *, bad: int | None = None, big: int | None = None) -> None:
        self.count, self.bad, self.big = count, bad, big

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: np.random.Generator) -> dict[str, Any]:
        if index == self.bad:
            raise OSError("disk on fire")
        size = (1, 3, 3) if index == self.big else (1, 2, 2)
        return {
            "image": np.full(size, index, np.float32),
            "label": index % 3,
            "drawn": random.random(),
            "name": f"number-{index}",
        }


class Drawing(Dataset):
    """A torch dataset that draws from all global generators."""

    def __init__(self, count: int = 6, mean: float = 0.0) -> None:
        self.count, self.mean = count, mean

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        import random

        import torch

        return torch.rand(1, 2, 2), np.array([np.random.rand(), random.random(), self.mean])


class Pairs(Dataset):
    """A torch dataset of items that are given."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


MADE = Counted(3)
NOTHING = 5


def brighter(sample: dict[str, Any], by: float = 1.0) -> dict[str, Any]:
    return {**sample, "image": sample["image"] + by}


def noisy(sample: dict[str, Any]) -> dict[str, Any]:
    return {**sample, "image": sample["image"] + np.random.rand()}


def forgetful(sample: dict[str, Any]) -> None:
    return None


class Darker:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "image": sample["image"] - self.by}


def failing() -> None:
    raise OSError("no such server")


def uninstall(monkeypatch: Any, package: str) -> None:
    """As if a package weren't installed."""

    class Missing:
        @staticmethod
        def find_spec(name: str, *_: Any) -> None:
            if name == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])


def save(path: Path, array: Any, mode: str | None = None) -> Path:
    """An image file of an array (h, w) or (h, w, c)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        import tifffile

        tifffile.imwrite(path, array, photometric="rgb" if mode == "rgb" else "minisblack")
    else:
        picture = Image.fromarray(np.asarray(array))
        if mode == "P":
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [9] * 759)
        picture.save(path)
    return path


def opened(base: Path, **typed: Any) -> Any:
    return open_source(Typed.model_validate(typed), base=base)


def read(source: Source, index: int, seed: int = 0) -> dict[str, Any]:
    return source.read(index, np.random.default_rng(seed))
