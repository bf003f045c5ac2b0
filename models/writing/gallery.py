"""The gallery: pages of every component by kind and family, with drawings, counts, shapes and options, in Markdown.

Everything is read from the registry, the constructors' signatures and docstrings, and from networks without numbers.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from types import ModuleType
from typing import Any, NamedTuple

import mcore
from mcore.config import FORMAT
from mcore.registry import KINDS, available, kinds_of, lookup
from mcore.signatures import signature
from models.assembly import assemble, from_config
from models.backbones.base import Backbone
from models.component import Component, is_data, plain
from models.composite import Composite
from models.examples.arguments import FED, ON_PYRAMID, PYRAMID, RSUNETS, example
from models.sizing import Sized
from models.utils.summary import parameters
from models.writing.docstrings import Documentation, documentation
from models.writing.drawing import drawing
from models.writing.homonyms import HOMONYMS

# Pixels along an axis of the images that parts and networks are drawn for.
IMAGE, BLOCK = 128, 32
SIZES = {"LeNet": 32, "AlexNet": 224, **dict.fromkeys(RSUNETS, 32)}
TITLES = {
    "network": "Networks",
    "backbone": "Backbones",
    "neck": "Necks",
    "head": "Heads",
    "attention": "Attention",
    "block": "Blocks",
}
_NOTES = {
    "network": "Counts are those of the arguments shown. `mcore show NAME --size ...` lists a network's layers.",
    "backbone": "Channels and strides are those of all levels, finest first; levels in brackets are returned only "
    "where `out_indices` names them. The last count is the published classifier's, `num_classes=1000`.",
    "neck": f"Counts and maps are those of a neck fed with the four maps of {FED}: 64, 128, 256 and 512 channels at "
    "strides 4 to 32.",
    "head": f"Counts are those of a head fed with the four maps of {FED}: 64, 128, 256 and 512 channels at strides 4 "
    "to 32, or, where the configuration below says so, with those of a neck.",
    "attention": "Counts are those of the arguments shown. Where a map keeps its size, the neck `Attend` puts any of "
    "them on every map of a backbone.",
    "block": "What backbones, necks and heads are made of. Counts are those of the arguments shown.",
}
_FIRST = (
    "This page is generated from the docstrings and signatures of the parts; `mcore gallery` writes it again. In "
    "drawings, `64 at 1/4` is a map of 64 channels, of a quarter of the pixels along each axis."
)


class _Entry(NamedTuple):
    """A constructor and all its names."""

    names: list[str]
    constructor: Callable[..., Any]

    @property
    def documented(self) -> Any:
        """What has the docstring: the class, also of a size."""
        made = signature(self.constructor).return_annotation
        return made if inspect.isclass(made) and issubclass(made, Component) else self.constructor


class _Family(NamedTuple):
    """A file, and what it defines, by class."""

    module: ModuleType
    classes: list[list[_Entry]]

    @property
    def title(self) -> str:
        return self.module.__name__.rpartition(".")[2]


def gallery(only: str = "*") -> dict[str, str]:
    """Pages and drawings by their path inside docs/gallery, which must stand two folders below the project's root.

    Args:
        only: pages to write, by their names without an ending: "neck", "b*", "index".
    """
    files = {"index.md": _index()} if fnmatchcase("index", only) else {}
    for kind in KINDS:
        if fnmatchcase(kind, only):
            files |= _page(kind)
    return files


def _families(kind: str) -> list[_Family]:
    """Everything of a kind by file, in the order of the names."""
    by_target: dict[int, _Entry] = {}
    for name in available(kind):
        constructor = lookup(name, kind).load()
        # A name of our own stands before others that a part is known by.
        entry = by_target.setdefault(id(constructor), _Entry([], constructor))
        entry.names.insert(0 if name == constructor.__name__ else len(entry.names), name)
    modules: dict[str, dict[Any, list[_Entry]]] = {}
    for entry in by_target.values():
        modules.setdefault(entry.constructor.__module__, {}).setdefault(entry.documented, []).append(entry)
    found = [_Family(sys.modules[module], list(classes.values())) for module, classes in modules.items()]
    return sorted(found, key=lambda family: family.title)


def _index() -> str:
    lines = ["# Gallery", "", _FIRST, "", "| page | names |", "| --- | ---: |"]
    lines += [f"| [{TITLES[kind]}]({kind}.md) | {len(available(kind))} |" for kind in KINDS]
    for kind in KINDS:
        lines += ["", f"## {TITLES[kind]}", "", "| family | what | names |", "| --- | --- | --- |"]
        for family in _families(kind):
            names = [name for entries in family.classes for entry in entries for name in entry.names]
            link = f"[{family.title}]({kind}.md#{family.title.replace('.', '')})"
            lines.append(f"| {link} | {_cell(_summary(family))} | {', '.join(f'`{name}`' for name in names)} |")
    lines += ["", "## Same name, different network", ""]
    lines += [
        "What others call by one name isn't always one network. Counts are as published; where a way to write it is "
        "given, the network here has just as many.",
        "",
        "| name | meaning | parameters | here |",
        "| --- | --- | ---: | --- |",
    ]
    for one in HOMONYMS:
        here = f"`{_flow(one.here)}`" if one.here and _is_known(one.here) else "is not here"
        lines.append(f"| {one.name} | {one.meaning} | {one.published:,} | {here} |")
    return "\n".join([*lines, ""])


def _is_known(model: Mapping[str, Any]) -> bool:
    return "type" not in model or model["type"] in available()


def _summary(family: _Family) -> str:
    """What a file is about, or what its only class is."""
    said = documentation(family.module).summary
    if said or len(family.classes) > 1:
        return said
    return documentation(family.classes[0][0].documented).summary


def _page(kind: str) -> dict[str, str]:
    files: dict[str, str] = {}
    lines = [f"# {TITLES[kind]}", "", _FIRST, "", _NOTES[kind]]
    for family in _families(kind):
        source = family.module.__name__.replace(".", "/")
        lines += ["", f"## {family.title}", "", _prose(_summary(family))]
        lines += ["", f"File: [{source}.py](../../{source}.py)"]
        lines += _said(documentation(family.module))
        for entries in family.classes:
            part, drawn = _drawn(kind, entries[0])
            path = f"drawings/{kind}.{entries[0].names[0]}.svg"
            files[path] = drawn
            lines += _class(kind, entries, part, path)
    return {f"{kind}.md": "\n".join([*lines, ""]), **files}


def _class(kind: str, entries: Sequence[_Entry], part: Any, path: str) -> list[str]:
    first = entries[0]
    said = documentation(first.documented)
    title = first.names[0] if len(entries) == 1 else getattr(first.documented, "__name__", first.names[0])
    shown = f"{title}: {first.names[0]}" if len(entries) > 1 else title
    lines = ["", f"### {title}", "", _prose(said.summary), "", f"![{shown}]({path})"]
    if "Shapes" in said.sections:
        lines += ["", "```text", said.sections["Shapes"], "```"]
    lines += _said(said)
    lines += ["", *_counts(kind, entries, part)]
    lines += ["", *_options(first.constructor, said)]
    return [*lines, *_written(kind, first.names[0])]


def _said(said: Documentation) -> list[str]:
    lines: list[str] = []
    for paragraph in said.text.split("\n\n"):
        if paragraph.startswith(">>>"):
            lines += ["", "```text", paragraph, "```"]
        elif paragraph:
            lines += ["", _prose(" ".join(paragraph.split()))]
    for section in ("Source", "Differs", "Names", "Raises"):
        if section in said.sections:
            lines += ["", f"{section}: {_prose(' '.join(said.sections[section].split()))}"]
    return lines


def _counts(kind: str, entries: Sequence[_Entry], part: Any) -> list[str]:
    """The table of names."""
    if kind == "backbone":
        rows = [_backbone(entry) for entry in entries]
        return ["| name | parameters | channels | strides | classifier |", "| --- | ---: | --- | --- | ---: |", *rows]
    columns = ["name", "with", *(["gives"] if kind == "neck" else []), "parameters"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * (len(columns) - 1)} ---: |"]
    for number, entry in enumerate(entries):
        made = part if number == 0 else _part(kind, entry)
        given = ", ".join(f"{key}={value!r}" for key, value in example(kind, entry.names[0]).items())
        cells = [", ".join(entry.names), f"`{given}`" if given else ""]
        if kind == "neck":
            cells.append(", ".join(f"{channels} at 1/{stride}" for channels, stride in made.features))
        lines.append(f"| {' | '.join(map(_cell, cells))} | {parameters(made):,} |")
    return lines


def _backbone(entry: _Entry) -> str:
    with mcore.device("meta"):
        net: Any = entry.constructor()
        whole = parameters(entry.constructor(num_classes=1000)) if _takes(entry.constructor, "num_classes") else None
    channels = [str(level.channels) for level in net.levels]
    strides = [str(level.stride) for level in net.levels]
    if len(set(zip(channels, strides, strict=True))) == 1:
        channels, strides = [f"{len(channels)} × {channels[0]}"], strides[:1]
    else:
        for number, level in enumerate(net.levels):
            if level.index not in net.out_indices:
                channels[number], strides[number] = f"({channels[number]})", f"({strides[number]})"
    count = "" if whole is None else f"{whole:,}"
    return f"| {', '.join(entry.names)} | {parameters(net):,} | {' '.join(channels)} | {' '.join(strides)} | {count} |"


def _takes(constructor: Callable[..., Any], name: str) -> bool:
    return name in signature(constructor).parameters


def _options(constructor: Callable[..., Any], said: Documentation) -> list[str]:
    lines = ["| option | type | default | meaning |", "| --- | --- | --- | --- |"]
    for parameter in signature(constructor).parameters.values():
        default = "" if parameter.default is parameter.empty else f"`{_default(parameter.default)}`"
        cells = [f"`{parameter.name}`", f"`{_type(parameter.annotation)}`", default]
        cells.append(_prose(said.arguments.get(parameter.name, "")))
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return lines if len(lines) > 2 else []


def _default(value: Any) -> str:
    if is_data(value):
        return repr(plain(value, ""))
    return str(getattr(value, "__name__", None) or re.sub(r" at 0x\w+", "", repr(value)))


def _type(annotation: Any) -> str:
    text = inspect.formatannotation(annotation)
    # Names without where they are from: PathLike, not os.PathLike.
    return re.sub(r"\b(?:[a-zA-Z_]\w*\.)+(?=\w)", "", text).replace("NoneType", "None")


def _written(kind: str, name: str) -> list[str]:
    """How it is written in Python and in a configuration."""
    given = example(kind, name)
    spec = {"type": name, **given} if given else name
    model: dict[str, Any]
    if kind == "backbone":
        model = {"backbone": spec, "head": {"type": "Classification", "num_classes": 21}}
        call = f"models.assemble({_python(spec)}, head={_python(model['head'])})"
    elif kind == "neck":
        model = {"backbone": FED, "neck": spec, "head": {"type": "Segmentation", "num_classes": 21}}
        call = f"models.assemble({FED!r}, {_python(spec)}, {_python(model['head'])})".replace("'", '"')
    elif kind == "head":
        model = _assembled(kind, name)
        neck = f'"{model["neck"]}", ' if "neck" in model else "head="
        call = f'models.assemble("{FED}", {neck}{_python(spec)})'
    else:
        first = kinds_of(name)[0] == kind
        model = {"type": name, **({} if first else {"@kind": kind}), **given}
        arguments = {**({} if first else {"kind": kind}), **given}
        call = f"models.create({', '.join([_python(name), *(f'{k}={_python(v)}' for k, v in arguments.items())])})"
    composed = kind in ("backbone", "neck", "head")
    rows = [f"  {key}: {_flow(value)}" for key, value in model.items()] if composed else []
    text = "model:" if composed else f"model: {_flow(model)}"
    return [
        *("", "```python", "import models", "", f"net = {call}", "```"),
        *("", "```yaml", f"mcore: {FORMAT}", text, *rows, "```"),
    ]


def _python(value: Any) -> str:
    return repr(value).replace("'", '"')


def _flow(value: Any) -> str:
    """Data as YAML in one line.

    >>> _flow({"type": "UNet", "norm": None, "@kind": "network", "channels": [1, 2]})
    '{type: UNet, norm: null, "@kind": network, channels: [1, 2]}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return (
            value if re.fullmatch(r"[A-Za-z][\w-]*", value) and value not in ("null", "true", "false") else f'"{value}"'
        )
    return repr(value)


