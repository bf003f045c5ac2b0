"""Reading ONNX files of strangers: everything is looked at before memory is taken or a runtime sees it.

What is refused, each with one ModelFileError: bytes that are no model; external data anywhere but in regular,
unlinked files inside the model's folder; offsets, lengths and shapes that don't fit the bytes; values larger than
this machine's memory; names twice, nowhere made, made too late, not UTF-8 or huge; functions that call
themselves; loops without an end. Then onnx's own checker has its say.

What cannot be told beforehand is how long a loop runs whose end depends on data, and how much memory a size that
depends on data asks for: the runtime has no limit of its own. Run such files in a process that has one.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from mcore.exchange.errors import ModelFileError

# Protobuf itself reads no more.
LARGEST_FILE = (2 << 30) - 1
LONGEST_NAME = 1 << 16
# Trips of a loop whose count is written in the file; more is taken for endless.
MOST_TRIPS = 10_000_000
DEEPEST = 64

_FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}
# Element type -> bits, for all but strings.
_BITS = {
    code: round(8 * onnx.helper.tensor_dtype_to_np_dtype(code).itemsize)
    for code in onnx.TensorProto.DataType.values()
    if code not in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING)
} | {
    getattr(onnx.TensorProto, name): bits
    for name, bits in (("UINT4", 4), ("INT4", 4), ("FLOAT4E2M1", 4), ("UINT2", 2), ("INT2", 2))
    if hasattr(onnx.TensorProto, name)
}
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


@dataclass
class Loaded:
    """A model that was looked over.

    Attributes:
        model: the model without the arrays below; all else of it is inside, no data is external.
        arrays: float initializers of the graph by name, in the file's order.
        source: how messages name the file.
    """

    model: onnx.ModelProto
    arrays: dict[str, np.ndarray]
    source: str


def read_model(source: Any) -> Loaded:
    """Reads a model from a file, an artifact's folder, bytes or a ModelProto.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the model is damaged, foreign or unsafe; the message says what is wrong with it.
    """
    model, name, folder = _parsed(source)
    if model.ir_version <= 0 or not model.HasField("graph") or not model.opset_import:
        raise ModelFileError(f"{name}: not an ONNX model, or a truncated one.")
    if not model.graph.output:
        raise ModelFileError(f"{name}: the graph has no outputs: damaged or truncated.")
    try:
        inspector = _Inspector(name, folder)
        inspector.model(model)
        loaded = Loaded(model, inspector.extracted(model.graph), name)
        inspector.inline(model)
    except UnicodeDecodeError as error:
        raise ModelFileError(f"{name}: a name in it is not UTF-8.") from error
    _check(loaded)
    return loaded


def skeleton(loaded: Loaded) -> onnx.ModelProto:
    """The model with its arrays declared as inputs: small enough for onnx's tools, which copy it about."""
    out = onnx.ModelProto()
    out.CopyFrom(loaded.model)
    given = {info.name for info in out.graph.input}
    for name, array in loaded.arrays.items():
        if name not in given:
            code = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            out.graph.input.append(onnx.helper.make_tensor_value_info(name, code, array.shape))
    return out


def _parsed(source: Any) -> tuple[onnx.ModelProto, str, Path | None]:
    """The protobuf, a name for messages, and the folder of its external data."""
    if isinstance(source, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(source)
        return copy, "the model", None
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), "the bytes"), "the bytes", None
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}.")
    path = Path(source)
    if path.is_dir():
        path = path / "model.onnx"
    try:
        found = path.stat()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file.") from None
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(f"{path} is not a regular file.")
    if found.st_size > LARGEST_FILE:
        raise ModelFileError(f"{path}: {found.st_size} bytes, but an ONNX file has at most {LARGEST_FILE}.")
    return _decode(path.read_bytes(), str(path)), str(path), path.parent


def _decode(content: bytes, name: str) -> onnx.ModelProto:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.ModelProto.FromString(content)
    except (DecodeError, RecursionError) as error:
        raise ModelFileError(f"{name}: not an ONNX file, or a damaged one: {error}") from error


