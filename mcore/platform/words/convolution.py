"""Convolutions and transposed convolutions in one to three dimensions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform.dim import Dim
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, emit_plain
from mcore.platform.word import word
from mcore.platform.words._common import plain
from mcore.platform.words._pieces import section
from mcore.platform.words._spatial import batch_of_one, unbatched

Sizes = int | Sequence[int]

# Frequent arguments as tuples, so that the usual call builds none.
_ZEROS = {1: (0,), 2: (0, 0), 3: (0, 0, 0)}
_ONES = {1: (1,), 2: (1, 1), 3: (1, 1, 1)}


def _sizes(value: Any, rank: int, name: str) -> tuple:
    if isinstance(value, int):
        return (value,) * rank
    value = tuple(value)
    if len(value) == rank:
        return value
    if len(value) == 1:
        return value * rank
    raise RuntimeError(
        f"expected {name} to be a single integer value or a list of {rank} values to match the convolution "
        f"dimensions, but got {name}={list(value)}"
    )


def _check(
    input: Tensor, weight: Tensor, bias: Tensor | None, rank: int, groups: int, transposed: bool
) -> tuple[tuple, tuple]:
    """Shapes of input and weight, after the checks that both kinds of convolution share, in torch's words."""
    name = f"conv{'_transpose' if transposed else ''}{rank}d"
    shape, kernel = input.shape, weight.shape
    if len(shape) not in (rank + 1, rank + 2):
        raise ShapeError(
            f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, "
            f"but got input of size: {plain(shape)}"
        )
    if len(kernel) != rank + 2:
        raise ShapeError(f"Expected a {rank + 2}-dimensional weight for {name}, but got weight of size {plain(kernel)}")
    if input._dtype is not weight._dtype:
        kinds = f"Input type ({input._dtype.name}) and weight type ({weight._dtype.name})"
        raise RuntimeError(f"{kinds} should be the same")
    if bias is not None and bias._dtype is not input._dtype:
        raise RuntimeError(f"Input type ({input._dtype.name}) and bias type ({bias._dtype.name}) should be the same")
    if not input._dtype.is_floating_point:
        raise unsupported(name, f"a convolution of {input._dtype.name}", "float types")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    first, out = int(kernel[0]), int(kernel[1] if transposed else kernel[0])
    if first % groups:
        raise ShapeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{plain(kernel)}] instead"
        )
    wanted, got = first if transposed else int(kernel[1]) * groups, int(shape[-rank - 1])
    if wanted != got:
        given = "transposed=1" if transposed else f"groups={groups}"
        raise ShapeError(
            f"Given {given}, weight of size {plain(kernel)}, expected input{plain(shape)} "
            f"to have {wanted} channels, but got {got} channels instead"
        )
    channels = out * groups if transposed else out
    if bias is not None and (len(bias._shape) != 1 or int(bias._shape[0]) != channels):
        raise ShapeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {plain(kernel)}, expected "
            "bias to be "
            f"1-dimensional with {channels} elements, but got bias of size {plain(bias._shape)} instead"
        )
    return shape, kernel


def _check_positive(stride: tuple, padding: tuple, dilation: tuple) -> None:
    for p in padding:
        if p < 0:
            raise RuntimeError("negative padding is not supported")
    for s in stride:
        if s <= 0:
            raise RuntimeError("non-positive stride is not supported")
    for d in dilation:
        if d <= 0:
            raise RuntimeError("non-positive dilation is not supported")


