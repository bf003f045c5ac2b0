"""Where an error happened, in the user's terms: the module's path, the file and the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcore.platform.graph import Place, Recorder


class ShapeError(RuntimeError):
    """Shapes that do not fit, raised at the word; a RuntimeError, as torch's is."""


def module_path(recorder: Recorder, module: Any) -> str:
    """`decoder.warp (Warp)`: the dotted name of a running module below the outermost one, and its class."""
    root = recorder.root or (recorder.modules[0] if recorder.modules else None)
    if module is None or root is None:
        return ""
    for name, found in root.named_modules():
        if found is module:
            kind = type(module).__name__
            return f"{name} ({kind})" if name else kind
    return type(module).__name__


def located(message: str, place: Place, recorder: Recorder) -> str:
    """`message` followed by where it happened."""
    path = module_path(recorder, place.module)
    spots = [f"in {path}"] if path else []
    if place.code is not None:
        spots.append(str(place))
    return f"{message}; {', '.join(spots)}." if spots else f"{message}."


def unsupported(word: str, what: str, supported: str) -> NotImplementedError:
    """The error of a word that ONNX cannot express: what came, what is supported, what to do."""
    return NotImplementedError(
        f"{word}: {what} has no ONNX operator. Supported: {supported}. Run it with MCORE_BACKEND=torch."
    )


def no_gradients(what: str) -> RuntimeError:
    """The error of a word that would need gradients: this engine has none."""
    return RuntimeError(
        f"{what}: the platform engine computes no gradients. Train with MCORE_BACKEND=torch and load the weights "
        "here (load_state_dict, load_platform)."
    )
