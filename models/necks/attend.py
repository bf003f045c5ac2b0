"""Attention on every map of a pyramid or backbone."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mcore import ModuleDict, Tensor, registry
from mcore.signatures import check_arguments, signature
from models.basicblocks.layers import Factory
from models.necks.base import Neck


class Attend(Neck):
    """An attention block on each map: `Attend("CBAM")`.

    Shapes:
        features: maps (n, in_channels[i], *size[i]), finest first
        returns: the same

    Args:
        attention: the name of one of `models.available("attention")` that is made from `channels`, or a
            constructor of a block from its channels.
        options: more arguments of the one named: `{"reduction": 8}`.
        in_channels: of every map fed; from `models.assemble`, where left out.
        in_strides: of every map fed; where left out, doubling from 4.
        out_indices: positions of the maps to return; blocks of others aren't built.
        dims: 1, 2 or 3, as the block allows.

    Names: blocks, by level.

    Raises:
        ValueError: no such attention block, it takes other arguments, or has no such number of dimensions.
    """

    def __init__(
        self,
        attention: str | Factory,
        *,
        options: Mapping[str, Any] | None = None,
        in_channels: int | Sequence[int] | None = None,
        in_strides: Sequence[int] | None = None,
        out_indices: Sequence[int] | None = None,
        dims: Literal[1, 2, 3] = 2,
    ) -> None:
        super().__init__(in_channels, in_strides, dims=dims)
        self._gives(list(zip(self.in_channels, self.in_strides, strict=True)), out_indices)
        make = _named(attention, dict(options or {}), dims) if isinstance(attention, str) else attention
        if options and make is attention:
            raise ValueError(f"Attend: options={dict(options)} go with a name; {attention!r} has its own.")
        self.blocks = ModuleDict({str(level): make(self.in_channels[level]) for level in self.out_indices})

    def forward(self, features: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        fed = self._fed(features)
        return tuple(self.blocks[str(level)](fed[level]) for level in self.out_indices)


def _named(name: str, options: dict[str, Any], dims: int) -> Factory:
    """What makes the attention block of this name from the channels of a map."""
    try:
        constructor = registry.lookup(name, "attention").load()
    except registry.UnknownComponent as error:
        raise ValueError(f"Attend: {error}") from None
    first, *others = signature(constructor).parameters
    if first not in ("channels", "in_channels"):
        raise ValueError(f"Attend: {name} isn't made from the channels of a map; its first parameter is {first!r}.")
    computed = {"dims": dims} if "dims" in others else {}
    if dims != 2 and not computed:
        raise ValueError(f"Attend: {name} has two dimensions only, but dims={dims}.")
    taken = [key for key in (first, "dims") if key in options]
    if taken:
        raise ValueError(f"Attend: options set {taken[0]!r}, which comes from what feeds it; leave it out.")
    problems = check_arguments(constructor, {**options, **computed}, title=name, given_by_others=[first])
    if problems:
        raise ValueError(f"Attend: {'; '.join(problem.message for problem in problems)}.")
    return lambda channels: constructor(channels, **options, **computed)
