"""What is drawn of one sample: its image, and of each head what is true and what the network says, side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcore.checkpoint.shown.texts import number, plain

Array = np.ndarray[Any, np.dtype[Any]]
# Okabe and Ito's colours, which most people tell apart; 0, most often the background, has none.
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
_IGNORED = "#808080"
RIGHT, WRONG = "#00704f", "#b02a1c"
# Letters of a name that fit above a panel.
_LETTERS = 30


@dataclass
class Panel:
    """A picture with lines above it.

    Attributes:
        header: the same for all samples: what is seen.
        values: (h, w), (h, w, 3), or of signals (channels, length).
        captions: lines about this sample, each with a colour.
        labels: (h, w) classes that are drawn over it; of signals (length,).
        ignored: of labels: what is none of the classes.
        scale: the values that are drawn darkest and brightest.
        colours: a map of matplotlib's for values without colours of their own.
        signal: whether values are lines (channels, length).
    """

    header: str
    values: Array
    captions: list[tuple[str, str]] = field(default_factory=list)
    labels: Array | None = None
    ignored: Array | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    colours: str = "gray"
    signal: bool = False


def panels(
    sample: Mapping[str, Any], outputs: Mapping[str, Any], *, targets: Mapping[str, str], classes: Sequence[str] | None
) -> list[Panel]:
    """The panels of a sample, from left to right.

    Args:
        sample: arrays without a batch axis: "image" (c, *size) and targets; "name".
        outputs: by head, arrays without a batch axis, or None of what can't be drawn.
        targets: the key of each head's target in the sample.
        classes: names of classes.
    """
    image = _image(sample["image"], "image")
    image.captions.insert(0, (_short(str(sample.get("name", ""))), "black"))
    found = [image]
    for head, output in outputs.items():
        key = targets.get(head, "")
        target = _with_channel(sample[key], sample["image"].ndim - 1) if key in sample else None
        # One output needs no name.
        prefix = f"{head}: " if len(outputs) > 1 else ""
        if output is None:
            image.captions.append((f"{prefix}the output isn't one tensor: not drawn", "dimgray"))
        elif key == "image":
            found += _reconstruction(sample["image"], output, prefix)
        elif target is None and output.ndim < 2:
            image.captions += _numbers({"predicted": output}, prefix)
        elif target is None:
            found.append(_map(output, f"{prefix}prediction"))
        elif np.issubdtype(target.dtype, np.integer) and target.ndim == 0:
            image.captions += _class(output, int(target), prefix, classes)
        elif np.issubdtype(target.dtype, np.integer):
            found += _segmentation(image, output, target, prefix)
        elif target.ndim < 2:
            image.captions += _numbers({"predicted": output, "truth": target}, prefix)
        else:
            found += [_map(target, f"{prefix}truth"), _map(output, f"{prefix}prediction")]
    return found


def colour(label: int) -> str:
    """The colour of a class; of the first ones those that are easiest told apart."""
    if label <= len(_COLOURS):
        return _COLOURS[label - 1]
    # Steps of the golden ratio: neighbours are far apart, and none comes twice.
    r, g, b = colorsys.hsv_to_rgb((label * 0.618034) % 1.0, 0.55 + 0.4 * (label % 2), 0.9)
    return f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}"


def painted(panel: Panel) -> Array:
    """The colours of labels (h, w, 4), clear where the class is 0."""
    labels = panel.labels
    assert labels is not None
    result = np.zeros((*labels.shape, 4))
    for label in np.unique(labels[labels > 0]):
        result[labels == label] = _rgba(colour(int(label)))
    if panel.ignored is not None:
        result[panel.ignored] = _rgba(_IGNORED)
    return result


def legend(found: Sequence[Panel], classes: Sequence[str] | None, *, most: int = 12) -> Iterator[tuple[str, str]]:
    """Colours and names of the classes that are seen in these panels."""
    labels = [panel.labels for panel in found if panel.labels is not None]
    seen = sorted({int(label) for one in labels for label in np.unique(one)} - {0})
    if labels:
        yield "none", f"no colour: {class_name(0, classes)}"
    for label in seen[:most]:
        yield colour(label), class_name(label, classes)
    if len(seen) > most:
        yield "none", f"and {len(seen) - most} more classes"
    if any(panel.ignored is not None and panel.ignored.any() for panel in found):
        yield _IGNORED, "ignored"


def class_name(label: int, classes: Sequence[str] | None) -> str:
    """The name of a class, or its number."""
    known = classes is not None and 0 <= label < len(classes)
    return plain(classes[label])[:_LETTERS] if known and classes else f"class {label}"


def _image(values: Array, header: str, scale: tuple[float, float] | None = None) -> Panel:
    """An image as it is seen: grey or in colours; the first channel of other numbers of channels."""
    flat, notes = _sliced(values)
    scale = scale or _range(flat)
    if flat.ndim == 2:
        return Panel(header, flat, notes, scale=scale, signal=True)
    if len(flat) == 3:
        span = max(scale[1] - scale[0], 1e-12)
        return Panel(header, np.clip((np.moveaxis(flat, 0, -1) - scale[0]) / span, 0, 1), notes)
    if len(flat) > 1:
        notes.append((f"channel 1 of {len(flat)}", "dimgray"))
    return Panel(header, flat[0], notes, scale=scale)


def _map(values: Array, header: str) -> Panel:
    """Numbers that are no image, in colours, with their range above."""
    flat, notes = _sliced(values)
    scale = _range(flat[:1])
    notes.append((f"{number(scale[0])} to {number(scale[1])}", "dimgray"))
    if len(flat) > 1 and flat.ndim == 3:
        notes.append((f"channel 1 of {len(flat)}", "dimgray"))
    signal = flat.ndim == 2
    return Panel(header, flat if signal else flat[0], notes, scale=scale, colours="viridis", signal=signal)


def _reconstruction(image: Array, output: Array, prefix: str) -> list[Panel]:
    flat, _ = _sliced(image)
    again = _image(output, f"{prefix}reconstruction", _range(flat))
    other, notes = _sliced(output)
    if other.shape != flat.shape:
        return [again]
    difference = np.abs(other - flat)
    signal = difference.ndim == 2
    if not signal:
        difference = difference.mean(axis=0)
    top = _range(difference)[1]
    finite = difference[np.isfinite(difference)]
    mean = number(float(finite.mean())) if finite.size else "not finite"
    notes.append((f"mean {mean}, up to {number(top)}", "dimgray"))
    name = f"{prefix}difference"
    return [again, Panel(name, difference, notes, scale=(0.0, top or 1.0), colours="magma", signal=signal)]


def _segmentation(image: Panel, output: Array, target: Array, prefix: str) -> list[Panel]:
    """The true and the predicted classes over the image."""
    truth = target if target.ndim < 3 else target[target.shape[0] // 2]
    scores, _ = _sliced(output)
    # One channel: how sure it's of the one class.
    predicted = scores.argmax(axis=0) if len(scores) > 1 else (scores[0] > 0).astype(np.int64)
    ignored = (truth < 0) | (truth >= max(len(scores), 2))
    notes = []
    if predicted.shape == truth.shape and not ignored.all():
        notes.append((f"{100 * (predicted != truth)[~ignored].mean():.1f} % wrong", "dimgray"))
    seen: dict[str, Any] = {"scale": image.scale, "signal": image.signal}
    return [
        Panel(f"{prefix}truth", image.values, [], np.where(ignored, 0, truth), ignored, **seen),
        Panel(f"{prefix}prediction", image.values, notes, predicted, **seen),
    ]


def _class(output: Array, truth: int, prefix: str, classes: Sequence[str] | None) -> list[tuple[str, str]]:
    scores = output.reshape(-1).astype(np.float64)
    # Of one score: the second of two classes, by its sign.
    shares = _softmax(scores if len(scores) > 1 else np.array([0.0, scores[0]]))
    predicted = int(shares.argmax())
    right = predicted == truth
    sign, shade = ("✓", RIGHT) if right else ("✗", WRONG)
    told = f"{prefix}{sign} {class_name(predicted, classes)} ({100 * shares[predicted]:.0f} %)"
    return [(told, shade)] if right else [(told, shade), (f"{prefix}truth: {class_name(truth, classes)}", shade)]


def _numbers(named: Mapping[str, Array], prefix: str) -> list[tuple[str, str]]:
    """A few numbers as text."""
    return [
        (f"{prefix}{what} {', '.join(map(number, values.reshape(-1)[:4]))}", "black") for what, values in named.items()
    ]


def _with_channel(target: Array, dims: int) -> Array:
    """Numbers for each pixel with an axis for their channel, as images have one; the others as they are."""
    pixels = dims > 1 and target.ndim == dims and not np.issubdtype(target.dtype, np.integer)
    return target[None] if pixels else target


def _sliced(values: Array) -> tuple[Array, list[tuple[str, str]]]:
    """A picture's channels (c, h, w), of a volume those of the slice in the middle; of a signal (c, length)."""
    values = values.astype(np.float64)
    if values.ndim < 4:
        return values, []
    depth = values.shape[1]
    return values[:, depth // 2], [(f"slice {depth // 2 + 1} of {depth}", "dimgray")]


def _range(values: Array) -> tuple[float, float]:
    """From what to what values go, without those that aren't finite."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    # Adding 0: of a -0 nobody wants to read.
    low, high = float(finite.min()) + 0.0, float(finite.max()) + 0.0
    return (low, high) if high > low else (low, low + 1.0)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def _rgba(text: str) -> tuple[float, ...]:
    return (*(int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)), 0.55)


def _short(text: str) -> str:
    """The end of a name, which tells files apart."""
    text = plain(text)
    return text if len(text) <= _LETTERS else f"…{text[1 - _LETTERS :]}"


__all__ = ["RIGHT", "WRONG", "Panel", "class_name", "colour", "legend", "painted", "panels"]
