"""Tensors by name out of any file that has them, as arrays, on either engine: torch isn't needed for torch's files."""

from __future__ import annotations

import math
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mcore.checkpoint.errors import LimitExceeded
from mcore.checkpoint.sniff import NPZ, OLD_TORCH, ONNX, PROGRAM, SAFETENSORS, SCRIPT, TORCH, check_weights, sniff
from mcore.exchange import bridge, files
from mcore.exchange.errors import ModelFileError, first_line

# Under what name training programs store a state, in the order in which they are looked for.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "ema", "net")
# Arrays of an .npz may be packed; so many times its size a file may ask for, and so much in any case.
LARGEST_PACKED, SMALL = 100, 1 << 28
MOST_MEMBERS = 100_000


def state_of(path: str | os.PathLike[str], *, trust: bool = False) -> dict[str, np.ndarray]:
    """The tensors of a file by their names there: safetensors, .pth and .pt, initializers of ONNX, .npz.

    What the file is, its content decides. Of what training programs wrap around a state, the state is taken; what is
    no tensor (a count of epochs) is left out. Darknet's files have no names: a network reads them, by `weights=`.

    Args:
        path: the file.
        trust: also the state of TorchScript and of programs of torch.export, on the torch engine: they can run code
            of their own, so give it only for files whose origin you know.

    Returns:
        Arrays in the file's order; some may share memory, and some can't be written to.

    Raises:
        FileNotFoundError: there is no such file.
        UnsafeFormat: it can run code, and `trust` isn't given; or it is another program's pickle.
        ModelFileError: it is damaged, holds objects other than tensors and plain data, or no tensors by name.
        LimitExceeded: its arrays would take far more memory than the file has bytes.
        NotImplementedError: a program, on the platform engine.
    """
    file = Path(path)
    found = check_weights(file, "state_of", trust=trust)
    state = _READERS[found.kind](file)
    if not state:
        raise ModelFileError(f"state_of: {file} is {found.kind}, but has no tensors by name.")
    return state


def read_as_arrays(file: Path, kind: str) -> bool:
    """Whether `mcore.load`, which gives tensors of this engine, doesn't read a file that `state_of` reads."""
    # Torch's reader goes by this ending, whatever is in the file.
    return kind in (ONNX, NPZ) or (kind in (TORCH, OLD_TORCH) and file.suffix.lower() == ".safetensors")


def read_program(file: Path, device: str) -> Any:
    """A program of torch as a module, whatever the file's name: TorchScript or torch.export. Only for trusted files.

    Raises:
        NotImplementedError: on the platform engine.
        ModelFileError: the file is damaged, or no program.
    """
    engine, kind = bridge.this(), sniff(file).kind
    engine.check_runs_programs(file)
    if kind not in (SCRIPT, PROGRAM):
        raise ModelFileError(f"{file} is {kind}, no program of torch.")
    # The engine goes by the ending, so the file is given the one of its content.
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / ("program.jit" if kind == SCRIPT else "program.ts")
        link.symlink_to(file.resolve())
        try:
            return engine.read_program(link, device)
        except ModelFileError as error:
            raise ModelFileError(str(error).replace(str(link), str(file))) from error


def _of_torch(file: Path) -> dict[str, np.ndarray]:
    """By this project's own reader: without torch, on either engine, and nothing in the file runs."""
    from mcore.exchange.pickles import read_pickle

    content = read_pickle(file, lambda array: array)
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return {key: x for key, x in content.items() if isinstance(key, str) and isinstance(x, np.ndarray)}
        content = inner
    raise ModelFileError(f"state_of: {file} holds a {type(content).__name__}, no tensors by name.")


def _of_onnx(file: Path) -> dict[str, np.ndarray]:
    """The initializers of the graph, whose data may lie in files beside it."""
    import onnx

    from mcore.exchange.safety import read_model

    loaded = read_model(file)
    other = [t for t in loaded.model.graph.initializer if t.data_type != onnx.TensorProto.STRING]
    return loaded.arrays | {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in other}


def _of_npz(file: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(file) as archive:
            _check_members(archive, file)
            return {info.filename.removesuffix(".npy"): _member(archive, info, file) for info in archive.infolist()}
    except ModelFileError:
        raise
    # What damaged members make the readers stumble over has no common class.
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError, NotImplementedError, SyntaxError) as error:
        raise ModelFileError(f"{file}: damaged, or not written by numpy.savez: {first_line(error)}") from error


def _check_members(archive: zipfile.ZipFile, file: Path) -> None:
    """Refuses a file that would unpack to any size, before anything is unpacked."""
    infos = archive.infolist()
    if len({info.filename for info in infos}) != len(infos):
        raise ModelFileError(f"{file}: two arrays in it have the same name.")
    total, size = sum(info.file_size for info in infos), file.stat().st_size
    if len(infos) > MOST_MEMBERS or total > max(LARGEST_PACKED * size, SMALL):
        raise LimitExceeded(
            f"{file}: {len(infos)} arrays of {total} bytes in a file of {size}; at most {MOST_MEMBERS} arrays of "
            f"{LARGEST_PACKED} times its size are unpacked. If it is meant, save it anew with numpy.savez."
        )


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> np.ndarray:
    with archive.open(info) as content:
        version = np.lib.format.read_magic(content)
        if version not in _HEADERS:
            raise ModelFileError(f"{file}: {info.filename!r:.80} has version {version} of numpy's format.")
        shape, _, dtype = _HEADERS[version](content)
        if dtype.hasobject:
            raise ModelFileError(f"{file}: {info.filename!r:.80} holds objects, which are a pickle; arrays are read.")
        # Numpy makes room for the shape before it sees that there are fewer bytes.
        if math.prod(shape) * dtype.itemsize > info.file_size:
            raise ModelFileError(f"{file}: {info.filename!r:.80} of shape {shape} has {info.file_size} bytes.")
    with archive.open(info) as content:
        return np.lib.format.read_array(content, allow_pickle=False)


_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _of_program(file: Path) -> dict[str, np.ndarray]:
    state = read_program(file, "cpu").state_dict()
    return {name: bridge.array_of(value) for name, value in state.items() if bridge.is_tensor(value)}


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    SAFETENSORS: files.load_arrays,
    TORCH: _of_torch,
    OLD_TORCH: _of_torch,
    ONNX: _of_onnx,
    NPZ: _of_npz,
    SCRIPT: _of_program,
    PROGRAM: _of_program,
}

__all__ = ["WRAPPERS", "read_as_arrays", "read_program", "state_of"]
