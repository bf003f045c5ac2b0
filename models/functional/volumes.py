"""Cutting and padding of volumes about their centre.

Source: the utilities of seung-lab/pytorch-emvision.
"""

from collections.abc import Sequence
from typing import Any

from mcore import Tensor
from mcore import functional as F


def crop_margins(x: Tensor, margin: Sequence[int]) -> Tensor:
    """`x` without `margin[i]` pixels at both ends of its last axes, as many as there are margins.

    >>> from mcore import arange
    >>> crop_margins(arange(6).reshape(1, 1, 6), [2]).tolist()
    [[[2, 3]]]
    """
    # Written as padding, what is left is `size - 2 * margin` where sizes are symbolic; a slice clips at both ends.
    return F.pad(x, [-pixels for pixels in reversed(margin) for _ in range(2)])


def crop3d(x: Tensor, margin: Sequence[int]) -> Tensor:
    """`x` without `margin[i]` voxels at both ends of each of its last three axes.

    Shapes:
        x: (..., z, y, x)
        returns: (..., z - 2 * margin[0], y - 2 * margin[1], x - 2 * margin[2])

    Differs: a negative margin, and one that leaves nothing, are refused; the original gave wrong or empty volumes.

    Raises:
        ValueError: the margins aren't three, or don't fit the volume.
    """
    size = _size("crop3d", x)
    if len(margin) != 3 or any(pixels < 0 for pixels in margin):
        raise ValueError(f"crop3d: margin={tuple(margin)} is not three numbers of voxels, 0 or more.")
    if any(2 * pixels >= whole for pixels, whole in zip(margin, size, strict=True)):
        raise ValueError(f"crop3d: margin={tuple(margin)} on both ends leaves nothing of {_text(size)} voxels.")
    ends: tuple[Any, ...] = (..., *(slice(pixels, -pixels) if pixels else slice(None) for pixels in margin))
    return x[ends]


def crop3d_center(x: Tensor, ref: Tensor) -> Tensor:
    """The middle of `x`, as large as `ref` along the last three axes.

    Shapes:
        x: (..., z, y, x)
        ref: (..., z', y', x'), whose numbers play no part
        returns: (..., z', y', x')

    Raises:
        ValueError: `ref` is larger, or the difference along an axis is odd, so that there is no middle.
    """
    starts = _margins("crop3d_center", _size("crop3d_center", x), _size("crop3d_center", ref))
    middle = (slice(start, start + pixels) for start, pixels in zip(starts, ref.shape[-3:], strict=True))
    ends: tuple[Any, ...] = (..., *middle)
    return x[ends]


def pad3d_center(x: Tensor, ref: Tensor) -> Tensor:
    """`x` in the middle of zeros, in the shape of `ref` and on its device.

    Shapes:
        x: (n, c, z, y, x), where n and c may be 1 and are repeated
        ref: (n', c', z', y', x'), whose numbers play no part
        returns: (n', c', z', y', x')

    Differs: an axis along which nothing is missing stays as it is; the original failed there.

    Raises:
        ValueError: `ref` is smaller, or the difference along an axis is odd, so that there is no middle.
    """
    sizes = _size("pad3d_center", ref), _size("pad3d_center", x)
    margins = _margins("pad3d_center", *sizes)
    around = [margin for margin in reversed(margins) for _ in range(2)]
    return F.pad(x.to(ref.device), around).expand(ref.shape).contiguous()


def residual_sum(x: Tensor, skip: Tensor, margin: Sequence[int], residual: bool) -> Tensor:
    """`x` plus what `crop3d` leaves of `skip`; without `residual`, `x` itself.

    Shapes:
        x: (..., z, y, x)
        skip: (..., z + 2 * margin[0], y + 2 * margin[1], x + 2 * margin[2])
        returns: (..., z, y, x)
    """
    return x + crop3d(skip, margin) if residual else x


def _size(title: str, x: Tensor) -> tuple[int, ...]:
    """Voxels along the last three axes."""
    if x.ndim < 3:
        raise ValueError(f"{title}: a volume has three axes or more, not {x.ndim}.")
    return tuple(x.shape[-3:])


def _margins(title: str, outer: Sequence[int], inner: Sequence[int]) -> list[int]:
    """Voxels by which one size exceeds another at both ends of each axis."""
    missing = [large - small for large, small in zip(outer, inner, strict=True)]
    if any(pixels < 0 or pixels % 2 for pixels in missing):
        raise ValueError(
            f"{title}: {_text(outer)} voxels don't exceed {_text(inner)} by an even number along each axis; crop or "
            "pad one of them by a voxel."
        )
    return [pixels // 2 for pixels in missing]


def _text(size: Sequence[int]) -> str:
    return "x".join(str(int(pixels)) for pixels in size)


__all__ = ["crop3d", "crop3d_center", "crop_margins", "pad3d_center", "residual_sum"]
