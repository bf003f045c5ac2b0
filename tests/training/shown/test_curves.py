"""Curves: what is left of many points, scales and ticks, gaps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcore.training.shown.curves import HEIGHT, WIDTH, Series, _round, chart

finite = st.floats(-1e9, 1e9, allow_subnormal=False)


def series(values, name="a"):
    made = Series(name)
    for x, y in enumerate(values):
        made.add(x, y)
    return made


def numbers(path):
    return [float(part) for part in path.replace("M", " ").replace("L", " ").replace("Z", " ").split()]


@given(st.lists(finite, min_size=1, max_size=600))
def test_all_that_is_drawn_lies_within_the_drawing(values):
    drawn = chart("a", [series(values)])

    (line,) = drawn.lines
    points = numbers(line.path) + numbers(line.band) + [n for dot in line.dots for n in dot]
    assert all(0 <= x <= WIDTH for x in points[::2])
    assert all(0 <= y <= HEIGHT for y in points[1::2])
    assert all(0 <= tick.at <= WIDTH for tick in drawn.x)


@given(finite, finite)
def test_ticks_are_few_round_numbers_within_the_range(one, other):
    low, high = sorted((one, other))
    # A range that floats can't tell apart has no ticks between.
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        return

    ticks = _round(low, high, 5)

    slack = 1e-6 * (high - low)
    assert 1 <= len(ticks) <= 6
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 4.5, [0, 1, 2, 3, 4]), (0.0, 9.0, [0, 2, 4, 6, 8]), (-12.0, 11.0, [-10, -5, 0, 5, 10])],
)
def test_ticks_are_multiples_of_one_two_or_five(low, high, ticks):
    assert _round(low, high, 5) == ticks


def test_a_hundred_thousand_points_are_thinned_and_none_is_lost_sight_of():
    values = [1.0 + 0.1 * (at % 2) for at in range(100_000)]
    values[777] = 3.0

    (line,) = chart("a", [series(values)]).lines

    assert line.path.count("L") < 250
    # The highest point of the band is the one value that stands out.
    assert min(numbers(line.band)[1::2]) == 10.0


def test_a_value_that_is_not_finite_is_a_gap_and_is_counted():
    drawn = chart("a", [series([1.0, 2.0, None, 3.0, 4.0])])

    assert drawn.lines[0].path.count("M") == 2
    assert drawn.lost == 1


def test_a_point_between_gaps_is_seen():
    drawn = chart("a", [series([None, 2.0, None])])

    assert len(drawn.lines[0].dots) == 1


def test_without_a_finite_value_there_is_no_drawing():
    assert chart("a", [series([None, None]), Series("b")]) is None


def test_values_over_decades_are_drawn_on_a_scale_of_powers_of_ten():
    drawn = chart("a", [series([100.0, 10.0, 1.0, 0.1])])

    assert drawn.logarithmic
    assert [tick.text for tick in drawn.y] == ["0.1", "1", "10", "100"]
    ys = numbers(drawn.lines[0].path)[1::2]
    assert ys[1] - ys[0] == pytest.approx(ys[3] - ys[2], abs=0.02)


def test_values_that_are_not_all_positive_are_drawn_on_a_plain_scale():
    assert not chart("a", [series([100.0, 0.0])]).logarithmic


def test_the_last_finite_value_is_told():
    assert chart("a", [series([1.0, 0.51239, math.nan])]).lines[0].last == "0.5124"


def test_steps_are_whole_numbers():
    assert [tick.text for tick in chart("a", [series([1.0, 2.0, 3.0])]).x] == ["0", "1", "2"]
