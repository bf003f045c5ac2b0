"""Trains on real images, exports, and runs the same networks in a process without torch."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# This process trains, which only the torch engine does; the second one runs on the platform.
os.environ["MCORE_BACKEND"] = "torch"
# A thread that waits by spinning takes the core that the other one needs, where something else runs too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import mcore
import models
from mcore import training
from tools.demo import imports, pictures
from tools.demo.data import Data, load
from tools.demo.running import REPEATS, predict

ROOT = Path(__file__).parents[2]
EXAMPLES = ("coins", "digits")
# A few steps only.
QUICK = ["train.epochs=1", "train.batch=4", "train.data.train.count=8"]


class Result(NamedTuple):
    """What one example gave."""

    name: str
    data: Data
    parameters: int
    training: float
    exporting: float
    scores: dict[str, float]
    milliseconds: dict[str, float]
    difference: float


def main(words: Sequence[str] | None = None) -> int:
    """Runs the examples and prints the table."""
    given = _arguments(words)
    mcore.manual_seed(0)
    results = []
    for name in given.only or EXAMPLES:
        results.append(run(name, given.out / name, quick=given.quick))
    costs = {engine: imports.cost(engine, rounds=1 if given.quick else 3) for engine in ("torch", "platform")}
    print(f"\n{table(results, costs)}\n")
    for result in results:
        folder = given.out / result.name
        print(
            f"{result.name}: picture {folder}/prediction.png, report {folder}/report.html, artifact {folder}/artifact,"
        )
        print(f"{'':{len(result.name)}}  weights {folder}/weights.safetensors, checkpoints {folder}/checkpoints")
    return 0


def run(name: str, folder: Path, *, quick: bool) -> Result:
    """One example: trained, saved, exported, and evaluated on both engines."""
    file, few = ROOT / "examples" / f"{name}.yaml", QUICK if quick else []
    net, data = models.from_config(file, few), load(name)
    print(f"\n{name}: {net}")

    start = time.perf_counter()
    training.train(file, few, net=net, out=folder, fresh=True)
    trained = time.perf_counter() - start

    start = time.perf_counter()
    artifact = net.toplatform(folder / "artifact", sizes=data.sizes, overwrite=True)
    exported = time.perf_counter() - start
    print(f"exported to {artifact.path}: {artifact.report}")

    repeats = 1 if quick else REPEATS
    scores, torch_time = predict(net, data.images, repeats=repeats)
    on_platform, times = _serve(folder, data, repeats)
    pictures.prediction(folder / "prediction.png", data, on_platform["graph"], title=name)
    found = {"torch": scores, **on_platform}
    return Result(
        name,
        data,
        sum(parameter.numel() for parameter in net.parameters()),
        trained,
        exported,
        {key: data.score(value.argmax(axis=1), data.truth) for key, value in found.items()},
        {"torch": torch_time, **times},
        max(float(np.abs(value - scores).max() / np.abs(scores).max()) for value in on_platform.values()),
    )


def table(results: Sequence[Result], costs: dict[str, imports.Cost]) -> str:
    """What was measured: a column for each example, then one for each engine."""
    rows: list[Sequence[str]] = [("", *(result.name for result in results))]

    def row(title: str, tell: Any) -> None:
        rows.append((title, *map(tell, results)))

    row("held-out images", lambda r: " x ".join(map(str, r.data.images.shape)))
    row("parameters", lambda r: f"{r.parameters:,}")
    row("training", lambda r: f"{r.training:.1f} s")
    row("export, verified at three sizes", lambda r: f"{r.exporting:.2f} s")
    row("measure", lambda r: r.data.measure)
    row("  without learning", lambda r: f"{r.data.baseline:.4f} ({r.data.baseline_name})")
    for key, title in KINDS.items():
        row(f"  {title}", lambda r, key=key: f"{r.scores[key]:.4f}")
    row("largest difference to torch", lambda r: f"{r.difference:.1e} of the largest score")
    row("time per image, one thread", lambda r: "")
    for key, title in KINDS.items():
        row(f"  {title}", lambda r, key=key: f"{r.milliseconds[key]:.2f} ms")
    engines = [("to import mcore and models", *costs)]
    engines.append(("  time", *(f"{cost.seconds:.2f} s" for cost in costs.values())))
    engines.append(("  installed packages", *(f"{cost.room:,.0f} MB" for cost in costs.values())))
    engines.append(("  memory", *(f"{cost.memory:,.0f} MB" for cost in costs.values())))
    return f"{_aligned(rows)}\n\n{_aligned(engines)}"


KINDS = {"torch": "torch", "source": "platform, the same source", "graph": "platform, the exported graph"}


def _serve(folder: Path, data: Data, repeats: int) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Scores and times of the second process.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    np.save(folder / "held_out.npy", data.images)
    environment = os.environ | {"MCORE_BACKEND": "platform", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tools.demo.serve", str(folder), str(repeats)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"The process without torch failed:\n{done.stderr}")
    told = json.loads((folder / "platform.json").read_text())
    if told["torch"] or told["engine"] != "platform":
        raise RuntimeError(f"The second process was to run without torch on the platform, but says {told}.")
    print(f"evaluated without torch, on the {told['engine']}")
    with np.load(folder / "platform.npz") as scores:
        return dict(scores), told["milliseconds"]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo", description=__doc__, epilog="example: python -m tools.demo --only coins"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that all works")
    parser.add_argument("--only", action="append", choices=EXAMPLES, help="one example; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="the folder to write to")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
