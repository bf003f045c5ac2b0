"""Packages whose names load when first asked for, as the catalogue places them."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from mcore.vocabulary import nearest


def names(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of `package`, for the names in `places` ("package.module:name")."""

    def give(name: str) -> Any:
        if name not in places:
            likely = nearest(name, places)
            meant = f"; the nearest names are {', '.join(likely)}" if likely else ""
            raise AttributeError(f"{package} has no {name!r}{meant}.", name=name)
        module, _, attribute = places[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found

    return give, lambda: sorted(places)
