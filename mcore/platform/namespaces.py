"""All words of all files, by the place where torch has them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcore.platform.word import WORDS

_FOLDER = Path(__file__).with_name("words")

# Each file enters its words into WORDS when it is imported; a new file needs no line here.
for _found in pkgutil.iter_modules([str(_FOLDER)]):
    if not _found.name.startswith("_"):
        importlib.import_module(f"mcore.platform.words.{_found.name}")


def words_of(place: str) -> dict[str, Callable[..., Any]]:
    """Names and words of one place: "torch", "F", "linalg", "Tensor", or "own" for mcore's."""
    start = f"{place}."
    return {name.removeprefix(start): word for name, word in WORDS.items() if name.startswith(start)}
