"""Rows of the catalogue, built and run on whatever engine speaks, with the same weights on both."""

import gc
import sys

import numpy as np

import mcore
from mcore import registry
from tests.models.catalog import CATALOG
from tests.models.golden import _input, fill


def build(entry, **more):
    """The component of a row."""
    return registry.create(entry.name, kind=entry.kind, version=entry.version, **entry.arguments, **more)


def filled(entry):
    """The component of a row in eval mode, each entry of its state by a rule of its key and shape."""
    net = build(entry)
    state = net.state_dict()
    net.load_state_dict({k: mcore.from_numpy(fill(k, tuple(map(int, v.shape)), 1.0)) for k, v in state.items()})
    return net.eval()


def arguments(entry, shapes):
    """What the component is called with: a tensor, or a tuple of maps."""
    tensors = tuple(mcore.from_numpy(_input(f"{entry.id}.{i}", shape)) for i, shape in enumerate(shapes))
    return tensors if entry.by_maps else tensors[0]


def tensors(value):
    """The tensors in a result, in order."""
    if isinstance(value, dict):
        return [tensor for key in value for tensor in tensors(value[key])]
    return [t for item in value for t in tensors(item)] if isinstance(value, tuple | list) else [value]


def outputs(entry):
    """Results of a row at both of its sizes, as arrays by name."""
    net, found = filled(entry), {}
    with mcore.no_grad():
        for when, shapes in (("first", entry.shapes), ("again", entry.again)):
            for index, tensor in enumerate(tensors(net(arguments(entry, shapes)))):
                found[f"{entry.id}.{when}.{index}"] = tensor.numpy()
    return found


def forget():
    """Gives back the memory of the sessions of earlier rows: some hold hundreds of megabytes of weights."""
    from mcore.platform import session

    session.clear()
    gc.collect()


def serve():
    """Answers the number of a row with the file that its results, or what went wrong, were written to."""
    for line in sys.stdin:
        number, path = line.split(maxsplit=1)
        entry = CATALOG[int(number)]
        try:
            found = outputs(entry)
        # What went wrong is told by the test of this row, so that others go on.
        except Exception as error:
            found = {f"{entry.id}.error": np.array(f"{type(error).__name__}: {error}")}
        np.savez(path.strip(), **found)
        forget()
        print(path.strip(), flush=True)
