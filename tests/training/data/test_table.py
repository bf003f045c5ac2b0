"""CSV lists: what columns mean, splits, and every mistake in them by its row."""

import numpy as np
import pytest

from mcore.training.errors import DataError
from tests.training.data.given import opened, read, save


@pytest.fixture
def table(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"files/{name}.png", np.zeros((3, 4), np.uint8))
        save(tmp_path / f"files/{name}.npy", np.ones((3, 4), np.int32))

    def write(text, **arguments):
        (tmp_path / "files/list.csv").write_text(text, encoding="utf-8")
        return opened(tmp_path, type="csv", path="files/list.csv", **arguments)

    return write


def targets(source):
    return [
        {key: value for key, value in read(source, index).items() if key not in ("image", "name")}
        for index in range(len(source))
    ]


def test_whole_numbers_are_labels(table):
    found = targets(table("image,label\na.png,2\nb.png,0\n"))

    assert found == [{"label": 2}, {"label": 0}]
    assert isinstance(found[0]["label"], int)


def test_a_column_with_a_point_in_one_row_is_of_floats(table):
    assert targets(table("image,age\na.png,2\nb.png,0.5\n")) == [{"age": 2.0}, {"age": 0.5}]
    assert isinstance(targets(table("image,age\na.png,2\nb.png,0.5\n"))[0]["age"], float)


def test_files_are_masks_relative_to_the_csv(table):
    mask = targets(table("image,mask\na.png,b.npy\n"))[0]["mask"]

    assert mask.tolist() == [[1] * 4] * 3


def test_text_is_of_classes_by_name(table):
    source = table("image,kind\na.png,dog\nb.png,cat\nc.png,dog\n")

    assert source.classes == ["cat", "dog"]
    assert targets(source) == [{"kind": 1}, {"kind": 0}, {"kind": 1}]


def test_classes_are_those_of_all_splits(table):
    text = "image,kind,split\na.png,dog,train\nb.png,cat,validation\n"

    assert table(text, split="train").classes == table(text, split="validation").classes == ["cat", "dog"]


def test_given_classes_say_their_order(table):
    assert targets(table("image,kind\na.png,cat\n", classes=["dog", "cat"])) == [{"kind": 1}]


def test_a_split_chooses_its_rows(table):
    text = "image,label,split\na.png,0,train\nb.png,1,validation\nc.png,2,train\n"

    assert targets(table(text, split="train")) == [{"label": 0}, {"label": 2}]


def test_named_targets_leave_out_other_columns(table):
    assert targets(table("picture,label,patient\na.png,1,x\n", image="picture", targets=["label"])) == [{"label": 1}]


def test_a_table_of_a_spreadsheet_begins_with_a_mark(table):
    assert targets(table("\ufeffimage, label\r\na.png, 1\r\n\r\n")) == [{"label": 1}]


def test_a_sample_is_named_by_its_image(table, tmp_path):
    assert read(table("image\na.png\n"), 0)["name"] == str(tmp_path / "files/a.png")


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        ("image,labl\na.png,1\n", {"targets": ["label"]}, r"list\.csv has no column 'label' \(did you mean 'labl'\?\)"),
        ("file,label\na.png,1\n", {}, "has no column 'image'; it has file, label"),
        ("image,label\na.png,\n", {}, "row 1 has nothing in the column 'label'"),
        ("image,mask\na.png,a.npy\nb.png,none\n", {}, "column 'mask' has files, but in row 2 'none'"),
        ("image,mask\na.png,x.npy\n", {}, r"row 1 names .*x\.npy, which is not there"),
        ("image\na.png\nx.png\n", {}, r"row 2 names .*x\.png, which is not there"),
        ("image,label\na.png\n", {}, "row 1 has 1 cells, and there are 2 columns"),
        ("image,label\n", {}, "has no rows"),
        ("image,label\na.png,1\n", {"split": "train"}, "has no column 'split'"),
        ("image,split\na.png,test\n", {"split": "train"}, "no row whose split is 'train'; there are test"),
        ("image,name\na.png,Anna\n", {}, "no target can be called 'name'.*; name the columns that are, as targets"),
        ("image,kind\na.png,cow\n", {"classes": ["cat"]}, "row 1 has 'cow' in the column 'kind', which isn't among"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(table, text, arguments, told):
    with pytest.raises(DataError, match=told):
        table(text, **arguments)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv can't be read as CSV: .*No such file"):
        opened(tmp_path, type="csv", path="none.csv")


def test_a_mask_of_another_size_than_its_image_is_named(table, tmp_path):
    save(tmp_path / "files/small.npy", np.ones((2, 2), np.int32))
    source = table("image,mask\na.png,small.npy\n")

    with pytest.raises(DataError, match=r"small\.npy is 2x2, and its image .*a\.png is 3x4"):
        read(source, 0)
