"""The U-Net of CNNectome, in two and three dimensions, and of films.

Source: `CNNectomeUNetModule` of DaCapo (github.com/janelia-cellmap/dacapo), by what running it showed, after
github.com/saalfeldlab/CNNectome; films: `unet` of funlib.learn.tensorflow, the only one that ever read them.
"""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

from mcore import Module, ModuleList, Tensor
from models.backbones.base import Weights
from models.basicblocks.cnnectome import ConvPass, PassGate, RaisingStep
from models.basicblocks.layers import layers
from models.networks.cnnectome_plan import Kernels, Pixels, plan_of
from models.networks.cnnectome_sizes import Geometry, MisfitError, Plan
from models.sizing import Sized
from models.utils.coordinate import Coordinate
from models.utils.weights import load_weights


class MinimalShapes(NamedTuple):
    """Pixels by axis: the smallest image, the step to the next size, and what the smallest gives at the end.

    `bottleneck` is the coarsest map behind its convolutions. Time comes first, where there is any, and has no step.
    """

    input: Coordinate
    step: Coordinate
    output: Coordinate
    bottleneck: Coordinate


class CNNectomeSized(Sized):
    """Abstract: a network whose sizes are those of `geometry`, in space and along time."""

    geometry: Geometry

    def output_size(self, pixels: int, axis: int = 0) -> int | None:
        """Pixels of the result along an axis of `pixels`; None where such an axis doesn't fit.

        Axis 0 is time, where there is any: one frame is left of those that fit.
        """
        frames = self.geometry.plan.time
        if frames is None:
            return self.geometry.output(pixels, axis)
        if axis == 0:
            return 1 if pixels == frames else None
        return self.geometry.output(pixels, axis - 1)

    def check_size(self, size: Sequence[int], advice: str = "") -> None:
        """Refuses an image of `size` (pixels by axis) that doesn't fit; `advice` ends the message.

        Raises:
            SizeError: an axis doesn't fit; the message tells at which level, and the nearest sizes that do.
        """
        misfits = [axis for axis, pixels in enumerate(size) if self.output_size(pixels, axis) is None]
        if misfits:
            near = {axis: self.valid_sizes(int(size[axis]), axis=axis, count=3) for axis in misfits}
            told = "; ".join(f"{', '.join(map(str, sizes))} along {self._called(axis)}" for axis, sizes in near.items())
            advice = f". Of {tuple(map(int, size))}, the nearest sizes that fit are {told}{advice}."
            self.geometry.refuse([int(pixels) for pixels in size[-self.geometry.plan.dims :]], advice)
            raise MisfitError(f"{self.geometry.plan.of}: {int(size[0])} frames don't end in one{advice}")

    def _called(self, axis: int) -> str:
        """An axis as messages call it."""
        if self.geometry.plan.time is None:
            return f"spatial dimension {axis}"
        return f"spatial dimension {axis - 1}" if axis else "time"

    def minimal_shapes(self) -> MinimalShapes:
        """The smallest image that goes through, the step from one size to the next, and what comes of it.

        >>> CNNectomeUNetModule(1, 2, 2, [(2, 2), (2, 2)]).minimal_shapes()
        MinimalShapes(input=(44, 44), step=(4, 4), output=(4, 4), bottleneck=(4, 4))
        """
        fits, frames = self.geometry.fits, self.geometry.plan.time
        time = () if frames is None else (frames,)
        return MinimalShapes(
            Coordinate(*time, *(fit.least for fit in fits)),
            Coordinate(*(0 for _ in time), *(fit.step for fit in fits)),
            Coordinate(fit.result for fit in fits),
            Coordinate(fit.bottom for fit in fits),
        )

    def field_of_view(self) -> Coordinate:
        """Pixels of the image that one of the result depends on, by axis, where it lies so that it sees most.

        Attention gates, whose weights are spread by the size of the map, see some more.

        >>> CNNectomeUNetModule(1, 2, 2, [(2, 2), (2, 2)]).field_of_view()
        (44, 44)
        """
        frames = self.geometry.plan.time
        return Coordinate(*(() if frames is None else (frames,)), *self.geometry.field_of_view())


