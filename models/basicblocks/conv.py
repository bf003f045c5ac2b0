"""Convolution, norm and activation in a row."""

from collections.abc import Sequence

from mcore import Sequential
from models.basicblocks.layers import Choice, activation_layer, layers, norm_layer

# Names of the three that timm uses, and plain ones.
CONV_BN_ACT = ("conv", "bn", "act")
CONV_NORM_ACT = ("conv", "norm", "act")

# Pixels along every axis, or along each.
Pixels = int | Sequence[int]


class ConvNormAct(Sequential):
    """Convolution, norm and activation; what is None is left out.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), for odd kernels; with `transposed`, (n, out_channels,
            *stride * size)

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        kernel_size: pixels along every axis, or along each.
        stride: pixels along every axis, or along each.
        padding: of every axis, or of each; where left out, what keeps the size at stride 1.
        dilation: pixels from one of the kernel to the next.
        groups: into which channels are divided.
        bias: of the convolution; where left out, wherever there is no norm.
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            constructor, or None.
        activation: a name, one with arguments, a constructor, or None.
        transposed: a transposed convolution, which makes the map finer by `stride`.
        names: of convolution, norm and activation; "0", "1", "2" for those there are, where left out.
        dims: 1, 2 or 3.

    Names: 0, 1, 2 in order, as torchvision's Conv2dNormActivation and segmentation-models' Conv2dReLU have;
    `CONV_BN_ACT` are timm's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pixels = 3,
        *,
        stride: Pixels = 1,
        padding: Pixels | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | None = None,
        norm: Choice = "batch",
        activation: Choice = "relu",
        transposed: bool = False,
        names: tuple[str, str, str] | None = None,
        dims: int = 2,
    ) -> None:
        kit, make_norm = layers(dims, of="ConvNormAct"), norm_layer(norm, dims, of="ConvNormAct")
        around = _keeping(kernel_size, dilation) if padding is None else padding
        conv, more = (kit.conv_transpose if transposed else kit.conv), {}
        if transposed:
            more = {"output_padding": _missing(kernel_size, stride, around, dilation, dims)}
        row = [
            conv(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=around,
                dilation=dilation,
                groups=groups,
                # A norm brings its own.
                bias=norm is None if bias is None else bias,
                **more,
            )
        ]
        roles = [0]
        if make_norm is not None:
            row.append(make_norm(out_channels))
            roles.append(1)
        if activation is not None:
            row.append(activation_layer(activation, of="ConvNormAct"))
            roles.append(2)
        super().__init__()
        for number, (role, layer) in enumerate(zip(roles, row, strict=True)):
            self.add_module(str(number) if names is None else names[role], layer)


def each(pixels: Pixels, dims: int) -> tuple[int, ...]:
    """Pixels along each of `dims` axes.

    >>> each(2, 3), each([1, 2, 2], 3)
    ((2, 2, 2), (1, 2, 2))
    """
    return (pixels,) * dims if isinstance(pixels, int) else tuple(pixels)


def _missing(kernel_size: Pixels, stride: Pixels, padding: Pixels, dilation: int, dims: int) -> tuple[int, ...]:
    """Pixels that a transposed convolution leaves short of `stride` times the size, along each axis.

    Raises:
        ValueError: it gives more than that.
    """
    axes = zip(each(kernel_size, dims), each(stride, dims), each(padding, dims), strict=True)
    short = tuple(step + 2 * around - dilation * (size - 1) - 1 for size, step, around in axes)
    if min(short) < 0:
        raise ValueError(
            f"ConvNormAct: kernel_size={kernel_size} with padding={padding} gives more than stride={stride} times "
            "the size; take an odd kernel, or one as large as the stride without padding."
        )
    return short


def _keeping(kernel_size: Pixels, dilation: int) -> int | tuple[int, ...]:
    """The padding that keeps the size at stride 1."""
    if isinstance(kernel_size, int):
        return dilation * (kernel_size - 1) // 2
    return tuple(dilation * (pixels - 1) // 2 for pixels in kernel_size)
