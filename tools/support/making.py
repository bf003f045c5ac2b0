"""The jobs of the table, as they are done in processes apart: a row's artifact, and a check of it on a device."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tools.support import building, folder, history
from tools.support.rows import ASSEMBLY, Wanted
from tools.support.targets import Target, canonical

# What says when and where an artifact was made, and not what it is.
_TOLD = ("model.json", history.HISTORY)
memory = building.memory


def target_of(row: Wanted) -> Target:
    """What is converted for a row."""
    if row.kind == ASSEMBLY:
        return Target.assembly(row.given["backbone"], row.given.get("neck"), row.given.get("head"))
    return Target.part(row.kind, row.name)


def make(target: Target, out: str) -> dict[str, Any]:
    """Makes the artifact of a row in the folder `out`, and tells what the table says of it.

    Raises:
        FileExistsError: somebody else's files are in the way.
        TargetError: the network can't be built.
        RuntimeError: the graph doesn't give what the network gives.
        StorageError: the folder can't be written.
    """
    place = Path(out) / target.name
    folder.make(place, target)
    told = history.read(place)
    code = told["code"] or {}
    return {
        "arguments": arguments_of(target),
        **told["network"],
        "folder": target.name,
        "fingerprint": _fingerprint(place),
        "roots": code.get("roots", []),
        "made_of": code.get("made_of"),
    }


def arguments_of(target: Target) -> dict[str, Any]:
    """What the row's constructors were given, as plain data; of an assembly, by part."""
    if target.single is None:
        return json.loads(canonical(target.model))
    from models.examples.arguments import arguments

    return json.loads(canonical(arguments(*target.single)))


def check(place: str, device: str, slow: float) -> dict[str, Any]:
    """The cell of an artifact on a device: see `mcore.devices.check`."""
    from mcore import devices

    return devices.check(Path(place), devices.find(device), slow=slow)


def record(place: Path, device: str, version: str) -> None:
    """Notes in an artifact's history that a device gave what was expected."""
    folder.record_pass(place, device, version=version)


def _fingerprint(place: Path) -> str:
    """A digest of the graph, its weights and the data sets: equal ones are one artifact, made twice."""
    digest = hashlib.sha256()
    for file in sorted(place.rglob("*")):
        if file.is_file() and not file.name.startswith(_TOLD):
            digest.update(file.relative_to(place).as_posix().encode())
            with open(file, "rb") as data:
                digest.update(hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()[:16]


__all__ = ["check", "make", "memory", "record", "target_of"]
