"""The plan of an assembled network: its parts, what feeds each, and the order to run them in.

A plan is made and checked from names and data alone, before anything is built.
"""

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mcore import Module, ModuleDict, specs
from mcore.signatures import Path, Problem
from mcore.vocabulary import nearest
from models.component import Unbuilt
from models.utils.weights import check_weights

# The name of what the network is called with.
INPUT = "input"
# Parts with a place of their own, and the kind that each place fixes.
PLACES = {"backbone": "backbone", "neck": "neck", "head": "head"}
KEYS = (*PLACES, "heads", "parts", "inputs", "outputs")
# What a network of parts knows about itself, by names that no part can have.
RESERVED = ("config", "dims", "features", "heads", "inputs", "part", "spec", "weights_report")
# What an assembling adds to a part's arguments by itself.
COMPUTED = ("in_channels", "in_strides", "dims")

_REFERENCE = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<index>-?\d+)\]|\[(?P<start>-?\d*):(?P<stop>-?\d*)\])?")


class Source(NamedTuple):
    """A reference to what a part gives: all of it, one map (an int) or some (a slice)."""

    name: str
    pick: int | slice | None = None

    @classmethod
    def read(cls, text: str) -> "Source | None":
        """`backbone`, `backbone[0]`, `backbone[1:3]`; None where it is written otherwise.

        >>> Source.read("backbone[1:]")
        Source(name='backbone', pick=slice(1, None, None))
        """
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            return None
        if match["index"] is not None:
            return cls(match["name"], int(match["index"]))
        if match["start"] is not None:
            ends = (int(end) if end else None for end in (match["start"], match["stop"]))
            return cls(match["name"], slice(*ends))
        return cls(match["name"])

    def of(self, maps: Any) -> Any:
        """The part of `maps` that is meant, as a list."""
        if self.pick is None:
            return list(maps)
        return [maps[self.pick]] if isinstance(self.pick, int) else list(maps[self.pick])

    def __str__(self) -> str:
        if isinstance(self.pick, slice):
            ends = ("" if end is None else end for end in (self.pick.start, self.pick.stop))
            return f"{self.name}[{':'.join(map(str, ends))}]"
        return self.name if self.pick is None else f"{self.name}[{self.pick}]"


@dataclass
class Node:
    """One part: its name ("backbone", "heads.mask"), what makes it, and what feeds it."""

    name: str
    maker: Any
    kind: str | None
    sources: list[Source]
    path: Path


@dataclass
class Plan:
    """Parts in an order in which each is fed by earlier ones, what is given out, and everything wrong."""

    nodes: list[Node] = field(default_factory=list)
    # Names of outputs and what they are; a single one without a name stands under None.
    outputs: dict[str | None, Source] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    # Names of what the network is called with, in order.
    inputs: tuple[str, ...] = (INPUT,)

    def refuse(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message, ValueError))


def plan_of(model: Mapping[str, Any]) -> Plan:
    """The plan of `model`: a mapping with backbone, neck, head or heads, or parts, and inputs and outputs."""
    plan = Plan()
    _read_inputs(plan, model.get("inputs"))
    for key in model:
        if key not in KEYS and not (key == "type" and model[key] is None):
            likely = nearest(str(key), (*KEYS, "type"), most=1)
            meant = f" (did you mean {likely[0]!r}?)" if likely else f"; there are {', '.join(KEYS)}"
            plan.refuse((key,), f"a model has no {key!r}{meant}")
    _read_nodes(plan, model)
    if not plan.nodes and not plan.problems:
        plan.refuse((), "a model has a backbone, or parts, or a type; this one is empty")
    names = [node.name for node in plan.nodes]
    made: dict[int, str] = {}
    for node in plan.nodes:
        _check_sources(plan, node, names)
        _check_maker(plan, node)
        # The configuration couldn't tell that two parts have the same weights.
        if isinstance(node.maker, Module) and made.setdefault(id(node.maker), node.name) != node.name:
            plan.refuse(node.path, f"the same object is {made[id(node.maker)]!r} already; give a copy, or make it anew")
    _read_outputs(plan, model.get("outputs"), names)
    if not plan.problems:
        _sort(plan)
    if not plan.problems:
        _check_use(plan)
    return plan


