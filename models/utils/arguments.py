"""Refusals of arguments, in the words that a configuration's mistakes have too."""

from collections.abc import Sequence
from typing import Any


def one_of(choices: Sequence[Any], *, of: str, **given: Any) -> None:
    """Refuses an argument that isn't among `choices`; `of` is the class that asks, named in the error.

    >>> one_of(("sum", "product"), of="BAM", join="max")
    Traceback (most recent call last):
    ValueError: BAM: join='max' is not one of 'sum', 'product'.

    Raises:
        ValueError: it isn't.
    """
    for name, value in given.items():
        if value not in choices:
            raise ValueError(f"{of}: {name}={value!r} is not one of {', '.join(map(repr, choices))}.")


def odd(*, of: str, **kernels: int) -> None:
    """Refuses kernels, in pixels along an axis, that don't keep the size.

    >>> odd(of="CBAM", kernel_size=4)
    Traceback (most recent call last):
    ValueError: CBAM: kernel_size=4 is not odd and positive; an odd one keeps the size.

    Raises:
        ValueError: one is even, or less than 1.
    """
    for name, pixels in kernels.items():
        if pixels < 1 or pixels % 2 == 0:
            raise ValueError(f"{of}: {name}={pixels} is not odd and positive; an odd one keeps the size.")
