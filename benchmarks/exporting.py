"""Export from the torch engine against torch's two exporters: time, peak memory, nodes."""

from __future__ import annotations

import io
import warnings
from typing import Any

from benchmarks.measure import alternately, in_fresh_process, rows

GOAL = "15x faster than dynamo, 2x than tracing; folded: no more nodes"


def networks() -> dict[str, Any]:
    """Name -> (network, example input)."""
    import torch

    from benchmarks.networks import unet, yolo_like
    from models.backbones import resnet50

    return {
        "ResNet-50": (resnet50(num_classes=1000).eval(), torch.randn(1, 3, 224, 224)),
        "UNet": (unet(torch.nn), torch.randn(1, 3, 128, 128)),
        "YOLO-like": (yolo_like(torch.nn), torch.randn(1, 3, 128, 128)),
    }


def by_torch(net: Any, x: Any, *, dynamo: bool) -> Any:
    """torch's exporter with open batch, height and width, as ours."""
    import onnx
    import torch

    warnings.filterwarnings("ignore")
    if dynamo:
        auto = torch.export.Dim.AUTO
        return torch.onnx.export(
            net, (x,), dynamo=True, dynamic_shapes=({0: auto, 2: auto, 3: auto},), verbose=False
        ).model_proto
    buffer = io.BytesIO()
    torch.onnx.export(net, (x,), buffer, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}})
    return onnx.load_from_string(buffer.getvalue())


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    import mcore

    out = []
    for name, (net, x) in networks().items():
        found = alternately(
            {
                "mcore": lambda net=net, x=x: mcore.to_onnx(net, x, strict=True),
                "torch dynamo=False": lambda net=net, x=x: by_torch(net, x, dynamo=False),
                "torch dynamo=True": lambda net=net, x=x: by_torch(net, x, dynamo=True),
            },
            rounds=1 if quick else 3,
            warm=0 if quick else 1,
        )
        table = rows(f"export {name}", found, against="mcore", goal=GOAL)
        counts = {
            "mcore": len(mcore.to_onnx(net, x, strict=True, fold=True).graph.node),
            "torch dynamo=False": len(by_torch(net, x, dynamo=False).graph.node),
            "torch dynamo=True": len(by_torch(net, x, dynamo=True).graph.node),
        }
        for row in table:
            row["nodes"] = counts[row["side"]]
        out += table
    out.append(memory())
    return out


# Writing 5 to clear_refs resets the peak that VmHWM reports.
MEMORY = """
import re, torch, mcore
from models.backbones import resnet50

def memory(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

net = resnet50(num_classes=1000).eval()
mcore.to_onnx(torch.nn.Conv2d(1, 1, 1).eval(), torch.zeros(1, 1, 4, 4))
before = memory("VmRSS")
open("/proc/self/clear_refs", "w").write("5")
model = mcore.to_onnx(net, torch.zeros(1, 3, 224, 224))
weights = sum(p.numel() * p.element_size() for p in net.parameters()) / 2**20
result = {"weights_mb": weights, "grown_mb": memory("VmHWM") - before}
"""


def memory() -> dict[str, Any]:
    """How far the peak memory grows while ResNet-50 is exported, in multiples of its weights."""
    found = in_fresh_process(MEMORY, MCORE_BACKEND="torch")
    ratio = found["grown_mb"] / found["weights_mb"]
    return {
        "question": "export ResNet-50, memory",
        "side": "mcore",
        "mb": round(found["grown_mb"]),
        "ratio": round(ratio, 2),
        "goal": "at most 1.5x the weights",
    }
