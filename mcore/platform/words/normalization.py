"""Normalization: batch, instance, group, layer, root mean square, local response."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError
from mcore.platform.tensor import Tensor, constant, emit, emit_plain, ints, size_tensor
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain
from mcore.platform.words._pieces import binary, reduce, reshape, scaled, squeeze, unary, unsqueeze
from mcore.platform.words._spatial import LEGACY_NAMES, like, per_channel, refuse_integers
from mcore.platform.words.pooling import average_pool

_HALVES = (dtypes.float16, dtypes.bfloat16)


def _accept(input: Tensor, word: str, *parameters: Tensor | None) -> dtype:
    """The type to compute in: float32 for half inputs with float32 parameters, else the one type of all."""
    kind = input._dtype
    if not kind.is_floating_point:
        refuse_integers(input, word)
    wide = kind
    for p in parameters:
        if p is None or p._dtype is kind:
            continue
        if kind not in _HALVES:
            raise RuntimeError(f"mixed dtype (CPU): expect parameter to have scalar type of {LEGACY_NAMES[kind.name]}")
        if p._dtype is not dtypes.float32:
            raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
        wide = dtypes.float32
    return wide


def _ones(count: int, kind: dtype) -> Tensor:
    return constant(np.ones(int(count)), kind)


def _zeros(count: int, kind: dtype) -> Tensor:
    return constant(np.zeros(int(count)), kind)


def _centered(x: Tensor, axes: Sequence[int]) -> Tensor:
    """`x` less its mean: what follows loses no digits where the mean is large."""
    return binary("Sub", x, _mean(x, axes))


def _mean(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Means over axes, one after the other from the last: the runtime adds up in order, and long sums lose digits.

    Measured on a volume of 46,000 voxels: the variance differs by 1e-5 in one sum, by 1e-7 in three.
    """
    for axis in sorted(axes, reverse=True):
        x = reduce("ReduceMean", x, [axis], keepdim=True)
    return x


def _root(variance: Tensor, eps: float) -> Tensor:
    return unary("Sqrt", binary("Add", variance, constant(eps, variance._dtype)))


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """`x * weight + bias` per channel, as the one operator that does both."""
    if weight is None and bias is None:
        return x
    kind, channels = x._dtype, x.shape[1]
    weight = _ones(channels, kind) if weight is None else cast(weight, kind)
    bias = _zeros(channels, kind) if bias is None else cast(bias, kind)
    inputs = [x, weight, bias, _zeros(channels, kind), _ones(channels, kind)]
    return emit("BatchNormalization", inputs, x.shape, kind, epsilon=0.0)


# --- batch


def _check_channels(channels: int, **parameters: Tensor | None) -> None:
    for name, p in parameters.items():
        if p is not None and p.shape[0] != channels:
            raise ShapeError(f"{name} should contain {channels} elements not {int(p.shape[0])}")


