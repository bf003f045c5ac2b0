"""Constructor arguments as data, and back: what `model.json` says of how a module was made.

A file never chooses what is imported: names lead into mcore's vocabulary, into `models`, or to modules that this
process has loaded already, and there to classes and functions at home in that place.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from mcore import specs
from mcore.exchange.errors import ModelFileError

# Packages whose modules a name may bring in, and that are trusted to hold only components.
OWN = ("models", "mcore")
# Keys of the one-entry mappings that stand for what JSON lacks.
TUPLE, SET, DICT, FLOAT, DTYPE, NAME, MODULE, SAME, PARTIAL, FACTORY = (
    "$tuple", "$set", "$dict", "$float", "$dtype", "$name", "$module", "$same", "$partial", "$factory",
)  # fmt: skip


class Writer:
    """Writes the arguments of one module; parts that are handed in twice are the same part again when read."""

    def __init__(self, engine: ModuleType) -> None:
        self.engine = engine
        self.seen: list[Any] = []

    def arguments(self, module: Any) -> dict[str, Any] | None:
        """The arguments that `module` was made with; None where nobody kept them.

        Raises:
            TypeError: an argument has no form as data; the message names it.
        """
        received = module.__dict__.get("_arguments")
        if received is not None:
            return self.named(module, received)
        told = self.engine.layer_arguments(module)
        try:
            return None if told is None else self.named(module, told)
        except TypeError:  # nobody gave these arguments by hand, so nobody is told off for them
            return None

    def named(self, module: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Each argument as data; errors call it by the class and its name."""
        title = type(module).__name__
        return {name: self.value(value, f"{title}({name}=)") for name, value in arguments.items()}

    def value(self, value: Any, where: str) -> Any:
        """One argument as data."""
        if value is None or (isinstance(value, bool | int | str) and type(value) in (bool, int, str)):
            return value
        if isinstance(value, np.generic) and value.dtype.kind in "biuf":
            return self.value(value.item(), where)
        if type(value) is float:
            return value if np.isfinite(value) else {FLOAT: repr(value)}
        if isinstance(value, list | tuple | set | frozenset) and type(value).__name__ not in ("Size",):
            return self.collection(value, where)
        if type(value).__name__ == "Size":
            return {TUPLE: [int(n) for n in value]}
        if isinstance(value, Mapping):
            return self.mapping(value, where)
        if self.engine.is_dtype(value):
            return {DTYPE: str(value).rpartition(".")[2]}
        if isinstance(value, type | FunctionType) or (callable(value) and inspect.isbuiltin(value)):
            return {NAME: self.name(value, where)}
        if self.engine.is_module(value):
            return self.module(value, where)
        if isinstance(value, functools.partial):
            held = {"of": value.func, "args": list(value.args), "keywords": dict(value.keywords)}
            return {PARTIAL: {key: self.value(item, f"{where}.{key}") for key, item in held.items()}}
        if isinstance(value, specs.Partial):
            return {FACTORY: {key: self.value(item, where) for key, item in value.told().items()}}
        raise TypeError(
            f"{where}: {value!r:.80} ({type(value).__name__}) cannot be written into model.json. Give it as numbers, "
            "strings, lists, modules or classes that can be imported, or export with description=False."
        )

    def collection(self, value: Any, where: str) -> Any:
        if hasattr(value, "_fields"):
            raise TypeError(f"{where}: a named tuple ({type(value).__name__}) cannot be written into model.json.")
        items = [self.value(item, f"{where}[{k}]") for k, item in enumerate(value)]
        if isinstance(value, list):
            return items
        return {TUPLE: items} if isinstance(value, tuple) else {SET: sorted(items, key=repr)}

    def mapping(self, value: Mapping[Any, Any], where: str) -> Any:
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: self.value(item, f"{where}[{key!r}]") for key, item in value.items()}
        return {DICT: [[self.value(k, where), self.value(v, f"{where}[{k!r}]")] for k, v in value.items()]}

    def module(self, value: Any, where: str) -> Any:
        for index, other in enumerate(self.seen):
            if other is value:
                return {SAME: index}
        self.seen.append(value)
        arguments = self.arguments(value)
        if arguments is None:
            raise TypeError(
                f"{where}: how this {type(value).__name__} was made is not known, so model.json cannot say it. "
                "Make it of mcore's modules, or export with description=False."
            )
        return {MODULE: {"class": self.name(type(value), where), "arguments": arguments}}

    def name(self, value: Any, where: str) -> str:
        """`module:name` of a class or function that an import reaches."""
        path = path_of(value, self.engine)
        if path is None:
            raise TypeError(
                f"{where}: {value!r:.80} cannot be written into model.json, since no import reaches it by name. "
                "Define it at the top of a module, or export with description=False."
            )
        return path


