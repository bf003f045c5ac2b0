"""What a file is, by what is in it: its ending is what somebody called it.

Only the first bytes are read, and of archives the table of their members; nothing is unpacked, and nothing runs.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mcore.checkpoint.errors import UnsafeFormat
from mcore.exchange.errors import ModelFileError

SAFETENSORS, TORCH, OLD_TORCH = "safetensors", "a file of torch.save", "an older file of torch.save"
SCRIPT, PROGRAM, PACKAGE = "TorchScript", "a program of torch.export", "a package of torch.package"
PICKLE, ONNX, DARKNET = "a pickle", "ONNX", "Darknet weights"
NPZ, NPY, JSON, HDF5, ZIP, TAR, GZIP = "arrays of numpy", "an array of numpy", "JSON", "HDF5", "a zip", "a tar", "gzip"
PAGE, POINTER, EMPTY, UNKNOWN = "a web page", "a pointer of git LFS", "empty", "of no kind that is known here"

#: Files whose tensors have names and are data alone.
NAMED = (SAFETENSORS, TORCH, OLD_TORCH, ONNX, NPZ)
#: Files that run code of their own when they are loaded.
PROGRAMS = (SCRIPT, PROGRAM)

# What to do about a file that holds no weights by name, or not only these.
_ADVICE = {
    SCRIPT: "it can run code of its own; export the model as ONNX or save its state_dict, or give trust=True if you "
    "know where it is from",
    PROGRAM: "it can run code of its own; export the model as ONNX or save its state_dict, or give trust=True if you "
    "know where it is from",
    PACKAGE: "it is code with data; load it where it was made, and save the state_dict of its model as safetensors",
    PICKLE: "a pickle is a program, and only what torch.save makes of tensors and plain data is read; save the "
    "state_dict as safetensors where it was made",
    DARKNET: "its numbers have no names; make the network and give it the file as weights=",
    NPY: "one array without a name; write it with numpy.savez, under the name of its entry",
    JSON: "it holds no weights; a spec is read by load_model, a configuration by models.from_config",
    HDF5: "it isn't read; write its arrays with numpy.savez or as safetensors where h5py is installed",
    ZIP: "its members are those of no file of weights; if it was packed for sending, unpack it first",
    TAR: "unpack it first, or, where torch 0.1 wrote it, save it anew with a later torch",
    GZIP: "unpack it first",
    PAGE: "a page was saved in the file's place, such as a login or an error; download the file itself",
    POINTER: "the file itself is elsewhere: run `git lfs pull` in its repository",
    EMPTY: "it has 0 bytes; download or copy it again",
    UNKNOWN: "read are safetensors, files of torch.save, ONNX, .npz, and Darknet's .weights into their networks",
}
# The number that torch's older format begins with, as a pickle of any version.
_OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_HEAD = 4096
# Fields of an ONNX file that are looked at; there are a dozen, and as many as it has opsets and metadata.
_MOST_FIELDS = 10_000
# Top fields of an ONNX model and the wire type that each has (onnx.proto, ModelProto).
_ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
# Darknet counts its versions from 0.1; above these, a number is no version.
_NEWEST = 10_000


@dataclass(frozen=True)
class Sniffed:
    """What a file is: one of the kinds above, and a line of advice; "" where its weights are simply read."""

    kind: str
    advice: str = ""

    @property
    def named(self) -> bool:
        """Whether it holds tensors by name, and is data alone."""
        return self.kind in NAMED

    @property
    def runs(self) -> bool:
        """Whether it can run code of its own."""
        return self.kind in PROGRAMS


def sniff(path: str | os.PathLike[str]) -> Sniffed:
    """What the file at `path` is, by its content.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: a folder, a pipe, or another thing that is no regular file.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"{file}: there is no such file.")
    if not file.is_file():
        raise ModelFileError(f"{file} is {'a folder' if file.is_dir() else 'no regular file'}, not a file of weights.")
    kind = _kind_of(file)
    return Sniffed(kind, _ADVICE.get(kind, ""))


def check_weights(path: str | os.PathLike[str], who: str, *, trust: bool = False) -> Sniffed:
    """What a file of weights is, for a reader that takes tensors by name.

    Args:
        path: the file.
        who: the reader, named in messages.
        trust: programs are let through; they aren't otherwise.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafeFormat: it can run code of its own, whatever its name says.
        ModelFileError: it holds no tensors by name; what it is, and what to do.
    """
    found = sniff(path)
    if found.runs and trust:
        return found
    if found.runs or found.kind in (PICKLE, PACKAGE):
        raise UnsafeFormat(f"{who}: {path} is {found.kind}: {found.advice}.")
    if not found.named:
        raise ModelFileError(f"{who}: {path} is {found.kind}: {found.advice}.")
    return found


