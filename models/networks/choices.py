"""Norms and activations of EMVision's networks, as their arguments name them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mcore import (
    ELU,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LeakyReLU,
    Module,
    PReLU,
    ReLU,
)
from mcore.vocabulary import nearest
from models.basicblocks.layers import Choice, Factory, norm_layer

# A norm by name ("batch", "instance", "group", "channel"), one with arguments, the class of a norm or its name, a
# constructor from channels, or None.
Norm = Choice

# Classes that stand for a name, and their own names.
_CLASSES: dict[Any, str] = {BatchNorm3d: "batch", InstanceNorm3d: "instance"}
_CLASSES |= {cls.__name__: name for cls, name in [*_CLASSES.items()]}
# Classes for sequences and images.
_FLAT: tuple[Any, ...] = (BatchNorm1d, BatchNorm2d, InstanceNorm1d, InstanceNorm2d)
# Activations and the arguments that each takes, with what it has without.
_ACTIVATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ReLU": (ReLU, {}),
    "LeakyReLU": (LeakyReLU, {"negative_slope": 0.01}),
    "PReLU": (PReLU, {"num_parameters": 1, "init": 0.25}),
    "ELU": (ELU, {"alpha": 1.0}),
}
# The argument that is a slope below zero, by which the initial weights are drawn.
_SLOPES = {"LeakyReLU": "negative_slope", "PReLU": "init"}


class Activation(NamedTuple):
    """An activation by its class's name, and its arguments."""

    name: str = "ReLU"
    arguments: Mapping[str, Any] = {}

    @property
    def slope(self) -> float:
        """The slope below zero at the beginning; 0 for what has none."""
        _, known = _ACTIVATIONS[self.name]
        argument = _SLOPES.get(self.name, "")
        return self.arguments.get(argument, known.get(argument, 0.0))

    def made(self, width: Sequence[int], *, of: str, alone: bool) -> Factory:
        """Its constructor, from nothing; where it stands `alone`, without a norm, it writes nothing in place.

        Raises:
            ValueError: as many slopes as no level's channels.
        """
        cls, _ = _ACTIVATIONS[self.name]
        arguments = {key: value for key, value in self.arguments.items() if key != "inplace"}
        slopes = arguments.get("num_parameters", 1)
        if slopes != 1 and set(width) != {slopes}:
            raise ValueError(
                f"{of}: num_parameters={slopes} slopes don't fit levels of {sorted(set(width))} channels; take 1, or "
                "levels that all have as many."
            )
        if self.name != "PReLU":
            # What a norm gave is read by nothing else.
            arguments["inplace"] = not alone

        def make() -> Module:
            return cls(**arguments)

        return make


RELU = Activation()


def activation_of(act: str, act_params: Mapping[str, Any], *, of: str) -> Activation:
    """The activation of this name with these arguments.

    Raises:
        ValueError: no such activation, or an argument that is no number.
        TypeError: an argument that it doesn't have.
    """
    if not isinstance(act, str) or act not in _ACTIVATIONS:
        likely = nearest(str(act), _ACTIVATIONS, least=0.0, most=1)[0]
        raise ValueError(f"{of}: act={act!r} is none of {', '.join(_ACTIVATIONS)}; the nearest is {likely!r}.")
    # The original took `inplace` and overrode it.
    known = [*_ACTIVATIONS[act][1], *(["inplace"] if act != "PReLU" else [])]
    for name, value in act_params.items():
        if name not in known:
            raise TypeError(f"{of} has no argument {name!r}, nor has act={act!r}, which takes {', '.join(known)}.")
        kinds = int if name == "num_parameters" else int | float
        if name != "inplace" and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise ValueError(f"{of}: {name}={value!r} is no {'whole ' if kinds is int else ''}number.")
    return Activation(act, dict(act_params))


def norm_of(norm: Norm, *, of: str) -> Factory | None:
    """The constructor of a norm from its channels; None stands for none.

    Raises:
        ValueError: no norm of this name, or a class that needs more than channels or isn't for volumes.
    """
    if norm is GroupNorm:
        raise ValueError(f'{of}: norm=GroupNorm needs a number of groups; take {{"name": "group", "num_groups": 4}}.')
    if any(norm is flat for flat in _FLAT):
        raise ValueError(f"{of}: norm={norm!r} is for fewer axes than a volume has; take the class that ends in 3d.")
    return norm_layer(norm_name(norm), 3, of=of)


def norm_name(norm: Norm) -> Norm:
    """The name of a norm that came as its class, which a configuration can hold; others as they are."""
    return _CLASSES.get(norm, norm) if isinstance(norm, type | str) else norm


__all__ = ["RELU", "Activation", "Norm", "activation_of", "norm_name", "norm_of"]
