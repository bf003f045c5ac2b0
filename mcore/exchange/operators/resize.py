"""Resizing and sampling.

What torch computes alike goes to torch; the rest is computed axis by axis: where each result lies among the elements,
which of them it is made of, and by which weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mcore.exchange.operators.table import Node, axis_of, operator, plain

# mode, coordinates, rounding -> mode and align_corners of torch's interpolate.
_TORCH: dict[tuple[str, str], tuple[str, bool | None]] = {
    ("linear", "half_pixel"): ("linear", False),
    ("linear", "align_corners"): ("linear", True),
    ("cubic", "half_pixel"): ("cubic", False),
    ("cubic", "align_corners"): ("cubic", True),
}
_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


@operator("Resize", numbers=(1, 2, 3), fixed=(1, 2))
def resize(node: Node, x: Tensor, *given: tuple | None) -> Tensor:
    roi, scales, sizes = (*given, None, None, None)[:3]
    if node.version < 11:
        return _resized(_How(node, "asymmetric", "simple"), x, given[0], None, None)
    how = _How(node, node.get("coordinate_transformation_mode", "half_pixel"),
               node.get("nearest_mode", "round_prefer_floor"))  # fmt: skip
    return _resized(how, x, scales or None, sizes, roi)


@operator("Upsample", numbers=(1,), fixed=(1,))
def upsample(node: Node, x: Tensor, scales: tuple | None = None) -> Tensor:
    return _resized(_How(node, "asymmetric", "simple"), x, node.get("scales") if scales is None else scales, None, None)


class _How:
    """What a node says of the way."""

    def __init__(self, node: Node, coordinates: str, rounding: str) -> None:
        self.mode = {"bilinear": "linear"}.get(node.get("mode", "nearest"), node.get("mode", "nearest"))
        self.coordinates, self.rounding = coordinates, rounding
        self.a = node.get("cubic_coeff_a", -0.75)
        self.outside = bool(node.get("exclude_outside", 0))
        self.antialias = bool(node.get("antialias", 0))
        self.fill = node.get("extrapolation_value", 0.0)
        self.axes = node.get("axes")
        self.policy = node.get("keep_aspect_ratio_policy", "stretch")

    def in_torch(self, rank: int) -> tuple[str, bool | None] | None:
        """Torch's name of the same function, where it has one."""
        if self.antialias or rank not in _LINEAR:
            return None
        if self.mode == "nearest":
            names = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
            found = names.get((self.coordinates, self.rounding))
            return None if found is None else (found, None)
        mode, corners = _TORCH.get((self.mode, self.coordinates), ("", None))
        if mode == "linear":
            return _LINEAR[rank], corners
        return ("bicubic", corners) if mode and rank == 4 and self.a == -0.75 and not self.outside else None


def _resized(how: _How, x: Tensor, scales: Any, sizes: Any, roi: Any) -> Tensor:
    axes = [axis_of(a, x.ndim) for a in how.axes] if how.axes else list(range(x.ndim))
    if sizes:
        scales, sizes = _by_policy(how, [x.shape[a] for a in axes], list(sizes))
        changed = [k for k, a in enumerate(axes) if not (plain(sizes[k]) and sizes[k] == x.shape[a])]
    else:
        sizes = [_scaled(x.shape[a], s) for a, s in zip(axes, scales, strict=True)]
        changed = [k for k, s in enumerate(scales) if not (plain(s) and s == 1)]
    if how.coordinates == "tf_crop_and_resize":
        return _cropped(how, x, axes, scales, sizes, roi)
    if not changed:
        return x
    native = how.in_torch(x.ndim)
    if native is not None and all(axes[k] > 1 for k in changed) and x.is_floating_point():
        return _interpolated(x, native, dict(zip(axes, sizes, strict=True)), dict(zip(axes, scales, strict=True)))
    kind = x.dtype
    x = x if kind.is_floating_point or how.mode == "nearest" else x.to(torch.float32)
    for k in changed:
        x = _along(how, x, axes[k], sizes[k], scales[k], _places(how, x, axes[k], sizes[k], scales[k], None))
    return x if x.dtype == kind else _integers(x, kind)


def _integers(x: Tensor, kind: torch.dtype) -> Tensor:
    info = torch.iinfo(kind)
    return torch.clamp(torch.trunc(x), info.min, info.max).to(kind)


def _scaled(size: int, scale: float) -> int:
    if plain(scale) and float(scale).is_integer():
        return size * int(scale)
    return math.floor(size * scale)


def _by_policy(how: _How, before: list[int], wanted: list[int]) -> tuple[list[Any], list[Any]]:
    """Scales and sizes: as wanted, or with one scale for all axes."""
    scales: list[Any] = [m / n for m, n in zip(wanted, before, strict=True)]
    if how.policy == "stretch":
        return scales, wanted
    scale = min(scales) if how.policy == "not_larger" else max(scales)
    return [scale] * len(scales), [math.floor(n * scale + 0.5) for n in before]


def _interpolated(x: Tensor, native: tuple[str, bool | None], sizes: dict[int, Any], scales: dict[int, Any]) -> Tensor:
    mode, corners = native
    spatial = range(2, x.ndim)
    exact = all(plain(scales.get(a, 1.0)) for a in spatial) and corners is not True
    by_scale = exact and all(sizes.get(a, x.shape[a]) == math.floor(x.shape[a] * scales.get(a, 1.0)) for a in spatial)
    if by_scale and any(not _whole(scales.get(a, 1.0)) or not plain(x.shape[a]) for a in spatial):
        factors = [float(scales.get(a, 1.0)) for a in spatial]
        return F.interpolate(x, scale_factor=factors, mode=mode, align_corners=corners, recompute_scale_factor=False)
    return F.interpolate(x, size=[sizes.get(a, x.shape[a]) for a in spatial], mode=mode, align_corners=corners)


