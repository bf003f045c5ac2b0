"""What the connectomics convnet's blocks and U-Nets share: their specs, and how their layers are run.

Layers stand in one flat list, whose numbers are the names in a file of weights; a program tells in which order they
run, and where maps are kept and joined.
"""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import mcore
from mcore import Module, ModuleList, Tensor, init, registry
from mcore.specs import Partial, takes
from models.backbones.base import Weights
from models.basicblocks.layers import Factory
from models.component import plain
from models.functional.cropping import crop_channels, crop_middle
from models.sizing import Sized
from models.utils.arguments import whole_numbers
from models.utils.extents import axes_of, extent
from models.utils.weights import load_weights

NAMESPACE = "convnet"
# Where the convolutions of a block differ, their settings are listed: sizes by axis, or words.
Setting = int | str | Sequence[Any]


class Step(NamedTuple):
    """One step of a program: run the layer of this number, or keep what there is, or join what was kept."""

    what: Literal["run", "lower", "keep", "join"]
    number: int


class Programmed(Sized):
    """Abstract: a flat list of layers, and the steps in which they run.

    A class says in `joined` how what was kept joins, and in `joined_size` what that makes of a size.
    """

    # The version of the original that a spec names it with.
    version: str

    def __init__(self) -> None:
        super().__init__()
        self.layers = ModuleList()
        self.steps: list[Step] = []

    def spec(self) -> dict[str, Any]:
        """The type, the version and the arguments, as the constructor received them; factories as partial specs.

        Raises:
            ValueError: an argument is no plain data, nor a constructor that has a name.
        """
        name = type(self).__name__
        received: Mapping[str, Any] = self._arguments  # type: ignore[assignment]  # kept by the metaclass
        arguments = {
            key: _written(value, f"{name}: {key}", self.version) for key, value in received.items() if key != "weights"
        }
        return {"type": f"{NAMESPACE}/{name}", "@version": self.version, **arguments}

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)

    def run(self, x: Tensor) -> Tensor:
        """What the program makes of a map."""
        kept: dict[int, Tensor] = {}
        for what, number in self.steps:
            if what == "keep":
                kept[number] = x
            elif what == "join":
                x = self.joined(x, kept, number)
            else:
                x = self.layers[number](x)
        return x

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't go through.

        Raises:
            TypeError: a layer is not one whose arithmetic is known.
        """
        return self.walked(pixels, axis)

    def walked(self, pixels: int | None, axis: int, *, whole: bool = False) -> int | None:
        """Pixels behind the last step; with `whole`, None where a layer that lowers a map leaves pixels out."""
        kept: dict[int, int] = {}
        for what, number in self.steps:
            if pixels is None:
                return None
            if what == "keep":
                kept[number] = pixels
            elif what == "join":
                pixels = self.joined_size(pixels, kept, number)
            else:
                layer, before = self.layers[number], pixels
                pixels = extent(layer, before, axis)
                # Where one pixel less gives as many, the last one was left out.
                if whole and what == "lower" and before > 1 and extent(layer, before - 1, axis) == pixels:
                    return None
        return pixels

    def joined(self, x: Tensor, kept: Mapping[int, Tensor], number: int) -> Tensor:
        """A map with what was kept for a step."""
        raise NotImplementedError(f"{type(self).__name__} joins nothing.")

    def joined_size(self, pixels: int, kept: Mapping[int, int], number: int) -> int | None:
        """Pixels of a map that is joined with what was kept; None where they don't fit."""
        raise NotImplementedError(f"{type(self).__name__} joins nothing.")

    def add(self, *layers: Module, what: Literal["run", "lower"] = "run") -> int:
        """Puts layers behind those there are; the number of the last."""
        for layer in layers:
            self.layers.append(layer)
            self.steps.append(Step(what, len(self.layers) - 1))
        return len(self.layers) - 1

    def mark(self, what: Literal["keep", "join"], number: int) -> None:
        """Puts a step behind those there are."""
        self.steps.append(Step(what, number))

    def _complete(self, weights: Weights) -> None:
        """Loads a file; constructors end with it."""
        if weights is not None:
            self.weights_report = load_weights(self, weights)


