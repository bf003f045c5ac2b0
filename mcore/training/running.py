"""Training by a configuration: `mcore train`, and the same from Python."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import yaml

from mcore import config as configuration
from mcore.backend import demand
from mcore.checkpoint.extras import needed
from mcore.exchange.atomic import atomic_file
from mcore.training.errors import TrainingError
from mcore.training.settings import Settings, as_written, settings_of

if TYPE_CHECKING:
    import torch

    from mcore.training.loop import Trainer

WEIGHTS = "weights.safetensors"
_LOCK = ".lock"
_DATA = ("train", "validation")
# What is told of the environment, beside mcore's own version.
_PACKAGES = ("torch", "numpy", "torchmetrics", "kornia", "monai")


@dataclass
class Result:
    """What a training left.

    Attributes:
        net: the network, trained, in eval mode; where an average of the weights was taken, with the average.
        out: the folder of the run.
        reason: why it ended: "done", "early stopping".
        metrics: of the last validation, by name: "validation.loss".
        history: all validations, in order: "step", "epoch", "metrics".
        best: the id of the best checkpoint in `checkpoints`, where there was a validation.
        report: the page of the run.
    """

    net: Any
    out: Path
    reason: str
    metrics: dict[str, float]
    history: list[dict[str, Any]] = field(repr=False)
    best: str | None
    report: Path | None


def train(
    config: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    out: str | os.PathLike[str] | None = None,
    net: Any = None,
    data: Mapping[str, Any] | None = None,
    fresh: bool = False,
    progress: str = "auto",
) -> Result:
    """Trains the network of a configuration, or goes on where an earlier run of it stopped.

    Args:
        config: a YAML or JSON file, or what one would hold: `model` and `train`.
        overrides: `path=value`, as "train.epochs=3"; see `mcore.config.read`.
        out: the folder of the run; `runs/` and the file's name where left out.
        net: the network, instead of the section `model`.
        data: "train" and "validation", each a torch dataset or a `data.Source`, instead of `train.data`.
        fresh: start over, also where the folder holds a run.
        progress: "auto", "bar", "plain", "json" or "quiet".

    Raises:
        ConfigError: every mistake of the configuration, with its place; nothing was built.
        TrainingError: what the configuration asks for can't be done here; or a loss isn't finite.
        DataError: data that can't be used.
        StateError: the folder holds a run of another configuration.
        RuntimeError: on the platform engine, which has no gradients.
    """
    job = _Job(config, overrides, out=out, net=net, data=data)
    with job.prepared(fresh=fresh, progress=progress) as (trainer, log):
        return job.run(trainer, log)


def check(
    config: str | os.PathLike[str] | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    net: Any = None,
    data: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Builds all of a configuration and computes the loss of one batch, without training and without writing anything.

    Returns:
        "samples", "validation" (their numbers), "steps", "epochs", "parameters", "trained", "macs" of a sample,
        "loss" and "losses" of the first batch, "shapes" of the batch by key.

    Raises:
        as `train`.
    """
    import copy
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        job = _Job(config, overrides, out=folder, net=copy.deepcopy(net), data=data)
        trainer = job.trainer(progress="quiet")
        try:
            return {**job.told(trainer), **_first_loss(trainer)}
        finally:
            trainer.release()
            trainer.runtime.close()


def _first_loss(trainer: Trainer) -> dict[str, Any]:
    import torch

    trainer.order.set(0, 0)
    batch = next(iter(trainer._loader()))
    with torch.no_grad(), trainer.runtime.random_apart():
        loss, parts = trainer.stepper.forward(batch)
    return {
        "loss": loss.item(),
        "losses": {name: value.item() for name, value in parts.items()},
        "shapes": {key: list(value.shape) for key, value in batch.items() if isinstance(value, torch.Tensor)},
    }


