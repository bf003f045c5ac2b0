"""Augmentation by kornia's classes, or by any function, the same for a sample whoever reads it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from mcore.config import Config
from mcore.signatures import check_arguments
from mcore.training.data.base import Sample
from mcore.training.data.by_kornia import Kornia, augmentation_of
from mcore.training.data.importing import attribute_of, called, is_import_path
from mcore.training.data.mistakes import Fail, Where
from mcore.training.data.randomness import seeded_globals, seeded_torch
from mcore.training.errors import DataError
from mcore.training.settings import Typed

# From a sample to a sample.
Step = Callable[[Sample], Sample]


class Augment:
    """A list of augmentations, one after another; `augment(sample, seed)` is the sample changed.

    By name they are classes of kornia.augmentation with their arguments, those of images ("RandomHorizontalFlip",
    "ColorJiggle") or those of volumes ("RandomHorizontalFlip3D"); where they move pixels, masks are moved alike, by
    the nearest pixel, and what comes in from outside is 0. By an import path "package.module:name" they are a
    function of a sample, which gets the other keys as arguments, too, or a class whose instances are called with one.

    Arguments:
        targets: keys of masks; left out, all targets of the image's size.
        config, where: where it was written, for errors.

    Raises:
        ConfigError: kornia has none of this name, or it takes other arguments.
    """

    def __init__(
        self,
        given: Sequence[Typed],
        *,
        targets: Sequence[str] | None = None,
        config: Config | None = None,
        where: Where = ("train", "data", "augment"),
    ) -> None:
        self.targets = targets
        self.names = [typed.type for typed in given]
        self.steps = [self._step(typed, Fail(config, (*where, place))) for place, typed in enumerate(given)]
        # Kornia draws from torch's generator alone.
        foreign = any(is_import_path(typed.type) for typed in given)
        self.seeded: Callable[[int], AbstractContextManager[None]] = seeded_globals if foreign else seeded_torch

    def __call__(self, sample: Sample, seed: int) -> Sample:
        """
        Raises:
            DataError: an augmentation doesn't fit the sample, or gives none; the message has its name and the sample's.
        """
        with self.seeded(seed), torch.no_grad():
            for name, step in zip(self.names, self.steps, strict=True):
                try:
                    changed = step(sample)
                # What kornia and strangers raise names neither.
                except Exception as error:
                    told = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
                    raise DataError(f"{sample['name']} can't be augmented by {name}: {told}") from error
                sample = changed
        return sample

    def _step(self, typed: Typed, fail: Fail) -> Step:
        if not is_import_path(typed.type):
            return Kornia(augmentation_of(typed, fail), self.targets)
        found = attribute_of(typed, fail)
        if inspect.isclass(found):
            return _Foreign(called(found, typed, fail))
        for problem in check_arguments(found, typed.arguments, title=typed.type, partial=True):
            fail(problem.path, problem.message)
        return _Foreign(functools.partial(found, **typed.arguments))


class _Foreign:
    """A function of a sample that isn't ours."""

    def __init__(self, function: Callable[[Sample], Any]) -> None:
        self.function = function

    def __call__(self, sample: Sample) -> Sample:
        changed = self.function(dict(sample))
        if not isinstance(changed, Mapping) or not isinstance(changed.get("image"), torch.Tensor):
            raise DataError(f"it gives {type(changed).__name__}; a sample with the tensor 'image' fits.")
        return {**changed, "name": sample["name"]}


__all__ = ["Augment"]