def fitted(x: Tensor, kept: Tensor, *, have: int, want: int, dims: int | None, of: str) -> Tensor:
    """The middle of what was kept, of as many channels as wanted and of the size of `x`."""
    axes = dims or x.ndim - 2
    kept = crop_channels(kept, want, have=have, axis=-axes - 1)
    return crop_middle(kept, x.shape[-axes:], of=of)


def added(x: Tensor, kept: Tensor, *, dims: int | None, of: str) -> Tensor:
    """A map and another of its size.

    Raises:
        ValueError: the other has another size.
    """
    axes = dims or x.ndim - 2
    size, other = x.shape[-axes:], kept.shape[-axes:]
    if any(a != b for a, b in zip(size, other, strict=True)):
        have, want = [int(pixels) for pixels in other], [int(pixels) for pixels in size]
        raise ValueError(
            f"{of}: {have} pixels are to be added to {want}; this version cuts none off. Take a size that the levels "
            'divide and paddings="same", or version 0.0.2.'
        )
    return x + kept


def sampler(factory: Factory, in_channels: int, out_channels: int) -> Module:
    """What lowers or raises a map: told its channels by name where the factory takes them so, else from nothing."""
    if takes(factory, in_channels=in_channels, out_channels=out_channels):
        return factory(in_channels=in_channels, out_channels=out_channels)
    return factory()


def activation_of(factory: Factory, *, pure: bool) -> Module:
    """A new activation; a `pure` one leaves what it is given as it is."""
    layer = factory()
    if pure:
        for part in layer.modules():
            # Another layer still needs what this one is given.
            if getattr(part, "inplace", False):
                part.inplace = False  # type: ignore[assignment]  # of a class that has it
    return layer


def each_conv(title: str, name: str, value: Any, count: int) -> list[Any]:
    """A setting for each of `count` convolutions: listed, or the same for all.

    A list whose first entry is a list or a word has one for each: [3, 3] is one kernel, [[3, 3], [1, 1]] are two.

    >>> each_conv("ConvBlock", "kernel_sizes", [3, 3], 2), each_conv("ConvBlock", "paddings", ["same", 1], 2)
    ([(3, 3), (3, 3)], ['same', 1])

    Raises:
        ValueError: there are others than `count`.
    """
    listed = _is_list(value) and len(value) > 0 and (isinstance(value[0], str) or _is_list(value[0]))
    if not listed:
        return [_tuple(value)] * count
    if len(value) != count:
        raise ValueError(
            f"{title}: {name}={list(value)} has {len(value)} entries for {count} convolutions; give one for all, "
            "or one for each."
        )
    return [_tuple(item) for item in value]


def edges(title: str, skips: Mapping[str, int] | None, count: int) -> list[tuple[int, int]]:
    """Skips as pairs of numbers, of a block of `count` convolutions.

    Those that lead backwards, or from or to where there is no convolution, are left out with a warning: the original
    passes over them, and so do files of it that work.

    >>> edges("ConvBlock", {"0": 2, "1": 3}, 3)
    [(0, 2), (1, 3)]

    Raises:
        ValueError: it is no mapping of numbers.
    """
    if skips is not None and not isinstance(skips, Mapping):
        raise ValueError(f'{title}: skips={skips!r} is no mapping; write {{"0": 2}} for one from 0 to 2.')
    found = []
    for key, end in (skips or {}).items():
        # Other scripts' digits are none that int reads.
        if not (str(key).isascii() and str(key).isdigit()) or isinstance(end, bool) or not isinstance(end, int):
            raise ValueError(
                f"{title}: skips={dict(skips or {})} has one from {key!r} to {end!r}; it must lead from 0, what comes "
                "in, or a convolution to a later one, by their numbers."
            )
        if 0 <= int(key) < min(end, count) and end <= count:
            found.append((int(key), end))
        else:
            warnings.warn(
                f"{title}: the skip from {key} to {end} leads nowhere and is left out, as in the original: with "
                f"{count} convolutions, skips start at 0 to {count - 1} and end later, at {count} at most.",
                stacklevel=2,
            )
    return found