class _Job:
    """A configuration on its way to a training: read, built, run."""

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, Any],
        overrides: Sequence[str],
        *,
        out: str | os.PathLike[str] | None,
        net: Any,
        data: Mapping[str, Any] | None,
    ) -> None:
        demand("torch", "mcore.training trains")
        self.source, self.overrides = config, list(overrides)
        self.read = configuration.read(config, overrides)
        self.settings: Settings = settings_of(self.read)
        if data is None and self.settings.data is None:
            raise configuration.ConfigError([self.read.mistake(("train",), "no data: give train.data")])
        self.net, self.data, self.fresh = net, dict(data or {}), False
        for name in self.data:
            if name not in _DATA:
                raise TrainingError(f"data: nothing reads {name!r}; there are {' and '.join(map(repr, _DATA))}.")
        self.base = Path() if isinstance(config, Mapping) else Path(config).parent
        self.settings = _at_base(self.settings, self.base)
        stem = "run" if isinstance(config, Mapping) else Path(config).stem
        self.out = Path(out) if out is not None else Path("runs") / (self.settings.name or stem)

    # --- building

    def trainer(self, *, progress: str) -> Trainer:
        """All built, nothing written."""
        import mcore
        from mcore.training.loop import Trainer
        from mcore.training.runtime import Runtime
        from mcore.training.starting import begin
        from mcore.training.state import FILE, fingerprint

        settings = self.settings
        training, validation = self._samples()
        runtime = Runtime.start(settings.strategy, settings.device)
        try:
            with runtime.random_apart():
                mcore.manual_seed(settings.seed)
                net = self._network()
            self.started = ""
            # A run that goes on has its weights; what it once started from may be gone.
            if settings.start is not None and (self.fresh or not (self.out / FILE).exists()):
                self.started = begin(net, settings.start, self.base)
            with self._placed():
                return Trainer(
                    net,
                    settings,
                    training=training,
                    validation=validation,
                    out=self.out,
                    runtime=runtime,
                    fingerprint=fingerprint(self.read.data.get("model"), settings),
                    task=_task(settings),
                    progress=progress,
                )
        except BaseException:
            runtime.close()
            raise

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        """A block whose mistakes are told with their places in the configuration."""
        try:
            yield
        except configuration.ConfigError as error:
            told = [
                mistake
                if mistake.origin is not None
                else self.read.mistake(as_written(self.read, mistake.path), mistake.message)
                for mistake in error.mistakes
            ]
            raise configuration.ConfigError(told) from error

    def _network(self) -> torch.nn.Module:
        if self.net is not None:
            return self.net
        from mcore.checkpoint.parts.builders import builder_of

        # The file itself, so that a mistake under `model` is told with its line.
        build: Any = builder_of("models")
        return build(self.source, self.overrides)

    def _samples(self) -> tuple[Any, Any]:
        from mcore.training.data.augmenting import Augment
        from mcore.training.data.opening import check_alike, open_source
        from mcore.training.data.samples import Samples

        given = self.settings.data
        found: dict[str, Any] = dict(self.data)
        for name in _DATA:
            typed = getattr(given, name, None)
            if name not in found and typed is not None:
                where = ("train", "data", name)
                found[name] = open_source(typed, base=self.base, config=self.read, where=where)
        if "train" not in found:
            raise TrainingError(f"data has {', '.join(found) or 'nothing'}; training needs 'train'.")
        check_alike(found["train"], found.get("validation"))
        augment = Augment(given.augment, config=self.read) if given is not None and given.augment else None
        seed = self.settings.seed
        training = Samples(found["train"], seed=seed, augment=augment)
        return training, Samples(found["validation"], seed=seed) if found.get("validation") is not None else None

    # --- running

    @contextlib.contextmanager
    def prepared(self, *, fresh: bool, progress: str) -> Iterator[tuple[Trainer, Any]]:
        """The training and its log, while no other process may train in its folder."""
        self.fresh = fresh
        trainer = self.trainer(progress=progress)
        runtime = trainer.runtime
        try:
            with self._alone() if runtime.first else contextlib.nullcontext():
                if fresh and runtime.first:
                    self._clear()
                runtime.wait()
                resumed = trainer.resume()
                log = self._begin(trainer, resumed) if runtime.first else None
                try:
                    yield trainer, log
                finally:
                    if log is not None:
                        log.close()
        finally:
            trainer.objective.close()
            runtime.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        filelock = needed("filelock", "train", what="training")
        self.out.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.out / _LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise TrainingError(f"{self.out}: another process trains in it; give another folder (--out).") from error
        try:
            yield
        finally:
            lock.release()

    def _clear(self) -> None:
        """Takes away what a run left. Its checkpoints are deleted as a repository does, until `gc` to be restored: the
        best of another run would be the best of this one, too. Those in a repository that runs share stay.
        """
        from mcore.checkpoint import Repository
        from mcore.training.shown.logs import NAME
        from mcore.training.state import FILE

        for name in (FILE, NAME, WEIGHTS, "report.html", "model.json", "config.yaml"):
            (self.out / name).unlink(missing_ok=True)
        for picture in (self.out / "pictures").glob("epoch-*.png"):
            picture.unlink()
        own = self.out / "checkpoints"
        if self.settings.checkpoints.repository is None and own.exists():
            repo = Repository(own, create=False)
            for id in repo.ids():
                repo.delete(id)

    def _begin(self, trainer: Trainer, resumed: bool) -> Any:
        from mcore.training.shown.logs import Log

        told = self.told(trainer)
        text = yaml.dump(self.read.data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
        _write(self.out / "config.yaml", f"# Relative paths start from {self.base.absolute()}\n{text}")
        _write(self.out / "model.json", json.dumps(self.anatomy, indent=1))
        log = Log(self.out, tensorboard=self.settings.log.tensorboard, resume_step=trainer.step if resumed else None)
        log.write(
            event="start",
            time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            step=trainer.step,
            epoch=trainer.step // trainer.per_epoch,
            resumed=resumed,
            device=str(trainer.runtime.device),
            processes=trainer.runtime.world,
            strategy=trainer.runtime.strategy,
            precision=self.settings.precision,
            versions=_versions(),
            started_from=self.started,
            **{key: told[key] for key in ("samples", "validation", "steps", "epochs", "parameters", "trained")},
        )
        return log

    def told(self, trainer: Trainer) -> dict[str, Any]:
        """What a training will be, in numbers."""
        from mcore.training.anatomy import anatomy
        from mcore.training.unrolled import first_input

        image = trainer.training[0, 0]["image"][None].to(trainer.runtime.device)
        if self.settings.unrolled is not None:
            image = first_input(trainer.net, image)
        self.anatomy = anatomy(trainer.net, image) if trainer.runtime.strategy != "fsdp" else _unknown(trainer.net)
        return {
            "samples": len(trainer.training),
            "validation": 0 if trainer.validation is None else len(trainer.validation),
            "steps": trainer.total,
            "epochs": trainer.epochs,
            "parameters": self.anatomy["parameters"],
            "trained": sum(value.numel() for value in trainer.net.parameters() if value.requires_grad),
            "macs": self.anatomy["macs"],
        }

    def run(self, trainer: Trainer, log: Any) -> Result:
        """Trains, and writes what the training is for."""
        import mcore
        from mcore.training import state
        from mcore.training.shown import logs, report

        try:
            reason = trainer.fit(log)
        except BaseException:
            if log is not None:
                # Whoever looks why it ended finds a page; what went wrong is told whatever becomes of that.
                with contextlib.suppress(OSError, ImportError):
                    report.write(self.out)
            if trainer.stopping:
                # A launcher that sees one leave ends the others, and the first may still be writing its page.
                trainer.runtime.wait()
            raise
        result = trainer.result()
        page, history = None, []
        if trainer.runtime.first:
            mcore.save(result, self.out / WEIGHTS)
            assert log is not None
            log.close()
            history = [event for event in logs.events(self.out) if event["event"] == "validation"]
            page = report.write(self.out)
        # All leave together: gloo's threads don't outlive a process whose peers are still talking to it.
        trainer.runtime.wait()
        # One that was sharded can't compute without the other processes: what comes back is whole.
        net = trainer.net if trainer.keeper.plain is None else trainer.keeper.plain
        if trainer.ema is not None or net is not trainer.net:
            state.set_network(net, result, self.out)
        return Result(net.eval(), self.out, reason, dict(trainer.metrics), history, trainer.keeper.best, page)


class _Dumper(yaml.SafeDumper):
    """Writes paths as text."""


_Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_str(str(path)))


def _at_base(settings: Settings, base: Path) -> Settings:
    """Settings whose repository of checkpoints is found from here: like all paths, it was relative to their file."""
    where = settings.checkpoints.repository
    if where is None or "://" in where:
        return settings
    kept = settings.checkpoints.model_copy(update={"repository": str(base / where)})
    return settings.model_copy(update={"checkpoints": kept})


def _unknown(net: Any) -> dict[str, Any]:
    """What is known of a network whose shards lie on other devices."""
    return {"layers": [], "parameters": sum(value.numel() for value in net.parameters()), "macs": None}


def _task(settings: Settings) -> str:
    """What a repository calls such a training, where no head tells."""
    known = {"label": "classification", "mask": "segmentation", "image": "reconstruction"}
    targets = [loss.target for losses in settings.losses.values() for loss in losses if loss.target]
    return next((known[target] for target in targets if target in known), "training")


def _versions() -> dict[str, str]:
    import mcore

    found = {"mcore": mcore.__version__}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())


__all__ = ["Result", "check", "train"]
