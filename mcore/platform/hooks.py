"""Hooks of modules: functions called before and after `forward`, and around `state_dict`."""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

_ids = itertools.count()


class RemovableHandle:
    """Takes a hook away again: `handle.remove()`, or at the end of a `with` block."""

    def __init__(self, hooks: dict, *, extra: Iterable[dict] = ()) -> None:
        self.id = next(_ids)
        self._places = [weakref.ref(place) for place in (hooks, *extra)]

    def remove(self) -> None:
        """Takes the hook away."""
        for reference in self._places:
            place = reference()
            if place is not None:
                place.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Places(OrderedDict):
    """Hooks by the id of their handles (a dict that can be referred to weakly)."""


def call_hooked(module: Any, args: tuple, kwargs: dict) -> Any:
    """`forward` with the hooks around it; always-called ones run after an error too."""
    called: set[int] = set()
    try:
        args, kwargs = _before(module, args, kwargs)
        result = module.forward(*args, **kwargs)
        for number, hook in list(module._forward_hooks.items()):
            called.add(number)
            changed = _after(module, number, hook, args, kwargs, result)
            if changed is not None:
                result = changed
        return result
    except Exception:
        for number, hook in list(module._forward_hooks.items()):
            if number in module._forward_hooks_always_called and number not in called:
                _after_error(module, number, hook, args, kwargs)
        raise


def _before(module: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    for number, hook in list(module._forward_pre_hooks.items()):
        if number in module._forward_pre_hooks_with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is None:
                continue
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
            args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _after(module: Any, number: int, hook: Callable, args: tuple, kwargs: dict, result: Any) -> Any:
    if number in module._forward_hooks_with_kwargs:
        return hook(module, args, kwargs, result)
    return hook(module, args, result)


def _after_error(module: Any, number: int, hook: Callable, args: tuple, kwargs: dict) -> None:
    try:
        _after(module, number, hook, args, kwargs, None)
    # The first error is the one to tell; a hook's own is only mentioned.
    except Exception as error:
        warnings.warn(
            "module forward hook with ``always_call=True`` raised an exception that was silenced as another "
            f"error was raised in forward: {error}",
            stacklevel=4,
        )


class Hooks:
    """The methods of a module that register hooks."""

    _forward_hooks: Places
    _forward_hooks_with_kwargs: Places
    _forward_hooks_always_called: Places
    _forward_pre_hooks: Places
    _forward_pre_hooks_with_kwargs: Places
    _state_dict_hooks: Places
    _state_dict_pre_hooks: Places
    _load_state_dict_pre_hooks: Places
    _load_state_dict_post_hooks: Places

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args)` before `forward`; what it returns, if anything, replaces the arguments."""
        handle = RemovableHandle(self._forward_pre_hooks, extra=[self._forward_pre_hooks_with_kwargs])
        self._forward_pre_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        if prepend:
            self._forward_pre_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls `hook(module, args, output)` after `forward`; what it returns, if anything, replaces the output."""
        extra = [self._forward_hooks_with_kwargs, self._forward_hooks_always_called]
        handle = RemovableHandle(self._forward_hooks, extra=extra)
        self._forward_hooks[handle.id] = hook
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        if prepend:
            self._forward_hooks.move_to_end(handle.id, last=False)
        return handle

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before the state is collected."""
        return _registered(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)`, which may change the dictionary in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]
        return _registered(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return _registered(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors)` first."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> RemovableHandle:
        return _registered(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after this module was loaded."""
        return _registered(self._load_state_dict_post_hooks, hook)


def _registered(place: Places, hook: Any) -> RemovableHandle:
    handle = RemovableHandle(place)
    place[handle.id] = hook
    return handle
