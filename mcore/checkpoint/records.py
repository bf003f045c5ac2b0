"""What a checkpoint carries: the record that stands beside its weights, typed and checked.

A record is written once and never changed; what is said of a checkpoint later (tags, aliases, that it is deleted) are
events. Both are JSON: no key twice, finite numbers, nothing that isn't described here. Keys keep their order, which is
that of heads in a configuration, and so of entries in a state.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from mcore.checkpoint.errors import LimitExceeded, SchemaError

FORMAT = 1
# Bytes of a record or an event; the largest that a network of a thousand parts makes is a tenth of it.
LARGEST = 1 << 20
# Levels of mappings and lists in each other.
DEEPEST = 64
# What a channel of an image is, by the letters that stand for it.
LETTERS = {"R": "red", "G": "green", "B": "blue", "I": "infrared", "D": "depth", "L": "luminance"}

Role = Literal["backbone", "neck", "head", "network", "part"]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
# Names of networks, tasks, tags, aliases: also a step of a path, so neither hidden nor "..".
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")]
# Of metrics: a word of a question.
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_@-]{0,99}$")]
Text = Annotated[str, StringConstraints(max_length=10_000)]
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Size = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)]

Read = TypeVar("Read", bound="Strict")


class Strict(BaseModel):
    """Data of exactly these fields and types; it can't be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Blob(Strict):
    """A file of the store, by what is in it."""

    sha256: Digest
    size: Count


class Structure(Strict):
    """What builds the network anew.

    Attributes:
        builder: the name of an installed builder (entry points "mcore.builders"), never a path to code; "" where the
            network's class is in no registry, and it can only be loaded into one that stands.
        config: what the builder takes.
        title: the class, for people.
    """

    builder: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}$|^$")] = ""
    config: dict[str, Any] = Field(default_factory=dict)
    title: Line = ""


class Code(Strict):
    """The code that made it: package, version, commit (None outside of a repository), hash of the classes used."""

    package: Line
    version: Line
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    dirty: bool | None = None
    hash: Digest | None = None
    engine: Line = ""
    libraries: dict[Line, Line] = Field(default_factory=dict)


class Component(Strict):
    """A part with a file of its own.

    Attributes:
        role: backbone, neck, head; "network" where it is whole, "part" of a graph's other parts.
        name: below which name its entries stand in the network: "backbone", "heads.mask"; "" for all of it.
        type: the name of its class in the registry ("resnet50"), or of the class itself.
        arguments: that its constructor received.
        blob: its weights as safetensors; None where it has none.
        parameters: numbers that are trained.
        in_channels: of the images that it sees.
        channels: what each of these means, in order: ["R", "G", "B", "mask"].
        mean, std, value_range: how images are normalised before they come here, by channel.
        first_conv, classifier: names of the layers that see the image, and that score classes, below `name`.
        out_channels: of what it gives.
        num_classes: that it scores.
        task: of a head: "segmentation", "detection", ...
        resolution: of what it gives, to the image: "1", "H/2", "H/8".
        facts: of the task: real sizes of anchors, mean size of objects, names of classes.
    """

    role: Role
    name: Line = ""
    type: Line = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    blob: Blob | None = None
    parameters: Count = 0
    in_channels: Positive | None = None
    channels: tuple[Line, ...] = ()
    mean: tuple[Finite, ...] = ()
    std: tuple[Finite, ...] = ()
    value_range: tuple[Finite, Finite] | None = None
    first_conv: tuple[Line, ...] = ()
    classifier: tuple[Line, ...] = ()
    out_channels: Positive | None = None
    num_classes: Positive | None = None
    task: Line = ""
    resolution: Annotated[str, StringConstraints(pattern=r"^(1|[LDHW](/\d+)?)?$")] = ""
    facts: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _channels_agree(self) -> Component:
        for key in ("channels", "mean", "std"):
            given = getattr(self, key)
            if given and self.in_channels is not None and len(given) not in (self.in_channels, 1):
                raise ValueError(f"{key} names {len(given)}, but in_channels is {self.in_channels}")
        return self


class Metric(Strict):
    """A number that tells how good it is: accuracy, mAP, L1, mIoU, any.

    `split` is what was measured on ("val"), `dataset` of which data, `head` which of several heads; `better` says
    whether "higher" or "lower" is, where that is known.
    """

    name: Word
    value: Finite
    split: Annotated[str, StringConstraints(pattern=r"^([A-Za-z_][A-Za-z0-9_-]{0,49})?$")] = ""
    dataset: Line = ""
    head: Line = ""
    better: Literal["higher", "lower", ""] = ""

    @property
    def key(self) -> str:
        """How questions name it: "miou", "val.miou"."""
        return f"{self.split}.{self.name}" if self.split else self.name


