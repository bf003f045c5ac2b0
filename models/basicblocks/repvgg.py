"""RepVGG's block: three branches to train, one convolution to run.

Source: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", arXiv:2101.03697, figures 2 and 4.
Names: attributes are timm's.
"""

from typing import Any

import mcore
from mcore import Module, Tensor
from mcore import functional as F
from models.basicblocks.conv import CONV_BN_ACT, ConvNormAct
from models.basicblocks.layers import layers


class RepVGG(Module):
    """`relu(norm(conv3x3(x)) + norm(conv1x1(x)) + norm(x))`; the last only where shapes fit.

    Shapes:
        x: (n, in_channels, *size)
        returns: (n, out_channels, *ceil(size / stride))

    Args:
        in_channels: of what comes.
        out_channels: of the result.
        stride: of both convolutions.
        dilation: of the 3x3 convolution.
        groups: of both convolutions.
        fused: builds the form to run: one 3x3 convolution, `reparam_conv`, with a bias.
        dims: 1, 2 or 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        fused: bool = False,
        dims: int = 2,
    ) -> None:
        super().__init__()
        kit, self.is_fused = layers(dims, of="RepVGG"), fused
        shape: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
        self._options = {**shape, "dims": dims}
        self._channels = in_channels, out_channels
        if fused:
            self.reparam_conv = kit.conv(in_channels, out_channels, 3, padding=dilation, **shape)
            return
        part: dict[str, Any] = {"stride": stride, "groups": groups, "activation": None, "names": CONV_BN_ACT}
        fits = stride == 1 and in_channels == out_channels
        self.identity = kit.batch_norm(in_channels) if fits else None
        self.conv_kxk = ConvNormAct(in_channels, out_channels, 3, dilation=dilation, dims=dims, **part)
        self.conv_1x1 = ConvNormAct(in_channels, out_channels, 1, dims=dims, **part)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_fused:
            return F.relu(self.reparam_conv(x))
        y = self.conv_1x1(x) + self.conv_kxk(x)
        return F.relu(y if self.identity is None else y + self.identity(x))

    def fused(self) -> "RepVGG":
        """The same function in eval mode, as one convolution and a ReLU.

        >>> block = RepVGG(4, 4).eval()
        >>> [name for name, _ in block.fused().named_parameters()]
        ['reparam_conv.weight', 'reparam_conv.bias']
        """
        if self.is_fused:
            return self
        block = RepVGG(*self._channels, fused=True, **self._options)
        state = self.fused_state()
        weight = state["reparam_conv.weight"]
        block.to(dtype=weight.dtype, device=weight.device).load_state_dict(state)
        return block.eval()

    def fused_state(self) -> dict[str, Tensor]:
        """The state of the fused form."""
        large: Any = self.conv_kxk
        single: Any = self.conv_1x1
        with mcore.no_grad():
            weight, bias = _folded(large.conv.weight, large.bn)
            small, shift = _folded(single.conv.weight, single.bn)
            # A 1x1 kernel stands in the middle of a 3x3 kernel.
            middle = (1, 1) * (weight.ndim - 2)
            weight, bias = weight + F.pad(small, middle), bias + shift
            if self.identity is not None:
                same, shift = _folded(self._unit(small), self.identity)
                weight, bias = weight + F.pad(same, middle), bias + shift
        return {"reparam_conv.weight": weight, "reparam_conv.bias": bias}

    def _unit(self, small: Tensor) -> Tensor:
        """The 1x1 kernel that gives what comes: of each group, a unit matrix."""
        channels, width = int(small.shape[0]), int(small.shape[1])
        unit = mcore.eye(width, dtype=small.dtype, device=small.device)
        return mcore.cat([unit] * (channels // width), dim=0).reshape(small.shape)


def _folded(weight: Tensor, norm: Any) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that is followed by a norm with its running statistics."""
    scale = norm.weight / mcore.sqrt(norm.running_var + norm.eps)
    scales = scale.reshape(-1, *(1 for _ in range(weight.ndim - 1)))
    return weight * scales, norm.bias - norm.running_mean * scale
