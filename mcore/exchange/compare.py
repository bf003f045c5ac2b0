"""How near two results are: one number for a whole set of outputs, and what is near enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Relative to the largest value of an output. Float32 through a hundred layers in another order of summation
# differs by some 1e-5; ten times that is still far from what a wrong operator does.
TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}
# Whole numbers may come of floats (argmax, thresholds): this share may differ where two values are nearly equal.
WHOLE_NUMBERS = 1e-3


def tolerance_of(array: np.ndarray) -> float:
    """The largest difference, as `difference` measures it, that two engines may show in such an output."""
    return TOLERANCES.get(array.dtype.name, WHOLE_NUMBERS)


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Floats: the largest distance over the largest expected magnitude. Others: the share of unequal elements.

    NaN equals NaN, and infinity itself; either against a number is an infinite difference, as is another shape.

    >>> difference(np.float32([1.0, 2.0]), np.float32([1.0, 2.5]))
    0.2
    """
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return float("inf")
    if not expected.size:
        return 0.0
    if expected.dtype.name not in TOLERANCES:
        return float(np.mean(got != expected))
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(got[~finite], expected[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    distance = np.abs(got[finite] - expected[finite]).max()
    if distance == 0.0:
        return 0.0
    # Where all that is expected is zero, the distance itself counts.
    return float(distance / (np.abs(expected[finite]).max() or 1.0))


def unlike(name: str, got: np.ndarray, expected: np.ndarray, tolerance: float | None = None) -> str | None:
    """What is wrong with an output, in words; None where it is near enough."""
    if got.shape != expected.shape:
        return f"output {name} has shape {got.shape} instead of {expected.shape}"
    if got.dtype != expected.dtype:
        return f"output {name} has type {got.dtype} instead of {expected.dtype}"
    found, allowed = difference(got, expected), tolerance_of(expected) if tolerance is None else tolerance
    if found <= allowed:
        return None
    kind = "relative difference" if expected.dtype.name in TOLERANCES else "share of unequal elements"
    return f"output {name} differs: {kind} {found:.1e}, allowed {allowed:.0e}"


def largest(got: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The largest difference over a set of outputs."""
    return max((difference(a, b) for a, b in zip(got, expected, strict=True)), default=0.0)


def verdict(
    names: Sequence[str], got: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float | None = None
) -> tuple[float, list[str]]:
    """The largest difference over the outputs `names`, and what is wrong with them, in words; nothing if all fit."""
    if len(got) != len(expected):
        return float("inf"), [f"{len(got)} outputs instead of the {len(expected)} that stand there"]
    wrong = [unlike(*triple, tolerance) for triple in zip(names, got, expected, strict=True)]
    return largest(got, expected), [text for text in wrong if text]