class Dataset(Strict):
    """What it was trained on; `version` may be a hash, `images` their number."""

    name: Line
    version: Line = ""
    images: Count | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


class Group(Strict):
    """Parameters that are optimised alike: learning rate and weight decay as they were when it was saved."""

    lr: Annotated[Finite, Field(ge=0)]
    weight_decay: Annotated[Finite, Field(ge=0)] = 0.0
    name: Line = ""
    facts: dict[str, Any] = Field(default_factory=dict)


class Optimiser(Strict):
    """How it was trained; `max_start_lr` is the largest learning rate to start from that doesn't spoil the weights."""

    name: Line = ""
    groups: tuple[Group, ...] = ()
    scheduler: Line = ""
    max_start_lr: Annotated[Finite, Field(gt=0)] | None = None


class Cost(Strict):
    """What a pass takes on a device; figures of two devices aren't compared.

    Attributes:
        device: its name, with that of the hardware.
        shape: of the input, with the batch.
        forward_ms: without a graph, in eval mode: median of `runs`; `spread_ms` from the 10th to the 90th percentile.
        forward_backward_ms: in training mode, with the gradient of the mean of all outputs; None on engines without.
        memory_bytes: most that the passes take besides the weights; None where it can't be measured.
    """

    device: Line
    shape: Size
    precision: Line = "fp32"
    forward_ms: Annotated[Finite, Field(ge=0)]
    forward_backward_ms: Annotated[Finite, Field(ge=0)] | None = None
    spread_ms: Annotated[Finite, Field(ge=0)] = 0.0
    memory_bytes: Count | None = None
    training_memory_bytes: Count | None = None
    runs: Positive = 1
    threads: Positive | None = None


class Record(Strict):
    """A checkpoint, whole, but for the bytes of its weights.

    Attributes:
        id: a ULID: sorts by time of saving within a repository.
        kind: where it stands in the trees: "backbone" or "network".
        network: name of the network or backbone: "resnet50", "UNet", "resnet50-FPN-Segmentation".
        version: counts the checkpoints of a name, from 1: "networks/segmentation/UNet@3".
        training: whether it was saved in training mode.
        resolutions: sizes that it was trained at, in pixels: (L), (H, W) or (D, H, W).
        has_nan: whether an entry of the weights isn't finite.
        rule: what made a saver save it.
        shared: entries of the state that are one tensor under two names: {second: first}.
    """

    format: Literal[1] = 1
    id: Identifier
    kind: Literal["backbone", "network"]
    network: Name
    task: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,99})?$")] = ""
    version: Positive
    structure: Structure
    code: Code
    components: Annotated[tuple[Component, ...], Field(min_length=1, max_length=1000)]
    training: bool = False
    resolutions: tuple[Size, ...] = ()
    loss: dict[str, Any] = Field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    dataset: tuple[Dataset, ...] = ()
    optimiser: Optimiser | None = None
    precision: Literal["fp32", "fp16", "bf16", "mixed", ""] = ""
    batch_size: Positive | None = None
    costs: tuple[Cost, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)
    tags: dict[Name, Line] = Field(default_factory=dict)
    notes: Text = ""
    author: Line = ""
    created: Moment
    parent: Identifier | None = None
    rule: Line = ""
    has_nan: bool = False
    shared: dict[str, str] = Field(default_factory=dict)

    @property
    def address(self) -> str:
        """Its place in the trees: "backbones/resnet50", "networks/segmentation/UNet"."""
        return address_of(self.kind, self.task, self.network)

    @property
    def values(self) -> dict[str, float]:
        """Its metrics as questions name them; of several heads or data sets, the last."""
        return {metric.key: metric.value for metric in self.metrics}

    def component(self, name: str) -> Component | None:
        """The component of a name or a role."""
        return next((one for one in self.components if name in (one.name, one.role)), None)

    @field_validator("components")
    @classmethod
    def _names_differ(cls, components: tuple[Component, ...]) -> tuple[Component, ...]:
        names = [one.name for one in components]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two components are called {sorted(twice)[0]!r}")
        return components

    @model_validator(mode="after")
    def _placed(self) -> Record:
        # Without one, two checkpoints of a network could stand at one address.
        if self.kind == "network" and not self.task:
            raise ValueError('a network has a task ("segmentation", ...); "any" where it has none')
        return self


