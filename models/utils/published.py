"""Weights by name instead of by file: `weights="imagenet"`, and checkpoints of repositories.

- "imagenet": the backbone of this name, trained on ImageNet, out of the places that the environment variable
  MCORE_WEIGHTS names: repositories (`mcore.checkpoint.Repository`) and plain folders of `FAMILY/NAME.pth`, separated as
  in PATH; the first that has it counts. "imagenet@3" and "imagenet@best" are a version or an alias of a repository;
- "checkpoint:REPOSITORY#CHECKPOINT", or a mapping of `repository` and `checkpoint`: the checkpoint by its id or its
  address, as `Repository.resolve` takes it.
"""

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcore import Module
from mcore.registry import kinds_of
from mcore.vocabulary import nearest

VARIABLE = "MCORE_WEIGHTS"
IMAGENET = "imagenet"
SCHEME = "checkpoint:"
# In order of preference, where a folder has several of one name.
ENDINGS = (".safetensors", ".pth", ".pt", ".npz", ".onnx", ".weights")
#: What a repository says of itself, by which it is told from a plain folder.
FORMAT_FILE = "format.json"
#: Our names for networks whose published files are called otherwise.
OURS = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "efficientnet_v2_s": "efficientnetv2_s",
    "mnasnet1_0": "mnasnet_100",
    "regnet_y_400mf": "regnety_004",
    "regnet_y_1_6gf": "regnety_016",
    "swin_t": "swin_tiny_patch4_window7_224",
    "vit_b_16": "vit_base_patch16_224",
}


@dataclass(frozen=True)
class Asked:
    """What is named: a checkpoint of a repository; without one, `checkpoint` is what stands behind "imagenet@"."""

    repository: str
    checkpoint: str


@dataclass(frozen=True)
class Found:
    """Where named weights are: a file, or a state by name.

    Attributes:
        where: for reports: the file, or the repository with the checkpoint.
        file: None where a repository has them.
        state: arrays by name, of a repository.
        channels: what the checkpoint says that its input channels are.
        first: names of the weights that read them.
    """

    where: str
    file: str | None = None
    state: Mapping[str, np.ndarray] | None = None
    channels: tuple[str, ...] = ()
    first: tuple[str, ...] = ()

    def by_colour(self) -> Mapping[str, np.ndarray] | None:
        """The state whose first convolutions read red, green and blue, in this order; as it is, where there are none.

        Files are taken for such, and it is what `channels=` speaks of.
        """
        if self.state is None or not {"R", "G", "B"} <= set(self.channels) or self.channels == ("R", "G", "B"):
            return self.state
        order = [self.channels.index(colour) for colour in "RGB"]
        wide = len(self.channels)
        turned = {
            key: np.ascontiguousarray(self.state[key][:, order])
            for key in self.first
            if key in self.state and self.state[key].ndim > 1 and self.state[key].shape[1] == wide
        }
        return {**self.state, **turned}


def asked(options: Mapping[str, Any]) -> Asked | None:
    """What the options of `weights=` name, which isn't looked for yet; None for a file or a state.

    Raises:
        ValueError: a word that names neither weights nor a file; a repository without a checkpoint.
    """
    repository, checkpoint, file = (options.get(key) for key in ("repository", "checkpoint", "file"))
    if repository is not None or checkpoint is not None:
        if not repository or not checkpoint:
            missing = "checkpoint" if repository else "repository"
            raise ValueError(f"weights: {missing!r} is missing: a checkpoint is named by its repository and its id.")
        return Asked(os.fspath(repository), checkpoint)
    if not isinstance(file, str):
        return None
    if file.startswith(SCHEME):
        where, _, ref = file.removeprefix(SCHEME).rpartition("#")
        if not where or not ref:
            raise ValueError(
                f"weights: {file!r} is no checkpoint of a repository; write checkpoint:REPOSITORY#CHECKPOINT, as in "
                "'checkpoint:/data/weights#backbones/resnet50@3'."
            )
        return Asked(where, ref)
    word, _, chosen = file.partition("@")
    if word == IMAGENET and (chosen or "@" not in file):
        return Asked("", chosen)
    if _is_word(file):
        likely = nearest(word, [IMAGENET], most=1)
        meant = f" (did you mean {likely[0]!r}?)" if likely else ""
        raise ValueError(
            f"weights: {file!r} names neither published weights, as {IMAGENET!r} and '{IMAGENET}@VERSION' do{meant}, "
            "nor a file: there is none of this name here."
        )
    return None


