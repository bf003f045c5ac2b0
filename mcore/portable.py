"""What a Module of either engine can do besides torch's: remember its arguments, travel to the platform."""

import copy
import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from types import FunctionType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from mcore.exchange.artifact import Artifact


class Portable:
    """Export and import, as methods of a Module."""

    # The scripting compiler of torch leaves these alone.
    __jit_ignored_attributes__ = ("_arguments",)

    def toplatform(
        self,
        path: str | PathLike[str],
        sizes: Sequence[Sequence[int]] | None = None,
        *,
        inputs: Sequence[Any] | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> "Artifact":
        """Export to the platform: a folder at `path` with the graph, the state, a description and test data.

        `sizes` are shapes of one float32 input; `inputs` are tensors, or tuples of tensors where there are
        several inputs or other dtypes. The first one records, all are verified. `options` are those of
        `mcore.toplatform`.

        Raises:
            FileExistsError: the folder exists and `overwrite` is false.
        """
        from mcore.exchange import export

        return export.toplatform(self, path, sizes=sizes, inputs=inputs, overwrite=overwrite, **options)

    @classmethod
    def fromplatform(cls, path: str | PathLike[str]) -> Self:
        """The module that `toplatform` wrote at `path`: built anew by this class, with the same weights."""
        from mcore.exchange import imports

        return imports.rebuild(cls, path)

    def load_platform(self, path: str | PathLike[str], part: str | None = None) -> Any:
        """Take the weights of the artifact at `path`; with `part="backbone"`, those of that part alone."""
        from mcore.exchange import imports

        return imports.load_platform(self, path, part=part)

    def load_from(
        self, repo: Any, id: str, *, parts: Sequence[str] | Mapping[str, str] | str | None = None, **options: Any
    ) -> Any:
        """Take the weights of checkpoint `id` of the repository `repo`; with `parts`, only theirs. Tells what it did.

        `options` are those of `mcore.checkpoint.parts.loading.load_into`: strict, resize, channels, into.
        """
        return repo.load_into(self, id, parts=parts, **options)


class Arguments(dict[str, Any]):
    """What a constructor received, by parameter name; what cannot be copied doesn't make a copy fail."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Arguments":
        return Arguments({name: _copied(value, memo) for name, value in self.items()})

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return Arguments, ({name: _picklable(value) for name, value in self.items()},)


class Unwritable:
    """Stands for an argument that is used up by reading, or cannot be written; `what` says what it was."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"<not kept: {self.what}>"


def received(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
    """The arguments of a call of `cls`, by parameter name, exactly as given: defaults are not filled in.

    `*args` and `**kwargs` stand under their own names, as a tuple and a dict. Lists and dicts are copied, so
    that what the constructor does to them doesn't show. Arguments that don't fit are left for `__init__` to
    refuse.

    >>> class Net:
    ...     def __init__(self, width, *blocks, depth=2, **options): ...
    >>> received(Net, (8, "a", "b"), {"bias": False})
    {'width': 8, 'blocks': ('a', 'b'), 'options': {'bias': False}}
    """
    try:
        # mypy: the class of the call, not one derived from it, tells its parameters.
        bound = _signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]
    except TypeError:
        return Arguments()
    values = iter(bound.arguments.items())
    next(values)  # self
    return Arguments((name, _snapshot(value)) for name, value in values)


def remember(instance: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Keep on `instance`, as `_arguments`, what its constructor received; call it before `__init__`.

    Not through the instance's own `__setattr__`: a Module's isn't ready before its `__init__`, and would sort
    modules and parameters into its state.
    """
    object.__setattr__(instance, "_arguments", received(type(instance), args, kwargs))


@functools.lru_cache(maxsize=4096)
def _signature(init: Callable[..., None]) -> inspect.Signature:
    # Annotations stay unread, and __wrapped__ is followed, so a decorated constructor tells its own names.
    return inspect.signature(init)


def _snapshot(value: Any) -> Any:
    """`value` with its lists, tuples and dicts copied, all else as it is; an iterator is only named."""
    # Most arguments are numbers, strings and flags.
    if value is None or type(value) in (int, float, bool, str):
        return value
    if type(value) in (list, tuple, set):
        return type(value)(map(_snapshot, value))
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _snapshot(item)) for key, item in value.items())
    if isinstance(value, Iterator):
        return Unwritable(f"a {type(value).__name__}, which can be read only once")
    return value


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    # What a class raises that refuses to be copied is its own choice.
    except Exception as error:
        return Unwritable(f"a {type(value).__name__}, which cannot be copied: {error}")


def _picklable(value: Any) -> Any:
    """`value` with its functions that have no importable name replaced; all else is pickled as it is."""
    if type(value) in (list, tuple, set):
        return type(value)(map(_picklable, value))
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _picklable(item)) for key, item in value.items())
    if isinstance(value, FunctionType) and "<" in value.__qualname__:
        return Unwritable(f"the function {value.__qualname__} of {value.__module__}, which no import can reach")
    return value
