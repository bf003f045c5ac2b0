"""The folder of a target: its artifact, and `history.json`, which tells what it was made of and where it has passed.

It is written all or nothing, by one process at a time; what stands there is replaced where it is this target's own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import mcore
from mcore.exchange import description
from mcore.exchange.artifact import DATA, MODEL, SETS, STATE
from mcore.exchange.atomic import atomic_folder
from mcore.exchange.errors import ModelFileError, storage_error
from mcore.exchange.samples import Sample
from tools.support import git, history
from tools.support.extras import needed
from tools.support.history import HISTORY, mended
from tools.support.targets import Target

# Where files stand that say which folders are being written.
LOCKS = ".locks"
_KNOWN = re.compile(
    "|".join(map(re.escape, (MODEL, DATA, STATE, description.FILE)))
    + r"|history\.json(\.damaged-\d+)?|test_data_set_\d+(/(input|output)_\d+\.pb)?|\.history\.json\..*\.tmp"
)

# How a folder is called while it is being filled: mcore/exchange/atomic.py.
_BEGUN = re.compile(r"\.(.+)\.\d+-[0-9a-f]+\.tmp")


@dataclass(frozen=True)
class State:
    """What stands where a target belongs: nothing, itself, or something of its own that has to be made again."""

    kind: Literal["absent", "current", "stale"]
    why: str = ""


@dataclass(frozen=True)
class Made:
    """What was done to a folder; the report is that of `toplatform`, as data."""

    status: Literal["made", "updated", "current"]
    report: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)


def make(folder: Path, target: Target, *, overwrite: bool = False) -> Made:
    """Writes the artifact of a target and its history, where they aren't there as they should be.

    Another process that writes the same folder is waited for.

    Args:
        folder: named as the target, `target.name`.
        target: what shall be there.
        overwrite: also what is current is made again.

    Raises:
        FileExistsError: somebody else's files are in the way; also with `overwrite`.
        TargetError: the target can't be built.
        RuntimeError: the graph doesn't give what the network gives.
        StorageError: the folder can't be written; what was there is unchanged.
    """
    with locked(folder):
        _sweep(folder)
        state = state_of(folder, target)
        if state.kind == "current" and not overwrite:
            return Made("current", report_of(folder))
        notes = mended(folder)
        report = _write(folder, target)
        if state.kind == "absent":
            return Made("made", report, notes)
        return Made("updated", report, [*notes, *([f"made again: {state.why}"] if state.why else [])])


def state_of(folder: Path, target: Target) -> State:
    """What stands at `folder`.

    Raises:
        FileExistsError: somebody else's files.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return State("absent")
    _refuse_others(folder)
    problem = _damage(folder)
    if not (folder / HISTORY).is_file():
        if problem is None:
            raise FileExistsError(
                f"{folder} holds an artifact without {HISTORY}, which is somebody else's. Move it, or choose another "
                "folder with --out."
            )
        return State("stale", f"it was half-written: {problem}")
    try:
        told = history.read(folder)
    except ModelFileError as error:
        return State("stale", str(error))
    if told["identity"] not in (None, target.identity):
        raise FileExistsError(
            f"{folder} holds {told['name']}, another target whose hash begins alike. Choose another folder with "
            "--out for one of them."
        )
    why = problem or _spoilt(folder, told) or _changed(told, target)
    return State("stale", why) if why else State("current")


def report_of(folder: Path) -> Mapping[str, Any]:
    """What `toplatform` found out when it wrote the artifact in `folder`."""
    report = description.read(folder).get("report")
    return report if isinstance(report, dict) else {}


