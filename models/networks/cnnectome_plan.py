"""Kernels and factors of a CNNectome U-Net as a user gives them, checked level by level."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from models.networks.cnnectome_sizes import Axes, Plan

# One kernel or factor: pixels along every axis, or along each.
Pixels = int | Sequence[int]
# The kernels of each level.
Kernels = Sequence[Sequence[Pixels]]


def plan_of(
    of: str,
    factors: Sequence[Pixels],
    down: Kernels | None,
    up: Kernels | None,
    *,
    padding: str,
    keep_size: bool = False,
    dims: int | None = None,
) -> Plan:
    """The plan of kernels and factors as a user gives them; `of` is the class that asks, named in errors.

    Kernels of four entries begin with time; they stand in `down` alone, before all others.

    Args:
        of: who asks.
        factors: between levels, for every axis or by axis.
        down: kernels of each level on the way down; where left out, two of 3 pixels.
        up: the same, on the way up; the coarsest level has none.
        padding: "same" or "valid".
        keep_size: whether maps keep their sizes; takes "same".
        dims: 1, 2 or 3; where left out, as many as the first entry with axes has.

    Raises:
        ValueError: they don't go together; the message names the level.
    """
    _check_padding(of, padding, keep_size)
    check_list(of, "downsample_factors", factors)
    given: dict[str, Any] = {"downsample_factors": factors, "kernel_size_down": down, "kernel_size_up": up}
    axes = _dims_of(of, given, dims)
    levels = len(factors) + 1
    steps = tuple(axes_of(of, f"downsample_factors[{i}]", factor, axes) for i, factor in enumerate(factors))
    downs = _passes(of, "kernel_size_down", down, levels, axes)
    ups = _passes(of, "kernel_size_up", up, levels - 1, axes)
    spatial, frames = _without_time(of, downs, axes)
    if padding == "same" and any(span is not None for level in frames for span in level):
        raise ValueError(f"{of}: padding='same' keeps frames of time, which have to become one; take 'valid'.")
    if any(len(kernel) != axes for level in ups for kernel in level):
        raise ValueError(f"{of}: kernel_size_up has kernels with time, of which nothing is left on the way up.")
    return Plan(of, axes, steps, spatial, ups, padding, keep_size, frames)


def check_list(of: str, name: str, value: Any) -> None:
    """Refuses what isn't a list.

    Raises:
        ValueError: it isn't.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(
            f"{of}: {name}={value!r} is no list; give one entry for each level or step, as in [{value!r}]."
        )


def _check_padding(of: str, padding: str, keep_size: bool) -> None:
    if padding not in ("same", "valid"):
        raise ValueError(f"{of}: padding={padding!r} is not 'same' or 'valid'.")
    if keep_size and padding != "same":
        raise ValueError(f"{of}: keep_size=True keeps sizes, which padding='valid' doesn't; take padding='same'.")


def _dims_of(of: str, given: dict[str, Any], dims: int | None) -> int:
    """The number of axes in space."""
    kernels = [kernel for name in ("kernel_size_down", "kernel_size_up") for kernel in _flat(of, name, given[name])]
    entries = [*kernels, *given["downsample_factors"]]
    told = [min(len(entry), 3) for entry in entries if isinstance(entry, Sequence)]
    found = dims if dims is not None else told[0] if told else 3
    if found not in (1, 2, 3):
        raise ValueError(f"{of}: dims={dims!r} is not 1, 2 or 3.")
    return found


def _flat(of: str, name: str, kernels: Any) -> list[Any]:
    """All kernels of all levels."""
    found: list[Any] = []
    if kernels is not None:
        check_list(of, name, kernels)
    for level, row in enumerate(kernels or ()):
        if isinstance(row, int | str) or not isinstance(row, Sequence):
            raise ValueError(f"{of}: {name}[{level}]={row!r} is no list of kernels; write [{row!r}, {row!r}] for two.")
        found += row
    return found


def _passes(of: str, name: str, kernels: Kernels | None, levels: int, dims: int) -> tuple[tuple[Axes, ...], ...]:
    """Kernels of each level by axis; what is behind the last level is left out, as the original does."""
    if kernels is None:
        return (((3,) * dims,) * 2,) * levels
    _flat(of, name, kernels)
    if len(kernels) < levels:
        raise ValueError(f"{of}: {name} has kernels for {len(kernels)} levels, but there are {levels}; give the rest.")
    for level in range(levels):
        if not kernels[level]:
            raise ValueError(f"{of}: {name}[{level}] has no kernel; a level takes one or more.")
    return tuple(
        tuple(axes_of(of, f"{name}[{level}]", kernel, dims, time=True) for kernel in kernels[level])
        for level in range(levels)
    )


def axes_of(of: str, name: str, pixels: Any, dims: int, *, time: bool = False) -> Axes:
    """Pixels along each axis, after those along time where it has one.

    Raises:
        ValueError: one is no positive number, or there are others than axes.
    """
    timed = time and dims == 3
    fits = f"one for each of {dims} axes" + (", or of time and them" if timed else "")
    if isinstance(pixels, str) or not isinstance(pixels, Integral | Sequence):
        raise ValueError(f"{of}: {name}: {pixels!r} is no positive number, nor {fits}.")
    found = (pixels,) * dims if isinstance(pixels, Integral) else tuple(pixels)
    whole = all(isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1 for size in found)
    if not whole or (len(found) != dims and not (timed and len(found) == dims + 1)):
        raise ValueError(f"{of}: {name}: {pixels!r} is no positive number, nor {fits}.")
    return tuple(map(int, found))


def _without_time(
    of: str, passes: tuple[tuple[Axes, ...], ...], dims: int
) -> tuple[tuple[tuple[Axes, ...], ...], tuple[tuple[int | None, ...], ...]]:
    """Kernels in space, and how many frames each sees."""
    past = False
    for level, kernels in enumerate(passes):
        for kernel in kernels:
            if past and len(kernel) > dims:
                raise ValueError(
                    f"{of}: kernel_size_down[{level}]: {kernel} has time, but stands behind a kernel without; "
                    "those with time come first."
                )
            past = past or len(kernel) == dims
    spatial = tuple(tuple(kernel[-dims:] for kernel in kernels) for kernels in passes)
    frames = tuple(tuple(kernel[0] if len(kernel) > dims else None for kernel in kernels) for kernels in passes)
    return spatial, frames
