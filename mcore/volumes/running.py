"""`load_and_run_model`: a network from a file, run on an array or tensor, its answer of the same kind."""

from __future__ import annotations

import os
from typing import Any

from mcore.checkpoint import load_model
from mcore.exchange import bridge
from mcore.volumes.containers import check_data, float_type, given, mapped, returned
from mcore.volumes.evaluating import evaluating

PRECISIONS = ("bfloat16", "float16")


def load_and_run_model(
    path: str | os.PathLike[str],
    data_in: Any,
    device: Any = None,
    use_cache: bool = True,
    tensorrt_enabled: bool = False,
    tensorrt_cache_dir: str | os.PathLike[str] = ".",
    *,
    precision: str | None = None,
    keep_dtype: bool = False,
    default_version: str | None = None,
    trust: bool = False,
) -> Any:
    """Loads the network at `path` and runs it on `data_in`, in evaluation mode and without gradients.

    Shapes:
        data_in: what the network takes
        returns: what it gives: an array where `data_in` is one, a tensor on its device where it's a tensor; several
            as the network gives them

    Args:
        path: a file or folder that `load_model` reads.
        data_in: a numpy array or a tensor; it isn't written.
        device: where to run; None takes a GPU where there is one.
        use_cache: as for `load_model`.
        tensorrt_enabled: as for `load_model`; the engine is built for the shape of `data_in`.
        tensorrt_cache_dir: as for `load_model`.
        precision: "bfloat16" or "float16" computes in it where torch's autocast does; None in the network's own types.
        keep_dtype: cast the result to the type of `data_in`, whatever it is, as the original did: probabilities of an
            image of bytes become 0 or 1. Otherwise floats come back in the type of `data_in` where that is a float,
            and in the network's where it isn't.
        default_version: as for `load_model`.
        trust: as for `load_model`.

    Source: zetta_utils, convnet/utils.py.
    Differs: the network is in evaluation mode, and afterwards in the mode it was in; nothing is computed in half
        precision unless `precision` says so; the result isn't cut to whole numbers; several outputs come back.

    Raises:
        TypeError: `data_in` is neither an array nor a tensor.
        ValueError: no such precision.
        NotImplementedError: a precision on the platform engine.
        and what `load_model` raises.
    """
    check_data(data_in, "load_and_run_model")
    check_precision(precision, "load_and_run_model")
    where = bridge.this().best_device() if device is None else device
    network = load_model(
        path, where, use_cache, tuple(map(int, data_in.shape)), tensorrt_enabled, tensorrt_cache_dir,
        default_version=default_version, trust=trust,
    )  # fmt: skip
    engine = bridge.of_module(network)
    # TensorRT is a device of its own there.
    result = run(network, data_in, engine.tensorrt_device(where) if tensorrt_enabled else where, precision)
    dtype = "data" if keep_dtype else "floats"
    return mapped(result, lambda tensor: returned(tensor, data_in, engine, dtype=dtype))


def run(network: Any, data: Any, device: Any, precision: str | None = None) -> Any:
    """The network's own answer, as its engine's tensors."""
    engine = bridge.of_module(network)
    where = engine.device_of(device)
    with evaluating(network), engine.inferring(where, precision):
        tensor = given(data, network, engine, where)
        try:
            return network(tensor)
        except Exception as error:
            wide = float_type(network)
            if wide is not None and tensor.dtype != wide:
                error.add_note(f"the data is {tensor.dtype} and the network {wide}; if it was to take that, cast it.")
            raise


def check_precision(precision: str | None, who: str) -> None:
    """Raises ValueError where there is no such precision."""
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(f"{who}: precision={precision!r} is not one of {', '.join(map(repr, PRECISIONS))} or None.")


__all__ = ["check_precision", "load_and_run_model", "run"]
