"""Quantities as people write them."""

import re

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def bytes_of(text: str) -> int:
    """A size of memory in bytes.

    >>> bytes_of("1.5G") == 3 << 29, bytes_of("200m") == 200 << 20, bytes_of("4096")
    (True, True, 4096)

    Raises:
        ValueError: it's written otherwise.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"--memory {text}: write a size like 8G, 512M or 200000000")
    return int(float(match[1]) * (1 << _UNITS[match[2].upper()]))


__all__ = ["bytes_of"]
