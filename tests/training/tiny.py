"""A training that takes a second: blobs on noise, to be told from it by a few convolutions."""

from typing import Any

import numpy as np
import torch

import mcore
from mcore.training import Source
from mcore.training.settings import Settings

SIZE = 16


class Blobs(Source):
    """Squares at random places, and where they are."""

    def __init__(self, count: int = 24) -> None:
        self.count, self.classes = count, ["noise", "blob"]

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, random: np.random.Generator) -> dict[str, Any]:
        fixed = np.random.default_rng(index)
        mask = np.zeros((SIZE, SIZE), np.int64)
        top, left = fixed.integers(0, SIZE - 6, 2)
        mask[top : top + 6, left : left + 6] = 1
        image = mask + random.normal(0, 0.3, mask.shape)
        return {"image": image[None].astype(np.float32), "mask": mask, "name": f"blob-{index}"}


class Net(mcore.Module):
    """Convolutions with a norm and dropout: each of them could make two runs differ."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.encoder = mcore.Sequential(
            mcore.Conv2d(1, width, 3, padding=1), mcore.BatchNorm2d(width), mcore.ReLU(), mcore.Dropout(0.2)
        )
        self.decoder = mcore.Sequential(mcore.Conv2d(width, width, 3, padding=1), mcore.ReLU())
        self.head = mcore.Conv2d(width, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.decoder(self.encoder(x)))


def net(width: int = 4) -> Net:
    torch.manual_seed(0)
    return Net(width)


def data(count: int = 24, validation: int = 8) -> dict[str, Source]:
    return {"train": Blobs(count), **({"validation": Blobs(validation)} if validation else {})}


def config(**train: Any) -> dict[str, Any]:
    """A configuration with what isn't given set to something small."""
    if not {"steps", "epochs"} & set(train):
        train["epochs"] = 2
    small = {"losses": "cross_entropy", "batch": 8, "optimiser": {"type": "AdamW", "lr": 0.01}, "log": {"pictures": 0}}
    return {"train": {**small, **train}}


def settings(**train: Any) -> Settings:
    from mcore.config import read
    from mcore.training import settings_of

    return settings_of(read(config(**train)))


def same(one: Any, other: Any) -> None:
    """Raises where two states differ in any bit."""
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
