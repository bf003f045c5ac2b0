"""Images and masks from files: the same numbers, channels first, in the size and the colours that were asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from mcore.training.data.images import Files, nearest, read_array, resized
from mcore.training.data.options import Pixels
from mcore.training.errors import DataError
from tests.training.data.given import save, uninstall

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)
RGB = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


def files(**options):
    return Files(Pixels(**options))


@pytest.mark.parametrize("ending", ["png", "bmp", "pgm", "tif", "npy"])
def test_a_gray_image_has_one_channel_within_0_and_1(tmp_path, ending):
    image = files().image(save(tmp_path / f"a.{ending}", GRAY))

    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, GRAY[None] / np.float32(255))


@pytest.mark.parametrize(("ending", "mode"), [("png", None), ("bmp", None), ("tif", "rgb")])
def test_colours_are_channels_first(tmp_path, ending, mode):
    image = read_array(save(tmp_path / f"a.{ending}", RGB, mode), dims=2)

    np.testing.assert_array_equal(image, np.moveaxis(RGB, -1, 0))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_divided_by_their_largest_number(tmp_path, ending):
    image = files().image(save(tmp_path / f"a.{ending}", np.full((2, 2), 65535, np.uint16)))

    assert (image == 1).all()


def test_numbers_with_a_point_stay_as_they_are(tmp_path):
    image = files().image(save(tmp_path / "a.tif", np.full((2, 2), 700.5, np.float32)))

    assert (image == 700.5).all()


def test_scale_mean_and_std_are_taken_in_this_order(tmp_path):
    path = save(tmp_path / "a.png", np.full((2, 2, 3), 100, np.uint8))

    image = files(scale=0.5, mean=[50.0, 40.0, 30.0], std=2).image(path)

    np.testing.assert_array_equal(image[:, 0, 0], [0, 5, 10])


def test_a_mean_of_other_channels_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.png has 1 channels, but mean has 3 numbers"):
        files(mean=[0.5, 0.5, 0.5]).image(save(tmp_path / "a.png", GRAY))


def test_a_std_of_nought_is_refused():
    with pytest.raises(DataError, match=r"std is 0\.0; each is more than 0"):
        files(std=0.0)


def test_a_palette_is_looked_up_for_images(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 1]], np.uint8), "P")

    assert read_array(path, dims=2).tolist() == [[[0, 255]], [[0, 0]], [[0, 0]]]


def test_a_palette_of_a_mask_is_its_classes(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 1]], np.uint8), "P")

    assert files().target(path, image=path, size=(1, 2)).tolist() == [[0, 1]]


def test_a_mask_of_one_bit_has_0_and_1(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(path)

    assert files().target(path, image=path, size=(1, 2)).astype(int).tolist() == [[0, 1]]


def test_colours_become_gray_as_pillow_does(tmp_path):
    path = save(tmp_path / "a.png", RGB)

    gray = files(color="gray").image(path)

    np.testing.assert_allclose(gray[0] * 255, np.asarray(Image.open(path).convert("L")), atol=1)


@pytest.mark.parametrize(
    ("channels", "color", "expected"), [(1, "rgb", 3), (4, "rgb", 3), (4, "gray", 1), (4, None, 4)]
)
def test_color_says_how_many_channels_there_are(tmp_path, channels, color, expected):
    path = save(tmp_path / "a.png", np.zeros((2, 2, channels), np.uint8)[..., 0 if channels == 1 else slice(None)])

    assert len(files(color=color).image(path)) == expected


def test_gray_with_alpha_loses_it(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(GRAY).convert("LA").save(path)

    assert len(files(color="gray").image(path)) == 1
    assert len(files(color="rgb").image(path)) == 3


def test_mean_is_of_the_colours_that_come_out(tmp_path):
    image = files(color="gray", mean=1.0).image(save(tmp_path / "a.png", np.full((2, 2, 3), 255, np.uint8)))

    np.testing.assert_allclose(image, 0, atol=1e-6)


def test_size_is_of_images_and_masks(tmp_path):
    reader = files(size=[6, 8])
    path = save(tmp_path / "a.png", GRAY)

    image = reader.image(path)

    assert image.shape == (1, 6, 8)
    assert reader.target(path, image=path, size=(6, 8)).shape == (6, 8)


def test_one_number_as_size_is_of_each_axis(tmp_path):
    assert files(size=5).image(save(tmp_path / "a.png", GRAY)).shape == (1, 5, 5)


def test_a_size_of_other_axes_is_refused():
    with pytest.raises(DataError, match=r"size has 3 numbers, and images have 2 axes"):
        files(size=[1, 2, 3])


def test_an_image_that_shrinks_is_smoothed():
    stripes = np.tile(np.array([0, 1, 1, 0], np.float32), 4)[None, None].repeat(16, 1)

    small = resized(stripes, (4, 4))

    assert small.min() > 0.3
    assert small.max() < 0.7


@settings(max_examples=30)
@given(
    mask=arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_masks_are_resized_as_torch_does_by_its_exact_nearest(mask, sizes):
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(mask % 999)[None, None].double(), sizes, mode="nearest-exact"
    )

    np.testing.assert_array_equal(nearest(mask % 999, sizes), expected[0, 0].numpy())


def test_pages_of_a_tiff_are_a_volume(tmp_path):
    volume = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)

    image = files(dims=3, scale=1.0).image(save(tmp_path / "a.tif", volume))

    np.testing.assert_array_equal(image, volume[None])


def test_pages_of_a_tiff_that_is_no_volume_are_channels(tmp_path):
    assert files().image(save(tmp_path / "a.tif", np.zeros((5, 3, 4), np.uint8))).shape == (5, 3, 4)


def test_axes_that_no_image_has_name_the_file_and_dims(tmp_path):
    with pytest.raises(DataError, match=r"a\.npy is 2x3x4x5; with dims=2 2 axes fit, and one of channels"):
        files().image(save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5))))


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "npy"])
def test_a_damaged_file_is_named(tmp_path, ending):
    path = tmp_path / f"broken.{ending}"
    path.write_bytes(b"no image")

    with pytest.raises(DataError, match=rf"broken\.{ending} can't be read as an image"):
        files().image(path)


def test_a_file_that_was_cut_off_is_named(tmp_path):
    path = save(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-500])

    with pytest.raises(DataError, match=r"cut\.png can't be read as an image"):
        files().image(path)


def test_a_pickle_in_a_npy_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"no": "array"}], dtype=object), allow_pickle=True)

    with pytest.raises(DataError, match=r"a\.npy can't be read as an image: ValueError"):
        files().image(tmp_path / "a.npy")


def test_a_mask_of_colours_is_refused(tmp_path):
    path = save(tmp_path / "a.png", RGB)

    with pytest.raises(DataError, match=r"a\.png has 3 channels; a mask has one whole number a pixel"):
        files().target(path, image=path, size=(3, 4))


def test_a_mask_of_another_size_names_both_files(tmp_path):
    path = save(tmp_path / "m.png", GRAY)

    with pytest.raises(DataError, match=r"m\.png is 3x4, and its image i\.jpg is 4x4"):
        files().target(path, image="i.jpg", size=(4, 4))


def test_a_target_with_a_point_may_have_channels(tmp_path):
    path = save(tmp_path / "a.npy", np.zeros((2, 3, 4), np.float32))

    assert files().target(path, image=path, size=(3, 4)).shape == (2, 3, 4)


@pytest.mark.parametrize(("package", "ending"), [("PIL", "png"), ("tifffile", "tif")])
def test_without_a_reader_the_error_names_the_extra(tmp_path, monkeypatch, package, ending):
    path = save(tmp_path / f"a.{ending}", GRAY)
    uninstall(monkeypatch, package)

    with pytest.raises(ImportError, match=rf'{package}.* is not installed, .*: pip install "\.\[train\]"'):
        files().image(path)
