"""Patches of zarr volumes: random and of a grid, of both formats, and nothing read beside them."""

import pickle

import numpy as np
import pytest
import zarr

from mcore.config import ConfigError
from mcore.training.data.loading import training_loader
from mcore.training.data.samples import Samples
from mcore.training.data.sampling import Order
from mcore.training.errors import DataError
from mcore.training.settings import Loader
from tests.training.data.given import opened, read

RAW = np.arange(6 * 8 * 10, dtype=np.uint16).reshape(6, 8, 10)
PATCH = [2, 4, 4]


def written(path, image=RAW, mask=RAW, zarr_format=3, chunks=(2, 4, 5)):
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    for name, array in (("raw", image), ("labels", mask)):
        group.create_array(name, data=array, chunks=array.shape[: array.ndim - 3] + chunks)
    return path


@pytest.fixture
def base(tmp_path):
    written(tmp_path / "volume.zarr")
    return tmp_path


def patches(base, **arguments):
    return opened(base, **{"type": "zarr", "path": "volume.zarr", "image": "raw", "patch": PATCH, **arguments})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_random_patch_is_of_image_and_mask_at_one_place(tmp_path, zarr_format):
    written(tmp_path / "volume.zarr", zarr_format=zarr_format)

    sample = read(patches(tmp_path, mask="labels", samples=5, scale=1.0), 3)

    assert sample["image"].shape == (1, *PATCH)
    np.testing.assert_array_equal(sample["image"][0], sample["mask"])


def test_a_patch_says_where_it_lies(base):
    sample = read(patches(base, samples=5, scale=1.0), 0)

    corner = [int(number) for number in sample["name"].rpartition(" at ")[2].split(",")]
    assert sample["image"][0, 0, 0, 0] == RAW[tuple(corner)]


def test_patches_are_drawn_by_the_random_numbers_alone(base):
    source = patches(base, samples=100)

    assert read(source, 0, seed=5)["name"] == read(source, 1, seed=5)["name"]
    assert len({read(source, 0, seed=seed)["name"] for seed in range(50)}) > 30


def test_every_voxel_can_be_in_a_random_patch(base):
    source = patches(base, samples=1, scale=1.0, patch=[5, 7, 9])

    corners = {read(source, 0, seed=seed)["image"].flat[0] for seed in range(100)}

    assert len(corners) == 8


def test_an_epoch_has_as_many_patches_as_it_is_told(base):
    assert len(patches(base, samples=17)) == 17


def test_a_grid_covers_the_volume_up_to_its_end(base):
    source = patches(base, grid=True, scale=1.0)

    seen = {value for index in range(len(source)) for value in read(source, index)["image"].flat}

    assert len(source) == 3 * 2 * 3
    assert seen == set(RAW.flat)


def test_stride_says_how_near_patches_of_a_grid_lie(base):
    assert len(patches(base, grid=True, stride=[1, 2, 3])) == 5 * 3 * 3


def test_values_are_divided_by_the_largest_of_their_type(base):
    np.testing.assert_allclose(read(patches(base, grid=True), 0)["image"][0, 0, 0, 1], 1 / 65535)


@pytest.mark.parametrize(("axis", "channels"), [(0, None), (0, 0), (3, 3), (3, -1)])
def test_channels_come_first_wherever_they_are(tmp_path, axis, channels):
    image = np.stack([RAW, RAW + 1], axis)
    zarr.create_array(tmp_path / "image.zarr", data=image)

    source = opened(tmp_path, type="zarr", image="image.zarr", patch=PATCH, grid=True, channels=channels, scale=1.0)

    np.testing.assert_array_equal(read(source, 0)["image"], np.stack([RAW, RAW + 1])[:, :2, :4, :4])


def test_image_and_mask_can_be_two_paths(base):
    source = opened(base, type="zarr", image="volume.zarr/raw", mask="volume.zarr/labels", patch=PATCH, grid=True)

    assert read(source, 0)["mask"].shape == tuple(PATCH)


