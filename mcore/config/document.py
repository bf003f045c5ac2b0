"""A configuration: files that extend each other, variables and overrides, made one tree of plain data.

mcore: 1                          # version of this format
extends: base.yaml                # or a list; mappings merge, later wins, lists replace
vars: {classes: 3}                # plain values, for ${vars.classes}
model: ...
"""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from mcore.config.origins import ConfigError, Mistake, Origin, Path, dotted, walk
from mcore.config.references import resolve
from mcore.config.yaml import parse
from mcore.signatures import Problem, check_arguments

# The version of the format that this mcore reads.
FORMAT = 1
# Override paths that start with one of these are whole paths; others are below `model`.
SECTIONS = ("mcore", "vars", "model", "train")
MOST_FILES = 100


@dataclass
class Config:
    """Plain data, and where each value was written."""

    data: dict[str, Any]
    origins: dict[Path, Origin] = field(default_factory=dict, repr=False)

    def origin(self, path: Path) -> Origin | None:
        """Where the value at `path` was written, or the nearest around it."""
        while path and path not in self.origins:
            path = path[:-1]
        return self.origins.get(path)

    def mistake(self, path: Path, message: str) -> Mistake:
        """A mistake at `path`, with its place."""
        return Mistake(self.origin(path), path, message)

    def section(self, name: str, schema: type, *, required: bool = False) -> Any:
        """The section `name` as an instance of `schema`, whose constructor names its keys and their types.

        Raises:
            ConfigError: the section is missing though required, or holds what `schema` doesn't know.
        """
        given = self.data.get(name)
        if given is None and required:
            raise ConfigError([self.mistake((), f"no section {name!r}")])
        if not isinstance(given, Mapping | None):
            raise ConfigError([self.mistake((name,), f"{name} is a mapping, not {given!r}")])
        self.refuse(self.located(check_arguments(schema, given or {}, title=name), (name,)))
        return schema(**(given or {}))

    def located(self, problems: Sequence[Problem], path: Path) -> list[Mistake]:
        """Problems below `path`, with their places."""
        return [self.mistake((*path, *problem.path), problem.message) for problem in problems]

    def refuse(self, mistakes: Sequence[Mistake]) -> None:
        """Raises a ConfigError where there are mistakes, in the order in which they were written."""
        if mistakes:
            raise ConfigError(sorted(mistakes, key=_place))


def read(source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """A configuration from a file or a mapping: extended, with overrides applied and variables filled in.

    An override is `path=value`: the value is written as in a file, the path is whole (`train.epochs=3`) or
    below `model` (`head.num_classes=5`). `~path` takes a value away.

    Raises:
        ConfigError: with every mistake found, each with file, line and column.
        FileNotFoundError: no such file.
    """
    if isinstance(source, Mapping):
        config = Config(copy.deepcopy(dict(source)))
        named = config.data.pop("extends", None)
        config = _extend(config, named, FilePath.cwd(), ())
    else:
        config = _read_file(FilePath(source), ())
    mistakes = [mistake for text in overrides for mistake in _override(config, text)]
    mistakes += _check_format(config)
    config.data, wrong = resolve(config.data, config.origins)
    config.refuse([*mistakes, *wrong])
    return config


def merge(base: Config, top: Config) -> Config:
    """`top` laid over `base`: mappings merge, all else is replaced, also a mapping of another `type`.

    Arguments of one type would make no sense for another.
    """
    data = _merged(base.data, top.data)
    origins = {path: base.origins[path] for path, _ in walk(data) if path in base.origins}
    return Config(data, {**origins, **top.origins})


def _merged(base: Any, top: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(top, dict):
        return top
    if "type" in top and top["type"] != base.get("type", top["type"]):
        return top
    both = {key: _merged(base[key], value) if key in base else value for key, value in top.items()}
    return {**base, **both}


def _read_file(path: FilePath, within: tuple[FilePath, ...]) -> Config:
    path = FilePath(os.path.normpath(path))
    if path in within:
        loop = " -> ".join(map(str, [*within[within.index(path) :], path]))
        raise ConfigError([Mistake(Origin(str(within[-1])), ("extends",), f"files extend each other: {loop}")])
    if len(within) > MOST_FILES:
        raise ConfigError([Mistake(Origin(str(path)), ("extends",), f"more than {MOST_FILES} files in a row")])
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([Mistake(Origin(str(path)), (), f"not text in UTF-8: {error}")]) from error
    data, origins = parse(text, str(path))
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError([Mistake(origins[()], (), f"a configuration is a mapping, not {_brief(data)}")])
    named = data.pop("extends", None)
    return _extend(Config(data, origins), named, path.parent, (*within, path))


def _extend(config: Config, named: Any, folder: FilePath, within: tuple[FilePath, ...]) -> Config:
    if named is None:
        return config
    files = [named] if isinstance(named, str) else named
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise ConfigError([config.mistake(("extends",), f"a file or a list of files, not {_brief(named)}")])
    base = Config({})
    for file in files:
        try:
            base = merge(base, _read_file(folder / file, within))
        except OSError as error:
            raise ConfigError(
                [config.mistake(("extends",), f"{folder / file} can't be read: {error.strerror}")]
            ) from error
    return merge(base, config)


def _override(config: Config, text: str) -> list[Mistake]:
    origin = Origin(text)
    removes = text.startswith("~")
    name, equals, value = text.removeprefix("~").partition("=")
    steps = tuple(name.strip().split("."))
    if bool(equals) == removes or not all(steps):
        return [Mistake(origin, (), "an override is written path=value, or ~path to take a value away")]
    path: Path = steps if steps[0] in (*SECTIONS, *config.data) else ("model", *steps)
    *outer, last = path
    place: Any = config.data
    for step in outer:
        if removes and step not in place:
            break
        # A bare name is a type without arguments: giving it one makes a mapping of it.
        if isinstance(place.get(step), str):
            place[step] = {"type": place[step]}
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            return [Mistake(origin, path, f"{step} holds no keys: it is {_brief(place)}")]
    if removes:
        if last not in place:
            return [Mistake(origin, path, "nothing stands there to take away")]
        del place[last]
        return []
    try:
        place[last], _ = parse(value, text)
    except ConfigError as error:
        return [Mistake(origin, path, mistake.message) for mistake in error.mistakes]
    over = config.origin(path) if path in config.origins else None
    config.origins[path] = Origin(text, over=over)
    return []


def _check_format(config: Config) -> list[Mistake]:
    version = config.data.get("mcore", FORMAT)
    if type(version) is int and version == FORMAT:
        return []
    newer = isinstance(version, int | float) and not isinstance(version, bool) and version > FORMAT
    advice = "; update mcore" if newer else ""
    return [config.mistake(("mcore",), f"format version {version!r}, but this mcore reads {FORMAT}{advice}")]


def _place(mistake: Mistake) -> tuple[bool, str, int, int]:
    origin = mistake.origin or Origin("")
    return not origin.line, origin.source if origin.line else "", origin.line, origin.column


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


__all__ = ["FORMAT", "Config", "dotted", "merge", "read"]
