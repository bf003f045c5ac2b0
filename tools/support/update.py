"""A run over the table: what changed is converted and checked again, the rest stays as it is.

Each conversion and each check is a job of a crew, in a process apart. The table is written every few seconds and at
the end, whatever ends the run, so the next one goes on where this one stopped.
"""

from __future__ import annotations

import copy
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mcore
from mcore import devices
from tools.support import extras, git, store
from tools.support import plan as plan_
from tools.support.changes import REQUEST, Changes
from tools.support.crew import Crew, Job, Outcome
from tools.support.rows import ASSEMBLY, LAYERS, Wanted, by_frequency, chosen, wanted

# Seconds between two writings of the table.
_WRITTEN_EVERY = 15.0
# Bytes that a check takes besides the network's own numbers, and how often it holds those.
_CHECK, _TIMES = 700 << 20, 3
_UNKNOWN = 2 << 30
KEEP = ("all", "failed", "none")


@dataclass(frozen=True)
class Options:
    """What a run shall do.

    Attributes:
        out: the table's folder; artifacts stand in its folder "artifacts".
        everything: rows whose code hasn't changed as well.
        only: patterns of names.
        exclusions: the excluded names alone.
        devices: names; None for all that there are.
        since: rows whose code was another at this commit, changed since the last run or not.
        plan: priority, exclusions and excused cells.
        jobs: processes at a time; None for the number of processors.
        memory: bytes that they may need; None for half of what is available.
        timeout: seconds after which a conversion or a check is stopped.
        slow: seconds that a data set may take.
        keep: artifacts that stay: "all", those of rows that have "failed" somewhere, "none".
        wait: for another run on the same table to end.
    """

    out: Path
    everything: bool = False
    only: Sequence[str] = ()
    exclusions: bool = False
    devices: Sequence[str] | None = None
    since: str | None = None
    plan: Path = plan_.PLACE
    plugins: Sequence[str] = ()
    jobs: int | None = None
    memory: int | None = None
    timeout: float = 600.0
    slow: float = 30.0
    keep: str = "all"
    wait: bool = False
    progress: bool = True


@dataclass
class Summary:
    """What a run did: rows that were made, cells that were checked, and what there is to say."""

    rows: int = 0
    made: list[str] = field(default_factory=list)
    checked: int = 0
    # Rows that were made again and gave the very same artifact: what devices said of it holds.
    same: int = 0
    notes: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


def update(options: Options) -> Summary:
    """Brings the table in `options.out` up to date.

    Raises:
        BusyError: another run is writing there.
        ConfigError: mistakes in the plan.
        LookupError: an unknown device, name or commit.
        StorageError: the folder can't be written.
    """
    plan = plan_.read(options.plan)
    found = _devices(options.devices)
    everything = wanted(plan)
    excluded = wanted(plan, excluded=True)
    these, others = (excluded, everything) if options.exclusions else (everything, excluded)
    rows = chosen(these, options.only, others)
    with store.locked(options.out, wait=options.wait):
        return _Run(options, plan, found, everything).over(rows)


def _devices(names: Sequence[str] | None) -> dict[str, devices.Device]:
    """The devices that shall be tried, by name.

    Raises:
        UnknownDevice: there is none of a name.
    """
    return devices.devices() if names is None else {name: devices.find(name) for name in names}


