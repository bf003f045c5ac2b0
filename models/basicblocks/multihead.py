"""Several results of one map, by name.

Source: the primitives of zetta_utils' convnet (github.com/ZettaAI/zetta_utils), by what running them showed.
"""

import collections
import copy
import functools
import keyword
from collections.abc import Mapping
from typing import Any

from mcore import Module, ModuleDict, Sequential, Tensor
from models.basicblocks.layers import Factory
from models.utils.arguments import constructors


class MultiHeaded(Module):
    """What each of several modules gives for the same map, in a tuple with their names.

    Shapes:
        x: what every head takes
        returns: a named tuple `Output`, with what each head gives, in their order

    Args:
        heads: modules by name; names are those of Python's, and don't begin with "_".

    Source: zetta_utils' `MultiHeaded`.
    Differs: names that can't stand in a named tuple are refused at once, where the original fails when called.

    Raises:
        ValueError: a name can't be used, or there are no heads.
    """

    def __init__(self, heads: Mapping[str, Module]) -> None:
        _check_names("MultiHeaded", heads)
        super().__init__()
        self.heads = ModuleDict(heads)

    def forward(self, x: Tensor) -> Any:
        return _output(tuple(self.heads))(*(head(x) for head in self.heads.values()))


class MultiHeadedOutput(Module):
    """Several convolutions of one map, each with its activations, in a tuple with their names.

    Shapes:
        x: (n, in_channels, *size)
        returns: a named tuple `Output` of (n, the head's channels, *size), in the heads' order

    Args:
        in_channels: of what comes.
        heads: channels of each result, by name; names are those of Python's, and don't begin with "_".
        conv: makes a convolution, from channels in and channels out.
        preactivation: a layer that follows the convolution, whatever its name says.
        activation: a layer that comes last.

    Source: zetta_utils' `MultiHeadedOutput`.
    Differs: each head has activations of its own, which there are one layer that all share: a PReLU learns for each
    head by itself here. Weights have the original's names, once for each head, and load as they are.

    Raises:
        ValueError: a name can't be used, or there are no heads.
        TypeError: an activation is a constructor instead of a layer, or `conv` a layer instead of a constructor.
    """

    def __init__(
        self,
        in_channels: int,
        heads: Mapping[str, int],
        conv: Factory,
        preactivation: Module | None = None,
        activation: Module | None = None,
    ) -> None:
        _check_names("MultiHeadedOutput", heads)
        constructors(of="MultiHeadedOutput", conv=conv)
        for name, layer in (("preactivation", preactivation), ("activation", activation)):
            if layer is not None and not isinstance(layer, Module):
                raise TypeError(
                    f"MultiHeadedOutput: {name}={layer!r} is no layer; give one that is built, which each head copies."
                )
        super().__init__()
        behind = [layer for layer in (preactivation, activation) if layer is not None]
        self.heads = ModuleDict(
            {
                name: Sequential(conv(in_channels, channels), *map(copy.deepcopy, behind))
                for name, channels in heads.items()
            }
        )

    def forward(self, x: Tensor) -> Any:
        return _output(tuple(self.heads))(*(head(x) for head in self.heads.values()))


# Made once for the same names, so that results of two calls are of one class.
@functools.cache
def _output(names: tuple[str, ...]) -> Any:
    return collections.namedtuple("Output", names)  # type: ignore[misc]  # the fields are known when it is built


def _check_names(title: str, heads: Any) -> None:
    """Refuses what isn't by name, and names that a named tuple's fields or a ModuleDict's entries can't have."""
    if not isinstance(heads, Mapping) or not heads:
        raise ValueError(f"{title}: heads={heads!r} names none; give at least one by its name, in a mapping.")
    taken = ModuleDict()
    for name in heads:
        fits = isinstance(name, str) and name.isidentifier() and not name.startswith("_")
        if not fits or keyword.iskeyword(name) or hasattr(taken, name):
            raise ValueError(
                f"{title}: {name!r} can't name a head; take letters, digits and '_', a letter first, and neither one "
                "of Python's own words nor of a ModuleDict's, such as 'keys'."
            )
