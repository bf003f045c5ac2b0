"""Initial weights by rule."""

import math
from typing import Any

from mcore import Module, init


def kaiming_fan_out(net: Module) -> None:
    """Draws every convolution's weight so that gradients keep their variance through ReLU.

    Source: He et al., "Delving Deep into Rectifiers", arXiv:1502.01852, equation 14, as torchvision does.
    """
    for module in net.modules():
        weight = getattr(module, "weight", None)
        # Norms have vectors, linear layers and embeddings matrices.
        if weight is not None and weight.ndim > 2 and type(module).__name__.startswith("Conv"):
            init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def normal_fan_out(net: Module) -> None:
    """Draws every convolution's weight as `kaiming_fan_out` does, counting only the outputs that an input reaches.

    In a depthwise convolution that is one channel, not all. Biases of convolutions become zero.

    Source: He et al., arXiv:1502.01852, equation 14, with groups, as the code published with EfficientNet does.
    """
    for module in net.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is not None and weight.ndim > 2 and type(module).__name__.startswith("Conv"):
            groups: Any = module.groups
            reached = math.prod(map(int, weight.shape)) // int(weight.shape[1]) // groups
            init.normal_(weight, 0.0, math.sqrt(2.0 / reached))
            if bias is not None:
                init.zeros_(bias)


def truncated_normal(net: Module, *, std: float = 0.02) -> None:
    """Draws the weights of linear layers and convolutions from a normal, cut at two units; their biases are 0.

    Source: Touvron et al., "Training data-efficient image transformers", arXiv:2012.12877, section 6, as timm does
    for transformers and ConvNeXt.
    """
    for module in net.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is not None and type(module).__name__.startswith(("Conv", "Linear")):
            # Two units of weight as in timm's networks, not two deviations: hardly anything is cut.
            init.trunc_normal_(weight, std=std)
            if bias is not None:
                init.zeros_(bias)


def xavier(net: Module) -> None:
    """Draws every convolution's weight so that what passes forwards and backwards keeps its variance; biases are 0.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16, as SSD does.
    """
    for module in net.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is not None and weight.ndim > 2 and type(module).__name__.startswith("Conv"):
            init.xavier_uniform_(weight)
            if bias is not None:
                init.zeros_(bias)


def kaiming_fan_in(net: Module, *, slope: float = 0.0) -> None:
    """Draws every convolution's weight so that maps keep their variance through an activation of this slope below 0.

    Transposed convolutions and biases stay as they are.

    Source: He et al., arXiv:1502.01852, equations 10 and 15.
    """
    for module in net.modules():
        if type(module).__name__ in ("Conv1d", "Conv2d", "Conv3d"):
            weight: Any = module.weight
            init.kaiming_normal_(weight, a=slope, mode="fan_in", nonlinearity="leaky_relu")
