"""`mcore train`: trains the network of a configuration, or goes on where its training stopped."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.options import add_plugin, add_set, import_plugins, refuse_twice

EXAMPLE = """mcore train --config experiment.yaml --set train.epochs=3
  mcore train --config experiment.yaml --check
  torchrun --nproc-per-node 2 -m tools.cli train --config experiment.yaml"""
PROGRESS = ("auto", "bar", "plain", "json", "quiet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="with the sections model and train")
    add_set(parser, "an override, as train.epochs=3 or head.num_classes=5", metavar="PATH=VALUE")
    parser.add_argument("--out", metavar="FOLDER", help="of the run (runs/ and the file's name)")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--fresh", action="store_true", help="start over, where the folder holds a run to go on with")
    begin.add_argument("--check", action="store_true", help="read, build and compute one batch's loss; train nothing")
    parser.add_argument(
        "--progress",
        choices=PROGRESS,
        default="auto",
        help="auto: a bar on a terminal, lines elsewhere; json: for programs",
    )
    add_plugin(parser)


def run(arguments: argparse.Namespace) -> None:
    import_plugins(arguments.plugin)
    refuse_twice(arguments.settings)
    from mcore import training

    if arguments.check:
        print("\n".join(_found(arguments.config, training.check(arguments.config, arguments.settings))))
        return
    result = training.train(
        arguments.config,
        arguments.settings,
        out=arguments.out,
        fresh=arguments.fresh,
        progress=arguments.progress,
    )
    # Of several processes the first one tells.
    if result.report is not None:
        print("\n".join(_trained(result)))


def _found(config: str, found: Mapping[str, Any]) -> Iterator[str]:
    """What a check found."""
    samples = f"{found['samples']:,} samples, {found['validation']:,} to validate"
    yield f"{config}: fits; {samples}; {found['steps']:,} steps in {found['epochs']:,} epochs"
    parameters, trained = f"{found['parameters']:,} parameters", found["trained"]
    macs = "" if found["macs"] is None else f", {found['macs']:,} multiply-adds a sample"
    yield f"network: {parameters}" + (f", {trained:,} trained" if trained != found["parameters"] else "") + macs
    yield "batch: " + ", ".join(f"{key} {' x '.join(map(str, shape))}" for key, shape in found["shapes"].items())
    parts = ", ".join(f"{name} {value:.4g}" for name, value in found["losses"].items())
    yield f"loss before training: {found['loss']:.4g}" + (f" ({parts})" if len(found["losses"]) > 1 else "")


def _trained(result: Any) -> Iterator[str]:
    """How a training ended, and where what it made is."""
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
    yield f"{result.reason}: {metrics}" if metrics else result.reason
    yield from (str(Path(result.out) / name) for name in ("weights.safetensors", "report.html"))


__all__ = ["EXAMPLE", "add_arguments", "run"]
