"""Convolution, norm and activation in a row."""

from collections.abc import Sequence

from mcore import Sequential
from models.basicblocks.layers import Factory, activation_layer, layers, norm_layer

# Names of the three that timm uses.
CONV_BN_ACT = ("conv", "bn", "act")


class ConvNormAct(Sequential):
    """Convolution, norm and activation; what is None is left out.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), for odd kernels

    Args:
        kernel_size: pixels along every axis, or along each.
        padding: of every axis; where left out, what keeps the size at stride 1.
        names: of convolution, norm and activation; "0", "1", "2" for those there are, where left out.

    Names: 0, 1, 2 in order, as torchvision's Conv2dNormActivation and segmentation-models' Conv2dReLU have;
    `CONV_BN_ACT` are timm's.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int] = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | None = None,
        norm: str | Factory | None = "batch",
        activation: str | Factory | None = "relu",
        names: tuple[str, str, str] | None = None,
        dims: int = 2,
    ) -> None:
        conv = layers(dims, of="ConvNormAct").conv
        make_norm = norm_layer(norm, dims, of="ConvNormAct")
        row = [
            conv(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=_keeping(kernel_size, dilation) if padding is None else padding,
                dilation=dilation,
                groups=groups,
                # A norm brings its own.
                bias=norm is None if bias is None else bias,
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


def _keeping(kernel_size: int | Sequence[int], dilation: int) -> int | tuple[int, ...]:
    """The padding that keeps the size at stride 1."""
    if isinstance(kernel_size, int):
        return dilation * (kernel_size - 1) // 2
    return tuple(dilation * (pixels - 1) // 2 for pixels in kernel_size)
