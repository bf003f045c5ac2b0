"""A checkpoint as one HTML page: everything that its record says, its layers, its history and its parents.

The page loads nothing and has no script; its policy lets exactly its own style sheet work, so that no name, tag or note
could ever run, even if it weren't escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcore.checkpoint.errors import LimitExceeded, NotFound, SchemaError
from mcore.checkpoint.extras import needed
from mcore.checkpoint.records import Component, Cost, Event, Optimiser, Record
from mcore.checkpoint.shown import texts
from mcore.checkpoint.shown.outline import outlines

_HERE = Path(__file__).parent
# Parents of parents that are told.
_GENERATIONS = 100

Rows = list[tuple[str, str]]


def card(record: Record, repo: Any, *, net: Any = None) -> str:
    """A page of a checkpoint; the same checkpoint gives the same page.

    Args:
        record: the checkpoint.
        repo: where it is: its weights are read and checked for the table of layers, a component at a time.
        net: the network, where it has been built: the page then has the class of each layer.

    Raises:
        ImportError: jinja2 isn't installed; the message has the command.
    """
    jinja2 = needed("jinja2", what="the page of a checkpoint")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"amount": texts.amount, "number": texts.number, "shape": texts.shape, "plain": _visible}
    style = (_HERE / "card.css").read_text("utf-8")
    return environment.get_template("card.html").render(
        record=record,
        # Ours, and nobody else's text.
        style=jinja2.utils.markupsafe.Markup(style),
        style_hash="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        size=texts.size(record),
        parameters=texts.parameters(record),
        aliases=sorted(name for (_, name), id in repo.history.aliases().items() if id == record.id),
        metric_columns=[
            name for name in ("better", "head", "dataset") if any(getattr(one, name) for one in record.metrics)
        ],
        facts=facts_of(record),
        configuration=json.dumps(record.structure.config, indent=1, ensure_ascii=False),
        components=[(one, component_of(one)) for one in record.components],
        outlines=list(outlines(record, repo, net)),
        classes=net is not None,
        events=[(event.created, event_of(event), event.author) for event in repo.history.of(record.id)],
        parents=list(parents_of(record, repo)),
    )


def facts_of(record: Record) -> Rows:
    """What the record says of the whole, by name, without what is empty."""
    code = record.code
    commit = f" at {code.commit}" + " with changes" * bool(code.dirty) if code.commit else ""
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(code.libraries.items()))
    rows = [
        ("author", record.author),
        ("created", record.created),
        ("saved because of", record.rule),
        ("mode", "training" if record.training else "eval"),
        ("trained at", ", ".join(texts.shape(size) for size in record.resolutions)),
        ("loss", _pairs(record.loss)),
        ("precision", record.precision),
        ("batch size", "" if record.batch_size is None else str(record.batch_size)),
        *(("data set", _dataset(one.model_dump())) for one in record.dataset),
        *(_optimiser(record.optimiser) if record.optimiser else ()),
        *(("cost", cost_of(one)) for one in record.costs),
        *((f"fact: {name}", texts.data(value)) for name, value in record.facts.items()),
        ("built by", record.structure.builder or "the network's own class"),
        ("class", record.structure.title),
        ("code", f"{code.package} {code.version}{commit}"),
        ("code's hash", code.hash or ""),
        ("engine", code.engine),
        ("libraries", libraries),
        ("not finite", "an entry of the weights isn't a finite number" if record.has_nan else ""),
        ("shared", ", ".join(f"{name} is {other}" for name, other in record.shared.items())),
    ]
    return [(name, text) for name, text in rows if text]


def component_of(one: Component) -> Rows:
    """What the record says of a component, by name, without what is empty."""
    rows = [
        ("type", one.type),
        ("arguments", _pairs(one.arguments)),
        ("parameters", f"{one.parameters:,}"),
        ("input", _input(one)),
        ("mean", ", ".join(map(texts.number, one.mean))),
        ("std", ", ".join(map(texts.number, one.std))),
        ("range of values", " to ".join(map(texts.number, one.value_range or ()))),
        ("first convolution", ", ".join(one.first_conv)),
        ("classifier", ", ".join(one.classifier)),
        ("output channels", "" if one.out_channels is None else str(one.out_channels)),
        ("classes", "" if one.num_classes is None else str(one.num_classes)),
        ("task", one.task),
        ("resolution", one.resolution),
        *((f"fact: {name}", texts.data(value)) for name, value in one.facts.items()),
        ("file", f"{texts.amount(one.blob.size)}, sha256 {one.blob.sha256}" if one.blob else "none"),
    ]
    return [(name, text) for name, text in rows if text]


def cost_of(one: Cost) -> str:
    """A measured cost in one line."""
    parts = [
        f"{one.device}, {texts.shape(one.shape)}, {one.precision}: forward {texts.number(one.forward_ms)} ms",
        f"(10 to 90 %: {texts.number(one.spread_ms)} ms)" if one.spread_ms else "",
        f"and backward {texts.number(one.forward_backward_ms)} ms" if one.forward_backward_ms is not None else "",
        f"memory {texts.amount(one.memory_bytes)}" if one.memory_bytes is not None else "",
        f"in training {texts.amount(one.training_memory_bytes)}" if one.training_memory_bytes is not None else "",
        f"{one.runs} runs" if one.runs > 1 else "",
        f"{one.threads} threads" if one.threads else "",
    ]
    return ", ".join(filter(None, parts)).replace(", (", " (").replace(", and ", " and ")


def event_of(event: Event) -> str:
    """What happened, in words."""
    told = {
        "tag": f"tagged {texts.tag(event.name, event.value)}",
        "untag": f"tag {event.name} taken away",
        "alias": f"called {event.value}@{event.name}",
        "note": f"note: {event.value}",
        "delete": "deleted",
        "restore": "brought back",
    }
    return told[event.do]


def parents_of(record: Record, repo: Any) -> Iterator[tuple[str, str]]:
    """What it was fine-tuned from, and that from, ...: ids, and addresses where they're known."""
    seen = {record.id}
    while record.parent is not None and record.parent not in seen and len(seen) < _GENERATIONS:
        seen.add(record.parent)
        try:
            parent = repo.original(record.parent)
        except (NotFound, SchemaError, LimitExceeded):
            yield record.parent, "isn't here"
            return
        yield parent.id, f"{parent.address}@{parent.version}"
        record = parent


