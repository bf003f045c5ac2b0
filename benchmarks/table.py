"""The support table where little or nothing changed, against `import torch`: a run, a run after a comment, the gate.

It works on the project's own table, in a copy of the sources, so nothing here is touched.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# A file that many rows are made of.
COMMENTED = "models/basicblocks/residual.py"
IMPORT = [sys.executable, "-c", "import torch"]


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    rounds = 2 if quick else 7
    with tempfile.TemporaryDirectory() as place:
        clone = Path(place, "clone")
        for name in ("mcore", "models", "tools", "docs/support"):
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "artifacts"))
        words = [sys.executable, "-m", "tools.cli", "table", "--out", "docs/support"]
        # What depends on this machine (which devices are here) is entered once.
        _timed(words, clone)
        sides = {"nothing changed": words, "the gate": [*words, "--check"], "import torch": IMPORT}
        found = {name: [] for name in sides}
        for _ in range(rounds):
            for name, command in sides.items():
                found[name].append(_timed(command, clone))
        after = []
        for number in range(rounds):
            file = clone / COMMENTED
            file.write_text(f"{file.read_text(encoding='utf-8')}# {number}\n", encoding="utf-8")
            after.append(_timed(words, clone))
    torch = statistics.median(found.pop("import torch"))
    return [
        _row(f"support table of {_rows()} rows: {name}", statistics.median(times), torch)
        for name, times in {**found, "a comment changed": after}.items()
    ]


def _timed(command: list[str], folder: Path) -> float:
    """Milliseconds of a whole process.

    Raises:
        RuntimeError: it made something, or failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    took = (time.perf_counter() - start) * 1e3
    if done.returncode or ("rows, " in done.stdout and " 0 made again" not in done.stdout):
        raise RuntimeError(f"{' '.join(command)} was not to make anything:\n{done.stdout}{done.stderr}")
    return took


def _rows() -> int:
    import json

    return len(json.loads((ROOT / "docs/support/table.json").read_text(encoding="utf-8"))["rows"])


def _row(question: str, ours: float, theirs: float) -> dict[str, Any]:
    return {
        "question": question,
        "side": "mcore table",
        "ms": round(ours, 1),
        "against_ms": round(theirs, 1),
        "ratio": round(ours / theirs, 3),
        "goal": "below 3,000 ms for 200 rows" if "nothing" in question else "",
    }
