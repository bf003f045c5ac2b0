"""CNNectome's U-Net as DaCapo configures it, with its super-resolution tail.

Source: `CNNectomeUNet` and `CNNectomeUNetConfig` of DaCapo (github.com/janelia-cellmap/dacapo), by what running it
showed: the fields, the defaults and the numbers of January 2025; `tail_kernels` has those of later.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal

import mcore
from mcore import Module, Sequential, Tensor
from models.backbones.base import Weights
from models.basicblocks.cnnectome import ConvPass, RaisingStep
from models.networks.architecture import Architecture, ArchitectureConfig, config_of, keep_config
from models.networks.cnnectome_module import CNNectomeSized, CNNectomeUNetModule, check_counts
from models.networks.cnnectome_plan import Kernels, Pixels, axes_of, check_list, plan_of
from models.networks.cnnectome_sizes import Axes, Geometry, Plan
from models.utils.arguments import one_of, whole_numbers
from models.utils.coordinate import Coordinate
from models.utils.weights import load_weights

# A pass, where nothing is said.
_TWO = (3, 3)


@dataclass
class CNNectomeUNetConfig(ArchitectureConfig):
    """What a `CNNectomeUNet` is made from.

    Args:
        name: of this configuration.
        input_shape: pixels by axis of what it is trained with; four, where the first is the frames of films.
        fmaps_out: channels of the result.
        fmaps_in: channels of the image.
        num_fmaps: channels of the finest level.
        fmap_inc_factor: by how much channels grow from a level to the next.
        downsample_factors: from each level to the next, in space; for every axis or by axis.
        kernel_size_down: kernels of each level on the way down. Where left out, two of 3 pixels; in films they span
            time, too, while there are frames, at most those left, and so do integers.
        kernel_size_up: the same on the way up, without the coarsest level; in space.
        eval_shape_increase: pixels by axis that an image has more when the network predicts.
        upsample_factors: of the super-resolution tail, step by step: the result is finer than the image by these.
        constant_upsample: copies pixels and weighs channels by a 1x1 convolution on the way up; else transposed
            convolutions.
        padding: "valid", or "same", which adds half a kernel on both sides.
        use_attention: gates that weigh the maps which join.
        batch_norm: behind each convolution.
        fov: what one voxel of the image sees itself, in physical units by axis; kept for the user, nothing reads it.
        voxel_size: of the image, in physical units by axis; kept for the user, nothing reads it.
        keep_size: with padding="same", the result has the size of the image; without it, a smaller one, as the
            original has.
        tail_kernels: whose last level's kernels the steps of the tail have: "up", of `kernel_size_up`, or "down", as
            DaCapo has since September 2025. Without levels, they are those of "down".
    """

    input_shape: Sequence[int]
    fmaps_out: int
    fmaps_in: int
    num_fmaps: int
    fmap_inc_factor: int
    downsample_factors: Sequence[Pixels]
    kernel_size_down: Kernels | None = None
    kernel_size_up: Kernels | None = None
    eval_shape_increase: Sequence[int] | None = None
    upsample_factors: Sequence[Pixels] | None = None
    constant_upsample: bool = True
    padding: Literal["valid", "same"] = "valid"
    use_attention: bool = False
    batch_norm: bool = False
    fov: Sequence[float] | None = None
    voxel_size: Sequence[float] | None = None
    keep_size: bool = False
    tail_kernels: Literal["up", "down"] = "up"

    def verify(self) -> tuple[bool, str]:
        """Whether it makes a network that images of `input_shape`, and larger ones when predicting, go through.

        The message tells the size of the result and the field of view; or what doesn't fit, at which level, and the
        nearest sizes that do.

        >>> valid, message = CNNectomeUNetConfig("mine", (36, 44), 1, 1, 4, 2, [(2, 2), (2, 2)]).verify()
        >>> valid, message.partition(". ")[2]
        (False, 'Of (36, 44), the nearest sizes that fit are 44, 48, 52 along spatial dimension 0 (input_shape).')
        """
        return _verified(self)

    def module(self) -> Module:
        """The network alone, without the `unet.` in front of its names, as later versions of DaCapo made it."""
        return CNNectomeUNet(self).unet


class CNNectomeUNet(CNNectomeSized, Architecture):
    """CNNectome's U-Net, made from a configuration.

    Shapes:
        x: (n, fmaps_in, *size), or (n, fmaps_in, frames, *size) for films
        returns: (n, fmaps_out, *result), 0 or more: an activation comes last. `valid_sizes` tells which sizes fit, and
            what they give; `input_shape` is one of them.

    Args:
        architecture_config: a `CNNectomeUNetConfig`, or a mapping of its fields.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`. Files of DaCapo's
            networks and of its `Model` load as they are, those of either year.

    Differs: `scale` takes any voxel size, and refuses one that doesn't divide, where the original cut fractions off.
        With padding="same" the result is smaller than the image, as in the original; `keep_size` mends that. The tail
        never pads, as there. See `CNNectomeUNetModule` for the rest.

    >>> net = CNNectomeUNet(CNNectomeUNetConfig("mine", (44, 44), 3, 1, 2, 2, [(2, 2), (2, 2)]))
    >>> net.input_shape, net.num_out_channels, net.output_size(48)
    ((44, 44), 3, 8)

    Raises:
        TypeError: the mapping has other fields.
        ValueError: kernels, factors and frames don't go together.
    """

    def __init__(
        self, architecture_config: CNNectomeUNetConfig | Mapping[str, Any], *, weights: Weights = None
    ) -> None:
        config = config_of(CNNectomeUNetConfig, architecture_config, of="CNNectomeUNet")
        geometry = Geometry(_plan(config))
        super().__init__()
        keep_config(self, config)
        self.architecture_config, self.geometry = config, geometry
        self.fmaps_out, self.fmaps_in = config.fmaps_out, config.fmaps_in
        self.num_fmaps, self.fmap_inc_factor = config.num_fmaps, config.fmap_inc_factor
        self.downsample_factors = config.downsample_factors
        self.kernel_size_down, self.kernel_size_up = config.kernel_size_down, config.kernel_size_up
        self.constant_upsample, self.padding = config.constant_upsample, config.padding
        self.upsample_factors = config.upsample_factors or []
        self.use_attention, self.batch_norm = config.use_attention, config.batch_norm
        self.fov, self.voxel_size = config.fov, config.voxel_size
        self.unet = self.module()
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def module(self) -> Module:
        """A new network of this configuration, with weights of its own."""
        config, plan = self.architecture_config, self.geometry.plan
        unet = CNNectomeUNetModule(
            in_channels=config.fmaps_in,
            num_fmaps=config.num_fmaps,
            num_fmaps_out=config.fmaps_out,
            fmap_inc_factor=config.fmap_inc_factor,
            downsample_factors=plan.factors,
            kernel_size_down=_with_time(plan),
            kernel_size_up=plan.up,
            constant_upsample=config.constant_upsample,
            padding=config.padding,
            # The finest level keeps its channels.
            upsample_channel_contraction=[level > 0 for level in range(plan.levels - 1)],
            activation_on_upsample=True,
            use_attention=config.use_attention,
            batch_norm=config.batch_norm,
            dims=plan.dims,
            keep_size=config.keep_size,
        )
        return Sequential(unet, *self._tail()) if plan.tail else unet

    def _tail(self) -> list[Module]:
        """Steps that make the result finer."""
        width, dims = self.fmaps_out, self.geometry.plan.dims
        found: list[Module] = []
        for factor, kernels in self.geometry.plan.tail:
            found.append(RaisingStep(width, width, factor, constant=True, activation="ReLU", dims=dims))
            found.append(ConvPass(width, width, kernels, batch_norm=self.batch_norm, dims=dims))
        return found

    def forward(self, x: Tensor) -> Tensor:
        if self.geometry.plan.tail and x.ndim == self.dims + 2:
            # The U-Net alone would let pass what the tail has nothing left of.
            self.check_size(x.shape[2:])
        return self.unet(x)

    @property
    def input_shape(self) -> Coordinate:
        """Pixels by axis of what it is trained with; other sizes go through, too."""
        return Coordinate(self.architecture_config.input_shape)

    @property
    def eval_shape_increase(self) -> Coordinate:
        """How many pixels more an image has when the network predicts."""
        more = self.architecture_config.eval_shape_increase
        return super().eval_shape_increase if more is None else Coordinate(more)

    @property
    def num_in_channels(self) -> int:
        """Channels of the image."""
        return self.fmaps_in

    @property
    def num_out_channels(self) -> int:
        """Channels of the result."""
        return self.fmaps_out

    def scale(self, input_voxel_size: Sequence[int]) -> Coordinate:
        """The size of the result's voxels: the image's, divided by the factors of the tail.

        Args:
            input_voxel_size: whole numbers by axis; time, which stays, may come first.

        >>> config = CNNectomeUNetConfig("fine", (20, 20), 1, 1, 2, 2, [(2, 2)], upsample_factors=[(1, 2), (2, 2)])
        >>> CNNectomeUNet(config).scale((40, 8))
        (20, 2)

        Raises:
            ValueError: it has other axes or fractions, or isn't divisible.
        """
        size, plan = Coordinate(input_voxel_size), self.geometry.plan
        if tuple(size) != tuple(input_voxel_size):
            raise ValueError(
                f"CNNectomeUNet: voxel size {tuple(input_voxel_size)} has fractions; give it in a finer unit."
            )
        if len(size) not in (plan.dims, self.dims):
            raise ValueError(f"CNNectomeUNet: voxel size {size} has {len(size)} axes, but the network {plan.dims}.")
        finer = [1] * len(size)
        for factor, _ in plan.tail:
            finer[-plan.dims :] = [a * b for a, b in zip(finer[-plan.dims :], factor, strict=True)]
        if any(voxel is not None and voxel % by for voxel, by in zip(size, finer, strict=True)):
            raise ValueError(
                f"CNNectomeUNet: voxel size {size} isn't divisible by {tuple(finer)}, by which the tail makes voxels "
                "smaller; give it in a finer unit."
            )
        return size // Coordinate(finer)


CNNectomeUNetConfig.architecture_type = CNNectomeUNet


def _plan(config: CNNectomeUNetConfig) -> Plan:
    """Kernels and factors of a configuration, checked, those of the tail among them.

    Raises:
        ValueError: they don't go together.
    """
    of = "CNNectomeUNet"
    _check_config(of, config)
    shape = [*config.input_shape]
    if len(shape) not in (1, 2, 3, 4):
        raise ValueError(
            f"{of}: input_shape={tuple(shape)} has {len(shape)} entries; give 1 to 3 of space, or 4 "
            "with time in front, without batch and channels."
        )
    time, dims = len(shape) == 4, min(len(shape), 3)
    down = config.kernel_size_down
    if time:
        down = _spanning(down, len(config.downsample_factors) + 1, shape[0])
    plan = plan_of(
        of,
        config.downsample_factors,
        down,
        config.kernel_size_up,
        padding=config.padding,
        keep_size=config.keep_size,
        dims=dims,
    )
    if plan.time != (shape[0] if time else None):
        there = f"{shape[0]} frames" if time else "no axis of time"
        takes = "no time" if plan.time is None else f"{plan.time} frames"
        raise ValueError(
            f"{of}: input_shape={tuple(shape)} has {there}, but kernel_size_down takes {takes} to leave one."
        )
    return replace(plan, tail=_tail_of(config, plan))


def _check_config(of: str, config: CNNectomeUNetConfig) -> None:
    """Refuses fields that aren't what they are said to be.

    Raises:
        ValueError: one isn't.
    """
    one_of(("up", "down"), of=of, tail_kernels=config.tail_kernels)
    flags = ("constant_upsample", "use_attention", "batch_norm", "keep_size")
    one_of((True, False), of=of, **{name: getattr(config, name) for name in flags})
    whole_numbers(of=of, least=1, input_shape=config.input_shape)
    for name in ("eval_shape_increase", "fov", "voxel_size", "upsample_factors"):
        if getattr(config, name) is not None:
            check_list(of, name, getattr(config, name))
    check_counts(of, fmaps_out=config.fmaps_out)


def _spanning(down: Kernels | None, levels: int, frames: int) -> Kernels:
    """Kernels of films: integers, and those left out, span time while there are frames."""
    rows: Kernels = [_TWO] * levels if down is None else down
    if any(isinstance(row, Integral | str) for row in rows):
        # The plan refuses it, and tells the level.
        return rows
    left, first = frames, True
    found: list[list[Pixels]] = []
    for row in rows:
        found.append([])
        for kernel in row:
            found[-1].append(_with_span(kernel, left, first=first))
            left, first = left - _span(found[-1][-1]) + 1, False
    return found


def _with_span(kernel: Pixels, left: int, *, first: bool) -> Pixels:
    """An integer as a kernel by axis, with time where frames are left; films of one frame lose it at once."""
    if not isinstance(kernel, Integral):
        return kernel
    size = int(kernel)
    return (min(size, left), size, size, size) if left > 1 or first else (size,) * 3


def _span(kernel: Pixels) -> int:
    return kernel[0] if not isinstance(kernel, int) and len(kernel) == 4 else 1


def _tail_of(config: CNNectomeUNetConfig, plan: Plan) -> tuple[tuple[Axes, tuple[Axes, ...]], ...]:
    """Factor and kernels of each step of the tail."""
    name = "kernel_size_up" if config.tail_kernels == "up" and plan.levels > 1 else "kernel_size_down"
    given = getattr(config, name)
    # The last of those given, also where there are more than levels, as in the original.
    last: Sequence[Pixels] = _TWO if given is None else given[-1]
    kernels = tuple(axes_of(plan.of, f"{name}[-1]", kernel, plan.dims, time=True)[-plan.dims :] for kernel in last)
    if not kernels:
        raise ValueError(f"{plan.of}: {name}[-1] has no kernel for the tail; a step takes one or more.")
    factors = enumerate(config.upsample_factors or ())
    return tuple((axes_of(plan.of, f"upsample_factors[{i}]", factor, plan.dims), kernels) for i, factor in factors)


def _with_time(plan: Plan) -> list[list[Axes]]:
    """Kernels of the way down as they were given, those with time with four entries."""
    return [
        [kernel if span is None else (span, *kernel) for kernel, span in zip(kernels, spans, strict=True)]
        for kernels, spans in zip(plan.down, plan.frames, strict=True)
    ]


def _verified(config: CNNectomeUNetConfig) -> tuple[bool, str]:
    """What `verify` says, of a sketch without weights."""
    try:
        with mcore.device("meta"):
            net = CNNectomeUNet(config)
        _check_lengths(config, net)
        shapes = dict.fromkeys([net.input_shape, net.input_shape + net.eval_shape_increase])
        for shape in shapes:
            more = "" if shape == net.input_shape else " + eval_shape_increase"
            net.check_size(shape, f" (input_shape{more})")
    except (ValueError, TypeError) as error:
        return False, str(error)
    given = [f"{shape} gives {_given(net, shape)}" for shape in shapes]
    return True, f"{', '.join(given)}; the field of view is {net.field_of_view()}{_unused(config, net)}"


def _given(net: CNNectomeUNet, shape: Coordinate) -> Coordinate:
    """Pixels of the result, in space, for an image of `shape`."""
    dims = net.geometry.plan.dims
    return Coordinate(net.geometry.output(pixels, axis) for axis, pixels in enumerate(shape[-dims:]))


def _check_lengths(config: CNNectomeUNetConfig, net: CNNectomeUNet) -> None:
    """Refuses what has another number of entries than axes."""
    for name in ("eval_shape_increase", "fov", "voxel_size"):
        given = getattr(config, name)
        fits = {net.dims} if name == "eval_shape_increase" else {net.dims, net.geometry.plan.dims}
        if given is not None and len(given) not in fits:
            raise ValueError(
                f"CNNectomeUNet: {name}={tuple(given)} has {len(given)} entries, but input_shape has {net.dims}."
            )


def _unused(config: CNNectomeUNetConfig, net: CNNectomeUNet) -> str:
    """Which kernels stand behind the last level."""
    levels = {"kernel_size_down": net.geometry.plan.levels, "kernel_size_up": net.geometry.plan.levels - 1}
    more = [name for name, count in levels.items() if len(getattr(config, name) or ()) > count]
    return f"; entries of {' and '.join(more)} behind the last level aren't used" if more else ""
