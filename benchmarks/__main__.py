"""`python -m benchmarks [--quick] [--only NAME] [--json FILE]`: every question, a table and a JSON file."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys

QUESTIONS = (
    "exporting", "calling", "zoo", "plain", "microscopy", "tiles", "starting", "spinning", "table",
    "checkpoints_speed",
    "checkpoints_search", "training", "autoencoder",
)  # fmt: skip
COLUMNS = ("question", "side", "ms", "megabytes", "ratio", "nodes", "over_ms", "goal")


def main() -> int:
    """Runs the questions asked for and prints what was seen."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs, not to compare")
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="one question (may be repeated)")
    parser.add_argument("--json", default="benchmarks/results/latest.json", help="where the figures go")
    options = parser.parse_args()
    # One thread for both sides, set before torch or the runtime start theirs.
    os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MCORE_BACKEND": "torch"})
    found = []
    for name in options.only or QUESTIONS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found += importlib.import_module(f"benchmarks.{name}").run(quick=options.quick)
    os.makedirs(os.path.dirname(options.json) or ".", exist_ok=True)
    with open(options.json, "w") as file:
        json.dump(found, file, indent=1)
    widths = [max(len(c), *(len(str(row.get(c, ""))) for row in found)) for c in COLUMNS]
    for row in [dict(zip(COLUMNS, COLUMNS, strict=True)), *found]:
        print("  ".join(str(row.get(c, "")).ljust(w) for c, w in zip(COLUMNS, widths, strict=True)).rstrip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
