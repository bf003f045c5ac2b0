"""Weights of one shape made fit for another: input channels, dimensions, classes, linear layers and convolutions."""

from collections.abc import Sequence

import numpy as np

from mcore import Tensor
from mcore.vocabulary import nearest

# What an input channel of ours may be fed by, for a file whose first convolution sees red, green and blue.
CHANNELS = {"R": (1.0, 0.0, 0.0), "G": (0.0, 1.0, 0.0), "B": (0.0, 0.0, 1.0)} | {
    "mean": (1 / 3, 1 / 3, 1 / 3),
    "sum": (1.0, 1.0, 1.0),
    "zero": (0.0, 0.0, 0.0),
}


def reshaped(tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray | None:
    """The same numbers in the same order, where only axes of one pixel differ or a kernel is flat; else None.

    So a 1x1 convolution becomes a linear layer, and the first linear layer of VGG a 7x7 convolution.
    """
    theirs = tuple(map(int, tensor.shape))
    bare = [tuple(size for size in sizes if size != 1) for sizes in (theirs, shape)]
    flat = len(theirs) > 2 and shape == (theirs[0], int(np.prod(theirs[1:])))
    lifted = len(shape) > 2 and theirs == (shape[0], int(np.prod(shape[1:])))
    if not flat and not lifted and bare[0] != bare[1]:
        return None
    return tensor.numpy().reshape(shape)


def adapted(
    tensor: Tensor, shape: tuple[int, ...], *, inputs: bool, channels: Sequence[str] | None = None
) -> np.ndarray | None:
    """A convolution's weight for another number of dimensions, and of input channels where `inputs`; or None.

    Dimensions are added by repeating the kernel along them, and taken away by summing, so that an image
    repeated along the new axis gives what it gave. Channels: by what `channels` says that each of ours is;
    without it, the sum for one, else repeated and scaled, as timm does.

    Source: Carreira and Zisserman, arXiv:1705.07750, section 2.4 (inflation).
    """
    if tensor.ndim < 3 or len(shape) < 3:
        return None
    weight = tensor.float().numpy()
    while weight.ndim > len(shape):
        weight = weight.sum(axis=2)
    while weight.ndim < len(shape):
        size = shape[len(shape) - weight.ndim + 1]
        weight = np.repeat(weight[:, :, None], size, axis=2) / size
    if inputs and (channels is not None or weight.shape[1] != shape[1]):
        weight = _for_channels(weight, shape[1]) if channels is None else _by_meaning(weight, channels)
    return np.ascontiguousarray(weight) if weight.shape == shape else None


def of_classes(
    tensor: Tensor, shape: tuple[int, ...], classes: Sequence[int], count: int | None, before: int, *, key: str
) -> np.ndarray | None:
    """The rows of `classes`, out of a layer that scores them.

    A row is a class; or, where `shape` has more than `count` rows, these are for each box `before` numbers and its
    `count` classes. None, where the file's rows aren't those of so many boxes.

    Raises:
        ValueError: another number of classes than the network has, or one that the file hasn't.
    """
    wanted = shape[0] if count is None else count
    if len(classes) != wanted:
        raise ValueError(f"weights: classes names {len(classes)}, but the network has {wanted}.")
    boxes = max(1, shape[0] // (before + wanted))
    if tensor.shape[0] % boxes:
        return None
    array = tensor.numpy().reshape(boxes, -1, *map(int, tensor.shape[1:]))
    there = array.shape[1] - before
    if max(classes) >= there:
        raise ValueError(f"weights: classes={list(classes)}, but {key} of the file has {there}.")
    rows = array[:, [*range(before), *(before + number for number in classes)]]
    return rows.reshape(-1, *rows.shape[2:])


def check_channels(channels: Sequence[str], count: int) -> list[str]:
    """What each of `count` input channels is, as names of `CHANNELS`; "BGR" is read letter by letter.

    Raises:
        ValueError: an unknown name, or another number of them.
    """
    names = list(channels)
    for name in names:
        if name not in CHANNELS:
            likely = nearest(str(name), CHANNELS, least=0.0, most=1)[0]
            raise ValueError(f"weights: channel {name!r} is none of {', '.join(CHANNELS)} (did you mean {likely!r}?).")
    if len(names) != count:
        raise ValueError(f"weights: channels names {len(names)}, but the network takes {count}.")
    return names


def _by_meaning(weight: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    if weight.shape[1] != 3:
        raise ValueError(
            f"weights: channels speaks of red, green and blue, but the file saw {weight.shape[1]} channels."
        )
    mixed = [np.tensordot(weight, np.asarray(CHANNELS[name]), axes=(1, 0)) for name in channels]
    return np.stack(mixed, axis=1).astype(weight.dtype)


def _for_channels(weight: np.ndarray, count: int) -> np.ndarray:
    if count == 1:
        return weight.sum(axis=1, keepdims=True)
    there = weight.shape[1]
    return np.concatenate([weight] * -(-count // there), axis=1)[:, :count] * (there / count)
