"""Sizes that go through the levels of a CNNectome U-Net.

Every map loses or gains a fixed number of pixels against the one it comes from, whatever the image's size: whether a
size fits, what it gives, and what is cut from every map follow from kernels and factors alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

from models.sizing import SizeError
from models.utils.coordinate import Coordinate

# Pixels by axis.
Axes = tuple[int, ...]


class MisfitError(SizeError, RuntimeError):
    """A map isn't divisible by a factor, or smaller than a kernel; also a RuntimeError, as the original's is."""


class EquivarianceError(SizeError, AssertionError):
    """Nothing is left of a map once shifts move it by whole steps; also an AssertionError, as the original's is."""


@dataclass(frozen=True)
class Plan:
    """Kernels and factors of all levels, finest first, by axis; `tail` has factors and kernels behind the U-Net.

    `frames` holds, for each kernel of `down`, how many frames it sees; None where there is no time any more.
    """

    of: str
    dims: int
    factors: tuple[Axes, ...]
    down: tuple[tuple[Axes, ...], ...]
    up: tuple[tuple[Axes, ...], ...]
    padding: str
    keep_size: bool = False
    frames: tuple[tuple[int | None, ...], ...] = ()
    tail: tuple[tuple[Axes, tuple[Axes, ...]], ...] = ()

    @property
    def levels(self) -> int:
        return len(self.factors) + 1

    @cached_property
    def time(self) -> int | None:
        """Frames that the input has: those that leave one at the end; None where it has no axis of time."""
        spans = [span for level in self.frames for span in level if span is not None]
        return 1 + sum(span - 1 for span in spans) if spans else None

    def steps(self, level: int) -> Axes:
        """Pixels of this level for one of the coarsest, by axis."""
        return tuple(prod(factor[axis] for factor in self.factors[level:]) for axis in range(self.dims))

    def context(self, level: int) -> Axes:
        """Pixels that convolutions take off on the way up through a level, where they aren't padded."""
        return _lost(self.up[level], self.dims)

    def lost(self, kernels: Sequence[Axes]) -> Axes:
        """Pixels by which a pass makes a map smaller; below nothing where it grows."""
        if self.keep_size:
            return (0,) * self.dims
        if self.padding == "same":
            return tuple(-sum(kernel[axis] % 2 == 0 for kernel in kernels) for axis in range(self.dims))
        return _lost(kernels, self.dims)


def _lost(kernels: Sequence[Axes], dims: int) -> Axes:
    return tuple(sum(kernel[axis] - 1 for kernel in kernels) for axis in range(dims))


class Trace(NamedTuple):
    """Sizes along one axis: before and after the convolutions down, raised, cropped and after those up, by level."""

    entering: list[int]
    left: list[int]
    raised: list[int]
    cropped: list[int]
    given: list[int]
    # Behind each step of the tail.
    tail: list[int]

    @property
    def result(self) -> int:
        return self.tail[-1] if self.tail else self.given[0]


class Fit(NamedTuple):
    """Sizes along one axis that fit: the least, the step from each to the next; what the least gives, and how fast."""

    least: int
    step: int
    result: int
    rate: int
    bottom: int


