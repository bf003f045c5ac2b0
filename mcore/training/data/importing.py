"""What a configuration names by an import path "package.module:name"."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from mcore.signatures import check_arguments
from mcore.training.data.mistakes import Fail
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from mcore.vocabulary import nearest


def is_import_path(name: str) -> bool:
    """Whether a type is an import path, and no name of ours."""
    return ":" in name


def attribute_of(typed: Typed, fail: Fail) -> Any:
    """What an import path names.

    It is looked for where Python looks, not beside the configuration: a file that came with data must not run.
    `fail` is called where it can't be imported.
    """
    module, _, name = typed.type.partition(":")
    if not module or not name:
        fail(("type",), f"{typed.type!r} is no import path; 'package.module:name' fits")
    try:
        found = importlib.import_module(module)
    # Importing runs a stranger's module, which may raise anything.
    except Exception as error:
        hint = "; it must be installed, or on PYTHONPATH" if isinstance(error, ModuleNotFoundError) else ""
        fail(("type",), f"{module} can't be imported: {type(error).__name__}: {error}{hint}")
    for part in name.split("."):
        if not hasattr(found, part):
            likely = nearest(part, dir(found), most=1)
            fail(("type",), f"{module} has no {name!r}" + (f" (did you mean {likely[0]!r}?)" if likely else ""))
        found = getattr(found, part)
    return found


def called(found: Callable[..., Any], typed: Typed, fail: Fail) -> Any:
    """What a class or function makes of the other keys; `fail` is called where it takes others.

    Raises:
        DataError: it can't be made; the message says in one line what it raised.
    """
    if not callable(found):
        fail(("type",), f"{typed.type} is of {type(found).__name__}, which can't be called")
    for problem in check_arguments(found, typed.arguments, title=typed.type):
        fail(problem.path, problem.message)
    try:
        return found(**typed.arguments)
    except DataError:
        raise
    # A stranger's constructor.
    except Exception as error:
        raise DataError(f"{typed.type} can't be made: {type(error).__name__}: {error}") from error


__all__ = ["attribute_of", "called", "is_import_path"]
