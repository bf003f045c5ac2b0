"""Objects from data: a mapping with "type" becomes the component of that name, checked before anything is built."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mcore.registry import Entry, UnknownComponent, lookup
from mcore.signatures import Path, Problem, check_arguments, dotted, refuse, signature, takes_data

# What a spec may be: none that describes a network comes near, and a hostile one ends here.
DEEPEST, MOST = 100, 1_000_000


def build(
    spec: Any,
    *,
    kind: str | None = None,
    namespace: str = "",
    default_version: str | None = None,
) -> Any:
    """Objects from data: a mapping with "type" (or "@type") becomes the component of that name.

    Its other keys are the arguments; those that start with "@" are not: "@version" holds for what is nested
    in it too, "@kind" says which of the components of this name is meant, "@mode": "partial" gives a factory.
    Specs nested in mappings and lists are built first, but for a parameter that takes mappings itself.

    Args:
        spec: the data; a bare string is a component without arguments.
        kind: the kind of the outermost component; without it, the first of network, backbone, neck, head,
            attention and block that has the name.
        namespace: whose names are meant, for example "convnet"; without it, this project's. A name written
            with its namespace, "convnet/UNet", opens it for what is nested in it.
        default_version: the version where the spec names none.

    Raises:
        UnknownComponent: no such name or version; the message lists the nearest.
        TypeError: an argument doesn't fit; the message gives the path inside the spec.
        ValueError: something in it is no data, or it is deeper or larger than any that describes a network.
    """
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, Mapping | list | tuple):
        raise TypeError(f"build: a spec is a mapping, a list or a name, not {type(spec).__name__}.")
    _limit(spec)
    builder = _Builder(namespace)
    refuse(builder.check(spec, _START, default_version, kind))
    return builder.make(spec, _START, default_version, kind)


def check(
    spec: Any,
    *,
    kind: str | None = None,
    path: Path = (),
    namespace: str = "",
    default_version: str | None = None,
) -> list[Problem]:
    """Everything that `build` would refuse in `spec`, as far as it shows before anything is built.

    `path` is where `spec` stands in something larger.
    """
    _limit(spec)
    return _Builder(namespace).check(spec, path, default_version, kind)


_START: Path = ("spec",)


@dataclass(frozen=True)
class _Builder:
    """Walks a spec: first checks every component in it, then builds, innermost first."""

    namespace: str

    def check(self, spec: Any, path: Path = (), version: str | None = None, kind: str | None = None) -> list[Problem]:
        """Every mistake in `spec` and in what is nested in it."""
        if isinstance(spec, Mapping):
            wrong = _keys(spec, path)
            if wrong:
                return wrong
            if type_of(spec) is not None:
                return self.check_component(spec, path, spec.get("@version", version), kind)
        elif not _is_list(spec):
            return [] if _is_plain(spec) else [Problem(path, f"{_kind(spec)} is no data", ValueError)]
        steps = spec.items() if isinstance(spec, Mapping) else enumerate(spec)
        return [problem for step, item in steps for problem in self.check(item, (*path, step), version)]

    def check_component(
        self, spec: Mapping[str, Any], path: Path, version: str | None, kind: str | None
    ) -> list[Problem]:
        arguments, inner = arguments_of(spec), self
        try:
            entry = self.entry(spec, version, kind)
        except (UnknownComponent, ValueError) as error:
            here = "@type" if "@type" in spec else "type"
            problems = [Problem((*path, here), str(error).rstrip("."), type(error))]
        else:
            inner = self.inside(entry)
            partial = spec.get("@mode") == "partial"
            with _located(path, entry.name):
                constructor = entry.load()
            # A function of torch checks what it is given by itself, in more spellings than its signature shows.
            if entry.kind != "function":
                found = check_arguments(constructor, arguments, title=entry.name, partial=partial)
                problems = [problem.under(path) for problem in found]
            else:
                problems = []
        for key, item in arguments.items():
            problems += inner.check(item, (*path, key), version)
        return problems

    def entry(self, spec: Mapping[str, Any], version: str | None, kind: str | None) -> Entry:
        mode = spec.get("@mode", "regular")
        if mode not in ("regular", "partial"):
            raise ValueError(f'"@mode" is "regular" or "partial", not {mode!r}.')
        name = type_of(spec)
        if not isinstance(name, str):
            raise ValueError(f"a type is a name, not {name!r}.")
        entry = lookup(name, spec.get("@kind", kind), version=version, namespace=self.namespace)
        if mode == "partial" and not entry.partial:
            raise ValueError(f'"@mode": "partial" is refused for {name!r}.')
        return entry

    def inside(self, entry: Entry) -> "_Builder":
        """The builder of what is nested in a component: in its namespace."""
        return replace(self, namespace=entry.namespace)

    def make(self, spec: Any, path: Path, version: str | None, kind: str | None = None) -> Any:
        if _is_list(spec):
            return type(spec)(self.make(item, (*path, index), version) for index, item in enumerate(spec))
        if not isinstance(spec, Mapping):
            return spec
        if type_of(spec) is None:
            return {key: self.make(item, (*path, key), version) for key, item in spec.items()}
        version = spec.get("@version", version)
        entry = self.entry(spec, version, kind)
        if spec.get("@mode") == "partial":
            own = {key: value for key, value in spec.items() if key != "@mode"}
            return Partial(self, own, version, kind, path)
        arguments = self.made(entry, spec, path, version)
        with _located(path, entry.name):
            return entry.load()(**arguments)

    def made(self, entry: Entry, spec: Mapping[str, Any], path: Path, version: str | None) -> dict[str, Any]:
        """The arguments in `spec`; a spec stays one for a parameter that takes mappings, and is built in there."""
        constructor, inner = entry.load(), self.inside(entry)
        return {
            key: item
            if isinstance(item, Mapping) and takes_data(constructor, key)
            else inner.make(item, (*path, key), version)
            for key, item in arguments_of(spec).items()
        }


@dataclass(frozen=True)
class Partial:
    """What `"@mode": "partial"` builds: a factory; each call builds anew what is nested in its spec.

    The version that held where it stood holds in every call. `spec` is what it stood as, without the mode.
    """

    builder: _Builder = field(repr=False)
    spec: dict[str, Any]
    version: str | None = None
    kind: str | None = None
    path: Path = field(default=_START, repr=False, compare=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        entry = self.builder.entry(self.spec, self.version, self.kind)
        arguments = self.builder.made(entry, self.spec, self.path, self.version)
        with _located(self.path, entry.name):
            return entry.load()(*args, **arguments, **kwargs)

    def written(self, version: str | None = None) -> dict[str, Any]:
        """The spec that builds it again inside one of `version`."""
        own = {} if self.version in (None, version) else {"@version": self.version}
        return own | self.spec | {"@mode": "partial"}

    def told(self) -> dict[str, Any]:
        """Everything that `partial_of` makes it of, as data."""
        where = {"namespace": self.builder.namespace, "version": self.version, "kind": self.kind}
        return {"spec": self.written(self.version), **where}

    def takes(self, *args: Any, **kwargs: Any) -> bool:
        """Whether a call with these arguments, besides those in its spec, fits its constructor."""
        given = arguments_of(self.spec)
        return not given.keys() & kwargs.keys() and takes(self.constructor, *args, **given, **kwargs)

    @property
    def constructor(self) -> Any:
        """What it calls."""
        return self.builder.entry(self.spec, self.version, self.kind).load()


def partial_of(told: Mapping[str, Any]) -> Partial:
    """The factory that `Partial.told` told of, checked like any spec.

    Raises:
        TypeError: it is no factory, or an argument doesn't fit.
        UnknownComponent, ValueError: as `build`.
    """
    spec, kind, version = told.get("spec"), told.get("kind"), told.get("version")
    made = build(spec, kind=kind, namespace=told.get("namespace", ""), default_version=version)
    if not isinstance(made, Partial):
        raise TypeError(f"partial_of: {spec!r:.80} makes a {type(made).__name__}, no factory.")
    return made


def takes(factory: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a factory can be called with these arguments, as far as its signature tells.

    A class, a function, a `functools.partial`, or what `"@mode": "partial"` builds.

    >>> def norm(channels: int, eps: float = 1e-5): ...
    >>> takes(norm, 8), takes(functools.partial(norm, channels=8), 8), takes(norm, num_channels=8)
    (True, False, False)
    """
    if isinstance(factory, Partial):
        return factory.takes(*args, **kwargs)
    if isinstance(factory, functools.partial):
        return takes(factory.func, *factory.args, *args, **{**factory.keywords, **kwargs})
    try:
        known = signature(factory)
    # A builtin doesn't tell.
    except ValueError:
        return True
    try:
        known.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


