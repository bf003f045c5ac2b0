"""Darknet's `.weights` files: a header, then the numbers of each layer in order, float32.

The header is three int32 (major, minor, revision) and the number of images seen in training, 64 bits wide from
version 0.2 on and 32 before. What a layer stores, and in which order:

- convolutional: beta, gamma, mean, variance, weight with batch norm; else bias, weight;
- connected: bias (beta with batch norm), weight, then gamma, mean, variance;
- batchnorm: beta, gamma, mean, variance;
- shortcut: its weights, where it has some; local: bias, weight.

Files such as `darknet53.conv.74` stop before the layer that their name tells.
"""

import math
import os
import re
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from models.darknet.cfg import Cfg, Source
from models.darknet.plan import Layer, Plan, plan_of

# Version numbers above are those of no program: such a file is something else.
_NEWEST = 100_000


class Header(NamedTuple):
    """What a file says first; AlexeyAB's program writes revision 5, pjreddie's 0."""

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0

    @property
    def wide(self) -> bool:
        """Whether `seen` takes 64 bits."""
        return 10 * self.major + self.minor >= 2

    @property
    def transposed(self) -> bool:
        """Whether weights of connected layers are stored by input."""
        return self.major > 1000 or self.minor > 1000

    def write(self) -> bytes:
        """The header as it stands in a file: 20 bytes, 16 of old ones."""
        return struct.pack("<iiiQ" if self.wide else "<iiiI", *self)

    @classmethod
    def read(cls, data: bytes) -> "Header":
        """The header in the first bytes of a file.

        Raises:
            ValueError: they are no header.
        """
        if len(data) < 16:
            raise ValueError(f"it has {len(data)} bytes, and a header takes 16 or 20")
        version = struct.unpack_from("<iii", data)
        if not all(0 <= number < _NEWEST for number in version):
            raise ValueError(f"its version is {'.'.join(map(str, version))}, so it is no Darknet file")
        header = cls(*version)
        if header.wide and len(data) < 20:
            raise ValueError(f"it has {len(data)} bytes, and the header of version {version[0]}.{version[1]} takes 20")
        (seen,) = struct.unpack_from("<Q" if header.wide else "<I", data, 12)
        return header._replace(seen=seen)


class Entry(NamedTuple):
    """Numbers that stand together in a file: of which layer, under which name, and how.

    `stored` is "transposed" where a matrix stands by column, "connected" where the header tells.
    """

    layer: int
    name: str
    shape: tuple[int, ...]
    stored: str = "plain"

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


class Weights(NamedTuple):
    """What was read: arrays by name, the header, and how far the file goes.

    `layers` is the index of the first layer that the file doesn't cover, `complete` says that it covers all.
    """

    state: dict[str, np.ndarray]
    header: Header
    layers: int
    complete: bool

    def __str__(self) -> str:
        covers = "all" if self.complete else "the first"
        return f"{len(self.state)} arrays of {covers} {self.layers} layers"


def entries(plan: Plan, *, upto: int | None = None) -> list[Entry]:
    """What a file of these layers holds, in order; `upto` is the first layer that it leaves out."""
    return [entry for layer in plan.layers[:upto] for entry in _of(layer)]


def read_state(path: str | os.PathLike[str], cfg: Source | Cfg | Plan) -> dict[str, np.ndarray]:
    """The arrays of a file by the names that `Darknet` gives them: `read_weights(...).state`."""
    return read_weights(path, cfg).state


def is_darknet(name: str) -> bool:
    """Whether a file is Darknet's, by its name.

    >>> is_darknet("yolov4.weights"), is_darknet("yolov4.conv.137"), is_darknet("yolov4.safetensors")
    (True, True, False)
    """
    return re.search(r"\.weights$|\.conv\.\d+$", name) is not None


def read_weights(path: str | os.PathLike[str], cfg: Source | Cfg | Plan, *, partial: bool | None = None) -> Weights:
    """The arrays of a file by the names that `Darknet` gives them, mapped from the disk, not read yet.

    Args:
        path: the file.
        cfg: the description that it was trained with, see `read_cfg`.
        partial: whether it may end before the last layer; where left out, if its name is that of such files,
            ".conv.74".

    Raises:
        ValueError: it ends within a layer, or has bytes left behind the last; nothing was loaded.
    """
    name = os.fspath(path)
    plan = cfg if isinstance(cfg, Plan) else plan_of(cfg)
    with open(path, "rb") as file:
        start = file.read(20)
    try:
        header = Header.read(start)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
    skip, size = 20 if header.wide else 16, os.path.getsize(path)
    if (size - skip) % 4:
        raise ValueError(f"{name}: {size - skip} bytes follow its header, which are no whole number of float32.")
    cut = re.search(r"\.conv\.(\d+)$", name)
    upto = int(cut[1]) if cut else len(plan.layers)
    wanted = entries(plan, upto=upto)
    there = (size - skip) // 4
    layers = _covered(name, plan, wanted, there, upto, partial=cut is not None if partial is None else partial)
    # A file with nothing behind its header can't be mapped.
    numbers = np.memmap(path, "<f4", "r", offset=skip) if there else np.zeros(0, "<f4")
    state, at = {}, 0
    for entry in wanted:
        if entry.layer < layers:
            state[entry.name] = _shaped(numbers[at : at + entry.numbers], entry, header)
            at += entry.numbers
    return Weights(state, header, layers, layers == len(plan.layers))


