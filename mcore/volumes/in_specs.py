"""What a spec may ask for as `load_model` and `SimpleInferenceRunner`: the same, but for `trust` and TensorRT.

A spec is data, and whoever builds one that came from elsewhere has not said that a program it names may run. Nor that
a folder it names may be written, and the engines in it run, which TensorRT does with its cache.
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
    """`mcore.checkpoint.load_model` of what is data.

    Args:
        path: a `.json`, an `.onnx` or an artifact's folder.
        device: where the model shall be.
        use_cache: keep it, and give the same object again.
        input_shape: of TensorRT; plays no part here.
        tensorrt_enabled: false; the original's specs may say so.
        tensorrt_cache_dir: of TensorRT; plays no part here.
        default_version: of a `.json`: the version of what names none; not that of the spec that this stands in.

    Raises:
        ValueError: TensorRT is asked for.
        and what `mcore.checkpoint.load_model` raises.
    """
    if tensorrt_enabled:
        raise ValueError(
            "load_model: tensorrt_enabled=True writes engines into a folder, and runs those that lie there, which a "
            "spec can't ask for; call mcore.checkpoint.load_model with it instead."
        )
    return checkpoint.load_model(path, device, use_cache, default_version=default_version)


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
    """`mcore.volumes.SimpleInferenceRunner` of what is data.

    Args:
        model_path: a file or folder that `load_model` reads.
        apply_sigmoid: the result's sigmoid.
        is_3d: put axes before a tile until it has 5.
        skip_zeros: don't run tiles of nothing but zeros.
        output_channels: the channels that the network gives.
        cleanup_frequency: free memory after each so many tiles.
        model: a spec of a module, or a path.
        device: where to run.
        skip_0_tiles: another name of `skip_zeros`.
        unsqueeze_to: put axes before a tile until it has so many.
        keep_axes: leave axes that were added in the result.
        precision: "bfloat16" or "float16" computes in it, on the torch engine.
        default_version: as for `load_model`.
    """
    return volumes.SimpleInferenceRunner(
        model_path, apply_sigmoid, is_3d, skip_zeros, output_channels, cleanup_frequency,
        model=model, device=device, skip_0_tiles=skip_0_tiles, unsqueeze_to=unsqueeze_to, keep_axes=keep_axes,
        precision=precision, default_version=default_version,
    )  # fmt: skip


__all__ = ["SimpleInferenceRunner", "load_model"]
