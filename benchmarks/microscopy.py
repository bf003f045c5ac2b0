"""EMVision's RSUNet as it comes, on (1, 16, 20, 128, 128): our torch engine against plain torch, the platform against
torch eager, the peak memory of each, and channels last.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.measure import alternately, in_fresh_process, rows
from benchmarks.plain import _backward, _forward

SHAPE = (1, 16, 20, 128, 128)
# Gradients of the whole size take minutes; a patch of training.
PATCH = (1, 16, 16, 64, 64)
CODE = """
import statistics, time, mcore, models
mcore.manual_seed(0)
mcore.set_num_threads(1)
net = models.networks.RSUNet().eval()
x = mcore.randn(*{shape})
with mcore.no_grad():
    net(x)
    times = []
    for _ in range({rounds}):
        start = time.perf_counter(); net(x); times.append((time.perf_counter() - start) * 1e3)
result = {{"ms": statistics.median(times)}}
"""


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    return [*_against_plain(quick), *_layouts(quick), *_engines(quick)]


def _against_plain(quick: bool) -> list[dict[str, Any]]:
    import torch

    from benchmarks.plain_rsunet import RSUNet
    from mcore.checkpoint import load_by_position
    from models.networks import RSUNet as Ours

    torch.set_num_threads(1)
    ours, plain = Ours(), RSUNet()
    load_by_position(plain, list(ours.state_dict().values()))
    x, patch = torch.randn(*SHAPE), torch.randn(*PATCH)
    with torch.no_grad():
        apart = float((ours.eval()(patch) - plain.eval()(patch)).abs().max())
    if apart > 1e-4:
        raise RuntimeError(f"RSUNet: ours and the plain one are {apart} apart")
    both: dict[str, Any] = {"mcore": ours, "plain": plain}
    forward = {side: _forward(net.eval(), x) for side, net in both.items()}
    found = alternately(forward, rounds=3 if quick else 9, warm=1)
    out = rows("RSUNet, forward", found, against="plain", goal="1.0")
    trained = {side: _backward(net.train(), patch) for side, net in both.items()}
    found = alternately(trained, rounds=3 if quick else 9, warm=1)
    out += rows("RSUNet, forward and backward of a patch", found, against="plain", goal="1.0")
    built: dict[str, Callable[[], Any]] = {"mcore": Ours, "plain": RSUNet}
    return out + rows("RSUNet, build", alternately(built, rounds=3, warm=1), against="plain", goal="-")


def _layouts(quick: bool) -> list[dict[str, Any]]:
    """Channels last against channels first."""
    import torch

    from models.networks import RSUNet

    torch.set_num_threads(1)
    first = RSUNet().eval()
    last = RSUNet().eval().to(memory_format=torch.channels_last_3d)
    out = []
    for name, shape in (("whole", SHAPE), ("a patch", PATCH)):
        x = torch.randn(*shape)
        sides = {
            "channels last": _forward(last, x.to(memory_format=torch.channels_last_3d)),
            "channels first": _forward(first, x),
        }
        found = alternately(sides, rounds=3 if quick else 9, warm=1)
        out += rows(f"RSUNet, channels last, {name}", found, against="channels first", goal="-")
    return out


def _engines(quick: bool) -> list[dict[str, Any]]:
    """The platform against torch eager, each in processes of its own that take turns."""
    code = CODE.format(shape=SHAPE, rounds=2 if quick else 5)
    found: dict[str, list[dict[str, float]]] = {"torch": [], "platform": []}
    for _ in range(1 if quick else 3):
        for engine, results in found.items():
            results.append(in_fresh_process(code, MCORE_BACKEND=engine))
    medians = {
        key: {engine: statistics.median(r[key] for r in results) for engine, results in found.items()}
        for key in ("ms", "peak_mb")
    }
    out = rows("RSUNet, platform against torch eager", medians["ms"], against="torch", goal="0.77")
    memory = rows("RSUNet, peak memory in MB, whole process", medians["peak_mb"], against="torch", goal="-")
    return out + [{**row, "megabytes": row.pop("ms")} for row in memory]


__all__ = ["run"]