class _Run:
    """One run, while it has the lock."""

    def __init__(
        self, options: Options, plan: plan_.Plan, found: Mapping[str, devices.Device], everything: Sequence[Wanted]
    ) -> None:
        self.options, self.plan, self.devices = options, plan, found
        self.table, self.known, notes = store.read(options.out, aside=True)
        self.summary = Summary(notes=notes)
        excluded = wanted(plan, excluded=True)
        self.wanted = {row.key: row for row in [*everything, *excluded]}
        self.changes = Changes(self.wanted.values(), self.known)
        self.rows = {f"{row['kind']}/{row['name']}": row for row in self.table["rows"]}
        self.made: dict[str, dict[str, Any]] = {}
        # Rows that were made, and some of whose checks are still going on, with their number.
        self.pending: dict[str, dict[str, Any]] = {}
        self.left: Counter[str] = Counter()
        # Rows whose artifacts are there, and turn out not to be whole.
        self.damaged: set[str] = set()
        self.artifacts = options.out / "artifacts"
        self.folder = Path(mcore.__file__).parent
        self.commit = git.head(self.folder)
        self.asked = {name: devices.ask(device) for name, device in found.items()}
        self.written_at = time.monotonic()

    def over(self, rows: Sequence[Wanted]) -> Summary:
        """Makes and checks what is to be, writes the table, and tells what was done."""
        before = copy.deepcopy(self.table)
        self._unmark()
        self._drop()
        why = self._why(rows)
        try:
            self._work([row for row in rows if row.key in why or self._unchecked(row)], why)
        finally:
            # Also after Ctrl-C: what was done stays done, and the next run goes on from here.
            self._finish(before)
        self.summary.rows = len(self.rows)
        return self.summary

    # --- what is to be done

    def _why(self, rows: Sequence[Wanted]) -> dict[str, list[str]]:
        """Why each row that must be made again must be."""
        options = self.options
        since = self.changes.changed_since(options.since, self.folder) if options.since else set()
        found = {}
        for row in rows:
            path = self.changes.why(row, self.rows.get(row.key))
            if options.everything or row.key in since:
                path = path or ["asked for"]
            if path:
                found[row.key] = path
        return found

    def _unchecked(self, row: Wanted) -> list[str]:
        """Devices that are here, and haven't been tried on a row as it is, in the version that they have now."""
        found = self.rows[row.key]
        if found["error"]:
            return []
        return [
            name
            for name in self.devices
            if self.asked[name].available and not self._holds(found["cells"].get(name), name)
        ]

    def _holds(self, cell: Mapping[str, Any] | None, name: str) -> bool:
        if cell is None or cell["status"] in ("not tested", "stale"):
            return False
        return cell["version"] == self.asked[name].version

    def _drop(self) -> None:
        """Rows whose names aren't public any more, or are excluded now."""
        gone = []
        for key, row in [*self.rows.items()]:
            now = self.wanted.get(key)
            if now is None or (now.excluded and not row["excluded"]):
                del self.rows[key]
                gone.append(key)
        if gone:
            self.summary.notes.append(
                f"{len(gone)} rows went, being excluded, or public no more: {', '.join(gone[:8])}"
                f"{', ...' if len(gone) > 8 else ''}; parts of other packages need their --plugin, in each run."
            )
        # Artifacts that were kept stay: somebody may use them.

    # --- doing it

    def _work(self, rows: Sequence[Wanted], why: Mapping[str, list[str]]) -> None:
        if not rows:
            return
        self.changes.begin()
        from tools.support import folder

        options, bar = self.options, _bar(len(rows), shown=self.options.progress)
        try:
            with bar, Crew(options.jobs, options.memory, modules=tuple(options.plugins)) as crew:
                # Which blocks most architectures have is known when these are made.
                for batch in (
                    lambda: [row for row in rows if row.kind not in LAYERS],
                    lambda: by_frequency(rows, self.rows.values()),
                ):
                    for row in batch():
                        self._begin(crew, row, again=row.key in why)
                    for outcome in crew.outcomes():
                        self._heard(crew, outcome, why, bar)
                        if time.monotonic() - self.written_at > _WRITTEN_EVERY:
                            self._write()
        finally:
            # Whoever was killed, with the crew or alone, left half a folder beside its own.
            folder.clean_within(self.artifacts)

    def _begin(self, crew: Crew, row: Wanted, *, again: bool) -> None:
        """Asks for the artifact of a row; where it is there and is that of today, for its checks."""
        found = self.rows.get(row.key)
        if again or found is None or not (self.artifacts / found["folder"]).is_dir():
            crew.add(self._conversion(row))
            return
        self.pending[row.key] = copy.deepcopy(found)
        for name in self._unchecked(row):
            self.left[row.key] += 1
            crew.add(self._check(found, row.key, name))

    def _conversion(self, row: Wanted) -> Job:
        from tools.support import making

        held = (self.rows.get(row.key) or {}).get("parameters")
        memory = _UNKNOWN if held is None else making.memory(4 * held)
        target = making.target_of(row)
        return Job(row.key, making.make, (target, str(self.artifacts)), memory, self.options.timeout)

    def _check(self, row: Mapping[str, Any], key: str, device: str) -> Job:
        from tools.support import making

        memory = _CHECK + _TIMES * 4 * row["parameters"]
        arguments = (str(self.artifacts / row["folder"]), device, self.options.slow)
        return Job(f"{key} on {device}", making.check, arguments, memory, self.options.timeout)

    # --- what came of it

    def _heard(self, crew: Crew, outcome: Outcome, why: Mapping[str, list[str]], bar: Any) -> None:
        key, on, device = outcome.job.name.partition(" on ")
        bar.set_postfix_str(outcome.job.name, refresh=False)
        if on:
            self._checked(key, device, outcome)
        else:
            self._converted(crew, self.wanted[key], outcome, why.get(key))
        if self.left[key]:
            return
        if key in self.damaged:
            self.damaged.discard(key)
            del self.pending[key]
            crew.add(self._conversion(self.wanted[key]), first=True)
            return
        self._done(key)
        bar.update()

    def _converted(self, crew: Crew, row: Wanted, outcome: Outcome, why: list[str] | None) -> None:
        """Enters what was made, and asks for the checks that it needs."""
        old, said = self.rows.get(row.key), outcome.value or {}
        new = self._row(row, old, said, outcome.error)
        self.made[row.key] = {"roots": said.get("roots", []), "made_of": said.get("made_of"), "state": "now"}
        self._enter_code(row, new, old, why)
        self.pending[row.key] = new
        if why:
            self.summary.made.append(f"{row.key}: {' -> '.join(why)}")
        if outcome.error:
            return
        same = bool(old) and not self.options.everything and old["fingerprint"] == new["fingerprint"]  # type: ignore[index]
        self.summary.same += same and bool(why)
        for name in self.devices:
            before = (old or {}).get("cells", {}).get(name)
            if same and before and self._holds(before, name):
                new["cells"][name] = before
            elif self.asked[name].available:
                self.left[row.key] += 1
                crew.add(self._check(new, row.key, name), first=True)
            else:
                new["cells"][name] = _absent(before, self.asked[name].reason, same=same)
        for name, before in (old or {}).get("cells", {}).items():
            if name not in self.devices:
                new["cells"][name] = before if same else _absent(before, "the device wasn't asked for", same=False)

    def _row(self, row: Wanted, old: Mapping[str, Any] | None, said: Mapping[str, Any], error: str) -> dict[str, Any]:
        """The table's row of what was made, or of what it failed with."""
        facts: dict[str, Any] = {
            "folder": "",
            "sizes": [],
            "layers": {},
            "parameters": None,
            "multiply_adds": None,
            "fingerprint": "",
        }
        return {
            "kind": row.kind,
            "name": row.name,
            "parts": dict(row.parts),
            "arguments": said.get("arguments", {}),
            **{key: said.get(key, value) for key, value in facts.items()},
            "request": row.request,
            "error": error,
            "excluded": row.excluded,
            "excused": self._excused(row.kind, row.name),
            "cells": {},
        }

    def _enter_code(
        self, row: Wanted, new: dict[str, Any], old: Mapping[str, Any] | None, why: list[str] | None
    ) -> None:
        """The hash of what the row is made of now, and when and where it has changed."""
        tree, made = self.changes.code.tree, self.made[row.key]
        made_of = None if made["made_of"] is None else frozenset(made["made_of"])
        new["code"] = self.changes.hash_made({*row.roots(tree), *made["roots"]}, made_of)
        if not new["code"]:
            self.summary.notes.append(f"{row.key}: its code was edited while it was made; the next run makes it again.")
        new["own"] = self.changes.code.own_hash_of({*row.roots(tree), *made["roots"]}, made_of)
        if old and (old["own"], old["request"]) == (new["own"], new["request"]):
            # Made again for another exporter, or to look: the row itself hasn't changed.
            new["changed"] = old["changed"]
            return
        steps = why if why and old and why != [REQUEST] else row.roots(tree)
        files = tree.names.files(steps[-1:] if old else steps)
        date, commit = git.last_change(files)
        new["changed"] = {"date": date, "commit": commit, "why": why or []}

    def _checked(self, key: str, device: str, outcome: Outcome) -> None:
        self.left[key] -= 1
        if outcome.kind == "raised" and key not in self.made:
            # What a device does wrong is a cell: here, the artifact of an earlier run is at fault.
            self.damaged.add(key)
            return
        self.summary.checked += 1
        cell = outcome.value
        if cell is None:
            # It took its process with it, or its time was over.
            cell = {"status": "failed", "detail": outcome.error, "sizes": [], "peak_bytes": None,
                    "version": self.asked[device].version}  # fmt: skip
        cell |= {"date": git.now(), "commit": self.commit}
        row = self.pending[key]
        row["cells"][device] = cell
        self.summary.statuses[cell["status"]] += 1
        if cell["status"] == "ok":
            from tools.support import making

            making.record(self.artifacts / row["folder"], device, cell["version"])

    def _done(self, key: str) -> None:
        """A row whose cells are all there: its artifact goes, unless it shall stay."""
        row = self.rows[key] = self.pending.pop(key)
        keep = self.options.keep
        wrong = any(cell["status"] not in ("ok", "not tested") for cell in row["cells"].values())
        if row["folder"] and (keep == "none" or (keep == "failed" and not wrong)):
            shutil.rmtree(self.artifacts / row["folder"], ignore_errors=True)

    # --- writing

    def _unmark(self) -> None:
        """Cells that were shown as stale tell again what was found."""
        for row in self.rows.values():
            for cell in row["cells"].values():
                if "was" in cell:
                    cell["status"], cell["detail"] = cell.pop("was")

    def _mark(self) -> None:
        """Cells of rows whose code has changed since show that they are stale."""
        for key, row in self.rows.items():
            path = self.changes.why(self.wanted[key], row) if key not in self.made or not row["code"] else []
            for cell in row["cells"].values() if path else ():
                if cell["status"] not in ("not tested", "stale"):
                    cell["was"] = [cell["status"], cell["detail"]]
                    cell["status"], cell["detail"] = "stale", f"was {cell['status']}; changed: {' -> '.join(path)}"

    def _write(self) -> None:
        self.table["rows"] = [*self.rows.values()]
        made = {key: made for key, made in self.made.items() if key not in self.pending}
        store.write(self.options.out, self.table, self.changes.written(self.table, made))
        self.written_at = time.monotonic()

    def _finish(self, before: Mapping[str, Any]) -> None:
        """Writes the table and its pages, if anything is another than it was."""
        for key in self.pending:
            # Not whole: what was known of it before stands.
            self.made.pop(key, None)
        self.pending.clear()
        self._mark()
        for key, row in self.rows.items():
            # What the plan says of it now, made again or not.
            row["excluded"] = self.wanted[key].excluded
            row["excused"] = self._excused(row["kind"], row["name"])
            for name in self.devices:
                if not self.asked[name].available and not row["error"]:
                    row["cells"].setdefault(name, _absent(None, self.asked[name].reason, same=False))
        self.table["rows"] = store.in_order(self.rows.values())
        self.table["excluded"] = [
            {"kind": kind, "name": name, "reason": reason}
            for kind, names in self.plan.exclusions.items()
            for name, reason in names.items()
        ]
        self.table["devices"] = self._told_devices()
        said = ("rows", "excluded", "devices")
        if all(self.table[key] == before[key] for key in said) and (self.options.out / "index.html").is_file():
            if not self.changes.untouched:
                self._write()  # the files have changed, and nothing in them that counts
            return
        self.table |= {"date": git.now(), "commit": self.commit, "version": mcore.__version__,
                       "engine": mcore.backend(), "machine": store.machine()}  # fmt: skip
        self._write()
        from tools.support import pages

        pages.write(self.table, self.options.out)

    def _excused(self, kind: str, name: str) -> dict[str, str]:
        return dict(self.plan.cells.get(kind, {}).get(name, {}))

    def _told_devices(self) -> list[dict[str, Any]]:
        """Those of this run, and those of earlier ones."""
        told = [
            {"name": name, "title": device.title, **self.asked[name]._asdict()} for name, device in self.devices.items()
        ]
        return [*told, *(device for device in self.table["devices"] if device["name"] not in self.devices)]


