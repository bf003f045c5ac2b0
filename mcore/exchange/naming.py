"""Names in an exported file: parameters by their state_dict keys, nodes and values by module path."""

from __future__ import annotations

from collections.abc import Sequence

from mcore.exchange.recorded import Recorded
from mcore.platform.graph import CONSTANT, STATE


class Names:
    """Names of one recording's values and nodes, made when asked; each is unique in the file."""

    def __init__(
        self, recorded: Recorded, inputs: Sequence[str], outputs: Sequence[str], state_names: dict[int, str]
    ) -> None:
        recorder = self.recorder = recorded.recorder
        root = recorder.root
        self.paths = {id(module): name for name, module in root.named_modules()} if root is not None else {}
        self.taken: set[str] = {*inputs, *outputs}
        self.values: dict[int, str] = dict(zip(recorded.inputs, inputs, strict=True))
        self.nodes: dict[int, str] = {}
        self.counts: dict[str, int] = {}
        for value, tensor in recorder.states.items():
            self.values[value] = self._unique(state_names.get(tensor._uid, "state"))
        # A value given out twice, or an input given out as it is, keeps its own name; an Identity names the output.
        for value, name in zip(recorded.outputs, outputs, strict=True):
            if value not in self.values and recorder.nodes[recorder.producer[value]][0] not in (STATE, CONSTANT):
                self.values[value] = name

    def _unique(self, name: str) -> str:
        if name not in self.taken:
            self.taken.add(name)
            return name
        while True:
            self.counts[name] = self.counts.get(name, 0) + 1
            numbered = f"{name}_{self.counts[name]}"
            if numbered not in self.taken:
                self.taken.add(numbered)
                return numbered

    def node(self, index: int) -> str:
        """`layer1.0.conv1/Conv`."""
        name = self.nodes.get(index)
        if name is None:
            op = self.recorder.nodes[index][0]
            path = self.paths.get(id(self.recorder.places[index][0]), "")
            label = "constant" if op == CONSTANT else op.removeprefix("@")
            name = self.nodes[index] = self._unique(f"{path}/{label}" if path else label)
        return name

    def value(self, value: int) -> str:
        """The name of a value: its node's, with a number where the node has several."""
        name = self.values.get(value)
        if name is None:
            node = self.recorder.producer[value]
            op = self.recorder.nodes[node]
            several = op[0][0] != "@" and op[2] > 1
            base = self.node(node)
            name = self.values[value] = self._unique(f"{base}_out" if several else f"{base}:0")
        return name
