"""Elements moved between channels and space: pixel and channel shuffles, windows unfolded and folded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, emit, ints
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain
from mcore.platform.words._pieces import permute, reshape, section, take
from mcore.platform.words._spatial import (
    Table,
    always_equal,
    amount,
    batch_of_one,
    calc,
    column,
    numbers,
    row,
    span,
    tabled,
    unbatched,
)  # fmt: skip

Sizes = int | Sequence[int]

# Element types of the CPU provider's DepthToSpace.
_SHUFFLED = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.uint8)


@word("F.pixel_shuffle", "torch.pixel_shuffle")
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels become pixels.

    Shapes:
        input: (..., c * r * r, h, w) with r the factor
        returns: (..., c, h * r, w * r)
    """
    shape, r = input.shape, upscale_factor
    if len(shape) < 3:
        raise ShapeError(
            f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    channels, h, w = shape[-3:]
    if int(channels) % (r * r):
        raise ShapeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
            "upscale_factor, "
            f"but input.size(-3)={int(channels)} is not divisible by {r * r}"
        )
    out = (*shape[:-3], channels // (r * r), h * r, w * r)
    if len(shape) == 4 and input._dtype in _SHUFFLED:
        return emit("DepthToSpace", [input], out, input._dtype, blocksize=r, mode="CRD")
    flat = reshape(input, (dims.product(shape[:-3]), channels // (r * r), r, r, h, w))
    return reshape(permute(flat, (0, 1, 4, 2, 5, 3)), out)


@word("F.pixel_unshuffle", "torch.pixel_unshuffle")
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Pixels become channels: undoes `pixel_shuffle`.

    Shapes:
        input: (..., c, h * r, w * r) with r the factor
        returns: (..., c * r * r, h, w)
    """
    shape, r = input.shape, downscale_factor
    if len(shape) < 3:
        raise ShapeError(
            f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    for name, axis in (("height", -2), ("width", -1)):
        if int(shape[axis]) % r:
            raise ShapeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({axis})={int(shape[axis])} is not divisible by {r}"
            )
    c, h, w = shape[-3], shape[-2] // r, shape[-1] // r
    # ONNX's SpaceToDepth puts the block before the channels; torch behind.
    flat = reshape(input, (dims.product(shape[:-3]), c, h, r, w, r))
    return reshape(permute(flat, (0, 1, 3, 5, 2, 4)), (*shape[:-3], c * r * r, h, w))


@word("F.channel_shuffle", "torch.channel_shuffle", "F.native_channel_shuffle", "torch.native_channel_shuffle")
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channel g * n + k goes to k * groups + g, of n channels a group.

    Shapes:
        input, returns: (n, c, ...) with c a multiple of `groups`
    """
    shape = input.shape
    if len(shape) < 3:
        raise ShapeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {plain(shape)}")
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    channels = shape[1]
    if int(channels) % groups:
        raise ShapeError(
            f"Number of channels must be divisible by groups. Got {int(channels)} channels and {groups} groups."
        )
    if groups == 1 or int(channels) == groups:
        return input
    # The spatial axes stay one: then only batch and space have sizes to look up.
    flat = reshape(input, (shape[0], groups, channels // groups, dims.product(shape[2:])))
    return reshape(permute(flat, (0, 2, 1, 3)), shape)


# --- windows


def _pair(value: Any, name: str) -> tuple[int, int]:
    first, second = numbers(value, 2, f"It is expected {name} equals to 2, but got size {value}")
    return first, second


def _check_window(kernel: tuple, gaps: tuple, pads: tuple, steps: tuple) -> None:
    for name, values in (("kernel_size", kernel), ("dilation", gaps), ("stride", steps)):
        if any(int(v) <= 0 for v in values):
            raise RuntimeError(
                f"{name.removesuffix('_size')} size should be greater than zero, but got {name}: {plain(values)}"
            )
    if any(int(p) < 0 for p in pads):
        raise RuntimeError(f"padding should be non-negative, but got padding: {plain(pads)}")


def _blocks(sizes: Sequence[int], kernel: tuple, gaps: tuple, pads: tuple, steps: tuple) -> list[int]:
    """Number of window positions per axis."""
    return [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(sizes, kernel, gaps, pads, steps, strict=True)
    ]


def _places(count: int, kernel: int, gap: int, step: int) -> Table:
    """Indices (kernel, count) that windows along one axis read."""
    begins = calc("Mul", row(span(count)), amount(step))
    return calc("Add", column(span(kernel)), begins) if gap == 1 else calc(
        "Add", calc("Mul", column(span(kernel)), amount(gap)), begins
    )  # fmt: skip


@word("F.unfold")
def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """Every window as a column.

    Shapes:
        input: (n, c, h, w) or (c, h, w)
        returns: (n, c * kernel height * kernel width, windows)
    """
    shape = input.shape
    if len(shape) not in (3, 4) or any(int(s) == 0 for s in shape[-3:]):
        raise ShapeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            "dimensions for "
            f"input, but got: {plain(shape)}"
        )
    kernel, gaps = _pair(kernel_size, "kernel_size"), _pair(dilation, "dilation")
    pads, steps = _pair(padding, "padding"), _pair(stride, "stride")
    _check_window(kernel, gaps, pads, steps)
    x, alone = batch_of_one(input, 4)
    counts = _blocks(x.shape[2:], kernel, gaps, pads, steps)
    if any(int(count) < 1 for count in counts):
        raise ShapeError(
            f"Given input with spatial size {_text(x.shape[2:])}, kernel_size={_text(kernel)}, "
            f"dilation={_text(gaps)}, "
            f"padding={_text(pads)}, stride={_text(steps)}, calculated shape of the array of sliding "
            "blocks as "
            f"{_text(counts)}, but its components must be at least one."
        )
    if any(pads):
        padded = [s + 2 * p for s, p in zip(x.shape[2:], pads, strict=True)]
        x = _padded(x, (0, 0, *pads, 0, 0, *pads), (*x.shape[:2], *padded))
    if kernel == steps and gaps == (1, 1):
        windows = _tiles(x, kernel, counts)
    else:
        x = take(x, tabled(_places(counts[1], kernel[1], gaps[1], steps[1])), 3)  # n c h (kw ow)
        x = take(x, tabled(_places(counts[0], kernel[0], gaps[0], steps[0])), 2)  # n c (kh oh) (kw ow)
        windows = permute(x, (0, 1, 2, 4, 3, 5))
    n, c = windows.shape[:2]
    out = reshape(windows, (n, c * kernel[0] * kernel[1], counts[0] * counts[1]))
    return unbatched(out, alone)


def _padded(x: Tensor, around: Sequence[int], shape: tuple) -> Tensor:
    kind = x._dtype
    wide = dtypes.int32 if kind is dtypes.int16 else kind  # no kernel
    return cast(emit("Pad", [cast(x, wide), ints(around)], shape, wide), kind)


def _text(sizes: Sequence[int]) -> str:
    return f"({', '.join(str(int(s)) for s in sizes)})"


def _tiles(x: Tensor, kernel: tuple, counts: list[int]) -> Tensor:
    """Windows side by side: no element is read twice, so axes are split and exchanged."""
    for axis, (k, count) in enumerate(zip(kernel, counts, strict=True)):
        x = section(x, 2 + axis, 0, count * k)
    n, c = x.shape[:2]
    split = reshape(x, (n, c, counts[0], kernel[0], counts[1], kernel[1]))
    return permute(split, (0, 1, 3, 5, 2, 4))


@word("F.fold")
def fold(
    input: Tensor, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0,
    stride: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Columns put back as windows; where windows overlap, their elements are added.

    Shapes:
        input: (n, c * kernel height * kernel width, windows) or without n
        returns: (n, c, *output_size)
    """
    shape = input.shape
    if len(shape) not in (2, 3) or any(int(s) == 0 for s in shape[-2:]):
        raise ShapeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero "
            "dimensions for "
            f"input, but got: {plain(shape)}"
        )
    sizes, kernel = _pair(output_size, "output_size"), _pair(kernel_size, "kernel_size")
    gaps, pads, steps = _pair(dilation, "dilation"), _pair(padding, "padding"), _pair(stride, "stride")
    _check_window(kernel, gaps, pads, steps)
    x, alone = batch_of_one(input, 3)
    area = kernel[0] * kernel[1]
    if int(x.shape[1]) % int(area):
        raise ShapeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={int(x.shape[1])} and kernel_size={_text(kernel)}."
        )
    counts = _blocks(sizes, kernel, gaps, pads, steps)
    if int(counts[0]) * int(counts[1]) != int(x.shape[2]) or any(int(c) < 1 for c in counts):
        raise ShapeError(
            f"Given output_size={_text(sizes)}, kernel_size={_text(kernel)}, dilation={_text(gaps)}, "
            f"padding={_text(pads)}, stride={_text(steps)}, expected size of input's dimension 2 to "
            "match the "
            f"calculated number of sliding blocks {int(counts[0])} * {int(counts[1])} = "
            f"{int(counts[0]) * int(counts[1])}, but got input.size(2)={int(x.shape[2])}."
        )
    out = (x.shape[0], x.shape[1] // area, *sizes)
    if kernel == steps and gaps == (1, 1) and not any(pads) and _tile(sizes, counts, kernel):
        split = reshape(x, (*out[:2], *kernel, *counts))
        return unbatched(reshape(permute(split, (0, 1, 4, 2, 5, 3)), out), alone)
    kind = x._dtype
    x = x if kind.is_floating_point else cast(x, dtypes.float32)  # torch folds bools too
    attributes: dict[str, Any] = {}
    if gaps != (1, 1):
        attributes["dilations"] = gaps
    if any(pads):
        attributes["pads"] = pads + pads
    if steps != (1, 1):
        attributes["strides"] = steps
    folded = emit("Col2Im", [x, ints(sizes), ints(kernel)], out, x._dtype, **attributes)
    return unbatched(cast(folded, kind), alone)


def _tile(sizes: Sequence[int], counts: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether windows side by side fill the output at every size."""
    return all(always_equal(c * k, s) for s, c, k in zip(sizes, counts, kernel, strict=True))