def _visible(text: str) -> str:
    """What would turn the direction of a line, or isn't seen, as an escape; line ends stay."""
    return "\n".join(map(texts.plain, text.splitlines()))


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={texts.data(value)}" for name, value in values.items())


def _input(one: Component) -> str:
    count = "" if one.in_channels is None else f"{one.in_channels} channel{'s' * (one.in_channels > 1)}"
    return f"{count}: {', '.join(one.channels)}" if count and one.channels else count or ", ".join(one.channels)


def _dataset(one: dict[str, Any]) -> str:
    images = f"{one['images']:,} images" if one["images"] is not None else ""
    return ", ".join(filter(None, (one["name"], one["version"], images, _pairs(one["facts"]))))


def _optimiser(one: Optimiser) -> Iterator[tuple[str, str]]:
    yield "optimiser", ", ".join(filter(None, (one.name, one.scheduler)))
    for number, group in enumerate(one.groups):
        facts = f", {_pairs(group.facts)}" if group.facts else ""
        text = f"lr {texts.number(group.lr)}, weight decay {texts.number(group.weight_decay)}{facts}"
        yield f"group {group.name or number}", text
    if one.max_start_lr is not None:
        yield "largest lr to start from", texts.number(one.max_start_lr)


__all__ = ["card", "component_of", "cost_of", "event_of", "facts_of", "parents_of"]
