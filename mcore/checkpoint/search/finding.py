"""Asking the index: which of a question's parts to begin with.

PostgreSQL finds that by itself. SQLite is told: each part that has an index is counted, to a limit. Either it begins
with the rarest and looks up the others for what that gives; or it walks the checkpoints in the order that is asked for
until there are enough, which is shorter where all parts are frequent.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mcore.checkpoint.search import schema
from mcore.checkpoint.search.fields import MOMENT, PROSE, TRUTH, field_of
from mcore.checkpoint.search.nodes import And, Compare, In, Leaf, Node
from mcore.checkpoint.search.sql import Translator

# Checkpoints up to which a part is counted; then it's frequent, and met by such a share of all.
MANY, FREQUENT = 10_000, 0.3
# Parts that are counted.
_COUNTED = 12

checkpoint = schema.checkpoint


def found(
    connection: sa.Connection,
    node: Node | None,
    sorting: list[tuple[str, bool]],
    limit: int | None,
    *,
    deleted: bool = False,
    sqlite: bool,
) -> list[str]:
    """The ids of the checkpoints that `node` means, sorted, at most `limit`."""
    parts = _parts(node)
    words = Translator("sqlite" if sqlite else "postgresql")
    rarest, count = _rarest(connection, words, parts, limit) if sqlite else (None, MANY)
    if count == 0:
        return []
    # Where nothing is rare, columns' own indices only lead away from the order that is walked.
    walked = sqlite and rarest is None and limit is not None
    words = Translator("sqlite" if sqlite else "postgresql", unindexed=walked or rarest is not None)
    asked = sa.select(checkpoint.c.id)
    if not deleted:
        asked = asked.where(words.column("deleted") == sa.false())
    others = tuple(part for part in parts if part is not rarest)
    if others:
        asked = asked.where(words.where(And(others)))
    if rarest is not None:
        asked = asked.where(checkpoint.c.n.in_(words.matches(rarest)))
    if walked and sorting and field_of(sorting[0][0]).place == "metric" and len(sorting) == 1:
        ids = _by_metric(connection, words, asked, parts, *sorting[0], limit or 0)
        if len(ids) == limit:
            return ids
    by = [column for name, descending in sorting for column in words.order(name, descending)]
    return list(connection.execute(asked.order_by(*by, checkpoint.c.id.desc()).limit(limit)).scalars())


def _by_metric(
    connection: sa.Connection,
    words: Translator,
    asked: sa.Select[Any],
    parts: list[Node],
    name: str,
    descending: bool,
    limit: int,
) -> list[str]:
    """Walks a metric's values; what lacks it would come behind, and isn't found so."""
    values = schema.metric.alias("walked")
    asked = asked.join(values, values.c.n == checkpoint.c.n).where(values.c.key == field_of(name).key)
    for part in parts:
        if isinstance(part, Compare) and part.field == name and part.op != "!=":
            asked = asked.where(words.compared(values.c.value, part.op, part.value))
    by = values.c.value.desc() if descending else values.c.value.asc()
    return list(connection.execute(asked.order_by(by, checkpoint.c.id.desc()).limit(limit)).scalars())


def _parts(node: Node | None) -> list[Node]:
    """What must hold, all of it."""
    if node is None:
        return []
    if isinstance(node, And):
        return [one for part in node.parts for one in _parts(part)]
    return [node]


def _rarest(
    connection: sa.Connection, words: Translator, parts: list[Node], limit: int | None
) -> tuple[Leaf | None, int]:
    """The part to begin with, if that is shorter than walking, and how many checkpoints meet the rarest."""
    rarest: Leaf | None = None
    least, share = MANY, 1.0
    there = connection.execute(sa.select(sa.func.max(checkpoint.c.n))).scalar() or 1
    leaves = [part for part in parts if isinstance(part, Compare | In) and _has_index(part)]
    for part in leaves[:_COUNTED]:
        some = words.matches(part).limit(MANY).subquery()
        count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        if not count:
            return part, 0
        share *= min(1.0, count / there) if count < MANY else FREQUENT
        if count < least:
            rarest, least = part, count
    # As if parts had nothing to do with each other.
    if limit is not None and limit / share < least:
        return None, least
    return rarest, least


def _has_index(part: Compare | In) -> bool:
    if isinstance(part, Compare) and part.op in ("!=", "~"):
        return False
    field = field_of(part.field)
    if field.place == "checkpoint":
        return field.key in (*schema.INDEXED, "id")
    if field.place == "component":
        return field.key == "type"
    return field.kind not in (PROSE, TRUTH, MOMENT) and field.place != "alias"


__all__ = ["MANY", "found"]
