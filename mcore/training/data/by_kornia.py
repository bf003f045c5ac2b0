"""Augmentations of kornia by name, on images and masks alike."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_type_hints

import torch

from mcore.checkpoint.extras import needed
from mcore.signatures import check_arguments
from mcore.training.data.base import Sample
from mcore.training.data.mistakes import Fail
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from mcore.vocabulary import nearest


class Kornia:
    """An augmentation of kornia, on an image and its masks; `targets` as those of `Augment`.

    Raises:
        DataError: the sample is no image, or no volume, as the augmentation wants; kornia moves no masks by it.
    """

    def __init__(self, augmentation: Any, targets: Sequence[str] | None) -> None:
        self.augmentation, self.targets = augmentation, targets
        kornia = _kornia()
        self.dims = 3 if isinstance(augmentation, kornia.AugmentationBase3D) else 2
        # Warps (RandomElasticTransform) are neither geometric nor of values in kornia's tree.
        of_values = kornia.IntensityAugmentationBase2D, kornia.IntensityAugmentationBase3D
        self.moves = not isinstance(augmentation, of_values)
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
        if not masks:
            return [self.augmentation(image)]
        try:
            return self.together(image, *masks, data_keys=["input", *["mask"] * len(masks)])
        except NotImplementedError:
            raise DataError("kornia can't move masks by it, only images.") from None

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


def augmentation_of(typed: Typed, fail: Fail) -> Any:
    """An augmentation of kornia by the name of its class."""
    names = _names()
    if typed.type not in names:
        likely = nearest(typed.type, names)
        meant = f"did you mean {' or '.join(map(repr, likely))}?" if likely else f"it has {', '.join(names)}"
        mixes = ", which mixes samples of a batch" if hasattr(_kornia(), typed.type) else ""
        fail(("type",), f"no augmentation of single samples in kornia is called {typed.type!r}{mixes}; {meant}")
    hints = get_type_hints(names[typed.type].__init__)
    arguments = {key: _as_kornia_takes(value, hints.get(key)) for key, value in typed.arguments.items()}
    for problem in check_arguments(names[typed.type], arguments, title=typed.type):
        fail(problem.path, problem.message)
    try:
        return names[typed.type](**arguments)
    # Kornia checks values with exceptions of all kinds.
    except Exception as error:
        fail((), f"{typed.type}: {type(error).__name__}: {error}")


def _as_kornia_takes(value: Any, hint: Any) -> Any:
    """Lists as tuples, or as tensors where nothing else is taken."""
    if hint is torch.Tensor:
        return torch.tensor(value)
    return tuple(_as_kornia_takes(item, None) for item in value) if isinstance(value, list | tuple) else value


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


__all__ = ["Kornia", "augmentation_of"]