def _whole(scale: float) -> bool:
    return float(scale).is_integer()


# --- axis by axis


def _places(how: _How, x: Tensor, axis: int, out: Any, scale: Any, region: tuple[float, float] | None) -> Tensor:
    """Where each result lies among the elements of an axis; in float32, as runtimes reckon."""
    size, at = x.shape[axis], torch.arange(out, device=x.device).to(torch.float32)
    if how.coordinates == "tf_crop_and_resize":
        assert region is not None
        start, end = region
        if out > 1:
            return start * (size - 1) + at * ((end - start) * (size - 1) / (out - 1))
        return at + 0.5 * (start + end) * (size - 1)
    if how.coordinates == "align_corners":
        return at if out == 1 else at * ((size - 1) / (out - 1))
    if how.coordinates == "asymmetric":
        return at / scale
    if how.coordinates == "tf_half_pixel_for_nn":
        return (at + 0.5) / scale
    if how.coordinates == "pytorch_half_pixel" and out == 1:
        return at
    moved = 0.0
    if how.coordinates == "half_pixel_symmetric":
        moved = size / 2 * (1 - out / (scale * size))
    elif how.coordinates not in ("half_pixel", "pytorch_half_pixel"):
        raise NotImplementedError(f"coordinate_transformation_mode={how.coordinates!r}")
    return moved + (at + 0.5) / scale - 0.5


def _along(how: _How, x: Tensor, axis: int, out: Any, scale: Any, places: Tensor) -> Tensor:
    """One axis resized."""
    if how.mode == "nearest":
        return torch.index_select(x, axis, _index(_rounded(how, places, scale), x.shape[axis]))
    base = torch.floor(places)
    shape = [-1 if k == axis else 1 for k in range(x.ndim)]
    total, weights = None, _weights(how, places - base, scale)
    if how.outside:
        weights = [
            (k, torch.where(torch.logical_and(base + k >= 0, base + k <= x.shape[axis] - 1), w, torch.zeros_like(w)))
            for k, w in weights
        ]
        whole = sum(w for _, w in weights)
        weights = [(k, w / whole) for k, w in weights]
    for k, weight in weights:
        part = torch.index_select(x, axis, _index(base + k, x.shape[axis])) * weight.reshape(shape).to(x.dtype)
        total = part if total is None else total + part
    assert total is not None
    return total


def _index(places: Tensor, size: int) -> Tensor:
    return torch.clamp(places.to(torch.int64), 0, size - 1)


def _rounded(how: _How, places: Tensor, scale: Any) -> Tensor:
    if how.rounding == "round_prefer_floor":
        return torch.ceil(places - 0.5)
    if how.rounding == "round_prefer_ceil":
        return torch.floor(places + 0.5)
    if how.rounding == "ceil" or (how.rounding == "simple" and scale < 1):  # before operator set 11
        return torch.ceil(places)
    return torch.floor(places)


def _weights(how: _How, offset: Tensor, scale: Any) -> list[tuple[int, Tensor]]:
    """Neighbours by their distance from the one before the place, each with its weight."""
    reach = 1 if how.mode == "linear" else 2
    stretch = min(scale, 1.0) if how.antialias else 1.0
    reach = math.ceil(reach / stretch)
    kernel = _triangle if how.mode == "linear" else _cubic
    out = [(k, kernel(torch.abs(k - offset) * stretch, how.a)) for k in range(1 - reach, reach + 1)]
    if not how.antialias:
        return out
    whole = sum(w for _, w in out)
    return [(k, w / whole) for k, w in out]


def _triangle(distance: Tensor, a: float) -> Tensor:
    return torch.clamp(1 - distance, min=0)


def _cubic(distance: Tensor, a: float) -> Tensor:
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))


def _cropped(how: _How, x: Tensor, axes: list[int], scales: Any, sizes: Any, roi: Any) -> Tensor:
    """A region resized; what lies outside of the image has a value of its own."""
    inside = None
    for k, axis in enumerate(axes):
        size, region = x.shape[axis], (roi[k], roi[k + len(axes)])
        if region == (0, 1) and plain(sizes[k]) and sizes[k] == size:
            continue
        places = _places(how, x, axis, sizes[k], scales[k], region)
        held = torch.logical_and(places >= 0, places <= size - 1)
        held = held.reshape([-1 if d == axis else 1 for d in range(x.ndim)])
        inside = held if inside is None else torch.logical_and(inside, held)
        x = _along(how, x, axis, sizes[k], scales[k], places)
    return x if inside is None else torch.where(inside, x, torch.full_like(x, how.fill))


# --- grids


@operator("GridSample")
def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.get("mode", "bilinear"), node.get("mode", "bilinear"))
    if mode == "bicubic" and x.ndim != 4:
        raise NotImplementedError("cubic sampling of volumes")
    return F.grid_sample(
        x,
        grid,
        mode=mode,
        padding_mode=node.get("padding_mode", "zeros"),
        align_corners=bool(node.get("align_corners", 0)),
    )


@operator("AffineGrid", numbers=(1,))
def affine_grid(node: Node, theta: Tensor, size: tuple) -> Tensor:
    return F.affine_grid(theta, list(size), align_corners=bool(node.get("align_corners", 0)))
