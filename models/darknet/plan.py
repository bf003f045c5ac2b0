"""What each section computes: from which layers, with how many channels, at which stride."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple

from mcore.config import ConfigError, Mistake, Origin
from models.darknet.cfg import Cfg, Section, Source, read_cfg
from models.darknet.options import SECTIONS

# The index that stands for the image where a layer's inputs are named.
IMAGE = -1
# Sections that only say how the map before them is read as boxes.
DETECTORS = ("yolo", "Gaussian_yolo", "region", "detection")


class Stride(NamedTuple):
    """Pixels of the image for each pixel of a map; `even` where the map has `ceil(pixels / stride)` of them."""

    height: Fraction
    width: Fraction
    even: bool = True


@dataclass(frozen=True)
class Layer:
    """One layer: its options with defaults, the layers that feed it, and what it gives.

    `stride` is None where a layer sees the whole image, `size` where the description tells no size.
    """

    index: int
    kind: str
    options: dict[str, Any]
    inputs: tuple[int, ...]
    channels: int
    stride: Stride | None
    size: tuple[int, int] | None
    in_channels: tuple[int, ...] = ()
    in_strides: tuple[Stride | None, ...] = ()
    in_size: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        return f"layer {self.index} ([{self.kind}])"


@dataclass
class Plan:
    """The layers of a description, in order, all fitting."""

    cfg: Cfg
    layers: list[Layer]

    @property
    def detectors(self) -> list[Layer]:
        """The sections that read maps as boxes."""
        return [layer for layer in self.layers if layer.kind in DETECTORS]

    def needed(self, outputs: Sequence[int]) -> list[int]:
        """The layers that those in `outputs` are computed from, themselves included."""
        wanted = set(outputs)
        for layer in reversed(self.layers):
            if layer.index in wanted:
                wanted.update(layer.inputs)
        return sorted(wanted - {IMAGE})


def plan_of(source: Source | Cfg) -> Plan:
    """The layers of a description.

    >>> [layer.channels for layer in plan_of("yolov3-tiny").layers][-3:]
    [256, 255, 255]

    Raises:
        ConfigError: channels, strides or references that don't fit; all of them, with file and line.
    """
    cfg = source if isinstance(source, Cfg) else read_cfg(source)
    return _Planner(cfg).plan()


def with_sizes(
    cfg: Cfg,
    *,
    in_channels: int | None = None,
    num_classes: int | None = None,
    anchors: Sequence[float] | None = None,
) -> Cfg:
    """The same description for another image, other classes or boxes: layers that score classes get their channels.

    Raises:
        ValueError: no layer scores classes, or there is another number of anchors.
    """
    net, sections = cfg.net, list(cfg.sections)
    if in_channels is not None:
        net = net._replace(options={**net.options, "channels": in_channels})
    if num_classes is not None:
        scorers = _scorers(sections)
        if not scorers:
            raise ValueError(f"{cfg.title}: num_classes={num_classes}, but no layer of it scores classes.")
        for index, boxes in scorers.items():
            section = sections[index]
            option = "output" if section.name == "connected" else "filters"
            filters = num_classes if boxes is None else boxes * (_numbers_of(sections[index + 1]) + num_classes)
            sections[index] = section._replace(options={**section.options, option: filters})
            if boxes is not None:
                reader = sections[index + 1]
                sections[index + 1] = reader._replace(options={**reader.options, "classes": num_classes})
    if anchors is not None:
        for index, section in enumerate(sections):
            if "anchors" in section.options:
                taken = len(section.options["anchors"])
                if len(anchors) != taken:
                    raise ValueError(f"{cfg.title}: {len(anchors)} numbers are given as anchors; it takes {taken}.")
                sections[index] = section._replace(options={**section.options, "anchors": list(anchors)})
    return replace(cfg, net=net, sections=sections)


def scoring(cfg: Cfg) -> list[int]:
    """The layers whose channels depend on the number of classes."""
    return sorted(_scorers(cfg.sections))


def _scorers(sections: Sequence[Section]) -> dict[int, int | None]:
    """The layers that score classes, with the boxes of each pixel; None for images as a whole."""
    found: dict[int, int | None] = {}
    for index, section in enumerate(sections[1:], start=1):
        if section.name in ("yolo", "Gaussian_yolo", "region") and sections[index - 1].name == "convolutional":
            found[index - 1] = len(boxes_of(section))
    if not found and any(section.name == "softmax" for section in sections):
        trained = [i for i, section in enumerate(sections) if section.name in ("convolutional", "connected")]
        found.update(dict.fromkeys(trained[-1:]))
    return found


def boxes_of(section: Section | Layer) -> list[int]:
    """The anchors that a section predicts, by number."""
    mask = section.options.get("mask")
    return [int(number) for number in mask] if mask else list(range(section.options.get("num", 1)))


def _numbers_of(section: Section) -> int:
    """Numbers of each box besides its classes: coordinates and objectness."""
    if section.name == "Gaussian_yolo":
        return 9
    return 1 + (section.option("coords") if section.name == "region" else 4)


@dataclass
class _Planner:
    cfg: Cfg
    layers: list[Layer] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def plan(self) -> Plan:
        for section in self.cfg.sections:
            self.layers.append(self.layer(section))
        if self.mistakes:
            raise ConfigError(self.mistakes)
        if not self.layers:
            raise ConfigError([Mistake(Origin(self.cfg.title), (), "it has no layer")])
        return Plan(self.cfg, self.layers)

    def layer(self, section: Section) -> Layer:
        index, kind = len(self.layers), section.name
        options = {name: section.option(name) for name in SECTIONS[kind]}
        inputs = self.inputs(section, index)
        given = [self.given(source) for source in inputs]
        first = given[0]
        layer = Layer(
            index,
            kind,
            options,
            inputs,
            channels=first.channels,
            stride=first.stride,
            size=first.size,
            in_channels=tuple(one.channels for one in given),
            in_strides=tuple(one.stride for one in given),
            in_size=first.size,
        )
        rule = getattr(self, f"_{kind}", None)
        return rule(section, layer) if rule is not None else layer

    def given(self, index: int) -> Layer:
        """What a layer gives; the image where it is none."""
        if index != IMAGE:
            return self.layers[index]
        net = self.cfg.net.options
        size = (net["height"], net["width"]) if "height" in net and "width" in net else None
        one = Stride(Fraction(1), Fraction(1))
        return Layer(IMAGE, "net", net, (), self.cfg.net.option("channels"), one, size)

    def inputs(self, section: Section, index: int) -> tuple[int, ...]:
        """The layers that feed a section; references count from the first layer, or back from this one."""
        name = {"route": "layers"}.get(section.name, "from")
        named = []
        for number in section.options.get(name, ()):
            source = index + number if number < 0 else number
            if isinstance(number, int) and 0 <= source < index:
                named.append(source)
            else:
                last = f"0 to {index - 1}, or -1 to -{index}" if index else "none: this is the first"
                self.wrong(section, name, f"{number} is no layer before layer {index}; there are {last}")
        if section.name == "route":
            return tuple(named) or (index - 1,)
        if section.name in ("scale_channels", "sam") and len(named) != 1 and section.options[name]:
            named = named[:1]
        return (index - 1, *named)

    def wrong(self, section: Section, option: str, message: str) -> None:
        origin = section.origins.get(option, section.origin)
        number = len(self.layers)
        self.mistakes.append(Mistake(origin, (), f"layer {number} [{section.name}] {option}: {message}"))

    # What each kind of section gives; those that are missing give what they are fed.

    def _convolutional(self, section: Section, layer: Layer) -> Layer:
        options, groups = layer.options, layer.options["groups"]
        for name, count in (("channels that come", layer.channels), ("filters", options["filters"])):
            if count % groups:
                self.wrong(section, "groups", f"{count} {name} can't be split into {groups} groups")
        padding = options["size"] // 2 if options["pad"] else options["padding"]
        options["padding"] = padding
        if options["size"] == 1:
            options["dilation"] = 1
        strides = tuple(options[axis] or options["stride"] for axis in ("stride_y", "stride_x"))
        options["strides"] = strides
        layer = replace(layer, channels=options["filters"])
        return self.strided(layer, strides, 2 * padding == options["size"] - 1, options["size"], 2 * padding)

    def _maxpool(self, section: Section, layer: Layer) -> Layer:
        options = layer.options
        options["size"] = options["size"] or options["stride"]
        size = options["size"]
        options["padding"] = size - 1 if options["padding"] is None else options["padding"]
        strides = (options["stride"],) * 2
        return self.strided(layer, strides, options["padding"] == size - 1, size, options["padding"])

    def _local(self, section: Section, layer: Layer) -> Layer:
        options = layer.options
        if layer.size is None:
            self.wrong(section, "filters", "weights of each pixel need width= and height= in [net]")
        layer = replace(layer, channels=options["filters"])
        strides = (options["stride"],) * 2
        return self.strided(layer, strides, False, options["size"], 2 * options["pad"])

    def strided(self, layer: Layer, strides: tuple[int, ...], even: bool, window: int, padding: int) -> Layer:
        """The layer after a window has passed over it in steps."""
        size = layer.size and tuple(
            (pixels + padding - window) // step + 1 for pixels, step in zip(layer.size, strides, strict=True)
        )
        before = layer.stride
        after = before and Stride(before.height * strides[0], before.width * strides[1], before.even and even)
        return replace(layer, stride=after, size=size)  # type: ignore[arg-type]  # one number for each axis

    def _connected(self, section: Section, layer: Layer) -> Layer:
        if layer.size is None and layer.stride is not None:
            self.wrong(section, "output", "a connected layer needs width= and height= in [net]")
        return replace(layer, channels=layer.options["output"], stride=None, size=(1, 1))

    def _avgpool(self, section: Section, layer: Layer) -> Layer:
        return replace(layer, stride=None, size=(1, 1))

    def _route(self, section: Section, layer: Layer) -> Layer:
        groups, part = layer.options["groups"], layer.options["group_id"]
        if part >= groups:
            self.wrong(section, "group_id", f"{part} is none of {groups} groups, which count from 0")
        for source, channels in zip(layer.inputs, layer.in_channels, strict=True):
            if channels % groups:
                self.wrong(section, "groups", f"layer {source} has {channels} channels, which {groups} don't divide")
        first, *others = layer.in_strides
        for source, stride in zip(layer.inputs[1:], others, strict=True):
            if _plain(stride) != _plain(first):
                self.wrong(
                    section,
                    "layers",
                    f"layer {layer.inputs[0]} at stride {_told(first)} can't be joined with layer {source} at "
                    f"stride {_told(stride)}",
                )
        return replace(layer, channels=sum(channels // groups for channels in layer.in_channels))

    def _shortcut(self, section: Section, layer: Layer) -> Layer:
        first, *others = layer.in_strides
        weighted = layer.options["weights_type"] != "none"
        for source, stride, channels in zip(layer.inputs[1:], others, layer.in_channels[1:], strict=True):
            if first is None or stride is None:
                fits = first is stride
            else:
                ratios = {first.height / stride.height, first.width / stride.width}
                fits = len(ratios) == 1 and (ratios.copy().pop().denominator == 1)
            if not fits or (weighted and (_plain(stride), channels) != (_plain(first), layer.channels)):
                self.wrong(
                    section,
                    "from",
                    f"layer {source} with {channels} channels at stride {_told(stride)} can't be added to "
                    f"{layer.channels} at stride {_told(first)}",
                )
        return layer

    def _scale_channels(self, section: Section, layer: Layer) -> Layer:
        scales, scaled = layer.in_channels[0], layer.in_channels[-1]
        if not layer.options["scale_wh"] and scales != scaled:
            self.wrong(section, "from", f"{scales} scales came for {scaled} channels")
        return replace(layer, channels=scaled, stride=layer.in_strides[-1], size=self.given(layer.inputs[-1]).size)

    def _sam(self, section: Section, layer: Layer) -> Layer:
        if layer.in_channels[0] != layer.in_channels[-1] or len(set(map(_plain, layer.in_strides))) != 1:
            self.wrong(section, "from", "it multiplies maps of the same channels and stride")
        return layer

    def _upsample(self, section: Section, layer: Layer) -> Layer:
        factor, before = layer.options["stride"], layer.stride
        size = layer.size and (layer.size[0] * factor, layer.size[1] * factor)
        if before is None:
            return replace(layer, size=size)
        after = Stride(before.height / factor, before.width / factor, before.even)
        # An image that doesn't halve evenly has one more pixel on the way down; there is a map to tell.
        same = [one for one in (self.given(IMAGE), *self.layers) if one.stride == after and after.even]
        inputs = (*layer.inputs, same[-1].index) if same else layer.inputs
        return replace(layer, inputs=inputs, stride=after if same else after._replace(even=False), size=size)

    def _reorg(self, section: Section, layer: Layer) -> Layer:
        step = layer.options["stride"]
        squared = step * step
        if layer.channels % squared and (section.name == "reorg" or layer.options["reverse"]):
            self.wrong(section, "stride", f"{layer.channels} channels can't be split among {squared} pixels")
        factor = Fraction(1, step) if layer.options["reverse"] else Fraction(step)
        channels = layer.channels // squared if layer.options["reverse"] else layer.channels * squared
        before = layer.stride
        after = before and Stride(before.height * factor, before.width * factor, before.even)
        size = layer.size and tuple(int(pixels / factor) for pixels in layer.size)
        return replace(layer, channels=channels, stride=after, size=size)  # type: ignore[arg-type]

    _reorg3d = _reorg

    def _softmax(self, section: Section, layer: Layer) -> Layer:
        if layer.channels % layer.options["groups"]:
            self.wrong(section, "groups", f"{layer.channels} channels can't be split into {layer.options['groups']}")
        return layer

    def _crop(self, section: Section, layer: Layer) -> Layer:
        stride = layer.stride and layer.stride._replace(even=False)
        return replace(layer, stride=stride, size=(layer.options["crop_height"], layer.options["crop_width"]))

    def _yolo(self, section: Section, layer: Layer) -> Layer:
        boxes, anchors = boxes_of(section), section.option("anchors")
        expected = len(boxes) * (_numbers_of(section) + section.option("classes"))
        if layer.channels != expected:
            self.wrong(
                section,
                "classes",
                f"{len(boxes)} boxes of {section.option('classes')} classes take filters={expected} in the layer "
                f"before, which gives {layer.channels}",
            )
        if section.name == "region" and section.option("coords") != 4:
            self.wrong(section, "coords", f"boxes of {section.option('coords')} coordinates are not supported; 4 are")
        if anchors and any(not 0 <= box < len(anchors) // 2 for box in boxes):
            self.wrong(section, "mask", f"{boxes} aren't all among {len(anchors) // 2} anchors, which count from 0")
        return layer

    _Gaussian_yolo = _region = _yolo


def _plain(stride: Stride | None) -> tuple[Fraction, Fraction] | None:
    return stride and (stride.height, stride.width)


def _told(stride: Stride | None) -> str:
    if stride is None:
        return "of the whole image"
    height, width = stride.height, stride.width
    return f"{height}" if height == width else f"{height}x{width}"