def convolutions(
    title: str,
    num_channels: Sequence[int],
    conv: Factory,
    *,
    kernel_sizes: Setting,
    strides: Setting | None,
    paddings: Setting,
    padding_modes: str | Sequence[str],
) -> list[Module]:
    """The convolutions of a block, their biases zero as the original's are.

    Raises:
        ValueError: there are none, or a setting doesn't fit them.
    """
    whole_numbers(of=title, least=1, num_channels=num_channels)
    count = len(num_channels) - 1
    if count < 1:
        raise ValueError(
            f"{title}: num_channels={list(num_channels)} is no convolution; give channels in and out, or more."
        )
    settings = zip(
        each_conv(title, "kernel_sizes", kernel_sizes, count),
        each_conv(title, "strides", 1 if strides is None else strides, count),
        each_conv(title, "paddings", paddings, count),
        each_conv(title, "padding_modes", padding_modes, count),
        strict=True,
    )
    made = []
    for index, (kernel, stride, padding, mode) in enumerate(settings):
        _check_numbers(title, 1, kernel_sizes=kernel, strides=stride)
        # A word is for the convolution to know.
        if not isinstance(padding, str):
            _check_numbers(title, 0, paddings=padding)
        _check_axes(title, conv, kernel_sizes=kernel, strides=stride, paddings=padding)
        layer = conv(num_channels[index], num_channels[index + 1], kernel, stride, padding, padding_mode=mode)
        if getattr(layer, "bias", None) is not None:
            init.zeros_(layer.bias)  # type: ignore[arg-type]  # a parameter, since it isn't None
        made.append(layer)
    return made


def axes(layers: Sequence[Module], kernel_sizes: Setting) -> int | None:
    """The number of axes that convolutions work on; None where nothing tells."""
    first = each_conv("", "", kernel_sizes, len(layers))[0]
    return axes_of(layers[0]) or (len(first) if isinstance(first, tuple) else None)


def _check_numbers(title: str, least: int, **settings: Any) -> None:
    whole_numbers(of=title, least=least, **{name: _by_axis(value) for name, value in settings.items()})


def _by_axis(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value,)


def _check_axes(title: str, conv: Factory, **settings: Any) -> None:
    count = axes_of(conv)
    for name, value in settings.items():
        if count and isinstance(value, tuple) and len(value) != count:
            raise ValueError(
                f"{title}: {name} has {list(value)} for a convolution of {count} axes; give {count} numbers, or one "
                "for all."
            )


def _written(value: Any, where: str, version: str) -> Any:
    """An argument as data: a factory as the partial spec that makes it."""
    if isinstance(value, Partial):
        return plain(value.written(version), where)
    if isinstance(value, functools.partial):
        if value.args:
            raise ValueError(f"{where}={value!r} can't be written in a configuration; give its arguments by name.")
        more = {key: _written(item, f"{where}.{key}", version) for key, item in value.keywords.items()}
        return {**_written(value.func, where, version), **more}
    if callable(value) and not isinstance(value, Module):
        return {"@type": _name_of(value, where), "@mode": "partial"}
    return plain(value, where)


def _name_of(constructor: Callable[..., Any], where: str) -> str:
    """The name that data has for a constructor."""
    own = getattr(constructor, "__name__", "")
    for name in (f"torch.nn.{own}", own):
        if registry.kinds_of(name, namespace=NAMESPACE):
            found = registry.lookup(name, namespace=NAMESPACE).load()
            # Data calls this one through a function, since torch takes no lists.
            if found is constructor or constructor is mcore.Upsample:
                return name
    raise ValueError(
        f"{where}={constructor!r} can't be written in a configuration; give a constructor that the registry's "
        f"namespace {NAMESPACE!r} has a name for."
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _tuple(value: Any) -> Any:
    return tuple(value) if _is_list(value) else value
