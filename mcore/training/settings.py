"""The section `train` of a configuration, checked whole before anything is built or read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mcore.config import Config, ConfigError, Mistake
from mcore.signatures import Path
from mcore.vocabulary import nearest

Positive = Annotated[int, Field(gt=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
# Under what name a network's only output goes, beside the names of heads.
OUTPUT = "output"
# "max:validation.iou", "min:validation.loss"
Rule = Annotated[str, Field(pattern=r"^(min|max):[A-Za-z_][\w.-]*$")]


class Section(BaseModel):
    """Abstract: a mapping of the configuration, whose keys are its fields; another key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Typed(BaseModel):
    """Something made by name: its `type`, and whatever arguments that takes, which its maker checks.

    >>> Typed.model_validate("AdamW").type
    'AdamW'
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    type: Annotated[str, Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @property
    def arguments(self) -> dict[str, Any]:
        """All but the type, and what a subclass has of its own."""
        return dict(self.model_extra or {})


class Data(Section):
    """Where samples come from; see `mcore.training.data`. Without validation data there are no validation metrics.

    `augment` is a list of augmentations by name, for training data alone.
    """

    train: Typed
    validation: Typed | None = None
    augment: list[Typed] = []


class Loss(Typed):
    """A loss by name, or by an import path `package.module:name`; its other keys are arguments of the constructor.

    Attributes:
        weight: what it is multiplied by in the sum of all.
        target: the key of the batch that it compares with; by default the head's name, where the batch has that key,
            else the only target.
        of: the path of a submodule whose output it is computed of, instead of the network's own: "encoder".
        name: what logs call it; by default its type, in small letters with underscores.
    """

    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    target: str | None = None
    of: str | None = None
    name: str | None = None


class Metric(Typed):
    """A metric of torchmetrics by its class's name, or by an import path; its other keys are its arguments.

    Attributes: `target` and `name` as those of `Loss`.
    """

    target: str | None = None
    name: str | None = None


class Part(Section):
    """How a part of the network (backbone, neck, head, or any path of a submodule) is trained.

    Attributes:
        lr: its learning rate; where left out, the optimiser's.
        weight_decay: the same.
        frozen: True: it isn't trained, and its norms keep their statistics; a number: not in so many first epochs.
    """

    lr: Amount | None = None
    weight_decay: Amount | None = None
    frozen: bool | Positive = False


class Schedule(Typed):
    """How the learning rate changes from step to step: "constant", "cosine", "linear", "onecycle", "polynomial",
    or a class of torch.optim.lr_scheduler with its arguments.

    Attributes:
        warmup: steps in which it rises from (nearly) nothing first.
    """

    warmup: Annotated[int, Field(ge=0)] = 0


class Loader(Section):
    """How batches are read: arguments of torch.utils.data.DataLoader."""

    num_workers: Annotated[int, Field(ge=0)] = 0
    pin_memory: bool = False
    prefetch_factor: Positive | None = None
    persistent_workers: bool = True


class Compile(Section):
    """Arguments of torch.compile."""

    mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    fullgraph: bool = False
    dynamic: bool | None = None
    backend: str = "inductor"


class Average(Section):
    """An exponential moving average of the weights, which validation, checkpoints and the end result have."""

    decay: Share = 0.999


class EarlyStopping(Section):
    """Stops where a metric hasn't become better by `min_delta` in `patience` validations."""

    metric: Rule = "min:validation.loss"
    patience: Positive = 5
    min_delta: Amount = 0.0


class Checkpoints(Section):
    """What is saved to a checkpoint repository, by `mcore.checkpoint.Saver`; "best" and "last" of this run.

    Attributes:
        repository: a folder (relative to the configuration's) or an address, which several runs may share: there
            "best" and "last" have the run's name behind them; where left out, `checkpoints` in the run's folder.
        rule: which are best.
        keep: how many of these stay.
        tags: of all of them.
    """

    repository: str | None = None
    rule: Rule | None = None
    keep: Positive = 3
    tags: list[str] = []


class Start(Section):
    """Weights to start from: of a file, or of a checkpoint (with its repository); whole, or some parts.

    `strict: false` also takes what doesn't fit whole; what was loaded is said.
    """

    file: str | None = None
    checkpoint: str | None = None
    repository: str | None = None
    parts: list[str] | None = None
    strict: bool = True

    @model_validator(mode="after")
    def _one_source(self) -> Start:
        if (self.file is None) == (self.checkpoint is None):
            raise ValueError("give one of file and checkpoint")
        if (self.checkpoint is None) != (self.repository is None):
            raise ValueError("a checkpoint is of a repository: give both, or a file alone")
        return self


class Unrolled(Section):
    """Training of a recurrent or self-correcting network on its own outputs: see `mcore.training.unrolled`.

    Attributes:
        steps: how often the network is applied in a sample.
        detach: whether gradients stop between applications.
        discount: what each earlier application's loss is multiplied by.
    """

    steps: Positive
    detach: bool = False
    discount: Annotated[float, Field(gt=0, le=1)] = 1.0


class Log(Section):
    """What is written beside the weights: always `log.jsonl` and `report.html`.

    Attributes:
        every: steps between two lines of the log.
        tensorboard: whether event files are written, too.
        pictures: samples of the validation data whose predictions are drawn after each epoch.
    """

    every: Positive = 10
    tensorboard: bool = False
    pictures: Annotated[int, Field(ge=0, le=64)] = 4


