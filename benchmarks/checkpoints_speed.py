"""Checkpoints: saving and loading 100 MB against torch and safetensors alone, and parts of 200 MB against the whole.

Ours hashes every byte and waits for the disk, which the others do not. What is replaced is removed by all sides, so
each pays for it.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import alternately, in_fresh_process, rows

MB = 1_000_000
# Megabytes of the parts of a network.
PARTS = {"backbone": 160, "neck": 32, "head": 8}
GOAL = "1.25 (0.8 of its speed)"
OPENED = """
import concurrent.futures.thread
from mcore.checkpoint.store import blobs
from mcore.checkpoint.store.opening import open_store
from mcore.checkpoint.records import Blob
store = open_store({place!r})
"""
LOADED = """
import re
{before}
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e6
open("/proc/self/clear_refs", "w").write("5")
before = peak()
{code}
result = {{"ms": 0, "extra_mb": peak() - before}}
"""


def run(*, quick: bool = False) -> list[dict[str, Any]]:
    """Rows of the table."""
    rounds = 3 if quick else 15
    with tempfile.TemporaryDirectory() as place:
        return [*_whole(Path(place), rounds), *_networks(Path(place), rounds), *_parts(Path(place), rounds)]


def _arrays(megabytes: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights like those of a ResNet: a few large arrays and many small ones."""
    random = np.random.default_rng(seed)
    large = {f"layer{n}.weight": random.random((megabytes * MB // 32, 1), dtype=np.float32) for n in range(8)}
    return large | {f"layer{n}.bias": random.random(256, dtype=np.float32) for n in range(200)}


def _whole(place: Path, rounds: int) -> list[dict[str, Any]]:
    import safetensors.numpy
    import torch

    from mcore.checkpoint.store import blobs
    from mcore.checkpoint.store.base import blob_key
    from mcore.checkpoint.store.opening import open_store

    arrays = _arrays(100)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    store, saved = open_store(place / "repository"), []
    alone, theirs = str(place / "alone.safetensors"), str(place / "torch.pt")

    def ours() -> None:
        arrays["layer0.bias"][0] += 1  # other content, as every checkpoint has
        saved.append(blobs.write(store, arrays))
        for old in saved[:-1]:
            store.delete(blob_key(old.sha256))
        del saved[:-1]

    sides: dict[str, Callable[[], Any]] = {
        "mcore": ours,
        "safetensors": lambda: safetensors.numpy.save_file(arrays, alone),
        "torch.save": lambda: torch.save(tensors, theirs),
    }
    out = rows("save 100 MB", alternately(sides, rounds=rounds), against="safetensors", goal=GOAL)
    sides = {
        "mcore": lambda: blobs.read(store, saved[0], "mcore"),
        "safetensors": lambda: safetensors.numpy.load_file(alone),
        "torch.load": lambda: torch.load(theirs, weights_only=True),
    }
    out += rows("load 100 MB", alternately(sides, rounds=rounds), against="safetensors", goal=GOAL)
    return out + _memory(place, saved[0], alone, theirs)


def _memory(place: Path, blob: Any, alone: str, theirs: str) -> list[dict[str, Any]]:
    """What loading takes beyond what the process had, in megabytes."""
    ours = OPENED.format(place=str(place / "repository"))
    sides = {
        "mcore": (ours, f"kept = blobs.read(store, Blob(sha256={blob.sha256!r}, size={blob.size}), 'mcore')"),
        "safetensors": ("import safetensors.numpy", f"kept = safetensors.numpy.load_file({alone!r})"),
        "torch.load": ("import torch", f"kept = torch.load({theirs!r}, weights_only=True)"),
    }
    found = {
        name: in_fresh_process(LOADED.format(before=before, code=code), MCORE_BACKEND="platform")["extra_mb"]
        for name, (before, code) in sides.items()
    }
    table = rows("peak memory of loading 100 MB", found, against="safetensors", goal="100 MB, no second copy")
    return [{**row, "megabytes": row.pop("ms")} for row in table]


def _networks(place: Path, rounds: int) -> list[dict[str, Any]]:
    """A whole network, with its record: ResNet-50 has 102 MB."""
    import torch

    import models
    from mcore.checkpoint.repository import Repository

    net = models.create("resnet50", num_classes=1000)
    repo, theirs, ids = Repository(place / "networks"), str(place / "network.pt"), []

    def load() -> Any:
        fresh = models.create("resnet50", num_classes=1000)
        fresh.load_state_dict(torch.load(theirs, weights_only=True))
        return fresh

    def save() -> None:
        with torch.no_grad():
            next(net.parameters()).view(-1)[0] += 1
        ids.append(repo.save(net, task="classification"))

    sides: dict[str, Callable[[], Any]] = {"mcore": save, "torch.save": lambda: torch.save(net.state_dict(), theirs)}
    out = rows("repo.save of ResNet-50", alternately(sides, rounds=rounds), against="torch.save", goal="-")
    sides = {"mcore": lambda: repo.load(ids[-1]), "build and torch.load": load}
    return out + rows(
        "repo.load of ResNet-50", alternately(sides, rounds=rounds), against="build and torch.load", goal="-"
    )


def _parts(place: Path, rounds: int) -> list[dict[str, Any]]:
    """One part of 200 MB from a disk that has to be read, and from memory."""
    from mcore.checkpoint.store import blobs
    from mcore.checkpoint.store.base import blob_key
    from mcore.checkpoint.store.opening import open_store

    store: Any = open_store(place / "parts")
    saved = {name: blobs.write(store, _arrays(size, seed)) for seed, (name, size) in enumerate(PARTS.items())}
    files = {name: store.path / blob_key(blob.sha256) for name, blob in saved.items()}

    def read(*names: str) -> None:
        for name in names:
            blobs.read(store, saved[name], name)

    def cold(work: Callable[[], Any]) -> float:
        for file in files.values():
            _forget(file)
        return alternately({"cold": work}, rounds=1, warm=0)["cold"]

    sides: dict[str, Callable[[], Any]] = {
        "the head, verified": lambda: read("head"),
        "the bare read": lambda: files["head"].read_bytes(),
        "the whole, verified": lambda: read(*PARTS),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, work in sides.items():
            times[name].append(cold(work))
    found = {name: statistics.median(seen) for name, seen in times.items()}
    out = rows("8 of 200 MB, cold", found, against="the bare read", goal="2.0 for the head")
    warm: dict[str, Callable[[], Any]] = {"the backbone": lambda: read("backbone"), "the whole": lambda: read(*PARTS)}
    return out + rows("160 of 200 MB, warm", alternately(warm, rounds=rounds), against="the whole", goal="0.8")


def _forget(file: Path) -> None:
    """Has the system drop what it keeps of a file in memory."""
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)  # only what is on the disk is dropped
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)


__all__ = ["run"]
