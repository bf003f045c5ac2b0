"""Sizes that come out of layers: the arithmetic of torch's own, one axis at a time, without running them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import mcore
from mcore import Module
from mcore.specs import Partial
from models.basicblocks.layers import Factory

# Pixels along an axis that no kernel is larger than.
_LARGE = 1 << 20


def extent(layer: Module, pixels: int, axis: int = 0) -> int | None:
    """Pixels along an axis of what `layer` gives for `pixels`; None where they don't go through it.

    A layer of one's own is asked for its `output_size(pixels, axis)`, where it has that.

    Args:
        layer: any of torch's layers whose result along an axis depends on this axis alone, or a Sequential of them.
        pixels: along the axis, of what comes.
        axis: counts from 0, behind batch and channels.

    >>> extent(mcore.Conv2d(1, 1, (3, 5), stride=(2, 1)), 16), extent(mcore.Upsample(scale_factor=1.5), 5)
    (7, 7)

    Raises:
        TypeError: a layer whose arithmetic isn't known here.
    """
    own = getattr(layer, "output_size", None)
    if callable(own):
        return own(pixels, axis)
    for kinds, rule in _RULES:
        if isinstance(layer, kinds):
            found = rule(layer, pixels, axis)
            return found if found is not None and found > 0 else None
    # torch's own is no class of mcore's.
    if any(kind.__name__ == "Sequential" for kind in type(layer).__mro__):
        return chain(list(layer.children()), pixels, axis)
    raise TypeError(
        f"sizes: what {type(layer).__name__} makes of a size isn't known; give it a method "
        "output_size(pixels, axis), which returns the pixels that come out, or None."
    )


def axes_of(layer: Module | Factory) -> int | None:
    """The number of axes behind batch and channels that a layer of torch's works on, or those that a factory makes.

    None where these take several, or it isn't known.

    >>> axes_of(mcore.Conv3d(1, 1, 1)), axes_of(functools.partial(mcore.Conv2d, bias=False)), axes_of(mcore.ReLU())
    (3, 2, None)
    """
    if isinstance(layer, functools.partial):
        return axes_of(layer.func)
    if isinstance(layer, Partial):
        return axes_of(layer.constructor)
    made = layer if isinstance(layer, type) else type(layer)
    return next((count for count, kinds in _BY_AXES.items() if issubclass(made, kinds)), None)


def keeps_channels(layer: Module) -> bool:
    """Whether a layer of torch's gives as many channels as come, of whatever number; False where it isn't known."""
    return isinstance(layer, _KEEPING_CHANNELS)


def keeps_size(layer: Module) -> bool:
    """Whether a layer gives as many pixels as come, along every axis; False where it isn't known.

    >>> keeps_size(mcore.Conv2d(1, 1, 3, padding=1)), keeps_size(mcore.Conv2d(1, 1, 3)), keeps_size(mcore.Linear(1, 1))
    (True, False, False)
    """
    count = axes_of(layer)
    return count is not None and all(extent(layer, _LARGE, axis) == _LARGE for axis in range(count))


def chain(layers: Sequence[Module], pixels: int | None, axis: int) -> int | None:
    """Pixels behind several layers, one after the other."""
    for layer in layers:
        pixels = None if pixels is None else extent(layer, pixels, axis)
    return pixels


def _of_axis(value: Any, axis: int) -> Any:
    """What a setting is for an axis: one number serves all."""
    return value[axis] if isinstance(value, list | tuple) else value


def _settings(layer: Any, axis: int, *names: str) -> list[Any]:
    return [_of_axis(getattr(layer, name), axis) for name in names]


def _windows(pixels: int, kernel: int, stride: int, before: int, dilation: int = 1, *, ceil: bool = False) -> int:
    """How many windows there are; with `ceil`, also one that ends in nothing, but begins in what there is."""
    room = pixels + 2 * before - dilation * (kernel - 1) - 1
    if room < 0 and not ceil:
        return 0
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= pixels + before else count


def _conv(layer: Any, pixels: int, axis: int) -> int | None:
    kernel, stride, dilation = _settings(layer, axis, "kernel_size", "stride", "dilation")
    reach = dilation * (kernel - 1)
    if isinstance(layer.padding, str):
        before, after = (reach // 2, reach - reach // 2) if layer.padding == "same" else (0, 0)
    else:
        before = after = _of_axis(layer.padding, axis)
    # Where the border is mirrored, or taken from the other side, it can't be wider than what there is.
    widest = {"reflect": pixels - 1, "circular": pixels}.get(layer.padding_mode)
    if widest is not None and max(before, after) > widest:
        return None
    room = pixels + before + after - reach - 1
    return None if room < 0 else room // stride + 1


def _conv_transpose(layer: Any, pixels: int, axis: int) -> int:
    kernel, stride, padding, dilation, more = _settings(
        layer, axis, "kernel_size", "stride", "padding", "dilation", "output_padding"
    )
    return (pixels - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1


def _max_pool(layer: Any, pixels: int, axis: int) -> int:
    kernel, stride, padding, dilation = _settings(layer, axis, "kernel_size", "stride", "padding", "dilation")
    return _windows(pixels, kernel, kernel if stride is None else stride, padding, dilation, ceil=layer.ceil_mode)


def _avg_pool(layer: Any, pixels: int, axis: int) -> int:
    kernel, stride, padding = _settings(layer, axis, "kernel_size", "stride", "padding")
    return _windows(pixels, kernel, kernel if stride is None else stride, padding, ceil=layer.ceil_mode)


def _adaptive(layer: Any, pixels: int, axis: int) -> int:
    asked = _of_axis(layer.output_size, axis)
    return pixels if asked is None else asked


def _upsample(layer: Any, pixels: int, axis: int) -> int:
    if layer.size is not None:
        return _of_axis(layer.size, axis)
    # As torch: in floating point, rounded down.
    return int(pixels * _of_axis(layer.scale_factor, axis))


def _pad(layer: Any, pixels: int, axis: int) -> int | None:
    # Pairs from the last axis on, as torch has them.
    count = len(layer.padding) // 2
    before, after = layer.padding[2 * (count - 1 - axis) : 2 * (count - axis)]
    widest = {"Reflec": pixels - 1, "Circul": pixels}.get(type(layer).__name__[:6])
    return None if widest is not None and max(before, after) > widest else pixels + before + after


def _pixel_shuffle(layer: Any, pixels: int, axis: int) -> int:
    return pixels * layer.upscale_factor


def _pixel_unshuffle(layer: Any, pixels: int, axis: int) -> int | None:
    return None if pixels % layer.downscale_factor else pixels // layer.downscale_factor


def _same(layer: Any, pixels: int, axis: int) -> int:
    return pixels


def _each(pattern: str, axes: Sequence[int] = (1, 2, 3)) -> tuple[type, ...]:
    """Layers by number of axes: "Conv{}d"."""
    return tuple(getattr(mcore, pattern.format(count)) for count in axes)


def _named(names: str) -> tuple[type, ...]:
    return tuple(getattr(mcore, name) for name in names.split())


_NORMS = (*_each("BatchNorm{}d"), *_each("InstanceNorm{}d"), *_named("GroupNorm LocalResponseNorm"))
_ACTIVATIONS = _named(
    "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU LogSigmoid Mish PReLU RReLU ReLU "
    "ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Softmax2d Tanh Tanhshrink Threshold"
)
_DROPOUTS = (*_each("Dropout{}d"), *_named("Dropout AlphaDropout FeatureAlphaDropout"))
_POOLS = (*_each("MaxPool{}d"), *_each("AvgPool{}d"))
_ADAPTIVE = (*_each("AdaptiveAvgPool{}d"), *_each("AdaptiveMaxPool{}d"))
_PADS = tuple(
    layer for name in ("ConstantPad", "ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad")
    for layer in _each(name + "{}d")
)  # fmt: skip
_KEEPING_CHANNELS = (*_NORMS, *_ACTIVATIONS, *_DROPOUTS, *_POOLS, *_ADAPTIVE, *_PADS, mcore.Upsample)

_RULES: list[tuple[tuple[type, ...], Callable[[Any, int, int], int | None]]] = [
    (_each("ConvTranspose{}d"), _conv_transpose),
    (_each("Conv{}d"), _conv),
    (_each("MaxPool{}d"), _max_pool),
    (_each("AvgPool{}d"), _avg_pool),
    (_ADAPTIVE, _adaptive),
    (_named("Upsample"), _upsample),
    (_PADS, _pad),
    (_named("PixelShuffle"), _pixel_shuffle),
    (_named("PixelUnshuffle"), _pixel_unshuffle),
    ((*_NORMS, *_ACTIVATIONS, *_DROPOUTS), _same),
]

# Norms of images take what a norm of sequences doesn't, and the other way round; those above take any.
_BY_AXES = {
    count: tuple(
        getattr(mcore, f"{name}{count}d")
        for name in ("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm", "MaxPool", "AvgPool")
    )
    for count in (1, 2, 3)
}
_BY_AXES[2] += _named("PixelShuffle PixelUnshuffle")

__all__ = ["axes_of", "chain", "extent", "keeps_channels", "keeps_size"]
