"""Coordinate: what the original gives, and what is mended."""

import json
import pickle

import numpy as np
import pytest

from models.networks import Coordinate
from tests.models.golden_files import FOLDER

CASES = json.loads((FOLDER / "dacapo_convnet" / "coordinate_cases.json").read_text(encoding="utf-8"))
# Numbers stand on either side here, and tuples on neither.
MENDED = ("1+Coordinate(1,2)", "(1,2)+Coordinate(3,4)")
ERRORS = {"TypeError": TypeError, "AssertionError": AssertionError, "ZeroDivisionError": ZeroDivisionError}

given = [case for case in CASES if "error" not in case["result"] and case["expr"] not in MENDED]
refused = [case for case in CASES if "error" in case["result"] and case["expr"] not in MENDED]


def said(case):
    return case["expr"]


def value_of(expression):
    """What a line of the original's gives here."""
    return eval(expression, {"Coordinate": Coordinate})


@pytest.mark.parametrize("case", given, ids=said)
def test_an_expression_gives_what_the_original_gives(case):
    got = value_of(case["expr"])

    kind, expected = next(iter(case["result"].items()))
    assert isinstance(got, Coordinate) == (kind == "Coordinate")
    assert got == (tuple(expected) if isinstance(expected, list) else expected)


@pytest.mark.parametrize("case", refused, ids=said)
def test_an_expression_is_refused_as_the_original_does(case):
    with pytest.raises(ERRORS[case["result"]["error"]]) as caught:
        value_of(case["expr"])

    assert str(caught.value).startswith(case["result"]["message"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 + Coordinate(1, 2)", (2, 3)),
        ("7 - Coordinate(1, 2)", (6, 5)),
        ("2 * Coordinate(1, None)", (2, None)),
        ("7 / Coordinate(2, -2)", (3, -3)),
        ("7 // Coordinate(2, -2)", (3, -4)),
        ("7 % Coordinate(2, 4)", (1, 3)),
        ("2 ** Coordinate(1, 3)", (2, 8)),
    ],
)
def test_numbers_stand_on_the_left_too(expression, expected):
    got = value_of(expression)

    assert isinstance(got, Coordinate)
    assert got == expected


def test_a_number_of_numpy_stands_on_the_left_too():
    got = np.int64(7) - Coordinate(1, 2)

    assert isinstance(got, Coordinate)
    assert got == (6, 5)


@pytest.mark.parametrize("expression", ["(1, 2) + Coordinate(3, 4)", "[1, 2] * Coordinate(3, 4)"])
def test_a_tuple_or_list_on_the_left_is_refused(expression):
    with pytest.raises(TypeError, match=r"of Coordinate with type <class .*> not supported; write Coordinate\("):
        value_of(expression)


def test_it_is_pickled_as_what_it_is():
    again = pickle.loads(pickle.dumps(Coordinate(1, None)))

    assert type(again) is Coordinate
    assert again == (1, None)


@pytest.mark.parametrize(("dim", "left"), [(0, (2, 3)), (1, (1, 3)), (-1, (1, 2)), (-2, (1, 3))])
def test_an_axis_is_squeezed_out_from_either_end(dim, left):
    assert Coordinate(1, 2, 3).squeeze(dim) == left