def _read_inputs(plan: Plan, inputs: Any) -> None:
    if inputs is None:
        return
    names = [inputs] if isinstance(inputs, str) else inputs
    plain = isinstance(names, list | tuple) and all(_is_word(name) for name in names)
    if not plain or not names or len(set(names)) < len(names):
        plan.refuse(("inputs",), f"inputs are names, each once, as in [image, depth]; not {inputs!r}")
    else:
        plan.inputs = tuple(names)


def _read_nodes(plan: Plan, model: Mapping[str, Any]) -> None:
    if "parts" in model and any(key in model for key in (*PLACES, "heads")):
        plan.refuse(("parts",), "parts stand for backbone, neck and heads; write one or the other")
    if "head" in model and "heads" in model:
        plan.refuse(("head",), "one head or several: write head or heads")
    before = first = plan.inputs[0]
    for place, kind in PLACES.items():
        if model.get(place) is not None:
            _add(plan, place, model[place], kind, before, (place,))
            before = place
    for name, maker in _mapping(plan, model, "heads").items():
        _add(plan, f"heads.{name}", maker, "head", before, ("heads", name))
    for name, maker in _mapping(plan, model, "parts").items():
        _add(plan, name, maker, None, first, ("parts", name))


def _mapping(plan: Plan, model: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = model.get(key) or {}
    if not isinstance(value, Mapping):
        plan.refuse((key,), f"{key} is a mapping of names to parts, not {value!r}")
        return {}
    return value


def _is_word(name: Any) -> bool:
    """Whether Python can call something `name`, as `to_source` does."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name) and name != "self"


def _add(plan: Plan, name: str, maker: Any, kind: str | None, before: str, path: Path) -> None:
    own: Any = path[-1]
    taken = ModuleDict if path[0] == "heads" else Module
    if not _is_word(own) or own.startswith("_") or own in (*plan.inputs, *RESERVED) or hasattr(taken, own):
        plan.refuse(path, f"{own!r} can't name a part: it is no plain word, or has a meaning already")
        return
    given: Any = before
    if isinstance(maker, str):
        maker = {"type": maker}
    elif isinstance(maker, Mapping):
        maker = dict(maker)
        given = maker.pop("from", before)
        kind = maker.get("@kind", kind)
    texts = given if isinstance(given, list | tuple) else [given]
    sources = [Source.read(text) if isinstance(text, str) else None for text in texts]
    if None in sources or not sources:
        plan.refuse((*path, "from"), f"from={given!r} is no name, as in backbone, backbone[0] or backbone[1:3]")
    plan.nodes.append(Node(name, maker, kind, [source for source in sources if source], path))


def _check_sources(plan: Plan, node: Node, names: Sequence[str]) -> None:
    known = [*plan.inputs, *(name for name in names if name != node.name)]
    for source in node.sources:
        if source.name == node.name:
            plan.refuse((*node.path, "from"), f"{node.name!r} feeds itself")
        elif source.name in plan.inputs and source.pick is not None:
            plan.refuse((*node.path, "from"), f"{source} is no map: {source.name!r} is an image; leave out the [...]")
        elif source.name not in known:
            likely = nearest(source.name, known, most=1)
            meant = f" (did you mean {likely[0]!r}?)" if likely else f"; there are {', '.join(known)}"
            plan.refuse((*node.path, "from"), f"no part {source.name!r}{meant}")


def _check_maker(plan: Plan, node: Node) -> None:
    """Names and arguments, against the registry and the constructor's signature."""
    maker = node.maker
    if isinstance(maker, Module | Unbuilt):
        return
    if not isinstance(maker, Mapping):
        plan.refuse(node.path, f"a part is a name, a mapping with a type, or made; not {maker!r}")
    elif specs.type_of(maker) is None:
        plan.refuse(node.path, "a part needs a type")
    else:
        if maker.get("@mode", "regular") != "regular":
            plan.refuse((*node.path, "@mode"), "a part is built, and isn't partial; leave @mode out")
        # Any part may have weights from a file; they are loaded when it is built.
        arguments = {key: value for key, value in maker.items() if key != "weights"}
        if maker.get("weights") is not None:
            try:
                check_weights(maker["weights"])
            except (ValueError, OSError) as error:
                plan.refuse((*node.path, "weights"), str(error).removeprefix("weights: ").rstrip("."))
        plan.problems += specs.check(arguments, kind=node.kind, path=node.path)


def _read_outputs(plan: Plan, outputs: Any, names: Sequence[str]) -> None:
    if outputs is None:
        fed = {source.name for node in plan.nodes for source in node.sources}
        last = [name for name in names if name not in fed]
        single = len(last) == 1 and not last[0].startswith("heads.")
        plan.outputs = {None if single else n.removeprefix("heads."): Source(n) for n in last}
        return
    given = outputs if isinstance(outputs, Mapping) else {None: outputs}
    for name, text in given.items():
        path: Path = ("outputs",) if name is None else ("outputs", name)
        if isinstance(outputs, Mapping) and not isinstance(name, str):
            plan.refuse(("outputs",), f"outputs have names, and {name!r} is no text")
            continue
        source = Source.read(text) if isinstance(text, str) else None
        if source is None:
            plan.refuse(path, f"{text!r} is no name of a part, as in head or backbone[0]")
        elif source.name not in names:
            likely = nearest(source.name, names, most=1)
            meant = f" (did you mean {likely[0]!r}?)" if likely else f"; there are {', '.join(names)}"
            plan.refuse(path, f"no part {source.name!r}{meant}")
        else:
            plan.outputs[name] = source


def _sort(plan: Plan) -> None:
    """Brings the nodes into an order that runs, and refuses loops."""
    waiting, ordered, done = list(plan.nodes), [], set(plan.inputs)
    # The first that can run, as they are written, so that names of the state stand in that order too.
    while node := next((n for n in waiting if all(source.name in done for source in n.sources)), None):
        ordered.append(node)
        done.add(node.name)
        waiting.remove(node)
    if waiting:
        loop = _loop(waiting)
        plan.refuse((*waiting[0].path, "from"), f"parts feed each other in a loop: {' -> '.join(loop)}")
    else:
        plan.nodes = ordered


def _loop(waiting: Sequence[Node]) -> list[str]:
    """One loop among nodes that wait for each other, in the direction in which they feed."""
    feeds = {node.name: [source.name for source in node.sources] for node in waiting}
    walked = [waiting[0].name]
    while walked[-1] not in walked[:-1]:
        walked.append(next(name for name in feeds[walked[-1]] if name in feeds))
    return walked[walked.index(walked[-1]) :][::-1]


def _check_use(plan: Plan) -> None:
    """Refuses parts that no output needs: their weights would never be trained."""
    by_name = {node.name: node for node in plan.nodes}
    needed, waiting = set(), [source.name for source in plan.outputs.values()]
    while waiting:
        name = waiting.pop()
        if name not in plan.inputs and name not in needed:
            needed.add(name)
            waiting += [source.name for source in by_name[name].sources]
    for node in plan.nodes:
        if node.name not in needed:
            plan.refuse(node.path, f"{node.name!r} reaches no output; feed something with it or take it away")
    fed = {source.name for node in plan.nodes for source in node.sources}
    for name in plan.inputs:
        if name not in fed and name != INPUT:
            plan.refuse(("inputs",), f"input {name!r} feeds nothing; name it in a from")
