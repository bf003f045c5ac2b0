"""Training of a network on its own outputs: it is applied several times, each time to what it said before.

Of the zoo that is `dynamic_rsunet`, which has norms of its own for each application and leaves the loop to the caller;
any other network that takes its output back can be trained so, too.

How an output is fed back, the channels say: a network that takes more channels than the image has gets its last output
beside the image (zeros the first time), so that it corrects itself; one that takes as many gets the output in the
image's place. Outputs are fed back as they come, before any softmax or sigmoid.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from mcore.training.errors import TrainingError
from mcore.training.settings import Unrolled

Loss = Callable[[Any, Mapping[str, Any]], tuple[Tensor, dict[str, Tensor]]]


def rollout(
    net: torch.nn.Module, batch: Mapping[str, Any], unrolled: Unrolled, *, loss: Loss
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of all applications, of one sample after another: their mean, the earlier ones counting less.

    Args:
        net: the network, or what wraps it for several processes.
        batch: "image" (n, c, *size) and targets.
        unrolled: how often it is applied, whether gradients stop between, and by how much earlier ones count less:
            application k of K by `discount ** (K - k)`.
        loss: of outputs and a batch, as an `Objective` gives it.

    Returns:
        The mean, and the parts of the last application by their names, those of earlier ones as "dice.step1".

    Raises:
        TrainingError: the network can't be fed what it gives, or has norms for another number of applications.
    """
    total: Tensor | None = None
    weights, parts = 0.0, dict[str, Tensor]()
    for step, outputs in enumerate(passes(net, batch["image"], unrolled), 1):
        value, named = loss(outputs, batch)
        weight = unrolled.discount ** (unrolled.steps - step)
        total, weights = weight * value if total is None else total + weight * value, weights + weight
        last = step == unrolled.steps
        parts |= named if last else {f"{name}.step{step}": one for name, one in named.items()}
    assert total is not None
    return total / weights, parts


def result(net: torch.nn.Module, image: Tensor, unrolled: Unrolled) -> Any:
    """What the network gives at last, after all applications.

    Raises:
        TrainingError: as `rollout`.
    """
    *_, last = passes(net, image, unrolled)
    return last


def first_input(net: torch.nn.Module, image: Tensor) -> Tensor:
    """What the network is given first: the image, with zeros for the output that will stand beside it.

    Raises:
        TrainingError: it takes fewer channels than the image has.
    """
    beside = _beside(net, image)
    return torch.cat([image, image.new_zeros(image.shape[0], beside, *image.shape[2:])], 1) if beside else image


def passes(net: torch.nn.Module, image: Tensor, unrolled: Unrolled) -> Iterator[Any]:
    """What the network gives in each application, the first one first.

    Raises:
        TrainingError: as `rollout`.
    """
    inner = getattr(net, "module", net)
    numbered = _numbered(inner, unrolled.steps)
    beside, fed = _beside(inner, image), first_input(inner, image)
    for step in range(1, unrolled.steps + 1):
        outputs = net(fed, unroll=step) if numbered else net(fed)
        yield outputs
        if step < unrolled.steps:
            given = _joined(outputs)
            _check(inner, given, image, beside=beside)
            given = given.detach() if unrolled.detach else given
            fed = torch.cat([image, given], 1) if beside else given


def _numbered(net: torch.nn.Module, steps: int) -> bool:
    """Whether the network is told which application it is: one that has norms for each."""
    if "unroll" not in inspect.signature(net.forward).parameters:
        return False
    there = getattr(net, "unroll", steps)
    if there != steps:
        raise TrainingError(
            f"train.unrolled.steps is {steps}, but {type(net).__name__} has norms for {there} applications, all of "
            f"which want training: set steps: {there}, or build the network with unroll={steps}."
        )
    return True


def _beside(net: torch.nn.Module, image: Tensor) -> int:
    """How many channels of outputs stand beside the image; 0 where the output takes its place."""
    taken = next((part.in_channels for part in net.modules() if isinstance(part, _CONVOLUTIONS)), None)
    if taken is None:
        raise TrainingError(f"{type(net).__name__} has no convolution that would say how many channels it takes.")
    if taken < image.shape[1]:
        raise TrainingError(
            f"{type(net).__name__} takes {taken} channels, the images have {image.shape[1]}; set in_channels to "
            f"{image.shape[1]} and its outputs' channels."
        )
    return taken - image.shape[1]


_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def _joined(outputs: Any) -> Tensor:
    """All heads in a row, channel after channel."""
    return torch.cat(list(outputs.values()), 1) if isinstance(outputs, Mapping) else outputs


def _check(net: torch.nn.Module, given: Tensor, image: Tensor, *, beside: int) -> None:
    wanted = (image.shape[0], beside or image.shape[1], *image.shape[2:])
    if tuple(given.shape) != wanted:
        place = "beside" if beside else "in place of"
        raise TrainingError(
            f"{type(net).__name__} gives {tuple(given.shape)}, but {wanted} is what it takes {place} the image "
            f"{tuple(image.shape)}: set in_channels to the image's channels and the outputs', for an output beside the "
            "image, or as many output channels as the image has; the size has to stay as it is."
        )


__all__ = ["first_input", "passes", "result", "rollout"]
