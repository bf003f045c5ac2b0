"""Padding: `F.pad` in every mode, with negative amounts, at symbolic sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dtypes
from mcore.platform.dim import Dim, dim_max, dim_min
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, emit, ints
from mcore.platform.word import word
from mcore.platform.words._common import as_tensor, cast, plain
from mcore.platform.words._views import END, same_value, sliced
from mcore.platform.words.shape import sizes_of

# (axis, before, after), each amount possibly negative.
Amounts = list[tuple[int, int, int]]

# torch's names of the modes -> ONNX's.
_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
# How many amounts fit an input of so many axes, where the padding is not constant.
_RANKS = {2: (2, 3), 4: (3, 4), 6: (4, 5)}


def padded(x: Tensor, amounts: Amounts, mode: str = "constant", value: Any = 0) -> Tensor:
    """`x` with elements added (or, where negative, taken away) before and after some axes, by one Pad."""
    if all(type(n) is int and n == 0 for _, low, high in amounts for n in (low, high)):
        return same_value(x)
    shape, rank = list(x.shape), len(x._shape)
    befores, afters = [0] * rank, [0] * rank
    for axis, low, high in amounts:
        befores[axis], afters[axis] = low, high
        shape[axis] = shape[axis] + low + high
    # Pad has no kernel for int16.
    kind = dtypes.int32 if x._dtype is dtypes.int16 else x._dtype
    inputs = [cast(x, kind), ints([*befores, *afters])]
    if mode != "constant":
        return cast(emit("Pad", inputs, tuple(shape), kind, mode=mode), x._dtype)
    if isinstance(value, Tensor) or value != 0:
        inputs.append(as_tensor(value, kind))
    return cast(emit("Pad", inputs, tuple(shape), kind), x._dtype)


def _cropped(x: Tensor, amounts: Amounts) -> Tensor:
    """Only what is taken away, by one Slice."""
    shape, cuts = list(x.shape), []
    for axis, low, high in amounts:
        shape[axis] = shape[axis] + low + high
        cuts.append((axis, -low, END if type(high) is int and high == 0 else high, 1))
    return sliced(x, cuts, shape) if cuts else x


def _apart(amounts: Amounts) -> tuple[Amounts, Amounts]:
    """What is added and what is taken away."""
    # By size, not by its value now: an amount computed from a size may be 0 here and 3 elsewhere.
    grown = [(a, dim_max(low, 0), dim_max(high, 0)) for a, low, high in amounts]
    cut = [(a, dim_min(low, 0), dim_min(high, 0)) for a, low, high in amounts]
    return [g for g in grown if _any(g)], [c for c in cut if _any(c)]


def _any(amount: tuple[int, int, int]) -> bool:
    return any(type(n) is Dim or n != 0 for n in amount[1:])


# --- checks, in torch's words


def _check_rank(pad: Sequence[int], rank: int) -> None:
    if rank not in _RANKS.get(len(pad), ()):
        raise NotImplementedError(f"Padding size {len(pad)} is not supported for {rank}D input tensor.")


def _check_reflect(x: Tensor, amounts: Amounts) -> None:
    shape = x.shape
    for k, (axis, low, high) in enumerate(amounts):
        if max(int(low), int(high)) >= int(shape[axis]):
            raise ShapeError(
                f"Argument #{4 + 2 * k}: Padding size should be less than the corresponding input dimension, but got: "
                f"padding ({int(low)}, {int(high)}) at dimension {axis} of input {plain(shape)}"
            )


def _check_left(x: Tensor, amounts: Amounts) -> None:
    shape = x.shape
    left = [int(shape[a]) + int(low) + int(high) for a, low, high in reversed(amounts)]
    names = "DHW"[-len(left) :]
    if any(n < 1 for n in left):
        before = ", ".join(f"{name}: {int(shape[a])}" for name, (a, _, _) in zip(names, reversed(amounts), strict=True))
        after = " ".join(f"{name}: {n}" for name, n in zip(names, left, strict=True))
        raise ShapeError(f"input ({before}) is too small. Calculated output {after}")


def _check_circular(x: Tensor, amounts: Amounts) -> None:
    shape = x.shape
    for axis, low, high in amounts:
        if int(low) > int(shape[axis]) or int(high) > int(shape[axis]):
            raise ShapeError("Padding value causes wrapping around more than once.")
        if int(shape[axis]) + int(low) + int(high) < 0:
            raise ShapeError("Negative padding value is resulting in an empty dimension")


def _check_value(value: Any, x: Tensor) -> None:
    kind = x._dtype
    if kind.category == dtypes.INTEGER and not isinstance(value, Tensor):
        info = np.iinfo(kind.numpy.type)  # type: ignore[type-var]
        if not info.min <= value <= info.max:
            name = kind.name if kind is not dtypes.int64 else "int64"
            raise RuntimeError(f"value cannot be converted to type {name}_t without overflow")


# --- the words


def _constant_pad(x: Tensor, amounts: Amounts, value: Any) -> Tensor:
    for axis, low, high in amounts:
        if int(x.shape[axis]) + int(low) + int(high) < 0:
            raise ShapeError("narrow(): length must be non-negative.")
    _check_value(value, x)
    if all(type(n) is int and n <= 0 for _, low, high in amounts for n in (low, high)):
        found = [a for a in amounts if _any(a)]
        return _cropped(x, found) if found else same_value(x)
    return padded(x, amounts, value=value)


@word("torch.constant_pad_nd")
def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """`pad` with one value."""
    return _padded_by(input, pad, "constant", value)


@word("F.pad")
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Tensor:
    """Elements added around `input`: `pad` is (before, after) of the last axis, then of the one before it, ...

    mode: "constant" (with `value`, any number of axes), "reflect", "replicate", "circular". Negative amounts take
    elements away.
    Raises: RuntimeError where the padding does not fit the input; NotImplementedError for a number of axes or an
    element type that torch refuses too.
    """
    return _padded_by(input, pad, mode, value)


def _padded_by(input: Tensor, pad: Sequence[int], mode: str, value: Any) -> Tensor:
    if mode not in ("constant", *_MODES):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    rank, given = len(input._shape), sizes_of((pad,), "pad", "pad")
    if len(given) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(given) > 2 * rank:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(given)} and input of dimension {rank}"
        )
    amounts = [(rank - 1 - k, given[2 * k], given[2 * k + 1]) for k in range(len(given) // 2)]
    if mode == "constant":
        return _constant_pad(input, amounts, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    _check_rank(given, rank)
    if mode == "circular":
        _check_circular(input, amounts)
        grown, cut = _apart(amounts)  # torch wraps what is left after cutting
        x = _cropped(input, cut) if cut else input
        return padded(x, grown, "wrap") if grown or not cut else x
    return _mirrored(input, amounts, mode)


def _mirrored(x: Tensor, amounts: Amounts, mode: str) -> Tensor:
    name = "reflection" if mode == "reflect" else "replication"
    if x._dtype is dtypes.bool_:
        raise NotImplementedError(f"\"{name}_pad{len(amounts)}d\" not implemented for 'Bool'")
    if mode == "reflect":
        _check_reflect(x, amounts)
    _check_left(x, amounts)
    grown, cut = _apart(amounts)  # torch mirrors what is then cut away, too
    out = padded(x, grown, _MODES[mode]) if grown or not cut else x
    return _cropped(out, cut) if cut else out
