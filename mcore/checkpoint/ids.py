"""Ids that sort by time: ULIDs, 48 bits of milliseconds and 80 of chance, as 26 letters and digits.

Source: the ULID specification (github.com/ulid/spec): Crockford's base 32, without I, L, O and U.
"""

from __future__ import annotations

import re
import secrets
import time

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, OF_TIME = 26, 10
_FORM = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]*")


def new_id(after: str = "") -> str:
    """An id of now, or where the clock is behind the id `after`, of a millisecond after that one.

    >>> late = new_id("7ZZZZZZZZY" + 16 * "0")
    >>> late[:10], new_id() < late
    ('7ZZZZZZZZZ', True)
    """
    moment = time.time_ns() // 1_000_000
    if after:
        moment = max(moment, milliseconds(after) + 1)
    return _written(moment, OF_TIME) + _written(secrets.randbits(80), LENGTH - OF_TIME)


def first_id(moment: int) -> str:
    """The least id of a millisecond."""
    return _written(moment, OF_TIME) + "0" * (LENGTH - OF_TIME)


def milliseconds(id: str) -> int:
    """When an id was made, in milliseconds since 1970.

    >>> milliseconds(first_id(1_700_000_000_123))
    1700000000123
    """
    value = 0
    for letter in id[:OF_TIME]:
        value = value * 32 + ALPHABET.index(letter)
    return value


def is_id(text: str) -> bool:
    """Whether it is an id, whole."""
    return len(text) == LENGTH and is_beginning(text)


def is_beginning(text: str) -> bool:
    """Whether an id may begin so."""
    return len(text) <= LENGTH and _FORM.fullmatch(text) is not None


def _written(value: int, digits: int) -> str:
    out = []
    for _ in range(digits):
        value, digit = divmod(value, 32)
        out.append(ALPHABET[digit])
    return "".join(reversed(out))


__all__ = ["first_id", "is_beginning", "is_id", "milliseconds", "new_id"]
