"""Random numbers that depend on the run's seed, the epoch and the sample alone: on no worker, process or restart."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# What NumPy's global functions draw from within `seeded_globals`; of the kind that numpy.random.seed can seed.
_NUMPYS = np.random.MT19937(0)


def generator_of(seed: int, *where: int) -> np.random.Generator:
    """The generator of an epoch (`where` is its number) or of a sample (the epoch's and its own).

    >>> first, again, other = (generator_of(0, 1, index).integers(2**62).item() for index in (5, 5, 6))
    >>> first == again, first == other
    (True, False)
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, where)))


def seeds_of(seed: int, *where: int) -> tuple[int, int]:
    """Two seeds of a sample, for others' generators; quicker than to make a generator and draw them."""
    first, second = _sequence(seed, where).generate_state(2, np.uint64).tolist()
    return first, second


def _sequence(seed: int, where: tuple[int, ...]) -> np.random.SeedSequence:
    # As the key of a child: [seed, epoch] as plain entropy is padded with noughts, and equals [seed, epoch, 0].
    return np.random.SeedSequence(seed, spawn_key=where)


def drawn_seed(source: np.random.Generator) -> int:
    """A seed for another generator."""
    return int(source.integers(2**63))


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Torch's generator of the CPU begins at `seed` within, and goes on afterwards as if nothing had been drawn."""
    before = torch.get_rng_state()
    # Not torch.manual_seed: that seeds the accelerators' generators too, which dropout is drawn from.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """The same of torch's, NumPy's and Python's global generators, which others' code draws from.

    Of NumPy's, a normal number that it has in reserve (it draws two at once) is lost.
    """
    # Another generator in its place takes 1 us; to copy the state there and back, 90. NumPy's stubs forget both words.
    numpys, pythons = np.random.get_bit_generator(), random.getstate()  # type: ignore[attr-defined]
    np.random.set_bit_generator(_NUMPYS)  # type: ignore[attr-defined]
    np.random.seed(seed % 2**32)
    random.seed(seed)
    try:
        with seeded_torch(seed):
            yield
    finally:
        np.random.set_bit_generator(numpys)  # type: ignore[attr-defined]
        random.setstate(pythons)


__all__ = ["drawn_seed", "generator_of", "seeded_globals", "seeded_torch", "seeds_of"]