def target_of(net: Module, named: Asked) -> Module:
    """What named weights are loaded into: `net`, or, of ImageNet's, the backbone that it is or has.

    Raises:
        ValueError: it is no backbone, and has none.
    """
    if named.repository or _is_backbone(net):
        return net
    inner = getattr(net, "backbone", None)
    if isinstance(inner, Module) and _is_backbone(inner):
        return inner
    raise ValueError(
        f"weights: {IMAGENET!r} is looked for by a backbone's name, and {type(net).__name__} is none, nor has one; "
        "name a file, or a checkpoint of a repository: 'checkpoint:REPOSITORY#CHECKPOINT'."
    )


def find(net: Module, named: Asked) -> Found:
    """Named weights for `net`, wherever they are.

    Raises:
        FileNotFoundError: they are nowhere; every place is told, what was looked for there, and the nearest.
        CorruptCheckpoint: bytes of the checkpoint aren't those that were saved.
    """
    from mcore.checkpoint.errors import NotFound

    if named.repository:
        try:
            repo = _opened(named.repository)
            return _checkpoint(repo, repo.resolve(named.checkpoint))
        except NotFound as error:
            raise FileNotFoundError(f"weights: {error}") from error
    name, places = _name_of(net), places_of(os.environ.get(VARIABLE, ""))
    title = f"weights: {IMAGENET}{'@' * bool(named.checkpoint)}{named.checkpoint} for {name}"
    if not places:
        raise FileNotFoundError(
            f"{title}: {VARIABLE} isn't set, so there is nowhere to look. Let it name repositories, or folders of "
            f"FAMILY/{name}.pth, separated by {os.pathsep!r}; or give a file as weights=."
        )
    looked = []
    for place in places:
        found, told = _look(place, name, named.checkpoint)
        if found is not None:
            return found
        looked.append(f"{place}: {told}")
    raise FileNotFoundError(f"{title} is in none of the {len(places)} places of {VARIABLE}: {'; '.join(looked)}.")


def places_of(text: str, separator: str = os.pathsep) -> list[str]:
    """The folders and URLs in a list that is separated as PATH is.

    >>> places_of("/data/pmodels:s3://team/weights:./mine", ":")
    ['/data/pmodels', 's3://team/weights', './mine']
    """
    # The colon of a URL separates nothing.
    pattern = r":(?!//)" if separator == ":" else re.escape(separator)
    return [place.strip() for place in re.split(pattern, text) if place.strip()]


def _is_word(file: str) -> bool:
    """Whether text can be no path that is meant: one step, no ending, and nothing here is called so."""
    return not any(sign in file for sign in "/\\.") and not os.path.exists(file)


def _name_of(net: Module) -> str:
    received: Mapping[str, Any] = getattr(net, "_arguments", None) or {}  # kept by the metaclass
    return str(received.get("variant") or type(net).__name__)


def _is_backbone(net: Module) -> bool:
    return "backbone" in kinds_of(_name_of(net))


def _look(place: str, name: str, chosen: str) -> tuple[Found | None, str]:
    """What a place has of a backbone, and what was looked for in it."""
    is_url = "://" in place
    if not is_url and not Path(place).is_dir():
        return None, "there is no such folder"
    if is_url or (Path(place) / FORMAT_FILE).is_file():
        return _in_repository(place, name, chosen)
    if chosen:
        return None, f"a plain folder, which has no {chosen!r} of anything"
    return _in_folder(Path(place), name)


