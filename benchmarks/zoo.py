"""The project's own networks, each engine in its own process: the platform against torch eager, and the bare session.

The two engines cannot both be `mcore` in one process, so the processes take turns and the medians are compared.
"""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

from benchmarks.measure import in_fresh_process


class Network(NamedTuple):
    """How to build a network, what to call it with, and the ratio that is aimed at."""

    build: str
    shape: str
    goal: str


NETWORKS = {
    "ResNet-18": Network("models.create('resnet18', num_classes=1000)", "(1, 3, 224, 224)", "-"),
    "ResNet-50": Network("models.create('resnet50', num_classes=1000)", "(1, 3, 224, 224)", "0.70"),
    "MobileNetV2": Network("models.create('mobilenetv2_100', num_classes=1000)", "(1, 3, 224, 224)", "0.77"),
    "EfficientNet-b0": Network("models.create('efficientnet_b0', num_classes=1000)", "(1, 3, 224, 224)", "0.77"),
    "UNet on ResNet-34": Network(
        "models.assemble(backbone='resnet34', head={'type': 'UNetDecoder', 'num_classes': 1})",
        "(1, 3, 224, 224)",
        "0.77",
    ),
    "YOLOv4": Network("models.create('YOLOv4', num_classes=80)", "(1, 3, 224, 224)", "0.77"),
}
CODE = """
import statistics, time, mcore, models
mcore.manual_seed(0)
mcore.set_num_threads(1)
net = {build}
net.eval()
x = mcore.randn({shape})
with mcore.no_grad():
    for _ in range(2): net(x)
    times = []
    for _ in range({rounds}):
        start = time.perf_counter(); net(x); times.append((time.perf_counter() - start) * 1e3)
result = {{"ms": statistics.median(times)}}
if mcore.backend() != "torch":
    import mcore.platform.session as sessions
    session = next(reversed(sessions.graphs.sessions.values()))
    feeds = {{entry.name: x.numpy() for entry in session.ort.get_inputs()}}
    times, calls = [], []
    for _ in range({rounds}):
        start = time.perf_counter(); session.ort.run(None, feeds); times.append((time.perf_counter() - start) * 1e3)
        start = time.perf_counter(); net(x); calls.append((time.perf_counter() - start) * 1e3)
    result["bare"], result["ms"] = statistics.median(times), statistics.median(calls)
"""


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    out = []
    for name, (build, shape, goal) in NETWORKS.items():
        code = CODE.format(build=build, shape=shape, rounds=3 if quick else 15)
        found: dict[str, list[dict[str, float]]] = {"torch": [], "platform": []}
        for _ in range(1 if quick else 3):
            for engine, results in found.items():
                results.append(in_fresh_process(code, MCORE_BACKEND=engine))
        torch = statistics.median(r["ms"] for r in found["torch"])
        platform = statistics.median(r["ms"] for r in found["platform"])
        bare = statistics.median(r["bare"] for r in found["platform"])
        out.append(
            {
                "question": f"{name}, platform against torch eager",
                "side": "platform call",
                "ms": round(platform, 2),
                "ratio": round(platform / torch, 3),
                "goal": goal,
            }
        )
        out.append(
            {
                "question": f"{name}, platform against bare session",
                "side": "platform call",
                "ms": round(platform, 2),
                "ratio": round(platform / bare, 3),
                "over_ms": round(platform - bare, 3),
                "goal": "1.03 and 0.3 ms",
            }
        )
    return out
