"""`model.json`: what an artifact says of itself besides its graph, and where its weights are."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx

from mcore.exchange.arguments import Writer, class_path
from mcore.exchange.errors import ModelFileError
from mcore.exchange.report import Report

FORMAT = 1
FILE = "model.json"
LARGEST = 16 << 20


def describe(
    module: Any,
    engine: ModuleType,
    model: onnx.ModelProto,
    report: Report,
    *,
    arguments: bool,
    state: list[str],
) -> dict[str, Any]:
    """The description of a module that was exported as `model`.

    Raises:
        TypeError: a constructor argument cannot be written; its name is in the message.
    """
    return {
        "format": FORMAT,
        "class": class_path(type(module), engine),
        "arguments": Writer(engine).arguments(module) if arguments else None,
        "training": bool(module.training),
        "inputs": [_value(info) for info in model.graph.input],
        "outputs": [_value(info) for info in model.graph.output],
        "axes": report.as_dict()["axes"],
        "state": state,
        "versions": _versions(engine, model),
        "code_hash": _code_hash(module),
        "commit": commit_of(type(module)),
        "report": {key: value for key, value in report.as_dict().items() if key != "axes"},
    }


def _value(info: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = info.type.tensor_type
    shape = [axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None for axis in kind.shape.dim]
    name = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    return {
        "name": info.name,
        "dtype": {"float": "float32", "double": "float64"}.get(name, name),
        "shape": shape,
    }


def _versions(engine: ModuleType, model: onnx.ModelProto) -> dict[str, Any]:
    import onnxruntime

    import mcore

    return {
        "mcore": mcore.__version__,
        "engine": engine.NAME,
        **engine.VERSIONS,
        "numpy": np.__version__,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "ir": model.ir_version,
        "python": platform.python_version(),
    }


def _code_hash(module: Any) -> str | None:
    """The hash of the sources of the classes reached; None where a source cannot be read."""
    from mcore.exchange.code_hash import code_hash

    try:
        return code_hash(module)
    except (OSError, TypeError, SyntaxError):
        return None


def commit_of(cls: type) -> str | None:
    """The commit of the repository that the class's source lies in, read from its files; None outside of one."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if not file:
        return None
    for folder in Path(file).resolve().parents:
        if (folder / ".git").exists():
            try:
                return _head(folder / ".git")
            except (OSError, UnicodeDecodeError):
                return None
    return None


def _head(git: Path) -> str | None:
    if git.is_file():  # a worktree: it says where its own folder is
        git = git.parent / git.read_text().strip().removeprefix("gitdir: ")
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return head
    name, common = head.removeprefix("ref: "), git
    if (git / "commondir").exists():
        common = git / (git / "commondir").read_text().strip()
    if (common / name).exists():
        return (common / name).read_text().strip()
    packed = common / "packed-refs"
    lines = packed.read_text().splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)


# --- on disk


def write(description: Mapping[str, Any], folder: Path) -> None:
    """Writes `model.json` as the last file of an artifact, with the hashes of those that hold weights."""
    files = {
        file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)}
        for file in sorted(folder.iterdir())
        if file.is_file()
    }
    text = json.dumps({**description, "files": files}, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The description of the artifact in `folder`.

    Raises:
        FileNotFoundError: there is no artifact.
        ModelFileError: its description is damaged, or of a later format.
    """
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no artifact of mcore: there is no {FILE} in it.")
    if path.stat().st_size > LARGEST:
        raise ModelFileError(f"{path}: {path.stat().st_size} bytes; at most {LARGEST} are read.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: damaged: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise ModelFileError(f"{path}: not the description of an artifact.")
    if found["format"] > FORMAT:
        raise ModelFileError(f"{path}: format {found['format']} is of a later mcore; this one reads up to {FORMAT}.")
    kinds = {"class": str, "arguments": dict | None, "files": dict, "state": list}
    for key, kind in kinds.items():
        if not isinstance(found.get(key), kind):
            raise ModelFileError(f"{path}: its {key!r} is missing or damaged.")
    return found


def stands_in(folder: Path) -> bool:
    """Whether `folder` has a description; a spec of a network may have its file's name, beside an ONNX file."""
    path = folder / FILE
    if not path.is_file() or path.stat().st_size > LARGEST:
        return path.is_file()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return True  # `read` tells what is wrong with it
    return isinstance(found, dict) and "format" in found


def check_files(folder: Path, description: Mapping[str, Any], names: list[str] | None = None) -> None:
    """Compares files with the hashes that were taken when they were written.

    Raises:
        ModelFileError: a file is missing, or isn't the one that was written.
    """
    for name, said in description["files"].items():
        path = folder / name
        if Path(name).name != name or not isinstance(said, dict):
            raise ModelFileError(f"{folder / FILE}: its list of files is damaged.")
        if names is not None and name not in names:
            continue
        if not path.is_file():
            raise ModelFileError(f"{path}: missing, though {FILE} lists it.")
        if path.stat().st_size != said.get("bytes") or sha256(path) != said.get("sha256"):
            raise ModelFileError(
                f"{path}: damaged or edited: it is not the file that was written with {FILE} (its hash differs)."
            )


def sha256(path: Path) -> str:
    """The hash of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a key is there twice")
    return out
