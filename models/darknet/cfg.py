"""Darknet's `.cfg` files, read and checked line by line."""

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from mcore.config import ConfigError, Mistake, Origin
from mcore.vocabulary import nearest
from models.darknet.options import (
    ALEXEYAB,
    ALIASES,
    IGNORED,
    REFUSED,
    REFUSED_SECTIONS,
    SECTIONS,
    Option,
)

Flavour = Literal["pjreddie", "alexeyab"]
# A configuration: a shipped name, a path, the text of a file, or its sections as mappings.
Source = str | os.PathLike[str] | Sequence[Mapping[str, Any]]


class Section(NamedTuple):
    """One section: its name, the options that are given and decide the network, and where they stand."""

    name: str
    options: dict[str, Any]
    origin: Origin | None = None
    origins: Mapping[str, Origin] = {}

    def option(self, name: str) -> Any:
        """The value of an option, its default where it is left out."""
        return self.options.get(name, SECTIONS[self.name][name].default)


@dataclass
class Cfg:
    """A network's description: `net`, what its first section says, and the sections of its layers, in order."""

    title: str
    net: Section
    sections: list[Section]
    #: The program that it was written for, as far as it shows.
    flavour: Flavour = "pjreddie"

    def rows(self) -> list[dict[str, Any]]:
        """The sections as plain data, which `read_cfg` reads too."""
        return [{"section": section.name, **section.options} for section in (self.net, *self.sections)]


def read_cfg(source: Source) -> Cfg:
    r"""A description out of a shipped name, a path, the text of a file, or sections as mappings.

    A mapping has the key "section" beside its options; values may be text, as in a file. Comments begin with
    `#` or `;`. Of an option that is written twice in a section the first holds, as Darknet reads it.

    >>> read_cfg("[net]\nchannels=1\n[convolutional]\nfilters=8\nactivation=leaky").sections[0].option("filters")
    8

    Raises:
        ConfigError: every mistake in it, with file and line, and what would fit.
        FileNotFoundError: no such file, and no network of this name.
    """
    from models.darknet.published import PUBLISHED, published

    if isinstance(source, str) and source in PUBLISHED:
        read = _Reader(source)
        read.rows(published(source))
        return read.cfg(PUBLISHED[source].flavour)
    if isinstance(source, str) and "\n" in source:
        read = _Reader("cfg")
        read.lines(source.splitlines())
    elif isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        if not os.path.exists(path):
            likely = nearest(path, PUBLISHED, most=1)
            meant = f" (did you mean {likely[0]!r}?)" if likely else ""
            raise FileNotFoundError(
                f"{path!r} is no file, and no network of this name is known{meant}; there are {', '.join(PUBLISHED)}."
            )
        read = _Reader(path)
        with open(path, encoding="utf-8", errors="replace") as file:
            read.lines(file)
    else:
        read = _Reader("cfg")
        read.rows(source)
    return read.cfg()


