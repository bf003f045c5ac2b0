"""The training loop: epochs of steps, validations, saved states, and going on from one."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcore.training import optimisers, state
from mcore.training.averaging import EMA
from mcore.training.data.loading import training_loader
from mcore.training.data.sampling import Order
from mcore.training.errors import TrainingError
from mcore.training.keeping import Keeper
from mcore.training.objectives.metrics import Metrics
from mcore.training.objectives.objective import Objective
from mcore.training.recompute import recomputed
from mcore.training.runtime import Runtime
from mcore.training.schedules import Plan
from mcore.training.settings import Settings
from mcore.training.shown.logs import Log
from mcore.training.shown.reporter import Reporter
from mcore.training.step import Batch, Done, Stepper, to_memory_format
from mcore.training.stopping import Patience, check_rules
from mcore.training.validating import Validator
from mcore.training.watching import Signals, Watch, check_weights

# Why a training ended before its last step.
EARLY = "early stopping"


class Trainer:
    """Trains a network in place; one object, one training.

    Whatever is random in a step follows from the seed and the step's number, so that a training that was killed and
    goes on from its last saved state ends with the same weights.

    Args:
        net: the network, on the CPU.
        settings: the section `train`.
        training: samples to train with.
        validation: samples to judge by, if any.
        out: the folder of the run.
        runtime: this process, among others.
        fingerprint: what must be the same for a training to go on: see `state.fingerprint`.
        task: of the network, which checkpoints are found by.
        progress: how it tells: "auto", "bar", "plain", "json", "quiet".

    Raises:
        TrainingError: a name in the settings means nothing of this network, or the data don't suffice for a step.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        settings: Settings,
        *,
        training: Any,
        validation: Any,
        out: Path,
        runtime: Runtime,
        fingerprint: Mapping[str, str],
        task: str = "",
        progress: str = "auto",
    ) -> None:
        self.net, self.settings, self.out, self.runtime = net, settings, out, runtime
        self.fingerprint, self.progress = fingerprint, progress
        self.training, self.validation = training, validation
        self.step, self.reason = 0, ""
        # The signal that asked to stop, once all processes know of it.
        self.stopping = 0
        # Steps since the last line of the log, and the seconds that they took.
        self._taken, self._seconds = 0, 0.0
        self.metrics: dict[str, float] = {}
        self.order = Order(
            len(training),
            batch=settings.batch,
            accumulate=settings.accumulate,
            seed=settings.seed,
            rank=runtime.rank,
            world=runtime.world,
        )
        self.per_epoch = self.order.steps_in_epoch
        self.total = settings.steps or (settings.epochs or 0) * self.per_epoch
        self.epochs = -(-self.total // self.per_epoch)
        self.keeper = Keeper(net, settings, out=out, runtime=runtime, task=task)
        # What is done to the network for the time of the training, to be undone.
        self._borrowed = contextlib.ExitStack()
        try:
            self._prepare()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Gives the network back as it came: nothing listens to its parts, and those that stood still are free."""
        self._borrowed.close()

    def _prepare(self) -> None:
        settings, device = self.settings, self.runtime.device
        if settings.metrics and self.validation is None:
            raise TrainingError(
                "train.metrics: there is no validation data to measure; give some (train.data.validation), or leave "
                "train.metrics out."
            )
        if settings.deterministic:
            # cuBLAS looks at it once, when the first matrix is multiplied.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        to_memory_format(self.net, settings, sharded=self.runtime.strategy == "fsdp")
        self.net.to(device)
        self.net.train()
        for parameter in self.net.parameters():
            if parameter.requires_grad:
                self._borrowed.callback(parameter.requires_grad_, True)
        self.still = optimisers.freeze(self.net, settings.parts, 0)
        if settings.sync_batchnorm and self.runtime.world > 1:
            if device.type == "cpu":
                raise TrainingError("train.sync_batchnorm: torch has it on accelerators alone; leave it out on a CPU.")
            self.net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.net)
        if settings.compile is not None:
            self.net.compile(**settings.compile.model_dump())
        self.objective = Objective(settings.losses, self.net)
        self._borrowed.callback(self.objective.close)
        metrics = Metrics(settings.metrics, self.objective, device=device)
        self.runtime.shard(self.net)
        self.optimiser = optimisers.optimiser_of(self.net, settings.optimiser, settings.parts)
        self.stepper = Stepper(
            self.net, self.objective, optimiser=self.optimiser, settings=settings, runtime=self.runtime
        )
        if not any(parameter.requires_grad for parameter in self.net.parameters()):
            raise TrainingError("train.parts: in the first epoch every part is frozen; leave one that is trained.")
        self.plan = Plan(self.optimiser, settings.schedule, self.total)
        self.ema = None if settings.ema is None else EMA(self.net, settings.ema.decay)
        self.patience = None if settings.early_stopping is None else Patience(settings.early_stopping)
        self.watch, self.signals = Watch(device), Signals()
        self.validator = Validator(self.validation, self.stepper, metrics, settings=settings, watch=self.watch)
        check_rules(
            {
                "schedule": self.plan.metric,
                "checkpoints.rule": settings.checkpoints.rule,
                "early_stopping": None if self.patience is None else self.patience.settings.metric,
            },
            self.validator.names,
        )

    # --- the whole

    def resume(self) -> bool:
        """Goes on from the state that the run's folder holds; whether there is one.

        Raises:
            StateError: it can't be gone on from, and nothing was changed; or processes found different ones.
        """
        resumed = self._resume()
        if self.runtime.greatest(self.step) != -self.runtime.greatest(-self.step):
            raise state.StateError(
                f"{self.out}: process {self.runtime.rank} goes on from step {self.step}, others from another one: the "
                "run's folder has to be one that all nodes see. Give such a folder (--out)."
            )
        return resumed

    def _resume(self) -> bool:
        found = state.read(self.out, self.fingerprint)
        if found is None:
            return False
        if found["length"] != len(self.training):
            raise state.StateError(
                f"{self.out}: its training was begun with {found['length']} samples, now there are "
                f"{len(self.training)}. Start over with --fresh (fresh=True), or give the data that it was begun with."
            )
        state.set_network(self.net, found["network"], self.out / state.FILE)
        state.set_optimiser(self.optimiser, found["optimiser"])
        self.plan.load_state_dict(found["schedule"])
        self.stepper.scaler.load_state_dict(found["scaler"])
        if self.ema is not None:
            mean, now = found["ema"]["mean"], self.ema.state_dict()
            placed = {name: state.placed_as(mean[name], value) for name, value in now.items()}
            self.ema.load_state_dict(placed, steps=found["ema"]["steps"])
        if self.patience is not None:
            self.patience.load_state_dict(found["patience"] or {})
            # By the patience of now, which may be another one.
            self.reason = EARLY if self.patience.over else ""
        self.step, self.metrics, self.keeper.best = found["step"], found["metrics"], found["best"]
        return True

    def fit(self, log: Log | None) -> str:
        """Trains to the end; why it ended: "done" or "early stopping".

        Args:
            log: what the first process writes; None in the others.

        Raises:
            NotFiniteError: a loss isn't finite; the last saved state is as it was, as after any other error.
        """
        self.log, self._began = log, time.perf_counter()
        title = self.settings.name or self.out.name
        mode = self.progress if self.runtime.first else "quiet"
        self.reporter = Reporter(self.total, title=title, mode=mode, first_step=self.step)
        try:
            with self._surroundings():
                while self.step < self.total and not self.reason:
                    self._epoch(self.step // self.per_epoch)
            reason = self.reason or "done"
            self._end(reason)
        except Exception as error:
            self._end(str(error) or type(error).__name__)
            raise
        finally:
            self.reporter.close()
        return reason

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        """What is set for the time of a training: torch's switches, stages to recompute, signals, random numbers.

        Parts that stood still are free again afterwards.
        """
        settings, cudnn = self.settings, torch.backends.cudnn
        before = cudnn.benchmark, torch.are_deterministic_algorithms_enabled()
        cudnn.benchmark = settings.cudnn_benchmark and not settings.deterministic
        torch.use_deterministic_algorithms(settings.deterministic or before[1])
        try:
            with (
                self.runtime.random_apart(),
                self.signals.heard(),
                recomputed(self.net, settings.recompute, compiled=settings.compile is not None),
            ):
                yield
        finally:
            cudnn.benchmark, _ = before
            torch.use_deterministic_algorithms(before[1])
            self.release()

    # --- an epoch

    def _epoch(self, epoch: int) -> None:
        self._begin(epoch)
        first = self.step - epoch * self.per_epoch
        last = min(self.per_epoch, self.total - epoch * self.per_epoch)
        self.order.set(epoch, first)
        batches = iter(self._loader())
        for number in range(first + 1, last + 1):
            self._step(itertools.islice(batches, self.settings.accumulate), epoch)
            if number < last:
                self._between(epoch)
        self._check()
        if self.validation is not None and ((epoch + 1) % self.settings.validate_every == 0 or self.step == self.total):
            self._validate(epoch)
        elif self.validation is None:
            with self._averaged():
                self._keep(epoch)
        self._listen()
        self._save()
        self._heed()

    def _begin(self, epoch: int) -> None:
        self.net.train()
        still = optimisers.freeze(self.net, self.settings.parts, epoch)
        if still != self.still:
            self.still = still
            self.stepper.wrap_again()

    def _loader(self) -> Any:
        # Made once: its workers stay from epoch to epoch.
        if not hasattr(self, "_batches"):
            self._batches = training_loader(self.training, self.order, self.settings.loader)
        return self._batches

    def _step(self, batches: Iterator[Batch], epoch: int) -> None:
        start = time.perf_counter()
        self._draw_anew()
        self.watch.step = self.step + 1
        lrs = {group["name"]: group["lr"] for group in self.optimiser.param_groups}
        done = self.stepper(batches, self.watch)
        self.plan.step()
        if self.ema is not None:
            self.ema.update()
        self.step += 1
        due = self.step % self.settings.log.every == 0 or self.step in (1, self.total)
        if due:
            # An accelerator computes behind: by this it is waited for, and its time counted.
            self.watch.check()
        self._taken, self._seconds = self._taken + 1, self._seconds + time.perf_counter() - start
        if due:
            self._note(done, epoch, lrs)
        else:
            self.reporter.update(self.step)
        if due or self.runtime.world == 1:
            self._listen()

    def _draw_anew(self) -> None:
        """Random numbers of this step, whatever was drawn before it, on this process."""
        seed = np.random.SeedSequence([self.settings.seed, self.step, self.runtime.rank])
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def _note(self, done: Done, epoch: int, lrs: dict[str, float]) -> None:
        """A line of the log; every process takes part."""
        told = self.runtime.mean({"loss": done.loss, **{f"losses/{k}": v for k, v in done.parts.items()}}, 1.0)
        rate = self.settings.batch * self._taken / self._seconds
        self._taken, self._seconds = 0, 0.0
        self.reporter.update(self.step, loss=told["loss"], lr=max(lrs.values()), samples_per_second=rate)
        self._tell(
            "step",
            epoch=epoch,
            loss=told.pop("loss"),
            losses={name.removeprefix("losses/"): value for name, value in told.items()},
            lr=max(lrs.values()),
            lrs=lrs,
            grad_norm=None if done.norm is None else float(state.whole(done.norm)),
            samples_per_second=rate,
            peak_bytes=_peak(self.runtime.device),
        )

    def _between(self, epoch: int) -> None:
        """After a step that isn't the epoch's last: a saved state, where one is due or somebody asked to stop."""
        every = self.settings.snapshot_every
        if self.stopping or (every and self.step % every == 0):
            self._check()
            self._save()
        self._heed()

    def _check(self) -> None:
        """Before anything is saved.

        Raises:
            NotFiniteError: a loss wasn't finite, or a weight isn't.
        """
        self.watch.check()
        check_weights(self.net, self.step)

    def _listen(self) -> None:
        """Hears of a signal that came to any process: each of several hears it at another step, and all must save."""
        self.stopping = self.runtime.greatest(self.signals.number or 0)

    def _heed(self) -> None:
        """Ends here where a signal asked to, in which case the state was just saved."""
        if self.stopping:
            self._end("stopped")
            self.signals.number = self.signals.number or self.stopping
            self.signals.pass_on()

    # --- validation and saving

    def _validate(self, epoch: int) -> None:
        start = time.perf_counter()
        self.net.eval()
        with self._averaged():
            told = self.validator(shown=functools.partial(self._draw, epoch))
            self.metrics = {f"validation.{name}": value for name, value in told.items()}
            self._tell("validation", epoch=epoch, metrics=told, seconds=time.perf_counter() - start)
            self.reporter.say(f"epoch {epoch}: " + ", ".join(f"{name} {value:.4g}" for name, value in told.items()))
            self._keep(epoch)
        self.plan.judge(self.metrics)
        if self.patience is not None and self.patience.ends(self.metrics):
            self.reason = EARLY

    def _averaged(self) -> Any:
        """A block in which the network has the average of its weights, where one is taken."""
        return contextlib.nullcontext() if self.ema is None else self.ema.applied()

    def _draw(self, epoch: int, batch: Batch, outputs: Any) -> None:
        keys = {head: self.objective.target_of(head, batch) for head in self.objective.heads}
        targets = {head: key for head, key in keys.items() if key is not None}
        classes = getattr(self.validation, "classes", None)
        file = self.keeper.draw(epoch, batch, outputs=outputs, targets=targets, classes=classes)
        if file is not None:
            self._tell("pictures", epoch=epoch, file=file)

    def _keep(self, epoch: int) -> None:
        id = self.keeper.save(self.net, self.metrics, step=self.step, optimiser=self.optimiser)
        if id:
            self._tell("checkpoint", epoch=epoch, id=id)

    def _save(self) -> None:
        """The state of now, in place of the one before; each process must take part."""
        held = {
            "fingerprint": dict(self.fingerprint),
            "length": len(self.training),
            "step": self.step,
            "metrics": self.metrics,
            "best": self.keeper.best,
            "network": state.network_state(self.net),
            "optimiser": state.optimiser_state(self.optimiser),
            "schedule": self.plan.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
            "ema": None if self.ema is None else {"steps": self.ema.steps, "mean": state.whole(self.ema.state_dict())},
            "patience": None if self.patience is None else self.patience.state_dict(),
        }
        if self.runtime.first:
            state.write(self.out, held)
        self.runtime.wait()

    def result(self) -> dict[str, torch.Tensor]:
        """The state that the training is for: the average's where there is one; whole, each process must ask."""
        return state.network_state(self.net) if self.ema is None else state.whole(self.ema.state_dict())

    def _end(self, reason: str) -> None:
        self._tell("end", reason=reason, seconds=time.perf_counter() - self._began, metrics=self.metrics)

    def _tell(self, event: str, **told: Any) -> None:
        if self.log is not None:
            epoch = told.pop("epoch", max(self.step - 1, 0) // self.per_epoch)
            self.log.write(event=event, step=self.step, epoch=epoch, **told)


def _peak(device: torch.device) -> int | None:
    """The most memory that tensors took on an accelerator since the start; None on a CPU, where torch doesn't count."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


__all__ = ["Trainer"]
