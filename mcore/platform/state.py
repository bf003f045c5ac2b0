"""`state_dict` and `load_state_dict`: torch's keys, order, metadata, hooks and messages.

Loading differs in one thing, on purpose: where anything doesn't fit, everything is told at once and nothing is
changed, whereas torch leaves the matching half loaded.
"""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.borrowed import own
from mcore.platform.hooks import Places
from mcore.platform.parameter import Parameter, alias, become, cast_array
from mcore.platform.tensor import Tensor

_EXTRA = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What `load_state_dict` returns: keys that were not given, and keys that nobody asked for."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StateDict:
    """The methods of a module that give and take its state."""

    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: Places
    _state_dict_pre_hooks: Places
    _load_state_dict_pre_hooks: Places
    _load_state_dict_post_hooks: Places

    # --- giving

    def get_extra_state(self) -> Any:
        """What a module keeps in the state besides tensors; for classes to define, with `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} defines set_extra_state but not get_extra_state.")

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` gave."""
        raise RuntimeError(f"{type(self).__name__} defines get_extra_state but not set_extra_state.")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, parameter in self._parameters.items():
            if parameter is not None:
                destination[prefix + name] = parameter if keep_vars else alias(parameter)
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else alias(buffer)
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + _EXTRA] = self.get_extra_state()

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """Parameters and persistent buffers of this module and those below, by dotted name.

        The tensors share their data with the module, as in torch: what is written into one shows in the other.
        """
        if args:
            warnings.warn("Positional args are being deprecated, use kwargs instead.", FutureWarning, stacklevel=2)
            rest: tuple = (destination, prefix, keep_vars)
            destination, prefix, keep_vars = (*args, *rest[len(args) :])
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, metadata)
            if getattr(hook, "_from_public_api", False):
                if result is not None:
                    raise RuntimeError("state_dict post-hook must return None")
            elif result is not None:
                destination = result
        return destination

    # --- taking

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Takes what belongs to this very module out of `state_dict`, noting what doesn't fit."""
        for hook, with_module in self._load_state_dict_pre_hooks.values():
            first = (self,) if with_module else ()
            notes = (missing_keys, unexpected_keys, error_msgs)
            hook(*first, state_dict, prefix, local_metadata, strict, *notes)
        own: dict[str, Tensor] = {name: state for name, state in self._parameters.items() if state is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                own[name] = buffer
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, state in own.items():
            key = prefix + name
            if key in state_dict:
                self._load_one(name, key, state, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)
        extra_key = prefix + _EXTRA
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            unexpected_keys.extend(self._strangers(state_dict, prefix, own, extra_key))

    def _strangers(self, state_dict: dict[str, Any], prefix: str, own: dict, extra_key: str) -> list[str]:
        out = []
        for key in state_dict:
            if key.startswith(prefix) and key != extra_key:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    out.append(key)
        return out

    def _load_one(self, name: str, key: str, state: Tensor, given: Any, assign: bool, error_msgs: list[str]) -> None:
        new = as_tensor(given)
        if new is None:
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(given)}"
            )
            return
        ours, theirs = list(map(int, state._shape)), list(map(int, new._shape))
        if not ours and theirs == [1]:  # files of torch before 0.4
            new = Tensor._of(new._data().reshape(()), new._dtype)
        elif ours != theirs:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape torch.Size({theirs}) from checkpoint, "
                f"the shape in current model is torch.Size({ours})."
            )
            return
        if assign:
            if isinstance(state, Parameter) and not isinstance(new, Parameter):
                new = Parameter(new, requires_grad=state.requires_grad)
            setattr(self, name, new)
        elif new is not state:
            pending = new._recorder is None and new._view is None and new._dtype is state._dtype
            array = own(new._array if pending else cast_array(new._data(), state._dtype))
            copy = Tensor._of(np.empty(0, np.float32), state._dtype, state._device)
            copy._array, copy._shape = array, tuple(ours)
            become(state, copy)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Takes parameters and buffers from `state_dict`: tensors, numpy arrays, or tensors of torch.

        Differs: where anything doesn't fit, nothing at all is changed.

        Raises:
            RuntimeError: keys are missing or unexpected (unless `strict=False`), or shapes differ; all are listed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing: list[str] = []
        unexpected: list[str] = []
        messages: list[str] = []
        before = _Snapshot(self)
        try:
            metadata = getattr(state_dict, "_metadata", None)
            local = OrderedDict(state_dict)
            if metadata is not None:
                local._metadata = metadata  # type: ignore[attr-defined]
            _load(self, local, "", metadata or {}, assign, missing, unexpected, messages)
            if strict:
                for kind, keys in (("Unexpected", unexpected), ("Missing", missing)):
                    if keys:
                        listed = ", ".join(f'"{key}"' for key in keys)
                        messages.insert(0, f"{kind} key(s) in state_dict: {listed}. ")
            if messages:
                listed = "\n\t".join(messages)
                raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        except BaseException:
            before.restore()
            raise
        return _IncompatibleKeys(missing, unexpected)


