"""What the repository tells: commits, when files last changed, and the sources as they were; by the `git` command.

Outside of a repository, or without the command, there are no commits: None stands for them.
"""

from __future__ import annotations

import contextlib
import datetime
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


def now() -> str:
    """The time in UTC, to the second: "2026-11-28T17:00:00Z"."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def head(folder: Path) -> str | None:
    """The commit that is checked out in the repository around `folder`."""
    return _said(folder, "rev-parse", "HEAD")


def commit_of(folder: Path, name: str) -> str:
    """The commit that a branch, a tag or a beginning of a commit means.

    Raises:
        LookupError: there is no repository, or no such commit in it.
    """
    found = _said(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found is None:
        raise LookupError(f"{name!r} is no commit of a repository around {folder}.")
    return found


def last_change(files: Iterable[Path]) -> tuple[str, str | None]:
    """Date and commit of the last change of `files`: now and no commit, where that isn't committed yet."""
    names = sorted({str(file) for file in files})
    if not names:
        return now(), None
    folder = Path(names[0]).parent
    if _said(folder, "status", "--porcelain", "--", *names) != "":
        return now(), None
    said = _said(folder, "log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd %H", "--", *names)
    date, _, commit = (said or "").partition(" ")
    return (date, commit) if commit else (now(), None)


def shown(file: Path, commit: str) -> bytes | None:
    """A file as it was at a commit; None where it wasn't there."""
    return _bytes(file.parent, "show", f"{commit}:./{file.name}")


def commits_of(file: Path) -> list[str]:
    """The last two commits that changed a file, the newest first."""
    return (_said(file.parent, "log", "-2", "--format=%H", "--", file.name) or "").split()


def is_changed(file: Path) -> bool:
    """Whether a file differs from the one that is committed."""
    return _said(file.parent, "status", "--porcelain", "--", file.name) != ""


@contextlib.contextmanager
def sources_at(folder: Path, commit: str) -> Iterator[Path]:
    """A folder with the repository's Python files as they were at a commit; it goes away with the block.

    Raises:
        LookupError: there is no repository, or no such commit in it.
    """
    commit = commit_of(folder, commit)
    top = Path(_said(folder, "rev-parse", "--show-toplevel") or folder)
    with tempfile.TemporaryDirectory(prefix="mcore-sources-") as place, tempfile.TemporaryFile() as packed:
        subprocess.run(["git", "-C", str(top), "archive", commit], stdout=packed, check=True)  # noqa: S607  # as found
        packed.seek(0)
        with tarfile.open(fileobj=packed) as archive:
            members = [one for one in archive if one.isdir() or (one.isfile() and one.name.endswith(".py"))]
            archive.extractall(place, members, filter="data")
        yield Path(place)


def _said(folder: Path, *words: str) -> str | None:
    found = _bytes(folder, *words)
    return None if found is None else found.decode("utf-8", "replace").strip()


def _bytes(folder: Path, *words: str) -> bytes | None:
    try:
        # Dates in UTC, whatever the machine's zone.
        done = subprocess.run(
            ["git", "-C", str(folder), *words],  # noqa: S607  # as it is found
            capture_output=True,
            env={**_environment(), "TZ": "UTC"},
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def _environment() -> dict[str, str]:
    import os

    # A hook that runs this has variables that point at another repository.
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
