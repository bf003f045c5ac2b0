"""What training makes smaller: the weighted sum of the losses of every head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mcore.config import ConfigError, Mistake
from mcore.training.errors import DataError, TrainingError
from mcore.training.objectives.criterion import Criterion, fitted
from mcore.training.objectives.naming import NamingError, loss_of, short
from mcore.training.objectives.taps import Taps, submodule
from mcore.training.settings import OUTPUT, Loss
from mcore.vocabulary import nearest

Batch = Mapping[str, Any]
IMAGE, NAME = "image", "name"


@dataclass(frozen=True)
class Term:
    """One loss of a head: the part of the sum that `name` tells of."""

    head: str
    name: str
    settings: Loss
    criterion: Criterion


class Objective:
    """The losses of a configuration, for one network.

    Called with what the network gives for a batch, it gives the sum, and its parts by name: "dice"; of a network with
    several heads "mask.dice". Parts are told without their weights. All is computed in float32 or finer, whatever
    numbers automatic mixed precision takes for the network.

    Args:
        losses: by head; of a network with one output under `OUTPUT`.
        net: the network itself, before anything wraps it: parts that losses are computed `of` are watched in it.

    Attributes:
        heads: names of the outputs that have losses.
        terms: each loss.

    Raises:
        ConfigError: losses or heads that don't exist, arguments that don't fit; all mistakes at once.
        ImportError: a loss of a library that isn't installed.
    """

    def __init__(self, losses: Mapping[str, list[Loss]], net: torch.nn.Module) -> None:
        mistakes = _wrong_heads(losses, net)
        self.heads = list(losses)
        self.terms = list(_terms(losses, mistakes))
        self._net, self._device = net, torch.device("cpu")
        self._keys: dict[str, str] = {}
        self._taps = _tapped(net, losses, mistakes)
        if mistakes:
            self.close()
            raise ConfigError(mistakes)
        self._modules = torch.nn.ModuleList(term.criterion for term in self.terms).train()

    def __call__(self, outputs: Any, batch: Batch, *, count: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of all losses, and each of them, without gradient.

        Args:
            outputs: what the network gave for `batch["image"]`: a tensor, or a dict of them by head.
            batch: targets by key, where the outputs are.
            count: how many of the first samples count; all where it is left out.

        Raises:
            DataError: a target is missing, or its size doesn't fit.
            TrainingError: heads without losses, losses without heads, or a loss that can't be computed.
        """
        found = {head: fine(output) for head, output in self.by_head(outputs).items()}
        self._ready(next(iter(found.values())).device)
        parts: dict[str, Tensor] = {}
        total: Tensor | None = None
        with torch.autocast(self._device.type, enabled=False):
            for term in self.terms:
                if term.head not in found:
                    continue
                value = self._value(term, found, batch, count)
                parts[term.name] = value.detach()
                weighted = value if term.settings.weight == 1 else term.settings.weight * value
                total = weighted if total is None else total + weighted
        assert total is not None
        return total, parts

    def by_head(self, outputs: Any) -> dict[str, Tensor]:
        """What a network gave, by head.

        In eval mode a network may leave heads out, which only help training, and give the first one alone.

        Raises:
            TrainingError: it is neither a tensor nor a dict of them, or its heads aren't those of the losses.
        """
        found = outputs
        if isinstance(outputs, Tensor):
            first = self.heads[0] if not self._net.training else OUTPUT
            found = {first: outputs}
        if not isinstance(found, Mapping) or not all(isinstance(one, Tensor) for one in found.values()):
            raise TrainingError(
                f"{type(self._net).__name__} gives {_kind(outputs)}; losses are of one tensor, or of a dict of tensors "
                "by head. Give a network whose head gives that."
            )
        wrong = _unlike(found, self.heads, whole=self._net.training)
        if wrong:
            raise TrainingError(f"{wrong}.")
        return {head: found[head] for head in self.heads if head in found}

    def target_of(self, head: str, batch: Batch | None = None) -> str | None:
        """The key of the batch that a head is compared with; None where no loss of it compares.

        Without a batch, what the last one said.
        """
        for term in self.terms:
            if term.head == head and term.criterion.compares:
                if batch is not None:
                    return self.key_of(term.head, term.settings.target, batch)
                return term.settings.target or self._keys.get(head)
        return None

    def key_of(self, head: str, named: str | None, batch: Batch) -> str:
        """The key that is named; else the head's name, where the batch has it; else its only target.

        A batch without any target is an autoencoder's: its target is the image.

        Raises:
            DataError: there is none, or several might be meant.
        """
        there = [key for key in batch if key not in (IMAGE, NAME)]
        if named is not None:
            if named in batch:
                return named
            likely = nearest(named, list(batch), least=0.5, most=1)
            hint = f" (did you mean {likely[0]!r}?)" if likely else ""
            raise DataError(f"head {head!r}: samples have no {named!r}{hint}; they have {', '.join(batch)}.")
        key = head if head in batch else there[0] if len(there) == 1 else None if there else IMAGE
        if key is None:
            raise DataError(
                f"head {head!r}: samples have several targets, {', '.join(there)}; name the one that is meant "
                "(target: ...)."
            )
        self._keys[head] = key
        return key

    @property
    def names(self) -> list[str]:
        """Of the losses, as parts of the sum are told."""
        return [term.name for term in self.terms]

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Those of the losses' own networks, such as that of `Perceptual`: none of them is trained."""
        return self._modules.parameters()

    def close(self) -> None:
        """Takes the hooks off the network."""
        if self._taps is not None:
            self._taps.close()

    def _ready(self, device: torch.device) -> None:
        """Has the losses where the outputs are, and in the network's mode."""
        if device != self._device:
            self._modules.to(device)
            self._device = device
        if self._modules.training != self._net.training:
            self._modules.train(self._net.training)

    def _value(self, term: Term, found: Mapping[str, Tensor], batch: Batch, count: int | None) -> Tensor:
        criterion, title = term.criterion, f"loss {term.name}"
        output = found[term.head] if term.settings.of is None else self._tapped(term)
        inputs = [output[:count]]
        if criterion.compares:
            key = self.key_of(term.head, term.settings.target, batch)
            inputs.append(fitted(criterion.relation, inputs[0], batch[key][:count], title=f"{title}, target {key!r}"))
        try:
            value = criterion(*inputs)
        except torch.OutOfMemoryError:
            raise
        # Losses of libraries refuse by whatever class of error; alone, none of them names the head.
        except (AssertionError, LookupError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            shapes = " and ".join(f"{tuple(one.shape)} {one.dtype}" for one in inputs)
            raise TrainingError(f"{title}: {str(error).rstrip('.')}; it was given {shapes}.") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise TrainingError(f"{title} gives {_kind(value)}, not one number; have it averaged (reduction: mean).")
        return value.reshape(())

    def _tapped(self, term: Term) -> Tensor:
        path = str(term.settings.of)
        assert self._taps is not None
        try:
            given = self._taps[path]
        except LookupError as error:
            raise TrainingError(f"loss {term.name}, of {path!r}: {error.args[0]}.") from None
        if not isinstance(given, Tensor):
            raise TrainingError(
                f"loss {term.name}, of {path!r}: it gives {_kind(given)}; name a submodule that gives one tensor."
            )
        return fine(given)


def _wrong_heads(losses: Mapping[str, list[Loss]], net: torch.nn.Module) -> list[Mistake]:
    """What is wrong with the heads, as far as the network says before it runs which it has."""
    if not losses or not any(losses.values()):
        return [Mistake(None, ("train", "losses"), "there is none; a network is trained by one at least")]
    heads = getattr(net, "heads", None)
    if not isinstance(heads, torch.nn.ModuleDict):
        return []
    wrong = _unlike(heads, losses, whole=True)
    return [Mistake(None, ("train", "losses"), wrong)] if wrong else []


def _unlike(found: Mapping[str, Any] | torch.nn.ModuleDict, wanted: Any, *, whole: bool) -> str:
    """How the heads of a network differ from those of the losses; empty where they don't."""
    there, asked = list(found.keys()), list(wanted)
    strange = [head for head in asked if head not in there]
    idle = [head for head in there if head not in asked]
    if strange and (whole or len(strange) == len(asked)):
        likely = nearest(strange[0], there, least=0.5, most=1)
        hint = f" (did you mean {likely[0]!r}?)" if likely else ""
        single = f"; losses of a network with one output stand under {OUTPUT!r}, or alone" if there == [OUTPUT] else ""
        return f"losses of {strange[0]!r}{hint}, but the network's heads are {', '.join(there)}{single}"
    if idle:
        return (
            f"no loss reads the network's head {idle[0]!r}; give it one (its weight may be 0), or leave the head out "
            "of the model"
        )
    return ""


def _terms(losses: Mapping[str, list[Loss]], mistakes: list[Mistake]) -> Iterator[Term]:
    for head, listed in losses.items():
        seen: set[str] = set()
        for index, loss in enumerate(listed):
            path = ("train", "losses", head, index)
            name = loss.name or short(loss.type)
            if name in seen:
                mistakes.append(
                    Mistake(None, path, f"two losses are called {name!r}: give one another name (name: ...)")
                )
            seen.add(name)
            try:
                criterion = loss_of(loss)
            except NamingError as error:
                mistakes.append(Mistake(None, path, str(error)))
                continue
            if any(parameter.requires_grad for parameter in criterion.parameters()):
                wrong = (
                    f"{loss.type} has parameters of its own, which nothing would train: make them part of the network"
                )
                mistakes.append(Mistake(None, path, wrong))
            yield Term(head, f"{head}.{name}" if len(losses) > 1 else name, loss, criterion)


def _tapped(net: torch.nn.Module, losses: Mapping[str, list[Loss]], mistakes: list[Mistake]) -> Taps | None:
    paths = {
        loss.of: ("train", "losses", head, index, "of")
        for head, listed in losses.items()
        for index, loss in enumerate(listed)
        if loss.of is not None
    }
    for path, place in list(paths.items()):
        try:
            submodule(net, path)
        except LookupError as error:
            mistakes.append(Mistake(None, place, error.args[0]))
            del paths[path]
    return Taps(net, paths) if paths else None


def fine(tensor: Tensor) -> Tensor:
    """Numbers of half precision as float32; finer ones as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        wrong = [f"{key}: {type(one).__name__}" for key, one in value.items() if not isinstance(one, Tensor)]
        return f"a dict that holds {wrong[0]}" if wrong else "a dict"
    return f"a {type(value).__name__}"


__all__ = ["IMAGE", "NAME", "Objective", "Term", "fine"]
