"""Plain data out of YAML: YAML 1.2's numbers, and no traps."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcore.config import ConfigError, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-3", -3),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("1:30", "1:30"),
        ("2026-01-02", "2026-01-02"),
        ("1_000", "1_000"),
        ("~", None),
        ("-.inf", float("-inf")),
        ("'1'", "1"),
        ('"true"', "true"),
        ("<<", "<<"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert parse(f"a: {text}", "a.yaml")[0] == {"a": value}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_json_is_read_as_it_is(data):
    assert parse(json.dumps(data), "a.json")[0] == data


def test_every_value_has_its_place():
    _, origins = parse("a:\n  - b: 1\n", "a.yaml")

    assert str(origins["a", 0, "b"]) == "a.yaml:2:5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3:1: a: written twice; first in line 1"),
        (
            "a: !!python/object:os.system {}",
            "a.yaml:1:4: a: the tag tag:yaml.org,2002:python/object:os.system",
        ),
        ("a: !x 1", "a.yaml:1:4: a: the tag !x"),
        ("a: [1, 2", "a.yaml:2:1: not YAML"),
        ("a: *b", r"a.yaml:1:4: a: \*b stands before its &b"),
        ("a: &b [*b]", r"a.yaml:1:8: a\[0\]: \*b stands inside its own &b"),
        ("? [1, 2]\n: 3", "a key that is no plain word"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_place(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text, "a.yaml")


def test_aliases_that_explode_are_refused():
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]

    with pytest.raises(ConfigError, match="aliases repeat more than 10000 values"):
        parse("\n".join(levels), "bomb.yaml")


def test_a_value_used_twice_is_two_values():
    data, _ = parse("a: &x {k: 1}\nb: *x\n", "a.yaml")

    data["a"]["k"] = 2

    assert data["b"] == {"k": 1}


def test_a_long_number_stays_text():
    assert parse("9" * 5000, "a.yaml")[0] == "9" * 5000