class Geometry:
    """Sizes of all maps of a plan.

    Raises:
        ValueError: a map from below is larger than the one that it joins.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, axes = plan, range(plan.dims)
        steps = range(plan.levels - 1)
        # Any size of the coarsest map shows what is fixed.
        shown = [self.trace(0, axis) for axis in axes]
        #: Pixels cut from what comes from below, from what joins it, and missing from the gate, by level and axis.
        self.cropped = [tuple(t.raised[level] - t.cropped[level] for t in shown) for level in steps]
        self.margins = [tuple(t.left[level] - t.cropped[level] for t in shown) for level in steps]
        self.missing = [tuple(t.entering[level + 1] - t.given[level + 1] for t in shown) for level in steps]
        for level, margins in enumerate(self.margins):
            if min(margins) < 0:
                axis = margins.index(min(margins))
                raise ValueError(
                    f"{plan.of}: with padding='same', even kernels make the map that comes to level {level} from "
                    f"below {-margins[axis]} pixels larger along axis {axis} than the one it joins; take odd kernels, "
                    "or keep_size=True."
                )

    def trace(self, bottom: int, axis: int) -> Trace:
        """Sizes along an axis whose coarsest map has `bottom` pixels."""
        plan, last = self.plan, self.plan.levels - 1
        entering = [bottom] * plan.levels
        for level in reversed(range(last)):
            entering[level] = entering[level + 1] * plan.factors[level][axis] + plan.lost(plan.down[level])[axis]
        left = [pixels - plan.lost(plan.down[level])[axis] for level, pixels in enumerate(entering)]
        raised, cropped, given = [0] * last, [0] * last, [left[-1]] * plan.levels
        for level in reversed(range(last)):
            raised[level] = given[level + 1] * plan.factors[level][axis]
            over = (raised[level] - plan.context(level)[axis]) % plan.steps(level)[axis]
            cropped[level] = raised[level] - (0 if plan.keep_size else over)
            given[level] = cropped[level] - plan.lost(plan.up[level])[axis]
        tail, pixels = [], given[0]
        for factor, kernels in plan.tail:
            pixels = pixels * factor[axis] - _lost(kernels, plan.dims)[axis]
            tail.append(pixels)
        return Trace(entering, left, raised, cropped, given, tail)

    @cached_property
    def fits(self) -> list[Fit]:
        """Which sizes fit, by axis."""
        return [self._fit(axis) for axis in range(self.plan.dims)]

    def _fit(self, axis: int) -> Fit:
        plan, bottom = self.plan, 1
        # Every map grows with the coarsest.
        while not self._holds(traced := self.trace(bottom, axis), axis):
            bottom += 1
        step = plan.steps(0)[axis]
        rate = prod(factor[axis] for factor, _ in plan.tail)
        return Fit(traced.entering[0], step, traced.result, rate, traced.left[-1])

    def _holds(self, traced: Trace, axis: int) -> bool:
        """Whether something is left of every map."""
        enough = min(*traced.entering, *traced.left, *traced.given, *traced.tail, traced.result) >= 1
        steps = enumerate(self.cropped)
        # What is cropped on any axis has to keep more than its context on all, as in the original.
        return enough and all(
            traced.cropped[level] > self.plan.context(level)[axis] for level, cut in steps if any(cut)
        )

    def output(self, pixels: int, axis: int) -> int | None:
        """Pixels of the result along an axis; None where it doesn't fit."""
        fit = self.fits[axis]
        if pixels < fit.least or (fit.step > 1 and (pixels - fit.least) % fit.step):
            return None
        return fit.result + (pixels - fit.least) * fit.rate

    def field_of_view(self) -> Coordinate:
        """Pixels of the image that one of the result depends on, where it lies so that it sees most."""
        return Coordinate(self._view(axis) for axis in range(self.plan.dims))

    def _view(self, axis: int) -> int:
        """The widest view of the pixels of the result, which repeats with the steps of the coarsest level."""
        plan = self.plan
        steps = plan.steps(0)[axis] * prod(factor[axis] for factor, _ in plan.tail)
        views = []
        for pixel in range(steps):
            first = last = pixel
            for factor, kernels in reversed(plan.tail):
                first, last = first // factor[axis], (last + _lost(kernels, plan.dims)[axis]) // factor[axis]
            first, last = self._seen(0, first, last, axis)
            views.append(last - first + 1)
        return max(views)

    def _seen(self, level: int, first: int, last: int, axis: int) -> tuple[int, int]:
        """Pixels that come to a level on the way down, of which those from `first` to `last` that it gives are made."""
        plan = self.plan
        if level < plan.levels - 1:
            first, last = self._before(plan.up[level], first, last, axis)
            factor, over = plan.factors[level][axis], self.cropped[level][axis] // 2
            below = self._seen(level + 1, (first + over) // factor, (last + over) // factor, axis)
            skipped = self.margins[level][axis] // 2
            first, last = min(below[0] * factor, first + skipped), max((below[1] + 1) * factor - 1, last + skipped)
        return self._before(plan.down[level], first, last, axis)

    def _before(self, kernels: Sequence[Axes], first: int, last: int, axis: int) -> tuple[int, int]:
        """Pixels that come to a pass, of which those from `first` to `last` are made."""
        for kernel in kernels:
            # Those added in front: half a kernel; where the size is kept, an even one adds its odd pixel behind.
            around = (kernel[axis] - self.plan.keep_size) // 2 if self.plan.padding == "same" else 0
            first, last = first - around, last - around + kernel[axis] - 1
        return first, last

    def refuse(self, size: Sequence[int], advice: str) -> None:
        """Says at which level an image of `size` doesn't go on, as the original does; `advice` ends the message.

        Raises:
            MisfitError: a map isn't divisible by a factor, or smaller than a kernel.
            EquivarianceError: nothing is left of a map where it is cropped.
        """
        plan, pixels = self.plan, [*size]
        for level in range(plan.levels):
            pixels = self._passed(pixels, plan.down[level], f"level {level} on the way down", advice)
            if level < plan.levels - 1:
                pixels = self._halved(pixels, level, advice)
        for level in reversed(range(plan.levels - 1)):
            pixels = [a * b for a, b in zip(pixels, plan.factors[level], strict=True)]
            pixels = self._cut(pixels, level, advice)
            pixels = self._passed(pixels, plan.up[level], f"level {level} on the way up", advice)
        for number, (factor, kernels) in enumerate(plan.tail):
            pixels = [a * b for a, b in zip(pixels, factor, strict=True)]
            where = f"step {number} of the super-resolution tail"
            pixels = self._passed(pixels, kernels, where, advice, valid=True)

    def _passed(
        self, pixels: list[int], kernels: Sequence[Axes], where: str, advice: str, *, valid: bool = False
    ) -> list[int]:
        if not valid and self.plan.padding == "same":
            return [a - b for a, b in zip(pixels, self.plan.lost(kernels), strict=True)]
        for kernel in kernels:
            if any(a < b for a, b in zip(pixels, kernel, strict=True)):
                raise MisfitError(
                    f"{self.plan.of}: the map of {tuple(pixels)} pixels is smaller than the kernel {kernel} of {where}"
                    f"{advice}"
                )
            pixels = [a - b + 1 for a, b in zip(pixels, kernel, strict=True)]
        return pixels

    def _halved(self, pixels: list[int], level: int, advice: str) -> list[int]:
        factor = self.plan.factors[level]
        for axis in reversed(range(self.plan.dims)):
            if pixels[axis] % factor[axis]:
                raise MisfitError(
                    f"{self.plan.of}: Can not downsample shape {tuple(pixels)} with factor {factor}, mismatch in "
                    f"spatial dimension {axis} (level {level}){advice}"
                )
        return [a // b for a, b in zip(pixels, factor, strict=True)]

    def _cut(self, pixels: list[int], level: int, advice: str) -> list[int]:
        left = [a - b for a, b in zip(pixels, self.cropped[level], strict=True)]
        enough = all(a > b for a, b in zip(left, self.plan.context(level), strict=True))
        if any(self.cropped[level]) and not enough:
            raise EquivarianceError(
                f"{self.plan.of}: Feature map with shape {tuple(pixels)} is too small to ensure translation "
                f"equivariance with factor {list(self.plan.steps(level))} and following convolutions "
                f"{list(self.plan.up[level])} (level {level}){advice}"
            )
        return left
