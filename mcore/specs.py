"""Objects from data: a mapping with "type" becomes the component of that name, checked before anything is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcore.registry import Entry, UnknownComponent, lookup
from mcore.signatures import Path, Problem, check_arguments, refuse, takes_data


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
        namespace: whose names are meant, for example "convnet"; without it, this project's.
        default_version: the version where the spec names none.

    Raises:
        UnknownComponent: no such name or version; the message lists the nearest.
        TypeError: an argument doesn't fit; the message gives the path inside the spec.
    """
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, Mapping | list | tuple):
        raise TypeError(f"build: a spec is a mapping, a list or a name, not {type(spec).__name__}.")
    builder = _Builder(namespace)
    refuse(builder.check(spec, ("spec",), default_version, kind))
    return builder.make(spec, default_version, kind)


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
    return _Builder(namespace).check(spec, path, default_version, kind)


@dataclass(frozen=True)
class _Builder:
    """Walks a spec: first checks every component in it, then builds, innermost first."""

    namespace: str

    def check(self, spec: Any, path: Path = (), version: str | None = None, kind: str | None = None) -> list[Problem]:
        """Every mistake in `spec` and in what is nested in it."""
        if isinstance(spec, Mapping) and type_of(spec) is not None:
            return self.check_component(spec, path, spec.get("@version", version), kind)
        steps = spec.items() if isinstance(spec, Mapping) else enumerate(spec) if _is_list(spec) else ()
        return [problem for step, item in steps for problem in self.check(item, (*path, step), version)]

    def check_component(
        self, spec: Mapping[str, Any], path: Path, version: str | None, kind: str | None
    ) -> list[Problem]:
        arguments = arguments_of(spec)
        try:
            entry = self.entry(spec, version, kind)
        except (UnknownComponent, ValueError) as error:
            here = "@type" if "@type" in spec else "type"
            problems = [Problem((*path, here), str(error).rstrip("."), type(error))]
        else:
            partial = spec.get("@mode") == "partial"
            found = check_arguments(entry.load(), arguments, title=entry.name, partial=partial)
            problems = [problem.under(path) for problem in found]
        for key, item in arguments.items():
            problems += self.check(item, (*path, key), version)
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

    def make(self, spec: Any, version: str | None, kind: str | None = None) -> Any:
        if _is_list(spec):
            return type(spec)(self.make(item, version) for item in spec)
        if not isinstance(spec, Mapping):
            return spec
        if type_of(spec) is None:
            return {key: self.make(item, version) for key, item in spec.items()}
        version = spec.get("@version", version)
        constructor = self.entry(spec, version, kind).load()
        if spec.get("@mode") == "partial":
            return Partial(self, dict(spec), version, kind)
        return constructor(**self.made(constructor, spec, version))

    def made(self, constructor: Any, spec: Mapping[str, Any], version: str | None) -> dict[str, Any]:
        """The arguments in `spec`; a spec stays one for a parameter that takes mappings, and is built in there."""
        return {
            key: item if isinstance(item, Mapping) and takes_data(constructor, key) else self.make(item, version)
            for key, item in arguments_of(spec).items()
        }


@dataclass(frozen=True)
class Partial:
    """What `"@mode": "partial"` builds: a factory; each call builds anew what is nested in its spec."""

    builder: _Builder = field(repr=False)
    spec: dict[str, Any]
    version: str | None = None
    kind: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        constructor = self.builder.entry(self.spec, self.version, self.kind).load()
        return constructor(*args, **self.builder.made(constructor, self.spec, self.version), **kwargs)


def type_of(spec: Mapping[str, Any]) -> Any:
    """The name in a spec, under "@type" or "type"; None where it is no spec."""
    return spec.get("@type", spec.get("type"))


def arguments_of(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without its type and without what is written with "@"."""
    plain = () if "@type" in spec else ("type",)
    return {key: value for key, value in spec.items() if not key.startswith("@") and key not in plain}


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


__all__ = ["Partial", "arguments_of", "build", "check", "type_of"]
