"""Which engine speaks: read once from `MCORE_BACKEND`, at the first import of `mcore`.

Unset or empty, the engine is torch when torch is installed, else platform. Case and spaces don't matter.
This is the only file that tells the engines apart by name.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from mcore.vocabulary import REFUSED, nearest

VARIABLE = "MCORE_BACKEND"


class Engine(NamedTuple):
    """What an engine needs, how to install it, and what to say of a word that it lacks or must refuse."""

    needs: tuple[str, ...]
    install: str
    lacking: str
    refusal: str = ""


# In order of preference where nobody chose.
ENGINES = {
    "torch": Engine(
        needs=("torch",),
        install='pip install ".[torch]"',
        lacking="torch has no such name either",
    ),
    "platform": Engine(
        needs=("numpy", "onnx", "onnxruntime"),
        install="pip install .",
        lacking="if torch has it, ONNX cannot express it or mcore's vocabulary lacks it. "
        "Run it with MCORE_BACKEND=torch",
        refusal="torch's {name} has no ONNX meaning: {reason}. Run it with MCORE_BACKEND=torch",
    ),
}


def requested() -> str | None:
    """The engine that the environment asks for now, or None where it doesn't ask.

    Raises:
        ValueError: the environment names no engine.
    """
    value = os.environ.get(VARIABLE, "")
    name = value.strip().lower()
    if name and name not in ENGINES:
        choices = " and ".join(map(repr, ENGINES))
        raise ValueError(
            f"{VARIABLE}={value!r}, from the environment, names no engine of mcore; "
            f"the choices are {choices}, the nearest is {nearest(name, ENGINES, least=0.0)[0]!r}."
        )
    return name or None


def missing(engine: str) -> list[str]:
    """Packages that `engine` needs and this interpreter cannot find; none of them is imported to find out."""
    return [package for package in ENGINES[engine].needs if not installed(package)]


def choose() -> str:
    """The engine to use, installed for certain.

    Raises:
        ImportError: the chosen engine isn't installed, or none is; the install command is in the message.
        ValueError: the environment names no engine.
    """
    asked = requested()
    if asked is None:
        installed = [engine for engine in ENGINES if not missing(engine)]
        if installed:
            return installed[0]
        commands = "; ".join(f"{name}: {engine.install}" for name, engine in ENGINES.items())
        raise ImportError(f"No engine of mcore is installed. In the folder of mcore's clone, run one of: {commands}")
    absent = missing(asked)
    if absent:
        raise ImportError(
            f"{VARIABLE}={asked}, from the environment, but {' and '.join(absent)} cannot be found. "
            f"In the folder of mcore's clone, run: {ENGINES[asked].install}",
            name=absent[0],
        )
    return asked


def backend() -> str:
    """The name of the engine that speaks: 'torch' or 'platform'.

    Raises:
        RuntimeError: the environment asks for another engine than it did when `mcore` was first imported.
        ValueError: the environment names no engine by now.
    """
    asked = requested()
    if asked not in (None, ENGINE):
        raise RuntimeError(
            f"{VARIABLE} is {asked!r} now, but mcore already runs on {ENGINE!r}: it was first imported at "
            f"{IMPORTED_AT}, and the engine is chosen once. "
            f"Set {VARIABLE} before that line, or start a new process."
        )
    return ENGINE


def demand(engine: str, word: str) -> None:
    """Raises RuntimeError where `word`, which only `engine` has, is spoken on another engine."""
    if engine != ENGINE:
        raise RuntimeError(
            f"{word}: only the {engine} engine has it, and the {ENGINE} engine speaks here. "
            f"Run it with {VARIABLE}={engine}."
        )


def absent_word(namespace: ModuleType, name: str) -> AttributeError:
    """The error for a name that `namespace`, a module of the vocabulary, doesn't have on this engine."""
    here, engine = namespace.__name__, ENGINES[ENGINE]
    refused = engine.refusal and name in REFUSED
    why = engine.refusal.format(name=name, reason=REFUSED[name]) if refused else engine.lacking
    likely = [f"{here}.{word}" for word in nearest(name, getattr(namespace, "__all__", ()))]
    return AttributeError(
        f"{here}.{name}: the {ENGINE} engine has no such word; {why}. Nearest names: {', '.join(likely) or 'none'}.",
        name=name,
        obj=namespace,
    )


def installed(package: str) -> bool:
    """Whether an import of `package` would find it."""
    try:
        return importlib.util.find_spec(package) is not None
    # A finder that forbids the package, or a module that somebody put in its place.
    except (ImportError, ValueError):
        return False


def _importer() -> str:
    """File and line of the statement outside mcore that brought it in."""
    frame = sys._getframe(1)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        file = frame.f_code.co_filename
        if package not in ("mcore", "importlib") and not file.startswith("<frozen importlib"):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]  # None at the end, which ends the loop
    return "the start of the interpreter"


def speak(namespace: str, part: str = "") -> tuple[list[str], Callable[[str], Any]]:
    """Fill the module `namespace` with the words of the engine's `part`; its `__all__` and `__getattr__`.

    What the engine gives beyond its `__all__`, as torch does, is found through `__getattr__`.
    """
    module = sys.modules[namespace]
    words = importlib.import_module(f"mcore.{ENGINE}{'.' if part else ''}{part}")
    names = list(words.__all__)
    vars(module).update((name, getattr(words, name)) for name in names)

    def give(name: str) -> Any:
        if not name.startswith("__") and hasattr(words, name):
            return getattr(words, name)
        raise absent_word(module, name)

    return names, give


IMPORTED_AT = _importer()
ENGINE = choose()
