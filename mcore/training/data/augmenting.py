"""Augmentation by kornia's classes, or by any function, the same for a sample whoever reads it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from mcore.checkpoint.extras import needed
from mcore.config import Config
from mcore.signatures import check_arguments
from mcore.training.data.base import Sample
from mcore.training.data.importing import attribute_of, called, is_import_path
from mcore.training.data.mistakes import Fail, Where
from mcore.training.data.randomness import seeded_globals, seeded_torch
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from mcore.vocabulary import nearest

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
            return _Kornia(_kornias(typed, fail), self.targets)
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


class _Kornia:
    """An augmentation of kornia, on an image and its masks."""

    def __init__(self, augmentation: Any, targets: Sequence[str] | None) -> None:
        self.augmentation, self.targets = augmentation, targets
        kornia = _kornia()
        self.dims = 3 if isinstance(augmentation, kornia.AugmentationBase3D) else 2
        # Others change values, which masks have none of.
        self.moves = isinstance(augmentation, kornia.GeometricAugmentationBase2D | kornia.GeometricAugmentationBase3D)
        self.together: Any = kornia.AugmentationSequential(augmentation) if self.dims == 2 else None

    def __call__(self, sample: Sample) -> Sample:
        image = sample["image"]
        if image.ndim != self.dims + 1:
            kind = {3: "an image", 4: "a volume"}.get(image.ndim, "neither image nor volume")
            raise DataError(f"{tuple(image.shape)} is {kind}; it is of images with {self.dims} axes and channels.")
        keys = list(self._masks(sample)) if self.moves else []
        masks = [_as_image(sample[key], self.dims) for key in keys]
        changed = self._volumes(image[None], masks) if self.together is None else self._images(image[None], masks)
        whole = {"image": changed[0][0].contiguous()}
        for key, mask in zip(keys, changed[1:], strict=True):
            whole[key] = _as_mask(mask, like=sample[key])
        return {**sample, **whole}

    def _masks(self, sample: Sample) -> Iterator[str]:
        """Keys of the masks of a sample."""
        size = sample["image"].shape[1:]
        for key, value in sample.items():
            if key in ("image", "name"):
                continue
            if key in self.targets if self.targets is not None else value.shape[-self.dims :] == size:
                yield key

    def _images(self, image: torch.Tensor, masks: list[torch.Tensor]) -> list[torch.Tensor]:
        changed = self.together(image, *masks, data_keys=["input", *["mask"] * len(masks)])
        return changed if masks else [changed]

    def _volumes(self, image: torch.Tensor, masks: list[torch.Tensor]) -> list[torch.Tensor]:
        # Kornia's containers refuse masks of volumes; what it drew for the image is done to them here.
        changed = [self.augmentation(image)]
        drawn = self.augmentation._params
        return changed + [self.augmentation(mask, params=drawn, resample=_kornia_nearest()) for mask in masks]


def _as_image(mask: torch.Tensor, dims: int) -> torch.Tensor:
    """A mask (*size) or (c, *size) as kornia takes it, (1, c, *size) of float32, which holds whole numbers to 2**24."""
    return (mask if mask.ndim == dims + 1 else mask[None])[None].float()


def _as_mask(changed: torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    """The way back: of the type and the axes of before."""
    changed = changed[0] if like.ndim == changed.ndim - 1 else changed[0, 0]
    return (changed if like.is_floating_point() else changed.round()).to(like.dtype).contiguous()


def _kornias(typed: Typed, fail: Fail) -> Any:
    """An augmentation of kornia by the name of its class."""
    names = _names()
    if typed.type not in names:
        likely = nearest(typed.type, names)
        meant = f"did you mean {' or '.join(map(repr, likely))}?" if likely else f"it has {', '.join(names)}"
        mixes = ", which mixes samples of a batch" if hasattr(_kornia(), typed.type) else ""
        fail(("type",), f"no augmentation of single samples in kornia is called {typed.type!r}{mixes}; {meant}")
    arguments = {key: _tuples(value) for key, value in typed.arguments.items()}
    for problem in check_arguments(names[typed.type], arguments, title=typed.type):
        fail(problem.path, problem.message)
    try:
        return names[typed.type](**arguments)
    # Kornia checks values with exceptions of all kinds.
    except Exception as error:
        fail((), f"{typed.type}: {type(error).__name__}: {error}")


def _tuples(value: Any) -> Any:
    """Lists as the tuples that kornia takes."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@functools.cache
def _names() -> dict[str, Any]:
    """Augmentations of single samples by name."""
    kornia = _kornia()
    singles = (kornia.AugmentationBase2D, kornia.AugmentationBase3D)
    return {
        name: found
        for name, found in sorted(vars(kornia).items())
        if inspect.isclass(found)
        and issubclass(found, singles)
        and not issubclass(found, kornia.MixAugmentationBaseV2)
        # The bases that all inherit.
        and "Base" not in name
    }


def _kornia() -> Any:
    return needed("kornia.augmentation", "train", what="augmentation by name")


def _kornia_nearest() -> Any:
    return needed("kornia.constants", "train", what="augmentation by name").Resample.NEAREST


__all__ = ["Augment"]
