"""The platform engine: torch's words as ONNX operators, which ONNX Runtime runs. torch is never imported.

`onnx` and `onnxruntime` are imported when the first graph runs: building a model needs neither.
"""

from typing import Any

from mcore import vocabulary
from mcore.platform import constants, dtypes, functional, init, layers, linalg, module, session
from mcore.platform.dtypes import NAMES
from mcore.platform.module import *
from mcore.platform.namespaces import words_of
from mcore.platform.session import set_strict_dtypes
from mcore.platform.tensor import Size, Tensor, device
from mcore.platform.words.random import Generator

# The submodules are left out: a name `functional` in mcore means the package that asks for the engine.
__all__ = [*vocabulary.CONTAINERS, "set_strict_dtypes"]


def _speak(found: dict[str, Any], names: tuple[str, ...]) -> None:
    found = {name: found[name] for name in names if name in found}
    globals().update(found)
    __all__.extend(found)


_BESIDES = vars(constants) | {
    "Tensor": Tensor, "Size": Size, "dtype": dtypes.dtype, "device": device, "Generator": Generator,
    "set_num_threads": session.set_num_threads, "get_num_threads": session.get_num_threads,
    "get_default_dtype": dtypes.get_default_dtype, "set_default_dtype": dtypes.set_default_dtype,
}  # fmt: skip
_WORDS = words_of("torch")

_speak(vars(layers), vocabulary.LAYERS)
_speak(_BESIDES | _WORDS, vocabulary.TOP)
_speak(NAMES, vocabulary.DTYPES)


def __getattr__(name: str) -> Any:
    # Words that torch has at its top beyond the vocabulary.
    if name in _WORDS:
        return _WORDS[name]
    raise AttributeError(f"module 'mcore.platform' has no attribute '{name}'", name=name)
