"""Sources by name and by import path: what there is, what they take, and mistakes with their place."""

import subprocess
import sys

import pytest

from mcore.config import ConfigError
from mcore.config import read as read_config
from mcore.training.data.opening import check_alike, open_source
from mcore.training.errors import DataError
from mcore.training.settings import Typed
from tests.training.data.given import Counted, opened

HERE = "tests.training.data.given"


def test_a_source_of_an_import_path_is_made_of_the_other_keys(tmp_path):
    assert len(opened(tmp_path, type=f"{HERE}:Counted", count=7)) == 7


def test_a_torch_dataset_of_an_import_path_is_made_of_the_other_keys(tmp_path):
    assert opened(tmp_path, type=f"{HERE}:Drawing", mean=2.0).mean == 2.0


def test_a_source_that_is_made_already_is_taken(tmp_path):
    assert len(opened(tmp_path, type=f"{HERE}:MADE")) == 3


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"type": "foldr"}, r"train\.data\.type: no source of data is called 'foldr'; did you mean 'folder'\?"),
        ({"type": "x"}, r"there are folder, csv, numpy, zarr, and import paths 'package\.module:name'"),
        ({"type": "csv", "pth": "a"}, r"train\.data\.pth: 'csv' has no argument 'pth'; did you mean 'path'\?"),
        ({"type": "csv"}, r"train\.data: 'csv' needs the argument 'path'"),
        ({"type": "csv", "path": "a", "dims": 4}, r"train\.data\.dims: input should be 2 or 3, got 4"),
        ({"type": "csv", "path": "a", "size": "big"}, r"train\.data\.size: .*integer.*; or .*list.*got 'big'"),
        ({"type": f"{HERE}:Counted", "cuont": 7}, r"train\.data\.cuont: .* no argument 'cuont' \(did you mean 'count'"),
        ({"type": f"{HERE}:Countd"}, r"has no 'Countd' \(did you mean 'Counted'\?\)"),
        ({"type": "no_such_module:x"}, r"no_such_module can't be imported: ModuleNotFoundError: .* on PYTHONPATH"),
        ({"type": f"{HERE}:"}, r"is no import path; 'package\.module:name' fits"),
        ({"type": f"{HERE}:NOTHING"}, r"is of int, which can't be called"),
        ({"type": f"{HERE}:Darker", "by": 1.0}, r"it is of Darker; a Source or a torch Dataset"),
        ({"type": f"{HERE}:MADE", "count": 7}, r"is made already, and takes no arguments \(count\)"),
    ],
)
def test_what_is_wrong_is_told_with_what_fits(tmp_path, typed, told):
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, **typed)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError, match="2 mistakes"):
        opened(tmp_path, type="csv", path="a", dims=4, colour="rgb")


def test_an_import_path_that_cannot_be_made_is_told_in_one_line(tmp_path):
    with pytest.raises(DataError, match=rf"\A{HERE}:failing can't be made: OSError: no such server\Z"):
        opened(tmp_path, type=f"{HERE}:failing")


def test_a_mistake_is_told_with_its_line(tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text("train:\n  data:\n    train:\n      type: csv\n      pth: list.csv\n")
    config = read_config(file)
    typed = Typed.model_validate(config.data["train"]["data"]["train"])

    with pytest.raises(ConfigError, match=r"experiment\.yaml:5.*train\.data\.train\.pth: 'csv' has no argument 'pth'"):
        open_source(typed, base=tmp_path, config=config, where=("train", "data", "train"))


def test_files_beside_the_configuration_are_not_imported(tmp_path):
    (tmp_path / "beside_the_configuration.py").write_text("raise SystemExit('it ran')")

    with pytest.raises(ConfigError, match="beside_the_configuration can't be imported: ModuleNotFoundError"):
        opened(tmp_path, type="beside_the_configuration:x")


def test_an_absolute_path_is_not_relative_to_the_configuration(tmp_path):
    with pytest.raises(DataError, match=r"\A/nowhere/at/all\.csv can't be read"):
        opened(tmp_path, type="csv", path="/nowhere/at/all.csv")


def with_classes(*classes):
    source = Counted()
    source.classes = list(classes) or None
    return source


def test_classes_that_only_one_of_both_has_are_named():
    with pytest.raises(DataError, match="dog only in the training data; cow, sheep only in the validation data"):
        check_alike(with_classes("cat", "dog"), with_classes("cat", "cow", "sheep"))


def test_classes_in_another_order_are_told():
    with pytest.raises(DataError, match="in another order, a, b and b, a"):
        check_alike(with_classes("a", "b"), with_classes("b", "a"))


def test_data_without_names_of_classes_is_alike():
    check_alike(with_classes("a"), with_classes())


def test_opening_imports_no_reader_before_it_is_needed():
    heavy = ("zarr", "kornia", "PIL", "tifffile", "skimage", "pandas", "matplotlib")
    code = (
        "import sys, mcore.training.data.opening, mcore.training.data.loading, mcore.training.data.augmenting, "
        "mcore.training.data.folder, mcore.training.data.table, mcore.training.data.patches\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == ""
