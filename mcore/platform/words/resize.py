"""Resizing: F.interpolate in every mode, by the operator Resize where it is right, else by tables.

torch reads position `scale * (i + 0.5) - 0.5` (or `scale * i` between aligned corners), where `scale` is
`1 / scale_factor` as given, or in / out. Resize does the same for whole factors, halves and given sizes.
Elsewhere a table says what each output takes of each input: an index (nearest), or a row of a matrix (all
other modes).
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError
from mcore.platform.graph import current
from mcore.platform.tensor import Tensor, constant, emit, ints
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain
from mcore.platform.words._pieces import reshape, squeeze, unary, unsqueeze
from mcore.platform.words._spatial import (
    Table,
    along,
    always_equal,
    amount,
    calc,
    calc_cast,
    calc_sum,
    column,
    pick,
    refuse_integers,
    row,
    span,
)  # fmt: skip
from mcore.platform.words.adaptive import average_to

_HALVES = (dtypes.float16, dtypes.bfloat16)
_RANK = {"linear": 3, "bilinear": 4, "bicubic": 4, "trilinear": 5, "lanczos": 4}
_SMOOTH = "linear | bilinear | bicubic | trilinear"
# Beyond this size one row of a matrix costs more than the few taps of Resize.
LARGEST_MATRIX = 160
# From this factor on, only an axis of size 1 keeps its size.
SHORTEST_GROWTH = 1.5
# Windows of the filters, in input pixels, and the cubic coefficient with and without antialias.
REACH = {"linear": 2.0, "cubic": 4.0, "lanczos": 6.0}
CUBIC, CUBIC_ANTIALIAS = -0.75, -0.5
WHY_FIXED = "interpolate of uint8 takes sizes as fixed numbers"


# --- arguments


def _per_axis(value: Any, rank: int, shape: Sequence[int], what: str) -> list:
    if not isinstance(value, tuple | list):
        return [value] * rank
    if len(value) == rank:
        return list(value)
    spatial = plain(shape[2:])
    if what == "size":
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            "spatial dimensions "
            f"of {spatial} and output size of {value}. Please provide input tensor in (N, C, d1, d2, "
            "...,dK) format "
            "and output size in (o1, o2, ...,oK) format."
        )
    raise ValueError(
        "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
        f"dimensions of {spatial} and scale_factor of shape {value}. Please provide input tensor in "
        "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
    )


def _scaled_size(size: int, scale: float) -> int:
    """`floor(size * scale)`, as sizes do it where the scale is a short fraction."""
    over, under = float(scale).as_integer_ratio()
    if under <= 1024 and over < 2**20:
        return size * over // under
    return math.floor(size * float(scale))


def _targets(
    shape: Sequence[int], size: Any, scale_factor: Any, recompute: bool | None, mode: str
) -> tuple[list[int], list[float | None]]:
    """Output sizes, and the scale factors by which positions are read (None: by the sizes)."""
    rank = len(shape) - 2
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        sizes = _per_axis(size, rank, shape, "size")
        for s in sizes:
            if not isinstance(s, int | np.integer):
                raise TypeError(
                    "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, "
                    "int, int], but "
                    f"got size with types {[type(s) for s in sizes]}"
                )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        return [s if type(s) is Dim else int(s) for s in sizes], [None] * rank
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    scales = _per_axis(scale_factor, rank, shape, "scale")
    sizes = [_scaled_size(s, f) for s, f in zip(shape[2:], scales, strict=True)]
    if recompute or mode == "area":
        return sizes, [None] * rank
    return sizes, [float(f) for f in scales]


def _check_mode(mode: str, rank: int, align_corners: bool | None, antialias: bool) -> None:
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(f"align_corners option can only be set with the interpolating modes: {_SMOOTH}")
    elif mode == "lanczos":
        if align_corners:
            raise ValueError("Lanczos mode does not support align_corners=True")
        if not antialias:
            raise ValueError("Lanczos mode requires antialias=True")
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and rank == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if rank in (3, 4, 5) and mode in _RANK and _RANK[mode] != rank:
        raise NotImplementedError(f"Got {rank}D input, but {mode} mode needs {_RANK[mode]}D input")
    if rank not in (3, 4, 5) or mode not in ("nearest", "area", "nearest-exact", *_RANK):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{rank}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | "
            "nearest-exact "
            f"(got {mode})"
        )


# --- the operator


def _operator(x: Tensor, targets: dict[int, int], scales: dict[int, float] | None, **attributes: Any) -> Tensor:
    """Resize over the axes of `targets`.

    The runtime is fast on four axes whose last two are resized, and on nothing else: one spatial axis gets a
    second of size 1; three are resized as depth beside the whole plane, then as planes of all depths.
    """

    def resize(plane: Tensor, axes: tuple[int, int]) -> Tensor:
        """`plane`, whose last two axes are those of `x` (a negative one: not to be resized)."""
        sizes = [targets.get(axis, plane.shape[2 + k]) for k, axis in enumerate(axes)]
        factors = None if scales is None else [scales.get(axis, 1.0) for axis in axes]
        return _resize_plane(plane, sizes, factors, attributes)

    if x.ndim == 4:
        return resize(x, (2, 3))
    if x.ndim == 3:
        return squeeze(resize(unsqueeze(x, 2), (-1, 2)), 2)
    (n, c, d, h, w), plane = x.shape, x
    if 2 in targets:
        plane, d = resize(reshape(x, (n, c, d, h * w)), (2, -1)), targets[2]
    if 3 in targets or 4 in targets:
        plane = resize(reshape(plane, (n, c * d, h, w)), (3, 4))
    return reshape(plane, (n, c, d, targets.get(3, h), targets.get(4, w)))


def _resize_plane(x: Tensor, sizes: list[int], factors: list[float] | None, attributes: dict) -> Tensor:
    shape, axes = (*x.shape[:2], *sizes), {"axes": (2, 3)}
    if factors is not None:
        scales = constant(np.array(factors, np.float32))
        return emit("Resize", [x, None, scales], shape, x._dtype, **axes, **attributes)
    return emit("Resize", [x, None, None, ints(sizes)], shape, x._dtype, **axes, **attributes)


# --- nearest


@functools.lru_cache(maxsize=256)
def _floors_whole(factor: int) -> bool:
    """Whether torch's float32 arithmetic gives `i // factor` for every output index that occurs."""
    places = np.arange(max(factor, 1) * 4096, dtype=np.float32)
    return bool(
        (np.floor(places * np.float32(1.0 / factor)).astype(np.int64) == places.astype(np.int64) // factor).all()
    )


def _whole_factor(size: int, out: int, scale: float | None, exact: bool) -> int | None:
    """The whole number by which an axis grows at every size, if it does."""
    if scale is not None:
        factor = int(scale) if scale >= 1 and float(scale).is_integer() else 0
    else:
        factor = int(out) // int(size) if int(size) else 0
        if not factor or not always_equal(size * factor, out):
            return None
    return factor if factor and (exact or _floors_whole(factor)) else None


def _position_scale(size: int, out: int, scale: float | None, kind: dtype) -> Table:
    """What an output index is multiplied by, in torch's arithmetic."""
    if scale is not None and scale > 0:
        return np.asarray(1.0 / scale, kind.numpy)
    return calc("Div", amount(size, kind), amount(out, kind))


def _nearest_places(size: int, out: int, scale: float | None, exact: bool, plane: int | None) -> Table:
    """The input index of every output index; `plane`: height and width of the result together, of images."""
    places = span(out, dtypes.float32)
    if exact:
        places = calc("Add", places, np.float32(0.5))
    places = calc("Floor", calc("Mul", places, _position_scale(size, out, scale, dtypes.float32)))
    places = calc("Min", calc_cast(places, dtypes.int64), amount(size - 1))
    if plane is None or scale is None or exact:
        return places
    for factor in (1, 2):
        if factor < scale < factor + 0.5:
            # torch's kernel for small images takes a short cut that its others don't.
            short = calc(
                "And",
                calc("Equal", amount(out), amount(size * factor)),
                calc("Less", amount(plane), amount(129)),
            )
            places = calc("Where", short, calc("Div", span(out), amount(factor)), places)
    return places


def _nearest(x: Tensor, sizes: list[int], scales: list[float | None], exact: bool) -> Tensor:
    _refuse_all_but_bytes(x, "upsample_nearest")
    whole: dict[int, int] = {}
    plane = sizes[0] + sizes[1] if len(sizes) == 2 else None
    for k, (out, scale) in enumerate(zip(sizes, scales, strict=True)):
        axis = 2 + k
        size = x.shape[axis]
        if always_equal(size, out) and (scale is None or scale == 1):
            continue
        factor = _whole_factor(size, out, scale, exact)
        # float64 has no kernel; through float32 it would lose digits.
        if factor is not None and x._dtype is not dtypes.float64:
            whole[axis] = factor
            continue
        places = _nearest_places(size, out, scale, exact, plane)
        if isinstance(places, Tensor) or not np.array_equal(places, np.arange(int(size))):
            x = pick(x, places, axis)
    if not whole:
        return x
    targets = {axis: x.shape[axis] * factor for axis, factor in whole.items()}
    factors = {axis: float(factor) for axis, factor in whole.items()}
    return _operator(
        x, targets, factors, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )  # fmt: skip


def _refuse_all_but_bytes(x: Tensor, name: str) -> None:
    if x._dtype is not dtypes.uint8:
        refuse_integers(x, name)


# --- matrices


def _step(size: int, out: int, scale: float | None, kind: dtype) -> Table:
    """`_position_scale`, but 1 where the size stays as it is: torch copies such axes whatever the scale."""
    step = _position_scale(size, out, scale, kind)
    if scale is None or not 1 < scale < SHORTEST_GROWTH:
        return step
    return calc("Where", calc("Equal", amount(out), amount(size)), _number(1, kind), step)


def _positions(size: int, out: int, scale: float | None, align: bool, copies: bool, kind: dtype) -> Table:
    """The input position of every output index, (out, 1); `copies`: an axis that keeps its size is copied."""
    places, half = column(span(out, kind)), np.asarray(0.5, kind.numpy)
    if align:
        steps = amount(dims.dim_max(out - 1, 1), kind)
        if type(out) is not Dim and out == 1:
            return calc("Mul", places, np.asarray(0.0, kind.numpy))
        return calc("Mul", places, calc("Div", amount(size - 1, kind), steps))
    step = (_step if copies else _position_scale)(size, out, scale, kind)
    return calc("Sub", calc("Mul", calc("Add", places, half), step), half)


def _number(value: float, kind: dtype) -> np.ndarray:
    return np.asarray(value, kind.numpy)


def _hat(distance: Table, kind: dtype) -> Table:
    """`max(0, 1 - distance)`: the linear filter."""
    return calc("Max", calc("Sub", _number(1, kind), distance), _number(0, kind))


def _polynomial(x: Table, factors: Sequence[float], kind: dtype) -> Table:
    """Horner's rule, highest power first."""
    out: Table = _number(factors[0], kind)
    for factor in factors[1:]:
        out = calc("Mul", out, x)
        if factor:
            out = calc("Add", out, _number(factor, kind))
    return out


def _cubic(distance: Table, a: float, kind: dtype) -> Table:
    """The cubic convolution filter."""
    near = _polynomial(distance, (a + 2, -(a + 3), 0, 1), kind)
    far = _polynomial(distance, (a, -5 * a, 8 * a, -4 * a), kind)
    far = calc("Where", calc("Less", distance, _number(2, kind)), far, _number(0, kind))
    return calc("Where", calc("Less", distance, _number(1, kind)), near, far)


def _sinc(x: Table, kind: dtype) -> Table:
    x = calc("Mul", x, _number(np.pi, kind))
    zero = calc("Equal", x, _number(0, kind))
    safe = calc("Where", zero, _number(1, kind), x)
    return calc("Where", zero, _number(1, kind), calc("Div", calc("Sin", safe), safe))


def _lanczos(distance: Table, kind: dtype) -> Table:
    """Lanczos' windowed sinc with three lobes."""
    wave = calc("Mul", _sinc(distance, kind), _sinc(calc("Div", distance, _number(3, kind)), kind))
    return calc("Where", calc("Less", distance, _number(3, kind)), wave, _number(0, kind))


def _linear_matrix(size: int, positions: Table, kind: dtype) -> Table:
    inside = calc("Min", calc("Max", positions, _number(0, kind)), amount(size - 1, kind))
    return _hat(calc("Abs", calc("Sub", inside, row(span(size, kind)))), kind)


def _cubic_matrix(size: int, positions: Table, kind: dtype) -> Table:
    """Four taps; those beyond the border count for the border's pixel."""
    first, total = calc("Floor", positions), None
    place, last = row(span(size, kind)), amount(size - 1, kind)
    for k in (-1, 0, 1, 2):
        tap = calc("Add", first, _number(k, kind))
        weight = _cubic(calc("Abs", calc("Sub", positions, tap)), CUBIC, kind)
        here = calc("Equal", place, calc("Min", calc("Max", tap, _number(0, kind)), last))
        part = calc("Where", here, weight, _number(0, kind))
        total = part if total is None else calc("Add", total, part)
    return total


def _antialias_matrix(size: int, out: int, scale: float | None, align: bool, filter: str, kind: dtype) -> Table:
    """A filter as wide as what one output pixel covers, cut at the border and normalized."""
    one, half = _number(1, kind), _number(0.5, kind)
    if align:
        steps = amount(dims.dim_max(out - 1, 1), kind)
        step = calc("Div", amount(size - 1, kind), steps)
        if type(out) is not Dim and out == 1:
            step = _number(0, kind)
    else:
        step = _step(size, out, scale, kind)
    wide = calc("Max", step, one)
    reach = calc("Mul", wide, _number(REACH[filter] / 2, kind))
    center = calc("Mul", calc("Add", column(span(out, kind)), half), step)
    place = row(span(size, kind))
    low = calc("Floor", calc("Max", calc("Add", calc("Sub", center, reach), half), _number(0, kind)))
    high = calc("Floor", calc("Add", calc("Add", center, reach), half))
    distance = calc("Abs", calc("Div", calc("Add", calc("Sub", place, center), half), wide))
    if filter == "linear":
        weight = _hat(distance, kind)
    else:
        weight = _cubic(distance, CUBIC_ANTIALIAS, kind) if filter == "cubic" else _lanczos(distance, kind)
    inside = calc("And", calc("GreaterOrEqual", place, low), calc("Less", place, high))
    weight = calc("Where", inside, weight, _number(0, kind))
    return calc("Div", weight, calc_sum(weight, 1))


def _matrix(size: int, out: int, scale: float | None, align: bool, filter: str, antialias: bool, kind: dtype) -> Table:
    if antialias:
        return _antialias_matrix(size, out, scale, align, filter, kind)
    positions = _positions(size, out, scale, align, filter == "linear", kind)
    return (_linear_matrix if filter == "linear" else _cubic_matrix)(size, positions, kind)


# --- the smooth modes


def _resizes_alike(size: int, out: int, scale: float | None) -> bool:
    """Whether Resize's `sizes` read the positions that torch's given scale reads."""
    if scale is None:
        return True
    over, under = float(scale).as_integer_ratio()
    return always_equal(size * over, out * under)


def _exact_in_float32(scale: float | None) -> bool:
    """A short binary fraction: Resize's own float32 scale gives torch's sizes and positions."""
    if scale is None or not 0 < scale < 4096 or 1 < scale < SHORTEST_GROWTH:
        return False
    return float(scale).as_integer_ratio()[1] <= 16


def _smooth(
    x: Tensor, sizes: list[int], scales: list[float | None], align: bool, filter: str, antialias: bool
) -> Tensor:
    if x._dtype is dtypes.uint8:
        return _smooth_bytes(x, sizes, scales, align, filter, antialias)
    refuse_integers(x, "compute_indices_weights_linear")
    kind = x._dtype
    if kind in _HALVES:
        x = cast(x, dtypes.float32)
    changed = {
        2 + k: (out, None if align else scale)
        for k, (out, scale) in enumerate(zip(sizes, scales, strict=True))
        if not always_equal(x.shape[2 + k], out) or (filter == "cubic" and _moves(align, scale) and not antialias)
    }
    if not changed:
        return cast(x, kind)
    if antialias or x._dtype is dtypes.float64 or _prefers_matrices(x, changed, filter):
        for axis in reversed(changed):
            out, scale = changed[axis]
            x = along(x, _matrix(x.shape[axis], out, scale, align, filter, antialias, x._dtype), axis)
        return cast(x, kind)
    return cast(_smooth_operator(x, changed, align, filter), kind)


def _moves(align: bool, scale: float | None) -> bool:
    """Whether an axis that keeps its size is read at other positions: cubic alone does not copy it."""
    return not align and scale not in (None, 1.0)


def _prefers_matrices(x: Tensor, changed: dict[int, tuple[int, float | None]], filter: str) -> bool:
    """Matrices where they are faster than Resize, or alone are right."""
    alike = all(_resizes_alike(x.shape[axis], out, scale) for axis, (out, scale) in changed.items())
    if not alike and not all(s is not None and _exact_in_float32(s) for _, s in changed.values()):
        return True
    known = not any(dims.is_symbolic((x.shape[axis], out)) for axis, (out, _) in changed.items())
    if filter == "cubic":  # the operator takes ten times as long as torch
        return known and all(x.shape[axis] <= 8 * LARGEST_MATRIX for axis in changed)
    return x.ndim == 5 and known and all(x.shape[axis] <= LARGEST_MATRIX for axis in changed)


def _smooth_operator(x: Tensor, changed: dict[int, tuple[int, float | None]], align: bool, filter: str) -> Tensor:
    attributes: dict[str, Any] = {
        "mode": filter, "coordinate_transformation_mode": "align_corners" if align else "half_pixel"
    }  # fmt: skip
    if filter == "cubic":
        attributes["cubic_coeff_a"] = CUBIC
    targets = {axis: out for axis, (out, _) in changed.items()}
    factors = {axis: scale for axis, (_, scale) in changed.items()}
    # Between aligned corners runtimes disagree about scales: only sizes are safe.
    if not align and all(s is not None and _exact_in_float32(s) for s in factors.values()):
        return _operator(x, targets, {a: float(s) for a, s in factors.items() if s is not None}, **attributes)
    return _operator(x, targets, None, **attributes)


def _smooth_bytes(
    x: Tensor, sizes: list[int], scales: list[float | None], align: bool, filter: str, antialias: bool
) -> Tensor:
    """uint8 images, as torch and Pillow do: weights of 16 bits, rounded to a byte after each axis.

    A product of such weight and byte, and their sum, are whole numbers below 2**24: float32 holds them
    exactly.
    """
    if x.ndim != 4 or filter not in ("linear", "cubic", "lanczos"):
        refuse_integers(x, "compute_indices_weights_linear")
    for k in (1, 0):
        axis, out, scale = 2 + k, sizes[k], scales[k]
        if always_equal(out, x.shape[axis]):
            continue
        # The number of bits follows from the weights, and so from the sizes.
        size = current().fix(x.shape[axis], WHY_FIXED)
        out, scale = current().fix(out, WHY_FIXED), None if align else scale
        matrix = _matrix(size, out, scale, align, filter, antialias, dtypes.float64)
        bits = _weight_bits(float(matrix.max()))
        weights = np.trunc(matrix * 2**bits + np.where(matrix < 0, -0.5, 0.5)).astype(np.float32)
        total = along(cast(x, dtypes.float32), weights, axis)
        total = emit("Add", [total, constant(np.float32(2 ** (bits - 1)))], total.shape, dtypes.float32)
        total = emit("Mul", [total, constant(np.float32(2.0**-bits))], total.shape, dtypes.float32)
        low, high = constant(np.float32(0)), constant(np.float32(255))
        x = cast(emit("Clip", [unary("Floor", total), low, high], total.shape, dtypes.float32), dtypes.uint8)
    return x


def _weight_bits(largest: float) -> int:
    """The most bits with which the largest weight still fits 16 with its sign."""
    for bits in range(22):
        if int(0.5 + largest * (1 << (bits + 1))) >= 1 << 15:
            return bits
    return 22


# --- words


@word("F.interpolate")
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Resized to `size`, or by `scale_factor`.

    Shapes:
        input: (n, c, ...) with one to three spatial axes
        returns: (n, c, *size), or floor(size * scale_factor) per axis

    Differs: with antialias, torch repeats the first row of images one pixel wide that keep their width.

    Raises:
        ValueError: for both or none of size and scale_factor, or for options that the mode does not take.
        NotImplementedError: for a mode that does not fit the number of axes.
    """
    shape = input.shape
    _check_mode(mode, len(shape), align_corners, antialias)
    sizes, scales = _targets(shape, size, scale_factor, recompute_scale_factor, mode)
    if any(int(s) <= 0 for s in (*shape[2:], *sizes)):
        raise ShapeError(
            "Input and output sizes should be greater than 0, but got input (size: "
            f"{plain(shape[2:])}) output "
            f"(size: {plain(sizes)})"
        )
    if mode == "area":
        refuse_integers(input, f"adaptive_avg_pool{len(sizes)}d")
        return average_to(input, sizes)
    if mode in ("nearest", "nearest-exact"):
        return _nearest(input, sizes, scales, mode == "nearest-exact")
    filter = {"bicubic": "cubic", "lanczos": "lanczos"}.get(mode, "linear")
    return _smooth(input, sizes, scales, bool(align_corners), filter, antialias)


@word("F.upsample")
def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """The old name of `interpolate`."""
    warnings.warn("`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3)
    return interpolate(input, size, scale_factor, mode, align_corners)


@word("F.upsample_nearest")
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode="nearest"."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


@word("F.upsample_bilinear")
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode="bilinear" and aligned corners."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
