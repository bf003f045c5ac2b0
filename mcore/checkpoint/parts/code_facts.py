"""Which code made a network: package, version, commit, and a hash of the classes that it is made of."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from mcore.checkpoint.records import Code
from mcore.exchange import bridge
from mcore.exchange.errors import first_line

# Whose versions are noted, where they are installed and loaded.
_LIBRARIES = ("mcore", "torch", "numpy", "onnxruntime")
_SECONDS = 10


def code_of(net: Any) -> Code:
    """The code of a network's class; what can't be told is None."""
    module = type(net).__module__
    package = module.partition(".")[0]
    name, version = _distribution(package)
    commit, dirty = _commit(getattr(sys.modules.get(module), "__file__", None))
    return Code(
        package=name[:200],
        version=version[:200],
        commit=commit,
        dirty=dirty,
        hash=_hash(net),
        engine=bridge.of_module(net).NAME,
        libraries={one: _version(one) for one in _LIBRARIES if one in sys.modules and _version(one)},
    )


def _hash(net: Any) -> str | None:
    # Not at the top: it reads the sources of the zoo.
    from mcore.exchange.code_hash import code_hash

    try:
        return code_hash(net)
    # Files that are being edited: the weights of a long training aren't lost for it.
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        warnings.warn(f"save: the code of {type(net).__name__} can't be hashed: {first_line(error)}.", stacklevel=5)
        return None


@functools.lru_cache(maxsize=256)
def _distribution(package: str) -> tuple[str, str]:
    names = importlib.metadata.packages_distributions().get(package, [])
    name = names[0] if names else package
    return name, _version(name)


@functools.lru_cache(maxsize=256)
def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(name), "__version__", ""))[:200]


# Once for each process: the code that runs is that of its start, whatever is checked out later.
@functools.lru_cache(maxsize=256)
def _commit(file: str | None) -> tuple[str | None, bool | None]:
    """The commit of the repository that tracks a file, and whether something in its folder differs from it."""
    if file is None:
        return None, None
    folder = str(Path(file).resolve().parent)
    # Installed below a repository (in its .venv), the file is none of its.
    if _git(folder, "ls-files", "--error-unmatch", Path(file).name) is None:
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return (commit, None if changed is None else bool(changed)) if commit else (None, None)


def _git(folder: str, *words: str) -> str | None:
    """What git says; None where it isn't there, there is no repository, or it says no."""
    try:
        # The words are this file's own; the program is the user's git.
        said = subprocess.run(  # noqa: S603
            ["git", "-C", folder, *words],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()


__all__ = ["code_of"]