def _in_repository(place: str, name: str, chosen: str) -> tuple[Found | None, str]:
    from mcore.checkpoint.errors import NotFound

    address = f"backbones/{name}"
    try:
        repo = _opened(place)
        for ref in [f"{address}@{chosen}"] if chosen else _newest_first(repo, address):
            try:
                id = repo.resolve(ref)
            except NotFound:
                if chosen:
                    raise
                continue  # a deleted one, or the number of a save that never ended
            if _is_of_imagenet(repo.record(id)):
                return _checkpoint(repo, id), ""
        repo.resolve(address)
    except NotFound as error:
        return None, str(error).removeprefix(f"{place}: ").rstrip(".")
    return None, f"what it has of {address} has neither the tag {IMAGENET!r} nor the data set {IMAGENET!r}"


def _newest_first(repo: Any, address: str) -> Iterator[str]:
    numbers = [kept.key.rpartition("/")[2] for kept in repo.store.files(f"versions/{address}/")]
    return (f"{address}@{number}" for number in sorted(filter(str.isdecimal, numbers), key=int, reverse=True))


def _is_of_imagenet(record: Any) -> bool:
    return IMAGENET in record.tags or any(data.name.lower() == IMAGENET for data in record.dataset)


def _in_folder(folder: Path, name: str) -> tuple[Found | None, str]:
    """`FAMILY/NAME` and an ending, with or without the hash that publishers put behind a name."""
    from mcore.checkpoint.foreign import name_of

    there: dict[str, list[Path]] = {}
    for pattern in ("*", "*/*"):
        for file in folder.glob(pattern):
            if file.suffix.lower() in ENDINGS and file.is_file():
                stem = name_of(file).replace("-", "_")
                there.setdefault(OURS.get(stem, stem), []).append(file)
    fitting = sorted(there.get(name, ()), key=lambda file: (ENDINGS.index(file.suffix.lower()), str(file)))
    if fitting:
        best = [file for file in fitting if file.suffix.lower() == fitting[0].suffix.lower()]
        if len(best) > 1:
            several = ", ".join(file.relative_to(folder).as_posix() for file in best)
            warnings.warn(f"weights: {folder} has several of {name}: {several}; the first is taken.", stacklevel=6)
        return Found(str(best[0]), file=str(best[0])), ""
    likely = [there[found][0].relative_to(folder).as_posix() for found in nearest(name, there)]
    told = f"; the nearest are {', '.join(likely)}" if likely else f"; it has {len(there)} others"
    return None, f"no {name} with an ending of {', '.join(ENDINGS)} in it or a folder below{told}"


def _opened(url: str) -> Any:
    # Not at the top: models are built without a repository, too.
    from mcore.checkpoint.repository import Repository

    return Repository(url, create=False)


def _checkpoint(repo: Any, id: str) -> Found:
    """The whole state of a checkpoint, every byte of which was hashed."""
    record = repo.record(id)
    state: dict[str, np.ndarray] = {}
    channels: tuple[str, ...] = ()
    first: list[str] = []
    for component in record.components:
        front = f"{component.name}." if component.name else ""
        state |= {f"{front}{key}": array for key, array in repo.arrays(component).items()}
        if component.channels and component.first_conv:
            channels = channels or component.channels
            first += [f"{front}{layer}.weight" for layer in component.first_conv]
    state |= {second: state[one] for second, one in record.shared.items() if one in state}
    where = f"{repo.store.url}#{record.id} ({record.address}@{record.version})"
    return Found(where, state=state, channels=channels, first=tuple(first))


__all__ = ["IMAGENET", "OURS", "VARIABLE", "Asked", "Found", "asked", "find", "places_of", "target_of"]
