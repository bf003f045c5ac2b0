"""One vocabulary, torch's own, and two engines that give it meaning.

`MCORE_BACKEND=torch` (the default where torch is installed): the words are torch's.
`MCORE_BACKEND=platform`: the words emit ONNX operators, which ONNX Runtime runs; torch is never imported.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcore.backend import backend as backend
from mcore.backend import speak

if TYPE_CHECKING:
    # For editors and type checkers: the words' types are torch's on either engine. Type checkers take the first of
    # two names, and torch.nn has modules of these too.
    from mcore import functional as functional
    from mcore import init as init
    from mcore import linalg as linalg
    from mcore import module as module

    # isort: split
    from torch import *
    from torch.nn import *

    from mcore.torch.module import *

__version__ = "0.1.0"

# Names that load when first asked for: where each one lives.
_ELSEWHERE = {
    "toplatform": "mcore.exchange.export",
    "to_onnx": "mcore.exchange.export",
    "fromplatform": "mcore.exchange.imports",
    "save": "mcore.exchange.files",
    "load": "mcore.exchange.files",
    "patched_torch": "mcore.exchange.patching",
    "build": "mcore.specs",
    "register": "mcore.registry",
}
_NAMESPACES = ("functional", "init", "linalg", "module")


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    # A module of mcore (functional, checkpoint, volumes, ...) needs no import statement of its own.
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    word = _engine()
    # What came with the engine is found here once: this was the first word, or a star import's `__all__`.
    return globals()[name] if name in globals() else word(name)


def __dir__() -> list[str]:
    _engine()
    return [*globals()["__all__"], "__version__"]


@functools.cache
def _engine() -> Callable[[str], Any]:
    """Loads the engine when the first word is spoken: listing names, or a command's help, needs none."""
    names, word = speak(__name__)
    # From here on the words hide builtins of the same name (sum, max, range, float, ...) in this file.
    globals()["__all__"] = [*names, "backend", *_NAMESPACES, *_ELSEWHERE]
    return word
