"""Weights from other people's files, for any number of input channels and dimensions.

`weights=` takes a path, or a mapping:

- `file`: the path; safetensors, files of torch.save (tensors only), .npz, ONNX's initializers, and Darknet's .weights
  and .conv.N for darknet53 and cspdarknet53 (its detectors, `models.networks.YOLOv4`, read theirs): which of them it
  is, its content says; or `state`: what such a file holds;
- instead of a file, a name: "imagenet", or a checkpoint of a repository, also as `repository` and `checkpoint`: see
  `models.utils.published`;
- `take`: names in the file to take, a pattern ("encoder.*"); what the pattern fixes in front is cut off;
- `into`: a prefix put in front of what was taken;
- `rename`: a table of `models/utils/renames` by its name, a .json or .yaml file that holds one, or the rules
  themselves: prefixes, or expressions that begin with `^`. Where neither it nor `take` is given, the table and the
  prefix that find most are taken, and the report names them;
- `shapes`: "adapt" (the default) fits the first convolution to other input channels, convolutions to other
  dimensions, and leaves out the classifier of another number of classes; "skip" leaves out whatever doesn't fit;
  "error" wants every shape as it is;
- `channels`: what each input channel of ours is to a file that saw red, green and blue: "BGR", or
  ["R", "G", "B", "zero"], out of `models.utils.adapting.CHANNELS`;
- `classes`: which of the file's classes ours are, by their numbers there: [3, 17, 0].

What wrappers put around a state or before its names (`state_dict`, `module.`) is taken off first.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mcore
from mcore import Module, Tensor
from mcore.checkpoint.sniff import DARKNET, EMPTY, UNKNOWN, sniff
from mcore.checkpoint.sniff import check_weights as check_file
from mcore.checkpoint.states import read_as_arrays, state_of
from mcore.exchange import bridge
from mcore.signatures import signature
from mcore.vocabulary import nearest
from models.darknet.names import state_for
from models.darknet.weights import is_darknet
from models.utils import published
from models.utils.adapting import adapted, check_channels, of_classes, reshaped
from models.utils.layouts import Layout, found_layout, layout_of, unwrapped

OPTIONS = ("file", "state", "repository", "checkpoint", "take", "into", "rename", "shapes", "channels", "classes")
SHAPES = ("adapt", "skip", "error")
# What each option is, and how that is said.
_FITTING: dict[str, tuple[Any, str]] = {
    "file": (str | os.PathLike, "a path"),
    "state": (Mapping, "a mapping of names to tensors"),
    "repository": (str | os.PathLike, "a folder or a URL"),
    "checkpoint": (str, "an id or an address, as in 'backbones/resnet50@3'"),
    "take": (str, 'a pattern of names, as in "encoder.*"'),
    "into": (str, 'a prefix, as in "backbone."'),
    "rename": (str | Mapping, "a table's name, its file, or rules"),
    "channels": (str | list | tuple, 'names of channels, as in "BGR" or ["mean"]'),
    "classes": (list | tuple, "a list of numbers"),
}


@dataclass
class Report:
    """What became of each entry of a file, by our names; `unexpected` by the file's.

    `matched` stood there under our name and `renamed` under another; both are loaded, and so is what was
    `adapted`. `layout` tells whose names they were; `norm_eps` was set, where it isn't None. `assumed` were in no
    file of this kind, whose layers had none of them, and have the values that stand for that. `channels` are what a
    checkpoint of a repository says that its input channels were, where it isn't red, green and blue.
    """

    file: str
    layout: str = ""
    matched: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    norm_eps: float | None = None
    channels: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = ", ".join(f"{len(value)} {key}" for key, value in vars(self).items() if isinstance(value, list))
        eps = "" if self.norm_eps is None else f", eps of norms set to {self.norm_eps}"
        seen = f", trained on channels {', '.join(self.channels)}" if self.channels else ""
        return f"{self.file}: {counts}; names {self.layout}{eps}{seen}"


def load_weights(net: Module, weights: str | os.PathLike[str] | Mapping[str, Any]) -> Report:
    """Loads a file into `net`, and says what became of each entry; see the top of this file for `weights`.

    A network names the layers that see the image and those that score classes, `first_conv` and `classifier`, one or
    a tuple; where it doesn't, its parts do. Where these score boxes, `num_classes` tells how many numbers of each box
    are scores, and `before_classes` how many come before them. Where files of a kind lack all of some entries, the
    network's `assumed` tells the number that stands for one.

    "imagenet" is loaded into the backbone that `net` is or has; the report is of that.

    Raises:
        ValueError: nothing matched, or shapes don't fit; nothing was changed. A file is damaged, or of another kind.
        FileNotFoundError: no such file, or no weights of this name: every place is told that was looked in.
    """
    net, report, options = _meant(net, check_weights(weights))
    state = net.state_dict()
    theirs = _read(net, options)
    if not theirs:
        raise ValueError(f"{type(net).__name__}: {report.file} holds no tensors by name; give what does as 'state'.")
    named, layout, prefix = _named(theirs, state, options)
    if not named:
        raise ValueError(
            f"{type(net).__name__}: take={options['take']!r} takes none of {', '.join(list(theirs)[:3])}, ..."
        )
    report.layout = f"{layout.name}{_under(prefix)}"
    new, wrong, roles = dict(state), [], _roles(net)
    for key, (source, tensor) in named.items():
        if key not in state:
            report.unexpected.append(source)
            continue
        value, kind = _fitting(roles, key, tensor, tuple(map(int, state[key].shape)), options)
        if kind == "wrong":
            shapes = [tuple(map(int, x.shape)) for x in (tensor, state[key])]
            wrong.append(f"{key}: the file has {shapes[0]}, the network {shapes[1]}")
            continue
        if value is not None:
            new[key] = value
        getattr(report, "renamed" if kind == "matched" and source != key else kind).append(key)
    report.missing = [key for key in state if key not in named and not key.endswith("num_batches_tracked")]
    _assume(net, report, new)
    _judge(net, report, wrong, state, named)
    net.load_state_dict(new)
    if layout.norm_eps is not None:
        report.norm_eps = _set_eps(net, layout.norm_eps)
    return report


def _meant(net: Module, options: dict[str, Any]) -> tuple[Module, Report, dict[str, Any]]:
    """What is loaded into, a report, and options of a file or a state: names are looked up."""
    named = published.asked(options)
    if named is None:
        return net, Report(os.fspath(options.get("file") or "the state given")), options
    net = published.target_of(net, named)
    return net, *_found(published.find(net, named), options)


def _found(found: published.Found, options: dict[str, Any]) -> tuple[Report, dict[str, Any]]:
    """Options that name what was found, and the report for it."""
    options = {key: value for key, value in options.items() if key not in ("file", "repository", "checkpoint")}
    report = Report(found.where, channels=() if found.channels == ("R", "G", "B") else found.channels)
    if found.file is not None:
        return report, {**options, "file": found.file}
    # Channels are told of files that see red, green and blue in this order.
    arrays = found.by_colour() if options.get("channels") is not None else found.state
    return report, {**options, "state": _tensors(arrays or {})}


def _assume(net: Module, report: Report, new: dict[str, Tensor]) -> None:
    """Fills in what the file lacks because layers of its kind have none of it, as the network tells."""
    told = getattr(net, "assumed", None)
    values = {} if told is None else {key: value for key in new if (value := told(key)) is not None}
    # Where the file has some, the others are missing.
    if values and set(values) <= set(report.missing):
        new.update({key: mcore.full_like(new[key], value) for key, value in values.items()})
        report.assumed = list(values)
        report.missing = [key for key in report.missing if key not in values]


def renamed(
    state: Mapping[str, Tensor],
    *,
    take: str | None = None,
    into: str | None = None,
    rename: str | Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Entries that `take` matches, under the names that `rename` and `into` give them."""
    front = "" if take is None else take.partition("*")[0]
    layout = layout_of(rename)
    taken = [key for key in state if take is None or fnmatchcase(key, take)]
    return {
        ours: state[key] for key, ours in _once({key: (into or "") + layout(key.removeprefix(front)) for key in taken})
    }


