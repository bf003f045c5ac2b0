"""The plain Python class of an assembled network, for an experiment that has earned its own file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mcore.registry import lookup
from models.assembly import Assembly
from models.component import Component, Unbuilt
from models.composite import Composite
from models.graph import INPUT
from models.wiring import Stage


def to_source(net: Assembly, name: str = "Net") -> str:
    """A module of Python that defines `net` as a class of its own, with the same state names.

    Nothing of the assembling is left in it: parts have their channels, and `forward` says what feeds what.

    Args:
        net: what `assemble` or `from_config` gave.
        name: of the class.

    Raises:
        TypeError: `net` is no assembly; a network that has a class has its source already.
        ValueError: `name` is no name of a class.
    """
    if not isinstance(net, Assembly):
        raise TypeError(
            f"to_source: {type(net).__name__} is no assembly; its source is {type(net).__module__} already."
        )
    if not name.isidentifier():
        raise ValueError(f"to_source: {name!r} is no name of a class.")
    return "".join(f"{line}\n" for line in _Writer(net, name).lines())


class _Writer:
    """Collects the imports while it writes constructors and calls."""

    def __init__(self, net: Assembly, name: str) -> None:
        self.net, self.name = net, name
        # Where each name is imported from, and under which name it is used.
        self.imports: dict[tuple[str, str], str] = {}
        self.words = {"Module", "Tensor"}

    def lines(self) -> list[str]:
        stages = self.net._stages
        inputs = ["x"] if self.net.inputs == (INPUT,) else list(self.net.inputs)
        init, forward = self.constructors(stages), self.calls(stages, inputs)
        arguments = ", ".join(f"{given}: Tensor" for given in inputs)
        parts = ", ".join(str(stage.node.name) for stage in stages)
        return [
            f'"""{self.name}: written by models.to_source from a configuration of {parts}."""',
            "",
            "from typing import Any",
            "",
            f"from mcore import {', '.join(sorted(self.words))}",
            *self.import_lines(),
            "",
            "",
            f"class {self.name}(Module):",
            f'    """{parts}.',
            "",
            "    Shapes:",
            *(f"        {given}: (n, channels, *size)" for given in inputs),
            '    """',
            "",
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in init),
            "",
            f"    def forward(self, {arguments}) -> Any:",
            *(f"        {line}" for line in forward),
        ]

    def constructors(self, stages: Sequence[Stage]) -> list[str]:
        lines: list[str] = []
        for stage in stages:
            made = self.constructor(self.net.part(stage.node.name), stage.node.kind)
            head = stage.node.name.removeprefix("heads.")
            if head == stage.node.name:
                lines.append(f"self.{head} = {made}")
                continue
            if "ModuleDict" not in self.words:
                self.words.add("ModuleDict")
                lines.append("self.heads = ModuleDict()")
            lines.append(f"self.heads[{json.dumps(head)}] = {made}")
        return lines

    def constructor(self, part: Any, kind: str | None) -> str:
        """The call that makes a part whole, with what was computed for it."""
        arguments = part.arguments if isinstance(part, Unbuilt) else part._arguments
        if isinstance(part, Composite) and "model" in arguments:
            raise TypeError("to_source: an assembly inside an assembly has no constructor; write its parts out.")
        own = part.constructor.__name__ if isinstance(part, Unbuilt) else part.spec()["type"]
        target = lookup(own, kind).load() if kind or not isinstance(part, Component) else lookup(own).load()
        called = self.imported(target.__module__, target.__name__, kind)
        shown = (
            f"{key}={self.expression(value)}"
            for key, value in arguments.items()
            if key not in ("variant", "weights") and value is not None
        )
        return f"{called}({', '.join(shown)})"

    def expression(self, value: Any) -> str:
        if isinstance(value, Component | Unbuilt):
            return self.constructor(value, None)
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{json.dumps(key)}: {self.expression(item)}" for key, item in value.items()) + "}"
        if isinstance(value, Sequence) and not isinstance(value, str):
            return "[" + ", ".join(map(self.expression, value)) + "]"
        return json.dumps(value) if isinstance(value, str) else repr(value)

    def imported(self, module: str, name: str, kind: str | None) -> str:
        """The name under which `module.name` is used; two of the same name are told apart by their kind."""
        if (module, name) not in self.imports:
            taken = {*self.imports.values(), *self.words, self.name}
            self.imports[module, name] = f"{name}{(kind or 'part').capitalize()}" if name in taken else name
        return self.imports[module, name]

    def import_lines(self) -> list[str]:
        return [
            f"from {module} import {name}" + (f" as {used}" if used != name else "")
            for (module, name), used in sorted(self.imports.items())
        ]

    def calls(self, stages: Sequence[Stage], inputs: Sequence[str]) -> list[str]:
        lines, by_name = [], {stage.node.name: stage for stage in stages}
        variables = dict(zip(self.net.inputs, inputs, strict=True))
        for stage in stages:
            variables[stage.node.name] = stage.node.name.removeprefix("heads.")
        for stage in stages:
            name, part = stage.node.name, self.net.part(stage.node.name)
            place = f"self.{name}" if not name.startswith("heads.") else f"self.heads[{json.dumps(variables[name])}]"
            size = f", size={inputs[0]}.shape[2:]" if getattr(part, "dense", False) else ""
            lines.append(f"{variables[name]} = {place}({self.fed(stage, by_name, variables)}{size})")
        given = {name: self.output(source, variables) for name, source in self.net._outputs.items()}
        if None in given:
            return [*lines, f"return {given[None]}"]
        named = ", ".join(f"{json.dumps(name)}: {value}" for name, value in given.items())
        return [*lines, f"return {{{named}}}"]

    def fed(self, stage: Stage, by_name: Mapping[str, Stage], variables: Mapping[str, str]) -> str:
        sources = stage.node.sources
        if not stage.order:
            images = [variables[source.name] for source in sources]
            if len(images) > 1:
                self.words.add("cat")
                return f"cat([{', '.join(images)}], dim=1)"
            return images[0]
        if len(sources) == 1 and stage.picks[0] == list(range(len(by_name[sources[0].name].features))):
            return variables[sources[0].name]
        maps = [
            f"{variables[source.name]}[{position}]"
            for source, picks in zip(sources, stage.picks, strict=True)
            for position in picks or ()
        ]
        return "(" + "".join(f"{maps[index]}, " for index in stage.order).rstrip() + ")"

    def output(self, source: Any, variables: Mapping[str, str]) -> str:
        return str(source).replace(source.name, variables[source.name], 1)


__all__ = ["to_source"]
