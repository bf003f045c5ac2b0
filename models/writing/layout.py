"""Boxes and the arrows between them as a picture, in SVG: ranks by distance from the start, arrows around boxes."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as Tree

# Pixels: of a line of text, between ranks, between boxes of a rank, of a letter, of an arrow that passes a rank.
LINE, GAP, BESIDE, LETTER, PASSING = 18, 30, 20, 7.2, 12
MARGIN = 12
FILLS = {
    "backbone": "#dbe9f6",
    "neck": "#e5f2dd",
    "head": "#fbe6d4",
    "input": "#eeeeee",
    "output": "#eeeeee",
    "word": "#ffffff",
}


class Box(NamedTuple):
    """A part: its lines of text, the names of what feeds it, and the colour of its kind."""

    lines: list[str]
    sources: list[str]
    kind: str


class _Place(NamedTuple):
    """Where a box is: its middle along and across the ranks, and half its length along them."""

    along: float
    across: float
    half: float


class _Arrow(NamedTuple):
    """From one box to another, past what lies between; `label` says which of what the first gives."""

    start: str
    end: str
    label: str
    passing: list[str]


def svg(boxes: Mapping[str, Box], *, sideways: bool = False) -> str:
    """The picture, from the first ranks at the top to the last; `sideways`, from left to right."""
    depth = _depths(boxes)
    arrows = _arrows(boxes, depth)
    places = _places(boxes, depth, arrows, sideways)
    width, height = _extent(boxes, places, sideways)
    picture = Tree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:.0f} {height:.0f}")
    for key, value in {"width": f"{width:.0f}", "font-family": "sans-serif", "font-size": "13"}.items():
        picture.set(key, value)
    marker = Tree.SubElement(Tree.SubElement(picture, "defs"), "marker", id="tip", viewBox="0 0 8 8", refX="8")
    for key, value in {"refY": "4", "orient": "auto", "markerWidth": "8"}.items():
        marker.set(key, value)
    Tree.SubElement(marker, "path", d="M0,0 L8,4 L0,8 z", fill="#555")
    for arrow in arrows:
        _draw_arrow(picture, arrow, places, sideways)
    for name, box in boxes.items():
        _draw_box(picture, box, _point(places[name].along, places[name].across, sideways))
    Tree.indent(picture, " ")
    return Tree.tostring(picture, encoding="unicode") + "\n"


def _depths(boxes: Mapping[str, Box]) -> dict[str, int]:
    """The rank of each box: the longest way from a start; outputs stand in the last."""
    depth: dict[str, int] = {}
    for name, box in boxes.items():
        depth[name] = max((depth[_start(source)] + 1 for source in box.sources), default=0)
    deepest = max(depth.values())
    return {name: deepest if boxes[name].kind == "output" else rank for name, rank in depth.items()}


def _start(source: str) -> str:
    return source.partition("[")[0]


def _arrows(boxes: Mapping[str, Box], depth: Mapping[str, int]) -> list[_Arrow]:
    found = []
    for name, box in boxes.items():
        for source in box.sources:
            start = _start(source)
            between = range(depth[start] + 1, depth[name])
            # What goes from one box to several passes a rank once.
            found.append(_Arrow(start, name, source[len(start) :], [f"{source} past {rank}" for rank in between]))
    return found


def _places(
    boxes: Mapping[str, Box], depth: Mapping[str, int], arrows: Sequence[_Arrow], sideways: bool
) -> dict[str, _Place]:
    """Ranks one after another; in a rank, everything in the order of what feeds it."""
    ranks: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    before: dict[str, list[str]] = {}
    for name in boxes:
        ranks[depth[name]].append(name)
    for arrow in arrows:
        chain = [arrow.start, *arrow.passing, arrow.end]
        for earlier, later in itertools.pairwise(chain):
            before.setdefault(later, []).append(earlier)
        for number, name in enumerate(arrow.passing, start=depth[arrow.start] + 1):
            if name not in ranks[number]:
                ranks[number].append(name)
    across: dict[str, float] = {}
    for rank in ranks:
        middle = {name: _mean([across[earlier] for earlier in before.get(name, [])]) for name in rank}
        rank.sort(key=middle.__getitem__)
        wide = sum(_size(boxes, name, sideways)[1] + BESIDE for name in rank) - BESIDE
        left = (_mean([middle[name] for name in rank]) if len(rank) == 1 else 0.0) - wide / 2
        for name in rank:
            across[name] = left + _size(boxes, name, sideways)[1] / 2
            left += _size(boxes, name, sideways)[1] + BESIDE
    least = min(across[name] - _size(boxes, name, sideways)[1] / 2 for name in across) - MARGIN
    places, top = {}, float(MARGIN)
    for rank in ranks:
        long = max(_size(boxes, name, sideways)[0] for name in rank)
        for name in rank:
            half = _size(boxes, name, sideways)[0] / 2 if name in boxes else long / 2
            places[name] = _Place(top + long / 2, across[name] - least, half)
        top += long + GAP
    return places


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _size(boxes: Mapping[str, Box], name: str, sideways: bool) -> tuple[float, float]:
    """Along and across the ranks."""
    if name not in boxes:
        return 0.0, PASSING
    width, height = _width(boxes[name]), _height(boxes[name])
    return (width, height) if sideways else (height, width)


def _extent(boxes: Mapping[str, Box], places: Mapping[str, _Place], sideways: bool) -> tuple[float, float]:
    along = max(place.along + place.half for place in places.values()) + MARGIN
    across = max(place.across + _size(boxes, name, sideways)[1] / 2 for name, place in places.items()) + MARGIN
    return _point(along, across, sideways)


def _point(along: float, across: float, sideways: bool) -> tuple[float, float]:
    return (along, across) if sideways else (across, along)


def _draw_arrow(picture: Tree.Element, arrow: _Arrow, places: Mapping[str, _Place], sideways: bool) -> None:
    start, end = places[arrow.start], places[arrow.end]
    at = (start.along + start.half, start.across)
    path = f"M{_shown(at, sideways)}"
    for place in [*(places[name] for name in arrow.passing), end]:
        # Bends between ranks; beside the boxes of a rank it runs straight.
        to = (place.along - place.half, place.across)
        middle = (at[0] + to[0]) / 2
        path += f" C{_shown((middle, at[1]), sideways)} {_shown((middle, to[1]), sideways)} {_shown(to, sideways)}"
        at = (place.along + place.half, place.across)
        if place is not end:
            path += f" L{_shown(at, sideways)}"
    line = Tree.SubElement(picture, "path", d=path, fill="none", stroke="#555")
    line.set("marker-end", "url(#tip)")
    if arrow.label:
        x, y = _point((start.along + start.half + end.along - end.half) / 2, (start.across + end.across) / 2, sideways)
        text = Tree.SubElement(picture, "text", x=f"{x + 6:.0f}", y=f"{y:.0f}")
        text.text = arrow.label


def _shown(point: tuple[float, float], sideways: bool) -> str:
    return "{:.0f},{:.0f}".format(*_point(*point, sideways))


def _draw_box(picture: Tree.Element, box: Box, middle: tuple[float, float]) -> None:
    width, height = _width(box), _height(box)
    x, y = middle[0] - width / 2, middle[1] - height / 2
    shape = Tree.SubElement(picture, "rect", x=f"{x:.0f}", y=f"{y:.0f}", width=f"{width:.0f}", height=f"{height:.0f}")
    shape.set("rx", "6")
    shape.set("fill", FILLS.get(box.kind, "#f3eefa"))
    shape.set("stroke", "#555")
    for number, line in enumerate(box.lines):
        text = Tree.SubElement(picture, "text", x=f"{middle[0]:.0f}", y=f"{y + LINE * (number + 1):.0f}")
        text.set("text-anchor", "middle")
        if number == 0:
            text.set("font-weight", "bold")
        text.text = line


def _width(box: Box) -> float:
    return max(map(len, box.lines)) * LETTER + 24


def _height(box: Box) -> float:
    return len(box.lines) * LINE + 10
