"""The layers of a description as one module.

Names: `<number>.conv`, `.bn`, `.fc`, `.weights`; numbers are those of the description, counting from 0.
"""

from collections.abc import Sequence
from typing import Any

from mcore import ModuleDict, Tensor
from models.darknet.cfg import Flavour
from models.darknet.layers import module_of
from models.darknet.plan import IMAGE, Plan


class Graph(ModuleDict):
    """Layers by number, run in order: only those that the outputs need are there.

    Shapes:
        x: (n, in_channels, h, w)
        returns: what each of the output layers gives, in the order asked for
    """

    def __init__(self, plan: Plan, outputs: Sequence[int], flavour: Flavour) -> None:
        wanted = plan.needed(outputs)
        super().__init__({str(index): module_of(plan.layers[index], flavour) for index in wanted})
        self._outputs = tuple(outputs)
        self._fed = [(index, plan.layers[index].inputs) for index in wanted]
        last = {source: index for index, inputs in self._fed for source in inputs}
        # Maps that no later layer needs, by the layer after which they are let go.
        self._done: dict[int, list[int]] = {}
        for source, index in last.items():
            if source not in self._outputs:
                self._done.setdefault(index, []).append(source)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps: dict[int, Any] = {IMAGE: x}
        for index, inputs in self._fed:
            maps[index] = self[str(index)](*(maps[source] for source in inputs))
            for source in self._done.get(index, ()):
                del maps[source]
        return tuple(maps[index] for index in self._outputs)
