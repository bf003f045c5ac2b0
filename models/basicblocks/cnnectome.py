"""Steps of a CNNectome U-Net: passes of convolutions, also along time, the way up and the attention gate.

Source: `CNNectomeUNetModule` of DaCapo (github.com/janelia-cellmap/dacapo), by what running it showed; convolutions
along time: `conv_pass` of funlib.learn.tensorflow. The gate: Oktay et al., "Attention U-Net", arXiv:1804.03999.
Names: attributes are DaCapo's, so that its files load as they are.
"""

from collections.abc import Sequence
from typing import Any

import mcore
from mcore import (
    CELU,
    ELU,
    GELU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    Mish,
    Module,
    ModuleList,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Tensor,
    Upsample,
)
from mcore import functional as F
from mcore.vocabulary import nearest
from models.basicblocks.layers import layers
from models.functional.sizes import resize

# Activations by torch's names: those that see each value by itself.
_ACTIVATIONS: dict[str, Any] = {
    layer.__name__: layer
    for layer in (
        *(ReLU, ReLU6, LeakyReLU, PReLU, RReLU, ELU, CELU, SELU, GELU, SiLU, Mish, Sigmoid, LogSigmoid, Tanh),
        *(Hardtanh, Hardsigmoid, Hardswish, Softplus, Softsign, Hardshrink, Softshrink, Tanhshrink, Identity),
    )
}
# Pixels by axis.
Axes = tuple[int, ...]


def named_activation(name: str | None, *, of: str) -> list[Module]:
    """A new activation by torch's name, in a list; none for None.

    Raises:
        ValueError: there is no such activation.
    """
    if name is None:
        return []
    if name not in _ACTIVATIONS:
        likely = nearest(str(name), _ACTIVATIONS, least=0.0, most=1)[0]
        raise ValueError(
            f"{of}: activation={name!r} is none of {', '.join(_ACTIVATIONS)}, or None; the nearest is {likely!r}."
        )
    return [_ACTIVATIONS[name]()]


