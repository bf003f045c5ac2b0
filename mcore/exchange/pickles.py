"""Reading what `torch.save` wrote, without torch and without running anything that the file holds.

A pickle is a program. Here its operations are looked over first: only those that build plain data are let
through, and every name that it asks for is answered by a function of this file or refused.

Source: torch/serialization.py (the zip format since torch 1.6, and the older one of pickles in a row),
torch/_utils.py (how a tensor is put together).
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import ml_dtypes
import numpy as np

from mcore.exchange.errors import ModelFileError

# Opcodes of plain data, of names, and of calls of what the names were answered with.
_ALLOWED = frozenset(
    """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT
    BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES
    EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS EMPTY_SET
    ADDITEMS PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD NEWOBJ BINPERSID
    """.split()
)
# A damaged pickle can fail in whatever operation it comes to.
_DAMAGED = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OverflowError),
    *(struct.error, RecursionError, ImportError, MemoryError, NotImplementedError),
)
# The old format: a number that no other file begins with, then its version.
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
# A pickle of names and sizes is small: 100,000 tensors are about 20 MB.
LARGEST_PICKLE = 256 << 20
# Tensors whose elements lie apart are copied together; a file may ask for so many times its own size.
LARGEST_COPY = 4

_DTYPES = {
    "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip
_NAMES = {
    "float64": np.float64, "double": np.float64, "float32": np.float32, "float": np.float32, "float16": np.float16,
    "half": np.float16, "bfloat16": ml_dtypes.bfloat16, "int64": np.int64, "long": np.int64, "int32": np.int32,
    "int": np.int32, "int16": np.int16, "short": np.int16, "int8": np.int8, "uint8": np.uint8, "bool": np.bool_,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
}  # fmt: skip


class _Storage(NamedTuple):
    """A run of bytes, and the type that its class said; None for bytes alone."""

    data: memoryview
    dtype: np.dtype | None


class _StorageType(NamedTuple):
    name: str
    dtype: np.dtype | None


def read_pickle(path: Path, tensor_of: Callable[[np.ndarray], Any]) -> Any:
    """What `torch.save` wrote at `path`: plain data, with every tensor given to `tensor_of` as an array.

    Raises:
        ModelFileError: the file is damaged, or holds objects other than tensors and plain data.
    """
    with open(path, "rb") as file:
        head = file.read(2)
    reader = _Zip(path, tensor_of) if head == b"PK" else _Row(path, tensor_of)
    try:
        return reader.read()
    except ModelFileError:
        raise
    except zipfile.BadZipFile as error:
        raise ModelFileError(f"{path}: damaged or truncated: {error}") from error
    except _DAMAGED as error:
        raise ModelFileError(f"{path}: damaged or not written by torch.save: {error}") from error


class _Reader:
    """What both formats share: the names that are answered, and tensors put together from storages."""

    def __init__(self, path: Path, tensor_of: Callable[[np.ndarray], Any]) -> None:
        self.path, self.tensor_of = path, tensor_of
        self.size = path.stat().st_size
        self.storages: dict[str, memoryview] = {}
        self.copied = 0
        self.swap = False  # the file's bytes are in the other order than this machine's

    def bad(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: {what}")

    def unpickle(self, content: bytes) -> Any:
        """The object of one pickle."""
        _inspect(content, self.bad)
        return _Unpickler(content, self).load()

    def global_of(self, module: str, name: str) -> Any:
        """What stands for a name. Raises ModelFileError for all but tensors, storages and their kin."""
        if module == "torch" and name.endswith("Storage") and name.removesuffix("Storage") in _DTYPES:
            return _StorageType(name, np.dtype(_DTYPES[name.removesuffix("Storage")]))
        if module == "torch" and name in _NAMES:
            return np.dtype(_NAMES[name])
        found = _GLOBALS.get((module, name))
        if found is None:
            raise self.bad(
                f"it holds a {module}.{name}, which is not read: only tensors and plain data are. "
                "Save the state_dict alone"
            )
        return getattr(self, found) if isinstance(found, str) else found

    def rebuild(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
        """torch._utils._rebuild_tensor and _rebuild_tensor_v2."""
        if not isinstance(storage, _Storage) or storage.dtype is None:
            raise self.bad("a tensor has no typed storage")
        return self.tensor(storage, storage.dtype, offset, size, stride)

    def rebuild_typed(
        self, storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
    ) -> Any:
        """torch._utils._rebuild_tensor_v3: the type is told apart from the storage."""
        if not isinstance(storage, _Storage) or not isinstance(dtype, np.dtype):
            raise self.bad("a tensor has no storage or no type that is known here")
        return self.tensor(storage, dtype, offset, size, stride)

    def tensor(self, storage: _Storage, dtype: np.dtype, offset: Any, size: Any, stride: Any) -> Any:
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers) or len(size) > 64:
            raise self.bad(f"a tensor of size {size}, stride {stride}, offset {offset} makes no sense")
        held = len(storage.data) // dtype.itemsize
        count, last = 1, offset
        for n, step in zip(size, stride, strict=True):
            count, last = count * n, last + (n - 1) * step
        if count and last >= held:
            raise self.bad(
                f"a tensor of size {tuple(size)}, stride {tuple(stride)} reaches element {last} of a storage of {held}"
            )
        if not count:
            return self.tensor_of(np.zeros(size, dtype))
        flat = np.frombuffer(storage.data, dtype, count=held)
        bytes_per = dtype.itemsize
        array = np.lib.stride_tricks.as_strided(flat[offset:], size, [s * bytes_per for s in stride])
        if self.swap and bytes_per > 1:
            array = array.view(f"u{bytes_per}").byteswap().view(dtype)
        if not array.flags.c_contiguous:
            self.copied += count * bytes_per
            if self.copied > LARGEST_COPY * self.size + (1 << 20):
                raise self.bad(f"tensors such as {tuple(size)} would take far more memory than the file has bytes")
            array = np.array(array, order="C")
        return self.tensor_of(array)

    def parameter(self, data: Any, *_: Any) -> Any:
        """torch._utils._rebuild_parameter: the tensor in it."""
        return data

    def persistent(self, identity: Any) -> Any:
        """The storage that a pickle refers to: ('storage', type, key, place, elements, ...)."""
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise self.bad(f"it refers to {identity!r:.80}, which is no storage")
        kind, key, count = identity[1], str(identity[2]), identity[4]
        if not isinstance(kind, _StorageType) or type(count) is not int or count < 0:
            raise self.bad(f"storage {key} is of no type that is known here")
        if len(identity) > 5 and identity[5] is not None:
            raise self.bad(f"storage {key} is a part of another one; save it anew with torch 1.6 or later")
        needed = count * (kind.dtype.itemsize if kind.dtype is not None else 1)
        return _Storage(self.storage(key, needed), kind.dtype)

    def storage(self, key: str, needed: int) -> memoryview:
        raise NotImplementedError

    def read(self) -> Any:
        raise NotImplementedError


class _Zip(_Reader):
    """The format since torch 1.6: a zip file of `data.pkl` and one member a storage, uncompressed."""

    def read(self) -> Any:
        with zipfile.ZipFile(self.path) as archive:
            self.archive = archive
            self.members = {info.filename: info for info in archive.infolist()}
            self.check_members()
            pickles = [name for name in self.members if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise self.bad(f"a zip file, but not one of torch.save: {len(pickles)} data.pkl in it")
            self.prefix = pickles[0].removesuffix("data.pkl")
            if f"{self.prefix}constants.pkl" in self.members:
                raise self.bad("a scripted module (torch.jit.save), which is code; save its state_dict instead")
            order = self.members.get(f"{self.prefix}byteorder")
            self.swap = order is not None and self.member(order) == b"big"
            return self.unpickle(self.member(self.members[pickles[0]]))

    def check_members(self) -> None:
        """Compressed members, twins, and members that overlap could grow to any size: torch writes none."""
        infos = self.archive.infolist()
        if len(self.members) != len(infos):
            raise self.bad("two members of the zip file have the same name")
        for info in infos:
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise self.bad(f"member {info.filename!r:.80} is compressed, which torch.save does not do")
        if sum(info.file_size for info in infos) > self.size:
            raise self.bad("its members are larger together than the file: damaged or made to harm")

    def member(self, info: zipfile.ZipInfo) -> bytes:
        if info.filename.endswith(".pkl") and info.file_size > LARGEST_PICKLE:
            raise self.bad(f"{info.filename!r:.80} has {info.file_size} bytes; at most {LARGEST_PICKLE} are read")
        return self.archive.read(info)

    def storage(self, key: str, needed: int) -> memoryview:
        if key not in self.storages:
            info = self.members.get(f"{self.prefix}data/{key}")
            if info is None:
                raise self.bad(f"storage {key!r:.40} is missing")
            self.storages[key] = memoryview(self.member(info))
        held = self.storages[key]
        if needed > len(held):
            raise self.bad(f"storage {key!r:.40} should have {needed} bytes and has {len(held)}")
        return held[:needed]


class _Row(_Reader):
    """The format before torch 1.6: pickles in a row, then the storages' bytes."""

    def read(self) -> Any:
        content = self.path.read_bytes()
        self.room = len(content)
        stream = io.BytesIO(content)
        if self.path.suffix == ".tar" or content[257:262] == b"ustar":
            raise self.bad("the tar format of torch 0.1; save it anew with a later torch")
        if not content.startswith(b"\x80\x02") or self.next_pickle(stream) != _MAGIC:
            raise self.bad("not a file of torch.save: it begins neither as its zip format nor as its older one")
        version = self.next_pickle(stream)
        system = self.next_pickle(stream)
        if version != _VERSION or not isinstance(system, dict):
            raise self.bad(f"version {version!r:.40} of torch's older format is not known")
        self.swap = not system.get("little_endian", True)
        start = stream.tell()
        self.next_pickle(stream)  # sizes of the storages, which stand behind it
        end = stream.tell()
        self.fill(stream, self.next_pickle(stream))
        return self.unpickle(content[start:end])

    def next_pickle(self, stream: io.BytesIO) -> Any:
        start = stream.tell()
        try:
            for _ in pickletools.genops(stream):
                pass
        except ValueError as error:
            raise self.bad(f"damaged or truncated: {error}") from error
        end = stream.tell()
        stream.seek(start)
        return self.unpickle(stream.read(end - start))

    def storage(self, key: str, needed: int) -> memoryview:
        if key not in self.storages:
            if needed > self.room:
                raise self.bad(f"storage {key!r:.40} should have {needed} bytes, more than the file has left")
            self.room -= needed
            self.storages[key] = memoryview(bytearray(needed))
        held = self.storages[key]
        if needed > len(held):
            raise self.bad(f"storage {key!r:.40} is said to have {needed} bytes and {len(held)}")
        return held[:needed]

    def fill(self, stream: io.BytesIO, keys: Any) -> None:
        """Reads the storages: their number of elements, then their bytes."""
        if not isinstance(keys, list) or {str(key) for key in keys} != set(self.storages):
            raise self.bad("its list of storages is not the one that its tensors need")
        for key in keys:
            held = self.storages[str(key)]
            count = struct.unpack("<q" if not self.swap else ">q", stream.read(8))[0]
            if count < 0 or stream.readinto(held) != len(held):
                raise self.bad(f"truncated: storage {key!r:.40} should have {len(held)} bytes")


