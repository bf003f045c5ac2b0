"""Moments as records have them: in UTC, to the millisecond, as text."""

import datetime


def now() -> str:
    """The time: "2026-11-28T17:00:00.123Z"."""
    return written(datetime.datetime.now(datetime.UTC))


def written(moment: datetime.datetime) -> str:
    """A moment as text."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def seconds(text: str) -> float:
    """Seconds since 1970.

    >>> seconds("1970-01-01T00:01:00Z"), seconds("1970-01-01T00:01:00.500Z")
    (60.0, 60.5)
    """
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


__all__ = ["now", "seconds", "written"]
