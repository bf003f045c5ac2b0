"""What can be converted, as plain data: a network, a backbone with neck and head, a configuration, a single part.

A target loads no engine, and can be sent to another process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from mcore import config
from mcore.exchange.description import sha256
from mcore.registry import kinds_of, lookup

Shape = tuple[int, ...]
Maker = str | Mapping[str, Any]
# Digits of a hash at the end of a folder's name.
DIGITS = 8
_LONGEST = 120
# Keys whose values are names of components.
_NAMING = ("type", "@type", "backbone", "neck", "head", "attention")


@dataclass(frozen=True)
class Target:
    """What shall be made, and how; use `network`, `assembly`, `configured` or `part` to make one.

    Attributes:
        names: those of its parts, which its folder is called by; empty ones are left out.
        model: what stands under `model` in a configuration of it; None of a single part.
        single: kind and public name of a part that is shown with the arguments of `models.examples`.
        sizes: data sets, each the shapes of all inputs; None where they follow from the network.
        opset: version of ONNX's operators; None for the newest that runtimes take.
        half: numbers of 16 bits, in the network and in its inputs.
        weights: a file, or a mapping as `models.load_weights` takes it.
        device: where it is run to know what is right: "cpu", "cuda:0".
    """

    names: tuple[str, ...]
    model: Mapping[str, Any] | None = None
    single: tuple[str, str] | None = None
    _: KW_ONLY
    sizes: tuple[tuple[Shape, ...], ...] | None = None
    opset: int | None = None
    half: bool = False
    weights: Any = None
    device: str = "cpu"

    @classmethod
    def network(cls, name: str, parameters: Mapping[str, Any] | None = None, **made: Any) -> Target:
        """A network by its name and its constructor's arguments; `made` are the attributes that say how."""
        return cls((name,), {"type": name, "@kind": "network", **(parameters or {})}, **_made(made))

    @classmethod
    def assembly(cls, backbone: Maker, neck: Maker | None = None, head: Maker | None = None, **made: Any) -> Target:
        """A backbone, with a neck and a head where there are; names, or mappings with `type`.

        Raises:
            ValueError: a mapping names no type.
        """
        given = {"backbone": backbone, "neck": neck, "head": head}
        parts = {place: _mapping(place, maker) for place, maker in given.items() if maker}
        names = tuple(str(parts[place]["type"]) if place in parts else "" for place in given)
        alone = {"@kind": "backbone", **parts["backbone"]}
        return cls(names, parts if len(parts) > 1 else alone, **_made(made))

    @classmethod
    def configured(cls, path: str | os.PathLike[str], overrides: Sequence[str] = (), **made: Any) -> Target:
        """What a configuration file describes: extended, with overrides applied and variables filled in.

        It is called by its parts; where it is a graph of others, or has several heads, by its file.

        Raises:
            ConfigError: with every mistake found, each with file, line and column.
            FileNotFoundError: no such file.
        """
        from models.assembly import model_of

        model = model_of(config.read(path, overrides))
        return cls(_parts_of(model) or (Path(path).stem,), model, **_made(made))

    @classmethod
    def part(cls, kind: str, name: str, **made: Any) -> Target:
        """A public part by itself, with the arguments that `models.examples` shows it with."""
        return cls((name,), single=(kind, name), **_made(made))

    @property
    def title(self) -> str:
        """Its parts' names, for messages: "resnet18-FPN-Segmentation"."""
        return "-".join(name for name in self.names if name)

    @property
    def name(self) -> str:
        """That of its folder: its parts' names, and a hash of everything that changes what is made."""
        words = (re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-") for name in self.names)
        title = "-".join(word for word in words if word)[:_LONGEST] or "network"
        return f"{title}-{self.identity[:DIGITS]}"

    @functools.cached_property
    def identity(self) -> str:
        """The hash of what is made, whatever it is tested with: equal for equal data, in whatever order.

        An argument that is written out and has its default's value counts, and so does 1 for 1.0: what they mean is the
        constructor's business, and may change there. Two folders of one network do no harm; one folder of two would.
        """
        said = {key: value for key, value in self.request.items() if key not in ("sizes", "places")}
        return hashlib.sha256(canonical([self.names, said]).encode()).hexdigest()

    @functools.cached_property
    def request(self) -> dict[str, Any]:
        """What is asked for, as data; files of weights stand there by their hashes, and the device makes no difference.

        Raises:
            FileNotFoundError: a file of weights isn't there.
            TypeError: an argument is no plain data.
        """
        said: dict[str, Any] = {"opset": self.opset, "half": self.half, "sizes": self.sizes}
        said["weights"] = None if self.weights is None else _weights(self.weights)
        if self.single is not None:
            from models.examples import declared

            told = declared(*self.single)
            said |= {"part": [*self.single], "with": {key: told[key] for key in told if key != "sizes"}}
            said["sizes"] = self.sizes or told["sizes"]
        else:
            said["model"] = _hashed(self.model)
        said["places"] = dict(_places(self.single[1] if self.single else self.model))
        # As it will be read again from a file.
        return json.loads(canonical(said))


def canonical(data: Any) -> str:
    """Data as JSON, in one way: keys in order, no spaces.

    >>> canonical({"b": (1, 2.5), "a": None})
    '{"a":null,"b":[1,2.5]}'

    Raises:
        TypeError: something in it is no plain data.
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def sizes_of(given: Sequence[Any]) -> tuple[tuple[Shape, ...], ...]:
    """Data sets from shapes of one input each, or from sequences of the shapes of several inputs.

    >>> sizes_of([(1, 3, 64, 48), [(2, 3, 96, 80)]])
    (((1, 3, 64, 48),), ((2, 3, 96, 80),))

    Raises:
        ValueError: a size is no positive whole number, or data sets have different numbers of inputs.
    """
    sets = [one if one and not isinstance(one[0], int) else [one] for one in map(tuple, given)]
    for shape in (shape for shapes in sets for shape in shapes):
        if not shape or not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"sizes: {shape!r} is no shape; one of an input reads like (1, 3, 64, 48).")
    if len({len(shapes) for shapes in sets}) > 1:
        raise ValueError(f"sizes: {', '.join(map(str, sets))} are of different numbers of inputs.")
    return tuple(tuple(tuple(shape) for shape in shapes) for shapes in sets)


def _made(given: Mapping[str, Any]) -> dict[str, Any]:
    sizes = given.get("sizes")
    return {**given, "sizes": sizes_of(sizes) if sizes else None}


def _parts_of(model: Any) -> tuple[str, ...]:
    """Names of the network, or of backbone, neck and head; empty of any other graph of parts."""
    if not isinstance(model, Mapping):
        return (model,) if isinstance(model, str) else ()
    if isinstance(model.get("type"), str):
        return (model["type"],)
    places = ("backbone", "neck", "head")
    if "backbone" not in model or not {*model} <= {*places}:
        return ()
    named = (part.get("type") if isinstance(part, Mapping) else part for part in map(model.get, places) if part)
    names = [name for name in named if isinstance(name, str)]
    return tuple(names) if len(names) == len(model) else ()


def _mapping(place: str, maker: Maker) -> dict[str, Any]:
    parts = {"type": maker} if isinstance(maker, str) else dict(maker)
    if not isinstance(parts.get("type"), str):
        raise ValueError(f"{place}: {maker!r} names no type; give a name, or a mapping with 'type'.")
    return parts


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is no plain data: give numbers, texts, lists and mappings, which can be written down.")


def _hashed(value: Any) -> Any:
    """Data in which files of weights stand by their hashes."""
    if isinstance(value, Mapping):
        return {
            key: _weights(item) if key == "weights" and item is not None else _hashed(item)
            for key, item in value.items()
        }
    return [_hashed(item) for item in value] if isinstance(value, list | tuple) else value


def _places(value: Any, key: str = "type") -> Iterator[tuple[str, str]]:
    """What the names in some data stand for in the registry, by kind: a name may come to mean another constructor."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _places(item, str(inner))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _places(item, key)
    elif isinstance(value, str) and key in _NAMING:
        for kind in kinds_of(value):
            with contextlib.suppress(ValueError):  # several versions, of which the data names one
                target = lookup(value, kind).target
                yield (
                    f"{kind} {value}",
                    target if isinstance(target, str) else f"{target.__module__}:{target.__qualname__}",
                )


def _weights(given: Any) -> Any:
    options = dict(given) if isinstance(given, Mapping) else {"file": given}
    file = options.get("file")
    if not isinstance(file, str | os.PathLike):
        raise TypeError(f"weights: {given!r} names no file; what is converted is data, and its weights are a file's.")
    if not Path(file).is_file():
        raise FileNotFoundError(f"weights: there is no file {os.fspath(file)}.")
    return {**options, "file": sha256(Path(file))}


__all__ = ["Maker", "Target", "canonical", "sizes_of"]
