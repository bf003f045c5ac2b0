"""The order of samples: the same for any number of processes, another in each epoch, from any step on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcore.config import ConfigError
from mcore.training.data.sampling import Order
from mcore.training.errors import DataError


def steps_of(order: Order) -> list[list[list[tuple[int, int]]]]:
    """Micro batches by step."""
    batches = list(order)
    return [batches[start : start + order.accumulate] for start in range(0, len(batches), order.accumulate)]


def seen(*orders: Order) -> list[list[tuple[int, int]]]:
    """What all processes see together in each step, in order."""
    return [
        [key for share in shares for batch in share for key in batch]
        for shares in zip(*map(steps_of, orders), strict=True)
    ]


@given(
    length=st.integers(12, 100),
    seed=st.integers(0, 2**63 - 1),
    split=st.sampled_from([(1, 2), (1, 4), (2, 1), (2, 2), (4, 1), (4, 3)]),
)
def test_any_number_of_processes_and_parts_sees_the_samples_of_one_process_in_each_step(length, seed, split):
    world, accumulate = split
    one = Order(length, batch=12, accumulate=1, seed=seed)

    several = [
        Order(length, batch=12, accumulate=accumulate, seed=seed, rank=rank, world=world) for rank in range(world)
    ]

    assert seen(*several) == seen(one)


def test_each_micro_batch_has_an_equal_part_of_the_batch():
    order = Order(30, batch=12, accumulate=3, rank=1, world=2)

    assert [len(batch) for batch in order] == [2] * 6


def test_an_epoch_has_every_sample_at_most_once_and_leaves_out_the_last_incomplete_step():
    order = Order(10, batch=4)

    indices = [index for batch in order for _, index in batch]

    assert len(indices) == len(set(indices)) == 8
    assert order.steps_in_epoch == 2


def test_epochs_have_other_orders():
    order = Order(20, batch=10)
    first = [index for batch in order for _, index in batch]
    order.set(1)

    assert [index for batch in order for _, index in batch] != first


def test_seeds_have_other_orders():
    assert seen(Order(20, batch=10, seed=1)) != seen(Order(20, batch=10, seed=2))


def test_keys_say_the_epoch():
    order = Order(4, batch=4)
    order.set(7)

    assert {epoch for batch in order for epoch, _ in batch} == {7}


def test_an_epoch_that_is_gone_on_with_has_the_steps_that_were_left():
    order = Order(20, batch=4, accumulate=2)
    order.set(3)
    whole = list(order)
    order.set(3, 2)

    assert list(order) == whole[4:]
    assert len(order) == 6


def test_what_is_set_while_an_epoch_runs_is_of_the_next():
    order = Order(20, batch=4)
    running = iter(order)
    order.set(1, 3)

    assert len(list(running)) == 5


def test_fewer_samples_than_a_batch_are_refused_with_the_largest_that_fits():
    with pytest.raises(DataError, match=r"5 samples, fewer than one step takes \(batch 8\); give a batch of at most 5"):
        Order(5, batch=8)


def test_a_batch_that_processes_cannot_share_names_those_that_they_can():
    with pytest.raises(ConfigError, match=r"train.batch: batch 8 can't be cut into 3 processes .* fit: 6 and 12"):
        Order(100, batch=8, accumulate=2, world=3)


def test_a_step_beyond_the_epoch_is_refused():
    with pytest.raises(ValueError, match="an epoch has steps 0 to 4, got 6"):
        Order(20, batch=4).set(0, 6)
