"""Held-out images through a network, on whichever engine speaks."""

import time
from typing import Any

import numpy as np

import mcore

# Images in one call; timed calls after a first one that warms up.
BATCH = 64
REPEATS = 5


def predict(net: Any, images: np.ndarray, *, repeats: int = REPEATS) -> tuple[np.ndarray, float]:
    """Scores of `images`, and milliseconds for each image: the fastest of `repeats` rounds, on one thread."""
    threads = mcore.get_num_threads()
    mcore.set_num_threads(1)
    net.eval()
    try:
        scores = _scores(net, images)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            _scores(net, images)
            times.append(time.perf_counter() - start)
    finally:
        mcore.set_num_threads(threads)
    return scores, 1000 * min(times) / len(images)


def _scores(net: Any, images: np.ndarray) -> np.ndarray:
    parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    with mcore.no_grad():
        return np.concatenate([net(mcore.from_numpy(part)).numpy() for part in parts])