def _load(
    module: Any,
    state_dict: dict[str, Any],
    prefix: str,
    metadata: Mapping[str, Any],
    assign: bool,
    missing: list[str],
    unexpected: list[str],
    messages: list[str],
) -> None:
    local = dict(metadata.get(prefix[:-1], {}))
    if assign:
        local["assign_to_params_buffers"] = assign
    module._load_from_state_dict(state_dict, prefix, local, True, missing, unexpected, messages)
    below: dict[str, dict[str, Any]] = {}
    start = len(prefix)
    for key, value in state_dict.items():
        first, dot, _ = key[start:].partition(".")
        if dot:
            below.setdefault(first, {})[key] = value
    for name, child in module._modules.items():
        if child is not None:
            # A name may hold dots of its own where somebody wrote `_modules` by hand: then look key by key.
            part = below.get(name, {})
            if "." in name:
                part = {key: value for key, value in state_dict.items() if key.startswith(f"{prefix}{name}.")}
            _load(child, part, f"{prefix}{name}.", metadata, assign, missing, unexpected, messages)
    keys = _IncompatibleKeys(missing, unexpected)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, keys) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, "
                "if incompatible_keys need to be modified, it should be done inplace."
            )


class _Snapshot:
    """The state of a module before loading; arrays are never written, so references are enough."""

    def __init__(self, module: Any) -> None:
        self.modules = [(m, dict(m._parameters), dict(m._buffers)) for m in module.modules()]
        tensors = {id(t): t for _, *places in self.modules for p in places for t in p.values() if t is not None}
        self.tensors = [
            (t, t._array, t._recorder, t._value, t._shape, t._dtype, t._device, t._view, t._version)
            for t in tensors.values()
        ]

    def restore(self) -> None:
        for module, parameters, buffers in self.modules:
            for place, before in ((module._parameters, parameters), (module._buffers, buffers)):
                place.clear()
                place.update(before)
        for tensor, array, recorder, value, shape, dtype, where, view, version in self.tensors:
            if tensor._version != version:
                tensor._array, tensor._recorder, tensor._value, tensor._shape = array, recorder, value, shape
                tensor._dtype, tensor._device, tensor._view = dtype, where, view
                tensor._version += 1  # a session made in between holds the other numbers


def as_tensor(value: Any) -> Tensor | None:
    """A tensor of this engine from whatever a checkpoint holds; None where it is no tensor at all."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return Tensor._of(owned(array), dtypes.from_numpy(array.dtype))
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_torch(torch, value)
    if hasattr(value, "__dlpack__"):
        array = np.array(np.from_dlpack(value))
        return Tensor._of(array, dtypes.from_numpy(array.dtype))
    return None


def _from_torch(torch: Any, value: Any) -> Tensor:
    value = value.detach().cpu().contiguous()
    if value.dtype == torch.bfloat16:
        array = value.view(torch.int16).numpy().copy().view(dtypes.bfloat16.numpy)
    else:
        array = value.numpy().copy()
    return Tensor._of(array, dtypes.from_numpy(array.dtype))


def owned(array: np.ndarray) -> np.ndarray:
    """The array itself where nobody can write it any more (a file mapped for reading, bytes), else a copy."""
    native = array.dtype.newbyteorder("=")
    if array.dtype != native:
        return array.astype(native)
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return array.copy()
        base = base.base
    readonly = isinstance(base, bytes) or type(base).__name__ == "mmap" or _is_readonly_view(base)
    return array if readonly else array.copy()


def _is_readonly_view(base: Any) -> bool:
    return isinstance(base, memoryview) and base.readonly and isinstance(base.obj, bytes)