def _batch_norm(
    input: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    training: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    if not training and mean is not None and var is not None and weight is not None and bias is not None:
        kind, usual = input._dtype, input._shape[1:2]
        alike = kind is mean._dtype is var._dtype is weight._dtype is bias._dtype
        fits = usual == mean._shape == var._shape == weight._shape == bias._shape
        if alike and fits and kind.is_floating_point:
            inputs = (input, weight, bias, mean, var)
            return emit_plain("BatchNormalization", inputs, input._shape, kind, (("epsilon", float(eps)),))
    shape = input.shape
    if len(shape) < 2:
        raise ShapeError(f"batch_norm expects an input of at least 2 dimensions, got {plain(shape)}")
    _check_channels(int(shape[1]), running_mean=mean, running_var=var, weight=weight, bias=bias)
    wide = _accept(input, "batch_norm", mean, var, weight, bias)
    if training:
        return _batch_norm_of_batch(input, mean, var, weight, bias, momentum, eps)
    if mean is None:
        raise RuntimeError("running_mean must be defined in evaluation mode")
    if var is None:
        raise RuntimeError("running_var must be defined in evaluation mode")
    kind = input._dtype
    x = input if kind is wide else cast(input, wide)
    weight = _ones(shape[1], wide) if weight is None else weight if weight._dtype is wide else cast(weight, wide)
    bias = _zeros(shape[1], wide) if bias is None else bias if bias._dtype is wide else cast(bias, wide)
    if kind is not wide:
        mean, var = cast(mean, wide), cast(var, wide)
    out = emit("BatchNormalization", (x, weight, bias, mean, var), shape, wide, epsilon=float(eps))
    return out if kind is wide else cast(out, kind)


def _batch_norm_of_batch(
    input: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    """Normalized by the batch's own statistics; running ones move towards them by `momentum`.

    ONNX's training_mode is not used: it gives the running variance without Bessel's correction.
    """
    if (mean is None) != (var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    if not isinstance(momentum, int | float):
        raise TypeError(f"batch_norm(): argument 'momentum' (position 7) must be float, not {type(momentum).__name__}")
    kind, x = input._dtype, input
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    axes = [0, *range(2, x.ndim)]
    batch_mean = _mean(x, axes)
    centered = binary("Sub", x, batch_mean)
    batch_var = _mean(binary("Mul", centered, centered), axes)
    if mean is not None and var is not None:
        count = dims.product(x.shape[a] for a in axes)
        many = size_tensor(count, x._dtype)
        unbiased = binary("Mul", batch_var, binary("Div", many, size_tensor(count - 1, x._dtype)))
        _move(mean, batch_mean, momentum)
        _move(var, unbiased, momentum)
    out = binary("Div", centered, _root(batch_var, eps))
    if weight is not None:
        out = binary("Mul", out, cast(per_channel(weight, x.ndim), x._dtype))
    if bias is not None:
        out = binary("Add", out, cast(per_channel(bias, x.ndim), x._dtype))
    return cast(out, kind)


def _move(running: Tensor, batch: Tensor, momentum: float) -> None:
    """`running = (1 - momentum) * running + momentum * batch`, written in place."""
    kind = batch._dtype
    new = scaled(reshape(batch, running.shape), momentum)
    kept = scaled(cast(running, kind), 1 - momentum)
    running._write(cast(binary("Add", kept, new), running._dtype))


def _refuse_single_value(shape: Sequence[int]) -> None:
    count = int(shape[0])
    for size in shape[2:]:
        count *= int(size)
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {_size_text(shape)}")


def _size_text(shape: Sequence[int]) -> str:
    return f"torch.Size({plain(shape)})"


@word("F.batch_norm")
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalized per channel: by the running statistics, or by the batch's with `training`, which moves them.

    Shapes:
        input, returns: (n, c, ...); the others (c,)

    Raises:
        ValueError: in training with one value per channel.
    """
    if training:
        _refuse_single_value(input.shape)
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


@word("torch.batch_norm")
def batch_norm_of_torch(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`torch.batch_norm`: F.batch_norm with other order of arguments and no check for single values."""
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


# --- instance


def _instance_norm(
    input: Tensor, mean: Tensor | None, var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    use_input_stats: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    shape = input.shape
    if not use_input_stats:
        if mean is None or var is None:
            raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
        return _batch_norm(input, mean, var, weight, bias, False, momentum, eps)
    channels = int(shape[1])
    _check_channels(channels, running_mean=mean, running_var=var, weight=weight, bias=bias)
    _accept(input, "batch_norm", weight, bias)
    kind, x = input._dtype, input
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    axes = list(range(2, len(shape)))
    instance_mean = _mean(x, axes)
    centered = binary("Sub", x, instance_mean)
    spread = _mean(binary("Mul", centered, centered), axes)
    if mean is not None and var is not None:
        count = dims.product(shape[2:])
        fair = binary("Div", size_tensor(count, x._dtype), size_tensor(count - 1, x._dtype))
        _move(mean, reduce("ReduceMean", instance_mean, [0]), momentum)
        _move(var, binary("Mul", reduce("ReduceMean", spread, [0]), fair), momentum)
    # The operator InstanceNormalization loses digits: in the mean where that is large, and in the variance of volumes.
    root = _root(spread, eps)
    if weight is None:
        out = binary("Div", centered, root)
    else:
        # Divided while it is small.
        out = binary("Mul", centered, binary("Div", cast(per_channel(weight, x.ndim), x._dtype), root))
    if bias is not None:
        out = binary("Add", out, cast(per_channel(bias, x.ndim), x._dtype))
    return cast(out, kind)


@word("F.instance_norm")
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True, momentum: float =
    0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalized per sample and channel, or by the running statistics without `use_input_stats`.

    Shapes:
        input, returns: (n, c, ...) with more than one element behind the channels

    Raises:
        ValueError: where a channel has one element.
    """
    if use_input_stats and int(dims.product(input.shape[2:])) == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {_size_text(input.shape)}"
        )
    return _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


@word("torch.instance_norm")
def instance_norm_of_torch(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """`torch.instance_norm`: F.instance_norm with other order of arguments."""
    return _instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


# --- group


def _group_norm(input: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Groups as channels, normalized by their own means, then the affine part as BatchNormalization.

    The operator GroupNormalization takes twice to three times as long (measured), and loses two digits where
    the mean is large.
    """
    shape = input.shape
    if len(shape) < 2:
        raise ShapeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    channels = int(shape[1])
    if channels % groups:
        raise ShapeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of shape "
            f"{plain(shape)} and num_groups={groups}"
        )
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and (len(p.shape) != 1 or p.shape[0] != channels):
            raise ShapeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} "
                f"of shape {plain(p.shape)} and input of shape {plain(shape)}"
            )
    _accept(input, "group_norm", weight, bias)
    kind, x = input._dtype, input
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    axes = list(range(2, 1 + len(shape)))
    grouped = _centered(reshape(x, (shape[0], groups, channels // groups, *shape[2:])), axes)
    root = _root(_mean(binary("Mul", grouped, grouped), axes), eps)
    return cast(_affine(like(binary("Div", grouped, root), input), weight, bias), kind)


@word("F.group_norm")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalized per sample over groups of channels.

    Shapes:
        input, returns: (n, c, ...) with c a multiple of `num_groups`; weight, bias: (c,)

    Raises:
        ValueError: where a group has one value.
    """
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    seen = [int(shape[0]) * int(shape[1]) // num_groups, num_groups, *plain(shape[2:])]
    if int(dims.product((seen[0], *seen[2:]))) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {seen}")
    return _group_norm(input, num_groups, weight, bias, eps)


@word("torch.group_norm")
def group_norm_of_torch(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float =
    1e-5, cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """`torch.group_norm`: F.group_norm without the check for single values."""
    return _group_norm(input, num_groups, weight, bias, eps)


# --- layer


def _check_normalized(
    input: Tensor, sizes: Sequence[int], weight: Tensor | None, bias: Tensor | None, separator: str = ", "
) -> None:
    """Torch's checks of what layer_norm and rms_norm take."""
    shape, count = input.shape, len(sizes)
    if not count:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got "
            "normalized_shape = []"
        )
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and p.shape != tuple(sizes):
            raise ShapeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{plain(p.shape)} "
                f"and normalized_shape = {plain(sizes)}"
            )
    if len(shape) < count or shape[-count:] != tuple(sizes):
        told = ", ".join(str(int(s)) for s in sizes)
        raise ShapeError(
            f"Given normalized_shape={plain(sizes)}, expected input with shape [*{separator}{told}], "
            "but got input of "
            f"size{plain(shape)}"
        )


def _layer_norm(input: Tensor, sizes: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    if isinstance(sizes, int):
        raise TypeError("layer_norm(): argument 'normalized_shape' (position 2) must be tuple of ints, not int")
    _check_normalized(input, sizes, weight, bias)
    wide = _accept(input, "LayerNormKernelImpl", weight, bias)
    kind, x = input._dtype, input
    if weight is None:
        if dims.is_symbolic(sizes):
            return _layer_norm_of_open_sizes(input, len(sizes), bias, eps)
        weight = constant(np.ones([int(s) for s in sizes]), wide)
    if wide is not kind:
        x, weight, bias = cast(x, wide), cast(weight, wide), None if bias is None else cast(bias, wide)
    inputs = (x, weight) if bias is None else (x, weight, bias)
    out = emit("LayerNormalization", inputs, input.shape, wide, axis=-len(sizes), epsilon=float(eps))
    return out if wide is kind else cast(out, kind)


def _layer_norm_of_open_sizes(input: Tensor, count: int, bias: Tensor | None, eps: float) -> Tensor:
    """`F.layer_norm(x, x.shape[1:])`: the operator would need a scale of a size that is not known."""
    kind, x = input._dtype, input
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    axes = list(range(x.ndim - count, x.ndim))
    centered = _centered(x, axes)
    variance = reduce("ReduceMean", binary("Mul", centered, centered), axes, keepdim=True)
    out = binary("Div", centered, _root(variance, eps))
    return cast(out if bias is None else binary("Add", out, cast(bias, x._dtype)), kind)


@word("F.layer_norm")
def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalized over the last axes, those of `normalized_shape`.

    Shapes:
        input, returns: (..., *normalized_shape); weight, bias: normalized_shape
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps)


@word("torch.layer_norm")
def layer_norm_of_torch(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5, cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """`torch.layer_norm`: F.layer_norm with one more argument."""
    return _layer_norm(input, normalized_shape, weight, bias, eps)


@word("F.rms_norm", "torch.rms_norm")
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divided by the root of the mean square over the last axes; without `eps`, the type's smallest step.

    Shapes:
        input, returns: (..., *normalized_shape); weight: normalized_shape
    """
    _check_normalized(input, normalized_shape, weight, None, separator="")
    refuse_integers(input, "rms_norm")
    kind, x = input._dtype, input
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    if eps is None:
        eps = float(np.finfo(x._dtype.numpy).eps)
    axes = list(range(x.ndim - len(normalized_shape), x.ndim))
    # Pow, ReduceMean, Add, Sqrt, Div, Mul: ONNX Runtime knows this chain and runs it as one kernel, whose
    # float64 version drops eps (measured): there the chain begins otherwise.
    double = x._dtype is dtypes.float64
    square = binary("Mul", x, x) if double else binary("Pow", x, constant(2.0, x._dtype))
    mean = emit("ReduceMean", [square, ints(axes)], (*x.shape[: axes[0]], *(1,) * len(axes)), x._dtype)
    out = binary("Div", x, _root(mean, eps))
    if weight is not None:
        out = binary("Mul", out, cast(weight, x._dtype))
    return cast(out, kind)


# --- local response


@word("F.local_response_norm")
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Divided by `(k + alpha * mean of squares over size channels) ** beta`.

    Shapes:
        input, returns: (n, c, ...)
    """
    rank = input.ndim
    if rank < 3:
        raise ValueError(f"Expected 3D or higher dimensionality                          input (got {rank} dimensions)")
    if size <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kT: {size} kH: 1 kW: 1")
    refuse_integers(input, "avg_pool3d_out_frame")
    if rank == 4 and size % 2 and input._dtype is dtypes.float32:
        return emit(
            "LRN", [input], input.shape, input._dtype, size=size, alpha=float(alpha), beta=float(beta),
            bias=float(k),
        )  # fmt: skip
    # An even window reaches one further back in torch, one further ahead in ONNX.
    shape, kind = input.shape, input._dtype
    square = binary("Mul", input, input)
    plane = unsqueeze(reshape(square, (*shape[:2], dims.product(shape[2:]))), 1)
    around = constant(np.array([0, 0, size // 2, 0, 0, 0, (size - 1) // 2, 0]))
    padded = emit("Pad", [plane, around], (*plane.shape[:2], shape[1] + size - 1, plane.shape[3]), kind)
    mean = average_pool(padded, (size, 1), 1)
    total = binary("Add", scaled(like(squeeze(mean, 1), input), alpha), constant(k, kind))
    return binary("Div", input, binary("Pow", total, constant(beta, kind)))
