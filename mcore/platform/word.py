"""`@word`: enters a function into the one table of words that both engines read.

A word is written once, as torch's signature with its shape rule and its ONNX lowering. Its names say where torch
has it: "torch.softmax", "F.softmax", "Tensor.softmax", "linalg.norm". The platform engine calls it under these
names; `toplatform` on the torch engine finds it by the torch function of the same name.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from mcore.platform import graph
from mcore.platform.errors import located
from mcore.platform.graph import LAYER, Recorder, active
from mcore.platform.tensor import Tensor, View

Function = TypeVar("Function", bound=Callable[..., Any])

# numpy's names of arguments, which torch's own functions take as well.
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim"}

_frame, _kind = sys._getframe, graph._internal.get

# Name in torch ("torch.relu") -> the word as it is called.
WORDS: dict[str, Callable[..., Any]] = {}


def word(*names: str, ready: bool = False) -> Callable[[Function], Function]:
    """Registers a function under torch's names. In-place twins are made by `inplace`, views by `view_of`.

    With `ready`, the body answers outside a module too, without a session: it makes data, or reads none. `out=` is
    understood for every word that doesn't take it itself.
    """

    def enter(body: Function) -> Function:
        title = names[0].rpartition(".")[2].strip("_")
        code = body.__code__
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        takes_out, takes_dim = "out" in parameters, "dim" in parameters

        @functools.wraps(body)
        def spoken(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                if takes_dim and ("axis" in kwargs or "keepdims" in kwargs):
                    kwargs = {_NUMPY_NAMES.get(name, name): value for name, value in kwargs.items()}
                if "out" in kwargs and not takes_out:
                    out = kwargs.pop("out")
                    return write_out(spoken(*args, **kwargs), out, title)
            recorder = active.recorder
            if recorder is not None:
                frame = _frame(1)
                if _kind(frame.f_code.co_filename) != LAYER:
                    recorder.note_speaker(frame)
            elif not ready:
                return speak_alone(body, title, args, kwargs)
            try:
                return body(*args, **kwargs)
            except Exception as error:
                raise located_error(error, title, recorder or Recorder()) from error.__cause__

        return publish(spoken, *names)  # type: ignore[return-value]

    return enter


def write_out(result: Any, out: Any, title: str) -> Any:
    """Ends a word that was given `out=`: the result is written there, in the type that `out` has."""
    if out is None:
        return result
    if isinstance(result, tuple | list):
        return type(result)(write_out(r, o, title) for r, o in zip(result, out, strict=True))
    if not isinstance(out, Tensor):
        raise TypeError(f"{title}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if result._dtype.category > out._dtype.category:
        raise RuntimeError(
            f"result type {result._dtype.title} can't be cast to the desired output type {out._dtype.title}"
        )
    return out._write(result.to(out._dtype))  # type: ignore[attr-defined]


def publish(function: Function, *names: str) -> Function:
    """Enters a finished callable under torch's names; methods become attributes of Tensor."""
    for name in names:
        if name in WORDS:
            raise ValueError(f"word {name} is registered twice: {WORDS[name]} and {function}.")
        WORDS[name] = function
        owner, _, method = name.rpartition(".")
        if owner == "Tensor":
            setattr(Tensor, method, function)
    return function


def inplace(function: Callable[..., Tensor], *names: str) -> None:
    """Publishes in-place twins of a word: `inplace(add, "Tensor.add_", "Tensor.__iadd__")`.

    The result is cast to the tensor's own type, as torch does; a result of a higher category or another shape is
    refused in torch's words.
    """

    @functools.wraps(function)
    def write(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return write_back(self, function(self, *args, **kwargs))

    publish(write, *names)


def write_back(self: Tensor, result: Tensor) -> Tensor:
    """Ends an in-place word: checks that `result` fits `self` and writes it."""
    if result._shape is not self._shape and list(map(int, result._shape)) != list(map(int, self._shape)):
        ours, theirs = list(map(int, self._shape)), list(map(int, result._shape))
        raise RuntimeError(f"output with shape {ours} doesn't match the broadcast shape {theirs}")
    if result._dtype is not self._dtype:
        if result._dtype.category > self._dtype.category:
            raise RuntimeError(
                f"result type {result._dtype.title} can't be cast to the desired output type {self._dtype.title}"
            )
        result = result.to(self._dtype)  # type: ignore[attr-defined]
    return self._write(result)


def view_of(
    base: Tensor, result: Tensor, read: Callable[[Tensor], Tensor], write: Callable[[Tensor, Tensor], Tensor],
    strides: Callable[[list[int]], list[int]] | None = None,
) -> Tensor:  # fmt: skip
    """Marks `result` as a view of `base`: `read(base)` makes it anew, `write(base, result)` makes the new base.

    `strides` tells what torch's strides of the result are, given those of the base (None: in order): by them
    `reshape` decides as torch does whether it is a view or a copy.
    """
    if result is not base:
        result._view = View(base, read, write, strides)
    return result


def speak_alone(body: Callable[..., Any], title: str, args: tuple, kwargs: dict) -> Any:
    """A word outside a module: recorded on its own and run at once by a session of its few operators."""
    from mcore.platform.session import deliver  # session stands above the words

    with Recorder(bake_state=False) as recorder:
        recorder.note_speaker(_frame(2))
        try:
            result = body(*args, **kwargs)
        except Exception as error:
            raise located_error(error, title, recorder) from error.__cause__
        return deliver(recorder, result)


def located_error(error: Exception, title: str, recorder: Recorder) -> Exception:
    """The error with the word, the module path and the user's line in its text; once, at the innermost word.

    A word that looks for a tensor's inside in something else was given no tensor: that is a TypeError.
    """
    if isinstance(error, AttributeError) and error.name in Tensor.__slots__ and not isinstance(error.obj, Tensor):
        kind = type(error.obj).__name__
        hint = " (make it one with mcore.from_numpy)" if kind == "ndarray" else ""
        error = TypeError(f"{title}(): expected a Tensor, not {kind}{hint}")
    if getattr(error, "_located", False) or not error.args or not isinstance(error.args[0], str):
        return error
    text = error.args[0].rstrip(".")
    if isinstance(error, NotImplementedError) and not text.startswith(title):
        text = f"{title}: {text}"
    elif title not in text:
        text = f"{text} (in {title})"
    error.args = (located(text, recorder.place(), recorder), *error.args[1:])
    error._located = True  # type: ignore[attr-defined]
    return error


__all__ = ["WORDS", "inplace", "publish", "view_of", "word", "write_back"]
