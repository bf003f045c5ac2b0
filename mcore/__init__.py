"""One vocabulary, torch's own, and two engines that give it meaning.

`MCORE_BACKEND=torch` (the default where torch is installed): the words are torch's.
`MCORE_BACKEND=platform`: the words emit ONNX operators, which ONNX Runtime runs; torch is never imported.
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from mcore.backend import backend, speak

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

# From here on the words hide builtins of the same name (sum, max, range, float, ...) in this file.
__all__, _word = speak(__name__)
__all__ += ["backend", *_NAMESPACES, *_ELSEWHERE]


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(_ELSEWHERE[name]), name)
    # A module of mcore (functional, checkpoint, volumes, ...) needs no import statement of its own.
    if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    return _word(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