def _once(named: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pairs of their and our names; refuses rules that give two entries one name."""
    first: dict[str, str] = {}
    for theirs, ours in named.items():
        if first.setdefault(ours, theirs) != theirs:
            raise ValueError(f"weights: {first[ours]!r} and {theirs!r} of the file are both renamed to {ours!r}.")
    return list(named.items())


def _read(net: Module, options: Mapping[str, Any]) -> dict[str, Tensor]:
    if options.get("state") is not None:
        return unwrapped(options["state"])
    file = Path(options["file"])
    kind = sniff(file).kind
    # What is named as Darknet's is told by its own reader, unless it's plain that it is something else.
    if kind == DARKNET or (is_darknet(file.name) and kind in (EMPTY, UNKNOWN)):
        nameless = [key for key in ("take", "into", "rename") if options.get(key) is not None]
        if nameless:
            raise ValueError(
                f"weights: {', '.join(nameless)} have no meaning for {options['file']}, whose entries have no names."
            )
        # What such a file holds depends on the network.
        read = getattr(net, "darknet_state", None)
        arrays = state_for(net, options["file"]) if read is None else read(options["file"])
        return {key: mcore.from_numpy(np.array(array)) for key, array in arrays.items()}
    check_file(file, f"{type(net).__name__}: weights")
    return unwrapped(_tensors(state_of(file)) if read_as_arrays(file, kind) else mcore.load(file))


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """Arrays as tensors; of bfloat16 too, which numpy alone doesn't know."""
    tensor_of = bridge.this().tensor_of
    return {key: tensor_of(array) for key, array in arrays.items()}


def _named(
    theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], options: Mapping[str, Any]
) -> tuple[dict[str, tuple[str, Tensor]], Layout, str]:
    """Entries under our names, each with its own; the layout, and the prefix that was taken off."""
    chosen = {key: options[key] for key in ("take", "into", "rename") if options.get(key) is not None}
    if not chosen:
        layout, prefix = found_layout(theirs, ours)
        named = _once({key: layout(key).removeprefix(prefix) for key in theirs})
        return {ours: (key, theirs[key]) for key, ours in named}, layout, prefix
    pairs: Any = {key: (key, value) for key, value in theirs.items()}
    return renamed(pairs, **chosen), layout_of(chosen.get("rename")), ""  # type: ignore[return-value]


