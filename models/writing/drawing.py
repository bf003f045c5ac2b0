"""The graph of a network's parts as a picture, in SVG."""

from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree as Tree

from mcore import Module
from models.component import Component
from models.composite import Composite
from models.utils.summary import parameters

# Pixels: of a line of text, between boxes, and of a letter.
LINE, GAP, LETTER = 18, 40, 7.2
FILLS = {"backbone": "#dbe9f6", "neck": "#e5f2dd", "head": "#fbe6d4", "input": "#eeeeee", "output": "#eeeeee"}


class Box(NamedTuple):
    """A part: its lines of text, the names of what feeds it, and the colour of its kind."""

    lines: list[str]
    sources: list[str]
    kind: str


def drawing(net: Module) -> str:
    """The parts of `net` as boxes, from its inputs at the top to its outputs, with what goes between them.

    An assembly shows its graph; another network the modules that it is made of, in the order they stand in.
    """
    boxes = _graph(net) if isinstance(net, Composite) else _chain(net)
    return _svg(boxes, _places(boxes))


def _graph(net: Composite) -> dict[str, Box]:
    boxes = {name: Box([name], [], "input") for name in net.inputs}
    for node in net._nodes:
        part = net.part(node.name)
        maps = ", ".join(f"{channels} at 1/{stride}" for channels, stride in getattr(part, "features", []))
        kind = "head" if node.name.startswith("heads.") else node.kind or node.name
        lines = [node.name, part.spec()["type"], f"{parameters(part):,} parameters", *([maps] if maps else [])]
        boxes[node.name] = Box(lines, [str(source) for source in node.sources], kind)
    for name, source in net._outputs.items():
        boxes[f"{name or 'output'} "] = Box([name or "output"], [str(source)], "output")
    return boxes


def _chain(net: Module) -> dict[str, Box]:
    boxes, before = {"input": Box(["input"], [], "input")}, "input"
    for name, part in net.named_children():
        boxes[name] = Box([name, type(part).__name__, f"{parameters(part):,} parameters"], [before], "part")
        before = name
    title = str(net.spec()["type"]) if isinstance(net, Component) else type(net).__name__
    boxes["output "] = Box([f"result of {title}"], [before], "output")
    return boxes


def _places(boxes: Mapping[str, Box]) -> dict[str, tuple[float, float]]:
    """The middle of each box: rows by the longest way from an input, side by side in the order given."""
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        depth[name] = max((depth[source.partition("[")[0]] + 1 for source in box.sources), default=0)
    deepest = max(depth.values())
    rows = [
        [name for name in boxes if (deepest if boxes[name].kind == "output" else depth[name]) == row]
        for row in range(deepest + 1)
    ]
    wide = max(sum(_width(boxes[name]) + GAP for name in row) for row in rows)
    places, top = {}, float(GAP)
    for row in rows:
        left = (wide - sum(_width(boxes[name]) + GAP for name in row)) / 2 + GAP
        height = max((_height(boxes[name]) for name in row), default=0)
        for name in row:
            places[name] = (left + _width(boxes[name]) / 2, top + height / 2)
            left += _width(boxes[name]) + GAP
        top += height + GAP
    return places


def _svg(boxes: Mapping[str, Box], places: Mapping[str, tuple[float, float]]) -> str:
    right = max(places[name][0] + _width(box) / 2 for name, box in boxes.items()) + GAP
    bottom = max(places[name][1] + _height(box) / 2 for name, box in boxes.items()) + GAP
    svg = Tree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {right:.0f} {bottom:.0f}")
    svg.set("width", f"{right:.0f}")
    svg.set("font-family", "sans-serif")
    svg.set("font-size", "13")
    definitions = Tree.SubElement(svg, "defs")
    tip = Tree.SubElement(definitions, "marker", id="tip", viewBox="0 0 8 8", refX="8", refY="4", orient="auto")
    tip.set("markerWidth", "8")
    Tree.SubElement(tip, "path", d="M0,0 L8,4 L0,8 z", fill="#555")
    for name, box in boxes.items():
        for source in box.sources:
            start = source.partition("[")[0]
            _arrow(svg, _below(boxes[start], places[start]), _above(box, places[name]), source[len(start) :])
    for name, box in boxes.items():
        _box(svg, box, places[name])
    Tree.indent(svg)
    return Tree.tostring(svg, encoding="unicode") + "\n"


def _box(svg: Tree.Element, box: Box, place: tuple[float, float]) -> None:
    width, height = _width(box), _height(box)
    x, y = place[0] - width / 2, place[1] - height / 2
    shape = Tree.SubElement(svg, "rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}")
    shape.set("rx", "6")
    shape.set("fill", FILLS.get(box.kind, "#f3eefa"))
    shape.set("stroke", "#555")
    for number, line in enumerate(box.lines):
        text = Tree.SubElement(svg, "text", x=f"{place[0]:.1f}", y=f"{y + LINE * (number + 1):.1f}")
        text.set("text-anchor", "middle")
        if number == 0:
            text.set("font-weight", "bold")
        text.text = line


def _arrow(svg: Tree.Element, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    middle = (start[1] + end[1]) / 2
    points = [start, (start[0], middle), (end[0], middle), end]
    first, *others = (f"{x:.1f},{y:.1f}" for x, y in points)
    curve = f"M{first} C{' '.join(others)}"
    path = Tree.SubElement(svg, "path", d=curve, fill="none", stroke="#555")
    path.set("marker-end", "url(#tip)")
    if label:
        text = Tree.SubElement(svg, "text", x=f"{(start[0] + end[0]) / 2 + 6:.1f}", y=f"{middle:.1f}")
        text.text = label


def _width(box: Box) -> float:
    return max(map(len, box.lines)) * LETTER + 24


def _height(box: Box) -> float:
    return len(box.lines) * LINE + 10


def _below(box: Box, place: tuple[float, float]) -> tuple[float, float]:
    return place[0], place[1] + _height(box) / 2


def _above(box: Box, place: tuple[float, float]) -> tuple[float, float]:
    return place[0], place[1] - _height(box) / 2
