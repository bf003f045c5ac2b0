"""The tables of the index: what questions ask of, and nothing that isn't in the records and events.

A checkpoint has a number of its own here, by which the other tables name it. What is empty is null. All numbers are
kept as double floats: a count in a record may be larger than a database's whole numbers.
"""

from __future__ import annotations

import sqlalchemy as sa

# Another layout is another index: one of an older version is left and made anew.
VERSION = 1

metadata = sa.MetaData()
# Compared by bytes everywhere: PostgreSQL would otherwise sort by the language of the server.
Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Number: sa.Double[float] = sa.Double()


def _number() -> sa.Column[int]:
    return sa.Column("n", sa.Integer, sa.ForeignKey("checkpoint.n", ondelete="CASCADE"), nullable=False)


checkpoint = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", Text, nullable=False, unique=True),
    sa.Column("deleted", sa.Boolean, nullable=False),
    *(
        sa.Column(name, Text)
        for name in (
            *("kind", "network", "task", "address", "author", "created", "precision", "parent", "rule", "notes"),
            *("structure_builder", "structure_title", "code_package", "code_version", "code_commit", "code_hash"),
            *("code_engine", "optimiser_name", "optimiser_scheduler"),
        )
    ),
    *(sa.Column(name, Number) for name in ("version", "batch_size", "parameters", "optimiser_max_start_lr")),
    *(sa.Column(name, sa.Boolean) for name in ("has_nan", "training", "code_dirty")),
)
# Of these a question may mean few of very many.
INDEXED = ("network", "task", "address", "author", "created", "parent", "code_commit")
for _name in INDEXED:
    sa.Index(f"checkpoint_{_name}", checkpoint.c[_name])

component = sa.Table(
    "component",
    metadata,
    _number(),
    *(sa.Column(name, Text) for name in ("role", "name", "type", "channels", "task", "resolution")),
    *(sa.Column(name, Number) for name in ("parameters", "in_channels", "out_channels", "num_classes")),
    sa.Index("component_n", "n"),
    sa.Index("component_type", "type", "role", "n"),
)
metric = sa.Table(
    "metric",
    metadata,
    _number(),
    sa.Column("key", Text, nullable=False),
    sa.Column("value", Number, nullable=False),
    sa.PrimaryKeyConstraint("n", "key"),
    sa.Index("metric_value", "key", "value", "n"),
    sqlite_with_rowid=False,
)
tag = sa.Table(
    "tag",
    metadata,
    _number(),
    sa.Column("key", Text, nullable=False),
    sa.Column("value", Text, nullable=False),
    sa.PrimaryKeyConstraint("n", "key"),
    sa.Index("tag_key", "key", "value", "n"),
    sqlite_with_rowid=False,
)
# Values of whatever a checkpoint may have several of: losses, data sets, costs, facts. `key` is the field's name.
fact = sa.Table(
    "fact",
    metadata,
    _number(),
    sa.Column("key", Text, nullable=False),
    sa.Column("text", Text),
    sa.Column("number", Number),
    sa.Column("truth", sa.Boolean),
    sa.Index("fact_n", "n", "key"),
    sa.Index("fact_text", "key", "text", "n"),
    sa.Index("fact_number", "key", "number", "n"),
)
alias = sa.Table(
    "alias",
    metadata,
    sa.Column("address", Text, nullable=False),
    sa.Column("key", Text, nullable=False),
    _number(),
    sa.PrimaryKeyConstraint("address", "key"),
    sa.Index("alias_n", "n"),
)
# Events that were read, and files that can't be, with the reason.
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", Text, primary_key=True),
    sa.Column("checkpoint", Text, nullable=False),
    # Of those that move an alias: which.
    sa.Column("address", Text),
    sa.Column("alias", Text),
    sa.Index("event_checkpoint", "checkpoint"),
)
unread = sa.Table("unread", metadata, sa.Column("key", Text, primary_key=True), sa.Column("why", Text, nullable=False))
# What an index knows of itself.
about = sa.Table("about", metadata, sa.Column("key", Text, primary_key=True), sa.Column("value", Text, nullable=False))

CHILDREN = {"component": component, "metric": metric, "tag": tag, "fact": fact}
TABLES = {"checkpoint": checkpoint, "alias": alias, **CHILDREN}

__all__ = [
    "CHILDREN",
    "INDEXED",
    "TABLES",
    "VERSION",
    "about",
    "alias",
    "checkpoint",
    "component",
    "event",
    "fact",
    "metadata",
    "metric",
    "tag",
    "unread",
]
