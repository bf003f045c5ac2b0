"""A run as its folder tells of it: what it was started with, its curves, its validations, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mcore.training.shown.curves import Series
from mcore.training.shown.logs import events

_RULE = "min:validation.loss"


@dataclass
class Run:
    """What is known of a run.

    Attributes:
        starts: its events "start": one, and another each time that it went on.
        curves: of the steps, by name: "loss", "losses.mask.dice", "lr", "lrs.backbone", ...
        validations: by step; what was done again counts once.
        pictures: the same.
        checkpoints: the same.
        end: its event "end"; None while it runs, and after a kill.
        config: the text of its configuration, and what that says.
        model: its table of layers.
    """

    name: str
    starts: list[dict[str, Any]] = field(default_factory=list)
    curves: dict[str, Series] = field(default_factory=dict)
    validations: dict[int, dict[str, Any]] = field(default_factory=dict)
    pictures: dict[int, dict[str, Any]] = field(default_factory=dict)
    checkpoints: dict[int, dict[str, Any]] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    config: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> tuple[str, str]:
        """Which metric its checkpoints are kept by, or it is stopped early by: "min" or "max", and the name."""
        checkpoints, stopping = (_mapping(self.settings.get(key)) for key in ("checkpoints", "early_stopping"))
        rule = checkpoints.get("rule") or stopping.get("metric") or _RULE
        better, _, metric = str(rule).partition(":")
        return better, metric.removeprefix("validation.")

    @property
    def best(self) -> int | None:
        """The step of its best validation, the first of several."""
        better, metric = self.rule
        values = {step: one["metrics"].get(metric) for step, one in self.validations.items()}
        known = {step: value for step, value in values.items() if value is not None}
        if not known:
            return None
        return (max if better == "max" else min)(known, key=lambda step: known[step])

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics of its validations, in the order in which they came."""
        return list(dict.fromkeys(name for one in self.validations.values() for name in one["metrics"]))

    def metric(self, name: str, label: str) -> Series:
        """A metric's curve."""
        series = Series(label)
        for step, one in self.validations.items():
            if name in one["metrics"]:
                series.add(step, one["metrics"][name])
        return series


def read(folder: Path) -> Run:
    """A run out of its folder.

    Raises:
        FileNotFoundError: the folder has no log.
        ValueError: its table of layers isn't JSON.
    """
    run = Run(folder.resolve().name)
    for event in events(folder):
        _take(run, event)
    config, model = folder / "config.yaml", folder / "model.json"
    if config.exists():
        run.config = config.read_text("utf-8", "replace")
        # What stands in the folder was written by a run; a file that somebody has edited since is shown as it is.
        run.settings = _mapping(_mapping(_yaml(run.config)).get("train"))
        run.name = str(run.settings.get("name") or run.name)
    if model.exists():
        try:
            run.model = json.loads(model.read_bytes())
        except ValueError as error:
            raise ValueError(
                f"{model} isn't JSON: {error}; delete it, and the report has no table of layers."
            ) from None
    return run


def _take(run: Run, event: dict[str, Any]) -> None:
    kind, step = event["event"], event.get("step", 0)
    # An end that another start follows wasn't the last.
    run.end = event if kind == "end" else None if kind == "start" else run.end
    if kind == "start":
        run.starts.append(event)
    elif kind == "step":
        _take_numbers(run.curves, step, event)
    elif kind == "validation":
        run.validations[step] = {**event, "metrics": _mapping(event.get("metrics"))}
    elif kind in ("pictures", "checkpoint"):
        {"pictures": run.pictures, "checkpoint": run.checkpoints}[kind][step] = event


def _take_numbers(curves: dict[str, Series], step: int, values: Mapping[str, Any], prefix: str = "") -> None:
    lost = values.get("not_finite", ())
    for name, value in values.items():
        whole = f"{prefix}{name}"
        if isinstance(value, Mapping):
            _take_numbers(curves, step, value, f"{whole}.")
            continue
        number = isinstance(value, int | float) or (value is None and (prefix or name in lost))
        if number and whole not in ("step", "epoch"):
            curves.setdefault(whole, Series(whole)).add(step, value)


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


__all__ = ["Run", "read"]
