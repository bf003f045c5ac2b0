"""What a saver goes by: "max:val.miou", "min:val.loss", or a metric whose name says which way is better."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcore.vocabulary import nearest

# Words of a metric's name that say which way is better; what has none of them is better higher.
LOWER = frozenset(
    "loss error err errors l1 l2 mae mse rmse nll bce ce cost perplexity ppl epe fid distance dist hausdorff hd hd95 "
    "assd wer cer divergence kl mape residual ms seconds".split()
)
HIGHER = frozenset(
    "acc accuracy map ap ar iou miou dice f1 fscore precision recall auc auroc psnr ssim score kappa r2 top1 top5 "
    "sensitivity specificity correlation likelihood fps".split()
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_@.-]{0,149}")


@dataclass(frozen=True)
class Rule:
    """A metric by which checkpoints are compared.

    Attributes:
        metric: as questions name it: "val.miou", "miou".
        lower: whether less is better.
    """

    metric: str
    lower: bool

    def __str__(self) -> str:
        return f"{'min' if self.lower else 'max'}:{self.metric}"

    def gain(self, value: float, than: float) -> float:
        """By how much `value` is better."""
        return than - value if self.lower else value - than

    def value(self, values: Mapping[str, float]) -> float | None:
        """Its metric among `values`; None where it isn't there, or isn't finite and so never wins.

        >>> Rule("miou", False).value({"miou": 0.5}), Rule("miou", False).value({"miou": float("nan")})
        (0.5, None)
        """
        found = values.get(self.metric)
        return found if found is not None and math.isfinite(found) else None


def rules_of(said: str | Iterable[str]) -> tuple[Rule, ...]:
    """The rules that a user wrote, one or several.

    >>> [str(rule) for rule in rules_of(["val.miou", "val.loss"])]
    ['max:val.miou', 'min:val.loss']

    Raises:
        ValueError: a rule names no metric, or one whose better side isn't known; or a metric twice.
    """
    texts = [said] if isinstance(said, str) else list(said)
    rules = tuple(_rule(text) for text in texts)
    names = [rule.metric for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"rule: {twice[0]} is there twice; one rule a metric.")
    return rules


def lower_is_better(metric: str) -> bool:
    """Whether less is better, by the words of a metric's name; the last known one decides.

    >>> lower_is_better("val.dice_loss"), lower_is_better("val.dice"), lower_is_better("brightness")
    (True, False, False)

    Raises:
        ValueError: its name says both.
    """
    words = [word for word in re.split(r"[^a-z0-9]+", _spaced(metric).lower()) if word]
    known = [word for word in words if word in LOWER | HIGHER]
    if known and known[-1] in HIGHER and LOWER & set(known):
        raise ValueError(
            f"rule: {metric!r} names both what is better lower and what is better higher; "
            f'write "min:{metric}" or "max:{metric}".'
        )
    return bool(known) and known[-1] in LOWER


def flat(metrics: Any, before: str = "") -> dict[str, float]:
    """Metrics by their keys, those that aren't finite too: by name, by split and name, or as records have them.

    >>> flat({"val": {"miou": 0.7}, "loss": 2})
    {'val.miou': 0.7, 'loss': 2.0}

    Raises:
        TypeError: one is no number.
    """
    if not isinstance(metrics, Mapping):
        return {one.key: one.value for one in metrics or ()}
    out: dict[str, float] = {}
    for name, value in metrics.items():
        key = f"{before}{name}"
        out |= flat(value, f"{key}.") if isinstance(value, Mapping) else {key: _number(key, value)}
    return out


def check_has(rules: Iterable[Rule], values: Mapping[str, float]) -> None:
    """Refuses metrics among which one that a rule goes by is missing.

    Raises:
        ValueError: with the nearest names that came.
    """
    for rule in rules:
        if rule.metric not in values:
            likely = nearest(rule.metric, values) or list(values)[:5]
            raise ValueError(
                f"Saver: the rule {rule} goes by {rule.metric!r}, which isn't among the metrics that came; "
                f"there are {', '.join(likely)}."
            )


def _rule(text: str) -> Rule:
    if not isinstance(text, str):
        raise ValueError(f'rule: {text!r} is no text; write "max:val.miou".')
    way, colon, metric = text.strip().rpartition(":")
    if colon and way not in ("max", "min", "auto"):
        raise ValueError(f'rule: {text!r} begins with {way!r}; write "max:{metric}" or "min:{metric}".')
    if not _NAME.fullmatch(metric):
        raise ValueError(f'rule: {text!r} names no metric; write "max:val.miou".')
    return Rule(metric, way == "min" if way in ("max", "min") else lower_is_better(metric))


def _spaced(name: str) -> str:
    # "valLoss" has two words; "mAP", "mIoU" and "L1" have one.
    return re.sub(r"(?<=[a-z]{2})(?=[A-Z])", " ", name)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"metrics: {name} is {type(value).__name__} {value!r:.50}; a metric is a number.") from None


__all__ = ["Rule", "check_has", "flat", "lower_is_better", "rules_of"]
