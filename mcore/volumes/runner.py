"""`SimpleInferenceRunner`: one network over many tiles, the empty ones skipped."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from mcore.checkpoint import load_model
from mcore.checkpoint.loading import checked_kind
from mcore.checkpoint.model_cache import stamp
from mcore.checkpoint.places import existing, path_of
from mcore.exchange import bridge
from mcore.volumes.containers import check_data, device_of, is_zero, mapped, returned
from mcore.volumes.running import check_precision, run

# Shapes of tiles whose results' shapes are remembered; a volume has a handful, at its borders.
MOST_SHAPES = 64


class Outline(NamedTuple):
    """A tensor without its numbers."""

    shape: tuple[int, ...]
    dtype: Any


class SimpleInferenceRunner:
    """Runs a network on one tile after another: `runner(tile)`.

    A tile of nothing but zeros isn't run: its result is zeros, of the shape and type that the network gives for other
    tiles of this shape. That is learnt from the tiles that were run, or by running one; it's 0 also where
    `apply_sigmoid` or the network would make something else of an empty tile.

    Shapes:
        tile: (n, c, h, w); with `is_3d` (n, c, d, h, w), or without n, or without n and c
        returns: what the network gives, an array where the tile is one, a tensor on its device where it's a tensor;
            axes that were added are taken away again: n, and c where it is 1

    Args:
        model_path: a file or folder that `load_model` reads; loaded when the first tile needs it, and again when it
            changes. A module may stand here too.
        apply_sigmoid: the result's sigmoid.
        is_3d: put axes before a tile until it has 5.
        skip_zeros: don't run tiles of nothing but zeros.
        output_channels: the channels that the network gives, its result's axis 1; another number is an error.
        cleanup_frequency: free memory that the engine holds but doesn't use after each so many tiles that were run: a
            GPU's on the torch engine, that of ONNX Runtime's sessions on the platform.
        model: a module, or a path as above, by the name of the documentation's example. A module's modes are put back
            after each tile.
        device: where to run; None leaves a module where it is, and takes a GPU for a file where there is one. A module
            is moved there.
        skip_0_tiles: another name of `skip_zeros`, by the same example.
        unsqueeze_to: put axes before a tile until it has so many: an older revision's name, where `is_3d` is 5.
        keep_axes: leave axes that were added in the result, as the original did.
        precision: as for `load_and_run_model`.
        default_version: as for `load_model`.
        trust: as for `load_model`.

    Source: zetta_utils, convnet/simple_inference_runner.py.
    Differs: results of tiles that were skipped have the network's shape and type, where the original gave float64 in
        the tile's size; tensors come back as tensors; added axes are taken away; tiles are counted by each runner.

    Raises:
        ValueError: no network or two are given, the file's format isn't read, a number makes no sense.
        TypeError: a tile, path or module is something else.
    """

    def __init__(
        self,
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
        trust: bool = False,
    ) -> None:
        if (model is None) == (model_path is None):
            raise ValueError("SimpleInferenceRunner: give one network: model=, a module or a path, or model_path=.")
        if is_3d and unsqueeze_to not in (None, 5):
            raise ValueError(f"SimpleInferenceRunner: is_3d=True means unsqueeze_to=5, not {unsqueeze_to}.")
        for name, value in (("output_channels", output_channels), ("unsqueeze_to", unsqueeze_to)):
            if value is not None:
                _check_count(name, value)
        _check_count("cleanup_frequency", cleanup_frequency)
        check_precision(precision, "SimpleInferenceRunner")
        self.apply_sigmoid, self.keep_axes, self.precision = apply_sigmoid, keep_axes, precision
        self.skip_zeros = skip_zeros if skip_0_tiles is None else skip_0_tiles
        self.dims = 5 if is_3d else unsqueeze_to
        self.output_channels, self.cleanup_frequency = output_channels, cleanup_frequency
        self.default_version, self.trust, self.device = default_version, trust, device
        self._take(model_path if model is None else model)
        self.call_count = 0
        self._outlines: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()

    def _take(self, given: Any) -> None:
        """Keeps the module, or the path after a look at its name."""
        self.model: Any = None
        self.model_path: Path | None = None
        if isinstance(given, str | os.PathLike):
            self.model_path = path_of(given, "SimpleInferenceRunner")
            checked_kind(self.model_path, self.trust)
            return
        engine = bridge.of_module(given)
        # Asked first: where there is no such device, a part of the module may have been moved already.
        self.model = given if self.device is None else given.to(engine.device_of(self.device))

    def __call__(self, tile: Any) -> Any:
        """The network's result for `tile`."""
        check_data(tile, "SimpleInferenceRunner")
        data, added = self._with_axes(tile)
        skipped = self.skip_zeros and is_zero(tile)
        result = self._empty(data) if skipped else self._run(data)
        return result if self.keep_axes else mapped(result, lambda each: _without_axes(each, added))

    def _with_axes(self, tile: Any) -> tuple[Any, int]:
        """The tile with axes in front, and how many they are."""
        shape = tuple(map(int, tile.shape))
        added = 0 if self.dims is None else self.dims - len(shape)
        if added < 0:
            raise ValueError(
                f"SimpleInferenceRunner: a tile of shape {shape} has {len(shape)} axes; at most {self.dims} fit."
            )
        return (tile.reshape((*(1,) * added, *shape)), added) if added else (tile, 0)

    def _run(self, data: Any) -> Any:
        result, engine, where, _ = self._computed(data)
        out = mapped(result, lambda tensor: returned(tensor, data, engine, dtype="network"))
        with self._lock:
            self.call_count += 1
            due = self.call_count % self.cleanup_frequency == 0
        if due:
            engine.free_memory(where)
        return out

    def _empty(self, data: Any) -> Any:
        """Zeros of the shape and type of the result for a tile like `data`, which is zero itself."""
        known = self._outlines.get(self._key(data))
        if known is None:
            _, engine, _, outline = self._computed(data)
        else:
            outline, engine = known
        zeros = engine.namespace().zeros
        return mapped(
            outline,
            lambda each: returned(zeros(each.shape, dtype=each.dtype), data, engine, dtype="network"),
            lambda each: isinstance(each, Outline),
        )

    def _computed(self, data: Any) -> tuple[Any, ModuleType, str, Any]:
        """The network's tensors, its engine, where it ran, and what the result looks like, which is remembered."""
        key = self._key(data)
        network, where = self._network()
        engine = bridge.of_module(network)
        result = run(network, data, where, self.precision)
        if self.apply_sigmoid:
            result = mapped(result, engine.namespace().sigmoid)
        outline = mapped(result, lambda tensor: Outline(tuple(map(int, tensor.shape)), tensor.dtype))
        mapped(outline, self._check_channels, lambda each: isinstance(each, Outline))
        if len(self._outlines) >= MOST_SHAPES:
            self._outlines = {}
        # A new one: other threads read the old. What two of them add at once, one may lose, and learn again.
        self._outlines = {**self._outlines, key: (outline, engine)}
        return result, engine, where, outline

    def _key(self, data: Any) -> tuple[Any, ...]:
        """What the looks of a result depend on: the network's file as it is now, and the tile's shape and type."""
        file = None
        if self.model_path is not None:
            file = stamp(existing(self.model_path, "SimpleInferenceRunner").resolve())
        return file, tuple(map(int, data.shape)), data.dtype

    def _network(self) -> tuple[Any, str]:
        if self.model_path is None:
            return self.model, device_of(self.model, bridge.of_module(self.model))
        where = bridge.this().device_of(self.device) if self.device is not None else bridge.this().best_device()
        network = load_model(
            self.model_path, where, use_cache=True, default_version=self.default_version, trust=self.trust
        )
        return network, where

    def _check_channels(self, outline: Outline) -> None:
        if self.output_channels is not None and outline.shape[1:2] != (self.output_channels,):
            raise ValueError(
                f"SimpleInferenceRunner: output_channels={self.output_channels}, but the network gives a tensor of "
                f"shape {outline.shape}; its axis 1 has to be of that size. Leave output_channels out to take what "
                "the network gives."
            )

    def __getstate__(self) -> dict[str, Any]:
        # Sent to another process: a lock stays here, and what was learnt is learnt again there.
        return {**self.__dict__, "_lock": None, "_outlines": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        network = str(self.model_path) if self.model is None else type(self.model).__name__
        return f"SimpleInferenceRunner({network}, device={self.device}, skip_zeros={self.skip_zeros})"


def _without_axes(result: Any, added: int) -> Any:
    """`result` without the first `added` axes, as far as they are of size 1."""
    shape, left = tuple(map(int, result.shape)), added
    while left and shape[:1] == (1,):
        shape, left = shape[1:], left - 1
    return result if left == added else result.reshape(shape)


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"SimpleInferenceRunner: {name} is a positive whole number, got {value!r}.")


__all__ = ["SimpleInferenceRunner"]