class Settings(Section):
    """The section `train`.

    Attributes:
        data: where samples come from; None where Python gives datasets.
        losses: by head; of a network with one output a list, or one.
        metrics: the same.
        epochs: passes over the data; or `steps` of the optimiser, the one or the other.
        batch: samples that a step of the optimiser sees, on all processes together, so that a run on more devices is
            the same run; each process takes `batch / (processes * accumulate)` at a time.
        accumulate: into how many parts a process cuts its share, one after another, for less memory.
        optimiser: a class of torch.optim by name, with its arguments.
        clip: the largest norm of all gradients together; None for any.
        precision: "float32"; "bf16" and "fp16" are automatic mixed precision, fp16 with a scaled loss.
        recompute: stages whose activations are computed again in the backward pass: paths of submodules, as
            "backbone.layer3", or patterns of them.
        validate_every: epochs between two validations.
        snapshot_every: steps between two saved states of training, from which an interrupted run goes on; they are
            saved at the end of each epoch, too.
        strategy: "auto": one process, or where torchrun or SLURM started several, DDP; "ddp"; "fsdp" (FSDP2).
        device: "auto", "cpu", "cuda", "cuda:1", "mps", "xpu".
        sync_batchnorm: whether batch norms see the batch of all processes.
        find_unused_parameters: whether DDP looks in each step for parameters that no loss reaches, and goes on without
            them; it's slower, and torch asks for it where a part isn't used in some step.
        deterministic: torch's deterministic algorithms, and cuDNN's; slower on a GPU.
        name: of the run, in checkpoints and pages; by default its folder's.
    """

    data: Data | None = None
    losses: dict[str, list[Loss]]
    metrics: dict[str, list[Metric]] = {}
    epochs: Positive | None = None
    steps: Positive | None = None
    batch: Positive
    accumulate: Positive = 1
    optimiser: Typed = Typed(type="AdamW")
    schedule: Schedule = Schedule(type="constant")
    clip: Annotated[float, Field(gt=0)] | None = None
    parts: dict[str, Part] = {}
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: Compile | None = None
    recompute: list[str] = []
    channels_last: bool = False
    cudnn_benchmark: bool = False
    deterministic: bool = False
    loader: Loader = Loader()
    ema: Average | None = None
    early_stopping: EarlyStopping | None = None
    validate_every: Positive = 1
    snapshot_every: Positive | None = None
    checkpoints: Checkpoints = Checkpoints()
    start: Start | None = None
    unrolled: Unrolled | None = None
    log: Log = Log()
    strategy: Literal["auto", "none", "ddp", "fsdp"] = "auto"
    device: str = "auto"
    sync_batchnorm: bool = False
    find_unused_parameters: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,49}$")] | None = None

    @field_validator("losses", "metrics", mode="before")
    @classmethod
    def _by_head(cls, value: Any) -> Any:
        """One, or a list of them, is of the only output; a mapping without a type is by head."""
        if isinstance(value, str | list | tuple) or (isinstance(value, Mapping) and "type" in value):
            value = {OUTPUT: value}
        if not isinstance(value, Mapping):
            return value
        return {head: list(found) if isinstance(found, list | tuple) else [found] for head, found in value.items()}

    @model_validator(mode="after")
    def _fitting(self) -> Settings:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give one of epochs and steps")
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} can't be cut into accumulate={self.accumulate} equal parts")
        return self


def settings_of(config: Config) -> Settings:
    """The section `train` of a configuration.

    Raises:
        ConfigError: there is none, or something in it is wrong: every mistake, with its place.
    """
    given = config.data.get("train")
    if not isinstance(given, Mapping):
        wrong = "no section 'train'" if given is None else f"train is a mapping, not {given!r}"
        raise ConfigError([config.mistake((), wrong)])
    try:
        return Settings.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors(include_url=False)
        config.refuse([_mistake(config, one["loc"], one) for one in found])
        raise  # pragma: no cover - a refusal has at least one mistake


def _mistake(config: Config, loc: tuple[int | str, ...], error: Mapping[str, Any]) -> Mistake:
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = list(_model_at(loc[:-1]).model_fields)
        likely = nearest(str(loc[-1]), known, least=0.5, most=1)
        hint = f"did you mean {likely[0]!r}? There are" if likely else "there are"
        message = f"nothing reads this key; {hint} {', '.join(sorted(known))}"
    elif error["type"] == "missing":
        message = "it is missing"
    else:
        message = f"{message[0].lower()}{message[1:]}, got {error['input']!r}"[:300]
    return config.mistake(as_written(config, ("train", *loc)), message)


def as_written(config: Config, path: Path) -> Path:
    """A path below `train`, as whoever wrote the configuration knows it: one loss needs no head and no list.

    >>> as_written(Config({"train": {"losses": "dice"}}), ("train", "losses", OUTPUT, 0, "weight"))
    ('train', 'losses', 'weight')
    """
    if len(path) < 4 or path[1] not in ("losses", "metrics"):
        return path
    section, head, index, *below = path[1:]
    given, kept = config.data["train"].get(section), path[:2]
    if isinstance(given, Mapping) and "type" not in given:
        given, kept = given.get(head), (*kept, head)
    return (*kept, index, *below) if isinstance(given, list | tuple) else (*kept, *below)


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose fields stand at a path below `train`."""
    model: type[BaseModel] = Settings
    for key in loc:
        if isinstance(key, str) and key in model.model_fields:
            model = next(_models(model.model_fields[key].annotation), model)
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models within a type: of `dict[str, list[Loss]] | None`, Loss."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


__all__ = ["OUTPUT", "Loss", "Metric", "Settings", "Typed", "as_written", "settings_of"]
