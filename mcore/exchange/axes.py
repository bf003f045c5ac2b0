"""Which axes of a graph may stay open: recordings at several sizes, compared node by node.

A size that Python used in a way that cannot be seen from inside (`range(h)`, `len`, `int(h / 2)`) makes the
recordings at two sizes differ; the first node in which they differ names the line.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from mcore.exchange.recorded import Recorded
from mcore.platform.errors import module_path
from mcore.platform.graph import INPUT, Place

Arrays = list[np.ndarray]
Record = Callable[[Arrays, list[dict[int, str]]], Recorded]
# Input and axis -> the input and axis whose size it always has.
Ties = dict[tuple[int, int], tuple[int, int]]

# How a candidate axis is varied, tried in order until two sizes agree: by an odd amount (another parity, and it
# crosses every stride), by an even one, then in proportion, for networks that need multiples of their stride.
VARIATIONS: tuple[tuple[str, Callable[[int, int], int]], ...] = (
    ("odd", lambda size, axis: size + (13, 1, 7, 11, 9)[axis % 5]),
    ("even", lambda size, axis: size + (2, 4, 6, 2, 4)[axis % 5] * 3),
    ("doubled", lambda size, axis: size * 2),
    ("threefold", lambda size, axis: size * 3),
    ("by 32", lambda size, axis: size + 32 * (1 + axis % 3)),
)
# Values of an input that is varied, at most: films and volumes of many axes would fill the memory.
MOST = 1 << 28
SPATIAL = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclasses.dataclass
class Axes:
    """The outcome: open axes per input, the recording with them, and what was learned of the others."""

    open: list[dict[int, str]]
    recorded: Recorded
    fixed: list[str]
    notes: list[str]


def candidates(arrays: Sequence[np.ndarray], others: Sequence[Arrays]) -> list[list[int]]:
    """Axes worth trying: the batch, spatial axes, those that differ between the given sizes, all of integers."""
    out = []
    for k, array in enumerate(arrays):
        # Numbers of classes and masks have no channels; (n, length, channels) is how tokens come.
        every = array.ndim == 3 or (array.ndim < 3 and array.dtype.kind in "iub")
        tried = set(range(array.ndim)) if every else {0, *range(2, array.ndim)}
        tried = {axis for axis in tried if axis < array.ndim}
        for other in others:
            tried |= {a for a, (p, q) in enumerate(zip(array.shape, other[k].shape, strict=False)) if p != q}
        out.append(sorted(tried))
    return out


def axis_names(
    names: Sequence[str],
    arrays: Sequence[np.ndarray],
    axes: Sequence[Sequence[int]],
    ties: Ties | None = None,
) -> list[dict[int, str]]:
    """Names of open axes: the batch is one for all inputs of that size; other axes bear their input's name.

    Axes that `ties` brings together have the name of the first.
    """
    out = []
    batch = arrays[0].shape[0] if arrays and arrays[0].ndim else None
    for k, (name, array) in enumerate(zip(names, arrays, strict=True)):
        labels = {}
        for axis in axes[k]:
            if axis == 0 and array.shape[0] == batch:
                labels[axis] = "batch"
                continue
            spatial = SPATIAL.get(array.ndim - 2, ())
            label = spatial[axis - 2] if 2 <= axis < 2 + len(spatial) else f"axis{axis}"
            labels[axis] = label if len(arrays) == 1 else f"{name}_{label}"
        out.append(labels)
    for (k, axis), (first, place) in (ties or {}).items():
        if axis in out[k] and place in out[first]:
            out[k][axis] = out[first][place]
    return out


def tied(arrays: Sequence[Arrays], *, same_place: bool) -> Ties:
    """Axes of different inputs that have the same sizes throughout `arrays`, each with the first such axis.

    Tokens and their mask are as long as each other. `same_place`: only axes of the same number.
    """
    first: dict[tuple, tuple[int, int]] = {}
    out: Ties = {}
    for k, array in enumerate(arrays[0]):
        for axis in range(1, array.ndim):
            key = (*(given[k].shape[axis] for given in arrays), axis if same_place else 0)
            found = first.setdefault(key, (k, axis))
            if found[0] != k:
                out[k, axis] = found
    return out


def resized(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """An array of another size with the same kind of content (repeated or cut)."""
    for axis, size in enumerate(shape):
        if array.shape[axis] < size and array.shape[axis]:
            array = np.concatenate([array] * -(-size // array.shape[axis]), axis)
        array = np.take(array, range(size), axis) if array.shape[axis] != size else array
    return np.ascontiguousarray(array)


class Search:
    """Finds the open axes of one network.

    Args:
        record: records at arrays with the given open axes.
        names: input names.
        arrays: the first size.
        others: further sizes that the caller wants to work.
    """

    def __init__(self, record: Record, names: Sequence[str], arrays: Arrays, others: Sequence[Arrays]) -> None:
        self.record, self.names, self.arrays, self.others = record, names, arrays, others
        self.fixed: list[str] = []
        self.notes: list[str] = []
        self.ties: Ties = {}

    def run(self, tried: list[list[int]]) -> Axes:
        """Opens as many of `tried` as the network allows."""
        ways = self._ways()
        for self.ties in ways:
            labels = axis_names(self.names, self.arrays, tried, self.ties)
            recorded = self.record(self.arrays, labels)
            # In proportion, axes that belong together stay alike without being tied.
            count = len(VARIATIONS) if self.ties == ways[-1] else 2
            if not any(tried) or self._disagreement(recorded, labels, tried, count) is None:
                break
        else:
            tried = self._one_by_one(tried)
            labels = axis_names(self.names, self.arrays, tried, self.ties)
            recorded = self.record(self.arrays, labels)
        self._check_given(recorded, labels)
        return Axes(labels, recorded, self.fixed, self.notes)

    def doubt(self, recorded: Recorded, labels: list[dict[int, str]]) -> str | None:
        """Why axes that were opened on demand may not be: None where some other size gives the same graph."""
        opened = [sorted(own) for own in labels]
        why: str | None = None
        for ties in self._ways() if any(opened) else ():
            self.ties = ties
            why = self._disagreement(recorded, labels, opened)
            if why is None:
                break
        return why

    def _ways(self) -> list[Ties]:
        """Which axes vary together, tried in order: none but the batch, those of one number, all of one size."""
        out: list[Ties] = [{}]
        for same_place in (True, False):
            ties = tied([self.arrays, *self.others], same_place=same_place)
            out += [ties] if ties not in out else []
        return out

    def _varied(self, tried: list[list[int]], how: Callable[[int, int], int]) -> Arrays:
        batch = self.arrays[0].shape[:1]
        out = []
        for k, array in enumerate(self.arrays):
            shape = list(array.shape)
            for axis in tried[k]:
                same_batch = axis == 0 and array.shape[:1] == batch
                _, place = self.ties.get((k, axis), (k, axis))
                shape[axis] = how(shape[axis], place if same_batch or place else k)
            if math.prod(shape) > max(MOST, array.size):
                raise MemoryError(f"{self.names[k]} of {'x'.join(map(str, shape))} is too large to try")
            out.append(resized(array, shape))
        return out

    def _disagreement(
        self, recorded: Recorded, labels: list[dict[int, str]], tried: list[list[int]], count: int = len(VARIATIONS)
    ) -> str | None:
        """None where one of the first `count` variations of all `tried` axes gives the same graph; else why not."""
        why: str | None = None
        for k, (name, how) in enumerate(VARIATIONS[:count]):
            try:
                other = self.record(self._varied(tried, how), labels)
            except NotImplementedError:
                raise
            except Exception as error:  # a size that the network refuses: another may fit
                why = why or f"{type(error).__name__}: {error}"
                continue
            difference = first_difference(recorded, other)
            if difference is None:
                if k and why:
                    self.notes.append(f"alike when sizes are {name}, but not otherwise: {why}")
                return None
            why = difference
        return why

    def _one_by_one(self, tried: list[list[int]]) -> list[list[int]]:
        kept: list[list[int]] = [[] for _ in tried]
        for k, axes in enumerate(tried):
            for axis in axes:
                first = self.ties.get((k, axis), (k, axis))
                alone = [[a for a in t if self.ties.get((i, a), (i, a)) == first] for i, t in enumerate(tried)]
                if axis == 0:  # inputs share their batch
                    alone = [
                        [0] if 0 in t and a.shape[:1] == self.arrays[k].shape[:1] else []
                        for t, a in zip(tried, self.arrays, strict=True)
                    ]
                labels = axis_names(self.names, self.arrays, alone, self.ties)
                why = self._disagreement(self.record(self.arrays, labels), labels, alone)
                if why is None:
                    kept[k].append(axis)
                else:
                    self.fixed.append(f"{self.names[k]}[{axis}] = {self.arrays[k].shape[axis]}: {why}")
        return kept

    def _check_given(self, recorded: Recorded, labels: list[dict[int, str]]) -> None:
        for other in self.others:
            changed = [
                f"{name}[{axis}]"
                for k, name in enumerate(self.names)
                for axis, (p, q) in enumerate(zip(self.arrays[k].shape, other[k].shape, strict=True))
                if p != q and axis not in labels[k]
            ]
            difference = first_difference(recorded, self.record(other, labels))
            if changed or difference:
                sizes = ", ".join("x".join(map(str, a.shape)) for a in other)
                why = difference or "; ".join(self.fixed) or "the axis is not among those asked to be dynamic"
                raise RuntimeError(
                    f"one graph cannot hold the size {sizes}"
                    + (f" ({', '.join(changed)} fixed)" if changed else "")
                    + f": {why.rstrip('.')}. Export that size on its own, or treat sizes alike there "
                    "(words instead of range, len, int; pad by an amount computed from the shape)."
                )


def first_difference(a: Recorded, b: Recorded) -> str | None:
    """The line of the first node in which two recordings differ; None where they are alike."""
    if a.structure() == b.structure():
        return None
    # The longer one shows what the other lacks: the additional turn of a loop, the branch that was taken.
    longer = max(a, b, key=lambda recorded: len(recorded.recorder.nodes))
    pairs = zip(a.recorder.nodes, b.recorder.nodes, strict=False)
    index = next((k for k, (p, q) in enumerate(pairs) if p != q), len(longer.recorder.nodes) - 1)
    return _explained(longer, index)


def _explained(recorded: Recorded, index: int) -> str:
    """Constants are spoken by the node that uses them: the first operator from there on names the line."""
    recorder = recorded.recorder
    while index < len(recorder.nodes) - 1 and recorder.places[index][1] is None:
        index += 1
    place = Place(*recorder.places[index])
    path = module_path(recorder, place.module)
    op = recorder.nodes[index][0]
    where = f"{op if op != INPUT else 'input'}{f' in {path}' if path else ''}, {place}"
    return f"{where}, uses a size as a plain number{_lost_before(recorded, index)}"


def _lost_before(recorded: Recorded, index: int) -> str:
    """Where `int()` last made a plain number of a size, if it did: the node only shows what came of it."""
    lost = [loss for loss in recorded.recorder.losses if loss[0] <= index]
    if not lost:
        return ""
    _, text, place = lost[-1]
    return f"; int() made one of {text} at {place} (a // b, math.floor and math.ceil keep it a size)"
