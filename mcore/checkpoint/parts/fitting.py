"""Whether entries of a checkpoint fit those of a network, what is made fit, and what became of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcore.checkpoint.errors import Incompatible
from mcore.checkpoint.parts.channels import Mixing, Said, by_number, mixed, mixing
from mcore.checkpoint.parts.composition import Part, layers_of
from mcore.checkpoint.parts.moves import Move
from mcore.checkpoint.records import Component, Record

# Counted by norms, for torch's sake; files of before have none, and torch doesn't ask for it either.
_COUNTER = "num_batches_tracked"
_CLASSES = "resize=True keeps our own values of the layer that scores the classes."
_SHOWN = 3


@dataclass
class LoadReport:
    """What became of each entry that was asked for.

    Attributes:
        checkpoint: its id and its place in the trees.
        loaded: names in the network, of what was taken as it is.
        adapted: of what was made fit, and how.
        kept: of what has its own values still, and why.
        left_out: names in the checkpoint, of what the network has no place for, and why.
    """

    checkpoint: str = ""
    loaded: list[str] = field(default_factory=list)
    adapted: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.checkpoint}: {len(self.loaded) + len(self.adapted)} entries loaded"]
        for title, names in (("made fit", self.adapted), ("kept as they were", self.kept), ("left out", self.left_out)):
            reasons: dict[str, list[str]] = {}
            for name, why in names.items():
                reasons.setdefault(why, []).append(name)
            for why, several in reasons.items():
                more = f", ... ({len(several)} in all)" if len(several) > _SHOWN else ""
                lines.append(f"  {title}: {', '.join(several[:_SHOWN])}{more}: {why}")
        return "\n".join(lines)


class Fitting:
    """Compares what is asked for, part by part; `judge` tells all that doesn't fit at once.

    Attributes:
        taken: arrays by the network's names, for what can be loaded.
        report: what becomes of each entry.
    """

    def __init__(
        self, record: Record, own: Sequence[Part], hands: Any, *, strict: bool, resize: bool, channels: Said | None
    ) -> None:
        self.record, self.own, self.hands = record, own, hands
        self.strict, self.resize, self.channels = strict, resize, channels
        self.taken: dict[str, np.ndarray] = {}
        self.report = LoadReport(f"{record.id} ({record.address}@{record.version})")
        self.wrong: list[str] = []
        self.hints: dict[str, None] = {}
        self.owners: dict[int, str] = {}
        self.sees = False

    def add(self, move: Move, theirs: Mapping[str, tuple[str, np.ndarray]], ours: Mapping[str, Any]) -> None:
        """Compares the entries of one part: arrays under our names, each with its own, and our tensors."""
        layers = _Layers(move, self.own, ours)
        fresh = self._fresh(layers, theirs, ours)
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            layer = name.rpartition(".")[0]
            if layer in fresh:
                (self.report.kept if name in ours else self.report.left_out)[name] = fresh[layer]
            elif name not in theirs:
                self._missing(name, _shape(ours[name]), layer in layers.classifiers)
            elif name not in ours:
                source, array = theirs[name]
                self._unexpected(source, array, layers.may_lack(layer, ours))
            else:
                self._both(name, theirs[name][1], ours[name], layers)

    def judge(self, net: Any, parts: Any) -> None:
        """Refuses what doesn't fit.

        Raises:
            Incompatible: with every entry that doesn't.
            ValueError: `channels` was given, but nothing that sees the image is loaded.
        """
        asked = "" if parts is None else f", parts={parts!r}"
        if self.wrong:
            hints = "".join(f"\n{hint}" for hint in [*self.hints, *self._place(parts)])
            listed = "\n  ".join(self.wrong)
            raise Incompatible(
                f"{self.report.checkpoint} doesn't fit {type(net).__name__}{asked}, and nothing was changed:"
                f"\n  {listed}{hints}"
            )
        if not self.taken:
            raise Incompatible(
                f"{self.report.checkpoint} has nothing that {type(net).__name__} has a place for{asked}; nothing was "
                f"changed. The network has {_some(name for part in self.own for name in part.entries)}; left out would "
                f"be {_some(self.report.left_out)}."
            )
        if self.channels is not None and not self.sees:
            raise ValueError(
                f"load_into: channels={self.channels!r}, but nothing of what is loaded{asked} sees the image; nothing "
                "was changed."
            )

    def _fresh(
        self, layers: _Layers, theirs: Mapping[str, tuple[str, np.ndarray]], ours: Mapping[str, Any]
    ) -> dict[str, str]:
        """Layers that score another number of classes, and why they aren't loaded; with `resize` alone."""
        out: dict[str, str] = {}
        for layer in layers.classifiers:
            shapes = [
                (name, theirs[name][1].shape, _shape(ours[name]))
                for name in ours
                if name.rpartition(".")[0] == layer and name in theirs
            ]
            other = [(name, a, b) for name, a, b in shapes if tuple(a) != b]
            if other and self.resize:
                _, a, b = other[0]
                out[layer] = (
                    f"the layer of the classes, {tuple(a)} in the checkpoint, {b} in the network, keeps its values"
                )
            elif other:
                self.hints[_CLASSES] = None
        return out

    def _missing(self, name: str, shape: tuple[int, ...], is_classifier: bool) -> None:
        if name.endswith(_COUNTER):
            self.report.kept[name] = "a counter, which the checkpoint lacks"
        elif is_classifier and self.resize:
            self.report.kept[name] = "the layer of the classes, which the checkpoint lacks"
        elif not self.strict:
            self.report.kept[name] = "the checkpoint lacks it"
        else:
            self.wrong.append(f"{name}: the checkpoint has none, the network {shape}")
            self.hints |= {_CLASSES: None} if is_classifier else {}

    def _unexpected(self, source: str, array: np.ndarray, may_lack: bool) -> None:
        if may_lack:
            self.report.left_out[source] = "the layer of the classes, which the network lacks"
        elif not self.strict:
            self.report.left_out[source] = "the network lacks it"
        else:
            self.wrong.append(f"{source}: the checkpoint has {tuple(array.shape)}, the network none")

    def _both(self, name: str, array: np.ndarray, tensor: Any, layers: _Layers) -> None:
        shape = _shape(tensor)
        if _is_float(array) != self.hands.is_float(tensor):
            self.wrong.append(
                f"{name}: the checkpoint has {array.dtype} {tuple(array.shape)}, the network {tensor.dtype} {shape}"
            )
            return
        component = layers.first_of(name)
        if component is not None and (self.channels is not None or tuple(array.shape) != shape):
            fit = self._first(name, array, shape, component)
            if fit is None:
                return
            array = fit
        if array.size == 1 and len(shape) < 2 and array.ndim < 2:
            array = array.reshape(shape)  # files of torch before 0.4 have one number as a list of one
        if tuple(array.shape) != shape:
            self.wrong.append(f"{name}: the checkpoint has {tuple(array.shape)}, the network {shape}")
        elif self._agrees(name, array, tensor):
            self.taken[name] = array
            if name not in self.report.adapted:
                self.report.loaded.append(name)

    def _agrees(self, name: str, array: np.ndarray, tensor: Any) -> bool:
        """Refuses two values for one tensor of the network that has two names."""
        other = self.owners.setdefault(id(tensor), name)
        if other == name or np.array_equal(self.taken[other], array):
            return True
        self.wrong.append(f"{name}: is {other} too in the network, but the checkpoint has another value for each")
        return False

    def _first(self, name: str, array: np.ndarray, shape: tuple[int, ...], component: Component) -> np.ndarray | None:
        """The weight of a layer that sees the image, for our channels; None where it is refused."""
        self.sees = True
        if array.ndim != len(shape) or array.shape[:1] + array.shape[2:] != shape[:1] + shape[2:]:
            return array  # other differences are told as those of any layer
        mix = self._mix(name, array.shape[1], shape[1], component)
        if mix is None:
            self.wrong.append(f"{name}: the checkpoint has {tuple(array.shape)}, the network {shape}")
            return None
        if mix.same:
            return array
        self.report.adapted[name] = f"channels {'+'.join(component.channels) or array.shape[1]} to ours: {mix}"
        return mixed(array, mix)

    def _mix(self, name: str, theirs: int, ours: int, component: Component) -> Mixing | None:
        said = component.channels
        if self.channels is not None:
            if len(said) != theirs:
                knows = f"names {len(said)} channels for {theirs}" if said else "doesn't tell what its channels mean"
                self.hints[
                    f"The checkpoint {knows}, so that channels={self.channels!r} can't be followed; "
                    "resize=True goes by their number."
                ] = None
                return None
            mix = mixing(said, self.channels)
            if len(mix.told) != ours:
                raise ValueError(
                    f"load_into: channels={self.channels!r} names {len(mix.told)}, but {name} of the network takes "
                    f"{ours}."
                )
            return mix
        if self.resize:
            if ours == 1 and len(said) == theirs and {"R", "G", "B"} <= set(said):
                return mixing(said, "L")
            counted = by_number(theirs, ours)
            if counted is None:
                self.hints['Which of its channels ours are, only you know: channels="RGB", ...'] = None
            return counted
        seen = f", which are {'+'.join(said)}" if said else ""
        self.hints[
            f'Say what our channels are, as in channels="RGB+mask", and the first convolution is made of the '
            f"checkpoint's{seen}; or resize=True, where new ones are zero."
        ] = None
        return None

    def _place(self, parts: Any) -> list[str]:
        """What may have been meant, where a backbone and a whole network met."""
        if parts is not None:
            return []
        roles = [{one.role for one in many} for many in (self.record.components, self.own)]
        one_sided = "backbone" in roles[0] & roles[1] and roles[0] != roles[1]
        return ['parts=["backbone"] loads the backbone alone.'] if one_sided else []


