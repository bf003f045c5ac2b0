"""The rows of all families: see tests/models/entry.py."""

import importlib
import pkgutil

from tests.models import rows

_FAMILIES = [importlib.import_module(info.name) for info in pkgutil.iter_modules(rows.__path__, f"{rows.__name__}.")]

CATALOG = [entry for family in _FAMILIES for entry in family.ROWS]
# Public classes that have no row, and why.
EXEMPT = {name: reason for family in _FAMILIES for name, reason in family.EXEMPT.items()}