def _fitting(
    roles: "_Roles", key: str, tensor: Tensor, shape: tuple[int, ...], options: Mapping[str, Any]
) -> tuple[Tensor | None, str]:
    """The tensor in the shape that is wanted, and what became of it: a list of `Report`, or "wrong"."""
    shapes, channels = options.get("shapes", "adapt"), options.get("channels")
    layer = key.rpartition(".")[0]
    first, head = layer in roles.first and key.endswith(".weight"), layer in roles.classifiers
    if head and options.get("classes") is not None:
        rows = of_classes(tensor, shape, options["classes"], *roles.classifiers[layer], key=key)
        fits = rows is not None and rows.shape == shape
        return (mcore.from_numpy(rows), "adapted") if fits else (None, "wrong")
    means = check_channels(channels, shape[1]) if first and channels is not None else None
    if tuple(map(int, tensor.shape)) == shape and means is None:
        return tensor, "matched"
    if shapes == "adapt" or means is not None:
        if head and reshaped(tensor, shape) is None:
            return None, "skipped"
        array = reshaped(tensor, shape) if means is None else None
        array = adapted(tensor, shape, inputs=first, channels=means) if array is None else array
        if array is not None:
            return mcore.from_numpy(np.array(array)), "adapted"
    return None, "skipped" if shapes == "skip" else "wrong"


class _Roles(NamedTuple):
    """Layers that see the image, and those that score classes.

    Of the latter, how many classes there are, if it is known, and how many numbers each box has before them.
    """

    first: set[str]
    classifiers: dict[str, tuple[int | None, int]]


