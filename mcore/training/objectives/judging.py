"""Metrics by name, and what each is given: outputs and targets as its library wants them."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mcore.checkpoint.extras import needed
from mcore.signatures import check_arguments
from mcore.training.objectives.criterion import fitted, is_labels
from mcore.training.objectives.naming import NamingError, by_path, made, meant
from mcore.vocabulary import nearest

# Short names: a class of torchmetrics, and arguments that fit most.
SHORT: dict[str, tuple[str, dict[str, Any]]] = {
    "iou": ("JaccardIndex", {}),
    "accuracy": ("Accuracy", {}),
    # Over all pixels together; of each sample, averaged: DiceScore.
    "dice": ("F1Score", {"average": "macro"}),
    "f1": ("F1Score", {"average": "macro"}),
    "precision": ("Precision", {"average": "macro"}),
    "recall": ("Recall", {"average": "macro"}),
    "mae": ("MeanAbsoluteError", {}),
    "mse": ("MeanSquaredError", {}),
    "rmse": ("MeanSquaredError", {"squared": False}),
    "psnr": ("PeakSignalNoiseRatio", {"data_range": 1.0}),
    "ssim": ("StructuralSimilarityIndexMeasure", {"data_range": 1.0}),
}
_ROOMS = ("torchmetrics", "torchmetrics.classification", "torchmetrics.segmentation", "torchmetrics.image")
# What every metric of torchmetrics takes beside its own arguments.
_GENERAL = ("compute_on_cpu", "dist_sync_on_step", "sync_on_compute", "compute_with_cache")
TASKS = ("binary", "multiclass", "multilabel")

Family = Literal["classes", "regions", "values", "one_hot", "free"]
# The arguments that follow from the first batch; equal in every process.
Facts = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A metric's class, before the number of classes is known.

    Attributes:
        maker: the class.
        arguments: what the configuration says, and what a short name stands for.
        family: what it is given. "classes": scores or probabilities, and labels; "regions": the class of every pixel;
            "values": the output as it is, and a target like it; "one_hot": the class of every pixel, one-hot; "free":
            both as they are.
        title: for messages.
    """

    maker: Callable[..., Any]
    arguments: Mapping[str, Any]
    family: Family
    title: str

    def facts(self, output: Tensor, target: Tensor) -> Facts:
        """What the metric has to know of an output and a target: the task, the number of classes.

        Raises:
            NamingError: the configuration says another number of classes.
        """
        if self.family not in ("classes", "regions"):
            return {}
        takes, count = _parameters(self.maker), output.shape[1] if output.ndim > 1 else 1
        task = self.arguments.get("task") or _task_of_name(self.title) or _task(output, target)
        found: Facts = {}
        if "task" in takes:
            found["task"] = task
        number = {"multiclass": "num_classes", "multilabel": "num_labels"}.get(task)
        if self.family == "regions":
            number, count = "num_classes", max(count, 2)
            if "input_format" in takes:
                found["input_format"] = "index"
        if number is not None and number in takes:
            said = self.arguments.get(number, count)
            if said != count:
                raise NamingError(
                    f"{self.title}: {number} is {said}, but the head gives {count} channels; leave it out"
                )
            found[number] = count
        return found

    def make(self, facts: Facts) -> Any:
        """The metric."""
        return made(self.maker, {**self.arguments, **facts}, title=self.title)

    def given(self, output: Tensor, target: Tensor, facts: Facts) -> tuple[Tensor, Tensor]:
        """What its `update` is called with."""
        title = f"metric {self.title}"
        if self.family == "free":
            return output, target
        if self.family == "values":
            return output, fitted("same", output, target, title=title)
        target = fitted("either", output, target, title=title)
        if self.family == "classes":
            return _for_classes(output, target, facts.get("task") or _task_of_name(self.title))
        return _one_hot(output, target) if self.family == "one_hot" else _regions(output, target)


def kind_of(name: str, arguments: Mapping[str, Any]) -> Kind:
    """The metric of this name.

    Raises:
        NamingError: there is none, or it doesn't have these arguments.
        ImportError: its library isn't installed; the message has the command.
    """
    if ":" in name:
        return _of_path(name, arguments)
    if name.startswith("monai."):
        return _of_monai(name, arguments)
    metrics = needed("torchmetrics", "train", what="metrics")
    real, more = SHORT.get(name, (name, {}))
    known = _known(metrics)
    if real not in known:
        likely = nearest(name, [*SHORT, *known], least=0.5, most=1)
        hint = f"; did you mean {likely[0]!r}? Short names are" if likely else "; short names are"
        raise NamingError(
            f"there is no metric {name!r}{hint} {', '.join(SHORT)}; others are classes of torchmetrics, as "
            "'CohenKappa', of MONAI, as 'monai.DiceMetric', or your own, as 'package.module:name'"
        )
    kind = Kind(known[real], {**more, **arguments}, _family(known[real]), real)
    _check(kind, name)
    return kind


def takes_ignored(name: str) -> bool:
    """Whether the metric of this name can leave a label out; False of one that isn't torchmetrics'."""
    metrics = needed("torchmetrics", "train", what="metrics")
    found = _known(metrics).get(SHORT.get(name, (name, {}))[0])
    return found is not None and "ignore_index" in _parameters(found)