def _kind_of(file: Path) -> str:
    size = file.stat().st_size
    with open(file, "rb") as content:
        head = content.read(_HEAD)
        kind = next((kind for kind, fits in _TESTS if fits(head, size)), None)
        if kind == ZIP:
            return _of_zip(file)
        if kind is None and _is_onnx(content, size):
            return ONNX
    return kind or (DARKNET if _is_darknet(head, size) else UNKNOWN)


def _is_safetensors(head: bytes, size: int) -> bool:
    # The first byte of the header's JSON decides, as mcore.load has it: a damaged file is told by what reads it.
    return head[8:9] == b"{" and head[:1] not in b"{[" and struct.unpack("<Q", head[:8])[0] < max(size, 1 << 40)


def _is_page(head: bytes, _: int) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:512].lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error", b"<!--"))


def _is_json(head: bytes, _: int) -> bool:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start not in (b"{", b"["):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) == _HEAD  # a letter cut in two
    return b"\0" not in head


_TESTS: tuple[tuple[str, Callable[[bytes, int], bool]], ...] = (
    (EMPTY, lambda _, size: size == 0),
    (SAFETENSORS, _is_safetensors),
    (ZIP, lambda head, _: head.startswith((b"PK\x03\x04", b"PK\x05\x06"))),
    (OLD_TORCH, lambda head, _: head[:1] == b"\x80" and head[2:].startswith(_OLD_TORCH)),
    (PICKLE, lambda head, _: head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2),
    (NPY, lambda head, _: head.startswith(b"\x93NUMPY")),
    (HDF5, lambda head, _: head.startswith(b"\x89HDF\r\n\x1a\n")),
    (GZIP, lambda head, _: head.startswith(b"\x1f\x8b")),
    (TAR, lambda head, _: head[257:262] == b"ustar"),
    (POINTER, lambda head, _: head.startswith(b"version https://git-lfs.github.com/spec/")),
    (PAGE, _is_page),
    (JSON, _is_json),
)


def _of_zip(file: Path) -> str:
    """Which zip: they differ by their members, not by their names. What can run code is that before all else."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    # A damaged table of members; torch's own reader finds it at the end of the file too, and tells.
    except (zipfile.BadZipFile, ValueError, struct.error, EOFError, NotImplementedError, OSError):
        return TORCH if _begins_as_torch(file) else ZIP
    # Torch puts all members of a file below one name, older programs of torch.export below none.
    inner = {name.partition("/")[2] for name in names} | set(names)
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return SCRIPT
    if inner & {"archive_format", "serialized_exported_program.json"} or any(n.startswith("models/") for n in inner):
        return PROGRAM
    if any(name.startswith(".data/extern_modules") for name in inner):
        return PACKAGE
    if "data.pkl" in inner:
        return TORCH
    return NPZ if names and all(name.endswith(".npy") for name in names) else ZIP


def _begins_as_torch(file: Path) -> bool:
    with open(file, "rb") as content:
        head = content.read(600)
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].endswith((b"/data.pkl", b"/data/0", b"/version"))


def _is_onnx(content: IO[bytes], size: int) -> bool:
    """Whether all top fields of the file are those of an ONNX model, and a graph is among them."""
    content.seek(0)
    seen: set[int] = set()
    for _ in range(_MOST_FIELDS):
        if content.tell() >= size:
            break
        tag = _varint(content)
        if tag is None or _ONNX_FIELDS.get(tag >> 3) != tag & 7:
            return False
        value = _varint(content)
        if value is None:
            return False
        if tag & 7 == 2:
            if content.tell() + value > size:
                return bool(seen)  # cut short behind what is ONNX's
            content.seek(value, os.SEEK_CUR)
        seen.add(tag >> 3)
        if len(seen) > 1 and 7 in seen:
            return True
    return 7 in seen and 1 in seen


def _varint(content: IO[bytes]) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = content.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


def _is_darknet(head: bytes, size: int) -> bool:
    """Whether a file begins with a version of Darknet's, and numbers follow that may be weights."""
    if len(head) < 20:
        return False
    major, minor, revision = struct.unpack_from("<iii", head)
    if not (0 <= major < _NEWEST and 0 <= minor < _NEWEST and 0 <= revision < _NEWEST and major + minor > 0):
        return False
    start = 20 if 10 * major + minor >= 2 else 16
    numbers = struct.unpack_from(f"<{(len(head) - start) // 4}f", head, start)
    return (size - start) % 4 == 0 and all(math.isfinite(number) and abs(number) < 1e9 for number in numbers)


__all__ = ["NAMED", "PROGRAMS", "Sniffed", "check_weights", "sniff"]
