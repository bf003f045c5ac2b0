"""What can be wrong with a repository, a checkpoint, or what was asked of one."""

from __future__ import annotations

from mcore.exchange.errors import ModelFileError


class CorruptCheckpoint(ModelFileError):
    """Bytes of a checkpoint aren't those that were saved: their hash, length or form is another."""


class UnsafeFormat(ModelFileError):
    """A file that can run code, where only data is read."""


class PathEscape(ModelFileError):
    """A name that leads out of the folder that it belongs to."""


class LimitExceeded(ModelFileError):
    """A file, a record or a question that is larger than any that is meant."""


class SchemaError(ValueError):
    """A record, an event or what a checkpoint shall carry, that doesn't fit: a field, its type, or its value."""


class QueryError(ValueError):
    """A question that can't be read, or that asks for a field that there isn't."""


class NotFound(LookupError):
    """No such checkpoint, component or file in the repository; the message has the nearest."""


class Incompatible(RuntimeError):
    """Weights that don't fit the network: every entry is named, with both shapes; nothing was changed."""


class Busy(RuntimeError):
    """Another process has what this one needs to itself."""


__all__ = [
    "Busy",
    "CorruptCheckpoint",
    "Incompatible",
    "LimitExceeded",
    "NotFound",
    "PathEscape",
    "QueryError",
    "SchemaError",
    "UnsafeFormat",
]
