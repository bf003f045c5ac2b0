"""The weights of a component as one file: safetensors, as `mcore.save` lays them out, hashed whole.

Of what is read nothing is believed before it's checked: that the bytes are those that were saved, by their hash, and
that they are safetensors, by rules of our own, since whoever makes a file can make its hash too.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from mcore.checkpoint.errors import CorruptCheckpoint, LimitExceeded
from mcore.checkpoint.records import Blob
from mcore.checkpoint.store.base import Store
from mcore.exchange import files

# Bytes of the header, and tensors that it may name.
LARGEST_HEADER, MOST = 16 << 20, 100_000
# Axes that an array may have, in any numpy.
_AXES = 32
# What a header has of each, for a tensor: counted before it is parsed, which takes memory and time for each. Entries
# have four keys; of numbers and names with a comma behind them there are about ten.
_KEY, _KEYS, _COMMAS = re.compile(rb'"\s*:'), 5, 20


def write(store: Store, arrays: Mapping[str, np.ndarray]) -> Blob:
    """Saves arrays in a file of the store; the same arrays in the same order are the same file.

    Raises:
        TypeError: an entry is no array, or of a type that safetensors lack.
        LimitExceeded: more, or longer names, than are read again.
        StorageError: the store can't be written; nothing was changed.
    """
    size, chunks = files.laid_out(arrays)
    header = size - sum(array.nbytes for array in arrays.values())
    if len(arrays) > MOST or header - 8 > LARGEST_HEADER:
        raise LimitExceeded(
            f"{len(arrays)} arrays with a header of {header} bytes; a component has at most {MOST} arrays, and "
            f"{LARGEST_HEADER} bytes that name them."
        )
    return Blob(sha256=store.put(chunks, size), size=size)


def read(store: Store, blob: Blob, where: str) -> dict[str, np.ndarray]:
    """The arrays of a blob in the order in which they were saved, as views of one buffer, which may be written to.

    Args:
        store: that has it.
        blob: which.
        where: what it is of, for messages: "01J...: backbone".

    Raises:
        NotFound: no such blob.
        CorruptCheckpoint: its bytes aren't those that were saved, or no safetensors.
        LimitExceeded: it names more than any component has.
        StorageError: the store can't be read.
    """
    try:
        return arrays_of(store.fetch(blob.sha256, blob.size))
    except (CorruptCheckpoint, LimitExceeded) as error:
        raise type(error)(f"{where}: {error}") from error


def arrays_of(content: memoryview) -> dict[str, np.ndarray]:
    """The arrays in the bytes of a safetensors file, as views of them.

    Raises:
        CorruptCheckpoint: they are no safetensors: what doesn't fit is named.
        LimitExceeded: the header is larger than any that is meant.
    """
    header, start = _header(content)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse("its metadata are no texts")
    if len(header) > MOST:
        raise LimitExceeded(f"{len(header)} tensors; at most {MOST} are read.")
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    _check_places(entries, len(content) - start)
    arrays = {name: _view(content, start, name, *entry) for name, entry in entries.items()}
    return {name: arrays[name] for name in files.in_order(list(arrays), metadata.get(files.ORDER))}


def _header(content: memoryview) -> tuple[dict[str, Any], int]:
    """The header as data, and where the tensors begin."""
    if len(content) < 8:
        _refuse(f"it has {len(content)} bytes")
    (length,) = struct.unpack("<Q", content[:8])
    if length > len(content) - 8:
        _refuse(f"its header would have {length} bytes, of {len(content)} in all")
    if length > LARGEST_HEADER:
        raise LimitExceeded(f"its header has {length} bytes; at most {LARGEST_HEADER} are read.")
    text = bytes(content[8 : 8 + length])
    if (
        text.count(b'"data_offsets"') > MOST
        or text.count(b",") > _COMMAS * MOST
        or len(_KEY.findall(text)) > _KEYS * MOST
    ):
        raise LimitExceeded(f"its header names more than {MOST} tensors, or is padded.")
    try:
        header = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        _refuse(f"its header is no JSON: {error}")
    if not isinstance(header, dict):
        _refuse("its header is no mapping")
    return header, 8 + length


def _entry(name: str, entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type, shape and place of a tensor, each of the right kind, and in agreement."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(f"{name!r} isn't described by dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    dtype = files.DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        _refuse(f"{name!r} has the type {code!r:.50}; {', '.join(files.DTYPES)} are read")
    if not _counts(shape) or len(shape) > _AXES:
        _refuse(f"{name!r} has the shape {shape!r:.100}")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(f"{name!r} has the place {offsets!r:.100}")
    if math.prod(shape) * dtype.itemsize != offsets[1] - offsets[0]:
        _refuse(f"{name!r} has {offsets[1] - offsets[0]} bytes, which {dtype} of shape {tuple(shape)} haven't")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _counts(values: Any) -> bool:
    """Whether these are numbers from 0 that fit a length; true and false are none."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in values)


def _check_places(entries: Mapping[str, tuple[Any, Any, int, int]], size: int) -> None:
    """Refuses tensors that share bytes, and bytes that are of no tensor."""
    end = 0
    for name, (_, _, start, stop) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if start != end:
            _refuse(f"{name!r} begins at {start}, where {'bytes of another' if start < end else 'a hole'} ends {end}")
        end = stop
    if end != size:
        _refuse(f"its tensors have {end} bytes, of {size} that follow the header")


def _view(
    content: memoryview, start: int, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], first: int, last: int
) -> np.ndarray:
    if first == last:
        return _empty(name, shape, dtype)
    flat = np.frombuffer(content[start + first : start + last], dtype)
    if dtype == np.bool_ and flat.view(np.uint8).max() > 1:
        _refuse(f"{name!r} has truth values that are neither true nor false")
    # Other writers needn't align; engines want it.
    return (flat if flat.flags.aligned else flat.copy()).reshape(shape)


def _empty(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    try:
        return np.empty(shape, dtype)
    except ValueError:
        _refuse(f"{name!r} has the shape {shape}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise ValueError("a name is there twice")
    for name in out:
        name.encode()  # halves of characters can't be written again
    return out


def _refuse(why: str) -> NoReturn:
    raise CorruptCheckpoint(f"no safetensors: {why}.")


__all__ = ["arrays_of", "read", "write"]
