"""SimpleInferenceRunner on a volume that is 70 % empty: skipping empty tiles against running every tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.measure import alternately, rows

SHAPE, TILE = (40, 128, 112), (8, 32, 32)
EMPTY = 0.7
# What the network of `benchmarks.networks` gives.
CLASSES = 2


def volume() -> np.ndarray:
    """A volume of SHAPE, cut into tiles of which EMPTY hold nothing; which ones, chance says."""
    out = np.zeros(SHAPE, np.float32)
    numbers = np.random.default_rng(0)
    places = list(tiles())
    full = numbers.permutation(len(places))[: round(len(places) * (1 - EMPTY))]
    for index in full:
        out[places[index]] = numbers.standard_normal(out[places[index]].shape).astype(np.float32)
    return out


def tiles() -> Iterator[tuple[slice, ...]]:
    """Where the tiles are; those at the far borders are smaller."""
    for start in np.ndindex(*(-(-whole // part) for whole, part in zip(SHAPE, TILE, strict=True))):
        yield tuple(
            slice(i * part, min((i + 1) * part, whole)) for i, part, whole in zip(start, TILE, SHAPE, strict=True)
        )


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import torch

    import mcore.platform as platform
    from benchmarks.networks import unet

    torch.set_num_threads(1)
    platform.set_num_threads(1)
    found: list[dict[str, Any]] = []
    data = volume()
    for name, words in (("torch", torch.nn), ("platform", platform)):
        net = unet(words, dims=3, widths=(8, 16, 32))
        sides = _sides(net, data)
        apart = float(np.abs(sides["skipping"]() - sides["every tile"]()).max())
        if not apart:
            raise RuntimeError("tiles: nothing was skipped, or the network gives zeros for zeros")
        times = alternately(sides, rounds=3 if quick else 7, warm=1)
        found += rows(f"70 % empty volume, {name}", times, against="every tile", goal="skipping: about 0.3")
    return found


def _sides(net: Any, data: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    from mcore.exchange import bridge
    from mcore.volumes import SimpleInferenceRunner

    engine = bridge.of_module(net)

    def bare(tile: np.ndarray) -> np.ndarray:
        return engine.array_of(engine.run(net, (engine.tensor_of(tile[None, None].copy()),)))[0]

    runners = {
        "skipping": SimpleInferenceRunner(net, is_3d=True),
        "every tile": SimpleInferenceRunner(net, is_3d=True, skip_zeros=False),
        "every tile, the network alone": bare,
    }
    return {name: lambda runner=runner: _stitched(runner, data) for name, runner in runners.items()}


def _stitched(runner: Callable[[np.ndarray], np.ndarray], data: np.ndarray) -> np.ndarray:
    out = np.empty((CLASSES, *data.shape), np.float32)
    for place in tiles():
        out[(slice(None), *place)] = runner(data[place])
    return out
