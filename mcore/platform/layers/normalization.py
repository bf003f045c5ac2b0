"""Normalisations: over the batch, each sample, groups of channels, or the last axes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mcore.platform import dtypes, init
from mcore.platform import functional as F
from mcore.platform.base import Module
from mcore.platform.parameter import empty
from mcore.platform.tensor import CPU, Tensor, constant, device

# The ranks that torch takes, and how it names them.
_EXPECTED = {(2, 3): "2D or 3D", (4,): "4D", (5,): "5D", (3, 4): "3D or 4D", (4, 5): "4D or 5D"}


def _affine(layer: Module, shape: Any, *, weight: bool, bias: bool, device: Any, dtype: Any) -> None:
    layer.register_parameter("weight", empty(shape, device, dtype) if weight else None)
    layer.register_parameter("bias", empty(shape, device, dtype) if weight and bias else None)


def _reset_affine(layer: Module) -> None:
    if layer.weight is not None:
        init.ones_(layer.weight)
    if layer.bias is not None:
        init.zeros_(layer.bias)


class _NormBase(Module):
    _version = 2
    # Ranks of the inputs it takes.
    _ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, num_features, weight=affine, bias=bias, device=device, dtype=dtype)
        for name in ("running_mean", "running_var"):
            buffer = _buffer(np.zeros(num_features, np.float32), device, dtype) if track_running_stats else None
            self.register_buffer(name, buffer)
        count = _buffer(np.array(0), device, dtypes.int64) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forgets what training saw."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Sets scale one and shift zero, and forgets what training saw."""
        self.reset_running_stats()
        _reset_affine(self)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._ranks:
            raise ValueError(f"expected {_EXPECTED[self._ranks]} input (got {input.ndim}D input)")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, *notes: Any
    ) -> None:
        version = local_metadata.get("version")
        key = prefix + "num_batches_tracked"
        # Files of torch before 0.4.1 have no counter.
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            counter = self.num_batches_tracked
            state_dict[key] = counter if counter is not None else np.array(0)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *notes)


def _buffer(array: np.ndarray, where: Any, kind: Any) -> Tensor:
    kind = kind or dtypes.get_default_dtype()
    return Tensor._of(array.astype(kind.numpy), kind, CPU if where is None else device(where))


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in self._ranks:
            self._check_input_dim(input)
        own, buffers = self._parameters, self._buffers
        if not self.training:
            try:
                mean, var = buffers["running_mean"], buffers["running_var"]
                return F.batch_norm(
                    input, mean, var, own["weight"], own["bias"], mean is None and var is None, 0.0, self.eps
                )
            except KeyError:  # somebody replaced a state by a plain attribute
                mean, var = self.running_mean, self.running_var
            training = mean is None and var is None
            return F.batch_norm(input, mean, var, self.weight, self.bias, training, 0.0, self.eps)
        momentum = 0.0 if self.momentum is None else self.momentum
        mean = var = None
        if self.track_running_stats:
            mean, var = self.running_mean, self.running_var
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
                if self.momentum is None:  # cumulative: the plain average of all batches
                    return self._cumulative(input)
        return F.batch_norm(input, mean, var, self.weight, self.bias, True, momentum, self.eps)

    def _cumulative(self, input: Tensor) -> Tensor:
        # The weight of this batch is 1 / count, computed in the graph: as a plain number it would change the graph
        # at each call. With momentum 1 the word writes the batch's own statistics.
        mean, var = self.running_mean, self.running_var
        seen = [constant(np.zeros(int(s._shape[0])), s._dtype) for s in (mean, var)]
        out = F.batch_norm(input, *seen, self.weight, self.bias, True, 1.0, self.eps)
        factor = self.num_batches_tracked.to(mean._dtype).reciprocal()
        for running, batch in zip((mean, var), seen, strict=True):
            running.add_((batch - running) * factor)
        return out


class BatchNorm1d(_BatchNorm):
    """Normalises channels over the batch: (n, c) or (n, c, l)."""

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalises channels over the batch: (n, c, h, w)."""

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalises channels over the batch: (n, c, d, h, w)."""

    _ranks = (5,)


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        unbatched = self._ranks[0]
        axis = input.ndim - unbatched
        channels = input.shape[axis]
        if int(channels) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={axis} to match num_features ({self.num_features}), "
                    f"but got: {channels}."
                )
            warnings.warn(
                f"input's size at dim={axis} does not match num_features. You can silence this warning by not "
                "passing in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if input.ndim == unbatched:
            return self._normalized(input.unsqueeze(0)).squeeze(0)  # type: ignore[attr-defined]
        return self._normalized(input)

    def _normalized(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, self.training or not
            self.track_running_stats, self.momentum if self.momentum is not None else 0.0, self.eps,
        )  # fmt: skip

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, *notes: Any
    ) -> None:
        keys = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
        if local_metadata.get("version") is None and not self.track_running_stats and keys:
            names = " and ".join(f'"{key}"' for key in keys)
            kind = type(self).__name__
            notes[-1].append(
                f"Unexpected running stats buffer(s) {names} for {kind} with track_running_stats=False. If state_dict "
                f"is a checkpoint saved before 0.4.0, this may be expected because {kind} does not track running "
                "stats by default since 0.4.0. Please remove these keys from state_dict. If the running stats are "
                f"actually needed, instead set track_running_stats=True in {kind} to enable them. See the "
                f"documentation of {kind} for details."
            )
            for key in keys:
                state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, *notes)


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample: (n, c, l) or (c, l)."""

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample: (n, c, h, w) or (c, h, w)."""

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each sample: (n, c, d, h, w) or (c, d, h, w)."""

    _ranks = (4, 5)


class GroupNorm(Module):
    """Normalises groups of channels of each sample: (n, num_channels, ...)."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, num_channels, weight=affine, bias=bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets scale one and shift zero."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LayerNorm(Module):
    """Normalises over the last axes: (..., *normalized_shape)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        one = isinstance(normalized_shape, int | np.integer)
        self.normalized_shape: tuple = (normalized_shape,) if one else tuple(normalized_shape)  # type: ignore[arg-type]
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _affine(self, self.normalized_shape, weight=elementwise_affine, bias=bias, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets scale one and shift zero."""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        own = self._parameters
        try:
            return F.layer_norm(input, self.normalized_shape, own["weight"], own["bias"], self.eps)
        except KeyError:  # somebody replaced a parameter by a plain attribute
            return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divides by the root of the mean square over the last axes: (..., *normalized_shape)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        one = isinstance(normalized_shape, int | np.integer)
        self.normalized_shape: tuple = (normalized_shape,) if one else tuple(normalized_shape)  # type: ignore[arg-type]
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", empty(shape, device, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets scale one."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Divides by the mean square over neighbouring channels: (n, c, ...)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip
