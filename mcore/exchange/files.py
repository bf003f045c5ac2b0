"""Files of weights: `mcore.save` and `mcore.load`.

They are written as safetensors, which hold arrays and nothing that could run. Files of `torch.save` are read
too, on both engines, tensors and plain data only.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from mcore.exchange import bridge
from mcore.exchange.atomic import atomic_file
from mcore.exchange.errors import ModelFileError

# A header of names and sizes; 100,000 tensors need about 12 MB.
LARGEST_HEADER = 64 << 20
# Safetensors sort by width and name; the order of a state_dict is kept under this key of their metadata.
ORDER = "order"

_CODES = {
    np.dtype(np.float64): "F64", np.dtype(np.float32): "F32", np.dtype(np.float16): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16", np.dtype(np.int64): "I64", np.dtype(np.int32): "I32",
    np.dtype(np.int16): "I16", np.dtype(np.int8): "I8", np.dtype(np.uint64): "U64", np.dtype(np.uint32): "U32",
    np.dtype(np.uint16): "U16", np.dtype(np.uint8): "U8", np.dtype(np.bool_): "BOOL",
}  # fmt: skip
# What the codes of safetensors mean.
DTYPES = {code: dtype for dtype, code in _CODES.items()}
_PICKLES = (".pth", ".pt", ".ckpt", ".bin", ".pkl")


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a `state_dict`, or any mapping of names to tensors, as safetensors: whole or not at all.

    >>> save({"weight": np.ones((2, 3), np.float32)}, "/tmp/mcore-doctest.safetensors")
    >>> load_arrays("/tmp/mcore-doctest.safetensors")["weight"].shape
    (2, 3)

    Raises:
        TypeError: an entry is no tensor, or of a type that safetensors lack.
        StorageError: the file cannot be written; what was there is unchanged.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _PICKLES:
        raise ValueError(
            f"save: {path} is named as a pickle, which is read but not written; name it .safetensors instead."
        )
    write_arrays({name: _array(name, value) for name, value in _items(state)}, path)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a file of weights as tensors of this engine: safetensors, or what `torch.save` wrote.

    Of a torch file tensors and plain data (numbers, strings, lists, nested dicts such as
    `{"state_dict": ..., "epoch": 3}`) are read; nothing in it runs.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is damaged, truncated, of another kind, or holds other objects.
    """
    file = _existing(path)
    if _is_pickle(file):
        return bridge.this().read_pickle(file)
    tensor_of = bridge.this().tensor_of
    out = {}
    for name, array in load_arrays(file).items():
        try:
            out[name] = tensor_of(array)
        except TypeError as error:
            raise ModelFileError(f"{file}: {name} has type {array.dtype}, which this engine lacks: {error}") from error
    return out


def write_arrays(arrays: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write arrays as safetensors, in the layout that the safetensors library itself writes.

    Not by the library: it writes through a private file of its own, which leaves the umask out, tells a full
    disk by text only, and stays behind when the process is killed.
    """
    _, chunks = _laid_out(arrays)
    with atomic_file(path) as file:
        for chunk in chunks:
            file.write(chunk)


def laid_out(arrays: Mapping[str, Any]) -> tuple[int, Iterator[bytes | memoryview]]:
    """Arrays as the bytes of a safetensors file: how many these are, and they themselves, piece by piece.

    The pieces are views; only arrays that aren't contiguous are copied, each when its turn comes.

    Raises:
        TypeError: an entry is no tensor, or of a type that safetensors lack.
    """
    return _laid_out({name: _array(name, value) for name, value in _items(arrays)})


def _laid_out(arrays: Mapping[str, np.ndarray]) -> tuple[int, Iterator[bytes | memoryview]]:
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": {ORDER: json.dumps(list(arrays))}} if arrays else {}
    end = 0
    for name, array in ordered:
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": _CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    head = struct.pack("<Q", len(text)) + text
    return len(head) + end, itertools.chain([head], (_bytes(array) for _, array in ordered))


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file, in the order in which they were saved.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is damaged, truncated or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    file = _existing(path)
    _check_header(file)
    try:
        with safe_open(file, framework="np") as content:
            names, metadata = list(content.keys()), content.metadata() or {}
            arrays = {name: content.get_tensor(name) for name in in_order(names, metadata.get(ORDER))}
    # What numpy lacks (float8) surfaces as an attribute of numpy that isn't there.
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ModelFileError(f"{file}: damaged or not safetensors: {error}") from error
    return arrays


def _items(state: Any) -> list[tuple[str, Any]]:
    if not isinstance(state, Mapping):
        raise TypeError(
            f"save: expected a mapping of names to tensors, such as a state_dict, got {type(state).__name__}."
        )
    for name in state:
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"save: {name!r} is no name for a tensor; names are strings other than '__metadata__'.")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise TypeError(f"save: the name {name!r} cannot be written as UTF-8.") from None
    return list(state.items())


def _array(name: str, value: Any) -> np.ndarray:
    if isinstance(value, Mapping):
        raise TypeError(f"save: {name!r} is a mapping; safetensors are flat. Save it by itself, or join its names.")
    try:
        array = bridge.array_of(value)
    except TypeError as error:
        raise TypeError(f"save: {name!r}: {error}") from None
    native = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if native.dtype not in _CODES:
        raise TypeError(f"save: {name!r} has type {array.dtype}; safetensors hold {', '.join(map(str, _CODES))}.")
    return native


def _bytes(array: np.ndarray) -> memoryview:
    # As bytes, since a buffer of bfloat16 has no name that memoryview knows.
    return np.array(array, order="C", copy=None).reshape(-1).view(np.uint8).data


def _existing(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    if file.is_dir():
        raise ModelFileError(f"{file} is a folder, not a file of weights.")
    if not file.exists():
        raise FileNotFoundError(f"{file}: there is no such file.")
    if not file.is_file():
        raise ModelFileError(f"{file} is not a regular file.")
    return file


def _is_pickle(file: Path) -> bool:
    """Whether the content is torch's (a zip file, or a pickle), whatever the name says."""
    with open(file, "rb") as content:
        head = content.read(9)
    if head[8:9] == b"{":
        return False
    return head.startswith((b"PK\x03\x04", b"\x80")) or file.suffix.lower() in _PICKLES


def _check_header(file: Path) -> None:
    """Looks at the header's length before anything is read into memory."""
    size = file.stat().st_size
    with open(file, "rb") as content:
        head = content.read(9)
    if len(head) < 9:
        raise ModelFileError(f"{file}: not safetensors: it has {size} bytes, less than any file of weights.")
    length = struct.unpack("<Q", head[:8])[0]
    if head[8:9] != b"{":
        raise ModelFileError(f"{file}: neither safetensors nor a file of torch.save.")
    if length > size - 8:
        raise ModelFileError(f"{file}: truncated: its header should have {length} bytes, the file has {size}.")
    if length > LARGEST_HEADER:
        raise ModelFileError(f"{file}: its header has {length} bytes; at most {LARGEST_HEADER} are read.")
    with open(file, "rb") as content:
        text = content.read(8 + length)[8:]
    try:
        # The library lets the last of two entries of one name win.
        json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{file}: its header is damaged: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a name is there twice")
    return out


def in_order(names: list[str], order: str | None) -> list[str]:
    """`names` in the order that is kept under ORDER, where that is one of them."""
    try:
        wanted = json.loads(order) if order else []
    except (ValueError, RecursionError):
        wanted = []  # another writer's key of the same name
    return wanted if isinstance(wanted, list) and sorted(map(str, wanted)) == sorted(names) else names