class Reader:
    """Reads what Writer wrote, with this engine's words."""

    def __init__(self, engine: ModuleType, source: str) -> None:
        self.engine, self.source = engine, source
        self.made: list[Any] = []

    def bad(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.source}: {what}.")

    def value(self, data: Any) -> Any:
        """One argument."""
        if isinstance(data, list):
            return [self.value(item) for item in data]
        if not isinstance(data, dict):
            return data
        if len(data) == 1 and (key := next(iter(data))).startswith("$"):
            return self.special(key, data[key])
        return {key: self.value(item) for key, item in data.items()}

    def special(self, key: str, data: Any) -> Any:
        if key in (TUPLE, SET) and isinstance(data, list):
            items = [self.value(item) for item in data]
            return tuple(items) if key == TUPLE else set(items)
        if key == DICT and isinstance(data, list) and all(isinstance(p, list) and len(p) == 2 for p in data):
            return {self.value(k): self.value(v) for k, v in data}
        if key == FLOAT and data in ("inf", "-inf", "nan"):
            return float(data)
        if key == DTYPE and isinstance(data, str) and self.engine.is_dtype(found := self.word(data)):
            return found
        if key == NAME and isinstance(data, str):
            return self.resolve(data)
        if key == SAME and type(data) is int and 0 <= data < len(self.made):
            return self.made[data]
        if key == MODULE and isinstance(data, dict) and isinstance(data.get("arguments"), dict):
            place = len(self.made)
            self.made.append(None)
            self.made[place] = self.make(self.module_class(str(data.get("class"))), data["arguments"])
            return self.made[place]
        if key == PARTIAL and isinstance(data, dict) and data.keys() == {"of", "args", "keywords"}:
            held = {name: self.value(item) for name, item in data.items()}
            if callable(held["of"]) and isinstance(held["args"], list) and isinstance(held["keywords"], dict):
                return functools.partial(held["of"], *held["args"], **held["keywords"])
        if key == FACTORY and isinstance(data, dict):
            return self.factory(self.value(data))
        raise self.bad(f"an argument says {key}: {data!r:.60}, which means nothing here")

    def factory(self, told: Mapping[str, Any]) -> Any:
        """What a spec with "@mode": "partial" builds: it names what the registry has, and nothing else."""
        try:
            return specs.partial_of(told)
        except (TypeError, ValueError, LookupError) as error:
            raise self.bad(f"a factory can't be built: {error}") from error

    def make(self, cls: type, arguments: Mapping[str, Any]) -> Any:
        """An instance of a class, from its arguments as data."""
        return call(cls, {name: self.value(value) for name, value in arguments.items()})

    def module_class(self, path: str) -> type:
        """The Module class of a name; nothing else may be called."""
        cls = self.resolve(path)
        if not (isinstance(cls, type) and issubclass(cls, self.engine.namespace().Module)):
            raise self.bad(f"{path!r:.100} is no class of modules")
        return cls

    def word(self, name: str) -> Any:
        return getattr(self.engine.namespace(), name, None)

    def resolve(self, path: str) -> Any:
        """The class or function of a name. Raises ModelFileError for places that a file may not reach."""
        module, _, name = path.partition(":")
        if module in ("mcore", "mcore.functional"):
            space = self.engine.namespace()
            space = space if module == "mcore" else importlib.import_module(f"{space.__name__}.functional")
            if name in space.__all__:
                return getattr(space, name)
            raise self.bad(f"mcore has no word {name!r:.60} on this engine")
        own = module.partition(".")[0] in OWN
        if not own and module not in sys.modules:
            raise self.bad(
                f"it needs {path!r:.100}, which this process has not imported; a file may not choose what is "
                f"imported: import {module:.60} first, if you trust it"
            )
        try:
            found: Any = importlib.import_module(module) if own else sys.modules[module]
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise self.bad(f"{path!r:.100} is not there: {error}") from error
        at_home = getattr(found, "__module__", "").partition(".")[0] == module.partition(".")[0]
        is_class = isinstance(found, type) and issubclass(found, self.engine.namespace().Module)
        # Functions only from where components are; mcore's own would read and write files.
        is_part = module.partition(".")[0] == OWN[0] and isinstance(found, type | FunctionType)
        if not (is_class or is_part) or not at_home:
            raise self.bad(f"{path!r:.100} is no component")
        return found


def path_of(value: Any, engine: ModuleType) -> str | None:
    """`module:name` of a class or function; words of mcore under their name in mcore. None where none leads there."""
    name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
    space = engine.namespace()
    if name in space.__all__ and getattr(space, name) is value:
        return f"mcore:{name}"
    functional = importlib.import_module(f"{space.__name__}.functional")
    if name in functional.__all__ and getattr(functional, name) is value:
        return f"mcore.functional:{name}"
    module = getattr(value, "__module__", None)
    if not module or "<" in name:
        return None
    trusted = module.partition(".")[0] == OWN[0] or (isinstance(value, type) and issubclass(value, space.Module))
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if trusted and found is value else None


def class_path(cls: type, engine: ModuleType) -> str:
    """`module:name` of a class, whether or not an import reaches it."""
    return path_of(cls, engine) or f"{cls.__module__}:{cls.__qualname__}"


def call(cls: type, arguments: Mapping[str, Any]) -> Any:
    """`cls(...)` with arguments by parameter name, `*args` and `**kwargs` under their own names."""
    # mypy: the class itself, not one derived from it, tells its parameters.
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    rest = next((p for p in parameters if p.kind is p.VAR_POSITIONAL and p.name in arguments), None)
    args: list[Any] = []
    named = dict(arguments)
    for parameter in parameters:
        before = rest is not None and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        if parameter.name in named and (before or parameter.kind is parameter.POSITIONAL_ONLY):
            args.append(named.pop(parameter.name))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            args += named.pop(parameter.name, ())
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(parameter.name, {})
    return cls(*args, **named)


__all__ = ["Reader", "Writer", "call", "class_path", "path_of"]
