"""Images in folders: with classes by subfolder, with masks beside them, or alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import model_validator

from mcore.training.data.base import Sample, Source
from mcore.training.data.images import SUFFIXES, Files, images_below, is_image
from mcore.training.data.options import Pixels, located
from mcore.training.errors import DataError
from mcore.vocabulary import nearest


class FolderOptions(Pixels):
    """Arguments of the source "folder"; what `Pixels` has, too.

    Attributes:
        path: the folder of images. With subfolders of images, each is a class ("label" is its place in `classes`);
            without, samples are images alone.
        images: instead, the folder of images that `masks` belong to.
        masks: the folder of their masks: of the same names, whatever ends them (`a.jpg` and `a.png`), in the same
            subfolders.
        mask_values: what values of a mask stand for the classes 0, 1, ...: [0, 255].
        labels: whether subfolders of `path` are classes; left out, they are where there are some.
        classes: names of the classes in their order; left out, subfolders by name.
    """

    path: str | Path | None = None
    images: str | Path | None = None
    masks: str | Path | None = None
    mask_values: list[int] | tuple[int, ...] | None = None
    labels: bool | None = None
    classes: list[str] | None = None

    @model_validator(mode="after")
    def _one_layout(self) -> FolderOptions:
        if (self.path is None) == (self.images is None):
            raise ValueError("give one of path and images")
        if (self.images is None) != (self.masks is None):
            raise ValueError("images and masks belong together; images alone are given as path")
        if self.path is None and self.labels:
            raise ValueError("labels are of subfolders of path")
        return self


class _Item(NamedTuple):
    image: Path
    mask: Path | None = None
    label: int | None = None


class Folder(Source):
    """The images of a folder, in the order of their names.

    Raises:
        DataError: there is no such folder, or no image in it, or an image without a mask, a mask without an image, a
            subfolder that isn't among `classes`.
    """

    Options = FolderOptions

    def __init__(self, options: FolderOptions, *, base: Path = Path()) -> None:
        self.files = Files(options)
        self.mask_values = None if options.mask_values is None else np.array(options.mask_values)
        self.classes = options.classes
        if options.images is not None and options.masks is not None:
            self.items = _pairs(located(options.images, base), located(options.masks, base))
        else:
            folder = _existing(located(options.path or "", base))
            by_class = _subfolders(folder) if options.labels is not False else []
            if by_class:
                self.classes = _checked_classes(options.classes, by_class, folder=folder)
                self.items = _labelled(by_class, self.classes)
            elif options.labels:
                raise DataError(f"{folder} has no subfolders with images, and labels=True makes classes of these.")
            else:
                self.items = [_Item(image) for image in _found(folder)]
            _check_loose(folder, by_class, told=options.labels)

    def __len__(self) -> int:
        return len(self.items)

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """An image, with "label" or "mask" where the folder has them; see `Source.read`."""
        item = self.items[index]
        sample: Sample = {"image": self.files.image(item.image), "name": str(item.image)}
        if item.label is not None:
            sample["label"] = item.label
        if item.mask is not None:
            mask = self.files.target(item.mask, image=item.image, size=sample["image"].shape[1:])
            sample["mask"] = mask if self.mask_values is None else _numbered(mask, self.mask_values, path=item.mask)
        return sample


def _existing(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    raise DataError(f"{folder} is {'no folder' if folder.exists() else 'not there'}; a folder of images fits.")


def _found(folder: Path) -> list[Path]:
    found = images_below(_existing(folder))
    if not found:
        raise DataError(f"{folder} has no images: no file that ends in {', '.join(SUFFIXES)}.")
    return found


def _subfolders(folder: Path) -> list[Path]:
    """Folders that have images, at any depth, by name."""
    found = sorted(path for path in folder.iterdir() if path.is_dir())
    return [path for path in found if any(is_image(file, folder) for file in path.rglob("*"))]


def _check_loose(folder: Path, by_class: list[Path], *, told: bool | None) -> None:
    """Raises DataError where images lie beside subfolders of images, which classes would silently leave out."""
    if by_class and any(is_image(path, folder) for path in folder.iterdir()):
        hint = "move them into one" if told else "move them into one, or read all without classes by labels: false"
        raise DataError(f"{folder} has images beside its subfolders {_few(path.name for path in by_class)}; {hint}.")


def _checked_classes(classes: list[str] | None, by_class: list[Path], *, folder: Path) -> list[str]:
    names = [path.name for path in by_class]
    unknown = [name for name in names if classes is not None and name not in classes]
    if unknown:
        likely = nearest(unknown[0], classes or [], most=1)
        meant = f" (did you mean {likely[0]!r}?)" if likely else ""
        raise DataError(f"{folder} has a subfolder {unknown[0]!r}{meant}; the classes are {_few(classes or [])}.")
    return names if classes is None else classes


def _labelled(by_class: list[Path], classes: list[str]) -> list[_Item]:
    return [_Item(image, label=classes.index(path.name)) for path in by_class for image in images_below(path)]


def _pairs(images: Path, masks: Path) -> list[_Item]:
    """Images with the masks of the same names."""
    of_image, of_mask = _by_stem(images), _by_stem(masks)
    lonely = sorted(of_image.keys() - of_mask.keys()), sorted(of_mask.keys() - of_image.keys())
    for missing, given, word, where in ((lonely[0], of_image, "mask", masks), (lonely[1], of_mask, "image", images)):
        if missing:
            more = f", nor do {len(missing) - 1} others" if len(missing) > 1 else ""
            raise DataError(f"{given[missing[0]]} has no {word}{more}: nothing named {missing[0]!r} in {where}.")
    return [_Item(image, mask=of_mask[stem]) for stem, image in of_image.items()]


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in _found(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"{found[stem]} and {path} have one name but for their endings; nothing tells them apart.")
        found[stem] = path
    return found


def _numbered(mask: np.ndarray, values: np.ndarray, *, path: Path) -> np.ndarray:
    """Values of a mask as the numbers of their classes."""
    order = np.argsort(values)
    places = order[np.searchsorted(values, mask, sorter=order).clip(max=len(values) - 1)]
    strange = mask[values[places] != mask]
    if strange.size:
        raise DataError(
            f"{path} has the value {strange.flat[0]}, which isn't among mask_values {_few(values.tolist())}."
        )
    return places


def _few(names: Iterable[object], most: int = 8) -> str:
    told = [str(name) for name in names]
    return ", ".join(told[:most]) + (f" and {len(told) - most} more" if len(told) > most else "")


__all__ = ["Folder", "FolderOptions"]