class _Layers:
    """Layers, by the network's names, that see the image or score classes, as either side tells them."""

    def __init__(self, move: Move, own: Sequence[Part], ours: Mapping[str, Any]) -> None:
        self.first: dict[str, Component] = {}
        self.classifiers: dict[str, None] = {}
        self.backbones: set[str] = set()
        for component in move.components:
            front = f"{component.name}." if component.name else ""
            for layer in component.first_conv:
                self.first[_moved(move, front + layer)] = component
            for layer in component.classifier:
                self.classifiers[_moved(move, front + layer)] = None
                self.backbones |= {_moved(move, front + layer)} if component.role == "backbone" else set()
        layers = _weights(ours)
        seeing = [one for one in move.components if one.first_conv or one.role in ("backbone", "network")]
        for layer in self._own(own, "first_conv", layers):
            if seeing:
                self.first.setdefault(layer, seeing[0])
        self.classifiers |= dict.fromkeys(self._own(own, "classifier", layers))
        if not move.is_below and seeing and not self.first:
            # Nobody tells: the first that has a kernel, and the last of all.
            self.first = dict.fromkeys([one for one in layers if len(layers[one]) > 2][:1], seeing[0])
        if (
            not move.is_below
            and not self.classifiers
            and any(one.role in ("head", "network") for one in move.components)
        ):
            self.classifiers = dict.fromkeys(list(layers)[-1:])

    def first_of(self, name: str) -> Component | None:
        """The component whose image a weight sees."""
        layer, _, leaf = name.rpartition(".")
        return self.first.get(layer) if leaf == "weight" else None

    def may_lack(self, layer: str, ours: Mapping[str, Any]) -> bool:
        """Whether it is the classifier of a backbone, of which the network has nothing."""
        return layer in self.backbones and not any(name.startswith(f"{layer}.") for name in ours)

    def _own(self, own: Sequence[Part], role: str, layers: Iterable[str]) -> list[str]:
        named = [part.prefix + layer for part in own for layer in layers_of(part.module, role)]
        there = set(layers)
        return [layer for layer in named if layer in there]


def _moved(move: Move, name: str) -> str:
    return move.ours + name.removeprefix(move.theirs) if name.startswith(move.theirs) else f"\0{name}"


def _weights(ours: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Layers that have a weight of two axes or more, in order, and its shape."""
    found = {name.rpartition("."): _shape(tensor) for name, tensor in ours.items()}
    return {layer: shape for (layer, _, leaf), shape in found.items() if leaf == "weight" and len(shape) > 1}


def _is_float(array: np.ndarray) -> bool:
    # bfloat16 and float8 are no kind that numpy knows.
    return array.dtype.kind == "f" or "float" in array.dtype.name


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(map(int, tensor.shape))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_SHOWN]) + (f", ... ({len(listed)} in all)" if len(listed) > _SHOWN else "") or "nothing"


__all__ = ["Fitting", "LoadReport"]