def memory() -> int:
    """Bytes of this machine's memory."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 40


class _Inspector:
    """Looks over one model; every complaint is a ModelFileError that names the file."""

    def __init__(self, source: str, folder: Path | None) -> None:
        self.source, self.folder = source, folder
        self.total = 0
        self.external: list[onnx.TensorProto] = []

    def bad(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.source}: {what}.")

    def name(self, text: str) -> str:
        if not isinstance(text, str):
            raise self.bad("a name in it is not UTF-8")
        if len(text) > LONGEST_NAME:
            raise self.bad(f"a name has {len(text)} characters; at most {LONGEST_NAME} are read")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.bad("a name in it is not UTF-8") from None
        return text

    def model(self, model: onnx.ModelProto) -> None:
        self.functions(model)
        self.graph(model.graph, frozenset(), 0)

    # --- functions

    def functions(self, model: onnx.ModelProto) -> None:
        """Functions by name, each once; none reaches itself."""
        calls: dict[tuple[str, str, str], set] = {}
        for function in model.functions:
            key = (self.name(function.domain), self.name(function.name), getattr(function, "overload", ""))
            if key in calls:
                raise self.bad(f"function {key[1]!r:.80} is written twice")
            calls[key] = {
                (node.domain, node.op_type, getattr(node, "overload", "")) for node in _all_nodes(function.node)
            }
            self.nodes(function.node, set(function.input) | {""}, f"function {function.name:.60}", 0)
        settled: set[tuple] = set()
        while True:  # those that call only settled ones are settled; what remains calls itself
            new = {key for key in calls.keys() - settled if not (calls[key] & calls.keys()) - settled}
            if not new:
                break
            settled |= new
        if len(settled) < len(calls):
            name = sorted(calls.keys() - settled)[0][1]
            raise self.bad(f"function {name!r:.80} calls itself, directly or through others")

    # --- graphs

    def graph(self, graph: onnx.GraphProto, outer: frozenset[str] | set[str], depth: int) -> None:
        if depth > DEEPEST:
            raise self.bad(f"graphs are nested deeper than {DEEPEST}")
        known = set(outer) | {""}
        own: set[str] = set()
        weights: set[str] = set()
        for tensor in graph.initializer:
            self.tensor(tensor, "initializer")
            self._new(tensor.name, weights, "initializer")
        for sparse in graph.sparse_initializer:
            self.sparse(sparse, "sparse initializer")
            self._new(sparse.values.name, weights, "initializer")
        for info in graph.input:
            self._new(self.name(info.name), own, "input")
            if any(axis.dim_value < 0 for axis in info.type.tensor_type.shape.dim):
                raise self.bad(f"input {info.name!r:.80} has a negative size")
        known |= own | weights
        title = "the graph" if depth == 0 else f"graph {self.name(graph.name)!r:.60}"
        self.nodes(graph.node, known, title, depth, taken=own | weights)
        made = known.union(*(node.output for node in graph.node))
        for info in graph.output:
            if info.name not in made:
                raise self.bad(f"output {self.name(info.name)!r:.80} of {title} is made by no node")

    def _new(self, name: str, among: set[str], what: str) -> None:
        if name in among:
            raise self.bad(f"{what} {name!r:.80} is there twice")
        among.add(name)

    def nodes(
        self,
        nodes: Sequence[onnx.NodeProto],
        known: set[str],
        title: str,
        depth: int,
        taken: Iterable[str] = (),
    ) -> None:
        """Each value is made once, and before it's used."""
        known, taken = set(known), set(taken)
        made_by = {name: index for index, node in enumerate(nodes) for name in node.output if name}
        for index, node in enumerate(nodes):
            label = f"node {self.name(node.name) or index!r:.80} ({self.name(node.op_type):.60})"
            for name in node.input:
                if self.name(name) in known:
                    continue
                if name in made_by:
                    raise self.bad(f"{label} of {title} uses {name!r:.80} before it is made: a cycle, or unsorted")
                raise self.bad(f"{label} of {title} uses {name!r:.80}, which nothing makes")
            self.attributes(node, label, known, depth)
            for name in node.output:
                if name and name in taken:
                    raise self.bad(f"{label} of {title} makes {self.name(name)!r:.80}, which is there already")
                if name:
                    taken.add(name)
                    known.add(name)
            if node.op_type == "Loop" and node.domain in ("", "ai.onnx"):
                self.loop(node, nodes, label)

    def attributes(self, node: onnx.NodeProto, label: str, known: set[str], depth: int) -> None:
        names: set[str] = set()
        for attribute in node.attribute:
            self._new(self.name(attribute.name), names, f"attribute of {label}")
            if attribute.HasField("t"):
                self.tensor(attribute.t, label)
            if attribute.HasField("sparse_tensor"):
                self.sparse(attribute.sparse_tensor, label)
            for tensor in attribute.tensors:
                self.tensor(tensor, label)
            for sparse in attribute.sparse_tensors:
                self.sparse(sparse, label)
            for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                self.graph(graph, known, depth + 1)

    def loop(self, node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto], label: str) -> None:
        """Refuses a loop that neither a count nor its condition ends."""
        trips = _constant(node.input[0], nodes) if node.input and node.input[0] else None
        counted = bool(node.input) and bool(node.input[0])
        if trips is not None and trips.size == 1:
            if 0 <= int(trips.reshape(())) <= MOST_TRIPS:
                return
            counted = False
        body = next((a.g for a in node.attribute if a.name == "body"), None)
        if counted or body is None or not body.output:
            return
        if _always_true(body, body.output[0].name):
            raise self.bad(f"{label} never ends: its condition is always true and at most {MOST_TRIPS} trips are run")

    # --- tensors

    def sparse(self, sparse: onnx.SparseTensorProto, where: str) -> None:
        self.tensor(sparse.values, where)
        self.tensor(sparse.indices, where)
        if any(size < 0 for size in sparse.dims):
            raise self.bad(f"a sparse tensor of {where} has a negative size")

    def tensor(self, tensor: onnx.TensorProto, where: str) -> None:
        """The data fits the shape, byte by byte; external data is only measured here."""
        label = f"{where} {self.name(tensor.name)!r:.80}" if tensor.name else f"a tensor of {where}"
        if any(size < 0 for size in tensor.dims):
            raise self.bad(f"{label} has a negative size: {list(tensor.dims)}")
        count = math.prod(tensor.dims)
        if tensor.data_type == onnx.TensorProto.STRING:
            if len(tensor.string_data) != count:
                raise self.bad(f"{label} should have {count} strings and has {len(tensor.string_data)}")
            return
        bits = _BITS.get(tensor.data_type)
        if bits is None:
            raise self.bad(f"{label} has element type {tensor.data_type}, which ONNX does not define")
        needed = (count * bits + 7) // 8
        self.total += needed
        if self.total > memory():
            raise self.bad(f"{label} and what is before it would take {self.total} bytes, more than this machine has")
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            self.measure(tensor, needed, label)
            self.external.append(tensor)
        elif tensor.HasField("raw_data"):
            if len(tensor.raw_data) != needed:
                raise self.bad(
                    f"{label} of shape {list(tensor.dims)} should have {needed} bytes and has {len(tensor.raw_data)}"
                )
        else:
            self.typed(tensor, count, bits, label)

    def typed(self, tensor: onnx.TensorProto, count: int, bits: int, label: str) -> None:
        """Data in typed fields: one number an element, two for complex ones, several elements below a byte."""
        field = onnx.helper.tensor_dtype_to_field(tensor.data_type)
        per = 2 if tensor.data_type in (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128) else 1
        needed = (count * bits + 7) // 8 if bits < 8 else count * per
        held = {name: len(getattr(tensor, name)) for name in _FIELDS if len(getattr(tensor, name))}
        if held.pop(field, 0) != needed or held:
            raise self.bad(f"{label} of shape {list(tensor.dims)} should have {needed} numbers in its {field}")

    # --- external data

    def measure(self, tensor: onnx.TensorProto, needed: int, label: str) -> None:
        """Checks where external data lies and that there is enough of it."""
        handle, _ = self.open(tensor, needed, label)
        os.close(handle)

    def open(self, tensor: onnx.TensorProto, needed: int, label: str) -> tuple[int, int]:
        """A handle of the file of external data, and the offset."""
        if self.folder is None:
            raise self.bad(f"{label} has external data, but bytes have no folder; give the path of the file")
        entries: dict[str, str] = {}
        for entry in tensor.external_data:
            if entry.key in entries:
                raise self.bad(f"{label} says {entry.key!r:.40} of its external data twice")
            entries[entry.key] = entry.value
        offset = self.number(entries.get("offset", "0"), "offset", label)
        length = self.number(entries.get("length", str(needed)), "length", label)
        if length != needed:
            raise self.bad(
                f"{label} of shape {list(tensor.dims)} should have {needed} bytes; its external data has {length}"
            )
        location = self.name(entries.get("location", ""))
        try:
            handle = open_beneath(self.folder, location)
        except ModelFileError as error:
            raise self.bad(f"the external data of {label}: {error}") from None
        size = os.fstat(handle).st_size
        if offset + length > size:
            os.close(handle)
            raise self.bad(f"{label} reads bytes {offset} to {offset + length} of {location!r:.80}, which has {size}")
        return handle, offset

    def number(self, text: str, key: str, label: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise self.bad(f"{label}: {key} {text!r:.40} of its external data is not a number of bytes")
        return int(text)

    def inline(self, model: onnx.ModelProto) -> None:
        """Brings the external data that is left into the model."""
        for tensor in self.external:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                self.load(tensor)

    def load(self, tensor: onnx.TensorProto) -> None:
        needed = (math.prod(tensor.dims) * _BITS[tensor.data_type] + 7) // 8
        handle, offset = self.open(tensor, needed, f"tensor {tensor.name!r:.80}")
        with os.fdopen(handle, "rb") as file:
            file.seek(offset)
            content = file.read(needed)
        if len(content) != needed:
            raise self.bad(f"tensor {tensor.name!r:.80}: its external data shrank while it was read")
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
        tensor.raw_data = content

    def extracted(self, graph: onnx.GraphProto) -> dict[str, np.ndarray]:
        """Takes the float initializers out of the graph, as arrays by name."""
        arrays: dict[str, np.ndarray] = {}
        for index in reversed(range(len(graph.initializer))):
            tensor = graph.initializer[index]
            if tensor.data_type not in _FLOATS:
                continue
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                self.load(tensor)
            arrays[tensor.name] = onnx.numpy_helper.to_array(tensor)
            tensor.ClearField("raw_data")  # memory is held once
            del graph.initializer[index]
        return dict(reversed(arrays.items()))


def open_beneath(folder: Path, location: str) -> int:
    """Opens a regular file inside `folder` by a relative path, one name at a time and through no link.

    Raises:
        ModelFileError: the path leaves the folder, or what it names isn't a regular file of one name.
    """
    parts = location.split("/")
    if not location or "\\" in location or "\0" in location or any(part in ("", ".", "..") for part in parts):
        raise ModelFileError(f"{location!r:.80} is not a path inside the model's folder")
    if os.path.isabs(location) or os.path.splitdrive(location)[0]:
        raise ModelFileError(f"{location!r:.80} is not a path inside the model's folder")
    nofollow = getattr(os, "O_NOFOLLOW", 0)
    here = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | nofollow, dir_fd=here)
            os.close(here)
            here = below
        # Not blocking: a pipe would wait for a writer.
        handle = os.open(parts[-1], os.O_RDONLY | nofollow | getattr(os, "O_NONBLOCK", 0), dir_fd=here)
    except OSError as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else "is a link, or cannot be read"
        raise ModelFileError(f"{location!r:.80} {why}") from error
    finally:
        os.close(here)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise ModelFileError(f"{location!r:.80} is not a regular file with one name (no pipe, device or hard link)")
    return handle


