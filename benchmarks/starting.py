"""Import of mcore and models on the platform against `import torch`; building networks on both engines."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.measure import in_fresh_process

TIMED = "import time; start = time.perf_counter(); {code}; result = {{'ms': (time.perf_counter() - start) * 1e3}}"
BUILT = """
import time, mcore, models
mcore.set_num_threads(1)
mcore.manual_seed(0)
{before}
start = time.perf_counter()
{code}
result = {{"ms": (time.perf_counter() - start) * 1e3}}
"""
# The files of the family are imported before the clock starts, as the other side's are.
WARM = "models.create('resnet18', num_classes=2)"
MATERIALISED = "net = models.create('resnet50', num_classes=1000)\nfor p in net.parameters(): p.detach().numpy()"
PLAIN = """
import time, torch
torch.set_num_threads(1)
from benchmarks.plain_resnet import resnet50
start = time.perf_counter()
net = resnet50()
result = {"ms": (time.perf_counter() - start) * 1e3}
"""
LOADED = "net = models.create('resnet50', num_classes=1000)\nnet.load_state_dict(mcore.load({file!r}))"


def median_of(code: str, rounds: int, **environment: str) -> dict[str, float]:
    """Medians of time and memory over fresh processes."""
    found = [in_fresh_process(code, **environment) for _ in range(rounds)]
    return {key: statistics.median(f[key] for f in found) for key in found[0]}


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import os
    import tempfile

    rounds = 1 if quick else 5
    ours = median_of(TIMED.format(code="import mcore, models"), rounds, MCORE_BACKEND="platform")
    theirs = median_of(TIMED.format(code="import torch"), rounds)
    out = [
        _row("import, time", ours["ms"], theirs["ms"], "0.2"),
        {**_row("import, memory", ours["peak_mb"], theirs["peak_mb"], "below 1"), "unit": "MB"},
    ]
    plain = median_of(PLAIN, rounds)["ms"]
    for engine in ("torch", "platform"):
        built = median_of(BUILT.format(before=WARM, code=MATERIALISED), rounds, MCORE_BACKEND=engine)["ms"]
        out.append(_row(f"build ResNet-50 with random weights, {engine} engine", built, plain, "1.0"))
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "r50.safetensors")
        save = f"net = models.create('resnet50', num_classes=1000); mcore.save(net.state_dict(), {file!r})"
        in_fresh_process(BUILT.format(before=WARM, code=save), MCORE_BACKEND="platform")
        loaded = median_of(BUILT.format(before=WARM, code=LOADED.format(file=file)), rounds, MCORE_BACKEND="platform")[
            "ms"
        ]
        out.append(_row("build ResNet-50 with weights from a file, platform engine", loaded, plain, "below 1"))
    return out


def _row(question: str, ours: float, theirs: float, goal: str) -> dict[str, Any]:
    return {
        "question": question,
        "side": "mcore",
        "ms": round(ours, 1),
        "against_ms": round(theirs, 1),
        "ratio": round(ours / theirs, 3),
        "goal": goal,
    }
