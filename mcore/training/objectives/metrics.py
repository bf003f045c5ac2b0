"""What a network is judged by: metrics by name, for each head, over all processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcore.config import ConfigError, Mistake
from mcore.training.errors import TrainingError
from mcore.training.objectives.judging import Facts, Kind, is_gathered, kind_of, takes_ignored
from mcore.training.objectives.naming import NamingError, short
from mcore.training.objectives.objective import Batch, Objective, fine
from mcore.training.objectives.ranges import ignored
from mcore.training.settings import Metric
from mcore.vocabulary import nearest


@dataclass
class _Judge:
    """One metric of a head. It is made with the first batch, which says how many classes there are."""

    head: str
    name: str
    settings: Metric
    kind: Kind
    facts: Facts | None = None
    metric: Any = None

    def make(self, facts: Facts, device: torch.device) -> None:
        try:
            self.metric = self.kind.make(facts)
        except NamingError as error:
            raise TrainingError(f"metric {self.name}: {error}.") from error
        self.facts = facts
        if isinstance(self.metric, torch.nn.Module):
            self.metric.to(device)


class Metrics:
    """The metrics of a configuration.

    `update` with every batch of the validation data, then `compute`, then `reset`. Names are "iou", of a network with
    several heads "mask.iou"; a metric that gives one number for each class has "iou.0", "iou.1".

    Args:
        metrics: by head, as losses.
        objective: whose heads these are; which target a head has, it says.
        device: where the metrics count.

    Raises:
        ConfigError: metrics or heads that don't exist, arguments that don't fit; all mistakes at once.
        ImportError: torchmetrics isn't installed, or another library that one is of.
    """

    def __init__(
        self, metrics: Mapping[str, list[Metric]], objective: Objective, *, device: torch.device | str
    ) -> None:
        mistakes: list[Mistake] = []
        self._objective, self._device = objective, torch.device(device)
        self._judges = list(_judges(metrics, objective, mistakes))
        if mistakes:
            raise ConfigError(mistakes)

    @torch.no_grad()
    def update(self, outputs: Any, batch: Batch, count: int | None = None) -> None:
        """Counts the first `count` samples of a batch, by default all.

        Raises:
            DataError: a target is missing, or its size doesn't fit.
            TrainingError: a metric can't be computed.
        """
        if not self._judges:
            return
        found = self._objective.by_head(outputs)
        for judge in self._judges:
            if judge.head not in found:
                continue
            key = self._objective.key_of(judge.head, judge.settings.target, batch)
            self._update(judge, fine(found[judge.head][:count]), batch[key][:count])

    @torch.no_grad()
    def compute(self) -> dict[str, float]:
        """Each metric's number, over all processes, which all have to ask.

        Raises:
            TrainingError: a metric gives something else than numbers.
        """
        self._agree()
        found: dict[str, float] = {}
        with warnings.catch_warnings():
            # A process whose share of the data was empty asks, too.
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric", category=UserWarning)
            for judge in self._judges:
                if judge.metric is not None:
                    found |= _numbers(judge.name, judge.metric.compute())
        return found

    @property
    def names(self) -> list[str]:
        """What `compute` will tell of; a metric of each class has ".0", ".1" behind it."""
        return [judge.name for judge in self._judges]

    def reset(self) -> None:
        """Forgets what was counted."""
        for judge in self._judges:
            if judge.metric is not None:
                judge.metric.reset()

    def _update(self, judge: _Judge, output: Tensor, target: Tensor) -> None:
        try:
            if judge.metric is None:
                judge.make(judge.kind.facts(output, target), self._device)
            if len(output):
                judge.metric.update(*judge.kind.given(output, target, judge.facts or {}))
        except (TrainingError, torch.OutOfMemoryError):
            raise
        except (AssertionError, LookupError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            raise TrainingError(
                f"metric {judge.name} of head {judge.head!r}: {str(error).rstrip('.')}; it was given "
                f"{tuple(output.shape)} {output.dtype} and {tuple(target.shape)} {target.dtype}."
            ) from error

    def _agree(self) -> None:
        """Makes metrics in a process that had no sample, as the others have them: all take part in counting.

        Raises:
            TrainingError: a metric that can't be counted then; in every process.
        """
        group = torch.distributed
        if not group.is_available() or not group.is_initialized() or group.get_world_size() == 1:
            return
        mine = [judge.facts for judge in self._judges]
        all_facts: list[Any] = [None] * group.get_world_size()
        group.all_gather_object(all_facts, mine)
        for index, judge in enumerate(self._judges):
            known = [facts[index] for facts in all_facts if facts[index] is not None]
            if not known:
                continue
            if judge.metric is None:
                judge.make(known[0], self._device)
            if not is_gathered(judge.metric):
                raise TrainingError(
                    f"metric {judge.name}: {judge.settings.type} counts the samples of its own process alone, and "
                    f"there are {len(all_facts)}: derive it from torchmetrics.Metric, which gathers, or train in one."
                )
            if len(known) == len(all_facts):
                continue
            if _keeps_samples(judge.metric):
                raise TrainingError(
                    f"metric {judge.name}: of {len(all_facts)} processes {len(all_facts) - len(known)} had no sample "
                    "of the validation data, and this metric keeps a number of each sample, which can't be gathered "
                    "then: give more validation data, or take a metric that counts, such as iou, f1 or accuracy."
                )


def _keeps_samples(metric: Any) -> bool:
    """Whether a metric holds something of each sample instead of sums; one that isn't torchmetrics' might."""
    states = getattr(metric, "metric_state", None)
    return states is None or any(isinstance(state, list) for state in states.values())


def _judges(metrics: Mapping[str, list[Metric]], objective: Objective, mistakes: list[Mistake]) -> Iterator[_Judge]:
    several = len(objective.heads) > 1
    for head, listed in metrics.items():
        if head not in objective.heads:
            likely = nearest(head, objective.heads, least=0.5, most=1)
            hint = f" (did you mean {likely[0]!r}?)" if likely else ""
            wrong = f"no head {head!r}{hint}; losses are of {', '.join(objective.heads)}"
            mistakes.append(Mistake(None, ("train", "metrics", head), wrong))
            continue
        seen: set[str] = set()
        for index, metric in enumerate(listed):
            path, name = ("train", "metrics", head, index), metric.name or short(metric.type)
            if name in seen:
                wrong = f"two metrics are called {name!r}: give one another name (name: ...)"
                mistakes.append(Mistake(None, path, wrong))
            seen.add(name)
            try:
                kind = kind_of(metric.type, _with_ignored(metric, head, objective))
            except NamingError as error:
                mistakes.append(Mistake(None, path, str(error)))
                continue
            yield _Judge(head, f"{head}.{name}" if several else name, metric, kind)


def _with_ignored(metric: Metric, head: str, objective: Objective) -> dict[str, Any]:
    """The metric's arguments; a label that the head's losses leave out, the metric leaves out, too."""
    arguments = metric.arguments
    said = [ignored(term.criterion) for term in objective.terms if term.head == head]
    labels = [label for label in said if label is not None]
    if labels and "ignore_index" not in arguments and takes_ignored(metric.type):
        arguments["ignore_index"] = labels[0]
    return arguments


def _numbers(name: str, value: Any) -> dict[str, float]:
    """A metric's result as numbers by name."""
    if isinstance(value, int | float):
        return {name: float(value)}
    if isinstance(value, Tensor) and value.numel() == 1:
        return {name: float(value)}
    if isinstance(value, Tensor) and value.ndim == 1:
        return {f"{name}.{index}": number for index, number in enumerate(value.tolist())}
    if isinstance(value, Mapping):
        return {key: number for one, inner in value.items() for key, number in _numbers(f"{name}.{one}", inner).items()}
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor) else ""
    raise TrainingError(
        f"metric {name} gives a {type(value).__name__}{shape}; what logs can hold is a number, or one for each class."
    )


__all__ = ["Metrics"]