def _absent(before: Mapping[str, Any] | None, reason: str, *, same: bool) -> dict[str, Any]:
    """The cell of a device that isn't here: what it said of other code doesn't hold."""
    if before and not same and before["status"] not in ("not tested", "stale"):
        said = f"was {before['status']}; the code has changed since; {reason}"
        return {**before, "status": "stale", "detail": said, "before": before["status"]}
    if before:
        return dict(before)
    return {"status": "not tested", "detail": reason, "sizes": [], "peak_bytes": None, "version": "", "date": "",
            "commit": None}  # fmt: skip


def _bar(rows: int, *, shown: bool) -> Any:
    # None: only where somebody watches a terminal.
    return extras.needed("tqdm").tqdm(total=rows, unit="row", disable=None if shown else True, dynamic_ncols=True)


def told(summary: Summary) -> Iterator[str]:
    """A run in a few lines."""
    yield from summary.notes
    shown = summary.made[:20]
    yield from (f"made again: {line}" for line in shown)
    if len(summary.made) > len(shown):
        yield f"and {len(summary.made) - len(shown)} more"
    found = ", ".join(f"{count} {status}" for status, count in summary.statuses.most_common())
    yield (
        f"{summary.rows} rows, {len(summary.made)} made again"
        + (f" ({summary.same} of them gave the same artifact)" if summary.same else "")
        + f", {summary.checked} cells checked"
        + (f": {found}" if found else "")
    )


__all__ = ["ASSEMBLY", "KEEP", "Options", "Summary", "told", "update"]
