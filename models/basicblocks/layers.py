"""Layers by number of dimensions and by name: one source serves sequences, images and volumes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from mcore import (
    ELU,
    GELU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    Identity,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LeakyReLU,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    Mish,
    Module,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)
from mcore.vocabulary import nearest
from models.basicblocks.norm import ChannelNorm

# A constructor of a layer: of a norm from its channels, of an activation from nothing.
Factory = Callable[..., Module]
# Which norm or activation: its name, its name with arguments ({"name": "leaky_relu", "negative_slope": 0.1}), a
# constructor, or None for none.
Choice = str | Mapping[str, Any] | Factory | None
# Norms of each image by itself that have no weights.
PLAIN_INSTANCE = {"name": "instance", "affine": False}


class Layers(NamedTuple):
    """The layers for a number of dimensions, and the name of linear interpolation there."""

    conv: Any
    conv_transpose: Any
    batch_norm: Any
    instance_norm: Any
    max_pool: Any
    avg_pool: Any
    linear: str
    adaptive_avg_pool: Any


LAYERS = {
    1: Layers(Conv1d, ConvTranspose1d, BatchNorm1d, InstanceNorm1d, MaxPool1d, AvgPool1d, "linear", AdaptiveAvgPool1d),
    2: Layers(
        Conv2d, ConvTranspose2d, BatchNorm2d, InstanceNorm2d, MaxPool2d, AvgPool2d, "bilinear", AdaptiveAvgPool2d
    ),
    3: Layers(
        Conv3d, ConvTranspose3d, BatchNorm3d, InstanceNorm3d, MaxPool3d, AvgPool3d, "trilinear", AdaptiveAvgPool3d
    ),
}

ACTIVATIONS: dict[str, Factory] = {
    "relu": ReLU,
    "relu6": ReLU6,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "hardswish": Hardswish,
    "prelu": PReLU,
    "sigmoid": Sigmoid,
    "hardsigmoid": Hardsigmoid,
    "tanh": Tanh,
}


def layers(dims: int, *, of: str) -> Layers:
    """The layers for `dims` dimensions; `of` is the class that asks, named in the error.

    Raises:
        ValueError: `dims` isn't 1, 2 or 3.
    """
    if dims not in LAYERS:
        raise ValueError(f"{of}: dims={dims!r} is not 1, 2 or 3.")
    return LAYERS[dims]


def norm_layer(norm: Choice, dims: int, *, of: str) -> Factory | None:
    """The constructor of a norm, from its channels: by name, or `norm` itself; None stands for none.

    >>> norm_layer({"name": "group", "num_groups": 4}, 2, of="UNet")(8).num_groups
    4

    Raises:
        ValueError: no norm of this name.
    """
    if norm is None or callable(norm):
        return norm
    name, more = _named(norm, "norm", of)
    by_name: dict[str, Factory] = {
        "batch": layers(dims, of=of).batch_norm,
        "instance": partial(layers(dims, of=of).instance_norm, affine=True),
        "group": group_norm,
        "channel": ChannelNorm,
    }
    made = by_name[_known(name, by_name, "norm", of)]
    return partial(made, **more) if more else made


def group_norm(channels: int, num_groups: int | None = None) -> GroupNorm:
    """GroupNorm of `num_groups`; where left out, of at most 32: as many as divide `channels`.

    >>> group_norm(48).num_groups
    24
    """
    if num_groups is not None:
        return GroupNorm(num_groups, channels)
    return GroupNorm(next(groups for groups in range(32, 0, -1) if channels % groups == 0), channels)


def activation_layer(activation: Choice, *, of: str) -> Module:
    """A new activation: by name, or what `activation` makes; None passes everything.

    Raises:
        ValueError: no activation of this name.
    """
    if activation is None:
        return Identity()
    if callable(activation):
        return activation()
    name, more = _named(activation, "activation", of)
    return ACTIVATIONS[_known(name, ACTIVATIONS, "activation", of)](**more)


def _named(choice: str | Mapping[str, Any], what: str, of: str) -> tuple[str, dict[str, Any]]:
    """The name in a choice, and the arguments beside it."""
    if isinstance(choice, str):
        return choice, {}
    if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
        shown = dict(choice) if isinstance(choice, Mapping) else choice
        raise ValueError(f'{of}: {what}={shown!r} has no name; write {{"name": ..., argument: value}}.')
    return choice["name"], {key: value for key, value in choice.items() if key != "name"}


def _known(name: str, table: dict[str, Factory], what: str, of: str) -> str:
    if name not in table:
        likely = nearest(name, table, least=0.0, most=1)[0]
        raise ValueError(
            f"{of}: {what}={name!r} is none of {', '.join(table)}, None or a constructor; the nearest is {likely!r}."
        )
    return name
