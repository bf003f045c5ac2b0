"""Arguments checked against a constructor's signature and annotations, before anything is built."""

import collections.abc
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from mcore.vocabulary import nearest

# ("model", "backbone", "depth"): keys, and indices of lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is inside the data, and what would fit; alone, it is raised as `error`."""

    path: Path
    message: str
    error: type[Exception] = TypeError

    def under(self, path: Path) -> "Problem":
        """The same mistake, seen from further outside."""
        return Problem((*path, *self.path), self.message, self.error)


def dotted(path: Path) -> str:
    """A path as one writes it.

    >>> dotted(("model", "from", 0))
    'model.from[0]'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def refuse(problems: list[Problem]) -> None:
    """Raises all problems as one error: of their own class where they agree on one."""
    if problems:
        classes = {problem.error for problem in problems}
        error = classes.pop() if len(classes) == 1 else ValueError
        raise error("; ".join(_told(problem) for problem in problems) + ".")


def _told(problem: Problem) -> str:
    # A problem of the outermost component names it already.
    return f"{dotted(problem.path)}: {problem.message}" if problem.path[:1] == ("spec",) else problem.message


def signature(constructor: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a class or function, without `self`.

    A class is asked for its `__init__`: a metaclass that takes any arguments would hide its parameters.
    """
    if inspect.isclass(constructor):
        whole = inspect.signature(constructor.__init__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])
    return inspect.signature(constructor)


def check_arguments(
    constructor: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    title: str | None = None,
    partial: bool = False,
    given_by_others: Sequence[str] = (),
) -> list[Problem]:
    """Everything wrong with calling `constructor(**arguments)`: unknown, missing, of the wrong type.

    `title` is the constructor's name in messages. With `partial`, none is missing: they may come later.
    `given_by_others` names parameters that the caller will fill in.

    >>> def net(in_channels: int, depth: int = 4): ...
    >>> [problem.message for problem in check_arguments(net, {"in_channels": 1, "dept": 3})]
    ["net has no argument 'dept' (did you mean 'depth'?)"]
    """
    title = title or str(getattr(constructor, "__name__", constructor))
    try:
        parameters = signature(constructor).parameters
    # A builtin doesn't tell; it refuses by itself what it can't take.
    except ValueError:
        return []
    hints = _hints(constructor)
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {name: p for name, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    problems = []
    for name, value in arguments.items():
        if name in named:
            problems.extend(_check_value(title, name, value, hints.get(name, Any)))
        elif not open_ended:
            problems.append(Problem((name,), f"{title} has no argument {name!r}{_meant(name, named)}"))
    if not partial:
        for name, parameter in named.items():
            given = name in arguments or name in given_by_others
            if not given and parameter.default is parameter.empty:
                problems.append(Problem((), f"{title} needs the argument {name!r}"))
    return problems


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` may stand where `hint` is annotated; what no data can tell (classes) may.

    >>> fits(True, int), fits(3, float), fits([1, 2], tuple[int, ...]), fits("x", int | None)
    (False, True, True, False)
    """
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in choices)
    if origin in (Union, types.UnionType):
        return any(fits(value, choice) for choice in choices)
    if hint in _PLAIN:
        return isinstance(value, _PLAIN[hint]) and (hint is bool or not isinstance(value, bool))
    base = origin or hint
    if base in (list, tuple, collections.abc.Sequence, collections.abc.Iterable):
        return _fits_sequence(value, choices)
    if base in (dict, collections.abc.Mapping):
        return isinstance(value, Mapping)
    if base is os.PathLike:
        return isinstance(value, str | os.PathLike)
    # A class of the library: data can hold a spec of it, which is checked for itself.
    return not isinstance(value, int | float | str) if inspect.isclass(base) else True


# What data may stand for a plain type; a whole number does for a float.
_PLAIN: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}


def _fits_sequence(value: Any, choices: tuple[Any, ...]) -> bool:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return False
    if len(choices) > 1 and choices[-1] is not Ellipsis:
        return len(value) == len(choices) and all(map(fits, value, choices))
    return all(fits(item, choices[0]) for item in value) if choices else True


def _check_value(title: str, name: str, value: Any, hint: Any) -> list[Problem]:
    if fits(value, hint):
        return []
    choices = _literals(hint)
    if choices:
        likely = nearest(str(value), [str(choice) for choice in choices], most=1)
        meant = f" (did you mean {likely[0]}?)" if likely else ""
        fitting = ", ".join(map(repr, choices))
        return [Problem((name,), f"{title}: {name}={value!r} is not one of {fitting}{meant}")]
    return [Problem((name,), f"{title}: {name}={value!r} is {_kind(value)}; {_text(hint)} fits")]


def _literals(hint: Any) -> list[Any]:
    """The values of a choice, also of one that may be None."""
    if typing.get_origin(hint) is Literal:
        return list(typing.get_args(hint))
    if typing.get_origin(hint) in (Union, types.UnionType):
        parts = [_literals(part) or ([None] if part is type(None) else []) for part in typing.get_args(hint)]
        return [choice for part in parts for choice in part] if all(parts) else []
    return []


def _meant(name: str, names: Mapping[str, Any]) -> str:
    likely = nearest(name, names, most=1)
    if likely:
        return f" (did you mean {likely[0]!r}?)"
    return f"; it has {', '.join(names)}" if names else "; it takes none"


def _kind(value: Any) -> str:
    return {"NoneType": "nothing", "str": "text", "dict": "a mapping"}.get(
        type(value).__name__, f"of type {type(value).__name__}"
    )


def _text(hint: Any) -> str:
    text = str(hint) if typing.get_origin(hint) or not inspect.isclass(hint) else hint.__name__
    return text.replace("collections.abc.", "").replace("typing.", "").replace("NoneType", "None")


@functools.lru_cache(maxsize=1024)
def takes_data(constructor: Callable[..., Any], name: str) -> bool:
    """Whether a parameter is annotated to take a mapping, which may be the spec of a part that is built inside.

    One of names to built objects takes objects, and no data.

    >>> def net(backbone: Mapping[str, Any] | str, heads: Mapping[str, Problem], options: int = 0): ...
    >>> takes_data(net, "backbone"), takes_data(net, "heads"), takes_data(net, "options")
    (True, False, False)
    """
    hint = _hints(constructor).get(name)
    choices = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    return any(
        (typing.get_origin(choice) or choice) in (dict, collections.abc.Mapping) and not _of_objects(choice)
        for choice in choices
    )


def _of_objects(hint: Any) -> bool:
    """Whether a mapping's values are annotated to be of one class of objects."""
    values = typing.get_args(hint)[1:]
    return all(inspect.isclass(value) and value not in (Any, object, *_PLAIN) for value in values) if values else False


def _hints(constructor: Callable[..., Any]) -> Mapping[str, Any]:
    """Annotations as types; empty where they name what can't be found."""
    function = constructor.__init__ if inspect.isclass(constructor) else inspect.unwrap(constructor)
    try:
        return typing.get_type_hints(function)
    # An annotation is free text: what a stranger's one raises when it is read is its own.
    except Exception:
        return {}
