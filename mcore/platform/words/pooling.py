"""Pooling over windows: maximum, average, p-norm, and the way back from a maximum's indices."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NoReturn

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, emit_many, emit_plain, ints, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain, same_shape
from mcore.platform.words._pieces import binary, filled, reduce, reshape, take, unary
from mcore.platform.words._spatial import (
    Table,
    always_equal,
    amount,
    batch_of_one,
    calc,
    column,
    numbers,
    refuse_integers,
    row,
    span,
    tabled,
    unbatched,
)  # fmt: skip

Sizes = int | Sequence[int]

# Element types of the CPU provider's MaxPool.
_POOLED = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16, dtypes.int8, dtypes.uint8)
_COUNT = {1: "one int", 2: "two ints", 3: "three ints"}


def _checked(x: Tensor, rank: int, name: str, leave_empty: bool = False) -> None:
    shape = x.shape
    if len(shape) not in (rank + 1, rank + 2) or any(int(s) == 0 for s in shape[-rank - 1 :]):
        raise ShapeError(
            f"{name}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with optional 0 dim "
            "batch size for "
            f"input, but got:{plain(shape)}"
        )


def _window(
    name: str, rank: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[tuple, tuple, tuple, tuple]:
    """Kernel, stride, padding and dilation per axis, checked in torch's words."""
    kernel = numbers(
        kernel_size, rank, f"{name}: kernel_size must either be a single int, or a tuple of {_COUNT[rank]}"
    )
    if stride is None or (not isinstance(stride, int) and len(stride) == 0):
        steps = kernel
    else:
        steps = numbers(
            stride, rank, f"{name}: stride must either be omitted, a single int, or a tuple of {_COUNT[rank]}"
        )
    pads = numbers(padding, rank, f"{name}: padding must either be a single int, or a tuple of {_COUNT[rank]}")
    gaps = numbers(dilation, rank, f"{name}: dilation must be either a single int, or a tuple of {_COUNT[rank]}")
    for k, s, p, d in zip(kernel, steps, pads, gaps, strict=True):
        if int(k) <= 0:
            raise RuntimeError(f"{name}() kernel_size must be greater than zero, but got {int(k)}")
        if int(s) <= 0:
            raise RuntimeError("stride should not be zero")
        if int(d) <= 0:
            raise RuntimeError(f"{name}() dilation must be greater than zero, but got {int(d)}")
        if int(p) < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {int(p)}")
        if int(p) > ((int(k) - 1) * int(d) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={int(p)}, "
                f"kernel_size={int(k)} and dilation={int(d)}"
            )
    return kernel, steps, pads, gaps


