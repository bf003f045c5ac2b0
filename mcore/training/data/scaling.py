"""From what files hold to what networks take: float32, scaled, and normalised by channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcore.training.errors import DataError


class Scaling:
    """`(image * scale - mean) / std` in float32.

    Attributes:
        scale: what values are multiplied by; None: whole numbers are divided by the largest of their type (uint8 by
            255, uint16 by 65535) and then lie within 0 and 1, numbers with a point stay as they are.
        mean: one for all channels, or one for each; of scaled values.
        std: the same.
    """

    def __init__(
        self,
        scale: float | None = None,
        *,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        self.scale = scale
        self.mean = None if mean is None else np.atleast_1d(np.asarray(mean, np.float32))
        self.std = None if std is None else np.atleast_1d(np.asarray(std, np.float32))
        if self.std is not None and not (self.std > 0).all():
            raise DataError(f"std is {std}; each is more than 0.")

    def __call__(
        self, image: np.ndarray, *, name: str, before: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> np.ndarray:
        """An image (c, *size) of any type as float32, C-contiguous; `name` is told in errors.

        `before` is done between scaling and normalising: gray of colours.

        Raises:
            DataError: of a type that holds no numbers, or of another number of channels than mean or std.
        """
        floats = as_float(image, scale=self.scale, name=name)
        if before is not None:
            floats = before(floats)
        for word, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in (1, len(floats)):
                raise DataError(
                    f"{name} has {len(floats)} channels, but {word} has {len(values)} numbers; give 1 or all."
                )
        shape = (-1, *(1,) * (floats.ndim - 1))
        if self.mean is not None:
            floats -= self.mean.reshape(shape)
        if self.std is not None:
            floats /= self.std.reshape(shape)
        return floats


def as_float(image: np.ndarray, *, scale: float | None, name: str) -> np.ndarray:
    """A float32 copy; see `Scaling.scale`.

    >>> as_float(np.array([[0, 255]], np.uint8), scale=None, name="a.png")
    array([[0., 1.]], dtype=float32)
    """
    if image.dtype.kind not in "buif":
        raise DataError(f"{name} holds values of type {image.dtype}; whole numbers or numbers with a point fit.")
    # Byte order and strides of files are none of torch's.
    floats = np.array(image, np.float32, order="C")
    if scale is not None:
        floats *= np.float32(scale)
    elif image.dtype.kind in "ui":
        floats /= np.float32(np.iinfo(image.dtype).max)
    return floats


__all__ = ["Scaling", "as_float"]
