"""What questions may ask of a checkpoint: one table, which the parser checks by and the help prints.

A name in brackets stands for any: `metrics.<name>` is asked for as `metrics.miou`. `<part>` is `backbone`, `neck`,
`head`, `network`, `part`, or `component` for any of these.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mcore.checkpoint.records import LETTERS, channels_of
from mcore.vocabulary import nearest

PARTS = ("backbone", "neck", "head", "network", "part", "component")
# Kinds of fields, as messages name them.
TEXT, NUMBER, TRUTH, MOMENT, DATA = "text", "a number", "true or false", "a moment", "data"
NAMES, PROSE = "a set of names", "free text"
OPERATORS = {
    TEXT: ("=", "!=", "<", "<=", ">", ">=", "~"),
    NUMBER: ("=", "!=", "<", "<=", ">", ">="),
    TRUTH: ("=", "!="),
    MOMENT: ("=", "!=", "<", "<=", ">", ">="),
    DATA: ("=", "!=", "<", "<=", ">", ">=", "~"),
    NAMES: ("~",),
    PROSE: ("=", "!=", "~"),
}
# Characters of a text in facts, and of a path to it, that can be asked for: indices of databases take no more.
LONGEST_TEXT, LONGEST_PATH = 400, 200

Value = str | float | bool


@dataclass(frozen=True)
class Field:
    """A field of questions.

    Attributes:
        name: as it is asked for; of the table, with `<...>` for what varies.
        kind: of its values, as above.
        doc: what it is, in a line.
        place: the index's table that has it: "checkpoint", "component", "metric", "tag", "alias", "fact".
        key: which column, metric, tag or fact it is.
        part: of a component: which.
        many: whether a checkpoint may have several values.
        choices: all values that there are, where they are few.
        canonical: makes what is written what the index has.
    """

    name: str
    kind: str
    doc: str
    place: str = "checkpoint"
    key: str = ""
    part: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    canonical: Callable[[str], str] | None = None


class Misfit(ValueError):
    """A field or a value that doesn't fit; `at` says which of them is wrong."""

    def __init__(self, message: str, at: str) -> None:
        super().__init__(message)
        self.at = at


def compact(channels: str | tuple[str, ...] | list[str]) -> str:
    """Channels in one word, whoever wrote them.

    >>> compact("R,G,B,mask"), compact("RGB+mask"), compact(["em", "mask"])
    ('RGB+mask', 'RGB+mask', 'em+mask')
    """
    words: list[str] = []
    for channel in channels_of(channels):
        if channel in LETTERS and words and set(words[-1]) <= LETTERS.keys():
            words[-1] += channel
        else:
            words.append(channel)
    return "+".join(words)


def _columns(*rows: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, kind, doc, key=name.replace(".", "_")) for name, kind, doc in rows)


def _parts(*rows: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(f"<part>.{name}", kind, doc, "component", name, many=True) for name, kind, doc in rows)


def _several(*rows: tuple[str, str, str]) -> tuple[Field, ...]:
    return tuple(Field(name, kind, doc, "fact", name, many=True) for name, kind, doc in rows)


