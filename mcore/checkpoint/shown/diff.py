"""What differs between two checkpoints: configuration, metrics, tags, and which tensors changed and how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcore.checkpoint.records import Component, Record, Strict
from mcore.checkpoint.shown import texts
from mcore.checkpoint.shown.outline import whole_name

# What differs in any two checkpoints, or is told by itself.
_APART = ("id", "created", "version", "metrics", "tags", "notes", "components")
# Numbers compared at a time, so that the copies in double precision stay small.
_CHUNK = 1 << 20

Arrays = Callable[[Component], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Change:
    """A value that differs; None where it isn't there."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Moved:
    """A tensor whose numbers changed.

    Attributes:
        name: in the second network's state.
        shape: of both.
        relative: the norm of the difference to that of the old; None where the old is all zero, or not finite.
        largest: the largest difference; None where one isn't finite.
        differing: how many numbers differ.
    """

    name: str
    shape: tuple[int, ...]
    relative: float | None
    largest: float | None
    differing: int


@dataclass(frozen=True)
class Diff:
    """Two checkpoints, compared.

    Attributes:
        old, new: their ids.
        configuration, metrics, tags: values that differ, by name.
        moved: tensors whose numbers changed, the most changed first.
        reshaped: tensors of another shape or type.
        added, removed: tensors that only the new, or the old one has.
        same: how many tensors are bit for bit the same, in files that differ.
        unread: components whose files are the same, and weren't read.
    """

    old: str
    new: str
    configuration: tuple[Change, ...]
    metrics: tuple[Change, ...]
    tags: tuple[Change, ...]
    moved: tuple[Moved, ...]
    reshaped: tuple[Change, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    same: int
    unread: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(texts.plain(line) for line in _told(self))


def diff(old: Record, new: Record, arrays_of: Arrays) -> Diff:
    """Compares two checkpoints; components whose file is the same aren't read.

    Args:
        old: the record of one.
        new: and of the other.
        arrays_of: the arrays of a component, as `Repository.arrays` gives them.

    Raises:
        CorruptCheckpoint: a file isn't what was saved.
    """
    compared = _Tensors()
    for one, other in _pairs(old, new):
        compared.take(one, other, arrays_of)
    moved = sorted(compared.moved, key=lambda one: -(one.relative if one.relative is not None else float("inf")))
    return Diff(
        old.id, new.id,
        configuration=tuple(_changes(_configuration(old), _configuration(new))),
        metrics=tuple(_changes(_metrics(old), _metrics(new))),
        tags=tuple(_changes(old.tags, new.tags)),
        moved=tuple(moved),
        reshaped=tuple(compared.reshaped),
        added=tuple(compared.added),
        removed=tuple(compared.removed),
        same=compared.same,
        unread=tuple(compared.unread),
    )  # fmt: skip


class _Tensors:
    """What is known of the tensors so far."""

    def __init__(self) -> None:
        self.moved: list[Moved] = []
        self.reshaped: list[Change] = []
        self.added: list[str] = []
        self.removed: list[str] = []
        self.same = 0
        self.unread: list[str] = []

    def take(self, one: Component | None, other: Component | None, arrays_of: Arrays) -> None:
        if one is not None and other is not None and one.blob == other.blob:
            self.unread.append(other.name or other.role)
            return
        before = arrays_of(one) if one is not None and one.blob else {}
        after = arrays_of(other) if other is not None and other.blob else {}
        for name, array in after.items():
            assert other is not None
            if name in before:
                self._compare(whole_name(other, name), before[name], array)
            else:
                self.added.append(whole_name(other, name))
        self.removed += [whole_name(one, name) for name in before if one is not None and name not in after]

    def _compare(self, name: str, old: np.ndarray, new: np.ndarray) -> None:
        if old.shape != new.shape or old.dtype != new.dtype:
            self.reshaped.append(Change(name, _form(old), _form(new)))
        elif _bytes(old) == _bytes(new):
            self.same += 1
        else:
            self.moved.append(_moved(name, old, new))


def _pairs(old: Record, new: Record) -> Iterator[tuple[Component | None, Component | None]]:
    """Components of one name; of what is left, the only ones of one role, as a bare backbone and an assembly's."""
    olds, news = {one.name: one for one in old.components}, {one.name: one for one in new.components}
    alone = [one for name, one in olds.items() if name not in news]
    for name, other in news.items():
        match = olds.get(name)
        if match is None:
            alike = [one for one in alone if one.role == other.role]
            rivals = [one for key, one in news.items() if key not in olds and one.role == other.role]
            if len(alike) == len(rivals) == 1:
                match = alike[0]
                alone.remove(match)
        yield match, other
    for one in alone:
        yield one, None


def _moved(name: str, old: np.ndarray, new: np.ndarray) -> Moved:
    size = before = 0.0
    largest, differing = 0.0, 0
    for one, other in zip(_chunks(old), _chunks(new), strict=True):
        with np.errstate(all="ignore"):
            gap = np.abs(other - one)
            size += float(np.square(gap).sum())
            before += float(np.square(one).sum())
        largest = float(np.maximum(largest, gap.max(initial=0.0)))
        differing += int((one != other).sum())
    relative = (size / before) ** 0.5 if before > 0 and np.isfinite(size / before) else None
    return Moved(name, tuple(new.shape), relative, largest if np.isfinite(largest) else None, differing)


def _chunks(array: np.ndarray) -> Iterator[np.ndarray]:
    line = array.reshape(-1)
    for start in range(0, line.size, _CHUNK):
        yield line[start : start + _CHUNK].astype(np.float64)


def _bytes(array: np.ndarray) -> Any:
    # Bits, not values: 0.0 and -0.0 are two, a NaN is itself.
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _form(array: np.ndarray) -> str:
    return f"{texts.shape(array.shape)} {array.dtype}"


def _configuration(record: Record) -> dict[str, Any]:
    """Everything else that the record says, by path."""
    data = record.model_dump(mode="json", exclude=set(_APART))
    data["components"] = {
        one.name or one.role: one.model_dump(mode="json", exclude={"blob"}) for one in record.components
    }
    for key in ("dataset", "costs"):
        data[key] = [_dump(one) for one in getattr(record, key)]
    # What is empty, and what isn't there, say the same here.
    return {path: value for path, value in _paths(data, "") if value is not None and value not in ("", [], {})}


def _dump(model: Strict) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_defaults=True)


