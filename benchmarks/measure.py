"""Measuring two sides of one question fairly: in one process, alternately, one thread, medians, ratios."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

# What a measured process ends with: its result and its peak memory as one line of JSON.
ENDING = """
import json, re
# Not ru_maxrss: a child begins with the peak of the process that started it.
result["peak_mb"] = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
print(json.dumps(result))
"""
# One thread; and imports may keep their compiled files, as they do for users.
ONE_THREAD = {"PYTHONDONTWRITEBYTECODE": "", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def alternately(sides: dict[str, Callable[[], Any]], *, rounds: int = 9, warm: int = 2) -> dict[str, float]:
    """Median milliseconds of wall time of each side; the sides take turns, so that noise meets all alike."""
    for _ in range(warm):
        for run in sides.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            gc.collect()
            start = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(found) for name, found in times.items()}


def in_fresh_process(code: str, **environment: str) -> dict[str, float]:
    """Runs `code` in a new interpreter; it prints one JSON object, which comes back. Peak memory is added."""
    import json

    variables = {**os.environ, **ONE_THREAD, **environment}
    done = subprocess.run([sys.executable, "-c", code + ENDING], env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the measured process failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mb() -> float:
    """Largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rows(title: str, found: dict[str, float], *, against: str, goal: str = "") -> list[dict[str, Any]]:
    """Table rows: each side with its ratio to `against`."""
    return [
        {"question": title, "side": name, "ms": round(ms, 3), "ratio": round(ms / found[against], 3), "goal": goal}
        for name, ms in found.items()
    ]
