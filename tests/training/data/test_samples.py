"""Samples: tensors of the right types, random by (seed, epoch, index) alone, errors with names."""

import random

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset

from mcore.training.data.samples import Samples, finite, tensors
from mcore.training.errors import DataError
from tests.training.data.given import Counted, Drawing, Pairs


def made(**values):
    return tensors({"image": np.zeros((1, 2, 2), np.float32), "name": "a", **values})


def same(one, two):
    return all(torch.equal(one[key], two[key]) for key in one if key != "name")


def test_a_sample_is_drawn_from_the_seed_the_epoch_and_its_number():
    drawn = {
        (seed, epoch, index): Samples(Counted(), seed=seed)[epoch, index]["drawn"].item()
        for seed in (0, 1, 2**40)
        for epoch in (0, 1)
        for index in (0, 1)
    }

    assert len(set(drawn.values())) == len(drawn)
    assert Samples(Counted(), seed=1)[1, 0]["drawn"].item() == drawn[1, 1, 0]


def test_the_order_of_an_epoch_and_its_first_sample_are_drawn_apart():
    from mcore.training.data.randomness import generator_of

    assert generator_of(3, 5).random() != generator_of(3, 5, 0).random()


def test_a_torch_dataset_draws_the_same_whatever_was_drawn_before():
    samples = Samples(Drawing(), seed=0)
    first = samples[0, 2]
    torch.rand(3), np.random.rand(3), random.random()

    assert same(samples[0, 2], first)


def test_a_torch_dataset_draws_anew_in_each_epoch():
    samples = Samples(Drawing(), seed=0)

    assert not same(samples[0, 2], samples[1, 2])


def test_reading_a_torch_dataset_leaves_the_global_generators_as_they_were():
    samples = Samples(Drawing(), seed=0)
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(5)
    expected = torch.rand(1).item(), np.random.rand(), random.random()
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(5)
    samples[0, 1]

    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected


def test_an_error_within_a_torch_dataset_leaves_the_global_generators_as_they_were():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with pytest.raises(DataError, match="sample 0 of Pairs can't be read"):
        Samples(Pairs("text"), seed=0)[0, 0]

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("item", "keys"),
    [
        ((torch.zeros(1, 2, 2), 3), {"image", "target", "name"}),
        ({"image": torch.zeros(1, 2, 2), "mask": torch.zeros(2, 2)}, {"image", "mask", "name"}),
        (torch.zeros(1, 2, 2), {"image", "name"}),
        ([np.zeros((1, 2, 2))], {"image", "name"}),
    ],
    ids=["pair", "mapping", "alone", "list"],
)
def test_items_of_a_torch_dataset_become_samples(item, keys):
    assert set(Samples(Pairs(item), seed=0)[0, 0]) == keys


def test_an_item_that_is_no_sample_says_what_fits():
    with pytest.raises(DataError, match=r"sample 0 of Pairs .* tuple of 3; a mapping with 'image', \(image, target\)"):
        Samples(Pairs((1, 2, 3)), seed=0)[0, 0]


def test_an_item_without_an_image_names_what_it_has():
    with pytest.raises(DataError, match="sample 0 has no 'image', only 'picture', 'name'"):
        Samples(Pairs({"picture": torch.zeros(1)}), seed=0)[0, 0]


def test_a_mapping_of_a_torch_dataset_stays_as_it_was():
    item = {"image": torch.zeros(1, 2, 2)}
    Samples(Pairs(item), seed=0)[0, 0]

    assert list(item) == ["image"]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (3, torch.int64),
        (True, torch.int64),
        (0.5, torch.float32),
        (np.int32(3), torch.int64),
        (np.float64(3), torch.float32),
        (np.zeros((2, 2), np.uint8), torch.int64),
        (np.zeros((2, 2), np.uint16), torch.int64),
        (np.zeros((2, 2), ">i4"), torch.int64),
        (np.zeros((2, 2), bool), torch.int64),
        (np.zeros((2, 2), ">f8"), torch.float32),
        (torch.zeros(2, dtype=torch.float16), torch.float32),
        ([1.0, 2.0], torch.float32),
    ],
)
def test_targets_are_int64_or_float32(value, dtype):
    assert made(target=value)["target"].dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_an_image_of_whole_numbers_lies_within_0_and_1(dtype, convert):
    image = made(image=convert(np.full((1, 2, 2), np.iinfo(dtype).max, dtype)))["image"]

    assert image.dtype == torch.float32
    assert (image == 1).all()


def test_an_image_that_torch_cannot_share_is_copied():
    flipped = np.arange(4, dtype=np.float32).reshape(1, 2, 2)[:, ::-1]

    assert made(image=flipped)["image"].tolist() == flipped.tolist()


def test_text_as_a_target_is_refused_by_name():
    with pytest.raises(DataError, match="a: 'label' is str; a tensor, an array or a number fits"):
        made(label="cat")


def test_an_array_of_text_as_a_target_is_refused_by_name():
    with pytest.raises(DataError, match="a: 'label' holds values of type <U3; numbers fit"):
        made(label=np.array(["cat"]))


def test_a_sample_that_cannot_be_read_is_named():
    with pytest.raises(DataError, match="sample 3 of Counted can't be read: OSError: disk on fire"):
        Samples(Counted(bad=3), seed=0)[0, 3]


def test_an_empty_dataset_is_refused():
    with pytest.raises(DataError, match="Pairs is empty: it has no samples"):
        Samples(Pairs(), seed=0)


def test_an_iterable_dataset_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(())

    with pytest.raises(DataError, match="Stream has no length"):
        Samples(Stream(), seed=0)


def test_augmentation_gets_a_seed_of_the_sample_and_the_epoch():
    samples = Samples(Counted(), seed=0, augment=lambda sample, seed: {**sample, "seed": seed})

    assert samples[0, 1]["seed"] == samples[0, 1]["seed"]
    assert len({samples[epoch, index]["seed"] for epoch in (0, 1) for index in (0, 1)}) == 4


def test_names_of_what_is_not_finite_are_told():
    image = torch.zeros(4, 1, 2, 2)
    image[1, 0, 0, 0], image[2, 0, 1, 1] = float("nan"), float("inf")
    depth = torch.tensor([0.0, 0.0, 0.0, float("nan")])

    batch = {"image": image, "depth": depth, "label": torch.zeros(4, dtype=torch.int64), "name": list("abcd")}

    assert finite(batch) == ["b", "c", "d"]
