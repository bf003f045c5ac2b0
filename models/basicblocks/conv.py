"""Convolution, norm and activation in a row."""

from mcore import Sequential
from models.basicblocks.layers import Factory, activation_layer, layers, norm_layer


class ConvNormAct(Sequential):
    """Convolution, norm and activation; what is None is left out.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride)), for odd kernels

    Names: 0, 1, 2 in order, as torchvision's Conv2dNormActivation and segmentation-models' Conv2dReLU have.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        padding: int | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | None = None,
        norm: str | Factory | None = "batch",
        activation: str | Factory | None = "relu",
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
                padding=dilation * (kernel_size - 1) // 2 if padding is None else padding,
                dilation=dilation,
                groups=groups,
                # A norm brings its own.
                bias=norm is None if bias is None else bias,
            )
        ]
        if make_norm is not None:
            row.append(make_norm(out_channels))
        if activation is not None:
            row.append(activation_layer(activation, of="ConvNormAct"))
        super().__init__(*row)
