"""Checkpoints of every kind, questions about them, and what a plain reading of both answers, without any database."""

import random
import re

import hypothesis.strategies as st

from mcore.checkpoint import records
from mcore.checkpoint.ids import first_id
from mcore.checkpoint.records import channels_of
from mcore.checkpoint.search.query import And, Compare, In, IsNull, Not, Or
from mcore.checkpoint.store.base import event_key, record_key
from mcore.checkpoint.store.folder import Folder
from tests.checkpoint import made

IDENTITY = first_id(1)
START = 1_764_000_000_000
ODD = ("", "x' OR 1=1 --", 'say "no"', "50%_off", "a[b]c*", "back\\slash", "Größe", "ß", "zero\0byte", "\U0001f600")

CREATED = ("2026-11-28T17:00:00Z", "2026-11-28T17:00:00.5Z", "2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00Z")


# --- a store without flushing


def store(path):
    return Folder(path)


def keep(folder, key, content):
    """A file as a store makes it, but at once."""
    file = folder.path / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def keep_record(folder, record):
    keep(folder, record_key(record.id), records.written(record))
    return record


def event(number, checkpoint, do, **more):
    return records.checked(
        {"id": first_id(START + number), "checkpoint": checkpoint, "do": do, "created": "2026-11-28T18:00:00Z", **more},
        records.Event,
        "made",
    )


def keep_event(folder, one):
    keep(folder, event_key(one.id, one.checkpoint), records.written(one))
    return one


class Corpus(tuple):
    """An index, the records in it, newest first, and their store; told in a word where a test fails."""

    __slots__ = ()

    def __repr__(self):
        return f"Corpus of {len(self[1])}"


# --- records


def record(number, seed=None):
    """A record of whatever may stand in one, the same for the same number."""
    r = random.Random(f"{number} {seed}")

    def maybe(make, otherwise=None):
        return make() if r.random() < 0.6 else otherwise

    backbone = r.random() < 0.3
    # Several checkpoints of a name; ids an hour apart.
    return made.record(
        first_id(START + number * 3_600_000),
        kind="backbone" if backbone else "network",
        network=r.choice(("UNet", "resnet50", "net.x")),
        task="" if backbone else r.choice(("segmentation", "detection", "any")),
        version=r.randint(1, 4),
        structure={"builder": r.choice(("", "models")), "title": r.choice(("", "UNet", "A'B"))},
        code={
            "package": "mcore",
            "version": r.choice(("0.1", "0.2")),
            "commit": maybe(lambda: r.choice(("a" * 7, "b" * 40))),
            "dirty": r.choice((None, True, False)),
        },
        components=[_component(r, role) for role in _roles(r, backbone)],
        training=r.random() < 0.5,
        resolutions=[r.choice(((64,), (64, 48), (8, 64, 64))) for _ in range(r.randint(0, 2))],
        loss=r.choice(({}, {"name": "dice", "weight": 2}, {"mask": "dice", "boxes": {"name": "ciou", "weight": 0.5}})),
        metrics=[
            {"name": name, "split": split, "value": r.choice((0.1, 0.5, 0.7, -3, 1e9)), "head": str(head)}
            for name, split in (("miou", ""), ("miou", "val"), ("mAP@50", "val"))
            for head in range(r.choice((0, 0, 1, 1, 2)))
        ],
        dataset=[
            {"name": name, "images": maybe(lambda: 100)} for name in r.sample(("cells", "brain", "x"), r.randint(0, 2))
        ],
        optimiser=maybe(
            lambda: {"name": "AdamW", "groups": [{"lr": 0.1}, {"lr": 0.01}], "max_start_lr": maybe(lambda: 0.5)}
        ),
        precision=r.choice(("", "fp32", "mixed")),
        batch_size=maybe(lambda: r.randint(1, 4)),
        costs=[
            {"device": device, "shape": (1, 8), "forward_ms": r.choice((1, 2.5)), "memory_bytes": maybe(lambda: 7)}
            for device in r.sample(("cpu", "H100"), r.randint(0, 2))
        ],
        facts=_facts(r),
        tags=_tags(r),
        notes=r.choice((*ODD, "Great on Brain slices", "great")),
        author=r.choice(("ann", "bob", *filter(_is_line, ODD))),
        created=r.choice(CREATED),
        parent=maybe(lambda: first_id(START)),
        has_nan=r.random() < 0.2,
    )  # fmt: skip


