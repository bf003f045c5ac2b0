"""Refusals of arguments, in the words that a configuration's mistakes have too."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from mcore import Module


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


def whole_numbers(*, of: str, least: int, **given: Any) -> None:
    """Refuses what is no list of whole numbers, each `least` or more.

    >>> whole_numbers(of="Crop", least=0, crop=[1, -2])
    Traceback (most recent call last):
    ValueError: Crop: crop=[1, -2] is no list of whole numbers from 0 on.

    Raises:
        ValueError: it isn't.
    """
    for name, values in given.items():
        listed = isinstance(values, Sequence) and not isinstance(values, str)
        if not listed or not all(_is_whole(value) and value >= least for value in values):
            shown = list(values) if isinstance(values, tuple) else values
            raise ValueError(f"{of}: {name}={shown!r} is no list of whole numbers from {least} on.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def constructors(*, of: str, optional: Sequence[str] = (), **given: Any) -> None:
    """Refuses what isn't a constructor: a layer that is built, or another value; `optional` names may be None.

    >>> constructors(of="UpConv", conv="Conv2d")
    Traceback (most recent call last):
    TypeError: UpConv: conv is 'Conv2d', but one is made for each place; give a constructor, in a spec with "@mode": "partial".

    Raises:
        TypeError: it isn't.
    """  # noqa: E501  # the message in full
    for name, value in given.items():
        if value is None and name in optional:
            continue
        if isinstance(value, Module) or not callable(value):
            what = f"a {type(value).__name__} that is built" if isinstance(value, Module) else repr(value)
            raise TypeError(
                f"{of}: {name} is {what}, but one is made for each place; give a constructor, "
                'in a spec with "@mode": "partial".'
            )
