"""Zeros around a map as TensorFlow's "same" padding places them: where their number is odd, one more behind.

Convolutions here pad both sides alike. The two differ where a convolution strides and an axis has an even number of
pixels; weights that were trained with one give other results with the other.
"""

from typing import Literal

from mcore import Identity, Module, Tensor
from mcore import functional as F

# How a convolution that strides pads: both sides alike, like TensorFlow for what comes, or as that would for an axis of
# so many pixels.
Padding = Literal["even", "same"] | int


class SamePad(Module):
    """Zeros before and after each axis, for a convolution of odd kernel to give `ceil(pixels / stride)` of them.

    Shapes:
        x: (n, channels, *size)
        returns: (n, channels, *more)

    Args:
        kernel_size: of the convolution that follows, at least `stride`.
        stride: of that convolution.
        pixels: an axis for which zeros are counted, whichever comes; None counts for what comes.

    >>> from mcore import ones
    >>> SamePad(3, 2)(ones(1, 1, 4)).tolist(), SamePad(3, 2)(ones(1, 1, 3)).tolist()
    ([[[1.0, 1.0, 1.0, 1.0, 0.0]]], [[[0.0, 1.0, 1.0, 1.0, 0.0]]])
    """

    def __init__(self, kernel_size: int, stride: int, *, pixels: int | None = None) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.pixels = kernel_size, stride, pixels

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:] if self.pixels is None else [self.pixels] * (x.ndim - 2)
        # What the last step of the kernel lacks.
        missing = [self.kernel_size - 1 - (pixels - 1) % self.stride for pixels in size]
        return F.pad(x, [zeros for lack in reversed(missing) for zeros in (lack // 2, lack - lack // 2)])

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, pixels={self.pixels}"


def padding_of(padding: Padding, kernel_size: int, *, stride: int, dilation: int, of: str) -> tuple[Module, int]:
    """What goes before a convolution, and the padding of the convolution itself.

    Raises:
        ValueError: an even kernel, or no such padding.
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"{of}: kernel_size={kernel_size} is even; an odd one keeps the size.")
    check_padding(padding, of=of)
    if padding == "even" or stride == 1:
        return Identity(), dilation * (kernel_size // 2)
    if dilation > 1:
        raise ValueError(f"{of}: padding={padding!r} with stride={stride} takes no dilation={dilation}.")
    return SamePad(kernel_size, stride, pixels=None if padding == "same" else int(padding)), 0


def check_padding(padding: Padding, *, of: str) -> None:
    """Refuses what is no padding."""
    if padding not in ("even", "same") and not (isinstance(padding, int) and padding > 0):
        raise ValueError(f"{of}: padding={padding!r} is not 'even', 'same' or a number of pixels.")


def after(padding: Padding, stride: int) -> Padding:
    """The padding of what follows a stride: pixels become fewer."""
    return -(-padding // stride) if isinstance(padding, int) else padding
