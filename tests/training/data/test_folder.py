"""Folders of images: classes by subfolder, masks by name, images alone; and what isn't any of these."""

import numpy as np
import pytest

from mcore.config import ConfigError
from mcore.training.errors import DataError
from tests.training.data.given import opened, read, save

GRAY = np.zeros((3, 4), np.uint8)


@pytest.fixture
def animals(tmp_path):
    for name in ("dog/a.png", "dog/deep/b.jpg", "cat/a.png"):
        save(tmp_path / "animals" / name, GRAY)
    return tmp_path


@pytest.fixture
def cells(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.jpg", GRAY)
        save(tmp_path / "masks" / f"{name}.png", GRAY + 255 * (name == "b"))
    return tmp_path


def test_subfolders_are_classes_by_name(animals):
    source = opened(animals, type="folder", path="animals")

    assert source.classes == ["cat", "dog"]
    assert [read(source, index)["label"] for index in range(len(source))] == [0, 1, 1]


def test_a_sample_is_named_by_its_file(animals):
    assert read(opened(animals, type="folder", path="animals"), 0)["name"] == str(animals / "animals/cat/a.png")


def test_given_classes_say_their_order(animals):
    source = opened(animals, type="folder", path="animals", classes=["dog", "bird", "cat"])

    assert [read(source, index)["label"] for index in range(len(source))] == [2, 0, 0]
    assert source.classes == ["dog", "bird", "cat"]


def test_a_subfolder_that_is_no_class_is_named(animals):
    with pytest.raises(DataError, match=r"has a subfolder 'cat' \(did you mean 'cats'\?\); the classes are cats, dog"):
        opened(animals, type="folder", path="animals", classes=["cats", "dog"])


def test_subfolders_without_labels_are_read_alone(animals):
    source = opened(animals, type="folder", path="animals", labels=False)

    assert len(source) == 3
    assert set(read(source, 0)) == {"image", "name"}
    assert source.classes is None


def test_images_beside_subfolders_are_refused(animals):
    save(animals / "animals/stray.png", GRAY)

    with pytest.raises(
        DataError, match=r"has images beside its subfolders cat, dog; move them into one, or .* labels: false"
    ):
        opened(animals, type="folder", path="animals")


def test_images_alone_have_no_target(cells):
    source = opened(cells, type="folder", path="images")

    assert [set(read(source, index)) for index in range(len(source))] == [{"image", "name"}] * 2


def test_labels_without_subfolders_are_refused(cells):
    with pytest.raises(DataError, match="images has no subfolders with images, and labels=True"):
        opened(cells, type="folder", path="images", labels=True)


def test_images_and_masks_of_one_name_belong_together(cells):
    source = opened(cells, type="folder", images="images", masks="masks", mask_values=[255, 0])

    assert [int(read(source, index)["mask"].max()) for index in range(len(source))] == [1, 0]


def test_masks_in_subfolders_belong_to_the_images_of_the_same(tmp_path):
    for day in ("monday", "tuesday"):
        save(tmp_path / "images" / day / "a.png", GRAY)
        save(tmp_path / "masks" / day / "a.png", GRAY + (day == "tuesday"))
    source = opened(tmp_path, type="folder", images="images", masks="masks")

    assert [int(read(source, index)["mask"].max()) for index in range(len(source))] == [0, 1]


def test_a_missing_mask_names_its_image(cells):
    (cells / "masks/a.png").unlink()

    with pytest.raises(DataError, match=r"images/a\.jpg has no mask: nothing named 'a' in .*masks"):
        opened(cells, type="folder", images="images", masks="masks")


def test_a_missing_image_names_its_mask(cells):
    (cells / "images/a.jpg").unlink()

    with pytest.raises(DataError, match=r"masks/a\.png has no image: nothing named 'a' in .*images"):
        opened(cells, type="folder", images="images", masks="masks")


def test_files_of_one_name_are_refused(cells):
    save(cells / "images/a.png", GRAY)

    with pytest.raises(DataError, match=r"a\.jpg and .*a\.png have one name but for their endings"):
        opened(cells, type="folder", images="images", masks="masks")


def test_a_value_that_no_class_has_names_the_mask(cells):
    source = opened(cells, type="folder", images="images", masks="masks", mask_values=[0, 1])

    with pytest.raises(DataError, match=r"b\.png has the value 255, which isn't among mask_values 0, 1"):
        read(source, 1)


def test_an_empty_folder_says_what_it_looked_for(tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(DataError, match=r"empty has no images: no file that ends in \.png"):
        opened(tmp_path, type="folder", path="empty")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="nowhere is not there; a folder of images fits"):
        opened(tmp_path, type="folder", path="nowhere")


def test_hidden_files_are_no_images(cells):
    save(cells / "images/._a.png", GRAY)
    save(cells / "images/.ipynb_checkpoints/a.png", GRAY)

    assert len(opened(cells, type="folder", path="images")) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "give one of path and images"),
        ({"path": "a", "images": "b"}, "give one of path and images"),
        ({"images": "a"}, "images and masks belong together"),
        ({"images": "a", "masks": "b", "labels": True}, "labels are of subfolders of path"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(tmp_path, arguments, told):
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, type="folder", **arguments)
