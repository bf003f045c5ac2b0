"""Initial weights by rule."""

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
