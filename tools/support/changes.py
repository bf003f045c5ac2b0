"""What has changed since the table was written: files, code, requests; and why, row by row."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcore.exchange.code_sources import locate
from tools.support import git
from tools.support.code import FOLDERS, Code, Recorded, path_of, state
from tools.support.rows import Wanted

# Said instead of a path where nothing but what is asked for has changed.
REQUEST, NEW = "its arguments or sizes", "new"
# Instead of a path: what was made may be of the code as it was before, or after.
MOVED = "its code, while it was made"


class Changes:
    """Compares the code of rows with what `code.json` tells of the last run; the code is read when it must be.

    Args:
        rows: all rows that the table shall have.
        known: the parsed `code.json`.
    """

    def __init__(self, rows: Iterable[Wanted], known: Mapping[str, Any]) -> None:
        self.rows = [*rows]
        self.known = known
        self.untouched = bool(known["files"]) and known["files"] == _digests(known["files"])
        self._code: Code | None = None
        self._recorded: dict[str, Recorded] = {}
        # Digests of files as they were when this run began, and the code as it is when it is another by then.
        self._begun: dict[str, str] = {}
        self._later: Code | None = None

    @property
    def code(self) -> Code:
        """The code as it is now."""
        if self._code is None:
            self._code = Code({package for row in self.rows for package in row.packages})
        return self._code

    def begin(self) -> None:
        """Reads the code of all rows, before anything is made of it: what is edited from here on is noticed."""
        for row in self.rows:
            self._hash_in(self.code, row)
        self._begun = _digests(_modules(self.code))

    def hash_made(self, roots: Collection[str], made_of: Collection[str] | None) -> str:
        """The hash of what was made since `begin`; "" where that has been edited since, so that nobody knows which."""
        digest = self.code.hash_of(roots, made_of)
        if self.code.is_current():
            return digest
        if self._later is None or not self._later.is_current():
            self._later = Code(self.code.tree.names.packages)
        return digest if self._later.hash_of(roots, made_of) == digest else ""

    def hash_of(self, row: Wanted) -> str:
        """The hash of a row's code now: with what it was made of when it was last made."""
        said = self.known["rows"].get(row.key)
        if said and self.untouched:
            return str(said["hash"])
        return self._hash_in(self.code, row)

    def why(self, row: Wanted, found: Mapping[str, Any] | None) -> list[str]:
        """Why a row isn't what the table tells of it: the path to what changed; empty where it is.

        Args:
            row: what is wanted.
            found: the table's row, if it has one.
        """
        said = self.known["rows"].get(row.key)
        if found is None or said is None:
            return [NEW]
        if found["request"] != row.request:
            return [REQUEST]
        if not found["code"]:
            return [MOVED]
        if found["code"] == self.hash_of(row):
            return []
        path = self.path_of(row)
        return path or [f"{self.code.tree.names.definition(row.places[-1])} (its code isn't known any more)"]

    def path_of(self, row: Wanted) -> list[str]:
        """The path from a row's constructors to what has changed since it was made; empty where nothing has."""
        said = self.known["rows"].get(row.key)
        before = self._before(said["state"]) if said else None
        if said is None or before is None:
            return []
        return path_of(before, self.code, _roots(row, said, self.code), _made_of(said))

    def changed_since(self, commit: str, folder: Path) -> set[str]:
        """Keys of rows whose code was another at a commit of the repository around `folder`.

        Raises:
            LookupError: no such commit.
        """
        with git.sources_at(folder, commit) as root:
            then = Code({package for row in self.rows for package in row.packages}, root)
            return {row.key for row in self.rows if self._hash_in(then, row) != self._hash_in(self.code, row)}

    def written(self, table: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """What `code.json` shall tell after this run.

        Args:
            table: with the rows as they are now.
            made: of each row that was made, its "roots" and what it is "made_of" (None: not known).
        """
        by_key = {f"{row['kind']}/{row['name']}": row for row in table["rows"]}
        rows: dict[str, Any] = {}
        for row in self.rows:
            said = dict(made.get(row.key) or self.known["rows"].get(row.key) or {})
            if said and row.key in by_key:
                said["hash"] = by_key[row.key]["code"]
                # A row whose code is that of today stands on it; another on what it was made with.
                current = row.key in made or said["hash"] == self.hash_of(row)
                rows[row.key] = said | {"state": "now" if current else said["state"]}
        if self.untouched and not made:
            return {**self.known, "rows": rows}
        now = state(self.code, [(_roots(row, rows[row.key], self.code), _made_of(rows[row.key]))
                                for row in self.rows if row.key in rows])  # fmt: skip
        # As they were read: what was edited since is another file to the next run.
        files = {**_digests(_modules(self.code)), **self._begun}
        return {"format": 1, "files": files, "rows": rows, "states": self._states(now, rows)}

    def _hash_in(self, code: Code, row: Wanted) -> str:
        said = self.known["rows"].get(row.key)
        if said is None:
            return code.hash_of(row.roots(code.tree), None)
        return code.hash_of(_roots(row, said, code), _made_of(said))

    def _before(self, name: str) -> Recorded | None:
        if name not in self._recorded and name in self.known["states"]:
            self._recorded[name] = Recorded(_whole(self.known["states"], name))
        return self._recorded.get(name)

    def _states(self, now: Mapping[str, Any], rows: Mapping[str, Any]) -> dict[str, Any]:
        """The code as it is now, whole, and as far as rows stand on it, as it was, where that differs."""
        states: dict[str, Any] = {"now": now}
        for number, name in enumerate(sorted({said["state"] for said in rows.values()} - {"now"})):
            states[f"before {number}"] = _differing(_whole(self.known["states"], name), now)
            for said in rows.values():
                if said["state"] == name:
                    said["state"] = f"before {number}"
        return states


def _roots(row: Wanted, said: Mapping[str, Any], code: Code) -> list[str]:
    return sorted({*row.roots(code.tree), *said.get("roots", ())})


def _made_of(said: Mapping[str, Any]) -> frozenset[str] | None:
    made_of = said.get("made_of")
    return None if made_of is None else frozenset(made_of)


def _whole(states: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A state with what it shares with today's."""
    if name == "now":
        return dict(states["now"])
    return {
        part: {key: value for key, value in {**states["now"][part], **states[name][part]}.items() if value is not None}
        for part in ("machinery", "nodes")
    }


def _differing(state: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What of a state differs from today's; None for what wasn't there."""
    return {
        part: {
            key: state[part].get(key)
            for key in sorted({*state[part], *now[part]})
            if state[part].get(key) != now[part].get(key)
        }
        for part in ("machinery", "nodes")
    }


# --- files


def _modules(code: Code) -> Sequence[str]:
    return sorted({*code.machinery, *code.tree.names.modules(), *(f"{package}.*" for package in FOLDERS)})


def _digests(modules: Iterable[str]) -> dict[str, str]:
    """Digests of files by module, comments and all; of a folder ("package.*"), that of the names in it."""
    found = {}
    for module in modules:
        path = locate(module.removesuffix(".*"))
        if path is None:
            continue
        if module.endswith(".*"):
            data = "\n".join(sorted(file.name for file in path.parent.glob("*.py"))).encode()
        else:
            data = path.read_bytes()
        found[module] = hashlib.sha256(data).hexdigest()[:16]
    return found


__all__ = ["MOVED", "NEW", "REQUEST", "Changes"]