def _known(metrics: Any) -> dict[str, type]:
    """Classes of metrics by name."""
    rooms = [importlib.import_module(room) for room in _ROOMS]
    found = {name: getattr(room, name) for room in rooms for name in room.__all__}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, metrics.Metric)}


def _family(kind: type) -> Family:
    room = kind.__module__.split(".")[1]
    families: dict[str, Family] = {"classification": "classes", "segmentation": "regions"}
    return families.get(room, "values")


def _check(kind: Kind, name: str) -> None:
    takes = [*_parameters(kind.maker), *_GENERAL]
    for argument in kind.arguments:
        if argument not in takes:
            raise NamingError(f"{name} has no argument {argument!r}; {meant(argument, takes)}")
    task = kind.arguments.get("task")
    if task is not None and task not in TASKS:
        raise NamingError(f"{name}: task={task!r} is not one of {', '.join(TASKS)}")


def _parameters(maker: Callable[..., Any]) -> list[str]:
    # Classes that choose among tasks have their arguments in __new__.
    own = "__new__" in vars(maker)
    function = maker.__new__ if own and isinstance(maker, type) else maker
    listed = inspect.signature(function).parameters.values()
    return [one.name for one in listed if one.kind is not one.VAR_KEYWORD and one.name != "cls"]


def _of_monai(name: str, arguments: Mapping[str, Any]) -> Kind:
    library = needed("monai.metrics", "losses", what=f"the metric {name}")
    wanted = name.partition(".")[2]
    known = [one for one in vars(library) if isinstance(getattr(library, one), type) and one[0].isupper()]
    if wanted not in known:
        raise NamingError(f"there is no {name!r}; {meant(wanted, sorted(known))}")
    maker = getattr(library, wanted)
    problems = check_arguments(maker, arguments, title=name)
    if problems:
        raise NamingError("; ".join(problem.message for problem in problems))
    family: Family = "values" if maker.__module__.endswith(".regression") else "one_hot"
    return Kind(_Monai.of(maker), arguments, family, name)


class _Monai:
    """Final: a metric of MONAI under torchmetrics' names for the same."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    @staticmethod
    def of(maker: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **arguments: _Monai(maker(**arguments))

    def update(self, output: Tensor, target: Tensor) -> None:
        self._metric(output, target)

    def compute(self) -> Any:
        found = self._metric.aggregate()
        if isinstance(found, list) and len(found) == 1:
            return found[0]
        return found[0] if isinstance(found, tuple) else found

    def reset(self) -> None:
        self._metric.reset()


def is_gathered(metric: Any) -> bool:
    """Whether a metric's number is that of all processes: torchmetrics' and MONAI's are."""
    return isinstance(metric, _Monai) or hasattr(metric, "metric_state")


def _of_path(path: str, arguments: Mapping[str, Any]) -> Kind:
    maker = by_path(path)
    lacking = [name for name in ("update", "compute", "reset") if not hasattr(maker, name)]
    if not isinstance(maker, type) or lacking:
        raise NamingError(
            f"{path!r} is no class of a metric: it has {', '.join(lacking) or 'no constructor'} missing; torchmetrics."
            "Metric has all of them"
        )
    problems = check_arguments(maker, arguments, title=path)
    if problems:
        raise NamingError("; ".join(problem.message for problem in problems))
    return Kind(maker, arguments, "free", path)


def _task_of_name(title: str) -> str | None:
    """Of a class for one task, as MulticlassAccuracy."""
    return next((task for task in TASKS if title.lower().startswith(task)), None)


def _task(output: Tensor, target: Tensor) -> str:
    if is_labels(output, target):
        return "multiclass"
    return "binary" if output.ndim < 2 or output.shape[1] == 1 else "multilabel"


def _for_classes(output: Tensor, target: Tensor, task: str | None) -> tuple[Tensor, Tensor]:
    """Scores or probabilities: torchmetrics takes scores that happen to be from 0 to 1 for probabilities."""
    if task == "binary":
        if is_labels(output, target):
            return output.softmax(1)[:, 1], target
        return output.sigmoid(), _yes(target)
    if task == "multilabel":
        return output.sigmoid(), _yes(target)
    return output.softmax(1), target


def _regions(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The class of each pixel by both, (n, *size); of one channel 1 where it says yes."""
    if is_labels(output, target):
        return output.argmax(1), target
    if output.shape[1] == 1:
        return (output > 0).long()[:, 0], _yes(target)[:, 0]
    # Shares of classes.
    return output.argmax(1), target.argmax(1)


def _one_hot(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if not is_labels(output, target):
        return (output > 0).to(output.dtype), _yes(target).to(output.dtype)
    zero = torch.zeros_like(output)
    labels = output.argmax(1, keepdim=True)
    return zero.scatter(1, labels, 1.0), zero.scatter(1, target.unsqueeze(1), 1.0)


def _yes(target: Tensor) -> Tensor:
    """Targets from 0 to 1 as 0 and 1; whole numbers, such as one that is left out, as they are."""
    return target.round().long()


__all__ = ["SHORT", "Facts", "Kind", "kind_of", "takes_ignored"]