def test_patches_of_two_axes_are_of_an_image(tmp_path):
    zarr.create_array(tmp_path / "image.zarr", data=RAW[0])

    source = opened(tmp_path, type="zarr", image="image.zarr", patch=[4, 4], grid=True)

    assert read(source, 0)["image"].shape == (1, 4, 4)


def test_of_several_volumes_the_larger_gives_more_patches(base):
    written(base / "small.zarr", RAW[:2, :4, :5], RAW[:2, :4, :5])
    source = patches(base, path=["small.zarr", "volume.zarr"], samples=100)

    small = sum("small.zarr" in read(source, 0, seed=seed)["name"] for seed in range(300))

    # 2 of 177 places.
    assert 0 < small < 15


def test_a_grid_of_several_volumes_has_all_of_them(base):
    written(base / "small.zarr", RAW[:2, :4, :4], RAW[:2, :4, :4], chunks=(2, 4, 4))

    assert len(patches(base, path=["small.zarr", "volume.zarr"], grid=True)) == 1 + 18


def test_only_the_chunks_of_a_patch_are_read(base, monkeypatch):
    source = patches(base, grid=True)
    for chunk in (base / "volume.zarr/raw/c").rglob("*"):
        if chunk.is_file() and chunk.relative_to(base / "volume.zarr/raw/c").parts != ("0", "0", "0"):
            chunk.write_bytes(b"damaged")

    assert read(source, 0)["image"].shape == (1, *PATCH)


def test_a_damaged_chunk_is_named_with_its_place(base):
    source = patches(base, grid=True)
    (base / "volume.zarr/raw/c/0/0/0").write_bytes(b"damaged")

    with pytest.raises(DataError, match=r"raw at 0,0,0 can't be read"):
        read(source, 0)


def test_workers_read_what_one_process_reads(base):
    samples = Samples(patches(base, mask="labels", samples=8), seed=0)

    one, two = (
        [batch["image"].tolist() for batch in training_loader(samples, Order(8, batch=4), Loader(num_workers=workers))]
        for workers in (0, 2)
    )

    assert one == two


def test_opened_arrays_do_not_travel_to_workers(base):
    source = patches(base, grid=True)
    again = pickle.loads(pickle.dumps(source))

    assert again.volumes[0]._opened is None
    assert read(again, 0)["image"].tolist() == read(source, 0)["image"].tolist()


def test_arrays_are_opened_anew_in_a_process_that_was_forked(base, monkeypatch):
    volume = patches(base, grid=True).volumes[0]
    before = volume.arrays
    assert volume.arrays is before

    monkeypatch.setattr("os.getpid", lambda: 1)

    assert volume.arrays is not before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"samples": 5, "patch": [2, 4, 11]}, r"raw is 6x8x10, smaller than a patch of 2x4x11"),
        ({"samples": 5, "image": "rwa"}, r"rwa can't be opened by zarr: .*did you mean 'raw'"),
        ({"samples": 5, "image": ""}, r"volume\.zarr/ is a zarr group, of the arrays labels, raw; name one of them"),
        ({"samples": 5, "patch": [4]}, r"raw is 6x8x10; a patch of 1 numbers needs 1 axes, and one of channels"),
        ({"samples": 5, "channels": 0}, r"a patch of 3 numbers and channels=0 needs 3 axes"),
    ],
)
def test_data_that_does_not_fit_is_named(base, arguments, told):
    with pytest.raises(DataError, match=told):
        patches(base, **arguments)


def test_a_mask_of_another_size_is_named(tmp_path):
    written(tmp_path / "volume.zarr", mask=RAW[:5])

    with pytest.raises(DataError, match=r"labels is 5x8x10, and its image .*raw 6x8x10"):
        patches(tmp_path, mask="labels", samples=5)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "give one of samples .* and grid: true"),
        ({"samples": 5, "grid": True}, "give one of samples .* and grid: true"),
        ({"samples": 5, "stride": [1, 1, 1]}, "stride is of a grid, one number for each of patch"),
        ({"grid": True, "stride": [1]}, "stride is of a grid, one number for each of patch"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(base, arguments, told):
    with pytest.raises(ConfigError, match=told):
        patches(base, **arguments)