def _out_sizes(
    shape: Sequence[int], kernel: tuple, steps: tuple, pads: tuple, gaps: tuple, ceil: bool
) -> tuple[int, ...]:
    """Sizes after pooling; with `ceil`, a last window that would start behind the end is dropped."""
    sizes = []
    for size, k, s, p, d in zip(shape, kernel, steps, pads, gaps, strict=True):
        left = size + 2 * p - d * (k - 1) - 1
        if not ceil:
            sizes.append(left // s + 1)
            continue
        out = (left + s - 1) // s + 1
        # Only a stride longer than what the window reaches beyond the padding can start in there.
        sizes.append(out if s + p <= d * (k - 1) + 1 else dims.dim_min(out, (size + p + s - 1) // s))
    if any(int(o) < 1 for o in sizes):
        _refuse_size(shape, sizes)
    return tuple(sizes)


def _refuse_size(shape: Sequence[int], sizes: Sequence[int]) -> NoReturn:
    before, after = "x".join(map(str, plain(shape))), "x".join(map(str, plain(sizes)))
    raise ShapeError(f"Given input size: ({before}). Calculated output size: ({after}). Output size is too small")


def _whole_axes(x: Tensor, kernel: tuple, pads: tuple) -> list[int]:
    """Axes whose window is all of a symbolic size (`F.avg_pool2d(x, x.shape[2:])`): they are reduced."""
    if not dims.is_symbolic(kernel):
        return []
    rank = len(kernel)
    return [
        x.ndim - rank + k
        for k in range(rank)
        if type(kernel[k]) is Dim and always_equal(kernel[k], x.shape[k - rank]) and pads[k] == 0
    ]


def _reduced(x: Tensor, op: str, kernel: tuple, steps: tuple, whole: list[int]) -> tuple[Tensor, tuple, tuple]:
    """`x` reduced over whole axes, and a window that leaves those alone."""
    x, first = reduce(op, x, whole, keepdim=True), x.ndim - len(kernel)
    kernel = tuple([1 if first + k in whole else size for k, size in enumerate(kernel)])
    return x, kernel, tuple([1 if first + k in whole else size for k, size in enumerate(steps)])


def _attributes(kernel: tuple, steps: tuple, pads: tuple, gaps: tuple, ceil: bool) -> dict[str, Any]:
    """Attributes that differ from the operators' defaults."""
    out: dict[str, Any] = {"kernel_shape": kernel}
    if any(s != 1 for s in steps):
        out["strides"] = steps
    if any(pads):
        out["pads"] = pads + pads
    if any(d != 1 for d in gaps):
        out["dilations"] = gaps
    if ceil:
        out["ceil_mode"] = 1
    return out


def _wide(x: Tensor) -> tuple[Tensor, dtype]:
    """Integers without a pooling kernel as float64, which holds them to 2**53."""
    kind = x._dtype
    if kind is dtypes.bool_:
        refuse_integers(x, "max_pool")
    return (x if kind in _POOLED else cast(x, dtypes.float64)), kind


# --- maximum


@functools.lru_cache(maxsize=1024)
def _plan(
    shape: tuple, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, rank: int
) -> tuple[tuple, tuple] | None:
    """Output shape and attributes of a maximum where all sizes are plain; None where anything is unusual."""
    if len(shape) != rank + 2 or 0 in shape[1:]:
        return None
    kernel, steps, pads, gaps = _window(f"max_pool{rank}d", rank, kernel_size, stride, padding, dilation)
    sizes = _out_sizes(shape[2:], kernel, steps, pads, gaps, ceil)
    return (*shape[:2], *sizes), tuple(_attributes(kernel, steps, pads, gaps, ceil).items())


def _max_pool(
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
    rank: int,
    indices: bool,
) -> Any:
    settings = (kernel_size, stride, padding, dilation)
    simple = not indices and not current().sources and input._dtype in _POOLED
    if simple and list not in [type(v) for v in settings]:
        plan = _plan(input._shape, *settings, ceil, rank)
        if plan:
            return emit_plain("MaxPool", (input,), plan[0], input._dtype, plan[1])
    name = f"max_pool{rank}d"
    _checked(input, rank, name)
    kernel, steps, pads, gaps = _window(name, rank, kernel_size, stride, padding, dilation)
    x, alone = batch_of_one(input, rank + 2)
    sizes = _out_sizes(x.shape[2:], kernel, steps, pads, gaps, ceil)
    x, kind = _wide(x)
    if not indices and (whole := _whole_axes(x, kernel, pads)):
        x, kernel, steps = _reduced(x, "ReduceMax", kernel, steps, whole)
        if all(k == 1 for k in kernel):
            return unbatched(cast(x, kind), alone)
        sizes = _out_sizes(x.shape[2:], kernel, steps, pads, gaps, ceil)
    shape = (x.shape[0], x.shape[1], *sizes)
    attributes = _attributes(kernel, steps, pads, gaps, ceil)
    if not indices:
        return unbatched(cast(emit("MaxPool", [x], shape, x._dtype, **attributes), kind), alone)
    found, places = _max_pool_indices(x, shape, attributes)
    return unbatched(cast(found, kind), alone), unbatched(places, alone)


def _max_pool_indices(x: Tensor, shape: tuple, attributes: dict) -> tuple[Tensor, Tensor]:
    """The maximum and its place; ONNX counts through batch and channels, torch within each plane."""
    found, places = emit_many("MaxPool", [x], [(shape, x._dtype), (shape, dtypes.int64)], **attributes)
    plane = size_tensor(dims.product(x.shape[2:]))
    return found, binary("Mod", places, plane)


@word("F.max_pool1d", "torch.max_pool1d")
def max_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Largest element of each window; with `return_indices` also where it stood.

    Shapes:
        input: (n, c, l) or (c, l)
        returns: (n, c, (l + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1)

    Differs: the runtime may pass over a NaN in a window, which torch returns.
    """
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 1, return_indices)


@word("F.max_pool2d", "torch.max_pool2d")
def max_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Largest element of each window; shapes as `max_pool1d`, per axis; indices are flat in a plane."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 2, return_indices)


@word("F.max_pool3d", "torch.max_pool3d")
def max_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """Largest element of each window; shapes as `max_pool1d`, per axis."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 3, return_indices)


@word("F.max_pool1d_with_indices", "torch.max_pool1d_with_indices")
def max_pool1d_with_indices(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool1d` and the places, whatever `return_indices` says."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 1, True)


@word("F.max_pool2d_with_indices")
def max_pool2d_with_indices(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool2d` and the places, whatever `return_indices` says."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 2, True)


@word("F.max_pool3d_with_indices")
def max_pool3d_with_indices(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool3d` and the places, whatever `return_indices` says."""
    return _max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, 3, True)


# --- average


def average_pool(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any = 0, ceil: bool = False, include: bool = True,
    divisor: int | None = None,
) -> Tensor:  # fmt: skip
    """Mean of each window of a batch (n, c, ...), in one to three axes."""
    rank = input.ndim - 2
    name = f"avg_pool{rank}d"
    kernel, steps, pads, gaps = _window(name, rank, kernel_size, stride, padding, 1)
    if divisor is not None and divisor == 0:
        raise RuntimeError("divisor must be not zero")
    kind, x = input._dtype, input
    if kind is not dtypes.int64:  # torch averages int64 too, cutting towards zero
        refuse_integers(input, name)
    if divisor is None and kind is not dtypes.int64 and (whole := _whole_axes(x, kernel, pads)):
        x, kernel, steps = _reduced(x, "ReduceMean", kernel, steps, whole)
        if all(k == 1 for k in kernel):
            return x
    sizes = _out_sizes(x.shape[2:], kernel, steps, pads, gaps, ceil)
    shape = (x.shape[0], x.shape[1], *sizes)
    if kind is dtypes.float64 or kind is dtypes.int64:
        return _mean_of_gathered(x, shape, kernel, steps, pads, include, divisor)
    if divisor is not None:
        return _window_sums(x, shape, kernel, steps, pads, divisor)
    attributes = _attributes(kernel, steps, pads, gaps, ceil)
    if include and any(pads):
        attributes["count_include_pad"] = 1
    return emit("AveragePool", [x], shape, kind, **attributes)


def _avg_pool(
    input: Tensor, kernel_size: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: int |
    None, rank: int,
) -> Tensor:  # fmt: skip
    _checked(input, rank, f"avg_pool{rank}d")
    x, alone = batch_of_one(input, rank + 2)
    return unbatched(average_pool(x, kernel_size, stride, padding, ceil, include, divisor), alone)


def _filled_up(x: Tensor, sizes: Sequence[int], kernel: tuple, steps: tuple, pads: tuple) -> Tensor:
    """`x` with zeros around it, so that every window is whole."""
    ends = [
        (out - 1) * s + k - size - p for out, s, k, size, p in zip(sizes, steps, kernel, x.shape[2:], pads, strict=True)
    ]
    if not any(pads) and not any(type(e) is Dim or e > 0 for e in ends):
        return x
    around = ints([0, 0, *pads, 0, 0, *ends])
    padded = [s + p + e for s, p, e in zip(x.shape[2:], pads, ends, strict=True)]
    return emit("Pad", [x, around], (*x.shape[:2], *padded), x._dtype)


def _mean_of_gathered(
    x: Tensor, shape: tuple, kernel: tuple, steps: tuple, pads: tuple, include: bool, divisor: int | None
) -> Tensor:
    """The mean where no kernel keeps all digits (float64, int64): windows gathered, summed by axis."""
    rank, kind, count = len(kernel), x._dtype, None
    inside = x.shape[2:]
    x = _filled_up(x, shape[2:], kernel, steps, pads)
    for k in range(rank):
        starts = calc("Mul", span(shape[2 + k]), amount(steps[k]))
        x = take(x, tabled(calc("Add", column(starts), row(span(kernel[k])))), 2 + k)
        x = reduce("ReduceSum", x, [3 + k])
        part = _counts(starts, inside[k], kernel[k], pads[k], include)
        part = reshape(tabled(part), (shape[2 + k], *(1,) * (rank - 1 - k)))
        count = part if count is None else binary("Mul", count, part)
    assert count is not None
    return binary("Div", x, cast(count if divisor is None else constant(divisor), kind))


def _counts(starts: Table, size: int, kernel: int, pad: int, include: bool) -> Table:
    """How many elements each window of an axis divides by; `starts` count from the first padding."""
    stops = calc("Add", starts, amount(kernel))
    if include:
        return calc("Sub", calc("Min", stops, amount(size + 2 * pad)), starts)
    return calc("Sub", calc("Min", stops, amount(size + pad)), calc("Max", starts, amount(pad)))


def _window_sums(x: Tensor, shape: tuple, kernel: tuple, steps: tuple, pads: tuple, divisor: int) -> Tensor:
    """Sums over windows divided by `divisor`: zeros around make every window whole, then mean times count."""
    kernel = tuple([current().fix(k, "AveragePool takes its window as a fixed number") for k in kernel])
    x = _filled_up(x, shape[2:], kernel, steps, pads)
    attributes = _attributes(kernel, steps, (0,) * len(kernel), (1,) * len(kernel), False)
    mean = emit("AveragePool", [x], shape, x._dtype, **attributes)
    return binary("Mul", mean, constant(dims.product(kernel) / divisor, x._dtype))


@word("F.avg_pool1d", "torch.avg_pool1d")
def avg_pool1d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool =
    False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Mean of each window; shapes as `max_pool1d`."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, None, 1)


@word("F.avg_pool2d")
def avg_pool2d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool =
    False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Mean of each window, or its sum divided by `divisor_override`; shapes as `max_pool1d`, per axis."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 2)


@word("F.avg_pool3d")
def avg_pool3d(
    input: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, ceil_mode: bool =
    False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Mean of each window, or its sum divided by `divisor_override`; shapes as `max_pool1d`, per axis."""
    return _avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override, 3)


# --- p-norm


def _lp_pool(input: Tensor, norm_type: float, kernel_size: Any, stride: Any, ceil: bool, rank: int) -> Tensor:
    """The p-norm of each window as torch composes it: mean of powers, times the window's size, to 1 / p."""
    if abs(norm_type) == float("inf"):
        size = unary("Abs", input)
        if norm_type > 0:
            return _max_pool(size, kernel_size, stride, 0, 1, ceil, rank, False)
        return unary("Neg", _max_pool(unary("Neg", size), kernel_size, stride, 0, 1, ceil, rank, False))
    kernel = numbers(kernel_size, rank, f"lp_pool{rank}d: kernel_size must be a single int, or {_COUNT[rank]}")
    kind, x = input._dtype, input
    if kind in (dtypes.float16, dtypes.bfloat16):  # powers overflow half precision
        x = cast(x, dtypes.float32)
    if norm_type == 2:
        x = binary("Mul", x, x)
    elif norm_type != 1:
        x = binary("Pow", x, constant(float(norm_type), x._dtype))
    mean = _avg_pool(x, kernel_size, stride, 0, ceil, True, None, rank)
    total = binary("Mul", mean, size_tensor(dims.product(kernel), x._dtype))
    if norm_type == 2:
        total = unary("Sqrt", total)
    elif norm_type != 1:
        total = binary("Pow", total, constant(1.0 / norm_type, x._dtype))
    return cast(total, kind)


@word("F.lp_pool1d")
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: int, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """p-norm of each window; shapes as `max_pool1d`."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 1)


@word("F.lp_pool2d")
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """p-norm of each window; shapes as `max_pool1d`, per axis."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 2)


@word("F.lp_pool3d")
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
) -> Tensor:
    """p-norm of each window; shapes as `max_pool1d`, per axis."""
    return _lp_pool(input, norm_type, kernel_size, stride, ceil_mode, 3)


# --- back from a maximum


def _unpool_sizes(input: Tensor, kernel: tuple, steps: tuple, pads: tuple, wanted: Any) -> tuple:
    rank = len(kernel)
    default = [
        (size - 1) * s + k - 2 * p for size, s, k, p in zip(input.shape[-rank:], steps, kernel, pads, strict=True)
    ]
    if wanted is None:
        return tuple(default)
    wanted = tuple(wanted)
    if len(wanted) == rank + 2:
        wanted = wanted[2:]
    if len(wanted) != rank:
        raise ValueError(
            f"output_size should be a sequence containing {rank} or {rank + 2} elements, but it has a "
            "length of "
            f"'{len(wanted)}'"
        )
    for d in range(rank):
        low, high = int(default[d]) - int(steps[d]), int(default[d]) + int(steps[d])
        if not low < int(wanted[d]) < high:
            raise ValueError(f'invalid output_size "{wanted}" (dim {d} must be between {low} and {high})')
    return wanted


def _max_unpool(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any, rank: int
) -> Tensor:
    name = f"max_unpool{rank}d"
    kernel = numbers(kernel_size, rank, f"{name}: kernel_size must be a single int, or {_COUNT[rank]}")
    steps = kernel if stride is None else numbers(stride, rank, f"{name}: stride must be {_COUNT[rank]}")
    pads = numbers(padding, rank, f"{name}: padding must be {_COUNT[rank]}")
    if indices._dtype is not dtypes.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices._dtype.name}")
    if not same_shape(input.shape, indices.shape):
        raise ShapeError(
            f"Expected shape of indices to be same as that of the input tensor ({plain(input.shape)}) "
            "but got "
            f"indices tensor with shape: {plain(indices.shape)}"
        )
    refuse_integers(input, name)
    sizes, lead = _unpool_sizes(input, kernel, steps, pads, output_size), input.shape[:-rank]
    plane, count = dims.product(sizes), dims.product(input.shape[-rank:])
    empty = filled(0, (*lead, plane), input._dtype)
    places, found = reshape(indices, (*lead, count)), reshape(input, (*lead, count))
    out = emit("ScatterElements", [empty, places, found], empty.shape, input._dtype, axis=len(lead))
    return reshape(out, (*lead, *sizes))


@word("F.max_unpool1d")
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Puts each maximum back where its index says, zeros elsewhere.

    Shapes:
        input, indices: (n, c, l) or (c, l)
        returns: (n, c, (l - 1) * stride - 2 * padding + kernel_size), or `output_size`
    """
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 1)


@word("F.max_unpool2d")
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Puts each maximum back where its index says, zeros elsewhere; shapes as `max_unpool1d`, per axis."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 2)


@word("F.max_unpool3d")
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:  # fmt: skip
    """Puts each maximum back where its index says, zeros elsewhere; shapes as `max_unpool1d`, per axis."""
    return _max_unpool(input, indices, kernel_size, stride, padding, output_size, 3)


# --- random windows


@word("F.fractional_max_pool2d", "F.fractional_max_pool2d_with_indices")
def fractional_max_pool2d(
    input: Tensor, kernel_size: Sizes, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """Refused: windows of random sizes."""
    raise unsupported("fractional_max_pool2d", "a window of random size", "max_pool2d, adaptive_max_pool2d")


@word("F.fractional_max_pool3d", "F.fractional_max_pool3d_with_indices")
def fractional_max_pool3d(
    input: Tensor, kernel_size: Sizes, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """Refused: windows of random sizes."""
    raise unsupported("fractional_max_pool3d", "a window of random size", "max_pool3d, adaptive_max_pool3d")
