"""Arguments against signatures and annotations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pytest

from mcore.signatures import check_arguments, fits


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        (None, int | None),
        ("batch", str | Callable[..., Any] | None),
        ([1, 2], Sequence[int]),
        ((1, 2), Sequence[int]),
        ([1, "a"], tuple[int, str]),
        ({"a": 1}, Mapping[str, Any]),
        (2, Literal[1, 2, 3]),
        (object(), Any),
    ],
)
def test_what_fits(value, hint):
    assert fits(value, hint)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (1.0, int),
        ("1", float),
        (None, int),
        ("12", Sequence[int]),
        ([1, "a"], Sequence[int]),
        ([1], tuple[int, str]),
        (True, Literal[1, 2, 3]),
        (1, bool),
        ([1], Mapping[str, Any]),
    ],
)
def test_what_does_not_fit(value, hint):
    assert not fits(value, hint)


def net(width: int, norm: Literal["batch", "group"] | None = None, *, depth: int = 2) -> None:
    """Nothing, with a signature."""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 1, "dept": 2}, "net has no argument 'dept' (did you mean 'depth'?)"),
        ({"width": 1, "zzz": 2}, "net has no argument 'zzz'; it has width, norm, depth"),
        ({}, "net needs the argument 'width'"),
        ({"width": None}, "net: width=None is nothing; int fits"),
        (
            {"width": 1, "norm": "bach"},
            "net: norm='bach' is not one of 'batch', 'group', None (did you mean batch?)",
        ),
    ],
)
def test_a_mistake_says_what_would_fit(arguments, message):
    (problem,) = check_arguments(net, arguments)

    assert problem.message == message


def test_none_is_missing_that_others_will_give():
    assert check_arguments(net, {}, given_by_others=["width"]) == []