def write_weights(
    path: str | os.PathLike[str],
    cfg: Source | Cfg | Plan,
    state: Mapping[str, Any],
    *,
    header: Header | None = None,
    upto: int | None = None,
) -> None:
    """Writes arrays by the names that `Darknet` gives them as a file that Darknet reads.

    Args:
        path: the file, which is replaced.
        cfg: the description of the network.
        state: arrays or tensors by name; more may be there.
        header: what stands first; where left out, that of AlexeyAB's program, with no image seen.
        upto: the first layer to leave out, as in `.conv.74`.

    Raises:
        ValueError: an array is missing or of another shape; nothing was written.
    """
    plan = cfg if isinstance(cfg, Plan) else plan_of(cfg)
    header = Header() if header is None else header
    wanted = entries(plan, upto=upto)
    wrong = []
    for entry in wanted:
        shape = tuple(map(int, state[entry.name].shape)) if entry.name in state else None
        if shape != entry.shape:
            wrong.append(f"{entry.name} {'is missing' if shape is None else f'is {shape}, not {entry.shape}'}")
    if wrong:
        raise ValueError(f"{os.fspath(path)}: {'; '.join(wrong)}.")
    with open(path, "wb") as file:
        file.write(header.write())
        for entry in wanted:
            array = np.asarray(_array(state[entry.name]), "<f4")
            if _is_transposed(entry, header):
                array = array.reshape(array.shape[0], -1).T
            file.write(np.ascontiguousarray(array).tobytes())


def _of(layer: Layer) -> list[Entry]:
    """The entries of one layer, in order."""
    options, prefix = layer.options, f"layers.{layer.index}."
    if options.get("dontload"):
        return []

    def row(*named: tuple[Any, ...]) -> list[Entry]:
        return [Entry(layer.index, prefix + name, *rest) for name, *rest in named]

    count = (layer.channels,)
    scales = [("bn.weight", count), ("bn.running_mean", count), ("bn.running_var", count)]
    normalized = options.get("batch_normalize") or options.get("cbn")
    if options.get("dontloadscales"):
        scales = []
    if layer.kind == "convolutional":
        size = options["size"]
        shape = (layer.channels, layer.in_channels[0] // options["groups"], size, size)
        weight = ("conv.weight", shape, "transposed" if options["flipped"] else "plain")
        return row(("bn.bias", count), *scales, weight) if normalized else row(("conv.bias", count), weight)
    if layer.kind == "connected":
        matrix = ("fc.weight", (layer.channels, _inputs(layer)), "connected")
        return row(("bn.bias", count), matrix, *scales) if normalized else row(("fc.bias", count), matrix)
    if layer.kind == "batchnorm":
        return row(("bn.bias", count), *scales)
    if layer.kind == "shortcut" and options["weights_type"] != "none":
        added = len(layer.inputs)
        return row(("weights", (added, layer.channels) if options["weights_type"] == "per_channel" else (added,)))
    if layer.kind == "local":
        height, width = layer.size or (0, 0)
        inputs = layer.in_channels[0] * options["size"] ** 2
        return row(("bias", (layer.channels, height, width)), ("weight", (height * width, layer.channels, inputs)))
    return []


def _inputs(layer: Layer) -> int:
    """Numbers that a connected layer sees."""
    height, width = layer.in_size or (1, 1)
    return layer.in_channels[0] * height * width


def _covered(name: str, plan: Plan, wanted: list[Entry], there: int, upto: int, *, partial: bool) -> int:
    """The first layer that a file with `there` numbers doesn't cover.

    Raises:
        ValueError: it ends within a layer, too early, or too late.
    """
    left = there
    for index in range(upto):
        of_layer = [entry for entry in wanted if entry.layer == index]
        needs = sum(entry.numbers for entry in of_layer)
        if needs > left:
            if left or not partial:
                raise ValueError(_short(name, plan.layers[index], of_layer, left, of=there))
            return index
        left -= needs
        if partial and not left and any(entry.layer > index for entry in wanted):
            return index + 1
    if left:
        raise ValueError(
            f"{name}: {left:,} numbers ({4 * left:,} bytes) are left behind layer {upto - 1}, the last; "
            f"{plan.cfg.title} takes {there - left:,} of {there:,}. It was trained with another description."
        )
    return upto


def _short(name: str, layer: Layer, of_layer: list[Entry], left: int, *, of: int) -> str:
    needs = ", ".join(f"{entry.name.split('.', 2)[2]} {entry.numbers:,}" for entry in of_layer)
    total = sum(entry.numbers for entry in of_layer)
    hint = ""
    if not left:
        hint = f" It ends behind layer {layer.index - 1}: if it is meant to, name it .conv.{layer.index}."
    return (
        f"{name}: {layer.title} needs {total:,} numbers ({needs}), but {left:,} of {of:,} are left "
        f"({4 * left:,} bytes).{hint}"
    )


def _shaped(numbers: np.ndarray, entry: Entry, header: Header) -> np.ndarray:
    if _is_transposed(entry, header):
        return numbers.reshape(-1, entry.shape[0]).T.reshape(entry.shape)
    return numbers.reshape(entry.shape)


def _is_transposed(entry: Entry, header: Header) -> bool:
    return entry.stored == "transposed" or (entry.stored == "connected" and header.transposed)


def _array(value: Any) -> Any:
    """A tensor as an array."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