class CNNectomeUNetModule(CNNectomeSized):
    """The U-Net of CNNectome: one way down, and a way up for each head.

    Shapes:
        x: (n, in_channels, *size), or (n, in_channels, frames, *size) where kernels have time
        returns: (n, out_channels, *result), or a list of these, one for each head. `out_channels` is `num_fmaps_out`,
            or `num_fmaps` without it; `valid_sizes` tells which sizes fit, and what they give.

    Args:
        in_channels: channels of the image.
        num_fmaps: channels of the finest level.
        fmap_inc_factor: by how much channels grow from a level to the next.
        downsample_factors: from each level to the next, for every axis or by axis. Without any there is a single
            level, whose last convolution gives `num_fmaps_out`.
        kernel_size_down: kernels of each level on the way down, for every axis or by axis; two of 3 pixels, where left
            out. Those of four entries begin with time; they come first, and leave one frame at the end.
        kernel_size_up: the same on the way up, without the coarsest level, and without time.
        activation: behind convolutions, by torch's name ("ReLU"); None for none.
        num_fmaps_out: channels of the result.
        num_heads: how many ways up; each has weights of its own.
        constant_upsample: copies pixels and weighs channels by a 1x1 convolution on the way up; else transposed
            convolutions.
        padding: "valid", or "same", which adds half a kernel on both sides.
        upsample_channel_contraction: whether upsampling itself brings channels down to those of the finer level, or
            leaves that to the convolutions behind: for all levels, or a list of one for each, finest first.
        activation_on_upsample: an activation behind each upsampling, too.
        use_attention: gates that weigh the maps which join.
        batch_norm: behind each convolution.
        dims: axes in space, 1, 2 or 3; as many as the first entry with axes has, where left out.
        keep_size: with padding="same", maps keep their sizes, as the image does: no even kernel makes them grow, and
            nothing is cut from them.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.

    Differs: the original's sizes are the default: what is raised is cropped, so that shifting the image by whole steps
        of the coarsest level shifts the result, also with padding="same", where the result is smaller than the image;
        `keep_size` mends that. With padding="same", an even kernel makes a map grow by one pixel; where it grows over
        the one that it joins, which the original fails on, it is refused. Integers are kernels and factors, and other
        words for `padding` are refused, which stood for "valid". Time is new: DaCapo only promised it. Skips that have
        time give their middle frame, before gates see them. Without levels, `num_fmaps_out` holds, which the original
        ignored.

    Raises:
        ValueError: kernels and factors don't go together; the message names the level.
    """

    def __init__(
        self,
        in_channels: int,
        num_fmaps: int,
        fmap_inc_factor: int,
        downsample_factors: Sequence[Pixels],
        kernel_size_down: Kernels | None = None,
        kernel_size_up: Kernels | None = None,
        activation: str | None = "ReLU",
        num_fmaps_out: int | None = None,
        num_heads: int = 1,
        constant_upsample: bool = False,
        padding: Literal["valid", "same"] = "valid",
        upsample_channel_contraction: bool | Sequence[bool] = False,
        activation_on_upsample: bool = False,
        use_attention: bool = False,
        batch_norm: bool = True,
        dims: int | None = None,
        *,
        keep_size: bool = False,
        weights: Weights = None,
    ) -> None:
        title = "CNNectomeUNetModule"
        plan = plan_of(
            title,
            downsample_factors,
            kernel_size_down,
            kernel_size_up,
            padding=padding,
            keep_size=keep_size,
            dims=dims,
        )
        steps = range(plan.levels - 1)
        contracted = _contracted(upsample_channel_contraction, len(steps))
        counts = {"in_channels": in_channels, "num_fmaps": num_fmaps, "fmap_inc_factor": fmap_inc_factor}
        check_counts(title, **counts, num_heads=num_heads)
        if num_fmaps_out is not None:
            check_counts(title, num_fmaps_out=num_fmaps_out)
        if num_heads > 1 and not steps:
            raise ValueError(f"{title}: num_heads={num_heads} are ways up, of which a single level has none; take 1.")
        geometry = Geometry(plan)
        super().__init__()
        self.geometry, self.num_heads, self.in_channels = geometry, num_heads, in_channels
        self.dims = plan.dims + (plan.time is not None)
        #: Channels of the result.
        self.out_channels = num_fmaps_out or num_fmaps
        # Of each level on the way down, of what is raised to it, of what it gives, and inside its gate.
        widths = [num_fmaps * fmap_inc_factor**level for level in range(plan.levels)]
        raised = [widths[level + 1 - contract] for level, contract in enumerate(contracted)]
        given = [self.out_channels, *widths[1:]]
        between = [num_fmaps_out or width if level == 0 else width for level, width in enumerate(raised)]
        padded = "keep" if keep_size else padding
        passing: dict[str, Any] = {
            "activation": activation,
            "batch_norm": batch_norm,
            "padding": padded,
            "dims": plan.dims,
        }
        self.l_conv = ModuleList(self._passes_down(widths, passing))
        pool = layers(plan.dims, of=title).max_pool
        self.l_down = ModuleList(pool(factor, stride=factor) for factor in plan.factors)
        self.r_up = self._for_heads(
            lambda level: RaisingStep(
                widths[level + 1],
                raised[level],
                plan.factors[level],
                constant=constant_upsample,
                activation=activation if activation_on_upsample else None,
                cropped=geometry.cropped[level],
                margin=geometry.margins[level],
                dims=plan.dims,
            )
        )
        self.attention: Any = None
        if use_attention:
            self.attention = self._for_heads(
                lambda level: PassGate(
                    widths[level + 1],
                    widths[level],
                    between[level],
                    factor=plan.factors[level],
                    batch_norm=batch_norm,
                    missing=geometry.missing[level],
                    dims=plan.dims,
                )
            )
        self.r_conv = self._for_heads(
            lambda level: ConvPass(widths[level] + raised[level], given[level], plan.up[level], **passing)
        )
        self.first_conv, self.classifier = _first(plan), ()
        if weights is not None:
            self.weights_report = load_weights(self, weights)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        self._check(x)
        plan, skips = self.geometry.plan, []
        if plan.time is not None:
            # Frames are images of the batch, those of one time behind those before.
            x = x.permute(2, 0, 1, *range(3, 3 + plan.dims)).flatten(0, 1)
        for level, down in enumerate(self.l_down):
            x = self.l_conv[level](x)
            skips.append(self._middle(x, level))
            x = down(x)
        x = self.l_conv[-1](x)
        maps = [x] * self.num_heads
        for level in reversed(range(len(skips))):
            skip = skips.pop()
            maps = [self._raised(x, skip, head, level) for head, x in enumerate(maps)]
        return maps[0] if self.num_heads == 1 else maps

    def _raised(self, x: Tensor, skip: Tensor, head: int, level: int) -> Tensor:
        if self.attention is not None:
            skip = self.attention[head][level](x, skip)
        return self.r_conv[head][level](self.r_up[head][level](x, skip))

    def _middle(self, x: Tensor, level: int) -> Tensor:
        """The middle one of the frames that are left at a level."""
        left = self._frames[level + 1]
        return x if left == 1 else x.unflatten(0, (left, -1))[(left - 1) // 2]

    def _check(self, x: Tensor) -> None:
        title, axes = type(self).__name__, self.dims + 2
        if x.ndim != axes:
            fits = "kernels with time read films of 6" if axes == 6 else f"it reads maps of {axes}"
            raise ValueError(f"{title}: the image has {x.ndim} axes, but {fits}, batch and channels among them.")
        self.check_size(x.shape[2:])

    def _passes_down(self, widths: list[int], passing: dict[str, Any]) -> list[Module]:
        """The convolutions of each level on the way down."""
        plan, fed = self.geometry.plan, self.in_channels
        passes: list[Module] = []
        #: Frames that come to each level, and those left behind the last.
        self._frames = [plan.time or 1]
        for width, kernels, spans in zip(widths, plan.down, plan.frames, strict=True):
            # Without a way up, the way down gives the result.
            last = self.out_channels if plan.levels == 1 else None
            passes.append(ConvPass(fed, width, kernels, spans=spans, frames=self._frames[-1], last=last, **passing))
            self._frames.append(self._frames[-1] - sum(span - 1 for span in spans if span is not None))
            fed = width
        return passes

    def _for_heads(self, make: Callable[[int], Module]) -> Any:
        """What `make` gives for each step up, finest first, for each head anew."""
        steps = range(self.geometry.plan.levels - 1)
        return ModuleList(ModuleList(make(level) for level in steps) for _ in range(self.num_heads))


def _first(plan: Plan) -> tuple[str, ...]:
    """Names of the convolutions that see the image."""
    name, span = "l_conv.0.conv_pass.0", plan.frames[0][0]
    return (name,) if span is None else tuple(f"{name}.conv3d_layers.{tap}" for tap in range(span))


def _contracted(given: bool | Sequence[bool], levels: int) -> list[bool]:
    """Whether channels grow fewer when a map is raised to each level."""
    if isinstance(given, bool):
        return [given] * levels
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(one, bool) for one in given):
        raise ValueError(
            f"CNNectomeUNetModule: upsample_channel_contraction={given!r} is no True or False, nor a list of them."
        )
    if len(given) != levels:
        raise ValueError(
            f"CNNectomeUNetModule: upsample_channel_contraction={list(given)} are {len(given)} for {levels} steps up; "
            "give one for each, finest first."
        )
    return list(given)


def check_counts(of: str, **counts: int) -> None:
    """Refuses what is no whole number of 1 or more.

    Raises:
        ValueError: it isn't.
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{of}: {name}={count!r} is no whole number of 1 or more.")
