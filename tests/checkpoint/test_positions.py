"""Weights by position: all or nothing, on either engine."""

import numpy as np
import pytest

from mcore import BatchNorm2d, Conv2d, Sequential
from mcore.checkpoint import load_by_position


def net():
    return Sequential(Conv2d(2, 3, 1), BatchNorm2d(3))


def arrays():
    rows = np.random.default_rng(0)
    return [rows.standard_normal(tuple(map(int, x.shape))).astype("float32") for x in net().state_dict().values()]


def test_arrays_take_their_places_in_the_order_of_the_state():
    given = arrays()
    given[-1] = np.array(7)

    made = load_by_position(net(), given)

    for (name, value), array in zip(made.state_dict().items(), given, strict=True):
        np.testing.assert_array_equal(value.numpy(), array.astype(value.numpy().dtype), err_msg=name)


def test_double_precision_is_taken_in_the_type_of_the_entry():
    made = load_by_position(net(), [array.astype("float64") for array in arrays()])

    assert made[0].weight.detach().numpy().dtype == np.float32


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda a: a[:-1], "6 arrays came, but the state of Sequential has 7 entries"),
        (lambda a: [a[0].T, *a[1:-1], np.zeros(2)], r"2 shapes differ: 0 \(0.weight\) has shape .*; 6 \(1.num_batches"),
        (lambda a: [a[1], *a[1:], a[0]], r"8 arrays came.*the first that differs: 0 \(0.weight\)"),
    ],
)
def test_what_does_not_fit_is_told_and_changes_nothing(spoil, match):
    made = net()
    before = [value.numpy().copy() for value in made.state_dict().values()]

    with pytest.raises(ValueError, match=match):
        load_by_position(made, spoil(arrays()))

    for value, old in zip(made.state_dict().values(), before, strict=True):
        np.testing.assert_array_equal(value.numpy(), old)


def test_a_mapping_is_refused():
    with pytest.raises(TypeError, match="arrays is a dict; give a list in the state's order"):
        load_by_position(net(), dict(net().state_dict()))


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="expected a Module, got int"):
        load_by_position(3, [])
