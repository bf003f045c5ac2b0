"""EMVision's residual symmetric U-Nets with a choice of activations; see `models.networks.emvision`.

Source: seung-lab/pytorch-emvision (0f24d06).
Names: the table `emvision` renames the original's files; entries have the original's order.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from mcore import BatchNorm3d, Module, Tensor, Upsample
from models.backbones.base import Weights
from models.basicblocks.symmetric import NormBank
from models.networks.choices import Norm, activation_of
from models.networks.emvision import group_norms
from models.networks.ends import Outputs
from models.networks.symmetric import WIDTH, Fit, SymmetricUNet, bilinear, factors_of
from models.utils.arguments import one_of
from models.utils.triples import Triple

Act = Literal["ReLU", "LeakyReLU", "PReLU", "ELU"]


class rsunet_act(SymmetricUNet):
    """`RSUNet` with a choice of activations, and of factors along z.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z by those of `zfactor`;
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        zfactor: how much coarser each step is along z, finest first; 1 each, where left out. Along y and x, it is 2.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int],
        zfactor: Sequence[int] | None = None,
        act: Act = "ReLU",
        *,
        norm: Norm = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        super().__init__(
            width,
            factors=factors_of(zfactor, width, of=type(self).__name__),
            norm=norm,
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_act_gn(SymmetricUNet):
    """`rsunet_act` with group norms.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z by those of `zfactor`;
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        zfactor: how much coarser each step is along z, finest first; 1 each, where left out. Along y and x, it is 2.
        group: channels to a group of the norm, not the number of groups, which is `channels // group`.
        eps: of the norms, added to the variance.
        affine: whether norms have weights.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "group", or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int],
        zfactor: Sequence[int] | None = None,
        group: int = 16,
        eps: float = 1e-5,
        affine: bool = True,
        act: Act = "ReLU",
        *,
        norm: Literal["group"] | None = "group",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        super().__init__(
            width,
            factors=factors_of(zfactor, width, of=type(self).__name__),
            norm=group_norms(norm, group, width, of=type(self).__name__, eps=eps, affine=affine),
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_act_in(SymmetricUNet):
    """`rsunet_act` with norms of each image by itself.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1), z by those of `zfactor`;
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        zfactor: how much coarser each step is along z, finest first; 1 each, where left out. Along y and x, it is 2.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "instance", "batch", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Differs: norms of the original's files from July to October 2025 had no weights; loaded, they are 1, biases 0.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int],
        zfactor: Sequence[int] | None = None,
        act: Act = "ReLU",
        *,
        norm: Norm = "instance",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        super().__init__(
            width,
            factors=factors_of(zfactor, width, of=type(self).__name__),
            norm=norm,
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_act_nn(SymmetricUNet):
    """`rsunet_act` whose maps come up by nearest neighbours: every pixel of a slice is repeated.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "batch", "instance", "group", "channel", one with arguments ({"name": "group", "num_groups": 4}), a
            norm's class, a constructor, or None, where convolutions have a bias instead.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Differs: any number of images; the original takes one at a time.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        act: Act = "ReLU",
        *,
        norm: Norm = "batch",
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        super().__init__(
            width,
            norm=norm,
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=nearest,
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class rsunet_act_nn_gn(SymmetricUNet):
    """`rsunet_act_nn` with group norms.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        group: channels to a group of the norm, not the number of groups, which is `channels // group`.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        norm: "group", or None, where convolutions have a bias instead.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    Differs: any number of images; the original takes one at a time.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        group: int = 16,
        act: Act = "ReLU",
        *,
        norm: Literal["group"] | None = "group",
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        super().__init__(
            width,
            norm=group_norms(norm, group, width, of=type(self).__name__),
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=nearest,
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )


class dynamic_rsunet(SymmetricUNet):
    """`RSUNet` for recurrent training: the norms of every step of a recurrence apart, all else shared.

    Shapes:
        x: (n, width[0], z, y, x), of which y and x are divided evenly by 2 ** (levels - 1);
            with `in_channels`, these channels
        unroll: by the norms of which step, from 1 to those there are; where left out, `step`
        returns: (n, width[0], z, y, x); with `out_channels`, these channels

    Args:
        width: channels of each level, finest first; two or more.
        unroll: how many norms stand at each place, of which each call chooses one.
        act: "ReLU", "LeakyReLU", "PReLU" (one slope for each activation), or "ELU".
        step: the one of calls that name none, and of exports.
        norm: "batch", or None, where convolutions have a bias instead and all steps are alike.
        trilinear: interpolates along z too on the way up, and doesn't darken the border: see `BilinearUp`.
        in_channels: of the image, for which a convolution comes first; None: the image has `width[0]` channels.
        out_channels: of the result, which a convolution makes at the end; a mapping of names to channels gives a dict;
            None: `width[0]`, as they come.
        end_kernel: of these two, along z, y and x; odd.
        fit: what happens to sizes that don't go through: "refuse" says which do, "pad" adds zeros and crops the result.
        weights: a file, or `{"file": ..., "take": ..., "rename": ...}`: see `models.utils.weights`.
        act_params: of the activation, by name: negative_slope, init or alpha.

    A call is one pass: feeding results back is up to the caller.

    Raises:
        ValueError: a name, a norm or factors that don't fit.
        TypeError: an argument that the activation doesn't have.
    """

    def __init__(
        self,
        width: Sequence[int] = WIDTH,
        unroll: int = 1,
        act: Act = "ReLU",
        *,
        step: int = 1,
        norm: Literal["batch"] | None = "batch",
        trilinear: bool = False,
        in_channels: int | None = None,
        out_channels: Outputs = None,
        end_kernel: int | Sequence[int] = (1, 5, 5),
        fit: Fit = "refuse",
        weights: Weights = None,
        **act_params: Any,
    ) -> None:
        title = type(self).__name__
        one_of(("batch", None), of=title, norm=norm)
        if type(unroll) is not int or unroll < 1:
            raise ValueError(f"{title}: unroll={unroll!r} is not 1 or more steps.")
        super().__init__(
            width,
            norm=norm and partial(_bank, count=unroll),
            activation=activation_of(act, act_params, of=type(self).__name__),
            upsampling=bilinear(trilinear),
            in_channels=in_channels,
            out_channels=out_channels,
            end_kernel=end_kernel,
            fit=fit,
            weights=weights,
        )
        # Without norms, there is nothing to choose.
        self.unroll, self._chooses = unroll, norm is not None
        #: The step of calls that name none.
        self.step = self._checked(step, "step")

    def forward(self, x: Tensor, unroll: int | None = None) -> Any:
        chosen = self.step if unroll is None else self._checked(unroll, "unroll")
        return self.run(x, *((chosen,) if self._chooses else ()))

    def _checked(self, step: int, name: str) -> int:
        if type(step) is not int or not 1 <= step <= self.unroll:
            raise ValueError(f"dynamic_rsunet: {name}={step!r} is none of its steps, 1 to {self.unroll}.")
        return step


def nearest(channels: int, factor: Triple) -> Module:
    """Upsampling that repeats every pixel; `channels` are kept, and play no part."""
    return Upsample(scale_factor=tuple(map(float, factor)), mode="nearest")


def _bank(channels: int, *, count: int) -> NormBank:
    """Batch norms, one for each step."""
    return NormBank(partial(BatchNorm3d, channels), count)
