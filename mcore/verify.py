"""`python -m mcore.verify exports/net`: checks an artifact again, with ONNX Runtime alone.

Runs the graph on every data set of the folder and compares with the outputs that stand there. Any folder in the
layout of ONNX's own tests will do: `model.onnx` and `test_data_set_<n>/{input,output}_<k>.pb`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcore.exchange import compare, description, safety
from mcore.exchange.errors import ModelFileError
from mcore.exchange.slots import own_inputs

_LARGEST_SAMPLE = 4 << 30


@dataclass
class Checked:
    """What came of one data set: its name, the largest relative difference, and what is wrong if anything is."""

    name: str
    sizes: list[tuple[int, ...]]
    difference: float
    wrong: list[str]

    def __str__(self) -> str:
        sizes = ", ".join("x".join(map(str, shape)) or "scalar" for shape in self.sizes)
        verdict = "; ".join(self.wrong) if self.wrong else "ok"
        return f"{self.name} ({sizes}): largest relative difference {self.difference:.1e}: {verdict}"


@dataclass
class Graph:
    """An artifact's graph that was looked over: its file, and the names of what goes in and comes out."""

    model: Path
    inputs: list[str]
    outputs: list[str]


def verify(path: str | Path, tolerance: float | None = None) -> list[Checked]:
    """Runs every data set of the artifact at `path`.

    Raises:
        FileNotFoundError: there is no artifact, or it has no data sets.
        ModelFileError: a file of it is damaged or unsafe, or the runtime refuses the graph.
    """
    from mcore.exchange.ortrun import Runner

    graph, sets = look_over(path), data_sets(path)
    try:
        runner = Runner(str(graph.model))
    except Exception as error:  # the runtime has no class of its own
        raise ModelFileError(f"{graph.model}: ONNX Runtime refuses it: {error}") from error
    return [_checked(place, runner, graph.outputs, tolerance) for place in sets]


def look_over(path: str | Path) -> Graph:
    """Looks at all that a runtime would read of the artifact at `path`.

    Raises:
        FileNotFoundError: there is no artifact.
        ModelFileError: a file of it is damaged or unsafe.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: there is no such folder; an artifact is a folder with model.onnx in it.")
    model = folder / "model.onnx"
    if not model.is_file():
        raise FileNotFoundError(f"{folder}: no artifact: there is no model.onnx in it.")
    if (folder / description.FILE).is_file():
        description.check_files(folder, description.read(folder))
    # Everything is looked at before the runtime sees it: it would follow a hard link out of the folder.
    loaded = safety.read_model(model)
    inputs = own_inputs(loaded.model.graph, loaded.arrays)
    return Graph(model, [info.name for info in inputs], [info.name for info in loaded.model.graph.output])


def data_sets(path: str | Path) -> list[Path]:
    """The folders of an artifact's data sets, in order. Raises FileNotFoundError where there are none."""
    folder = Path(path)
    sets = sorted(folder.glob("test_data_set_*"), key=lambda place: _number(place.name))
    if not sets:
        raise FileNotFoundError(f"{folder}: there are no data sets (test_data_set_<n>) to check it with.")
    return sets


def _checked(place: Path, runner: object, names: Sequence[str], tolerance: float | None) -> Checked:
    inputs, outputs = read_arrays(place, "input"), read_arrays(place, "output")
    sizes = [tuple(array.shape) for array in inputs]
    try:
        got = runner(inputs)  # type: ignore[operator]
    except Exception as error:
        return Checked(place.name, sizes, float("inf"), [f"ONNX Runtime: {error}"])
    return Checked(place.name, sizes, *compare.verdict(names, got, outputs, tolerance))


def read_arrays(place: Path, kind: str) -> list[np.ndarray]:
    """The arrays `<kind>_0.pb`, `<kind>_1.pb`, ... of a data set."""
    files = sorted(place.glob(f"{kind}_*.pb"), key=lambda file: _number(file.name))
    for number, file in enumerate(files):
        if _number(file.name) != number:
            raise ModelFileError(f"{place}: {kind}_{number}.pb is missing.")
        if file.stat().st_size > _LARGEST_SAMPLE:
            raise ModelFileError(f"{file}: {file.stat().st_size} bytes; at most {_LARGEST_SAMPLE} are read.")
    return [safety.read_tensor(file.read_bytes(), str(file)) for file in files]


def _number(name: str) -> int:
    found = re.search(r"\d+", name)
    return int(found[0]) if found else -1


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 where every data set agrees, 1 where one doesn't or nothing can be checked."""
    parser = argparse.ArgumentParser(
        prog="python -m mcore.verify",
        description="Check artifacts again with ONNX Runtime alone.",
        epilog="example: python -m mcore.verify exports/net",
    )
    parser.add_argument("path", nargs="+", help="the folder of an artifact")
    parser.add_argument("--tolerance", type=float, help="largest relative difference that passes (default: by dtype)")
    given = parser.parse_args(arguments)
    failed = False
    for path in given.path:
        try:
            found = verify(path, given.tolerance)
        except (ModelFileError, OSError, ImportError) as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        for checked in found:
            print(f"{path}/{checked}")
        failed |= any(checked.wrong for checked in found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
