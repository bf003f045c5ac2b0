"""The contract table's vocabulary: one `Row` a word, its samples, and the paths on which each must equal torch."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from mcore.torch import own


@dataclasses.dataclass(frozen=True)
class Array:
    """An array by description: the same numbers for both engines, at every run."""

    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None
    seed: int = 0
    content: Any = None

    def make(self) -> np.ndarray:
        if self.content is not None:
            return np.asarray(self.content)
        random = np.random.RandomState(zlib.crc32(repr((self.shape, self.dtype, self.seed)).encode()))
        if self.dtype == "bool":
            return random.rand(*self.shape) > 0.5
        if self.low is not None:
            if "int" in self.dtype:
                return random.randint(int(self.low), int(self.high), size=self.shape).astype(self.dtype)
            return random.uniform(self.low, self.high, size=self.shape)
        return random.standard_normal(self.shape)

    def torch(self) -> torch.Tensor:
        kind = getattr(torch, self.dtype)
        return torch.from_numpy(np.ascontiguousarray(self.make())).reshape(self.make().shape).to(kind)

    def platform(self) -> Any:
        import mcore.platform as engine

        kind = getattr(engine, self.dtype)
        return engine.Tensor._of(self.make().astype(kind.numpy), kind)


def A(*shape: int, dtype: str = "float32", low: float | None = None, high: float | None = None, seed: int = 0) -> Array:
    """Floats: normal, or uniform in [low, high)."""
    return Array(shape, dtype, low, high, seed)


def I(*shape: int, low: int = 0, high: int = 10, dtype: str = "int64", seed: int = 0) -> Array:  # noqa: E743
    """Integers in [low, high)."""
    return Array(shape, dtype, low, high, seed)


def B(*shape: int, seed: int = 0) -> Array:
    """Booleans."""
    return Array(shape, "bool", seed=seed)


def T(content: Any, dtype: str = "float32") -> Array:
    """Exactly this content."""
    array = np.asarray(content)
    return Array(array.shape, dtype, content=content)


class Sample:
    """One call: arguments (arrays by description) and, with `other`, the same call at another size."""

    def __init__(self, *args: Any, rtol: float | None = None, atol: float | None = None, **kwargs: Any) -> None:
        self.args, self.kwargs, self.rtol, self.atol = args, kwargs, rtol, atol
        self.second: tuple | None = None
        self.skip: dict[str, str] = {}

    def other(self, *args: Any, **kwargs: Any) -> Sample:
        """Arguments of another size at which the graph recorded at the first must be right too."""
        self.second = (args, kwargs)
        return self

    def without(self, path: str, reason: str) -> Sample:
        """Leaves out one path ("eager", "module", "export", "recording") for a reason."""
        self.skip[path] = reason
        return self


class Error:
    """A call that both engines refuse, by the same class and in torch's words."""

    def __init__(self, kind: type[Exception], words: str, *args: Any, only: str | None = None, **kwargs: Any) -> None:
        self.kind, self.words, self.args, self.kwargs, self.only = kind, words, args, kwargs, only


class Row:
    """One word under all its names."""

    def __init__(
        self, *names: str, samples: list[Sample], errors: list[Error] | None = None, rtol: float = 1e-5,
        atol: float = 1e-6, signature: bool = True, reason: str = "", random: bool = False,
    ) -> None:  # fmt: skip
        self.names, self.samples, self.errors = names, samples, errors or []
        self.rtol, self.atol, self.signature, self.reason, self.random = rtol, atol, signature, reason, random


def torch_function(name: str) -> Callable[..., Any]:
    """torch's own function of a word's name: "torch.relu", "F.relu", "Tensor.relu", "linalg.norm"; or mcore's."""
    space, _, rest = name.partition(".")
    spaces = {"torch": torch, "F": torch.nn.functional, "Tensor": torch.Tensor, "linalg": torch.linalg, "own": own}
    owner = spaces[space]
    found = functools.reduce(getattr, rest.split("."), owner)
    return found if callable(found) else lambda tensor: found.__get__(tensor)  # an attribute: Tensor.T


def platform_function(name: str) -> Callable[..., Any]:
    """The platform engine's word of that name."""
    import mcore.platform  # noqa: F401 - fills the table
    from mcore.platform.word import WORDS

    found = WORDS[name]
    return found.fget if isinstance(found, property) else found


def swap(value: Any, make: Callable[[Array], Any], dtypes: Callable[[str], Any]) -> Any:
    """Arguments with arrays made by `make`, and "dtype:float32" strings turned into the engine's own types."""
    if isinstance(value, Array):
        return make(value)
    if isinstance(value, str) and value.startswith("dtype:"):
        return dtypes(value[6:])
    if isinstance(value, tuple | list):
        return type(value)(swap(item, make, dtypes) for item in value)
    if isinstance(value, dict):
        return {key: swap(item, make, dtypes) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(swap(part, make, dtypes) for part in (value.start, value.stop, value.step)))
    return value


def torch_args(value: Any) -> Any:
    return swap(value, Array.torch, lambda name: getattr(torch, name))


def platform_args(value: Any) -> Any:
    import mcore.platform as engine

    return swap(value, Array.platform, lambda name: getattr(engine, name))


def leaves(value: Any) -> Iterator[Any]:
    """Results one by one, whatever nest they come in."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    else:
        yield value


def as_array(value: Any) -> np.ndarray:
    """A result of either engine as numpy; bfloat16 as float32."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return value.float().numpy() if value.dtype is torch.bfloat16 else value.numpy()
    if hasattr(value, "numpy"):
        array = value.numpy()
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
    return np.asarray(value)


def assert_equal(got: Any, want: Any, *, rtol: float, atol: float, exact_dtype: bool = True) -> None:
    """Same nest, shapes, element types, and numbers within `rtol` of the largest magnitude."""
    got, want = list(leaves(got)), list(leaves(want))
    assert len(got) == len(want), f"{len(got)} results, torch gives {len(want)}"
    for mine, theirs in zip(got, want, strict=True):
        a, b = as_array(mine), as_array(theirs)
        assert a.shape == b.shape, f"shape {a.shape}, torch gives {b.shape}"
        if exact_dtype and isinstance(theirs, torch.Tensor) and hasattr(mine, "dtype"):
            kind = str(theirs.dtype).removeprefix("torch.")
            mine_kind = str(mine.dtype).removeprefix("mcore.").removeprefix("torch.")
            assert mine_kind == kind, f"dtype {mine_kind}, torch gives {kind}"
        np.testing.assert_allclose(
            np.asarray(a, np.float64), np.asarray(b, np.float64), rtol=rtol, atol=atol, equal_nan=True
        )
