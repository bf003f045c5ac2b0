"""Arithmetic on numbers of channels."""


def divisible(channels: float, divisor: int = 8, *, least: int | None = None, loss: float = 0.1) -> int:
    """The multiple of `divisor` nearest to `channels`, at least `least`, a half being rounded up.

    Where rounding would lose more than the share `loss`, it is the next larger one.

    Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244; published weights follow this rule.

    >>> divisible(36), divisible(9), divisible(4)
    (40, 16, 8)
    """
    rounded = max(least or divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < (1.0 - loss) * channels else rounded
