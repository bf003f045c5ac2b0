"""Module: torch's, without gradients. Its attributes are sorted into parameters, buffers, modules and the rest.

The outermost call records what `forward` says and runs it (`call.py`); a call inside it only runs `forward`.
"""

from __future__ import annotations

import sys
from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import Any, Self

from mcore.platform import errors, graph
from mcore.platform.borrowed import own
from mcore.platform.call import call
from mcore.platform.devices import available
from mcore.platform.dtypes import NAMES, dtype
from mcore.platform.graph import active
from mcore.platform.hooks import Hooks, Places, call_hooked
from mcore.platform.parameter import Buffer, Parameter, become, converted, empty
from mcore.platform.state import StateDict
from mcore.platform.tensor import Tensor, device
from mcore.portable import Portable, remember

_frame, _kind = sys._getframe, graph._internal.get
_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip


class ModuleType(ABCMeta):
    """Keeps what a constructor received; derives from ABCMeta, so that modules may have abstract methods."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        instance: Any = cls.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]  # a metaclass's own class
        if isinstance(instance, cls):
            remember(instance, args, kwargs)
            instance.__init__(*args, **kwargs)
        return instance


class Module(Portable, Hooks, StateDict, metaclass=ModuleType):
    """The base of everything with `forward`: `torch.nn.Module`, with `toplatform`, `fromplatform` and their kin."""

    dump_patches = False
    call_super_init = False
    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init:
            if kwargs:
                unknown = next(iter(kwargs))
                raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument '{unknown}'")
            if args:
                given = len(args) + 1
                raise TypeError(f"{type(self).__name__}.__init__() takes 1 positional argument but {given} were given")
        # Straight into the dictionary: __setattr__ sorts by what stands here.
        state = self.__dict__
        state["training"] = True
        state["_parameters"], state["_buffers"], state["_non_persistent_buffers_set"] = {}, {}, set()
        for name in _HOOKS:
            state[name] = Places()
        state["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # --- calling

    def forward(self, *input: Any) -> Any:
        """What the module computes; for classes to define."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        recorder = active.recorder
        if recorder is None:
            return call(self, args, kwargs)
        running, before, frame = recorder.modules, recorder.spot, _frame(1)
        running.append(self)
        code = frame.f_code
        # What a layer says is put down to the user's line that called it, or that called the layer around it.
        kind = _kind(code.co_filename)
        if kind is None:
            kind = graph.kind_of_file(code.co_filename)
        recorder.spot = (self, before[1], before[2]) if kind else (self, code, frame.f_lasti)
        try:
            if self._forward_hooks or self._forward_pre_hooks:
                return call_hooked(self, args, kwargs)
            return self.forward(*args, **kwargs)
        finally:
            running.pop()
            recorder.spot = before

    def _speak(self, args: tuple, kwargs: dict) -> Any:
        """`forward` with its hooks, as the outermost module of the recording that is listening."""
        recorder = graph.current()
        recorder.spot = (self, *graph.user_frame())
        return self(*args, **kwargs)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: every call already runs a compiled session."""

    # --- attributes

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        for place in ("_modules", "_parameters", "_buffers"):
            found = state.get(place)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        parameters = state.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            _drop(name, state, self._buffers, self._modules, self._non_persistent_buffers_set)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            modules = state.get("_modules")
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            _drop(name, state, parameters, self._buffers, self._non_persistent_buffers_set)
            modules[name] = value
        elif parameters is not None and name in state["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
                )
            state["_modules"][name] = None
        elif isinstance(value, Buffer) or (parameters is not None and name in state["_buffers"]):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            kept = value.persistent if isinstance(value, Buffer) else name not in self._non_persistent_buffers_set
            self.register_buffer(name, value, kept)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*object.__dir__(self), *self._parameters, *self._modules, *self._buffers]
        return sorted({name for name in names if not name[0].isdigit()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # --- registering

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that belongs to the state but is no parameter; `persistent=False` keeps it out of files."""
        self._check_name("buffer", name, "_buffers", tensor)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        if tensor is not None:
            self._hold(name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def _hold(self, name: str, tensor: Tensor) -> None:
        """Makes a tensor a state; one that forward computes becomes data when the recording ends."""
        recorder = active.recorder
        if recorder is None or tensor._recorder is not recorder:
            if not tensor._is_state:
                tensor._array, tensor._is_state = own(tensor._array), graph.BAKED
            return
        tensor._is_state = graph.FED
        recorder.mutated[id(tensor)] = tensor
        buffers, missing = self._buffers, name not in self._buffers
        before = self._buffers.get(name)

        def undo() -> None:
            if missing:
                buffers.pop(name, None)
            else:
                buffers[name] = before

        recorder.undo.append(undo)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter."""
        self._check_name("parameter", name, "_parameters", param)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a module below this one."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {_typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, name: str, place: str, value: Any) -> None:
        if place not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in self.__dict__[place] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # --- finding

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one. Raises AttributeError where there is none."""
        found: Any = self
        for step in target.split(".") if target else ():
            if not hasattr(found, step):
                raise AttributeError(f"{found._get_name()} has no attribute `{step}`")
            found = getattr(found, step)
            if not isinstance(found, Module):
                raise AttributeError(f"`{step}` is not an nn.Module")
        return found

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts `module` at a dotted path; with `strict`, only where one stands already."""
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        found = getattr(owner, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        if name not in owner._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(owner, name)

    # --- going through

    def _named_members(
        self,
        members: Callable[[Module], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        pairs = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in pairs:
            for name, value in members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Every parameter once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Every parameter once, with its dotted name."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Every buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Every buffer once, with its dotted name."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The modules right below, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules right below, each once, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """The module itself and all below, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """The module itself and all below, each once, with their dotted names."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Calls `fn` on every module below, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- modes

    def train(self, mode: bool = True) -> Self:
        """Sets training mode here and below; it matters for dropout and batch statistics."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Clears the flag of every parameter. Raises RuntimeError when asked for gradients."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Does nothing: there are no gradients."""

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Refused: there is no backward pass."""
        raise errors.no_gradients("register_full_backward_hook")

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> Any:
        """Refused: there is no backward pass."""
        raise errors.no_gradients("register_full_backward_pre_hook")

    def register_backward_hook(self, hook: Callable) -> Any:
        """Refused: there is no backward pass."""
        raise errors.no_gradients("register_backward_hook")

    # --- moving

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        if recurse:
            for module in self.children():
                module._apply(fn)
        for place in (self._parameters, self._buffers):
            for state in place.values():
                if state is not None:
                    become(state, fn(state))
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves to a device, casts float states to a float type, or does as a tensor has it.

        Raises:
            RuntimeError: ONNX Runtime has no provider for the device.
        """
        where, kind = _destination(*args, **kwargs)
        if kind is not None and not kind.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={kind}")
        return self._apply(lambda t: converted(t, kind if t._dtype.is_floating_point else None, where))

    def type(self, dst_type: dtype | str) -> Self:
        """Casts every state, of whatever type it is."""
        kind = _as_dtype(dst_type)
        return self._apply(lambda t: converted(t, kind))

    def float(self) -> Self:
        """Casts float states to float32."""
        return self.to(NAMES["float32"])

    def double(self) -> Self:
        """Casts float states to float64."""
        return self.to(NAMES["float64"])

    def half(self) -> Self:
        """Casts float states to float16."""
        return self.to(NAMES["float16"])

    def bfloat16(self) -> Self:
        """Casts float states to bfloat16."""
        return self.to(NAMES["bfloat16"])

    def cpu(self) -> Self:
        """Moves to the CPU."""
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Self:
        """Moves to a CUDA device; the first where none is given."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else device or "cuda")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves without the data."""
        where = _usable(device)
        return self._apply(lambda t: empty(tuple(map(int, t._shape)), where, t._dtype), recurse)

    def share_memory(self) -> Self:
        """Does nothing: arrays are never written, so processes that fork share them anyway."""
        return self

    # --- telling

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What a class adds to its line in `repr`."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        first = extra.split("\n") if extra else []
        below = [f"({name}): {indented(repr(module), 2)}" for name, module in self._modules.items()]
        if not below and len(first) <= 1:
            return f"{self._get_name()}({''.join(first)})"
        lines = "\n  ".join(first + below)
        return f"{self._get_name()}(\n  {lines}\n)"


def indented(text: str, spaces: int) -> str:
    """`text` with all lines but the first moved right; blank lines stay blank."""
    first, *rest = text.split("\n")
    return "\n".join([first, *(" " * spaces + line if line.strip() else "" for line in rest)])


def _drop(name: str, *places: Any) -> None:
    for place in places:
        if isinstance(place, set):
            place.discard(name)
        else:
            place.pop(name, None)


def _typename(value: Any) -> str:
    """`torch.typename`: what torch's messages call a value."""
    if isinstance(value, Tensor):
        names = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
                 "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}  # fmt: skip
        return f"torch.{names[value._dtype.name]}Tensor"
    kind = value if isinstance(value, type) else type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _as_dtype(kind: dtype | str) -> dtype:
    if isinstance(kind, dtype):
        return kind
    words = {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32",
             "short": "int16", "char": "int8", "byte": "uint8"}  # fmt: skip
    name = str(kind).rpartition(".")[2].removesuffix("Tensor").lower()
    name = words.get(name, name)
    if name not in NAMES:
        raise ValueError(f"invalid type: '{kind}'")
    return NAMES[name]


def _destination(*args: Any, **kwargs: Any) -> tuple[device | None, dtype | None]:
    """Device and element type out of the arguments of `to`."""
    where, kind = kwargs.pop("device", None), kwargs.pop("dtype", None)
    other = kwargs.pop("tensor", None)
    for name in ("non_blocking", "copy", "memory_format"):
        kwargs.pop(name, None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    for argument in args:
        if isinstance(argument, Tensor):
            other = argument
        elif isinstance(argument, dtype):
            kind = argument
        elif isinstance(argument, str | device) or (isinstance(argument, int) and not isinstance(argument, bool)):
            where = argument
        elif argument is not None and not isinstance(argument, bool):
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(argument).__name__})")
    if other is not None:
        where, kind = other._device, other._dtype
    return (None if where is None else _usable(where)), kind


def _usable(where: Any) -> device:
    """A device by name or number, where this machine has it."""
    return available(device(f"cuda:{where}" if isinstance(where, int) else where))


__all__ = ["Buffer", "Module", "ModuleType", "Parameter", "indented"]
