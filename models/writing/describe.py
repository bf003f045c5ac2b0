"""The documentation of a configuration, compiled from its parts' docstrings and parameters, in Markdown."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import mcore
from mcore import config, specs
from mcore.signatures import signature
from models.assembly import Assembly, as_data, build
from models.component import Component, is_data, plain
from models.composite import Composite
from models.graph import COMPUTED
from models.utils.summary import parameters
from models.writing.docstrings import documentation


def describe(source: str | os.PathLike[str] | Mapping[str, Any] | Component, overrides: Sequence[str] = ()) -> str:
    """What a network consists of, part by part: what each is, gives and was told, and where it comes from.

    Args:
        source: a configuration's file or data, or a network.
        overrides: `path=value`, as `models.from_config` takes them.

    Raises:
        ConfigError: every mistake in the configuration.
    """
    net = source if isinstance(source, Component) else sketched(config.read(source, overrides))
    if isinstance(net, Composite):
        parts = {node.name: net.part(node.name) for node in net._nodes}
        own = [] if isinstance(net, Assembly) else [*_part(type(net).__name__, net), ""]
        body = [*own, *_graph(net, parts), *(line for name, part in parts.items() for line in ["", *_part(name, part)])]
    else:
        body = _part(type(net).__name__, net)
    return "\n".join([f"# {_title(net)}", "", f"{parameters(net):,} parameters.", "", *body, ""])


def sketched(read: config.Config) -> Any:
    """The network without its numbers: nobody needs them here."""
    model = read.data.get("model")
    if isinstance(model, Mapping):
        typed = specs.type_of(model) is not None
        bare = {key: value for key, value in model.items() if key != "weights"} if typed else as_data(model)
        read.data["model"] = bare
    with mcore.device("meta"):
        return build(read)


def _title(net: Any) -> str:
    if isinstance(net, Composite):
        names = [net.part(node.name).spec()["type"] for node in net._nodes]
        return ", ".join(names)
    return str(net.spec()["type"])


def _graph(net: Composite, parts: Mapping[str, Any]) -> list[str]:
    rows = ["| part | type | fed by | gives | parameters |", "| --- | --- | --- | --- | ---: |"]
    for node in net._nodes:
        part = parts[node.name]
        gives = ", ".join(f"{channels} at 1/{stride}" for channels, stride in getattr(part, "features", []))
        fed = " + ".join(map(str, node.sources))
        rows.append(f"| {node.name} | {part.spec()['type']} | {fed} | {gives} | {parameters(part):,} |")
    return rows


def _part(name: str, part: Any) -> list[str]:
    said, spec = documentation(part), part.spec()
    lines = [f"## {name}: {spec['type']}", "", said.summary]
    if said.text:
        lines += ["", said.text]
    if "Shapes" in said.sections:
        lines += ["", "```", said.sections["Shapes"], "```"]
    lines += ["", "| parameter | value | | meaning |", "| --- | --- | --- | --- |", *_values(part, said.arguments)]
    # A file is one family: what holds for all of it stands at its top.
    family = documentation(sys.modules[type(part).__module__])
    for section in ("Source", "Differs", "Names"):
        text = said.sections.get(section) or family.sections.get(section)
        if text:
            lines += ["", f"{section}: {' '.join(text.split())}"]
    return lines


def _values(part: Any, meanings: Mapping[str, str]) -> list[str]:
    """A row for each parameter: its value, and whether it was given, computed, or is the default."""
    received, rows = part._arguments, []
    for name, parameter in signature(type(part)).parameters.items():
        if name in ("variant", "weights"):
            continue
        value = received.get(name, parameter.default)
        how = "default"
        if name in received and received[name] != parameter.default:
            how = "computed" if name in COMPUTED and name != "dims" and _fed(part) else "given"
        meaning = meanings.get(name, "").replace("|", "\\|")
        shown = plain(value, name) if is_data(value) else getattr(value, "__name__", value)
        rows.append(f"| {name} | `{shown!r}` | {how} | {meaning} |")
    return rows


def _fed(part: Any) -> bool:
    return "in_strides" in signature(type(part)).parameters or not hasattr(part, "first_conv")