def _roles(r, backbone):
    return (
        ["backbone"]
        if backbone
        else r.choice((["network"], ["backbone", "neck", "head"], ["backbone", "head", "head"]))
    )


def _component(r, role):
    return {
        "role": role,
        "name": f"{role}{r.random()}",
        "type": r.choice(("", "resnet18", "resnet50", "FPN")),
        "parameters": r.choice((0, 10, 20)),
        **r.choice(
            ({}, {"in_channels": 3}, {"in_channels": 4, "channels": ("R", "G", "B", "mask")}, {"channels": ("em",)})
        ),
        "num_classes": r.choice((None, 2, 21)),
        "task": r.choice(("", "segmentation", "detection")),
        "resolution": r.choice(("", "1", "H/2")),
        "facts": _facts(r),
        "arguments": r.choice(({}, {"width": 64})),
    }


def _facts(r):
    return {
        key: r.choice(
            (1, 2.5, "1", "large", True, False, [1, "large", 3], {"deep": 1, "mean size": 7}, None, "", "y" * 500)
        )
        for key in r.sample(("size", "anchors", "mean size"), r.randint(0, 2))
    }


def _tags(r):
    return {key: r.choice(("", "em", "EM", "mri*")) for key in r.sample(("em", "domain", "v1.2"), r.randint(0, 3))}


def _is_line(text):
    return text and "\0" not in text


# --- what a question means, read plainly


def answer(node, record, tags=None, notes=None, aliases=()):
    """True, False, or None where it isn't known."""
    tags = record.tags if tags is None else tags
    notes = record.notes if notes is None else notes
    if isinstance(node, Not):
        inner = answer(node.part, record, tags, notes, aliases)
        return None if inner is None else not inner
    if isinstance(node, And | Or):
        found = [answer(part, record, tags, notes, aliases) for part in node.parts]
        decisive = isinstance(node, Or)
        return decisive if decisive in found else None if None in found else not decisive
    if node.field in ("tags", "aliases"):
        names = tags if node.field == "tags" else aliases
        if isinstance(node, IsNull):
            return not names
        return any(_holds(name, node) for name in names)
    values = _values(node.field, record, tags, notes)
    if isinstance(node, IsNull):
        return not values
    wanted = node.values if isinstance(node, In) else (node.value,)
    # Of facts, only those of the same type can be compared.
    alike = [value for value in values if any(_kind(value) == _kind(one) for one in wanted)]
    if not alike:
        return None
    if isinstance(node, Compare) and node.op == "!=":
        return not any(_holds(value, Compare(node.field, "=", node.value)) for value in alike)
    return any(_holds(value, node) for value in alike)


def _kind(value):
    return (
        bool if isinstance(value, bool) else str if isinstance(value, str) else type(value) if value is ... else float
    )


def _holds(value, node):
    if isinstance(node, In):
        if node.field == "notes":
            return any(_text(one).casefold() in value for one in node.values)
        return any(_holds(value, Compare(node.field, "=", one)) for one in node.values if _kind(one) == _kind(value))
    said = node.value
    if node.field == "created":
        # A shorter moment is a span: what begins with it is within.
        said, value = said.rstrip("Z"), value.rstrip("Z")
        value = value[: len(said)] if len(said) <= len(value) else value
    if isinstance(said, str):
        said = _text(said).casefold() if node.field == "notes" else _text(said)
    if node.field.endswith(".channels"):
        said = _joined(said)
    if node.op == "~":
        return re.fullmatch(_pattern(said), value, re.DOTALL) is not None
    return {
        "=": value == said, "!=": value != said,
        "<": node.op in "<=" and value < said, "<=": node.op in "<=" and value <= said,
        ">": node.op in ">=" and value > said, ">=": node.op in ">=" and value >= said,
    }[node.op]  # fmt: skip