def _part(kind: str, entry: _Entry) -> Any:
    """A component without numbers, with the arguments that the gallery shows."""
    name = entry.names[0]
    with mcore.device("meta"):
        if kind in ("neck", "head"):
            return assemble(**_assembled(kind, name)).part(kind)
        return entry.constructor(**example(kind, name))


def _assembled(kind: str, name: str) -> dict[str, Any]:
    """The network that a neck or head is shown in."""
    given = example(kind, name)
    neck = {"neck": PYRAMID} if kind == "head" and name in ON_PYRAMID else {}
    return {"backbone": FED, **neck, kind: {"type": name, **given} if given else name}


def _drawn(kind: str, entry: _Entry) -> tuple[Any, str]:
    """A component without numbers, and its drawing."""
    part, name = _part(kind, entry), entry.names[0]
    if isinstance(part, Backbone | Composite) or hasattr(part, "plan"):
        return part, drawing(part)
    if kind in ("neck", "head"):
        with mcore.device("meta"):
            stage = next(stage for stage in assemble(**_assembled(kind, name))._stages if stage.node.name == kind)
        features = stage.feeds.features if stage.feeds else []
        pixels = {stride: -(-IMAGE // stride) for _, stride in features}
        shapes = [(1, count, pixels[stride], pixels[stride]) for count, stride in features]
        made = type(part)(**part._arguments)
        return part, drawing(made, shapes, image=IMAGE)
    given = example(kind, name)
    made = entry.constructor(**given)
    channels = given.get("in_channels") or given.get("channels") or 1
    if kind == "network":
        channels = getattr(made, "num_in_channels", None) or _channels(entry, given)
    dims = _dims(made, entry)
    size = SIZES.get(name, BLOCK if kind != "network" else 64)
    sizes = [size] * dims
    if isinstance(made, Sized):
        sizes = [next(iter(made.valid_sizes(pixels, axis=axis, count=1))) for axis, pixels in enumerate(sizes)]
    return part, drawing(made, [(1, channels, *sizes)], image=max(sizes))


def _dims(made: Any, entry: _Entry) -> int:
    """Axes of the image that a part takes."""
    known = signature(entry.constructor).parameters
    return getattr(made, "dims", None) or (known["dims"].default if "dims" in known else None) or 2


def _channels(entry: _Entry, given: Mapping[str, Any]) -> int:
    """Of the image that a network takes."""
    known = signature(entry.constructor).parameters
    asked = given.get("in_channels", known["in_channels"].default if "in_channels" in known else 3)
    # Without a first convolution, the image has the channels of the finest level.
    return int(given["width"][0] if asked is None else asked)


def _prose(text: str) -> str:
    """Text of a docstring as Markdown: stars are stars."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*<])", r"\\\1", piece) for piece in pieces)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def count_of(model: Mapping[str, Any]) -> int:
    """Parameters of what a configuration describes under `model`."""
    with mcore.device("meta"):
        return parameters(from_config({"mcore": FORMAT, "model": dict(model)}))


__all__ = ["count_of", "gallery"]
