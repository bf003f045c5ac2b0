"""NumPy arrays: mapped where they can be, rows as samples, resized with their masks."""

import pickle

import numpy as np
import pytest

from mcore.config import ConfigError
from mcore.training.errors import DataError
from tests.training.data.given import opened, read

IMAGES = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
LABELS = np.array([1, 0])
MASKS = np.arange(40).reshape(2, 4, 5)


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    np.savez(tmp_path / "all.npz", image=IMAGES, label=LABELS, mask=MASKS)
    return tmp_path


def test_rows_of_a_npy_are_images_with_targets_of_other_files(folder):
    source = opened(folder, type="numpy", path="images.npy", targets={"label": "labels.npy"})

    assert len(source) == 2
    np.testing.assert_array_equal(read(source, 1)["image"], IMAGES[1] / np.float32(255))
    assert read(source, 1)["label"] == 0


def test_a_npy_is_mapped_not_read(folder):
    assert isinstance(opened(folder, type="numpy", path="images.npy").arrays["image"], np.memmap)


def test_a_mapped_array_does_not_travel_to_workers_but_is_opened_there(folder):
    source = opened(folder, type="numpy", path="images.npy")
    again = pickle.loads(pickle.dumps(source))

    assert again._arrays is None
    assert read(again, 1)["image"].tolist() == read(source, 1)["image"].tolist()


def test_what_is_read_can_be_written_without_touching_the_file(folder):
    np.save(folder / "masks.npy", MASKS)
    source = opened(folder, type="numpy", path="images.npy", targets={"mask": "masks.npy"})
    sample = read(source, 0)
    sample["image"][:] = 7
    sample["mask"][:] = 7

    assert read(source, 0)["mask"].tolist() == MASKS[0].tolist()
    assert (read(source, 0)["image"] <= 1).all()


def test_all_other_arrays_of_a_npz_are_targets(folder):
    sample = read(opened(folder, type="numpy", path="all.npz"), 0)

    assert set(sample) == {"image", "label", "mask", "name"}
    assert sample["name"].endswith("all.npz[0]")


def test_targets_of_a_npz_go_by_the_keys_that_are_given(folder):
    sample = read(opened(folder, type="numpy", path="all.npz", targets={"kind": "label"}), 0)

    assert set(sample) == {"image", "kind", "name"}


def test_images_without_channels_get_one(folder):
    np.save(folder / "gray.npy", IMAGES[:, 0])

    assert read(opened(folder, type="numpy", path="gray.npy"), 0)["image"].shape == (1, 4, 5)


def test_volumes_are_told_from_channels_by_dims(folder):
    assert read(opened(folder, type="numpy", path="images.npy", dims=3), 0)["image"].shape == (1, 3, 4, 5)


def test_masks_are_resized_with_their_images(folder):
    sample = read(opened(folder, type="numpy", path="all.npz", size=[8, 10]), 0)

    assert sample["image"].shape == (3, 8, 10)
    np.testing.assert_array_equal(sample["mask"][::2, ::2], MASKS[0])


def test_a_target_of_another_length_is_named(folder):
    np.save(folder / "labels.npy", np.zeros(5))

    with pytest.raises(DataError, match=r"'label' is 5, and there are 2 images"):
        opened(folder, type="numpy", path="images.npy", targets={"label": "labels.npy"})


def test_an_array_that_is_not_there_names_the_nearest(folder):
    with pytest.raises(DataError, match=r"all\.npz has no array 'images' \(did you mean 'image'\?\)"):
        opened(folder, type="numpy", path="all.npz", image="images")


def test_axes_that_no_images_have_are_told(folder):
    with pytest.raises(DataError, match=r"images are 2; with dims=2 \(n, \*size\) or \(n, c, \*size\) fits"):
        opened(folder, type="numpy", path="labels.npy")


def test_a_damaged_file_is_named(folder):
    (folder / "images.npy").write_bytes(b"no array")

    with pytest.raises(DataError, match=r"images\.npy can't be read: ValueError"):
        opened(folder, type="numpy", path="images.npy")


def test_another_kind_of_file_is_refused(folder):
    with pytest.raises(ConfigError, match=r"images\.mat is neither \.npy nor \.npz"):
        opened(folder, type="numpy", path="images.mat")


def test_a_target_cannot_take_the_place_of_the_image(folder):
    with pytest.raises(ConfigError, match="no target can be called 'image'"):
        opened(folder, type="numpy", path="images.npy", targets={"image": "labels.npy"})


def test_an_array_called_image_is_left_where_another_is_the_image(folder):
    np.savez(folder / "two.npz", image=IMAGES, inverted=255 - IMAGES)

    sample = read(opened(folder, type="numpy", path="two.npz", image="inverted"), 0)

    assert set(sample) == {"image", "name"}
    assert sample["image"].max() == 1
