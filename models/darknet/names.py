"""Darknet's layers under the names of other networks.

The files `darknet53.conv.74` and `yolov4.conv.137` are what detectors are trained from; here they serve the backbones
`darknet53` and `cspdarknet53`, whose names are timm's.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mcore import Module
from models.basicblocks import layers as ours
from models.darknet.plan import Layer, Plan, plan_of
from models.darknet.trained import ACTIVATIONS
from models.darknet.weights import Weights, read_weights

# Blocks of each stage, and the descriptions that begin with such a backbone.
DEPTHS = (1, 2, 8, 8, 4)
DESCRIPTIONS = {
    "darknet53": ("darknet53", "yolov3", "yolov3-spp"),
    "cspdarknet53": ("csdarknet53-omega", "yolov4"),
}
# Their activations, and the arguments with which a backbone has them.
TRAINED = {"darknet53": ("leaky", "negative_slope=0.1"), "cspdarknet53": ("mish", 'activation="mish"')}
# Of the batch norms there.
EPS = 1e-5


def state_for(net: Module, path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """`backbone_state` for a backbone, which must have the activations that the file was trained with.

    Another activation is refused, since results would be wrong without a word; where it was asked for, it is
    warned of, since people train files of their own.

    Raises:
        ValueError: as `backbone_state`, or the activations are others, and nobody asked for them.
    """
    variant = getattr(net, "variant", type(net).__name__)
    state = backbone_state(path, variant)
    name, fits = TRAINED[variant]
    theirs, kinds = repr(ACTIVATIONS[name]()), tuple(type(make()) for make in ours.ACTIVATIONS.values())
    others = {repr(layer) for layer in net.modules() if isinstance(layer, kinds)} - {theirs}
    if others:
        received: Any = net._arguments  # kept by the metaclass
        problem = f"{os.fspath(path)} was trained with {theirs}, and {variant} has {', '.join(sorted(others))}"
        if all(received.get(option) is None for option in ("activation", "negative_slope")):
            raise ValueError(f"weights: {problem}: results would be wrong; give {fits}, or name another to train on.")
        warnings.warn(f"{problem}, as asked; {fits} gives what Darknet does.", stacklevel=5)
    return state


def backbone_state(path: str | os.PathLike[str], variant: str) -> dict[str, np.ndarray]:
    """The arrays of a file by timm's names for `variant`, "darknet53" or "cspdarknet53".

    The file may hold the classifier, the backbone alone, or a detector that begins with it. Where one
    convolution of timm's stands for two of Darknet's, it is made of both; where Darknet joins maps in the other order,
    the weights that read them are turned round; gammas make up for pjreddie's batch norm. Then the backbone
    gives what Darknet does, with the same activations: leaky ReLU of 0.1, for CSPDarknet53 Mish.

    Raises:
        ValueError: no such variant, or the file fits none of its descriptions.
    """
    if variant not in DESCRIPTIONS:
        raise ValueError(
            f"weights: {os.fspath(path)} is Darknet's; it fits {' and '.join(DESCRIPTIONS)}, not {variant}."
        )
    plan, read = _read(path, DESCRIPTIONS[variant])
    layers = [layer for layer in plan.layers if layer.kind == "convolutional"]
    targets = _split_targets() if variant == "cspdarknet53" else _plain_targets()
    state: dict[str, Any] = {}
    for layer, (name, half) in zip(layers, targets, strict=False):
        for key, array in _of(layer, name, read, exact=plan.cfg.flavour == "pjreddie").items():
            state[key] = np.concatenate((state[key], array)) if half else array
    for name in [key for key in state if key.endswith("conv_transition.conv.weight")]:
        state[name] = np.roll(state[name], state[name].shape[1] // 2, axis=1)
    last = layers[-1]
    if plan.layers[-1].kind == "softmax" and f"layers.{last.index}.conv.weight" in read.state:
        state["head.fc.weight"] = read.state[f"layers.{last.index}.conv.weight"].reshape(last.channels, -1)
        state["head.fc.bias"] = read.state[f"layers.{last.index}.conv.bias"]
    return state


def _read(path: str | os.PathLike[str], descriptions: Sequence[str]) -> tuple[Plan, Weights]:
    """The file by the first description that it fits."""
    errors = []
    for name in descriptions:
        plan = plan_of(name)
        try:
            return plan, read_weights(path, plan)
        except ValueError as error:
            errors.append(f"as {name}: {error}")
    raise ValueError(f"weights: {os.fspath(path)} fits none of {', '.join(descriptions)}; {' '.join(errors)}")


def _plain_targets() -> Iterator[tuple[str, bool]]:
    """Names of the convolutions in the order of the file, and whether each is the second half of one."""
    yield "stem.conv1", False
    for stage, depth in enumerate(DEPTHS):
        yield f"stages.{stage}.conv_down", False
        yield from _blocks(stage, depth)


def _split_targets() -> Iterator[tuple[str, bool]]:
    yield "stem.conv1", False
    for stage, depth in enumerate(DEPTHS):
        yield f"stages.{stage}.conv_down", False
        yield f"stages.{stage}.conv_exp", False
        yield f"stages.{stage}.conv_exp", True
        yield from _blocks(stage, depth)
        yield f"stages.{stage}.conv_transition_b", False
        yield f"stages.{stage}.conv_transition", False


def _blocks(stage: int, depth: int) -> Iterator[tuple[str, bool]]:
    for block in range(depth):
        yield f"stages.{stage}.blocks.{block}.conv1", False
        yield f"stages.{stage}.blocks.{block}.conv2", False


def _of(layer: Layer, name: str, read: Weights, *, exact: bool) -> dict[str, np.ndarray]:
    """The arrays of a layer, under `name`."""
    prefix = f"layers.{layer.index}."
    found = {key: array for key, array in read.state.items() if key.startswith(prefix)}
    if exact and f"{prefix}bn.weight" in found:
        variance = found[f"{prefix}bn.running_var"].astype(np.float64)
        ratio = np.sqrt(variance + EPS) / (np.sqrt(variance) + 1e-6)
        found[f"{prefix}bn.weight"] = (found[f"{prefix}bn.weight"] * ratio).astype(np.float32)
    return {f"{name}.{key.removeprefix(prefix)}": array for key, array in found.items()}