class Event(Strict):
    """What happened to a checkpoint after it was saved.

    `do` is "tag" (`name`, `value`), "untag" (`name`), "alias" (`name`, within its address), "note" (`value`),
    "delete", or "restore".
    """

    format: Literal[1] = 1
    id: Identifier
    checkpoint: Identifier
    do: Literal["tag", "untag", "alias", "note", "delete", "restore"]
    name: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._+-]{0,99})?$")] = ""
    value: Text = ""
    author: Line = ""
    created: Moment

    @model_validator(mode="after")
    def _named(self) -> Event:
        if self.do in ("tag", "untag", "alias") and not self.name:
            raise ValueError(f"{self.do} needs a name")
        return self


def address_of(kind: str, task: str, network: str) -> str:
    """The place of a checkpoint in the trees.

    >>> address_of("network", "detection", "yolov4"), address_of("backbone", "", "resnet50")
    ('networks/detection/yolov4', 'backbones/resnet50')
    """
    return f"backbones/{network}" if kind == "backbone" else f"networks/{task}/{network}"


def channels_of(said: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """What each channel is: letters stand for one each, words between "+" for one.

    >>> channels_of("RGB+mask"), channels_of("BGR"), channels_of(["em", "mask"])
    (('R', 'G', 'B', 'mask'), ('B', 'G', 'R'), ('em', 'mask'))
    """
    if not isinstance(said, str):
        return tuple(said)
    out: list[str] = []
    for word in filter(None, re.split(r"[+,\s]+", said.strip())):
        out += list(word) if set(word) <= LETTERS.keys() else [word]
    return tuple(out)


def written(model: Strict) -> bytes:
    """A record or an event as JSON.

    Raises:
        SchemaError: a value is no data, or not finite.
        LimitExceeded: it is larger than any that is read.
    """
    try:
        data = model.model_dump(mode="json", exclude_defaults=False)
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1)
        content = text.encode() + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise SchemaError(f"{type(model).__name__}: {first(error)}") from error
    if len(content) > LARGEST:
        raise LimitExceeded(f"{type(model).__name__}: {len(content)} bytes of JSON; at most {LARGEST} are kept.")
    return content


def read(content: bytes, kind: type[Read], where: str) -> Read:
    """A record or an event out of its JSON.

    Raises:
        SchemaError: it isn't JSON, has a key twice or a number that isn't finite, or doesn't fit; all that is wrong.
        LimitExceeded: it is too large, or nested too deeply.
    """
    if len(content) > LARGEST:
        raise LimitExceeded(f"{where}: {len(content)} bytes; a {kind.__name__.lower()} has at most {LARGEST}.")
    _check_depth(content, where)
    try:
        data = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refused, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{where}: not the JSON of a {kind.__name__.lower()}: {first(error)}") from error
    return checked(data, kind, where)


def checked(data: Any, kind: type[Read], where: str) -> Read:
    """`data` as a record, an event, or a part of one.

    Raises:
        SchemaError: it doesn't fit; every mistake is told with its place.
    """
    if isinstance(data, Mapping) and data.get("format", FORMAT) != FORMAT:
        raise SchemaError(f"{where}: format {data['format']!r}; this mcore reads {FORMAT}. A newer one may read it.")
    try:
        _finite(data, where)
        return kind.model_validate(data)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors(include_url=False, include_input=False)[:20]
        )
        raise SchemaError(f"{where}: {told}.") from error


def first(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_depth(content: bytes, where: str) -> None:
    """Refuses deep nesting before the parser, which is recursive, sees it."""
    depth = 0
    for part in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[{]+|[\]}]+', content):
        if part[:1] in b"[{":
            depth += len(part)
            if depth > DEEPEST:
                raise LimitExceeded(f"{where}: nested more than {DEEPEST} deep.")
        elif part[:1] in b"]}":
            depth -= len(part)


def _finite(value: Any, where: str) -> None:
    """Refuses numbers that JSON lacks, in free data too; and text that can't be written as UTF-8."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise SchemaError(f"{where}: nested more than {DEEPEST} deep, or in itself.")
        if isinstance(item, float) and not math.isfinite(item):
            raise SchemaError(f"{where}: {item!r} is no finite number.")
        if isinstance(item, str):
            _writable(item, where)
        if isinstance(item, Mapping):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list | tuple):
            waiting += [(part, depth + 1) for part in item]


def _writable(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SchemaError(f"{where}: {text[:50]!r} can't be written as UTF-8.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"the key {twice!r} is there twice in one mapping")
    return out


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no finite number")


def _whole(text: str) -> int:
    if len(text) > 20:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


__all__ = [
    "Blob",
    "Code",
    "Component",
    "Cost",
    "Dataset",
    "Event",
    "Group",
    "Metric",
    "Optimiser",
    "Record",
    "Structure",
    "address_of",
    "channels_of",
    "checked",
    "read",
    "written",
]
