"""Recording a torch module: its forward runs once on tensors without data, and each torch function it calls is
spoken as the word of the same name.

Real tensors that forward meets (parameters, buffers, what is computed of them alone) are followed by identity:
parameters and buffers become initializers under their state_dict names, everything else constants. What writes a
recorded value into a real tensor is followed through its storage, so views of it see the write too. Whatever
forward did to real buffers is undone afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode

from mcore.exchange.recorded import Recorded, leaves_of
from mcore.platform import dtypes, graph
from mcore.platform.dim import Dim, DimFloat
from mcore.platform.errors import located
from mcore.platform.graph import Recorder
from mcore.platform.tensor import Size, Tensor, device
from mcore.platform.word import WORDS, write_back
from mcore.torch import own

TORCH_FOLDER = os.path.dirname(torch.__file__) + os.sep


class NoWord(NotImplementedError):
    """A torch function that the table of words does not have."""


class RecordingTensor(torch.Tensor):
    """A tensor without data that stands for a recorded value; passes `isinstance(x, torch.Tensor)`."""

    spoken: Tensor

    @staticmethod
    def __new__(cls, spoken: Tensor) -> RecordingTensor:
        sizes = [int(s) for s in spoken._shape]
        out = torch.Tensor._make_wrapper_subclass(cls, sizes, dtype=getattr(torch, spoken._dtype.name))
        out.spoken = spoken
        return out

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch's stub leaves func out
        cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        raise NoWord(f"{func} reached torch's kernels with a tensor that has no data")

    def __deepcopy__(self, memo: dict) -> torch.Tensor:
        return self.clone()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch's is not typed
        return repr(self.spoken)


def _torch_functions() -> dict[Any, Callable[..., Any]]:
    """torch function -> word. Compared with `==`: torch hands out methods anew at each access."""
    spaces = {"torch": torch, "F": torch.nn.functional, "Tensor": torch.Tensor, "linalg": torch.linalg, "own": own}
    table: dict[Any, Callable[..., Any]] = {}
    for name, spoken in WORDS.items():
        space, _, rest = name.partition(".")
        found = getattr(spaces[space], rest, None)
        if isinstance(spoken, property):
            table[found.__get__] = spoken.fget  # type: ignore[union-attr]
        elif found is not None:
            table.setdefault(found, spoken)
    for module in (torch._C._nn, torch._C._VariableFunctions, torch._C._linalg):  # type: ignore[attr-defined]
        for name in dir(module):
            bare = name.removeprefix("linalg_")
            twin = WORDS.get(f"F.{name}") or WORDS.get(f"torch.{name}") or WORDS.get(f"linalg.{bare}")
            if twin is not None and not name.startswith("__"):
                table.setdefault(getattr(module, name), twin)
    return table


_TENSOR_METHODS = {
    getattr(torch.Tensor, name): name
    for name in dir(Tensor)
    if not name.startswith("_") or name in ("__bool__", "__int__", "__float__", "__index__", "__len__", "__iter__",
                                            "__contains__", "__array__", "__repr__", "__format__")
    if callable(getattr(torch.Tensor, name, None)) and callable(getattr(Tensor, name, None))
}  # fmt: skip
_ATTRIBUTES = {
    getattr(torch.Tensor, name).__get__: name
    for name in ("shape", "dtype", "device", "ndim", "data", "real", "itemsize", "nbytes")
}
# Questions about how a tensor is kept: the tensor without data answers them itself.
_METADATA = {
    getattr(torch.Tensor, name).__get__
    for name in ("is_cuda", "is_cpu", "requires_grad", "layout", "is_sparse", "is_quantized", "is_nested", "is_mkldnn",
                 "is_mps", "is_xpu", "is_meta", "is_leaf", "grad_fn", "grad", "names", "is_sparse_csr", "_base",
                 "is_xla", "is_ipu", "is_vulkan", "is_maia", "is_mtia", "output_nr", "_backward_hooks")
    if hasattr(torch.Tensor, name)
} | {torch.Tensor.__hash__, torch.Tensor.is_inference}  # fmt: skip


class Listener(TorchFunctionMode):
    """Hears every torch function while a module is recorded."""

    table: dict[Any, Callable[..., Any]] | None = None

    def __init__(self, recorder: Recorder, states: dict[int, State]) -> None:
        super().__init__()
        self.recorder, self.states = recorder, states
        self.seen: dict[int, tuple[torch.Tensor, int, Tensor]] = {}  # real tensors met: identity, version, value
        self.written: dict[int, tuple[torch.UntypedStorage, Tensor]] = {}  # storages written with recorded values
        self.wrappers: dict[int, tuple[Tensor, RecordingTensor]] = {}
        if Listener.table is None:
            Listener.table = _torch_functions()

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        word = Listener.table.get(func) if _hashable(func) else None  # type: ignore[union-attr]
        name = getattr(func, "__name__", str(func))
        if not self._concerns(args) and not self._concerns(kwargs) and not _draws(name):
            return func(*args, **kwargs)
        if func in _METADATA:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if func in _ATTRIBUTES:
            return self._attribute(_ATTRIBUTES[func], self.lower(args[0]))
        if word is None and func in _TENSOR_METHODS:
            word = getattr(Tensor, _TENSOR_METHODS[func])
        if word is None:
            raise NoWord(located(f"{_title(func)} has no word", self.recorder.place(), self.recorder))
        if "out" in kwargs and kwargs["out"] is not None:
            return self._into(kwargs.pop("out"), self._speak(word, args, kwargs))
        if _writes(name) and args and type(args[0]) is not RecordingTensor and isinstance(args[0], torch.Tensor):
            return self._write_real(word, args, kwargs)
        return self._speak(word, args, kwargs)

    # --- what is recorded

    def _concerns(self, value: Any) -> bool:
        """True where a recorded tensor, a symbolic size, or a real tensor written with recorded values takes part."""
        kind = type(value)
        if kind is RecordingTensor or kind is Dim or kind is DimFloat:
            return True
        if kind is tuple or kind is list or kind is torch.Size:
            return any(self._concerns(v) for v in value)
        if kind is dict:
            return any(self._concerns(v) for v in value.values())
        if kind is slice:
            return self._concerns((value.start, value.stop, value.step))
        if self.written and isinstance(value, torch.Tensor):
            with torch._C.DisableTorchFunctionSubclass():
                return value.untyped_storage().data_ptr() in self.written
        return False

    def _speak(self, word: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        lowered = [self.lower(a) for a in args]
        named = {key: self.lower(v) for key, v in kwargs.items() if key not in ("memory_format", "layout")}
        return self.raise_(word(*lowered, **named))

    def lower(self, value: Any) -> Any:
        """A torch value as the platform engine's."""
        kind = type(value)
        if kind is RecordingTensor:
            return value.spoken
        if isinstance(value, torch.Tensor):
            return self.real(value)
        if kind is torch.Size:
            return Size(value)
        if kind is tuple or kind is list:
            return kind(self.lower(v) for v in value)
        if kind is dict:
            return {key: self.lower(v) for key, v in value.items()}
        if kind is slice:
            return slice(self.lower(value.start), self.lower(value.stop), self.lower(value.step))
        if kind is torch.dtype:
            return dtypes.NAMES[str(value).removeprefix("torch.")]
        if kind is torch.device:
            return device("cpu")
        return value

    def raise_(self, value: Any) -> Any:
        """A platform value as torch's; one tensor is always the same object."""
        if isinstance(value, Tensor):
            known = self.wrappers.get(id(value))
            if known is None:
                known = self.wrappers[id(value)] = (value, RecordingTensor(value))
            return known[1]
        if isinstance(value, Size):
            return torch.Size(value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.raise_(v) for v in value))
        if isinstance(value, tuple | list):
            return type(value)(self.raise_(v) for v in value)
        if isinstance(value, dtypes.dtype):
            return getattr(torch, value.name)
        if isinstance(value, device):
            return torch.device(str(value))
        if isinstance(value, Iterator):
            return iter([self.raise_(v) for v in value])
        return value

    def _attribute(self, name: str, spoken: Tensor) -> Any:
        return self.raise_(getattr(spoken, name))

    # --- real tensors

    def real(self, tensor: torch.Tensor) -> Tensor:
        """The value of a real tensor: a state under its name, a constant, or what was written into its storage."""
        with torch._C.DisableTorchFunctionSubclass():
            state = self.states.get(id(tensor))
            pointer = tensor.untyped_storage().data_ptr()
            if pointer in self.written:
                return self._read_written(tensor)
            if state is not None and tensor._version == state.lifted_at:
                return state
            known = self.seen.get(id(tensor))
            if known is not None and known[0] is tensor and known[1] == tensor._version:
                return known[2]
            array = to_numpy(tensor).copy()
            value = self.recorder.constant(array, of_torch(tensor.dtype))
            spoken = Tensor._recorded(self.recorder, value, of_torch(tensor.dtype), array.shape)
            self.seen[id(tensor)] = (tensor, tensor._version, spoken)
            return spoken

    def _flat_index(self, tensor: torch.Tensor) -> torch.Tensor:
        """For each element of a tensor, its place in the storage."""
        count = tensor.untyped_storage().nbytes() // tensor.element_size()
        return torch.arange(count).as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())

    def _read_written(self, tensor: torch.Tensor) -> Tensor:
        flat = self.written[tensor.untyped_storage().data_ptr()][1]
        index = self._constant(self._flat_index(tensor).reshape(-1))
        return WORDS["torch.reshape"](WORDS["torch.index_select"](flat, 0, index), tuple(tensor.shape))

    def _constant(self, tensor: torch.Tensor) -> Tensor:
        array = tensor.numpy()
        return Tensor._recorded(self.recorder, self.recorder.constant(array, dtypes.int64), dtypes.int64, array.shape)

    def _write_real(self, word: Callable[..., Any], args: tuple, kwargs: dict) -> torch.Tensor:
        """An in-place function on a real tensor: its whole storage becomes a recorded value."""
        target = args[0]
        current = self.real(target)
        twin = Tensor._recorded(self.recorder, self.recorder.use(current), current._dtype, current._shape)
        word(twin, *(self.lower(a) for a in args[1:]), **{k: self.lower(v) for k, v in kwargs.items()})
        with torch._C.DisableTorchFunctionSubclass():
            storage = target.untyped_storage()
            if storage.data_ptr() in self.written:
                flat = self.written[storage.data_ptr()][1]
            else:
                whole = target.new_empty(0).set_(storage, 0, (storage.nbytes() // target.element_size(),))
                flat = self.real(whole)
            index = self._constant(self._flat_index(target).reshape(-1))
            source = WORDS["torch.reshape"](twin, (-1,))
            self.written[storage.data_ptr()] = (storage, WORDS["torch.scatter"](flat, 0, index, source))
        return target

    def _into(self, out: Any, result: Any) -> Any:
        if isinstance(out, RecordingTensor):
            write_back(out.spoken, result.spoken)
            return out
        return self._write_real(WORDS["Tensor.copy_"], (out, result), {})


class State(Tensor):
    """A parameter or buffer of a torch module, sharing its memory."""

    __slots__ = ("lifted_at",)

    lifted_at: int  # torch's version counter of the real tensor then

    @classmethod
    def of(cls, tensor: torch.Tensor) -> State:
        out = cls.__new__(cls)
        out._set_data(to_numpy(tensor), of_torch(tensor.dtype), device("cpu"))
        out._is_state, out.lifted_at = graph.BAKED, tensor._version
        return out


def states_of(net: torch.nn.Module) -> dict[int, State]:
    """Parameters and buffers by identity; what is not on the CPU is copied there."""
    return {id(t): State.of(t) for t in [*net.parameters(), *net.buffers()]}


def of_torch(kind: torch.dtype) -> dtypes.dtype:
    """The platform engine's element type. Raises TypeError where ONNX has none."""
    name = str(kind).removeprefix("torch.")
    if name not in dtypes.NAMES:
        raise TypeError(f"{kind} has no ONNX counterpart; known: {', '.join(t.name for t in dtypes.ALL)}.")
    return dtypes.NAMES[name]


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A real tensor's data, shared where it is on the CPU."""
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(dtypes.bfloat16.numpy)
    return tensor.numpy()


def _hashable(func: Any) -> bool:
    return getattr(type(func), "__hash__", None) is not None


# torch's private rooms, by the names under which people know their functions.
_PUBLIC = {
    "torch._C._linalg.linalg_": "torch.linalg.",
    "torch._C._special.special_": "torch.special.",
    "torch._C._fft.fft_": "torch.fft.",
    "torch._C._nn.": "torch.nn.functional.",
    "torch._VariableFunctionsClass.": "torch.",
    "torch._C._VariableFunctions.": "torch.",
}


def _title(func: Any) -> str:
    owner = getattr(func, "__objclass__", None)
    if getattr(func, "__name__", "") in ("__get__", "__set__"):  # an attribute: its own name says more
        return f"torch.Tensor.{func.__self__.__name__} ({'read' if func.__name__ == '__get__' else 'assigned'})"
    prefix = f"torch.Tensor.{func.__name__}" if owner is not None else None
    name = getattr(func, "__qualname__", None) or getattr(func, "name", None) or str(func)
    title = prefix or f"{getattr(func, '__module__', None) or 'torch'}.{name}"
    for private, public in _PUBLIC.items():
        title = title.replace(private, public)
    return title


def _writes(name: str) -> bool:
    if name.startswith("__i") and name not in ("__invert__", "__index__", "__int__", "__iter__"):
        return True
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__") and not name.startswith("_"))


def _draws(name: str) -> bool:
    return name in ("rand", "randn", "randint", "randperm", "normal", "rand_like", "randn_like", "randint_like",
                    "bernoulli", "multinomial")  # fmt: skip


@contextmanager
def _modules_on(recorder: Recorder) -> Iterator[None]:
    """Tells the recorder which module is running."""
    running = recorder.modules
    enter = torch_module.register_module_forward_pre_hook(lambda module, args: running.append(module))
    leave = torch_module.register_module_forward_hook(
        lambda module, args, out: (running.pop(), None)[1], always_call=True
    )
    try:
        yield
    finally:
        enter.remove()
        leave.remove()


@contextmanager
def _scripts_named() -> Iterator[None]:
    """A compiled script runs beyond the reach of words: says which one it was, instead of torch's own report."""
    try:
        yield
    except RuntimeError as error:
        found = re.findall(r'File "([^"]+)", line (\d+), in (\w+)', str(error))
        if "TorchScript" not in str(error) or not found:
            raise
        file, line, name = found[-1]
        raise NoWord(
            f"{name} ({file}:{line}) is compiled by torch.jit.script, whose inside cannot be recorded; take the "
            "decorator away, or let torch's own exporter write the graph (strict=False)."
        ) from None


@contextmanager
def _restored(net: torch.nn.Module) -> Iterator[None]:
    """Buffers as they were, by identity and content, whatever forward does."""
    kept = [
        (module, name, tensor, None if tensor is None else tensor.clone())
        for module in net.modules()
        for name, tensor in module._buffers.items()
    ]
    versions = [None if tensor is None else tensor._version for _, _, tensor, _ in kept]
    try:
        yield
    finally:
        for (module, name, tensor, content), version in zip(kept, versions, strict=True):
            module._buffers[name] = tensor
            if tensor is not None and tensor._version != version:
                assert content is not None
                tensor.copy_(content)


def record(
    net: torch.nn.Module, arrays: Sequence[Any], symbolic: Sequence[dict[int, str]], states: dict[int, State]
) -> Recorded:
    """Records `net(*arrays)`. `arrays`: one tree of numpy arrays per argument; `symbolic`: per array, open axes.

    Raises:
        NoWord: forward calls a torch function that has no word.
        RuntimeError: forward reads a value.
    """
    if TORCH_FOLDER not in graph.INTERNAL_FOLDERS:
        graph.INTERNAL_FOLDERS.append(TORCH_FOLDER)
        graph._internal.clear()
    recorder = Recorder(exporting=True)
    recorder.root = net
    listener = Listener(recorder, states)
    for state in states.values():
        state._recorder, state._version = None, 0
    with recorder, torch.no_grad(), _restored(net), _modules_on(recorder):
        inputs = []
        for array, axes in zip(arrays, symbolic, strict=True):
            dtype = dtypes.from_numpy(array.dtype)
            value = recorder.input(array, dtype, axes)
            inputs.append(Tensor._recorded(recorder, value, dtype, recorder.shapes[value]))
        entries = [t._value for t in inputs]  # before forward writes to them
        given = [listener.raise_(t) for t in inputs]
        with listener, _scripts_named():
            result = net(*given)
        outputs, names = leaves_of(result, torch.Tensor)
        values = [recorder.use(listener.lower(t)) for t in outputs]
    recorder.release()
    return Recorded(recorder, entries, values, names)


__all__ = ["NoWord", "RecordingTensor", "record", "states_of"]
