"""Training: our loop against a bare one of torch, and what accumulation, mixed precision and recomputing save.

Both loops train the same network on the same samples, read one by one, for one epoch, and end with a saved state.
Memory is that of a fresh process, above what it held before its first step, with its libraries loaded.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import in_fresh_process, rows

BATCH, SIZE = 8, 96
OURS = """
import tempfile, json, pathlib
from benchmarks import training
training.load_libraries()
net, data = training.network(), training.samples({steps})
with tempfile.TemporaryDirectory() as out:
    result = training.measured(lambda: training.ours(net, data, {steps}, pathlib.Path(out), {{}}, **{given!r}))
"""
BARE = """
import tempfile, pathlib
from benchmarks import training
training.load_libraries()
net, data = training.network(), training.samples({steps})
with tempfile.TemporaryDirectory() as out:
    result = training.measured(lambda: training.bare(net, data, {steps}, pathlib.Path(out)))
"""


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    steps, rounds = (4, 1) if quick else (48, 5)
    return [*_loops(steps, rounds), *_memory(steps), *_savings(max(steps // 6, 2))]


def network() -> Any:
    """A segmentation network of ordinary size."""
    import torch

    import models

    torch.manual_seed(0)
    return models.assemble(
        backbone=models.backbones.resnet18(in_channels=1, out_indices=[0, 1, 2, 3]),
        neck=models.necks.FPN(48),
        head=models.heads.Segmentation(num_classes=2, dropout=0.0),
    )


def load_libraries() -> None:
    """Trains a small network by both loops: what they import and what torch sets up is there afterwards."""
    import torch

    for loop in (lambda *given: ours(*given, {}), bare):
        with tempfile.TemporaryDirectory() as out:
            loop(torch.nn.Conv2d(1, 2, 1), samples(1), 1, Path(out))


def samples(steps: int) -> Any:
    """Images and masks in memory, for one epoch of so many steps."""
    import numpy as np
    import torch

    random = np.random.default_rng(0)
    images = torch.from_numpy(random.standard_normal((steps * BATCH, 1, SIZE, SIZE)).astype("f4"))
    masks = torch.from_numpy(random.integers(0, 2, (steps * BATCH, SIZE, SIZE)))
    return [
        {"image": image, "mask": mask, "name": str(n)}
        for n, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]


def ours(net: Any, data: Any, steps: int, out: Path, seen: dict[str, float], **given: Any) -> None:
    """A training by `mcore.training.train`; `seen` gets the seconds of its loop, without what is built before it."""
    from mcore.training import train

    train(
        {
            "train": {
                "losses": "cross_entropy",
                "batch": BATCH,
                "steps": steps,
                "optimiser": {"type": "AdamW", "lr": 1e-3},
                **given,
            }
        },
        net=net,
        data={"train": Listed(data)},
        out=out,
        progress="quiet",
        fresh=True,
    )
    lines = (out / "log.jsonl").read_text().splitlines()
    seen["ms"] = 1e3 * json.loads(lines[-1])["seconds"]


class Listed:
    """Samples of a list, as torch's datasets are."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        return dict(self.data[index])


def bare(net: Any, data: Any, steps: int, out: Path) -> float:
    """The loop that one writes by hand; its milliseconds."""
    import torch

    loader = torch.utils.data.DataLoader(Listed(data), batch_size=BATCH, shuffle=True, drop_last=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    net.train()
    start, done = time.perf_counter(), 0
    while done < steps:
        for batch in loader:
            loss = torch.nn.functional.cross_entropy(net(batch["image"]), batch["mask"])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            done += 1
            if done % 10 == 0:
                loss.item()  # as it is logged
            if done == steps:
                break
    torch.save({"net": net.state_dict(), "optimiser": optimiser.state_dict()}, out / "state.pt")
    torch.save(net.state_dict(), out / "last.pt")  # ours keeps a checkpoint, too
    return 1e3 * (time.perf_counter() - start)


def measured(work: Any) -> dict[str, float]:
    """Milliseconds of some work, and megabytes that the process took above what it had."""
    import re

    def peak() -> float:
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6  # type: ignore[index]

    Path("/proc/self/clear_refs").write_text("5")
    before, start = peak(), time.perf_counter()
    work()
    return {"ms": 1e3 * (time.perf_counter() - start), "megabytes": peak() - before}


def _loops(steps: int, rounds: int) -> list[dict[str, Any]]:
    times: dict[str, list[float]] = {"mcore": [], "bare torch": []}
    data = samples(steps)
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as out:
            seen: dict[str, float] = {}
            ours(network(), data, steps, Path(out), seen)
            by_hand = bare(network(), data, steps, Path(out))
        if number:  # the first round warms up
            times["mcore"].append(seen["ms"])
            times["bare torch"].append(by_hand)
    found = {side: statistics.median(values) for side, values in times.items()}
    return rows(f"{steps} steps of ResNet-18 and FPN", found, against="bare torch", goal="1.03")


def _memory(steps: int) -> list[dict[str, Any]]:
    found = {
        "mcore": in_fresh_process(OURS.format(steps=steps, given={}), MCORE_BACKEND="torch")["megabytes"],
        "bare torch": in_fresh_process(BARE.format(steps=steps), MCORE_BACKEND="torch")["megabytes"],
    }
    table = rows("peak memory of the same", found, against="bare torch", goal="1.0")
    return [{**row, "megabytes": row.pop("ms")} for row in table]


def _savings(steps: int) -> list[dict[str, Any]]:
    """What each key of the configuration costs in time and saves in memory."""
    keys: dict[str, dict[str, Any]] = {
        "plain": {},
        "accumulate: 4": {"accumulate": 4},
        "precision: bf16": {"precision": "bf16"},
        "recompute: stages": {"recompute": ["backbone.layer*", "neck"]},
        "channels_last": {"channels_last": True},
    }
    seen = {
        name: in_fresh_process(OURS.format(steps=steps, given=given), MCORE_BACKEND="torch")
        for name, given in keys.items()
    }
    times = rows("time by key", {name: one["ms"] for name, one in seen.items()}, against="plain", goal="-")
    room = rows("memory by key", {name: one["megabytes"] for name, one in seen.items()}, against="plain", goal="-")
    return times + [{**row, "megabytes": row.pop("ms")} for row in room]


__all__ = ["run"]
