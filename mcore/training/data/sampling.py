"""Which samples a step of training sees, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from mcore.config import ConfigError, Mistake
from mcore.training.data.randomness import generator_of
from mcore.training.errors import DataError

# Epoch and number of a sample: what `Samples` is asked for.
Key = tuple[int, int]


class Order:
    """The batches of one process in an epoch, each a list of (epoch, index); a DataLoader's `batch_sampler`.

    An epoch is a permutation drawn from (seed, epoch); step s takes `[s * batch, (s + 1) * batch)` of it, whatever
    the number of processes; a process takes its equal, contiguous share of that, and cuts it in `accumulate` parts.
    The samples after the last whole step are left out of this epoch.

    Attributes:
        steps_in_epoch: steps of the optimiser in an epoch.

    Raises:
        DataError: there are fewer samples than a batch has.
        ConfigError: processes * accumulate don't divide the batch.
    """

    def __init__(
        self, length: int, *, batch: int, accumulate: int = 1, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        parts = world * accumulate
        if batch % parts:
            fits = " and ".join(str(size) for size in (batch // parts * parts, (batch // parts + 1) * parts) if size)
            told = f"batch {batch} can't be cut into {world} processes * accumulate {accumulate} = {parts} equal parts"
            raise ConfigError([Mistake(None, ("train", "batch"), f"{told}; the nearest that fit: {fits}")])
        if length < batch:
            raise DataError(
                f"The training data has {length} samples, fewer than one step takes (batch {batch}); "
                f"give a batch of at most {length}, or more data."
            )
        self.length, self.batch, self.accumulate = length, batch, accumulate
        self.seed, self.rank, self.world = seed, rank, world
        self.steps_in_epoch = length // batch
        self.epoch, self.first_step = 0, 0

    def set(self, epoch: int, first_step: int = 0) -> None:
        """What the next iteration begins with: a step within an epoch; those before are skipped, unread."""
        if not 0 <= first_step <= self.steps_in_epoch:
            raise ValueError(f"Order: an epoch has steps 0 to {self.steps_in_epoch - 1}, got {first_step}.")
        self.epoch, self.first_step = epoch, first_step

    def __len__(self) -> int:
        return (self.steps_in_epoch - self.first_step) * self.accumulate

    def __iter__(self) -> Iterator[list[Key]]:
        # What `set` says later is of the next iteration: arguments are taken now, the generator runs when asked.
        return self._batches(self.epoch, self.first_step)

    def _batches(self, epoch: int, first_step: int) -> Iterator[list[Key]]:
        permutation = generator_of(self.seed, epoch).permutation(self.length)
        size = self.batch // (self.world * self.accumulate)
        for step in range(first_step, self.steps_in_epoch):
            share = step * self.batch + self.rank * self.accumulate * size
            for start in range(share, share + self.accumulate * size, size):
                yield [(epoch, index) for index in permutation[start : start + size].tolist()]


__all__ = ["Key", "Order"]