# The interpreter's own unpickler in Python: unlike the one in C it lets an operation be looked at.
class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Answers names and storages by its reader alone."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, content: bytes, reader: _Reader) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._reader = reader

    def find_class(self, module: str, name: str) -> Any:
        return self._reader.global_of(module, name)

    def persistent_load(self, identity: Any) -> Any:
        return self._reader.persistent(identity)

    def load_build(self) -> None:
        """Attributes are set on a state_dict alone (its `_metadata`), never on what answers a name."""
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        state, target = stack.pop(), stack[-1]
        if type(target) is not OrderedDict or not isinstance(state, dict):
            raise self._reader.bad(f"its pickle sets attributes of a {type(target).__name__}")
        target._metadata = state.get("_metadata")  # type: ignore[attr-defined]  # as torch does

    dispatch[pickle.BUILD[0]] = load_build


def _inspect(content: bytes, bad: Callable[[str], ModelFileError]) -> None:
    """Refuses operations that plain data doesn't need; genops also checks lengths against the content."""
    try:
        for opcode, _, _ in pickletools.genops(content):
            if opcode.name not in _ALLOWED:
                raise bad(f"its pickle uses {opcode.name}, which tensors and plain data do not need")
    except ModelFileError:
        raise
    except Exception as error:  # genops has no class of its own for damaged bytes
        raise bad(f"damaged or truncated: {error}") from error


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return tuple(int(n) for n in sizes)


def _device(kind: Any = "cpu", *_: Any) -> str:
    return str(kind)


# Names that files of weights use: answered by a function of this file, or by a method of the reader.
_GLOBALS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch._utils", "_rebuild_tensor"): "rebuild",
    ("torch._utils", "_rebuild_tensor_v2"): "rebuild",
    ("torch._utils", "_rebuild_tensor_v3"): "rebuild_typed",
    ("torch._utils", "_rebuild_parameter"): "parameter",
    ("torch._utils", "_rebuild_parameter_with_state"): "parameter",
    ("torch", "UntypedStorage"): _StorageType("UntypedStorage", None),
    ("torch.storage", "UntypedStorage"): _StorageType("UntypedStorage", None),
}
