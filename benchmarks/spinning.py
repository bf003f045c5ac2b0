"""Two threads while the second core is busy must not be slower than one thread: waiting threads may not spin."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import numpy as np


def busy(stop: float) -> None:
    """Occupies one core until `stop`."""
    while time.perf_counter() < stop:
        sum(range(10_000))


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import statistics

    import mcore.platform as platform
    from benchmarks.networks import unet

    x = platform.from_numpy(np.zeros((1, 3, 128, 128), np.float32))
    seconds = 2.0 if quick else 8.0
    found: dict[int, float] = {}
    for threads in (1, 2):
        platform.set_num_threads(threads)
        net = unet(platform)
        net(x)
        other = multiprocessing.get_context("spawn").Process(target=busy, args=(time.perf_counter() + seconds + 1,))
        other.start()
        times, stop = [], time.perf_counter() + seconds
        while time.perf_counter() < stop:
            start = time.perf_counter()
            net(x)
            times.append((time.perf_counter() - start) * 1e3)
        other.join()
        found[threads] = statistics.median(times)
    return [
        {"question": "UNet beside a busy core", "side": f"{threads} threads", "ms": round(ms, 2),
         "ratio": round(ms / found[1], 3), "goal": "2 threads: at most 1.0"}
        for threads, ms in found.items()
    ]  # fmt: skip
