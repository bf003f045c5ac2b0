"""Weights into a network made of Darknet's layers, from its own files and from others."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import mcore
from mcore import Module
from models.darknet.cfg import Cfg
from models.darknet.plan import Plan, plan_of
from models.darknet.weights import Weights, is_darknet, read_weights
from models.utils.weights import Report, adapted, load_weights, unwrapped


def load(net: Module, weights: Any, plan: Plan, published: Cfg, heads: Sequence[str]) -> Report:
    """Loads a file into `net`, and says what became of each entry.

    A `.weights` file is read by the layers of `net`, or if it doesn't fit them, by those of the description as
    published: for other input channels the first convolution is adapted, `heads` of other classes are left out.
    Files that stop early, such as `.conv.137`, load what they have.

    Raises:
        ValueError: the file fits neither, or nothing in it matches; nothing was changed.
    """
    options = dict(weights) if isinstance(weights, Mapping) else {"file": weights}
    name = os.fspath(options.get("file") or "")
    if not is_darknet(name):
        if set(options) != {"file"}:
            return load_weights(net, weights)
        report = _into(net, unwrapped(mcore.load(name)), name, heads)
        if report.missing:
            shown = ", ".join(report.missing[:3]) + (", ..." if len(report.missing) > 3 else "")
            count = len(report.missing)
            warnings.warn(f"{count} entries are not in {name} and keep their random values: {shown}.", stacklevel=4)
        return report
    if set(options) != {"file"}:
        others = ", ".join(sorted(set(options) - {"file"}))
        raise ValueError(f"weights: {others} have no meaning for {name}, whose entries have no names.")
    read = _read(name, plan, published)
    return _into(net, read.state, f"{name} ({read})", heads)


def _read(name: str, plan: Plan, published: Cfg) -> Weights:
    """The file by the layers as they are, or as published."""
    try:
        return read_weights(name, plan)
    except ValueError as error:
        if published.rows() == plan.cfg.rows():
            raise
        try:
            return read_weights(name, plan_of(published))
        except ValueError:
            raise error from None


def _into(net: Module, state: Mapping[str, Any], name: str, heads: Sequence[str]) -> Report:
    report, ours, new, wrong = Report(name), net.state_dict(), {}, []
    first = next((key for key, value in ours.items() if value.ndim == 4), None)
    for key, value in state.items():
        if key not in ours:
            report.unexpected.append(key)
            continue
        tensor = mcore.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
        shape, theirs = tuple(map(int, ours[key].shape)), tuple(map(int, tensor.shape))
        if shape == theirs:
            new[key], kind = tensor, report.matched
        elif key.rpartition(".")[0] in heads:
            kind = report.skipped
        elif key == first and (array := adapted(tensor, shape, inputs=True)) is not None:
            new[key], kind = mcore.from_numpy(array), report.adapted
        else:
            wrong.append(f"{key}: the file has {theirs}, the network {shape}")
            continue
        kind.append(key)
    report.missing = [key for key in ours if key not in state and not key.endswith("num_batches_tracked")]
    title = type(net).__name__
    if wrong:
        raise ValueError(f"{title}: {name} doesn't fit, and nothing was loaded: {'; '.join(wrong)}.")
    if not new:
        raise ValueError(f"{title}: nothing in {name} matches; the network has {', '.join(list(ours)[:2])}, ....")
    net.load_state_dict({**ours, **new})
    return report
