"""What components of the zoo have in common: they know their configuration, and may wait for channels."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from mcore import Module
from mcore.config import FORMAT
from mcore.registry import kinds_of, lookup
from mcore.signatures import signature

Net = TypeVar("Net", bound=Module)


class Feeds(NamedTuple):
    """What a part is fed: channels and strides of maps, finest first, and their number of dimensions."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    dims: int

    @property
    def features(self) -> list[tuple[int, int]]:
        return list(zip(self.channels, self.strides, strict=True))


class Component(Module):
    """A backbone, neck, head or network, which can be built again from its configuration.

    A class whose sizes have names takes the name as its first argument, `variant`.
    """

    def spec(self) -> dict[str, Any]:
        """The type and the arguments, as the constructor received them; weights are no part of it.

        Raises:
            ValueError: an argument is no plain data.
        """
        received: Mapping[str, Any] = self._arguments  # type: ignore[assignment]  # kept by the metaclass
        arguments = {name: value for name, value in received.items() if name != "weights"}
        name = arguments.pop("variant", type(self).__name__)
        return {"type": name, **{key: plain(value, f"{name}: {key}") for key, value in arguments.items()}}

    def config(self) -> dict[str, Any]:
        """The configuration that `models.from_config` builds this from."""
        spec = self.spec()
        # A head may have the name of the network that it is known from, which comes first.
        others = kinds_of(str(spec.get("type")))[1:]
        meant = [kind for kind in others if lookup(spec["type"], kind).load() is type(self)]
        return {"mcore": FORMAT, "model": ({"@kind": meant[0]} if meant else {}) | spec}

    def _put(self, name: str, layer: Module) -> None:
        """Registers `layer` under a name that an attribute has already; `_layer` gives it back.

        Publishers call layers `features` and `classifier`; here these tell the maps and the state's names.
        """
        self._modules[name] = layer

    def _layer(self, name: str) -> Any:
        return self._modules[name]


def plain(value: Any, where: str) -> Any:
    """`value` as data that a configuration can hold; `where` names it in the error.

    Raises:
        ValueError: it is no data, nor a component made of data.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Component | Unbuilt):
        return value.spec()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise ValueError(f"{where}={value!r} can't be written in a configuration; give its name or plain data.")


def is_data(value: Any) -> bool:
    """Whether a configuration can hold `value` as it is.

    >>> is_data((1, "a")), is_data(print)
    (True, False)
    """
    try:
        plain(value, "")
    except ValueError:
        return False
    return True


class UnbuiltError(RuntimeError, AttributeError):
    """A part was used before it was told its channels.

    Also an AttributeError, so that `hasattr` and `copy` find what they look for absent.
    """


class Unbuilt:
    """A neck or head that waits for the channels that it will be fed: a recipe, without weights."""

    def __init__(self, constructor: Callable[..., Module], arguments: Mapping[str, Any]) -> None:
        self.constructor, self.arguments = constructor, dict(arguments)

    def build(self, feeds: Feeds) -> Any:
        """The part for these feeds; the recipe stays, and can be built again."""
        known = signature(self.constructor).parameters
        fed = {"in_channels": list(feeds.channels), "in_strides": list(feeds.strides), "dims": feeds.dims}
        return self.constructor(**{**{key: fed[key] for key in fed if key in known}, **self.arguments})

    def spec(self) -> dict[str, Any]:
        """The type and the arguments that were given."""
        name = self.constructor.__name__
        known = signature(self.constructor).parameters
        # None is left out where it says nothing; for a norm, say, it is a choice.
        given = {
            key: value for key, value in self.arguments.items() if value is not None or known[key].default is not None
        }
        return {"type": name, **{key: plain(value, f"{name}: {key}") for key, value in given.items()}}

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("be called")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name in ("constructor", "arguments"):
            raise AttributeError(name)
        self._refuse(f"give its {name}")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.constructor.__name__}({arguments}), unbuilt"

    def _refuse(self, what: str) -> NoReturn:
        name = self.constructor.__name__
        raise UnbuiltError(
            f"{name} is unbuilt and can't {what}: it doesn't know its input channels yet. "
            f"Give it to models.assemble, or make it whole: {name}(..., in_channels=...)."
        )


class _PartType(type(Module)):  # type: ignore[misc]  # the metaclass is the engine's own
    """Calls without `in_channels` make a recipe; others make the part."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        given = _bound(cls, args, kwargs)
        if given.get("in_channels") is None:
            return Unbuilt(cls, given)
        return super().__call__(*args, **kwargs)


class Part(Component, metaclass=_PartType):
    """A neck or head. Made without `in_channels` it is unbuilt: `models.assemble` tells it and builds it."""

    # Whether `forward` takes the size of the image, to which a dense result is brought.
    dense = False


def _bound(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name; a misspelt one is refused here, also where nothing is built yet."""
    try:
        return dict(signature(cls).bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}; its parameters are {signature(cls)}.") from None


def feeds_of(features: Sequence[tuple[int, int]], dims: int) -> Feeds:
    """The feeds that a part with these `features` is for the next."""
    return Feeds(tuple(c for c, _ in features), tuple(s for _, s in features), dims)


def strides_from(in_strides: Sequence[int] | None, count: int, *, first: int) -> tuple[int, ...]:
    """Strides of `count` maps: those given, or doubling from `first`.

    >>> strides_from(None, 4, first=4)
    (4, 8, 16, 32)
    """
    return tuple(in_strides) if in_strides is not None else tuple(first << level for level in range(count))


def sized(cls: Callable[..., Net], variant: str) -> Callable[..., Net]:
    """A constructor of `cls` for one row of its table of sizes, with the signature that is left.

    Its name is the row's, so a size needs a row, and no function of its own.
    """

    @functools.wraps(cls.__init__, assigned=())  # type: ignore[misc]  # the class given, not one derived from it
    def construct(*args: Any, **kwargs: Any) -> Net:
        return cls(variant, *args, **kwargs)

    whole = signature(cls)
    left = [parameter for name, parameter in whole.parameters.items() if name != "variant"]
    construct.__signature__ = whole.replace(parameters=left, return_annotation=cls)  # type: ignore[attr-defined]
    construct.__name__ = construct.__qualname__ = variant
    construct.__module__ = cls.__module__
    construct.__doc__ = inspect.getdoc(cls)
    return construct
