"""Images and targets that a CSV file lists."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mcore.training.data.base import Sample, Source
from mcore.training.data.images import SUFFIXES, Files
from mcore.training.data.options import Pixels, check_targets, located
from mcore.training.errors import DataError
from mcore.vocabulary import nearest


class TableOptions(Pixels):
    """Arguments of the source "csv"; what `Pixels` has, too.

    Attributes:
        path: the CSV file, whose first line names its columns.
        image: the column of image files, relative to the CSV's folder.
        targets: columns that become targets, under their names; left out, all but the image and the split. A column
            of files is of masks; of whole numbers, labels; of numbers with a point, these; of other text, classes.
        split: which rows: those with this in the column `split_column`; left out, all.
        split_column: the column of splits.
        classes: names of the classes in their order, for columns of text; left out, all names of the column, sorted.
    """

    path: str | Path
    image: str = "image"
    targets: list[str] | tuple[str, ...] | None = None
    split: str | None = None
    split_column: str = "split"
    classes: list[str] | None = None


class _Column(NamedTuple):
    """A column's values in all rows: files, or numbers."""

    values: list[Any]
    files: bool = False


class Table(Source):
    """The rows of a CSV file, in its order.

    Raises:
        DataError: the file isn't there or has no rows of the split, a column is missing, a cell is empty or unlike
            the others of its column, a file that it names is not there.
    """

    Options = TableOptions

    def __init__(self, options: TableOptions, *, base: Path = Path()) -> None:
        self.path = located(options.path, base)
        self.image = options.image
        self.files, self.classes = Files(options), options.classes
        rows = _rows(self.path)
        targets = options.targets
        if targets is None:
            targets = [name for name in rows[0] if name not in (options.image, options.split_column)]
        self._check_columns(rows[0], (options.image, *targets))
        try:
            check_targets(targets)
        except ValueError as error:
            raise DataError(f"{self.path}: {error}; name the columns that are, as targets.") from None
        # Classes and kinds of columns are those of the whole file, so that all splits of it agree.
        columns = {name: self._column(name, [row[name] for row in rows]) for name in targets}
        chosen = self._chosen(rows, options)
        self.images = [self._existing(rows[row][options.image], row) for row in chosen]
        self.targets = {
            name: _Column([column.values[row] for row in chosen], column.files) for name, column in columns.items()
        }
        for column in self.targets.values():
            if column.files:
                column.values[:] = [
                    self._existing(value, row) for value, row in zip(column.values, chosen, strict=True)
                ]

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int, random: np.random.Generator) -> Sample:
        """The image of a row, with its targets under the names of their columns; see `Source.read`."""
        path = self.images[index]
        sample: Sample = {"image": self.files.image(path), "name": str(path)}
        for name, column in self.targets.items():
            value = column.values[index]
            if column.files:
                value = self.files.target(value, image=path, size=sample["image"].shape[1:])
            sample[name] = value
        return sample

    def _check_columns(self, row: dict[str, str], wanted: tuple[str, ...]) -> None:
        for name in wanted:
            if name not in row:
                likely = nearest(name, row, most=1)
                meant = f" (did you mean {likely[0]!r}?)" if likely else ""
                raise DataError(f"{self.path} has no column {name!r}{meant}; it has {', '.join(row)}.")

    def _chosen(self, rows: list[dict[str, str]], options: TableOptions) -> list[int]:
        if options.split is None:
            return list(range(len(rows)))
        self._check_columns(rows[0], (options.split_column,))
        found = [number for number, row in enumerate(rows) if row[options.split_column] == options.split]
        if not found:
            splits = ", ".join(sorted({row[options.split_column] for row in rows}))
            raise DataError(
                f"{self.path} has no row whose {options.split_column} is {options.split!r}; there are {splits}."
            )
        return found

    def _column(self, name: str, texts: list[str]) -> _Column:
        """What a column of text means."""
        empty = next((row for row, text in enumerate(texts) if not text), None)
        if empty is not None:
            raise DataError(f"{self.path}: row {empty + 1} has nothing in the column {name!r}.")
        for kind in (int, float):
            numbers = _all(kind, texts)
            if numbers is not None:
                return _Column(numbers)
        are_files = [text.lower().endswith(SUFFIXES) for text in texts]
        if all(are_files):
            return _Column(list(texts), files=True)
        if any(are_files):
            text = texts[are_files.index(False)]
            raise DataError(
                f"{self.path}: the column {name!r} has files, but in row {are_files.index(False) + 1} {text!r}."
            )
        return _Column(self._labels(name, texts))

    def _labels(self, name: str, texts: list[str]) -> list[int]:
        """Names of classes as their numbers."""
        classes = sorted(set(texts)) if self.classes is None else self.classes
        number = {text: place for place, text in enumerate(classes)}
        strange = next((row for row, text in enumerate(texts) if text not in number), None)
        if strange is not None:
            told = f"{texts[strange]!r} in the column {name!r}, which isn't among the classes {', '.join(classes)}"
            raise DataError(f"{self.path}: row {strange + 1} has {told}.")
        self.classes = classes
        return [number[text] for text in texts]

    def _existing(self, text: str, row: int) -> Path:
        path = located(text, self.path.parent)
        if not path.is_file():
            raise DataError(f"{self.path}: row {row + 1} names {path}, which is not there.")
        return path


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows by column, without white space around; a byte order mark of a spreadsheet is none of the first name."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read as CSV: {error}") from error
    if len(lines) < 2:
        raise DataError(f"{path} has no rows: a line with the columns' names, and one for each sample.")
    head, *rows = lines
    for number, row in enumerate(rows):
        if len(row) != len(head):
            raise DataError(f"{path}: row {number + 1} has {len(row)} cells, and there are {len(head)} columns.")
    return [dict(zip(head, row, strict=True)) for row in rows]


def _all(kind: Callable[[str], Any], texts: list[str]) -> list[Any] | None:
    """All texts as numbers; None where one is none."""
    try:
        return [kind(text) for text in texts]
    except ValueError:
        return None


__all__ = ["Table", "TableOptions"]