def _paths(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _paths(item, f"{at}.{key}" if at else str(key))
    else:
        yield at, value


def _metrics(record: Record) -> dict[str, float]:
    return {" ".join(filter(None, (one.key, one.head, one.dataset))): one.value for one in record.metrics}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    # By name: the order in which they were told means nothing.
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield Change(name, before, after)


def _told(found: Diff) -> Iterator[str]:
    yield f"{found.old} -> {found.new}"
    for title in ("configuration", "metrics", "tags"):
        changes = getattr(found, title)
        if changes:
            yield f"{title}:"
            yield from (f"  {_tagged(one) if title == 'tags' else f'{one.name}: {_was(one)}'}" for one in changes)
    yield "tensors:"
    yield from (f"  only in the old: {name}" for name in found.removed)
    yield from (f"  only in the new: {name}" for name in found.added)
    yield from (f"  another shape or type: {one.name}: {one.old} -> {one.new}" for one in found.reshaped)
    rows = [
        (one.name, texts.shape(one.shape), _told_number(one.relative), _told_number(one.largest), f"{one.differing:,}")
        for one in found.moved
    ]
    if rows:
        head = ("changed", "shape", "relative", "largest", "numbers")
        yield from (f"  {line}" for line in texts.table(head, rows, right=(2, 3, 4)))
    if found.same:
        yield f"  {found.same} tensors are the same"
    yield from (f"  {name}: the same file" for name in found.unread)


def _was(change: Change) -> str:
    if isinstance(change.old, float) and isinstance(change.new, float):
        return f"{texts.number(change.old)} -> {texts.number(change.new)} ({change.new - change.old:+.4g})"
    return " -> ".join("-" if value is None else texts.data(value) for value in (change.old, change.new))


def _tagged(change: Change) -> str:
    old, new = (None if value is None else texts.tag(change.name, value) for value in (change.old, change.new))
    return f"only in the old: {old}" if new is None else f"only in the new: {new}" if old is None else f"{old} -> {new}"


def _told_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


__all__ = ["Change", "Diff", "Moved", "diff"]
