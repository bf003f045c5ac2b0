"""The autoencoder forward: the platform against torch eager and torch.compile, each in processes that take turns."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.measure import in_fresh_process, rows

# Preset, height and width; the quick run has the first.
CASES = (("tiny", (201, 201)), ("small", (201, 201)), ("small", (1280, 152)))
# By side: the engine, and what is done to the network before it is called.
SIDES = {
    "torch eager": ("torch", ""),
    "torch.compile": ("torch", "net.compile()"),
    "platform": ("platform", ""),
}
CODE = """
import statistics, time, mcore
from models.networks.autoencoder_cnn_v3 import create_autoencoder
mcore.manual_seed(0)
mcore.set_num_threads(1)
net = create_autoencoder({preset!r}, {size}).eval()
{prepared}
x = mcore.rand(1, 1, *{size})
with mcore.no_grad():
    for _ in range(3): net(x)
    times = []
    for _ in range({rounds}):
        start = time.perf_counter(); net(x); times.append((time.perf_counter() - start) * 1e3)
result = {{"ms": statistics.median(times)}}
"""


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    out: list[dict[str, Any]] = []
    for preset, size in CASES[: 1 if quick else None]:
        times: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(1 if quick else 3):
            for side, (engine, prepared) in SIDES.items():
                code = CODE.format(preset=preset, size=size, prepared=prepared, rounds=5 if quick else 15)
                times[side].append(in_fresh_process(code, MCORE_BACKEND=engine)["ms"])
        medians = {side: statistics.median(found) for side, found in times.items()}
        title = f"autoencoder {preset}, {size[0]} x {size[1]}"
        out += rows(title, medians, against="torch eager", goal="platform: 0.77")
    return out


__all__ = ["run"]