def _roles(net: Module) -> _Roles:
    """What a network says of itself, else what its parts say."""
    first, classifiers = _own(net, "first_conv"), _own(net, "classifier")
    kind = getattr(net, "num_classes", None), getattr(net, "before_classes", 0)
    roles = _Roles(set(first or ()), dict.fromkeys(classifiers or (), kind))
    for name, part in net.named_children() if first is None or classifiers is None else ():
        inner = _roles(part)
        if first is None:
            roles.first.update(f"{name}.{layer}" for layer in inner.first)
        if classifiers is None:
            roles.classifiers.update({f"{name}.{layer}": kind for layer, kind in inner.classifiers.items()})
    return roles


def _own(net: Module, role: str) -> list[str] | None:
    """The layers that a module names itself; a layer that is called so is meant, too."""
    told = getattr(net, role, None)
    if isinstance(told, Module):
        return [role] if hasattr(told, "weight") else None
    return None if told is None else [told] if isinstance(told, str) and told else list(told)


def _set_eps(net: Module, eps: float) -> float:
    """Gives all batch norms the eps of the original; the configuration tells it, where there is an argument for it."""
    for module in net.modules():
        if hasattr(module, "running_mean") and hasattr(module, "eps"):
            setattr(module, "eps", eps)  # noqa: B010 - a number, which annotations of Module do not know
    if "norm_eps" in signature(type(net)).parameters:
        received: Any = net._arguments  # kept by the metaclass
        received["norm_eps"] = eps
    return eps


def _under(prefix: str) -> str:
    return f", under {prefix!r}" if prefix else ""


def check_weights(weights: Any) -> dict[str, Any]:
    """What `load_weights` takes, as a mapping of its options; the file isn't read.

    Raises:
        ValueError: an option that doesn't exist, or a value that doesn't fit one.
        FileNotFoundError: no such table of names.
    """
    options: dict[str, Any] = dict(weights) if isinstance(weights, Mapping) else {"file": weights}
    for key in options:
        if key not in OPTIONS:
            likely = nearest(str(key), OPTIONS, least=0.0, most=1)[0]
            raise ValueError(f"weights: {key!r} is none of {', '.join(OPTIONS)} (did you mean {likely!r}?).")
    given = [key for key in ("file", "state", "repository") if options.get(key) is not None]
    if len(given) != 1 and not (not given and options.get("checkpoint") is not None):
        came = f"{' and '.join(map(repr, given))} came, of which one is read" if given else "no file is named"
        raise ValueError(
            f"weights: {came}; give a path, a name, or a mapping with 'file', or with 'state' or 'repository' instead."
        )
    for key, (kinds, fits) in _FITTING.items():
        if options.get(key) is not None and not isinstance(options[key], kinds):
            raise ValueError(f"weights: {key}={options[key]!r} is not {fits}.")
    if options.get("shapes", "adapt") not in SHAPES:
        raise ValueError(f"weights: shapes={options['shapes']!r} is none of {', '.join(SHAPES)}.")
    classes = options.get("classes")
    if classes is not None and not (classes and all(type(number) is int and number >= 0 for number in classes)):
        raise ValueError(f"weights: classes={classes!r} are not numbers of the file's classes, as in [3, 17, 0].")
    layout_of(options.get("rename"))
    published.asked(options)
    return options


def _judge(
    net: Module, report: Report, wrong: list[str], state: Mapping[str, Tensor], named: Mapping[str, tuple[str, Tensor]]
) -> None:
    title = type(net).__name__
    if wrong:
        raise ValueError(f"{title}: {report.file} doesn't fit, and nothing was loaded: {'; '.join(wrong)}.")
    if not report.matched and not report.renamed and not report.adapted:
        ours = list(state)[:2]
        theirs = [source if key == source else f"{source} (as {key})" for key, (source, _) in list(named.items())[:2]]
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


__all__ = ["Report", "adapted", "check_weights", "load_weights", "renamed"]
