"""The recorder: what a forward pass says, as a list of ONNX nodes, with names and source lines found only when asked.

A recording is a list of plain tuples, so the list itself, made hashable, is the key under which its session is
kept: whatever Python decided (a branch, an attribute, a size used as a number) stands in it, and a recording
is never stale. Values are numbered; value `k` has an element type and a shape whose sizes may be symbolic.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim

if TYPE_CHECKING:
    from mcore.platform.tensor import Tensor

INPUT, STATE, CONSTANT = "@input", "@state", "@constant"

# Tensor._is_state: plain data; a parameter or buffer held by sessions; one that forward writes, fed to sessions.
PLAIN, BAKED, FED = 0, 1, 2

# Frames of these folders are the library's own; the first frame elsewhere is the user's line.
INTERNAL_FOLDERS = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep]
# Source file -> USER, LIBRARY, or LAYER: the library's modules, which know where they were called.
_internal: dict[str, int] = {}
USER, LIBRARY, LAYER = 0, 1, 2
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LAYERS = (f"{_HERE}layers{os.sep}", f"{_HERE}base.py", f"{_HERE}containers.py")

_INT64 = dtypes.int64


_NOWHERE = (None, None, 0)


class _Active(threading.local):
    recorder: Recorder | None = None


active = _Active()


class Place:
    """Where a node was spoken: the module that was running, the user's code object and instruction."""

    __slots__ = ("code", "lasti", "module")

    def __init__(self, module: Any, code: Any, lasti: int) -> None:
        self.module, self.code, self.lasti = module, code, lasti

    @property
    def line(self) -> int:
        """Line number in the user's file."""
        positions = list(self.code.co_positions())
        return positions[self.lasti // 2][0] or self.code.co_firstlineno

    def __str__(self) -> str:
        return f"{self.code.co_filename}:{self.line}" if self.code is not None else "<unknown line>"


def user_frame() -> tuple[Any, int]:
    """Code object and instruction of the innermost frame outside the library."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        inside = _internal.get(name)
        if not (is_internal(name) if inside is None else inside):
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None, 0


def kind_of_file(filename: str) -> int:
    """Whether a source file is the user's, the library's, or holds modules of the library."""
    kind = _internal.get(filename)
    if kind is None:
        inside = any(filename.startswith(folder) for folder in INTERNAL_FOLDERS)
        kind = LAYER if filename.startswith(_LAYERS) else LIBRARY if inside else USER
        _internal[filename] = kind
    return kind


def is_internal(filename: str) -> bool:
    """Whether a source file is the library's own."""
    return kind_of_file(filename) != USER


def _note_comparison(left: Any, sign: str, right: Any) -> None:
    """Tells the recorder of this thread that the program compared a symbolic size."""
    recorder = active.recorder
    # Above: this function, Dim._compare, Dim.__eq__ and their like; then who compared.
    if recorder is None or is_internal(sys._getframe(3).f_code.co_filename):
        return
    if isinstance(left, int) and isinstance(right, int) and dims.holds_always(left, sign, right):
        return
    recorder.guards.append((f"{dims.title(left)} {sign} {dims.title(right)}", recorder.place()))


def _note_loss(value: dims.DimFloat) -> None:
    """Tells the recorder of this thread that the program made a plain number of a quotient of sizes."""
    recorder = active.recorder
    if recorder is not None and not is_internal(sys._getframe(2).f_code.co_filename):
        recorder.losses.append((len(recorder.nodes), dims.title(value), recorder.place()))


dims.on_compare, dims.on_loss = _note_comparison, _note_loss


class Recorder:
    """Collects the nodes of one forward pass.

    Args:
        bake_state: parameters and buffers become initializers of the session; else they are fed like inputs
            (words outside a module).
        exporting: reading a value is an error that names the line; sizes used as numbers are noted.
    """

    def __init__(self, *, bake_state: bool = True, exporting: bool = False) -> None:
        self.bake_state, self.exporting = bake_state, exporting
        self.nodes: list[tuple] = []
        self.places: list[tuple] = []  # parallel to nodes: (module, code, lasti)
        self.producer: list[int] = []  # value -> its node
        self.types: list[dtypes.dtype] = []  # value -> element type
        self.shapes: list[tuple] = []  # value -> sizes
        self.feeds: dict[int, np.ndarray] = {}  # graph input -> its array
        self.states: dict[int, Tensor] = {}  # initializer -> the parameter or buffer
        self._state_arrays: dict[int, np.ndarray] = {}  # as they were when lifted: arrays are never edited
        self.where: Any = None  # device of the first input or parameter
        self.constants: dict[int, np.ndarray] = {}  # constant -> its array
        self.named_inputs: list[int] = []  # graph inputs that the caller gave, in order
        self.sources: dict[str, tuple[int, int]] = {}  # symbol -> (value, axis) where a running graph reads it
        self.guards: list[tuple[str, Place]] = []  # comparisons of symbolic sizes, and sizes that a word fixed
        self.losses: list[tuple[int, str, Place]] = []  # where int() took a quotient: before which node, of what
        self.mutated: dict[int, Tensor] = {}  # id -> tensors of the caller that forward wrote in place
        self.undo: list[Callable[[], None]] = []  # takes back the buffers that forward assigned
        self.drew_random: list[Place] = []
        self.modules: list[Any] = []  # the modules now running, outermost first
        self.spot: tuple = _NOWHERE  # who speaks now: (module, code, lasti); the next nodes are put down to it
        self.root: Any = None  # the outermost module
        self._lifted: dict[int, tuple[int, Any, int]] = {}  # id of a caller's tensor -> its value (and the tensor)
        self._interned: dict[tuple, int] = {}  # constants and sizes by content
        self._outer: Recorder | None = None

    # --- entering and leaving

    def __enter__(self) -> Recorder:
        self._outer = active.recorder
        active.recorder = self
        return self

    def __exit__(self, *exception: object) -> None:
        active.recorder, self._outer = self._outer, None
        if exception[0] is not None:
            self.release()

    def release(self) -> None:
        """Gives the caller's tensors back as they were before `forward` wrote to them."""
        for tensor in self.mutated.values():
            tensor._recorder = None
        for undo in reversed(self.undo):
            undo()
        self.mutated, self.undo = {}, []

    # --- values

    def _value(self, node: int, dtype: dtypes.dtype, shape: tuple) -> int:
        value = len(self.types)
        self.producer.append(node)
        self.types.append(dtype)
        self.shapes.append(shape)
        return value

    def _leaf(self, key: tuple, dtype: dtypes.dtype, shape: tuple) -> int:
        self.nodes.append(key)
        self.places.append(_NOWHERE)
        return self._value(len(self.nodes) - 1, dtype, shape)

    def input(self, array: np.ndarray, dtype: dtypes.dtype, symbolic: dict[int, str] | None = None) -> int:
        """A new graph input fed with `array`; `symbolic` names the axes whose size shall stay open."""
        value = self._leaf((INPUT, dtype.name, array.ndim), dtype, array.shape)
        self.feeds[value] = array
        if symbolic:
            self.shapes[value] = tuple(
                self.symbol(symbolic[axis], size, value, axis) if axis in symbolic else size
                for axis, size in enumerate(array.shape)
            )
        return value

    def symbol(self, name: str, size: int, value: int, axis: int) -> int:
        """A symbolic size that a running graph reads off `axis` of `value`."""
        self.sources.setdefault(name, (value, axis))
        return dims.make(int(size), dims.symbol(name))

    def constant(self, array: np.ndarray, dtype: dtypes.dtype) -> int:
        """A value known now; the same content is kept once."""
        key = (CONSTANT, dtype.name, array.shape, array.tobytes())
        value = self._interned.get(key)
        if value is None:
            value = self._interned[key] = self._leaf(key, dtype, array.shape)
            self.constants[value] = array
        return value

    def use(self, tensor: Tensor) -> int:
        """The value of a tensor in this recording; tensors that hold data are lifted into it."""
        if tensor._view is not None:
            tensor._refresh()
        if tensor._recorder is self:
            return tensor._value
        known = self._lifted.get(id(tensor))
        if known is not None and known[1] is tensor and known[2] == tensor._version:
            return known[0]
        where = tensor._device
        if where is not self.where:
            self._check_device(tensor)
        array = tensor._array
        if tensor._recorder is not None or callable(array):
            array = tensor._data()
        # A state that forward itself writes (2) is fed: baked, each call would need a new session.
        state = tensor._is_state
        if state and (self.exporting or (self.bake_state and state == BAKED)):
            # As _leaf, written out: every weight of the network comes this way at every call.
            value = len(self.types)
            self.producer.append(len(self.nodes))
            self.nodes.append((STATE, tensor._uid))
            self.places.append(_NOWHERE)
            self.types.append(tensor._dtype)
            self.shapes.append(array.shape)
            self.states[value] = tensor
            self._state_arrays[value] = array
        else:
            value = self.input(array, tensor._dtype)
        self._lifted[id(tensor)] = (value, tensor, tensor._version)
        return value

    def _check_device(self, tensor: Tensor) -> None:
        if self.where is None:
            self.where = tensor._device
        elif tensor._device != self.where and tensor.ndim:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{self.where} and {tensor._device}!"
            )

    def state_array(self, value: int) -> np.ndarray:
        """The array of a parameter or buffer when it was lifted."""
        return self._state_arrays[value]

    def emit(self, op: str, inputs: Sequence[int], outputs: Sequence[tuple], attributes: dict) -> int:
        """Appends a node; returns its first output value (the others follow). `outputs`: (shape, dtype) each."""
        if attributes:
            if self.sources:
                attributes = self._fixed(op, attributes)
            self.nodes.append((op, tuple(inputs), len(outputs), tuple(attributes.items())))
        else:
            self.nodes.append((op, tuple(inputs), len(outputs), ()))
        self.places.append(self.spot)
        node, first = len(self.nodes) - 1, len(self.types)
        for shape, dtype in outputs:
            self.producer.append(node)
            self.types.append(dtype)
            self.shapes.append(shape)
        return first

    def emit_one(self, op: str, inputs: tuple, shape: tuple, dtype: dtypes.dtype, attributes: tuple) -> int:
        """`emit` for one output, as most operators have; attributes are pairs, without symbolic sizes."""
        nodes, types = self.nodes, self.types
        self.producer.append(len(nodes))
        nodes.append((op, inputs, 1, attributes))
        self.places.append(self.spot)
        types.append(dtype)
        self.shapes.append(shape)
        return len(types) - 1

    def note_speaker(self, frame: Any) -> None:
        """Puts the next nodes down to the user's line, or to the layer of the library, that spoke.

        Looked up once a word, not once a node: each frame that is looked at must be made first.
        """
        while frame is not None:
            code = frame.f_code
            kind = kind_of_file(code.co_filename)
            if kind == LAYER:
                return  # Module.__call__ noted where it was called
            if kind == USER:
                break
            frame = frame.f_back
        modules = self.modules
        module = modules[-1] if modules else None
        self.spot = (module, None, 0) if frame is None else (module, code, frame.f_lasti)

    def place(self) -> Place:
        """Where the program is now."""
        return Place(self.modules[-1] if self.modules else None, *user_frame())

    # --- sizes

    def fix(self, size: int, why: str) -> int:
        """The plain number of a size, noting that the recording now holds for this size only."""
        if type(size) is Dim:
            self.guards.append((f"{dims.text(size.expr)} == {int(size)} ({why})", self.place()))
        return int(size)

    def _fixed(self, op: str, attributes: dict) -> dict:
        out = {}
        for name, value in attributes.items():
            if type(value) is Dim:
                value = self.fix(value, f"{op} takes {name} as a fixed number")
            elif type(value) is tuple and dims.is_symbolic(value):
                value = tuple(self.fix(v, f"{op} takes {name} as fixed numbers") for v in value)
            out[name] = value
        return out

    def ints(self, sizes: Iterable[int]) -> int:
        """A one-dimensional int64 value of these sizes: a constant, or arithmetic where some are symbolic."""
        sizes = tuple(sizes)
        if not dims.is_symbolic(sizes):
            value = self._interned.get(("ints", sizes))
            if value is None:
                value = self._interned["ints", sizes] = self.constant(np.array(sizes, np.int64), _INT64)
            return value
        parts: list[int] = []
        plain: list[int] = []
        for size in sizes:
            if type(size) is Dim:
                if plain:
                    parts.append(self.constant(np.array(plain, np.int64), _INT64))
                    plain = []
                parts.append(self._size(size.expr))
            else:
                plain.append(size)
        if plain:
            parts.append(self.constant(np.array(plain, np.int64), _INT64))
        if len(parts) == 1:
            return parts[0]
        return self._pure("Concat", tuple(parts), ((len(sizes),), _INT64), axis=0)

    def _pure(self, op: str, inputs: tuple, output: tuple, **attributes: Any) -> int:
        key = (op, inputs, tuple(attributes.items()))
        value = self._interned.get(key)
        if value is None:
            value = self._interned[key] = self.emit(op, inputs, [output], attributes)
        return value

    def _size(self, expr: dims.Expr) -> int:
        """The value, shape [1], of an expression of sizes."""
        known = self._interned.get(("size", expr))
        if known is not None:
            return known
        total: int | None = None
        for monomial, coefficient in sorted(expr, key=lambda term: term[0] == ()):
            factors = [self._atom(a) for a in monomial]
            sign = "Add"
            if coefficient < 0 and total is not None:
                sign, coefficient = "Sub", -coefficient
            if coefficient != 1 or not factors:
                factors.append(self.constant(np.array([coefficient], np.int64), _INT64))
            term = factors[0]
            for factor in factors[1:]:
                term = self._arithmetic("Mul", term, factor)
            total = term if total is None else self._arithmetic(sign, total, term)
        if total is None:
            total = self.constant(np.array([0], np.int64), _INT64)
        self._interned[("size", expr)] = total
        return total

    def _arithmetic(self, op: str, a: int, b: int, dtype: dtypes.dtype = _INT64) -> int:
        return self._pure(op, (a, b), ((1,), dtype))

    def _atom(self, atom: tuple) -> int:
        kind = atom[0]
        if kind == "sym":
            value, axis = self.sources[atom[1]]
            return self._pure("Shape", (value,), ((1,), _INT64), start=axis, end=axis + 1)
        if kind in ("max", "min"):
            return self._arithmetic("Max" if kind == "max" else "Min", self._size(atom[1]), self._size(atom[2]))
        if kind in ("//", "%"):
            a, b = self._size(atom[1]), self._size(atom[2])
            # ONNX's integer Div cuts towards zero and Mod follows the divisor: a - a % b divides exactly.
            left = self._arithmetic("Mod", a, b)
            return left if kind == "%" else self._arithmetic("Div", self._arithmetic("Sub", a, left), b)
        value = self._float(atom[1])
        rounding = {"ceil": "Ceil", "floor": "Floor", "round": "Round"}.get(kind)
        if rounding:
            value = self._pure(rounding, (value,), ((1,), dtypes.float64))
        return self._pure("Cast", (value,), ((1,), _INT64), to=_INT64.onnx)

    def _float(self, tree: Any) -> int:
        if isinstance(tree, float):
            return self.constant(np.array([tree], np.float64), dtypes.float64)
        if tree[0] == "int":
            return self._pure("Cast", (self._size(tree[1]),), ((1,), dtypes.float64), to=dtypes.float64.onnx)
        op = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "**": "Pow"}[tree[0]]
        return self._arithmetic(op, self._float(tree[1]), self._float(tree[2]), dtypes.float64)

    def unknown_size(self, value: int, axis: int) -> int:
        """The size of an axis that depends on data (`x[mask]`): read by running what was recorded so far."""
        array = self._run_now([value])[0]
        return self.symbol(f"data{len(self.sources)}", array.shape[axis], value, axis)

    # --- reading values

    def evaluate(self, values: Sequence[int], what: str) -> list[np.ndarray]:
        """Arrays of values in the middle of a recording.

        Raises:
            RuntimeError: exporting, and the values depend on more than sizes and constants; it names the line.
        """
        sized = self._sizes_behind(values) if self.exporting else False
        if sized is None:
            from mcore.platform.errors import located

            raise RuntimeError(
                located(
                    f"{what} inside forward cannot be exported: the graph has no value to decide by. Compute it with "
                    "words (where, clamp, masked_fill), or make it an argument",
                    self.place(),
                    self,
                )
            )
        arrays = self._run_now(values)
        if sized:
            shown = "; ".join(np.array2string(a, threshold=4, edgeitems=2, separator=", ") for a in arrays)
            self.guards.append((f"a tensor made of sizes alone was read as {shown}", self.place()))
        return arrays

    def _sizes_behind(self, values: Sequence[int]) -> bool | None:
        """Whether values depend on sizes of the inputs; None where they depend on more than sizes and constants."""
        left, seen, sized = [v for v in values if v >= 0], set(), False
        while left:
            index = self.producer[left.pop()]
            if index in seen:
                continue
            seen.add(index)
            node = self.nodes[index]
            if node[0] in (INPUT, STATE) or node[0].startswith("Random"):
                return None
            if node[0] == "Shape" and self.nodes[self.producer[node[1][0]]][0] == INPUT:
                sized = True
            elif node[0] != CONSTANT:
                left += [v for v in node[1] if v >= 0]
        return sized

    def _run_now(self, values: Sequence[int]) -> list[np.ndarray]:
        assert runner is not None
        return runner(self, values)


# Set by session.py: runs part of a recording. (words -> graph -> tensor is the direction of imports.)
runner: Callable[[Recorder, Sequence[int]], list[np.ndarray]] | None = None


def current() -> Recorder:
    """The recorder that is listening; words run only while one is."""
    recorder = active.recorder
    assert recorder is not None, "a word's body ran without a recorder"
    return recorder