FIELDS: tuple[Field, ...] = (
    *_columns(
        ("id", TEXT, "the checkpoint's id"),
        ("kind", TEXT, '"backbone" or "network"'),
        ("network", TEXT, "name of the network or backbone in the trees"),
        ("task", TEXT, '"segmentation", ...; null of backbones'),
        ("version", NUMBER, "counts the checkpoints of an address"),
        ("address", TEXT, 'place in the trees: "networks/segmentation/UNet"'),
        ("author", TEXT, "who saved it"),
        ("created", MOMENT, 'when: "2026-11", "2026-11-28", "2026-11-28T17:00"'),
        ("precision", TEXT, '"fp32", "fp16", "bf16" or "mixed"'),
        ("batch_size", NUMBER, "images in a step of training"),
        ("parent", TEXT, "id of the checkpoint that it was fine-tuned from"),
        ("rule", TEXT, "what made a saver save it"),
        ("has_nan", TRUTH, "whether an entry of the weights isn't finite"),
        ("training", TRUTH, "whether it was saved in training mode"),
        ("parameters", NUMBER, "numbers that are trained, of all parts"),
        ("structure.builder", TEXT, "what builds the network anew"),
        ("structure.title", TEXT, "the network's class"),
        ("code.package", TEXT, "the package that made it"),
        ("code.version", TEXT, "its version"),
        ("code.commit", TEXT, "its commit"),
        ("code.hash", TEXT, "hash of the classes used"),
        ("code.dirty", TRUTH, "whether there were changes that weren't committed"),
        ("code.engine", TEXT, "the engine that it was saved on"),
        ("optimiser.name", TEXT, "how it was trained"),
        ("optimiser.scheduler", TEXT, "how its learning rate was changed"),
        ("optimiser.max_start_lr", NUMBER, "largest learning rate to start from that doesn't spoil the weights"),
    ),
    Field("notes", PROSE, 'notes, in any case of letters; "word" in notes', key="notes"),
    *_several(
        ("optimiser.lr", NUMBER, "learning rates, of each group"),
        ("optimiser.weight_decay", NUMBER, "weight decays, of each group"),
        ("dataset", TEXT, "names of the data sets"),
        ("dataset.version", TEXT, "their versions"),
        ("dataset.images", NUMBER, "their numbers of images"),
        ("loss", TEXT, "names in what is told of the loss"),
        ("resolution", TEXT, 'sizes that it was trained at, in pixels: "256x256"'),
        ("cost.device", TEXT, "devices that it was measured on"),
        ("cost.precision", TEXT, "precisions that it was measured in"),
        ("cost.forward_ms", NUMBER, "milliseconds of a forward pass without a graph"),
        ("cost.forward_backward_ms", NUMBER, "milliseconds of a forward and a backward pass"),
        ("cost.memory_bytes", NUMBER, "most memory of a forward pass"),
        ("cost.training_memory_bytes", NUMBER, "most memory of a forward and a backward pass"),
    ),
    Field("<part>", TEXT, "type of a part; network is above", "component", "type", many=True),
    *_parts(
        ("name", TEXT, "below which name the part stands in the network"),
        ("type", TEXT, "its type, as backbone alone means it too"),
        ("parameters", NUMBER, "its numbers that are trained"),
        ("in_channels", NUMBER, "channels of the images that it sees"),
        ("channels", TEXT, 'what they mean: "RGB", "BGR", "RGB+mask"'),
        ("out_channels", NUMBER, "channels of what it gives"),
        ("num_classes", NUMBER, "classes that it scores"),
        ("task", TEXT, "what a head is for"),
        ("resolution", TEXT, 'of what it gives, to the image: "1", "H/2", "H/8"'),
    ),
    Field("metrics.<name>", NUMBER, "a metric, or that of a split: metrics.miou, metrics.val.miou", "metric"),
    Field("tags", NAMES, 'its tags: "em" in tags, tags in ("em", "mri"), tags ~ "em*"', "tag", many=True),
    Field("tags.<name>", TEXT, 'value of a tag: tags.domain = "em"', "tag"),
    Field("aliases", NAMES, 'its aliases: "best" in aliases', "alias", many=True),
    Field("facts.<path>", DATA, "facts, of the checkpoint and of its parts: facts.mean_size", "fact", many=True),
    Field("loss.<path>", DATA, "what is told of the loss: loss.weight", "fact", many=True),
    Field("<part>.facts.<path>", DATA, "facts of a part: head.facts.anchors", "fact", many=True),
    Field(
        "<part>.arguments.<path>", DATA, "what its constructor received: backbone.arguments.width", "fact", many=True
    ),
)
_CHOICES = {"kind": ("backbone", "network"), "precision": ("fp32", "fp16", "bf16", "mixed")}
_BY_NAME = {field.name: field for field in FIELDS}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_@-]*(\.[A-Za-z_][A-Za-z0-9_@-]*)?")
_MOMENT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?)?)?Z?")


def field_of(name: str) -> Field:
    """The field of a name as questions write it.

    >>> field_of("head.num_classes").part, field_of("metrics.val.miou").key
    ('head', 'val.miou')

    Raises:
        Misfit: there is none; the nearest names are told.
    """
    first, dot, rest = name.partition(".")
    if name in _BY_NAME and "<" not in name:
        found = _BY_NAME[name]
        return replace(found, choices=_CHOICES.get(name, ()))
    if name in PARTS:
        return replace(_BY_NAME["<part>"], name=name, part=name)
    if dot and first == "metrics" and _WORD.fullmatch(rest):
        return replace(_BY_NAME["metrics.<name>"], name=name, key=rest)
    if dot and rest and first == "tags":
        return replace(_BY_NAME["tags.<name>"], name=name, key=rest)
    if dot and rest and first in ("facts", "loss"):
        return _fact(replace(_BY_NAME[f"{first}.<path>"], name=name, key=name))
    if dot and first in PARTS:
        return _of_part(name, first, rest)
    raise _unknown(name)


def _of_part(name: str, part: str, rest: str) -> Field:
    kind, dot, path = rest.partition(".")
    if dot and path and kind in ("facts", "arguments"):
        return _fact(replace(_BY_NAME[f"<part>.{kind}.<path>"], name=name, key=name))
    found = _BY_NAME.get(f"<part>.{rest}")
    if found is None:
        raise _unknown(name)
    return replace(found, name=name, part=part, canonical=compact if rest == "channels" else None)


def _fact(field: Field) -> Field:
    if len(field.key) > LONGEST_PATH:
        raise Misfit(f"a path of {len(field.key)} characters; at most {LONGEST_PATH} can be asked for", "field")
    return field


def _unknown(name: str) -> Misfit:
    first = name.partition(".")[0]
    if name in ("metrics", "facts") or name.endswith("."):
        return Misfit(f"{name!r} is no field by itself; write {first}.NAME", "field")
    # A column of parts, without saying whose.
    whose = [f"{part}.{name}" for part in ("backbone", "head", "network")] if f"<part>.{name}" in _BY_NAME else []
    likely = whose or nearest(name, names())
    if not likely and "." in name:
        # "metric.miou", "tag.domain": the first step is wrong, the others are the user's own.
        roots = nearest(first, ("metrics", "tags", "facts", "loss", *PARTS), most=1)
        likely = [f"{root}.{name.partition('.')[2]}" for root in roots]
    meant = f"did you mean {', '.join(likely)}?" if likely else f"fields are {', '.join(names()[:9])}, ..."
    return Misfit(f"there is no field {name!r:.100}; {meant}", "field")