def _pattern(said):
    return "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in said)


def _joined(channels):
    return "+".join(channels_of(channels))


def _text(text):
    return text.replace("\0", "\ufffd")


def _values(name, record, tags, notes):
    """All values of a field, none where it is empty."""
    first, _, rest = name.partition(".")
    data = record.model_dump()
    if name == "notes":
        found = [_text(notes).casefold()]
    elif name == "parameters":
        found = [sum(part.parameters for part in record.components)]
    elif first == "metrics":
        found = [record.values.get(rest)]
    elif first == "tags":
        return [tags[rest]] if rest in tags else []
    elif first == "facts":
        found = _paths(record.facts, rest) + [one for part in record.components for one in _paths(part.facts, rest)]
    elif first == "loss":
        found = _paths(record.loss, rest) if rest else _losses(record.loss)
    elif name == "resolution":
        found = ["x".join(map(str, size)) for size in record.resolutions]
    elif name == "dataset":
        found = [data.name for data in record.dataset]
    elif first == "dataset":
        found = [getattr(data, rest) for data in record.dataset]
    elif first == "cost":
        found = [getattr(cost, rest) for cost in record.costs]
    elif name in ("optimiser.lr", "optimiser.weight_decay"):
        found = [getattr(group, rest) for group in record.optimiser.groups] if record.optimiser else []
    elif first in ("structure", "code", "optimiser"):
        found = [(data[first] or {}).get(rest)]
    elif first in ("backbone", "neck", "head", "part", "component") or (first == "network" and rest):
        parts = [part for part in record.components if first in (part.role, "component")]
        kind, _, path = (rest or "type").partition(".")
        found = [
            one for part in parts for one in (_paths(getattr(part, kind), path) if path else [getattr(part, kind)])
        ]
    else:
        found = [getattr(record, name)]
    found = [_joined(one) if name.endswith(".channels") else one for one in found]
    return [_text(one) if isinstance(one, str) else one for one in found if one not in (None, "", ())]


def _paths(data, path):
    """Values at a path, through lists; a mapping, or a text too long, is there (`...`), but equal to nothing."""
    if isinstance(data, list | tuple):
        return [one for item in data for one in _paths(item, path)]
    if path == "":
        return [...] if isinstance(data, dict) or (isinstance(data, str) and len(data) > 400) else [data]
    if not isinstance(data, dict):
        return []
    return [
        one
        for key in data
        if path == key or path.startswith(f"{key}.")
        for one in _paths(data[key], path[len(key) + 1 :])
    ]


def _losses(loss):
    if "name" in loss:
        return [loss["name"]]
    return [one for value in loss.values() for one in (_losses(value) if isinstance(value, dict) else [value])]


# --- questions