def record_pass(folder: Path, device: str, *, version: str, date: str | None = None) -> list[str]:
    """Notes in the history that a device gave what was expected, at this commit; what there was to say of the history.

    Args:
        folder: that of an artifact with a history; a damaged one is kept aside and begun anew.
        device: its name.
        version: of the runtime behind it.
        date: in UTC, to the second; by default it is now.

    Raises:
        FileNotFoundError: there is no history, so the artifact is none of ours.
    """
    with locked(folder):
        notes = mended(folder)
        history.write(folder, history.with_pass(history.read(folder), device, version=version, date=date))
    return notes


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds other processes off a folder; gives whether that went, which it doesn't where `wait` is false."""
    filelock = needed("filelock")
    place = folder.parent / LOCKS
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    # Files of locks stay: to remove one that another process waits at would give both the lock.
    lock = filelock.FileLock(place / f"{folder.name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        if not wait:
            yield False
            return
        print(f"{folder}: another process writes it; waiting", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield True
    finally:
        lock.release()


def clean(folder: Path) -> None:
    """Removes what a process that was killed left beside a folder, unless another writes it now."""
    with locked(folder, wait=False) as held:
        if held:
            _sweep(folder)


def clean_within(parent: Path) -> None:
    """As `clean`, for every folder in `parent` that had begun, whatever its name."""
    for name in sorted({found[1] for path in parent.glob(".*.tmp") if (found := _BEGUN.fullmatch(path.name))}):
        clean(parent / name)


def _sweep(folder: Path) -> None:
    # Whoever writes holds the lock: what is there without it is of nobody.
    prefix = f".{folder.name[:180]}."
    for path in folder.parent.glob(f"{prefix.replace('[', '[[]')}*.tmp") if folder.parent.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True)


# --- what is there


def _refuse_others(folder: Path) -> None:
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is there and is a file. Move it, or choose another folder with --out.")
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    others = sorted(path for path in paths if not _KNOWN.fullmatch(path))
    if others:
        some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        raise FileExistsError(
            f"{folder} holds other things than an artifact: {some}. Making it anew would delete them; move them, or "
            "choose another folder with --out."
        )


def _damage(folder: Path) -> str | None:
    """What is wrong with an artifact, by its own list of files; None where it is whole."""
    try:
        description.check_files(folder, description.read(folder))
    except (FileNotFoundError, ModelFileError) as error:
        return str(error).rstrip(".")
    for number in range(SETS):
        for kind in ("input", "output"):
            path = folder / f"test_data_set_{number}" / f"{kind}_0.pb"
            if not path.is_file() or not path.stat().st_size:
                return f"{path} is missing"
    return None


def _spoilt(folder: Path, told: Mapping[str, Any]) -> str | None:
    """What is wrong with the data sets, by the history's list of them; None where they are as they were written."""
    # Older histories have none; what somebody has added is no damage.
    said, now = told.get("data") or {}, _data_of(folder)
    for name in said:
        if now.get(name) != said[name]:
            return f"{folder / name} is {'damaged or edited' if name in now else 'missing'}"
    return None


def _data_of(folder: Path) -> dict[str, str]:
    """The hashes of the files of its data sets; those of the artifact stand in its description."""
    files = sorted(folder.glob("test_data_set_*/*.pb"))
    return {path.relative_to(folder).as_posix(): description.sha256(path) for path in files}


def _changed(told: Mapping[str, Any], target: Target) -> str:
    """Why an artifact isn't what is asked for now, by its history; "" where it is."""
    before = told["request"]
    if before is None:
        return "its history tells no longer what it was made of"
    differ = sorted(key for key in {*before, *target.request} if before.get(key) != target.request.get(key))
    if differ:
        return f"{', '.join(differ)} differ from what is asked for"
    code = told["code"]
    if code is None:
        return "its code can't be followed, so it may have changed"
    return "" if _code_now(code["roots"], code["made_of"]) == code["hash"] else "its code has changed"


# --- what is written


def _write(folder: Path, target: Target) -> dict[str, Any]:
    from tools.support.building import build, inputs_of

    net = build(target)
    inputs = inputs_of(target, net)
    with atomic_folder(folder, overwrite=True, replaceable=_is_ours) as beside:
        whole = beside / "artifact"
        made = mcore.toplatform(net, whole, inputs=inputs, **({} if target.opset is None else {"opset": target.opset}))
        for path in whole.iterdir():
            path.rename(beside / path.name)
        whole.rmdir()
        for path in folder.glob(f"{HISTORY}.damaged-*"):
            shutil.copy2(path, beside)
        told = _history(folder, target, net, made.description) | {"data": _data_of(beside)}
        told["network"] = _facts(net, made.samples)
        history.write(beside, told, atomic=False)
    return made.report.as_dict()


def _facts(net: Any, samples: Sequence[Sample]) -> dict[str, Any]:
    """What the support table tells of the network."""
    from tools.support.facts import facts_of

    shapes = [[[*map(int, array.shape)] for array in sample.inputs] for sample in samples]
    return {**facts_of(net, samples[0].inputs), "sizes": shapes}


def _history(folder: Path, target: Target, net: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    """The history of what is made now, with what an older one has to tell."""
    made = {**history.origin(), "date": git.now()}
    try:
        before = history.read(folder)
    except FileNotFoundError:
        before = {"created": made, "passed": {}}
    return {
        "format": history.FORMAT,
        "name": folder.name,
        "identity": target.identity,
        "request": target.request,
        "created": before["created"],
        "updated": made,
        "code_hash": said["code_hash"],
        "code": _code_of(net),
        "weights": target.request["weights"],
        "passed": before["passed"],
    }


def _is_ours(folder: Path) -> bool:
    try:
        _refuse_others(folder)
    except FileExistsError:
        return False
    return True


# --- code


def _code_of(net: Any) -> dict[str, Any] | None:
    """What tells later whether the code of a network has changed; None where not all of it can be read,
    or some was edited after this process had imported it.
    """
    from mcore.exchange.code_hash import name_of, parts_of, roots_of, tree_of

    kinds = {type(module) for module in net.modules()}
    tree, roots = tree_of(kinds), roots_of(net)
    if _edited(tree.names.modules()):
        return None
    own = {name_of(kind, tree) for kind in kinds if kind.__module__.partition(".")[0] not in ("mcore", "torch")}
    if not own <= {*roots}:
        return None
    made_of = sorted(parts_of(net))
    return {"hash": _code_now(roots, made_of), "roots": roots, "made_of": made_of}


# When each module's file was last changed, as it was first seen here.
_first: dict[str, int] = {}


def _edited(modules: Iterable[str]) -> bool:
    """Whether a module's file has changed since this process first saw it: what it imported then is older."""
    from mcore.exchange.code_sources import locate

    changed = False
    for module in modules:
        path = locate(module)
        if module in sys.modules and path is not None and path.is_file():
            moment = path.stat().st_mtime_ns
            changed |= _first.setdefault(module, moment) != moment
    return changed


def _code_now(roots: list[str], made_of: list[str]) -> str:
    packages = frozenset(root.partition(":")[0].partition(".")[0] for root in roots)
    code = _code(packages)
    if not code.tree.names.is_current():
        _code.cache_clear()
        code = _code(packages)
    return code.hash_of(roots, made_of)


@functools.cache
def _code(packages: frozenset[str]) -> Any:
    from tools.support.code import Code

    return Code(packages)


__all__ = ["LOCKS", "Made", "State", "clean", "locked", "make", "record_pass", "report_of", "state_of"]
