"""Batches: the same with and without workers, errors in one line, validation shared out whole."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcore.training.data.loading import collate, training_loader, validation_batches
from mcore.training.data.samples import Samples
from mcore.training.data.sampling import Order
from mcore.training.errors import DataError
from mcore.training.settings import Loader
from tests.training.data.given import Counted, Drawing, Pairs


def batches(data, *, workers=0, epoch=0, first=0, **order):
    samples = Samples(data, seed=3)
    order = Order(len(samples), **{"batch": 4, **order})
    order.set(epoch, first)
    return [
        {key: value if key == "name" else value.tolist() for key, value in batch.items()}
        for batch in training_loader(samples, order, Loader(num_workers=workers))
    ]


def counted(length, *, batch, world, workers=0):
    """Names that count in validation, of each process."""
    samples = Samples(Counted(length), seed=0)
    return [
        [
            (found["name"], count)
            for found, count in validation_batches(
                samples, batch=batch, rank=rank, world=world, loader=Loader(num_workers=workers)
            )
        ]
        for rank in range(world)
    ]


def test_a_batch_has_its_samples_stacked_and_their_names_in_a_list():
    batch = collate([Samples(Counted(), seed=0)[0, index] for index in (4, 7)])

    assert batch["image"].shape == (2, 1, 2, 2)
    assert batch["label"].tolist() == [1, 1]
    assert batch["name"] == ["number-4", "number-7"]


@pytest.mark.parametrize("data", [Counted(), Drawing(8)], ids=["source", "dataset"])
def test_workers_change_nothing(data):
    assert batches(data, workers=2, epoch=1, accumulate=2) == batches(data, epoch=1, accumulate=2)


def test_a_loader_whose_workers_stay_follows_the_order_into_the_next_epoch():
    order = Order(20, batch=4)
    loader = training_loader(Samples(Counted(), seed=3), order, Loader(num_workers=2))
    list(loader)
    order.set(1, 2)

    names = [batch["name"] for batch in loader]

    assert names == [batch["name"] for batch in batches(Counted(), epoch=1, first=2)]


def test_an_epoch_that_is_broken_off_leaves_nothing_to_the_next():
    order = Order(20, batch=4)
    loader = training_loader(Samples(Counted(), seed=3), order, Loader(num_workers=2))
    next(iter(loader))
    order.set(1)

    assert [batch["name"] for batch in loader] == [batch["name"] for batch in batches(Counted(), epoch=1)]


@pytest.mark.parametrize("workers", [0, 1])
def test_iterating_leaves_torchs_generator_as_it_was(workers):
    before = torch.get_rng_state()
    batches(Counted(), workers=workers)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_sample_says_in_one_line_which(workers):
    with pytest.raises(DataError, match=r"\Asample 13 of Counted can't be read: OSError: disk on fire\Z"):
        batches(Counted(bad=13), workers=workers)


@pytest.mark.parametrize("workers", [0, 1])
def test_samples_of_other_sizes_in_a_batch_are_both_named(workers):
    with pytest.raises(
        DataError, match=r"\A'image' of number-\d+ is 1x\dx\d, of number-\d+ 1x\dx\d; .*`size`.*patches"
    ):
        batches(Counted(4, big=2), workers=workers)


def test_samples_of_other_keys_in_a_batch_are_both_named():
    image = torch.zeros(1, 2, 2)
    data = Pairs({"image": image, "label": 1, "name": "a"}, {"image": image, "name": "b"})
    samples = Samples(data, seed=0)

    for pair in ((0, 1), (1, 0)):
        with pytest.raises(DataError, match="a has 'label', and b hasn't"):
            collate([samples[0, index] for index in pair])


def test_pinning_is_left_where_there_is_no_accelerator(recwarn):
    loader = training_loader(Samples(Counted(), seed=0), Order(20, batch=4), Loader(pin_memory=True))
    list(loader)

    assert loader.pin_memory == torch.accelerator.is_available()
    assert not recwarn.list


@pytest.mark.parametrize("stay", [True, False])
def test_arguments_of_workers_are_handed_on(stay):
    settings = Loader(num_workers=1, prefetch_factor=3, persistent_workers=stay)

    loader = training_loader(Samples(Counted(), seed=0), Order(20, batch=4), settings)

    assert (loader.num_workers, loader.prefetch_factor, loader.persistent_workers) == (1, 3, stay)


def test_what_is_handed_to_workers_that_start_anew_can_be_pickled():
    loader = training_loader(Samples(Counted(), seed=0), Order(20, batch=4), Loader())

    pickle.loads(pickle.dumps((loader.dataset, loader.collate_fn)))


@given(length=st.integers(1, 40), batch=st.integers(1, 7), world=st.integers(1, 4))
def test_validation_counts_every_sample_once(length, batch, world):
    found = counted(length, batch=batch, world=world)

    names = [name for process in found for names, count in process for name in names[:count]]
    assert sorted(names) == sorted(f"number-{index}" for index in range(length))


@given(length=st.integers(1, 40), batch=st.integers(1, 7), world=st.integers(1, 4))
def test_all_processes_validate_equally_many_batches_of_equal_sizes(length, batch, world):
    found = counted(length, batch=batch, world=world)

    sizes = [[len(names) for names, _ in process] for process in found]
    assert all(of_process == sizes[0] for of_process in sizes)
    assert all(0 < size <= batch for size in sizes[0])


def test_validation_is_read_in_order_by_one_process():
    assert counted(5, batch=2, world=1) == [
        [(["number-0", "number-1"], 2), (["number-2", "number-3"], 2), (["number-4"], 1)]
    ]


def test_validation_can_be_iterated_again_by_the_same_workers():
    loader = validation_batches(Samples(Counted(5), seed=0), batch=2, loader=Loader(num_workers=1))

    first, second = ([(batch["name"], batch["drawn"].tolist(), count) for batch, count in loader] for _ in range(2))

    assert first == second
    assert len(loader) == len(first) == 3
