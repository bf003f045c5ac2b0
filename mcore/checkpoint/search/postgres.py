"""An index in a database of PostgreSQL's that a team shares, in a schema of the repository's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mcore.checkpoint.search import schema
from mcore.checkpoint.search.places import Missing
from mcore.exchange.errors import StorageError, first_line


class PostgreSQL:
    """An index in a database that a team shares, in a schema of the repository's own."""

    sqlite = False

    def __init__(self, url: str, name: str) -> None:
        made = sa.make_url(url).set(drivername="postgresql+psycopg")
        self.name, self.said = name, made.render_as_string(hide_password=True)
        self._engine = sa.create_engine(made, pool_pre_ping=True, hide_parameters=True).execution_options(
            schema_translate_map={None: name}
        )
        self._owner = os.getpid()
        # One number for each repository, by which writers wait for each other.
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._connected() as connection:
            self._check_there(connection)
            yield connection

    @contextlib.contextmanager
    def writing(self, *, anew: bool = False) -> Iterator[sa.Connection]:
        with self._connected() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(self._key)))
            if anew:
                connection.execute(sa.schema.DropSchema(self.name, cascade=True, if_exists=True))
                connection.execute(sa.schema.CreateSchema(self.name))
                schema.metadata.create_all(connection)
                _tell(connection, "schema", schema.VERSION)
            else:
                self._check_there(connection)
            yield connection
            if anew:
                connection.execute(sa.text("ANALYZE"))
            connection.commit()

    def remembered(self) -> dict[str, Any]:
        with self.reading() as connection:
            known = _told(connection, "known")
        return known if isinstance(known, dict) else {}

    def remember(self, known: dict[str, Any]) -> None:
        with self.writing() as connection:
            _tell(connection, "known", known)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        # Two that make it anew do so one behind the other, each in a transaction of its own.
        return contextlib.nullcontext()

    def drop(self) -> None:
        with self._connected() as connection:
            connection.execute(sa.schema.DropSchema(self.name, cascade=True, if_exists=True))
            connection.commit()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        if self._owner != os.getpid():
            self._engine.dispose(close=False)
            self._owner = os.getpid()
        try:
            connection = self._engine.connect()
        except sa.exc.OperationalError as error:
            raise StorageError(
                None, f"{self.said}: the index can't be reached: {first_line(error.orig or error)}"
            ) from None
        with connection:
            yield connection

    def _check_there(self, connection: sa.Connection) -> None:
        try:
            version = _told(connection, "schema")
        except sa.exc.ProgrammingError:
            version = None  # no such table
        if version != schema.VERSION:
            raise Missing(f"{self.said}: no index of this version")


def _tell(connection: sa.Connection, key: str, value: Any) -> None:
    connection.execute(sa.delete(schema.about).where(schema.about.c.key == key))
    connection.execute(sa.insert(schema.about).values(key=key, value=json.dumps(value)))


def _told(connection: sa.Connection, key: str) -> Any:
    found = connection.execute(sa.select(schema.about.c.value).where(schema.about.c.key == key)).scalar()
    return None if found is None else json.loads(found)


__all__ = ["PostgreSQL"]