def _all_nodes(nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for graph in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                waiting.extend(graph.node)


def _constant(name: str, nodes: Sequence[onnx.NodeProto]) -> np.ndarray | None:
    """The value of a Constant node among `nodes`."""
    for node in nodes:
        if node.op_type == "Constant" and name in node.output:
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.t.data_location != onnx.TensorProto.EXTERNAL:
                    return onnx.numpy_helper.to_array(attribute.t)
                if attribute.name == "value_int":
                    return np.array(attribute.i)
    return None


def _always_true(body: onnx.GraphProto, name: str) -> bool:
    """Whether a condition is a constant, or the condition that came in handed on."""
    seen = set()
    while name not in seen:
        seen.add(name)
        value = _constant(name, body.node)
        for tensor in body.initializer:
            if tensor.name == name and tensor.data_location != onnx.TensorProto.EXTERNAL:
                value = onnx.numpy_helper.to_array(tensor)
        if value is not None:
            return value.size == 1 and bool(value.reshape(()))
        maker = next((node for node in body.node if name in node.output), None)
        if maker is None:
            return len(body.input) > 1 and name == body.input[1].name
        if maker.op_type != "Identity":
            return False
        name = maker.input[0]
    return False


def _check(loaded: Loaded) -> None:
    """Onnx's checker, then the sizes of all values that are known before anything runs."""
    bare = skeleton(loaded)
    whole = skeleton(loaded)
    for info in whole.graph.output:  # many files leave an output's shape out, and every runtime reads them
        if info.type.HasField("tensor_type") and not info.type.tensor_type.HasField("shape"):
            info.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(whole)
    except (onnx.checker.ValidationError, ValueError) as error:
        first = (str(error).strip().splitlines() or ["refused"])[0]
        raise ModelFileError(f"{loaded.source}: onnx's checker: {first}") from error
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return  # what it cannot follow, the runtime will judge
    makers = {name: node for node in inferred.graph.node for name in node.output}
    for info in [*inferred.graph.value_info, *inferred.graph.output]:
        kind = info.type.tensor_type
        sizes = [axis.dim_value for axis in kind.shape.dim if axis.HasField("dim_value")]
        needed = math.prod(sizes) * _BITS.get(kind.elem_type, 8) // 8
        if len(sizes) == len(kind.shape.dim) and needed > memory():
            node = makers.get(info.name)
            label = f"{node.op_type} {node.name or info.name!r:.80}" if node else info.name
            raise ModelFileError(
                f"{loaded.source}: {label} makes a value of shape {sizes}: {needed} bytes, more than this machine has."
            )


def read_tensor(content: bytes, name: str) -> np.ndarray:
    """The array of a serialized TensorProto. Raises ModelFileError where its data doesn't fit its shape."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        tensor = onnx.TensorProto.FromString(content)
    except (DecodeError, RecursionError) as error:
        raise ModelFileError(f"{name}: not a tensor of ONNX, or a damaged one: {error}") from error
    if not tensor.data_type:
        raise ModelFileError(f"{name}: not a tensor of ONNX, or a truncated one.")
    _Inspector(name, None).tensor(tensor, "tensor")
    return onnx.numpy_helper.to_array(tensor)
