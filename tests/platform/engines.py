"""Building and calling one layer on both engines, side by side."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import mcore.platform as platform
from tests.words.contract import Array, swap


def on_torch(value: Any) -> Any:
    return swap(value, Array.torch, lambda name: getattr(torch, name))


def on_platform(value: Any) -> Any:
    return swap(value, Array.platform, lambda name: getattr(platform, name))


def tensor(value: Any, dtype: str | None = None) -> platform.Tensor:
    """A platform tensor of a list or array."""
    array = np.asarray(value)
    if dtype is None:
        dtype = "float32" if array.dtype.kind == "f" else array.dtype.name
    kind = platform.dtypes.NAMES[dtype]
    return platform.Tensor._of(array.astype(kind.numpy), kind)


def both(case: Any) -> tuple[torch.nn.Module, Any]:
    """The layer of a case on both engines, with torch's weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(torch.nn, case.name)(*on_torch(case.args), **on_torch(case.kwargs))
        ours = getattr(platform, case.name)(*on_platform(case.args), **on_platform(case.kwargs))
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def arrays(value: Any) -> list[np.ndarray]:
    """Every tensor of a result, as arrays."""
    if isinstance(value, torch.Tensor):
        return [value.detach().float().numpy() if value.dtype == torch.bfloat16 else value.detach().numpy()]
    if isinstance(value, platform.Tensor):
        return [value.numpy()]
    if isinstance(value, tuple | list):
        return [array for item in value for array in arrays(item)]
    assert value is None, value
    return []


def assert_same(ours: Any, theirs: Any, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Results of both engines, equal in number, shape, type and within tolerance."""
    got, wanted = arrays(ours), arrays(theirs)
    assert [(a.shape, a.dtype) for a in got] == [(a.shape, a.dtype) for a in wanted]
    for a, b in zip(got, wanted, strict=True):
        # A sum of large terms may be small: what it is rounded to follows the largest number around.
        largest = np.abs(b[np.isfinite(b)]).max(initial=0.0) if b.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(a, b, rtol=rtol, atol=max(atol, rtol * float(largest)))


def assert_same_state(ours: Any, theirs: Any, *, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """States of both engines: keys in order, shapes, types and numbers."""
    got, wanted = ours.state_dict(), theirs.state_dict()
    assert list(got) == list(wanted)
    for name in wanted:
        assert_same(got[name], wanted[name], rtol=rtol, atol=atol)
