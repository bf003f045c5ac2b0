"""Initialisations: `torch.nn.init`'s names, distributions and bounds, drawn when first read.

Each call takes a random stream of its own when it is spoken, so values depend on the seed and on the order of
construction, as in torch, but not on the order in which parameters are read.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.parameter import cast_array, filled
from mcore.platform.tensor import Tensor
from mcore.platform.words import random as streams

_LINEAR = (
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "sigmoid",
)  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks a standard deviation, undone.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, int | float):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


# --- known values


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`."""
    shape, kind = _layout(tensor)
    return filled(tensor, lambda: np.full(shape, val, kind.numpy))


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    shape, kind = _layout(tensor)
    if len(shape) != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return filled(tensor, lambda: np.eye(*shape, dtype=kind.numpy))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight that keeps as many channels as it can."""
    shape, kind = _layout(tensor)
    if len(shape) not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    channels = shape[0] // groups
    centre = tuple(size // 2 for size in shape[2:])

    def make() -> np.ndarray:
        array = np.zeros(shape, kind.numpy)
        for group in range(groups):
            for d in range(min(channels, shape[1])):
                array[(group * channels + d, d, *centre)] = 1
        return array

    return filled(tensor, make)


# --- random values


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b)."""
    if a > b:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a:g} > to={b:g}")
    return _drawn(tensor, generator, lambda rng, shape, real: _uniform(rng, shape, real, a, b))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with this mean and standard deviation."""
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    return _drawn(tensor, generator, lambda rng, shape, real: _normal(rng, shape, real, mean, std))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal, with what falls outside [a, b] drawn again."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    return _drawn(tensor, generator, lambda rng, shape, real: _truncated(rng, shape, real, mean, std, a, b))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform, with the bound of Glorot and Bengio (2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6.0 / float(fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal, with the deviation of Glorot and Bengio (2010)."""
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform, with the bound of He et al. (2015)."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal, with the deviation of He et al. (2015)."""
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """Rows or columns, whichever are fewer, orthogonal to each other (Saxe et al., 2013)."""
    shape, _ = _layout(tensor)
    if len(shape) < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    rows, columns = shape[0], math.prod(shape[1:])
    if not rows * columns:
        return tensor

    def draw(rng: np.random.Generator, shape: tuple, real: Any) -> np.ndarray:
        flat = rng.standard_normal((rows, columns))
        q, r = np.linalg.qr(flat.T if rows < columns else flat)
        q *= np.sign(np.diag(r))
        return gain * (q.T if rows < columns else q).reshape(shape)

    return _drawn(tensor, generator, draw)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with that share of every column zero (Martens, 2010)."""
    shape, _ = _layout(tensor)
    if len(shape) != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    zeros = math.ceil(sparsity * shape[0])

    def draw(rng: np.random.Generator, shape: tuple, real: Any) -> np.ndarray:
        array = _normal(rng, shape, real, 0.0, std)
        for column in range(shape[1]):
            array[rng.permutation(shape[0])[:zeros], column] = 0
        return array

    return _drawn(tensor, generator, draw)


# --- what they share


def _layout(tensor: Tensor) -> tuple[tuple[int, ...], dtype]:
    return tuple(map(int, tensor._shape)), tensor._dtype


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    shape, _ = _layout(tensor)
    if len(shape) < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    if 0 in tensor._shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {list(modes)}")
    fan = _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _drawn(tensor: Tensor, generator: Any, draw: Callable[[np.random.Generator, tuple, Any], np.ndarray]) -> Tensor:
    """Notes what to draw; the stream is taken now, so that the order of reading doesn't matter."""
    shape, kind = _layout(tensor)
    seed, number = (generator or streams.generator()).next_stream()
    # numpy draws float32 and float64; the narrow types are rounded from float32.
    real = np.float64 if kind is dtypes.float64 else np.float32
    return filled(tensor, lambda: cast_array(draw(streams.stream(seed, number), shape, real), kind))


def _uniform(rng: np.random.Generator, shape: tuple, real: Any, a: float, b: float) -> np.ndarray:
    array = rng.random(shape, dtype=real)
    array *= real(b - a)
    array += real(a)
    return array


def _normal(rng: np.random.Generator, shape: tuple, real: Any, mean: float, std: float) -> np.ndarray:
    array = rng.standard_normal(shape, dtype=real)
    array *= real(std)
    if mean:
        array += real(mean)
    return array


def _truncated(
    rng: np.random.Generator, shape: tuple, real: Any, mean: float, std: float, a: float, b: float
) -> np.ndarray:
    def below(x: float) -> float:
        return (1.0 + math.erf((x - mean) / std / math.sqrt(2.0))) / 2.0

    # Far out in a tail the normal hardly ever hits; there a uniform number is kept with its density.
    far = below(b) - below(a) < 0.3
    peak = (max(a, min(mean, b)) - mean) / std
    array = np.empty(math.prod(shape), real)
    open_ = np.arange(array.size)
    while open_.size:
        if far:
            tries = rng.random(open_.size) * (b - a) + a
            kept = np.log(rng.random(open_.size)) < ((peak**2) - ((tries - mean) / std) ** 2) / 2
        else:
            tries = rng.standard_normal(open_.size) * std + mean
            kept = (tries >= a) & (tries <= b)
        array[open_[kept]] = tries[kept]
        open_ = open_[~kept]
    return array.reshape(shape)


__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_",
    "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_",
    "zeros_",
]  # fmt: skip
