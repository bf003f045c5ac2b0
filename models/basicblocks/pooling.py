"""Means of small windows, for maps of any size.

torch's mean of volumes, unlike those of images and sequences, wants every axis to hold a whole window before
padding is counted; a network of 32 strides would so refuse 16 slices. Here volumes are padded first instead.
"""

from mcore import ConstantPad3d, Module, Sequential, Tensor
from mcore import functional as F
from models.basicblocks.layers import layers


def mean_of_two(stride: int, *, dims: int) -> Module:
    """The mean of windows of 2 pixels along every axis, of those that there are at the end.

    Shapes:
        x: (n, channels, *size)
        returns: (n, channels, *ceil(size / stride)); at a stride of 1, zeros follow the last pixels
    """
    if stride == 1:
        return _WithNext(dims)
    if dims == 3:
        return _Filled(stride)
    return layers(dims, of="mean_of_two").avg_pool(2, stride=stride, ceil_mode=True, count_include_pad=False)


def mean_of_three(stride: int, *, dims: int) -> Module:
    """The mean of windows of 3 pixels along every axis, around which there are zeros.

    Shapes:
        x: (n, channels, *size)
        returns: (n, channels, *ceil(size / stride))
    """
    pool = layers(dims, of="mean_of_three").avg_pool
    return Sequential(ConstantPad3d(1, 0.0), pool(3, stride=stride)) if dims == 3 else pool(3, stride, padding=1)


class _WithNext(Module):
    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims, self.pool = dims, layers(dims, of="mean_of_two").avg_pool(2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.pad(x, (0, 1) * self.dims))


class _Filled(Module):
    """Where a window lacks pixels, the last is repeated, which leaves its mean as it is."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride, self.pool = stride, layers(3, of="mean_of_two").avg_pool(2, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        missing = [amount for size in reversed(x.shape[2:]) for amount in (0, -size % self.stride)]
        return self.pool(F.pad(x, missing, mode="replicate"))
