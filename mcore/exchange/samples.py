"""Data sets to verify an export with: those that were given, and further sizes of the axes that are free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcore.exchange import bridge

Arrays = list[np.ndarray]


@dataclass
class Sample:
    """Inputs of one size, and what the module itself makes of them."""

    inputs: Arrays
    outputs: Arrays | None = None


def given_samples(sizes: Any, inputs: Any) -> list[Sample]:
    """The data sets of `toplatform`'s arguments.

    Raises:
        ValueError: neither or both are given, or they don't agree with each other.
        TypeError: an input is no tensor.
    """
    if (sizes is None) == (inputs is None):
        raise ValueError("toplatform: give either sizes (shapes of one float32 input) or inputs (tensors).")
    if sizes is not None:
        samples = [Sample([_random(shape, seed)]) for seed, shape in enumerate(_shapes(sizes))]
    else:
        sets = [inputs] if bridge.is_tensor(inputs) else list(inputs)
        samples = [Sample(_arrays(given)) for given in sets]
    if not samples:
        raise ValueError("toplatform: at least one size or data set is needed.")
    kinds = [[(array.dtype, array.ndim) for array in sample.inputs] for sample in samples]
    if any(kind != kinds[0] for kind in kinds):
        raise ValueError(
            "toplatform: all data sets need the same number of inputs, of the same dtypes and ranks; got "
            + "; ".join(", ".join(f"{dtype} of rank {rank}" for dtype, rank in kind) for kind in kinds)
        )
    return samples


def _shapes(sizes: Any) -> list[tuple[int, ...]]:
    sizes = list(sizes)
    if sizes and all(isinstance(size, int) for size in sizes):
        sizes = [sizes]  # one shape, not in a list
    for shape in sizes:
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(
                f"toplatform: {tuple(shape)} is no shape; sizes read like [(1, 3, 64, 48), (2, 3, 96, 80)]."
            )
    return [tuple(shape) for shape in sizes]


def _random(shape: Sequence[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _arrays(given: Any) -> Arrays:
    tensors = given if isinstance(given, tuple | list) else [given]
    return [np.array(bridge.array_of(tensor)) for tensor in tensors]


def _repeats(shapes: Sequence[tuple[int, ...]], sample: Sample, axes: Sequence[dict[int, str]]) -> int:
    """Number of free axes that have the size they have in `sample`."""
    return sum(
        shape[axis] == array.shape[axis]
        for shape, array, labels in zip(shapes, sample.inputs, axes, strict=True)
        for axis in labels
    )


# How sizes grow, tried in order until the module takes one: by an odd number (other parity, crosses every stride),
# then by multiples for networks that are particular about them.
_STEPS = (7, 13, 4, 16, 32, 64, 128)


def further_samples(
    given: Sequence[Sample], exported: Any, run: Callable[[Arrays], Arrays], wanted: int
) -> list[Sample]:
    """Data sets at other sizes of the free axes, until there are `wanted` in all.

    Where no axis is free, or the module takes no other size, they have the first size and other numbers.
    """
    out: list[Sample] = []
    axes = [exported.report.axes.get(name, {}) for name in exported.input_names]
    candidates = list(_candidates(given[0].inputs, axes))
    # First those that repeat no size of an axis that was given.
    candidates.sort(key=lambda shapes: sum(_repeats(shapes, sample, axes) for sample in given))
    missing = max(wanted - len(given), 0)
    for number in range(missing):
        while candidates:
            inputs = _drawn(given[0].inputs, candidates.pop(0), seed=number)
            try:
                out.append(Sample(inputs, run(inputs)))
            # What a module raises at a size that it doesn't take is its own choice.
            except Exception:  # noqa: S112
                continue
            break
        else:
            shapes = [array.shape for array in given[0].inputs]
            inputs = _drawn(given[0].inputs, shapes, seed=100 + number)
            out.append(Sample(inputs, run(inputs)))
    repeated = sum(all(a.shape == b.shape for a, b in zip(s.inputs, given[0].inputs, strict=True)) for s in out)
    if repeated:
        why = "the module took no other size" if any(axes) else "no axis is free"
        exported.report.notes.append(f"{repeated} data sets repeat the first size with other numbers: {why}")
    return out


def _candidates(arrays: Arrays, axes: Sequence[dict[int, str]]) -> Iterator[list[tuple[int, ...]]]:
    """Shapes to try: each named axis grows alike wherever it stands, no two grow by the same."""
    names = list(dict.fromkeys(name for labels in axes for name in labels.values()))
    if not names:
        return
    batches = {name for labels in axes for axis, name in labels.items() if axis == 0}
    for turn, step in enumerate(_STEPS):
        grown = {}
        for place, name in enumerate(name for name in names if name not in batches):
            grown[name] = step * (1 + place) if step % 2 == 0 else step + 2 * place
        grown |= dict.fromkeys(batches, 1 + turn % 2)
        yield [
            tuple(size + grown[labels[axis]] if axis in labels else size for axis, size in enumerate(array.shape))
            for array, labels in zip(arrays, axes, strict=True)
        ]
    for turn in (1, 2):  # the batch alone
        yield [
            tuple(size + turn if labels.get(axis) in batches else size for axis, size in enumerate(array.shape))
            for array, labels in zip(arrays, axes, strict=True)
        ]


def _drawn(arrays: Arrays, shapes: Sequence[tuple[int, ...]], *, seed: int) -> Arrays:
    """Arrays of other shapes whose elements are drawn from the given ones: the same range, ids that exist."""
    out = []
    for array, shape in zip(arrays, shapes, strict=True):
        generator = np.random.default_rng(1000 + seed)
        flat = array.reshape(-1)
        drawn = (
            flat[generator.integers(0, max(flat.size, 1), size=shape)] if flat.size else np.zeros(shape, array.dtype)
        )
        out.append(drawn.astype(array.dtype))
    return out
