"""Batches: samples put together, by workers where there are some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, default_collate

from mcore.training.data.base import Sample
from mcore.training.data.samples import Samples
from mcore.training.data.sampling import Key, Order
from mcore.training.errors import DataError
from mcore.training.settings import Loader

Batch = dict[str, Any]


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples as one batch: tensors stacked, names in a list.

    Raises:
        DataError: they have other keys, or other sizes; the message has the names of two that differ.
    """
    batch: Batch = {}
    for key in dict.fromkeys(key for sample in samples for key in sample):
        try:
            values = [sample[key] for sample in samples]
            # Torch's own writes the stack straight into memory that the other process sees.
            batch[key] = values if key == "name" else default_collate(values)
        except (KeyError, RuntimeError) as error:
            told = _difference(samples, key)
            if told is None:
                raise
            raise DataError(told) from error
    return batch


def training_loader(samples: Samples, order: Order, loader: Loader) -> Batches:
    """A DataLoader over the micro batches of one process; `order.set` says where each iteration begins."""
    return Batches(samples, order, loader)


def validation_batches(
    samples: Samples, *, batch: int, rank: int = 0, world: int = 1, loader: Loader
) -> ValidationBatches:
    """All samples once, in order, in batches of at most `batch` for each process.

    Iterating gives pairs of a batch and of how many of its first samples count. All processes get equally many
    batches of the same size; where samples don't suffice for that, one is read again and doesn't count.
    It can be iterated again and again, by the same workers.
    """
    return ValidationBatches(samples, _rounds(len(samples), batch=batch, rank=rank, world=world), loader)


class Batches(DataLoader[Sample]):
    """Torch's DataLoader, whose workers' errors say in one line what is wrong with which sample."""

    def __init__(self, samples: Samples, order: Any, loader: Loader) -> None:
        with_workers: dict[str, Any] = {}
        if loader.num_workers:
            with_workers = {
                "prefetch_factor": loader.prefetch_factor,
                "persistent_workers": loader.persistent_workers,
            }
        super().__init__(
            samples,
            batch_sampler=order,
            num_workers=loader.num_workers,
            # One configuration runs everywhere: without an accelerator there is nothing to pin for, and torch warns.
            pin_memory=loader.pin_memory and torch.accelerator.is_available(),
            collate_fn=collate,
            # Each iteration draws a seed for the workers; from torch's own generator it would change the network's
            # random numbers by how often training was interrupted.
            generator=torch.Generator(),
            **with_workers,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        return _plainly(super().__iter__())


class ValidationBatches:
    """See `validation_batches`."""

    def __init__(self, samples: Samples, rounds: list[tuple[list[Key], int]], loader: Loader) -> None:
        self.counts = [count for _, count in rounds]
        self.batches = Batches(samples, [keys for keys, _ in rounds], loader)

    def __len__(self) -> int:
        return len(self.counts)

    def __iter__(self) -> Iterator[tuple[Batch, int]]:
        return zip(self.batches, self.counts, strict=True)


def _rounds(length: int, *, batch: int, rank: int, world: int) -> list[tuple[list[Key], int]]:
    """Keys and counts of a process's batches; the last round is shared out evenly.

    >>> _rounds(5, batch=2, rank=1, world=2)
    [([(0, 2), (0, 3)], 2), ([(0, 4)], 0)]
    """
    rounds = []
    for start in range(0, length, batch * world):
        size = min(batch, -(-(length - start) // world))
        mine = range(start + rank * size, start + (rank + 1) * size)
        keys = [(0, min(index, length - 1)) for index in mine]
        rounds.append((keys, sum(index < length for index in mine)))
    return rounds


def _plainly(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Batches as they come; of a worker's error without the traceback that torch writes into its message."""
    try:
        yield from batches
    except DataError as error:
        head, found, message = str(error).rpartition(f"{DataError.__module__}.DataError: ")
        if found and head.startswith("Caught DataError in DataLoader worker"):
            raise DataError(message.strip()) from error
        raise


def _difference(samples: Sequence[Sample], key: str) -> str | None:
    """What differs under a key in samples that make no batch; None where nothing does (memory ran out)."""
    first = samples[0]
    for other in samples[1:]:
        if (key in first) != (key in other):
            has, lacks = (first, other) if key in first else (other, first)
            return f"{has['name']} has {key!r}, and {lacks['name']} hasn't; a batch needs all of its samples alike."
        one, two = first[key], other[key]
        if one.shape != two.shape:
            return (
                f"{key!r} of {first['name']} is {_times(one)}, of {other['name']} {_times(two)}; samples of a batch "
                "have one size: give the source a `size` (and a `color`), or use patches."
            )
    return None


def _times(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


__all__ = ["Batch", "Batches", "ValidationBatches", "collate", "training_loader", "validation_batches"]