def names() -> list[str]:
    """All names that don't vary, those of parts written out."""
    plain = [field.name for field in FIELDS if "<" not in field.name]
    parts = [field.name.replace("<part>", part) for field in FIELDS if field.place == "component" for part in PARTS]
    return list(dict.fromkeys([*plain, *parts]))


def check(name: str, operator: str, value: Any) -> Field:
    """The field, if `operator` and `value` fit it; "in" stands for membership.

    Raises:
        Misfit: they don't, with what does.
    """
    field = field_of(name)
    if operator == "is":
        return field
    if operator != "in" and operator not in OPERATORS[field.kind]:
        raise Misfit(f"{name} is {field.kind}, which {operator!r} doesn't take; {_usage(field)}", "field")
    _check_value(field, value, operator)
    return field


def _check_value(field: Field, value: Any, operator: str) -> None:
    wanted, got = _wanted(field), kind_of(value)
    if field.kind != DATA and got != wanted:
        raise Misfit(f"{field.name} is {field.kind}, but {shown(value)} is {got}", "value")
    if operator == "~" and got != TEXT:
        raise Misfit(f"{field.name} ~ takes a pattern in quotes, got {got}", "value")
    if got == TRUTH and operator not in ("=", "!=", "in"):
        raise Misfit(f"true and false have no order, which {operator!r} asks for", "value")
    if got == NUMBER and not math.isfinite(value):
        raise Misfit(f"{value} is no finite number", "value")
    if got == TEXT:
        _check_text(value)
    if field.kind == MOMENT:
        span_of(value)
    if field.choices and operator in ("=", "!=", "in") and value not in field.choices:
        likely = nearest(value, field.choices, most=1)
        meant = f"; did you mean {shown(likely[0])}?" if likely else ""
        raise Misfit(
            f"{field.name} is one of {', '.join(map(shown, field.choices))}, not {shown(value)}{meant}", "value"
        )


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Misfit(f"{value!r:.60} can't be written as UTF-8", "value") from None


def _wanted(field: Field) -> str:
    return field.kind if field.kind in (NUMBER, TRUTH) else TEXT


def kind_of(value: Any) -> str:
    """What a value is.

    Raises:
        Misfit: nothing that is asked for.
    """
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, str):
        return TEXT
    raise Misfit(f"a value is text, a number, true or false, got a {type(value).__name__}", "value")


def _usage(field: Field) -> str:
    if field.kind == NAMES:
        return f'write "NAME" in {field.name}, or {field.name} ~ "PATTERN*"'
    return f"it takes {', '.join((*OPERATORS[field.kind], 'in'))}"


def shown(value: Any) -> str:
    """A value as a question writes it; long ones shortened."""
    if isinstance(value, str):
        return f'"{value[:57]}..."' if len(value) > 60 else f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)[:60]


def moment_of(text: str) -> str:
    """A record's moment in a form that sorts by time.

    >>> moment_of("2026-11-28T17:00:00.5Z")
    '2026-11-28T17:00:00.500000'
    """
    return text[:19] + "." + text[20:].rstrip("Z").ljust(6, "0")


def span_of(text: str) -> tuple[str, str]:
    """A year, a month, a day, a minute or a moment as the time from when till before when it lasts.

    >>> span_of("2026-12")
    ('2026-12-01T00:00:00.000000', '2027-01-01T00:00:00.000000')

    Raises:
        Misfit: it is none.
    """
    found = _MOMENT.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second, part = found.groups()
        start = datetime.datetime(  # All moments are in UTC, without saying so.
            *(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0)),
            int((part or "0").ljust(6, "0")),
        )
        if day is None:
            months = 1 if month else 12
            year_of, month_of = divmod(start.year * 12 + start.month - 1 + months, 12)
            end = start.replace(year=year_of, month=month_of + 1)
        else:
            steps = {"microseconds": 10 ** (6 - len(part))} if part else {"seconds": 1} if second else {"minutes": 1}
            end = start + datetime.timedelta(**(steps if hour else {"days": 1}))
    except (ValueError, OverflowError):
        raise Misfit(
            f'{shown(text)} is no moment such as "2026-11", "2026-11-28", "2026-11-28T17:00"', "value"
        ) from None
    return _sortable(start), _sortable(end)


def _sortable(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def table() -> str:
    """All fields with what they are, for people."""
    width = max(len(field.name) for field in FIELDS)
    return "\n".join(f"{field.name:{width}}  {field.doc}" for field in FIELDS)


__all__ = [
    "FIELDS",
    "Field",
    "Misfit",
    "check",
    "compact",
    "field_of",
    "kind_of",
    "moment_of",
    "names",
    "span_of",
    "table",
]