@dataclass
class _Reader:
    """Sections as they come, with everything wrong in them."""

    title: str
    found: list[Section] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    alexeyab: bool = False
    # Whether options go to a section that is known, and whether [net] may be left out.
    open: bool = False
    lenient: bool = False

    def lines(self, lines: Iterable[str]) -> None:
        for number, text in enumerate(lines, start=1):
            origin, line = Origin(self.title, number, 1), text.strip()
            if line.startswith("["):
                self.section(line.partition("#")[0].strip(), origin)
            elif line and line[0] not in "#;":
                name, equals, value = line.partition("=")
                if not equals:
                    self.wrong(origin, f"{line!r} is no section, option or comment; write name=value")
                elif not self.found and not self.mistakes:
                    self.wrong(origin, f"{line!r} stands before the first section; [net] comes first")
                else:
                    self.option(name.strip(), value.partition("#")[0].strip(), origin)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.lenient = True
        for number, row in enumerate(rows):
            origin = Origin(f"{self.title}[{number}]")
            if not isinstance(row, Mapping) or not isinstance(row.get("section"), str):
                self.wrong(origin, f"a section is a mapping with the name under 'section', not {row!r}")
                continue
            self.section(f"[{row['section']}]", origin)
            for name, value in row.items():
                if name != "section":
                    self.option(name, value, origin)

    def section(self, text: str, origin: Origin) -> None:
        self.open = False
        name = text.strip("[]").strip()
        name = ALIASES.get(name, name)
        if not re.fullmatch(r"\[[^\[\]]+\]", text):
            self.wrong(origin, f"{text!r} is no section; write [name]")
        elif name in REFUSED_SECTIONS:
            self.wrong(origin, f"[{name}] is not supported: {REFUSED_SECTIONS[name]}")
        elif name not in SECTIONS:
            self.wrong(origin, f"there is no section [{name}]{_meant(name, SECTIONS)}")
        elif name == "net" and self.found:
            self.wrong(origin, "[net] comes first, and once")
        else:
            if name != "net" and not self.found:
                if not self.lenient:
                    self.wrong(origin, f"[{name}] comes before [net], which says what the image is like")
                self.found.append(Section("net", {}))
            self.open = True
            self.alexeyab |= name in ALEXEYAB["sections"]
            self.found.append(Section(name, {}, origin, {}))

    def option(self, name: str, value: Any, origin: Origin) -> None:
        if not self.open:
            return
        section = self.found[-1]
        known = SECTIONS[section.name]
        self.alexeyab |= name in ALEXEYAB["options"] or (name == "activation" and value in ALEXEYAB["activations"])
        if name in known:
            self.value(section, name, value, origin)
        elif name in REFUSED:
            # A layer to share with may be the first.
            if name == "share_index" or str(value) not in ("0", "0.0"):
                self.wrong(origin, f"[{section.name}] {name}={value} is not supported")
        elif name not in IGNORED:
            likely = nearest(name, (option for option in known if option not in section.options), least=0.7, most=1)
            if likely:
                self.wrong(origin, f"[{section.name}] has no option {name!r} (did you mean {likely[0]!r}?)")
            else:
                self.unknown.append(f"{origin}: {name}")

    def value(self, section: Section, name: str, value: Any, origin: Origin) -> None:
        option = SECTIONS[section.name][name]
        try:
            typed = _typed(value, option)
        except (TypeError, ValueError) as error:
            self.wrong(origin, f"[{section.name}] {name}={value}: {error}")
            return
        if name not in section.options:
            section.options[name] = typed
            section.origins[name] = origin  # type: ignore[index]  # filled here, read-only elsewhere
        elif section.options[name] != typed:
            warnings.warn(
                f"{origin}: [{section.name}] has {name} twice; the first holds, {section.options[name]}.",
                stacklevel=5,
            )

    def wrong(self, origin: Origin, message: str) -> None:
        self.mistakes.append(Mistake(origin, (), message))

    def cfg(self, flavour: Flavour | None = None) -> Cfg:
        """The description, if nothing is wrong."""
        for section in self.found:
            for name, option in SECTIONS[section.name].items():
                if option.required and not section.options.get(name):
                    self.mistakes.append(Mistake(section.origin, (), f"[{section.name}] needs {name}="))
        if not self.found and not self.mistakes:
            self.mistakes.append(Mistake(Origin(self.title), (), "it has no section; [net] comes first"))
        if self.mistakes:
            raise ConfigError(self.mistakes)
        if self.unknown:
            more = f" and {len(self.unknown) - 3} more" if len(self.unknown) > 3 else ""
            warnings.warn(f"options that Darknet doesn't read: {', '.join(self.unknown[:3])}{more}.", stacklevel=3)
        net, *sections = self.found
        return Cfg(self.title, net, sections, flavour or ("alexeyab" if self.alexeyab else "pjreddie"))


def _typed(value: Any, option: Option) -> Any:
    """The value of an option, of the kind that it holds.

    Raises:
        ValueError: it isn't; the message says what fits.
    """
    if option.kind is list:
        if isinstance(value, str):
            value = [part for part in value.split(",") if part.strip()]
        return [_number(part) for part in (value if isinstance(value, Sequence) else [value])]
    if option.kind is str:
        if option.choices and value not in option.choices:
            likely = nearest(str(value), option.choices, most=1)
            meant = f" (did you mean {likely[0]!r}?)" if likely else ""
            raise ValueError(f"none of {', '.join(option.choices)}{meant}")
        return str(value)
    number = _number(value)
    if option.kind is int and number != int(number):
        raise ValueError("a whole number fits")
    if option.least is not None and number < option.least:
        raise ValueError(f"at least {option.least} fits")
    return option.kind(number)


def _number(value: Any) -> int | float:
    """A number as an int where it is whole.

    >>> _number(" 13"), _number(".5")
    (13, 0.5)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{str(value).strip()!r} is no number") from None
    if number - number != 0.0:
        raise ValueError(f"{value} is no finite number")
    return int(number) if number == int(number) else number


def _meant(name: str, known: Iterable[str]) -> str:
    likely = nearest(name, known, most=1)
    return f" (did you mean [{likely[0]}]?)" if likely else f"; there are {', '.join(f'[{one}]' for one in known)}"
