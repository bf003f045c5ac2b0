"""Curves as a page draws them: points thinned out, scales, ticks; the page's template turns them into SVG."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from mcore.checkpoint.shown.texts import number

# Of a drawing, in its own units, and of its margins.
WIDTH, HEIGHT = 360.0, 210.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 10.0, 10.0, 24.0
# Points of a curve; of more, the mean of neighbours is drawn, in a band of their least and greatest.
_POINTS = 240
# From how many times the least on the greatest is drawn on a scale of powers of ten.
_SPREAD = 50.0


@dataclass
class Series:
    """A curve: steps and values, NaN where one wasn't finite."""

    name: str
    x: array[float] = field(default_factory=lambda: array("d"))
    y: array[float] = field(default_factory=lambda: array("d"))

    def add(self, x: float, y: float | None) -> None:
        self.x.append(x)
        self.y.append(math.nan if y is None else y)

    @property
    def lost(self) -> int:
        """How many values aren't finite."""
        return sum(map(math.isnan, self.y))

    def last(self) -> float | None:
        """The last finite value."""
        return next((value for value in reversed(self.y) if not math.isnan(value)), None)


class Tick(NamedTuple):
    """A mark of a scale: where it is, and what it says."""

    at: float
    text: str


class Line(NamedTuple):
    """A curve as it's drawn: SVG's paths of its line and of the band around it, single points, its last value."""

    name: str
    path: str
    band: str
    dots: list[tuple[float, float]]
    last: str


class Chart(NamedTuple):
    """A drawing of curves over the same steps."""

    title: str
    lines: list[Line]
    x: list[Tick]
    y: list[Tick]
    mark: tuple[float, float] | None
    lost: int
    logarithmic: bool


class _Point(NamedTuple):
    x: float
    y: float
    low: float
    high: float


def chart(
    title: str, series: Sequence[Series], *, mark: tuple[float, float] | None = None, powers: bool = True
) -> Chart | None:
    """A drawing of curves; None where no value is finite.

    Args:
        title: above it.
        series: the curves.
        mark: a point of one of them that is marked.
        powers: whether it may be on a scale of powers of ten, where values are far apart.
    """
    thinned = [_thinned(one) for one in series]
    points = [point for points in thinned for point in points if not math.isnan(point.y)]
    if not points:
        return None
    low, high = min(point.low for point in points), max(point.high for point in points)
    powers = powers and low > 0 and high / low >= _SPREAD
    x = _Scale(min(point.x for point in points), max(point.x for point in points), _LEFT, WIDTH - _RIGHT, powers=False)
    y = _Scale(low, high, HEIGHT - _BOTTOM, _TOP, powers=powers)
    return Chart(
        title,
        [_line(one, points, x, y) for one, points in zip(series, thinned, strict=True)],
        [Tick(x(value), f"{value:,.0f}") for value in x.ticks(5) if value == round(value)],
        [Tick(y(value), number(value)) for value in y.ticks(6)],
        None if mark is None else (x(mark[0]), y(mark[1])),
        sum(one.lost for one in series),
        powers,
    )


class _Scale:
    """From values to places in a drawing."""

    def __init__(self, low: float, high: float, start: float, end: float, *, powers: bool) -> None:
        if low == high:
            low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
        self._low, self._high, self._powers = low, high, powers
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        low, high, value = (math.log10(v) if self._powers else v for v in (self._low, self._high, value))
        return round(self._start + (value - low) / (high - low) * (self._end - self._start), 2)

    def ticks(self, most: int) -> list[float]:
        """Round numbers within the scale."""
        if not self._powers:
            return _round(self._low, self._high, most)
        found = _round(math.log10(self._low), math.log10(self._high), most)
        return [10.0**power for power in found if power == round(power)]


def _round(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most so many.

    >>> _round(0.12, 0.93, 5)
    [0.2, 0.4, 0.6, 0.8]
    """
    unit = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(unit * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (unit * factor) <= most)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return [round(count * step, digits) for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _thinned(series: Series) -> list[_Point]:
    """Points of a curve, each of a few neighbours where there are too many; NaN where none of them is finite."""
    size = math.ceil(len(series.x) / _POINTS) or 1
    found = []
    for start in range(0, len(series.x), size):
        xs, ys = series.x[start : start + size], series.y[start : start + size]
        finite = [value for value in ys if not math.isnan(value)] or [math.nan]
        found.append(_Point(sum(xs) / len(xs), sum(finite) / len(finite), min(finite), max(finite)))
    return found


def _line(series: Series, points: Sequence[_Point], x: _Scale, y: _Scale) -> Line:
    runs = _runs(points)
    path = "".join(f"M{_path([(x(point.x), y(point.y)) for point in run])}" for run in runs if len(run) > 1)
    band = ""
    if any(point.low < point.high for point in points):
        for run in runs:
            around = [(x(p.x), y(p.high)) for p in run] + [(x(p.x), y(p.low)) for p in reversed(run)]
            band += f"M{_path(around)}Z"
    # A few points are seen better as dots; one alone is seen only so.
    few = len(points) <= 30
    dots = [(x(point.x), y(point.y)) for run in runs for point in run if few or len(run) == 1]
    last = series.last()
    return Line(series.name, path, band, dots, "" if last is None else number(last))


def _runs(points: Sequence[_Point]) -> list[list[_Point]]:
    """Pieces of a curve between values that aren't finite."""
    gaps = [-1, *(at for at, point in enumerate(points) if math.isnan(point.y)), len(points)]
    return [list(points[before + 1 : gap]) for before, gap in pairwise(gaps) if gap > before + 1]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:g} {y:g}" for x, y in points)


__all__ = ["HEIGHT", "WIDTH", "Chart", "Line", "Series", "Tick", "chart"]
