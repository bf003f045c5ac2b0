"""What data comes from: a source, that reads one sample by its number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

# Image and targets by key, and the name: see `Source.read`.
Sample = dict[str, Any]


class Source(ABC):
    """Abstract: samples by number, read one at a time, by several processes at once.

    It is copied into the workers that read, so it opens files when it is first asked and leaves them out of a pickle.
    What it can know before reading (an empty folder, a mask that is missing) it refuses when it is made.

    Attributes:
        classes: names of the classes that labels count, in order; None where nothing tells.
    """

    classes: list[str] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many samples there are."""

    @abstractmethod
    def read(self, index: int, random: np.random.Generator) -> Sample:
        """One sample; what is random in it (where a patch lies) comes from `random` alone.

        Returns:
            "image": float32 (c, *size); targets under any other key, masks as whole numbers (*size), labels as one
            whole number, or numbers with a point of any shape; NumPy arrays, numbers or tensors. "name": where it
            came from, a file, or a file and the position in it.

        Raises:
            DataError: it can't be read; the message names the file.
        """


__all__ = ["Sample", "Source"]
