"""Weights from other people's files, for any number of input channels and dimensions.

`weights=` takes a path, or a mapping:

- `file`: the path; .safetensors, .pth and .pt are read, tensors only;
- `take`: names in the file to take, a pattern ("encoder.*"); what the pattern fixes in front is cut off;
- `into`: a prefix put in front of what was taken;
- `rename`: a mapping of prefixes, or the name of a table in `RENAMES`.

What wrappers put around a state or before its names (`state_dict`, `module.`) is taken off first.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

import mcore
from mcore import Module, Tensor
from mcore.vocabulary import nearest

# Under what name training programs store the state, and what they put before each name.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "ema", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")

# Names of other libraries for the parts of ours, by prefix.
RENAMES: dict[str, dict[str, str]] = {
    "segmentation_models_unet": {
        "encoder.": "backbone.",
        "decoder.blocks.": "head.blocks.",
        "segmentation_head.0.": "head.classifier.",
    },
    "torchvision_classifier": {"fc.": "head.fc.", "": "backbone."},
    "torchvision_fcn_head": {"0.": "conv.0.", "1.": "conv.1.", "4.": "classifier."},
    "torchvision_fcn": {
        "classifier.0.": "head.conv.0.",
        "classifier.1.": "head.conv.1.",
        "classifier.4.": "head.classifier.",
    },
    # timm's features_only networks.
    "timm_features": {f"layer{n}_": f"layer{n}." for n in (1, 2, 3, 4)},
}


@dataclass
class Report:
    """What became of each entry of a file, by our names; `unexpected` by the file's."""

    file: str
    matched: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{len(value)} {key}" for key, value in vars(self).items() if key != "file")
        return f"{self.file}: {counts}"


def load_weights(net: Module, weights: str | os.PathLike[str] | Mapping[str, Any]) -> Report:
    """Loads a file into `net`, and says what became of each entry.

    The first convolution is adapted to other input channels, every convolution to other dimensions; the
    classifier of another number of classes is skipped. A network names the two: `first_conv`, `classifier`.

    Raises:
        ValueError: nothing matched, or shapes don't fit; nothing was changed.
    """
    options: dict[str, Any] = dict(weights) if isinstance(weights, Mapping) else {"file": weights}
    _check_options(options)
    name = os.fspath(options["file"])
    there = unwrapped(mcore.load(options["file"]))
    found = renamed(there, take=options.get("take"), into=options.get("into"), rename=options.get("rename"))
    report, state = Report(name), net.state_dict()
    new, wrong = dict(state), []
    for key, tensor in found.items():
        if key not in state:
            report.unexpected.append(key)
            continue
        ours, theirs = tuple(map(int, state[key].shape)), tuple(map(int, tensor.shape))
        if ours == theirs:
            new[key], kind = tensor, report.matched
        elif key.rpartition(".")[0] == getattr(net, "classifier", None):
            kind = report.skipped
        elif (array := adapted(tensor, ours, inputs=_is_first(net, key))) is not None:
            new[key], kind = mcore.from_numpy(array), report.adapted
        else:
            wrong.append(f"{key}: the file has {theirs}, the network {ours}")
            continue
        kind.append(key)
    report.missing = [key for key in state if key not in found and not key.endswith("num_batches_tracked")]
    _judge(net, report, wrong, state)
    net.load_state_dict(new)
    return report


def unwrapped(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a file by name, out of what training programs wrap around them."""
    while inner := next((state[key] for key in WRAPPERS if isinstance(state.get(key), Mapping)), None):
        state = inner
    tensors = {key: value for key, value in state.items() if hasattr(value, "shape")}
    while prefix := next((p for p in PREFIXES if tensors and all(key.startswith(p) for key in tensors)), None):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors


def renamed(
    state: Mapping[str, Tensor],
    *,
    take: str | None = None,
    into: str | None = None,
    rename: str | Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Entries that `take` matches, under the names that `rename` and `into` give them."""
    front = "" if take is None else take.partition("*")[0]
    taken = {k.removeprefix(front): v for k, v in state.items() if take is None or fnmatchcase(k, take)}
    table = RENAMES[rename] if isinstance(rename, str) else rename or {}
    return {(into or "") + _renamed(key, table): value for key, value in taken.items()}


def adapted(tensor: Tensor, shape: tuple[int, ...], *, inputs: bool) -> np.ndarray | None:
    """A convolution's weight for another number of dimensions, and of input channels where `inputs`; or None.

    Dimensions are added by repeating the kernel along them, and taken away by summing, so that an image
    repeated along the new axis gives what it gave. Channels: the sum for one; else repeated and scaled, as
    timm does.

    Source: Carreira and Zisserman, arXiv:1705.07750, section 2.4 (inflation).
    """
    if tensor.ndim < 3 or len(shape) < 3:
        return None
    weight = tensor.float().numpy()
    while weight.ndim > len(shape):
        weight = weight.sum(axis=2)
    while weight.ndim < len(shape):
        size = shape[len(shape) - weight.ndim + 1]
        weight = np.repeat(weight[:, :, None], size, axis=2) / size
    if inputs and weight.shape[1] != shape[1]:
        weight = _for_channels(weight, shape[1])
    return np.ascontiguousarray(weight) if weight.shape == shape else None


def _for_channels(weight: np.ndarray, count: int) -> np.ndarray:
    if count == 1:
        return weight.sum(axis=1, keepdims=True)
    there = weight.shape[1]
    return np.concatenate([weight] * -(-count // there), axis=1)[:, :count] * (there / count)


def _renamed(key: str, table: Mapping[str, str]) -> str:
    # The longest prefix that fits; an empty one takes what no other does.
    for prefix in sorted(table, key=len, reverse=True):
        if key.startswith(prefix):
            return table[prefix] + key.removeprefix(prefix)
    return key


def _is_first(net: Module, key: str) -> bool:
    return key == f"{getattr(net, 'first_conv', None)}.weight"


def _check_options(options: Mapping[str, Any]) -> None:
    known = ("file", "take", "into", "rename")
    for key in options:
        if key not in known:
            likely = nearest(key, known, least=0.0, most=1)[0]
            raise ValueError(f"weights: {key!r} is none of {', '.join(known)} (did you mean {likely!r}?).")
    if options.get("file") is None:
        raise ValueError("weights: no file is named; give a path, or a mapping with 'file'.")
    rename = options.get("rename")
    if isinstance(rename, str) and rename not in RENAMES:
        raise ValueError(f"weights: rename={rename!r} is no table; there are {', '.join(RENAMES)}.")


def _judge(net: Module, report: Report, wrong: list[str], state: Mapping[str, Tensor]) -> None:
    title = type(net).__name__
    if wrong:
        raise ValueError(f"{title}: {report.file} doesn't fit, and nothing was loaded: {'; '.join(wrong)}.")
    if not report.matched and not report.adapted:
        theirs, ours = report.unexpected[:2] or ["nothing"], list(state)[:2]
        raise ValueError(
            f"{title}: nothing in {report.file} matches: it has {', '.join(theirs)}, ...; "
            f"the network has {', '.join(ours)}, ...; give take= or rename=."
        )
    if report.missing:
        shown = ", ".join(report.missing[:3]) + (", ..." if len(report.missing) > 3 else "")
        warnings.warn(
            f"{title}: {len(report.missing)} of {len(state)} entries are not in {report.file} and keep their "
            f"random values: {shown}.",
            stacklevel=4,
        )
