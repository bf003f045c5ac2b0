"""Searching 10^4, 10^5 and 10^6 checkpoints: rows put straight into an index, questions as people ask them."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZES = (10_000, 100_000, 1_000_000)
TOGETHER = 20_000
QUESTIONS = {
    "task, backbone, metric, tag": (
        'task = "segmentation" and backbone = "net7" and metrics.miou > 0.7 and tags in ("em")',
        "-metrics.miou",
    ),
    "metric of all": ("metrics.miou > 0.5", "-metrics.miou"),
    "frequent ones only": ('task = "segmentation" and not "em" in tags', ()),
    "either": ('(backbone = "net7" or backbone = "net8") and metrics.val.loss < 0.2', "metrics.val.loss"),
    "a fact": ("facts.mean_size > 99.9", ()),
    "a pattern": ('network ~ "name1*" and metrics.miou > 0.9', ()),
    "an address": ('address = "networks/segmentation/name42"', "-version"),
    "nothing": ('backbone = "net7" and author = "nobody"', ()),
}


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table: medians of a question with `limit=20`, and how long the index takes to be made and opened."""
    out = []
    for size in SIZES[:1] if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            out += _of_size(size, Path(folder), rounds=3 if quick else 20)
    return out


def _of_size(size: int, folder: Path, *, rounds: int) -> Iterator[dict[str, Any]]:
    from mcore.checkpoint.ids import first_id
    from mcore.checkpoint.search import query
    from mcore.checkpoint.search.index import Index
    from mcore.checkpoint.store.folder import Folder

    store, url = Folder(folder / "repository"), f"sqlite:///{folder / 'index'}"
    start = time.perf_counter()
    filled(Index(url, store, first_id(0)), size)
    yield _row(f"{size} checkpoints: rows into an index", 1e3 * (time.perf_counter() - start))
    file = next(folder.glob("*.sqlite"))
    yield {**_row(f"{size} checkpoints: its file", 0), "ms": "", "megabytes": round(os.stat(file).st_size / 1e6, 1)}
    index = Index(url, store, first_id(0))
    start = time.perf_counter()
    index.search(limit=1)
    yield _row(f"{size} checkpoints: opened, and hashed whole", 1e3 * (time.perf_counter() - start))
    for name, (text, order) in QUESTIONS.items():
        found = [_timed(lambda: index.search(query.parse(text), order, 20)) for _ in range(rounds)]  # noqa: B023
        yield _row(f"{size} checkpoints: {name}", statistics.median(found), "20" if size <= 10_000 else "100")


def filled(index: Any, size: int) -> None:
    """An index of `size` checkpoints without a store: that of a project with many runs of few networks."""
    import sqlalchemy as sa

    from mcore.checkpoint.search import schema

    # What a search finds lies in no store, which nobody asks here: searching reads the index alone.
    with index._place.writing(anew=True) as connection:
        for start in range(0, size, TOGETHER):
            tables = _rows(start, min(size, start + TOGETHER))
            for name, rows in tables.items():
                connection.execute(sa.insert(schema.TABLES[name]), rows)


def _rows(start: int, end: int) -> dict[str, list[dict[str, Any]]]:
    from mcore.checkpoint.ids import first_id

    tables: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("checkpoint", "component", "metric", "tag", "fact")
    }
    for n in range(start, end):
        r = random.Random(n)
        task, network = r.choice(("segmentation", "detection", "depth", "any")), f"name{r.randrange(200)}"
        tables["checkpoint"].append(
            {
                **{"n": n, "id": first_id(1_764_000_000_000 + n * 1000), "deleted": False, "kind": "network"},
                **{"task": task, "network": network, "address": f"networks/{task}/{network}", "version": float(n)},
                **{"author": f"author{r.randrange(30)}", "created": "2026-11-28T17:00:00.000000"},
                **{
                    "parameters": r.random() * 1e8,
                    "has_nan": False,
                    "training": False,
                    "notes": "a note of some words",
                },
            }
        )
        tables["component"] += [
            {"n": n, "role": "backbone", "type": f"net{r.randrange(50)}", "num_classes": None, "task": None},
            {"n": n, "role": "head", "type": "Segmentation", "num_classes": float(r.randrange(2, 30)), "task": task},
        ]
        tables["metric"] += [
            {"n": n, "key": "miou", "value": r.random()},
            {"n": n, "key": "val.loss", "value": r.random()},
        ]
        tables["tag"] += [{"n": n, "key": key, "value": ""} for key in r.sample(("em", "mri", "best", "old"), 2)]
        tables["fact"] += [
            {"n": n, "key": "facts.mean_size", "number": r.random() * 100},
            {"n": n, "key": "optimiser.lr", "number": r.choice((0.1, 0.01, 0.001))},
        ]
    return tables


def _timed(ask: Any) -> float:
    start = time.perf_counter()
    ask()
    return 1e3 * (time.perf_counter() - start)


def _row(question: str, ms: float, goal: str = "") -> dict[str, Any]:
    return {"question": question, "side": "index", "ms": round(ms, 2), "goal": f"below {goal} ms" if goal else ""}