def _paddings(padding: str, kernel: tuple, stride: tuple, dilation: tuple) -> tuple[tuple, tuple]:
    """What 'same' and 'valid' put at the beginning and end of each axis; an odd rest goes to the end."""
    if padding == "valid":
        return (0,) * len(kernel), (0,) * len(kernel)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple([t // 2 for t in total]), tuple([t - t // 2 for t in total])


def _attributes(kernel: tuple, stride: tuple, dilation: tuple, groups: int, begin: tuple, end: tuple) -> dict:
    """Attributes that differ from the operator's defaults, and the kernel's shape."""
    rank = len(kernel)
    out: dict[str, Any] = {"kernel_shape": kernel} if not dims.is_symbolic(kernel) else {}
    if stride != _ONES[rank]:
        out["strides"] = stride
    if begin != _ZEROS[rank] or end != _ZEROS[rank]:
        out["pads"] = begin + end
    if dilation != _ONES[rank]:
        out["dilations"] = dilation
    if groups != 1:
        out["group"] = groups
    return out


@functools.lru_cache(maxsize=4096)
def _plan(
    shape: tuple, weights: tuple, bias: tuple | None, stride: Sizes, padding: Any, dilation: Sizes,
    groups: int, rank: int,
) -> tuple[tuple, tuple] | None:  # fmt: skip
    """Output shape and attributes where all sizes are plain; None where anything is unusual, or wrong."""
    if len(shape) != rank + 2 or len(weights) != rank + 2 or groups <= 0 or weights[0] % groups:
        return None
    if weights[1] * groups != shape[1] or (bias is not None and bias != weights[:1]):
        return None
    kernel = tuple(weights[2:])
    stride, dilation = _sizes(stride, rank, "stride"), _sizes(dilation, rank, "dilation")
    text = isinstance(padding, str)
    begin, end = _paddings(padding, kernel, stride, dilation) if text else (_sizes(padding, rank, "padding"),) * 2
    left = [s + b + e - d * (k - 1) - 1 for s, b, e, d, k in zip(shape[2:], begin, end, dilation, kernel, strict=True)]
    if min(*begin, 0) < 0 or min(*stride, *dilation) <= 0 or min(*left, 0) < 0:
        return None
    out = (shape[0], weights[0], *(size // step + 1 for size, step in zip(left, stride, strict=True)))
    return out, tuple(_attributes(kernel, stride, dilation, groups, begin, end).items())


def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Any, dilation: Sizes,
    groups: int, rank: int,
) -> Tensor:  # fmt: skip
    kind, recorder = input._dtype, current()
    if not recorder.sources and kind is weight._dtype and kind.is_floating_point:
        known = bias is None or bias._dtype is kind
        usual = type(stride) is not list and type(padding) is not list and type(dilation) is not list
        offset = None if bias is None else bias._shape
        plan = known and usual and _plan(
            input._shape, weight._shape, offset, stride, padding, dilation, groups, rank
        )  # fmt: skip
        if plan:
            inputs = (input, weight) if bias is None else (input, weight, bias)
            return emit_plain("Conv", inputs, plan[0], kind, plan[1])
    shape, weights = _check(input, weight, bias, rank, groups, False)
    kernel = tuple(weights[2:])
    stride, dilation = _sizes(stride, rank, "stride"), _sizes(dilation, rank, "dilation")
    if isinstance(padding, str):
        begin, end = _paddings(padding, kernel, stride, dilation)
    else:
        begin = end = _sizes(padding, rank, "padding")
    _check_positive(stride, begin, dilation)
    x, alone = (input, False) if len(shape) == rank + 2 else batch_of_one(input, rank + 2)
    out = [x.shape[0], weights[0]]
    for axis in range(rank):
        left = shape[axis - rank] + begin[axis] + end[axis] - dilation[axis] * (kernel[axis] - 1) - 1
        if int(left) < 0:
            _refuse_kernel(shape[-rank:], begin, end, kernel, dilation)
        out.append(left // stride[axis] + 1)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    attributes = _attributes(kernel, stride, dilation, groups, begin, end)
    result = emit("Conv", inputs, tuple(out), input._dtype, **attributes)
    return unbatched(result, alone) if alone else result


def _refuse_kernel(shape: Sequence[int], begin: tuple, end: tuple, kernel: tuple, dilation: tuple) -> None:
    padded = " x ".join(str(int(s) + b + e) for s, b, e in zip(shape, begin, end, strict=True))
    reach = " x ".join(str(d * (int(k) - 1) + 1) for k, d in zip(kernel, dilation, strict=True))
    raise ShapeError(
        f"Calculated padded input size per channel: ({padded}). Kernel size: ({reach}). "
        "Kernel size can't be greater than actual input size"
    )


@word("F.conv1d", "torch.conv1d")
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Convolution over one axis.

    Shapes:
        input: (n, c, l) or (c, l); weight: (out, c / groups, k)
        returns: (n, out, (l + 2 * padding - dilation * (k - 1) - 1) // stride + 1)
    """
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 1)


@word("F.conv2d", "torch.conv2d")
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Convolution over two axes; shapes as `conv1d`, per axis."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 2)


@word("F.conv3d", "torch.conv3d")
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes | str = 0,
    dilation: Sizes = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Convolution over three axes; shapes as `conv1d`, per axis."""
    return _convolve(input, weight, bias, stride, padding, dilation, groups, 3)


# --- transposed


def _transpose(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sizes, padding: Sizes, output_padding: Sizes,
    groups: int, dilation: Sizes, rank: int,
) -> Tensor:  # fmt: skip
    if isinstance(padding, str):
        raise TypeError(f"conv_transpose{rank}d(): argument 'padding' must be tuple of ints, not str")
    shape, weights = _check(input, weight, bias, rank, groups, True)
    kernel = tuple(weights[2:])
    stride, dilation = _sizes(stride, rank, "stride"), _sizes(dilation, rank, "dilation")
    padding = _sizes(padding, rank, "padding")
    extra = _sizes(output_padding, rank, "output_padding")
    _check_positive(stride, padding, dilation)
    _check_output_padding(extra, stride, dilation)
    x, alone = batch_of_one(input, rank + 2)
    # A symbolic output padding (nn.ConvTranspose2d's output_size) is cut from the largest that is allowed.
    whole = tuple([
        max(int(s), int(d)) - 1 if type(e) is Dim else e for e, s, d in zip(extra, stride, dilation,
        strict=True) ])  # fmt: skip
    sizes = [
        (shape[a - rank] - 1) * stride[a] - 2 * padding[a] + dilation[a] * (kernel[a] - 1) + 1 for a in range(rank)
    ]
    out = (x.shape[0], weights[1] * groups, *(s + w for s, w in zip(sizes, whole, strict=True)))
    if any(int(s) <= 0 for s in out[2:]):
        raise ShapeError(
            f"Given input size per channel: {plain(shape[-rank:])}. Calculated output size per channel: "
            f"{plain(out[2:])}. Output size is too small"
        )
    attributes = _attributes(kernel, stride, dilation, groups, padding, padding)
    if whole != _ZEROS[rank]:
        x, whole = _shift_output_padding(x, whole, stride)
        attributes["output_padding"] = whole
    inputs = (x, weight) if bias is None else (x, weight, bias)
    result = emit("ConvTranspose", inputs, out, input._dtype, **attributes)
    for axis in range(rank):
        if type(extra[axis]) is Dim:
            result = section(result, axis + 2, 0, sizes[axis] + extra[axis])
    return unbatched(result, alone)


def _shift_output_padding(x: Tensor, extra: tuple, stride: tuple) -> tuple[Tensor, tuple]:
    """The runtime refuses output padding of a stride or more: zeros behind the input give as much."""
    steps = [int(e) // int(s) for e, s in zip(extra, stride, strict=True)]
    if not any(steps):
        return x, extra
    sizes = [size + k for size, k in zip(x.shape[2:], steps, strict=True)]
    behind = constant(np.array([0] * (len(steps) + 4) + steps))
    padded = emit("Pad", [x, behind], (*x.shape[:2], *sizes), x._dtype)
    return padded, tuple([e - k * int(s) for e, k, s in zip(extra, steps, stride, strict=True)])


def _check_output_padding(extra: tuple, stride: tuple, dilation: tuple) -> None:
    if any(int(e) < 0 for e in extra):
        raise RuntimeError("negative output_padding is not supported")
    if all(int(e) < max(int(s), int(d)) for e, s, d in zip(extra, stride, dilation, strict=True)):
        return
    names = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}[len(extra)]
    told = " ".join(
        f"{what}_{name}: {int(v)}"
        for what, values in (("output_padding", extra), ("stride", stride), ("dilation", dilation))
        for name, v in zip(names, values, strict=True)
    )
    raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {told}")


@word("F.conv_transpose1d", "torch.conv_transpose1d")
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution over one axis.

    Shapes:
        input: (n, c, l) or (c, l); weight: (c, out / groups, k)
        returns: (n, out, (l - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1)
    """
    return _transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 1)


@word("F.conv_transpose2d", "torch.conv_transpose2d")
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution over two axes; shapes as `conv_transpose1d`, per axis."""
    return _transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 2)


@word("F.conv_transpose3d", "torch.conv_transpose3d")
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Sizes = 1, padding: Sizes = 0,
    output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor:  # fmt: skip
    """Transposed convolution over three axes; shapes as `conv_transpose1d`, per axis."""
    return _transpose(input, weight, bias, stride, padding, output_padding, groups, dilation, 3)