def cut(x: Tensor, pixels: Sequence[int]) -> Tensor:
    """`x` without `pixels` of each axis: half of them in front, the odd one behind.

    >>> cut(mcore.arange(6).reshape(1, 1, 6), [3]).tolist()
    [[[1, 2, 3]]]
    """
    if not any(pixels):
        return x
    # What is left depends on no size, so that one recording serves all.
    kept: tuple[Any, ...] = (..., *(slice(over // 2, (over // 2 - over) or None) for over in pixels))
    return x[kept]


class TimeConv(Module):
    """A convolution along time and space, without padding: one in space for each frame that it sees, all added.

    Each has a bias of its own.

    Shapes:
        x: (frames * n, in_channels, *size), the frames of all images behind one another
        returns: (kept * n, out_channels, *size less kernel - 1), with `kept` frames, `span - 1` less

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: pixels by axis.
        span: how many frames it sees.
        frames: how many come.
        dims: axes in space.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Axes, *, span: int, frames: int, dims: int = 3
    ) -> None:
        if not 1 <= span <= frames:
            raise ValueError(f"TimeConv: span={span} frames are not 1 to {frames}, which is how many come.")
        super().__init__()
        self.frames, self.kept = frames, frames - span + 1
        conv = layers(dims, of="TimeConv").conv
        self.conv3d_layers = ModuleList(conv(in_channels, out_channels, kernel_size) for _ in range(span))

    def forward(self, x: Tensor) -> Tensor:
        # Frames in front: those that one of the convolutions sees lie together, and none is copied.
        frames = x.unflatten(0, (self.frames, -1))
        first, *others = (
            conv(frames[tap : tap + self.kept].flatten(0, 1)) for tap, conv in enumerate(self.conv3d_layers)
        )
        for seen in others:
            first = first + seen
        return first


class ConvPass(Module):
    """Convolutions in a row, each with norm and activation where there are any.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *size), kernel - 1 pixels less for each convolution with "valid" padding, and one
            more for each even kernel with "same"

    Args:
        in_channels: of what comes.
        out_channels: of each convolution.
        kernels: pixels by axis, of each convolution.
        activation: behind each, by torch's name; None for none.
        batch_norm: behind each, before the activation.
        padding: "valid"; "same", which adds half a kernel on both sides; "keep", which keeps the size.
        last: channels of the last convolution, where they are others.
        spans: frames that each sees, None for those without time; `frames` come to the first.
        frames: how many come.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernels: Sequence[Axes],
        *,
        activation: str | None = "ReLU",
        batch_norm: bool = False,
        padding: str = "valid",
        last: int | None = None,
        spans: Sequence[int | None] | None = None,
        frames: int = 1,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit = layers(dims, of="ConvPass")
        row: list[Module] = []
        fed, seen = in_channels, spans or [None] * len(kernels)
        for number, (kernel, span) in enumerate(zip(kernels, seen, strict=True)):
            given = last if last is not None and number == len(kernels) - 1 else out_channels
            if span is None:
                row.append(kit.conv(fed, given, kernel, padding=_around(kernel, padding)))
            else:
                row.append(TimeConv(fed, given, kernel, span=span, frames=frames, dims=dims))
                frames -= span - 1
            row += [kit.batch_norm(given)] if batch_norm else []
            row += named_activation(activation, of="ConvPass")
            fed = given
        self.conv_pass = Sequential(*row)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_pass(x)


def _around(kernel: Axes, padding: str) -> str | int | Axes:
    """The padding of one convolution."""
    if padding == "keep":
        return "same"
    return tuple(pixels // 2 for pixels in kernel) if padding == "same" else 0


class RaisingStep(Module):
    """Raises a map by whole factors, and joins it to the one that skipped the levels below.

    Shapes:
        x: (n, in_channels, *size)
        skip: (n, skipped, *factor * size less `cropped`, more `margin`), or None where none joins
        returns: (n, skipped + out_channels, *factor * size less `cropped`)

    Args:
        in_channels: of what comes.
        out_channels: of what is raised.
        factor: by axis.
        constant: copies each pixel, then weighs channels by a 1x1 convolution; else a transposed convolution.
        activation: behind it, by torch's name; None for none.
        cropped: pixels cut from what was raised, by axis: what doesn't move by whole steps of the levels below.
        margin: pixels cut from what joins.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        factor: Axes,
        *,
        constant: bool = False,
        activation: str | None = None,
        cropped: Axes | None = None,
        margin: Axes | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit = layers(dims, of="RaisingStep")
        self.constant, self.cropped, self.margin = constant, cropped or (0,) * dims, margin or (0,) * dims
        more = named_activation(activation, of="RaisingStep")
        if constant:
            self.up: Any = Sequential(Upsample(scale_factor=factor), kit.conv(in_channels, out_channels, 1), *more)
        else:
            raising = kit.conv_transpose(in_channels, out_channels, factor, stride=factor)
            self.up = Sequential(raising, *more) if more else raising

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.constant:
            # A 1x1 convolution of copies gives copies: it comes first, where there are fewer pixels.
            copies, weigh, *more = self.up
            for layer in (weigh, copies, *more):
                x = layer(x)
        else:
            x = self.up(x)
        x = cut(x, self.cropped)
        return x if skip is None else mcore.cat((cut(skip, self.margin), x), dim=1)


class PassGate(Module):
    """Weighs the pixels of a map that skips levels by what the coarser one says of them.

    Shapes:
        gate: (n, gate_channels, *coarse less `missing`)
        x: (n, channels, *factor * coarse)
        returns: as x

    Args:
        gate_channels: of the coarser map.
        channels: of the map that is weighed.
        between: channels inside.
        factor: from the coarser map to the other, by axis.
        batch_norm: behind each convolution.
        missing: pixels by which the coarser map is too small, by axis; zeros stand there, the odd one in front.
        dims: 1, 2 or 3.

    Differs: each part has two convolutions, and the weights go through two sigmoids; the map is lowered by its
        maxima. The corners' centres stay where they are when weights are raised.
    """

    def __init__(
        self,
        gate_channels: int,
        channels: int,
        between: int,
        *,
        factor: Axes,
        batch_norm: bool = False,
        missing: Axes | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        ones = [(1,) * dims] * 2
        linear: dict[str, Any] = {"activation": None, "batch_norm": batch_norm, "dims": dims}
        self.W_g = ConvPass(gate_channels, between, ones, **linear)
        lower = layers(dims, of="PassGate").max_pool(factor, stride=factor)
        self.W_x = Sequential(ConvPass(channels, between, ones, **linear), lower)
        self.psi = ConvPass(between, 1, ones, **{**linear, "activation": "Sigmoid"})
        absent = missing or (0,) * dims
        # As torch pads: the last axis first; below nothing, pixels are cut.
        self.around = [pixels for over in reversed(absent) for pixels in (over - over // 2, over // 2)]

    def forward(self, gate: Tensor, x: Tensor) -> Tensor:
        said = self.W_g(gate)
        if any(self.around):
            said = F.pad(said, self.around)
        weights = self.psi(F.relu(said + self.W_x(x)))
        return x * resize(weights, x.shape[2:], align_corners=True)
