"""Weights that others published, taken into a repository: whole trees of them, by family and then by name.

    pmodels/resnet/resnet50.pth, pmodels/senet/legacy_senet154-e9eb9fe6.pth, ...

Which network a file is of, its name says; it is made by the registry and loads the file as `weights=` does, with all
the layouts of names that this knows, and is saved anew: with what its images were, where the file came from, and the
hash of its bytes, by which it isn't taken twice.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcore import registry
from mcore.checkpoint.sniff import sniff
from mcore.checkpoint.states import state_of
from mcore.exchange.errors import ModelFileError, StorageError, first_line
from mcore.vocabulary import nearest

#: Endings of files that are looked at; what they are, their content says.
ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".onnx", ".npz", ".weights")
# What publishers put behind a name: the hash of the file, as torchvision and timm do, or where Darknet cut it.
_HASH, _CUT = re.compile(r"[-_.][0-9a-f]{8,64}$"), re.compile(r"\.conv\.\d+$")
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
# How images from 0 to 1 are normalised for published weights, mean and deviation, by the beginning of a network's
# name. Where publishers differ (EfficientNet, MobileNetV3, vision transformers, Darknet), nothing is said rather than
# something wrong.
NORMALISATION: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    **dict.fromkeys(("resnet", "resnext", "wide_resnet", "seresne", "legacy_se", "senet", "skresne"), _IMAGENET),
    **dict.fromkeys(("ecaresnet", "res2ne", "resnest", "hrnet", "vgg", "repvgg", "densenet", "regnet"), _IMAGENET),
    **dict.fromkeys(("mobilenetv2", "mnasnet", "ghostnet", "convnext", "swin", "mit_"), _IMAGENET),
    **dict.fromkeys(("inception", "legacy_xception"), _HALF),
}
_UNLIKE = ("resnetv2",)

SAVED, THERE, FAILED = "saved", "there already", "failed"
Build = Callable[..., Any]


@dataclass(frozen=True)
class Imported:
    """What became of a file: its path below the folder, the network, the checkpoint, and why where it failed."""

    source: str
    outcome: str
    network: str = ""
    id: str = ""
    why: str = ""

    def __str__(self) -> str:
        what = self.why if self.outcome == FAILED else f"{self.network} {self.id}" + f" ({self.why})" * bool(self.why)
        return f"{self.source}: {self.outcome}: {what}"


@dataclass
class ImportReport:
    """What became of each file of a tree, in the order of their paths."""

    folder: str
    files: list[Imported] = field(default_factory=list)

    def of(self, outcome: str) -> list[Imported]:
        """The files with this outcome."""
        return [one for one in self.files if one.outcome == outcome]

    @property
    def ids(self) -> list[str]:
        """Checkpoints that were made."""
        return [one.id for one in self.of(SAVED)]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.of(outcome))} {outcome}" for outcome in (SAVED, THERE, FAILED))
        return "\n".join([*map(str, self.files), f"{self.folder}: {len(self.files)} files: {counts}"])


def import_tree(
    repo: Any,
    folder: str | os.PathLike[str],
    *,
    family: str | None = None,
    names: Mapping[str, str] | None = None,
    dataset: str = "imagenet",
    channels: str = "RGB",
    tags: Mapping[str, str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    build: Build | None = None,
) -> ImportReport:
    """Saves the backbones of a tree of weight files as checkpoints of `repo`; what became of each file.

    A file that can't be taken stops none of the others. Files whose bytes a checkpoint was made of already are left
    alone, so that the same call takes what is new.

    Args:
        repo: a `Repository`.
        folder: holds `FAMILY/NAME.pth`, or files of other endings (`ENDINGS`); deeper folders are walked too.
        family: takes only the folder of this name.
        names: of files whose name isn't the network's: `{"mobilenet_v2": "mobilenetv2_100"}`; the name without its
            ending, nor the hash that publishers put behind it.
        dataset: what all of them were trained on; it is a tag too, by which `weights="imagenet"` finds them.
        channels: what their input channels are.
        tags: others for all of them.
        progress: called with a file's path, its number and how many there are, before it is read.
        build: makes a network: `build(name, num_classes=..., weights=path)`; the registry's backbones by default.

    Raises:
        FileNotFoundError: no such folder, or no such family in it; the nearest are told.
        StorageError: the repository can't be written to.
    """
    root = Path(folder)
    found = list(_files(root, family))
    told = {"dataset": dataset, "channels": channels, "tags": {dataset: "", **(tags or {})}}
    importer = _Importer(repo, root, names or {}, build or _build, told, _known(repo))
    report = ImportReport(os.fspath(folder))
    for number, file in enumerate(found, start=1):
        source = file.relative_to(root).as_posix()
        if progress is not None:
            progress(source, number, len(found))
        try:
            report.files.append(importer.take(file, source))
        except StorageError:
            raise
        # Whatever is wrong with a file, a name or a network is this file's alone.
        except (ValueError, LookupError, TypeError, OSError, RuntimeError, NotImplementedError) as error:
            report.files.append(Imported(source, FAILED, why=first_line(error)))
    return report


def name_of(file: str | os.PathLike[str]) -> str:
    """The name of a network in a file's: without the ending, and the hash or the cut behind it.

    >>> name_of("resnet/resnet50-0676ba61.pth"), name_of("darknet53.conv.74"), name_of("a/vgg16_bn.safetensors")
    ('resnet50', 'darknet53', 'vgg16_bn')
    """
    name = Path(file).name
    ending = next((end for end in sorted(ENDINGS, key=len, reverse=True) if name.lower().endswith(end)), "")
    name = _CUT.sub("", name[: len(name) - len(ending)])
    return _HASH.sub("", name)


def is_weights(name: str) -> bool:
    """Whether a file is named as weights are."""
    return name.lower().endswith(ENDINGS) or _CUT.search(name) is not None


def _files(root: Path, family: str | None) -> Iterator[Path]:
    """Files named as weights, by path; links and what is hidden are left out."""
    if not root.is_dir():
        raise FileNotFoundError(f"import_tree: there is no folder {root}.")
    start = root
    if family is not None:
        there = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
        if family not in there:
            likely = nearest(family, there) or there[:5]
            raise FileNotFoundError(
                f"import_tree: {root} has no family {family!r}; it has {', '.join(likely) or 'none'}."
            )
        start = root / family
    for where, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(where) / name
            if is_weights(name) and not name.startswith(".") and file.is_file():
                yield file


def _known(repo: Any) -> dict[str, tuple[str, str]]:
    """Network and id of each checkpoint that was made of a file, by the hash of that."""
    return {
        record.facts["sha256"]: (record.network, record.id)
        for record in repo.records()
        if isinstance(record.facts.get("sha256"), str) and "source" in record.facts
    }


@dataclass(frozen=True)
class _Importer:
    """What is common to all files: `told` of each checkpoint, and those that are `known` by the hash of their file."""

    repo: Any
    root: Path
    names: Mapping[str, str]
    build: Build
    told: Mapping[str, Any]
    known: dict[str, tuple[str, str]]

    def take(self, file: Path, source: str) -> Imported:
        """Saves what a file holds as a checkpoint, unless there is one of it."""
        digest = _sha256(file)
        if digest in self.known:
            return Imported(source, THERE, *self.known[digest])
        stem = name_of(file)
        network = self.names.get(stem) or _registered(stem)
        net, classes = _loaded(self.build, network, file)
        if _sha256(file) != digest:
            raise ModelFileError(f"{source} changed while it was read.")
        facts = {"source": source, "sha256": digest, "family": source.rpartition("/")[0].partition("/")[0]}
        id = self.repo.save(net, network=network, facts=facts, **self.told, **_normalisation(network))
        self.known[digest] = network, id
        return Imported(source, SAVED, network, id, classes)


def _registered(stem: str) -> str:
    """The backbone that a file's name means, as written or with "_" for "-".

    Raises:
        UnknownComponent: there is none; the nearest are told.
    """
    spelled = (stem, stem.replace("-", "_"), stem.lower().replace("-", "_"))
    there = registry.available("backbone")
    found = next((name for name in spelled if name in there), None)
    if found is None:
        likely = nearest(spelled[-1], there)
        meant = f"; the nearest are {', '.join(likely)}" if likely else ""
        raise registry.UnknownComponent(f"no backbone {stem!r}{meant}. Say which it is by names={{{stem!r}: ...}}.")
    return found


def _build(name: str, **arguments: Any) -> Any:
    return registry.create(name, kind="backbone", **arguments)


def _loaded(build: Build, network: str, file: Path) -> tuple[Any, str]:
    """The network with all of the file's weights, the classifier's too where it has one; how many classes it scores.

    Raises:
        ModelFileError: entries of the network aren't in the file.
    """
    # Darknet's classifiers are no part of its backbones, and what has no names is told by what reads it.
    sizes = _classes(state_of(file)) if sniff(file).named else []
    for classes in sizes:
        net, empty = _filled(build, network, file, num_classes=classes)
        if not empty:
            return net, f"{classes} classes"
    net, empty = _filled(build, network, file)
    if empty:
        some = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
        raise ModelFileError(f"{file.name} lacks {len(empty)} entries of {network}: {some}")
    return net, "without a classifier"


def _filled(build: Build, network: str, file: Path, **arguments: Any) -> tuple[Any, list[str]]:
    """The network with the file's weights, and its entries that aren't there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* keep their random values", UserWarning)  # such a network isn't taken
        net = build(network, weights=os.fspath(file), **arguments)
    return net, [*net.weights_report.missing, *net.weights_report.skipped]


def _classes(state: Mapping[str, np.ndarray]) -> Sequence[int]:
    """How many classes the file may score: rows of its last matrices that have a bias, the last first."""
    found = []
    for name, array in reversed(list(state.items())):
        if not name.endswith(".weight") or not (array.ndim == 2 or (array.ndim > 2 and set(array.shape[2:]) == {1})):
            continue
        bias = state.get(f"{name.removesuffix('weight')}bias")
        if bias is not None and bias.shape == array.shape[:1]:
            found.append(len(array))
    return list(dict.fromkeys(found))[:2]


def _normalisation(network: str) -> dict[str, Any]:
    """How images are normalised for a network, as `Repository.save` is told; nothing where it isn't known."""
    pair = next((pair for front, pair in NORMALISATION.items() if network.startswith(front)), None)
    if pair is None or network.startswith(_UNLIKE):
        return {}
    return {"mean": pair[0], "std": pair[1], "value_range": (0.0, 1.0)}


def _sha256(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


__all__ = ["ENDINGS", "ImportReport", "Imported", "import_tree", "is_weights", "name_of", "state_of"]