@contextlib.contextmanager
def _located(path: Path, name: str) -> Iterator[None]:
    """Puts behind what a constructor raises where it stands in the spec; the innermost alone is told."""
    try:
        yield
    except Exception as error:
        if not hasattr(error, "_told_where"):
            where = f"(while building {dotted(path)}, {name!r})"
            if error.args and str(error) == error.args[0]:
                error.args = (f"{error.args[0]} {where}", *error.args[1:])
            else:
                error.add_note(where)
            error._told_where = True  # type: ignore[attr-defined]  # a mark of our own
        raise


def _limit(spec: Any) -> None:
    """Refuses what no spec of a network is, before it is walked.

    Raises:
        ValueError: it is nested too deeply, or in itself, or holds too much.
    """
    waiting, seen = [(spec, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST:
            raise ValueError(f"a spec is nested at most {DEEPEST} deep; this one is deeper, or holds itself.")
        if seen > MOST:
            raise ValueError(f"a spec holds at most {MOST:,} values; this one holds more.")
        items = item.values() if isinstance(item, Mapping) else item if _is_list(item) else ()
        waiting += [(part, depth + 1) for part in items]


def _keys(spec: Mapping[Any, Any], path: Path) -> list[Problem]:
    """What is wrong with the keys of a mapping."""
    typed = type_of(spec) is not None
    if typed and not all(isinstance(key, str) for key in spec):
        other = next(key for key in spec if not isinstance(key, str))
        return [Problem(path, f"an argument is named by text, not by {other!r}")]
    if "@mode" in spec and not typed:
        return [Problem((*path, "@mode"), 'it stands in a mapping without "@type"', ValueError)]
    return []


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _kind(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def type_of(spec: Mapping[str, Any]) -> Any:
    """The name in a spec, under "@type" or "type"; None where it is no spec."""
    return spec.get("@type", spec.get("type"))


def arguments_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without its type and without what is written with "@"."""
    plain = () if "@type" in spec else ("type",)
    return {key: value for key, value in spec.items() if not key.startswith("@") and key not in plain}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


__all__ = ["Partial", "arguments_of", "build", "check", "partial_of", "takes", "type_of"]
