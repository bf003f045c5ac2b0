"""Where an index lies: in a file of SQLite's in the user's cache, or in a team's database of PostgreSQL's."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from mcore.checkpoint.extras import needed


class Place(Protocol):
    """Where an index lies."""

    sqlite: bool

    def reading(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """A connection to a whole index; raises Missing where there is none yet, or none any more."""

    def writing(self, *, anew: bool = False) -> contextlib.AbstractContextManager[sa.Connection]:
        """A connection that is alone in writing; with `anew` to an empty index, which takes the old one's place."""

    def remembered(self) -> dict[str, Any]:
        """What was last kept by `remember`; nothing where the index is made anew."""

    def remember(self, known: dict[str, Any]) -> None:
        """Keeps a little data with the index. Only while writing."""

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Other processes neither write nor make the index anew meanwhile, where that can be had."""

    def drop(self) -> None:
        """Removes the index."""


class Missing(LookupError):
    """There is no index, or it isn't what was written."""


def place_of(url: str | None, identity: str, at: str) -> Place:
    """The place of the index of a repository; `at` tells copies of it on this machine apart.

    Raises:
        ValueError: `url` is no place for an index.
        ImportError: an extra isn't installed.
        StorageError: the cache can't be made.
    """
    # They import this file.
    from mcore.checkpoint.search.sqlite import SQLite

    if url is None:
        return SQLite(cache() / f"{identity}-{hashlib.sha256(at.encode()).hexdigest()[:8]}")
    if url.startswith("sqlite:///"):
        return SQLite(Path(os.path.abspath(url.removeprefix("sqlite:///").removesuffix(".sqlite"))))
    if url.startswith(("postgresql://", "postgresql+psycopg://")):
        needed("psycopg", "postgres", what="an index in PostgreSQL")
        from mcore.checkpoint.search.postgres import PostgreSQL

        return PostgreSQL(url, f"mcore_{identity.lower()}")
    raise ValueError(
        f'index: {url.partition("://")[0]!r:.40} is no place for one; give "postgresql+psycopg://USER@HOST/DATABASE", '
        '"sqlite:///FILE", or None for a file in the cache.'
    )


def cache() -> Path:
    """The folder of indices: below MCORE_CACHE, XDG_CACHE_HOME/mcore or ~/.cache/mcore."""
    own = os.environ.get("MCORE_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcore"
    return Path(os.path.abspath(base)) / "checkpoints"


__all__ = ["Missing", "Place", "cache", "place_of"]
