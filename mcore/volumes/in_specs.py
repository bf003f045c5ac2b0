"""What a spec may ask for as `load_model` and `SimpleInferenceRunner`: the same, but for `trust`.

A spec is data, and whoever builds one that came from elsewhere has not said that a program it names may run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mcore import checkpoint, volumes


def load_model(
    path: str | os.PathLike[str],
    device: Any = "cpu",
    use_cache: bool = False,
    input_shape: Sequence[int] | None = None,
    tensorrt_enabled: bool = False,
    tensorrt_cache_dir: str | os.PathLike[str] = ".",
    *,
    default_version: str | None = None,
) -> Any:
    """`mcore.checkpoint.load_model` of what is data; the arguments are its own."""
    return checkpoint.load_model(
        path, device, use_cache, input_shape, tensorrt_enabled, tensorrt_cache_dir, default_version=default_version
    )


def SimpleInferenceRunner(  # by its name in specs
    model_path: Any = None,
    apply_sigmoid: bool = False,
    is_3d: bool = False,
    skip_zeros: bool = True,
    output_channels: int | None = None,
    cleanup_frequency: int = 100,
    *,
    model: Any = None,
    device: Any = None,
    skip_0_tiles: bool | None = None,
    unsqueeze_to: int | None = None,
    keep_axes: bool = False,
    precision: str | None = None,
    default_version: str | None = None,
) -> volumes.SimpleInferenceRunner:
    """`mcore.volumes.SimpleInferenceRunner` of what is data; the arguments are its own."""
    return volumes.SimpleInferenceRunner(
        model_path, apply_sigmoid, is_3d, skip_zeros, output_channels, cleanup_frequency,
        model=model, device=device, skip_0_tiles=skip_0_tiles, unsqueeze_to=unsqueeze_to, keep_axes=keep_axes,
        precision=precision, default_version=default_version,
    )  # fmt: skip


__all__ = ["SimpleInferenceRunner", "load_model"]
