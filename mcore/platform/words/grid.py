"""Sampling at positions that a grid names, and the grids of affine maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from mcore.platform import dim as dims
from mcore.platform import dtypes
from mcore.platform.dim import Dim
from mcore.platform.dtypes import dtype
from mcore.platform.errors import ShapeError, unsupported
from mcore.platform.tensor import Tensor, constant, emit, ints
from mcore.platform.word import word
from mcore.platform.words._common import cast, plain
from mcore.platform.words._pieces import binary, concat, expand, permute, reshape, test, unary, unsqueeze
from mcore.platform.words._pieces import where as whether
from mcore.platform.words._spatial import Table, amount, calc, refuse_integers, span, tabled

_MODES = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
# Beyond this every position is outside of the input, whatever its size and the filter's reach.
FAR = 1e4
_HALVES = (dtypes.float16, dtypes.bfloat16)
_CHANGED = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
    "Please specify "
    "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details."
)


@word("F.grid_sample")
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """`input` read at the positions of `grid`, each from -1 to 1 per axis, last axis (x) first.

    Shapes:
        input: (n, c, h, w) or (n, c, d, h, w); grid: (n, h', w', 2) or (n, d', h', w', 3)
        returns: (n, c, h', w') or (n, c, d', h', w')

    Differs: positions that are not finite read zeros or the border, where torch gives NaN for some modes.

    Raises:
        NotImplementedError: for bicubic on volumes.
    """
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            "'reflection', but got: "
            f"'{padding_mode}'"
        )
    if align_corners is None:
        warnings.warn(_CHANGED, stacklevel=3)
    _check_grid(input, grid)
    if input.ndim == 5 and mode == "bicubic":
        raise unsupported(
            "grid_sample",
            "mode='bicubic' on 5-D input",
            "4-D nearest, bilinear, bicubic; 5-D nearest, bilinear",
        )
    kind, x, where = input._dtype, input, grid
    if kind in _HALVES:
        x, where = cast(x, dtypes.float32), cast(where, dtypes.float32)
    if padding_mode == "reflection":
        if mode == "nearest" and not align_corners:
            where, padding_mode = _reflected_pixels(where, input.shape[2:]), "border"
    else:
        # Far positions (a projection divides by almost zero) overflow in the runtime; all of them are
        # outside.
        far = constant(np.asarray(FAR, where._dtype.numpy))
        where = emit("Clip", [where, constant(np.asarray(-FAR, where._dtype.numpy)), far], where.shape, where._dtype)
    out = emit(
        "GridSample", [x, where], (*input.shape[:2], *grid.shape[1:-1]), x._dtype, mode=_MODES[mode],
        padding_mode=padding_mode, align_corners=int(bool(align_corners)),
    )  # fmt: skip
    return cast(out, kind)


def _reflected_pixels(grid: Tensor, spatial: Sequence[int]) -> Tensor:
    """Positions of the pixels that "nearest" reads after reflection at the outer corners.

    The runtime rounds before it reflects; a position half-way between two pixels then falls on the other one.
    """
    kind = grid._dtype
    half, one, two = (constant(np.asarray(v, kind.numpy)) for v in (0.5, 1, 2))
    sizes = cast(ints(reversed(spatial)), kind)
    # ((grid + 1) * size - 1) / 2, plus the half that makes 0 the corner
    place = binary("Div", binary("Sub", binary("Mul", binary("Add", grid, one), sizes), one), two)
    place = unary("Abs", binary("Add", place, half))
    rest = emit("Mod", [place, sizes], place.shape, kind, fmod=1)
    flips = unary("Floor", binary("Div", place, sizes))
    odd = test("Equal", emit("Mod", [flips, two], flips.shape, kind, fmod=1), one)
    place = binary("Sub", whether(odd, binary("Sub", sizes, rest), rest), half)
    zero = constant(np.asarray(0, kind.numpy))
    place = unary("Round", binary("Max", binary("Min", place, binary("Sub", sizes, one)), zero))
    return binary("Sub", binary("Div", binary("Add", binary("Mul", place, two), one), sizes), one)


def _check_grid(input: Tensor, grid: Tensor) -> None:
    shape, places = input.shape, grid.shape
    told = f"input with sizes {plain(shape)} and grid with sizes {plain(places)}"
    if len(shape) not in (4, 5) or len(shape) != len(places):
        raise ShapeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got " + told
        )
    if shape[0] != places[0]:
        raise ShapeError(f"grid_sampler(): expected grid and input to have same batch size, but got {told}")
    if int(places[-1]) != len(shape) - 2:
        raise ShapeError(
            f"grid_sampler(): expected grid to have size {len(shape) - 2} in last dimension, but got "
            "grid with sizes "
            f"{plain(places)}"
        )
    for axis in range(2, len(shape)):
        if int(shape[axis]) == 0:
            raise ShapeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{plain(shape)} with dimension {axis} being empty"
            )
    refuse_integers(input, f"grid_sampler_{len(shape) - 2}d_cpu_kernel_impl")
    if input._dtype is not grid._dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input._dtype.name} and grid "
            f"has {grid._dtype.name}"
        )


@word("torch.grid_sampler")
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`torch.grid_sampler`: F.grid_sample with modes by number."""
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return grid_sample(input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners)


# --- affine


def _ticks(size: int, align: bool, kind: dtype) -> Table:
    """Positions of `size` pixels; -1 and 1 are the outer pixels' centres (`align`) or outer edges."""
    one, two = np.asarray(1, kind.numpy), np.asarray(2, kind.numpy)
    places = span(size, kind)
    if not align:
        centres = calc("Add", calc("Mul", places, two), one)
        return calc("Sub", calc("Div", centres, amount(size, kind)), one)
    if type(size) is not Dim and size == 1:
        return calc("Mul", places, two)  # the one pixel stands in the middle
    # With one pixel the range is 0 / 1 - 1; torch puts it in the middle, at 0.
    steps = amount(dims.dim_max(size - 1, 1), kind)
    ticks = calc("Sub", calc("Div", calc("Mul", places, two), steps), one)
    if type(size) is not Dim:
        return ticks
    return calc("Where", calc("Equal", amount(size, kind), one), np.asarray(0, kind.numpy), ticks)


@word("F.affine_grid")
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The positions that affine maps send the pixels of an image of `size` to, for `grid_sample`.

    Shapes:
        theta: (n, 2, 3) with size (n, c, h, w), or (n, 3, 4) with size (n, c, d, h, w)
        returns: (n, h, w, 2) or (n, d, h, w, 3)
    """
    if align_corners is None:
        warnings.warn(_CHANGED, stacklevel=3)
    if not theta._dtype.is_floating_point:
        raise ValueError(f"Expected theta to have floating point type, but got torch.{theta._dtype.name}")
    size, rank = tuple(size), len(size) - 2
    if rank not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {size}."
        )
    if theta.ndim != 3 or plain(theta.shape[1:]) != [rank, rank + 1]:
        kind = "2D affine matrices of shape Nx2x3" if rank == 2 else "3D affine matrices of shape Nx3x4"
        raise ValueError(f"Expected a batch of {kind} for size {size}. Got torch.Size({plain(theta.shape)}).")
    if any(int(s) <= 0 for s in size):
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return _affine_grid(theta, size, bool(align_corners))


def _affine_grid(theta: Tensor, size: tuple, align: bool) -> Tensor:
    if int(theta.shape[0]) != int(size[0]):
        raise ShapeError(f"Expected a batch of {int(size[0])} affine matrices, but got {int(theta.shape[0])}")
    spatial, kind, maps = size[2:], theta._dtype, theta
    rank = len(spatial)
    if kind in _HALVES:
        maps = cast(maps, dtypes.float32)
    if any(type(s) is Dim for s in spatial):
        base = _open_base(spatial, align, maps._dtype)
    else:
        base = constant(_base([_ticks(s, align, maps._dtype) for s in spatial]))
    turned = permute(maps, (0, 2, 1))
    grid = emit("MatMul", [base, turned], (theta.shape[0], base.shape[0], rank), maps._dtype)
    return cast(reshape(grid, (theta.shape[0], *spatial, rank)), kind)


def _base(ticks: list[np.ndarray]) -> np.ndarray:
    """Homogeneous coordinates (pixels, rank + 1) of all pixels, last axis first."""
    mesh = np.meshgrid(*ticks, indexing="ij")
    ones = np.ones(mesh[0].size, mesh[0].dtype)
    return np.stack([*(m.reshape(-1) for m in reversed(mesh)), ones], axis=1)


def _open_base(spatial: Sequence[int], align: bool, kind: dtype) -> Tensor:
    """`_base` computed in the graph."""
    rank, columns = len(spatial), []
    for axis in reversed(range(rank)):
        ticks = tabled(_ticks(spatial[axis], align, kind))
        ticks = unsqueeze(ticks, *[k for k in range(rank) if k != axis])
        columns.append(unsqueeze(expand(ticks, spatial), rank))
    ones = expand(constant(np.asarray(1, kind.numpy)), (*spatial, 1))
    return reshape(concat([*columns, ones], rank), (dims.product(spatial), rank + 1))


@word("torch.affine_grid_generator")
def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """`torch.affine_grid_generator`: F.affine_grid without its checks of `theta`."""
    return _affine_grid(theta, tuple(size), align_corners)
