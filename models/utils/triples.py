"""Sums of sizes along z, y and x, and what kernels take off them.

Source: the utilities of seung-lab/pytorch-emvision.
"""

from collections.abc import Sequence
from typing import Any

from models.utils.arguments import one_of

Triple = tuple[int, int, int]


def sum3(x: Sequence[int], y: Sequence[int]) -> Triple:
    """`x + y` along each of three axes.

    >>> sum3((1, 2, 3), (4, 5, 6))
    (5, 7, 9)
    """
    return x[0] + y[0], x[1] + y[1], x[2] + y[2]


def sub3(x: Sequence[int], y: Sequence[int]) -> Triple:
    """`x - y` along each of three axes.

    >>> sub3((5, 5, 5), (1, 2, 3))
    (4, 3, 2)
    """
    return x[0] - y[0], x[1] - y[1], x[2] - y[2]


def mul3(x: Sequence[int], y: Sequence[int]) -> Triple:
    """`x * y` along each of three axes.

    >>> mul3((1, 2, 3), (2, 2, 2))
    (2, 4, 6)
    """
    return x[0] * y[0], x[1] * y[1], x[2] * y[2]


def div3(x: Sequence[int], y: Sequence[int]) -> Triple:
    """`x // y` along each of three axes, rounded down.

    >>> div3((4, 6, -5), (2, 2, 2))
    (2, 3, -3)

    Raises:
        ZeroDivisionError: `y` has a zero.
    """
    return x[0] // y[0], x[1] // y[1], x[2] // y[2]


def triple(value: int | Sequence[int], *, of: str, name: str) -> Triple:
    """Three whole numbers: one for every axis, or those given; `of` asks for the argument `name`.

    >>> triple(3, of="pad_size", name="kernel_size"), triple([1, 3, 3], of="pad_size", name="kernel_size")
    ((3, 3, 3), (1, 3, 3))

    Raises:
        ValueError: they aren't, or one is less than 1.
    """
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    found: Any = value if listed else (value,) * 3
    if len(found) != 3 or any(type(size) is not int or size < 1 for size in found):
        raise ValueError(f"{of}: {name}={value!r} is no positive number, nor three, along z, y and x.")
    return found[0], found[1], found[2]


def pad_size(kernel_size: int | Sequence[int], mode: str) -> Triple:
    """Voxels of padding on both ends of each axis: none ("valid"), what keeps the size ("same"), or all ("full").

    >>> pad_size((1, 3, 5), "same"), pad_size(3, "valid"), pad_size(3, "full")
    ((0, 1, 2), (0, 0, 0), (2, 2, 2))

    Raises:
        ValueError: another mode, or an even kernel for "same", which no padding on both ends keeps.
    """
    one_of(("valid", "same", "full"), of="pad_size", mode=mode)
    kernel = triple(kernel_size, of="pad_size", name="kernel_size")
    if mode == "valid":
        return 0, 0, 0
    if mode == "full":
        return sub3(kernel, (1, 1, 1))
    if any(size % 2 == 0 for size in kernel):
        raise ValueError(f"pad_size: kernel_size={kernel_size!r} has an even number, which doesn't keep the size.")
    return div3(kernel, (2, 2, 2))


def crop_margin(kernel_size: int | Sequence[int], mode: str) -> Triple:
    """Voxels that a convolution takes off both ends of each axis: none ("same"), or half a kernel ("valid").

    >>> crop_margin((1, 3, 3), "valid")
    (0, 1, 1)

    Raises:
        ValueError: another mode, or an even kernel.
    """
    one_of(("same", "valid"), of="crop_margin", mode=mode)
    return (0, 0, 0) if mode == "same" else pad_size(kernel_size, "same")
