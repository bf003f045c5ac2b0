"""Models as JSON: specs in the namespace `convnet`, read as plain data and built."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mcore.exchange import bridge
from mcore.exchange.errors import ModelFileError
from mcore.specs import build, type_of

NAMESPACE = "convnet"
# A spec names parts and numbers; 16 MB of them is no spec.
LARGEST = 16 << 20
# What may stand around a spec: the spec itself under one of two names, and a version.
WRAPPED = ("spec", "model")
VERSION = "default_version"

# Files being built, outermost first: a spec may load a model from another file.
_open: ContextVar[tuple[Path, ...]] = ContextVar("open specs", default=())


def model_of_spec(path: Path, default_version: str | None = None) -> Any:
    """The module that the JSON file at `path` describes.

    The file holds a spec (`{"@type": "UNet", ...}`), or one with a version for all that names none:
    `{"default_version": "0.0.2", "spec": {...}}`; the spec may stand under "model" too. What the file says goes
    before `default_version`, and a spec's own "@version" before both.

    Raises:
        ModelFileError: the file isn't JSON, holds no spec, or comes back to itself through the files that it names.
        TypeError: the spec makes something else than a module.
    """
    spec, version = unwrapped(read_json(path), path)
    with _entered(path):
        try:
            made = build(spec, namespace=NAMESPACE, default_version=default_version if version is None else version)
        except Exception as error:
            error.add_note(f"while building {path}")
            raise
    try:
        bridge.of_module(made)
    except TypeError:
        raise TypeError(f"{path}: its spec makes a {type(made).__name__}; load_model needs one of a module.") from None
    return made


def read_json(path: Path) -> Any:
    """The data of a JSON file. Raises ModelFileError where it isn't JSON, or says one key twice."""
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ModelFileError(f"{path}: {path.stat().st_size} bytes; a spec has at most {LARGEST}.")
    if content.startswith(b"PK\x03\x04"):
        raise ModelFileError(f"{path}: a zip archive, as TorchScript and torch.save write them, not JSON.")
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{path}: not JSON: not text in UTF-8 ({error.reason} at byte {error.start}).") from error
    except RecursionError as error:
        raise ModelFileError(f"{path}: nested too deeply for a spec.") from error
    except ValueError as error:
        raise ModelFileError(f"{path}: not JSON: {error}.") from error


def unwrapped(data: Any, path: Path) -> tuple[Any, str | None]:
    """The spec in a file's data, and the version that the file names for what has none."""
    if not isinstance(data, Mapping):
        raise ModelFileError(f"{path}: a spec is a mapping with an '@type', not a {type(data).__name__}.")
    if type_of(data) is not None:
        return data, None
    if "format" in data and "class" in data:
        raise ModelFileError(f"{path}: the description of an artifact, no spec; give its folder, {path.parent}.")
    held = [key for key in WRAPPED if key in data]
    others = [key for key in data if key not in (*WRAPPED, VERSION) and not key.startswith("@")]
    if len(held) != 1 or others:
        raise ModelFileError(
            f"{path}: holds {', '.join(map(repr, data)) or 'nothing'}; a model is a mapping with an '@type', or "
            f'{{"{VERSION}": ..., "spec": {{"@type": ...}}}}.'
        )
    version = data.get(VERSION)
    if version is not None and not isinstance(version, str):
        raise ModelFileError(f"{path}: {VERSION} is text such as '0.0.2', not {version!r}.")
    return data[held[0]], version


@contextlib.contextmanager
def _entered(path: Path) -> Iterator[None]:
    real, within = path.resolve(), _open.get()
    if real in within:
        loop = " -> ".join(str(file) for file in (*within[within.index(real) :], real))
        raise ModelFileError(f"{path}: specs load each other without an end: {loop}.")
    token = _open.set((*within, real))
    try:
        yield
    finally:
        _open.reset(token)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"the key {key!r} is there twice in one mapping")
        out[key] = value
    return out


__all__ = ["model_of_spec", "read_json", "unwrapped"]