TEXTS = st.sampled_from((
    *("segmentation", "detection", "UNet", "resnet18", "resnet50", "ann", "bob", "em", "EM", "dice", "ciou", "cells"),
    *("large", "1", "AdamW", "mcore", "0.1", "models", "cpu", "H/2", "64x48", "great", "nowhere", *ODD),
))  # fmt: skip
NUMBERS = st.sampled_from((0, 1, 2, 3, 4, 7, 10, 21, 64, 100, 0.01, 0.1, 0.5, 0.7, 2.5, -3, 1e9, -1e300))
PATTERNS = st.sampled_from(
    ("*", "?", "", "res*", "*50", "r?snet*", "*e*e*", "[a-z]*", "%", "_n_", "*[b]*", "*\\*", "Gr??e", "50%*", "EM")
)
MOMENTS = st.sampled_from((
    *("2026", "2026-11", "2026-12", "2026-11-28", "2026-11-28T17:00", "2026-11-28T17:00:00", "2026-11-28T17:00:00.5Z"),
    "2027-01",
))  # fmt: skip
TEXT_FIELDS = st.sampled_from((
    *("id", "network", "task", "address", "author", "parent", "structure.builder", "structure.title", "code.package"),
    *("code.version", "code.commit", "optimiser.name", "dataset", "loss", "resolution", "cost.device", "backbone"),
    *("head", "neck", "component", "network.type", "head.task", "head.resolution", "component.name", "tags.domain"),
    *("tags.em", "tags.v1.2", "tags.none"),
))  # fmt: skip
NUMBER_FIELDS = st.sampled_from((
    *("version", "batch_size", "parameters", "optimiser.max_start_lr", "optimiser.lr", "dataset.images"),
    *("cost.forward_ms", "cost.memory_bytes", "backbone.in_channels", "head.num_classes", "component.parameters"),
    *("metrics.miou", "metrics.val.miou", "metrics.val.mAP@50", "metrics.none"),
))  # fmt: skip
TRUTH_FIELDS = st.sampled_from(("has_nan", "training", "code.dirty"))
DATA_FIELDS = st.sampled_from((
    *("facts.size", "facts.anchors", "facts.anchors.deep", "facts.mean size", "facts.size.mean size"),
    *("head.facts.size", "backbone.arguments.width", "component.facts.anchors", "loss.weight", "loss.name"),
    "loss.boxes.weight",
))  # fmt: skip
ALL_FIELDS = st.one_of(
    TEXT_FIELDS, NUMBER_FIELDS, TRUTH_FIELDS, DATA_FIELDS, st.sampled_from(("created", "notes", "tags", "aliases"))
)
ORDERED = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
EQUAL = st.sampled_from(("=", "!="))


def _many(values):
    return st.lists(values, min_size=1, max_size=3).map(tuple)


CHANNELS = st.sampled_from(("RGB+mask", "R,G,B,mask", "em", "RGB"))
DATA = st.one_of(TEXTS, NUMBERS)
LEAVES = st.one_of(
    st.builds(Compare, TEXT_FIELDS, ORDERED, TEXTS),
    st.builds(Compare, TEXT_FIELDS, st.just("~"), PATTERNS),
    st.builds(Compare, NUMBER_FIELDS, ORDERED, NUMBERS),
    st.builds(Compare, TRUTH_FIELDS, EQUAL, st.booleans()),
    st.builds(Compare, DATA_FIELDS, ORDERED, DATA),
    st.builds(Compare, DATA_FIELDS, EQUAL, st.booleans()),
    st.builds(Compare, DATA_FIELDS, st.just("~"), PATTERNS),
    st.builds(Compare, st.just("created"), ORDERED, MOMENTS),
    st.builds(Compare, st.just("notes"), EQUAL, TEXTS),
    st.builds(Compare, st.just("backbone.channels"), EQUAL, CHANNELS),
    st.builds(In, st.just("component.channels"), _many(CHANNELS)),
    st.builds(Compare, st.just("notes"), st.just("~"), PATTERNS),
    st.builds(Compare, st.sampled_from(("tags", "aliases")), st.just("~"), PATTERNS),
    st.builds(In, TEXT_FIELDS, _many(TEXTS)),
    st.builds(In, NUMBER_FIELDS, _many(NUMBERS)),
    st.builds(In, DATA_FIELDS, _many(st.one_of(DATA, st.booleans()))),
    st.builds(In, st.sampled_from(("tags", "aliases", "notes")), _many(TEXTS)),
    st.builds(In, st.just("created"), _many(MOMENTS)),
    st.builds(IsNull, ALL_FIELDS),
)
QUESTIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
